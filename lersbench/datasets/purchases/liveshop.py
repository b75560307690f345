"""A simulated live-shopping platform: seven streamers, 426 days of sessions, and everything that customers bought.

**Customers** come at some day (many were there before the first), stay for a time and order at a rate of their own;
most order now and then, a third regularly. Each has a home streamer, now and then buys from another, and after some
months may move to a new home: the next streamer is mostly, not always, the last. A main department, one that the home
is strong in, and three favourite categories draw them. The department lasts; the categories, most of them in it, change
with the months. And every pair of customer and product has a lasting charm, strong or weak.

**Products** roll out in a live session of their streamer, sell mostly that day by a popularity of wide spread, and
vanish; some are shown again within half a year, to less interest. What a customer takes of a session's products is
drawn by popularity x liking. A product taken twice within an order is one line of quantity 2.

**The live day** that is recommended for, 2021-11-02, has the size that was published from scale 0.1 up; at smaller
scales it shrinks in proportion. At scale 0.1 it is thus about eight times as busy as the days around it; at scale 1 it
is a day like others.

Everything is drawn from `seed`, each purpose and each block of orders from a stream of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from lersbench.datasets.purchases import livewords as words

START = np.datetime64("2021-03-01")
DAYS = 426  # to 2022-04-30
CUT = 245  # 2021-11-01
LIVE_DAY = 246  # 2021-11-02, counted from START
STREAMERS = pd.DataFrame(
    {
        "streamer": range(7),
        "name": ["Mia", "Joanna", "Big Chen", "Sunny", "Auntie Lin", "Kai", "Vivi"],
        "lines": [2_514_491, 1_414_138, 1_114_931, 170_198, 167_510, 155_526, 42_634],  # as published
        "followers": [412_000, 268_000, 305_000, 54_000, 61_000, 38_000, 17_000],
        "age": [34, 29, 41, 26, 52, 31, 23],
        "years_live": [5.5, 4.0, 6.0, 2.5, 3.5, 2.0, 0.5],
        "start_hour": [19.0, 20.0, 18.5, 14.0, 10.0, 21.0, 12.5],
        "hours": [3.0, 2.5, 3.0, 2.0, 2.5, 2.0, 1.5],
    }
)
SHARES = (STREAMERS["lines"] / STREAMERS["lines"].sum()).to_numpy()

# Customers. Rates are in orders a day; the six numbers were fitted to how many customers have 6, 11, 16 orders before
# the cut and how many days their last 5, 10, 15 span.
CROWD = 347_000  # who might order, at scale 1; 40 % of them do before the cut
CASUAL, CASUAL_RATE, REGULAR_RATE, REGULAR_SHAPE = 0.631, 0.0041, 0.0388, 0.79
ALREADY_THERE, STAY = 0.563, 416.0  # share there before the first day; mean stay in days
SEASON = (1, 1, 1, 1, 1, 1, 1, 1, 0.85, 0.80, 0.76, 0.70, 0.74, 0.74)  # trade of the 14 months
LIVE_CUSTOMERS, SECOND_ORDER = 2010, 0.27  # who order on the live day; the share of them who order twice
FULL_LIVE_DAY = 0.1  # the scale from which the live day has its published size
AWAY = (0.6, 13.5)  # Beta: the share of a customer's orders that are from any streamer
STEADY = 0.7  # share of customers who never move
TASTES, EPOCHS, EPOCH_DAYS = 3, 4, 150
MAIN = 0.95  # how often a taste lies in the customer's main department
TALK = (6.0, 1.0)  # Beta: how readily a customer comments
AWAY_TALK = 0.06  # ... with a streamer that is not the home
WATCHING = 0.3  # comments without a purchase, for each order

# Products
PRODUCTS = 286_000  # new ones at scale 1; some are never sold
SHOWN_AGAIN = 0.3  # how often, on average, a product is shown again
AGAIN_DAYS = 7, 184
INTEREST_AGAIN = 0.12  # popularity of a product that is shown again
LIVE_NEW, LIVE_AGAIN = 930, 450  # shown on the live day
SPREAD, MOST_POPULAR = 2.1, 2.6  # of the log popularity; its end, in standard deviations
# Share of the log popularity's variance that department, category and price have. Texts give an R^2 of .15 of the log
# likes on real purchases; on `normal` of this platform it is -.04 at 0, .09 at 0.6, .12 at 0.7 and 0.75, .20 at 0.8.
EXPLAINED = 0.7
APPEAL = (0.6, 0.7, 0.4)  # weights of the three
DEPARTMENT_SPREAD, CATEGORY_SPREAD = 1.5, 0.6  # of the logs of their shares, from streamer to streamer
SMALLEST_SESSION, LONGEST_BREAK = 24, 14  # new products; days between sessions
LIKING = np.array([0.005, 0.6, 1.0])  # of a product in none of the tastes' departments, in one, in a favourite category
CHARMED, UNCHARMED = 0.35, 0.6  # share of pairs with strong charm; charm of the others

# Baskets
BASKET, BASKET_SHAPE, BASKET_SPREAD = 3.95, 4.0, 0.8  # mean beyond the first; gamma shape; spread of customers' logs
ATTEMPTS = 64  # to find a product that is liked
SECOND_THOUGHTS = 3  # about what is in the order already; then as often anything new in the session
BUY_AGAIN = 0.6  # share of the buyers who order in a later session with their product and take it again
BLOCK = 100_000  # orders

DEPARTMENTS = list(words.DEPARTMENTS)
CATEGORIES = [name for _, names, _ in words.DEPARTMENTS.values() for name in names.split("|")]
EACH = len(CATEGORIES) // len(DEPARTMENTS)  # categories of a department


class Crowd(NamedTuple):
    """n customers, in order of expected trade."""

    rate: np.ndarray  # (n,) orders a day while there
    first: np.ndarray  # (n,) day of coming
    last: np.ndarray  # (n,) day of going, at most DAYS
    home: np.ndarray  # (n, EPOCHS) int8 streamer
    away: np.ndarray  # (n,) share of orders from any streamer
    taste: np.ndarray  # (n, TASTES, EPOCHS) int16 category
    shift: np.ndarray  # (n, 1 + TASTES) days by which the epochs of home and tastes are shifted, negative: never change
    talk: np.ndarray  # (n,)
    basket: np.ndarray  # (n,) mean number of products beyond the first
    city: np.ndarray  # (n,) int8
    payment: np.ndarray  # (n,) int8, the preferred one
    shipping: np.ndarray  # (n,) int8, likewise

    def epoch(self, who: np.ndarray, day: np.ndarray, trait: int) -> np.ndarray:
        """Which of its EPOCHS the home (trait 0) or a taste (1, 2, 3) of customers `who` is in on their `day`."""
        shift = self.shift[who, trait]
        return np.where(shift < 0, 0, (day + shift) // EPOCH_DAYS)


class Offers(NamedTuple):
    """What is shown in the sessions, session by session."""

    product: np.ndarray  # (m,)
    reach: np.ndarray  # (m + 1,) popularity summed up
    begin: np.ndarray  # (7 * DAYS + 1,) where session streamer * DAYS + day begins; empty on days without one
    again: np.ndarray  # (7 * DAYS,) where, within it, the new products end and those shown again begin


class Goods(NamedTuple):
    """n products in order of their first session."""

    streamer: np.ndarray  # (n,) int8
    first: np.ndarray  # (n,) int16 day
    category: np.ndarray  # (n,) int16
    popularity: np.ndarray  # (n,) above 0
    price: np.ndarray  # (n,) float32 TWD


class Orders(NamedTuple):
    """n orders in order of time."""

    customer: np.ndarray  # (n,) int32
    streamer: np.ndarray  # (n,) int8
    day: np.ndarray  # (n,) int16
    second: np.ndarray  # (n,) int32 of the day


class LiveShop(NamedTuple):
    """The finished shop; customers without an order and products never sold are left out.

    transactions: customer, product, seller (streamer), order, time, amount, quantity, payment, shipping: by time.
    products: product, name, category, department, brand, price, weight. customers: customer, city. comments: customer,
    time, streamer, video: by time. streamers: see `streamer_table`.
    """

    transactions: pd.DataFrame
    products: pd.DataFrame
    customers: pd.DataFrame
    comments: pd.DataFrame
    streamers: pd.DataFrame


class Platform(NamedTuple):
    """Who could buy what, and who came: the world, before anything is bought."""

    crowd: Crowd
    goods: Goods
    orders: Orders
    offers: Offers
    pause: np.ndarray  # (7,) see `_pauses`


def simulate(scale: float = 0.1, seed: int = 0, explained: float = EXPLAINED) -> LiveShop:
    """The shop at `scale` in (0, 1] of the published 5.58 million order lines; `explained`: see `_explained`."""
    return sold(platform(scale, seed, explained), scale, seed)


def platform(scale: float, seed: int, explained: float) -> Platform:
    """The world of `simulate`."""
    live, pause = _live(scale), _pauses(scale)
    profile = _profile(np.random.default_rng([seed, 9]))
    crowd = _crowd(np.random.default_rng([seed, 0]), round(CROWD * scale), profile)
    orders = _orders(np.random.default_rng([seed, 1]), crowd, pause, live)
    goods = _goods(np.random.default_rng([seed, 2]), scale, pause, live, profile)
    goods = _explained(np.random.default_rng([seed, 10]), goods, explained)
    return Platform(crowd, goods, orders, _offers(np.random.default_rng([seed, 3]), goods, pause, live), pause)


def sold(world: Platform, scale: float, seed: int) -> LiveShop:
    """What is bought and said on the platform; `scale` and `seed` are its own."""
    crowd, goods, orders, offers, pause = world
    lines = pd.concat(list(_baskets(seed, crowd, orders, goods, offers)), ignore_index=True)
    again = _bought_again(np.random.default_rng([seed, 8]), lines, orders, goods, offers)
    lines = pd.concat([lines, again]).drop_duplicates(["order", "product"]).sort_values(["order", "product"])
    lines = lines.reset_index(drop=True)
    comments = _comments(np.random.default_rng([seed, 4]), crowd, orders, pause)
    methods = np.random.default_rng([seed, 5])
    for name, levels in (("payment", words.PAYMENTS), ("shipping", words.SHIPPINGS)):
        lines[name] = _methods(methods, levels, getattr(crowd, name)[orders.customer])[lines["order"].to_numpy()]
    products, buyers = np.unique(lines["product"]), np.unique(orders.customer)
    return LiveShop(
        lines,
        _catalogue(np.random.default_rng([seed, 6]), goods, products),
        _customers(crowd, buyers),
        comments,
        streamer_table(scale),
    )


def streamer_table(scale: float = 1.0) -> pd.DataFrame:
    """What is known of the streamers beforehand: streamer (number), name, followers, age, years_live, start_hour and
    hours of a session, sessions_a_week (fewer at smaller scales: a session needs products)."""
    return STREAMERS.drop(columns="lines").assign(sessions_a_week=7 / _pauses(scale))


# --- customers -----------------------------------------------------------------------------------------------------


def _crowd(rng: np.random.Generator, n: int, profile: np.ndarray) -> Crowd:
    regular = rng.random(n) >= CASUAL
    mean, shape = np.where(regular, REGULAR_RATE, CASUAL_RATE), np.where(regular, REGULAR_SHAPE, 1.0)
    rate = rng.gamma(shape, mean / shape)
    first = np.where(rng.random(n) < ALREADY_THERE, 0.0, rng.random(n) * DAYS)
    last = np.minimum(first + rng.exponential(STAY, n), DAYS)
    order = np.argsort(-rate * (last - first), kind="stable")
    shift = rng.integers(EPOCH_DAYS, size=(n, 1 + TASTES))
    shift[rng.random(n) < STEADY, 0] = -1
    home = np.column_stack([_stratified(rng, n, SHARES) for _ in range(EPOCHS)])
    return Crowd(
        rate[order],
        first[order],
        last[order],
        home,
        rng.beta(*AWAY, n),
        _tastes(rng, home[:, 0], profile),
        shift,
        rng.beta(*TALK, n),
        BASKET * np.exp(BASKET_SPREAD * rng.standard_normal(n) - BASKET_SPREAD**2 / 2),
        _pick(rng, words.CITIES, n),
        _pick(rng, words.PAYMENTS, n),
        _pick(rng, words.SHIPPINGS, n),
    )


def _tastes(rng: np.random.Generator, home: np.ndarray, profile: np.ndarray) -> np.ndarray:
    """(n, TASTES, EPOCHS) int16 categories: most of the main department, which is one that the home is strong in."""
    anywhere = rng.integers(len(CATEGORIES), size=(len(home), TASTES, EPOCHS), dtype=np.int16)
    main = _category(rng, home, profile) // EACH
    inside = main[:, None, None] * EACH + rng.integers(EACH, size=anywhere.shape, dtype=np.int16)
    return np.where(rng.random(anywhere.shape) < MAIN, inside, anywhere)


def _stratified(rng: np.random.Generator, n: int, shares: np.ndarray, group: int = 64) -> np.ndarray:
    """(n,) int8 drawn by `shares`, evenly within each run of `group`: a few busy customers do not tip the scales."""
    strata = np.argsort(rng.random((-(-n // group), group)), axis=1).ravel()[:n]
    return _inverse(shares, (strata + rng.random(n)) / group)


def _inverse(shares: np.ndarray, u: np.ndarray) -> np.ndarray:
    """The number (int8) drawn by `shares` that belongs to each uniform u."""
    return np.searchsorted(np.cumsum(shares)[:-1], u, side="right").astype(np.int8)


def _pick(rng: np.random.Generator, weights: Mapping[str, float], n: int) -> np.ndarray:
    values = np.array(list(weights.values()), float)
    return _inverse(values / values.sum(), rng.random(n))


def _methods(rng: np.random.Generator, levels: Mapping[str, float], preferred: np.ndarray) -> pd.Categorical[str]:
    """How orders were paid or sent: mostly as preferred."""
    other = _pick(rng, levels, len(preferred))
    return _labels(np.where(rng.random(len(preferred)) < 0.85, preferred, other), levels)


def _labels(codes: np.ndarray, names: Iterable[str]) -> pd.Categorical[str]:
    return pd.Categorical.from_codes(codes, pd.Index(list(names)))


def _customers(crowd: Crowd, buyers: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"customer": buyers, "city": _labels(crowd.city[buyers], words.CITIES)})


# --- sessions and orders -------------------------------------------------------------------------------------------


def _pauses(scale: float) -> np.ndarray:
    """(7,) days from one session of a streamer to the next: the fewest that bring enough new products together."""
    a_day = _new_a_day(scale)
    return np.clip(np.ceil(SMALLEST_SESSION / a_day), 1, LONGEST_BREAK).astype(np.int64)


def _new_a_day(scale: float) -> np.ndarray:
    """(7,) new products a day of each streamer, apart from those of the live day."""
    return (PRODUCTS * scale - LIVE_NEW * _live(scale)) / (DAYS - 1) * SHARES


def _live(scale: float) -> float:
    """The size of the live day: 1 as published."""
    return min(1.0, scale / FULL_LIVE_DAY)


def _session(day: np.ndarray, pause: np.ndarray) -> np.ndarray:
    """The day of the next session from `day` on where sessions are `pause` days apart and one is on the live day; the
    last session where no other follows."""
    ahead = day + (LIVE_DAY - day) % pause
    return np.where(ahead < DAYS, ahead, ahead - pause)


def _orders(rng: np.random.Generator, crowd: Crowd, pause: np.ndarray, live: float) -> Orders:
    who = np.repeat(np.arange(len(crowd.rate)), rng.poisson(crowd.rate * (crowd.last - crowd.first)))
    day = (crowd.first[who] + rng.random(len(who)) * (crowd.last - crowd.first)[who]).astype(np.int64)
    months = START.astype("datetime64[M]") + np.arange(len(SEASON) + 1)
    month = np.searchsorted((months - START).astype(np.int64), np.arange(DAYS), side="right") - 1
    kept = rng.random(len(who)) < np.array(SEASON)[month][day]
    who, day = who[kept], day[kept]
    streamer = came_for(rng, crowd, who, day)
    day = _session(day, pause[streamer])
    others = day != LIVE_DAY
    guests = _guests(rng, crowd, round(LIVE_CUSTOMERS * live))
    who, day = np.append(who[others], guests), np.append(day[others], np.full(len(guests), LIVE_DAY))
    streamer = np.append(streamer[others], came_for(rng, crowd, guests, day[-len(guests) :]))
    second = second_of_day(rng, streamer)
    order = np.lexsort((who, second, day))
    return Orders(who.astype(np.int32)[order], streamer[order], day.astype(np.int16)[order], second[order])


def _guests(rng: np.random.Generator, crowd: Crowd, n: int) -> np.ndarray:
    """Who orders on the live day, once for each order: n different customers of those there, drawn by their rates."""
    there = np.flatnonzero((crowd.first <= LIVE_DAY) & (crowd.last > LIVE_DAY))
    chosen = drawn_by_rate(rng, crowd, there, n)
    return np.append(chosen, chosen[rng.random(len(chosen)) < SECOND_ORDER])


def drawn_by_rate(rng: np.random.Generator, crowd: Crowd, among: np.ndarray, n: int) -> np.ndarray:
    """(n,) different customers of those `among`, drawn by their rates; all of them where they are fewer."""
    waiting = rng.exponential(1 / crowd.rate[among])  # the n smallest: drawing one after the other, without repetition
    return among[np.argsort(waiting)[:n]]


def second_of_day(rng: np.random.Generator, streamer: np.ndarray) -> np.ndarray:
    """(n,) int32: when, within the session of each `streamer` (n,), a customer orders."""
    table = STREAMERS.iloc[streamer]
    return (3600 * (table["start_hour"] + table["hours"] * rng.beta(1.5, 2, len(streamer)))).to_numpy(np.int32)


def came_for(rng: np.random.Generator, crowd: Crowd, who: np.ndarray, day: np.ndarray) -> np.ndarray:
    """(n,) int8: the streamer that each customer of `who` (n,) comes for on a `day` (n,)."""
    home = crowd.home[who, crowd.epoch(who, day, 0)]
    return np.where(rng.random(len(who)) < crowd.away[who], _inverse(SHARES, rng.random(len(who))), home)


def _comments(rng: np.random.Generator, crowd: Crowd, orders: Orders, pause: np.ndarray) -> pd.DataFrame:
    """Comments of buyers in their session, and of some of them while only watching the streamer's next one."""
    home = crowd.home[orders.customer, crowd.epoch(orders.customer, orders.day, 0)] == orders.streamer
    talks = rng.random(len(home)) < crowd.talk[orders.customer] * np.where(home, 1.0, AWAY_TALK)
    watches = rng.random(len(home)) < WATCHING
    later = orders.day + pause[orders.streamer]
    watches &= later < DAYS
    who, streamer = (np.append(x[talks], x[watches]) for x in (orders.customer, orders.streamer))
    day = np.append(orders.day[talks], later[watches])
    table = STREAMERS.iloc[streamer]
    second = (3600 * (table["start_hour"] - 0.5 + (table["hours"] + 0.5) * rng.random(len(who)))).to_numpy(np.int64)
    video = np.unique(day * len(SHARES) + streamer, return_inverse=True)[1].astype(np.int32)
    comments = pd.DataFrame({"customer": who, "time": _time(day, second), "streamer": streamer, "video": video})
    return comments.sort_values(["time", "customer"], ignore_index=True)


