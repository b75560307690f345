"""Rounds of a log in memory: what reading a log gives and the replay takes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

NONE = np.empty(0, np.int64)


class Chunk(NamedTuple):
    """n consecutive rounds: C-contiguous writable arrays of one dtype each, whatever the log holds.

    Where the number of candidates differs from round to round, what is (n, C) below has (N,) values end to end instead,
    features are (N, m), and `first` says where each round begins. Likewise what is (n, L), with `top`.
    """

    start: int  # number of the first row
    user: np.ndarray  # (n,) int64, -1 where the log has no users
    context: np.ndarray  # (n, d) float64
    candidates: np.ndarray  # (n, C) int64 items, or (1, C) where every round offers all items in order
    features: np.ndarray  # (n, C, m) float64, or (1, C, 0) where there are none
    rewards: np.ndarray  # (n, C) float64, or (0, C) where the log has none
    expected: np.ndarray  # (n, C) float64, or (0, C)
    slate: np.ndarray  # (n, L) int64 indices into the candidates, or (0, 0)
    clicks: np.ndarray  # (n, L) float64, or (0, 0)
    propensities: np.ndarray  # (n, L) float64, or (0, 0)
    examined: np.ndarray  # (n, L) float64 0 or 1, whether the user saw the position, or (0, 0)
    attraction: np.ndarray  # (n, C) float64 true P(click | examined), or (0, C)
    scores: np.ndarray  # (n, C) float64 log-weights of a Plackett-Luce logging policy, or (0, C)
    time: np.ndarray = NONE  # (n,) int64 microseconds since 1970, or (0,)
    known: np.ndarray = NONE  # (n, C) int64 when the reward of each candidate is known, or (0,)
    clicks_known: np.ndarray = NONE  # (n, L) int64 when what came of each position is known, or (0,)
    first: np.ndarray | None = None  # (n + 1,) int64 edges of the candidates of each round; None: C in every round
    top: np.ndarray | None = None  # (n + 1,) int64 edges of the slate of each round; None: L in every round
    outcomes: Mapping[str, np.ndarray] = MappingProxyType({})  # by name: (n, L) float64, what came of each position
    logger: np.ndarray = NONE  # (n,) int64 which logging policy wrote the round, 0.., or (0,) where there is one

    def shown(self) -> np.ndarray:
        """The items of the slates, int64 in the shape that `slate` has."""
        n = len(self.user)
        if self.first is None and self.top is None:
            offered = np.broadcast_to(self.candidates, (n, self.candidates.shape[1]))
            return np.take_along_axis(offered, self.slate, axis=1)
        lengths = np.full(n, self.slate.shape[-1]) if self.top is None else np.diff(self.top)
        wide = 0 if len(self.candidates) == 1 else self.candidates.shape[-1]
        first = wide * np.arange(n) if self.first is None else self.first[:-1]
        at = np.repeat(first, lengths) + self.slate.reshape(-1)
        return self.candidates.reshape(-1)[at].reshape(self.slate.shape)
