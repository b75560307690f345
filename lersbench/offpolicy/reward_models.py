"""The reward models by name, and how good one is where it counts.

auto        logistic regression where all rewards are 0 or 1, else ridge regression; ours, in a stream
logistic    the one                                                        ours, in a stream
ridge       the other                                                      ours, in a stream
forest      a random forest of scikit-learn                                collected rows
lightgbm    boosted trees, item and place as categories                    collected rows
an object with fit(X, y) and predict(X) or predict_proba(X)                collected rows
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lersbench.errors import ConfigError, did_you_mean
from lersbench.offpolicy.additive_model import Inputs, Shape
from lersbench.offpolicy.collected_model import PACKAGES, CollectedModel
from lersbench.offpolicy.cross_fitting import CrossFitted
from lersbench.offpolicy.streamed_model import StreamedModel

__all__ = ["Inputs", "Shape", "fit_sums", "reward_model", "weighted_r2"]
STREAMED = ("auto", "logistic", "ridge")
NAMES = (*STREAMED, *PACKAGES)
ROWS, REWARDS, SQUARES, ABOUT, SPREAD, LEFT = range(6)


def reward_model(
    model: Any,
    shape: Shape,
    folds: int = 3,
    past: bool = False,
    ridge: float = 1.0,
    one_hot: bool = True,
    calibrate: bool = True,
    seed: int = 0,
) -> CrossFitted:
    """A reward model that waits for its passes: see `cross_fitting`.

    `model`: a name of the table above, or an estimator. `past`: fit a block of time on earlier ones only. `ridge`: the
    penalty of our own regressions. `one_hot`: items as such, beside their features. Raises ConfigError for one fold and
    for an unknown name, MissingPackage for one whose package is not installed.
    """
    if isinstance(model, str) and model not in NAMES:
        raise ConfigError(f"There is no reward model '{model}'{did_you_mean(model, NAMES, 'there are')}")
    if isinstance(model, str) and model in STREAMED:
        return StreamedModel(shape, model, folds, past, ridge, one_hot, calibrate, seed)
    return CollectedModel(shape, model, folds, past, one_hot, calibrate, seed)


def fit_sums(w: np.ndarray, r: np.ndarray, q: np.ndarray, fold: np.ndarray, folds: int) -> np.ndarray:
    """(folds, 6) what `weighted_r2` needs of rows (n,) with weight, reward and prediction; those of parts add up."""
    square = w * w
    columns = (np.ones(len(w)), r, square, square * r, square * r * r, square * (r - q) ** 2)
    return np.stack([np.bincount(fold, weights=column, minlength=folds) for column in columns], axis=1)


def weighted_r2(sums: np.ndarray) -> np.ndarray:
    """1 - sum w^2 (r - q)^2 / sum w^2 (r - rbar)^2 of each row of sums, rbar the mean reward: (folds,).

    The share of the variance of IPS about a constant that the reward model removes. At 0 or below the model makes DR
    no better than a control variate would. NaN where there is nothing to remove: equal rewards, or no weight. Sum
    `fit_sums` over its folds for the figure of all.
    """
    rows = np.maximum(sums[..., ROWS], 1.0)
    mean = sums[..., REWARDS] / rows
    spread = sums[..., SPREAD] - 2 * mean * sums[..., ABOUT] + mean * mean * sums[..., SQUARES]
    known = spread > 1e-12 * sums[..., SPREAD]
    return np.where(known, 1 - sums[..., LEFT] / np.where(known, spread, 1.0), np.nan)
