"""What is done with a laboratory experiment, whose context models are trained: the functions of its row in `kinds`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lersbench.lab import scenario
from lersbench.lab.scenario import Experiment
from lersbench.results.lab import LabResults
from lersbench.studies.options import About, Order, RenderedTable, Say
from lersbench.system.progress import Progress
from lersbench.tables import of_rows

if TYPE_CHECKING:
    from lersbench.bench.jobs import Run
    from lersbench.figures.records import Record
    from lersbench.report.blocks import Answer, Block


def read(name: str, changes: dict[str, Any] | None, short: dict[str, Any] | None, dataset: str | None) -> Experiment:
    """The experiment of a name or path; where `short` is not None, with the [quick] of its own file."""
    return scenario.read(name, changes, short is not None, dataset)


def run(chosen: Experiment, order: Order, progress: Progress) -> Run:
    """Train all that the experiment asks for, with a word about policies to add, which it cannot take."""
    from lersbench.lab import run as lab_run

    options, say = order.options, order.say
    if order.policies:
        say(f"{chosen.name} is an experiment, which has no policies: {', '.join(order.policies)} left out")
    if options.executor:
        say(f"{chosen.name} is an experiment, whose models are trained on this machine, not by {options.executor}")
    return lab_run.bench(chosen, order.results, options.threads, options.fresh, say, progress, options.timeout)


def verify(chosen: Experiment, folder: Path, changed: bool, say: Say) -> None:
    """An experiment expects no results."""


def show(
    results: LabResults,
    style: str | None = None,
    metric: str | None = None,
    baseline: str | None = None,
    simultaneous: bool = False,
) -> RenderedTable:
    """The table of final values, and remarks; it has neither another metric nor a baseline, nor ranks."""
    from lersbench.figures import lab as lab_figures
    from lersbench.report import lab as lab_report

    head, rows = lab_report.table(results)
    by_name = [dict(zip(head, row, strict=True)) for row in rows]
    if style == "json":
        text = json.dumps(by_name, indent=1)
    elif style == "csv":
        text = lab_report.as_csv(head, rows).removesuffix("\n")
    elif style == "markdown":
        text = lab_report.as_markdown(head, rows)
    else:
        text = f"{results.title}\n{lab_figures.run_in_words(results)}\n\n{of_rows(by_name)}"
    return RenderedTable(text, lab_report.remarks(results))


def caveats(results: LabResults, as_json: bool) -> list[str]:
    """Its table comes with all remarks."""
    return []


def draw(results: LabResults, folder: Path, metrics: Sequence[str] = (), policies: Sequence[str] = ()) -> list[Record]:
    """Draw all figures; their records. There are no policies, and none of its figures is of another's metric."""
    from lersbench.figures import lab as lab_figures

    return lab_figures.draw_all(results, folder)


def report(results: LabResults, figures: Sequence[Record] | None = None) -> list[Path]:
    """Write the report into the folder of the run; its pages."""
    from lersbench.report import lab as lab_report

    return lab_report.write(results, figures=figures)


def verdicts(results: LabResults) -> list[str]:
    """It says nothing of the protocols."""
    return []


def finding(results: LabResults) -> Answer:
    """What it comes to, in a sentence."""
    from lersbench.report import brief

    return brief.finding_of_experiment(results)


def section(results: LabResults, figures: Sequence[Record]) -> list[Block]:
    """Its part of the page of a study."""
    from lersbench.report import brief

    return brief.of_experiment(results, figures)


def about(results: LabResults) -> About:
    """What a list of runs says of it."""
    data = results.meta["data"]
    return About(
        f"{data['name']}, {data['customers']:,} customers", str(len(results.meta["seeds"])), str(len(results.settings))
    )
