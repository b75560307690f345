"""Rank ranges by this log and for new customers, in tables whose contenders share their customers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lersbench.audit.claims import Claim, Found, grid, holds, share
from lersbench.audit.new_customers import BLOCKS, OF_CUSTOMERS, OF_NOISE, ROUNDS
from lersbench.audit.rank_ranges import NORMAL, NULL, REAL, USUAL, Line, Tally, World, world_of
from lersbench.audit.shapes import COMPILED
from lersbench.results import customers
from lersbench.results.separation import separate

TABLES, FEW = 500, 15  # in full and quickly
SHARED = 0.5  # of the variance of customers: what one contender earns from a customer, all do
LOG, NEW = "this log", "new customers"


def sums_of(world: World, seeds: tuple[int, int], rng: np.random.Generator) -> list[customers.Sums]:
    """The sums of all contenders: a mean, effects of seeds, of customers (in part the same for all), and noise."""
    rounds = np.bincount(rng.integers(BLOCKS, size=ROUNDS), minlength=BLOCKS).astype(np.float64)
    crowd, out = rng.normal(size=BLOCKS), []
    for i, family in enumerate(world.families):
        n = seeds[0] if family == COMPILED else seeds[1]
        value = (world.mean[i] + world.sd[i] * rng.normal(size=n)) / 100
        likes = OF_CUSTOMERS * (SHARED**0.5 * crowd + (1 - SHARED) ** 0.5 * rng.normal(size=BLOCKS))
        noise = OF_NOISE * rng.normal(size=(n, BLOCKS))
        paid = rounds * value[:, None] + np.sqrt(rounds) * (likes + noise)
        out.append(customers.Sums(paid, np.broadcast_to(rounds, paid.shape)))
    return out


def play(part: str, quick: bool, rng: np.random.Generator) -> dict[str, Line]:
    """One world, judged by both."""
    name, correction = part.split(", ")
    world = world_of(name, NORMAL)
    tallies = {which: Tally(world, correction == "all pairs") for which in (LOG, NEW)}
    for _ in range(FEW if quick else TABLES):
        sums = sums_of(world, USUAL, rng)
        values = np.full((len(sums), max(USUAL)), np.nan)
        for row, one in zip(values, sums, strict=True):
            row[: len(one.paid)] = one.paid.sum(axis=1) / one.rounds.sum(axis=1)
        seeds = separate(values, world.families, floor=1 / ROUNDS)
        anew = customers.separate(customers.crowd(sums), seeds)
        tallies[LOG].add(seeds.p, seeds.mean)
        tallies[NEW].add(anew.p, anew.mean)
    return {which: tally.line() for which, tally in tallies.items()}


def told(lines: Mapping[str, dict[str, Line]], quick: bool) -> Found:
    """The table, and what must hold of it."""
    rows, checks, tables = [], [], FEW if quick else TABLES
    for correction in ("all pairs", "own pairs"):
        real, null = (lines[f"{name}, {correction}"] for name in (REAL, NULL))
        for which in (LOG, NEW):
            own = " / ".join(share(x) for x in null[which].own_false)
            found = f"{real[which].width:.1f}", share(real[which].found)
            rows.append([which, correction, *found, share(real[which].any_false), share(null[which].any_false), own])
    together = lines[f"{NULL}, all pairs"][NEW].any_false
    checks.append(holds("new customers, all equal: 5 % of the tables", together, tables, 0, 0.05))
    for kind, wrong in zip((COMPILED, "neural"), lines[f"{NULL}, own pairs"][NEW].own_false, strict=True):
        checks.append(holds(f"new customers, all equal: a {kind} range is wrong with 5 %", wrong, tables, 0, 0.05))
    head = ["ranks by", "correction", "width", "pairs found", f"false: {REAL}", f"false: {NULL}", "own range wrong"]
    return Found([("", grid(head, rows, 2))], checks)


def parts() -> list[str]:
    return [f"{name}, {correction}" for name in (REAL, NULL) for correction in ("all pairs", "own pairs")]


ABOUT = f"""The contenders and columns of "Rank ranges", with {USUAL[0]} and {USUAL[1]} seeds and normal values, on
{ROUNDS:,} customers whom they share; half of the variance of what a customer brings is the same for all of them.
{TABLES} tables. The truth is the mean over all customers there are."""

CLAIM = Claim("anew", "Rank ranges for new customers", ABOUT, parts, play, told)
