"""A linear layer whose weights are independent normal variables, and its KL divergence from the prior.

Source: Blundell et al. 2015 (arXiv 1505.05424); the local reparameterisation is Kingma et al. 2015 (arXiv 1506.02557).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class BayesianLinear(nn.Module):
    """y = x W + b with every weight (and bias) ~ N(mean, sd^2), sd = exp(rho); the prior is N(0, prior^2).

    A call draws the weights once and shares them among all rows. A `local` layer draws its outputs instead in training
    mode, of which each row gets its own: far less noise in the gradient; such a row knows nothing of the others, so do
    not compare candidates by it. With `random_bias = False` the bias is a plain parameter without a prior.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        prior: float = 0.1,
        *,
        sd: float = 0.01,
        local: bool = False,
        random_bias: bool = True,
    ) -> None:
        super().__init__()
        self.prior, self.local, self.random_bias = prior, local, random_bias
        bound = 1 / math.sqrt(n_in)
        self.mean = nn.Parameter(torch.empty(n_in, n_out).uniform_(-bound, bound))
        self.rho = nn.Parameter(torch.full((n_in, n_out), math.log(sd)))
        self.bias_mean = nn.Parameter(torch.empty(n_out).uniform_(-bound, bound))
        self.bias_rho = nn.Parameter(torch.full((n_out,), math.log(sd))) if random_bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(..., n_out) of `x` (..., n_in), with one draw of the weights."""
        if self.local and self.training:
            return self._local(x)
        weights = _draw(self.mean, self.rho)
        return x @ weights + (self.bias_mean if self.bias_rho is None else _draw(self.bias_mean, self.bias_rho))

    def _local(self, x: Tensor) -> Tensor:
        variance = x.square() @ (2 * self.rho).exp() + 1e-6
        if self.bias_rho is not None:
            variance = variance + (2 * self.bias_rho).exp()
        mean = x @ self.mean + self.bias_mean
        return mean + variance.sqrt() * torch.randn_like(mean)

    def kl(self) -> Tensor:
        """KL(weights || prior), summed over the weights."""
        total = kl_from_prior(self.mean, self.rho, self.prior)
        return total if self.bias_rho is None else total + kl_from_prior(self.bias_mean, self.bias_rho, self.prior)


def kl(net: nn.Module) -> Tensor:
    """The sum over all Bayesian layers of a network."""
    return torch.stack([layer.kl() for layer in net.modules() if isinstance(layer, BayesianLinear)]).sum()


def kl_from_prior(mean: Tensor, rho: Tensor, prior: float) -> Tensor:
    """KL(N(mean, s^2) || N(0, s0^2)) with s = exp(rho), s0 = `prior`: log(s0 / s) + (s^2 + mean^2) / (2 s0^2) - 1/2.

    Summed over the independent entries of `mean` and `rho`, of one shape.
    """
    return (math.log(prior) - rho + ((2 * rho).exp() + mean.square()) / (2 * prior**2) - 0.5).sum()


def _draw(mean: Tensor, rho: Tensor) -> Tensor:
    return mean + rho.exp() * torch.randn_like(mean)
