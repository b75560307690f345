"""From a table to an answer by the two commands of the README, in worlds whose truth is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from click.testing import CliRunner

from lersbench.cli.main import cli


def answers(tmp_path: Path, kind: str, table: pd.DataFrame, columns: dict[str, str], *asked: str) -> dict[str, Any]:
    """Import a table, evaluate policies on the log, and return what --json says of each by its leading estimator."""
    file, log = tmp_path / "table.csv", str(tmp_path / "log")
    table.to_csv(file, index=False)
    named = [word for ours, yours in columns.items() for word in ("--column", f"{ours}={yours}")]
    context = [word for name in ("age", "hour") if name in table for word in ("--context", name)]
    for command in (["import", kind, str(file), log, *named, *context], ["evaluate", log, *asked]):
        extra = ["--json", "--no-plots", "--out", str(tmp_path / "out")] if command[0] == "evaluate" else []
        done = CliRunner().invoke(cli, [*command, *extra], catch_exceptions=False)
        assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    return {row["policy"]: row for row in reversed(rows)}


def test_a_contextual_log_with_propensities_gives_the_right_value_and_is_believed(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    n, x = 20_000, rng.normal(size=(20_000, 2))
    rate = 1 / (1 + np.exp(-x @ rng.normal(size=(2, 5)) + 1))
    chance = np.exp(x @ rng.normal(size=(2, 5)) * 0.7)
    chance = 0.9 * chance / chance.sum(1, keepdims=True) + 0.02
    action, row = (chance.cumsum(1) > rng.random((n, 1))).argmax(1), np.arange(n)
    click = (rng.random(n) < rate[row, action]).astype(int)
    table = pd.DataFrame({"a": action, "r": click, "p": chance[row, action], "age": x[:, 0], "hour": x[:, 1]})
    columns = {"action": "a", "reward": "r", "propensity": "p"}
    found = answers(tmp_path, "decisions", table, columns, "--policy", "random")["random"]
    assert found["estimator"] == "dr" and found["verdict"] == "believe"
    assert found["low"] < rate.mean() < found["high"]
    assert abs(found["value"] - rate.mean()) < abs(click.mean() - rate.mean()) / 10  # the log's own mean is far off


def test_a_log_of_a_noisy_ranker_is_not_answered_with_the_wrong_sign(tmp_path: Path) -> None:
    """By logged clicks alone the best order is worth too little; the bracket reaches to what it is worth in truth."""
    rng = np.random.default_rng(0)
    n, offered, top = 5_000, 8, 3
    liked, seen = 1 / (1 + np.exp(-rng.normal(-2, 1, 100))), 0.85 ** np.arange(offered)
    lists = np.stack([rng.choice(100, offered, replace=False) for _ in range(n)])
    noisy = np.log(liked / (1 - liked))[lists] + rng.gumbel(size=lists.shape)
    lists = np.take_along_axis(lists, np.argsort(-noisy, axis=1), axis=1)
    clicks = (rng.random(lists.shape) < liked[lists] * seen).astype(int)
    request, place = np.divmod(np.arange(lists.size), offered)
    table = pd.DataFrame({"request": request, "position": place + 1, "item": lists.ravel(), "click": clicks.ravel()})
    scores = tmp_path / "scores.csv"
    pd.DataFrame({"item": np.arange(100), "score": liked}).to_csv(scores, index=False)
    found = answers(tmp_path, "impressions", table, {}, "--scores", str(scores), "--slate", str(top))
    (row,) = found.values()
    truth = (-np.sort(-liked[lists], axis=1)[:, :top] * seen[:top]).sum(1).mean()
    ran = clicks[:, :top].sum(1).mean()
    assert row["estimator"] == "bracket" and row["verdict"] == "caution"
    assert row["low"] < truth < row["high"] and truth > 1.1 * ran
    assert row["end_low"] < 1.1 * ran
