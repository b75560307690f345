"""Pages on disk: a report as Markdown beside its figures, and as one HTML file with the figures inside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lersbench.files import replacing
from lersbench.report.blocks import Block, to_markdown
from lersbench.report.html import to_html


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
