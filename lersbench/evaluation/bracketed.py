"""Lists without propensities: between which values a policy's lies, by logged clicks and by clicks carried along."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from lersbench.bench import objects, replays
from lersbench.errors import ConfigError
from lersbench.evaluation.ran import Ran
from lersbench.evaluation.setup import Setup
from lersbench.results import brackets, tables
from lersbench.results.brackets import Bracket
from lersbench.results.evaluation import CAUTION, DISBELIEVE, LOGGER, Evaluation

QUESTION = "logged"
ESTIMATOR = "bracket"
SEEDS = 5  # what a policy draws, and the order of the rounds, differ between them


class NoBracket(ConfigError):
    """The lists of a log have no bracket: what is counted may be negative, or nothing ties their places together."""


def evaluate(setup: Setup, policies: Any, ran: Ran, about: dict[str, Any], warn: Callable[[str], None]) -> Evaluation:
    """The bracket of each policy on the lists of a log that holds no propensities, K = `slate` places of them.

    Raises ConfigError where the log's lists have one item each, NoBracket where there can be none.
    """
    info, slate = setup.info, setup.slate
    if info.L == 1:
        raise ConfigError(without_propensities(info.name))
    protocol = {
        "feedback": QUESTION,
        "slate": slate,
        "seeds": SEEDS,
        "replicates": "none" if info.order == "time" else "shuffle",
        "reward": setup.chosen.replay.reward,
    }
    names = {"name": "evaluate", "title": info.name, "seed": setup.seed}
    chosen, entries = objects.scenario_of(policies, setup.log.path, protocol, names, None)
    with tempfile.TemporaryDirectory(prefix="lersbench-") as folder:
        run = replays.bench(chosen, Path(folder), say=lambda line: None, entries=entries, warn=warn)
        if run.failures:
            warn(run.failures)
        results = tables.load(run.folder)
        variant = results.variants[0]
        if not results.bracketed(variant):
            raise NoBracket(_why_none(results, info.name, setup.source.reward.words))
        lifts, values = brackets.of_variant(results, variant), brackets.of_values(results, variant)
        doubts = brackets.warnings(results)
    paid = "clicks" if setup.source.reward.is_click else setup.source.reward.words
    rows = [_row(policy, values[policy], lift, paid, ran, doubts) for policy, lift in lifts.items()]
    pairs = [_against(policy, lift, ran) for policy, lift in lifts.items()]
    notes = [f"{brackets.ASSUMPTION}.", *doubts, *about["notes"]]
    return Evaluation({**about, "estimators": ESTIMATOR, "notes": notes}, pd.DataFrame(rows), pd.DataFrame(pairs))


def _why_none(results: tables.Results, name: str, paid: str) -> str:
    fault = brackets.facts_of(results.log(results.variants[0])).get("fault")
    why = fault or f"{paid} may be negative, and logged rewards of either sign bracket nothing"
    return f"log '{name}' holds no propensities, and its lists have no bracket either: {why}."


def without_propensities(name: str) -> str:
    """What a log of single items without propensities can be helped by."""
    return (
        f"log '{name}' shows one item a row and holds no propensities, so nothing weighs its rewards. Fix: log the "
        "probability of each choice and import it (--column propensity=...); or name the rule that made the choices "
        "(import ... --propensities epsilon=0.1 with the scores); or let them be estimated (--propensities estimated), "
        "which is believed no further than with caution."
    )


def _row(policy: str, value: Bracket, lift: Bracket, paid: str, ran: Ran, doubts: list[str]) -> dict[str, Any]:
    """A line of the estimates: the ends as they are, and low and high with the errors of both."""
    return {
        "policy": policy,
        "feedback": QUESTION,
        "estimator": ESTIMATOR,
        "place": 0,
        "value": math.nan,
        "low": value.first,
        "high": value.last,
        "end_low": value.low,
        "end_high": value.high,
        "interval": "errors of both ends",
        "se": math.nan,
        "n": ran.n,
        "users": ran.users,
        "ess": math.nan,
        "chance": "re-ranked",
        "verdict": DISBELIEVE if doubts else CAUTION,
        "reason": doubts[0].rstrip(".") if doubts else "a bracket rests on what stands on top being liked more",
        "words": brackets.sentence(policy, lift, paid),
    }


def _against(policy: str, lift: Bracket, ran: Ran) -> dict[str, Any]:
    scaled = lift.moved(ran.value)
    return {
        "policy": policy,
        "other": LOGGER,
        "feedback": QUESTION,
        "estimator": ESTIMATOR,
        "value": math.nan,
        "low": scaled.first,
        "high": scaled.last,
        "p": math.nan,
    }
