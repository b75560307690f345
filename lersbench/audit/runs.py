"""The answers of many runs of a world as arrays: put together, kept on disk, read again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lersbench.audit.world import Answer
from lersbench.files import replacing


class Runs(NamedTuple):
    """R runs of a world with A answers each."""

    names: np.ndarray  # (A, 2) str, estimator and interval
    numbers: np.ndarray  # (R, A, 4) value, low, high, truth
    doubts: np.ndarray  # (R, A, T) the diagnostics of THRESHOLDS
    most: np.ndarray  # (A, R) int64 the best level that is allowed; -1: no verdict


def runs_of(played: Sequence[Sequence[Answer]]) -> Runs:
    """The arrays of some runs; every run of a world has the same answers in the same order."""
    names = [[(one.estimator, one.interval) for one in run] for run in played]
    assert all(each == names[0] for each in names)
    return Runs(
        np.array(names[0]),
        np.array([[one[2:6] for one in run] for run in played], dtype=np.float64),
        np.array([[one.doubts for one in run] for run in played], dtype=np.float64),
        np.array([[one.most for one in run] for run in played], dtype=np.int64).T,
    )


def joined(parts: Sequence[Runs]) -> Runs:
    """The runs of all parts, in their order."""
    return Runs(
        parts[0].names,
        np.concatenate([one.numbers for one in parts]),
        np.concatenate([one.doubts for one in parts]),
        np.concatenate([one.most for one in parts], axis=1),
    )


def save(path: Path, runs: Runs, key: str) -> None:
    """Keep runs under a key that says what they were made by and with."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, key=np.array(key), **runs._asdict())


def load(path: Path, key: str | None) -> Runs | None:
    """The runs that were kept under this key, under any where it is None; None where there are no such."""
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as kept:
        if key is not None and str(kept["key"]) != key:
            return None
        return Runs(*(kept[name] for name in Runs._fields))
