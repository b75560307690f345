"""Of what the propensities of a log are probabilities, which window its rewards have, and who logged: kept, checked."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lersbench.durations import microseconds
from lersbench.errors import ConfigError, DataError
from lersbench.log import Log, Ragged, convert, propensities, validate, write
from lersbench.log.schema import SINCE_2

HOUR = 3_600_000_000


def rounds(n: int = 6, **more: Any) -> dict[str, Any]:
    time = np.datetime64("2026-03-01", "us") + np.arange(n) * np.timedelta64(HOUR, "us")
    slate = np.array([np.random.default_rng(t).permutation(4)[:2] for t in range(n)])
    return {"time": time, "slate": slate, "clicks": np.zeros((n, 2)), "propensities": np.full((n, 2), 0.3)} | more


def save(path: Path, chunk: Any = None, **options: Any) -> Log:
    return write(path, rounds() if chunk is None else chunk, **{"items": 4, "propensities": "logged"} | options)


def edit(path: Path, drop: tuple[str, ...] = (), **changes: Any) -> None:
    content = json.loads((path / "log.json").read_text()) | {"seal": ""} | changes
    (path / "log.json").write_text(json.dumps({key: value for key, value in content.items() if key not in drop}))


# ---- kinds


@pytest.mark.parametrize("kind", propensities.KINDS)
def test_the_kind_is_kept(tmp_path: Path, kind: str) -> None:
    log = save(tmp_path / "log", propensity_kind=kind)
    assert log.info.propensity_kind == kind and validate(log).ok
    assert convert(log.path, tmp_path / "new").info.propensity_kind == kind


@pytest.mark.parametrize("schema", [1, 2])
def test_logs_that_do_not_say_it_have_that_of_the_position(tmp_path: Path, schema: int) -> None:
    new = save(tmp_path / "log")
    identity, digest = new.identity, new.info.digest
    edit(tmp_path / "log", SINCE_2 if schema == 1 else ("propensity_kind", "reward_window"), schema=schema)
    old = Log(tmp_path / "log")
    assert (old.info.propensity_kind, old.info.reward_window, old.mature_until) == ("position", 0, None)
    assert validate(old).ok and (old.identity, old.info.digest) == (identity, digest)
    assert not old.has_requests and not len(next(old.read()).logger)


def test_a_log_without_propensities_has_no_kind(tmp_path: Path) -> None:
    bare = {name: values for name, values in rounds().items() if name != "propensities"}
    assert save(tmp_path / "log", bare, propensities="none").info.propensity_kind == ""
    with pytest.raises(ConfigError, match=r"propensity_kind is 'slate', but propensities is 'none'"):
        save(tmp_path / "other", bare, propensities="none", propensity_kind="slate")
    edit(tmp_path / "log", propensity_kind="slate")
    with pytest.raises(DataError, match=r"propensity_kind is 'slate', but propensities is 'none'. Fix: leave it out"):
        Log(tmp_path / "log")


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"propensity_kind is 'joint'; choose one of position, conditional, slate"):
        save(tmp_path / "log", propensity_kind="joint")
    save(tmp_path / "log")
    edit(tmp_path / "log", propensity_kind="joint")
    with pytest.raises(DataError, match=r"propensity_kind is 'joint'. Fix: one of position, conditional, slate"):
        Log(tmp_path / "log")


def test_a_result_depends_on_the_kind(tmp_path: Path) -> None:
    kinds = ("position", "conditional", "slate")
    assert len({save(tmp_path / kind, propensity_kind=kind).identity for kind in kinds}) == 3


@pytest.mark.parametrize("ragged", [False, True])
def test_the_probability_of_a_slate_is_one_number(tmp_path: Path, ragged: bool) -> None:
    shares = np.full((6, 2), 0.3)
    shares[4, 1] = 0.31
    chunk = rounds(propensities=shares)
    if ragged:
        lengths = np.array([2, 2, 1, 2, 2, 2])
        keep = (np.arange(2) < lengths[:, None]).reshape(-1)
        lists = {name: Ragged(chunk[name].reshape(-1)[keep], lengths) for name in ("slate", "clicks", "propensities")}
        chunk |= lists
    with pytest.raises(DataError, match=r"column propensities: .*differs.*in 1 row; first: row 4 \(value 0.31\). Fix:"):
        save(tmp_path / "log", chunk, propensity_kind="slate")
    save(tmp_path / "log", chunk, propensity_kind="conditional")
    edit(tmp_path / "log", propensity_kind="slate")
    (problem,) = validate(tmp_path / "log").problems
    assert (problem.rows, problem.values) == ([4], [0.31])


@pytest.mark.parametrize("kind", propensities.KINDS)
@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.nan, r"outside \(0, 1\].*row 2 \(value nan\)"),
        (0.0, r"outside \(0, 1\].*row 2 \(value 0.0\)"),
        (-0.1, r"outside \(0, 1\].*row 2 \(value -0.1\)"),
        (1.5, r"outside \(0, 1\].*row 2 \(value 1.5\)"),
        (np.inf, r"outside \(0, 1\].*row 2 \(value inf\)"),
    ],
)
def test_no_probability(tmp_path: Path, kind: str, value: float, said: str) -> None:
    shares = np.full((6, 2), 0.3)
    shares[2] = value
    with pytest.raises(DataError, match=rf"rounds.parquet, column propensities: .*{said}. Fix:"):
        save(tmp_path / "log", rounds(propensities=shares), propensity_kind=kind)


def test_a_tiny_one_is_an_error_unless_it_is_that_of_a_long_slate(tmp_path: Path) -> None:
    for tiny, name in ((1e-12, "a"), (1e-13, "b"), (5e-324, "c")):
        with pytest.raises(DataError, match=r"propensity not above 1e-12 in 6 rows; first: row 0 \(value .*Fix: it is"):
            save(tmp_path / name, rounds(propensities=np.full((6, 2), tiny)))
    with pytest.raises(DataError, match=r"propensity not above 1e-24"):
        save(tmp_path / "d", rounds(propensities=np.full((6, 2), 1e-24)), propensity_kind="slate")
    save(tmp_path / "e", rounds(propensities=np.full((6, 2), 2e-24)), propensity_kind="slate")
    save(tmp_path / "f", rounds(propensities=np.full((6, 2), 1.1e-12)))


# ---- uniform logs: the twin counts slates


def enumerated(kind: str, wide: int, size: int) -> list[float]:
    """What each position of a uniform slate must have, by listing all slates."""
    slates, first = list(itertools.permutations(range(wide), size)), tuple(range(size))
    if kind == "slate":
        return [1 / len(slates)] * size
    shares = []
    for k in range(size):
        given = [slate for slate in slates if kind == "position" or slate[:k] == first[:k]]
        shares.append(sum(slate[k] == first[k] for slate in given) / len(given))
    return shares


@pytest.mark.parametrize("kind", propensities.KINDS)
def test_uniform_ones_are_those_of_counted_slates(tmp_path: Path, kind: str) -> None:
    offered, lengths = np.array([4, 5, 3, 4]), np.array([2, 3, 1, 4])
    due = np.concatenate([enumerated(kind, *sizes) for sizes in zip(offered.tolist(), lengths.tolist(), strict=True)])
    np.testing.assert_allclose(propensities.of_uniform(kind, offered, lengths), due, rtol=1e-12)
    candidates = Ragged(np.concatenate([np.arange(n) for n in offered]), offered)
    slate, clicks = Ragged(np.concatenate([np.arange(n) for n in lengths]), lengths), Ragged(np.zeros(10), lengths)
    chunk = {"candidates": candidates, "slate": slate, "clicks": clicks, "propensities": Ragged(due, lengths)}
    log = write(tmp_path / "log", chunk, items=5, propensities="uniform", propensity_kind=kind)
    assert validate(log).ok
    wrong = due.copy()
    wrong[3] *= 0.9
    chunk["propensities"] = Ragged(wrong, lengths)
    with pytest.raises(DataError, match=r"row 1"):
        write(tmp_path / "other", chunk, items=5, propensities="uniform", propensity_kind=kind)


def test_another_kind_of_uniform_is_said(tmp_path: Path) -> None:
    shares = np.tile([1 / 4, 1 / 3], (6, 1))
    save(tmp_path / "a", rounds(propensities=shares), propensities="uniform", propensity_kind="conditional")
    with pytest.raises(DataError, match=r"propensity not 1/4 = 0.25, in a log that calls itself uniform"):
        save(tmp_path / "b", rounds(propensities=shares), propensities="uniform")
    with pytest.raises(DataError, match=r"not 1 / .candidates that are left at its position."):
        chunk = rounds(propensities=np.full((6, 2), 1 / 4))
        save(tmp_path / "c", chunk, propensities="uniform", propensity_kind="conditional")


# ---- estimated ones, windows, loggers, requests


def test_what_estimated_them_is_kept(tmp_path: Path) -> None:
    model = {"method": "conditional logit", "features": ["age"], "folds": 3, "calibration": [[0.1, 0.12]]}
    log = save(tmp_path / "log", propensities="estimated", provenance={"propensity_model": model})
    assert log.info.provenance["propensity_model"] == model
    for broken in ("logit", {"folds": 3}):
        edit(tmp_path / "log", provenance={"propensity_model": broken})
        with pytest.raises(DataError, match=r"provenance.propensity_model is .*it must be what estimated"):
            Log(tmp_path / "log")


@pytest.mark.parametrize(("text", "due"), [("30 min", 1_800_000_000), ("1 d", 24 * HOUR), ("0.5 s", 500_000)])
def test_a_length_of_time(text: str, due: int) -> None:
    assert microseconds(text) == due
    for wrong in ("", "1", "d", "-1 d", "1 week", "nan d", "inf s"):
        with pytest.raises(ValueError, match=r"is no time such as '30 min' \(ms, s, min, h, d\)"):
            microseconds(wrong)


def test_rounds_younger_than_the_window_are_told_apart(tmp_path: Path) -> None:
    log = save(tmp_path / "log", reward_window="2 h")
    (chunk,) = log.read()
    assert log.info.reward_window == 2 * HOUR
    assert (chunk.time <= log.mature_until).tolist() == [True] * 4 + [False] * 2  # hours 0..5, judged up to hour 3
    assert convert(log.path, tmp_path / "new").mature_until == log.mature_until
    assert save(tmp_path / "same", reward_window=2 * HOUR).info.reward_window == 2 * HOUR


def test_a_window_needs_a_time(tmp_path: Path) -> None:
    for window in ("2 weeks", "soon", -1):
        with pytest.raises(ConfigError, match=r"reward_window"):
            save(tmp_path / "log", reward_window=window)
    bare = {name: values for name, values in rounds().items() if name != "time"}
    with pytest.raises(ConfigError, match=r"a reward_window, but the rounds have no column time"):
        save(tmp_path / "log", bare, reward_window="1 d")
    save(tmp_path / "log", bare)
    edit(tmp_path / "log", reward_window=5)
    with pytest.raises(DataError, match=r"reward_window is 5, but there is no column time. Fix: set it to 0"):
        Log(tmp_path / "log")


def test_loggers_are_numbered(tmp_path: Path) -> None:
    log = save(tmp_path / "log", rounds(logger=np.array([0, 1, 1, 0, 2, 2])))
    (chunk,) = log.read()
    assert chunk.logger.tolist() == [0, 1, 1, 0, 2, 2] and chunk.logger.dtype == np.int64
    assert len(next(log.read(columns=["clicks"])).logger) == 0
    with pytest.raises(DataError, match=r"column logger: negative in 1 row; first: row 3 \(value -1\). Fix: number"):
        save(tmp_path / "other", rounds(logger=np.array([0, 1, 1, -1, 2, 2])))


def test_requests_keep_their_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lersbench.log.requests.GROUP_ROWS", 4)
    ids = [f"r{n}" for n in range(18)]
    chunks = [rounds(request=np.array(ids[at : at + 6])) for at in (0, 6, 12)]
    for at, chunk in enumerate(chunks):
        chunk["time"] = chunk["time"] + np.timedelta64(6 * at * HOUR, "us")
    log = save(tmp_path / "log", chunks)
    assert log.has_requests and "request" not in log.info.columns and validate(log).ok
    assert log.requests().to_pylist() == ids
    for start, stop in ((0, 1), (3, 5), (4, 8), (7, 18), (18, 18), (17, 99)):
        assert log.requests(start, stop).to_pylist() == ids[start:stop]
    assert [c.start for c in log.read(chunk_bytes=1)] == list(range(18))
    new = convert(log.path, tmp_path / "new")
    assert new.requests().to_pylist() == ids and new.info.digest == log.info.digest
    bare = save(tmp_path / "bare", [{name: chunk[name] for name in chunk if name != "request"} for chunk in chunks])
    assert bare.info.digest == log.info.digest and bare.identity != log.identity
    with pytest.raises(ConfigError, match=r"the log keeps no ids of requests"):
        bare.requests()


def test_wrong_ids_of_requests(tmp_path: Path) -> None:
    for ids, said in (
        (["a", "b", None, "d", "e", "f"], "row 2: no value"),
        (["a", "", "c", "d", "e", "f"], "row 1: no value"),
        (["a", "b"], "2 ids for the 6 rounds from row 0 on"),
        (np.arange(6.0), "ids of the type double"),
        ([["a"]] * 6, "ids of the type list"),
    ):
        with pytest.raises(DataError, match=f"requests.parquet, column request.*{said}"):
            save(tmp_path / "log", rounds(request=ids))
    with pytest.raises(DataError, match=r"the chunk at row 6 lacks the column request"):
        later = rounds()
        later["time"] = later["time"] + np.timedelta64(6 * HOUR, "us")
        save(tmp_path / "log", [rounds(request=np.arange(6)), later])
    assert save(tmp_path / "log", rounds(request=np.arange(6))).requests().to_pylist() == list("012345")


def test_exchanged_ids_are_noticed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / name, rounds(request=[f"{name}{n}" for n in range(6)]))
    file = tmp_path / "a" / "requests.parquet"
    file.write_bytes((tmp_path / "b" / "requests.parquet").read_bytes())
    with pytest.raises(DataError, match=r"requests.parquet: its sha256 is not the one in log.json"):
        Log(tmp_path / "a").requests(0, 1)
    assert not validate(tmp_path / "a").ok
    file.unlink()
    with pytest.raises(DataError, match=r"requests.parquet: the file is missing"):
        Log(tmp_path / "a").requests()


def test_a_rounding_error_above_1_is_a_propensity_of_1(tmp_path: Path) -> None:
    columns = {
        "slate": np.zeros((3, 1), np.int64),
        "clicks": np.ones((3, 1)),
        "propensities": np.full((3, 1), 1 + 2e-16),
    }
    assert write(tmp_path / "log", columns, name="sure", items=2, order="exchangeable", propensities="logged")
    columns["propensities"] = np.full((3, 1), 1 + 1e-6)
    with pytest.raises(DataError, match="propensity outside"):
        write(tmp_path / "wrong", columns, name="wrong", items=2, order="exchangeable", propensities="logged")
