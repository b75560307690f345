"""Disjoint LinUCB: one ridge regression an item, on the context."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.errors import ConfigError
from lersbench.jit import inlined, kernel
from lersbench.linalg import best, top_k
from lersbench.policy import KernelPolicy, Round, Spec
from lersbench.ridge import Bank, column_dot, fast_dot, means, new_bank, observe, quadratic, quadratics, rounding
from lersbench.simd import aligned, padded


class State(NamedTuple):
    """Learned in place."""

    bank: Bank  # one ridge regression an item
    alpha: np.ndarray  # (1,)
    means: np.ndarray  # (n_items, padded) working memory
    squares: np.ndarray  # (n_items, padded) working memory


@inlined
def bounds(state: State, round: Round) -> None:
    """Fill `round.scores` with the upper confidence bound of every candidate."""
    bank, x, scores, candidates, alpha = state.bank, round.context, round.scores, round.candidates, state.alpha[0]
    if 4 * candidates.shape[0] >= bank.row.shape[0]:
        means(bank, x, state.means)
        quadratics(bank, x, state.squares)
        for a in range(state.means.shape[0]):
            state.means[a] += alpha * math.sqrt(max(0.0, state.squares[a]))
        for c in range(candidates.shape[0]):
            scores[c] = state.means[candidates[c]]
    else:
        for c in range(candidates.shape[0]):
            bonus = math.sqrt(max(0.0, quadratic(bank, candidates[c], x)))
            scores[c] = column_dot(bank.theta, candidates[c], x) + alpha * bonus


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """The slate is the top of the candidates by their upper confidence bounds."""
    bounds(state, round)
    top_k(round.scores, round.ties, slate)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """Every revealed item learns from its own reward."""
    for k in range(slate.shape[0]):
        if seen[k]:
            observe(state.bank, round.candidates[slate[k]], round.context, rewards[k])


@kernel
def wins(state: State, rng: np.random.Generator, round: Round, candidate: int) -> bool:
    """Would `select` put this candidate on top? Decided by two exact bounds where they settle it, else by all.

    The candidate loses as soon as one rival's bound is above its own by more than rounding can do. The
    estimate alone, without its bonus, is below a rival's bound; if no estimate is high enough, the
    bound of the most promising rival is computed.
    """
    bank, x, candidates, alpha = state.bank, round.context, round.candidates, state.alpha[0]
    if 4 * candidates.shape[0] >= bank.row.shape[0]:
        means(bank, x, state.means)
        slack = rounding(bank, x)
        arm = candidates[candidate]
        mine = state.means[arm] + alpha * math.sqrt(max(0.0, quadratic(bank, arm, x)) + slack)
        mine += 1e-14 * (abs(mine) + 1.0)
        higher, rival = 0, -1
        for c in range(candidates.shape[0]):
            higher += state.means[candidates[c]] > mine
        if higher > 0:
            return False
        length, promise = math.sqrt(fast_dot(x, x)), -math.inf
        for c in range(candidates.shape[0]):
            a = candidates[c]
            likely = state.means[a] + alpha * length * math.sqrt(max(0.0, bank.spread[a]))
            if likely > promise and a != arm:
                rival, promise = a, likely
        if rival >= 0:
            theirs = state.means[rival] + alpha * math.sqrt(max(0.0, quadratic(bank, rival, x) - slack))
            if theirs > mine:
                return False
    bounds(state, round)
    return best(round.scores, round.ties) == candidate


@dataclass(frozen=True)
class LinUCB(KernelPolicy):
    """Disjoint LinUCB: the item's own ridge estimate plus alpha standard errors.

    Source: Li et al. 2010, Algorithm 1 (doi 10.1145/1772690.1772758).
    """

    alpha: float = 0.3
    """Width of the confidence bound, at least 0."""
    ridge: float = 1.0
    """Weight of the prior ridge * I, above 0."""

    needs = ("context",)
    kernels = (select, update, wins)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.alpha) and self.alpha >= 0):
            raise ConfigError(f"linucb: alpha is {self.alpha}, but must be a finite number of at least 0.")
        if not (math.isfinite(self.ridge) and self.ridge > 0):
            raise ConfigError(f"linucb: ridge is {self.ridge}, but must be a finite number above 0.")

    def init(self, spec: Spec) -> State:
        n = padded(spec.n_items)
        return State(new_bank(spec.n_items, spec.d, self.ridge), np.array([self.alpha]), aligned((n,)), aligned((n,)))
