"""The model that cascade-DR corrects: what a list is still to earn below an item, under the target policy.

Q_k(x, a_1..a_k) predicts r_k + ... + r_K where the logged items stand down to k and the target chooses below. It is
fitted from the last place up: Q_K to r_K, then Q_k to r_k + sum_a pi(a | x, a_1..a_k) Q_{k+1}(a) (Kiyohara et al., WSDM
2022). So it belongs to one target. Each fit is cross-fitted: the model that predicts a list has seen neither it nor any
other of its user.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from lersbench.errors import ConfigError, DataError
from lersbench.offpolicy.additive_model import Inputs, Shape
from lersbench.offpolicy.cross_fitting import CrossFitted
from lersbench.offpolicy.folds import folds_of
from lersbench.offpolicy.reward_models import reward_model

WHOLE = 1e-6  # by which chances of all candidates may miss 1
TOLD = 64  # items without features, up to which a model is told which ones stand above
BLOCK = 1 << 22  # numbers that are handed to a model at once


class Lists(NamedTuple):
    """n logged lists of up to K items, each from up to C candidates, and what the target would do with them."""

    context: np.ndarray  # (n, d)
    candidates: np.ndarray  # (n, C) int64 items; what pads a row has no chance
    slate: np.ndarray  # (n, K) int64 logged, as indices into the candidates
    rewards: np.ndarray  # (n, K)
    chances: np.ndarray  # (n, K, C) of each at k given the logged items above; all 0: the target is never there
    keys: np.ndarray  # (n,) int64 of the users, by which lists are split into folds
    lengths: np.ndarray | None = None  # (n,) int64 items of each list, the rest of its row pads it; None: K


def cascade_model(
    lists: Lists, n_items: int, features: np.ndarray | None = None, model: str = "auto", folds: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    """Q_k of the logged items and E_pi Q_k, the expectation over the target's choice at k: (n, K) each.

    `features` (n_items, p) of the items, which stand for those above as well; without them items enter one-hot, and so
    do those above where there are at most 64 items. `model` and `folds` as of `reward_models.reward_model`. What stands
    in `slates.cascade_dr`: the second is 0 where all chances are. Both are 0 at places for which no other users' lists
    show what the target does below: there cascade-DR is RIPS. Raises ConfigError for lists that do not fit each other
    and for one fold, DataError, with list and place, for chances that sum to neither 0 nor 1.
    """
    _check(lists)
    n, places = lists.slate.shape
    static = np.empty((n_items, 0)) if features is None else np.asarray(features, np.float64)
    told = static if static.shape[1] else np.eye(n_items) if n_items <= TOLD else static
    shape = Shape(n_items, 1, lists.context.shape[1], told.shape[1], static)
    fold = folds_of(lists.keys, folds)
    length = np.full(n, places) if lists.lengths is None else lists.lengths
    q, ahead = np.zeros((n, places)), np.zeros((n, places))
    for k in range(places - 1, -1, -1):
        ends = length == k + 1
        known = ends | ((length > k + 1) & lists.chances[:, k + 1].any(axis=1)) if k + 1 < places else ends
        below = np.where(ends, 0.0, ahead[:, k + 1]) if k + 1 < places else np.zeros(n)
        rows = np.bincount(fold[known], minlength=folds)
        if ((rows.sum() - rows) == 0).any():
            continue
        fitted = reward_model(model, shape, folds, calibrate=False)
        _fit(fitted, lists, told, k, np.flatnonzero(known), lists.rewards[:, k] + below, fold)
        _predict(fitted, lists, told, k, np.flatnonzero(length > k), fold, q, ahead)
    return q, ahead


def _fit(
    fitted: CrossFitted, lists: Lists, told: np.ndarray, k: int, rows: np.ndarray, goal: np.ndarray, fold: np.ndarray
) -> None:
    """Fit to what is still earned (n,) from place k on in the lists `rows` (m,)."""
    while not fitted.fitted:
        for some in _blocks(lists, told, rows, 1):
            shown = lists.candidates[some, lists.slate[some, k]]
            fitted.add(_entries(lists, told, k, some, shown[:, None]), goal[some], fold[some], lists.keys[some])
        fitted.end_pass()


def _predict(
    fitted: CrossFitted,
    lists: Lists,
    told: np.ndarray,
    k: int,
    rows: np.ndarray,
    fold: np.ndarray,
    q: np.ndarray,
    ahead: np.ndarray,
) -> None:
    """Fill place k of `q` (n, K) and `ahead` (n, K) for the lists `rows` (m,)."""
    wide = lists.candidates.shape[1]
    for some in _blocks(lists, told, rows, wide):
        each = fitted.predict(_entries(lists, told, k, some, lists.candidates[some]), fold[some]).reshape(-1, wide)
        q[some, k] = np.take_along_axis(each, lists.slate[some, k][:, None], axis=1)[:, 0]
        ahead[some, k] = (lists.chances[some, k] * each).sum(axis=1)


def _blocks(lists: Lists, told: np.ndarray, rows: np.ndarray, entries: int) -> Iterator[np.ndarray]:
    """The lists `rows` (m,) in parts whose `entries` each are not too many numbers at once."""
    step = max(1, BLOCK // (entries * (4 + lists.context.shape[1] + told.shape[1])))
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


def _entries(lists: Lists, told: np.ndarray, k: int, rows: np.ndarray, items: np.ndarray) -> Inputs:
    """The items (m, E) at place k of the lists `rows` (m,), with the sum of what is `told` of those above."""
    above = np.zeros((len(rows), told.shape[1]))
    for j in range(k):
        above += told[lists.candidates[rows, lists.slate[rows, j]]]
    row = np.repeat(np.arange(len(rows)), items.shape[1])
    return Inputs(lists.context[rows], row, items.reshape(-1), np.zeros(len(row), np.int64), above[row])


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
