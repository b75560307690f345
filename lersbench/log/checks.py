"""What can be wrong with the rounds of a log, and how it is said to a stranger.

`Report` collects problems by kind: how often, the first rows, and the fix. `Checks` looks at blocks of
decoded columns; a block without a fault costs one cheap reduction a column, and only a block with one
is searched for its rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lersbench.errors import DataError
from lersbench.kernels.jit import kernel
from lersbench.log.schema import UNIFORM_TOLERANCE, LogInfo

EXAMPLES = 3  # offending rows quoted for each kind of problem

UNKNOWN_CANDIDATE, DUPLICATE_CANDIDATE, UNKNOWN_SLATE, NOT_OFFERED, DUPLICATE_SLATE = 1, 2, 4, 8, 16
SHOWN = -2  # mark of an item that stands higher up in the slate

FAULTS = {  # flag -> (column, what is wrong, fix)
    UNKNOWN_CANDIDATE: ("candidates", "unknown item", "items are numbered 0..items-1, as in items.parquet"),
    DUPLICATE_CANDIDATE: ("candidates", "duplicate candidate", "offer every item at most once in a round"),
    UNKNOWN_SLATE: ("slate", "unknown item", "items are numbered 0..items-1, as in items.parquet"),
    NOT_OFFERED: ("slate", "slate item not among the candidates", "add the item to the candidates of its round"),
    DUPLICATE_SLATE: ("slate", "duplicate slate item", "show every item at most once in a slate"),
}


@dataclass
class Problem:
    """One kind of problem in one column of one file, with the number of its rows and the first of them."""

    file: str
    column: str
    kind: str
    fix: str
    count: int = 0
    rows: list[int] = field(default_factory=list)  # the first offending rows, 0-based in the log
    values: list[Any] = field(default_factory=list)  # what stands there

    def __str__(self) -> str:
        if not self.file:
            return self.kind
        where = f"{self.file}, column {self.column}" if self.column else self.file
        text = f"{where}: {self.kind}"
        if self.rows:
            first = ", ".join(f"row {r} (value {v})" for r, v in zip(self.rows, self.values, strict=True))
            text += f" in {self.count} row{'s' if self.count > 1 else ''}; first: {first}"
        return f"{text}. Fix: {self.fix}." if self.fix else text


class Report:
    """The problems found so far in the log at `path`; `ok` when there are none."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.rounds = 0  # rows looked at
        self._problems: dict[tuple[str, str, str], Problem] = {}

    @property
    def ok(self) -> bool:
        return not self._problems

    @property
    def problems(self) -> list[Problem]:
        return list(self._problems.values())

    def add(
        self,
        file: str,
        column: str,
        kind: str,
        fix: str,
        rows: Iterable[int] = (),
        values: Iterable[Any] = (),
        count: int | None = None,
    ) -> None:
        """Count a problem; `rows` and `values` need to hold the first few only, `count` the number of rows."""
        rows, values = list(rows), list(values)
        problem = self._problems.setdefault((file, column, kind), Problem(file, column, kind, fix))
        problem.count += len(rows) if count is None else count
        room = EXAMPLES - len(problem.rows)
        problem.rows += [int(r) for r in rows[:room]]
        problem.values += values[:room]

    def broken(self, error: DataError) -> None:
        """Note an error after which the log could not be read any further."""
        for line in str(error).splitlines():
            self._problems.setdefault(("", "", line), Problem("", "", line, "", count=1))

    def raise_if_any(self) -> None:
        """Raise the problems found so far as one DataError."""
        if not self.ok:
            raise DataError("\n".join(map(str, self.problems)))

    def __str__(self) -> str:
        if self.ok:
            return f"{self.path}: {self.rounds:,} rounds, no problems"
        kinds = len(self._problems)
        lines = [f"{self.path}: {kinds} kind{'s' if kinds > 1 else ''} of problem in {self.rounds:,} rounds read"]
        return "\n".join(lines + [f"  {problem}" for problem in self.problems])


