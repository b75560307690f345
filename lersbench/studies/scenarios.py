"""What is done with a scenario, whose policies are replayed: the functions of its row in `kinds`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lersbench.bench import scenario
from lersbench.bench.scenario import Scenario
from lersbench.results import ranking, tables, words
from lersbench.results.tables import Results
from lersbench.studies.options import About, Order, RenderedTable, Say
from lersbench.system.progress import Progress

if TYPE_CHECKING:
    from lersbench.bench.jobs import Run
    from lersbench.figures.records import Record
    from lersbench.report.blocks import Answer, Block


def read(name: str, changes: dict[str, Any] | None, short: dict[str, Any] | None, dataset: str | None) -> Scenario:
    """The scenario of a name or path; `short` are the settings of a study's short version, which come after the [quick]
    of the file itself; None in the whole one."""
    chosen = scenario.read(name, {**(short or {}), **(changes or {})}, dataset, quick=short is not None)
    return chosen if short is None else chosen.model_copy(update={"name": f"{chosen.name}-quick"})


def run(chosen: Scenario, order: Order, progress: Progress) -> Run:
    """Replay a scenario with the policies of the order added to its own.

    Where other policies follow the compiled ones, the leaderboard of these is shown first.
    """
    from lersbench.bench import replays

    options, say = order.options, order.say

    def halfway(folder: Path) -> None:
        say("The compiled policies are done; the others follow, and the leaderboard of all.")
        if not options.as_json:
            say(words.to_terminal(ranking.board(tables.load(folder)), bold=False))

    added = scenario.entries_in(list(order.policies))
    asked = [entry["name"] for entry in added]
    wider = chosen.model_copy(update={"policies": [*chosen.policies, *added]})
    chosen, entries = scenario.resolved(wider, order.where, asked)

    def quiet(message: str) -> None:
        """Takes what was said before the first seeds."""

    def play(further: replays.Further, fresh: bool = False) -> Run:
        return replays.bench(
            chosen,
            order.results,
            options.threads,
            fresh,
            quiet if further else say,
            halfway,
            progress,
            options.timeout,
            entries,
            further=further,
            executor=options.executor,
        )

    first = play({}, options.fresh)
    if not options.until:
        return first
    from lersbench.studies.further import play_until

    return play_until(options.until, first, play, say)


def verify(chosen: Scenario, folder: Path, changed: bool, say: Say) -> None:
    """Compare a run with the results that its scenario expects. Raises RunError naming each that is off."""
    from lersbench.bench import replays

    if chosen.expected and changed:
        say("the expected results were not compared: settings were changed")
    else:
        replays.verify(chosen, folder, say)


def show(
    results: Results,
    style: str | None = None,
    metric: str | None = None,
    baseline: str | None = None,
    simultaneous: bool = False,
) -> RenderedTable:
    """The leaderboard by a metric, with differences to a baseline; those of the scenario by default. Ranks are right
    each by itself, or `simultaneous` all at once."""
    styles: dict[str | None, Callable[[ranking.Board], str]] = {
        None: words.to_terminal,
        "explained": partial(words.to_terminal, explain=True),
        "markdown": words.to_markdown,
        "csv": words.to_csv,
        "json": words.to_json,
    }
    return RenderedTable(styles[style](ranking.board(results, metric, baseline=baseline, simultaneous=simultaneous)))


def caveats(results: Results, as_json: bool) -> list[str]:
    """What to know before believing the leaderboard, beyond the warnings that its text ends with."""
    from lersbench.report import run as report_run

    board_warnings = [] if as_json else ranking.board(results).warnings
    return [caveat for caveat in report_run.caveats(results) if caveat not in board_warnings]


def draw(results: Results, folder: Path, metrics: Sequence[str] = (), policies: Sequence[str] = ()) -> list[Record]:
    """Draw the figures, those of some metrics or policies alone where such are named; their records."""
    from lersbench.figures.draw import draw_all

    return draw_all(results, folder, metrics or None, policies or None)


def report(results: Results, figures: Sequence[Record] | None = None) -> list[Path]:
    """Write the report into the folder of the run; its pages."""
    from lersbench.report import run as report_run

    return report_run.write(results, results.path, figures)


def verdicts(results: Results) -> list[str]:
    """What the run says of the protocols, a sentence each."""
    from lersbench.report import findings

    return findings.verdicts(results)


def finding(results: Results) -> Answer:
    """What it comes to, in a sentence."""
    from lersbench.report import brief

    return brief.finding(results)


def section(results: Results, figures: Sequence[Record]) -> list[Block]:
    """Its part of the page of a study."""
    from lersbench.report import brief

    return brief.of_replay(results, figures)


def about(results: Results) -> About:
    """What a list of runs says of it."""
    names = dict.fromkeys(f"{log['name']}, {log['rounds']:,} rounds" for log in results.meta["logs"])
    return About("; ".join(names), str(len(results.meta["seeds"])), str(results.contenders["entry"].nunique()))
