"""What a log of ranked lists comes to for a click model: counts of displays and clicks by item and cell.

A cell is a position and the position of the last click above it. The log is read once, in bounded chunks; a fit to
counts costs the same however long the log was.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from lersbench.errors import ConfigError, DataError, RunError, Unfit
from lersbench.kernels.jit import kernel
from lersbench.log import Log
from lersbench.log.chunk import Chunk
from lersbench.log.parts import parts_of
from lersbench.system.elsewhere import Executor
from lersbench.system.workers import Step, Task


class Counts(NamedTuple):
    """What a click log comes to. A cell (position k, last click above at column j) has number k (k + 1) / 2 + j.

    L is the length of the longest list; of a shorter one the positions beyond its end are no displays.
    """

    displays: np.ndarray  # (n_items, L (L + 1) / 2) int64
    clicks: np.ndarray  # (n_items, L (L + 1) / 2) int64
    last: np.ndarray  # (L + 1,) int64 records by their last click: column 0 none, column k position k (1-based)
    unseen: np.ndarray  # (2, L) int64 displays not examined, in all records and in those with a click; or (2, 0)
    slates: np.ndarray  # (n, L) int32 the items of each record where all have a click, -1 beyond its end; or (0, L)
    first: np.ndarray  # (n,) int64 position of the first click of those records
    ends: np.ndarray  # (2,) int64 displays in records with a click, and those of them below the last one
    filtered: bool | None = False  # whether clickless records were removed; None where that is left to be settled
    why: str = ""  # how that is known, in words, where every record has a click

    @property
    def length(self) -> int:
        return len(self.last) - 1

    @property
    def records(self) -> int:
        return int(self.last.sum())

    @property
    def lists_with(self) -> np.ndarray:
        """How many lists have each position, (L,)."""
        return by_position(self.displays)


def by_position(cells: np.ndarray) -> np.ndarray:
    """Sums (L,) over items and last clicks of counts (n_items, cells)."""
    total = cells.sum(axis=0)
    length = int((2 * len(total)) ** 0.5)
    return np.add.reduceat(total, np.arange(length) * np.arange(1, length + 1) // 2)


@kernel
def _add(
    items: np.ndarray, clicked: np.ndarray, displays: np.ndarray, clicks: np.ndarray, last: np.ndarray,
    first: np.ndarray, ends: np.ndarray,
) -> None:  # fmt: skip
    """Count n records, `items` (n, L) with -1 beyond their ends: `displays`, `clicks`, `last` and `ends` grow, `first`
    (n,) is filled."""
    n, length = items.shape
    for t in range(n):
        column, size = 0, 0
        first[t] = length
        for k in range(length):
            item = items[t, k]
            if item < 0:
                break
            size += 1
            cell = k * (k + 1) // 2 + column
            displays[item, cell] += 1
            if clicked[t, k] > 0.0:
                clicks[item, cell] += 1
                first[t] = min(first[t], k)
                column = k + 1
        last[column] += 1
        if column > 0:
            ends[0] += size
            ends[1] += size - column


class _Counting:
    """Counts that grow by chunks; lists are kept only as long as every record has a click, or where asked to."""

    def __init__(self, n_items: int, length: int, filtered: bool | None, examined: bool) -> None:
        cells = length * (length + 1) // 2
        self.displays, self.clicks = np.zeros((n_items, cells), np.int64), np.zeros((n_items, cells), np.int64)
        self.last, self.ends = np.zeros(length + 1, np.int64), np.zeros(2, np.int64)
        self.unseen = np.zeros((2, length if examined else 0), np.int64)
        self.lists: list[tuple[np.ndarray, np.ndarray]] = []
        self.filtered = filtered

    def add(self, items: np.ndarray, clicked: np.ndarray, examined: np.ndarray) -> None:
        """Count records: `items` (n, L), -1 beyond the end of a list, `clicked` and `examined` (n, L) 0 or 1."""
        first = np.empty(len(items), np.int64)
        _add(items, clicked, self.displays, self.clicks, self.last, first, self.ends)
        if self.unseen.shape[1]:
            missed = (examined == 0) & (items >= 0)
            self.unseen += np.stack([missed.sum(axis=0), missed[clicked.any(axis=1)].sum(axis=0)])
        if self.filtered is False or self.last[0]:
            self.lists = []
        else:
            self.lists.append((items.astype(np.int32), first))

    def merge(self, later: _Counting) -> None:
        """Add the counts of later records."""
        for name in ("displays", "clicks", "last", "ends", "unseen"):
            getattr(self, name)[...] += getattr(later, name)
        self.lists = [] if self.filtered is False or self.last[0] else [*self.lists, *later.lists]

    def counts(self, where: str, why: str = "as asked") -> Counts:
        if self.filtered and self.last[0]:
            some = f"{self.last[0]:,} of its {self.last.sum():,} records have no click"
            raise ConfigError(f"{where}: {why}, clickless records were removed, but {some}")
        if not self.last.sum():
            raise DataError(f"{where}: there are no records to fit a click model on. Fix: give other rows")
        if not self.clicks.any():
            raise DataError(f"{where}: no record has a click, so no click model can be fitted. Fix: give other rows")
        length = len(self.last) - 1
        slates = np.concatenate([s for s, _ in self.lists]) if self.lists else np.empty((0, length), np.int32)
        first = np.concatenate([f for _, f in self.lists]) if self.lists else np.empty(0, np.int64)
        filtered, known = (False, "") if self.last[0] else (self.filtered, why if self.filtered is not None else "")
        return Counts(self.displays, self.clicks, self.last, self.unseen, slates, first, self.ends, filtered, known)


def count(
    log: Log,
    start: int = 0,
    stop: int | None = None,
    filtered: bool | None = None,
    but: tuple[int, int] | None = None,
    pool: Executor | None = None,
) -> Counts:
    """Read rows `start` to `stop` (default: to the end) of a log of ranked lists, once, in bounded chunks.

    With a `pool` parts of the log are read by its workers, side by side: whole numbers, so the counts are the same.

    `filtered`: whether records without a click were removed from the log; None asks the provenance of its log.json for
    `filtered`, true or false, and leaves it to `fit.settled` where that says nothing. The lists themselves are
    kept (4 bytes a position) as long as every record has a click and they may be needed for it. `but` = (f, n) leaves
    out every n-th row, from row f on. Raises a ConfigError for a log without slates and clicks, for rows outside the
    log, and where a record has no click although it is said that those were removed; a DataError where no click is
    there at all, and as `Log.read` does.
    """
    info = log.info
    if not {"slate", "clicks"} <= set(info.columns):
        fault = f"a click model is fitted to what was shown and clicked, but its columns are {', '.join(info.columns)}"
        raise ConfigError(
            f"{log.path}: {fault}. Give a log with slate and clicks; `lersbench import impressions` makes one"
        )
    stop = info.rounds if stop is None else stop
    if not 0 <= start < stop <= info.rounds:
        raise ConfigError(f"{log.path}: rows {start} to {stop} are asked for, but the log has rows 0 to {info.rounds}")
    why, declared = "as asked", info.provenance.get("filtered")
    if filtered is None and isinstance(declared, bool):
        why, filtered = "as the provenance in its log.json says", declared
    parts = [(start, stop)] if pool is None else parts_of(log, start, stop)
    tasks = {
        str(n): Task(_count_part, (log.address, log.identity, *part, filtered, but)) for n, part in enumerate(parts)
    }
    counting = _counted(log, start, stop, filtered, but) if pool is None else _merged(tasks, pool)
    return counting.counts(log.path, why)


def _counted(log: Log, start: int, stop: int, filtered: bool | None, but: tuple[int, int] | None) -> _Counting:
    counting = _Counting(log.info.items, log.info.L, filtered, "examined" in log.info.columns)
    for at, items, clicks, examined in _records(log, start, stop):
        kept = np.ones(len(at), bool) if but is None else at % but[1] != but[0]
        counting.add(items[kept], clicks[kept], examined[kept])
    return counting


def _count_part(
    address: str, identity: str, start: int, stop: int, filtered: bool | None, but: Any, step: Step
) -> _Counting:
    """The counts of a part, in any process that reaches the log. Raises Unfit where this one does not."""
    try:
        log = Log(address)
        same = log.identity == identity
    except (ConfigError, DataError) as error:
        raise Unfit(f"the log cannot be read there: {error}") from error
    if not same:
        raise Unfit(f"the log at {address} is another one there.")
    counting = _counted(log, start, stop, filtered, but)
    step(stop - start)
    return counting


def _merged(tasks: dict[str, Task], pool: Executor) -> _Counting:
    """The counts of all parts, in their order. Raises RunError where one fails."""
    found: dict[str, _Counting] = {}
    for key, counting, problem in pool.outcomes(tasks):
        if problem:
            raise RunError(problem)
        found[key] = counting
    first, *later = (found[key] for key in tasks)
    for counting in later:
        first.merge(counting)
    return first


def _records(log: Log, start: int, stop: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Rows `start` to `stop` of a log, some at a time: their numbers (n,), the items in each position, their clicks,
    and whether they were examined, (n, L); the last is (n, 0) where the log does not know. Items are -1 beyond the end
    of a list."""
    for chunk in log.read(columns=("slate", "clicks", "candidates", "examined"), start=start, stop=stop):
        n = len(chunk.user)
        rows = slice(max(start - chunk.start, 0), max(min(stop - chunk.start, n), 0))
        if rows.start < rows.stop:
            items, clicks = chunk.shown(), _in_positions(chunk, chunk.clicks, log.info.L, 0.0)
            examined = np.empty((n, 0))
            if chunk.examined.size:
                examined = _in_positions(chunk, chunk.examined, log.info.L, 0.0)
            items = _in_positions(chunk, items, log.info.L, -1)
            yield chunk.start + np.arange(rows.start, rows.stop), items[rows], clicks[rows], examined[rows]
        if chunk.start + n >= stop:
            break


