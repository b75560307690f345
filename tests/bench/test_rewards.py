"""`[replay] reward`: from a log of several outcomes to curves, tables, figures and reports in its unit."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lersbench as lb
from lersbench.bench import demands, replays, scenario, session
from lersbench.errors import ConfigError
from lersbench.figures.axes import axis_title
from lersbench.log import Log, write
from lersbench.metrics import OF_CLICKS, OF_REWARDS
from lersbench.policy import find, names
from lersbench.results import ranking, tables, words

ROUNDS, ITEMS, LENGTH = 120, 6, 3
DECLARED = {
    "revenue": {"low": 0, "high": 500, "unit": "EUR"},
    "cost": {"low": 0, "high": 4, "unit": "EUR"},
    "watch_s": {"low": 0, "unit": "s"},
}


def make(folder: Path, outcomes: dict[str, dict[str, Any]] = DECLARED, **changes: Any) -> Log:
    """Uniformly random lists of three of six items with features; item 0 brings most, a tenth of the declared range."""
    rng = np.random.default_rng(0)
    candidates = np.stack([rng.permutation(ITEMS) for _ in range(ROUNDS)])
    slate = candidates[:, :LENGTH]
    shape = slate.shape
    columns = {
        "candidates": candidates,
        "context": rng.normal(size=(ROUNDS, 2)),
        "features": rng.normal(size=(ROUNDS, ITEMS, 2)) + np.eye(2)[0] * (candidates == 0)[..., None],
        "slate": slate,
        "clicks": (rng.random(shape) < 0.4).astype(int),
        "propensities": np.full(shape, 1 / ITEMS),
        "outcome_revenue": np.where(slate == 0, 50.0, rng.uniform(0, 20, shape)).round(2),
        "outcome_cost": rng.uniform(0, 4, shape).round(2),
        "outcome_watch_s": rng.gamma(2, 30, shape).round(),
    }
    columns = {name: values for name, values in {**columns, **changes}.items() if values is not None}
    return write(folder, columns, items=ITEMS, propensities="uniform", outcomes=outcomes, overwrite=True)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    return make(tmp_path_factory.mktemp("rewards") / "log")


def scenario_of(log: Log, policies: tuple[str, ...] = ("random", "ltr", "popular"), **more: Any) -> scenario.Scenario:
    replay = {
        "feedback": "logged",
        "slate": 2,
        "seeds": 3,
        "checkpoints": 5,
        "reward": "revenue",
        **more.pop("replay", {}),
    }
    content = {"name": "paid", "title": "Paid", "data": {"log": log.path}, "replay": replay, **more}
    return scenario.parse({**content, "policies": [{"name": name} for name in policies]}, "test")


def bench(chosen: scenario.Scenario, results: Path) -> replays.Run:
    return replays.bench(chosen, results, threads=1, say=lambda _: None)


# What is measured -----------------------------------------------------------------------------------------------------
def test_the_logged_lists_earn_what_the_log_says_and_nothing_is_said_of_clicks(log: Log, tmp_path: Path) -> None:
    results = tables.load(bench(scenario_of(log), tmp_path).folder)
    (chunk,) = log.read(1 << 30)
    earned = chunk.outcomes["revenue"][:, :2]
    final = results.final("", "reward_sum").loc["ltr"]
    np.testing.assert_allclose(final, earned.sum(axis=1).mean())
    np.testing.assert_allclose(results.final("", "reward").loc["ltr"], earned.mean())
    best = np.sort(chunk.outcomes["revenue"], axis=1)[:, -2:].sum()
    np.testing.assert_allclose(results.final("", "regret").loc["ltr"], best - earned.sum())
    np.testing.assert_allclose(results.final("", "iips").loc["ltr"], earned.sum(axis=1).mean())
    assert not set(OF_CLICKS) & set(results.metrics) and set(OF_REWARDS) <= set(results.metrics)
    assert results.scenario["leaderboard"] == "reward_sum"
    assert results.meta["reward"] == {"words": "revenue", "unit": "EUR"}
    assert results.meta["logs"][0]["reward_range"] == [0.0, 500.0]
    assert ranking.table(results).policy[0] == "popular"  # it learns that item 0 brings most


def test_weights_of_several_outcomes(log: Log, tmp_path: Path) -> None:
    chosen = scenario_of(log, ("ltr", "random"), replay={"reward": {"click": 1, "revenue": 0.5, "cost": -2}})
    results = tables.load(bench(chosen, tmp_path).folder)
    (chunk,) = log.read(1 << 30)
    paid = chunk.clicks + 0.5 * chunk.outcomes["revenue"] - 2 * chunk.outcomes["cost"]
    np.testing.assert_allclose(results.final("", "reward_sum").loc["ltr"], paid[:, :2].sum(axis=1).mean())
    assert results.meta["reward"] == {"words": "click + 0.5 revenue - 2 cost", "unit": "points"}
    assert results.meta["logs"][0]["reward_range"] == [-8.0, 251.0]
    board = ranking.board(results)
    assert "lift" not in board.frame  # of what may be negative nothing is a multiple
    assert board.metric.title == "Reward (click + 0.5 revenue - 2 cost) per round"


def test_clicks_come_to_what_they_came_to(log: Log, tmp_path: Path) -> None:
    """`{ click = 1 }` is `"click"`, the default: the same numbers, kept under the same names."""
    plain = scenario_of(log, replay={"reward": "click"})
    run = bench(plain, tmp_path)
    results = tables.load(run.folder)
    assert {"ctr", "ctr_sum", "ctr_set", "misses"} <= set(results.metrics) and not set(OF_REWARDS) & set(
        results.metrics
    )
    assert results.scenario["leaderboard"] == "misses" and not results.reward
    (chunk,) = log.read(1 << 30)
    np.testing.assert_allclose(results.final("", "ctr").loc["ltr"], chunk.clicks[:, :2].mean())
    again = bench(scenario_of(log, replay={"reward": {"click": 1}}), tmp_path)
    assert (again.played, again.reused) == (0, run.played)


def test_rejection_replay_pays_matching_rounds(log: Log, tmp_path: Path) -> None:
    one = make(
        tmp_path / "one", {"revenue": DECLARED["revenue"]}, slate=np.zeros((ROUNDS, 1), int), clicks=None,
        candidates=None, features=None, propensities=np.full((ROUNDS, 1), 1 / ITEMS),
        outcome_revenue=np.arange(ROUNDS)[:, None] / 10, outcome_cost=None, outcome_watch_s=None,
    )  # fmt: skip
    replay = {"feedback": "replay", "slate": 1}
    results = tables.load(bench(scenario_of(one, ("first", "random", "thompson"), replay=replay), tmp_path).folder)
    np.testing.assert_allclose(results.final("", "reward_sum").loc["first"], (ROUNDS - 1) / 20)  # item 0 in all rounds
    assert (results.final("", "matches").loc["first"] == ROUNDS).all()
    assert (results.final("", "matches").loc["random"] < ROUNDS).all()


# What policies learn --------------------------------------------------------------------------------------------------
def listener(scaled: bool, heard: list[float]) -> lb.Policy:
    """A policy of this process that keeps what it is given."""

    @dataclass(frozen=True)
    class Listener(lb.Policy):
        unit_rewards = scaled

        def init(self, spec: lb.Spec) -> None:
            return None

        def select(self, state: Any, rng: np.random.Generator, round: lb.Round, slate: np.ndarray) -> None:
            slate[:] = np.arange(len(slate))

        def update(self, state: Any, round: lb.Round, slate: Any, rewards: np.ndarray, seen: np.ndarray) -> None:
            heard.extend(rewards.tolist())

    return Listener()


@pytest.mark.parametrize("high", [500, 1000])
def test_scaling_goes_by_the_declared_range_alone(tmp_path: Path, high: int) -> None:
    """The data use a tenth of the range or less, and nobody is told: the largest revenue is learned as 50 / high."""
    log = make(tmp_path / "log", {**DECLARED, "revenue": {"low": -100, "high": high, "unit": "EUR"}})
    heard: dict[bool, list[float]] = {True: [], False: []}
    sums = []
    for scaled, kept in heard.items():
        done = lb.replay({"kept": listener(scaled, kept)}, log, "logged", 2, 1, reward="revenue", replicates="none")
        sums.append(done.final("", "reward_sum").loc["kept", 0])
    learned, paid = np.array(heard[True]), np.array(heard[False])
    np.testing.assert_allclose(learned, (paid + 100) / (high + 100), rtol=1e-12)
    assert paid.max() == 50.0 and paid.min() >= 0.0
    assert sums[0] == sums[1] == pytest.approx(paid.sum() / ROUNDS)


def test_what_is_known_later_is_scaled_and_paid_alike(tmp_path: Path) -> None:
    """Feedback of two rounds before; what is delivered is still the place in the declared range."""
    minute = np.timedelta64(60_000_000, "us")
    log = make(tmp_path / "log", time=np.datetime64("2026-01-01", "us") + np.arange(ROUNDS) * minute)
    heard: dict[bool, list[float]] = {True: [], False: []}
    sums = []
    for scaled, kept in heard.items():
        told = {"reward": "revenue", "replicates": "none", "delay": "90 s"}
        done = lb.replay({"kept": listener(scaled, kept)}, log, "logged", 2, 1, **told)
        sums.append(done.final("", "reward_sum").loc["kept", 0])
    assert len(heard[True]) == 2 * (ROUNDS - 2)  # a position at a time would be as many
    np.testing.assert_allclose(np.array(heard[True]), np.array(heard[False]) / 500, rtol=1e-12)
    assert sums[0] == sums[1] > 0


def test_every_policy_that_needs_the_unit_interval_says_so() -> None:
    said = {name for name in names() if find(name).unit_rewards}
    assert said == {
        *("thompson", "ucb1", "exp3", "exp3m", "iba-exp3", "rba-exp3", "iba-ucb1", "rba-ucb1"),
        *("pbm-pie", "pbm-ts", "pbm-ucb", "cascade-linucb"),
        *("bayes-by-backprop", "lers", "lers-both", "lers-context", "lers-recommendation"),
        *("neural-linear", "neural-ts", "neural-ucb"),
    }
    moved = {name for name in said if not find(name).zero_is_nothing and not find(name).apart}
    assert moved == {"thompson", "ucb1", "exp3", "exp3m", "iba-exp3", "iba-ucb1"}


def test_all_policies_of_lists_play_revenue(log: Log, tmp_path: Path) -> None:
    """And those in [0, 1] come to the same, whatever unit the range and the values are in."""
    kinds = (
        *("thompson", "ucb1", "exp3", "exp3m", "iba-exp3", "iba-ucb1", "rba-exp3", "rba-ucb1"),
        *("pbm-pie", "pbm-ts", "pbm-ucb", "cascade-linucb"),
    )
    replay = {"fit": 30, "seeds": 1, "replicates": "none"}
    cents = make(
        tmp_path / "cents", {**DECLARED, "revenue": {"low": 0, "high": 50_000, "unit": "ct"}},
        outcome_revenue=100 * next(log.read(1 << 30)).outcomes["revenue"],
    )  # fmt: skip
    finals = []
    for one in (log, cents):
        results = tables.load(bench(scenario_of(one, kinds, replay=replay), tmp_path / one.info.name).folder)
        finals.append(results.final("", "reward_sum")[0])
    assert len(finals[0]) == len(kinds) and np.isfinite(finals[0]).all()
    pd.testing.assert_series_equal(finals[1], 100 * finals[0], rtol=1e-9)


# What is played anew --------------------------------------------------------------------------------------------------
def test_another_reward_or_range_is_another_result(log: Log, tmp_path: Path) -> None:
    first = bench(scenario_of(log), tmp_path)
    assert bench(scenario_of(log), tmp_path).played == 0
    for reward in ("cost", {"revenue": 2}, {"revenue": 1, "cost": -1}):
        assert bench(scenario_of(log, replay={"reward": reward}), tmp_path).played == first.played
    wider = make(tmp_path / "wider" / "log", {**DECLARED, "revenue": {"low": 0, "high": 600, "unit": "EUR"}})
    assert bench(scenario_of(wider), tmp_path).played == first.played


# What cannot work -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("policies", "changes", "complaint"),
    [
        (("random",), {"replay": {"reward": "revenu"}}, "has no outcome 'revenu'; did you mean 'revenue'"),
        (("random",), {"replay": {"feedback": "bandit"}}, "every candidate .* 'logged' or 'replay'"),
        (("random",), {"replay": {"feedback": "full"}}, "every candidate .* 'logged' or 'replay'"),
        (("random",), {"replay": {"feedback": "simulated"}}, "draws its clicks from the click model of the world"),
        (("random",), {"replay": {"reward": {}}}, "reward takes weights that are finite and not 0"),
        (("random",), {"replay": {"reward": {"click": 0}}}, "reward takes weights that are finite and not 0"),
        (("random",), {"replay": {"reward": 3}}, "reward takes an outcome, such as 'revenue', or weights"),
        (("random",), {"leaderboard": "misses"}, "'misses' is one of clicks, .* take 'reward_sum'"),
        (("random",), {"leaderboard": "reward_sum", "replay": {"reward": "click"}}, "one of what is paid"),
        (("ucb1",), {"replay": {"reward": "watch_s"}}, "'ucb1' needs rewards in .* declares none for watch_s"),
        (("pbm-ucb",), {"replay": {"reward": {"revenue": 1, "cost": -1}, "fit": 30}}, r"\[-4, 500\]: .* 0.0079"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_said_before_anything_is_played(
    log: Log, tmp_path: Path, policies: tuple[str, ...], changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        bench(scenario_of(log, policies, **changes), tmp_path)
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_warm_start_has_another_unit(log: Log) -> None:
    chosen = scenario_of(log)
    entries = scenario.entries(chosen.model_copy(update={"policies": [{"name": "popular", "warm": 2.0}]}))
    (case,) = scenario.cases(chosen)
    with pytest.raises(ConfigError, match="starts from how often items were bought before, and the reward is revenue"):
        demands.check(chosen, log, case, session.spec_of(chosen, log, case), entries)


def test_logs_of_one_scenario_declare_one_unit(log: Log, tmp_path: Path) -> None:
    other = make(tmp_path / "other", {**DECLARED, "revenue": {"low": 0, "high": 500, "unit": "USD"}})
    with pytest.raises(ConfigError, match=r"several units: EUR in .*, USD in "):
        replays._check_units(scenario_of(log), [log, other])


# Words and figures ----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def results(log: Log, tmp_path_factory: pytest.TempPathFactory) -> tables.Results:
    chosen = scenario_of(log, ("random", "ltr", "popular", "ucb1"), replay={"fit": 30})
    return tables.load(bench(chosen, tmp_path_factory.mktemp("run")).folder)


def test_tables_name_the_unit(results: tables.Results) -> None:
    board = ranking.board(results)
    text = words.to_terminal(board, bold=False)
    assert "reward_sum EUR" in text and "lift over random %" in text
    assert "reward_sum: Revenue per round, in EUR; higher is better." in words.legend(board)[0]
    assert words.conclusion(board)[0].split(",")[0].startswith("Try popular: it leads with ")
    assert " EUR a round, 95 % for new rounds [" in words.conclusion(board)[0]
    regret = ranking.board(results, "regret")
    head, _ = words.cells(regret, *regret.tables[0])
    assert "regret EUR" in head and "minus random (EUR)" in head
    assert "Difference: policy minus random in EUR, by the means over seeds" in " ".join(words.legend(regret))
    assert "cumulative regret" in words.conclusion(regret)[0] and " EUR below random" in words.conclusion(regret)[0]
    document = json.loads(words.to_json(board))
    assert (document["metric"], document["unit"]) == ("reward_sum", "EUR")
    assert (
        document["units"]["reward"] == document["units"]["iips"] == "EUR" and document["units"]["similarity"] == "share"
    )


def test_an_interval_stays_within_the_declared_range(results: tables.Results) -> None:
    assert results.bounds("", results.metric("reward")) == (0.0, 500.0)
    assert results.bounds("", results.metric("reward_sum")) == (0.0, 1000.0)
    assert results.resolution("", results.metric("reward_sum")) == 1.0 / (ROUNDS - 30)
    assert results.metric("iips").title == "IIPS of revenue per round"


def test_figures_and_report_name_the_unit(results: tables.Results, tmp_path: Path) -> None:
    lb.draw(results, tmp_path / "figures")
    drawn = {path.stem for path in (tmp_path / "figures").glob("*.svg")}
    assert {"curve-reward-sum", "final-reward-sum", "clicks-and-similarity", "protocols"} <= drawn
    for stem in ("curve-reward-sum", "final-reward-sum"):
        svg = (tmp_path / "figures" / f"{stem}.svg").read_text()
        assert svg.count("Revenue per round (EUR)") >= 2  # title and axis
    assert not drawn & {"curve-ctr-sum", "curve-ctr-set", "final-misses"}
    assert axis_title(results.metric("regret")) == "Cumulative regret (EUR)"
    lb.write_report(results, tmp_path)
    report = (tmp_path / "report.md").read_text()
    assert "revenue per round 38.2 EUR instead of" in report and "Reward: revenue, in EUR." in report
    assert "its logged reward wherever it is placed" in report and "logged click wherever" not in report
    assert "reward_sum EUR" in report and "Rewards and the similarity" in report
