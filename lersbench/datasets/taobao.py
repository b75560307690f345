"""A mobile shop that shows lists of twelve, with its truth: simulated, and tied to facts published of a real one.

What is published of the daily-deals scene of Taobao: a day of 180,000 records, each with 12 items out of 900+ ranked by
a learned ranker and shown whole, 56 features in [0, 1] of user and item, records without a click removed, 6.2 % of them
with a click at position 12, and 54 % of all samples below the last click (a mean last click at 5.52). The data are not
public. This world has the same sizes and, ranked by its own ranker, the same two numbers (`browsing.calibrate`); its
items, users and tastes are made up (`shop`).

A build goes: draw the world; simulate earlier days, ranked by popularity; from these learn the ranker and the encoder;
calibrate; then stream visits, rank them, and let the users browse. What is random in a visit depends on the seed and
the visit's place alone, so a longer log begins with the shorter one, and its memory does not grow with its length.
The log keeps what no real one has: which positions were examined, the true attraction of every candidate, and the
click model (`log.info.click_model`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, NamedTuple

import numpy as np
from tqdm import tqdm

from lersbench.bounds import Size
from lersbench.clicks.model import ClickModel, content_of
from lersbench.datasets.lists import encoder as encoders
from lersbench.datasets.lists import rankers
from lersbench.datasets.lists.browsing import (
    FADE,
    FORGETTING,
    GLANCE,
    LAST_CLICKED,
    MEAN_LAST,
    START,
    browse,
    browsing,
    calibrate,
    facts,
)
from lersbench.datasets.lists.shop import GROUPS, C, Linear, Shop, Visits, World
from lersbench.errors import RunError
from lersbench.log import Log, write
from lersbench.log.schema import sealed
from lersbench.options import OptionSet, option

TITLE = "Taobao-like: a simulated mobile shop with lists of 12, examination and attraction known"
LICENCE = "Apache-2.0"
ATTRIBUTION = "lersbench; calibrated to the facts published of Taobao's daily deals"

EARLIER = 20_000  # lists of the earlier days
ROWS = 4096  # visits drawn at a time: 22 MB of features
SAMPLE = 25  # groups of so many visits on which the click model is calibrated
FEATURES = 56  # of user and item
PATIENCE = 50  # groups of visits without a single click before a build gives up


class Logger(NamedTuple):
    """Everything that makes records of visits."""

    world: World
    policy: str
    temperature: float
    intercept: float
    model: ClickModel
    ranker: rankers.Ranker
    encode: encoders.Encoder


@dataclass(frozen=True, kw_only=True)
class Options(OptionSet):
    """The shop, and what is kept of it.

    Attributes:
        rounds: records, after those without a click are removed where `filtered`. The default is the study's 180,000
            and, before them, 20,000 to fit click models on.
        items, users: of the shop; 24 items at least.
        logging: "ltr" shows the learned ranking, "plackett-luce" draws from P(next = a) = exp(score a / temperature) /
            (sum over those not yet shown), "uniform" any order. The last two come with exact propensities and scores.
        temperature: of the Plackett-Luce policy; scores differ by about 1 within a list.
        encoder: "dae" a 10-d code by the denoising auto-encoder (needs torch), "pca" 10 principal components, "none"
            the features as they are. ranker: see `rankers.train`.
        truth: "shop", or "linear" for a world of ten features in which attraction is exactly linear, nobody competes,
            and nothing is calibrated nor encoded (see `shop`).
        click_model: how users browse; "pbm" examines without regard to the last click.
        filtered: remove records without a click, as the study did.
    """

    rounds: int = option(200_000, least=1)
    items: int = option(960, least=2 * C)
    users: int = option(20_000, least=1)
    logging: Literal["ltr", "plackett-luce", "uniform"] = "ltr"
    temperature: float = option(1.0, least=0, open=True)
    encoder: Literal["dae", "pca", "none"] = "dae"
    ranker: Literal["auto", "lightgbm", "linear"] = "auto"
    truth: Literal["shop", "linear"] = "shop"
    click_model: Literal["ubm", "pbm"] = "ubm"
    filtered: bool = True
    seed: int = option(0, least=0)


def build(out: Path, **values: Any) -> Log:
    """Write the log; `values` are those of `Options`.

    Raises ConfigError for options that fit no world and for libraries that are missing, RunError where the auto-encoder
    or the calibration fails.
    """
    options = Options(**values)
    seconds: dict[str, float] = {}
    shop = Shop(options.items, options.users, options.seed) if options.truth == "shop" else None
    logger, provenance = _prepare(shop or Linear(options.items, options.seed), options, seconds)
    tally = Tally()
    started = perf_counter()
    settings = {name: getattr(options, name) for name in ("logging", "temperature", "truth", "filtered", "seed")}
    log = write(
        out,
        _records(logger, options.rounds, options.filtered, options.seed, tally),
        name="taobao" if options.truth == "shop" else "taobao-linear",
        items=shop.item_table() if shop else options.items,
        users=shop.user_table() if shop else None,
        propensities={"ltr": "none", "plackett-luce": "logged", "uniform": "uniform"}[options.logging],
        licence=LICENCE,
        attribution=ATTRIBUTION,
        provenance=settings | provenance,
        click_model=content_of(logger.model),
    )
    seconds["records"] = perf_counter() - started
    took = {"seconds": {part: round(s, 1) for part, s in seconds.items()}}
    like_the_study = options.truth == "shop" and options.logging == "ltr" and options.filtered
    return _remember(out, log, tally.facts(like_the_study) | took)


def size(*, rounds: int, items: int, encoder: str, **_: Any) -> Size:
    """How large the log of these options is."""
    width = FEATURES if encoder == "none" else 10
    return Size(rounds, C, items, width, rounds * C * 8 * (width + 5))


def _prepare(world: World, options: Options, seconds: dict[str, float]) -> tuple[Logger, dict[str, Any]]:
    """Learn from earlier days and calibrate; the logger, and the facts about it. Fills `seconds` by part."""
    in_shop, kind, seed = isinstance(world, Shop), options.click_model, options.seed
    intercept, scroll = START
    with _Part(seconds, "earlier days", 1) as bar:
        visits, days = _earlier_days(world, browsing(C, scroll, kind, FADE if in_shop else 1.0), seed)
        bar.update()
    with _Part(seconds, "ranker", 1) as bar:
        learned = rankers.train(days, options.ranker, seed)
        bar.update()
    with _Part(seconds, "encoder", encoders.EPOCHS) as bar:
        code = encoders.train(visits.features, options.encoder if in_shop else "none", seed, bar.update)
    with _Part(seconds, "calibration", 1) as bar:
        if in_shop:
            intercept, scroll = _calibrated(world, learned, kind, seed)
        bar.update()
    model = browsing(C, scroll, kind, FADE if in_shop else 1.0)
    provenance = {"ranker": learned.name, "click_model": kind, "glance": GLANCE, "scroll": scroll} | code.facts
    provenance |= {"forgetting": FORGETTING if kind == "ubm" else 0.0}
    provenance |= {"intercept": intercept, "features": GROUPS} if isinstance(world, Shop) else {}
    provenance |= {"theta": world.theta.tolist()} if isinstance(world, Linear) else {}
    return Logger(world, options.logging, options.temperature, intercept, model, learned, code), provenance


def _earlier_days(world: World, model: ClickModel, seed: int) -> tuple[Visits, rankers.Days]:
    rng = np.random.default_rng([seed, 2])
    visits = world.visits(rng, EARLIER)
    slate = rankers.by_popularity(rng, world.popularity, visits.candidates)
    clicks, _ = _shown(world, model, START[0], visits, slate, rng)
    by_candidate = np.empty(slate.shape)
    np.put_along_axis(by_candidate, slate, clicks, axis=1)
    return visits, rankers.Days(visits.features, by_candidate)


def _calibrated(world: World, ranker: rankers.Ranker, kind: str, seed: int) -> tuple[float, float]:
    """The intercept and the share of users who scroll that give lists of the ranker the published facts."""
    appeals, slates, families = [], [], []
    for group in range(SAMPLE):
        visits = world.visits(np.random.default_rng([seed, 3, group]), ROWS)
        appeals.append(visits.appeal)
        slates.append(rankers.descending(ranker.score(visits.features)))
        families.append(world.family[visits.candidates])
    appeal, slate, family = np.concatenate(appeals), np.concatenate(slates), np.concatenate(families)
    return calibrate(
        lambda intercept, scroll: facts(
            browsing(C, scroll, kind, FADE), world.attraction(appeal, intercept), family, slate
        )
    )


def _shown(
    world: World, model: ClickModel, intercept: float, visits: Visits, slate: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Clicks and examination (n, L), 0 or 1, of users who are shown `slate`."""
    keys = rng.integers(2**32, size=len(slate))
    clicks, examined = np.empty(slate.shape), np.empty(slate.shape)
    attraction = world.attraction(visits.appeal, intercept)
    family = world.family[visits.candidates]
    browse(model.weights, model.goes_on, model.fade, attraction, family, slate, keys, clicks, examined)
    return clicks, examined


