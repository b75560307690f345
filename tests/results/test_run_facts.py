"""What two runs are compared by: cases and regimes apart, seeds, data, stored results, and what cannot be told."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lersbench.errors import ConfigError
from lersbench.results import run_facts, two_runs
from lersbench.results.lab import load as load_lab
from lersbench.results.tables import Results, load
from lersbench.results.two_runs import MOVED, SAME, UNKNOWN, Comparison
from tests.support import fake_lab, fake_results

FEW: dict[str, Any] = {label: fake_results.POLICIES[label] for label in ("random", "hybrid")}


def made(folder: Path, policies: dict[str, Any] | None = None, seeds: int = 10, **changes: Any) -> Results:
    options = {"metrics": {"misses"}, "leaderboard": "misses"}
    fake_results.make(folder, policies or FEW, seeds=seeds, points=3, **options)
    fake_results.edit_meta(folder, **changes)
    return load(folder)


def compared(before: Results, after: Results) -> Comparison:
    return two_runs.compare(
        (run_facts.of_replay(before), run_facts.values_of_replay(before, after)),
        (run_facts.of_replay(after), run_facts.values_of_replay(after, before)),
    )


def test_means_and_errors_are_those_of_the_final_values(tmp_path: Path) -> None:
    results = made(tmp_path / "a")
    found = run_facts.values_of_replay(results, results)
    assert (found.title, found.times, set(found.of)) == ("Misses, in %", 100, {("", "random"), ("", "hybrid")})
    values = results.finals("", "misses")["hybrid"]
    value = found.of["", "hybrid"]
    assert value.mean == pytest.approx(values.mean()) and value.df == 9
    assert value.variance == pytest.approx(values.var(ddof=1) / 10)


def test_regimes_and_cases_are_contenders_of_their_own(tmp_path: Path) -> None:
    both = made(tmp_path / "both", {**FEW, "hybrid": ("hybrid", {}, ("bandit", "full"), 0.7)})
    alone = made(tmp_path / "alone")
    found = compared(alone, both)
    assert {move.name for move in found.moves} == {"random (bandit)", "hybrid (bandit)"}
    assert found.new == ["hybrid (full)"] and found.gone == []
    lists = load(fake_results.make_lists(tmp_path / "lists", fake_results.FEW_LISTS, seeds=3, points=3))
    cases = {case for case, _ in run_facts.values_of_replay(lists, lists).of}
    assert cases == {f"{protocol} K={size}" for protocol in ("logged", "simulated") for size in (3, 6)}


def test_other_data_are_told_and_so_are_fewer_seeds_of_some(tmp_path: Path) -> None:
    before, after = made(tmp_path / "a"), made(tmp_path / "b", seeds=6)
    after.meta["logs"][0] |= {"digest": "1" * 64, "rounds": 900}
    short = pd.read_parquet(tmp_path / "b" / "summary.parquet")
    short = short[(short["policy"] == "random") | (short["seed"] < 3)]
    after = Results(after.path, short.assign(entry=short["policy"]), after.meta)
    found = compared(before, after)
    assert found.other_data
    assert [tuple(one) for one in found.changes] == [
        ("data", "completejourney", f"{'0' * 64}, 1,000 rounds", f"{'1' * 64}, 900 rounds"),
        ("seeds", "seeds", "10", "6"),
        ("seeds", "hybrid", "-", "3"),
    ]


def test_what_was_made_from_the_same_stored_results_is_the_same(tmp_path: Path) -> None:
    """Also with more seeds: its mean is another, its code, data and settings are not."""
    stored = {"k1": ["", "hybrid", "bandit", 10], "k2": ["", "random", "bandit", 10]}
    before = made(tmp_path / "a", contenders=stored)
    after = made(tmp_path / "b", {**FEW, "random": ("random", {}, "bandit", 0.9)}, 40, contenders=stored)
    after.meta["contenders"] = {"k1": stored["k1"], "k4": ["", "random", "bandit", 40]}
    verdicts = {move.name: move.verdict for move in compared(before, after).moves}
    assert verdicts == {"hybrid": SAME, "random": MOVED}


def test_one_seed_tells_no_error(tmp_path: Path) -> None:
    better = {**FEW, "hybrid": ("hybrid", {}, "bandit", 0.9)}
    found = compared(made(tmp_path / "a", seeds=1), made(tmp_path / "b", better, seeds=1))
    assert {move.name: move.verdict for move in found.moves} == {"hybrid": UNKNOWN, "random": SAME}
    assert math.isnan(float(found.moves[0].difference.low))


def test_runs_without_a_common_metric_are_not_compared(tmp_path: Path) -> None:
    before = made(tmp_path / "a")
    fake_results.make(tmp_path / "b", FEW, points=3, metrics={"coverage"}, leaderboard="coverage")
    with pytest.raises(ConfigError, match="Fix: run the scenario again, with one 'leaderboard'"):
        compared(before, load(tmp_path / "b"))


def test_an_experiment_is_compared_by_its_test_values(tmp_path: Path) -> None:
    results = load_lab(fake_lab.make(tmp_path / "a"))
    found = run_facts.values_of_experiment(results, results)
    assert (found.title, found.times, list(found.of)) == ("Test accuracy, in %", 100, [("", "GRU"), ("", "RNN")])
    values = results.finals("GRU", "test_accuracy").to_numpy()
    assert found.of["", "GRU"].variance == pytest.approx(np.var(values, ddof=1) / len(values))
    assert run_facts.of_experiment(results)["data"] == {"toy": "0" * 20}


def test_settings_are_flat_and_what_is_not_set_is_left_out() -> None:
    content = {"replay": {"slate": [3, 6], "fit": None, "reward": "click"}, "seed": 0}
    assert run_facts.flat(content) == {"replay.slate": "[3, 6]", "replay.reward": "click", "seed": "0"}
