"""Items shown, in order, as rounds: streamed out of DuckDB a bounded number at a time, checked, shaped for the log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from lersbench.datasets.categories import one_hot
from lersbench.datasets.logging_rules import log_weights, propensities, too_far
from lersbench.datasets.offers import ByRequest, OfAll, Offer, whole_rounds
from lersbench.datasets.score_table import ScoreTable
from lersbench.datasets.shown import Shown
from lersbench.datasets.tables.cells import Fault
from lersbench.datasets.tables.reading import EXAMPLES, Workshop, damage_as_errors
from lersbench.errors import DataError
from lersbench.log import Ragged
from lersbench.log.outcomes import PREFIX
from lersbench.log.propensities import POSITION, of_uniform
from lersbench.log.ragged import cut, edges_of
from lersbench.log.schema import UNIFORM_TOLERANCE

CHUNK_ROWS = 200_000  # rows of the table at a time
HINT = "; --where has left rows of these requests out: let it keep whole requests, or say --renumber"
_IN_ROUNDS = {  # what can be wrong in a request: column, words, fix
    "place": (
        "position",
        "position out of sequence",
        "number the positions of each request 0, 1, ... or 1, 2, ... without a gap or a repetition, or say --renumber",
    ),
    "twice": ("item", "item shown twice in a request", "keep one of them and close the gap, or say --first-of-doubled"),
    "uniform": ("propensity", "", ""),
}


class Rounds:
    """The rounds of a table that is prepared."""

    def __init__(self, shown: Shown) -> None:
        self.shown, self.table, self.work, self.roles = shown, shown.table, shown.work, shown.roles
        self._wrong = {kind: _Wrong() for kind in _IN_ROUNDS}
        items = shown.item_table if shown.on_air else None
        self._schedule = None if items is None else items.schedule(shown.ids("items"))
        self._due = (0, 0.0)  # of the first row whose propensity is not uniform: the candidates, and what was due
        self._requests: Any = None  # a reader of the ids of the requests
        self._offers: ByRequest | OfAll | None = None
        self._told = 0  # rounds whose propensities are made

    def chunks(self) -> Iterator[dict[str, Any]]:
        """The rounds as `log.write` takes them. Raises a DataError at the end where requests are wrong inside."""
        with damage_as_errors(self.table.name), self.work.db.cursor() as cursor:
            n_items = self.work.row("SELECT count(*) FROM items")[0]
            reader = cursor.sql(self._query()).to_arrow_reader(CHUNK_ROWS)
            if self.shown.event:
                self._requests = _Texts(self.work, f"SELECT {self.shown.event} FROM ordered ORDER BY rowid")
            if self.shown.scores is not None:
                self._offers = self._offered(self.shown.scores)
            for part in whole_rounds(reader):
                rounds = _Rounds.of(part)
                self._look(rounds, n_items)
                if not any(wrong.count for wrong in self._wrong.values()):
                    yield from self._chunks(rounds)
        for kind, wrong in self._wrong.items():
            if wrong.count:
                raise self._error(kind, wrong)

    def _offered(self, scores: ScoreTable) -> ByRequest | OfAll:
        if scores.by_request:
            return ByRequest(self.work)
        query = f"SELECT s.score FROM {scores.relation} s JOIN items i ON i.id = s.item ORDER BY i.rowid"
        return OfAll(np.array([row[0] for row in self.work.rows(query)], float))

    def _query(self) -> str:
        """Every row with its round, in order; what belongs to the round stands in all of its rows."""
        names, roles = self.roles.names, self.roles
        columns = ["r.rowid AS round", "p.place", "i.rowid AS item", "p.row"]
        columns += ["p.click"] * self.shown.has_clicks
        columns += [f"p.{alias}" for alias in ("propensity", "score", "known") if alias in names]
        columns += [f"p.{alias}" for alias in [*roles.aliases("o"), *roles.aliases("f")]]
        columns += ["p.half_step"] * (self.shown.made == "uniform")
        columns += [f"r.{alias}" for alias in ["moment"] * ("moment" in names) + roles.aliases("x")]
        joins = "JOIN items i ON i.id = p.item"
        if "visitor" in names:
            columns.append("u.rowid AS visitor")
            joins += " JOIN users u ON u.id = r.visitor"
        if "logger" in names:
            columns.append("w.rowid AS logger")
            joins += " JOIN loggers w ON w.id = r.logger"
        if "random" in names:
            columns.append("r.random")
        for alias in [*roles.aliases("c"), *roles.aliases("g")]:
            side = "r" if alias[0] == "c" else "p"
            columns.append(f"coalesce(l_{alias}.code, other_{alias}.code) AS {alias}")
            joins += f" LEFT JOIN levels_{alias} l_{alias} ON l_{alias}.value = {side}.{alias}"
            joins += f" CROSS JOIN (SELECT max(code) AS code FROM levels_{alias} WHERE value = 'other') other_{alias}"
        below = f"WHERE p.place < {self.shown.below}" if self.shown.below is not None else ""
        return (
            f"SELECT {', '.join(columns)} FROM placed p JOIN ordered r ON r.request = p.request {joins} {below} "
            "ORDER BY round, p.place, p.row"
        )

    def _look(self, rounds: _Rounds, n_items: int) -> None:
        """Note the rows that are wrong beside others of their request."""
        part = rounds.columns
        self._wrong["place"].add(part["row"][part["place"] != rounds.rank])
        by_item = rounds.by_item
        item, number = part["item"][by_item], rounds.number[by_item]
        again = (item[1:] == item[:-1]) & (number[1:] == number[:-1])
        self._wrong["twice"].add(part["row"][by_item[1:][again]])
        if self.shown.made == "uniform":
            offered = np.full(len(rounds.starts), n_items)
            if self.shown.only_shown:
                offered = rounds.lengths
            elif self._schedule is not None:
                offered = self._schedule.lengths(part["moment"][rounds.starts])
            share = of_uniform(self.shown.kind, offered, rounds.lengths)
            room = np.maximum(UNIFORM_TOLERANCE * share, part["half_step"] * (1 + 1e-9))
            odd = np.flatnonzero(np.abs(part["propensity"] - share) > room)
            wrong = self._wrong["uniform"]
            wrong.add(part["row"][odd])
            first = odd[part["row"][odd] == wrong.first[0]] if len(odd) else odd
            if len(first):
                self._due = int(np.repeat(offered, rounds.lengths)[first[0]]), float(share[first[0]])
            part["propensity"] = share

    def _error(self, kind: str, wrong: _Wrong) -> DataError:
        column, what, fix = _IN_ROUNDS[kind]
        if kind == "uniform":
            offered, due = self._due
            said = f"1/{offered}" if self.shown.kind == POSITION else f"{due:.6g}"
            what = f"propensity not {said}, though said to be uniform, at the digits written"
            fix = f"say logged or estimated; a uniform choice from {offered} candidates has {due:.6g}"
        elif self.shown.options.where is not None and kind == "place":
            fix += HINT
        rows = ", ".join(map(str, wrong.first))
        values = dict(self.work.rows(f"SELECT row, {column} FROM shown WHERE row IN ({rows})"))
        return self.table.error(Fault(column, "", what, fix), wrong.count, [(row, values[row]) for row in wrong.first])

    def _chunks(self, rounds: _Rounds) -> Iterator[dict[str, Any]]:
        """The columns of the log for these rounds; with what is on air in parts of a bounded number of candidates."""
        chunk = self._chunk(rounds)
        if self._offers is not None:
            yield from self._with_offers(chunk, self._offers)
        elif self._schedule is not None:
            for start, stop, candidates in self._schedule.parts([chunk["time"]]):
                yield {name: cut(column, start, stop) for name, column in chunk.items()} | {"candidates": candidates}
        else:
            yield chunk

    def _with_offers(self, chunk: dict[str, Any], offers: ByRequest | OfAll) -> Iterator[dict[str, Any]]:
        """The rounds in parts, each with the candidates that have a score, and what their scores make of it."""
        start, rounds = 0, _rounds_in(chunk["slate"])
        while start < rounds:
            offer = offers.next(rounds - start)
            stop = start + len(offer.edges) - 1
            part = {name: cut(column, start, stop) for name, column in chunk.items()}
            candidates = {} if offer.items is None else {"candidates": Ragged(offer.items, np.diff(offer.edges))}
            yield part | candidates | self._ruled(offer, part["slate"])
            start = stop

    def _ruled(self, offer: Offer, slate: np.ndarray | Ragged) -> dict[str, Any]:
        """The columns scores and propensities that the rule of the logging policy makes of scores."""
        assert self.shown.rule is not None  # scores come with one
        shown = slate.values if isinstance(slate, Ragged) else slate.reshape(-1)
        lengths = slate.lengths if isinstance(slate, Ragged) else np.full(len(slate), slate.shape[1])
        weights = log_weights(self.shown.rule, offer.scores, offer.edges)
        if len(far := too_far(weights, offer.edges)):
            event, row = self.shown.event or "request", self._told + int(far[0])
            (request,) = self.work.row(f"SELECT {event} FROM ordered WHERE rowid = {row}")
            fault = f"its scores are so far apart that {self.shown.rule.name} leaves some no probability"
            fix = "give the temperature with which the logging policy chose; a lower one says that it never explored"
            raise DataError(f"{self.table.name}, request {request}: {fault} ({len(far)} such requests). Fix: {fix}")
        self._told += len(lengths)
        tops, wide = edges_of(lengths), np.diff(offer.edges)
        at = _places(offer, shown.astype(np.int64), lengths) - np.repeat(offer.edges[:-1], lengths)
        share = propensities(weights, offer.edges, at, tops)
        alike = offer.items is None or (not isinstance(slate, Ragged) and self.shown.only_shown)
        scores = weights.reshape(len(wide), -1) if alike else Ragged(weights, wide)
        return {
            "scores": scores,
            "propensities": Ragged(share, lengths) if isinstance(slate, Ragged) else share.reshape(slate.shape),
        }

    def _chunk(self, rounds: _Rounds) -> dict[str, Any]:
        part, names, roles = rounds.columns, self.roles.names, self.roles
        ours = {"slate": "item", "clicks": "click", "propensities": "propensity", "clicks_known": "known"}
        ours |= {PREFIX + outcome.name: alias for alias, outcome in roles.paid.items()}
        chunk = {name: part[alias] for name, alias in ours.items() if alias in part}
        if self.shown.only_shown:
            chunk["candidates"] = part["item"][rounds.by_item]
        joint = [part[alias][:, None] for alias in roles.aliases("f")]
        joint += [
            one_hot(part[a], len(self.shown.levels[c]))
            for a, c in zip(roles.aliases("g"), roles.item_categories, strict=True)
        ]
        if joint:
            chunk["features"] = np.hstack(joint)[rounds.by_item]
        shaped: dict[str, Any] = {name: self._shaped(values, rounds) for name, values in chunk.items()}
        top = rounds.starts
        shared = [part[alias][top, None] for alias in roles.aliases("x")]
        shared += [
            one_hot(part[a][top], len(self.shown.levels[c]))
            for a, c in zip(roles.aliases("c"), roles.categories, strict=True)
        ]
        if shared:
            shaped["context"] = np.hstack(shared)
        if "visitor" in names:
            shaped["user"] = part["visitor"][top]
        if "moment" in names:
            shaped["time"] = part["moment"][top]
        if "logger" in names:
            shaped["logger"] = part["logger"][top]
        if "random" in names:
            shaped["logger"] = part["random"][top].astype(np.int64)
        if self._requests is not None:
            shaped["request"] = self._requests.next(len(top))
        if "score" in part:
            edges = np.append(top, len(rounds.number))
            offer = Offer(part["item"][rounds.by_item], part["score"][rounds.by_item], edges)
            shaped |= self._ruled(offer, shaped["slate"])
        return shaped

    def _shaped(self, values: np.ndarray, rounds: _Rounds) -> np.ndarray | Ragged:
        """Values of rows as lists, one a round: an array where all requests of the table have one length."""
        if self.shown.same_length:
            return values.reshape(len(rounds.lengths), -1, *values.shape[1:])
        return Ragged(values, rounds.lengths)


def _rounds_in(column: np.ndarray | Ragged) -> int:
    return len(column.lengths if isinstance(column, Ragged) else column)


def _places(offer: Offer, shown: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(S,) where in an offer the items `shown` stand, whose rounds have these `lengths`; all of them are there."""
    if offer.items is None:
        return shown + np.repeat(offer.edges[:-1], lengths)
    base = int(max(offer.items.max(), shown.max())) + 1
    rounds = np.arange(len(lengths)) * base
    return np.searchsorted(np.repeat(rounds, np.diff(offer.edges)) + offer.items, np.repeat(rounds, lengths) + shown)


