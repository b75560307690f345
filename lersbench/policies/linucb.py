"""Disjoint LinUCB: one ridge regression an item, on the context."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lersbench.errors import ConfigError
from lersbench.kernels.jit import inlined, kernel
from lersbench.kernels.tie_chances import foremost, ranked
from lersbench.kernels.ties import best, top_k
from lersbench.kernels.vectors import aligned, padded
from lersbench.learners.per_item import (
    Bank,
    column_dot,
    fast_dot,
    largest,
    means,
    new_bank,
    observe,
    quadratic,
    quadratics,
    rounding,
)
from lersbench.learners.warm_start import check, warm_bank
from lersbench.policy import KernelPolicy, Round, Spec

RIVALS = 2  # rivals whose bounds `wins` computes one by one before it computes all


class State(NamedTuple):
    """Learned in place."""

    bank: Bank  # one ridge regression an item
    alpha: np.ndarray  # (1,)
    means: np.ndarray  # (n_items, padded) working memory
    ceiling: np.ndarray  # (n_items,) at least the largest eigenvalue of the item's A^-1, which never grows
    traced: np.ndarray  # (n_items,) the trace of that A^-1 when this bound was computed
    squares: np.ndarray  # (n_items, padded) working memory


@inlined
def bounds(state: State, round: Round) -> None:
    """Fill `round.scores` with the upper confidence bound of every candidate."""
    bank, x, scores, candidates, alpha = state.bank, round.context, round.scores, round.candidates, state.alpha[0]
    if 4 * candidates.shape[0] >= bank.row.shape[0]:
        means(bank, x, state.means)
        quadratics(bank, x, state.squares)
        for a in range(state.means.shape[0]):
            state.means[a] += alpha * math.sqrt(max(0.0, state.squares[a]))
        for c in range(candidates.shape[0]):
            scores[c] = state.means[candidates[c]]
    else:
        for c in range(candidates.shape[0]):
            bonus = math.sqrt(max(0.0, quadratic(bank, candidates[c], x)))
            scores[c] = column_dot(bank.theta, candidates[c], x) + alpha * bonus


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """The slate is the top of the candidates by their upper confidence bounds."""
    bounds(state, round)
    top_k(round.scores, round.ties, slate)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """Every revealed item learns from its own reward."""
    for k in range(slate.shape[0]):
        if seen[k]:
            arm = round.candidates[slate[k]]
            observe(state.bank, arm, round.context, rewards[k])
            if state.bank.trace[arm] < 0.9 * state.traced[arm]:  # so the bound is renewed only now and then
                state.traced[arm], state.ceiling[arm] = state.bank.trace[arm], largest(state.bank, arm)


@inlined
def overtaken(estimates: np.ndarray, candidates: np.ndarray, score: float) -> bool:
    """Is the estimate of any candidate above this score?"""
    above = 0
    for c in range(candidates.shape[0]):
        above += estimates[candidates[c]] > score
    return above > 0


@inlined
def promises(state: State, round: Round, length: float) -> None:
    """Fill `round.scores` with what the bounds would be, were contexts of this length alike in all directions."""
    for c in range(round.candidates.shape[0]):
        a = round.candidates[c]
        round.scores[c] = state.means[a] + length * state.bank.spread[a]


@kernel
def wins(state: State, rng: np.random.Generator, round: Round, candidate: int) -> bool:
    """Would `select` put this candidate on top? Settled by a few rivals where they suffice, else by all."""
    if loses(state, round, candidate):
        return False
    bounds(state, round)
    return best(round.scores, round.ties) == candidate


@kernel
def chance(state: State, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
    """The best bound of what is left. For one position a few rivals mostly settle it, as in `wins`."""
    if slate.shape[0] == 1 and loses(state, round, slate[0]):
        out[0] = 0.0
    else:
        bounds(state, round)
        ranked(round.scores, slate, out)


@kernel
def offer(state: State, round: Round, out: np.ndarray) -> None:
    bounds(state, round)
    foremost(round.scores, out)


@inlined
def loses(state: State, round: Round, candidate: int) -> bool:
    """Is the bound of any rival certainly above that of this candidate? False where that is not settled.

    An upper bound of the candidate's score, first a cheap one, is held against a lower bound of a rival's, first its
    estimate alone. `slack` and `blur` are more than rounding can do to a quadratic form and to a score.
    """
    bank, x, candidates, alpha = state.bank, round.context, round.candidates, state.alpha[0]
    arm, norm = candidates[candidate], fast_dot(x, x)
    if 4 * candidates.shape[0] >= bank.row.shape[0]:
        means(bank, x, state.means)
        mean, slack = state.means[arm], rounding(x.shape[0], norm / bank.ridge[0])
        blur = 1e-15 * (abs(mean) + alpha * math.sqrt(norm / bank.ridge[0]))
        most = mean + alpha * math.sqrt(norm * state.ceiling[arm] + slack) + blur
        if overtaken(state.means, candidates, most):
            return True
        promises(state, round, alpha * math.sqrt(norm))
        round.scores[candidate] = -math.inf
        for attempt in range(min(RIVALS, candidates.shape[0] - 1)):
            c = best(round.scores, round.ties)
            rival = candidates[c]
            bonus = alpha * math.sqrt(max(0.0, quadratic(bank, rival, x) - slack))
            least = state.means[rival] + bonus - blur - 1e-15 * abs(state.means[rival])
            if least > most:
                return True
            if attempt == 0:
                most = mean + alpha * math.sqrt(max(0.0, quadratic(bank, arm, x)) + slack) + blur
                if least > most:
                    return True
            round.scores[c] = -math.inf
    return False


@dataclass(frozen=True)
class LinUCB(KernelPolicy):
    """Disjoint LinUCB: the item's own ridge estimate plus alpha standard errors.

    Source: Li et al. 2010, Algorithm 1 (doi 10.1145/1772690.1772758).
    """

    alpha: float = 0.3
    """Width of the confidence bound, at least 0."""
    ridge: float = 1.0
    """Weight of the prior ridge * I, above 0."""
    warm: float = 0.0
    """Observations of before the stream that each item begins with, at least 0; see `warm_start.warm_bank`."""

    needs = ("context",)
    working = ("bank.xx", "bank.z", "bank.v", "bank.w", "bank.dots", "means", "squares")
    deterministic = True
    kernels = (select, update, wins)
    chance_kernel = chance
    offer_kernel = offer

    def __post_init__(self) -> None:
        if not (math.isfinite(self.alpha) and self.alpha >= 0):
            raise ConfigError(f"linucb: alpha is {self.alpha}, but must be a finite number of at least 0.")
        if not (math.isfinite(self.ridge) and self.ridge > 0):
            raise ConfigError(f"linucb: ridge is {self.ridge}, but must be a finite number above 0.")
        check(self, self.warm)

    def init(self, spec: Spec) -> State:
        n, bank = padded(spec.n_items), new_bank(spec.n_items, spec.d, self.ridge)
        if self.warm > 0:
            warm_bank(bank, spec, self.warm)
        return State(
            bank,
            np.array([self.alpha]),
            aligned((n,)),
            np.full(spec.n_items, 1.0 / self.ridge),
            np.full(spec.n_items, spec.d / self.ridge),
            aligned((n,)),
        )
