"""Which items are on offer at which time, where they come and go: candidates from `on_from` and `on_until`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from lersbench.errors import DataError
from lersbench.log.ragged import Ragged

ROUNDS = 1 << 16  # of a part at most: their numbers have 16 bits, which are sorted in linear time
CANDIDATES = 1 << 20  # of a part at most, unless one round has more
ALWAYS, NEVER = np.iinfo(np.int64).min, np.iinfo(np.int64).max


class Schedule:
    """When each of n items is on offer: item i where on_from[i] <= time < on_until[i].

    Args:
        on_from, on_until: (n,) datetime64, as in the items table of a log; NaT: no bound on that side. What is not in
            the table's order needs numbers of its own: `items` (n,), in which an item may have several spans that do
            not overlap.

    Raises DataError for a span that ends before it begins, and for lists of different lengths.
    """

    def __init__(self, on_from: Any, on_until: Any, items: np.ndarray | None = None) -> None:
        begin, end = _microseconds(on_from, "on_from", ALWAYS), _microseconds(on_until, "on_until", NEVER)
        if len(begin) != len(end):
            raise DataError(f"{len(begin)} on_from beside {len(end)} on_until. Fix: give both of each item")
        self._item = np.arange(len(begin)) if items is None else np.asarray(items, np.int64)
        if len(self._item) != len(begin):
            raise DataError(f"{len(self._item)} items beside {len(begin)} spans. Fix: give the item of each span")
        wrong = np.flatnonzero(end < begin)
        if len(wrong):
            row = wrong[0]
            fault = f"on_until {end[row].astype('M8[us]')} before on_from {begin[row].astype('M8[us]')}"
            raise DataError(f"row {row} of the items ({len(wrong)} such rows): {fault}. Fix: exchange or drop them")
        order = np.argsort(begin, kind="stable")
        self._item, self._begin, self._end = self._item[order], begin[order], end[order]
        self._ends = np.sort(end)

    def lengths(self, times: np.ndarray) -> np.ndarray:
        """(t,) int64: how many items are on offer at each of `times` (t,) datetime64, in any order."""
        at = _microseconds(times, "time")
        begun = np.searchsorted(self._begin, at, side="right")
        return begun - np.searchsorted(self._ends, at, side="right")

    def parts(self, times: Iterable[np.ndarray], most: int = CANDIDATES) -> Iterator[tuple[int, int, Ragged]]:
        """The candidates of rounds in the order of time: (start, stop, candidates) for the rounds start..stop - 1.

        `times` are the rounds' times in chunks, each (t,) datetime64; a part has at most `most` candidates, or those of
        one round, ascending in each round. A round at which nothing is on offer has a length of 0. O(items +
        candidates), beside sorting the items once; in memory are the items, a chunk and a part. Raises DataError where
        the time decreases, and for an empty one.
        """
        row, latest, running, begun = 0, ALWAYS, np.zeros(0, np.int64), 0
        for chunk in times:
            at = _microseconds(chunk, "time", row=row)
            _check_order(at, latest, row)
            total = np.cumsum(self.lengths(chunk))
            start = 0
            while start < len(at):
                before = total[start - 1] if start else 0
                stop = int(np.searchsorted(total, before + most, side="right"))
                stop = min(max(stop, start + 1), start + ROUNDS, len(at))
                until = int(np.searchsorted(self._begin, at[stop - 1], side="right"))
                spans = np.append(running, np.arange(begun, until))
                yield row + start, row + stop, self._candidates(at[start:stop], spans)
                latest, begun, start = at[stop - 1], until, stop
                running = spans[self._end[spans] > latest]
            row += len(at)

    def _candidates(self, at: np.ndarray, spans: np.ndarray) -> Ragged:
        """The items of `spans` at each time: each is there in one run of rounds. 16 bits are sorted in linear time."""
        spans = spans[np.argsort(self._item[spans], kind="stable")]
        first = np.searchsorted(at, self._begin[spans], side="left")
        counts = np.searchsorted(at, self._end[spans], side="left") - first
        start = np.cumsum(counts) - counts
        rounds = np.arange(counts.sum()) + np.repeat(first - start, counts)
        place = np.argsort(rounds.astype(np.uint16), kind="stable")
        return Ragged(np.repeat(self._item[spans], counts)[place], np.bincount(rounds, minlength=len(at)))


def _check_order(at: np.ndarray, latest: int, row: int) -> None:
    """Raise DataError where the times `at`, from `row` on, decrease, or begin before `latest`."""
    before = np.append(latest, at[:-1])
    back = np.flatnonzero(at < before)
    if len(back):
        fault = f"{at[back[0]].astype('M8[us]')} after {before[back[0]].astype('M8[us]')}"
        raise DataError(f"row {row + back[0]}, column time: {fault}. Fix: sort the rounds by time")


def _microseconds(values: Any, name: str, missing: int | None = None, row: int = 0) -> np.ndarray:
    """(n,) int64 since 1970; NaT is `missing`, or an error where that is None. `row` is that of the first value."""
    array = np.asarray(values)
    if array.dtype.kind != "M":
        raise DataError(f"column {name}: type {array.dtype}. Fix: give datetime64 values, without a time zone")
    empty = np.isnat(array)
    if missing is None and empty.any():
        raise DataError(f"row {row + int(empty.argmax())}, column {name}: empty. Fix: every round has a time")
    whole = array.astype("datetime64[us]").view(np.int64)
    return whole if missing is None else np.where(empty, missing, whole)
