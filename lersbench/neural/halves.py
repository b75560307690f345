"""Which customers a model is trained on and which it is tested on, the same for every model and every simple rule."""

from __future__ import annotations

import numpy as np


def halves(n: int, split: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows of n that are trained on, and those that are tested on; at least one each.

    A random share `split` is trained on. It has a random stream of its own: the split knows nothing of the model.
    """
    first = min(n - 1, max(1, round(n * split)))
    order = np.random.default_rng([seed, n]).permutation(n)
    return order[:first], order[first:]
