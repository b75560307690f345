"""The loop: a log past a policy, compiled where the policy offers kernels, in Python batches otherwise.

Both engines are the same sequence of steps, built of the same kernels: read the checkpoints that are
due, deliver the feedback of the last batch, show the round to the policy, check its slate, count it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from lersbench import metrics
from lersbench.clicks.model import ClickModel, best_slate, draw_clicks, expected, pbm, shown_attraction, ubm
from lersbench.errors import LostDigits, RunError
from lersbench.kernels.jit import inlined, kernel, specialise
from lersbench.kernels.ties import scramble
from lersbench.kernels.uncounted import borrow
from lersbench.log.chunk import Chunk
from lersbench.log.scaling import PLAIN, Scales, largest
from lersbench.offpolicy import propensity
from lersbench.policy import KernelPolicy, Policy, Round, Spec

LENT = ("context", "candidates", "features")  # arrays of the log that a round shows to a policy


class Users(NamedTuple):
    """How the users of a simulated world click; empty where that is not known."""

    attraction: np.ndarray  # (n, C) P(click | examined) of each candidate, or (0, C)
    family: np.ndarray  # (n_items,) int64
    weights: np.ndarray  # (L, L + 1) see clickmodel.ClickModel
    goes_on: np.ndarray  # (L,)
    fade: float
    best: np.ndarray  # (n, 2) expected CTR_sum and CTR_set of the best slate


class Logger(NamedTuple):
    """What the logging policy would have shown, and the click model fitted to it; empty where not known."""

    examination: np.ndarray  # (L,) of the position-based model, at most 1
    after: np.ndarray  # (L, L + 1) of the user browsing model, at most 1
    attraction: np.ndarray  # (n_items,) that goes with it
    exposure: (
        np.ndarray
    )  # (2, n, C) P(the candidate is examined) under the logging policy, by PBM and UBM; or (2, 0, C)
    clip: float  # the largest weight of a record
    placed: np.ndarray  # (n, C) P(the candidate is logged where it was) under the logging policy, or (0, C)


class Rows(NamedTuple):
    """A chunk of a log as the loop reads it; shared by all contenders, never written to."""

    user: np.ndarray  # (n,) int64
    context: np.ndarray  # (n, d)
    candidates: np.ndarray  # (n, C) int64, or (1, C)
    features: np.ndarray  # (n, C, m), or (1, C, 0)
    items: np.ndarray  # (n_items, p) static item features, for joint features that are composed
    rewards: np.ndarray  # (n, C) reward of every candidate; (n, K) of the logged slate under rejection replay
    slate: np.ndarray  # (n, K) logged slate, as indices into the candidates, or (0, 0)
    value: np.ndarray  # (n, C) expected rewards if known, else the rewards; (0, C) where neither is known
    best: np.ndarray  # (n,) value of the best slate of the round
    liked_from: np.ndarray  # (n + 1,) int64; row i likes the candidates liked[liked_from[i]:liked_from[i + 1]]
    liked: np.ndarray  # (likes,) int64
    number: np.ndarray  # (likes,) int32, of each like among the distinct ones of the log; (0,) where not counted
    users: Users
    logger: Logger


class Protocol(NamedTuple):
    """What a round reveals, and how a run is counted."""

    slate: int  # positions to fill (K)
    batch: int  # rounds between deliveries of feedback; 1 = at once
    replay: bool  # only rounds in which the policy chooses the logged slate count
    full: bool  # the policy learns from the rewards of all candidates, not only the shown ones
    users: (
        int  # -1: features come from the log; else joint features are products of (1, first `users` of the context) ...
    )
    items: int  # ... and (1, first `items` static features of the item)
    ranked: bool  # count the ranks of liked items
    known: bool  # the value of every candidate is known, so regret can be counted
    silence: float  # top scores below this count as "nothing recommended"; -inf for a policy that always recommends
    ties: int  # seed of the random order of equal scores
    simulated: bool = False  # clicks are drawn from the world's click model, instead of looked up
    truth: bool = False  # the world's click model is known: count true values
    weighed: bool = False  # propensities are known: count inverse-propensity values
    own: bool = False  # the policy shows the logged slate: it finds it in front, and its clicks are weighed by 1
    similar: bool = False  # count intra-list similarity
    draws: int = 0  # seed of the drawn clicks, common to all policies
    lazy: bool = False  # rejection replay of one position asks the policy's `wins` kernel instead of `select`


class Visit(NamedTuple):
    """Working memory of one visit of a simulated user."""

    family: np.ndarray  # (C,) int64
    items: np.ndarray  # (K,) int64 what is shown
    shown: np.ndarray  # (K,) attraction of what is shown, down the slate
    reached: np.ndarray  # (K + 1,)
    examined: np.ndarray  # (K,) P(the position is examined)
    saw: np.ndarray  # (K,) 1 where a position was examined
    total: np.ndarray  # (m,) for the similarity
    ones: np.ndarray  # (C,)


class Scratch(NamedTuple):
    """Working memory of one contender."""

    clock: np.ndarray  # (3,) int64: rounds learned from; rounds waiting for their feedback; place of the round at work
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
    visit: Visit


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
def round_at(
    rows: Rows, row: int, at: int, slot: int, protocol: Protocol, scratch: Scratch, composed: bool = False
) -> Round:
    """The round of this row, its outputs in place `slot` of the scratch memory.

    `composed` tells that its joint features are in the scratch memory already.
    """
    scratch.clock[2] = at
    shared = 0 if rows.candidates.shape[0] == 1 else row
    candidates = rows.candidates[shared]
    if protocol.users >= 0:
        if not composed:
            compose(rows.context[row], rows.items, candidates, protocol.users, protocol.items, scratch.features)
        features = scratch.features
    else:
        features = rows.features[0 if rows.features.shape[0] == 1 else row]
    return Round(
        scratch.clock[0],
        rows.user[row],
        rows.context[row],
        candidates,
        features,
        scramble(protocol.ties, at),
        scratch.scores[slot],
        scratch.propensities[slot],
        scratch.notes[slot],
    )


@inlined
def fault_of(slate: np.ndarray, scores: np.ndarray, scored: bool) -> int:
    """0 for a valid slate; 1 an index out of range, 2 an index twice, 3 a NaN score, 4 an infinite one.

    Unless `scored` only the score of the first item was asked for.
    """
    for k in range(slate.shape[0]):
        if slate[k] < 0 or slate[k] >= scores.shape[0]:
            return 1
        for j in range(k):
            if slate[j] == slate[k]:
                return 2
    top = scores[slate[0]]
    strange = not abs(top) < math.inf
    if scored:
        for c in range(scores.shape[0]):
            strange |= not abs(scores[c]) < math.inf
    if strange:
        unknown = top != top
        if scored:
            for c in range(scores.shape[0]):
                unknown |= scores[c] != scores[c]
        return 3 if unknown else 4
    return 0


@kernel
def meet(meter: metrics.Meter, users: Users, row: int, candidates: np.ndarray, slate: np.ndarray, visit: Visit) -> None:
    """What the users of the world make of a slate: the attraction of the shown, and the true values into the sums."""
    for c in range(candidates.shape[0]):
        visit.family[c] = users.family[candidates[c]]
    shown_attraction(users.attraction[row], visit.family, slate, users.fade, visit.shown)
    value, chance = expected(users.weights, users.goes_on, visit.shown, visit.reached, visit.examined)
    metrics.count_expected(meter, value, chance, users.best[row, 0], users.best[row, 1])


@kernel
def weigh(
    meter: metrics.Meter,
    logger: Logger,
    row: int,
    candidates: np.ndarray,
    clicks: np.ndarray,
    logged: np.ndarray,
    slate: np.ndarray,
    own: bool,
    visit: Visit,
) -> None:
    """Add what the logged `clicks` (C,) and propensities say of a slate: by position, and by click models if fitted.

    `logged` (L,) is the candidate at each position of the log.

    Where the slate is the logged one (`own`) it depends on what was logged, and only its clicks as they are can speak.
    """
    fitted = logger.exposure.shape[1] > 0
    if own:
        metrics.count_ips(meter, metrics.IIPS, slate, clicks, visit.ones, visit.ones, 1.0)
        if fitted:
            metrics.count_ips(meter, metrics.PBM, slate, clicks, visit.ones, visit.ones, 1.0)
            metrics.count_ips(meter, metrics.UBM, slate, clicks, visit.ones, visit.ones, 1.0)
        return
    for k in range(slate.shape[0]):
        visit.examined[k] = 1.0 if slate[k] == logged[k] else 0.0
    metrics.count_ips(meter, metrics.IIPS, slate, clicks, visit.examined, logger.placed[row], logger.clip)
    if not fitted:
        return
    metrics.count_ips(meter, metrics.PBM, slate, clicks, logger.examination, logger.exposure[0, row], logger.clip)
    for k in range(slate.shape[0]):
        visit.shown[k] = logger.attraction[candidates[slate[k]]]
    always = visit.saw  # after a click the user of a browsing model goes on
    always[:] = 1.0
    expected(logger.after, always, visit.shown, visit.reached, visit.examined)
    metrics.count_ips(meter, metrics.UBM, slate, clicks, visit.examined, logger.exposure[1, row], logger.clip)


@inlined
def count(
    meter: metrics.Meter,
    rows: Rows,
    row: int,
    at: int,
    round: Round,
    slot: int,
    protocol: Protocol,
    scratch: Scratch,
) -> None:
    """Look up or draw the rewards of the chosen slate and add the round to the sums."""
    slate, rewards = scratch.slates[slot], scratch.rewards[slot]
    if protocol.truth:
        meet(meter, rows.users, row, round.candidates, slate, scratch.visit)
    if protocol.simulated:
        key = scramble(protocol.draws, at)
        users, visit = rows.users, scratch.visit
        for k in range(slate.shape[0]):
            visit.items[k] = round.candidates[slate[k]]
        draw_clicks(users.weights, users.goes_on, visit.shown, visit.items, key, rewards, visit.saw)
    else:
        for k in range(slate.shape[0]):
            rewards[k] = rows.rewards[row, k if protocol.replay else slate[k]]
    if protocol.weighed:
        weigh(
            meter,
            rows.logger,
            row,
            round.candidates,
            rows.rewards[row],
            rows.slate[row],
            slate,
            protocol.own,
            scratch.visit,
        )
    if protocol.similar:
        metrics.count_similarity(meter, round.features, slate, scratch.visit.total)
    first, last = rows.liked_from[row], rows.liked_from[row + 1]
    metrics.count_slate(meter, round.candidates, slate, rewards, rows.liked[first:last], rows.number[first:last])
    metrics.count_recommendation(meter, round.scores[slate[0]], protocol.silence, rewards[0])
    if protocol.known:
        metrics.count_regret(meter, rows.best[row], rows.value[row], slate)
    if protocol.ranked:
        metrics.count_ranking(meter, round.candidates, round.scores, slate, rows.liked[first:last])


@inlined
def read_due(meter: metrics.Meter, at: int, protocol: Protocol) -> None:
    """Read the checkpoints that are due before the round at place `at` of the log."""
    silent = protocol.silence > -np.inf
    metrics.read_until(meter, at, protocol.ranked, protocol.known, protocol.replay, silent)


@kernel
def reveal_all(rows: Rows, row: int, slot: int, scratch: Scratch) -> None:
    """Fill the `all_` arrays: the shown slate first, then the other candidates in their order."""
    slate = scratch.slates[slot]
    scratch.all_seen[:] = False
    n = 0
    for k in range(slate.shape[0]):
        scratch.all_slate[n] = slate[k]
        scratch.all_seen[slate[k]] = True
        n += 1
    for c in range(scratch.all_slate.shape[0]):
        if not scratch.all_seen[c]:
            scratch.all_slate[n] = c
            n += 1
    for k in range(n):
        scratch.all_rewards[k] = rows.rewards[row, scratch.all_slate[k]]
        scratch.all_seen[k] = True


@inlined
def with_all(round: Round, scratch: Scratch) -> Round:
    """The same round, with a propensity for every candidate."""
    return Round(
        round.t,
        round.user,
        round.context,
        round.candidates,
        round.features,
        round.ties,
        round.scores,
        scratch.all_propensities,
        round.notes,
    )


def select(state: Any, rng: Any, round: Round, slate: np.ndarray) -> None:
    """Stands for the policy's kernel in the templates below."""


