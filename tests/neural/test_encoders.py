"""Encoders, autoencoders and the recommenders of LERS, against closed forms and naive twins."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lersbench.errors import ConfigError
from lersbench.neural import draws, training
from lersbench.neural.autoencoders import AutoEncoder, VariationalAutoEncoder, normal_kl
from lersbench.neural.encoders import CELLS, BayesianCell, Encoder, NextBasket, NextStreamer, past_baskets, past_orders
from lersbench.neural.recommenders import BayesianRecommender, PlainRecommender


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    """One seed; one thread, for networks this small are slower on more where others use the machine too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def customers(n: int = 60, seed: int = 0) -> dict[str, np.ndarray]:
    """Customers who go on to the next of three streamers after each order, and fill baskets to match."""
    rng = np.random.default_rng(seed)
    streamers = (rng.integers(0, 3, (n, 1)) + np.arange(16)) % 3
    of_streamer = rng.normal(size=(3, 4)).astype(np.float32)
    of_basket = rng.normal(size=(3, 6)).astype(np.float32)
    return {
        "static": rng.normal(size=(n, 4)).astype(np.float32),
        "orders": of_streamer[streamers],
        "order_streamers": streamers,
        "baskets": of_basket[streamers],
        "products": rng.normal(size=(9, 5)).astype(np.float32),
    }


# Encoders


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("bayesian", [False, True])
def test_an_encoder_reads_any_length_and_every_parameter_has_a_gradient(
    cell: str, bidirectional: bool, bayesian: bool
) -> None:
    encoder = NextStreamer(4, 6, 3, cell=cell, bidirectional=bidirectional, bayesian=bayesian)
    for length in (1, 5):
        state = encoder(torch.randn(7, length, 4))
        assert state.shape == (7, 6 * (1 + bidirectional))
    encoder.loss(encoder.head(encoder(torch.randn(7, 5, 4))), torch.arange(7) % 3).backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_a_gru_is_the_textbook_recurrence() -> None:
    encoder = NextBasket(3, 4, 3)
    x = torch.randn(2, 5, 3)
    cell = dict(encoder.cell.named_parameters())
    h = torch.zeros(2, 4)
    for t in range(5):
        inputs = (x[:, t] @ cell["weight_ih_l0"].T + cell["bias_ih_l0"]).chunk(3, 1)
        hidden = (h @ cell["weight_hh_l0"].T + cell["bias_hh_l0"]).chunk(3, 1)
        reset, update = (inputs[0] + hidden[0]).sigmoid(), (inputs[1] + hidden[1]).sigmoid()
        h = (1 - update) * (inputs[2] + reset * hidden[2]).tanh() + update * h
    assert torch.allclose(encoder(x), h, atol=1e-6)


