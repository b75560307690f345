"""The four metrics of policies that may stay silent: recommend ratio, accuracy, precision and recall."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from lersbench import metrics
from lersbench.bench import replays, scenario
from lersbench.engine.contender import Contender
from lersbench.engine.meter import RECOMMEND_AT
from lersbench.engine.rounds import Protocol
from lersbench.engine.rows import Rows, rows_of
from lersbench.figures import draw as draw_figures
from lersbench.kernels.jit import kernel
from lersbench.policy import KernelPolicy, Policy, Round, Spec, find
from lersbench.results import ranking
from lersbench.results import tables as result_tables
from tests.support import worlds
from tests.support.golden import NAMES as COMPILED

FOUR = ("recommend_ratio", "recommend_accuracy", "recommend_precision", "recommend_recall")


@kernel
def choose(state: np.ndarray, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    slate[0] = 1
    round.scores[0] = -100.0
    round.scores[1] = round.context[0]


@kernel
def learn(state: np.ndarray, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    state[0] += rewards[0]


@kernel
def wins(state: np.ndarray, rng: np.random.Generator, round: Round, candidate: int) -> bool:
    return candidate == 1


@dataclass(frozen=True)
class Shy(KernelPolicy):
    """Shows item 1, as surely as the context says, and recommends it where that is 0 or more."""

    silence: ClassVar[float] = 0.0
    kernels = (choose, learn, wins)

    def init(self, spec: Spec) -> Any:
        return np.zeros(1)


@dataclass(frozen=True)
class ShyInPython(Policy):
    """The same without kernels."""

    silence: ClassVar[float] = 0.0

    def init(self, spec: Spec) -> Any:
        return np.zeros(1)

    def select(self, state: Any, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        slate[0] = 1
        round.scores[:] = -100.0, round.context[0]

    def update(self, state: Any, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
        state[0] += rewards[0]


def compiled(rows: Rows, told: Protocol) -> Contender:
    return worlds.play(worlds.contender(Shy(), rows, told), rows)


def batched(rows: Rows, told: Protocol) -> Contender:
    return worlds.play(worlds.contender(Shy(), rows, told), rows, batched=True)


def plain(rows: Rows, told: Protocol) -> Contender:
    return worlds.play(worlds.contender(ShyInPython(), rows, told), rows)


Engine = Callable[[Rows, Protocol], Contender]
engines = pytest.mark.parametrize("engine", [compiled, batched, plain])


def shy_rows(scores: Any, liked: Any) -> Rows:
    """Rounds in which Shy is as sure as `scores` says of an item that pays `liked`; the other pays the opposite."""
    rewards = np.column_stack([1.0 - np.asarray(liked), liked])
    return rows_of(worlds.chunk(rewards, context=np.array(scores)[:, None]), np.zeros((2, 0)), "bandit", 1)


def four(made: Contender) -> np.ndarray:
    """Ratio, accuracy, precision and recall (checkpoints, 4)."""
    return made.meter.curve[:, [metrics.NAMES.index(name) for name in FOUR]]


@engines
def test_six_rounds_worked_by_hand(engine: Engine) -> None:
    """Recommended and liked; silent on a like; wrong, just at the threshold; wrong; silent twice, rightly."""
    rows = shy_rows([1.0, -1.0, 0.0, 2.0, -3.0, -0.1], [1, 1, 0, 0, 0, 0])
    made = engine(rows, worlds.protocol(silence=0.0))
    by_round: list[list[float]] = [  # read after each round
        [1, 1, 1, 1],
        [1 / 2, 1 / 2, 1, 1 / 2],
        [2 / 3, 1 / 3, 1 / 2, 1 / 2],
        [3 / 4, 1 / 4, 1 / 3, 1 / 2],
        [3 / 5, 2 / 5, 1 / 3, 1 / 2],
        [3 / 6, 3 / 6, 1 / 3, 1 / 2],
    ]
    np.testing.assert_allclose(four(made), by_round)
    assert worlds.final(made, "regret_published") == pytest.approx(2 / 6)


@engines
def test_one_right_recommendation_looks_perfect_and_recall_tells_that_it_is_not(engine: Engine) -> None:
    rows = shy_rows([-1.0, -1, 2, -1, -1, -1], [0, 0, 1, 1, 0, 1])
    made = engine(rows, worlds.protocol(silence=0.0))
    assert worlds.final(made, "regret_published") == 0
    assert worlds.final(made, "misses") == 1 / 2
    assert four(made)[-1].tolist() == pytest.approx([1 / 6, 4 / 6, 1, 1 / 3])


@engines
def test_the_four_are_those_of_a_confusion_matrix_and_hang_together(engine: Engine) -> None:
    rng = np.random.default_rng(4)
    scores, liked = rng.standard_normal(200), rng.random(200) < 0.3
    made = engine(shy_rows(scores, liked.astype(float)), worlds.protocol(silence=0.0, batch=7))
    recommended = scores >= 0
    right = recommended & liked
    naive = (
        recommended.mean(),
        (recommended == liked).mean(),
        right.sum() / recommended.sum(),
        right.sum() / liked.sum(),
    )
    np.testing.assert_allclose(four(made)[-1], naive)
    ratio, _, precision, recall = four(made)[3:].T  # the first points may have no like yet
    curve = dict(zip(metrics.NAMES, made.meter.curve[3:].T, strict=True))
    np.testing.assert_allclose(ratio * (1 - precision), curve["regret_published"])
    np.testing.assert_allclose(ratio * precision, recall * (1 - curve["misses"]))


@engines
def test_what_would_divide_by_zero_was_not_measured(engine: Engine) -> None:
    nan, told = math.nan, worlds.protocol(silence=0.0)
    for scores, liked, expected in (
        ([-1.0, -1, -2, -1], [1, 0, 0, 0], [0, 3 / 4, nan, 0]),  # never recommends
        ([1.0, -1, 1, 1], [0, 0, 0, 0], [3 / 4, 1 / 4, 0, nan]),  # nothing is liked
        ([-1.0, -1, -1, -1], [0, 0, 0, 0], [0, 1, nan, nan]),
        ([1.0, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]),
    ):
        np.testing.assert_array_equal(four(engine(shy_rows(scores, liked), told))[-1], expected)


@engines
def test_a_policy_that_always_recommends_has_none_of_them(engine: Engine) -> None:
    made = engine(shy_rows([1.0, -1, 2], [1, 0, 1]), worlds.protocol())
    assert np.isnan(four(made)).all()
    assert worlds.final(made, "regret_published") == pytest.approx(worlds.final(made, "misses")) == pytest.approx(1 / 3)


@engines
def test_under_rejection_replay_only_matching_rounds_are_judged_by_the_score_of_the_policy(engine: Engine) -> None:
    """Shy has a `wins` kernel, which would spare the scores: a policy that may stay silent is not asked it."""
    shown, clicks = np.array([1, 0, 1, 1, 0, 1]), np.array([1, 1, 0, 1, 0, 0])
    scores = np.array([1.0, 1, 1, -1, -1, -1])
    made = worlds.chunk(context=scores[:, None], slate=shown[:, None], clicks=clicks[:, None], n_items=2)
    rows = rows_of(made, np.zeros((2, 0)), "replay", 1)
    told = worlds.protocol("replay", silence=0.0)
    got = engine(rows, told)
    assert worlds.final(got, "matches") == 4
    assert four(got)[-1].tolist() == [1 / 2, 1 / 2, 1 / 2, 1 / 2]
    unmatched = engine(rows._replace(slate=np.zeros_like(rows.slate)), told)
    assert worlds.final(unmatched, "matches") == 0 and np.isnan(four(unmatched)).all()


def test_of_a_slate_the_first_item_is_judged() -> None:
    @dataclass(frozen=True)
    class Pair(ShyInPython):
        def select(self, state: Any, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
            slate[:] = 1, 0
            round.scores[:] = 50.0, round.context[0]  # the second may score higher

    rows = shy_rows([1.0, -1, 1, -1], [1, 1, 0, 0])
    made = worlds.play(worlds.contender(Pair(), rows, worlds.protocol(slate=2, silence=0.0)), rows)
    assert four(made)[-1].tolist() == [1 / 2, 1 / 2, 1 / 2, 1 / 2]


def test_a_run_shows_them_only_of_policies_that_may_stay_silent(tmp_path: Path) -> None:
    """Neither tables nor figures change where none does, and the short table stays as it was where one does."""
    assert all(find(name).silence == -math.inf for name in COMPILED)
    told = {
        "name": "small",
        "title": "Small",
        "data": {"dataset": "synthetic", "rounds": 60, "items": 4, "d": 2, "users": 9},
        "replay": {"seeds": 2, "checkpoints": 5},
        "leaderboard": "misses",
    }
    path = tmp_path / "shy.py"
    path.write_text(POLICY)
    boards, figures = [], []
    for extra in ([], [{"name": str(path)}]):
        chosen = scenario.parse({**told, "policies": [{"name": "random"}, *extra]}, "test")
        run = replays.bench(chosen, tmp_path / "results", threads=1, say=lambda _: None)
        results = result_tables.load(run.folder)
        values = results.summary[results.summary["metric"].isin(FOUR)]
        assert set(values["policy"]) == ({"shy"} if extra else set())
        assert set(FOUR) & set(results.metrics) == ({*FOUR} if extra else set())
        boards.append(list(ranking.table(results)))
        figures.append(draw_figures.groups_of(results))
    assert boards[0] == boards[1] and figures[0] == figures[1]
    assert not set(FOUR) & {*boards[0], *(name for group in figures[0] for name in group)}
    ranked = ranking.board(results, "recommend_accuracy")
    assert list(ranked.frame["policy"]) == ["shy"]
    assert "recommend_accuracy has no value for random, which this ranking leaves out." in ranked.warnings
    assert not any("leaves out" in warning for warning in ranking.board(results).warnings)
    asked = ranking.table(results, metrics=list(FOUR)).set_index("policy")
    assert asked.loc["random", list(FOUR)].isna().all()
    assert asked.loc["shy", "recommend_ratio"] == pytest.approx(1 / 2)


POLICY = """
from dataclasses import dataclass

from lersbench.policy import Policy


@dataclass(frozen=True)
class EveryOther(Policy):
    silence = 0.0

    def init(self, spec):
        return None

    def select(self, state, rng, round, slate):
        slate[0] = 0
        round.scores[0] = 1.0 if round.t % 2 == 0 else -1.0

    def update(self, state, round, slate, rewards, seen):
        pass
"""


def test_each_is_registered_as_a_percentage_with_its_source() -> None:
    told = [metrics.METRICS[name] for name in FOUR]
    assert metrics.NAMES[RECOMMEND_AT : RECOMMEND_AT + 4] == FOUR
    assert [metric.better for metric in told] == ["neither", "higher", "higher", "higher"]
    assert all(metric.unit == "%" and "livestream study, section 4.8" in metric.source for metric in told)