def update(state: Any, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """Stands for the policy's kernel in the templates below."""


def wins(state: Any, rng: Any, round: Round, candidate: int) -> bool:
    """Stands for the policy's kernel in the templates below."""
    return False


@inlined
def differ(slate: np.ndarray, logged: np.ndarray) -> bool:
    """Are two slates (K,) different?"""
    for k in range(slate.shape[0]):
        if slate[k] != logged[k]:
            return True
    return False


def deliver(state: Any, rows: Rows, protocol: Protocol, scratch: Scratch) -> None:
    """Template: give the waiting rounds their feedback, in their order."""
    for slot in range(scratch.clock[1]):
        row = scratch.rows[slot]
        # with feedback at once the round that waits is the one that was composed last
        round = round_at(rows, row, scratch.at[slot], slot, protocol, scratch, protocol.batch == 1)
        if protocol.full:
            reveal_all(rows, row, slot, scratch)
            update(state, with_all(round, scratch), scratch.all_slate, scratch.all_rewards, scratch.all_seen)
        else:
            update(state, round, scratch.slates[slot], scratch.rewards[slot], scratch.seen[slot])
    scratch.clock[0] += scratch.clock[1]
    scratch.clock[1] = 0


def drive(
    state: Any,
    rng: Any,
    rows: Rows,
    index: np.ndarray,
    at: np.ndarray,
    protocol: Protocol,
    scratch: Scratch,
    meter: metrics.Meter,
) -> None:
    """Template: play the rows `index` (n,), which stand at the ascending places `at` (n,) of the log.

    A batch is the rounds whose places share at // batch. Whatever is left waiting is delivered at the
    end, so a call must end where a batch ends.
    """
    state, rows, scratch, meter = borrow(state), borrow(rows), borrow(scratch), borrow(meter)
    size = index.shape[0]
    for n in range(size + 1):  # one turn more, so that `deliver` is compiled in one place only
        due = n == size or protocol.batch == 1 or at[n] // protocol.batch != at[n - 1] // protocol.batch
        if scratch.clock[1] > 0 and due:
            deliver(state, rows, protocol, scratch)
        if n == size:
            return
        row = index[n]
        read_due(meter, at[n], protocol)
        slot = scratch.clock[1]
        round = round_at(rows, row, at[n], slot, protocol, scratch)
        slate = scratch.slates[slot]
        for c in range(round.scores.shape[0]):
            round.scores[c] = 0.0
        for k in range(slate.shape[0]):
            round.notes[k] = 0
        if protocol.lazy:
            slate[0] = rows.slate[row, 0]
            if not wins(state, rng, round, slate[0]):
                continue
        else:
            select(state, rng, round, slate)
            if protocol.replay and differ(slate, rows.slate[row]):
                continue
        meter.fault[0] = fault_of(slate, round.scores, not protocol.lazy)
        if meter.fault[0] != 0:
            meter.fault[1] = at[n]
            return
        count(meter, rows, row, at[n], round, slot, protocol, scratch)
        scratch.rows[slot] = row
        scratch.at[slot] = at[n]
        scratch.clock[1] += 1


def compiled(policy: type[KernelPolicy], lazy: bool = False) -> Callable[..., None]:
    """The loop above, compiled for the kernels of this policy; from disk where they have been compiled before.

    The loop that asks `select` and the `lazy` one, which asks `wins`, are two: most runs need only the shorter.
    """
    if (policy, lazy) not in _loops:
        _loops[policy, lazy] = _compile(policy, lazy)
    return _loops[policy, lazy]


_loops: dict[tuple[type[KernelPolicy], bool], Callable[..., None]] = {}


def _compile(policy: type[KernelPolicy], lazy: bool) -> Callable[..., None]:
    name = f"{policy.__module__}.{policy.__qualname__}"
    module = policy.__module__ if policy.__module__.startswith("lersbench.policies.") else ""
    learns = specialise(deliver, name, module, update=policy.kernels[1])
    asked = dict(zip(("select", "wins"), policy.kernels[::2], strict=False))
    if not lazy:
        # A stand-in that all policies shared would be cached with a user's types, which others cannot import. The lazy
        # loop keeps the `select` it never asks: without it, `wins` was measured 2.5 times slower.
        asked["wins"] = specialise(wins, name, module)
    return specialise(drive, f"{name}.{'lazy' if lazy else 'eager'}", module, deliver=learns, **asked)


def batched(policy: Policy) -> Callable[..., None]:
    """The same loop in Python, a batch at a time, through `select_batch` and `update_batch`."""

    def drive(state, rng, rows, index, at, protocol, scratch, meter) -> None:
        edges = np.flatnonzero(np.diff(at // protocol.batch)) + 1
        for own, places in zip(np.split(index, edges), np.split(at, edges), strict=True):
            if own.size:
                _play_batch(policy, state, rng, rows, own, places, protocol, scratch, meter)
            if meter.fault[0]:
                return

    return drive


def _play_batch(policy, state, rng, rows, index, at, protocol, scratch, meter) -> None:
    scratch.scores[: index.size] = 0.0
    scratch.notes[: index.size] = 0
    rounds, slates = [], []
    for slot, (row, place) in enumerate(zip(index, at, strict=True)):
        round = _own_features(round_at(rows, row, place, slot, protocol, scratch), protocol)
        rounds.append(round if isinstance(policy, KernelPolicy) else _read_only(round))
        slates.append(scratch.slates[slot])
    policy.select_batch(state, rng, rounds, slates)
    told: list[tuple[Any, ...]] = []
    for slot, (row, place) in enumerate(zip(index, at, strict=True)):
        read_due(meter, place, protocol)
        if protocol.replay and not np.array_equal(slates[slot], rows.slate[row]):
            continue
        meter.fault[0] = fault_of(slates[slot], rounds[slot].scores, not protocol.lazy)
        if meter.fault[0]:
            meter.fault[1] = place
            return
        count(meter, rows, row, place, rounds[slot], slot, protocol, scratch)
        if protocol.full:
            reveal_all(rows, row, slot, scratch)
            everything = (scratch.all_slate, scratch.all_rewards, scratch.all_seen)
            told.append((with_all(rounds[slot], scratch), *(a.copy() for a in everything)))
        else:
            told.append((rounds[slot], slates[slot], scratch.rewards[slot], scratch.seen[slot]))
    if told:
        policy.update_batch(state, *map(list, zip(*told, strict=True)))
    scratch.clock[0] += len(told)


def _own_features(round: Round, protocol: Protocol) -> Round:
    """Composed features live in one scratch array: a batch of rounds needs a copy each."""
    return round._replace(features=round.features.copy()) if protocol.users >= 0 and protocol.batch > 1 else round


def _read_only(round: Round) -> Round:
    """The round with what belongs to the log protected: other contenders read the same arrays."""
    views = {name: getattr(round, name).view() for name in LENT}
    for view in views.values():
        view.flags.writeable = False
    return round._replace(**views)


FAULTS = {
    1: "filled its slate with an index that is not in 0..C-1",
    2: "put the same candidate twice into its slate",
    3: "gave a candidate a score that is not a number",
    4: "gave a candidate an infinite score",
}
REASONS = {
    1: "",
    2: "",
    3: " A score that is not a number comes from 0 / 0, or from numbers that grew beyond 1e308",
    4: " Scores are finite: let what was never shown come first with a large number, such as 1e300. Else numbers grew "
    "beyond 1e308",
}


class Contender:
    """One policy with its state, random numbers and sums: one run through a log."""

    def __init__(self, policy: Policy, spec: Spec, protocol: Protocol, meter: metrics.Meter, rng: np.random.Generator):
        asks = isinstance(policy, KernelPolicy) and len(policy.kernels) > 2
        loud = protocol.silence == -np.inf  # `wins` gives no score, and silence is a matter of the score
        lazy = protocol.replay and protocol.slate == 1 and asks and loud
        self.policy, self.protocol, self.meter, self.rng = policy, protocol._replace(lazy=lazy), meter, rng
        self.played = 0  # rounds it was offered
        self._rows: Rows | None = None
        self._lent: Any = None  # the rows in the order in which this policy finds candidates
        self._own: Any = None  # the same, or a copy of them
        self.scratch = _scratch(spec, protocol)
        self.state = policy.init(spec)
        self.drive = compiled(type(policy), lazy) if isinstance(policy, KernelPolicy) else batched(policy)

    def play(self, rows: Rows, index: np.ndarray, at: np.ndarray) -> None:
        """Play rows of one chunk. Raises RunError where the policy breaks its contract."""
        self.played += index.size
        if rows is not self._rows:
            self._check_lent()
            self._rows, self._lent = rows, as_logged(rows) if self.protocol.own else rows
            self._own = self._copy(self._lent)
        try:
            self.drive(self.state, self.rng, self._own, index, at, self.protocol, self.scratch, self.meter)
        except LostDigits as error:
            raise RunError(
                f"{self.policy!r} has lost the digits of its estimates, in round {self.scratch.clock[2]} of the log: "
                f"they would be wrong from here on. {self._largest(rows)}"
            ) from error
        if fault := int(self.meter.fault[0]):
            reason = f"{REASONS[fault]}. {self._largest(rows)}" if REASONS[fault] else ""
            raise RunError(f"{self.policy!r} {FAULTS[fault]}, in round {self.meter.fault[1]} of the log.{reason}")

    def _largest(self, rows: Rows) -> str:
        composed = self.protocol.users >= 0
        return largest(rows.context, rows.features, rows.items if composed else rows.items[:0])

    def finish(self, rounds: int) -> None:
        """Read the checkpoints left, after a log of this many rounds."""
        self._check_lent()
        read_due(self.meter, rounds, self.protocol)

    def _copy(self, rows: Rows) -> Rows:
        """The rows a foreign kernel may see: compiled code can write where it should only read."""
        foreign = isinstance(self.policy, KernelPolicy) and not type(self.policy).__module__.startswith("lersbench.")
        return rows._replace(**{name: getattr(rows, name).copy() for name in LENT}) if foreign else rows

    def _check_lent(self) -> None:
        if self._own is self._lent:
            return
        for name in LENT:
            if not np.array_equal(getattr(self._own, name), getattr(self._lent, name)):
                raise RunError(f"{self.policy!r} wrote to {name} of a round, which belongs to the log.")


def _scratch(spec: Spec, protocol: Protocol) -> Scratch:
    batch, wide, slate = protocol.batch, spec.n_candidates, protocol.slate
    return Scratch(
        np.zeros(3, np.int64),
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
        Visit(
            np.zeros(wide, np.int64),
            np.zeros(slate, np.int64),
            np.zeros(slate),
            np.zeros(slate + 1),
            np.zeros(slate),
            np.zeros(slate),
            np.zeros(spec.m),
            np.ones(wide),
        ),
    )


class Known(NamedTuple):
    """What is known of a log beside its rounds."""

    items: np.ndarray  # (n_items, p) static features
    family: np.ndarray  # (n_items,) int64
    model: ClickModel  # how users click; of length 0 where unknown
    logger: Logger  # the fitted click models; exposures are filled in chunk by chunk
    examination: np.ndarray  # (L,) what policies are told of them, see policy.Spec; or (0,)
    examination_after: np.ndarray  # (L, L + 1), or (0, 0)
    uniform: bool = False  # the logged list is a uniformly random order of its items
    scales: Scales = PLAIN  # what context and joint features are standardised by
    scored: bool = True  # scores, where the log has them, tell the probability of every order of the candidates


def known_of(items: np.ndarray, n_items: int, family: np.ndarray | None = None) -> Known:
    """A log of which nothing is known but its items, and perhaps the family of each."""
    none = np.zeros(0)
    alone = np.arange(n_items) if family is None else family
    model = ClickModel(np.zeros((0, 1)), none, 1.0)
    logger = Logger(none, np.zeros((0, 0)), none, np.zeros((2, 0, 0)), np.inf, np.zeros((0, 0)))
    return Known(items, alone, model, logger, none, np.zeros((0, 0)))


def rows_of(
    chunk: Chunk, items: np.ndarray | Known, feedback: str, slate: int, likes: bool = True, mix: int | None = None
) -> Rows:
    """A chunk as this feedback shows it, with what all contenders need computed once.

    Under "logged" and "simulated" the candidates of a round are the items of its logged slate. The reward of an item
    is its logged click wherever a policy places it, or a click drawn from the click model of the world. `slate` is K;
    without `likes` no liked items are looked up.

    `mix` is the key of the order in which the candidates of a round stand: a hash of it and of the place of the round
    in the log, so that no policy can profit from the order of the file or of a ranker. None leaves them as logged.
    """
    known = items if isinstance(items, Known) else known_of(items, int(chunk.candidates.max(initial=0)) + 1)
    n = chunk.user.shape[0]
    replayed, listed = feedback == "replay", feedback in ("logged", "simulated")
    shown, order = chunk.slate, chunk.slate if listed else None
    if mix is not None:
        places = np.empty((n, (chunk.slate if listed else chunk.candidates).shape[1]), np.int64)
        random_places(mix, chunk.start, places)
        order = np.take_along_axis(chunk.slate, places, axis=1) if listed else places
        shown = np.argsort(places, axis=1)  # where each old place has gone
        shown = shown if listed else np.take_along_axis(shown, chunk.slate, axis=1) if chunk.slate.size else chunk.slate
    elif listed:
        shown = np.tile(np.arange(chunk.slate.shape[1]), (n, 1))
    candidates, features = _pick(chunk.candidates, order, n), _pick(chunk.features, order, n)
    value, attraction, scores = (_pick(a, order, n) for a in (chunk.expected, chunk.attraction, chunk.scores))
    if replayed:
        rewards, value = chunk.clicks, value[:0]
    elif listed:
        rewards = chunk.clicks if mix is None else _pick(chunk.clicks, places, n)
    else:
        rewards = _pick(chunk.rewards, order, n)
    if not value.shape[0] and not replayed:
        value = rewards
    likes = likes and feedback not in ("replay", "simulated")
    return Rows(
        chunk.user,
        chunk.context,
        candidates,
        features,
        known.items,
        rewards,
        shown,
        value,
        _best(value, slate) if value.shape[0] else np.zeros(0),
        *_liked(rewards if likes else rewards[:0], n),
        np.empty(0, np.int32),
        _users(known, attraction, candidates, slate),
        _logger(known, feedback, scores, candidates, shown),
    )


def as_logged(rows: Rows) -> Rows:
    """Rows of a ranked list with the candidates of each round as they were shown, from the top down."""
    n, order = rows.user.shape[0], rows.slate
    rewards, exposure = _pick(rows.rewards, order, n), rows.logger.exposure
    if exposure.shape[1]:
        exposure = np.stack([_pick(one, order, n) for one in exposure])
    placed = _pick(rows.logger.placed, order, n)
    liked_from, liked = _liked(rewards if rows.liked.size else rewards[:0], n)
    return rows._replace(
        candidates=_pick(rows.candidates, order, n),
        features=_pick(rows.features, order, n),
        rewards=rewards,
        slate=np.tile(np.arange(order.shape[1]), (n, 1)),
        value=_pick(rows.value, order, n),
        users=rows.users._replace(attraction=_pick(rows.users.attraction, order, n)),
        liked_from=liked_from,
        liked=liked,
        logger=rows.logger._replace(exposure=exposure, placed=placed),
    )


def _liked(rewards: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the likes of each of n rounds begin among all likes (n + 1,), and their candidates."""
    row, liked = np.nonzero(rewards)
    # nonzero gives columns of one array, which would be one more signature
    return np.concatenate([[0], np.cumsum(np.bincount(row, minlength=n))]), np.ascontiguousarray(liked)


@kernel
def random_places(key: int, first: int, out: np.ndarray) -> None:
    """Fill `out` (n, C) with a random order of 0..C-1 for each of the rounds from place `first` of the log on."""
    for row in range(out.shape[0]):
        stream = scramble(key, first + row)
        for c in range(out.shape[1]):
            out[row, c] = c
        for c in range(out.shape[1] - 1, 0, -1):
            j = scramble(stream, c) % (c + 1)
            out[row, c], out[row, j] = out[row, j], out[row, c]


def _pick(values: np.ndarray, order: np.ndarray | None, n: int) -> np.ndarray:
    """`values` (n, C) or (n, C, m), or one row for all, with the candidates `order` (n, k); what is empty stays so."""
    if order is None or not values.size:
        return values
    deep = values.reshape(*values.shape[:2], -1)
    out = np.empty((n, order.shape[1], deep.shape[2]), values.dtype)
    pick(deep, order, out)
    return out.reshape(n, order.shape[1], *values.shape[2:])


@kernel
def pick(values: np.ndarray, order: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (n, k, m) with the rows `order` (n, k) of `values` (n, C, m) or (1, C, m)."""
    for row in range(out.shape[0]):
        source = values[0 if values.shape[0] == 1 else row]
        for c in range(out.shape[1]):
            for i in range(out.shape[2]):
                out[row, c, i] = source[order[row, c], i]


def _users(known: Known, attraction: np.ndarray, candidates: np.ndarray, slate: int) -> Users:
    weights, goes_on, fade = known.model
    best = np.zeros((attraction.shape[0] if weights.shape[0] else 0, 2))
    if best.shape[0]:
        best_values(attraction, candidates, known.family, weights, goes_on, fade, slate, best)
    return Users(attraction, known.family, weights, goes_on, fade, best)


@kernel
def best_values(
    attraction: np.ndarray,
    candidates: np.ndarray,
    family: np.ndarray,
    weights: np.ndarray,
    goes_on: np.ndarray,
    fade: float,
    size: int,
    out: np.ndarray,
) -> None:
    """Fill `out` (n, 2) with the expected CTR_sum and CTR_set of the best slate of `size` positions of each round."""
    slate, shown, examined = np.zeros(size, np.int64), np.zeros(size), np.zeros(size)
    reached, kin = np.zeros(size + 1), np.zeros(candidates.shape[1], np.int64)
    for row in range(out.shape[0]):
        offered = candidates[0 if candidates.shape[0] == 1 else row]
        for c in range(kin.shape[0]):
            kin[c] = family[offered[c]]
        best_slate(attraction[row], kin, fade, slate)
        shown_attraction(attraction[row], kin, slate, fade, shown)
        out[row, 0], out[row, 1] = expected(weights, goes_on, shown, reached, examined)


def _logger(known: Known, feedback: str, scores: np.ndarray, candidates: np.ndarray, logged: np.ndarray) -> Logger:
    """The fitted click models with the propensities of a chunk, which only re-ranked logged lists are weighed by.

    `scores` (n, C) are the logging policy's; `logged` (n, L) is the candidate at each position of the log.
    """
    shape, fitted = (len(logged), candidates.shape[1]), known.logger
    logger = fitted._replace(exposure=np.zeros((2, 0, shape[1])), placed=np.zeros((0, shape[1])))
    if feedback != "logged":
        return logger
    if known.uniform:
        logger = logger._replace(placed=np.full(shape, 1.0 / shape[1]))
    elif scores.shape[0] and known.scored:
        at = np.argsort(logged, axis=1)[:, :, None]  # the position of each candidate
        logger = logger._replace(placed=np.take_along_axis(propensity.placements(scores), at, axis=2)[:, :, 0])
    if not logger.placed.shape[0] or not fitted.examination.shape[0]:
        return logger
    models = pbm(fitted.examination), ubm(fitted.after)
    attraction = fitted.attraction[np.broadcast_to(candidates, shape)]
    if known.uniform:
        both = [propensity.uniform_exposures(model, attraction) for model in models]
    else:
        both = [propensity.exposures(model, scores, attraction) for model in models]
    return logger._replace(exposure=np.stack(both))


def _best(value: np.ndarray, slate: int) -> np.ndarray:
    """The worth (n,) of the best slate of each round."""
    if slate == 1:
        return value.max(axis=1)
    if slate >= value.shape[1]:
        return value.sum(axis=1)
    return np.partition(value, -slate, axis=1)[:, -slate:].sum(axis=1)
