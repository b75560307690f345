"""How likely a policy is to choose the slates that another one has shown: the numerators of importance weights.

There are three ways, the best one that a policy offers is taken (`how`): its own `chance`; for a deterministic one, its
scores; else draws of `select`. All are chances over the policy's random numbers and over the order of equal scores,
given what it has learned: nothing is learned here.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lersbench.engine.loop import Desk, View, round_at
from lersbench.engine.rounds import Protocol, Scratch
from lersbench.engine.rows import Rows
from lersbench.engine.seat import Inner, Seat, compiled, in_python
from lersbench.errors import ConfigError, LostDigits, RunError
from lersbench.kernels.jit import inlined, kernel
from lersbench.kernels.tie_chances import foremost, placements, ranked
from lersbench.kernels.ties import scramble
from lersbench.kernels.uncounted import borrow, part
from lersbench.policy import KernelPolicy, Policy, Round, Spec

CHANCE, DETERMINISTIC, DRAWS = "chance", "deterministic", "draws"
ROUNDING = 1e-9  # a chance this much above 1 is 1
WHOLE = 1e-6  # chances of all candidates that sum to 1 but for this much do


class Chances(NamedTuple):
    """Chances of n rounds, whose S positions and N candidates lie end to end."""

    logged: np.ndarray  # (S,) of the logged item at its position, given that the logged ones stand above it
    placed: np.ndarray  # (S,) of the logged item at its position, whatever stands above; (0,) where not asked for
    offered: np.ndarray  # (N,) of each candidate on top; (0,) where not asked for
    how: str  # CHANCE, DETERMINISTIC or DRAWS
    draws: int  # draws of `select` a round behind `logged` and `offered`; 0 where they are exact
    top: np.ndarray  # (n + 1,) int64 edges of the slates
    first: np.ndarray  # (n + 1,) int64 edges of the candidates

    def slates(self) -> np.ndarray:
        """The chances (n,) of whole logged slates."""
        return np.multiply.reduceat(self.logged, self.top[:-1]) if self.logged.size else np.zeros(0)

    def error(self) -> np.ndarray:
        """The standard error (n,) that the draws leave in `slates`: 0 where these are exact, NaN for a single draw.

        The draws of different rows are independent, so an interval from the scatter of rows has this error in it.
        """
        q = self.slates()
        if not self.draws:
            return np.zeros_like(q)
        return np.sqrt(q * (1.0 - q) / (self.draws - 1)) if self.draws > 1 else np.full_like(q, np.nan)


def how(policy: Policy) -> str:
    """Which of the three ways is taken for a policy."""
    if chance_of(policy) is not None:
        return CHANCE
    return DETERMINISTIC if policy.deterministic else DRAWS


def chance_of(policy: Policy) -> Any:
    """The policy's kernel or method `chance`, or None."""
    return getattr(type(policy), "chance_kernel", None) or getattr(policy, "chance", None)


