"""Running a scenario, an experiment, or all parts of a study; showing, drawing and reporting what came out.

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
from lersbench.studies.options import Options, Say
from lersbench.studies.study import Study
from lersbench.system.progress import Tell, Whole, silent

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
    lifted: bool = False,
) -> None:
    """Run what has this name or path, with `changes` of its settings and `policies` added.

    `lifted`: also what is beyond the limits of size. Raises ConfigError, DataError or RunError; of a study when all
    parts have had their turn.
    """
    limits = {"large": True} if lifted else {}  # changes no result
    found, parts = study.read(name, {**(changes or {}), **limits}, quick, dataset)
    if found:
        changed = bool(changes or found.set or quick)
        run_study(found, parts, results, options, say, show, changed, policies, name)
    else:
        run_part(_with(parts[0], policies, name, say), results, options, say, show, bool(changes))


def run_study(
    found: Study,
    parts: Sequence[Part],
    results: Path,
    options: Options,
    say: Say,
    show: Say,
    changed: bool,
    policies: Sequence[str],
    where: str,
) -> None:
    """Run all parts; one that fails takes no other along. `where` is what messages call the file."""
    started, failed = time.perf_counter(), dict[str, LersbenchError]()
    weights = {part.name: found.minutes_of(number) for number, part in enumerate(parts)}
    with closing(Whole(found.name, weights)) as whole:
        for number, part in enumerate(parts, 1):
            passed = f"{(time.perf_counter() - started) / 60:.0f} minutes passed"
            say(f"[{number}/{len(parts)}] {part.name}: {part.title} ({passed})")
            try:
                with whole.part(part.name) as tell:
                    run_part(_with(part, policies, where, say), results, options, say, show, changed, tell)
            except LersbenchError as error:  # the other scenarios of the study can still be run
                say(f"Error: {error}")
                failed[part.name] = error
    if failed:
        errors = {type(error) for error in failed.values()}
        common = errors.pop() if len(errors) == 1 else RunError  # the exit code says what all have in common
        raise common(f"{len(failed)} of the {len(parts)} scenarios failed: {', '.join(failed)}.")
    if options.plots:
        write_page(found, parts, results, say)
    say(f"{found.name}: {(time.perf_counter() - started) / 60:.1f} minutes for all {len(parts)} scenarios")


def _with(part: Part, policies: Sequence[str], where: str, say: Say) -> Part:
    return kinds.of(part).with_policies(part, policies, where, say) if policies else part


def run_part(
    part: Part, results: Path, options: Options, say: Say, show: Say, changed: bool, tell: Tell = silent
) -> None:
    """Run one part, and show what came out; `changed` when it is not quite that of its file. `tell` is told the share
    that is done. Raises RunError where some of it failed."""
    kind = kinds.of(part)
    done = kind.run(part, results, options, say, tell)
    times = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in done.seconds.items())
    say(f"{done.played} {kind.jobs}, {done.reused} taken from earlier runs ({times})")
    loaded = kind.load(done.folder)
    shown = kind.show(loaded, "json" if options.as_json else None, None, None)
    show(shown.text)
    for note in [*shown.notes, *kind.caveats(loaded, options.as_json)]:
        say(f"note: {note}")
    page = done.folder / "report.html"
    if options.plots and not done.played and page.is_file():
        say(f"figures and report are there already (`lersbench plot` draws anew): {page}")
    elif options.plots:
        report(loaded, say, draw(loaded, say))
    kind.verify(part, done.folder, changed, say)
    say(f"results: {done.folder}")
    if done.failures:
        raise RunError(f"{done.failures}\n{kind.others}")


def draw(results: AnyResults, say: Say, metrics: Sequence[str] = (), policies: Sequence[str] = ()) -> list[Record]:
    """Draw the figures of a run into its folder; their records."""
    folder = results.path / "figures"
    drawn = kinds.of(results).draw(results, folder, metrics, policies)
    say(f"{2 * len(drawn)} figure files: {folder}")
    return drawn


def report(results: AnyResults, say: Say, figures: Sequence[Record] | None = None) -> None:
    """Write the report of a run into its folder."""
    for path in kinds.of(results).report(results, figures):
        say(f"report: {path}")


def write_page(found: Study, parts: Sequence[Part], results: Path, say: Say) -> None:
    """One page from the last runs of all parts of a study."""
    from lersbench.studies.page import write_study

    runs = [last_runs.last(part.name, results) for part in parts]
    for path in write_study(found.title, runs, results / found.name, found.description):
        say(f"study: {path}")


def write_page_of(name: str, dataset: str | None, quick: bool, results: Path, say: Say) -> None:
    """The page of the study of this name, if it is one."""
    if found := last_runs.study_of(name, dataset, quick):
        write_page(*found, results, say)
