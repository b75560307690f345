"""A model of what a logging policy shows, against its textbook and against policies whose chances are known."""

from __future__ import annotations

import numpy as np
import pytest

from lersbench.errors import ConfigError, DataError
from lersbench.offpolicy import conditional_logit as logit
from lersbench.offpolicy.conditional_logit import Choices, Form
from lersbench.offpolicy.minimise import minimise
from lersbench.offpolicy.propensity_model import FLOOR, PropensityModel, floored
from lersbench.offpolicy.reliability import Reliability, frequency_loss, items_of

ITEMS, D, M, P = 5, 2, 2, 3


def _choices(n: int, seed: int, own: bool = True) -> tuple[Choices, np.ndarray, Form]:
    """Choices of a policy that is a conditional logit, its chances (N,), and the form of such models."""
    rng = np.random.default_rng(seed)
    wide = rng.integers(2, ITEMS + 1, n) if own else np.full(n, ITEMS)
    first = np.concatenate([[0], np.cumsum(wide)])
    item = np.concatenate([rng.permutation(ITEMS)[:k] for k in wide]) if own else np.arange(ITEMS)
    context, features = rng.normal(size=(n, D)), rng.normal(size=(first[-1], M))
    statics = rng.normal(size=(ITEMS, P))
    slopes, effect = rng.normal(size=(ITEMS, D)), rng.normal(size=ITEMS)
    of = item if own else np.tile(item, n)
    row = np.repeat(np.arange(n), wide)
    odds = np.exp(effect[of] + (slopes[of] * context[row]).sum(axis=1) + features @ [0.5, -1.0])
    chances = odds / np.add.reduceat(odds, first[:-1])[row]
    before = np.cumsum(chances) - chances
    drawn = rng.random(n) + np.arange(n)  # chances of each row add up to 1
    chosen = np.clip(np.searchsorted(before, drawn, side="right") - 1, first[:-1], first[1:] - 1) - first[:-1]
    return Choices(context, first, int(own), item, features, chosen), chances, Form(ITEMS, D, M, statics)


def _naive_loss(form: Form, choices: Choices, weight: np.ndarray, theta: np.ndarray) -> float:
    """Straight from the formula, row by row."""
    effect, slope, static, cross, joint = form.parts(theta)
    total = 0.0
    for i in range(len(weight)):
        utilities = []
        for at in range(choices.first[i], choices.first[i + 1]):
            j = choices.item[at if choices.own else at - choices.first[i]]
            own = (slope[j] + cross @ form.statics[j]) @ choices.context[i]
            utilities.append(effect[j] + static @ form.statics[j] + own + joint @ choices.features[at])
        odds = np.exp(utilities)
        total -= weight[i] * np.log(odds[choices.chosen[i]] / odds.sum())
    return float(total)


@pytest.mark.parametrize("own", [True, False])
def test_likelihood_and_gradient_are_those_of_the_formula(own: bool) -> None:
    choices, _, form = _choices(30, 1, own)
    rng = np.random.default_rng(2)
    weight, theta = rng.integers(0, 3, 30).astype(float), rng.normal(size=sum(form.sizes))
    loss, gradient = logit.slope_of(form, choices, weight, theta)
    assert loss == pytest.approx(_naive_loss(form, choices, weight, theta), rel=1e-12)
    for k in range(len(theta)):
        step = np.zeros_like(theta)
        step[k] = 1e-5
        apart = _naive_loss(form, choices, weight, theta + step) - _naive_loss(form, choices, weight, theta - step)
        assert gradient[k] == pytest.approx(apart / 2e-5, abs=1e-5)


def test_without_context_items_have_no_slopes() -> None:
    choices, _, _ = _choices(50, 3)
    bare = choices._replace(context=np.empty((50, 0)), features=np.empty((choices.first[-1], 0)))
    form = Form(ITEMS, 0, 0, np.empty((ITEMS, 0)))
    loss, gradient = logit.slope_of(form, bare, np.ones(50), np.zeros(ITEMS))
    assert loss == pytest.approx(np.log(np.diff(bare.first)).sum()) and len(gradient) == ITEMS


def test_many_items_share_slopes_by_their_features() -> None:
    wide = Form(logit.MOST_SLOPES, 2, 0, np.zeros((logit.MOST_SLOPES, 3)))
    assert not wide.slopes and wide.sizes == (logit.MOST_SLOPES, 0, 3, 6, 0)


def test_the_minimum_of_a_bowl() -> None:
    curved = np.diag([1.0, 10.0, 100.0]) + 0.5
    goal = np.array([1.0, -2.0, 3.0])

    def bowl(x: np.ndarray) -> tuple[float, np.ndarray]:
        return 0.5 * float((x - goal) @ curved @ (x - goal)), curved @ (x - goal)

    found = minimise(bowl, np.zeros(3), 1e-14, 100)
    assert found.settled and found.at == pytest.approx(goal, abs=1e-5)
    assert not minimise(bowl, np.zeros(3), 0.0, 2).settled