def _in_positions(chunk: Chunk, values: np.ndarray, length: int, beyond: float) -> np.ndarray:
    """What slates have a value for as (n, L), `beyond` where a slate has no such position."""
    if chunk.top is None:
        return values
    out = np.full((len(chunk.user), length), beyond, values.dtype)
    out[np.arange(length) < np.diff(chunk.top)[:, None]] = values
    return out


def lists(log: Log, start: int, stop: int, part: tuple[int, int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Items and clicks, both (n, L), of every n-th of the rows `start` to `stop`, from row f on: `part` = (f, n).

    Items are -1 beyond the end of a list.
    """
    for at, items, clicks, _ in _records(log, start, stop):
        kept = at % part[1] == part[0]
        yield items[kept], clicks[kept]


def count_arrays(slate: np.ndarray, clicks: np.ndarray, n_items: int, filtered: bool | None = None) -> Counts:
    """The counts of records in memory: `slate` (n, L) items 0..n_items-1, `clicks` (n, L) 0 or 1; as `count`."""
    shown = np.ascontiguousarray(slate, np.int64)
    clicked = np.ascontiguousarray(clicks, np.float64)
    if shown.ndim != 2 or shown.shape != clicked.shape or not shown.shape[1]:
        raise ConfigError(f"slate and clicks are both (n, L), L >= 1; not {shown.shape} and {clicked.shape}")
    if shown.size and not (shown.min() >= 0 and shown.max() < n_items):
        raise DataError(f"slate holds items {shown.min()} to {shown.max()}, but there are items 0 to {n_items - 1}")
    counting = _Counting(n_items, shown.shape[1], filtered, False)
    counting.add(shown, clicked, np.empty((len(shown), 0)))
    return counting.counts("the records given")
