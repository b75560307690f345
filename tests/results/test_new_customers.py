"""Leaderboards whose runs keep sums by block of customers: two intervals, ranks by the wider one, and what is said."""

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
from lersbench.errors import DataError
from lersbench.report import run as run_report
from lersbench.results import compared, customers
from lersbench.results import words as result_words
from lersbench.results.further import Further, further_seeds
from lersbench.results.ranking import board, table
from lersbench.results.tables import Results, load
from tests.support import fake_results

FEW = {label: fake_results.POLICIES[label] for label in ("random", "popular", "hybrid", "ucb1")}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    made = fake_results.make(tmp_path / "active" / "a", policies=FEW, points=2, leaderboard="misses")
    return fake_results.add_customers(made, spread=0.3)


def edit_sums(run: Path, policy: str, name: str, factor: np.ndarray | float) -> None:
    """Multiply the sums `name` of a policy by block."""
    path = run / "customers.parquet"
    rows = pd.read_parquet(path)
    own = rows["policy"] == policy
    rows.loc[own, name] = pd.Series([part * factor for part in rows.loc[own, name]], index=rows.index[own])
    rows.to_parquet(path)


def in_two_camps(run: Path, gain: float, blocks: int) -> Results:
    """popular and hybrid draw nothing and are equal but in `blocks` of 64 customers, where hybrid earns `gain` more."""
    summary, path = pd.read_parquet(run / "summary.parquet"), run / "customers.parquet"
    rows = pd.read_parquet(path)
    base = np.where(np.arange(64) % 2, 2.0, 4.0)
    better = base + np.where(np.arange(64) < blocks, gain, 0.0)
    for policy, paid in (("popular", base), ("hybrid", better)):
        own = rows["policy"] == policy
        rows.loc[own, "paid"] = pd.Series([paid] * int(own.sum()), index=rows.index[own])
        value = 1 - paid.sum() / 1000
        summary.loc[(summary["policy"] == policy) & (summary["metric"] == "misses"), "value"] = value
        summary = summary[(summary["policy"] != policy) | (summary["metric"] == "misses")]
    rows.to_parquet(path)
    summary.to_parquet(run / "summary.parquet")
    return load(run)


def test_both_intervals_stand_beside_each_other_and_ranks_follow_the_second(run: Path) -> None:
    found = board(load(run))
    frame = found.frame
    assert (frame["new_low"] < frame["low"]).all() and (frame["high"] < frame["new_high"]).all()
    people = customers.crowd([compared.sums_of(load(run), "", p, found.metric) for p in frame["policy"]])  # type: ignore[misc]
    own = customers.errors(people)
    half = t_quantile(0.95, own.df[0]) * math.sqrt(own.total[0])
    assert frame["new_high"][0] == pytest.approx(frame["mean"][0] + half)
    head, rows = result_words.cells(found, "", "bandit")
    assert head[3:6] == ["misses %", "95 %, this log", "95 %, new customers"]
    assert "rank, this log" in head and "P(best) %" in head
    assert rows[0][head.index("P(best) %")] == ">99"
    assert frame["p_best"].sum() == pytest.approx(1) and frame["expected_rank"].sum() == pytest.approx(10)


def test_a_rule_that_draws_nothing_has_an_interval_for_new_customers(run: Path) -> None:
    results = in_two_camps(run, 0.5, 1)
    frame = table(results).set_index("policy")
    pair = frame.loc[["hybrid", "popular"]]
    assert pair["same_in_every_seed"].all() and pair["low"].isna().all() and pair["new_low"].notna().all()
    _, rows = result_words.cells(board(results), "", "bandit")
    assert rows[0][4] == "same in every seed" and rows[0][5].startswith("[")


@pytest.mark.parametrize(("gain", "blocks", "ranks"), [(0.5, 1, ["1-2", "1-2"]), (0.5, 40, ["1", "2"])])
def test_customers_rank_two_rules_that_draw_nothing(run: Path, gain: float, blocks: int, ranks: list[str]) -> None:
    """One customer does not; 40 of 64 do, whom the seeds alone could not rank."""
    frame = table(in_two_camps(run, gain, blocks)).set_index("policy")
    assert list(frame.loc[["hybrid", "popular"], "rank"]) == ranks
    assert list(frame.loc[["hybrid", "popular"], "rank_this_log"]) == ["1-2", "1-2"]


