"""Confidence sequences: intervals that hold at every number of rows, read in the order of the log."""

from __future__ import annotations

from dataclasses import replace

from lersbench.evaluation.answers import Estimate
from lersbench.evaluation.judged import Single
from lersbench.offpolicy.anytime import Anytime
from lersbench.offpolicy.intervals import Interval

WEIGHTED = ("ips", "snips", "cr", "ips-cv")  # estimates of the value that the sequence is of


class Running:
    """The sequence of one policy; rewards lie in low..high."""

    def __init__(self, low: float, high: float) -> None:
        self.sequence = Anytime(low, high)

    def take(self, rounds: Single) -> None:
        self.sequence.add(rounds.w, rounds.logged.reward)

    def applied(self, found: list[Estimate]) -> list[Estimate]:
        """The estimates, those of weighted rewards with this interval: it takes rows as independent."""
        return [replace(one, own=self._own) if one.estimator in WEIGHTED else one for one in found]

    def _own(self, level: float) -> tuple[Interval, str]:
        return self.sequence.interval(level), "anytime, by row"
