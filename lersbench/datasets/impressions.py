"""A flat impressions table of the user's own (one row an item shown), a file or a frame, as a log of ranked lists."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from lersbench.datasets.hashed import hashed_numbers, hashed_order
from lersbench.datasets.options import ListOptions
from lersbench.datasets.places import FRAME, PARQUET, places
from lersbench.errors import ConfigError, DataError, did_you_mean
from lersbench.log import Log, write
from lersbench.log.schema import UNIFORM_TOLERANCE
from lersbench.system.unpack import check_text, read_table

NEEDED = ("request", "position", "item", "click")
OPTIONAL = ("propensity", "time", "user")
LABELS = ("request", "item", "user")  # kept as text: "007" is not 7
CHUNK_ROWS = 200_000  # rows of the table handed to the writer at a time


def build(
    source: str | Path | pd.DataFrame,
    out: str | Path,
    columns: Mapping[str, str] = MappingProxyType({}),
    features: Sequence[str] = (),
    *,
    context: Sequence[str] = (),
    **values: Any,
) -> Log:
    """Turn the impressions in a CSV or Parquet file, or in a frame, into a log at `out`, one round a request; `values`
    are those of `ListOptions`.

    `columns` maps request, position, item, click and, where there are any, propensity, time and user to the
    names in the table; a name left out is looked for as it is, and the last three may be missing. Columns that
    are not used are listed in the log's provenance. `features` names
    numeric columns that describe the item in the request, `context` numeric columns that are the same in all
    rows of a request. Positions count from 0 or from 1. Rounds are in the order of their first time where
    there is a time, else as the requests appear.

    Requests must all be of one length; with `length`, longer ones are cut to their top `length` positions
    and shorter ones are left out (both are counted in the log's provenance). `candidates` is "shown" (a round
    offers the items it showed; the default where there are features) or "all" (every item of the table; the
    default otherwise, and not possible with features). `propensities` says how they were made: "logged"
    (the default where there is such a column), "estimated", or "uniform": then each must be 1/C of the C
    candidates (those shown, or all), within a millionth of it.

    The table is held in memory, the log is not. Raises a ConfigError for wrong arguments and a DataError that
    names the line of a CSV file (the header is line 1) or the row of a Parquet file or a frame (0-based) for wrong
    data.
    """
    options = ListOptions(**values)
    _check_arguments(columns, features, options.candidates)
    if not isinstance(source, str | Path | pd.DataFrame):
        raise ConfigError(f"impressions are a pandas frame or a file, not a {type(source).__name__}")
    where = FRAME if isinstance(source, pd.DataFrame) else str(source)
    present = _present(source)
    names = _names(columns, features, context, present)
    made = _made(options.propensities, names)
    table = _read(source, where, names, (*features, *context))
    flat = _Flat(where, names, table)
    flat.check_cells((*features, *context))
    rows, dropped, cut = flat.lists(options.length)
    flat.check_requests(rows, context)
    item, item_ids = _numbered(table[names["item"]], "item")
    user = users = None
    if "user" in names:
        user, user_ids = _numbered(table[names["user"]], "user")
        users = pd.DataFrame({"id": user_ids.astype(str)})
    shown = options.candidates == "shown" or (options.candidates is None and bool(features))
    if made == "uniform":
        flat.check_uniform(rows, rows.shape[1] if shown else len(item_ids))
    provenance = {
        "source": where,
        "columns": dict(names),
        "columns ignored": [column for column in present if column not in {*names.values(), *features, *context}],
        "features": list(features),
        "context": list(context),
        "candidates": "shown" if shown else "all",
        "impressions": len(table),
        "requests left out (too short)": dropped,
        "requests cut (too long)": cut,
    }
    return write(
        out,
        _chunks(table, names, rows, item, user, features, context, shown),
        name=options.name or ("impressions" if isinstance(source, pd.DataFrame) else Path(source).stem),
        items=pd.DataFrame({"id": item_ids.astype(str)}),
        users=users,
        order="time" if "time" in names else "exchangeable",
        propensities=made,
        licence=options.licence,
        attribution=options.attribution,
        provenance=provenance,
        overwrite=options.overwrite,
    )


def _numbered(ids: pd.Series, what: str) -> tuple[np.ndarray, np.ndarray]:
    """The number of each id, by a hash, and the ids by number: their own order may know what is clicked."""
    code, known = pd.factorize(ids)
    return hashed_numbers(known, what)[code], np.asarray(known)[hashed_order(known, what)]


def describe(log: Log) -> list[str]:
    """Which columns of the table went into the log under which name, and which were ignored, in two lines."""
    facts = log.info.provenance
    used = [ours if ours == theirs else f"{ours} (your {theirs})" for ours, theirs in facts["columns"].items()]
    used += [f"{column} (a feature)" for column in facts["features"]]
    used += [f"{column} (context)" for column in facts["context"]]
    return [f"columns used: {', '.join(used)}", f"columns ignored: {', '.join(facts['columns ignored']) or 'none'}"]


def _check_arguments(columns: Mapping[str, str], features: Sequence[str], candidates: str | None) -> None:
    for key in columns:
        if key not in (*NEEDED, *OPTIONAL):
            hint = did_you_mean(key, (*NEEDED, *OPTIONAL), "known are")
            raise ConfigError(f"impressions have no column {key!r} to map{hint}")
    if candidates == "all" and features:
        raise ConfigError('the table has features of the items shown only; use candidates = "shown" with features')


def _names(
    columns: Mapping[str, str], features: Sequence[str], context: Sequence[str], present: Collection[str]
) -> dict[str, str]:
    """The name in the table of every column that is used: as mapped, else our own where the table has it."""
    names = {key: columns.get(key, key) for key in NEEDED}
    taken = {*names.values(), *columns.values(), *features, *context}
    names |= {key: columns.get(key, key) for key in OPTIONAL if key in columns or key in {*present} - taken}
    used = [*names.values(), *features, *context]
    for column in used:
        if used.count(column) > 1:
            raise ConfigError(f"the column {column!r} of the table is used twice")
    return names


def _made(propensities: str | None, names: Mapping[str, str]) -> str:
    """How the propensities were made: as claimed, but never without a column that bears the claim out."""
    if propensities is None:
        return "logged" if "propensity" in names else "none"
    if "propensity" not in names:
        problem = f"propensities are said to be {propensities}, but the table has no column propensity"
        raise ConfigError(f"{problem}. Name it with --column propensity=YOURS, or leave --propensities out")
    return propensities


def _present(source: str | Path | pd.DataFrame) -> list[str]:
    """The columns of the table."""
    if isinstance(source, pd.DataFrame):
        return [str(column) for column in source.columns]
    path = Path(source)
    with _damage_as_errors(path):
        if path.suffix in PARQUET:
            return list(pq.read_schema(path).names)
        check_text(path)
        with pa.csv.open_csv(path) as stream:
            return list(stream.schema.names)


@contextmanager
def _damage_as_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file. Fix: give a CSV or Parquet file") from error
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path}: cannot be read ({reason}). Fix: give a CSV or a file that ends in .parquet"
        ) from error


def _read(
    source: str | Path | pd.DataFrame, where: str, names: Mapping[str, str], numbers: Sequence[str]
) -> pd.DataFrame:
    """The columns needed of a CSV or Parquet file, or of a frame; labels as text."""
    wanted = [*names.values(), *numbers]
    text = [names[key] for key in LABELS if key in names]
    present = _present(source)
    missing = [column for column in wanted if column not in present]
    if missing:
        problem = f"the column {missing[0]} is missing; there are {', '.join(present)}"
        raise DataError(
            f"{where}: {problem}. Fix: say which column it is: --column request=query_id, or --columns FILE (in "
            'Python: columns={"request": "query_id"})'
        )
    if isinstance(source, pd.DataFrame):
        return _of_frame(source, wanted, text)
    path = Path(source)
    with _damage_as_errors(path):
        if path.suffix in PARQUET:
            arrow = _with_text(read_table(path, where, wanted), text)
        else:
            convert = pa.csv.ConvertOptions(
                include_columns=wanted,
                column_types=dict.fromkeys(text, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
            )
            arrow = pa.csv.read_csv(path, convert_options=convert)
    return arrow.to_pandas()


def _of_frame(frame: pd.DataFrame, wanted: list[str], text: list[str]) -> pd.DataFrame:
    """The same columns of a frame as of a Parquet file of it, with rows numbered anew."""
    twice = [column for column in wanted if list(frame.columns).count(column) > 1]
    if twice:
        raise DataError(f"{FRAME}: two columns are called {twice[0]}. Fix: rename one of them")
    try:
        return _with_text(pa.Table.from_pandas(frame[wanted], preserve_index=False), text).to_pandas()
    except (pa.ArrowException, TypeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{FRAME}: cannot be read ({reason}). Fix: one type in each column") from error


def _with_text(table: pa.Table, text: list[str]) -> pa.Table:
    return table.cast(pa.schema([f.with_type(pa.string()) if f.name in text else f for f in table.schema]))


class _Flat:
    """The table with the checks that need to know its rows."""

    def __init__(self, path: str, names: Mapping[str, str], table: pd.DataFrame) -> None:
        self.path, self.names, self.table = path, names, table
        if not len(table):
            raise DataError(f"{path}: the table is empty. Fix: give at least one impression")

    def _refuse(self, wrong: Any, column: str, what: str, fix: str) -> None:
        rows = np.flatnonzero(np.asarray(wrong))
        if len(rows):
            shown = zip(places(self.path, rows[:3]), rows[:3], strict=True)
            first = ", ".join(f"{place} ({self.table[column].iloc[r]})" for place, r in shown)
            count = "1 row" if len(rows) == 1 else f"{len(rows)} rows; first"
            raise DataError(f"{self.path}, column {column}: {what} in {count}: {first}. Fix: {fix}")

    def check_cells(self, numbers: Sequence[str]) -> None:
        """Every cell by itself: nulls, types and ranges; the time becomes a naive UTC time."""
        names, table = self.names, self.table
        for column in table.columns:
            self._refuse(table[column].isna(), column, "no value", "fill it in, or drop the whole request")
        for key in ("position", "click", "propensity"):
            if key in names:
                self._numeric(names[key])
        for column in numbers:
            self._numeric(column)
            self._refuse(~np.isfinite(table[column].astype(np.float64)), column, "not a finite number", "fill it in")
        position, click = table[names["position"]], table[names["click"]].astype(np.float64)
        self._refuse(position != np.floor(position), names["position"], "not a whole number", "number from 0 or 1")
        self._refuse(~click.isin((0.0, 1.0)), names["click"], "click not in {0, 1}", "write 1 for a click, else 0")
        if "propensity" in names:
            value = table[names["propensity"]]
            fix = "store the probability with which the logging policy chose the item"
            self._refuse(~((value > 0) & (value <= 1)), names["propensity"], "propensity outside (0, 1]", fix)
        if "time" in names:
            self._parse_time(names["time"])

    def _numeric(self, column: str) -> None:
        kind = self.table[column].dtype
        if not (pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind)):
            parsed = pd.to_numeric(self.table[column], errors="coerce")
            fix = "write numbers; a click is 1 or 0"
            self._refuse(parsed.isna(), column, f"not a number (the column is {kind})", fix)
            self.table[column] = parsed

    def _parse_time(self, column: str) -> None:
        if pd.api.types.is_numeric_dtype(self.table[column].dtype):
            problem = f"{self.path}, column {column}: numbers such as {self.table[column].iloc[0]}"
            raise DataError(
                f"{problem}. Fix: write times like 2024-01-31T23:59:59, or rename the column to leave it out"
            )
        parsed = pd.to_datetime(self.table[column], errors="coerce", utc=True, format="ISO8601")
        self._refuse(parsed.isna(), column, "not a time", "write times like 2024-01-31T23:59:59")
        self.table[column] = parsed.dt.tz_localize(None)

    def lists(self, length: int | None) -> tuple[np.ndarray, int, int]:
        """Rows of the table, (requests, L) in the order of the rounds, top first; requests left out, and cut."""
        names, table = self.names, self.table
        request, _ = pd.factorize(table[names["request"]])
        position = table[names["position"]].to_numpy(dtype=np.int64)
        order = np.lexsort((position, request))
        sizes = np.bincount(request)
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        base = int(position.min())
        rank = np.empty(len(table), dtype=np.int64)
        rank[order] = np.arange(len(table)) - np.repeat(starts, sizes)
        if base not in (0, 1):
            self._refuse(position == base, names["position"], "the lowest position", "number positions from 0 or 1")
        fix = f"number the positions of each request {base}, {base + 1}, ... without a gap or a repetition"
        counted = rank < length if length else np.ones(len(table), dtype=bool)
        self._refuse(counted & (position - base != rank), names["position"], "position out of sequence", fix)
        if length is None:
            length = int(np.bincount(sizes).argmax())  # a single odd request must not blame all others
            fix = "give a length: longer requests are then cut and shorter ones left out"
            uneven = (sizes[request] != length) & (rank == 0)
            self._refuse(uneven, names["request"], f"a request that has not {length} rows", fix)
        kept = np.flatnonzero(sizes >= length)
        if not len(kept):
            problem = f"no request has {length} rows, the longest has {sizes.max()}"
            raise DataError(f"{self.path}: {problem}. Fix: give a smaller length")
        rows = order[starts[kept][:, None] + np.arange(length)]
        if "time" in names:
            rows = rows[np.argsort(table[names["time"]].to_numpy()[rows].min(axis=1), kind="stable")]
        return rows, int((sizes < length).sum()), int((sizes > length).sum())

    def check_uniform(self, rows: np.ndarray, candidates: int) -> None:
        """Every propensity in `rows` must be that of a uniform draw from the candidates."""
        column, share = self.names["propensity"], 1.0 / candidates
        value = self.table[column].to_numpy(dtype=np.float64)
        wrong = np.zeros(len(value), dtype=bool)
        wrong[rows] = np.abs(value[rows] - share) > UNIFORM_TOLERANCE * share
        fix = f"say logged or estimated; a uniform choice from the {candidates} candidates has {share:.6g} everywhere"
        self._refuse(wrong, column, f"propensity not 1/{candidates}, though said to be uniform", fix)

    def check_requests(self, rows: np.ndarray, context: Sequence[str]) -> None:
        """What must hold inside a request: one user, one context, distinct items."""
        names, table = self.names, self.table
        for column in [*context, *([names["user"]] if "user" in names else [])]:
            values = pd.factorize(table[column])[0][rows]
            wrong = np.zeros(len(table), dtype=bool)
            wrong[rows[values != values[:, :1]]] = True
            self._refuse(wrong, column, "differs from the top row of its request", "one value a request")
        item = pd.factorize(table[names["item"]])[0][rows]
        order = np.argsort(item, axis=1, kind="stable")
        again = np.diff(np.take_along_axis(item, order, axis=1), axis=1) == 0
        wrong = np.zeros(len(table), dtype=bool)
        wrong[np.take_along_axis(rows, order, axis=1)[:, 1:][again]] = True
        self._refuse(wrong, names["item"], "item shown twice in a request", "keep one of them and close the gap")


def _chunks(
    table: pd.DataFrame,
    names: Mapping[str, str],
    rows: np.ndarray,
    item: np.ndarray,
    user: np.ndarray | None,
    features: Sequence[str],
    context: Sequence[str],
    shown: bool,
) -> Iterator[dict[str, np.ndarray]]:
    """The rounds, a bounded number of impressions at a time."""
    joint = [table[column].to_numpy() for column in features]
    shared = [table[column].to_numpy() for column in context]
    step = max(CHUNK_ROWS // rows.shape[1], 1)
    for start in range(0, len(rows), step):
        lists = rows[start : start + step]
        top = lists[:, 0]
        chunk = {"slate": item[lists], "clicks": table[names["click"]].to_numpy()[lists]}
        if shown:
            chunk["candidates"] = np.sort(chunk["slate"], axis=1)
        if joint:
            by_item = np.take_along_axis(lists, np.argsort(chunk["slate"], axis=1), axis=1)
            chunk["features"] = np.stack([column[by_item] for column in joint], axis=2)
        if shared:
            chunk["context"] = np.stack([column[top] for column in shared], axis=1)
        if "propensity" in names:
            chunk["propensities"] = table[names["propensity"]].to_numpy()[lists]
        if user is not None:
            chunk["user"] = user[top]
        if "time" in names:
            chunk["time"] = table[names["time"]].to_numpy()[lists].min(axis=1)
        yield chunk
