"""Where a row of a user's table stands in its file: looked up only when something is wrong with it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

FRAME = "the frame"  # what messages call a table that is in no file


def places(path: Path, rows: Iterable[int], kind: str, separator: str = ",") -> list[str]:
    """For each row (0-based, without a header): "line 5" of a CSV file (the header is line 1) or of JSON lines, "row 3"
    of Parquet. `path` is a plain file in UTF-8.

    Blank lines and line breaks inside quotes are counted, as an editor would. One pass over the file.
    """
    rows = [int(row) for row in rows]
    if kind == "Parquet" or not rows:
        return [f"row {row}" for row in rows]
    wanted, lines = set(rows), dict[int, int]()
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as text:
        for row, line in enumerate(_beginnings(text, kind, separator)):
            lines |= {row: line} if row in wanted else {}
            if len(lines) == len(wanted):
                break
    return [f"line {lines[row]}" if row in lines else f"row {row}" for row in rows]


def _beginnings(text: Iterable[str], kind: str, separator: str) -> Iterator[int]:
    """The line on which each row begins."""
    if kind == "JSON lines":
        yield from (number for number, line in enumerate(text, 1) if line.strip())
        return
    reader, line, header = csv.reader(text, delimiter=separator), 1, True
    for record in reader:
        if any(map(str.strip, record)) if header else record:
            if not header:
                yield line
            header = False
        line = reader.line_num + 1
