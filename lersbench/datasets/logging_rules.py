"""Logging policies that are known by a rule: what their scores make of the probabilities of what was shown.

A rule turns the scores of a round's candidates into log-weights, the logits of its whole logging distribution, of which
the propensities follow. Nothing is estimated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from lersbench.errors import ConfigError, did_you_mean
from lersbench.offpolicy.propensity import SPREAD, choices

CLAIMS = ("logged", "uniform", "estimated")
EPSILON, SOFTMAX, PLACKETT_LUCE = RULES = ("epsilon", "softmax", "plackett-luce")
TAKEN = "logged, uniform, estimated, or a rule: epsilon=0.1, softmax=1, plackett-luce=1"


class Rule(NamedTuple):
    """A rule and its number: the share of random choices of epsilon, the temperature of the other two."""

    name: str
    number: float

    @property
    def of_one(self) -> bool:
        """Is it a rule of rounds that show one item?"""
        return self.name != PLACKETT_LUCE

    @property
    def facts(self) -> dict[str, str | float]:
        return {"rule": self.name, "epsilon" if self.name == EPSILON else "temperature": self.number}


def rule_of(said: str | None) -> Rule | None:
    """The rule in what is said of propensities; None where it is one of CLAIMS, or nothing. Raises ConfigError."""
    if said is None or said in CLAIMS:
        return None
    name, _, text = said.partition("=")
    if name not in RULES:
        raise ConfigError(f"propensities = {said!r} is none of {TAKEN}{did_you_mean(said, [*CLAIMS, *RULES])}")
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0.0 < number < math.inf or (name == EPSILON and number > 1.0):
        due = "a share above 0 and at most 1, as 0.1" if name == EPSILON else "a temperature above 0, as 1"
        never = "; without any random choice no other policy can be judged" if number == 0.0 else ""
        raise ConfigError(f"propensities = {said!r}: {name} takes {due}{never}.")
    return Rule(name, number)


def log_weights(rule: Rule, scores: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """(N,) the log-weights of the candidates of n rounds, whose `scores` (N,) lie end to end from `edges` (n + 1,) on.

    softmax, plackett-luce: score / temperature. epsilon: the log of epsilon / C + (1 - epsilon) 1[top score], equal top
    scores sharing alike.
    """
    if rule.name != EPSILON:
        return scores / rule.number
    wide, starts = np.diff(edges), edges[:-1]
    top = scores == np.repeat(np.maximum.reduceat(scores, starts), wide)
    tied = np.add.reduceat(top.astype(np.int64), starts)
    return np.log(np.repeat(rule.number / wide, wide) + top * np.repeat((1.0 - rule.number) / tied, wide))


def too_far(weights: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """(m,) the rounds whose log-weights (N,) are so far apart that the least of them has no probability."""
    spread = np.maximum.reduceat(weights, edges[:-1]) - np.minimum.reduceat(weights, edges[:-1])
    return np.flatnonzero(spread > SPREAD)


def propensities(weights: np.ndarray, edges: np.ndarray, slate: np.ndarray, tops: np.ndarray) -> np.ndarray:
    """(S,) P(each item was chosen | those above it), of log-weights (N,) from `edges` (n + 1,) on.

    `slate` (S,) are the indices of what was shown into the candidates of its round, from `tops` (n + 1,) on.
    """
    out = np.empty(len(slate))
    for wide, long, rounds in _alike(np.diff(edges), np.diff(tops)):
        shown = tops[rounds][:, None] + np.arange(long)
        out[shown] = choices(weights[edges[rounds][:, None] + np.arange(wide)], slate[shown])
    return out


def _alike(wide: np.ndarray, long: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
    """Rounds with equally many candidates and positions: how many of each, and which rounds."""
    both, group = np.unique(np.stack([wide, long], axis=1), axis=0, return_inverse=True)
    for at, (candidates, positions) in enumerate(both.tolist()):
        yield candidates, positions, np.flatnonzero(group.reshape(-1) == at)
