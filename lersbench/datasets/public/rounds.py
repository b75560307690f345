"""Rounds from the files of a public data set: kept on disk while ids still come, then sorted, numbered and written.

A loader yields parts: mappings of the columns that `lersbench.log.write` takes, in which users and items are codes of
`Ids`, the order in which they were met. What is in memory is a part, and the ids.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from lersbench.datasets.hashed import hashed_numbers, hashed_order
from lersbench.errors import DataError
from lersbench.files import naming
from lersbench.log import Log, Ragged, write
from lersbench.log.ragged import edges_of
from lersbench.log.writer import vacant
from lersbench.system import leftovers
from lersbench.system.progress import say

Part = Mapping[str, Any]  # arrays with the rounds as first axis, or Ragged
ROWS = 16_384  # rounds handed to the writer at a time
SORT_MEMORY = "400MB"  # of DuckDB, beyond which it sorts on disk


class Ids:
    """The ids of users or items, as texts, by the order in which they are met: "007" is not "7"."""

    def __init__(self, what: str) -> None:
        self.what = what
        self._codes: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._codes)

    def __iter__(self) -> Iterator[str]:
        return iter(self._codes)

    def __contains__(self, text: str) -> bool:
        return text in self._codes

    def code(self, text: str) -> int:
        return self._codes.setdefault(text, len(self._codes))

    def codes(self, texts: pa.Array) -> np.ndarray:
        """(n,) int64 the codes of n texts without nulls."""
        encoded = texts.dictionary_encode()
        known = np.array([self.code(text) for text in encoded.dictionary.to_pylist()], np.int64)
        return known[encoded.indices.to_numpy()] if len(texts) else np.zeros(0, np.int64)

    def numbers(self) -> np.ndarray:
        """(codes,) the number of each code in the log, by a hash: the order of the file tells nothing."""
        return hashed_numbers(self._codes, self.what)

    def table(self, more: Mapping[str, Any]) -> pd.DataFrame:
        """The table of a log: the ids, and more columns with a value a code, in the order of the numbers."""
        order = hashed_order(self._codes, self.what)
        columns = {name: [values[code] for code in order] for name, values in more.items()}
        texts = list(self._codes)
        return pd.DataFrame({"id": [texts[code] for code in order], **columns})


@dataclass
class Tally:
    """What was read, and what was left out for which reason, in rows and clicks (rewards above 0)."""

    unit: str = "rows"
    rows: int = 0
    clicks: int = 0
    left_out: dict[str, list[int]] = field(default_factory=dict)

    def read(self, rows: int, clicks: float) -> None:
        self.rows += int(rows)
        self.clicks += int(clicks)

    def leave_out(self, reason: str, rows: int, clicks: float = 0) -> None:
        """Count rows that are among those read, and that the log does not have."""
        if rows:
            count = self.left_out.setdefault(reason, [0, 0])
            count[0] += int(rows)
            count[1] += int(clicks)

    def facts(self) -> dict[str, Any]:
        """For the provenance of the log."""
        lost_rows, lost_clicks = (sum(count[at] for count in self.left_out.values()) for at in (0, 1))
        kept = self.rows - lost_rows
        return {
            f"{self.unit} read": self.rows,
            "clicks read": self.clicks,
            f"{self.unit} left out": {why: count[0] for why, count in self.left_out.items()},
            "clicks left out": {why: count[1] for why, count in self.left_out.items()},
            "click rate before": self.clicks / self.rows if self.rows else 0.0,
            "click rate after": (self.clicks - lost_clicks) / kept if kept else 0.0,
            "selections": [{"step": "import", "said": line} for line in self.lines(lost_clicks, kept)],
        }

    def lines(self, lost_clicks: int, kept: int) -> list[str]:
        """What was left out, and what that did to the click rate."""
        lines = [
            f"left out: {rows:,} of {self.rows:,} {self.unit} ({why}), {clicks:,} of {self.clicks:,} clicks"
            for why, (rows, clicks) in self.left_out.items()
        ]
        if lines:
            before, after = self.clicks / self.rows, (self.clicks - lost_clicks) / kept if kept else 0.0
            lines.append(f"click rate: {before:.4%} before, {after:.4%} after")
        return lines

    def say(self) -> None:
        """Tell on stderr what was left out, and what that did to the click rate."""
        for selection in self.facts()["selections"]:
            say(selection["said"])


class Sides(NamedTuple):
    """What goes beside the rounds: columns of items and users with a value a code, and the context of each user."""

    items: Mapping[str, Any] = MappingProxyType({})
    users: Mapping[str, Any] = MappingProxyType({})
    context: np.ndarray | None = None  # (user codes, d), which follows the context that the parts have, if any
    propensities: str = "none"  # how they were made, see `lersbench.log.write`
    provenance: Mapping[str, Any] = MappingProxyType({})
    outcomes: Mapping[str, Any] = MappingProxyType({})  # see `lersbench.log.write`
    without: Collection[str] = ()  # columns of the parts that the log is not to have


def write_rounds(
    out: str | Path,
    parts: Iterable[Part],
    items: Ids,
    users: Ids | None,
    tally: Tally,
    finish: Callable[[], Sides] | None = None,
    overwrite: bool = False,
    **words: Any,
) -> Log:
    """Write the rounds of `parts`, by time where they have one; `words` are those of `lersbench.log.write`.

    `finish` says what can be said only when all parts have been read, as all ids have been met then.
    """
    vacant(out, overwrite)
    with spool(out) as kept:
        for part in parts:
            kept.add(part)
        if not kept.rows:
            raise DataError(f"{out}: no rounds are left to write. {_reasons(tally)}")
        tally.say()
        sides = finish() if finish else Sides()
        numbers = Numbers(items.numbers(), None if users is None else users.numbers(), sides.context)
        parts = kept.sorted_by(*(["time"] if kept.has_time else []))
        wanted = ({name: part[name] for name in part if name not in sides.without} for part in parts)
        return write(
            out,
            map(numbers.applied, wanted),
            items=items.table(sides.items),
            users=None if users is None else users.table(sides.users),
            order="time" if kept.has_time else "exchangeable",
            propensities=sides.propensities,
            outcomes=sides.outcomes,
            provenance={**sides.provenance, **tally.facts()},
            overwrite=overwrite,
            **words,
        )


def _reasons(tally: Tally) -> str:
    if not tally.rows:
        return f"Fix: give a file with {tally.unit}"
    why = "; ".join(f"{count[0]} {reason}" for reason, count in tally.left_out.items())
    return f"Of {tally.rows} {tally.unit} all were left out ({why}). Fix: change the option that leaves them out"


@contextmanager
def spool(out: str | Path) -> Iterator[Spool]:
    """A place for parts beside the log to come, gone when the block ends; of an address, where temporary files are."""
    local = "://" not in str(out)
    folder = Path(out).expanduser().absolute().parent if local else Path(tempfile.gettempdir())
    folder.mkdir(parents=True, exist_ok=True)
    leftovers.sweep(folder)
    place = Path(tempfile.mkdtemp(prefix=leftovers.prefix(Path(out).name if local else "lersbench"), dir=folder))
    try:
        with naming(place):
            yield Spool(place)
    finally:
        shutil.rmtree(place)


class Spool:
    """Parts with the same columns, in one file."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.rows, self.has_time = folder, 0, False
        self._file = folder / "parts.parquet"
        self._writer: pq.ParquetWriter | None = None
        self._shapes: dict[str, str] = {}  # by column: "flat" (n,), "wide" (n, k), "lists" or "wide lists", both Ragged
        self._latest: Any = None
        self._in_order = True

    def add(self, part: Part) -> None:
        table = pa.table({name: _arrow(values) for name, values in part.items()})
        if not table.num_rows:
            return
        if self._writer is None:
            self._shapes = {name: _shape(values) for name, values in part.items()}
            self.has_time = "time" in part
            schema = table.schema.append(pa.field("spool_row", pa.int64()))
            self._writer = pq.ParquetWriter(
                self._file, schema, compression="lz4", use_dictionary=False, write_statistics=False
            )
        if self.has_time:
            time = part["time"]
            self._in_order &= bool(np.all(time[1:] >= time[:-1])) and (self._latest is None or time[0] >= self._latest)
            self._latest = time[-1]
        row = pa.array(np.arange(self.rows, self.rows + table.num_rows))
        self._writer.write_table(table.append_column("spool_row", row), row_group_size=ROWS)
        self.rows += table.num_rows

    def sorted_by(self, *keys: str) -> Iterator[dict[str, Any]]:
        """All parts, sorted by the columns `keys`, equal ones as they came; without keys as they came."""
        if self._writer is None:
            return
        self._writer.close()
        if not keys or (keys == ("time",) and self._in_order):
            with pq.ParquetFile(self._file, pre_buffer=False) as file:
                for batch in file.iter_batches(ROWS):
                    yield self._part(batch)
            return
        temporary = str(self.folder / "sort")
        with duckdb.connect(
            config={"memory_limit": SORT_MEMORY, "temp_directory": temporary, "threads": 2}
        ) as connection:
            order = ", ".join(f'"{key}"' for key in (*keys, "spool_row"))
            query = f"select * from read_parquet($file) order by {order}"
            found = connection.sql(query, params={"file": str(self._file)})
            for batch in found.to_arrow_reader(ROWS):
                yield self._part(batch)

    def _part(self, batch: pa.RecordBatch) -> dict[str, Any]:
        return {name: _numpy(batch.column(name), shape) for name, shape in self._shapes.items()}


