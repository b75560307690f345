"""The names of the columns of a table, and of a CSV file what separates them."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lersbench.errors import ConfigError, DataError

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
WRITTEN = {"\\t": "\t", "tab": "\t"}
LONGEST = 1 << 20  # characters of a header
HALF = re.compile("[\ud800-\udfff]")  # what stands for a byte that is not UTF-8


class Header(NamedTuple):
    """The names in a CSV file, what separates them, and the lines up to the end of the header."""

    names: list[str]
    separator: str
    lines: int


def of_csv(given: Path, plain: Path, separator: str | None) -> Header:
    """The header of a CSV file; without a `separator` it is the one that parts the header into most names."""
    separator = _separator(separator)
    try:
        with plain.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
            line, blank = text.readline(LONGEST), 0
            while line and not line.strip():
                line, blank = text.readline(LONGEST), blank + 1
            if not line:
                raise DataError(f"{given}: the file is empty; it cannot be read as CSV. Fix: give a header and rows")
            separator = separator or _sniffed(line, given)
            text.seek(0)
            reader = csv.reader(text, delimiter=separator)
            names = next(record for record in reader if any(map(str.strip, record)))
    except csv.Error as error:
        raise DataError(f"{given}: the header cannot be read ({error}). Fix: one line of names") from error
    if any(HALF.search(name) for name in names):
        raise not_utf8(f"{given}, line {reader.line_num}")
    return Header([name.strip() for name in names], separator, reader.line_num)


def not_utf8(given: Path | str) -> DataError:
    fix = "say its encoding: --encoding latin-1, cp1252 or utf-16 (encoding= in Python)"
    return DataError(f"{given}: the text is not UTF-8. Fix: {fix}")


def unlike(names: Sequence[str], given: Path | str) -> None:
    """Raise a DataError where two columns have one name."""
    many = Counter(name.lower() for name in names)
    for name in names:
        if many[name.lower()] > 1:
            same = [other for other in names if other.lower() == name.lower()]
            if len(set(same)) == 1:
                fault = f"{len(same)} columns are called {name}" if len(same) > 2 else f"two columns are called {name}"
                fault = fault if name else f"{len(same)} columns have no name"
            else:
                fault = f"the columns {' and '.join(same)} differ in capital letters only"
            raise DataError(f"{given}: {fault}. Fix: rename one of them, or leave it out")


def _separator(given: str | None) -> str | None:
    if given is None:
        return None
    separator = WRITTEN.get(given, given)
    if len(separator) != 1 or separator in '"\r\n':
        raise ConfigError(f"--separator {given!r} is no single character; give one, such as ';', or tab.")
    return separator


def _sniffed(line: str, given: Path) -> str:
    widths = {sign: len(next(csv.reader([line], delimiter=sign))) for sign in SEPARATORS}
    most = max(widths.values())
    best = [sign for sign, width in widths.items() if width == most]
    if most == 1 and any(sign in line.strip() for sign in (" ", ":")):
        problem = f"the header is one name, {line.strip()[:60]!r}"
        raise DataError(f"{given}: {problem}. Fix: say what separates the columns: --separator ' ', say")
    if most > 1 and len(best) > 1:
        named = " and ".join(SEPARATORS[sign] for sign in best)
        raise DataError(f"{given}: the header has as many of {named}. Fix: say which separates: --separator ';', say")
    return best[0]
