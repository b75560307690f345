"""Streamed sums: the worked cases, beside the formulas over whole columns, and what must not matter."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from lersbench.errors import ConfigError, DataError
from lersbench.offpolicy import resolution
from lersbench.offpolicy import sums as streamed
from lersbench.offpolicy.intervals import Six, cluster_error, row_errors
from lersbench.offpolicy.sums import (
    Settings,
    Sums,
    add,
    buckets_of,
    importance_weights,
    influence,
    merge,
    new_sums,
    six,
)

P, PI, R = np.array([1 / 2, 1 / 4, 4 / 5]), np.array([1 / 4, 1 / 2, 4 / 5]), np.array([1, 0, 1])
W = PI / P  # 1/2, 2, 1


def sums_of(
    w: Any, r: Any, p: Any = None, users: Any = None, extra: Any = None, parts: Any = None, **settings: Any
) -> Sums:
    """Sums of whole columns in one call; `parts` are the slices of the rows."""
    w = np.asarray(w, np.float64)
    out = new_sums(Settings(**settings))
    add(out, w, r, np.full(len(w), 0.5) if p is None else p, buckets_of(users, len(w)), extra, parts)
    return out


def error(sums: Sums, kind: str, value: float) -> float:
    return float(cluster_error(influence(sums, kind, value), sums.bucket_rows)[0])


def random_rows(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 20, n) + 1e-6
    w = np.where(rng.random(n) < 0.3, 0.0, 0.03 / p)
    users = rng.integers(0, n // 5 + 1, n)
    parts = np.column_stack([rng.integers(0, 3, n), rng.integers(-1, 7, n)])
    r = (rng.random(n) < 0.2).astype(float)
    return {"w": w, "r": r, "p": p, "users": users, "extra": rng.normal(size=n), "parts": parts}


def in_chunks(rows: dict[str, np.ndarray], ends: list[int], **settings: Any) -> Sums:
    """The same rows in several calls: from each end to the next."""
    out = new_sums(Settings(slices=7, **settings))
    for first, last in itertools.pairwise([0, *ends, len(rows["w"])]):
        w, r, p, users, extra, parts = (x[first:last] for x in rows.values())
        add(out, w, r, p, buckets_of(users, last - first, first), extra, parts, first)
    return out


def assert_same(a: Sums, b: Sums) -> None:
    """Counts and kept rows bit by bit, sums to 1e-12."""
    for name in ("rows", "bucket_rows", "cell_rows", "slice_rows"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), name)
    np.testing.assert_array_equal(streamed.top_weights(a), streamed.top_weights(b))
    for mine, theirs in zip(resolution.kept(a.sample), resolution.kept(b.sample), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)
    np.testing.assert_allclose(six(a), six(b), rtol=1e-12)
    np.testing.assert_allclose(streamed.by_cell(a), streamed.by_cell(b), rtol=1e-12)
    np.testing.assert_allclose(a.buckets, b.buckets, rtol=1e-12, atol=1e-12)
    for name in ("thin", "slices", "steps"):
        np.testing.assert_allclose(getattr(a, name).sum(-1), getattr(b, name).sum(-1), rtol=1e-12)


# --- worked cases ----------------------------------------------------------------------------------------------------


def test_ips_and_snips_of_the_base_log() -> None:
    sums = sums_of(W, R, P)
    s = six(sums)
    assert s == Six(3, 3.5, 5.25, 1.5, 1.25, 1.25, 2.0)
    assert s.r1 / s.n == 0.5
    assert error(sums, "ips", 0.5) == pytest.approx(math.sqrt(1 / 12), rel=1e-15)  # .288675
    assert s.r1 / s.s1 == pytest.approx(3 / 7, rel=1e-15)
    psi = influence(sums, "snips", 3 / 7)
    np.testing.assert_allclose(np.sort(psi[sums.bucket_rows > 0]), np.array([-36, 12, 24]) / 49, rtol=1e-14)
    assert error(sums, "snips", 3 / 7) == pytest.approx(math.sqrt(144 / 343 / 3), rel=1e-14)  # .374088
    assert (7 / 6 - 1) / error(sums, "weight", 7 / 6) == pytest.approx(0.377964, abs=1e-6)


def test_adding_one_to_all_rewards() -> None:
    """IPS rises by the mean weight, SNIPS by exactly 1, DR, its reward model raised too, by exactly 1."""
    dr = np.array([3 / 5, 0, 9 / 10])
    a, b = sums_of(W, R, P, extra=dr), sums_of(W, R + 1, P, extra=dr + 1, r_max=2.0)
    assert six(b).r1 / 3 - six(a).r1 / 3 == pytest.approx(7 / 6, rel=1e-15)
    assert six(b).r1 / six(b).s1 - six(a).r1 / six(a).s1 == pytest.approx(1.0, rel=1e-15)
    assert (b.buckets[:, 2].sum() - a.buckets[:, 2].sum()) / 3 == pytest.approx(1.0, rel=1e-15)
    assert a.buckets[:, 2].sum() / 3 == pytest.approx(1 / 2, rel=1e-15)
    assert error(a, "dr", 1 / 2) == pytest.approx(math.sqrt(21 / 100 / 3), rel=1e-14)  # .264575


def test_users_are_clusters() -> None:
    sums = sums_of(np.ones(5), [1, 3, 0, 0, 2], users=[10, 10, 20, 20, 30], r_max=3.0)
    assert error(sums, "ips", 6 / 5) == pytest.approx(math.sqrt(336 / 625), rel=1e-14)  # .733212
    assert row_errors(six(sums)).ips == pytest.approx(math.sqrt(0.34), rel=1e-14)  # .583095


def test_a_pair_is_compared_by_its_differences() -> None:
    a, b = (sums_of(np.ones(4), v, r_max=2.0) for v in ([1.5, 0, 1, 0.5], [1, 0, 0.5, 0.5]))
    psi = influence(a, "ips", 0.75) - influence(b, "ips", 0.5)
    assert float(cluster_error(psi, a.bucket_rows)[0]) == pytest.approx(0.144338, abs=1e-6)
    assert math.hypot(error(a, "ips", 0.75), error(b, "ips", 0.5)) == pytest.approx(0.381881, abs=1e-6)


def test_rare_and_heavy_weights() -> None:
    w = np.repeat([0.5, 1.5, 26.5], [600, 396, 4])
    r = np.zeros(1000, np.int8)
    r[[0, 1, 600, 601, 996]] = 1
    s = six(sums_of(w, r))
    assert s.s1 == 1000.0
    assert s.s1**2 / s.s2 == pytest.approx(259.74, abs=0.005)
    assert s.r1**2 / s.q2 == pytest.approx(1.3153, abs=5e-5)
    assert s.r1 / s.n == pytest.approx(0.0305, rel=1e-14)
    assert row_errors(s).ips == pytest.approx(0.026590, abs=5e-7)


def test_clicks_that_are_small_whole_numbers_do_not_overflow() -> None:
    assert int(np.ones(200, np.int8).sum(dtype=np.int8)) == -56
    s = six(sums_of(np.ones(200), np.ones(200, np.int8)))
    assert (s.r1, s.total) == (200.0, 200.0)


# --- beside the formulas ---------------------------------------------------------------------------------------------


def test_all_sums_are_those_of_the_whole_columns() -> None:
    rows = random_rows(5000)
    w, r, p, users, extra, parts = rows.values()
    sums, bucket = in_chunks(rows, []), buckets_of(users, len(w))
    expected = (5000, w.sum(), (w**2).sum(), (w * r).sum(), (w**2 * r).sum(), (w**2 * r**2).sum(), r.sum())
    np.testing.assert_allclose(six(sums), expected, rtol=1e-13)
    assert sums.rows.tolist() == [5000, int((w == 0).sum())]
    for column, values in enumerate((w, w * r, extra)):
        wanted = np.bincount(bucket, values, streamed.BUCKETS)
        np.testing.assert_allclose(sums.buckets[:, column], wanted, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(sums.bucket_rows, np.bincount(bucket, minlength=streamed.BUCKETS))
    assert streamed.by_cell(sums)[:, streamed.DD].sum() == pytest.approx((extra**2).sum(), rel=1e-13)
    for part in range(7):
        times = (parts == part).sum(axis=1)
        assert sums.slice_rows[part] == times.sum()
        np.testing.assert_allclose(sums.slices[part].sum(-1), [times @ w, times @ w**2], rtol=1e-12)
    order = np.argsort(-w)[: streamed.TOP]
    np.testing.assert_array_equal(streamed.top_weights(sums), np.column_stack([w, w * r, p])[order])


def test_clipped_sums_are_those_of_clipped_weights() -> None:
    rows = random_rows(3000)
    w, r = rows["w"], rows["r"] * 2.5
    sums = sums_of(w, r, r_max=3.0)
    for cell in range(2, streamed.CELLS):
        cut = np.minimum(w, streamed.edge(cell))
        expected = (
            3000,
            cut.sum(),
            (cut**2).sum(),
            (cut * r).sum(),
            (cut**2 * r).sum(),
            (cut * r) @ (cut * r),
            r.sum(),
        )
        np.testing.assert_allclose(streamed.clipped(sums, cell), expected, rtol=1e-12)
        assert streamed.weight_cut(sums, cell) == pytest.approx(1 - cut.sum() / w.sum(), abs=1e-12)
    assert [streamed.edge(k) for k in (2, 3, 22, 23, 24)] == [2.0**-10, 1.5 * 2.0**-10, 1.0, 1.5, 2.0]
    for q in (0.5, 0.9, 0.99, 0.999):
        cell = streamed.cell_of_quantile(sums, q)
        below = [(w[w > 0] < streamed.edge(k)).mean() for k in (cell - 1, cell)]
        assert below[0] < q <= below[1]


def test_a_weight_on_an_edge_is_above_it_and_clipping_the_base_log_at_1() -> None:
    one = 2 + 2 * -streamed.LEAST
    assert streamed.edge(one) == 1.0
    sums = sums_of(W, R, P)
    assert sums.cell_rows[one] == 1
    s = streamed.clipped(sums, one)
    assert s.r1 / 3 == 0.5
    assert s.r1 / s.s1 == pytest.approx(3 / 5, rel=1e-15)


@pytest.mark.parametrize("w", [1e12, 5e-324, 0.0])
def test_the_largest_and_the_smallest_weights_have_a_cell(w: float) -> None:
    sums = sums_of([w], [1])
    assert sums.cell_rows.sum() == 1
    assert six(sums).s1 == w


def test_weight_on_thin_rows() -> None:
    rng = np.random.default_rng(3)
    few, many = rng.choice([0.001, 0.02, 0.5], 4000), rng.beta(1, 20, 4000) + 1e-5
    for p, exact in ((few, True), (many, False)):
        sums = sums_of(0.01 / p, np.ones(4000), p)
        for limit in (1e-4, 0.001, 0.00101, 0.02, 0.3, 1.0):
            weight, says = streamed.weight_below(sums, limit)
            inside = (p >= limit / 1.13) & (p < limit * 1.13)  # a cell is at most an eighth wide
            assert says == exact or limit == 1.0
            allowed = 1e-12 if says else (0.01 / p[inside]).sum()
            assert weight == pytest.approx((0.01 / p[p < limit]).sum(), rel=1e-12, abs=allowed)


def test_rewards_below_0_have_their_spread() -> None:
    rng = np.random.default_rng(4)
    w, r = rng.exponential(size=2000), rng.normal(size=2000).clip(-4, 4)
    sums = sums_of(w, r, r_min=-4.0, r_max=4.0)
    value = float(w @ r / w.sum())
    mass, squares = streamed.spread(sums, value)
    assert squares == pytest.approx(float(w**2 @ (r - value) ** 2), rel=1e-12)
    assert mass == pytest.approx(float(w @ np.abs(r - value)), rel=1e-3)
    assert mass <= w @ np.abs(r - value)
    binary = sums_of(w, np.where(r > 0, 1.0, -1.0), r_min=-1.0)
    value = six(binary).r1 / six(binary).s1
    assert streamed.spread(binary, value)[0] == pytest.approx(
        float(w @ np.abs(np.where(r > 0, 1, -1) - value)), rel=1e-12
    )
    with pytest.raises(ConfigError, match=r"Settings\.r_min"):
        streamed.spread(sums_of(w, r > 0), 0.1)


# --- what must not matter --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ends", [[1, 2, 3], [2500], list(range(7, 5000, 7)), [0, 0, 4999]])
def test_chunks_do_not_matter(ends: list[int]) -> None:
    rows = random_rows(5000)
    assert_same(in_chunks(rows, []), in_chunks(rows, ends))


def test_many_equal_weights_are_added_up_without_drift() -> None:
    """0.1 a million times as it comes is off by 1e-11."""
    n = 1_000_000
    w, ones = np.full(n, 0.1), np.ones(n)
    whole = sums_of(w, ones, users=np.arange(n))
    assert six(whole).s1 == pytest.approx(100_000.0, rel=1e-13)
    parts = new_sums()
    for first in range(0, n, 999):
        some = slice(first, first + 999)
        add(parts, w[some], ones[some], ones[some] / 2, buckets_of(np.arange(n)[some], len(w[some])))
    assert_same(whole, parts)


@pytest.mark.parametrize("cut", [0, 1, 1700, 5000])
def test_merged_parts_are_one_pass(cut: int) -> None:
    rows = random_rows(5000)
    a = in_chunks({name: x[:cut] for name, x in rows.items()}, [])
    b = in_chunks({name: x[cut:] for name, x in rows.items()}, [])
    before = six(a)
    assert_same(merge(a, b), in_chunks(rows, []))
    assert_same(merge(b, a), in_chunks(rows, []))
    assert six(a) == before


def test_rows_may_come_in_any_order() -> None:
    rows = random_rows(5000)
    order = np.random.default_rng(1).permutation(5000)
    assert_same(in_chunks(rows, []), in_chunks({name: x[order] for name, x in rows.items()}, []))


def test_sums_of_different_settings_are_not_merged() -> None:
    for other in (Settings(slices=3), Settings(r_max=2.0), Settings(r_min=-1.0)):
        with pytest.raises(ConfigError, match="different settings"):
            merge(new_sums(), new_sums(other))


def test_equal_top_weights_are_kept_by_value_not_by_order() -> None:
    w = np.full(50, 3.0)
    r = np.arange(50) / 50
    for order in (np.arange(50), np.arange(50)[::-1]):
        top = streamed.top_weights(sums_of(w[order], r[order], top=10))
        np.testing.assert_array_equal(top[:, 1], 3.0 * (np.arange(49, 39, -1) / 50))


def test_scaling_propensities_changes_ips_and_not_snips() -> None:
    rows = random_rows(2000)
    a, b = (six(sums_of(rows["w"] / c, rows["r"])) for c in (1.0, 2.0))
    assert a.r1 / a.n == pytest.approx(2 * b.r1 / b.n, rel=1e-12)
    assert a.r1 / a.s1 == pytest.approx(b.r1 / b.s1, rel=1e-12)


def test_a_mixture_of_two_targets_has_the_mixed_ips_and_differences_are_linear() -> None:
    rng = np.random.default_rng(5)
    p, r = rng.uniform(0.1, 1, 500), rng.random(500)
    one, two = rng.random(500), rng.random(500)
    value = {
        name: six(sums_of(importance_weights(pi, p), r, p)).r1 / 500
        for name, pi in (("one", one), ("two", two), ("mixed", 0.3 * one + 0.7 * two))
    }
    assert value["mixed"] == pytest.approx(0.3 * value["one"] + 0.7 * value["two"], rel=1e-12)
    assert value["one"] - value["two"] == pytest.approx(float(((one - two) / p * r).mean()), abs=1e-12)


def test_the_log_twice_with_the_same_users() -> None:
    rows = random_rows(2000)
    twice = {name: np.concatenate([x, x]) for name, x in rows.items()}
    a, b = in_chunks(rows, []), in_chunks(twice, [])
    value = six(a).r1 / six(a).s1
    assert six(b).r1 / six(b).s1 == pytest.approx(value, rel=1e-12)
    assert error(b, "snips", value) == pytest.approx(error(a, "snips", value), rel=1e-12)
    assert row_errors(six(b)).snips == pytest.approx(row_errors(six(a)).snips / math.sqrt(2), rel=1e-3)


def test_the_reward_of_a_row_without_weight_does_not_matter() -> None:
    rows = random_rows(1000)
    other = np.where(rows["w"] == 0, 1 - rows["r"], rows["r"])
    a, b = (six(sums_of(rows["w"], r)) for r in (rows["r"], other))
    assert (other != rows["r"]).any()
    assert a[:6] == b[:6]


def test_memory_does_not_grow_with_the_rows() -> None:
    def size(sums: Sums) -> int:
        return sum(x.nbytes for x in (*sums[:-1], *sums.sample, sums.span) if isinstance(x, np.ndarray))

    assert size(in_chunks(random_rows(5000), [])) == size(new_sums(Settings(slices=7))) < 110_000


# --- buckets ---------------------------------------------------------------------------------------------------------


def test_a_user_has_one_bucket_and_rows_without_users_one_each() -> None:
    ids = np.array([7, 3, 7, 2**62, 3])
    found = buckets_of(ids, 5, first_row=100)
    assert found[0] == found[2] == buckets_of(ids[:1], 1)[0]
    assert found[1] == found[4]
    for first in (0, 4096):
        assert len(set(buckets_of(None, 1024, first))) == 1024
    np.testing.assert_array_equal(buckets_of(None, 30, 5), buckets_of(np.full(30, -1), 30, 5))
    np.testing.assert_array_equal(buckets_of(None, 3000)[2000:], buckets_of(None, 1000, 2000))
    spread = np.bincount(buckets_of(np.arange(200_000), 200_000), minlength=1024)
    assert abs(spread - 200_000 / 1024).max() < 6 * math.sqrt(200_000 / 1024)


def test_rows_that_alternate_do_not_share_buckets() -> None:
    """Places 1, 2, 1, 2, ... : rows of a place must not fill the same half of the buckets."""
    buckets = buckets_of(None, 1 << 17)
    even = np.bincount(buckets[::2], minlength=1024)
    assert abs(even - 64).max() < 64 - 10


# --- numbers that cannot be ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pi", "p", "said"),
    [
        (0.5, 0.0, r"row 42, column propensities: 0 is not in \(0, 1\]"),
        (0.5, math.nan, "column propensities: nan"),
        (0.5, 1.5, r"column propensities: 1\.5"),
        (0.5, -0.1, "column propensities"),
        (1.5, 0.5, r"row 42, column chance: 1\.5 is not in \[0, 1\]"),
        (math.nan, 0.5, "column chance: nan"),
        (-0.5, 0.5, "column chance"),
        (0.5, 1e-300, r"row 42, column weight chance / propensity: 5e\+299 is not at most 1e\+12"),
        (1.0, 5e-324, "column weight .*: inf"),
    ],
)
def test_no_weight_without_probabilities(pi: float, p: float, said: str) -> None:
    with pytest.raises(DataError, match=said):
        importance_weights(np.array([0.5, 0.5, pi]), np.array([0.5, 0.5, p]), 40)
    with pytest.raises(DataError, match=r"^bts\.csv: row 42, column "):
        importance_weights(np.array([0.5, 0.5, pi]), np.array([0.5, 0.5, p]), 40, "bts.csv")


def test_a_propensity_that_is_tiny_is_fine_where_the_target_is_as_unlikely() -> None:
    np.testing.assert_array_equal(importance_weights(np.array([0.0, 1e-300]), np.array([1e-300, 1e-300])), [0.0, 1.0])


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("w", math.nan, "column weight: nan"),
        ("w", -1.0, "column weight"),
        ("w", 2e12, r"column weight: 2e\+12 is not in \[0, 1e\+12\]"),
        ("r", math.nan, r"column reward: nan is not in \[0, 1\]"),
        ("r", 1.5, "column reward"),
        ("p", 0.0, "column propensities"),
        ("p", math.nan, "column propensities"),
        ("extra", math.inf, "column doubly robust value: inf is not finite"),
    ],
)
def test_a_row_that_cannot_be_added_is_named_and_nothing_is_changed(column: str, value: float, said: str) -> None:
    rows = {name: np.full(10, 0.5) for name in ("w", "r", "p", "extra")}
    rows[column][7] = value
    sums = new_sums()
    with pytest.raises(DataError, match=rf"a\.parquet: row 107, {said}"):
        add(sums, rows["w"], rows["r"], rows["p"], buckets_of(None, 10), rows["extra"], None, 100, "a.parquet")
    assert_same(sums, new_sums())


def test_places_outside_and_columns_of_other_lengths() -> None:
    w, sums = np.ones(3), new_sums(Settings(slices=2))
    with pytest.raises(ConfigError, match=r"buckets must lie in 0\.\.1023, slices in -1\.\.1"):
        add(sums, w, w, w, np.array([0, 1, 1024]))
    with pytest.raises(ConfigError, match="buckets must lie"):
        add(sums, w, w, w, np.arange(3), None, np.array([[0], [1], [2]]))
    with pytest.raises(ConfigError, match="must have the 3 rows of w"):
        add(sums, w, w[:2], w, np.arange(3))
    with pytest.raises(ConfigError, match="power of two"):
        new_sums(Settings(buckets=1000))
    with pytest.raises(ConfigError, match="r_min < r_max"):
        new_sums(Settings(r_min=1.0, r_max=1.0))
