"""Exp3.M: exponential weights over sets of K items, and DepRound."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.kernels.ties import top_k
from lersbench.learners.exp3 import horizon_gamma
from lersbench.policy import KernelPolicy, Round, Spec
from lersbench.ranges import require

FLOOR = -600.0  # ln of the smallest weight, of the largest: exp stays above 0
INTEGRAL = 1e-12  # an inclusion probability this near to 0 or 1 is 0 or 1


class State(NamedTuple):
    log_weight: np.ndarray  # (n_items,) float64, ln w
    gamma: float
    plays: int  # K


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """score = w, the largest 1; K items drawn with `inclusion` probabilities, shown by decreasing weight."""
    n = round.candidates.shape[0]
    top = state.log_weight[round.candidates[0]]
    for c in range(n):
        top = max(top, state.log_weight[round.candidates[c]])
    for c in range(n):
        round.scores[c] = math.exp(max(state.log_weight[round.candidates[c]] - top, FLOOR))
    p, drawn = np.empty(n), np.empty(n)
    inclusion(round.scores, state.gamma, slate.shape[0], p)
    for c in range(n):
        drawn[c] = p[c]
    depround(rng, drawn)
    for c in range(n):
        drawn[c] = round.scores[c] if drawn[c] == 1.0 else -1.0
    top_k(drawn, round.ties, slate)
    for k in range(slate.shape[0]):
        round.propensities[k] = p[slate[k]]


@kernel
def inclusion(weight: np.ndarray, gamma: float, plays: int, p: np.ndarray) -> None:
    """Fill `p` (C,) with the probability that each candidate is among the `plays` (K); they sum to K.

    The largest weights are lowered to a common cap A until p = K [(1 - gamma) w' / sum w' + gamma / C] is at
    most 1, which is when A / sum w' = c. With i weights capped, sum w' = (sum of the others) / (1 - i c): the
    first i for which the next weight stays below its A is the one, and A itself is not needed.
    """
    n = weight.shape[0]
    if plays >= n:
        for c in range(n):
            p[c] = 1.0
        return
    cap = (1.0 / plays - gamma / n) / (1.0 - gamma) if gamma < 1.0 else 1.0
    for c in range(n):
        p[c] = weight[c]
    largest = np.empty(plays, np.int64)
    top_k(weight, 0, largest)
    for i in range(plays):
        p[largest[i]] = 0.0
    tail = np.zeros(plays + 1)  # tail[i] = sum of all weights but the i largest: sums only, no differences
    for c in range(n):
        tail[plays] += p[c]
    for i in range(plays - 1, -1, -1):
        tail[i] = tail[i + 1] + weight[largest[i]]
    capped = 0
    while capped < plays and cap * tail[capped] <= weight[largest[capped]] * (1.0 - capped * cap):
        capped += 1
    rest = max(0.0, 1.0 - capped * cap) / tail[capped]
    for c in range(n):
        p[c] = min(1.0, plays * ((1.0 - gamma) * weight[c] * rest + gamma / n))
    for i in range(capped):
        p[largest[i]] = 1.0


@kernel
def depround(rng: np.random.Generator, p: np.ndarray) -> None:
    """Round `p` (C,), in [0, 1] and of whole sum K, to K ones and C - K zeros in place; the mean of each stays p.

    Of two fractional entries one is made whole: with u = min(1 - p_i, p_j) and v = min(p_i, 1 - p_j),
    p_i gains u and p_j loses it with probability v / (u + v), else p_i loses v and p_j gains it.
    """
    i = -1  # the one entry so far that is still fractional
    for j in range(p.shape[0]):
        settle(p, j)
        if p[j] == 0.0 or p[j] == 1.0:
            continue
        if i < 0:
            i = j
            continue
        u, v = min(1.0 - p[i], p[j]), min(p[i], 1.0 - p[j])
        if rng.random() * (u + v) < v:
            p[i], p[j] = p[i] + u, p[j] - u
        else:
            p[i], p[j] = p[i] - v, p[j] + v
        settle(p, i)
        settle(p, j)
        if p[i] == 0.0 or p[i] == 1.0:
            i = -1 if p[j] == 0.0 or p[j] == 1.0 else j
    if i >= 0:
        p[i] = 1.0 if p[i] > 0.5 else 0.0


@kernel
def settle(p: np.ndarray, i: int) -> None:
    """Make `p[i]` whole where only rounding keeps it from 0 or 1."""
    if p[i] < INTEGRAL:
        p[i] = 0.0
    elif p[i] > 1.0 - INTEGRAL:
        p[i] = 1.0


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """w *= exp(K gamma r / (C p)); a capped weight (p = 1) stays, unless every candidate was revealed."""
    n = round.candidates.shape[0]
    for k in range(slate.shape[0]):
        if seen[k] and (round.propensities[k] < 1.0 or slate.shape[0] == n):
            gain = state.plays * state.gamma / n * rewards[k] / round.propensities[k]
            state.log_weight[round.candidates[slate[k]]] += gain


@dataclass(frozen=True)
class Exp3M(KernelPolicy):
    """Exponential weights over sets: K plays a round with exact inclusion probabilities (DepRound).

    The set is shown by decreasing weight (the paper does not order it). `propensities` are the
    probabilities of being in the set, not of the position. When the rewards of all candidates are revealed
    (or K = C) the update is that of Hedge on every weight.
    Under gamma = 0 it is set by the horizon T: min(1, sqrt(C ln(C / K) / ((e - 1) K T))).

    Sources: Uchiya, Nakamura and Kudo 2010, algorithm Exp3.M (doi 10.1007/978-3-642-16108-7_30); DepRound:
    Gandhi, Khuller, Parthasarathy and Srinivasan 2006 (doi 10.1145/1147954.1147956).
    """

    gamma: float = 0.2  # share of uniform exploration and learning rate, in [0, 1]; 0 sets it by the horizon

    unit_rewards = True  # or the weights have no bound
    learns_from_log = False  # the rate is made for its own chances
    kernels = (select, update)

    def __post_init__(self) -> None:
        require(0 <= self.gamma <= 1, self, "gamma", "in [0, 1]; 0 sets it by the horizon")

    def init(self, spec: Spec) -> State:
        gamma = self.gamma or horizon_gamma(spec.n_candidates, spec.slate, spec.rounds)
        return State(np.zeros(spec.n_items), gamma, spec.slate)