def test_the_sentence_names_the_interval_for_new_customers(run: Path) -> None:
    found = board(load(run))
    (told,) = result_words.conclusion(found)
    row = found.frame.iloc[0]
    ends = f"[{100 * row['new_low']:.1f}, {100 * row['new_high']:.1f}]"
    assert told.startswith(
        f"Try hybrid: it leads with 87.0 % misses, 95 % for new customers {ends}, 9.8 percentage points"
    )
    legend = " ".join(result_words.legend(found))
    assert "in 64 blocks of customers" in legend and "for new customers and seeds" in legend
    assert "not how another week, season or shop would" in " ".join(run_report.caveats(load(run)))


def test_signs_agree_with_the_side(run: Path) -> None:
    """The case: "26.88 points below random [-27.24, -26.48]"."""
    found = board(load(run))
    columns = ["mean", "new_low", "new_high", "difference", "difference_low", "difference_high"]
    frame = found.frame.copy()
    frame.loc[frame.index[0], columns] = [0.7, 0.69, 0.71, -0.2688, -0.2724, -0.2648]
    assert "26.9 percentage points below random [26.5, 27.2]" in result_words.conclusion(replace(found, frame=frame))[0]
    frame.loc[frame.index[0], columns[3:]] = [0.2688, 0.2648, 0.2724]
    assert "26.9 percentage points above random [26.5, 27.2]" in result_words.conclusion(replace(found, frame=frame))[0]


def test_nobody_is_told_to_try_what_no_shop_can_run_or_what_is_not_better_than_the_baseline(run: Path) -> None:
    found = board(load(run))
    frame = found.frame.copy()
    frame["differs"] = False
    assert result_words.conclusion(replace(found, frame=frame))[0].startswith("hybrid leads with")
    frame = found.frame.assign(feedback="full")
    results = load(run)
    results.summary["feedback"] = "full"
    assert result_words.conclusion(replace(found, results=results, frame=frame))[0].startswith("hybrid leads with")


def test_differences_are_corrected_together_and_it_is_said_which_hold(run: Path) -> None:
    found = board(load(run))
    frame = found.frame.set_index("policy")
    assert list(frame["differs"].dropna()) == [True] * 3 and frame.loc["random", "differs"] is None
    assert "Every policy with enough seeds was shown to differ from random" in " ".join(result_words.legend(found))
    frame = found.frame.copy()
    frame.loc[frame["policy"] == "ucb1", "differs"] = False
    said = " ".join(result_words.legend(replace(found, frame=frame)))
    assert "Not shown to differ from random, all differences of a table tested together (Holm, 5 %): ucb1." in said


def test_lists_have_lifts_for_new_customers_in_which_good_customers_cancel(tmp_path: Path) -> None:
    made = fake_results.make_lists(tmp_path / "t", fake_results.FEW_LISTS, points=2, slates=(3,), seeds=10)
    alone = table(load(made)).set_index(["variant", "policy"])
    both = table(load(fake_results.add_customers(made, spread=0.3))).set_index(["variant", "policy"])
    assert (both["lift"].dropna() == alone["lift"].dropna()).all()
    wide = (both["new_high"] - both["new_low"]) / (both["high"] - both["low"])
    lifts = (both["lift_high"] - both["lift_low"]) / (alone["lift_high"] - alone["lift_low"])
    assert (wide > 5).all()  # customers click more or less by 30 %
    assert lifts.dropna().to_numpy() == pytest.approx(1, rel=0.05)  # under every policy alike


def test_what_a_run_cannot_tell_is_said(run: Path) -> None:
    assert "coverage is no mean over rounds" in " ".join(result_words.legend(board(load(run), "coverage")))
    assert "95 %, new customers" not in result_words.cells(board(load(run), "coverage"), "", "bandit")[0]
    (run / "customers.parquet").unlink()
    found = board(load(run))
    assert "the run has no sums by customer (an earlier version wrote it)" in " ".join(result_words.legend(found))
    assert list(found.frame["rank"]) == list(found.frame["rank_this_log"]) == ["1", "2", "3", "4"]
    assert "not how much another week" in " ".join(run_report.caveats(load(run)))


def test_logs_without_users_speak_of_rounds(tmp_path: Path) -> None:
    made = fake_results.make(tmp_path / "a", policies=FEW, points=2, leaderboard="misses")
    found = board(load(fake_results.add_customers(made, of="rounds")))
    assert "95 %, new rounds" in result_words.cells(found, "", "bandit")[0]
    assert "for new rounds" in result_words.conclusion(found)[0]


def test_halves_of_a_log_speak_of_new_rounds_alone(tmp_path: Path) -> None:
    about = {"policies": FEW, "points": 2, "leaderboard": "misses", "replicates": "subsample", "seeds": 20}
    found = board(load(fake_results.add_customers(fake_results.make(tmp_path / "a", **about))))  # type: ignore[arg-type]
    head, _ = result_words.cells(found, "", "bandit")
    assert head[4] == "95 %, new rounds" and not any("this log" in title for title in head)
    assert (found.frame["new_low"] == found.frame["low"]).all()
    assert "paired t tests on the halves" in " ".join(result_words.legend(found))


