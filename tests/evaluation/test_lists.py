"""Logs of lists to estimates: rankers, uniform orders and click worlds whose truth is a sum over all lists."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lersbench as lb
from lersbench.clicks import model as click_model
from lersbench.clicks.model import ClickModel
from lersbench.errors import ConfigError, DataError
from lersbench.evaluation.plan import estimators_of
from lersbench.evaluation.setup import settings_of, setup_of
from lersbench.log import Log, write
from lersbench.offpolicy import propensity
from lersbench.results.evaluation import BELIEVE, DISBELIEVE, Evaluation
from tests.support import slate_twins as twins

C, L = 4, 3
ATTRACTION = np.array([0.7, 0.2, 0.5, 0.35])
TARGET = (2, 3, 1)  # the list of the policy that is judged
BEST = (0, 2, 3)  # most clicks come high up
SCORES = np.array([[0.0, 0.8, 0.2, 0.5], [0.6, 0.0, 0.9, 0.3], [0.0, 0.0, 0.0, 0.0]])  # of the ranker, by kind of row
PBM = click_model.pbm([0.9, 0.6, 0.4])
TIMES = {"early": [0.9, 0.3, 0.1], "late": [0.9, 0.9, 0.9]}  # P(a position is examined)
CASCADE = click_model.cascade(L)


@dataclass(frozen=True)
class Sure(lb.Policy):
    """Always the same order of items."""

    order: tuple[int, ...] = TARGET
    learns = False
    deterministic = True

    def init(self, spec: lb.Spec) -> None:
        return None

    def select(self, state: Any, rng: Any, round: lb.Round, slate: np.ndarray) -> None:
        place = {item: -number for number, item in enumerate(self.order)}
        round.scores[:] = [place.get(item, -99 - item) for item in round.candidates.tolist()]
        slate[:] = np.argsort(-round.scores, kind="stable")[: len(slate)]

    def update(self, *feedback: Any) -> None:
        pass


def users_clicks(rng: np.random.Generator, model: ClickModel, items: np.ndarray) -> np.ndarray:
    """(n, L) clicks on the items (n, L), a user after another."""
    clicks = np.zeros(items.shape)
    for i, shown in enumerate(items):
        last, there = 0, True
        for k, item in enumerate(shown):
            if there and rng.random() < model.weights[k, last] and rng.random() < ATTRACTION[item]:
                clicks[i, k], last = 1, k + 1
                there = rng.random() < model.goes_on[k]
    return clicks


def world(folder: Path, model: ClickModel, scores: np.ndarray | None, n: int = 5000, seed: int = 0, **how: Any) -> Log:
    """Lists of a ranker by its scores (n, 4), or uniform ones; `how` says what the log holds of their chances."""
    rng = np.random.default_rng(seed)
    ranked = np.zeros((n, C)) if scores is None else scores
    slate = np.argsort(-(ranked + rng.gumbel(size=(n, C))), axis=1)[:, :L]
    chances = {"prefix": propensity.prefixes(ranked, slate)}
    chances["steps"] = chances["prefix"] / np.hstack([np.ones((n, 1)), chances["prefix"][:, :-1]])
    chances["placed"] = propensity.placements(ranked)[np.arange(n)[:, None], slate, np.arange(L)]
    kind = how.pop("kind", "conditional")
    given = {"conditional": chances["steps"], "position": chances["placed"]}
    given["slate"] = np.repeat(chances["prefix"][:, -1:], L, axis=1)
    columns = {"slate": slate, "clicks": users_clicks(rng, model, slate), "propensities": given[kind]}
    if scores is not None and how.pop("scored", True):
        columns["scores"] = scores
    made = "uniform" if scores is None else "logged"
    return write(folder, [columns], name="lists", items=C, propensities=made, propensity_kind=kind)


def ranker(n: int = 5000) -> np.ndarray:
    return SCORES[np.arange(n) % len(SCORES)]


def truth(model: ClickModel, items: tuple[int, ...] = TARGET) -> tuple[float, float]:
    """Clicks on the list, and the chance of any."""
    shown = ATTRACTION[list(items)]
    return click_model.expected(model.weights, model.goes_on, shown, np.empty(L + 1), np.empty(L))


def judged(log: Log, policy: Any = None, **settings: Any) -> Evaluation:
    return lb.evaluate(log, {"sure": policy or Sure()}, **settings)


def whole(evaluation: Evaluation) -> pd.DataFrame:
    """The estimates of whole lists by estimator, the leading one first."""
    return evaluation.under("off-policy").set_index("estimator")


# Rankers --------------------------------------------------------------------------------------------------------------
def test_rips_and_iips_hold_in_a_ranked_world_without_dependence(tmp_path: Path) -> None:
    evaluation = judged(world(tmp_path / "log", PBM, ranker()))
    found = whole(evaluation)
    assert list(found.index) == ["iips", "rips"]  # they agree, so the one of less variance leads
    for _, row in found.iterrows():
        assert abs(row["value"] - truth(PBM)[0]) < 3 * row["se"]
        assert row["low"] < truth(PBM)[0] < row["high"]
    assert found["se"]["iips"] < found["se"]["rips"]
    assert evaluation.about["propensities"] == "logged (scores)"
    assert not any("depend" in note for note in evaluation.about["notes"])


def test_where_users_stop_at_a_click_iips_fails_and_rips_holds_and_leads(tmp_path: Path) -> None:
    evaluation = judged(world(tmp_path / "log", CASCADE, ranker()), Sure(BEST))
    found = whole(evaluation)
    assert list(found.index) == ["rips", "iips"]
    off = found["value"] - truth(CASCADE, BEST)[0]
    assert abs(off["rips"]) < 3 * found["se"]["rips"]
    assert abs(off["iips"]) > 3 * found["se"]["iips"]
    (said,) = (note for note in evaluation.about["notes"] if "clicks depend on what is above" in note)
    assert "RIPS leads" in said
    assert set(evaluation.differences["estimator"]) == {"rips"}


def test_what_a_log_says_of_its_chances_leads_to_the_same_values(tmp_path: Path) -> None:
    scored = judged(world(tmp_path / "scored", PBM, ranker(900), 900), estimators=["rips", "iips", "sips"])
    logs = {
        kind: world(tmp_path / kind, PBM, ranker(900), 900, kind=kind, scored=False)
        for kind in ("conditional", "position", "slate")
    }
    columns = ["estimator", "place", "value", "se", "ess"]
    for kind, names in (("conditional", ["rips", "sips"]), ("position", ["iips"]), ("slate", ["sips"])):
        found = judged(logs[kind], estimators=names).estimates[columns]
        known = scored.estimates[scored.estimates["estimator"].isin(names)][columns]
        pd.testing.assert_frame_equal(found, known.reset_index(drop=True), rtol=1e-9)
        assert set(whole(judged(logs[kind])).index) <= set(names)  # by default what can be answered is
    for kind, name in (("position", "rips"), ("position", "sips"), ("slate", "rips")):
        with pytest.raises(ConfigError, match=r"(?s)(rips|sips) cannot.*--propensity-kind conditional.*scores"):
            judged(logs[kind], estimators=[name])
    for kind in ("conditional", "slate"):
        with pytest.raises(ConfigError, match=r"iips cannot.*use rips or sips"):
            judged(logs[kind], estimators=["iips"])


def test_propensities_that_the_scores_contradict_are_an_error(tmp_path: Path) -> None:
    n = 50
    log = world(tmp_path / "log", PBM, ranker(n), n, scored=False)
    chunk = next(log.read())
    columns = {name: getattr(chunk, name) for name in ("slate", "clicks", "propensities")}
    columns["scores"] = ranker(n).copy()
    columns["scores"][7, chunk.slate[7, 1]] += 0.5
    wrong = write(tmp_path / "no", [columns], name="no", items=C, propensities="logged", propensity_kind="conditional")
    with pytest.raises(DataError, match=r"row 7, position 0, column propensities: .* by the column scores"):
        judged(wrong)


def test_chances_of_positions_by_scores_end_at_16_candidates(tmp_path: Path) -> None:
    n, wide = 200, 17
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(n, wide))
    slate = np.argsort(-(scores + rng.gumbel(size=(n, wide))), axis=1)[:, :2]
    steps = propensity.prefixes(scores, slate)
    steps[:, 1] /= steps[:, 0]
    columns = {"slate": slate, "clicks": rng.random((n, 2)) < 0.3, "propensities": steps, "scores": scores}
    log = write(tmp_path / "l", [columns], name="l", items=wide, propensities="logged", propensity_kind="conditional")
    assert set(whole(judged(log)).index) == {"rips", "sips"}
    for name in ("iips", "pbm-ips"):
        with pytest.raises(ConfigError, match=f"{name} cannot.*at most 16.*it ranks 17. Use rips"):
            judged(log, estimators=[name])


# Uniform orders -------------------------------------------------------------------------------------------------------
def test_uniform_lists_are_weighed_as_the_array_forms_do(tmp_path: Path) -> None:
    log = world(tmp_path / "log", PBM, None, 1200)
    chunk = next(log.read())
    same = chunk.slate == np.array(TARGET)
    began = np.cumprod(same, axis=1).astype(float)
    orders = np.tile([1 / 4, 1 / 12, 1 / 24], (1200, 1))
    twin = {
        "rips": twins.rips(chunk.clicks, began, orders).value(normalised=True),
        "iips": twins.iips(chunk.clicks, same.astype(float), np.full((1200, L), 1 / 4)).value(normalised=True),
        "sips": twins.sips(chunk.clicks, began[:, -1], orders[:, -1]).value(),
    }
    evaluation = judged(log, estimators=["sips", "rips", "iips"])
    assert whole(evaluation)["value"].to_dict() == pytest.approx(twin)
    places = evaluation.estimates.query("estimator == 'rips' and place > 0")
    w = began / orders
    np.testing.assert_allclose(places["ess"], w.sum(0) ** 2 / (w**2).sum(0))
    assert places["value"].sum() == pytest.approx(twin["rips"])
    uncut = judged(log, estimators=["rips"]).sensitivity.query("cut == 'none'").iloc[0]
    assert uncut["value"] == pytest.approx(twin["rips"])  # of whole lists, not of their first place
    assert uncut["lift"] == pytest.approx(twin["rips"] - chunk.clicks.sum(axis=1).mean())


def test_random_equals_the_logger(tmp_path: Path) -> None:
    log = world(tmp_path / "log", CASCADE, None, 1500)
    evaluation = lb.evaluate(log, ["random"], estimators=["rips", "sips", "pbm-ips"])
    found, ran = whole(evaluation), evaluation.about["logger"]["value"]
    assert found["value"]["rips"] == pytest.approx(ran)
    assert found["value"]["sips"] == pytest.approx(ran)
    assert abs(found["value"]["pbm-ips"] - ran) < 3 * found["se"]["pbm-ips"]


def test_ragged_lists_and_candidates_by_hand(tmp_path: Path) -> None:
    """Rounds offer 3 or 4 items and show 1 to 3 of them; the sums of each place run over the lists that have it."""
    rng, n = np.random.default_rng(4), 400
    offered = [np.sort(rng.permutation(C)[: rng.integers(3, C + 1)]) for _ in range(n)]
    shown = [rng.permutation(one)[: rng.integers(1, L + 1)] for one in offered]
    clicks = [(rng.random(len(one)) < 0.4).astype(float) for one in shown]
    columns = {
        "candidates": offered,
        "slate": shown,
        "clicks": clicks,
        "propensities": [1.0 / (len(o) - np.arange(len(s))) for o, s in zip(offered, shown, strict=True)],
    }
    log = write(
        tmp_path / "log", [columns], name="r", items=C, propensities="uniform", propensity_kind="conditional",
    )  # fmt: skip
    evaluation = judged(log, estimators=["rips", "iips"])
    sums = {name: np.zeros((L, 2)) for name in ("rips", "iips")}
    counts = np.zeros(L)
    for o, s, r in zip(offered, shown, clicks, strict=True):
        best = [item for item in (*TARGET, *(c for c in range(C) if c not in TARGET)) if item in o][: len(s)]
        agrees, chance = 1.0, 1.0
        for k in range(len(s)):
            counts[k] += 1
            hit = float(s[k] == best[k])
            agrees, chance = agrees * hit, chance / (len(o) - k)
            for name, w in (("rips", agrees / chance), ("iips", hit * len(o))):
                sums[name][k] += w, w * r[k]
    for name, one in sums.items():
        value = (counts / n * one[:, 1] / one[:, 0]).sum()
        assert whole(evaluation)["value"][name] == pytest.approx(value)
        low, high = evaluation.estimates.query(f"estimator == '{name}' and place == 3")[["low", "high"]].iloc[0]
        assert 0 <= low < high <= counts[2] / n + 1e-12


def test_places_worth_few_lists_are_only_bounded(tmp_path: Path) -> None:
    n, wide, long = 3000, 6, 5
    rng = np.random.default_rng(1)
    slate = np.argsort(rng.random((n, wide)), axis=1)[:, :long]
    clicks = (rng.random((n, long)) < 0.3).astype(float)
    columns = {"slate": slate, "clicks": clicks, "propensities": np.full((n, long), 1 / wide)}
    log = write(tmp_path / "log", [columns], name="long", items=wide, propensities="uniform")
    evaluation = judged(log, Sure(tuple(range(wide))))
    rips, iips = whole(evaluation).loc["rips"], whole(evaluation).loc["iips"]
    places = evaluation.estimates.query("estimator == 'rips' and place > 0").set_index("place")["ess"]
    few = [place for place, ess in places.items() if ess < 30]
    assert few == [3, 4, 5]  # 3,000 lists over 6 * 5 * 4 orders are 25
    assert rips["verdict"] == DISBELIEVE and rips["interval"] == "bound"
    assert "down to places 3, 4, 5 are worth fewer than 30" in rips["reason"]
    assert 0 <= rips["low"] < 0.6 and rips["high"] > 0.6 + 3 - 0.2  # two places are known, three may earn a click each
    assert rips["low"] < 1.5 < rips["high"]
    assert evaluation.leading("off-policy")["estimator"].tolist() == ["iips"]
    assert abs(iips["value"] - 1.5) < 3 * iips["se"]


# Lists with a click ---------------------------------------------------------------------------------------------------
def test_lists_with_a_click_by_rips_and_sips(tmp_path: Path) -> None:
    log = world(tmp_path / "log", PBM, ranker())
    evaluation = judged(log, target="any-click", estimators=["rips", "sips"])
    for _, row in whole(evaluation).iterrows():
        assert abs(row["value"] - truth(PBM)[1]) < 3 * row["se"]
        assert 0 <= row["low"] < truth(PBM)[1] < row["high"] <= 1
    ran = next(log.read()).clicks.any(axis=1).mean()
    assert evaluation.about["logger"]["value"] == pytest.approx(ran)
    assert set(whole(judged(log, target="any-click")).index) == {"rips"}


@pytest.mark.parametrize("name", ["iips", "pbm-ips", "ubm-ips", "pi"])
def test_lists_with_a_click_are_not_for_estimators_of_clicks(tmp_path: Path, name: str) -> None:
    log = world(tmp_path / "log", PBM, None, 60)
    with pytest.raises(ConfigError, match=f"{name} estimates the number of clicks.*above. Use rips or sips"):
        judged(log, target="any-click", estimators=[name])


# Click models ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("uniform", [True, False])
def test_click_models_hold_where_they_are_right_and_bring_iips_and_rips(tmp_path: Path, uniform: bool) -> None:
    evaluation = judged(world(tmp_path / "log", PBM, None if uniform else ranker()), estimators=["pbm-ips", "ubm-ips"])
    found = whole(evaluation)
    assert list(found.index) == ["pbm-ips", "ubm-ips", "iips", "rips"]
    for name, row in found.iterrows():
        assert abs(row["value"] - truth(PBM)[0]) < 3.5 * row["se"], name
        assert abs(row["wbar"] - 1) < 0.05
    assert found["se"]["pbm-ips"] < found["se"]["iips"]
    assert found["interval"]["pbm-ips"] == "gamma"
    notes = " ".join(evaluation.about["notes"])
    assert "to each half of the rows" in notes and "is wrong" not in notes


def test_a_wrong_click_model_raises_the_alarm(tmp_path: Path) -> None:
    """Each item has a place of its own, which no product of item and place can say."""
    rng, n = np.random.default_rng(3), 8000
    slate = np.argsort(rng.random((n, C)), axis=1)[:, :L]
    click_rate = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.3, 0.3, 0.3]])  # by item and place
    clicks = (rng.random((n, L)) < click_rate[slate, np.arange(L)]).astype(float)
    columns = {"slate": slate, "clicks": clicks, "propensities": np.full((n, L), 1 / C)}
    log = write(tmp_path / "log", [columns], name="odd", items=C, propensities="uniform")
    evaluation = judged(log, Sure((0, 1, 2, 3)), estimators=["pbm-ips", "iips"])
    found = whole(evaluation)
    assert abs(found["value"]["iips"] - 2.4) < 3 * found["se"]["iips"]
    assert abs(found["value"]["pbm-ips"] - 2.4) > 10 * found["se"]["pbm-ips"]
    assert found["verdict"]["pbm-ips"] == DISBELIEVE != found["verdict"]["iips"]
    assert "the click model is wrong: iips" in found["reason"]["pbm-ips"]
    assert any("the click model is wrong" in note for note in evaluation.about["notes"])


def test_rips_gives_away_a_model_of_places_where_users_stop(tmp_path: Path) -> None:
    """PBM-IPS and IIPS are wrong alike there and agree; the user browsing model holds the cascade."""
    found = whole(judged(world(tmp_path / "log", CASCADE, ranker()), Sure(BEST), estimators=["pbm-ips", "ubm-ips"]))
    off = (found["value"] - truth(CASCADE, BEST)[0]).abs()
    assert off["pbm-ips"] > 5 * found["se"]["pbm-ips"] and off["ubm-ips"] < 3 * found["se"]["ubm-ips"]
    assert "the click model is wrong: rips" in found["reason"]["pbm-ips"]
    assert found["verdict"]["pbm-ips"] == DISBELIEVE != found["verdict"]["ubm-ips"]


def test_a_click_model_of_other_times_raises_the_alarm(tmp_path: Path) -> None:
    """Fitted while users looked at the top alone, judged when they look everywhere: short lists give it away."""
    early, late = (world(tmp_path / name, click_model.pbm(e), None, 2000) for name, e in TIMES.items())
    chunks = [
        {name: getattr(next(log.read()), name) for name in ("slate", "clicks", "propensities")} for log in (early, late)
    ]
    log = write(tmp_path / "log", chunks, name="drift", items=C, propensities="uniform", propensity_kind="conditional")
    found = whole(judged(log, estimators=["pbm-ips"], frozen=0.5))
    assert "cut to 2 places" in found["reason"]["pbm-ips"] and found["verdict"]["pbm-ips"] == DISBELIEVE
    same = write(
        tmp_path / "same", [chunks[0], chunks[0]], name="s", items=C, propensities="uniform",
        propensity_kind="conditional",
    )  # fmt: skip
    assert "cut to" not in whole(judged(same, estimators=["pbm-ips"], frozen=0.5))["reason"]["pbm-ips"]


def test_24_candidates_in_uniform_order_need_no_sets(tmp_path: Path) -> None:
    rng, n, wide = np.random.default_rng(2), 1500, 24
    slate = np.argsort(rng.random((n, wide)), axis=1)
    rate = np.linspace(0.1, 0.5, wide)
    clicks = (rng.random((n, wide)) < rate[slate] * 0.95 ** np.arange(wide)).astype(float)
    columns = {"slate": slate, "clicks": clicks, "propensities": np.full((n, wide), 1 / wide)}
    log = write(tmp_path / "log", [columns], name="wide", items=wide, propensities="uniform")
    best = tuple(range(wide))[::-1]
    found = whole(judged(log, Sure(best), estimators=["pbm-ips", "ubm-ips"]))
    value = (rate[list(best)] * 0.95 ** np.arange(wide)).sum()
    for name in ("pbm-ips", "ubm-ips"):
        assert abs(found["value"][name] - value) < 4 * found["se"][name]
        assert found["se"][name] < 0.3 * found["se"]["iips"]


def test_click_models_need_the_chances_of_all_lists(tmp_path: Path) -> None:
    log = world(tmp_path / "log", PBM, ranker(90), 90, scored=False)
    with pytest.raises(ConfigError, match=r"pbm-ips cannot.*a uniform log, or the scores of its ranker"):
        judged(log, estimators=["pbm-ips"])


def test_learners_are_answered_by_what_needs_no_model(tmp_path: Path) -> None:
    log = world(tmp_path / "log", PBM, None, 600)
    setup = setup_of(log, [Sure()], settings_of({"estimators": ["ubm-ips", "rips"]}), "click", 0)
    assert estimators_of(setup, "off-policy") == ["ubm-ips", "rips", "iips"]  # those named come first
    assert estimators_of(setup, "progressive") == ["rips"]
    found = lb.evaluate(log, ["ucb1"]).estimates
    assert set(zip(found["feedback"], found["estimator"], strict=True)) == {
        ("rejection", "rejection"), ("progressive", "rips"),
    }  # fmt: skip
    assert (found["high"] <= L).all()


def test_a_policy_that_spreads_as_the_logger_does_is_believed(tmp_path: Path) -> None:
    """Every order of 5 of 12 items is rare, but none weighs more than another."""
    rng, n = np.random.default_rng(0), 2000
    slate = np.argsort(rng.random((n, 12)), axis=1)[:, :5]
    columns = {"slate": slate, "clicks": rng.random((n, 5)) < 0.3, "propensities": np.full((n, 5), 1 / 12)}
    log = write(tmp_path / "log", [columns], name="many", items=12, propensities="uniform")
    found = whole(lb.evaluate(log, ["random"], estimators=["rips"])).loc["rips"]
    assert found["verdict"] == BELIEVE and found["thin"] == 0
    assert found["value"] == pytest.approx(next(log.read()).clicks.sum(axis=1).mean())
    sure = lb.evaluate(log, [Sure(tuple(range(12)))], estimators=["rips"]).estimates.query("place == 4")
    assert sure["thin"].iloc[0] > 0.2 or sure["events"].iloc[0] == 0


def test_the_truth_is_a_sum_over_lists() -> None:
    """The uniform logger's value by `truth` is the mean over all lists: what `random` must come to."""
    mean = np.mean([truth(CASCADE, one)[0] for one in permutations(range(C), L)])
    rng = np.random.default_rng(0)
    items = np.argsort(rng.random((20_000, C)), axis=1)[:, :L]
    clicks = users_clicks(rng, CASCADE, items).sum(axis=1)
    assert abs(clicks.mean() - mean) < 4 * clicks.std() / math.sqrt(20_000)
