"""Chances of an order by scores in which equal scores stand in random order, as `ties` has it."""

from __future__ import annotations

import numpy as np

from lersbench.kernels.jit import inlined, kernel


@inlined
def standing(scores: np.ndarray, score: float) -> tuple[int, int]:
    """How many of the scores (C,) are above `score`, and how many are the same."""
    above, equal = 0, 0
    for c in range(scores.shape[0]):
        above += scores[c] > score
        equal += scores[c] == score
    return above, equal


@inlined
def best_left(scores: np.ndarray, slate: np.ndarray, k: int, rank: int) -> float:
    """The chance of candidate `slate[k]` to have the place `rank` (0 is the best) in the order of what is left.

    What is left are all candidates but slate[:k]; `scores` (C,). A block of equals fills as many places in a row, and
    each of them has each place equally often. So the chances of all that is left sum to 1.
    """
    score = scores[slate[k]]
    above, equal = standing(scores, score)
    for j in range(k):
        above -= scores[slate[j]] > score
        equal -= scores[slate[j]] == score
    return 1.0 / equal if above <= rank < above + equal else 0.0


@inlined
def or_another(scores: np.ndarray, slate: np.ndarray, k: int) -> float:
    """The chance of candidate `slate[k]` where the best of all is wanted, and any other if that is one of slate[:k]."""
    highest, equal, taken = scores[0], 0, 0
    for c in range(scores.shape[0]):
        highest = max(highest, scores[c])
    for c in range(scores.shape[0]):
        equal += scores[c] == highest
    for j in range(k):
        taken += scores[slate[j]] == highest
    mine = 1.0 if scores[slate[k]] == highest else 0.0
    return (mine + taken / (scores.shape[0] - k)) / equal


@kernel
def ranked(scores: np.ndarray, slate: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (K,) with the chance of each of `slate` (K,) to be the best of what is not above it."""
    for k in range(slate.shape[0]):
        out[k] = best_left(scores, slate, k, 0)


@kernel
def placements(scores: np.ndarray, slate: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (K,) with the chance of each of `slate` (K,) to stand in its place k, whatever stands above it."""
    for k in range(slate.shape[0]):
        above, equal = standing(scores, scores[slate[k]])
        out[k] = 1.0 / equal if above <= k < above + equal else 0.0


@kernel
def foremost(scores: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (C,) with the chance of each candidate to have the highest of the `scores` (C,)."""
    highest, equal = scores[0], 0
    for c in range(scores.shape[0]):
        highest = max(highest, scores[c])
    for c in range(scores.shape[0]):
        equal += scores[c] == highest
    for c in range(scores.shape[0]):
        out[c] = 1.0 / equal if scores[c] == highest else 0.0
