"""How functions of this package are compiled: no references are counted of what a function was given.

Numba counts a reference of an argument, and of each field that is taken from it, while it is in use. The caller holds
them anyway, and a tuple of sixty arrays costs sixty pairs of calls, which LLVM has to read, inline and take out again.

The names of Numba used here are its own, not promised: `tests/kernels/test_lowering.py` says what they must do.
"""

from __future__ import annotations

from typing import Any, TypeVar

from numba import types
from numba.core import ir
from numba.core.compiler import Compiler, Flags
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering

UNOWNED: set[Any] = set()
"""Compiled functions, and what Numba types intrinsics as, whose results nobody owns: see `unowned`."""

F = TypeVar("F")


def unowned(function: F) -> F:
    """Mark a compiled function or an intrinsic that only ever returns arrays without an owner, or tuples of them.

    They are the memory of something that the caller holds, as those of `uncounted` are.
    """
    UNOWNED.add(function)
    return function


class _Lower(Lower):
    """Numba's lowering of a function, but for the variables that are lent and those that need no counting."""

    def pre_lower(self) -> None:
        """Before the first block."""
        super().pre_lower()
        self._lent = _lent(self.func_ir.blocks, self.typeof) if self.generator_info is None else frozenset()

    def lower_assign(self, ty: types.Type, inst: ir.Assign) -> Any:
        """The value that is assigned."""
        value = inst.value
        if inst.target.name in self._lent:
            if isinstance(value, ir.Arg):
                return self.fnargs[value.index]
            if isinstance(value, ir.Var):
                return self.loadvar(value.name)
            if value.op != "call":
                whole = value.value.name
                return self.builder.extract_value(self.loadvar(whole), _place(value, self.typeof(whole)))
            if isinstance(self.typeof(value.func.name), types.NamedTupleClass):
                return self.context.make_tuple(self.builder, ty, [self.loadvar(arg.name) for arg in value.args])
        return super().lower_assign(ty, inst)

    def storevar(self, value: Any, name: str, argidx: int | None = None) -> None:
        """Store a value in a variable, which gives up what it held."""
        if self._is_counted(name):
            super().storevar(value, name, argidx)
            return
        self._alloca_var(name, self.typeof(name))
        if name in self._singly_assigned_vars:
            self._blk_local_varmap[name] = value
        else:
            self.builder.store(value, self.getvar(name))

    def delvar(self, name: str) -> None:
        """A variable is not used any more."""
        if self._is_counted(name):
            super().delvar(name)

    def _is_counted(self, name: str) -> bool:
        if self.generator_info is not None:
            return True
        model = self.context.data_model_manager[self.typeof(name)]
        return name not in self._lent and bool(model.contains_nrt_meminfo())


def _lent(blocks: dict[int, ir.Block], typeof: Any) -> frozenset[str]:
    """The variables that only ever are an argument, a field of a tuple that is lent itself, or without an owner."""
    assigned = [inst for block in blocks.values() for inst in block.find_insts(ir.Assign)]
    lent = {inst.target.name for inst in assigned}
    lent -= {inst.value.name for block in blocks.values() for inst in block.find_insts(ir.Return)}
    while owned := {i.target.name for i in assigned if i.target.name in lent and not _is_lent(i, lent, typeof)}:
        lent -= owned
    return frozenset(lent)


def _is_lent(inst: ir.Assign, lent: set[str], typeof: Any) -> bool:
    """Is what is assigned lent, where these variables are, and of the type of its variable as it is?"""
    value, kind = inst.value, typeof(inst.target.name)
    if isinstance(value, ir.Arg):
        return bool(typeof("arg." + value.name) == kind)
    if isinstance(value, ir.Var):
        return value.name in lent and bool(typeof(value.name) == kind)
    if not isinstance(value, ir.Expr):
        return False
    if value.op == "call":
        return _is_lent_call(value, kind, lent, typeof)
    if value.op in ("getattr", "static_getitem") and value.value.name in lent:
        whole = typeof(value.value.name)
        place = _place(value, whole)
        return place is not None and bool(whole.types[place] == kind)
    return False


def _is_lent_call(call: ir.Expr, kind: types.Type, lent: set[str], typeof: Any) -> bool:
    """Is it a call of an `unowned` function, or one that makes a tuple of what is lent?"""
    function = typeof(call.func.name)
    if isinstance(function, types.NamedTupleClass):
        if call.kws or call.vararg or not isinstance(kind, types.BaseTuple) or len(call.args) != len(kind):
            return False
        pairs = [(arg.name, typeof(arg.name), field) for arg, field in zip(call.args, kind.types, strict=True)]
        return all(has == wanted and (name in lent or isinstance(has, types.Number)) for name, has, wanted in pairs)
    key = function.dispatcher if isinstance(function, types.Dispatcher) else getattr(function, "typing_key", None)
    return key in UNOWNED


def _place(value: ir.Expr, whole: types.Type) -> int | None:
    """Which field of a tuple an expression takes; None where it takes something else."""
    if value.op == "getattr":
        named = isinstance(whole, types.BaseNamedTuple) and value.attr in whole.fields
        return whole.fields.index(value.attr) if named else None
    inside = isinstance(whole, types.BaseTuple) and isinstance(value.index, int) and 0 <= value.index < len(whole)
    return value.index if inside else None


@register_pass(mutates_CFG=True, analysis_only=False)
class _Lowering(NativeLowering):
    @property
    def lowering_class(self) -> type[Lower]:
        return _Lower


class Uncounted(Compiler):
    """Numba's compiler with the lowering above."""

    def define_pipelines(self) -> list[PassManager]:
        """The passes of a compilation."""
        [usual] = super().define_pipelines()
        manager = PassManager(usual.pipeline_name)
        manager.passes = [(_Lowering if each is NativeLowering else each, why) for each, why in usual.passes]
        manager.finalize()
        return [manager]


class Settings(Flags):
    """Numba's settings of a compilation, compared by what is set.

    Numba looks functions up by them thousands of times in each compilation, and compares all options one by one.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Settings) and self._values == other._values)

    def __hash__(self) -> int:
        return hash(frozenset(self._values))  # names alone: some values have no hash


def with_settings(compiler: Any) -> None:
    """Let the compiler of a function (a dispatcher's `_compiler`) use `Settings`."""
    usual = compiler._customize_flags
    compiler._customize_flags = lambda flags: Settings(usual(flags))
