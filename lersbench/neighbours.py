"""Modules that a policy file imports from its own folder, as `import helpers` beside helpers.py.

They are found by name, those alone that the file imports, or that these import: the folder is not put on Python's path,
where all that lies in it could hide other modules. A module has one name in a process, so two files of one name in two
folders, or one that is called as an installed package, are refused.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType

from lersbench import sources
from lersbench.errors import ConfigError


class _Finder(MetaPathFinder):
    """Finds the neighbours of the policy files that were imported, by their top names."""

    def __init__(self) -> None:
        self.places: dict[str, Path] = {}  # top name -> its file, or the folder of a package without one
        self.digests: dict[str, str] = {}  # top name -> of all its files, when they were imported

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        place = self.places.get(fullname)
        if place is None:
            return None
        if place.is_dir():
            spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(place)]
            return spec
        inside = [str(place.parent)] if place.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(fullname, place, submodule_search_locations=inside)


_finder = _Finder()


def digest(path: Path) -> bytes:
    """A digest of the neighbours of a file, which can be imported from here on; empty where it has none.

    Those that were imported before and have changed are imported anew. Raises ConfigError for a name that is taken.
    """
    found = neighbours(path)
    contents: dict[str, str] = {}
    for name, file in sorted(found.items()):
        if file.is_file():
            top = name.partition(".")[0]
            contents[top] = hashlib.sha256((contents.get(top, "") + name).encode() + file.read_bytes()).hexdigest()
    for top in contents:
        _check_free(top, found[top], path)
    if any(_finder.digests.get(top, content) != content for top, content in contents.items()):
        _forget(contents)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    _finder.places |= {top: found[top] for top in contents}
    _finder.digests |= contents
    sources.forget()
    return "".join(contents[top] for top in sorted(contents)).encode()


def leave(below: Path, but: Path) -> None:
    """Let go of the neighbours that lie `below` a folder, but for those in the folder `but`: their names are free."""
    for top, place in list(_finder.places.items()):
        if place.is_relative_to(below) and not place.is_relative_to(but):
            del _finder.places[top]
            _finder.digests.pop(top, None)


def neighbours(path: Path) -> dict[str, Path]:
    """The modules in the folder of a file that it draws on, by name: files, and folders that are packages without one.

    Followed through import statements as in `sources`. Modules of Python itself are none, whatever lies in the folder.
    """
    found: dict[str, Path] = {}
    waiting = [("", path)]
    while waiting:
        module, file = waiting.pop()
        for name in sources.names_in(module, file):
            for part, place in _within(path.parent, name):
                if part not in found and place != path:
                    found[part] = place
                    if place.is_file():
                        waiting.append((part, place))
    bare = {part for part, place in found.items() if place.is_dir()}
    return {part: place for part, place in found.items() if part not in bare or _has_files(part, found)}


def _has_files(package: str, found: dict[str, Path]) -> bool:
    """Is any file of the package among these? Else it is a folder that is called as a module by chance."""
    return any(part.startswith(f"{package}.") and place.is_file() for part, place in found.items())


def _within(folder: Path, name: str) -> Iterator[tuple[str, Path]]:
    """The modules on the way to `name` that lie in the folder, as far as there are any: a, a.b of a.b.f."""
    parts = name.split(".")
    if not name or parts[0] == "lersbench" or parts[0] in sys.stdlib_module_names:
        return
    for size in range(1, len(parts) + 1):
        here = folder.joinpath(*parts[:size])
        file = next((f for f in (here / "__init__.py", here.with_name(f"{here.name}.py")) if f.is_file()), None)
        if file is None and not here.is_dir():
            return
        yield ".".join(parts[:size]), file or here
        if file and file.name != "__init__.py":
            return


def _check_free(top: str, place: Path, path: Path) -> None:
    """Raise ConfigError where the name of a neighbour means another module already."""
    known = _finder.places.get(top)
    if known is not None and known != place:
        raise ConfigError(
            f"{path} imports '{top}' from {place}, and another policy's '{top}' is {known}: a process can have one "
            "module of a name. Fix: rename one of the two."
        )
    if known is None and (other := _elsewhere(top)) not in (None, place):
        raise ConfigError(
            f"{path} imports '{top}', which is its neighbour {place} as well as {other}. Fix: rename the neighbour."
        )


def _elsewhere(top: str) -> Path | None:
    """The file that the name would mean without neighbours; None where there is none."""
    loaded = sys.modules.get(top)
    origin = getattr(loaded, "__file__", None)
    if loaded is None:
        spec = importlib.util.find_spec(top)
        origin = spec.origin if spec else None
    return Path(origin).resolve() if origin and Path(origin).is_file() else None


def _forget(tops: dict[str, str]) -> None:
    """Take modules out of Python's table, so that they are imported anew."""
    for name in [name for name in sys.modules if name.partition(".")[0] in tops]:
        del sys.modules[name]
    importlib.invalidate_caches()
