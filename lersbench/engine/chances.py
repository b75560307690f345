"""How likely a policy is to choose the slates that another one has shown: the numerators of importance weights.

There are three ways, the best one that a policy offers is taken (`how`): its own `chance`; for a deterministic one, its
scores; else draws of `select`. All are chances over the policy's random numbers and over the order of equal scores,
given what it has learned: nothing is learned here.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lersbench.engine.heeded import Heeded
from lersbench.engine.loop import Desk, View, round_at
from lersbench.engine.rounds import Protocol, Scratch
from lersbench.engine.rows import Rows
from lersbench.engine.seat import Inner, Seat, compiled, in_python
from lersbench.errors import ConfigError, RunError
from lersbench.kernels.jit import inlined, kernel
from lersbench.kernels.tie_chances import foremost, placements, ranked
from lersbench.kernels.ties import scramble
from lersbench.kernels.uncounted import borrow, part
from lersbench.policy import KernelPolicy, Policy, Round, Spec

CHANCE, DETERMINISTIC, DRAWS = "chance", "deterministic", "draws"
PLACES = "places"  # what is asked besides where a policy with chances fills several positions
WINS, NOTHING = "wins", "nothing"  # further ways, for policies that are taught
ROUNDING = 1e-9  # a chance this much above 1 is 1
WHOLE = 1e-6  # chances of all candidates that sum to 1 but for this much do


UNTAUGHT = np.empty(0), np.empty(0), np.empty(0, np.bool_)  # propensities, rewards and `seen` of nothing


class Chances(NamedTuple):
    """Chances of n rounds, whose S positions and N candidates lie end to end."""

    logged: np.ndarray  # (S,) of the logged item at its position, given that the logged ones stand above it
    placed: np.ndarray  # (S,) of the logged item at its position, whatever stands above; (0,) where not asked for
    offered: np.ndarray  # (N,) of each candidate on top; (0,) where not asked for
    how: str  # CHANCE, DETERMINISTIC or DRAWS; WINS and NOTHING where learners are played, see `learning`
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
    answer = new_answer(seat, everything, placed)
    seat.run(asker(policy, way, everything), state, rng, *UNTAUGHT, draws, *answer)
    if way == CHANCE and placed:
        if spec.slate == 1:
            answer.placed[:] = answer.logged
        else:
            nothing = np.empty(0)
            seat.run(asker(policy, PLACES), state, rng, *UNTAUGHT, draws, nothing, answer.placed, nothing)
    check(policy, seat, answer)
    return Chances(*answer, way, draws if way == DRAWS else 0, seat.top, seat.first)


class Answer(NamedTuple):
    """What a loop fills: see `Chances`. Of what is not asked for, nothing."""

    logged: np.ndarray  # (S,)
    placed: np.ndarray  # (S,) or (0,)
    offered: np.ndarray  # (N,) or (0,)


def new_answer(seat: Seat, everything: bool, placed: bool) -> Answer:
    """Room for the answers about the rows of a seat."""
    sizes = seat.top[-1], seat.top[-1] if placed else 0, seat.first[-1] if everything else 0
    return Answer(*map(np.zeros, sizes))


def asker(policy: Policy, way: str, everything: bool = False, learns: bool = False) -> Any:
    """The loop `ask_rows` that asks a policy in this way, compiled where the policy is."""
    return looped(ask_rows, policy, way, {"LEARNS": learns, "EVERYTHING": everything}, learns)


def looped(template: Any, policy: Policy, way: str, flags: dict[str, bool], learns: bool) -> Any:
    """A `template` that asks a policy in this way and, where it `learns`, teaches it. `flags` are its own, and
    EVERYTHING that of `ask`."""
    kernels = _kernels(policy, way)
    if kernels is not None:
        assert isinstance(policy, KernelPolicy)
        ask = Inner(ASKS[way], EVERYTHING=flags["EVERYTHING"], **kernels)
        taught = {"update": policy.kernels[1]} if learns else {}
        return compiled(template, type(policy), {**flags, f"{way.upper()}_WAY": True}, ask=ask, **taught)

    select = Heeded(policy)

    def update(state: Any, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
        policy.update_batch(state, [round], [slate], [rewards], [seen])

    asked = {"select": select, "clear": _python(clear), "with_ties": _python(with_ties)}
    if way in (CHANCE, PLACES):
        method = policy.chance  # type: ignore[attr-defined]
        asked |= {"chance": method, "offer": getattr(policy, "offer", None) or Inner(offer_each, chance=method)}
    ask = Inner(ASKS[way], EVERYTHING=flags["EVERYTHING"], **asked)
    loop = in_python(template, policy, flags, ask=ask, update=update, clear=_python(clear))

    def run(*given: Any) -> None:
        loop(*given)
        select.end()

    return run


def _kernels(policy: Policy, way: str) -> dict[str, Any] | None:
    """What stands for the names of a template of `ASKS`, for a policy that has kernels for all of them; else None."""
    if not isinstance(policy, KernelPolicy):
        return None
    chance = type(policy).chance_kernel
    kernels = dict(zip(("select", "wins"), policy.kernels[::2], strict=False))
    kernels |= {"chance": chance, "offer": type(policy).offer_kernel or Inner(offer_each, chance=chance)}
    names = {"select", "wins", "chance", "offer"} & set(ASKS[way].__code__.co_names)
    if "chance" in names and chance is None:
        return None
    return {name: kernels[name] for name in names}


def _python(function: Any) -> Any:
    """What stands behind a kernel."""
    return getattr(function, "py_func", function)


def check(policy: Policy, seat: Seat, answer: Answer) -> None:
    """Raise RunError where a chance is none."""
    logged, offered = answer.logged, answer.offered
    wrong = np.flatnonzero(~((logged >= 0.0) & (logged <= 1.0 + ROUNDING)))
    if wrong.size:
        row = int(np.searchsorted(seat.top, wrong[0], "right")) - 1
        raise RunError(
            f"{policy!r} gave position {wrong[0] - seat.top[row]} of the slate that was logged in round {seat.at[row]} "
            f"the chance {logged[wrong[0]]}: a chance lies in [0, 1], and a score is a finite number."
        )
    if offered.size and (row := _not_whole(offered, seat.first)) >= 0:
        said = offered[seat.first[row] : seat.first[row + 1]]
        raise RunError(
            f"{policy!r} gave the candidates of round {seat.at[row]} chances to stand on top of {said.min()} and more, "
            f"whose sum is {said.sum()}: none may be negative, and the sum is 1."
        )


@kernel
def _not_whole(offered: np.ndarray, first: np.ndarray) -> int:
    """The first row whose chances are negative, or do not sum to 1; -1 where there is none."""
    for n in range(first.shape[0] - 1):
        total, least = 0.0, 0.0
        for i in range(first[n], first[n + 1]):
            total += offered[i]
            least = min(least, offered[i])
        if not abs(total - 1.0) <= WHOLE or least < 0.0:
            return n
    return -1


# The loops ------------------------------------------------------------------------------------------------------------
EVERYTHING = False  # stands for the argument in the templates below
LEARNS = False  # and this for whether the policy is taught what it was asked about


def select(state: Any, rng: Any, round: Round, slate: np.ndarray) -> None:
    """Stands for the policy's kernel in the templates below."""


