"""g' Z^-1 g of the gradients of candidates, where Z = ridge I + sum of g g' / H over the gradients of what was shown.

Zhou et al. 2020, algorithm 1 (arXiv 1911.04462); H is the number of hidden units. The full matrix takes the
cheaper of two exact forms. With t gradients shown, the rows of G (t, P), and K = H ridge I + G G' = L L',

    g' Z^-1 g = (g'g - |L^-1 G g|^2) / ridge,

which costs t^2 a candidate and, because inner products of gradients factor (`one_hidden.Gradients.inner`), never needs
the P numbers of a gradient. L^-1 grows by a row a gradient. From t^2 = 2 P^2 on the P x P matrix Z^-1 is cheaper.

L^-1 itself is kept, for a product is several times as fast as solving by L. It loses no digits that matter, since no
eigenvalue of K is below H ridge.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from lersbench.neural.one_hidden import Gradients

BLOCK = 128  # rows of L^-1 that are multiplied together, without the zeros to their right
REBUILD = 32  # gradients at once from which Z^-1 is computed anew instead of updated one by one
REFRESH = 1000  # updates of Z^-1 after which it is computed anew, so that rounding errors don't pile up


class Diagonal(nn.Module):
    """Z without what lies off its diagonal: Z_p = ridge + sum of g_p^2 / H. A candidate costs no more than its score.

    The authors' code keeps a diagonal too, but U_p = lambda + sum of g_p^2, without 1 / H, and its width is
    sqrt(sum_p lambda nu g_p^2 / U_p). Here alpha sqrt(sum_p g_p^2 / Z_p / H), the full matrix's scale, is of the same
    value where H ridge = lambda and alpha^2 = lambda nu.
    """

    total: Tensor  # (P,) the diagonal
    depth = 1

    def __init__(self, m: int, hidden: int, ridge: float):
        super().__init__()
        self.m, self.hidden = m, hidden
        self.register_buffer("total", torch.full((hidden * (m + 2) + 1,), ridge))

    def squares(self, g: Gradients) -> Tensor:
        """g' Z^-1 g (n,): sum over units h of a_h^2 (sum_j x_j^2 / Z_hj), plus that of r."""
        inverse = 1 / self.total
        of_first = inverse[: -self.hidden - 1].view(self.hidden, self.m + 1)
        per_unit = g.x.square() @ of_first.T
        return (per_unit * g.a.square()).sum(1) + g.r.square() @ inverse[-self.hidden - 1 :]

    def add(self, g: Gradients) -> None:
        """Count gradients that were shown."""
        of_first = g.a.square().T @ g.x.square()
        self.total += torch.cat([of_first.flatten(), g.r.square().sum(0)]) / self.hidden


