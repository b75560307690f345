"""An interval of a mean that holds for every number of rows, by betting against each candidate for the mean.

Waudby-Smith and Ramdas (2024), Estimating means of bounded random variables by betting, JRSS B 86(1). For values x in
[0, 1] of mean m the capital prod(1 + l_i (x_i - m)), each stake l_i set before x_i is seen, has expectation 1 at most,
so that it reaches 2/alpha with probability alpha/2 at most (Markov); and likewise with -l_i. What is left are the means
at which neither capital has got so far. Independence is not needed, only that m is the mean of each x_i given the past.
"""

from __future__ import annotations

import math

import numpy as np

from lersbench.distributions import LEVEL
from lersbench.errors import DataError
from lersbench.kernels.jit import kernel
from lersbench.offpolicy.intervals import Interval, tail

MOST = 0.5  # of the stakes: no capital is lost in one step
STEPS = 60  # halvings of [0, 1] in search of an end
BLOCK = 32  # factors, each at least 1/2, multiplied before a logarithm is taken


@kernel
def stakes(values: np.ndarray, chance: float, out: np.ndarray) -> None:
    """Fill `out` (n,) with the predictable plug-in stakes for n `values` (n,) in [0, 1], n known.

    l_i = sqrt(2 ln(1/d) / (n s^2)), d = `chance` of one side, cut at MOST; s^2 is the variance of the values before i,
    begun with one imagined value at 1/2 and a square of 1/4.
    """
    n = values.shape[0]
    mean_sum, squares = 0.5, 0.25
    scale = 2.0 * math.log(1.0 / chance) / max(n, 1)
    for i in range(n):
        out[i] = min(math.sqrt(scale / (squares / (i + 1))), MOST)
        mean_sum += values[i]
        squares += (values[i] - mean_sum / (i + 2)) ** 2


@kernel
def log_capital(values: np.ndarray, bets: np.ndarray, mean: float, sign: float) -> float:
    """ln prod(1 + sign l_i (x_i - mean)) for `values` (n,), stakes `bets` (n,) in [0, 1) and `sign` 1 or -1."""
    total, product = 0.0, 1.0
    for i in range(values.shape[0]):
        product *= 1.0 + sign * bets[i] * (values[i] - mean)
        if i % BLOCK == BLOCK - 1:
            total += math.log(product)
            product = 1.0
    return total + math.log(product)


@kernel
def _crossing(values: np.ndarray, bets: np.ndarray, sign: float, log_threshold: float) -> float:
    """The mean in [0, 1] at which the capital of one sign, monotone in the mean, comes down to its threshold."""
    least, most = 0.0, 1.0
    outer = 0.0 if sign > 0.0 else 1.0
    if log_capital(values, bets, outer, sign) < log_threshold:
        return outer
    for _ in range(STEPS):
        middle = (least + most) / 2
        if (log_capital(values, bets, middle, sign) >= log_threshold) == (sign > 0.0):
            least = middle
        else:
            most = middle
    return least if sign > 0.0 else most


def betting(values: np.ndarray, bound: float, level: float = LEVEL) -> Interval:
    """The interval of the mean of `values` (n,) within [0, `bound`]: finite-sample, from the number of rows alone.

    The rows are read in their order, which must not depend on their values. The whole of [0, bound] without rows.
    DataError where a value lies outside of [0, bound], for a bound that is not finite and positive.
    """
    chance = tail(level)
    values = np.asarray(values, dtype=np.float64)
    if not 0 < bound < math.inf:
        raise DataError(f"betting needs a largest value that is finite and above 0, not {bound}.")
    outside = np.flatnonzero(~((values >= 0) & (values <= bound)))
    if len(outside):
        raise DataError(
            f"row {outside[0]} has the value {values[outside[0]]}, outside of [0, {bound}]: give the largest weight "
            "possible times the largest reward."
        )
    scaled, bets = values / bound, np.empty(len(values))
    stakes(scaled, chance, bets)
    ends = (_crossing(scaled, bets, sign, -math.log(chance)) * bound for sign in (1.0, -1.0))
    return Interval(*ends)
