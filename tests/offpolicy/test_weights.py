"""One arithmetic of inverse propensity scoring: worked values, zero exposure, the closed form of a uniform logger."""

from __future__ import annotations

import math
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lersbench.bench import replays, scenario
from lersbench.bench.click_fits import Fits
from lersbench.clicks import model as click_model
from lersbench.engine.counting import count_ips
from lersbench.engine.meter import PBM, new_meter
from lersbench.engine.rows import rows_of
from lersbench.errors import ConfigError, DataError
from lersbench.log import Log, write
from lersbench.offpolicy import propensity
from lersbench.offpolicy import weights as ips
from lersbench.policies.ltr import LTR
from lersbench.policies.random import Random
from tests.engine.test_simulated import shown_by
from tests.offpolicy.test_propensity import naive_exposure, random_model
from tests.support import slate_twins as twins
from tests.support.worlds import contender, final, play, protocol, square


def plain(kernel: Any) -> Any:
    return getattr(kernel, "py_func", kernel)


def summed(values: list[float], weights: list[float], shown: int) -> np.ndarray:
    """The sums of rounds of one position: values and weights written down."""
    v, w = np.array(values), np.array(weights)
    return np.array([len(v), v.sum(), (v * v).sum(), w.sum(), (w * w).sum(), 0.0, 0.0])


def test_three_rows_by_hand() -> None:
    """p = (1/2, 1/4, 4/5), pi = (1/4, 1/2, 4/5), clicks (1, 0, 1): v = (1/2, 0, 1), of variance 1/4 over n - 1."""
    sums, out = np.zeros(ips.SUMS), np.empty(4)
    for chance, target, click in ((0.5, 0.25, 1.0), (0.25, 0.5, 0.0), (0.8, 0.8, 1.0)):
        ips.add(sums, np.array([0]), np.array([target]), np.array([chance]), np.array([click]), math.inf)
    np.testing.assert_array_equal(sums, summed([0.5, 0.0, 1.0], [0.5, 2.0, 1.0], 3))
    ips.summarise(sums, 3.0, out)
    assert out[0] == 0.5
    assert out[1] == pytest.approx(math.sqrt(0.25 / 3)) == pytest.approx(0.288675, abs=1e-6)
    assert out[2] == pytest.approx(7 / 3 / 3)
    assert out[3] == 0
    offline = twins.iips(np.array([[1], [0], [1]]), np.array([[0.25], [0.5], [0.8]]), np.array([[0.5], [0.25], [0.8]]))
    assert (offline.value(), offline.standard_error(), offline.ess) == pytest.approx((out[0], out[1], 3 * out[2]))


def test_estimators_and_meter_are_one_arithmetic() -> None:
    """The same rounds counted along a replay and added up from `ips_value` come to the same sums and the same error."""
    rng = np.random.default_rng(0)
    meter = new_meter(6, np.array([50]), 0)
    totals, values = np.zeros(5), []
    for _ in range(50):
        slate, logged = rng.permutation(6)[:3], rng.permutation(6)
        examined, exposure, clicks = rng.random(3), rng.random(6) + 0.05, (rng.random(6) < 0.4).astype(float)
        count_ips(meter, PBM, slate, clicks, examined, exposure, 2.0)
        found = twins.ips_value(slate, examined, exposure, logged, clicks[logged], 2.0)
        values.append(found[0])
        totals += found
    own = meter.sums[PBM : PBM + ips.SUMS]
    v = np.array(values)
    told = twins.summarise(50, own[1], own[2], totals[1], totals[2], 3)
    assert own[ips.CUT] == totals[3] > 0
    np.testing.assert_allclose(own[[ips.WEIGHTS, ips.WEIGHTS2]], totals[1:3], rtol=1e-13)
    out = np.empty(4)
    ips.summarise(own, 150.0, out)
    np.testing.assert_allclose(out, told, rtol=1e-13)
    assert told.value == pytest.approx(v.mean())
    assert told.error == pytest.approx(v.std(ddof=1) / math.sqrt(50))


@pytest.mark.parametrize("click", [0.0, 1.0])
def test_an_item_without_exposure_has_no_weight_and_is_counted(click: float) -> None:
    """Of three shown items one can never have been examined under the logger: clicked or not, it is 1/3 unsupported."""
    sums, out = np.zeros(ips.SUMS), np.empty(4)
    args = np.array([0, 1, 2]), np.array([1.0, 0.5, 0.5]), np.array([0.5, 0.0, 0.25]), np.array([1.0, click, 1.0])
    ips.add(sums, *args, math.inf)
    assert sums.tolist() == [1, 4, 16, 4, 8, 0, 1]
    ips.summarise(sums, 3.0, out)
    assert out[0] == 4 and math.isnan(out[1]) and out[3] == pytest.approx(1 / 3)
    not_examined = args[0], np.array([1.0, 0.0, 0.5]), *args[2:]
    sums[:] = 0
    ips.add(sums, *not_examined, math.inf)
    assert sums[ips.UNSUPPORTED] == 0


