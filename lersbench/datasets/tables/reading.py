"""A table in DuckDB: opened, its wanted columns taken in once, checked, and asked with SQL, in a bounded memory.

What does not fit into the memory lies in a folder of the run's own, beside the log, which is removed at the end.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from lersbench.datasets.places import FRAME, places
from lersbench.datasets.tables import headers, parts
from lersbench.datasets.tables.cells import PADDED, Fault, is_text, value_of
from lersbench.errors import ConfigError, DataError
from lersbench.system import leftovers

MEMORY = "320MB"  # of DuckDB; what needs more goes to the folder
THREADS = 4  # at most: each has buffers of its own
EXAMPLES = 3  # rows quoted
LIST = re.compile(r"\s*\[.*\]\s*")  # a list, as text


@contextmanager
def workshop(near: str | Path | None = None) -> Iterator[Workshop]:
    """A database that spills into a temporary folder, beside the local path `near` or where the system has its own."""
    parent = None
    if near is not None and "://" not in str(near):
        parent = Path(near).expanduser().absolute().parent
        parent.mkdir(parents=True, exist_ok=True)
        leftovers.sweep(parent)
    with tempfile.TemporaryDirectory(prefix=leftovers.prefix("lersbench-import"), dir=parent) as folder:
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": MEMORY,
            "threads": min(THREADS, os.cpu_count() or 1),
            "temp_directory": f"{folder}/spill",
            "autoinstall_known_extensions": False,
            "TimeZone": "UTC",
        }
        with duckdb.connect(":memory:", config=settings) as connection:
            connection.execute("SET enable_progress_bar = false")
            yield Workshop(connection, Path(folder))


class Workshop(NamedTuple):
    """A DuckDB connection, and the folder its files lie in."""

    db: duckdb.DuckDBPyConnection
    folder: Path

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.db.execute(query).fetchall()

    def row(self, query: str) -> tuple[Any, ...]:
        (row,) = self.rows(query)
        return row

    def frame(self, query: str) -> pd.DataFrame:
        return self.db.sql(query).to_arrow_table().to_pandas()


@contextmanager
def damage_as_errors(name: str) -> Iterator[None]:
    """What DuckDB and pyarrow say of a file, as a DataError that names it and the fix."""
    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
        if isinstance(error, duckdb.IOException) and "No space left" not in str(error):
            raise _as_data_error(name, str(error)) from error
        fix = "free disk space where the log is to lie"
        raise DataError(f"{name}: neither the memory nor the disk is enough ({_first(error)}). Fix: {fix}") from error
    except (duckdb.OperationalError, duckdb.InvalidInputException, duckdb.ConversionException) as error:
        raise _as_data_error(name, str(error)) from error
    except (pa.ArrowException, OSError, EOFError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        reason = " ".join(str(error).split())
        fix = "give CSV, JSON lines or Parquet, whole"
        raise DataError(f"{name}: cannot be read ({reason}). Fix: {fix}") from error


def _first(error: Exception) -> str:
    return str(error).splitlines()[0]


def _as_data_error(name: str, said: str) -> DataError:
    line, file = re.search(r"CSV Error on Line: (\d+)", said), re.search(r"^ *file = (.*)$", said, re.MULTILINE)
    where = f"{name}, line {line[1]}" if line else name
    if file and Path(file[1]).name != Path(name).name:
        where = f"{name}, {re.sub(r'^[0-9]+-', '', Path(file[1]).name)}, line {line[1] if line else '?'}"
    cells = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", said)
    if cells:
        fix = "the same number in every line; a cell with the separator in it stands in double quotes"
        return DataError(f"{where}: {cells[2]} cells, where the header has {cells[1]}. Fix: {fix}")
    if "not utf-8" in said:
        return headers.not_utf8(where)
    if "unterminated quote" in said:
        return DataError(f"{where}: a quote that is not closed. Fix: close it, or write it twice inside a cell")
    if "Malformed JSON" in said:
        detail = re.search(r"at byte .*", said)
        return DataError(f"{where}: {detail[0].rstrip('. ') if detail else _flat(said)}. Fix: one object a line")
    return DataError(f"{where}: cannot be read ({_flat(said)}). Fix: give CSV, JSON lines or Parquet, whole")


def _flat(said: str) -> str:
    return " ".join(said.split("\n\n")[0].split())


class Table:
    """A table that is open: the names of its columns in order, their types in DuckDB, and how messages call it.

    Attributes:
        relation: the SQL of all of it. kept: what `take` made of it, with the number of each row as `row`.
    """

    def __init__(
        self, work: Workshop, name: str, columns: list[str], relation: str, files: _Files | None, like: str = ""
    ) -> None:
        self.work, self.name, self.columns, self.relation, self._files = work, name, columns, relation, files
        with damage_as_errors(name):
            described = work.rows(f"DESCRIBE SELECT * FROM {like or relation}")
        self.types = dict(zip(columns, (row[1] for row in described), strict=True))
        self.aliases: dict[str, str] = {}

    def take(self, wanted: Mapping[str, str], where: str | None = None) -> None:
        """Read the columns `wanted` (name in DuckDB -> name in the table) into the table `given`; raises a DataError
        where there is no row. With `where` its column `kept` says which rows that holds for. The view `shown` has
        these rows (all, without `where`) with their number in the table as `row`."""
        self.aliases = dict(wanted)
        chosen = [f"{quoted(column)} AS {alias}" for alias, column in wanted.items()]
        if where is not None:
            _check_where(where, self)
            chosen.append(f"coalesce(({where}\n), false) AS kept")
        try:
            with damage_as_errors(self.name):
                self.work.db.execute(f"CREATE TABLE given AS SELECT {', '.join(chosen)} FROM {self.relation}")
        except DataError as error:
            if where is not None and isinstance(error.__cause__, duckdb.ConversionException):
                raise ConfigError(f"--where {where!r}: {_first(error.__cause__)}") from error
            raise
        if not self.work.row("SELECT count(*) FROM given")[0]:
            raise DataError(f"{self.name}: the table is empty, it has no rows. Fix: give one row at least")
        kept = "" if where is None else "WHERE kept"
        self.work.db.execute(f"CREATE VIEW shown AS SELECT rowid AS row, * FROM given {kept}")

    def padded(self, aliases: Sequence[str]) -> dict[str, int]:
        """How many cells of each of these columns of text have blanks round them; those of other types none."""
        texts = [alias for alias in aliases if is_text(self.type_of(alias))]
        counts = ", ".join(f"count(*) FILTER (WHERE {PADDED.format(f'{alias}::VARCHAR')})" for alias in texts)
        found = self.work.row(f"SELECT {counts} FROM shown") if texts else ()
        return dict.fromkeys(aliases, 0) | dict(zip(texts, found, strict=True))

    def lists(self) -> list[str]:
        """The columns that have lists for cells: by their type, or by the text in the first row of a file."""
        by_type = [column for column, kind in self.types.items() if kind.endswith("]")]
        first = [] if self._files is None else self.work.rows(f"SELECT * FROM {self.relation} LIMIT 1")
        texts = [(column, cell) for row in first for column, cell in zip(self.columns, row, strict=True)]
        return by_type + [column for column, cell in texts if isinstance(cell, str) and LIST.fullmatch(cell)]

    def type_of(self, alias: str) -> str:
        return self.types[self.aliases[alias]]

    def check(self, faults: Sequence[Fault], values: Mapping[str, str]) -> None:
        """Raise a DataError for the first of the faults that any row of `shown` has; `values` is what the cell of a
        column becomes, in SQL."""
        become = ", ".join(f"{value} AS {value_of(column)}" for column, value in values.items())
        relation = f"(SELECT *, {become} FROM shown)"
        counted = ", ".join(f"count(*) FILTER (WHERE {fault.wrong})" for fault in faults)
        counts = self.work.row(f"SELECT {counted} FROM {relation}")
        for count, fault in zip(counts, faults, strict=True):
            if count:
                query = f"SELECT row, {fault.column} FROM {relation} WHERE {fault.wrong} ORDER BY row LIMIT {EXAMPLES}"
                raise self.error(fault, count, self.work.rows(query))

    def error(self, fault: Fault, count: int, examples: Sequence[tuple[int, Any]]) -> DataError:
        """The DataError of a fault in `count` rows; `examples` are the first: the row, and what stands there."""
        at = self.places([row for row, _ in examples])
        values = ("" if value is None else f" ({value})" for _, value in examples)
        shown = ", ".join(f"{place}{value}" for place, value in zip(at, values, strict=True))
        rows = "1 row" if count == 1 else f"{count} rows; first"
        fix = fault.fix if isinstance(fault.fix, str) else fault.fix(str(examples[0][1]))
        column = self.aliases.get(fault.column, fault.column)
        return DataError(f"{self.name}, column {column}: {fault.what} in {rows}: {shown}. Fix: {fix}")

    def places(self, rows: Sequence[int]) -> list[str]:
        """Where rows of the table stand, in words; looked up only for messages."""
        return [f"row {row}" for row in rows] if self._files is None else self._files.places(rows)

    @contextmanager
    def named(self) -> Iterator[None]:
        """Errors that name a column of `given` alone name the table, and the column as the user has it."""
        try:
            yield
        except DataError as error:
            column, colon, rest = str(error).removeprefix("column ").partition(":")
            if column not in self.aliases or not colon:
                raise
            raise DataError(f"{self.name}, column {self.aliases[column]}:{rest}") from error


class _Files(NamedTuple):
    """The files of a table, for the places of its rows."""

    work: Workshop
    parts: parts.Parts
    scans: list[str]  # of each part
    separator: str

    def places(self, rows: Sequence[int]) -> list[str]:
        found: dict[int, str] = {}
        start = 0
        for part, scan in zip(self.parts.files, self.scans, strict=True):
            left = sorted({row for row in rows if row >= start} - set(found))
            if not left:
                break
            many = len(self.scans) > 1
            end = start + self.work.row(f"SELECT count(*) FROM {scan}")[0] if many else left[-1] + 1
            inside = [row for row in left if row < end]
            named = places(part.plain, [row - start for row in inside], self.parts.kind, self.separator)
            lead = f"{part.given.name} " if many else ""
            found |= {row: f"{lead}{place}" for row, place in zip(inside, named, strict=True)}
            start = end
        return [found[row] for row in rows]


def opened(
    work: Workshop, source: Any, *, separator: str | None = None, encoding: str | None = None, name: str = "frame"
) -> Table:
    """A file, a folder, a pattern, or a frame (pandas, polars, Arrow) as a Table; `name` is that of its view."""
    if not isinstance(source, str | Path):
        return _of_frame(work, source, name)
    path = Path(source).expanduser()
    with damage_as_errors(str(source)):
        found = parts.find(path, work.folder, encoding)
        if found.kind == parts.CSV:
            return _of_csv(work, str(source), found, separator)
        if found.kind == parts.JSON:
            return _of_json(work, str(source), found)
        return _of_parquet(work, str(source), found)


def _of_csv(work: Workshop, name: str, found: parts.Parts, separator: str | None) -> Table:
    each = [headers.of_csv(part.given, part.plain, separator) for part in found.files]
    parts.lines_up([header.names for header in each], found)
    scans = []
    for part, header in zip(found.files, each, strict=True):
        types = ", ".join(f"c{at}: 'VARCHAR'" for at in range(len(header.names)))
        scans.append(
            f"read_csv({literal(part.plain)}, delim = {literal(header.separator)}, quote = '\"', escape = '\"', "
            f"header = false, skip = {header.lines}, auto_detect = false, compression = 'none', columns = {{{types}}})"
        )
    names = each[0].names
    headers.unlike(names, name)
    renamed = ", ".join(f"c{at} AS {quoted(column)}" for at, column in enumerate(names))
    relation = _together([f"SELECT {renamed} FROM {scan}" for scan in scans])
    return Table(work, name, names, relation, _Files(work, found, scans, each[0].separator))


def _of_json(work: Workshop, name: str, found: parts.Parts) -> Table:
    scans = [f"read_ndjson_objects({literal(part.plain)}, compression = 'none')" for part in found.files]
    lines = _together([f"SELECT json FROM {scan}" for scan in scans])
    query = (
        "SELECT list(DISTINCT key), max(twice), max(other) FROM (SELECT unnest(json_keys(json)) AS key, "
        f"len(json_keys(json)) > len(list_distinct(json_keys(json))) AS twice, false AS other FROM {lines})"
    )
    keys, twice, _ = work.row(query)
    strangers = work.row(f"SELECT count(*) FILTER (WHERE json_type(json) <> 'OBJECT') FROM {lines}")[0]
    if strangers or not keys:
        raise DataError(f"{name}: {strangers or 'all'} lines are no JSON objects with a name. Fix: one object a line")
    if twice:
        raise DataError(f"{name}: an object has one name twice. Fix: rename one of them")
    columns = _in_order(work, lines, keys)
    paths = ", ".join(literal("/" + key.replace("~", "~0").replace("/", "~1")) for key in columns)
    renamed = ", ".join(f"cells[{at + 1}] AS {quoted(column)}" for at, column in enumerate(columns))
    inner = f"SELECT json_extract_string(json, [{paths}]) AS cells FROM {lines}"
    return Table(work, name, columns, f"(SELECT {renamed} FROM ({inner}))", _Files(work, found, scans, ","))


def _in_order(work: Workshop, lines: str, keys: list[str]) -> list[str]:
    """The keys in the order of the first object, then the others sorted."""
    first = work.row(f"SELECT json_keys(json) FROM {lines} LIMIT 1")[0]
    return [*first, *sorted(set(keys) - set(first))]


def _of_parquet(work: Workshop, name: str, found: parts.Parts) -> Table:
    described = []
    for part in found.files:
        with damage_as_errors(str(part.given)):
            schema = pq.read_schema(part.plain)
        headers.unlike(schema.names, part.given)
        described.append([f"{field.name} ({_plain_type(field.type)})" for field in schema])
    parts.lines_up(described, found)
    scans = [f"read_parquet({literal(part.plain)}, binary_as_string = true)" for part in found.files]
    files = ", ".join(literal(part.plain) for part in found.files)
    relation = f"read_parquet([{files}], binary_as_string = true, hive_partitioning = false)"
    return Table(work, name, list(schema.names), relation, _Files(work, found, scans, ","))


def _plain_type(kind: pa.DataType) -> pa.DataType:
    """A type as it is written: parts of one table may differ in how texts are kept in memory."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.string() if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) else kind


