"""How likely a policy is to put each candidate at each place of a logged slate, given the logged items above it.

What cascade-DR asks beside the chances of what was logged, see `chances`: the expectation of a model over what the
policy would have done. There are two ways: the policy's own `chance`, or the scores of a deterministic one. Frequencies
of draws will not do: below a few places no draw has the logged items above.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lersbench.engine.chances import (
    DETERMINISTIC,
    DRAWS,
    WHOLE,
    chance_of,
    clear,
    how,
    refuse_shown,
    sound,
)
from lersbench.engine.loop import Desk, View, round_at
from lersbench.engine.rounds import Protocol, Scratch
from lersbench.engine.rows import Rows
from lersbench.engine.seat import Seat, compiled, in_python
from lersbench.errors import ConfigError, RunError
from lersbench.kernels.jit import kernel
from lersbench.kernels.uncounted import borrow, part
from lersbench.policy import KernelPolicy, Policy, Round, Spec


class Below(NamedTuple):
    """Chances of n rounds; of a round with K positions and C candidates K times C of them, position by position."""

    chances: np.ndarray  # (M,) of each candidate, given the logged items above; 0 for all where the policy never comes
    edges: np.ndarray  # (n + 1,) int64 of the rounds


def refuse_drawn(policy: Policy) -> None:
    """Raise ConfigError for a policy whose chances take draws."""
    if how(policy) == DRAWS:
        raise ConfigError(
            f"{policy!r} says no chances, and draws seldom have the logged items above: nothing tells what it would "
            "put below them, as cascade-dr needs. Give it a `chance`, or declare it deterministic where it is and "
            "fills the scores; or use rips."
        )


def chances_below(
    policy: Policy,
    state: Any,
    spec: Spec,
    rows: Rows,
    rng: np.random.Generator,
    protocol: Protocol,
    index: np.ndarray | None = None,
    at: np.ndarray | None = None,
    learned: int = 0,
) -> Below:
    """The chances of all candidates at each place of the logged slates of the rows `index` (n,), or of all.

    At a place whose logged items above the policy never shows together they are 0. Arguments as those of `chances`,
    and nothing is drawn from `rng`. Raises as `chances`, ConfigError for a policy that says no chances, and RunError
    where those of a place do not sum to 1.
    """
    refuse_shown(policy)
    refuse_drawn(policy)
    seat = Seat(policy, spec, rows, protocol, index, at)
    seat.scratch.clock[0] = learned
    edges = np.append(0, np.cumsum(np.diff(seat.top) * np.diff(seat.first)))
    out = np.zeros(int(edges[-1]))
    seat.run(_loop(policy), state, rng, edges, out)
    wrong = _not_whole(seat.top, seat.first, edges, out)
    if wrong[0] >= 0:
        row, place, wide = *map(int, wrong), int(np.diff(seat.first)[wrong[0]])
        total = out[edges[row] + place * wide :][:wide].sum()
        raise RunError(
            f"{policy!r} gave the candidates at position {place} below what was logged in round {seat.at[row]} chances "
            f"whose sum is {total}: none may be negative, and the sum is 1; a score is a finite number."
        )
    return Below(out, edges)


def _loop(policy: Policy) -> Any:
    """The loop for this policy, compiled where the policy is."""
    scored = how(policy) == DETERMINISTIC
    template = by_scores if scored else by_chance
    if isinstance(policy, KernelPolicy) and (scored or type(policy).chance_kernel is not None):
        kernels = {"select": policy.kernels[0]} if scored else {"chance": type(policy).chance_kernel}
        return compiled(template, type(policy), {}, **kernels)

    def select(state: Any, rng: Any, round: Round, slate: np.ndarray) -> None:
        policy.select_batch(state, rng, [round], [slate])

    plain = {of.__name__: getattr(of, "py_func", of) for of in (clear, sound, is_above)}
    asked = {"select": select} if scored else {"chance": chance_of(policy)}
    return in_python(template, policy, {}, **asked, **plain)


@kernel
def _not_whole(top: np.ndarray, first: np.ndarray, edges: np.ndarray, out: np.ndarray) -> np.ndarray:
    """The first row and position whose chances are negative, or sum to neither 1 nor, below the top, 0; -1 for none."""
    found = np.full(2, -1)
    for n in range(edges.shape[0] - 1):
        wide = first[n + 1] - first[n]
        for k in range(top[n + 1] - top[n]):
            total, least = 0.0, 0.0
            for c in range(wide):
                total += out[edges[n] + k * wide + c]
                least = min(least, out[edges[n] + k * wide + c])
            if least < 0.0 or not (abs(total - 1.0) <= WHOLE or (k > 0 and total == 0.0)):
                found[0], found[1] = n, k
                return found
    return found


# The loops ------------------------------------------------------------------------------------------------------------
def select(state: Any, rng: Any, round: Round, slate: np.ndarray) -> None:
    """Stands for the policy's kernel in the template below."""


def chance(state: Any, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
    """Stands for the policy's kernel in the template below."""


@kernel
def is_above(slate: np.ndarray, k: int, candidate: int) -> bool:
    """Is the candidate one of slate[:k]?"""
    found = False
    for j in range(k):
        found |= slate[j] == candidate
    return found


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
    edges: np.ndarray,
    out: np.ndarray,
) -> None:
    """Template: fill `out` (M,), zeros before, by what the policy says."""
    state, view, scratch = borrow(state), borrow(view), borrow(scratch)
    for n in range(index.shape[0]):
        round = round_at(view, index[n], at[n], 0, protocol, scratch, desk, False, part(view.shown_at, 0, 0))
        slate, wide, low = part(slates, top[n], top[n + 1]), first[n + 1] - first[n], edges[n]
        trial, said = np.empty(slate.shape[0], np.int64), np.empty(slate.shape[0])
        for k in range(slate.shape[0]):
            for c in range(wide):
                if not is_above(slate, k, c):
                    for j in range(k):
                        trial[j] = slate[j]
                    trial[k] = c
                    clear(round)
                    chance(state, round, trial[: k + 1], said[: k + 1])
                    out[low + k * wide + c] = said[k]
            if out[low + k * wide + slate[k]] == 0.0:
                break


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
    edges: np.ndarray,
    out: np.ndarray,
) -> None:
    """Template: fill `out` (M,), zeros before, by the scores of a deterministic policy: the best of what is left comes
    next, equals as likely as each other."""
    state, view, scratch = borrow(state), borrow(view), borrow(scratch)
    for n in range(index.shape[0]):
        round = round_at(view, index[n], at[n], 0, protocol, scratch, desk, False, part(view.shown_at, 0, 0))
        slate, own = part(slates, top[n], top[n + 1]), part(scratch.slates[0], 0, top[n + 1] - top[n])
        wide, low = first[n + 1] - first[n], edges[n]
        clear(round)
        select(state, rng, round, own)
        if not sound(round.scores):
            out[low] = math.nan
            continue
        for k in range(slate.shape[0]):
            highest, equal = -math.inf, 0
            for c in range(wide):
                if not is_above(slate, k, c):
                    equal = equal + 1 if round.scores[c] == highest else 1 if round.scores[c] > highest else equal
                    highest = max(highest, round.scores[c])
            for c in range(wide):
                if round.scores[c] == highest and not is_above(slate, k, c):
                    out[low + k * wide + c] = 1.0 / equal
            if out[low + k * wide + slate[k]] == 0.0:
                break
