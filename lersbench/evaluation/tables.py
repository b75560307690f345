"""The tables of an evaluation: estimates with intervals, diagnostics and verdicts; differences; ranks."""

from __future__ import annotations

import math
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from lersbench import __version__
from lersbench.evaluation import answers, doubts, estimated, lists
from lersbench.evaluation.answers import CUT, MODEL, Estimate, Range
from lersbench.evaluation.exposed import MODELS, ClickModels
from lersbench.evaluation.judged import CASCADE, PLACE, PREFIX, SIGNED, SINGLE, WHOLE, Judged
from lersbench.evaluation.model import Model
from lersbench.evaluation.ran import Ran
from lersbench.evaluation.setup import Setup
from lersbench.evaluation.shrunk import SHRINKAGES
from lersbench.offpolicy.compare import differences, rank_ranges
from lersbench.offpolicy.verdict import percent
from lersbench.results.evaluation import BELIEVE, DISBELIEVE, LOGGER, Evaluation

BY_ROW = ("anytime", "bernstein")  # intervals that know no users
PACKAGES = ("numpy", "numba", "pandas")


def evaluation_of(
    setup: Setup, judged: list[Judged], ran: Ran, model: Model | None, clicks: ClickModels | None = None
) -> Evaluation:
    """All tables, and what is said beside them."""
    rows, leading, said = _estimated(setup, judged, ran, clicks)
    beside = about(setup, judged, ran, model)
    beside["notes"] += [*(clicks.notes if clicks else []), *said]
    pairs: list[dict[str, Any]] = []
    for question, ones in leading.items():
        pairs += _differences(setup, question, ones, ran)
    cut = doubts.sensitivity(judged)
    beside["notes"] += [*_odds(leading, pairs, ran), *_cuts(rows), *doubts.signs(cut)]
    return Evaluation(
        beside,
        pd.DataFrame(rows),
        pd.DataFrame(pairs),
        cut,
        doubts.weights(judged),
        pd.DataFrame([part._asdict() for part in ran.items]),
    )


def about(setup: Setup, judged: list[Judged], ran: Ran, model: Model | None) -> dict[str, Any]:
    """What is said beside the tables."""
    level = setup.settings.level
    interval = ran.interval(level)
    return {
        "log": setup.info.name,
        "digest": setup.info.digest,
        "n": ran.n,
        "users": ran.users,
        "positions": setup.places,
        "unit": _unit(setup),
        "propensities": f"{setup.propensities} ({setup.kind})",
        **({"propensity_model": setup.source.estimated.facts} if setup.fits else {}),
        "clusters": setup.settings.cluster,
        "clusters_in_words": "by user" if setup.source.by_user else "by row",
        "estimators": " | ".join(dict.fromkeys(name for one in judged for name in one.estimators)),
        "logger": {"value": ran.value, "low": interval.low, "high": interval.high},
        "settings": {**setup.settings.model_dump(), "seed": setup.seed},
        "notes": _notes(setup, judged, model),
        "sources": _sources(setup),
        "versions": {"lersbench": __version__, **{name: version(name) for name in PACKAGES}},
    }


def _unit(setup: Setup) -> str:
    """What is counted: of single items a click is any click."""
    return "clicked lists" if setup.source.any_click and setup.places > 1 else setup.source.reward.unit


def _estimated(
    setup: Setup, judged: list[Judged], ran: Ran, clicks: ClickModels | None
) -> tuple[list[dict[str, Any]], dict[str, list[tuple[Judged, Estimate, dict[str, Any]]]], list[str]]:
    """The rows of all estimates, the leading one of each policy with its row by question, and what is said of them."""
    rows: list[dict[str, Any]] = []
    leading: dict[str, list[tuple[Judged, Estimate, dict[str, Any]]]] = {}
    said: list[str] = []
    found = [answers.estimates_of(one, _ordered(setup, one), ran.counts, _spans(setup)) for one in judged]
    for one, by_name in zip(judged, found, strict=True):
        said += lists.compared(setup, one, by_name, ran, clicks)
        alike = [other for many, other in zip(judged, found, strict=True) if many.question == one.question]
        one.estimators = lists.ordered(setup, alike) if setup.places > 1 else list(by_name)
        estimates = [estimate for name in one.estimators for estimate in by_name[name]]
        lines = [_row(setup, one, estimate, ran) for estimate in estimates]
        rows += lines
        leading.setdefault(one.question, []).append((one, estimates[0], lines[0]))
    return rows, leading, said