def test_offline_estimators_keep_the_same_rule() -> None:
    """Exposure 0 of a candidate that was not shown: weight 0, counted. Of one that was shown: wrong data."""
    clicks, target, logging = np.array([[1.0, 0, 0]]), np.array([[0.5, 0.5, 0.0]]), np.array([[0.5, 0.0, 0.0]])
    found = twins.pbm_ips(clicks, target, logging, np.array([[1.0, 0.0, 0.0]]))
    assert found.value() == 1
    assert found.unsupported == 1  # the third is examined by neither
    with pytest.raises(DataError, match="row 0, column 1"):
        twins.pbm_ips(clicks, target, logging, np.array([[1.0, 0.5, 0.0]]))


def test_nothing_weighed_is_no_estimate_and_no_spread_no_error() -> None:
    out = np.empty(4)
    ips.summarise(np.zeros(ips.SUMS), 0.0, out)
    assert np.isnan(out).all()
    ips.summarise(np.array([9.0, 0, 0, 0, 0, 0, 3]), 9.0, out)
    assert np.isnan(out[:2]).all() and out[2:].tolist() == [0, pytest.approx(1 / 3)]
    ips.summarise(summed([0.1] * 7, [1.0] * 7, 7), 7.0, out)
    assert out[0] == pytest.approx(0.1) and math.isnan(out[1]) and out[2] == 1


def test_compiled_is_plain() -> None:
    rng = np.random.default_rng(1)
    one, two = np.zeros(ips.SUMS), np.zeros(ips.SUMS)
    outs = np.empty(4), np.empty(4)
    for _ in range(20):
        clicks = np.where(rng.random(5) < 0.2, np.nan, (rng.random(5) < 0.5).astype(float))
        args = rng.permutation(5)[:3], rng.random(3), np.where(rng.random(5) < 0.2, 0.0, rng.random(5)), clicks, 1.5
        ips.add(one, *args)
        plain(ips.add)(two, *args)
    np.testing.assert_array_equal(one, two)
    ips.summarise(one, 60.0, outs[0])
    plain(ips.summarise)(two, 60.0, outs[1])
    np.testing.assert_array_equal(*outs)


# A uniform logger -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("candidates", "positions"), [(1, 1), (2, 2), (3, 2), (4, 4), (5, 3)])
def test_uniform_exposures_are_the_sum_over_all_lists_and_clicks(candidates: int, positions: int) -> None:
    rng = np.random.default_rng(candidates)
    attraction = np.concatenate([rng.random((3, candidates)), np.ones((1, candidates)), np.zeros((1, candidates))])
    for model in (
        random_model(rng, positions),
        click_model.ubm(rng.random((positions, positions + 1))),
        click_model.cascade(positions),
        click_model.pbm(rng.random(positions)),
    ):
        found = propensity.uniform_exposures(model, attraction)
        truth = [naive_exposure(model, np.zeros(candidates), a) for a in attraction]
        np.testing.assert_allclose(found, truth, rtol=1e-12, atol=1e-15)


def test_uniform_exposures_agree_with_the_sums_over_sets_and_go_further() -> None:
    rng = np.random.default_rng(3)
    model = click_model.ubm(rng.random((8, 9)))
    attraction = rng.random((2, 8))
    sets = propensity.exposures(model, np.zeros((2, 8)), attraction)
    np.testing.assert_allclose(propensity.uniform_exposures(model, attraction), sets, rtol=1e-12)
    long = propensity.uniform_exposures(click_model.cascade(24), np.full((1, 24), 0.5))
    # equal items: P(no click above), 2^-k, averaged over the positions
    np.testing.assert_allclose(long, (2 - 0.5**23) / 24, rtol=1e-12)


def lists(folder: Path, n: int, length: int, uniform: bool = True, scores: bool = False) -> Log:
    rng = np.random.default_rng(5)
    slate = np.argsort(rng.random((n, length)), axis=1)
    clicks = rng.random((n, length)) < 0.6 * 0.9 ** np.arange(length) * np.linspace(0.2, 0.8, length)[slate]
    columns = {"candidates": np.tile(np.arange(length), (n, 1)), "slate": slate, "clicks": clicks}
    columns["propensities"] = np.full((n, length), 1 / length)
    if scores:
        columns["scores"] = np.zeros((n, length))
    made = "uniform" if uniform else "logged"
    return write(folder, [columns], name="lists", items=length, propensities=made)


def chosen(log: Log, **replay_: Any) -> scenario.Scenario:
    content = {"title": "t", "data": {"log": log.path}, "policies": [{"name": "random"}], "replay": replay_}
    return scenario.parse({"name": "test", **content}, "test.toml")


