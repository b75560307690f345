"""Functions that compiled code takes up unfinished, so that LLVM works on a piece of code once.

Numba optimises a function, makes machine code of it, and then puts the optimised code into each caller, where all of
it is optimised and made machine code again: in a chain of four calls the last function five times. A `Kernel` is what
Python calls, finished as Numba does it. What other compiled functions call of it is its `part`: hardly optimised, not
made machine code, without a way in from Python. It is finished in its callers.

The names of Numba used here are its own, not promised: `tests/kernels/test_parts.py` says what they must do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import binding
from numba.core.codegen import JITCodeLibrary
from numba.core.registry import CPUDispatcher

from lersbench.kernels.lowering import Uncounted, with_settings

ENVIRONMENT = "_ZN08NumbaEnv"  # what the variables begin with that hold the Python side of a function, as for errors


class Kernel(CPUDispatcher):
    """A function that Python calls, and the part of it that other compiled functions call."""

    def __init__(self, py_func: Callable[..., Any], locals: Any = None, targetoptions: Any = None):
        super().__init__(py_func, locals, targetoptions, KernelCompiler)
        with_settings(self._compiler)
        self.part = Part(py_func, locals, targetoptions)

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """What a call in compiled code is to be typed as."""
        return self.part.get_call_template(args, kws)

    def get_overload(self, sig: Any) -> Any:
        """What a call in compiled code is to call."""
        return self.part.get_overload(sig)


class KernelCompiler(Uncounted):
    """The compiler of what Python or C calls."""

    def compile_extra(self, func: Callable[..., Any]) -> Any:
        self.state.library = _KernelLibrary(self.state.targetctx.codegen(), func.__qualname__)
        self.state.library.enable_object_caching()
        return super().compile_extra(func)


class _KernelLibrary(JITCodeLibrary):
    """The code of a kernel, optimised once, when it is whole."""

    def add_llvm_module(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout
        self._final_module.link_in(ll_module)


class Part(CPUDispatcher):
    """A function for compiled code alone. Python cannot call it."""

    def __init__(self, py_func: Callable[..., Any], locals: Any = None, targetoptions: Any = None):
        super().__init__(py_func, locals, {**(targetoptions or {}), "no_cpython_wrapper": True}, _PartCompiler)
        with_settings(self._compiler)

    def add_overload(self, cres: Any) -> None:
        """Keep what was compiled, for compiled callers only."""
        self.overloads[tuple(cres.signature.args)] = cres

    def _compile_for_args(self, *args: Any, **kws: Any) -> None:
        raise TypeError(f"{self.__name__} is called by compiled code only: make it a `kernel` to call it from Python.")


class _PartCompiler(Uncounted):
    def compile_extra(self, func: Callable[..., Any]) -> Any:
        self.state.library = _PartLibrary(self.state.targetctx.codegen(), func.__qualname__)
        self.state.library.enable_object_caching()
        return super().compile_extra(func)


class _PartLibrary(JITCodeLibrary):
    """The code of a part, which is only ever linked into that of its callers."""

    def add_llvm_module(self, ll_module: Any) -> None:
        self._final_module.link_in(ll_module)

    def _optimize_final_module(self) -> None:
        """Take out what is never used: each caller would have to, and the address of an unused object, which is in
        all code at first, would keep the caller from the cache."""
        passes = binding.create_new_module_pass_manager()
        passes.add_sroa_pass()
        passes.add_simplify_cfg_pass()
        passes.add_dead_code_elimination_pass()
        passes.add_global_dead_code_eliminate_pass()
        passes.run(self._final_module, self._codegen._pass_builder())

    def _finalize_final_module(self) -> None:
        """Give the machine the variables for environments alone; those of the callers become the same ones."""
        self._finalize_dynamic_globals()
        names = [variable.name for variable in self._final_module.global_variables]
        lines = [f'@"{name}" = common global ptr null' for name in names if name.startswith(ENVIRONMENT)]
        module = "\n".join([str(self._codegen._create_empty_module(self.name)), *lines])
        self._codegen._add_module(binding.parse_assembly(module))
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        self._ensure_finalized()
        return 0

    def serialize_using_object_code(self) -> Any:
        return self.serialize_using_bitcode()
