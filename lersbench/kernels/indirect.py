"""Compiled functions that are called through their address, on values that stay where they are.

What Numba compiles into a caller is optimised anew in each caller, and a call with many arrays costs more than its
work. A `Service` is compiled once: a caller hands over four numbers and the address of a box, in which the arrays that
the service works on were put before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from lersbench.kernels.jit import entry, kernel

SIGNATURE = "int64(int64, int64, int64, int64, int64)"


class Service:
    """A kernel `function(value, task, row, at, slot) -> int`, reached as `call(service.address, box, task, ...)`.

    `value` is a (nested, named) tuple of numbers and C-ordered arrays, of the types of `example` every time.
    """

    def __init__(self, function: Callable[..., int], example: Callable[[], Any]):
        self._function, self.example = function, example
        self._entry: Any = None
        self._kind: Any = None
        self._sizes: dict[Any, int] = {}  # bytes of values by their make: their types take Numba long to find out

    @property
    def address(self) -> Any:
        """What `call` calls."""
        if numba.config.DISABLE_JIT:
            return self._function
        if self._entry is None:
            self._kind = numba.typeof(self.example())
            parts = {"function": self._function, "value_at": _reader(self._kind)}
            self._entry = entry(_template, self._function, SIGNATURE, **parts)
        return self._entry.address

    def asked(self, box: Any, task: int, row: int, at: int, slot: int) -> int:
        """What the service returns, for callers in Python."""
        return (
            self.address(box, task, row, at, slot)
            if numba.config.DISABLE_JIT
            else self._entry.ctypes(box, task, row, at, slot)
        )

    def box(self, value: Any) -> Any:
        """A `Box` of `value`: what the service works on as long as the box and the value are held."""
        if numba.config.DISABLE_JIT:
            return Box(value, 0)
        assert self.address
        make = _make(value)
        if make not in self._sizes:
            kind = numba.typeof(value)
            if not _alike(kind, self._kind):
                raise TypeError(f"a service is for values of {self._kind}, not {kind}")
            context = cpu_target.target_context
            self._sizes[make] = context.get_abi_sizeof(context.get_value_type(kind))
        return Box(value, self._sizes[make])


class Box:
    """The fields of a value, arrays as their addresses and shapes, at one place in memory."""

    def __init__(self, value: Any, size: int):
        self.value = value  # the arrays live as long as the box
        self.at: Any = value
        if size:
            self._memory = np.zeros(size // 8 + 1, np.int64)
            self.at = self._memory.ctypes.data
            _store(self.at, value)


def _make(value: Any) -> Any:
    """What a value consists of: the same for two of which `numba.typeof` says the same."""
    if isinstance(value, tuple):
        return (type(value), *map(_make, value))
    if isinstance(value, np.ndarray):
        flags = value.flags
        return (value.dtype.str, value.ndim, flags.c_contiguous, flags.writeable, flags.aligned)
    return type(value)


def _alike(kind: types.Type, wanted: types.Type) -> bool:
    """The same fields at the same places? An array may be read-only."""
    if isinstance(wanted, types.BaseTuple):
        same = isinstance(kind, types.BaseTuple) and len(kind) == len(wanted)
        return same and all(map(_alike, kind.types, wanted.types))
    if isinstance(wanted, types.Array):
        both = isinstance(kind, types.Array)
        return both and (kind.dtype, kind.ndim, kind.layout) == (wanted.dtype, wanted.ndim, wanted.layout)
    return kind == wanted


# In compiled code -----------------------------------------------------------------------------------------------------
def function(value: Any, task: int, row: int, at: int, slot: int) -> int:
    """Stands for the service's kernel in the template below."""
    return 0


def value_at(box: int) -> Any:
    """Stands for the reader of the service's values in the template below."""


def _template(box: int, task: int, row: int, at: int, slot: int) -> int:
    return function(value_at(box), task, row, at, slot)


