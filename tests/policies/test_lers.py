"""The four LERS policies, beside the contract that all policies keep."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lersbench.errors import ConfigError
from lersbench.neural.adapter import State, restore, save
from lersbench.neural.recommenders import BayesianRecommender
from lersbench.policies._lers import CONTEXTS, Lers, Revealed, Stopping
from lersbench.policy import Spec, load
from lersbench.testing import agreement, engines, worlds

NAMES = ["lers", "lers-context", "lers-recommendation", "lers-both"]
TWO = [  # these have all parts between them: what takes seconds is slow (`make test-slow`) for the others
    pytest.param(name, marks=[] if name in ("lers", "lers-both") else pytest.mark.slow) for name in NAMES
]
SMALL: dict[str, Any] = {"streamer_state": 6, "basket_state": 7, "code": 4, "orders": 2, "baskets": 3}


def small(name: str, **more: Any) -> Lers:
    """A policy that is quick to play."""
    few = {"draws": 5} if name in NAMES[2:] else {}
    made = load(name, **{**SMALL, **few, **more})
    assert isinstance(made, Lers)
    return made


def started(policy: Lers, world: worlds.World) -> State:
    """A state after the first round."""
    state = policy.init(world.spec)
    step(policy, state, world, 0)
    return state


def step(policy: Lers, state: State, world: worlds.World, row: int, rng: int = 0) -> np.ndarray:
    """Play a round under full feedback; its scores."""
    round, slate = worlds.round_of(world, row, row), np.zeros(1, np.int64)
    policy.select(state, np.random.default_rng(rng), round, slate)
    everything = np.arange(world.spec.n_candidates)
    policy.update(state, round, everything, world.chunk.rewards[row], np.ones(everything.size, bool))
    return round.scores


def parameters(state: State, part: str = "") -> dict[str, torch.Tensor]:
    assert state.net is not None
    return {name: p.detach().clone() for name, p in state.net.named_parameters() if name.startswith(part)}


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


@pytest.mark.parametrize("name", TWO)
def test_learns_which_products_pay_from_what_it_shows(name: str) -> None:
    """Half of 30 products pay, and their first feature says so; six are on offer a round. Chance is 1/2."""
    rounds, pays = 200, np.arange(30) % 2
    world = worlds.make_world(rounds, 6, 1, 30)
    history = dict(world.spec.history)
    history["products"] = history["products"].copy()
    history["products"][:, 0] = 2 * pays - 1
    world = world._replace(spec=replace(world.spec, history=history))
    rewards = pays[world.chunk.candidates].astype(float)
    run = engines.Bench(small(name, learning_rate=0.005)).play(world, rewards=rewards)
    hits = rewards[np.arange(rounds), run.slates[:, 0]]
    assert hits[120:].mean() > 0.7, hits[120:].mean()


@pytest.mark.parametrize("name", TWO)
def test_learns_who_likes_what_from_full_rows(name: str) -> None:
    """Half of the users like products 0 to 2, the others 3 to 5, and their static features say so. Chance is 1/2."""
    rounds, rng, kind = 200, np.random.default_rng(0), np.arange(7) % 2
    world = worlds.make_world(rounds, 6, 1)
    history = dict(world.spec.history)
    history["static"] = np.stack([kind, 1 - kind, kind, 1 - kind], 1).astype(np.float32) * 2 - 1
    history["products"] = rng.normal(0, 0.1, (6, 5)).astype(np.float32)
    history["products"][:, 0] = np.where(np.arange(6) < 3, -1, 1)
    world = world._replace(spec=replace(world.spec, history=history))
    rewards = (kind[world.chunk.user][:, None] == (np.arange(6) >= 3)).astype(float)
    little = {"code_kl": 0.01} if name in ("lers-context", "lers-both") else {}
    run = engines.Bench(small(name, learning_rate=0.005, **little)).play(world, feedback="full", rewards=rewards)
    hits = rewards[np.arange(rounds), run.slates[:, 0]]
    assert hits[120:].mean() > 0.7, hits[120:].mean()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("context", list(CONTEXTS))
def test_one_round_trains_every_part_that_is_there(name: str, context: str) -> None:
    world = worlds.make_world(3, 5, 1)
    policy = small(name, context=context)
    state = started(policy, world)
    before = parameters(state)
    step(policy, state, world, 1)
    assert moved(before, parameters(state)) == set(before)
    assert len(state.net.parts) == len(CONTEXTS[context])  # type: ignore[union-attr]


@pytest.mark.parametrize("name", NAMES)
def test_the_recommender_trains_the_encoders_end_to_end(name: str) -> None:
    """The weights by which a user's history reaches the codes have a gradient of the recommender's error alone."""
    world = worlds.make_world(3, 5, 1)
    policy = small(name)
    state = started(policy, world)
    learned: Any = state.net
    learned.train()
    users = torch.tensor([1])
    code = learned.coder.encode(learned.context(users)).code
    learned.zero_grad()
    learned.recommender(code, learned.products).sum().backward()
    for part in learned.parts[:2]:
        assert part.encoder.cell.weight_ih_l0.grad.abs().sum() > 0


def test_a_frozen_context_stays_as_it_was_trained() -> None:
    world = worlds.make_world(4, 5, 1)
    policy = small("lers-both", train_context=False, pretrain=1)
    state = started(policy, world)
    before = parameters(state)
    step(policy, state, world, 1)
    assert {name.split(".")[0] for name in moved(before, parameters(state))} == {"recommender"}


def test_pre_training_lowers_the_loss_of_the_context_models_and_happens_once() -> None:
    world = worlds.make_world(4, 5, 1)
    history = dict(world.spec.history)
    history["order_streamers"] = np.full((7, 16), 2)
    world = world._replace(spec=replace(world.spec, history=history))

    def loss(pretrain: int) -> float:
        state = started(small("lers", pretrain=pretrain, learning_rate=0.01), world)
        learned: Any = state.net
        assert bool(learned.pretrained) == (pretrain > 0)
        with torch.no_grad():
            return float(learned.studied(learned.users)[1])

    assert loss(60) < 0.6 * loss(0)


def test_the_class_weight_is_counted_from_what_was_revealed_or_given() -> None:
    revealed = Revealed()
    assert revealed.weight() == 1  # before the first positive
    revealed.add(torch.tensor([0.0, 0.0, 1.0, 0.0]))
    assert revealed.weight() == 2  # 4 / (2 * 1)
    revealed.add(torch.tensor([0.0, 1.0]))
    assert revealed.weight() == 1.5  # 6 / (2 * 2)
    world = worlds.make_world(3, 5, 1)
    for weight in ("auto", 3.0):
        policy = small("lers", class_weight=weight, dropout=0.0)
        state = started(policy, world)
        learned: Any = state.net
        rewards = torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0])
        round, shown = worlds.round_of(world, 1, 1), np.arange(5)
        with torch.no_grad():
            found = policy._loss(learned, [round], [shown], rewards)
            context, studied = learned.studied(torch.tensor([round.user]))
            coded = learned.coder.encode(context)
            logits = learned.recommender(coded.code, learned.products[round.candidates])
            factor = torch.where(rewards > 0, learned.revealed.weight() if weight == "auto" else 3.0, 1.0)
            p = logits.sigmoid()
            entropy = -(rewards * p.log() + (1 - rewards) * (1 - p).log())
            wanted = studied + learned.coder.loss(context, coded) + (factor * entropy).mean()
        assert torch.allclose(found, wanted, rtol=1e-4)


def test_early_stopping_by_hand() -> None:
    """Means of the last three: -, -, -, 2, 3, 11/3, 14/3, 17/3, 19/3, 13/3."""
    losses = [1, 2, 3, 4, 4, 6, 7, 6, 0, 9]
    stopping = Stopping(4)
    assert [stopping.skip(loss) for loss in losses] == [False] * 6 + [True, True, False, False]
    never = Stopping(0)
    assert not any(never.skip(loss) for loss in range(20))


def test_a_skipped_step_changes_nothing_that_is_learned() -> None:
    world = worlds.make_world(3, 5, 1)
    policy = small("lers", patience=1)
    state = started(policy, world)
    learned: Any = state.net
    learned.stopping.last = [-1.0, -1.0, -1.0]
    before = parameters(state)
    step(policy, state, world, 1)
    assert not moved(before, parameters(state))
    learned.stopping.last = [1e9, 1e9, 1e9]
    step(policy, state, world, 2)
    assert moved(before, parameters(state)) == set(before)


def test_users_with_too_little_history_train_no_encoder_and_share_a_context() -> None:
    world = worlds.make_world(3, 5, 1)
    history = {name: np.array(values) for name, values in world.spec.history.items()}
    for name in ("orders", "baskets"):
        history[name][:3] = 0
    history["order_streamers"][:3] = -1
    policy = small("lers", context="temporal")
    state = started(policy, world._replace(spec=replace(world.spec, history=history)))
    learned: Any = state.net
    with torch.no_grad():
        context, loss = learned.studied(torch.tensor([0, 1, 2]))
        nobody = learned.context(torch.tensor([-1]))
        assert loss == 0 and torch.allclose(context, nobody.expand(3, -1))
        state_of_zeros = learned.parts[1].encoder(torch.zeros(1, 2, 5))
        assert torch.allclose(context[:1, -6:], state_of_zeros)
        assert learned.studied(torch.tensor([0, 4]))[1] > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_run_cut_in_two_is_the_whole_run(name: str, tmp_path: Path) -> None:
    world, policy = worlds.make_world(12, 5, 1), small(name, dropout=0.3)
    whole = policy.init(world.spec)
    expected = [step(policy, whole, world, row) for row in range(12)]
    first = policy.init(world.spec)
    for row in range(7):
        step(policy, first, world, row)
    save(first, tmp_path / "state.pt")
    second = restore(policy, world.spec, tmp_path / "state.pt")
    found = [step(policy, second, world, row) for row in range(7, 12)]
    np.testing.assert_allclose(found, expected[7:], rtol=agreement.TORCH, atol=agreement.TORCH)
    assert not moved(parameters(whole), parameters(second))


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_is_a_run(name: str) -> None:
    bench, world = engines.Bench(small(name)), worlds.make_world(8, 5, 2, 7)
    one, two, other = (bench.play(world, batch=3, seed=seed) for seed in (1, 1, 2))
    agreement.same_run(one, two, "two runs of a seed")
    assert np.abs(one.scores - other.scores).max() > 10 * agreement.TORCH


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("batch", [1, 3])
def test_rewards_that_were_not_revealed_play_no_part(name: str, batch: int) -> None:
    bench, world = engines.Bench(small(name)), worlds.make_world(15, 5, 2, 7)
    run = bench.play(world, batch=batch)
    turned = 1 - world.chunk.rewards
    np.put_along_axis(turned, run.slates, np.take_along_axis(world.chunk.rewards, run.slates, 1), 1)
    agreement.same_run(run, bench.play(world, batch=batch, rewards=turned), "two logs")


def test_copies_that_share_a_draw_rank_otherwise() -> None:
    world = worlds.make_world(3, 5, 1)
    own, shared = (started(small("lers-recommendation", shared_draw=shared), world) for shared in (False, True))
    for state, wanted in ((own, False), (shared, True)):
        assert isinstance(state.net.recommender, BayesianRecommender)  # type: ignore[union-attr]
        assert state.net.recommender.shared_draw is wanted  # type: ignore[union-attr]
    scores = [
        step(small("lers-recommendation", shared_draw=s), st, world, 1) for s, st in ((False, own), (True, shared))
    ]
    assert np.abs(scores[0] - scores[1]).max() > 10 * agreement.TORCH


def test_the_network_of_the_study() -> None:
    """408 numbers of context with 24 static ones, 20 of code, 75 into the recommender with 55 of the product."""
    rng = np.random.default_rng(0)
    history = {
        "static": rng.normal(size=(2, 24)).astype(np.float32),
        "orders": rng.normal(size=(2, 16, 23)).astype(np.float32),
        "order_streamers": np.array([[0] * 16, [6] * 16]),
        "baskets": rng.normal(size=(2, 16, 64)).astype(np.float32),
        "products": rng.normal(size=(3, 55)).astype(np.float32),
    }
    learned = load("lers-both").network(Spec(3, 3, 1, history=history))  # type: ignore[attr-defined]
    shapes = {name: tuple(p.shape) for name, p in learned.named_parameters()}
    assert learned.context(torch.tensor([0])).shape == (1, 408)
    assert shapes["parts.1.encoder.cell.weight_ih_l0"] == (3 * 128, 23)
    assert shapes["parts.1.encoder.head.weight"] == (7, 128)
    assert shapes["parts.0.encoder.cell.weight_ih_l0"] == (3 * 256, 64)
    assert shapes["coder.encoder.0.weight"] == (256, 408) and shapes["coder.moments.weight"] == (40, 256)
    assert shapes["recommender.layers.0.mean"] == (75, 256)
    assert Lers.silence == 0


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"context": "all"}, "context = 'all' must be 'full', 'temporal', 'streamer', 'basket', 'static'"),
        ({"cell": "grue"}, "cell = 'grue' must be 'rnn', 'lstm', 'gru'"),
        ({"class_weight": "whole table"}, "class_weight = 'whole table' must be 'auto' or a number"),
        ({"class_weight": 0.0}, "class_weight = 0.0 must be above 0"),
        ({"orders": 16}, "orders = 16 must be 1 to 15"),
        ({"draws": 0}, "draws = 0 must be 1 or more"),
        ({"weight_eps": -1.0}, "weight_eps = -1.0 must be 0 or above"),
    ],
)
def test_hyper_parameters_out_of_range_are_refused(params: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load("lers-both", **params)


def test_a_log_without_history_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"learns from Spec\.history"):
        load("lers").network(Spec(3, 3, 1))  # type: ignore[attr-defined]
