"""Live shopping, simulated: the LERS scenarios on a platform like the one of the study, whose own data are private.

The world (see `liveshop`) is calibrated to the published figures; `calibration` measures it beside them, and the
provenance of a log holds the table. At every scale from 0.1 up the live day, and so each scenario, has its published
size; at the default scale of 0.1 the rest of the year has a tenth of the customers, products and orders.

The counts of customers by orders and the days spanned by the last orders are read as those before the cut: the study
makes its sequences there, and that reading fits all nine published figures at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lersbench.datasets import transactions
from lersbench.datasets.options import LogOptions, ShopOptions
from lersbench.datasets.purchases import liveshop
from lersbench.datasets.purchases.tables import Tables
from lersbench.log import Log
from lersbench.options import option

TITLE = "Livestream: a simulated live-shopping platform, calibrated to the published LERS figures"
LICENCE = "Apache-2.0"
ATTRIBUTION = "lersbench, after figures of doi 10.6814/NCCU202201098"

SMALLEST = 0.002
PUBLISHED = {"order lines": 5_579_428, "products": 280_151, "customers": 143_327}  # grow with the scale
WITH_ORDERS = {6: 37_442, 11: 19_906, 16: 11_828}  # of the customers, those with so many orders
SPANS = {5: (67.6, 45.0), 10: (103.8, 48.4), 15: (125.6, 47.9)}  # mean and sd of the days of the last so many orders
BASKET = 4.9
REAL = {"streamer": 0.07, "numbers": 0.65, "text": 0.15, "all": 0.67}  # `explained.shares`, completejourney, normal


@dataclass(frozen=True, kw_only=True)
class Options(ShopOptions):
    """Those of every shop, and of this one:

    Attributes:
        scale: size of the platform, 0.002 to 1, where 1 is the published 5.58 million order lines. The live day has
            its published size from 0.1 up, and shrinks in proportion below.
        seed: everything is drawn from it.
        explained: share in [0, 1] of the products' log popularity that department, category and price explain. With the
            default popularity can be predicted about as well as on real purchases. At 0 it cannot be predicted at all,
            which favours policies with parameters of their own for each item.
    """

    cut: str = "2021-11-01"
    day: str | None = "2021-11-02"
    like_days: int = 184
    scale: float = option(0.1, least=SMALLEST, most=1, remark=", the published size")
    seed: int = option(0, least=0)
    explained: float = option(liveshop.EXPLAINED, least=0, most=1, remark=": it is a share of a variance")


def build(out: Path, **values: Any) -> Log:
    """Write the log of a scenario; `values` are those of `Options`."""
    options = Options(**values)
    about = LogOptions(name="livestream", licence=LICENCE, attribution=ATTRIBUTION)
    return transactions.scenario_log(tables(options.scale, options.seed, options.explained), out, options, about)


size = transactions.size


def tables(scale: float = 0.1, seed: int = 0, explained: float = liveshop.EXPLAINED) -> Tables:
    """The platform's tables; facts: `calibration`, `next_streamer_baselines`, the names of the streamers."""
    Options(scale=scale, seed=seed, explained=explained)  # refuses what is out of range
    return tables_of(liveshop.simulate(scale, seed, explained), scale, seed, explained)


def tables_of(shop: liveshop.LiveShop, scale: float, seed: int, explained: float) -> Tables:
    """The tables of a shop that was simulated with these options."""
    facts = {
        "scale": scale,
        "seed": seed,
        "explained": explained,
        "likes_explained_on_real_purchases": REAL,
        "calibration": calibration(shop, scale),
        "next_streamer_baselines": next_streamer_baselines(shop.transactions),
        "streamer_names": shop.streamers["name"].tolist(),
    }
    streamers = pd.Series(shop.streamers["streamer"].to_numpy(), index=shop.streamers["streamer"])
    known = shop.streamers.drop(columns="name")
    return Tables(shop.transactions, shop.products, shop.customers, shop.comments, streamers, facts, known)