def test_a_uniform_log_of_24_candidates_is_weighed(tmp_path: Path) -> None:
    """Refused until now (2^24 sets a record); random must come to what the logger has."""
    log = lists(tmp_path / "log", 1500, 24)
    fitted = Fits(log, 500, math.inf)
    chunk = next(iter(log.read()))
    rows = rows_of(chunk, fitted.background, "logged", 4)
    told = protocol("logged", slate=4)._replace(weighed=True, regret=False)
    runs = {p: play(contender(p, rows, told._replace(shows_the_log=p.shows_the_log)), rows) for p in (Random(), LTR())}
    for name in ("pbm_ips", "ubm_ips", "iips"):
        random, logger = (final(run, name) for run in runs.values())
        error = math.hypot(*(final(run, f"{name}_se") for run in runs.values()))
        assert abs(random - logger) < 3 * error
        assert final(runs[next(iter(runs))], f"{name}_unsupported") == 0


def test_item_position_ips_is_its_definition(tmp_path: Path) -> None:
    """Clicks on items that the policy puts where they were logged, over 1/L, whatever the fit; none is needed."""
    log = lists(tmp_path / "log", 400, 5)
    chunk = next(iter(log.read()))
    rows = rows_of(chunk, Fits(log, 0, math.inf).background, "logged", 3)
    run = play(contender(Random(), rows, protocol("logged", slate=3)._replace(weighed=True, regret=False)), rows)
    slates = np.array(shown_by(Random(), rows, 3))
    match = slates == np.arange(3)
    clicks = np.take_along_axis(chunk.clicks, slates, axis=1)
    values = (5 * match * clicks).sum(axis=1)
    assert final(run, "iips") == pytest.approx(values.mean())
    assert final(run, "iips_se") == pytest.approx(values.std(ddof=1) / 20)
    assert final(run, "iips_ess") == pytest.approx(match.sum() / 1200)
    assert math.isnan(final(run, "pbm_ips"))
    offline = twins.iips(chunk.clicks[:, :3], match.astype(float), np.full((400, 3), 0.2))
    assert (offline.value(), offline.standard_error()) == pytest.approx((values.mean(), final(run, "iips_se")))


def test_item_position_ips_of_a_ranker_divides_by_its_placements(tmp_path: Path) -> None:
    rng, n = np.random.default_rng(7), 6
    slate, scores = np.argsort(rng.random((n, 4)), axis=1), rng.normal(size=(n, 4))
    columns = {"candidates": np.tile(np.arange(4), (n, 1)), "slate": slate, "clicks": np.ones((n, 4))}
    columns |= {"scores": scores, "propensities": np.full((n, 4), 0.25)}
    log = write(tmp_path / "log", [columns], name="lists", items=4, propensities="logged")
    chunk = next(iter(log.read()))
    rows = rows_of(chunk, Fits(log, 0, math.inf).background, "logged", 4)
    for t in range(n):
        for k in range(4):
            chance = 0.0
            for order in permutations(range(4)):
                worth = np.exp(scores[t, list(order)])
                each = np.prod(worth / np.cumsum(worth[::-1])[::-1])
                chance += each * (order[k] == slate[t, k])
            assert square(rows).placed[t, k] == pytest.approx(chance, rel=1e-12)


def test_what_scores_cannot_say_is_said(tmp_path: Path) -> None:
    many = Fits(lists(tmp_path / "many", 20, 17, uniform=False, scores=True), 0, 10.0)
    assert "limited to 16 candidates, and it ranks 17" in many.limit
    assert not many.background.scored
    few = Fits(lists(tmp_path / "few", 20, 4, uniform=False, scores=True), 0, 10.0)
    assert few.limit == "" and few.background.scored
    assert Fits(lists(tmp_path / "uniform", 20, 24), 0, 10.0).limit == ""


# Lists of one item ----------------------------------------------------------------------------------------------------
def test_lists_of_one_item_are_refused(tmp_path: Path) -> None:
    """Case: `logged` with one item a list printed one value for every policy."""
    columns = {"candidates": np.tile([0, 1, 2], (9, 1)), "slate": np.arange(9)[:, None] % 3}
    columns |= {"clicks": (np.arange(9) % 2)[:, None], "propensities": np.full((9, 1), 1 / 3)}
    log = write(tmp_path / "one", [columns], name="one", items=3, propensities="uniform")
    told = chosen(log, feedback="logged", ranking=False)
    with pytest.raises(ConfigError, match=r"(?s)lists of log 'one' hold one item.*one value.*feedback = 'replay'"):
        replays.bench(told, tmp_path / "results", say=lambda line: None)
    played = chosen(log, feedback="replay", ranking=False, seeds=2)
    assert replays.bench(played, tmp_path / "results", say=lambda line: None).played
