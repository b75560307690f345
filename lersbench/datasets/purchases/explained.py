"""How much of the products' popularity can be read from what is known of them: one number of a world.

The world may be real or simulated.
Measured as the cross-validated R^2 of log(1 + likes) of all products of the recommended day, by ridge regression. In a
world where it is near 0 nothing but counting tells which products are liked: policies with a parameter for each item
then win by construction.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

FOLDS, RIDGE = 10, 10.0  # products are drawn into folds; penalty on standardised features


def shares(likes: np.ndarray, features: Mapping[str, np.ndarray]) -> dict[str, float]:
    """R^2 of log(1 + `likes`) (n,) by each of some sets of features (n, q), and by "all" together, to two places.

    Below 0 where the guess is worse than the mean. With fewer products than folds nothing is measured: {}.
    """
    if len(likes) < FOLDS or not np.ptp(likes):
        return {}
    sets = {**features, "all": np.hstack(list(features.values()))}
    return {name: round(r_squared(np.log1p(likes), x), 2) for name, x in sets.items()}


def r_squared(y: np.ndarray, x: np.ndarray) -> float:
    """1 - the squared error of guesses of `y` (n,) made by ridge regression on `x` (n, q) in the other folds, over that
    of the others' mean."""
    fold = np.random.default_rng(0).permutation(len(y)) % FOLDS
    error = baseline = 0.0
    for number in range(FOLDS):
        train, test = fold != number, fold == number
        mean, scale = x[train].mean(axis=0), x[train].std(axis=0)
        z = (x - mean) / np.where(scale > 1e-12, scale, 1.0)
        square = z[train].T @ z[train] + RIDGE * np.eye(x.shape[1])
        guess = y[train].mean() + z[test] @ np.linalg.solve(square, z[train].T @ (y[train] - y[train].mean()))
        error += float(((y[test] - guess) ** 2).sum())
        baseline += float(((y[test] - y[train].mean()) ** 2).sum())
    return 1 - error / baseline
