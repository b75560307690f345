"""Scores from a table: by item, by request and item, what it lacks, what it has twice, and ids that look alike."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lersbench as lb
from lersbench.engine.chances import DETERMINISTIC, chances, how
from lersbench.engine.rows import rows_of
from lersbench.errors import ConfigError, DataError, RunError
from lersbench.policies.scores import Scores
from lersbench.policy import Round, Spec
from tests.support import worlds

IDS, REQUESTS = ("a", "007", "7", "NA"), ("r0", "1", "01")
SPEC = Spec(4, 3, 2, item_ids=IDS, request_ids=REQUESTS)


def table(folder: Path, *rows: tuple, name: str = "scores.csv") -> str:
    """A file of (item, score) or (request, item, score) rows."""
    frame = pd.DataFrame(rows, columns=["request", "item", "score"][-len(rows[0]) :])
    path = folder / name
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path, index=False)
    return str(path)


def asked(policy: Scores, candidates: list[int], request: int = -1, spec: Spec = SPEC) -> tuple[list, list]:
    """The slate and the scores of one round."""
    wide = len(candidates)
    none, scores, slate = np.empty(0), np.zeros(wide), np.zeros(2, np.int64)
    shape = np.zeros((wide, 0)), 5, scores, np.zeros(2), np.zeros(2, np.int64), -1, request
    policy.select(policy.init(spec), np.random.default_rng(0), Round(0, -1, none, np.array(candidates), *shape), slate)
    return slate.tolist(), scores.tolist()


ALL = ("7", 0.5), ("NA", -2.0), ("a", 0.25), ("007", 3.0), ("of another log", 9.0)


@pytest.mark.parametrize("name", ["scores.csv", "scores.parquet"])
def test_by_item(tmp_path: Path, name: str) -> None:
    """Ids are compared as text: 007 is not 7, and NA is an id. What the log does not have is left out."""
    policy = Scores(table(tmp_path, *ALL, name=name))
    assert asked(policy, [3, 2, 1]) == ([2, 1], [-2.0, 0.5, 3.0])
    assert asked(policy, [0, 3, 2]) == ([2, 0], [0.25, -2.0, 0.5])


def test_ids_of_whole_numbers_are_the_texts_they_are_written_as(tmp_path: Path) -> None:
    numbers = pd.DataFrame({"item": [7, 8], "score": [1, 2]})
    numbers.to_parquet(tmp_path / "numbers.parquet")
    policy = Scores(str(tmp_path / "numbers.parquet"), missing="last")
    state = policy.init(SPEC)
    assert state.of_item[2] == 1.0 and (np.delete(state.of_item, 2) < 1.0).all()


@pytest.mark.parametrize("name", ["scores.csv", "scores.parquet"])
def test_by_request_and_item(tmp_path: Path, name: str) -> None:
    rows = [("1", "a", 0.1), ("01", "a", 0.9), ("01", "7", 0.8), ("1", "7", 0.2), ("1", "NA", 0.15), ("9", "a", 7.0)]
    policy = Scores(table(tmp_path, *rows, name=name))
    assert asked(policy, [0, 2, 3], 1) == ([1, 2], [0.1, 0.2, 0.15])
    assert asked(policy, [2, 0], 2) == ([1, 0], [0.8, 0.9])


@pytest.mark.parametrize("request_", [-1, 0, 3])
def test_a_request_without_scores(tmp_path: Path, request_: int) -> None:
    """One the table lacks, one whose number is unknown, and one of no log: no candidate has a score."""
    rows = ("1", "a", 0.1), ("01", "a", 0.9)
    assert np.isnan(asked(Scores(table(tmp_path, *rows)), [0, 2], request_)[1]).all()
    assert len(set(asked(Scores(table(tmp_path, *rows), missing="last"), [0, 2], request_)[1])) == 1


def test_an_item_without_a_score_is_an_error_by_name(tmp_path: Path) -> None:
    file = table(tmp_path, ("a", 1.0), ("7", 2.0))
    with pytest.raises(DataError, match=rf"{file}: 2 of 4 items of the log have no score, the first is 007.*last"):
        Scores(file).init(SPEC)


@pytest.mark.parametrize("low", [0.0, -5.0, 1e17, -1e17, 1e300])
def test_what_is_missing_is_last(tmp_path: Path, low: float) -> None:
    """Below the lowest score of the table, however large that is, and equal among themselves."""
    by_item = table(tmp_path, ("a", low), ("7", 2.0 + 2 * abs(low)), name="by_item.csv")
    by_request = table(tmp_path, ("1", "a", low), ("1", "7", 2.0 + 2 * abs(low)), name="by_request.csv")
    for file in (by_item, by_request):
        slate, scores = asked(Scores(file, missing="last"), [1, 0, 3, 2], 1)
        assert slate == [3, 1] and scores[0] == scores[2] < low == scores[1] and np.isfinite(scores).all()


def test_two_scores_of_one_item_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"item 7 has two scores; give one, or a column request"):
        Scores(table(tmp_path, *ALL, ("7", 0.5))).init(SPEC)
    rows = ("1", "7", 0.2), ("01", "7", 0.2), ("1", "7", 0.3)
    with pytest.raises(DataError, match=r"request 1 has two scores of item 7; give one"):
        Scores(table(tmp_path, *rows)).init(SPEC)


def test_a_table_of_another_log_is_an_error(tmp_path: Path) -> None:
    """Else all candidates would stand in random order, last as they are."""
    with pytest.raises(DataError, match=r"no item of it is one of the log's; the ids are compared as text"):
        Scores(table(tmp_path, ("b", 1.0), ("7.0", 1.0)), missing="last").init(SPEC)
    with pytest.raises(DataError, match=r"no request of it is one of the log's; the ids are compared as text"):
        Scores(table(tmp_path, ("1.0", "7", 1.0)), missing="last").init(SPEC)
    with pytest.raises(ConfigError, match=r"scores by request, but the log does not keep the ids of its requests"):
        Scores(table(tmp_path, ("1", "7", 1.0))).init(dataclasses.replace(SPEC, request_ids=()))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "cannot be read as a table"),
        ("item,value\n7,1\n", "no column 'score', only item, value"),
        ("id,score\n7,1\n", "no column 'item', only id, score"),
        ("item,score\n7,1\na,high\n", "row 1, column score: 'high' is no finite number"),
        ("item,score\n7,inf\n", "row 0, column score: 'inf' is no finite number"),
        ("item,score\n7,\n", "row 0, column score: 'nan' is no finite number"),
        ("item,score\n7,1\n,2\n", "row 1, column item: it is empty"),
        ("request,item,score\n1,7,1\n,7,2\n", "row 1, column request: it is empty"),
    ],
)
def test_a_wrong_table_is_an_error_with_its_place(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "scores.csv"
    file.write_text(text)
    with pytest.raises(DataError) as caught:
        Scores(str(file)).init(SPEC)
    assert str(file) in str(caught.value) and problem in str(caught.value)


def test_a_wrong_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"There is no table of scores .*none\.csv"):
        Scores(str(tmp_path / "none.csv")).init(SPEC)
    with pytest.raises(ConfigError, match=r"table is missing; name the file of the scores"):
        Scores().init(SPEC)
    (tmp_path / "no.parquet").write_text("item,score\n7,1\n")
    with pytest.raises(DataError, match=r"no\.parquet cannot be read as a table"):
        Scores(str(tmp_path / "no.parquet")).init(SPEC)
    with pytest.raises(ConfigError, match=r"missing = 'first'; it takes 'error' or 'last'"):
        Scores(missing="first")


# In a replay and beside a log -----------------------------------------------------------------------------------------
N, WIDE = 40, 4


def of_requests(folder: Path) -> tuple[lb.Log, pd.DataFrame]:
    """A log in which the reward of an item in a round is its score in a table by request."""
    rng = np.random.default_rng(0)
    rewards, ids = rng.random((N, WIDE)).round(3), [f"{row:03d}" for row in range(N)]
    items = pd.DataFrame({"id": IDS, "features": [[0.0]] * WIDE})
    log = lb.write_log(folder / "log", {"rewards": rewards, "request": ids}, items=items)
    places = [(ids[row], IDS[item], rewards[row, item]) for row in range(N) for item in range(WIDE)]
    return log, pd.DataFrame(places, columns=["request", "item", "score"])


def test_a_replay_joins_the_scores_of_the_request(tmp_path: Path) -> None:
    """The order of a table that knows every reward earns the best of each round; that of its opposite, the least."""
    log, scores = of_requests(tmp_path)
    best = scores.groupby("request")["score"]
    ends = {"best": best.max().sum(), "worst": best.min().sum()}
    files = {name: str(tmp_path / f"{name}.csv") for name in ends}
    scores.sample(frac=1, random_state=1).to_csv(files["best"], index=False)
    scores.assign(score=-scores["score"]).to_csv(files["worst"], index=False)
    policies = {name: Scores(file) for name, file in files.items()}
    done = lb.replay(policies, log, seeds=1, replicates="none").final("", "ctr_sum")
    for name, total in ends.items():
        assert done.loc[name, 0] == pytest.approx(total / N)


def test_a_candidate_without_a_score_ends_the_replay_or_comes_last(tmp_path: Path) -> None:
    log, scores = of_requests(tmp_path)
    file = str(tmp_path / "scores.csv")
    scores.drop(index=scores.index[4 * 25 + 1]).to_csv(file, index=False)
    with pytest.raises(RunError, match=r"(?s)in round 25 of the log.*a table that has none of a candidate"):
        lb.replay({"scores": Scores(file)}, log, seeds=1, replicates="none")
    left = scores.drop(index=scores.index[4 * 25 + 1]).groupby("request")["score"].max().sum()
    done = lb.replay({"scores": Scores(file, missing="last")}, log, seeds=1, replicates="none").final("", "ctr_sum")
    assert done.loc["scores", 0] == pytest.approx(left / N)


def test_its_chances_are_those_of_the_sorted_list(tmp_path: Path) -> None:
    """Equal scores share a place. A score that is missing is no chance of 0."""
    slates = np.array([[0, 1], [1, 0], [1, 2], [2, 1], [0, 2], [2, 0]])
    chunk = worlds.chunk(np.zeros((6, 3)), context=np.ones((6, 1)), slate=slates, clicks=np.zeros((6, 2)))
    rows = rows_of(chunk, np.zeros((3, 0)), "replay", 2)
    spec = dataclasses.replace(worlds.spec_of(rows, 2), item_ids=IDS[:3], request_ids=REQUESTS)
    policy = Scores(table(tmp_path, ("a", 0.5), ("007", 2.0), ("7", 0.5)))
    assert how(policy) == DETERMINISTIC
    told = worlds.protocol("replay", 2), np.random.default_rng(0)

    def said(policy: Scores) -> np.ndarray:
        return chances(policy, policy.init(spec), spec, rows, told[1], told[0]).slates()

    np.testing.assert_allclose(said(policy), [0, 0.5, 0.5, 0, 0, 0])
    lacking = table(tmp_path, ("r0", "a", 0.5), ("r0", "007", 2.0), name="lacking.csv")
    with pytest.raises(RunError, match=r"a score is a finite number"):
        said(Scores(lacking))
