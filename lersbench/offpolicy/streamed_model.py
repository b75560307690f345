"""The reward model of our own: ridge or logistic regression, fitted in passes over sums that fit in memory.

The first pass takes means and spreads, by which context and features are standardised, and sees whether rewards are 0
and 1. Then come the Newton steps, one a pass: one for a ridge regression, some six for a logistic one, and at last a
pass over the held-out rows that calibrates the chances.
"""

from __future__ import annotations

import copy
from typing import Self

import numpy as np

from lersbench.errors import ConfigError
from lersbench.offpolicy import additive_model as additive
from lersbench.offpolicy import calibration
from lersbench.offpolicy.additive_model import Inputs, Shape
from lersbench.offpolicy.cross_fitting import CrossFitted, Moments, is_logistic, moments, together

MOST = 30  # Newton steps
CLOSE = 1e-8  # of a row's log-likelihood: what a step is expected to gain when it is the last
MOMENTS, NEWTON, CALIBRATION = "moments", "newton", "calibration"


class StreamedModel(CrossFitted):
    """`kind`: "auto", "ridge" or "logistic". `ridge` > 0: the penalty, in rows: a coefficient of a standardised column,
    or an item's effect, is shrunk as by so many rows of variance 1 that say 0. `one_hot`: an effect for each item,
    beside its features; without it items are told apart by their features alone."""

    def __init__(
        self, shape: Shape, kind: str, folds: int, past: bool, ridge: float, one_hot: bool, calibrate: bool, seed: int
    ) -> None:
        super().__init__(shape, folds, past, calibrate, seed)
        if not ridge > 0:
            raise ConfigError(f"the ridge penalty of the reward model must be above 0, not {ridge}.")
        self.kind, self.ridge, self.one_hot, self.name = kind, ridge, one_hot, kind
        self.stage, self.steps, self.logistic = MOMENTS, 0, False
        numeric = shape.d + shape.m
        self.moments = Moments(0, np.zeros(numeric), np.zeros(numeric), True)
        items = shape.items if shape.items.size else np.empty((shape.n_items, 0))
        self.table = np.ascontiguousarray(items, dtype=np.float64)

    def add(self, inputs: Inputs, rewards: np.ndarray, fold: np.ndarray, keys: np.ndarray) -> None:
        self._check(inputs, fold)
        rewards = np.ascontiguousarray(rewards, dtype=np.float64)
        if self.stage == MOMENTS:
            self.moments = together(self.moments, moments(inputs, rewards))
            return
        learns, held = self._roles(inputs, fold, keys)
        if self.stage == NEWTON:
            learns &= self.moving[:, None]
            additive.add(
                self.sums, self.coefficients, inputs, self.table, self.shape.places, rewards, learns, self.logistic
            )
            return
        for f in range(self.folds):
            mine = np.flatnonzero(held[f])
            some = inputs._replace(row=inputs.row[mine], item=inputs.item[mine], place=inputs.place[mine],
                                   features=inputs.features[mine])  # fmt: skip
            calibration.count(self.bins[f], self._odds(some, np.full(len(fold), f)), rewards[mine])

    def end_pass(self) -> None:
        if self.stage == MOMENTS:
            self._start()
        elif self.stage == NEWTON:
            self._step()
        else:
            for f in range(self.folds):
                self._calibrated(f, self.bins[f])
            self.fitted = True

    def predict(self, inputs: Inputs, fold: np.ndarray) -> np.ndarray:
        self._check(inputs, fold)
        q = self._odds(inputs, fold)
        additive.means(q, inputs.row, fold, self.platt, self.constant, self.logistic)
        return q

    def part(self) -> Self:
        twin = copy.copy(self)
        numeric = len(self.moments.mean)
        twin.moments = Moments(0, np.zeros(numeric), np.zeros(numeric), True)
        if self.stage == NEWTON:
            twin.sums = additive.new_sums(self.coefficients)
        elif self.stage == CALIBRATION:
            twin.bins = np.zeros_like(self.bins)
        return twin

    def merge(self, part: Self) -> None:
        if self.stage == MOMENTS:
            self.moments = together(self.moments, part.moments)
        elif self.stage == NEWTON:
            additive.merge(self.sums, part.sums)
        else:
            self.bins += part.bins

    def _odds(self, inputs: Inputs, fold: np.ndarray) -> np.ndarray:
        out = np.empty(len(inputs.item))
        additive.predictors(self.coefficients, inputs, self.table, self.shape.places, fold, self.of_item, out)
        return out

    def _start(self) -> None:
        """After the moments: zeros, and what they are the coefficients of."""
        d = self.shape.d
        spread = np.sqrt(self.moments.squares / max(self.moments.rows, 1))
        table, mean = self.table, self.moments.mean
        centre = np.concatenate([mean[:d], table.mean(axis=0), mean[d:]])
        scale = np.concatenate([spread[:d], table.std(axis=0), spread[d:]])
        scale[scale <= 1e-12 * np.abs(centre)] = 1.0  # a constant column tells nothing apart
        self.logistic = is_logistic(self.kind, self.moments.binary)
        self.name = "logistic" if self.logistic else "ridge"
        self.coefficients = additive.new_coefficients(self.shape, self.folds, self.one_hot, centre, scale)
        self.before = additive.new_coefficients(self.shape, self.folds, self.one_hot, centre, scale)
        self.least, self.moving = np.full(self.folds, np.inf), np.ones(self.folds, dtype=bool)
        self.sums, self.stage = additive.new_sums(self.coefficients), NEWTON

    def _step(self) -> None:
        """After a pass: a Newton step of each model that still moves; half of the last one where it went too far."""
        self.steps += 1
        for f in map(int, np.flatnonzero(self.moving)):
            now, past = self.coefficients, self.before
            if self._settle(f, self.sums.rows[f], self.sums.rewards[f], self.logistic):
                self.moving[f] = False
                continue
            loss = additive.loss(self.sums, now, self.ridge, f)
            if loss > self.least[f] + 1e-9 * abs(self.least[f]):
                now.beta[f], now.effect[f] = (now.beta[f] + past.beta[f]) / 2, (now.effect[f] + past.effect[f]) / 2
                continue
            step = additive.newton(self.sums, now, self.ridge, f)
            self.least[f], past.beta[f], past.effect[f] = loss, now.beta[f], now.effect[f]
            now.beta[f] += step.beta
            now.effect[f] += step.effect
            self.moving[f] = self.logistic and step.decrement > CLOSE * self.sums.rows[f]
        if self.moving.any() and self.steps == MOST:
            self.notes.append(f"The reward model still moved after {MOST} Newton steps.")
            self.moving[:] = False
        self.sums = additive.new_sums(self.coefficients)
        if not self.moving.any():
            self._done()

    def _done(self) -> None:
        self.of_item = additive.item_parts(self.coefficients, self.shape)
        if self.logistic and self.calibrate:
            self.stage, self.bins = CALIBRATION, np.stack([calibration.new_bins() for _ in range(self.folds)])
        else:
            self.fitted = True
