"""Do two runs agree? In every choice, and in numbers as near as their arithmetic allows."""

from __future__ import annotations

import numpy as np

from lersbench.testing.engines import Run

OWN, TORCH = 1e-9, 1e-4
"""Relative errors within which two runs of one seed must agree: in our own arithmetic, and in torch's single precision,
whose products depend on the processor, on the number of rows and on where in memory their inputs begin."""

FAR = 5.0  # standard errors: chance comes so far once in 1.7 million times


def _rounding(learned: dict[str, np.ndarray]) -> float:
    """The error allowed in a run that has learned this."""
    return TORCH if any(value.dtype == np.float32 for value in learned.values()) else OWN


def close(ours: np.ndarray, theirs: np.ndarray, rounding: float) -> np.ndarray:
    """Which numbers are the same, up to `rounding` of themselves or of the largest of them."""
    whole = np.abs(ours[np.isfinite(ours)]).max(initial=1e-300)
    return np.isclose(ours, theirs, rounding, rounding * max(whole, 1.0), equal_nan=True)


def same_state(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray], what: str) -> None:
    assert ours.keys() == theirs.keys(), f"{what}: one state holds {sorted(ours)}, the other {sorted(theirs)}."
    for path, value in ours.items():
        if value.dtype.kind == "f":
            same = value.shape == theirs[path].shape and bool(close(value, theirs[path], _rounding(ours)).all())
        else:
            same = np.array_equal(value, theirs[path])
        assert same, f"{what}: {path} differs."


def same_run(one: Run, other: Run, what: str) -> None:
    rounding = _rounding(one.learned)
    for name in ("scores", "propensities"):
        same = close(getattr(one, name), getattr(other, name), rounding).all(axis=1)
        assert same.all(), f"{what}: in round {np.argmin(same)} round.{name} differ."
    differ = np.flatnonzero((one.slates != other.slates).any(axis=1))
    if rounding == TORCH:  # scores as near to each other as that are equal
        here, there = (np.take_along_axis(one.scores, slates, axis=1)[differ] for slates in (one.slates, other.slates))
        differ = differ[~close(here, there, rounding).all(axis=1)]
    else:
        assert np.array_equal(one.shown, other.shown), f"{what}: the items shown differ."
    if differ.size:
        t = differ[0]
        raise AssertionError(f"{what}: in round {t} the slates are {one.slates[t]} and {other.slates[t]}.")
    same_state(one.learned, other.learned, what)
