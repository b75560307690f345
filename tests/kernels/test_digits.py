"""No linear policy goes on with an inverse that has lost its digits: beside twins that keep a QR factor.

A twin follows the same formulas on R of a QR factorisation of what was seen, which does not lose what columns of
different size need. It learns what the policy chose, so that one early difference does not make two stories.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from lersbench.engine.rows import Rows, rows_of
from lersbench.errors import RunError
from lersbench.policy import Policy, load
from tests.support import worlds

ROUNDS, WIDE, D, ALPHA = 250, 4, 5, 0.3
OFF = 0.02  # by which a choice may miss the twin's best score, in rewards, or relative to scores above 1
KINDS = ("number", "constant", "collinear", "same", "spike", "all")
SIZES = (1e-6, 1.0, 1e3, 1e5, 1e6, 7e6, 7e7, 1e8, 1e10, 1e12)
FEW = (1e-6, 1.0, 1e6, 7e7, 1e8, 1e10, 1e12)


class Factor:
    """R and q of ridge I + sum x x', sum x r: a row at a time, by QR. The diagonal of R is positive."""

    def __init__(self, width: int) -> None:
        self.R, self.q = np.eye(width), np.zeros(width)

    def solved(self, x: np.ndarray) -> np.ndarray:
        """R'^-1 x, row by row."""
        z = np.zeros(x.size)
        for i in range(x.size):
            z[i] = (x[i] - self.R[:i, i] @ z[:i]) / self.R[i, i]
        return z

    def bound(self, x: np.ndarray) -> float:
        z = self.solved(x)
        return float(z @ self.q + ALPHA * np.sqrt(z @ z))

    def add(self, x: np.ndarray, reward: float) -> None:
        d = x.size
        whole = np.zeros((d + 1, d + 1))
        whole[:d, :d], whole[:d, d], whole[d, :d], whole[d, d] = self.R, self.q, x, reward
        found = np.linalg.qr(whole, mode="r")[:d]
        found *= np.sign(np.diag(found))[:, None]
        self.R, self.q = found[:, :d], found[:, d]


