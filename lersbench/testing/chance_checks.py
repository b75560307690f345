"""The check that a policy chooses slates as often as it says that it does."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import numpy as np

from lersbench.engine.chances import DRAWS, chance_now, how
from lersbench.kernels.ties import scramble
from lersbench.policy import Policy
from lersbench.testing.agreement import FAR, same_state
from lersbench.testing.engines import Bench
from lersbench.testing.worlds import World, make_world, round_of


def check_chance(bench: Bench) -> None:
    """Says how likely a slate is, if it says so, as often as `select` chooses it; asked or not, it learns nothing.

    For a few rounds and every slate of two: the chances below each first item sum to 1, so do those of all slates,
    they are the frequencies of `select` (over its random numbers and the order of equal scores), and what is said of
    a beginning is said of the whole. A policy that calls itself deterministic draws nothing.
    """
    if bench.policy.shows_the_log:
        return
    policy, world = bench.policy, make_world(24, 4, 2, 6)
    states, rngs = [policy.init(world.spec) for _ in range(2)], [np.random.default_rng(1) for _ in range(2)]
    for row in range(world.spec.rounds):
        if row % 5 == 1 and how(policy) != DRAWS:  # at first there are ties; the rounds between teach it something
            _compare_chances(policy, states[0], world, row)
        slates = []
        for state, rng in zip(states, rngs, strict=True):
            round, slate, before = (
                round_of(world, row, row),
                np.zeros(2, np.int64),
                copy.deepcopy(rng.bit_generator.state),
            )
            policy.select_batch(state, rng, [round], [slate])
            drew = rng.bit_generator.state != before
            assert not (policy.deterministic and drew and row), "It is called deterministic, but select draws numbers."
            policy.update_batch(state, [round], [slate], [world.chunk.rewards[row, slate]], [np.ones(2, np.bool_)])
            slates.append(slate)
        same = np.array_equal(slates[0], slates[1])
        assert same, (
            f"Asked how likely slates are, and not asked, it chooses {slates[0]} and {slates[1]} in round {row}."
        )
    what = "Two runs, one of which was asked how likely slates are"
    same_state(bench.learned(states[0]), bench.learned(states[1]), what)


def _compare_chances(policy: Policy, state: Any, world: World, row: int) -> None:
    """What a policy says of all slates of two in a round, beside what it does."""
    wide = world.spec.n_candidates
    said, below = np.zeros((wide, wide)), np.zeros((wide, wide))
    for first, second in itertools.permutations(range(wide), 2):
        out, alone = np.full(2, np.nan), np.full(1, np.nan)
        slate = np.array([first, second])
        chance_now(policy, state, round_of(world, row, row), slate, out)
        chance_now(policy, state, round_of(world, row, row), slate[:1], alone)
        assert ((out >= 0) & (out <= 1 + 1e-9)).all(), f"In round {row} it gives slate {slate} the chances {out}."
        assert abs(alone[0] - out[0]) < 1e-9, (
            f"In round {row} it gives candidate {first} the chance {out[0]} to stand on top of {slate}, and asked for "
            f"{slate[:1]} alone {alone[0]}. How many positions there are to fill is the length of round.notes."
        )
        said[first, second], below[first, second] = out[0] * out[1], out[1]
    sums = below.sum(axis=1)
    assert np.abs(sums - 1).max() < 1e-6, (
        f"In round {row}, below candidate {np.abs(sums - 1).argmax()}, the chances of all others to be the next sum to "
        f"{sums[np.abs(sums - 1).argmax()]}, where 1 is due."
    )
    assert abs(said.sum() - 1) < 1e-6, f"In round {row} the chances of all slates sum to {said.sum()}."
    times, rng, draws = np.zeros((wide, wide)), np.random.default_rng(row), 100 if policy.deterministic else 500
    for draw in range(draws):
        round, slate = round_of(world, row, row), np.zeros(2, np.int64)
        policy.select_batch(state, rng, [round._replace(ties=int(scramble(round.ties, draw)))], [slate])
        times[slate[0], slate[1]] += 1
    far = np.abs(times - draws * said) / np.sqrt(draws * np.maximum(said * (1 - said), 1e-9))
    worst = np.unravel_index(far.argmax(), far.shape)
    assert far.max() < FAR, (
        f"In round {row} it gives the slate {[int(c) for c in worst]} the chance {said[worst]:.4f}, and chooses it in "
        f"{times[worst]:.0f} of {draws} draws."
    )
