"""What a log knows of users and products beyond context and features, as arrays for policies that ask for it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lersbench.errors import ConfigError
from lersbench.log.ragged import edges_of

HISTORY = {
    "static": "users",
    "orders": "users",
    "order_streamers": "users",
    "baskets": "users",
    "product_side": "items",
}
PAST = {
    "known": "users",
    "past_windows": "users",
    "order_streamers": "users",
    "bought": "users",
    "bought_orders": "users",
    "bought_rate": "users",
    "popularity": "items",
    "past_rate": "items",
    "sellers": "items",
}
NEEDS = ("history", "past")  # what a policy can ask for here


def arrays_for(needs: tuple[str, ...], user_table: pd.DataFrame | None, item_table: pd.DataFrame) -> dict:
    """The arrays of `history_arrays`, `past_arrays`, both or none, as a policy's `needs` name them."""
    arrays: dict[str, np.ndarray] = {}
    if "history" in needs:
        arrays |= history_arrays(user_table, item_table)
    if "past" in needs:
        arrays |= past_arrays(user_table, item_table)
    return arrays


def history_arrays(user_table: pd.DataFrame | None, item_table: pd.DataFrame) -> dict[str, np.ndarray]:
    """The history in the user and item tables of a log.

    Returns, for T orders of the past (16 in the logs of `datasets.transactions`), oldest first, padded in front with 0:

    * static: (users, a) float32, standardised features of the users.
    * orders: (users, T, s) float32, the streamer features of each order x its feedback score.
    * order_streamers: (users, T) int64, the streamer of each order, from 0; -1: no order, or of no streamer.
    * baskets: (users, T, p) float32, the mean text vector of the products of each order.
    * products: (n_items, q) float32, streamer features, popularity, price and text components of each product.

    Raises ConfigError where the log does not have all of them.
    """
    columns = _columns(HISTORY, user_table, item_table, "history", "; baskets also need a products table with a text "
                       "column, such as name")  # fmt: skip
    users, length = columns["order_streamers"].shape
    return {
        "static": columns["static"].astype(np.float32),
        "orders": columns["orders"].astype(np.float32).reshape(users, length, -1),
        "order_streamers": columns["order_streamers"].astype(np.int64),
        "baskets": columns["baskets"].astype(np.float32).reshape(users, length, -1),
        "products": columns["product_side"].astype(np.float32),
    }


def past_arrays(user_table: pd.DataFrame | None, item_table: pd.DataFrame) -> dict[str, np.ndarray]:
    """What was bought before the stream, in the user and item tables of a log. User u bought what stands at the places
    bought_start[u] to bought_start[u + 1] of the `bought` arrays.

    * bought_start: (users + 1,) int64. bought: (n,) int64, items, ascending within a user.
    * bought_orders: (n,) float64, orders of the user that the item is part of.
    * bought_rate: (n,) float64 in (0, 1], the share of the user's time windows in which the item was bought.
    * known: (users, d) float64, the user's context at the cut, standardised components; d may be 0.
    * past_windows: (users,) int64, time windows in which the user bought anything; 0: a user without a past.
    * last_streamer: (users,) int64, that of the user's last order; -1: no order, or of no streamer.
    * popularity: (n_items,) float64, users of the whole shop who bought the item.
    * past_rate: (n_items,) float64 in [0, 1], the share of all users' time windows with it, NaN: never sold before.
    * sellers: (n_items, streamers) float64, the shares of the streamers who sell the item; a row may be 0.

    Raises ConfigError where the log does not have all of them.
    """
    columns = _columns(PAST, user_table, item_table, "past")
    assert user_table is not None
    lengths = user_table["bought"].map(len).to_numpy()
    return {
        "bought_start": edges_of(lengths),
        "bought": columns["bought"].astype(np.int64),
        "bought_orders": columns["bought_orders"].astype(float),
        "bought_rate": columns["bought_rate"].astype(float),
        "known": columns["known"].astype(float),
        "past_windows": columns["past_windows"].astype(np.int64),
        "last_streamer": columns["order_streamers"][:, -1].astype(np.int64),
        "popularity": columns["popularity"].astype(float),
        "past_rate": columns["past_rate"].astype(float),
        "sellers": columns["sellers"].astype(float),
    }


RAGGED = ("bought", "bought_orders", "bought_rate")


def _columns(
    wanted: dict[str, str], user_table: pd.DataFrame | None, item_table: pd.DataFrame, need: str, also: str = ""
) -> dict[str, np.ndarray]:
    """The columns of the tables as arrays; those of RAGGED end to end."""
    tables = {"users": pd.DataFrame() if user_table is None else user_table, "items": item_table}
    missing = [f"{name} ({table}.parquet)" for name, table in wanted.items() if name not in tables[table]]
    if missing:
        raise ConfigError(
            f"The log has no {', '.join(missing)}, which a policy that needs '{need}' learns from. Logs of the "
            "scenarios normal, active and repeat have them (data sets completejourney and livestream, `lersbench "
            f"import transactions`){also}."
        )
    return {
        name: (np.concatenate if name in RAGGED else np.stack)(tables[table][name].to_list())
        for name, table in wanted.items()
    }
