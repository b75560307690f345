"""Bounds in place of a number, where the logging policy never takes some of the target's choices.

What it takes earns what the log shows, the rest between the least and the most that can be earned: the value lies
between the means of the two, whatever a model says (Manski 1990, American Economic Review 80(2)).
"""

from __future__ import annotations

import math

import numpy as np

from lersbench.evaluation.answers import Estimate, Range
from lersbench.evaluation.judged import SINGLE, Judged, Single
from lersbench.offpolicy.intervals import Interval, cluster_error, normal, truncated
from lersbench.offpolicy.sums import BUCKETS

NAME = "bounds"


class Bounded:
    """Bounds of a policy's value on a log whose policy never chose by chance: its propensities are all 1.

    A round in which the target would have taken the logged action, with the chance pi, is worth pi r; a choice of
    anything else, with 1 - pi, is missing.
    """

    def __init__(self) -> None:
        self.earned, self.missing, self.rows = np.zeros(BUCKETS), np.zeros(BUCKETS), 0

    def take(self, rounds: Single) -> None:
        bucket, chance = rounds.logged.bucket, rounds.chances.logged
        self.rows += len(bucket)
        self.earned += np.bincount(bucket, rounds.w * rounds.logged.reward, BUCKETS)
        self.missing += np.bincount(bucket, np.maximum(0.0, 1.0 - chance), BUCKETS)

    def merge(self, other: Bounded) -> None:
        self.rows += other.rows
        self.earned += other.earned
        self.missing += other.missing

    @property
    def share(self) -> float:
        """Of the target's choices, those that are missing."""
        return float(self.missing.sum()) / max(1, self.rows)

    def estimate(self, judged: Judged, counts: np.ndarray, span: Range) -> Estimate:
        """The bounds, with an interval that holds both ends."""
        n = int(counts.sum())
        missing = self.share
        point = float(self.earned.sum()) / n
        ends = truncated(Interval(point, point), missing, span.low, span.high)
        low, high = (self.earned + self.missing * end for end in (span.low, span.high))

        def own(level: float) -> tuple[Interval, str]:
            both = [
                normal(
                    value, float(cluster_error(sums - value * counts, counts)[0]), int(np.count_nonzero(counts)), level
                )
                for sums, value in ((low, ends.low), (high, ends.high))
            ]
            return Interval(both[0].low, both[1].high).within(span.low, span.high), "normal, of both ends"

        sums = tuple(judged.families[SINGLE])
        known = missing == 0
        value = point if known else math.nan
        return Estimate(
            NAME, 0, value, low - ends.low * counts, counts, sums, span, own=own, bounds=None if known else ends
        )
