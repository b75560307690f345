"""Whole evaluations beside naive ones, row by row as the textbook has them, on small random logs of every shape."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lersbench as lb
from lersbench.engine.learning import AGAIN, NOISE
from lersbench.evaluation import logged, run
from lersbench.evaluation.model import candidates_of
from lersbench.kernels.ties import scramble
from lersbench.log import Log, write

KINDS = ("uniform", "position", "conditional", "slate", "scores")
NEAR = 1e-9


# The policies that are judged -----------------------------------------------------------------------------------------
def strengths(items: Any, context: Any, tilt: float) -> np.ndarray:
    """How strongly a Plackett-Luce policy wants each item."""
    return np.exp([tilt * math.sin(1.0 + 2.0 * item + 3.0 * float(np.sum(context))) for item in items])


@dataclass(frozen=True)
class Drawing(lb.Policy):
    """Plackett-Luce by the context, which says its chances or not."""

    tilt: float = 1.0
    learns = False

    def init(self, spec: lb.Spec) -> None:
        return None

    def select(self, state: Any, rng: Any, round: lb.Round, slate: np.ndarray) -> None:
        wanted = strengths(round.candidates, round.context, self.tilt)
        slate[:] = np.argsort(-np.log(wanted) - rng.gumbel(size=len(wanted)))[: len(slate)]

    def chance(self, state: Any, round: lb.Round, slate: np.ndarray, out: np.ndarray) -> None:
        wanted = strengths(round.candidates, round.context, self.tilt)
        for k in range(len(slate)):
            out[k] = wanted[slate[k]] / wanted.sum()
            wanted[slate[k]] = 0.0

    def update(self, *feedback: Any) -> None:
        pass


@dataclass(frozen=True)
class Sorting(lb.Policy):
    """Deterministic, by scores some of which are equal."""

    tilt: float = 1.0
    learns = False
    deterministic = True

    def init(self, spec: lb.Spec) -> None:
        return None

    def select(self, state: Any, rng: Any, round: lb.Round, slate: np.ndarray) -> None:
        round.scores[:] = np.round(np.log(strengths(round.candidates, round.context, self.tilt)), 0)
        slate[:] = np.argsort(-round.scores, kind="stable")[: len(slate)]

    def update(self, *feedback: Any) -> None:
        pass


@dataclass(frozen=True)
class Counting(lb.Policy):
    """Learns the mean reward of each item, and chooses Plackett-Luce by it."""

    def init(self, spec: lb.Spec) -> dict[int, list[float]]:
        return {}

    def _wanted(self, state: Any, items: Any) -> np.ndarray:
        return np.exp([2.0 * np.mean([0.5, *state.get(int(item), [])]) for item in items])

    def select(self, state: Any, rng: Any, round: lb.Round, slate: np.ndarray) -> None:
        wanted = self._wanted(state, round.candidates)
        slate[:] = np.argsort(-np.log(wanted) - rng.gumbel(size=len(wanted)))[: len(slate)]

    def chance(self, state: Any, round: lb.Round, slate: np.ndarray, out: np.ndarray) -> None:
        wanted = self._wanted(state, round.candidates)
        for k in range(len(slate)):
            out[k] = wanted[slate[k]] / wanted.sum()
            wanted[slate[k]] = 0.0

    def update(self, state: Any, round: lb.Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
        for k, chosen in enumerate(slate):
            state.setdefault(int(round.candidates[chosen]), []).append(float(rewards[k]))


# The logs -------------------------------------------------------------------------------------------------------------
@dataclass
class Row:
    """A list as it was logged."""

    context: np.ndarray
    items: list[int]  # candidates
    shown: list[int]  # indices into them
    rewards: list[float]
    user: int
    logger: np.ndarray  # strengths of the logging policy
    p: list[float] = field(default_factory=list)  # of the items given those above
    placed: list[float] = field(default_factory=list)  # of the items at their places


def lists(wanted: np.ndarray, length: int) -> dict[tuple[int, ...], list[float]]:
    """Every list of a Plackett-Luce policy with the chances of its items given those above."""
    every = {}
    for order in permutations(range(len(wanted)), length):
        left, chances = wanted.sum(), []
        for chosen in order:
            chances.append(min(1.0, wanted[chosen] / left))
            left -= wanted[chosen]
        every[order] = chances
    return every


def rows_of(rng: np.random.Generator, kind: str, places: int, own: bool, ragged: bool, payments: Any) -> list[Row]:
    rows, every, n = [], 6, int(rng.integers(25, 60))
    for _ in range(n):
        wide = int(rng.integers(places, every + 1)) if own else every
        items = sorted(rng.choice(every, wide, replace=False).tolist()) if own else list(range(every))
        length = int(rng.integers(1, places + 1)) if ragged else places
        context = rng.integers(0, 3, 2).astype(float)
        wanted = np.ones(wide) if kind == "uniform" else strengths(items, context, -0.7)
        known = lists(wanted, length)
        chosen = list(known)[rng.choice(len(known), p=[math.prod(p) for p in known.values()])]
        row = Row(context, items, list(chosen), rng.choice(payments, length).tolist(), int(rng.integers(0, 9)), wanted)
        row.p = known[chosen]
        row.placed = [
            min(1.0, sum(math.prod(p) for order, p in known.items() if order[k] == chosen[k])) for k in range(length)
        ]
        rows.append(row)
    return rows


def log_of(folder: Path, rows: list[Row], kind: str, own: bool, users: bool, outcome: str) -> Log:
    given = {
        "uniform": lambda row: row.placed,
        "position": lambda row: row.placed,
        "conditional": lambda row: row.p,
        "slate": lambda row: [math.prod(row.p)] * len(row.p),
        "scores": lambda row: row.p,
    }[kind]
    ragged = len({len(row.shown) for row in rows}) > 1
    wide = len({len(row.items) for row in rows}) > 1

    def array(values: list[list[Any]], uneven: bool) -> Any:
        return values if uneven else np.array(values)

    columns: dict[str, Any] = {
        "context": np.array([row.context for row in rows]),
        "slate": array([[row.items[c] for c in row.shown] for row in rows], ragged),
        "propensities": array([given(row) for row in rows], ragged),
    }
    if own:
        columns["candidates"] = array([row.items for row in rows], wide)
    if kind == "scores":
        columns["scores"] = array([np.log(row.logger).tolist() for row in rows], wide)
    if users:
        columns["user"] = np.array([row.user for row in rows])
    outcomes = None
    if outcome == "click":
        columns["clicks"] = array([[int(r) for r in row.rewards] for row in rows], ragged)
    else:
        columns["outcome_gain"] = array([row.rewards for row in rows], ragged)
        columns["clicks"] = array([[int(r > 0) for r in row.rewards] for row in rows], ragged)
        outcomes = {"gain": {"low": -3.0, "high": 5.0, "unit": "EUR"}}
    return write(
        folder,
        columns,
        name="small",
        items=6,
        propensities="uniform" if kind == "uniform" else "logged",
        propensity_kind="conditional" if kind == "scores" else "position" if kind == "uniform" else kind,
        outcomes=outcomes,
        **({"users": 9} if users else {}),
    )


# The twins ------------------------------------------------------------------------------------------------------------
def conditionals(policy: Any, row: Row) -> tuple[list[float], list[float]]:
    """The policy's chances of the logged items given those above, and of each at its place, by all lists there are."""
    if isinstance(policy, Sorting):
        scores = np.round(np.log(strengths(row.items, row.context, policy.tilt)), 0)
        orders = [o for o in permutations(range(len(scores))) if all(scores[a] >= scores[b] for a, b in pairwise(o))]
        whole = {order: 1 / len(orders) for order in orders}
    else:
        wanted = strengths(row.items, row.context, policy.tilt)
        whole = {order: math.prod(p) for order, p in lists(wanted, len(row.shown)).items()}
    prefix = [
        sum(p for order, p in whole.items() if list(order[: k + 1]) == row.shown[: k + 1])
        for k in range(len(row.shown))
    ]
    placed = [sum(p for order, p in whole.items() if order[k] == c) for k, c in enumerate(row.shown)]
    return prefix, placed


