"""Decision service JSON: the layout in small, and every way it can be wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lersbench.datasets.public import dsjson
from lersbench.datasets.public.hashing import hashed, named
from lersbench.errors import DataError
from tests.datasets.public.common import along, imported, offers, slates, whole


def line(cost: float, probability: float, index: int, tags: list[str], second: int, **more: Any) -> dict[str, Any]:
    """A decision; the chosen action is ranked first, as the service does."""
    ranking = [index + 1, *(i + 1 for i in range(len(tags)) if i != index)]
    rest = (1 - probability) / max(len(tags) - 1, 1)
    return {
        "_label_cost": cost,
        "_label_probability": probability,
        "_label_Action": index + 1,
        "_labelIndex": index,
        "o": [{"v": -cost, "ActionTaken": True}],
        "Timestamp": f"2021-02-04T16:31:{second:02}.2460000Z",
        "Version": "1",
        "EventId": "13118d9b4c114f8485d9dec417e3aefe",
        "a": ranking,
        "c": {
            "FromUrl": [{"timeofday": "Morning", "returning": True, "_ignored": 1}],
            "age": {"years": 0.5},
            "_multi": [{"_tag": tag, "i": {"constant": 1, "id": tag}, "j": [{"type": "hot"}]} for tag in tags],
        },
        "p": [probability, *[rest] * (len(tags) - 1)],
        "VWState": {"m": "x"},
        **more,
    }


LINES = [
    line(-1, 0.7, 1, ["tea", "latte", "007"], 30),
    line(-0.0, 0.05000000074505806, 0, ["latte", "7"], 29),
    {"RewardValue": 1, "EnqueuedTimeUtc": "2021-02-04T16:31:29Z", "EventId": "x"},
    line(-1, 0.5, 0, ["latte", "tea"], 31, _skipLearn=True, pdrop=0.5),
    line(0, 1.0, 0, ["tea"], 32, pdrop=0.5),
]


def save(folder: Path, lines: list[Any]) -> Path:
    path = folder / "decisions.dsjson"
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return path


def test_decisions_are_rounds_of_their_own_length_by_time(tmp_path: Path) -> None:
    log = imported("dsjson", save(tmp_path, LINES), tmp_path / "log", "--licence", "ours")
    rounds = whole(log)
    assert [set(offer) for offer in offers(log)] == [{"latte", "7"}, {"tea", "latte", "007"}, {"tea"}]
    assert slates(log) == [["latte"], ["latte"], ["tea"]]
    assert rounds.clicks[:, 0].tolist() == [0, 1, 0]  # minus the cost
    np.testing.assert_array_equal(rounds.propensities[:, 0], [0.05000000074505806, 0.7, 1.0])
    assert (log.info.propensities, log.info.order, log.info.licence) == ("logged", "time", "ours")
    facts = log.info.provenance
    assert facts["lines left out"] == {"no label": 1, "_skipLearn": 1}
    assert facts["clicks left out"] == {"no label": 0, "_skipLearn": 1}
    assert (facts["lines read"], facts["clicks read"], facts["lines with pdrop"]) == (5, 2, 1)


def test_features_are_hashed_by_name_and_follow_their_action(tmp_path: Path) -> None:
    log = imported("dsjson", save(tmp_path, LINES), tmp_path / "log", "--context", 8, "--features", 16)
    rounds = whole(log)
    shared = [("^FromUrl^timeofday=Morning", 1.0), ("^FromUrl^returning", 1.0), ("^age^years", 0.5)]
    np.testing.assert_allclose(rounds.context, np.tile([1.0, *hashed(shared, 8)], (3, 1)))
    for rows in along(log, "features"):
        for tag, row in rows.items():
            own = [("^i^constant", 1.0), (f"^i^id={tag}", 1.0), ("^j^type=hot", 1.0)]
            np.testing.assert_allclose(row, [1.0, *hashed(own, 16)])


def test_a_hash_is_the_same_on_every_machine() -> None:
    values = hashed([("a", 2.0), ("b", 0.5)], 1000)
    assert {int(at): float(values[at]) for at in np.flatnonzero(values)} == {464: -2.0, 834: -0.5}
    assert dict(named({"x": None, "y": [1, 2], "_z": 3, "t": False})) == {"^y^0": 1.0, "^y^1": 2.0}


def test_rewards_that_are_any_number_are_an_outcome(tmp_path: Path) -> None:
    path = save(tmp_path, [line(-0.25, 0.5, 0, ["a", "b"], 1), line(0.5, 0.5, 0, ["a", "b"], 2)])
    log = imported("dsjson", path, tmp_path / "log")
    assert whole(log).outcomes["reward"][:, 0].tolist() == [0.25, -0.5]  # minus the cost
    assert "clicks" not in log.info.columns and log.info.provenance["click"] == "none"
    assert log.info.outcomes == {"reward": {"unit": "reward"}}  # nobody said what is possible
    flags = ["--click-above", 0, "--reward-low", -1, "--reward-high", 1]
    both = imported("dsjson", path, tmp_path / "both", *flags)
    assert whole(both).clicks[:, 0].tolist() == [1, 0] and whole(both).outcomes["reward"][:, 0].tolist() == [0.25, -0.5]
    assert both.info.outcomes == {"reward": {"low": -1.0, "high": 1.0, "unit": "reward"}}
    with pytest.raises(DataError, match=r"line 1: the reward is 0.25, beyond 0.2 \(--reward-high\)"):
        dsjson.build(tmp_path / "narrow", path=str(path), reward_high=0.2)


def test_actions_without_tags_are_told_apart_otherwise(tmp_path: Path) -> None:
    one = line(-1, 0.5, 1, ["a", "b"], 1)
    for number, action in enumerate(one["c"]["_multi"]):
        del action["_tag"]
        action["price"] = number
    path = save(tmp_path, [one])
    with pytest.raises(DataError, match=r"line 1: action 1 has no _tag. Fix: .*--item features"):
        dsjson.build(tmp_path / "log", path=str(path))
    assert slates(imported("dsjson", path, tmp_path / "place", "--item", "place")) == [["2"]]
    (shown,) = slates(imported("dsjson", path, tmp_path / "features", "--item", "features"))
    assert json.loads(shown[0])["price"] == 1
    one["c"]["_multi"][0]["price"], one["c"]["_multi"][0]["i"] = 1, one["c"]["_multi"][1]["i"]
    with pytest.raises(DataError, match="two actions are"):
        dsjson.build(tmp_path / "same", path=str(save(tmp_path, [one])), item="features")


def test_a_folder_of_files_is_read_by_name_and_lines_without_a_time_keep_their_order(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    rows = [line(-1, 0.5, 0, ["a", "b"], 9), line(-1, 0.5, 1, ["a", "b"], 1)]
    for row in rows:
        del row["Timestamp"]
    for number, row in enumerate(rows):
        (folder / f"{number}.json").write_text(json.dumps(row))
    log = imported("dsjson", folder, tmp_path / "log")
    assert (slates(log), log.info.order) == ([["a"], ["b"]], "exchangeable")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"_label_probability": 0}, "_label_probability is 0.0"),
    ({"_label_probability": 1.5}, "_label_probability is 1.5"),
    ({"_label_probability": None}, "_label_probability is None"),
    ({"_label_probability": 0.4}, "p says 0.5 for the chosen action, _label_probability 0.4"),
    ({"_label_cost": "free"}, "_label_cost is 'free'"),
    ({"_labelIndex": 2, "_label_Action": 3}, "_labelIndex is 2 and _label_Action 3, of 2 actions"),
    ({"_labelIndex": 1}, r"_labelIndex is 1 \(from 0\), but _label_Action 1 \(from 1\)"),
    ({"a": [1, 1]}, r"a is \[1, 1\], of 2 actions"),
    ({"a": [1, 2, 3]}, r"a is \[1, 2, 3\], of 2 actions"),
    ({"p": [1.0]}, r"p is \[1.0\], of 2 actions"),
    ({"c": {"User": {}}}, "c has no list _multi"),
    ({"Timestamp": "noon"}, "Timestamp is 'noon'"),
    ({"Timestamp": None}, "Timestamp is missing in some lines only"),
    ({"_outcomes": []}, "a decision over several slots"),
]


@pytest.mark.parametrize(("change", "said"), WRONG)
def test_what_is_wrong_is_named(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = save(tmp_path, [line(-1, 0.5, 0, ["a", "b"], 1), line(-1, 0.5, 0, ["a", "b"], 1) | change])
    with pytest.raises(DataError, match=rf"decisions\.dsjson, line 2: {said}.* Fix: "):
        dsjson.build(tmp_path / "log", path=str(path))


def test_no_json_and_no_decisions_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"_label_cost": 1\n')
    with pytest.raises(DataError, match="line 1: is no JSON"):
        dsjson.build(tmp_path / "log", path=str(path))
    path.write_text("[1]\n")
    with pytest.raises(DataError, match="line 1: holds a list"):
        dsjson.build(tmp_path / "log", path=str(path))
    with pytest.raises(DataError, match=r"no rounds are left .* \(1 no label\)"):
        dsjson.build(tmp_path / "log", path=str(save(tmp_path, LINES[2:3])))
