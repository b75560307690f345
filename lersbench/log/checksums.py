"""A checksum of decoded columns that knows where every word stands, at memory speed.

Words of 64 bits are dealt out to LANES states in turn. A state takes a word in by xor, multiplies with an odd number
and folds its upper bits down (as xxHash and murmur do, public domain). Each step is a one-to-one map of the state and
of the word, so a single changed word always shows; other accidents, exchanged words or sectors among them, are missed
with a probability of about 2^-64. No defence against intent.
"""

from __future__ import annotations

import numba
import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.log.ragged import Ragged

LANES = 64  # enough for the processor to take many words in at once
BYTES = 8 * LANES
PRIME = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: odd, its bits well mixed
FOLD = np.uint64(29)


@kernel
def _take(words, states):
    """Take the words (n, LANES) uint64 in; states (LANES,) uint64, in place."""
    for row in range(words.shape[0]):
        for lane in range(words.shape[1]):
            mixed = (states[lane] ^ words[row, lane]) * PRIME
            states[lane] = mixed ^ (mixed >> FOLD)


def _take_rows(words: np.ndarray, states: np.ndarray) -> None:
    """The same without a compiler: a row at a time."""
    for row in words:
        states ^= row
        states *= PRIME
        states ^= states >> FOLD


take = _take_rows if numba.config.DISABLE_JIT else _take


@kernel
def _mixed(data):
    """The checksum of the bytes `data` (n,) uint8, read-only, so that it is compiled for one kind of array."""
    size, rows = data.shape[0], data.shape[0] // BYTES
    states, rest, total = np.zeros(LANES, np.uint64), np.zeros(BYTES, np.uint8), np.full(1, size, np.uint64)
    rest[: size - rows * BYTES] = data[rows * BYTES :]
    take(data[: rows * BYTES].view(np.uint64).reshape(rows, LANES), states)
    take(rest.view(np.uint64).reshape(1, LANES), states)
    take(states.reshape(LANES, 1), total)
    return total[0]


def checksum(values: np.ndarray | Ragged) -> int:
    """The checksum of the bytes of a C-contiguous array, 0..2^64 - 1; of the same bytes the same on every machine.

    Of Ragged lists it is that of their values and that of their lengths, taken three times.
    """
    if isinstance(values, Ragged):
        return (checksum(values.values) + 3 * checksum(values.lengths)) % (1 << 64)
    data = values.reshape(-1).view(np.uint8)
    data.flags.writeable = False
    return int(_mixed(data))
