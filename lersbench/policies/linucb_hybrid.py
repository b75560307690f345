"""Hybrid LinUCB: a shared model on joint features plus one of its own for each item on the context.

Notation. Reward = z'beta + x'theta_a + noise; x (d,) the context, z (m,) the joint features, A_a, B_a, b_a
and A_0, b_0 the sums of Li et al. 2010, algorithm 2. Instead of them the state holds what the scores need:

    G_a = A_a^-1 B_a,  g_a = A_a^-1 b_a,  beta = A_0^-1 b_0,  so that theta_a = g_a - G_a beta.

With u = z - G_a'x (the part of z that item a's own model can't explain) the four-term variance of the paper
is a sum of two squares, s = x' A_a^-1 x + u' A_0^-1 u, the mean is x'g_a + u'beta, and one observation with
q = 1 + x' A_a^-1 x, v = A_a^-1 x, e = r - x'g_a changes every part by rank one:

    A_a^-1 -= v v' / q,  G_a += v u' / q,  g_a += v e / q,  A_0 += u u' / q,  b_0 += u e / q.

To the shared model that is one observation of u with the weight 1 / sqrt(q) and the reward e / sqrt(q).

The paper adds B_a' A_a^-1 B_a to A_0, updates, and takes it off again; these are the same numbers, but only
positive terms are ever added to A_0, so no difference of large sums has to be rebuilt from time to time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from lersbench.kernels.digits import STEEP, check, check_scale, new_probe
from lersbench.kernels.jit import inlined, kernel
from lersbench.kernels.linalg import dot, quadratic, rank_one_inverse, symmetric_times
from lersbench.kernels.ties import top_k
from lersbench.learners.shared import Ridge, new_ridge, observe, predict
from lersbench.policy import KernelPolicy, Round, Spec
from lersbench.ranges import require


class State(NamedTuple):
    plays: np.ndarray  # (n_items,) int64, rewards seen of each item; the item's arrays below are made at the first
    A_inv: np.ndarray  # (n_items, d, d) A_a^-1, zeros (standing for I / ridge) before the first play
    G: np.ndarray  # (n_items, d, m) A_a^-1 B_a
    g: np.ndarray  # (n_items, d) A_a^-1 b_a
    shared: Ridge  # A_0^-1 and beta = A_0^-1 b_0
    alpha: float
    ridge: float
    probe: np.ndarray  # (d,) see `digits`
    image: np.ndarray  # (n_items, d) A_a probe, zeros before the first play
    reach: np.ndarray  # (n_items,)
    u: np.ndarray  # (C, m) working memory, like all below
    means: np.ndarray  # (C,) x'g_a
    squares: np.ndarray  # (C,) x' A_a^-1 x
    v: np.ndarray  # (d,)


@inlined
def residual(G: np.ndarray, x: np.ndarray, z: np.ndarray, u: np.ndarray) -> None:
    """Fill `u` (m,) with z - G'x."""
    for j in range(z.shape[0]):
        u[j] = z[j]
    for i in range(x.shape[0]):
        for j in range(z.shape[0]):
            u[j] -= x[i] * G[i, j]


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """score = x'g_a + u'beta + alpha sqrt(x' A_a^-1 x + u' A_0^-1 u)."""
    x, shared = round.context, state.shared
    fresh = dot(x, x) / state.ridge
    for c in range(round.candidates.shape[0]):
        item = round.candidates[c]
        if state.plays[item] == 0:  # A_a = ridge I, B_a = 0, b_a = 0
            for j in range(state.u.shape[1]):
                state.u[c, j] = round.features[c, j]
            state.means[c], state.squares[c] = 0.0, fresh
        else:
            residual(state.G[item], x, round.features[c], state.u[c])
            state.means[c], state.squares[c] = dot(x, state.g[item]), quadratic(state.A_inv[item], x)
    predict(shared, state.u)
    for c in range(round.candidates.shape[0]):
        variance = state.squares[c] + shared.squares[c]
        round.scores[c] = state.means[c] + shared.means[c] + state.alpha * math.sqrt(max(0.0, variance))
    top_k(round.scores, round.ties, slate)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """Every revealed reward is learned by its item's own model and by the shared one."""
    x, d, m, u, v = round.context, state.v.shape[0], state.u.shape[1], state.u[0], state.v
    for k in range(slate.shape[0]):
        if not seen[k]:
            continue
        item = round.candidates[slate[k]]
        if state.plays[item] == 0:
            for i in range(d):
                state.A_inv[item, i, i] = 1.0 / state.ridge
                state.image[item, i] = state.ridge * state.probe[i]
        state.plays[item] += 1
        residual(state.G[item], x, round.features[slate[k]], u)
        error = rewards[k] - dot(x, state.g[item])
        q = rank_one_inverse(state.A_inv[item], x, 1.0, v)
        told = dot(x, state.probe)
        check(dot(v, state.image[item]), told, state.reach, item)
        check_scale(q)
        for i in range(d):
            state.image[item, i] += x[i] * told
            state.g[item, i] += v[i] * error / q
            for j in range(m):
                state.G[item, i, j] += v[i] * u[j] / q
        if q > STEEP:
            symmetric_times(state.A_inv[item], x, v)
            check(dot(v, state.image[item]), told, state.reach, item)
        weight = 1.0 / math.sqrt(q)
        observe(state.shared, u, weight, weight * error)


@dataclass(frozen=True)
class LinUCBHybrid(KernelPolicy):
    """A model shared by all items (joint features) plus a model of each item's own (context), and their bound.

    A round costs O(C (d^2 + d m + m^2)), an observation O(d^2 + d m + m^2). Memory is claimed item by item as
    they are first shown: d^2 + d m + d numbers each. An item has an intercept of its own only where the context
    holds a constant.

    Source: Li et al. 2010, algorithm 2, equation 6 (doi 10.1145/1772690.1772758). Deviation: the same numbers
    are computed by rank-one recursions (head of this file); K > 1 shows the top K and learns K times a round.
    """

    needs: ClassVar[tuple[str, ...]] = ("context", "features")

    alpha: float = 0.3  # width of the confidence bound, >= 0
    ridge: float = 1.0  # ridge penalty on beta and on every theta_a, > 0; the paper has 1

    kernels = (select, update)

    def __post_init__(self) -> None:
        require(self.alpha >= 0, self, "alpha", "0 or above")
        require(self.ridge > 0, self, "ridge", "above 0")

    def init(self, spec: Spec) -> State:
        n, d, m, width = spec.n_items, spec.d, spec.m, spec.n_candidates
        return State(
            np.zeros(n, np.int64),
            np.zeros((n, d, d)),
            np.zeros((n, d, m)),
            np.zeros((n, d)),
            new_ridge(m, self.ridge, width),
            self.alpha,
            self.ridge,
            new_probe(d),
            np.zeros((n, d)),
            np.zeros(n),
            np.zeros((width, m)),
            np.zeros(width),
            np.zeros(width),
            np.zeros(d),
        )
