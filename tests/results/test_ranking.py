"""Places, intervals and differences: what they are, and what they may not claim."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lersbench.distributions import t_quantile
from lersbench.errors import ConfigError
from lersbench.figures import forest as forest_figures
from lersbench.figures import sweeps as sweep_figures
from lersbench.metrics import METRICS
from lersbench.ranks import ranges_of, separated
from lersbench.report import run as run_report
from lersbench.report.blocks import Items, Text
from lersbench.results import baseline, comparisons, extent
from lersbench.results import words as result_words
from lersbench.results.ranking import board, table
from lersbench.results.separation import separate
from lersbench.results.statistics import interval, paired
from lersbench.results.tables import Results, load
from tests.support import fake_results

FEW = {label: fake_results.POLICIES[label] for label in ("random", "popular", "hybrid", "ucb1")}
MIXED = {**FEW, "lers": ("lers", {}, "full", 0.9), "whole": ("popular", {}, "full", 0.6)}


def of_values(values: dict[str, list[float]], metric: str = "misses", rounds: int = 1000, **meta: object) -> Results:
    """Results of one metric with the given final values, a value a seed; "lers" and "whole" under full feedback."""
    rows = [
        {"variant": "", "log": "", "slate": 1, "feedback": MIXED[policy][2]}
        | {"policy": policy, "entry": policy, "name": policy, "params": "{}"}
        | {"seed": seed, "metric": metric, "value": value, "round": rounds}
        for policy, finals in values.items()
        for seed, value in enumerate(finals)
    ]
    frame = pd.DataFrame(rows)
    scenario = {"name": "active", "replicates": "shuffle", "leaderboard": metric, "baseline": "random"}
    log = {"variant": "", "name": "made up", "rounds": rounds, "items": 200}
    seeds = list(range(max(map(len, values.values()))))
    about = {"scenario": scenario, "logs": [log], "seeds": seeds, **meta}
    return Results(Path("made-up"), frame.drop(columns="round"), about)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return fake_results.make(tmp_path / "active" / "a", policies=FEW, points=5)


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
    found = separate(finals, [results.family(name) for name in names], floor=0.001)
    i, j = names.index("hybrid"), names.index("random")
    half = t_quantile(0.95, found.df[i, j]) * math.sqrt(found.variance[i, j])
    gain = own.mean() - base.mean()
    assert [row[name] for name in gains] == pytest.approx([gain, gain - half, gain + half])
    assert row["differs"] is True or row["differs"] == 1
    assert math.isnan(row["new_low"]) and row["rank_this_log"] == row["rank"]  # the run has no sums by customer
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
    with pytest.raises(ConfigError, match=r"'hr@2'.*did you mean 'hr@20'"):
        board(results, "hr@2")
    with pytest.raises(ConfigError, match=r"'randon'.*did you mean 'random'"):
        board(results, baseline="randon")


def test_a_scenario_whose_baseline_was_not_run_has_no_differences_and_says_so(tmp_path: Path) -> None:
    results = load(fake_results.make(tmp_path, policies=FEW, points=2, baseline="nobody"))
    assert "difference" not in table(results)
    assert "'nobody' was not run" in board(results).warnings[0]


def test_one_policy_under_two_regimes_is_two_contenders_each_with_its_own_baseline(run: Path) -> None:
    for name, value in (("curves.parquet", "mean"), ("summary.parquet", "value")):
        rows = pd.read_parquet(run / name)
        full = rows[rows["policy"].isin(["random", "hybrid"])].assign(feedback="full")
        full[value] = full[value] + 0.1
        pd.concat([rows, full]).to_parquet(run / name)
    frame = table(load(run)).set_index("policy")
    assert {"hybrid (full)", "hybrid (bandit)", "random (full)", "random (bandit)", "popular"} <= set(frame.index)
    assert frame.loc["hybrid (full)", "mean"] == pytest.approx(frame.loc["hybrid (bandit)", "mean"] + 0.1)
    gains = frame["difference"]
    assert gains["hybrid (full)"] == pytest.approx(gains["hybrid (bandit)"])
    assert gains["popular"] == pytest.approx(frame.loc["popular", "mean"] - frame.loc["random (bandit)", "mean"])


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


# Certainty from nothing -----------------------------------------------------------------------------------------------
def test_two_seeds_with_two_equal_differences_have_no_rank_and_an_interval_of_some_width() -> None:
    """The case: it was ranked 1 and 2 with an interval of no width."""
    frame = table(of_values({"random": [0.97, 0.96], "hybrid": [0.87, 0.86]})).set_index("policy")
    assert list(frame["rank"]) == ["-", "-"]
    row = frame.loc["hybrid"]
    half = t_quantile(0.95, 2) * math.sqrt(2 * 5e-5 / 2)  # Welch: the same spread in both, a degree of freedom each
    assert [row["difference_low"], row["difference_high"]] == pytest.approx([-0.1 - half, -0.1 + half])


def test_differences_stay_within_the_range_of_the_metric() -> None:
    """The case: [-269, +134] points."""
    found = paired(np.array([0.1, 0.6]), np.array([0.9, 0.5]), "shuffle")
    assert found.low < -1 and found.high > 1
    row = table(of_values({"random": [0.9, 0.5], "hybrid": [0.1, 0.6]})).set_index("policy").loc["hybrid"]
    assert (row["difference_low"], row["difference_high"]) == (-1.0, 1.0)
    assert row["low"] >= 0 and row["high"] <= 1


def test_a_rule_that_draws_nothing_is_said_to_be_the_same_in_every_seed() -> None:
    values = {"random": [0.97, 0.96, 0.98, 0.975], "popular": [0.7] * 4, "ucb1": [0.701] * 4}
    found = board(of_values(values))
    frame = found.frame.set_index("policy")
    assert list(frame["same_in_every_seed"]) == [True, True, False]
    assert frame.loc[["popular", "ucb1"], ["low", "high"]].isna().all(axis=None)
    _, rows = result_words.cells(found, "", "bandit")
    assert [row[4] for row in rows][:2] == ["same in every seed"] * 2
    assert "Same in every seed: popular, ucb1." in " ".join(result_words.legend(found))
    # one customer in a thousand does not rank two rules; that both are better than random the seeds do show
    assert list(frame["rank"]) == ["1-2", "1-2", "3"]
    assert list(frame["better_than_next"]) == [False, True, None]


@pytest.mark.parametrize(
    ("name", "slate", "ends"),
    [
        ("misses", 3, (0, 1)),
        ("ctr_sum", 3, (0, 3)),
        ("similarity", 3, (-1, 1)),
        ("regret", 3, (0, 3000)),
        ("matches", 1, (0, 1000)),
        ("gini", 1, (0, 1)),
        ("pbm_ips", 3, (0, math.inf)),
    ],
)
def test_what_a_metric_can_be(name: str, slate: int, ends: tuple[float, float]) -> None:
    assert extent.bounds(METRICS[name], 1000, slate) == ends


def test_bars_of_a_cosine_end_at_one(tmp_path: Path) -> None:
    """The case: bars of the similarity above 1."""
    results = load(fake_results.make_lists(tmp_path, fake_results.FEW_LISTS, seeds=2, points=4, slates=(3,)))
    summary = results.summary.copy()
    alike = summary["metric"] == "similarity"
    summary.loc[alike, "value"] = np.where(summary.loc[alike, "seed"] == 0, 0.999, 0.7)
    results = replace(results, summary=summary)
    figure = sweep_figures.similarity(results, list(fake_results.FEW_LISTS))
    drawn = [segment for ax in figure.axes for lines in ax.collections for segment in lines.get_segments()]
    assert drawn and max(segment[:, 0].max() for segment in drawn) <= 1


def test_a_lift_is_no_less_than_losing_everything() -> None:
    found = baseline.lift(np.array([0.0, 0.2]), np.array([0.2, 0.21]), "shuffle")
    assert found.low == -1


# Ranks ----------------------------------------------------------------------------------------------------------------
def rank_ranges(values: np.ndarray, higher: bool = True, together: bool = False) -> list[tuple[int, int] | None]:
    found = separate(values)
    return ranges_of(found.p, found.mean, higher, together=together)


def test_ranks_of_two_clear_groups() -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, (4, 10))
    values = np.array([[5.0], [1.0], [5.0], [1.0]]) + noise
    assert rank_ranges(values) == [(1, 2), (3, 4), (1, 2), (3, 4)]
    assert rank_ranges(values, False) == [(3, 4), (1, 2), (3, 4), (1, 2)]
    assert rank_ranges(values[:, :2]) == [None] * 4  # two seeds tell nothing apart


def test_a_wide_contender_is_not_put_behind_what_it_was_not_shown_to_be_worse_than() -> None:
    rng = np.random.default_rng(1)
    values = np.stack([rng.normal(1, 0.1, 10), rng.normal(0, 0.1, 10), rng.normal(0, 5, 10)])
    assert rank_ranges(values) == [(1, 2), (2, 3), (1, 3)]


def test_each_range_is_right_by_itself_and_no_wider_than_that_needs() -> None:
    """Twelve equal contenders: a range of one that is not 1-12 is wrong. By its own Holm correction some 5 % are; with
    none 40 % would be, and with a correction over all 66 pairs less than 1.5 %."""
    rng = np.random.default_rng(3)
    own, all_at_once = 0, 0
    tables = 150
    for _ in range(tables):
        values = rng.standard_normal((12, 10))
        own += sum(found != (1, 12) for found in rank_ranges(values))
        all_at_once += any(found != (1, 12) for found in rank_ranges(values, together=True))
    assert 0.015 < own / (12 * tables) < 0.06
    assert all_at_once / tables < 0.08


def test_three_seeds_of_one_do_not_blur_the_ranks_of_the_others() -> None:
    """Eight contenders of ten seeds beside eight of three: over all pairs these raise the bar for those."""
    rng = np.random.default_rng(1)
    values = np.arange(16.0)[:, None] % 8 + rng.normal(0, 0.45, (16, 10))
    values[8:, 3:] = np.nan

    def width(rows: np.ndarray, together: bool) -> float:
        ranges = rank_ranges(rows, together=together)[:8]
        return float(np.mean([found[1] - found[0] for found in ranges if found]))

    assert width(values, together=False) < 0.9 * width(values, together=True)


def test_what_all_at_once_separates_a_contender_alone_separates_too() -> None:
    p = separate(np.random.default_rng(5).normal(np.arange(9)[:, None] * 0.4, 1, (9, 10))).p
    assert separated(p, together=True).sum() > 0
    assert (separated(p, together=True) <= separated(p, together=False)).all()


def test_orderings_of_protocols_follow_the_same_rule() -> None:
    rng = np.random.default_rng(1)
    values = np.stack([rng.normal(at, 0.1, 10) for at in (0.0, 5.0, 5.0)])
    assert comparisons.orderings(separate(values)).tolist() == [[0, -1, -1], [1, 0, 0], [1, 0, 0]]
    assert not comparisons.orderings(separate(values[:, :2])).any()


# Regimes --------------------------------------------------------------------------------------------------------------
@pytest.fixture
def mixed(tmp_path: Path) -> Results:
    return load(fake_results.make(tmp_path / "active" / "a", policies=MIXED, points=3, leaderboard="misses"))


def test_each_regime_has_ranks_of_its_own(mixed: Results) -> None:
    """The case: linucb-k 1-18 of all, 1-12 of its regime."""
    found = board(mixed)
    assert found.tables == [("", "bandit"), ("", "full")]
    assert list(found.rows("", "bandit")["rank"]) == ["1", "2", "3", "4"]
    assert list(found.rows("", "full")["rank"]) == ["1", "2"]
    alone = load(fake_results.make(mixed.path.parent / "b", policies=FEW, points=3, leaderboard="misses"))
    pd.testing.assert_frame_equal(found.rows("", "bandit"), board(alone).frame, check_dtype=False)


def test_every_format_has_one_table_a_regime(mixed: Results) -> None:
    found = board(mixed)
    for text in (result_words.to_terminal(found), result_words.to_markdown(found)):
        bandit, full = text.index("bandit feedback: learns only"), text.index("full feedback: learns from the whole")
        assert bandit < text.index("hybrid") < full < text.index("lers")
    told = json.loads(result_words.to_json(found))
    assert list(told["regimes"]) == ["bandit", "full"]
    rows = list(csv.DictReader(io.StringIO(result_words.to_csv(found))))
    assert (
        [row["feedback"] for row in rows] == [row["feedback"] for row in told["rows"]] == ["bandit"] * 4 + ["full"] * 2
    )
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4", "1", "2"]


def test_the_first_sentence_is_about_what_can_be_deployed(mixed: Results) -> None:
    first, second = result_words.conclusion(board(mixed))
    assert first.startswith("Bandit feedback: try hybrid: it leads with")
    assert second.startswith("Full feedback: lers leads with")
    (items,) = run_report.conclusions(board(mixed))
    assert isinstance(items, Items) and items.lines[0] == first
    texts = [block.text for block in run_report.main_tables(board(mixed)) if isinstance(block, Text)]
    assert [text.partition(":")[0] for text in texts][1:] == ["bandit feedback", "full feedback"]


def test_a_baseline_that_learns_nothing_serves_both_regimes_and_it_is_said(mixed: Results) -> None:
    found = board(mixed)
    random = found.frame.set_index("policy").loc["random", "mean"]
    rows = found.rows("", "full").set_index("policy")
    assert rows["difference"].to_numpy() == pytest.approx(rows["mean"].to_numpy() - random)
    assert "Under full feedback the difference is to random as it played under bandit" in " ".join(
        result_words.legend(found)
    )


def test_a_baseline_that_learns_is_no_measure_for_another_regime(mixed: Results) -> None:
    found = board(mixed, baseline="hybrid")
    assert found.rows("", "full")["difference"].isna().all()
    assert found.rows("", "bandit")["difference"].notna().sum() == 3
    assert "hybrid was not run under full feedback" in " ".join(found.warnings)
    head, _ = result_words.cells(found, "", "full")
    assert not any("minus" in cell for cell in head)


def test_the_forest_has_a_panel_a_regime_and_titles_name_the_regimes(mixed: Results) -> None:
    figure = forest_figures.forest(mixed, "misses", list(MIXED))
    assert [ax.get_title(loc="right") for ax in figure.axes] == ["bandit feedback", "full feedback"]
    shown = [[label.get_text() for label in ax.get_yticklabels()] for ax in figure.axes]
    assert shown == [["hybrid", "popular", "ucb1", "random"], ["lers", "whole"]]
    assert figure.texts[0].get_text().startswith("Misses: hybrid ends with ")  # of the feedback that a shop has
    assert figure.texts[1].get_text().startswith("Misses, final values. ")


# What may turn --------------------------------------------------------------------------------------------------------
def test_what_may_change_is_said(mixed: Results) -> None:
    rng = np.random.default_rng(1)
    values = {name: list(0.9 + 0.01 * rng.standard_normal(10)) for name in ("random", "hybrid", "popular")}
    values["ucb1"] = values["random"][:3]
    said = " ".join(result_words.legend(board(of_values(values, torch_policies=["hybrid"]))))
    assert "3 of 3 pairs of neighbours cannot be separated" in said
    assert "Fewer than 10 seeds: ucb1." in said
    assert "In PyTorch: hybrid; their values depend on the processor" in said
    quiet = " ".join(result_words.legend(board(mixed)))
    assert "each row was shown to be better than the next" in quiet
    assert "Fewer than 10 seeds" not in quiet and "PyTorch" not in quiet
