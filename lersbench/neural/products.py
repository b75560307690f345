"""Products of matrices by oneDNN, where torch was built with it.

Torch's own products are MKL's, which on processors of other makers than Intel leaves half their width unused: scoring
200 products took 1.8 times as long. oneDNN is also what torch's compiler calls. Gradients do not pass through.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

WORK = 2_000_000  # multiplications from which oneDNN is faster
NARROW = 16  # rows or columns: with fewer it never is


@cache
def _has_onednn() -> bool:
    return bool(torch.backends.mkldnn.is_available()) and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _is_for_onednn(x: Tensor, weights: Tensor) -> bool:
    (n, inner), outer = x.shape, weights.shape[1]
    wide = n * inner * outer >= WORK and min(n, inner, outer) >= NARROW
    return wide and x.device.type == "cpu" and x.dtype == torch.float32 and _has_onednn()


def product(x: Tensor, weights: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W (n, n_out) of `x` (n, n_in) and `weights` (n_in, n_out), plus `bias` (n_out,) where there is one."""
    if _is_for_onednn(x, weights):
        return _by_onednn(x, weights, bias, "none")
    return x @ weights if bias is None else torch.addmm(bias, x, weights)


def product_relu(x: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
    """relu(x W + b), likewise."""
    if _is_for_onednn(x, weights):
        return _by_onednn(x, weights, bias, "relu")
    return torch.addmm(bias, x, weights).relu_()


def _by_onednn(x: Tensor, weights: Tensor, bias: Tensor | None, then: str) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(_dense(x), _dense(weights.T), bias, then, [], "")


def _dense(matrix: Tensor) -> Tensor:
    """The matrix by itself: a part of another, whose rows lie apart, takes oneDNN a hundred times as long."""
    return matrix if matrix.is_contiguous() or matrix.T.is_contiguous() else matrix.contiguous()
