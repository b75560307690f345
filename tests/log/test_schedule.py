"""Candidates from the times at which items come and go, beside a naive double loop."""

from __future__ import annotations

import time

import numpy as np
import pytest

from lersbench.errors import DataError
from lersbench.log.schedule import ROUNDS, Schedule

START = np.datetime64("2021-11-02T10:00:00")


def seconds(values: np.ndarray | list[int]) -> np.ndarray:
    return START + np.asarray(values).astype("timedelta64[s]")


def naive(on_from: np.ndarray, on_until: np.ndarray, times: np.ndarray) -> list[list[int]]:
    return [[i for i in range(len(on_from)) if on_from[i] <= t < on_until[i]] for t in times]


def lists(schedule: Schedule, times: np.ndarray, most: int, chunk: int = 1 << 20) -> list[list[int]]:
    rounds: list[list[int]] = []
    for start, stop, part in schedule.parts((times[at : at + chunk] for at in range(0, len(times), chunk)), most):
        assert start == len(rounds) and len(part.lengths) == stop - start
        assert len(part.values) <= most or stop == start + 1
        rounds += [one.tolist() for one in np.split(part.values, np.cumsum(part.lengths)[:-1])]
    return rounds


@pytest.mark.parametrize("most", [1, 7, 50, 1 << 20])
@pytest.mark.parametrize("seed", range(5))
def test_the_sweep_is_the_double_loop(seed: int, most: int) -> None:
    """Beginnings and ends at the very time of rounds, spans without a length, rounds without an item, equal times."""
    rng = np.random.default_rng(seed)
    begin = rng.integers(0, 60, 40)
    on_from, on_until = seconds(begin), seconds(begin + rng.integers(0, 25, 40))
    times = seconds(np.sort(rng.integers(-5, 90, 80)))
    expected = naive(on_from, on_until, times)
    schedule = Schedule(on_from, on_until)
    assert lists(schedule, times, most) == lists(schedule, times, most, chunk=9) == expected
    assert schedule.lengths(times).tolist() == [len(one) for one in expected]
    assert [] in expected and max(map(len, expected)) > 3


def test_an_item_begins_with_its_time_and_is_gone_with_its_end() -> None:
    schedule = Schedule(seconds([0, 10]), seconds([10, 20]))
    assert lists(schedule, seconds([-1, 0, 9, 10, 19, 20]), 100) == [[], [0], [0], [1], [1], []]


def test_an_empty_bound_is_none() -> None:
    on_from, on_until = seconds([0, 5]), seconds([10, 8])
    on_from[0], on_until[1] = np.datetime64("NaT"), np.datetime64("NaT")
    assert lists(Schedule(on_from, on_until), seconds([-99, 5, 9, 10, 99]), 100) == [[0], [0, 1], [0, 1], [1], [1]]


def test_an_item_may_come_back() -> None:
    schedule = Schedule(seconds([0, 4, 8]), seconds([3, 6, 9]), items=np.array([7, 2, 7]))
    assert lists(schedule, seconds([1, 3, 5, 8, 9]), 100) == [[7], [], [2], [7], []]


def test_more_rounds_than_fit_a_part() -> None:
    times = seconds(np.arange(ROUNDS + 10) // 3)
    rounds = lists(Schedule(seconds([100, 0]), seconds([200, 30_000])), times, 1 << 20)
    assert rounds[299:301] == [[1], [0, 1]] and rounds[-1] == [1] and len(rounds) == ROUNDS + 10


def test_work_grows_with_items_and_candidates_alone() -> None:
    """100,000 items of which ten are on offer in each of 100,000 rounds: the double loop would look at 10^10 pairs."""
    begin = np.arange(100_000)
    schedule, times = Schedule(seconds(begin), seconds(begin + 10)), seconds(begin)
    started = time.perf_counter()
    total = sum(len(part.values) for _, _, part in schedule.parts([times]))
    assert total == 10 * 100_000 - 45 and time.perf_counter() - started < 5


@pytest.mark.parametrize(
    ("on_from", "on_until", "items", "says"),
    [
        (
            seconds([0, 9]),
            seconds([5, 8]),
            None,
            "row 1 .*1 such rows.: on_until .*:08.* before .*:09",
        ),
        (seconds([0, 9]), seconds([5]), None, "2 on_from beside 1 on_until"),
        (seconds([0]), seconds([5]), np.arange(2), "2 items beside 1 spans"),
        (np.array([1, 2]), seconds([5, 6]), None, "column on_from: type int64. Fix: give datetime64"),
    ],
)
def test_wrong_spans_are_named(on_from: np.ndarray, on_until: np.ndarray, items: np.ndarray | None, says: str) -> None:
    with pytest.raises(DataError, match=says):
        Schedule(on_from, on_until, items)


def test_wrong_times_are_named() -> None:
    schedule = Schedule(seconds([0]), seconds([5]))
    for chunks in ([seconds([0, 3, 1])], [seconds([0, 3]), seconds([1])]):
        with pytest.raises(DataError, match=r"row 2, column time: .*10:00:01\S* after .*10:00:03\S* Fix: sort"):
            list(schedule.parts(chunks))
    with pytest.raises(DataError, match="row 1, column time: empty"):
        list(schedule.parts([np.array(["2021-11-02", "NaT"], "datetime64[s]")]))
