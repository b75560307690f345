"""How fast cumulative regret grows: the exponent of a power of the round."""

from __future__ import annotations

import numpy as np

NAME = "regret_slope"  # what it is called among the final values of a run
FIRST = 1 / 3  # share of the logarithm of time that is left out when it is fitted
POINTS = 3  # that a fit needs


def slope(rounds: np.ndarray, regret: np.ndarray) -> np.ndarray:
    """Exponent b of regret ~ rounds^b: least squares of the logarithms, over the last two thirds of log(rounds).

    `rounds` (points,) ascending, `regret` (points, seeds); returns (seeds,), NaN where regret is not positive there, or
    points are too few. Checkpoints are evenly spaced in time, so the curve is read at even steps of its logarithm
    first: else nearly all weight lay on the end.
    """
    if len(rounds) < POINTS:
        return np.full(regret.shape[1], np.nan)
    logs = np.log(rounds)
    at = np.linspace(logs[0] + FIRST * (logs[-1] - logs[0]), logs[-1], 50)
    centred = at - at.mean()
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.stack([np.interp(at, logs, np.log(column)) for column in regret.T], axis=1)
    whole = np.isfinite(values).all(axis=0)
    exponents = centred @ np.where(whole, values, 0.0) / (centred @ centred)
    return np.where(whole, exponents, np.nan)
