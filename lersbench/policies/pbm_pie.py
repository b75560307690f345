"""PBM-PIE: the leaders, and in half of the rounds one challenger at the last position."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.kernels.ties import FIRST, top_k
from lersbench.learners.position_model import by_examination, column, columns, place
from lersbench.policy import KernelPolicy, Round, Spec
from lersbench.ranges import require


class State(NamedTuple):
    clicks: np.ndarray  # (n_items, L + 1) float64, of each item at each position; the last for what was just revealed
    displays: np.ndarray  # (n_items, L + 1) float64
    sums: np.ndarray  # (n_items, 2) float64 over its displays: clicks; examination
    examination: np.ndarray  # (L + 1,), the last 1
    order: np.ndarray  # (K,) int64 positions, the most examined first
    epsilon: float
    ranked: np.ndarray  # (K,) int64, working memory, as all below
    rivals: np.ndarray  # (C,) int64
    leads: np.ndarray  # (C,) bool


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """score = the estimated attraction, FIRST before the first display."""
    wide, last = round.candidates.shape[0], slate.shape[0] - 1
    for c in range(wide):
        sums = state.sums[round.candidates[c]]
        round.scores[c] = sums[0] / sums[1] if sums[1] > 0.0 else FIRST
        state.leads[c] = False
    top_k(round.scores, round.ties, state.ranked[: slate.shape[0]])
    for k in range(last + 1):
        state.leads[state.ranked[k]] = True
    threshold, delta, rivals = round.scores[state.ranked[last]], (1.0 + state.epsilon) * math.log(round.t + 1.0), 0
    for c in range(wide):
        item = round.candidates[c]
        if not state.leads[c] and reaches(
            state.clicks[item], state.displays[item], state.examination, threshold, delta
        ):
            state.rivals[rivals] = c
            rivals += 1
    if rivals > 0 and rng.random() < 0.5:
        state.ranked[last] = state.rivals[int(rng.random() * rivals)]
    place(state.ranked, state.order, slate)


@kernel
def reaches(clicks: np.ndarray, displays: np.ndarray, examination: np.ndarray, q: float, delta: float) -> bool:
    """Is the item's upper index U at least q? All arrays (L + 1,), a column a position.

    U = sup {q in [theta_min, 1]: Phi(q) <= delta}, Phi(q) = sum of displays KL(clicks / displays, examination q),
    theta_min where Phi is least. Phi is convex, so no U has to be sought: q is at most theta_min where Phi falls,
    and beyond it U >= q where Phi(q) <= delta.
    """
    if q > 1.0:
        return False
    if q <= 0.0:
        return True
    slope, distance = 0.0, 0.0
    for k in range(examination.shape[0]):
        hit, miss = clicks[k], displays[k] - clicks[k]
        chance, p = examination[k] * q, clicks[k] / displays[k] if displays[k] > 0.0 else 0.0
        if hit > 0.0:
            slope -= hit / q
            distance += hit * math.log(p / chance)
        if miss > 0.0:
            if chance >= 1.0:
                return False  # what is always clicked was not: Phi is infinite
            slope += miss * examination[k] / (1.0 - chance)
            distance += miss * math.log((1.0 - p) / (1.0 - chance))
    return slope <= 0.0 or distance <= delta


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    for k in range(slate.shape[0]):
        j = column(round.shown_at, slate, k, state.order.shape[0], state.examination.shape[0] - 1)
        if seen[k] and state.examination[j] > 0.0:
            item = round.candidates[slate[k]]
            state.clicks[item, j] += rewards[k]
            state.displays[item, j] += 1.0
            state.sums[item, 0] += rewards[k]
            state.sums[item, 1] += state.examination[j]


@dataclass(frozen=True)
class PBMPIE(KernelPolicy):
    """Parsimonious item exploration in the position-based model, without context.

    The leaders are the K candidates of highest clicks / examination; those never shown come first, so that
    every item is shown once. A candidate outside is a rival if its upper index (see `reaches`, where
    delta = (1 + epsilon) ln t, t = rounds learned from, and one) is at least the estimate of the last leader.
    If there are rivals, one of them, drawn uniformly, takes the least examined position with probability 1/2.
    Under the feedback "logged" a click counts at the place where the log had it.
    A position that nobody examines teaches nothing. When the rewards of all candidates are revealed, they are
    learned with weight 1, since then no position had a part in them.

    Source: Lagree, Vernade and Cappe 2016, PBM-PIE (arXiv 1606.02448).
    """

    epsilon: float = 0.1  # above 0 in the regret bound, any small value; the larger, the more rivals; >= 0

    needs = ("weights",)
    working = ("ranked", "rivals", "leads")
    unit_rewards = True  # they are the fractions of a click in the divergence
    zero_is_nothing = True  # what was not looked at pays 0
    kernels = (select, update)

    def __post_init__(self) -> None:
        require(self.epsilon >= 0, self, "epsilon", "0 or above")

    def init(self, spec: Spec) -> State:
        return State(
            np.zeros((spec.n_items, spec.examination.size + 1)),
            np.zeros((spec.n_items, spec.examination.size + 1)),
            np.zeros((spec.n_items, 2)),
            columns(spec.examination),
            by_examination(spec.examination, spec.slate),
            self.epsilon,
            np.zeros(spec.slate, np.int64),
            np.zeros(spec.n_candidates, np.int64),
            np.zeros(spec.n_candidates, np.bool_),
        )
