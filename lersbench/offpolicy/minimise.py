"""The minimum of a smooth convex function of many numbers by its gradient alone: L-BFGS."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

MEMORY = 10  # last steps from which the curvature is read
SHORTER = 40  # halvings of a step before it is given up
ENOUGH = 1e-4  # of what the slope promises, that a step must bring (Armijo)


class Minimum(NamedTuple):
    at: np.ndarray  # (k,)
    value: float
    steps: int
    settled: bool  # False where the steps ran out first
    moves: list[tuple[np.ndarray, np.ndarray]]  # the last steps, and what they changed of the gradient


def minimise(
    function: Callable[[np.ndarray], tuple[float, np.ndarray]],
    start: np.ndarray,
    close: float,
    most: int,
    moves: list[tuple[np.ndarray, np.ndarray]] | None = None,
) -> Minimum:
    """The minimum of `function`, which gives a value and a gradient (k,), from `start` (k,) on; that is left as it is.

    Limited-memory BFGS (Nocedal 1980, two-loop recursion of Nocedal & Wright, algorithm 7.4) with backtracking. It ends
    when a step gains less than `close`, or after `most` of them. `moves`, of a minimum of much the same function, say
    how this one is curved before the first step.
    """
    at = start.copy()
    value, slope = function(at)
    moves = list(moves or ())
    for step in range(most):
        direction = _direction(slope, moves)
        promise = float(slope @ direction)
        if not promise < 0:
            return Minimum(at, value, step, True, moves)
        found = _search(function, at, value, direction, promise, 1.0 if moves else _first_length(slope))
        if found is None:
            return Minimum(at, value, step, True, moves)
        there, now, slope_there = found
        moves = _remembered(moves, there - at, slope_there - slope)
        gain, at, value, slope = value - now, there, now, slope_there
        if gain < close:
            return Minimum(at, value, step + 1, True, moves)
    return Minimum(at, value, most, False, moves)


def _first_length(slope: np.ndarray) -> float:
    """Of the first step, of which no curvature is known: it changes no number by more than about 1."""
    return 1.0 / max(1.0, float(np.abs(slope).max(initial=0.0)))


def _direction(slope: np.ndarray, moves: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Minus the inverse curvature, as the last moves tell it, times the slope."""
    left, shares = -slope, []
    for move, turn in reversed(moves):
        share = (move @ left) / (move @ turn)
        shares.append(share)
        left = left - share * turn
    if moves:
        move, turn = moves[-1]
        left = left * ((move @ turn) / (turn @ turn))
    for (move, turn), share in zip(moves, reversed(shares), strict=True):
        left = left + (share - (turn @ left) / (move @ turn)) * move
    return left


def _search(
    function: Callable[[np.ndarray], tuple[float, np.ndarray]],
    at: np.ndarray,
    value: float,
    direction: np.ndarray,
    promise: float,
    length: float,
) -> tuple[np.ndarray, float, np.ndarray] | None:
    """A point on the way that is lower, with its value and slope; None where rounding leaves no lower one."""
    for _ in range(SHORTER):
        there = at + length * direction
        now, slope = function(there)
        if now <= value + ENOUGH * length * promise:
            return there, now, slope
        length /= 2
    return None


def _remembered(
    moves: list[tuple[np.ndarray, np.ndarray]], move: np.ndarray, turn: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The moves with another one, unless it shows no curvature."""
    if not move @ turn > 1e-12 * float(np.sqrt((move @ move) * (turn @ turn))):
        return moves
    return [*moves[-(MEMORY - 1) :], (move, turn)]
