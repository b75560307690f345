"""Products of matrices with vectors in explicit eight-wide vector instructions, in a fixed order of summation.

Numba's own vectoriser may not reorder a sum, and keeps running sums in memory where it can't prove arrays
apart. Here LLVM is handed `<8 x double>` values directly; it lowers them to whatever the processor has.
Multiplications and additions stay separate (no fused multiply-add), so the plain loops below, which
run when compilation is switched off, give the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from lersbench.jit import inlined

LANES = 8
VECTOR = ir.VectorType(ir.DoubleType(), LANES)


def padded(n: int) -> int:
    """`n` rounded up to whole vectors."""
    return -(-n // LANES) * LANES


def aligned(shape: tuple[int, ...]) -> np.ndarray:
    """A float64 array of zeros that starts at a cache line, so that no vector straddles two.

    Memory is taken page by page, when it is first written to.
    """
    size = int(np.prod(shape, dtype=np.int64))
    raw = np.zeros(size + LANES)
    start = -(raw.ctypes.data // 8) % LANES
    return raw[start : start + size].reshape(shape)


def row_dots_loop(matrix: np.ndarray, first: int, last: int, x: np.ndarray, out: np.ndarray) -> None:
    """Fill `out[0 : last - first]` with the dot products of `x` and the rows first..last-1 of `matrix`.

    `matrix` (n, width), `x` (width,); `width` is a multiple of 8. Sum l takes the entries l, l + 8, ...; then
    the eight sums are added in halves: l and l + 4, l and l + 2, l and l + 1.
    """
    sums = np.empty(LANES)
    for row in range(first, last):
        for i in range(LANES):
            sums[i] = 0.0
        for p in range(0, x.shape[0], LANES):
            for i in range(LANES):
                sums[i] += matrix[row, p + i] * x[p + i]
        out[row - first] = ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]))


def lane_sums_loop(weights: np.ndarray, lanes: np.ndarray, first: int, last: int, out: np.ndarray) -> None:
    """Fill `out[0 : 8 (last - first)]` with sum_p weights[p] lanes[b, 8 p + i] for the blocks b = first..last-1.

    `weights` (rows,); `lanes` (blocks, 8 rows): column c of the (rows, columns) matrix is at [c // 8, 8 p + c % 8].
    """
    for b in range(first, last):
        for i in range(LANES):
            total = 0.0
            for p in range(weights.shape[0]):
                total += weights[p] * lanes[b, LANES * p + i]
            out[LANES * (b - first) + i] = total


def lane_products_loop(left: np.ndarray, columns: int, right: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (columns, 8 blocks) with the product of the first columns of `left`, transposed, and `right`.

    Both are lanes of as many rows; `right` has that many blocks. Sums run over the rows in their order.
    """
    for k in range(columns):
        for b in range(right.shape[0]):
            for i in range(LANES):
                total = 0.0
                for p in range(right.shape[1] // LANES):
                    total += left[k // LANES, LANES * p + k % LANES] * right[b, LANES * p + i]
                out[k, LANES * b + i] = total


def take_outer_loop(lanes: np.ndarray, first: int, x: np.ndarray) -> None:
    """Subtract x x' from the (d, d) matrix in the blocks of `lanes` from `first` on, in place.

    `lanes` (blocks, 8 d); `x` (d padded,), zero beyond d.
    """
    for b in range(x.shape[0] // LANES):
        for p in range(lanes.shape[1] // LANES):
            for i in range(LANES):
                lanes[first + b, LANES * p + i] -= x[p] * x[LANES * b + i]


class _Array:
    """An array argument inside an intrinsic: vectors are read and written at an element offset."""

    def __init__(self, context: Any, builder: ir.IRBuilder, typ: types.Array, value: ir.Value):
        array = context.make_array(typ)(context, builder, value)
        self.builder, self.data = builder, array.data
        self.shape = cgutils.unpack_tuple(builder, array.shape)

    def _at(self, offset: ir.Value, kind: ir.Type) -> ir.Value:
        return self.builder.bitcast(self.builder.gep(self.data, [offset]), kind.as_pointer())

    def vector(self, offset: ir.Value) -> ir.Value:
        return self.builder.load(self._at(offset, VECTOR), align=8)

    def everywhere(self, offset: ir.Value) -> ir.Value:
        """One element in all lanes."""
        one = self.builder.load(self._at(offset, ir.DoubleType()))
        empty = ir.Constant(VECTOR, ir.Undefined)
        first = self.builder.insert_element(empty, one, ir.Constant(ir.IntType(32), 0))
        return self.builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))

    def put(self, offset: ir.Value, value: ir.Value) -> None:
        self.builder.store(value, self._at(offset, value.type), align=8)


def _sum_over(builder: ir.IRBuilder, n: ir.Value, step: int, count: int, terms: Any) -> Sequence[ir.Value]:
    """`count` vectors, each the sum over p = 0, step, ... < n of what `terms(p)` lists for it (pairs to multiply)."""
    zero = ir.Constant(VECTOR, [0.0] * LANES)
    sums = [cgutils.alloca_once_value(builder, zero) for _ in range(count)]
    for total in sums:
        builder.store(zero, total)
    intp = n.type
    with cgutils.for_range_slice(builder, intp(0), n, intp(step), intp) as (p, _):
        for total, (left, right) in zip(sums, terms(p), strict=True):
            builder.store(builder.fadd(builder.load(total), builder.fmul(left, right)), total)
    return [builder.load(total) for total in sums]


def _halved(builder: ir.IRBuilder, vector: ir.Value) -> ir.Value:
    """The sum of the lanes, by halves."""
    width = LANES
    while width > 1:
        width //= 2
        kind = ir.VectorType(ir.IntType(32), width)
        low = builder.shuffle_vector(vector, vector, ir.Constant(kind, list(range(width))))
        high = builder.shuffle_vector(vector, vector, ir.Constant(kind, list(range(width, 2 * width))))
        vector = builder.fadd(low, high)
    return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))


def _row_tile(rows: int) -> Any:
    """An intrinsic for `rows` dot products at once: as many independent sums as keep the adders busy."""

    @intrinsic
    def tile(typingctx, matrix, row, x, out, at):
        def codegen(context, builder, signature, args):
            matrix, x, out = (_Array(context, builder, signature.args[i], args[i]) for i in (0, 2, 3))
            width = x.shape[0]
            starts = [builder.mul(builder.add(args[1], width.type(r)), width) for r in range(rows)]

            def terms(p):
                right = x.vector(p)
                return [(matrix.vector(builder.add(start, p)), right) for start in starts]

            for r, total in enumerate(_sum_over(builder, width, LANES, rows, terms)):
                out.put(builder.add(args[4], width.type(r)), _halved(builder, total))
            return context.get_dummy_value()

        return types.void(matrix, types.intp, x, out, types.intp), codegen

    return tile


def _lane_tile(width: int) -> Any:
    """An intrinsic for `width` blocks of lanes at once."""

    @intrinsic
    def tile(typingctx, weights, lanes, block, out, at):
        def codegen(context, builder, signature, args):
            weights, lanes, out = (_Array(context, builder, signature.args[i], args[i]) for i in (0, 1, 3))
            intp = args[2].type
            starts = [builder.mul(builder.add(args[2], intp(j)), lanes.shape[1]) for j in range(width)]

            def terms(p):
                weight, here = weights.everywhere(p), builder.mul(p, intp(LANES))
                return [(weight, lanes.vector(builder.add(start, here))) for start in starts]

            for j, total in enumerate(_sum_over(builder, weights.shape[0], 1, width, terms)):
                out.put(builder.mul(builder.add(args[4], intp(j)), intp(LANES)), total)
            return context.get_dummy_value()

        return types.void(weights, lanes, types.intp, out, types.intp), codegen

    return tile


def _product_tile(height: int, width: int) -> Any:
    """An intrinsic for `height` columns of `left` times `width` blocks of `right` at once."""

    @intrinsic
    def tile(typingctx, left, column, right, block, out):
        def codegen(context, builder, signature, args):
            left, right, out = (_Array(context, builder, signature.args[i], args[i]) for i in (0, 2, 4))
            intp, size = args[1].type, right.shape[1]
            columns = [builder.add(args[1], intp(i)) for i in range(height)]
            blocks = [builder.add(args[3], intp(j)) for j in range(width)]
            tops = [
                builder.add(builder.mul(builder.udiv(c, intp(LANES)), size), builder.urem(c, intp(LANES)))
                for c in columns
            ]
            starts = [builder.mul(b, size) for b in blocks]

            def terms(p):
                vectors = [right.vector(builder.add(start, p)) for start in starts]
                weights = [left.everywhere(builder.add(top, p)) for top in tops]
                return [(w, v) for w in weights for v in vectors]

            sums = iter(_sum_over(builder, size, LANES, height * width, terms))
            for c in columns:
                for b in blocks:
                    out.put(builder.add(builder.mul(c, out.shape[1]), builder.mul(b, intp(LANES))), next(sums))
            return context.get_dummy_value()

        return types.void(left, types.intp, right, types.intp, out), codegen

    return tile


@intrinsic
def _outer_tile(typingctx, lanes, block, x, at):
    """One block of lanes less its part of x x'."""

    def codegen(context, builder, signature, args):
        lanes, x = (_Array(context, builder, signature.args[i], args[i]) for i in (0, 2))
        intp, size = args[1].type, lanes.shape[1]
        start, right = builder.mul(args[1], size), x.vector(builder.mul(args[3], intp(LANES)))
        with cgutils.for_range_slice(builder, intp(0), builder.udiv(size, intp(LANES)), intp(1), intp) as (p, _):
            here = builder.add(start, builder.mul(p, intp(LANES)))
            lanes.put(here, builder.fsub(lanes.vector(here), builder.fmul(x.everywhere(p), right)))
        return context.get_dummy_value()

    return types.void(lanes, types.intp, x, types.intp), codegen


_rows4, _rows1 = _row_tile(4), _row_tile(1)
_lanes8, _lanes4, _lanes2, _lanes1 = _lane_tile(8), _lane_tile(4), _lane_tile(2), _lane_tile(1)

_products3x2, _products1x1 = _product_tile(3, 2), _product_tile(1, 1)


def row_dots_vectors(matrix: np.ndarray, first: int, last: int, x: np.ndarray, out: np.ndarray) -> None:
    """See `row_dots_loop`."""
    row = first
    while row + 4 <= last:
        _rows4(matrix, row, x, out, row - first)
        row += 4
    while row < last:
        _rows1(matrix, row, x, out, row - first)
        row += 1


def lane_sums_vectors(weights: np.ndarray, lanes: np.ndarray, first: int, last: int, out: np.ndarray) -> None:
    """See `lane_sums_loop`."""
    b = first
    while b + 8 <= last:
        _lanes8(weights, lanes, b, out, b - first)
        b += 8
    if b + 4 <= last:
        _lanes4(weights, lanes, b, out, b - first)
        b += 4
    if b + 2 <= last:
        _lanes2(weights, lanes, b, out, b - first)
        b += 2
    if b < last:
        _lanes1(weights, lanes, b, out, b - first)
        b += 1


def lane_products_vectors(left: np.ndarray, columns: int, right: np.ndarray, out: np.ndarray) -> None:
    """See `lane_products_loop`."""
    tall, wide = columns // 3 * 3, right.shape[0] // 2 * 2
    for b in range(0, wide, 2):
        for k in range(0, tall, 3):
            _products3x2(left, k, right, b, out)
    for b in range(right.shape[0]):
        for k in range(tall if b < wide else 0, columns):
            _products1x1(left, k, right, b, out)


def take_outer_vectors(lanes: np.ndarray, first: int, x: np.ndarray) -> None:
    """See `take_outer_loop`."""
    for b in range(x.shape[0] // LANES):
        _outer_tile(lanes, first + b, x, b)


def _choose(loop: Any, vectors: Any) -> Any:
    return loop if numba.config.DISABLE_JIT else inlined(vectors)


row_dots = _choose(row_dots_loop, row_dots_vectors)
lane_sums = _choose(lane_sums_loop, lane_sums_vectors)
lane_products = _choose(lane_products_loop, lane_products_vectors)
take_outer = _choose(take_outer_loop, take_outer_vectors)
