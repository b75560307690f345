"""Brackets from stored results: their ends, ranks and words; and the way from a table of impressions to the answer."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import lersbench as lb
from lersbench.cli.main import cli
from lersbench.errors import ConfigError
from lersbench.figures.forest import forest
from lersbench.report.run import caveats, write
from lersbench.results import brackets
from lersbench.results.brackets import Bracket, percent, ranges, sentence
from lersbench.results.ranking import board
from lersbench.results.tables import Results
from lersbench.results.words import cells, conclusion, legend, to_json, to_terminal

C, K, ITEMS = 8, 3, 200
HIGH = Bracket(0.02, 0.12, 0.01, 0.13)
OPEN = Bracket(-0.066, 0.102, -0.084, 0.133)
LOW = Bracket(-0.45, -0.33, -0.47, -0.30)
NOTHING = Bracket(0.0, 0.0, 0.0, 0.0)


def shop(lists: int, seed: int = 0) -> tuple[pd.DataFrame, float]:
    """Impressions of a noisy production ranker, and what a ranking by true appeal brings over it in truth."""
    rng = np.random.default_rng(seed)
    appeal, examined = 1 / (1 + np.exp(-rng.normal(-2, 1, ITEMS))), 0.85 ** np.arange(C)
    shown = rng.permuted(np.tile(np.arange(ITEMS), (lists, 1)), axis=1)[:, :C]
    order = np.argsort(-np.log(appeal / (1 - appeal))[shown] - rng.gumbel(size=shown.shape), axis=1)
    shown = np.take_along_axis(shown, order, axis=1)
    clicks = (rng.random(shown.shape) < appeal[shown] * examined).astype(int)
    best = np.sort(appeal[shown], axis=1)[:, ::-1][:, :K] @ examined[:K]
    own = appeal[shown[:, :K]] @ examined[:K]
    columns = {"request": np.repeat(np.arange(lists), C), "position": np.tile(np.arange(C), lists)}
    columns |= {"item": shown.ravel(), "click": clicks.ravel(), "score": np.round(appeal[shown.ravel()], 6)}
    return pd.DataFrame(columns), float(best.mean() / own.mean() - 1)


@dataclass(frozen=True)
class Best(lb.Policy):
    """Ranks by the joint feature: the true appeal."""

    needs = ("features",)

    def init(self, spec): ...  # type: ignore[no-untyped-def]
    def update(self, state, round, slate, rewards, seen): ...  # type: ignore[no-untyped-def]
    def select(self, state, rng, round, slate):  # type: ignore[no-untyped-def]
        slate[:] = np.argsort(-round.features[:, 0], kind="stable")[: len(slate)]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The shop, replayed from its impressions as the README says."""
    frame, _ = shop(4000)
    log = lb.from_impressions(frame, tmp_path_factory.mktemp("shop") / "log", features=["score"])
    return lb.replay(
        ["random", "ltr", "first"], log, feedback="logged", slate=K, seeds=2, metric="ctr_sum", name="shop"
    )


# Ends and ranks -------------------------------------------------------------------------------------------------------
def test_the_ends_are_those_of_the_stored_values(played: Results) -> None:
    rows = played.summary.pivot_table(index=["policy", "metric"], columns="seed", values="value")
    low = rows.loc[("random", "ctr_sum")] / rows.loc[("random", "logged_order")] - 1
    high = rows.loc[("random", "bracket_high")] / rows.loc[("random", "logged_order")] - 1
    found = brackets.of_variant(played, "")["random"]
    assert (found.low, found.high) == pytest.approx((low.mean(), high.mean()))
    error = rows.loc[("random", "lift_low_se")].mean()
    least = found.low - 1.96 * error
    assert found.first < least and found.first == pytest.approx(least, abs=13 * low.std() + 0.01 * error)
    assert brackets.of_variant(played, "")["ltr"] == NOTHING


def test_the_truth_lies_inside_and_logged_clicks_alone_are_shown_nowhere(tmp_path: Path) -> None:
    """`best` is about a fifth better than the logged order; by logged clicks it is far from that."""
    frame, truth = shop(4000, seed=1)
    log = lb.from_impressions(frame, tmp_path / "log", features=["score"])
    policies = {"best": Best(), "random": "random", "ltr": "ltr"}
    made = lb.replay(policies, log, feedback="logged", slate=K, seeds=2, metric="ctr_sum", name="shop")
    ends = brackets.of_variant(made, "")["best"]
    assert 0.1 < truth < 0.3 and ends.low < truth - 0.05
    assert ends.first <= truth <= ends.last
    assert ends.high == pytest.approx(truth, abs=0.08)
    row = made.leaderboard().set_index("policy").loc["best"]
    assert (row["bracket_first"], row["bracket_last"]) == (ends.first, ends.last)
    assert row["low"] < row["mean"] < row["high"] and row["high"] / row["mean"] > 1 + truth / 2


