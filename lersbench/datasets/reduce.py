"""Tables of mixed columns to a few standardised numbers: one-hot, standardise, principal components."""

from __future__ import annotations

from itertools import compress
from typing import NamedTuple

import numpy as np
import pandas as pd

MOST_LEVELS = 64  # a text column of more values than this is for display
DECIMALS = 9  # of what is projected; about 1 in size


class Features(NamedTuple):
    """Named columns: `values` (n, q) float64."""

    names: list[str]
    values: np.ndarray


def side_by_side(*parts: Features) -> Features:
    """The columns of all parts (each with the same n rows)."""
    return Features([name for part in parts for name in part.names], np.hstack([part.values for part in parts]))


def encode(table: pd.DataFrame, fit: np.ndarray, always: tuple[str, ...] = ()) -> Features:
    """Numbers as they are (missing: the mean), text of at most 64 values and the columns `always` one-hot.

    Means and levels are taken from the rows `fit` (n,) bool alone; levels beyond the 64 most frequent, and missing
    values, are rows of zeros.
    """
    names, columns = [], []
    for name in table.columns:
        column = table[name]
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            values = column.to_numpy(dtype=float, na_value=np.nan)
            known = values[fit & np.isfinite(values)]
            names.append(str(name))
            columns.append(np.where(np.isfinite(values), values, known.mean() if len(known) else 0.0))
        else:
            text = column.astype("string")
            levels = frequent_levels(text[fit])
            if name in always or text[fit].nunique() <= MOST_LEVELS:
                names += [f"{name}={level}" for level in levels]
                columns += [(text == level).fillna(False).to_numpy(dtype=float) for level in levels]
    return Features(names, np.column_stack(columns) if columns else np.zeros((len(table), 0)))


def frequent_levels(text: pd.Series) -> list[str]:
    """At most 64 values of `text`, most frequent first, ties by name; missing ones are no value."""
    counts = text.value_counts().reset_index()
    counts.columns = pd.Index(["level", "count"])
    return counts.sort_values(["count", "level"], ascending=[False, True])["level"].head(MOST_LEVELS).tolist()


def standardised(features: Features, fit: np.ndarray, keep: bool = False) -> Features:
    """Columns of mean 0 and deviation 1 over the rows `fit` (n,) bool.

    A column that is constant over them says nothing: it is left out, or 0 throughout where `keep` is set.
    """
    sample = features.values[fit]
    scale = sample.std(axis=0) if len(sample) else np.zeros(sample.shape[1])
    live = scale > 1e-12
    values = np.zeros(features.values.shape)
    values[:, live] = (features.values[:, live] - sample[:, live].mean(axis=0)) / scale[live]
    return features._replace(values=values) if keep else Features(list(compress(features.names, live)), values[:, live])


def reduce(features: Features, fit: np.ndarray, width: int) -> tuple[np.ndarray, float]:
    """Standardise and project on the first `width` principal components (all features, unprojected, where 0).

    Mean, deviation and components come from the rows `fit` (n,) bool alone. Each component's sign is fixed (its largest
    weight is positive), and one factor brings the mean variance of the components to 1, as standardised features have.

    Returns (n, min(width, q)) values and the share of the variance they hold. The values are rounded to DECIMALS: sums
    come out otherwise on another processor (about 1e-15), and a log should not depend on who built it.
    """
    standard = standardised(features, fit).values
    if width == 0 or standard.shape[1] == 0:
        return standard.round(DECIMALS), 1.0
    variance, components = np.linalg.eigh(
        np.cov(standard[fit], rowvar=False, bias=True).reshape((standard.shape[1],) * 2)
    )
    variance, components = variance[::-1][:width], components[:, ::-1][:, :width]
    values = standard @ signed(components) / np.sqrt(variance.mean())
    return values.round(DECIMALS), float(variance.sum() / standard.shape[1])


def signed(vectors: np.ndarray) -> np.ndarray:
    """Vectors (q, n) with their signs fixed: the largest entry of each is positive, the first of those that rounding
    cannot tell from it."""
    size = np.abs(vectors)
    first = (size >= (1 - 1e-6) * size.max(axis=0, initial=0.0)).argmax(axis=0)
    return vectors * np.where(vectors[first, np.arange(vectors.shape[1])] < 0, -1.0, 1.0)
