"""What one round shows to a policy and reveals to it, and the memory in which a contender works."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lersbench.engine.rows import Rows
from lersbench.kernels.jit import inlined, kernel
from lersbench.policy import Spec


class Protocol(NamedTuple):
    """What a round reveals, and how a run is counted."""

    slate: int  # positions to fill (K)
    batch: int  # rounds between deliveries of feedback; 1 = at once
    replay: bool  # only rounds in which the policy chooses the logged slate count
    full: bool  # the policy learns from the rewards of all candidates, not only the shown ones
    users: int  # -1: features come from the log; else joint ones are products of (1, first `users` of the context)
    items: int  # and (1, first `items` static features of the item)
    ranked: bool  # count the ranks of liked items
    regret: bool  # count regret: the value of every candidate is known
    silence: float  # top scores below this count as "nothing recommended"; -inf for a policy that always recommends
    ties: int  # seed of the random order of equal scores
    simulated: bool = False  # clicks are drawn from the world's click model, instead of looked up
    truth: bool = False  # the world's click model is known: count true values
    weighed: bool = False  # propensities are known: count inverse-propensity values
    shows_the_log: bool = False  # the policy's slate is the logged one: it finds it in front, and has weight 1
    similar: bool = False  # count intra-list similarity
    draws: int = 0  # seed of the drawn clicks, common to all policies
    delayed: bool = False  # feedback comes when it is known by the clock of the log, position by position
    delay: int = 0  # microseconds after its round, where the log does not say when what is known
    lazy: bool = False  # rejection replay of one position asks the policy's `wins` kernel instead of `select`
    clicked: bool = True  # rewards are clicks: count click rates; else what is paid
    low: float = 0.0  # the policy learns (reward - low) / span, what is counted stays as it is
    span: float = 0.0  # 0: it learns the reward itself
    charged: int = 0  # 1: a policy learns where the log showed what it is rewarded for
    bracketed: bool = False  # what was seen is not known: count what logged clicks are worth at both extremes


class Visit(NamedTuple):
    """Working memory of one visit of a simulated user: the beginning of each array, as long as the round is."""

    family: np.ndarray  # (C,) int64
    items: np.ndarray  # (K,) int64 what is shown
    shown: np.ndarray  # (K,) attraction of what is shown, down the slate
    reached: np.ndarray  # (K + 1,)
    examined: np.ndarray  # (K,) P(the position is examined)
    saw: np.ndarray  # (K,) 1 where a position was examined
    total: np.ndarray  # (m,) for the similarity
    ones: np.ndarray  # (C,)


class Queue(NamedTuple):
    """What is not known yet of the rounds that wait: a heap of outcomes, the next one to be known on top.

    An outcome is that of a position of the slate, or of a candidate where all are revealed. Arrays are empty where
    feedback comes at once or in batches.
    """

    size: np.ndarray  # (3,) int64: outcomes in the heap; free places; rounds just delivered that `clock` does not count
    due: np.ndarray  # (outcomes,) int64 microseconds
    order: np.ndarray  # (outcomes,) int64: of two that are known at once, the one of the earlier round comes first
    of: np.ndarray  # (outcomes,) int64: place * width + index
    left: np.ndarray  # (places,) int64 outcomes of each waiting round that are not delivered
    free: np.ndarray  # (places,) int64 a stack
    mask: np.ndarray  # (C,) bool: candidates whose reward is delivered now, where all are revealed
    paid: np.ndarray  # (K,) rewards of a delivery: NaN where not yet known, or delivered before


class Scratch(NamedTuple):
    """Working memory of one contender. C and K are the most of any round; one with fewer has the beginning."""

    clock: np.ndarray  # (5,) int64: rounds learned from; rounds waiting for their feedback; place of the round at work;
    # place from which on a checkpoint is due; place of the round that comes next in this memory
    rows: np.ndarray  # (batch,) int64 rows of the waiting rounds
    at: np.ndarray  # (batch,) int64 their places in the log
    slates: np.ndarray  # (batch, K) int64
    rewards: np.ndarray  # (batch, K)
    seen: np.ndarray  # (batch, K) bool
    scores: np.ndarray  # (batch, C)
    propensities: np.ndarray  # (batch, K)
    notes: np.ndarray  # (batch, K) int64
    features: np.ndarray  # (C, m) composed joint features
    all_slate: np.ndarray  # (C,) int64, for feedback on every candidate
    all_rewards: np.ndarray  # (C,)
    all_seen: np.ndarray  # (C,) bool
    all_propensities: np.ndarray  # (C,) ones: a reward that is revealed whatever is shown has no propensity
    queue: Queue


@kernel
def compose(
    context: np.ndarray, items: np.ndarray, candidates: np.ndarray, users: int, width: int, out: np.ndarray
) -> None:
    """Fill `out` (C, (1 + users) * (1 + width)) with the products of (1, context) and (1, item features)."""
    for c in range(candidates.shape[0]):
        j = 0
        for u in range(-1, users):
            left = 1.0 if u < 0 else context[u]
            for i in range(-1, width):
                out[c, j] = left if i < 0 else left * items[candidates[c], i]
                j += 1


@inlined
def positions_of(top: np.ndarray, row: int, wide: int, protocol: Protocol) -> int:
    """How many positions the slate of a round with `wide` candidates has; under rejection replay as many as logged."""
    if protocol.slate == 1:  # every round has a candidate and, where slates were logged, a position
        return 1
    return top[row + 1] - top[row] if protocol.replay else min(protocol.slate, wide)


@kernel
def reveal_all(rows: Rows, row: int, slot: int, protocol: Protocol, scratch: Scratch) -> None:
    """Fill the `all_` arrays: the shown slate first, then the other candidates in their order."""
    slate = scratch.slates[slot]
    wide = rows.first[row + 1] - rows.first[row]
    scratch.all_seen[:wide] = False
    n = 0
    for k in range(min(slate.shape[0], wide)):
        scratch.all_slate[n] = slate[k]
        scratch.all_seen[slate[k]] = True
        n += 1
    for c in range(wide):
        if not scratch.all_seen[c]:
            scratch.all_slate[n] = c
            n += 1
    for k in range(n):
        scratch.all_rewards[k] = rows.rewards[rows.first[row] + scratch.all_slate[k]]
        scratch.all_seen[k] = not protocol.delayed or scratch.queue.mask[scratch.all_slate[k]]
        if not scratch.all_seen[k]:
            scratch.all_rewards[k] = np.nan


def scratch_of(spec: Spec, protocol: Protocol, waiting: int = 0) -> Scratch:
    """Scratch memory for a policy of this spec; `waiting` rounds can be under way at once where feedback is delayed."""
    wide, slate = spec.n_candidates, protocol.slate
    batch = waiting + 1 if protocol.delayed else protocol.batch
    outcomes = batch * (wide if protocol.full else slate) if protocol.delayed else 0
    places = batch if protocol.delayed else 0
    queue = Queue(
        np.array([0, places, 0]),
        np.zeros(outcomes, np.int64),
        np.zeros(outcomes, np.int64),
        np.zeros(outcomes, np.int64),
        np.zeros(places, np.int64),
        np.arange(places)[::-1].copy(),
        np.zeros(wide, np.bool_),
        np.zeros(slate),
    )
    return Scratch(
        np.array([0, 0, 0, 0, places - 1]),
        np.zeros(batch, np.int64),
        np.zeros(batch, np.int64),
        np.zeros((batch, slate), np.int64),
        np.zeros((batch, slate)),
        np.ones((batch, slate), np.bool_),
        np.zeros((batch, wide)),
        np.zeros((batch, slate)),
        np.zeros((batch, slate), np.int64),
        np.zeros((wide, spec.m) if protocol.users >= 0 else (0, 0)),
        np.zeros(wide, np.int64),
        np.zeros(wide),
        np.ones(wide, np.bool_),
        np.ones(wide),
        queue,
    )


def visit_of(spec: Spec, protocol: Protocol) -> Visit:
    """Working memory of one visit of a user, as wide as the policy's rounds."""
    wide, slate = spec.n_candidates, protocol.slate
    return Visit(
        np.zeros(wide, np.int64),
        np.zeros(slate, np.int64),
        np.zeros(slate),
        np.zeros(slate + 1),
        np.zeros(slate),
        np.zeros(slate),
        np.zeros(spec.m),
        np.ones(wide),
    )
