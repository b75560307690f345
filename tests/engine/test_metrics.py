"""Metrics against cases worked by hand, each showing what the published form gets wrong."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from lersbench import metrics
from lersbench.engine.counting import count_ranking, count_slate
from lersbench.engine.meter import GINI, HR, HR_PUB, MATCHES, Meter, new_meter, read_until
from lersbench.engine.rows import largest, rows_of
from lersbench.testing.checks import cut_short, make_world
from tests.engine.test_replay import Always
from tests.support import worlds


def meter(n_items: int = 10, likes: int = 100) -> Meter:
    return new_meter(n_items, np.array([1]), likes)


def show(made: Meter, user: int, slate: list[int], rewards: list[float]) -> None:
    """Count a slate of items 0, 1, ...; the likes of a user are numbered 10 user + item."""
    n = made.shown.shape[0]
    liked = np.array(sorted(item for item, reward in zip(slate, rewards, strict=True) if reward), np.int64)
    number = (10 * user + liked).astype(np.int32)
    count_slate(made, np.arange(n), np.array(slate), np.array(rewards), liked, number, 0)


def read(made: Meter, ranked: bool = True) -> dict[str, float]:
    read_until(made, 10**9, ranked, True, False, False, False, True, np.zeros((0, 0)))
    return dict(zip(metrics.NAMES, made.curve[0], strict=True))


def test_clicks_sets_and_their_rates() -> None:
    made = meter()
    for slate, rewards in (([0, 1], [1.0, 1]), ([2, 3], [0.0, 0]), ([0, 4], [0.0, 1]), ([5, 1], [0.0, 0])):
        show(made, 0, slate, rewards)
    got = read(made, ranked=False)
    assert got["ctr_sum"] == 3 / 4  # clicks per round, not divided by K
    assert got["ctr"] == 3 / 8
    assert got["ctr_set"] == 2 / 4
    assert got["misses"] == 1 - 3 / 8
    assert got["diversity"] == 6 / 10
    assert got["coverage"] == 3  # (0, 0), (0, 1), (0, 4); divided by all likes of the log once those are known


def test_the_same_like_of_a_user_counts_once_and_that_of_another_user_again() -> None:
    made = meter()
    for user in (0, 0, 1, 1, 3):
        show(made, user, [4], [1.0])
    assert read(made)["coverage"] == 3


def test_exposure_entropy_and_gini() -> None:
    even, one = meter(4), meter(4)
    for t in range(8):
        show(even, 0, [t % 4], [0.0])
        show(one, 0, [2], [0.0])
    assert read(even)["entropy"] == pytest.approx(1) and read(even)["gini"] == pytest.approx(0)
    assert read(one)["entropy"] == 0 and read(one)["gini"] == pytest.approx(3 / 4)


def test_hit_ratio_of_a_clear_ranking() -> None:
    made = meter()
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0])
    show(made, 0, [0], [0.0])
    count_ranking(made, np.arange(10), scores, np.array([0]), np.array([1, 6]))  # ranks 2 and 7 of 10
    got = read(made)
    expected = {10: 0, 20: 0.5, 30: 0.5, 60: 0.5, 70: 1, 100: 1}
    for top, share in expected.items():
        assert got[f"hr@{top}"] == got[f"hr_published@{top}"] == share
    assert got["hr20_per_round"] == 1 / 2  # one of the two places in the top 20 % holds a like


def test_a_tied_block_contributes_its_share_and_file_order_does_not_help() -> None:
    """Ten equal scores and a like on the item that stands first in the file: the published form calls it a hit."""
    made = meter()
    show(made, 0, [9], [0.0])
    count_ranking(made, np.arange(10), np.zeros(10), np.array([9]), np.array([0]))
    got = read(made)
    assert got["hr_published@10"] == 1
    assert got["hr@10"] == 0  # the one place is taken by the item that was shown
    assert got["hr@20"] == pytest.approx(1 / 9)
    assert got["hr@50"] == pytest.approx(4 / 9)
    assert got["hr@100"] == 1


def test_published_ties_stand_by_the_rank_of_the_items_wherever_they_are() -> None:
    """Ten equal scores, items renumbered and candidates mixed: the first of the published file is still a hit."""
    rng = np.random.default_rng(4)
    for _ in range(20):
        rank, candidates = rng.permutation(12), rng.permutation(12)[:10]
        made = new_meter(12, np.array([1]), 0, rank)
        none = np.empty(0, np.int64), np.empty(0, np.int32)
        count_slate(made, candidates, np.array([9]), np.array([0.0]), *none, 0)
        first, third = np.argsort(rank[candidates])[[0, 2]]
        count_ranking(made, candidates, np.zeros(10), np.array([9]), np.sort([first, third]))
        got = read(made)
        assert [got[f"hr_published@{top}"] for top in (10, 20, 30, 100)] == [0.5, 0.5, 1, 1]


def test_what_was_shown_leads_the_sound_ranking_whatever_its_score() -> None:
    made = meter()
    show(made, 0, [7], [1.0])
    count_ranking(made, np.arange(10), -np.arange(10.0), np.array([7]), np.array([7]))
    got = read(made)
    assert got["hr@10"] == 1 and got["hr_published@10"] == 0


def test_tied_hit_ratio_is_the_mean_over_random_orders() -> None:
    rng = np.random.default_rng(0)
    scores = np.array([1.0, 0, 0, 1, 0, 2, 0, 1, 0, 0])
    liked = np.array([0, 4, 7])
    made = meter()
    show(made, 0, [5], [0.0])
    count_ranking(made, np.arange(10), scores, np.array([5]), liked)
    got = read(made)
    draws = np.zeros(10)
    for _ in range(20_000):
        order = np.lexsort((rng.random(10), -scores))
        rank = np.argsort(order)[liked]
        draws += [(rank < top).sum() / 3 for top in range(1, 11)]
    np.testing.assert_allclose([got[f"hr@{top}"] for top in metrics.TOPS], draws / 20_000, atol=0.01)


def test_published_regret_rewards_silence() -> None:
    """A policy that is always wrong but seldom confident has a low published regret and a full sound one."""
    rewards = np.zeros((50, 4))
    rows = rows_of(worlds.chunk(rewards), np.zeros((4, 0)), "bandit", 1)
    silent = worlds.play(worlds.contender(Always(1, score=-1.0), rows, worlds.protocol(silence=0.0)), rows)
    loud = worlds.play(worlds.contender(Always(1, score=1.0), rows, worlds.protocol(silence=0.0)), rows)
    assert worlds.final(silent, "regret_published") == 0 and worlds.final(loud, "regret_published") == 1
    assert worlds.final(silent, "misses") == worlds.final(loud, "misses") == 1


def test_regret_uses_expected_rewards_where_they_are_known() -> None:
    rewards = np.array([[0.0, 1, 0], [0, 0, 0], [1, 1, 0]])
    expected = np.array([[0.1, 0.5, 0.2], [0.3, 0.3, 0.9], [0.4, 0.4, 0.0]])
    seen = rows_of(worlds.chunk(rewards), np.zeros((3, 0)), "bandit", 1)
    known = rows_of(worlds.chunk(rewards, expected=expected), np.zeros((3, 0)), "bandit", 1)
    policy = Always(0)
    assert worlds.final(worlds.play(worlds.contender(policy, seen, worlds.protocol()), seen), "regret") == 1
    got = worlds.final(worlds.play(worlds.contender(policy, known, worlds.protocol()), known), "regret")
    assert got == pytest.approx(0.4 + 0.6 + 0)


@pytest.mark.parametrize("seed", range(3))
def test_the_largest_value_of_every_round_is_found_whatever_its_length(seed: int) -> None:
    rng = np.random.default_rng(seed)
    edges = np.append(0, np.cumsum(rng.integers(1, 20, 200)))
    value = rng.standard_normal(edges[-1])
    best = np.empty(200)
    largest(value, edges, best)
    assert best.tolist() == [value[a:b].max() for a, b in pairwise(edges)]


def test_the_best_slate_of_a_round_is_the_sum_of_the_best_items() -> None:
    rewards = np.array([[0.0, 1, 1, 0], [0, 0, 1, 0]])
    rows = rows_of(worlds.chunk(rewards), np.zeros((4, 0)), "bandit", 2)
    assert rows.best.tolist() == [2, 1]


def test_no_sum_overflows_a_small_integer() -> None:
    """300 clicks in 300 rounds: a sum in 8 bits would have wrapped at 127."""
    rows = rows_of(worlds.chunk(np.ones((300, 2), np.int8)), np.zeros((2, 0)), "bandit", 1)
    assert worlds.final(worlds.play(worlds.contender(Always(0), rows, worlds.protocol()), rows), "ctr_sum") == 1


def test_every_metric_is_registered_with_unit_and_direction() -> None:
    for metric in metrics.METRICS.values():
        assert metric.unit in ("%", "share", "count", "reward") and metric.better in ("higher", "lower", "neither")
        assert metric.source.endswith(".")
    assert len(metrics.NAMES) == HR_PUB + len(metrics.TOPS)
    assert metrics.NAMES[HR] == "hr@10" and metrics.NAMES[HR_PUB] == "hr_published@10"
    assert metrics.NAMES[MATCHES] == "matches" and metrics.NAMES[GINI] == "gini"


def test_a_slate_of_one_item_has_no_pair_and_no_similarity() -> None:
    """Rounds have one to four candidates; where they have one it is shown alone."""
    world = cut_short(make_world(60, 4, 2))
    rows = rows_of(world.chunk, world.spec.items, "bandit", 2)
    pair, told = Always(0, 1), worlds.protocol(slate=2)._replace(similar=True)
    offered = [rows.features[start:stop] for start, stop in pairwise(rows.first)]
    alike = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in (x[:2] for x in offered if len(x) > 1)]
    assert 0 < len(alike) < len(offered)
    run = worlds.play(worlds.contender(pair, rows, told), rows)
    assert worlds.final(run, "similarity") == pytest.approx(np.mean(alike))
    alone = rows_of(make_world(9, 1, 1).chunk, world.spec.items[:1], "bandit", 1)
    run = worlds.play(worlds.contender(pair, alone, told), alone)
    assert np.isnan(worlds.final(run, "similarity"))
