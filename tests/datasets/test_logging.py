"""What a table says of its logging policy: kinds of propensities, rules that make them of scores, loggers, windows."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import lersbench as lb
from lersbench.cli import imports
from lersbench.datasets import logging_rules, offers
from lersbench.datasets.impressions import DECISIONS, build
from lersbench.errors import ConfigError, DataError
from lersbench.log import Log, validate
from lersbench.log.chunk import Chunk
from lersbench.log.names import feature_names
from lersbench.offpolicy import propensity

# request b came first; its list is 9, 007, 7, that of a is 7, 9
SCORES = {"a": {"7": 2.0, "9": 1.0}, "b": {"9": 0.5, "007": 0.0, "7": -1.0}}
LISTS = {"b": ["9", "007", "7"], "a": ["7", "9"]}
TIMES = {"b": "2026-03-01T00:00:00", "a": "2026-03-01T02:00:00"}
TABLE = pd.DataFrame(
    [
        {
            "request": request, "position": k + 1, "item": item, "click": int(k == 0), "score": SCORES[request][item],
            "time": TIMES[request], "logger": {"a": "v2", "b": "v10"}[request], "user": "u",
        }
        for request, items in LISTS.items()
        for k, item in enumerate(items)
    ]
)  # fmt: skip
ALL = pd.DataFrame([(r, i, s) for r, of in SCORES.items() for i, s in of.items()], columns=["request", "item", "score"])


def drawn(scores: dict[str, float], shown: list[str], temperature: float) -> list[float]:
    """The twin: P(each item of a list is chosen | those above it), item by item."""
    worth = {item: math.exp(score / temperature) for item, score in scores.items()}
    chances = []
    for item in shown:
        chances.append(worth[item] / sum(worth.values()))
        del worth[item]
    return chances


def whole(log: Log) -> Chunk:
    (chunk,) = log.read()
    return chunk


def shown_in(log: Log, values: np.ndarray) -> dict[str, list[float]]:
    """Values of the positions by request."""
    chunk = whole(log)
    tops = chunk.top if chunk.top is not None else np.arange(len(chunk.user) + 1) * chunk.slate.shape[1]
    requests = log.requests().to_pylist()
    return {request: values.reshape(-1)[tops[t] : tops[t + 1]].tolist() for t, request in enumerate(requests)}


def offered_in(log: Log, values: np.ndarray) -> dict[str, dict[str, float]]:
    """Values of the candidates by request and id of the item."""
    chunk, ids = whole(log), log.item_table()["id"].to_numpy()
    n, wide = len(chunk.user), log.info.C
    edges = chunk.first if chunk.first is not None else np.arange(n + 1) * wide
    items = np.broadcast_to(chunk.candidates, (n, wide)) if chunk.first is None else chunk.candidates
    flat, values = items.reshape(-1), values.reshape(-1)
    return {
        request: dict(zip(ids[flat[edges[t] : edges[t + 1]]], values[edges[t] : edges[t + 1]].tolist(), strict=True))
        for t, request in enumerate(log.requests().to_pylist())
    }


# ---- rules


@pytest.mark.parametrize("source", ["column", "table"])
@pytest.mark.parametrize("temperature", [1.0, 0.25, 7.0])
def test_lists_by_their_scores(tmp_path: Path, source: str, temperature: float) -> None:
    scores = ALL.sample(frac=1.0, random_state=3) if source == "table" else None
    log = build(TABLE, tmp_path / "log", scores=scores, propensities=f"plackett-luce={temperature}")
    assert validate(log).ok and (log.info.propensities, log.info.propensity_kind) == ("logged", "conditional")
    assert log.info.provenance["propensity_rule"] == {"rule": "plackett-luce", "temperature": temperature}
    told = shown_in(log, whole(log).propensities)
    for request, items in LISTS.items():
        assert told[request] == pytest.approx(drawn(SCORES[request], items, temperature), rel=1e-12)
    weights = offered_in(log, whole(log).scores)
    for request, of in SCORES.items():
        assert weights[request] == pytest.approx({item: score / temperature for item, score in of.items()})


def test_a_table_of_scores_says_what_was_on_offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists show a part of what was on offer; candidates come a few at a time, and rows of lists too."""
    monkeypatch.setattr(offers, "CANDIDATES", 7)
    monkeypatch.setattr("lersbench.datasets.shown_rounds.CHUNK_ROWS", 5)
    rng = np.random.default_rng(0)
    rows, scores, twin = [], [], {}
    for t in range(40):
        of = {f"i{i}": float(rng.normal()) for i in rng.choice(12, rng.integers(3, 9), replace=False)}
        shown = rng.permutation(list(of))[: rng.integers(1, 4)].tolist()
        twin[f"r{t}"] = drawn(of, shown, 0.5), of
        rows += [{"request": f"r{t}", "position": k, "item": item, "click": 0} for k, item in enumerate(shown)]
        scores += [{"request": f"r{t}", "item": item, "score": score} for item, score in of.items()]
    scores += [{"request": "another", "item": "i99", "score": 0.0}]
    pd.DataFrame(scores).sample(frac=1.0, random_state=1).to_csv(tmp_path / "scores.csv", index=False)
    log = build(pd.DataFrame(rows), tmp_path / "log", scores=tmp_path / "scores.csv", propensities="plackett-luce=0.5")
    assert validate(log).ok and log.info.provenance["candidates"] == "scored" and log.info.items <= 12
    told, offered = shown_in(log, whole(log).propensities), offered_in(log, whole(log).scores)
    for request, (chances, of) in twin.items():
        assert told[request] == pytest.approx(chances, rel=1e-12)
        assert offered[request] == pytest.approx({item: score / 0.5 for item, score in of.items()})
    assert log.info.provenance["joins"] == [
        {"what": "requests with the table of scores", "rows": 40, "met": 40, "unit": "requests"}
    ]