def columns(kind: str, size: float, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A constant and standard normal columns (..., D), of which the last one or two are spoiled."""
    x = rng.normal(size=shape)
    x[..., 0] = 1.0
    number = rng.random(shape[:-1])
    if kind == "number":
        x[..., -1] = size * (1 + number)
    elif kind == "constant":
        x[..., -1] = size
    elif kind == "collinear":
        x[..., -1], x[..., -2] = size * number, 3 * size * number + 1
    elif kind == "same":
        x[..., -1] = x[..., -2] = size * number
    elif kind == "spike":
        x[shape[0] // 2, ..., -1] = size
    else:
        x *= size
    return x


def spoiled_rows(kind: str, size: float, joint: bool, both: bool = False) -> Rows:
    """Rounds whose context, or joint features, or both, have spoiled columns; two sound columns decide the clicks."""
    rng = np.random.default_rng([KINDS.index(kind), SIZES.index(size)])
    x = columns(kind, size, (ROUNDS, WIDE, D) if joint else (ROUNDS, D), rng)
    liked = rng.normal(size=(WIDE, 2))
    score = x[..., 1:3] @ liked[0] if joint else x[:, 1:3] @ liked.T
    score = score / np.abs(score).mean()
    clicks = (rng.random((ROUNDS, WIDE)) < 1 / (1 + np.exp(-2 * score))).astype(float)
    given = {"features" if joint else "context": x}
    if both:
        given["features"] = rng.normal(size=(ROUNDS, WIDE, 3))
    return rows_of(worlds.chunk(clicks, **given), np.zeros((WIDE, 0)), "bandit", 1)


def run(policy: Policy, rows: Rows) -> tuple[list[int], bool]:
    """What is chosen round by round, until the end or an error that names policy, round, column and fix."""
    made = worlds.contender(policy, rows, worlds.protocol(ranked=True))
    chosen: list[int] = []
    for t in range(ROUNDS):
        try:
            made.play(rows, np.array([t]), np.array([t]))
        except RunError as error:
            wanted = (type(policy).__name__, f"in round {t} of the log", "(up to ", '[replay] scale = "standard"')
            assert all(word in str(error) for word in wanted), error
            assert "digits" in str(error) or "a score that is not a number" in str(error), error
            return chosen, True
        chosen.append(int(made.scratch.slates[0, 0]))
    return chosen, False


def bounds(rows: Rows, chosen: list[int], kind: str) -> Iterator[np.ndarray]:
    """A twin's scores (WIDE,) round by round. `kind`: one regression for "all", for each "item", or "both" together."""
    seen = worlds.square(rows)
    width = seen.features.shape[2] + WIDE * D if kind == "both" else D
    factors = [Factor(width) for _ in range(WIDE if kind == "item" else 1)]
    for t, c in enumerate(chosen):
        if kind == "both":  # beside the shared columns each item has its own
            own = np.kron(np.eye(WIDE), rows.context[t])
            xs = np.hstack([seen.features[t], own])
        else:
            xs = seen.features[t] if seen.features.shape[2] else np.tile(rows.context[t], (WIDE, 1))
        yield np.array([factors[a % len(factors)].bound(x) for a, x in enumerate(xs)])
        factors[c % len(factors)].add(xs[c], float(seen.rewards[t, c]))


def draws(rows: Rows, chosen: list[int]) -> Iterator[np.ndarray]:
    """The scores of a Thompson sampler, with the draws of the run."""
    rng, factor, seen = np.random.default_rng(0), Factor(D), worlds.square(rows)
    for t, c in enumerate(chosen):
        theta = factor.q + ALPHA * rng.standard_normal(D)
        yield np.array([factor.solved(x) @ theta for x in seen.features[t]])
        factor.add(seen.features[t, c], float(seen.rewards[t, c]))


def miss(chosen: list[int], scores: Iterator[np.ndarray]) -> float:
    """By how much the choices miss the twin's best score, at most; relative to scores above 1."""
    return max(((s.max() - s[c]) / max(1.0, abs(s).max()) for c, s in zip(chosen, scores, strict=True)), default=0.0)


def outcomes(policy: Policy, kind: str, joint: bool, sizes: tuple[float, ...]) -> dict[tuple[str, float], bool]:
    """Play all kinds of columns; whether each ended in an error. Until then every choice is the twin's."""
    ended = {}
    for spoiled in KINDS:
        for size in sizes:
            rows = spoiled_rows(spoiled, size, joint, kind == "both")
            chosen, ended[spoiled, size] = run(policy, rows)
            twin = draws(rows, chosen) if kind == "draws" else bounds(rows, chosen, kind)
            worst = miss(chosen, twin)
            assert worst < OFF, f"{spoiled} columns of {size:g}: a choice misses by {worst:.3g} of {len(chosen)} rounds"
    return ended


def check_outcomes(ended: dict[tuple[str, float], bool]) -> None:
    """Sound columns are played, those beyond all digits are not."""
    assert not [case for case, stopped in ended.items() if stopped and case[1] <= 1e3]
    assert not [case for case, stopped in ended.items() if not stopped and case[1] >= 1e8]


@pytest.mark.parametrize(
    ("name", "params", "kind", "sizes"),
    [
        ("linucb", {}, "item", SIZES),
        ("linucb-k", {}, "all", SIZES),
        ("iba-linucb", {}, "all", SIZES),
        ("linucb-hybrid", {}, "both", FEW),
        ("c2ucb", {"mu": 0.0}, "all", FEW),
        pytest.param("cascade-linucb", {"capped": False}, "all", FEW, marks=pytest.mark.sibling),
        ("pbm-linucb", {}, "all", FEW),
        pytest.param("ubm-linucb", {}, "all", FEW, marks=pytest.mark.sibling),
        pytest.param("rba-linucb", {}, "all", FEW, marks=pytest.mark.sibling),
        pytest.param("iba-linucb-sw", {}, "all", FEW, marks=pytest.mark.sibling),
        pytest.param("iba-linucb-sw", {"share_positions": True}, "all", FEW, marks=pytest.mark.sibling),
        ("iba-hybrid-sw", {}, "all", FEW),
        ("iba-hybrid-sw", {"variant": "H"}, "item", FEW),
    ],
)
def test_a_linear_policy_chooses_as_its_twin_or_ends_in_an_error(
    name: str, params: dict[str, Any], kind: str, sizes: tuple[float, ...]
) -> None:
    policy = load(name, alpha=ALPHA, **params)
    check_outcomes(outcomes(policy, kind, kind != "both" and name != "linucb", sizes))


def test_a_cholesky_factor_bears_longer_columns() -> None:
    ended = outcomes(load("lints", v=ALPHA), "draws", True, SIZES)
    assert not [case for case, stopped in ended.items() if stopped and case[1] <= 1e3]
