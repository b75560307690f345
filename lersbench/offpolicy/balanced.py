"""Logs of several logging policies: weights by the policy of each row, or by the mixture of all.

    by logger    pi(a | x) / p_l(a | x), l the logger of the row     needs no more than that
    balanced     pi(a | x) / sum_l (n_l / n) p_l(a | x)              needs all loggers' chances of every logged action

Both are unbiased. Balanced weights never have the larger variance (Agarwal et al., KDD 2017): a row that a careful
logger would hardly have shown is no rarity where a bolder one showed it often. And they need support from one of the
loggers only.
"""

from __future__ import annotations

import numpy as np

from lersbench.errors import DataError
from lersbench.offpolicy.sums import importance_weights


def shares_of(logger: np.ndarray, loggers: int) -> np.ndarray:
    """(L,) n_l / n, the share of the rows that each logger wrote, of its number (n,) in each row. Counts of parts of a
    log must be added before they are divided."""
    if not len(logger):
        raise DataError("a log without rows has no shares of loggers.")
    if int(logger.min()) < 0 or int(logger.max()) >= loggers:
        row = int(np.argmax((logger < 0) | (logger >= loggers)))
        raise DataError(f"row {row}: logger is {logger[row]}, but must be in 0..{loggers - 1}.")
    return np.bincount(logger, minlength=loggers) / len(logger)


def mixture(propensities: np.ndarray, shares: np.ndarray, logger: np.ndarray, start: int = 0) -> np.ndarray:
    """sum_l share_l p_l (n,): how likely the logged action was, whoever of the loggers wrote the row.

    `propensities` (n, L) of the logged action under every logger, `shares` (L,) of the whole log, `logger` (n,) who
    wrote the row. DataError, with row (the first is `start`) and logger, where a propensity is not in [0, 1], and where
    a logger is said to have shown what it never shows.
    """
    bad = np.argwhere(~((propensities >= 0) & (propensities <= 1)))
    if len(bad):
        row, one = map(int, bad[0])
        raise DataError(
            f"row {start + row}: propensity of logger {one} is {propensities[row, one]}, but must be in [0, 1] "
            f"(values affected: {len(bad)})."
        )
    never = np.flatnonzero(propensities[np.arange(len(logger)), logger] == 0)
    if len(never):
        row = int(never[0])
        raise DataError(
            f"row {start + row}: logger {logger[row]} showed an action to which its propensity is 0 (rows affected: "
            f"{len(never)})."
        )
    return propensities @ shares


def balanced_weight(
    chance: np.ndarray, propensities: np.ndarray, shares: np.ndarray, logger: np.ndarray, start: int = 0
) -> np.ndarray:
    """chance / mixture (n,) of the logged actions: `chance` (n,) under the target, the rest as in `mixture`."""
    return importance_weights(chance, mixture(propensities, shares, logger, start), start)


def weight_by_logger(chance: np.ndarray, propensities: np.ndarray, logger: np.ndarray, start: int = 0) -> np.ndarray:
    """chance / the propensity under the logger of the row (n,), `propensities` (n, L)."""
    return importance_weights(chance, propensities[np.arange(len(logger)), logger], start)
