"""Hybrid LinUCB: a shared model on joint features plus one of its own for each item on the context."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.kernels.linalg import dot
from lersbench.kernels.ties import top_k
from lersbench.learners.hybrid import Items, explain, new_items, observe_item
from lersbench.learners.shared import Ridge, observe, predict
from lersbench.policies._linear import LinearBandit
from lersbench.policy import Round, Spec


class State(NamedTuple):
    """The notation is that of `learners.hybrid`: x is the context, z the joint features."""

    items: Items  # learned in place, as the next
    shared: Ridge  # A_0^-1 and beta = A_0^-1 b_0
    alpha: float
    u: np.ndarray  # (C, m) working memory, like all below
    means: np.ndarray  # (C,) x'g_a
    squares: np.ndarray  # (C,) x' A_a^-1 x


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """score = x'g_a + u'beta + alpha sqrt(x' A_a^-1 x + u' A_0^-1 u)."""
    x, ridge = round.context, state.shared
    prior = dot(x, x) / state.items.ridge
    for c in range(round.candidates.shape[0]):
        item, z = round.candidates[c], round.features[c]
        state.means[c], state.squares[c] = explain(state.items, item, x, z, prior, state.u[c])
    predict(ridge, state.u)
    for c in range(round.candidates.shape[0]):
        variance = state.squares[c] + ridge.squares[c]
        round.scores[c] = state.means[c] + ridge.means[c] + state.alpha * math.sqrt(max(0.0, variance))
    top_k(round.scores, round.ties, slate)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """Every revealed reward is learned by its item's own model and by the shared one."""
    u = state.u[0]
    for k in range(slate.shape[0]):
        if seen[k]:
            item, z = round.candidates[slate[k]], round.features[slate[k]]
            error, q = observe_item(state.items, item, round.context, z, 1.0, rewards[k], u)
            weight = 1.0 / math.sqrt(q)
            observe(state.shared, u, weight, weight * error)


@dataclass(frozen=True)
class LinUCBHybrid(LinearBandit):
    """A model shared by all items (joint features) plus a model of each item's own (context), and their bound.

    A round costs O(C (d^2 + d m + m^2)), an observation O(d^2 + d m + m^2). Memory is claimed item by item as
    they are first shown: d^2 + d m + d numbers each. An item has an intercept of its own only where the context
    holds a constant. `ridge` is the penalty on beta and on every theta_a; the paper has 1.

    Source: Li et al. 2010, algorithm 2, equation 6 (doi 10.1145/1772690.1772758). Deviation: the same numbers
    are computed by rank-one recursions (`learners.hybrid`); K > 1 shows the top K and learns K times a round.
    """

    needs: ClassVar[tuple[str, ...]] = ("context", "features")

    deterministic = True
    kernels = (select, update)

    def init(self, spec: Spec) -> State:
        width = spec.n_candidates
        return State(
            items=new_items(spec.n_items, spec.d, spec.m, self.ridge),
            shared=self.shared_ridge(spec),
            alpha=self.alpha,
            u=np.zeros((width, spec.m)),
            means=np.zeros(width),
            squares=np.zeros(width),
        )
