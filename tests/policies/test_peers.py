"""Bandits of other packages beside ours: the same rule is the same choice, and what is said of the others is so."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
import pytest

from lersbench.bench.inputs import inputs_of
from lersbench.errors import ConfigError
from lersbench.policy import Policy, load
from lersbench.testing import checks, engines
from lersbench.testing.worlds import make_world, round_of

FEW = (checks.check_same_seed, checks.check_any_length, checks.check_order, checks.check_unseen, checks.check_learns)


def learned(policy: Policy, rounds: int = 40, slate: int = 2) -> tuple[Any, np.ndarray]:
    """The state after a few rounds of a made-up world, and the slates."""
    world = make_world(rounds, 5, slate, 7)
    state, rng, slates = policy.init(world.spec), np.random.default_rng(1), np.zeros((rounds, slate), np.int64)
    for row in range(rounds):
        round = round_of(world, row, row)
        policy.select(state, rng, round, slates[row])
        policy.update(state, round, slates[row], world.chunk.rewards[row, slates[row]], np.ones(slate, np.bool_))
    return state, slates


def keeps(policy: Policy) -> None:
    bench = engines.Bench(policy)
    found = [checks.result_of(one, bench) for one in (*FEW, checks.check_chance)]
    assert not [result for result in found if not result.ok]


# MABWiser -------------------------------------------------------------------------------------------------------------
def test_linucb_of_mabwiser_is_ours_in_every_choice() -> None:
    pytest.importorskip("mabwiser", reason="MABWiser is not installed")
    for alpha in (0.1, 1.0):
        theirs, ours = load("mabwiser", alpha=alpha), load("linucb", alpha=alpha)
        assert np.array_equal(learned(theirs)[1], learned(ours)[1])


def test_an_arm_of_mabwiser_begins_with_l2_lambda_where_its_inverse_is_due() -> None:
    """What the docstring says: when this fails it is mended, and the docstring and docs/peers.md are to follow."""
    pytest.importorskip("mabwiser", reason="MABWiser is not installed")
    state, _ = learned(load("mabwiser", l2_lambda=4.0), 1, 1)
    models = state.mab._imp.arm_to_model.values()
    unshown = [model for model in models if not model.Xty.any() and np.array_equal(model.A, 4.0 * np.eye(3))]
    assert unshown and all(np.array_equal(model.A_inv, 4.0 * np.eye(3)) for model in unshown)


@pytest.mark.parametrize("rule", ["LinTS", "LinGreedy", "EpsilonGreedy"])
def test_rules_of_mabwiser_keep_the_contract(rule: str) -> None:
    pytest.importorskip("mabwiser", reason="MABWiser is not installed")
    keeps(load("mabwiser", rule=rule))


# River ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("rule", ["EpsilonGreedy", "UCB", "ThompsonSampling", "BayesUCB"])
def test_rules_of_river_keep_the_contract(rule: str) -> None:
    pytest.importorskip("river", reason="River is not installed")
    keeps(load("river", rule=rule))


def test_linucb_of_river_has_the_width_that_is_said_of_it() -> None:
    pytest.importorskip("river", reason="River is not installed")
    alpha, beta = 2.0, 0.5
    state, _ = learned(load("river", alpha=alpha, beta=beta), 30, 1)
    world, slates = make_world(30, 5, 1, 7), learned(load("river", alpha=alpha, beta=beta), 30, 1)[1]
    items = np.take_along_axis(world.chunk.candidates, slates, axis=1)[:, 0]
    x, paid = world.chunk.context, np.take_along_axis(world.chunk.rewards, slates, axis=1)[:, 0]
    item = np.bincount(items).argmax()
    mine, y = x[items == item], paid[items == item]
    inverse = np.linalg.inv(alpha * np.eye(3) + beta * mine.T @ mine)
    told = dict(enumerate(x[0].tolist()))
    found = state.bandit._bayes_lin_regs[item].predict_one(told, with_dist=True)
    assert found.mu == pytest.approx(x[0] @ (beta * inverse @ mine.T @ y))
    assert found.sigma == pytest.approx(np.sqrt(1 / beta + x[0] @ inverse @ x[0]))


# VW -------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("params", [{"explore": "epsilon"}, {"explore": "cover"}, {"explore": "bag", "size": 2}])
def test_explorations_of_vw_keep_the_contract(params: dict[str, Any]) -> None:
    pytest.importorskip("vowpalwabbit", reason="VW is not installed")
    keeps(load("vw", **params))


def test_vw_is_told_cost_and_probability_of_what_was_shown() -> None:
    """A twin: the same examples, written by hand."""
    vowpalwabbit = pytest.importorskip("vowpalwabbit", reason="VW is not installed")
    policy = load("vw", explore="epsilon", epsilon=0.2, inputs="context+one-hot+features", args="-q ca -q cf")
    world, rng = make_world(12, 3, 1), np.random.default_rng(5)
    seed = int(np.random.default_rng(5).integers(2**31))
    twin = vowpalwabbit.Workspace(f"--cb_explore_adf --epsilon 0.2 --random_seed {seed} --quiet -q ca -q cf")
    state = policy.init(world.spec)
    for row in range(12):
        round, slate = round_of(world, row, row), np.zeros(1, np.int64)
        shared = "shared |c " + " ".join(f"context_{j}:{v:.9g}" for j, v in enumerate(round.context))
        lines = [
            f"|a item={item} |f " + " ".join(f"features_{j}:{v:.9g}" for j, v in enumerate(values))
            for item, values in zip(round.candidates, round.features, strict=True)
        ]
        due = np.array(twin.predict([shared, *lines]))
        policy.select(state, rng, round, slate)
        np.testing.assert_allclose(round.scores, due / due.sum(), rtol=1e-6)
        paid = world.chunk.rewards[row, slate]
        lines[slate[0]] = f"0:{-paid[0]:.9g}:{round.scores[slate[0]]:.9g} {lines[slate[0]]}"
        twin.learn([shared, *lines])
        policy.update(state, round, slate, paid, np.ones(1, np.bool_))
    assert state.vw.json_weights() == twin.json_weights()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"args": "--no_such_word"}, "VW does not take"),
        ({"model": "gone.vw"}, r"there is no file gone\.vw"),
        ({"inputs": "contxt"}, "did you mean 'context'"),
    ],
)
def test_what_vw_cannot_take_is_refused(params: dict[str, Any], message: str) -> None:
    pytest.importorskip("vowpalwabbit", reason="VW is not installed")
    with pytest.raises(ConfigError, match=message):
        learned(load("vw", **params), 1, 1)


def test_the_version_of_a_package_is_part_of_what_a_result_is_known_by() -> None:
    pytest.importorskip("river", reason="River is not installed")
    assert inputs_of(load("river")).packages == (f"river {version('river')}",)
    assert inputs_of(load("linucb")).packages == ()
