"""How often brackets hold the truth: worlds of users and rankers, and re-rankings whose value is known in closed form.

A ranker logs lists of C items by a score with Gumbel noise; a user of a click model reads them. The log says nothing
of the ranker. Its clicks are what brackets are made of (`clicks.carry`, `engine.brackets`), and the attraction of every
item to every user, which only the world knows, gives the truth.

Brackets lean on a ranker that puts on top what is liked more. The rankers `nothing`, `item`, `user` and `user, sharply`
do, or at least do not put it below; `against item` and `against user` put it below, and there brackets fail.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lersbench.clicks.carry import Carry, carry
from lersbench.clicks.counts import count_arrays
from lersbench.clicks.fit import settled
from lersbench.clicks.model import ClickModel, cascade, expected, pbm
from lersbench.engine.brackets import (
    BUCKETS,
    HIGH_AT,
    HIGH_LIFT_SE,
    LOGGED_AT,
    LOW_LIFT_SE,
    READ,
    bucket_of,
    count_bracket,
    read_bracket,
)
from lersbench.kernels.jit import kernel

SHOWN, FILLED, ITEMS, LISTS = 8, 3, 200, 20_000  # C, K, items of the world, requests of its log
TASTE = 1.0  # standard deviation of what one user likes more or less than others, in logits
WIDTH = 1.96  # of an error, for 95 %
USERS: dict[str, ClickModel] = {
    "position-based, .85^k": pbm(0.85 ** np.arange(SHOWN)),
    "position-based, down to .2": pbm(np.linspace(1.0, 0.2, SHOWN)),
    "cascade": cascade(SHOWN),
}
RANKERS = {  # weights of an item's general appeal and of the user's own taste in the score; the noise has scale 1
    "nothing": (0.0, 0.0),
    "item": (1.0, 0.0),
    "user": (1.0, 1.0),
    "user, sharply": (3.0, 3.0),
    "against item": (-1.0, 0.0),
    "against user": (-1.0, -1.0),
}
FAIR = ("nothing", "item", "user", "user, sharply")
RERANKINGS = ("random", "item", "best", "reverse", "lower half first")


@dataclass(frozen=True)
class Logged:
    """A log and what only its world knows; rounds in rows, places from the top down in columns."""

    users: ClickModel
    items: np.ndarray  # (n, C) int64
    clicks: np.ndarray  # (n, C) 0 or 1
    appeal: np.ndarray  # (n, C) what everyone makes of each item, in logits
    attraction: np.ndarray  # (n, C) P(click | looked at)


@dataclass(frozen=True)
class Finding:
    """A bracket of the lift over the logged order, as shares, and the true lift."""

    users: str
    ranker: str
    reranking: str
    low: float
    high: float
    first: float  # as far as the errors of both ends reach
    last: float
    truth: float

    @property
    def inside(self) -> bool:
        return self.first <= self.truth <= self.last

    @property
    def miss(self) -> float:
        """By how much the truth lies outside; 0 inside."""
        return max(self.first - self.truth, self.truth - self.last, 0.0)


def findings(
    users: str, ranker: str, seed: int = 0, lists: int = LISTS, rerankings: tuple[str, ...] = RERANKINGS
) -> Iterator[Finding]:
    """The bracket and the truth of each re-ranking in one world."""
    log = logged(users, ranker, seed, lists)
    weights = carry(settled(count_arrays(log.items, log.clicks, ITEMS)))
    own = true_value(log, np.tile(np.arange(FILLED), (lists, 1)))
    for name in rerankings:
        order = reranked(log, name, np.random.default_rng([seed, 1]))
        ends = bracket(log, weights, order)
        yield Finding(users, ranker, name, *ends, true_value(log, order) / own - 1)


def logged(users: str, ranker: str, seed: int = 0, lists: int = LISTS) -> Logged:
    """A log of `lists` requests of a world of USERS and RANKERS."""
    rng = np.random.default_rng(seed)
    general = rng.normal(-2.0, 1.0, ITEMS)
    items = rng.permuted(np.tile(np.arange(ITEMS), (lists, 1)), axis=1)[:, :SHOWN]
    taste = TASTE * rng.normal(size=items.shape)
    by_item, by_user = RANKERS[ranker]
    score = by_item * general[items] + by_user * taste + rng.gumbel(size=items.shape)
    order = np.argsort(-score, axis=1)
    items, taste = (np.take_along_axis(values, order, axis=1) for values in (items, taste))
    attraction = 1 / (1 + np.exp(-general[items] - taste))
    clicks = drawn(USERS[users], attraction, rng)
    return Logged(USERS[users], np.ascontiguousarray(items), clicks, general[items], attraction)


def drawn(users: ClickModel, attraction: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The clicks (n, C) of users who read lists with these attractions (n, C) from the top down."""
    n, length = attraction.shape
    here, last, clicks = np.ones(n, bool), np.zeros(n, np.int64), np.zeros((n, length))
    for k in range(length):
        clicked = here & (rng.random(n) < users.weights[k, last] * attraction[:, k])
        clicks[clicked, k], last[clicked] = 1.0, k + 1
        here &= ~clicked | (rng.random(n) < users.goes_on[k])
    return clicks


