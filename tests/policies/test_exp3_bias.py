"""What exp3's importance weights expect of an item, for K > 1, by all ordered slates: what its docstring says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lersbench.policies import exp3, iba_exp3, rba_exp3
from lersbench.policy import Policy, Round, Spec, load

P = np.array([0.55, 0.2, 0.1, 0.05, 0.05, 0.05])  # with K = 3


def expected_weight(p: np.ndarray, slate: int) -> np.ndarray:
    """E[sum over positions of 1{item in the position} / its propensity], by enumeration; (C,)."""
    total = np.zeros(p.size)
    for shown in itertools.permutations(range(p.size), slate):
        conditional = [p[c] / (1 - p[list(shown[:k])].sum()) for k, c in enumerate(shown)]
        for c, own in zip(shown, conditional, strict=True):
            total[c] += np.prod(conditional) / own
    return total


def availability(p: np.ndarray, slate: int) -> np.ndarray:
    """P(the item is not above position k), (slate, C)."""
    found = np.zeros((slate, p.size))
    for shown in itertools.permutations(range(p.size), slate):
        chance = np.prod([p[c] / (1 - p[list(shown[:k])].sum()) for k, c in enumerate(shown)])
        for k in range(slate):
            found[k, [c for c in range(p.size) if c not in shown[:k]]] += chance
    return found


def played(policy: Policy, log_weight: np.ndarray, slate: int, rounds: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean of 1{item} / propensity by position (slate, C), of what is shown and of what learners chose."""
    state, rng = policy.init(Spec(P.size, P.size, slate, rounds=rounds)), np.random.default_rng(0)
    state.log_weight[...] = log_weight
    shown, chosen = np.zeros((slate, P.size)), np.zeros((slate, P.size))
    for t in range(rounds):
        out = np.zeros(P.size), np.zeros(slate), np.zeros(slate, np.int64)
        round = Round(t, 0, np.zeros(0), np.arange(P.size), np.zeros((P.size, 0)), t, *out)
        own = np.zeros(slate, np.int64)
        policy.select(state, rng, round, own)
        shown[np.arange(slate), own] += 1 / round.propensities
        chosen[np.arange(slate), round.notes] += 1 / round.propensities
    return shown / rounds, chosen / rounds


def test_the_weight_of_an_item_is_how_many_positions_it_is_left_for() -> None:
    assert expected_weight(P, 3) == pytest.approx(availability(P, 3).sum(axis=0))
    assert expected_weight(P, 1) == pytest.approx(np.ones(6))
    told = expected_weight(P, 3)
    assert (told.min(), told.max()) == pytest.approx((1.61, 2.82), abs=0.005)  # as the docstring of exp3 says
    assert exp3.Exp3.__doc__ and "1.61" in exp3.Exp3.__doc__ and "2.82" in exp3.Exp3.__doc__


def test_exp3_draws_as_enumerated() -> None:
    weights = np.log(P)  # gamma is as good as 0, so p is P
    shown, _ = played(load("exp3", gamma=1e-12), weights, 3, 20_000)
    assert shown.sum(axis=0) == pytest.approx(expected_weight(P, 3), rel=0.1)


def test_a_learner_of_iba_expects_what_is_left_and_one_of_rba_exactly_one() -> None:
    weights = np.log(P)
    shown, _ = played(load("iba-exp3", gamma=1e-12), weights, 3, 20_000)
    assert shown == pytest.approx(availability(P, 3), abs=0.12)
    _, chosen = played(load("rba-exp3", gamma=1e-12), weights, 3, 20_000)
    assert chosen == pytest.approx(np.ones((3, 6)), abs=0.12)
    assert iba_exp3.IBAExp3.__doc__ and "is left" in iba_exp3.IBAExp3.__doc__
    assert rba_exp3.RBAExp3.__doc__