def calibration(shop: liveshop.LiveShop, scale: float) -> list[dict[str, Any]]:
    """What was published of the platform and what came out here: rows of {what, published, here}.

    Sizes are published in proportion to the scale, and the row says so; shares are percents.
    """
    lines = shop.transactions
    orders = _orders(lines)
    counts, backs = _counts(orders), _backs(orders)
    past = orders["customer"].nunique()
    here = {"order lines": len(lines), "products": len(shop.products), "customers": past}
    rows: list[tuple[str, float, float]] = [
        (what if scale == 1 else f"{what} (published x {scale:g})", round(size * scale), here[what])
        for what, size in PUBLISHED.items()
    ]
    rows += [
        (f"customers with >= {least} orders, %", 100 * number / PUBLISHED["customers"], 100 * (counts >= least).mean())
        for least, number in WITH_ORDERS.items()
    ]
    rows.append(("lines of an order", BASKET, len(lines) / lines["order"].nunique()))
    for last, (mean, deviation) in SPANS.items():
        days = _span(orders, backs, last)
        rows.append((f"days of the last {last} orders, mean", mean, days.mean()))
        rows.append((f"days of the last {last} orders, sd", deviation, days.std()))
    sold = np.bincount(lines["seller"], minlength=len(liveshop.SHARES)) / len(lines)
    names = shop.streamers["name"]
    rows += [
        (f"lines of {name}, %", 100 * published, 100 * share)
        for name, published, share in zip(names, liveshop.SHARES, sold, strict=True)
    ]
    return [{"what": what, "published": _plain(published), "here": _plain(value)} for what, published, value in rows]


def next_streamer_baselines(lines: pd.DataFrame) -> dict[str, float]:
    """How often simple rules predict the streamer of a customer's last order before the cut, given the earlier ones.

    Over the customers with 6 orders or more; ties go to the lower number. (The GRU of the study reached 94 %.)
    """
    orders = _orders(lines)
    backs = _backs(orders)
    many = (_counts(orders).loc[orders["customer"]] > 5).to_numpy()
    orders, backs = orders[many], backs[many]
    truth = orders.loc[backs == 0, "seller"].to_numpy()
    earlier = orders[backs > 0]
    overall = earlier["seller"].value_counts().idxmax()
    rules = {
        "most frequent of all": np.full(len(truth), overall),
        "customer's last": orders.loc[backs == 1, "seller"].to_numpy(),
        "customer's most frequent": _most_frequent(earlier),
        "customer's most frequent of the last 5": _most_frequent(orders[(backs > 0) & (backs <= 5)]),
    }
    return {rule: round(float((guess == truth).mean()), 4) for rule, guess in rules.items()}


def _orders(lines: pd.DataFrame) -> pd.DataFrame:
    """The orders before the cut by customer and time: customer, seller, day."""
    orders = lines.drop_duplicates("order")[["customer", "order", "seller", "time"]]
    day = (orders["time"].to_numpy().astype("datetime64[D]") - liveshop.START).astype(np.int64)
    orders = orders.assign(day=day)[day < liveshop.CUT]
    return orders.sort_values(["customer", "time", "order"], ignore_index=True)


def _counts(orders: pd.DataFrame) -> pd.Series:
    return orders.groupby("customer").size()


def _backs(orders: pd.DataFrame) -> np.ndarray:
    """The place of every order counted from its customer's last, which has 0."""
    return orders.groupby("customer").cumcount(ascending=False).to_numpy()


def _span(orders: pd.DataFrame, backs: np.ndarray, last: int) -> np.ndarray:
    """Days from the first to the last of the `last` latest orders, of the customers who have more than that."""
    many = (_counts(orders).loc[orders["customer"]] > last).to_numpy()
    day = orders["day"].to_numpy()
    return day[many & (backs == 0)] - day[many & (backs == last - 1)]


def _most_frequent(orders: pd.DataFrame) -> np.ndarray:
    """Every customer's streamer of most orders, the lower number where equal, by customer."""
    counts = orders.groupby(["customer", "seller"]).size().reset_index(name="orders")
    best = counts.sort_values(["customer", "orders", "seller"], ascending=[True, False, True])
    return best.drop_duplicates("customer")["seller"].to_numpy()


def _plain(value: float) -> float | int:
    """For JSON: whole numbers as they are, others to two places."""
    return int(value) if float(value).is_integer() else round(float(value), 2)
