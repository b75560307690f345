"""Runs whose contenders play on a cluster: the same bits as on one machine, and resumed across both."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lersbench import neighbours
from lersbench.bench import executors, luggage, replays, scenario, session
from lersbench.errors import Unfit
from lersbench.log import write
from lersbench.policy import find, load, make
from lersbench.system import cluster, elsewhere
from lersbench.system.workers import Pool
from tests.bench.test_replays import POLICY, bench, curves, scenario_of
from tests.support import leftovers

pytest.importorskip("distributed")

HELPED = """
from pathlib import Path
import tidy_helper
from my_tools.means import PRIOR
""" + POLICY.replace("prior: float = 0.5", 'prior: float = PRIOR\n    table: str = "scores.txt"').replace(
    "np.full(spec.n_items, self.prior)",
    "np.full(spec.n_items, self.prior + float(Path(self.table).read_text()) + tidy_helper.nothing())",
)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with cluster.opened("local:2") as pool:
        yield pool.client


def test_compiled_policies_come_to_the_same_bits_wherever_they_play(tmp_path: Path, client: Any) -> None:
    names = ["random", "ucb1", "linucb"]
    chosen = scenario_of([{"name": name} for name in names], data={"rounds": 2000, "m": 2}, replay={"batch": 3})
    here, there = bench(chosen, tmp_path / "here"), bench(chosen, tmp_path / "there", executor=client)
    assert there.played == 3 * len(names) and curves(here).equals(curves(there))
    assert here.folder.name[-8:] == there.folder.name[-8:]


def test_a_log_that_is_streamed_comes_to_the_same_bits(
    tmp_path: Path, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = scenario_of(data={"rounds": 3000}, replay={"replicates": "subsample", "feedback": "bandit"})
    there = bench(chosen, tmp_path / "there", executor=client)  # holds the log
    monkeypatch.setattr(session, "KEEP_BYTES", 0)  # of this process alone
    assert curves(bench(chosen, tmp_path / "here")).equals(curves(there))


def test_half_of_a_run_is_done_there_and_the_rest_here_and_the_other_way(tmp_path: Path, client: Any) -> None:
    half, whole = scenario_of([{"name": "random"}]), scenario_of()
    right = curves(bench(whole, tmp_path / "right"))
    for name, first, second in (("a", client, None), ("b", None, client)):
        bench(half, tmp_path / name, executor=first)
        run = bench(whole, tmp_path / name, executor=second)
        assert (run.played, run.reused) == (3, 3)
        assert curves(run).equals(right)


def test_a_run_outlives_the_worker_that_is_killed_under_it(tmp_path: Path, client: Any) -> None:
    slow = POLICY.replace(
        "mean, count = state\n        round",
        "__import__('time').sleep(0.005)\n        mean, count = state\n        round",
    )
    (tmp_path / "slow.py").write_text(slow)
    chosen = scenario_of([{"name": str(tmp_path / "slow.py")}], data={"rounds": 100})
    right = bench(chosen, tmp_path / "right", threads=2)
    before = client.run(os.getpid)

    def kill() -> None:
        pid = sorted(before.values())[0]
        leftovers.wait_until(lambda: bool(leftovers.workers_of(pid)), 300)
        os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    run = bench(chosen, tmp_path / "killed", executor=client)
    killer.join()
    leftovers.wait_until(lambda: len(client.nthreads()) == 2)
    assert set(client.run(os.getpid).values()) != set(before.values())
    assert run.played == 3 and not run.failures and curves(run).equals(curves(right))


def travelled(folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str = "tidy") -> tuple[Any, Any]:
    """A policy of a file in `folder`, with two helpers and a file of numbers; and its luggage."""
    (folder / f"{kind}_tools").mkdir(parents=True)
    (folder / f"{kind}_tools" / "__init__.py").touch()
    (folder / f"{kind}_tools" / "means.py").write_text("PRIOR = 0.25\n")
    (folder / f"{kind}_helper.py").write_text("def nothing():\n    return 0.0\n")
    (folder / "scores.txt").write_text("0.125\n")
    (folder / "mine.py").write_text(
        HELPED.replace("tidy_helper", f"{kind}_helper").replace("my_tools", f"{kind}_tools")
    )
    monkeypatch.chdir(folder)
    policy = load("./mine.py")
    return policy, luggage.packed(policy, "./mine.py:Mean")


def test_a_policy_takes_along_what_it_imports_and_reads(
    tmp_path: Path, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder is gone when the workers play it."""
    travelled(tmp_path / "home", monkeypatch)
    chosen = scenario_of([{"name": "./mine.py"}])
    right = curves(bench(chosen, tmp_path / "right"))
    real = executors.tasks

    def and_gone(*given: Any) -> Any:
        made = real(*given)
        monkeypatch.chdir(tmp_path)
        shutil.rmtree(tmp_path / "home")
        return made

    monkeypatch.setattr(executors, "tasks", and_gone)
    run = bench(chosen, tmp_path / "there", executor=client)
    assert not run.failures and curves(run).equals(right)


