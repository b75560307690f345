"""The scores of a ranker that runs elsewhere, from a table: highest first. It learns nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from lersbench.errors import ConfigError, DataError
from lersbench.kernels.jit import kernel
from lersbench.kernels.ties import top_k
from lersbench.policy import KernelPolicy, Round, Spec

ITEM, REQUEST, SCORE = "item", "request", "score"
MISSING = ("error", "last")


class State(NamedTuple):
    of_item: np.ndarray  # (n_items,) scores, where the table has one an item; else (0,)
    first: np.ndarray  # (rounds + 1,) int64 where the scores of a request begin, or (0,)
    item: np.ndarray  # (rows,) int64 their items, ascending within a request
    score: np.ndarray  # (rows,)
    otherwise: float  # the score of what the table does not have: NaN, which ends the run, or less than all others


@kernel
def select(state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
    """The K highest scores of the table."""
    for c in range(round.candidates.shape[0]):
        item = round.candidates[c]
        round.scores[c] = state.otherwise
        if state.of_item.shape[0]:
            round.scores[c] = state.of_item[item]
        elif round.request >= 0 and round.request + 1 < state.first.shape[0]:
            low, high = state.first[round.request], state.first[round.request + 1]
            at = low + np.searchsorted(state.item[low:high], item)
            if at < high and state.item[at] == item:
                round.scores[c] = state.score[at]
    top_k(round.scores, round.ties, slate)


@kernel
def update(state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
    """It learns nothing."""


@dataclass(frozen=True)
class Scores(KernelPolicy):
    """Ranks by scores from a table with the columns item and score, or request, item and score.

    `table` is a CSV or Parquet file. Its items and requests are the ids of your own tables, as the import of the log
    kept them. `trained_until` is the date up to which the ranker that made the scores has seen rewards: an evaluation
    warns where rows it judges lie before.

    Source: our own, November 2026: the sorted list itself, for rankers that are trained elsewhere.
    """

    table: str = ""
    missing: str = "error"  # a candidate without a score: "error", or "last" to rank it below all that have one
    trained_until: str = ""  # a date, such as 2024-11-01

    kernels = (select, update)
    learns = False
    deterministic = True

    def __post_init__(self) -> None:
        if self.missing not in MISSING:
            raise ConfigError(f"Scores: missing = {self.missing!r}; it takes {' or '.join(map(repr, MISSING))}.")

    def init(self, spec: Spec) -> State:
        if not self.table:
            raise ConfigError("Scores: table is missing; name the file of the scores, with columns item and score.")
        table = _read(Path(self.table))
        item = _numbers(table[ITEM], spec.item_ids, self.table, ITEM)
        known = item >= 0
        score, item = table[SCORE].to_numpy(np.float64)[known], item[known]
        if not len(item):
            raise DataError(f"{self.table}: no item of it is one of the log's; the ids are compared as text.")
        otherwise = np.nan if self.missing == "error" else float(np.nextafter(score.min(), -np.inf))
        if REQUEST in table:
            return self._by_request(spec, table[REQUEST][known], item, score, otherwise)
        if len(np.unique(item)) < len(item):
            twice = table[ITEM][known].iloc[int(np.flatnonzero(pd.Series(item).duplicated())[0])]
            raise DataError(f"{self.table}: item {twice} has two scores; give one, or a column request.")
        of_item = np.full(spec.n_items, otherwise)
        of_item[item] = score
        self._check_all(of_item, spec.item_ids)
        return State(of_item, np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), otherwise)

    def _by_request(
        self, spec: Spec, requests: pd.Series, item: np.ndarray, score: np.ndarray, otherwise: float
    ) -> State:
        if not len(spec.request_ids):
            raise ConfigError(
                f"{self.table} has scores by request, but the log does not keep the ids of its requests: import it "
                "again with this version."
            )
        request = _numbers(requests, spec.request_ids, self.table, REQUEST)
        known = np.flatnonzero(request >= 0)
        if not len(known):
            raise DataError(f"{self.table}: no request of it is one of the log's; the ids are compared as text.")
        order = known[np.lexsort((item[known], request[known]))]
        request, item, score = request[order], item[order], score[order]
        twice = np.flatnonzero((np.diff(request) == 0) & (np.diff(item) == 0))
        if twice.size:
            where = spec.request_ids[int(request[twice[0]])], spec.item_ids[int(item[twice[0]])]
            raise DataError(f"{self.table}: request {where[0]} has two scores of item {where[1]}; give one.")
        first = np.searchsorted(request, np.arange(len(spec.request_ids) + 1))
        return State(np.empty(0), first, item, score, otherwise)

    def _check_all(self, of_item: np.ndarray, ids: Sequence[str]) -> None:
        """Raise DataError where items have no score, and that is no part of the plan."""
        bare = np.flatnonzero(np.isnan(of_item))
        if bare.size:
            raise DataError(
                f"{self.table}: {bare.size} of {len(of_item)} items of the log have no score, the first is "
                f'{ids[int(bare[0])]}. Fix: score them, or set missing = "last" to rank them below all others.'
            )


def _read(path: Path) -> pd.DataFrame:
    """The table, ids as text. Raises ConfigError where there is none, DataError naming row, column and value."""
    if not path.is_file():
        raise ConfigError(f"There is no table of scores {path}.")
    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
        else:
            table = pd.read_csv(path, dtype={ITEM: str, REQUEST: str}, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a table: {error}") from error
    for column in (ITEM, SCORE):
        if column not in table:
            raise DataError(f"{path}: no column '{column}', only {', '.join(map(str, table.columns))}.")
    score = pd.to_numeric(table[SCORE], errors="coerce")
    bad = np.flatnonzero(~np.isfinite(score.to_numpy(np.float64)))
    if bad.size:
        value = str(table[SCORE].iloc[int(bad[0])])
        raise DataError(f"{path}: row {bad[0]}, column {SCORE}: {value!r} is no finite number.")
    return table.assign(**{SCORE: score})


def _numbers(ids: pd.Series, known: Sequence[str], file: str, column: str) -> np.ndarray:
    """The number of each id among the `known` ones, -1 for others. Raises DataError for an empty id."""
    empty = np.flatnonzero(ids.isna())
    if empty.size:
        raise DataError(f"{file}: row {empty[0]}, column {column}: it is empty.")
    return pd.Index(list(known)).get_indexer(pd.Index(ids.astype(str))).astype(np.int64)
