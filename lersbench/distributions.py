"""Student's t, the gamma and the chi-squared distribution: what intervals and tests are read from.

Written out because the core of lersbench needs no SciPy. Formula numbers are those of Abramowitz and Stegun (1964),
Handbook of Mathematical Functions; continued fractions are evaluated as by Lentz (1976, Applied Optics 15(3)).
"""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist

from lersbench.errors import ConfigError

LEVEL = 0.95  # of intervals and tests
MANY = 2000  # degrees of freedom above which a t quantile comes from its expansion, whose error is then below 1e-12
TINY = 1e-300  # what Lentz's method puts in place of 0
EXACT = 1e-16  # a further term of a smaller share changes nothing


def t_within(t: float, df: int) -> float:
    """P(|T| <= t) of Student's t with `df` >= 1 degrees of freedom (26.7.3 and 26.7.4)."""
    angle = math.atan2(t, math.sqrt(df))
    sine, square = math.sin(angle), math.cos(angle) ** 2
    odd = df % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for i in range(1 + odd, df, 2):  # `term` runs through the powers of the cosine with their double factorials
        total += term
        term *= square * i / (i + 1)
    return 2 / math.pi * (angle + sine * total) if odd else sine * total


@cache
def t_quantile(level: float, df: int) -> float:
    """The t with P(|T| <= t) = `level`, by bisection; from the normal quantile (26.7.5) where df > MANY."""
    if df > MANY:
        return _t_expansion(NormalDist().inv_cdf((1 + level) / 2), df)
    low, high = 0.0, 1.0
    while t_within(high, df) < level:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if t_within(middle, df) < level else (low, middle)
    return (low + high) / 2


def _t_expansion(z: float, df: int) -> float:
    """The t that leaves the tail that the normal quantile `z` leaves, to the power -4 of `df` (26.7.5)."""
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / df**power for power, term in enumerate(terms, 1))


def gamma_within(shape: float, x: float) -> float:
    """P(X <= x) of the gamma distribution with `shape` > 0 and scale 1: the incomplete gamma function, regularised.

    By its series (6.5.29) up to x = shape + 1, by the continued fraction of its complement (6.5.31) above. The work
    grows with the square root of `shape`.
    """
    if not x > 0:
        return 0.0
    if math.isinf(x):
        return 1.0
    front = _gamma_density(shape, x) * x
    return front * _gamma_series(shape, x) if x < shape + 1 else 1.0 - front * _gamma_fraction(shape, x)


def _gamma_density(shape: float, x: float) -> float:
    """x^(a-1) e^-x / gamma(a) of the shape a, by Stirling's series (6.1.41) where a large a would cancel digits."""
    if shape < 200:
        return math.exp((shape - 1) * math.log(x) - x - math.lgamma(shape))
    off = (x - shape) / shape
    rest = 1 / (12 * shape) - 1 / (360 * shape**3)
    return math.sqrt(shape / (2 * math.pi)) / x * math.exp(-shape * (off - math.log1p(off)) - rest)


def _gamma_series(shape: float, x: float) -> float:
    term = total = 1 / shape
    above = shape
    while term > EXACT * total:
        above += 1
        term *= x / above
        total += term
    return total


def _gamma_fraction(shape: float, x: float) -> float:
    """1/(x+1-a- 1(1-a)/(x+3-a- 2(2-a)/(x+5-a- ...))) for the shape a, by the modified method of Lentz."""
    base = x + 1 - shape
    numerator, denominator = 1 / TINY, 1 / (base or TINY)
    fraction, change, i = denominator, 0.0, 0
    while abs(change - 1) > 4 * EXACT:
        i += 1
        partial = i * (shape - i)
        base += 2
        denominator = 1 / ((partial * denominator + base) or TINY)
        numerator = (base + partial / numerator) or TINY
        change = numerator * denominator
        fraction *= change
    return fraction


def chi2_quantile(chance: float, df: float) -> float:
    """The x with P(X <= x) = `chance`, 0 < chance < 1, of the chi-squared distribution with `df` > 0, not only whole.

    By bisection from the bracket around the approximation of Wilson and Hilferty (26.4.17).
    """
    if not 0 < chance < 1 or not df > 0:
        raise ConfigError(f"no quantile {chance} of chi-squared with {df} degrees of freedom: 0 < chance < 1, df > 0.")
    shape = df / 2
    root = 1 - 1 / (9 * shape) + NormalDist().inv_cdf(chance) / (3 * math.sqrt(shape))
    guess = shape * max(root, 0.0) ** 3
    spread = 1 + math.sqrt(shape)
    low, high = max(guess - spread, 0.0), guess + spread
    while low > 0 and gamma_within(shape, low) > chance:
        low = max(low - spread, 0.0)
    while gamma_within(shape, high) < chance:
        high *= 2
    while True:
        middle = (low + high) / 2
        if not low < middle < high or high - low <= 4 * EXACT * high:
            return low + high  # twice the quantile of the gamma distribution
        low, high = (middle, high) if gamma_within(shape, middle) < chance else (low, middle)
