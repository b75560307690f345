"""What each neural policy computes, beside the contract that all policies keep."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from lersbench.engine.rows import background_of, rows_of
from lersbench.errors import ConfigError
from lersbench.policies import neural_linear
from lersbench.policies._gradient import GradientBandit
from lersbench.policy import load
from lersbench.testing import engines, worlds
from tests.support import worlds as made_worlds

NAMES = ["neural-ucb", "neural-ts", "neural-linear", "bayes-by-backprop"]


@pytest.mark.parametrize(("name", "params"), [(n, {}) for n in NAMES] + [("neural-ucb", {"matrix": "diagonal"})])
def test_learns_a_curved_world_from_what_it_shows(name: str, params: dict[str, Any]) -> None:
    """The reward is 1 where x_0 x_1 is large: no linear policy can tell. Chance is 0.2."""
    rng = np.random.default_rng(3)
    features = rng.choice([-1.0, 1.0], (300, 5, 2)) * rng.uniform(0.5, 1.5, (300, 5, 2))
    product = features.prod(2)
    rewards = (product == product.max(1, keepdims=True)).astype(float)
    spec = worlds.make_world(300, 5, 1, m=2).spec
    chunk = worlds.make_world(300, 5, 1, m=2).chunk._replace(features=features)
    run = engines.Bench(load(name, **params)).play(worlds.World(spec, chunk), rewards=rewards)
    hit = rewards[np.arange(300), run.slates[:, 0]]
    assert hit[200:].mean() > 0.4, hit[200:].mean()


@pytest.mark.parametrize("name", ["neural-ucb", "neural-ts"])
@pytest.mark.parametrize("slate", [1, 3])
def test_the_scores_are_the_formula(name: str, slate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain twin: explicit gradients, an explicit Z, and the network as the policy has trained it."""
    monkeypatch.setenv("LERSBENCH_DTYPE", "float64")
    policy = load(name, hidden=4, ridge=0.5)
    assert isinstance(policy, GradientBandit)
    world = worlds.make_world(40, 6, slate, m=3)
    state, rng, twin = policy.init(world.spec), np.random.default_rng(1), np.random.default_rng(1)
    twin.integers(2**63)  # the seed of the network
    P = 4 * 5 + 1
    Z = 0.5 * np.eye(P)
    for t in range(40):
        round, chosen = worlds.round_of(world, t, t), np.zeros(slate, np.int64)
        policy.select(state, rng, round, chosen)
        assert state.net is not None
        f, g = state.net.net.with_gradients(torch.tensor(round.features))
        rows = g.rows().numpy()
        width = np.sqrt((rows @ np.linalg.inv(Z) * rows).sum(1) / 4)
        if name == "neural-ucb":
            expected = f.detach().numpy() + 0.1 * width
        else:
            expected = f.detach().numpy() + 0.1 * np.sqrt(0.5) * width * twin.standard_normal(6)
        assert np.allclose(round.scores, expected, rtol=1e-8), t
        assert chosen.tolist() == np.argsort(-expected)[:slate].tolist()
        policy.update(state, round, chosen, world.chunk.rewards[t, chosen], np.ones(slate, bool))
        Z += rows[chosen].T @ rows[chosen] / 4


def test_only_the_window_is_trained_on() -> None:
    policy, world = load("neural-ucb", window=7), worlds.make_world(20, 6, 2)
    state = policy.init(world.spec)
    for t in range(20):
        round, chosen = worlds.round_of(world, t, t), np.zeros(2, np.int64)
        policy.select(state, np.random.default_rng(t), round, chosen)
        policy.update(state, round, chosen, world.chunk.rewards[t, chosen], np.array([True, t % 2 == 0]))
    assert len(state.net.memory) == 7 and state.net.matrix.t == 30 and int(state.net.net.steps) == 200


def test_the_regression_is_the_closed_form() -> None:
    rng = np.random.default_rng(0)
    z, r = rng.normal(size=(30, 4)), rng.normal(size=30)
    sums = neural_linear.Sums(4)
    for part in (slice(0, 1), slice(1, 20), slice(20, 30)):
        sums.add(torch.tensor(z[part]), torch.tensor(r[part]))
    mu, factor, a, b = sums.posterior(0.25, 6.0, 6.0)
    Lam = 0.25 * np.eye(4) + z.T @ z
    assert np.allclose(factor @ factor.T, Lam) and np.allclose(mu, np.linalg.inv(Lam) @ z.T @ r)
    assert a == 21 and np.isclose(b, 6 + (r @ r - mu @ Lam @ mu) / 2)


