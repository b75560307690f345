"""Logs with some lists in random order: policies are judged by these, in worlds whose truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lersbench as lb
from lersbench.errors import ConfigError, DataError
from lersbench.evaluation.run import evaluate
from lersbench.log import Log, write
from lersbench.results import brackets
from lersbench.results.evaluation import BELIEVE, DISBELIEVE, load
from lersbench.results.evaluation_words import as_markdown, as_text, sentences

ITEMS, OFFERED, K = 100, 6, 2
LIKED = 1 / (1 + np.exp(-np.random.default_rng(5).normal(-1, 1, ITEMS)))
SEEN = 0.8 ** np.arange(OFFERED)
SHARE = 0.1


@pytest.fixture(scope="module")
def liked(tmp_path_factory: pytest.TempPathFactory) -> lb.Policy:
    """What is liked more first: as popular would, once it knows; it is told, and stays as it is."""
    table = tmp_path_factory.mktemp("scores") / "scores.csv"
    pd.DataFrame({"item": range(ITEMS), "score": LIKED}).to_csv(table, index=False)
    return lb.load_policy("scores", table=str(table))


def shop(n: int = 20_000, honest: bool = True, seed: int = 0) -> tuple[pd.DataFrame, float, float]:
    """Impressions of a noisy ranker with a tenth of the lists shuffled (or only marked so), what the best K of each
    list earn, and what the ranker's do."""
    rng = np.random.default_rng(seed)
    lists = rng.permuted(np.tile(np.arange(ITEMS), (n, 1)), axis=1)[:, :OFFERED]
    scores = np.log(LIKED / (1 - LIKED))[lists] + rng.gumbel(size=lists.shape)
    shuffled = rng.random(n) < SHARE
    if honest:
        scores[shuffled] = rng.random((int(shuffled.sum()), OFFERED))
    lists = np.take_along_axis(lists, np.argsort(-scores, axis=1), axis=1)
    frame = pd.DataFrame(
        {
            "request": np.repeat(np.arange(n), OFFERED),
            "position": np.tile(np.arange(1, OFFERED + 1), n),
            "item": lists.ravel(),
            "click": (rng.random(lists.shape) < LIKED[lists] * SEEN).astype(int).ravel(),
            "shuffled": np.repeat(shuffled.astype(int), OFFERED),
        }
    )
    best = -np.sort(-LIKED[lists], axis=1)[:, :K]
    return frame, float((best @ SEEN[:K]).mean()), float((LIKED[lists[~shuffled, :K]] @ SEEN[:K]).mean())


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Log, float, float]:
    frame, best, ran = shop()
    return lb.from_impressions(frame, tmp_path_factory.mktemp("shop") / "log", random="shuffled"), best, ran


def test_the_truth_lies_in_the_interval_of_the_random_requests(
    imported: tuple[Log, float, float], liked: lb.Policy
) -> None:
    log, best, ran = imported
    found = evaluate(log, {"liked": liked, "random": "random"}, slate=K)
    row = found.leading("off-policy").set_index("policy").loc["liked"]
    assert row["low"] < best < row["high"] and row["high"] - row["low"] < 0.5 * best
    assert row["estimator"] in ("iips", "rips") and row["verdict"] == BELIEVE
    said = found.about["random_share"]
    marked = log.info.provenance["requests in random order"]
    assert said == {"random": marked, "requests": 20_000, "fault": ""} and found.about["n"] == marked
    others = found.about["others"]["logger"]
    assert others["low"] < ran < others["high"] and found.about["others"]["n"] == 20_000 - marked
    assert set(found.leading("logged")["policy"]) == {"liked", "random"} and found.worst == BELIEVE


def test_the_words_begin_with_what_it_is_judged_on(
    imported: tuple[Log, float, float], liked: lb.Policy, tmp_path: Path
) -> None:
    log, _, _ = imported
    marked = log.info.provenance["requests in random order"]
    found = evaluate(log, {"liked": liked}, slate=K).at(tmp_path / "kept")
    first, second, third = sentences(found)[:3]
    assert first.startswith(f"Judged on the {marked:,} of 20,000 requests in random order; the others were ordered by")
    assert second.startswith("What ran on them, the random order, earned") and f"({marked:,} lists" in second
    assert third.startswith("On the others the ranker earned") and f"({20_000 - marked:,} lists" in third
    for text in (as_text(found), as_markdown(found)):
        assert "Re-ranked lists: between" in text and "Fixed policies" in text
    found.save()
    assert sentences(load(tmp_path / "kept")) == sentences(found)


def test_it_is_the_uniform_log_of_these_requests(liked: lb.Policy, tmp_path: Path) -> None:
    """The same numbers as a log that holds nothing but the shuffled lists, whose propensities are said."""
    frame, _, _ = shop(3000, seed=1)
    log = lb.from_impressions(frame, tmp_path / "all", random="shuffled")
    alone = frame[frame["shuffled"] == 1].assign(propensity=repr(1 / OFFERED))
    uniform = lb.from_impressions(alone, tmp_path / "alone", propensities="uniform", candidates="shown")
    settings = {"estimators": ["rips", "iips"]}
    found = evaluate(log, {"liked": liked}, settings, ("off-policy",)).estimates
    twin = evaluate(uniform, {"liked": liked}, settings, ("off-policy",)).estimates
    pd.testing.assert_frame_equal(found[["value", "low", "high", "ess"]], twin[["value", "low", "high", "ess"]])


