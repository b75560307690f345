"""Scenarios from a shop's transactions: hand-worked facts, a naive twin, and nothing seen from after the cut."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lersbench.datasets import transactions
from lersbench.datasets.purchases.history import History
from lersbench.datasets.purchases.read import read_tables
from lersbench.datasets.purchases.streamers import streamer_features
from lersbench.datasets.purchases.tables import COLUMNS, Tables
from lersbench.datasets.purchases.text import text_vectors
from lersbench.datasets.reduce import Features, reduce, standardised
from lersbench.datasets.transactions import describe
from lersbench.errors import ConfigError, DataError
from lersbench.log import Log, validate
from lersbench.log.history import history_arrays

CUT = "2021-07-01"
WORDS = ["red", "blue", "linen", "cotton", "wool", "shirt", "skirt", "scarf", "coat", "hat"]


def shop(seed: int = 0, lines: int = 6000, customers: int = 60, products: int = 40) -> Tables:
    """A random shop: 181 days before the cut, 30 after it; popular products, returns, gaps in the categories."""
    rng = np.random.default_rng(seed)
    weight = 1 / np.arange(1, products + 1)
    when = rng.integers(0, 211 * 86_400, lines)
    when[: lines // 10] = rng.integers(181 * 86_400, 182 * 86_400, lines // 10)  # a full recommended day
    table = pd.DataFrame(
        {
            "customer": [f"c{i:02}" for i in rng.integers(customers, size=lines)],
            "product": rng.choice(products, lines, p=weight / weight.sum()) + 1000,
            "seller": rng.integers(5, size=lines),
            "order": rng.integers(10**9, size=lines) // (10**9 // 2000),
            "time": pd.Timestamp("2021-01-01") + pd.to_timedelta(when, unit="s"),
            "amount": rng.gamma(2, 5, lines).round(2) + 0.01,
            "quantity": rng.integers(1, 4, lines),
        }
    )
    table.loc[::97, "quantity"] = -1
    table["payment"] = pd.Series(["card", "cash", None, "points"])[rng.integers(4, size=lines)].to_numpy()
    goods = pd.DataFrame({"product": np.arange(products) + 1000, "weight": rng.random(products)})
    goods["name"] = [f"{WORDS[i % 5]} {WORDS[5 + i // 8]}" for i in range(products)]
    goods["category"] = pd.Series([None, "a", "b", "c"] * (products // 4), dtype="string")
    people = pd.DataFrame(
        {"customer": [f"c{i:02}" for i in range(customers)], "city": ["X", "Y", "Z"] * (customers // 3)}
    )
    said = pd.DataFrame({"customer": table["customer"][:800], "time": table["time"][:800].dt.normalize()})
    return Tables(table, goods, people, said, pd.Series([0, 1, 0, 2, 1], index=range(5)))


def by_id(log: Log) -> tuple[dict[str, np.ndarray], dict[int, np.ndarray]]:
    """The contexts of the users and the features of the items, by the shop's ids."""
    users = log.user_table()
    assert users is not None
    contexts = {}
    for chunk in log.read():
        for user, x in zip(chunk.user, chunk.context, strict=True):
            contexts[users["id"].iloc[user]] = x
    return contexts, dict(zip(log.item_table()["id"], log.items, strict=True))


def rewards(log: Log) -> np.ndarray:
    return np.vstack([chunk.rewards for chunk in log.read()])


@pytest.mark.parametrize(
    ("like_days", "expected"), [(1, {("A", 1)}), (2, {("A", 1), ("B", 1)}), (9, {("A", 1), ("B", 1)})]
)
def test_a_like_is_a_purchase_in_the_window_of_a_product_sold_on_the_day(like_days: int, expected: set) -> None:
    """Product 2 is not sold on the day; A's return of product 1 and the purchase before the day are no likes."""
    table = pd.DataFrame(
        [
            ("C", 1, "2021-06-30 23:59:59", 1, 1),
            ("A", 1, "2021-07-01 00:00:00", 1, 1),
            ("B", 1, "2021-07-02 23:59:59", 1, 1),
            ("B", 2, "2021-07-02 12:00:00", 1, 1),
            ("D", 1, "2021-07-01 12:00:00", -1, -1),
            ("E", 1, "2021-07-10 00:00:00", 1, 1),
        ],
        columns=["customer", "product", "time", "amount", "quantity"],
    )
    table = table.assign(seller=0, order=range(6), time=pd.to_datetime(table["time"]))
    tables, left_out = transactions.purchases(Tables(table))
    history = History(tables, pd.Timestamp(CUT))
    pairs, on_sale = transactions.likes(tables, history, pd.Timestamp(CUT), like_days)
    assert left_out["returns_dropped"] == 1
    assert {(history.customers[c], int(history.products[p])) for c, p in pairs} == expected
    assert history.products[on_sale].tolist() == [1]