class Full(nn.Module):
    """The whole matrix Z, as the inverse of the factor L while few gradients were shown, as Z^-1 after."""

    shown: Tensor  # (room, m + 2 H + 2) the factors x, a, r of the gradients, t of them in use
    M: Tensor  # (room, room) L^-1, lower triangular, t x t in use
    Z: Tensor  # (P, P), empty in the first form
    inverse: Tensor  # (P, P) Z^-1, empty in the first form

    def __init__(self, m: int, hidden: int, ridge: float):
        super().__init__()
        self.m, self.hidden, self.ridge = m, hidden, ridge
        self.parameters_of_net = hidden * (m + 2) + 1
        self.t, self.updates = 0, 0
        for name, shape in (("shown", (0, m + 2 * hidden + 2)), ("M", (0, 0)), ("Z", (0, 0)), ("inverse", (0, 0))):
            self.register_buffer(name, torch.empty(shape), persistent=False)

    @property
    def depth(self) -> int:
        """Multiplications for a candidate, as a multiple of P."""
        return self.parameters_of_net if len(self.inverse) else 1 + self.t**2 // (2 * self.parameters_of_net)

    def squares(self, g: Gradients) -> Tensor:
        """g' Z^-1 g (n,)."""
        if len(self.inverse):
            rows = g.rows()
            return ((rows @ self.inverse) * rows).sum(1).clamp_min_(0)
        whole = g.squares()
        return self._left(g, whole) / self.ridge

    def _left(self, g: Gradients, whole: Tensor) -> Tensor:
        """g'g - |L^-1 G g|^2, the part (n,) of the squares `whole` that was not seen yet; not below 0."""
        if self.t == 0:
            return whole
        return (whole - self._solve(g).square_().sum(0)).clamp_min_(0)

    def _solve(self, g: Gradients) -> Tensor:
        """L^-1 G g (t, n)."""
        v = self._gradients().inner(g)
        solved = torch.empty_like(v)
        for lo in range(0, self.t, BLOCK):
            hi = min(lo + BLOCK, self.t)
            torch.mm(self.M[lo:hi, :hi], v[:hi], out=solved[lo:hi])
        return solved

    def _gradients(self) -> Gradients:
        return Gradients(*self.shown[: self.t].split([self.m + 1, self.hidden, self.hidden + 1], 1))

    def add(self, g: Gradients) -> None:
        """Count gradients that were shown."""
        n = len(g.x)
        if not len(self.inverse) and (self.t + n) ** 2 > 2 * self.parameters_of_net**2:
            self._turn()
        if len(self.inverse):
            self._add_to_inverse(g.rows() / math.sqrt(self.hidden))
        else:
            for k in range(n):
                self._append(g.take(slice(k, k + 1)))

    def _append(self, g: Gradients) -> None:
        if self.t == len(self.M):
            self._claim(2 * self.t + 64)
        column, whole = self._solve(g)[:, 0], g.squares()[0]
        self.shown[self.t] = torch.cat([part[0] for part in g])
        last = (whole - column.dot(column)).clamp_min_(0).add_(self.hidden * self.ridge).sqrt_()  # of the row of L
        torch.mv(self.M[: self.t, : self.t].T, column / -last, out=self.M[self.t, : self.t])
        self.M[self.t, self.t] = 1 / last
        self.t += 1

    def _claim(self, room: int) -> None:
        shown, M = self.shown.new_zeros(room, self.shown.shape[1]), self.M.new_zeros(room, room)
        shown[: self.t], M[: self.t, : self.t] = self.shown[: self.t], self.M[: self.t, : self.t]
        self.shown, self.M = shown, M

    def _turn(self) -> None:
        """Go over to the second form."""
        rows = self._gradients().rows()
        self.Z = rows.T @ rows / self.hidden
        self.Z.diagonal().add_(self.ridge)
        self._invert()
        self.shown, self.M, self.t = self.shown[:0], self.M[:0, :0], 0

    def _invert(self) -> None:
        self.inverse = torch.cholesky_inverse(torch.linalg.cholesky(self.Z))
        self.updates = 0

    def _add_to_inverse(self, rows: Tensor) -> None:
        """Add `rows` (n, P) to Z, and to Z^-1 by Sherman and Morrison's formula where that is less work."""
        self.Z.addmm_(rows.T, rows)
        self.updates += len(rows)
        if len(rows) >= REBUILD or self.updates >= REFRESH:
            self._invert()
            return
        for row in rows:
            v = self.inverse @ row
            self.inverse.addr_(v, v, alpha=-1 / (1 + float(v.dot(row))))

    def get_extra_state(self) -> Any:
        held = {name: getattr(self, name) for name in ("Z", "inverse")}
        held |= {"shown": self.shown[: self.t].clone(), "M": self.M[: self.t, : self.t].clone()}
        return held | {"updates": self.updates, "room": len(self.M)}

    def set_extra_state(self, state: Any) -> None:
        for name in ("Z", "inverse"):
            setattr(self, name, state[name].to(self.Z))
        self.t, self.updates = 0, state["updates"]
        self._claim(state["room"])  # the room it had: torch's kernels round by where numbers lie
        self.t = len(state["M"])
        self.shown[: self.t], self.M[: self.t, : self.t] = state["shown"].to(self.Z), state["M"].to(self.Z)
