"""What all customers of a shop did last, not only those of a scenario: what context models are trained on off line.

A log holds the customers of its scenario alone (1,000 in active), fewer than context models need: the published ones
learned from every customer with six orders or more. So the same tables and the same features are read here without
likes, live day or rounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from lersbench.datasets import completejourney, livestream
from lersbench.datasets.purchases.history import History
from lersbench.datasets.purchases.known import FAR
from lersbench.datasets.purchases.streamers import streamer_features
from lersbench.datasets.purchases.tables import Tables
from lersbench.datasets.purchases.text import text_vectors
from lersbench.datasets.reduce import standardised
from lersbench.datasets.transactions import as_date, purchases
from lersbench.errors import ConfigError, DataError, did_you_mean
from lersbench.options import checked, options_of

LEAST = 6  # orders of a customer who is kept: a sequence of 5, and the one that follows


class Sequences(NamedTuple):
    """What is known of n customers, and where it is from."""

    arrays: dict[str, np.ndarray]  # static, orders, order_streamers, baskets: as `log.history.history_arrays` has them
    about: dict[str, Any]  # name, customers, streamers (names by number), licence, attribution, provenance


SOURCES: dict[str, tuple[ModuleType, tuple[str, ...]]] = {  # with the options that their tables take
    "livestream": (livestream, ("scale", "seed")),
    "completejourney": (completejourney, ("cut", "seed")),
}
OURS = ("cut", "text", "text_model", "text_path")  # the options that are not of the tables: those of no scenario


def known_options(dataset: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """All options of `read`, those `given` over the defaults. Raises ConfigError for an unknown source or option."""
    if dataset not in SOURCES:
        hint = did_you_mean(dataset, SOURCES, "known are")
        raise ConfigError(f"There are no sequences of all customers of {dataset!r}{hint}")
    source, of_tables = SOURCES[dataset]
    options = options_of(source.Options)
    return checked(f"data set {dataset}", {name: options[name] for name in (*of_tables, *OURS)}, given)


def read(dataset: str, options: Mapping[str, Any]) -> Sequences:
    """The sequences of all customers with LEAST orders or more before the cut.

    `options` are those of `known_options`: scale (livestream), cut, seed, text, text_model, text_path. Raises
    ConfigError for an unknown source or option, DataError where there is no such customer.
    """
    full = known_options(dataset, options)
    source, of_tables = SOURCES[dataset]
    cut = as_date("cut", full["cut"])
    tables: Tables = source.tables(**{name: full[name] for name in of_tables})
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
        "licence": source.LICENCE,
        "attribution": source.ATTRIBUTION,
        "provenance": {**tables.facts, **full, "static": static.names, "text": words.facts},
    }
    return Sequences(arrays, about)
