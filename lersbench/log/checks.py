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
from lersbench.log import propensities
from lersbench.log.outcomes import outcome_in, range_of
from lersbench.log.ragged import Ragged, edges_of
from lersbench.log.schema import UNIFORM_TOLERANCE, LogInfo, column_of

EXAMPLES = 3  # offending rows quoted for each kind of problem

UNKNOWN_CANDIDATE, DUPLICATE_CANDIDATE, UNKNOWN_SLATE, NOT_OFFERED, DUPLICATE_SLATE = 1, 2, 4, 8, 16
EXPONENT = np.uint64(0x7FF0000000000000)  # the bits of a float64 that are all set where it is not finite
SHOWN = -2  # mark of an item that stands higher up in the slate

FAULTS = {  # flag -> (column, what is wrong, fix)
    UNKNOWN_CANDIDATE: ("candidates", "unknown item", "items are numbered 0..items-1, as in items.parquet"),
    DUPLICATE_CANDIDATE: ("candidates", "duplicate candidate", "offer every item at most once in a round"),
    UNKNOWN_SLATE: ("slate", "unknown item", "items are numbered 0..items-1, as in items.parquet"),
    NOT_OFFERED: ("slate", "slate item not among the candidates", "add the item to the candidates of its round"),
    DUPLICATE_SLATE: ("slate", "duplicate slate item", "show every item at most once in a slate"),
}

