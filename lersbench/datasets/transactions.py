"""Any shop's transactions to the scenarios normal, active and repeat: one code path.

A *like* is a customer buying, within `like_days` days beginning with the recommended day, a product that was sold on
the recommended day. Every round one customer comes, all products of the scenario are on offer, and the whole row of
likes is the reward (full feedback). Customers, products and rounds are numbered by a hash (see `hashed`), for an order
by likes would give policies the answer; `published_rank` of items.parquet keeps it, for the published metrics alone.
Contexts, sequences and product features come from what happened before the cut alone. Of a product on offer two more
things are known, for the offer says them: what stands in the products table, and, of a product never sold before the
cut, which streamers sell it on the recommended day (not to whom, nor how much).

* normal: every customer with at least one like x every product of the recommended day, one round a customer.
* active: the customers and the products with the most likes, each counted over all of them; one round a customer. A
  customer's likes may all be of other products: then the row is empty.
* repeat: products with many likes and customers who like exactly `likes_each` of them; each customer comes `repeats`
  times. If too few customers do, products are exchanged for others among the 200 most liked, one at a time, each time
  the one that brings most such customers; then, for as long as it helps, the one that evens out how many like each
  product, with the customers chosen likewise: where everyone likes the same products there is no taste to learn. Rows
  come out exact; the provenance lists the likes of each product.

What is known of customers and products beyond context and features is kept too, see `purchases.known`. The streamer of
a product is the one that sold most of it before the cut; a new one has equal shares of those who sell it on the day.
All this is the state at the cut: in repeat, too, it stays as it is while the customers come back.

Ties are broken by id, so a build is reproducible.
"""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lersbench.bounds import Size
from lersbench.datasets.hashed import hashed_order
from lersbench.datasets.options import LogOptions, ShopOptions
from lersbench.datasets.purchases import explained
from lersbench.datasets.purchases.history import History, codes, days
from lersbench.datasets.purchases.known import Known, all_known, item_features, items_table, users_table
from lersbench.datasets.purchases.tables import Tables
from lersbench.datasets.purchases.text import text_vectors
from lersbench.datasets.reduce import reduce
from lersbench.errors import ConfigError, DataError
from lersbench.log import Log, write

PUBLISHED = {  # customers, products, rounds, likes, density: the thesis doi 10.6814/NCCU202201098
    "normal": {"customers": 2602, "products": 1023, "rounds": 2602, "likes": 12265, "density": 0.0046},
    "active": {"customers": 1000, "products": 200, "rounds": 1000, "likes": 6652, "density": 0.033},
    "repeat": {"customers": 10, "products": 10, "rounds": 100, "likes": 50, "density": 0.5},
}
POOL = 200  # most liked products among which repeat looks
CHUNK_BYTES = 16 << 20


class Selection(NamedTuple):
    """What a scenario takes: codes of customers (n,) and products (k,), and their likes (n, k) bool.

    As the study has them, most likes first, until `_mixed` numbers them anew.
    """

    customers: np.ndarray
    products: np.ndarray
    likes: np.ndarray
    all_there_are: list[str]  # of "customers", "products": what came out below the published number


def build(
    tables: Tables,
    out: str | Path,
    *,
    name: str = "transactions",
    licence: str = "",
    attribution: str = "",
    overwrite: bool = False,
    **values: Any,
) -> Log:
    """Write the log of a scenario; `values` are those of `ShopOptions`. `overwrite` replaces a log that is at `out`.

    Raises ConfigError for options that contradict each other, DataError where the tables cannot fill the scenario.
    """
    about = LogOptions(name=name, licence=licence, attribution=attribution, overwrite=overwrite)
    return scenario_log(tables, out, ShopOptions(**values), about)