ACTIONS = pd.DataFrame({"action": ["x", "y", "z", "x"], "reward": [1, 0, 0, 1], "request": list("pqrs")})


@pytest.mark.parametrize(
    ("rule", "due"),
    [
        ("epsilon=0.3", [0.1, 0.8, 0.1, 0.1]),  # of x, y, z, x where y is on top
        ("softmax=2", [math.exp(s / 2) / (1 + math.e + math.exp(-1)) for s in (0.0, 2.0, -2.0, 0.0)]),
        ("plackett-luce=2", [math.exp(s / 2) / (1 + math.e + math.exp(-1)) for s in (0.0, 2.0, -2.0, 0.0)]),
    ],
)
def test_decisions_of_one_table_of_scores(tmp_path: Path, rule: str, due: list[float]) -> None:
    scores = pd.DataFrame({"action": ["x", "y", "z"], "score": [0.0, 2.0, -2.0]})
    log = build(ACTIONS, tmp_path / "log", scores=scores, propensities=rule, kind=DECISIONS)
    chunk = whole(log)
    np.testing.assert_allclose(chunk.propensities[:, 0], due, rtol=1e-12)
    assert log.info.C == 3 and "candidates" not in log.info.columns and log.requests().to_pylist() == list("pqrs")
    np.testing.assert_allclose(np.exp(chunk.scores) / np.exp(chunk.scores).sum(axis=1, keepdims=True),
                               propensity.placements(chunk.scores)[:, :, 0], rtol=1e-12)  # fmt: skip
    at = np.take_along_axis(propensity.prefixes(chunk.scores, chunk.slate), np.zeros((4, 1), int), axis=1)
    np.testing.assert_allclose(at, chunk.propensities, rtol=1e-12)


def test_decisions_with_scores_by_request_and_ties(tmp_path: Path) -> None:
    scores = pd.DataFrame(
        [(r, a, float(a == top) + float(r == "s" and a == "z")) for r, top in zip("pqrs", "xyyx", strict=True)
         for a in "xyz" if (r, a) != ("p", "z")],
        columns=["request", "action", "score"],
    )  # fmt: skip
    log = build(ACTIONS, tmp_path / "log", scores=scores, propensities="epsilon=0.3", kind=DECISIONS)
    due = [0.3 / 2 + 0.7, 0.3 / 3 + 0.7, 0.3 / 3, 0.3 / 3 + 0.35]  # two on offer; on top; not; on top with another
    np.testing.assert_allclose(whole(log).propensities.reshape(-1), due, rtol=1e-12)


