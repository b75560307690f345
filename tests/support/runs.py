"""A log played from a scenario to its tables, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from lersbench.bench import scenario
from lersbench.bench.replays import bench
from lersbench.log import Log
from lersbench.results.tables import load


def finals(log: Log, results: Path, **replay: Any) -> pd.DataFrame:
    """The last value of every metric of random and ucb1, by policy and metric, in two runs over the log as it is.

    `replay` are further keys of the scenario; `results` is the folder for the run.
    """
    content = {
        "name": "played",
        "title": "t",
        "data": {"log": log.path},
        "policies": [{"name": "random"}, {"name": "ucb1"}],
        "replay": {"seeds": 2, "replicates": "none", **replay},
    }
    run = bench(scenario.parse(content, "played.toml"), results, threads=1, say=lambda _: None)
    return load(run.folder).summary.pivot_table(index="policy", columns="metric", values="value")