def _of_frame(work: Workshop, frame: Any, name: str) -> Table:
    if not (isinstance(frame, pd.DataFrame) or hasattr(frame, "__arrow_c_stream__")):
        kind = type(frame).__name__
        raise ConfigError(f"a table is a pandas frame or a file, a polars or Arrow one too, not a {kind}")
    if isinstance(frame, pd.DataFrame):
        headers.unlike([str(column) for column in frame.columns], FRAME)
        try:
            data: Any = pa.Table.from_pandas(frame.rename(columns=str), preserve_index=False)
        except (pa.ArrowException, TypeError) as error:
            reason = " ".join(str(error).split())
            raise DataError(f"{FRAME}: cannot be read ({reason}). Fix: one type in each column") from error
    else:
        data = pa.RecordBatchReader.from_stream(frame)
    names = list(data.schema.names)
    headers.unlike(names, FRAME)
    work.db.register(name, data)  # which may be read but once
    work.db.register(f"{name}_types", data.schema.empty_table())
    return Table(work, FRAME, names, name, None, like=f"{name}_types")


def _together(selects: list[str]) -> str:
    return "(" + " UNION ALL ".join(selects) + ")"


def _check_where(where: str, table: Table) -> None:
    """Raise a ConfigError where `where` is no condition on the columns of the table."""
    try:
        duckdb.SQLExpression(where)
        words = [where[start:].split(None, 1)[0].strip("()").lower()
                 for start, kind in duckdb.tokenize(where) if kind.name == "keyword"]  # fmt: skip
        if "select" in words or ";" in re.sub(r"'[^']*'|\"[^\"]*\"", "", where):
            raise ConfigError(f"--where {where!r}: a statement; give a condition, such as country = 'DE'.")
        empty = ", ".join(f"NULL::{_castable(kind)} AS {quoted(column)}" for column, kind in table.types.items())
        kind = table.work.row(f"SELECT typeof(({where}\n)) FROM (SELECT {empty})")[0]
    except duckdb.Error as error:
        there = f"the columns are {', '.join(table.columns)}"
        hint = "; cells of text are compared as CAST(price AS DOUBLE) > 10" if "explicit cast" in str(error) else ""
        raise ConfigError(f"--where {where!r}: {_first(error)}; {there}{hint}.") from error
    if kind != "BOOLEAN":
        raise ConfigError(
            f"--where {where!r} is a {kind}, not true or false; give a condition, such as country = 'DE'."
        )


def quoted(name: str) -> str:
    """A name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str | Path) -> str:
    """A text in SQL."""
    return "'" + str(text).replace("'", "''") + "'"


def _castable(kind: str) -> str:
    return "VARCHAR" if kind == '"NULL"' else kind
