"""Simulated users, the published re-ranking protocol and inverse propensities, against plain loops."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from lersbench.bench import scenario
from lersbench.clicks import model as click_model
from lersbench.clicks.model import ClickModel
from lersbench.engine.rows import Background, Rows, background_of, rows_of
from lersbench.errors import ConfigError
from lersbench.kernels.ties import scramble
from lersbench.log.chunk import Chunk
from lersbench.policies.ltr import LTR
from lersbench.policies.random import Random
from lersbench.policy import Policy, Round, Spec
from lersbench.studies import study
from tests.support.worlds import contender, final, play, protocol, square, textbook_run

ROUNDS, LENGTH, ITEMS = 300, 5, 9


class FirstSeen(Policy):
    """A stand-in that shows candidates in an order of its own making."""

    def init(self, spec: Spec) -> None:
        return None

    def select(self, state: None, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        order = np.argsort(-np.cos(round.candidates * 1.7), kind="stable")
        round.scores[order] = -np.arange(len(order))
        slate[:] = order[: len(slate)]

    def update(self, state: None, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
        pass


def model(fade: float = 0.5) -> ClickModel:
    k, j = np.arange(LENGTH)[:, None], np.arange(LENGTH + 1)
    return click_model.ubm(np.tril(0.95**k * 0.8 ** np.maximum(k - j, 0)), fade)


def log(seed: int = 0, scores: bool = False) -> tuple[Chunk, Background]:
    """Lists of all five candidates in random order, with attractions and families, and clicks drawn from a UBM."""
    rng = np.random.default_rng(seed)
    candidates = np.sort(rng.permuted(np.tile(np.arange(ITEMS), (ROUNDS, 1)), axis=1)[:, :LENGTH], axis=1)
    slate = rng.permuted(np.tile(np.arange(LENGTH), (ROUNDS, 1)), axis=1)
    attraction, family = rng.uniform(0.05, 0.9, (ROUNDS, LENGTH)), np.arange(ITEMS) // 2
    features = rng.random((ROUNDS, LENGTH, 3))
    clicks = np.zeros((ROUNDS, LENGTH))
    users = model()
    for t in range(ROUNDS):
        shown, saw = np.zeros(LENGTH), np.zeros(LENGTH)
        click_model.shown_attraction(attraction[t], family[candidates[t]], slate[t], users.fade, shown)
        click_model.draw_clicks(users.weights, users.goes_on, shown, slate[t], t, clicks[t], saw)
    none = np.zeros((0, 0))
    chunk = Chunk(
        0, np.full(ROUNDS, -1), np.zeros((ROUNDS, 0)), candidates, features, np.zeros((0, LENGTH)),
        np.zeros((0, LENGTH)), slate, clicks, none, none, attraction,
        np.zeros((ROUNDS, LENGTH)) if scores else np.zeros((0, LENGTH)),
    )  # fmt: skip
    return chunk, background_of(np.zeros((ITEMS, 0)), ITEMS, family)._replace(model=users)


def shown_by(policy: Policy, rows: Rows, K: int) -> list[list[int]]:
    return textbook_run(policy, rows, protocol(slate=K))[1]


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("K", [1, 3, 5])
def test_a_simulated_run_is_the_plain_loop(K: int, batch: int) -> None:
    chunk, known = log()
    rows = rows_of(chunk, known, "simulated", K)
    told = protocol(slate=K, batch=batch)._replace(simulated=True, truth=True, regret=False, draws=77)
    run = play(contender(FirstSeen(), rows, told), rows)
    clicks = sets = value = chance = regret = 0.0
    for t, slate in enumerate(shown_by(FirstSeen(), rows, K)):
        offered = chunk.candidates[t, chunk.slate[t]]
        attraction, family = chunk.attraction[t, chunk.slate[t]], offered // 2
        shown, out, saw = np.zeros(K), np.zeros(K), np.zeros(K)
        click_model.shown_attraction(attraction, family, np.array(slate), 0.5, shown)
        named = offered[np.array(slate)]
        click_model.draw_clicks(model().weights, model().goes_on, shown, named, int(scramble(77, t)), out, saw)
        clicks, sets = clicks + out.sum(), sets + out.any()
        worth = click_model.expected(model().weights, model().goes_on, shown, np.zeros(K + 1), np.zeros(K))
        value, chance = value + worth[0], chance + worth[1]
        regret += rows.users.best[t, 1] - worth[1]
    assert final(run, "ctr_sum") == pytest.approx(clicks / ROUNDS)
    assert final(run, "ctr_set") == pytest.approx(sets / ROUNDS)
    assert final(run, "expected_ctr_sum") == pytest.approx(value / ROUNDS)
    assert final(run, "expected_ctr_set") == pytest.approx(chance / ROUNDS)
    assert final(run, "regret_set") == pytest.approx(regret)
    assert abs(clicks - value) < 4 * np.sqrt(value), "the drawn clicks are not those of the closed form"


def test_the_best_slate_is_the_best_of_all() -> None:
    chunk, known = log()
    rows = rows_of(chunk, known, "simulated", 2)
    for t in range(20):
        attraction = chunk.attraction[t, chunk.slate[t]]
        family = chunk.candidates[t, chunk.slate[t]] // 2
        worths = []
        for slate in itertools.permutations(range(LENGTH), 2):
            shown = np.zeros(2)
            click_model.shown_attraction(attraction, family, np.array(slate), 0.5, shown)
            worths.append(click_model.expected(model().weights, model().goes_on, shown, np.zeros(3), np.zeros(2)))
        assert rows.users.best[t] == pytest.approx(np.max(worths, axis=0))


def test_two_policies_that_show_the_same_slate_meet_the_same_user() -> None:
    chunk, known = log()
    rows = rows_of(chunk, known, "simulated", 3)
    told = protocol(slate=3)._replace(simulated=True, truth=True, regret=False, draws=5)
    one, two = (play(contender(FirstSeen(), rows, told, seed=s), rows) for s in (1, 2))
    other = play(contender(FirstSeen(), rows, told._replace(draws=6)), rows)
    assert np.array_equal(one.meter.curve, two.meter.curve, equal_nan=True)
    assert final(one, "ctr_sum") != final(other, "ctr_sum")


def test_with_all_items_shown_every_policy_earns_the_same_logged_clicks() -> None:
    chunk, known = log()
    rows = rows_of(chunk, known, "logged", LENGTH)
    told = protocol("logged", slate=LENGTH)._replace(truth=True, regret=False)
    found = {final(play(contender(policy, rows, told), rows), "ctr_sum") for policy in (Random(), FirstSeen())}
    assert found == {chunk.clicks.sum() / ROUNDS}


def test_inverse_propensities_are_the_plain_sums() -> None:
    """Under uniform logging a candidate is at each position with 1/L, so PBM exposure is the mean examination."""
    chunk, known = log(scores=True)
    examination = 0.9 ** np.arange(LENGTH)
    logger = known.logger._replace(
        examination=examination, after=model().weights, attraction=np.full(ITEMS, 0.4), clip=1.2
    )
    rows = rows_of(chunk, known._replace(logger=logger), "logged", 2)
    told = protocol("logged", slate=2)._replace(weighed=True)
    run = play(contender(FirstSeen(), rows, told), rows)
    values = []
    for t, slate in enumerate(shown_by(FirstSeen(), rows, 2)):
        weight = np.minimum(examination[:2] / examination.mean(), 1.2)
        values.append(weight @ chunk.clicks[t, slate])
    assert final(run, "pbm_ips") == pytest.approx(np.mean(values))
    assert final(run, "pbm_ips_se") == pytest.approx(np.std(values, ddof=1) / np.sqrt(ROUNDS))
    assert 0 < final(run, "pbm_ips_ess") <= 1
    assert final(run, "ubm_ips") > 0


def test_the_logged_slate_is_worth_its_logged_clicks() -> None:
    """It depends on what was logged, which weights by propensities must not: they would count the top clicks twice."""
    chunk, known = log(scores=True)
    logger = known.logger._replace(
        examination=0.5 ** np.arange(LENGTH), after=model().weights, attraction=np.ones(ITEMS)
    )
    rows = rows_of(chunk, known._replace(logger=logger), "logged", 2)
    told = protocol("logged", slate=2)._replace(weighed=True, shows_the_log=LTR.shows_the_log)
    run = play(contender(LTR(), rows, told), rows)
    clicks = chunk.clicks[:, :2].sum() / ROUNDS
    assert [final(run, name) for name in ("ctr_sum", "pbm_ips", "ubm_ips", "pbm_ips_ess")] == pytest.approx(
        [clicks] * 3 + [1]
    )


def test_similarity_is_the_mean_cosine_of_the_pairs() -> None:
    chunk, known = log()
    rows = rows_of(chunk, known, "logged", 3)
    run = play(contender(FirstSeen(), rows, protocol("logged", slate=3)._replace(similar=True)), rows)
    features = square(rows).features
    unit = features / np.linalg.norm(features, axis=2, keepdims=True)
    found = [
        np.mean([unit[t, a] @ unit[t, b] for a, b in itertools.combinations(slate, 2)])
        for t, slate in enumerate(shown_by(FirstSeen(), rows, 3))
    ]
    assert final(run, "similarity") == pytest.approx(np.mean(found))


def parsed(**told: object) -> scenario.Scenario:
    content = {"title": "t", "data": {"log": "x"}, "policies": [{"name": "random"}], "replay": told}
    return scenario.parse({"name": "test", **content}, "test.toml")


def test_cases_are_named_after_what_differs() -> None:
    assert [c.label for c in scenario.cases(parsed())] == [""]
    assert [c.label for c in scenario.cases(parsed(feedback=["bandit", "full"]))] == ["", ""]
    both = scenario.cases(parsed(feedback=["logged", "simulated"], slate=[3, 6]))
    assert [c.label for c in both] == ["logged K=3", "logged K=6", "simulated K=3", "simulated K=6"]
    assert [(c.feedback, c.slate) for c in both][2] == ("simulated", 3)


@pytest.mark.parametrize("slate", [0, [], [2, 2], [0, 1]])
def test_a_wrong_slate_is_told(slate: object) -> None:
    with pytest.raises(ConfigError, match="slate takes a size"):
        parsed(slate=slate)


def test_a_study_is_its_scenarios(tmp_path: Path) -> None:
    part = 'title = "p"\n[data]\nlog = "x"\n[[policies]]\nname = "random"\n'
    (tmp_path / "part.toml").write_text(part)
    told = f'title = "s"\nscenarios = ["{tmp_path / "part.toml"}"]\n[quick]\n"replay.seeds" = 2\n'
    (tmp_path / "whole.toml").write_text(told)
    found, parts = study.read(str(tmp_path / "whole.toml"))
    assert found is not None and [p.name for p in parts] == ["part"] and parts[0].replay.seeds is None
    quick, short = study.read(str(tmp_path / "whole.toml"), quick=True)
    assert quick is not None and (short[0].name, short[0].replay.seeds) == ("part-quick", 2)
    assert study.read(str(tmp_path / "part.toml"))[0] is None
    with pytest.raises(ConfigError, match="is a study of several scenarios"):
        scenario.read(str(tmp_path / "whole.toml"))
    with pytest.raises(ConfigError, match=r"without a \[quick\]"):
        study.read(str(tmp_path / "part.toml"), quick=True)
