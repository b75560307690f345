"""The simulated live shop: what was published of it, what must hold in any shop, and how it measures itself."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lersbench import datasets
from lersbench.datasets import livestream
from lersbench.datasets.purchases import liveshop, livewords, sequences
from lersbench.datasets.purchases.liveshop import LIVE_DAY, SHARES, START, LiveShop, simulate
from lersbench.datasets.transactions import PUBLISHED
from lersbench.errors import ConfigError
from lersbench.lab import rules as lab_rules
from lersbench.log import validate

SMOKE = 0.002
SCALE = 0.02  # large enough for the published figures to show


@pytest.fixture(scope="module")
def shop() -> LiveShop:
    return simulate(SCALE, seed=3)


@pytest.fixture(scope="module")
def table(shop: LiveShop) -> dict[str, tuple[float, float]]:
    """The calibration: what -> (published, here)."""
    return {row["what"]: (row["published"], row["here"]) for row in livestream.calibration(shop, SCALE)}


def day_of(times: pd.Series) -> np.ndarray:
    return (times.to_numpy().astype("datetime64[D]") - START).astype(int)


# --- as published --------------------------------------------------------------------------------------------------


def test_the_shares_of_the_streamers_are_the_published_ones(shop: LiveShop) -> None:
    assert SHARES @ np.ones(7) == pytest.approx(1)
    here = np.bincount(shop.transactions["seller"], minlength=7) / len(shop.transactions)
    np.testing.assert_allclose(here[:3], SHARES[:3], atol=0.04)
    np.testing.assert_allclose(here[3:], SHARES[3:], atol=0.015)


def test_sizes_grow_with_the_scale(table: dict[str, tuple[float, float]]) -> None:
    lines, products, customers = (table[f"{what} (published x 0.02)"] for what in livestream.PUBLISHED)
    assert lines[0] == round(0.02 * 5_579_428)
    assert lines[1] == pytest.approx(lines[0], rel=0.15)
    assert customers[1] == pytest.approx(customers[0], rel=0.05)
    assert products[0] <= products[1] <= 2 * products[0]  # small sessions still need their products


def test_activity_and_spans_are_as_published(table: dict[str, tuple[float, float]]) -> None:
    for least in (6, 11, 16):
        published, here = table[f"customers with >= {least} orders, %"]
        assert here == pytest.approx(published, abs=2)
    for last in (5, 10, 15):
        for moment in ("mean", "sd"):
            published, here = table[f"days of the last {last} orders, {moment}"]
            assert here == pytest.approx(published, abs=7)
    published, here = table["lines of an order"]
    assert (published, here) == (4.9, pytest.approx(4.9, rel=0.12))


def test_the_next_streamer_can_be_told_but_not_by_the_simplest_rules(shop: LiveShop) -> None:
    right = livestream.next_streamer_baselines(shop.transactions)
    assert right["most frequent of all"] == pytest.approx(SHARES[0], abs=0.08)
    assert 0.75 < max(right.values()) < 0.95


def test_the_next_basket_can_be_told_a_little(shop: LiveShop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a customer bought says something of what follows, far from everything; one basket says too little."""
    monkeypatch.setattr(liveshop, "simulate", lambda scale, seed, explained: shop)
    history = sequences.read("livestream", {"scale": SCALE, "seed": 3}).arrays
    overall, last, own, drawn = lab_rules.basket_rules(history, 10, 11, 0.67, 0).values()
    assert 0.5 * overall < drawn < 0.93 * overall
    assert own < overall < last


@pytest.mark.slow
def test_an_encoder_learns_what_follows_and_no_rule_of_thumb_is_far_ahead() -> None:
    """With the published settings."""
    contexts = pytest.importorskip("lersbench.neural.training", exc_type=ImportError)
    history = lab_rules.with_orders(sequences.read("livestream", {}).arrays, 11)
    overall, _, own, _ = lab_rules.basket_rules(history, 10, 11, 0.67, 0).values()
    loss = contexts.train_basket(history)["test_loss"].iloc[-1]
    assert 0.5 * overall < loss < 0.95 * overall
    assert loss < 1.03 * own


def test_the_scenarios_have_their_published_sizes_in_proportion(tmp_path: Path) -> None:
    """At scale 0.01 the live day has a tenth of its published customers and products."""
    log = livestream.build(tmp_path / "log", scenario="normal", scale=0.01)
    assert validate(log.path).ok
    facts, published = log.info.provenance, PUBLISHED["normal"]
    assert facts["customers"] == pytest.approx(0.1 * published["customers"], rel=0.15)
    assert facts["products"] == pytest.approx(0.1 * published["products"], rel=0.25)
    assert facts["likes"] == pytest.approx(0.1 * published["likes"], rel=0.2)
    assert facts["calibration"] == livestream.calibration(simulate(0.01), 0.01)
    assert len(facts["static"]) == 4 + 9 + 11 + 31  # RFM, payment, shipping, city: as published


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["normal", "active", "repeat"])
def test_the_scenarios_come_out_as_published(tmp_path: Path, scenario: str) -> None:
    facts = livestream.build(tmp_path / "log", scenario=scenario).info.provenance
    for key, published in PUBLISHED[scenario].items():
        assert facts[key] == pytest.approx(published, rel=0.1), key


