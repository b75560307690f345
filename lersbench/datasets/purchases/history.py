"""What a shop knew of its customers and products before the cut: features, last orders. Nothing later is looked at."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd

from lersbench.datasets.purchases.tables import COLUMNS, Tables
from lersbench.datasets.reduce import MOST_LEVELS, Features, encode, frequent_levels, side_by_side

LAST_ORDERS = 5  # of which the context has a summary
LAST_BASKETS = 10  # likewise
SEQUENCE = 16  # orders of the sequences: the longest studied, 15, and the one that follows
BOUGHT, COMMENTED = 0.5, 1.0  # feedback scores of an order: bought only, commented and bought


class History:
    """The order lines before `cut`, in codes.

    Attributes:
        customers, products: the ids a code stands for, sorted; those first seen after the cut have codes too.
        streamers: names by number. categories: names by number (at most the 64 with most lines).
        lines: one row an order line: customer, product, streamer, category, order (codes, -1 where unknown), day
            (days since 1970), amount, quantity.
    """

    def __init__(self, tables: Tables, cut: pd.Timestamp) -> None:
        table = tables.transactions
        self.tables = tables
        self.cut = cut
        self.customers = pd.Index(table["customer"].unique()).sort_values()
        self.products = pd.Index(table["product"].unique()).sort_values()
        past = table[table["time"] < cut]
        self.streamers: list[str] = (
            frequent_levels(past["seller"].astype("string"))
            if tables.streamers is None
            else [str(number) for number in range(1 + int(past["seller"].map(tables.streamers).fillna(-1).max()))]
        )
        streamer = self.streamer_of(past["seller"])
        product = codes(self.products, past["product"])
        catalogue = self.catalogue
        if "category" in catalogue:
            text = catalogue["category"].astype("string")
            self.categories = frequent_levels(text.iloc[product])
            category = codes(self.categories, text)
        else:
            self.categories, category = [], np.full(len(catalogue), -1)
        self.lines = pd.DataFrame(
            {
                "customer": codes(self.customers, past["customer"]),
                "product": product,
                "streamer": streamer,
                "category": category[product],
                "order": past.groupby(["customer", "order"]).ngroup().to_numpy(),
                "time": past["time"].to_numpy(),
                "day": days(past["time"]),
                "amount": past["amount"].to_numpy(float),
                "quantity": past["quantity"].to_numpy(float),
            }
        )

    def streamer_of(self, sellers: pd.Series) -> np.ndarray:
        """(n,) the streamer of each seller, -1 for those who are, or were before the cut, none."""
        if self.tables.streamers is None:
            return codes(self.streamers, sellers.astype("string"))
        number = sellers.map(self.tables.streamers).fillna(-1).to_numpy(dtype=np.int64)
        return np.where(number < len(self.streamers), number, -1)

    @cached_property
    def catalogue(self) -> pd.DataFrame:
        """The products table (its columns but `product`), one row a product code."""
        if self.tables.products is None:
            return pd.DataFrame(index=range(len(self.products)))
        known = self.tables.products.set_index("product")
        return known.reindex(self.products).reset_index(drop=True)

    @cached_property
    def orders(self) -> pd.DataFrame:
        """One row an order, by customer and time: customer, streamer (that of most of its amount), day, feedback,
        and `back`, its place counted from the customer's last order (0)."""
        orders = self.lines.groupby("order").agg(
            customer=("customer", "first"), time=("time", "max"), day=("day", "max")
        )
        orders["streamer"] = self._main_streamer("order")
        orders["feedback"] = np.where(self._commented(orders), COMMENTED, BOUGHT)
        orders = orders.reset_index().sort_values(["customer", "time", "order"])
        orders["back"] = orders.groupby("customer").cumcount(ascending=False)
        return orders

    def _commented(self, orders: pd.DataFrame) -> np.ndarray:
        comments = self.tables.comments
        if comments is None:
            return np.zeros(len(orders), bool)
        said = pd.MultiIndex.from_arrays([codes(self.customers, comments["customer"]), days(comments["time"])])
        return pd.MultiIndex.from_frame(orders[["customer", "day"]]).isin(said)

    def seen(self, column: str) -> np.ndarray:
        """Which codes of "customer" or "product" occur before the cut, (n,) bool."""
        size = len(self.customers if column == "customer" else self.products)
        return np.bincount(self.lines[column], minlength=size) > 0

    @cached_property
    def home(self) -> np.ndarray:
        """(n_products,) the streamer that sold most of each product, -1 for products not sold before the cut."""
        return self._main_streamer("product").reindex(range(len(self.products)), fill_value=-1).to_numpy()

    def _main_streamer(self, column: str) -> pd.Series:
        """The streamer with most of the amount of each code in a column of `lines`, the lower number where equal."""
        amounts = self.lines.groupby([column, "streamer"])["amount"].sum().reset_index()
        amounts = amounts.sort_values(["amount", "streamer"], ascending=[True, False])
        return amounts.drop_duplicates(column, keep="last").set_index(column)["streamer"].sort_index()

    def rfm(self) -> Features:
        """Recency, frequency, monetary value and T, as the `lifetimes` convention has them, one row a customer.

        frequency: days with a purchase after the first; recency: days from the first to the last purchase; T: days from
        the first purchase to the cut; monetary: mean amount of a purchase day after the first. All 0 for customers who
        came after the cut.
        """
        per_day = self.lines.groupby(["customer", "day"], as_index=False)["amount"].sum()
        by = per_day.groupby("customer")
        first, last, frequency = by["day"].min(), by["day"].max(), by.size() - 1
        later = by["amount"].sum() - by["amount"].first()
        table = pd.DataFrame(
            {
                "recency": last - first,
                "frequency": frequency,
                "monetary": later / frequency.where(frequency > 0, 1),
                "T": days(pd.Series([self.cut]))[0] - first,
            }
        ).reindex(range(len(self.customers)), fill_value=0)
        return Features(list(table.columns), table.to_numpy(float))

    @cached_property
    def static(self) -> Features:
        """The static features of every customer: RFM, the customers table (text one-hot), and the shares of the
        order lines' further text columns (payment, shipping). Frequency and monetary value enter as log(1 + x)."""
        rfm = self.rfm()
        rfm.values[:, 1:3] = np.log1p(rfm.values[:, 1:3])
        parts = [rfm]
        if self.tables.customers is not None:
            known = self.tables.customers.set_index("customer").reindex(self.customers)
            parts.append(encode(known.reset_index(drop=True), self.seen("customer")))
        return side_by_side(*parts, *self._line_traits())

    def _line_traits(self) -> list[Features]:
        table = self.tables.transactions
        past = table[table["time"] < self.cut]
        traits = []
        for name in past.columns.difference(list(COLUMNS), sort=False):
            if pd.api.types.is_numeric_dtype(past[name]) or pd.api.types.is_datetime64_any_dtype(past[name]):
                continue
            text = past[name].astype("string")
            if text.nunique() <= MOST_LEVELS:
                levels = frequent_levels(text)
                code = pd.Series(codes(levels, text))
                traits.append(self._shares(f"lines of {name}", self.lines["customer"], code, None, levels))
        return traits

    def customer_features(self) -> Features:
        """Static features, shares of trade, and a summary of the last orders, one row a customer."""
        lines, orders = self.lines, self.orders
        recent = orders[orders["back"] < LAST_ORDERS]
        n = len(self.customers)
        feedback = np.bincount(recent["customer"], recent["feedback"], n) / np.maximum(
            np.bincount(recent["customer"], minlength=n), 1
        )
        baskets = lines[lines["order"].isin(orders.loc[orders["back"] < LAST_BASKETS, "order"])]
        per_line = 1 / baskets.groupby("order")["order"].transform("size")  # every basket weighs the same
        return side_by_side(
            self.static,
            self._shares("trade of streamer", lines["customer"], lines["streamer"], lines["amount"], self.streamers),
            self._shares("trade of category", lines["customer"], lines["category"], lines["amount"], self.categories),
            self._shares("last orders of streamer", recent["customer"], recent["streamer"], None, self.streamers),
            self._shares("last baskets of", baskets["customer"], baskets["category"], per_line, self.categories),
            Features(["feedback of the last orders"], feedback[:, None]),
        )

    def _shares(
        self, what: str, customer: pd.Series, code: pd.Series, weight: pd.Series | None, names: list[str]
    ) -> Features:
        n, size = len(self.customers), len(names)
        known = (code >= 0).to_numpy()
        cell = (customer * size + code).to_numpy()[known]
        table = np.bincount(cell, None if weight is None else weight.to_numpy()[known], n * size).reshape(n, size)
        total = table.sum(axis=1, keepdims=True)
        return Features([f"{what} {name}" for name in names], table / np.where(total > 0, total, 1))

    def prices(self) -> np.ndarray:
        """(n_products,) mean price of a unit, NaN for products not sold before the cut."""
        amount = np.bincount(self.lines["product"], self.lines["amount"], len(self.products))
        quantity = np.bincount(self.lines["product"], self.lines["quantity"], len(self.products))
        return np.divide(amount, quantity, out=np.full(len(amount), np.nan), where=quantity > 0)

    def popularity(self) -> np.ndarray:
        """(n_products,) number of customers who bought the product before the cut."""
        pairs = self.lines[["customer", "product"]].drop_duplicates()
        return np.bincount(pairs["product"], minlength=len(self.products))

    def own_features(self) -> Features:
        """Log popularity and log price (before the cut; a product never sold: popularity 0, the mean price)."""
        numbers = pd.DataFrame({"log popularity": np.log1p(self.popularity()), "log price": np.log1p(self.prices())})
        return encode(numbers, self.seen("product"))

    def catalogue_numbers(self) -> Features:
        """The columns of the products table that are numbers, one row a product."""
        return encode(self.catalogue.select_dtypes("number"), self.seen("product"))

    def product_features(self, streamer: np.ndarray | None = None) -> Features:
        """Streamer one-hot and the products table (text one-hot), one row a product.

        `streamer` (n_products,) is the number of each product's, -1 for none; by default its `home`.
        """
        fit = self.seen("product")
        home = (self.home if streamer is None else streamer)[:, None] == np.arange(len(self.streamers))
        return side_by_side(
            Features([f"streamer {name}" for name in self.streamers], home.astype(float)),
            encode(self.catalogue, fit, always=("category",)),
        )

    def sequences(self, users: np.ndarray, streamers: np.ndarray, products: np.ndarray) -> dict[str, np.ndarray]:
        """The last 16 orders of the customers `users` (codes, (n,)), oldest first, padded in front.

        Args:
            streamers: (streamers, s) what is known of each streamer. products: (n_products, p) vectors.

        Returns `orders` (n, 16, s) float32, the row of the order's streamer times the feedback score (0: no order, or
        of no streamer); `order_streamers` (n, 16) int16 (-1 likewise); `baskets` (n, 16, p) float32, the mean of the
        order lines' products (0: no order).
        """
        row = np.full(len(self.customers), -1)
        row[users] = np.arange(len(users))
        last = self.orders[(row[self.orders["customer"]] >= 0) & (self.orders["back"] < SEQUENCE)]
        place = row[last["customer"]], SEQUENCE - 1 - last["back"].to_numpy()
        who = np.full((len(users), SEQUENCE), -1, np.int16)
        who[place] = last["streamer"]
        orders = np.zeros((len(users), SEQUENCE, streamers.shape[1]), np.float32)
        orders[place] = np.vstack([streamers, np.zeros(streamers.shape[1])])[who[place]]  # row -1: of no streamer
        orders[place] *= last["feedback"].to_numpy(np.float32)[:, None]
        return {"orders": orders, "order_streamers": who, "baskets": self._baskets(last, place, len(users), products)}

    def _baskets(
        self, orders: pd.DataFrame, place: tuple[np.ndarray, np.ndarray], n: int, products: np.ndarray
    ) -> np.ndarray:
        baskets = np.zeros((n, SEQUENCE, products.shape[1]), np.float32)
        number = np.full(1 + self.lines["order"].max(), -1)
        number[orders["order"]] = np.arange(len(orders))
        of = number[self.lines["order"]]
        inside = np.flatnonzero(of >= 0)
        inside = inside[np.argsort(of[inside], kind="stable")]
        sizes = np.bincount(of[inside], minlength=len(orders))  # an order has one line at least
        starts = np.cumsum(sizes) - sizes
        if len(orders):
            total = np.add.reduceat(products[self.lines["product"].to_numpy()[inside]], starts, axis=0)
            baskets[place] = total / sizes[:, None]
        return baskets


def codes(ids: pd.Index | list[str], values: pd.Series) -> np.ndarray:
    """(n,) the place of each value among `ids`, -1 where it is none of them."""
    return pd.Index(ids).get_indexer(pd.Index(values))


def days(times: pd.Series) -> np.ndarray:
    """Whole days since 1970-01-01 of naive times, (n,) int64."""
    return times.to_numpy().astype("datetime64[D]").astype(np.int64)
