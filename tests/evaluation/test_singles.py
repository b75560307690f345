"""Logs of single items end to end: cut and shrunk weights, bounds, categories, other intervals, days and loggers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lersbench as lb
from lersbench.errors import ConfigError
from lersbench.log import Log, write
from lersbench.offpolicy.anytime import Anytime
from lersbench.report.evaluation import write as write_report
from lersbench.results.evaluation import BELIEVE, CAUTION, DISBELIEVE
from lersbench.results.evaluation_words import as_text
from tests.evaluation.test_evaluate import RATES, Sure, world

N = 6_000
TRUTH = {"random": RATES.mean(), "sure": RATES[:, 2].mean()}
POLICIES: dict[str, Any] = {"random": "random", "sure": Sure()}


def _uniform(folder: Path, seed: int = 1) -> Log:
    """Items of two categories, by which alone they are liked."""
    rng = np.random.default_rng(seed)
    action = rng.integers(4, size=N)
    clicks = (rng.random(N) < np.array([0.2, 0.2, 0.6, 0.6])[action]).astype(np.int8)
    items = pd.DataFrame({"item": range(4), "kind": ["a", "a", "b", "b"]})
    columns = {"slate": action[:, None], "clicks": clicks[:, None], "propensities": np.full((N, 1), 0.25)}
    return write(folder, columns, name="uniform", items=items, propensities="uniform")


def _sure(folder: Path) -> Log:
    """Four rows of a logger that never explores; the target agrees on two of them."""
    columns = {
        "slate": np.array([[2], [2], [1], [0]]),
        "clicks": np.array([[1], [0], [1], [1]], np.int8),
        "propensities": np.ones((4, 1)),
    }
    return write(folder, columns, name="sure", items=4, propensities="logged")


# Cut weights ----------------------------------------------------------------------------------------------------------
def test_cut_weights_stand_beside_whole_ones(tmp_path: Path) -> None:
    log = world(tmp_path / "log")
    chunk = next(log.read())
    w, r = np.where(chunk.slate[:, 0] == 2, 1 / chunk.propensities[:, 0], 0.0), chunk.clicks[:, 0]
    cut = np.minimum(w, 3.0)
    evaluation = lb.evaluate(log, {"sure": Sure()}, "off-policy", clip=3.0)
    found = evaluation.estimates.set_index("estimator")
    assert list(found.index) == ["dr-clipped", "dr", "snips-clipped", "snips", "ips-clipped", "ips"]
    assert found.loc["ips", "value"] == pytest.approx((w * r).mean(), rel=1e-12)
    assert found.loc["ips-clipped", "value"] == pytest.approx((cut * r).mean(), rel=1e-12)
    assert found.loc["snips-clipped", "value"] == pytest.approx((cut * r).sum() / cut.sum(), rel=1e-12)
    for name in ("dr", "snips", "ips"):
        clipped = found.loc[f"{name}-clipped"]
        assert clipped["cut"] == pytest.approx(1 - cut.sum() / w.sum(), rel=1e-12) and clipped["clip"] == 3.0
        assert clipped["verdict"] != BELIEVE and "of all weight is cut" in clipped["reason"]
        assert clipped["low"] < clipped["value"] < clipped["high"]
        assert found.loc[name, "cut"] == 0
    plain = lb.evaluate(log, {"sure": Sure()}, "off-policy").estimates.set_index("estimator")
    columns = ["value", "se", "ess", "r2", "low", "high"]
    pd.testing.assert_frame_equal(found.loc[plain.index, columns], plain[columns])
    assert any("with all of it ips is" in note for note in evaluation.about["notes"])


def test_a_clip_above_all_weights_changes_nothing(tmp_path: Path) -> None:
    found = lb.evaluate(world(tmp_path / "log"), {"sure": Sure()}, "off-policy", clip=1000.0).estimates
    found = found.set_index("estimator")
    for name in ("dr", "snips", "ips"):
        assert found.loc[f"{name}-clipped", "value"] == found.loc[name, "value"]
        assert found.loc[f"{name}-clipped", "cut"] == 0


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"clip": "slope"}, ["dr-clipped", "dr", "snips", "ips-clipped", "ips"]),
        ({"estimators": ["dros"]}, ["dros", "dr"]),
        ({"estimators": ["switch-dr", "dr"]}, ["switch-dr", "dr"]),
    ],
)
def test_shrinkage_is_chosen_on_other_users_and_shown_with_what_it_cuts(
    tmp_path: Path, settings: dict[str, Any], names: list[str]
) -> None:
    found = lb.evaluate(world(tmp_path / "log", n=N, seed=3), POLICIES, "off-policy", **settings).estimates
    assert found["estimator"].tolist() == [*names, *names]
    rows = found.set_index(["policy", "estimator"])
    for policy, truth in TRUTH.items():
        for name in names:
            row = rows.loc[(policy, name)]
            assert abs(row["value"] - truth) < 3.5 * row["se"], name
            if row["cut"] > 0:
                plain = "dr" if name in ("dros", "switch-dr") else name.removesuffix("-clipped")
                assert row["se"] == rows.loc[(policy, plain), "se"] and np.isfinite(row["clip"])
                assert "whole weights" in row["interval"] and row["verdict"] != BELIEVE


# Intervals ------------------------------------------------------------------------------------------------------------
def test_anytime_is_the_sequence_of_the_rows_in_order(tmp_path: Path) -> None:
    log = world(tmp_path / "log")
    chunk = next(log.read())
    w = np.where(chunk.slate[:, 0] == 2, 1 / chunk.propensities[:, 0], 0.0)
    sequence = Anytime()
    sequence.add(w, chunk.clicks[:, 0].astype(float))
    found = lb.evaluate(log, {"sure": Sure()}, "off-policy", interval="anytime").estimates.set_index("estimator")
    assert found.loc["snips", ["low", "high"]].tolist() == pytest.approx(list(sequence.interval()), rel=1e-12)
    assert found["interval"].tolist() == ["normal, by cluster", "anytime, by row", "anytime, by row"]
    assert found.loc["ips", "low"] < TRUTH["sure"] < found.loc["ips", "high"]
    cut = lb.evaluate(log, {"sure": Sure()}, "off-policy", interval="anytime", clip=2.0).estimates
    assert cut.set_index("estimator").loc["snips", "low"] == found.loc["snips", "low"]


@pytest.mark.parametrize("kind", ["bernstein", "bootstrap", "gamma", "normal", "cr"])
def test_each_kind_of_interval_holds_the_truth(tmp_path: Path, kind: str) -> None:
    found = lb.evaluate(_uniform(tmp_path / "log"), {"sure": Sure()}, "off-policy", interval=kind).estimates
    assert ((found["low"] < 0.6) & (found["high"] > 0.6)).all()
    assert (
        found.set_index("estimator")
        .loc["ips", "interval"]
        .startswith({"cr": "gamma", "normal": "normal"}.get(kind, kind))
    )


def test_intervals_by_row_say_so_where_users_are_known(tmp_path: Path) -> None:
    log = world(tmp_path / "log", users=300, user=np.random.default_rng(5).integers(300, size=4_000))
    said = [
        any("take the rows of a user as independent" in note for note in evaluation.about["notes"])
        for kind in ("anytime", "cr")
        for evaluation in [lb.evaluate(log, {"sure": Sure()}, "off-policy", interval=kind, estimators=["snips"])]
    ]
    assert said == [True, False]


# Bounds ---------------------------------------------------------------------------------------------------------------
def test_a_sure_logger_leaves_bounds(tmp_path: Path) -> None:
    evaluation = lb.evaluate(_sure(tmp_path / "log"), POLICIES, "off-policy", estimators=["bounds"])
    rows = evaluation.estimates.set_index("policy")
    assert rows.loc["sure", ["end_low", "end_high", "support"]].tolist() == [0.25, 0.75, 0.5]
    assert rows.loc["random", ["end_low", "end_high", "support"]].tolist() == [3 / 16, 15 / 16, 0.75]
    assert rows["value"].isna().all() and (rows["verdict"] == CAUTION).all()
    assert (rows["low"] <= rows["end_low"]).all() and (rows["high"] >= rows["end_high"]).all()
    assert "sure: between 0.2" in as_text(evaluation) and "whatever the model says" in as_text(evaluation)
    evaluation = evaluation.at(tmp_path / "out")
    evaluation.save()
    assert "0.25 to 0.75" in write_report(evaluation)[0].read_text()


def test_bounds_hold_the_truth_and_a_model_is_no_evidence(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    context = rng.integers(2, size=N)
    action = np.where(context == 0, 2, 1)
    clicks = (rng.random(N) < RATES[context, action]).astype(np.int8)
    columns = {"context": context[:, None].astype(float), "slate": action[:, None], "clicks": clicks[:, None]}
    log = write(
        tmp_path / "log", columns | {"propensities": np.ones((N, 1))}, name="sure", items=4, propensities="logged"
    )
    found = lb.evaluate(log, {"sure": Sure()}, "off-policy").estimates.set_index("estimator")
    assert list(found.index) == ["bounds", "dm"]
    assert found.loc["bounds", "low"] < TRUTH["sure"] < found.loc["bounds", "high"]
    assert found.loc["bounds", "end_low"] == pytest.approx(clicks[action == 2].sum() / N, rel=1e-12)
    assert found.loc["dm", "verdict"] == DISBELIEVE and "not evidence" in found.loc["dm", "reason"]


def test_what_the_sure_logger_did_is_known(tmp_path: Path) -> None:
    columns = {"slate": np.full((50, 1), 2), "clicks": np.tile([[1], [0]], (25, 1)).astype(np.int8)}
    log = write(
        tmp_path / "log", columns | {"propensities": np.ones((50, 1))}, name="sure", items=4, propensities="logged"
    )
    row = lb.evaluate(log, {"sure": Sure()}, "off-policy", estimators=["bounds"]).estimates.iloc[0]
    assert row["value"] == 0.5 and row["verdict"] == BELIEVE


# Categories -----------------------------------------------------------------------------------------------------------
def test_categories_weigh_less_unevenly_than_items(tmp_path: Path) -> None:
    log = _uniform(tmp_path / "log")
    chunk = next(log.read())
    w, r = np.where(chunk.slate[:, 0] >= 2, 2.0, 0.0), chunk.clicks[:, 0]
    found = lb.evaluate(log, {"sure": Sure()}, "off-policy", estimators=["mips"], embedding="kind").estimates
    rows = found.set_index("estimator")
    assert list(rows.index) == ["mips", "ips", "dr"]
    assert rows.loc["mips", "value"] == pytest.approx((w * r).mean(), rel=1e-12)
    assert abs(rows.loc["mips", "value"] - 0.6) < 3.5 * rows.loc["mips", "se"]
    assert rows.loc["mips", "se"] < 0.75 * rows.loc["ips", "se"]
    assert rows.loc["mips", "verdict"] == CAUTION and "its kind alone" in rows.loc["mips", "reason"]


# Days and loggers -----------------------------------------------------------------------------------------------------
def test_a_logger_with_wrong_propensities_shows_in_its_slice(tmp_path: Path) -> None:
    right = world(tmp_path / "right", n=N)
    chunk = next(right.read())
    logger, days = np.arange(N) % 2, np.arange(N) * 5 // N
    p = np.where(logger == 1, np.minimum(1.0, 1.4 * chunk.propensities[:, 0]), chunk.propensities[:, 0])
    columns = {
        "slate": chunk.slate,
        "clicks": chunk.clicks.astype(np.int8),
        "propensities": p[:, None],
        "logger": logger,
        "time": np.datetime64("2024-11-01") + days.astype("timedelta64[D]"),
    }
    log = write(tmp_path / "two", columns, name="two", items=4, order="time", propensities="logged")
    row = lb.evaluate(log, ["random"], "off-policy", estimators=["snips"]).estimates.iloc[0]
    assert row["worst_slice"] == "logger 1" and row["worst_slice_z"] < -5


def test_slices_of_days_and_loggers_have_names_and_an_end(tmp_path: Path) -> None:
    from lersbench.evaluation.spells import spells_of

    n = 400
    columns = {
        "slate": np.zeros((n, 1), np.int64),
        "clicks": np.zeros((n, 1), np.int8),
        "propensities": np.full((n, 1), 0.5),
        "logger": np.arange(n) % 40,
        "time": np.datetime64("2024-01-01") + np.arange(n).astype("timedelta64[D]"),
    }
    log = write(tmp_path / "log", columns, name="many", items=2, order="time", propensities="uniform")
    spells, chunk = spells_of(log), next(log.read())
    names, numbers = spells.names, spells.numbers(3, chunk.time, chunk.logger)
    assert len(names) == spells.parts + 31 and spells.parts <= 31
    assert names[0] == "the days 2024-01-01 to 2024-01-13" and names[-1] == "loggers 30 to 39"
    assert numbers[0].min() == 3 and numbers[1].min() == 3 + spells.parts and numbers[1].max() == 2 + len(names)
    assert names[numbers[0][-1] - 3].endswith(str(np.datetime64("2024-01-01") + np.timedelta64(n - 1, "D")))


# Refusals -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"interval": "bernstein"}, "largest possible weight"),
        ({"estimators": ["mips"], "embedding": "kind"}, "chance of every candidate"),
        ({"estimators": ["mips"]}, "--embedding"),
        ({"embedding": "kind"}, "--embedding"),
        ({"estimators": ["snips"], "clip": "slope"}, "chooses the largest weight of ips and dr"),
        ({"estimators": ["bounds"]}, "took one action for sure"),
    ],
)
def test_what_a_log_of_logged_propensities_cannot_say(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        lb.evaluate(world(tmp_path / "log", n=200), ["random"], "off-policy", **settings)


def test_an_unknown_category_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'kind'"):
        lb.evaluate(_uniform(tmp_path / "log"), ["random"], "off-policy", estimators=["mips"], embedding="kinds")


@pytest.mark.parametrize("name", ["ips", "snips", "dr"])
def test_weights_of_a_sure_logger_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=f"never took another action.*{name} would"):
        lb.evaluate(_sure(tmp_path / "log"), {"sure": Sure()}, "off-policy", estimators=[name])


def test_the_shortest_route_to_bounds_leaves_out_who_learns(tmp_path: Path) -> None:
    log = _sure(tmp_path / "log")
    found = lb.evaluate(log, ["random", "popular"], estimators=["bounds"])
    assert set(found.estimates["policy"]) == {"random"}
    assert any(note.startswith("Left out: popular.") for note in found.about["notes"])
    with pytest.raises(ConfigError, match="leave out those that learn"):
        lb.evaluate(log, ["popular"], estimators=["bounds"])
