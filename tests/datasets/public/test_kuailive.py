"""KuaiLive: rooms and clicks in small, from a folder to a log and to a data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lersbench import datasets
from lersbench.datasets.public import kuailive
from lersbench.errors import DataError
from tests.datasets.public.common import along, imported, offers, slates, user_ids, whole

START = 1746374400000  # ms
ROOMS = [(7, "s1", 0, 60), (8, "s2", 10, 30), (9, "s1", 90, 100), (10, "s3", 0, 100), (11, "s2", 30, 40)]
CLICKS = [("05", 8, "s2", 10), ("5", 7, "s1", 60), ("5", 8, "s2", 40), ("5", 7, "s1", 95), ("6", 7, "s1", 61)]
NEGATIVES = [("5", 10, "s3", 20), ("05", 7, "s1", 95)]


def ms(minutes: int) -> int:
    return START + 60_000 * minutes


@pytest.fixture(params=["streamer_id", "author_id"])
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    place = tmp_path / "KuaiLive"
    place.mkdir()
    name = request.param
    rooms = "".join(f"20250505,{live},{who},1,{ms(a)},{ms(b)},shop,0\n" for live, who, a, b in ROOMS)
    header = f"p_date,live_id,{name},live_type,start_timestamp,end_timestamp,live_content_category,live_name_id\n"
    (place / ("room.csv" if name == "streamer_id" else "mapped_room.csv")).write_text(header + rooms)
    clicks = "".join(f"{user},{live},{who},{ms(t)},2852\n" for user, live, who, t in CLICKS)
    (place / "click.csv").write_text(f"user_id,live_id,{name},timestamp,watch_live_time\n{clicks}")
    negatives = "".join(f"{user},{live},{who},{ms(t)}\n" for user, live, who, t in NEGATIVES)
    (place / "negative.csv").write_text(f"user_id,live_id,{name},timestamp\n{negatives}")
    return place


def test_a_click_is_a_choice_among_those_on_air(folder: Path, tmp_path: Path) -> None:
    log = imported("kuailive", folder, tmp_path / "log", "--candidates", 0)
    assert along(log, "rewards") == [
        {"s1": 0, "s2": 1, "s3": 0},
        {"s2": 1, "s3": 0, "s1": 0},
        {"s1": 1, "s3": 0},  # at the end of the room
        {"s1": 1, "s3": 0},  # in its second room
    ]
    assert user_ids(log) == ["05", "5", "5", "5"]
    features = along(log, "features")
    log2 = np.log(2)
    assert features[0]["s2"] == [1, 0, 0, 0]
    assert features[1]["s2"] == pytest.approx([1, np.log(31), 0, log2])  # two rooms without a gap
    assert features[3]["s1"] == pytest.approx([1, np.log(6), log2, log2])
    facts = log.info.provenance
    assert facts["visits left out"] == {"the streamer visited was not on air": 1}
    assert (facts["visits read"], log.info.licence) == (5, "CC BY-NC-SA 4.0")
    assert "not entered then" in facts["reward"]


def test_impressions_are_slates_of_one_and_only_clicks_are_visits(folder: Path, tmp_path: Path) -> None:
    log = imported("kuailive", folder, tmp_path / "log", "--feedback", "shown", "--candidates", 0)
    assert slates(log) == [["s2"], ["s3"], ["s2"], ["s1"], ["s1"], ["s1"]]
    assert whole(log).clicks[:, 0].tolist() == [1, 0, 1, 1, 1, 0]
    assert whole(log).outcomes["watch_s"][:, 0].tolist() == [2.852, 0, 2.852, 2.852, 2.852, 0]
    assert log.info.outcomes == {"watch_s": {"low": 0.0, "high": 7200.0, "unit": "s"}}
    assert along(log, "features")[2]["s3"][2:] == [0, 0]
    assert log.info.provenance["impressions read"] == 7


def test_the_user_table_becomes_context(folder: Path, tmp_path: Path) -> None:
    (folder / "user.csv").write_text("user_id,age,fans_num\n05,18-23,0-10\n5,24-30,0-10\n77,31-40,10-100\n")
    log = imported("kuailive", folder, tmp_path / "log", "--context", 0)
    context = whole(log).context
    assert context.shape == (4, 4 + 2)
    assert context[0, 4] != context[1, 4] == context[2, 4]
    np.testing.assert_allclose(context[:, 1], np.log1p([0, 0, 1, 2]))


def test_the_data_set_can_be_built_for_a_scenario(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LERSBENCH_CACHE", str(tmp_path / "cache"))
    log = datasets.build("kuailive", path=str(folder), candidates=2, rounds=2)
    assert [len(offer) for offer in offers(log)] == [2, 2]
    assert log.info.name == "kuailive-choice"
    assert datasets.DATASETS["kuailive"].licence == "CC BY-NC-SA 4.0"


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("click.csv", str(ms(40)), str(ms(40) // 1000), "line 4: column timestamp is '1746376800'; it must be a time"),
        ("click.csv", "timestamp", "time", "line 1: column timestamp is missing; there are user_id, live_id"),
        ("click.csv", "5,7,s1", "5,7,", "line 3: column streamer_id is ''; it must not be empty"),
        ("room.csv", f"{ms(10)},{ms(30)}", f"{ms(30)},{ms(10)}", "line 3: column end_timestamp is"),
        (
            "room.csv",
            f"{ms(10)},{ms(30)}",
            f"{ms(10)},",
            "line 3: column end_timestamp is ''; it must be a whole number",
        ),
    ],
)
def test_what_is_wrong_is_named(folder: Path, tmp_path: Path, file: str, old: str, new: str, said: str) -> None:
    path = folder / file if (folder / file).is_file() else folder / "mapped_room.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(DataError) as error:
        kuailive.build(tmp_path / "log", path=str(folder))
    assert said in str(error.value)
    assert str(path) in str(error.value) and "Fix: " in str(error.value)


def test_files_that_are_not_there_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"click\.csv: is a file. Fix: give the unpacked folder KuaiLive"):
        kuailive.build(tmp_path / "log", path=str(folder / "click.csv"))
    (folder / "negative.csv").unlink()
    assert kuailive.build(tmp_path / "log", path=str(folder)).info.rounds == 4  # not needed for choices
    with pytest.raises(DataError, match=r"holds no file negative\.csv"):
        kuailive.build(tmp_path / "shown", path=str(folder), feedback="shown")
