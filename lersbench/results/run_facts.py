"""What a run was made of and what it came to, as `two_runs` compares runs: a pair of functions a kind."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from lersbench.errors import ConfigError
from lersbench.feedback import QUESTIONS
from lersbench.metrics import Metric
from lersbench.results.evaluation import Evaluation
from lersbench.results.lab import LabResults
from lersbench.results.numbers import scale, unit_of
from lersbench.results.statistics import error
from lersbench.results.tables import Results
from lersbench.results.two_runs import Facts, Value, Values

WORDS = ("name", "title", "description")  # of a scenario: they change no result
TESTS = {"test_accuracy": "accuracy, in %", "test_loss": "loss", "test_mse": "squared error"}  # of an experiment


# Replays --------------------------------------------------------------------------------------------------------------
def of_replay(results: Results) -> Facts:
    """Data, seeds, settings, policies, code and versions of a replay."""
    meta = results.meta
    contenders = results.contenders.drop_duplicates("entry")
    logs = {f"{log['name']} {log['variant']}".strip(): _data(log) for log in meta["logs"]}
    settings = {key: value for key, value in results.scenario.items() if key not in (*WORDS, "policies", "replicates")}
    told = {key: value for key, value in flat(settings).items() if key != "replay.seeds"}
    return {
        "data": logs,
        "seeds": _seeds(results),
        "settings": told,
        "policies": {str(row["entry"]): f"{row['name']} {row['params']}" for row in contenders.to_dict("records")},
        "code": {label: str(digest) for label, digest in meta.get("sources", {}).items()},
        "files": {label: json.dumps(names) for label, names in meta.get("files", {}).items()},
        "versions": flat(meta.get("versions", {})),
        "machine": flat(meta.get("machine", {})),
    }


def values_of_replay(results: Results, other: Results) -> Values:
    """The values that both runs have of what they are ranked by. Raises ConfigError where neither ranking has that."""
    metric = _metric(results, other)
    stored = {tuple(place[:3]): key for key, place in results.meta.get("contenders", {}).items()}
    regimes = set(results.summary["feedback"]) | set(other.summary["feedback"])
    found = {}
    for variant, policy in results.summary[["variant", "policy"]].drop_duplicates().itertuples(index=False):
        if policy in results.finals(variant, metric.name):
            place = (variant, results.entries[policy], results.feedback(variant)[policy])
            name = f"{place[1]} ({place[2]})" if len(regimes) > 1 else place[1]
            found[variant, name] = _value(results, variant, policy, metric, stored.get(place, ""))
    unit = unit_of(metric)
    return Values(f"{metric.title}{f', in {unit}' if unit else ''}", scale(metric), found)


def _metric(results: Results, other: Results) -> Metric:
    """What the runs are compared by: what either is ranked by and both have measured, the same whichever asks."""
    for name in sorted({str(run.scenario["leaderboard"]) for run in (results, other)}):
        if name in results.metrics and name in other.metrics:
            return results.metric(name)
    raise ConfigError(
        f"{results.path} and {other.path} are ranked by metrics that the other has not measured, so nothing compares "
        "them. Fix: run the scenario again, with one 'leaderboard'."
    )


def _value(results: Results, variant: str, policy: str, metric: Metric, stored: str) -> Value:
    values = results.finals(variant, metric.name)[policy]
    if results.unweighed(variant):  # seeds tell nothing of the error that counts
        return Value(float(values.mean()), math.nan, math.nan, stored)
    rows = results.summary[(results.summary["variant"] == variant) & (results.summary["policy"] == policy)]
    half = results.halves(sorted(set(rows["seed"])))
    found = error(values, results.replicates, results.floor(variant, [policy], metric), half)
    return Value(float(values.mean()), float(found.variance), float(found.df), stored)


def _seeds(results: Results) -> dict[str, str]:
    """How many seeds each contender has played, those with the usual number together."""
    rows = results.summary.drop_duplicates(["variant", "policy", "seed"])
    counts = {
        f"{variant} {policy}".strip(): len(part)
        for variant, some in rows.groupby("variant", sort=False)
        for policy, part in some.groupby("policy", sort=False)
    }
    usual = len(results.meta["seeds"])
    return {"seeds": str(usual), **{name: str(n) for name, n in counts.items() if n != usual}}


# Experiments and evaluations ------------------------------------------------------------------------------------------
def of_experiment(results: LabResults) -> Facts:
    """The same of an experiment on context models."""
    meta = results.meta
    settings = {key: value for key, value in results.experiment.items() if key not in WORDS}
    return {
        "data": {str(meta["data"].get("name", "data")): str(meta["data"].get("digest"))},
        "seeds": {"seeds": str(len(meta["seeds"]))},
        "settings": flat(settings),
        "versions": flat(meta.get("versions", {})),
        "machine": flat(meta.get("machine", {})),
    }


def values_of_experiment(results: LabResults, other: LabResults) -> Values:
    """Final values on the test part, by what of it was measured."""
    measured = set(results.curves["metric"]) & set(other.curves["metric"])
    name = next((name for name in TESTS if name in measured), None)
    if name is None:
        raise ConfigError(f"{results.path} and {other.path} have no test in common, so nothing compares them.")
    found = {}
    for label in results.settings:
        values = results.finals(label, name).to_numpy()
        if len(values):
            spread = error(values, "none")
            found["", label] = Value(float(values.mean()), float(spread.variance), float(spread.df))
    return Values(f"Test {TESTS[name]}", 100 if name == "test_accuracy" else 1, found)


def of_evaluation(results: Evaluation) -> Facts:
    """The same of an off-policy evaluation."""
    about = results.about
    return {
        "data": {str(about["log"]): f"{about.get('digest', '')}, {about['n']:,} rows"},
        "settings": flat(about["settings"]),
        "versions": flat(about.get("versions", {})),
        "code": {f"source {number}": line for number, line in enumerate(about.get("sources", []), 1)},
    }


def values_of_evaluation(results: Evaluation, other: Evaluation) -> Values:
    """The leading estimate of each policy, under each question."""
    several = len({*results.questions, *other.questions}) > 1
    found = {
        (QUESTIONS[question].title if several else "", str(row["policy"])): Value(
            float(row["value"]), float(row["se"]) ** 2, math.inf
        )
        for question in results.questions
        for _, row in results.leading(question).iterrows()
    }
    return Values(str(results.about["unit"]), 1, found)


# Words ----------------------------------------------------------------------------------------------------------------
def flat(content: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """A JSON object as pairs of texts, its keys dotted: {"replay": {"seeds": 3}} is {"replay.seeds": "3"}."""
    found: dict[str, str] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{before}{key}.")
        elif value is not None:
            found[f"{before}{key}"] = value if isinstance(value, str) else json.dumps(value)
    return found


def _data(log: Mapping[str, Any]) -> str:
    return (
        f"{log.get('digest') or 'no digest'}, {log['rounds']:,} rounds" if log.get("rounds") else str(log.get("digest"))
    )
