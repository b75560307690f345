"""A confidence sequence of an off-policy value: intervals that hold at all numbers of rows at once, in one pass.

Karampatziakis, Mineiro and Ramdas (2021), Off-policy confidence sequences; the mixture of bets is that of
Howard, Ramdas, McAuliffe and Sekhon (2021, Annals of Statistics 49(2)), proposition 9. The lower end needs no bound
of the weights: X = w (r - r_min) / (r_max - r_min) is never negative, and its mean is the value, scaled to [0, 1]. The
upper end is that of X' = w (r_max - r) / (r_max - r_min), whose mean is 1 minus the value as the mean of w is 1. Valid
for a policy that learns along the rows as well: only the mean of X given the past enters.

The sequence holds for X whose predictable mean is at most 1, so that mean is cut there: above it one step could win
more than a fair bet. The sums follow the order of the rows, so two parts of a log cannot be merged.
"""

from __future__ import annotations

import math

import numpy as np

from lersbench.distributions import LEVEL, gamma_within
from lersbench.errors import DataError
from lersbench.kernels.jit import kernel
from lersbench.offpolicy.intervals import Interval, tail

ROWS, LOW, LOW_SQUARES, HIGH, HIGH_SQUARES = range(5)
STATE = 5  # rows; sum X and sum (X - its predicted mean)^2; the same of X'
RHO = 1.0  # of the mixture: it is tightest for a spread of about that
STEPS = 44  # halvings in search of an end


@kernel
def add(state: np.ndarray, w: np.ndarray, r: np.ndarray, r_min: float, r_max: float) -> None:
    """Add rows of weights `w` (n,) and rewards `r` (n,) within [r_min, r_max] to `state` (STATE,), in their order."""
    scale = 1.0 / (r_max - r_min)
    for i in range(w.shape[0]):
        state[ROWS] += 1.0
        for at in (LOW, HIGH):
            x = w[i] * ((r[i] - r_min) if at == LOW else (r_max - r[i])) * scale
            predicted = min(1.0, (0.5 + state[at]) / state[ROWS])
            state[at] += x
            state[at + 1] += (x - predicted) ** 2


def interval_of(state: np.ndarray, r_min: float, r_max: float, level: float = LEVEL) -> Interval:
    """The interval of the value after the rows in `state` (STATE,); the whole range where its two ends cross.

    Ends that cross say that the mean weight is not 1, and so nothing of the value.
    """
    threshold, rows = -math.log(tail(level)), int(state[ROWS])
    below = _lowest(rows, float(state[LOW]), float(state[LOW_SQUARES]), threshold)
    above = _lowest(rows, float(state[HIGH]), float(state[HIGH_SQUARES]), threshold)
    if below + above > 1:
        return Interval(r_min, r_max)
    width = r_max - r_min
    return Interval(r_min + below * width, r_max - above * width)


def _lowest(rows: int, total: float, squares: float, threshold: float) -> float:
    """The least mean within [0, 1] against which the wealth is no more than e^threshold."""
    if rows == 0 or _log_wealth(total, squares) <= threshold:
        return 0.0
    low, high = 0.0, min(1.0, total / rows)
    if _log_wealth(total - rows * high, squares) > threshold:
        return high
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if _log_wealth(total - rows * middle, squares) > threshold else (low, middle)
    return low


def _log_wealth(gain: float, squares: float) -> float:
    """ln of the mixture over all bets (proposition 9) for the sum `gain` >= 0 of X less its supposed mean."""
    at, start = squares + RHO, gain + squares + RHO
    wealth = gain + squares + RHO * math.log(RHO) - at * math.log(start)
    wealth += math.lgamma(at) + math.log(gamma_within(at, start))
    return wealth - math.lgamma(RHO) - math.log(gamma_within(RHO, RHO))


class Anytime:
    """The confidence sequence of one policy on one stream of rows, rewards within [r_min, r_max]."""

    def __init__(self, r_min: float = 0.0, r_max: float = 1.0) -> None:
        if not (math.isfinite(r_min) and r_min < r_max < math.inf):
            raise DataError(f"a confidence sequence needs a finite range of rewards, not [{r_min}, {r_max}].")
        self.r_min, self.r_max = float(r_min), float(r_max)
        self.state = np.zeros(STATE)

    def add(self, w: np.ndarray, r: np.ndarray) -> None:
        """Add the next rows, weights `w` (n,) and rewards `r` (n,); DataError for a row that cannot be one."""
        w, r = np.asarray(w, dtype=np.float64), np.asarray(r, dtype=np.float64)
        if w.shape != r.shape or w.ndim != 1:
            raise DataError(f"each row has one weight and one reward, but their shapes are {w.shape} and {r.shape}.")
        wrong = np.flatnonzero(~((w >= 0) & np.isfinite(w) & (r >= self.r_min) & (r <= self.r_max)))
        if len(wrong):
            row = int(wrong[0])
            raise DataError(
                f"row {int(self.state[ROWS]) + row} has weight {w[row]} and reward {r[row]}: weights are finite and "
                f">= 0, rewards within [{self.r_min}, {self.r_max}]."
            )
        add(self.state, w, r, self.r_min, self.r_max)

    def interval(self, level: float = LEVEL) -> Interval:
        """The interval after the rows so far: right at all times at once with probability `level`."""
        return interval_of(self.state, self.r_min, self.r_max, level)
