"""The ids of requests: requests.parquet beside the rounds, one text a round in their order.

They are no column of the rounds: no replay needs them, so none pays for them. What was computed elsewhere by request,
such as the scores of a ranker, is joined by them.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lersbench.errors import DataError

COLUMN = "request"
FILE = f"{COLUMN}s.parquet"
GROUP_ROWS = 1 << 16
_SCHEMA = pa.schema([pa.field(COLUMN, pa.string(), nullable=False)])


class Writer:
    """The file while it grows, in groups of rows. It appears with the first ids."""

    def __init__(self, path: Path, file: str) -> None:
        self._path, self._file, self.rows = path, file, 0  # `file` is what messages call it
        self._waiting: list[pa.Array] = []
        self._writer: pq.ParquetWriter | None = None

    def add(self, ids: Any, rounds: int) -> None:
        """Store the ids of the next rounds, texts or whole numbers, of which there are `rounds` then. Raises DataError
        for what is no id, and for another number of them."""
        texts = _texts(ids, self._file, self.rows)
        if self.rows + len(texts) != rounds:
            fault = f"{len(texts)} ids for the {rounds - self.rows} rounds from row {self.rows} on"
            raise DataError(f"{self._file}, column {COLUMN}: {fault}. Fix: give one a round")
        self.rows = rounds
        self._waiting.append(texts)
        if sum(map(len, self._waiting)) >= GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, _SCHEMA, compression="zstd", use_dictionary=False)
        together = pa.chunked_array(self._waiting, pa.string())
        self._writer.write_table(pa.table([together], schema=_SCHEMA), row_group_size=GROUP_ROWS)
        self._waiting = []

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if kind is None and self._waiting:
            self._flush()
        if self._writer is not None:
            self._writer.close()


def part(file: pq.ParquetFile, start: int, stop: int) -> pa.Array:
    """The ids of the rounds `start`..`stop` - 1: only the groups of rows with some of them are read."""
    groups, first, begin = [], None, 0
    for group in range(file.metadata.num_row_groups):
        end = begin + file.metadata.row_group(group).num_rows
        if begin < stop and start < end:
            groups.append(group)
            first = begin if first is None else first
        begin = end
    if first is None:
        return pa.array([], pa.string())
    column = file.read_row_groups(groups, columns=[COLUMN], use_threads=False).column(COLUMN)
    return column.slice(start - first, stop - start).cast(pa.string()).combine_chunks()


def _texts(ids: Any, file: str, row: int) -> pa.Array:
    """The ids as texts. Raises DataError for what is no id, naming the row."""
    fix = "give texts or whole numbers, one a round"
    try:
        array = ids if isinstance(ids, pa.Array) else pa.array(ids)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(f"{file}, column {COLUMN}, row {row}: no ids ({error}). Fix: {fix}") from error
    if not (pa.types.is_integer(array.type) or pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        raise DataError(f"{file}, column {COLUMN}, row {row}: ids of the type {array.type}. Fix: {fix}")
    texts = array.cast(pa.string())
    empty = pc.fill_null(pc.equal(texts, ""), True).to_numpy(zero_copy_only=False)
    if empty.any():
        raise DataError(f"{file}, column {COLUMN}, row {row + int(empty.argmax())}: no value. Fix: {fix}")
    return texts
