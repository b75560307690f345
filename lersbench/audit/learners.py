"""Policies that learn: what a log says of their first rounds on line, beside true runs on line."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from lersbench.audit.judging import NO_VERDICT, NONE
from lersbench.audit.world import SHOWN, Answer, Check, Group, Lines, World
from lersbench.evaluation.run import evaluate
from lersbench.log import write
from lersbench.policy import Policy, Round, Spec, load

ROWS, ARMS, ON_LINE, RUNS = 1500, 3, 380, 1000
LOGGING = np.array([0.5, 0.3, 0.2])
ACCEPTED = ROWS * LOGGING.min()  # expected rows of an on-line run
SLOPES = np.array([[0.35, 0.25, 0.0], [0.3, -0.25, 0.0], [0.45, 0.0, 0.15]])  # of the rates, by arm and context
POLICIES = {"epsilon-greedy": {"epsilon": 0.2}, "linucb": {"alpha": 0.5}}


def contexts(n: int, rng: np.random.Generator) -> np.ndarray:
    """(n, 3) a constant and two numbers in [-1, 1]."""
    return np.column_stack([np.ones(n), rng.uniform(-1, 1, (n, 2))])


def policy_of(name: str) -> Policy:
    return load(name, **POLICIES[name])


def on_line(policy: Policy, rounds: int, seed: int) -> np.ndarray:
    """(rounds,) the expected reward of each choice of one true run on line."""
    rng = np.random.default_rng([seed, 9])
    x, luck, ties = contexts(rounds, rng), rng.random(rounds), rng.integers(1 << 31, size=rounds)
    spec = Spec(n_items=ARMS, n_candidates=ARMS, slate=1, d=x.shape[1], rounds=rounds)
    state, rate, slate, seen = policy.init(spec), x @ SLOPES.T, np.zeros(1, np.int64), np.ones(1, np.bool_)
    earned = np.empty(rounds)
    for t in range(rounds):
        notes = np.zeros(1, np.int64)
        round = Round(
            t, -1, x[t], np.arange(ARMS), np.empty((ARMS, 0)), int(ties[t]), np.zeros(ARMS), np.zeros(1), notes
        )
        policy.select(state, rng, round, slate)
        earned[t] = rate[t, slate[0]]
        policy.update(state, round, slate, np.array([float(luck[t] < earned[t])]), seen)
    return earned


@cache
def curve(name: str) -> tuple[np.ndarray, np.ndarray]:
    """(ON_LINE,) the mean reward of the first 1, 2, ... rounds, over RUNS true runs, and its Monte-Carlo error."""
    runs = np.array([on_line(policy_of(name), ON_LINE, run) for run in range(RUNS)])
    means = runs.cumsum(axis=1) / np.arange(1, ON_LINE + 1)
    return means.mean(axis=0), means.std(axis=0, ddof=1) / RUNS**0.5


def play(name: str, rng: np.random.Generator) -> list[Answer]:
    """One log through `evaluate`, asked both questions; the truth is the on-line mean of as many rounds as were
    accepted."""
    x = contexts(ROWS, rng)
    arm = rng.choice(ARMS, ROWS, p=LOGGING)
    reward = rng.random(ROWS) < (x @ SLOPES.T)[np.arange(ROWS), arm]
    chunk = {
        "context": x,
        "slate": arm[:, None],
        "clicks": reward.astype(np.int8)[:, None],
        "propensities": LOGGING[arm][:, None],
    }
    with tempfile.TemporaryDirectory() as folder:
        log = write(Path(folder) / "log", chunk, items=ARMS, propensities="logged")
        table = evaluate(log, [policy_of(name)], {}, ("rejection", "progressive")).estimates
    accepted = table[table.feedback == "rejection"].to_dict("records")[0]
    rounds = int(np.clip(np.rint(accepted["ess"]), 1, ON_LINE))
    truth = float(curve(name)[0][rounds - 1])
    out = [_answer("rejection", accepted, truth)]
    trained = table[(table.feedback == "progressive") & (table.estimator == "ips")].to_dict("records")[0]
    out.append(_answer("progressive", trained, truth))
    return [*out, Answer("rounds accepted", SHOWN, float(accepted["ess"]), 0.0, np.inf, ACCEPTED, NONE, NO_VERDICT)]


def _answer(name: str, row: Mapping[Any, Any], truth: float) -> Answer:
    ends = (float(row["value"]), float(row["low"]), float(row["high"]))
    return Answer(name, SHOWN, *ends, truth, NONE, NO_VERDICT)


def shows(name: str, lines: Lines) -> list[Check]:
    """Rejection is right about the on-line run, and progressive validation answers another question."""
    mine, other = lines["rejection", SHOWN], lines["progressive", SHOWN]
    wide = mine.margin + 3 * float(curve(name)[1][round(ACCEPTED) - 1])
    return [
        Check("rejection has no bias for the first rounds on line", abs(mine.error) <= wide, f"{mine.error:+.4f}"),
        Check(
            "a learner trained on the log is another one, and better",
            other.error > other.margin,
            f"{other.error:+.4f} of {other.truth:.3f}",
        ),
    ]


GROUP = Group(
    "W9",
    "Policies that learn",
    f"""Three arms whose rates depend on the context; a logger that does not look at it and takes them with chances .5,
.3 and .2; {ROWS:,} rows. Two policies learn, each as a user would ask: `evaluate` with both questions. Rejection keeps
each row with a chance of one in five and lets the policy learn from those alone: what it earns there is what it would
have earned in its first {ACCEPTED:.0f} rounds on line or so, and the truth is the mean of {RUNS:,} true runs on line.
Progressive validation lets the policy learn from all rows of the log: it has learned from five times as many, and is
better. Both are right about what they ask; they are not the same thing. The interval of rejection is that of one
path of learning; how much another run would have learned is not in it, so it covers the mean of all runs less often
than 95 %.""",
    [
        World(f"W9 {name}", "W9", 300, 20, partial(play, name), ("rounds accepted",), more=partial(shows, name))
        for name in POLICIES
    ],
)