def test_one_seed_has_no_interval_for_new_customers_either(tmp_path: Path) -> None:
    made = fake_results.make(tmp_path / "a", policies=FEW, points=2, leaderboard="misses", seeds=1)
    frame = table(load(fake_results.add_customers(made)))
    assert frame[["low", "new_low"]].isna().all(axis=None) and set(frame["rank"]) == {"-"}


def test_sums_that_do_not_come_to_the_values_are_refused(run: Path) -> None:
    edit_sums(run, "ucb1", "paid", 1.01)
    with pytest.raises(DataError, match=r"customers\.parquet: the sums of ucb1 come to misses"):
        board(load(run))


def test_sums_that_were_not_measured_leave_this_log(tmp_path: Path) -> None:
    made = fake_results.make(tmp_path / "a", policies=FEW, points=2, leaderboard="ctr_set")
    found = board(load(fake_results.add_customers(made, drop=("sets",))))
    assert found.frame["new_low"].isna().all()


def test_sums_stay_with_results_in_memory(run: Path) -> None:
    held = load(run).in_memory()
    for path in run.iterdir():
        path.unlink()
    assert table(held)["new_low"].notna().all()


def test_simultaneous_ranks_are_no_narrower_and_are_named(tmp_path: Path) -> None:
    made = fake_results.make(tmp_path / "a", points=2, leaderboard="misses")
    results = load(fake_results.add_customers(made))

    def widths(frame: pd.DataFrame) -> np.ndarray:
        parts = frame["rank"].str.split("-")
        return np.array([int(part[-1]) - int(part[0]) for part in parts])

    own, all_at_once = board(results), board(results, simultaneous=True)
    assert (widths(own.frame) <= widths(all_at_once.frame)).all()
    assert widths(own.frame).sum() < widths(all_at_once.frame).sum()
    assert list(all_at_once.frame["rank"]) == list(own.frame["rank_together"])
    assert "all ranges are right at once" in " ".join(result_words.legend(all_at_once))
    assert "own range is right" in " ".join(result_words.legend(own))


def test_formats_hold_both_intervals(run: Path) -> None:
    found = board(load(run))
    told = json.loads(result_words.to_json(found))
    rows = list(csv.DictReader(io.StringIO(result_words.to_csv(found))))
    for name in ("low", "high", "new_low", "new_high", "p_best", "expected_rank"):
        assert [float(row[name]) for row in rows] == [row[name] for row in told["rows"]] == list(found.frame[name])
    assert told["new"] == {"": "customers"} and told["simultaneous"] is False
    assert "95 %, new customers" in result_words.to_markdown(found)
    assert "95 %, new customers" in result_words.to_html(found)


# Further seeds --------------------------------------------------------------------------------------------------------
def test_further_seeds_go_to_the_less_certain_of_a_pair_that_is_open(tmp_path: Path) -> None:
    """popular and linucb-k lie a little apart; one of the two has three seeds. All others are far from each other."""
    made = fake_results.make(tmp_path / "a", policies=FEW, points=2, leaderboard="misses")
    summary = pd.read_parquet(made / "summary.parquet")
    rng = np.random.default_rng(1)
    centres = {"random": 0.97, "popular": 0.902, "hybrid": 0.9, "ucb1": 0.95}
    for policy, centre in centres.items():
        own = (summary["policy"] == policy) & (summary["metric"] == "misses")
        summary.loc[own, "value"] = centre + rng.normal(0, 0.002, int(own.sum()))
    summary[(summary["policy"] != "hybrid") | (summary["seed"] < 3)].to_parquet(made / "summary.parquet")
    found = board(load(made))
    assert found.rows("", "bandit")["better_than_next"].tolist()[1:] == [True, True, None]
    assert further_seeds(found) == [Further("", "bandit", "hybrid")]


def test_no_further_seeds_where_all_is_told_or_only_customers_could_tell(run: Path) -> None:
    assert further_seeds(board(load(run))) == []
    results = in_two_camps(run, 0.5, 4)  # of two rules that draw nothing, by four customers
    assert table(results)["rank"].tolist()[:2] == ["1-2", "1-2"]
    assert further_seeds(board(results)) == []


def test_a_file_that_the_run_names_must_be_there(run: Path) -> None:
    fake_results.edit_meta(run, tables={"customers.parquet": "0" * 20})
    (run / "customers.parquet").unlink()
    with pytest.raises(DataError, match=r"customers\.parquet is missing, which run\.json names"):
        load(run)
