"""How often the interval for new customers holds the truth: in layouts of seeds and customers, and in real replays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from lersbench.audit.claims import Claim, Found, grid, holds, share
from lersbench.audit.replays import Log, log_of, sums_of
from lersbench.audit.world import Check
from lersbench.feedback import USUAL
from lersbench.policy import Policy, load
from lersbench.results.customers import Sums, crowd, differences, errors
from lersbench.results.separation import separate
from lersbench.results.statistics import around, interval

BLOCKS = 256  # of a layout
ROUNDS = 1000

# Layouts of random effects.
LAYOUTS, FEW_LAYOUTS = 2000, 150  # in full and quickly
SEEDS = (3, 5, 10, 30, 100)
MEAN, OF_CUSTOMERS, OF_NOISE = 0.2, 0.3, 0.3  # mean of a round; sd by customer, and of what is left
OF_SEEDS = {"no seed effect": 0.0, "small seed effect": 0.01, "seed effect": 0.03, "two humps": 0.03}
HUMP, AWAY = 0.15, 5.0  # share of seeds that end elsewhere, and how far in standard deviations

# Replays.
LOGS, FEW, RUNS = 300, 15, 5  # logs in full and quickly, and seeds of each
ELSEWHERE, FEW_ELSEWHERE = 1500, 60  # further logs, of one seed each, that the truth is taken from
ITEMS, CONTEXT = 20, 4
VISITS = {"customers come once": 1, "customers come five times": 5}
POLICIES: dict[str, tuple[Policy, str]] = {
    "random": (load("random"), USUAL),
    "first": (load("first"), USUAL),
    "popular (full)": (load("popular"), "full"),
    "popular (bandit)": (load("popular"), USUAL),
    "epsilon-greedy": (load("epsilon-greedy", epsilon=0.1), USUAL),
    "thompson": (load("thompson"), USUAL),
    "linucb": (load("linucb", alpha=0.3), USUAL),
}
RULES = ("random", "first")  # they learn nothing
PAIRS = [("linucb", "popular (full)"), ("epsilon-greedy", "random"), ("popular (full)", "first")]


# Layouts --------------------------------------------------------------------------------------------------------------
def layout(kind: str, seeds: int, rng: np.random.Generator) -> Sums:
    """A contender on ROUNDS rounds: a mean, an effect of each seed, one of each block of customers, and noise."""
    rounds = np.bincount(rng.integers(BLOCKS, size=ROUNDS), minlength=BLOCKS).astype(np.float64)
    effect = OF_SEEDS[kind] * _standard(kind, seeds, rng)
    customers = OF_CUSTOMERS * rng.normal(size=BLOCKS)
    noise = OF_NOISE * rng.normal(size=(seeds, BLOCKS))
    paid = rounds * (MEAN + effect[:, None]) + np.sqrt(rounds) * (customers + noise)
    return Sums(paid, np.broadcast_to(rounds, paid.shape))


def _standard(kind: str, seeds: int, rng: np.random.Generator) -> np.ndarray:
    """(seeds,) effects with mean 0 and standard deviation 1."""
    effect = rng.normal(size=seeds)
    if kind != "two humps":
        return effect
    effect += AWAY * (rng.random(seeds) < HUMP)
    return (effect - HUMP * AWAY) / (1 + HUMP * (1 - HUMP) * AWAY**2) ** 0.5


def play_layout(kind: str, quick: bool, rng: np.random.Generator) -> list[tuple[float, float]]:
    """For each number of seeds: how often this log's and the customers' interval hold the mean."""
    out = []
    for seeds in SEEDS:
        held = [
            [inside(span, MEAN) for span in intervals(layout(kind, seeds, rng))]
            for _ in range(FEW_LAYOUTS if quick else LAYOUTS)
        ]
        out.append(tuple(np.mean(held, axis=0).tolist()))
    return out


def inside(span: tuple[Any, Any, Any], truth: float) -> bool:
    return bool(span[1] <= truth <= span[2])


def intervals(one: Sums) -> tuple[Any, Any]:
    """Of one contender: over seeds on this log, and for new customers."""
    value = one.paid.sum() / one.rounds.sum()
    found = errors(crowd([one]))
    mine = interval(one.paid.sum(axis=1) / one.rounds.sum(axis=1), "shuffle", floor=1 / ROUNDS)
    return mine, around(value, found.total[0], found.df[0])


# Replays --------------------------------------------------------------------------------------------------------------
class Population(NamedTuple):
    """Customers without end: P(customer x likes item i) is logistic in x, with a taste of each customer's own."""

    general: np.ndarray  # (items,)
    slopes: np.ndarray  # (items, d)

    def log(self, visits: int, rng: np.random.Generator) -> Log:
        """ROUNDS rounds of new customers, each of whom comes `visits` times with the same context and taste."""
        n = ROUNDS // visits
        context = np.column_stack([np.ones(n), rng.normal(size=(n, CONTEXT - 1))])
        taste = self.general + context[:, 1:] @ self.slopes.T + rng.normal(size=(n, ITEMS))
        user = np.repeat(np.arange(n), visits)
        likes = rng.random((ROUNDS, ITEMS)) < 1 / (1 + np.exp(-taste[user]))
        return log_of(user, context[user], likes)


def population() -> Population:
    rng = np.random.default_rng(20)
    return Population(rng.normal(-2.0, 0.7, ITEMS), rng.normal(size=(ITEMS, CONTEXT - 1)))


class Replay(NamedTuple):
    """What the intervals of a contender, or of a difference, came to."""

    truth: float
    covers: tuple[float, float]  # this log, new customers
    width: tuple[float, float]  # mean half widths


