"""Visits while products come and go: what is on air, who comes, what they would buy, and when that is known."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lersbench import api, datasets
from lersbench.bench import scenario
from lersbench.datasets import livestream, onair
from lersbench.datasets.purchases import liveshop
from lersbench.datasets.purchases import onair as world
from lersbench.datasets.purchases.tables import Tables
from lersbench.errors import ConfigError
from lersbench.log import Log, validate
from lersbench.log.chunk import Chunk
from lersbench.log.history import history_arrays, past_arrays
from tests.datasets.test_order import FAR, telling

SMALL: dict[str, Any] = {
    "scale": 0.01, "visits": 2500, "customers": 250, "products": 400, "minutes": 45, "seed": 1, "text": 4
}  # fmt: skip
TINY: dict[str, Any] = {"scale": 0.002, "visits": 120, "customers": 20, "products": 60, "text": 4}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """As many products on air at a time as with the defaults, of a smaller platform."""
    return onair.build(tmp_path_factory.mktemp("air") / "log", **SMALL)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Log:
    return onair.build(tmp_path_factory.mktemp("tiny") / "log", **TINY)


@pytest.fixture(scope="module")
def rounds(log: Log) -> Chunk:
    (chunk,) = log.read(chunk_bytes=1 << 30)
    return chunk


@pytest.fixture(scope="module")
def items(log: Log) -> pd.DataFrame:
    return log.item_table()


def row_of(rounds: Chunk) -> np.ndarray:
    """The round of each candidate."""
    return np.repeat(np.arange(len(rounds.user)), np.diff(rounds.first))


# --- calibration ---------------------------------------------------------------------------------------------------


def test_it_has_the_sizes_that_were_asked_for(log: Log, rounds: Chunk, items: pd.DataFrame) -> None:
    assert validate(log.path).ok
    assert (log.info.rounds, log.info.users, log.info.items) == (2500, 250, 400)
    assert log.info.order == "time" and log.info.ragged == ("candidates",)
    assert set(rounds.user) == set(range(250)), "each customer comes once at least"
    facts = log.info.provenance
    assert facts["products_shown_before"] == items["shown_before"].sum() == pytest.approx(0.33 * 400, abs=4)
    lengths = np.diff(rounds.first)
    assert facts["candidates"] == {"mean": round(lengths.mean(), 2), "least": lengths.min(), "most": lengths.max()}
    assert facts["products_without_a_past"] == items["mean_price"].isna().sum() > 200
    assert "published" not in facts and "nothing of these is published" in facts["ours"]


def test_the_platform_is_that_of_livestream(log: Log) -> None:
    shop = liveshop.simulate(0.01, 1)
    assert log.info.provenance["calibration"] == livestream.calibration(shop, 0.01)


def test_candidates_are_a_few_to_some_tens(rounds: Chunk) -> None:
    lengths = np.diff(rounds.first)
    assert 1 <= lengths.min() <= 4 and 20 < np.median(lengths) < 50 and lengths.max() < 80
    assert len(np.unique(lengths)) > 20


def test_a_product_on_air_is_bought_as_often_as_one_of_the_published_active_is_liked(rounds: Chunk) -> None:
    """3.3 %, by someone who shows any; whoever knew the customers would be right far more often."""
    by_chance = np.add.reduceat(rounds.expected, rounds.first[:-1]) / np.diff(rounds.first)
    assert by_chance.mean() == pytest.approx(0.033, abs=0.008)
    best = np.maximum.reduceat(rounds.expected, rounds.first[:-1])
    assert 5 * by_chance.mean() < best.mean() < onair.Options().orders


def test_purchases_are_drawn_by_their_probabilities(rounds: Chunk) -> None:
    expected, bought = rounds.expected, rounds.rewards
    assert set(bought) == {0.0, 1.0}
    for low, high in ((0, 0.01), (0.01, 0.1), (0.1, 0.4)):
        part = (expected >= low) & (expected < high)
        error = math.sqrt((expected[part] * (1 - expected[part])).sum())
        assert abs(bought[part].sum() - expected[part].sum()) < FAR * error, (low, high)


def test_probabilities_are_the_platforms_own_by_a_naive_twin(log: Log, rounds: Chunk, items: pd.DataFrame) -> None:
    """Worked out pair by pair from the crowd and the goods."""
    made = liveshop.platform(0.01, 1, liveshop.EXPLAINED)
    users, starts = log.user_table(), rounds.first
    assert users is not None
    for t in (0, 700, 1900, 2499):
        who, day = int(users["id"][rounds.user[t]]), 246 + (rounds.time[t] // 86_400_000_000) - 18_933
        offered = rounds.candidates[starts[t] : starts[t + 1]]
        product, streamer = items["id"][offered].to_numpy(), items["streamer"][offered].to_numpy()
        tastes = [
            made.crowd.taste[who, i, made.crowd.epoch(np.array([who]), np.array([day]), 1 + i)[0]] for i in range(3)
        ]
        home = made.crowd.home[who, made.crowd.epoch(np.array([who]), np.array([day]), 0)[0]]
        weight = []
        for place, one in zip(offered, product, strict=True):
            category = int(made.goods.category[one])
            liking = max(1.0 if c == category else 0.6 if c // 20 == category // 20 else 0.005 for c in tastes)
            charm = 1.0 if liveshop._pair(np.array([who]), np.array([one]))[0] < 0.35 else 0.6
            old = 0.12 if items["shown_before"][place] else 1.0
            weight.append(made.goods.popularity[one] * old * liking * charm)
        away = made.crowd.away[who]
        usual = {s: away * liveshop.SHARES[s] + (1 - away) * (s == home) for s in set(streamer.tolist())}
        for j, s in enumerate(streamer):
            share = weight[j] / sum(w for w, other in zip(weight, streamer, strict=True) if other == s)
            lines = 1 + made.crowd.basket[who]
            p = 0.37 * usual[s] / sum(usual.values()) * (1 - math.exp(-lines * share))
            assert rounds.expected[starts[t] + j] == pytest.approx(p, abs=2e-9)


# --- what is on air ------------------------------------------------------------------------------------------------


def test_candidates_are_the_products_on_air_and_no_others(rounds: Chunk, items: pd.DataFrame) -> None:
    begin, end = (items[name].to_numpy().astype("M8[us]").astype(np.int64) for name in ("on_from", "on_until"))
    assert (begin < end).all()
    for t, time in enumerate(rounds.time):
        on_air = [i for i in range(len(begin)) if begin[i] <= time < end[i]]
        assert rounds.candidates[rounds.first[t] : rounds.first[t + 1]].tolist() == on_air


def test_new_products_come_throughout_and_do_not_come_back(rounds: Chunk, items: pd.DataFrame) -> None:
    """In every tenth of the visits, a part of the products on offer were never offered before."""
    row = row_of(rounds)
    first, last = np.full(len(items), len(rounds.user)), np.zeros(len(items), np.int64)
    np.minimum.at(first, rounds.candidates, row)
    np.maximum.at(last, rounds.candidates, row)
    for tenth in range(10):
        inside = row * 10 // len(rounds.user) == tenth
        offered = np.unique(rounds.candidates[inside])
        assert (first[offered] >= tenth * len(rounds.user) // 10).mean() > 0.4
    assert ((last - first)[first < len(rounds.user)] < 0.4 * len(rounds.user)).all(), "a session of two days' visits"
    stay = (items["on_until"] - items["on_from"]).dt.total_seconds() / 60
    assert stay.max() < 1.5 * 45 + 1 and stay.median() == pytest.approx(45, rel=0.4)


def test_every_moment_of_a_session_has_a_product_and_streamers_come_and_go(items: pd.DataFrame) -> None:
    for streamer, own in items.groupby("streamer"):
        row = liveshop.STREAMERS.iloc[int(streamer)]  # type: ignore[call-overload]
        for day, session in own.groupby(own["on_from"].dt.date):
            session = session.sort_values("on_from")
            begin = pd.Timestamp(day) + pd.Timedelta(hours=row["start_hour"])
            assert session["on_from"].iloc[0] == begin
            assert session["on_until"].max() == begin + pd.Timedelta(hours=row["hours"])
            assert (session["on_from"].to_numpy()[1:] <= session["on_until"].cummax().to_numpy()[:-1]).all()


def test_no_order_tells_what_is_bought(rounds: Chunk, items: pd.DataFrame) -> None:
    """Not the numbers of items and users, nor the place among the candidates; and a number does not tell the time."""
    offers = np.bincount(rounds.candidates, minlength=len(items))
    mean = np.bincount(rounds.candidates, rounds.expected, len(items))[offers > 0] / offers[offers > 0]
    assert abs(telling(mean)) < FAR and abs(telling(items["on_from"].astype(np.int64).to_numpy())) < FAR
    per_visit = np.add.reduceat(rounds.rewards, rounds.first[:-1])
    assert abs(telling(np.bincount(rounds.user, per_visit) / np.bincount(rounds.user))) < FAR
    first = rounds.expected[rounds.first[:-1]] - np.add.reduceat(rounds.expected, rounds.first[:-1]) / np.diff(
        rounds.first
    )
    spread = pd.Series(first).groupby(rounds.candidates[rounds.first[:-1]]).mean()  # one value a product: it repeats
    assert abs(spread.mean()) < FAR * spread.std() / math.sqrt(len(spread))


# --- what is known when --------------------------------------------------------------------------------------------


def test_a_reward_is_known_minutes_or_hours_later_whatever_it_is(rounds: Chunk) -> None:
    minutes = (rounds.known - np.repeat(rounds.time, np.diff(rounds.first))) / 60e6
    assert minutes.min() >= 0
    assert np.median(minutes) == pytest.approx(20, rel=0.03)
    assert np.log(minutes[minutes > 0.5]).std() == pytest.approx(1, abs=0.03)
    bought = rounds.rewards == 1
    gap = np.log(minutes[bought] + 0.01).mean() - np.log(minutes[~bought] + 0.01).mean()
    assert abs(gap) < FAR / math.sqrt(bought.sum())


def test_without_a_delay_it_is_known_at_once(tmp_path: Path) -> None:
    (rounds,) = onair.build(tmp_path / "log", **TINY, delay=0).read()
    assert (rounds.known == np.repeat(rounds.time, np.diff(rounds.first))).all()


def other_lines(change: Any) -> Any:
    """`livestream.tables_of` with other order lines."""
    usual = livestream.tables_of

    def tables_of(*args: Any) -> Tables:
        tables = usual(*args)
        return dataclasses.replace(tables, transactions=change(tables.transactions))

    return tables_of


@pytest.mark.parametrize(("side", "same"), [("after", True), ("before", False)])
def test_nothing_is_known_of_the_days_of_the_visits(
    tiny: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: str, same: bool
) -> None:
    """Other purchases from the first day on change nothing: no context, no feature, no history."""

    def change(lines: pd.DataFrame) -> pd.DataFrame:
        late = (lines["time"] >= pd.Timestamp("2021-11-02")).to_numpy() == (side == "after")
        assert 0 < late.sum() < len(late)
        lines = lines.copy()
        for name in ("customer", "product", "seller", "order"):
            lines.loc[late, name] = lines.loc[late, name].to_numpy()[::-1]
        lines.loc[late, "amount"] *= 7
        return lines

    monkeypatch.setattr(livestream, "tables_of", other_lines(change))
    other = onair.build(tmp_path / "other", **TINY).info
    assert (other.files == tiny.info.files and other.digest == tiny.info.digest) == same


def test_the_last_orders_are_those_before_the_first_visit(log: Log, rounds: Chunk) -> None:
    lines = liveshop.simulate(0.01, 1).transactions
    past = lines[lines["time"] < pd.Timestamp("2021-11-02")]
    assert past["time"].max() < pd.Timestamp(rounds.time.min(), unit="us")
    users = log.user_table()
    assert users is not None
    history = history_arrays(users, log.item_table())
    for number, who in enumerate(users["id"][:40]):
        own = past[past["customer"] == who].drop_duplicates("order").sort_values(["time", "order"])["seller"].to_numpy()
        expected = own[-16:] if len(own) else np.zeros(0)
        known = history["order_streamers"][number]
        assert known[known >= 0].tolist() == expected.tolist()
    assert (
        log.info.provenance["customers_without_a_past"]
        == (past_arrays(users, log.item_table())["past_windows"] == 0).sum()
    )


def test_a_product_is_announced_with_its_streamer_and_its_price(log: Log, items: pd.DataFrame) -> None:
    """Also one that was never sold; popularity counts what lay before."""
    assert np.stack(items["sellers"].to_list()).argmax(axis=1).tolist() == items["streamer"].tolist()
    price = np.log1p(items["price"].to_numpy(float))
    assert np.corrcoef(log.items[:, 1], price)[0, 1] == pytest.approx(1)
    lines = liveshop.simulate(0.01, 1).transactions
    past = lines[lines["time"] < pd.Timestamp("2021-11-02")]
    buyers = past[["customer", "product"]].drop_duplicates()["product"].value_counts()
    assert items["popularity"].tolist() == buyers.reindex(items["id"], fill_value=0).tolist()
    assert not {"likes", "published_rank", "expected"} & set(items.columns)


# --- the log as such -----------------------------------------------------------------------------------------------


def test_the_same_seed_makes_the_same_log(tiny: Log, tmp_path: Path) -> None:
    again, other = (onair.build(tmp_path / str(seed), **TINY, seed=seed).info for seed in (0, 5))
    assert again.digest == tiny.info.digest and again.files == tiny.info.files
    assert other.digest != again.digest


def test_its_size_is_estimated_beforehand(log: Log) -> None:
    estimate = onair.size(**dataclasses.asdict(onair.Options(**SMALL)))
    assert estimate.rounds == 2500 and 0.5 < estimate.candidates / log.info.C < 2
    on_disk = (Path(log.path) / "rounds.parquet").stat().st_size
    assert 0.4 < estimate.disk / on_disk < 2.5


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"visits": 10, "customers": 20}, "visits = 10 is less than customers = 20"),
        ({"products": 20, "days": 3}, "products = 20, but 3 days have 21 sessions"),
        ({"customers": 50_000, "visits": 60_000}, "customers = 50000, but at this scale .* are there"),
        ({"products": 20_000}, "would show .* products, but at this scale the platform has"),
        ({"days": 181}, "days = 181 must lie between 1 and 180"),
        ({"orders": 0}, "orders = 0.* must"),
        ({"minutes": 0}, "minutes = 0.* must lie between 0.1 and 240"),
        ({"delay": -1}, "delay = -1.* must lie between 0 and 10080, a week"),
        ({"vists": 10}, "no option 'vists'; did you mean 'visits'"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        datasets.build("on-air", **{**TINY, **options})


def test_products_are_shared_out_whole() -> None:
    sizes = world._apportioned(1500, np.tile(np.sqrt(liveshop.SHARES), 2))
    assert sizes.sum() == 1500 and sizes.min() >= 1 and (sizes[:7] - sizes[7:]).max() <= 1


# --- the scenario --------------------------------------------------------------------------------------------------


def test_lers_plays_it_with_delayed_feedback(tiny: Log) -> None:
    pytest.importorskip("torch", exc_type=ImportError)
    played = api.replay(["random", "lers"], tiny, seeds=2, replicates="subsample", delay="logged").summary
    assert set(played["policy"]) == {"random", "lers"}
    misses = played[played["metric"] == "misses"]["value"]
    assert len(misses) == 4 and misses.between(0, 1).all() and misses.nunique() > 1


def test_the_file_names_its_policies_its_short_version_and_the_public_logs() -> None:
    whole, short = scenario.read("on-air"), scenario.read("on-air", quick=True)
    assert whole.replay.delay == "logged" and whole.replay.feedback == "bandit"
    assert short.data.model_extra == {"scale": 0.02, "visits": 3000, "customers": 300, "products": 400}
    onair.Options(**short.data.model_extra)
    names = {entry.label for entry in scenario.entries(whole)}
    for dataset in ("kuailive", "twitch"):
        other = scenario.read("on-air", {"data.path": "x"}, dataset, quick=True)
        assert other.name == f"on-air-{dataset}" and other.replay.delay is None and other.replay.interactions is None
        assert (other.data.model_extra or {}).keys() == {"candidates", "path"}
        assert set(other.data.model_extra or {}) <= set(datasets.DATASETS[dataset].options)
        left = {entry.label for entry in scenario.entries(other)}
        assert left < names and not any(
            "history" in e.policy.needs or "past" in e.policy.needs for e in scenario.entries(other)
        )
        assert {"linucb-k alpha=0.3", "neural-ts", "popular"} <= left
