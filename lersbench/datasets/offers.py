"""The candidates of each round with their scores, streamed out of DuckDB a bounded number at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from lersbench.datasets.tables.reading import Workshop

CANDIDATES = 1 << 20  # at a time, unless one round has more
IN_ORDER = """SELECT o.round, i.rowid AS item, o.score FROM offers o JOIN items i ON i.id = o.item
ORDER BY o.round, i.rowid"""


class Offer(NamedTuple):
    """What the next rounds offer, end to end: items ascending in each round, and their scores."""

    items: np.ndarray | None  # (N,) int64; None: all items, in their order
    scores: np.ndarray  # (N,)
    edges: np.ndarray  # (n + 1,)


class ByRequest:
    """The offers of rounds that have candidates of their own, from the view `offers`."""

    def __init__(self, work: Workshop) -> None:
        self._cursor = work.db.cursor()
        self._rounds = whole_rounds(self._cursor.sql(IN_ORDER).to_arrow_reader(CANDIDATES))
        self._items, self._scores, self._edges = np.zeros(0, np.int64), np.zeros(0), np.zeros(1, np.int64)
        self._at = 0  # rounds of these that are given out

    def next(self, most: int) -> Offer:
        """What the next rounds offer, at least one and at most `most`; every round has an offer."""
        if self._at == len(self._edges) - 1:
            part = next(self._rounds)
            starts = np.flatnonzero(np.diff(part["round"], prepend=-1))
            self._edges, self._at = np.append(starts, len(part["round"])), 0
            self._items, self._scores = part["item"].astype(np.int64), part["score"].astype(np.float64)
        stop = min(self._at + most, len(self._edges) - 1)
        edges, self._at = self._edges[self._at : stop + 1], stop
        inside = slice(edges[0], edges[-1])
        return Offer(self._items[inside], self._scores[inside], edges - edges[0])


class OfAll:
    """The offers of rounds that all have all items, with the same `scores` (n_items,)."""

    def __init__(self, scores: np.ndarray) -> None:
        self._scores = scores

    def next(self, most: int) -> Offer:
        """As of `ByRequest`."""
        wide = len(self._scores)
        rounds = min(most, max(CANDIDATES // wide, 1))
        return Offer(None, np.tile(self._scores, rounds), np.arange(rounds + 1) * wide)


def whole_rounds(reader: Any) -> Iterator[dict[str, np.ndarray]]:
    """The columns of batches of rows, parted between rounds, by their column `round`."""
    left: dict[str, np.ndarray] = {}
    for batch in reader:
        columns = {name: batch.column(name).to_numpy(zero_copy_only=False) for name in batch.schema.names}
        if left:
            columns = {name: np.concatenate([left[name], values]) for name, values in columns.items()}
        end = int(np.searchsorted(columns["round"], columns["round"][-1])) if len(batch) else 0
        if end:
            yield {name: values[:end] for name, values in columns.items()}
        left = {name: values[end:].copy() for name, values in columns.items()}
    if left and len(left["round"]):
        yield left
