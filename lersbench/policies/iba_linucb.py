"""IBA-LinUCB: one LinUCB a position of the slate, on the joint features, shared by all items."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.errors import ConfigError
from lersbench.jit import kernel
from lersbench.linalg import best
from lersbench.packed import packed_size, products, take, times
from lersbench.policy import KernelPolicy, Round, Spec
from lersbench.simd import LANES, aligned, lane_products, padded


class State(NamedTuple):
    """Learned in place. "Lanes": column c of a (rows, columns) matrix is at [c // 8, 8 row + c % 8]."""

    inverse: np.ndarray  # lanes, a column a position: packed inverse of ridge I + sum x x' over the items shown there
    theta: np.ndarray  # (m) lanes, a column a position: that inverse times sum r x
    positions: np.ndarray  # (1,) int64 K
    alpha: np.ndarray  # (1,)
    features: np.ndarray  # (2 m) lanes, a column a candidate: working memory, like all below
    theirs: np.ndarray  # (m) lanes, the same once
    products: np.ndarray  # (packed) lanes, a column a candidate
    means: np.ndarray  # (K, C padded)
    squares: np.ndarray  # (K, C padded)
    shown: np.ndarray  # (16 m,) lanes, a column a position
    v: np.ndarray  # (16 m,) lanes
    w: np.ndarray  # (16 m,) lanes
    each: np.ndarray  # (4, 8) numbers of eight positions


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """Position by position, the best by that position's bound among the candidates not taken above.

    The scores a ranking is made of are those of the last position.
    """
    n, m = round.features.shape
    for c in range(n):
        block, lane = c // LANES, c % LANES
        for i in range(m):
            state.features[block, LANES * i + lane] = round.features[c, i]
            state.features[block, LANES * (i + m) + lane] = round.features[c, i]
            state.theirs[block, LANES * i + lane] = round.features[c, i]
    for block in range(state.features.shape[0]):
        products(state.features[block], LANES, state.products[block])
    positions = slate.shape[0]
    lane_products(state.theta, positions, state.theirs, state.means)
    lane_products(state.inverse, positions, state.products, state.squares)
    for k in range(positions):
        bounds, squares = state.means[k], state.squares[k]
        for c in range(bounds.shape[0]):
            bounds[c] += state.alpha[0] * math.sqrt(max(0.0, squares[c]))
    for k in range(positions):
        if k == positions - 1:
            for c in range(n):
                round.scores[c] = state.means[k, c]
        for j in range(k):
            state.means[k, slate[j]] = -math.inf
        slate[k] = best(state.means[k, :n], round.ties)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """Each position learns from its own item only; items beyond the last position belong to none."""
    shown = min(slate.shape[0], state.positions[0])
    for block in range(state.theta.shape[0]):
        _learn(state, block, round.features, slate[:shown], rewards, seen)


@kernel
def _learn(
    state: State, block: int, features: np.ndarray, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray
) -> None:
    """Recursive least squares of eight positions at once. One that learns nothing has x = 0, which changes nothing."""
    m = features.shape[1]
    xx, v, w, theta = state.shown, state.v, state.w, state.theta[block]
    scale, error, root, reward = state.each[0], state.each[1], state.each[2], state.each[3]
    for lane in range(LANES):
        k = LANES * block + lane
        learns = k < slate.shape[0] and seen[k]
        reward[lane] = rewards[k] if learns else 0.0
        for i in range(m):
            x = features[slate[k], i] if learns else 0.0
            xx[LANES * i + lane] = x
            xx[LANES * (i + m) + lane] = x
        scale[lane], error[lane] = 1.0, reward[lane]
    times(state.inverse[block], xx, LANES, v)
    for i in range(m):
        for lane in range(LANES):
            scale[lane] += xx[LANES * i + lane] * v[LANES * i + lane]
            error[lane] -= xx[LANES * i + lane] * theta[LANES * i + lane]
    for lane in range(LANES):
        root[lane] = math.sqrt(scale[lane])
        error[lane] /= scale[lane]
    for i in range(m):
        for lane in range(LANES):
            theta[LANES * i + lane] += v[LANES * i + lane] * error[lane]
            w[LANES * i + lane] = v[LANES * i + lane] / root[lane]
            w[LANES * (i + m) + lane] = w[LANES * i + lane]
    take(state.inverse[block], w, LANES)


@dataclass(frozen=True)
class IBALinUCB(KernelPolicy):
    """Independent bandits, one LinUCB with parameters shared by all items at each position.

    Sources: Kohli et al. 2013 for the independent bandits (a position chooses among the candidates not
    taken above it and learns from its own click); Li et al. 2010, Algorithm 1, for each of them.
    """

    alpha: float = 0.3
    """Width of the confidence bound, at least 0."""
    ridge: float = 1.0
    """Weight of the prior ridge * I, above 0."""

    needs = ("features",)
    kernels = (select, update)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.alpha) and self.alpha >= 0):
            raise ConfigError(f"iba-linucb: alpha is {self.alpha}, but must be a finite number of at least 0.")
        if not (math.isfinite(self.ridge) and self.ridge > 0):
            raise ConfigError(f"iba-linucb: ridge is {self.ridge}, but must be a finite number above 0.")

    def init(self, spec: Spec) -> State:
        m, width = spec.m, padded(spec.n_candidates)
        blocks, groups = width // LANES, padded(spec.slate) // LANES
        inverse = aligned((groups, LANES * packed_size(m)))
        inverse[:, : LANES * m] = 1.0 / self.ridge
        return State(
            inverse,
            aligned((groups, LANES * m)),
            np.array([spec.slate]),
            np.array([self.alpha]),
            aligned((blocks, 2 * LANES * m)),
            aligned((blocks, LANES * m)),
            aligned((blocks, LANES * packed_size(m))),
            aligned((spec.slate, width)),
            aligned((spec.slate, width)),
            aligned((2 * LANES * m,)),
            aligned((2 * LANES * m,)),
            aligned((2 * LANES * m,)),
            aligned((4, LANES)),
        )
