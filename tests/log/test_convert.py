"""Logs of schema 1 and of other tools, written again: the same log, with checksums."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from lersbench.cli.main import cli
from lersbench.errors import ConfigError, DataError
from lersbench.log import Log, Ragged, convert, validate, write

ITEMS, N = 20, 500
WORDS: dict[str, Any] = {
    "name": "old",
    "order": "time",
    "propensities": "logged",
    "licence": "CC0",
    "attribution": "somebody",
    "provenance": {"source": "a tool", "selections": [{"said": "all is there"}]},
    "click_model": {"weights": [[0.9, 0.0, 0.0], [0.5, 0.6, 0.0]], "goes_on": [0.5, 0.5], "fade": 1.0},
}


def rounds(differ: bool) -> dict[str, Any]:
    """All that a log with slates can hold."""
    rng = np.random.default_rng(0)
    offered = [rng.choice(ITEMS, rng.integers(2, 9) if differ else 5, replace=False) for _ in range(N)]
    slates = [rng.permutation(one)[: rng.integers(1, 3) if differ else 2] for one in offered]
    time = np.datetime64("2026-03-01T00:00", "us") + np.arange(N) * np.timedelta64(60_000_000, "us")
    known = [np.full(len(slate), t + np.timedelta64(5, "s")) for slate, t in zip(slates, time, strict=True)]
    return {
        "user": rng.integers(0, 7, N),
        "time": time,
        "context": rng.normal(size=(N, 3)),
        "candidates": offered,
        "features": [rng.normal(size=(len(one), 2)) for one in offered],
        "rewards": [rng.integers(0, 2, len(one)) for one in offered],
        "slate": slates,
        "clicks": [rng.integers(0, 2, len(one)) for one in slates],
        "propensities": [rng.uniform(0.1, 1, len(one)) for one in slates],
        "clicks_known": known,
        "outcome_cost": [rng.normal(size=len(one)) for one in slates],
    }


def old(folder: Path, differ: bool = False, without: tuple[str, ...] = ()) -> Log:
    """A log as another tool writes it: rounds in parts, without checksums and seal; schema 1 where rounds are alike."""
    items = pd.DataFrame({"id": [f"p{i}" for i in range(ITEMS)], "stock": pd.array([None, 2**60 + 1] * 10, "Int64")})
    items["features"] = [[float(i), 1.0] for i in range(ITEMS)]
    users = pd.DataFrame({"id": list("abcdefg"), "past": [[1, 2]] * 7})
    data = {name: values for name, values in rounds(differ).items() if name not in without}
    outcomes = {"cost": {"unit": "EUR"}} if "outcome_cost" in data else {}
    write(folder, data, items=items, users=users, outcomes=outcomes, **WORDS)
    table = pq.read_table(folder / "rounds.parquet").replace_schema_metadata(None)
    (folder / "rounds.parquet").unlink()
    (folder / "rounds").mkdir()
    for number, start in enumerate(range(0, N, 200)):
        pq.write_table(table.slice(start, 200), folder / "rounds" / f"part-{number}.parquet")
    file = folder / "log.json"
    content = json.loads(file.read_text())
    dropped = {"seal", "sums", "files", "block", "propensity_kind", "reward_window"}
    dropped |= set() if outcomes or differ else {"ragged", "outcomes"}
    content = {key: value for key, value in content.items() if key not in dropped}
    file.write_text(json.dumps({**content, "schema": 2 if outcomes or differ else 1}))
    return Log(folder)


def whole(log: Log) -> dict[str, Any]:
    (chunk,) = log.read()
    columns = chunk._asdict()
    return {**columns.pop("outcomes"), **columns}


@pytest.mark.parametrize("differ", [False, True])
@pytest.mark.parametrize("without", [(), ("outcome_cost",), ("candidates", "features", "rewards", "outcome_cost")])
def test_nothing_is_lost(tmp_path: Path, differ: bool, without: tuple[str, ...]) -> None:
    before = old(tmp_path / "old", differ, without)
    after = convert(before.path, tmp_path / "new")
    assert after.info.schema == 2 and after.info.sums and after.info.seal and after.info.digest == before.info.digest
    for name in (*WORDS, "columns", "ragged", "outcomes", "rounds", "items", "users", "C", "L", "d", "m", "p"):
        assert getattr(after.info, name) == getattr(before.info, name), name
    old_rounds, new_rounds = whole(before), whole(after)
    for name, values in old_rounds.items():
        np.testing.assert_array_equal(new_rounds[name], values)
    for table in ("items.parquet", "users.parquet"):
        there = after.table(table)
        assert there.to_pylist() == before.table(table).to_pylist()
    assert validate(after.path).ok and validate(after.path).advice == ""


def test_the_command_and_what_validate_says(tmp_path: Path) -> None:
    log = old(tmp_path / "old", without=("outcome_cost",))
    assert log.info.schema == 1
    said = CliRunner().invoke(cli, ["validate", log.path])
    assert said.exit_code == 0
    assert (
        f"500 rounds, no problems; schema 1, which is read as it is; `lersbench convert {log.path} NEW`" in said.output
    )
    done = CliRunner().invoke(cli, ["convert", log.path, str(tmp_path / "new")])
    assert done.exit_code == 0 and "schema 2, 500 rounds; the digest is the same" in done.stderr
    assert (
        CliRunner().invoke(cli, ["validate", str(tmp_path / "new")]).output.strip().endswith("500 rounds, no problems")
    )
    again = CliRunner().invoke(cli, ["convert", log.path, str(tmp_path / "new")])
    assert isinstance(again.exception, ConfigError) and "exists already" in str(again.exception)
    in_place = convert(log.path, log.path, overwrite=True)
    assert whole(in_place)["clicks"].tolist() == whole(Log(tmp_path / "new"))["clicks"].tolist()
    assert "no checksums" in validate(old(tmp_path / "mine").path).advice


def test_what_would_be_lost_is_refused(tmp_path: Path) -> None:
    log = old(tmp_path / "old", without=("outcome_cost",))
    part = tmp_path / "old" / "rounds" / "part-0.parquet"
    table = pq.read_table(part)
    pq.write_table(table.append_column("weather", pa.array(["rain"] * 200)), part)
    with pytest.raises(DataError, match=r"have a column weather that no log has, and it would be lost\. Fix: "):
        convert(log.path, tmp_path / "new")
    tenth = pa.array([[0.1] * 5] * 200, pa.list_(pa.float64()))
    pq.write_table(table.set_column(table.schema.get_field_index("rewards"), "rewards", tenth), part)
    file = tmp_path / "old" / "log.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "digest": ""}))
    with pytest.raises(DataError, match=r"column rewards, rounds 0 to 499: schema 2 would round its values\. Fix: "):
        convert(log.path, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_damage_is_met_and_nothing_is_written(tmp_path: Path) -> None:
    log = old(tmp_path / "old")
    file = tmp_path / "old" / "log.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "digest": "0" * 64}))
    with pytest.raises(DataError, match="are not those of the digest"):
        convert(log.path, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_lists_of_different_lengths_stay_lists(tmp_path: Path) -> None:
    """A slate of one length among candidates of several, and the other way round."""
    candidates = [[0, 1, 2], [2, 1], [3, 0]]
    log = write(
        tmp_path / "a", {"candidates": candidates, "slate": [[2], [1], [3]], "clicks": [[1], [0], [1]]}, items=4
    )
    new = convert(log.path, tmp_path / "b")
    assert new.info.ragged == ("candidates",) and new.info.digest == log.info.digest
    slates = Ragged(np.array([3, 1, 0]), np.array([1, 2]))
    log = write(tmp_path / "c", {"slate": slates, "clicks": Ragged(np.array([1, 0, 0]), slates.lengths)}, items=4)
    new = convert(log.path, tmp_path / "d")
    assert new.info.ragged == ("slate",) and new.info.digest == log.info.digest
