"""`lersbench import open-bandit`: a folder in the layout of the full data set, plain or packed."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from lersbench.cli import imports
from lersbench.datasets.openbandit import build
from lersbench.errors import DataError
from lersbench.log import Log, validate

HEADER = (
    ",timestamp,item_id,position,click,propensity_score,user_feature_0,user_feature_1,user_feature_2,user_feature_3,"
    "user-item_affinity_0"
)
ROWS = [
    "0,2019-11-24 00:00:01.5+00:00,3,1,0,0.1,aa,bb,cc,dd,0.0",
    "1,2019-11-24 00:00:00.5+00:00,7,3,1,0.02,aa,xx,cc,dd,1.0",
]
CONTEXT = [",item_id,item_feature_0,item_feature_1", *(f"{i},{i},{i / 10},{'ab'[i % 2]}" for i in range(34))]


@pytest.fixture(params=["plain", "packed"])
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    root = tmp_path / "open_bandit_dataset"
    for place in ("random/men", "bts/men"):
        (root / place).mkdir(parents=True)
    (root / "random/men/item_context.csv").write_text("\n".join(CONTEXT))
    text = "\n".join([HEADER, *ROWS]) + "\n"
    if request.param == "plain":
        (root / "bts/men/men.csv").write_text(text)
    else:
        (root / "bts/men/men.csv.gz").write_bytes(gzip.compress(text.encode()))
    return root


def test_a_folder_becomes_a_log(folder: Path, tmp_path: Path) -> None:
    command = ["open-bandit", str(folder), str(tmp_path / "log"), "--behaviour", "bts", "--campaign", "men"]
    result = CliRunner().invoke(imports.group, command)
    assert result.exit_code == 0, result.output
    assert "licence of the data: CC BY 4.0" in result.stderr
    log = Log(tmp_path / "log")
    (rounds,) = log.read()
    assert validate(log).ok
    assert (log.info.rounds, log.info.C, log.info.propensities) == (2, 34, "logged")
    assert (log.info.L, log.info.propensity_kind, log.info.provenance["rows"][:16]) == (
        1,
        "position",
        "single positions",
    )
    assert log.item_table()["id"].to_numpy()[rounds.slate[:, 0]].tolist() == ["7", "3"]  # by time
    np.testing.assert_array_equal(rounds.clicks[:, 0], [1, 0])
    np.testing.assert_array_equal(rounds.propensities[:, 0], [0.02, 0.1])
    assert log.info.provenance["tried"].startswith("Tried on the real files of the small version")


def test_a_log_in_the_way_stays(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    command = ["open-bandit", str(folder), str(tmp_path / "log"), "--behaviour", "bts", "--campaign", "men"]
    result = CliRunner().invoke(imports.group, command)
    assert result.exit_code != 0
    assert "exists already" in str(result.exception)


@pytest.mark.parametrize("value", ["0", "1e-13", "-0.1", "1.5", "nan", ""])
def test_no_propensity(folder: Path, tmp_path: Path, value: str) -> None:
    file = folder / "bts/men/men.csv"
    text = "\n".join([HEADER, ROWS[0], ROWS[1].replace("0.02", value)]) + "\n"
    file.write_text(text) if file.is_file() else file.with_suffix(".csv.gz").write_bytes(gzip.compress(text.encode()))
    with pytest.raises(DataError, match=r"men.csv: propensity_score = .* in line 3 must lie in \(1e-12, 1\]; repair"):
        build(tmp_path / "log", behaviour="bts", campaign="men", path=str(folder))
