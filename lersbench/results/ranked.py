"""The results of a run with their ranking: what Python and notebooks get, above the tables and what ranks them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import pandas as pd

from lersbench.results import tables
from lersbench.results.ranking import board, table
from lersbench.results.words import to_html, to_terminal


class Results(tables.Results):
    """The results of a run as the tables hold them, which can rank and show themselves."""

    def leaderboard(
        self,
        metric: str | None = None,
        metrics: str | Sequence[str] | None = None,
        baseline: str | None = None,
        simultaneous: bool = False,
    ) -> pd.DataFrame:
        """The ranking, best first, in fractions and counts: see `ranking.table`."""
        return table(self, metric, [metrics] if isinstance(metrics, str) else metrics, baseline, simultaneous)

    def __repr__(self) -> str:
        return super().__repr__().replace("; summary", "; leaderboard(), summary")

    def __str__(self) -> str:
        return to_terminal(board(self), bold=False)

    def _repr_html_(self) -> str:
        return to_html(board(self))


def with_ranking(results: tables.Results) -> Results:
    """The same results, with their ranking."""
    return Results(*(getattr(results, field.name) for field in fields(results)))


def load(folder: str | Path) -> Results:
    """Read the results of one run, as `tables.load` does."""
    return with_ranking(tables.load(folder))
