"""The workloads: worlds, and lersbench's own run of them.

Contexts and features are standard normal, scaled to length 1. Linear rewards are (1 + theta_a'x) / 2 with the
theta_a uniform on the unit sphere; clicks are drawn with probability 0.02 (1 + theta_a'x), 2 % on average.
W4 has linear rewards, "W4 clicks" beside it clicks. In W3 all items share one theta, and 30 % are clicked.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lersbench.engine.contender import Contender
from lersbench.engine.play import play, protocol_of
from lersbench.engine.rows import Rows
from lersbench.engine.rows import rows_of as replay_rows
from lersbench.kernels.jit import kernel
from lersbench.log.chunk import Chunk
from lersbench.policies import iba_linucb, linucb
from lersbench.policy import KernelPolicy, Spec

from . import numpy_twins, textbook

ALPHA, TIES = 0.3, 12345


def sphere(rng: np.random.Generator, *shape: int) -> np.ndarray:
    points = rng.standard_normal(shape)
    return points / np.linalg.norm(points, axis=-1, keepdims=True)


@dataclass
class Workload:
    """One workload: its log in memory, our run, the NumPy twin on the first rounds, the textbook's verdict."""

    name: str
    must: float
    reach: float
    rows: Rows
    spec: Spec
    policy: KernelPolicy
    slate: int = 1
    replay: bool = False
    ranked: bool = False
    twin: Callable[[int, Any], Any] = lambda n, form: None  # play the first n rounds with a form
    forms: tuple[Any, ...] = numpy_twins.FORMS
    twin_rounds: int = 0
    verdict: Callable[[np.ndarray], tuple[int, float]] = lambda choices: (0, 0.0)

    @property
    def rounds(self) -> int:
        return int(self.rows.user.shape[0])

    def contender(self, policy: KernelPolicy | None = None) -> Contender:
        """A fresh run; its loop is compiled here, on zero rounds."""
        feedback = "replay" if self.replay else "bandit"
        protocol = protocol_of(feedback, self.slate, ties=TIES, ranking=self.ranked)._replace(regret=False)
        rng = np.random.default_rng(0)
        ready = Contender(policy or self.policy, self.spec, protocol, rng, np.array([self.rounds]))
        none = np.empty(0, np.int64)
        ready.play(self.rows, none, none)
        return ready

    def play(self, contender: Contender) -> Contender:
        return play(contender, self.rows)

    def choices(self) -> np.ndarray:
        """The slates (n, K) of our run; -1 where nothing was chosen under rejection replay."""
        recorder = Recorder(self.policy, self.rounds, self.slate)
        return self.play(self.contender(recorder)).state.slates


class Record(NamedTuple):
    state: Any
    slates: np.ndarray  # (n, K)


