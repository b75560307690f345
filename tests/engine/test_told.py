"""What a round and a spec tell of the log beside its numbers: when it was, and what things are called."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

import lersbench as lb
from lersbench.bench import scenario, session
from lersbench.engine.contender import Contender
from lersbench.engine.play import play, protocol_of
from lersbench.engine.rows import rows_of
from lersbench.errors import DataError
from lersbench.kernels.jit import kernel
from lersbench.log import Log, write
from lersbench.log.names import feature_names, item_ids
from lersbench.policy import KernelPolicy, Policy, Round, Spec

N, ITEMS = 12, 3


class Seen(NamedTuple):
    selected: np.ndarray  # (N,) the times that `select` was told, in its order
    learned: np.ndarray  # (N,) the same of `update`
    counts: np.ndarray  # (2,) int64


def state() -> Seen:
    return Seen(np.zeros(N, np.int64), np.zeros(N, np.int64), np.zeros(2, np.int64))


@kernel
def select(state: Seen, rng: Any, round: Round, slate: np.ndarray) -> None:
    state.selected[state.counts[0]] = round.time
    state.counts[0] += 1
    for k in range(slate.shape[0]):
        slate[k] = k


@kernel
def update(state: Seen, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    state.learned[state.counts[1]] = round.time
    state.counts[1] += 1


@dataclass(frozen=True)
class Compiled(KernelPolicy):
    kernels = (select, update)

    def init(self, spec: Spec) -> Seen:
        return state()


@dataclass(frozen=True)
class Plain(Policy):
    def init(self, spec: Spec) -> Seen:
        return state()

    def select(self, state: Any, rng: Any, round: Round, slate: np.ndarray) -> None:
        select.py_func(state, rng, round, slate) if hasattr(select, "py_func") else select(state, rng, round, slate)

    def update(self, state: Any, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
        state.learned[state.counts[1]] = round.time
        state.counts[1] += 1


def log_of(folder: Path, timed: bool = True, **options: Any) -> Log:
    time = np.datetime64("2026-03-01", "us") + np.arange(N) * np.timedelta64(1, "h")
    chunk = {"rewards": np.eye(ITEMS)[np.arange(N) % ITEMS], "context": np.ones((N, 2))}
    items = pd.DataFrame({"id": ["a", "007", "c"], "features": [[0.0]] * 3})
    return write(folder, chunk | ({"time": time} if timed else {}), items=items, **options)


@pytest.mark.parametrize("policy", [Compiled(), Plain()])
@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("more", [{}, {"batch": 5}, {"delayed": True, "delay": 1}])
def test_a_round_tells_its_time(tmp_path: Path, policy: Policy, timed: bool, more: dict[str, Any]) -> None:
    if more.get("delayed") and not timed:
        return  # such a replay is refused
    log = log_of(tmp_path / "log", timed)
    (chunk,) = log.read()
    protocol = protocol_of("bandit", ties=1, **more)
    waiting = 3 if protocol.delayed else 0
    spec, rng = Spec(ITEMS, ITEMS, 1, 2, rounds=N), np.random.default_rng(0)
    made = Contender(policy, spec, protocol, rng, np.array([N]), waiting=waiting)
    play(made, rows_of(chunk, log.items, "bandit", 1))
    due = chunk.time if timed else np.full(N, -1)
    np.testing.assert_array_equal(made.state.selected, due)
    learned = N - 1 if protocol.delayed else N  # what came of the last one is not known by its time
    np.testing.assert_array_equal(made.state.learned[:learned], due[:learned])


def test_rounds_made_as_before_have_no_time() -> None:
    none = np.zeros(0)
    round = Round(0, -1, none, np.arange(3), np.zeros((3, 0)), 7, np.zeros(3), np.zeros(1), np.zeros(1, np.int64))
    assert round.time == round.request == -1 and Round._fields[9:] == ("time", "request", "shown_at")


def test_ids_and_names_of_a_log(tmp_path: Path) -> None:
    said = {"context": ["age", "device=app"], "items": ["price"], "features": ["of another width"]}
    log = log_of(tmp_path / "log", provenance={"feature_names": said})
    ids = pickle.loads(pickle.dumps(item_ids(log)))
    assert len(ids) == 3 and ids[1] == "007" and list(ids) == ["a", "007", "c"] and ids.index("c") == 2
    assert feature_names(log.info) == {"context": ("age", "device=app"), "items": ("price",)}
    assert feature_names(log_of(tmp_path / "other").info) == {}
    with pytest.raises(DataError, match=r"provenance.feature_names is .*it must be lists of names"):
        log_of(tmp_path / "wrong", provenance={"feature_names": {"context": [1]}})


def test_a_replay_tells_them(tmp_path: Path) -> None:
    names = {"context": ["age", "device=app"], "items": ["price"]}
    log = log_of(tmp_path / "log", provenance={"feature_names": names})
    about: dict[str, Any] = {"name": "told", "title": "Told", "leaderboard": "misses", "data": {"log": log.path}}
    about |= {"replay": {"feedback": "bandit", "seeds": 1}, "policies": [{"name": "random"}]}
    chosen = scenario.parse(about, "test")
    (case,) = scenario.cases(chosen)
    spec = session.spec_of(chosen, log, case)
    assert list(spec.item_ids) == ["a", "007", "c"]
    assert spec.feature_names == {"context": ("age", "device=app"), "items": ("price",)}
    told = scenario.parse(about | {"replay": {**about["replay"], "interactions": [1, 1]}}, "test")
    assert session.spec_of(told, log, case).feature_names == spec.feature_names  # composed ones have no names


def test_a_replay_of_a_session_tells_the_times(tmp_path: Path) -> None:
    file = tmp_path / "clock.py"
    file.write_text(CLOCK)
    results = lb.replay(str(file), log_of(tmp_path / "log"), seeds=1, replicates="none")
    assert results.summary is not None
    times = [int(line) for line in (tmp_path / "times").read_text().split()]
    assert times == [1772323200000000 + 3_600_000_000 * t for t in range(N)]


CLOCK = '''
from dataclasses import dataclass
from pathlib import Path
from lersbench.policy import Policy

@dataclass(frozen=True)
class Clock(Policy):
    """Shows the first candidate, and writes down when."""

    def init(self, spec):
        return open(Path(__file__).with_name("times"), "w")

    def select(self, state, rng, round, slate):
        slate[:] = range(len(slate))
        state.write(f"{round.time}\\n")
        state.flush()

    def update(self, state, round, slate, rewards, seen):
        pass
'''
