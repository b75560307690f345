"""IBA-HybridUCB+SW: one learner a position, on the joint features and on how alike an item is to those above it.

The model is E[reward at k] = w_k (z'beta + x'theta), w_k the examination of position k, x the joint features of the
item, and z (K - 1,) its cosines to the items chosen for the positions above, topmost first, 0 from k on. So a learner
can find out that a second item of the same kind is clicked less. The weight, the same for all candidates of a
position, is left out of the score.

Variant "P": theta belongs to the position. Then (x, z) are the features of one ridge regression (`per_position`).

Variant "H": theta belongs to the item in the position, beta to the position, as in Algorithm 2 of Li et al. 2010 with
(w z, w x) for its (z, x) (`hybrid_per_position`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from lersbench.errors import ConfigError
from lersbench.kernels.jit import inlined, kernel
from lersbench.kernels.linalg import dot
from lersbench.kernels.tie_chances import best_left
from lersbench.kernels.vectors import LANES, aligned, lane_sums, padded
from lersbench.learners.hybrid_per_position import Hybrids, bound, learn, new_hybrids
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
from lersbench.learners.position_model import place_of
from lersbench.policies._linear import LinearBandit
from lersbench.policy import Round, Spec

SMALL = 1e-12  # a shorter vector has no direction: its cosine to anything is 0


class State(NamedTuple):
    """Learned in place."""

    learners: Learners  # variant P: one a position on (x, z); variant H uses its lanes and bounds alone
    hybrids: Hybrids  # variant H: without positions in variant P
    weight: np.ndarray  # (L,) examination of each position
    alpha: float
    by_item: bool  # variant H
    static: np.ndarray  # (n_items, p) directions of the static item features; (0, 0) where joint features are compared
    directions: np.ndarray  # (C padded / 8, 8 p) lanes, a column a candidate: working memory, like all below
    above: np.ndarray  # (K, p) directions of the items of a slate
    z: np.ndarray  # (K - 1,) cosines of one item to those above it
    cosines: np.ndarray  # (C padded,)


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """Position by position, the best by that position's bound among the candidates not taken above."""
    walk(state, round, slate, round.scores[:0])


@kernel
def chance(state: State, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
    """The best of what is not taken above, by the position's bound given what stands there.

    Equal bounds are taken as ordered anew at each position. `select` orders them in all positions alike: where those of
    two positions are equal among partly different candidates, what is said of the lower one is near, not exact.
    """
    walk(state, round, slate, out)


@kernel
def walk(state: State, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
    """Fill `slate` (K,); or, where `out` is (K,) and not (0,), fill that with the chances of the slate as it is."""
    learners, m, n = state.learners, round.features.shape[1], round.features.shape[0]
    lay_out(learners, round.features)
    for c in range(n):
        put_direction(state, round, c)
    for k in range(slate.shape[0]):
        if k > 0:
            add_cosines(state, round, slate[k - 1], k - 1, m)
        if state.by_item:
            hybrid_bounds(state, round, k)
        else:
            score(learners, n, k, k + 1, m + k)
        if out.shape[0] > 0:
            out[k] = best_left(learners.bounds[k, :n], slate, k, 0)
        else:
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
    blocks = -(-round.features.shape[0] // LANES)
    lane_sums(state.above[j], state.directions, 0, blocks, state.cosines)
    for block in range(blocks):
        for lane in range(LANES):
            state.learners.x[block, LANES * (m + j) + lane] = state.cosines[LANES * block + lane]


@kernel
def hybrid_bounds(state: State, round: Round, k: int) -> None:
    """Variant H: fill the bounds of position `k`, an item's features x and its cosines z to those chosen above."""
    x, z, m = state.learners.x, state.z, round.features.shape[1]
    for c in range(round.candidates.shape[0]):
        for j in range(z.shape[0]):
            z[j] = x[c // LANES, LANES * (m + j) + c % LANES] if j < k else 0.0
        item, features = round.candidates[c], round.features[c]
        state.learners.bounds[k, c] = bound(state.hybrids, k, item, features, z, state.alpha)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """Each position learns from its own item only; items beyond the last position belong to none."""
    shown, learners, m = min(slate.shape[0], state.above.shape[0]), state.learners, round.features.shape[1]
    for k in range(shown):
        direction(state, round, slate[k], state.above[k])
    if state.by_item:
        for k in range(shown):
            if seen[k]:
                fill_similarity(state, k)
                item, x = round.candidates[slate[k]], round.features[slate[k]]
                learn(state.hybrids, k, item, x, state.z, state.weight[place_of(round.shown_at, slate, k)], rewards[k])
        return
    for block in range(learners.theta.shape[0]):
        for lane in range(LANES):
            k = LANES * block + lane
            if k < shown and seen[k]:
                weight = state.weight[place_of(round.shown_at, slate, k)]
                observe(learners, lane, round.features[slate[k]], weight, rewards[k])
                fill_similarity(state, k)
                for j in range(state.z.shape[0]):
                    learners.y[LANES * (m + j) + lane] = weight * state.z[j]
            else:
                observe_nothing(learners, lane, learners.column.shape[0])
        regress(learners, block)


@inlined
def fill_similarity(state: State, k: int) -> None:
    """Leave in `z` the cosines of the item in position `k` to those above it, whose directions are in `above`."""
    for j in range(state.z.shape[0]):
        state.z[j] = dot(state.above[k], state.above[j]) if j < k else 0.0


@dataclass(frozen=True)
class IBAHybridSW(LinearBandit):
    """Independent bandits on joint features and similarity to the items above, with sample weights.

    A round of variant P costs O(K C (m + K)^2); variant H besides claims K (m^2 + m K) numbers for every item.

    Source: the multiple-play bandit for pseudo-exposure of Taobao's daily deals (about 2019), Algorithms 3 and 4,
    whose formulas are lost: reconstructed from Li et al. 2010, Algorithm 2 (doi 10.1145/1772690.1772758). Whether
    theta belonged to the position ("P") or to the item in it ("H"), and which vectors were compared, is not known.
    """

    needs: ClassVar[tuple[str, ...]] = ("features", "weights")

    variant: str = "P"  # "P": theta belongs to the position; "H": to the item in the position
    similarity_on: str = "context"
    """What cosines compare: "context", the joint features of the round; "item", the static features of the items."""
    weighted: bool = True  # false: every w_k is 1

    kernels = (select, update)
    chance_kernel = chance

    def __post_init__(self) -> None:
        super().__post_init__()
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
        weight = np.array(spec.examination) if self.weighted else np.ones(spec.examination.size)
        above, width, by_item = spec.slate - 1, padded(spec.n_candidates), self.variant == "H"
        static = directions(spec.items) if self.similarity_on == "item" else np.zeros((0, 0))
        compared = static.shape[1] if self.similarity_on == "item" else spec.m
        return State(
            learners=new_learners(weight[: spec.slate], spec.n_candidates, spec.m + above, self.alpha, self.ridge),
            hybrids=new_hybrids(spec.slate if by_item else 0, spec.n_items, spec.m, above, self.ridge),
            weight=weight,
            alpha=self.alpha,
            by_item=by_item,
            static=static,
            directions=aligned((width // LANES, LANES * compared)),
            above=np.zeros((spec.slate, compared)),
            z=np.zeros(above),
            cosines=np.zeros(width),
        )


def directions(rows: np.ndarray) -> np.ndarray:
    """The rows at length 1; those too short to have a direction as zeros."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, length, out=np.zeros(rows.shape), where=length > SMALL)
