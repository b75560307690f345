"""Processes beside this one: what they come to, and what becomes of the others when one dies or hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from lersbench.bench import replays, scenario
from lersbench.system.workers import KILLED, Pool, Task
from tests.support import errands, leftovers

POLICY = '''
import os, random, signal, sys, time
from dataclasses import dataclass

import numpy as np

from lersbench.policy import Policy


@dataclass(frozen=True)
class Odd(Policy):
    """Shows the first candidates, and does what it should not in its round 20."""

    def init(self, spec):
        return np.zeros(1)

    def select(self, state, rng, round, slate):
        state += 1
        if state[0] == 20 and MARK.exists():
            DO
        slate[:] = range(len(slate))

    def update(self, state, round, slate, rewards, seen):
        pass
'''
ODD = {
    "os.kill(os.getpid(), signal.SIGKILL)": "its process was killed, most likely for want of memory. Run again with",
    "sys.exit('enough')": "called sys.exit(enough) (",
    "time.sleep(1000)": "not finished after 3 seconds, the limit that --timeout sets",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "slate[:] = 10**9; return": "not in 0..C-1",
    "slate[:] = 'junk'": "ValueError",
}


def outcomes(pool: Pool, tasks: dict[str, Task], step: Callable[[float], None] = print) -> dict[str, tuple[str, str]]:
    """Result and problem of each task."""
    return {key: (result, problem) for key, result, problem in pool.outcomes(tasks, step)}


def test_each_task_is_told_by_its_key() -> None:
    tasks = {key: Task(errands.come_to, (key, problem)) for key, problem in {"a": "", "b": "too slow", "c": ""}.items()}
    for at_once in (1, 2):
        done: list[float] = []
        with Pool(at_once) as pool:
            came = outcomes(pool, tasks, done.append)
            assert came == {"a": ("result of a", ""), "b": (None, "too slow"), "c": ("result of c", "")}
            assert outcomes(pool, {"d": Task(errands.come_to, ("d", ""))}) == {"d": ("result of d", "")}
        assert done == [2.0] * 3 and not leftovers.workers_of(os.getpid())


def test_only_the_task_of_a_killed_process_fails(tmp_path: Path) -> None:
    tasks = {
        "b": Task(errands.be_killed, (tmp_path / "told",)),
        **{key: Task(errands.come_to, (key, "")) for key in "acd"},
    }
    for at_once in (1, 2):
        (tmp_path / "told").touch()
        with Pool(at_once) as pool:
            came = outcomes(pool, tasks)
            assert came == {"b": (None, KILLED), **{key: (f"result of {key}", "") for key in "acd"}}


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (errands.exit_at_once, "not finished: it ended its process with exit code 5, as os._exit does."),
        (errands.abort, "not finished: its process died of SIGABRT."),
    ],
)
def test_how_a_process_died_is_told(call: Callable[..., None], problem: str) -> None:
    with Pool(1) as pool:
        assert outcomes(pool, {"a": Task(call, ())}) == {"a": (None, problem)}


def test_an_error_of_a_task_is_its_problem() -> None:
    with Pool(1) as pool:
        ((result, problem),) = outcomes(pool, {"a": Task(errands.come_to, ("a", "", "more"))}).values()
    assert result is None and problem.startswith("TypeError: ")


def bench(policies: list[Path], results: Path, timeout: float | None = None) -> replays.Run:
    told = {
        "name": "small",
        "title": "Small",
        "data": {"dataset": "synthetic", "rounds": 50, "items": 8, "d": 3, "users": 40},
        "replay": {"seeds": 1, "checkpoints": 5},
        "policies": [{"name": name} for name in (*map(str, policies), "random")],
    }
    return replays.bench(scenario.parse(told, "test"), results, 1, say=lambda _: None, timeout=timeout)


def test_policies_that_misbehave_fail_by_themselves(tmp_path: Path) -> None:
    """Each is named with its reason; the others are kept, and only those that failed are played anew once mended."""
    mark = tmp_path / "mark"
    mark.touch()
    paths = [tmp_path / f"odd{i}.py" for i in range(len(ODD))]
    for path, what in zip(paths, ODD, strict=True):
        path.write_text(POLICY.replace("DO", what).replace("MARK", f"__import__('pathlib').Path({str(mark)!r})"))
    run = bench(paths, tmp_path, timeout=3)
    head, *told = run.failures.split("\n  odd")
    assert head == f"{len(ODD)} of {len(ODD) + 1} runs failed."
    for i, (what, problem) in enumerate(ODD.items()):
        (line,) = (line for line in told if line.startswith(f"{i}, seed 0: "))
        assert problem in line, what
    assert set(pd.read_parquet(run.folder / "curves.parquet").policy) == {"random"}
    mark.unlink()
    again = bench(paths, tmp_path)
    assert (again.played, again.reused, again.failures) == (len(ODD), 1, "")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_do_not_outlive_their_parent(tmp_path: Path, number: signal.Signals) -> None:
    """Whatever they are at: one sleeps, one computes without an end, one waits for work."""
    script = (
        "import sys, time; from lersbench.system.workers import Pool, Task\n"
        "from tests.support import errands\n"
        "tasks = {k: Task(errands.stay, (k, sys.argv[1])) for k in ('sleep', 'spin', 'none')}\n"
        "with Pool(3) as pool: list(pool.outcomes(tasks))"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
    leftovers.wait_until(lambda: len(list(tmp_path.iterdir())) == 3)
    workers = leftovers.workers_of(process.pid)
    assert len(workers) == 3
    process.send_signal(number)
    process.wait()
    leftovers.wait_until(lambda: not any(leftovers.lives(pid) for pid in workers), 5)
