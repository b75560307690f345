"""One page for a study of several scenarios: its findings, then each part with its table and its figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lersbench.errors import ConfigError
from lersbench.figures.records import Record
from lersbench.report.blocks import Block, Heading, Items, Text
from lersbench.report.pages import write_pages
from lersbench.studies import kinds
from lersbench.studies.kinds import AnyResults


def write_study(
    title: str,
    results: Sequence[AnyResults],
    folder: str | Path,
    description: str = "",
    figures: Sequence[Sequence[Record]] | None = None,
) -> list[Path]:
    """Write study.md and study.html into `folder`; return the two.

    Each part is one run, in this order; `description` stands below the title. `figures` are the records of each, if
    they are drawn already; else they are drawn into `folder`/figures/<scenario>. Raises ConfigError where
    there is no run, or two of one name.
    """
    names = [part.scenario["name"] for part in results]
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"A study needs one run or more, each of another scenario, not {', '.join(names) or 'none'}.")
    folder = Path(folder)
    if figures is None:
        places = [folder / "figures" / part.scenario["name"] for part in results]
        figures = [kinds.of(part).draw(part, place, (), ()) for part, place in zip(results, places, strict=True)]
    return write_pages(document(title, results, figures, description), title, folder, "study")


def document(
    title: str, results: Sequence[AnyResults], figures: Sequence[Sequence[Record]], description: str = ""
) -> list[Block]:
    """The whole page as blocks."""
    blocks: list[Block] = [Heading(1, title), *([Text(description)] if description else [])]
    verdicts = [line for part in results for line in kinds.of(part).verdicts(part)]
    if verdicts:
        blocks += [Heading(2, "Which protocol tells the truth, in short"), Items(verdicts)]
    blocks += [Heading(2, "Parts"), Items([part.title for part in results])]
    for part, part_figures in zip(results, figures, strict=True):
        blocks += kinds.of(part).section(part, part_figures)
    return blocks
