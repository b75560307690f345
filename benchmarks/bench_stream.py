"""Reading a log: rows and megabytes a second, checks and checksums included, one thread.

The first shape is an event log (context d 20, slates of one out of 34 items), the second carries candidates
and joint features. Each benchmark first asserts that what it reads is what was written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lersbench.log import Log, write

D, ITEMS, M, L = 20, 34, 10, 6


def events(n: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "context": rng.standard_normal((n, D)),
        "slate": rng.integers(ITEMS, size=(n, 1)),
        "clicks": (rng.random((n, 1)) < 0.02).astype(np.int8),
        "propensities": np.full((n, 1), 1 / ITEMS),
    }


def slates(n: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    candidates = np.argsort(rng.random((n, ITEMS)), axis=1)
    return {
        "context": rng.standard_normal((n, D)),
        "candidates": candidates,
        "features": rng.standard_normal((n, ITEMS, M)),
        "slate": candidates[:, :L],
        "clicks": rng.integers(2, size=(n, L)),
        "propensities": np.full((n, L), 1 / ITEMS),
    }


@pytest.mark.parametrize(("shape", "rows"), [(events, 1_000_000), (slates, 30_000)])
def test_read(benchmark: Any, tmp_path: Path, shape: Any, rows: int) -> None:
    data = shape(rows)
    step = 100_000
    chunks = ({name: values[at : at + step] for name, values in data.items()} for at in range(0, rows, step))
    log = write(tmp_path / "log", chunks, name="bench", items=ITEMS, propensities="uniform")
    for chunk in log.read():
        part = slice(chunk.start, chunk.start + len(chunk.user))
        np.testing.assert_array_equal(chunk.context, data["context"][part])
        shown = chunk.slate if len(chunk.candidates) == 1 else np.take_along_axis(chunk.candidates, chunk.slate, axis=1)
        np.testing.assert_array_equal(shown, data["slate"][part])
    del data

    def read(log: Log) -> int:
        return sum(len(chunk.user) for chunk in log.read())

    assert benchmark.pedantic(read, args=(log,), rounds=5, warmup_rounds=1) == rows
    if benchmark.enabled:
        seconds = benchmark.stats.stats.min
        benchmark.extra_info["rows/s"] = round(rows / seconds)
        benchmark.extra_info["MB/s"] = round(rows * log.row_bytes() / seconds / 1e6)
