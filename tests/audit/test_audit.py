"""The audit of off-policy estimates: its truths, its checks, and that it judges what `evaluate` says."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from lersbench.audit import (
    adaptive,
    crowds,
    enumerated,
    heavy,
    lists,
    refit,
    run,
    unsupported,
    worlds,
)
from lersbench.audit.__main__ import main
from lersbench.audit.judging import NONE, Rows, doubts_of, guaranteed, judged, levels_of, sums_of
from lersbench.audit.runs import joined, load, runs_of, save
from lersbench.audit.summary import checks_of, covers, doubted, lines_of
from lersbench.audit.world import NORMAL, Answer, Check, World
from lersbench.errors import ConfigError
from lersbench.evaluation.run import evaluate
from lersbench.log import write
from lersbench.offpolicy.diagnostics import diagnose
from lersbench.offpolicy.verdict import LEVELS, THRESHOLDS, verdict


# The truths -----------------------------------------------------------------------------------------------------------
def test_every_log_of_two_rows_says_what_theory_says() -> None:
    found = enumerated.means(rows=2)
    assert all(check.passed for check in enumerated.checks(found))
    assert {mean.estimator: mean.bias for mean in found}["ips"] == 0
    assert sum(chance for chance, _ in enumerated.logs(2)) == 1


def test_the_truth_of_arms_is_what_their_logs_earn_under_the_target() -> None:
    for arms in heavy.KINDS.values():
        assert arms.logging.sum() == pytest.approx(1) and arms.target.sum() == pytest.approx(1)
        rng = np.random.default_rng(1)
        earned = rng.random(400_000) < arms.rate[rng.choice(len(arms.rate), 400_000, p=arms.target)]
        assert earned.mean() == pytest.approx(arms.truth, abs=4 * earned.std() / 400_000**0.5)
    assert heavy.KINDS["A"].truth == pytest.approx(0.18)
    assert [round(heavy.KINDS[kind].heaviest) for kind in "BCD"] == [302, 15, 664]


def test_the_rates_of_users_are_means_over_their_effects() -> None:
    effects = np.random.default_rng(2).normal(size=(200_000, 1))
    drawn = crowds.logistic(crowds.LOGIT + crowds.SPREAD * effects).mean(axis=0)
    np.testing.assert_allclose(crowds.RATE, drawn, atol=0.003)


def test_lists_have_the_chances_of_their_policy() -> None:
    worth = np.exp(lists.LOGGER)
    for at, (a, b, c) in enumerate(lists.SLATES):
        rest = worth.sum()
        steps = (worth[a] / rest, worth[b] / (rest - worth[a]), worth[c] / (rest - worth[a] - worth[b]))
        np.testing.assert_allclose(lists.LOGGED.prefix[at], np.cumprod(steps))
    assert lists.LOGGED.whole.sum() == pytest.approx(1)
    first = [lists.LOGGED.place[lists.SLATES[:, 0] == item, 0][0] for item in range(lists.ITEMS)]
    np.testing.assert_allclose(first, worth / worth.sum())
    alike = lists.chances_of(np.zeros(lists.ITEMS))
    np.testing.assert_allclose(alike.place, 1 / 5)


def test_users_of_lists_click_as_their_model_says() -> None:
    slates, keys = np.repeat(lists.SLATES[:1], 40_000, axis=0), np.arange(40_000)
    for users in lists.USERS.values():
        clicks = np.zeros(slates.shape, np.int64)
        lists.clicked(users.weights, users.goes_on, lists.ATTRACTION, slates, keys, clicks)
        both = np.array([clicks.sum(axis=1).mean(), clicks.any(axis=1).mean()])
        np.testing.assert_allclose(both, lists.worth_of(users)[0], atol=0.02)


@pytest.mark.parametrize("falling", [0.0, 3.0])
def test_an_adaptive_logger_logs_the_chances_it_had(falling: float) -> None:
    """Given the past: played again from each row on, it takes the arm as often as it says."""
    n, again = 40, 4000
    rng = np.random.default_rng(3)
    chance = rng.random((n, 3))
    arm, reward, p = np.empty(n, np.int64), np.empty(n), np.empty(n)
    adaptive.greedy(chance, falling, adaptive.RATE, arm, reward, p)
    other = [np.empty(n, np.int64), np.empty(n), np.empty(n)]
    for row in (5, n - 1):
        taken = 0
        for _ in range(again):
            chance_again = chance[: row + 1].copy()
            chance_again[row] = rng.random(3)
            adaptive.greedy(chance_again, falling, adaptive.RATE, *(one[: row + 1] for one in other))
            taken += other[0][row] == arm[row]
        assert taken / again == pytest.approx(p[row], abs=4 * math.sqrt(p[row] * (1 - p[row]) / again))


# What is judged -------------------------------------------------------------------------------------------------------
def test_the_audit_judges_what_evaluate_says(tmp_path: Path) -> None:
    """The same rows through a log on disk and `evaluate`, and through the audit: the same values, ends and verdicts."""
    rng, logging = np.random.default_rng(4), np.array([0.4, 0.3, 0.2, 0.1])
    arm, user = rng.choice(4, 900, p=logging), rng.integers(60, size=900)
    reward = (rng.random(900) < 0.3).astype(np.int8)
    chunk = {"user": user, "slate": arm[:, None], "clicks": reward[:, None], "propensities": logging[arm][:, None]}
    log = write(tmp_path / "log", chunk, items=4, users=60, propensities="logged")
    table = evaluate(log, ["random"], {"estimators": ["snips", "ips"]}).estimates
    mine = judged(Rows(0.25 / logging[arm], reward.astype(float), logging[arm], user), truth=0.3)
    for row, answer in zip(table.itertuples(), [one for one in mine if one.interval != NORMAL], strict=True):
        assert (row.estimator, row.interval) == (answer.estimator, answer.interval)
        assert (row.value, row.low, row.high) == pytest.approx(answer[2:5], rel=1e-12)
        assert row.verdict == LEVELS[levels_of(answer.doubts[None], np.array([answer.most]))[0]]


def test_levels_of_many_runs_are_those_of_verdict() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        n = int(rng.integers(3, 400))
        w = rng.lognormal(0, rng.uniform(0, 2), n)
        rows = Rows(w, (rng.random(n) < 0.3).astype(float), rng.uniform(0.001, 1, n))
        for answer in judged(rows, 0.3):
            found = diagnose(sums_of(rows))
            np.testing.assert_array_equal(answer.doubts, doubts_of([found]))
            level = levels_of(answer.doubts[None], np.array([answer.most]))[0]
            assert LEVELS[level] == verdict(found, answer.estimator).level


def test_intervals_with_a_guarantee_are_of_ips() -> None:
    rows = heavy.MILD.draw(np.random.default_rng(6), 500)
    found = guaranteed(rows, heavy.MILD.truth, heavy.MILD.heaviest)
    assert [one.interval for one in found] == ["bernstein", "betting", "anytime"]
    assert all(one.low <= one.value <= one.high for one in found)


# What is checked ------------------------------------------------------------------------------------------------------
def made(errors: np.ndarray, half: float, most: int = -1) -> list[list[Answer]]:
    """Runs of one estimate of a truth of 1 with these errors and an interval of this half width."""
    return [[Answer("ips", NORMAL, 1 + e, 1 + e - half, 1 + e + half, 1.0, NONE, most)] for e in errors]


def test_lines_count_what_they_say() -> None:
    (line,) = lines_of(runs_of(made(np.array([0.1, -0.3, 0.1, 0.3]), 0.2, 0))).values()
    assert (line.error, line.runs, line.truth) == (pytest.approx(0.05), 4, 1.0)
    assert line.margin == pytest.approx(3 * np.std([0.1, -0.3, 0.1, 0.3], ddof=1) / 2)
    assert (line.coverage, line.above, line.below) == (0.5, 0.25, 0.25)
    assert (line.width, line.relative) == (pytest.approx(0.4), pytest.approx(0.2))
    assert (line.verdicts, line.believed) == ((1.0, 0.0, 0.0), 0.5)


@pytest.mark.parametrize(("bias", "half", "passed"), [(0.0, 1.96, [True, True]), (0.3, 1.96, [False, True])])
def test_a_bias_fails(bias: float, half: float, passed: list[bool]) -> None:
    world = World("X", "X", 2000, 0, lambda rng: [], ("ips",), (), ("ips",))
    errors = np.random.default_rng(7).normal(bias, 1.0, 2000)
    checks = checks_of(world, lines_of(runs_of(made(errors, half, 0))))
    assert [check.passed for check in checks] == passed


def test_a_coverage_that_is_too_small_or_a_believed_one_fails() -> None:
    errors = np.random.default_rng(8).normal(0.0, 1.0, 2000)
    world = World("X", "X", 2000, 0, lambda rng: [], (), (), ("ips",))
    for half, passed in ((1.96, True), (1.5, False), (2.6, False)):
        (check,) = checks_of(world, lines_of(runs_of(made(errors, half, 0))))
        assert check.passed is passed, check
    (line,) = lines_of(runs_of(made(errors, 1.7, 2))).values()
    assert not covers(line, 0.93).passed and covers(line, 0.85).passed
    assert doubted(line, 0.95).passed and line.verdicts == (0.0, 0.0, 1.0)


def test_a_world_at_the_edge_is_asked_for_the_share_of_runs_that_are_believed_and_wrong() -> None:
    """Where luck decides what is believed, what is believed covers less: 4 in 10 runs, 3 in 10 of them wrong."""
    world = World("X", "X", 1000, 0, lambda rng: [], (), (), ("ips",))
    for wrong, passed in ((0.3, False), (0.1, True)):
        runs = []
        for i in range(1000):
            believed = i % 10 < 4
            runs += made(
                np.array([5.0 if believed and i % 400 < 400 * wrong else 0.1 * (-1) ** i]), 1.0, 0 if believed else 1
            )
        (check,) = checks_of(world, lines_of(runs_of(runs)))
        assert check.passed is passed, check


def test_a_refit_says_what_is_believed_and_what_it_covers() -> None:
    rng = np.random.default_rng(9)
    bad = rng.random(1000) < 0.3  # runs of few events, whose intervals hold nothing
    doubts = np.where(np.arange(len(THRESHOLDS)) == list(THRESHOLDS).index("events"), 1.0, np.nan)
    runs = runs_of(
        [[Answer("ips", NORMAL, 1 + 9 * b, 0.0, 2.0 - 2 * b, 1.0, doubts * (5 if b else 500), 0)] for b in bad]
    )
    world = World("X", "X", 1000, 0, lambda rng: [], (), (), ("ips",))
    fit, free = refit.fit([(world, runs)], THRESHOLDS), refit.fit([(world, runs)], refit.without("events"))
    assert (fit.believed, fit.coverage, fit.world) == (pytest.approx(1 - bad.mean()), 1.0, "X, ips")
    assert (free.believed, free.coverage) == (1.0, pytest.approx(1 - bad.mean()))


# The command ----------------------------------------------------------------------------------------------------------
def test_a_run_is_the_same_whoever_plays_it(tmp_path: Path) -> None:
    (world,) = unsupported.GROUP.worlds
    whole = runs_of([world.one(0, i) for i in range(4)])
    parts = joined([run.play(world.name, 0, first, first + 2, lambda done: None) for first in (0, 2)])
    for mine, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(mine, other)
    save(tmp_path / "x.npz", whole, "key")
    kept = load(tmp_path / "x.npz", "key")
    assert kept is not None and np.array_equal(kept.numbers, whole.numbers)
    assert load(tmp_path / "x.npz", "other") is None and load(tmp_path / "y.npz", "key") is None


def test_worlds_are_chosen_by_name() -> None:
    assert [group.name for group in worlds.chosen(["W1"])] == ["W1"]
    (some,) = worlds.chosen(["W4 B"])
    assert [world.name for world in some.worlds] == ["W4 B, 10,000 rows", "W4 B, 100,000 rows"]
    assert worlds.chosen([]) == list(worlds.GROUPS)
    with pytest.raises(ConfigError, match="no world 'W99'"):
        worlds.chosen(["W99"])
    names = [world.name for group in worlds.GROUPS for world in group.worlds]
    assert len(set(names)) == len(names)


def test_the_command_plays_keeps_and_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["--world", "W7", "--runs", "40", "--threads", "1", "--out", str(tmp_path)]
    done = CliRunner().invoke(main, [*options, "--page", str(tmp_path / "truth-of-all.md")])
    assert done.exit_code == 0, done.output
    page = (tmp_path / "truth.md").read_text()
    assert "IPS is low by what the missing arms earn" in page and "| ips | gamma |" in page and "FAILED" not in page
    assert not (tmp_path / "truth-of-all.md").exists()  # not all worlds were played
    monkeypatch.setattr(run, "checks_of", lambda world, lines: [Check("it holds", False, "it does not")])
    again = CliRunner().invoke(main, options)
    assert again.exit_code == 1 and "FAILED W7 two arms never logged: it holds" in again.output