def every_chance(policy: Any, row: Row) -> list[float]:
    """The policy's chance of each candidate to be the one that is shown."""
    found = []
    for chosen in range(len(row.items)):
        found.append(conditionals(policy, Row(row.context, row.items, [chosen], [0.0], 0, row.logger))[0][0])
    return found


def by_place(weights: list[list[float]], rewards: list[list[float]]) -> float:
    """The sum over places of the self-normalised reward there, times the share of lists that have it."""
    total = 0.0
    for k in range(max(map(len, weights))):
        there = [i for i, w in enumerate(weights) if len(w) > k]
        w = sum(weights[i][k] for i in there)
        total += sum(weights[i][k] * rewards[i][k] for i in there) / w * len(there) / len(weights)
    return total


def reached(weights: list[list[float]]) -> bool:
    """Does every place have a row of some weight?"""
    return all(sum(w[k] for w in weights if len(w) > k) > 0 for k in range(max(map(len, weights))))


def first_only(rewards: list[float]) -> list[float]:
    return [float(r > 0 and not any(above > 0 for above in rewards[:k])) for k, r in enumerate(rewards)]


def clustered(values: list[float], groups: list[int]) -> float:
    """The standard error of a mean by groups: sums of influences."""
    sums = {g: sum(v for v, h in zip(values, groups, strict=True) if h == g) for g in set(groups)}
    m = len(sums)
    return math.sqrt(m / (m - 1) * sum(v * v for v in sums.values())) / len(values)


