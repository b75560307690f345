"""Two runs of one scenario against each other: what was changed, and which values moved by more than chance moves them.

The test: of two means with standard errors s1 and s2, known with df1 and df2 degrees of freedom, the difference has the
standard error sqrt(s1^2 + s2^2), and its ratio to that is held against Student's t with the degrees of freedom of Welch
and Satterthwaite (Welch 1947, Biometrika 34). The tests of all values together are wrong with 5 % at most (Holm 1979,
Scandinavian Journal of Statistics 6). The runs are taken as independent: where equal seeds played equal rounds the true
error of the difference is smaller, so what is said to have moved has moved all the more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.distributions import LEVEL, t_beyond
from lersbench.results.numbers import MISSING
from lersbench.results.statistics import ROUNDING, Interval, around

MOVED, ALONE, CHANCE, SAME, UNKNOWN = "moved", "moved, if tested alone", "no more than chance", "the same", "not known"
ENTRIES = "policies"  # the group of facts that has every entry
OF_ENTRIES = (ENTRIES, "code", "files")  # groups whose facts are called as entries are
Facts = Mapping[str, Mapping[str, str]]  # group, such as "data": what: how it was, in words


class Value(NamedTuple):
    """The mean of a contender with the variance of that mean; 0 where nothing is drawn, NaN where nothing tells it."""

    mean: float
    variance: float
    df: float  # degrees of freedom that the variance is known with
    stored: str = ""  # names what it was made from: equal names, equal numbers


@dataclass(frozen=True)
class Values:
    """What two runs are compared by: the values of all contenders, and how they are shown."""

    title: str  # "Misses, in %"
    times: float  # what a value is multiplied with to be shown
    of: Mapping[tuple[str, str], Value]  # by case and contender, in words; "" for the only case


class Change(NamedTuple):
    """A fact that differs; MISSING stands for a run that does not tell it."""

    group: str
    what: str
    before: str
    after: str


class Move(NamedTuple):
    """A contender of both runs: after less before, with its interval by itself, and what the test says."""

    case: str
    name: str
    before: Value
    after: Value
    difference: Interval
    verdict: str


@dataclass(frozen=True)
class Comparison:
    """What two runs of a scenario come to beside each other; `new` and `gone` are contenders of one of them alone."""

    title: str
    times: float
    changes: Sequence[Change]
    moves: Sequence[Move]
    new: Sequence[str]
    gone: Sequence[str]

    def judged(self, verdict: str) -> list[Move]:
        return [move for move in self.moves if move.verdict == verdict]

    @property
    def other_data(self) -> bool:
        """Do the runs replay different data? Intervals over seeds do not cover what that changes."""
        return any(change.group == "data" for change in self.changes)


def compare(before: tuple[Facts, Values], after: tuple[Facts, Values]) -> Comparison:
    """Two runs, each by its facts and its values of the same title."""
    (old_facts, old), (new_facts, new) = before, after
    both = [place for place in new.of if place in old.of]
    return Comparison(
        new.title,
        new.times,
        changes(old_facts, new_facts),
        moves([(*place, old.of[place], new.of[place]) for place in both]),
        [_named(place) for place in new.of if place not in old.of],
        [_named(place) for place in old.of if place not in new.of],
    )


def changes(before: Facts, after: Facts) -> list[Change]:
    """The facts that differ, group by group; those of a contender that only one run has say nothing more than that."""
    single = before.get(ENTRIES, {}).keys() ^ after.get(ENTRIES, {}).keys()
    found = []
    for group in dict.fromkeys([*before, *after]):
        old, new = before.get(group, {}), after.get(group, {})
        for what in dict.fromkeys([*old, *new]):
            one = Change(group, what, old.get(what, MISSING), new.get(what, MISSING))
            told = group in OF_ENTRIES and what in single
            found += [one] if one.before != one.after and not told else []
    return found


def moves(pairs: Sequence[tuple[str, str, Value, Value]]) -> list[Move]:
    """The move of each pair (case, name, before, after), those that moved first, else in their order."""
    chances = np.array([_chance(before, after) for _, _, before, after in pairs])
    at_once = holm(chances)
    found = [
        Move(*pair, _difference(*pair[2:]), _verdict(*pair[2:], chance, together))
        for pair, chance, together in zip(pairs, chances, at_once, strict=True)
    ]
    order = [MOVED, ALONE, CHANCE, UNKNOWN, SAME]
    return sorted(found, key=lambda move: order.index(move.verdict))


def holm(chances: np.ndarray) -> np.ndarray:
    """p-values (n,) as those of n tests at once, by Holm's method; NaN stays NaN and counts as no test."""
    adjusted = np.full(len(chances), np.nan)
    tested = np.flatnonzero(~np.isnan(chances))
    order = tested[np.argsort(chances[tested], kind="stable")]
    times = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(chances[order] * times)) if len(order) else []
    return adjusted


def _error(before: Value, after: Value) -> tuple[float, float]:
    """The variance of the difference of two independent means, and its degrees of freedom."""
    variance = before.variance + after.variance
    if not variance > 0:
        return variance, math.inf
    doubt = sum(one.variance**2 / one.df for one in (before, after) if one.variance > 0)
    return variance, variance**2 / doubt if doubt else math.inf


def _chance(before: Value, after: Value) -> float:
    """The p-value of no move; NaN where that is no question of chance, or cannot be told."""
    variance, df = _error(before, after)
    if _is_same(before, after) or not variance > 0:
        return math.nan
    return float(t_beyond((after.mean - before.mean) / math.sqrt(variance), df))


def _difference(before: Value, after: Value) -> Interval:
    return around(after.mean - before.mean, *_error(before, after))


def _verdict(before: Value, after: Value, chance: float, together: float) -> str:
    if _is_same(before, after):
        return SAME
    variance, _ = _error(before, after)
    if variance == 0:  # nothing is drawn: any difference is one of code, data or settings
        return MOVED if math.isfinite(after.mean - before.mean) else UNKNOWN
    if math.isnan(chance):
        return UNKNOWN
    return MOVED if together <= 1 - LEVEL else ALONE if chance <= 1 - LEVEL else CHANCE


def _is_same(before: Value, after: Value) -> bool:
    """Is it made from the same, or equal but for rounding?"""
    made = bool(before.stored) and before.stored == after.stored
    return made or abs(after.mean - before.mean) <= ROUNDING * abs(before.mean)


def _named(place: tuple[str, str]) -> str:
    case, name = place
    return f"{name} ({case})" if case else name
