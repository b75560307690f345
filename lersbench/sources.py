"""Which source files a result depends on: a module's own, and whatever it imports that is not installed for good."""

from __future__ import annotations

import ast
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path


def closure(module: str) -> list[Path]:
    """The files of `module` (imported already) and of all it draws on, sorted.

    Followed through the import statements, wherever in a file they stand. Modules of lersbench, of the module's
    own package and of a user's folders count; the standard library and other installed packages do not.
    """
    own = module.partition(".")[0]
    found: dict[str, Path | None] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        if name in found or (top not in ("lersbench", own) and _is_installed(top)):
            continue
        path = found[name] = _file(name)
        if path is not None:
            waiting += _imports(name, path, path.stat().st_mtime_ns)
    return sorted(path for path in found.values() if path)


def _file(module: str) -> Path | None:
    """The Python file of a module, without importing it; None where there is none."""
    loaded = sys.modules.get(module)
    parent = sys.modules.get(module.rpartition(".")[0])
    if loaded is None and parent is not None and not hasattr(parent, "__path__"):
        return None  # a name taken from a module is no module itself
    if loaded is not None:
        origin = getattr(loaded, "__file__", None)
    else:
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, ValueError):
            return None
        origin = spec.origin if spec else None
    return Path(origin) if origin and origin.endswith(".py") else None


@cache
def _imports(module: str, path: Path, changed: int) -> list[str]:
    """Every name that may be a module in the import statements of a file, as it was when `changed`."""
    return list(_names(module, path))


def _names(module: str, path: Path) -> Iterator[str]:
    is_package = path.name == "__init__.py"
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join(filter(None, [*package.split(".")[: len(package.split(".")) - node.level + 1], base]))
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


@cache
def _is_installed(package: str) -> bool:
    """Is this package part of Python, or installed for good, here or in the environment below this one?"""
    path = None if package in sys.stdlib_module_names else _file(package)
    if path is None:
        return True
    installed = {Path(sysconfig.get_path(key)).resolve() for key in ("stdlib", "purelib", "platlib")}
    return any(p in installed or p.name in ("site-packages", "dist-packages") for p in path.resolve().parents)
