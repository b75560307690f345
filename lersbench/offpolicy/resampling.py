"""The Poisson bootstrap by user, in one pass: in every replicate each user counts a Poisson(1) number of times.

Oza and Russell (2001) for streams; Chamandy, Muralidharan, Najmi and Naidu (2012) for users. How often a user counts is
a hash of the user and of the replicate, so it is the same wherever the user occurs, in any order, chunk or process, and
for all contenders: sums of replicates can be merged by adding them, and contenders compared replicate by replicate.
A ratio is recomputed in each replicate from its own numerator and denominator (`ratios`): with the denominator held
fixed the interval of a self-normalised estimate would be that of another one.

The number is read from 16 bits of the hash, with tails of 1/65,536: its mean is 1 exactly, its variance .99997.
"""

from __future__ import annotations

import math

import numpy as np

from lersbench.distributions import LEVEL
from lersbench.errors import DataError
from lersbench.kernels.jit import inlined, kernel
from lersbench.kernels.ties import MASK, scramble
from lersbench.offpolicy.intervals import Interval, tail

REPLICATES = 200
TAILS = (41427, 17317, 5263, 1244, 240, 39, 5, 1)  # 65,536 P(X >= k) for k = 1, 2, ...; they add up to 65,536
OTHER = 0x5BD1E995  # tells the second hash of a key from the first
LEAST = 20  # replicates with any weight that an interval needs


@kernel
def user_keys(users: np.ndarray, first: int, out: np.ndarray) -> None:
    """Fill `out` (n,) int64 with what stands for the cluster of each row: its user, or the row itself.

    `users` (n,) integers, below 0 where unknown; `first` the number of the first row in the whole log.
    """
    for i in range(users.shape[0]):
        user = int(users[i])
        out[i] = 2 * user if user >= 0 else 2 * (first + i) + 1


@inlined
def _fill(key: int, words: np.ndarray, halves: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (B,) uint8 with the multiplicities of an int64 key.

    `words` (half of B, rounded up) uint32 is working memory, and `halves` the same memory as uint16. Word j is a hash
    of j and of 64 bits of the key, which are two hashes of its halves.
    """
    lower, upper = int(key) & MASK, int(key) >> 32 & MASK
    low, high = scramble(lower, upper), scramble(upper ^ OTHER, lower)
    for j in range(words.shape[0]):  # one word gives two replicates
        x = (low + j * 0x9E3779B1) & MASK
        x = ((x ^ (x >> 16)) * 0x7FEB352D) & MASK
        x ^= high
        x = ((x ^ (x >> 15)) * 0x45D9F3B) & MASK
        words[j] = x ^ (x >> 16)
    for b in range(out.shape[0]):
        u = halves[b]
        out[b] = (
            np.uint8(u < np.uint16(TAILS[0]))
            + np.uint8(u < np.uint16(TAILS[1]))
            + np.uint8(u < np.uint16(TAILS[2]))
            + np.uint8(u < np.uint16(TAILS[3]))
            + np.uint8(u < np.uint16(TAILS[4]))
            + np.uint8(u < np.uint16(TAILS[5]))
            + np.uint8(u < np.uint16(TAILS[6]))
            + np.uint8(u < np.uint16(TAILS[7]))
        )


@kernel
def poisson_multiplicities(keys: np.ndarray, replicates: int) -> np.ndarray:
    """How often each of `keys` (n,) int64 counts in each replicate: (n, replicates) uint8, Poisson(1)."""
    words = np.empty((replicates + 1) // 2, dtype=np.uint32)
    halves = words.view(np.uint16)
    out = np.empty((keys.shape[0], replicates), dtype=np.uint8)
    for i in range(keys.shape[0]):
        _fill(keys[i], words, halves, out[i])
    return out


@kernel
def add_replicates(replicates: np.ndarray, keys: np.ndarray, terms: np.ndarray) -> None:
    """Add rows to sums of replicates: `replicates` (T, B) += multiplicity of `keys` (n,) int64 times `terms` (n, T).

    The T terms of a row are what is to be summed of it: w r and w of each contender and place, and 1 for their number.
    A row whose terms are all 0 costs nothing.
    """
    count, size = replicates.shape
    words = np.empty((size + 1) // 2, dtype=np.uint32)
    halves = words.view(np.uint16)
    times = np.empty(size, dtype=np.uint8)
    for i in range(keys.shape[0]):
        known = False
        for t in range(count):
            term = terms[i, t]
            if term != 0.0:
                if not known:
                    _fill(keys[i], words, halves, times)
                    known = True
                row = replicates[t]
                for b in range(size):
                    row[b] += term * times[b]


def ratios(numerators: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """The estimate in each replicate, numerator / control, both (..., B); NaN in replicates of no weight.

    Controls: the sums of w for SNIPS; the numbers of rows for IPS and DR, as these are random in a replicate as well.
    """
    numerators, controls = np.asarray(numerators, dtype=np.float64), np.asarray(controls, dtype=np.float64)
    shape = np.broadcast_shapes(numerators.shape, controls.shape)
    return np.divide(numerators, controls, out=np.full(shape, np.nan), where=controls != 0)


def bootstrap(numerators: np.ndarray, controls: np.ndarray | None = None, level: float = LEVEL) -> Interval:
    """The percentile interval of `ratios` over B replicates, both (B,); of `numerators` themselves without controls.

    Replicates of no weight are left out; NaN ends where fewer than LEAST are left.
    """
    chance = tail(level)
    values = np.asarray(numerators, dtype=np.float64) if controls is None else ratios(numerators, controls)
    if values.ndim != 1:
        raise DataError(f"the replicates of one estimate are needed, but they have the shape {values.shape}.")
    values = values[np.isfinite(values)]
    if len(values) < LEAST:
        return Interval(math.nan, math.nan)
    low, high = np.quantile(values, [chance, 1 - chance])
    return Interval(float(low), float(high))
