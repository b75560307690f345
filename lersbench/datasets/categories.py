"""Columns of text as columns of 0 and 1: one for each of the most frequent values, one for the others together."""

from __future__ import annotations

import numpy as np

from lersbench.datasets.selections import Selections
from lersbench.datasets.tables.reading import Workshop, literal

OTHER = "other"


def levels_of(work: Workshop, relation: str, alias: str, column: str, cap: int, selections: Selections) -> list[str]:
    """The values of a column that have a column each, sorted, at most `cap` of them, then "other" where there are more;
    DuckDB has them with their numbers as the table `levels_<alias>`."""
    counts = f"SELECT {alias} AS value, count(*) AS n FROM {relation} GROUP BY {alias}"
    taken = [row[0] for row in work.rows(f"SELECT value FROM ({counts}) ORDER BY n DESC, value LIMIT {cap}")]
    values, rows = work.row(f"SELECT count(*), sum(n)::BIGINT FROM ({counts})")
    levels = sorted(taken)
    if values > len(taken):
        levels = [level for level in levels if level != OTHER] + [OTHER]
        inside = ", ".join(map(literal, taken))
        rare = rows - work.row(f"SELECT sum(n)::BIGINT FROM ({counts}) WHERE value IN ({inside})")[0]
        share = f"{rare:,} of {rows:,} {'requests' if relation == 'requests' else 'rows'}"
        selections.repaired(
            f"--category-cap {cap}", f"{values - cap:,} of {values:,} values of {column} are {OTHER!r}, in {share}"
        )
    rows_of = ", ".join(f"({literal(level)}, {code})" for code, level in enumerate(levels))
    work.db.execute(f"CREATE TABLE levels_{alias} AS SELECT * FROM (VALUES {rows_of}) AS v(value, code)")
    return levels


def one_hot(codes: np.ndarray, width: int) -> np.ndarray:
    """(n, width) 0 and 1 from (n,) codes."""
    return (codes[:, None] == np.arange(width)).astype(np.float64)
