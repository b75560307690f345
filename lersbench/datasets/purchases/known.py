"""What a log keeps of its customers and products beside contexts and rewards: all of it from before the cut.

For `lersbench.log.history`:

* users.parquet: `static` (a), standardised RFM and traits, within FAR deviations; `orders` (16 x s), `order_streamers`
  (16) and `baskets` (16 x p), the last 16 orders (see `History.sequences`).
* users.parquet, too: `known` (the context at the cut), and `bought`, `bought_orders`, `bought_rate`, the products of
  the log that the customer bought before the cut, and how often, in how many `past_windows` (see `past`).
* items.parquet: `product_side` (s + f + 32), the features of the product's streamer, the f numbers that are known of it
  (log popularity, log price, those of the products table), and the leading components of its text vector, standardised
  over the products sold before the cut. Its streamer is the mean of those in `sellers`. `past_rate`: see `past`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lersbench.datasets.purchases.history import History
from lersbench.datasets.purchases.past import Past, bought
from lersbench.datasets.purchases.streamers import streamer_features
from lersbench.datasets.purchases.text import TextVectors
from lersbench.datasets.reduce import Features, reduce, side_by_side, standardised

SIDE_COMPONENTS = 32  # of a product's text vector in `product_side`
FAR = 8.0  # deviations: where `static` is cut off, for traits of a few customers only


class Known(NamedTuple):
    """What is known of customers and products beyond context and features."""

    static: Features  # of every customer
    streamers: Features  # of every streamer
    sellers: np.ndarray  # (n_products, streamers) shares of the streamers in every product
    past: Past  # what the customers of the log bought of its products
    text: TextVectors  # of every product
    sides: dict[str, np.ndarray]  # (n_products, ...) "streamer", "numbers", "text": together the product side

    def facts(self, history: History) -> dict[str, Any]:
        """For the provenance of a log: what its columns mean, by name, and how texts became vectors."""
        return {
            "static": self.static.names,
            "streamers": history.streamers,
            "streamer_features": self.streamers.names,
            "text": self.text.facts,
            "categories": history.categories,
        }


def all_known(
    history: History,
    customers: np.ndarray,
    products: np.ndarray,
    sellers: np.ndarray,
    text: TextVectors,
    like_days: int,
) -> Known:
    """Of the whole shop; `customers` (n,) and `products` (k,) are the codes of those of the log, `sellers` the shares
    (n_products, streamers) of the streamers in every product, and `like_days` the length of a window of `past`."""
    streamers = streamer_features(history)
    seen = history.seen("product")
    words = standardised(Features([], text.values[:, :SIDE_COMPONENTS]), seen, keep=True).values
    numbers = standardised(side_by_side(history.own_features(), history.catalogue_numbers()), seen, keep=True).values
    return Known(
        standardised(history.static, history.seen("customer")),
        streamers,
        sellers,
        bought(history, customers, products, like_days),
        text,
        {"streamer": sellers @ streamers.values, "numbers": numbers, "text": words},
    )


def item_features(own: Features, others: Features, seen: np.ndarray, width: int) -> tuple[np.ndarray, float]:
    """(n_products, width): the columns of `own` (log popularity, log price), then components of all `others`; the share
    of variance they hold. Means, deviations and components are those of the products `seen` (n_products,) bool.

    The first stand by themselves, so that no projection hides from one policy what another is given. 0: all columns.
    """
    numbers = standardised(own, seen, keep=True).values
    rest = standardised(others, seen).values
    if width == 0:
        return np.hstack([numbers, rest]), 1.0
    total = rest.shape[1]
    if width <= numbers.shape[1]:
        return numbers[:, :width], width / (numbers.shape[1] + total)
    rest, share = reduce(others, seen, width - numbers.shape[1])
    return np.hstack([numbers, rest]), (numbers.shape[1] + share * total) / (numbers.shape[1] + total)


def items_table(history: History, products: np.ndarray, features: np.ndarray, known: Known) -> pd.DataFrame:
    """The items of a log, the `products` (k,) in this order; `features` (n_products, p) are those of all products."""
    shown = history.catalogue.iloc[products].reset_index(drop=True).drop(columns=["item", "id"], errors="ignore")
    table = pd.DataFrame(
        {
            "item": np.arange(len(products)),
            "id": history.products[products],
            "popularity": history.popularity()[products],
            "mean_price": history.prices()[products],
            "streamer": history.home[products],
        }
    )
    table["past_rate"] = known.past.item_rate
    table["sellers"] = list(known.sellers[products].astype(np.float32))
    if features.shape[1]:
        table["features"] = list(features[products])
    table["product_side"] = list(np.hstack([part[products] for part in known.sides.values()]).astype(np.float32))
    return pd.concat([table, shown.drop(columns=list(table.columns), errors="ignore")], axis=1)


def users_table(history: History, customers: np.ndarray, context: np.ndarray, known: Known) -> pd.DataFrame:
    """The users of a log, the `customers` (n,) in this order; `context` (n_customers, d) is that of all at the cut."""
    sequences = history.sequences(customers, known.streamers.values, known.text.values)
    static = np.clip(known.static.values[customers], -FAR, FAR).astype(np.float32)
    lists = {"static": static, **sequences}
    flat = {key: values.reshape(len(customers), -1) for key, values in lists.items()}
    table = pd.DataFrame({"user": np.arange(len(customers)), "id": history.customers[customers]})
    table["known"], table["past_windows"] = list(context[customers]), known.past.windows
    past = {"bought": known.past.item, "bought_orders": known.past.orders, "bought_rate": known.past.rate}
    for name, of_users in past.items():
        table[name] = pd.Series(of_users, dtype=object)
    for name, values in flat.items():
        if values.shape[1]:
            table[name] = list(values)
    return table
