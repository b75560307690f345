"""Random slates whose propensities are known exactly, position by position."""

from __future__ import annotations

import numpy as np

from lersbench.errors import ConfigError


def distinct(rng: np.random.Generator, n: int, size: int, count: int) -> np.ndarray:
    """(n, count) numbers below `size` in uniformly random order, none twice in a row: P(i at k) = 1 / size."""
    if count <= 1:
        return rng.integers(size, size=(n, count))
    return np.argsort(rng.random((n, size)), axis=1)[:, :count]


def proportional(rng: np.random.Generator, n: int, p: np.ndarray, count: int) -> np.ndarray:
    """(n, count) distinct indices with P(i at k) = p[i] exactly, for every position k.

    Systematic sampling of a randomly ordered list (Madow 1949) includes i with probability count * p[i] and draws
    exactly `count` indices; a random order of these gives each position the same share. Drawing one after the other
    without repetition instead would leave the propensities below the top without a closed form.

    Args: p: (size,) probabilities that sum to 1, or (n, size), a row for each draw. Raises ConfigError where
    count * p[i] exceeds 1: no slate of distinct items can show i that often.
    """
    if count * p.max() > 1:
        raise ConfigError(
            f"A slate of {count} cannot show an item with probability {p.max():.3g} at every position "
            f"(at most 1/{count}): raise the temperature or shorten the slate."
        )
    order = np.argsort(rng.random((n, p.shape[-1])), axis=1)
    reached = np.cumsum(count * (p[order] if p.ndim == 1 else np.take_along_axis(p, order, axis=1)), axis=1)
    reached[:, -1] = count  # exactly, whatever rounding did
    steps = np.floor(np.minimum(reached, count) + rng.random((n, 1)))
    hit = np.diff(steps, axis=1, prepend=0) > 0
    slate = order[hit].reshape(n, count)
    return rng.permuted(slate, axis=1)
