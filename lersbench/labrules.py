"""What simple rules come to where an encoder or an autoencoder is trained: without them a figure would flatter."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Data = Mapping[str, np.ndarray]


def with_orders(data: Data, least: int) -> dict[str, np.ndarray]:
    """The customers whose last `least` orders are all there, with streamer and text."""
    there = (data["orders"][:, -least:] != 0).any(2).all(1) & (data["baskets"][:, -least:] != 0).any(2).all(1)
    return {name: values[there] for name, values in data.items()}


def streamer_rules(data: Data, length: int, least: int) -> dict[str, float]:
    """Share of customers whose last order's streamer a rule tells from the `length` orders before; ties to the later.

    Over all customers with `least` orders, those trained on and those tested on: the rules learn nothing from either.
    """
    streamers = with_orders(data, least)["order_streamers"][:, -length - 1 :]
    before, truth = streamers[:, :-1], streamers[:, -1]
    counts = np.stack([(before == before[:, [i]]).sum(1) for i in range(length)], 1)
    latest = length - 1 - counts[:, ::-1].argmax(1)
    guesses = {
        "most frequent streamer": np.full(len(truth), np.bincount(before.ravel()).argmax()),
        "customer's last": before[:, -1],
        f"customer's most frequent of {length}": before[np.arange(len(before)), latest],
    }
    return {rule: float((guess == truth).mean()) for rule, guess in guesses.items()}


def basket_rules(data: Data, length: int, least: int) -> dict[str, float]:
    """Mean squared error of a rule's guess of the last basket's text vector, likewise.

    The last rule lies between the mean of all baskets and the customer's own, at the share of the way that is best
    for all customers: one number is fitted.
    """
    baskets = with_orders(data, least)["baskets"][:, -length - 1 :].astype(float)
    before, truth = baskets[:, :-1], baskets[:, -1]
    mean, own = before.mean((0, 1)), before.mean(1)
    share = ((own - mean) * (truth - mean)).sum() / (((own - mean) ** 2).sum() or 1.0)
    guesses = {
        "mean of all baskets": mean,
        "customer's last basket": before[:, -1],
        f"mean of the customer's last {length}": own,
        f"mean of all, drawn to the customer's last {length}": mean + share * (own - mean),
    }
    return {rule: float(((guess - truth) ** 2).mean()) for rule, guess in guesses.items()}


RULES = {"streamer": streamer_rules, "basket": basket_rules}
