"""IBA-HybridUCB+SW: one learner a position, on the joint features and on how alike an item is to those above it.

The model is E[reward at k] = w_k (z'beta + x'theta), w_k the examination of position k, x the joint features of the
item, and z (K - 1,) its cosines to the items chosen for the positions above, topmost first, 0 from k on. So a learner
can find out that a second item of the same kind is clicked less. The weight, the same for all candidates of a
position, is left out of the score.

Variant "P": theta belongs to the position. Then (x, z) are the features of one ridge regression (`per_position`).

Variant "H": theta belongs to the item in the position, beta to the position, as in Algorithm 2 of Li et al. 2010 with
(w z, w x) for its (z, x). In the notation and by the recursions of `linucb_hybrid`: with u = z - G_a'x,
q = 1 + w^2 x'A_a^-1 x, v = A_a^-1 x and e = r - w x'g_a,

    A_a^-1 -= w^2 v v' / q,  G_a += w^2 v u' / q,  g_a += w v e / q,  A_0 += w^2 u u' / q,  b_0 += w u e / q.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from lersbench.errors import ConfigError
from lersbench.kernels.digits import STEEP, check, check_scale, new_probe
from lersbench.kernels.jit import inlined, kernel
from lersbench.kernels.linalg import dot, quadratic, rank_one_inverse, symmetric_times
from lersbench.kernels.vectors import LANES, aligned, lane_sums, padded
from lersbench.learners.per_position import (
    Learners,
    lay_out,
    new_learners,
    observe,
    observe_nothing,
    pick,
    regress,
    score,
)
from lersbench.policies.linucb_hybrid import residual
from lersbench.policy import KernelPolicy, Round, Spec
from lersbench.ranges import require

SMALL = 1e-12  # a shorter vector has no direction: its cosine to anything is 0


class Own(NamedTuple):
    """Variant H: a hybrid LinUCB a position. An item's arrays are zeros, standing for the prior, until it is shown."""

    plays: np.ndarray  # (K, n_items) int64
    A_inv: np.ndarray  # (K, n_items, m, m) A_a^-1
    G: np.ndarray  # (K, n_items, m, K - 1) A_a^-1 B_a
    g: np.ndarray  # (K, n_items, m) A_a^-1 b_a
    A0_inv: np.ndarray  # (K, K - 1, K - 1)
    beta: np.ndarray  # (K, K - 1)
    probe: np.ndarray  # (m,) see `digits`
    image: np.ndarray  # (K, n_items, m) A_a probe
    reach: np.ndarray  # (K, n_items)
    z: np.ndarray  # (K - 1,) working memory, like all below
    u: np.ndarray  # (K - 1,)
    v: np.ndarray  # (m,)
    v0: np.ndarray  # (K - 1,)


class State(NamedTuple):
    """Learned in place."""

    learners: Learners  # variant P: one a position on (x, z); variant H uses its lanes and bounds alone
    own: Own  # variant H: without positions in variant P
    weight: np.ndarray  # (K,) examination of each position
    alpha: float
    ridge: float
    by_item: bool  # variant H
    static: np.ndarray  # (n_items, p) directions of the static item features; (0, 0) where joint features are compared
    directions: np.ndarray  # (C padded / 8, 8 p) lanes, a column a candidate: working memory, like all below
    above: np.ndarray  # (K, p) directions of the items of a slate
    cosines: np.ndarray  # (C padded,)


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """Position by position, the best by that position's bound among the candidates not taken above."""
    learners, m = state.learners, round.features.shape[1]
    lay_out(learners, round.features)
    for c in range(round.features.shape[0]):
        put_direction(state, round, c)
    for k in range(slate.shape[0]):
        if k > 0:
            add_cosines(state, round, slate[k - 1], k - 1, m)
        if state.by_item:
            own_bounds(state, round, k)
        else:
            score(learners, k, k + 1, m + k)
        pick(learners, k, round.ties, round.scores, slate)


@inlined
def direction(state: State, round: Round, c: int, out: np.ndarray) -> None:
    """Fill `out` (p,) with what cosines of candidate `c` are made of, at length 1, or with zeros where it has none."""
    if state.static.shape[0] > 0:
        for i in range(out.shape[0]):
            out[i] = state.static[round.candidates[c], i]
        return
    length = math.sqrt(dot(round.features[c], round.features[c]))
    for i in range(out.shape[0]):
        out[i] = round.features[c, i] / length if length > SMALL else 0.0