def play_replay(kind: str, quick: bool, rng: np.random.Generator) -> dict[str, Replay]:
    """All policies and pairs on the logs of one world."""
    people, visits = population(), VISITS[kind]
    found: dict[str, list[Any]] = {name: [] for name in (*POLICIES, *map(_name, PAIRS))}
    truths: dict[str, list[float]] = {name: [] for name in POLICIES}
    for _ in range(FEW_ELSEWHERE if quick else ELSEWHERE):
        log = people.log(visits, rng)
        for name, (policy, feedback) in POLICIES.items():
            truths[name].append(sums_of(log, policy, feedback, 1, rng).paid.sum() / ROUNDS)
    for _ in range(FEW if quick else LOGS):
        log = people.log(visits, rng)
        sums = {name: sums_of(log, *how, RUNS, rng) for name, how in POLICIES.items()}
        for name, one in sums.items():
            found[name].append(intervals(one))
        for pair in PAIRS:
            found[_name(pair)].append(_difference([sums[name] for name in pair]))
    truth = {name: float(np.mean(values)) for name, values in truths.items()}
    truth |= {_name((a, b)): truth[a] - truth[b] for a, b in PAIRS}
    return {name: _summary(spans, truth[name]) for name, spans in found.items()}


def _name(pair: tuple[str, str]) -> str:
    return f"{pair[0]} - {pair[1]}"


def _difference(pair: list[Sums]) -> tuple[Any, Any]:
    """Of the difference of two contenders: over seeds on this log, and for new customers."""
    values = np.array([one.paid.sum(axis=1) / one.rounds.sum(axis=1) for one in pair])
    still = np.array([np.ptp(row) == 0 for row in values])
    seeds = separate(values, ["compiled", "compiled"], floor=1 / ROUNDS, steady=still)
    found = differences(crowd(pair), seeds)
    mean = seeds.mean[0, 1]
    return around(mean, seeds.variance[0, 1], seeds.df[0, 1]), around(mean, found.total[0, 1], found.df[0, 1])


def _summary(spans: list[tuple[Any, Any]], truth: float) -> Replay:
    covers = [float(np.mean([inside(both[i], truth) for both in spans])) for i in (0, 1)]
    width = [float(np.mean([(both[i].high - both[i].low) / 2 for both in spans])) for i in (0, 1)]
    return Replay(truth, (covers[0], covers[1]), (width[0], width[1]))


# The claim ------------------------------------------------------------------------------------------------------------
def parts() -> list[str]:
    return [*VISITS, *OF_SEEDS]


def play(part: str, quick: bool, rng: np.random.Generator) -> Any:
    return play_replay(part, quick, rng) if part in VISITS else play_layout(part, quick, rng)


def told(lines: Mapping[str, Any], quick: bool) -> Found:
    """The tables, and what must hold of them."""
    rows = [[kind, *(share(x[1]) for x in lines[kind])] for kind in OF_SEEDS]
    tables = [
        (
            f"Layouts of random effects, {LAYOUTS:,} of each: coverage of the interval for new customers.",
            grid(["layout", *(f"{n} seeds" for n in SEEDS)], rows),
        )
    ]
    tables += [(f"Replays, {RUNS} seeds, {kind}:", _replays(lines[kind])) for kind in VISITS]
    return Found(tables, [*_layout_checks(lines, quick), *_replay_checks(lines, quick)])


def _replays(found: Mapping[str, Replay]) -> str:
    head = ["value", "truth", "this log: covers", "half width", "new customers: cover", "half width"]
    return grid(
        head,
        [
            [
                name,
                f"{one.truth:.4f}",
                share(one.covers[0]),
                f"{one.width[0]:.4f}",
                share(one.covers[1]),
                f"{one.width[1]:.4f}",
            ]
            for name, one in found.items()
        ],
    )


def _layout_checks(lines: Mapping[str, Any], quick: bool) -> list[Check]:
    runs = FEW_LAYOUTS if quick else LAYOUTS
    return [
        holds(f"{kind}, {seeds} seeds: 93 to 97 %", line[1], runs, 0.93, 0.97)
        for kind in OF_SEEDS
        if kind != "two humps"
        for seeds, line in zip(SEEDS, lines[kind], strict=True)
    ]


def _replay_checks(lines: Mapping[str, Any], quick: bool) -> list[Check]:
    logs, checks = FEW if quick else LOGS, []
    for kind in VISITS:
        for name, one in lines[kind].items():
            least, what = (0.93, "93 to 97 %") if name in RULES else (0.8, "a learner, at least 80 %")
            checks.append(holds(f"{kind}, {name}: {what}", one.covers[1], logs, least, 0.97))
    return checks


ABOUT = f"""Rewards and rounds are added up by seed and by block of customers, and the interval is to hold what the
policy earns from another log of as many new customers. First, sums are drawn from a layout of random effects on
{BLOCKS} blocks: of seeds, of customers, and of what is left. Then policies replay logs of {ROUNDS:,} rounds of
customers who are drawn from a population without end, in {RUNS} orders; {LOGS} logs, each customer a block. The truth
is the mean over {ELSEWHERE:,} further logs, a run on each. *This log* is the interval over seeds. It is not meant to
hold what other customers bring, and the table says how far it is from doing so.

Of learners the interval for new customers is somewhat narrow: what they learn from some customers changes what they
earn from all others, and no sum by customer shows that. It matters most where a policy follows whoever leads while
several items are nearly as good."""

CLAIM = Claim(
    "customers",
    "New customers",
    ABOUT,
    parts,
    play,
    told,
)
