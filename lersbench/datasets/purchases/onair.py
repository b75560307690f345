"""Live days on the simulated platform: what is on air when, who comes, and what they would buy.

**Products** go on air one after the other in their streamer's session, which every streamer has every day at the
platform's hours; there is always one on air in a session, and several as each stays for some minutes. The number of a
streamer's products grows with the root of its share of the trade, so that small streamers show some, too. New ones are
the next that the platform rolls out; others were shown in the half year before and are of less interest, as there.

**Visits** are drawn as the platform's orders are: customers by their rates, each coming for a streamer within the hours
of its session. Each customer comes once at least.

**Would they buy?** As on the platform an order is of one streamer, the customer's home or now and then another, of
those on air; its lines are drawn from what the streamer shows then, by popularity x liking x charm. So the probability
of a purchase is P(order) x P(of this streamer) x (1 - exp(-lines x share of the product)), with the customer's mean
number of lines. Each candidate is drawn for itself: what was shown or bought before changes nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lersbench.datasets.purchases import liveshop
from lersbench.datasets.purchases.liveshop import DAYS, LIVE_DAY, SHARES, STREAMERS, Crowd, Goods, Platform
from lersbench.errors import ConfigError
from lersbench.log import Ragged

FIRST = (liveshop.START + LIVE_DAY).astype("datetime64[us]")  # the beginning of the first day
MOST_DAYS = DAYS - LIVE_DAY
LEAST_STAY, MOST_STAY = 0.5, 1.5  # of a product on air, in means
JITTER = 0.5  # of the time from one product to the next
DECIMALS = 9  # of probabilities: exponentials differ by 1e-16 from machine to machine
TINY = 1e-12  # least chance of a streamer: the share of orders that are not of the home may come out as 0


class Air(NamedTuple):
    """What goes on air: n products."""

    product: np.ndarray  # (n,) their numbers in the platform's goods
    begin: np.ndarray  # (n,) datetime64[us]
    end: np.ndarray  # (n,) datetime64[us], on air before it
    appeal: np.ndarray  # (n,) popularity, less where the product was shown before
    new: np.ndarray  # (n,) bool, never shown before

    def of(self, places: np.ndarray) -> Air:
        """Those at `places`, in this order."""
        return Air(*(column[places] for column in self))


class Visits(NamedTuple):
    """n visits in the order of time."""

    customer: np.ndarray  # (n,) their numbers in the platform's crowd
    time: np.ndarray  # (n,) datetime64[us]

    @property
    def day(self) -> np.ndarray:
        """(n,) int64, counted as the platform does."""
        return LIVE_DAY + (self.time - FIRST) // np.timedelta64(1, "D")


def roll_out(
    rng: np.random.Generator, goods: Goods, sold: np.ndarray, products: int, days: int, minutes: float, again: float
) -> Air:
    """So many `products` on so many `days`, each on air for so many `minutes` in the mean; a share `again` of them was
    shown before. `sold` are those with a place in the catalogue. Raises ConfigError where they are not enough."""
    hours = STREAMERS["hours"].to_numpy()
    sizes = _apportioned(products, np.tile(np.sqrt(SHARES) * hours, days)).reshape(days, len(SHARES))
    parts = []
    for who, number in enumerate(sizes.sum(axis=0)):
        chosen, new = _chosen(rng, goods, sold, who, number, round(again * number))
        begins, ends = [], []
        for day, size in enumerate(sizes[:, who]):
            start = FIRST + np.timedelta64(day, "D") + _hours(STREAMERS["start_hour"].iloc[who])
            begin, end = _session(rng, size, _hours(hours[who]), minutes)
            begins.append(start + begin)
            ends.append(start + end)
        appeal = goods.popularity[chosen] * np.where(new, 1.0, liveshop.INTEREST_AGAIN)
        parts.append(Air(chosen, np.concatenate(begins), np.concatenate(ends), appeal, new))
    return Air(*map(np.concatenate, zip(*parts, strict=True)))


def _apportioned(total: int, weights: np.ndarray) -> np.ndarray:
    """`total` in whole numbers by `weights`, at least 1 each, by largest remainders."""
    shares = (total - len(weights)) * weights / weights.sum()
    whole = np.floor(shares).astype(np.int64)
    left = total - len(weights) - whole.sum()
    whole[np.argsort(whole - shares, kind="stable")[:left]] += 1
    return whole + 1


def _chosen(
    rng: np.random.Generator, goods: Goods, sold: np.ndarray, who: int, number: int, old: int
) -> tuple[np.ndarray, np.ndarray]:
    """`number` products of a streamer in any order, `old` of them shown before, and (number,) which are new."""
    own = sold[goods.streamer[sold] == who]
    first = goods.first[own]
    fresh = own[first >= LIVE_DAY]
    shown = own[(first < LIVE_DAY) & (first >= LIVE_DAY - liveshop.AGAIN_DAYS[1])]
    for pool, wanted, what in ((fresh, number - old, "new"), (shown, old, "earlier")):
        if len(pool) < wanted:
            name = STREAMERS["name"].iloc[who]
            raise ConfigError(
                f"{name} would show {wanted} {what} products, but at this scale the platform has {len(pool)}: lower "
                "products, or raise scale."
            )
    chosen = np.append(fresh[: number - old], rng.permutation(shown)[:old])
    mixed = rng.permutation(number)
    return chosen[mixed], (mixed < number - old)


def _session(rng: np.random.Generator, size: int, length: np.timedelta64, minutes: float) -> tuple[np.ndarray, ...]:
    """Begin and end (size,) of the products of a session, from its beginning; no moment is without a product."""
    whole = length.astype(np.int64)
    late = JITTER * rng.random(size)
    late[0] = 0
    begin = ((np.arange(size) + late) * whole / size).astype(np.int64)
    stay = rng.uniform(LEAST_STAY, MOST_STAY, size) * minutes * 60e6
    end = np.minimum(np.maximum(begin + stay.astype(np.int64), np.append(begin[1:], whole)), whole)
    return begin.astype("timedelta64[us]"), end.astype("timedelta64[us]")


def _hours(hours: float) -> np.timedelta64:
    return np.timedelta64(round(3600e6 * hours), "us")


def visits(rng: np.random.Generator, crowd: Crowd, known: np.ndarray, customers: int, number: int, days: int) -> Visits:
    """`number` visits of so many `customers`, drawn by rates from the `known` ones who are there on the first day.

    Raises ConfigError where there are not so many.
    """
    there = known[(crowd.first[known] <= LIVE_DAY) & (crowd.last[known] > LIVE_DAY)]
    if len(there) < customers:
        raise ConfigError(
            f"customers = {customers}, but at this scale {len(there)} are there: ask for fewer, or raise scale."
        )
    chosen = liveshop.drawn_by_rate(rng, crowd, there, customers)
    rate = crowd.rate[chosen]
    who = np.append(chosen, rng.choice(chosen, number - customers, p=rate / rate.sum()))
    day = rng.integers(days, size=number)
    streamer = liveshop.came_for(rng, crowd, who, LIVE_DAY + day)
    second = liveshop.second_of_day(rng, streamer)
    time = FIRST + day.astype("timedelta64[D]") + second.astype("timedelta64[s]")
    order = np.lexsort((rng.random(number), time))
    return Visits(who[order], time[order])


def probability(world: Platform, air: Air, those: Visits, candidates: Ragged, orders: float) -> np.ndarray:
    """(N,) in [0, 1]: of a purchase of each candidate, places in `air`, end to end, at each of n visits; `orders` is
    the share of the visits with an order."""
    crowd, goods = world.crowd, world.goods
    row = np.repeat(np.arange(len(candidates.lengths)), candidates.lengths)
    product, who = air.product[candidates.values], those.customer[row]
    tastes = liveshop.tastes_of(crowd, those.customer, those.day)[row]
    weight = air.appeal[candidates.values] * liveshop.wants(goods, who, tastes, product)
    cell = row * len(SHARES) + goods.streamer[product]  # a visit and a streamer
    total = np.bincount(cell, weight, len(candidates.lengths) * len(SHARES))
    taken = 1 - np.exp(-(1 + crowd.basket[who]) * weight / total[cell])
    return (orders * _attention(crowd, those, total > 0).ravel()[cell] * taken).round(DECIMALS)


def _attention(crowd: Crowd, those: Visits, on: np.ndarray) -> np.ndarray:
    """(n, 7) the chances that an order is of each streamer, of those `on` air at each visit, (n * 7,) bool."""
    home = crowd.home[those.customer, crowd.epoch(those.customer, those.day, 0)]
    away = crowd.away[those.customer][:, None]
    usual = away * SHARES + (1 - away) * (home[:, None] == np.arange(len(SHARES)))
    chance = np.where(on.reshape(usual.shape), np.maximum(usual, TINY), 0)  # no customer is never away
    return chance / chance.sum(axis=1, keepdims=True)
