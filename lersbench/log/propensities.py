"""What the numbers in the column `propensities` are probabilities of, and what they must be where all is uniform."""

from __future__ import annotations

import numpy as np

POSITION, CONDITIONAL, SLATE = KINDS = ("position", "conditional", "slate")
"""`position`: that the item stands at this place, whatever stands elsewhere. `conditional`: that it is chosen for this
place, given the items above; the product of the first k is the probability of the first k. `slate`: of the whole slate,
the same number in all of its positions. For slates of one position the three are one. Only the last two tell how likely
a whole slate was."""

TINY = 1e-12  # a propensity that is not above this is a rounding error or a floor, no probability
MOST = 1.0 + 1e-9  # a softmax of one candidate may come to a rounding error more than 1
NEAR = 1e-9  # by which the numbers of one slate may differ, relative


def kind_in(propensities: str, kind: str) -> str:
    """The kind of a log's propensities, "" where it has none. Logs that do not say it, as earlier ones, have that of
    the position."""
    return "" if propensities == "none" else kind or POSITION


def least(kind: str, positions: int) -> float:
    """The number that a propensity must be above; of a whole slate that of each of its positions, multiplied."""
    return float(max(TINY ** max(positions, 1), np.finfo(float).tiny)) if kind == SLATE else TINY


def of_uniform(kind: str, offered: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The propensities (S,) of slates of these `lengths` (n,), drawn uniformly from `offered` (n,) candidates."""
    offered, lengths = offered[lengths > 0], lengths[lengths > 0]
    wide, starts = np.repeat(offered, lengths), np.cumsum(lengths) - lengths
    place = 0 if kind == POSITION else np.arange(len(wide)) - np.repeat(starts, lengths)
    chosen = 1.0 / np.maximum(wide - place, 1)  # no candidates, or a slate that has more, are faults of their own
    if kind != SLATE or not len(chosen):
        return chosen
    return np.repeat(np.multiply.reduceat(chosen, starts), lengths)


def of_top(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(S,) for each of `values` (S,) the one at the top of its slate; `lengths` (n,) of the slates."""
    lengths = lengths[lengths > 0]
    return np.repeat(values[np.cumsum(lengths) - lengths], lengths)