@pytest.mark.parametrize(("n", "length"), [(1, 1), (3, 7)])
def test_the_closed_gradients_of_a_gru_are_those_of_autograd(n: int, length: int) -> None:
    ours = CELLS["gru"](4, 5, batch_first=True)
    theirs = torch.nn.GRU(4, 5, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    x, weights = torch.randn(n, length, 4), torch.randn(n, 5)
    found = []
    for cell in (ours, theirs):
        inputs = x.clone().requires_grad_()
        state = cell(inputs)[1][0]
        found.append([state, *torch.autograd.grad((state * weights).sum(), [inputs, *cell.parameters()])])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_rows_without_a_target_do_not_count() -> None:
    streamer, basket = NextStreamer(4, 6, 3), NextBasket(4, 6, 4)
    guess, target = torch.randn(3, 3), torch.tensor([2, -1, 0])
    wanted = torch.nn.functional.cross_entropy(guess[[0, 2]], target[[0, 2]])
    assert torch.allclose(streamer.loss(guess, target), wanted)
    assert streamer.loss(guess, torch.full((3,), -1)) == 0
    guess, vector = torch.randn(3, 4), torch.randn(3, 4)
    vector[1] = 0
    assert torch.allclose(basket.loss(guess, vector), (guess - vector)[[0, 2]].square().mean())
    assert basket.loss(guess, torch.zeros(3, 4)) == 0


def test_what_is_read_and_what_is_to_be_told() -> None:
    history = customers(4)
    history["orders"][0, :15] = 0  # one order
    history["orders"][1, :13] = 0  # three orders
    history["baskets"][2] = 0  # none at all
    orders, streamer = past_orders(history, 5)
    assert orders.shape == (4, 6, 4) and np.array_equal(orders, history["orders"][:, -6:])
    last = history["order_streamers"][:, -1]
    assert streamer.tolist() == [-1, last[1], last[2], last[3]]
    assert past_orders(history, 5, whole=True)[1].tolist() == [-1, -1, last[2], last[3]]
    baskets, target = past_baskets(history, 10)
    assert baskets.shape == (4, 11, 6) and np.array_equal(target, history["baskets"][:, -1])
    assert not target[2].any()


def test_a_bayesian_cell_is_its_means_where_nothing_varies_and_draws_anew_where_it_does() -> None:
    plain = torch.nn.GRU(3, 4, batch_first=True)
    x = torch.randn(2, 5, 3)
    sure = BayesianCell(copy.deepcopy(plain), sd=1e-12)
    assert torch.allclose(sure(x)[1], plain(x)[1])
    unsure = BayesianCell(copy.deepcopy(plain), sd=0.1)
    assert not torch.equal(unsure(x)[1], unsure(x)[1])


def test_kl_of_a_bayesian_cell_against_monte_carlo() -> None:
    cell = BayesianCell(torch.nn.GRU(1, 1), prior=0.5, sd=0.3)
    total = 0.0
    with torch.no_grad():
        for name, mean in cell.mean.named_parameters():
            q = torch.distributions.Normal(mean, cell.rho[name].exp())
            w = q.sample((40_000,))
            total += (q.log_prob(w) - torch.distributions.Normal(0.0, 0.5).log_prob(w)).mean(0).sum()
    assert torch.allclose(cell.kl(), torch.as_tensor(total), rtol=0.03)


# Autoencoders


@pytest.mark.parametrize("kind", [AutoEncoder, VariationalAutoEncoder])
@pytest.mark.parametrize("size", [1, 20])
def test_shapes_and_gradients_of_the_autoencoders(kind: type, size: int) -> None:
    coder, context = kind(30, size), torch.randn(5, 30, requires_grad=True)
    coded = coder.encode(context)
    assert coded.code.shape == (5, size) and coder.decoder(coded.code).shape == (5, 30)
    coder.loss(context, coded).backward()
    for name, parameter in coder.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    assert context.grad is not None and context.grad.abs().sum() > 0  # through the code: the goal stays as it is


def test_layers_of_the_plain_autoencoder_are_those_of_the_study() -> None:
    shapes = [tuple(p.shape) for p in AutoEncoder(408).parameters() if p.dim() == 2]
    assert shapes == [(256, 408), (128, 256), (64, 128), (20, 64), (64, 20), (128, 64), (256, 128), (408, 256)]


def test_tanh_output_bounds_the_reconstruction() -> None:
    for kind in (AutoEncoder, VariationalAutoEncoder):
        code = 1e3 * torch.randn(50, 3)
        assert kind(4, 3, tanh_output=True).decoder(code).abs().max() <= 1
        assert kind(4, 3).decoder[-1].__class__ is torch.nn.Linear


def test_kl_of_a_code_in_closed_form_and_by_monte_carlo() -> None:
    assert normal_kl(torch.zeros(3, 2), torch.zeros(3, 2)) == 0
    assert torch.allclose(normal_kl(torch.tensor([[1.0, 2.0]]), torch.zeros(1, 2)), torch.tensor(2.5))
    mean, log_variance = torch.randn(4, 3), torch.randn(4, 3)
    q = torch.distributions.Normal(mean, (log_variance / 2).exp())
    z = q.sample((100_000,))
    found = (q.log_prob(z) - torch.distributions.Normal(0.0, 1.0).log_prob(z)).sum(2).mean()
    assert torch.allclose(normal_kl(mean, log_variance), found, rtol=0.02)


def test_codes_vary_by_the_noise_and_its_weight() -> None:
    context = torch.randn(1, 8).expand(4000, 8)
    torch.manual_seed(1)
    coder = VariationalAutoEncoder(8, 3, weight_eps=2.0)
    with torch.no_grad():
        _, log_variance = coder.moments(coder.encoder(context[:1])).chunk(2, 1)
        spread = coder.encode(context).code.std(0)
        coder.weight_eps = 0.0
        still = coder.encode(context).code
    assert torch.allclose(spread, 2 * (log_variance[0] / 2).exp(), rtol=0.06)
    assert (still == still[0]).all()


# Recommenders


def naive_scores(weights: list[tuple[Tensor, Tensor]], code: Tensor, products: Tensor) -> Tensor:
    x = torch.stack([torch.cat([code[0], product]) for product in products])
    for number, (weight, bias) in enumerate(weights):
        x = x @ weight + bias
        if number < 2:
            x = x.relu()
    return x[:, 0]


def test_a_plain_recommender_is_the_network_on_code_and_product_side_by_side() -> None:
    made = PlainRecommender(3, 5).eval()
    codes, products = torch.randn(2, 3), torch.randn(7, 5)
    assert torch.allclose(made(codes[:1], products), naive_scores(made.weights(), codes[:1], products), atol=1e-6)
    of = torch.tensor([0, 1, 1, 0, 1, 0, 0])
    each = torch.stack([made(codes[row : row + 1], products[i : i + 1])[0] for i, row in enumerate(of)])
    assert torch.allclose(made(codes, products, of), each, atol=1e-6)
    assert [tuple(layer.weight.shape) for layer in made.layers] == [(256, 8), (128, 256), (1, 128)]


def test_the_gamma_trick_is_the_loop_over_draws() -> None:
    made = BayesianRecommender(3, 5, draws=6).eval()
    code, products = torch.randn(1, 3), torch.randn(7, 5)
    with torch.no_grad():
        torch.manual_seed(3)
        ranked = made.rank(code, products)
        torch.manual_seed(3)
        best, highest = None, -np.inf
        for (of_products, of_customer), *rest in made.drawn_for(code, 6):
            weights = [(torch.cat([torch.zeros(3, 256), of_products]), of_customer), *rest]
            scores = naive_scores(weights, code, products)
            if scores.max() > highest:
                best, highest = scores, float(scores.max())
    assert best is not None and torch.allclose(ranked, best, atol=1e-6)


def test_draws_are_independent_and_have_the_moments_of_the_weights() -> None:
    made, code = BayesianRecommender(2, 1, sd=0.3), torch.tensor([[1.5, -2.0]])
    with torch.no_grad():
        of_training = [made.weights() for _ in range(2000)]
        of_ranking = [*made.drawn_for(code, 2000)]
        (mean, bias), sd = (made.layers[0].mean, made.layers[0].bias_mean), 0.3
        for drawn in (
            torch.stack([layers[0][0][2, :2].clone() for layers in of_training]),
            torch.stack([layers[0][0][0, :2].clone() for layers in of_ranking]),  # of the product alone
        ):
            assert torch.allclose(drawn.mean(0), mean[2, :2], atol=0.03)
            assert torch.allclose(drawn.std(0), torch.tensor(sd), atol=0.03)
            assert abs(torch.corrcoef(drawn.T)[0, 1]) < 0.07
        sums = (  # what a customer adds to the first units: of whole weights, and drawn as one number
            torch.stack([code[0] @ layers[0][0][:2, :2] + layers[0][1][:2] for layers in of_training]),
            torch.stack([layers[0][1][:2].clone() for layers in of_ranking]),
        )
        for drawn in sums:
            assert torch.allclose(drawn.mean(0), code[0] @ mean[:2, :2] + bias[:2], atol=0.08)
            assert torch.allclose(drawn.std(0), torch.tensor(sd * (1.5**2 + 2**2 + 1) ** 0.5), rtol=0.06)
            assert abs(torch.corrcoef(drawn.T)[0, 1]) < 0.07
        for all_of in (of_training, of_ranking):
            last = torch.stack([layers[2][1].clone() for layers in all_of])
            assert torch.allclose(last.mean(0), made.layers[2].bias_mean, atol=0.03)


@pytest.mark.parametrize("n", [7, 40])  # rows: by torch, by oneDNN
@pytest.mark.parametrize("codes", [1, 3])
@pytest.mark.parametrize("rate", [0.0, 0.4])
def test_the_closed_gradients_of_a_recommender_are_those_of_autograd(n: int, codes: int, rate: float) -> None:
    made = PlainRecommender(3, 20, rate).train()
    code, products = torch.randn(codes, 3, requires_grad=True), torch.randn(n, 20)
    of = torch.randint(codes, (n,)) if codes > 1 else None
    by = torch.randn(n)

    def plain() -> Tensor:
        x = torch.cat([code[torch.zeros(n, dtype=torch.int64) if of is None else of], products], 1)
        for layer in made.layers[:-1]:
            x = (x @ layer.weight.T + layer.bias).relu()
            x = x * draws.kept(x.shape, rate, x) if rate else x
        return (x @ made.layers[-1].weight.T + made.layers[-1].bias)[:, 0]

    found = []
    for logits in (lambda: made(code, products, of), plain):
        torch.manual_seed(1)
        out = logits()
        found.append([out, *torch.autograd.grad(out @ by, [code, *made.parameters()])])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-5)


