"""Processes side by side: what they come to, and what becomes of the others when one is killed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pandas as pd
from joblib import delayed

from lersbench import apart, experiment, scenario

POLICY = '''
import os
import signal
from dataclasses import dataclass

from lersbench.policy import Policy


@dataclass(frozen=True)
class Greedy(Policy):
    """Shows the first candidates, and asks for more memory than there is."""

    apart = True

    def init(self, spec):
        return None

    def select(self, state, rng, round, slate):
        os.kill(os.getpid(), signal.SIGKILL)
        slate[:] = range(len(slate))

    def update(self, state, round, slate, rewards, seen):
        pass
'''


def come_to(key: str, problem: str = "") -> tuple[str, str]:
    return key, problem


def be_killed(after: Path) -> tuple[str, str]:
    """Killed once `after` is there, or at the end of a minute."""
    end = time.monotonic() + 60
    while not after.exists() and time.monotonic() < end:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)
    return "", ""


def test_each_task_is_told_by_its_key() -> None:
    tasks = {"a": delayed(come_to)("a"), "b": delayed(come_to)("b", "too slow"), "c": delayed(come_to)("c")}
    for at_once in (1, 2):
        assert dict(apart.outcomes(tasks, at_once)) == {"a": "", "b": "too slow", "c": ""}


def test_what_was_told_before_a_process_was_killed_stays(tmp_path: Path) -> None:
    tasks = {"a": delayed(come_to)("a"), "b": delayed(be_killed)(tmp_path / "told")}
    found = apart.outcomes(tasks, 2)
    assert next(found) == ("a", "")
    (tmp_path / "told").touch()
    assert list(found) == [("b", apart.KILLED)]
    assert list(apart.outcomes({"a": tasks["a"]}, 2)) == [("a", "")]  # new processes take the place of the old


def test_a_contender_whose_process_is_killed_is_named_and_the_others_are_kept(tmp_path: Path) -> None:
    policy = tmp_path / "greedy.py"
    policy.write_text(POLICY)

    def bench() -> experiment.Run:
        told = {
            "name": "small",
            "title": "Small",
            "data": {"dataset": "synthetic", "rounds": 50, "items": 8, "d": 3, "users": 40},
            "replay": {"seeds": 2, "checkpoints": 5},
            "policies": [{"name": "random"}, {"name": str(policy)}],
        }
        return experiment.bench(scenario.parse(told, "test"), tmp_path, threads=2, say=lambda _: None)

    run = bench()
    assert run.failures.startswith("2 of 4 contenders failed.\n  greedy, seeds 0, 1: not finished when")
    assert "--threads 1" in run.failures and "memory" in run.failures
    assert set(pd.read_parquet(run.folder / "curves.parquet").policy) == {"random"}
    policy.write_text(POLICY.replace("        os.kill(os.getpid(), signal.SIGKILL)\n", ""))
    again = bench()
    assert (again.played, again.reused, again.failures) == (2, 2, "")
