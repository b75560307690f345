"""Student's t, the gamma and the chi-squared distribution: what intervals and tests are read from.

All of them are SciPy's. It is loaded by the first call, so that what needs no interval does not wait for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lersbench.errors import ConfigError

LEVEL = 0.95  # of intervals and tests


def t_beyond(t: npt.ArrayLike, df: npt.ArrayLike) -> Any:
    """P(|T| > |t|) of Student's t with `df` > 0 degrees of freedom, not only whole; arrays are taken element by
    element, and NaN stays NaN."""
    from scipy.special import stdtr

    return 2 * stdtr(df, -np.abs(t))


def t_quantile(level: float, df: npt.ArrayLike) -> Any:
    """The t with P(|T| <= t) = `level`, 0 < level < 1, for `df` > 0 (a number or an array); the normal one for inf."""
    from scipy.special import stdtrit

    return stdtrit(df, (1 + level) / 2)


def gamma_within(shape: float, x: float) -> float:
    """P(X <= x) of the gamma distribution with `shape` > 0 and scale 1: the incomplete gamma function, regularised."""
    from scipy.special import gammainc

    return float(gammainc(shape, x))


def chi2_quantile(chance: float, df: float) -> float:
    """The x with P(X <= x) = `chance`, 0 < chance < 1, of the chi-squared distribution with `df` > 0, any number."""
    from scipy.special import gammaincinv

    if not 0 < chance < 1 or not df > 0:
        raise ConfigError(f"no quantile {chance} of chi-squared with {df} degrees of freedom: 0 < chance < 1, df > 0.")
    return 2 * float(gammaincinv(df / 2, chance))
