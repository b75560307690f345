"""The scale of numbers: which columns are too large for a regression, and how columns are standardised.

A ridge regression in double precision has some sixteen digits for sum x x'. Columns of 1e7 beside a ridge of 1 use up
all but a few, and a column of 1e-4 beside one of 1e4 is shrunk to nothing by the same ridge. With `[replay] scale =
"standard"` each column loses its mean and is divided by its standard deviation, both taken from the rounds kept for
fitting, which are never replayed: what is measured is not used.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from lersbench.log.chunk import Chunk

FIX = (
    "Fix: leave out a column that only numbers things, bring columns to a size near 1, or set [replay] scale = "
    '"standard"'
)


class Columns(NamedTuple):
    """Column x becomes (x - center) / spread; (0,) leaves all columns as they are."""

    center: np.ndarray
    spread: np.ndarray

    def apply(self, x: np.ndarray) -> np.ndarray:
        """`x` (..., columns) standardised, in a new array; itself where there is nothing to do."""
        if not self.center.size or not x.size:
            return x
        result = x - self.center
        result /= self.spread
        return result


class Scales(NamedTuple):
    context: Columns
    features: Columns


PLAIN = Scales(*(Columns(np.zeros(0), np.ones(0)) for _ in range(2)))


class Moments:
    """The mean and standard deviation of columns, met in blocks, by sums about the first row (n, columns)."""

    def __init__(self) -> None:
        self.n, self.first = 0, np.zeros(0)

    def add(self, x: np.ndarray) -> None:
        if not x.shape[0]:
            return
        if not self.n:
            self.first = x[0].copy()
            self.total, self.squares = np.zeros_like(self.first), np.zeros_like(self.first)
        away = x - self.first
        self.n += x.shape[0]
        self.total += away.sum(axis=0)
        self.squares += (away * away).sum(axis=0)

    def columns(self) -> Columns:
        """What standardises them. A column that never changed stays as it is: it may be the intercept."""
        if not self.n:
            return PLAIN.context
        mean = self.total / self.n
        spread = np.sqrt(np.maximum(self.squares / self.n - mean * mean, 0.0))
        flat = (spread == 0.0) | ~np.isfinite(spread)
        return Columns(np.where(flat, 0.0, self.first + mean), np.where(flat, 1.0, spread))


def standard_items(items: np.ndarray) -> np.ndarray:
    """Static item features (n_items, p) standardised over all items: they are known before the first round."""
    moments = Moments()
    moments.add(items)
    return moments.columns().apply(items)


def scaled(chunk: Chunk, scales: Scales) -> Chunk:
    """The chunk with its columns standardised."""
    return chunk._replace(context=scales.context.apply(chunk.context), features=scales.features.apply(chunk.features))


def largest(context: np.ndarray, features: np.ndarray, items: np.ndarray) -> str:
    """The largest columns in words, and what to do about them."""
    columns = sorted(sizes(context, features, items), key=lambda column: -column[1])[:3]
    if not columns:
        return "It has neither context nor features to blame"
    names = ", ".join(f"{name} (up to {size:.3g})" for name, size in columns)
    return f"The largest columns are {names}. {FIX}"


def sizes(context: np.ndarray, features: np.ndarray, items: np.ndarray) -> Iterable[tuple[str, float]]:
    """Every column that is not all zeros, by name, with its largest absolute value."""
    for name, values in (("context", context), ("features", features), ("item feature", items)):
        if values.size:
            for j, size in enumerate(np.abs(values).reshape(-1, values.shape[-1]).max(axis=0)):
                if size > 0.0:
                    yield f"{name}[{j}]", float(size)
