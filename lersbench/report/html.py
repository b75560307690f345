"""Blocks as one HTML page that needs no other file, by the templates in `templates/`.

`base.html` is the frame of every page, `blocks.html` has a macro for each kind of block, `parts/` those that have a
script; `page.css` is their look. All text is escaped by the templates; only the files of this folder are put in as they
are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lersbench import __version__
from lersbench.report import embedded
from lersbench.report.blocks import (
    Alarm,
    Answer,
    Block,
    Fold,
    Heading,
    Items,
    Link,
    Part,
    Picture,
    Table,
    Text,
    address,
)
from lersbench.words import cleaned, one_line

TOP = 2  # the level of headings that the contents list
UNNAMED = "section"  # the anchor of a heading without a letter or a digit


def to_html(blocks: Sequence[Block], title: str) -> str:
    """The blocks as one page; figures are inside it."""
    content = _Content(blocks)
    views = [content.view(block) for block in blocks]
    return (
        _environment()
        .get_template("base.html")
        .render(
            title=one_line(title),
            blocks=views,
            contents=[view for view in views if view["kind"] == "heading" and view["level"] == TOP],
            parts={view["name"] for view in views if view["kind"] == "part"},
            pictures=bool(content.sources),
            version=__version__,
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("lersbench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["raw"] = _raw
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False, "separators": (",", ":"), "allow_nan": False}
    return environment


def _raw(name: str) -> Markup:
    """A style or a script of this folder as it is; it must not end the element that it stands in."""
    text = files("lersbench.report").joinpath(*name.split("/")).read_text(encoding="utf-8")
    assert "</script" not in text.lower() and "</style" not in text.lower(), name
    return Markup(text)


class _Content:
    """What the blocks of one page share: anchors that are used, and the pictures, which share its room."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        pictures = [one for one in _flat(blocks) if isinstance(one, Picture)]
        self.sources = dict(zip(map(id, pictures), embedded.sources(pictures), strict=True))
        self.anchors: set[str] = set()
        self.heading = ""

    def view(self, block: Block) -> dict[str, Any]:
        """A block as the templates take it."""
        match block:
            case Heading(level, text):
                self.heading = one_line(text)
                return {"kind": "heading", "level": level, "text": self.heading, "id": self.anchor(self.heading)}
            case Text(text) | Alarm(text):
                return {"kind": type(block).__name__.lower(), "text": one_line(text)}
            case Answer():
                return {"kind": "answer", **cleaned(vars(block))}
            case Items(lines):
                return {"kind": "items", "lines": [one_line(line) for line in lines]}
            case Table():
                return {"kind": "table", **self._table(block)}
            case Link(text):
                return {"kind": "link", "text": one_line(text), "address": block.address}
            case Picture(png, _, title, alt, folder):
                width, height = embedded.size(png)
                place = {"file": f"{one_line(folder)}/{png.stem}", "width": width, "height": height}
                source = Markup(self.sources[id(block)])
                return {
                    "kind": "picture",
                    "title": one_line(title),
                    "alt": one_line(alt or title),
                    "source": source,
                    **place,
                }
            case Fold(title, inside):
                return {"kind": "fold", "title": one_line(title), "blocks": [self.view(one) for one in inside]}
            case Part(name, key, data, inside):
                views = [self.view(one) for one in inside]
                return {"kind": "part", "name": name, "key": key, "data": data, "blocks": views}

    def _table(self, table: Table) -> dict[str, Any]:
        rows = [[one_line(cell) for cell in row] for row in table.rows]
        head = [one_line(cell) for cell in table.head]
        caption = one_line(table.caption) or self.heading
        links = [address(page) for page in table.links] or [""] * len(rows)
        places = {"words": table.words, "name": table.name, "prose": table.prose}
        return {"head": head, "rows": list(zip(rows, links, strict=True)), "caption": caption, **places}

    def anchor(self, text: str) -> str:
        """An anchor made of a heading, unlike those before: "What was run" is #what-was-run."""
        plain = re.sub(r"[^\w]+", "-", text.lower()).strip("-_") or UNNAMED
        name, number = plain, 1
        while name in self.anchors:
            number += 1
            name = f"{plain}-{number}"
        self.anchors.add(name)
        return name


def _flat(blocks: Sequence[Block]) -> Iterator[Block]:
    """The blocks with those inside others."""
    for block in blocks:
        yield block
        if isinstance(block, Fold | Part):
            yield from _flat(block.blocks)
