"""What a report is made of: blocks that are written twice, as Markdown (here) and as an HTML page (`html`)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lersbench.figures.records import Record
from lersbench.results.words import markdown_row
from lersbench.words import markdown, markdown_cell, markdown_label


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
    links: Sequence[str] = ()  # a page for each row, to which its name leads, relative to this one; "" for none
    prose: int = -1  # the column of sentences, which are broken into lines


@dataclass(frozen=True)
class Link:
    """A line that leads to another page, at a path relative to this one."""

    text: str
    page: str

    @property
    def address(self) -> str:
        return address(self.page)


@dataclass(frozen=True)
class Picture:
    png: Path
    svg: Path
    title: str
    alt: str = ""  # what it shows, for those who do not see it; its title by default
    folder: str = "figures"  # where its files lie, as the page names it


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


Block = Heading | Text | Alarm | Answer | Items | Table | Link | Picture | Fold | Part


def address(page: str) -> str:
    """The address of a page at a relative path; no name of a folder can make anything else of it."""
    return quote(page.replace(os.sep, "/"), safe="/")


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
        case Table(head, words=words):
            rule = ["---" if column < words else "---:" for column in range(len(head))]
            return "\n".join([markdown_row(head), f"| {' | '.join(rule)} |", *_rows(block)])
        case Link(text):
            return _link(text, block.page)
        case Picture(png, _, title, alt):
            return f"![{markdown_cell(alt or title)}]({os.path.relpath(png, folder).replace(os.sep, '/')})"
        case Fold(title, inside):
            return f"**{markdown(title)}**\n\n{to_markdown(inside, folder)}".strip()
        case Part(blocks=inside):
            return to_markdown(inside, folder).strip()


def _rows(table: Table) -> list[str]:
    """The rows of a table, names that lead to a page as links."""
    pages = table.links or [""] * len(table.rows)
    return [
        markdown_row(row, link=(table.name, address(page)) if page else None)
        for row, page in zip(table.rows, pages, strict=True)
    ]


def _link(text: str, page: str) -> str:
    return f"[{markdown_label(text)}]({address(page)})"
