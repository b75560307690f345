"""How often contenders are told apart that are equal, how many that differ are found, and how wide rank ranges are."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import polygamma, psi, stdtr

from lersbench.audit.claims import Claim, Found, grid, holds, share
from lersbench.audit.shapes import COMPILED, NEURAL, ROUNDS, Final, Shape, finals, real, standard
from lersbench.audit.shapes import NORMAL as BELL
from lersbench.ranks import ranges_of, separated
from lersbench.results.separation import separate

REPEATS, FEW = 400, 20  # tables of a part, in full and quickly
SEEDS = ((10, 3), (100, 3), (100, 5), (100, 10))  # of compiled and of neural contenders
USUAL = (100, 5)
EQUAL = 17  # contenders that are equal in one of the worlds: those in the middle
REAL, SOME, NULL = "real means", f"{EQUAL} equal", "all equal"
WORLDS = (REAL, SOME, NULL)
RESOLUTION = 100 / ROUNDS  # what one outcome changes a value by
NORMAL, LOCKED = "normal", "real"
SHAPES = (NORMAL, LOCKED)

Test = Callable[[np.ndarray, Sequence[str]], tuple[np.ndarray, np.ndarray]]  # p and mean (K, K) of values (K, S)


class World(NamedTuple):
    """Contenders whose true means are known."""

    families: list[str]  # (K,)
    mean: np.ndarray  # (K,)
    sd: np.ndarray  # (K,) over seeds
    shapes: list[Shape]  # (K,) of their values

    def values(self, seeds: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """(K, S) final values, NaN where a contender has fewer seeds than another."""
        out = np.full((len(self.mean), max(seeds)), np.nan)
        for i, family in enumerate(self.families):
            n = seeds[0] if family == COMPILED else seeds[1]
            out[i, :n] = self.mean[i] + self.sd[i] * standard(self.shapes[i], rng, (n,))
        return out


class Line(NamedTuple):
    """What a test comes to over many tables."""

    width: float  # mean number of ranks in a range
    found: float  # share of the pairs that differ which are told apart
    any_false: float  # share of the tables with a pair told apart that is equal, or the other way round
    own_false: tuple[float, float]  # share of the ranges that are too narrow, of compiled and of neural contenders


def contenders() -> list[Final]:
    """Those of the worlds, compiled ones first: what begins with the knowledge of the past is left out."""
    every = [one for one in finals() if not one.policy.startswith("past-") and not one.policy.endswith(", warm")]
    return sorted(every, key=lambda one: one.family != COMPILED)


def world_of(name: str, shape: str) -> World:
    """A world of WORLDS with values of one of SHAPES.

    A neural policy is too slow for so many seeds that its shape is known: where shapes are real it has that of a
    compiled one, each another.
    """
    every = contenders()
    laws = [real(one) for one in every if one.family == COMPILED]
    mean = np.array([one.mean for one in every])
    if name == SOME:
        first = (len(mean) - EQUAL) // 2
        middle = np.argsort(mean)[first : first + EQUAL]
        mean[middle] = mean[middle].mean()
    elif name == NULL:
        mean[:] = mean.mean()
    shapes = [laws[i % len(laws)] if shape == LOCKED else BELL for i in range(len(every))]
    return World([one.family for one in every], mean, spread(every), shapes)


def spread(every: Sequence[Final]) -> np.ndarray:
    """(K,) the standard deviation over seeds of each contender.

    Of three seeds it is known to a factor of two or so, and so those of neural contenders differ more than the policies
    do. Their logarithms are drawn together until their variance is what chance leaves over (Smyth 2004, section 6.2).
    """
    out = np.array([one.sd for one in every])
    neural = np.array([one.family == NEURAL for one in every])
    half = np.array([one.seeds - 1 for one in every])[neural] / 2
    e = np.log(out[neural] ** 2) - psi(half) + np.log(half)
    left = max(e.var(ddof=1) - polygamma(1, half).mean(), 0.0)
    out[neural] = np.exp((e.mean() + (left / e.var(ddof=1)) ** 0.5 * (e - e.mean())) / 2)
    return out


# Tests ----------------------------------------------------------------------------------------------------------------
def moderated(values: np.ndarray, families: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The test of the leaderboard."""
    found = separate(values, families, floor=RESOLUTION)
    return found.p, found.mean


