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

from lersbench.kernels.jit import inlined

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


def triangle_size(n: int) -> int:
    """Entries of one triangle of n rows."""
    return n * (n + 1) // 2


def triangle_forms_loop(
    triangles: np.ndarray, first: int, last: int, lanes: np.ndarray, used: int, out: np.ndarray
) -> None:
    """Fill rows first..last-1 of `out` (n, 8 blocks) with x'Tx, a triangle T a row and a column x of `lanes` each.

    A symmetric A of n rows is held as its triangle T, A = T + T': the entries (i, j), i <= j, row after row, those on
    the diagonal halved; so x'Ax is twice x'Tx. `triangles` are lanes, a column a triangle; `lanes` (blocks, 8 n).
    Only the first `used` rows of x count, as if the others were zero. Each row of T is summed by itself.
    """
    n = lanes.shape[1] // LANES
    for k in range(first, last):
        for b in range(lanes.shape[0]):
            for lane in range(LANES):
                total, start = 0.0, 0
                for i in range(used):
                    row = 0.0
                    for j in range(i, used):
                        at = LANES * (start + j - i) + k % LANES
                        row += triangles[k // LANES, at] * lanes[b, LANES * j + lane]
                    total += row * lanes[b, LANES * i + lane]
                    start += n - i
                out[k, LANES * b + lane] = total


def triangle_times_loop(triangles: np.ndarray, block: int, x: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (8 n,) with A x of the eight A = T + T' of this block; `x` (8 n,), both lanes."""
    n = x.shape[0] // LANES
    for at in range(x.shape[0]):
        out[at] = 0.0
    for lane in range(LANES):
        start = 0
        for i in range(n):
            row, value = 0.0, x[LANES * i + lane]
            for j in range(i, n):
                entry, other = triangles[block, LANES * (start + j - i) + lane], LANES * j + lane
                row += entry * x[other]
                out[other] += entry * value
            out[LANES * i + lane] += row
            start += n - i


def triangle_take_loop(triangles: np.ndarray, block: int, w: np.ndarray) -> None:
    """Take w w' from each of the eight A = T + T' of this block, in place; `w` (8 n,) lanes."""
    n, start = w.shape[0] // LANES, 0
    for i in range(n):
        for j in range(i, n):
            for lane in range(LANES):
                entry = w[LANES * i + lane] * (0.5 if i == j else 1.0)
                triangles[block, LANES * (start + j - i) + lane] -= entry * w[LANES * j + lane]
        start += n - i


def add_dots_loop(left: np.ndarray, right: np.ndarray, out: np.ndarray) -> None:
    """Add to `out` (8,), row after row, the products of the entries of `left` and `right`, both (8 n,) lanes."""
    for at in range(left.shape[0]):
        out[at % LANES] += left[at] * right[at]


def take_dots_loop(left: np.ndarray, right: np.ndarray, out: np.ndarray) -> None:
    """Take from `out` (8,) what `add_dots` adds."""
    for at in range(left.shape[0]):
        out[at % LANES] -= left[at] * right[at]


def add_scaled_loop(lanes: np.ndarray, factors: np.ndarray, out: np.ndarray) -> None:
    """Add to `out` (8 n,) each column of `lanes` (8 n,) times its factor (8,)."""
    for at in range(lanes.shape[0]):
        out[at] += lanes[at] * factors[at % LANES]


def scale_lanes_loop(factors: np.ndarray, out: np.ndarray) -> None:
    """Multiply each column of `out` (8 n,) by its factor (8,)."""
    for at in range(out.shape[0]):
        out[at] *= factors[at % LANES]


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


def _zeros(builder: ir.IRBuilder, count: int) -> list[ir.Value]:
    """`count` vectors in variables of their own, all zero."""
    zero = ir.Constant(VECTOR, [0.0] * LANES)
    sums = [cgutils.alloca_once_value(builder, zero) for _ in range(count)]
    for total in sums:
        builder.store(zero, total)
    return sums


def _add_to(builder: ir.IRBuilder, total: ir.Value, left: ir.Value, right: ir.Value) -> None:
    builder.store(builder.fadd(builder.load(total), builder.fmul(left, right)), total)


def _rows_at_once(builder: ir.IRBuilder, n: ir.Value, used: ir.Value, count: int, start: ir.Value, rows: Any) -> None:
    """Walk down a triangle of `n` rows that begins at `start`, `count` rows at a time and what is left one by one.

    Calls `rows(count, i, starts)` with the first row and where each begins; it works on entries up to column `used`.
    All of these count numbers, of which an entry has eight.
    """
    intp = n.type
    at = cgutils.alloca_once_value(builder, start)
    builder.store(start, at)

    def walk(first, last, count):
        with cgutils.for_range_slice(builder, first, last, intp(count * LANES), intp) as (i, _):
            starts = [builder.load(at)]
            for r in range(count):
                starts.append(builder.add(starts[r], builder.sub(n, builder.add(i, intp(r * LANES)))))
            rows(count, i, starts[:-1])
            builder.store(starts[-1], at)

    whole = builder.sub(used, builder.urem(used, intp(count * LANES)))
    walk(intp(0), whole, count)
    if count > 1:
        walk(whole, used, 1)


def _triangle_form_tile(height: int, width: int, count: int) -> Any:
    """An intrinsic for the forms of `height` triangles on `width` blocks, `count` rows at once; see the plain loop.

    The tile is as large as it takes to keep the adders busy with independent sums.
    """

    @intrinsic
    def tile(typingctx, triangles, first, lanes, block, used, out):
        def codegen(context, builder, signature, args):
            triangles, lanes, out = (_Array(context, builder, signature.args[i], args[i]) for i in (0, 2, 5))
            intp, size = args[1].type, triangles.shape[1]
            eight = intp(LANES)
            columns = [builder.add(args[1], intp(k)) for k in range(height)]
            blocks = [builder.add(args[3], intp(b)) for b in range(width)]
            tops = [builder.add(builder.mul(builder.udiv(c, eight), size), builder.urem(c, eight)) for c in columns]
            columns_at = [builder.mul(b, lanes.shape[1]) for b in blocks]
            tiles = [(k, b) for k in range(height) for b in range(width)]
            used = builder.mul(args[4], eight)
            totals = _zeros(builder, len(tiles))

            def rows(count, i, starts):
                sums = [_zeros(builder, len(tiles)) for _ in starts]

                def add(j, some):
                    xs = [lanes.vector(builder.add(at, j)) for at in columns_at]
                    for r in some:
                        here = builder.add(starts[r], builder.sub(j, builder.add(i, intp(r * LANES))))
                        entries = [triangles.everywhere(builder.add(top, here)) for top in tops]
                        for total, (k, b) in zip(sums[r], tiles, strict=True):
                            _add_to(builder, total, entries[k], xs[b])
                    return xs

                inputs = [add(builder.add(i, intp(c * LANES)), range(c + 1)) for c in range(count)]
                below = builder.add(i, intp(count * LANES))
                with cgutils.for_range_slice(builder, below, used, eight, intp) as (j, _):
                    add(j, range(count))
                for r in range(count):
                    for total, row, (_, b) in zip(totals, sums[r], tiles, strict=True):
                        _add_to(builder, total, builder.load(row), inputs[r][b])

            _rows_at_once(builder, lanes.shape[1], used, count, intp(0), rows)
            for total, (k, b) in zip(totals, tiles, strict=True):
                row = builder.mul(columns[k], out.shape[1])
                out.put(builder.add(row, builder.mul(blocks[b], eight)), builder.load(total))
            return context.get_dummy_value()

        return types.void(triangles, types.intp, lanes, types.intp, types.intp, out), codegen

    return tile


@intrinsic
def _triangle_times(typingctx, triangles, block, x, out):
    """`out`, which comes as zeros, plus A x, two rows at once; see `triangle_times_loop`."""

    def codegen(context, builder, signature, args):
        triangles, x, out = (_Array(context, builder, signature.args[i], args[i]) for i in (0, 2, 3))
        intp, size = args[1].type, x.shape[0]

        def rows(count, i, starts):
            places = [builder.add(i, intp(r * LANES)) for r in range(count)]
            inputs, sums = [x.vector(place) for place in places], _zeros(builder, count)

            def add(j, some):
                here, total = x.vector(j), out.vector(j)
                for r in some:
                    entry = triangles.vector(builder.add(starts[r], builder.sub(j, places[r])))
                    _add_to(builder, sums[r], entry, here)
                    total = builder.fadd(total, builder.fmul(entry, inputs[r]))
                out.put(j, total)

            for c in range(count):
                add(places[c], range(c + 1))
            below = builder.add(i, intp(count * LANES))
            with cgutils.for_range_slice(builder, below, size, intp(LANES), intp) as (j, _):
                add(j, range(count))
            for place, total in zip(places, sums, strict=True):
                out.put(place, builder.fadd(out.vector(place), builder.load(total)))

        _rows_at_once(builder, size, size, 2, builder.mul(args[1], triangles.shape[1]), rows)
        return context.get_dummy_value()

    return types.void(triangles, types.intp, x, out), codegen


@intrinsic
def _triangle_take(typingctx, triangles, block, w):
    """See `triangle_take_loop`."""

    def codegen(context, builder, signature, args):
        triangles, w = (_Array(context, builder, signature.args[i], args[i]) for i in (0, 2))
        intp, size = args[1].type, w.shape[0]
        eight, half = intp(LANES), ir.Constant(VECTOR, [0.5] * LANES)
        at = cgutils.alloca_once_value(builder, intp(0))
        builder.store(builder.mul(args[1], triangles.shape[1]), at)

        def less(place, part, other):
            triangles.put(place, builder.fsub(triangles.vector(place), builder.fmul(part, other)))

        with cgutils.for_range_slice(builder, intp(0), size, eight, intp) as (i, _):
            factor, start = w.vector(i), builder.load(at)
            less(start, builder.fmul(factor, half), factor)
            with cgutils.for_range_slice(builder, builder.add(i, eight), size, eight, intp) as (j, _):
                less(builder.add(start, builder.sub(j, i)), factor, w.vector(j))
            builder.store(builder.add(start, builder.sub(size, i)), at)
        return context.get_dummy_value()

    return types.void(triangles, types.intp, w), codegen


def _dots(less: bool) -> Any:
    """An intrinsic: see `add_dots_loop` and, with `less`, `take_dots_loop`."""

    @intrinsic
    def dots(typingctx, left, right, out):
        def codegen(context, builder, signature, args):
            left, right, out = (_Array(context, builder, signature.args[i], args[i]) for i in range(3))
            intp = left.shape[0].type
            total = cgutils.alloca_once_value(builder, out.vector(intp(0)))
            builder.store(out.vector(intp(0)), total)
            with cgutils.for_range_slice(builder, intp(0), left.shape[0], intp(LANES), intp) as (at, _):
                product = builder.fmul(left.vector(at), right.vector(at))
                builder.store((builder.fsub if less else builder.fadd)(builder.load(total), product), total)
            out.put(intp(0), builder.load(total))
            return context.get_dummy_value()

        return types.void(left, right, out), codegen

    return dots


@intrinsic
def _add_scaled(typingctx, lanes, factors, out):
    """See `add_scaled_loop`."""

    def codegen(context, builder, signature, args):
        lanes, factors, out = (_Array(context, builder, signature.args[i], args[i]) for i in range(3))
        intp = lanes.shape[0].type
        factor = factors.vector(intp(0))
        with cgutils.for_range_slice(builder, intp(0), lanes.shape[0], intp(LANES), intp) as (at, _):
            out.put(at, builder.fadd(out.vector(at), builder.fmul(lanes.vector(at), factor)))
        return context.get_dummy_value()

    return types.void(lanes, factors, out), codegen


@intrinsic
def _scale_lanes(typingctx, factors, out):
    """See `scale_lanes_loop`."""

    def codegen(context, builder, signature, args):
        factors, out = (_Array(context, builder, signature.args[i], args[i]) for i in range(2))
        intp = out.shape[0].type
        factor = factors.vector(intp(0))
        with cgutils.for_range_slice(builder, intp(0), out.shape[0], intp(LANES), intp) as (at, _):
            out.put(at, builder.fmul(out.vector(at), factor))
        return context.get_dummy_value()

    return types.void(factors, out), codegen


_rows4, _rows1 = _row_tile(4), _row_tile(1)
_add_dots, _take_dots = _dots(less=False), _dots(less=True)
_lanes8, _lanes4, _lanes2, _lanes1 = _lane_tile(8), _lane_tile(4), _lane_tile(2), _lane_tile(1)

_products3x2, _products3x1, _products1x1 = _product_tile(3, 2), _product_tile(3, 1), _product_tile(1, 1)
_forms6x2, _forms3x2 = _triangle_form_tile(6, 2, 1), _triangle_form_tile(3, 2, 1)
_forms6x1, _forms3x1 = _triangle_form_tile(6, 1, 1), _triangle_form_tile(3, 1, 1)
_forms1x2, _forms1x1 = _triangle_form_tile(1, 2, 2), _triangle_form_tile(1, 1, 2)


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
    if wide < right.shape[0]:
        for k in range(0, tall, 3):
            _products3x1(left, k, right, wide, out)
    for b in range(right.shape[0]):
        for k in range(tall, columns):
            _products1x1(left, k, right, b, out)


def triangle_forms_vectors(
    triangles: np.ndarray, first: int, last: int, lanes: np.ndarray, used: int, out: np.ndarray
) -> None:
    """See `triangle_forms_loop`."""
    wide = lanes.shape[0] // 2 * 2
    k = first
    while k + 6 <= last:
        for b in range(0, wide, 2):
            _forms6x2(triangles, k, lanes, b, used, out)
        k += 6
    while k + 3 <= last:
        for b in range(0, wide, 2):
            _forms3x2(triangles, k, lanes, b, used, out)
        k += 3
    while k < last:
        for b in range(0, wide, 2):
            _forms1x2(triangles, k, lanes, b, used, out)
        k += 1
    if wide == lanes.shape[0]:
        return
    k = first
    while k + 6 <= last:
        _forms6x1(triangles, k, lanes, wide, used, out)
        k += 6
    while k + 3 <= last:
        _forms3x1(triangles, k, lanes, wide, used, out)
        k += 3
    while k < last:
        _forms1x1(triangles, k, lanes, wide, used, out)
        k += 1


def triangle_times_vectors(triangles: np.ndarray, block: int, x: np.ndarray, out: np.ndarray) -> None:
    """See `triangle_times_loop`."""
    for at in range(x.shape[0]):
        out[at] = 0.0
    _triangle_times(triangles, block, x, out)


def triangle_take_vectors(triangles: np.ndarray, block: int, w: np.ndarray) -> None:
    """See `triangle_take_loop`."""
    _triangle_take(triangles, block, w)


def add_dots_vectors(left: np.ndarray, right: np.ndarray, out: np.ndarray) -> None:
    """See `add_dots_loop`."""
    _add_dots(left, right, out)


def take_dots_vectors(left: np.ndarray, right: np.ndarray, out: np.ndarray) -> None:
    """See `take_dots_loop`."""
    _take_dots(left, right, out)


def add_scaled_vectors(lanes: np.ndarray, factors: np.ndarray, out: np.ndarray) -> None:
    """See `add_scaled_loop`."""
    _add_scaled(lanes, factors, out)


def scale_lanes_vectors(factors: np.ndarray, out: np.ndarray) -> None:
    """See `scale_lanes_loop`."""
    _scale_lanes(factors, out)


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
triangle_forms = _choose(triangle_forms_loop, triangle_forms_vectors)
triangle_times = _choose(triangle_times_loop, triangle_times_vectors)
triangle_take = _choose(triangle_take_loop, triangle_take_vectors)
add_dots = _choose(add_dots_loop, add_dots_vectors)
take_dots = _choose(take_dots_loop, take_dots_vectors)
add_scaled = _choose(add_scaled_loop, add_scaled_vectors)
scale_lanes = _choose(scale_lanes_loop, scale_lanes_vectors)
