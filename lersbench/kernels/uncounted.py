"""Arrays without reference counts, for the inside of a compiled loop.

Numba counts references of every array that is taken from a tuple or sliced, by an atomic instruction
each, and a loop over a log does that a hundred times a round. A borrowed array is the same memory
without an owner to count: valid as long as the caller holds the original, which a driver's caller does.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

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


@intrinsic
def _borrow(typingctx, value):
    def codegen(context, builder, signature, args):
        return _without_owner(context, builder, signature.args[0], args[0])

    return value(value), codegen


def _same(value: T) -> T:
    return value


borrow = _same if numba.config.DISABLE_JIT else _borrow
"""`borrow(value)`: the same array, or (nested, named) tuple of arrays and numbers, without reference counts."""
