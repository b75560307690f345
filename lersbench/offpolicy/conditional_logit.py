"""Which of its candidates a policy shows: the conditional logit model, for candidates that change by choice.

P(j | x, candidates) = exp(u_j) / sum_k exp(u_k), over the candidates k of the row (McFadden 1974), with the utility

    u_j = effect_j + static . s_j + (slope_j + cross s_j) . x + joint . f_j

of an item j with static features s_j and joint features f_j in the context x. Numeric columns come standardised. The
penalty is ridge / 2 times the squares of all but the effects, and EFFECT / 2 times those of the effects.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lersbench.kernels.jit import inner, kernel
from lersbench.offpolicy.minimise import Minimum, minimise

EFFECT = 1.0  # penalty of an item's effect, in rows
MOST_SLOPES = 50_000  # items times context columns, up to which each item has slopes of its own


class Choices(NamedTuple):
    """n choices, each of one of the candidates that lie end to end."""

    context: np.ndarray  # (n, d) standardised
    first: np.ndarray  # (n + 1,) int64 where the candidates of each choice begin
    own: int  # 1: the candidates are (N,), each choice has its own; 0: all have the same (C,)
    item: np.ndarray  # (N,) or (C,) int64
    features: np.ndarray  # (N, m) joint features, standardised
    chosen: np.ndarray  # (n,) int64, which of its candidates


class Form(NamedTuple):
    """Which coefficients there are."""

    n_items: int
    d: int
    m: int
    statics: np.ndarray  # (n_items, p) standardised

    @property
    def slopes(self) -> bool:
        """Has each item slopes of its own, or only those of its features?"""
        return self.n_items * self.d <= MOST_SLOPES

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of coefficients: effects, slopes, static, cross, joint."""
        p = self.statics.shape[1]
        return self.n_items, self.n_items * self.d * self.slopes, p, self.d * p, self.m

    def parts(self, theta: np.ndarray) -> list[np.ndarray]:
        """Views of theta (k,): effect (I,), slope (I, d) or (0, d), static (p,), cross (d, p), joint (m,)."""
        effect, slope, static, cross, joint = np.split(theta, np.cumsum(self.sizes)[:-1])
        return [effect, slope.reshape(-1, self.d) if self.d else np.empty((0, 0)), static,
                cross.reshape(self.d, -1) if self.d else np.empty((0, len(static))), joint]  # fmt: skip

    def penalty(self, ridge: float) -> np.ndarray:
        """(k,) of each coefficient."""
        return np.repeat([EFFECT, ridge, ridge, ridge, ridge], self.sizes)


class Utility(NamedTuple):
    """A model as it is computed with: everything an item brings is put together."""

    base: np.ndarray  # (n_items,)
    slope: np.ndarray  # (n_items, d)
    joint: np.ndarray  # (m,)


def utility_of(form: Form, theta: np.ndarray) -> Utility:
    effect, slope, static, cross, joint = form.parts(theta)
    whole = form.statics @ cross.T if form.statics.shape[1] else np.zeros((form.n_items, form.d))
    if slope.size:
        whole = whole + slope
    return Utility(effect + form.statics @ static, np.ascontiguousarray(whole), np.ascontiguousarray(joint))


