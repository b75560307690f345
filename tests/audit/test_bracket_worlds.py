"""Brackets hold the truth where the ranker puts on top what is liked more, and not where it puts it below."""

from __future__ import annotations

import numpy as np
import pytest

from lersbench.audit.bracket_worlds import (
    FAIR,
    FILLED,
    RANKERS,
    USERS,
    Finding,
    drawn,
    findings,
    logged,
    reranked,
    true_value,
)

LISTS = 6000
MODELS = list(USERS)


def of(ranker: str, users: str) -> list[Finding]:
    return list(findings(users, ranker, seed=1, lists=LISTS))


@pytest.mark.parametrize("users", MODELS[:2])
@pytest.mark.parametrize("ranker", FAIR)
def test_in_position_based_worlds_the_truth_lies_inside(ranker: str, users: str) -> None:
    found = of(ranker, users)
    assert sum(one.inside for one in found) >= 4 and max(one.miss for one in found) < 0.03
    assert all(one.first <= one.low <= one.high <= one.last for one in found)


def test_where_users_leave_after_a_click_misses_are_small() -> None:
    found = [one for ranker in FAIR for one in of(ranker, "cascade")]
    assert sum(one.inside for one in found) >= 15 and max(one.miss for one in found) < 0.12


@pytest.mark.parametrize("users", MODELS)
def test_a_ranker_against_its_users_breaks_the_bracket_and_random_tells(users: str) -> None:
    """All truths lie outside, by far; and by its high end a random order beats the logged one: that is warned of."""
    found = of("against user", users)
    assert not any(one.inside for one in found) and min(one.miss for one in found) > 0.3
    random = next(one for one in found if one.reranking == "random")
    assert random.high - (random.last - random.high) > 0


@pytest.mark.parametrize("users", MODELS)
@pytest.mark.parametrize("ranker", FAIR)
def test_random_raises_no_warning_where_the_ranker_is_fair(ranker: str, users: str) -> None:
    (random,) = findings(users, ranker, seed=2, lists=LISTS, rerankings=("random",))
    assert random.high - (random.last - random.high) <= 0


def test_true_values_are_the_clicks_that_are_drawn() -> None:
    for users in MODELS:
        log = logged(users, "user", seed=3, lists=40_000)
        order = reranked(log, "item", np.random.default_rng(0))
        shown = np.take_along_axis(log.attraction, order, axis=1)
        clicks = drawn(log.users, shown, np.random.default_rng(5)).sum(axis=1)
        assert clicks.mean() == pytest.approx(true_value(log, order), abs=4 * clicks.std() / 200)
        own = log.clicks[:, :FILLED].sum(axis=1)
        own_order = np.tile(np.arange(FILLED), (len(order), 1))
        assert own.mean() == pytest.approx(true_value(log, own_order), abs=4 * own.std() / 200)


def test_the_rankers_are_what_they_are_called() -> None:
    """On top stands what is liked as much, more or less than what stands below."""
    for name, signs in zip(RANKERS, (0, 1, 1, 1, -1, -1), strict=True):
        attraction = logged(MODELS[0], name, lists=4000).attraction.mean(axis=0)
        fall = attraction[0] - attraction[-1]
        assert abs(fall) < 0.02 if signs == 0 else signs * fall > 0.05, name
