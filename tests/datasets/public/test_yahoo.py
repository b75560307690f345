"""Yahoo! R6A and R6B: lines of the layout, and every way they can be wrong."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from lersbench.datasets.public import yahoo
from lersbench.errors import DataError
from tests.datasets.public.common import ids, imported, offers, slates, whole


def article(number: int, value: float) -> str:
    return f"|{number} 2:{value} 3:0.1 4:0.2 5:0.3 6:0.4 1:1.000000"


USER = "|user 2:0.000012 3:0.25 4:0.5 5:0.1 6:0.999958 1:1.000000"
R6A = [
    f"1241160900 109513 0 {USER} {article(109498, 0.306)} {article(109513, 0.5)} {article(7, 0.25)}",
    f"1241160901 7 1 {USER} {article(109498, 0.306)} {article(7, 0.25)}",
    f"1241160902 109498 1 {USER} {article(109498, 0.306)} |109514 1:1.0 2:0.5 {article(7, 0.25)} {article(8, 1)}",
    f"1241160903 109514 1 {USER} {article(109498, 0.306)} |109514 1:1.0 2:0.5",
    f"1241160904 7 0 |user 1:1.0 {article(7, 0.25)}",
    f"1241160905 7 0 {USER} {article(7, 0.75)}",
]
R6B = [
    "1317513292 id-552077 0 |user 1 7 136 |id-552077 |id-555224 |id-1 ",
    "1317513291 id-1 1 |user 1 |id-555224 |id-1",
]


def save(folder: Path, lines: list[str], name: str = "ydata-fp-td-clicks-v1_0.20090501.gz") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress("".join(line + "\n" for line in lines).encode()))
    return path


def test_r6a_lines_are_uniform_over_the_candidates_of_each(tmp_path: Path) -> None:
    log = imported("yahoo-r6", save(tmp_path, R6A), tmp_path / "log")
    rounds = whole(log)
    assert [set(offer) for offer in offers(log)] == [
        {"109498", "109513", "7"},
        {"109498", "7"},
        {"109498", "7", "8"},  # 109514 has not all features
        {"7"},
    ]
    assert slates(log) == [["109513"], ["7"], ["109498"], ["7"]]
    np.testing.assert_allclose(rounds.propensities[:, 0], [1 / 3, 1 / 2, 1 / 3, 1])
    assert rounds.clicks[:, 0].tolist() == [0, 1, 1, 0]
    assert (log.info.propensities, log.info.order) == ("uniform", "time")
    np.testing.assert_array_equal(rounds.context[0], [1.0, 0.000012, 0.25, 0.5, 0.1, 0.999958])
    features = dict(zip(ids(log), log.items.tolist(), strict=True))
    assert features["7"] == [1.0, 0.25, 0.1, 0.2, 0.3, 0.4]  # as first met
    facts = log.info.provenance
    assert facts["lines left out"] == {
        "the displayed article is no candidate, or has not all features": 1,
        "the user has not all features": 1,
    }
    assert facts["clicks left out"]["the displayed article is no candidate, or has not all features"] == 1
    assert (facts["articles whose features changed"], facts["version"]) == (1, "R6A")


def test_r6b_users_are_binary_and_rounds_come_by_time(tmp_path: Path) -> None:
    path = save(tmp_path, R6B, "ydata-fp-td-clicks-v2_0.20111002.gz")
    log = imported("yahoo-r6", path, tmp_path / "log")
    rounds = whole(log)
    assert slates(log) == [["id-1"], ["id-552077"]]
    assert np.flatnonzero(rounds.context[1]).tolist() == [0, 6, 135]
    np.testing.assert_allclose(rounds.propensities[:, 0], [1 / 2, 1 / 3])
    assert (log.info.p, log.info.d, log.info.provenance["version"]) == (0, 136, "R6B")


def test_a_folder_is_read_by_day(tmp_path: Path) -> None:
    save(tmp_path, R6A[1:2], "ydata-fp-td-clicks-v1_0.20090502.gz")
    save(tmp_path, R6A[:1], "ydata-fp-td-clicks-v1_0.20090501.gz")
    assert slates(imported("yahoo-r6", tmp_path, tmp_path / "log")) == [["109513"], ["7"]]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1241160900 109513 2 |user 1:1 |7", "begins with '1241160900 109513 2'"),
        ("1241160900 109513 |user 1:1 |7", "begins with '1241160900 109513'"),
        ("1241160900 7 0 |7 1:1", "has no block |user"),
        (f"1241160900 7 0 {USER} {article(7, 1)} {article(7, 1)}", "an article is there twice"),
        (f"1241160900 7 0 {USER} |7 7:0.5", "'7:0.5' is no finite feature 1..6"),
        (f"1241160900 7 0 {USER} |7 1:x", "'1:x' is no feature:value"),
        (f"1241160900 7 0 {USER} |", "an article block is empty"),
        ("1241160900 7 0 |user 1 17 |7", "'1' is no feature:value"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = save(tmp_path, [*R6A[:1], line])
    with pytest.raises(DataError) as error:
        yahoo.build(tmp_path / "log", path=str(path))
    assert f"{path}, line 2: {said}" in str(error.value)
    assert "Fix: " in str(error.value)


def test_r6b_with_other_features_and_a_file_cut_short_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path, [*R6B, "1317513293 id-1 1 |user 137 |id-1"])
    with pytest.raises(DataError, match=r"line 3: user feature '137' is not one of 1\.\.136"):
        yahoo.build(tmp_path / "log", path=str(path))
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataError, match=r"cannot be read after line .* Fix: get the file again"):
        yahoo.build(tmp_path / "log", path=str(path))
