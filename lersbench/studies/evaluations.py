"""What is done with a scenario of off-policy evaluation: the functions of its row in `kinds`."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lersbench import __version__
from lersbench.evaluation import scenario
from lersbench.evaluation.scenario import Evaluated
from lersbench.results import evaluation_words as words
from lersbench.results.evaluation import BELIEVE, Evaluation
from lersbench.studies.options import About, Order, RenderedTable, Say
from lersbench.system.progress import Progress

if TYPE_CHECKING:
    from lersbench.bench.jobs import Run
    from lersbench.figures.records import Record
    from lersbench.report.blocks import Answer, Block


def read(name: str, changes: dict[str, Any] | None, short: dict[str, Any] | None, dataset: str | None) -> Evaluated:
    """The scenario of a name or path; `short` are the settings of a study's short version, None in the whole one."""
    chosen = scenario.read(name, {**(short or {}), **(changes or {})}, dataset, quick=short is not None)
    return chosen if short is None else chosen.model_copy(update={"name": f"{chosen.name}-quick"})


def run(chosen: Evaluated, order: Order, progress: Progress) -> Run:
    """Evaluate the policies of a scenario, and those of the order; what is there already is not done again."""
    from lersbench.bench import inputs, run_folder
    from lersbench.bench.jobs import Run
    from lersbench.evaluation import run as evaluation_run
    from lersbench.sources import digest

    started = time.perf_counter()
    data = scenario.data_of(chosen)
    name, options = (data.log, {}) if data.log is not None else (str(data.dataset), data.model_extra or {})
    log = evaluation_run.open_log(str(name), dict(options))
    entries = scenario.entries(chosen, list(order.policies))
    basis = [
        digest(evaluation_run.__name__),
        log.identity,
        chosen.model_dump(exclude={"quick", "title", "description"}),
        [[entry.label, entry.params, inputs.inputs_of(entry.policy)] for entry in entries],
    ]
    played: list[int] = []

    def write(folder: Path) -> dict[str, Any]:
        played.append(len(entries))
        evaluation = evaluation_run.evaluate(
            log,
            {entry.label: entry.policy for entry in entries},
            chosen.evaluate,
            chosen.replay.questions,
            chosen.replay.reward,
            chosen.seed,
            order.say,
            chosen.replay.slate,
            order.options.executor,
        )
        evaluation.write_tables(folder)
        about = {**evaluation.about, "title": chosen.title}
        shown = chosen.model_dump(mode="json")
        return {"version": __version__, "evaluate": about, "scenario": shown}

    folder = run_folder.assemble(order.results / chosen.name, basis, write, order.options.fresh)
    count = sum(played)
    return Run(folder, count, len(entries) - count, {"all": time.perf_counter() - started}, "")


def verify(chosen: Evaluated, folder: Path, changed: bool, say: Say) -> None:
    """It expects no results."""


def show(
    results: Evaluation,
    style: str | None = None,
    metric: str | None = None,
    baseline: str | None = None,
    simultaneous: bool = False,
) -> RenderedTable:
    """The tables of all questions; there is neither another metric nor a baseline (all is compared with what ran),
    and ranks are those of one table."""
    if style == "json":
        return RenderedTable(json.dumps(results.records(), indent=1, allow_nan=False))
    if style == "csv":
        return RenderedTable(results.estimates.to_csv(index=False).removesuffix("\n"))
    if style == "markdown":
        return RenderedTable(words.as_markdown(results))
    return RenderedTable(words.as_text(results))


def caveats(results: Evaluation, as_json: bool) -> list[str]:
    """Why what is not simply to be believed is not; its text has them already."""
    return words.reasons(results) if as_json and results.worst != BELIEVE else []


def draw(results: Evaluation, folder: Path, metrics: Sequence[str] = (), policies: Sequence[str] = ()) -> list[Record]:
    """Draw all figures; their records. None of them is of a metric or of some policies."""
    from lersbench.figures import evaluation as figures

    return figures.draw(results, folder)


def report(results: Evaluation, figures: Sequence[Record] | None = None) -> list[Path]:
    """Write the report into the folder of the run; its pages."""
    from lersbench.report import evaluation as report_evaluation

    return report_evaluation.write(results, figures)


def verdicts(results: Evaluation) -> list[str]:
    """What it comes to, a sentence a policy."""
    return words.sentences(results)


def finding(results: Evaluation) -> Answer:
    """What it comes to, in a sentence."""
    from lersbench.report import brief

    return brief.finding_of_evaluation(results)


def section(results: Evaluation, figures: Sequence[Record]) -> list[Block]:
    """Its part of the page of a study."""
    from lersbench.report import brief

    return brief.of_evaluation(results, figures)


def about(results: Evaluation) -> About:
    """What a list of runs says of it."""
    policies = results.estimates["policy"].nunique()
    return About(f"{results.about['log']}, {results.about['n']:,} rows", "-", str(policies))
