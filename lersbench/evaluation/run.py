"""An off-policy evaluation, from a log and policies to its tables."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from lersbench.datasets import DATASETS, build
from lersbench.errors import ConfigError, did_you_mean
from lersbench.evaluation import bracketed, fixed, partitions, random_share, sure, tables, trained
from lersbench.evaluation.estimated import Estimated
from lersbench.evaluation.logged import PREDICTED
from lersbench.evaluation.model import Model
from lersbench.evaluation.plan import PLACED, asked_of
from lersbench.evaluation.ran import Ran
from lersbench.evaluation.setup import Setup, settings_of, setup_of
from lersbench.feedback import CLICK
from lersbench.log import Log
from lersbench.offpolicy.settings import Evaluate
from lersbench.results.evaluation import Evaluation
from lersbench.system import elsewhere
from lersbench.system.elsewhere import Executor

USUAL = ("random", "popular")


def open_log(name: str, options: dict[str, Any]) -> Log:
    """The log in the folder `name`; or that of a data set of this name, with its options."""
    if name in DATASETS and not Path(name).exists():
        return build(name, **options)
    if options:
        raise ConfigError(f"{name} is no data set{did_you_mean(name, DATASETS)} Options are for data sets.")
    return Log(name)


def evaluate(
    log: Log,
    policies: Any,
    settings: dict[str, Any] | Evaluate | None = None,
    questions: Sequence[str] = (),
    reward: str | dict[str, float] = CLICK,
    seed: int = 0,
    say: Callable[[str], None] = lambda line: None,
    slate: int | None = None,
    executor: Any = None,
) -> Evaluation:
    """Judge policies by a log: see `lersbench evaluate`. `executor` as of `system.elsewhere.opened`. Raises ConfigError
    for what the log cannot answer."""
    chosen = settings_of(settings)
    with elsewhere.opened(executor, None, say) as pool:
        return _evaluated(log, policies, chosen, questions, reward, seed, say, slate, pool)


def _evaluated(
    log: Log,
    policies: Any,
    chosen: Evaluate,
    questions: Sequence[str],
    reward: str | dict[str, float],
    seed: int,
    say: Callable[[str], None],
    slate: int | None,
    pool: Executor | None,
) -> Evaluation:
    if random_share.is_there(log) and chosen.propensities != "estimated" and set(questions) != {bracketed.QUESTION}:
        return _by_share(log, policies, chosen, questions, reward, seed, say, slate, pool)
    return _by_all(log, policies, chosen, questions, reward, seed, say, slate, pool)


def _by_share(
    log: Log,
    policies: Any,
    settings: Evaluate,
    questions: Sequence[str],
    reward: str | dict[str, float],
    seed: int,
    say: Callable[[str], None],
    slate: int | None,
    pool: Executor | None,
) -> Evaluation:
    """Judge by the lists in random order; beside it stands the bracket of the others, unless other things are asked."""
    asked = tuple(name for name in questions if name != bracketed.QUESTION)
    with tempfile.TemporaryDirectory(prefix="lersbench-") as folder:
        parts = random_share.apart(log, Path(folder), slate)
        setup = setup_of(parts.random, policies, settings, reward, seed)
        with closing(setup.session.bar):
            judged = _judged(setup, asked, parts.caps, pool)
        others = bracket = None
        if parts.others is not None:
            places = parts.others.info.L if slate is None else min(slate, parts.others.info.L)
            clicks = settings.target != "any-click"  # of which brackets are, and of nothing else
            listed = clicks and (not questions or len(asked) < len(questions))
            told = Evaluate(level=settings.level, cluster=settings.cluster, target=settings.target)
            rest = setup_of(parts.others, policies, told, reward, seed, places)
            with closing(rest.session.bar):
                ran = Ran.of(rest.source, places)
                others = tables.about(rest, [], ran, None)
                try:
                    bracket = bracketed.evaluate(rest, policies, ran, others, say) if listed else None
                except bracketed.NoBracket as none:  # it is no part of the answer
                    judged.about["notes"].append(f"The lists of the ranker are no help: {none}")
        return random_share.together(log, judged, parts, others, bracket)


def _by_all(
    log: Log,
    policies: Any,
    settings: Evaluate,
    questions: Sequence[str],
    reward: str | dict[str, float],
    seed: int,
    say: Callable[[str], None],
    slate: int | None,
    pool: Executor | None,
) -> Evaluation:
    setup = setup_of(log, policies, settings, reward, seed, slate)
    with closing(setup.session.bar):
        if log.info.propensities == "none" and not setup.fits:
            if asked := [name for name in questions if name != bracketed.QUESTION]:
                raise ConfigError(
                    f"log '{log.info.name}' holds no propensities, so {', '.join(asked)} cannot be asked of it. Lists "
                    "are answered by a bracket: leave --question out. Single items need propensities."
                )
            ran = Ran.of(setup.source, setup.slate)
            return bracketed.evaluate(setup, policies, ran, tables.about(setup, [], ran, None), say)
        return _judged(setup, questions, (), pool)


def _judged(
    setup: Setup, questions: Sequence[str], doubts: Sequence[tuple[str, str]], pool: Executor | None
) -> Evaluation:
    """The passes over a log that holds propensities, each with its word at the progress bar; `doubts` cap verdicts."""
    asked, bar = asked_of(setup, questions), setup.session.bar
    if setup.fits:
        bar.set_description_str("propensities")
        setup.source.estimated = Estimated(setup.source, setup.settings.folds, setup.seed)
    setup.source.placed = any(name in PLACED for one in asked for name in one.estimators)
    bar.set_description_str("what ran")
    ran = partitions.ran(setup, pool)
    asked, left_out = sure.answered(setup, asked, ran, bool(questions))
    as_they_are = [one for one in asked if one.question == "off-policy"]
    model = None
    if any(map(fixed.needs_model, as_they_are)):
        bar.set_description_str("reward model")
        setup.source.together = min(PREDICTED, setup.source.together)
        model = Model(setup.source, setup.settings.model, setup.settings.folds)
    clicks = fixed.click_models_of(setup, as_they_are)
    bar.set_description_str("fixed policies")
    judged = partitions.judge(setup, as_they_are, model, clicks, pool)
    bar.set_description_str("learners")
    learning = [one for one in asked if one.question != "off-policy"]
    judged += partitions.judge_learners(setup, learning, ran, pool)
    for one in judged:
        caps, notes = trained.caps(setup.source, one.label, one.entry.policy)
        one.caps += [*doubts, *caps]
        one.notes += notes
    judged[0].notes += left_out
    return tables.evaluation_of(setup, judged, ran, model, clicks)
