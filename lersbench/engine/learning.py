"""Learning from a log that another policy has made: three questions, which have three different answers.

* How would the learner do on line? `Rejection` plays it on rows that together have exactly the law of an on-line run.
* How good are the policies that one gets by learning from the log as it is, row after row? `Learner.ask_and_learn`.
* How good is the one that learned from the log up to a day, from then on? `Learner.learn`, then `Learner.ask`.

Feedback comes at once, row by row: batches and delays of a protocol are not heeded here.

Sources: rejection sampling with known propensities generalises the replay of Li et al. 2011 (doi
10.1145/1935826.1935878); Dudik, Erhan, Langford and Li 2012 (arXiv 1210.4862) for learners, where the rate of
acceptance varies: here it is constant. Progressive validation: Blum, Kalai and Langford 1999 (COLT, "Beating the
hold-out"), with importance weights in place of full feedback.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lersbench.engine.chances import (
    CHANCE,
    DETERMINISTIC,
    DRAWS,
    NOTHING,
    ROUNDING,
    UNTAUGHT,
    WINS,
    Chances,
    ask,
    asker,
    chance_of,
    chances,
    check,
    how,
    looped,
    new_answer,
    refuse_shown,
    update,
)
from lersbench.engine.loop import Desk, View, differ, round_at
from lersbench.engine.rounds import Protocol, Scratch
from lersbench.engine.rows import Rows
from lersbench.engine.seat import Seat
from lersbench.errors import ConfigError, DataError
from lersbench.kernels.jit import inlined
from lersbench.kernels.ties import scramble
from lersbench.kernels.uncounted import borrow, part
from lersbench.policy import KernelPolicy, Policy, Spec

NOISE, AGAIN = 0xACCE97, 0x5EED  # keys of their own: a row's number has nothing to do with its order of equal scores


def constant(max_weight: float | None, slates: float | None = None, floor: float | None = None) -> float:
    """M of `Rejection`: as given; else the number of slates of a uniform log; else 1 / the floor of the log's chances.

    `slates` is how many slates the rounds have at most, `floor` the least chance that the logging policy gives to any
    slate, by its design (an epsilon floor) and not by what was seen. Raises ConfigError where nothing is known, and for
    an M below 1.
    """
    if max_weight is None and slates is None and floor is None:
        raise ConfigError(
            "max_weight is missing: the largest weight pi / p that the learner can have is not known for this log, and "
            "the largest one seen would bias the result. Set max_weight to 1 / (the least chance that the logging "
            "policy gives to any slate)."
        )
    if max_weight is None:
        max_weight = slates if slates is not None else 1.0 / floor if floor else math.inf
    if not 1.0 <= max_weight < math.inf:
        raise ConfigError(f"max_weight = {max_weight} must be a finite number of at least 1: weights have the mean 1.")
    return float(max_weight)


class Accepted(NamedTuple):
    """A rejection replay so far: the first N rounds of an on-line run."""

    rounds: int  # N, rows accepted
    rows: int  # n, rows offered
    most: float  # M
    paid: float  # the mean reward of the accepted slates; NaN before the first
    error: float  # its standard error, as if rounds were independent; NaN before the second

    @property
    def expected(self) -> float:
        """n / M: with right propensities and full support N ~ Binomial(n, 1 / M), whatever is learned."""
        return self.rows / self.most

    @property
    def z(self) -> float:
        """How many standard deviations N is from n / M: beyond 3, propensities are wrong or support is missing."""
        spread = math.sqrt(self.expected * (1.0 - 1.0 / self.most))
        if spread > 0:
            return (self.rounds - self.expected) / spread
        return 0.0 if self.rounds == self.expected else -math.inf


class Rejection:
    """A learner played on the rows that it, with its own chances, would have got: rejection sampling.

    A row is accepted with probability pi / (p M), pi the learner's chance of the logged slate as it stands and p the
    logging policy's, M = `most` a constant; the learner is told of the accepted rows only. So every row is accepted
    with probability 1 / M, and given N the mean reward of round t <= N is that of an on-line run (see `Accepted`).

    One number a row, from a hash of `seed` and its place in the log, decides for all learners alike, so that they
    differ in what they do alone. A policy without chances, or deterministic, or with notes on its own choice, chooses
    for itself; if it has chosen the logged slate, that is kept with probability 1 / (p M). Then M must be at least
    1 / p. On a uniform log of rounds of one length, with M the number of slates, that is the usual replay.
    """

    def __init__(
        self,
        policy: Policy,
        spec: Spec,
        protocol: Protocol,
        rng: np.random.Generator,
        most: float,
        seed: int,
        state: Any = None,
        everything: bool = False,
    ):
        """`protocol` as of `chances`; rewards are scaled by its `low` and `span`. A `state` is learned on; None: a new
        one. `everything` fills `offered` of what `play` returns."""
        refuse_shown(policy)
        self.policy, self.spec, self.protocol, self.rng = policy, spec, protocol, rng
        self.most, self.everything, self._key = constant(most), everything, scramble(NOISE, seed & 0x7FFFFFFF)
        self.state = policy.init(spec) if state is None else state
        chooses = policy.deterministic or chance_of(policy) is None or not policy.learns_from_log
        self.way = (DETERMINISTIC if policy.deterministic else DRAWS) if chooses else CHANCE
        kernels = policy.kernels if isinstance(policy, KernelPolicy) else ()
        if chooses and len(kernels) > 2 and spec.slate == 1 and not everything:
            self.way = WINS
        self.rounds, self.rows, self._sum, self._squares = 0, 0, 0.0, 0.0

    def play(
        self, rows: Rows, p: np.ndarray, index: np.ndarray | None = None, at: np.ndarray | None = None
    ) -> tuple[np.ndarray, Chances]:
        """Play the rows `index` (n,) of a chunk laid out for "replay"; `p` (n,) are the logger's chances of the slates.

        Returns which rows were accepted (n,) bool, and the chances of the learner before each row: those of `chances`,
        but its own choice (0 or 1) where that is what decides and its scores are not asked for; `placed` is empty. With
        `everything`, and q a model of rewards fitted elsewhere, the mean over all rows of sum_a pi(a) q(a) + w (r - q)
        is the doubly robust estimate of the mean value of the policies held (Dudik et al. 2012, constant rate).
        Raises DataError for a p that is none, ConfigError for a weight above M, which names the row.
        """
        seat, paid = _seated(self.policy, self.spec, rows, self.protocol, index, at)
        p = np.ascontiguousarray(p, np.float64)
        _check_propensities(p, np.arange(len(seat.index) + 1), seat)
        seat.scratch.clock[0] = self.rounds
        answer, accepted, fault = new_answer(seat, self.everything, False), np.zeros(len(p), np.bool_), np.zeros(2)
        flags = {"CHOOSES": self.way != CHANCE, "EVERYTHING": self.everything}
        loop = looped(accept_rows, self.policy, self.way, flags, True)
        learned = scaled(paid, self.protocol), np.ones(len(paid), np.bool_)
        seat.run(loop, self.state, self.rng, p, *learned, self.most, self._key, accepted, fault, *answer)
        if fault[0]:
            raise ConfigError(
                f"Round {int(fault[1])} of the log has the weight {fault[0]:g} (chance of {self.policy!r} over logged "
                f"propensity), above max_weight = {self.most:g}: set max_weight to at least {fault[0]:g}, better to "
                "1 / (the least chance that the logging policy gives to any slate). Cutting it would bias the result."
            )
        check(self.policy, seat, answer)
        worth = _by_row(paid, seat.top)[accepted]
        self.rounds += int(accepted.sum())
        self.rows += len(p)
        self._sum += float(worth.sum())
        self._squares += float(worth @ worth)
        return accepted, Chances(*answer, self.way, int(self.way in (DRAWS, WINS)), seat.top, seat.first)

    def result(self) -> Accepted:
        """What has been accepted so far, and what it paid."""
        n = self.rounds
        mean = self._sum / n if n else math.nan
        spread = math.sqrt(max(0.0, self._squares - n * mean**2) / (n - 1) / n) if n > 1 else math.nan
        return Accepted(n, self.rows, self.most, mean, spread)


class Learner:
    """A policy that learns from the slates another one has shown, and says how likely it was to show them.

    Raises ConfigError for a policy that can only learn from its own choices (`learns_from_log`).
    """

    def __init__(self, policy: Policy, spec: Spec, protocol: Protocol, rng: np.random.Generator, state: Any = None):
        """As of `Rejection`."""
        refuse_shown(policy)
        if policy.learns and not policy.learns_from_log:
            raise ConfigError(
                f"{policy!r} can only learn from its own choices (learns_from_log = False), not from those of another "
                "policy: play it by rejection instead."
            )
        self.policy, self.spec, self.protocol, self.rng = policy, spec, protocol, rng
        self.state = policy.init(spec) if state is None else state
        self.rounds = 0  # rows learned from

    def ask(self, rows: Rows, index: np.ndarray | None = None, at: np.ndarray | None = None, **more: Any) -> Chances:
        """`chances` of what has been learned so far, for these rows; nothing is learned."""
        where = self.policy, self.state, self.spec, rows, self.rng, self.protocol, index
        return chances(*where, at=at, learned=self.rounds, **more)

    def learn(
        self, rows: Rows, propensities: np.ndarray, index: np.ndarray | None = None, at: np.ndarray | None = None
    ) -> None:
        """Learn from the rows `index` (n,) of a chunk laid out for "replay", in their order.

        `propensities` (S,) are the logger's chances of each of their positions: `update` finds them in the round.
        Raises DataError for those that are none.
        """
        self._go(NOTHING, rows, propensities, index, at, False, 1)

    def ask_and_learn(
        self,
        rows: Rows,
        propensities: np.ndarray,
        index: np.ndarray | None = None,
        at: np.ndarray | None = None,
        everything: bool = False,
        draws: int = 1,
    ) -> Chances:
        """Progressive validation: the chances before each row of the policy learned from all rows before it, which then
        learns from the row. The mean of weight times reward is unbiased for the mean value of these policies, along
        this very path. `placed` is empty. See `learn` and `chances`."""
        return self._go(how(self.policy), rows, propensities, index, at, everything, draws)

    def _go(
        self,
        way: str,
        rows: Rows,
        propensities: np.ndarray,
        index: np.ndarray | None,
        at: np.ndarray | None,
        everything: bool,
        draws: int,
    ) -> Chances:
        seat, paid = _seated(self.policy, self.spec, rows, self.protocol, index, at)
        p = np.ascontiguousarray(propensities, np.float64)
        _check_propensities(p, seat.top, seat)
        seat.scratch.clock[0] = self.rounds
        answer = new_answer(seat, everything, False)
        taught = p, scaled(paid, self.protocol), np.ones(len(paid), np.bool_)
        if way == NOTHING and not isinstance(self.policy, KernelPolicy) and not self.rounds:
            _first_question(self.policy, self.spec, seat, self.state, self.rng)
        loop = asker(self.policy, way, everything, learns=True)
        seat.run(loop, self.state, self.rng, *taught, draws, *answer)
        if way != NOTHING:
            check(self.policy, seat, answer)
        self.rounds += len(seat.index)
        return Chances(*answer, way, draws if way == DRAWS else 0, seat.top, seat.first)


def _first_question(policy: Policy, spec: Spec, seat: Seat, state: Any, rng: np.random.Generator) -> None:
    """Ask about the first row: some policies are made only by their first `select`, which brings the seed."""
    if len(seat.index):
        first = Seat(policy, spec, seat.rows, seat.protocol, seat.index[:1], seat.at[:1])
        size = first.top[-1]
        first.run(asker(policy, DRAWS), state, rng, *UNTAUGHT, 1, np.zeros(size), np.empty(0), np.empty(0))


def scaled(rewards: np.ndarray, protocol: Protocol) -> np.ndarray:
    """What a policy learns of `rewards` (S,): see `Protocol.low` and `Protocol.span`."""
    if protocol.span <= 0.0:
        return rewards
    return np.clip((rewards - protocol.low) / protocol.span, 0.0, 1.0)


def _seated(
    policy: Policy, spec: Spec, rows: Rows, protocol: Protocol, index: np.ndarray | None, at: np.ndarray | None
) -> tuple[Seat, np.ndarray]:
    """A seat before rows that are laid out for "replay", and the rewards (S,) of their slates."""
    if rows.value.size or rows.rewards.shape != rows.slate.shape:
        raise ValueError('rows are those of rows_of(..., "replay", ...): rewards of the logged slates')
    seat = Seat(policy, spec, rows, protocol, index, at)
    return seat, seat.of_positions(rows.rewards)


def _check_propensities(p: np.ndarray, edges: np.ndarray, seat: Seat) -> None:
    if p.shape != (edges[-1],):
        raise ValueError(f"{edges[-1]} propensities are wanted, not {p.shape}")
    wrong = np.flatnonzero(~((p > 0.0) & (p <= 1.0 + ROUNDING)))
    if wrong.size:
        row = int(np.searchsorted(edges, wrong[0], "right")) - 1
        raise DataError(
            f"Round {seat.at[row]} of the log, position {wrong[0] - edges[row]}: the propensity is {p[wrong[0]]}, but "
            "what was shown had a chance above 0, and at most 1. Correct the log's column 'propensities'."
        )


def _by_row(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The sums (n,) of `values` (S,) by round."""
    return np.add.reduceat(values, edges[:-1]) if values.size else np.zeros(0)


