"""PI of one policy on a uniform log: the pseudo-inverse estimator, whose weights may be negative."""

from __future__ import annotations

import numpy as np

from lersbench.engine.chances import Chances
from lersbench.evaluation.answers import NORMAL, Estimate, Range
from lersbench.evaluation.logged import Logged
from lersbench.evaluation.ranked import by_shape
from lersbench.offpolicy import signed
from lersbench.offpolicy.intervals import Interval, cluster_error, normal
from lersbench.offpolicy.slates import pi_weights

NAME = "pi"


class Additive:
    """The sums of one policy; a list is a row."""

    def __init__(self, source: str) -> None:
        self.sums, self.source = signed.new_sums(), source

    def take(self, logged: Logged, chances: Chances, slates: np.ndarray) -> None:
        """Add the rounds `logged`, by the policy's chances of single positions, and lists (draws, S) that it would
        have shown there, which say how likely a logged item is to stand anywhere in them."""
        rows, index, edges = logged.rows, logged.inside, logged.edges
        placed = np.add.reduceat(chances.placed, edges[:-1])
        lengths, wide = np.diff(edges), np.diff(rows.first)[index]
        own = rows.slate[rows.top[index[0]] : rows.top[index[-1] + 1]]
        w = np.empty(len(index))
        for length, width, rounds in by_shape(lengths, wide):
            at = edges[rounds][:, None] + np.arange(length)
            shown = np.full(len(rounds), float(length))
            if length < width:
                both = [(one[at][:, :, None] == own[at][:, None, :]).sum(axis=(1, 2)) for one in slates]
                shown = np.mean(both, axis=0)
            w[rounds] = pi_weights(placed[rounds], shown, width, length)
        reward = np.add.reduceat(logged.reward, edges[:-1])
        signed.add(self.sums, w, reward, logged.bucket, int(logged.at[0]), self.source)

    def merge(self, other: Additive) -> None:
        self.sums = signed.merge(self.sums, other.sums)

    def estimate(self, judged: object, counts: np.ndarray, span: Range) -> Estimate:
        """The mean of weight times reward; its interval is the normal one, since no other is made of such weights."""
        value, psi = signed.value_of(self.sums), signed.influence(self.sums)

        def own(level: float) -> tuple[Interval, str]:
            error = float(cluster_error(psi, counts)[0])
            return normal(value, error, int(np.count_nonzero(counts)), level), f"{NORMAL}, of signed weights"

        return Estimate(NAME, 0, value, psi, counts, (), span, own=own)