def test_luggage_that_was_changed_on_the_way_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, bag = travelled(tmp_path / "home", monkeypatch, "sorted")
    neighbours.leave(tmp_path / "home", tmp_path / "none")  # as in another process
    for module in ("sorted_helper", "sorted_tools", "sorted_tools.means"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    names = sorted(f"{piece.folder}/{piece.name}" for piece in bag.pieces)
    assert names == [
        "code/mine.py", "code/scores.txt", "code/sorted_helper.py", "code/sorted_tools/__init__.py",
        "code/sorted_tools/means.py", "here/scores.txt",
    ]  # fmt: skip
    odd = bag._replace(pieces=(bag.pieces[0]._replace(content=b"0"), *bag.pieces[1:]))
    with pytest.raises(Unfit, match="is not what was sent"), luggage.opened(odd, "x"):
        pass
    with luggage.opened(bag, "x") as name:
        assert make(find(name), {}).table == "scores.txt" and name.endswith("/code/mine.py:Mean")
        where = Path.cwd()
    (where / "scores.txt").write_text("0.5")
    with pytest.raises(Unfit, match=r"is not what was sent\. Fix: delete"), luggage.opened(bag, "x"):
        pass
    shutil.rmtree(where.parent)


def test_policies_of_the_package_take_nothing_along() -> None:
    assert luggage.packed(load("linucb"), "linucb") is None


def test_a_log_that_is_not_there_is_another_machine_s_to_read(tmp_path: Path) -> None:
    chosen = scenario.parse(
        {
            "name": "small", "title": "Small", "policies": [{"name": "random"}], "replay": {"seeds": 1},
            "data": {"log": str(written(tmp_path / "log"))},
        },
        "test",
    )  # fmt: skip
    found: dict[str, Any] = {}
    real = executors.tasks

    def kept(*given: Any) -> Any:
        found.update(real(*given))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executors, "tasks", kept)
        with elsewhere.opened("loky") as pool:
            bench(chosen, tmp_path / "results", executor=pool.parallel)  # type: ignore[union-attr]
    (task,) = found.values()
    assert task.args[0].log == str(tmp_path / "log")
    shutil.rmtree(tmp_path / "log")
    with pytest.raises(Unfit, match="the log cannot be read there"):
        executors.perform(task.args[0]._replace(case_id="other"), lambda done: None)
    written(tmp_path / "log", seed=1)
    with pytest.raises(Unfit, match="has begun with the old ones"):
        executors.perform(task.args[0]._replace(case_id="third"), lambda done: None)


def written(folder: Path, seed: int = 0) -> Path:
    """A log of 60 rounds of 5 items."""
    rng = np.random.default_rng(seed)
    write(folder, {"rewards": rng.integers(0, 2, (60, 5)).astype(float)}, order="exchangeable")
    return folder


def test_pools_and_clusters_have_one_face() -> None:
    assert Pool.outcomes.__annotations__ == cluster.Cluster.outcomes.__annotations__
    assert isinstance(replays.Pool, type)
