"""The chances of logged slates: against enumeration, against draws, compiled and in Python."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from lersbench.engine.chances import CHANCE, DETERMINISTIC, DRAWS, Chances, chances, how
from lersbench.engine.rows import Rows, rows_of
from lersbench.errors import ConfigError, RunError
from lersbench.kernels.jit import kernel
from lersbench.policy import KernelPolicy, Policy, Round, Spec, load, top_k
from tests.support import worlds

ITEMS = 4


def every_slate(slate: int, repeats: int = 1) -> tuple[Rows, list[tuple[int, ...]]]:
    """A log that has each slate of `slate` of the four items once (`repeats` times), candidates as they are."""
    slates = [*itertools.permutations(range(ITEMS), slate)] * repeats
    n = len(slates)
    made = worlds.chunk(
        np.zeros((n, ITEMS)), context=np.ones((n, 1)), slate=np.array(slates), clicks=np.zeros((n, slate))
    )
    return rows_of(made, np.zeros((ITEMS, 0)), "replay", slate), slates


def asked(policy: Policy, state: Any, rows: Rows, slate: int, **more: Any) -> Chances:
    told = worlds.protocol("replay", slate)
    return chances(policy, state, worlds.spec_of(rows, slate), rows, np.random.default_rng(0), told, **more)


def by_hand_of_greedy(epsilon: float, means: tuple[float, ...], slate: tuple[int, ...]) -> float:
    """P(slate) of epsilon-greedy: all orders of equal means are equally likely."""
    uniform = 1.0 / np.prod([ITEMS - k for k in range(len(slate))])
    orders = [o for o in itertools.permutations(range(ITEMS)) if all(np.diff([means[i] for i in o]) <= 0)]
    return epsilon * uniform + (1 - epsilon) * sum(o[: len(slate)] == slate for o in orders) / len(orders)


@pytest.mark.parametrize("means", [(0.1, 0.4, 0.2, 0.3), (0.5, 0.5, 0.1, 0.5), (0.0, 0.0, 0.0, 0.0)])
@pytest.mark.parametrize("slate", [1, 2, 3])
def test_epsilon_greedy_is_a_mixture_of_a_uniform_and_a_sorted_list(means: tuple[float, ...], slate: int) -> None:
    policy = load("epsilon-greedy", epsilon=0.3)
    rows, slates = every_slate(slate)
    state = policy.init(worlds.spec_of(rows, slate))
    state.mean[:] = means
    said = asked(policy, state, rows, slate, everything=True)
    np.testing.assert_allclose(said.slates(), [by_hand_of_greedy(0.3, means, s) for s in slates], rtol=1e-12)
    assert said.slates().sum() == pytest.approx(1)
    tops = [sum(by_hand_of_greedy(0.3, means, s) for s in slates if s[0] == c) for c in range(ITEMS)]
    np.testing.assert_allclose(said.offered.reshape(-1, ITEMS), np.tile(tops, (len(slates), 1)), rtol=1e-12)
    assert (said.how, said.draws) == (CHANCE, 0) and not said.error().any()


def test_random_chooses_every_slate_equally_often() -> None:
    rows, _ = every_slate(3)
    said = asked(load("random"), load("random").init(worlds.spec_of(rows, 3)), rows, 3, draws=50)
    np.testing.assert_allclose(said.logged.reshape(-1, 3), np.tile([1 / 4, 1 / 3, 1 / 2], (24, 1)))
    placed = said.placed.reshape(-1, 3)
    np.testing.assert_allclose(placed[:, 0], 1 / 4)
    assert placed[:, 1:].mean() == pytest.approx(1 / 4, abs=0.02)  # 2,400 draws of 0, 1/3 or 1/2


@pytest.mark.parametrize("means", [(1.0, 4.0, 2.0, 3.0), (2.0, 2.0, 1.0, 2.0)])
def test_a_deterministic_policy_has_its_ties_shared(means: tuple[float, ...]) -> None:
    policy = load("popular")
    rows, slates = every_slate(2)
    state = policy.init(worlds.spec_of(rows, 2))
    state.clicks[:], state.shown[:] = means, 10
    said = asked(policy, state, rows, 2, everything=True)
    orders = [o for o in itertools.permutations(range(ITEMS)) if all(np.diff([means[i] for i in o]) <= 0)]
    share = [np.mean([o[:2] == s for o in orders]) for s in slates]
    np.testing.assert_allclose(said.slates(), share)
    placed = [[np.mean([o[k] == s[k] for o in orders]) for k in range(2)] for s in slates]
    np.testing.assert_allclose(said.placed.reshape(-1, 2), placed)
    tops = [np.mean([o[0] == c for o in orders]) for c in range(ITEMS)]
    np.testing.assert_allclose(said.offered.reshape(-1, ITEMS), np.tile(tops, (len(slates), 1)))
    assert said.how == how(policy) == DETERMINISTIC


@dataclass(frozen=True)
class Slow(Policy):
    """Another policy without kernels, so that everything is done in Python."""

    of: Policy

    def __post_init__(self) -> None:
        object.__setattr__(self, "deterministic", self.of.deterministic)
        if isinstance(self.of, KernelPolicy) and type(self.of).chance_kernel is not None:
            object.__setattr__(self, "chance", type(self.of).chance_kernel)

    def init(self, spec: Spec) -> Any:
        return self.of.init(spec)

    def select(self, state: Any, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        self.of.select(state, rng, round, slate)

    def update(self, *arguments: Any) -> None:
        self.of.update(*arguments)


@pytest.mark.parametrize("name", ["epsilon-greedy", "popular", "thompson"])
@pytest.mark.parametrize("slate", [1, 3])
def test_python_and_compiled_loops_say_the_same(name: str, slate: int) -> None:
    policy = load(name)
    rows, _ = every_slate(slate, repeats=2)
    state = policy.init(worlds.spec_of(rows, slate))
    state[0][:] += [3, 1, 2, 1]
    compiled = asked(policy, state, rows, slate, everything=True, draws=7)
    python = asked(Slow(policy), state, rows, slate, everything=True, draws=7)
    for ours, theirs in zip(compiled, python, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", ["softmax", "pbm-ucb", "rba-exp3"])
def test_the_chances_of_all_slates_are_a_distribution(name: str) -> None:
    policy, (rows, slates) = load(name), every_slate(2)
    state = policy.init(worlds.spec_of(rows, 2))
    taught = np.random.default_rng(3)
    for _ in range(20):
        round = Round(0, -1, np.ones(1), np.arange(ITEMS), np.zeros((ITEMS, 0)), 0, np.zeros(ITEMS), np.zeros(2),
                      np.zeros(2, np.int64))  # fmt: skip
        slate = np.zeros(2, np.int64)
        policy.select(state, taught, round, slate)
        policy.update(state, round, slate, (taught.random(2) < 0.4).astype(float), np.ones(2, np.bool_))
    said = asked(policy, state, rows, 2, everything=True, draws=300)
    q, below = said.slates(), said.logged.reshape(-1, 2)[:, 1]
    assert q.sum() == pytest.approx(1)
    for c in range(ITEMS):
        of_c = [i for i, slate in enumerate(slates) if slate[0] == c]
        assert below[of_c].sum() == pytest.approx(1)
        assert q[of_c].sum() == pytest.approx(said.offered[c])
        at_the_end = [i for i, slate in enumerate(slates) if slate[1] == c]
        placed = said.placed.reshape(-1, 2)[at_the_end, 1]  # whatever stands above: the same for all of these rows
        assert np.abs(placed - q[at_the_end].sum()).max() < 5 * np.sqrt(0.25 / 300)
    np.testing.assert_allclose(said.placed[::2], said.logged[::2])


@dataclass(frozen=True)
class Astray(Policy):
    """Shows what is not on offer (2026)."""

    def select(self, state: Any, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        slate[:] = 99


def test_a_choice_that_is_not_on_offer_is_an_error() -> None:
    rows, _ = every_slate(1)
    for everything in (True, False):
        with pytest.raises(RunError, match=r"what is no candidate.*\[99\].*round 0"):
            asked(Astray(), None, rows, 1, everything=everything)


def test_frequencies_of_draws_are_unbiased_down_the_slate() -> None:
    """The product of the frequencies is that of the whole slate, whatever happened on the way."""
    policy = load("thompson")
    rows, _ = every_slate(2)
    state = policy.init(worlds.spec_of(rows, 2))
    state.a[:] = [1, 2, 3, 4]
    draws = 4000
    said = asked(policy, state, rows, 2, draws=draws)
    q = said.slates()
    assert said.how == DRAWS and said.draws == draws
    assert abs(q.sum() - 1) < 5 * np.sqrt(len(q) / draws)
    own = np.random.default_rng(9).beta(state.a, state.b, (20000, ITEMS))
    best = np.argsort(-own, axis=1)[:, :2]
    theirs = [(best == s).all(axis=1).mean() for s in itertools.permutations(range(ITEMS), 2)]
    assert (np.abs(q - theirs) < 5 * np.sqrt(said.error() ** 2 + np.array(theirs) / 20000) + 1e-3).all()
    assert np.isnan(asked(policy, state, rows, 2).error()).all()


def test_draws_of_tied_scores_are_draws_of_the_ties_as_well() -> None:
    """A policy that says nothing, and whose scores are always equal, is uniform: not the one order of the round."""

    @dataclass(frozen=True)
    class Flat(Policy):
        """Equal scores, 2026."""

        def init(self, spec: Spec) -> None:
            return None

        def select(self, state: Any, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
            top_k(round.scores, round.ties, slate)

    rows, _ = every_slate(1)
    said = asked(Flat(), None, rows, 1, draws=400)
    assert np.abs(said.logged - 0.25).max() < 5 * np.sqrt(0.25 * 0.75 / 400)


def test_rows_can_be_chosen_and_their_places_told() -> None:
    rows, _ = every_slate(2)
    policy = load("thompson")
    state = policy.init(worlds.spec_of(rows, 2))
    index = np.array([3, 7, 11])
    some = asked(policy, state, rows, 2, index=index, everything=True)
    assert some.logged.shape == (6,) and some.offered.shape == (12,) and some.top.tolist() == [0, 2, 4, 6]
    exact = load("epsilon-greedy")
    state = exact.init(worlds.spec_of(rows, 2))
    state.mean[:] = [0.3, 0.1, 0.2, 0.1]
    everyone = asked(exact, state, rows, 2)
    some = asked(exact, state, rows, 2, index=index, at=index + 100, placed=False)
    np.testing.assert_array_equal(some.slates(), everyone.slates()[index])
    assert not some.placed.size


def test_what_shows_the_log_and_longer_slates_are_refused() -> None:
    rows, _ = every_slate(2)
    with pytest.raises(ConfigError, match="shows_the_log"):
        asked(load("ltr"), load("ltr").init(worlds.spec_of(rows, 2)), rows, 2)
    policy = load("random")
    with pytest.raises(ConfigError, match="The slate of round 0 of the log has 2 positions"):
        asked(policy, policy.init(worlds.spec_of(rows, 1)), rows, 1)
    with pytest.raises(ConfigError, match="draws = 0"):
        asked(policy, policy.init(worlds.spec_of(rows, 2)), rows, 2, draws=0)


@dataclass(frozen=True)
class Wrong(Policy):
    """A policy with a chance that is none, 2026."""

    says: float

    def chance(self, state: Any, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
        out[:] = self.says


@pytest.mark.parametrize("says", [-0.1, 1.1, float("nan")])
def test_a_chance_that_is_none_is_an_error(says: float) -> None:
    rows, _ = every_slate(1)
    with pytest.raises(RunError, match="round 0 the chance"):
        asked(Wrong(says), None, rows, 1)


def test_chances_that_do_not_sum_to_one_are_an_error() -> None:
    rows, _ = every_slate(1)
    with pytest.raises(RunError, match=r"whose sum is 1\.6"):
        asked(Wrong(0.4), None, rows, 1, everything=True)


@kernel
def _scribble(state: np.ndarray, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
    round.candidates[0] = 3
    out[:] = 0.25


@dataclass(frozen=True)
class Scribbler(KernelPolicy):
    """A kernel from outside that writes to the log, 2026."""

    kernels = (_scribble, _scribble)
    chance_kernel = _scribble


def test_a_kernel_that_writes_to_the_log_is_found_out() -> None:
    rows, _ = every_slate(1)
    kept = rows.candidates.copy()
    with pytest.raises(RunError, match="wrote to candidates"):
        asked(Scribbler(), np.zeros(1), rows, 1)
    np.testing.assert_array_equal(rows.candidates, kept)


def test_composed_features_are_those_of_the_round() -> None:
    """The scores of a linear policy see features that are made of context and item."""
    n, rng = 30, np.random.default_rng(2)
    items = rng.normal(size=(ITEMS, 2))
    made = worlds.chunk(
        np.zeros((n, ITEMS)), context=rng.normal(size=(n, 1)), slate=rng.integers(0, ITEMS, (n, 1)),
        clicks=np.zeros((n, 1)),
    )  # fmt: skip
    rows = rows_of(made, items, "replay", 1)
    policy, told = load("linucb-k", alpha=0.0), worlds.protocol("replay", interactions=(1, 2))
    spec = replace(worlds.spec_of(rows, 1), m=6, items=items)
    state = policy.init(spec)
    state.ridge.theta[:6] = theta = rng.normal(size=6)
    said = chances(policy, state, spec, rows, rng, told)
    joint = np.einsum("nu,ci->ncui", np.c_[np.ones(n), made.context], np.c_[np.ones(ITEMS), items]).reshape(n, 4, 6)
    best = (joint @ theta).argmax(axis=1)
    np.testing.assert_array_equal(said.logged, best == made.slate[:, 0])
    assert 0 < said.logged.sum() < n
