"""From a log with propensities to estimates: worlds whose truth is known."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import lersbench as lb
from lersbench.cli.main import cli
from lersbench.errors import ConfigError, LersbenchError
from lersbench.evaluation.doubts import signs
from lersbench.log import Log, write
from lersbench.report.evaluation import write as write_report
from lersbench.results.evaluation import BELIEVE, DISBELIEVE, LOGGER, load
from lersbench.results.evaluation_words import sentences

N, ACTIONS = 4_000, 4
CHANCES = np.array([[0.7, 0.1, 0.1, 0.1], [0.1, 0.4, 0.4, 0.1]])  # of the logger, by context and action
RATES = np.array([[0.1, 0.3, 0.5, 0.2], [0.4, 0.1, 0.2, 0.3]])  # by context and action


def world(folder: Path, n: int = N, seed: int = 0, users: int = 0, order: str = "exchangeable", **changed: Any) -> Log:
    """Decisions of a logger that looks at the context."""
    rng = np.random.default_rng(seed)
    context = rng.integers(2, size=n)
    chance = CHANCES[context]
    action = (chance.cumsum(1) > rng.random((n, 1))).argmax(1)
    columns = {
        "context": context[:, None].astype(float),
        "slate": action[:, None],
        "clicks": (rng.random(n) < RATES[context, action]).astype(np.int8)[:, None],
        "propensities": chance[np.arange(n), action][:, None],
        **changed,
    }
    return _write(folder, columns, users, order)


def _write(folder: Path, columns: dict[str, Any], users: int = 0, order: str = "exchangeable") -> Log:
    more = {"users": users} if users else {}
    return write(folder, columns, name="decisions", items=ACTIONS, order=order, propensities="logged", **more)


@dataclass(frozen=True)
class Sure(lb.Policy):
    """Always the same action."""

    action: int = 2
    learns = False
    deterministic = True

    def init(self, spec: lb.Spec) -> None:
        return None

    def select(self, state: Any, rng: Any, round: lb.Round, slate: np.ndarray) -> None:
        round.scores[:] = round.candidates == self.action
        slate[:] = np.argsort(-round.scores, kind="stable")[: len(slate)]

    def update(self, *feedback: Any) -> None:
        pass


def test_values_lie_near_the_truth_and_errors_say_how_near(tmp_path: Path) -> None:
    found = lb.evaluate(world(tmp_path / "log"), {"random": "random", "sure": Sure()}, "off-policy").estimates
    truth = {"random": RATES.mean(), "sure": RATES[:, 2].mean()}
    for _, row in found.iterrows():
        assert abs(row["value"] - truth[row["policy"]]) < 3.5 * row["se"], row["estimator"]
        assert row["low"] < truth[row["policy"]] < row["high"]
    assert set(found["estimator"]) == {"dr", "snips", "ips"}


def test_ips_and_snips_are_the_means_of_the_textbook(tmp_path: Path) -> None:
    log = world(tmp_path / "log")
    chunk = next(log.read())
    w, r = np.where(chunk.slate[:, 0] == 2, 1 / chunk.propensities[:, 0], 0.0), chunk.clicks[:, 0]
    found = lb.evaluate(log, {"sure": Sure()}, "off-policy").estimates.set_index("estimator")
    assert found.loc["ips", "value"] == pytest.approx((w * r).mean(), rel=1e-12)
    assert found.loc["snips", "value"] == pytest.approx((w * r).sum() / w.sum(), rel=1e-12)
    assert found.loc["ips", "se_rows"] == pytest.approx((w * r).std(ddof=1) / np.sqrt(N), rel=1e-12)
    assert found.loc["snips", "ess"] == pytest.approx(w.sum() ** 2 / (w**2).sum(), rel=1e-12)


def test_differences_are_paired(tmp_path: Path) -> None:
    evaluation = lb.evaluate(world(tmp_path / "log"), {"a": Sure(2), "b": Sure(2)}, "off-policy", estimators=["snips"])
    pairs = evaluation.differences.set_index(["policy", "other"])
    assert pairs.loc[("a", "b"), ["value", "low", "high"]].tolist() == [0, 0, 0]
    against = pairs.loc[("a", LOGGER)]
    assert against["low"] < against["value"] < against["high"]


def test_a_policy_that_learned_before_is_judged_on_what_came_after(tmp_path: Path) -> None:
    log = world(tmp_path / "log")
    evaluation = lb.evaluate(log, ["random"], "off-policy", frozen=0.25, estimators=["ips"])
    assert evaluation.about["n"] == 3 * N // 4
    assert any("learned from the first 1,000 rows" in line for line in sentences(evaluation))


def test_users_are_the_clusters(tmp_path: Path) -> None:
    """The same rows four times, as those of the same users, say no more than once."""
    rng = np.random.default_rng(5)
    users = rng.integers(300, size=N)
    once = world(tmp_path / "once", users=300, user=users)
    chunk = next(once.read())
    four = {
        "context": np.tile(chunk.context, (4, 1)),
        "slate": np.tile(chunk.slate, (4, 1)),
        "clicks": np.tile(chunk.clicks, (4, 1)).astype(np.int8),
        "propensities": np.tile(chunk.propensities, (4, 1)),
        "user": np.tile(chunk.user, 4),
    }
    often = _write(tmp_path / "four", four, 300)
    a, b = (
        lb.evaluate(log, {"sure": Sure()}, "off-policy", estimators=["snips"]).estimates.iloc[0]
        for log in (once, often)
    )
    assert a["value"] == pytest.approx(b["value"], rel=1e-12) and a["se"] == pytest.approx(b["se"], rel=1e-9)
    assert b["se_rows"] == pytest.approx(a["se_rows"] / 2, rel=1e-3)


def test_verdicts(tmp_path: Path) -> None:
    good = lb.evaluate(world(tmp_path / "good", n=20_000, seed=3), ["random"], "off-policy", estimators=["snips"])
    assert good.estimates["verdict"].tolist() == [BELIEVE]
    few = lb.evaluate(world(tmp_path / "few", n=60), {"sure": Sure()}, "off-policy", estimators=["snips"]).estimates
    assert few["verdict"].tolist() == [DISBELIEVE] and "of all weight" in few["reason"].iloc[0]


def test_wrong_propensities_are_noticed_by_the_context(tmp_path: Path) -> None:
    """Frequencies instead of the chances of a logger that looks at the context: the mean weight is 1 all the same."""
    right = world(tmp_path / "right", n=20_000)
    chunk = next(right.read())
    share = np.bincount(chunk.slate[:, 0], minlength=ACTIONS) / 20_000
    wrong = world(tmp_path / "wrong", n=20_000, propensities=share[chunk.slate])
    row = lb.evaluate(wrong, ["random"], "off-policy", estimators=["snips"]).estimates.iloc[0]
    assert row["wbar"] == pytest.approx(1, abs=1e-9) and abs(row["worst_slice_z"]) > 5
    assert row["verdict"] == DISBELIEVE and "context 0" in row["reason"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"folds": 1}, "folds"),
        ({"estimators": ["rips"]}, "lists"),
        ({"estimators": ["magic"]}, "no estimator 'magic'"),
        ({"frozen": 1.5}, "share of the rows"),
        ({"frozen": "2024-01-01"}, "not in order of time"),
        ({"interval": "wide"}, "interval"),
        ({"clip": -1.0}, "weight above 0"),
        ({"strange": 1}, "strange"),
    ],
)
def test_what_cannot_be_is_an_error(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        lb.evaluate(world(tmp_path / "log", n=100), ["random"], "off-policy", **settings)


def test_it_is_kept_drawn_and_reported(tmp_path: Path) -> None:
    evaluation = lb.evaluate(world(tmp_path / "log"), ["random"], "off-policy").at(tmp_path / "out")
    evaluation.save()
    again = load(tmp_path / "out")
    assert again.records() == evaluation.records() and repr(again) == repr(evaluation)
    pages = write_report(evaluation)
    assert "would another policy have done better" in pages[0].read_text()
    assert sorted(path.name for path in (tmp_path / "out" / "figures").glob("*.png")) == [
        "sensitivity.png",
        "values.png",
        "weights.png",
    ]


def test_the_command_prints_an_object_a_policy_and_estimator(tmp_path: Path) -> None:
    log = world(tmp_path / "log", n=400)
    asked = ["evaluate", log.path, "--policy", "random", "--json", "--no-plots", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(cli, asked, catch_exceptions=False)
    rows = json.loads(done.stdout)
    assert {"policy", "estimator", "value", "low", "high", "ess", "verdict", "reason", "place"} <= rows[0].keys()
    assert [row["estimator"] for row in rows] == ["dr", "snips", "ips"]


def test_strict_ends_with_1_where_something_is_not_to_be_believed(tmp_path: Path) -> None:
    log = world(tmp_path / "log", n=60)
    asked = ["evaluate", log.path, "--policy", "random", "--strict", "--no-plots", "--out", str(tmp_path / "out")]
    assert CliRunner().invoke(cli, asked).exit_code == 1


def shop(folder: Path, n: int = 4_000) -> tuple[Log, float]:
    """Lists of a noisy ranker, and the clicks that the three most liked items of each would have had, in truth."""
    rng = np.random.default_rng(0)
    liked, seen = 1 / (1 + np.exp(-rng.normal(-2, 1, 100))), 0.85 ** np.arange(6)
    offered = np.stack([rng.choice(100, 6, replace=False) for _ in range(n)])
    noisy = np.log(liked / (1 - liked))[offered] + rng.gumbel(size=offered.shape)
    offered = np.take_along_axis(offered, np.argsort(-noisy, axis=1), axis=1)
    clicks = (rng.random(offered.shape) < liked[offered] * seen).astype(np.int8)
    columns = {"candidates": offered, "slate": offered, "clicks": clicks}
    best = -np.sort(-liked[offered], axis=1)[:, :3]
    return write(folder, columns, name="shop", items=100, order="exchangeable"), float((best * seen[:3]).sum(1).mean())


def test_lists_without_propensities_are_answered_by_a_bracket(tmp_path: Path) -> None:
    from lersbench.evaluation.run import evaluate

    @dataclass(frozen=True)
    class Liked(lb.Policy):
        """Knows the true liking of each item."""

        learns = False
        deterministic = True

        def init(self, spec: lb.Spec) -> np.ndarray:
            return 1 / (1 + np.exp(-np.random.default_rng(0).normal(-2, 1, 100)))

        def select(self, state: Any, rng: Any, round: lb.Round, slate: np.ndarray) -> None:
            round.scores[:] = state[round.candidates]
            slate[:] = np.argsort(-round.scores, kind="stable")[: len(slate)]

        def update(self, *feedback: Any) -> None:
            pass

    log, truth = shop(tmp_path / "log")
    found = evaluate(log, {"liked": Liked(), "random": "random"}, slate=3)
    row = found.estimates.set_index("policy").loc["liked"]
    assert row["low"] < truth < row["high"] and row["end_low"] < row["end_high"]
    assert row["verdict"] != BELIEVE and "%" in sentences(found)[1]


def test_single_items_without_propensities_are_an_error_that_names_the_ways_out(tmp_path: Path) -> None:
    columns = {"slate": np.zeros((50, 1), np.int64), "clicks": np.ones((50, 1), np.int8)}
    log = write(tmp_path / "log", columns, name="bare", items=3, order="exchangeable")
    with pytest.raises(ConfigError, match="epsilon"):
        lb.evaluate(log, ["random"])


def test_learners_have_two_answers_near_what_is_true(tmp_path: Path) -> None:
    """Popular, trained on the log, comes to show the action of the best mean; on line it learns from what it showed."""
    log = world(tmp_path / "log", n=20_000)
    found = lb.evaluate(log, ["popular"], estimators=["ips"]).estimates.set_index("feedback")
    best = RATES.mean(axis=0).max()
    for question in ("rejection", "progressive"):
        row = found.loc[question]
        assert row["value"] < best + 3 * row["se"] and row["value"] > RATES.mean() - 3 * row["se"], question
    assert found.loc["rejection", "ess"] == pytest.approx(20_000 / 10, rel=0.15)  # M = 1 / .1


def test_a_frozen_learner_has_learned(tmp_path: Path) -> None:
    log = world(tmp_path / "log", n=20_000)
    row = lb.evaluate(log, ["popular"], frozen=0.5, estimators=["snips"]).estimates.iloc[0]
    assert row["feedback"] == "off-policy"
    assert abs(row["value"] - RATES.mean(axis=0).max()) < 3.5 * row["se"]


def test_scores_that_may_have_seen_the_judged_rewards_are_warned_of(tmp_path: Path) -> None:
    start = np.datetime64("2024-05-01T00:00", "us")
    log = world(tmp_path / "log", n=400, time=start + np.arange(400) * np.timedelta64(3_600_000_000, "us"))
    table = tmp_path / "scores.csv"
    table.write_text("item,score\n" + "".join(f"{item},{item}\n" for item in range(ACTIONS)))
    policies = {
        "unknown": lb.load_policy("scores", table=str(table)),
        "before": lb.load_policy("scores", table=str(table), trained_until="2024-04-30"),
        "after": lb.load_policy("scores", table=str(table), trained_until="2024-05-03"),
    }
    evaluation = lb.evaluate(log, policies, estimators=["ips"])
    notes = " ".join(evaluation.about["notes"])
    assert "Nothing says up to when the ranker behind unknown" in notes and "after: its ranker had seen" in notes
    assert "before:" not in notes
    with pytest.raises(ConfigError, match="this is no date"):
        lb.evaluate(log, [lb.load_policy("scores", table=str(table), trained_until="soon")])


def test_a_date_cuts_the_log_where_it_says(tmp_path: Path) -> None:
    hours = np.datetime64("2024-05-01T00:00", "us") + np.arange(240) * np.timedelta64(3_600_000_000, "us")
    log = world(tmp_path / "log", n=240, time=hours, order="time")
    assert lb.evaluate(log, ["popular"], estimators=["ips"], frozen="2024-05-03").about["n"] == 240 - 48
    with pytest.raises(ConfigError, match="leaves no row"):
        lb.evaluate(log, ["popular"], estimators=["ips"], frozen="2024-06-01")


@pytest.mark.parametrize("foreign", ["notes.txt", "figures/mine.png", "log.json"])
def test_files_of_others_are_not_taken_away(tmp_path: Path, foreign: str) -> None:
    log, out = world(tmp_path / "log", n=100), tmp_path / "out"
    asked = ["evaluate", log.path, "--policy", "random", "--no-plots", "--out", str(out)]
    for _ in range(2):  # an earlier evaluation gives way to a new one
        assert CliRunner().invoke(cli, asked, catch_exceptions=False).exit_code == 0
    (out / foreign).parent.mkdir(exist_ok=True)
    (out / foreign).write_text("mine")
    with pytest.raises(ConfigError, match=foreign):
        CliRunner().invoke(cli, asked, catch_exceptions=False, standalone_mode=False)
    with pytest.raises(ConfigError, match=foreign):
        lb.evaluate(log, ["random"]).at(out).save()
    assert (out / foreign).read_text() == "mine" and load(out).estimates.shape[0]


@dataclass(frozen=True)
class Broken(Sure):
    """Fails in one way or another."""

    how: str = ""

    def init(self, spec: lb.Spec) -> None:
        if self.how == "init":
            raise KeyError("boom")

    def select(self, state: Any, rng: Any, round: lb.Round, slate: np.ndarray) -> None:
        if self.how == "select" and round.context[0] > 0:
            raise ZeroDivisionError("boom")
        super().select(state, rng, round, slate)
        if self.how == "no candidate":
            slate[0] = 17
        if self.how == "other scores":
            round.scores[:] *= -1
        if self.how == "no scores":
            round.scores[:] = 0


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("init", "Broken.*failed before the first round, in `init`: KeyError: 'boom'"),
        ("select", "Broken.*failed in round [0-9]+ of the log: ZeroDivisionError: boom .*test_evaluate.py, line"),
        ("no candidate", r"no candidate, or with one twice: \[17\] of 4"),
        ("other scores", "not the order of the scores"),
        ("no scores", "has written no `round.scores`"),
    ],
)
def test_a_policy_that_fails_is_named_with_its_round(tmp_path: Path, how: str, words: str) -> None:
    with pytest.raises(LersbenchError, match=words):
        lb.evaluate(world(tmp_path / "log", n=100), [Broken(how=how)], estimators=["snips"])


def test_what_was_not_known_at_the_cut_is_not_learned(tmp_path: Path) -> None:
    """Of 100 rows, an hour each, the first 50 come before the cut; the window of the last ten of them is open there."""
    hours = np.datetime64("2024-05-01T00:00", "us") + np.arange(100) * np.timedelta64(3_600_000_000, "us")
    action = np.random.default_rng(1).integers(ACTIONS, size=(100, 1))
    columns = {"slate": action, "clicks": action == 1, "propensities": np.full((100, 1), 0.25), "time": hours}
    said = {}
    for window in ("10 h", 0):
        how = {"name": "timed", "items": ACTIONS, "order": "time", "propensities": "logged", "reward_window": window}
        log = write(tmp_path / f"log{window}", columns, **how)
        evaluation = lb.evaluate(log, ["popular"], estimators=["ips"], frozen=0.5)
        said[window] = " ".join(sentences(evaluation)), evaluation.about["n"]
    assert "learned from the first 41 rows and were judged from row 50" in said["10 h"][0] and said["10 h"][1] == 40
    assert "learned from the first 50 rows" in said[0][0] and said[0][1] == 50


def test_a_lift_whose_sign_hangs_on_the_largest_weights_is_named() -> None:
    rows = [("a", "off-policy", w, 0.1, 0.0, lift) for w, lift in ((2.0, -0.1), (8.0, 0.1), (np.inf, 0.2))]
    rows += [("b", "off-policy", w, 0.1, 0.0, 0.1) for w in (2.0, np.inf)]
    rows += [("c", "off-policy", w, 0.1, 0.0, lift) for w, lift in ((2.0, 1e-17), (np.inf, 0.0))]
    table = pd.DataFrame(rows, columns=["policy", "feedback", "weight", "value", "cut_share", "lift"])
    (line,) = signs(table)
    assert line == "a, fixed policies: the sign of the lift against the log depends on rows above weight 2."
