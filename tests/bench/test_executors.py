"""Processes beside this one: what they come to, and what becomes of the others when one dies or hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from lersbench.bench import replays, scenario
from lersbench.errors import RunError
from lersbench.system.workers import KILLED, Pool, Task
from tests.support import leftovers

POLICY = '''
import os, random, signal, sys, time
from dataclasses import dataclass

import numpy as np

from lersbench.policy import Policy


@dataclass(frozen=True)
class Odd(Policy):
    """Shows the first candidates, and does what it should not in round 20 of its first seed."""

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
    "os._exit(5)": "it ended its process with exit code 5, as os._exit does",
    "os.abort()": "its process died of SIGABRT",
    "sys.exit('enough')": "called sys.exit(enough) (",
    "time.sleep(1000)": "not finished after 5 seconds, the limit that --timeout sets",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "slate[:] = 10**9; return": "not in 0..C-1",
    "slate[:] = 'junk'": "ValueError",
}


def come_to(key: str, problem: str, step: Callable[[float], None]) -> str:
    step(2.0)
    print("a policy may print what it likes", key)
    if problem:
        raise RunError(problem)
    return f"result of {key}"


def outcomes(pool: Pool, tasks: dict[str, Task], step: Callable[[float], None] = print) -> dict[str, tuple[str, str]]:
    """Result and problem of each task."""
    return {key: (result, problem) for key, result, problem in pool.outcomes(tasks, step)}


def be_killed(after: Path, step: Callable[[float], None]) -> str:
    """Killed once `after` is there, or at the end of a minute."""
    end = time.monotonic() + 60
    while not after.exists() and time.monotonic() < end:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


def test_each_task_is_told_by_its_key() -> None:
    tasks = {key: Task(come_to, (key, problem)) for key, problem in {"a": "", "b": "too slow", "c": ""}.items()}
    for at_once in (1, 2):
        done: list[float] = []
        with Pool(at_once) as pool:
            came = outcomes(pool, tasks, done.append)
            assert came == {"a": ("result of a", ""), "b": (None, "too slow"), "c": ("result of c", "")}
            assert outcomes(pool, {"d": Task(come_to, ("d", ""))}) == {"d": ("result of d", "")}
        assert done == [2.0] * 3 and not leftovers.workers_of(os.getpid())


def test_only_the_task_of_a_killed_process_fails(tmp_path: Path) -> None:
    tasks = {"b": Task(be_killed, (tmp_path / "told",)), **{key: Task(come_to, (key, "")) for key in "acd"}}
    for at_once in (1, 2):
        (tmp_path / "told").touch()
        with Pool(at_once) as pool:
            came = outcomes(pool, tasks)
            assert came == {"b": (None, KILLED), **{key: (f"result of {key}", "") for key in "acd"}}


def test_an_error_of_a_task_is_its_problem() -> None:
    with Pool(1) as pool:
        ((result, problem),) = outcomes(pool, {"a": Task(come_to, ("a", "", "more"))}).values()
    assert result is None and problem.startswith("TypeError: ")


def bench(policy: Path, results: Path, timeout: float | None = None) -> replays.Run:
    told = {
        "name": "small",
        "title": "Small",
        "data": {"dataset": "synthetic", "rounds": 50, "items": 8, "d": 3, "users": 40},
        "replay": {"seeds": 2, "checkpoints": 5},
        "policies": [{"name": str(policy)}, {"name": "random"}],
    }
    return replays.bench(scenario.parse(told, "test"), results, 1, say=lambda _: None, timeout=timeout)


@pytest.mark.parametrize("what", ODD)
def test_a_policy_that_misbehaves_fails_by_itself(tmp_path: Path, what: str) -> None:
    """Named with its reason; the others are kept, and only it is played anew once it is mended."""
    policy, mark = tmp_path / "odd.py", tmp_path / "mark"
    policy.write_text(POLICY.replace("DO", what).replace("MARK", f"__import__('pathlib').Path({str(mark)!r})"))
    mark.touch()
    run = bench(policy, tmp_path, timeout=5 if "sleep" in what else None)
    assert run.failures.startswith("2 of 4 contenders failed.\n  odd, seeds 0, 1: ") and ODD[what] in run.failures
    assert set(pd.read_parquet(run.folder / "curves.parquet").policy) == {"random"}
    mark.unlink()
    again = bench(policy, tmp_path)
    assert (again.played, again.reused, again.failures) == (2, 2, "")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_do_not_outlive_their_parent(tmp_path: Path, number: signal.Signals) -> None:
    """Whatever they are at: one sleeps, one computes without an end, one waits for work."""
    script = (
        "import sys, time; from lersbench.system.workers import Pool, Task\n"
        "from tests.bench import test_executors as test_apart\n"
        "tasks = {k: Task(test_apart.stay, (k, sys.argv[1])) for k in ('sleep', 'spin', 'none')}\n"
        "with Pool(3) as pool: list(pool.outcomes(tasks))"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
    leftovers.wait_until(lambda: len(list(tmp_path.iterdir())) == 3)
    workers = leftovers.workers_of(process.pid)
    assert len(workers) == 3
    process.send_signal(number)
    process.wait()
    leftovers.wait_until(lambda: not any(leftovers.lives(pid) for pid in workers), 5)


def stay(how: str, folder: str, step: Callable[[float], None]) -> str:
    (Path(folder) / how).touch()
    while how == "spin":
        pass
    time.sleep(1000 if how == "sleep" else 0)
    return ""