def naive(tables: Tables, like_days: int) -> tuple[dict[str, int], dict[int, int], set[tuple[str, int]]]:
    """Likes of each customer and product on sale, and the liked pairs, by plain loops over the rows."""
    day = pd.Timestamp(CUT)
    bought = [r for r in tables.transactions.itertuples() if r.quantity > 0 and r.amount >= 0]
    on_sale = {r.product for r in bought if r.time.normalize() == day}
    end = day + pd.Timedelta(days=like_days)
    pairs = {(r.customer, r.product) for r in bought if day <= r.time < end and r.product in on_sale}
    customers: dict[str, int] = {}
    products = dict.fromkeys(on_sale, 0)
    for c, p in pairs:
        customers[c] = customers.get(c, 0) + 1
        products[p] += 1
    return customers, products, pairs


@pytest.mark.parametrize("scenario", ["normal", "active"])
def test_scenarios_equal_their_naive_twin(tmp_path: Path, scenario: str) -> None:
    tables = shop()
    size = {"customers": 20, "products": 12} if scenario == "active" else {}
    log = transactions.build(tables, tmp_path / "log", scenario=scenario, cut=CUT, like_days=3, **size)
    customers, products, pairs = naive(tables, 3)
    rows = sorted(customers, key=lambda c: (-customers[c], c))[: size.get("customers")]
    columns = sorted(products, key=lambda p: (-products[p], p))[: size.get("products")]
    goods, people = log.item_table(), log.user_table()["id"]
    assert goods.sort_values("published_rank")["id"].tolist() == columns
    assert sorted(people) == sorted(rows)
    visitors = people.iloc[np.concatenate([chunk.user for chunk in log.read()])]
    assert sorted(visitors) == sorted(rows)
    np.testing.assert_array_equal(rewards(log), [[(c, p) in pairs for p in goods["id"]] for c in visitors])
    facts = log.info.provenance
    assert facts["likes"] == rewards(log).sum()
    assert facts["density"] == pytest.approx(rewards(log).mean())
    assert (log.info.rounds, log.info.C, log.info.d) == (len(rows), len(columns), 20)
    assert validate(tmp_path / "log").ok


def test_repeat_has_exactly_the_likes_asked_for_in_every_row(tmp_path: Path) -> None:
    size = {"customers": 6, "products": 8, "repeats": 4, "likes_each": 3}
    log = transactions.build(shop(), tmp_path / "log", scenario="repeat", cut=CUT, like_days=3, **size)
    matrix = rewards(log)
    assert matrix.shape == (24, 8)
    assert (matrix.sum(axis=1) == 3).all()
    visitors = np.concatenate([chunk.user for chunk in log.read()])
    assert np.bincount(visitors).tolist() == [4] * 6
    assert log.info.provenance["likes_of_each_product"] == (matrix.sum(axis=0) / 4).tolist()
    _, _, pairs = naive(shop(), 3)
    users, items = log.user_table()["id"], log.item_table()["id"]
    np.testing.assert_array_equal(matrix, [[(users[v], p) in pairs for p in items] for v in visitors])


def test_repeat_exchanges_products_until_enough_rows_are_exact() -> None:
    """The two most liked products are liked by all three alike; only with column 2 do two rows have exactly one."""
    liked = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], bool)
    chosen = transactions._exact_rows(liked, np.array([7, 8, 9]), np.array([4, 5, 6]), 3, 2, 1, 7, 3)
    assert chosen.customers.tolist() == [7, 8, 9]
    assert 6 in chosen.products
    np.testing.assert_array_equal(chosen.likes.sum(axis=1), [1, 1, 1])
    with pytest.raises(DataError, match="the best choice of products has 0"):
        transactions._exact_rows(np.ones((3, 3), bool), np.arange(3), np.arange(3), 3, 2, 1, 7, 3)


def test_repeat_evens_out_the_likes_of_its_products() -> None:
    """Some products please nine in ten, others nobody; tastes are independent."""
    rng = np.random.default_rng(0)
    liked = rng.random((300, 40)) < np.linspace(0.9, 0.05, 40)
    chosen = transactions._exact_rows(liked, np.arange(300), np.arange(40), 10, 10, 5, 7, 10)
    assert chosen.likes.shape == (10, 10) and (chosen.likes.sum(1) == 5).all()
    assert np.ptp(chosen.likes.sum(0)) <= 2
    first = np.flatnonzero(liked[:, :10].sum(1) == 5)
    assert np.ptp(liked[first[:10], :10].sum(0)) > 3


