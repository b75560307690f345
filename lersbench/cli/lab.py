"""What the command line does with a laboratory experiment: `bench`, `leaderboard`, `plot` and `report` come here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click

from lersbench.cli import listing
from lersbench.errors import RunError
from lersbench.figures import lab as lab_figures
from lersbench.figures.records import Record
from lersbench.lab import run as lab_run
from lersbench.lab.scenario import Experiment
from lersbench.report import lab as lab_report
from lersbench.results import lab as lab_results
from lersbench.results.lab import LabResults
from lersbench.system.progress import Tell, silent

Say = Callable[[str], None]


def bench(
    chosen: Experiment,
    results: Path,
    threads: int | None,
    fresh: bool,
    plots: bool,
    as_json: bool,
    say: Say,
    progress: Tell = silent,
) -> None:
    """Run an experiment, and show what came out. Raises RunError where a part of it failed."""
    run = lab_run.bench(chosen, results, threads, fresh, say, progress)
    times = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in run.seconds.items())
    say(f"{run.played} works done, {run.reused} taken from earlier runs ({times})")
    loaded = lab_results.load(run.folder)
    show(loaded, "json" if as_json else None, say)
    if plots and not run.played and (run.folder / "report.html").is_file():
        say(f"figures and report are there already (`lersbench plot` draws anew): {run.folder / 'report.html'}")
    elif plots:
        report(loaded, say, draw(loaded, say))
    say(f"results: {run.folder}")
    if run.failures:
        raise RunError(f"{run.failures}\nThe table is of the others; they will not be run again.")


def show(results: LabResults, style: str | None, say: Say) -> None:
    """The table of final values, on stdout: as text (None), "markdown", "csv" or "json"; remarks on stderr."""
    head, rows = lab_report.table(results)
    if style == "json":
        click.echo(json.dumps([dict(zip(head, row, strict=True)) for row in rows], indent=1))
    elif style == "csv":
        click.echo(lab_report.as_csv(head, rows), nl=False)
    elif style == "markdown":
        click.echo(lab_report.as_markdown(head, rows))
    else:
        click.echo(f"{results.title}\n{lab_figures.run_in_words(results)}\n")
        click.echo(listing.as_text([dict(zip(head, row, strict=True)) for row in rows]))
    for remark in lab_report.remarks(results):
        say(f"note: {remark}")


def draw(results: LabResults, say: Say) -> list[Record]:
    """Draw the figures into the folder of the run."""
    folder = results.path / "figures"
    drawn = lab_figures.draw_all(results, folder)
    say(f"{2 * len(drawn)} figure files: {folder}")
    return drawn


def report(results: LabResults, say: Say, figures: list[Record] | None = None) -> None:
    """Write the report into the folder of the run."""
    for path in lab_report.write(results, figures=figures):
        say(f"report: {path}")
