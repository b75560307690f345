"""The leaderboard from made-up results: its numbers, its words, and what it does with broken files."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lersbench.errors import ConfigError, DataError
from lersbench.metrics import METRICS
from lersbench.results import numbers, places
from lersbench.results import words as result_words
from lersbench.results.ranking import board, table
from lersbench.results.statistics import interval, paired
from lersbench.results.tables import Results, latest, load
from tests.support import fake_results

FEW = {label: fake_results.POLICIES[label] for label in ("random", "popular", "hybrid", "ucb1")}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return fake_results.make(tmp_path / "active" / "a", policies=FEW, points=5)


def edit_meta(run: Path, **changes: object) -> None:
    path = run / "run.json"
    meta = json.loads(path.read_text())
    path.write_text(json.dumps({**meta, **changes}))


def edit_summary(run: Path, change: str, keep: bool = True) -> None:
    summary = pd.read_parquet(run / "summary.parquet")
    summary.query(change if keep else f"not ({change})").to_parquet(run / "summary.parquet")


def test_rows_are_ranked_with_the_statistics_of_the_package(run: Path) -> None:
    results = load(run)
    frame = table(results, metrics=["coverage"])
    assert list(frame["policy"]) == ["hybrid", "popular", "ucb1", "random"]
    assert list(frame["rank"]) == ["1", "2", "3", "4"]
    finals = results.final("", "hr@20").to_numpy()
    names = list(results.final("", "hr@20").index)
    row = frame.iloc[0]
    own, base = finals[names.index("hybrid")], finals[names.index("random")]
    assert [row["mean"], row["low"], row["high"]] == [float(x) for x in interval(own, "shuffle")]
    gains = ["difference", "difference_low", "difference_high"]
    assert [row[name] for name in gains] == [float(x) for x in paired(own, base, "shuffle")]
    assert row["coverage"] == pytest.approx(results.final("", "coverage").loc["hybrid"].mean())
    assert frame.iloc[3][gains].isna().all()  # the baseline has no difference to itself
    assert set(frame["seeds"]) == {10}


def test_a_metric_that_is_better_low_is_ranked_from_below(run: Path) -> None:
    frame = table(load(run), "misses")
    assert list(frame["mean"]) == sorted(frame["mean"])
    assert frame.iloc[0]["policy"] == "hybrid"


def test_what_cannot_be_ranked_or_found_is_refused_with_a_suggestion(run: Path) -> None:
    results = load(run)
    with pytest.raises(ConfigError, match="diversity is neither better"):
        board(results, "diversity")
    with pytest.raises(ConfigError, match=r"'hr@2'.*Did you mean 'hr@20'"):
        board(results, "hr@2")
    with pytest.raises(ConfigError, match=r"'randon'.*Did you mean 'random'"):
        board(results, baseline="randon")


def test_a_scenario_whose_baseline_was_not_run_has_no_differences_and_says_so(tmp_path: Path) -> None:
    results = load(fake_results.make(tmp_path, policies=FEW, points=2, baseline="nobody"))
    assert "difference" not in table(results)
    assert "'nobody' was not run" in board(results).warnings[0]


def test_one_section_per_variant(tmp_path: Path) -> None:
    results = load(fake_results.make(tmp_path, policies=FEW, points=2, variants=("men", "women")))
    assert list(table(results)["variant"]) == ["men"] * 4 + ["women"] * 4
    text = result_words.to_terminal(board(results))
    assert text.index("men: completejourney") < text.index("women: completejourney")


def test_mixed_feedback_is_said_in_every_format(tmp_path: Path) -> None:
    policies = {**FEW, "lers": ("lers", {}, "full", 0.9)}
    mixed = board(load(fake_results.make(tmp_path / "m", policies=policies, points=2)))
    plain = board(load(fake_results.make(tmp_path / "p", policies=FEW, points=2)))
    for render in (result_words.to_terminal, result_words.to_markdown, result_words.to_json):
        assert "Regimes are ranked apart" in " ".join(render(mixed).split())
        assert "Regimes are ranked apart" not in " ".join(render(plain).split())


def test_one_policy_under_two_regimes_is_two_contenders_each_with_its_own_baseline(run: Path) -> None:
    for name in ("curves.parquet", "summary.parquet"):
        rows = pd.read_parquet(run / name)
        full = rows[rows["policy"].isin(["random", "hybrid"])].assign(feedback="full")
        full["value"] = full["value"] + 0.1
        pd.concat([rows, full]).to_parquet(run / name)
    frame = table(load(run)).set_index("policy")
    assert {"hybrid (full)", "hybrid (bandit)", "random (full)", "random (bandit)", "popular"} <= set(frame.index)
    assert frame.loc["hybrid (full)", "mean"] == pytest.approx(frame.loc["hybrid (bandit)", "mean"] + 0.1)
    gains = frame["difference"]
    assert gains["hybrid (full)"] == pytest.approx(gains["hybrid (bandit)"])
    assert gains["popular"] == pytest.approx(frame.loc["popular", "mean"] - frame.loc["random (bandit)", "mean"])


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


def in_cases(folder: Path, label: Callable[[str], str] = str) -> Results:
    """A run of two logs, two protocols and two slate sizes, its cases called what `label` makes of their names."""
    policies = {name: fake_results.LISTS[name] for name in ("ltr", "random")}
    run = fake_results.make_lists(folder, policies, data=("logging=ltr", "logging=uniform"), seeds=2, points=2)
    for name in ("curves.parquet", "summary.parquet"):
        rows = pd.read_parquet(run / name)
        rows.assign(variant=rows["variant"].map(label)).to_parquet(run / name)
    logs = json.loads((run / "run.json").read_text())["logs"]
    edit_meta(run, logs=[{**log, "variant": label(log["variant"])} for log in logs])
    return load(run)


def test_cases_are_known_by_their_columns_whatever_they_are_called(tmp_path: Path) -> None:
    """Labels that say nothing, and labels that say something else, change neither cases nor words."""
    usual = in_cases(tmp_path / "usual")
    (odd,) = [case for case in usual.cases if case.variant == "logging=uniform simulated K=6"]
    assert (odd.data, odd.protocol, odd.slate) == ("logging=uniform", "simulated", 6)
    assert odd.in_words() == "logging=uniform, simulated users, K = 6"
    assert odd.in_words(protocol=False, slate=False) == "logging=uniform"
    assert usual.slates == [3, 6]
    other = in_cases(tmp_path / "other", lambda name: f"logged K=9 {sum(name.encode())}")
    assert [replace(case, variant="") for case in other.cases] == [replace(case, variant="") for case in usual.cases]
    for results in (usual, other):
        told = [places.data_in_words(results, case.variant) for case in results.cases]
        assert set(told) == {"taobao, 180,000 rounds, 960 items"}, "the name of the case says slate and protocol"
    assert len(other.curves("ctr_sum")) == len(usual.curves("ctr_sum")) > 0


def test_a_batch_is_told_beside_a_slate_of_the_same_size(tmp_path: Path) -> None:
    results = in_cases(tmp_path)
    results.scenario["replay"]["batch"] = 3
    assert places.data_in_words(results, "logging=ltr logged K=3").endswith("960 items, batch 3")


def test_what_stands_in_brackets_in_a_label_is_no_regime(tmp_path: Path) -> None:
    """Labels of a scenario's own beside an entry under two regimes, which is two contenders."""
    policies = {
        "random": ("random", {}, "bandit", 0.0),
        "mine (full)": ("popular", {}, "bandit", 0.4),
        "hybrid": ("hybrid", {}, ("bandit", "full"), 0.7),
    }
    run = fake_results.make(tmp_path, policies=policies, points=3)
    edit_meta(run, torch_policies=["hybrid", "mine"])
    results = load(run)
    assert results.entries == {
        **{label: label for label in ("random", "mine (full)")},
        **{f"hybrid ({kind})": "hybrid" for kind in ("bandit", "full")},
    }
    assert results.called("mine") == [] and results.called("hybrid") == ["hybrid (bandit)", "hybrid (full)"]
    assert results.under("", "hybrid", "full") == "hybrid (full)"
    told = next(line for line in result_words.legend(board(results)) if line.startswith("In PyTorch"))
    assert "hybrid (full)" in told and "mine" not in told
    assert set(results.curves("misses")["policy"]) == set(results.entries)


