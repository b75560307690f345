"""A log of schema 1, or of another tool, written again as schema 2, with checksums and seal: streamed, nothing lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lersbench.errors import DataError
from lersbench.log.chunk import Chunk
from lersbench.log.outcomes import outcome_in
from lersbench.log.ragged import Ragged
from lersbench.log.reader import Log
from lersbench.log.requests import COLUMN
from lersbench.log.schema import SCHEMA, LogInfo, column_of, stored_dtype
from lersbench.log.writer import write

KEPT = (
    "name",
    "order",
    "propensities",
    "propensity_kind",
    "reward_window",
    "licence",
    "attribution",
    "provenance",
    "click_model",
    "outcomes",
)


def convert(path: str | Path, out: str | Path, overwrite: bool = False) -> Log:
    """Write the log at `path` again to `out`, and open it: all of its columns, items, users, and what log.json says.

    Its digest is that of the old one, where that has one. Raises a ConfigError where something is in the way, and a
    DataError where the old log is broken, has columns of its own in the rounds, or numbers that schema 2 would round:
    then nothing is written.
    """
    log = Log(path)
    if strange := log.strange_columns():
        fix = "move what you need into items.parquet, users.parquet or an outcome, and drop it from the rounds"
        raise DataError(
            f"{path}: the rounds have a column {strange[0]} that no log has, and it would be lost. Fix: {fix}"
        )
    users = log.table("users.parquet") if log.user_table() is not None else log.info.users or None
    return write(
        out,
        (_columns(chunk, log.info, str(path)) | _requests(chunk, log) for chunk in log.read()),
        items=log.table("items.parquet"),
        users=users,
        overwrite=overwrite,
        **{key: getattr(log.info, key) for key in KEPT},
    )


def advice(info: LogInfo, path: str) -> str:
    """What a log lacks that this version writes, and the command that adds it; "" where it lacks nothing."""
    command = f"`lersbench convert {path} NEW` writes it as schema {SCHEMA}, with checksums"
    if info.schema < SCHEMA:
        return f"schema {info.schema}, which is read as it is; {command}"
    return "" if info.sums else f"no checksums, so damage to the rounds is not seen while they are read; {command}"


def _columns(chunk: Chunk, info: LogInfo, path: str) -> dict[str, Any]:
    """The columns of a chunk as `write` takes them."""
    return {name: _column(name, chunk, info, path) for name in info.columns}


def _requests(chunk: Chunk, log: Log) -> dict[str, Any]:
    return {COLUMN: log.requests(chunk.start, chunk.start + len(chunk.user))} if log.has_requests else {}


def _column(name: str, chunk: Chunk, info: LogInfo, path: str) -> Any:
    outcome, column = outcome_in(name), column_of(name)
    values = chunk.outcomes[outcome] if outcome else chunk.shown() if name == "slate" else getattr(chunk, name)
    if pa.types.is_timestamp(column.stored):
        values = values.astype("datetime64[us]")
    elif not np.array_equal(values.astype(stored_dtype(name)), values):
        fix = f"write numbers that {column.stored} holds exactly"
        row = f"rounds {chunk.start} to {chunk.start + len(chunk.user) - 1}"
        raise DataError(f"{path}, column {name}, {row}: schema {SCHEMA} would round its values. Fix: {fix}")
    edges = {"candidates": chunk.first, "slate": chunk.top}.get(column.along)
    return values if edges is None else Ragged(values, np.diff(edges))