def update(state: Any, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """Stands for the policy's kernel in the templates below."""


def chance(state: Any, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
    """Stands for the policy's kernel in the templates below."""


def offer(state: Any, round: Round, out: np.ndarray) -> None:
    """Stands for the policy's kernel in the templates below, or for `offer_each`."""


def wins(state: Any, rng: Any, round: Round, candidate: int) -> bool:
    """Stands for the policy's kernel in the templates below."""
    return False


def ask(
    state: Any,
    rng: Any,
    round: Round,
    slate: np.ndarray,
    own: np.ndarray,
    draws: int,
    logged: np.ndarray,
    placed: np.ndarray,
    offered: np.ndarray,
) -> None:
    """Stands for one of the `ask_` templates below. They fill `logged` (K,), `placed` (K,) or (0,) and, where
    EVERYTHING is wanted, `offered` (C,) for the logged `slate` (K,) of a round; `own` (K,) is left holding what the
    policy has chosen itself, where it was asked for that."""


def ask_rows(
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
    propensities: np.ndarray,
    rewards: np.ndarray,
    seen: np.ndarray,
    draws: int,
    logged: np.ndarray,
    placed: np.ndarray,
    offered: np.ndarray,
) -> None:
    """Template: ask about each of the rows `index` (n,). Where the policy LEARNS it is then told what was logged in the
    row: `propensities`, `rewards` and `seen` (S,)."""
    state, view, scratch = borrow(state), borrow(view), borrow(scratch)
    for n in range(index.shape[0]):
        round = round_at(view, index[n], at[n], 0, protocol, scratch, desk, False, part(view.shown_at, 0, 0))
        slate, own = part(slates, top[n], top[n + 1]), part(scratch.slates[0], 0, top[n + 1] - top[n])
        some = part(placed, top[n], top[n + 1]) if placed.shape[0] > 0 else part(placed, 0, 0)
        every = part(offered, first[n], first[n + 1]) if offered.shape[0] > 0 else part(offered, 0, 0)
        it = part(logged, top[n], top[n + 1]) if logged.shape[0] > 0 else part(logged, 0, 0)
        ask(state, rng, round, slate, own, draws, it, some, every)
        if LEARNS:
            clear(round)
            for k in range(slate.shape[0]):
                own[k], round.propensities[k] = slate[k], propensities[top[n] + k]
            update(state, round, own, part(rewards, top[n], top[n + 1]), part(seen, top[n], top[n + 1]))
            scratch.clock[0] += 1


@inlined
def clear(round: Round) -> None:
    """What a round comes with before each question: zeros."""
    for c in range(round.scores.shape[0]):
        round.scores[c] = 0.0
    for k in range(round.notes.shape[0]):
        round.notes[k] = 0


@inlined
def with_ties(round: Round, draw: int) -> Round:
    """The same round with another order of equal scores; draw 0 has that of the round itself."""
    ties = scramble(round.ties, draw) if draw > 0 else round.ties
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


def ask_chance(
    state: Any,
    rng: Any,
    round: Round,
    slate: np.ndarray,
    own: np.ndarray,
    draws: int,
    logged: np.ndarray,
    placed: np.ndarray,
    offered: np.ndarray,
) -> None:
    """Template: what the policy says; `placed` is left to `ask_places`."""
    clear(round)
    for k in range(slate.shape[0]):
        own[k] = slate[k]
    chance(state, round, own, logged)
    if EVERYTHING:
        clear(round)
        offer(state, round, offered)


def offer_each(state: Any, round: Round, out: np.ndarray) -> None:
    """Template: ask for the chance of every candidate to stand on top."""
    slate = np.empty(1, np.int64)
    for c in range(out.shape[0]):
        slate[0] = c
        for i in range(round.scores.shape[0]):
            round.scores[i] = 0.0
        chance(state, round, slate, part(out, c, c + 1))


def ask_scores(
    state: Any,
    rng: Any,
    round: Round,
    slate: np.ndarray,
    own: np.ndarray,
    draws: int,
    logged: np.ndarray,
    placed: np.ndarray,
    offered: np.ndarray,
) -> None:
    """Template: what follows from the scores of a deterministic policy."""
    clear(round)
    select(state, rng, round, own)
    if sound(round.scores):
        ranked(round.scores, slate, logged)
        if slate.shape[0] == 1:
            placed[:] = logged[0]
        elif placed.shape[0] > 0:
            placements(round.scores, slate, placed)
        if EVERYTHING:
            foremost(round.scores, offered)
    else:
        logged[0] = math.nan


@inlined
def sound(scores: np.ndarray) -> bool:
    """Are all scores (C,) finite numbers?"""
    strange = False
    for c in range(scores.shape[0]):
        strange |= not abs(scores[c]) < math.inf
    return not strange


def ask_draws(
    state: Any,
    rng: Any,
    round: Round,
    slate: np.ndarray,
    own: np.ndarray,
    draws: int,
    logged: np.ndarray,
    placed: np.ndarray,
    offered: np.ndarray,
) -> None:
    """Template: frequencies in `draws` slates of the policy, each with its own random numbers and order of equals.

    `logged` are frequencies among the draws that have the logged items above, so that their product down to a position
    is the frequency of all the items down to it, which is unbiased.
    """
    logged[:], placed[:], offered[:] = 0.0, 0.0, 0.0
    for draw in range(draws - 1, -1, -1):  # the last one is what the policy shows in a replay
        clear(round)
        select(state, rng, with_ties(round, draw), own)
        agrees = True
        for k in range(slate.shape[0]):
            hit = own[k] == slate[k]
            agrees = agrees and hit
            logged[k] += agrees
            if placed.shape[0] > 0:
                placed[k] += hit / draws
        if EVERYTHING and 0 <= own[0] < offered.shape[0]:  # else the sum, which is checked, is not 1
            offered[own[0]] += 1.0 / draws
    before = 1.0 * draws
    for k in range(slate.shape[0]):
        count = logged[k]
        logged[k] = count / before if before > 0.0 else 0.0
        before = count


def ask_places(
    state: Any,
    rng: Any,
    round: Round,
    slate: np.ndarray,
    own: np.ndarray,
    draws: int,
    logged: np.ndarray,
    placed: np.ndarray,
    offered: np.ndarray,
) -> None:
    """Template: fill `placed` (K,) with the chance of the logged item below what the policy draws for the positions
    above, the mean of `draws`. Exact on top, and elsewhere less noisy than counting how often the item is drawn."""
    trial, said = np.empty(slate.shape[0], np.int64), np.empty(slate.shape[0])
    placed[:] = 0.0
    for draw in range(draws if slate.shape[0] > 1 else 1):
        clear(round)
        select(state, rng, with_ties(round, draw), own)
        for k in range(slate.shape[0]):
            taken = False
            for j in range(k):
                trial[j] = own[j]
                taken = taken or own[j] == slate[k]
            if not taken:
                trial[k] = slate[k]
                clear(round)
                chance(state, round, trial[: k + 1], said[: k + 1])
                placed[k] += said[k] / (draws if slate.shape[0] > 1 else 1)


def ask_wins(
    state: Any,
    rng: Any,
    round: Round,
    slate: np.ndarray,
    own: np.ndarray,
    draws: int,
    logged: np.ndarray,
    placed: np.ndarray,
    offered: np.ndarray,
) -> None:
    """Template: whether the policy chooses the logged item of one position, by its kernel `wins`."""
    clear(round)
    hit = wins(state, rng, round, slate[0])
    own[0] = slate[0] if hit else -1
    logged[0] = 1.0 if hit else 0.0


def ask_nothing(
    state: Any,
    rng: Any,
    round: Round,
    slate: np.ndarray,
    own: np.ndarray,
    draws: int,
    logged: np.ndarray,
    placed: np.ndarray,
    offered: np.ndarray,
) -> None:
    """Template: for a policy that is only taught."""


ASKS: dict[str, Any] = {
    CHANCE: ask_chance,
    DETERMINISTIC: ask_scores,
    DRAWS: ask_draws,
    PLACES: ask_places,
    WINS: ask_wins,
    NOTHING: ask_nothing,
}
