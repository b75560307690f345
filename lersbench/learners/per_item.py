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

from lersbench.kernels.digits import STEEP, check, check_scale, new_probe
from lersbench.kernels.jit import inlined, kernel
from lersbench.kernels.symmetric import packed_size, products, take
from lersbench.kernels.vectors import LANES, aligned, lane_sums, padded, row_dots, take_outer

DENSE, COLUMNS = range(2)


class Bank(NamedTuple):
    """Learned in place. "Lanes": column c of a (d, columns) matrix is at [c // 8, 8 i + c % 8], row i."""

    ridge: np.ndarray  # (1,)
    theta: np.ndarray  # (ceil(n_arms / 8), 8 d) lanes, the estimates
    used: np.ndarray  # (2,) int64: dense arms, columns of `vectors` in use
    packed: np.ndarray  # (n_arms, packed_size padded) A^-1 of the dense arms, in the order they became dense
    inverse: np.ndarray  # (n_arms ceil(d / 8), 8 d) the same A^-1 in full, as lanes
    row: np.ndarray  # (n_arms,) int64 row of the arm in `symmetric`, -1 while it is sparse
    arm: np.ndarray  # (n_arms,) int64 arm of each row
    trace: np.ndarray  # (n_arms,) of A^-1
    spread: np.ndarray  # (n_arms,) sqrt(trace / d): a guess of sqrt(x'A^-1 x) for x'x = 1
    vectors: np.ndarray  # (ceil(columns / 8), 8 d) lanes, the w of the sparse arms
    owner: np.ndarray  # (columns,) int64 arm of each column
    place: np.ndarray  # (columns,) int64 and its place among the arm's columns
    columns: np.ndarray  # (n_arms, d / 2) int64 columns of each sparse arm
    n_columns: np.ndarray  # (n_arms,) int64 their number
    probe: np.ndarray  # (d,) see `digits`
    image: np.ndarray  # (n_arms, d) A_a probe of the arms that were observed
    reach: np.ndarray  # (n_arms,)
    xx: np.ndarray  # (2 d,) working memory, like all below
    z: np.ndarray  # (packed_size padded,)
    v: np.ndarray  # (d padded,)
    w: np.ndarray  # (d padded,), zero beyond d
    dots: np.ndarray  # (columns,)


