"""PBM-TS: Thompson sampling in the position-based model, from the exact posterior."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.kernels.ties import top_k
from lersbench.learners.position_model import by_examination, column, columns, place
from lersbench.policy import KernelPolicy, Round, Spec
from lersbench.ranges import require

NOTHING = 1e-9  # fewer failures than this are rounding
TINY = 1e-16  # 1 - examination theta is not known more exactly than this
LEFT, LEFT_SLOPE, RIGHT, RIGHT_SLOPE, TOP, LEFT_AREA, RIGHT_AREA = range(7)  # what describes an envelope
SIZE = 8


class State(NamedTuple):
    gain: np.ndarray  # (n_items,) float64, prior_a + sum of rewards
    failures: np.ndarray  # (n_items, L + 1) float64, sum of (1 - reward) at each position; the last from prior_b - 1
    envelope: np.ndarray  # (n_items, 8) float64, that of each item's posterior
    examination: np.ndarray  # (L + 1,), the last 1
    order: np.ndarray  # (K,) int64 positions, the most examined first
    ranked: np.ndarray  # (K,) int64, working memory


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """score = one draw from the posterior of each candidate, in their order."""
    for c in range(round.candidates.shape[0]):
        item = round.candidates[c]
        u = sample(rng, state.gain[item], state.failures[item], state.examination, state.envelope[item])
        round.scores[c] = math.exp(u)
    top_k(round.scores, round.ties, state.ranked[: slate.shape[0]])
    place(state.ranked, state.order, slate)


@kernel
def density(gain: float, failures: np.ndarray, examination: np.ndarray, u: float) -> float:
    """ln of the density of u = ln theta <= 0, less a constant: gain u + sum failures ln(1 - examination e^u).

    It is concave in u. `failures` and `examination` (L + 1,).
    """
    theta, total = math.exp(u), gain * u
    for k in range(failures.shape[0]):
        if failures[k] > NOTHING:
            total += failures[k] * math.log(max(1.0 - examination[k] * theta, TINY))
    return total


@kernel
def slopes(gain: float, failures: np.ndarray, examination: np.ndarray, u: float) -> tuple[float, float]:
    """The first derivative of `density`, and the second without its sign."""
    theta, slope, curvature = math.exp(u), gain, 0.0
    for k in range(failures.shape[0]):
        if failures[k] > NOTHING:
            odds = examination[k] * theta / max(1.0 - examination[k] * theta, TINY)
            slope -= failures[k] * odds
            curvature += failures[k] * odds * (1.0 + odds)
    return slope, curvature


@kernel
def mode(gain: float, failures: np.ndarray, examination: np.ndarray) -> float:
    """Where `density` is highest, by Newton's method.

    The slope is decreasing and concave in u, so from the right of its zero Newton's steps never leave that side.
    They start at a bound: alone, the failures of any one column would put the zero further right.
    """
    theta = 1.0
    for k in range(failures.shape[0]):
        if failures[k] > NOTHING:
            theta = min(theta, gain / ((gain + failures[k]) * examination[k]))
    u = math.log(theta)
    slope, curvature = slopes(gain, failures, examination, u)
    while slope < 0.0 and slope * slope > 1e-14 * curvature:  # further off than 1e-7 of the width of the peak
        u += slope / curvature
        slope, curvature = slopes(gain, failures, examination, u)
    return u


@kernel
def envelop(gain: float, failures: np.ndarray, examination: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (8,) with an envelope of the density: flat at the top, and a tangent on each side.

    The tangents touch about where the density has fallen by a factor e, which makes the area nearly least for
    three pieces. Where the right one would touch beyond u = 0 there is none, and the top reaches to 0.
    """
    u = mode(gain, failures, examination)
    slope, curvature = slopes(gain, failures, examination, u)
    slope = max(slope, 0.0)  # above 0 only where u = 0 is the mode
    top, reach = density(gain, failures, examination, u), 2.0 / (slope + math.sqrt(slope * slope + 2.0 * curvature))
    touch = u - reach
    slope, _ = slopes(gain, failures, examination, touch)
    out[TOP], out[LEFT_SLOPE], out[LEFT_AREA] = top, slope, 1.0 / slope
    out[LEFT] = min(0.0, touch - (density(gain, failures, examination, touch) - top) / slope)
    out[RIGHT], out[RIGHT_SLOPE], out[RIGHT_AREA] = 0.0, -1.0, 0.0
    touch = u + reach
    if touch < 0.0:
        slope, _ = slopes(gain, failures, examination, touch)
        right = touch - (density(gain, failures, examination, touch) - top) / slope
        if right < 0.0:
            out[RIGHT], out[RIGHT_SLOPE] = right, slope
            out[RIGHT_AREA] = (math.exp(-slope * right) - 1.0) / slope


