"""How far propensities may be wrong before the sign of a lift is open: the marginal sensitivity model.

The true odds p / (1 - p) of what was logged lie within a factor G of those that were estimated, by whatever was not
seen (Tan 2006, Journal of the American Statistical Association 101(476)). Then 1 / p lies between 1 + (1/p^ - 1) / G
and 1 + (1/p^ - 1) G, and a weight between pi + (w - pi) / G and pi + (w - pi) G, each row's on its own. The
self-normalised estimate is largest where the rows with rewards above some threshold have the largest weights and the
others the smallest (Zhao, Small and Bhattacharya 2019, Journal of the Royal Statistical Society B 81(4)).

Sums by cells of the reward are enough, for any G. Rewards of 0 and 1 have a cell each: the bounds are exact. Others
share 256 cells, and the threshold lies between two of them: the bounds then lack less than a cell's width.
"""

from __future__ import annotations

import numpy as np

CELLS = 256
MOST = 1e6  # a factor beyond which none is looked for
STEPS = 60
SURE, DOUBTFUL, SURE_PAID, DOUBTFUL_PAID = range(4)  # columns: sums of pi, of w - pi, and of both times r


def new_cells() -> np.ndarray:
    """(CELLS, 4) of zeros; those of parts of a log add up."""
    return np.zeros((CELLS, 4))


def add(cells: np.ndarray, chance: np.ndarray, w: np.ndarray, r: np.ndarray, low: float, high: float) -> None:
    """Add rows of the target's `chance` (n,), weight and reward within [low, high] to `cells`."""
    at = np.minimum(((r - low) * (CELLS / (high - low))).astype(np.int64), CELLS - 1)
    doubtful = np.maximum(0.0, w - chance)
    for column, values in enumerate((chance, doubtful, chance * r, doubtful * r)):
        cells[:, column] += np.bincount(at, values, CELLS)


def extremes(cells: np.ndarray, factor: float) -> tuple[float, float]:
    """The least and the largest self-normalised estimate that odds within `factor` >= 1 allow; NaN without weight."""
    used = cells[(cells[:, SURE] > 0) | (cells[:, DOUBTFUL] > 0)]
    if not len(used):
        return np.nan, np.nan
    light, heavy = (used[:, :2].sum(axis=1) + used[:, DOUBTFUL] * (g - 1) for g in (1 / factor, factor))
    poor, rich = (used[:, 2:].sum(axis=1) + used[:, DOUBTFUL_PAID] * (g - 1) for g in (1 / factor, factor))
    return float(_split(rich, heavy, poor, light).min()), float(_split(poor, light, rich, heavy).max())


def _split(below_paid: np.ndarray, below: np.ndarray, above_paid: np.ndarray, above: np.ndarray) -> np.ndarray:
    """The estimate at every threshold: cells below it have the one kind of weights, those above the other."""

    def joined(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        before = np.concatenate([[0.0], np.cumsum(first)])
        return before + (second.sum() - np.concatenate([[0.0], np.cumsum(second)]))

    return joined(below_paid, above_paid) / joined(below, above)


def turning(cells: np.ndarray, reference: float) -> float:
    """The factor from which on the estimate may lie on the other side of `reference`: 1 where it equals it, infinite
    where no factor up to a million does it."""
    value = extremes(cells, 1.0)[0]
    if not abs(value - reference) > 0:
        return 1.0

    def holds(factor: float) -> bool:
        low, high = extremes(cells, factor)
        return low > reference if value > reference else high < reference

    if holds(MOST):
        return np.inf
    near, far = 0.0, np.log(MOST)
    for _ in range(STEPS):
        middle = (near + far) / 2
        near, far = (middle, far) if holds(float(np.exp(middle))) else (near, middle)
    return float(np.exp(near))
