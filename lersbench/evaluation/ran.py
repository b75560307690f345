"""What the logging policy earned on the rows that are evaluated: the value that others are compared with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lersbench.evaluation.logged import Logged, Source
from lersbench.evaluation.model import logged_items
from lersbench.log.names import item_ids
from lersbench.offpolicy import slices
from lersbench.offpolicy.intervals import Interval, cluster_error, normal
from lersbench.offpolicy.slices import Slice
from lersbench.offpolicy.sums import BUCKETS


@dataclass(frozen=True)
class Ran:
    earned: np.ndarray  # (G,) by bucket
    counts: np.ndarray  # (G,) int64 rounds by bucket
    users: int
    least: float  # the smallest propensity of a position
    items: list[Slice]  # the mean weight of a sure choice of each item, of logs of single items: it must be 1

    @classmethod
    def of(cls, source: Source, places: int | None = None) -> Ran:
        """One pass over the rows; `places`: only so many of each list count."""
        running = Running(source)
        for logged in source.read():
            running.take(logged, places)
        return running.ran(source)

    @property
    def n(self) -> int:
        return int(self.counts.sum())

    @property
    def value(self) -> float:
        return float(self.earned.sum()) / self.n

    @property
    def psi(self) -> np.ndarray:
        """(G,) its influences by bucket."""
        return self.earned - self.value * self.counts

    def interval(self, level: float) -> Interval:
        error, groups = cluster_error(self.psi, self.counts)
        return normal(self.value, float(error), groups, level)


class Running:
    """What is added up for `Ran` while rows stream by."""

    def __init__(self, source: Source) -> None:
        info = source.log.info
        self.earned, self.counts = np.zeros(BUCKETS), np.zeros(BUCKETS, np.int64)
        self.least, self.users = np.inf, _Distinct() if source.by_user else None
        single = info.L == 1 and info.propensities != "none"
        self.by_item = slices.new_items(info.items) if single else None

    def take(self, logged: Logged, places: int | None = None) -> None:
        counted = logged.reward if places is None else logged.reward * (logged.place < places)
        self.earned += np.bincount(logged.bucket[logged.row], counted, BUCKETS)
        self.counts += np.bincount(logged.bucket, minlength=BUCKETS)
        given = next((p for p in (logged.whole, logged.marginal) if p.size), np.ones(1))
        self.least = min(self.least, float(given.min()))
        if self.users is not None:
            self.users.add(logged.key)
        if self.by_item is not None:
            _add_items(self.by_item, logged)

    def merge(self, later: Running) -> None:
        """Add what was added up of later rows."""
        self.earned += later.earned
        self.counts += later.counts
        self.least = min(self.least, later.least)
        if self.users is not None and later.users is not None:
            self.users.merge(later.users)
        if self.by_item is not None and later.by_item is not None:
            self.by_item = slices.merge_items(self.by_item, later.by_item)

    def ran(self, source: Source) -> Ran:
        names = [f"item {name}" for name in item_ids(source.log)] if self.by_item is not None else []
        items = slices.by_item(self.by_item, names) if self.by_item is not None else []
        return Ran(self.earned, self.counts, self.users.total if self.users else 0, self.least, items)


def _add_items(by_item: slices.Items, logged: Logged) -> None:
    rows, inside = logged.rows, logged.inside
    offered = None if not rows.own else rows.candidates[rows.first[inside[0]] : rows.first[inside[-1] + 1]]
    slices.add_items(by_item, logged_items(logged), logged.prefix, offered)


class _Distinct:
    """Counts distinct users by a bit each."""

    def __init__(self) -> None:
        self.seen = np.zeros(1024, bool)

    def add(self, users: np.ndarray) -> None:
        most = int(users.max(initial=0))
        if most >= len(self.seen):
            self.seen = np.concatenate([self.seen, np.zeros(most + 1, bool)])
        self.seen[users] = True

    def merge(self, other: _Distinct) -> None:
        small, large = sorted((self.seen, other.seen), key=len)
        self.seen = large.copy()
        self.seen[: len(small)] |= small

    @property
    def total(self) -> int:
        return int(self.seen.sum())
