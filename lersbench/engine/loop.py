"""The loop: a log past a policy, compiled where the policy offers kernels, in Python batches otherwise.

Both engines are the same sequence of steps: read the checkpoints that are due, deliver the feedback of the last batch,
show the round to the policy, check its slate, count it. What does not depend on the policy is done by `service`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from lersbench.engine.delays import NEXT_PLACE
from lersbench.engine.rounds import Protocol, Scratch, positions_of
from lersbench.engine.service import ADMIT, COMPOSE, COUNT, DELAYS, DELIVER, DUE, READ, REVEAL, SERVICE
from lersbench.kernels.indirect import call
from lersbench.kernels.jit import inlined, specialise
from lersbench.kernels.lowering import unowned
from lersbench.kernels.ties import scramble
from lersbench.kernels.uncounted import borrow, part
from lersbench.policy import KernelPolicy, Policy, Round

LENT = ("context", "candidates", "features", "shown_at")  # arrays of the log that a round shows to a policy


class View(NamedTuple):
    """The fields of `Rows` that a policy's loop reads itself; never written to."""

    user: np.ndarray  # (n,) int64
    context: np.ndarray  # (n, d)
    first: np.ndarray  # (n + 1,) int64 edges of the candidates of each round
    own: int  # 1: the candidates of a round begin at its `first`; 0: all rounds share the candidates (C,)
    candidates: np.ndarray  # (N,) int64, or (C,)
    features: np.ndarray  # (N, m)
    top: np.ndarray  # (n + 1,) int64 edges of the logged slates
    slate: np.ndarray  # (S,) logged slates, as indices into the candidates
    time: np.ndarray  # (n,) int64 microseconds, or (0,)
    start: int  # number of the first row in the log
    shown_at: np.ndarray  # (N,) int64 place of each candidate in the log, where policies are charged by it; else (0,)


class Desk(NamedTuple):
    """Where to call for what does not depend on the policy: see `indirect.call`."""

    address: int
    box: int
    delays: int  # the address of what serves delayed feedback; 0 where feedback is not delayed


@unowned
@inlined
def round_at(
    view: View,
    row: int,
    at: int,
    slot: int,
    protocol: Protocol,
    scratch: Scratch,
    desk: Desk,
    composed: bool,
    shown_at: np.ndarray,
) -> Round:
    """The round of this row, its outputs in place `slot` of the scratch memory.

    `composed` tells that its joint features are in the scratch memory already. `shown_at` is that of the round where
    the policy learns, and nothing where it chooses: then it may not know where the log showed what.
    """
    scratch.clock[2] = at
    first, last = view.first[row], view.first[row + 1]
    wide, offered = last - first, view.own * first
    size = positions_of(view.top, row, wide, protocol)
    features = part(scratch.features, 0, wide)
    if protocol.users < 0:
        features = part(view.features, first, last)
    elif not composed:
        call(desk.address, desk.box, COMPOSE, row, at, slot)
    return Round(
        scratch.clock[0],
        view.user[row],
        view.context[row],
        part(view.candidates, offered, offered + wide),
        features,
        scramble(protocol.ties, at),
        part(scratch.scores[slot], 0, wide),
        part(scratch.propensities[slot], 0, size),
        part(scratch.notes[slot], 0, size),
        view.time[row] if view.time.shape[0] else -1,
        view.start + row,
        shown_at,
    )


@unowned
@inlined
def with_propensities(round: Round, propensities: np.ndarray) -> Round:
    """The same round with other propensities."""
    return Round(
        round.t,
        round.user,
        round.context,
        round.candidates,
        round.features,
        round.ties,
        round.scores,
        propensities,
        round.notes,
        round.time,
        round.request,
        round.shown_at,
    )


def select(state: Any, rng: Any, round: Round, slate: np.ndarray) -> None:
    """Stands for the policy's kernel in the templates below."""


