"""Click models: closed forms beside all possible users, draws beside the closed forms, best lists beside all lists."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import Any

import numpy as np
import pytest

from lersbench.clicks.model import (
    ClickModel,
    best_slate,
    cascade,
    content_of,
    dcm,
    draw_clicks,
    expected,
    parse,
    pbm,
    shown_attraction,
    ubm,
)
from lersbench.errors import ConfigError


def models(length: int, seed: int = 0) -> dict[str, ClickModel]:
    rng = np.random.default_rng(seed)
    return {
        "pbm": pbm(rng.random(length)),
        "ubm": ubm(rng.random((length, length + 1))),
        "cascade": cascade(length),
        "dcm": dcm(rng.random(length)),
    }


def users(model: ClickModel, shown: np.ndarray) -> dict[tuple[tuple[int, int], ...], float]:
    """The probability of every way to go down the slate, told as (examined, clicked) at each position."""
    found: dict[Any, float] = defaultdict(float)

    def walk(path: tuple[tuple[int, int], ...], last: int, there: bool, mass: float) -> None:
        k = len(path)
        if k == len(shown):
            found[path] += mass
            return
        looks = model.weights[k, last] if there else 0.0
        walk((*path, (0, 0)), last, there, mass * (1 - looks))
        walk((*path, (1, 0)), last, there, mass * looks * (1 - shown[k]))
        click = mass * looks * shown[k]
        walk((*path, (1, 1)), k + 1, True, click * model.goes_on[k])
        walk((*path, (1, 1)), k + 1, False, click * (1 - model.goes_on[k]))

    walk((), 0, True, 1.0)
    return found


def closed(model: ClickModel, shown: np.ndarray) -> tuple[float, float, np.ndarray]:
    examined = np.empty(len(shown))
    total, any_click = expected(model.weights, model.goes_on, shown, np.empty(len(shown) + 1), examined)
    return total, any_click, examined


@pytest.mark.parametrize("name", ["pbm", "ubm", "cascade", "dcm"])
@pytest.mark.parametrize("length", [1, 3, 4])
def test_closed_forms_equal_the_enumeration_of_all_users(name: str, length: int) -> None:
    for seed in range(5):
        model, shown = models(length, seed)[name], np.random.default_rng(seed + 9).random(length)
        ways = users(model, shown)
        assert sum(ways.values()) == pytest.approx(1)
        total, any_click, examined = closed(model, shown)
        assert total == pytest.approx(sum(p * sum(c for _, c in way) for way, p in ways.items()))
        assert any_click == pytest.approx(sum(p for way, p in ways.items() if any(c for _, c in way)))
        for k in range(length):
            assert examined[k] == pytest.approx(sum(p * way[k][0] for way, p in ways.items()))


def test_closed_forms_are_those_of_the_papers() -> None:
    shown, e, stays = np.array([0.5, 0.2, 0.4]), np.array([1.0, 0.8, 0.5]), np.array([0.7, 0.1, 0.3])
    nobody = 1 - np.prod(1 - shown)
    assert closed(pbm(e), shown)[:2] == pytest.approx((e @ shown, 1 - np.prod(1 - e * shown)))
    assert closed(cascade(3), shown)[:2] == pytest.approx((nobody, nobody))
    reach = np.cumprod([1.0, *(1 - shown * (1 - stays))])[:3]
    assert closed(dcm(stays), shown)[2] == pytest.approx(reach)
    assert closed(dcm(stays), shown)[:2] == pytest.approx((reach @ shown, nobody))
    w = np.array([[1, 0, 0, 0], [0.5, 0.9, 0, 0], [0.2, 0.4, 0.8, 0]])
    second = 0.5 * 0.9 + 0.5 * 0.5  # P(position 2 examined)
    none, first, two = 0.5 * (1 - 0.5 * 0.2), 0.5 * (1 - 0.9 * 0.2), second * 0.2
    third = none * 0.2 + first * 0.4 + two * 0.8
    assert closed(ubm(w), shown)[0] == pytest.approx(0.5 + second * 0.2 + third * 0.4)


def test_a_user_browsing_model_with_equal_rows_is_the_position_based_model() -> None:
    e = np.random.default_rng(3).random(20)
    one, other = pbm(e), ubm(np.repeat(e[:, None], 21, axis=1))
    np.testing.assert_array_equal(one.weights, other.weights)


def drawn(model: ClickModel, shown: np.ndarray, keys: range, draw: Any = draw_clicks) -> tuple[np.ndarray, np.ndarray]:
    slate = np.arange(len(shown))
    clicks, examined = np.empty((2, len(keys), len(shown)))
    for row, key in enumerate(keys):
        draw(model.weights, model.goes_on, shown, slate, key, clicks[row], examined[row])
    return clicks, examined


@pytest.mark.parametrize("name", ["pbm", "ubm", "cascade", "dcm"])
def test_draws_have_the_frequencies_of_the_closed_forms(name: str) -> None:
    n, model, shown = 40_000, models(5, 1)[name], np.array([0.3, 0.7, 0.5, 0.9, 0.2])
    clicks, examined = drawn(model, shown, range(n))
    total, any_click, seen = closed(model, shown)
    assert np.abs(examined.mean(axis=0) - seen).max() < 4 * 0.5 / n**0.5
    assert np.abs(clicks.mean(axis=0) - seen * shown).max() < 4 * 0.5 / n**0.5
    assert abs(clicks.sum(axis=1).mean() - total) < 4 * clicks.sum(axis=1).std() / n**0.5
    assert abs(clicks.any(axis=1).mean() - any_click) < 4 * 0.5 / n**0.5
    assert not clicks[examined == 0].any()


def test_all_patterns_have_their_probabilities() -> None:
    n, model, shown = 60_000, ubm(models(3, 4)["ubm"].weights), np.array([0.4, 0.6, 0.5])
    clicks, examined = drawn(model, shown, range(7_000_000, 7_000_000 + n))
    ways = users(model, shown)
    code = (examined + 2 * clicks) @ [1, 4, 16]
    for way, p in ways.items():
        count = (code == sum((e + 2 * c) * 4**k for k, (e, c) in enumerate(way))).sum()
        assert abs(count / n - p) < 4.5 * (p * (1 - p) / n) ** 0.5 + 1e-12, way


def test_two_slates_under_one_key_meet_the_same_user() -> None:
    rng, full = np.random.default_rng(0), pbm(np.ones(6))
    attraction = rng.random(9)
    clicked: dict[tuple[int, int], float] = {}
    for key in range(200):
        for _ in range(3):
            slate = rng.permutation(9)[:6]
            clicks, examined = np.empty(6), np.empty(6)
            draw_clicks(full.weights, full.goes_on, attraction[slate], slate, key, clicks, examined)
            for c, click in zip(slate, clicks, strict=True):
                assert clicked.setdefault((key, int(c)), click) == click
    weak = pbm(np.full(6, 0.5))
    for key in range(200):
        looks = []
        for slate in (np.arange(6), np.arange(6)[::-1].copy()):
            clicks, examined = np.empty(6), np.empty(6)
            draw_clicks(weak.weights, weak.goes_on, attraction[slate], slate, key, clicks, examined)
            looks.append(examined)
        np.testing.assert_array_equal(*looks)


def test_more_attraction_never_loses_the_click_of_a_position() -> None:
    model = pbm(np.array([0.9, 0.6, 0.5]))
    low, high = (drawn(model, np.array(a), range(500))[0] for a in ([0.2, 0.3, 0.1], [0.3, 0.3, 0.6]))
    assert (high >= low).all()
    assert (high > low).any()


def test_keys_do_not_share_their_numbers() -> None:
    coins = pbm(np.full(40, 0.5))
    keys = [0, 1, 2**31, 2**32 - 1, 2**32, 2**33 + 5, 2**62]
    rows = [drawn(coins, np.ones(40), range(key, key + 1))[1] for key in keys]
    assert len({row.tobytes() for row in rows}) == len(keys)
    examined = drawn(pbm(np.full(12, 0.5)), np.ones(12), range(20_000))[1]
    together = np.corrcoef(np.hstack([examined[:-1], examined[1:]]).T)
    assert np.abs(together - np.eye(24)).max() < 5 / 20_000**0.5


def test_certain_things_happen_and_impossible_ones_never() -> None:
    clicks, examined = drawn(pbm([1.0, 0.0, 1.0]), np.array([1.0, 1.0, 0.0]), range(3000))
    assert (examined == [1, 0, 1]).all()
    assert (clicks == [1, 0, 0]).all()


def best(attraction: np.ndarray, family: np.ndarray, fade: float, size: int) -> np.ndarray:
    slate = np.empty(size, np.int64)
    best_slate(attraction, family, fade, slate)
    return slate


def values(model: ClickModel, attraction: np.ndarray, family: np.ndarray, slate: Any) -> tuple[float, float]:
    shown = np.empty(len(slate))
    shown_attraction(attraction, family, np.array(slate), model.fade, shown)
    return closed(model, shown)[:2]


def lists(attraction: np.ndarray, size: int) -> Any:
    return itertools.permutations(range(len(attraction)), size)


@pytest.mark.parametrize("fade", [1.0, 0.8, 0.3, 0.0])
def test_the_greedy_list_is_best_of_all_for_both_rewards_of_the_position_based_model(fade: float) -> None:
    for seed in range(15):
        rng = np.random.default_rng(seed)
        attraction, family = rng.random(6), rng.integers(-1, 3, 6)
        model = pbm(np.sort(rng.random(3))[::-1], fade)
        own = values(model, attraction, family, best(attraction, family, fade, 3))
        every = np.array([values(model, attraction, family, s) for s in lists(attraction, 3)])
        assert own == pytest.approx(tuple(every.max(axis=0)))


@pytest.mark.parametrize("fade", [1.0, 0.6])
def test_the_greedy_list_is_best_of_all_for_the_set_reward_of_every_model(fade: float) -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        attraction, family = rng.random(5), rng.integers(0, 3, 5)
        table = rng.random((3, 4))
        table[:, 0] = np.sort(table[:, 0])[::-1]
        for model in (ubm(table, fade), dcm(rng.random(3), fade), cascade(3, fade)):
            own = values(model, attraction, family, best(attraction, family, fade, 3))[1]
            every = [values(model, attraction, family, s)[1] for s in lists(attraction, 3)]
            assert own == pytest.approx(max(every))


def test_the_greedy_list_is_best_for_clicks_of_the_cascade_and_of_a_dcm_whose_users_stay_ever_less() -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        attraction, family = rng.random(5), np.full(5, -1)
        for model in (cascade(4), dcm(np.sort(rng.random(4))[::-1])):
            own = values(model, attraction, family, best(attraction, family, 1.0, 4))[0]
            assert own == pytest.approx(max(values(model, attraction, family, s)[0] for s in lists(attraction, 4)))


def swaps_never_pay(model: ClickModel, attraction: np.ndarray) -> bool:
    """The condition of `best_slate` on the list by attraction, V by brute recursion."""
    size = len(model.weights)
    a = np.sort(attraction)[::-1]

    def below(k: int, last: int) -> float:
        if k >= size:
            return 0.0
        p = model.weights[k, last] * a[k]
        return p * (1 + below(k + 1, k + 1)) + (1 - p) * below(k + 1, last)

    for k in range(size - 1):
        for j in range(k + 1):
            u, v = model.weights[k, j], model.weights[k + 1, j]
            none, upper, lower = (below(k + 2, last) for last in (j, k + 1, k + 2))
            if (u - v) * (1 + upper - none) < v * (lower - upper):
                return False
    return True


def test_the_greedy_list_under_user_browsing_is_best_for_clicks_where_weights_fall_steeply_enough() -> None:
    checked = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        attraction, family = rng.random(4) * 0.5, np.full(4, -1)
        k, j = np.arange(4)[:, None], np.arange(5)[None]
        model = ubm(np.tril(rng.uniform(0.7, 1) ** k * rng.uniform(0.7, 1) ** (k - np.maximum(j - 1, -1) - 1)))
        if swaps_never_pay(model, attraction):
            checked += 1
            own = values(model, attraction, family, best(attraction, family, 1.0, 4))[0]
            assert own == pytest.approx(max(values(model, attraction, family, s)[0] for s in lists(attraction, 4)))
    assert checked >= 10


def test_a_user_browsing_world_can_like_the_best_item_lower() -> None:
    table = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0]])  # only a click at position 2 leads to position 3
    attraction, family = np.array([0.9, 0.1, 0.5]), np.full(3, -1)
    greedy = best(attraction, family, 1.0, 3)
    assert list(greedy) == [0, 2, 1]
    assert values(ubm(table), attraction, family, (2, 0, 1))[0] > values(ubm(table), attraction, family, greedy)[0]


def test_ties_go_by_index_and_a_whole_list_holds_everything_once() -> None:
    assert list(best(np.array([0.5, 0.7, 0.5, 0.7]), np.full(4, -1), 1.0, 4)) == [1, 3, 0, 2]
    assert list(best(np.array([0.9, 0.8, 0.5]), np.array([1, 1, 2]), 0.5, 3)) == [0, 2, 1]
    assert sorted(best(np.zeros(20), np.zeros(20, np.int64), 0.0, 20)) == list(range(20))
    assert list(best(np.array([0.1]), np.zeros(1, np.int64), 1.0, 1)) == [0]


def test_families_fade_down_the_slate() -> None:
    out = np.empty(4)
    family = np.array([3, 3, -1, 3, -1])
    shown_attraction(np.array([0.8, 0.4, 0.9, 0.6, 0.5]), family, np.array([1, 4, 0, 3]), 0.5, out)
    np.testing.assert_allclose(out, [0.4, 0.5, 0.4, 0.15])
    shown_attraction(np.array([0.8, 0.4, 0.9, 0.6, 0.5]), family, np.array([1, 4, 2, 3]), 0.0, out)
    np.testing.assert_allclose(out, [0.4, 0.5, 0.9, 0.0])


@pytest.mark.parametrize("length", [1, 5, 20])
def test_plain_python_does_what_the_compiled_kernels_do(length: int) -> None:
    rng, plain = np.random.default_rng(length), [getattr(k, "py_func", k) for k in (expected, draw_clicks, best_slate)]
    shown, family = rng.random(length), rng.integers(-1, 3, length)
    for model in models(length, length).values():
        examined, again, reached = np.empty(length), np.empty(length), np.empty(length + 1)
        assert expected(*model[:2], shown, reached, examined) == plain[0](*model[:2], shown, reached, again)
        np.testing.assert_array_equal(examined, again)
        for ours, theirs in zip(drawn(model, shown, range(50)), drawn(model, shown, range(50), plain[1]), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    slate = np.empty(length, np.int64)
    plain[2](shown, family, 0.7, slate)
    np.testing.assert_array_equal(slate, best(shown, family, 0.7, length))


def test_a_model_is_told_and_read_again() -> None:
    for model in models(4).values():
        faded = model._replace(fade=0.7)
        again = parse(content_of(faded))
        for own, read in zip(faded, again, strict=True):
            np.testing.assert_array_equal(own, read)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: pbm([0.5, 1.2]), "not 1.2 at"),
        (lambda: pbm([0.5, float("nan")]), "not nan"),
        (lambda: pbm([[0.5]]), "one examination probability a position"),
        (lambda: pbm([]), "at least one position"),
        (lambda: ubm([[0.5]]), "shape"),
        (lambda: dcm([-0.1]), "goes_on"),
        (lambda: dcm([[1.0]]), "one probability a position"),
        (lambda: cascade(0), "at least one position"),
        (lambda: pbm([0.5], fade=2), "fade"),
        (lambda: parse({"weights": [[1, 0]], "fade": 1}), "goes_on is missing"),
        (lambda: parse({"weights": [[1, 0]], "goes_on": [1, 1], "fade": 1}), "goes_on for 2"),
    ],
)
def test_numbers_that_are_no_click_model_are_refused(make: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make()