def test_log_weights_sum_to_one_over_the_lists() -> None:
    """All lists of two of four candidates: their probabilities, by what is chosen item by item, sum to one."""
    scores, edges = np.array([0.3, -1.0, 2.0, 0.3]), np.array([0, 4])
    for rule in (logging_rules.Rule("plackett-luce", 0.7), logging_rules.Rule("epsilon", 0.2)):
        weights = logging_rules.log_weights(rule, scores, edges)
        total = 0.0
        for first, second in itertools.permutations(range(4), 2):
            share = logging_rules.propensities(weights, edges, np.array([first, second]), np.array([0, 2]))
            total += share.prod()
        assert total == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"propensities": "epsilon"}, "epsilon takes a share above 0 and at most 1"),
        ({"propensities": "epsilon=0"}, "without any random choice no other policy can be judged"),
        ({"propensities": "epsilon=2"}, "a share above 0 and at most 1"),
        ({"propensities": "softmax=-1"}, "a temperature above 0"),
        ({"propensities": "softmax=nan"}, "a temperature above 0"),
        ({"propensities": "logd"}, "is none of logged, .*did you mean .logged"),
        ({"propensities": "plackett-luce=1", "propensity_kind": "slate"}, "leave out the kind"),
        ({"propensities": "plackett-luce=1", "columns": {"propensity": "score"}}, "leave out the column propensity"),
        ({"propensities": "plackett-luce=1", "candidates": "all"}, "give the scores of all of them as a table"),
        ({"propensities": "plackett-luce=1", "length": 1}, "length cuts rows that were on offer, too"),
        ({"propensities": "plackett-luce=1", "scores": ALL, "candidates": "shown"}, "leave out candidates"),
        ({"propensities": "plackett-luce=1", "scores": ALL, "columns": {"score": "score"}}, "leave out one of the two"),
        ({"scores": ALL}, "a table of scores, but nothing says how the logging policy chose"),
        ({"columns": {"score": "score"}}, "the column score, but nothing says how"),
        ({"propensity_kind": "slate"}, "propensity_kind = 'slate', but the table has no column propensity"),
        ({"propensity_kind": "joint"}, "propensity_kind"),
        ({"reward_window": "soon"}, "--reward-window: 'soon' is no time"),
    ],
)
def test_wrong_arguments(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build(TABLE, tmp_path / "log", **options)
    assert not (tmp_path / "log").exists()


def test_a_rule_needs_scores(tmp_path: Path) -> None:
    for table, kind in ((TABLE.drop(columns="score"), {}), (ACTIONS, {"kind": DECISIONS})):
        with pytest.raises(ConfigError, match=r"is made of scores. Give a table of them, --scores"):
            build(table, tmp_path / "log", propensities="plackett-luce=1", **kind)
    with pytest.raises(ConfigError, match=r"name the column of the decisions, --column request=YOURS"):
        scores = ALL.rename(columns={"item": "action"})
        build(
            ACTIONS.drop(columns="request"), tmp_path / "log", scores=scores, propensities="softmax=1", kind=DECISIONS
        )
    with pytest.raises(
        DataError, match=r"epsilon is a choice of one item, but a request shows 3. Fix: say plackett-luce"
    ):
        build(TABLE, tmp_path / "log", propensities="epsilon=0.1")


def test_wrong_scores(tmp_path: Path) -> None:
    wrong: dict[str, tuple[pd.DataFrame, str]] = {
        "missing": (ALL.drop(index=4), r"no score of it in the table of scores in 1 row: row 2 \(7\). Fix: give the"),
        "twice": (pd.concat([ALL, ALL.tail(1)]), r"a second score in its request in 1 row: row 5 \(7\). Fix: keep one"),
        "not finite": (ALL.replace(0.5, np.inf), r"column score: not a finite number in 1 row: row 2"),
        "text": (ALL.astype({"score": object}).replace(0.5, "many"), r"score|cannot be read"),
        "no column": (
            ALL.rename(columns={"score": "s"}),
            "no column score; there are request, item, s. Fix: it has it",
        ),
        "others": (ALL.assign(request=ALL["request"] + "!"), "none of 2 requests met. Fix: write the same ids in both"),
    }
    for name, (scores, said) in wrong.items():
        with pytest.raises(DataError, match=said):
            build(TABLE, tmp_path / name, scores=scores, propensities="plackett-luce=1")
    with pytest.raises(
        DataError, match=r"request b: its scores are so far apart that plackett-luce leaves some no prob"
    ):
        build(TABLE, tmp_path / "far", propensities="plackett-luce=0.001")
    with pytest.raises(DataError, match=r"column score: no value"):
        build(TABLE.assign(score=None), tmp_path / "empty", propensities="plackett-luce=1")


@pytest.mark.parametrize("rule", ["plackett-luce=2", "softmax=2"])
def test_lists_that_are_cut_were_chosen_from_all(tmp_path: Path, rule: str) -> None:
    log = build(TABLE, tmp_path / "log", scores=ALL, propensities=rule, length=1)
    told = shown_in(log, whole(log).propensities)
    for request, items in LISTS.items():
        assert told[request] == pytest.approx(drawn(SCORES[request], items, 2.0)[:1], rel=1e-12)


# ---- kinds of a column


def test_kinds_of_a_column(tmp_path: Path) -> None:
    table = TABLE.assign(p=[0.2, 0.5, 1.0, 0.25, 1.0])
    for kind in ("position", "conditional"):
        log = build(table, tmp_path / kind, {"propensity": "p"}, propensity_kind=kind)
        assert log.info.propensity_kind == kind and "scores" not in log.info.columns
    assert build(table, tmp_path / "silent", {"propensity": "p"}).info.propensity_kind == "position"
    with pytest.raises(DataError, match=r"column p: differs from the top row of its request in 3 rows; first: row 1"):
        build(table, tmp_path / "slate", {"propensity": "p"}, propensity_kind="slate")
    joint = table.assign(p=[0.1] * 3 + [0.25] * 2)
    assert (
        build(joint, tmp_path / "joint", {"propensity": "p"}, propensity_kind="slate").info.propensity_kind == "slate"
    )
    with pytest.raises(ConfigError, match=r"the probability of a whole slate is not that of a part"):
        build(joint, tmp_path / "cut", {"propensity": "p"}, propensity_kind="slate", length=1)


@pytest.mark.parametrize("kind", ["position", "conditional", "slate"])
def test_uniform_ones_of_each_kind(tmp_path: Path, kind: str) -> None:
    by = {"position": ["0.3333"] * 3 + ["0.5"] * 2, "conditional": ["0.3333", "0.5", "1", "0.5", "1"]}
    table = TABLE.assign(propensity=by.get(kind, ["0.1667"] * 3 + ["0.5"] * 2))
    options: dict[str, Any] = {"propensities": "uniform", "propensity_kind": kind, "candidates": "shown"}
    log = build(table, tmp_path / "log", **options)
    assert validate(log).ok and log.info.propensity_kind == kind
    due = {"position": [1 / 3] * 3, "conditional": [1 / 3, 1 / 2, 1.0], "slate": [1 / 6] * 3}
    assert shown_in(log, whole(log).propensities)["b"] == due[kind]
    table.loc[0, "propensity"] = "0.4"
    if kind == "slate":
        table.loc[:2, "propensity"] = "0.4"
    said = "1/3" if kind == "position" else "0.333333" if kind == "conditional" else "0.166667"
    with pytest.raises(DataError, match=rf"propensity not {said}, though said to be uniform.*row 0"):
        build(table, tmp_path / "other", **options)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("", "no value"),
        ("0", r"propensity outside \(0, 1\]"),
        ("-0.5", r"propensity outside \(0, 1\]"),
        ("1.01", r"propensity outside \(0, 1\]"),
        ("nan", "not a finite number"),
        ("1e-12", "propensity not above 1e-12"),
        ("1e-300", "propensity not above 1e-12"),
    ],
)
def test_no_propensity(tmp_path: Path, cell: str, said: str) -> None:
    shown = f"user,action,reward,p\nu,x,1,0.5\nu,y,0,{cell}\n"
    (tmp_path / "shown.csv").write_text(shown)
    with pytest.raises(DataError, match=rf"shown.csv, column p: {said} in 1 row: line 3.*Fix: "):
        build(tmp_path / "shown.csv", tmp_path / "log", {"propensity": "p"}, kind=DECISIONS)


