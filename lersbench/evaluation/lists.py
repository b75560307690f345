"""What the estimators of lists say of each other: which of them leads, and whether a click model can be right."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from lersbench.evaluation.answers import CUT, Estimate
from lersbench.evaluation.exposed import MODELS, PBM, UBM, ClickModels
from lersbench.evaluation.judged import Judged
from lersbench.evaluation.ran import Ran
from lersbench.evaluation.setup import Setup
from lersbench.offpolicy.intervals import cluster_error
from lersbench.offpolicy.verdict import DO_NOT_BELIEVE

AGREE = 2.0  # standard errors of their difference within which two estimators of the same value agree
FREE = {PBM: ("iips", "rips"), UBM: ("rips",)}  # estimators without parameters that are right wherever the model is
RANDOM = "random"
WRONG = 3.0  # beyond so many a click model is wrong


def ordered(setup: Setup, found: list[dict[str, list[Estimate]]]) -> list[str]:
    """The estimators of the policies under one question, the leading one first, which is the same for all of them.

    Unasked, IIPS leads where it agrees with RIPS, which assumes less, for every policy.
    """
    names = list(found[0])
    if setup.settings.estimators or not {"rips", "iips"} <= set(names):
        return names
    lead = "rips" if any(map(_depends, found)) else "iips"
    lead += CUT * (lead + CUT in names)
    return [lead, *(name for name in names if name != lead)]


def compared(
    setup: Setup, judged: Judged, found: dict[str, list[Estimate]], ran: Ran, clicks: ClickModels | None
) -> list[str]:
    """What is to be said of a policy's estimates by lists; a click model that is wrong caps the verdict of its own."""
    said = []
    if {"rips", "iips"} <= set(found) and _depends(found):
        value, z, places = apart(found["rips"][0], found["iips"][0])
        leads = "" if setup.settings.estimators else ", so RIPS leads"
        said.append(
            f"{judged.label}: clicks depend on what is above. RIPS, which allows for that, and IIPS, which does not, "
            f"differ by {value:+.3g} over {places} places (z = {z:.1f}){leads}."
        )
    for name, model in MODELS.items():
        if name in found and clicks is not None:
            reasons = list(_alarms(setup, judged, name, model, found, ran, clicks))
            judged.alarms[name] = [(DO_NOT_BELIEVE, why) for why in reasons]
            said += [f"{judged.label}, {name}: {why}." for why in reasons]
    return said


def _depends(found: dict[str, list[Estimate]]) -> bool:
    """Do RIPS and IIPS differ by more than the error of their difference? Not where it cannot be told."""
    return abs(apart(found["rips"][0], found["iips"][0])[1]) > AGREE


def apart(one: Estimate, other: Estimate) -> tuple[float, float, int]:
    """The difference of two estimates, in its standard errors too, over the places of which the log says enough for
    both; and how many these are. z is NaN where there are none."""
    if one.parts and other.parts:
        kept = {part.place for part in one.parts if part.place not in one.bounded and math.isfinite(part.value)}
        kept &= {part.place for part in other.parts if part.place not in other.bounded and math.isfinite(part.value)}
        pairs = [(a, b) for a, b in zip(one.parts, other.parts, strict=True) if a.place in kept]
    else:
        pairs = [(one, other)]
    if not pairs:
        return math.nan, math.nan, 0
    value = float(sum(a.value - b.value for a, b in pairs))
    psi = np.sum([a.psi - b.psi for a, b in pairs], axis=0)
    return value, _z(value, psi, one.counts), len(pairs)


def _z(value: float, psi: np.ndarray, counts: np.ndarray) -> float:
    error = float(cluster_error(psi, counts)[0])
    return value / error if error > 0 else 0.0 if value == 0 else math.nan


def _alarms(
    setup: Setup,
    judged: Judged,
    name: str,
    model: str,
    found: dict[str, list[Estimate]],
    ran: Ran,
    clicks: ClickModels,
) -> Iterator[str]:
    """Why the click model behind an estimator is wrong, as far as the log can tell."""
    own = found[name][0]
    alarm = clicks.alarm(model)
    if abs(alarm.z) > WRONG:
        yield (
            f"the click model is wrong: lists of the logging policy, cut to {alarm.places} places, are worth "
            f"{alarm.predicted:.4g} by it, and earned {alarm.earned:.4g} there (z = {alarm.z:.1f})"
        )
    if clicks.uniform and judged.entry.name == RANDOM:
        value = own.value - ran.value
        z = _z(value, own.psi - ran.psi, own.counts)
        if abs(z) > WRONG:
            yield f"the click model is wrong: random must equal the logger, and differs by {value:+.3g} (z = {z:.1f})"
    for free in FREE[model]:
        if free not in found or found[free][0].bounded:
            continue
        value, z, _ = apart(own, found[free][0])
        if abs(z) > WRONG:
            yield (
                f"the click model is wrong: {free}, which has no parameters and is right wherever the model is, "
                f"differs by {-value:+.3g} (z = {-z:.1f})"
            )
