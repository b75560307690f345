"""A shop's tables from files: ids as text, columns of any of the files by names of ours, joins counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd

from lersbench.datasets.options import TableOptions
from lersbench.datasets.purchases.tables import COLUMNS, Tables
from lersbench.datasets.selections import Selections
from lersbench.datasets.tables import cells, reading
from lersbench.datasets.tables.reading import Table, Workshop, quoted
from lersbench.datasets.tables.times import Times, check_format, times
from lersbench.errors import ConfigError, DataError, did_you_mean

NEEDED = ("customer", "product", "time")
IDS = ("customer", "product", "seller", "order", "streamer", "category")
ZONE = "say the shop's: --timezone Asia/Taipei, say (timezone= in Python)"
FILL = "fill in what is missing or drop the row"
FEW = 0.1  # the share of cells that are no numbers up to which a column seems to be meant as numbers


def read_tables(
    transactions: Any,
    *,
    columns: Mapping[str, str] | None = None,
    products: Any = None,
    customers: Any = None,
    comments: Any = None,
    streamers: Any = None,
    timezone: str | None = None,
    **values: Any,
) -> Tables:
    """A shop's tables from files (CSV, JSON lines or Parquet, in parts or not) or frames; see `datasets.tables`.

    Args:
        transactions: the order lines. customer, product and time are needed. Without `seller` there is one seller;
            without `order` all lines of a customer at one time are one order; without `amount` or `quantity` each is 1.
        columns: canonical name -> the file's own name, for columns of any of the files that are called differently.
        products, customers, comments, streamers: optional further files (see `Tables`; `streamers` is its
            `streamer_table`). Ids and categories are text; any other column of text whose cells are all numbers, none
            of them with a zero in front, is numbers.
        timezone: IANA name of the shop's time zone; times with a zone, and naive times taken as UTC, are converted to
            it. None: naive times are local already, and times with a zone are an error.
        values: those of `TableOptions`; `where` is of the transactions.

    Raises DataError for a file that cannot be read, a missing column, a bad value (with its line in a text file, its
    0-based row in a Parquet file), or a table of which no row meets the transactions; ConfigError for an unknown
    canonical name in `columns` or an unknown time zone.
    """
    columns, options, selections = dict(columns or {}), TableOptions(**values), Selections()
    for canonical in columns:
        if canonical not in COLUMNS:
            hint = did_you_mean(canonical, COLUMNS, "known are")
            raise ConfigError(f"There is no canonical column {canonical!r}{hint}")
    check_format(options.time_format)
    zone = None if timezone is None else _zone(timezone)
    reader = _Reader(columns, zone, options, selections)
    lines = reader.frame(transactions, NEEDED, lines=True)
    for canonical in columns:
        if canonical not in lines:
            raise DataError(f"{transactions} has no column {columns[canonical]!r}, which should be the {canonical}.")
    assumed = [name for name in ("seller", "order", "amount", "quantity") if name not in lines]
    if "seller" in assumed:
        lines["seller"] = "shop"
    if "order" in assumed:
        lines["order"] = lines.groupby(["customer", "time"]).ngroup()
    for name in {"amount", "quantity"} & set(assumed):
        lines[name] = 1.0
    traits = [name for name in lines if name not in COLUMNS and not pd.api.types.is_numeric_dtype(lines[name])]
    others = {
        "product": reader.optional(products, ("product",)),
        "customer": reader.optional(customers, ("customer",)),
        "comment": reader.optional(comments, ("customer", "time")),
        "streamer": reader.optional(streamers, ("streamer",)),
    }
    _tell_joins(lines, others, selections)
    source = reading.FRAME if isinstance(transactions, pd.DataFrame) else str(transactions)
    return Tables(
        lines[[*COLUMNS, *traits]],
        products=others["product"],
        customers=others["customer"],
        comments=others["comment"],
        streamer_table=others["streamer"],
        facts={
            "transactions": source, "columns": columns, "timezone": timezone, "assumed": assumed, **selections.facts,
        },
    )  # fmt: skip


def _tell_joins(lines: pd.DataFrame, others: Mapping[str, pd.DataFrame | None], selections: Selections) -> None:
    """Say how many rows of each table meet the others; a DataError where none does."""
    for name, looked_up in (("product", "product"), ("customer", "customer"), ("streamer", "seller")):
        table = others[name]
        if table is not None:
            met = int(lines[looked_up].isin(table[name]).sum())
            there, here = table[name].iloc[0], lines[looked_up].iloc[0]
            fix = f"write the same ids in both; the table has {there!r}, say, the order lines {here!r}"
            selections.joined(f"order lines with the {name} table", len(lines), met, fix)
    comments = others["comment"]
    if comments is not None:
        met = int(comments["customer"].isin(lines["customer"]).sum())
        fix = f"write the same customers in both; comments have {comments['customer'].iloc[0]!r}, say"
        selections.joined("comments with the customers of the order lines", len(comments), met, fix)


class _Reader:
    """Reads the files of one shop, one after the other."""

    def __init__(
        self, columns: Mapping[str, str], zone: ZoneInfo | None, options: TableOptions, selections: Selections
    ) -> None:
        self.columns, self.zone, self.options, self.selections = columns, zone, options, selections

    def optional(self, source: Any, needed: Sequence[str]) -> pd.DataFrame | None:
        return None if source is None else self.frame(source, needed)

    def frame(self, source: Any, needed: Sequence[str], lines: bool = False) -> pd.DataFrame:
        """A table with its columns under canonical names; `lines`: it is that of the transactions."""
        with reading.workshop() as work:
            table = reading.opened(work, source, separator=self.options.separator, encoding=self.options.encoding)
            names = self._names(table, needed)
            with reading.damage_as_errors(table.name), table.named():
                table.take(
                    {f"c{at}": column for at, column in enumerate(names.values())},
                    (lines and self.options.where) or None,
                )
                if lines and self.options.where:
                    self._tell_where(work)
                return self._read(table, list(names), needed, lines)

    def _names(self, table: Table, needed: Sequence[str]) -> dict[str, str]:
        """Canonical name -> that of the table, for all of its columns but those that are hidden by another's name."""
        mapped = {column: canonical for canonical, column in self.columns.items() if column in table.columns}
        names = {mapped.get(column, column): column for column in table.columns if column in mapped}
        names |= {column: column for column in table.columns if column not in mapped and column not in names}
        for name in needed:
            if name not in names:
                raise DataError(
                    f"{table.name} has no column {self.columns.get(name, name)!r}; it has {', '.join(table.columns)}. "
                    f"Say which of them is the {name} by mapping {name}=COLUMN."
                )
        order = [mapped.get(column, column) for column in table.columns]
        return {name: names[name] for name in order if name in names and names[name] in table.columns}

    def _tell_where(self, work: Workshop) -> None:
        rows, kept = work.row("SELECT count(*), count(*) FILTER (WHERE kept) FROM given")
        self.selections.repaired(f"--where {self.options.where!r}", f"{rows - kept:,} of {rows:,} order lines left out")
        if not kept:
            raise DataError("--where leaves no order line. Fix: a condition that holds for some")

    def _read(self, table: Table, names: Sequence[str], needed: Sequence[str], lines: bool) -> pd.DataFrame:
        aliases = {name: f"c{at}" for at, name in enumerate(names)}
        padded = table.padded([alias for name, alias in aliases.items() if name in IDS])
        for alias, count in padded.items():
            if count:
                self.selections.repaired(f"column {table.aliases[alias]}", f"blanks round {count:,} cells taken off")
        values, faults = dict[str, str](), list[cells.Fault]()
        for name, alias in aliases.items():
            due = name in needed or (lines and name in COLUMNS)
            value, wrong = self._cell(table, name, alias, due, padded.get(alias, 0) > 0)
            values[alias] = value
            faults += wrong
        table.check(faults, values)
        named = ", ".join(f"{values[alias]} AS {quoted(name)}" for name, alias in aliases.items())
        return table.work.frame(f"SELECT {named} FROM shown ORDER BY row")

    def _cell(self, table: Table, name: str, alias: str, due: bool, padded: bool) -> tuple[str, list[cells.Fault]]:
        """The SQL of a cell, and what may be wrong with it."""
        kind = table.type_of(alias)
        if name in IDS:
            rule = cells.identity(alias, kind, padded, FILL)
            return rule.value, rule.faults[0 if due else 1 :]
        if name == "time" and due:
            found = times(table, alias, self.options.time_format)
            return self._local(found, table), found.faults
        if name in ("amount", "quantity") and due:
            rule = cells.number(alias, kind, FILL)
            return rule.value, rule.faults
        if cells.is_text(kind):
            return self._guessed(table, alias), []
        return alias, []

    def _local(self, found: Times, table: Table) -> str:
        """The shop's own time."""
        if self.zone is None:
            if found.zoned:
                raise DataError(f"{table.name}: the times of column 'time' have a zone, or several zones; {ZONE}.")
            return found.value
        return f"(({found.value} AT TIME ZONE 'UTC') AT TIME ZONE {reading.literal(self.zone.key)})"

    def _guessed(self, table: Table, alias: str) -> str:
        """Text whose cells are all numbers, none with a zero in front, as numbers; other text as it is."""
        text = cells.stripped(alias)
        number, led = f"try_cast({text} AS DOUBLE)", f"regexp_matches({text}, '^[+-]?0[0-9]')"
        strange = f"({text} IS NOT NULL AND NOT coalesce(isfinite({number}), false))"
        counts = [f"count({text})", *(f"count(*) FILTER (WHERE {one})" for one in (strange, led))]
        there, odd, zeros = table.work.row(f"SELECT {', '.join(counts)} FROM shown")
        if there and not odd and not zeros:
            return number
        if 0 < odd <= FEW * there and not zeros:
            row, cell = table.work.rows(f"SELECT row, {text} FROM shown WHERE {strange} ORDER BY row LIMIT 1")[0]
            (at,) = table.places([row])
            few = f"{odd:,} of {there:,} cells are no numbers ({at}: {cell})"
            self.selections.repaired(f"column {table.aliases[alias]}", f"is text, for {few}; empty them for numbers")
        return text


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f"timezone = {name!r} is no time zone; write it as Asia/Taipei or UTC.") from error
