"""Worlds without context whose weights run from harmless to hopeless: what an interval is worth in each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from lersbench.audit.judging import Rows, guaranteed, judged
from lersbench.audit.summary import covers, doubted
from lersbench.audit.world import NORMAL, Answer, Check, Group, Lines, World

More = Callable[[Lines], list[Check]]


class Arms(NamedTuple):
    """Each (K,)."""

    logging: np.ndarray  # chances of the logger
    target: np.ndarray
    rate: np.ndarray  # chance of a reward

    @property
    def truth(self) -> float:
        return float(self.target @ self.rate)

    @property
    def heaviest(self) -> float:
        return float((self.target / self.logging).max())

    def draw(self, rng: np.random.Generator, n: int) -> Rows:
        """A log of n rows."""
        arm = np.minimum(np.searchsorted(self.logging.cumsum(), rng.random(n)), len(self.rate) - 1)
        reward = (rng.random(n) < self.rate[arm]).astype(np.float64)
        return Rows((self.target / self.logging)[arm], reward, self.logging[arm])


def softmax(scores: np.ndarray) -> np.ndarray:
    """Chances of the scores."""
    worth = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return worth / worth.sum(axis=-1, keepdims=True)


def mild() -> Arms:
    """10 arms, rewards near .18, weights up to 2.6."""
    rng = np.random.default_rng(6)
    logging, target = softmax(0.5 * rng.normal(size=10)), softmax(0.5 * rng.normal(size=10))
    rate = rng.uniform(0.09, 0.27, 10)
    return Arms(logging, target, rate * 0.18 / (target @ rate))


def heavy(seed: int, spread: float, value: float, width: float) -> Arms:
    """80 arms, a softmax logger whose scores have this spread, a target that takes all alike, and rewards of `value`
    on average, up to `width` of it more or less."""
    logging, target = softmax(spread * np.random.default_rng(seed).normal(size=80)), np.full(80, 1 / 80)
    rate = np.random.default_rng([seed, 1]).uniform(1 - width, 1 + width, 80)
    return Arms(logging, target, rate * value / rate.mean())


MILD = mild()
KINDS = {
    "A": MILD,
    "B": heavy(159, 2.0, 0.005, 0.8),
    "C": heavy(1727, 1.0, 0.005, 0.8),
    "D": heavy(1238, 2.0, 0.5, 0.4),
}


def play(arms: Arms, n: int, rng: np.random.Generator) -> list[Answer]:
    """One log, with the largest weight unknown, as it is of most logs."""
    rows = arms.draw(rng, n)
    return [*judged(rows, arms.truth), *guaranteed(rows, arms.truth, arms.heaviest)]


def hopeless(lines: Lines) -> list[Check]:
    """World B."""
    return [doubted(lines[name, NORMAL], 0.95) for name in ("snips", "ips")]


def trusted(lines: Lines) -> list[Check]:
    """World A with many rows: a sound log is to be believed."""
    share = lines["snips", NORMAL].verdicts[0]
    return [
        Check("a sound log with rows enough is believed in 9 of 10 runs", share >= 0.9, f"{share:.1%}"),
        covers(lines["snips", NORMAL], 0.93, 0.97),
    ]


def _world(kind: str, n: int, runs: int, quick: int, more: More = lambda lines: []) -> World:
    arms = KINDS[kind]
    return World(
        f"W4 {kind}, {n:,} rows",
        "W4",
        runs,
        quick,
        partial(play, arms, n),
        ("ips",),
        ("snips",),
        ("snips", "ips"),
        more,
        f"Weights up to {arms.heaviest:.3g}, value {arms.truth:.3g}.",
    )


GROUP = Group(
    "W4",
    "Heavy weights and rare rewards",
    """No context, known propensities, independent rows. A: ten arms, a reward in six rows of a hundred or more, weights
up to 2.6. B: 80 arms, a reward in one row of 200, and a logger that nearly never takes some of them. C: the same, but
the logger is milder. D: weights like B, rewards in every second row. Here everything is right except that some rows
count hundreds of times as much as others: the rows that carry the value are often not in the log at all. Then the
estimate is too low, its spread looks small, and a normal interval lies below the truth ("truth above"). The number of
rows does not tell: B has 10,000. The gamma and the Cressie-Read interval hold all the same, and the verdict says which
of the logs can be believed.""",
    [
        *(_world("A", n, 2000, 200) for n in (30, 100, 300)),
        _world("A", 1000, 2000, 200, trusted),
        _world("A", 3000, 2000, 100, trusted),
        _world("B", 10_000, 1000, 40, hopeless),
        _world("B", 100_000, 300, 0),
        _world("C", 10_000, 1000, 40),
        _world("C", 100_000, 300, 0),
        _world("D", 3000, 2000, 60),
    ],
)
