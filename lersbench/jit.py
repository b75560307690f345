"""Every Numba option of the package, in one place.

`@kernel` marks a leaf function: compiled without the GIL and without fastmath, and kept on disk.
`inlined` marks a short one that is compiled into its callers.
`specialise` compiles a driver loop for the kernels of one policy, and keeps that on disk too.

Numba's own cache looks only at the file a function stands in, so an edit in a helper file would go
unnoticed. The cache directory is therefore named by a digest of all sources of the package and of
Numba's version; a stale directory is never looked at again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any, cast

import numba

from lersbench.errors import ConfigError

PACKAGE = Path(__file__).resolve().parent
KEEP = 3  # cache directories kept on disk, newest first
IN_USE = 24 * 3600  # seconds for which another process may still write into the directory it has begun with


def cache_root() -> Path:
    """The folder for everything lersbench keeps between runs: `LERSBENCH_CACHE`, or `~/.cache/lersbench`."""
    told = os.environ.get("LERSBENCH_CACHE")
    if told:
        return Path(told)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lersbench"


def source_digest(*more: Path) -> str:
    """A digest of the package's sources (and of the files in `more`) and of Numba's version."""
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(PACKAGE.rglob("*.py")) + sorted(more):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _point_numba_at_the_cache() -> None:
    folder = cache_root() / "numba" / source_digest()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
    except OSError as error:
        raise ConfigError(
            f"The cache folder {cache_root()} cannot be written ({error.strerror}); set LERSBENCH_CACHE to one "
            "that can."
        ) from error
    numba.config.CACHE_DIR = str(folder)
    last_use = {other: other.stat().st_mtime for other in folder.parent.iterdir()}
    for old in sorted(last_use, key=lambda p: last_use[p], reverse=True)[KEEP:]:
        if last_use[old] < time.time() - IN_USE:
            shutil.rmtree(old, ignore_errors=True)


_point_numba_at_the_cache()


def _is_ours(function: Callable[..., Any]) -> bool:
    return PACKAGE in Path(function.__code__.co_filename).resolve().parents


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a leaf function. Kernels outside the package are not cached: nothing watches their helpers."""
    return numba.njit(cache=_is_ours(function), nogil=True)(function)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a short leaf function into each of its callers: passing many arrays can cost more than its work."""
    return numba.njit(cache=_is_ours(function), nogil=True, forceinline=True)(function)


def specialise(template: Callable[..., Any], name: str, cache: bool, **kernels: Any) -> Any:
    """Compile a copy of `template` in which the global names of `kernels` mean those kernels.

    Passing kernels as arguments would work as well, but Numba cannot reuse such an entry from disk;
    a copy under a qualified name of its own can be cached like any other function.
    """
    own = cast(FunctionType, template)
    copy = FunctionType(own.__code__, {**own.__globals__, **kernels}, own.__name__)
    copy.__qualname__ = f"{own.__qualname__}.{name}"
    copy.__module__ = own.__module__
    return numba.njit(cache=cache, nogil=True, forceinline=True)(copy)
