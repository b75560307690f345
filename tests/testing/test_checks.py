"""The checks find what they are there to find, and `new-policy` writes a file that passes them."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from lersbench.cli import new_policy
from lersbench.errors import ConfigError
from lersbench.kernels.jit import kernel
from lersbench.kernels.ties import top_k
from lersbench.policy import KernelPolicy, Policy, Round, Spec, load
from lersbench.testing import checks, engines


def failed(policy: Any, **params: Any) -> set[str]:
    return {result.name for result in checks.check(policy, **params) if not result.ok}


@dataclass(frozen=True)
class Mean(Policy):
    """A sound policy in plain Python: the running mean, optimistic at first. Made up in 2024."""

    start: float = 1.0  # mean of an item that was never shown

    def init(self, spec: Spec) -> dict[str, np.ndarray]:
        return {"plays": np.zeros(spec.n_items), "sum": np.zeros(spec.n_items)}

    def select(self, state: Any, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        plays, total = state["plays"][round.candidates], state["sum"][round.candidates]
        round.scores[:] = np.where(plays == 0, self.start, total / np.maximum(plays, 1))
        top_k(round.scores, round.ties, slate)

    def update(self, state: Any, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
        np.add.at(state["plays"], round.candidates[slate[seen]], 1)
        np.add.at(state["sum"], round.candidates[slate[seen]], rewards[seen])


def test_a_sound_policy_passes() -> None:
    assert failed(Mean) == set()
    assert failed(Mean, start=0.5) == set()
    assert failed(Mean(0.25)) == set()


@dataclass(frozen=True)
class Twice(Mean):
    """Shows its best item in every position (2024)."""

    def select(self, state: Any, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        super().select(state, rng, round, slate)
        slate[:] = slate[0]


@dataclass(frozen=True)
class ItemsForCandidates(Mean):
    """Fills the slate with items in place of indices into the candidates (2024)."""

    def select(self, state: Any, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        super().select(state, rng, round, slate)
        slate[:] = round.candidates[slate]


@dataclass(frozen=True)
class NoNumber(Mean):
    """Divides by zero plays (2024)."""

    def select(self, state: Any, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        with np.errstate(invalid="ignore", divide="ignore"):
            round.scores[:] = (state["sum"] / state["plays"])[round.candidates]
        top_k(np.nan_to_num(round.scores), round.ties, slate)


@dataclass(frozen=True)
class IndexTies(Mean):
    """Equal scores fall to the lowest index (2026)."""

    def select(self, state: Any, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        super().select(state, rng, round, slate)
        slate[:] = np.argsort(-round.scores, kind="stable")[: slate.size]


@dataclass(frozen=True)
class NumberTies(Mean):
    """Equal scores fall to the highest number of an item (2026)."""

    def select(self, state: Any, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        super().select(state, rng, round, slate)
        slate[:] = np.lexsort((-round.candidates, -round.scores))[: slate.size]


@dataclass(frozen=True)
class SureOfTooMuch(Mean):
    """States a propensity of 2 (2024)."""

    def select(self, state: Any, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        super().select(state, rng, round, slate)
        round.propensities[:] = 2.0


FRESH = itertools.count()


@dataclass(frozen=True)
class OtherSeed(Mean):
    """Draws from a generator of its own (2024)."""

    def select(self, state: Any, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        super().select(state, rng, round, slate)
        slate[:] = np.random.default_rng(next(FRESH)).permutation(round.scores.size)[: slate.size]


@dataclass(frozen=True)
class OnTheObject(Mean):
    """Keeps what it learned on the policy object (2024)."""

    def init(self, spec: Spec) -> Any:
        if not hasattr(self, "memory"):
            object.__setattr__(self, "memory", (np.zeros(99), np.zeros(99)))
        return dict(zip(("plays", "sum"), vars(self)["memory"], strict=True))


@dataclass(frozen=True)
class BelievesTheUnseen(Mean):
    """Learns from positions that were not revealed (2024)."""

    def update(self, state: Any, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
        super().update(state, round, slate, rewards, np.ones_like(seen))


@dataclass(frozen=True)
class Scribbles(Mean):
    """Centres the rewards in the array it was given (2024)."""

    def update(self, state: Any, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
        super().update(state, round, slate, rewards, seen)
        rewards -= 0.5


@dataclass(frozen=True)
class Worst(Mean):
    """Ranks upside down (2024)."""

    def select(self, state: Any, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        super().select(state, rng, round, slate)
        round.scores *= -1
        top_k(round.scores, round.ties, slate)


@dataclass(frozen=True)
class Rooted(Mean):
    """Ranks by the root of the mean, which a loss does not have (2024)."""

    def select(self, state: Any, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        super().select(state, rng, round, slate)
        with np.errstate(invalid="ignore"):
            round.scores[:] = np.sqrt(round.scores)
        top_k(round.scores, round.ties, slate)


@dataclass(frozen=True)
class Careless(Mean):
    """Takes a loss for a gain (2024)."""

    def update(self, state: Any, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
        super().update(state, round, slate, np.where(rewards < 0, -rewards, rewards / 8), seen)


class Thawing(Policy):
    """Takes its verbs from the sound policy, but not its frozen fields."""

    init, select, update = Mean.init, Mean.select, Mean.update


@dataclass
class Thawed(Thawing):
    """A dataclass that can be changed (2024)."""

    start: float = 1.0


@dataclass(frozen=True)
class Sourceless(Mean):
    """The running mean, nobody knows from where."""


@dataclass(frozen=True)
class Raises(Mean):
    """Fails when it should learn (2024)."""

    def update(self, state: Any, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
        raise KeyError("no such item")


@dataclass(frozen=True)
class Says(Mean):
    """The mean, and the chances that follow from it, with an error of this kind (2026)."""

    error: str = ""

    def chance(self, state: Any, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
        own = np.zeros(len(round.notes), np.int64)
        self.select(state, np.random.default_rng(), round, own)
        scores = round.scores.copy()
        for k, candidate in enumerate(slate):
            best = scores == scores.max()
            out[k] = best[candidate] / best.sum()
            if self.error == "half":
                out[k] *= 0.5
            elif self.error == "ties":  # the first one of equals, for certain
                out[k] = candidate == best.argmax()
            elif self.error == "uniform":
                out[k] = 1 / (len(scores) - k)
            elif self.error == "length" and len(slate) == 1:  # of what it is asked, instead of what there is to fill
                out[k] = 1 / len(scores)
            scores[candidate] = -np.inf
        if self.error == "learns":
            state["sum"][round.candidates[slate]] += 1


@dataclass(frozen=True)
class NoisyButSure(Mean):
    """Calls itself deterministic and draws (2026)."""

    deterministic = True

    def select(self, state: Any, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        super().select(state, rng, round, slate)
        rng.shuffle(slate)


@dataclass(frozen=True)
class OtherScores(Mean):
    """Calls itself deterministic, and shows the worst (2026)."""

    deterministic = True

    def select(self, state: Any, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        super().select(state, rng, round, slate)
        top_k(-round.scores, round.ties, slate)


@pytest.mark.parametrize("error", ["half", "ties", "uniform", "length", "learns"])
def test_wrong_chances_are_found_out(error: str) -> None:
    assert checks.check_chance.__name__ in failed(Says, error=error)


def test_right_chances_pass() -> None:
    assert failed(Says) == set()


@pytest.mark.parametrize("kind", [NoisyButSure, OtherScores])
def test_who_is_not_as_deterministic_as_it_says_is_found_out(kind: type[Policy]) -> None:
    assert checks.check_chance.__name__ in failed(kind)


@pytest.mark.parametrize(
    ("policy", "found"),
    [
        (Twice, "check_slates"),
        (ItemsForCandidates, "check_slates"),
        (NoNumber, "check_slates"),
        (SureOfTooMuch, "check_slates"),
        (IndexTies, "check_order"),
        (NumberTies, "check_order"),
        (OtherSeed, "check_same_seed"),
        (OnTheObject, "check_state_of_its_own"),
        (OnTheObject, "check_same_seed"),
        (BelievesTheUnseen, "check_unseen"),
        (Scribbles, "check_unseen"),
        (Worst, "check_learns"),
        (Rooted, "check_other_rewards"),
        (Careless, "check_other_rewards"),
        (Thawed, "check_hyper_parameters"),
        (Sourceless, "check_source"),
        (Raises, "check_same_seed"),
    ],
)
def test_a_broken_policy_is_found_out(policy: type[Policy], found: str) -> None:
    assert not checks.result_of(getattr(checks, found), engines.Bench(policy())).ok


def test_a_policy_may_say_that_rewards_lie_in_the_unit_interval() -> None:
    @dataclass(frozen=True)
    class Said(Rooted):
        """The root of the mean of rewards in [0, 1] (2024)."""

        unit_rewards = True

    assert failed(Rooted) == {"check_other_rewards"} and failed(Said) == set()


def test_a_small_fault_is_one_finding() -> None:
    assert failed(Sourceless) == {"check_source"}
    assert failed(BelievesTheUnseen) == {"check_unseen", "check_clock"}  # what is not known yet is not seen either
    assert failed(IndexTies) == failed(NumberTies) == {"check_order"}


def test_the_problem_is_told_with_its_place() -> None:
    text = checks.as_text("raises", checks.check(Raises))
    assert "KeyError: 'no such item'" in text and "test_checks.py, line" in text and "FAILED" in text
    assert "raises: " in text and text.count("\n") > len(checks.CHECKS)
    assert {"name", "title", "problem", "ok"} == set(checks.check(Mean)[0].as_dict())


class Drawn(NamedTuple):
    """Nothing is learned."""

    rounds: np.ndarray  # (1,)


@kernel
def select(state: Drawn, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    for c in range(round.scores.shape[0]):
        round.scores[c] = np.random.random()  # noqa: NPY002  the compiler's global generator, not the run's
    top_k(round.scores, round.ties, slate)


@kernel
def update(state: Drawn, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    state.rounds[0] += 1


@kernel
def wins(state: Drawn, rng: np.random.Generator, round: Round, candidate: int) -> bool:
    return rng.random() < 2.0


@dataclass(frozen=True)
class GlobalDraws(KernelPolicy):
    """Draws where nobody seeded, and says yes to everything (2024)."""

    learns = False
    kernels = (select, update, wins)

    def init(self, spec: Spec) -> Drawn:
        return Drawn(np.zeros(1))


def test_kernels_that_disagree_are_found_out() -> None:
    assert failed(GlobalDraws) >= {"check_same_seed", "check_engines", "check_wins"}


def test_leaves_reach_into_any_state() -> None:
    class Holder:
        def __init__(self) -> None:
            self.inner = {"a": [1.0, np.arange(3)]}

    found = engines.leaves((Holder(), "word", None))
    assert list(found) == ["state.0.inner.a.0", "state.0.inner.a.1", "state.1", "state.2"]


def test_new_policy_writes_a_file_that_passes(tmp_path: Path) -> None:
    path = new_policy.write("my-policy", tmp_path / "made")
    assert path == tmp_path / "made" / "my_policy.py"
    assert repr(load(str(path), alpha=0.5)) == "MyPolicy(alpha=0.5)"
    assert failed(str(path)) == set()
    with pytest.raises(ConfigError, match=r"my_policy\.py exists already"):
        new_policy.write("my_policy", tmp_path / "made")


@pytest.mark.parametrize(
    "name", ["", "My-Policy", "3arms", "a b", "../up", "class", "my--policy", "a.py", "ucb1", "linucb_k"]
)
def test_new_policy_refuses_a_bad_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError):
        new_policy.write(name, tmp_path)
    assert not list(tmp_path.iterdir())


@dataclass(frozen=True)
class NumpyDraws(Mean):
    """Breaks ties by NumPy's generator of the whole process (2026)."""

    def select(self, state: Any, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        round.scores[:] = np.random.random(round.scores.size)  # noqa: NPY002
        top_k(round.scores, round.ties, slate)


@dataclass(frozen=True)
class PythonDraws(Mean):
    """Breaks ties by Python's generator of the whole process (2026)."""

    def select(self, state: Any, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        round.scores[:] = [random.random() for _ in round.scores]
        top_k(round.scores, round.ties, slate)


@pytest.mark.parametrize(
    ("kind", "named"),
    [(NumpyDraws, "NumPy (np.random"), (PythonDraws, "Python (random"), (GlobalDraws, "compiled code (np.random")],
)
def test_a_global_generator_is_named_as_the_likely_cause(kind: type[Policy], named: str) -> None:
    (problem,) = [r.problem for r in checks.check(kind) if r.name == "check_same_seed"]
    assert "Two runs of one seed: in round 0" in problem and f"global generator of {named}" in problem
    assert "draw from the `rng` that select is given" in problem
