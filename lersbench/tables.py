"""A table as aligned text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lersbench.words import one_line

WIDE = 160  # characters of a row from which on it becomes a block


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> list[str]:
    """The lines of a table, its head first: the first `words` columns stand to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = []
    for row in (head, *rows):
        cells = [
            cell.ljust(width) if column < words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def of_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same keys as aligned columns of words, or, where that is too wide, a block a row."""
    if not rows:
        return "nothing there"
    head = list(rows[0])
    cells = [[one_line(str(row[key])) for key in head] for row in rows]
    if sum(map(max, zip(*([len(cell) for cell in row] for row in cells), strict=True))) > WIDE:
        blocks = ([f"{key:>16}  {cell}" for key, cell in zip(head, row, strict=True) if cell != ""] for row in cells)
        return "\n\n".join(map("\n".join, blocks))
    return "\n".join(aligned(head, cells, words=len(head)))