def test_a_run_without_the_columns_of_its_cases_is_to_be_run_again(run: Path) -> None:
    for name in ("summary.parquet", "curves.parquet"):
        pd.read_parquet(run / name).drop(columns=["log", "slate"]).to_parquet(run / name)
        with pytest.raises(DataError, match=f"{name} has no column log, slate.* Fix: run the scenario again"):
            load(run)


def test_one_seed_shows_a_dash_instead_of_an_interval(tmp_path: Path) -> None:
    found = board(load(fake_results.make(tmp_path, policies=FEW, seeds=1, points=2)))
    _, rows = result_words.cells(found, "", "bandit")
    assert [row[4] for row in rows] == ["-"] * 4
    assert {row[0] for row in rows} == {"-"}
    assert "One seed only" in result_words.to_terminal(found)


def test_missing_seeds_and_undefined_values_are_told(run: Path) -> None:
    edit_summary(run, "policy == 'popular' and seed > 6", keep=False)
    edit_summary(run, "policy == 'hybrid' and seed == 3 and metric == 'hr@20'", keep=False)
    found = board(load(run))
    frame = found.frame.set_index("policy")
    assert frame.loc["popular", "seeds"] == 7
    assert math.isnan(frame.loc["hybrid", "mean"])
    assert list(frame.index)[-1] == "hybrid"
    assert "has run all 10 seeds (popular: 7)" in found.warnings[0]
    assert "hr@20 of hybrid is undefined in 1 of 10 seeds" in found.warnings[1]


