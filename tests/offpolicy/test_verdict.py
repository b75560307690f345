"""Verdicts: the lowest cell decides, and the reasons are sentences with numbers."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from lersbench.errors import ConfigError
from lersbench.offpolicy.diagnostics import Diagnostics, diagnose
from lersbench.offpolicy.sums import Settings, add, buckets_of, new_sums
from lersbench.offpolicy.verdict import LEVELS, THRESHOLDS, WORDS, level_of, percent, verdict

GOOD = Diagnostics(
    rows=100_000,
    groups=1024,
    snips=0.0024,
    ips=0.0024,
    log=0.002,
    ess=40_000.0,
    ess_share=0.4,
    events=400.0,
    thin=0.0,
    thin_exact=True,
    max_weight=20.0,
    max_share=0.0002,
    snips_without_top=0.0024,
    top_out=0.01,
    wbar=1.01,
    wbar_z=0.7,
    slices=12,
    worst_slice="place 2",
    worst_slice_mean=1.1,
    worst_slice_z=2.0,
    slices_off=0.0,
    resolution=0.0,
    resolution_share=0.0,
    hill=math.inf,
    zero_share=0.5,
    support=0.0,
    r2=0.1,
    agree_z=0.5,
    propensities="logged",
)


def but(**values: Any) -> Diagnostics:
    return dataclasses.replace(GOOD, **values)


def test_what_nothing_speaks_against_is_believed() -> None:
    found = verdict(GOOD)
    assert (found.level, found.reasons) == ("believe", ())
    assert found.sentence == "Believe: nothing speaks against it."


@pytest.mark.parametrize(
    ("name", "values", "levels"),
    [
        ("ess", (200, 199.9, 50, 49.9), "bccd"),
        ("events", (50, 49.9, 20, 19.9, 0), "bccdd"),
        ("thin", (0.05, 0.06, 0.2, 0.21), "bccd"),
        ("max_share", (0.01, 0.011, 0.05, 0.051), "bccd"),
        ("wbar", (1.099, 0.901, 0.89, 1.24, 1.26, 0.7), "bbccdd"),
        ("wbar_z", (3.0, -3.0, 3.1, -3.9, 4.1, -4.1, math.inf), "bbccddd"),
        ("slices_off", (0.0, 0.01, 0.05, 0.06), "bccd"),
        ("resolution_share", (0.0, 0.001, 0.05, 0.06), "bccd"),
        ("top_out", (0.5, 0.6, 2.0, 2.1), "bccd"),
        ("hill", (math.inf, 3.0, 2.9, 2.0, 1.9, math.nan), "bbccdb"),
        ("zero_share", (0.0, 0.999, 1.0), "bbd"),
        ("support", (0.0, 0.01, 0.1, 0.11, math.nan), "bccdb"),
        ("r2", (0.01, 0.0, -0.5, math.nan), "bccb"),
        ("agree_z", (3.0, 3.1, 4.0, 4.1), "bccd"),
        ("groups", (20, 19, 2, 1), "bccd"),
        ("propensities", ("logged", "uniform", "estimated"), "bbc"),
    ],
)
def test_each_cell_alone_decides(name: str, values: tuple[Any, ...], levels: str) -> None:
    words = {level[0]: level for level in LEVELS}
    for value, letter in zip(values, levels, strict=True):
        found = verdict(but(**{name: value, "resolution": 1e-4}))
        assert found.level == words[letter], (name, value)
        assert len(found.reasons) == (letter != "b")


def test_the_lowest_cell_decides_and_the_two_worst_reasons_are_said() -> None:
    found = verdict(but(ess=100.0, rows=8000, thin=0.3, hill=2.5, propensities="estimated"))
    assert found.level == "do not believe"
    assert found.sentence == (
        "Do not believe: 30 % of the target lies where the log is to hold less than one rewarded row. "
        "Its 8,000 rows are worth 100 equally weighted ones."
    )
    assert len(found.reasons) == 4


def test_one_heavy_row_is_named_with_the_estimate_without_it() -> None:
    heavy = but(max_share=0.69, snips_without_top=0.0077, top_out=2.5, ess=2.0, wbar=3.13, wbar_z=1.0)
    assert verdict(heavy).sentence == (
        "Do not believe: one row carries 69 % of all weight; without it the estimate is 0.0077 instead of 0.0024. "
        "The mean weight is 3.13 and should be 1 (z = 1.0)."
    )
    assert "without it the self-normalised estimate is 0.0077" in verdict(heavy, "ips").sentence
    near = but(top_out=0.6, snips=0.1412, snips_without_top=0.1371)
    assert "the estimate is 0.137 instead of 0.141" in verdict(near).sentence
    assert verdict(but(max_share=0.02)).sentence == "Caution: one row carries 2 % of all weight."


def test_every_sentence_reads_with_its_numbers() -> None:
    bad = but(
        groups=7,
        events=3.26,
        thin=0.956,
        agree_z=4.42,
        r2=-0.05,
        hill=1.47,
        support=0.12,
        slices_off=0.25,
        worst_slice_mean=0.8,
        worst_slice_z=-5.1,
        resolution=5e-6,
        resolution_share=0.12,
        wbar=1.3,
        wbar_z=4.5,
    )
    assert verdict(bad).reasons == (
        "12 % of the target lies on actions that the logging policy never takes",
        "the propensities lie on a grid of 5e-06, as after 200,000 simulated draws or rounding, and 12 % of all weight "
        "on those below 0.000125, which are off by 20 % or more, or beside the grid",
        "the mean weight is 1.3 and should be 1 (z = 4.5)",
        "the mean weight of place 2 is 0.8 and should be 1 (z = -5.1), and that of 25 % of 12 slices is off as far",
        "its rewards are worth 3.3 equally weighted ones",
        "96 % of the target lies where the log is to hold less than one rewarded row",
        "estimators of the same value differ by 4.4 standard errors of their difference",
        "the tail index of the weights is 1.5, and below 2 no standard error holds",
        "its error rests on 7 users or independent rows",
        "the reward model explains nothing of the weighted rewards (R² -0.05)",
    )
    assert [percent(x) for x in (1.0, 0.69, 0.1, 0.0995, 0.027, 0.0004, 0.0)] == [
        "100 %",
        "69 %",
        "10 %",
        "10 %",
        "2.7 %",
        "0.04 %",
        "0 %",
    ]


def test_caps_of_the_caller_and_of_a_model() -> None:
    found = verdict(GOOD, caps=[("caution", "the log was cut"), ("believe", "no matter")])
    assert found.sentence == "Caution: the log was cut."
    model = verdict(GOOD, "dm")
    assert model.sentence == "Do not believe: it is the prediction of a reward model, not evidence from the log."
    with pytest.raises(ConfigError, match="no verdict has the level 'maybe'"):
        verdict(GOOD, caps=[("maybe", "")])
    with pytest.raises(ConfigError, match="propensities 'none' are none of logged"):
        verdict(but(propensities="none"))


def test_thresholds_can_be_fitted_again() -> None:
    strict = {**THRESHOLDS, "events": THRESHOLDS["events"]._replace(believe=1000)}
    assert verdict(GOOD, thresholds=strict).level == "caution"
    assert level_of(GOOD, "events") == "believe"
    assert WORDS.keys() == THRESHOLDS.keys()


def rows(n: int, arms: int, spread: float, rewards: float, seed: int) -> Diagnostics:
    """A uniform target on the log of a softmax of normal scores, without users; rewards of one chance."""
    rng = np.random.default_rng(seed)
    scores = spread * rng.normal(size=(n, arms))
    p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    p = p[np.arange(n), (p.cumsum(1) > rng.random((n, 1))).argmax(1)]
    sums = new_sums(Settings())
    add(sums, 1 / arms / p, rng.random(n) < rewards, p, buckets_of(None, n))
    return diagnose(sums)


def test_heavy_weights_on_rare_clicks_are_never_believed_and_light_ones_on_frequent_rewards_are() -> None:
    for seed in range(20):
        heavy = rows(10_000, 80, 2.0, 0.005, seed)
        assert verdict(heavy).level == "do not believe"
        assert heavy.thin > 0.6
        light = rows(3000, 10, 0.3, 0.18, seed)
        assert verdict(light).level == "believe", verdict(light)


def test_all_zero_rewards_are_not_believed() -> None:
    sums = new_sums()
    add(sums, np.ones(5000), np.zeros(5000), np.full(5000, 0.1), buckets_of(None, 5000))
    found = verdict(diagnose(sums))
    assert found.level == "do not believe"
    assert "no row that the target would have shown has a reward" in found.reasons
