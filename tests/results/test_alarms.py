"""On a uniformly random log a random order must come to what the logger has; where it does not, the tables say so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from lersbench.results.alarms import alarms, gap
from lersbench.results.ranking import board
from lersbench.results.tables import load
from tests.support.fake_results import make_lists


def test_a_gap_adds_the_error_of_seeds_and_records() -> None:
    """Differences .2 and .4 of two seeds; records .01 and .02 on their own: with equal seeds only these are left."""
    random, logger = np.array([1.2, 1.4]), np.array([1.0, 1.0])
    wide = gap(random, logger, np.zeros(2), np.zeros(2), "none")
    assert abs(wide.mean - 0.3) < 1e-12 and wide.half > 0
    alike = gap(np.array([1.3]), logger[:1], np.array([0.03]), np.array([0.04]), "none")
    assert alike.sure and abs(alike.half - 1.96 * 0.05) < 1e-12
    assert not gap(np.array([1.05]), logger[:1], np.array([0.03]), np.array([np.nan]), "none").sure


def told(folder: Path, **values: float) -> Path:
    """A run on a uniform log in which random's estimates are those of the logger times `values`."""
    path = make_lists(folder, protocols=("logged",), slates=(3,), seeds=5, points=5)
    meta = json.loads((path / "run.json").read_text())
    for log in meta["logs"]:
        log["propensities"] = "uniform"
    (path / "run.json").write_text(json.dumps(meta))
    summary = pd.read_parquet(path / "summary.parquet")
    for metric, factor in values.items():
        rows = {name: (summary.name == name) & (summary.metric == metric) for name in ("random", "ltr")}
        summary.loc[rows["random"], "value"] = factor * summary.loc[rows["ltr"], "value"].to_numpy()
    summary.to_parquet(path / "summary.parquet")
    return path


def test_random_that_differs_from_the_logger_raises_the_alarm(tmp_path: Path) -> None:
    results = load(told(tmp_path / "one", pbm_ips=1.0, ubm_ips=1.2, iips=1.0))
    (line,) = alarms(results)
    assert line.startswith("ALARM: ") and "UBM-IPS" in line and "random must equal the logger" in line
    assert line in board(results).warnings
    assert alarms(load(told(tmp_path / "two", pbm_ips=1.0, ubm_ips=1.0, iips=1.0))) == []


def test_a_log_that_is_not_uniform_raises_none(tmp_path: Path) -> None:
    assert alarms(load(make_lists(tmp_path / "run", protocols=("logged",), slates=(3,), seeds=5, points=5))) == []