def chance_now(policy: Policy, state: Any, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (K,) with the chance of each of `slate` (K,) below those above it, in one round, exactly.

    `round` is as `select` is given it. Not for a policy whose chances take draws.
    """
    if isinstance(policy, KernelPolicy) and type(policy).chance_kernel is not None:
        type(policy).chance_kernel(state, round, slate, out)
    elif chance_of(policy) is not None:
        policy.chance(state, round, slate, out)  # type: ignore[attr-defined]
    elif policy.deterministic:
        policy.select_batch(state, np.random.default_rng(0), [round], [np.zeros(len(round.notes), np.int64)])
        ranked(round.scores, slate, out)
    else:
        raise ValueError(f"{policy!r} has no chances but by draws")


def refuse_shown(policy: Policy) -> None:
    """Raise ConfigError for a policy whose slate is the logged one."""
    if policy.shows_the_log:
        raise ConfigError(
            f"{policy!r} shows what was logged in the very round (shows_the_log), so there are no chances to weigh by. "
            "Its value is the mean of the logged rewards."
        )


def chances(
    policy: Policy,
    state: Any,
    spec: Spec,
    rows: Rows,
    rng: np.random.Generator,
    protocol: Protocol,
    index: np.ndarray | None = None,
    everything: bool = False,
    draws: int = 1,
    *,
    at: np.ndarray | None = None,
    placed: bool = True,
    learned: int = 0,
) -> Chances:
    """The chances that `policy` with this `state` had to choose the logged slates of the rows `index` (n,), or of all.

    `rows` come from `rows_of`, so candidates stand as in a replay of the log; `spec.slate` is at least the length of
    the logged slates. Of `protocol` its `ties`, `users` and `items` are read. `at` (n,) are the places of the rows in
    the log (default: `index`), `learned` is what `round.t` says: the rounds that the policy has learned from.

    `everything` asks for `offered`, and `placed` (which takes draws where slates have several positions and the policy
    a `chance`) can be left out. `draws` >= 1 are those of a round, from `rng`; ties are drawn as well.

    `state` is left as it is, but for working memory; a policy that draws from a generator of its own draws on.
    Raises ConfigError for a policy that shows the log, and for slates longer than `spec.slate`; RunError for chances
    or scores that are none.
    """
    refuse_shown(policy)
    if draws < 1:
        raise ConfigError(f"draws = {draws}: at least one draw a round is wanted.")
    way, seat = how(policy), Seat(policy, spec, rows, protocol, index, at)
    seat.scratch.clock[0] = learned
    logged = np.empty(seat.top[-1])
    offered = np.zeros(seat.first[-1] if everything else 0)
    stands = np.empty(seat.top[-1] if placed else 0)
    where = seat.view, seat.index, seat.at, seat.protocol, seat.scratch, seat.desk, seat.top, seat.first, seat.logged
    flags = {"EVERYTHING": everything}
    try:
        if way == CHANCE:
            _loop(by_chance, policy, flags, chance=True)(state, rng, *where, logged, offered)
            if placed and spec.slate > 1:
                _loop(places_by_draws, policy, {}, chance=True)(state, rng, *where, draws, stands)
            else:
                stands = logged.copy() if placed else stands
        elif way == DETERMINISTIC:
            _loop(by_scores, policy, flags)(state, rng, *where, logged, stands, offered)
        else:
            _loop(by_draws, policy, flags)(state, rng, *where, draws, logged, stands, offered)
    except LostDigits as error:
        raise RunError(f"{policy!r} has lost the digits of its estimates: {error}.") from error
    seat.check_lent()
    _check(policy, seat, logged, offered)
    return Chances(logged, stands, offered, way, draws if way == DRAWS else 0, seat.top, seat.first)


def _loop(template: Any, policy: Policy, flags: dict[str, bool], chance: bool = False) -> Any:
    """The template for this policy, compiled where all it asks is."""
    if isinstance(policy, KernelPolicy) and (not chance or type(policy).chance_kernel is not None):
        kind = type(policy)
        asked = {"select": policy.kernels[0]}
        if chance:
            asked |= {"chance": kind.chance_kernel}
            asked |= {"offer": kind.offer_kernel or Inner(offer_each, chance=kind.chance_kernel)}
        names = template.__code__.co_names
        return compiled(template, kind, flags, **{name: one for name, one in asked.items() if name in names})

    def select(state: Any, rng: Any, round: Round, slate: np.ndarray) -> None:
        policy.select_batch(state, rng, [round], [slate])

    asked = {"select": select, "clear": _python(clear), "with_ties": _python(with_ties)}
    if chance:
        method = policy.chance  # type: ignore[attr-defined]
        asked |= {"chance": method, "offer": getattr(policy, "offer", None) or Inner(offer_each, chance=method)}
    return in_python(template, policy, flags, **asked)


def _python(function: Any) -> Any:
    """What stands behind a kernel."""
    return getattr(function, "py_func", function)


def _check(policy: Policy, seat: Seat, logged: np.ndarray, offered: np.ndarray) -> None:
    """Raise RunError where a chance is none."""
    wrong = np.flatnonzero(~((logged >= 0.0) & (logged <= 1.0 + ROUNDING)))
    if wrong.size:
        row = int(np.searchsorted(seat.top, wrong[0], "right")) - 1
        raise RunError(
            f"{policy!r} gave position {wrong[0] - seat.top[row]} of the slate that was logged in round {seat.at[row]} "
            f"the chance {logged[wrong[0]]}: a chance lies in [0, 1], and a score is a finite number."
        )
    if offered.size:
        total = np.add.reduceat(offered, seat.first[:-1])
        wrong = np.flatnonzero(~(np.abs(total - 1.0) <= WHOLE) | (np.minimum.reduceat(offered, seat.first[:-1]) < 0.0))
        if wrong.size:
            raise RunError(
                f"{policy!r} gave the candidates of round {seat.at[wrong[0]]} chances to stand on top that are "
                f"negative, or sum to {total[wrong[0]]} where 1 is due."
            )


# The loops ------------------------------------------------------------------------------------------------------------
EVERYTHING = False  # stands for the argument in the templates below


def select(state: Any, rng: Any, round: Round, slate: np.ndarray) -> None:
    """Stands for the policy's kernel in the templates below."""


def chance(state: Any, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
    """Stands for the policy's kernel in the templates below."""


def offer(state: Any, round: Round, out: np.ndarray) -> None:
    """Stands for the policy's kernel in the templates below, or for `offer_each`."""


@inlined
def clear(round: Round) -> None:
    """What a round comes with before each question: zeros."""
    for c in range(round.scores.shape[0]):
        round.scores[c] = 0.0
    for k in range(round.notes.shape[0]):
        round.notes[k] = 0


@inlined
def with_ties(round: Round, ties: int) -> Round:
    """The same round with another order of equal scores."""
    return Round(
        round.t,
        round.user,
        round.context,
        round.candidates,
        round.features,
        ties,
        round.scores,
        round.propensities,
        round.notes,
        round.time,
        round.request,
        round.shown_at,
    )


def offer_each(state: Any, round: Round, out: np.ndarray) -> None:
    """Template: ask for the chance of every candidate to stand on top."""
    slate = np.empty(1, np.int64)
    for c in range(out.shape[0]):
        slate[0] = c
        for i in range(round.scores.shape[0]):
            round.scores[i] = 0.0
        chance(state, round, slate, part(out, c, c + 1))


def by_chance(
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
    logged: np.ndarray,
    offered: np.ndarray,
) -> None:
    """Template: fill `logged` (S,) with what the policy says, and `offered` (N,) where EVERYTHING is wanted."""
    state, view, scratch = borrow(state), borrow(view), borrow(scratch)
    for n in range(index.shape[0]):
        round = round_at(view, index[n], at[n], 0, protocol, scratch, desk, False, 0)
        clear(round)
        slate = part(scratch.slates[0], 0, top[n + 1] - top[n])
        for k in range(slate.shape[0]):
            slate[k] = slates[top[n] + k]
        chance(state, round, slate, part(logged, top[n], top[n + 1]))
        if EVERYTHING:
            clear(round)
            offer(state, round, part(offered, first[n], first[n + 1]))


def by_scores(
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
    logged: np.ndarray,
    placed: np.ndarray,
    offered: np.ndarray,
) -> None:
    """Template: fill `logged` (S,), `placed` (S,) or (0,), and `offered` (N,) or (0,), by the scores of the policy."""
    state, view, scratch = borrow(state), borrow(view), borrow(scratch)
    for n in range(index.shape[0]):
        round = round_at(view, index[n], at[n], 0, protocol, scratch, desk, False, 0)
        clear(round)
        select(state, rng, round, part(scratch.slates[0], 0, top[n + 1] - top[n]))
        slate, out = part(slates, top[n], top[n + 1]), part(logged, top[n], top[n + 1])
        if sound(round.scores):
            ranked(round.scores, slate, out)
            if placed.shape[0] > 0:
                placements(round.scores, slate, part(placed, top[n], top[n + 1]))
            if EVERYTHING:
                foremost(round.scores, part(offered, first[n], first[n + 1]))
        else:
            out[0] = math.nan


@kernel
def sound(scores: np.ndarray) -> bool:
    """Are all scores (C,) finite numbers?"""
    strange = False
    for c in range(scores.shape[0]):
        strange |= not abs(scores[c]) < math.inf
    return not strange


def by_draws(
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
    draws: int,
    logged: np.ndarray,
    placed: np.ndarray,
    offered: np.ndarray,
) -> None:
    """Template: the same by `draws` slates of the policy, each with its own random numbers and order of equal scores.

    `logged` are frequencies among the draws that have the logged items above, so that their product down to a position
    is the frequency of all the items down to it, which is unbiased.
    """
    state, view, scratch = borrow(state), borrow(view), borrow(scratch)
    for n in range(index.shape[0]):
        round = round_at(view, index[n], at[n], 0, protocol, scratch, desk, False, 0)
        slate, own = part(slates, top[n], top[n + 1]), part(scratch.slates[0], 0, top[n + 1] - top[n])
        counts = part(logged, top[n], top[n + 1])
        for k in range(slate.shape[0]):
            counts[k] = 0.0
            if placed.shape[0] > 0:
                placed[top[n] + k] = 0.0
        for draw in range(draws):
            clear(round)
            select(state, rng, with_ties(round, scramble(round.ties, draw) if draw > 0 else round.ties), own)
            agrees = True
            for k in range(slate.shape[0]):
                hit = own[k] == slate[k]
                agrees = agrees and hit
                counts[k] += agrees
                if placed.shape[0] > 0:
                    placed[top[n] + k] += hit / draws
            if EVERYTHING:
                offered[first[n] + own[0]] += 1.0 / draws
        before = 1.0 * draws
        for k in range(slate.shape[0]):
            count = counts[k]
            counts[k] = count / before if before > 0.0 else 0.0
            before = count


def places_by_draws(
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
    draws: int,
    placed: np.ndarray,
) -> None:
    """Template: fill `placed` (S,) with the chance of the logged item below what the policy draws for the positions
    above, the mean of `draws`. Exact on top, and elsewhere less noisy than counting how often the item is drawn."""
    state, view, scratch = borrow(state), borrow(view), borrow(scratch)
    trial, said = np.empty(scratch.slates.shape[1], np.int64), np.empty(scratch.slates.shape[1])
    for n in range(index.shape[0]):
        round = round_at(view, index[n], at[n], 0, protocol, scratch, desk, False, 0)
        slate, own = part(slates, top[n], top[n + 1]), part(scratch.slates[0], 0, top[n + 1] - top[n])
        for k in range(slate.shape[0]):
            placed[top[n] + k] = 0.0
        for draw in range(draws if slate.shape[0] > 1 else 1):
            clear(round)
            select(state, rng, with_ties(round, scramble(round.ties, draw) if draw > 0 else round.ties), own)
            for k in range(slate.shape[0]):
                taken = False
                for j in range(k):
                    trial[j] = own[j]
                    taken = taken or own[j] == slate[k]
                if not taken:
                    trial[k] = slate[k]
                    clear(round)
                    chance(state, round, part(trial, 0, k + 1), part(said, 0, k + 1))
                    placed[top[n] + k] += said[k] / (draws if slate.shape[0] > 1 else 1)