def reranked(log: Logged, name: str, rng: np.random.Generator) -> np.ndarray:
    """The logged places (n, K) of what a re-ranking of RERANKINGS shows, from the top down."""
    n, length = log.items.shape
    if name == "reverse":
        return np.tile(np.arange(length)[::-1][:FILLED], (n, 1))
    if name == "lower half first":
        return np.tile(np.arange(length // 2, length // 2 + FILLED), (n, 1))
    score = {"random": rng.random((n, length)), "item": log.appeal, "best": log.attraction}[name]
    return np.argsort(-score, axis=1)[:, :FILLED]


def true_value(log: Logged, order: np.ndarray) -> float:
    """Expected clicks a request of what stands at the logged places `order` (n, K), by the world's own users."""
    shown = np.ascontiguousarray(np.take_along_axis(log.attraction, order, axis=1))
    return float(_true_values(log.users.weights, log.users.goes_on, shown) / len(shown))


@kernel
def _true_values(weights: np.ndarray, goes_on: np.ndarray, shown: np.ndarray) -> float:
    """The sum of the expected clicks on lists with the attractions `shown` (n, K)."""
    total, size = 0.0, shown.shape[1]
    reached, examined = np.zeros(size + 1), np.zeros(size)
    for row in range(shown.shape[0]):
        value, _ = expected(weights, goes_on, shown[row], reached, examined)
        total += value
    return total


def bracket(log: Logged, weights: Carry, order: np.ndarray) -> tuple[float, float, float, float]:
    """Both ends of the lift of a re-ranking over the logged order, lower one first, and how far their errors reach."""
    buckets, turn, out = np.zeros((BUCKETS, 4)), np.zeros(SHOWN), np.zeros(READ)
    _count(buckets, turn, weights.weights, log.clicks, np.arange(SHOWN), np.ascontiguousarray(order))
    read_bracket(buckets, turn, weights.covariance, out)
    low = buckets[:, 1].sum() / len(order) / out[LOGGED_AT] - 1
    high = out[HIGH_AT] / out[LOGGED_AT] - 1
    ends = (low, WIDTH * out[LOW_LIFT_SE]), (high, WIDTH * out[HIGH_LIFT_SE])
    reach = min(mean - half for mean, half in ends), max(mean + half for mean, half in ends)
    return min(low, high), max(low, high), *reach


@kernel
def _count(
    buckets: np.ndarray, turn: np.ndarray, weights: np.ndarray, clicks: np.ndarray, at: np.ndarray, order: np.ndarray
) -> None:
    for row in range(order.shape[0]):
        count_bracket(buckets, turn, weights, bucket_of(-1, row), clicks[row], at, at, order[row])
