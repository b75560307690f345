"""Results from made-up files: cases and contenders, and what is said of broken files."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lersbench.errors import ConfigError, DataError
from lersbench.results import places
from lersbench.results import words as result_words
from lersbench.results.ranking import board, table
from lersbench.results.tables import latest, load
from tests.support import fake_results

FEW = {label: fake_results.POLICIES[label] for label in ("random", "popular", "hybrid", "ucb1")}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return fake_results.make(tmp_path / "active" / "a", policies=FEW, points=5)


def test_regimes_of_different_variants_do_not_rename_a_policy(run: Path) -> None:
    for name in ("curves.parquet", "summary.parquet"):
        rows = pd.read_parquet(run / name)
        other = rows.assign(variant="simulated", log="", feedback="simulated")
        pd.concat([rows.assign(variant="logged", log="", feedback="logged"), other]).to_parquet(run / name)
    results = load(run)
    assert set(results.summary["policy"]) == set(FEW)
    assert board(results).warnings == []
    assert places.place_in_words(results, "simulated") == "simulated users: "
    assert places.place_in_words(results, "logged") == "logged-click re-ranking: "


def test_cases_are_known_by_their_columns_whatever_they_are_called(tmp_path: Path) -> None:
    """Labels that say nothing, and labels that say something else, change neither cases nor words."""
    usual = fake_results.in_cases(tmp_path / "usual")
    (odd,) = [case for case in usual.cases if case.variant == "logging=uniform simulated K=6"]
    assert (odd.data, odd.protocol, odd.slate) == ("logging=uniform", "simulated", 6)
    assert odd.in_words() == "logging=uniform, simulated users, K = 6"
    assert odd.in_words(protocol=False, slate=False) == "logging=uniform"
    assert usual.slates == [3, 6]
    other = fake_results.in_cases(tmp_path / "other", lambda name: f"logged K=9 {sum(name.encode())}")
    assert [replace(case, variant="") for case in other.cases] == [replace(case, variant="") for case in usual.cases]
    for results in (usual, other):
        told = [places.data_in_words(results, case.variant) for case in results.cases]
        assert set(told) == {"taobao, 180,000 rounds, 960 items"}, "the name of the case says slate and protocol"
    assert len(other.curves_of("ctr_sum")) == len(usual.curves_of("ctr_sum")) > 0


def test_what_stands_in_brackets_in_a_label_is_no_regime(tmp_path: Path) -> None:
    """Labels of a scenario's own beside an entry under two regimes, which is two contenders."""
    policies = {
        "random": ("random", {}, "bandit", 0.0),
        "mine (full)": ("popular", {}, "bandit", 0.4),
        "hybrid": ("hybrid", {}, ("bandit", "full"), 0.7),
    }
    run = fake_results.make(tmp_path, policies=policies, points=3)
    fake_results.edit_meta(run, torch_policies=["hybrid", "mine"])
    results = load(run)
    assert results.entries == {
        **{label: label for label in ("random", "mine (full)")},
        **{f"hybrid ({kind})": "hybrid" for kind in ("bandit", "full")},
    }
    assert results.called("mine") == [] and results.called("hybrid") == ["hybrid (bandit)", "hybrid (full)"]
    assert results.under("", "hybrid", "full") == "hybrid (full)"
    told = next(line for line in result_words.legend(board(results)) if line.startswith("In PyTorch"))
    assert "hybrid (full)" in told and "mine" not in told
    assert set(results.curves_of("misses")["policy"]) == set(results.entries)


def test_a_run_without_the_columns_of_its_cases_is_to_be_run_again(run: Path) -> None:
    for name in ("summary.parquet", "curves.parquet"):
        pd.read_parquet(run / name).drop(columns=["log", "slate"]).to_parquet(run / name)
        with pytest.raises(DataError, match=f"{name} has no column log, slate.* Fix: run the scenario again"):
            load(run)


@pytest.mark.parametrize("name", ["curves.parquet", "summary.parquet", "run.json"])
def test_missing_and_broken_files_are_named(run: Path, name: str) -> None:
    whole = (run / name).read_bytes()
    (run / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=name):
        load(run)
    (run / name).unlink()
    with pytest.raises(DataError, match=f"{name} is missing"):
        load(run)


def test_results_that_contradict_themselves_are_refused(run: Path) -> None:
    summary = pd.read_parquet(run / "summary.parquet")
    pd.concat([summary, summary.iloc[:1]]).to_parquet(run / "summary.parquet")
    with pytest.raises(DataError, match="two values"):
        load(run)
    summary.drop(columns="feedback").to_parquet(run / "summary.parquet")
    with pytest.raises(DataError, match="no column feedback"):
        load(run)
    summary.iloc[:0].to_parquet(run / "summary.parquet")
    with pytest.raises(DataError, match="no rows"):
        load(run)


def test_a_run_that_says_too_little_is_refused(run: Path) -> None:
    fake_results.edit_meta(run, scenario={"name": "active", "leaderboard": "hr@20"})
    with pytest.raises(DataError, match=r"scenario\.replicates"):
        load(run)
    fake_results.edit_meta(run, logs=[])
    with pytest.raises(DataError, match="'logs'"):
        load(run)
    with pytest.raises(ConfigError, match="no results"):
        load(run / "nowhere")


def test_the_latest_finished_run_is_found(tmp_path: Path, run: Path) -> None:
    newer = fake_results.make(tmp_path / "active" / "b", policies=FEW, points=2)
    for age, folder in enumerate((newer, run)):
        os.utime(folder / "run.json", (1000 - age, 1000 - age))
    (tmp_path / "active" / "c").mkdir()  # a run that did not finish
    assert latest(tmp_path, "active") == newer
    with pytest.raises(ConfigError, match=r"only of active; did you mean 'active'"):
        latest(tmp_path, "actve")
    with pytest.raises(ConfigError, match="no finished run yet"):
        latest(tmp_path / "empty", "active")


def test_metrics_that_do_not_apply_are_left_out(run: Path) -> None:
    summary = pd.read_parquet(run / "summary.parquet")
    summary.loc[summary["metric"] == "coverage", "value"] = np.nan
    summary.to_parquet(run / "summary.parquet")
    assert "coverage" not in load(run).metrics
    assert "coverage" not in table(load(run))