def test_copies_that_share_a_draw_differ_in_dropout_alone() -> None:
    code, products = torch.randn(1, 3), torch.randn(7, 5)
    with torch.no_grad():
        shared = BayesianRecommender(3, 5, dropout=0.0, draws=4, shared_draw=True).eval().all_scores(code, products)
        assert (shared == shared[0]).all()
        dropped = BayesianRecommender(3, 5, dropout=0.5, draws=4, shared_draw=True).eval().all_scores(code, products)
        assert (dropped.std(0) > 0).all()
        own = BayesianRecommender(3, 5, dropout=0.5, draws=4).eval().all_scores(code, products)
        assert (own.std(0) > 0).all()


@pytest.mark.parametrize("made", [PlainRecommender(3, 5), BayesianRecommender(3, 5)], ids=["plain", "bayesian"])
def test_every_parameter_of_a_recommender_has_a_gradient_and_so_has_the_code(
    made: PlainRecommender | BayesianRecommender,
) -> None:
    code = torch.randn(1, 3, requires_grad=True)
    made.train()(code, torch.randn(40, 5)).square().sum().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    assert code.grad is not None and code.grad.abs().sum() > 0


# Experiments


@pytest.mark.parametrize("options", [{}, {"cell": "lstm", "bidirectional": True}, {"cell": "rnn", "bayesian": True}])
def test_streamers_that_take_turns_are_told(options: dict) -> None:
    known = customers(600 if options.get("bayesian") else 60)  # few customers do not outweigh a prior
    table = training.train_streamer(known, **options, epochs=12, hidden=8, learning_rate=0.02, seed=1)
    assert table.columns.tolist() == ["epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy"]
    assert table["epoch"].tolist() == list(range(1, 13))
    assert table["test_accuracy"].iloc[-1] == 1 and table["test_loss"].iloc[-1] < table["test_loss"].iloc[0]


