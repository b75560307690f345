"""Any shop's transactions to the scenarios normal, active and repeat: one code path.

A *like* is a customer buying, within `like_days` days beginning with the recommended day, a product that was sold on
the recommended day. Every round one customer comes, all products of the scenario are on offer in order of decreasing
number of likes, and the whole row of likes is the reward (full feedback). Contexts and product features come from
purchases before the cut alone.

* normal: every customer with at least one like x every product of the recommended day, one round a customer.
* active: the customers and the products with the most likes, each counted over all of them; one round a customer. A
  customer's likes may all be of other products: then the row is empty.
* repeat: the products with the most likes and customers who like exactly `likes_each` of them (those with the most
  likes of all); each customer comes `repeats` times. If too few customers do, products are exchanged for others among
  the 200 most liked, one at a time, each time the one that brings most such customers. Rows come out exact; columns
  come out as they are, and the provenance lists them.

Ties are broken by id, so a build is reproducible.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from lersbench.datasets.history import History, codes, days
from lersbench.datasets.options import at_least, suggestion
from lersbench.datasets.reduce import reduce
from lersbench.datasets.tables import Tables
from lersbench.errors import ConfigError, DataError
from lersbench.log import Log, write

Scenario = Literal["normal", "active", "repeat"]
PUBLISHED = {  # customers, products, rounds, likes, density: the thesis doi 10.6814/NCCU202201098
    "normal": {"customers": 2602, "products": 1023, "rounds": 2602, "likes": 12265, "density": 0.0046},
    "active": {"customers": 1000, "products": 200, "rounds": 1000, "likes": 6652, "density": 0.033},
    "repeat": {"customers": 10, "products": 10, "rounds": 100, "likes": 50, "density": 0.5},
}
POOL = 200  # most liked products among which repeat looks
CHUNK_BYTES = 16 << 20


class Selection(NamedTuple):
    """What a scenario takes: codes of customers (n,) and products (k,), and their likes (n, k) bool."""

    customers: np.ndarray
    products: np.ndarray
    likes: np.ndarray
    all_there_are: list[str]  # of "customers", "products": what came out below the published number


def build(
    tables: Tables,
    out: Path,
    *,
    name: str = "transactions",
    scenario: Scenario = "active",
    cut: str,
    day: str | None = None,
    like_days: int = 7,
    customers: int | None = None,
    products: int | None = None,
    repeats: int = 10,
    likes_each: int = 5,
    context: int = 20,
    item_features: int = 8,
    licence: str = "",
    attribution: str = "",
    overwrite: bool = False,
) -> Log:
    """Write the log of a scenario.

    Args:
        cut: contexts and features are made of times before this day's beginning.
        day: the recommended day, not before the cut; left out: the day of the cut.
        like_days: length of the like window in days, the recommended day included.
        customers, products: how many (active, repeat); left out: the published 1,000 x 200 and 10 x 10, or all there
            are where there are fewer (the provenance says so).
        repeats, likes_each: how often a customer of repeat comes, and how many products each likes.
        context, item_features: widths after PCA; 0 keeps every standardised feature.
        overwrite: replace a log that is at `out` already.

    Raises ConfigError for options that contradict each other, DataError where the tables cannot fill the scenario.
    """
    if scenario not in PUBLISHED:
        raise ConfigError(f"There is no scenario {scenario!r} of transactions{suggestion(scenario, PUBLISHED)}")
    at_least(1, like_days=like_days, repeats=repeats, likes_each=likes_each)
    at_least(0, context=context, item_features=item_features)
    day = cut if day is None else day
    cut_time, first = as_date("cut", cut), as_date("day", day)
    if first < cut_time:
        raise ConfigError(f"The recommended day {day} lies before the cut {cut}: the context would know the answer.")
    tables, returns = _without_returns(tables)
    if not (tables.transactions["time"] < cut_time).any():
        raise DataError(f"No purchase lies before the cut {cut}; {_span(tables)}.")
    history = History(tables, cut_time)
    pairs, on_sale = likes(tables, history, first, like_days)
    chosen = _select(scenario, pairs, on_sale, customers, products, likes_each, like_days)
    x, x_share = reduce(history.customer_features(), history.seen("customer"), context)
    z, z_share = reduce(history.product_features(), history.seen("product"), item_features)
    visits = repeats if scenario == "repeat" else 1
    provenance = {
        **tables.facts,
        "scenario": scenario,
        "cut": cut,
        "day": day,
        "like_days": like_days,
        "like_days_covered": min(
            like_days, int(days(tables.transactions["time"]).max() - days(pd.Series([first]))[0] + 1)
        ),
        "returns_dropped": returns,
        **_came_out_as(chosen, visits),
        "published": PUBLISHED[scenario],
        "context_variance_kept": round(x_share, 4),
        "item_variance_kept": round(z_share, 4),
        "static": history.static.names,
        "streamers": history.streamers,
        "categories": history.categories,
    }
    return write(
        out,
        _rounds(chosen, x[chosen.customers], visits),
        name=f"{name}-{scenario}",
        items=_items(history, chosen, z),
        users=_users(history, chosen),
        licence=licence,
        attribution=attribution,
        provenance=provenance,
        overwrite=overwrite,
    )


def likes(tables: Tables, history: History, day: pd.Timestamp, like_days: int) -> tuple[np.ndarray, np.ndarray]:
    """The likes as (n, 2) pairs of customer and product codes, and the codes of the products sold on `day`, sorted."""
    table = tables.transactions
    when = days(table["time"]) - days(pd.Series([day]))[0]
    on_sale = np.unique(codes(history.products, table.loc[when == 0, "product"]))
    if len(on_sale) == 0:
        raise DataError(f"No product was sold on the recommended day {day:%Y-%m-%d}; {_span(tables)}.")
    window = table[(when >= 0) & (when < like_days)]
    product = codes(history.products, window["product"])
    pairs = np.column_stack([codes(history.customers, window["customer"]), product])
    return np.unique(pairs[np.isin(product, on_sale)], axis=0), on_sale


def describe(log: Log) -> str:
    """What the scenario of a log came out as, beside the published figures; "" for a log that is no such scenario."""
    facts = log.info.provenance
    if "published" not in facts:
        return ""
    rows = [f"{'':<10} {'here':>10} {'published':>10}"]
    for key, published in facts["published"].items():
        form = ".2%" if key == "density" else ","
        told = "  (all there are)" if key in facts.get("all_there_are", ()) else ""
        rows.append(f"{key:<10} {format(facts[key], form):>10} {format(published, form):>10}{told}")
    return "\n".join(rows)


def as_date(option: str, text: str) -> pd.Timestamp:
    """The beginning of the day that an option names; ConfigError where it names none."""
    try:
        return pd.Timestamp(datetime.date.fromisoformat(text))
    except ValueError as error:
        raise ConfigError(f"option {option} = {text!r} is no date; write it as 2017-07-01.") from error


def _span(tables: Tables) -> str:
    times = tables.transactions["time"]
    return f"the transactions span {times.min():%Y-%m-%d} to {times.max():%Y-%m-%d}"


def _without_returns(tables: Tables) -> tuple[Tables, int]:
    table = tables.transactions
    bought = (table["quantity"] > 0) & (table["amount"] > 0)
    if not bought.any():
        raise DataError("Every transaction has an amount or a quantity of 0 or less: there are only returns.")
    kept = Tables(table[bought], tables.products, tables.customers, tables.comments, tables.streamers, tables.facts)
    return kept, int((~bought).sum())


def _select(
    scenario: Scenario,
    pairs: np.ndarray,
    on_sale: np.ndarray,
    customers: int | None,
    products: int | None,
    likes_each: int,
    like_days: int,
) -> Selection:
    who, counts = np.unique(pairs[:, 0], return_counts=True)
    who = who[np.lexsort((who, -counts))]
    popular = on_sale[np.lexsort((on_sale, -np.bincount(pairs[:, 1], minlength=on_sale[-1] + 1)[on_sale]))]
    if scenario == "normal":
        if customers is not None or products is not None:
            raise ConfigError("The scenario normal takes every customer and product: leave out customers and products.")
        return Selection(who, popular, _matrix(pairs, who, popular), [])
    published = {key: int(PUBLISHED[scenario][key]) for key in ("customers", "products")}
    n = min(published["customers"], len(who)) if customers is None else customers
    k = min(published["products"], len(popular)) if products is None else products
    at_least(1, customers=n, products=k)
    if len(who) < n or len(popular) < k:
        sizes = f"--customers {min(n, len(who))} --products {min(k, len(popular))}"
        raise DataError(
            f"{scenario} wants {n} customers x {k} products, but {len(who)} customers liked any of "
            f"{len(popular)} products: ask for {sizes} (in a scenario data.customers, data.products), "
            f"or widen like_days = {like_days}."
        )
    if scenario == "active":
        chosen = Selection(who[:n], popular[:k], _matrix(pairs, who[:n], popular[:k]), [])
    else:
        if likes_each > k:
            raise ConfigError(f"likes_each = {likes_each} is more than the {k} products of repeat; lower it.")
        liked, pool = _matrix(pairs, who, popular[:POOL]), popular[:POOL]
        least = 1 if customers is None else n
        chosen = _exact_rows(liked, who, pool, n, k, likes_each, like_days, least)
    asked = {"customers": customers, "products": products}
    came = {"customers": len(chosen.customers), "products": len(chosen.products)}
    return chosen._replace(all_there_are=[key for key in came if asked[key] is None and came[key] < published[key]])


def _matrix(pairs: np.ndarray, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
    """(n, k) bool: which of the products each of the customers likes."""
    row, column = pd.Index(customers).get_indexer(pairs[:, 0]), pd.Index(products).get_indexer(pairs[:, 1])
    inside = (row >= 0) & (column >= 0)
    matrix = np.zeros((len(customers), len(products)), bool)
    matrix[row[inside], column[inside]] = True
    return matrix


def _exact_rows(
    liked: np.ndarray, who: np.ndarray, pool: np.ndarray, n: int, k: int, each: int, like_days: int, least: int
) -> Selection:
    """n rows of `liked` (customers, pool) with exactly `each` likes in the same k columns; see the module.

    Where no choice of columns has n of them, all of the best choice; a DataError where that has fewer than `least`.
    """
    columns = np.arange(k)
    while True:
        counts = liked[:, columns].sum(axis=1)
        exact = int((counts == each).sum())
        if exact >= n:
            break
        # fit[i, j]: customers with exactly `each` likes if columns[i] were exchanged for pool column j
        fit = np.array([((counts - liked[:, c])[:, None] + liked == each).sum(axis=0) for c in columns])
        fit[:, columns] = -1
        i, j = np.unravel_index(fit.argmax(), fit.shape)
        if fit[i, j] <= exact and exact >= least:
            break
        if fit[i, j] <= exact:
            raise DataError(
                f"repeat wants {n} customers with exactly {each} likes among {k} products; the best choice of products "
                f"has {exact}: widen like_days = {like_days} or lower likes_each or customers."
            )
        columns[i] = j
    columns = np.sort(columns)  # the pool is in order of decreasing likes
    rows = np.flatnonzero(counts == each)[:n]
    return Selection(who[rows], pool[columns], liked[np.ix_(rows, columns)], [])


def _came_out_as(chosen: Selection, visits: int) -> dict[str, Any]:
    n, k = chosen.likes.shape
    number = int(chosen.likes.sum())
    facts = {"customers": n, "products": k, "rounds": n * visits, "likes": number, "density": number / (n * k)}
    facts["all_there_are"] = chosen.all_there_are
    facts["customers_without_a_like"] = int((~chosen.likes.any(axis=1)).sum())
    if visits > 1:
        facts["likes_of_each_product"] = chosen.likes.sum(axis=0).tolist()
    return facts


def _rounds(chosen: Selection, context: np.ndarray, visits: int) -> Iterator[dict[str, np.ndarray]]:
    user = np.tile(np.arange(len(chosen.customers)), visits)
    rows = max(1, CHUNK_BYTES // (8 * (context.shape[1] + chosen.likes.shape[1])))
    for start in range(0, len(user), rows):
        who = user[start : start + rows]
        chunk: dict[str, np.ndarray] = {"user": who, "rewards": chosen.likes[who].astype(np.float32)}
        if context.shape[1]:
            chunk["context"] = context[who]
        yield chunk


def _items(history: History, chosen: Selection, features: np.ndarray) -> pd.DataFrame:
    taken = chosen.products
    shown = history.catalogue.iloc[taken].reset_index(drop=True).drop(columns=["item", "id"], errors="ignore")
    table = pd.DataFrame(
        {
            "item": np.arange(len(taken)),
            "id": history.products[taken],
            "likes": chosen.likes.sum(axis=0),  # the answer: for display, never a feature
            "popularity": history.popularity()[taken],
            "mean_price": history.prices()[taken],
            "streamer": history.home[taken],
        }
    )
    if features.shape[1]:
        table["features"] = list(features[taken])
    return pd.concat([table, shown.drop(columns=list(table.columns), errors="ignore")], axis=1)


def _users(history: History, chosen: Selection) -> pd.DataFrame:
    taken = chosen.customers
    static = history.static.values[taken].astype(np.float32)
    lists = {"static": static, **history.sequences(taken)}
    table = pd.DataFrame({"user": np.arange(len(taken)), "id": history.customers[taken]})
    return table.assign(**{key: list(values) for key, values in lists.items() if values.shape[1]})
