"""Logs of a logger that learned while it logged: its propensities are those of the moment, and depend on the past."""

from __future__ import annotations

from functools import partial

import numpy as np

from lersbench.audit.judging import Rows, judged
from lersbench.audit.world import Answer, Group, World
from lersbench.kernels.jit import kernel

ROWS = 2000
RATE = np.array([0.3, 0.5, 0.4])
TARGET = np.array([0.5, 0.3, 0.2])
TRUTH = float(TARGET @ RATE)


@kernel
def greedy(
    chance: np.ndarray, falling: float, rate: np.ndarray, arm: np.ndarray, reward: np.ndarray, p: np.ndarray
) -> None:
    """Fill arm, reward and p (n,) with an epsilon-greedy log; `chance` (n, 3) uniform numbers.

    epsilon is .1, or with `falling` > 0 falls as `falling` / sqrt(row) to .01; ties go to the first arm.
    """
    shown, earned = np.ones(3), np.full(3, 0.5)
    for i in range(arm.shape[0]):
        epsilon = 0.1 if falling == 0.0 else min(1.0, max(0.01, falling / (i + 1.0) ** 0.5))
        best = 0
        for a in range(1, 3):
            if earned[a] * shown[best] > earned[best] * shown[a]:
                best = a
        arm[i] = best if chance[i, 0] >= epsilon else int(3 * chance[i, 1])
        p[i] = epsilon / 3 + (1.0 - epsilon if arm[i] == best else 0.0)
        reward[i] = 1.0 if chance[i, 2] < rate[arm[i]] else 0.0
        shown[arm[i]] += 1.0
        earned[arm[i]] += reward[i]


def play(falling: float, rng: np.random.Generator) -> list[Answer]:
    """One log."""
    arm, reward, p = np.empty(ROWS, np.int64), np.empty(ROWS), np.empty(ROWS)
    greedy(rng.random((ROWS, 3)), falling, RATE, arm, reward, p)
    return judged(Rows(TARGET[arm] / p, reward, p), TRUTH)


def _world(name: str, falling: float) -> World:
    return World(f"W10 {name}", "W10", 2000, 100, partial(play, falling), ("ips",), ("snips",), ("snips", "ips"))


GROUP = Group(
    "W10",
    "A logger that learned",
    f"""Epsilon-greedy with three arms writes {ROWS:,} rows: with epsilon .1 throughout, or falling as 3 over the root
of the row number. Its propensities are those of the moment, so each row is right given the past and IPS has no bias.
Rows are not independent, though: how much a row counts depends on what came before. Here that does little harm. Weights
that even out such logs (adaptive weighting) are not built.""",
    [_world("epsilon .1", 0.0), _world("epsilon falling to .07", 3.0)],
)
