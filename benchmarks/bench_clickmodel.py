"""The time to fit click models to 180,000 lists of 12 from 900 items, whole and with clickless records removed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lersbench.clicks.fit import Counts, count_arrays, fit_counts

RECORDS, ITEMS, LENGTH = 180_000, 900, 12


def lists(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slates of a noisy ranker that prefers attractive items, clicks of browsing users, and their weights."""
    rng = np.random.default_rng(seed)
    k, j = np.arange(LENGTH)[:, None], np.arange(LENGTH + 1)[None]
    weights = np.tril(0.97**k * 0.9 ** (k - np.maximum(j - 1, -1) - 1))
    attraction = rng.beta(1.2, 6.0, ITEMS)
    pull = np.log(attraction + 0.02)
    slate = np.concatenate(
        [(-pull + rng.gumbel(size=(4000, ITEMS))).argsort(axis=1)[:, :LENGTH] for _ in range(RECORDS // 4000)]
    )
    clicks, last = np.zeros(slate.shape), np.zeros(RECORDS, np.int64)
    for at in range(LENGTH):
        clicks[:, at] = rng.random(RECORDS) < weights[at, last] * attraction[slate[:, at]]
        last = np.where(clicks[:, at] > 0, at + 1, last)
    return slate, clicks, weights


@pytest.fixture(scope="module")
def world() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return lists()


def counted(world: tuple[np.ndarray, np.ndarray, np.ndarray], filtered: bool) -> Counts:
    slate, clicks, _ = world
    rows = clicks.any(axis=1) if filtered else slice(None)
    return count_arrays(slate[rows], clicks[rows], ITEMS, filtered)


def test_counting(world: Any, benchmark: Any) -> None:
    counted(world, False)  # compiles
    counts = benchmark.pedantic(counted, (world, False), rounds=3)
    assert counts.records == RECORDS


@pytest.mark.parametrize("model", ["pbm", "ubm"])
@pytest.mark.parametrize("filtered", [False, True], ids=["whole", "filtered"])
def test_fit(world: Any, benchmark: Any, model: str, filtered: bool) -> None:
    counts = counted(world, filtered)
    fit_counts(counts, model, iterations=1)  # compiles
    found = benchmark.pedantic(fit_counts, (counts, model), rounds=3)
    assert found.converged
    if model == "ubm":
        seen = found.displays > 20_000
        assert np.abs(found.weights[seen] / world[2][seen] - 1).max() < 0.1
    benchmark.extra_info.update(iterations=found.iterations, log_likelihood=found.log_likelihood)
