"""What a user's policy takes along to another machine: its file, what that imports from folders of the user, and the
files it reads. All goes as it is, with its digest, and is put down in the worker's own cache folder.

Packages that are installed do not travel; the worker must have them, in the same versions.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from lersbench import neighbours, sources
from lersbench.bench import inputs
from lersbench.errors import ConfigError, Unfit
from lersbench.policy import Policy
from lersbench.system.cache_folder import cache_root, private

FOLDER = "travelled"  # of the cache
MOST = 1 << 28  # bytes
CODE, HERE = "code", "here"  # folders: one on Python's path, one to work in


class Piece(NamedTuple):
    folder: str  # CODE or HERE
    name: str  # its path in there
    content: bytes


class Luggage(NamedTuple):
    policy: str  # its name there: "mine.py:Mine" in CODE, or "my_pkg.mine:Mine"
    pieces: tuple[Piece, ...]
    digest: str


def packed(policy: Policy, name: str) -> Luggage | None:
    """The luggage of a policy of this name; None where it has none: of the package itself, say, without a file of
    yours."""
    module = type(policy).__module__
    files = sources.modules(module)
    file = Path(str(sys.modules[module].__file__))
    if module.startswith("lersbench.") or not files or sources.is_installed(module.partition(".")[0]):
        read = [piece for piece in _read_by(policy, file.parent, PurePosixPath()) if piece.folder == HERE]
        return Luggage(name, tuple(read), _digest(read)) if read else None
    by_path = name.rpartition(":")[0 if ":" in name else 2].endswith(".py")
    own = file.name if by_path else _as_path(module, file)
    there = {own: file}
    for each, path in files.items():
        if each != module:
            there[_as_path(each, path)] = path
    for package in _packages(files):
        there.setdefault(_as_path(package[0], package[1]), package[1])
    pieces = [Piece(CODE, name, path.read_bytes()) for name, path in sorted(there.items())]
    pieces += _read_by(policy, file.parent, PurePosixPath(own).parent)
    if (size := sum(len(piece.content) for piece in pieces)) > MOST:
        raise ConfigError(
            f"policy {name} and the files it reads have {size >> 20} MB, more than the {MOST >> 20} that travel to a "
            "cluster. Fix: put large files where all machines reach them, and name them by their full path."
        )
    target = name if not by_path else own + (f":{name.rpartition(':')[2]}" if ":" in name else "")
    return Luggage(target, tuple(pieces), _digest(pieces))


@contextmanager
def opened(luggage: Luggage | None, name: str) -> Iterator[str]:
    """While a policy plays that has come from elsewhere; yields its name here. Without luggage that is `name`.

    Raises Unfit where the pieces are not those that were sent.
    """
    if luggage is None:
        yield name
        return
    if _digest(luggage.pieces) != luggage.digest:
        raise Unfit(f"what came of policy {name} is not what was sent.")
    root = _put_down(luggage)
    code, before = str(root / CODE), os.getcwd()
    _forget(root)
    sys.path.insert(0, code)
    os.chdir(root / HERE)
    try:
        by_path = luggage.policy.partition(":")[0].endswith(".py")
        yield f"{code}/{luggage.policy}" if by_path else luggage.policy
    finally:
        os.chdir(before)
        sys.path.remove(code)


def _put_down(luggage: Luggage) -> Path:
    """The folder that holds the pieces, each compared with what was sent."""
    base = private(private(cache_root()) / FOLDER)
    root = base / luggage.digest
    if not root.is_dir():
        made = base / f"{luggage.digest}.{uuid.uuid4().hex[:8]}"
        for folder in (CODE, HERE):
            (made / folder).mkdir(parents=True)
        for piece in luggage.pieces:
            path = made / piece.folder / piece.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(piece.content)
        with suppress(OSError):  # another process was faster, with the same content
            os.rename(made, root)
    for piece in luggage.pieces:
        path = root / piece.folder / piece.name
        if not path.is_file() or path.read_bytes() != piece.content:
            raise Unfit(f"{path} is not what was sent. Fix: delete {root}.")
    return root


def _forget(root: Path) -> None:
    """Let modules that have come before, of another luggage, be imported anew."""
    neighbours.leave(root.parent, root)
    base = f"{root.parent}{os.sep}"
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if file.startswith(base) and not file.startswith(f"{root}{os.sep}"):
            del sys.modules[name]


def _as_path(module: str, file: Path) -> str:
    """Where a module lies below a folder of Python's path."""
    parts = module.split(".")
    tail = [*parts, "__init__.py"] if file.name == "__init__.py" else [*parts[:-1], parts[-1] + file.suffix]
    return "/".join(tail)


def _packages(files: dict[str, Path]) -> Iterator[tuple[str, Path]]:
    """The packages that modules stand in, which are imported before them."""
    for name in files:
        while name := name.rpartition(".")[0]:
            file = getattr(sys.modules.get(name), "__file__", None)
            if file:
                yield name, Path(file)


def _read_by(policy: Policy, home: Path, beside: PurePosixPath) -> list[Piece]:
    """The files that a policy reads by names that are no full paths: in the working folder, and beside its module."""
    pieces = []
    for name, _ in inputs.inputs_of(policy).files:
        if Path(name).is_absolute() or ".." in PurePosixPath(name).parts:
            continue
        for folder, path, there in ((HERE, Path(name), name), (CODE, home / name, str(beside / name))):
            if path.is_file():
                pieces.append(Piece(folder, there, path.read_bytes()))
    return pieces


def _digest(pieces: list[Piece] | tuple[Piece, ...]) -> str:
    told = [[piece.folder, piece.name, hashlib.sha256(piece.content).hexdigest()] for piece in pieces]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]
