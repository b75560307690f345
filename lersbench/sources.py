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
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if name not in found and path is not None and _counts(name, path, module.partition(".")[0]):
            found[name] = path
            waiting += _imports(name, path, path.stat().st_mtime_ns)
    return sorted(found.values())


def _file(module: str) -> Path | None:
    """The Python file of a module, without importing it; None where there is none."""
    loaded = sys.modules.get(module)
    if loaded is not None:
        origin = getattr(loaded, "__file__", None)
    else:
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, ValueError):  # a name taken from a module is no module itself
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


def _counts(module: str, path: Path, own: str) -> bool:
    if module.partition(".")[0] in ("lersbench", own):
        return True
    installed = {Path(sysconfig.get_path(key)).resolve() for key in ("stdlib", "purelib", "platlib")}
    return not any(folder in path.resolve().parents for folder in installed)