@functools.cache
def recording(kernels: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same kernels, writing down what they choose; `round.user` is the number of the row."""
    select, update, *lazy = kernels

    @kernel
    def recorded_select(state, rng, round, slate):  # type: ignore[no-untyped-def]
        select(state.state, rng, round, slate)
        for k in range(slate.shape[0]):
            state.slates[round.user, k] = slate[k]

    @kernel
    def recorded_update(state, round, slate, rewards, seen):  # type: ignore[no-untyped-def]
        update(state.state, round, slate, rewards, seen)

    if not lazy:
        return recorded_select, recorded_update
    wins = lazy[0]

    @kernel
    def recorded_wins(state, rng, round, candidate):  # type: ignore[no-untyped-def]
        won = wins(state.state, rng, round, candidate)
        if won:
            state.slates[round.user, 0] = candidate
        return won

    return recorded_select, recorded_update, recorded_wins


class Recorder(KernelPolicy):
    """Another policy, with its choices written down."""

    def __new__(cls, policy: KernelPolicy, rounds: int, slate: int) -> Recorder:
        return object.__new__(type("Recorder", (cls,), {"kernels": recording(policy.kernels)}))

    def __init__(self, policy: KernelPolicy, rounds: int, slate: int) -> None:
        self.policy, self.rounds, self.slate = policy, rounds, slate

    def init(self, spec: Spec) -> Record:
        return Record(self.policy.init(spec), np.full((self.rounds, self.slate), -1))


def rows_of(
    contexts: np.ndarray, rewards: np.ndarray, items: int, positions: int, likes: bool = False, **more: np.ndarray
) -> Rows:
    """Rows of a log that offers all items in every round; with a logged slate, `rewards` are the clicks on it."""
    n, replay = contexts.shape[0], "slate" in more
    unknown, nothing = np.zeros((0, items)), np.zeros((0, 0))
    given = {
        "start": 0,
        "user": np.arange(n),
        "context": contexts,
        "candidates": np.arange(items)[None],
        "features": np.zeros((1, items, 0)),
        "rewards": unknown if replay else rewards,
        "expected": unknown,
        "slate": np.zeros((0, 0), np.int64),
        "clicks": rewards if replay else nothing,
        "propensities": nothing,
        "examined": nothing,
        "attraction": unknown,
        "scores": unknown,
    }
    chunk = Chunk(**{**given, **more})
    return replay_rows(chunk, np.zeros((items, 0)), "replay" if replay else "bandit", positions, likes)


def ragged_rows(features: np.ndarray, rewards: np.ndarray, first: np.ndarray, positions: int) -> Rows:
    """Rows whose candidates, those of round t from first[t] on, are the first items there are."""
    n, none = len(first) - 1, np.zeros(0)
    candidates = np.arange(first[-1]) - np.repeat(first[:-1], np.diff(first))
    known = (candidates, features, rewards, none)
    unknown = (np.zeros((0, 0), np.int64), *(np.zeros((0, 0)),) * 3)
    chunk = Chunk(0, np.arange(n), np.zeros((n, 0)), *known, *unknown, none, none, first=first)
    return replay_rows(chunk, np.zeros((int(candidates.max()) + 1, 0)), "bandit", positions, False)


def disjoint(
    name: str, n: int, arms: int, clicks: bool, ranked: bool, must: float, reach: float, twin_rounds: int
) -> Workload:
    rng = np.random.default_rng(0)
    contexts, theta = sphere(rng, n, 20), sphere(rng, arms, 20)
    signal = contexts @ theta.T
    rewards = (rng.random((n, arms)) < 0.02 * (1 + signal)).astype(float) if clicks else (1 + signal) / 2
    del signal
    liked = [np.flatnonzero(row) for row in rewards] if ranked else []

    def twin(rounds: int, form: Any) -> Any:
        if ranked:
            return numpy_twins.ranked(contexts[:rounds], rewards, liked, ALPHA, form)
        return numpy_twins.disjoint(contexts[:rounds], rewards, ALPHA, form)

    return Workload(
        name,
        must,
        reach,
        rows_of(contexts, rewards, arms, 1, ranked),
        Spec(arms, arms, 1, 20),
        linucb.LinUCB(ALPHA),
        ranked=ranked,
        twin=twin,
        twin_rounds=twin_rounds,
        verdict=lambda slates: textbook.disjoint(contexts, rewards, slates[:, 0], ALPHA, TIES),
    )


def replayed(name: str, n: int, clicks: bool, must: float, reach: float, twin_rounds: int) -> Workload:
    rng = np.random.default_rng(0)
    contexts, theta, logged = sphere(rng, n, 20), sphere(rng, 34, 20), rng.integers(34, size=n)
    signal = np.einsum("nd,nd->n", contexts, theta[logged])
    rewards = (rng.random(n) < 0.02 * (1 + signal)).astype(float) if clicks else (1 + signal) / 2
    return Workload(
        name,
        must,
        reach,
        rows_of(contexts, rewards[:, None], 34, 1, slate=logged[:, None]),
        Spec(34, 34, 1, 20),
        linucb.LinUCB(ALPHA),
        replay=True,
        twin=lambda rounds, form: numpy_twins.replayed(contexts[:rounds], logged, rewards, 34, ALPHA, form),
        twin_rounds=twin_rounds,
        verdict=lambda slates: textbook.replayed(contexts, logged, rewards, slates[:, 0] >= 0, 34, ALPHA, TIES),
    )


def per_position(
    name: str, n: int, m: int, must: float, reach: float, twin_rounds: int, ragged: bool = False
) -> Workload:
    """12 candidates a round, or where `ragged` 3 to 40, and 12 on average."""
    rng = np.random.default_rng(0)
    lengths = np.minimum(2 + rng.geometric(0.0985, n), 40) if ragged else np.full(n, 12)
    first, most = np.append(0, np.cumsum(lengths)), int(lengths.max())
    features, theta = sphere(rng, first[-1], m), sphere(rng, m)
    clicks = (rng.random(first[-1]) < 0.3 * (1 + features @ theta)).astype(float)
    if ragged:
        rows = ragged_rows(features, clicks, first, 6)
    else:
        rows = rows_of(np.zeros((n, 0)), clicks.reshape(n, 12), 12, 6, features=features.reshape(n, 12, m))
    return Workload(
        name,
        must,
        reach,
        rows,
        Spec(most, most, 6, 0, m),
        iba_linucb.IBALinUCB(ALPHA),
        slate=6,
        twin=lambda rounds, form: numpy_twins.per_position(features, clicks, first[: rounds + 1], 6, ALPHA, form),
        forms=numpy_twins.POSITION_FORMS,
        twin_rounds=twin_rounds,
        verdict=lambda slates: textbook.per_position(features, clicks, first, slates, ALPHA, TIES),
    )


WORKLOADS: dict[str, Callable[[], Workload]] = {
    "W1": lambda: disjoint("W1 disjoint", 20_000, 100, False, False, 4, 15, 20_000),
    "W1 clicks": lambda: disjoint("W1 clicks", 20_000, 100, True, False, 4, 15, 20_000),
    "W2": lambda: disjoint("W2 full ranking", 2_602, 1_023, True, True, 8, 20, 2_602),
    "W3": lambda: per_position("W3 per position", 180_000, 10, 12, 40, 20_000),
    "W3 d 56": lambda: per_position("W3 with d 56", 20_000, 56, 4, 7, 5_000),
    "W5": lambda: per_position("W5 per position, 3 to 40 candidates", 1_000_000, 10, 12, 40, 20_000, ragged=True),
    "W4": lambda: replayed("W4 rejection replay", 1_000_000, False, 20, 80, 50_000),
    "W4 clicks": lambda: replayed("W4 clicks", 1_000_000, True, 20, 80, 50_000),
}