def new_bank(n_arms: int, d: int, ridge: float) -> Bank:
    """A bank without observations. Memory is reserved for all arms, but touched only as they are observed."""
    few = max(1, d // 2)
    columns = padded(n_arms * few)
    return Bank(
        np.array([ridge]),
        aligned((padded(n_arms) // LANES, LANES * d)),
        np.zeros(2, np.int64),
        aligned((n_arms, padded(packed_size(d)))),
        aligned((n_arms * padded(d) // LANES, LANES * d)),
        np.full(n_arms, -1),
        np.zeros(n_arms, np.int64),
        np.full(n_arms, d / ridge),
        np.full(n_arms, math.sqrt(1.0 / ridge)),
        aligned((columns // LANES, LANES * d)),
        np.zeros(columns, np.int64),
        np.zeros(columns, np.int64),
        np.zeros((n_arms, few), np.int64),
        np.zeros(n_arms, np.int64),
        new_probe(d),
        np.zeros((n_arms, d)),
        np.zeros(n_arms),
        np.zeros(2 * d),
        aligned((padded(packed_size(d)),)),
        aligned((padded(d),)),
        aligned((padded(d),)),
        aligned((columns,)),
    )


@kernel
def means(bank: Bank, x: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (n_arms padded,) with theta_a'x."""
    lane_sums(x, bank.theta, 0, bank.theta.shape[0], out)


@kernel
def quadratics(bank: Bank, x: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (n_arms padded,) with x'A_a^-1 x."""
    prior = fast_dot(x, x) / bank.ridge[0]
    for a in range(out.shape[0]):
        out[a] = prior
    dense, columns, dots = bank.used[DENSE], bank.used[COLUMNS], bank.dots
    if columns > 0:
        lane_sums(x, bank.vectors, 0, (columns + LANES - 1) // LANES, dots)
        for c in range(columns):
            out[bank.owner[c]] -= dots[c] * dots[c]
    if dense > 0:
        twice(x, bank.xx)
        products(bank.xx, 1, bank.z)
        row_dots(bank.packed, 0, dense, bank.z, dots)
        for r in range(dense):
            out[bank.arm[r]] = dots[r]


@inlined
def twice(x: np.ndarray, xx: np.ndarray) -> None:
    """Fill `xx` (2 d,) with x (d,) two times over."""
    for i in range(x.shape[0]):
        xx[i] = x[i]
        xx[i + x.shape[0]] = x[i]


@inlined
def fast_dot(x: np.ndarray, y: np.ndarray) -> float:
    """x'y in four running sums, which do not wait for each other; `y` may be longer than `x`."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    whole = x.shape[0] // 4 * 4
    for i in range(0, whole, 4):
        a += x[i] * y[i]
        b += x[i + 1] * y[i + 1]
        c += x[i + 2] * y[i + 2]
        d += x[i + 3] * y[i + 3]
    for i in range(whole, x.shape[0]):
        a += x[i] * y[i]
    return (a + b) + (c + d)


@inlined
def column_dot(lanes: np.ndarray, column: int, x: np.ndarray) -> float:
    """x'y, y one column of `lanes`."""
    block, lane, total = column // LANES, column % LANES, 0.0
    for i in range(x.shape[0]):
        total += x[i] * lanes[block, LANES * i + lane]
    return total


@kernel
def quadratic(bank: Bank, arm: int, x: np.ndarray) -> float:
    """x'A_a^-1 x of one arm; equal to what `quadratics` gives up to rounding."""
    if bank.row[arm] >= 0:
        _dense_times(bank, bank.row[arm], x)
        return fast_dot(x, bank.v)
    total = fast_dot(x, x) / bank.ridge[0]
    for j in range(bank.n_columns[arm]):
        s = column_dot(bank.vectors, bank.columns[arm, j], x)
        total -= s * s
    return total


@inlined
def rounding(d: int, prior: float) -> float:
    """How far `quadratic` and `quadratics` can be apart by rounding: d^2 terms, each below d times x'x / ridge."""
    return float(d) ** 3 * 2.3e-16 * prior


@kernel
def largest(bank: Bank, arm: int) -> float:
    """An upper bound of the largest eigenvalue of A_a^-1: its largest sum of absolute values along a row."""
    if bank.row[arm] < 0:
        return 1.0 / bank.ridge[0]
    blocks, top = bank.v.shape[0] // LANES, 0.0
    for b in range(bank.row[arm] * blocks, (bank.row[arm] + 1) * blocks):
        for i in range(LANES):
            total = 0.0
            for p in range(bank.inverse.shape[1] // LANES):
                total += abs(bank.inverse[b, LANES * p + i])
            top = max(top, total)
    return top


@kernel
def observe(bank: Bank, arm: int, x: np.ndarray, reward: float) -> None:
    """Learn that `arm` brought `reward` in the context `x` (d,). Raises LostDigits, see `digits`."""
    if bank.row[arm] < 0 and bank.n_columns[arm] == 0:
        for i in range(x.shape[0]):
            bank.image[arm, i] = bank.ridge[0] * bank.probe[i]
    if bank.row[arm] < 0 and bank.n_columns[arm] == bank.columns.shape[1]:
        _make_dense(bank, arm)
    row = bank.row[arm]
    if row >= 0:
        _dense_times(bank, row, x)
    else:
        _sparse_times(bank, arm, x)
    v, w = bank.v, bank.w
    image, seen = bank.image[arm], fast_dot(x, bank.probe)
    check(fast_dot(image, v), seen, bank.reach, arm)
    scale = 1.0 + fast_dot(x, v)
    check_scale(scale)
    error, root = (reward - column_dot(bank.theta, arm, x)) / scale, math.sqrt(scale)
    for i in range(x.shape[0]):
        bank.theta[arm // LANES, LANES * i + arm % LANES] += v[i] * error
        w[i] = v[i] / root
        image[i] += x[i] * seen
    bank.trace[arm] -= fast_dot(w, w)
    bank.spread[arm] = math.sqrt(max(0.0, bank.trace[arm]) / x.shape[0])
    if row >= 0:
        _take(bank, row)
    else:
        _add_column(bank, arm)
    if scale > STEEP:
        _look_again(bank, arm, x, seen)


@kernel
def _look_again(bank: Bank, arm: int, x: np.ndarray, seen: float) -> None:
    """Raise LostDigits where the update with `x` itself has lost them; `seen` is x'probe."""
    if bank.row[arm] >= 0:
        _dense_times(bank, bank.row[arm], x)
    else:
        _sparse_times(bank, arm, x)
    check(fast_dot(bank.image[arm], bank.v), seen, bank.reach, arm)


@inlined
def _dense_times(bank: Bank, row: int, x: np.ndarray) -> None:
    """Leave A^-1 x in `bank.v`, A^-1 the dense matrix in this row."""
    blocks = bank.v.shape[0] // LANES
    lane_sums(x, bank.inverse, row * blocks, (row + 1) * blocks, bank.v)


@inlined
def _sparse_times(bank: Bank, arm: int, x: np.ndarray) -> None:
    """Leave A_a^-1 x in `bank.v`, for a sparse arm."""
    for i in range(x.shape[0]):
        bank.v[i] = x[i] / bank.ridge[0]
    for j in range(bank.n_columns[arm]):
        column = bank.columns[arm, j]
        s = column_dot(bank.vectors, column, x)
        for i in range(x.shape[0]):
            bank.v[i] -= s * bank.vectors[column // LANES, LANES * i + column % LANES]


@inlined
def _take(bank: Bank, row: int) -> None:
    """Take w w' from the dense matrix in this row, w = `bank.w`."""
    d = bank.xx.shape[0] // 2
    take_outer(bank.inverse, row * bank.w.shape[0] // LANES, bank.w)
    twice(bank.w[:d], bank.xx)
    take(bank.packed[row], bank.xx, 1)


@inlined
def _add_column(bank: Bank, arm: int) -> None:
    column = bank.used[COLUMNS]
    for i in range(bank.xx.shape[0] // 2):
        bank.vectors[column // LANES, LANES * i + column % LANES] = bank.w[i]
    bank.owner[column], bank.place[column] = arm, bank.n_columns[arm]
    bank.columns[arm, bank.n_columns[arm]] = column
    bank.n_columns[arm] += 1
    bank.used[COLUMNS] += 1


@kernel
def _make_dense(bank: Bank, arm: int) -> None:
    """Multiply out the arm's columns, and fill the gaps they leave with the last columns."""
    row, d = bank.used[DENSE], bank.xx.shape[0] // 2
    first = row * bank.w.shape[0] // LANES
    bank.packed[row, :] = 0.0
    bank.inverse[first : first + bank.w.shape[0] // LANES] = 0.0
    for i in range(d):
        bank.packed[row, i] = 1.0 / bank.ridge[0]
        bank.inverse[first + i // LANES, LANES * i + i % LANES] = 1.0 / bank.ridge[0]
    while bank.n_columns[arm] > 0:
        bank.n_columns[arm] -= 1
        column = bank.columns[arm, bank.n_columns[arm]]
        for i in range(d):
            bank.w[i] = bank.vectors[column // LANES, LANES * i + column % LANES]
        _take(bank, row)
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
    bank.columns[bank.owner[column], bank.place[column]] = column


def inverse(bank: Bank, arm: int) -> np.ndarray:
    """The (d, d) matrix A_a^-1, in full."""
    d, blocks = bank.xx.shape[0] // 2, bank.w.shape[0] // LANES
    if bank.row[arm] >= 0:
        row = bank.row[arm]
        return _columns(bank.inverse[row * blocks : (row + 1) * blocks])[:, :d]
    full = np.eye(d) / bank.ridge[0]
    for column in bank.columns[arm, : bank.n_columns[arm]]:
        w = bank.vectors[column // LANES, column % LANES :: LANES]
        full -= np.outer(w, w)
    return full


def estimates(bank: Bank) -> np.ndarray:
    """theta of all arms, (n_arms, d)."""
    return _columns(bank.theta)[:, : bank.row.shape[0]].T.copy()


def _columns(lanes: np.ndarray) -> np.ndarray:
    """Lanes as the plain (d, columns) matrix."""
    blocks, size = lanes.shape
    return lanes.reshape(blocks, size // LANES, LANES).transpose(1, 0, 2).reshape(size // LANES, blocks * LANES)
