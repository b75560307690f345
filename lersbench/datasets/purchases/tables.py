"""The tables of a shop: what `transactions.build` needs, and how to read them from files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from lzma import LZMAError
from pathlib import Path
from typing import Any
from zipfile import BadZipFile
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd

from lersbench.datasets.places import PARQUET, places
from lersbench.errors import ConfigError, DataError, did_you_mean
from lersbench.system.unpack import check_text, read_table

COLUMNS = ("customer", "product", "seller", "order", "time", "amount", "quantity")
NEEDED = ("customer", "product", "time")
ZONE = "--timezone Asia/Taipei, say (timezone= in Python)."


@dataclass(frozen=True)
class Tables:
    """A shop's tables, in canonical columns.

    Attributes:
        transactions: one row an order line: customer, product, seller, order (any hashable id), time (naive, in the
            shop's own time zone), amount (money), quantity. Lines with amount or quantity <= 0 are returns. Further
            text columns of few values (payment, shipping) become features of the customers.
        products: product, and any further columns; `category` and text columns of few values become one-hot features,
            numbers become features, other text is for display. May leave out products, or be None.
        customers: customer, and static features treated likewise (no `category`). May be None.
        comments: customer, time: the customer said something (commented, redeemed a coupon) that day. May be None.
        streamers: seller -> streamer number from 0; None: every seller is a streamer.
        streamer_table: streamer (its number, or the seller's name where every seller is one), and numbers known of it
            beforehand, such as its followers. May leave out streamers, or be None.
        facts: where the tables come from; goes into the log's provenance.
    """

    transactions: pd.DataFrame
    products: pd.DataFrame | None = None
    customers: pd.DataFrame | None = None
    comments: pd.DataFrame | None = None
    streamers: pd.Series | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    streamer_table: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        _require(self.transactions, COLUMNS, "transactions")
        keys = {
            "products": ["product"],
            "customers": ["customer"],
            "streamer_table": ["streamer"],
            "comments": ["customer", "time"],
        }
        for attribute, key in keys.items():
            name, table = attribute.removesuffix("_table"), getattr(self, attribute)
            if table is not None:
                _require(table, key, name)
                if key[-1] != "time" and table[key[0]].duplicated().any():
                    twice = table.loc[table[key[0]].duplicated(), key[0]].iloc[0]
                    raise DataError(f"The {name} table has {key[0]} {twice!r} more than once: keep one row of each.")


def _require(table: pd.DataFrame, columns: tuple[str, ...] | list[str], name: str) -> None:
    if len(table) == 0:
        raise DataError(f"The {name} table has no rows.")
    for column in columns:
        if column not in table:
            known = ", ".join(map(str, table.columns))
            raise DataError(f"The {name} table has no column {column!r}; it has {known}.")
        gaps = np.flatnonzero(table[column].isna())
        if len(gaps):
            raise DataError(
                f"The {name} table has {len(gaps)} empty value{'s' if len(gaps) > 1 else ''} in column {column!r}, "
                f"{'the first ' if len(gaps) > 1 else ''}in row {gaps[0]}: fill in what is missing or drop the row."
            )
        if column == "time" and not pd.api.types.is_datetime64_dtype(table[column]):
            raise DataError(f"Column 'time' of the {name} table is {table[column].dtype}, not naive date-times.")


def read_tables(
    transactions: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    products: str | Path | None = None,
    customers: str | Path | None = None,
    comments: str | Path | None = None,
    streamers: str | Path | None = None,
    timezone: str | None = None,
) -> Tables:
    """A shop's tables from CSV or Parquet files.

    Args:
        transactions: the order lines. customer, product and time are needed. Without `seller` there is one seller;
            without `order` all lines of a customer at one time are one order; without `amount` or `quantity` each is 1.
        columns: canonical name -> the file's own name, for columns of any of the files that are called differently.
        products, customers, comments, streamers: optional further files (see `Tables`; `streamers` is its
            `streamer_table`).
        timezone: IANA name of the shop's time zone; times with a zone, and naive times taken as UTC, are converted to
            it. None: naive times are local already, and times with a zone are an error.

    Raises DataError for a file that cannot be read, a missing column or a bad value (with its line in a CSV file, its
    0-based row in a Parquet file); ConfigError for an unknown canonical name in `columns` or an unknown time zone.
    """
    columns = dict(columns or {})
    for canonical in columns:
        if canonical not in COLUMNS:
            hint = did_you_mean(canonical, COLUMNS, "known are")
            raise ConfigError(f"There is no canonical column {canonical!r}{hint}")
    zone = None if timezone is None else _zone(timezone)
    lines = _read(Path(transactions), columns, NEEDED)
    for canonical in columns:
        if canonical not in lines:
            raise DataError(f"{transactions} has no column {columns[canonical]!r}, which should be the {canonical}.")
    lines["time"] = _times(lines["time"], transactions, zone)
    assumed = [name for name in ("seller", "order", "amount", "quantity") if name not in lines]
    if "seller" in assumed:
        lines["seller"] = "shop"
    if "order" in assumed:
        lines["order"] = lines.groupby(["customer", "time"]).ngroup()
    for name in ("amount", "quantity"):
        lines[name] = 1.0 if name in assumed else _numbers(lines[name], name, transactions)
    said = None if comments is None else _read(Path(comments), columns, ("customer", "time"))
    if said is not None and comments is not None:
        said["time"] = _times(said["time"], comments, zone)
    traits = [name for name in lines if name not in COLUMNS and not pd.api.types.is_numeric_dtype(lines[name])]
    return Tables(
        lines[[*COLUMNS, *traits]],
        products=None if products is None else _read(Path(products), columns, ("product",)),
        customers=None if customers is None else _read(Path(customers), columns, ("customer",)),
        comments=said,
        streamer_table=None if streamers is None else _read(Path(streamers), columns, ("streamer",)),
        facts={"transactions": str(transactions), "columns": columns, "timezone": timezone, "assumed": assumed},
    )


def _read(path: Path, columns: Mapping[str, str], needed: tuple[str, ...]) -> pd.DataFrame:
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    parquet = path.suffix in PARQUET
    try:
        if not parquet:
            check_text(path)
        table = read_table(path, str(path)).to_pandas() if parquet else pd.read_csv(path)
    except (OSError, EOFError, ValueError, LZMAError, BadZipFile) as error:
        raise DataError(f"{path} cannot be read as {'Parquet' if parquet else 'CSV'}: {error}") from error
    mapped = {column: canonical for canonical, column in columns.items() if column in table}
    hidden = [canonical for column, canonical in mapped.items() if canonical != column and canonical in table]
    table = table.drop(columns=hidden).rename(columns=mapped)
    for name in needed:
        if name not in table:
            raise DataError(
                f"{path} has no column {columns.get(name, name)!r}; it has {', '.join(map(str, table.columns))}. "
                f"Say which of them is the {name} by mapping {name}=COLUMN."
            )
    for name in {*needed, *(COLUMNS if needed is NEEDED else ())} & set(table.columns):
        _refuse(table[name].isna().to_numpy(), table[name], name, path, "fill in what is missing or drop the row")
    return table


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f"timezone = {name!r} is no time zone; write it as Asia/Taipei or UTC.") from error


def _times(values: pd.Series, path: str | Path, timezone: ZoneInfo | None) -> pd.Series:
    if not pd.api.types.is_datetime64_any_dtype(values):
        try:
            parsed = pd.to_datetime(values, errors="coerce", format="ISO8601", utc=timezone is not None)
        except ValueError as error:
            raise DataError(
                f"{path}: the times in column 'time' are of several zones; say the shop's: {ZONE}"
            ) from error
        _refuse(parsed.isna().to_numpy(), values, "time", path, "write times as 2017-07-01 13:45:00")
        values = parsed
    aware = getattr(values.dt, "tz", None) is not None
    if timezone is None:
        if aware:
            raise DataError(f"{path}: column 'time' has a time zone ({values.dt.tz}); say the shop's: {ZONE}")
        return values
    values = values if aware else values.dt.tz_localize("UTC")
    return values.dt.tz_convert(timezone).dt.tz_localize(None)


def _numbers(values: pd.Series, name: str, path: str | Path) -> pd.Series:
    parsed = pd.to_numeric(values, errors="coerce")
    _refuse(~np.isfinite(parsed.to_numpy(float)), values, name, path, "write plain numbers")
    return parsed


def _refuse(bad: np.ndarray, values: pd.Series, name: str, path: str | Path, fix: str) -> None:
    rows = np.flatnonzero(bad)
    if len(rows):
        (place,) = places(path, rows[:1])
        value = values.iloc[rows[0]]
        what = "empty value" if pd.isna(value) else "bad value"
        quoted = "" if pd.isna(value) else f" {getattr(value, 'item', lambda: value)()!r}"
        problem = (
            f"1 {what} in column {name!r}," if len(rows) == 1 else f"{len(rows)} {what}s in column {name!r}, first"
        )
        raise DataError(f"{path}: {problem}{quoted} in {place}: {fix}.")
