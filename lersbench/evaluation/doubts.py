"""How far an estimate can be believed: its diagnostics, its verdict, and what cutting its weights does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import pandas as pd

from lersbench.evaluation.answers import MODEL, Estimate
from lersbench.evaluation.judged import Judged
from lersbench.evaluation.ran import Ran
from lersbench.evaluation.setup import Setup
from lersbench.offpolicy import diagnostics, verdict
from lersbench.offpolicy.diagnostics import Diagnostics, diagnose
from lersbench.offpolicy.slices import Slice
from lersbench.offpolicy.sums import top_weights
from lersbench.offpolicy.verdict import LEVELS, Bounds, Verdict

POINTS = 60  # of a weight curve
SHOWN = (  # diagnostics that are columns of the estimates
    "ess",
    "ess_share",
    "events",
    "thin",
    "max_share",
    "wbar",
    "wbar_z",
    "worst_slice",
    "worst_slice_z",
    "hill",
    "top_out",
    "zero_share",
    "resolution",
    "resolution_share",
    "support",
    "agree_z",
    "r2",
)


class Known(NamedTuple):
    """What the sums of an estimate cannot say of the log and the policy."""

    propensities: str = "logged"
    slice_names: Sequence[str] = ()
    items: Sequence[Slice] = ()  # of a log of single items
    doubly: bool = False  # a reward model takes part
    support: float = math.nan  # share of the policy's choices that the log cannot hold
    r2: float = math.nan  # of the reward model
    caps: Sequence[tuple[str, str]] = ()  # what the verdict may not exceed, and why


def of(setup: Setup, judged: Judged, estimate: Estimate, ran: Ran) -> dict[str, Any]:
    """Diagnostics, verdict and reasons of an estimate, as columns."""
    known = Known(
        setup.info.propensities,
        setup.source.slice_names,
        ran.items,
        judged.modelled,
        0.0 if setup.info.propensities == "uniform" else math.nan,
        judged.r2 if estimate.estimator in MODEL else math.nan,
        judged.caps,
    )
    found, level = worst(estimate, diagnoses(estimate, known), known)
    columns = asdict(found)
    return {
        **{name: columns[name] for name in SHOWN},
        "snips_without_top": found.snips_without_top,
        "verdict": level.level,
        "reason": "; ".join(level.reasons[:2]),
    }


def diagnoses(estimate: Estimate, known: Known) -> list[Diagnostics | None]:
    """The diagnostics of each place of an estimate that has a row; None for a place without."""
    single = len(estimate.sums) == 1
    found: list[Diagnostics | None] = []
    for sums in estimate.sums:
        if not sums.rows[0]:
            found.append(None)
            continue
        one = diagnose(
            sums,
            propensities=known.propensities,
            slice_names=known.slice_names,
            items=known.items if single else [],
            doubly=known.doubly,
            support=known.support,
            r2=known.r2,
        )
        if estimate.estimator == "rejection":  # rows are accepted or not: sizes of weights say nothing
            one = replace(one, hill=math.nan, thin=0.0, agree_z=0.0)
        found.append(one)
    return found


def worst(
    estimate: Estimate,
    found: Sequence[Diagnostics | None],
    known: Known,
    thresholds: Mapping[str, Bounds] = verdict.THRESHOLDS,
) -> tuple[Diagnostics, Verdict]:
    """The verdict on an estimate by its diagnostics: a sum over places is as good as the worst of them."""
    least: tuple[Diagnostics, Verdict] | None = None
    for place, one in enumerate(found, 1):
        if one is None:
            continue
        level = verdict.verdict(one, estimate.estimator, known.caps, thresholds)
        if len(found) > 1:
            level = Verdict(level.level, tuple(f"place {place}: {why}" for why in level.reasons))
        if least is None or LEVELS.index(level.level) > LEVELS.index(least[1].level):
            least = one, level
    assert least is not None
    return least


def sensitivity(judged: list[Judged]) -> pd.DataFrame:
    """SNIPS of each policy with its weights cut near quantiles of their distribution, and as it is."""
    rows = []
    for one in judged:
        if one.question == "rejection":
            continue
        for cut in diagnostics.sensitivity(one.first):
            rows.append(
                {
                    "policy": one.label,
                    "feedback": one.question,
                    "cut": f"{100 * cut.quantile:g} %" if cut.quantile < 1 else "none",
                    "weight": cut.clip,
                    "value": cut.value,
                    "cut_share": cut.cut,
                    "lift": cut.lift,
                }
            )
    return pd.DataFrame(rows)


def weights(judged: list[Judged]) -> pd.DataFrame:
    """The largest weights of each policy, the largest first: some of the ranks, evenly on a logarithmic scale."""
    rows = []
    for one in judged:
        top = top_weights(one.first)
        ranks = sorted({round(len(top) ** (i / POINTS)) for i in range(POINTS + 1)}) if len(top) else []
        if one.question != "rejection":
            rows += [
                {"policy": one.label, "feedback": one.question, "rank": rank, "weight": float(top[rank - 1, 0])}
                for rank in ranks
            ]
    return pd.DataFrame(rows)
