"""Results at an address: a folder by file://, and a bucket of a server that speaks S3."""

from __future__ import annotations

import os
import shutil
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import lersbench as lb
from lersbench.bench import addresses
from lersbench.bench.addresses import Address, mirrored
from lersbench.cli.main import cli
from lersbench.errors import ConfigError
from tests.bench.test_replays import bench, curves, scenario_of


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copies of addresses are in a folder of the test; compiled code and logs stay where they are."""
    folder = tmp_path / "copies"
    folder.mkdir(mode=0o700)
    monkeypatch.setattr(addresses, "cache_root", lambda: folder)
    return folder


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        endpoint = urllib.parse.quote(f"http://{host}:{port}", safe="")
        yield f"s3://results?endpoint_override={endpoint}&region=us-east-1&allow_bucket_creation=true"
    server.stop()


@pytest.fixture(params=["file", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "file":
        return f"file://{tmp_path}/shared/results"
    place, _, query = request.getfixturevalue("bucket").partition("?")
    return f"{place}/{tmp_path.name}?{query}"


def files(url: str) -> set[str]:
    return set(Address(url)._there())


def test_another_machine_goes_on_where_one_was_lost(url: str, cache: Path, tmp_path: Path) -> None:
    """The first plays random and is lost before it ends; the second, with no copy, plays the rest alone."""
    right = curves(bench(scenario_of(), tmp_path / "right"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Address, "send", lambda self: None)
        with mirrored(url) as folder:
            bench(scenario_of([{"name": "random"}]), folder)
    there = files(url)
    assert there and all(name.startswith("small/contenders/") for name in there)
    shutil.rmtree(cache / "results")
    with mirrored(url) as folder:
        run = bench(scenario_of(), folder)
    assert (run.played, run.reused) == (3, 3) and curves(run).equals(right)
    assert {"run.json", "curves.parquet", "summary.parquet"} <= {Path(name).name for name in files(url)}
    shutil.rmtree(cache / "results")
    with mirrored(url) as folder:
        again = bench(scenario_of(), folder)
    assert (again.played, again.folder.name) == (0, run.folder.name)


def test_what_changed_is_fetched_and_what_was_removed_is_removed(url: str, cache: Path) -> None:
    with mirrored(url) as folder:
        for name in ("a", "b/c", "b/.hidden"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(name)
    assert files(url) == {"a", "b/c"}
    cache.rename(cache.with_name("first"))
    cache.mkdir(mode=0o700)
    with mirrored(url) as folder:
        (folder / "a").write_text("other")
        (folder / "b" / "c").unlink()
    cache.rename(cache.with_name("second"))
    cache.with_name("first").rename(cache)
    with mirrored(url) as folder:
        assert (folder / "a").read_text() == "other"
    assert files(url) == {"a"}


def test_commands_take_an_address(tmp_path: Path, cache: Path) -> None:
    url = f"file://{tmp_path}/shared/results"

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(cli, arguments, catch_exceptions=False)

    assert run("bench", "smoke", "--results", url, "--no-plots", "--seeds", "2").exit_code == 0
    shutil.rmtree(cache / "results")
    shown = run("leaderboard", "smoke", "--results", url)
    assert shown.exit_code == 0 and "random" in shown.output
    results = lb.run("smoke", seeds=2, results=url)
    assert str(cache) in str(results.path)


def test_an_address_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere://x"), mirrored("nowhere://x"):
        pass
    (tmp_path / "file").touch()
    url = f"file://{tmp_path}/file"
    with pytest.raises(ConfigError, match=r"cannot (read|write) there") as raised, mirrored(url) as folder:
        (folder / "a").touch()
    assert "goes there with the next command" in str(raised.value)


def test_a_place_without_a_scheme_is_a_folder(tmp_path: Path) -> None:
    with mirrored(tmp_path / "results") as folder:
        assert folder == tmp_path / "results" and not os.path.lexists(folder)