def update(state: Any, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """Stands for the policy's kernel in the templates below."""


def wins(state: Any, rng: Any, round: Round, candidate: int) -> bool:
    """Stands for the policy's kernel in the templates below."""
    return False


DELAYED = False  # stands for `Protocol.delayed` in the templates below: most loops are compiled without it


@inlined
def differ(slate: np.ndarray, logged: np.ndarray) -> bool:
    """Are two slates (K,) different?"""
    for k in range(slate.shape[0]):
        if slate[k] != logged[k]:
            return True
    return False


def deliver(state: Any, view: View, now: int, protocol: Protocol, scratch: Scratch, desk: Desk) -> None:
    """Template: give the waiting rounds their feedback, in their order; where it is delayed, what is known by the time
    of the row `now`."""
    delivered = 0
    while True:
        slot = delivered
        if DELAYED:
            slot = call(desk.delays, desk.box, DELIVER, now, 0, 0)
        if slot < 0 or (not DELAYED and slot == scratch.clock[1]):
            break
        delivered += 1
        row, at = scratch.rows[slot], scratch.at[slot]
        # with feedback at once the round that waits is the one that was composed last
        composed = protocol.batch == 1 and not DELAYED
        shown_at = part(view.shown_at, protocol.charged * view.first[row], protocol.charged * view.first[row + 1])
        round = round_at(view, row, at, slot, protocol, scratch, desk, composed, shown_at)
        size, propensities = round.notes.shape[0], round.propensities
        slate, rewards = part(scratch.slates[slot], 0, size), part(scratch.rewards[slot], 0, size)
        seen = part(scratch.seen[slot], 0, size)
        if DELAYED:
            rewards = part(scratch.queue.paid, 0, size)
        if protocol.full:
            call(desk.address, desk.box, REVEAL, row, at, slot)
            wide = round.candidates.shape[0]
            slate, rewards = part(scratch.all_slate, 0, wide), part(scratch.all_rewards, 0, wide)
            seen, propensities = part(scratch.all_seen, 0, wide), part(scratch.all_propensities, 0, wide)
        update(state, with_propensities(round, propensities), slate, rewards, seen)  # in one place: it is inlined
    if not DELAYED:
        scratch.clock[0] += scratch.clock[1]
        scratch.clock[1] = 0


def drive(
    state: Any,
    rng: Any,
    view: View,
    index: np.ndarray,
    at: np.ndarray,
    protocol: Protocol,
    scratch: Scratch,
    desk: Desk,
) -> None:
    """Template: play the rows `index` (n,), which stand at the ascending places `at` (n,) of the log.

    A batch is the rounds whose places share at // batch. Whatever is left waiting is delivered at the
    end, so a call must end where a batch ends. Delayed feedback that is not known yet stays for the next call.
    """
    state, view, scratch = borrow(state), borrow(view), borrow(scratch)
    size, nowhere = index.shape[0], part(view.shown_at, 0, 0)
    for n in range(size + 1):  # one turn more, so that `deliver` is compiled in one place only
        if DELAYED and n == size:
            return
        due = n == size or protocol.batch == 1 or at[n] // protocol.batch != at[n - 1] // protocol.batch
        row = index[n] if n < size else 0
        if due and (DELAYED or scratch.clock[1] > 0):
            deliver(state, view, row, protocol, scratch, desk)
        if n == size:
            return
        if at[n] >= scratch.clock[DUE]:
            call(desk.address, desk.box, READ, row, at[n], 0)
        slot = scratch.clock[NEXT_PLACE] if DELAYED else scratch.clock[1]
        round = round_at(view, row, at[n], slot, protocol, scratch, desk, False, nowhere)
        slate = part(scratch.slates[slot], 0, round.notes.shape[0])
        for c in range(round.scores.shape[0]):
            round.scores[c] = 0.0
        for k in range(slate.shape[0]):
            round.notes[k] = 0
        if protocol.lazy:
            slate[0] = view.slate[row]  # slates of one position
            if not wins(state, rng, round, slate[0]):
                continue
        else:
            select(state, rng, round, slate)
            if protocol.replay and differ(slate, part(view.slate, view.top[row], view.top[row + 1])):
                continue
        if call(desk.address, desk.box, COUNT, row, at[n], slot) != 0:
            return
        if DELAYED:
            call(desk.delays, desk.box, ADMIT, row, at[n], slot)
            continue
        scratch.rows[slot] = row
        scratch.at[slot] = at[n]
        scratch.clock[1] += 1


_loops: dict[tuple[type[KernelPolicy], bool, bool], Callable[..., None]] = {}


def compiled(policy: type[KernelPolicy], lazy: bool = False, delayed: bool = False) -> Callable[..., None]:
    """The loop above, compiled for the kernels of this policy; from disk where they have been compiled before.

    The loop that asks `select`, the `lazy` one, which asks `wins`, and those with `delayed` feedback are several: most
    runs need only the shortest.
    """
    if (policy, lazy, delayed) in _loops:
        return _loops[policy, lazy, delayed]
    name = f"{policy.__module__}.{policy.__qualname__}{'.delayed' if delayed else ''}"
    module = policy.__module__ if policy.__module__.startswith("lersbench.policies.") else ""
    learns = specialise(deliver, name, module, inner=True, update=policy.kernels[1], DELAYED=delayed)
    asked = dict(zip(("select", "wins"), policy.kernels[::2], strict=False))
    if not lazy:
        # A stand-in that all policies shared would be cached with a user's types, which others cannot import. The lazy
        # loop keeps the `select` it never asks: without it, `wins` was measured 2.5 times slower.
        asked["wins"] = specialise(wins, name, module, inner=True)
    kind = f"{name}.{'lazy' if lazy else 'eager'}"
    _loops[policy, lazy, delayed] = specialise(drive, kind, module, deliver=learns, DELAYED=delayed, **asked)
    return _loops[policy, lazy, delayed]


# In Python ------------------------------------------------------------------------------------------------------------
def batched(policy: Policy, delayed: bool = False) -> Callable[..., None]:
    """The same loop in Python, through `select_batch` and `update_batch`: a batch at a time, or round by round where
    feedback is delayed."""

    def drive(state, rng, view, index, at, protocol, scratch, desk) -> None:
        edges = np.flatnonzero(np.diff(at // protocol.batch)) + 1
        for rows, here in zip(np.split(index, edges), np.split(at, edges), strict=True):
            if rows.size and not _play_batch(policy, state, rng, view, rows, here, protocol, scratch, desk):
                return

    def drive_delayed(state, rng, view, index, at, protocol, scratch, desk) -> None:
        for row, place in zip(index.tolist(), at.tolist(), strict=True):
            if not _play_delayed(policy, state, rng, view, row, place, protocol, scratch, desk):
                return

    return drive_delayed if delayed else drive


def _play_batch(policy, state, rng, view, index, at, protocol, scratch, desk) -> bool:
    """Play one batch; False where a slate was broken."""
    scratch.scores[: index.size] = 0.0
    scratch.notes[: index.size] = 0
    ask = SERVICE.asked
    rounds, slates = [], []
    for slot, (row, place) in enumerate(zip(index.tolist(), at.tolist(), strict=True)):
        round = round_in_python(view, row, place, slot, protocol, scratch, desk)
        rounds.append(round if isinstance(policy, KernelPolicy) else read_only(round))
        slates.append(scratch.slates[slot, : len(round.notes)])
    policy.select_batch(state, rng, rounds, slates)
    learned: list[tuple[Any, ...]] = []
    for slot, (row, place) in enumerate(zip(index.tolist(), at.tolist(), strict=True)):
        if place >= scratch.clock[DUE]:
            ask(desk.box, READ, row, place, slot)
        if protocol.replay and not np.array_equal(slates[slot], view.slate[view.top[row] : view.top[row + 1]]):
            continue
        if protocol.users >= 0 and protocol.batch > 1:  # the features at hand are those of the last round
            ask(desk.box, COMPOSE, row, place, slot)
        if ask(desk.box, COUNT, row, place, slot):
            return False
        told = _charged(policy, rounds[slot], view, row, protocol)
        if protocol.full:
            ask(desk.box, REVEAL, row, place, slot)
            wide = len(rounds[slot].candidates)
            everything = (scratch.all_slate[:wide], scratch.all_rewards[:wide], scratch.all_seen[:wide])
            round = told._replace(propensities=scratch.all_propensities[:wide])
            learned.append((round, *(array.copy() for array in everything)))
        else:
            size = len(slates[slot])
            learned.append((told, slates[slot], scratch.rewards[slot, :size], scratch.seen[slot, :size]))
    if learned:
        policy.update_batch(state, *map(list, zip(*learned, strict=True)))
    scratch.clock[0] += len(learned)
    return True


def _play_delayed(policy, state, rng, view, row, place, protocol, scratch, desk) -> bool:
    """Play one round, before which the policy learns from all that is known by its time; False for a broken slate."""

    def round_of(row: int, place: int, slot: int) -> Round:
        round = round_in_python(view, row, place, slot, protocol, scratch, desk)
        return round if isinstance(policy, KernelPolicy) else read_only(round)

    ask = SERVICE.asked
    learned: list[tuple[Any, ...]] = []
    while (slot := DELAYS.asked(desk.box, DELIVER, row, 0, 0)) >= 0:
        then, at = int(scratch.rows[slot]), int(scratch.at[slot])
        round = _charged(policy, round_of(then, at, slot), view, then, protocol)
        size, given = len(round.notes), (scratch.slates[slot], scratch.queue.paid, scratch.seen[slot])
        if protocol.full:
            ask(desk.box, REVEAL, then, at, slot)
            size, given = len(round.candidates), (scratch.all_slate, scratch.all_rewards, scratch.all_seen)
            round = round._replace(propensities=scratch.all_propensities[:size])
        learned.append((round, *(array[:size].copy() for array in given)))
    if learned:
        policy.update_batch(state, *map(list, zip(*learned, strict=True)))
    if place >= scratch.clock[DUE]:
        ask(desk.box, READ, row, place, 0)
    slot = int(scratch.clock[NEXT_PLACE])
    scratch.scores[slot], scratch.notes[slot] = 0.0, 0
    round = round_of(row, place, slot)
    slate = scratch.slates[slot, : len(round.notes)]
    policy.select_batch(state, rng, [round], [slate])
    if protocol.replay and not np.array_equal(slate, view.slate[view.top[row] : view.top[row + 1]]):
        return True
    if ask(desk.box, COUNT, row, place, slot):
        return False
    DELAYS.asked(desk.box, ADMIT, row, place, slot)
    return True


def round_in_python(
    view: View, row: int, at: int, slot: int, protocol: Protocol, scratch: Scratch, desk: Desk
) -> Round:
    """`round_at` in Python. Composed features live in one scratch array: a batch of rounds needs a copy each."""
    scratch.clock[2] = at
    first, last = int(view.first[row]), int(view.first[row + 1])
    wide, offered = last - first, view.own * first
    size = positions_of(view.top, row, wide, protocol)
    features = scratch.features[:wide]
    if protocol.users < 0:
        features = view.features[first:last]
    else:
        SERVICE.asked(desk.box, COMPOSE, row, at, slot)
        features = features.copy() if protocol.batch > 1 or protocol.delayed else features
    return Round(
        int(scratch.clock[0]),
        int(view.user[row]),
        view.context[row],
        view.candidates[offered : offered + wide],
        features,
        scramble(protocol.ties, at),
        scratch.scores[slot, :wide],
        scratch.propensities[slot, :size],
        scratch.notes[slot, :size],
        int(view.time[row]) if view.time.size else -1,
        view.start + row,
    )


def _charged(policy: Policy, round: Round, view: View, row: int, protocol: Protocol) -> Round:
    """The round as its policy learns from it: it is told where the log showed what, if it is charged by that."""
    first, last = protocol.charged * view.first[row], protocol.charged * view.first[row + 1]
    told = round._replace(shown_at=view.shown_at[first:last])
    return told if isinstance(policy, KernelPolicy) else read_only(told)


def read_only(round: Round) -> Round:
    """The round with what belongs to the log protected: other contenders read the same arrays."""
    views = {name: getattr(round, name).view() for name in LENT}
    for view in views.values():
        view.flags.writeable = False
    return round._replace(**views)