def found_by(log: Log, policy: Any, **settings: Any) -> dict[str, Any]:
    rows = lb.evaluate(log, {"it": policy}, settings.pop("ask", "off-policy"), **settings).estimates
    return {row["estimator"]: row for _, row in rows[rows["place"] == 0].iterrows()}


@pytest.fixture(params=[(8 << 20, 1 << 18), (1 << 9, 20)], ids=["whole", "in chunks"])
def chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logged, "CHUNK_BYTES", request.param[0])
    monkeypatch.setattr(logged, "CANDIDATES", request.param[1])


@pytest.mark.parametrize("seed", range(12))
def test_single_items(tmp_path: Path, chunks: None, seed: int) -> None:
    rng = np.random.default_rng(seed)
    kind, own, users = ["uniform", "conditional", "slate"][seed % 3], bool(seed % 2), seed % 4 < 2
    outcome = "click" if seed % 5 else "gain"
    rows = rows_of(rng, kind, 1, own, False, [0, 1] if outcome == "click" else [-3.0, 0.0, 2.5, 5.0])
    log = log_of(tmp_path / "log", rows, kind, own, users, outcome)
    for policy in (Drawing(1.5), Sorting(1.2)):
        w = np.array([conditionals(policy, row)[0][0] / row.p[0] for row in rows])
        r = np.array([row.rewards[0] for row in rows])
        found = found_by(log, policy, reward=outcome, estimators=["snips", "ips", "ips-cv"])
        assert found["ips"]["value"] == pytest.approx((w * r).mean(), abs=NEAR)
        snips = (w * r).sum() / w.sum()
        assert found["snips"]["value"] == pytest.approx(snips, abs=NEAR)
        groups = [row.user for row in rows] if users else list(range(len(rows)))
        assert found["snips"]["se"] == pytest.approx(clustered(w * (r - snips) / w.mean(), groups), abs=NEAR)
        assert found["ips"]["se"] == pytest.approx(clustered(w * r - (w * r).mean(), groups), abs=NEAR)
        assert found["ips"]["se_rows"] == pytest.approx((w * r).std(ddof=1) / math.sqrt(len(r)), abs=NEAR)
        assert found["ips"]["ess"] == pytest.approx(w.sum() ** 2 / (w * w).sum(), abs=1e-7)
        assert found["ips"]["wbar"] == pytest.approx(w.mean(), abs=NEAR)
        b = np.cov(w * r, w)[0, 1] / w.var(ddof=1)
        assert found["ips-cv"]["value"] == pytest.approx((w * r - b * (w - 1)).mean(), abs=NEAR)


