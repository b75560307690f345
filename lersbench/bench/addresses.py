"""Results at an address that several machines share: s3://, gs://, file:// and whatever pyarrow or fsspec knows.

Commands work in a copy of the folder on this machine. What is new at the address is fetched when one begins; finished
contenders are sent there as they come, and tables, figures and reports when it ends. So a machine that is lost loses
what was under way, and another goes on from there. Contenders are named by their content: two machines that finish the
same one send the same file.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from lersbench.errors import ConfigError
from lersbench.files import replacing
from lersbench.log.schema import locate
from lersbench.system.cache_folder import cache_root, private

FOLDER = "results"  # of the cache: the copies
KNOWN = ".address.json"  # in a copy: what each file there and here was when both were the same
Stamp = list[float]  # size and time of a file

_open: dict[Path, Address] = {}


@contextmanager
def mirrored(place: str | Path) -> Iterator[Path]:
    """The folder of the results at a `place`: a path as it is, or the copy of an address, which is fetched first and
    sent back in the end. Raises ConfigError where the address cannot be reached or written."""
    if "://" not in str(place):
        yield Path(place)
        return
    address = Address(str(place))
    address.fetch()
    _open[address.folder] = address
    try:
        yield address.folder
    finally:
        del _open[address.folder]
        address.send()


def keep(path: Path) -> None:
    """Send a file that is finished, where its folder is the copy of an address."""
    for folder, address in _open.items():
        if path.is_relative_to(folder):
            address.send_one(path.relative_to(folder).as_posix())


class Address:
    """A folder at an address, and its copy here."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.fs, self.root = _located(url)
        name = hashlib.sha256(url.encode()).hexdigest()[:16]
        self.folder = private(private(cache_root()) / FOLDER) / name
        self.folder.mkdir(exist_ok=True)
        try:
            self.known: dict[str, list[Stamp]] = json.loads((self.folder / KNOWN).read_text())
        except (OSError, ValueError):
            self.known = {}

    def fetch(self) -> None:
        """Fetch what is new or other at the address since both were the same."""
        with self._reached("read"):
            for name, stamp in self._there().items():
                path = self.folder / name
                if not path.is_file() or self.known.get(name, [[], []])[0] != stamp:
                    with (
                        replacing(path) as unfinished,
                        self.fs.open_input_stream(f"{self.root}/{name}") as source,
                        unfinished.open("wb") as target,
                    ):
                        shutil.copyfileobj(source, target, 1 << 20)
                    self.known[name] = [stamp, _stamp(path)]
        self._remember()

    def send(self) -> None:
        """Send what is new or other here, and take away there what was taken away here."""
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            hidden = any(part.startswith(".") for part in PurePosixPath(name).parts)
            if path.is_file() and not hidden and self.known.get(name, [[], []])[1] != _stamp(path):
                self.send_one(name)
        with self._reached("write"):
            for name in [name for name in self.known if not (self.folder / name).is_file()]:
                if self.fs.get_file_info(f"{self.root}/{name}").is_file:
                    self.fs.delete_file(f"{self.root}/{name}")
                del self.known[name]
        self._remember()

    def send_one(self, name: str) -> None:
        """Send a file: it is there as a whole or not at all."""
        path, target = self.folder / name, f"{self.root}/{name}"
        stamp = _stamp(path)
        with self._reached("write"):
            local = isinstance(self.fs, pafs.LocalFileSystem)  # others show a file when it is closed
            self.fs.create_dir(str(PurePosixPath(target).parent), recursive=True)
            unfinished = f"{target}.{uuid.uuid4().hex[:8]}.part" if local else target
            with path.open("rb") as source, self.fs.open_output_stream(unfinished) as out:
                shutil.copyfileobj(source, out, 8 << 20)
            if local:
                self.fs.move(unfinished, target)
            self.known[name] = [_of(self.fs.get_file_info(target)), stamp]

    def _there(self) -> dict[str, Stamp]:
        """The files at the address, with their stamps."""
        found = self.fs.get_file_info(pafs.FileSelector(self.root, recursive=True, allow_not_found=True))
        names = {str(PurePosixPath(info.path).relative_to(self.root)): _of(info) for info in found if info.is_file}
        return {
            name: stamp
            for name, stamp in names.items()
            if ".." not in PurePosixPath(name).parts and not name.endswith(".part") and name != KNOWN
        }

    def _remember(self) -> None:
        with replacing(self.folder / KNOWN) as unfinished:
            unfinished.write_text(json.dumps(self.known))

    @contextmanager
    def _reached(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            raise ConfigError(
                f"{self.url}: cannot {what} there ({' '.join(str(error).split())}). What is finished lies in "
                f"{self.folder}, and goes there with the next command that has this --results."
            ) from error


def _located(url: str) -> tuple[Any, str]:
    """The file system of an address and the folder in it: of pyarrow, or else of fsspec where that is installed."""
    try:
        fs, root = locate(url)
    except ConfigError as unknown:
        try:
            import fsspec

            other, root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError, OSError) as error:
            raise unknown from error
        fs = pafs.PyFileSystem(pafs.FSSpecHandler(other))
    return fs, root.rstrip("/")


def _of(info: Any) -> Stamp:
    return [info.size, info.mtime_ns or 0]


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
