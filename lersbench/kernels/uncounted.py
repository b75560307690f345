"""Arrays without reference counts, for the inside of a compiled loop.

Numba counts references of every array that is taken from a tuple or sliced, by an atomic instruction
each, and a loop over a log does that a hundred times a round. A borrowed array is the same memory
without an owner to count: valid as long as the caller holds the original, which a driver's caller does.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

from lersbench.kernels.lowering import unowned

T = TypeVar("T")


def _without_owner(context: Any, builder: ir.IRBuilder, typ: types.Type, value: ir.Value) -> ir.Value:
    if isinstance(typ, types.BaseTuple):
        for i, part in enumerate(typ.types):
            changed = _without_owner(context, builder, part, builder.extract_value(value, i))
            value = builder.insert_value(value, changed, i)
    elif isinstance(typ, types.Array):
        array = cgutils.create_struct_proxy(typ)(context, builder, value=value)
        array.meminfo = cgutils.get_null_value(array.meminfo.type)
        array.parent = cgutils.get_null_value(array.parent.type)
        value = array._getvalue()
    return value


@unowned
@intrinsic
def _borrow(typingctx, value):
    def codegen(context, builder, signature, args):
        return _without_owner(context, builder, signature.args[0], args[0])

    return value(value), codegen


def _same(value: T) -> T:
    return value


@unowned
@intrinsic
def _part(typingctx, array, start, stop):
    def codegen(context, builder, signature, args):
        whole = cgutils.create_struct_proxy(signature.args[0])(context, builder, value=args[0])
        part = cgutils.create_struct_proxy(signature.return_type)(context, builder)
        shape = [builder.sub(args[2], args[1]), *cgutils.unpack_tuple(builder, whole.shape)[1:]]
        items, skipped = shape[0], args[1]
        for wide in shape[1:]:
            items, skipped = builder.mul(items, wide), builder.mul(skipped, wide)
        null = cgutils.get_null_value(whole.meminfo.type), cgutils.get_null_value(whole.parent.type)
        part.data = builder.gep(whole.data, [skipped], inbounds=True)
        part.itemsize, part.strides, part.nitems = whole.itemsize, whole.strides, items
        part.shape, (part.meminfo, part.parent) = cgutils.pack_array(builder, shape), null
        return part._getvalue()

    if array.layout != "C":
        raise TypingError("only a part of a C-contiguous array is one")
    return array(array, types.intp, types.intp), codegen


def _slice(array: np.ndarray, start: int, stop: int) -> np.ndarray:
    return array[start:stop]


part = _slice if numba.config.DISABLE_JIT else _part
"""`part(array, start, stop)`: array[start:stop], borrowed, for 0 <= start <= stop <= its length; nobody checks that."""

borrow = _same if numba.config.DISABLE_JIT else _borrow
"""`borrow(value)`: the same array, or (nested, named) tuple of arrays and numbers, without reference counts."""