def guess(context: np.ndarray, item: int) -> float:
    """A reward model that has not been fitted."""
    return 0.5 + 0.4 * math.cos(item + float(context[0]) - 2.0 * float(context[1]))


class Guesses:
    """It in the place of a fitted one."""

    notes: tuple[str, ...] = ()

    def __init__(self, *given: Any) -> None:
        pass

    def predicted(self, rounds: logged.Logged) -> np.ndarray:
        row, item, _ = candidates_of(rounds)
        context = rounds.rows.context[rounds.inside]
        return np.array([guess(context[i], j) for i, j in zip(row.tolist(), item.tolist(), strict=True)])


@pytest.mark.parametrize("seed", range(6))
def test_doubly_robust(tmp_path: Path, chunks: None, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "Model", Guesses)
    rng = np.random.default_rng(300 + seed)
    kind, own = ["uniform", "conditional"][seed % 2], seed % 3 > 0
    rows = rows_of(rng, kind, 1, own, False, [-3.0, 0.0, 2.5, 5.0])
    log = log_of(tmp_path / "log", rows, kind, own, False, "gain")
    for policy, cut in ((Drawing(1.5), 1.3), (Sorting(1.2), 2.0)):
        wanted = [every_chance(policy, row) for row in rows]
        q = [[guess(row.context, item) for item in row.items] for row in rows]
        w = np.array([pi[row.shown[0]] / row.p[0] for pi, row in zip(wanted, rows, strict=True)])
        direct = np.array([float(np.dot(pi, some)) for pi, some in zip(wanted, q, strict=True)])
        left = np.array([row.rewards[0] - some[row.shown[0]] for row, some in zip(rows, q, strict=True)])
        found = found_by(log, policy, reward="gain", estimators=["dr", "sndr", "dm"], clip=cut)
        assert found["dm"]["value"] == pytest.approx(direct.mean(), abs=NEAR)
        for end, weight in (("", w), ("-clipped", np.minimum(w, cut))):
            dr = direct + weight * left
            assert found["dr" + end]["value"] == pytest.approx(dr.mean(), abs=NEAR)
            assert found["dr" + end]["se"] == pytest.approx(dr.std(ddof=1) / math.sqrt(len(dr)), abs=NEAR)
            normalised = direct.mean() + (weight * left).sum() / weight.sum()
            assert found["sndr" + end]["value"] == pytest.approx(normalised, abs=NEAR)


