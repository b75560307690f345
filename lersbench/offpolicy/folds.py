"""Which rows a model may learn from, and which it may then judge: folds of whole users, or blocks of time.

A model that is used on the rows it was fitted on has seen their rewards: it calls noise its knowledge, and estimates
built on it are biased and far too sure of themselves.
"""

from __future__ import annotations

import numpy as np

from lersbench.errors import ConfigError
from lersbench.kernels.jit import kernel
from lersbench.kernels.ties import scramble

HELD = 5  # one in so many of the users that a model may learn from is kept back to calibrate it
PART = 0x7FFFFFFF  # 31 bits of a key, which is what `scramble` takes without overflow
_CALIBRATION = 0x5CA1E  # so that this choice and that of the folds do not know of each other


def checked(folds: int) -> int:
    """`folds`, at least 2; ConfigError where a model would be used on the rows it was fitted on."""
    if folds < 2:
        raise ConfigError(
            f"folds = {folds}: the reward model would be used on the rows it was fitted on. It then explains their "
            "noise, the estimate is biased towards it, and its interval is several times too narrow. Set folds = 3."
        )
    return folds


def folds_of(keys: np.ndarray, folds: int, seed: int = 0) -> np.ndarray:
    """The fold 0..folds - 1 (n,) of each row, by a hash of its key (n,) int64 or uint64: rows of one key stay together.

    `resampling.user_keys` makes keys: the user, or the row itself where the user is unknown.
    """
    return marks_of(keys, seed) % checked(folds)


def blocks_of(moments: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The block (n,) of each row, by its time or number (n,): `edges` ascending, edge b is where block b + 1 begins."""
    return np.searchsorted(np.asarray(edges), moments, side="right")


def held_of(keys: np.ndarray, seed: int = 0) -> np.ndarray:
    """(n,) is the row kept back for calibration? One key in `HELD` is, by a hash that does not depend on the folds."""
    return marks_of(keys, seed + _CALIBRATION) % HELD == 0


def marks_of(keys: np.ndarray, seed: int) -> np.ndarray:
    """A hash in 0..2^32 - 1 (n,) of each key (n,)."""
    out = np.empty(len(keys), dtype=np.int64)
    _hashes(np.ascontiguousarray(keys, dtype=np.int64), seed, out)
    return out


@kernel
def _hashes(keys: np.ndarray, seed: int, out: np.ndarray) -> None:
    """Fill `out` (n,) with 32-bit hashes of all 64 bits of the keys."""
    for i in range(keys.shape[0]):
        low = scramble(scramble(seed, keys[i] & PART), (keys[i] >> 31) & PART)
        out[i] = scramble(low, (keys[i] >> 62) & 3)