def _time(day: np.ndarray, second: np.ndarray) -> np.ndarray:
    return START.astype("datetime64[s]") + (day.astype(np.int64) * 86_400 + second)


# --- products ------------------------------------------------------------------------------------------------------


def _profile(rng: np.random.Generator) -> np.ndarray:
    """(7, 280) the shares of the categories in what each streamer sells."""
    department = np.exp(DEPARTMENT_SPREAD * rng.standard_normal((len(SHARES), len(DEPARTMENTS))))
    category = np.exp(CATEGORY_SPREAD * rng.standard_normal((len(SHARES), len(CATEGORIES))))
    profile = np.repeat(department, EACH, axis=1) * category
    return profile / profile.sum(axis=1, keepdims=True)


def _category(rng: np.random.Generator, streamer: np.ndarray, profile: np.ndarray) -> np.ndarray:
    """(n,) int16: a category of each `streamer` (n,), drawn by its profile."""
    reach = np.cumsum(profile, axis=1) + np.arange(len(profile))[:, None]
    place = np.searchsorted(reach.ravel(), streamer + rng.random(len(streamer)), side="right")
    inside = np.clip(place - streamer.astype(np.int64) * profile.shape[1], 0, profile.shape[1] - 1)  # against rounding
    return inside.astype(np.int16)


