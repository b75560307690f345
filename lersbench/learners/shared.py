"""One ridge regression for all items, scored for many candidates at once: eight of them in the lanes of a vector.

theta = A^-1 sum w r x with A = ridge I + sum w^2 x x' over the observations: the reward is modelled as
r = theta'(w x) + noise, w the known probability that the position was examined (1 where it certainly was).
A^-1 and theta are kept by recursive least squares: with v = A^-1 (w x) and s = 1 + w x'v, A^-1 loses
v v' / s (Sherman and Morrison 1950) and theta gains v (r - w x'theta) / s.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

from lersbench.kernels.digits import STEEP, check, check_scale, new_probe
from lersbench.kernels.jit import inlined, kernel
from lersbench.kernels.uncounted import part
from lersbench.kernels.vectors import LANES, VECTOR, _Array, aligned, lane_sums, padded, take_outer
from lersbench.learners.per_item import fast_dot

GROUP = 4  # blocks of candidates scored together: few enough for the nearest cache


class Ridge(NamedTuple):
    """Learned in place. "Lanes": column c of a (rows, columns) matrix is at [c // 8, 8 row + c % 8]."""

    inverse: np.ndarray  # (ceil(m / 8), 8 m) lanes, A^-1
    theta: np.ndarray  # (m,)
    probe: np.ndarray  # (m,) see `digits`
    image: np.ndarray  # (m,) A probe
    reach: np.ndarray  # (1,)
    x: np.ndarray  # (m,) working memory, like all below: w x
    v: np.ndarray  # (m padded,)
    w: np.ndarray  # (m padded,), zero beyond m
    features: np.ndarray  # (at most GROUP, 8 m) lanes, a column a candidate
    means: np.ndarray  # (C rounded up to whole groups,) of the last `predict`
    squares: np.ndarray  # (C rounded up to whole groups,)


def new_ridge(m: int, penalty: float, n_candidates: int) -> Ridge:
    """A regression without observations, for rounds of up to `n_candidates` candidates with `m` features each."""
    blocks = min(GROUP, padded(n_candidates) // LANES)
    width = -(-n_candidates // (LANES * blocks)) * LANES * blocks
    inverse = aligned((padded(m) // LANES, LANES * m))
    for i in range(m):
        inverse[i // LANES, LANES * i + i % LANES] = 1.0 / penalty
    return Ridge(
        inverse,
        aligned((m,)),
        new_probe(m),
        penalty * new_probe(m),
        np.zeros(1),
        aligned((m,)),
        aligned((padded(m),)),
        aligned((padded(m),)),
        aligned((blocks, LANES * m)),
        aligned((width,)),
        aligned((width,)),
    )


@inlined
def observe(ridge: Ridge, x: np.ndarray, weight: float, reward: float) -> None:
    """Learn that a candidate with the features `x` (m,) brought `reward`, being examined with probability `weight`.

    A weight of 0 says nothing was seen, and nothing is learned. Raises LostDigits, see `digits`.
    """
    if weight <= 0.0:
        return
    theta, v, w = ridge.theta, ridge.v, ridge.w
    for i in range(x.shape[0]):
        ridge.x[i] = weight * x[i]
    lane_sums(ridge.x, ridge.inverse, 0, ridge.inverse.shape[0], v)
    seen = fast_dot(ridge.x, ridge.probe)
    check(fast_dot(ridge.image, v), seen, ridge.reach, 0)
    scale = 1.0 + fast_dot(ridge.x, v)
    check_scale(scale)
    error, root = (reward - fast_dot(ridge.x, theta)) / scale, math.sqrt(scale)
    for i in range(x.shape[0]):
        theta[i] += v[i] * error
        w[i] = v[i] / root
        ridge.image[i] += ridge.x[i] * seen
    take_outer(ridge.inverse, 0, w)
    if scale > STEEP:
        look_again(ridge, seen)


@kernel
def look_again(ridge: Ridge, seen: float) -> None:
    """Raise LostDigits where the update with `ridge.x` itself has lost them; `seen` is x'probe."""
    lane_sums(ridge.x, ridge.inverse, 0, ridge.inverse.shape[0], ridge.v)
    check(fast_dot(ridge.image, ridge.v), seen, ridge.reach, 0)


@inlined
def observe_all(ridge: Ridge, features: np.ndarray, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """Learn from every seen position of a slate, with weight 1."""
    for k in range(slate.shape[0]):
        if seen[k]:
            observe(ridge, features[slate[k]], 1.0, rewards[k])


@inlined
def predict(ridge: Ridge, features: np.ndarray) -> None:
    """Leave x'theta in `per_item.means` and x' A^-1 x in `per_item.squares` for each row x of `features` (C, m)."""
    blocks = ridge.features.shape[0]
    for first in range(0, features.shape[0], LANES * blocks):
        last = min(features.shape[0], first + LANES * blocks)
        lanes = part(ridge.features, 0, (last - first + LANES - 1) // LANES)
        to_lanes(features, first, last, lanes)
        lane_sums(ridge.theta, lanes, 0, lanes.shape[0], ridge.means[first:])
        lane_quadratics(ridge.inverse, lanes, ridge.squares[first:])


@inlined
def upper_bounds(ridge: Ridge, alpha: float, features: np.ndarray, scores: np.ndarray) -> None:
    """Fill `scores` (C,) with x'theta + alpha sqrt(x' A^-1 x) for each row x of `features` (C, m)."""
    predict(ridge, features)
    for c in range(features.shape[0]):
        scores[c] = ridge.means[c] + alpha * math.sqrt(max(0.0, ridge.squares[c]))


def to_lanes_loop(features: np.ndarray, first: int, last: int, lanes: np.ndarray) -> None:
    """Write the rows first..last-1 of `features` (C, m) into the first columns of `lanes`."""
    for c in range(last - first):
        for i in range(features.shape[1]):
            lanes[c // LANES, LANES * i + c % LANES] = features[first + c, i]


@intrinsic
def _turn_tile(typingctx, matrix, row, column, lanes, block):
    """Transpose the 8 rows and 8 columns of `matrix` from (row, column) on into `block` of the lanes."""
    if matrix.layout != "C":
        raise TypingError("features must be C-contiguous")

    def codegen(context, builder, signature, args):
        matrix, lanes = (_Array(context, builder, signature.args[i], args[i]) for i in (0, 3))
        intp = args[1].type
        rows = []
        for r in range(LANES):
            start = builder.mul(builder.add(args[1], intp(r)), matrix.shape[1])
            rows.append(matrix.vector(builder.add(start, args[2])))
        for step in (1, 2, 4):  # exchange the off-diagonal quarters of squares of 2, 4 and 8 rows
            for r in (r for r in range(LANES) if not r & step):
                upper, lower = rows[r], rows[r + step]
                for at in (r, r + step):
                    mask = [(LANES - step if i & step else 0) + i + at - r for i in range(LANES)]
                    mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), mask)
                    rows[at] = builder.shuffle_vector(upper, lower, mask)
        start = builder.add(builder.mul(args[4], lanes.shape[1]), builder.mul(args[2], intp(LANES)))
        for i, vector in enumerate(rows):
            lanes.put(builder.add(start, intp(LANES * i)), vector)
        return context.get_dummy_value()

    return types.void(matrix, types.intp, types.intp, lanes, types.intp), codegen


def to_lanes_vectors(features: np.ndarray, first: int, last: int, lanes: np.ndarray) -> None:
    """See `to_lanes_loop`."""
    m = features.shape[1]
    whole, tall = m // LANES * LANES, (last - first) // LANES * LANES
    for c in range(0, tall, LANES):
        for i in range(0, whole, LANES):
            _turn_tile(features, first + c, i, lanes, c // LANES)
    for c in range(last - first):
        for i in range(whole if c < tall else 0, m):
            lanes[c // LANES, LANES * i + c % LANES] = features[first + c, i]


def lane_quadratics_loop(matrix: np.ndarray, lanes: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (8 blocks,) with x' matrix x for each column x of `lanes` (blocks, 8 m).

    `matrix` (ceil(m / 8), 8 m) lanes, symmetric; only what is on and below its diagonal is read. The terms of
    matrix column j, half the diagonal first, are summed downwards, and the columns from left to right.
    """
    m = lanes.shape[1] // LANES
    for b in range(lanes.shape[0]):
        for i in range(LANES):
            total = 0.0
            for j in range(m):
                block, lane = j // LANES, j % LANES
                column = 0.5 * matrix[block, LANES * j + lane] * lanes[b, LANES * j + i]
                for p in range(j + 1, m):
                    column += matrix[block, LANES * p + lane] * lanes[b, LANES * p + i]
                total += (column + column) * lanes[b, LANES * j + i]
            out[LANES * b + i] = total


def _quadratic_tile(height: int, width: int) -> Any:
    """An intrinsic that adds the terms of `height` matrix columns to the sums of `width` blocks of `lanes`."""

    @intrinsic
    def tile(typingctx, matrix, column, lanes, block, out):
        def codegen(context, builder, signature, args):
            matrix, lanes, out = (_Array(context, builder, signature.args[i], args[i]) for i in (0, 2, 4))
            intp, size = args[1].type, lanes.shape[1]
            half, vector = ir.Constant(VECTOR, [0.5] * LANES), {}
            columns = [builder.add(args[1], intp(i)) for i in range(height)]
            blocks = [builder.add(args[3], intp(b)) for b in range(width)]
            starts = [builder.mul(b, size) for b in blocks]
            tops = [
                builder.add(builder.mul(builder.udiv(c, intp(LANES)), size), builder.urem(c, intp(LANES)))
                for c in columns
            ]

            def row(p):
                """The entries of the columns in row p in all lanes, and the vectors of the blocks."""
                here = builder.mul(p, intp(LANES))
                return (
                    [matrix.everywhere(builder.add(top, here)) for top in tops],
                    [lanes.vector(builder.add(start, here)) for start in starts],
                )

            sums = {}
            for i, j in enumerate(columns):
                weights, vectors = row(j)
                for b in range(width):
                    vector[i, b] = vectors[b]
                    sums[i, b] = builder.fmul(builder.fmul(half, weights[i]), vectors[b])
                    for above in range(i):
                        product = builder.fmul(weights[above], vectors[b])
                        sums[above, b] = builder.fadd(sums[above, b], product)
            running = {}
            for key, value in sums.items():
                running[key] = cgutils.alloca_once_value(builder, ir.Constant(VECTOR, [0.0] * LANES))
                builder.store(value, running[key])
            first, rows = builder.add(args[1], intp(height)), builder.udiv(size, intp(LANES))
            with cgutils.for_range_slice(builder, first, rows, intp(1), intp) as (p, _):
                weights, vectors = row(p)
                for (i, b), total in running.items():
                    product = builder.fmul(weights[i], vectors[b])
                    builder.store(builder.fadd(builder.load(total), product), total)
            for b in range(width):
                at = builder.mul(blocks[b], intp(LANES))
                total = out.vector(at)
                for i in range(height):
                    whole = builder.load(running[i, b])
                    total = builder.fadd(total, builder.fmul(builder.fadd(whole, whole), vector[i, b]))
                out.put(at, total)
            return context.get_dummy_value()

        return types.void(matrix, types.intp, lanes, types.intp, out), codegen

    return tile


_tile4x4, _tile4x2, _tile4x1, _tile1x1 = (_quadratic_tile(h, w) for h, w in ((4, 4), (4, 2), (4, 1), (1, 1)))


def lane_quadratics_vectors(matrix: np.ndarray, lanes: np.ndarray, out: np.ndarray) -> None:
    """See `lane_quadratics_loop`."""
    m, blocks = lanes.shape[1] // LANES, lanes.shape[0]
    for i in range(LANES * blocks):
        out[i] = 0.0
    j = 0
    while j + 4 <= m:
        b = 0
        while b + 4 <= blocks:
            _tile4x4(matrix, j, lanes, b, out)
            b += 4
        while b + 2 <= blocks:
            _tile4x2(matrix, j, lanes, b, out)
            b += 2
        if b < blocks:
            _tile4x1(matrix, j, lanes, b, out)
        j += 4
    while j < m:
        for b in range(blocks):
            _tile1x1(matrix, j, lanes, b, out)
        j += 1


def _choose(loop: Any, vectors: Any) -> Any:
    return loop if numba.config.DISABLE_JIT else inlined(vectors)


to_lanes = _choose(to_lanes_loop, to_lanes_vectors)
lane_quadratics = _choose(lane_quadratics_loop, lane_quadratics_vectors)


def inverse(ridge: Ridge) -> np.ndarray:
    """The (m, m) matrix A^-1, in full."""
    m = ridge.theta.shape[0]
    return ridge.inverse.reshape(-1, m, LANES).transpose(1, 0, 2).reshape(m, -1)[:, :m].copy()