@kernel
def place_slates(candidates, slate, place, faults):
    """Turn slates of items into slates of indices into the candidates, and flag what is wrong with them.

    candidates (n, C) int64 items, or (0, C) where every round offers the items 0..C-1 in order; slate (n, L)
    int64 items, overwritten in place; place (n_items,) int64 scratch, -1 everywhere before and after;
    faults (n,) int64, the flags above are or-ed into it. One visit of every candidate, whatever L is.
    """
    n_items = place.shape[0]
    subset = candidates.shape[0] > 0
    for t in range(faults.shape[0]):
        fault = 0
        if subset:
            for c in range(candidates.shape[1]):
                item = candidates[t, c]
                if item < 0 or item >= n_items:
                    fault |= UNKNOWN_CANDIDATE
                elif place[item] >= 0:
                    fault |= DUPLICATE_CANDIDATE
                else:
                    place[item] = c
        for k in range(slate.shape[1]):
            item = slate[t, k]
            if item < 0 or item >= n_items:
                fault |= UNKNOWN_SLATE
            elif place[item] <= SHOWN:
                fault |= DUPLICATE_SLATE
            elif not subset:
                place[item] = SHOWN
            elif place[item] < 0:
                fault |= NOT_OFFERED
            else:
                slate[t, k] = place[item]
                place[item] = SHOWN
        if subset:
            for c in range(candidates.shape[1]):
                if 0 <= candidates[t, c] < n_items:
                    place[candidates[t, c]] = -1
        else:
            for k in range(slate.shape[1]):
                if 0 <= slate[t, k] < n_items:
                    place[slate[t, k]] = -1
        faults[t] |= fault


