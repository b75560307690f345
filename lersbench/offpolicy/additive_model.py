"""Ridge and logistic regression on context, item and place, fitted by Newton's method to sums over a stream.

The linear predictor of an entry is z = phi . beta[f] + effect[f, item], for the model of fold f; phi (e,) is 1, the
standardised context, item features and joint features, and the place one-hot. Penalty: ridge / 2 times the squares of
all coefficients and item effects but the intercept. An item that the rows do not show has effect 0, that of its
features.

One pass adds up, for each fold's model, gradient and curvature at the present coefficients: e * e numbers and e + 2 an
item, whatever the number of rows. The curvature of the item effects is diagonal, so a step solves e equations and not
e + items of them. A ridge regression needs one step; a logistic one is iteratively reweighted least squares.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lersbench.kernels.jit import inlined, inner, kernel


class Shape(NamedTuple):
    """What a reward is predicted from."""

    n_items: int
    places: int = 1  # positions a slate has, 1 where an action is one item
    d: int = 0  # length of the context
    m: int = 0  # joint features of a candidate
    items: np.ndarray = np.empty((0, 0))  # (n_items, p) static features of the items


class Inputs(NamedTuple):
    """N entries, each an item at a place in one of n contexts."""

    context: np.ndarray  # (n, d) float64
    row: np.ndarray  # (N,) int64, which of the contexts an entry has
    item: np.ndarray  # (N,) int64, 0..n_items - 1
    place: np.ndarray  # (N,) int64, 0..places - 1
    features: np.ndarray  # (N, m) float64 joint features


class Coefficients(NamedTuple):
    """The models of all folds; all may be written."""

    beta: np.ndarray  # (F, e)
    effect: np.ndarray  # (F, n_items), or (F, 0) where items enter by their features alone
    centre: np.ndarray  # (d + p + m,) what is taken from context, item features and joint features
    scale: np.ndarray  # (d + p + m,) and what they are divided by


class Sums(NamedTuple):
    """What one pass adds up for each fold's model at the present coefficients; sums of parts may be added."""

    curved: np.ndarray  # (F, e, e) sum v phi phi'
    crossed: np.ndarray  # (F, n_items, e) sum v phi of the entries of an item
    weight: np.ndarray  # (F, n_items) sum v
    slope: np.ndarray  # (F, e) sum (r - mu) phi
    item_slope: np.ndarray  # (F, n_items) sum (r - mu)
    loss: np.ndarray  # (F,) minus the log-likelihood, or half the sum of squares
    rows: np.ndarray  # (F,) entries
    rewards: np.ndarray  # (F,) sum r


class Step(NamedTuple):
    beta: np.ndarray  # (e,)
    effect: np.ndarray  # (n_items,)
    decrement: float  # of Newton: twice what the step is expected to gain


def width(shape: Shape) -> int:
    """e, the length of phi."""
    return 1 + shape.d + shape.items.shape[1] + shape.m + (shape.places if shape.places > 1 else 0)


def new_coefficients(shape: Shape, folds: int, one_hot: bool, centre: np.ndarray, scale: np.ndarray) -> Coefficients:
    """Zeros, for phi centred and scaled by these."""
    items = shape.n_items if one_hot else 0
    return Coefficients(np.zeros((folds, width(shape))), np.zeros((folds, items)), centre, scale)


def new_sums(like: Coefficients) -> Sums:
    folds, e = like.beta.shape
    items = like.effect.shape[1]
    zeros = np.zeros
    return Sums(
        zeros((folds, e, e)), zeros((folds, items, e)), zeros((folds, items)), zeros((folds, e)),
        zeros((folds, items)), zeros(folds), zeros(folds), zeros(folds),
    )  # fmt: skip


def merge(sums: Sums, other: Sums) -> None:
    """Add the sums of other rows to `sums`."""
    for own, more in zip(sums, other, strict=True):
        own += more


@kernel
def add(
    sums: Sums,
    coefficients: Coefficients,
    inputs: Inputs,
    items: np.ndarray,
    places: int,
    rewards: np.ndarray,
    learns: np.ndarray,
    logistic: bool,
) -> None:
    """Add N entries to `sums` at these coefficients.

    `rewards` (N,), 0 or 1 where `logistic`; `learns` (F, N) says which fold's model learns from an entry.
    """
    phi = np.zeros(coefficients.beta.shape[1])
    one_hot = coefficients.effect.shape[1] > 0
    for j in range(inputs.item.shape[0]):
        _phi(coefficients, inputs, items, places, j, phi)
        item = inputs.item[j]
        for f in range(learns.shape[0]):
            if learns[f, j]:
                z = coefficients.effect[f, item] if one_hot else 0.0
                for a in range(phi.shape[0]):
                    z += coefficients.beta[f, a] * phi[a]
                mu, v, loss = _mean(z, rewards[j], logistic)
                left = rewards[j] - mu
                for a in range(phi.shape[0]):
                    sums.slope[f, a] += left * phi[a]
                    for b in range(a + 1):
                        sums.curved[f, a, b] += v * phi[a] * phi[b]
                if one_hot:
                    for a in range(phi.shape[0]):
                        sums.crossed[f, item, a] += v * phi[a]
                    sums.weight[f, item] += v
                    sums.item_slope[f, item] += left
                sums.loss[f] += loss
                sums.rows[f] += 1.0
                sums.rewards[f] += rewards[j]


