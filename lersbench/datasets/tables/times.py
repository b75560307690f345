"""The times of a table: what a cell of a column of times becomes, see the text of this room."""

from __future__ import annotations

from typing import NamedTuple

from lersbench.datasets.tables.cells import EMPTY, Fault, is_number, is_text, missing, refuse_lists, stripped, value_of
from lersbench.datasets.tables.reading import Table, literal
from lersbench.errors import ConfigError, DataError

UNITS = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}  # microseconds of each
ZONE = r"(Z|z| ?UTC|[+-]\d{2}(:?\d{2})?)"
CLOCK = r"\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?"
NAIVE = rf"\d{{4}}-\d{{2}}-\d{{2}}([T ]{CLOCK})?"
ZONED = rf"\d{{4}}-\d{{2}}-\d{{2}}[T ]{CLOCK}{ZONE}"
ISO = "write times like 2024-01-31T23:59:59, or say how they are written: --time-format"


class Times(NamedTuple):
    """A column of times: the SQL of a naive TIMESTAMP, in UTC where the column knows its zone, and the wrong cells."""

    value: str
    zoned: bool
    faults: list[Fault]


def check_format(form: str | None) -> None:
    """Raise a ConfigError for a time format that there is not."""
    if form is not None and form not in ("iso", *UNITS) and "%" not in form:
        known = ", ".join(("iso", *UNITS))
        raise ConfigError(f"--time-format {form!r} is none of {known}, and no pattern such as %d.%m.%Y %H:%M.")


def times(table: Table, column: str, form: str | None = None) -> Times:
    """The times in a `column` of the rows taken of a table, written in the format `form`.

    Raises a DataError where times with and without a zone are mixed, or for numbers of another unit.
    """
    kind = table.type_of(column)
    refuse_lists(column, kind)
    if kind.startswith(("TIMESTAMP", "DATE")):
        if form not in (None, "iso"):
            raise ConfigError(f"--time-format {form}, but the column {table.aliases[column]} holds times ({kind}).")
        zoned = "ZONE" in kind
        value = f"({column} AT TIME ZONE 'UTC')" if zoned else f"{column}::TIMESTAMP"
        return Times(value, zoned, [Fault(column, f"{column} IS NULL", "no value", "fill it in")])
    if not is_text(kind) and not is_number(kind):
        raise DataError(f"column {column}: no times, but the type {kind}. Fix: {ISO}")
    text = stripped(column)
    none = Fault(column, missing(column, kind), "no value", EMPTY)
    if form in UNITS:
        return _epoch(table, column, text, str(form), none)
    if form is not None and "%" in form:
        parsed = f"try_strptime({text}, {literal(form)})"
        zoned = "%z" in form or "%Z" in form
        value = f"({parsed} AT TIME ZONE 'UTC')" if zoned else parsed
        return Times(value, zoned, [none, Fault(column, f"{parsed} IS NULL", f"not a time as {form}", "see the cell")])
    return _iso(table, column, text, none)


def _iso(table: Table, column: str, text: str, none: Fault) -> Times:
    zoned, naive = (f"regexp_full_match({text}, {literal(form)})" for form in (ZONED, NAIVE))
    bare = stripped(column, padded=False)
    fits = f"regexp_full_match({bare}, {literal(NAIVE)})"
    plain, cells = table.work.row(f"SELECT count(*) FILTER (WHERE {fits}), count(*) FROM shown")
    if plain == cells:
        value = f"try_cast({bare} AS TIMESTAMP)"
        return Times(value, False, [Fault(column, f"{value_of(column)} IS NULL", "not a time", ISO)])
    plain, with_zone = table.work.row(
        f"SELECT count(*) FILTER (WHERE {naive}), count(*) FILTER (WHERE {zoned}) FROM shown"
    )
    if plain and with_zone:
        query = "SELECT row, {0} FROM shown WHERE {1} ORDER BY row LIMIT 1"
        first = [table.work.row(query.format(column, form)) for form in (naive, zoned)]
        at = table.places([row for row, _ in first])
        fault = f"{at[0]} has a time without a zone ({first[0][1]}), {at[1]} one with a zone ({first[1][1]})"
        raise DataError(f"column {column}: {fault}. Fix: write all of them with a zone, or none")
    number = f"try_cast({text} AS DOUBLE)"
    value = f"(try_cast({text} AS TIMESTAMPTZ) AT TIME ZONE 'UTC')" if with_zone else f"try_cast({text} AS TIMESTAMP)"
    faults = [
        none,
        Fault(column, f"{number} IS NOT NULL", "numbers, where times are due,", _number_fix),
        Fault(column, f"NOT ({zoned} OR {naive}) OR {value_of(column)} IS NULL", "not a time", ISO),
    ]
    return Times(value, bool(with_zone), faults)


def _number_fix(cell: str) -> str:
    unit = likely_unit(float(cell))
    if unit is None:
        return "write times like 2024-01-31T23:59:59, or rename the column to leave it out"
    return f"say --time-format {unit} (time_format in Python) for times in {WORDS[unit]} since 1970"


WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}


def likely_unit(number: float) -> str | None:
    """The unit in which a number is a time between 1973 and 2286; None where there is none."""
    return next((unit for unit, size in UNITS.items() if 1e14 <= abs(number) * size < 1e16), None)


def _epoch(table: Table, column: str, text: str, form: str, none: Fault) -> Times:
    number = f"try_cast({text} AS DOUBLE)"
    most, row = table.work.row(f"SELECT max({number}), arg_max(row, {number}) FROM shown")
    unit = form if most is None else likely_unit(most)
    if unit not in (None, form):
        (at,) = table.places([row])
        fault = f"{most:.0f} in {at} is no likely number of {WORDS[form]} since 1970"
        raise DataError(f"column {column}: {fault}. Fix: say --time-format {unit}, for {WORDS[str(unit)]}")
    faults = [
        none,
        Fault(column, f"{number} IS NULL", "not a number", f"write {WORDS[form]} since 1970"),
        Fault(column, f"NOT (abs({number}) * {UNITS[form]} < 1e17)", "no time", f"write {WORDS[form]} since 1970"),
    ]
    return Times(f"make_timestamp(round({number} * {UNITS[form]})::BIGINT)", True, faults)
