"""Estimates whose weights are shrunk as far as other users' rows advise: clipped by SLOPE, DRos, SWITCH-DR."""

from __future__ import annotations

import numpy as np

from lersbench.evaluation.answers import CUT, Estimate, Range
from lersbench.evaluation.judged import SINGLE, Judged, Single
from lersbench.offpolicy import shrinkage
from lersbench.offpolicy.folds import folds_of
from lersbench.offpolicy.sums import cell_of_quantile, edge

FIRST, GRID = 20, 32  # cell and number of the weights of the grid: half octaves from 1/2 on, in which the quantiles lie
SHRINKAGES = {"dros": "dros", "switch-dr": "switch"}  # by estimator
TUNABLE = ("ips", "dr")  # estimators whose weights SLOPE can cut: means of row values


class Shrunk:
    """One estimator's sums over a grid of weights, of which the choice is made when the quantiles are known."""

    def __init__(self, name: str, folds: int) -> None:
        self.name, self.folds = name, folds
        self.kind = SHRINKAGES.get(name, "clip")
        self.sums = shrinkage.new_sums(np.append([edge(FIRST + j) for j in range(GRID)], np.inf), folds)

    def take(self, rounds: Single) -> None:
        logged, zeros = rounds.logged, np.zeros(len(rounds.w))
        plain = self.name == "ips" + CUT
        q, dm = (zeros, zeros) if plain else (rounds.predicted, rounds.direct)
        fold = folds_of(logged.key, self.folds)
        shrinkage.add(self.sums, rounds.w, logged.reward, q, dm, fold, logged.bucket, self.kind)

    def merge(self, other: Shrunk) -> None:
        shrinkage.merge(self.sums, other.sums)

    def estimate(self, judged: Judged, counts: np.ndarray, span: Range) -> Estimate:
        """The estimate at the weight that the other folds advise for each fold.

        Its error is that of the unshrunk one: its own would know neither of the choice nor of the bias.
        """
        whole = judged.families[SINGLE][0]
        quantiles = {cell_of_quantile(whole, q) - FIRST for q in shrinkage.QUANTILES}
        tuned = shrinkage.tuned(shrinkage.part(self.sums, sorted(j for j in quantiles if 0 <= j < GRID)))
        used = self.sums.rows.any(axis=1)
        return Estimate(
            self.name,
            0,
            tuned.value,
            tuned.unshrunk_influence,
            counts,
            (whole,),
            span,
            clip=float(tuned.chosen[used].min()),
            cut=tuned.cut,
        )
