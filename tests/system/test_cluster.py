"""Tasks on a Dask cluster of several processes, some of which die, are lost, or are not fit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lersbench.errors import ConfigError, RunError
from lersbench.system import cluster, elsewhere, parcels
from lersbench.system.cluster import Cluster
from lersbench.system.workers import Task
from tests.support import errands, leftovers

pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with cluster.opened("local:2") as pool:
        yield pool.client


@pytest.fixture
def pool(client: Any) -> Cluster:
    told: list[str] = []
    made = Cluster(client, warn=told.append)
    made.told = told  # type: ignore[attr-defined]
    return made


def outcomes(pool: Any, tasks: dict[str, Task], step: Any = lambda done: None) -> dict[str, tuple[Any, str]]:
    return {key: (result, problem) for key, result, problem in pool.outcomes(tasks, step)}


def test_each_task_is_told_by_its_key_and_its_failure_by_its_words(pool: Cluster) -> None:
    tasks = {key: Task(errands.come_to, (key, problem)) for key, problem in {"a": "", "b": "too slow", "c": ""}.items()}
    assert outcomes(pool, tasks) == {"a": ("result of a", ""), "b": (None, "too slow"), "c": ("result of c", "")}


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (errands.exit_at_once, "not finished: it ended its process with exit code 5, as os._exit does."),
        (errands.abort, "not finished: its process died of SIGABRT."),
    ],
)
def test_a_task_that_ends_its_process_takes_no_worker_along(pool: Cluster, call: Any, problem: str) -> None:
    before = pool.workers()
    tasks = {"a": Task(call, ()), "b": Task(errands.come_to, ("b", ""))}
    assert outcomes(pool, tasks) == {"a": (None, problem), "b": ("result of b", "")}
    assert pool.workers() == before


def test_a_task_that_hangs_is_ended(client: Any, tmp_path: Path) -> None:
    limited = Cluster(client, timeout=0.5)
    came = outcomes(limited, {"a": Task(errands.stay, ("spin", str(tmp_path)))})
    assert came == {"a": (None, "not finished after 0.5 seconds, the limit that --timeout sets.")}


def test_what_is_large_travels_once(pool: Cluster) -> None:
    large = np.arange(100_000.0)
    tasks = {key: Task(errands.sum_of, (large,)) for key in "abc"}
    parcel, blobs = parcels.packed(tasks["a"])
    assert len(parcel) < 500 and len(blobs) == 1
    assert outcomes(pool, tasks) == {key: (large.sum(), "") for key in "abc"}
    assert len(pool._blobs) == 1


def test_tasks_of_a_killed_worker_are_done_by_others(pool: Cluster, tmp_path: Path) -> None:
    """It is killed while it is at one of four tasks: all four come, and that one was begun twice."""
    tasks = {key: Task(errands.wait_for, (str(tmp_path), key)) for key in "abcd"}
    killed: list[int] = []

    def step(done: float) -> None:
        begun = sorted(tmp_path.glob("?.*"))
        if not killed and len(begun) >= 2:
            killed.append(int(begun[0].suffix[1:]))
            os.kill(killed[0], signal.SIGKILL)
            (tmp_path / "go").touch()

    assert outcomes(pool, tasks, step) == {key: (f"result of {key}", "") for key in tasks}
    begun = sorted(path.name for path in tmp_path.glob("?.*"))
    assert len(killed) == 1 and len(begun) == 5
    leftovers.wait_until(lambda: len(pool.workers()) == 2)


def test_a_worker_of_another_version_is_named_and_not_used(pool: Cluster, client: Any) -> None:
    odd, _fit = sorted(pool.workers())

    def pretend(version: str) -> None:
        from importlib import metadata

        real = getattr(metadata, "real", metadata.version)
        metadata.real = real  # type: ignore[attr-defined]
        metadata.version = lambda name: version if version and name == "numpy" else real(name)

    client.run(pretend, "1.26.0", workers=[odd])
    try:
        tasks = {key: Task(errands.come_to, (key, "")) for key in "abcdef"}
        assert outcomes(pool, tasks) == {key: (f"result of {key}", "") for key in tasks}
        (told,) = pool.told  # type: ignore[attr-defined]
        assert told.startswith(f"Worker {odd} is not used: it has numpy 1.26.0 (here {np.__version__}).")
    finally:
        client.run(pretend, "", workers=[odd])


def test_where_no_worker_has_the_versions_of_this_process_nothing_is_done(pool: Cluster) -> None:
    pool.facts = {**pool.facts, "the files of lersbench": "others"}
    with pytest.raises(RunError, match="none of the 2 workers of the cluster can be used") as raised:
        outcomes(pool, {"a": Task(errands.come_to, ("a", ""))})
    assert str(raised.value).count("(here others)") == 2


def test_a_worker_that_cannot_reach_the_log_hands_its_tasks_on(pool: Cluster, client: Any) -> None:
    pids = client.run(os.getpid)
    odd = sorted(pids)[0]
    tasks = {key: Task(errands.unfit_at, (pids[odd], key)) for key in "abcdefgh"}
    came = outcomes(pool, tasks)
    assert {problem for _, problem in came.values()} == {""} and pids[odd] not in {pid for pid, _ in came.values()}
    (told,) = pool.told  # type: ignore[attr-defined]
    assert told == f"Worker {odd} is not used: the log cannot be read there: gone.parquet: no such file"


def test_what_is_no_longer_wanted_is_ended(pool: Cluster, tmp_path: Path) -> None:
    """Ctrl-C while tasks are under way: the workers are free at once."""
    tasks = {key: Task(errands.wait_for, (str(tmp_path), key)) for key in "ab"}

    def stop(done: float) -> None:
        if len(list(tmp_path.glob("?.*"))) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        outcomes(pool, tasks, stop)
    assert outcomes(pool, {"c": Task(errands.come_to, ("c", ""))}) == {"c": ("result of c", "")}


def dask(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def test_a_scheduler_that_is_lost_is_an_error_and_so_are_workers_that_do_not_come(tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    scheduler = dask("scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
    worker = None
    try:
        leftovers.wait_until(file.exists)
        import json

        address = json.loads(file.read_text())["address"]
        with elsewhere.opened(address) as pool:
            assert isinstance(pool, Cluster)
            pool.lonely = 1.0
            with pytest.raises(RunError, match="no worker of the cluster has been there for 1 seconds"):
                outcomes(pool, {"a": Task(errands.come_to, ("a", ""))})
            worker = dask("worker", address, "--nthreads", "1", "--no-dashboard")
            leftovers.wait_until(lambda: len(pool.workers()) == 1)
            tasks = {"a": Task(errands.come_to, ("a", "")), "b": Task(errands.wait_for, (str(tmp_path), "b"))}

            def kill(done: float) -> None:
                if list(tmp_path.glob("b.*")):
                    scheduler.kill()

            with pytest.raises(RunError, match=r"the scheduler of the cluster is lost.*does only what is missing"):
                outcomes(pool, tasks, kill)
    finally:
        for process in (scheduler, worker):
            if process is not None:
                process.kill()
                process.wait()


@pytest.mark.parametrize("where", ["tcp://127.0.0.1:9", "local:", "local:0", "threading", "fork-lift", 3.5])
def test_what_is_no_executor_is_refused(where: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "ANSWER", 0.5)
    with pytest.raises(ConfigError, match=r"Fix|comes the number|backend"):
        elsewhere.opened(where)


def test_processes_of_joblib_do_tasks_too() -> None:
    joblib = pytest.importorskip("joblib")
    tasks = {key: Task(errands.come_to, (key, problem)) for key, problem in {"a": "", "b": "too slow"}.items()}
    with elsewhere.opened(joblib.Parallel(n_jobs=2)) as pool:
        assert outcomes(pool, tasks) == {"a": ("result of a", ""), "b": (None, "too slow")}