class Checks:
    """Looks at the rounds of one log, block after block from its first row, and reports into `report`."""

    def __init__(self, info: LogInfo, report: Report) -> None:
        self.users, self.report = info.users, report
        self._share = 1.0 / info.C if info.propensities == "uniform" else None  # what every propensity must be
        self._place = np.full(info.items, -1, dtype=np.int64)
        self._latest = np.iinfo(np.int64).min

    def prepare(self) -> None:
        """Compile the check of slates."""
        none = np.zeros((0, 0), np.int64)
        place_slates(none, none, self._place, np.zeros(0, np.int64))

    def block(self, file: str, start: int, columns: dict[str, np.ndarray]) -> None:
        """Check rows `start`.. of the log; every column is (n,) or (n, width) in its dtype of a Chunk.

        The slate is turned from items into indices into the candidates, in place.
        """
        for name, values in columns.items():
            if name in ("context", "features", "expected", "scores"):
                if not np.isfinite(values).all():
                    self._cells(file, start, name, "not a finite number", ~np.isfinite(values), values, "fill it in")
            elif name == "rewards":
                self._range(file, start, name, "reward outside [0, 1]", values, 0.0, "scale rewards into [0, 1]")
            elif name == "propensities":
                fix = "store the probability with which the logging policy chose the item, above 0 and at most 1"
                self._range(file, start, name, "propensity outside (0, 1]", values, np.nextafter(0.0, 1.0), fix)
                if self._share is not None:
                    self._uniform(file, start, values, self._share)
            elif name in ("clicks", "examined"):
                if not ((values == 0.0) | (values == 1.0)).all():
                    wrong, what = (values != 0.0) & (values != 1.0), "click" if name == "clicks" else "examination"
                    self._cells(
                        file, start, name, f"{what} not in {{0, 1}}", wrong, values, f"write 1 for {what}, else 0"
                    )
            elif name == "attraction":
                self._range(file, start, name, "probability outside [0, 1]", values, 0.0, "store P(click | examined)")
            elif name == "user":
                if values.min() < 0 or values.max() >= self.users:
                    wrong = (values < 0) | (values >= self.users)
                    fix = f"users are numbered 0..{self.users - 1}, as in users.parquet"
                    self._cells(file, start, name, "unknown user", wrong, values, fix)
            elif name == "time":
                self._time(file, start, values)
        if "slate" in columns or "candidates" in columns:
            self._items(file, start, columns)

    def _range(self, file: str, start: int, name: str, kind: str, values: np.ndarray, least: float, fix: str) -> None:
        if not (values.min() >= least and values.max() <= 1.0):  # NaN fails both
            self._cells(file, start, name, kind, ~((values >= least) & (values <= 1.0)), values, fix)

    def _uniform(self, file: str, start: int, values: np.ndarray, share: float) -> None:
        low, high = share * (1.0 - UNIFORM_TOLERANCE), share * (1.0 + UNIFORM_TOLERANCE)
        if not (values.min() >= low and values.max() <= high):
            wrong = ((values < low) | (values > high)) & (values > 0.0) & (values <= 1.0)  # the others are reported
            if wrong.any():
                kind = f"propensity not 1/{round(1 / share)} = {share:.6g}, in a log that calls itself uniform"
                fix = "name the propensities 'logged', or 'estimated' if they are, where the log is made or in log.json"
                self._cells(file, start, "propensities", kind, wrong, values, fix)

    def _cells(
        self, file: str, start: int, name: str, kind: str, wrong: np.ndarray, values: np.ndarray, fix: str
    ) -> None:
        """Report the rows with a wrong cell, quoting the first wrong cell of each."""
        wrong, values = wrong.reshape(len(wrong), -1), values.reshape(len(values), -1)
        rows = np.flatnonzero(wrong.any(axis=1))
        first = rows[:EXAMPLES]
        cells = values[first, wrong[first].argmax(axis=1)]
        self.report.add(file, name, kind, fix, start + first, [c.item() for c in cells], count=len(rows))

    def _time(self, file: str, start: int, time: np.ndarray) -> None:
        before = np.concatenate([[self._latest], time[:-1]])
        back = np.flatnonzero(time < before)
        if len(back):
            first = back[:EXAMPLES]
            shown = [f"{time[r].astype('M8[us]')} after {before[r].astype('M8[us]')}" for r in first]
            fix = "sort the rounds by time"
            self.report.add(file, "time", "time running backwards", fix, start + first, shown, count=len(back))
        self._latest = time[-1]

    def _items(self, file: str, start: int, columns: dict[str, np.ndarray]) -> None:
        n = len(next(iter(columns.values())))
        none = np.empty((0, 0), dtype=np.int64)
        candidates, slate = columns.get("candidates", none), columns.get("slate", np.empty((n, 0), dtype=np.int64))
        faults = np.zeros(n, dtype=np.int64)
        items = slate.copy() if slate.size else slate
        place_slates(candidates, slate, self._place, faults)
        if not faults.any():
            return
        for flag, (name, kind, fix) in FAULTS.items():
            rows = np.flatnonzero(faults & flag)
            if len(rows):
                shown = items if name == "slate" else candidates
                values = [_culprit(flag, shown[r], candidates[r] if len(candidates) else None, len(self._place))
                          for r in rows[:EXAMPLES]]  # fmt: skip
                self.report.add(file, name, kind, fix, start + rows[:EXAMPLES], values, count=len(rows))


def _culprit(flag: int, items: np.ndarray, candidates: np.ndarray | None, n_items: int) -> int:
    """The first item of a row that has the fault `flag`."""
    if flag in (UNKNOWN_CANDIDATE, UNKNOWN_SLATE):
        wrong = (items < 0) | (items >= n_items)
    elif flag == NOT_OFFERED and candidates is not None:
        wrong = ~np.isin(items, candidates) & (items >= 0) & (items < n_items)
    else:
        wrong = np.array([item in items[:k] and 0 <= item < n_items for k, item in enumerate(items)])
    return int(items[wrong.argmax()])