DUE_OF_UNIFORM = {  # what a uniform choice has, in words
    propensities.POSITION: "1 / (candidates of its round)",
    propensities.CONDITIONAL: "1 / (candidates that are left at its position)",
    propensities.SLATE: "1 / (slates that there are)",
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
        self.advice = ""  # what could be better about a log without problems
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
            return f"{self.path}: {self.rounds:,} rounds, no problems{'; ' * bool(self.advice)}{self.advice}"
        kinds = len(self._problems)
        lines = [f"{self.path}: {kinds} kind{'s' if kinds > 1 else ''} of problem in {self.rounds:,} rounds read"]
        return "\n".join(lines + [f"  {problem}" for problem in self.problems])


@kernel
def place_slates(candidates, first, slate, top, place, faults):
    """Turn slates of items into slates of indices into the candidates, and flag what is wrong with them.

    candidates (N,) int64 items, those of round t from first[t] (n + 1,) on, or (0,) where every round offers the items
    0..C-1 in order; slate (S,) int64 items, those of round t from top[t] (n + 1,) on, overwritten in place;
    place (n_items,) int64 scratch, -1 everywhere before and after; faults (n,) int64, the flags above are or-ed into
    it. One visit of every candidate, however long the slate is.
    """
    n_items = place.shape[0]
    subset = candidates.shape[0] > 0
    for t in range(faults.shape[0]):
        fault = 0
        if subset:
            for c in range(first[t], first[t + 1]):
                item = candidates[c]
                if item < 0 or item >= n_items:
                    fault |= UNKNOWN_CANDIDATE
                elif place[item] >= 0:
                    fault |= DUPLICATE_CANDIDATE
                else:
                    place[item] = c - first[t]
        for k in range(top[t], top[t + 1]):
            item = slate[k]
            if item < 0 or item >= n_items:
                fault |= UNKNOWN_SLATE
            elif place[item] <= SHOWN:
                fault |= DUPLICATE_SLATE
            elif not subset:
                place[item] = SHOWN
            elif place[item] < 0:
                fault |= NOT_OFFERED
            else:
                slate[k] = place[item]
                place[item] = SHOWN
        if subset:
            for c in range(first[t], first[t + 1]):
                if 0 <= candidates[c] < n_items:
                    place[candidates[c]] = -1
        else:
            for k in range(top[t], top[t + 1]):
                if 0 <= slate[k] < n_items:
                    place[slate[k]] = -1
        faults[t] |= fault


@kernel
def are_finite(words: np.ndarray) -> bool:
    """Are the float64 numbers whose bits are `words` (n,) uint64 all finite? Whole numbers take one quick pass."""
    strange = 0
    for i in range(words.shape[0]):
        strange += (words[i] & EXPONENT) == EXPONENT
    return strange == 0


def _words(values: np.ndarray) -> np.ndarray:
    """The bits of C-contiguous float64 numbers, (n,) uint64, read-only, so that loops are compiled for one kind."""
    words = values.reshape(-1).view(np.uint64)
    words.flags.writeable = False
    return words


class Checks:
    """Looks at the rounds of one log, block after block from its first row, and reports into `report`."""

    def __init__(self, info: LogInfo, report: Report) -> None:
        self.users, self.report, self._ragged = info.users, report, info.ragged
        self._uniform = info.propensities == "uniform"
        self._kind = propensities.kind_in("logged", info.propensity_kind)
        self._wide, self._positions = info.C, info.L
        self._outcomes = {
            name: info.outcomes.get(outcome, {}) for name in info.columns if (outcome := outcome_in(name))
        }
        self._place = np.full(info.items, -1, dtype=np.int64)
        self._latest = np.iinfo(np.int64).min

    def prepare(self) -> None:
        """Compile the checks of numbers and of slates."""
        none = np.zeros(0, np.int64)
        are_finite(_words(np.zeros(1)))
        place_slates(none, none, none, none, self._place, none)

    def block(self, file: str, start: int, columns: dict[str, np.ndarray | Ragged]) -> None:
        """Check rows `start`.. of the log; every column is (n,), (n, width) or Ragged, in its dtype of a Chunk.

        The slate is turned from items into indices into the candidates, in place.
        """
        columns = self._of_one_length(file, start, columns)
        for name, column in columns.items():
            values = column.values if isinstance(column, Ragged) else column
            self._lengths = column.lengths if isinstance(column, Ragged) else None
            if not len(values):
                continue
            if name in ("context", "features", "expected", "scores"):
                if not are_finite(_words(values)):
                    self._cells(file, start, name, "not a finite number", ~np.isfinite(values), values, "fill it in")
            elif name == "rewards":
                self._range(file, start, name, "reward outside [0, 1]", values, 0.0, "scale rewards into [0, 1]")
            elif name == "propensities":
                self._propensities(file, start, values, columns)
            elif name in ("clicks", "examined"):
                if not ((values == 0.0) | (values == 1.0)).all():
                    wrong, what = (values != 0.0) & (values != 1.0), "click" if name == "clicks" else "examination"
                    self._cells(
                        file, start, name, f"{what} not in {{0, 1}}", wrong, values, f"write 1 for {what}, else 0"
                    )
            elif name == "attraction":
                self._range(file, start, name, "probability outside [0, 1]", values, 0.0, "store P(click | examined)")
            elif name == "logger":
                if values.min() < 0:
                    self._cells(file, start, name, "negative", values < 0, values, "number the loggers 0, 1, ...")
            elif name == "user":
                if values.min() < 0 or values.max() >= self.users:
                    wrong = (values < 0) | (values >= self.users)
                    fix = f"users are numbered 0..{self.users - 1}, as in users.parquet"
                    self._cells(file, start, name, "unknown user", wrong, values, fix)
            elif name == "time":
                self._time(file, start, values)
            elif name in ("known", "clicks_known") and "time" in columns:
                began: Any = columns["time"]
                began = np.repeat(began, self._lengths) if self._lengths is not None else began[:, None]
                if (values < began).any():
                    fix = "write the time at which it became known, at or after that of the round"
                    self._cells(file, start, name, "known before its round", values < began, values, fix)
            elif name in self._outcomes:
                self._outcome(file, start, name, values)
        if "slate" in columns or "candidates" in columns:
            self._items(file, start, columns)

    def _range(
        self,
        file: str,
        start: int,
        name: str,
        kind: str,
        values: np.ndarray,
        least: float,
        fix: str,
        most: float = 1.0,
    ) -> None:
        if not (values.min() >= least and values.max() <= most):  # NaN fails both
            self._cells(file, start, name, kind, ~((values >= least) & (values <= most)), values, fix)

    def _outcome(self, file: str, start: int, name: str, values: np.ndarray) -> None:
        """Every value must be a finite number in the declared range."""
        if not are_finite(_words(values)):
            wrong = ~np.isfinite(values)
            self._cells(file, start, name, "not a finite number", wrong, values, "fill it in; nothing came of it is 0")
            return
        least, most = range_of(self._outcomes[name])
        ends = f"[{least:g}, {most:g}]".replace("[-inf", "(-inf").replace("inf]", "inf)")
        fix = "correct the value, or declare the range that the outcome has, where the log is made or in log.json"
        self._range(file, start, name, f"value outside the declared range {ends}", values, least, fix, most)

    def _of_one_length(self, file: str, start: int, columns: dict[str, Any]) -> dict[str, Any]:
        """The columns whose lists have the lengths of those they stand beside, and one value or more."""
        good = dict(columns)
        for lead in self._ragged:
            if lead not in columns:  # its lists could not be read, and that is reported
                good = {name: column for name, column in good.items() if column_of(name).along != lead}
                continue
            lengths = columns[lead].lengths
            empty = np.flatnonzero(lengths == 0)
            if len(empty):
                fix = f"leave out a round without {'candidates' if lead == 'candidates' else 'a slate'}"
                self.report.add(file, lead, "empty list", fix, start + empty, ["[]"] * len(empty))
            for name, column in columns.items():
                if column_of(name).along == lead and not np.array_equal(column.lengths, lengths):
                    rows = np.flatnonzero(column.lengths != lengths)
                    shown = [f"{column.lengths[r]} where {lead} has {lengths[r]}" for r in rows[:EXAMPLES]]
                    fix = f"give a value for each of the {lead}" if lead == "candidates" else "give one a position"
                    self.report.add(file, name, "list of another length", fix, start + rows, shown, count=len(rows))
                    del good[name]
        return good

    def _propensities(self, file: str, start: int, values: np.ndarray, columns: dict[str, Any]) -> None:
        """Every propensity must be a probability that can be divided by, and of the kind that the log says."""
        fix = "store the probability with which the logging policy chose the item, above 0 and at most 1"
        self._range(
            file,
            start,
            "propensities",
            "propensity outside (0, 1]",
            values,
            np.nextafter(0.0, 1.0),
            fix,
            propensities.MOST,
        )
        least = propensities.least(self._kind, self._positions)
        if not values.min() > least and (tiny := (values <= least) & (values > 0.0)).any():
            fix = "it is a rounding error or a floor; store the probability itself, or leave the round out"
            self._cells(file, start, "propensities", f"propensity not above {least:g}", tiny, values, fix)
        if self._kind == propensities.SLATE:
            self._joint(file, start, values)
        if self._uniform:
            self._shares(file, start, values, columns)

    def _joint(self, file: str, start: int, values: np.ndarray) -> None:
        """The propensity of a slate must be the same number in all of its positions."""
        top = values[:, :1] if self._lengths is None else propensities.of_top(values, self._lengths)
        with np.errstate(invalid="ignore"):  # infinity, which is reported
            wrong = np.abs(values - top) > propensities.NEAR * np.abs(top)
        if wrong.any():
            kind = "propensity of the whole slate that differs from that of its top position"
            fix = "write the joint probability in all positions, or say of which kind they are: position or conditional"
            self._cells(file, start, "propensities", kind, wrong, values, fix)

    def _shares(self, file: str, start: int, values: np.ndarray, columns: dict[str, Any]) -> None:
        """Every propensity must be that of a uniform choice: 1 / (candidates of its round), if of the position."""
        wide: Any = columns["candidates"].lengths if "candidates" in self._ragged else self._wide
        if self._kind == propensities.POSITION and isinstance(wide, int):
            low, high = values.min() * wide - 1.0, values.max() * wide - 1.0
            if low > -UNIFORM_TOLERANCE / 2 and high < UNIFORM_TOLERANCE / 2:  # without a doubt; NaN is none of it
                return
        rows = len(values) if self._lengths is None else len(self._lengths)
        lengths = np.full(rows, values.shape[-1]) if self._lengths is None else self._lengths
        due = propensities.of_uniform(self._kind, np.broadcast_to(wide, rows), lengths).reshape(values.shape)
        wrong = (abs(values / due - 1.0) > UNIFORM_TOLERANCE) & (values > 0.0) & (values <= 1.0)  # the others are said
        if wrong.any():
            said = DUE_OF_UNIFORM[self._kind]
            if self._kind == propensities.POSITION and isinstance(wide, int):
                said = f"1/{wide} = {1 / wide:.6g}"
            kind = f"propensity not {said}, in a log that calls itself uniform"
            fix = "name the propensities 'logged', or 'estimated' if they are, where the log is made or in log.json"
            self._cells(file, start, "propensities", kind, wrong, values, fix)

    def _cells(
        self, file: str, start: int, name: str, kind: str, wrong: np.ndarray, values: np.ndarray, fix: str
    ) -> None:
        """Report the rows with a wrong cell, quoting the first wrong cell of each."""
        wrong, values = wrong.reshape(len(wrong), -1), values.reshape(len(values), -1)
        places = np.flatnonzero(wrong.any(axis=1))
        rows = places if self._lengths is None else np.repeat(np.arange(len(self._lengths)), self._lengths)[places]
        rows, at = np.unique(rows, return_index=True)
        first = places[at[:EXAMPLES]]
        cells = values[first, wrong[first].argmax(axis=1)]
        self.report.add(file, name, kind, fix, start + rows[:EXAMPLES], [c.item() for c in cells], count=len(rows))

    def _time(self, file: str, start: int, time: np.ndarray) -> None:
        before = np.concatenate([[self._latest], time[:-1]])
        back = np.flatnonzero(time < before)
        if len(back):
            first = back[:EXAMPLES]
            shown = [f"{time[r].astype('M8[us]')} after {before[r].astype('M8[us]')}" for r in first]
            fix = "sort the rounds by time"
            self.report.add(file, "time", "time running backwards", fix, start + first, shown, count=len(back))
        self._latest = time[-1]

    def _items(self, file: str, start: int, columns: dict[str, Any]) -> None:
        lead = next(iter(columns.values()))
        n = len(lead.lengths if isinstance(lead, Ragged) else lead)
        none = np.empty((n, 0), dtype=np.int64)
        (candidates, first), (slate, top) = (_flat(columns.get(name, none)) for name in ("candidates", "slate"))
        faults = np.zeros(n, dtype=np.int64)
        items = slate.copy()
        place_slates(candidates, first, slate, top, self._place, faults)
        if not faults.any():
            return
        for flag, (name, kind, fix) in FAULTS.items():
            rows = np.flatnonzero(faults & flag)
            if len(rows):
                values = []
                for r in rows[:EXAMPLES]:
                    offered, shown = candidates[first[r] : first[r + 1]], items[top[r] : top[r + 1]]
                    listed = shown if name == "slate" else offered
                    values.append(_culprit(flag, listed, offered if len(candidates) else None, len(self._place)))
                self.report.add(file, name, kind, fix, start + rows[:EXAMPLES], values, count=len(rows))


def _flat(column: np.ndarray | Ragged) -> tuple[np.ndarray, np.ndarray]:
    """The values of a column end to end, as a view, and where those of each round begin, (n + 1,)."""
    if isinstance(column, Ragged):
        return column.values, edges_of(column.lengths)
    return column.reshape(-1), np.arange(len(column) + 1) * column.shape[1]


def _culprit(flag: int, items: np.ndarray, candidates: np.ndarray | None, n_items: int) -> int:
    """The first item of a row that has the fault `flag`."""
    if flag in (UNKNOWN_CANDIDATE, UNKNOWN_SLATE):
        wrong = (items < 0) | (items >= n_items)
    elif flag == NOT_OFFERED and candidates is not None:
        wrong = ~np.isin(items, candidates) & (items >= 0) & (items < n_items)
    else:
        wrong = np.array([item in items[:k] and 0 <= item < n_items for k, item in enumerate(items)])
    return int(items[wrong.argmax()])