def test_contenders_are_apart_where_their_brackets_are() -> None:
    assert ranges([HIGH, OPEN, LOW]) == [(1, 2), (1, 2), (3, 3)]
    assert ranges([HIGH, NOTHING, LOW]) == [(1, 1), (2, 2), (3, 3)]
    unknown = Bracket(math.nan, math.nan, math.nan, math.nan)
    assert ranges([HIGH, unknown, LOW]) == [(1, 2), None, (2, 3)]


def test_seeds_and_the_log_both_have_errors() -> None:
    half = brackets._half(np.array([0.1, 0.3]), np.array([0.02, 0.02]), np.array([1024.0]), "shuffle")
    assert half == pytest.approx(math.hypot(1.9623 * 0.02, 12.706 * math.sqrt(0.02) / math.sqrt(2)), rel=1e-3)
    alone = brackets._half(np.array([0.1]), np.array([0.02]), np.array([1024.0]), "shuffle")
    assert alone == pytest.approx(1.9623 * 0.02, rel=1e-3)
    halves = brackets._half(np.array([0.1]), np.array([0.02]), np.array([1024.0]), "subsample")
    assert halves == pytest.approx(alone / math.sqrt(2))
    few = brackets._half(np.array([0.1]), np.array([0.02]), np.array([5.0]), "none")
    assert few == pytest.approx(2.7764 * 0.02, rel=1e-3)  # t of 4 degrees of freedom
    assert math.isnan(brackets._half(np.array([0.1]), np.array([0.02]), np.array([1.0]), "none"))


def test_what_is_missed_is_bracketed_the_other_way_round() -> None:
    turned = HIGH.moved(-1.0, 1.0)
    assert (turned.low, turned.high) == pytest.approx((0.88, 0.98))
    assert turned.first < turned.low < turned.high < turned.last


# Words ----------------------------------------------------------------------------------------------------------------
def test_the_sentence_names_both_ends_and_the_sign() -> None:
    assert sentence("popular", OPEN, "clicks") == (
        "popular: between -7 % and +10 % of the logged order's clicks [-8, +13]; your log cannot tell the sign"
    )
    assert sentence("best", HIGH, "clicks").endswith("[+1, +13]; more than the logged order by both ends")
    assert sentence("random", LOW, "reward").endswith("[-47, -30]; less than the logged order by both ends")
    assert sentence("ltr", NOTHING, "clicks") == "ltr: the logged order itself"
    assert percent(Bracket(-0.001, 0.24, -0.06, 0.34)) == ("+0 to +24", "[-6, +34]")


def test_the_answer_stands_first_and_its_assumption_with_it(played: Results, tmp_path: Path) -> None:
    ranking = board(played)
    (told,) = conclusion(ranking)
    ends = percent(brackets.of_variant(played, "")["random"])[0].split(" to ")
    assert f"random: between {ends[0]} % and {ends[1]} % of the logged order's clicks" in told
    assert brackets.ASSUMPTION in told
    text = " ".join(to_terminal(ranking, bold=False).split())
    assert text.startswith(f"shop {told}")
    report = write(played, tmp_path)[0].read_text()
    assert report.split("\n\n")[1].replace("\\", "").startswith(f"**{told.partition('. This holds if')[0]}")
    assert brackets.ASSUMPTION in report.replace("\\", "")
    assert "bootstrap" not in report and "no theorem" in " ".join(caveats(played))
    assert told in json.loads(to_json(ranking))["conclusions"]
    assert "all 4,000 requests" in " ".join(legend(ranking))


def test_the_table_has_no_interval_of_logged_clicks(played: Results) -> None:
    head, rows = cells(board(played), "", "logged")
    assert head[:4] == ["rank", "policy", "feedback", "lift over the logged order %"]
    assert head[4:] == ["with 95 % errors", "ctr_sum", "similarity", "seeds"]
    assert rows[0][1:5] == ["ltr", "logged", "0", "-"] and len(rows) == 3
    by_set = board(played, "ctr_set").frame
    assert by_set["low"].isna().all() and set(by_set["rank"]) == {"-"} and "difference" not in by_set


