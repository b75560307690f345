"""What a log knows of users and products beyond context and features, as arrays for policies that name "history"."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lersbench.errors import ConfigError

COLUMNS = {
    "static": "users",
    "orders": "users",
    "order_streamers": "users",
    "baskets": "users",
    "product_side": "items",
}


def history_arrays(user_table: pd.DataFrame | None, item_table: pd.DataFrame) -> dict[str, np.ndarray]:
    """The history in the user and item tables of a log.

    Returns, for T orders of the past (16 in the logs of `datasets.transactions`), oldest first, padded in front with 0:

    * static: (users, a) float32, standardised features of the users.
    * orders: (users, T, s) float32, the streamer features of each order x its feedback score.
    * order_streamers: (users, T) int64, the streamer of each order, from 0; -1: no order, or of no streamer.
    * baskets: (users, T, p) float32, the mean text vector of the products of each order.
    * products: (n_items, q) float32, streamer features and text components of each product.

    Raises ConfigError where the log does not have all of them.
    """
    tables = {"users": pd.DataFrame() if user_table is None else user_table, "items": item_table}
    missing = [f"{name} ({table}.parquet)" for name, table in COLUMNS.items() if name not in tables[table]]
    if missing:
        raise ConfigError(
            f"The log has no {', '.join(missing)}, which a policy that needs 'history' learns from. Logs of the "
            "scenarios normal, active and repeat have them (data sets completejourney and livestream, `lersbench "
            "import transactions`); baskets also need a products table with a text column, such as name."
        )
    found = {name: np.stack(tables[table][name].to_list()) for name, table in COLUMNS.items()}
    users, length = found["order_streamers"].shape
    return {
        "static": found["static"].astype(np.float32),
        "orders": found["orders"].astype(np.float32).reshape(users, length, -1),
        "order_streamers": found["order_streamers"].astype(np.int64),
        "baskets": found["baskets"].astype(np.float32).reshape(users, length, -1),
        "products": found["product_side"].astype(np.float32),
    }