# ---- loggers, windows, names, ids


def test_who_logged_when_it_can_be_judged_and_what_it_is_called(tmp_path: Path) -> None:
    table = TABLE.assign(age=[30.0] * 3 + [40.0] * 2, device=["app"] * 3 + ["web"] * 2, price=range(5))
    log = lb.from_impressions(
        table, tmp_path / "log", reward_window="1 h", context=["age"], categories=["device"], features=["price"]
    )
    chunk = whole(log)
    assert log.info.provenance["loggers"] == ["v10", "v2"] and chunk.logger.tolist() == [0, 1]
    assert log.info.reward_window == 3_600_000_000 and (chunk.time <= log.mature_until).tolist() == [True, False]
    (selection,) = log.info.provenance["selections"]
    assert selection["said"].startswith("--reward-window 1 h: 1 of 2 rounds are younger")
    assert feature_names(log.info) == {"context": ("age", "device=app", "device=web"), "features": ("price",)}
    assert log.requests().to_pylist() == ["b", "a"]


def test_a_request_has_one_logger_and_a_window_needs_a_time(tmp_path: Path) -> None:
    table = TABLE.copy()
    table.loc[1, "logger"] = "v2"
    with pytest.raises(DataError, match=r"column logger: differs from the top row of its request in 1 row: row 1"):
        build(table, tmp_path / "log")
    with pytest.raises(ConfigError, match=r"reward_window = '1 d', but the table has no column time"):
        build(TABLE.drop(columns="time"), tmp_path / "log", reward_window="1 d")
    many = pd.DataFrame({"action": ["x", "y"] * 600, "reward": 0, "logger": range(1200)})
    with pytest.raises(
        DataError, match=r"column logger: 1,200 logging policies, more than 1,000. Fix: name the column"
    ):
        build(many, tmp_path / "log", kind=DECISIONS)


