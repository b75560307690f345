"""The kinds of parts that a study may have, a row each: what names them, and how they are read, run and shown.

A new kind is a row here, and a module with its functions; nobody else asks of which kind a part or a run is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from lersbench.bench.scenario import Scenario
from lersbench.evaluation.scenario import Evaluated
from lersbench.files import read_json
from lersbench.lab.scenario import Experiment
from lersbench.results import evaluation, lab, run_facts, tables
from lersbench.results.evaluation import Evaluation
from lersbench.results.lab import LabResults
from lersbench.results.tables import Results
from lersbench.results.two_runs import Facts, Values
from lersbench.studies import evaluations, experiments, scenarios
from lersbench.studies.options import About, Order, RenderedTable, Say
from lersbench.system.progress import Progress

if TYPE_CHECKING:
    from lersbench.bench.jobs import Run
    from lersbench.figures.records import Record
    from lersbench.report.blocks import Answer, Block

Part = Scenario | Experiment | Evaluated
AnyResults = Results | LabResults | Evaluation


@dataclass(frozen=True)
class Kind:
    """A row of the table. The functions take parts and results of their own kind alone, hence `Any`."""

    key: str  # of the run.json of its runs, and of its files unless they are a scenario's
    part: type[BaseModel]  # what a file is read as
    results: type  # what a run is loaded as
    has_quick: bool  # its files have a [quick] of their own, so that one can be run short outside a study
    keys: tuple[str, ...]  # settings that its files take beside those of `part`
    jobs: str  # what a run counts, in words
    failure_note: str  # said after failures
    read: Callable[[str, dict[str, Any] | None, dict[str, Any] | None, str | None], Any]
    run: Callable[[Any, Order, Progress], Run]
    verify: Callable[[Any, Path, bool, Say], None]
    load: Callable[[Path], Any]
    show: Callable[[Any, str | None, str | None, str | None, bool], RenderedTable]
    caveats: Callable[[Any, bool], list[str]]
    draw: Callable[[Any, Path, Sequence[str], Sequence[str]], list[Record]]
    report: Callable[[Any, Sequence[Record] | None], list[Path]]
    verdicts: Callable[[Any], list[str]]
    finding: Callable[[Any], Answer]
    section: Callable[[Any, Sequence[Record]], list[Block]]
    about: Callable[[Any], About]
    facts: Callable[[Any], Facts]
    values: Callable[[Any, Any], Values]

    def takes(self, setting: str) -> bool:
        """Is a dotted key, such as "replay.slate", one of a setting of its files?"""
        return setting in self.keys or _has(self.part, setting)


def _has(model: type[BaseModel], setting: str) -> bool:
    """Is a dotted key one of this model, or of a model inside it?"""
    name, _, rest = setting.partition(".")
    if name not in model.model_fields:
        return model.model_config.get("extra") == "allow"
    inner = model.model_fields[name].annotation
    return not (rest and isinstance(inner, type) and issubclass(inner, BaseModel)) or _has(inner, rest)


EXPERIMENT = Kind(
    key="experiment",
    part=Experiment,
    results=LabResults,
    has_quick=True,
    keys=("replay.seeds",),
    jobs="works done",
    failure_note="The table is of the others; they will not be run again.",
    read=experiments.read,
    run=experiments.run,
    verify=experiments.verify,
    load=lab.load,
    show=experiments.show,
    caveats=experiments.caveats,
    draw=experiments.draw,
    report=experiments.report,
    verdicts=experiments.verdicts,
    finding=experiments.finding,
    section=experiments.section,
    about=experiments.about,
    facts=run_facts.of_experiment,
    values=run_facts.values_of_experiment,
)
EVALUATION = Kind(
    key="evaluate",
    part=Evaluated,
    results=Evaluation,
    has_quick=False,
    keys=(),
    jobs="policies judged",
    failure_note="",
    read=evaluations.read,
    run=evaluations.run,
    verify=evaluations.verify,
    load=evaluation.load,
    show=evaluations.show,
    caveats=evaluations.caveats,
    draw=evaluations.draw,
    report=evaluations.report,
    verdicts=evaluations.verdicts,
    finding=evaluations.finding,
    section=evaluations.section,
    about=evaluations.about,
    facts=run_facts.of_evaluation,
    values=run_facts.values_of_evaluation,
)
SCENARIO = Kind(
    key="scenario",
    part=Scenario,
    results=Results,
    has_quick=False,
    keys=(),
    jobs="runs played",
    failure_note="The leaderboard is of the others; they will not be played again.",
    read=scenarios.read,
    run=scenarios.run,
    verify=scenarios.verify,
    load=tables.load,
    show=scenarios.show,
    caveats=scenarios.caveats,
    draw=scenarios.draw,
    report=scenarios.report,
    verdicts=scenarios.verdicts,
    finding=scenarios.finding,
    section=scenarios.section,
    about=scenarios.about,
    facts=run_facts.of_replay,
    values=run_facts.values_of_replay,
)
KINDS = (EXPERIMENT, EVALUATION, SCENARIO)


def of(what: Part | AnyResults) -> Kind:
    """The kind of a part, or of results. Raises TypeError for anything else."""
    for kind in KINDS:
        if isinstance(what, (kind.part, kind.results)):
            return kind
    raise TypeError(f"{type(what).__name__} is neither a part of a study nor the results of one")


def of_content(content: Any) -> Kind:
    """The kind of a file of settings, or of a run.json, by its content; without a key of another kind, a scenario."""
    matches = [kind for kind in KINDS if isinstance(content, dict) and kind.key in content]
    return matches[0] if matches else SCENARIO  # whose files have no key of this name


def load(run: Path) -> Any:
    """The results in the folder of a run. Raises ConfigError where there is none, DataError where it is damaged."""
    try:
        content = read_json(run / "run.json")
    except (OSError, ValueError):  # loading it as a scenario's says what is wrong with it
        content = None
    return of_content(content).load(run)
