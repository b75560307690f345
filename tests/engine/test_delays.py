"""Feedback that comes when it is known, by the clock of the log: hand-worked times, and the plainest possible loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from lersbench.engine import contender, loop, service
from lersbench.engine.contender import Contender
from lersbench.engine.delays import waiting_at_most
from lersbench.engine.play import play
from lersbench.engine.rounds import Protocol
from lersbench.engine.rows import Rows, rows_of
from lersbench.kernels.indirect import Service
from lersbench.kernels.ties import scramble
from lersbench.policy import Policy, Round, Spec, load
from tests.support import worlds

ITEMS = 6


@dataclass(frozen=True)
class Diary(Policy):
    """Shows the first candidates, and writes down what it is told before which round."""

    def init(self, spec: Spec) -> list[Any]:
        return []

    def select(self, state: list[Any], rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        slate[:] = np.arange(len(slate))
        round.notes[:] = round.user
        state.append(("round", round.user, round.t))

    def update(self, state: list[Any], round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
        assert set(round.notes) == {round.user}, "the round's own notes"
        assert np.isnan(rewards[~seen]).all(), "what is not known yet is not there"
        state.append((round.user, [(int(k), float(rewards[k])) for k in np.flatnonzero(seen)]))


def delayed(rows: Rows, **more: Any) -> Protocol:
    return worlds.protocol(**{"delayed": True, **more})


def run(policy: Policy, rows: Rows, told: Protocol, batched: bool = False, cuts: int = 1, seed: int = 0) -> Contender:
    n = len(rows.time)
    last = np.full(n, -1)
    if rows.known.size:
        edges = rows.top if told.replay else rows.first
        last = np.maximum.reduceat(rows.known, edges[:-1])
    last = np.maximum(last, rows.time + told.delay)
    spec = worlds.spec_of(rows, told.slate)
    waiting = waiting_at_most(rows.time, last)
    made = Contender(policy, spec, told, np.random.default_rng(seed), np.array([n]), waiting=waiting)
    if batched:
        made.drive = loop.batched(policy, True)
    return play(made, rows, step=-(-n // cuts))


def small(known: list[list[int]], time: list[int], rewards: list[list[float]]) -> Rows:
    made = worlds.chunk(np.array(rewards), user=np.arange(len(time)))
    made = made._replace(time=np.array(time), known=np.array(known))
    return rows_of(made, np.zeros((len(rewards[0]), 0)), "bandit", 2)


def test_hand_worked_times() -> None:
    """Two positions; round 0 at time 0 is known at 5 and 20, round 1 at 10 at once, round 2 at 20 never in time."""
    rows = small([[5, 20], [10, 10], [99, 99], [30, 30]], [0, 10, 20, 30], [[1, 0], [1, 1], [1, 1], [0, 1]])
    for batched in (False, True):
        made = run(Diary(), rows, delayed(rows, slate=2), batched)
        assert made.state == [
            ("round", 0, 0),
            (0, [(0, 1.0)]),  # known at 5, delivered before the round at 10; position 1 is not
            ("round", 1, 0),
            (1, [(0, 1.0), (1, 1.0)]),  # both known at 10; known before 20
            (0, [(1, 0.0)]),  # known at 20 is in time for a round at 20
            ("round", 2, 2),
            ("round", 3, 2),  # nothing came by 30
        ]
        assert worlds.final(made, "undelivered") == 4 / 8


def test_a_fixed_delay_is_counted_from_the_round() -> None:
    rows = small([[0, 0]] * 4, [0, 10, 20, 30], [[1, 0]] * 4)._replace(known=np.zeros(0, np.int64))
    made = run(Diary(), rows, delayed(rows, slate=2, delay=15))
    order = [entry[:2] if entry[0] == "round" else entry[0] for entry in made.state]
    assert order == [("round", 0), ("round", 1), 0, ("round", 2), 1, ("round", 3)]


def test_what_is_known_at_once_is_delivered_before_the_next_round() -> None:
    """With no delay at all a run is the run without delays."""
    context, rewards = worlds.clicks_of_a_linear_world(300, ITEMS, 3)
    made = worlds.chunk(rewards, context=context)._replace(time=np.arange(300))
    rows = rows_of(made, np.zeros((ITEMS, 0)), "bandit", 2)
    for name in ("linucb", "exp3m", "iba-ucb1"):
        at_once = worlds.play(worlds.contender(load(name), rows, worlds.protocol(slate=2)), rows)
        later = run(load(name), rows, delayed(rows, slate=2))
        assert worlds.final(at_once, "ctr_sum") == worlds.final(later, "ctr_sum")
        assert worlds.final(later, "undelivered") == pytest.approx(1 / 300)


def textbook(policy: Policy, rows: Rows, told: Protocol, seed: int = 0) -> tuple[Any, list[list[int]]]:
    """The loop without a queue: before each round, look through all outcomes there ever were."""
    spec, rng = worlds.spec_of(rows, told.slate), np.random.default_rng(seed)
    state, slates, under_way, learned = policy.init(spec), [], [], 0
    for t, now in enumerate(rows.time):
        due = sorted((o for o in under_way if o[0] <= now), key=lambda o: o[:2])
        under_way = [o for o in under_way if o[0] > now]
        for when, earlier in dict.fromkeys(o[:2] for o in due):
            here = [o for o in due if o[:2] == (when, earlier)]
            round, slate, paid = here[0][3]
            rewards, seen = np.full(len(slate), np.nan), np.zeros(len(slate), bool)
            for k in (o[2] for o in here):
                rewards[k], seen[k] = paid[k], True
            policy.update(state, round._replace(t=learned), slate, rewards, seen)
            learned += not any(o[1] == earlier for o in under_way) and not any(
                o[1] == earlier and o[0] > when for o in due
            )
        first, last = rows.first[t], rows.first[t + 1]
        offered, k = rows.candidates[rows.own * first :][: last - first], min(told.slate, last - first)
        empty = np.zeros(last - first), np.zeros(k), np.zeros(k, np.int64)
        round = Round(
            learned, rows.user[t], rows.context[t], offered, rows.features[first:last], scramble(told.ties, t), *empty
        )
        slate = np.zeros(k, np.int64)
        policy.select(state, rng, round, slate)
        paid, known = rows.rewards[first:last][slate], rows.known[first:last][slate]
        order = np.arange(last - first)
        if told.full:
            order = np.array([*slate, *(c for c in order if c not in slate)])
            paid, known = rows.rewards[first:last][order], rows.known[first:last][order]
            round = round._replace(propensities=np.ones(len(order)))
        under_way += [(known[i], t, i, (round, order if told.full else slate, paid)) for i in range(len(paid))]
        slates.append(slate.tolist())
    return state, slates


def ragged_rows(seed: int = 0, n: int = 250) -> Rows:
    """Rounds of 2 to 6 candidates whose rewards are known after 0 to 60 units; several rounds share a time."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, ITEMS + 1, n)
    first = np.append(0, np.cumsum(lengths))
    offered = np.concatenate([rng.choice(ITEMS, length, replace=False) for length in lengths])
    time = np.cumsum(rng.integers(0, 5, n))
    known = np.repeat(time, lengths) + rng.integers(0, 60, first[-1])
    made = worlds.chunk(np.zeros((n, ITEMS)), context=rng.normal(size=(n, 3)), user=rng.integers(0, 9, n))
    made = made._replace(
        candidates=offered,
        features=rng.normal(size=(first[-1], 4)),
        rewards=(rng.random(first[-1]) < 0.1 + 0.1 * offered).astype(float),
        expected=np.zeros(0),
        attraction=np.zeros(0),
        scores=np.zeros(0),
        time=time,
        known=known,
        first=first,
    )
    return rows_of(made, np.zeros((ITEMS, 0)), "bandit", 2)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("name", ["linucb", "iba-linucb", "exp3m", "rba-ucb1", "epsilon-greedy", "thompson"])
