"""Errors of simple rules on the tasks of the encoders and autoencoders, to compare theirs with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lersbench.lab.projections import linear_errors
from lersbench.neural.halves import halves

Data = Mapping[str, np.ndarray]


def with_orders(data: Data, least: int) -> dict[str, np.ndarray]:
    """The customers whose last `least` orders are all there, with streamer and text."""
    complete = (data["orders"][:, -least:] != 0).any(2).all(1) & (data["baskets"][:, -least:] != 0).any(2).all(1)
    return {name: values[complete] for name, values in data.items()}


def streamer_rules(data: Data, length: int, least: int, split: float, seed: int) -> dict[str, float]:
    """Share of customers whose last order's streamer a rule predicts by the `length` orders before; ties to the later.

    Of the customers with `least` orders whose last order is of a streamer, those that an encoder with this `split` and
    `seed` is tested on; the most frequent streamer is that of those it is trained on.
    """
    streamers = with_orders(data, least)["order_streamers"][:, -length - 1 :]
    streamers = streamers[streamers[:, -1] >= 0]
    train, test = halves(len(streamers), split, seed)
    before, truth = streamers[test, :-1], streamers[test, -1]
    counts = np.stack([(before == before[:, [i]]).sum(1) for i in range(length)], 1)
    latest = length - 1 - counts[:, ::-1].argmax(1)
    train_streamers = streamers[train].ravel()
    guesses = {
        "most frequent streamer": np.full(len(truth), np.bincount(train_streamers[train_streamers >= 0]).argmax()),
        "customer's last": before[:, -1],
        f"customer's most frequent of {length}": before[np.arange(len(before)), latest],
    }
    return {rule: float((guess == truth).mean()) for rule, guess in guesses.items()}


def basket_rules(data: Data, length: int, least: int, split: float, seed: int) -> dict[str, float]:
    """Mean squared error of a rule's guess of the last basket's text vector, likewise.

    The last rule lies between the mean of all baskets and the customer's own, at the share of the way that is best for
    the customers trained on, as is that mean: one number is fitted.
    """
    baskets = with_orders(data, least)["baskets"][:, -length - 1 :].astype(float)
    train, test = halves(len(baskets), split, seed)
    before, truth = baskets[:, :-1], baskets[:, -1]
    mean, customer_mean = before[train].mean((0, 1)), before.mean(1)
    distance = customer_mean[train] - mean
    share = (distance * (truth[train] - mean)).sum() / ((distance**2).sum() or 1.0)
    guesses = {
        "mean of all baskets": np.broadcast_to(mean, customer_mean.shape),
        "customer's last basket": before[:, -1],
        f"mean of the customer's last {length}": customer_mean,
        f"mean of all, drawn to the customer's last {length}": mean + share * (customer_mean - mean),
    }
    return {rule: float(((guess - truth)[test] ** 2).mean()) for rule, guess in guesses.items()}


def linear_rules(context: np.ndarray, sizes: Sequence[int], split: float, seeds: int) -> dict[str, float]:
    """By size, the squared error of as many principal components as a code of the contexts (n, width); mean over the
    seeds. Fitted to the customers that an autoencoder with this `split` and seed is trained on, and measured on those
    it is tested on. Size 0 gives back the mean."""
    context = context.astype(float)
    by_seed = [linear_errors(context, sizes, *halves(len(context), split, seed)) for seed in range(seeds)]
    return {str(size): float(mean) for size, mean in zip(sizes, np.mean(by_seed, 0), strict=True)}


RULES = {"streamer": streamer_rules, "basket": basket_rules}
