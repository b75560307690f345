"""The tables of a shop: what `transactions.build` needs. `purchases.read` reads them from files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from lersbench.errors import DataError

COLUMNS = ("customer", "product", "seller", "order", "time", "amount", "quantity")


@dataclass(frozen=True)
class Tables:
    """A shop's tables, in canonical columns.

    Attributes:
        transactions: one row an order line: customer, product, seller, order (any hashable id), time (naive, in the
            shop's own time zone), amount (money), quantity. Lines with amount or quantity <= 0 are returns. Further
            text columns of few values (payment, shipping) become features of the customers.
        products: product, and any further columns; `category` and text columns of few values become one-hot features,
            numbers become features, other text is for display. May leave out products, or be None.
        customers: customer, and static features treated likewise (no `category`). May be None.
        comments: customer, time: the customer said something (commented, redeemed a coupon) that day. May be None.
        streamers: seller -> streamer number from 0; None: every seller is a streamer.
        streamer_table: streamer (its number, or the seller's name where every seller is one), and numbers known of it
            beforehand, such as its followers. May leave out streamers, or be None.
        facts: where the tables come from; goes into the log's provenance.
    """

    transactions: pd.DataFrame
    products: pd.DataFrame | None = None
    customers: pd.DataFrame | None = None
    comments: pd.DataFrame | None = None
    streamers: pd.Series | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    streamer_table: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        _require(self.transactions, COLUMNS, "transactions")
        keys = {
            "products": ["product"],
            "customers": ["customer"],
            "streamer_table": ["streamer"],
            "comments": ["customer", "time"],
        }
        for attribute, key in keys.items():
            name, table = attribute.removesuffix("_table"), getattr(self, attribute)
            if table is not None:
                _require(table, key, name)
                if key[-1] != "time" and table[key[0]].duplicated().any():
                    twice = table.loc[table[key[0]].duplicated(), key[0]].iloc[0]
                    raise DataError(f"The {name} table has {key[0]} {twice!r} more than once: keep one row of each.")


def _require(table: pd.DataFrame, columns: tuple[str, ...] | list[str], name: str) -> None:
    if len(table) == 0:
        raise DataError(f"The {name} table has no rows.")
    for column in columns:
        if column not in table:
            known = ", ".join(map(str, table.columns))
            raise DataError(f"The {name} table has no column {column!r}; it has {known}.")
        gaps = np.flatnonzero(table[column].isna())
        if len(gaps):
            raise DataError(
                f"The {name} table has {len(gaps)} empty value{'s' if len(gaps) > 1 else ''} in column {column!r}, "
                f"{'the first ' if len(gaps) > 1 else ''}in row {gaps[0]}: fill in what is missing or drop the row."
            )
        if column == "time" and not pd.api.types.is_datetime64_dtype(table[column]):
            raise DataError(f"Column 'time' of the {name} table is {table[column].dtype}, not naive date-times.")
