"""Disjoint LinUCB: one ridge regression an item, on the context."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.errors import ConfigError
from lersbench.jit import kernel
from lersbench.linalg import top_k
from lersbench.policy import KernelPolicy, Round, Spec
from lersbench.ridge import Bank, mean, means, new_bank, observe, prepare, quadratic, quadratics
from lersbench.simd import aligned, padded


class State(NamedTuple):
    """Learned in place."""

    bank: Bank  # one ridge regression an item
    alpha: np.ndarray  # (1,)
    means: np.ndarray  # (n_items, padded) working memory
    squares: np.ndarray  # (n_items, padded) working memory


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """Score every candidate by its upper confidence bound; the slate is the top of them."""
    scores, candidates, alpha = round.scores, round.candidates, state.alpha[0]
    n = candidates.shape[0]
    if 4 * n >= state.bank.row.shape[0]:
        means(state.bank, round.context, state.means)
        quadratics(state.bank, round.context, state.squares)
        for a in range(state.means.shape[0]):
            state.means[a] += alpha * math.sqrt(max(0.0, state.squares[a]))
        for c in range(n):
            scores[c] = state.means[candidates[c]]
    else:
        prepare(state.bank, round.context)
        for c in range(n):
            bonus = math.sqrt(max(0.0, quadratic(state.bank, candidates[c], round.context)))
            scores[c] = mean(state.bank, candidates[c], round.context) + alpha * bonus
    top_k(scores, round.ties, slate)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """Every revealed item learns from its own reward."""
    for k in range(slate.shape[0]):
        if seen[k]:
            observe(state.bank, round.candidates[slate[k]], round.context, rewards[k])


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
    kernels = (select, update)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.alpha) and self.alpha >= 0):
            raise ConfigError(f"linucb: alpha is {self.alpha}, but must be a finite number of at least 0.")
        if not (math.isfinite(self.ridge) and self.ridge > 0):
            raise ConfigError(f"linucb: ridge is {self.ridge}, but must be a finite number above 0.")

    def init(self, spec: Spec) -> State:
        n = padded(spec.n_items)
        return State(new_bank(spec.n_items, spec.d, self.ridge), np.array([self.alpha]), aligned((n,)), aligned((n,)))
