"""Has an inverse that is kept by recursive updates lost its digits?

A^-1 starts at I / ridge. An observation x takes almost all of what it has along x, and leaves an error of some 2e-16
x'x / ridge in x'A^-1 x, which should be below 1. With columns of 1e8 nothing is left, and nothing shows it: the
quadratic form may still look sane. So each inverse carries a witness. For a fixed vector p, the *probe*, its *image*
A p grows by x (x'p) with every observation, without a difference and so without a loss; and as (A^-1 x)'A p = x'p, the
vector v = A^-1 x that every observation needs anyway must give v'image = x'p. What it is off by, relative to what x'p
has been lately, is about how far an estimate of rewards of at most 1 is off. That costs two dot products.

An observation that finds the witness wrong raises `LostDigits`. One that is long against what was seen before can lose
all in one update, and its arm may never be observed again: after such a one the inverse is looked at once more.
"""

from __future__ import annotations

import math

import numpy as np

from lersbench.errors import LostDigits
from lersbench.kernels.jit import inlined

TOLERANCE = 1e-3  # of an estimate. Measured beside a QR factor: estimates are off by 0.012 at most when it is reached
FADE = 0.95  # an observation after, what x'p was counts this much: one short x between long ones is no reason
PIVOT = 4e-15  # of the square of its row, some 18 roundings: a smaller pivot of a Cholesky factor is made of rounding
STEEP = 1e8  # 1 + x'A^-1 x from which the update itself may lose digits: some 2e-8 of them at this


def new_probe(d: int) -> np.ndarray:
    """The probe (d,): numbers in 0.5..1 without a pattern, so that no two columns can cancel."""
    return 0.5 + 0.5 * np.modf(0.6180339887498949 * np.arange(1, d + 1))[0]


@inlined
def check(came: float, wanted: float, reach: np.ndarray, at: int) -> None:
    """Raise LostDigits where v'image = `came` is not x'p = `wanted`. `reach[at]` holds what x'p has been lately."""
    reach[at] = max(abs(wanted), FADE * reach[at])
    off = abs(came - wanted)
    if not (off <= TOLERANCE * reach[at] and off < math.inf):
        raise LostDigits("the inverse has lost its digits")


@inlined
def check_scale(scale: float) -> None:
    """Raise LostDigits where 1 + x'A^-1 x is below 1 by more than rounding, infinite, or not a number."""
    if not (scale > 1.0 - TOLERANCE and scale < math.inf):
        raise LostDigits("the inverse has lost its digits")


@inlined
def check_pivots(factor: np.ndarray) -> None:
    """Raise LostDigits where the lower Cholesky `factor` (d, d) has a pivot that may be rounding and nothing else.

    A witness along one vector does not see that: the draws of a Thompson sampler go in all directions.
    """
    for i in range(factor.shape[0]):
        square = 0.0
        for j in range(i + 1):
            square += factor[i, j] * factor[i, j]
        if not factor[i, i] * factor[i, i] > PIVOT * square:
            raise LostDigits("the factor has lost its digits")
