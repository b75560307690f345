"""What a result depends on beside log, protocol and hyper-parameters: the engine, the policy's code, files it reads."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from lersbench.bench import click_fits, session
from lersbench.errors import ConfigError
from lersbench.log import Log
from lersbench.policy import Policy
from lersbench.sources import digest, packages


class Inputs(NamedTuple):
    """What one policy depends on, by content."""

    sources: str  # of its module and all that imports
    packages: tuple[str, ...]  # installed ones that it declares, or that a user's policy imports, with their versions
    files: tuple[tuple[str, str], ...]  # name and sha256 of each file it reads


def engine() -> str:
    """The digest of the sources that play any contender and fit the click models."""
    return digest(session.__name__, click_fits.__name__)


def inputs_of(policy: Policy) -> Inputs:
    """The inputs of a policy as they are now. Raises a ConfigError for a declared file that is missing, or any that
    cannot be read."""
    module = type(policy).__module__
    ours = module.startswith("lersbench.")
    installed = [f"{name} {version(name)}" for name in policy.packages] if ours else packages(module)
    return Inputs(digest(module), tuple(installed), tuple(sorted(_files(policy).items())))


def basis(log: Log, engine_digest: str, policy_inputs: Inputs) -> tuple[str, str, str, Inputs]:
    """What the key of a contender was made of; the process that plays it compares its own."""
    return engine_digest, log.identity, log.sha256_of("users.parquet"), policy_inputs


def changed_files(before: Mapping[str, str], now: Inputs) -> list[str]:
    """The files of `now` whose content was another `before`; both by name."""
    return [name for name, content in now.files if before.get(name, content) != content]


def _files(policy: Policy) -> dict[str, str]:
    """Name and sha256 of the files that a policy reads: declared ones, and those its hyper-parameters name."""
    home = Path(getattr(sys.modules[type(policy).__module__], "__file__", None) or ".").parent
    digests: dict[str, str] = {}
    for name in policy.files:
        places = [place for place in (Path(name), home / name) if place.exists()]
        if not places:
            raise ConfigError(
                f"{type(policy).__name__} declares the file '{name}', which is neither here nor in {home}. Fix: put it "
                "there, or take it out of `files`."
            )
        digests |= _read(str(name), places)
    for field in fields(policy):  # type: ignore[arg-type]
        for value in _texts(getattr(policy, field.name)):
            digests |= _read(str(value), [place for place in (Path(value), home / value) if _names_files(place, value)])
    return digests


def _texts(value: Any) -> Iterator[str | Path]:
    """The texts and paths in the value of a hyper-parameter."""
    if isinstance(value, str | Path):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, Mapping):
        yield from _texts(list(value.values()))


def _names_files(place: Path, value: str | Path) -> bool:
    """Is this a file, or the folder that a path names? A text may be called as a folder by chance."""
    try:
        return place.is_file() or (isinstance(value, Path) and place.is_dir())
    except OSError:  # a text too long for a name
        return False


def _read(name: str, places: list[Path]) -> dict[str, str]:
    """The sha256 of each file at these places, by `name` and what is added to it inside a folder."""
    digests: dict[str, str] = {}
    for place in places:
        for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if file.is_file():
                key = f"{name}/{file.relative_to(place).as_posix()}" if place.is_dir() else name
                digests[key] = digests.get(key, "") + _sha256(file)
    return digests


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"{file}, which a policy reads, cannot be read ({error.strerror}).") from error
