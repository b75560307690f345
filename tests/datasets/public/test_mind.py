"""MIND: the published layout in small, and every way it can be wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lersbench.datasets.public import mind
from lersbench.errors import DataError
from tests.datasets.public.common import along, ids, imported, user_ids, whole

NEWS = [
    'N1\tsports\tsoccer\tA "late" goal\tabstract\thttps://x\t[]\t[]',
    "N2\tfinance\tmarkets\tMarkets fall\t\thttps://x\t[]\t[]",
    "N3\tsports\tgolf\tA hole in one\t\thttps://x\t[]\t[]",
    "N10\tfoodanddrink\trecipes\tSoup\t\thttps://x\t[]\t[]",
]
BEHAVIORS = [
    "1\tU13740\t11/11/2019 1:05:58 PM\tN1 N3 N2 N999\tN2-0 N1-1 N10-0",
    "2\tU91836\t11/11/2019 9:05:58 AM\t\tN10-1 N3-0",
    "3\tU13740\t11/12/2019 12:00:00 AM\tN1\tN1-0 N2-0 N3-1 N10-1",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "MINDsmall_train"
    place.mkdir()
    (place / "news.tsv").write_text("\n".join(NEWS) + "\n")
    (place / "behaviors.tsv").write_text("\n".join(BEHAVIORS) + "\n")
    return place


def rewrite(folder: Path, old: str, new: str) -> None:
    path = folder / "behaviors.tsv"
    path.write_text(path.read_text().replace(old, new))


def test_impressions_are_rounds_of_their_own_length_by_time(folder: Path, tmp_path: Path) -> None:
    log = imported("mind", folder, tmp_path / "log")
    assert along(log, "rewards") == [
        {"N10": 1, "N3": 0},
        {"N2": 0, "N1": 1, "N10": 0},
        {"N1": 0, "N2": 0, "N3": 1, "N10": 1},
    ]
    assert user_ids(log) == ["U91836", "U13740", "U13740"]
    assert "slate" not in log.info.columns  # no position is known
    assert log.info.provenance["positions"].startswith("not known")
    assert (log.info.order, log.info.propensities, log.info.C) == ("time", "none", 4)
    assert log.info.provenance["impressions read"] == 3
    assert log.info.provenance["clicks read"] == 4


def test_contexts_are_shares_of_past_clicks_and_features_categories(folder: Path, tmp_path: Path) -> None:
    log = imported("mind", folder, tmp_path / "log")
    levels = log.info.provenance["item_features"]
    assert levels == ["finance", "foodanddrink", "sports"]
    np.testing.assert_allclose(whole(log).context, [[0, 0, 0], [1 / 3, 0, 2 / 3], [0, 0, 1]])
    table = log.item_table().set_index("id")
    assert table.loc["N1", "title"] == 'A "late" goal'
    assert {name: levels[int(np.argmax(row))] for name, row in zip(ids(log), log.items, strict=True)} == {
        "N1": "sports",
        "N2": "finance",
        "N3": "sports",
        "N10": "foodanddrink",
    }


def test_candidates_stand_in_an_order_that_tells_nothing(folder: Path, tmp_path: Path) -> None:
    whole_log = whole(imported("mind", folder, tmp_path / "log"))
    assert whole_log.first is not None
    for a, b in zip(whole_log.first[:-1], whole_log.first[1:], strict=True):
        assert (np.diff(whole_log.candidates[a:b]) > 0).all()  # by their numbers, which are by a hash


def test_an_article_listed_twice_is_refused_or_repaired_by_name(folder: Path, tmp_path: Path) -> None:
    rewrite(folder, "N10-1 N3-0", "N10-0 N3-0 N10-1")
    with pytest.raises(DataError, match=r"behaviors.tsv, line 2: N10 is listed twice. Fix: .*--first-of-doubled"):
        mind.build(tmp_path / "log", path=str(folder))
    log = imported("mind", folder, tmp_path / "log", "--first-of-doubled")
    assert along(log, "rewards")[0] == {"N10": 1, "N3": 0}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("N10-1 N3-0", "N10 N3", "line 2: impression 'N10' has no click. Fix: .*test part of MIND"),
        ("11/12/2019 12:00:00 AM", "2019-11-12", "line 3: the time is '2019-11-12'"),
        ("U91836\t", "", "line 2: 4 columns, where 5 are due"),
        ("\tU91836", "\t", "line 2: the user is empty"),
        ("N10-1 N3-0", "", "line 2: the impression is empty"),
        ("N3-0", "N3-2", "line 2: impression 'N3-2' has no click"),
    ],
)
def test_what_is_wrong_is_named(folder: Path, tmp_path: Path, old: str, new: str, said: str) -> None:
    rewrite(folder, old, new)
    with pytest.raises(DataError, match=r"behaviors\.tsv, " + said):
        mind.build(tmp_path / "log", path=str(folder))
    assert not list(tmp_path.glob("log*")) and not list(tmp_path.glob(".log*"))


def test_news_of_another_part_and_no_news_are_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "news.tsv").write_text("N77\tsports\tgolf\tA title\t\t\t\t\n")
    with pytest.raises(DataError, match=r"news.tsv: knows none of the 4 items"):
        mind.build(tmp_path / "log", path=str(folder))
    (folder / "news.tsv").unlink()
    with pytest.raises(DataError, match=r"news.tsv: no such file or folder. Fix: give the folder with behaviors.tsv"):
        mind.build(tmp_path / "log", path=str(folder))