def test_rows_are_chosen_for_even_columns() -> None:
    liked = np.array([[1, 0], [1, 0], [0, 1], [1, 1]], bool)
    rows, squares = transactions._even_rows(liked, 2, 1)
    assert sorted(rows) == [0, 2] and squares == 2
    assert transactions._even_rows(liked, 4, 1)[1] == np.inf


LISTS = {"users": ("static", "orders", "order_streamers", "baskets"), "items": ("product_side",)}


def lists_by_id(log: Log) -> dict[tuple, np.ndarray]:
    tables = {"users": log.user_table(), "items": log.item_table()}
    return {
        (kind, column, key): value
        for kind, columns in LISTS.items()
        for column in columns
        for key, value in zip(tables[kind]["id"], tables[kind][column], strict=True)
    }


def test_nothing_after_the_cut_reaches_contexts_features_sequences_or_vectors(tmp_path: Path) -> None:
    """Everything after the cut is replaced: pairs, amounts, sellers, orders, comments, customers, products, texts."""
    tables = shop()
    before = transactions.build(tables, tmp_path / "before", scenario="normal", cut=CUT)
    table = tables.transactions.copy()
    late = (table["time"] >= CUT).to_numpy()
    rng = np.random.default_rng(5)
    for column in ("customer", "product", "seller", "order", "payment"):
        table.loc[late, column] = rng.permutation(table.loc[late, column])
    table.loc[late, "amount"] *= rng.random(late.sum()) * 50 + 0.1
    table.loc[late, "payment"] += " by telephone"
    table.loc[np.flatnonzero(late)[::50], "customer"] = "aaa"
    table.loc[np.flatnonzero(late)[::70], "product"] = 7
    new = pd.DataFrame({"product": [7], "name": ["aardvark zebra"], "weight": [1e6], "category": ["zoo"]})
    said = pd.concat([tables.comments, tables.comments.assign(time=tables.comments["time"].where(lambda t: t < CUT))])
    said = said.dropna().assign(customer=lambda t: t["customer"].where(t["time"] < CUT, "c01"))
    changed = dataclasses.replace(
        tables, transactions=table, comments=said, products=pd.concat([tables.products, new], ignore_index=True)
    )
    after = transactions.build(changed, tmp_path / "after", scenario="normal", cut=CUT)
    assert rewards(before).shape != rewards(after).shape or (rewards(before) != rewards(after)).any()
    facts = [{k: log.info.provenance[k] for k in ("static", "streamer_features", "text")} for log in (before, after)]
    assert facts[0] == facts[1], "rounded numbers and words"
    for old, new in zip((*by_id(before), lists_by_id(before)), (*by_id(after), lists_by_id(after)), strict=True):
        shared = old.keys() & new.keys()
        assert len(shared) > 30
        for key in shared:
            np.testing.assert_allclose(old[key], new[key], rtol=1e-5, atol=1e-6)  # BLAS: other rows, other rounding


