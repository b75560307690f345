"""Data sources: each module writes a log, and `build` keeps the logs it made."""

from __future__ import annotations

import hashlib
import importlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from lersbench.errors import ConfigError, DataError, did_you_mean
from lersbench.options import Option, checked, options_of
from lersbench.sources import digest
from lersbench.system import leftovers
from lersbench.system.cache_folder import cache_root
from lersbench.system.progress import say

if TYPE_CHECKING:
    from lersbench.bounds import Size
    from lersbench.log import Log


@dataclass(frozen=True)
class Dataset:
    """A data source: a module with TITLE, LICENCE, ATTRIBUTION, a dataclass `Options`, `build(out, **options) -> Log`.

    The module is imported when one of its facts is asked for.
    """

    name: str
    module: str

    @property
    def source(self) -> ModuleType:
        return importlib.import_module(self.module)

    @property
    def title(self) -> str:
        return self.source.TITLE

    @property
    def licence(self) -> str:
        return self.source.LICENCE

    @property
    def attribution(self) -> str:
        return self.source.ATTRIBUTION

    @property
    def options(self) -> dict[str, Option]:
        return options_of(self.source.Options)


DATASETS: dict[str, Dataset] = {
    name: Dataset(name, f"{__name__}.{module}")
    for name, module in {
        "completejourney": "completejourney",
        "livestream": "livestream",
        "on-air": "onair",
        "open-bandit": "openbandit",
        "kuailive": "public.kuailive",
        "kuairec": "kuairec",
        "synthetic": "synthetic",
        "taobao": "taobao",
        "twitch": "public.twitch",
    }.items()
}


def build(name: str, **options: Any) -> Log:
    """The log of a data source for these options: from the cache, or made now and kept there.

    A log is known by its options, by the sources of this package that made it, and by the sizes and times of the files
    in the folder given as `path`. It is made under a temporary name and renamed, so a process that is killed leaves
    nothing half-written, and of two that make the same log at once both get the one that is finished first. One that
    was kept and cannot be opened any more is made anew.

    Raises ConfigError for an unknown data source or option, and what the source raises (DataError, ConfigError).
    """
    from lersbench.log import Log

    if not isinstance(name, str) or name not in DATASETS:
        raise ConfigError(f"There is no data set {name!r}{did_you_mean(str(name), DATASETS, 'known are')}")
    dataset = DATASETS[name]
    full = checked(f"data set {name}", dataset.options, options)
    target = cache_root() / "logs" / f"{name}-{_key(dataset.module, full)}"
    if not _opens(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        leftovers.sweep(target.parent)
        workshop = Path(tempfile.mkdtemp(prefix=leftovers.prefix(target.name), dir=target.parent))
        try:
            dataset.source.build(workshop / "log", **full)
            _move(workshop / "log", target)
        finally:
            shutil.rmtree(workshop)
    return Log(target)


def _opens(target: Path) -> bool:
    """Is the log there, and what it says of itself right? One that is damaged is removed."""
    from lersbench.log import Log

    if not target.exists():
        return False
    try:
        Log(target)
    except DataError as error:
        say(f"The log of this data set that was kept is damaged, so it is made anew. {error}")
        shutil.rmtree(target)
        return False
    return True


def size_of(name: str, options: Mapping[str, Any]) -> Size | None:
    """How large the log of a data source would be; None where its source does not say (it is no matter of options).

    Raises ConfigError for an unknown data source or option.
    """
    if name not in DATASETS:
        raise ConfigError(f"There is no data set {name!r}{did_you_mean(name, DATASETS, 'known are')}")
    dataset = DATASETS[name]
    full = checked(f"data set {name}", dataset.options, options)
    size: Callable[..., Size | None] = getattr(dataset.source, "size", lambda **_: None)
    return size(**full)


def _move(finished: Path, target: Path) -> None:
    try:
        finished.rename(target)
    except OSError:  # another process finished the same log first
        if not _opens(target):
            raise


def _key(module: str, options: dict[str, Any]) -> str:
    """Everything a log depends on: the sources of its module and of all that imports, the options, what they name."""
    total = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    total.update("".join([*sentence_package(options), digest(module)]).encode())
    for name in ("path", "text_path"):
        if not options.get(name):
            continue
        place = Path(options[name]).expanduser().resolve()
        files = [place] if place.is_file() else sorted(file for file in place.rglob("*") if file.is_file())
        for file in files:
            total.update(stamp(file).encode())
    return total.hexdigest()[:16]


def stamp(file: Path) -> str:
    """A name for a file as it is now, without reading it: writing changes its ctime, which nobody can set."""
    status = file.stat()
    return f"{file} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"


def sentence_package(options: Mapping[str, Any]) -> list[str]:
    """The package that brings the sentence model these options ask for, if one does, and its version.

    None does where they ask for no such model, or for one in a folder of their own.
    """
    if options.get("text_model") != "sentence" or options.get("text_path"):
        return []
    try:
        return [f"wordllama {version('wordllama')}"]
    except PackageNotFoundError:
        return ["wordllama not installed"]
