"""Lists shown by a Plackett-Luce logger to users of four kinds: which estimator of lists is right for whom."""

from __future__ import annotations

import itertools
import math
from functools import partial
from typing import NamedTuple

import numpy as np

from lersbench.audit.judging import Known, answers_of
from lersbench.audit.world import NORMAL, Answer, Check, Group, Lines, World
from lersbench.clicks.model import ClickModel, cascade, dcm, draw_clicks, expected, pbm, ubm
from lersbench.evaluation import answers
from lersbench.evaluation.answers import Range
from lersbench.evaluation.logged import first_only
from lersbench.kernels.jit import kernel
from lersbench.offpolicy.sums import Settings, Sums, add, buckets_of, new_sums

LISTS, ITEMS, PLACES = 5000, 5, 3
SLATES = np.array(list(itertools.permutations(range(ITEMS), PLACES)))  # (60, 3): all there are
ATTRACTION = np.array([0.15, 0.25, 0.35, 0.45, 0.3])
LOGGER, TARGET = np.array([0.3, 0.2, 0.0, -0.2, 0.1]), np.array([-0.3, -0.1, 0.3, 0.6, 0.0])
USERS = {
    "PBM": pbm([0.9, 0.6, 0.35]),
    "UBM": ubm([[0.9, 0, 0, 0], [0.5, 0.85, 0, 0], [0.25, 0.45, 0.8, 0]]),
    "cascade": cascade(PLACES),
    "DCM": dcm([0.6, 0.4, 0.3]),
}


class Chances(NamedTuple):
    """A Plackett-Luce policy over the 60 lists."""

    whole: np.ndarray  # (60,)
    prefix: np.ndarray  # (60, 3) that the list begins so
    place: np.ndarray  # (60, 3) that the item stands there


def chances_of(scores: np.ndarray) -> Chances:
    """By enumeration."""
    worth = np.exp(scores)[SLATES]
    left = np.exp(scores).sum() - np.cumsum(worth, axis=1) + worth
    prefix = np.cumprod(worth / left, axis=1)
    at = np.zeros((ITEMS, PLACES))
    np.add.at(at, (SLATES, np.arange(PLACES)), prefix[:, -1:])
    return Chances(prefix[:, -1], prefix, at[SLATES, np.arange(PLACES)])


LOGGED, WANTED = chances_of(LOGGER), chances_of(TARGET)


def worth_of(users: ClickModel) -> np.ndarray:
    """(60, 2) expected clicks on each list, and the chance of at least one."""
    reached, examined = np.empty(PLACES + 1), np.empty(PLACES)
    return np.array([expected(users.weights, users.goes_on, ATTRACTION[s], reached, examined) for s in SLATES])


@kernel
def clicked(
    weights: np.ndarray,
    goes_on: np.ndarray,
    attraction: np.ndarray,
    slates: np.ndarray,
    keys: np.ndarray,
    out: np.ndarray,
) -> None:
    """Fill `out` (n, K) with the clicks of the users `keys` (n,) on `slates` (n, K)."""
    seen = np.zeros(slates.shape[1], np.int64)
    for i in range(slates.shape[0]):
        draw_clicks(weights, goes_on, attraction[slates[i]], slates[i], keys[i], out[i], seen)


def play(kind: str, any_click: bool, rng: np.random.Generator) -> list[Answer]:
    """One log."""
    users = USERS[kind]
    at = np.minimum(np.searchsorted(LOGGED.whole.cumsum(), rng.random(LISTS)), len(SLATES) - 1)
    clicks = np.zeros((LISTS, PLACES), np.int64)
    clicked(users.weights, users.goes_on, ATTRACTION, SLATES[at], rng.integers(1 << 31, size=LISTS), clicks)
    r = clicks.astype(np.float64)
    if any_click:
        r = first_only(r.ravel(), np.arange(LISTS + 1) * PLACES).reshape(r.shape)
    return estimated(at, r, float(WANTED.whole @ worth_of(users)[:, int(any_click)]))


def estimated(at: np.ndarray, r: np.ndarray, truth: float) -> list[Answer]:
    """SIPS, RIPS and IIPS of lists `at` (n,) with rewards `r` (n, K)."""
    bucket = buckets_of(None, len(at))
    counts, known, whole = np.bincount(bucket, minlength=1024), Known(lists=True), Range(0.0, PLACES, math.inf)
    sums = _summed(WANTED.whole[at] / LOGGED.whole[at], r.sum(axis=1), LOGGED.whole[at], bucket, float(PLACES))
    out = answers_of(answers.estimate_of("sips", sums, counts, whole), truth, known)
    for name, wanted, logged in (("rips", WANTED.prefix, LOGGED.prefix), ("iips", WANTED.place, LOGGED.place)):
        w, p = (wanted / logged)[at], logged[at]
        places = [_summed(w[:, k], r[:, k], p[:, k], bucket, 1.0) for k in range(PLACES)]
        spans = [whole, *[Range(0.0, 1.0, math.inf)] * PLACES]
        out += answers_of(answers.by_place(name, places, counts, spans)[0], truth, known)
    return out


def _summed(w: np.ndarray, r: np.ndarray, p: np.ndarray, bucket: np.ndarray, most: float) -> Sums:
    sums = new_sums(Settings(0.0, most))
    add(sums, w, r, p, bucket)
    return sums


def off(name: str, lines: Lines) -> list[Check]:
    """An estimator that assumes what these users do not do."""
    line = lines[name, NORMAL]
    return [
        Check(f"{name} is off for these users", abs(line.error) > line.margin + 0.1 * line.sd, f"{line.error:+.4f}")
    ]


def nothing(lines: Lines) -> list[Check]:
    return []


def _world(kind: str, any_click: bool = False) -> World:
    right = ("rips", "iips") if kind == "PBM" and not any_click else ("rips",)
    name = f"W8 {kind}{', lists with a click' if any_click else ''}"
    more = nothing if "iips" in right else partial(off, "iips")
    return World(name, "W8", 1000, 60, partial(play, kind, any_click), ("sips",), right, ("sips", *right), more)


GROUP = Group(
    "W8",
    "Lists",
    f"""{LISTS:,} lists of three of five items, drawn item by item (Plackett-Luce), shown to users of one kind each:
position-based (PBM: whether a place is looked at depends on the place), user browsing (UBM: also on the last click
above), cascade (who clicks leaves) and dependent click (DCM: who clicks may leave). SIPS weighs whole lists and is
right for all; RIPS weighs by what stands above, and is right where clicks depend on no more, as for all four. IIPS
looks at the item and its place alone: right for PBM users, with the smallest spread, and wrong for the others, without
any sign in its weights: no verdict can know how users click. For the share of lists with a click only SIPS and RIPS
are right, whoever looks; `evaluate` refuses IIPS there, and this is why.""",
    [*(_world(kind) for kind in USERS), _world("PBM", True), _world("cascade", True)],
)
