"""What several neural policies are built of: a small network with closed-form gradients, and a memory of rewards."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

BETAS, EPSILON = (0.9, 0.999), 1e-8  # of Adam


class Gradients(NamedTuple):
    """The gradients of n outputs of `OneHidden`, as factors: a row is (a_1 x, ..., a_H x, r)."""

    x: Tensor  # (n, m + 1) inputs, the last column 1
    a: Tensor  # (n, H) derivative of the output by the hidden units before their ReLU
    r: Tensor  # (n, H + 1) hidden units after it, the last column 1

    def rows(self) -> Tensor:
        """All of them (n, P), in the order of `OneHidden.theta`."""
        return torch.cat([(self.a[:, :, None] * self.x[:, None]).flatten(1), self.r], 1)

    def inner(self, other: Gradients) -> Tensor:
        """The inner products (n, n'): (x'x')(a'a') + r'r', P multiplications less 2 H + m."""
        return torch.addcmul(self.r @ other.r.T, self.x @ other.x.T, self.a @ other.a.T)

    def squares(self) -> Tensor:
        """The squared lengths (n,)."""
        return self.x.square().sum(1) * self.a.square().sum(1) + self.r.square().sum(1)

    def take(self, at: slice) -> Gradients:
        return Gradients(*(part[at] for part in self))


class OneHidden(nn.Module):
    """f(x) = v' relu(W x + b) + c, trained by Adam on the mean square of its errors, everything in closed form.

    At this size autograd and torch's optimizers spend nearly all their time on bookkeeping; ten steps on a hundred
    rows cost 1 ms here. All parameters are one vector: theta = (rows of [W b], v, c).
    """

    moments: Tensor  # (2, P) of Adam
    steps: Tensor  # () taken so far

    def __init__(self, m: int, hidden: int):
        super().__init__()
        self.hidden = hidden
        first, second = 1 / math.sqrt(max(1, m)), 1 / math.sqrt(hidden)
        theta = torch.empty(hidden * (m + 2) + 1)  # (P,)
        theta[: -hidden - 1].uniform_(-first, first)
        theta[-hidden - 1 :].uniform_(-second, second)
        self.theta = nn.Parameter(theta, requires_grad=False)
        self.register_buffer("moments", torch.zeros(2, self.theta.numel()))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def _parts(self, flat: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Views [W b] (H, m + 1), v (H,) and c (1,) of a vector like theta."""
        return flat[: -self.hidden - 1].view(self.hidden, -1), flat[-self.hidden - 1 : -1], flat[-1:]

    def forward(self, x: Tensor) -> Tensor:
        """The outputs (n,) of `x` (n, m)."""
        return self.with_gradients(x)[0]

    def with_gradients(self, x: Tensor) -> tuple[Tensor, Gradients]:
        """The outputs (n,) of `x` (n, m), and their gradients by theta."""
        first, second, last = self._parts(self.theta)
        x = with_one(x)
        h = x @ first.T
        r = h.relu()
        return torch.mv(r, second) + last, Gradients(x, second * (h > 0), with_one(r))

    def fit(self, x: Tensor, y: Tensor, epochs: int, learning_rate: float, dropout: float) -> None:
        """So many steps of Adam on mean (f(x) - y)^2 over all of `x` (n, m), with dropout of hidden units."""
        first, second, last = self._parts(self.theta)
        gradient = torch.empty_like(self.theta)
        of_first, of_second, of_last = self._parts(gradient)
        x = with_one(x)
        keep = x.new_empty(epochs, x.shape[0], self.hidden).bernoulli_(1 - dropout).div_(1 - dropout)
        step = int(self.steps)
        self.steps += epochs
        for kept in keep:
            h = x @ first.T
            kept = kept.mul_(h > 0)
            r = h.mul_(kept)
            error = torch.addmv(-y, r, second).add_(last).mul_(2 / len(x))
            torch.mv(r.T, error, out=of_second)
            of_last.copy_(error.sum())
            torch.mm(kept.mul_(second).mul_(error[:, None]).T, x, out=of_first)
            step += 1
            self._descend(gradient, step, learning_rate)

    def _descend(self, gradient: Tensor, step: int, learning_rate: float) -> None:
        """A step of Adam (Kingma and Ba 2015, algorithm 1)."""
        mean, square = self.moments
        mean.lerp_(gradient, 1 - BETAS[0])
        square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        spread = (square / (1 - BETAS[1] ** step)).sqrt_().add_(EPSILON)
        self.theta.addcdiv_(mean, spread, value=-learning_rate / (1 - BETAS[0] ** step))


def with_one(x: Tensor) -> Tensor:
    """`x` (n, m) with a last column of ones."""
    return torch.cat([x, x.new_ones(len(x), 1)], 1)


class Memory(nn.Module):
    """The last `window` observations (inputs and reward), as tensors that grow as needed."""

    def __init__(self, width: int, window: int):
        super().__init__()
        self.window, self.width, self.first, self.end = window, width, 0, 0
        self.register_buffer("kept", torch.empty(0, width + 1), persistent=False)

    kept: Tensor  # (room, width + 1), of which first..end are in use

    def __len__(self) -> int:
        return self.end - self.first

    @property
    def x(self) -> Tensor:
        """(n, width), oldest first."""
        return self.kept[self.first : self.end, :-1]

    @property
    def y(self) -> Tensor:
        """(n,)"""
        return self.kept[self.first : self.end, -1]

    def add(self, x: Tensor, y: Tensor) -> None:
        """Append `x` (n, width) and `y` (n,); forget what falls out of the window.

        What comes at once is equally new: of more than fit, as many are drawn. The last would be the last candidates.
        """
        new = torch.cat([x, y[:, None]], 1)
        if len(new) > self.window:
            drawn = torch.randperm(len(new), device=new.device)[: self.window]
            new = new[drawn.sort().values]
        if self.end + len(new) > len(self.kept):
            self._replace(self.kept[self.first : self.end], room=2 * (len(self) + len(new)))
        self.kept[self.end : self.end + len(new)] = new
        self.end += len(new)
        self.first = max(self.first, self.end - self.window)

    def some(self, n: int) -> tuple[Tensor, Tensor]:
        """A mini-batch of n observations, drawn with replacement: (n, width) and (n,)."""
        chosen = torch.randint(self.first, self.end, (n,), device=self.kept.device)
        return self.kept[chosen, :-1], self.kept[chosen, -1]

    def _replace(self, rows: Tensor, room: int) -> None:
        kept = self.kept.new_zeros(room, self.width + 1)
        kept[: len(rows)] = rows
        self.kept, self.first, self.end = kept, 0, len(rows)

    def get_extra_state(self) -> Any:
        return {"kept": self.kept[self.first : self.end].clone(), "room": len(self.kept), "first": self.first}

    def set_extra_state(self, state: Any) -> None:
        # in the place it had: torch's kernels round by where numbers lie
        self._replace(self.kept[:0], state["room"])
        self.first, self.end = state["first"], state["first"] + len(state["kept"])
        self.kept[self.first : self.end] = state["kept"].to(self.kept)
