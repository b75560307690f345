"""What is known of every streamer before the cut: its customers, its trade, and what a table of streamers says."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lersbench.datasets.purchases.history import COMMENTED, History, codes, days
from lersbench.datasets.reduce import Features, encode, side_by_side, standardised
from lersbench.errors import DataError

ASLEEP_DAYS = 60  # a customer is asleep who has bought nothing from the streamer for so long
LOYAL_ORDERS = 6  # from the streamer


def streamer_features(history: History) -> Features:
    """The streamer features, standardised over the streamers, (streamers, 17 + columns of the streamer table).

    Counts and amounts enter as log(1 + x). A column that is the same for all streamers is 0; so is whatever is
    unknown of a streamer.
    """
    sold = np.isin(np.arange(len(history.streamers)), history.lines["streamer"])
    return standardised(side_by_side(_customers(history), _trade(history), _table(history)), sold, keep=True)


def _customers(history: History) -> Features:
    """Means over a streamer's customers of what they bought of that streamer, and numbers of customers."""
    orders = history.orders[history.orders["streamer"] >= 0]
    amount = history.lines.groupby("order")["amount"].sum()
    orders = orders.assign(amount=amount.reindex(orders["order"]).to_numpy(), said=orders["feedback"] == COMMENTED)
    pairs = orders.groupby(["streamer", "customer"])
    each = pd.concat(
        [pairs["day"].agg(["min", "max"]), pairs["amount"].agg(["size", "sum"]), pairs["said"].max()], axis=1
    )
    each.columns = pd.Index(["first", "last", "orders", "amount", "said"])
    end = int(days(pd.Series([history.cut]))[0])
    each = each.assign(
        recency=end - each["last"], length=each["last"] - each["first"], monetary=each["amount"] / each["orders"]
    )
    each = each.assign(asleep=each["recency"] > ASLEEP_DAYS, loyal=each["orders"] >= LOYAL_ORDERS)
    by = each.groupby("streamer")
    table = pd.DataFrame(
        {
            "mean recency": by["recency"].mean(),
            "log mean frequency": np.log1p(by["orders"].mean()),
            "log mean monetary": np.log1p(by["monetary"].mean()),
            "mean length": by["length"].mean(),
            "log customers": np.log1p(by.size()),
            "log sleeping customers": np.log1p(by["asleep"].sum()),
            "log loyal customers": np.log1p(by["loyal"].sum()),
            "log engaged customers": np.log1p(by["said"].sum()),
            "share of orders commented": orders.groupby("streamer")["said"].mean(),
        }
    )
    return _all(history, table)


def _trade(history: History) -> Features:
    lines = history.lines[history.lines["streamer"] >= 0]
    by, orders = lines.groupby("streamer"), history.orders.groupby("streamer").size()
    trade = by["amount"].sum()
    table = pd.DataFrame(
        {
            "log products": np.log1p(by["product"].nunique()),
            "log categories": np.log1p(by["category"].agg(lambda c: c[c >= 0].nunique())),
            "log orders": np.log1p(orders),
            "log sessions": np.log1p(by["day"].nunique()),  # days with sales
            "log lines": np.log1p(by.size()),
            "log trade": np.log1p(trade),
            "log price": np.log1p(trade / by["quantity"].sum()),
            "lines of an order": by.size() / by["order"].nunique(),
        }
    )
    return _all(history, table)


def _all(history: History, table: pd.DataFrame) -> Features:
    """One row a streamer; one without sales gets the means of the others."""
    every = table.drop(index=-1, errors="ignore").reindex(range(len(history.streamers)))
    return encode(every, every.notna().all(axis=1).to_numpy())


def _table(history: History) -> Features:
    table = history.tables.streamer_table
    if table is None:
        return Features([], np.zeros((len(history.streamers), 0)))
    row = codes(history.streamers, table["streamer"].astype("string"))
    if len(history.streamers) and not (row >= 0).any():
        raise DataError(
            f"The streamer table has streamer {table['streamer'].iloc[0]!r}, say, but the streamers are called "
            f"{', '.join(history.streamers[:5])}: use these names in its column streamer."
        )
    numbers = table.drop(columns="streamer").select_dtypes("number")[row >= 0].set_index(row[row >= 0])
    every = numbers.reindex(range(len(history.streamers)))
    return encode(every, np.ones(len(every), bool))
