"""No order tells the outcome: not that of items, nor of candidates, users or rounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lersbench.datasets import completejourney, transactions
from lersbench.datasets.hashed import hashed_numbers, hashed_order
from lersbench.log import Log
from tests.test_transactions import CUT, rewards, shop

FAR = 4.0  # standard errors: chance does not come so far in the few orders tested here


def telling(values: np.ndarray) -> float:
    """Standard errors by which the rank correlation of the places 0..n-1 with `values` (n,) lies from 0."""
    ranks = pd.Series(values).rank().to_numpy()
    if np.ptp(ranks) == 0:
        return 0.0
    return float(np.corrcoef(np.arange(len(ranks)), ranks)[0, 1] * np.sqrt(len(ranks) - 1))


def all_places(log: Log) -> dict[str, np.ndarray]:
    """What an order could tell of a log with whole reward rows: the likes of each item, user and round."""
    likes, user = rewards(log), np.concatenate([chunk.user for chunk in log.read()])
    by_user = np.bincount(user, likes.sum(axis=1), log.info.users) / np.bincount(user, minlength=log.info.users)
    return {"items": likes.sum(axis=0), "users": by_user, "rounds": likes.sum(axis=1)}


def test_a_hashed_order_depends_on_the_ids_alone() -> None:
    """The same on every machine and in every process: these numbers are written down."""
    assert hashed_order(["a", "b", "c", "d", "e"], "product").tolist() == [3, 0, 1, 4, 2]
    ids = np.array([f"p{i}" for i in range(500)])
    first = ids[hashed_order(ids, "product")]
    mixed = np.random.default_rng(0).permutation(ids)
    np.testing.assert_array_equal(mixed[hashed_order(mixed, "product")], first)
    np.testing.assert_array_equal(np.array(sorted(ids))[np.argsort(hashed_numbers(sorted(ids), "product"))], first)
    assert hashed_order(np.arange(9), "x").tolist() == hashed_order([str(i) for i in range(9)], "x").tolist()
    assert hashed_order(ids, "product").tolist() != hashed_order(ids, "customer").tolist()
    assert abs(telling(hashed_order(ids, "product"))) < FAR


@pytest.mark.parametrize("scenario", ["normal", "active", "repeat"])
def test_no_order_of_a_shops_log_knows_the_likes(tmp_path: Path, scenario: str) -> None:
    log = transactions.build(shop(), tmp_path / "log", scenario=scenario, cut=CUT)
    for what, likes in all_places(log).items():
        assert abs(telling(likes)) < FAR, what
    again = transactions.build(shop(), tmp_path / "again", scenario=scenario, cut=CUT)
    assert log.info.digest == again.info.digest


def test_the_order_by_likes_would_be_noticed(tmp_path: Path) -> None:
    log = transactions.build(shop(), tmp_path / "log", scenario="normal", cut=CUT)
    by_rank = log.item_table().sort_values("published_rank")["likes"].to_numpy()
    assert (np.diff(by_rank) <= 0).all()
    assert telling(by_rank) < -FAR


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Log]:
    tables, folder = completejourney.tables("2017-07-01"), tmp_path_factory.mktemp("journey")
    days = {"active": 7, "normal": 14, "repeat": 7}
    return {
        name: transactions.build(tables, folder / name, scenario=name, cut="2017-07-01", like_days=days[name])  # type: ignore[arg-type]
        for name in days
    }


@pytest.mark.parametrize("scenario", ["active", "normal", "repeat"])
def test_no_order_of_the_real_purchases_knows_the_likes(journey: dict[str, Log], scenario: str) -> None:
    for what, likes in all_places(journey[scenario]).items():
        assert abs(telling(likes)) < FAR, what
