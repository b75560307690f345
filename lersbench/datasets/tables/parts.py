"""The files a table lies in, one or many, as plain files that DuckDB can read."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lersbench.errors import ConfigError, DataError
from lersbench.system.unpack import is_packed, unpack_text

CSV, JSON, PARQUET = "CSV", "JSON lines", "Parquet"
PATTERN = "*?["  # signs that make a path stand for many
HEAD = 4096  # bytes that tell what a file is
WIDE = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}  # how texts of two bytes a character begin


class Part(NamedTuple):
    """A file as the user named it, and where the plain file that is read lies."""

    given: Path
    plain: Path


class Parts(NamedTuple):
    """The files of one table, in the order of their names, all of one kind."""

    kind: str
    files: tuple[Part, ...]


def find(path: Path, folder: Path, encoding: str | None) -> Parts:
    """The parts at a path: a file, a folder of files, or a pattern such as `shown/*.parquet`.

    Packed files, and those in another `encoding` than UTF-8, are written out as UTF-8 into `folder`. Raises a DataError
    where there is no file, where files are of several kinds or of none that is known.
    """
    codec = None if encoding is None else _codec(encoding)
    given = _files(path)
    plain = [Part(file, _plain(file, folder / f"{number}-{file.name}", codec)) for number, file in enumerate(given)]
    kinds = [_kind(part) for part in plain]
    for part, kind in zip(plain, kinds, strict=True):
        if kind != kinds[0]:
            fault = f"{part.given.name} is {kind}, {plain[0].given.name} is {kinds[0]}"
            raise DataError(f"{path}: {fault}. Fix: give the files of one kind, as '{path}/*{plain[0].given.suffix}'")
    return Parts(kinds[0], tuple(plain))


def name_of(source: str | Path) -> str:
    """What a table at a path may be called: its name without endings, for a pattern that of its folder."""
    path = Path(source)
    name = path.name.partition(".")[0]
    return path.absolute().parent.name if any(sign in name for sign in PATTERN) else name


def _codec(encoding: str) -> str:
    try:
        return codecs.lookup(encoding).name
    except LookupError as error:
        raise ConfigError(f"--encoding {encoding}: no such encoding; try utf-8, latin-1, cp1252 or utf-16.") from error


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if path.is_dir():
        inside = sorted(file for file in path.iterdir() if not file.name.startswith((".", "_")))
        folders = [file.name for file in inside if file.is_dir()]
        if folders:
            fix = f"give the files as '{path}/*/*.parquet', say (what the names of folders tell is not read)"
            raise DataError(f"{path}: the folder holds further folders ({folders[0]}). Fix: {fix}")
        files = [file for file in inside if file.suffix != ".crc"]
    elif any(sign in str(path) for sign in PATTERN):
        base = Path(path.anchor) if path.is_absolute() else Path()
        files = sorted(file for file in base.glob(str(path.relative_to(base))) if file.is_file())
    else:
        raise DataError(f"{path}: no such file. Fix: give a CSV, JSON lines or Parquet file, or a folder of them")
    if not files:
        raise DataError(f"{path}: there is no file in it. Fix: give a CSV, JSON lines or Parquet file, or a folder")
    return files


def _plain(file: Path, target: Path, codec: str | None) -> Path:
    """The file itself, or a copy that is unpacked and in UTF-8."""
    try:
        if is_packed(file):
            unpack_text(file, target)
            file = target
        with file.open("rb") as data:
            head = data.read(HEAD)
        wide = next((name for mark, name in WIDE.items() if head.startswith(mark)), None)
        if head.startswith(b"PAR1") or (codec or wide or "utf-8") == "utf-8":
            return file
        recoded = target.with_name(f"{target.name}.utf-8")
        unpack_text(file, recoded, codec or wide)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file}: its text is not {codec or wide} ({error}). Fix: say --encoding latin-1, say"
        ) from error
    return recoded


def _kind(part: Part) -> str:
    with part.plain.open("rb") as data:
        head = data.read(HEAD).removeprefix(codecs.BOM_UTF8)
    if head.startswith(b"PAR1") or part.given.suffix in (".parquet", ".pq"):
        return PARQUET
    if b"\0" in head:
        fix = "text of two bytes a character wants --encoding utf-16-le; a sheet or a database, to be saved as CSV"
        raise DataError(f"{part.given}: it is neither text nor Parquet. Fix: {fix}")
    first = head.lstrip()[:1]
    if first == b"[" and part.given.suffix == ".json":
        fix = f"write one object a line, as `jq -c '.[]' {part.given.name} > lines.jsonl` does"
        raise DataError(f"{part.given}: one array of JSON. Fix: {fix}")
    return JSON if first == b"{" else CSV


def lines_up(names: Sequence[Sequence[str]], parts: Parts) -> None:
    """Raise a DataError for the first part whose columns are not those of the first one."""
    for part, own in zip(parts.files, names, strict=True):
        if list(own) != list(names[0]):
            fault = f"its columns are {', '.join(own)}; those of {parts.files[0].given.name} are {', '.join(names[0])}"
            raise DataError(f"{part.given}: {fault}. Fix: write all parts with the same columns in one order")
