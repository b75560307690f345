"""The network of a recommender, with gradients in closed form: relu, relu, and one output, with dropout.

Autograd spends as long on the bookkeeping of so small a network as on its products.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lersbench.neural.draws import kept
from lersbench.neural.products import product, product_relu


def scores(x: Tensor, layers: Sequence[tuple[Tensor, Tensor]], rate: float) -> list[Tensor]:
    """The hidden units of the rows `x` (n, n_in), layer by layer and after dropout of a share `rate`, and at last the
    outputs (n,). Layers are weights (n_in, n_out) and biases (n_out,)."""
    return _rest([product_relu(x, *layers[0])], layers[1:], rate)


def _rest(units: list[Tensor], layers: Sequence[tuple[Tensor, Tensor]], rate: float) -> list[Tensor]:
    """The same, after the first layer."""
    for weights, bias in layers[:-1]:
        units.append(product_relu(_dropped(units[-1], rate), weights, bias))
    weights, bias = layers[-1]
    return [*units, torch.addmv(bias, _dropped(units[-1], rate), weights[:, 0])]


def _dropped(h: Tensor, rate: float) -> Tensor:
    return h.mul_(kept(h.shape, rate, h)) if rate else h


class ThreeLayers(torch.autograd.Function):
    """The logits (n,) of n products (n, q), each for its code (B, size): row `of` (n,), or the only one."""

    @staticmethod
    def forward(ctx: Any, rate: float, of: Tensor | None, products: Tensor, code: Tensor, *flat: Tensor) -> Tensor:
        (weights, bias), *rest = zip(flat[::2], flat[1::2], strict=True)
        size = code.shape[1]
        customers = torch.addmm(bias, code, weights[:size])
        if of is None:
            first = product_relu(products, weights[size:], customers[0])
        else:
            first = (customers[of] + product(products, weights[size:])).relu_()
        h, g, logits = _rest([first], rest, rate)
        ctx.save_for_backward(products, code, h, g, weights, rest[0][0], rest[1][0])
        ctx.of, ctx.factor = of, 1 / (1 - rate)
        return logits

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by: Tensor) -> tuple[Tensor | None, ...]:
        """A unit that was dropped is 0, as one that relu cut is: neither passes anything on."""
        products, code, h, g, first, second, third = ctx.saved_tensors
        size = code.shape[1]
        by_g = _through(by[:, None] * (third[:, 0] * ctx.factor), g)
        by_h = _through(product(by_g, second.T * ctx.factor), h)
        by_bias = by_h.sum(0)
        if ctx.of is None:
            by_customers = by_bias[None]
        else:
            by_customers = by_h.new_zeros(len(code), by_h.shape[1]).index_add_(0, ctx.of, by_h)
        by_first = torch.cat([code.T @ by_customers, product(products.T, by_h)])
        by_code = by_customers @ first[:size].T if ctx.needs_input_grad[3] else None
        layers = by_first, by_bias, product(h.T, by_g), by_g.sum(0), (by @ g)[:, None], by.sum()[None]
        return None, None, None, by_code, *layers


def _through(by: Tensor, h: Tensor) -> Tensor:
    """`by` where `h` is above 0, else 0."""
    return torch.ops.aten.threshold_backward(by, h, 0)
