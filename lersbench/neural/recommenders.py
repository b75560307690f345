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

from lersbench.neural.bayesian import BayesianLinear, draw, kl
from lersbench.neural.draws import normals
from lersbench.neural.three_layers import ThreeLayers, scores

HIDDEN = (256, 128)
Layer = tuple[Tensor, Tensor]  # weights (n_in, n_out), biases (n_out,)


class Recommender(nn.Module):
    """What both share: how scores come from weights."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout

    def forward(self, code: Tensor, products: Tensor, of: Tensor | None = None) -> Tensor:
        """The logits (n,) of n products (n, q), each for its code (B, size): row `of` (n,), or the only one."""
        flat = [part for layer in self.weights() for part in layer]
        return cast(Tensor, ThreeLayers.apply(self.dropout if self.training else 0.0, of, products, code, *flat))

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
        all_scores = self.all_scores(code, products)
        return all_scores[all_scores.amax(1).argmax()]

    def all_scores(self, code: Tensor, products: Tensor) -> Tensor:
        """The scores (draws, C) of every draw."""
        if not self.shared_draw:
            return torch.stack([scores(products, drawn, 0.0)[-1] for drawn in self.drawn_for(code, self.draws)])
        (weights, bias), *rest = self.weights()
        size = code.shape[1]
        customer = torch.addmm(bias, code, weights[:size])[0]
        shared = [(weights[size:], customer), *rest]
        return torch.stack([scores(products, shared, self.dropout)[-1] for _ in range(self.draws)])

    def weights(self) -> list[Layer]:
        means, rhos = self._moments()
        return _paired(draw(means, rhos))

    def drawn_for(self, code: Tensor, draws: int) -> Iterator[list[Layer]]:
        """Independent draws of all weights; of the first layer those of products, and in the place of its bias what it
        adds for `code` (1, size).

        The weights of the code, and the bias, meet all products of a round alike, as one sum a unit. That sum is
        drawn itself: it is normal, of mean code' mean + bias mean and variance code^2' sd^2 + bias sd^2.
        """
        means, rhos = self._moments()
        sds, size = [rho.exp() for rho in rhos], code.shape[1]
        sum_mean = torch.addmm(means[1], code, means[0][:size])[0]
        sum_sd = torch.addmm(sds[1].square(), code.square(), sds[0][:size].square())[0].sqrt_()
        means, sds = [means[0][size:], sum_mean, *means[2:]], [sds[0][size:], sum_sd, *sds[2:]]
        sizes, shapes = [part.numel() for part in means], [part.shape for part in means]
        mean, sd = (torch.cat([part.reshape(-1) for part in parts]) for parts in (means, sds))
        for _ in range(draws):
            drawn = torch.addcmul(mean, sd, normals(mean.shape, mean)).split(sizes)
            yield _paired([part.view(shape) for part, shape in zip(drawn, shapes, strict=True)])

    def _moments(self) -> tuple[list[Tensor], list[Tensor]]:
        """The means of weights and biases, layer by layer, and the logarithms of their standard deviations."""
        means: list[Tensor] = [part for layer in self.layers for part in (layer.mean, layer.bias_mean)]
        return means, [part for layer in self.layers for part in (layer.rho, layer.bias_rho) if part is not None]

    def kl(self) -> Tensor:
        """KL(weights || prior), mean over the weights."""
        return kl(self) / sum(layer.mean.numel() + layer.bias_mean.numel() for layer in self.layers)


def _paired(parts: list[Tensor]) -> list[Layer]:
    return [*zip(parts[::2], parts[1::2], strict=True)]


def _sizes(code: int, products: int) -> Iterator[tuple[int, int]]:
    """(n_in, n_out) of each layer."""
    return pairwise((code + products, *HIDDEN, 1))
