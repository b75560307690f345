"""What a shop knew before the cut, worked by hand: RFM, sequences, traits, streamer features."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lersbench.datasets.purchases.history import SEQUENCE, History
from lersbench.datasets.purchases.read import read_tables
from lersbench.datasets.purchases.streamers import _customers, _trade, streamer_features
from lersbench.datasets.purchases.tables import Tables
from lersbench.errors import DataError


def test_rfm_is_the_lifetimes_convention_worked_by_hand() -> None:
    """A: 15 on day 0 in two orders, 20 on day 10, 40 on day 30; B once, on day 39; the cut is day 40."""
    rows = [("A", 0, 10.0), ("A", 0, 5.0), ("A", 10, 20.0), ("A", 30, 40.0), ("B", 39, 7.0), ("C", 50, 1.0)]
    table = pd.DataFrame(
        {
            "customer": [c for c, _, _ in rows],
            "product": 1,
            "seller": 0,
            "order": range(len(rows)),
            "time": [pd.Timestamp("2021-01-01 20:00") + pd.Timedelta(days=d) for _, d, _ in rows],
            "amount": [a for _, _, a in rows],
            "quantity": 1,
        }
    )
    rfm = History(Tables(table), pd.Timestamp("2021-01-01") + pd.Timedelta(days=40)).rfm()
    assert rfm.names == ["recency", "frequency", "monetary", "T"]
    np.testing.assert_allclose(rfm.values, [[30, 2, 30, 40], [0, 0, 0, 1], [0, 0, 0, 0]])


def six_orders() -> Tables:
    """Six orders of A (streamers 0..5, the second commented, the last of two products), none of B before the cut."""
    days = pd.date_range("2021-01-01", periods=6)
    table = pd.DataFrame(
        {
            "customer": ["A"] * 7 + ["B"],
            "product": [1, 2, 1, 1, 1, 1, 2, 1],
            "seller": ["s0", "s1", "s2", "s3", "s4", "s5", "s5", "s0"],
            "order": [0, 1, 2, 3, 4, 5, 5, 6],
            "time": [*days, days[-1], pd.Timestamp("2021-03-01")],
            "amount": 1.0,
            "quantity": 1,
        }
    )
    said = pd.DataFrame({"customer": ["A", "B"], "time": [days[1] + pd.Timedelta(hours=5), days[2]]})
    return Tables(table, comments=said, streamers=pd.Series({f"s{i}": i for i in range(6)}))


def test_sequences_are_the_last_orders_oldest_first_padded_in_front() -> None:
    history = History(six_orders(), pd.Timestamp("2021-02-01"))
    streamers = np.column_stack([np.arange(6) + 1.0, -np.ones(6)])
    found = history.sequences(np.array([1, 0]), streamers, np.array([[1.0, 0, 4], [0, 1.0, 2]]))  # B, A
    assert SEQUENCE == 16
    assert {key: value.shape for key, value in found.items()} == {
        "orders": (2, 16, 2),
        "order_streamers": (2, 16),
        "baskets": (2, 16, 3),
    }
    np.testing.assert_array_equal(found["order_streamers"], [[-1] * 16, [-1] * 10 + [0, 1, 2, 3, 4, 5]])
    score = np.array([0.5, 1.0, 0.5, 0.5, 0.5, 0.5])
    np.testing.assert_array_equal(found["orders"][1, 10:], score[:, None] * streamers)
    first, second = [1, 0, 4], [0, 1, 2]
    np.testing.assert_array_equal(found["baskets"][1, 10:], [first, second, first, first, first, [0.5, 0.5, 3]])
    assert not found["orders"][0].any() and not found["orders"][1, :10].any()
    assert not found["baskets"][0].any() and not found["baskets"][1, :10].any()


def test_only_the_last_sixteen_orders_are_kept_and_orders_of_no_streamer_are_zero() -> None:
    times = pd.date_range("2021-01-01", periods=20)
    table = pd.DataFrame(
        {"customer": "A", "product": range(20), "seller": ["s", "t"] * 10, "order": range(20), "time": times}
    ).assign(amount=1.0, quantity=1)
    history = History(Tables(table, streamers=pd.Series({"s": 0})), pd.Timestamp("2021-02-01"))
    found = history.sequences(np.array([0]), np.array([[3.0]]), np.eye(20))
    np.testing.assert_array_equal(found["order_streamers"][0], [0, -1] * 8)
    np.testing.assert_array_equal(found["orders"][0, :, 0], [1.5, 0] * 8)
    np.testing.assert_array_equal(found["baskets"][0], np.eye(20)[4:])


def test_further_text_columns_of_order_lines_are_shares_of_a_customers_lines_before_the_cut() -> None:
    tables = six_orders()
    paid = ["card", "card", "cash", None, "card", "card", "cash", "gold"]
    table = tables.transactions.assign(
        payment=pd.Categorical(paid),
        rebate=1.5,
        note=[f"n{i}" for i in range(8)],
        delivered=tables.transactions["time"],
    )
    history = History(Tables(table, streamers=tables.streamers), pd.Timestamp("2021-02-01"))
    static = history.static
    assert static.names[:6] == [
        "recency",
        "frequency",
        "monetary",
        "T",
        "lines of payment card",
        "lines of payment cash",
    ]
    np.testing.assert_allclose(static.values[:, 4:6], [[4 / 6, 2 / 6], [0, 0]])
    assert len(static.names) == 6 + 7  # of the notes before the cut; numbers and times are no traits
    np.testing.assert_allclose(static.values[:, :4], [[5, np.log(6), np.log(2.2), 31], [0, 0, 0, 0]])


def test_streamer_features_worked_by_hand() -> None:
    """Streamer 0: A on days 0 and 100, commenting once, B on day 90, two lines; streamer 1: A on day 50. Cut: 110."""
    start = pd.Timestamp("2021-01-01")
    rows = [("A", 1, 0, 0, 0, 4.0), ("A", 2, 0, 1, 100, 6.0), ("B", 1, 0, 2, 90, 2.0), ("B", 3, 0, 2, 90, 1.0)]
    rows += [("A", 1, 1, 3, 50, 8.0), ("B", 1, 1, 4, 110, 99.0)]
    table = pd.DataFrame(rows, columns=["customer", "product", "seller", "order", "day", "amount"])
    table = table.assign(time=start + pd.to_timedelta(table.pop("day"), unit="D"), quantity=[1, 2, 1, 1, 4, 1])
    said = pd.DataFrame({"customer": ["A"], "time": [start + pd.Timedelta(days=100)]})
    goods = pd.DataFrame({"product": [1, 2, 3], "category": ["x", "x", "y"]})
    known = pd.DataFrame({"streamer": [1, 0, 7], "name": ["q", "r", "s"], "followers": [50, 10, 0]})
    number = pd.Series([0, 1])
    history = History(Tables(table, goods, None, said, number, {}, known), start + pd.Timedelta(days=110))
    expected = {
        "mean recency": [(10 + 20) / 2, 60],
        "log mean frequency": np.log1p([1.5, 1]),
        "log mean monetary": np.log1p([(5 + 3) / 2, 8]),
        "mean length": [50, 0],
        "log customers": np.log1p([2, 1]),
        "log sleeping customers": [0, 0],
        "log loyal customers": [0, 0],
        "log engaged customers": np.log1p([1, 0]),
        "share of orders commented": [1 / 3, 0],
        "log products": np.log1p([3, 1]),
        "log categories": np.log1p([2, 1]),
        "log orders": np.log1p([3, 1]),
        "log sessions": np.log1p([3, 1]),
        "log lines": np.log1p([4, 1]),
        "log trade": np.log1p([13, 8]),
        "log price": np.log1p([13 / 5, 2]),
        "lines of an order": [4 / 3, 1],
    }
    for part in (_customers(history), _trade(history)):
        for name, column in zip(part.names, part.values.T, strict=True):
            np.testing.assert_allclose(column, expected.pop(name), err_msg=name)
    assert not expected
    features = streamer_features(history)
    assert len(features.names) == 18
    assert features.names[-1] == "followers"
    np.testing.assert_allclose(features.values[:, -1], [-1, 1])
    assert set(np.round(features.values, 12).ravel()) == {-1, 0, 1}  # two streamers, standardised
    history = History(Tables(table, goods, None, said, number, {}, known), start + pd.Timedelta(days=111))
    asleep = dict(zip(_customers(history).names, _customers(history).values.T, strict=True))
    np.testing.assert_allclose(asleep["log sleeping customers"], np.log1p([0, 1]))  # A has not come for 61 days


def test_a_customer_of_six_orders_is_loyal_and_a_streamer_without_trade_is_average() -> None:
    tables = six_orders()
    table = tables.transactions.assign(seller=["s0"] * 5 + ["s2", "s2", "s2"], order=[0, 1, 2, 3, 4, 5, 6, 7])
    assert tables.streamers is not None
    history = History(Tables(table, streamers=tables.streamers), pd.Timestamp("2021-02-01"))
    assert history.streamers == ["0", "1", "2"]
    loyal = dict(zip(_customers(history).names, _customers(history).values.T, strict=True))["log loyal customers"]
    assert not loyal.any()
    values = streamer_features(history).values
    np.testing.assert_array_equal(values[1], 0)
    assert values[0].any()
    history = History(Tables(table.assign(seller="s0"), streamers=tables.streamers), pd.Timestamp("2021-02-01"))
    loyal = dict(zip(_customers(history).names, _customers(history).values.T, strict=True))["log loyal customers"]
    np.testing.assert_allclose(loyal, np.log(2))


def test_a_streamer_table_is_read_and_must_name_the_streamers(tmp_path: Path) -> None:
    six_orders().transactions.to_csv(tmp_path / "lines.csv", index=False)
    pd.DataFrame({"streamer": ["s1", "s5"], "fans": [10, 30]}).to_csv(tmp_path / "hosts.csv", index=False)
    tables = read_tables(tmp_path / "lines.csv", streamers=tmp_path / "hosts.csv")
    history = History(tables, pd.Timestamp("2021-02-01"))
    assert history.streamers == ["s5", "s0", "s1", "s2", "s3", "s4"]  # every seller is one; s5 has most lines
    features = streamer_features(history)
    fans = features.values[:, features.names.index("fans")]
    np.testing.assert_allclose(fans, np.sqrt(3) * np.array([1, 0, -1, 0, 0, 0]), atol=1e-12)
    pd.DataFrame({"streamer": ["x1"], "fans": [10]}).to_csv(tmp_path / "hosts.csv", index=False)
    with pytest.raises(DataError, match=r"none of 8 rows met.*'x1', say, the order lines 's0'"):
        read_tables(tmp_path / "lines.csv", streamers=tmp_path / "hosts.csv")
    strangers = pd.DataFrame({"streamer": ["x1"], "fans": [10]})
    with pytest.raises(DataError, match=r"'x1'.*are called s5, s0, s1"):
        streamer_features(History(dataclasses.replace(tables, streamer_table=strangers), pd.Timestamp("2021-02-01")))
    pd.DataFrame({"streamer": ["s1", "s1"], "fans": [10, 11]}).to_csv(tmp_path / "hosts.csv", index=False)
    with pytest.raises(DataError, match="streamer 's1' more than once"):
        read_tables(tmp_path / "lines.csv", streamers=tmp_path / "hosts.csv")
    pd.DataFrame({"host": ["s1"]}).to_csv(tmp_path / "hosts.csv", index=False)
    with pytest.raises(DataError, match="no column 'streamer'"):
        read_tables(tmp_path / "lines.csv", streamers=tmp_path / "hosts.csv")
