"""CascadeLinUCB: one LinUCB for all items, for users who read downwards and leave after a click."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.errors import ConfigError
from lersbench.kernels.jit import inlined, kernel
from lersbench.kernels.ties import top_k
from lersbench.learners.shared import Ridge, observe, upper_bounds
from lersbench.policies._linear import LinearBandit
from lersbench.policy import Round, Spec


class State(NamedTuple):
    ridge: Ridge
    alpha: float
    capped: bool
    first: bool  # the user leaves at the first click, not at the last
    positions: int  # K


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """score = min(1, x'theta + alpha sqrt(x' A^-1 x))."""
    scores = round.scores
    upper_bounds(state.ridge, state.alpha, round.features, scores)
    if state.capped:
        for c in range(scores.shape[0]):
            scores[c] = min(1.0, scores[c])
    top_k(scores, round.ties, slate)


@inlined
def examined(positions: int, first: bool, rewards: np.ndarray, seen: np.ndarray) -> int:
    """How many of the `positions` shown the user looked at: up to the first (last) click, all without a click."""
    reached = positions
    for k in range(positions):
        if seen[k] and rewards[k] > 0:
            reached = k + 1
            if first:
                break
    return reached


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """What was examined is learned, the click included; what was shown below it is not."""
    shown = min(state.positions, slate.shape[0])
    reached = examined(shown, state.first, rewards, seen)
    for k in range(slate.shape[0]):
        if seen[k] and (k < reached or k >= shown):
            observe(state.ridge, round.features[slate[k]], 1.0, rewards[k])


@dataclass(frozen=True)
class CascadeLinUCB(LinearBandit):
    """LinUCB that learns from the positions down to the first click and from nothing below it.

    Any reward above 0 is a click. Where there is none, all positions were examined. With `until = "last"` it learns
    down to the last click, as under the dependent click model, whose users click more than once. Rewards revealed
    of items that were not shown (feedback "full") are learned as well: no user had to look at them.

    Sources: Zong et al. 2016, CascadeLinUCB (arXiv 1603.05359); Katariya et al. 2016 (arXiv 1602.03146) for the
    rule of the last click. Their noise scale sigma and width c are ridge = sigma^2 and alpha = c sigma here.
    """

    capped: bool = True  # bounds above 1 count as 1, and so tie
    until: str = "first"  # "first" or "last" click

    unit_rewards = True  # bounds are capped at 1
    zero_is_nothing = True  # a click is what pays more than 0
    deterministic = True
    kernels = (select, update)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.until not in ("first", "last"):
            raise ConfigError(f'CascadeLinUCB: until = {self.until!r} must be "first" or "last".')

    def init(self, spec: Spec) -> State:
        return State(self.shared_ridge(spec), self.alpha, self.capped, self.until == "first", spec.slate)
