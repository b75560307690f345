"""What was known before the stream: bought pairs by hand, nothing from after the cut, rules and warm starts from it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lersbench.datasets import transactions
from lersbench.datasets.purchases import explained, past
from lersbench.datasets.purchases.history import History
from lersbench.datasets.purchases.tables import Tables
from lersbench.datasets.reduce import signed
from lersbench.errors import ConfigError
from lersbench.kernels.ties import scramble
from lersbench.learners.per_item import estimates, inverse
from lersbench.log import Log
from lersbench.log.history import arrays_for, past_arrays
from lersbench.policy import Round, Spec, load
from lersbench.testing import checks, engines, worlds
from tests.datasets.test_transactions import CUT, shop


def lines(rows: list[tuple]) -> Tables:
    """(customer, product, order, days before the cut) rows; quantity 1, amount 2."""
    table = pd.DataFrame(rows, columns=["customer", "product", "order", "back"])
    back = pd.to_timedelta(table.pop("back"), unit="D")
    return Tables(table.assign(seller=0, time=pd.Timestamp(CUT) - back, amount=2.0, quantity=1))


def test_bought_pairs_by_hand() -> None:
    """Windows of 7 days: A came in windows 0, 0, 1 and 3, B in window 0, C after the cut only."""
    rows = [("A", 1, 0, 7), ("A", 1, 1, 1), ("A", 2, 1, 1), ("A", 1, 2, 8), ("A", 3, 3, 28), ("B", 1, 4, 2)]
    rows += [("C", 4, 5, 0), ("A", 4, 6, 0)]
    history = History(lines(rows), pd.Timestamp(CUT))
    found = past.bought(history, np.array([2, 0, 1]), np.array([1, 0, 3]), 7)  # C, A, B; products 2, 1, 4
    assert [items.tolist() for items in found.item] == [[], [0, 1], [1]]
    assert [orders.tolist() for orders in found.orders] == [[], [1, 3], [1]]
    assert [rates.tolist() for rates in found.rate] == [[], pytest.approx([1 / 3, 2 / 3]), [1.0]]
    assert found.windows.tolist() == [0, 3, 1]
    np.testing.assert_allclose(found.item_rate, [1 / 4, 3 / 4, np.nan])


def by_ids(log: Log) -> dict[tuple, float]:
    """Every number of the past arrays that has a customer, a product or both, by their ids."""
    users, items = log.user_table(), log.item_table()
    arrays = past_arrays(users, items)
    found = {}
    for u, customer in enumerate(users["id"]):
        place = slice(arrays["bought_start"][u], arrays["bought_start"][u + 1])
        told = arrays["bought"][place], arrays["bought_orders"][place], arrays["bought_rate"][place]
        found |= {(customer, items["id"][i], "orders"): n for i, n in zip(told[0], told[1], strict=True)}
        found |= {(customer, items["id"][i], "rate"): r for i, r in zip(told[0], told[2], strict=True)}
        found |= {(customer, name): arrays[name][u] for name in ("past_windows", "last_streamer")}
        found |= {(customer, "known", i): value for i, value in enumerate(arrays["known"][u])}
    for i, product in enumerate(items["id"]):
        found |= {(product, name): arrays[name][i] for name in ("popularity", "past_rate")}
        if arrays["popularity"][i]:
            found |= {(product, "sellers", j): value for j, value in enumerate(arrays["sellers"][i])}
    return found


def test_nothing_after_the_cut_reaches_the_past(tmp_path: Path) -> None:
    """Everything after the cut is replaced; of customers and products in both logs all numbers stay."""
    tables = shop()
    table = tables.transactions.copy()
    late = (table["time"] >= CUT).to_numpy()
    rng = np.random.default_rng(5)
    for column in ("customer", "product", "seller", "order"):
        table.loc[late, column] = rng.permutation(table.loc[late, column])
    table.loc[late, "amount"] *= rng.random(late.sum()) * 50 + 0.1
    logs = [
        transactions.build(dataclasses.replace(tables, transactions=each), tmp_path / name, scenario="active", cut=CUT)
        for name, each in {"before": tables.transactions, "after": table}.items()
    ]
    one, two = map(by_ids, logs)
    kept = {key for key in one if key in two}
    assert len(kept) > 1000
    ids = [({*log.user_table()["id"]}, {*log.item_table()["id"]}) for log in logs]
    for key in one.keys() - two.keys():  # a pair is missing only where its customer or product is
        assert key[0] not in ids[1][0] or key[1] not in ids[1][1], key
    for key in kept:
        assert one[key] == pytest.approx(two[key], abs=1e-9, nan_ok=True), key


def test_what_was_bought_before_the_cut_does_reach_it(tmp_path: Path) -> None:
    log = transactions.build(shop(), tmp_path / "log", scenario="active", cut=CUT)
    table = transactions.purchases(shop())[0].transactions
    table = table[table["time"] < CUT]
    counts = table.drop_duplicates(["customer", "order", "product"]).groupby(["customer", "product"]).size()
    assert {key: n for key, n in by_ids(log).items() if key[-1] == "orders"} == {
        (*key, "orders"): n for key, n in counts.items() if key[1] in {*log.item_table()["id"]}
    }


def test_free_goods_are_purchases_and_returns_are_told_apart(tmp_path: Path) -> None:
    tables = shop()
    table = tables.transactions.copy()
    on_the_day = np.flatnonzero((table["time"] >= CUT) & (table["quantity"] > 0))
    table.loc[on_the_day[:9], "amount"] = 0.0
    table.loc[on_the_day[9:12], ["quantity", "amount"]] = [0, 0.0]
    kept, counts = transactions.purchases(dataclasses.replace(tables, transactions=table))
    returns = int((table["quantity"] < 0).sum())
    assert counts == {"returns_dropped": returns, "empty_lines_dropped": 3, "free_goods": 9}
    assert len(kept.transactions) == len(table) - returns - 3
    free = dataclasses.replace(tables, transactions=table)
    log = transactions.build(free, tmp_path / "log", scenario="normal", cut=CUT)
    assert f"{returns:,} returns and 3 lines of quantity 0; 9 free goods count" in transactions.describe(log)


def test_customers_and_products_without_a_past_are_counted(tmp_path: Path) -> None:
    tables = shop()
    table = tables.transactions
    new = (table["customer"] == "c01") | (table["product"] == 1000)
    table = table[~new | (table["time"] >= CUT)]
    log = transactions.build(
        dataclasses.replace(tables, transactions=table), tmp_path / "log", scenario="normal", cut=CUT
    )
    facts = log.info.provenance
    assert (facts["customers_without_a_past"], facts["products_without_a_past"]) == (1, 1)
    assert "not updated while customers come: of 1 of the" in transactions.describe(log)


def test_everyone_is_told_price_and_popularity(tmp_path: Path) -> None:
    """The same two numbers lead the item features and stand in the product side of the LERS policies."""
    log = transactions.build(shop(), tmp_path / "log", scenario="normal", cut=CUT)
    items, s = log.item_table(), len(log.info.provenance["streamer_features"])
    features, side = np.stack(items["features"]), np.stack(items["product_side"])
    assert features.shape[1] == 8
    np.testing.assert_allclose(side[:, s : s + 2], features[:, :2], rtol=1e-5)
    assert np.corrcoef(features[:, 0], np.log1p(items["popularity"]))[0, 1] == pytest.approx(1)
    assert np.corrcoef(features[:, 1], np.log1p(items["mean_price"]))[0, 1] == pytest.approx(1)


def made_up(d: int = 3) -> Spec:
    arrays = worlds.made_up_past(7, 6, d)
    return Spec(6, 6, 6, d, users=7, history=arrays)


def ranking(name: str, spec: Spec, user: int, t: int = 0) -> np.ndarray:
    policy, slate = load(name), np.zeros(6, np.int64)
    round = Round(
        t, user, np.ones(spec.d), np.arange(6), np.zeros((6, 0)), int(scramble(99, t)), np.zeros(6), np.ones(6), slate
    )
    policy.select(policy.init(spec), np.random.default_rng(0), round, slate)
    return round.scores


@pytest.mark.parametrize("user", [-1, 0, 3, 6])
def test_rules_of_the_past_by_hand(user: int) -> None:
    spec = made_up()
    arrays = spec.history
    np.testing.assert_array_equal(ranking("past-popular", spec, user), arrays["popularity"])
    orders, sellers = np.zeros(6), np.zeros(6)
    if user >= 0:
        place = slice(arrays["bought_start"][user], arrays["bought_start"][user + 1])
        orders[arrays["bought"][place]] = arrays["bought_orders"][place]
        if arrays["last_streamer"][user] >= 0:
            sellers = arrays["sellers"][:, arrays["last_streamer"][user]]
    share = arrays["popularity"] / (1 + arrays["popularity"].max())
    np.testing.assert_array_equal(ranking("past-bought", spec, user), orders + share)
    np.testing.assert_array_equal(ranking("past-streamer", spec, user), sellers)


@pytest.mark.parametrize("name", ["popular", "epsilon-greedy", "thompson", "linucb"])
@pytest.mark.parametrize("contract", checks.CHECKS, ids=lambda c: c.__name__)
def test_warm_policies_keep_the_contract(name: str, contract) -> None:
    if name not in BENCHES:
        BENCHES[name] = engines.Bench(load(name, warm=2.0))
    contract(BENCHES[name])


BENCHES: dict[str, engines.Bench] = {}


def test_a_warm_start_asks_for_the_past_and_a_cold_one_does_not() -> None:
    assert load("linucb").needs == ("context",) and load("linucb", warm=1.0).needs == ("context", "past")
    assert load("popular").needs == () and load("popular", warm=1.0).needs == ("past",)
    with pytest.raises(ConfigError, match=r"needs 'past'"):
        arrays_for(("past",), pd.DataFrame({"user": [0]}), pd.DataFrame({"item": [0]}))


def test_warm_counts_are_observations_at_the_rate_of_the_past() -> None:
    spec = made_up()
    rate = spec.history["past_rate"]
    state = load("thompson", warm=4.0).init(spec)
    np.testing.assert_allclose(state.a[:5], 1 + 4 * rate[:5])
    np.testing.assert_allclose(state.b[:5], 1 + 4 * (1 - rate[:5]))
    assert state.a[5] == state.b[5] == 1  # a new item stays cold
    state = load("popular", warm=4.0).init(spec)
    np.testing.assert_allclose(state.total, [20, 4 * rate[:5].sum()])
    state = load("epsilon-greedy", warm=4.0).init(spec)
    np.testing.assert_allclose(state.mean, np.append(rate[:5], 0))


@pytest.mark.parametrize(("d", "warm"), [(3, 5.0), (12, 0.5)])
def test_warm_linucb_is_ridge_regression_on_the_past(d: int, warm: float) -> None:
    """More context than users, too: the twin is NumPy's solve on weighted rows."""
    spec = made_up(d)
    arrays, policy = spec.history, load("linucb", warm=warm, ridge=2.0)
    state = policy.init(spec)
    there = arrays["past_windows"] > 0
    weight, x = warm / there.sum(), arrays["known"]
    y = np.zeros((7, 6))
    for user in range(7):
        place = slice(arrays["bought_start"][user], arrays["bought_start"][user + 1])
        y[user, arrays["bought"][place]] = arrays["bought_rate"][place]
    a = 2.0 * np.eye(d) + weight * x[there].T @ x[there]
    theta = np.linalg.solve(a, weight * x.T @ y).T
    theta[5] = 0  # never sold before
    np.testing.assert_allclose(estimates(state.bank), theta, atol=1e-12)
    np.testing.assert_allclose(inverse(state.bank, 2), np.linalg.inv(a), atol=1e-12)
    np.testing.assert_allclose(inverse(state.bank, 5), np.eye(d) / 2, atol=1e-12)


def test_what_can_be_told_of_popularity() -> None:
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(600, 3)), rng.normal(size=600)
    likes = np.expm1(np.clip(3 + x[:, 0] + noise, 0, None))
    found = explained.shares(likes, {"told": x[:, :1], "empty": x[:, 1:]})
    assert 0.4 < found["told"] < 0.55 and found["empty"] < 0.02
    assert found["all"] == pytest.approx(found["told"], abs=0.02)
    assert explained.shares(np.ones(50), {"told": x[:50]}) == {} == explained.shares(likes[:5], {"told": x[:5]})


def test_signs_do_not_hang_on_rounding() -> None:
    vectors = np.array([[-0.5, 0.1], [0.5 + 1e-12, -0.9], [0.0, 0.0]])
    np.testing.assert_array_equal(signed(vectors), vectors * [-1, -1])
    np.testing.assert_array_equal(signed(vectors - 2e-12), (vectors - 2e-12) * [-1, -1])