@inlined
def put_direction(state: State, round: Round, c: int) -> None:
    """Put the direction of candidate `c` into its lane."""
    direction(state, round, c, state.above[0])  # nothing is above as yet: its row is free
    for i in range(state.above.shape[1]):
        state.directions[c // LANES, LANES * i + c % LANES] = state.above[0, i]


@inlined
def add_cosines(state: State, round: Round, chosen: int, j: int, m: int) -> None:
    """Make the cosines of all candidates to the one chosen for position `j` their feature m + j."""
    direction(state, round, chosen, state.above[j])
    lane_sums(state.above[j], state.directions, 0, state.directions.shape[0], state.cosines)
    for block in range(state.directions.shape[0]):
        for lane in range(LANES):
            state.learners.x[block, LANES * (m + j) + lane] = state.cosines[LANES * block + lane]


@kernel
def own_bounds(state: State, round: Round, k: int) -> None:
    """Variant H: fill the bounds of position `k` with x'g_a + u'beta + alpha sqrt(x' A_a^-1 x + u' A_0^-1 u)."""
    own, x, z, u, m = state.own, state.learners.x, state.own.z, state.own.u, round.features.shape[1]
    for c in range(round.candidates.shape[0]):
        item, features = round.candidates[c], round.features[c]
        for j in range(z.shape[0]):
            z[j] = x[c // LANES, LANES * (m + j) + c % LANES] if j < k else 0.0
        residual(own.G[k, item], features, z, u)
        mean = dot(features, own.g[k, item]) + dot(u, own.beta[k])
        variance = quadratic(own.A0_inv[k], u)
        if own.plays[k, item] == 0:
            variance += dot(features, features) / state.ridge
        else:
            variance += quadratic(own.A_inv[k, item], features)
        state.learners.bounds[k, c] = mean + state.alpha * math.sqrt(max(0.0, variance))


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """Each position learns from its own item only; items beyond the last position belong to none."""
    shown, learners, m = min(slate.shape[0], state.weight.shape[0]), state.learners, round.features.shape[1]
    for k in range(shown):
        direction(state, round, slate[k], state.above[k])
    if state.by_item:
        for k in range(shown):
            if seen[k]:
                fill_similarity(state, k)
                own_observe(state, k, round.candidates[slate[k]], round.features[slate[k]], rewards[k])
        return
    for block in range(learners.theta.shape[0]):
        for lane in range(LANES):
            k = LANES * block + lane
            if k < shown and seen[k]:
                observe(learners, lane, round.features[slate[k]], state.weight[k], rewards[k])
                fill_similarity(state, k)
                for j in range(state.own.z.shape[0]):
                    learners.y[LANES * (m + j) + lane] = state.weight[k] * state.own.z[j]
            else:
                observe_nothing(learners, lane, learners.column.shape[0])
        regress(learners, block)


@inlined
def fill_similarity(state: State, k: int) -> None:
    """Leave in `own.z` the cosines of the item in position `k` to those above it, whose directions are in `above`."""
    for j in range(state.own.z.shape[0]):
        state.own.z[j] = dot(state.above[k], state.above[j]) if j < k else 0.0


@kernel
def own_observe(state: State, k: int, item: int, x: np.ndarray, reward: float) -> None:
    """Variant H: learn the reward of `item` in position `k`, its features `x` (m,), its similarity in `own.z`.

    Raises LostDigits, see `digits`.
    """
    own, u, v, v0, w = state.own, state.own.u, state.own.v, state.own.v0, state.weight[k]
    A_inv, G, g, beta = own.A_inv[k, item], own.G[k, item], own.g[k, item], own.beta[k]
    image, told = own.image[k, item], dot(x, own.probe)
    if own.plays[k, item] == 0:
        for i in range(x.shape[0]):
            A_inv[i, i] = 1.0 / state.ridge
            image[i] = state.ridge * own.probe[i]
    own.plays[k, item] += 1
    residual(G, x, own.z, u)
    error = reward - w * dot(x, g)
    surprise = error - w * dot(u, beta)
    q = rank_one_inverse(A_inv, x, w * w, v)
    check(dot(v, image), told, own.reach[k], item)
    check_scale(q)
    for i in range(x.shape[0]):
        image[i] += w * w * x[i] * told
        g[i] += w * v[i] * error / q
        for j in range(u.shape[0]):
            G[i, j] += w * w * v[i] * u[j] / q
    if q > STEEP:
        symmetric_times(A_inv, x, v)
        check(dot(v, image), told, own.reach[k], item)
    scale = rank_one_inverse(own.A0_inv[k], u, w * w / q, v0)
    check_scale(scale)
    for j in range(u.shape[0]):
        beta[j] += w * v0[j] * surprise / (q * scale)


@dataclass(frozen=True)
class IBAHybridSW(KernelPolicy):
    """Independent bandits on joint features and similarity to the items above, with sample weights.

    A round of variant P costs O(K C (m + K)^2); variant H besides claims K (m^2 + m K) numbers for every item.

    Source: the multiple-play bandit for pseudo-exposure of Taobao's daily deals (about 2019), Algorithms 3 and 4,
    whose formulas are lost: reconstructed from Li et al. 2010, Algorithm 2 (doi 10.1145/1772690.1772758). Whether
    theta belonged to the position ("P") or to the item in it ("H"), and which vectors were compared, is not known.
    """

    needs: ClassVar[tuple[str, ...]] = ("features", "weights")

    alpha: float = 0.3  # width of the confidence bound, >= 0
    ridge: float = 1.0  # ridge penalty on beta and theta, > 0
    variant: str = "P"  # "P": theta belongs to the position; "H": to the item in the position
    similarity_on: str = "context"
    """What cosines compare: "context", the joint features of the round; "item", the static features of the items."""
    weighted: bool = True  # false: every w_k is 1

    kernels = (select, update)

    def __post_init__(self) -> None:
        require(self.alpha >= 0, self, "alpha", "0 or above")
        require(self.ridge > 0, self, "ridge", "above 0")
        for name, known in (("variant", ("P", "H")), ("similarity_on", ("context", "item"))):
            if getattr(self, name) not in known:
                wanted = " or ".join(f"'{value}'" for value in known)
                raise ConfigError(f"IBAHybridSW: {name} = {getattr(self, name)!r} must be {wanted}.")

    def init(self, spec: Spec) -> State:
        if self.similarity_on == "item" and not spec.items.shape[1]:
            raise ConfigError(
                "IBAHybridSW: similarity_on = 'item' compares static item features, and this log has none; "
                "give its items features, or set similarity_on = 'context'."
            )
        weight = np.array(spec.examination[: spec.slate]) if self.weighted else np.ones(spec.slate)
        above, width, by_item = spec.slate - 1, padded(spec.n_candidates), self.variant == "H"
        static = directions(spec.items) if self.similarity_on == "item" else np.zeros((0, 0))
        compared = static.shape[1] if self.similarity_on == "item" else spec.m
        return State(
            new_learners(weight, spec.n_candidates, spec.m + above, self.alpha, self.ridge),
            new_own(spec.slate if by_item else 0, spec.n_items, spec.m, above, self.ridge),
            weight,
            self.alpha,
            self.ridge,
            by_item,
            static,
            aligned((width // LANES, LANES * compared)),
            np.zeros((spec.slate, compared)),
            np.zeros(width),
        )


def new_own(positions: int, items: int, m: int, above: int, ridge: float) -> Own:
    """Variant H without observations."""
    return Own(
        np.zeros((positions, items), np.int64),
        np.zeros((positions, items, m, m)),
        np.zeros((positions, items, m, above)),
        np.zeros((positions, items, m)),
        np.tile(np.eye(above) / ridge, (positions, 1, 1)),
        np.zeros((positions, above)),
        new_probe(m),
        np.zeros((positions, items, m)),
        np.zeros((positions, items)),
        np.zeros(above),
        np.zeros(above),
        np.zeros(m),
        np.zeros(above),
    )


def directions(rows: np.ndarray) -> np.ndarray:
    """The rows at length 1; those too short to have a direction as zeros."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, length, out=np.zeros(rows.shape), where=length > SMALL)
