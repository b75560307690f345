"""The model that cascade-DR corrects: what a list is still to earn below an item, under the target policy.

Q_k(x, a_1..a_k) predicts r_k + ... + r_K where the logged items stand down to k and the target chooses below. It is
fitted from the last place up: Q_K to r_K, then Q_k to r_k + sum_a pi(a | x, a_1..a_k) Q_{k+1}(a) (Kiyohara et al., WSDM
2022). So it belongs to one target. Each fit is cross-fitted: the model that predicts a list has seen neither it nor any
other of its user.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lersbench.errors import ConfigError, DataError
from lersbench.offpolicy.additive_model import Inputs, Shape
from lersbench.offpolicy.folds import folds_of
from lersbench.offpolicy.reward_models import reward_model

WHOLE = 1e-6  # by which chances of all candidates may miss 1


class Lists(NamedTuple):
    """n logged lists of K items, each from C candidates, and what the target would do with them."""

    context: np.ndarray  # (n, d)
    candidates: np.ndarray  # (n, C) int64 items
    slate: np.ndarray  # (n, K) int64 logged, as indices into the candidates
    rewards: np.ndarray  # (n, K)
    chances: np.ndarray  # (n, K, C) of each at k given the logged items above; all 0: the target is never there
    keys: np.ndarray  # (n,) int64 of the users, by which lists are split into folds


def cascade_model(
    lists: Lists, n_items: int, features: np.ndarray | None = None, model: str = "auto", folds: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    """Q_k of the logged items and E_pi Q_k, the expectation over the target's choice at k: (n, K) each.

    `features` (n_items, p) of the items; without them items enter one-hot, those above as well. `model` and `folds` as
    of `reward_models.reward_model`. What stands in `slates.cascade_dr`: the second is 0 where all chances are. Raises
    ConfigError for lists that do not fit each other and for one fold, DataError, with list and place, for chances that
    sum to neither 0 nor 1.
    """
    _check(lists)
    n, places = lists.slate.shape
    static = np.empty((n_items, 0)) if features is None else np.asarray(features, np.float64)
    told = static if static.shape[1] else np.eye(n_items)  # of the items above: their sum
    shape = Shape(n_items, 1, lists.context.shape[1], told.shape[1], static)
    fold = folds_of(lists.keys, folds)
    shown = np.take_along_axis(lists.candidates, lists.slate, axis=1)
    above = np.cumsum(told[shown], axis=1) - told[shown]
    q, ahead = np.zeros((n, places)), np.zeros((n, places))
    known: np.ndarray = np.ones(n, bool)  # is it known what the target does below?
    for k in range(places - 1, -1, -1):
        below = ahead[:, k + 1] if k + 1 < places else 0.0
        fitted = reward_model(model, shape, folds, calibrate=False)
        while not fitted.fitted:
            entries = _entries(lists, above[:, k], shown[:, k : k + 1], known)
            fitted.add(entries, (lists.rewards[:, k] + below)[known], fold, lists.keys)
            fitted.end_pass()
        everyone = np.ones(n, bool)
        q[:, k] = fitted.predict(_entries(lists, above[:, k], shown[:, k : k + 1], everyone), fold)
        each = fitted.predict(_entries(lists, above[:, k], lists.candidates, everyone), fold).reshape(n, -1)
        ahead[:, k] = (lists.chances[:, k] * each).sum(axis=1)
        known = np.asarray(lists.chances[:, k].any(axis=1))
    return q, ahead


def _entries(lists: Lists, above: np.ndarray, items: np.ndarray, rows: np.ndarray) -> Inputs:
    """The items (n, E) of the lists `rows` (n,) bool below the items that `above` (n, m) stands for."""
    row = np.repeat(np.flatnonzero(rows), items.shape[1])
    return Inputs(lists.context, row, items[rows].reshape(-1), np.zeros(len(row), np.int64), above[row])


def _check(lists: Lists) -> None:
    n, places = lists.slate.shape
    wide = lists.candidates.shape[1]
    fits = lists.rewards.shape == (n, places) and lists.chances.shape == (n, places, wide)
    if not (fits and len(lists.context) == len(lists.candidates) == len(lists.keys) == n):
        raise ConfigError(f"context, candidates, rewards, chances and keys must be those of {n} lists of {places}.")
    total = lists.chances.sum(axis=2)
    wrong = np.argwhere(~((np.abs(total - 1) <= WHOLE) | ((total == 0) & (lists.chances.min(axis=2) == 0))))
    if wrong.size:
        row, place = map(int, wrong[0])
        raise DataError(
            f"list {row}, place {place}: the target's chances of all candidates sum to {total[row, place]:.6g}, not to "
            "1, or to 0 where it never comes. Give each candidate its chance below the logged items above."
        )
