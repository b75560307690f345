"""The works of the laboratory: each trains or measures one thing and returns it as a table, ready to be kept.

A work is a function (data, before, seed, **params) -> Curve. `data` are the arrays of `datasets.sequences`, `before`
the tables of the works it builds on. A Curve's rows are epochs or customers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lersbench.lab import projections
from lersbench.lab.curve import Curve
from lersbench.lab.rules import Data, with_orders


def streamer(data: Data, before: Sequence[Curve], seed: int, *, least: int, **params: Any) -> Curve:
    """Train an encoder to predict the next streamer; `params` are those of `training.train_streamer`."""
    from lersbench.neural.training import train_streamer

    return _epochs(train_streamer(with_orders(data, least), seed=seed, **params))


def basket(data: Data, before: Sequence[Curve], seed: int, *, least: int, **params: Any) -> Curve:
    """Train an encoder to predict the next basket; `params` are those of `training.train_basket`."""
    from lersbench.neural.training import train_basket

    return _epochs(train_basket(with_orders(data, least), seed=seed, **params))


def context(data: Data, before: Sequence[Curve], seed: int, **params: Any) -> Curve:
    """The context of every customer; its last column is the streamer of the last order, -1 where unknown.

    `params` are those of `training.full_context`.
    """
    from lersbench.neural.training import full_context

    states, following = full_context(data, seed=seed, **params)
    return _customers(np.column_stack([states, following]), [*_numbers(states.shape[1]), "streamer"])


def code(data: Data, before: Sequence[Curve], seed: int, **params: Any) -> Curve:
    """Train an autoencoder of the contexts; `params` are those of `training.train_code`."""
    from lersbench.neural.training import train_code

    return _epochs(train_code(states_of(before[0]), seed=seed, **params)[0])


def codes(data: Data, before: Sequence[Curve], seed: int, **params: Any) -> Curve:
    """The codes of all customers by the same training; with the streamers, like `context`."""
    from lersbench.neural.training import train_code

    values = train_code(states_of(before[0]), seed=seed, **params)[1]
    return _customers(np.column_stack([values, before[0].values[:, -1]]), [*_numbers(values.shape[1]), "streamer"])


def picture(data: Data, before: Sequence[Curve], seed: int, *, method: str, customers: int) -> Curve:
    """Codes (or contexts) of a random part of the customers whose next streamer is known, as points: x, y, streamer."""
    with_streamer = np.flatnonzero(before[0].values[:, -1] >= 0)
    chosen = np.sort(np.random.default_rng(seed).permutation(with_streamer)[:customers])
    points = projections.project(method, states_of(before[0])[chosen], seed)
    values = np.column_stack([points, before[0].values[chosen, -1]])
    return Curve(chosen, ("x", "y", "streamer"), values, {})


WORKS: dict[str, Callable[..., Curve]] = {
    work.__name__: work for work in (streamer, basket, context, code, codes, picture)
}


def states_of(curve: Curve) -> np.ndarray:
    """The codes (n, size) in a table of `codes` or `context`."""
    return np.ascontiguousarray(curve.values[:, :-1], np.float32)


def _epochs(table: pd.DataFrame) -> Curve:
    names = tuple(name for name in table.columns if name != "epoch")
    return Curve(table["epoch"].to_numpy(np.int64), names, table[list(names)].to_numpy(float), {})


def _customers(values: np.ndarray, names: Sequence[str]) -> Curve:
    return Curve(np.arange(len(values)), tuple(names), values.astype(float), {})


def _numbers(n: int) -> list[str]:
    return [str(number) for number in range(n)]