# --- a shop --------------------------------------------------------------------------------------------------------


def test_an_order_is_of_one_customer_streamer_time_and_its_products_differ(shop: LiveShop) -> None:
    lines = shop.transactions
    per_order = lines.groupby("order")[["customer", "seller", "time"]].nunique()
    assert (per_order == 1).all(axis=None)
    assert not lines.duplicated(["order", "product"]).any()
    assert lines["time"].is_monotonic_increasing
    assert lines["time"].min() >= pd.Timestamp("2021-03-01")
    assert lines["time"].max() < pd.Timestamp("2022-05-01")
    assert (lines["amount"] > 0).all()
    assert (lines["quantity"] > 0).all()
    assert lines["customer"].isin(shop.customers["customer"]).all()
    assert lines["product"].isin(shop.products["product"]).all()


def test_orders_are_placed_in_the_streamer_s_sessions(shop: LiveShop) -> None:
    orders = shop.transactions.drop_duplicates("order")
    pause = (7 / shop.streamers["sessions_a_week"]).round().astype(int).to_numpy()
    seller = orders["seller"].to_numpy()
    assert ((day_of(orders["time"]) - LIVE_DAY) % pause[seller] == 0).all()
    hour = (orders["time"] - orders["time"].dt.normalize()).dt.total_seconds().to_numpy() / 3600
    begins, hours = (shop.streamers[name].to_numpy()[seller] for name in ("start_hour", "hours"))
    assert (hour >= begins - 1e-3).all()
    assert (hour <= begins + hours).all()


def test_products_roll_out_with_one_streamer_sell_mostly_that_day_and_vanish(shop: LiveShop) -> None:
    lines = shop.transactions.assign(day=day_of(shop.transactions["time"]))
    assert (lines.groupby("product")["seller"].nunique() == 1).all()
    since = lines["day"] - lines.groupby("product")["day"].transform("min")
    assert 0.8 < (since == 0).mean() < 0.995
    assert since.max() < liveshop.AGAIN_DAYS[1] + liveshop.LONGEST_BREAK


def test_nothing_is_sold_before_it_rolls_out() -> None:
    rng = np.random.default_rng(0)
    pause, live, profile = (
        liveshop._pauses(SMOKE),
        liveshop._live(SMOKE),
        liveshop._profile(np.random.default_rng([0, 9])),
    )
    goods = liveshop._explained(rng, liveshop._goods(rng, SMOKE, pause, live, profile), 0.5)
    offers = liveshop._offers(rng, goods, pause, live)
    streamer, day = np.divmod(np.repeat(np.arange(len(offers.begin) - 1), np.diff(offers.begin)), liveshop.DAYS)
    assert (day >= goods.first[offers.product]).all()
    assert (streamer == goods.streamer[offers.product]).all()
    lines = simulate(SMOKE).transactions
    first_shown = liveshop._goods(np.random.default_rng([0, 2]), SMOKE, pause, live, profile).first
    assert (day_of(lines["time"]) >= first_shown[lines["product"]]).all()


def test_customers_keep_to_tastes_and_some_buy_a_product_again(shop: LiveShop) -> None:
    """Two neighbouring orders of a customer have a department in common more often than orders of two strangers."""
    lines = shop.transactions
    department = shop.products.set_index("product")["department"].cat.codes.loc[lines["product"]].to_numpy()
    orders = lines.drop_duplicates("order").sort_values(["customer", "order"])
    held = np.zeros((int(lines["order"].max()) + 1, len(livewords.DEPARTMENTS)), bool)
    held[lines["order"], department] = True
    order, customer = orders["order"].to_numpy(), orders["customer"].to_numpy()
    same = customer[1:] == customer[:-1]
    neighbours = (held[order[1:]] & held[order[:-1]]).any(axis=1)[same].mean()
    strangers = (held[order] & held[np.random.default_rng(0).permutation(order)]).any(axis=1).mean()
    assert strangers + 0.05 < neighbours < 0.95
    assert 0.005 < lines.duplicated(["customer", "product"]).mean() < 0.2


