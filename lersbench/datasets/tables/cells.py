"""The rules of ids and numbers in SQL: what a cell becomes, and which cells are wrong. See the text of this room."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from lersbench.errors import DataError

BLANKS = "' \t\r\n' || chr(160) || chr(65279)"  # what is taken off round a cell: with the space that does not break
PADDED = r"regexp_matches({0}, '^[\s\x{{A0}}\x{{FEFF}}]|[\s\x{{A0}}\x{{FEFF}}]$')"
WHOLE = (
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "UHUGEINT",
)
FLOATING = ("FLOAT", "DOUBLE", "HALF")
EMPTY = "fill it in, or drop the whole request"
ONE_A_ROW = 'write one row an item shown, without lists in cells (in pandas: frame.explode(["item", "click"]))'


class Fault(NamedTuple):
    """Cells that are wrong: `column` of the table in DuckDB, a condition in SQL, what to say, and the fix.

    In the condition the column stands for the cell as it came, `value_of(column)` for what it becomes.
    """

    column: str
    wrong: str
    what: str
    fix: str | Callable[[str], str]  # of the first wrong cell, as text


class Cell(NamedTuple):
    """A column with its rule: the SQL of its value, and what can be wrong, the first that applies first."""

    value: str
    faults: list[Fault]


def value_of(column: str) -> str:
    return f"value_of_{column}"


def missing(column: str, kind: str) -> str:
    """The condition that a cell is missing."""
    if kind in FLOATING:
        return f"({column} IS NULL OR isnan({column}))"
    return f"{stripped(column)} IS NULL" if is_text(kind) else f"{column} IS NULL"


def is_text(kind: str) -> bool:
    return kind in ("VARCHAR", "JSON") or kind.startswith("ENUM")


def is_number(kind: str) -> bool:
    return kind in (*WHOLE, *FLOATING, "BOOLEAN") or kind.startswith("DECIMAL")


def stripped(column: str, padded: bool = True) -> str:
    """A text without the blanks round it, where there are any (`padded`); null where nothing is left."""
    return f"nullif(trim({column}::VARCHAR, {BLANKS}), '')" if padded else f"nullif({column}::VARCHAR, '')"


def identity(column: str, kind: str, padded: bool = True, empty: str = EMPTY) -> Cell:
    """A column of ids; `padded`: has any of them blanks round it?"""
    refuse_lists(column, kind)
    if kind == "UUID" or kind in WHOLE or kind == "BOOLEAN":
        return Cell(f"{column}::VARCHAR", [Fault(column, f"{column} IS NULL", "no value", empty)])
    if not is_text(kind) and kind != '"NULL"':
        fix = "write the ids as text, or as whole numbers"
        raise DataError(f"column {column}: ids of the type {kind}, where 7 and 7.0 may be one or two. Fix: {fix}")
    value = stripped(column, padded)
    return Cell(
        value,
        [
            Fault(column, f"{value_of(column)} IS NULL", "no value", empty),
            Fault(column, f"{column} LIKE '[%]'", "a list in one cell", ONE_A_ROW),
        ],
    )


def number(column: str, kind: str, empty: str = EMPTY, flag: bool = False) -> Cell:
    """A column of numbers, DOUBLE; with `flag` also true and false."""
    refuse_lists(column, kind)
    if is_text(kind):
        text = stripped(column, padded=False)  # a cast takes no notice of blanks
        value = f"try_cast({text} AS DOUBLE)"
        none = f"{text} IS NULL"
        if flag:
            value = f"CASE lower({text}) WHEN 'true' THEN 1.0 WHEN 'false' THEN 0.0 ELSE {value} END"
    elif is_number(kind) or kind == '"NULL"':
        value, none = f"{column}::DOUBLE", missing(column, kind)
    else:
        raise DataError(f"column {column}: not a number, but of the type {kind}. Fix: write numbers")
    return Cell(
        value,
        [
            Fault(column, none, "no value", empty),
            Fault(column, f"{value_of(column)} IS NULL", "not a number", number_fix),
            Fault(column, f"NOT isfinite({value_of(column)})", "not a finite number", "fill it in"),
        ],
    )


def number_fix(cell: str) -> str:
    if cell.lstrip().startswith(("[", "(", "{")):
        return ONE_A_ROW
    if "," in cell:
        return "write numbers with a decimal point and no other sign"
    return "write plain numbers"


def refuse_lists(column: str, kind: str) -> None:
    """Raise a DataError where the column has lists for cells."""
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP")):
        raise DataError(f"column {column}: lists in its cells (of the type {kind}). Fix: {ONE_A_ROW}")
