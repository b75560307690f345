"""Weights of user browsing cells that little or nothing was seen of: what they are expected to be.

A cell is a position k and the position j of the last click above it. Where few displays fell into a cell, its weight
is drawn towards its centre: the mean weight of the other cells that were seen, near ones first. "Near" is in position
and in distance to the last click, each step of either halving a neighbour's say. Cells after a click and cells after
none do not speak for each other: in a cascade the one kind has weight 0 where the other has 1.
"""

from __future__ import annotations

import numpy as np

ENOUGH = 20.0  # displays from which on a cell speaks for itself, and for its neighbours, by more than half


def filled(weights: np.ndarray, displays: np.ndarray) -> np.ndarray:
    """The weights (L, L + 1), finite in every cell; both arguments (L, L + 1), 0 displays for a cell nobody saw.

    A cell after a click with n displays comes out as (n weight + 20 centre) / (n + 20), one after no click as it is.
    Where nobody saw a cell the centre stands in for it, or, where no cell after a click was seen, the weight of the
    position after no click. The first cell must have been seen; columns j > k are 0.
    """
    length = len(weights)
    say = displays / (displays + ENOUGH)
    near = 0.5 ** np.abs(np.subtract.outer(np.arange(length), np.arange(length)))
    out = np.zeros(weights.shape)
    quiet = near @ (say[:, 0] * weights[:, 0]) / (near @ say[:, 0])
    out[:, 0] = np.where(displays[:, 0] > 0, weights[:, 0], quiet)
    row, last = np.tril_indices(length, -1)
    after, at = (row, last + 1), (row, row - last)  # the cells after a click, and the same by position and distance
    said, worth = np.zeros((length, length)), np.zeros((length, length))
    said[at], worth[at] = say[after], say[after] * weights[after]
    others = (near @ said @ near)[at] - say[after]
    total = (near @ worth @ near)[at] - say[after] * weights[after]
    heard = others > 1e-12 * (near @ said @ near)[at]  # what is left of no neighbours is rounding
    centre = np.divide(total, others, out=out[row, 0], where=heard)
    lent = np.where(heard | (displays[after] == 0), ENOUGH, 0.0)  # the one cell seen has nothing to lean on
    out[after] = (displays[after] * weights[after] + lent * centre) / (displays[after] + lent)
    return out
