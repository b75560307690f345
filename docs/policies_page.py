"""The list of policies in docs/reference/policies.md, made of the registry each time the site is built."""

from __future__ import annotations

from itertools import groupby
from typing import Any

PLACE = "<!-- the policies stand here -->"
SPECIAL = str.maketrans({sign: f"\\{sign}" for sign in "\\*_|<>[]$"})  # signs that Markdown reads


def plain(text: str) -> str:
    """`text` as Markdown shows it as it is; what stands between backticks is code."""
    parts = text.split("`")
    return "`".join(part if place % 2 else part.translate(SPECIAL) for place, part in enumerate(parts))


def listed(rows: list[dict[str, Any]]) -> str:
    """The rows of `lersbench ls policies --json` as Markdown: a heading a family, a table of its policies."""
    lines: list[str] = []
    for family, members in groupby(rows, key=lambda row: row["family"]):
        lines += [f"## {family[0].upper()}{family[1:]}", "", "| policy | what it does | options | needs |"]
        lines += ["| --- | --- | --- | --- |"]
        for row in members:
            options = ", ".join(f"`{option}`" for option in row["hyper-parameters"].split(", ") if option)
            lines.append(f"| `{row['name']}` | {plain(row['what'])} | {options} | {row['needs']} |")
        lines.append("")
    return "\n".join(lines)


def fill(app: Any, name: str, source: list[str]) -> None:
    """Put the list into the page that has a place for it: a listener of Sphinx's source-read. Changes `source`."""
    from lersbench.cli import listing

    if PLACE in source[0]:
        source[0] = source[0].replace(PLACE, listed(listing.policies()))


def outdated(app: Any, env: Any, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    """The pages that are made from the code, so that each build makes them anew: a listener of env-get-outdated."""
    return ["reference/cli", "reference/policies"]
