"""Distinct likes and ranks of likes: the same numbers with bounded memory and in bounded time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lersbench import metrics
from lersbench.bench import replays, scenario, session
from lersbench.engine import likes
from lersbench.engine.counting import FEW_LIKES, _count_many, count_ranking, count_slate
from lersbench.engine.meter import HITS, new_meter, with_room


def test_pairs_are_numbered_in_the_order_they_are_met(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(likes, "BLOCK", 8)  # many blocks, and several times more pairs than there is room for
    made, rng, order = likes.Likes(), np.random.default_rng(0), dict[int, int]()
    for _ in range(20):
        pairs = rng.integers(0, 2**40, 30) if rng.random() < 0.5 else rng.integers(0, 50, 30)
        expected = [order.setdefault(pair, len(order)) for pair in pairs.tolist()]
        assert made.numbers(pairs).tolist() == expected and made.total == len(order)


def test_a_meter_grows_and_forgets_nothing() -> None:
    made, none = new_meter(1, np.array([1]), 1), np.empty(0, np.int64)
    for number in range(0, 1000, 3):
        made = with_room(made, number + 1)
        for hits in (1, 0):
            before = made.sums[HITS]
            one = np.array([0]), np.array([0]), np.array([1.0])
            count_slate(made, *one, np.array([0]), np.array([number], np.int32), 0)
            assert made.sums[HITS] == before + hits
    assert made.likes.shape[0] < 300 and none.size == 0
    assert with_room(new_meter(1, np.array([1]), 0), 9).likes.shape[0] == 0  # not counted at all


def run_of(folder: Path, **replay: Any) -> pd.DataFrame:
    told = {
        "name": "likes",
        "title": "Likes",
        "data": {"dataset": "synthetic", "rounds": 3000, "items": 9, "d": 3, "users": 50, "click_rate": 0.3},
        "replay": {"seeds": 2, "checkpoints": 5, "slate": 3, "replicates": "none", "fit": 0, **replay},
        "policies": [{"name": "random"}, {"name": "ucb1"}],
    }
    run = replays.bench(scenario.parse(told, "test"), folder, threads=2, say=lambda _: None)
    return pd.read_parquet(run.folder / "curves.parquet")


def test_a_streamed_log_counts_the_distinct_likes_of_one_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(session, "WAVE", 0)
        whole = run_of(tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(session, "CHUNK_BYTES", 4096)
        parts = run_of(tmp_path / "parts")
    pd.testing.assert_frame_equal(whole, parts)
    assert whole[whole.metric == "coverage"]["mean"].between(0.3, 1).any()


def ranked_one_by_one(scores: np.ndarray, slate: np.ndarray, liked: np.ndarray) -> np.ndarray:
    """Both families of hit ratios, each liked item compared with all candidates."""
    n, found = len(scores), np.zeros((2, len(metrics.TOPS)))
    shown = np.isin(np.arange(n), slate)
    for a in liked:
        above, same = scores > scores[a], scores == scores[a]
        place = np.flatnonzero(slate == a)
        blocks = [
            (place[0], 1) if place.size else ((above & ~shown).sum() + len(slate), (same & ~shown).sum()),
            (above.sum() + same[:a].sum(), 1),
        ]
        for family, (first, size) in enumerate(blocks):
            for j in range(len(metrics.TOPS)):
                top = max(1, n * (j + 1) // 10)
                if first < top:
                    found[family, j] += 1.0 if first + size <= top else (top - first) / size
    return found


@pytest.mark.parametrize("size", [20, 200, 1023])
def test_many_likes_are_ranked_as_a_few_bit_for_bit(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(size)
    for trial in range(30):
        scores = rng.integers(0, 1 + trial % 7, size) / 3 if trial % 2 else rng.normal(size=size)
        liked = np.flatnonzero(rng.random(size) < rng.random())
        slate = rng.permutation(size)[: 1 + trial % 5]
        offered = rng.permutation(size)
        for published in (None, rng.permutation(size)):
            few, many = (new_meter(size, np.array([1]), 0, published) for _ in range(2))
            count_ranking(few, offered, scores, slate, liked[:FEW_LIKES])
            _count_many(many, offered, scores, slate, liked[:FEW_LIKES])
            assert few.hr.tobytes() == many.hr.tobytes()
        every = new_meter(size, np.array([1]), 0)
        count_ranking(every, offered, scores, slate, liked)
        np.testing.assert_array_equal(every.hr, ranked_one_by_one(scores, slate, liked))