def test_compiled_and_batched_runs_are_the_plain_loop(name: str, full: bool) -> None:
    rows, policy = ragged_rows(), load(name)
    told = delayed(rows, slate=2, feedback="full" if full else "bandit")
    state, slates = textbook(policy, rows, told)
    sums = [sum(rows.rewards[rows.first[t] :][slate].sum() for t, slate in enumerate(slates))]
    for batched, cuts in ((False, 1), (False, 7), (True, 1)):
        made = run(policy, rows, told, batched, cuts)
        sums.append(worlds.final(made, "ctr_sum") * len(slates))
        for mine, theirs in zip(made.state, state, strict=True):
            if isinstance(mine, np.ndarray):
                np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(sums, sums[0])


def test_as_many_rounds_wait_as_memory_is_made_for() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        time = np.cumsum(rng.integers(0, 3, 60))
        last = time + rng.integers(0, 20, 60)
        most = max(sum(last[j] > time[i] or j == i for j in range(i + 1)) for i in range(60))
        assert most <= waiting_at_most(time, last) <= 60


@pytest.mark.parametrize("batched", [False, True])
def test_what_serves_delays_is_compiled_only_for_runs_with_delays(
    batched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it stands apart, rounds without delays pay neither its compilation nor its size."""
    apart = Service(service.serve_delayed, service.DELAYS.example)
    monkeypatch.setattr(contender, "DELAYS", apart)
    monkeypatch.setattr(loop, "DELAYS", apart)
    rows = small([[5, 20]] * 2, [0, 10], [[1, 0]] * 2)
    worlds.play(worlds.contender(load("ucb1"), rows, worlds.protocol(slate=2)), rows, batched)
    assert apart._entry is None
    run(load("ucb1"), rows, delayed(rows, slate=2), batched)
    assert apart._entry is not None