def test_of_a_new_product_the_offer_tells_streamer_and_text_alone(tmp_path: Path) -> None:
    """Who buys it, how much and for what price changes nothing; who sells it on the day does."""
    tables = shop()
    table = tables.transactions.copy()
    new = (table["product"] == 1003).to_numpy() & (table["time"] >= CUT).to_numpy()
    table = table[(table["product"] != 1003).to_numpy() | new].reset_index(drop=True)
    mine = ((table["product"] == 1003) & (table["time"] < "2021-07-02")).to_numpy()
    assert mine.sum() > 2
    table.loc[mine, "seller"] = [0, 4] * (mine.sum() // 2) + [4] * (mine.sum() % 2)  # streamers 0 and 1
    other = table.copy()
    other.loc[mine, "customer"] = other.loc[mine, "customer"].to_numpy()[::-1]
    other.loc[mine, "amount"] *= np.arange(1, 1 + mine.sum())
    moved = table.copy()
    moved.loc[mine, "seller"] = 3  # streamer 2
    sides, features = [], []
    for name, lines in {"a": table, "b": other, "c": moved}.items():
        log = transactions.build(
            dataclasses.replace(tables, transactions=lines), tmp_path / name, scenario="normal", cut=CUT
        )
        row = log.item_table().set_index("id").loc[1003]
        assert row["streamer"] == -1
        sides.append(row["product_side"])
        features.append(row["features"])
    bought, _ = transactions.purchases(dataclasses.replace(tables, transactions=table))
    history = History(bought, pd.Timestamp(CUT))
    streamers = streamer_features(history).values
    s = streamers.shape[1]
    np.testing.assert_allclose(sides[0][:s], streamers[:2].mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(sides[2][:s], streamers[2], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(sides[0], sides[1])
    np.testing.assert_array_equal(sides[0][s:], sides[2][s:])
    assert sides[0][s:].any()
    for other_features in features[1:]:
        np.testing.assert_array_equal(features[0], other_features)


def test_what_is_known_before_the_cut_does_reach_the_context(tmp_path: Path) -> None:
    """The counterpart: the same change before the cut changes contexts."""
    tables = shop()
    table = tables.transactions.copy()
    table.loc[table["time"] < CUT, "amount"] *= np.random.default_rng(1).random((table["time"] < CUT).sum()) + 0.5
    one = by_id(transactions.build(tables, tmp_path / "a", scenario="normal", cut=CUT))
    two = by_id(
        transactions.build(dataclasses.replace(tables, transactions=table), tmp_path / "b", scenario="normal", cut=CUT)
    )
    for old, new in zip(one, two, strict=True):
        assert any((old[key] != new[key]).any() for key in old)


def test_reduce_is_standardised_principal_components_with_fixed_signs() -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((500, 6)) @ rng.standard_normal((6, 6)) * [1, 10, 100, 1, 1, 0] + 5
    fit = rng.random(500) < 0.7
    reduced, share = reduce(Features(list("abcdef"), values), fit, 3)
    covariance = np.cov(reduced[fit], rowvar=False, bias=True)
    np.testing.assert_allclose(covariance - np.diag(np.diag(covariance)), 0, atol=1e-10)
    assert np.diag(covariance).mean() == pytest.approx(1)
    assert (np.diff(np.diag(covariance)) <= 0).all()
    standard = (values[:, :5] - values[fit, :5].mean(axis=0)) / values[fit, :5].std(axis=0)
    singular = np.linalg.svd(standard[fit], compute_uv=False) ** 2
    assert share == pytest.approx(singular[:3].sum() / singular.sum())
    flipped, _ = reduce(Features(list("abcdef"), -values), fit, 3)
    np.testing.assert_allclose(flipped, -reduced, atol=1e-9)
    everything, whole = reduce(Features(list("abcdef"), values), fit, 0)
    assert whole == 1
    np.testing.assert_allclose(everything, standard, atol=1e-9)  # rounded


def test_standardised_leaves_out_or_zeroes_what_is_constant_where_it_is_fitted() -> None:
    values = np.array([[1.0, 5, 0], [3.0, 5, 1], [9.0, 7, 1]])
    fit = np.array([True, True, False])
    out = standardised(Features(list("abc"), values), fit)
    assert out.names == ["a", "c"]
    np.testing.assert_allclose(out.values, [[-1, -1], [1, 1], [7, 1]])
    kept = standardised(Features(list("abc"), values), fit, keep=True)
    assert kept.names == ["a", "b", "c"]
    np.testing.assert_allclose(kept.values, [[-1, 0, -1], [1, 0, 1], [7, 0, 1]])


def test_a_log_holds_arrays_for_policies(tmp_path: Path) -> None:
    """Shapes and types; a customer's arrays are those of the history, whatever the order of users in the log."""
    tables = shop()
    log = transactions.build(tables, tmp_path / "log", scenario="active", cut=CUT, customers=30, products=12, text=8)
    arrays = history_arrays(log.user_table(), log.item_table())
    facts = log.info.provenance
    a, s, p = len(facts["static"]), len(facts["streamer_features"]), facts["text"]["width"]
    assert (s, p) == (17, 8)
    shapes = {"static": (30, a), "orders": (30, 16, s), "order_streamers": (30, 16), "baskets": (30, 16, p)}
    assert {key: value.shape for key, value in arrays.items()} == {**shapes, "products": (12, s + 3 + p)}
    assert {str(value.dtype) for key, value in arrays.items() if key != "order_streamers"} == {"float32"}
    assert arrays["order_streamers"].dtype == np.int64
    bought, _ = transactions.purchases(tables)
    history = History(bought, pd.Timestamp(CUT))
    streamers = streamer_features(history)
    users = history.customers.get_indexer(log.user_table()["id"])
    words = text_vectors(history.catalogue, history.seen("product"), 8)
    own = history.sequences(users, streamers.values, words.values)
    for key, value in own.items():
        np.testing.assert_array_equal(arrays[key], value)
    assert any("lines of payment card" in name for name in facts["static"])
    with pytest.raises(ConfigError, match="no static"):
        history_arrays(None, log.item_table())


def test_describe_stands_beside_the_published_figures(tmp_path: Path) -> None:
    log = transactions.build(shop(), tmp_path / "log", scenario="active", cut=CUT, customers=9, products=5)
    lines = {line.split()[0]: line.split()[1:] for line in describe(log).split("\n\n")[0].splitlines()[1:]}
    assert lines["customers"] == ["9", "1,000"]
    assert lines["likes"] == [f"{int(rewards(log).sum())}", "6,652"]
    assert lines["density"] == [f"{rewards(log).mean():.2%}", "3.30%"]
    rows = [
        {"what": "orders", "published": 1234567, "here": 9},
        {"what": "days, mean", "published": 67.6, "here": 68.25},
    ]
    simulated = dataclasses.replace(shop(), facts={"calibration": rows})
    log = transactions.build(simulated, tmp_path / "world", scenario="active", cut=CUT, customers=9, products=5)
    below = describe(log).split("\n\n")[-1].splitlines()
    assert [line.split()[-2:] for line in below] == [["here", "published"], ["9", "1,234,567"], ["68.25", "67.6"]]
    assert len({len(line) for line in below}) == 1


def test_a_small_shop_is_taken_whole_and_the_log_says_so(tmp_path: Path) -> None:
    log = transactions.build(shop(), tmp_path / "log", scenario="active", cut=CUT)
    customers, products, _ = naive(shop(), 7)
    facts = log.info.provenance
    assert (facts["customers"], facts["products"]) == (len(customers), len(products)) == (log.info.rounds, log.info.C)
    assert facts["all_there_are"] == ["customers", "products"]
    told = {line.split()[0]: line for line in describe(log).split("\n\n")[0].splitlines()[1:]}
    assert told["customers"].endswith("1,000  (all there are)")
    assert "all there are" not in told["rounds"]
    part = transactions.build(shop(), tmp_path / "part", scenario="active", cut=CUT, customers=9)
    assert part.info.provenance["all_there_are"] == ["products"]
    fewer = transactions.build(shop(), tmp_path / "fewer", scenario="repeat", cut=CUT, likes_each=9)
    assert fewer.info.provenance["customers"] < 10
    assert fewer.info.provenance["all_there_are"] == ["customers"]
    assert (rewards(fewer).sum(axis=1) == 9).all()


def test_a_log_in_the_way_is_replaced_on_purpose_only(tmp_path: Path) -> None:
    given = {"scenario": "active", "cut": CUT, "products": 5}
    transactions.build(shop(), tmp_path / "log", customers=9, **given)
    with pytest.raises(ConfigError, match=r"exists already.*--overwrite"):
        transactions.build(shop(), tmp_path / "log", customers=8, **given)
    assert transactions.build(shop(), tmp_path / "log", customers=8, overwrite=True, **given).info.rounds == 8


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"scenario": "activ"}, ConfigError, "did you mean 'active'"),
        ({"scenario": "active", "customers": 500}, DataError, "ask for --customers 60 --products [0-9]+ "),
        ({"scenario": "active", "products": 500}, DataError, "ask for --customers 60 --products [0-9]+ "),
        ({"scenario": "normal", "cut": "NaT"}, ConfigError, "'NaT' is no date"),
        ({"scenario": "normal", "customers": 5}, ConfigError, "leave out customers"),
        ({"scenario": "normal", "day": "2021-06-30"}, ConfigError, "before the cut"),
        ({"scenario": "normal", "day": "2022-06-30"}, DataError, "No product was sold.*span 2021-01-01 to 2021-07-30"),
        ({"scenario": "normal", "cut": "2020-01-01", "day": CUT}, DataError, "No purchase lies before the cut"),
        ({"scenario": "normal", "day": "July"}, ConfigError, "is no date"),
        ({"scenario": "normal", "text": 0}, ConfigError, "text = 0 must be at least 1"),
        ({"scenario": "normal", "text_path": "x"}, ConfigError, "say text_model = 'sentence' too"),
        ({"scenario": "normal", "like_days": 0}, ConfigError, "like_days = 0 must be at least 1"),
        ({"scenario": "repeat", "customers": 3, "products": 4, "likes_each": 5}, ConfigError, "more than the 4"),
    ],
)
def test_requests_that_cannot_be_met_say_why(tmp_path: Path, options: dict, error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        transactions.build(shop(), tmp_path / "log", **{"cut": CUT, **options})
    assert not (tmp_path / "log").exists()


def test_a_shop_without_optional_tables_makes_a_log(tmp_path: Path) -> None:
    tables = Tables(shop().transactions)
    log = transactions.build(tables, tmp_path / "log", scenario="active", cut=CUT, customers=20, products=10, context=4)
    assert (log.info.d, log.info.provenance["categories"]) == (4, [])
    assert sorted(log.info.provenance["streamers"]) == ["0", "1", "2", "3", "4"]  # every seller is one
    assert "baskets" not in log.user_table()
    with pytest.raises(ConfigError, match=r"no baskets \(users.parquet\).*products table with a text column"):
        history_arrays(log.user_table(), log.item_table())
    assert validate(tmp_path / "log").ok


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_files_with_names_of_their_own_are_read(tmp_path: Path, suffix: str) -> None:
    tables = shop(lines=500)
    own = tables.transactions.rename(columns={"customer": "client", "time": "at"})
    path = tmp_path / f"lines{suffix}"
    if suffix == ".csv":
        own.to_csv(path, index=False)
        tables.products.to_csv(tmp_path / "goods.csv", index=False)
    else:
        own.to_parquet(path)
        tables.products.to_csv(tmp_path / "goods.csv", index=False)
    read = read_tables(path, columns={"customer": "client", "time": "at"}, products=tmp_path / "goods.csv")
    expected = tables.transactions[list(COLUMNS)]
    assert read.transactions["customer"].tolist() == expected["customer"].tolist()
    assert (read.transactions["time"].to_numpy() == expected["time"].to_numpy()).all()
    np.testing.assert_allclose(read.transactions["amount"], expected["amount"])
    assert read.products["category"].isna().sum() == 10


def test_columns_that_may_be_missing_have_a_stated_meaning(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "customer,product,time\nA,1,2021-01-01T10:00:00\nA,2,2021-01-01T10:00:00\nA,1,2021-01-02T23:30:00\n"
    )
    table = read_tables(tmp_path / "t.csv", timezone="Asia/Taipei").transactions
    assert table["order"].tolist() == [0, 0, 1]
    assert table["amount"].tolist() == table["quantity"].tolist() == [1, 1, 1]
    assert table["seller"].nunique() == 1
    assert table["time"].iloc[2] == pd.Timestamp("2021-01-03 07:30")


@pytest.mark.parametrize(
    ("text", "columns", "said"),
    [
        ("customer,product\nA,1\n", {}, "no column 'time'.*customer, product"),
        ("customer,product,time\nA,1,2021-01-01\nB,1,soon\n", {}, r"column time: not a time in 1 row: line 3 \(soon\)"),
        (
            "customer,product,time,amount\nA,1,2021-01-01,ten\n",
            {},
            r"column amount: not a number in 1 row: line 2 \(ten\)",
        ),
        ("customer,product,time\n,1,2021-01-01\n", {}, "column customer: no value in 1 row: line 2"),
        ("customer,product,time\nA,1,2021-01-01\n", {"seller": "shop"}, "no column 'shop', which should be the seller"),
        ("customer,product,time\n", {}, "no rows"),
        ("", {}, "cannot be read as CSV"),
    ],
)
def test_bad_tables_are_told_with_file_row_column_and_value(
    tmp_path: Path, text: str, columns: dict, said: str
) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        read_tables(tmp_path / "t.csv", columns=columns)


@pytest.mark.parametrize("zone", ["Mars/X", "", "../etc", "America"])
def test_an_unknown_time_zone_is_told_with_an_example(tmp_path: Path, zone: str) -> None:
    (tmp_path / "t.csv").write_text("customer,product,time\nA,1,2021-01-01\n")
    with pytest.raises(ConfigError, match=f"timezone = '{zone}' is no time zone; write it as Asia/Taipei"):
        read_tables(tmp_path / "t.csv", timezone=zone)


def test_times_of_several_zones_need_the_shops_own(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("customer,product,time\nA,1,2021-01-01T00:00+01:00\nB,1,2021-01-01T00:00+02:00\n")
    with pytest.raises(DataError, match=r"several zones.*--timezone"):
        read_tables(tmp_path / "t.csv")
    times = read_tables(tmp_path / "t.csv", timezone="UTC").transactions["time"]
    assert times.tolist() == [pd.Timestamp("2020-12-31T23:00"), pd.Timestamp("2020-12-31T22:00")]


def test_a_bad_cell_is_told_by_the_line_an_editor_shows_or_the_row_of_parquet(tmp_path: Path) -> None:
    text = 'customer,product,time,note\nA,1,2021-01-01,"two\nlines"\n\nB,1,soon,\nC,1,later,\n'
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=r"column time: not a time in 2 rows; first: line 5 \(soon\), line 6 \(later\)"):
        read_tables(tmp_path / "t.csv")
    pd.read_csv(tmp_path / "t.csv").to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"first: row 1 \(soon\)"):
        read_tables(tmp_path / "t.parquet")


