"""EM for the position-based and the user browsing model, on counts.

E-step, for a display with examination weight w and attraction a: a click says examined and attractive; without one
P(attractive) = a (1 - w) / (1 - w a) and P(examined) = w (1 - a) / (1 - w a). M-step: each weight is the mean of
P(examined) over its cell, each attraction the mean of P(attractive) over the item's displays, all from the old values
at once. Chuklin, Markov and de Rijke, Click Models for Web Search, 2015, section 4.

Logs without clickless records. Removing the records that have no click biases these means. With q = the probability
that a list gets no click, each record of that list stands for q / (1 - q) removed ones in expectation; they are added
to the E-step as displays without a click, and the likelihood is divided by 1 - q. This needs the list of every record.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lersbench.errors import RunError
from lersbench.kernels.jit import kernel

HIGHEST = 1.0 - 1e-6  # of a probability: at 1 the E-step would divide by 0; clipping keeps the likelihood monotone
NEARER = 0.1  # of the gap between a parameter and its bound is left by an extrapolation
SLACK = 1e-9  # relative, by which rounding may lower a log-likelihood


class Problem(NamedTuple):
    """The counts of one model; a cell of the position-based model is a position, whatever was clicked above."""

    displays: np.ndarray  # (n_items, cells) int64
    clicks: np.ndarray  # (n_items, cells) int64
    after: np.ndarray  # (cells,) int64: position k of a cell that removed records fall into, or -1
    none: np.ndarray  # (L,) int64: the cell of position k after no click
    slates: np.ndarray  # (n, L) int32 where clickless records were removed, -1 beyond the end of a list; else (0, L)
    removed: np.ndarray  # (n_items, L) float64 scratch: expected displays in removed records


@kernel
def restore(
    slates: np.ndarray, weights: np.ndarray, none: np.ndarray, attraction: np.ndarray, removed: np.ndarray
) -> float:
    """Fill `removed` (n_items, L) with the expected displays in removed records; returns sum log(1 - q)."""
    n, length = slates.shape
    removed[:] = 0.0
    total = 0.0
    for t in range(n):
        quiet, clicked = 1.0, 0.0  # 1 - quiet would lose its digits where clicks are rare
        for k in range(length):
            if slates[t, k] < 0:
                break
            p = weights[none[k]] * attraction[slates[t, k]]
            clicked += quiet * p
            quiet *= 1.0 - p
        total += math.log(clicked)
        each = quiet / clicked
        for k in range(length):
            if slates[t, k] < 0:
                break
            removed[slates[t, k], k] += each
    return total


@kernel
def step(problem: Problem, weights: np.ndarray, attraction: np.ndarray, better: np.ndarray, nicer: np.ndarray) -> float:
    """One EM step: fill `better` (cells,) and `nicer` (n_items,); returns the log-likelihood of the old values."""
    total = 0.0
    if problem.slates.shape[0] > 0:
        total -= restore(problem.slates, weights, problem.none, attraction, problem.removed)
    cells = weights.shape[0]
    shown = np.zeros(cells)
    better[:] = 0.0
    for i in range(attraction.shape[0]):
        a = attraction[i]
        above, below = 0.0, 0.0
        for c in range(cells):
            clicks = problem.clicks[i, c]
            silent = float(problem.displays[i, c] - clicks)
            w = weights[c]
            rest = 1.0 - w * a
            if clicks > 0:
                total += clicks * math.log(w * a)
            if silent > 0.0:
                total += silent * math.log(rest)
            if problem.after[c] >= 0:
                silent += problem.removed[i, problem.after[c]]
            if clicks + silent > 0.0:
                above += clicks + silent * a * (1.0 - w) / rest
                better[c] += clicks + silent * w * (1.0 - a) / rest
                below += clicks + silent
                shown[c] += clicks + silent
        nicer[i] = min(above / below, HIGHEST) if below > 0.0 else a
    for c in range(cells):
        better[c] = min(better[c] / shown[c], HIGHEST) if shown[c] > 0.0 else weights[c]
    return total


@kernel
def smooth(problem: Problem, weights: np.ndarray, attraction: np.ndarray, more: float) -> None:
    """Estimate each attraction (n_items,) anew, in place, as if the item had had `more` displays, and usual ones.

    A usual display is surely examined, and attracts with the mean attraction over all displays. The weights stay. The
    log-likelihood of one item is concave, so its slope has one root, found by halving.
    """
    items, cells = problem.displays.shape
    whole, share = 0.0, 0.0
    for i in range(items):
        shown = problem.displays[i].sum()
        whole += shown
        share += shown * attraction[i]
    usual = share / whole
    for i in range(items):
        low, high = 0.0, HIGHEST
        clicks = problem.clicks[i].sum() + more * usual
        while high - low > 1e-15 + 1e-12 * high:
            a = 0.5 * (low + high)
            slope = clicks / a - more * (1.0 - usual) / (1.0 - a)
            for c in range(cells):
                silent = float(problem.displays[i, c] - problem.clicks[i, c])
                if problem.after[c] >= 0:
                    silent += problem.removed[i, problem.after[c]]
                slope -= silent * weights[c] / (1.0 - weights[c] * a)
            if slope > 0.0:
                low = a
            else:
                high = a
        attraction[i] = 0.5 * (low + high)


def climb(problem: Problem, tolerance: float, limit: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, bool]:
    """EM with extrapolation: weights, attraction, trace, steps, converged.

    Two EM steps give a direction and its curvature, along which a third point is tried; it is kept where its
    likelihood is not below the second's, so the trace never decreases. A try never leaps to 0 or 1, where EM would
    stay for ever: the gap to a bound shrinks tenfold at most. Varadhan and Roland 2008 (SQUAREM), scheme S3.
    """
    cells = problem.displays.shape[1]
    here = np.full(cells + len(problem.displays), 0.5)
    trace: list[float] = []
    steps = 0

    def stepped(point: np.ndarray) -> tuple[np.ndarray, float]:
        nonlocal steps
        steps += 1
        new = np.empty_like(point)
        return new, step(problem, point[:cells], point[cells:], new[:cells], new[cells:])

    def record(value: float) -> None:
        if trace and value < trace[-1] - SLACK * abs(trace[-1]):
            raise RunError(f"EM lowered the log-likelihood from {trace[-1]} to {value}: this is a bug of lersbench")
        trace.append(value)

    before, converged = -math.inf, False
    while steps < limit:
        start = here
        one, value = stepped(start)
        record(value)
        if value - before <= tolerance * abs(value):
            converged = True
            break
        before, here = value, one
        if steps == limit:
            break
        two, value = stepped(one)
        record(value)
        move, bend = one - start, (two - one) - (one - start)
        length = math.sqrt((move @ move) / max(bend @ bend, 1e-300))
        here = two
        if length > 1.0 and steps < limit:
            far = two + 2.0 * (length - 1.0) * move + (length**2 - 1.0) * bend
            far = np.clip(far, NEARER * two, np.minimum(1.0 - NEARER * (1.0 - two), HIGHEST))
            there, value = stepped(far)
            if value >= trace[-1]:
                record(value)
                here = there
    return here[:cells], here[cells:], np.array(trace), steps, converged
