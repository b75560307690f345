"""The table of regimes: complete, in the words of the log's schema, and what the engine makes of each regime."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest

import lersbench
from lersbench.bench import demands, scenario
from lersbench.bench.session import Clock, Session
from lersbench.clicks.model import ClickModel
from lersbench.engine.rows import background_of, rows_of
from lersbench.errors import ConfigError
from lersbench.feedback import NAMES, REGIMES, TITLES, USUAL, Regime, row_of, same_rounds
from lersbench.log import Log, write
from lersbench.log.schema import COLUMNS
from tests.support import worlds

ROOT = Path(lersbench.__file__).parent
N, ITEMS, SHOWN = 40, 5, 3  # rounds, items on offer in each, items of the logged slate
FACTS = {  # which regimes have which fact: results rest on it
    "reveals_all": {"full"},
    "listed": {"logged", "simulated"},
    "simulated": {"simulated"},
    "replayed": {"replay"},
    "ranked": {"bandit", "full", "logged"},
    "weighed": {"logged"},
}
EVERY = pytest.mark.parametrize("regime", REGIMES.values(), ids=list(REGIMES))


def scenario_of(feedback: Any, **more: Any) -> scenario.Scenario:
    told = {"name": "t", "title": "T", "data": {"log": "nowhere"}, "policies": [{"name": "random"}]}
    return scenario.parse({**told, "replay": {"feedback": feedback, **more}}, "test")


def columns(seed: int = 0) -> dict[str, np.ndarray]:
    """Rewards of all items, and a logged slate with its clicks."""
    rng = np.random.default_rng(seed)
    rewards = rng.integers(0, 2, (N, ITEMS)).astype(float)
    slate = rng.permuted(np.tile(np.arange(ITEMS), (N, 1)), axis=1)[:, :SHOWN]
    return {"rewards": rewards, "slate": slate, "clicks": np.take_along_axis(rewards, slate, axis=1)}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    part = {**columns(), "propensities": np.full((N, SHOWN), 1 / ITEMS)}
    folder = tmp_path_factory.mktemp("log") / "log"
    return Log(write(folder, [part], name="some", items=ITEMS, propensities="uniform").path)


def test_a_scenario_takes_the_regimes_of_the_table_and_no_other() -> None:
    assert get_args(scenario.Feedback) == NAMES and set(NAMES) == set(REGIMES)
    assert [scenario_of(name).replay.feedback for name in NAMES] == list(NAMES)
    assert scenario.Replay().feedback == USUAL
    with pytest.raises(ConfigError, match="only bandit, full, logged, replay, simulated; did you mean 'bandit'"):
        scenario_of("bandits")


@EVERY
def test_every_row_is_whole(regime: Regime) -> None:
    assert regime.learns and regime.brief and regime.needs
    assert bool(regime.title) == bool(regime.truth) == regime.listed == (regime.name in TITLES)
    assert len(set(regime.columns)) == len(regime.columns) and set(regime.columns) <= set(COLUMNS)
    assert set(regime.needs) <= set(demands.MISSING_COLUMN), "what is missing has a message"


@pytest.mark.parametrize("field", ["learns", "brief", "title", "truth"])
def test_no_two_regimes_have_the_same_words(field: str) -> None:
    words = list(filter(None, (getattr(row, field) for row in REGIMES.values())))
    assert len(set(words)) == len(words)


@pytest.mark.parametrize("fact", FACTS)
def test_the_facts_of_the_table(fact: str) -> None:
    assert {row.name for row in REGIMES.values() if getattr(row, fact)} == FACTS[fact]


def test_regimes_that_differ_in_what_is_learned_alone_score_the_same_rounds() -> None:
    pairs = {(a, b) for a in REGIMES for b in REGIMES if a != b and same_rounds(a, b)}
    assert pairs == {("bandit", "full"), ("full", "bandit")}
    assert all(same_rounds(name, name) for name in REGIMES)
    assert not same_rounds("of a later version", "bandit") and not same_rounds("bandit", "of a later version")


def test_of_a_regime_that_is_not_known_nothing_is_claimed() -> None:
    row = row_of("of a later version")
    assert row == Regime(name="of a later version") and row.words == "" and not any(getattr(row, f) for f in FACTS)
    assert all(row_of(name) is REGIMES[name] for name in REGIMES)


@EVERY
def test_the_engine_lays_a_log_out_as_the_row_says(regime: Regime) -> None:
    given = columns()
    known = background_of(np.zeros((ITEMS, 0)), ITEMS)._replace(uniform=True)
    rows = rows_of(worlds.chunk(**given), known, regime.name, 2, likes=True)
    seen = worlds.square(rows)
    assert np.array_equal(seen.candidates, given["slate"] if regime.listed else np.arange(ITEMS)[None])
    logged = regime.listed or regime.replayed
    assert np.array_equal(seen.rewards, given["clicks"] if logged else given["rewards"])
    assert rows.liked.size == (rows.rewards.sum() if regime.ranked else 0)
    assert (rows.value.size == 0) == regime.replayed
    assert bool(rows.logger.placed.size) == regime.weighed


@EVERY
def test_a_session_fills_its_protocol_from_the_row(regime: Regime, log: Log) -> None:
    chosen = scenario_of(regime.name, slate=2, batch=4)
    (case,) = scenario.cases(chosen)
    known = background_of(log.items, ITEMS)._replace(uniform=True, model=ClickModel(np.ones((1, 2)), np.ones(1), 1.0))
    session = Session(chosen, log, case, known, 1, None, Clock())
    quiet = SimpleNamespace(needs=(), silence=-1.0, shows_the_log=False)
    protocol = session.protocol_for(0, quiet)
    assert (protocol.slate, protocol.batch, protocol.silence) == (2, 4, -1.0)
    assert (protocol.users, protocol.items) == (-1, -1)
    assert protocol.replay == regime.replayed and protocol.full == regime.reveals_all
    assert protocol.ranked == regime.ranked and protocol.simulated == regime.simulated
    assert protocol.weighed == regime.weighed and protocol.truth == regime.listed
    assert protocol.regret == (not regime.replayed and not regime.listed)
    assert session.spec.n_candidates == (SHOWN if regime.listed else ITEMS)
    unranked = Session(scenario_of(regime.name, ranking=False), log, case, known, 1, None, Clock())
    assert not unranked.protocol_for(0, quiet).ranked


@EVERY
def test_a_log_without_a_needed_column_is_refused(regime: Regime, log: Log) -> None:
    chosen = scenario_of(regime.name)
    (case,) = scenario.cases(chosen)
    for column in regime.needs:
        kept = tuple(name for name in (*log.info.columns, "attraction") if name != column)
        info = log.info.__class__(**{**vars(log.info), "columns": kept, "click_model": {"family": "pbm"}})
        told = next(demands._feedback(chosen.replay, info, case))
        assert told.startswith(f"feedback = '{regime.name}' ") and "log 'some'" in told


# Where regimes are told -----------------------------------------------------------------------------------------------
# The example of `engine.service` names one, and an option of some data sets, "feedback", has values of its own.
ELSEWHERE = ("feedback.py", "engine/service.py", "datasets/")
AMBIGUOUS = {"full", "logged", "replay"}  # words with other meanings too: a context, propensities, a section


def spelled(tree: ast.AST) -> Iterator[str]:
    """The places of a file that ask for a regime by its name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in REGIMES.keys() - AMBIGUOUS:
            yield f"line {node.lineno}: {node.value!r}"
        elif isinstance(node, ast.Compare) and re.search(r"feedback|regime|kind|protocol", ast.unparse(node)):
            words = {part.value for part in ast.walk(node) if isinstance(part, ast.Constant)}
            yield from (f"line {node.lineno}: {ast.unparse(node)}" for _ in words & AMBIGUOUS)
        elif isinstance(node, ast.keyword) and node.arg == "feedback" and isinstance(node.value, ast.Constant):
            yield f"line {node.value.lineno}: feedback={node.value.value!r}"


@pytest.mark.parametrize(
    "text",
    [
        'kinds == ["bandit"]',
        'case.feedback in ("logged", "simulated")',
        '"replay" in regimes(chosen)',
        'case.protocol != "logged"',
        'play(world, feedback="full")',
        'WORDS = {"bandit": "what was shown"}',
    ],
)
def test_a_regime_that_is_spelled_is_found(text: str) -> None:
    assert list(spelled(ast.parse(text)))


def test_no_other_module_spells_a_regime() -> None:
    paths = {path.relative_to(ROOT).as_posix(): path for path in ROOT.rglob("*.py")}
    found = {
        name: told
        for name, path in paths.items()
        if not name.startswith(ELSEWHERE) and (told := list(spelled(ast.parse(path.read_text()))))
    }
    assert not found
