"""Every Numba option of the package, in one place.

`@kernel` marks a function that Python calls: compiled without the GIL and without fastmath, and kept on disk.
`inlined` marks a short one that is compiled into its callers, `inner` one that Python never calls, `woven`
one that is put into its callers as it is written.
`specialise` compiles a driver loop for the kernels of one policy, and keeps that on disk too; `interpreted` is the same
loop for a policy without kernels.

Numba's own cache looks only at the file a function stands in, so an edit in a helper file would go
unnoticed. Every compiled function is therefore kept in a folder named by a digest of the files its module
draws on (`sources.digest`) and of Numba's version: an edit in one policy compiles that policy anew, an edit
in a figure nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any, cast

import numba

from lersbench.errors import ConfigError
from lersbench.kernels.parts import Kernel, KernelCompiler, Part
from lersbench.sources import digest, is_ours
from lersbench.system.cache_folder import ELSEWHERE, cache_root, private

OPTIONS = {"nopython": True, "nogil": True, "no_cfunc_wrapper": True}
KEPT = 14 * 24 * 3600  # seconds for which compiled code that nobody loads is kept


@cache
def folder_of(modules: tuple[str, ...]) -> str:
    """The folder for compiled code that depends on what these modules draw on; its time says when it was last used."""
    name = hashlib.sha256(f"{numba.__version__} {digest(*modules)}".encode()).hexdigest()[:16]
    folder = private(private(cache_root() / "numba") / name)
    try:
        os.utime(folder)
    except OSError as error:
        raise ConfigError(
            f"The cache folder {folder} cannot be written ({error.strerror}): mend that, {ELSEWHERE}."
        ) from error
    return str(folder)


def _remove_old() -> None:
    """Remove the folders of compiled code that nobody has used for long."""
    for folder in (cache_root() / "numba").glob("*"):
        if folder.stat().st_mtime < time.time() - KEPT:
            shutil.rmtree(folder, ignore_errors=True)


_remove_old()


def _compile(function: Callable[..., Any], modules: tuple[str, ...], kind: Callable[..., Any], **options: Any) -> Any:
    """A `Kernel` or a `Part`, kept on disk by what `modules` draw on; not kept where there are none."""
    if numba.config.DISABLE_JIT:
        return function
    made = kind(function, targetoptions={**OPTIONS, **options})
    if modules:
        folder = folder_of(modules)
        _keep(made, folder)
        if kind is Kernel:  # under the same name, so in a folder of its own
            _keep(made.part, str(private(Path(folder) / "parts")))
    return made


def _keep(function: Any, folder: str) -> None:
    numba.config.CACHE_DIR = folder  # Numba takes it over as a function is kept
    function.enable_caching()


def _modules(function: Callable[..., Any]) -> tuple[str, ...]:
    return (function.__module__,) if is_ours(Path(function.__code__.co_filename)) else ()


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a leaf function. Kernels outside the package are not cached: nothing watches their helpers."""
    return _compile(function, _modules(function), Kernel)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a short leaf function into each of its callers: passing many arrays can cost more than its work."""
    return _compile(function, _modules(function), Kernel, forceinline=True)


def woven(function: Callable[..., Any]) -> Any:
    """A part of its callers, before they are compiled: for what has few callers and is long, as it is never compiled
    by itself."""
    return _compile(function, _modules(function), Kernel, inline="always")


def inner(function: Callable[..., Any]) -> Any:
    """A function that only compiled code calls: see `parts`."""
    return _compile(function, _modules(function), Part)


def specialise(template: Callable[..., Any], name: str, module: str, inner: bool = False, **kernels: Any) -> Any:
    """Compile a copy of `template` in which the global names of `kernels` mean those kernels.

    Passing kernels as arguments would work as well, but Numba cannot reuse such an entry from disk;
    a copy under a qualified name of its own can be cached like any other function: `module` is where the kernels
    come from, "" where nothing is to be kept. An `inner` one is called by compiled code only.
    """
    copy = _copy(template, name, kernels)
    modules = (template.__module__, module) if module else ()
    return _compile(copy, modules, Part if inner else Kernel, forceinline=True)


def interpreted(template: Callable[..., Any], **names: Any) -> Callable[..., Any]:
    """A copy of `template` that Python runs, in which these global names mean something else."""
    return _copy(template, "interpreted", names)


def entry(template: Callable[..., Any], kernel: Any, signature: str, **kernels: Any) -> Any:
    """Compile a copy of `template`, as `specialise` does, as a function that C can call by its `address`."""
    source = kernel.py_func
    copy = _copy(template, f"{source.__module__}.{source.__qualname__}", kernels)
    numba.config.CACHE_DIR = folder_of((template.__module__, source.__module__))
    return numba.cfunc(signature, cache=True, pipeline_class=KernelCompiler)(copy)


def is_kept(function: Any) -> bool:
    """Is there compiled code on disk for a function of this package that `specialise` made, for some types?"""
    kept = getattr(getattr(function, "_cache", None), "_cache_file", None)  # none of these names is Numba's promise
    return kept is not None and os.path.exists(kept._index_path)


def _copy(template: Callable[..., Any], name: str, kernels: Mapping[str, Any]) -> FunctionType:
    function = cast(FunctionType, template)
    copy = FunctionType(function.__code__, {**function.__globals__, **kernels}, function.__name__)
    copy.__qualname__ = f"{function.__qualname__}.{name}"
    copy.__module__ = function.__module__
    return copy
