"""Lists that a policy would show in the place of logged ones, drawn: what click models weigh by."""

from __future__ import annotations

from typing import Any

import numpy as np

from lersbench.engine.chances import clear, refuse_shown, with_ties
from lersbench.engine.loop import Desk, View, round_at
from lersbench.engine.rounds import Protocol, Scratch
from lersbench.engine.rows import Rows
from lersbench.engine.seat import Seat, compiled, in_python
from lersbench.errors import RunError
from lersbench.kernels.uncounted import borrow, part
from lersbench.policy import KernelPolicy, Policy, Round, Spec


def drawn_slates(
    policy: Policy,
    state: Any,
    spec: Spec,
    rows: Rows,
    rng: np.random.Generator,
    protocol: Protocol,
    index: np.ndarray,
    at: np.ndarray,
    draws: int = 1,
) -> np.ndarray:
    """The lists (draws, S) of `policy` with this `state` for the rows `index` (n,), each as long as the logged one.

    Indices into the candidates of their round, end to end as the logged ones are. Every draw has its own random numbers
    from `rng` and its own order of equal scores; of a policy that has neither all draws are the same. Other arguments
    and errors as those of `chances`.
    """
    refuse_shown(policy)
    seat = Seat(policy, spec, rows, protocol, index, at)
    out = np.empty((draws, int(seat.top[-1])), np.int64)
    seat.run(_loop(policy), state, rng, out)
    _check(policy, seat, out)
    return out


def _loop(policy: Policy) -> Any:
    """The loop for this policy, compiled where the policy is."""
    if isinstance(policy, KernelPolicy):
        return compiled(by_select, type(policy), {}, select=policy.kernels[0])

    def select(state: Any, rng: Any, round: Round, slate: np.ndarray) -> None:
        policy.select_batch(state, rng, [round], [slate])

    plain = {of.__name__: getattr(of, "py_func", of) for of in (clear, with_ties)}
    return in_python(by_select, policy, {}, select=select, **plain)


def _check(policy: Policy, seat: Seat, slates: np.ndarray) -> None:
    """RunError where a list holds what is no candidate, or one twice."""
    lengths = np.diff(seat.top)
    wide, row = np.repeat(np.diff(seat.first), lengths), np.repeat(np.arange(len(lengths)), lengths)
    for slate in slates:
        wrong = (slate < 0) | (slate >= wide)
        if not wrong.any():
            places = np.sort(seat.first[row] + slate)
            wrong = np.append(places[1:] == places[:-1], False) if len(places) else wrong
        if wrong.any():
            number = int(seat.at[row[np.argmax(wrong)]])
            raise RunError(
                f"{policy!r} filled the slate of round {number} with what is no candidate, or with one twice."
            )


def select(state: Any, rng: Any, round: Round, slate: np.ndarray) -> None:
    """Stands for the policy's kernel in the template below."""


def by_select(
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
    out: np.ndarray,
) -> None:
    """Template: fill `out` (draws, S)."""
    state, view, scratch = borrow(state), borrow(view), borrow(scratch)
    for n in range(index.shape[0]):
        round = round_at(view, index[n], at[n], 0, protocol, scratch, desk, False, 0)
        own = part(scratch.slates[0], 0, top[n + 1] - top[n])
        for draw in range(out.shape[0]):
            clear(round)
            select(state, rng, with_ties(round, draw), own)
            for k in range(own.shape[0]):
                out[draw, top[n] + k] = own[k]
