"""On air: customers come to the simulated live-shopping platform while its products come and go.

A round is a visit: the candidates are the products on air at that moment, so their number differs from visit to visit,
new ones appear every few minutes, and a product that is gone does not come back. `rewards` says of each candidate
whether the customer would buy it, `expected` how probable that is, and `known` when it is known: a purchase, or that
none was made, comes out some minutes or hours later. See `purchases.onair` for the world.

What is known of customers and products is the state at the beginning of the first day, before the first visit: the
context of a round, the features of items and all that `purchases.known` lists. Of a product that was never sold the
platform's announcement says streamer, price, category and text, as it does before it goes on air.

Nothing of the roll-out is published: the study of doi 10.6814/NCCU202201098 argues that goods come and go, and tests on
fixed matrices. Customers, streamers, products and tastes are those of `livestream`, which is calibrated to its figures;
the share of visits with an order is set so that products on air are bought as often as those of its scenario active
are liked. The rest is ours, and an option.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lersbench.bounds import Size
from lersbench.datasets import livestream
from lersbench.datasets.hashed import hashed_order
from lersbench.datasets.options import TextModel
from lersbench.datasets.purchases import liveshop, onair
from lersbench.datasets.purchases.history import History
from lersbench.datasets.purchases.known import Known, all_known, item_features, items_table, users_table
from lersbench.datasets.purchases.liveshop import Platform
from lersbench.datasets.purchases.onair import Air, Visits
from lersbench.datasets.purchases.text import text_vectors
from lersbench.datasets.reduce import encode, reduce
from lersbench.datasets.transactions import purchases
from lersbench.errors import ConfigError
from lersbench.log import Log, Ragged, Schedule, write
from lersbench.options import OptionSet, option

TITLE = "On air: visits to the simulated live-shopping platform while its products come and go"
LICENCE = livestream.LICENCE
ATTRIBUTION = livestream.ATTRIBUTION

WINDOW = 1  # days of a window of the past (see `purchases.past`): a day with purchases, as a visit may be one
OURS = (
    "that every streamer has a session every day, how many products it shows and for how long, how many customers come "
    "how often, how many of them order, and the delay until that is known: nothing of these is published"
)


@dataclass(frozen=True, kw_only=True)
class Options(OptionSet):
    """What is on air, and who comes.

    Attributes:
        scale, seed, explained: those of the platform, see `livestream`.
        visits, customers: rounds, and how many customers make them; each comes at least once.
        products: shown in all days together, at least one in each of the seven sessions of a day.
        days: from 2021-11-02 on.
        minutes: a product is on air, in the mean.
        again: share of the products that were shown before, within half a year.
        orders: share of the visits in which the customer orders. With the default, and all others as they are, a
            product on air is bought as often as a product is liked in the published scenario active: in 3.3 %.
        delay: median minutes until it is known whether a product was bought; 0: at once.
        delay_spread: standard deviation of the log of the delays.
        context, item_features, text, text_model, text_path: see `options.ShopOptions`.
    """

    scale: float = option(0.1, least=livestream.SMALLEST, most=1, remark=", the published size")
    seed: int = option(0, least=0)
    explained: float = option(liveshop.EXPLAINED, least=0, most=1, remark=": it is a share of a variance")
    visits: int = option(20_000, least=1)
    customers: int = option(2_000, least=1)
    products: int = option(1_500, least=len(liveshop.SHARES))
    days: int = option(2, least=1, most=onair.MOST_DAYS)
    minutes: float = option(12.0, least=0.1, most=240)
    again: float = option(0.33, least=0, most=1)
    orders: float = option(0.37, least=0, most=1, open=True)
    delay: float = option(20.0, least=0, most=10_080, remark=", a week")
    delay_spread: float = option(1.0, least=0, most=3)
    context: int = option(20, least=0)
    item_features: int = option(8, least=0)
    text: int = option(64, least=1)
    text_model: TextModel = "svd"
    text_path: str | None = None


def build(out: Path, **values: Any) -> Log:
    """Write the log; `values` are those of `Options`.

    Raises ConfigError for options that contradict each other, or that the platform is too small for.
    """
    options = Options(**values)
    _check(options)
    world = liveshop.platform(options.scale, options.seed, options.explained)
    shop = liveshop.sold(world, options.scale, options.seed)
    tables = livestream.tables_of(shop, options.scale, options.seed, options.explained)
    history = History(purchases(tables)[0], pd.Timestamp(onair.FIRST))
    air, customer, those = _drawn(options, world, history)
    schedule = Schedule(air.begin, air.end)
    codes = history.customers.get_indexer(pd.Index(customer)), history.products.get_indexer(pd.Index(air.product))
    known, z, x = _known(options, world, history, *codes)
    lengths = schedule.lengths(those.time)
    provenance = {
        **tables.facts,
        "cut": str(onair.FIRST),
        "visits": len(those.time),
        "customers": len(customer),
        "customers_without_a_past": int((~history.seen("customer")[codes[0]]).sum()),
        "products": len(air.product),
        "products_without_a_past": int((~history.seen("product")[codes[1]]).sum()),
        "products_shown_before": int((~air.new).sum()),
        "candidates": {
            "mean": round(float(lengths.mean()), 2),
            "least": int(lengths.min()),
            "most": int(lengths.max()),
        },
        "visits_with_an_order": options.orders,
        "delay_minutes": {"median": options.delay, "spread": options.delay_spread},
        "ours": OURS,
        **known.facts(history),
    }
    return write(
        out,
        _rounds(options, world, air, customer, those, schedule, x[codes[0]]),
        name="on-air",
        items=_items(history, codes[1], world, air, z, known),
        users=users_table(history, codes[0], x, known),
        order="time",
        licence=LICENCE,
        attribution=ATTRIBUTION,
        provenance=provenance,
    )


def size(*, visits: int, products: int, days: int, minutes: float, context: int, **_: Any) -> Size:
    """About how large the log of these options is."""
    hours = liveshop.STREAMERS["hours"].sum()
    mean = min(products, 4 * max(1.0, products * minutes / 60 / (days * hours)))  # four streamers are on air at most
    return Size(visits, round(mean), products, context, visits * (8 * (2 + context) + 24 * mean))


def _check(options: Options) -> None:
    if options.visits < options.customers:
        raise ConfigError(
            f"visits = {options.visits} is less than customers = {options.customers}, and each comes once at least: "
            "lower customers, or raise visits."
        )
    least = len(liveshop.SHARES) * options.days
    if options.products < least:
        raise ConfigError(
            f"products = {options.products}, but {options.days} days have {least} sessions, each with one at least: "
            "raise products, or lower days."
        )


def _drawn(options: Options, world: Platform, history: History) -> tuple[Air, np.ndarray, Visits]:
    """What is on air, in the order of the item numbers; the customers, in that of the users; and the visits."""
    sold, buyers = history.products.to_numpy(np.int64), history.customers.to_numpy(np.int64)
    rng = np.random.default_rng([options.seed, 20])
    air = onair.roll_out(rng, world.goods, sold, options.products, options.days, options.minutes, options.again)
    air = air.of(hashed_order(air.product, "product"))
    rng = np.random.default_rng([options.seed, 21])
    those = onair.visits(rng, world.crowd, buyers, options.customers, options.visits, options.days)
    customer = np.unique(those.customer)
    return air, customer[hashed_order(customer, "customer")], those


def _part(those: Visits, start: int, stop: int) -> Visits:
    return Visits(*(column[start:stop] for column in those))


def _rounds(
    options: Options,
    world: Platform,
    air: Air,
    customer: np.ndarray,
    those: Visits,
    schedule: Schedule,
    context: np.ndarray,
) -> Iterator[dict[str, Any]]:
    """The visits with their candidates; `context` (users, d) is that of the `customer` (users,) of each number."""
    order = np.argsort(customer)
    for start, stop, candidates in schedule.parts([those.time]):
        part, lengths = _part(those, start, stop), candidates.lengths
        rng = np.random.default_rng([options.seed, 22, start])
        expected = onair.probability(world, air, part, candidates, options.orders)
        bought = rng.random(len(expected)) < expected
        user = order[np.searchsorted(customer, part.customer, sorter=order)]
        chunk = {
            "user": user,
            "time": part.time,
            "candidates": candidates,
            "rewards": Ragged(bought.astype(np.float32), lengths),
            "expected": Ragged(expected, lengths),
            "known": Ragged(np.repeat(part.time, lengths) + _delays(rng, options, len(expected)), lengths),
        }
        if context.shape[1]:
            chunk["context"] = context[user]
        yield chunk


def _delays(rng: np.random.Generator, options: Options, number: int) -> np.ndarray:
    """(number,) timedelta64[us], of a purchase and of a refusal alike: when a reward comes says nothing of it."""
    minutes = options.delay * np.exp(options.delay_spread * rng.standard_normal(number))
    return np.round(60 * minutes).astype("timedelta64[s]").astype("timedelta64[us]")


def _known(
    options: Options, world: Platform, history: History, customers: np.ndarray, products: np.ndarray
) -> tuple[Known, np.ndarray, np.ndarray]:
    """What is known before the first visit; the features of all products and the contexts of all customers."""
    seen = history.seen("product")
    x, _ = reduce(history.customer_features(), history.seen("customer"), options.context)
    streamer = history.streamer_of(pd.Series(world.goods.streamer[history.products.to_numpy(np.int64)]))
    own = encode(
        pd.DataFrame({"log popularity": np.log1p(history.popularity()), "log price": np.log1p(_price(history))}), seen
    )
    z, _ = item_features(own, history.product_features(streamer), seen, options.item_features)
    words = text_vectors(history.catalogue, seen, options.text, options.text_model, options.text_path)
    sellers = (streamer[:, None] == np.arange(len(history.streamers))).astype(float)
    return all_known(history, customers, products, sellers, words, WINDOW), z, x


def _price(history: History) -> np.ndarray:
    """(n_products,) that which the announcement names."""
    return history.catalogue["price"].to_numpy(float)


def _items(
    history: History, products: np.ndarray, world: Platform, air: Air, features: np.ndarray, known: Known
) -> pd.DataFrame:
    table = items_table(history, products, features, known)
    return table.assign(
        streamer=world.goods.streamer[air.product], on_from=air.begin, on_until=air.end, shown_before=~air.new
    )
