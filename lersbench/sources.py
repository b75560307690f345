"""What code a result depends on: a module's own file, whatever it imports that is not installed for good, and the
versions of what is."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
POLICIES = ("load", "find", "load_policy")  # calls that take a policy of ours by name
BY_NAME = ("import_module", "__import__", *POLICIES)
INSTALLED = ("site-packages", "dist-packages")  # folders of packages, also of another environment than this one


def closure(module: str) -> list[Path]:
    """The files of `module` (imported already) and of all it draws on, sorted.

    Followed through the import statements, wherever in a file they stand, and through `importlib.import_module` and
    `policy.load` where they are given a text. Modules of lersbench, of the module's own package and of a user's
    folders count; the standard library and other installed packages do not: `packages` has their versions.
    """
    return sorted(path for path in _walk(module)[0].values() if path)


def digest(*modules: str) -> str:
    """A name for the sources of `modules` (imported already) and of all they draw on: by relative path and content."""
    total = hashlib.sha256()
    told = {
        (not is_ours(path), path.relative_to(PACKAGE.parent) if is_ours(path) else Path(path.name), _sha256(path))
        for path in {path for module in modules for path in closure(module)}
    }
    for _, name, content in sorted(told):  # wherever the files of a user lie
        total.update(f"{name.as_posix()}:{content}\n".encode())
    return total.hexdigest()[:20]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def package_digest() -> str:
    """A name for the sources of the whole package, as they are on disk: by relative path and content."""
    total = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        total.update(f"{name}:{_sha256(path)}\n".encode())
    return total.hexdigest()[:20]


def modules(module: str) -> dict[str, Path]:
    """The names and files of `module` (imported already) and of all it draws on that is not the package's own."""
    return {name: path for name, path in _walk(module)[0].items() if path is not None and not is_ours(path)}


def is_ours(path: Path) -> bool:
    """Is this a file of the package itself, not of a user or another package?"""
    return PACKAGE in path.resolve().parents


def packages(module: str) -> list[str]:
    """The installed packages that a user's module and all it draws on import, with their versions: "scipy 1.16.0".

    Python's own version stands for the standard library. Of what lersbench itself imports nothing is listed.
    """
    mine = {name for name in _walk(module)[1] if name != "lersbench"}
    versions = {f"{name} {_version(name)}" for name in mine if name not in sys.stdlib_module_names and _file_of(name)}
    return sorted({*versions, f"python {sys.version_info[0]}.{sys.version_info[1]}"})


def names_in(module: str, path: Path) -> list[str]:
    """Every name that may be a module in the import statements of a file; `module` is its own name.

    A file that is no Python has none: what is wrong with it is said when it is imported."""
    try:
        return _imports(module, path, path.read_bytes())
    except (SyntaxError, ValueError):
        return []


def forget() -> None:
    """Ask again whether packages are installed: there are more modules to be found than before."""
    is_installed.cache_clear()


def _walk(module: str) -> tuple[dict[str, Path | None], set[str]]:
    """Every module that `module` draws on with its file, and the top names of the installed ones that users' import."""
    package = module.partition(".")[0]
    files: dict[str, Path | None] = {}
    installed: set[str] = set()
    waiting = [(module, package)]
    while waiting:
        name, importer = waiting.pop()
        top = name.partition(".")[0]
        if top not in ("lersbench", package) and is_installed(top):
            if importer != "lersbench":
                installed.add(top)
            continue
        if name in files:
            continue
        path = files[name] = _file(name)
        if path is not None and path.suffix == ".py":
            waiting += [(other, top) for other in _imports(name, path, path.read_bytes())]
    return files, installed


@cache
def _version(package: str) -> str:
    """The version of the distribution that brings a package; "?" where none says so."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        brought = metadata.packages_distributions().get(package, [])
        return "+".join(sorted(metadata.version(name) for name in set(brought))) or "?"


def _file_of(package: str) -> bool:
    """Is there such a package at all? Code may name one that is missing."""
    try:
        return package in sys.modules or importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def _file(module: str) -> Path | None:
    """The file of a module, Python or compiled, without importing it; None where there is none."""
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
    return Path(origin) if origin and Path(origin).is_file() else None


@cache
def _imports(module: str, path: Path, content: bytes) -> list[str]:
    """Every name that may be a module in the import statements of a file with this content."""
    return list(_names(module, path, content))


def _names(module: str, path: Path, content: bytes) -> Iterator[str]:
    is_package = path.name == "__init__.py"
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(content)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join(filter(None, [*package.split(".")[: len(package.split(".")) - node.level + 1], base]))
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node) in BY_NAME:
            yield from _named(node)


def _called(node: ast.Call) -> str:
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def _named(node: ast.Call) -> Iterator[str]:
    """The module, or the policy of lersbench, in `import_module("x")` and `load("linucb")`."""
    given = node.args[0] if node.args else None
    if isinstance(given, ast.Constant) and isinstance(given.value, str):
        name = given.value.partition(":")[0]
        if all(part.isidentifier() for part in name.split(".")):
            yield name
        if _called(node) in POLICIES:
            yield f"lersbench.policies.{name.replace('-', '_')}"


@cache
def is_installed(package: str) -> bool:
    """Is this package part of Python, or installed for good?"""
    path = None if package in sys.stdlib_module_names else _file(package) or _folder(package)
    if path is None or set(INSTALLED) & set(path.resolve().parts):
        return True
    installed = {Path(sysconfig.get_path(key)).resolve() for key in ("stdlib", "purelib", "platlib")}
    return any(folder in path.resolve().parents for folder in installed)


def _folder(package: str) -> Path | None:
    """The folder of a package without a file of its own (a namespace package); None where there is no such package."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    return Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else None
