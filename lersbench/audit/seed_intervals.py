"""How often the interval over seeds holds the mean over all seeds, by the shape of the finals and their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lersbench.audit.claims import Claim, Found, grid, holds, share
from lersbench.audit.shapes import AWAY, COMPILED, EXPONENTIAL, HUMP, NORMAL, TWO_HUMPS, Shape, finals, real
from lersbench.results.statistics import interval

SEEDS = (3, 5, 10, 30, 100)
SAMPLES, FEW = 20_000, 1000  # of a law, in full and quickly


def shapes() -> list[Shape]:
    """The laws of the table."""
    return [NORMAL, EXPONENTIAL, TWO_HUMPS, *(real(one) for one in finals() if one.family == COMPILED)]


def covered(shape: Shape, seeds: int, samples: int, rng: np.random.Generator) -> float:
    """The share of `samples` samples of so many seeds whose interval holds the true mean."""
    span = interval(shape.draw(rng, (seeds, samples)), "shuffle", floor=shape.resolution)
    return float(((span.low <= shape.mean) & (shape.mean <= span.high)).mean())


def play(part: str, quick: bool, rng: np.random.Generator) -> list[float]:
    """One line of the table: the coverage for each number of seeds."""
    shape = next(one for one in shapes() if one.name == part)
    return [covered(shape, seeds, FEW if quick else SAMPLES, rng) for seeds in SEEDS]


def told(lines: Mapping[str, list[float]], quick: bool) -> Found:
    """The table, and what must hold of it."""
    samples = FEW if quick else SAMPLES
    rows = [[name, *(share(x) for x in line)] for name, line in lines.items()]
    checks = [
        holds(f"normal values, {seeds} seeds: 95 %", measured, samples, 0.95, 0.95)
        for seeds, measured in zip(SEEDS, lines[NORMAL.name], strict=True)
    ]
    checks.append(holds("two humps, 100 seeds: about 95 %", lines[TWO_HUMPS.name][-1], samples, 0.93, 0.97))
    return Found([("", grid(["finals", *(f"{n} seeds" for n in SEEDS)], rows))], checks)


def parts() -> Sequence[str]:
    return [shape.name for shape in shapes()]


CLAIM = Claim(
    "seeds",
    "The interval over seeds",
    f"""A seed is another order of arrival with the policy's own draws, and the interval is to hold the mean over all
seeds with 95 %. {SAMPLES:,} samples of each number of seeds are drawn from laws whose mean is known: a normal and
an exponential one, one with {HUMP:.0%} of the runs {AWAY:.0f} standard deviations above the others, and the final
misses of the compiled policies of `active` over 200 seeds (between their quantiles on straight lines).""",
    parts,
    play,
    told,
)