def _goods(rng: np.random.Generator, scale: float, pause: np.ndarray, live: float, profile: np.ndarray) -> Goods:
    new = np.zeros((DAYS, len(SHARES)), np.int64)
    for who, a_day in enumerate(_new_a_day(scale)):
        days = np.arange(LIVE_DAY % pause[who], DAYS, pause[who])
        mean = max(SMALLEST_SESSION, a_day * pause[who])
        new[days, who] = np.floor(mean + rng.random(len(days)))
    new[LIVE_DAY] = _apportioned(LIVE_NEW * live)
    first = np.repeat(np.arange(DAYS, dtype=np.int16), new.sum(axis=1))
    streamer = np.repeat(np.tile(np.arange(len(SHARES), dtype=np.int8), DAYS), new.ravel())
    n = len(first)
    category = _category(rng, streamer, profile)
    middle = np.array([price for price, _, _ in words.DEPARTMENTS.values()])[category // EACH]
    factor = np.exp(0.35 * rng.standard_normal(len(CATEGORIES)))[category]
    price = np.maximum(np.round(middle * factor * np.exp(0.3 * rng.standard_normal(n)), -1), 10) - 1
    return Goods(streamer, first, category, rng.standard_normal(n), price.astype(np.float32))


def _explained(rng: np.random.Generator, goods: Goods, share: float) -> Goods:
    """The goods with their popularity, of whose log a `share` in [0, 1] is that of department, category and price; the
    rest is the product's own, until here standard normal. Names say the category, so texts say it too.

    A streamer has no part of its own: customers choose among the products of one session.
    """
    category = goods.category.astype(np.int64)
    department = rng.standard_normal(len(DEPARTMENTS))[category // EACH]
    cheap = -np.log1p(goods.price.astype(float))
    parts = department, rng.standard_normal(len(CATEGORIES))[category], cheap
    appeal = sum(weight * (part - part.mean()) / part.std() for weight, part in zip(APPEAL, parts, strict=True))
    z = np.sqrt(share) * appeal / appeal.std() + np.sqrt(1 - share) * goods.popularity
    return goods._replace(popularity=np.exp(SPREAD * np.minimum(z, MOST_POPULAR)))


def _apportioned(total: float) -> np.ndarray:
    """(7,) `total` products, by the streamers' shares; at least two each."""
    return np.maximum(np.round(total * SHARES), 2).astype(np.int64)


def _offers(rng: np.random.Generator, goods: Goods, pause: np.ndarray, live: float) -> Offers:
    n = len(goods.first)
    again = np.repeat(np.arange(n), rng.geometric(1 / (1 + SHOWN_AGAIN), n) - 1)
    day = goods.first[again] + rng.integers(AGAIN_DAYS[0], AGAIN_DAYS[1], len(again))
    inside = day < DAYS
    again, day = again[inside], _session(day[inside], pause[goods.streamer[again[inside]]])
    usual = day != LIVE_DAY
    old = _leftovers(rng, goods, _apportioned(LIVE_AGAIN * live))
    again, day = np.append(again[usual], old), np.append(day[usual], np.full(len(old), LIVE_DAY))
    again, day = np.divmod(np.unique(again * DAYS + day), DAYS)
    product = np.append(np.arange(n), again)
    session = goods.streamer[product].astype(np.int64) * DAYS + np.append(goods.first, day)
    popularity = goods.popularity[product] * np.repeat([1.0, INTEREST_AGAIN], [n, len(again)])
    order = np.argsort(session, kind="stable")
    begin = np.searchsorted(session[order], np.arange(len(SHARES) * DAYS + 1))
    new = np.bincount(session[:n], minlength=len(begin) - 1)  # a stable sort leaves them in front
    return Offers(product[order], np.append(0, np.cumsum(popularity[order])), begin, begin[:-1] + new)


def _leftovers(rng: np.random.Generator, goods: Goods, wanted: np.ndarray) -> np.ndarray:
    """Products of the half year before that each streamer shows again on the live day."""
    recent = (goods.first < LIVE_DAY) & (goods.first >= LIVE_DAY - AGAIN_DAYS[1])
    pools = [np.flatnonzero(recent & (goods.streamer == streamer)) for streamer in range(len(SHARES))]
    return np.concatenate([rng.permutation(pool)[:count] for pool, count in zip(pools, wanted, strict=True)])


def _catalogue(rng: np.random.Generator, goods: Goods, sold: np.ndarray) -> pd.DataFrame:
    category = goods.category[sold].astype(np.int64)
    department, n = category // EACH, len(sold)
    brands = np.arange(len(DEPARTMENTS) + 1) * len(words.BRANDS) // len(DEPARTMENTS)  # where those of each begin
    place = rng.random(n) ** 2  # the first of three or four has half of their products
    brand = brands[department] + np.floor(place * np.diff(brands)[department]).astype(np.int64)
    attributes = np.array([names.split("|") for _, _, names in words.DEPARTMENTS.values()], dtype=object)
    parts = (
        np.array(words.BRANDS, dtype=object)[brand],
        attributes[department, rng.integers(attributes.shape[1], size=n)],
        np.array(words.STYLES, dtype=object)[rng.integers(len(words.STYLES), size=n)],
        np.array(CATEGORIES, dtype=object)[category],
    )
    return pd.DataFrame(
        {
            "product": sold,
            "name": parts[0] + " " + parts[1] + " " + parts[2] + " " + parts[3],
            "category": _labels(category, CATEGORIES),
            "department": _labels(department, DEPARTMENTS),
            "brand": _labels(brand, words.BRANDS),
            "price": goods.price[sold],
            "weight": np.round(rng.gamma(2, 0.2, n).astype(np.float32), 2),
        }
    )


# --- baskets -------------------------------------------------------------------------------------------------------


def _baskets(seed: int, crowd: Crowd, orders: Orders, goods: Goods, offers: Offers) -> Iterator[pd.DataFrame]:
    """The order lines, a block of orders at a time."""
    for start in range(0, len(orders.day), BLOCK):
        rng = np.random.default_rng([seed, 7, start])
        block = Orders(*(values[start : start + BLOCK] for values in orders))
        size = 1 + rng.poisson(rng.gamma(BASKET_SHAPE, crowd.basket[block.customer] / BASKET_SHAPE))
        order = np.repeat(np.arange(len(size)), size)
        line, product = np.arange(len(order)), np.empty(len(order), np.int64)
        for thought in range(1 + 2 * SECOND_THOUGHTS):  # about what is in the order already; at last, anything else
            choose = _chosen if thought <= SECOND_THOUGHTS else _anything
            product[line] = choose(rng, crowd, block, goods, offers, order[line])
            key = order * len(goods.first) + product
            line = np.setdiff1d(np.arange(len(order)), np.unique(key, return_index=True)[1])
        key, quantity = np.unique(key, return_counts=True)
        order, product = np.divmod(key, len(goods.first))
        yield _order_lines(orders, goods, start + order, product, quantity)


def _order_lines(
    orders: Orders, goods: Goods, order: np.ndarray, product: np.ndarray, quantity: np.ndarray
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "customer": orders.customer[order],
            "product": product.astype(np.int32),
            "seller": orders.streamer[order],
            "order": order.astype(np.int32),
            "time": _time(orders.day[order], orders.second[order]),
            "amount": goods.price[product] * quantity.astype(np.float32),
            "quantity": quantity.astype(np.int16),
        }
    )


def _bought_again(
    rng: np.random.Generator, lines: pd.DataFrame, orders: Orders, goods: Goods, offers: Offers
) -> pd.DataFrame:
    """Further lines of later orders: what the customer has bought before, where the session shows it again.

    Not on the live day: at small scales, more of the earlier buyers are there than at others.
    """
    session = np.repeat(np.arange(len(offers.begin) - 1), np.diff(offers.begin))
    later = (session % DAYS > goods.first[offers.product]) & (session % DAYS != LIVE_DAY)
    shown = pd.DataFrame({"product": offers.product[later].astype(np.int32), "session": session[later]})
    bought = lines.loc[lines["product"].isin(shown["product"]), ["customer", "product"]]
    bought = bought.assign(day=orders.day[lines.loc[bought.index, "order"]]).merge(shown, on="product")
    bought = bought[bought["session"] % DAYS > bought["day"]]
    # An order is found by its customer and session; of two orders in one session the first is meant.
    place = orders.customer.astype(np.int64) * len(offers.begin) + orders.streamer.astype(np.int64) * DAYS + orders.day
    known, first = np.unique(place, return_index=True)
    wanted = bought["customer"].to_numpy(np.int64) * len(offers.begin) + bought["session"].to_numpy()
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    takes = (known[at] == wanted) & (rng.random(len(wanted)) < BUY_AGAIN)
    product = bought["product"].to_numpy()[takes]
    return _order_lines(orders, goods, first[at[takes]], product, np.ones(len(product), np.int16))


def _chosen(
    rng: np.random.Generator, crowd: Crowd, orders: Orders, goods: Goods, offers: Offers, order: np.ndarray
) -> np.ndarray:
    """A product of its session for each line of `order` (m,), drawn by popularity x liking x charm.

    Products are drawn by popularity and accepted with the probability liking x charm; after ATTEMPTS the last is taken.
    """
    session = orders.streamer.astype(np.int64) * DAYS + orders.day
    low, high = offers.reach[offers.begin[session]], offers.reach[offers.begin[session + 1]]
    tastes = tastes_of(crowd, orders.customer, orders.day)
    chosen, open_ = np.empty(len(order), np.int64), np.arange(len(order))
    for _ in range(ATTEMPTS):
        row = order[open_]
        place = np.searchsorted(offers.reach, low[row] + rng.random(len(row)) * (high - low)[row], side="right") - 1
        place = np.clip(place, offers.begin[session[row]], offers.begin[session[row] + 1] - 1)  # against rounding
        product = chosen[open_] = offers.product[place]
        open_ = open_[rng.random(len(row)) >= wants(goods, orders.customer[row], tastes[row], product)]
        if not len(open_):
            break
    return chosen


def tastes_of(crowd: Crowd, who: np.ndarray, day: np.ndarray) -> np.ndarray:
    """(n, TASTES) int16: the favourite categories of customers `who` (n,) on a `day` (n,)."""
    return np.column_stack([crowd.taste[who, i, crowd.epoch(who, day, 1 + i)] for i in range(TASTES)])


def wants(goods: Goods, who: np.ndarray, tastes: np.ndarray, product: np.ndarray) -> np.ndarray:
    """(n,) liking x charm, in (0, 1], of each `product` (n,) for a customer of `who` (n,) with `tastes` (n, TASTES)."""
    category = goods.category[product][:, None]
    liking = LIKING[np.maximum(category // EACH == tastes // EACH, 2 * (category == tastes)).max(axis=1)]
    return liking * np.where(_pair(who, product) < CHARMED, 1.0, UNCHARMED)


def _anything(
    rng: np.random.Generator, crowd: Crowd, orders: Orders, goods: Goods, offers: Offers, order: np.ndarray
) -> np.ndarray:
    """Like `_chosen`, but every product that is new in the session is as likely."""
    session = orders.streamer[order].astype(np.int64) * DAYS + orders.day[order]
    begin, end = offers.begin[session], offers.again[session]
    return offers.product[begin + np.floor(rng.random(len(order)) * (end - begin)).astype(np.int64)]


def _pair(customer: np.ndarray, product: np.ndarray) -> np.ndarray:
    """A number in [0, 1) that belongs to the pair for good (the finaliser of MurmurHash3, Appleby)."""
    x = customer.astype(np.uint64) << np.uint64(32) | product.astype(np.uint64)
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        x = (x ^ (x >> np.uint64(33))) * np.uint64(factor)
    return (x >> np.uint64(11)) * 2.0**-53
