"""PI by `evaluate`: the worked case, twins in arrays, a world of known truth, what is said of negative weights."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

import lersbench as lb
from lersbench.errors import ConfigError, DataError
from lersbench.evaluation.plan import estimators_of
from lersbench.evaluation.setup import settings_of, setup_of
from lersbench.log import Log, write
from lersbench.offpolicy import signed
from lersbench.results.evaluation import BELIEVE, CAUTION, DISBELIEVE
from tests.evaluation.test_lists import BEST, PBM, TARGET, Sure, judged, ranker, truth, whole, world

NAME = "pi"


def uniform(folder: Path, slate: np.ndarray, clicks: np.ndarray, items: int) -> Log:
    columns = {"slate": slate, "clicks": clicks, "propensities": np.full(slate.shape, 1 / items)}
    return write(folder, [columns], name="pi", items=items, propensities="uniform")


def by_definition(slate: np.ndarray, items: int, target: tuple[int, ...]) -> np.ndarray:
    """Weights (n,) q' G^+ 1_S, by the pseudo-inverse of the mean of 1_S 1_S' over all lists."""
    places = slate.shape[1]
    lists = np.array(list(permutations(range(items), places)))

    def indicator(one: np.ndarray) -> np.ndarray:
        return np.eye(items)[one].reshape(len(one), -1)

    every = indicator(lists)
    inverse = np.linalg.pinv(every.T @ every / len(lists))
    return indicator(slate) @ inverse @ indicator(np.array([target]))[0]


def test_three_lists_by_hand(tmp_path: Path) -> None:
    """Weights 5, 1 and 1 for one, one and two clicks: 8/3."""
    log = uniform(tmp_path / "log", np.array([[0, 1], [0, 2], [1, 0]]), np.array([[1.0, 0], [0, 1], [1, 1]]), 3)
    found = whole(judged(log, Sure((0, 1, 2)), estimators=[NAME]))
    assert found["value"][NAME] == pytest.approx(8 / 3, rel=1e-12)
    assert found["wbar"][NAME] == pytest.approx(7 / 3, rel=1e-12)
    assert found["se"][NAME] == pytest.approx(np.std([5, 1, 2], ddof=1) / np.sqrt(3), rel=1e-12)


@pytest.mark.parametrize("places", [2, 3, 4])
def test_values_errors_and_differences_are_those_of_the_definition(tmp_path: Path, places: int) -> None:
    rng, n = np.random.default_rng(places), 300
    slate = np.argsort(rng.random((n, 4)), axis=1)[:, :places]
    clicks = (rng.random((n, places)) < 0.2 + 0.15 * slate).astype(float)
    log = uniform(tmp_path / "log", slate, clicks, 4)
    both = {"one": Sure((2, 3, 1, 0)), "other": Sure((0, 3, 2, 1))}
    evaluation = lb.evaluate(log, both, estimators=[NAME])
    values = {
        label: by_definition(slate, 4, policy.order[:places]) * clicks.sum(axis=1) for label, policy in both.items()
    }
    rows = evaluation.estimates.query(f"estimator == '{NAME}'").set_index("policy")
    for label, one in values.items():
        assert rows["value"][label] == pytest.approx(one.mean(), rel=1e-9)
        assert rows["se"][label] == pytest.approx(one.std(ddof=1) / np.sqrt(n), rel=1e-9)
        w = by_definition(slate, 4, both[label].order[:places])
        assert rows["ess"][label] == pytest.approx(w.sum() ** 2 / (w**2).sum(), rel=1e-9)
        assert rows["negative_share"][label] == pytest.approx((w < -1e-9).mean(), abs=1e-12)
    pair = evaluation.differences.query("policy == 'one' and other == 'other'").iloc[0]
    apart = values["one"] - values["other"]
    assert pair["value"] == pytest.approx(apart.mean(), rel=1e-9)
    half = (pair["high"] - pair["low"]) / 2
    assert half == pytest.approx(1.968 * apart.std(ddof=1) / np.sqrt(n), rel=2e-3)  # Student's t of 299


def test_it_holds_in_a_world_of_known_truth_with_caution(tmp_path: Path) -> None:
    log = world(tmp_path / "log", PBM, None)
    evaluation = judged(log, Sure(BEST), estimators=[NAME])
    found = whole(evaluation)
    assert list(found.index) == [NAME, "iips", "rips"]
    row = found.loc[NAME]
    assert abs(row["value"] - truth(PBM, BEST)[0]) < 3.5 * row["se"]
    assert row["low"] < truth(PBM, BEST)[0] < row["high"] and "signed weights" in row["interval"]
    assert row["verdict"] == CAUTION and "% of the lists are negative" in row["reason"]
    assert found["negative_share"]["iips"] == 0 < row["negative_share"]
    assert not len(evaluation.weights) and not len(evaluation.sensitivity)


def test_few_lists_are_not_to_be_believed(tmp_path: Path) -> None:
    row = whole(judged(world(tmp_path / "log", PBM, None, 60), Sure(BEST), estimators=[NAME])).loc[NAME]
    assert row["verdict"] == DISBELIEVE and "equally weighted ones" in row["reason"]


def test_the_logging_policy_itself_has_its_mean(tmp_path: Path) -> None:
    """By many draws its weights are nearly 1 and its value what the log earned."""
    log = world(tmp_path / "log", PBM, None, 1500)
    row = whole(lb.evaluate(log, ["random"], estimators=[NAME], draws=200)).loc[NAME]
    assert row["value"] == pytest.approx(next(log.read()).clicks.sum(axis=1).mean(), rel=0.02)
    assert row["ess_share"] > 0.95 and row["negative_share"] == 0 and row["verdict"] == BELIEVE


def test_what_it_cannot_be_made_of(tmp_path: Path) -> None:
    lists = world(tmp_path / "uniform", PBM, None, 60)
    with pytest.raises(ConfigError, match=r"pi cannot.*slot_weights; else use iips or rips"):
        judged(world(tmp_path / "scored", PBM, ranker(60), 60), estimators=[NAME])
    with pytest.raises(ConfigError, match="pi is made of whole weights: leave clip out"):
        judged(lists, estimators=[NAME], clip=5.0)
    setup = setup_of(lists, [Sure(TARGET)], settings_of({"estimators": [NAME]}), "click", 0)
    assert estimators_of(setup, "progressive") == ["rips"]


# Sums -----------------------------------------------------------------------------------------------------------------
def test_parts_of_a_log_add_up() -> None:
    rng, n = np.random.default_rng(0), 5000
    w, r, bucket = rng.normal(1, 3, n), rng.random(n), rng.integers(1024, size=n)
    whole_, parts = signed.new_sums(), [signed.new_sums(), signed.new_sums()]
    signed.add(whole_, w, r, bucket)
    for one, some in zip(parts, (slice(0, 1234), slice(1234, n)), strict=True):
        signed.add(one, w[some], r[some], bucket[some])
    for ours, theirs in zip(signed.merge(*parts), whole_, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
    assert signed.value_of(whole_) == pytest.approx((w * r).mean(), rel=1e-12)
    assert signed.influence(whole_).sum() == pytest.approx(0, abs=1e-9)
    found = signed.diagnose(whole_, "uniform")
    assert found.max_share == pytest.approx(np.abs(w).max() / np.abs(w).sum())
    assert found.events == pytest.approx((w * r).sum() ** 2 / ((w * r) ** 2).sum())


@pytest.mark.parametrize(("column", "at"), [("weight", 0), ("reward", 1)])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused_and_changes_nothing(column: str, at: int, value: float) -> None:
    sums, given = signed.new_sums(), [np.ones(3), np.ones(3)]
    given[at][1] = value
    with pytest.raises(DataError, match=f"the log: row 8, column {column}: {value}"):
        signed.add(sums, *given, np.zeros(3, np.int64), 7)
    assert not sums.rows.any() and not sums.totals.any()
    with pytest.raises(DataError, match="at least one row"):
        signed.diagnose(sums, "uniform")
    with pytest.raises(ConfigError, match="the 2 rows of w"):
        signed.add(sums, np.ones(2), np.ones(3), np.zeros(3, np.int64))
