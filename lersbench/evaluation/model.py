"""The reward model of a log, fitted to the logged rows alone: one model for all policies that are judged."""

from __future__ import annotations

from typing import Any

import numpy as np

from lersbench.evaluation.logged import Logged, Source
from lersbench.offpolicy.cross_fitting import CrossFitted
from lersbench.offpolicy.folds import folds_of
from lersbench.offpolicy.reward_models import Inputs, Shape, reward_model

MOST = 64  # products of context and item, up to which the regressions of our own are given all of them
REGRESSIONS = ("auto", "logistic", "ridge")


class Model:
    """q(context, item), cross-fitted: the model that predicts a row has not seen its user.

    A regression on context and item alone says that the context moves all items alike. Where there are few items, and a
    log brings no joint features, each item has slopes of its own.
    """

    def __init__(self, source: Source, name: Any, folds: int) -> None:
        info = source.log.info
        items = source.session.background.items
        self.folds = folds
        own = isinstance(name, str) and name in REGRESSIONS and not info.m
        self.products = info.items * info.d if own and info.items * info.d <= MOST else 0
        self.fitted: CrossFitted = reward_model(
            name, Shape(info.items, 1, info.d, self.products or info.m, items), folds
        )
        while not self.fitted.fitted:
            for logged in source.read():
                entry = logged.edges[:-1]
                inputs = self._inputs(logged, logged.row[entry], logged_items(logged)[entry], _features(logged, entry))
                self.fitted.add(inputs, logged.reward[entry], self._fold(logged), logged.key)
            self.fitted.end_pass()

    @property
    def notes(self) -> list[str]:
        """What a reader must know of the fits; what is so in every fold is said once."""
        shared = [note.partition("'s model ")[2] for note in self.fitted.notes if note.startswith("Fold ")]
        if shared and len(shared) == self.folds and len(set(shared)) == 1:
            return [f"The reward model of each fold {shared[0]}"]
        return self.fitted.notes

    def predicted(self, logged: Logged) -> np.ndarray:
        """q (N,) of all candidates of the rounds, end to end as they stand."""
        row, item, features = candidates_of(logged)
        return self.fitted.predict(self._inputs(logged, row, item, features), self._fold(logged))

    def _fold(self, logged: Logged) -> np.ndarray:
        return folds_of(logged.key, self.folds)

    def _inputs(self, logged: Logged, row: np.ndarray, item: np.ndarray, features: np.ndarray) -> Inputs:
        context = logged.rows.context[logged.inside]
        if self.products:
            features = np.zeros((len(row), self.products // context.shape[1], context.shape[1]))
            features[np.arange(len(row)), item] = context[row]
            features = features.reshape(len(row), -1)
        return Inputs(context, row, item, np.zeros(len(row), np.int64), features)


def candidates_of(logged: Logged) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The round 0..n - 1, the item and the joint features of every candidate of the rounds, (N,), (N,) and (N, m)."""
    rows, index = logged.rows, logged.inside
    low, high = rows.first[index[0]], rows.first[index[-1] + 1]
    lengths = np.diff(rows.first)[index]
    row = np.repeat(np.arange(len(index)), lengths)
    items = rows.candidates[low:high] if rows.own else np.tile(rows.candidates, len(index))
    return row, items, rows.features[low:high]


def logged_items(logged: Logged) -> np.ndarray:
    """The logged item (S,) of each position."""
    return logged.rows.candidates[_places(logged, own=bool(logged.rows.own))]


def _features(logged: Logged, entry: np.ndarray) -> np.ndarray:
    """The joint features of the logged items at the positions `entry`."""
    return logged.rows.features[_places(logged, own=True)[entry]]


def _places(logged: Logged, own: bool) -> np.ndarray:
    """Where the logged item (S,) of each position stands among what there is for each candidate."""
    rows, index = logged.rows, logged.inside
    shown = rows.slate[rows.top[index[0]] : rows.top[index[-1] + 1]]
    return shown + rows.first[index][logged.row] if own else shown
