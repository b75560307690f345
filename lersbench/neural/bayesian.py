"""A linear layer whose weights are independent normal variables, and its KL divergence from the prior.

Source: Blundell et al. 2015 (arXiv 1505.05424); the local reparameterisation is Kingma et al. 2015 (arXiv 1506.02557).
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lersbench.neural.draws import normals
from lersbench.neural.products import product


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
        if self.bias_rho is None:
            return torch.addmm(self.bias_mean, x, *draw([self.mean], [self.rho]))
        weights, bias = draw([self.mean, self.bias_mean], [self.rho, self.bias_rho])
        return torch.addmm(bias, x, weights)

    def _local(self, x: Tensor) -> Tensor:
        return cast(Tensor, _Local.apply(x, self.mean, self.rho, self.bias_mean, self.bias_rho))

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
    return cast(Tensor, _Divergence.apply(prior, mean, rho))


class _Local(torch.autograd.Function):
    """y = x M + b + s z with z ~ N(0, 1) and s^2 = x^2 exp(rho)^2 + exp(bias rho)^2 for each row and output."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, mean: Tensor, rho: Tensor, bias: Tensor, bias_rho: Tensor | None) -> Tensor:
        squares, variances = x.square(), (2 * rho).exp_()
        variance = product(squares, variances).add_(1e-6)
        of_bias = None if bias_rho is None else (2 * bias_rho).exp_()
        if of_bias is not None:
            variance.add_(of_bias)
        sd, z = variance.sqrt_(), normals(variance.shape, variance)
        ctx.save_for_backward(x, squares, mean, variances, z, sd, of_bias)
        return product(x, mean, bias).addcmul_(sd, z)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by: Tensor) -> tuple[Tensor | None, ...]:
        x, squares, mean, variances, z, sd, of_bias = ctx.saved_tensors
        by_variance = (by * z).div_(sd)  # twice it, which is what the derivative of exp(2 rho) brings
        by_rho = product(squares.T, by_variance).mul_(variances)
        by_x = None
        if ctx.needs_input_grad[0]:
            by_x = product(by, mean.T).addcmul_(x, product(by_variance, variances.T))
        by_bias_rho = None if of_bias is None else by_variance.sum(0).mul_(of_bias)
        return by_x, product(x.T, by), by_rho, by.sum(0), by_bias_rho


class _Divergence(torch.autograd.Function):
    """`kl_from_prior`; its gradients are mean / s0^2 and s^2 / s0^2 - 1."""

    @staticmethod
    def forward(ctx: Any, prior: float, mean: Tensor, rho: Tensor) -> Tensor:
        scaled_mean, scaled_variance = mean / prior**2, (2 * (rho - math.log(prior))).exp_()
        ctx.save_for_backward(scaled_mean, scaled_variance)
        squares = scaled_variance.sum() + (scaled_mean * mean).sum()
        return squares / 2 - (rho - math.log(prior)).sum() - mean.numel() / 2

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by: Tensor) -> tuple[None, Tensor, Tensor]:
        scaled_mean, scaled_variance = ctx.saved_tensors
        return None, by * scaled_mean, by * (scaled_variance - 1)


def draw(means: list[Tensor], rhos: list[Tensor]) -> list[Tensor]:
    """One draw of independent normal variables, in tensors of the shapes of their means and log standard deviations."""
    return [*_Draw.apply(len(means), *means, *rhos)]


class _Draw(torch.autograd.Function):
    """mean + exp(rho) N(0, 1); what was added to the mean is its gradient by rho."""

    @staticmethod
    def forward(ctx: Any, n: int, *parts: Tensor) -> tuple[Tensor, ...]:
        means, rhos = parts[:n], parts[n:]
        sizes = [mean.numel() for mean in means]
        noise = normals((sum(sizes),), means[0]).split(sizes)
        added = [rho.exp().mul_(z.view(rho.shape)) for rho, z in zip(rhos, noise, strict=True)]
        ctx.save_for_backward(*added)
        return tuple(mean + more for mean, more in zip(means, added, strict=True))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *by: Tensor) -> tuple[Tensor | None, ...]:
        return None, *by, *(one * more for one, more in zip(by, ctx.saved_tensors, strict=True))
