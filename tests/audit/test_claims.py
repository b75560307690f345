"""What leaderboards claim: their formulas beside naive twins, and the audit of the claims in small."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from lersbench.audit import customer_ranks, halves, measured, new_customers, rank_ranges, seed_intervals
from lersbench.audit.claims import holds
from lersbench.audit.ranks import main
from lersbench.audit.replays import mean_paid, sums_of
from lersbench.audit.shapes import COMPILED, EXPONENTIAL, NORMAL, TWO_HUMPS, finals, real, standard
from lersbench.policy import load
from lersbench.results.customers import Sums, crowd, errors
from lersbench.results.separation import separate
from lersbench.results.statistics import subsample
from tests.support import rank_twins as twins


# The formulas ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(5))
def test_contenders_are_separated_as_by_loops_over_single_numbers(seed: int) -> None:
    """Families of seven (which lend), of five with few seeds, and of three (which do not); one at the floor."""
    rng, floor = np.random.default_rng(seed), 0.05
    seeds = [10] * 7 + [3] * 5 + [4] * 3
    families = ["a"] * 7 + ["b"] * 5 + ["c"] * 3
    values = np.full((15, 10), np.nan)
    for i, n in enumerate(seeds):
        values[i, :n] = rng.normal(i % 3, np.exp(rng.normal()), n)
    values[2] = rng.normal(0, floor / 10, 10)
    own = [values[i, :n].tolist() for i, n in enumerate(seeds)]
    known = twins.errors_of(own, families, floor)
    found = separate(values, families, floor=floor)
    for i, j in combinations(range(15), 2):
        expected = twins.welch_p(own[i], own[j], known[i], known[j])
        assert found.p[i, j] == found.p[j, i] == pytest.approx(expected, rel=1e-6)
        assert found.mean[i, j] == -found.mean[j, i] == pytest.approx(np.mean(own[i]) - np.mean(own[j]))


def test_a_family_lends_what_smyth_says() -> None:
    """Hand-worked: equal variances lend all they may; psi(15) and psi(9/2) by their recurrences."""
    d0, s0 = twins.borrowed([2.0] * 5, [9] * 5)
    psi_9_2 = -0.5772156649015329 - 2 * math.log(2) + 2 * (1 + 1 / 3 + 1 / 5 + 1 / 7)
    psi_15 = -0.5772156649015329 + sum(1 / k for k in range(1, 15))
    e = math.log(2) - psi_9_2 + math.log(4.5)
    assert d0 == 30 and s0 == pytest.approx(math.exp(e + psi_15 - math.log(15)))
    values = np.tile(np.arange(10.0), (5, 1))
    spread = separate(values, ["a"] * 5).spread
    assert spread.df.tolist() == [39.0] * 5


def test_shared_rounds_are_compared_seed_by_seed() -> None:
    rng = np.random.default_rng(1)
    shared = rng.normal(0, 5, 25)
    values = shared + rng.normal(0, 0.5, (3, 25)) + np.array([[0.0], [0.3], [0.6]])
    found = separate(values, ["a"] * 3)
    for i, j in combinations(range(3), 2):
        assert found.p[i, j] == pytest.approx(twins.paired_p(values[i].tolist(), values[j].tolist()), rel=1e-6)


@pytest.mark.parametrize("seeds", [2, 3, 7])
def test_the_error_over_customers_is_that_of_the_two_way_layout(seeds: int) -> None:
    rng = np.random.default_rng(seeds)
    sums = [
        Sums(rng.poisson(3.0, (seeds, 20)) + rng.poisson(2.0, 20), rng.integers(5, 9, (seeds, 20))) for _ in range(3)
    ]
    found = errors(crowd(sums))
    for i, one in enumerate(sums):
        _, v, df = twins.customers_error(one.paid.tolist(), one.rounds.tolist())
        assert (found.total[i], found.df[i]) == (pytest.approx(v), pytest.approx(df))


@pytest.mark.parametrize("log", [0.0, 1.0])
def test_the_error_of_halves_is_that_of_their_log(log: float) -> None:
    values = np.random.default_rng(2).normal(size=(10, 2)) + log * np.random.default_rng(3).normal(size=(10, 1))
    found = subsample(values.reshape(-1), np.repeat(np.arange(10), 2))
    assert (float(found.variance), found.df) == (pytest.approx(twins.halves_error(values.tolist())), 9)


# The worlds -----------------------------------------------------------------------------------------------------------
def test_shapes_have_the_moments_they_name() -> None:
    rng = np.random.default_rng(4)
    shapes = [NORMAL, EXPONENTIAL, TWO_HUMPS, *(real(one) for one in finals() if one.family == COMPILED)]
    for shape in shapes:
        draws = shape.draw(rng, (200_000,))
        assert draws.mean() == pytest.approx(shape.mean, abs=5 * shape.sd / 200_000**0.5), shape.name
        assert draws.std() == pytest.approx(shape.sd, rel=0.02), shape.name
        assert standard(shape, rng, (200_000,)).mean() == pytest.approx(0, abs=0.02)


def test_laws_of_real_policies_are_near_their_runs() -> None:
    for one in finals():
        if one.family == COMPILED:
            law = real(one)
            assert (law.mean, law.sd) == (pytest.approx(one.mean, rel=2e-3), pytest.approx(one.sd, rel=0.1)), one.name
    assert {one.family for one in rank_ranges.contenders()} == {"compiled", "neural"}
    assert len(rank_ranges.contenders()) == 27


def test_worlds_have_as_many_equal_contenders_as_they_say() -> None:
    real_means = [one.mean for one in rank_ranges.contenders()]
    some, null = (rank_ranges.world_of(name, rank_ranges.NORMAL).mean for name in (rank_ranges.SOME, rank_ranges.NULL))
    assert rank_ranges.world_of(rank_ranges.REAL, rank_ranges.NORMAL).mean.tolist() == real_means
    assert np.unique(some, return_counts=True)[1].max() == 17 and len(set(null.tolist())) == 1
    assert some.mean() == pytest.approx(np.mean(real_means)) and null[0] == pytest.approx(np.mean(real_means))
    world = rank_ranges.world_of(rank_ranges.REAL, rank_ranges.LOCKED)
    seeds = np.isfinite(world.values((100, 5), np.random.default_rng(0))).sum(axis=1)
    assert seeds.tolist() == [100] * 14 + [5] * 13


def test_tests_of_the_audit_are_those_of_the_books() -> None:
    rng = np.random.default_rng(5)
    values = np.full((4, 9), np.nan)
    for i, n in enumerate((9, 9, 3, 4)):
        values[i, :n] = rng.normal(i, 1 + i, n)
    own = [row[np.isfinite(row)].tolist() for row in values]
    welch, paired = rank_ranges.plain(values, []), rank_ranges.paired(values, [])
    known = [(np.var(one, ddof=1) / len(one), len(one) - 1) for one in own]
    for i, j in combinations(range(4), 2):
        assert welch[0][i, j] == pytest.approx(twins.welch_p(own[i], own[j], known[i], known[j]))
        n = min(len(own[i]), len(own[j]))
        assert paired[0][i, j] == pytest.approx(twins.paired_p(own[i][:n], own[j][:n]))
        assert paired[1][i, j] == -paired[1][j, i] == pytest.approx(np.mean(own[i][:n]) - np.mean(own[j][:n]))


def test_spreads_of_few_seeds_are_drawn_together_no_further_than_chance_explains() -> None:
    every = rank_ranges.contenders()
    neural = [i for i, one in enumerate(every) if one.family == "neural"]
    raw, own = np.array([one.sd for one in every]), rank_ranges.spread(every)
    assert [i for i in range(27) if own[i] == raw[i]] == [i for i in range(27) if i not in neural]
    e = np.log(raw[neural] ** 2)  # all have three seeds, so that what is added to e is the same for all
    chance = math.pi**2 / 6  # trigamma of 1
    assert np.log(own[neural] ** 2).var(ddof=1) == pytest.approx(e.var(ddof=1) - chance)
    assert np.argsort(own[neural]).tolist() == np.argsort(raw[neural]).tolist()


def test_a_wrong_pair_is_counted_once_a_table_and_once_a_contender() -> None:
    """A test that always finds the last contender best, in a world where all are equal."""

    def blind(values: np.ndarray, families: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        p, mean = np.ones((27, 27)), np.zeros((27, 27))
        p[-1, :] = p[:, -1] = 1e-9
        mean[-1, :], mean[:, -1] = 1.0, -1.0
        return p, mean

    null = rank_ranges.world_of(rank_ranges.NULL, rank_ranges.NORMAL)
    line = rank_ranges.line_of(null, (3, 3), blind, True, 4, 0)
    assert (line.any_false, line.own_false) == (1.0, (1.0, 1.0))
    assert line.width == pytest.approx((26 * 26 + 1) / 27) and math.isnan(line.found)


def test_the_sums_of_a_replay_are_those_of_its_customers() -> None:
    rng = np.random.default_rng(6)
    log = new_customers.population().log(5, rng)
    rewards = log.rows.wide(log.rows.rewards)
    first = sums_of(log, load("first"), "bandit", 2, rng)
    assert first.rounds.tolist() == [[5] * 200] * 2 and first.paid.tolist() == 2 * [
        np.bincount(log.rows.user, rewards[:, 0]).tolist()
    ]
    for policy, feedback in new_customers.POLICIES.values():
        sums = sums_of(log, policy, feedback, 2, rng)
        assert sums.rounds.tolist() == first.rounds.tolist() and (sums.paid <= 5).all() and sums.paid.sum() > 200
        order = rng.permutation(new_customers.ROUNDS)
        assert 0.1 < mean_paid(log, policy, feedback, order, rng) < 0.8


def test_a_run_on_line_is_as_long_as_what_half_a_log_lets_pass() -> None:
    rng = np.random.default_rng(9)
    values = np.array([halves.on_line(load("random"), rng) for _ in range(500)])
    assert values.mean() == pytest.approx(halves.RATE.mean(), abs=5 * values.std() / 500**0.5)
    rounds = halves.ROWS / 2 / len(halves.RATE)
    assert values.var() == pytest.approx(halves.RATE.mean() * (1 - halves.RATE.mean()) / rounds, rel=0.25)


# The claims in small --------------------------------------------------------------------------------------------------
def test_intervals_over_seeds_cover_what_they_say() -> None:
    rng = np.random.default_rng(10)
    for seeds in (3, 10):
        assert seed_intervals.covered(NORMAL, seeds, 4000, rng) == pytest.approx(0.95, abs=0.015)
    assert seed_intervals.covered(EXPONENTIAL, 10, 4000, rng) == pytest.approx(0.90, abs=0.02)
    assert seed_intervals.covered(TWO_HUMPS, 100, 2000, rng) > 0.92


def test_equal_contenders_are_seldom_told_apart_and_others_found() -> None:
    null, true = (rank_ranges.world_of(name, rank_ranges.NORMAL) for name in (rank_ranges.NULL, rank_ranges.REAL))
    together = rank_ranges.line_of(null, (100, 5), rank_ranges.moderated, True, 150, 1)
    assert together.any_false <= 0.10  # 5 % and 2.8 Monte-Carlo errors
    own = rank_ranges.line_of(null, (100, 5), rank_ranges.moderated, False, 150, 1)
    assert max(own.own_false) <= 0.08
    before, now = (
        rank_ranges.line_of(true, (100, 5), test, True, 20, 2) for test in (rank_ranges.paired, rank_ranges.moderated)
    )
    assert now.found > before.found + 0.1 and now.width < before.width - 3


def test_the_interval_for_new_customers_covers_layouts() -> None:
    rng = np.random.default_rng(11)
    for kind in ("no seed effect", "seed effect"):
        for seeds in (3, 10):
            held = [new_customers.intervals(new_customers.layout(kind, seeds, rng)) for _ in range(500)]
            cover = np.mean([new_customers.inside(both[1], new_customers.MEAN) for both in held])
            assert cover == pytest.approx(0.95, abs=0.03), (kind, seeds)


def test_the_interval_for_new_customers_covers_what_other_logs_say() -> None:
    """A rule, whose value is the rate of one item: its interval over seeds has next to no width."""
    rng, people = np.random.default_rng(12), new_customers.population()
    logs = [people.log(5, rng) for _ in range(100)]
    more = [people.log(5, rng).rows for _ in range(300)]
    truth = np.mean([rows.wide(rows.rewards)[:, 0].mean() for rows in [*more, *(log.rows for log in logs)]])
    held = [new_customers.intervals(sums_of(log, load("first"), "bandit", 2, rng)) for log in logs]
    mine, new = (np.mean([new_customers.inside(both[i], truth) for both in held]) for i in (0, 1))
    assert mine < 0.6 and new >= 0.87
    spread = np.std([both[1].mean for both in held], ddof=1)
    assert np.mean([both[1].high - both[1].low for both in held]) < 1.3 * 2 * 1.96 * spread  # no wider than it needs


def test_halves_cover_the_run_on_line_and_are_narrower_than_before() -> None:
    line = halves.play("ucb1", True, np.random.default_rng(13))
    assert abs(line.error) <= 4 * line.noise
    assert line.width < 0.75 * line.width_as_before and line.covered >= 0.75


def test_a_check_allows_for_the_noise_of_its_runs() -> None:
    assert holds("", 0.93, 400, 0.95, 1.0).passed and not holds("", 0.90, 400, 0.95, 1.0).passed
    assert not holds("", 0.94, 20_000, 0.95, 0.95).passed and holds("", 0.951, 20_000, 0.95, 0.95).passed


def test_ranks_by_this_log_are_wrong_for_new_customers_and_those_for_new_customers_are_not() -> None:
    found = customer_ranks.play(f"{rank_ranges.NULL}, all pairs", True, np.random.default_rng(14))
    assert found[customer_ranks.LOG].any_false > 0.8 and found[customer_ranks.NEW].any_false <= 0.2
    real = customer_ranks.play(f"{rank_ranges.REAL}, all pairs", True, np.random.default_rng(15))
    assert real[customer_ranks.NEW].found > 0.3 and real[customer_ranks.NEW].any_false <= 0.2


# The page -------------------------------------------------------------------------------------------------------------
def test_a_part_is_the_same_whoever_plays_it_and_the_page_holds_its_table() -> None:
    claim = measured.CLAIMS["seeds"]
    lines = {part: claim.one(part, True, 3) for part in claim.parts()}
    assert lines["normal"] == claim.one("normal", True, 3) != claim.one("normal", True, 4)
    found = claim.told(lines, True)
    text = measured.page({"seeds": found}, seed=3, quick=True)
    row = next(line for line in text.splitlines() if line.startswith("| normal |"))
    assert [float(cell) for cell in row.split("|")[2:-1]] == pytest.approx(
        [100 * x for x in lines["normal"]], abs=0.051
    )
    assert measured.QUICK in text and measured.QUICK not in measured.page({"seeds": found}, seed=3)
    failed = found._replace(checks=[found.checks[0]._replace(passed=False)])
    assert f"* FAILED: {found.checks[0].what}" in measured.page({"seeds": failed}, seed=3)


def test_the_page_that_is_kept_is_of_these_claims() -> None:
    page = " ".join((Path(__file__).parents[2] / "docs" / "ranks.md").read_text(encoding="utf-8").split())
    for claim in measured.CLAIMS.values():
        assert f"## {claim.title} {' '.join(claim.about.split())}" in page, claim.name
    assert measured.QUICK not in page


@pytest.mark.parametrize(
    "wrong", [["--claim", "nothing"], ["--quick", "--page", "x.md"], ["--claim", "seeds", "--page", "x.md"]]
)
def test_a_page_takes_all_claims_in_full(wrong: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(main, wrong).exit_code == 2
    assert not list(tmp_path.iterdir())
