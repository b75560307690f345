"""RankLens: the layout of its README in small, and every way it can be wrong."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lersbench.datasets.public import ranklens
from lersbench.errors import DataError
from tests.datasets.public.common import along, ids, imported, slates, user_ids, whole

TASKS: list[dict[str, Any]] = [
    {"id": 6259, "liked": [21, 4002], "shown": [1805, 4002, 21], "ts": 1636993834, "user": "90df"},
    {"id": 6260, "liked": [], "shown": [21, 7], "ts": "2021-11-15T16:30:33", "user": "007"},
]
MOVIES = [
    {
        "id": 21,
        "title": "Get Shorty",
        "genres": [{"id": 35, "name": "Comedy"}, {"id": 80, "name": "Crime"}],
        "tags": [],
    },
    {"id": 4002, "title": "Planes", "genres": [{"id": 35, "name": "Comedy"}]},
    {"id": 1805, "title": "Wild Things", "genres": []},
    {"id": 99, "title": "Not of the log", "genres": [{"id": 1, "name": "Western"}]},
]


def save(folder: Path, tasks: list[Any] = TASKS, movies: list[Any] = MOVIES) -> Path:
    place = folder / "dataset"
    place.mkdir(exist_ok=True)
    for name, rows in (("ranking", tasks), ("metadata", movies)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (place / f"{name}.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    return place


def test_tasks_are_lists_of_their_own_length_by_time(tmp_path: Path) -> None:
    log = imported("ranklens", save(tmp_path), tmp_path / "log")
    assert slates(log) == [["21", "7"], ["1805", "4002", "21"]]  # in the order shown
    assert whole(log).clicks.tolist() == [0, 0, 0, 1, 1]
    assert along(log, "rewards")[1] == {"1805": 0, "4002": 1, "21": 1}
    assert user_ids(log) == ["007", "90df"]
    assert (log.info.licence, log.info.provenance["movies with metadata"]) == ("CC BY-SA 4.0", 3)
    assert log.info.provenance["item_features"] == ["Comedy", "Crime"]
    features = dict(zip(ids(log), log.items.tolist(), strict=True))
    assert features == {"21": [0.5, 0.5], "4002": [1, 0], "1805": [0, 0], "7": [0, 0]}
    np.testing.assert_array_equal(whole(log).context, [[1], [1]])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"liked": [78]}, "movie 78 is liked, but was not shown"),
        ({"shown": [21, 21]}, r"shown has a movie twice: \[21, 21\]"),
        ({"shown": []}, "shown is empty"),
        ({"shown": 21}, "shown is 21"),
        ({"liked": [True]}, r"liked is \[True\]"),
        ({"ts": "noon"}, "ts is 'noon'"),
        ({"ts": 1636993834000}, "ts is 1636993834000"),
        ({"ts": None}, "ts is None"),
        ({"user": ""}, "user is ''"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    folder = save(tmp_path, [TASKS[0], {**TASKS[1], **change}])
    with pytest.raises(DataError, match=rf"ranking\.jsonl\.gz, line 2: {said}.* Fix: "):
        ranklens.build(tmp_path / "log", path=str(folder))


def test_broken_metadata_and_that_of_other_movies_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"metadata\.jsonl\.gz, line 1: has no id, or no genres"):
        ranklens.build(tmp_path / "log", path=str(save(tmp_path, movies=[{"id": 21, "genres": ["Comedy"]}])))
    with pytest.raises(DataError, match=r"metadata\.jsonl\.gz: knows none of the 4 items"):
        ranklens.build(tmp_path / "log", path=str(save(tmp_path, movies=MOVIES[3:])))
    (tmp_path / "dataset" / "metadata.jsonl.gz").unlink()
    with pytest.raises(DataError, match=r"holds no file metadata\.jsonl"):
        ranklens.build(tmp_path / "log", path=str(tmp_path / "dataset"))
