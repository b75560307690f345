"""Policies written in PyTorch: `TorchPolicy` is the base for those of your own; the rest is what ours are built of."""

from lersbench.neural.adapter import TorchPolicy

__all__ = ["TorchPolicy"]
