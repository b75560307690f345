"""Writing a log: streamed to a folder beside its place, checked, and moved there as a whole."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from lersbench.durations import microseconds
from lersbench.errors import ConfigError, DataError
from lersbench.files import naming, replacing
from lersbench.log import requests
from lersbench.log.checks import Checks, Report
from lersbench.log.checksums import checksum
from lersbench.log.outcomes import faults, outcome_in
from lersbench.log.propensities import KINDS, POSITION, kind_in
from lersbench.log.ragged import Ragged, cut, edges_of, is_ragged, joined, ragged
from lersbench.log.reader import Log
from lersbench.log.schema import (
    CHECKSUMS,
    NAMES,
    ORDERS,
    PROPENSITIES,
    RAGGED,
    SCHEMA,
    LogInfo,
    RoundsDigest,
    block_rows,
    column_of,
    in_order,
    is_column,
    locate,
    log_digest,
    seal_of_sums,
    sealed,
    stored_dtype,
)
from lersbench.system import leftovers
from lersbench.system.exchange import recover

GROUP_BYTES = 8 << 20  # a row group: what a reader that takes whole ones has to hold


def write(
    path: str | Path,
    chunks: Mapping[str, Any] | Iterable[Mapping[str, Any]],
    *,
    name: str | None = None,
    items: pd.DataFrame | pa.Table | int | None = None,
    users: pd.DataFrame | pa.Table | int | None = None,
    order: str = "exchangeable",
    propensities: str = "none",
    licence: str = "",
    attribution: str = "",
    provenance: Mapping[str, Any] | None = None,
    click_model: Mapping[str, Any] | None = None,
    outcomes: Mapping[str, Mapping[str, Any]] | None = None,
    propensity_kind: str = "",
    reward_window: int | str = 0,
    overwrite: bool = False,
) -> Log:
    """Write a log to the folder `path` (or a URL) from arrays, all rounds at once or in chunks, and open it.

    Each chunk (or `chunks` itself, where it is one) maps columns to arrays with the rounds as first axis: user (n,),
    time (n,) datetime64, context (n, d), candidates (n, C) items, features (n, C, m), rewards and expected (n, C),
    slate (n, L) ITEMS (not indices), clicks and propensities (n, L). known (n, C) and clicks_known (n, L) are the times
    at which a reward, or what came of a position, is known, for delayed feedback. The first chunk fixes the columns and
    widths.
    What else came of the items shown is in outcome_NAME (n, L), NAME of small letters, digits and _, and is declared in
    `outcomes`: {"revenue": {"low": 0, "high": 500, "unit": "EUR"}}. Values may be negative, but none lies outside the
    range. An end that is not known is left out; then policies that need rewards in [0, 1] cannot learn from it.
    Where the candidates, or the slate, differ in number from round to round, that column and those beside it are lists
    of lists, or `Ragged` (values end to end, and the length of each round); in several chunks from the first one on.
    `items` is a table with a row an item in order (`id`, `features` as lists, anything for display) or just their
    number, by default as many as a round has rewards; `users` likewise, with any columns. A table is one of pandas; one
    of Arrow, numbered in a column `item` or `user`, is stored as it is. `name` is by default that of the folder.
    `order` is "time" or "exchangeable"; `propensities` is how they were made: "uniform" (each must be 1/C, within a
    millionth of it), "logged", "estimated" (say by what in provenance["propensity_model"]) or "none" (no such column).
    `propensity_kind` says of what they are probabilities: "position" (the default: the item stands at this place),
    "conditional" (it is chosen given the items above) or "slate" (the whole slate, the same in all of its positions);
    uniform ones are then 1/C, 1/(C - k) and the product of these. `logger` (n,) numbers the logging policies where
    there were several (where it is 1 for lists in uniformly random order, and 0 for those of a ranker, say
    provenance["random_logger"] = 1), `request` (n,) has the ids of the requests, texts that are kept beside the rounds.
    `reward_window`, such as "1 d" or microseconds, is how long after a round its clicks and outcomes still come in:
    what is younger than that at the log's end cannot be judged, see `Log.mature_until`.
    A simulated world may add what it knows: examined (n, L) 0 or 1, attraction (n, C), scores (n, C) of a Plackett-Luce
    logger, and its `click_model` with the keys weights (L, L + 1), goes_on (L,) and fade (see `clickmodel.ClickModel`).

    Everything is checked before it is stored, as `Log.read` does. A log appears whole or not at all. Raises a
    ConfigError for a wrong argument or where a log is in the way and `overwrite` is False, a DataError for
    wrong data.
    """
    fs, target = vacant(path, overwrite)
    options = (
        ("order", order, ORDERS),
        ("propensities", propensities, PROPENSITIES),
        ("propensity_kind", propensity_kind or POSITION, KINDS),
    )
    for option, value, choices in options:
        if value not in choices:
            raise ConfigError(f"{option} is {value!r}; choose one of {', '.join(choices)}")
    if propensity_kind and propensities == "none":
        raise ConfigError(f"{path}: propensity_kind is '{propensity_kind}', but propensities is 'none'")
    chunks = iter([chunks] if isinstance(chunks, Mapping) else chunks)
    if items is None:
        first = next(chunks, {})
        items, chunks = _items_on_offer(first, path), itertools.chain([first] if first else [], chunks)
    item_table = _side_table(items, "item", f"{target}/items.parquet")
    user_table = (
        None if users is None or isinstance(users, int) else _side_table(users, "user", f"{target}/users.parquet")
    )
    info = LogInfo(
        schema=SCHEMA, name=name or Path(target).name, rounds=0, items=item_table.num_rows,
        users=users if isinstance(users, int) else 0 if user_table is None else user_table.num_rows,
        d=0, m=0, p=_list_width(item_table), C=0, L=0, order=order, propensities=propensities, licence=licence,
        attribution=attribution, provenance=dict(provenance or {}), digest="", columns=(),
        click_model=dict(click_model or {}),
        outcomes=dict(outcomes or {}), propensity_kind=kind_in(propensities, propensity_kind),
        reward_window=_window(reward_window),
    )  # fmt: skip
    with _staged(fs, target) as stage:
        digest, info = _write_rounds(stage, target, chunks, info)
        files = {}
        if (ids := stage / requests.FILE).is_file():
            with ids.open("rb") as content:
                files[requests.FILE] = hashlib.file_digest(content, "sha256").hexdigest()
        for file, table in (("items.parquet", item_table), ("users.parquet", user_table)):
            if table is not None:
                pq.write_table(table, stage / file)
                files[file] = hashlib.sha256((stage / file).read_bytes()).hexdigest()
        stored_items = pq.read_table(stage / "items.parquet").to_pandas()
        info = dataclasses.replace(info, files=files, digest=log_digest(digest, stored_items))
        (stage / "log.json").write_text(sealed(info), encoding="utf-8")
    return Log(path)


def vacant(path: str | Path, overwrite: bool) -> tuple[pafs.FileSystem, str]:
    """The place of a log to come, see `schema.locate`. Raises ConfigError where something is in the way: whoever reads
    for long before writing asks first."""
    fs, target = locate(path)
    if isinstance(fs, pafs.LocalFileSystem):
        recover(Path(target))
    if fs.get_file_info(target).type != pafs.FileType.NotFound:
        if not overwrite:
            fault = "exists already. Choose another folder, or replace it with --overwrite (overwrite=True in Python)"
            raise ConfigError(f"{path}: {fault}")
        ours = fs.get_file_info([f"{target}/log.json", f"{target}/items.parquet"])  # the first to come, the last
        if all(file.type == pafs.FileType.NotFound for file in ours):
            raise ConfigError(
                f"{path}: is no log, so it is not overwritten. Choose another folder, or remove it yourself"
            )
    return fs, target


def _items_on_offer(chunk: Mapping[str, Any], path: str | Path) -> int:
    """How many items there are where each round offers all of them: as many as it has rewards."""
    rewards = _as_array(chunk.get("rewards", ()), f"{path}, column rewards")
    if rewards.ndim != 2 or "candidates" in chunk:
        raise ConfigError(f"{path}: how many items there are does not follow from rewards (n, C). Fix: give items = N")
    return int(rewards.shape[1])


def _window(said: int | str) -> int:
    """The window of rewards in microseconds. Raises ConfigError where it is no time."""
    try:
        window = microseconds(said) if isinstance(said, str) and said else int(said or 0)
    except ValueError as error:
        raise ConfigError(f"reward_window: {error}") from error
    if window < 0:
        raise ConfigError(f"reward_window is {window}; it is a time from 0 on, such as '1 d', or microseconds")
    return window


def _write_rounds(
    stage: Path, target: str, chunks: Iterable[Mapping[str, Any]], info: LogInfo
) -> tuple[RoundsDigest, LogInfo]:
    """Check and store the rounds, and the ids of their requests; the sizes found go into the LogInfo returned."""
    file, rest = f"{target}/rounds.parquet", iter(chunks)
    first = next(rest, None)
    if first is None:
        raise DataError(f"{file}: the log is empty. Fix: write at least one round")
    info = _sizes(_rounds_alone(first), info, file)
    named = requests.COLUMN in first
    with (
        _Rounds(stage, file, info) as rounds,
        requests.Writer(stage / requests.FILE, f"{target}/{requests.FILE}") as ids,
    ):
        for chunk in itertools.chain([first], rest):
            if named != (requests.COLUMN in chunk):
                fault = f"the chunk at row {rounds.rows} {'lacks' if named else 'has'} the column {requests.COLUMN}"
                raise DataError(f"{file}: {fault}. Fix: every chunk has the same columns")
            rounds.add(_rounds_alone(chunk))
            if named:
                ids.add(chunk[requests.COLUMN], rounds.rows)
    if not rounds.rows:
        raise DataError(f"{file}: the log is empty. Fix: write at least one round")
    info = dataclasses.replace(info, rounds=rounds.rows, block=rounds.block, sums=rounds.seal)
    most = {name: rounds.most[name] for name in info.ragged}
    return rounds.digest, dataclasses.replace(info, C=most.get("candidates", info.C), L=most.get("slate", info.L))


def _rounds_alone(chunk: Mapping[str, Any]) -> Mapping[str, Any]:
    """A chunk without the ids of requests, which lie beside the rounds."""
    return {name: values for name, values in chunk.items() if name != requests.COLUMN}


def _sizes(chunk: Mapping[str, Any], info: LogInfo, file: str) -> LogInfo:
    """The columns and widths of a log, from its first chunk."""
    unknown = sorted(name for name in chunk if not is_column(name))
    if unknown:
        raise DataError(f"{file}: unknown column {unknown[0]!r}. Fix: the columns are {NAMES}")
    paid = sorted(filter(outcome_in, chunk))
    if "rewards" not in chunk and not ("slate" in chunk and ("clicks" in chunk or paid)):
        raise DataError(f"{file}: no feedback. Fix: give the column rewards, or slate and clicks (or an outcome)")
    for name in ["propensities"] * ("propensities" in chunk) + paid:
        if "slate" not in chunk:
            raise DataError(f"{file}: {name} without a slate. Fix: give the column slate")
    for fault in faults(info.outcomes, chunk):
        raise ConfigError(f"{file}: {fault}")
    if "propensities" not in chunk and info.propensities != "none":
        fault = f"propensities is '{info.propensities}', but the rounds have no column propensities"
        raise ConfigError(f"{file}: {fault}. Give the column, or propensities = 'none'")
    if info.reward_window and "time" not in chunk:
        raise ConfigError(
            f"{file}: a reward_window, but the rounds have no column time. Give it, or leave the window out"
        )
    if "user" in chunk and not info.users:
        raise DataError(f"{file}: a column user, but no users. Fix: give the user table, or the number of users")
    differing = {column_of(name).along for name, values in chunk.items() if is_ragged(values)} - {""}
    for name in differing - set(chunk):
        raise DataError(f"{file}: lists of different lengths, but no column {name}. Fix: give the column {name}")
    shapes = {column: _shape(column, values, differing, file) for column, values in chunk.items()}

    def width(*names: str) -> int:
        return next((shapes[n][1] if len(shapes[n]) > 1 else 1 for n in names if n in shapes), 0)

    C = width("candidates") or info.items
    m = shapes["features"][2] if len(shapes.get("features", ())) == 3 else 0
    if "features" in chunk and not m:
        raise DataError(f"{file}, column features: shape {shapes['features']}. Fix: (rounds, candidates, width)")
    columns = in_order([c for c in chunk if c != "context" or width("context")])
    lists = tuple(name for name in RAGGED if name in differing)
    return dataclasses.replace(
        info, d=width("context"), m=m, C=C, L=width("slate", "clicks", *paid), columns=columns, ragged=lists
    )


def _shape(name: str, values: Any, differing: Collection[str], file: str) -> tuple[int, ...]:
    """The shape of a column of the first chunk; of lists of different lengths that of the longest."""
    if column_of(name).along not in differing:
        return _as_array(values, f"{file}, column {name}").shape
    lists = ragged(values)
    return (len(lists.lengths), int(lists.lengths.max(initial=0)), *lists.values.shape[1:])


class _Rounds:
    """rounds.parquet while it grows: whole row groups are written as soon as they are full."""

    def __init__(self, stage: Path, file: str, info: LogInfo) -> None:
        self.info, self.file, self.rows, self.seal = info, file, 0, ""
        self.most = dict.fromkeys(info.ragged, 0)  # the longest list met
        self.digest = RoundsDigest(info)
        widths = {c: _width(c, info) for c in info.columns}
        row_bytes = sum(stored_dtype(c).itemsize * (1 if w is None else w) for c, w in widths.items())
        self.block = block_rows(row_bytes)
        self._widths = widths
        self._types = {c: _arrow_type(c, None if w is None else w, self._is_ragged(c)) for c, w in widths.items()}
        self._sums: dict[str, list[int]] = {c: [] for c in info.columns}
        self._report = Report(file)
        self._checks = Checks(info, self._report)
        self._waiting: list[dict[str, Any]] = []
        self._waiting_rows = self._waiting_bytes = 0
        schema = pa.schema([pa.field(c, t, nullable=False) for c, t in self._types.items()])
        floats = [f"{c}.list.element" for c in info.columns if pa.types.is_float64(column_of(c).stored)]
        self._writer = pq.ParquetWriter(
            stage / "rounds.parquet",
            schema,
            compression={
                column: "none" if column in floats else "lz4"
                for column in (c if w is None else f"{c}.list.element" for c, w in widths.items())
            },
            use_dictionary=False,
            write_statistics=False,
        )

    def add(self, chunk: Mapping[str, Any]) -> None:
        """Check the rounds of a chunk and store them, or keep them until a row group is full."""
        if set(chunk) - {"context"} != set(self.info.columns) - {"context"}:
            fault = f"the columns {sorted(chunk)} in the chunk at row {self.rows}, after {sorted(self.info.columns)}"
            raise DataError(f"{self.file}: {fault}. Fix: every chunk has the same columns")
        lead = next(iter(chunk.values()))
        n = len(lead.lengths if isinstance(lead, Ragged) else lead)
        if not n:
            return
        columns = {c: self._lists(c, chunk[c], n) if self._is_ragged(c) else self._array(c, chunk[c], n)
                   for c in self.info.columns}  # fmt: skip
        stored = {c: _as_stored(columns[c], c) for c in columns}
        self._checks.block(self.file, self.rows, columns)
        self._report.raise_if_any()
        self.digest.update(stored)
        for name in self.most:
            self.most[name] = max(self.most[name], int(stored[name].lengths.max()))
        self.rows += n
        self._waiting.append(stored)
        self._waiting_rows += n
        self._waiting_bytes += sum(map(_bytes, stored.values()))
        if self._waiting_bytes >= GROUP_BYTES and self._waiting_rows >= self.block:
            self._flush(self._waiting_rows // self.block * self.block)

    def _is_ragged(self, name: str) -> bool:
        return column_of(name).along in self.info.ragged

    def _lists(self, name: str, values: Any, n: int) -> Ragged:
        """A column of lists of different lengths, end to end, in the dtype of a Chunk; always a copy."""
        where = f"{self.file}, column {name}, chunk at row {self.rows}"
        try:
            lists = ragged(values)
        except (ValueError, TypeError) as error:
            raise DataError(f"{where}: no lists of numbers ({error}). Fix: give Ragged(values, lengths)") from error
        lists = lists._replace(values=self._as_numbers(name, lists.values, where))
        m = self.info.m if name == "features" else None
        if lists.values.shape[1:] != (() if m is None else (m,)):
            due = "(values,)" if m is None else f"(candidates, {m})"
            raise DataError(f"{where}: values of shape {lists.values.shape}. Fix: give {due}, end to end")
        if len(lists.lengths) != n or lists.lengths.min() < 0 or lists.lengths.sum() != len(lists.values):
            fault = f"{len(lists.lengths)} lengths with a sum of {lists.lengths.sum()} for {len(lists.values)} values"
            raise DataError(f"{where}: {fault}. Fix: give a length for each of the {n} rounds")
        return Ragged(np.array(lists.values, column_of(name).dtype, order="C"), lists.lengths.copy())

    def _as_numbers(self, name: str, array: np.ndarray, where: str) -> np.ndarray:
        """The values of a column, which must be of its kind; times as microseconds since 1970."""
        column = column_of(name)
        if pa.types.is_timestamp(column.stored):
            if array.dtype.kind != "M":
                raise DataError(f"{where}: type {array.dtype}. Fix: give datetime64 values")
            if np.isnat(array).any():
                row = f" in row {self.rows + int(np.isnat(array).argmax())}" if array.ndim == 1 else ""
                raise DataError(f"{where}: null{row}. Fix: every round has a time")
            return array.astype("datetime64[us]").view(np.int64)
        kinds = "iu" if column.dtype is np.int64 else "biuf" if name == "clicks" or outcome_in(name) else "iuf"
        if array.dtype.kind not in kinds:
            fault = "ragged lists or objects" if array.dtype.kind == "O" else f"type {array.dtype}"
            fix = f"give numbers that fit {column.stored}"
            raise DataError(f"{where}: {fault}. Fix: {fix}, one width in every row, or Ragged from the first chunk on")
        return array

    def _array(self, name: str, values: Any, n: int) -> np.ndarray:
        """A column as (n,) or (n, width), C-contiguous, in the dtype of a Chunk; always a copy."""
        where = f"{self.file}, column {name}, chunk at row {self.rows}"
        array = _as_array(values, where)
        column, width = column_of(name), self._widths[name]
        array = self._as_numbers(name, array, where)
        shape: tuple[int, ...] = (n,) if width is None else (n, width)
        if name == "features":
            fits = array.shape == (n, self.info.C, self.info.m)
        else:
            fits = array.shape == shape or (width == 1 and array.shape == (n,))
        if not fits:
            fault = f"shape {array.shape} where {(n, self.info.C, self.info.m) if name == 'features' else shape} is due"
            raise DataError(f"{where}: {fault}. Fix: one width in the whole log, or Ragged from the first chunk on")
        return np.array(array, dtype=column.dtype, order="C").reshape(shape)

    def _flush(self, rows: int) -> None:
        """Store the first `rows` waiting rows, in whole blocks but for the last of the log, as one row group."""
        waiting = {c: joined([w[c] for w in self._waiting]) for c in self.info.columns}
        rest = {c: _copied(cut(values, rows, self._waiting_rows)) for c, values in waiting.items()}
        group = {c: cut(values, 0, rows) for c, values in waiting.items()}
        self._waiting, self._waiting_rows = [rest], self._waiting_rows - rows
        self._waiting_bytes = sum(map(_bytes, rest.values()))
        for c, values in group.items():
            edges = range(0, rows, self.block)
            self._sums[c] += [checksum(cut(values, at, min(at + self.block, rows))) for at in edges]
        arrays = [_to_arrow(values, self._types[c]) for c, values in group.items()]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._writer.schema), row_group_size=rows)

    def __enter__(self) -> _Rounds:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._writer:
            if kind is None:
                if self._waiting_rows:
                    self._flush(self._waiting_rows)
                sums = json.dumps(self._sums).encode()
                self.seal = seal_of_sums([sums])
                self._writer.add_key_value_metadata({CHECKSUMS: sums})


def _as_array(values: Any, where: str) -> np.ndarray:
    try:
        return np.asarray(values)
    except ValueError as error:
        fix = "one width in every row, or Ragged from the first chunk on"
        raise DataError(f"{where}: ragged lists. Fix: {fix}") from error


def _width(name: str, info: LogInfo) -> int | None:
    width = column_of(name).width
    return None if width is None else width(info)


def _arrow_type(name: str, width: int | None, ragged: bool) -> pa.DataType:
    stored = column_of(name).stored
    if width is None:
        return stored
    return pa.list_(pa.field("element", stored, nullable=False), -1 if ragged else width)


def _as_stored(column: Any, name: str) -> Any:
    """A column in the type in which it is stored; a copy, so that what happens to the column does not reach it."""
    if isinstance(column, Ragged):
        return Ragged(column.values.astype(stored_dtype(name)), column.lengths)
    return column.astype(stored_dtype(name))


def _bytes(column: Any) -> int:
    return sum(part.nbytes for part in column) if isinstance(column, Ragged) else column.nbytes


def _copied(column: Any) -> Any:
    return Ragged(*(part.copy() for part in column)) if isinstance(column, Ragged) else column.copy()


def _to_arrow(values: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(values, Ragged):
        flat, per = values.values.reshape(-1), int(np.prod(values.values.shape[1:], dtype=int))
        edges = pa.array(edges_of(values.lengths * per).astype(np.int32))
        return pa.ListArray.from_arrays(edges, pa.array(flat).view(kind.value_type), type=kind)
    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)).view(kind.value_type), type=kind)
    return pa.array(values).view(kind)


def _side_table(table: pd.DataFrame | pa.Table | int, key: str, file: str) -> pa.Table:
    """The item or user table: `key` numbered 0.., `id`, `features` as lists of one width, whatever else is given."""
    if isinstance(table, pa.Table):
        return _with_feature_lists(table, key, file)
    if isinstance(table, int):
        table = pd.DataFrame({"id": np.arange(table).astype(str)})
    table = table.reset_index(drop=True)
    number = np.arange(len(table), dtype=np.int64)
    if key in table and not np.array_equal(table[key].to_numpy(), number):
        row = int((table[key].to_numpy() != number).argmax())
        fault = f"row {row}, column {key}: {table[key].iloc[row]} where {row} should be"
        raise DataError(f"{file}, {fault}. Fix: number the rows 0.. in order")
    if not len(table):
        raise DataError(f"{file}: the table is empty. Fix: give one row for each {key}")
    rest = table.drop(columns=[key], errors="ignore")
    if "id" not in rest:
        rest.insert(0, "id", number.astype(str))
    try:
        arrow = pa.Table.from_pandas(rest, preserve_index=False).replace_schema_metadata(None)
    except (pa.ArrowException, TypeError) as error:
        raise DataError(f"{file}: cannot be stored ({error}). Fix: one type in each column") from error
    return _with_feature_lists(arrow.add_column(0, key, pa.array(number)), key, file)


def _with_feature_lists(table: pa.Table, key: str, file: str) -> pa.Table:
    if key != "item" or "features" not in table.column_names:
        return table
    at = table.schema.get_field_index("features")
    return table.set_column(at, "features", _feature_lists(table["features"].to_pandas(), file))


def _feature_lists(cells: pd.Series, file: str) -> pa.Array:
    lengths = [len(cell) for cell in cells]
    if len(set(lengths)) > 1:
        row = next(r for r, n in enumerate(lengths) if n != lengths[0])
        fault = f"row {row}, column features: a list of {lengths[row]} after lists of {lengths[0]}"
        raise DataError(f"{file}, {fault}. Fix: one width for all items")
    values = np.array([np.asarray(cell, dtype=np.float64) for cell in cells])
    if not np.isfinite(values).all():
        row = int((~np.isfinite(values)).any(axis=1).argmax())
        raise DataError(f"{file}, row {row}, column features: not a finite number. Fix: fill it in")
    return _to_arrow(values, pa.list_(pa.field("element", pa.float64(), nullable=False), lengths[0]))


def _list_width(items: pa.Table) -> int:
    return items.schema.field("features").type.list_size if "features" in items.column_names else 0


@contextmanager
def _staged(fs: pafs.FileSystem, target: str) -> Iterator[Path]:
    """A temporary folder that becomes `target` when all went well, and vanishes when not; then what was there stays."""
    if isinstance(fs, pafs.LocalFileSystem):
        leftovers.sweep(Path(target).parent)
        with replacing(Path(target)) as stage:
            stage.mkdir()
            yield stage
    else:
        with naming(target), tempfile.TemporaryDirectory(prefix=leftovers.prefix("lersbench")) as folder:
            yield Path(folder)
            _upload(Path(folder), fs, target)


def _upload(stage: Path, fs: pafs.FileSystem, target: str) -> None:
    """Copy a log to a store, log.json last: without it there is no log.

    A store cannot exchange folders. So a log that is there stays until the new one is whole beside it, under `.new`.
    """
    if fs.get_file_info(target).type == pafs.FileType.NotFound:
        _copy_in(stage, fs, target)
        return
    beside = f"{target}.new"
    if fs.get_file_info(beside).type != pafs.FileType.NotFound:
        fs.delete_dir(beside)
    _copy_in(stage, fs, beside)
    try:
        fs.delete_dir(target)
        _copy_in(stage, fs, target)
    except BaseException as error:
        fault = f"{target} could not be replaced ({error}). The new log lies whole at {beside}"
        raise DataError(f"{fault}. Fix: move it to {target}, or run the same command again") from error
    fs.delete_dir(beside)


def _copy_in(stage: Path, fs: pafs.FileSystem, target: str) -> None:
    fs.create_dir(target, recursive=True)
    for source in sorted(stage.iterdir(), key=lambda file: file.name == "log.json"):
        with source.open("rb") as data, fs.open_output_stream(f"{target}/{source.name}") as out:
            shutil.copyfileobj(data, out, 8 << 20)
