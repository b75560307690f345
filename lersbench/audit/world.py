"""What the audit is made of: worlds of known truth, the answers of one run, and what must be true of many."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

GAMMA, CR, NORMAL, SHOWN = "gamma", "cr", "normal", "as shown"  # intervals
SURE = ("bernstein", "betting", "anytime")  # those that promise their level for every n
LEVEL = 0.95


class Answer(NamedTuple):
    """One estimate of one run, with one interval."""

    estimator: str
    interval: str
    value: float
    low: float
    high: float
    truth: float
    doubts: np.ndarray  # (T,) the diagnostics in the order of THRESHOLDS, the worst of the places
    most: int = 0  # the best level, 0 for "believe", that other facts allow; -1: there is no verdict


class Line(NamedTuple):
    """Many runs of one estimate: a line of a world's table."""

    estimator: str
    interval: str
    runs: int
    truth: float  # its mean over the runs
    error: float  # mean error
    margin: float  # 3 sd / sqrt(runs): an unbiased estimate strays farther in one audit of 370
    rmse: float
    relative: float  # mean of |error| / truth
    coverage: float
    above: float  # share of runs in which the truth lies above the interval
    below: float
    width: float  # mean
    verdicts: tuple[float, float, float]  # shares of believe, caution, do not believe; NaN: no verdict
    believed: float  # coverage where the verdict is "believe"; NaN where it never is

    @property
    def sd(self) -> float:
        return self.margin / 3 * math.sqrt(self.runs)

    def noise(self, share: float = LEVEL, runs: float | None = None) -> float:
        """The Monte-Carlo error of a share of the runs."""
        return math.sqrt(share * (1 - share) / max(1.0, self.runs if runs is None else runs))


class Check(NamedTuple):
    """One thing that must be true, and whether it is."""

    what: str
    passed: bool
    measured: str


Lines = Mapping[tuple[str, str], Line]  # by estimator and interval


@dataclass(frozen=True)
class World:
    """A log that can be drawn again and again, with a truth that is known."""

    name: str  # W4 B, 10,000 rows
    group: str  # W4: worlds of one section
    runs: int
    quick: int  # runs of a quick audit
    play: Callable[[np.random.Generator], list[Answer]]  # one run
    unbiased: tuple[str, ...] = ()  # estimators whose mean error must be 0
    nearly: tuple[str, ...] = ()  # self-normalised ones: of order 1 / n, so small beside their spread
    sound: tuple[str, ...] = ()  # estimators whose intervals must cover
    more: Callable[[Lines], list[Check]] = lambda lines: []  # what this world alone must show
    note: str = ""  # what is to be known of it

    def one(self, seed: int, run: int) -> list[Answer]:
        """Run number `run`: the same whoever plays it, and when."""
        return self.play(np.random.default_rng([seed, zlib.crc32(self.name.encode()), run]))


class Fixed(NamedTuple):
    """What is looked at once, without runs: tables in Markdown, each with a heading, and checks."""

    tables: Sequence[tuple[str, str]]
    checks: Sequence[Check]


class Group(NamedTuple):
    """Worlds that show one thing, and what that is in words."""

    name: str
    title: str
    about: str  # what the worlds are, above their tables
    worlds: Sequence[World] = ()
    fixed: Callable[[], Fixed] | None = None