def test_further_refusals_of_tables(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'customer'"):
        read_tables(tmp_path / "t.csv", columns={"custommer": "x"})
    with pytest.raises(DataError, match="no such file"):
        read_tables(tmp_path / "t.csv")
    (tmp_path / "t.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match=r"cannot be read .*magic bytes"):
        read_tables(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="product 'x' more than once"):
        Tables(shop(lines=50).transactions, products=pd.DataFrame({"product": ["x", "x"]}))
    returns = shop(lines=50).transactions.assign(quantity=0)
    with pytest.raises(DataError, match="only returns"):
        transactions.build(Tables(returns), tmp_path / "log", cut=CUT)


def test_the_like_window_goes_by_the_shops_own_days_not_by_those_of_utc(tmp_path: Path) -> None:
    """In Taipei (UTC + 8) a day begins at 16:00 UTC: every purchase here lies on another day by UTC."""
    lines = [
        ("early", 1, "2021-05-01T12:00"),
        ("A", 1, "2021-06-30T16:00"),  # July 1, 00:00 in Taipei: the first moment of the window
        ("B", 1, "2021-07-02T15:59"),  # July 2, 23:59: the last minute of two days
        ("C", 1, "2021-07-02T16:01"),  # July 3
        ("D", 2, "2021-07-01T20:00"),  # July 2: product 2 was not sold on July 1
        ("E", 3, "2021-06-30T15:59"),  # June 30: before the cut
    ]
    table = pd.DataFrame(lines, columns=["customer", "product", "time"])
    table.to_csv(tmp_path / "t.csv", index=False)

    def liked(zone: str) -> set[tuple[str, str]]:
        tables = read_tables(tmp_path / "t.csv", timezone=zone)
        folder = tmp_path / zone.replace("/", "-")
        log = transactions.build(tables, folder, scenario="normal", cut=CUT, like_days=2)
        customers, products = log.user_table()["id"], log.item_table()["id"]
        visitors = np.concatenate([chunk.user for chunk in log.read()])
        return {(customers[visitors[i]], products[j]) for i, j in np.argwhere(rewards(log))}

    assert liked("Asia/Taipei") == {("A", "1"), ("B", "1")}
    assert liked("UTC") == {("D", "2")}


# Ids and joins --------------------------------------------------------------------------------------------------------
def orders(products: list[str], n: int = 250, seed: int = 0) -> pd.DataFrame:
    """n order lines of 19 customers, from four days before November to four days in."""
    rng = np.random.default_rng(seed)
    when = pd.Timestamp("2024-10-28") + pd.to_timedelta(rng.integers(0, 9 * 86_400, n), unit="s")
    table = {"customer": [f"c{i}" for i in rng.integers(19, size=n)], "product": rng.choice(products, n), "time": when}
    return pd.DataFrame({**table, "amount": rng.integers(1, 6, n) * 1.0})


def goods(products: list[str]) -> pd.DataFrame:
    table = pd.DataFrame({"product": products, "category": (["food", "drink", "toys"] * 9)[: len(products)]})
    return table.assign(name="name " + table["product"])


def save(folder: Path, **tables: pd.DataFrame) -> list[Path]:
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return [folder / f"{name}.csv" for name in tables]


def test_one_id_with_a_letter_does_not_part_the_others_from_their_categories(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [str(100 + i) for i in range(10)]
    lines, numeric, letter = save(tmp_path, lines=orders(ids), numeric=goods(ids), letter=goods([*ids, "GIFT-1"]))
    logs = []
    for table in (numeric, letter):
        tables = read_tables(lines, products=table)
        assert tables.products is not None and tables.products["product"].tolist()[:2] == ["100", "101"]
        assert tables.facts["joins"] == [{"what": "order lines with the product table", "rows": 250, "met": 250}]
        assert "250 of 250 rows met (100.0%)\n" in capsys.readouterr().err
        logs.append(transactions.build(tables, tmp_path / table.stem, cut="2024-11-01"))
    assert logs[0].info.p == logs[1].info.p == 8
    assert logs[1].item_table()["category"].notna().all()


def test_ids_with_zeros_in_front_are_ids_of_their_own(tmp_path: Path) -> None:
    ids = ["007", "07", "7", "103", "104", "107"]
    (lines,) = save(tmp_path, lines=orders(ids))
    log = transactions.build(read_tables(lines), tmp_path / "log", cut="2024-11-01")
    assert sorted(log.item_table()["id"]) == sorted(ids)
    table = orders(["7"]).assign(customer="12345678901234567890", order="00012", seller=["NA", "1"] * 125)
    (lines,) = save(tmp_path, lines=table)
    read = read_tables(lines).transactions
    assert set(read["order"]) == {"00012"} and set(read["seller"]) == {"NA", "1"}
    assert set(read["customer"]) == {"12345678901234567890"}


def test_a_join_that_meets_few_rows_warns_and_one_that_meets_none_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, some, none = save(
        tmp_path, lines=orders(["007"] * 3 + ["100"]), some=goods(["100", "7"]), none=goods(["7", "8"])
    )
    tables = read_tables(lines, products=some)
    met = int((tables.transactions["product"] == "100").sum())
    assert tables.facts["joins"][0]["met"] == met
    assert f"{met} of 250 rows met" in (said := capsys.readouterr().err) and "warning: the others" in said
    with pytest.raises(DataError, match=r"product table: none of 250 rows met.*the table has '7', say, .*'(007|100)'"):
        read_tables(lines, products=none)
    people = pd.DataFrame({"customer": ["c1 "], "city": ["X"]})
    (customers,) = save(tmp_path, people=people)
    assert read_tables(lines, customers=customers).facts["joins"][0]["met"] > 0  # blanks are no part of an id
    assert "column customer: blanks round 1 cells taken off" in capsys.readouterr().err
    (comments,) = save(tmp_path, said=pd.DataFrame({"customer": ["x"], "time": ["2024-10-30"]}))
    with pytest.raises(DataError, match="comments with the customers of the order lines: none of 1 rows met"):
        read_tables(lines, comments=comments)


def test_other_columns_are_numbers_where_all_their_cells_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = goods([str(100 + i) for i in range(20)]).assign(
        category=[1, 2] * 10, weight=["1.5", ""] * 10, zip=["02134", "94110"] * 10, size=["1", *["2"] * 18, "NA"]
    )
    lines, products = save(tmp_path, lines=orders(["100", "101"]), goods=table)
    read = read_tables(lines, products=products).products
    assert read is not None and read["weight"].isna().sum() == 10 and read["weight"].max() == 1.5
    assert read["zip"].tolist()[:2] == ["02134", "94110"] and read["category"].tolist()[:2] == ["1", "2"]
    assert read["size"].tolist()[-2:] == ["2", "NA"]
    assert "column size: is text, for 1 of 20 cells are no numbers (line 21: NA)" in capsys.readouterr().err


def test_the_tables_of_a_shop_come_in_any_form(tmp_path: Path) -> None:
    table = orders(["007", "8"]).assign(country=["DE", "FR"] * 125)
    table["epoch"] = table["time"].to_numpy().astype("datetime64[s]").astype(np.int64)
    table.to_json(tmp_path / "lines.jsonl", orient="records", lines=True, date_format="iso")
    table.to_csv(tmp_path / "lines.csv.gz", sep=";", index=False)
    table.drop(columns="time").to_parquet(tmp_path / "lines.parquet")
    due = table["time"].tolist()
    assert read_tables(tmp_path / "lines.csv.gz").transactions["time"].tolist() == due
    assert read_tables(table).transactions["product"].tolist() == table["product"].tolist()
    with pytest.raises(DataError, match=r"column epoch: numbers, where times are due,.*--time-format s"):
        read_tables(tmp_path / "lines.parquet", columns={"time": "epoch"})
    asked = {"columns": {"time": "epoch"}, "time_format": "s", "timezone": "UTC"}
    read = read_tables(tmp_path / "lines.parquet", where="country = 'DE'", **asked)
    assert read.transactions["time"].tolist() == due[::2]
    assert read.facts["selections"][0]["said"] == "--where \"country = 'DE'\": 125 of 250 order lines left out"
    with pytest.raises(DataError, match=r"column epoch: 1.* is no likely number of milliseconds"):
        read_tables(tmp_path / "lines.parquet", **{**asked, "time_format": "ms"})
    with pytest.raises(DataError, match="have a zone"):
        read_tables(tmp_path / "lines.parquet", columns={"time": "epoch"}, time_format="s")
    with pytest.raises(DataError, match="has a time without a zone"):
        mixed = table.assign(time=["2024-10-28 10:00", "2024-10-28T10:00:00+09:00"] * 125)
        read_tables(mixed)