def paired(values: np.ndarray, families: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Paired t on the seeds that both have: the first ones of each."""
    p, mean = np.full((len(values), len(values)), np.nan), np.zeros((len(values), len(values)))
    runs = np.isfinite(values).sum(axis=1)
    shared = np.minimum(runs[:, None], runs)
    for n in np.unique(shared).tolist():
        a, b = np.nonzero(np.triu(shared == n, 1))
        apart = values[a, :n] - values[b, :n]
        means = apart.mean(axis=1)
        p[a, b] = p[b, a] = 2 * stdtr(
            n - 1, -np.abs(means) / (np.maximum(apart.std(axis=1, ddof=1), RESOLUTION) / n**0.5)
        )
        mean[a, b], mean[b, a] = means, -means
    return p, mean


def plain(values: np.ndarray, families: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Welch's t, each contender with the spread of its own seeds alone."""
    n = np.isfinite(values).sum(axis=1)
    q, df = np.maximum(np.nanvar(values, axis=1, ddof=1), RESOLUTION**2) / n, n - 1
    total = q[:, None] + q
    pooled = total**2 / ((q**2 / df)[:, None] + q**2 / df)
    mean = np.nanmean(values, axis=1)
    apart = mean[:, None] - mean
    p = 2 * stdtr(pooled, -np.abs(apart) / np.sqrt(total))
    np.fill_diagonal(p, np.nan)
    return p, apart


TESTS: dict[str, tuple[Test, bool]] = {  # test, and whether one correction covers all pairs
    "paired t, all pairs": (paired, True),
    "plain Welch, all pairs": (plain, True),
    "moderated Welch, all pairs": (moderated, True),
    "moderated Welch, own pairs": (moderated, False),
}


# Measures -------------------------------------------------------------------------------------------------------------
class Tally:
    """Counts what a test says of one table after another."""

    def __init__(self, world: World, together: bool) -> None:
        self.truth = np.sign(world.mean[:, None] - world.mean)
        self.compiled = np.array([family == COMPILED for family in world.families])
        self.together = together
        self.widths: list[float] = []
        self.found: list[float] = []
        self.wrong: list[np.ndarray] = []

    def add(self, p: np.ndarray, mean: np.ndarray) -> None:
        """p values and differences of means (row - column) of all pairs of a table, both (K, K)."""
        apart = separated(p, self.together)
        ranges = [one for one in ranges_of(p, mean, True, together=self.together) if one is not None]
        self.widths.append(float(np.mean([worst - best + 1 for best, worst in ranges])))
        differ = self.truth != 0
        self.found.append(float(apart[differ].mean()) if differ.any() else math.nan)
        self.wrong.append((apart & (np.sign(mean) != self.truth)).any(axis=1))

    def line(self) -> Line:
        own = np.array(self.wrong)
        return Line(
            float(np.mean(self.widths)),
            float(np.mean(self.found)),
            float(own.any(axis=1).mean()),
            (float(own[:, self.compiled].mean()), float(own[:, ~self.compiled].mean())),
        )


def line_of(world: World, seeds: tuple[int, int], test: Test, together: bool, repeats: int, seed: int) -> Line:
    """A test over `repeats` tables; the same `seed` draws the same values for every test."""
    rng, tally = np.random.default_rng(seed), Tally(world, together)
    for _ in range(repeats):
        tally.add(*test(world.values(seeds, rng), world.families))
    return tally.line()


# The claim ------------------------------------------------------------------------------------------------------------
def parts() -> list[str]:
    return [f"{shape}, {world}, {a}/{b}" for a, b in SEEDS for world in WORLDS for shape in SHAPES]


def play(part: str, quick: bool, rng: np.random.Generator) -> dict[str, Line]:
    """All tests in one world, with values of one shape."""
    shape, name, seeds = part.split(", ")
    compiled, neural = map(int, seeds.split("/"))
    world, seed = world_of(name, shape), int(rng.integers(1 << 31))
    repeats = FEW if quick else REPEATS
    return {
        name: line_of(world, (compiled, neural), test, together, repeats, seed)
        for name, (test, together) in TESTS.items()
    }


def told(lines: Mapping[str, dict[str, Line]], quick: bool) -> Found:
    """The tables, and what must hold of them."""
    repeats = FEW if quick else REPEATS
    head = ["seeds", "test", "width", "pairs found", *(f"false: {world}" for world in WORLDS)]
    tables = [(_above(shape), grid([*head, "own range wrong"], _rows(lines, shape), 2)) for shape in SHAPES]
    checks = []
    for compiled, neural in SEEDS[2:]:  # three neural seeds keep no level, as the table shows
        one = lines[f"{NORMAL}, {NULL}, {compiled}/{neural}"]
        what = f"normal values, all equal, {compiled}/{neural} seeds: "
        together, own = one["moderated Welch, all pairs"], one["moderated Welch, own pairs"]
        checks.append(holds(what + "some false separation in 5 % of the tables", together.any_false, repeats, 0, 0.05))
        checks.append(holds(what + "a neural range is wrong with 5 %", own.own_false[1], repeats, 0, 0.05))
        checks.append(holds(what + "a compiled range is wrong with 5 %", own.own_false[0], repeats, 0, 0.05))
    return Found(tables, checks)


def _above(shape: str) -> str:
    if shape == NORMAL:
        return "Normal values, with the standard deviations of the real policies:"
    return "Values of the real shapes:"


def _rows(lines: Mapping[str, dict[str, Line]], shape: str) -> list[list[str]]:
    rows = []
    for a, b in SEEDS:
        of = [lines[f"{shape}, {world}, {a}/{b}"] for world in WORLDS]
        for test in TESTS:
            first, false = of[0][test], [share(one[test].any_false) for one in of]
            own = " / ".join(share(x) for x in of[-1][test].own_false)
            rows.append([f"{a}/{b}", test, f"{first.width:.1f}", share(first.found), *false, own])
    return rows


def about() -> str:
    """The worlds in words."""
    every = contenders()
    neural = sum(one.family == NEURAL for one in every)
    return f"""{len(every)} contenders, {len(every) - neural} of them compiled and {neural} neural, with the means and
standard deviations of real runs of `active` (those of neural ones, known from 3 seeds, less what chance adds to their
differences). In other worlds the {EQUAL} in the middle, or all, have one mean.
{REPEATS:,} tables of each. *Width* is the mean number of ranks in a range, and *pairs found* the share of all pairs
that are told apart, both with the real means. *False* is the share of the tables in which some pair is told apart that
is equal, or is the other way round: a correction over all pairs is to keep it at 5 %. *Own range wrong* is the share of
single ranges that are too narrow where all are equal, of compiled / of neural contenders: a correction over a
contender's own pairs is to keep that at 5 %, and says nothing of all ranges at once. *Paired t* takes the seeds that
both have, and *plain Welch* the spread of each contender's own seeds; the leaderboard uses the moderated test."""


CLAIM = Claim("ranks", "Rank ranges", about(), parts, play, told)