def _records(logger: Logger, rounds: int, filtered: bool, seed: int, tally: Tally) -> Iterator[dict[str, np.ndarray]]:
    """Chunks of records, `rounds` in all; `tally` counts what is in them."""
    done, group, in_vain = 0, 0, 0
    with tqdm(
        total=rounds, unit=" records", unit_scale=True, desc="taobao: records", disable=None, file=sys.stderr
    ) as bar:
        while done < rounds:
            chunk = _group(logger, np.random.default_rng([seed, 4, group]))
            clicked = np.any(chunk["clicks"], axis=1)
            tally.visits(clicked)
            kept = np.flatnonzero(clicked) if filtered else np.arange(ROWS)
            group, in_vain = group + 1, 0 if len(kept) else in_vain + 1
            if in_vain == PATIENCE:
                raise RunError(f"{PATIENCE * ROWS:,} visits went by without a click: use filtered = false.")
            if len(kept):
                # cut only when encoded: a product of matrices of another height may differ in the last digit
                whole = _encoded(logger, {name: values[kept] for name, values in chunk.items()})
                chunk = {name: values[: rounds - done] for name, values in whole.items()}
                tally.records(chunk)
                done += len(chunk["slate"])
                bar.update(len(chunk["slate"]))
                yield chunk


def _group(logger: Logger, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """ROWS visits with what came of them; features are raw yet, and `slate` holds indices."""
    world = logger.world
    visits = world.visits(rng, ROWS)
    scores = np.zeros(visits.appeal.shape)
    if logger.policy != "uniform":
        scores = logger.ranker.score(visits.features) / (logger.temperature if logger.policy == "plackett-luce" else 1)
    slate = rankers.descending(scores) if logger.policy == "ltr" else rankers.plackett_luce(rng, scores)
    clicks, examined = _shown(world, logger.model, logger.intercept, visits, slate, rng)
    return {
        "user": visits.user, "candidates": visits.candidates, "features": visits.features, "slate": slate,
        "clicks": clicks.astype(np.int8), "examined": examined.astype(np.int8), "scores": scores,
        "attraction": world.attraction(visits.appeal, logger.intercept),
    }  # fmt: skip


def _encoded(logger: Logger, chunk: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The chunk as the log wants it: codes for features, items for indices, propensities where there are any."""
    slate, scores = chunk["slate"], chunk["scores"]
    chunk["features"] = logger.encode.encode(chunk["features"])
    chunk["slate"] = np.take_along_axis(chunk["candidates"], slate, axis=1)
    if logger.policy == "plackett-luce":
        chunk["propensities"] = rankers.propensities(scores, slate)
    elif logger.policy == "uniform":
        chunk["propensities"] = np.full(slate.shape, 1 / C)
    else:
        del chunk["scores"]  # they are no logarithms of any probability
    if isinstance(logger.world, Linear):
        del chunk["user"]
    return chunk


class Tally:
    """Counts over the records, for the facts that are published of the real shop."""

    def __init__(self) -> None:
        self.seen = self.clicked = self.n = 0
        self.last = np.zeros(C + 1)
        self.examined = self.clicks = 0.0

    def visits(self, clicked: np.ndarray) -> None:
        self.seen, self.clicked = self.seen + len(clicked), self.clicked + int(clicked.sum())

    def records(self, chunk: dict[str, np.ndarray]) -> None:
        position = np.arange(1, C + 1)
        self.n += len(chunk["clicks"])
        self.last += np.bincount((chunk["clicks"] * position).max(axis=1), minlength=C + 1)
        self.examined += chunk["examined"].sum()
        self.clicks += chunk["clicks"].sum()

    def facts(self, compared: bool) -> dict[str, Any]:
        """Percentages and means, and what is published of the same where the log is to be `compared` with it."""
        clicked = max(self.last[1:].sum(), 1)
        mean_last = float(self.last[1:] @ np.arange(1, C + 1) / clicked)
        numbers: dict[str, Any] = {
            "records": self.n,
            "% with a click at position 12": round(100 * float(self.last[C] / clicked), 2),
            "mean position of the last click": round(mean_last, 3),
            "% of samples below the last click": round(100 * (1 - mean_last / C), 2),
            "% of samples not examined": round(100 * (1 - float(self.examined) / (self.n * C)), 2),
            "clicks per record": round(float(self.clicks) / self.n, 3),
            "% of visits with a click": round(100 * self.clicked / self.seen, 2),
        }
        if compared:
            values = (180_000, 100 * LAST_CLICKED, MEAN_LAST, 54.0)
            numbers["published"] = dict(zip(numbers, values, strict=False))
        return numbers


def _remember(out: Path, log: Log, measured: dict[str, Any]) -> Log:
    """Add what is known only after the last record to the provenance in log.json, and open the log again."""
    known = replace(log.info, provenance={**log.info.provenance, **measured})
    (Path(out) / "log.json").write_text(sealed(known), encoding="utf-8")
    return Log(log.path)


class _Part:
    """A part of the build: a bar on stderr, and its seconds into a dictionary."""

    def __init__(self, seconds: dict[str, float], name: str, steps: int) -> None:
        self._seconds, self._name, self._started = seconds, name, perf_counter()
        self._bar = tqdm(total=steps, desc=f"taobao: {name}", disable=None, file=sys.stderr, leave=False)

    def __enter__(self) -> tqdm:
        return self._bar

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        self._seconds[self._name] = perf_counter() - self._started