@pytest.mark.parametrize("seed", range(20))
def test_lists(tmp_path: Path, chunks: None, seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    kind, own, users, ragged = KINDS[seed % 5], bool(seed % 2), seed % 4 < 2, seed % 3 != 1
    outcome = "gain" if seed % 7 == 3 else "click"
    rows = rows_of(rng, kind, 3, own, ragged, [0, 1] if outcome == "click" else [-3.0, 0.0, 2.5, 5.0])
    log = log_of(tmp_path / "log", rows, kind, own, users, outcome)
    able = {"uniform": ["rips", "iips", "sips"], "scores": ["rips", "iips", "sips"], "position": ["iips"],
            "conditional": ["rips", "sips"], "slate": ["sips"]}[kind]  # fmt: skip
    for policy in (Drawing(0.8), Sorting(1.2)):
        both = [conditionals(policy, row) for row in rows]
        prefix = [
            [a / math.prod(row.p[: k + 1]) for k, a in enumerate(one[0])] for row, one in zip(rows, both, strict=True)
        ]
        placed = [[a / row.placed[k] for k, a in enumerate(one[1])] for row, one in zip(rows, both, strict=True)]
        every = [row.rewards for row in rows]
        found = found_by(log, policy, reward=outcome, estimators=able)
        assert set(found) == set(able)
        if "sips" in able:
            values = [w[-1] * sum(r) for w, r in zip(prefix, every, strict=True)]
            assert found["sips"]["value"] == pytest.approx(np.mean(values), abs=NEAR)
            groups = [row.user for row in rows] if users else list(range(len(rows)))
            assert found["sips"]["se"] == pytest.approx(clustered(values - np.mean(values), groups), abs=NEAR)
        if "rips" in able and reached(prefix):
            assert found["rips"]["value"] == pytest.approx(by_place(prefix, every), abs=NEAR)
        if "iips" in able and isinstance(policy, Sorting) and reached(placed):
            assert found["iips"]["value"] == pytest.approx(by_place(placed, every), abs=NEAR)
        if outcome == "click" and kind != "position":
            some = [name for name in able if name != "iips"]
            found = found_by(log, policy, target="any-click", estimators=some)
            first = [first_only(r) for r in every]
            if "sips" in some:
                values = [w[-1] * sum(r) for w, r in zip(prefix, first, strict=True)]
                assert found["sips"]["value"] == pytest.approx(np.mean(values), abs=NEAR)
            if "rips" in some and isinstance(policy, Drawing):
                assert found["rips"]["value"] == pytest.approx(by_place(prefix, first), abs=NEAR)


def _chances(policy: Counting, state: Any, row: Row) -> list[float]:
    wanted, chances = policy._wanted(state, row.items), []
    for chosen in row.shown:
        chances.append(wanted[chosen] / wanted.sum())
        wanted[chosen] = 0.0
    return chances


def _learn(state: dict[int, list[float]], row: Row) -> None:
    for chosen, reward in zip(row.shown, row.rewards, strict=True):
        state.setdefault(row.items[chosen], []).append(reward)


@pytest.mark.parametrize("seed", range(10))
def test_learners(tmp_path: Path, chunks: None, seed: int) -> None:
    rng = np.random.default_rng(200 + seed)
    kind, places, own = ["uniform", "conditional", "slate", "scores"][seed % 4], 1 + seed % 2, bool(seed % 3)
    rows = rows_of(rng, kind, places, own, places > 1 and seed % 3 != 1, [0, 1])
    log = log_of(tmp_path / "log", rows, kind, own, False, "click")
    policy, state, weights = Counting(), {}, []
    for row in rows:
        weights.append([a / math.prod(row.p[: k + 1]) for k, a in enumerate(np.cumprod(_chances(policy, state, row)))])
        _learn(state, row)
    every = [row.rewards for row in rows]
    found = found_by(log, policy, ask="progressive")
    if places == 1:
        w, r = np.array(weights)[:, 0], np.array(every)[:, 0]
        assert found["ips"]["value"] == pytest.approx((w * r).mean(), abs=NEAR)
        assert found["snips"]["value"] == pytest.approx((w * r).sum() / w.sum(), abs=NEAR)
    else:
        if "sips" in found:
            values = [w[-1] * sum(r) for w, r in zip(weights, every, strict=True)]
            assert found["sips"]["value"] == pytest.approx(np.mean(values), abs=NEAR)
        if "rips" in found:
            assert found["rips"]["value"] == pytest.approx(by_place(weights, every), abs=NEAR)

    most, state, accepted = 40.0**places / 4, {}, []
    for at, row in enumerate(rows):
        w = math.prod(_chances(policy, state, row)) / math.prod(row.p)
        assert w <= most
        number = (scramble(scramble(scramble(NOISE, seed), at), AGAIN) + 0.5) / 2**32
        if number * most < w:
            accepted.append(sum(row.rewards))
            _learn(state, row)
    found = found_by(log, policy, ask="rejection", max_weight=most, seed=seed)
    assert found["rejection"]["ess"] == pytest.approx(len(accepted))
    assert found["rejection"]["value"] == pytest.approx(np.mean(accepted) if accepted else math.nan, nan_ok=True)


@pytest.mark.parametrize("seed", range(6))
def test_frozen(tmp_path: Path, chunks: None, seed: int) -> None:
    rng = np.random.default_rng(400 + seed)
    kind, own = ["uniform", "conditional"][seed % 2], bool(seed % 3)
    rows = rows_of(rng, kind, 1, own, False, [0, 1])
    log = log_of(tmp_path / "log", rows, kind, own, False, "click")
    policy, state, cut = Counting(), {}, round(0.4 * len(rows))
    for row in rows[:cut]:
        _learn(state, row)
    w = np.array([_chances(policy, state, row)[0] / row.p[0] for row in rows[cut:]])
    r = np.array([row.rewards[0] for row in rows[cut:]])
    found = found_by(log, policy, frozen=0.4, estimators=["ips", "snips"])
    assert found["ips"]["value"] == pytest.approx((w * r).mean(), abs=NEAR) and found["ips"]["n"] == len(r)
    assert found["snips"]["value"] == pytest.approx((w * r).sum() / w.sum(), abs=NEAR)


def changed(rows: list[Row], **parts: Any) -> list[Row]:
    return [replace(row, **{name: made(row) for name, made in parts.items()}) for row in rows]


@pytest.mark.parametrize("seed", range(3))
def test_what_must_not_matter(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of the rows, where chunks end, a constant factor of p (for SNIPS), the same rows of the users again;
    and rewards that are all higher by 2 raise SNIPS by 2."""
    rng = np.random.default_rng(500 + seed)
    rows = rows_of(rng, "conditional", 1, True, False, [-3.0, 0.0, 2.5]) + rows_of(
        rng, "conditional", 1, True, False, [-3.0, 0.0, 2.5]
    )
    rows = changed(rows, p=lambda row: [0.9 * row.p[0]])

    def judged(name: str, some: list[Row]) -> dict[str, Any]:
        log = log_of(tmp_path / name, some, "conditional", True, True, "gain")
        names = ["dr", "snips", "ips"]
        return found_by(log, Drawing(1.0), reward="gain", model="ridge", estimators=names, interval="normal")

    plain = judged("plain", rows)
    order = rng.permutation(len(rows))
    for name, other in (("order", judged("order", [rows[i] for i in order])), ("twice", judged("twice", rows + rows))):
        for one in ("dr", "snips", "ips") if name == "order" else ("snips", "ips"):  # twice the rows: another model
            assert other[one]["value"] == pytest.approx(plain[one]["value"], abs=1e-7), name
            assert other[one]["se"] == pytest.approx(plain[one]["se"], abs=1e-7), name
    monkeypatch.setattr(logged, "CHUNK_BYTES", 1 << 9)
    monkeypatch.setattr(logged, "CANDIDATES", 12)
    for one, row in judged("chunks", rows).items():
        for column in ("value", "se", "low", "high", "ess", "max_share", "wbar", "thin"):
            assert row[column] == pytest.approx(plain[one][column], abs=1e-7), column
    scaled = judged("scaled", changed(rows, p=lambda row: [0.5 * row.p[0]]))
    assert scaled["snips"]["value"] == pytest.approx(plain["snips"]["value"], abs=NEAR)
    assert scaled["ips"]["value"] == pytest.approx(2 * plain["ips"]["value"], abs=NEAR)
    more = judged("more", changed(rows, rewards=lambda row: [row.rewards[0] + 2.0]))
    assert more["snips"]["value"] == pytest.approx(plain["snips"]["value"] + 2, abs=NEAR)
    assert more["snips"]["se"] == pytest.approx(plain["snips"]["se"], abs=NEAR)
    assert more["ips"]["value"] == pytest.approx(plain["ips"]["value"] + 2 * plain["ips"]["wbar"], abs=NEAR)


@pytest.mark.parametrize("kind", ["conditional", "slate", "scores", "position"])
def test_the_logging_policy_as_its_own_target(tmp_path: Path, kind: str) -> None:
    rows = rows_of(np.random.default_rng(600), kind, 2, True, True, [0, 1])
    log = log_of(tmp_path / "log", rows, kind, True, False, "click")
    ran = np.mean([sum(row.rewards) for row in rows])
    names = {"conditional": ["rips", "sips"], "slate": ["sips"], "scores": ["rips", "sips"], "position": ["iips"]}[kind]
    for name, row in found_by(log, Drawing(-0.7), estimators=names, draws=1 if kind != "position" else 500).items():
        near = NEAR if kind != "position" else 0.05  # positions below the first take draws of those above
        assert row["value"] == pytest.approx(ran, abs=near), name
        assert row["wbar"] == pytest.approx(1, abs=near), name