@inner
def _phi(coefficients: Coefficients, inputs: Inputs, items: np.ndarray, places: int, j: int, phi: np.ndarray) -> None:
    """Fill `phi` (e,) for entry j."""
    centre, scale = coefficients.centre, coefficients.scale
    d, p, m = inputs.context.shape[1], items.shape[1], inputs.features.shape[1]
    phi[0] = 1.0
    for a in range(d):
        phi[1 + a] = (inputs.context[inputs.row[j], a] - centre[a]) / scale[a]
    for a in range(p):
        phi[1 + d + a] = (items[inputs.item[j], a] - centre[d + a]) / scale[d + a]
    for a in range(m):
        phi[1 + d + p + a] = (inputs.features[j, a] - centre[d + p + a]) / scale[d + p + a]
    if places > 1:
        for a in range(places):
            phi[1 + d + p + m + a] = 1.0 if inputs.place[j] == a else 0.0


@inlined
def _mean(z: float, r: float, logistic: bool) -> tuple[float, float, float]:
    """Mean, variance and loss of a reward whose linear predictor is z."""
    if not logistic:
        return z, 1.0, 0.5 * (r - z) * (r - z)
    tail = math.exp(-abs(z))
    mu = 1.0 / (1.0 + tail) if z >= 0 else tail / (1.0 + tail)
    return mu, tail / ((1.0 + tail) * (1.0 + tail)), max(z, 0.0) - r * z + math.log1p(tail)


@kernel
def predictors(
    coefficients: Coefficients,
    inputs: Inputs,
    items: np.ndarray,
    places: int,
    fold: np.ndarray,
    of_item: np.ndarray,
    out: np.ndarray,
) -> None:
    """Fill `out` (N,) with z of each entry, by the model of the fold (n,) of its row.

    `of_item` (F, n_items) is what `item_parts` says: so an entry costs no more than its joint features do.
    """
    d, p, m = inputs.context.shape[1], items.shape[1], inputs.features.shape[1]
    at_features, at_places = 1 + d + p, 1 + d + p + m
    centre, scale = coefficients.centre[d + p :], coefficients.scale[d + p :]
    base = np.empty(fold.shape[0])
    for i in range(base.shape[0]):
        beta = coefficients.beta[fold[i]]
        base[i] = beta[0]
        for a in range(d):
            base[i] += beta[1 + a] * (inputs.context[i, a] - coefficients.centre[a]) / coefficients.scale[a]
    for j in range(out.shape[0]):
        i = inputs.row[j]
        beta = coefficients.beta[fold[i]]
        z = base[i] + of_item[fold[i], inputs.item[j]]
        for a in range(m):
            z += beta[at_features + a] * (inputs.features[j, a] - centre[a]) / scale[a]
        if places > 1:
            z += beta[at_places + inputs.place[j]]
        out[j] = z


@kernel
def means(
    z: np.ndarray, row: np.ndarray, fold: np.ndarray, platt: np.ndarray, constant: np.ndarray, logistic: bool
) -> None:
    """Turn the linear predictors `z` (N,) into predictions, by the fold (n,) of their `row` (N,).

    Where `logistic`, the chance at log-odds a + b z, (a, b) the row of `platt` (F, 2); a fold whose `constant` (F,) is
    not NaN predicts that.
    """
    for j in range(z.shape[0]):
        f = fold[row[j]]
        if constant[f] == constant[f]:
            z[j] = constant[f]
        elif logistic:
            odds = platt[f, 0] + platt[f, 1] * z[j]
            tail = math.exp(-abs(odds))
            z[j] = 1.0 / (1.0 + tail) if odds >= 0 else tail / (1.0 + tail)


def item_parts(coefficients: Coefficients, shape: Shape) -> np.ndarray:
    """(F, n_items) what an item adds to the linear predictor: the part of its features and its own effect."""
    d, p = shape.d, shape.items.shape[1]
    own = coefficients.effect if coefficients.effect.shape[1] else np.zeros((len(coefficients.beta), shape.n_items))
    if p == 0:
        return own
    table = (shape.items - coefficients.centre[d : d + p]) / coefficients.scale[d : d + p]
    return own + coefficients.beta[:, 1 + d : 1 + d + p] @ table.T


def loss(sums: Sums, coefficients: Coefficients, ridge: float, f: int) -> float:
    """The penalised loss of fold f's model at these coefficients, of which `sums` is a whole pass."""
    squares = float((coefficients.beta[f, 1:] ** 2).sum() + (coefficients.effect[f] ** 2).sum())
    return float(sums.loss[f]) + ridge / 2 * squares


def newton(sums: Sums, coefficients: Coefficients, ridge: float, f: int) -> Step:
    """The Newton step of fold f's model, from a whole pass: the item effects are eliminated first."""
    beta, effect = coefficients.beta[f], coefficients.effect[f]
    penalty = np.full(len(beta), ridge)
    penalty[0] = 0.0
    lower = sums.curved[f]
    curved = lower + np.tril(lower, -1).T + np.diag(penalty)
    slope, item_slope = sums.slope[f] - penalty * beta, sums.item_slope[f] - ridge * effect
    crossed, weight = sums.crossed[f], sums.weight[f] + ridge
    shares = crossed / weight[:, None]
    rest = slope - shares.T @ item_slope
    move = np.linalg.solve(curved - crossed.T @ shares, rest)
    item_move = (item_slope - crossed @ move) / weight
    return Step(move, item_move, float(slope @ move + item_slope @ item_move))
