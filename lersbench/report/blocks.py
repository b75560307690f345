"""Pages made of blocks, written twice: as Markdown beside its figures, and as one HTML file with the figures inside."""

from __future__ import annotations

import base64
import html
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lersbench.figures.records import Record
from lersbench.files import replacing
from lersbench.results.words import markdown_row
from lersbench.words import markdown, markdown_cell, one_line


@dataclass(frozen=True)
class Heading:
    level: int
    text: str


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class Items:
    lines: Sequence[str]


@dataclass(frozen=True)
class Table:
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1  # leading columns of words, the others hold numbers


@dataclass(frozen=True)
class Picture:
    png: Path
    svg: Path
    title: str


Block = Heading | Text | Items | Table | Picture


def write_pages(blocks: Sequence[Block], title: str, folder: Path, stem: str) -> list[Path]:
    """Write `stem`.md and `stem`.html into `folder`; each appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {f"{stem}.md": to_markdown(blocks, folder), f"{stem}.html": to_html(blocks, title)}
    for name, page in pages.items():
        write_whole(folder / name, page)
    return [folder / name for name in pages]


def write_whole(path: Path, text: str) -> None:
    """Write a text file that appears whole or not at all."""
    with replacing(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def pictures(figures: Sequence[Record], level: int = 3) -> list[Block]:
    """Every figure under a heading of its own."""
    images = [Picture(one.png, one.svg, one.title) for one in figures]
    return [block for image in images for block in (Heading(level, image.title), image)]


def to_markdown(blocks: Sequence[Block], folder: Path) -> str:
    """The blocks as Markdown; figures are links relative to `folder`."""
    return "\n\n".join(_markdown(block, folder) for block in blocks) + "\n"


def _markdown(block: Block, folder: Path) -> str:
    match block:
        case Heading(level, text):
            return f"{'#' * level} {markdown(text)}"
        case Text(text):
            return markdown(text)
        case Items(lines):
            return "\n".join(f"* {markdown(line)}" for line in lines)
        case Table(head, rows, words):
            rule = ["---" if column < words else "---:" for column in range(len(head))]
            return "\n".join([markdown_row(head), f"| {' | '.join(rule)} |", *map(markdown_row, rows)])
        case Picture(png, _, title):
            return f"![{markdown_cell(title)}]({os.path.relpath(png, folder).replace(os.sep, '/')})"


PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.875rem; }}
th, td {{ padding: 0.2rem 0.7rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }}
th {{ border-bottom: 2px solid #888; }}
.word {{ text-align: left; }}
img {{ display: block; max-width: 100%; margin: 1.5rem 0; }}
li {{ overflow-wrap: anywhere; }}
</style></head><body>
{body}
</body></html>
"""


def to_html(blocks: Sequence[Block], title: str) -> str:
    """The blocks as one HTML page that needs no other file: figures are SVG inside it."""
    return PAGE.format(title=_escaped(title), body="\n".join(map(_html, blocks)))


def _html(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"<h{level}>{_escaped(text)}</h{level}>"
        case Text(text):
            return f"<p>{_escaped(text)}</p>"
        case Items(lines):
            return "<ul>" + "".join(f"<li>{_escaped(line)}</li>" for line in lines) + "</ul>"
        case Table(head, rows, words):
            body = [_html_row("th", head, words), *(_html_row("td", row, words) for row in rows)]
            return f'<div class="wide"><table>{"".join(body)}</table></div>'
        case Picture(_, svg, title):
            image = base64.b64encode(re.sub(rb"^<\?xml.*?\?>\s*", b"", svg.read_bytes())).decode()
            return f'<img alt="{_escaped(title)}" src="data:image/svg+xml;base64,{image}">'


def _html_row(tag: str, row: Sequence[str], words: int) -> str:
    kinds = [' class="word"' if column < words else "" for column in range(len(row))]
    cells = [f"<{tag}{kind}>{_escaped(cell)}</{tag}>" for kind, cell in zip(kinds, row, strict=True)]
    return f"<tr>{''.join(cells)}</tr>"


def _escaped(text: str) -> str:
    return html.escape(one_line(text))
