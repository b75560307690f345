"""How the final value of a policy is spread over its seeds: laws that can be drawn from, and whose mean is known."""

from __future__ import annotations

import csv
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import NamedTuple

import numpy as np

COMPILED, NEURAL = "compiled", "neural"
HUMP, AWAY = 0.15, 10.0  # of the two-humped law: share of the runs that end elsewhere, and how far, in sd of the others
STEPS = 41  # quantiles that a law is kept by
ROUNDS = 1000  # of the real runs
TABLE = "finals.csv"


class Shape(NamedTuple):
    """A law with its true mean and standard deviation."""

    name: str
    draw: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
    mean: float
    sd: float
    resolution: float = 0.0  # what one outcome changes a value by


class Final(NamedTuple):
    """Final values of one policy in real runs; in per cent of the rounds."""

    policy: str
    feedback: str
    family: str  # COMPILED or NEURAL
    seeds: int
    mean: float
    sd: float
    quantiles: np.ndarray  # (STEPS,) at equal steps from the least to the largest; (0,) where there are too few seeds

    @property
    def name(self) -> str:
        return f"{self.policy} ({self.feedback})"


@cache
def finals() -> tuple[Final, ...]:
    """The table of this package; `python -m lersbench.audit.finals` makes it from a run."""
    with resources.files("lersbench.audit").joinpath(TABLE).open(encoding="utf-8") as lines:
        return tuple(_final(row) for row in csv.DictReader(line for line in lines if not line.startswith("#")))


def _final(row: dict[str, str]) -> Final:
    quantiles = np.array([float(x) for x in row["quantiles"].split()])
    numbers = int(row["seeds"]), float(row["mean"]), float(row["sd"])
    return Final(row["policy"], row["feedback"], row["family"], *numbers, quantiles)


# Laws -----------------------------------------------------------------------------------------------------------------
NORMAL = Shape("normal", lambda rng, size: rng.normal(size=size), 0.0, 1.0)
EXPONENTIAL = Shape("exponential", lambda rng, size: rng.exponential(size=size), 1.0, 1.0)


def _two_humps(rng: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    return rng.normal(size=size) + AWAY * (rng.random(size) < HUMP)


TWO_HUMPS = Shape(
    f"two-humped, {HUMP:.0%} elsewhere", _two_humps, HUMP * AWAY, (1 + HUMP * (1 - HUMP) * AWAY**2) ** 0.5
)


def real(final: Final) -> Shape:
    """The law whose quantiles between those of a real policy lie on straight lines; its moments are exact."""
    q = final.quantiles
    at = np.linspace(0, 1, len(q))
    mean = float((q[:-1] + q[1:]).mean() / 2)
    sd = (float((q[:-1] ** 2 + q[:-1] * q[1:] + q[1:] ** 2).mean() / 3) - mean**2) ** 0.5
    return Shape(final.name, lambda rng, size: np.interp(rng.random(size), at, q), mean, sd, 100 / ROUNDS)


def standard(shape: Shape, rng: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    """Draws of the law moved and stretched to mean 0 and standard deviation 1."""
    return (shape.draw(rng, size) - shape.mean) / shape.sd
