"""Learners on the log of another policy: every log of three rows, enumerated, and the replay that is known already."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

from lersbench.engine.learning import Accepted, Learner, Rejection, constant, uniform
from lersbench.engine.rows import Rows, rows_of
from lersbench.errors import ConfigError, DataError
from lersbench.kernels.jit import kernel
from lersbench.policy import KernelPolicy, Policy, Round, Spec, load
from tests.support import worlds

P, RATE = (0.8, 0.2), (0.3, 0.6)  # how often either arm is logged, and clicked
ONLINE = (3 / 8, 381 / 800, 7539 / 16000)  # by hand: the value of the three first rounds on line
SEED = 7


class Preferred(NamedTuple):
    arm: np.ndarray  # (1,) int64


@kernel
def _select(state: Preferred, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    other = rng.random() < 0.25
    slate[0] = 1 - state.arm[0] if other else state.arm[0]
    round.scores[slate[0]] = 1.0


@kernel
def _update(state: Preferred, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    state.arm[0] = slate[0] if rewards[0] > 0 else 1 - slate[0]


@kernel
def _chance(state: Preferred, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
    out[0] = 0.75 if slate[0] == state.arm[0] else 0.25


@dataclass(frozen=True)
class Switcher(KernelPolicy):
    """Shows its preferred arm with probability 3/4; prefers what was clicked last, else the other one (2026)."""

    kernels = (_select, _update)
    chance_kernel = _chance

    def init(self, spec: Spec) -> Preferred:
        return Preferred(np.zeros(1, np.int64))


@dataclass(frozen=True)
class SlowSwitcher(Policy):
    """The same without kernels (2026)."""

    def init(self, spec: Spec) -> Preferred:
        return Preferred(np.zeros(1, np.int64))

    def select(self, state: Any, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        _select(state, rng, round, slate)

    def update(self, state: Any, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
        _update(state, round, slate, rewards, seen)

    def chance(self, state: Any, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
        _chance(state, round, slate, out)


def laid_out(shown: Any, clicks: Any, wide: int = 2, mix: int | None = None) -> Rows:
    """Rows with one logged item, or some, each."""
    slate, paid = np.array(shown), np.array(clicks, float)
    n = len(slate)
    slate, paid = slate.reshape(n, -1), paid.reshape(n, -1)
    made = worlds.chunk(np.zeros((n, wide)), context=np.ones((n, 1)), slate=slate, clicks=paid)
    return rows_of(made, np.zeros((wide, 0)), "replay", slate.shape[1], mix=mix)


def every_log() -> Iterator[tuple[float, Rows, np.ndarray, np.ndarray]]:
    """Every log of three rows: its probability, its rows, the propensities and the clicks."""
    for shown in itertools.product((0, 1), repeat=3):
        for clicks in itertools.product((0, 1), repeat=3):
            likely = [P[a] * (RATE[a] if c else 1 - RATE[a]) for a, c in zip(shown, clicks, strict=True)]
            yield float(np.prod(likely)), laid_out(shown, clicks), np.array(P)[list(shown)], np.array(clicks, float)


def learner(kind: Any, policy: Policy, rows: Rows, slate: int = 1, **more: Any) -> Any:
    told = worlds.protocol("replay", slate)
    return kind(policy, worlds.spec_of(rows, slate), told, np.random.default_rng(1), **more)


@pytest.mark.parametrize("policy", [Switcher(), SlowSwitcher()])
def test_progressive_validation_is_unbiased_for_the_policies_along_its_path(policy: Policy) -> None:
    total = np.zeros(3)
    for likely, rows, p, clicks in every_log():
        said = learner(Learner, policy, rows).ask_and_learn(rows, p)
        total += likely * said.logged / p * clicks
    np.testing.assert_allclose(total, [3 / 8, 0.477, 0.477], rtol=1e-12)


def places(seed: int) -> tuple[int, int]:
    """A place in the log whose number is almost 0, and one whose is almost 1."""
    key = Rejection(Switcher(), Spec(2, 2, 1), worlds.protocol("replay"), np.random.default_rng(0), 2.0, seed)._key
    numbers = np.array([uniform(key, at) for at in range(4000)])
    assert numbers.min() < 0.01 and numbers.max() > 0.999
    return int(numbers.argmin()), int(numbers.argmax())


@pytest.mark.parametrize("policy", [Switcher(), SlowSwitcher()])
def test_rejection_has_the_law_of_an_online_run_however_many_rows_it_accepts(policy: Policy) -> None:
    """All logs and all decisions of three rows, weighed by their probability: N is Binomial(3, 4/15), and given any N
    the mean reward of round t is that of round t on line."""
    most, (low, high) = 15 / 4, places(SEED)
    of_n, paid = np.zeros(4), np.zeros((4, 3))
    for likely, rows, p, clicks in every_log():
        for taken in itertools.product((True, False), repeat=3):
            at = np.where(taken, low, high)
            run = learner(Rejection, policy, rows, most=most, seed=SEED)
            accepted, said = run.play(rows, p, at=at)
            rate = said.logged / p / most
            chance = likely * np.prod(np.where(taken, rate, 1 - rate))
            if chance < 1e-12:
                continue  # a row that is always accepted is not rejected
            assert accepted.tolist() == list(taken)
            n = run.result().rounds
            of_n[n] += chance
            paid[n, :n] += chance * clicks[accepted]
    np.testing.assert_allclose(of_n, [1331 / 3375, 484 / 1125, 176 / 1125, 64 / 3375], rtol=1e-12)
    for n in range(1, 4):
        np.testing.assert_allclose(paid[n, :n] / of_n[n], ONLINE[:n], rtol=1e-12)


@dataclass(frozen=True)
class Coin(Policy):
    """Either arm with probability 1/2, learning nothing (2026)."""

    learns = False

    def init(self, spec: Spec) -> None:
        return None

    def chance(self, state: Any, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
        out[:] = 0.5

    def update(self, *arguments: Any) -> None:
        pass


def test_a_coin_on_a_log_of_four_to_one() -> None:
    """p = (.8, .2), pi = (.5, .5), M = 5/2: arm 0 is accepted once in four times, arm 1 always; the rate is 2/5."""
    rng = np.random.default_rng(5)
    shown = (rng.random(8000) < 0.2).astype(int)
    rows = laid_out(shown, np.zeros(8000))
    run = learner(Rejection, Coin(), rows, most=5 / 2, seed=SEED)
    accepted, said = run.play(rows, np.array(P)[shown])
    np.testing.assert_allclose(said.logged / np.array(P)[shown] / 2.5, np.where(shown == 0, 1 / 4, 1))
    assert accepted[shown == 1].all()
    assert accepted[shown == 0].mean() == pytest.approx(1 / 4, abs=4 * np.sqrt(3 / 16 / 6400))
    done = run.result()
    assert done.expected == 3200 and abs(done.z) < 3 and done.rounds == accepted.sum()
    assert done.z == pytest.approx((done.rounds - 3200) / np.sqrt(8000 * 0.4 * 0.6))


def test_wrong_propensities_show_in_the_number_of_rows() -> None:
    shown = (np.random.default_rng(5).random(4000) < 0.2).astype(int)
    rows = laid_out(shown, np.zeros(4000))
    run = learner(Rejection, Coin(), rows, most=5 / 2, seed=SEED)
    run.play(rows, np.where(shown, 0.35, 0.65))
    assert abs(run.result().z) > 5


@pytest.mark.parametrize(
    ("name", "slate"), [("linucb", 1), ("popular", 1), ("popular", 2), ("thompson", 2), ("rba-ucb1", 2), ("exp3m", 1)]
)
@pytest.mark.parametrize("mix", [None, 3])
def test_on_a_uniform_log_it_is_the_usual_replay(name: str, slate: int, mix: int | None) -> None:
    """A policy that chooses for itself, on a log whose slates are all equally likely: choice for choice."""
    n, wide = 600, 4
    rng = np.random.default_rng(2)
    shown = np.argsort(rng.random((n, wide)), axis=1)[:, :slate]
    clicks = (rng.random((n, slate)) < 0.2 + 0.15 * shown).astype(float)
    rows = laid_out(shown, clicks, wide, mix)
    usual = worlds.play(worlds.contender(load(name), rows, worlds.protocol("replay", slate), seed=1), rows)
    slates = 4.0 if slate == 1 else 12.0
    run = learner(Rejection, load(name), rows, slate, most=constant(None, slates=slates), seed=SEED)
    half = n // 2
    first = run.play(rows, np.full(half, 1 / slates), np.arange(half))[0]
    second = run.play(rows, np.full(half, 1 / slates), np.arange(half, n))[0]
    accepted = np.append(first, second)
    np.testing.assert_array_equal(np.bincount(shown[accepted].ravel(), minlength=wide), usual.meter.shown)
    for mine, theirs in zip(run.state, usual.state, strict=True):
        if isinstance(mine, np.ndarray):
            np.testing.assert_array_equal(mine, theirs)
    done = run.result()
    assert done.rounds == accepted.sum() > 0 and done.rows == n
    paid = clicks[accepted].sum(axis=1)
    assert done.paid == pytest.approx(paid.mean())
    assert done.error == pytest.approx(paid.std(ddof=1) / np.sqrt(len(paid)))


def test_a_weight_above_the_constant_is_refused_with_its_row() -> None:
    rows = laid_out([0, 0, 1], [1, 1, 0])
    run = learner(Rejection, Switcher(), rows, most=3.0, seed=SEED)
    with pytest.raises(ConfigError, match=r"Round 2 of the log has the weight 3\.75 .*above max_weight = 3: set max"):
        run.play(rows, np.array([0.8, 0.8, 0.2 / 3]))


@pytest.mark.parametrize("p", [0.0, -1.0, 1.5, float("nan")])
def test_a_propensity_that_is_none_is_refused_with_its_row(p: float) -> None:
    rows = laid_out([0, 1, 1], [1, 1, 0])
    for kind, more in ((Rejection, {"most": 4.0, "seed": 1}), (Learner, {})):
        made = learner(kind, Switcher(), rows, **more)
        with pytest.raises(DataError, match="Round 1 of the log, position 0: the propensity is"):
            (made.play if kind is Rejection else made.learn)(rows, np.array([0.8, p, 0.2]))


def test_the_constant_comes_from_the_design_of_the_log() -> None:
    assert constant(25.0) == constant(25.0, slates=80.0) == 25.0
    assert constant(None, slates=80.0) == 80.0
    assert constant(None, floor=0.02) == 50.0
    with pytest.raises(ConfigError, match="max_weight is missing"):
        constant(None)
    for wrong in (0.5, float("inf"), float("nan")):
        with pytest.raises(ConfigError, match="finite number of at least 1"):
            constant(wrong)


def test_rejection_shares_its_noise_between_learners() -> None:
    """Two learners that are equally likely to show each row accept the same rows; another seed, others."""
    shown = np.random.default_rng(3).integers(0, 2, 500)
    rows, p = laid_out(shown, np.zeros(500)), np.array(P)[shown]
    runs = [learner(Rejection, Coin(), rows, most=3.0, seed=seed).play(rows, p)[0] for seed in (SEED, SEED, SEED + 1)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any()


@pytest.mark.parametrize("name", ["epsilon-greedy", "popular", "thompson", "softmax"])
def test_a_frozen_policy_has_learned_from_every_row_before_the_cut(name: str) -> None:
    """Against a plain loop over the logged rows."""
    n, wide = 200, 4
    rng = np.random.default_rng(4)
    shown = np.argsort(rng.random((n, wide)), axis=1)[:, :2]
    clicks = (rng.random((n, 2)) < 0.4).astype(float)
    rows, policy = laid_out(shown, clicks, wide), load(name)
    made = learner(Learner, policy, rows, 2)
    early, late = np.arange(150), np.arange(150, n)
    made.learn(rows, np.full(300, 0.25), early)
    state = policy.init(worlds.spec_of(rows, 2))
    for row in early:
        round = Round(
            row, -1, np.ones(1), np.arange(wide), np.zeros((wide, 0)), 0, np.zeros(wide), np.full(2, 0.25),
            np.zeros(2, np.int64),
        )  # fmt: skip
        policy.update(state, round, shown[row], clicks[row], np.ones(2, np.bool_))
    for mine, theirs in zip(made.state, state, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    said, again = made.ask(rows, late, draws=20), made.ask(rows, late, draws=20)
    assert said.slates().shape == (50,) and (said.how == "draws" or np.array_equal(said.logged, again.logged))
    assert made.rounds == 150


def test_what_is_learned_is_scaled_and_what_is_counted_is_not() -> None:
    rows = laid_out([0, 1, 1], [30.0, 10.0, 20.0])
    told = worlds.protocol("replay", 1, low=10.0, span=20.0)
    made = Learner(load("popular"), worlds.spec_of(rows), told, np.random.default_rng(0))
    made.learn(rows, np.full(3, 0.5))
    assert made.state.clicks.tolist() == [1.0, 0.5]
    run = Rejection(load("popular"), worlds.spec_of(rows), told, np.random.default_rng(0), 2.0, SEED)
    accepted, _ = run.play(rows, np.full(3, 0.5))
    assert run.result().paid == pytest.approx(np.array([30.0, 10.0, 20.0])[accepted].mean())


def test_learners_of_their_own_choices_alone_are_refused_and_can_be_rejected() -> None:
    rows = laid_out([0, 1, 1], [1, 1, 0])
    for name in ("exp3", "rba-exp3", "rba-ucb1"):
        with pytest.raises(ConfigError, match="learns_from_log"):
            learner(Learner, load(name), rows)
        learner(Rejection, load(name), rows, most=2.0, seed=1).play(rows, np.full(3, 0.5))
    with pytest.raises(ConfigError, match="shows_the_log"):
        learner(Learner, load("ltr"), rows)


def test_the_number_of_rows_of_a_sure_log_is_known() -> None:
    assert Accepted(5, 5, 1.0, 0.0, 0.0).z == 0.0
    assert Accepted(4, 5, 1.0, 0.0, 0.0).z == -np.inf


def test_doubly_robust_along_the_path_of_a_learner() -> None:
    """With constant acceptance the mean of sum_a pi q + w (r - q) over all rows is unbiased for the mean value of the
    policy held at each: enumerated for a model that is wrong."""
    most, (low, high), q = 15 / 4, places(SEED), np.array([0.9, 0.1])
    total, truth = 0.0, 0.0
    for likely, rows, p, clicks in every_log():
        for taken in itertools.product((True, False), repeat=3):
            run = learner(Rejection, Switcher(), rows, most=most, seed=SEED, everything=True)
            _, said = run.play(rows, p, at=np.where(taken, low, high))
            w = said.logged / p
            chance = likely * np.prod(np.where(taken, w / most, 1 - w / most))
            offered = said.offered.reshape(3, 2)
            total += chance * np.mean(offered @ q + w * (clicks - q[rows.slate]))
            truth += chance * np.mean(offered @ RATE)
    assert total == pytest.approx(truth, rel=1e-12) and total > 0.3