def scenario_log(tables: Tables, out: str | Path, options: ShopOptions, about: LogOptions) -> Log:
    """The same of options that are checked already."""
    scenario, cut, like_days = options.scenario, options.cut, options.like_days
    day = cut if options.day is None else options.day
    cut_time, first = as_date("cut", cut), as_date("day", day)
    if first < cut_time:
        raise ConfigError(f"The recommended day {day} lies before the cut {cut}: the context would know the answer.")
    tables, left_out = purchases(tables)
    if not (tables.transactions["time"] < cut_time).any():
        raise DataError(f"No purchase lies before the cut {cut}; {_span(tables)}.")
    history = History(tables, cut_time)
    pairs, on_sale = likes(tables, history, first, like_days)
    chosen, rank = _mixed(history, _select(options, pairs, on_sale))
    x, x_share = reduce(history.customer_features(), history.seen("customer"), options.context)
    sold = history.seen("product")
    z, z_share = item_features(history.own_features(), history.product_features(), sold, options.item_features)
    words = text_vectors(history.catalogue, sold, options.text, options.text_model, options.text_path)
    sellers = _streamers_of(tables, history, first)
    known = all_known(history, chosen.customers, chosen.products, sellers, words, like_days)
    popular = np.bincount(pairs[:, 1], minlength=len(history.products))[on_sale]
    visits = options.repeats if scenario == "repeat" else 1
    provenance = {
        **tables.facts,
        "scenario": scenario,
        "cut": cut,
        "day": day,
        "like_days": like_days,
        "like_days_covered": min(
            like_days, int(days(tables.transactions["time"]).max() - days(pd.Series([first]))[0] + 1)
        ),
        **left_out,
        **_came_out_as(chosen, visits),
        "customers_without_a_past": int((~history.seen("customer")[chosen.customers]).sum()),
        "products_without_a_past": int((~sold[chosen.products]).sum()),
        "published": PUBLISHED[scenario],
        "likes_explained": explained.shares(popular, {name: part[on_sale] for name, part in known.sides.items()}),
        "context_variance_kept": round(x_share, 4),
        "item_variance_kept": round(z_share, 4),
        **known.facts(history),
    }
    return write(
        out,
        _rounds(chosen, x[chosen.customers], visits),
        name=f"{about.name}-{scenario}",
        items=_items(history, chosen, rank, z, known),
        users=users_table(history, chosen.customers, x, known),
        licence=about.licence,
        attribution=about.attribution,
        provenance=provenance,
        overwrite=about.overwrite,
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
    """What the scenario of a log came out as, beside the published figures; "" for a log that is no such scenario.

    Below it, how the world came out beside what it is calibrated to, where it is a simulated one.
    """
    facts = log.info.provenance
    if "published" not in facts:
        return ""
    label = max(10, *map(len, facts["published"]))
    rows = [f"{'':<{label}} {'here':>10} {'published':>10}"]
    for key, published in facts["published"].items():
        form = ".2%" if key == "density" else ","
        note = "  (all there are)" if key in facts.get("all_there_are", ()) else ""
        rows.append(f"{key:<{label}} {format(facts[key], form):>10} {format(published, form):>10}{note}")
    if "customers_without_a_past" in facts:
        rows.append(f"\n{_past_in_words(facts)}")
    calibrated = facts.get("calibration", [])
    wide = max((len(row["what"]) for row in calibrated), default=0)
    if calibrated:
        rows += ["", f"{'':<{wide}} {'here':>12} {'published':>12}"]
    rows += [f"{row['what']:<{wide}} {row['here']:>12,} {row['published']:>12,}" for row in calibrated]
    return "\n".join(rows)


def _past_in_words(facts: dict[str, Any]) -> str:
    """What is known of the past, what of it is missing, and what was left out of the lines."""
    said = [
        f"Known before {facts['cut']}, and not updated while customers come"
        f"{' back' if facts['scenario'] == 'repeat' else ''}: of {facts['customers_without_a_past']:,} of the "
        f"{facts['customers']:,} customers and {facts['products_without_a_past']:,} of the {facts['products']:,} "
        "products, no purchase.",
        f"Left out: {facts['returns_dropped']:,} returns and {facts['empty_lines_dropped']:,} lines of quantity 0; "
        f"{facts['free_goods']:,} free goods count as purchases.",
    ]
    if facts["likes_explained"]:
        line = ", ".join(f"{name} {share:.2f}" for name, share in facts["likes_explained"].items())
        said.append(f"Share of log likes that is known from products (cross-validated R^2): {line}.")
        real = facts.get("likes_explained_on_real_purchases")
        if real:
            line = ", ".join(f"{name} {share:.2f}" for name, share in real.items())
            said.append(
                f"The same on real purchases (completejourney, normal): {line}; there most products were sold before, "
                "and numbers include past popularity."
            )
    return "\n".join(said)


def as_date(option: str, text: str) -> pd.Timestamp:
    """The beginning of the day that an option names; ConfigError where it names none."""
    try:
        return pd.Timestamp(datetime.date.fromisoformat(text))
    except ValueError as error:
        raise ConfigError(f"option {option} = {text!r} is no date; write it as 2017-07-01.") from error


def _span(tables: Tables) -> str:
    times = tables.transactions["time"]
    return f"the transactions span {times.min():%Y-%m-%d} to {times.max():%Y-%m-%d}"


def purchases(tables: Tables) -> tuple[Tables, dict[str, int]]:
    """The tables with purchases alone, and how many lines are what: returns (a negative quantity or amount) and empty
    lines (quantity 0) are left out, free goods (amount 0) are purchases like others."""
    table = tables.transactions
    returned = (table["quantity"] < 0) | (table["amount"] < 0)
    empty = (table["quantity"] == 0) & ~returned
    taken = ~returned & ~empty
    if not taken.any():
        raise DataError("No transaction has a quantity above 0 and an amount of 0 or more: there are only returns.")
    counts = {
        "returns_dropped": int(returned.sum()),
        "empty_lines_dropped": int(empty.sum()),
        "free_goods": int((taken & (table["amount"] == 0)).sum()),
    }
    return dataclasses.replace(tables, transactions=table[taken]), counts


def _select(options: ShopOptions, pairs: np.ndarray, on_sale: np.ndarray) -> Selection:
    """The customers and products of a scenario from the likes and the products on sale, see `likes`."""
    scenario, customers, products = options.scenario, options.customers, options.products
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
    if len(who) < n or len(popular) < k:
        sizes = f"--customers {min(n, len(who))} --products {min(k, len(popular))}"
        raise DataError(
            f"{scenario} wants {n} customers x {k} products, but {len(who)} customers liked any of "
            f"{len(popular)} products: ask for {sizes} (in a scenario data.customers, data.products), "
            f"or widen like_days = {options.like_days}."
        )
    if scenario == "active":
        chosen = Selection(who[:n], popular[:k], _matrix(pairs, who[:n], popular[:k]), [])
    else:
        if options.likes_each > k:
            raise ConfigError(f"likes_each = {options.likes_each} is more than the {k} products of repeat; lower it.")
        liked, pool = _matrix(pairs, who, popular[:POOL]), popular[:POOL]
        least = 1 if customers is None else n
        chosen = _exact_rows(liked, who, pool, n, k, options.likes_each, options.like_days, least)
    asked = {"customers": customers, "products": products}
    came = {"customers": len(chosen.customers), "products": len(chosen.products)}
    return chosen._replace(all_there_are=[key for key in came if asked[key] is None and came[key] < published[key]])


def _mixed(history: History, chosen: Selection) -> tuple[Selection, np.ndarray]:
    """The selection with its customers and products in the order of a hash of their ids, and the place (k,) that each
    product had before."""
    row = hashed_order(history.customers[chosen.customers], "customer")
    rank = hashed_order(history.products[chosen.products], "product")
    mixed = chosen._replace(
        customers=chosen.customers[row], products=chosen.products[rank], likes=chosen.likes[np.ix_(row, rank)]
    )
    return mixed, rank


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
    columns, rows = _evened(liked, columns, n, each)
    return Selection(who[rows], pool[columns], liked[np.ix_(rows, columns)], [])


def _evened(liked: np.ndarray, columns: np.ndarray, n: int, each: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns (k,) and rows, at most n, both ascending, after exchanging columns while that evens the products' likes.

    Many rows are easily exact where half of the products please everyone: then there would be no taste to learn.
    """
    rows, unevenness = _even_rows(liked[:, columns], n, each)
    while True:
        best = unevenness, -1, -1
        for i, j in itertools.product(range(len(columns)), np.setdiff1d(np.arange(liked.shape[1]), columns)):
            spread = _even_rows(liked[:, np.r_[columns[:i], j, columns[i + 1 :]]], n, each)[1]
            best = min(best, (spread, i, int(j)))
        if best[0] >= unevenness:
            return np.sort(columns), np.sort(rows)  # the pool is in order of decreasing likes
        columns[best[1]] = best[2]
        rows, unevenness = _even_rows(liked[:, columns], n, each)


def _even_rows(liked: np.ndarray, n: int, each: int) -> tuple[np.ndarray, float]:
    """Up to n rows of `liked` (rows, k) with exactly `each` likes, chosen one by one so that the sum of the squared
    likes of the columns stays least; that sum, infinite where there are fewer than n such rows."""
    exact = np.flatnonzero(liked.sum(1) == each)
    if len(exact) <= n:
        return exact, math.inf if len(exact) < n else float((liked[exact].sum(0) ** 2).sum())
    left, total, chosen = liked[exact].astype(float), np.zeros(liked.shape[1]), list[int]()
    for _ in range(n):
        cost = left @ total  # (total + row)^2 = total^2 + 2 row total + each: only this differs
        cost[chosen] = math.inf
        chosen.append(int(cost.argmin()))
        total += left[chosen[-1]]
    return exact[chosen], float((total**2).sum())


def size(
    *, scenario: str, customers: int | None, products: int | None, repeats: int, context: int, **_: Any
) -> Size | None:
    """How large the log of these options is, where they alone decide it: those of repeat."""
    if scenario != "repeat":
        return None
    rounds, wide = (customers or 10) * repeats, products or 10
    return Size(rounds, wide, wide, context, rounds * (8 * (1 + context) + 4 * wide))


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
    user = user[hashed_order(range(len(user)), "round")]
    rows = max(1, CHUNK_BYTES // (8 * (context.shape[1] + chosen.likes.shape[1])))
    for start in range(0, len(user), rows):
        who = user[start : start + rows]
        chunk: dict[str, np.ndarray] = {"user": who, "rewards": chosen.likes[who].astype(np.float32)}
        if context.shape[1]:
            chunk["context"] = context[who]
        yield chunk


def _streamers_of(tables: Tables, history: History, day: pd.Timestamp) -> np.ndarray:
    """(n_products, streamers) the streamer of each product; equal shares of several, 0 where there is none."""
    table = tables.transactions
    offers = table.loc[days(table["time"]) == days(pd.Series([day]))[0], ["product", "seller"]]
    streamer, product = history.streamer_of(offers["seller"]), codes(history.products, offers["product"])
    new = (history.home[product] < 0) & (streamer >= 0)
    shares = np.zeros((len(history.products), len(history.streamers)))
    shares[product[new], streamer[new]] = 1  # once, however much was sold
    sold = np.flatnonzero(history.home >= 0)
    shares[sold, history.home[sold]] = 1
    return shares / np.maximum(shares.sum(axis=1, keepdims=True), 1)


def _items(history: History, chosen: Selection, rank: np.ndarray, features: np.ndarray, known: Known) -> pd.DataFrame:
    table = items_table(history, chosen.products, features, known)
    table.insert(2, "likes", chosen.likes.sum(axis=0))  # the answer: for display, never a feature
    table.insert(3, "published_rank", rank)  # the place by likes: as good as the answer
    return table
