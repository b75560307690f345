"""MIPS: weights of the categories of items in place of items, on logs whose whole logging distribution is known."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lersbench.errors import ConfigError, did_you_mean
from lersbench.evaluation.answers import Estimate, Range
from lersbench.evaluation.judged import Judged, Single
from lersbench.evaluation.model import candidates_of
from lersbench.log import Log
from lersbench.offpolicy.embeddings import category_weights
from lersbench.offpolicy.sums import Settings, Sums, add, influence, merge, new_sums, six

NAME = "mips"


class Categories:
    """One policy's sums of rewards by weights of categories, of a uniform log."""

    def __init__(self, column: str, of_item: np.ndarray, settings: Settings, source: str) -> None:
        self.column, self.of_item, self.source = column, of_item, source
        self.sums: Sums = new_sums(settings)

    def take(self, rounds: Single) -> None:
        logged, first = rounds.logged, rounds.chances.first
        _, item, _ = candidates_of(logged)
        wide = np.diff(first)
        shown = logged.rows.slate[logged.rows.top[logged.inside]]
        start = int(logged.at[0])
        found = category_weights(
            rounds.chances.offered, np.repeat(1.0 / wide, wide), self.of_item[item], first, shown, start
        )
        add(
            self.sums, found.w, logged.reward, np.minimum(found.propensity, 1.0), logged.bucket, None, logged.slices,
            start, self.source,
        )  # fmt: skip

    def merge(self, other: Categories) -> None:
        self.sums = merge(self.sums, other.sums)

    def estimate(self, judged: Judged, counts: np.ndarray, span: Range) -> Estimate:
        value = six(self.sums).r1 / max(1, int(self.sums.rows[0]))
        return Estimate(NAME, 0, value, influence(self.sums, "ips", value), counts, (self.sums,), span)


def categories_of(log: Log, column: str | None) -> np.ndarray:
    """(n_items,) int64 the category of each item, by a column of the item table; ConfigError where there is none."""
    table = log.item_table()
    usable = [
        name for name in table.columns if name != "item" and not isinstance(table[name].iloc[0], list | np.ndarray)
    ]
    if column is None:
        there = f" It has {', '.join(usable)}." if usable else " It has none."
        raise ConfigError(
            f"mips weighs categories of items: name a column of the items of log '{log.info.name}' with "
            f"--embedding.{there}"
        )
    if column not in usable:
        near = did_you_mean(column, usable, "there are")
        raise ConfigError(f"--embedding {column}: the items of log '{log.info.name}' have no such column{near}")
    return pd.factorize(table[column], use_na_sentinel=False)[0].astype(np.int64)
