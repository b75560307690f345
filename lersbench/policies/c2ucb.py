"""C2UCB: one LinUCB for all items, whose slate is rewarded for the variety of its items."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.errors import LostDigits
from lersbench.kernels.jit import inlined, kernel
from lersbench.kernels.tie_chances import best_left, ranked
from lersbench.kernels.ties import best, top_k
from lersbench.kernels.vectors import LANES, aligned, lane_sums, padded
from lersbench.learners.shared import Ridge, observe_all, to_lanes, upper_bounds
from lersbench.policies._linear import LinearBandit
from lersbench.policy import Round, Spec
from lersbench.ranges import require

MOST = 1e11  # sigma^2 + x'x of this many sigma^2 leaves its rest right to 1e-4 of sigma^2


class State(NamedTuple):
    ridge: Ridge
    alpha: float
    mu: float
    variance: float  # sigma^2
    lanes: np.ndarray  # (blocks, 8 m) all candidates, column c at [c // 8, 8 i + c % 8]: working memory, like all below
    rest: np.ndarray  # (C padded,) the part of sigma^2 + x'x that the items chosen do not explain
    values: np.ndarray  # (C padded,) what each candidate would add
    rows: np.ndarray  # (K, C padded) rows of a Cholesky factor of sigma^2 I + X X'
    chosen: np.ndarray  # (m,) features of the item chosen last


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """The greedy slate over the upper bounds and the variety, or simply the top K where variety is worth nothing."""
    upper_bounds(state.ridge, state.alpha, round.features, round.scores)
    if state.mu > 0:
        vary(state, round, slate, round.scores[:0])
    else:
        top_k(round.scores, round.ties, slate)


@kernel
def chance(state: State, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
    """The best addition to what stands above.

    Equal bounds are taken as ordered anew at each position. `select` orders them in all positions alike: where those of
    two positions are equal among partly different candidates, what is said of the lower one is near, not exact.
    """
    upper_bounds(state.ridge, state.alpha, round.features, round.scores)
    if state.mu > 0:
        vary(state, round, slate, out)
    else:
        ranked(round.scores, slate, out)


@kernel
def vary(state: State, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
    """Fill `slate` with argmax of score + mu [h(S + a) - h(S)], item by item; see `C2UCB` for h.

    Where `out` is (K,), and not (0,), the slate stays as it is, and `out` is filled with its chances.

    h(S + a) - h(S) = log(rest_a) / 2 with rest_a = sigma^2 + x'x - x'X'(sigma^2 I + X X')^-1 X x, the Schur
    complement of S in S + a, which loses the square of one more Cholesky entry as S grows.
    """
    n, m = round.features.shape
    rest, values = state.rest, state.values
    to_lanes(round.features, 0, n, state.lanes)
    for c in range(n):
        x, total = round.features[c], state.variance
        for i in range(m):
            total += x[i] * x[i]
        if not total < MOST * state.variance:  # what is left of it could not be told from rounding
            raise LostDigits("the features are too long for sigma")
        rest[c] = total
    for k in range(slate.shape[0]):
        for c in range(n):  # rounding alone can bring the rest below sigma^2
            values[c] = round.scores[c] + 0.5 * state.mu * math.log(max(rest[c], state.variance))
        for j in range(k):
            values[slate[j]] = -math.inf
        if out.shape[0] > 0:
            out[k] = best_left(values[:n], slate, k, 0)
        else:
            slate[k] = best(values[:n], round.ties)
        if k + 1 < slate.shape[0]:
            explain(state, round.features, slate[k], k)


@inlined
def explain(state: State, features: np.ndarray, taken: int, k: int) -> None:
    """Take from `rest` what the candidate `taken`, chosen as number k, explains of each candidate."""
    n = features.shape[0]
    row, rest = state.rows[k], state.rest
    for i in range(features.shape[1]):
        state.chosen[i] = features[taken, i]
    lane_sums(state.chosen, state.lanes, 0, -(-features.shape[0] // LANES), row)
    for j in range(k):
        above = state.rows[j]
        factor = above[taken]
        for c in range(n):
            row[c] -= factor * above[c]
    root = math.sqrt(max(rest[taken], state.variance))
    for c in range(n):
        row[c] /= root
        rest[c] -= row[c] * row[c]


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """Every revealed reward is one observation."""
    observe_all(state.ridge, round.features, slate, rewards, seen)


@dataclass(frozen=True)
class C2UCB(LinearBandit):
    """LinUCB-k with a reward for variety: the slate S that maximises sum of the bounds + mu h(S), greedily.

    h(S) = log det(sigma^2 I + X X') / 2, X (K, m) the features of the slate: the entropy of K values drawn from a
    Gaussian process with a linear kernel and noise sigma, up to a constant. h is submodular: where no item takes
    from the sum (sigma >= 1, no bound below 0) the greedy slate reaches 1 - 1/e of the best. The scores a ranking
    is made of are the upper bounds alone. With mu = 0 this is linucb-k. A round costs O(C K (m + K)) beside them.

    Source: Qin, Chen and Zhu 2014 (SIAM Data Mining, doi 10.1137/1.9781611973440.53). Deviation: alpha is
    constant, where the theory lets it grow with the logarithm of the round.
    """

    mu: float = 0.1  # worth of variety, >= 0
    sigma: float = 1.0  # noise of the features, > 0; the smaller, the more two like items cost

    kernels = (select, update)
    chance_kernel = chance

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.mu >= 0, self, "mu", "0 or above")
        require(self.sigma > 0, self, "sigma", "above 0")

    def init(self, spec: Spec) -> State:
        width = padded(spec.n_candidates)
        return State(
            self.shared_ridge(spec),
            self.alpha,
            self.mu,
            self.sigma**2,
            aligned((width // LANES, LANES * spec.m)),
            aligned((width,)),
            aligned((width,)),
            aligned((spec.slate, width)),
            aligned((spec.m,)),
        )