@kernel
def sample(
    rng: np.random.Generator, gain: float, failures: np.ndarray, examination: np.ndarray, envelope: np.ndarray
) -> float:
    """A draw of ln theta from its posterior: points under the envelope, until one is under the density."""
    flat = envelope[RIGHT] - envelope[LEFT]
    while True:
        at = rng.random() * (flat + envelope[LEFT_AREA] + envelope[RIGHT_AREA])
        height = 0.0
        if at < flat:
            u = envelope[LEFT] + at
        elif at < flat + envelope[RIGHT_AREA]:
            height = math.log(1.0 + (at - flat) * envelope[RIGHT_SLOPE])
            u = envelope[RIGHT] + height / envelope[RIGHT_SLOPE]
        else:
            left = (at - flat - envelope[RIGHT_AREA]) * envelope[LEFT_SLOPE]
            height = math.log(max(1.0 - left, TINY))
            u = envelope[LEFT] + height / envelope[LEFT_SLOPE]
        u = min(u, 0.0)
        level = math.log(1.0 - rng.random()) + height + envelope[TOP]
        if level <= density(gain, failures, examination, u):
            return u


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    for k in range(slate.shape[0]):
        j = column(round.shown_at, slate, k, state.order.shape[0], state.examination.shape[0] - 1)
        if seen[k] and state.examination[j] > 0.0:
            item = round.candidates[slate[k]]
            state.gain[item] += rewards[k]
            state.failures[item, j] += 1.0 - rewards[k]
            envelop(state.gain[item], state.failures[item], state.examination, state.envelope[item])


@dataclass(frozen=True)
class PBMTS(KernelPolicy):
    """The K highest of one posterior draw for each item, the best where most is examined; no context.

    The posterior density of an item's attraction theta is its Beta prior times
    theta^clicks prod_k (1 - examination_k theta)^(displays without a click at k). It is drawn from exactly: in
    ln theta it is log-concave, so three tangents bound it closely, and points under them are drawn until one is
    under the density, 1.0 to 1.2 of them on average. A reward between 0 and 1 counts as that fraction of a click.
    Under the feedback "logged" a click counts at the place where the log had it.
    A position that nobody examines teaches nothing. When the rewards of all candidates are revealed, they are
    learned with weight 1, since then no position had a part in them.

    Sources: Lagree, Vernade and Cappe 2016, PBM-TS (arXiv 1606.02448), which proposes from a Beta
    instead; tangents on a log-concave density: Gilks and Wild 1992 (doi 10.2307/2347565).
    """

    prior_a: float = 1.0  # clicks the prior is worth, > 0
    prior_b: float = 1.0  # non-clicks the prior is worth, >= 1: below, the density is not log-concave

    needs = ("weights",)
    working = ("ranked",)
    unit_rewards = True  # they are the fractions of a click in the posterior
    zero_is_nothing = True  # what was not looked at pays 0
    kernels = (select, update)

    def __post_init__(self) -> None:
        require(self.prior_a > 0, self, "prior_a", "above 0")
        require(self.prior_b >= 1, self, "prior_b", "1 or above")

    def init(self, spec: Spec) -> State:
        examination = columns(spec.examination)
        failures = np.zeros((spec.n_items, spec.examination.size + 1))
        failures[:, -1] = self.prior_b - 1.0
        envelope = np.zeros((spec.n_items, SIZE))
        envelop(self.prior_a, failures[0], examination, envelope[0])
        envelope[:] = envelope[0]
        return State(
            np.full(spec.n_items, self.prior_a),
            failures,
            envelope,
            examination,
            by_examination(spec.examination, spec.slate),
            np.zeros(spec.slate, np.int64),
        )
