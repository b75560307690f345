"""Choices that are drawn among rankings: with some probability the order of these scores, else of those, or of chance.

Epsilon-greedy is such a mixture, of the order of the scores and of a uniform one; so is a choice by one of several
models drawn at random. Its chances are known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lersbench.kernels.tie_chances import ranked
from lersbench.kernels.ties import top_k

Part = tuple[float, np.ndarray | None]
"""A probability, and the scores (C,) by whose order candidates are shown then; None: in uniformly random order. The
probabilities of a mixture sum to 1."""


def choose(parts: Sequence[Part], rng: np.random.Generator, ties: int, slate: np.ndarray, out: np.ndarray) -> None:
    """Fill `slate` (K,) by a part that is drawn, and `out` (C,) with its scores, or the first part's where it has none.

    Nothing is drawn where there is one part alone and it has scores.
    """
    number = 0 if len(parts) == 1 else int(rng.choice(len(parts), p=[weight for weight, _ in parts]))
    scores, first = parts[number][1], parts[0][1]
    if first is not None:
        out[:] = first
    if scores is None:
        slate[:] = rng.permutation(len(out))[: len(slate)]
    else:
        out[:] = scores
        top_k(out, ties, slate)


def chances(parts: Sequence[Part], slate: np.ndarray, n: int, out: np.ndarray) -> None:
    """Fill `out` (K,) with the chance of each of `slate` (K,) below those above it, of n candidates.

    Given what stands above, each part has the probability that it began with, times the chance it gave to that
    (Bayes' rule). Below what no part would show, the parts are as likely as they were.
    """
    weights = np.array([weight for weight, _ in parts])
    below = np.empty((len(parts), len(slate)))
    for row, (_, scores) in zip(below, parts, strict=True):
        if scores is None:
            row[:] = 1.0 / (n - np.arange(len(slate)))
        else:
            ranked(np.ascontiguousarray(scores, np.float64), slate, row)
    for k in range(len(slate)):
        joint = weights * below[:, k]
        out[k] = joint.sum()
        if out[k] > 0.0:
            weights = joint / out[k]
