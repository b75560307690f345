"""PBM-UCB: an upper confidence bound in the position-based model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.kernels.tie_chances import best_left
from lersbench.kernels.ties import FIRST, top_k
from lersbench.learners.position_model import by_examination, column, columns, place, rank_left
from lersbench.policy import KernelPolicy, Round, Spec
from lersbench.ranges import require


class State(NamedTuple):
    sums: np.ndarray  # (n_items, 3) float64 over its displays: clicks; displays; examination
    examination: np.ndarray  # (L + 1,), the last 1 for what is revealed without regard to a position
    order: np.ndarray  # (K,) int64 positions, the most examined first
    epsilon: float
    ranked: np.ndarray  # (K,) int64, working memory


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """The most examined position shows the best bound, and so on down."""
    bounds(state, round)
    top_k(round.scores, round.ties, state.ranked[: slate.shape[0]])
    place(state.ranked, state.order, slate)


@kernel
def chance(state: State, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
    """The bound that the position's examination calls for among what is left."""
    bounds(state, round)
    for k in range(slate.shape[0]):
        out[k] = best_left(round.scores, slate, k, rank_left(state.order, k, round.notes.shape[0]))


@kernel
def bounds(state: State, round: Round) -> None:
    """score = S / Nt + sqrt(N / Nt) sqrt(delta / (2 Nt)), delta = (1 + epsilon) ln t; FIRST while Nt = 0."""
    delta = (1.0 + state.epsilon) * math.log(round.t + 1.0)
    for c in range(round.candidates.shape[0]):
        sums = state.sums[round.candidates[c]]
        if sums[2] == 0.0:
            round.scores[c] = FIRST
        else:
            round.scores[c] = (sums[0] + math.sqrt(sums[1] * delta / 2.0)) / sums[2]


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    for k in range(slate.shape[0]):
        last = state.examination.shape[0] - 1
        weight = state.examination[column(round.shown_at, slate, k, state.order.shape[0], last)]
        if seen[k] and weight > 0.0:
            sums = state.sums[round.candidates[slate[k]]]
            sums[0] += rewards[k]
            sums[1] += 1.0
            sums[2] += weight


@dataclass(frozen=True)
class PBMUCB(KernelPolicy):
    """A bandit without context that knows how likely each position is to be examined.

    With S the clicks of an item, N its displays and Nt the sum of the examinations of those displays, its
    attraction is estimated by S / Nt, and the K highest S / Nt + sqrt(N / Nt) sqrt(delta / (2 Nt)) with
    delta = (1 + epsilon) ln t are shown, the best where most is examined. t = rounds learned from, and one.
    Under the feedback "logged" a click counts at the place where the log had it.
    A position that nobody examines teaches nothing. When the rewards of all candidates are revealed, they are
    learned with weight 1, since then no position had a part in them.

    Source: Lagree, Vernade and Cappe 2016, PBM-UCB (arXiv 1606.02448).
    """

    epsilon: float = 0.1  # above 0 in the regret bound, any small value; the larger, the wider the bounds; >= 0

    needs = ("weights",)
    working = ("ranked",)
    unit_rewards = True  # Hoeffding's bound is theirs
    zero_is_nothing = True  # what was not looked at pays 0
    kernels = (select, update)
    chance_kernel = chance

    def __post_init__(self) -> None:
        require(self.epsilon >= 0, self, "epsilon", "0 or above")

    def init(self, spec: Spec) -> State:
        return State(
            np.zeros((spec.n_items, 3)),
            columns(spec.examination),
            by_examination(spec.examination, spec.slate),
            self.epsilon,
            np.zeros(spec.slate, np.int64),
        )
