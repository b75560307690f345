"""Adam and RMSProp, with the steps of torch.optim but not its wrapper.

The first optimizer of torch.optim that a process makes imports torch's compiler, a second or more of processor time in
every worker; and on networks as small as these its bookkeeping takes as long as a step.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Optimizer(Protocol):
    """What the adapter asks of an optimizer: torch.optim's have it too."""

    def zero_grad(self) -> Any:
        """Forget the gradients."""

    def step(self) -> Any:
        """Change the parameters by their gradients."""

    def state_dict(self) -> Any:
        """What goes into a file."""

    def load_state_dict(self, state_dict: Any) -> Any:
        """Take over what came from a file."""


class Adam:
    """Adam (Kingma and Ba 2015, algorithm 1, arXiv 1412.6980), all parameters by one call of torch's fused kernel.

    A parameter without a gradient is left as it is, and its steps are not counted.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        self.parameters, self.lr, self.betas, self.eps = [*parameters], lr, betas, eps
        self.means = [torch.zeros_like(p) for p in self.parameters]
        self.squares = [torch.zeros_like(p) for p in self.parameters]
        self.steps = [torch.zeros((), dtype=torch.float32, device=p.device) for p in self.parameters]

    def zero_grad(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        rows = zip(self.parameters, self.means, self.squares, self.steps, strict=True)
        moved = [(p, p.grad, *rest) for p, *rest in rows if p.grad is not None]
        if not moved:
            return
        parameters, gradients, means, squares, steps = (list(part) for part in zip(*moved, strict=True))
        torch._foreach_add_(steps, 1)
        _adam(parameters, gradients, means, squares, steps, self.lr, self.betas, self.eps)

    def state_dict(self) -> dict[str, Any]:
        return {"means": self.means, "squares": self.squares, "steps": self.steps}

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name in ("means", "squares", "steps"):
            for mine, kept in zip(getattr(self, name), state_dict[name], strict=True):
                mine.copy_(kept)


def adam_step(theta: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, step: Tensor, lr: float) -> None:
    """Step number `step` (), float32 and from 1, of Adam on a flat `theta` (P,) and its moments (P,), in place."""
    _adam([theta], [gradient], [mean], [square], [step], lr, (0.9, 0.999), 1e-8)


def _adam(
    parameters: list[Tensor],
    gradients: list[Tensor],
    means: list[Tensor],
    squares: list[Tensor],
    steps: list[Tensor],
    lr: float,
    betas: tuple[float, float],
    eps: float,
) -> None:
    torch._fused_adam_(
        parameters,
        gradients,
        means,
        squares,
        [],
        steps,
        lr=lr,
        beta1=betas[0],
        beta2=betas[1],
        weight_decay=0.0,
        eps=eps,
        amsgrad=False,
        maximize=False,
    )


class RMSProp:
    """RMSProp (Tieleman and Hinton 2012, lecture 6e) of one flat parameter (P,), with the defaults of torch's own.

    Its `lr` may be set before a step.
    """

    def __init__(self, theta: Tensor, lr: float, alpha: float = 0.99, eps: float = 1e-8) -> None:
        self.theta, self.lr, self.alpha, self.eps = theta, lr, alpha, eps
        self.squares = torch.zeros_like(theta)

    def zero_grad(self) -> None:
        self.theta.grad = None

    @torch.no_grad()
    def step(self) -> None:
        gradient = self.theta.grad
        assert gradient is not None
        self.squares.mul_(self.alpha).addcmul_(gradient, gradient, value=1 - self.alpha)
        self.theta.addcdiv_(gradient, self.squares.sqrt().add_(self.eps), value=-self.lr)

    def state_dict(self) -> dict[str, Any]:
        return {"squares": self.squares}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.squares.copy_(state_dict["squares"])