def _shape(values: Any) -> str:
    if isinstance(values, Ragged):
        return "lists" if values.values.ndim == 1 else "wide lists"
    return "flat" if values.ndim == 1 else "wide"


def _arrow(values: Any) -> pa.Array:
    """A column as lists of any length, which survive DuckDB as they are."""
    if isinstance(values, Ragged):
        inner = _arrow(values.values) if values.values.ndim > 1 else pa.array(values.values)
        edges = edges_of(values.lengths)
        return pa.LargeListArray.from_arrays(pa.array(edges), inner)
    if values.ndim > 1:
        edges = np.arange(len(values) + 1) * values.shape[1]
        return pa.LargeListArray.from_arrays(pa.array(edges), pa.array(np.ascontiguousarray(values).reshape(-1)))
    return pa.array(values)


def _numpy(array: pa.Array, shape: str) -> Any:
    if shape == "flat":
        return array.to_numpy(zero_copy_only=False)
    lengths = np.asarray(array.value_lengths(), np.int64)
    inner = array.flatten()
    if shape == "wide":
        return inner.to_numpy(zero_copy_only=False).reshape(len(array), -1)
    if shape == "lists":
        return Ragged(inner.to_numpy(zero_copy_only=False), lengths)
    values = inner.flatten().to_numpy(zero_copy_only=False)
    return Ragged(values.reshape(len(inner), -1), lengths)