def test_the_forest_plot_draws_bars_from_end_to_end(played: Results) -> None:
    figure = forest(played, "ctr_sum", ["random", "ltr", "first"])
    (ax,) = figure.axes
    assert ax.get_xlabel() == "Lift over the logged order (%)"
    ends = brackets.of_variant(played, "")
    drawn = [tuple(line.get_xdata()) for line in ax.get_lines()]
    for policy in ("random", "first"):
        assert any(np.allclose(x, (100 * ends[policy].low, 100 * ends[policy].high)) for x in drawn if len(x) == 2)
        assert any(np.allclose(x, (100 * ends[policy].first, 100 * ends[policy].last)) for x in drawn if len(x) == 2)


# Warnings -------------------------------------------------------------------------------------------------------------
def replayed(frame: pd.DataFrame, folder: Path, **more: object) -> Results:
    log = lb.from_impressions(frame, folder / "log")
    return lb.replay(["random", "ltr"], log, feedback="logged", slate=2, seeds=2, metric="ctr_sum", **more)


def test_a_ranker_that_shows_first_what_is_liked_less_is_warned_of(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n, items = 5000, 60
    shown = rng.permuted(np.tile(np.arange(items), (n, 1)), axis=1)[:, :5]
    liked = rng.normal(-1.5, 1, items)[shown] + rng.normal(0, 1, shown.shape)
    order = np.argsort(liked + rng.gumbel(size=shown.shape), axis=1)
    shown, liked = np.take_along_axis(shown, order, axis=1), np.take_along_axis(liked, order, axis=1)
    clicks = rng.random(shown.shape) < 0.85 ** np.arange(5) / (1 + np.exp(-liked))
    columns = {"request": np.repeat(np.arange(n), 5), "position": np.tile(np.arange(5), n)}
    made = replayed(pd.DataFrame(columns | {"item": shown.ravel(), "click": clicks.ravel().astype(int)}), tmp_path)
    assert any("random" in line and "no bracket of this log is to be believed" in line for line in board(made).warnings)


def test_a_fair_log_raises_no_warning(played: Results) -> None:
    assert brackets.warnings(played) == []


def test_a_log_that_ties_no_places_together_gets_neither_bracket_nor_interval(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    columns = {"request": np.repeat(np.arange(300), 3), "position": np.tile(np.arange(3), 300)}
    frame = pd.DataFrame(columns | {"item": columns["position"], "click": rng.integers(0, 2, 900)})
    made = replayed(frame, tmp_path)
    ranking = board(made)
    assert any("share no items" in line for line in ranking.warnings)
    assert ranking.frame["low"].isna().all() and set(ranking.frame["rank"]) == {"-"}


def test_costs_have_no_bracket_and_no_interval(tmp_path: Path) -> None:
    frame = shop(1500)[0].drop(columns="score")
    frame["margin"] = frame["click"] * 3.0 - 1.0
    outcomes = {"margin": {"column": "margin", "low": -1, "high": 2, "unit": "EUR"}}
    log = lb.from_impressions(frame, tmp_path / "log", outcomes=outcomes)
    made = lb.replay(["random", "ltr"], log, feedback="logged", slate=2, seeds=2, metric="reward_sum", reward="margin")
    ranking = board(made)
    assert any("rewards that may be negative have no bracket" in line for line in ranking.warnings)
    assert ranking.frame["low"].isna().all() and "bracket_low" not in ranking.frame


def test_lists_of_one_item_are_refused_with_the_fix(tmp_path: Path) -> None:
    frame = pd.DataFrame({"request": range(50), "position": 0, "item": [i % 5 for i in range(50)], "click": 1})
    with pytest.raises(ConfigError, match=r"one item each.*use feedback = 'replay'"):
        replayed(frame, tmp_path)


def test_propensities_that_do_not_help_are_told_of(tmp_path: Path) -> None:
    frame = shop(1500)[0].drop(columns="score").assign(propensity=0.2)
    made = replayed(frame, tmp_path)
    assert any("Rows drawn at random say more" in line for line in brackets.warnings(made))


# The shortest route ---------------------------------------------------------------------------------------------------
def test_from_a_table_of_impressions_to_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shop(3000)[0].to_csv("shop.csv", index=False)
    Path("my.toml").write_text(
        'title = "My shop"\nleaderboard = "ctr_sum"\ndata = { log = "log" }\n'
        'replay = { feedback = "logged", slate = 3, seeds = 2 }\n'
        'policies = [{ name = "random" }, { name = "popular" }]\n'
    )
    assert CliRunner().invoke(cli, ["import", "impressions", "shop.csv", "log"]).exit_code == 0
    done = CliRunner().invoke(cli, ["bench", "my.toml"])
    assert done.exit_code == 0, done.output
    printed = " ".join(done.output.split())
    assert re.search(r"popular: between -\d+ % and \+\d+ % of the logged order's clicks", printed)
    assert "your log cannot tell the sign" in printed
