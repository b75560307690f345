"""Twitch: stays in small, from a folder to a log and to a data set."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from lersbench import datasets
from lersbench.datasets.public import twitch
from lersbench.errors import ConfigError, DataError
from tests.datasets.public.common import along, imported, offers, user_ids, whole

ROWS = [
    "1,33842865744,mithrain,154,156",
    "1,33842865745,alptv,155,159",
    "2,33842865744,mithrain,154,158",
    "02,33842865746,mur,157,158",
    "2,33842865747,alptv,158,159",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "twitch"
    place.mkdir()
    (place / "100k.csv").write_text("\n".join(ROWS) + "\n")
    return place


def test_a_stay_is_a_choice_among_those_on_air(folder: Path, tmp_path: Path) -> None:
    log = imported("twitch", folder, tmp_path / "log", "--candidates", 0)
    assert along(log, "rewards") == [
        {"mithrain": 1},
        {"mithrain": 1},
        {"mithrain": 0, "alptv": 1},
        {"mithrain": 0, "alptv": 0, "mur": 1},
        {"alptv": 1},  # mithrain and mur are over at 158
    ]
    assert user_ids(log) == ["1", "2", "1", "02", "2"]
    features = along(log, "features")
    log2 = np.log(2)
    assert features[1] == {"mithrain": [1, 0, 0]}  # what happened in the same ten minutes is not known
    assert features[2] == {"mithrain": pytest.approx([1, log2, np.log(3)]), "alptv": [1, 0, 0]}
    assert features[4] == {"alptv": pytest.approx([1, 0, log2])}
    np.testing.assert_allclose(whole(log).context[:, 1], np.log1p([0, 0, 1, 0, 1]))
    assert "minutes on air" not in str(log.info.provenance["features"])
    assert (log.info.order, log.info.propensities, log.info.licence) == ("time", "none", "none stated by its authors")


def test_the_data_set_is_kept_and_made_anew_for_another_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LERSBENCH_CACHE", str(tmp_path / "cache"))
    log = datasets.build("twitch", path=str(folder / "100k.csv"), rounds=3)
    assert [len(offer) for offer in offers(log)] == [1, 1, 2]
    assert datasets.build("twitch", path=str(folder / "100k.csv"), rounds=3).path == log.path
    (folder / "100k.csv").write_text("\n".join(ROWS[1:]) + "\n")
    assert datasets.build("twitch", path=str(folder / "100k.csv"), rounds=3).path != log.path
    with pytest.raises(ConfigError, match="data set twitch needs the option 'path'"):
        datasets.build("twitch")


def test_a_packed_file_is_read(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "full_a.csv.gz"
    path.write_bytes(gzip.compress((folder / "100k.csv").read_bytes()))
    assert imported("twitch", path, tmp_path / "log").info.rounds == 5


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("155,159", "155,x", "line 2: column stop is 'x'; it must be a whole number"),
        ("155,159", "155,154", "line 2: column stop is '154'; it must not be before start"),
        ("155,159", "-1,159", "line 2: column start is '-1'; it must lie in 0..100000"),
        ("1,33842865745,", ",33842865745,", "line 2: column user is ''; it must not be empty"),
        ("155,159", "155", "cannot be read after line"),
    ],
)
def test_what_is_wrong_is_named(folder: Path, tmp_path: Path, old: str, new: str, said: str) -> None:
    path = folder / "100k.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError) as error:
        twitch.build(tmp_path / "log", path=str(folder))
    assert said in str(error.value)
    assert str(path) in str(error.value) and "Fix: " in str(error.value)