def _ordered(setup: Setup, judged: Judged) -> list[str]:
    """The estimators, the leading one first: where the reward model explains nothing, DR does not lead unasked."""
    names = judged.estimators
    if setup.settings.estimators or names[0] not in MODEL or not judged.r2 <= 0:
        return names
    return [*(name for name in names if name not in MODEL), *(name for name in names if name in MODEL)]


def _spans(setup: Setup) -> dict[str, list[Range]]:
    """The ranges of rewards and weights of each family: of lists first that of the whole, then those of its places."""
    low, high = setup.span
    list_low, list_high = setup.span_of_list
    wide, places = float(setup.info.C), range(setup.places)
    uniform = setup.kind == "uniform"
    orders = [math.prod(wide - k for k in range(place + 1)) if uniform else math.inf for place in places]
    widest = wide if uniform else math.inf
    whole = Range(list_low, list_high, orders[-1])
    prefix = [whole, *(Range(low, high, most) for most in orders)]
    return {
        SINGLE: [Range(low, high, widest) if setup.places == 1 else whole],
        WHOLE: [whole],
        SIGNED: [whole],
        PREFIX: prefix,
        CASCADE: prefix,
        PLACE: [whole, *(Range(low, high, widest) for _ in places)],
        **{model: [Range(list_low, list_high, math.inf, high)] for model in MODELS.values()},
    }


def _row(setup: Setup, judged: Judged, estimate: Estimate, ran: Ran) -> dict[str, Any]:
    level, kind = setup.settings.level, setup.settings.interval
    doubt = doubts.of(setup, judged, estimate, ran)
    interval, how = answers.shown(estimate, kind, level, doubt["verdict"] == BELIEVE)
    return {
        "policy": judged.label,
        "feedback": judged.question,
        "estimator": estimate.estimator,
        "place": estimate.place,
        "value": estimate.value,
        "low": interval.low,
        "high": interval.high,
        "interval": how,
        "se": estimate.error,
        "se_rows": estimate.row_error,
        "n": int(sum(one.rows[0] for one in estimate.sums)) if estimate.place else ran.n,
        "users": ran.users,
        "chance": judged.how,
        "clip": estimate.clip,
        "cut": estimate.cut,
        "end_low": estimate.bounds.low if estimate.bounds else math.nan,
        "end_high": estimate.bounds.high if estimate.bounds else math.nan,
        **doubt,
    }


# Differences and ranks ------------------------------------------------------------------------------------------------
def _differences(
    setup: Setup, question: str, ones: list[tuple[Judged, Estimate, dict[str, Any]]], ran: Ran
) -> list[dict[str, Any]]:
    """Each policy against what ran and against each other, by its leading estimate; ranks go into their rows."""
    values = np.array([*(estimate.value for _, estimate, _ in ones), ran.value])
    log, counts = estimated.of_log([one for one, _, _ in ones]) or (ran.psi, ran.counts)
    psi = np.vstack([*(estimate.psi for _, estimate, _ in ones), log])
    found = differences(values, psi, counts, setup.settings.level)
    withheld = np.array([line["verdict"] == DISBELIEVE or math.isnan(line["value"]) for _, _, line in ones])
    policies = differences(values[:-1], psi[:-1], counts, setup.settings.level)
    for (_, _, line), (best, worst) in zip(ones, rank_ranges(policies, withheld), strict=True):
        line["rank_low"], line["rank_high"] = float(best), float(worst)
    labels = [*(one.label for one, _, _ in ones), LOGGER]
    pairs = []
    for i, label in enumerate(labels[:-1]):
        for j in [len(labels) - 1, *range(i + 1, len(labels) - 1)]:
            pairs.append(
                {
                    "policy": label,
                    "other": labels[j],
                    "feedback": question,
                    "estimator": ones[i][1].estimator,
                    "value": found.value[i, j],
                    "low": found.low[i, j],
                    "high": found.high[i, j],
                    "p": found.p[i, j],
                }
            )
    return pairs


