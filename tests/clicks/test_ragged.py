"""Click models of lists of different lengths."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from lersbench.clicks.counts import count
from lersbench.clicks.facts import pseudo_exposed
from lersbench.clicks.fit import fit_counts
from lersbench.clicks.heldout import perplexities
from lersbench.log import Log, write

ITEMS, LONGEST = 12, 5
EXAMINED, ATTRACTION = 0.75 ** np.arange(LONGEST), np.linspace(0.1, 0.6, ITEMS)


def ragged_log(folder: Path, n: int, seed: int = 0, every_clicked: bool = False) -> Log:
    """Lists of 1 to 5 items, clicked as the position-based model has it."""
    rng = np.random.default_rng(seed)
    slates, clicks = [], []
    while len(slates) < n:
        slate = rng.choice(ITEMS, rng.integers(1, LONGEST + 1), replace=False)
        clicked = (rng.random(len(slate)) < EXAMINED[: len(slate)] * ATTRACTION[slate]).astype(int)
        if clicked.any() or not every_clicked:
            slates.append(slate)
            clicks.append(clicked)
    return write(folder, {"candidates": slates, "slate": slates, "clicks": clicks}, items=ITEMS)


def test_only_positions_that_a_list_has_are_displays(tmp_path: Path) -> None:
    log = ragged_log(tmp_path / "log", 400)
    displays, clicks, tail, shown = Counter(), Counter(), 0, 0
    for chunk in log.read(2000):
        assert chunk.top is not None and chunk.first is not None
        for row in range(len(chunk.user)):
            items = chunk.candidates[chunk.first[row] :][chunk.slate[chunk.top[row] : chunk.top[row + 1]]]
            clicked, last = chunk.clicks[chunk.top[row] : chunk.top[row + 1]], 0
            for k, (item, click) in enumerate(zip(items, clicked, strict=True)):
                displays[item, k, last] += 1
                clicks[item, k, last] += int(click)
                last = k + 1 if click else last
            if last:
                tail, shown = tail + len(items) - last, shown + len(items)
    counts = count(log)
    for item in range(ITEMS):
        for k in range(LONGEST):
            for last in range(k + 1):
                cell = k * (k + 1) // 2 + last
                assert counts.displays[item, cell] == displays[item, k, last]
                assert counts.clicks[item, cell] == clicks[item, k, last]
    assert counts.lists_with.tolist() == [sum(n for (_, k, _), n in displays.items() if k == at) for at in range(5)]
    assert pseudo_exposed(counts) == tail / shown


@pytest.mark.parametrize("every_clicked", [False, True])
def test_the_examination_of_a_world_is_recovered(tmp_path: Path, every_clicked: bool) -> None:
    log = ragged_log(tmp_path / "log", 60_000, every_clicked=every_clicked)
    fit = fit_counts(count(log, filtered=every_clicked or None), "pbm")
    np.testing.assert_allclose(fit.weights, EXAMINED, atol=0.05)
    np.testing.assert_allclose(fit.attraction, ATTRACTION, atol=0.05)


def test_the_perplexity_of_a_position_is_that_of_the_lists_which_have_it(tmp_path: Path) -> None:
    """Of the world itself it is 2 to the entropy of its clicks at that position, whatever share of lists has it."""
    log = ragged_log(tmp_path / "log", 30_000)
    p = EXAMINED[:, None] * ATTRACTION
    entropy = -(p * np.log2(p) + (1 - p) * np.log2(1 - p)).mean(axis=1)
    held_out = perplexities(log, ["pbm"], 0, log.info.rounds, False)
    assert held_out is not None
    np.testing.assert_allclose(held_out["pbm"].marginal, 2**entropy, rtol=0.02)
    np.testing.assert_allclose(fit_counts(count(log), "pbm").perplexity, 2**entropy, rtol=0.02)
