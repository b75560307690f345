"""The adapter for torch policies, and the parts they are built of: gradients, closed forms, files."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lersbench.errors import ConfigError, DataError, RunError
from lersbench.neural import adapter
from lersbench.neural.adapter import TorchPolicy
from lersbench.neural.bayesian import BayesianLinear, kl
from lersbench.neural.gradient_widths import Diagonal, Full
from lersbench.neural.one_hidden import Gradients, Memory, OneHidden
from lersbench.policy import Policy, Round, Spec, load
from lersbench.testing import agreement, checks, engines, worlds

PARTS = [
    ("neural-ucb", {}),
    ("neural-ucb", {"matrix": "diagonal"}),
    ("neural-ts", {}),
    ("neural-linear", {"every": 10, "steps": 5}),
    ("bayes-by-backprop", {"every": 10, "first_steps": 3, "steps": 5}),
]


@pytest.fixture(autouse=True)
def one_core() -> Iterator[None]:
    """On a busy machine small products wait for the other cores most of the time."""
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(usual)


@pytest.fixture
def double() -> Iterator[None]:
    """Closed forms are compared in float64."""
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(7)
    yield
    torch.set_default_dtype(torch.float32)


@dataclass(frozen=True)
class TwoLayers(TorchPolicy):
    """Greedy on a small network of the joint features, 2024."""

    needs: ClassVar[tuple[str, ...]] = ("features",)
    learning_rate: float = 0.02  # of Adam
    hidden: int = 16  # units

    def network(self, spec: Spec) -> nn.Module:
        return nn.Sequential(nn.Linear(self.width(spec), self.hidden), nn.ReLU(), nn.Linear(self.hidden, 1))


@dataclass(frozen=True)
class WithDropout(TorchPolicy):
    """Fits rewards from the context beside the item, with dropout, 2024."""

    def network(self, spec: Spec) -> nn.Module:
        return nn.Sequential(nn.Linear(self.width(spec), 8), nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, 1))

    def loss(self, net: nn.Module, x: Tensor, rewards: Tensor) -> Tensor:
        return (self.scores(net, x) - rewards).square().mean()


@pytest.mark.parametrize("contract", checks.CHECKS, ids=lambda c: c.__name__)
def test_a_network_of_ones_own_is_a_policy(contract: Callable[[engines.Bench], None]) -> None:
    contract(engines.Bench(TwoLayers()))


def test_the_example_of_the_documentation_is_the_one_tested() -> None:
    assert adapter.__doc__ is not None
    example = [line.strip() for line in adapter.__doc__.split("@dataclass(frozen=True)")[1].splitlines()[1:10]]
    source = Path(__file__).read_text(encoding="utf-8")
    for line in filter(None, example):
        assert line in source or line.startswith("hidden: int"), line


def rounds_of(world: worlds.World) -> list[Round]:
    return [worlds.round_of(world, t, t) for t in range(world.spec.rounds)]


def test_without_joint_features_a_candidate_is_its_context_and_its_item() -> None:
    world = worlds.make_world(1, 3, 1, 5, d=2, m=0)
    round, policy = rounds_of(world)[0], WithDropout()
    found = policy.inputs(world.spec, round)
    assert found.shape == (3, policy.width(world.spec)) == (3, 4)
    assert np.array_equal(found[1], [*round.context, *world.spec.items[round.candidates[1]]])
    bare = replace(world.spec, items=np.zeros((5, 0)))
    one_hot = policy.inputs(bare, round)
    assert one_hot.shape == (3, policy.width(bare)) == (3, 7)
    assert one_hot[2, 2:].argmax() == round.candidates[2] and one_hot[2, 2:].sum() == 1


def test_ties_are_broken_by_the_rounds_own_order_and_scores_are_told() -> None:
    @dataclass(frozen=True)
    class Flat(WithDropout):
        def scores(self, net: nn.Module, x: Tensor) -> Tensor:
            return 0 * net(x)[:, 0] + 0.25

    world = worlds.make_world(300, 4, 2)
    run = engines.Bench(Flat()).play(world)
    assert (run.scores == 0.25).all()
    assert (np.bincount(run.slates[:, 0], minlength=4) > 40).all()


def play(policy: Policy, state: Any, rounds: list[Round], rewards: np.ndarray, rng: np.random.Generator) -> list[Any]:
    told = []
    for round in rounds:
        slate = np.zeros(2, np.int64)
        policy.select(state, rng, round, slate)
        policy.update(state, round, slate, rewards[len(told) % len(rewards), slate], np.ones(2, bool))
        told.append((slate.tolist(), round.scores.copy()))
    return told


@pytest.mark.parametrize(("name", "params"), [("", {}), *PARTS])
def test_a_run_cut_in_two_is_the_whole_run(tmp_path: Path, name: str, params: dict[str, Any]) -> None:
    policy = load(name, **params) if name else WithDropout()
    assert isinstance(policy, TorchPolicy)
    world = worlds.make_world(50, 5, 2)
    rewards, bench = world.chunk.rewards, engines.Bench(policy)
    whole, rng = policy.init(world.spec), np.random.default_rng(3)
    expected = play(policy, whole, rounds_of(world), rewards, rng)

    first, rng = policy.init(world.spec), np.random.default_rng(3)
    told = play(policy, first, rounds_of(world)[:25], rewards, rng)
    adapter.save(first, tmp_path / "state.pt")
    second = adapter.restore(policy, world.spec, tmp_path / "state.pt")
    agreement.same_state(bench.learned(first), bench.learned(second), "What was saved and what was restored")
    told += play(policy, second, rounds_of(world)[25:], rewards[25:], rng)
    for (slate, scores), (other, others) in zip(expected, told, strict=True):
        assert agreement.close(scores, others, agreement.TORCH).all()
        assert agreement.close(
            scores[slate], others[other], agreement.TORCH
        ).all()  # the slates are equal, or equally good
    agreement.same_state(bench.learned(whole), bench.learned(second), "The whole run and the run in two parts")


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    world, path = worlds.make_world(3, 5, 2), tmp_path / "state.pt"
    policy, state = WithDropout(), WithDropout().init(world.spec)
    with pytest.raises(RunError, match="nothing to save"):
        adapter.save(state, path)
    play(policy, state, rounds_of(world), world.chunk.rewards, np.random.default_rng(0))
    adapter.save(state, path)
    with pytest.raises(DataError, match="no state of NeuralTS"):
        adapter.restore(load("neural-ts"), world.spec, path)  # type: ignore[arg-type]
    path.write_bytes(b"nothing of torch")
    with pytest.raises(DataError, match=r"state\.pt"):
        adapter.restore(policy, world.spec, path)


def test_rewards_before_the_first_slate_are_refused() -> None:
    world, policy = worlds.make_world(1, 3, 1), WithDropout()
    with pytest.raises(RunError, match="before it was asked"):
        policy.update(policy.init(world.spec), rounds_of(world)[0], np.zeros(1, int), np.ones(1), np.ones(1, bool))


def test_torchs_global_numbers_are_left_alone_and_play_no_part() -> None:
    world, policy = worlds.make_world(20, 5, 2), WithDropout()
    runs = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        before, state = torch.get_rng_state(), policy.init(world.spec)
        play(policy, state, rounds_of(world), world.chunk.rewards, np.random.default_rng(5))
        assert torch.equal(before, torch.get_rng_state())
        runs.append(engines.Bench(policy).learned(state))
    agreement.same_state(*runs, "Two runs under other global seeds")


def test_contenders_in_threads_play_as_if_they_were_alone() -> None:
    policy, bench = WithDropout(), engines.Bench(WithDropout())
    both = [worlds.make_world(40, 5, 2, seed=seed) for seed in (1, 2)]
    states = [policy.init(world.spec) for world in both for _ in (0, 1)]

    def one(state: Any, world: worlds.World) -> None:
        play(policy, state, rounds_of(world), world.chunk.rewards, np.random.default_rng(9))

    for state, world in zip(states[::2], both, strict=True):
        one(state, world)
    threads = [threading.Thread(target=one, args=told) for told in zip(states[1::2], both, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for alone, together in zip(states[::2], states[1::2], strict=True):
        agreement.same_state(bench.learned(alone), bench.learned(together), "A run alone and one beside another")


def test_full_feedback_trains_on_every_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(WithDropout, "learn", lambda self, state, rounds, shown, rewards: seen.append(len(rewards)))
    for feedback, batch in (("full", 1), ("bandit", 1), ("bandit", 4)):
        engines.Bench(WithDropout()).play(worlds.make_world(4, 6, 2), feedback=feedback, batch=batch)
    assert seen == [6] * 4 + [2] * 4 + [8]


def test_device_and_number_format_are_told_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LERSBENCH_DEVICE", "cpu")
    monkeypatch.setenv("LERSBENCH_DTYPE", "float64")
    world, policy = worlds.make_world(2, 3, 2), WithDropout()
    state = policy.init(world.spec)
    play(policy, state, rounds_of(world), world.chunk.rewards, np.random.default_rng(0))
    assert state.net is not None
    assert {(p.dtype, p.device.type) for p in state.net.parameters()} == {(torch.float64, "cpu")}
    monkeypatch.setenv("LERSBENCH_DTYPE", "float16")
    with pytest.raises(ConfigError, match="LERSBENCH_DTYPE = 'float16'"):
        adapter.dtype()
    monkeypatch.setenv("LERSBENCH_DEVICE", "abacus")
    with pytest.raises(ConfigError, match="LERSBENCH_DEVICE = 'abacus'"):
        adapter.device()


# The network with closed-form gradients


def test_gradients_of_the_small_network_are_those_of_autograd(double: None) -> None:
    net, x = OneHidden(5, 7), torch.randn(6, 5)
    f, g = net.with_gradients(x)

    def plain(theta: Tensor, row: Tensor) -> Tensor:
        first = theta[: 7 * 6].view(7, 6)
        return (first[:, :5] @ row + first[:, 5]).relu() @ theta[42:49] + theta[49]

    theta = net.theta.detach()
    assert torch.allclose(f, torch.stack([plain(theta, row) for row in x]))
    assert torch.allclose(g.rows(), torch.stack([torch.func.grad(plain)(theta, row) for row in x]))
    assert torch.allclose(g.inner(g), g.rows() @ g.rows().T) and torch.allclose(g.squares(), g.inner(g).diagonal())


def test_training_of_the_small_network_is_that_of_torchs_adam(double: None) -> None:
    ours, x, y = OneHidden(4, 6), torch.randn(30, 4), torch.rand(30)
    theirs = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 1))
    with torch.no_grad():
        first = ours.theta[:30].view(6, 5)
        for parameter, value in zip(
            theirs.parameters(), (first[:, :4], first[:, 4], ours.theta[30:36][None], ours.theta[36:]), strict=True
        ):
            parameter.copy_(value)
    adam = torch.optim.Adam(theirs.parameters(), lr=0.01)
    for _ in range(25):
        adam.zero_grad()
        (theirs(x)[:, 0] - y).square().mean().backward()
        adam.step()
    ours.fit(x, y, 10, 0.01, 0.0)
    ours.fit(x, y, 15, 0.01, 0.0)
    assert torch.allclose(ours(x), theirs(x)[:, 0], rtol=1e-6, atol=1e-8)
    before = ours.theta.clone()
    ours.fit(x, y, 1, 0.01, 0.9)
    assert not torch.equal(before, ours.theta)


def test_memory_keeps_the_last_of_the_window() -> None:
    memory, told = Memory(2, 5), torch.arange(36.0).view(12, 3)  # rows a delivery: never more than the window
    for lo, hi in ((0, 1), (1, 4), (4, 4), (4, 6), (6, 7), (7, 12)):
        memory.add(told[lo:hi, :2], told[lo:hi, 2])
        kept = told[max(0, hi - 5) : hi]
        assert torch.equal(memory.x, kept[:, :2]) and torch.equal(memory.y, kept[:, 2]) and len(memory) == len(kept)
    x, y = memory.some(400)
    assert torch.equal(x[:, 1] + 1, y) and set(y.tolist()) == set(told[7:12, 2].tolist())


# g' Z^-1 g


def made_gradients(n: int, m: int, hidden: int) -> Gradients:
    return OneHidden(m, hidden).with_gradients(torch.randn(n, m))[1]


def explicit(shown: list[Tensor], of: Tensor, ridge: float, hidden: int) -> Tensor:
    Z = ridge * torch.eye(of.shape[1], dtype=of.dtype) + sum((g.T @ g for g in shown), of.new_zeros(())) / hidden
    return ((of @ torch.linalg.inv(Z)) * of).sum(1)


@pytest.mark.parametrize("sizes", [[1] * 60, [3] * 12, [1, 40, 1, 1], [60, 2]])
def test_both_forms_of_the_full_matrix_are_the_explicit_inverse(
    double: None, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lersbench.neural.gradient_widths.REFRESH", 25)
    monkeypatch.setattr("lersbench.neural.gradient_widths.BLOCK", 10)
    matrix, shown = Full(3, 4, 0.7), []  # P = 21: the second form begins after 29 gradients
    for n in sizes:
        g, candidates = made_gradients(n, 3, 4), made_gradients(9, 3, 4)
        matrix.add(g)
        shown.append(g.rows())
        assert torch.allclose(matrix.squares(candidates), explicit(shown, candidates.rows(), 0.7, 4), rtol=1e-8)
    assert len(matrix.inverse) == 21 and matrix.t == 0
    assert torch.allclose(matrix.inverse @ matrix.Z, torch.eye(21), atol=1e-8)


def test_the_full_matrix_drifts_little_in_single_precision() -> None:
    torch.manual_seed(1)
    m, hidden = 20, 8
    matrix, shown = Full(m, hidden, 1.0), []
    for n in range(400):  # P = 177: both forms
        g, candidates = made_gradients(1, m, hidden), made_gradients(30, m, hidden)
        shown.append(g.rows().double())
        if n in (0, 200, 399):
            exact = explicit(shown[:-1], candidates.rows().double(), 1.0, hidden)
            assert torch.allclose(matrix.squares(candidates).double(), exact, rtol=2e-3)
        matrix.add(g)


def test_the_diagonal_matrix(double: None) -> None:
    matrix, shown, candidates = Diagonal(3, 4, 0.7), torch.full((21,), 0.7), made_gradients(9, 3, 4)
    for n in (1, 3, 1):
        rows = candidates.rows()
        assert torch.allclose(matrix.squares(candidates), (rows.square() / shown).sum(1))
        g = made_gradients(n, 3, 4)
        matrix.add(g)
        shown += g.rows().square().sum(0) / 4
    assert torch.allclose(matrix.total, shown)


# The Bayesian layer


def test_kl_is_zero_at_the_prior_and_agrees_with_sampling(double: None) -> None:
    layer = BayesianLinear(3, 2, prior=0.5, sd=0.5)
    with torch.no_grad():
        for mean in (layer.mean, layer.bias_mean):
            mean.zero_()
    assert abs(kl(nn.Sequential(layer, nn.ReLU())).item()) < 1e-12
    with torch.no_grad():
        layer.mean.normal_(0, 0.4)
        layer.rho.normal_(-1, 0.3)
    posterior = torch.distributions.Normal(layer.mean, layer.rho.exp())
    w = posterior.sample((100_000,))
    terms = (posterior.log_prob(w) - torch.distributions.Normal(0, 0.5).log_prob(w)).flatten(1).sum(1)
    assert abs((terms.mean() - layer.kl()).item()) < 4 * terms.std().item() / math.sqrt(len(terms))


def test_a_call_draws_the_weights_once_for_all_rows() -> None:
    torch.manual_seed(0)
    layer, x = BayesianLinear(3, 2, sd=0.3), torch.randn(4, 3)
    told = layer(torch.cat([x, x.sum(0, keepdim=True)]))
    weights = torch.linalg.inv(torch.cat([x, torch.ones(4, 1)], 1)) @ told[:4]  # 4 rows, 4 weights an output
    assert torch.allclose(torch.cat([x.sum(0), torch.ones(1)]) @ weights, told[4], atol=1e-3)  # so the fifth follows
    assert not torch.equal(layer(x), layer(x))


def test_draws_have_the_moments_of_the_weights() -> None:
    torch.manual_seed(0)
    layer, x = BayesianLinear(3, 2, sd=0.3), torch.randn(4, 3)
    with torch.no_grad():
        many = torch.stack([layer(x) for _ in range(10_000)])
        assert many.shape == (10_000, 4, 2)
        mean, variance = x @ layer.mean + layer.bias_mean, 0.09 * (x.square().sum(1) + 1)
    assert torch.allclose(many.mean(0), mean, atol=0.04)
    assert torch.allclose(many.var(0), variance[:, None].expand(4, 2), rtol=0.08)
    assert abs(torch.corrcoef(many[:, 0].T)[0, 1].item()) < 0.05  # outputs have weights of their own


def test_local_reparameterisation_has_the_same_mean_and_variance() -> None:
    torch.manual_seed(0)
    layer = BayesianLinear(3, 2, sd=0.3, local=True, random_bias=False)
    x = torch.randn(1, 3).expand(20_000, 3)
    told = layer(x)
    assert torch.allclose(told.mean(0), (x @ layer.mean + layer.bias_mean)[0].detach(), atol=0.02)
    assert torch.allclose(told.var(0), 0.09 * x[0].square().sum().expand(2), rtol=0.06)
    layer.eval()
    assert torch.equal(*(lambda y: (y[:1].expand_as(y), y))(layer(x)))  # one draw for all rows


def gradient_of(of: Callable[[], Tensor], parameter: Tensor) -> Tensor:
    return torch.autograd.grad(of(), parameter)[0]


def test_gradients_of_kl(double: None) -> None:
    layer = BayesianLinear(3, 2, prior=0.1)
    assert torch.allclose(gradient_of(layer.kl, layer.mean), layer.mean / 0.01)
    assert torch.allclose(gradient_of(layer.kl, layer.rho), (2 * layer.rho).exp() / 0.01 - 1)
