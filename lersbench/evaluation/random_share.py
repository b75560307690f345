"""Logs with lists in random order among those of a ranker, taken apart: a uniform log to judge by, and the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lersbench.errors import ConfigError, DataError
from lersbench.feedback import QUESTIONS
from lersbench.log import Log, random_order, write
from lersbench.log.chunk import Chunk
from lersbench.log.names import item_ids
from lersbench.log.outcomes import PREFIX
from lersbench.log.propensities import POSITION, of_uniform
from lersbench.log.ragged import Ragged, edges_of
from lersbench.log.requests import COLUMN
from lersbench.offpolicy.random_order import LIMIT, Found, Places
from lersbench.offpolicy.verdict import DO_NOT_BELIEVE
from lersbench.results.evaluation import Evaluation

KEPT = ("name", "order", "reward_window", "licence", "attribution", "outcomes")
SCALARS = ("user", "context", "time")  # columns with a value, or a row of them, a round
UNREAD = ("logger", "propensities", "scores", "rewards", "expected", "examined", "attraction", "known")


@dataclass(frozen=True)
class Parts:
    """A log taken apart."""

    random: Log  # uniform: of the items it showed, a list in random order begins with any K alike
    others: Log | None  # None where all lists are in random order, or those of the ranker show one item each
    order: Found  # whether the random ones are

    @property
    def caps(self) -> list[tuple[str, str]]:
        """What values by the random lists cannot be better than, and why."""
        return [(DO_NOT_BELIEVE, self.fault)] if self.fault else []

    @property
    def fault(self) -> str:
        """What speaks against a random order, "" where nothing does."""
        if self.order.p >= LIMIT:
            return ""
        one = self.order
        return (
            f"the requests marked random are not in random order (p < {LIMIT:g}): item "
            f"{item_ids(self.random)[one.item]} stands at place {one.place:.3g} on average in {one.lists:,} lists, "
            f"where random order has {one.due:.3g}"
        )


def is_there(log: Log) -> bool:
    """Does a log of lists without propensities say which of them are in random order?"""
    info = log.info
    return info.propensities == "none" and info.L > 1 and random_order.is_said(info.provenance, info.columns)


def apart(log: Log, folder: Path, slate: int | None) -> Parts:
    """The parts of a log, written into `folder`: of the random lists the first `slate` places, propensities uniform.

    Raises ConfigError for more places than there are, DataError where no list is in random order.
    """
    if slate is not None and not 1 <= slate <= log.info.L:
        raise ConfigError(f"slate = {slate}: the lists of log '{log.info.name}' have up to {log.info.L} places.")
    places, sizes = Places(log.info.items, log.info.L), np.zeros(2, np.int64)
    for chunk in log.read(columns=("logger", "slate", *(["candidates"] if "candidates" in log.info.columns else []))):
        chosen = chunk.logger == random_order.LOGGER
        lengths = _lengths(chunk)
        places.add(chunk.shown().reshape(-1)[np.repeat(chosen, lengths)], lengths[chosen])
        sizes += int(chosen.sum()), int((~chosen).sum())
    if not sizes[0]:
        raise DataError(f"{log.path}: no round has logger {random_order.LOGGER}, random order. Fix: import it again")
    random = _written(log, folder / "random", True, log.info.L if slate is None else slate)
    others = _written(log, folder / "others", False, log.info.L) if sizes[1] else None
    return Parts(random, others if others and others.info.L > 1 else None, places.test())


def _written(log: Log, folder: Path, random: bool, slate: int) -> Log:
    users = log.table("users.parquet") if log.user_table() is not None else log.info.users or None
    return write(
        folder,
        _chunks(log, random, slate),
        items=log.table("items.parquet"),
        users=users,
        propensities="uniform" if random else "none",
        propensity_kind=POSITION if random else "",
        provenance=random_order.without(log.info.provenance),
        **{key: getattr(log.info, key) for key in KEPT},
    )


def _chunks(log: Log, random: bool, slate: int) -> Iterator[dict[str, Any]]:
    for chunk in log.read():
        chosen = (chunk.logger == random_order.LOGGER) == random
        if chosen.any():
            yield _columns(chunk, log, np.flatnonzero(chosen), random, slate)


def _columns(chunk: Chunk, log: Log, rounds: np.ndarray, random: bool, slate: int) -> dict[str, Any]:
    """The columns of some rounds of a chunk: what was shown is on offer, and the first `slate` places were shown."""
    has, whole = set(log.info.columns).difference(UNREAD), _lengths(chunk)
    row, place = _positions(whole[rounds])
    at = edges_of(whole)[rounds][row] + place  # of their positions, end to end
    top = place < slate
    lengths = np.minimum(whole[rounds], slate)
    found = {name: getattr(chunk, name)[rounds] for name in SCALARS if name in has}
    if "time" in found:
        found["time"] = found["time"].astype("datetime64[us]")
    along = {"slate": chunk.shown(), "clicks": chunk.clicks, "clicks_known": chunk.clicks_known}
    listed = {name: values.reshape(-1)[at[top]] for name, values in along.items() if name in has}
    listed |= {PREFIX + name: values.reshape(-1)[at[top]] for name, values in chunk.outcomes.items()}
    if "clicks_known" in listed:
        listed["clicks_known"] = listed["clicks_known"].astype("datetime64[us]")
    if random:
        listed["propensities"] = of_uniform(POSITION, whole[rounds], lengths)
    ragged = "slate" in log.info.ragged
    found |= {name: _shaped(values, lengths, ragged) for name, values in listed.items()}
    for name, values in _offered(chunk, rounds[row], at, "features" in has).items():
        found[name] = _shaped(values, whole[rounds], ragged)
    if log.has_requests:
        found[COLUMN] = log.requests(chunk.start, chunk.start + len(chunk.logger)).take(rounds)
    return found


def _offered(chunk: Chunk, row: np.ndarray, at: np.ndarray, features: bool) -> dict[str, np.ndarray]:
    """The items shown at the positions `at` of the rounds `row`, and their features, in the order they were on offer.

    That order says nothing of the one they were shown in.
    """
    if chunk.first is not None:
        first = chunk.first[row]
    else:
        first = 0 if len(chunk.candidates) == 1 else chunk.candidates.shape[-1] * row
    index = chunk.slate.reshape(-1)[at]
    order = np.lexsort((index, row))
    where = (first + index)[order]
    found = {"candidates": chunk.candidates.reshape(-1)[where]}
    if features:
        found["features"] = chunk.features.reshape(-1, chunk.features.shape[-1])[where]
    return found


def _lengths(chunk: Chunk) -> np.ndarray:
    """(n,) of the slates."""
    return np.full(len(chunk.logger), chunk.slate.shape[-1]) if chunk.top is None else np.diff(chunk.top)


def _positions(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The list and the place of each position of lists of these lengths, end to end."""
    row = np.repeat(np.arange(len(lengths)), lengths)
    return row, np.arange(len(row)) - np.repeat(edges_of(lengths)[:-1], lengths)


