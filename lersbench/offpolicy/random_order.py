"""Are lists in uniformly random order? Then an item stands as often at one place as at any other.

Two statistics: of items that were shown often the shares of each place (Pearson 1900, the chi-squared), and of all that
were shown `SEEN` times the sum of squares of their mean places in standard errors (as Durbin 1951, British Journal of
Psychology 4, does with ranks in incomplete blocks), which sees a ranker where no item was shown often.

Items of one list exclude each other: with l of them the covariance of their counts is at most l / (l - 1) times what it
would be, were they independent. So X is held against f times a chi-squared of df / f degrees of freedom, f the largest
l / (l - 1): it has the mean of X, and no less variance.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lersbench.distributions import gamma_within

OFTEN = 5  # lists a place, from which on the shares of each place are looked at
SEEN = 10  # lists, from which on a mean place is
LIMIT = 1e-6  # a p below it: no random order


class Found(NamedTuple):
    """What a test says: its p, and the item that is furthest from random order by it."""

    p: float
    item: int = -1
    place: float = 0.0  # its mean place in its lists, 1 on top
    due: float = 0.0  # what that would be in random order
    lists: int = 0  # that showed it


class Places:
    """How often each item stood at each place, by the length of the list."""

    def __init__(self, items: int, positions: int) -> None:
        self.items, self.positions = items, positions
        self._keys, self._counts = np.empty(0, np.int64), np.empty(0, np.int64)

    def add(self, item: np.ndarray, lengths: np.ndarray) -> None:
        """Lists end to end: `item` (S,) from the top down, `lengths` (n,) of the lists, of which S is the sum."""
        edges = np.cumsum(lengths) - lengths
        place = np.arange(len(item)) - np.repeat(edges, lengths)
        keys = (np.repeat(lengths, lengths) * self.items + item) * self.positions + place
        several = np.repeat(lengths, lengths) > 1
        keys, counts = np.unique(keys[several], return_counts=True)
        both, where = np.unique(np.concatenate([self._keys, keys]), return_inverse=True)
        added = np.zeros(len(both), np.int64)
        np.add.at(added, where, np.concatenate([self._counts, counts]))
        self._keys, self._counts = both, added

    def test(self) -> Found:
        """The smaller p of both tests, doubled; 1 where no item was shown often enough."""
        groups, place = np.divmod(self._keys, self.positions)
        length, item = np.divmod(groups, self.items)
        if not len(item):
            return Found(1.0)
        found = min((_shares(groups, length, self._counts), _means(item, length, place, self._counts)))
        if found[1] < 0:
            return Found(1.0)
        worst = item == (found[1] if found[2] else item[groups == found[1]][0])
        lists = int(self._counts[worst].sum())
        at, due = (float(self._counts[worst] @ x[worst]) / lists for x in (place + 1.0, (length + 1) / 2))
        return Found(float(min(1.0, 2 * found[0])), int(item[worst][0]), at, due, lists)


def _shares(groups: np.ndarray, length: np.ndarray, counts: np.ndarray) -> tuple[float, int, bool]:
    """p, and the group (an item in lists of a length) whose shares of places are furthest from equal; -1 for none."""
    names, first, where = np.unique(groups, return_index=True, return_inverse=True)
    lists, wide = np.bincount(where, counts), length[first]
    squares = np.bincount(where, counts.astype(np.float64) ** 2) * wide / lists - lists
    often = lists >= OFTEN * wide
    if not often.any():
        return 1.0, -1, False
    p = _beyond(squares[often].sum(), (wide[often] - 1).sum(), wide[often].min())
    return p, int(names[often][np.argmax(squares[often] / (wide[often] - 1))]), False


def _means(item: np.ndarray, length: np.ndarray, place: np.ndarray, counts: np.ndarray) -> tuple[float, int, bool]:
    """p, and the item whose mean place is furthest from the middle, in standard errors; -1 for none."""
    names, where = np.unique(item, return_inverse=True)
    off = np.bincount(where, counts * (place - (length - 1) / 2))
    variance = np.bincount(where, counts * (length**2 - 1) / 12)
    seen = np.bincount(where, counts) >= SEEN
    if not seen.any():
        return 1.0, -1, True
    squares = off[seen] ** 2 / variance[seen]
    p = _beyond(squares.sum(), int(seen.sum()), length[seen[where]].min())
    return p, int(names[seen][np.argmax(squares)]), True


def _beyond(x: float, df: int, shortest: int) -> float:
    """P(X > x) of f times a chi-squared of df / f degrees of freedom, f = l / (l - 1) of the shortest list."""
    wider = shortest / (shortest - 1)
    return 1.0 - gamma_within(df / wider / 2, float(x) / wider / 2)
