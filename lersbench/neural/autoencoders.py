"""Autoencoders that make a short code of a customer's context: a plain one, and a variational one.

Source: the livestream study (2022, doi 10.6814/NCCU202201098), section 4.6; the variational one is Kingma and Welling
2014 (arXiv 1312.6114).
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, mse_loss

HIDDEN = (256, 128, 64)  # of the plain one, from the context to the code
VARIATIONAL_HIDDEN = 256


class Coded(NamedTuple):
    """The codes of n contexts."""

    code: Tensor  # (n, size)
    kl: Tensor  # () mean over the contexts of KL(code | context || N(0, I)); 0 for the plain one


class AutoEncoder(nn.Module):
    """context -> 256 -> 128 -> 64 -> code -> 64 -> 128 -> 256 -> context, tanh between the layers.

    With `tanh_output` the reconstruction ends in tanh too, as published: it then reaches no feature beyond +-1.
    """

    def __init__(self, width: int, size: int = 20, *, tanh_output: bool = False) -> None:
        super().__init__()
        down, up = (width, *HIDDEN, size), (size, *reversed(HIDDEN), width)
        self.encoder, self.decoder = _layers(down), _layers(up)
        if tanh_output:
            self.decoder.append(nn.Tanh())

    def encode(self, context: Tensor) -> Coded:
        """The code of each context (n, width)."""
        return self.coded(self.read(context))

    def read(self, context: Tensor) -> Tensor:
        """What codes are made of, without chance: the code itself."""
        return through(self.encoder, context)

    def coded(self, read: Tensor) -> Coded:
        """The codes of what was read."""
        return Coded(read, read.new_zeros(()))

    def loss(self, context: Tensor, coded: Coded) -> Tensor:
        """Mean squared error of the reconstruction; the context itself is taken as given."""
        return mse_loss(through(self.decoder, coded.code), context.detach())


class VariationalAutoEncoder(nn.Module):
    """context -> 256 (ReLU) -> mean and log variance of the code -> 256 (tanh) -> context.

    A code is always a sample, mean + weight_eps * sd * N(0, I): the "blurry context". The loss is the mean squared
    error plus `kl_weight` times the KL divergence. That is the variational bound for noise of variance
    width * kl_weight / 2 on each feature: at the published kl_weight = 1 nearly all of a standardised context counts
    as noise, and codes may come to say nothing of it; 2 / width is the bound for noise of variance 1.
    """

    def __init__(
        self, width: int, size: int = 20, *, weight_eps: float = 1.0, kl_weight: float = 1.0, tanh_output: bool = False
    ) -> None:
        super().__init__()
        self.weight_eps, self.kl_weight = weight_eps, kl_weight
        self.encoder = nn.Sequential(nn.Linear(width, VARIATIONAL_HIDDEN), nn.ReLU())
        self.moments = nn.Linear(VARIATIONAL_HIDDEN, 2 * size)
        self.decoder = _layers((size, VARIATIONAL_HIDDEN, width))
        if tanh_output:
            self.decoder.append(nn.Tanh())

    def encode(self, context: Tensor) -> Coded:
        """A code of each context (n, width), drawn anew at every call."""
        return self.coded(self.read(context))

    def read(self, context: Tensor) -> Tensor:
        """What codes are made of, without chance: means and log variances (n, 2 size) side by side."""
        return self.moments(self.encoder(context))

    def coded(self, read: Tensor) -> Coded:
        """Codes of what was read, drawn anew at every call."""
        mean, log_variance = read.chunk(2, 1)
        noise = torch.randn_like(mean) * self.weight_eps
        return Coded(mean + (log_variance / 2).exp() * noise, normal_kl(mean, log_variance))

    def loss(self, context: Tensor, coded: Coded) -> Tensor:
        return mse_loss(through(self.decoder, coded.code), context.detach()) + self.kl_weight * coded.kl


def normal_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, I)) of each row (n, size), mean over rows: appendix B of Kingma and Welling."""
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2


def through(layers: nn.Sequential, x: Tensor) -> Tensor:
    """What the layers of `_layers` make of `x`: a call of a module takes longer than so small a layer."""
    for layer in layers:
        x = linear(x, layer.weight, layer.bias) if isinstance(layer, nn.Linear) else x.tanh()
    return x


def _layers(widths: tuple[int, ...]) -> nn.Sequential:
    made: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        made += [nn.Linear(n_in, n_out), nn.Tanh()]
    return nn.Sequential(*made[:-1])
