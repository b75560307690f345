"""What all customers of a shop did last, not only those of a scenario: what context models are trained on off line.

A log holds the customers of its scenario alone (1,000 in active), fewer than context models need: the published ones
learned from every customer with six orders or more. So the same tables and the same features are read here without
likes, live day or rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from lersbench.datasets import completejourney, livestream
from lersbench.datasets.options import at_least, checked, options_of
from lersbench.datasets.purchases.history import History
from lersbench.datasets.purchases.streamers import streamer_features
from lersbench.datasets.purchases.tables import Tables
from lersbench.datasets.purchases.text import TextModel, text_vectors
from lersbench.datasets.reduce import standardised
from lersbench.datasets.transactions import FAR, as_date, purchases
from lersbench.errors import ConfigError, DataError, did_you_mean

LEAST = 6  # orders of a customer who is kept: a sequence of 5, and the one that follows


class Sequences(NamedTuple):
    """What is known of n customers, and where it is from."""

    arrays: dict[str, np.ndarray]  # static, orders, order_streamers, baskets: as `log.history.history_arrays` has them
    about: dict[str, Any]  # name, customers, streamers (names by number), licence, attribution, provenance


def _livestream(*, scale: float = 0.1, cut: str = "2021-11-01", seed: int = 0) -> Tables:
    return livestream.tables(scale, seed)


def _completejourney(*, cut: str = "2017-07-01", seed: int = 0) -> Tables:
    return completejourney.tables(cut, seed)


SOURCES: dict[str, tuple[Callable[..., Tables], str, str]] = {
    "livestream": (_livestream, livestream.LICENCE, livestream.ATTRIBUTION),
    "completejourney": (_completejourney, completejourney.LICENCE, completejourney.ATTRIBUTION),
}


def _text(*, text: int = 64, text_model: TextModel = "svd", text_path: str | None = None) -> None:
    """Only its signature is of use: the options that all sources share; see `transactions.build`."""


def known_options(dataset: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """All options of `read`, those `given` over the defaults. Raises ConfigError for an unknown source or option."""
    if dataset not in SOURCES:
        hint = did_you_mean(dataset, SOURCES, "known are")
        raise ConfigError(f"There are no sequences of all customers of {dataset!r}{hint}")
    return checked(f"data set {dataset}", {**options_of(SOURCES[dataset][0]), **options_of(_text)}, given)


def read(dataset: str, options: Mapping[str, Any]) -> Sequences:
    """The sequences of all customers with LEAST orders or more before the cut.

    `options` are those of `known_options`: scale (livestream), cut, seed, text, text_model, text_path. Raises
    ConfigError for an unknown source or option, DataError where there is no such customer.
    """
    full = known_options(dataset, options)
    source, licence, attribution = SOURCES[dataset]
    cut = as_date("cut", full["cut"])
    at_least(1, text=full["text"])
    tables = source(**{key: full[key] for key in options_of(source)})
    if not (tables.transactions["time"] < cut).any():
        raise DataError(f"{dataset}: no purchase lies before the cut {full['cut']}.")
    history = History(purchases(tables)[0], cut)
    orders = np.bincount(history.orders["customer"], minlength=len(history.customers))
    users = np.flatnonzero(orders >= LEAST)
    if len(users) == 0:
        raise DataError(f"{dataset}: no customer has {LEAST} orders before the cut {full['cut']}.")
    sold = history.seen("product")
    words = text_vectors(history.catalogue, sold, full["text"], full["text_model"], full["text_path"])
    sequences = history.sequences(users, streamer_features(history).values, words.values)
    static = standardised(history.static, history.seen("customer"))
    arrays = {"static": np.clip(static.values[users], -FAR, FAR).astype(np.float32), **sequences}
    arrays["order_streamers"] = arrays["order_streamers"].astype(np.int64)
    about = {
        "name": dataset,
        "customers": len(users),
        "streamers": tables.facts.get("streamer_names", history.streamers),
        "licence": licence,
        "attribution": attribution,
        "provenance": {**tables.facts, **full, "static": static.names, "text": words.facts},
    }
    return Sequences(arrays, about)
