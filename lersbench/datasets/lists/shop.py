"""Worlds in which users are offered twelve items: a shop that is not linear, and one that is exactly linear.

**The shop.** Items belong to families, families to categories. A user has tastes, a purchasing power, and weaknesses
(for bargains, news, brands). For each visit twelve items are recalled out of all: most from the families the user
likes, the popular ones of them first, some from anywhere. The logit of an item's attraction P(click | examined) is

    taste(user, item) + a peak where the price fits the purchase power + a bonus for a bargain, if big enough and for
    whom it counts + novelty x freshness + quality + a bonus above a rating + brand x brand seeking
    + how easily the user clicks + what no feature shows: the item's charm, the mood of the visit, noise

plus one intercept, which `calibrate` sets. The 56 features that policies and rankers see are in [0, 1]: columns of
items and of users, each scaled to run from 0 to 1 over all of them, and joint ones built from such. They show taste
and quality with errors, and peaks, thresholds and products only through proxies: a linear model can but approximate.

**The linear world.** Ten features on the simplex (not negative, sum 1), drawn afresh for every item on offer, and
attraction = theta . features with theta from 0.02 to 0.6: exactly linear, within these bounds, and the sum of 1
holds the intercept. Items do not last in it: what tells them apart are their features of the moment.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd

from lersbench.datasets.lists.draws import distinct
from lersbench.kernels.jit import kernel

C = 12  # candidates of a visit, all shown
FAMILY = 20  # items of a family, about
TASTES = 6  # dimensions of taste
VARIETY = 0.45  # how much items differ, beside how much users and their visits do
ANYWHERE = 0.25  # share of the recalled items that come from anywhere
CATEGORIES = ("kitchen", "fashion", "beauty", "garden", "toys", "sports", "snacks", "gadgets")
THINGS = ("basic", "classic", "travel", "family", "mini", "deluxe", "festive", "everyday")

ITEM = (
    *("price", "discount", "sales_total", "sales_week", "rating", "reviews", "freshness", "stock", "pictures"),
    *("brand", "shipping", "seller_score", "returns", "past_ctr"),
    *(f"category_{name}" for name in CATEGORIES),
)
USER = (
    *("purchasing_power", "activity", "tenure", "age", "bargain_seeking", "novelty_seeking", "brand_seeking"),
    *("click_habit", "basket", "night_share", "device", "city_tier"),
    *(f"taste_{name}" for name in CATEGORIES),
)
JOINT = (
    *("price_fit", "price_above", "family_taste", "item_taste", "category_taste", "family_views", "category_views"),
    *(
        "bargain_match",
        "brand_match",
        "novelty_match",
        "segment_sales",
        "segment_ctr",
        "days_unseen",
        "cart_similarity",
    ),
)
FEATURES = (*ITEM, *USER, *JOINT)
GROUPS = {"item": list(ITEM), "user": list(USER), "joint": list(JOINT)}


class Visits(NamedTuple):
    """n users and what they are offered."""

    user: np.ndarray  # (n,) int64
    candidates: np.ndarray  # (n, C) int64 items, ascending
    features: np.ndarray  # (n, C, number of features) float64
    appeal: np.ndarray  # (n, C) float64: see `World.attraction`


class World(Protocol):
    """What the logger, the ranker and the calibration need to know of a world."""

    family: np.ndarray  # (items,) int64
    popularity: np.ndarray  # (items,) in [0, 1]: what the logger of the earlier days goes by

    def visits(self, rng: np.random.Generator, n: int) -> Visits: ...

    def attraction(self, appeal: np.ndarray, intercept: float) -> np.ndarray:
        """P(click | examined), in the shape of `appeal`."""
        ...


class Shop:
    """The shop (see the module), with `items` items and `users` users, all drawn from `seed`."""

    def __init__(self, items: int, users: int, seed: int) -> None:
        families = max(items // FAMILY, 1)
        self.family = np.arange(items) * families // items
        self._draw_items(np.random.default_rng([seed, 0]), items, families)
        self._draw_users(np.random.default_rng([seed, 1]), users)

    def _draw_items(self, rng: np.random.Generator, n: int, families: int) -> None:
        family, normal = self.family, rng.standard_normal
        self.category = (np.arange(families) % len(CATEGORIES))[family]
        self._centre = normal((len(CATEGORIES), TASTES))
        self._family_at = 0.7 * self._centre[np.arange(families) % len(CATEGORIES)] + 0.7 * normal((families, TASTES))
        self._item_off = normal((n, TASTES))
        self.price = np.exp(3.4 + 0.5 * normal(families)[family] + 0.4 * normal(n))
        self._quality, self._charm = normal(n), normal(n)
        fame = 0.6 * self._quality + 0.8 * normal(n)
        self.popularity = _scaled(fame)
        columns = {"price": _scaled(np.log(self.price)), "freshness": rng.random(n)}
        columns["brand"] = _scaled(np.log(self.price) + 0.5 * self._quality + 0.5 * normal(n))
        columns["stock"] = _scaled(0.7 * fame + 0.7 * normal(n))
        columns["pictures"] = _scaled(0.5 * self._quality + 0.8 * normal(n))
        columns["shipping"] = _scaled(0.3 * self._quality + 0.9 * normal(n))
        columns["discount"] = _scaled(rng.beta(2, 4, n))
        columns["sales_total"] = _scaled(fame + 0.3 * normal(n))
        columns["sales_week"] = _scaled(np.exp(0.8 * (fame + 0.4 * normal(n))))
        columns["rating"] = _scaled(_sigmoid(1.2 * self._quality + 0.8 * normal(n)))
        columns["reviews"] = _scaled(np.exp(0.7 * fame + 0.5 * normal(n)))
        columns["seller_score"] = _scaled(0.5 * self._quality + normal(n))
        columns["returns"] = _scaled(np.exp(-0.5 * self._quality + 0.5 * normal(n)))
        columns["past_ctr"] = _scaled(0.5 * self._quality + 0.3 * self._charm + 0.6 * normal(n))
        for c, name in enumerate(CATEGORIES):
            columns[f"category_{name}"] = (self.category == c).astype(float)
        self.item_features = np.column_stack([columns[name] for name in ITEM])
        weight = np.exp(2.0 * fame)
        self._item_cdf, self._first = _cdf_by_family(weight, family, families)
        self._fame = np.cumsum(np.exp(fame) / np.exp(fame).sum())

    def _draw_users(self, rng: np.random.Generator, n: int) -> None:
        normal = rng.standard_normal
        self._taste = normal((n, TASTES))
        columns = {"novelty_seeking": rng.random(n), "brand_seeking": rng.random(n)}
        columns["purchasing_power"] = _scaled(np.clip(normal(n), -2.5, 2.5))
        for name in ("device", "city_tier", "age"):
            columns[name] = _scaled(columns["purchasing_power"] + 0.2 * normal(n))
        columns["activity"] = _scaled(rng.beta(1.2, 3, n))
        self._habit = normal(n)
        columns["click_habit"] = _sigmoid(1.5 * self._habit + normal(n))
        columns["tenure"] = _scaled(columns["activity"] + 0.2 * normal(n))
        columns["night_share"] = rng.beta(2, 6, n)
        columns["basket"] = _scaled(columns["purchasing_power"] + 0.1 * normal(n))
        columns["bargain_seeking"] = _scaled(0.5 * (1 - columns["purchasing_power"]) + rng.random(n))
        liking = self._taste @ self._centre.T / np.sqrt(TASTES)
        for c, name in enumerate(CATEGORIES):
            columns[f"taste_{name}"] = _sigmoid(1.5 * liking[:, c] + 0.7 * normal(n))
        self.user_features = np.column_stack([columns[name] for name in USER])
        self._visit_cdf = np.cumsum(0.1 + columns["activity"])
        self._visit_cdf /= self._visit_cdf[-1]
        liked = np.exp(2.0 * self._taste @ self._family_at.T / np.sqrt(TASTES))
        self._family_cdf = np.cumsum(liked, axis=1) / liked.sum(axis=1, keepdims=True)

    def visits(self, rng: np.random.Generator, n: int) -> Visits:
        """Draw n visits. Users who are more active come more often."""
        user = np.searchsorted(self._visit_cdf, rng.random(n), side="right")
        candidates = np.empty((n, C), np.int64)
        recall(rng, user, self._family_cdf, self._item_cdf, self._first, self._fame, candidates)
        features = np.empty((n, C, len(FEATURES)))
        features[:, :, : len(ITEM)] = self.item_features[candidates]
        features[:, :, len(ITEM) : len(ITEM) + len(USER)] = self.user_features[user][:, None]
        family_taste, item_taste = self._likings(user, candidates)
        self._joint(rng, features, family_taste, item_taste)
        return Visits(
            user, candidates, features, self._appeal(rng, user, candidates, features, family_taste + item_taste)
        )

    def _likings(self, user: np.ndarray, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How much the users like the families, and beside that the very items: two times (n, C), about N(0, 1)."""
        taste = self._taste[user]
        family = np.einsum("nd,ncd->nc", taste, self._family_at[self.family[candidates]])
        item = np.einsum("nd,ncd->nc", taste, self._item_off[candidates])
        return family / np.sqrt(TASTES), 0.5 * item / np.sqrt(TASTES)

    def _joint(
        self, rng: np.random.Generator, features: np.ndarray, family_taste: np.ndarray, item_taste: np.ndarray
    ) -> None:
        """Fill the joint columns of `features`."""
        see, shape = _Columns(features), family_taste.shape
        category = np.einsum("ncj,ncj->nc", see.block("category_kitchen"), see.block("taste_kitchen"))

        def noise(scale: float) -> np.ndarray:
            return scale * rng.standard_normal(shape)

        see["price_fit"] = 1 - np.abs(see["price"] - see["purchasing_power"])
        see["price_above"] = (1 + see["price"] - see["purchasing_power"]) / 2
        see["family_taste"] = _sigmoid(family_taste + noise(0.8))
        see["item_taste"] = _sigmoid(item_taste + noise(1.0))
        see["category_taste"] = category
        see["family_views"] = 1 - np.exp(-see["activity"] * np.exp(family_taste + noise(0.5)))
        see["category_views"] = 1 - np.exp(-see["activity"] * np.exp(2 * category + noise(0.5)))
        see["bargain_match"] = see["discount"] * see["bargain_seeking"]
        see["brand_match"] = see["brand"] * see["brand_seeking"]
        see["novelty_match"] = see["freshness"] * see["novelty_seeking"]
        see["segment_sales"] = _sigmoid(3 * (see["sales_total"] - 0.5) + 0.4 * family_taste + noise(0.3))
        see["segment_ctr"] = _sigmoid(3 * (see["past_ctr"] - 0.5) + 0.4 * family_taste + noise(0.4))
        see["days_unseen"] = np.exp(-3 * see["activity"] * rng.random(shape))
        see["cart_similarity"] = _sigmoid(0.7 * (family_taste + item_taste) + noise(1.2))

    def _appeal(
        self,
        rng: np.random.Generator,
        user: np.ndarray,
        candidates: np.ndarray,
        features: np.ndarray,
        taste: np.ndarray,
    ) -> np.ndarray:
        """The logit of the attraction, but for the intercept."""
        see = _Columns(features)
        fits = np.exp(-(((see["price"] - see["purchasing_power"]) / 0.15) ** 2) / 2)
        bargain = (see["discount"] > 0.45) & (see["bargain_seeking"] > 0.5)
        appeal = 0.8 * taste + 1.2 * fits + 0.9 * bargain
        appeal += 0.8 * (2 * see["novelty_seeking"] - 1) * (2 * see["freshness"] - 1)
        appeal += 0.5 * self._quality[candidates] + 0.5 * (see["rating"] > 0.6)
        appeal += 0.6 * (see["brand_match"] > 0.3)
        appeal += 0.4 * self._charm[candidates] + 0.8 * rng.standard_normal(candidates.shape)
        mood = 0.8 * self._habit[user] + 0.8 * rng.standard_normal(len(user))
        return VARIETY * appeal + mood[:, None]

    def attraction(self, appeal: np.ndarray, intercept: float) -> np.ndarray:
        return _sigmoid(appeal + intercept)

    def item_table(self) -> pd.DataFrame:
        """One row an item, for people."""
        n = len(self.family)
        number = np.arange(n) - self._first[self.family]
        category = np.array(CATEGORIES)[self.category]
        thing = np.array(THINGS)[self.family // len(CATEGORIES) % len(THINGS)]
        see = {name: self.item_features[:, j] for j, name in enumerate(ITEM)}
        return pd.DataFrame(
            {
                "item": np.arange(n),
                "id": [f"{c}-{f:02d}-{i:02d}" for c, f, i in zip(category, self.family, number, strict=True)],
                "title": [f"{t} {c} item {i}" for c, t, i in zip(category, thing, number, strict=True)],
                "category": category,
                "family": self.family,
                "price": self.price.round(2),
                "discount": (0.6 * see["discount"]).round(2),
                "rating": (3 + 2 * see["rating"]).round(1),
                "popularity": self.popularity.round(4),
            }
        )

    def user_table(self) -> pd.DataFrame:
        """One row a user, for people."""
        see = {name: self.user_features[:, j].round(4) for j, name in enumerate(USER)}
        return pd.DataFrame({"user": np.arange(len(self._taste)), "id": np.arange(len(self._taste)).astype(str), **see})


class Linear:
    """The linear world (see the module)."""

    M = 10  # features
    LOW, HIGH = 0.02, 0.6  # attraction of an item that has all its mass on the worst or the best feature

    def __init__(self, items: int, seed: int) -> None:
        rng = np.random.default_rng([seed, 0])
        self.family = np.arange(items)  # nobody competes
        self.popularity = rng.random(items)
        self.theta = rng.permutation(np.linspace(self.LOW, self.HIGH, self.M))

    def visits(self, rng: np.random.Generator, n: int) -> Visits:
        """Draw n visits; `user` is 0 in all of them, for nobody comes back."""
        candidates = np.sort(distinct(rng, n, len(self.family), C), axis=1)
        features = rng.standard_gamma(0.3, (n, C, self.M)) + 1e-9  # a Dirichlet distribution, most mass on a few
        features /= features.sum(axis=2, keepdims=True)
        return Visits(np.zeros(n, np.int64), candidates, features, features @ self.theta)

    def attraction(self, appeal: np.ndarray, intercept: float) -> np.ndarray:
        """The appeal itself: there is no intercept to this world."""
        return appeal


class _Columns:
    """The columns of features (n, C, 56) by their names."""

    def __init__(self, features: np.ndarray) -> None:
        self._features = features

    def __getitem__(self, name: str) -> np.ndarray:
        return self._features[:, :, FEATURES.index(name)]

    def __setitem__(self, name: str, values: np.ndarray) -> None:
        self._features[:, :, FEATURES.index(name)] = values

    def block(self, first: str) -> np.ndarray:
        """The columns of all categories, from the named one on."""
        at = FEATURES.index(first)
        return self._features[:, :, at : at + len(CATEGORIES)]


@kernel
def recall(rng, user, family_cdf, item_cdf, first, fame, candidates):
    """Fill `candidates` (n, C) with distinct items, ascending, for the users `user` (n,).

    One after the other is drawn until C differ: with ANYWHERE from all items by the distribution `fame` (items,), else
    a family by the user's row of `family_cdf` (users, families) and an item of it by `item_cdf` (items,), which runs up
    to 1 within each family; family f begins at `first[f]`.
    """
    for t in range(candidates.shape[0]):
        taken = 0
        while taken < candidates.shape[1]:
            if rng.random() < ANYWHERE:
                item = _draw(fame, 0, fame.shape[0], rng.random())
            else:
                family = _draw(family_cdf[user[t]], 0, family_cdf.shape[1], rng.random())
                item = _draw(item_cdf, first[family], first[family + 1], rng.random())
            at = taken
            while at > 0 and candidates[t, at - 1] > item:
                at -= 1
            if at > 0 and candidates[t, at - 1] == item:
                continue
            for i in range(taken, at, -1):
                candidates[t, i] = candidates[t, i - 1]
            candidates[t, at] = item
            taken += 1


@kernel
def _draw(cdf, start, stop, number):
    """The first place in start..stop-1 whose `cdf` exceeds `number`; the last, if rounding leaves none."""
    low, high = start, stop - 1
    while low < high:
        middle = (low + high) // 2
        if cdf[middle] > number:
            high = middle
        else:
            low = middle + 1
    return low


def _cdf_by_family(weight: np.ndarray, family: np.ndarray, families: int) -> tuple[np.ndarray, np.ndarray]:
    """A distribution function within each family (items,), and where each family begins (families + 1,)."""
    first = np.searchsorted(family, np.arange(families + 1))
    cdf = np.concatenate([np.cumsum(w) / w.sum() for w in np.split(weight, first[1:-1])])
    return cdf, first


def _scaled(values: np.ndarray) -> np.ndarray:
    """Shifted and stretched to run from 0 to 1."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros_like(values)


def _sigmoid(value: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-value))