def test_the_regression_follows_a_retrained_network() -> None:
    policy, world = load("neural-linear", every=8, steps=3), worlds.make_world(20, 4, 1)
    state, rng = policy.init(world.spec), np.random.default_rng(1)
    for t in range(20):
        round, chosen = worlds.round_of(world, t, t), np.zeros(1, np.int64)
        policy.select(state, rng, round, chosen)
        policy.update(state, round, chosen, world.chunk.rewards[t, chosen], np.ones(1, bool))
        z = state.net.body(state.net.memory.x).detach().double().numpy()
        assert np.allclose(state.net.sums.zz, z.T @ z, rtol=1e-4, atol=1e-5), t
    assert state.net.sums.n == 20


def test_training_is_due_every_so_many_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, batch in (("bayes-by-backprop", 1), ("bayes-by-backprop", 7), ("neural-linear", 7)):
        policy = load(name, every=10)
        trained: list[int] = []
        monkeypatch.setattr(type(policy), "_train", lambda self, state, *rest, to=trained: to.append(state.rounds))
        engines.Bench(policy).play(worlds.make_world(42, 4, 1), batch=batch)
        assert trained == ([10, 20, 30, 40] if batch == 1 else [14, 21, 35, 42])


def test_the_steps_of_a_training_ramp_up(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = load("bayes-by-backprop", every=1, first_steps=19, steps=1)
    world = worlds.make_world(12, 4, 1)
    state, rng, steps = policy.init(world.spec), np.random.default_rng(1), []
    for t in range(12):
        round, chosen = worlds.round_of(world, t, t), np.zeros(1, np.int64)
        policy.select(state, rng, round, chosen)
        policy.update(state, round, chosen, world.chunk.rewards[t, chosen], np.ones(1, bool))
        steps.append(int(state.optimizer.steps[0]))
    assert np.diff([0, *steps]).tolist() == [19, 17, 15, 13, 11, 9, 7, 5, 3, 1, 1, 1]


def test_candidates_of_a_round_meet_one_draw_of_the_weights() -> None:
    """Two equal candidates have equal scores in Thompson sampling by drawn networks, and rounds differ."""
    for name in ("neural-linear", "bayes-by-backprop"):
        world = worlds.make_world(6, 4, 1)
        features = np.repeat(world.chunk.features[:1, :1], 6, 0).repeat(4, 1)
        run = engines.Bench(load(name)).play(worlds.World(world.spec, world.chunk._replace(features=features)))
        assert (np.ptp(run.scores, axis=1) < 1e-6).all() and len(np.unique(run.scores[:, 0])) == 6


@pytest.mark.parametrize("name", NAMES)
def test_plays_with_other_contenders_on_composed_features(name: str) -> None:
    context, clicks = made_worlds.clicks_of_a_linear_world(30, 4, 3)
    rows = rows_of(made_worlds.chunk(clicks, context=context), background_of(np.eye(4)[:, :2], 4), "bandit", 2)
    told = made_worlds.protocol(slate=2, ranked=True, interactions=(3, 2), batch=5)
    made = made_worlds.play(made_worlds.contender(load(name), rows, told, m=12), rows)
    assert made.scratch.features.shape == (4, 12) and 0 <= made_worlds.final(made, "misses") <= 100


def test_impossible_settings_are_refused() -> None:
    for name, key, value in (
        ("neural-ucb", "dropout", 1.0),
        ("neural-ucb", "hidden", 0),
        ("neural-ts", "window", 0),
        ("neural-linear", "b0", 0.0),
        ("bayes-by-backprop", "noise", 0.0),
        ("bayes-by-backprop", "learning_rate", 0.0),
    ):
        with pytest.raises(ConfigError, match=f"{key} = {value}"):
            load(name, **{key: value})
    with pytest.raises(ConfigError, match="'full' or 'diagonal'"):
        load("neural-ucb", matrix="banded")
