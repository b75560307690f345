"""What the command line does with a laboratory experiment: `bench`, `leaderboard`, `plot` and `report` come here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click

from lersbench import lab, labplots, labreport, labresults, listing
from lersbench.errors import RunError
from lersbench.labfile import Experiment
from lersbench.labresults import LabResults
from lersbench.progress import Tell, silent

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
    run = lab.bench(chosen, results, threads, fresh, say, progress)
    times = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in run.seconds.items())
    say(f"{run.played} works done, {run.reused} taken from earlier runs ({times})")
    loaded = labresults.load(run.folder)
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
    head, rows = labreport.table(results)
    if style == "json":
        click.echo(json.dumps([dict(zip(head, row, strict=True)) for row in rows], indent=1))
    elif style == "csv":
        click.echo(labreport.as_csv(head, rows), nl=False)
    elif style == "markdown":
        click.echo(labreport.as_markdown(head, rows))
    else:
        click.echo(f"{results.title}\n{labplots.run_in_words(results)}\n")
        click.echo(listing.as_text([dict(zip(head, row, strict=True)) for row in rows]))
    for remark in labreport.remarks(results):
        say(f"note: {remark}")


def draw(results: LabResults, say: Say) -> list[Path]:
    """Draw the figures into the folder of the run."""
    folder = results.path / "figures"
    drawn = labplots.draw_all(results, folder)
    say(f"{len(drawn)} figure files: {folder}")
    return drawn


def report(results: LabResults, say: Say, figures: list[Path] | None = None) -> None:
    """Write the report into the folder of the run."""
    for path in labreport.write(results, figures=figures):
        say(f"report: {path}")
