"""What several neural policies are built of: a small network with closed-form gradients, and a memory of rewards."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lersbench.neural.descent import adam_step
from lersbench.neural.draws import kept


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
        self.m, self.hidden = m, hidden
        first, second = 1 / math.sqrt(max(1, m)), 1 / math.sqrt(hidden)
        theta = torch.empty(hidden * (m + 2) + 1)  # (P,)
        theta[: -hidden - 1].uniform_(-first, first)
        theta[-hidden - 1 :].uniform_(-second, second)
        self.theta = nn.Parameter(theta, requires_grad=False)
        self.register_buffer("moments", torch.zeros(2, self.theta.numel()))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def parts(self, flat: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Views [W b] (H, m + 1), v (H,) and c (1,) of a vector like theta."""
        return flat[: -self.hidden - 1].view(self.hidden, -1), flat[-self.hidden - 1 : -1], flat[-1:]

    def forward(self, x: Tensor) -> Tensor:
        """The outputs (n,) of `x` (n, m)."""
        return self.with_gradients(x)[0]

    def with_gradients(self, x: Tensor) -> tuple[Tensor, Gradients]:
        """The outputs (n,) of `x` (n, m), and their gradients by theta."""
        first, second, last = self.parts(self.theta)
        x = with_one(x)
        h = x @ first.T
        r = h.relu()
        return torch.mv(r, second) + last, Gradients(x, second * (h > 0), with_one(r))

    def fit(self, x: Tensor, y: Tensor, epochs: int, learning_rate: float, dropout: float) -> None:
        """So many steps of Adam on mean (f(x) - y)^2 over all of `x` (n, m), with dropout of hidden units."""
        factors = kept((epochs, len(x), self.hidden), dropout, x).unbind(0) if dropout else [None] * epochs
        slope, minus_y, (mean, square) = Slope(self, len(x), 1 / (1 - dropout)), -y, self.moments.unbind(0)
        slope.x.copy_(with_one(x))
        step = self.steps.float()
        for factor in factors:
            adam_step(self.theta, slope.at(minus_y, factor), mean, square, step.add_(1), learning_rate)
        self.steps += epochs

    def hidden_units(self, x: Tensor) -> Tensor:
        """(n, H) of `x` (n, m + 1), the last column 1, after their ReLU."""
        return (x @ self.parts(self.theta)[0].T).relu_()


class Slope:
    """The gradient of mean (f(x) - y)^2 over n rows by theta, in memory that serves step after step.

    `scale` is what dropout multiplies by the units that it keeps.
    """

    def __init__(self, net: OneHidden, n: int, scale: float = 1.0):
        new = net.theta.new_ones
        self.x, self.units, self.by_unit = new(n, net.m + 1), new(n, net.hidden + 1), new(n, net.hidden)
        self.gradient, self.scale, self.twice = torch.empty_like(net.theta), scale, 2 / n  # (P,)
        first, self.second, _ = net.parts(net.theta)
        self.r, self.first, self.tail = self.units[:, :-1], first.T, net.theta[-net.hidden - 1 :]
        self.of_first, self.of_tail = net.parts(self.gradient)[0], self.gradient[-net.hidden - 1 :]
        self.units_by_row = self.units.T  # of units after ReLU and dropout; the last is always 1

    def at(self, minus_y: Tensor, factor: Tensor | None = None) -> Tensor:
        """Of the rows `x` (n, m + 1), the last column 1, and -y (n,); `factor` (n, H) is what dropout multiplies by."""
        torch.mm(self.x, self.first, out=self.r).relu_()
        if factor is not None:
            self.r.mul_(factor)
        error = torch.addmv(minus_y, self.units, self.tail, beta=self.twice, alpha=self.twice)
        torch.mv(self.units_by_row, error, out=self.of_tail)
        torch.outer(error, self.second, out=self.by_unit)
        passed = torch.ops.aten.threshold_backward(self.by_unit, self.r, 0)  # 0 too where a unit was dropped
        torch.addmm(self.of_first, passed.T, self.x, beta=0, alpha=self.scale, out=self.of_first)
        return self.gradient


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
