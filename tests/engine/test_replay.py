"""The loop: compiled, batched and textbook runs are one run; what is revealed, when, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

from lersbench.engine.meter import PAID, ROUNDS
from lersbench.engine.rounds import compose
from lersbench.engine.rows import Rows, rows_of
from lersbench.errors import RunError
from lersbench.kernels.jit import kernel
from lersbench.kernels.ties import scramble, top_k
from lersbench.policy import KernelPolicy, Policy, Round, Spec, load
from tests.support import worlds


class Memory(NamedTuple):
    mean: np.ndarray  # (n_items,) running mean reward
    count: np.ndarray  # (n_items,)
    at: np.ndarray  # (1,) sum of round.t at updates, to see the clock


@kernel
def choose(state: Memory, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    for c in range(round.candidates.shape[0]):
        round.scores[c] = state.mean[round.candidates[c]] + 0.3 * rng.random()
    top_k(round.scores, round.ties, slate)


@kernel
def learn(state: Memory, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    for k in range(slate.shape[0]):
        item = round.candidates[slate[k]]
        state.count[item] += 1
        state.mean[item] += (rewards[k] - state.mean[item]) / state.count[item]
    state.at[0] += round.t


@dataclass(frozen=True)
class Noisy(KernelPolicy):
    """Running mean plus noise: uses the generator, so its stream is compared too."""

    kernels = (choose, learn)

    def init(self, spec: Spec) -> Memory:
        return Memory(np.zeros(spec.n_items), np.zeros(spec.n_items), np.zeros(1))


def rows_for(feedback: str, slate: int, n: int = 400) -> Rows:
    context, rewards = worlds.clicks_of_a_linear_world(n, 8, 3)
    rng = np.random.default_rng(1)
    shown = np.argsort(rng.random((n, 8)), axis=1)[:, : slate if feedback == "replay" else 5]
    clicks = np.take_along_axis(rewards, shown, axis=1)
    made = worlds.chunk(rewards, context=context, slate=shown, clicks=clicks, user=rng.integers(0, 50, n))
    return rows_of(made, np.zeros((8, 0)), feedback, slate)


@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize(
    "feedback,slate", [("bandit", 1), ("bandit", 3), ("full", 2), ("logged", 2), ("replay", 1), ("replay", 2)]
)
def test_compiled_batched_and_textbook_runs_are_one_run(feedback: str, slate: int, batch: int) -> None:
    rows = rows_for(feedback, slate)
    told = worlds.protocol(feedback, slate, batch, ranked=feedback != "replay")
    compiled = worlds.play(worlds.contender(Noisy(), rows, told), rows)
    batched = worlds.play(worlds.contender(Noisy(), rows, told), rows, batched=True)
    state, slates, total = worlds.textbook_run(Noisy(), rows, told)
    for ours in (compiled, batched):
        for mine, theirs in zip(ours.state, state, strict=True):
            np.testing.assert_array_equal(mine, theirs)
        assert ours.meter.sums[ROUNDS] == len(slates) > 0
        assert ours.meter.sums[PAID] == total
    np.testing.assert_array_equal(compiled.meter.curve, batched.meter.curve)
    np.testing.assert_array_equal(compiled.meter.shown, batched.meter.shown)


def test_a_chunked_run_is_the_same_run() -> None:
    rows = rows_for("bandit", 2)
    told = worlds.protocol("bandit", 2, batch=10)
    whole = worlds.play(worlds.contender(Noisy(), rows, told), rows)
    parts = worlds.contender(Noisy(), rows, told)
    for start in range(0, 400, 50):
        index = np.arange(start, start + 50)
        parts.play(rows, index, index)
    parts.finish(400)
    np.testing.assert_array_equal(whole.meter.curve, parts.meter.curve)
    np.testing.assert_array_equal(whole.state.mean, parts.state.mean)


def test_feedback_of_a_batch_arrives_together() -> None:
    rows = rows_for("bandit", 1, n=20)
    made = worlds.play(worlds.contender(Noisy(), rows, worlds.protocol(batch=5)), rows)
    assert made.state.at[0] == 5 * (0 + 5 + 10 + 15)  # every round of a batch knows what came before the batch


def test_bandit_feedback_reveals_the_shown_and_full_feedback_everything() -> None:
    rows = rows_for("bandit", 2)
    shown = worlds.play(worlds.contender(Noisy(), rows, worlds.protocol("bandit", 2)), rows)
    everything = worlds.play(worlds.contender(Noisy(), rows, worlds.protocol("full", 2)), rows)
    assert shown.state.count.sum() == 2 * 400
    assert everything.state.count.tolist() == [400] * 8
    np.testing.assert_allclose(everything.state.mean, worlds.square(rows).rewards.mean(axis=0))


def test_no_peeking() -> None:
    """Flipping every reward that was not revealed changes nothing the policy did or learned."""
    rows = rows_for("bandit", 2)
    told = worlds.protocol("bandit", 2)
    _, slates, _ = worlds.textbook_run(Noisy(), rows, told)
    rewards = worlds.square(rows).rewards
    flipped = 1.0 - rewards
    np.put_along_axis(flipped, np.array(slates), np.take_along_axis(rewards, np.array(slates), axis=1), axis=1)
    flipped = flipped.reshape(-1)
    first = worlds.play(worlds.contender(Noisy(), rows, told), rows)
    second = worlds.play(
        worlds.contender(Noisy(), rows._replace(rewards=flipped), told), rows._replace(rewards=flipped)
    )
    np.testing.assert_array_equal(first.state.mean, second.state.mean)
    np.testing.assert_array_equal(first.meter.shown, second.meter.shown)


def test_under_logged_feedback_the_whole_slate_pays_what_the_log_says() -> None:
    """With K as long as the logged slate every policy must come to the same CTR_sum."""
    rows = rows_for("logged", 5)
    for name in ("random", "ucb1"):
        made = worlds.play(worlds.contender(load(name), rows, worlds.protocol("logged", 5)), rows)
        assert worlds.final(made, "ctr_sum") == pytest.approx(rows.rewards.sum() / 400)
        assert worlds.final(made, "regret") == pytest.approx(0)


def test_rejection_replay_is_unbiased_on_a_uniform_log_and_tilted_on_another() -> None:
    """A fixed policy in a world of two contexts: where logging is not uniform the tilted value comes out."""
    rng = np.random.default_rng(3)
    n = 60_000
    side = rng.integers(0, 2, n)
    reward = np.where(side == 0, 0.2, 0.7)  # of the item the policy always chooses
    fixed = Always(0)
    for share, expected in (((0.5, 0.5), 0.45), ((0.8, 0.2), (0.8 * 0.2 + 0.2 * 0.7))):
        logged = np.where(rng.random(n) < np.array(share)[side], 0, 1)
        clicks = (rng.random(n) < reward) & (logged == 0)
        made = worlds.chunk(context=side[:, None], slate=logged[:, None], clicks=clicks[:, None], n_items=2)
        rows = rows_of(made, np.zeros((2, 0)), "replay", 1)
        got = worlds.play(worlds.contender(fixed, rows, worlds.protocol("replay")), rows)
        assert worlds.final(got, "ctr") == pytest.approx(expected, abs=0.012)
        assert worlds.final(got, "matches") == (logged == 0).sum()


@dataclass(frozen=True)
class Always(Policy):
    """Shows the same slate in every round, right or wrong."""

    first: int
    second: int = 1
    score: float = 0.0

    def init(self, spec: Spec) -> Any:
        return None

    def select(self, state: Any, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        slate[:] = [self.first, self.second][: len(slate)]
        round.scores[:] = self.score

    def update(self, state: Any, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
        assert seen.all()


@pytest.mark.parametrize(
    "policy,slate,complaint",
    [
        (Always(8), 1, "not in 0..C-1"),
        (Always(-1), 1, "not in 0..C-1"),
        (Always(3, 3), 2, "the same candidate twice"),
        (Always(3, score=float("nan")), 1, "not a number.* 0 / 0"),
        (Always(3, score=float("inf")), 1, "an infinite score.* such as 1e300"),
        (Always(3, score=float("-inf")), 1, "an infinite score"),
    ],
)
def test_a_policy_that_breaks_its_contract_is_named(policy: Policy, slate: int, complaint: str) -> None:
    rows = rows_for("bandit", slate)
    with pytest.raises(RunError, match=complaint) as caught:
        worlds.play(worlds.contender(policy, rows, worlds.protocol("bandit", slate)), rows)
    assert "Always" in str(caught.value) and "round 0" in str(caught.value)


def test_interactions_are_products_of_context_and_item_features() -> None:
    context, items = np.array([2.0, 3.0, 9.0]), np.array([[5.0, 7.0], [1.0, 0.0]])
    out = np.empty((2, 6))
    compose(context, items, np.array([1, 0]), 2, 1, out)
    assert out.tolist() == [[1, 1, 2, 2, 3, 3], [1, 5, 2, 10, 3, 15]]


def test_ties_are_uniform_and_independent_of_the_file_order() -> None:
    slate = np.zeros(2, np.int64)
    first = np.zeros(6)
    for t in range(6000):
        top_k(np.array([0.0, 1, 1, 1, 0.5, 1]), scramble(7, t), slate)
        first[slate[0]] += 1
        assert slate[1] in (1, 2, 3, 5) and slate[0] != slate[1]
    np.testing.assert_allclose(first[[1, 2, 3, 5]] / 6000, 0.25, atol=0.025)
    assert first[[0, 4]].sum() == 0
