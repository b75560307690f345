"""What a report is made of: blocks that are written twice, as Markdown (here) and as an HTML page (`html`)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lersbench.figures.records import Record
from lersbench.results.words import markdown_row
from lersbench.words import markdown, markdown_cell


@dataclass(frozen=True)
class Heading:
    level: int
    text: str


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class Alarm:
    """What a reader has to know before all else."""

    text: str


@dataclass(frozen=True)
class Answer:
    """What a ranking comes to: `lead` in a sentence, `verdict` in a word or two, `more` below it."""

    lead: str
    verdict: str
    tone: str  # "good", "open" or "bad": how sure it is
    more: str = ""


@dataclass(frozen=True)
class Items:
    lines: Sequence[str]


@dataclass(frozen=True)
class Table:
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1  # leading columns of words, the others hold numbers
    caption: str = ""  # on a page; by default the heading above
    name: int = 0  # the column that names a row


@dataclass(frozen=True)
class Picture:
    png: Path
    svg: Path
    title: str
    alt: str = ""  # what it shows, for those who do not see it; its title by default


@dataclass(frozen=True)
class Fold:
    """Blocks that a reader of the page may unfold."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Part:
    """A part of a page with a template and a script of its own (`templates/parts/NAME.html`), made of `data`.

    `blocks` say the same without the script: in Markdown, on paper, in a browser that runs none.
    """

    name: str
    key: str  # tells it from the other parts of the page; begins the names of its state in the address
    data: Mapping[str, Any]
    blocks: Sequence[Block] = field(default_factory=tuple)


Block = Heading | Text | Alarm | Answer | Items | Table | Picture | Fold | Part


def pictures(figures: Sequence[Record], level: int = 3, alts: Mapping[str, str] | None = None) -> list[Block]:
    """Every figure under a heading of its own; `alts` are what figures show, by the stem of their files."""
    images = [Picture(one.png, one.svg, one.title, (alts or {}).get(one.png.stem, "")) for one in figures]
    return [block for image in images for block in (Heading(level, image.title), image)]


def to_markdown(blocks: Sequence[Block], folder: Path) -> str:
    """The blocks as Markdown; figures are links relative to `folder`."""
    return "\n\n".join(filter(None, (_markdown(block, folder) for block in blocks))) + "\n"


def _markdown(block: Block, folder: Path) -> str:
    match block:
        case Heading(level, text):
            return f"{'#' * level} {markdown(text)}"
        case Text(text):
            return markdown(text)
        case Alarm(text):
            return f"> **{markdown(text)}**"
        case Answer(lead, verdict, _, more):
            return " ".join(filter(None, [f"**{markdown(lead)}** ({markdown_cell(verdict)})", markdown_cell(more)]))
        case Items(lines):
            return "\n".join(f"* {markdown(line)}" for line in lines)
        case Table(head, rows, words):
            rule = ["---" if column < words else "---:" for column in range(len(head))]
            return "\n".join([markdown_row(head), f"| {' | '.join(rule)} |", *map(markdown_row, rows)])
        case Picture(png, _, title, alt):
            return f"![{markdown_cell(alt or title)}]({os.path.relpath(png, folder).replace(os.sep, '/')})"
        case Fold(title, inside):
            return f"**{markdown(title)}**\n\n{to_markdown(inside, folder)}".strip()
        case Part(blocks=inside):
            return to_markdown(inside, folder).strip()
