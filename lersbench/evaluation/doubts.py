"""How far an estimate can be believed: its diagnostics, its verdict, and what cutting its weights does."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd

from lersbench.evaluation import additive, bounded, cascaded, categories
from lersbench.evaluation.answers import CUT, FEW, MODEL, Estimate
from lersbench.evaluation.judged import Judged
from lersbench.evaluation.ran import Ran
from lersbench.evaluation.setup import Setup
from lersbench.feedback import QUESTIONS
from lersbench.offpolicy import diagnostics, signed, slices, verdict
from lersbench.offpolicy.diagnostics import Cut, Diagnostics, diagnose
from lersbench.offpolicy.slices import Slice
from lersbench.offpolicy.sums import TOP_W, Sums, six, top_weights
from lersbench.offpolicy.verdict import LEVELS, Verdict, percent

FITTED = {  # of fitted propensities: no fit is right to the last digit, and of many rows the z of a mean weight says so
    name: bounds for name, bounds in verdict.THRESHOLDS.items() if name != "wbar_z"
}
ROUNDING = 1e-9  # a smaller lift has no sign
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


def of(setup: Setup, judged: Judged, estimate: Estimate, ran: Ran) -> dict[str, Any]:
    """Diagnostics, verdict and reasons of an estimate; a sum over places is as good as the worst of them."""
    if estimate.estimator == additive.NAME:
        return _of_signed(setup, judged.beside[additive.NAME].sums)
    worst: tuple[Diagnostics, Verdict] | None = None
    for place, sums in enumerate(estimate.uncut or estimate.sums, 1):
        if sums.rows[0]:
            one = _one(setup, judged, estimate, sums, ran.items if len(estimate.sums) == 1 else [])
            if len(estimate.sums) > 1:
                one = one[0], Verdict(one[1].level, tuple(f"place {place}: {why}" for why in one[1].reasons))
            if worst is None or LEVELS.index(one[1].level) > LEVELS.index(worst[1].level):
                worst = one
    assert worst is not None
    found, level = worst
    if estimate.bounded:
        level = Verdict(verdict.DO_NOT_BELIEVE, (_bounded(estimate), *level.reasons))
    return _line(found, level)


def _line(found: Diagnostics, level: Verdict, negative: float = 0.0) -> dict[str, Any]:
    """The columns of an estimate; `negative` is the share of the rows whose weight is."""
    known = asdict(found)
    return {
        **{name: known[name] for name in SHOWN},
        "snips_without_top": found.snips_without_top,
        "negative_share": negative,
        "verdict": level.level,
        "reason": "; ".join(level.reasons[:2]),
    }


def _of_signed(setup: Setup, sums: signed.SignedSums) -> dict[str, Any]:
    """The same of weights that may be negative: where some are, no better than with caution."""
    found, share = signed.diagnose(sums, setup.propensities), signed.negative_share(sums)
    why = f"the weights of {percent(share)} of the lists are negative, and what is known of weights here is of others"
    return _line(found, verdict.verdict(found, additive.NAME, [(verdict.CAUTION, why)] if share else ()), share)


def _bounded(estimate: Estimate) -> str:
    """Why a sum over places is a bound only."""
    numbers = ", ".join(map(str, estimate.bounded))
    there = f"place{'s' * (len(estimate.bounded) > 1)} {numbers}"
    down = estimate.estimator in ("rips", cascaded.NAME)
    agree = f"agree with the policy {'down to' if down else 'at'} {there}"
    return f"the lists that {agree} are worth fewer than {FEW}, so there it may earn all or nothing"


def _one(
    setup: Setup, judged: Judged, estimate: Estimate, sums: Sums, items: list[Slice]
) -> tuple[Diagnostics, Verdict]:
    kind = estimate.estimator
    found = diagnose(
        sums,
        propensities=setup.propensities,
        slice_names=setup.source.slice_names,
        items=items,
        doubly=kind == cascaded.NAME or (judged.modelled and kind != categories.NAME),
        thin=thin_of_lists(sums) if setup.places > 1 else None,
        support=_support(setup, judged),
        r2=judged.r2 if kind in MODEL else math.nan,
    )
    if kind == "rejection":  # rows are accepted or not: what concerns weights of other sizes says nothing
        found = replace(found, hill=math.nan, thin=0.0, agree_z=0.0)
        if not found.ess:
            return found, Verdict(verdict.DO_NOT_BELIEVE, ("no row was accepted",))
    if kind == bounded.NAME:
        return found, _of_bounds(estimate)
    if setup.propensities == "uniform":  # these are exact, whatever grid they lie on
        found = replace(found, resolution_share=0.0)
    thresholds = verdict.THRESHOLDS
    if "refits" in judged.beside:
        found, thresholds = _of_fit(setup, judged, found, sums, items), FITTED
    alarms = judged.alarms.get(kind.removesuffix(CUT), [])
    return found, verdict.verdict(found, kind, [*judged.caps, *alarms, *_caps(judged, estimate)], thresholds)


def _of_fit(setup: Setup, judged: Judged, found: Diagnostics, sums: Sums, items: list[Slice]) -> Diagnostics:
    """The diagnostics as they judge a fit: a slice is off where its mean weight also is by size, and DR agrees with
    SNIPS where that is near beside the error of the refits."""
    parts = [*slices.by_slice(sums, setup.source.slice_names), *items]
    limit, size = slices.bound(len(parts)), verdict.THRESHOLDS["wbar_off"].believe
    off = sum(abs(part.z) >= limit and abs(part.mean - 1) > size for part in parts)
    doubly = float(sums.buckets[:, 2].sum()) / max(1, found.rows)
    agree = judged.beside["refits"].apart(doubly, found.snips) if judged.modelled else math.nan
    return replace(found, slices_off=off / len(parts) if parts else 0.0, agree_z=agree)


def _support(setup: Setup, judged: Judged) -> float:
    """The share of the target on what the logging policy never takes; NaN where the log cannot say."""
    if bounded.NAME in judged.beside:
        return judged.beside[bounded.NAME].share
    return 0.0 if setup.propensities == "uniform" else math.nan


def _of_bounds(estimate: Estimate) -> Verdict:
    """Bounds are to be believed, but they are no number."""
    if estimate.bounds is None:
        return Verdict(verdict.BELIEVE, ())
    return Verdict(
        verdict.CAUTION,
        ("the logging policy never took another action, so what other choices would have earned is not in the log",),
    )


def _caps(judged: Judged, estimate: Estimate) -> list[tuple[str, str]]:
    """What an estimate of this kind cannot be better than, and why."""
    if estimate.cut > 0:
        what = "cut" if estimate.estimator.endswith(CUT) else "shrunk away"
        return [(verdict.CAUTION, f"{percent(estimate.cut)} of all weight is {what}, which biases the value")]
    if estimate.estimator == categories.NAME:
        column = judged.beside[categories.NAME].column
        return [(verdict.CAUTION, f"it is right only where what an item earns depends on its {column} alone")]
    return []


def thin_of_lists(sums: Sums) -> float:
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
        if one.question == "rejection" or not one.leading:
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


def signs(table: pd.DataFrame) -> list[str]:
    """For each policy of `sensitivity` whose lift over what ran has another sign with weights cut: from which on."""
    said = []
    for (policy, feedback), rows in table.groupby(["policy", "feedback"], sort=False) if len(table) else ():
        cuts = [Cut(math.nan, *row) for row in rows[["weight", "value", "cut_share", "lift"]].itertuples(index=False)]
        words = verdict.sign_warning(cuts) if abs(cuts[-1].lift) > ROUNDING else ""
        said += [f"{policy}, {QUESTIONS[str(feedback)].title}: {words}."] if words else []
    return said


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
        if not one.leading:
            continue
        top = top_weights(one.first)
        ranks = sorted({round(len(top) ** (i / POINTS)) for i in range(POINTS + 1)}) if len(top) else []
        if one.question != "rejection":
            rows += [
                {"policy": one.label, "feedback": one.question, "rank": rank, "weight": float(top[rank - 1, 0])}
                for rank in ranks
            ]
    return pd.DataFrame(rows)
