"""Were the logged propensities simulated, rounded or floored? The grid they lie on, from a bounded sample of them.

A propensity that was counted out of D simulated draws is a multiple of g = 1/D, and has a relative error of
sqrt(g / p): 22 % at p = 20 g. Weights 1/p are then off, most where they are largest. Logs do not say how their
propensities were made, but the numbers do.

The sample holds distinct propensities by a hash of their bits: those whose hash ends in `level` zero bits, each with
the rows it had and the sum of their weights. Where the table is full, `level` grows by one and half of it goes (the
distinct sampling of Gibbons, VLDB 2001). So a kept propensity has been counted from its first row on, the sample does
not depend on the order of the rows, two samples merge, and a log of few distinct propensities is kept whole.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lersbench.kernels.jit import inlined, kernel
from lersbench.kernels.ties import scramble

SLOTS = 512  # of the table, a power of two
KEPT = 384  # distinct propensities at most: an open table is slow when it is full
LEVEL, USED = 0, 1  # places of `state`
HALF = 31  # bits of each half of a propensity's 62 that its hash takes

FEWEST = 50  # distinct propensities from which a grid says anything: two levels of an epsilon always have a common step
NEARLY_ALL = 0.99  # of the distinct propensities: a fallback or a floor may lie beside the grid
FINEST = 1e-7  # the smallest step looked for: beyond ten million draws the error of a propensity is no concern
OFF = 1e-3  # of a step: a propensity farther than this from a multiple lies off the grid
GROUPS, OF = 64, 8  # common steps of so many groups of propensities are tried
DRAWS = 25.0  # a propensity below this many steps has a relative error above 20 %


class Sample(NamedTuple):
    """Distinct propensities of a log: see the head of this file. A propensity of 0 marks a free slot."""

    p: np.ndarray  # (SLOTS,)
    rows: np.ndarray  # (SLOTS,) int64
    weights: np.ndarray  # (SLOTS, 2) sum of the weights, and what its rounding lost
    state: np.ndarray  # (2,) int64: the level, and the slots used


def new_sample() -> Sample:
    return Sample(np.zeros(SLOTS), np.zeros(SLOTS, np.int64), np.zeros((SLOTS, 2)), np.zeros(2, np.int64))


@inlined
def added(total: float, lost: float, x: float) -> tuple[float, float]:
    """total + x, and `lost` with what its rounding loses: the two together are right (Neumaier 1974)."""
    after = total + x
    if abs(total) >= abs(x):
        return after, lost + ((total - after) + x)
    return after, lost + ((x - after) + total)


@inlined
def hash_of(bits: int) -> int:
    """A 32-bit hash of the 64 bits of a float above 0."""
    return scramble(bits >> HALF, bits & ((1 << HALF) - 1))


@inlined
def _is_kept(hashed: int, level: int) -> bool:
    return hashed & ((1 << level) - 1) == 0


@inlined
def _slot(p: np.ndarray, hashed: int, wanted: float) -> int:
    """The slot of a propensity, or the free one that it would take."""
    at = (hashed >> 16) & (SLOTS - 1)
    while p[at] != wanted and p[at] != 0.0:
        at = (at + 1) & (SLOTS - 1)
    return at


@kernel
def _halve(kept_p: np.ndarray, rows: np.ndarray, weights: np.ndarray, state: np.ndarray) -> None:
    """Raise the level by one and keep what has it."""
    state[LEVEL] += 1
    p, counts, sums = kept_p.copy(), rows.copy(), weights.copy()
    bits = p.view(np.int64)
    kept_p[:] = 0.0
    rows[:] = 0
    weights[:] = 0.0
    state[USED] = 0
    for i in range(SLOTS):
        hashed = hash_of(bits[i])
        if p[i] != 0.0 and _is_kept(hashed, state[LEVEL]):
            at = _slot(kept_p, hashed, p[i])
            kept_p[at], rows[at] = p[i], counts[i]
            weights[at, 0], weights[at, 1] = sums[i, 0], sums[i, 1]
            state[USED] += 1


@kernel
def add_to_sample(
    kept_p: np.ndarray,
    rows: np.ndarray,
    weights: np.ndarray,
    state: np.ndarray,
    bits: np.ndarray,
    p: np.ndarray,
    w: np.ndarray,
    lost: np.ndarray,
    more: np.ndarray,
) -> None:
    """Count propensities `p` (n,), the same as int64 `bits` (n,): of rows, or of another sample.

    `w` (n,) weights of rows, with empty `lost` and `more`; or sums of weights, what rounding `lost` of them, and how
    many `more` rows they are (n,). The first four are the arrays of a `Sample`. Handing arrays over, in the tuple or
    from function to function, costs more than all the rest: hence no function for the search of a slot.
    """
    sums = more.shape[0] > 0
    mask = (1 << state[LEVEL]) - 1
    for i in range(p.shape[0]):
        hashed = hash_of(bits[i])
        if hashed & mask == 0:
            at = (hashed >> 16) & (SLOTS - 1)
            while kept_p[at] != p[i] and kept_p[at] != 0.0:
                at = (at + 1) & (SLOTS - 1)
            rows[at] += more[i] if sums else 1
            weights[at, 0], weights[at, 1] = added(weights[at, 0], weights[at, 1], w[i])
            if sums:
                weights[at, 1] += lost[i]
            if kept_p[at] == 0.0:
                kept_p[at] = p[i]
                state[USED] += 1
                while state[USED] > KEPT:
                    _halve(kept_p, rows, weights, state)
                mask = (1 << state[LEVEL]) - 1


def merge_into(sample: Sample, other: Sample) -> None:
    """Put the `other` sample into `sample`: the same as one sample of all rows."""
    while sample.state[LEVEL] < other.state[LEVEL]:
        _halve(*sample)
    used = np.flatnonzero(other.p)
    p = other.p[used]
    w, lost = other.weights[used].T
    add_to_sample(*sample, p.view(np.int64), p, w.copy(), lost.copy(), other.rows[used])


def is_whole(sample: Sample) -> bool:
    """Does the sample hold all propensities of the log?"""
    return int(sample.state[LEVEL]) == 0


def kept(sample: Sample) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The propensities of the sample from the smallest on, their rows, and the sums of their weights, each (m,)."""
    used = np.flatnonzero(sample.p)
    used = used[np.argsort(sample.p[used])]
    return sample.p[used], sample.rows[used], sample.weights[used].sum(axis=1)


