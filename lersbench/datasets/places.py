"""Where a row of a user's table stands in its file: looked up only when something is wrong with it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

FRAME = "the frame"  # what messages call a table that is in no file
PARQUET = (".parquet", ".pq")


def places(path: str | Path, rows: Iterable[int]) -> list[str]:
    """For each row (0-based, without a header): "line 5" of a CSV file (the header is line 1), "row 3" of Parquet or of
    a frame.

    Blank lines and line breaks inside quotes are counted, as an editor would. One pass over the file.
    """
    rows = [int(row) for row in rows]
    if Path(path).suffix in PARQUET or not rows or path == FRAME:
        return [f"row {row}" for row in rows]
    lines: dict[int, int] = {}
    with io.TextIOWrapper(pa.input_stream(str(path)), encoding="utf-8", errors="replace", newline="") as text:
        reader, row, line = csv.reader(text), -1, 1  # row -1 is the header
        for record in reader:
            if record:
                lines |= {row: line} if row in rows else {}
                row += 1
            line = reader.line_num + 1
            if row > max(rows):
                break
    return [f"line {lines[row]}" if row in lines else f"row {row}" for row in rows]