def test_baskets_that_take_turns_are_told() -> None:
    history = customers()
    table = training.train_basket(history, epochs=12, hidden=8, learning_rate=0.02, seed=1)
    assert table.columns.tolist() == ["epoch", "train_loss", "test_loss"]
    assert table["test_loss"].iloc[-1] < 0.5 * np.square(history["baskets"]).mean()


def test_a_code_that_can_hold_the_context_learns_it() -> None:
    rng = np.random.default_rng(0)
    context = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 12))
    table, codes = training.train_code(context, "ae", 2, epochs=60, seed=1, learning_rate=0.003)
    assert codes.shape == (200, 2)
    assert table["test_mse"].iloc[-1] < 0.3 * table["test_mse"].iloc[0] and (table["test_kl"] == 0).all()
    assert np.allclose(table["test_loss"], table["test_mse"])
    table, codes = training.train_code(context, "vae", 2, epochs=5, seed=1, kl_weight=0.1)
    assert codes.shape == (200, 2) and (table["test_kl"] > 0).all()


def test_experiments_repeat_by_their_seed_and_leave_torch_alone() -> None:
    history = customers(20)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, two, other = (training.train_basket(history, epochs=2, hidden=4, seed=seed) for seed in (1, 1, 2))
    assert one.equals(two) and not one.equals(other)
    assert torch.equal(before, torch.get_rng_state())


@pytest.fixture
def tested(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The rows that each training is tested on, in the order of the trainings."""
    rows, train = [], training._train

    def listening(made: Encoder, data: tuple, parts: tuple, *rest: Any) -> Any:
        rows.append(data[1][parts[1]].numpy().tobytes())
        return train(made, data, parts, *rest)

    monkeypatch.setattr(training, "_train", listening)
    return rows


def test_a_seed_tests_all_encoders_on_the_same_customers(tested: list[bytes]) -> None:
    history = customers(40)
    history["baskets"] += np.random.default_rng(0).normal(size=history["baskets"].shape)  # no two targets are alike
    for seed in (3, 3, 4):
        training.train_basket(history, epochs=1, hidden=4, seed=seed)
    settings: tuple[dict[str, Any], ...]
    settings = ({"cell": "lstm"}, {"bidirectional": True}, {"bayesian": True}, {"hidden": 9}, {"length": 5})
    for options in settings:
        training.train_basket(history, epochs=1, **{"hidden": 4, **options}, seed=3)
    assert len(tested) == 8 and set(tested[:2] + tested[3:]) == {tested[0]} and tested[2] != tested[0]


def test_halves_are_parts_of_the_rows() -> None:
    train, test = training.halves(100, 0.67, 5)
    assert (len(train), len(test)) == (67, 33) and sorted([*train, *test]) == list(range(100))
    assert [len(part) for part in training.halves(2, 0.99, 0)] == [1, 1]


def test_the_context_of_everyone() -> None:
    history = customers(20)
    context, streamer = training.full_context(history, streamer_epochs=1, basket_epochs=1)
    assert context.shape == (20, 256 + 128 + 4) and np.array_equal(streamer, history["order_streamers"][:, -1])
    assert np.allclose(context[:, 384:], history["static"]) and np.abs(context[:, :384]).max() <= 1


def test_experiments_refuse_what_they_cannot_do() -> None:
    history = customers(5)
    with pytest.raises(ConfigError, match="cell = 'gur' must be one of rnn, lstm, gru"):
        training.train_streamer(history, cell="gur")
    with pytest.raises(ConfigError, match="kind = 'pca' must be one of ae, vae"):
        training.train_code(np.zeros((4, 3)), kind="pca")
    history["orders"][1:, :12] = 0
    with pytest.raises(ConfigError, match="1 customers have the 6 orders"):
        training.train_streamer(history)