def test_frequencies_are_the_fit_where_nothing_else_is_known() -> None:
    choices, _, _ = _choices(400, 4, own=False)
    bare = choices._replace(context=np.empty((400, 0)), features=np.empty((choices.first[-1], 0)))
    form = Form(ITEMS, 0, 0, np.empty((ITEMS, 0)))
    theta = logit.fit(form, bare, np.ones(400), 1.0, np.zeros(ITEMS), 1e-12, 200).at
    chances = np.empty(bare.first[-1])
    logit.chances(logit.utility_of(form, theta), bare, np.ones(400, dtype=bool), 1.0, chances)
    assert chances[:ITEMS] == pytest.approx(np.bincount(choices.chosen, minlength=ITEMS) / 400, abs=0.01)


def test_known_chances_are_found_and_reliable() -> None:
    n = 8_000
    choices, true, form = _choices(n, 5)
    keys = np.arange(n)
    model = PropensityModel.of(form, choices, keys, 3, replicates=2)
    found = model.chances(choices, keys)
    assert np.add.reduceat(found, choices.first[:-1]) == pytest.approx(np.ones(n), abs=1e-12)
    assert np.abs(found - true).mean() < 0.015
    assert all(0.9 < t < 1.1 for t in model.temperatures)
    check = Reliability(ITEMS)
    check.add(found, choices, floored(found, choices)[1])
    assert max(abs(group.z) for group in check.groups()) < 4
    assert check.log_loss < frequency_loss(check.frequencies(), choices) / n - 0.3
    again = model.chances(choices, keys, 1)
    assert 0 < np.abs(again - found).mean() < 0.05


def test_a_row_has_the_chances_of_a_model_that_did_not_see_its_user() -> None:
    """What one user was shown is changed: his own rows keep their utilities. Their scale is one number for all."""
    n = 600
    choices, _, form = _choices(n, 6, own=False)
    keys = np.arange(n) // 10
    mine = keys == 7
    changed = choices._replace(chosen=np.where(mine, ITEMS - 1 - choices.chosen, choices.chosen))
    before, after = (PropensityModel.of(form, some, keys, 3, replicates=0) for some in (choices, changed))
    same = [
        np.array_equal(a.utility.base, b.utility.base) for a, b in zip(after.of_fold[0], before.of_fold[0], strict=True)
    ]
    assert sum(same) == 1
    odds = [np.log(model.chances(choices, keys).reshape(n, ITEMS)[mine]) for model in (before, after)]
    apart = [(one[:, 1:] - one[:, :1]).ravel() for one in odds]
    scales = [model.of_fold[0][same.index(True)].scale for model in (before, after)]
    assert apart[1] == pytest.approx(apart[0] * scales[1] / scales[0], rel=1e-9)


def test_recalibration_evens_out_what_is_too_bold() -> None:
    """Utilities five times too large are brought back by the temperature."""
    choices, _, form = _choices(3_000, 8)
    theta = logit.fit(form, choices, np.ones(3_000), 1.0, np.zeros(sum(form.sizes)), 1e-9, 200).at
    bold = logit.utility_of(form, 5 * theta)
    assert logit.scale_of([(bold, np.ones(3_000))], choices) == pytest.approx(0.2, rel=0.02)


def test_no_propensity_is_below_the_floor() -> None:
    choices, _, _ = _choices(20, 9, own=False)
    chances = np.full(choices.first[-1], 1e-9)
    p, raised = floored(chances, choices)
    assert p.tolist() == [1 / (FLOOR * ITEMS)] * 20 and raised.all()


def test_a_fold_needs_others_to_learn_from() -> None:
    choices, _, form = _choices(20, 10)
    with pytest.raises(DataError, match="no rows to learn from"):
        PropensityModel.of(form, choices, np.zeros(20, np.int64), 3)
    with pytest.raises(ConfigError, match="folds"):
        PropensityModel.of(form, choices, np.arange(20), 1)


def test_reliability_counts_what_was_said_and_seen() -> None:
    """Two rows of two candidates: chances .75 and .25, the likelier shown once."""
    choices = Choices(np.empty((2, 0)), np.array([0, 2, 4]), 0, np.arange(2), np.empty((4, 0)), np.array([0, 1]))
    check = Reliability(2)
    check.add(np.array([0.75, 0.25, 0.75, 0.25]), choices, np.array([False, True]))
    low, high = check.groups()
    assert (low.said, low.seen, low.pairs) == (0.25, 0.5, 2) and (high.said, high.seen, high.pairs) == (0.75, 0.5, 2)
    assert low.z == pytest.approx(0.5 / np.sqrt(0.375)) and check.raised_share == 0.5
    assert check.log_loss == pytest.approx(-(np.log(0.75) + np.log(0.25)) / 2)
    assert check.frequencies().tolist() == [0.5, 0.5] and items_of(choices).tolist() == [0, 1, 0, 1]
    assert frequency_loss(np.array([0.6, 0.2]), choices) == pytest.approx(-np.log(0.75) - np.log(0.25))
