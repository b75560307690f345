"""The table of one training run or picture: epochs or customers, and what was measured of each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa


class Curve:
    """What was measured, a row an epoch or a customer."""

    def __init__(self, rounds: np.ndarray, metrics: tuple[str, ...], values: np.ndarray, about: dict[str, Any]):
        self.rounds = rounds  # (n,) int64 epochs, or customers
        self.metrics = metrics
        self.values = values  # (n, len(metrics)), NaN where not measured
        self.about = about  # work, params, seed, seconds ...

    def table(self) -> pa.Table:
        return pa.table({"round": self.rounds, **dict(zip(self.metrics, self.values.T, strict=True))})

    @classmethod
    def of_table(cls, table: pa.Table, about: dict[str, Any]) -> Curve:
        names = tuple(name for name in table.column_names if name != "round")
        values = np.column_stack([table.column(name).to_numpy() for name in names])
        return cls(table.column("round").to_numpy(), names, values, about)