def _odds(
    leading: dict[str, list[tuple[Judged, Estimate, dict[str, Any]]]], pairs: list[dict[str, Any]], ran: Ran
) -> list[str]:
    """How wrong the odds of estimated propensities may be before the sign of each lift is open; into the rows too."""
    notes = []
    signed = {(pair["feedback"], pair["policy"]): pair["low"] > 0 or pair["high"] < 0 for pair in pairs
              if pair["other"] == LOGGER}  # fmt: skip
    for question, ones in leading.items():
        for judged, _, line in ones:
            if "odds" not in judged.beside:
                continue
            sure = signed[question, judged.label]
            line["odds"] = judged.beside["odds"].turning(ran.value) if sure else 1.0
            notes.append(
                f"{judged.label}: its lift against what ran keeps its sign, random error aside, while the true odds of "
                f"every propensity lie within a factor of {line['odds']:.2g} of the estimated ones."
                if sure
                else f"{judged.label}: the sign of its lift against what ran is open, were the propensities right."
            )
    return notes


def _cuts(rows: list[dict[str, Any]]) -> list[str]:
    """Where weights are cut or shrunk: what is left out, and the value with all of it."""
    notes = []
    whole = {(row["policy"], row["feedback"], row["estimator"]): row["value"] for row in rows if not row["place"]}
    for row in rows:
        plain = row["estimator"].removesuffix(CUT) if row["estimator"] not in SHRINKAGES else "dr"
        if row["cut"] > 0 and not row["place"]:
            uncut = whole[row["policy"], row["feedback"], plain]
            notes.append(
                f"{row['policy']}, {row['estimator']}: {percent(row['cut'])} of all weight is left out, by weights "
                f"beyond {row['clip']:.3g}; with all of it {plain} is {uncut:.4g} in place of {row['value']:.4g}."
            )
    return notes


# What is said beside the tables ---------------------------------------------------------------------------------------
def _notes(setup: Setup, judged: list[Judged], model: Model | None) -> list[str]:
    notes = []
    left_out = setup.info.rounds - setup.source.end
    if left_out:
        notes.append(
            f"{left_out:,} rows are younger than the reward window of the log, so what they earn is not known yet: "
            "they are left out."
        )
    if setup.source.first:
        notes.append(_learned(setup.source.taught, setup.source.first))
    if setup.info.reward_window and any(one.question != "off-policy" for one in judged):
        notes.append(
            "Learners are told the reward of a row at once, although it takes up to the reward window of the log to "
            "come: they learn sooner here than they could have."
        )
    for one in judged:
        if one.question == "off-policy" and one.entry.policy.learns and not setup.source.first:
            notes.append(
                f"{one.label} learns, and was judged as it is before its first round. Let it learn with --frozen, or "
                "ask the questions of learners (progressive, rejection)."
            )
    notes += dict.fromkeys(note for one in judged for note in one.notes)
    drawn = [one.label for one in judged if one.how == "draws"]
    if drawn:
        notes.append(
            f"The chances of {', '.join(drawn)} are frequencies of {setup.settings.draws} "
            f"draw{'s' * (setup.settings.draws > 1)} a row: unbiased for IPS and DR, noisier than they need be."
        )
    if setup.source.by_user and setup.settings.interval in BY_ROW:
        notes.append(
            f"Intervals of kind '{setup.settings.interval}' take the rows of a user as independent of each "
            "other; where they are not, they are too narrow. The errors beside them are by user."
        )
    fitted = setup.source.estimated.notes if setup.fits else []
    return [*notes, *(model.notes if model else []), *fitted]


def _learned(taught: int, first: int) -> str:
    """From what policies learned before they were judged."""
    if taught == first:
        return f"Policies learned from the first {first:,} rows and were judged on those after."
    return (
        f"Policies learned from the first {taught:,} rows and were judged from row {first:,} on: by then the reward "
        f"window of the {first - taught:,} rows between was still open."
    )


def _sources(setup: Setup) -> list[str]:
    info = setup.info
    return [f"Data: {info.attribution.rstrip('.')}. Licence: {info.licence}."] if info.attribution else []
