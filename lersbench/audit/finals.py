"""`python -m lersbench.audit.finals RUN`: the table of `shapes` from the results of a run with many seeds."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from lersbench.audit.shapes import COMPILED, NEURAL, STEPS, TABLE
from lersbench.policy import find
from lersbench.results.tables import Results, load

MANY = 50  # seeds from which on quantiles are kept
HEAD = """# Final misses, in per cent, of policies that draw: `lersbench bench active --seeds 200`,
# then `python -m lersbench.audit.finals results/active`. Quantiles from the least to the largest at equal steps.
policy,feedback,family,seeds,mean,sd,quantiles
"""


def table_of(run: Results, metric: str = "misses") -> str:
    """The final values of each policy whose runs differ; a constant one tells nothing of its shape."""
    lines, names = [], run.summary.drop_duplicates("policy").set_index("policy")
    for label, values in run.finals("", metric).items():
        x, row = 100 * values, names.loc[label]
        if np.ptp(x) == 0:
            continue
        family = NEURAL if find(str(row["name"])).apart else COMPILED
        quantiles = np.quantile(x, np.linspace(0, 1, STEPS)) if len(x) >= MANY else np.empty(0)
        numbers = f"{len(x)},{x.mean():.4f},{x.std(ddof=1):.4f},{' '.join(f'{q:.2f}' for q in quantiles)}"
        lines.append(f'"{row["entry"]}",{row["feedback"]},{family},{numbers}')
    return HEAD + "\n".join(sorted(lines)) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name(TABLE).write_text(table_of(load(Path(sys.argv[1]))), encoding="utf-8")
