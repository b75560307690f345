"""KuaiRand: the published layout in small, and every way it can be wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lersbench.datasets.public import kuairand
from lersbench.errors import DataError
from tests.datasets.public.common import ids, imported, slates, user_ids, whole

HEADER = (
    "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,"
    "play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab"
)
ROWS = [
    "0,5543,20220430,1800,1651314030792,0,0,0,0,0,0,1,863,30066,0,0,0,1,1",
    "07,12,20220422,900,1650618000000,1,0,0,0,0,0,0,4000,0,0,0,0,1,1",
    "7,12,20220423,900,1650704400000,1,1,0,0,0,0,1,4000,5000,0,0,0,1,1",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = tmp_path / "KuaiRand-Pure" / "data"
    data.mkdir(parents=True)
    (data / "log_random_4_22_to_5_08_pure.csv").write_text("\n".join([HEADER, *ROWS]) + "\n")
    standard = ["0,99,20220408,1800,1649412000000,1,0,0,0,0,0,1,863,30066,0,0,0,0,1"]
    (data / "log_standard_4_08_to_4_21_pure.csv").write_text("\n".join([HEADER, *standard]) + "\n")
    return tmp_path / "KuaiRand-Pure"


def rewrite(folder: Path, old: str, new: str) -> None:
    (path,) = (folder / "data").glob("log_random_*.csv")
    path.write_text(path.read_text().replace(old, new))


def test_random_rows_are_decisions_with_the_pools_propensity(folder: Path, tmp_path: Path) -> None:
    log = imported("kuairand", folder, tmp_path / "log")
    rounds = whole(log)
    assert slates(log) == [["12"], ["12"], ["5543"]]  # by time, whatever the order of the file
    assert user_ids(log) == ["07", "7", "0"]  # "07" is not 7
    assert rounds.clicks[:, 0].tolist() == [1, 1, 0]
    np.testing.assert_array_equal(rounds.propensities, 1 / 7583)
    assert (log.info.propensities, log.info.order, log.info.items) == ("logged", "time", 2)
    assert log.info.provenance["videos of the pool met"] == 2
    assert log.info.licence == "CC BY-SA 4.0"


def test_a_pool_that_was_met_whole_is_uniform(folder: Path, tmp_path: Path) -> None:
    log = imported("kuairand", folder, tmp_path / "log", "--pool", 2)
    assert log.info.propensities == "uniform"
    np.testing.assert_array_equal(whole(log).propensities, 0.5)


def test_another_outcome_can_be_the_click(folder: Path, tmp_path: Path) -> None:
    assert whole(imported("kuairand", folder, tmp_path / "log", "--outcome", "is_like")).clicks[:, 0].tolist() == [
        0,
        1,
        0,
    ]


def test_watch_time_is_an_outcome_with_a_declared_range(folder: Path, tmp_path: Path) -> None:
    log = imported("kuairand", folder, tmp_path / "log", "--longest-watch", 3)
    assert whole(log).outcomes["watch_s"][:, 0].tolist() == [3.0, 3.0, 0.863]
    assert log.info.outcomes == {"watch_s": {"low": 0.0, "high": 3.0, "unit": "s"}}
    assert log.info.provenance["watch times cut to it"] == 2


def test_the_standard_log_has_no_propensities(folder: Path, tmp_path: Path) -> None:
    log = imported("kuairand", folder / "data", tmp_path / "log", "--log", "standard")
    assert (log.info.propensities, slates(log)) == ("none", [["99"]])


def test_rows_that_are_not_random_are_left_out_and_counted(folder: Path, tmp_path: Path) -> None:
    rewrite(folder, "0,0,0,1,1\n07", "0,0,0,0,1\n07")
    facts = imported("kuairand", folder, tmp_path / "log").info.provenance
    assert facts["rows left out"] == {"is_rand is not 1": 1}
    assert (facts["click rate before"], facts["click rate after"]) == (2 / 3, 1.0)


def test_tables_of_users_and_videos_become_context_and_features(folder: Path, tmp_path: Path) -> None:
    (folder / "data" / "user_features_pure.csv").write_text(
        "user_id,user_active_degree,follow_user_num\n0,high_active,5\n07,full_active,3\n7,full_active,1\n8,x,9\n"
    )
    (folder / "data" / "video_features_basic_pure.csv").write_text(
        "video_id,author_id,video_type,video_duration\n12,1,NORMAL,5000.0\n5543,2,AD,\n"
    )
    log = imported("kuairand", folder, tmp_path / "log", "--context", 0, "--item-features", 0)
    rounds = whole(log)
    assert rounds.context.shape == (3, 3)  # two levels and a number, standardised
    np.testing.assert_allclose(rounds.context.mean(axis=0), 0, atol=1e-9)
    assert (
        rounds.context[0, 0] == rounds.context[1, 0] != rounds.context[2, 0]
    )  # "x", of no user of the log, is no level
    assert log.items.shape == (2, 2)  # the one known duration is constant
    assert sorted(ids(log)) == ["12", "5543"]
    assert log.info.provenance["users with features"] == 3


def test_a_table_of_other_users_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "data" / "user_features_pure.csv").write_text("user_id,age\n77,5\n")
    with pytest.raises(DataError, match=r"user_features_pure.csv: knows none of the 3 users"):
        kuairand.build(tmp_path / "log", path=str(folder))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("1651314030792", "1651314030", "line 2: column time_ms is '1651314030'; it must be a time between 1990"),
        ("1650618000000,1", "1650618000000,2", "line 3: column is_click is '2'; it must lie in 0..1"),
        ("1650618000000,1", "1650618000000,", "line 3: column is_click is ''; it must be a whole number"),
        ("7,12,20220423", ",12,20220423", "line 4: column user_id is ''; it must not be empty"),
        ("is_rand", "is_random", "line 1: column is_rand is missing; there are user_id, video_id"),
        ("5543,20220430,", "5543,", "cannot be read after line"),
        ("is_hate", "is_click", "line 1: column is_click is there twice"),
    ],
)
def test_what_is_wrong_is_named(folder: Path, tmp_path: Path, old: str, new: str, said: str) -> None:
    rewrite(folder, old, new)
    with pytest.raises(DataError, match=r"log_random_4_22_to_5_08_pure\.csv") as error:
        kuairand.build(tmp_path / "log", path=str(folder))
    assert said in str(error.value)
    assert "Fix: " in str(error.value)
    assert not list(tmp_path.glob("log*")) and not list(tmp_path.glob(".log*"))  # nothing half-written


def test_too_small_a_pool_and_an_empty_folder_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 videos in the random rows, but the pool has 1"):
        kuairand.build(tmp_path / "log", path=str(folder), pool=1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no file log_random_\*.csv"):
        kuairand.build(tmp_path / "log", path=str(folder / ".." / "empty"))
    with pytest.raises(DataError, match="no such file or folder"):
        kuairand.build(tmp_path / "log", path=str(tmp_path / "nowhere"))
