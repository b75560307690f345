"""Small made-up logs, and what a policy knows of them beforehand."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lersbench.kernels.ties import scramble
from lersbench.log.chunk import Chunk
from lersbench.log.ragged import edges_of
from lersbench.policy import Round, Spec

TIES = 12345  # seed of the random order of equal scores in all checks


class World(NamedTuple):
    """A made-up log, and what a policy knows of it beforehand."""

    spec: Spec
    chunk: Chunk


def make_world(
    n: int, candidates: int, slate: int, n_items: int = 0, d: int = 3, m: int = 4, good: int = -1, seed: int = 0
) -> World:
    """A log of `n` rounds with random rewards (clicks and fractions).

    With `n_items` > `candidates` every round offers a random subset. With `good` >= 0 the rewards are 1 for that
    item and 0 for all others, and the first joint feature is 1 for it alone. The first context entry is 1. The ids of
    items are their numbers.
    """
    rng = np.random.default_rng(seed)
    n_items = n_items or candidates
    everything = np.arange(n_items)[None]
    offered = everything if n_items == candidates else rng.permuted(np.repeat(everything, n, axis=0), axis=1)
    offered = np.ascontiguousarray(offered[:, :candidates])
    context = rng.normal(size=(n, d))
    context[:, :1] = 1.0
    features = rng.normal(size=(n, candidates, m)) if m else np.zeros((1, candidates, 0))
    clicks, fractions = rng.integers(0, 2, (n, candidates)), rng.random((n, candidates))
    rewards = np.where(rng.random((n, candidates)) < 0.5, clicks, fractions)
    if good >= 0:
        rewards = np.broadcast_to(offered == good, (n, candidates)) * 1.0
        features[..., :1] = 1.0 * (offered == good)[..., None]
    logged = rng.permuted(np.repeat(np.arange(candidates)[None], n, axis=0), axis=1)[:, :slate].copy()
    logged_clicks = np.round(np.take_along_axis(rewards, logged, axis=1))
    unknown, users = np.zeros((0, candidates)), rng.integers(0, 7, n)
    items = rng.normal(size=(n_items, 2))
    history = made_up_history(7, n_items, good) | made_up_past(7, n_items, d)
    known = *made_up_weights(candidates), history, tuple(map(str, range(n_items)))
    spec = Spec(n_items, candidates, slate, d, m, n, 7, items, *known)
    likely, none = np.full((n, slate), 1 / candidates), np.zeros((0, 0))
    chunk = Chunk(
        0, users, context, offered, features, rewards, unknown, logged, logged_clicks, likely, none, none, none
    )
    return World(spec, chunk)


def cut_short(world: World, seed: int = 1) -> World:
    """The world with fewer candidates in each round, from one to all, and other slates that were logged of them."""
    rng, chunk = np.random.default_rng(seed), world.chunk
    n, wide = chunk.rewards.shape
    left = np.arange(wide) < rng.integers(1, wide + 1, n)[:, None]
    offered = np.broadcast_to(chunk.candidates, (n, wide))[left]
    features = chunk.features[left] if chunk.features.size else np.zeros((offered.size, 0))
    first = edges_of(left.sum(axis=1))
    sizes = np.minimum(left.sum(axis=1), rng.integers(1, world.spec.slate + 1, n))
    logged = [rng.permutation(count)[:size] for count, size in zip(left.sum(axis=1), sizes, strict=True)]
    paid = [chunk.rewards[row, slate].round() for row, slate in enumerate(logged)]
    likely = 1.0 / np.repeat(left.sum(axis=1), sizes)
    none = np.zeros(0)
    return world._replace(
        chunk=chunk._replace(
            candidates=offered,
            features=features,
            rewards=chunk.rewards[left],
            expected=none,
            slate=np.concatenate(logged),
            clicks=np.concatenate(paid),
            propensities=likely,
            examined=none,
            attraction=none,
            scores=none,
            first=first,
            top=edges_of(sizes),
        )
    )


def made_up_weights(length: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights of `length` positions, as `Spec` holds them: falling, also with the distance to the last click."""
    position = np.arange(length)
    last = np.arange(length + 1)
    fall = 0.8**position
    return fall, np.where(last <= position[:, None], np.sqrt(fall)[:, None] * 0.9 ** (position[:, None] - last), 0)


def made_up_history(users: int, items: int, good: int = -1) -> dict[str, np.ndarray]:
    """What is known of users and products, as `Spec` holds it; one product's first entry marks the good one."""
    rng = np.random.default_rng(3)
    products = rng.normal(size=(items, 5)).astype(np.float32)
    products[:, 0] = np.arange(items) == good
    return {
        "static": rng.normal(size=(users, 4)).astype(np.float32),
        "orders": rng.normal(size=(users, 16, 5)).astype(np.float32),
        "order_streamers": rng.integers(0, 3, (users, 16)),
        "baskets": rng.normal(size=(users, 16, 6)).astype(np.float32),
        "products": products,
    }


def made_up_past(users: int, items: int, d: int) -> dict[str, np.ndarray]:
    """What was bought before, as `Spec` holds it; the last item is new, and so is the last user."""
    rng = np.random.default_rng(4)
    windows = rng.integers(1, 5, users)
    windows[-1:] = 0
    bought = (rng.random((users, items)) < 0.4) & (windows[:, None] > 0) & (np.arange(items) < items - 1)
    rate = rng.random(items)
    rate[-1:] = np.nan
    return {
        "bought_start": edges_of(bought.sum(axis=1)),
        "bought": np.nonzero(bought)[1],
        "bought_orders": rng.integers(1, 4, bought.sum()).astype(float),
        "bought_rate": rng.random(bought.sum()),
        "known": rng.normal(size=(users, d)),
        "past_windows": windows,
        "last_streamer": np.where(windows > 0, rng.integers(0, 3, users), -1),
        "popularity": rng.integers(1, 9, items).astype(float),
        "past_rate": rate,
        "sellers": np.eye(3)[rng.integers(0, 3, items)],
    }


def round_of(world: World, row: int, learned: int) -> Round:
    spec, chunk = world.spec, world.chunk
    return Round(
        learned,
        int(chunk.user[row]),
        chunk.context[row],
        chunk.candidates[row % chunk.candidates.shape[0]],
        chunk.features[row % chunk.features.shape[0]],
        int(scramble(TIES, row)),
        np.zeros(spec.n_candidates),
        np.zeros(spec.slate),
        np.zeros(spec.slate, np.int64),
    )