def fit(
    form: Form,
    choices: Choices,
    weight: np.ndarray,
    ridge: float,
    start: np.ndarray,
    close: float,
    most: int,
    near: Minimum | None = None,
) -> Minimum:
    """The penalised likelihood's maximum from `start` (k,) on, over choices that count `weight` (n,) >= 0 times.

    It ends when a step gains less than `close` of log-likelihood a choice. `near` is a fit to much the same choices.
    """
    penalty, rows = form.penalty(ridge), max(1.0, float(weight.sum()))

    def penalised(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = slope_of(form, choices, weight, theta)
        return value + 0.5 * float(penalty @ (theta * theta)), gradient + penalty * theta

    return minimise(penalised, start, close * rows, most, near.moves if near is not None else None)


def slope_of(form: Form, choices: Choices, weight: np.ndarray, theta: np.ndarray) -> tuple[float, np.ndarray]:
    """Minus the log-likelihood at theta (k,), and its gradient (k,)."""
    utility = utility_of(form, theta)
    grown = Utility(*(np.zeros_like(part) for part in utility))
    value = _add(utility, choices, weight, grown)
    gradient = np.empty_like(theta)
    effect, slope, static, cross, joint = form.parts(gradient)
    effect[...], joint[...] = grown.base, grown.joint
    static[...] = grown.base @ form.statics
    if slope.size:
        slope[...] = grown.slope
    if cross.size:
        cross[...] = grown.slope.T @ form.statics
    return value, gradient


@inner
def _odds(utility: Utility, choices: Choices, i: int, scale: float, out: np.ndarray) -> int:
    """Fill `out` with the utilities of the candidates of choice i, times `scale`, less the largest; their number."""
    start, size = choices.first[i], choices.first[i + 1] - choices.first[i]
    top = -math.inf
    for j in range(size):
        item = choices.item[start + j if choices.own else j]
        u = utility.base[item]
        for a in range(choices.context.shape[1]):
            u += utility.slope[item, a] * choices.context[i, a]
        for a in range(choices.features.shape[1]):
            u += utility.joint[a] * choices.features[start + j, a]
        out[j] = scale * u
        top = max(top, out[j])
    for j in range(size):
        out[j] -= top
    return size


@inner
def _widest(choices: Choices) -> int:
    widest = 0
    for i in range(choices.first.shape[0] - 1):
        widest = max(widest, choices.first[i + 1] - choices.first[i])
    return widest


@kernel
def _add(utility: Utility, choices: Choices, weight: np.ndarray, grown: Utility) -> float:
    """Minus the log-likelihood; its gradient is added to `grown`."""
    odds, loss = np.empty(_widest(choices)), 0.0
    for i in range(weight.shape[0]):
        if weight[i] > 0.0:
            size, start, total = _odds(utility, choices, i, 1.0, odds), choices.first[i], 0.0
            own = odds[choices.chosen[i]]
            for j in range(size):
                odds[j] = math.exp(odds[j])
                total += odds[j]
            loss += weight[i] * (math.log(total) - own)
            for j in range(size):
                left = weight[i] * (odds[j] / total - (1.0 if j == choices.chosen[i] else 0.0))
                item = choices.item[start + j if choices.own else j]
                grown.base[item] += left
                for a in range(choices.context.shape[1]):
                    grown.slope[item, a] += left * choices.context[i, a]
                for a in range(choices.features.shape[1]):
                    grown.joint[a] += left * choices.features[start + j, a]
    return loss


@kernel
def chances(utility: Utility, choices: Choices, which: np.ndarray, scale: float, out: np.ndarray) -> None:
    """Fill `out` (N,) with the chance of every candidate of the choices that `which` (n,) marks.

    `scale` > 0 multiplies the utilities.
    """
    for i in range(which.shape[0]):
        if which[i]:
            start, end, total = choices.first[i], choices.first[i + 1], 0.0
            _odds(utility, choices, i, scale, out[start:end])
            for j in range(start, end):
                out[j] = math.exp(out[j])
                total += out[j]
            for j in range(start, end):
                out[j] /= total


@kernel
def _along(utility: Utility, choices: Choices, weight: np.ndarray, scale: float) -> tuple[float, float, float]:
    """Minus the log-likelihood at this scale of the utilities, its derivative by the scale, and the second one."""
    odds, loss, slope, curve = np.empty(_widest(choices)), 0.0, 0.0, 0.0
    for i in range(weight.shape[0]):
        if weight[i] > 0.0:
            size = _odds(utility, choices, i, scale, odds)
            total, mean, square = 0.0, 0.0, 0.0
            for j in range(size):
                part = math.exp(odds[j])
                total += part
                mean += part * odds[j]
                square += part * odds[j] * odds[j]
            mean, square, own = mean / total, square / total, odds[choices.chosen[i]]
            loss += weight[i] * (math.log(total) - own)
            slope -= weight[i] * (own - mean) / scale
            curve += weight[i] * (square - mean * mean) / (scale * scale)
    return loss, slope, curve


LEAST_SCALE, MOST_SCALE = 0.05, 20.0
STEPS = 30


def scale_of(models: Sequence[tuple[Utility, np.ndarray]], choices: Choices) -> float:
    """The factor of the utilities, 1 over the temperature, that fits best: Newton's method, within .05..20.

    `models`: utilities, and how often each of the choices (n,) counts that they are asked about.
    """
    scale = 1.0
    for _ in range(STEPS):
        _, slope, curve = np.sum([_along(utility, choices, weight, scale) for utility, weight in models], axis=0)
        if not curve > 0:
            break
        there = min(max(scale - slope / curve, scale / 2), scale * 2)
        there = min(max(there, LEAST_SCALE), MOST_SCALE)
        if abs(there - scale) < 1e-6 * scale:
            return float(there)
        scale = there
    return float(scale)


def loss(utility: Utility, choices: Choices, weight: np.ndarray, scale: float = 1.0) -> float:
    """Minus the log-likelihood of choices that count `weight` (n,) times; `scale` multiplies the utilities."""
    return float(_along(utility, choices, weight, scale)[0])
