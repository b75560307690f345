"""What each threshold of the verdicts is worth: what "believe" covers with it and without, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lersbench.audit.judging import levels_of
from lersbench.audit.runs import Runs
from lersbench.audit.summary import FEW, HALF, inside
from lersbench.audit.world import NORMAL, World
from lersbench.offpolicy.verdict import THRESHOLDS, Bounds


class Fit(NamedTuple):
    """Thresholds over all worlds whose normal intervals should cover."""

    believed: float  # share of the runs of these worlds, each world counted alike
    coverage: (
        float  # the least that normal intervals cover where they are believed, of any world where half of the runs are
    )
    world: str  # where that is, and of which estimator
    error: float  # its Monte-Carlo error


def fit(worlds: Sequence[tuple[World, Runs]], thresholds: Mapping[str, Bounds]) -> Fit:
    """How these thresholds would have judged the runs."""
    shares, least = [], Fit(math.nan, math.inf, "", math.nan)
    for world, runs in worlds:
        for at, (estimator, interval) in enumerate(runs.names):
            if str(estimator) not in world.sound or interval != NORMAL:
                continue
            believed = levels_of(runs.doubts[:, at], runs.most[at], thresholds) == 0
            shares.append(float(believed.mean()))
            if (count := int(believed.sum())) >= max(FEW, HALF * len(believed)):
                share = float(inside(runs, at)[believed].mean())
                if share < least.coverage:
                    least = Fit(0.0, share, f"{world.name}, {estimator}", math.sqrt(share * (1 - share) / count))
    return least._replace(believed=float(np.mean(shares)) if shares else math.nan)


def without(name: str, thresholds: Mapping[str, Bounds] = THRESHOLDS) -> dict[str, Bounds]:
    """The thresholds as if this diagnostic were never beyond them."""
    side = thresholds[name].side
    free = math.inf if side == "most" else -math.inf
    return {**thresholds, name: Bounds(side, free, free)}


def moved(name: str, believe: float, caution: float) -> dict[str, Bounds]:
    """The thresholds with other bounds of this diagnostic."""
    return {**THRESHOLDS, name: THRESHOLDS[name]._replace(believe=believe, caution=caution)}
