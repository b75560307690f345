"""Who bought which product how often before the cut: the plainest thing a shop knows, in sparse lists.

A *window* is as long as the like window and ends where the next begins; the last one ends at the cut. A customer's rate
of a product is the share of the customer's windows, those with any purchase, in which the product was bought: how often
it would have been liked, had every window been the measured one. The oldest window may be cut short.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from lersbench.datasets.purchases.history import History, days


class Past(NamedTuple):
    """What was bought before the cut, of the products (k,) of a scenario."""

    item: list[np.ndarray]  # of each of n customers: int32, the products bought, ascending
    orders: list[np.ndarray]  # int32: the orders that each of them is part of, at least 1
    rate: list[np.ndarray]  # float64 in (0, 1]: the share of the customer's windows with it
    windows: np.ndarray  # (n,) int64 windows in which the customer bought anything
    item_rate: np.ndarray  # (k,) float64 in [0, 1]: share of all customers' windows with it, NaN: never sold before


def bought(history: History, customers: np.ndarray, products: np.ndarray, like_days: int) -> Past:
    """The past of `customers` (n,) and `products` (k,), both codes; a window is `like_days` long, at least 1."""
    end = int(days(pd.Series([history.cut]))[0])
    lines = history.lines[["customer", "product", "order"]].assign(
        window=(end - 1 - history.lines["day"].to_numpy()) // like_days
    )
    visits = lines[["customer", "window"]].drop_duplicates()
    bought_in = lines[["customer", "product", "window"]].drop_duplicates()
    item_rate = np.bincount(bought_in["product"], minlength=len(history.products))[products] / len(visits)
    item_rate = np.where(history.seen("product")[products], item_rate, np.nan)
    row, column = _places(len(history.customers), customers), _places(len(history.products), products)
    table = pd.DataFrame(
        {
            "orders": lines.drop_duplicates(["order", "product"]).groupby(["customer", "product"]).size(),
            "windows": bought_in.groupby(["customer", "product"]).size(),
        }
    ).reset_index()
    table = table.assign(user=row[table["customer"]], item=column[table["product"]])
    table = table[(table["user"] >= 0) & (table["item"] >= 0)].sort_values(["user", "item"])
    windows = np.bincount(visits["customer"], minlength=len(history.customers))
    rate = table["windows"].to_numpy() / np.maximum(windows[table["customer"]], 1)
    cuts = np.cumsum(np.bincount(table["user"], minlength=len(customers)))[:-1]
    item, orders = table["item"].to_numpy(np.int32), table["orders"].to_numpy(np.int32)
    return Past(np.split(item, cuts), np.split(orders, cuts), np.split(rate, cuts), windows[customers], item_rate)


def _places(size: int, chosen: np.ndarray) -> np.ndarray:
    """(size,) the place of each code among the `chosen`, -1 where it is none of them."""
    place = np.full(size, -1)
    place[chosen] = np.arange(len(chosen))
    return place