def step(sample: Sample) -> float:
    """The largest g = 1/D, D whole, of which nearly all propensities are multiples; 0 where there is none.

    Of groups of eight propensities the largest common step is found by Euclid's algorithm: it is g itself for all but
    0.4 % of groups without a stranger. 0 also for logs of fewer than 50 distinct propensities, which always have one.
    """
    p, _, _ = kept(sample)
    if len(p) < FEWEST:
        return 0.0
    picks = np.random.default_rng(0).integers(len(p), size=(GROUPS, OF))
    found = {_whole_draws(group) for group in p[picks]} - {0}
    good = [draws for draws in found if (~off_grid(p, 1 / draws)).mean() >= NEARLY_ALL]
    return 1 / min(good) if good else 0.0


def off_grid(p: np.ndarray, g: float) -> np.ndarray:
    """Which of `p` are no multiples of the step g > 0."""
    times = p / g
    return np.abs(times - np.round(times)) > OFF


def _whole_draws(group: np.ndarray) -> int:
    """The D of the largest common step 1/D of some propensities; 0 where it would be finer than is looked for."""
    common = float(group[0])
    for p in group[1:]:
        common = _common(common, float(p))
    if common < FINEST:
        return 0
    for p in np.sort(group):  # Euclid's steps have cost digits: the multiples, from the smallest on, give them back
        times = round(float(p) / common)
        if times:
            common = float(p) / times
    return round(1 / common)


def _common(a: float, b: float) -> float:
    """The largest common step of two propensities, about; below FINEST where there is none."""
    while b > FINEST / 4:
        rest = math.fmod(a, b)
        a, b = b, min(rest, b - rest)
    return a
