"""The chances of all candidates below logged items: against those of every slate, compiled and in Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from lersbench.engine.below import chances_below
from lersbench.errors import ConfigError, RunError
from lersbench.kernels.ties import top_k
from lersbench.policy import Policy, Round, load
from tests.engine.test_chances import ITEMS, asked, every_slate
from tests.support import worlds


def below(policy: Policy, state: Any, slate: int) -> np.ndarray:
    """(slates, K, 4) for every slate of the four items."""
    rows, slates = every_slate(slate)
    spec, told = worlds.spec_of(rows, slate), worlds.protocol("replay", slate)
    found = chances_below(policy, state, spec, rows, np.random.default_rng(0), told)
    np.testing.assert_array_equal(np.diff(found.edges), slate * ITEMS)
    return found.chances.reshape(len(slates), slate, ITEMS)


def by_slates(policy: Policy, state: Any, slate: int) -> np.ndarray:
    """The same from the chances of all slates: of those that begin with the logged items and go on with a candidate."""
    rows, slates = every_slate(slate)
    whole, order = asked(policy, state, rows, slate).slates(), np.array(slates)
    out = np.zeros((len(slates), slate, ITEMS))
    for i, k in np.ndindex(len(slates), slate):
        begins = (order[:, :k] == order[i, :k]).all(axis=1)
        if whole[begins].sum() > 0:
            out[i, k] = np.bincount(order[begins, k], whole[begins], ITEMS) / whole[begins].sum()
    return out


@dataclass(frozen=True)
class Scored(Policy):
    """Sorts by fixed scores, in Python; equal ones by the key of the round."""

    by: tuple[float, ...]
    learns = False
    deterministic = True

    def init(self, spec: Any) -> None:
        return None

    def select(self, state: Any, rng: Any, round: Round, slate: np.ndarray) -> None:
        round.scores[:] = self.by
        top_k(round.scores, round.ties, slate)

    def update(self, *feedback: Any) -> None:
        pass


@pytest.mark.parametrize("slate", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ["random", "epsilon-greedy", "softmax", "popular"])
def test_they_are_those_of_all_slates(name: str, slate: int) -> None:
    policy = load(name)
    rows, _ = every_slate(slate)
    state = policy.init(worlds.spec_of(rows, slate))
    if hasattr(state, "mean"):
        state.mean[:] = 0.5, 0.5, 0.1, 0.4
    np.testing.assert_allclose(below(policy, state, slate), by_slates(policy, state, slate), atol=1e-12)


@pytest.mark.parametrize("scores", [(0.1, 0.4, 0.2, 0.3), (0.5, 0.5, 0.1, 0.5), (0.0, 0.0, 0.0, 0.0)])
def test_those_of_a_policy_in_python_follow_from_its_scores(scores: tuple[float, ...]) -> None:
    policy = Scored(scores)
    found = below(policy, None, 3)
    np.testing.assert_allclose(found, by_slates(policy, None, 3), atol=1e-12)
    highest = np.array(scores) == max(scores)
    np.testing.assert_array_equal(found[0, 0], highest / highest.sum())


@dataclass(frozen=True)
class Said(Scored):
    """Says the chance `half` of each candidate at the second place, and those of a random order elsewhere."""

    half: float = 0.5
    deterministic = False

    def chance(self, state: Any, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
        out[:] = [self.half if k == 1 else 1 / (ITEMS - k) for k in range(len(slate))]


def test_a_method_in_python_says_them_and_must_say_a_distribution() -> None:
    np.testing.assert_allclose(below(Said((0.0,) * 4, 1 / 3), None, 2), below(load("random"), None, 2))
    with pytest.raises(RunError, match=r"position 1 below what was logged in round 0 chances whose sum is 1\.5"):
        below(Said((0.0,) * 4), None, 2)
    with pytest.raises(RunError, match=r"position 0 .* a score is a finite number"):
        below(Scored((np.nan,) * 4), None, 2)


def test_draws_do_not_say_them() -> None:
    @dataclass(frozen=True)
    class Drawn(Scored):
        deterministic = False

    with pytest.raises(ConfigError, match=r"says no chances, and draws seldom .* Give it a `chance`.* or use rips"):
        below(Drawn((0.0,) * 4), None, 2)
