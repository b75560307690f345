"""Cascade-DR by `evaluate`: the worked case, twins in arrays, worlds whose truth is a sum over all lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import lersbench as lb
from lersbench.clicks.model import ClickModel
from lersbench.errors import ConfigError
from lersbench.evaluation import cascaded
from lersbench.evaluation.plan import estimators_of
from lersbench.evaluation.setup import settings_of, setup_of
from lersbench.log import write
from lersbench.offpolicy import slates
from lersbench.offpolicy.cascade_model import Lists, cascade_model
from tests.evaluation.test_lists import BEST, CASCADE, PBM, Sure, judged, ranker, truth, whole, world

NAME = "cascade-dr"


def test_one_list_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """W = (2, 4), r = (0, 1), Q = (1/2, 3/10), E_pi Q = (3/5, 1/4): 2(0 - 1/2) + 3/5 + 4(1 - 3/10) + 2(1/4)."""
    columns = {"slate": np.array([[0, 1]]), "clicks": np.array([[0.0, 1.0]]), "propensities": np.full((1, 2), 0.5)}
    log = write(tmp_path / "log", [columns], name="one", items=3, propensities="logged", propensity_kind="conditional")
    given = np.array([[0.5, 0.3]]), np.array([[0.6, 0.25]])
    seen: list[Lists] = []
    monkeypatch.setattr(cascaded, "cascade_model", lambda lists, *more: seen.append(lists) or given)
    found = judged(log, Sure((0, 1, 2)), estimators=[NAME]).estimates.query(f"estimator == '{NAME}'")
    np.testing.assert_allclose(found["value"], [29 / 10, -1 + 3 / 5, 4 * 0.7 + 2 / 4], rtol=1e-12)
    np.testing.assert_array_equal(seen[0].chances[0].argmax(axis=1), seen[0].slate[0])
    np.testing.assert_array_equal(seen[0].chances.sum(axis=2), [[1.0, 1.0]])


@pytest.mark.parametrize("uniform", [True, False])
@pytest.mark.parametrize("users", [PBM, CASCADE])
def test_it_holds_in_worlds_of_known_truth(tmp_path: Path, users: ClickModel, uniform: bool) -> None:
    log = world(tmp_path / "log", users, None if uniform else ranker())
    evaluation = judged(log, Sure(BEST), estimators=[NAME])
    found = whole(evaluation)
    assert list(found.index) == [NAME, "iips", "rips"]
    row = found.loc[NAME]
    assert abs(row["value"] - truth(users, BEST)[0]) < 3.5 * row["se"]
    assert row["low"] < truth(users, BEST)[0] < row["high"]
    places = evaluation.estimates.query(f"estimator == '{NAME}' and place > 0")
    assert places["value"].sum() == pytest.approx(row["value"], rel=1e-12)
    assert set(evaluation.differences["estimator"]) == {NAME}


def test_the_value_and_its_error_are_those_of_the_row_values(tmp_path: Path) -> None:
    """A uniform log and a policy that draws: the same lists in arrays give the same."""
    log = world(tmp_path / "log", CASCADE, None, 600)
    row = whole(lb.evaluate(log, ["random"], estimators=[NAME])).loc[NAME]
    chunk = next(log.read())
    n, places = chunk.slate.shape
    chances = np.zeros((n, places, 4))
    for i, k in np.ndindex(n, places):
        chances[i, k] = 1 / (4 - k)
        chances[i, k, chunk.slate[i, :k]] = 0.0
    lists = Lists(
        np.empty((n, 0)), np.tile(np.arange(4), (n, 1)), chunk.slate, chunk.clicks, chances, np.arange(n)
    )  # fmt: skip
    values = slates.cascade_dr(np.ones((n, places)), chunk.clicks, *cascade_model(lists, 4))
    assert row["value"] == pytest.approx(values.mean(), rel=1e-9)
    assert row["se"] == pytest.approx(values.std(ddof=1) / np.sqrt(n), rel=1e-9)


def test_a_model_takes_error_from_plain_rips(tmp_path: Path) -> None:
    """Its rows scatter less than the weighted clicks of RIPS that is not normalised."""
    log = world(tmp_path / "log", PBM, None)
    row = whole(judged(log, Sure(BEST), estimators=[NAME])).loc[NAME]
    chunk = next(log.read())
    w = np.cumprod((chunk.slate == BEST) * [4.0, 3.0, 2.0], axis=1)
    plain = (w * chunk.clicks).sum(axis=1)
    assert row["value"] == pytest.approx(plain.mean(), abs=2 * row["se"])
    assert row["se"] < 0.95 * plain.std() / np.sqrt(len(plain))


def test_lists_of_several_lengths_end_where_they_end() -> None:
    """What pads a row changes nothing: short lists among long ones are as short lists by themselves."""
    rng, n = np.random.default_rng(0), 900
    slate = np.argsort(rng.random((n, 4)), axis=1)[:, :2]
    clicks = (rng.random((n, 2)) < 0.2 + 0.15 * slate).astype(float)
    chances = np.full((n, 2, 4), 0.25)
    chances[:, 1] = 1 / 3
    chances[np.arange(n), 1, slate[:, 0]] = 0.0
    short = Lists(np.empty((n, 0)), np.tile(np.arange(4), (n, 1)), slate, clicks, chances, np.arange(n))
    wide = short._replace(
        candidates=np.pad(short.candidates, ((0, 0), (0, 2))),
        slate=np.pad(slate, ((0, 0), (0, 1))),
        rewards=np.pad(clicks, ((0, 0), (0, 1))),
        chances=np.pad(chances, ((0, 0), (0, 1), (0, 2))),
        lengths=np.full(n, 2),
    )
    for plain, padded in zip(cascade_model(short, 4), cascade_model(wide, 4), strict=True):
        np.testing.assert_allclose(padded[:, :2], plain, rtol=1e-9)
        assert not padded[:, 2].any()


def test_ragged_lists_and_candidates_are_those_of_arrays(tmp_path: Path) -> None:
    """Rounds offer 3 or 4 items and show 1 to 3 of them, with a context and some users more than once."""
    rng, n = np.random.default_rng(4), 500
    offered = [np.sort(rng.permutation(4)[: rng.integers(3, 5)]) for _ in range(n)]
    shown = [rng.permutation(one)[: rng.integers(1, 4)] for one in offered]
    clicks = [(rng.random(len(one)) < 0.2 + 0.1 * one).astype(float) for one in shown]
    context, user = rng.normal(size=(n, 1)), np.sort(rng.integers(200, size=n))
    columns = {
        "user": user,
        "context": context,
        "candidates": offered,
        "slate": shown,
        "clicks": clicks,
        "propensities": [1.0 / (len(o) - np.arange(len(s))) for o, s in zip(offered, shown, strict=True)],
    }
    log = write(
        tmp_path / "log", [columns], name="r", items=4, users=200, propensities="uniform", propensity_kind="conditional"
    )
    row = whole(judged(log, Sure((0, 1, 2, 3)), estimators=[NAME])).loc[NAME]

    lists = Lists(
        context, np.zeros((n, 4), np.int64), np.zeros((n, 3), np.int64), np.zeros((n, 3)), np.zeros((n, 3, 4)), user,
        np.array([len(one) for one in shown]),
    )  # fmt: skip
    w = np.zeros((n, 3))
    for i, (o, s, r) in enumerate(zip(offered, shown, clicks, strict=True)):
        lists.candidates[i, : len(o)] = o
        reached = 1.0
        for k, item in enumerate(s):
            lists.slate[i, k], lists.rewards[i, k] = np.flatnonzero(o == item)[0], r[k]
            lists.chances[i, k, k] = float(reached > 0)  # the items in their order
            reached *= (len(o) - k) * float(item == o[k])
            w[i, k] = reached
    values = slates.cascade_dr(w, lists.rewards, *cascade_model(lists, 4))
    assert row["value"] == pytest.approx(values.mean(), rel=1e-9)


def test_a_policy_that_never_shows_a_logged_list_has_no_model_there(tmp_path: Path) -> None:
    """Nothing is known of what it earns below its first item: RIPS, and no error from the model."""
    rng, n = np.random.default_rng(0), 300
    slate = np.tile([0, 1], (n, 1))
    columns = {"slate": slate, "clicks": rng.random((n, 2)) < 0.4, "propensities": np.full((n, 2), 0.5)}
    log = write(tmp_path / "log", [columns], name="one", items=3, propensities="logged", propensity_kind="conditional")
    found = whole(judged(log, Sure((2, 1, 0)), estimators=[NAME]))
    assert found["value"][NAME] == 0 and found["verdict"][NAME] == "do not believe"


def test_what_it_cannot_be_made_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uniform = world(tmp_path / "uniform", PBM, None, 60)
    placed = world(tmp_path / "placed", PBM, ranker(60), 60, kind="position", scored=False)
    above = world(tmp_path / "above", PBM, ranker(60), 60, scored=False)
    with pytest.raises(ConfigError, match=r"cascade-dr cannot.*--propensity-kind conditional"):
        judged(placed, estimators=[NAME])
    assert list(whole(judged(above, estimators=[NAME])).index) == [NAME, "rips"]  # which holds no chances of places
    with pytest.raises(ConfigError, match=r"cascade-dr is made of whole weights: leave clip out"):
        judged(uniform, estimators=[NAME], clip=5.0)
    with pytest.raises(ConfigError, match="cascade-dr estimates the number of clicks"):
        judged(uniform, estimators=[NAME], target="any-click")
    setup = setup_of(uniform, [Sure()], settings_of({"estimators": [NAME]}), "click", 0)
    assert estimators_of(setup, "progressive") == ["rips"]
    monkeypatch.setattr(cascaded, "MOST", 59 * 3 * 4)
    with pytest.raises(ConfigError, match=r"has 60 lists to judge, of which 59 fit\. Use rips, or a log of fewer rows"):
        judged(uniform, estimators=[NAME])
