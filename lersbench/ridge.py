"""A bank of ridge regressions, one an arm, that all see the same context.

Arm a's estimate is theta_a = A_a^-1 sum r x with A_a = ridge I + sum x x' over its own observations. Both are
kept by recursive least squares: with v = A_a^-1 x, A_a^-1 loses w w', w = v / sqrt(1 + x'v) (Sherman
and Morrison 1950), and theta_a gains v (r - x'theta_a) / (1 + x'v).

An arm with few observations is *sparse*: A_a^-1 = I / ridge - sum w w' is kept as its few vectors w, so a
bank of many hardly used arms costs as little as what was observed. From d / 2 observations on the
arm is *dense*: a packed matrix costs less than the vectors.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lersbench.jit import kernel
from lersbench.packed import packed_size, products, subtract, times, twice, unpack
from lersbench.simd import LANES, aligned, lane_sums, padded, row_dots

DENSE, COLUMNS = range(2)


class Bank(NamedTuple):
    """Learned in place. "Lanes": column c of the (d, columns) matrix is at [c // 8, 8 i + c % 8], row i."""

    ridge: np.ndarray  # (1,)
    theta: np.ndarray  # (ceil(n_arms / 8), 8 d) lanes, the estimates
    used: np.ndarray  # (2,) int64: rows of `matrices`, columns of `vectors` in use
    matrices: np.ndarray  # (n_arms, d (d + 1) / 2 padded) packed A^-1 of the dense arms, in the order they became dense
    row: np.ndarray  # (n_arms,) int64 row of the arm in `matrices`, -1 while it is sparse
    arm: np.ndarray  # (n_arms,) int64 arm of each row
    vectors: np.ndarray  # (ceil(columns / 8), 8 d) lanes, the w of the sparse arms
    owner: np.ndarray  # (columns,) int64 arm of each column
    place: np.ndarray  # (columns,) int64 and its place among the arm's own
    own: np.ndarray  # (n_arms, d / 2) int64 columns of each sparse arm
    owned: np.ndarray  # (n_arms,) int64 their number
    xx: np.ndarray  # (2 d,) working memory, like all below: the context two times over
    z: np.ndarray  # (d (d + 1) / 2 padded,) products of the context
    vv: np.ndarray  # (2 d,)
    ww: np.ndarray  # (2 d,)
    dots: np.ndarray  # (n_arms or columns, whichever is more,)


def new_bank(n_arms: int, d: int, ridge: float) -> Bank:
    """A bank without observations. Memory is reserved for all arms, but touched only as they are observed."""
    few = max(1, d // 2)
    columns = padded(n_arms * few)
    return Bank(
        np.array([ridge]),
        aligned((padded(n_arms) // LANES, LANES * d)),
        np.zeros(2, np.int64),
        aligned((n_arms, padded(packed_size(d))), fill=None),
        np.full(n_arms, -1),
        np.zeros(n_arms, np.int64),
        aligned((columns // LANES, LANES * d), fill=None),
        np.zeros(columns, np.int64),
        np.zeros(columns, np.int64),
        np.zeros((n_arms, few), np.int64),
        np.zeros(n_arms, np.int64),
        np.zeros(2 * d),
        aligned((padded(packed_size(d)),)),
        np.zeros(2 * d),
        np.zeros(2 * d),
        aligned((columns,)),
    )


@kernel
def squared(x: np.ndarray) -> float:
    """x'x."""
    total = 0.0
    for i in range(x.shape[0]):
        total += x[i] * x[i]
    return total


@kernel
def means(bank: Bank, x: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (n_arms, padded) with theta_a'x."""
    lane_sums(x, bank.theta, bank.theta.shape[0], out)


@kernel
def quadratics(bank: Bank, x: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (n_arms, padded) with x'A_a^-1 x."""
    prior = squared(x) / bank.ridge[0]
    for a in range(out.shape[0]):
        out[a] = prior
    columns, rows, dots = bank.used[COLUMNS], bank.used[DENSE], bank.dots
    if columns > 0:
        lane_sums(x, bank.vectors, (columns + LANES - 1) // LANES, dots)
        for c in range(columns):
            out[bank.owner[c]] -= dots[c] * dots[c]
    if rows > 0:
        twice(x, bank.xx)
        products(bank.xx, bank.z)
        row_dots(bank.matrices, 0, rows, bank.z, dots)
        for r in range(rows):
            out[bank.arm[r]] = dots[r]


@kernel
def mean(bank: Bank, arm: int, x: np.ndarray) -> float:
    """theta_a'x of one arm."""
    block, lane, total = arm // LANES, arm % LANES, 0.0
    for i in range(x.shape[0]):
        total += x[i] * bank.theta[block, LANES * i + lane]
    return total


@kernel
def prepare(bank: Bank, x: np.ndarray) -> None:
    """Multiply out the context for calls of `quadratic` that follow."""
    twice(x, bank.xx)
    products(bank.xx, bank.z)


@kernel
def quadratic(bank: Bank, arm: int, x: np.ndarray) -> float:
    """x'A_a^-1 x of one arm, after `prepare` for the same x."""
    row = bank.row[arm]
    if row >= 0:
        row_dots(bank.matrices, row, row + 1, bank.z, bank.dots)
        return bank.dots[0]
    total = squared(x) / bank.ridge[0]
    for j in range(bank.owned[arm]):
        s = along(bank, bank.own[arm, j], x)
        total -= s * s
    return total


@kernel
def along(bank: Bank, column: int, x: np.ndarray) -> float:
    """w'x of one column."""
    block, lane, total = column // LANES, column % LANES, 0.0
    for i in range(x.shape[0]):
        total += x[i] * bank.vectors[block, LANES * i + lane]
    return total


@kernel
def observe(bank: Bank, arm: int, x: np.ndarray, reward: float) -> None:
    """Learn that `arm` brought `reward` in the context `x` (d,)."""
    d, vv, ww = x.shape[0], bank.vv, bank.ww
    twice(x, bank.xx)
    if bank.row[arm] < 0 and bank.owned[arm] == bank.own.shape[1]:
        _make_dense(bank, arm, d)
    _times(bank, arm, x)
    scale = 1.0
    for i in range(d):
        scale += x[i] * vv[i]
    error = (reward - mean(bank, arm, x)) / scale
    root = math.sqrt(scale)
    block, lane = arm // LANES, arm % LANES
    for i in range(d):
        bank.theta[block, LANES * i + lane] += vv[i] * error
        ww[i] = vv[i] / root
        ww[i + d] = ww[i]
    if bank.row[arm] >= 0:
        subtract(bank.matrices, bank.row[arm], ww)
    else:
        _add_column(bank, arm, ww, d)


@kernel
def _times(bank: Bank, arm: int, x: np.ndarray) -> None:
    """Leave A_a^-1 x in `bank.vv`; `bank.xx` holds x."""
    if bank.row[arm] >= 0:
        times(bank.matrices, bank.row[arm], bank.xx, bank.vv)
        return
    for i in range(x.shape[0]):
        bank.vv[i] = x[i] / bank.ridge[0]
    for j in range(bank.owned[arm]):
        column = bank.own[arm, j]
        s, block, lane = along(bank, column, x), column // LANES, column % LANES
        for i in range(x.shape[0]):
            bank.vv[i] -= s * bank.vectors[block, LANES * i + lane]


@kernel
def _add_column(bank: Bank, arm: int, w: np.ndarray, d: int) -> None:
    column = bank.used[COLUMNS]
    for i in range(d):
        bank.vectors[column // LANES, LANES * i + column % LANES] = w[i]
    bank.owner[column], bank.place[column] = arm, bank.owned[arm]
    bank.own[arm, bank.owned[arm]] = column
    bank.owned[arm] += 1
    bank.used[COLUMNS] += 1


@kernel
def _make_dense(bank: Bank, arm: int, d: int) -> None:
    """Multiply out the arm's columns, and fill the gaps they leave with the last columns."""
    row = bank.used[DENSE]
    for p in range(bank.matrices.shape[1]):
        bank.matrices[row, p] = 1.0 / bank.ridge[0] if p < d else 0.0
    while bank.owned[arm] > 0:
        bank.owned[arm] -= 1
        column = bank.own[arm, bank.owned[arm]]
        for i in range(d):
            bank.ww[i] = bank.vectors[column // LANES, LANES * i + column % LANES]
            bank.ww[i + d] = bank.ww[i]
        subtract(bank.matrices, row, bank.ww)
        _drop_column(bank, column, d)
    bank.row[arm], bank.arm[row] = row, arm
    bank.used[DENSE] += 1


@kernel
def _drop_column(bank: Bank, column: int, d: int) -> None:
    bank.used[COLUMNS] -= 1
    last = bank.used[COLUMNS]
    if last == column:
        return
    for i in range(d):
        moved = bank.vectors[last // LANES, LANES * i + last % LANES]
        bank.vectors[column // LANES, LANES * i + column % LANES] = moved
    bank.owner[column], bank.place[column] = bank.owner[last], bank.place[last]
    bank.own[bank.owner[column], bank.place[column]] = column


def inverse(bank: Bank, arm: int) -> np.ndarray:
    """The (d, d) matrix A_a^-1, in full."""
    d = bank.xx.shape[0] // 2
    if bank.row[arm] >= 0:
        return unpack(bank.matrices[bank.row[arm]], d)
    full = np.eye(d) / bank.ridge[0]
    for column in bank.own[arm, : bank.owned[arm]]:
        w = bank.vectors[column // LANES, column % LANES :: LANES]
        full -= np.outer(w, w)
    return full


def estimates(bank: Bank) -> np.ndarray:
    """theta of all arms, (n_arms, d)."""
    blocks, d = bank.theta.shape[0], bank.xx.shape[0] // 2
    return bank.theta.reshape(blocks, d, LANES).transpose(0, 2, 1).reshape(blocks * LANES, d)[: bank.row.shape[0]]
