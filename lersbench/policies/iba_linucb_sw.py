"""IBA-LinUCB+SW: independent LinUCBs, one a position, that weigh each sample by how likely its position was looked at.

The model is E[reward at k] = theta'(w_k x), w_k the examination of position k under the position-based model: the
known weight multiplies the feature, so A_k gains w_k^2 x x' and b_k gains w_k r x, and the weight, the same for all
candidates of a position, is left out of the score. It follows that a learner of one position alone, with
A_k = ridge I + w_k^2 sum x x', ranks exactly as the unweighted learner with the prior ridge / w_k^2 does: the weights
shrink lower positions more, and as data grow they do nothing. Only a learner that several positions share puts
samples of different weight together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.kernels.tie_chances import ranked
from lersbench.kernels.ties import top_k
from lersbench.learners.per_position import Learners, fill, learn, new_learners, stand
from lersbench.learners.position_model import place_of
from lersbench.learners.shared import Ridge, observe, upper_bounds
from lersbench.policies._linear import LinearBandit
from lersbench.policy import Round, Spec


class State(NamedTuple):
    """Learned in place."""

    learners: Learners  # one a position; none where they share
    ridge: Ridge  # what all positions share; without observations where they don't
    weight: np.ndarray  # (L,) examination of each position
    positions: int  # K
    alpha: float
    shared: bool


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """Position by position, the best by that position's bound; where all share one bound, the top K by it."""
    if state.shared:
        upper_bounds(state.ridge, state.alpha, round.features, round.scores)
        top_k(round.scores, round.ties, slate)
    else:
        fill(state.learners, round.features, round.ties, round.scores, slate)


@kernel
def chance(state: State, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
    """The best of what is not taken above, by the position's bound or the shared one.

    Equal bounds are taken as ordered anew at each position. `select` orders them in all positions alike: where those of
    two positions are equal among partly different candidates, what is said of the lower one is near, not exact.
    """
    if state.shared:
        upper_bounds(state.ridge, state.alpha, round.features, round.scores)
        ranked(round.scores, slate, out)
    else:
        stand(state.learners, round.features, slate, out)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """Each position's item, with the position's weight; items beyond the last position belong to none."""
    if state.shared:
        for k in range(min(slate.shape[0], state.positions)):
            if seen[k]:
                weight = state.weight[place_of(round.shown_at, slate, k)]
                observe(state.ridge, round.features[slate[k]], weight, rewards[k])
    else:
        if round.shown_at.shape[0] > 0:  # a learner's weight is that of the place where the log had its item
            for k in range(min(slate.shape[0], state.positions)):
                state.learners.weight[k] = state.weight[round.shown_at[slate[k]]]
        learn(state.learners, round.features, slate, rewards, seen)


@dataclass(frozen=True)
class IBALinUCBSW(LinearBandit):
    """IBA-LinUCB whose positions regress the reward on w_k x, w_k the examination of position k (sample weights).

    With a learner of its own for each position this is IBA-LinUCB with the prior ridge / w_k^2 at position k,
    choice for choice; see the head of this file. Under the feedback "logged" w is that of the place where the log had
    the item, which differs from round to round.

    Source: the multiple-play bandit for pseudo-exposure of Taobao's daily deals (about 2019), Algorithm 2; its
    formulas are lost, and A and b follow from its least-squares objective, which He et al. 2020 (arXiv 2008.09368)
    state for the same construction. `share_positions` is an addition.
    """

    needs: ClassVar[tuple[str, ...]] = ("features", "weights")

    share_positions: bool = False  # one learner for all positions; false, as published: one for each

    working = ("learners.column",)
    kernels = (select, update)
    chance_kernel = chance

    def init(self, spec: Spec) -> State:
        weight = np.array(spec.examination, np.float64)
        alone = weight[:0] if self.share_positions else weight[: spec.slate]
        return State(
            new_learners(alone, spec.n_candidates, spec.m, self.alpha, self.ridge),
            self.shared_ridge(spec),
            weight,
            spec.slate,
            self.alpha,
            self.share_positions,
        )
