"""Worlds whose truth is known, of any size: for tests, benchmarks and regret curves.

A round draws a context x = (1, u), u uniform on the unit sphere (so d counts the constant), and for each candidate
joint features f = (1, z), z uniform on the unit sphere. The logit or the expected reward of item i is

    bias_i + w_i . u + beta . z

where `linear` takes it as the probability of a click (bias and weights are scaled so that it never leaves [0, 1]) and
`logistic` puts it through the sigmoid. In both the mean over rounds and items is `click_rate`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from lersbench.bounds import Size
from lersbench.datasets.lists.draws import distinct
from lersbench.errors import ConfigError
from lersbench.log import Log, write
from lersbench.options import OptionSet, option

TITLE = "Synthetic: linear and logistic worlds with known expected rewards"
LICENCE = "Apache-2.0"
ATTRIBUTION = "lersbench"

CHUNK_BYTES = 16 << 20  # of the widest arrays of a chunk
SAMPLE = 200_000  # (round, item) pairs that calibrate the intercept of a logistic world
LOGIT_SCALE = 4.0  # length of the weights of a logistic world: expected rewards differ severalfold between items


class World(NamedTuple):
    """The truth: `bias` (n_items,), `weights` (n_items, d - 1) on u, `beta` (m - 1,) on z."""

    logistic: bool
    bias: np.ndarray
    weights: np.ndarray
    beta: np.ndarray

    def expected(self, items: np.ndarray, u: np.ndarray, z: np.ndarray) -> np.ndarray:
        """P(click) of `items` (n, k) or (1, k), given u (n, d - 1) and z (n, k, m - 1); shape (n, k)."""
        value = self.value(items, u, z)
        return _sigmoid(value) if self.logistic else np.clip(value, 0, 1)  # the clip is against rounding only

    def value(self, items: np.ndarray, u: np.ndarray, z: np.ndarray) -> np.ndarray:
        """bias + w . u + beta . z, (n, k)."""
        value = np.repeat(self.bias[items], len(u) // len(items), axis=0)
        if items.shape[0] == 1:
            value += u @ self.weights[items[0]].T
        else:
            for j in range(u.shape[1]):  # one (n, k) block at a time: gathering all weights would take d times as much
                value += u[:, j, None] * self.weights[items, j]
        return value + z @ self.beta


@dataclass(frozen=True, kw_only=True)
class Options(OptionSet):
    """What a world has.

    Attributes:
        world: how the expected reward follows from context and features (see the module).
        d: width of the context, the constant included; 0 for none. m: width of the joint features, likewise.
        C: candidates a round, drawn uniformly from the items; 0 offers all items.
        L: length of the logged slate, drawn uniformly without repetition (propensity 1/C at each position); 0 for none.
        click_rate: mean expected reward, in (0, 1).
        feedback: "full" keeps the whole row of drawn clicks, "logged" only the slate's.
        expected: also keep the true expected rewards.
        users: draw users with a fixed context each; 0 draws a new context every round.
    """

    world: Literal["linear", "logistic"] = "linear"
    rounds: int = option(10_000, least=1)
    items: int = option(20, least=1)
    d: int = option(10, least=0)
    m: int = option(0, least=0)
    C: int = option(0, least=0)
    L: int = option(0, least=0)
    click_rate: float = option(0.1, least=0, most=1, open=True)
    feedback: Literal["full", "logged"] = "full"
    expected: bool = False
    users: int = option(0, least=0)
    seed: int = option(0, least=0)


def build(out: Path, **values: Any) -> Log:
    """Write a synthetic log; `values` are those of `Options`. Raises ConfigError for sizes that fit no log."""
    options = Options(**values)
    candidates = options.C or options.items
    _check(options, candidates)
    truth = _world(options.world, options.items, options.d, options.m, options.click_rate, options.seed)
    known = _sphere(np.random.default_rng([options.seed, 2]), options.users, options.d - 1) if options.users else None
    provenance = {
        "world": options.world,
        "click_rate": options.click_rate,
        "seed": options.seed,
        "bias": truth.bias.tolist() if options.items <= 100 else f"{options.items} values",
    }
    return write(
        out,
        _chunks(truth, known, options, candidates),
        name="synthetic",
        items=options.items,
        users=options.users or None,
        propensities="uniform" if options.L else "none",
        licence=LICENCE,
        attribution=ATTRIBUTION,
        provenance=provenance,
    )


def size(*, rounds: int, items: int, d: int, m: int, C: int, L: int, feedback: str, expected: bool, **_: Any) -> Size:
    """How large the log of these options is."""
    C = C or items
    row = 8 * (1 + d) + C * (4 * (items > C) + 8 * m + 4 * (feedback == "full") + 8 * expected) + 13 * L
    return Size(rounds, C, items, d + m, rounds * row)


def _check(options: Options, candidates: int) -> None:
    """Raise ConfigError for options that contradict each other."""
    if options.items < candidates:
        raise ConfigError(f"option C = {candidates} candidates cannot be drawn from items = {options.items}.")
    if candidates < options.L:
        raise ConfigError(f"option L = {options.L} is longer than the {candidates} candidates on offer.")
    if options.feedback == "logged" and options.L == 0:
        raise ConfigError("feedback = 'logged' needs a logged slate: set the option L to its length, 1 or more.")


def _world(kind: str, items: int, d: int, m: int, click_rate: float, seed: int) -> World:
    rng = np.random.default_rng([seed, 0])
    weights, beta = _sphere(rng, items, d - 1), _sphere(rng, 1, m - 1)[0]
    spread = rng.permutation(np.linspace(-1, 1, items)) if items > 1 else np.zeros(1)
    if m and not d:
        spread[:] = 0  # only the features tell items apart
    if kind == "linear":
        bias = click_rate + 0.5 * min(click_rate, 1 - click_rate) * spread
        margin = np.minimum(bias, 1 - bias)  # what u and z may add or take away
        share = 0.5 if d > 1 and m > 1 else 1.0
        return World(False, bias, weights * (share * margin)[:, None], beta * (share * margin.min()))
    uncalibrated = World(True, spread, weights * LOGIT_SCALE, beta * LOGIT_SCALE)
    return uncalibrated._replace(bias=spread + _intercept(uncalibrated, click_rate, rng))


def _intercept(world: World, click_rate: float, rng: np.random.Generator) -> float:
    """The intercept at which the mean expected reward over `SAMPLE` (round, item) pairs is `click_rate`.

    By bisection; the items come in turn.
    """
    item = np.arange(SAMPLE)[:, None] % len(world.bias)
    u = _sphere(rng, SAMPLE, world.weights.shape[1])
    z = _sphere(rng, SAMPLE, len(world.beta))[:, None, :]
    value = world.value(item, u, z)
    low, high = -40.0, 40.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if _sigmoid(value + middle).mean() < click_rate else (low, middle)
    return low


def _sigmoid(value: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-value))


def _sphere(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    """(n, dim) points, uniform on the unit sphere; (n, 0) where dim is not positive."""
    points = rng.standard_normal((n, max(dim, 0)))
    return points / np.sqrt(np.einsum("ij,ij->i", points, points))[:, None] if dim > 0 else points


def _chunks(world: World, known: np.ndarray | None, options: Options, C: int) -> Iterator[dict[str, np.ndarray]]:
    rows = max(1, CHUNK_BYTES // (8 * (C * (options.m + 2) + options.d + 3 * options.L + 1)))
    for start in range(0, options.rounds, rows):
        n = min(rows, options.rounds - start)
        rng = np.random.default_rng([options.seed, 1, start])
        chunk = {}
        if known is None:
            u = _sphere(rng, n, options.d - 1)
        else:
            chunk["user"] = rng.integers(len(known), size=n)
            u = known[chunk["user"]]
        if options.d:
            chunk["context"] = np.hstack([np.ones((n, 1)), u])
        offered = np.arange(options.items)[None, :]
        if options.items > C:
            offered = chunk["candidates"] = distinct(rng, n, options.items, C)
        z = _sphere(rng, n * C, options.m - 1).reshape(n, C, -1)
        if options.m:
            chunk["features"] = np.concatenate([np.ones((n, C, 1)), z], axis=2)
        _feedback(chunk, world, rng, offered, u, z, options.L, options.feedback, options.expected)
        yield chunk


def _feedback(
    chunk: dict[str, np.ndarray],
    world: World,
    rng: np.random.Generator,
    offered: np.ndarray,
    u: np.ndarray,
    z: np.ndarray,
    L: int,
    feedback: str,
    expected: bool,
) -> None:
    """Draw clicks, and the slate where one is logged, into `chunk`."""
    n, C = len(u), offered.shape[1]
    shown = distinct(rng, n, C, L)
    if feedback == "full" or expected:
        truth = world.expected(offered, u, z)
        if expected:
            chunk["expected"] = truth
        at_slate = np.take_along_axis(truth, shown, axis=1)
    if feedback == "full":
        chunk["rewards"] = (rng.random((n, C)) < truth).astype(np.float32)
        clicks = np.take_along_axis(chunk["rewards"], shown, axis=1)
    elif not expected:
        slate_z = np.take_along_axis(z, shown[:, :, None], axis=1)
        at_slate = world.expected(_items(offered, shown), u, slate_z)
    if L:
        chunk["slate"] = _items(offered, shown)
        chunk["clicks"] = clicks if feedback == "full" else rng.random((n, L)) < at_slate
        chunk["clicks"] = chunk["clicks"].astype(np.int8)
        chunk["propensities"] = np.full((n, L), 1 / C)


def _items(offered: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """The items at the places `shown` (n, L) of the candidates `offered` (n, C) or (1, C)."""
    return offered[0][shown] if len(offered) == 1 else np.take_along_axis(offered, shown, axis=1)