def test_the_commands(tmp_path: Path) -> None:
    shown = tmp_path / "shown.csv"
    shown.write_text("a,r,p,x\none,1,0.5,0.1\ntwo,0,0.25,0.2\none,0,0.5,0.3\n")
    command = f"decisions {shown} {tmp_path / 'log'} --column action=a --column reward=r --column propensity=p"
    command += " --context x"
    result = CliRunner().invoke(imports.group, command.split())
    assert result.exit_code == 0, result.output
    log = Log(tmp_path / "log")
    assert (log.info.propensities, log.info.propensity_kind, log.info.C, log.info.L) == ("logged", "position", 2, 1)
    np.testing.assert_array_equal(whole(log).propensities[:, 0], [0.5, 0.25, 0.5])
    np.testing.assert_array_equal(whole(log).context[:, 0], [0.1, 0.2, 0.3])
    TABLE.rename(columns={"score": "s", "logger": "by"}).to_csv(tmp_path / "lists.csv", index=False)
    ALL.to_csv(tmp_path / "scores.csv", index=False)
    base = f"impressions {tmp_path / 'lists.csv'}"
    more = "--propensities plackett-luce=1 --column logger=by --reward-window"
    for name, rest in (("one", ["--column", "score=s"]), ("two", ["--scores", str(tmp_path / "scores.csv")])):
        given = [*base.split(), str(tmp_path / name), *more.split(), "1 d", *rest]
        result = CliRunner().invoke(imports.group, given)
        assert result.exit_code == 0, result.output
    one, two = Log(tmp_path / "one"), Log(tmp_path / "two")
    assert one.info.digest == two.info.digest and one.info.reward_window == 86_400_000_000
    kind = ["--propensity-kind", "slate", "--column", "propensity=s"]
    TABLE.assign(s=0.1).to_csv(tmp_path / "lists.csv", index=False)
    result = CliRunner().invoke(imports.group, [*base.split(), str(tmp_path / "three"), *kind])
    assert result.exit_code == 0, result.output
    assert Log(tmp_path / "three").info.propensity_kind == "slate"
