"""Logs without propensities: estimated ones, and what is said of them, in worlds whose truth is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import lersbench as lb
from lersbench.cli.main import cli
from lersbench.errors import ConfigError
from lersbench.evaluation import estimated, logged
from lersbench.log import Log, write
from lersbench.results.evaluation import BELIEVE, CAUTION, LOGGER
from lersbench.results.evaluation_words import sentences
from tests.evaluation.test_evaluate import CHANCES, RATES, Sure

N = 4_000
TRUTH = {"random": RATES.mean(), "sure": RATES[:, 2].mean()}
POLICIES: dict[str, Any] = {"random": "random", "sure": Sure()}


def _bare(folder: Path, n: int = N, seed: int = 0, **changed: Any) -> Log:
    """What a logger showed that looks at the context, without its chances."""
    rng = np.random.default_rng(seed)
    context = rng.integers(2, size=n)
    action = (CHANCES[context].cumsum(1) > rng.random((n, 1))).argmax(1)
    columns = {
        "context": context[:, None].astype(float),
        "slate": action[:, None],
        "clicks": (rng.random(n) < RATES[context, action]).astype(np.int8)[:, None],
        **changed,
    }
    return write(folder, columns, name="bare", items=4, **({"users": 400} if "user" in changed else {}))


def _evaluate(log: Log, policies: Any = POLICIES, **settings: Any) -> Any:
    return lb.evaluate(log, policies, "off-policy", propensities="estimated", **settings)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return _evaluate(_bare(tmp_path_factory.mktemp("estimated") / "log", seed=2))


def test_values_lie_near_the_truth_and_no_verdict_says_believe(found: Any) -> None:
    rows = found.estimates
    assert rows["estimator"].tolist() == ["dr", "snips"] * 2
    for _, row in rows.iterrows():
        truth = TRUTH[row["policy"]]
        assert abs(row["value"] - truth) < 3.5 * row["se"] and row["low"] < truth < row["high"]
        assert row["verdict"] == CAUTION and "propensities are estimated" in row["reason"]
        assert row["interval"] == "bootstrap by user, propensities refitted"
        assert row["wbar"] == pytest.approx(1, abs=0.05)


def test_it_says_what_was_fitted_and_how_well_it_agrees(found: Any) -> None:
    facts = found.about["propensity_model"]
    assert found.about["propensities"].startswith("fitted") and facts["rows"] == N and facts["replicates"] == 20
    assert facts["log_loss"] < facts["log_loss_of_frequencies"] - 0.1 and facts["raised_share"] == 0
    assert max(abs(group["z"]) for group in facts["reliability"]) < 4
    text = " ".join(sentences(found))
    assert "cannot see what the logging policy saw" in text and "keeps its sign, random error aside" in text


def test_odds_may_be_wrong_by_some_factor_until_the_sign_is_open(found: Any) -> None:
    leading = found.leading("off-policy").set_index("policy")
    assert 1 < leading.loc["random", "odds"] < leading.loc["sure", "odds"] < 10


def test_the_mean_weight_of_a_fit_is_judged_by_its_size(tmp_path: Path) -> None:
    """Of 30,000 rows a fit by too few slopes is off by many errors of chance, and still near enough."""
    rng = np.random.default_rng(8)
    n = 30_000
    x = rng.normal(size=(n, 2))
    odds = np.exp(0.5 * np.stack([x[:, 0] * x[:, 1], x[:, 0], -x[:, 1]], axis=1))
    chance = odds / odds.sum(axis=1, keepdims=True)
    action = (chance.cumsum(1) > rng.random((n, 1))).argmax(1)
    clicks = (rng.random(n) < np.array([0.1, 0.3, 0.2])[action]).astype(np.int8)
    columns = {"context": x, "slate": action[:, None], "clicks": clicks[:, None]}
    log = write(tmp_path / "log", columns, name="curved", items=3)
    for _, row in _evaluate(log, ["random"]).estimates.iterrows():
        assert abs(row["value"] - 0.2) < 0.01 and row["verdict"] == CAUTION
        assert abs(row["wbar"] - 1) < 0.1 and "mean weight is" not in row["reason"]


def test_differences_have_the_errors_of_the_refits(found: Any) -> None:
    pairs = found.differences.set_index(["policy", "other"])
    row = pairs.loc[("sure", LOGGER)]
    assert row["low"] < TRUTH["sure"] - (CHANCES * RATES).sum() / 2 < row["high"] and row["p"] < 0.01


def test_context_that_the_fit_lacks_biases_and_is_warned_of(tmp_path: Path) -> None:
    """The logger shows what is liked in a context that the log leaves out: the fit sees frequencies."""
    log = _bare(tmp_path / "log", seed=3, context=np.zeros((N, 1)))
    row = _evaluate(log, {"sure": Sure()}).estimates.iloc[0]
    assert row["verdict"] != BELIEVE
    shown = CHANCES[:, 2] / CHANCES[:, 2].sum()
    assert row["value"] == pytest.approx(float(shown @ RATES[:, 2]), abs=0.05)  # of the rows that show it, not of all


def test_errors_are_by_user_and_candidates_may_change(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    liked = np.array([0.8, 0.2, 0.5, 0.3])
    candidates = np.stack([rng.permutation(4)[:3] for _ in range(N)])
    odds = np.exp(2 * liked[candidates])
    chance = odds / odds.sum(axis=1, keepdims=True)
    at = (chance.cumsum(1) > rng.random((N, 1))).argmax(1)
    action = candidates[np.arange(N), at]
    log = _bare(
        tmp_path / "log",
        candidates=candidates,
        slate=action[:, None],
        clicks=(rng.random(N) < liked[action]).astype(np.int8)[:, None],
        context=np.zeros((N, 1)),
        user=rng.integers(400, size=N),
    )
    evaluation = _evaluate(log, ["random"])
    assert evaluation.about["users"] == 400
    for _, row in evaluation.estimates.iterrows():
        assert abs(row["value"] - liked.mean()) < 3.5 * row["se"] and row["verdict"] == CAUTION
    again = evaluation.about["propensity_model"]
    assert again["log_loss"] == pytest.approx(-np.log(chance[np.arange(N), at]).mean(), abs=0.01)


def test_chunks_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(9)
    candidates = np.stack([rng.permutation(4) for _ in range(1_000)])
    features = rng.normal(size=(1_000, 4, 2))
    slate = candidates[np.arange(1_000), rng.integers(4, size=1_000)][:, None]
    clicks, context = rng.integers(2, size=(1_000, 1)).astype(np.int8), rng.normal(size=(1_000, 2))
    columns = {"candidates": candidates, "features": features, "slate": slate, "clicks": clicks, "context": context}
    log = write(tmp_path / "log", columns, name="featured", items=4)
    at_once = _evaluate(log, ["random"])
    monkeypatch.setattr(logged, "CANDIDATES", 900)
    in_parts = _evaluate(log, ["random"])
    for name in ("value", "se", "low", "high", "odds"):
        assert in_parts.estimates[name].tolist() == pytest.approx(
            at_once.estimates[name].tolist(), rel=1e-9, nan_ok=True
        )
    facts = [one.about["propensity_model"] for one in (at_once, in_parts)]
    assert facts[0]["log_loss"] == pytest.approx(facts[1]["log_loss"], rel=1e-9)
    assert facts[0]["inputs"] == ["items", "context (2)", "joint features (2)"]


def test_a_long_log_is_fitted_on_some_of_its_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = _bare(tmp_path / "log", user=np.arange(N) % 400)
    monkeypatch.setattr(estimated, "MOST_ROWS", N // 4)
    evaluation = _evaluate(log)
    facts, rows = evaluation.about["propensity_model"], evaluation.estimates
    assert 0.15 * N < facts["rows"] < 0.35 * N and facts["rows"] % 10 == 0  # whole users, of ten rows each
    assert any("% of the users" in note for note in evaluation.about["notes"])
    for _, row in rows.iterrows():
        assert abs(row["value"] - TRUTH[row["policy"]]) < 3.5 * row["se"]


def test_propensities_of_the_log_can_be_put_aside(tmp_path: Path) -> None:
    columns = {"slate": np.arange(900)[:, None] % 3, "clicks": np.zeros((900, 1), np.int8)}
    wrong = {**columns, "propensities": np.full((900, 1), 0.9)}
    log = write(tmp_path / "log", wrong, name="wrong", items=3, propensities="logged")
    row = _evaluate(log, ["random"], estimators=["snips"]).estimates.iloc[0]
    assert row["wbar"] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"estimators": ["dros"]}, "not made of estimated propensities"),
        ({"clip": 2.0}, "known propensities"),
        ({"interval": "anytime"}, "estimated anew"),
        ({"folds": 1}, "folds"),
    ],
)
def test_what_estimated_propensities_cannot_do(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        _evaluate(_bare(tmp_path / "log", 60), ["random"], **settings)


def test_rejection_needs_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="rejection needs propensities that are known"):
        lb.evaluate(_bare(tmp_path / "log", 60), ["ucb1"], "rejection", propensities="estimated")


def test_lists_have_a_bracket_instead(tmp_path: Path) -> None:
    columns = {"slate": np.tile([[0, 1]], (20, 1)), "clicks": np.zeros((20, 2), np.int8)}
    log = write(tmp_path / "log", columns, name="lists", items=3)
    with pytest.raises(ConfigError, match="single items"):
        _evaluate(log, ["random"])


def test_without_propensities_the_error_names_three_ways(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"(?s)1\. log them.*2\. where the rule is known.*3\. let them be estimated"):
        lb.evaluate(_bare(tmp_path / "log", 60), ["random"], "off-policy")


def test_the_command_takes_estimated_propensities(tmp_path: Path) -> None:
    log = _bare(tmp_path / "log", 600)
    asked = ["evaluate", log.path, "--policy", "random", "--propensities", "estimated", "--json", "--no-plots"]
    done = CliRunner().invoke(cli, [*asked, "--out", str(tmp_path / "out")], catch_exceptions=False)
    rows = json.loads(done.stdout)
    assert [row["estimator"] for row in rows] == ["dr", "snips"] and {row["verdict"] for row in rows} <= {
        CAUTION,
        "do not believe",
    }
