"""One page for a study of several scenarios: what each part found, then each in brief, with a link to its report."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from lersbench.errors import ConfigError
from lersbench.figures.records import Record, read_records
from lersbench.report.blocks import Block, Heading, Items, Link, Picture, Table, Text
from lersbench.report.pages import write_pages, write_whole
from lersbench.studies import kinds
from lersbench.studies.kinds import AnyResults

REPORT, ABOUT = "report.html", "study.json"


def write_study(
    title: str,
    results: Sequence[AnyResults],
    folder: str | Path,
    description: str = "",
    figures: Sequence[Sequence[Record]] | None = None,
) -> list[Path]:
    """Write study.md and study.html into `folder`; return the two. `ABOUT`, for lists of studies, lies beside them.

    Each part is one run, in this order; `description` stands below the title. `figures` are the records of each; by
    default those that lie in the folder of its run, or where these are not all there, new ones in
    `folder`/figures/<scenario>. Raises ConfigError where there is no run, or two of one name.
    """
    names = [part.scenario["name"] for part in results]
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"A study needs one run or more, each of another scenario, not {', '.join(names) or 'none'}.")
    folder = Path(folder)
    drawn = [_figures(part, folder) for part in results] if figures is None else figures
    pages = write_pages(document(title, results, drawn, folder, description), title, folder, "study")
    write_whole(folder / ABOUT, json.dumps({"title": title, "parts": list(map(_about, results))}, indent=1) + "\n")
    return pages


def _about(part: AnyResults) -> dict[str, str]:
    """What a list of studies says of a part."""
    found = kinds.of(part).finding(part)
    return {"scenario": part.scenario["name"], "run": part.path.name, "found": found.lead, "verdict": found.verdict}


def _figures(part: AnyResults, folder: Path) -> Sequence[Record]:
    """The figures of a run as they lie in its folder, else drawn for this page."""
    there = read_records(part.path / "figures", part)
    return kinds.of(part).draw(part, folder / "figures" / part.scenario["name"], (), ()) if there is None else there


def document(
    title: str,
    results: Sequence[AnyResults],
    figures: Sequence[Sequence[Record]],
    folder: Path,
    description: str = "",
) -> list[Block]:
    """The whole page, to be written into `folder`, as blocks."""
    blocks: list[Block] = [Heading(1, title), *([Text(description)] if description else [])]
    verdicts = [line for part in results for line in kinds.of(part).verdicts(part)]
    if verdicts:
        blocks += [Heading(2, "Which protocol tells the truth, in short"), Items(verdicts)]
    blocks += [Heading(2, "Parts"), _findings(results, folder)]
    for part, part_figures in zip(results, figures, strict=True):
        blocks += _placed(kinds.of(part).section(part, part_figures), folder)
        blocks += _to_the_report(part, folder)
    return blocks


def _findings(results: Sequence[AnyResults], folder: Path) -> Table:
    """What each part found, a sentence each; its name leads to its report."""
    rows, links = [], []
    for part in results:
        found = kinds.of(part).finding(part)
        rows.append([part.title, found.lead, found.verdict])
        links.append(_relative(part.path / REPORT, folder) if (part.path / REPORT).is_file() else "")
    return Table(["part", "what it found", "how sure"], rows, 3, "What the parts found", links=links, prose=1)


def _to_the_report(part: AnyResults, folder: Path) -> Iterator[Block]:
    if (part.path / REPORT).is_file():
        yield Link(f"All of {part.title}: tables, figures, caveats", _relative(part.path / REPORT, folder))
    else:
        yield Text(f"Its report is not written yet: lersbench report {part.scenario['name']}")
    yield Text(f"Run: {part.scenario['name']}, {part.path.name}.")


def _placed(blocks: Iterable[Block], folder: Path) -> Iterator[Block]:
    """The blocks, with pictures that say where their files lie, as this page names the place."""
    for block in blocks:
        yield replace(block, folder=_relative(block.png.parent, folder)) if isinstance(block, Picture) else block


def _relative(path: Path, folder: Path) -> str:
    return os.path.relpath(path, folder).replace(os.sep, "/")