def _shaped(values: np.ndarray, lengths: np.ndarray, ragged: bool) -> Any:
    """Values end to end as lists: an array where those of the log have one length."""
    return Ragged(values, lengths) if ragged else values.reshape(len(lengths), -1, *values.shape[1:])


# Together -------------------------------------------------------------------------------------------------------------
def together(
    log: Log, judged: Evaluation, parts: Parts, others: dict[str, Any] | None, bracket: Evaluation | None
) -> Evaluation:
    """What the random lists say; what ran in the others (`others`, as in `about`) and their bracket stand beside it."""
    lists, frozen = parts.random.info.rounds, judged.about["settings"]["frozen"]
    learned = frozen is not None or any(QUESTIONS[name].learner for name in judged.questions)
    about = {
        **judged.about,
        "digest": log.info.digest,
        "propensities": f"uniform, of the {lists:,} of {log.info.rounds:,} requests in random order",
        "random_share": {"random": lists, "requests": log.info.rounds, "fault": parts.fault},
        "notes": list(judged.about["notes"]),
    }
    if learned:
        about["notes"].append("Policies that learn did so from the requests in random order alone.")
    if others is not None:
        beside = {key: others[key] for key in ("logger", "n", "users", "unit")}
        about["others"] = {**beside, "positions": judged.about["positions"]}  # as many as are judged
    if bracket is None:
        return replace(judged, about=about)
    about["notes"] += [f"Re-ranked lists of the ranker: {note}" for note in bracket.about["notes"]]
    return replace(
        judged,
        about=about,
        estimates=pd.concat([judged.estimates, bracket.estimates], ignore_index=True),
        differences=pd.concat([judged.differences, bracket.differences], ignore_index=True),
    )
