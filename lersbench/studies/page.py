"""One page for a study of several scenarios: what it comes to, then each part with its table and its figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lersbench.errors import ConfigError
from lersbench.figures import lab as lab_figures
from lersbench.figures.curves import draw_all
from lersbench.figures.records import Record
from lersbench.report import findings
from lersbench.report import lab as lab_report
from lersbench.report.blocks import Block, Heading, Items, Text, pictures, write_pages
from lersbench.report.run import caveats, in_short, main_tables
from lersbench.results.alarms import missing
from lersbench.results.lab import LabResults
from lersbench.results.ranking import board
from lersbench.results.tables import Results


def write_study(
    title: str,
    results: Sequence[Results | LabResults],
    folder: str | Path,
    description: str = "",
    figures: Sequence[Sequence[Record]] | None = None,
) -> list[Path]:
    """Write study.md and study.html into `folder`; return the two.

    A part is one run, in the order given; `description` stands below the title. `figures` are what `draw_all` returned
    for each, if it has drawn already; else they are drawn into `folder`/figures/<scenario>. Raises ConfigError where
    there is no run, or two of one name.
    """
    names = [part.scenario["name"] for part in results]
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"A study needs one run or more, each of another scenario, not {', '.join(names) or 'none'}.")
    folder = Path(folder)
    if figures is None:
        figures = [_drawn(part, folder / "figures" / part.scenario["name"]) for part in results]
    return write_pages(document(title, results, figures, description), title, folder, "study")


def document(
    title: str, results: Sequence[Results | LabResults], figures: Sequence[Sequence[Record]], description: str = ""
) -> list[Block]:
    """The whole page as blocks."""
    blocks: list[Block] = [Heading(1, title), *([Text(description)] if description else [])]
    told = [line for part in results if isinstance(part, Results) for line in findings.verdicts(part)]
    if told:
        blocks += [Heading(2, "Which protocol tells the truth, in short"), Items(told)]
    blocks += [Heading(2, "Parts"), Items([part.title for part in results])]
    for part, own in zip(results, figures, strict=True):
        blocks += lab_report.document(part, own, level=2) if isinstance(part, LabResults) else _part(part, own)
    return blocks


def _drawn(part: Results | LabResults, folder: Path) -> list[Record]:
    return lab_figures.draw_all(part, folder) if isinstance(part, LabResults) else draw_all(part, folder)


def _part(part: Results, figures: Sequence[Record]) -> list[Block]:
    ranking = board(part)
    blocks: list[Block] = [Heading(2, part.title), *map(Text, missing(part)), *in_short(ranking)]
    if part.scenario.get("description"):
        blocks.append(Text(part.scenario["description"]))
    blocks += [Heading(3, "Leaderboard"), *main_tables(ranking), *_lower(findings.sections(part))]
    blocks += [Heading(3, "Figures"), *pictures(figures, level=4)]
    blocks += [Heading(3, "What these numbers do not say"), Items(caveats(part) or ["Nothing was found to warn of."])]
    return [*blocks, Text(f"Run: {part.scenario['name']}, {part.path.name}.")]


def _lower(blocks: Sequence[Block]) -> list[Block]:
    """The blocks with every heading one level down."""
    return [Heading(block.level + 1, block.text) if isinstance(block, Heading) else block for block in blocks]