def _fields(builder: ir.IRBuilder, kind: types.Type, pointer: ir.Value) -> list[tuple[types.Type, ir.Value]]:
    """The numbers and arrays in a value of this kind at `pointer`, with the pointers to them, in order."""
    if not isinstance(kind, types.BaseTuple):
        return [(kind, pointer)]
    parts = [cgutils.gep_inbounds(builder, pointer, 0, i) for i in range(len(kind))]
    return [leaf for part, place in zip(kind.types, parts, strict=True) for leaf in _fields(builder, part, place)]


def _assembled(context: Any, kind: types.Type, builder: ir.IRBuilder, leaves: list[ir.Value]) -> ir.Value:
    if not isinstance(kind, types.BaseTuple):
        return leaves.pop(0)
    value = context.get_constant_undef(kind)
    for i, part in enumerate(kind.types):
        value = builder.insert_value(value, _assembled(context, part, builder, leaves), i)
    return value


def _taken_apart(kind: types.Type, builder: ir.IRBuilder, value: ir.Value) -> list[ir.Value]:
    if not isinstance(kind, types.BaseTuple):
        return [value]
    parts = [builder.extract_value(value, i) for i in range(len(kind))]
    return [
        leaf for part, member in zip(kind.types, parts, strict=True) for leaf in _taken_apart(part, builder, member)
    ]


def _reader(kind: types.Type) -> Any:
    """An intrinsic that reads a value of this kind from its address, arrays without an owner to count."""

    @intrinsic
    def value_at(typingctx, box):
        def codegen(context, builder, signature, args):
            pointer = builder.inttoptr(args[0], context.get_value_type(kind).as_pointer())
            leaves = [_read(context, builder, *leaf) for leaf in _fields(builder, kind, pointer)]
            return _assembled(context, kind, builder, leaves)

        return kind(types.int64), codegen

    return value_at


def _read(context: Any, builder: ir.IRBuilder, kind: types.Type, pointer: ir.Value) -> ir.Value:
    """A number or an array from a box."""
    if not isinstance(kind, types.Array):
        return _constant(builder, pointer)
    array = cgutils.create_struct_proxy(kind)(context, builder)
    data_model = context.data_model_manager[kind]
    for name in ("nitems", "itemsize", "data", "shape", "strides"):
        place = cgutils.gep_inbounds(builder, pointer, 0, data_model.get_field_position(name))
        setattr(array, name, _constant(builder, place))
    for name in ("meminfo", "parent"):
        setattr(array, name, cgutils.get_null_value(getattr(array, name).type))
    return array._getvalue()


def _constant(builder: ir.IRBuilder, pointer: ir.Value) -> ir.Value:
    """What stands in a box does not change while it is used, so it may be read as late as it is needed, or never."""
    value = builder.load(pointer)
    value.set_metadata("invariant.load", builder.module.add_metadata([]))
    return value


@intrinsic
def _put(typingctx, address, value):
    def codegen(context, builder, signature, args):
        kind = signature.args[1]
        pointer = builder.inttoptr(args[0], context.get_value_type(kind).as_pointer())
        places = _fields(builder, kind, pointer)
        for (_, place), leaf in zip(places, _taken_apart(kind, builder, args[1]), strict=True):
            builder.store(leaf, place)
        return context.get_dummy_value()

    return types.void(types.int64, value), codegen


@intrinsic
def _call(typingctx, address, box, task, row, at, slot):
    def codegen(context, builder, signature, args):
        number = ir.IntType(64)
        kind = ir.FunctionType(number, [number] * 5)
        return builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])

    return types.int64(*[types.int64] * 6), codegen


def _call_in_python(address: Any, box: Any, task: int, row: int, at: int, slot: int) -> int:
    return address(box, task, row, at, slot)


call = _call_in_python if numba.config.DISABLE_JIT else _call
"""`call(address, box, task, row, at, slot)` in a kernel: what the service at this address returns."""


@kernel
def _store(address: int, value: Any) -> None:
    _put(address, value)
