"""The last part of LERS: a network, plain or Bayesian, that scores products for the code of a customer.

Source: the livestream study (2022, doi 10.6814/NCCU202201098), section 4.7. Both are (code, product) -> 256 -> 128 -> 1
with ReLU and dropout; a customer's half of the first layer is computed once for all products.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from lersbench.neural.bayesian import BayesianLinear, kl

HIDDEN = (256, 128)
Layer = tuple[Tensor, Tensor]  # weights (n_in, n_out), biases (n_out,)


class Recommender(nn.Module):
    """What both share: how scores come from weights."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout

    def forward(self, code: Tensor, products: Tensor, of: Tensor | None = None) -> Tensor:
        """The logits (n,) of n products (n, q), each for its code (B, size): row `of` (n,), or the only one."""
        return _scores(self.weights(), code, products, of, self.dropout if self.training else 0.0)

    def rank(self, code: Tensor, products: Tensor) -> Tensor:
        """The scores (C,) of the products on offer (C, q) for one code (1, size)."""
        return self(code, products)

    def weights(self) -> list[Layer]:
        """The weights of a pass, the first layer first."""
        raise NotImplementedError


class PlainRecommender(Recommender):
    """Weights are numbers."""

    def __init__(self, code: int, products: int, dropout: float = 0.5) -> None:
        super().__init__(dropout)
        self.layers = cast(list[nn.Linear], nn.ModuleList(nn.Linear(*sizes) for sizes in _sizes(code, products)))

    def weights(self) -> list[Layer]:
        return [(layer.weight.T, layer.bias) for layer in self.layers]


class BayesianRecommender(Recommender):
    """Weights are independent normal variables with the prior N(0, prior^2): see `bayesian`.

    A training step draws them once. Products are ranked by the "gamma trick": `draws` independent draws of all
    weights score all products, and the draw that holds the single highest score gives its scores. The draws take
    turns, so that what they work on stays in the processor's cache: on a CPU twice as fast as one batched product.

    With `shared_draw` the scorings differ in their dropout alone, as in the published code: one draw of the weights
    for all of them, and dropout as in training.
    """

    def __init__(
        self,
        code: int,
        products: int,
        dropout: float = 0.5,
        *,
        prior: float = 0.1,
        sd: float = 0.05,
        draws: int = 30,
        shared_draw: bool = False,
    ) -> None:
        super().__init__(dropout)
        self.draws, self.shared_draw = draws, shared_draw
        made = nn.ModuleList(BayesianLinear(*sizes, prior, sd=sd) for sizes in _sizes(code, products))
        self.layers = cast(list[BayesianLinear], made)

    def rank(self, code: Tensor, products: Tensor) -> Tensor:
        scores = self.all_scores(code, products)
        return scores[scores.amax(1).argmax()]

    def all_scores(self, code: Tensor, products: Tensor) -> Tensor:
        """The scores (draws, C) of every draw."""
        rate = self.dropout if self.shared_draw else 0.0
        drawn = [self.weights()] * self.draws if self.shared_draw else self.drawn(self.draws)
        return torch.stack([_scores(weights, code, products, None, rate) for weights in drawn])

    def weights(self) -> list[Layer]:
        return next(self.drawn(1))

    def drawn(self, draws: int) -> Iterator[list[Layer]]:
        """Independent draws of all weights."""
        parts = [part for layer in self.layers for part in (layer.mean, layer.bias_mean)]
        mean = torch.cat([part.flatten() for part in parts])
        rho = [part.flatten() for layer in self.layers for part in (layer.rho, layer.bias_rho) if part is not None]
        sd = torch.cat(rho).exp()
        sizes, shapes = [part.numel() for part in parts], [part.shape for part in parts]
        for _ in range(draws):
            draw = torch.addcmul(mean, sd, torch.randn_like(mean)).split(sizes)
            shaped = [part.view(shape) for part, shape in zip(draw, shapes, strict=True)]
            yield [*zip(shaped[::2], shaped[1::2], strict=True)]

    def kl(self) -> Tensor:
        """KL(weights || prior), mean over the weights."""
        return kl(self) / sum(layer.mean.numel() + layer.bias_mean.numel() for layer in self.layers)


def _scores(layers: list[Layer], code: Tensor, products: Tensor, of: Tensor | None, rate: float) -> Tensor:
    """(n,) of n products: the network with these weights, a share `rate` of hidden units dropped."""
    weights, bias = layers[0]
    size = code.shape[1]
    customers = torch.addmm(bias, code, weights[:size])
    h = torch.addmm(customers, products, weights[size:]) if of is None else customers[of] + products @ weights[size:]
    for weights, bias in layers[1:]:
        h = h.relu_()
        if rate:
            h = h * kept(h, rate)
        h = torch.addmm(bias, h, weights)
    return h[:, 0]


def kept(h: Tensor, rate: float) -> Tensor:
    """What dropout multiplies by: 0 for a share `rate` of the units, 1 / (1 - rate) for the others.

    Torch's own draws its coins three times as slowly on a CPU.
    """
    return (torch.rand_like(h) >= rate).to(h.dtype).div_(1 - rate)


def _sizes(code: int, products: int) -> Iterator[tuple[int, int]]:
    """(n_in, n_out) of each layer."""
    return pairwise((code + products, *HIDDEN, 1))
