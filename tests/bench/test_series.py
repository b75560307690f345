"""Series: which of their seeds are there, which jobs play the others, and what files are read of them."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from lersbench.bench import scenario, series
from lersbench.bench.curves import Curves, joined
from lersbench.bench.series import Files, Job, Series, Work, file_of
from lersbench.bench.store import Store
from lersbench.engine import blocks
from lersbench.errors import DataError
from lersbench.policy import find, make

KEY = "0123456789abcdef0123"
CASE = scenario.Case("", "log", "bandit", 1)


def series_of(*seeds: int, key: str = KEY) -> Series:
    return Series(key, "", scenario.Entry("random", "random", make(find("random"), {}), ("bandit",)), CASE, seeds)


def played(*seeds: int, mark: float = 0.0) -> Curves:
    """Made-up curves of two metrics at three checkpoints, a value of its own each seed; `mark` tells plays apart."""
    own = np.array(seeds, float)[:, None, None]
    values = own + mark + np.arange(6.0).reshape(1, 3, 2) / 10
    sums = own + np.arange(4.0 * len(blocks.NAMES)).reshape(1, 4, -1)
    counts = np.array(seeds, np.int64)
    return Curves(
        counts, np.array([5, 10, 20]), ("ctr", "regret"), values, sums, counts / 8, counts + 20, {"policy": "x"}
    )


@pytest.fixture
def store(tmp_path: Path) -> Store[Curves]:
    made = Store(tmp_path, Curves.of_table)
    made.make()
    return made


def put(store: Store[Curves], *spans: tuple[int, int], mark: float = 0.0, key: str = KEY) -> None:
    for first, last in spans:
        store.put(f"{key}-{first}-{last}", played(*range(first, last + 1), mark=mark))


def seeds_of(jobs: list[Job]) -> list[tuple[int, ...]]:
    return [job.seeds for job in jobs]


def same(one: Curves, other: Curves) -> None:
    for name in ("seeds", "rounds", "values", "blocks", "seconds", "played"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.metrics == other.metrics and one.about == other.about


# What is there --------------------------------------------------------------------------------------------------------
def test_seeds_are_taken_from_whatever_files_have_them(store: Store[Curves]) -> None:
    """Files that overlap, a longer one than is asked for, those of other series: each seed comes once."""
    put(store, (0, 3), (2, 6), (9, 12))
    put(store, (7, 8), key="ffff")
    one = series_of(*range(11))
    files = Files.there(store, [one])
    assert files.seeds(one) == [0, 1, 2, 3, 4, 5, 6, 9, 10]
    taken = files.covering(one)
    assert taken == [(f"{KEY}-2-6", [2, 3, 4, 5, 6]), (f"{KEY}-0-3", [0, 1]), (f"{KEY}-9-12", [9, 10])]
    same(files.read(one), played(0, 1, 2, 3, 4, 5, 6, 9, 10))
    same(files.read(series_of(3)), played(3))
    work = Work.of([one, series_of(0, 1, key="abcd")], store, fresh=False)
    assert list(work.missing.values()) == [(7, 8), (0, 1)]
    assert (work.runs, work.reused, work.done) == (13, 9, [one])


def test_a_file_that_was_cut_short_is_not_there(store: Store[Curves]) -> None:
    put(store, (0, 4), (5, 9))
    path = store.path(f"{KEY}-5-9")
    path.write_bytes(path.read_bytes()[:-20])
    (store.folder / f"{KEY}-x-9.parquet").write_bytes(b"junk")
    (store.folder / f"{KEY}.parquet").write_bytes(b"junk")
    one = series_of(*range(10))
    work = Work.of([one], store, fresh=False)
    assert work.missing == {one: (5, 6, 7, 8, 9)}
    work.files.keep(one, played(5, 6, 7, 8, 9))
    same(Files.there(store, [one]).read(one), played(*range(10)))
    path.write_bytes(store.path(f"{KEY}-0-4").read_bytes().replace(b"regret", b"regrex"))
    with pytest.raises(DataError, match=f"{KEY}-5-9.parquet is damaged"):
        Files.there(store, [one]).read(one)


def test_what_was_played_anew_is_what_is_read_now_and_later(store: Store[Curves]) -> None:
    """One old file of all seeds; the new ones come in two, and a later run must not find the old one longer."""
    put(store, (0, 9), mark=100.0)
    one = series_of(*range(8))
    work = Work.of([one], store, fresh=True)
    assert work.missing == {one: one.seeds} and work.done == [] and work.reused == 0
    for part in ((4, 5, 6, 7), (0, 1, 2, 3)):
        work.files.keep(one, played(*part))
        assert work.made(one) == sorted({4, 5, 6, 7, *part})
        same(Files.there(store, [one]).read(one), work.files.read(one))
    same(work.files.read(one), played(*range(8)))
    assert sorted(path.stem for path in store.folder.iterdir()) == [f"{KEY}-0-3", f"{KEY}-4-7"]


def test_what_failed_when_played_anew_is_not_taken_from_before(store: Store[Curves]) -> None:
    put(store, (0, 4), mark=100.0)
    one = series_of(*range(5))
    work = Work.of([one], store, fresh=True)
    work.fail(one, dict.fromkeys(range(5), "why"))
    assert work.done == [] and (work.played, work.reused, work.failed) == (0, 0, 5)
    assert Work.of([one], store, fresh=False).missing == {}, "what was there before is kept while there is nothing new"


def test_seeds_with_gaps_are_kept_in_a_file_each_run(store: Store[Curves]) -> None:
    one = series_of(*range(8))
    work = Work.of([one], store, fresh=False)
    work.files.keep(one, played(0, 1, 4, 5, 6))
    work.fail(one, {2: "why", 3: "why", 7: "why"})
    work.fail(series_of(0), {})
    assert list(work.problems) == [one], "one that failed in no seed has not failed"
    assert sorted(path.stem for path in store.folder.iterdir()) == [f"{KEY}-0-1", f"{KEY}-4-6"]
    assert (work.played, work.reused, work.failed, work.runs) == (5, 0, 3, 8)
    assert work.made(one) == work.files.seeds(one) == [0, 1, 4, 5, 6] and work.done == [one]
    again = Work.of([one], store, fresh=False)
    assert again.missing == {one: (2, 3, 7)} and again.reused == 5 and again.made(one) == []
    assert seeds_of(again.jobs([one], {"log": 100}, 1)) == [(2,), (3,), (7,)]
    again.files.remove(one)
    assert not list(store.folder.iterdir()) and again.done == []


# Jobs -----------------------------------------------------------------------------------------------------------------
def test_each_missing_seed_is_in_one_job_of_seeds_that_follow_each_other(store: Store[Curves]) -> None:
    rng = np.random.default_rng(0)
    for number in range(200):
        wanted = [
            series_of(*sorted(rng.choice(60, rng.integers(1, 60), replace=False).tolist()), key=f"{number:x}{k}")
            for k in range(rng.integers(1, 5))
        ]
        work, rounds = Work.of(wanted, store, fresh=False), int(rng.choice([10, 10**5, 10**6, 10**8]))
        at_once = int(rng.integers(1, 5))
        for alone in (False, True):
            jobs = work.jobs(wanted, {"log": rounds}, at_once, alone)
            for one in wanted:
                parts = [job.seeds for job in jobs if job.series is one]
                assert list(itertools.chain(*parts)) == list(one.seeds)
            assert all(job.seeds == tuple(range(job.seeds[0], job.seeds[-1] + 1)) for job in jobs)
            assert len({job.key for job in jobs}) == len(jobs)
            most = max(len(job.seeds) for job in jobs)
            assert most == 1 if alone else most == 1 or most * rounds <= series.ROUNDS


def test_jobs_are_even_and_enough_for_all_at_work(store: Store[Curves]) -> None:
    one = series_of(*range(100))
    work = Work.of([one], store, fresh=False)
    sizes = [len(job.seeds) for job in work.jobs([one], {"log": 10}, 2)]
    assert sum(sizes) == 100 and len(sizes) >= series.SHARES * 2 - 1 and max(sizes) - min(sizes) <= 1
    assert [len(job.seeds) for job in work.jobs([one], {"log": series.ROUNDS}, 1)] == [1] * 100
    assert work.jobs([series_of(0)], {"log": 10}, 1) == []  # of another object: nothing of it is missing


# Tables ---------------------------------------------------------------------------------------------------------------
def test_curves_come_back_from_their_file_as_they_were(store: Store[Curves]) -> None:
    made = played(3, 4, 5)
    made.values[1, 0, 0] = np.nan  # one seed has no value yet; a metric that none has is left out
    wide = np.concatenate([made.values, np.full((3, 3, 1), np.nan)], axis=2)
    whole = Curves(
        made.seeds, made.rounds, ("ctr", "regret", "never"), wide, made.blocks, made.seconds, made.played, made.about
    )
    store.put(file_of(KEY, [3, 5]), whole)
    same(store.get(f"{KEY}-3-5"), made)
    same(store.get(f"{KEY}-3-5").of([5, 3, 9]), played(3, 5))


def test_parts_are_joined_in_the_order_of_their_seeds() -> None:
    whole = played(0, 1, 2, 5, 6)
    same(joined([whole.of([2, 6]), whole.of([0, 5]), whole.of([1])]), whole)
    assert [part.seeds.tolist() for part in whole.runs()] == [[0, 1, 2], [5, 6]]
    same(joined(list(whole.runs())), whole)
    assert list(whole.of([]).runs()) == []
    more = played(7)
    other = Curves(
        more.seeds, more.rounds, ("regret", "gini"), more.values, more.blocks, more.seconds, more.played, more.about
    )
    both = joined([other, played(1)])
    assert both.metrics == ("regret", "gini", "ctr") and both.seeds.tolist() == [1, 7]
    np.testing.assert_array_equal(both.values[0, :, [2, 0]].T, played(1).values[0])
    np.testing.assert_array_equal(both.values[1, :, :2], more.values[0])
    assert np.isnan(both.values[1, :, 2]).all() and np.isnan(both.values[0, :, 1]).all()
