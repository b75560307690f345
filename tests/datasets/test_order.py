"""No order tells the outcome: not that of items, nor of candidates, users or rounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lersbench.datasets import kuairec, openbandit, taobao, transactions
from lersbench.datasets.hashed import hashed_numbers, hashed_order
from lersbench.engine.layout import random_places
from lersbench.engine.rows import as_logged, rows_of
from lersbench.log import Log, write
from lersbench.log.chunk import Chunk
from lersbench.policies.first import First
from lersbench.policies.ltr import LTR
from lersbench.policies.random import Random
from tests.datasets.test_taobao import QUICK
from tests.datasets.test_transactions import CUT, rewards, shop
from tests.support.journey import journey
from tests.support.worlds import contender, final, play, protocol, square

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


@pytest.mark.parametrize("scenario", ["active", "normal", "repeat"])
def test_no_order_of_the_real_purchases_knows_the_likes(scenario: str) -> None:
    for what, likes in all_places(journey(scenario)).items():
        assert abs(telling(likes)) < FAR, what


def first_and_random(log: Log, metric: str, K: int = 1) -> tuple[float, float]:
    """What the first candidates are worth in a log with whole reward rows, and what random ones are."""
    rows = rows_of(next(iter(log.read(chunk_bytes=1 << 30))), log.items, "bandit", K)
    told = protocol(slate=K, ranked=True)
    return tuple(final(play(contender(policy, rows, told), rows), metric) for policy in (First(), Random()))  # type: ignore[return-value]


def test_first_is_worth_what_random_is_on_the_real_purchases() -> None:
    """`first` shows the same K products to everyone, so its error is that of the mean of K of the n products.

    By likes, the first 40 of 200 have 46 % of them, and the first one misses 70 %; random 20 and 97 %.
    """
    log = journey("active")
    share = log.item_table()["likes"].to_numpy() / log.info.rounds  # P(liked) of each product
    n = len(share)
    for K in (1, 10, 40):
        error = share.std() / np.sqrt(K) * np.sqrt((n - K) / (n - 1))  # K drawn without replacement
        first, by_chance = first_and_random(log, "ctr", K)
        assert abs(first - share.mean()) < 3 * error, K
        assert abs(by_chance - share.mean()) < 4 * np.sqrt(share.mean() / (K * log.info.rounds)), K
    hits, _ = first_and_random(log, "hr@20")
    assert abs(hits - 0.2) < 3 * share.std() * np.sqrt(40 * 160 / 199) / share.sum()


def test_published_hits_of_random_are_those_of_the_published_file() -> None:
    """All scores equal, ties in the order by likes: 48.5 %, however items are numbered."""
    log = journey("active")
    rows = rows_of(next(iter(log.read(chunk_bytes=1 << 30))), log.items, "bandit", 1)
    goods = log.item_table()
    made = contender(Random(), rows, protocol(ranked=True))
    made.meter = made.meter._replace(published=np.array(goods["published_rank"], np.int64))
    play(made, rows)
    by_hand = goods.sort_values("published_rank")["likes"][:40].sum() / goods["likes"].sum()
    assert final(made, "hr_published@20") == pytest.approx(by_hand)
    assert by_hand == pytest.approx(0.4846, abs=0.0005)


# Candidates that come as lists ---------------------------------------------------------------------------------------
ROUNDS, LISTED, ITEMS = 2000, 5, 12


@pytest.fixture(scope="module")
def telling_log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """Lists whose first candidate, and whose top position, are always the ones that pay."""
    rng = np.random.default_rng(0)
    candidates = rng.permuted(np.tile(np.arange(ITEMS), (ROUNDS, 1)), axis=1)[:, :LISTED]
    pays = np.tile([1.0, 0, 0, 0, 0], (ROUNDS, 1))
    chunk = {
        "candidates": candidates,
        "features": candidates[:, :, None] + np.arange(2) / 10,
        "rewards": pays,
        "expected": pays / 2,
        "slate": candidates,
        "clicks": pays.astype(np.int8),
    }
    return write(tmp_path_factory.mktemp("lists") / "log", [chunk], name="lists", items=ITEMS)


def chunk_of(log: Log) -> Chunk:
    (chunk,) = log.read()
    return chunk


@pytest.mark.parametrize("feedback", ["bandit", "full", "logged"])
def test_the_order_of_listed_candidates_tells_nothing(telling_log: Log, feedback: str) -> None:
    """`first` earns 1 in the order of the file, and 1 / C in that of the hash."""
    for mix, expected, off in ((None, 1.0, 0.0), (77, 1 / LISTED, 4 * np.sqrt(0.16 / ROUNDS))):
        rows = rows_of(chunk_of(telling_log), np.zeros((ITEMS, 0)), feedback, 1, mix=mix)
        made = play(contender(First(), rows, protocol(feedback)), rows)
        assert abs(final(made, "ctr") - expected) <= off


@pytest.mark.parametrize("feedback", ["bandit", "logged", "simulated", "replay"])
def test_mixed_rows_are_the_same_rows(telling_log: Log, feedback: str) -> None:
    """Whatever belongs to a candidate goes with it; the places hang on the key and the place of the round alone."""
    chunk = chunk_of(telling_log)
    both = (rows_of(chunk, np.zeros((ITEMS, 0)), feedback, 1, mix=mix) for mix in (None, 5))
    plain, mixed = map(square, both)
    assert (plain.candidates != mixed.candidates).any(axis=1).mean() > 0.9
    place = (mixed.candidates[:, None, :] == plain.candidates[:, :, None]).argmax(axis=2)
    for name in ("candidates", "features", "value", *(["rewards"] if feedback != "replay" else [])):
        ours, theirs = getattr(mixed, name), getattr(plain, name)
        if theirs.size:
            index = place if theirs.ndim == 2 else place[:, :, None]
            np.testing.assert_array_equal(np.take_along_axis(ours, index, axis=1), theirs)
    shown = np.take_along_axis(plain.candidates, plain.slate, axis=1)
    np.testing.assert_array_equal(np.take_along_axis(mixed.candidates, mixed.slate, axis=1), shown)
    np.testing.assert_array_equal(mixed.best, plain.best)
    later = rows_of(
        chunk._replace(
            start=1500,
            **{
                f: getattr(chunk, f)[1500:]
                for f in ("user", "context", "candidates", "features", "rewards", "expected")
            },
            **{f: getattr(chunk, f)[1500:] for f in ("slate", "clicks")},
        ),
        np.zeros((ITEMS, 0)),
        feedback,
        1,
        mix=5,
    )
    np.testing.assert_array_equal(square(later).candidates, mixed.candidates[1500:])


def test_every_order_of_candidates_is_equally_likely() -> None:
    out = np.empty(4 * 24_000, np.int64)
    random_places(9, 3, 4 * np.arange(24_001), out)
    _, times = np.unique(out.reshape(-1, 4), axis=0, return_counts=True)
    assert len(times) == 24 and np.abs(times - 1000).max() < 5 * np.sqrt(1000)


def test_ltr_alone_finds_the_logged_order(telling_log: Log) -> None:
    rows = rows_of(chunk_of(telling_log), np.zeros((ITEMS, 0)), "logged", 2, mix=5)
    plain = rows_of(chunk_of(telling_log), np.zeros((ITEMS, 0)), "logged", 2)
    back = as_logged(rows)
    for name in ("candidates", "features", "rewards", "value", "slate", "liked_from", "liked"):
        np.testing.assert_array_equal(getattr(back, name), getattr(plain, name))
    told = protocol("logged", slate=2)
    assert final(play(contender(LTR(), rows, told._replace(shows_the_log=LTR.shows_the_log)), rows), "ctr_sum") == 1
    assert final(play(contender(First(), rows, told), rows), "ctr_sum") < 0.5


# Data sets that come from files or are drawn -------------------------------------------------------------------------
def by_popularity(folder: Path, users: int = 60, videos: int = 120) -> Path:
    """KuaiRec's files of a world in which ids and rows stand in the order of popularity: video i is liked by all users
    but the first i / 2, so early videos and late users have the most likes."""
    folder.mkdir()
    user, video = np.nonzero(np.arange(users)[:, None] >= np.arange(videos)[None, :] / 2)
    likes = pd.DataFrame({"user_id": user, "video_id": video})
    likes.to_parquet(folder / "small_matrix_positives.parquet")
    pd.DataFrame({"user_id": np.arange(users)}).to_parquet(folder / "small_matrix_users.parquet")
    pd.DataFrame({"video_id": np.arange(videos)}).to_parquet(folder / "small_matrix_items.parquet")
    likes.assign(user_id=user + users).to_parquet(folder / "big_matrix_positives.parquet")
    tags = pd.DataFrame({"video_id": np.arange(videos), "tags": [[i % 3] for i in range(videos)]})
    tags.to_parquet(folder / "item_tags.parquet")
    return folder


def test_no_order_of_kuairec_knows_the_likes_though_the_file_does(tmp_path: Path) -> None:
    log = kuairec.build(tmp_path / "log", path=str(by_popularity(tmp_path / "data")), context=2)
    for what, likes in all_places(log).items():
        assert abs(telling(likes)) < FAR, what
        assert abs(telling(np.sort(likes))) > FAR, f"{what}: the order of the file would be noticed"


@pytest.mark.parametrize("campaign", ["all", "men", "women"])
def test_no_number_of_open_bandit_knows_the_clicks(tmp_path: Path, campaign: str) -> None:
    rounds = chunk_of(openbandit.build(tmp_path / "log", campaign=campaign))
    assert rounds.candidates.shape[0] == 1, "every round offers all items, by their numbers"
    clicks = np.bincount(rounds.slate[:, 0], rounds.clicks[:, 0], rounds.candidates.shape[1])
    assert abs(telling(clicks)) < FAR


@pytest.mark.parametrize("logging", ["ltr", "uniform"])
def test_neither_number_nor_place_of_a_mobile_shops_items_knows_the_clicks(tmp_path: Path, logging: str) -> None:
    """In the log candidates come with rising numbers, so family by family; the replay mixes them."""
    told: dict[str, Any] = {**QUICK, "rounds": 4000, "items": 400, "users": 500}
    rounds = chunk_of(taobao.build(tmp_path / "log", logging=logging, **told))
    items = rounds.candidates.ravel()
    attraction = np.bincount(items, rounds.attraction.ravel(), 400) / np.bincount(items, minlength=400)
    assert abs(telling(attraction)) < FAR
    shown = np.take_along_axis(rounds.attraction, rounds.slate, axis=1).mean(axis=0)
    assert (shown[0] > shown[-1] + 0.01) == (logging == "ltr"), "the ranker's own order does know"
    rows = rows_of(rounds, np.zeros((400, 0)), "simulated", 1, mix=5)
    attracts = square(rows).attraction
    first = attracts[:, 0] - attracts.mean(axis=1)
    assert abs(first.mean()) < FAR * first.std() / np.sqrt(len(first))
