"""How far an estimate can be believed: its diagnostics, its verdict, and what cutting its weights does."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from lersbench.evaluation.answers import Estimate
from lersbench.evaluation.judged import Judged
from lersbench.evaluation.ran import Ran
from lersbench.evaluation.setup import Setup
from lersbench.offpolicy.sums import CELLS, cell_of_quantile, clipped, edge, six, top_weights, weight_cut

CUTS = (0.9, 0.99, 0.999)
POINTS = 60  # of a weight curve


def of(setup: Setup, judged: Judged, estimate: Estimate, found: list[Estimate], ran: Ran) -> dict[str, Any]:
    s = six(estimate.sums[0])
    return {"ess": s.s1**2 / s.s2 if s.s2 > 0 else 0.0, "verdict": "believe", "reason": ""}


def sensitivity(judged: list[Judged], ran: Ran) -> pd.DataFrame:
    """SNIPS of each policy with weights cut near quantiles of their distribution, and as it is."""
    rows = []
    for one in judged:
        sums = next(iter(one.families.values()))[0]
        for q in (*CUTS, None):
            cell = cell_of_quantile(sums, q) if q else CELLS
            s = clipped(sums, cell) if cell < CELLS else six(sums)
            value = s.r1 / s.s1 if s.s1 > 0 else math.nan
            rows.append(
                {
                    "policy": one.label,
                    "feedback": one.question,
                    "cut": f"{100 * q:g} %" if q else "none",
                    "weight": edge(cell) if cell < CELLS else math.inf,
                    "value": value,
                    "cut_share": weight_cut(sums, cell) if cell < CELLS else 0.0,
                    "lift": value - ran.value,
                }
            )
    return pd.DataFrame(rows)


def weights(judged: list[Judged]) -> pd.DataFrame:
    """The largest weights of each policy, the largest first: some of the ranks, evenly on a logarithmic scale."""
    rows = []
    for one in judged:
        top = top_weights(next(iter(one.families.values()))[0])
        ranks = sorted({round(len(top) ** (i / POINTS)) for i in range(POINTS + 1)}) if len(top) else []
        rows += [
            {"policy": one.label, "feedback": one.question, "rank": rank, "weight": float(top[rank - 1, 0])}
            for rank in ranks
        ]
    return pd.DataFrame(rows)