def test_buyers_comment_on_the_day_more_readily_at_home(shop: LiveShop) -> None:
    said = pd.MultiIndex.from_arrays([shop.comments["customer"], day_of(shop.comments["time"])])
    orders = shop.transactions.drop_duplicates("order").sort_values(["customer", "order"])
    commented = pd.MultiIndex.from_arrays([orders["customer"], day_of(orders["time"])]).isin(said)
    assert 0.5 < commented.mean() < 0.95
    main = orders.groupby("customer")["seller"].transform(lambda sellers: sellers.mode().iloc[0])
    at_home = (orders["seller"] == main).to_numpy()
    assert commented[at_home].mean() > commented[~at_home].mean() + 0.1
    assert shop.comments["time"].is_monotonic_increasing
    assert (shop.comments.groupby("video")["streamer"].nunique() == 1).all()


def test_a_name_says_brand_attribute_style_and_category(shop: LiveShop) -> None:
    assert len(set(liveshop.CATEGORIES)) == 280
    for row in shop.products.sample(50, random_state=0).itertuples():
        _, categories, attributes = livewords.DEPARTMENTS[row.department]
        assert row.category in categories.split("|")
        inner = row.name.removeprefix(f"{row.brand} ").removesuffix(f" {row.category}")
        attribute, style = inner.split(" ")
        assert attribute in attributes.split("|")
        assert style in livewords.STYLES


# --- seeds, options ------------------------------------------------------------------------------------------------


def test_a_seed_makes_one_shop() -> None:
    one, two, other = simulate(SMOKE, 1), simulate(SMOKE, 1), simulate(SMOKE, 2)
    for name in LiveShop._fields:
        pd.testing.assert_frame_equal(getattr(one, name), getattr(two, name))
    assert not one.transactions.equals(other.transactions)


def test_a_block_of_orders_has_draws_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Smaller blocks change what is bought, not who orders when."""
    whole = simulate(SMOKE).transactions
    monkeypatch.setattr(liveshop, "BLOCK", 500)
    parts = simulate(SMOKE).transactions
    keys = ["order", "customer", "seller", "time"]
    pd.testing.assert_frame_equal(*(t.drop_duplicates("order")[keys].reset_index(drop=True) for t in (whole, parts)))
    assert parts["product"].nunique() > 500


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scale": 1.5}, "option scale = 1.5 must lie between 0.002 and 1, the published size."),
        ({"scale": 0.0}, "option scale = 0.0 must lie between"),
        ({"scale": float("nan")}, "option scale = nan must lie between"),
        ({"seed": -1}, "option seed = -1 must be at least 0."),
        ({"scal": 0.1}, "did you mean 'scale'"),
        ({"scenario": "regular"}, "'regular' is none of 'normal', 'active', 'repeat'"),
        ({"day": "2021-10-31", "scale": SMOKE}, "lies before the cut 2021-11-01"),
    ],
)
def test_wrong_options_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, object], said: str
) -> None:
    monkeypatch.setenv("LERSBENCH_CACHE", str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        datasets.build("livestream", **options)
    assert said in str(caught.value)


# --- how it measures itself ----------------------------------------------------------------------------------------


def of(orders: list[tuple[int, int, int]]) -> pd.DataFrame:
    """Orders of one line: (customer, day, streamer)."""
    return pd.DataFrame(
        {
            "customer": [c for c, _, _ in orders],
            "order": range(len(orders)),
            "seller": [s for _, _, s in orders],
            "time": [pd.Timestamp(START) + datetime.timedelta(days=d, hours=20) for _, d, _ in orders],
        }
    )


def test_the_next_streamer_baselines_worked_by_hand() -> None:
    """A: 0 0 0 1 1 1, then 1; B: 2 1 2 1 2 1, then 2; C has too few orders; what follows the cut does not count."""
    a = [(0, day, streamer) for day, streamer in enumerate([0, 0, 0, 1, 1, 1, 1])]
    b = [(1, day, streamer) for day, streamer in enumerate([2, 1, 2, 1, 2, 1, 2])]
    c = [(2, day, 0) for day in range(5)]
    late = [(0, 300, 0), (1, 300, 0), (2, 300, 0)]
    right = livestream.next_streamer_baselines(of(a + b + c + late))
    assert right == {
        "most frequent of all": 0.5,  # streamer 1: six of twelve
        "customer's last": 0.5,  # A
        "customer's most frequent": 0.0,  # ties: 0 for A, 1 for B
        "customer's most frequent of the last 5": 0.5,  # A: 0 0 1 1 1; B: 1 2 1 2 1
    }


def test_the_span_of_the_last_orders_worked_by_hand() -> None:
    """Customer 0: days 1, 10, .., 60, of which the last five span 60 - 20; customer 1 has five orders: not enough."""
    orders = livestream._orders(of([(0, d, 0) for d in (1, 20, 30, 40, 50, 60)] + [(1, d, 0) for d in range(5)]))
    assert livestream._span(orders, livestream._backs(orders), 5).tolist() == [40]