def test_requests_that_are_only_marked_random_are_noticed(liked: lb.Policy, tmp_path: Path) -> None:
    log = lb.from_impressions(shop(6000, honest=False)[0], tmp_path / "log", random="shuffled")
    found = evaluate(log, {"liked": liked, "random": "random"}, slate=K)
    judged = found.under("off-policy")
    assert set(judged["verdict"]) == {DISBELIEVE}
    assert judged["reason"].str.contains("marked random are not in random order").any()
    assert "the requests marked random are not in random order" in sentences(found)[1]


def test_lists_of_different_lengths_with_features_users_and_outcomes(tmp_path: Path) -> None:
    """Everything of a request stays with it: a policy by its feature earns what the rows say it does."""
    frame, _, _ = shop(1500, seed=2)
    rng = np.random.default_rng(0)
    frame = frame[frame["position"] <= np.repeat(rng.integers(2, OFFERED + 1, 1500), OFFERED)]
    frame = frame.assign(price=frame["item"] % 7, user=frame["request"] % 90, paid=frame["click"] * 2.0)
    log = lb.from_impressions(
        frame, tmp_path / "log", features=["price"], random="shuffled",
        outcomes={"paid": {"low": 0, "high": 2}},
    )  # fmt: skip
    found = evaluate(log, ["random"], {"estimators": ["rips"]}, ("off-policy",), reward="paid")
    marked = frame[frame["shuffled"] == 1]
    row = found.estimates.iloc[0]
    assert found.about["logger"]["value"] == pytest.approx(marked["paid"].sum() / marked["request"].nunique())
    assert row["value"] == pytest.approx(found.about["logger"]["value"])  # random is what ran
    assert found.about["users"] == marked["user"].nunique()


def test_all_in_random_order_has_nothing_beside_it(tmp_path: Path) -> None:
    frame = shop(600)[0].query("shuffled == 1")
    found = evaluate(lb.from_impressions(frame, tmp_path / "log", random="shuffled"), ["random"], slate=K)
    assert found.questions == ["off-policy"] and "others" not in found.about
    assert "there are no others" in sentences(found)[0]


def test_lists_with_a_click_have_no_bracket_beside_them(tmp_path: Path) -> None:
    frame = shop(1500)[0]
    log = lb.from_impressions(frame, tmp_path / "log", random="shuffled")
    found = evaluate(log, ["random"], {"target": "any-click"})
    clicked = frame[frame["shuffled"] == 0].groupby("request")["click"].max().mean()
    assert found.questions == ["off-policy"] and found.about["others"]["logger"]["value"] == pytest.approx(clicked)


def test_a_ranker_of_single_items_has_nothing_beside_it(tmp_path: Path) -> None:
    frame = shop(600)[0].query("shuffled == 1 or position == 1")
    found = evaluate(lb.from_impressions(frame, tmp_path / "log", random="shuffled"), ["random"], slate=K)
    assert found.questions == ["off-policy"] and "the others show one item each" in sentences(found)[0]


def test_the_bracket_of_all_lists_is_there_for_who_asks_and_points_to_the_share(tmp_path: Path) -> None:
    log = lb.from_impressions(shop(1500)[0], tmp_path / "log", random="shuffled")
    found = evaluate(log, ["random"], questions=("logged",), slate=K)
    assert found.questions == ["logged"] and found.about["n"] == 1500
    made = lb.replay(["random", "first"], log, feedback="logged", slate=K, seeds=2, metric="ctr_sum")
    marked = log.info.provenance["requests in random order"]
    expected = f"{marked:,} of 1,500 lists of log"
    assert any(line.startswith(expected) and "lersbench evaluate" in line for line in brackets.warnings(made))


def test_a_log_of_arrays_may_say_it_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    slate = rng.permuted(np.tile(np.arange(4), (400, 1)), axis=1)
    columns = {"slate": slate, "clicks": rng.integers(0, 2, slate.shape), "logger": np.arange(400) % 2}
    log = write(tmp_path / "log", columns, items=4, provenance={"random_logger": 1})
    assert evaluate(log, ["random"], slate=1).about["random_share"]["random"] == 200
    with pytest.raises(ConfigError, match="slate = 5"):
        evaluate(log, ["random"], slate=5)
    none = write(tmp_path / "none", columns | {"logger": np.zeros(400, int)}, items=4, provenance={"random_logger": 1})
    with pytest.raises(DataError, match="no round has logger 1"):
        evaluate(none, ["random"])
    with pytest.raises(DataError, match="random_logger is 2"):
        write(tmp_path / "odd", columns, items=4, provenance={"random_logger": 2})