def test_the_legend_explains_metric_interval_and_ranks(run: Path) -> None:
    lines = result_words.legend(board(load(run), metrics=["misses"]))
    assert lines[0] == f"hr@20: HR@20, in %; higher is better. {METRICS['hr@20'].source}"
    assert lines[1].startswith("misses: ")
    assert "bootstrap interval of the mean over 10 seeds" in lines[2]
    assert "paired by seed, with the interval" in lines[3]
    assert "minus random in percentage points" in lines[3]
    assert "the best and the worst place" in lines[4]
    assert "Disjoint intervals can go with overlapping ranks" in lines[4]


@pytest.mark.parametrize(
    ("ranks", "words"),
    [
        (["1", "2-3", "2-3", "4"], "surely better than every other contender."),
        (["1-2", "2-4", "1-4", "2-4"], "It cannot be told apart from ucb1; it is surely better than the other 2."),
        (["1-4", "1-4", "1-4", "1-4"], "None of the other 3 can be told apart from it."),
        (
            ["1-3", "2-4", "1-4", "2-4"],
            "It cannot be told apart from 2 of the others; it is surely better than the remaining one.",
        ),
    ],
)
def test_the_conclusion_follows_from_means_and_rank_ranges(run: Path, ranks: list[str], words: str) -> None:
    found = board(load(run), "misses")
    frame = found.frame.assign(rank_together=ranks, policy=["hybrid", "popular", "ucb1", "random"])
    frame.loc[frame.index[0], ["mean", "low", "high"]] = [0.787, 0.747, 0.827]
    frame.loc[frame.index[0], ["difference", "difference_low", "difference_high"]] = [-0.182, -0.219, -0.135]
    (told,) = result_words.conclusion(replace(found, frame=frame))
    verb = "comes first" if ranks[0] == "1-4" else "leads"
    start = f"hybrid {verb} with 78.7 % misses, 18.2 percentage points below random [-21.9, -13.5]. "
    assert told.startswith(start)
    assert told.endswith(words)


