"""How far an estimate can be believed: its diagnostics, its verdict, and what cutting its weights does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lersbench.evaluation.answers import FEW, MODEL, Estimate
from lersbench.evaluation.judged import Judged
from lersbench.evaluation.ran import Ran
from lersbench.evaluation.setup import Setup
from lersbench.offpolicy import diagnostics, verdict
from lersbench.offpolicy.diagnostics import Cut, Diagnostics, diagnose
from lersbench.offpolicy.slices import Slice
from lersbench.offpolicy.sums import TOP_W, Sums, six, top_weights
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
    lists: bool = False  # the log shows lists
    support: float = math.nan  # share of the policy's choices that the log cannot hold
    r2: float = math.nan  # of the reward model
    caps: Sequence[tuple[str, str]] = ()  # what the verdict may not exceed, and why


def of(setup: Setup, judged: Judged, estimate: Estimate, ran: Ran) -> dict[str, Any]:
    """Diagnostics, verdict and reasons of an estimate, as columns."""
    kind = estimate.estimator
    known = Known(
        setup.info.propensities,
        setup.source.slice_names,
        ran.items,
        judged.modelled,
        setup.places > 1,
        0.0 if setup.info.propensities == "uniform" else math.nan,
        judged.r2 if kind in MODEL else math.nan,
        [*judged.caps, *judged.alarms.get(kind, [])],
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
    return [_one(estimate, sums, known) if sums.rows[0] else None for sums in estimate.sums]


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
    if estimate.bounded:
        return least[0], Verdict(verdict.DO_NOT_BELIEVE, (_bounded(estimate), *least[1].reasons))
    return least


def _bounded(estimate: Estimate) -> str:
    """Why a sum over places is a bound only."""
    numbers = ", ".join(map(str, estimate.bounded))
    there = f"place{'s' * (len(estimate.bounded) > 1)} {numbers}"
    agree = f"agree with the policy {'down to' if estimate.estimator == 'rips' else 'at'} {there}"
    return f"the lists that {agree} are worth fewer than {FEW}, so there it may earn all or nothing"


def _one(estimate: Estimate, sums: Sums, known: Known) -> Diagnostics:
    """The diagnostics of an estimate at one place."""
    found = diagnose(
        sums,
        propensities=known.propensities,
        slice_names=known.slice_names,
        items=known.items if len(estimate.sums) == 1 else [],
        doubly=known.doubly,
        thin=_thin_of_lists(sums) if known.lists else None,
        support=known.support,
        r2=known.r2,
    )
    if estimate.estimator == "rejection":  # rows are accepted or not: sizes of weights say nothing
        return replace(found, hill=math.nan, thin=0.0, agree_z=0.0)
    return found


def _thin_of_lists(sums: Sums) -> float:
    """The share of the weight on lists of which a single rewarded one would be worth more than all rewards there are.

    Of a policy that shows one list they are those of p < 1 / (n V): the log is to hold less than one rewarded row of
    them. Of one that spreads over lists as the logger does any is as rare, and none weighs much.
    """
    s, top = six(sums), top_weights(sums)
    if not s.s1 > 0:
        return 0.0
    heavy = top[top[:, TOP_W] > max(s.n * s.r1 / s.s1, 1.0), TOP_W]
    return min(1.0, float(heavy.sum()) / s.s1)


def sensitivity(judged: list[Judged]) -> pd.DataFrame:
    """SNIPS of each policy, or what leads for its lists, with weights cut near their quantiles and as it is."""
    rows = []
    for one in judged:
        if one.question == "rejection":
            continue
        for cut in _cuts(one.leading):
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


def _cuts(places: list[Sums]) -> list[Cut]:
    """What cutting the weights does to an estimate, or to the sum over the places of a list, each cut by itself."""
    places = [sums for sums in places if sums.rows[0]]
    share = np.array([sums.rows[0] for sums in places]) / max(int(sums.rows[0]) for sums in places)
    weight = [six(sums).s1 for sums in places]
    together = []
    for cuts in zip(*map(diagnostics.sensitivity, places), strict=True):
        value, lift = (float(share @ [getattr(cut, name) for cut in cuts]) for name in ("value", "lift"))
        gone = float(np.average([cut.cut for cut in cuts], weights=weight)) if any(weight) else math.nan
        together.append(Cut(cuts[0].quantile, max(cut.clip for cut in cuts), value, gone, lift))
    return together


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
