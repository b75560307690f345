"""Files: TOML and JSON of anybody's making, digests, and what takes its place only as a whole."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lersbench.errors import ConfigError
from lersbench.system import leftovers
from lersbench.system.exchange import recover, take_the_place
from lersbench.words import DEEPEST, check

LARGEST = 4 << 20  # bytes of a TOML file; ours have a few thousand
DOTTED = re.compile(rf"^[ \t\[]*(?:[\w\"'-]+[ \t]*\.[ \t]*){{{DEEPEST}}}", re.MULTILINE)  # minutes of parsing


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """An OSError that names no file, as that of a full disk, gets the name `path`."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def read_toml(path: Path) -> dict[str, Any]:
    """What a TOML file holds. Raises ConfigError where it cannot be read, or for what `words.check` refuses."""
    try:
        if (size := path.stat().st_size) > LARGEST:
            raise ConfigError(f"{path} has {size:,} bytes; a file of settings has at most {LARGEST:,}.")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}. Fix: save it as UTF-8.") from error
    return parse_toml(text, str(path))


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """What a TOML text holds; `where` is what messages call it."""
    deep = f"{where} is not valid TOML: it is nested too deeply."
    if DOTTED.search(text):
        raise ConfigError(deep)
    try:
        content = tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError(deep) from error
    except ValueError as error:  # also of an integer of thousands of digits
        raise ConfigError(f"{where} is not valid TOML: {error}.") from error
    check(content, where)
    return content


def read_json(path: Path) -> Any:
    """What a JSON file holds. Raises ValueError or OSError where it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def digest(content: Any) -> str:
    """A name for a JSON-able value: equal values, equal names."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:20]


def file_digest(path: Path) -> str:
    """A name for a file: its own, and its content."""
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").digest()
    return hashlib.sha256(path.name.encode() + content).hexdigest()[:20]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, which takes its place when the block ends well, and is removed when not.

    What was at `path` is there until then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    recover(path)
    temporary = path.with_name(leftovers.name_for(path.name))
    try:
        with naming(path):
            yield temporary
        take_the_place(temporary, path)
    finally:
        if temporary.is_dir() and not temporary.is_symlink():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)