def test_the_heading_names_what_differs_from_the_usual_protocol(tmp_path: Path, run: Path) -> None:
    usual = {"slate": 1, "batch": 1, "feedback": "bandit", "seeds": 10}
    plain = json.loads((run / "run.json").read_text())["scenario"]
    edit_meta(run, scenario={**plain, "replay": usual})
    assert places.data_in_words(load(run), "") == "completejourney, 1,000 rounds, 200 items"
    fake_results.make(run, policies=FEW, points=2, slate=5)
    edit_meta(run, scenario={**plain, "replay": {**usual, "slate": 5, "batch": 10}})
    results = load(run)
    assert places.data_in_words(results, "").endswith("200 items, slate 5, batch 10")
    assert "200 items, slate 5, batch 10" in result_words.to_terminal(board(results))
    replayed = load(fake_results.make(tmp_path / "replayed", policies=FEW, points=2, feedback="replay"))
    assert places.settings(replayed) == ["feedback replay"]


@pytest.mark.parametrize(("kind", "words"), [("subsample", "random halves of the log"), ("none", "one fixed log")])
def test_the_interval_is_named_after_the_replicates(tmp_path: Path, kind: str, words: str) -> None:
    results = load(fake_results.make(tmp_path, policies=FEW, points=2, replicates=kind))
    assert words in result_words.interval_in_words(results)


def test_columns_are_aligned_and_leaders_bold_only_when_wanted(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = board(load(run))
    plain = result_words.to_terminal(found, bold=False)
    rows = plain.splitlines()[3:8]
    assert len({row.index(" bandit") for row in rows[1:]}) == 1
    assert "\033[" not in plain
    assert result_words.to_terminal(found, bold=True).count("\033[1m") == 1
    monkeypatch.setattr("sys.stdout", io.StringIO())
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert result_words.to_terminal(found) == plain
    monkeypatch.delenv("NO_COLOR")
    assert "\033[1m" in result_words.to_terminal(found)


def test_percent_and_digits() -> None:
    hit, rate = METRICS["hr@20"], METRICS["ctr_sum"]
    assert numbers.decimals(1.234, hit) == 1  # 37.5 +- 1.2
    assert numbers.decimals(0.012, rate) == 3
    assert numbers.decimals(0.00001, hit) == 2
    assert numbers.decimals(250.0, METRICS["regret"]) == 0
    assert numbers.number(12345.678, 1) == "12,345.7"
    assert numbers.number(math.nan, 2) == "-"
    assert numbers.heading(hit) == "hr@20 %"


def test_formats_hold_the_same_numbers(run: Path) -> None:
    found = board(load(run))
    rows = list(csv.DictReader(io.StringIO(result_words.to_csv(found))))
    told = json.loads(result_words.to_json(found))
    assert [float(row["mean"]) for row in rows] == [row["mean"] for row in told["rows"]] == list(found.frame["mean"])
    assert told["rows"][-1]["difference"] is None
    assert rows[-1]["difference"] == ""
    shown = result_words.to_markdown(found).splitlines()
    assert shown[4].startswith("| 1 | **hybrid** | bandit |")
    assert f"{100 * rows_mean(rows[0]):.1f}" in shown[4]


def rows_mean(row: dict[str, str]) -> float:
    return float(row["mean"])


def test_pipes_do_not_break_markdown() -> None:
    assert result_words.markdown_row(["a|b", "c"]) == r"| a\|b | c |"


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
    edit_meta(run, scenario={"name": "active", "leaderboard": "hr@20"})
    with pytest.raises(DataError, match=r"scenario\.replicates"):
        load(run)
    edit_meta(run, logs=[])
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
    with pytest.raises(ConfigError, match=r"only of active. Did you mean 'active'"):
        latest(tmp_path, "actve")
    with pytest.raises(ConfigError, match="no finished run yet"):
        latest(tmp_path / "empty", "active")


def test_metrics_that_do_not_apply_are_left_out(run: Path) -> None:
    summary = pd.read_parquet(run / "summary.parquet")
    summary.loc[summary["metric"] == "coverage", "value"] = np.nan
    summary.to_parquet(run / "summary.parquet")
    assert "coverage" not in load(run).metrics
    assert "coverage" not in table(load(run))
