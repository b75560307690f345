"""Rewards of any kind in the loop: what is looked up, counted, scaled for the policy, and liked."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pytest

from lersbench.engine.loop import batched
from lersbench.engine.rows import background_of, rows_of
from lersbench.log.chunk import Chunk
from lersbench.log.reward import Reward
from lersbench.policy import KernelPolicy, Policy, Round, Spec, kernel, load
from tests.support import worlds

REVENUE = Reward((("revenue", 1.0),), -20.0, 180.0, "EUR")
MIXED = Reward((("click", 1.0), ("revenue", -0.5)), -90.0, 11.0, "points")
N, WIDE, K = 40, 4, 2


def chunk(ragged: bool = False) -> Chunk:
    """Lists of four items, all shown, or of one to four; what they brought lies in a tenth of the declared range."""
    rng = np.random.default_rng(1)
    slate = np.stack([rng.permutation(WIDE) for _ in range(N)])
    clicks, revenue = rng.integers(0, 2, (N, WIDE)).astype(float), rng.uniform(-5, 15, (N, WIDE)).round(2)
    made = worlds.chunk(clicks=clicks, slate=slate, n_items=WIDE, expected=np.full((N, WIDE), 0.25))
    if not ragged:
        return made._replace(outcomes={"revenue": revenue})
    lengths = rng.integers(1, WIDE + 1, N)
    there = np.arange(WIDE) < lengths[:, None]
    edges = np.append(0, np.cumsum(lengths))
    places = np.concatenate([rng.permutation(length) for length in lengths])
    return made._replace(
        candidates=np.concatenate([np.arange(length) for length in lengths]),
        features=np.zeros((0, 0)),
        rewards=np.zeros(0),
        expected=np.full(edges[-1], 0.25),
        slate=places,
        clicks=clicks[there],
        propensities=np.repeat(1.0 / lengths, lengths),
        attraction=np.zeros(0),
        scores=np.zeros(0),
        first=edges,
        top=edges,
        outcomes={"revenue": revenue[there]},
    )


class Notes(dict[str, list[Any]]):
    """A state that keeps what it was told."""


@dataclass(frozen=True)
class Listener(Policy):
    """Shows the first candidates, and keeps the rewards it is given (2024)."""

    def init(self, spec: Spec) -> Notes:
        return Notes(items=[], rewards=[])

    def select(self, state: Any, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        slate[:] = np.arange(len(slate))

    def update(self, state: Any, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
        state["items"].append(round.candidates[slate].tolist())
        state["rewards"].append(rewards.tolist())


@kernel
def show(state: np.ndarray, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    for k in range(slate.shape[0]):
        slate[k] = k


@kernel
def hear(state: np.ndarray, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    for k in range(slate.shape[0]):
        state[round.t, k] = rewards[k]


@dataclass(frozen=True)
class Compiled(KernelPolicy):
    """The same, compiled (2024)."""

    kernels: ClassVar[tuple[Any, ...]] = (show, hear)

    def init(self, spec: Spec) -> np.ndarray:
        return np.full((spec.rounds, spec.slate), np.nan)


def paid(made: Chunk, reward: Reward) -> list[dict[int, float]]:
    """What each item of each round paid, by the definition."""
    clicks, revenue = np.ravel(made.clicks), np.ravel(made.outcomes["revenue"])
    value = revenue if reward is REVENUE else clicks - 0.5 * revenue
    edges = np.arange(N + 1) * WIDE if made.top is None else made.top
    places = np.ravel(made.slate)
    return [dict(zip(places[a:b].tolist(), value[a:b].tolist(), strict=True)) for a, b in pairwise(edges)]


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("reward", [REVENUE, MIXED])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("mix", [None, 7])
def test_a_policy_learns_the_reward_or_its_place_in_the_declared_range_and_is_scored_by_the_reward(
    ragged: bool, reward: Reward, scaled: bool, mix: int | None
) -> None:
    made = chunk(ragged)
    rows = rows_of(made, background_of(np.zeros((WIDE, 0)), WIDE), "logged", K, mix=mix, reward=reward)
    span = reward.high - reward.low
    told = {"clicked": False, **({"low": reward.low, "span": span} if scaled else {})}
    heard = worlds.contender(Listener(), rows, worlds.protocol("logged", K, ranked=True, **told))
    worlds.play(heard, rows)
    due = paid(made, reward)
    earned = [[due[t][item] for item in items] for t, items in enumerate(heard.state["items"])]
    for t, rewards in enumerate(heard.state["rewards"]):
        learned = [(value - reward.low) / span if scaled else value for value in earned[t]]
        assert rewards == pytest.approx(learned, abs=1e-12)
    values = {name: worlds.final(heard, name) for name in ("reward_sum", "reward", "regret", "regret_published")}
    total, shown = sum(map(sum, earned)), sum(map(len, earned))
    assert values["reward_sum"] == pytest.approx(total / N) and values["reward"] == pytest.approx(total / shown)
    best = sum(sum(sorted(one.values(), reverse=True)[:K]) for one in due)
    assert values["regret"] == pytest.approx(best - total)
    assert values["regret_published"] == pytest.approx(np.mean([first <= 0 for first, *_ in earned]))
    for name in ("ctr", "ctr_sum", "ctr_set", "misses", "expected_ctr_sum"):
        assert np.isnan(worlds.final(heard, name))

    compiled = worlds.contender(Compiled(), rows, worlds.protocol("logged", K, ranked=True, **told))
    worlds.play(compiled, rows)
    for t, rewards in enumerate(heard.state["rewards"]):
        assert compiled.state[t, : len(rewards)].tolist() == rewards
    np.testing.assert_array_equal(compiled.meter.curve, heard.meter.curve)


def test_what_costs_is_not_liked() -> None:
    made = chunk()
    rows = rows_of(made, background_of(np.zeros((WIDE, 0)), WIDE), "logged", K, reward=REVENUE)
    due = paid(made, REVENUE)
    assert np.diff(rows.liked_from).tolist() == [sum(value > 0 for value in one.values()) for one in due]
    by_round = pairwise(rows.liked_from)
    for t, (a, b) in enumerate(by_round):
        items = rows.candidates[rows.first[t] + rows.liked[a:b]]
        assert all(due[t][item] > 0 for item in items.tolist())
    assert (np.ravel(made.outcomes["revenue"]) < 0).any()


def test_rejection_replay_pays_what_the_logged_slate_brought() -> None:
    made = chunk()
    rows = rows_of(made, background_of(np.zeros((WIDE, 0)), WIDE), "replay", WIDE, reward=REVENUE)
    told = worlds.protocol("replay", WIDE, clicked=False, low=-20.0, span=200.0)
    for engine in ("compiled", "batched"):
        heard = worlds.contender(Compiled(), rows, told)
        if engine == "batched":
            heard.drive = batched(heard.policy)
        worlds.play(heard, rows)
        matches = [t for t in range(N) if made.slate[t].tolist() == list(range(WIDE))]
        assert matches
        value = made.outcomes["revenue"][matches]
        assert worlds.final(heard, "reward_sum") == pytest.approx(value.sum() / len(matches))
        np.testing.assert_allclose(heard.state[: len(matches)], (value + 20) / 200)


def test_clicks_are_counted_as_ever() -> None:
    made = chunk()
    known = background_of(np.zeros((WIDE, 0)), WIDE)
    rows = rows_of(made, known, "logged", K)
    heard = worlds.contender(load("random"), rows, worlds.protocol("logged", K, ranked=True))
    worlds.play(heard, rows)
    assert np.isnan(worlds.final(heard, "reward_sum")) and np.isnan(worlds.final(heard, "reward"))
    assert worlds.final(heard, "misses") == 1 - worlds.final(heard, "ctr")
    assert rows.value[0] == 0.25  # what the world expects of clicks
    assert (
        rows_of(made, known, "logged", K, reward=REVENUE).value[0]
        == rows_of(made, known, "logged", K, reward=REVENUE).rewards[0]
    )