class Numbers(NamedTuple):
    """The numbers in the log, by code, and the context of each user."""

    items: np.ndarray
    users: np.ndarray | None
    context: np.ndarray | None

    def applied(self, part: Part) -> dict[str, Any]:
        """Codes become numbers, and the candidates of a round come in the order of theirs."""
        chunk = dict(part)
        if self.context is not None:
            own = self.context[chunk["user"]]
            chunk["context"] = np.hstack([chunk["context"], own]) if "context" in chunk else own
        if self.users is not None and "user" in chunk:
            chunk["user"] = self.users[chunk["user"]]
        if "slate" in chunk:
            chunk["slate"] = _each(chunk["slate"], lambda codes: self.items[codes].astype(np.int32))
        if "candidates" not in chunk:
            return chunk
        codes: Ragged = chunk["candidates"]
        numbers = self.items[codes.values]
        order = np.argsort(np.repeat(np.arange(len(codes.lengths)), codes.lengths) * len(self.items) + numbers)
        chunk["candidates"] = Ragged(numbers[order].astype(np.int32), codes.lengths)
        for name in ("features", "rewards"):
            if name in chunk:
                chunk[name] = Ragged(chunk[name].values[order], codes.lengths)
        return chunk


def _each(column: Any, change: Any) -> Any:
    """A column with its values changed, an array or Ragged."""
    return Ragged(change(column.values), column.lengths) if isinstance(column, Ragged) else change(column)


def listed(lists: Sequence[Sequence[Any]], dtype: Any) -> Ragged:
    """Lists of Python as Ragged."""
    lengths = np.array([len(one) for one in lists], np.int64)
    return Ragged(np.array([value for one in lists for value in one], dtype), lengths)
