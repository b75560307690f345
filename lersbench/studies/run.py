"""Running a scenario, an experiment, or all parts of a study; showing, drawing and reporting the results.

`say` takes messages, `show` the tables that were asked for.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lersbench.errors import LersbenchError, RunError
from lersbench.studies import kinds, last_runs, study
from lersbench.studies.kinds import AnyResults, Part
from lersbench.studies.options import Options, Order, Say
from lersbench.studies.study import Study
from lersbench.system.progress import Progress, StudyBar, silent

if TYPE_CHECKING:
    from lersbench.figures.records import Record


def run(
    name: str,
    results: Path,
    options: Options,
    say: Say,
    show: Say,
    changes: dict[str, Any] | None = None,
    policies: Sequence[str] = (),
    quick: bool = False,
    dataset: str | None = None,
    large: bool = False,
) -> None:
    """Run what has this name or path, with `changes` of its settings and `policies` added.

    `large`: also what is beyond the limits of size. Raises ConfigError, DataError or RunError; of a study when all
    parts have had their turn.
    """
    limits = {"large": True} if large else {}  # changes no result
    chosen, parts = study.read(name, {**(changes or {}), **limits}, quick, dataset)
    changed = bool(changes or (chosen and (chosen.set or quick)))
    order = Order(name, results, options, policies, changed, say, show)
    if chosen:
        run_study(chosen, parts, order)
    else:
        run_part(parts[0], order)


def run_study(chosen: Study, parts: Sequence[Part], order: Order) -> None:
    """Run all parts; one that fails takes no other along."""
    say = order.say
    started, failed = time.perf_counter(), dict[str, LersbenchError]()
    weights = {part.name: chosen.minutes_of(number) for number, part in enumerate(parts)}
    with closing(StudyBar(chosen.name, weights)) as bar:
        for number, part in enumerate(parts, 1):
            elapsed = f"{(time.perf_counter() - started) / 60:.0f} minutes passed"
            say(f"[{number}/{len(parts)}] {part.name}: {part.title} ({elapsed})")
            try:
                with bar.part(part.name) as progress:
                    run_part(part, order, progress)
            except LersbenchError as error:  # the other scenarios of the study can still be run
                say(f"Error: {error}")
                failed[part.name] = error
    if failed:
        errors = {type(error) for error in failed.values()}
        common = errors.pop() if len(errors) == 1 else RunError  # the exit code says what all have in common
        raise common(f"{len(failed)} of the {len(parts)} scenarios failed: {', '.join(failed)}.")
    if order.options.plots:
        write_page(chosen, [part.name for part in parts], order.results, say)
    say(f"{chosen.name}: {(time.perf_counter() - started) / 60:.1f} minutes for all {len(parts)} scenarios")


def run_part(part: Part, order: Order, progress: Progress = silent) -> None:
    """Run one part and show its results. `progress` takes the share that is done. Raises RunError where some of it
    failed."""
    kind, options, say = kinds.of(part), order.options, order.say
    finished_run = kind.run(part, order, progress)
    times = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in finished_run.seconds.items())
    say(f"{finished_run.played} {kind.jobs}, {finished_run.reused} taken from earlier runs ({times})")
    loaded = kind.load(finished_run.folder)
    table = kind.show(loaded, "json" if options.as_json else None, None, None, options.simultaneous)
    order.show(table.text)
    for note in [*table.notes, *kind.caveats(loaded, options.as_json)]:
        say(f"note: {note}")
    page = finished_run.folder / "report.html"
    if options.plots and not finished_run.played and page.is_file():
        say(f"figures and report are there already (`lersbench plot` draws anew): {page}")
    elif options.plots:
        report(loaded, say, draw(loaded, say))
    kind.verify(part, finished_run.folder, order.changed, say)
    say(f"results: {finished_run.folder}")
    if finished_run.failures:
        raise RunError(f"{finished_run.failures}\n{kind.failure_note}")


def draw(results: AnyResults, say: Say, metrics: Sequence[str] = (), policies: Sequence[str] = ()) -> list[Record]:
    """Draw the figures of a run into its folder; their records."""
    folder = results.path / "figures"
    records = kinds.of(results).draw(results, folder, metrics, policies)
    say(f"{2 * len(records)} figure files: {folder}")
    return records


def report(results: AnyResults, say: Say, figures: Sequence[Record] | None = None) -> None:
    """Write the report of a run into its folder."""
    for path in kinds.of(results).report(results, figures):
        say(f"report: {path}")


def write_page(chosen: Study, parts: Sequence[str], results: Path, say: Say) -> None:
    """One page from the last runs of all parts of a study, by their names."""
    from lersbench.studies.page import write_study

    runs = [last_runs.last(name, results) for name in parts]
    for path in write_study(chosen.title, runs, results / chosen.name, chosen.description):
        say(f"study: {path}")


def write_page_of(name: str, dataset: str | None, quick: bool, results: Path, say: Say) -> None:
    """The page of the study of this name, if it is one."""
    if study_and_parts := last_runs.study_of(name, dataset, quick):
        write_page(*study_and_parts, results, say)
