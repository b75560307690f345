"""The distinct (user, item) likes of a log, numbered as they are met: a contender keeps one bit for each."""

from __future__ import annotations

import numpy as np

from lersbench.kernels.jit import kernel
from lersbench.kernels.ties import scramble

BLOCK = 1 << 16  # likes numbered between two looks at the room there is


class Likes:
    """Numbers 0, 1, ... for the pairs met so far; `total` of them."""

    def __init__(self) -> None:
        self.total = 0
        self._slots = np.full(4 * BLOCK, -1, np.int32)  # hash table with open addressing: numbers, -1 where free
        self._pairs = np.empty(2 * BLOCK, np.int64)  # the pair of each number

    def numbers(self, pairs: np.ndarray) -> np.ndarray:
        """The number (n,) int32 of each of `pairs` (n,), non-negative; those not met before get the next ones."""
        found = np.empty(pairs.shape[0], np.int32)
        for first in range(0, pairs.shape[0], BLOCK):
            block = pairs[first : first + BLOCK]
            if self.total + block.shape[0] > self._pairs.shape[0]:
                self._grow()
            self.total = number_pairs(self._slots, self._pairs, self.total, block, found[first : first + BLOCK])
        return found

    def _grow(self) -> None:
        known = self._pairs[: self.total]
        self._pairs = np.empty(2 * self._pairs.shape[0], np.int64)
        self._slots = np.full(2 * self._pairs.shape[0], -1, np.int32)
        number_pairs(self._slots, self._pairs, 0, known, np.empty(known.shape[0], np.int32))


@kernel
def number_pairs(slots: np.ndarray, known: np.ndarray, total: int, pairs: np.ndarray, out: np.ndarray) -> int:
    """Fill `out` (n,) with the numbers of `pairs` (n,), of which `total` are `known`; how many there are then.

    `slots` has a power of two of places, at least twice as many as there will be numbers.
    """
    for i in range(pairs.shape[0]):
        pair = pairs[i]
        slot = scramble(pair & 0xFFFFFFFF, pair >> 32) & (slots.shape[0] - 1)
        while slots[slot] >= 0 and known[slots[slot]] != pair:
            slot = (slot + 1) & (slots.shape[0] - 1)
        if slots[slot] < 0:
            slots[slot] = total
            known[total] = pair
            total += 1
        out[i] = slots[slot]
    return total
