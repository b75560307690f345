"""Both ends of a bracket as the engine counts them, beside plain sums over the rounds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from lersbench import metrics
from lersbench.engine import brackets
from lersbench.engine.brackets import BUCKETS, Carried, bucket_of, count_bracket, read_bracket
from lersbench.engine.contender import Contender
from lersbench.engine.rows import Rows, background_of, rows_of
from lersbench.policy import Policy, load
from tests.support import worlds

N, WIDE, K, ITEMS = 600, 5, 3, 12
WEIGHTS = np.array([1.0, 0.8, 0.5, 0.4, 0.2])
SPREAD = 0.01 * np.diag([0.0, 1.0, 2.0, 3.0, 4.0])


class Watched(Policy):
    """Shows what its first item's number says, and keeps where the log showed what it chose."""

    def init(self, spec: Any) -> list[Any]:
        return []

    def select(self, state: Any, rng: Any, round: Any, slate: np.ndarray) -> None:
        assert round.shown_at.size == 0
        order = np.argsort((7 * round.candidates + round.t) % 11, kind="stable")
        slate[:] = order[: len(slate)]

    def update(self, state: Any, round: Any, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
        state.append((round.candidates[slate].copy(), round.shown_at.copy(), rewards.copy()))


def world(users: int = 0) -> tuple[np.ndarray, np.ndarray, Rows]:
    """Logged items and clicks (N, WIDE), and the rows with candidates in an order of their own."""
    rng = np.random.default_rng(0)
    shown = rng.permuted(np.tile(np.arange(ITEMS), (N, 1)), axis=1)[:, :WIDE]
    clicks = (rng.random((N, WIDE)) < 0.3).astype(float)
    user = rng.integers(0, users, N) if users else None
    made = worlds.chunk(
        clicks=clicks, candidates=shown, slate=np.tile(np.arange(WIDE), (N, 1)), user=user, n_items=WIDE
    )
    known = background_of(np.zeros((ITEMS, 0)), ITEMS)._replace(carried=Carried(WEIGHTS, SPREAD))
    return shown, clicks, rows_of(made, known, "logged", K, mix=9)


def played(policy: Policy, rows: Rows, **more: Any) -> Contender:
    told = worlds.protocol("logged", K, bracketed=True, **more)
    return worlds.play(worlds.contender(policy, rows, told), rows)


def by_hand(shown: np.ndarray, clicks: np.ndarray, chosen: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Low end, high end and logged order (N, 3), and the slope of the high end in ln w (WIDE,)."""
    rows, turn = np.zeros((N, 3)), np.zeros(WIDE)
    for t, items in enumerate(chosen):
        rows[t, 2] = clicks[t, :K].sum()
        for k, item in enumerate(items):
            j = shown[t].tolist().index(item)
            value = clicks[t, j] * WEIGHTS[k] / WEIGHTS[j]
            rows[t, :2] += clicks[t, j], value
            turn[k] += value
            turn[j] -= value
    return rows, turn


@pytest.mark.parametrize("users", [0, 40])
def test_ends_and_errors_are_those_of_plain_sums(users: int) -> None:
    shown, clicks, rows = world(users)
    made = played(Watched(), rows)
    values, turn = by_hand(shown, clicks, [items for items, _, _ in made.state])
    low, high, logged = values.mean(axis=0)
    group = np.array([bucket_of(int(rows.user[t]), t) for t in range(N)])
    groups = len(set(group.tolist()))

    def error(deviations: np.ndarray, drift: float) -> float:
        sums = np.bincount(group, deviations, BUCKETS)
        return math.sqrt(groups / (groups - 1) * (sums**2).sum() / N**2 + drift)

    drift = float(turn @ SPREAD @ turn) / N**2
    wanted = {
        "ctr_sum": low,
        "bracket_high": high,
        "logged_order": logged,
        "bracket_low_se": error(values[:, 0] - low, 0.0),
        "bracket_high_se": error(values[:, 1] - high, drift),
        "lift_low_se": error(values[:, 0] - low / logged * values[:, 2], 0.0) / logged,
        "lift_high_se": error(values[:, 1] - high / logged * values[:, 2], drift * 1.0) / logged,
        "bracket_groups": groups,
    }
    for name, value in wanted.items():
        assert worlds.final(made, name) == pytest.approx(value, rel=1e-12), name
    assert groups <= 40 if users else groups > 400


def test_the_logged_order_has_no_lift_and_no_error() -> None:
    _, _, rows = world()
    made = played(load("ltr"), rows, shows_the_log=True)
    assert worlds.final(made, "ctr_sum") == worlds.final(made, "bracket_high") == worlds.final(made, "logged_order") > 0
    assert worlds.final(made, "lift_low_se") == worlds.final(made, "lift_high_se") == 0
    assert worlds.final(made, "bracket_low_se") == worlds.final(made, "bracket_high_se") > 0


def test_the_error_by_row_is_nearly_that_of_the_rows() -> None:
    """Without users a round is its own group but for chance meetings in a bucket, which take nothing away."""
    shown, clicks, rows = world()
    made = played(Watched(), rows)
    values, _ = by_hand(shown, clicks, [items for items, _, _ in made.state])
    assert worlds.final(made, "bracket_low_se") == pytest.approx(values[:, 0].std(ddof=1) / math.sqrt(N), rel=0.1)


def test_a_log_written_twice_with_its_users_tells_no_more() -> None:
    rng = np.random.default_rng(1)
    earned, user = (rng.random((50, 3)) < 0.4).astype(float), rng.integers(0, 20, 50)
    found = []
    for times in (1, 2):
        buckets, turn, out = np.zeros((BUCKETS, 4)), np.zeros(3), np.zeros(brackets.READ)
        for _ in range(times):
            for row in range(50):
                at = np.arange(3)
                count_bracket(
                    buckets, turn, WEIGHTS[:3], bucket_of(user[row], row), earned[row], at, at, np.array([2, 0])
                )
        read_bracket(buckets, turn, SPREAD[:3, :3], out)
        found.append(out)
    np.testing.assert_allclose(found[1], found[0])


def test_before_the_first_round_and_without_a_logged_click_nothing_is_said() -> None:
    buckets, turn, out = np.zeros((BUCKETS, 4)), np.zeros(3), np.zeros(brackets.READ)
    read_bracket(buckets, turn, SPREAD[:3, :3], out)
    assert np.isnan(out).all()
    at = np.arange(3)
    for row in range(2):
        count_bracket(buckets, turn, WEIGHTS[:3], row, np.array([0.0, 0.0, 1.0]), at, at, np.array([2]))
    read_bracket(buckets, turn, SPREAD[:3, :3], out)
    assert out[brackets.LOGGED_AT] == 0 and out[brackets.HIGH_AT] == 2
    assert np.isnan(out[[brackets.LOW_LIFT_SE, brackets.HIGH_LIFT_SE]]).all()


# Where a policy is charged --------------------------------------------------------------------------------------------
def test_a_policy_that_learns_is_told_where_the_log_showed_its_items() -> None:
    shown, _, rows = world()
    for t, (items, places, _) in enumerate(played(Watched(), rows, charged=1).state):
        round_of = rows.candidates[rows.first[t] : rows.first[t + 1]]
        assert shown[t, places].tolist() == round_of.tolist()
        assert set(items.tolist()) <= set(shown[t].tolist())
    assert all(places.size == 0 for _, places, _ in played(Watched(), rows).state)


def test_a_click_charged_to_where_the_log_had_it() -> None:
    """The sums of pbm-ucb are those of the examination of logged places, or of its own where it is charged so."""
    _, _, rows = world()
    for charged in (0, 1):
        made = played(load("pbm-ucb"), rows, charged=charged)
        examined = worlds.spec_of(rows, K).examination
        assert made.state.sums[:, 1].sum() == N * K
        if not charged:
            assert made.state.sums[:, 2].sum() == pytest.approx(N * examined[:K].sum())
            continue
        least, most = np.sort(examined)[:K].sum(), np.sort(examined)[::-1][:K].sum()
        assert N * least < made.state.sums[:, 2].sum() < N * most - 1
    index = metrics.NAMES.index("ctr_sum")
    assert made.state.sums[:, 0].sum() == pytest.approx(N * made.meter.curve[-1, index])


@pytest.mark.parametrize("name", ["pbm-ucb", "pbm-ts", "pbm-pie"])
def test_charged_to_the_log_a_position_model_finds_the_attractions(name: str) -> None:
    """Clicks of a position-based world: charged to the logged place their estimates are right, to its own too low."""
    rng = np.random.default_rng(4)
    n, p = 6000, rng.uniform(0.1, 0.6, 8)
    shown = rng.permuted(np.tile(np.arange(8), (n, 1)), axis=1)[:, :WIDE]
    weights = 0.8 ** np.arange(WIDE)  # those that worlds.spec_of tells
    clicks = (rng.random(shown.shape) < p[shown] * weights).astype(float)
    made = worlds.chunk(clicks=clicks, candidates=shown, slate=np.tile(np.arange(WIDE), (n, 1)), n_items=WIDE)
    rows = rows_of(made, background_of(np.zeros((8, 0)), 8), "logged", 2, mix=3)
    ratio = {}
    for charged in (0, 1):
        told = worlds.protocol("logged", 2, charged=charged)
        state = worlds.play(worlds.contender(load(name), rows, told), rows).state
        clicked = state.gain - 1 if name == "pbm-ts" else state.sums[:, 0]
        if name == "pbm-ts":
            looked = (state.failures @ state.examination) + clicked  # failures at weight w, clicks at most 1 each
            often = np.argsort(-state.failures.sum(axis=1))[:4]
        else:
            looked = state.sums[:, -1]
            often = np.argsort(-looked)[:4]
        ratio[charged] = float((clicked[often] / looked[often] / p[often]).mean())
    if name == "pbm-ts":
        assert ratio[0] < ratio[1]
    else:
        assert ratio[0] < 0.9 < ratio[1] < 1.1