CHOOSES = False  # stands for whether the policy chooses a slate of its own, in the template below


@inlined
def uniform(key: int, at: int) -> float:
    """The number in (0, 1) that decides about the row at place `at`."""
    return (scramble(scramble(key, at), AGAIN) + 0.5) / 4294967296.0


def accept_rows(
    state: Any,
    rng: Any,
    view: View,
    index: np.ndarray,
    at: np.ndarray,
    protocol: Protocol,
    scratch: Scratch,
    desk: Desk,
    top: np.ndarray,
    first: np.ndarray,
    slates: np.ndarray,
    p: np.ndarray,
    rewards: np.ndarray,
    seen: np.ndarray,
    most: float,
    key: int,
    accepted: np.ndarray,
    fault: np.ndarray,
    logged: np.ndarray,
    placed: np.ndarray,
    offered: np.ndarray,
) -> None:
    """Template: accept each of the rows `index` (n,) with probability pi / (p M), and learn from them: see `Rejection`.

    `fault` (2,) is filled with the first weight above M and its place, which ends the run.
    """
    state, view, scratch = borrow(state), borrow(view), borrow(scratch)
    nothing = part(placed, 0, 0)
    for n in range(index.shape[0]):
        round = round_at(view, index[n], at[n], 0, protocol, scratch, desk, False, part(view.shown_at, 0, 0))
        slate, own = part(slates, top[n], top[n + 1]), part(scratch.slates[0], 0, top[n + 1] - top[n])
        said = part(logged, top[n], top[n + 1])
        every = part(offered, first[n], first[n + 1]) if offered.shape[0] > 0 else nothing
        ask(state, rng, round, slate, own, 1, said, nothing, every)
        if CHOOSES:
            weight = 0.0 if differ(own, slate) else 1.0 / p[n]
        else:
            weight = 1.0 / p[n]
            for k in range(slate.shape[0]):
                weight *= said[k]
                round.propensities[k] = said[k]
        if weight > most * (1.0 + ROUNDING):
            fault[0], fault[1] = weight, at[n]
            return
        if uniform(key, at[n]) * most < weight:
            for k in range(slate.shape[0]):
                own[k] = slate[k]
            update(state, round, own, part(rewards, top[n], top[n + 1]), part(seen, top[n], top[n + 1]))
            scratch.clock[0] += 1
            accepted[n] = True
