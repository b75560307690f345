"""Lists of different lengths in one column, end to end: what has a length of its own in each round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class Ragged(NamedTuple):
    """The lists of n rounds: those of round t are the next `lengths[t]` of `values`."""

    values: np.ndarray  # (N,), or (N, m) for the features of candidates; N is the sum of the lengths
    lengths: np.ndarray  # (n,) int64

    def part(self, start: int, stop: int) -> Ragged:
        """The lists of the rounds `start`..`stop` - 1, without a copy."""
        edges = edges_of(self.lengths)
        return Ragged(self.values[edges[start] : edges[stop]], self.lengths[start:stop])


def edges_of(lengths: np.ndarray) -> np.ndarray:
    """Where each of n lists begins, and where the last one ends, (n + 1,) int64."""
    edges = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=edges[1:])
    return edges


def joined(parts: Sequence[Any]) -> Any:
    """Columns one after the other: arrays, or Ragged ones."""
    if isinstance(parts[0], Ragged):
        return Ragged(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    return np.concatenate(parts)


def cut(column: Any, start: int, stop: int) -> Any:
    """The rounds `start`..`stop` - 1 of a column, an array or Ragged, without a copy."""
    return column.part(start, stop) if isinstance(column, Ragged) else column[start:stop]


def is_ragged(values: Any) -> bool:
    """Are these lists, Ragged or as Python has them, that no array of one width can hold?"""
    if isinstance(values, Ragged):
        return True
    if isinstance(values, np.ndarray) and values.dtype != object:
        return False
    lists = isinstance(values, list | tuple | np.ndarray) and len(values) and all(map(_has_length, values))
    return bool(lists) and len({len(value) for value in values}) > 1


def ragged(values: Any) -> Ragged:
    """Lists as Ragged: those of Python, those of an array (n, width) or (n, width, m), or as they are."""
    if isinstance(values, Ragged):
        return Ragged(np.asarray(values.values), np.asarray(values.lengths, np.int64))
    if isinstance(values, np.ndarray) and values.dtype != object:
        wide = values[:, None] if values.ndim == 1 else values
        return Ragged(wide.reshape(-1, *wide.shape[2:]), np.full(len(wide), wide.shape[1], np.int64))
    lists = [np.asarray(value) for value in values]
    filled = [one for one in lists if len(one)]  # an empty one has no type of its own
    return Ragged(np.concatenate(filled or lists), np.array([len(one) for one in lists], np.int64))


def _has_length(value: Any) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, str | bytes)
