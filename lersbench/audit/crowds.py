"""Worlds of users of many rows each, whose rows are alike: who is counted, rows or users?"""

from __future__ import annotations

from functools import partial

import numpy as np

from lersbench.audit.heavy import MILD
from lersbench.audit.judging import NO_VERDICT, NONE, Rows, judged, sums_of
from lersbench.audit.summary import covers
from lersbench.audit.world import LEVEL, NORMAL, Answer, Check, Group, Lines, World
from lersbench.offpolicy.intervals import normal, row_errors
from lersbench.offpolicy.sums import six

SPREAD = 1.0  # of the users' effects, on the scale of the logit
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(64)
BY_ROWS = "by rows"
LOGIT = np.log(MILD.rate / (1 - MILD.rate))


def logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


RATE = logistic(LOGIT[:, None] + SPREAD * NODES) @ WEIGHTS / WEIGHTS.sum()  # over all users
TRUTH = float(MILD.target @ RATE)


def play(users: int, rows: int, rng: np.random.Generator) -> list[Answer]:
    """One log; beside the answers SNIPS with the interval of one who takes all rows as independent."""
    n = users * rows
    user = np.repeat(np.arange(users), rows)
    arm = np.minimum(np.searchsorted(MILD.logging.cumsum(), rng.random(n)), len(RATE) - 1)
    reward = rng.random(n) < logistic(LOGIT[arm] + SPREAD * rng.normal(size=users)[user])
    log = Rows((MILD.target / MILD.logging)[arm], reward.astype(np.float64), MILD.logging[arm], user)
    s = six(sums_of(log))
    value = s.r1 / s.s1
    naive = normal(value, row_errors(s).snips, None, LEVEL)
    return [*judged(log, TRUTH), Answer("snips", BY_ROWS, value, *naive, TRUTH, NONE, NO_VERDICT)]


def shows(lines: Lines) -> list[Check]:
    """Rows taken as independent promise too much, users do not."""
    rows = lines["snips", BY_ROWS]
    promise = Check("rows taken as independent cover less than 93 %", rows.coverage < 0.93, f"{rows.coverage:.1%}")
    return [promise, covers(lines["snips", NORMAL], 0.93, 0.97)]


def _world(users: int, rows: int, quick: int) -> World:
    name = f"W5 {users} users of {rows} rows"
    return World(name, "W5", 2000, quick, partial(play, users, rows), ("ips",), ("snips",), ("snips", "ips"), shows)


GROUP = Group(
    "W5",
    "Users of many rows",
    """The log of world A with rows that belong to users, some of whom click much and some little (a spread of 1 on the
scale of the logit). Rows of one user say less than rows of many. An interval that takes all rows as independent ("by
rows") is too narrow; the errors of `evaluate` go by user, and its gamma and Cressie-Read intervals are widened by what
users add to the variance. That widening is a heuristic, and this is its test.""",
    [_world(500, 20, 60), _world(50, 20, 100), _world(20, 50, 100)],
)
