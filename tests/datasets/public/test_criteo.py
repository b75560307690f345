"""Criteo counterfactual: the documented blocks in small, and every way they can be wrong."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from lersbench.datasets.public import criteo
from lersbench.datasets.public.hashing import hashed
from lersbench.errors import DataError
from tests.datasets.public.common import along, imported, offers, slates, whole


def block(name: str, propensity: object, slots: int, clicked: list[int]) -> list[str]:
    head = f"example {name}: a0b1{name} {int(any(clicked))} {propensity} {slots} {len(clicked)} 0:300 1:600 4:1"
    return [head, *(f"{click} exid:{name} 11:{number}.5 20:1" for number, click in enumerate(clicked))]


BLOCKS = [
    *block("896678244", 0.25, 1, [1, 0, 0, 0]),
    *block("896678245", 0.125, 2, [0, 1, 0]),
    *block("896678246", 1, 1, [0]),
    *block("896678247", 0.5, 1, [0, 0]),
]


def save(folder: Path, lines: list[str]) -> Path:
    path = folder / "criteo.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_banners_of_one_product_have_their_propensity(tmp_path: Path) -> None:
    log = imported("criteo-counterfactual", save(tmp_path, BLOCKS), tmp_path / "log")
    rounds = whole(log)
    assert [len(offer) for offer in offers(log)] == [4, 1, 2]
    np.testing.assert_array_equal(rounds.clicks.ravel(), [1, 0, 0])
    np.testing.assert_array_equal(rounds.propensities.ravel(), [0.25, 1, 0.5])
    assert (log.info.propensities, log.info.order) == ("logged", "exchangeable")
    facts = log.info.provenance
    assert facts["propensity in the file"] == "the probability"
    assert (facts["impressions left out"], facts["clicks left out"]) == ({"not of 1 slots": 1}, {"not of 1 slots": 1})
    assert (facts["click rate before"], facts["click rate after"]) == (2 / 4, 1 / 3)


def test_features_follow_their_candidate_and_the_shown_one_is_not_always_first(tmp_path: Path) -> None:
    blocks = [line for number in range(20) for line in block(str(number), 0.5, 1, [0, 0, 0])]
    log = imported("criteo-counterfactual", save(tmp_path, blocks), tmp_path / "log", "--features", 8)
    places = set()
    for features, offer, (shown,) in zip(along(log, "features"), offers(log), slates(log), strict=True):
        np.testing.assert_allclose(features[shown], [1, *hashed([("11", 0.5), ("20", 1)], 8)])
        others = sorted(features[one][1:] for one in offer if one != shown)
        wanted = sorted(hashed([("11", number + 0.5), ("20", 1)], 8).tolist() for number in (1, 2))
        np.testing.assert_allclose(others, wanted)
        places.add(offer.index(shown))
    assert places == {0, 1, 2}


@pytest.mark.parametrize("slots", [0, 2])
def test_longer_banners_are_lists_without_propensities(tmp_path: Path, slots: int) -> None:
    log = imported("criteo-counterfactual", save(tmp_path, BLOCKS), tmp_path / "log", "--slots", slots)
    shown = slates(log)
    assert log.info.propensities == "none" and "propensities" not in log.info.columns
    assert [len(row) for row in shown] == ([1, 2, 1, 1] if slots == 0 else [2])
    assert whole(log).clicks.ravel().tolist() == ([1, 0, 1, 0, 0] if slots == 0 else [0, 1])


def test_inverse_propensities_are_seen_from_their_values(tmp_path: Path) -> None:
    blocks = [*block("1", 1, 1, [0]), *block("2", 336.25, 1, [0, 0])]
    path = tmp_path / "criteo.txt.gz"
    path.write_bytes(gzip.compress("\n".join(blocks).encode()))
    log = imported("criteo-counterfactual", path, tmp_path / "log")
    np.testing.assert_allclose(whole(log).propensities.ravel(), [1, 1 / 336.25])
    assert log.info.provenance["propensity in the file"] == "1 by the probability"
    with pytest.raises(DataError, match=r"line 7: the propensity is 336.25, where those before are below 1"):
        criteo.build(tmp_path / "mixed", path=str(save(tmp_path, [*block("0", 0.5, 1, [0] * 3), *blocks])))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("example 896678247: ", "example 896678247 ", "line 12: begins with 'example 896678247 a0b1"),
        (" 0 0.5 1 2 ", " 0 0 1 2 ", "line 12: the propensity is '0'"),
        (" 0 0.5 1 2 ", " 0 x 1 2 ", "line 12: the propensity is 'x'"),
        (" 0 0.5 1 2 ", " 0.999 0.5 1 2 ", "line 12: CLICKED is '0.999'"),
        (" 0 0.5 1 2 ", " 0 0.5 3 2 ", "line 12: 3 slots, but 2 candidates"),
        (" 0 0.5 1 2 ", " 0 0.5 1.5 2 ", "line 12: '1.5' is no number of slots"),
        (" 0 0.5 1 2 ", " 0 0.5 1 3 ", "candidate 3 of 3 of impression 896678247 is ''"),
        ("0 exid:896678247 11:1.5", "1 exid:896678247 11:1.5", "line 14: a product that was not shown is clicked"),
        ("0 exid:896678247 11:1.5", "0 exid:896678248 11:1.5", "line 14: candidate 2 of 2 of impression 896678247"),
        ("896678247 11:1.5", "896678247 11:nan", "line 14: '11:nan' is no feature:value"),
        ("896678247 11:1.5", "896678247 11", "line 14: '11' is no feature:value"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = save(tmp_path, BLOCKS)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(DataError) as error:
        criteo.build(tmp_path / "log", path=str(path))
    assert said in str(error.value)
    assert str(path) in str(error.value) and "Fix: " in str(error.value)


def test_an_archive_is_to_be_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "CriteoBannerFillingChallenge.tar.gz"
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"is an archive\. Fix: unpack it"):
        criteo.build(tmp_path / "log", path=str(path))
