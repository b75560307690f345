"""Random numbers, products and optimizers that networks share, against torch's own."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lersbench.neural import draws, products
from lersbench.neural.bayesian import BayesianLinear
from lersbench.neural.descent import Adam, RMSProp

FLOAT = torch.zeros(1)


def test_bits_are_splitmix64() -> None:
    """The first numbers of the published generator after the seed 1234567."""
    bits = np.empty(3, np.uint64)
    draws._split(1234567, bits)
    assert bits.tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize("format", [torch.float32, torch.float64])
def test_normals_are_normal_and_independent(format: torch.dtype) -> None:
    torch.manual_seed(5)
    z = draws.normals((501, 401), torch.zeros(1, dtype=format))
    assert z.shape == (501, 401) and z.dtype == format
    flat = z.flatten().double()
    n = len(flat)
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(float((flat**power).mean()) - moment) < 5 * math.sqrt(variance / n), power
    ordered, at = flat.sort().values, (torch.arange(n) + 0.5) / n
    distance = float((torch.special.ndtr(ordered) - at).abs().max())  # Kolmogorov and Smirnov: 1 in 10^5 above 2.5
    assert distance * math.sqrt(n) < 2.5
    for lag in (1, 2, n // 2, (n + 1) // 2):  # the halves of a pair lie (n + 1) // 2 apart
        for of in (flat, flat.square() - 1):
            assert abs(float((of[lag:] * of[:-lag]).mean()) / float(of.square().mean())) < 5 / math.sqrt(n - lag), lag


def test_the_ends_of_the_bits_are_finite_numbers() -> None:
    u, angle = np.empty(2, np.float32), np.empty(2, np.float32)
    draws._polar(np.array([0, 2**64 - 1], np.uint64), u, angle)
    assert u[0] == 2.0**-33 and u[1] == 1 and angle[0] == 0 and abs(angle[1] - 2 * math.pi) < 1e-6


def test_a_state_of_torch_is_a_sequence_of_draws() -> None:
    torch.manual_seed(1)
    first = [draws.normals((5,), FLOAT), draws.normals((5,), FLOAT)]
    torch.manual_seed(1)
    assert all(torch.equal(one, draws.normals((5,), FLOAT)) for one in first) and not torch.equal(*first)


@pytest.mark.parametrize("format", [torch.float32, torch.float64])
def test_dropout_keeps_the_mean(format: torch.dtype) -> None:
    torch.manual_seed(0)
    for rate in (0.2, 0.5):
        factors = draws.kept((201, 501), rate, torch.zeros(1, dtype=format))
        assert torch.allclose(factors.unique(), torch.tensor([0.0, 1 / (1 - rate)], dtype=format))
        assert abs(float(factors.mean()) - 1) < 5 * math.sqrt(rate / (1 - rate) / factors.numel())


@pytest.mark.parametrize("shape", [(3, 4, 5), (200, 55, 256), (200, 256, 128), (768, 20, 256)])
def test_products_are_those_of_torch_however_matrices_lie(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(2)
    n, inner, outer = shape
    wide, bias = torch.randn(n, inner + 3), torch.randn(outer)
    for x in (wide[:, 3:], wide[:, 3:].contiguous(), wide[:, 3:].T.contiguous().T):
        for w in (torch.randn(inner, outer), torch.randn(outer, inner + 2).T[2:]):
            wanted = (x.double() @ w.double() + bias).float()
            assert torch.allclose(products.product(x, w, bias), wanted, atol=1e-3)
            assert torch.allclose(products.product(x, w), wanted - bias, atol=1e-3)
            assert torch.allclose(products.product_relu(x, w, bias), wanted.relu(), atol=1e-3)


def test_without_onednn_products_are_torchs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    x, w, bias = torch.randn(200, 256), torch.randn(256, 128), torch.randn(128)
    monkeypatch.setattr(products, "_has_onednn", lambda: False)
    assert torch.equal(products.product_relu(x, w, bias), torch.addmm(bias, x, w).relu())


def losses(net: nn.Module, x: Tensor) -> Tensor:
    return (net(x) - x.sum(1, keepdim=True)).square().mean()


def test_adam_is_torchs_and_goes_on_from_its_state() -> None:
    torch.manual_seed(0)
    x, made = torch.randn(20, 3), []
    for kind in (Adam, torch.optim.Adam):
        torch.manual_seed(1)
        net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
        optimizer = kind(net.parameters(), lr=0.01)
        for step in range(30):
            if step == 15:
                kept, optimizer = optimizer.state_dict(), kind(net.parameters(), lr=0.01)
                optimizer.load_state_dict(kept)
            optimizer.zero_grad()
            losses(net[:2] if step < 0 else net, x).backward()
            optimizer.step()
        made.append([*net.parameters()])
    for one, other in zip(*made, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_a_parameter_without_a_gradient_stays() -> None:
    moved, still = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    adam = Adam([moved, still], 0.1)
    adam.step()  # nothing to do
    moved.sum().backward()
    adam.step()
    assert (moved < 1).all() and (still == 1).all() and [int(step) for step in adam.steps] == [1, 0]


def test_rmsprop_is_torchs() -> None:
    ours, theirs = nn.Parameter(torch.ones(5)), nn.Parameter(torch.ones(5))
    mine, torchs = RMSProp(ours, 0.01), torch.optim.RMSprop([theirs], lr=0.01)
    for step in range(20):
        for parameter, optimizer in ((ours, mine), (theirs, torchs)):
            optimizer.zero_grad()
            ((parameter - torch.arange(5.0)) ** 2 * (1 + step % 3)).sum().backward()
            optimizer.step()
    assert torch.allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("random_bias", [False, True])
def test_the_closed_gradients_of_local_draws_are_those_of_autograd(random_bias: bool) -> None:
    torch.manual_seed(3)
    layer = BayesianLinear(4, 3, sd=0.3, local=True, random_bias=random_bias).train()
    x, by = torch.randn(9, 4, requires_grad=True), torch.randn(9, 3)

    def plain() -> Tensor:
        variance = x.square() @ (2 * layer.rho).exp() + 1e-6
        if layer.bias_rho is not None:
            variance = variance + (2 * layer.bias_rho).exp()
        return x @ layer.mean + layer.bias_mean + variance.sqrt() * draws.normals((9, 3), x)

    found = []
    for outputs in (lambda: layer(x), plain):
        torch.manual_seed(4)
        out = outputs()
        found.append([out, *torch.autograd.grad((out * by).sum(), [x, *layer.parameters()])])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("local", [False, True])
def test_a_draw_has_the_gradients_of_its_formula(local: bool) -> None:
    layer = BayesianLinear(3, 2, sd=0.3, random_bias=not local)
    torch.manual_seed(4)
    out = layer(torch.eye(3))
    by_mean, by_rho = torch.autograd.grad(out.sum(), [layer.mean, layer.rho])
    assert torch.equal(by_mean, torch.ones(3, 2))
    torch.manual_seed(4)
    noise = draws.normals((6 if local else 8,), FLOAT)[:6].view(3, 2)
    assert torch.allclose(by_rho, noise * layer.rho.exp())  # (d / d rho) exp(rho) z


@pytest.mark.parametrize("name", ["lers-both", "neural-ucb", "neural-linear", "bayes-by-backprop"])
def test_no_policy_imports_torchs_compiler(name: str) -> None:
    """It takes a second or more of every worker."""
    code = (
        "import sys\n"
        "from lersbench.policy import load\n"
        "from lersbench.testing import engines, worlds\n"
        f"policy = load({name!r}, **({{'every': 2}} if {name!r} in ('neural-linear', 'bayes-by-backprop') else {{}}))\n"
        "engines.Bench(policy).play(worlds.make_world(4, 3, 1))\n"
        "assert 'torch' in sys.modules\n"
        "print([name for name in sys.modules if name.split('.')[:2] == ['torch', '_dynamo']])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