class _Texts:
    """A column of texts of a query, a number of rows at a time."""

    def __init__(self, work: Workshop, query: str) -> None:
        self._reader = work.db.cursor().sql(query).to_arrow_reader(CHUNK_ROWS)
        self._left = pa.array([], pa.string())

    def next(self, rows: int) -> pa.Array:
        """The next rows; there are as many."""
        parts = [self._left]
        while sum(map(len, parts)) < rows:
            parts.append(next(self._reader).column(0).cast(pa.string()))
        together = pa.concat_arrays(parts)
        self._left = together[rows:]
        return together[:rows]


class _Wrong:
    """Rows with one fault: how many, and the first of them."""

    def __init__(self) -> None:
        self.count, self.first = 0, list[int]()

    def add(self, rows: np.ndarray) -> None:
        self.count += len(rows)
        self.first = sorted([*self.first, *np.sort(rows)[:EXAMPLES].tolist()])[:EXAMPLES]


class _Rounds(NamedTuple):
    """Rows of whole rounds, in order."""

    columns: dict[str, np.ndarray]
    number: np.ndarray  # (N,) of the round of each row
    starts: np.ndarray  # (n,) the top row of each round
    lengths: np.ndarray  # (n,)
    rank: np.ndarray  # (N,) place in the round by order
    by_item: np.ndarray  # (N,) the rows with the items of each round in order

    @classmethod
    def of(cls, columns: dict[str, np.ndarray]) -> _Rounds:
        number = columns["round"]
        starts = np.flatnonzero(np.diff(number, prepend=-1))
        lengths = np.diff(starts, append=len(number))
        rank = np.arange(len(number)) - np.repeat(starts, lengths)
        return cls(columns, number, starts, lengths, rank, np.lexsort((columns["item"], number)))
