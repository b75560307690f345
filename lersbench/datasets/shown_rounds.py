"""Items shown, in order, as rounds: streamed out of DuckDB a bounded number at a time, checked, shaped for the log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from lersbench.datasets.categories import one_hot
from lersbench.datasets.shown import Shown
from lersbench.datasets.tables.cells import Fault
from lersbench.datasets.tables.reading import EXAMPLES, damage_as_errors
from lersbench.errors import DataError
from lersbench.log import Ragged
from lersbench.log.outcomes import PREFIX
from lersbench.log.ragged import cut
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
        self._offered = 0  # candidates of the first row whose propensity is not uniform

    def chunks(self) -> Iterator[dict[str, Any]]:
        """The rounds as `log.write` takes them. Raises a DataError at the end where requests are wrong inside."""
        with damage_as_errors(self.table.name), self.work.db.cursor() as cursor:
            n_items = self.work.row("SELECT count(*) FROM items")[0]
            reader = cursor.sql(self._query()).to_arrow_reader(CHUNK_ROWS)
            for part in _whole_rounds(reader):
                rounds = _Rounds.of(part)
                self._look(rounds, n_items)
                if not any(wrong.count for wrong in self._wrong.values()):
                    yield from self._chunks(rounds)
        for kind, wrong in self._wrong.items():
            if wrong.count:
                raise self._error(kind, wrong)

    def _query(self) -> str:
        """Every row with its round, in order; what belongs to the round stands in all of its rows."""
        names, roles = self.roles.names, self.roles
        columns = ["r.rowid AS round", "p.place", "i.rowid AS item", "p.row"]
        columns += ["p.click"] * self.shown.has_clicks
        columns += [f"p.{alias}" for alias in ("propensity", "known") if alias in names]
        columns += [f"p.{alias}" for alias in [*roles.aliases("o"), *roles.aliases("f")]]
        columns += ["p.half_step"] * (self.shown.made == "uniform")
        columns += [f"r.{alias}" for alias in ["moment"] * ("moment" in names) + roles.aliases("x")]
        joins = "JOIN items i ON i.id = p.item"
        if "visitor" in names:
            columns.append("u.rowid AS visitor")
            joins += " JOIN users u ON u.id = r.visitor"
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
            offered = np.full(len(number), n_items)
            if self.shown.only_shown:
                offered = np.repeat(rounds.lengths, rounds.lengths)
            elif self._schedule is not None:
                offered = np.repeat(self._schedule.lengths(part["moment"][rounds.starts]), rounds.lengths)
            share = 1.0 / offered
            room = np.maximum(UNIFORM_TOLERANCE * share, part["half_step"] * (1 + 1e-9))
            odd = np.flatnonzero(np.abs(part["propensity"] - share) > room)
            wrong = self._wrong["uniform"]
            wrong.add(part["row"][odd])
            first = odd[part["row"][odd] == wrong.first[0]] if len(odd) else odd
            self._offered = int(offered[first[0]]) if len(first) else self._offered
            part["propensity"] = share

    def _error(self, kind: str, wrong: _Wrong) -> DataError:
        column, what, fix = _IN_ROUNDS[kind]
        if kind == "uniform":
            offered = self._offered
            what = f"propensity not 1/{offered}, though said to be uniform, at the digits written"
            fix = f"say logged or estimated; a uniform choice from {offered} candidates has {1 / offered:.6g}"
        elif self.shown.options.where is not None and kind == "place":
            fix += HINT
        rows = ", ".join(map(str, wrong.first))
        values = dict(self.work.rows(f"SELECT row, {column} FROM shown WHERE row IN ({rows})"))
        return self.table.error(Fault(column, "", what, fix), wrong.count, [(row, values[row]) for row in wrong.first])

    def _chunks(self, rounds: _Rounds) -> Iterator[dict[str, Any]]:
        """The columns of the log for these rounds; with what is on air in parts of a bounded number of candidates."""
        chunk = self._chunk(rounds)
        if self._schedule is None:
            yield chunk
            return
        for start, stop, candidates in self._schedule.parts([chunk["time"]]):
            yield {name: cut(column, start, stop) for name, column in chunk.items()} | {"candidates": candidates}

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
        return shaped

    def _shaped(self, values: np.ndarray, rounds: _Rounds) -> np.ndarray | Ragged:
        """Values of rows as lists, one a round: an array where all requests of the table have one length."""
        if self.shown.same_length:
            return values.reshape(len(rounds.lengths), -1, *values.shape[1:])
        return Ragged(values, rounds.lengths)


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


def _whole_rounds(reader: Any) -> Iterator[dict[str, np.ndarray]]:
    """The columns of batches, parted between rounds."""
    left: dict[str, np.ndarray] = {}
    for batch in reader:
        columns = {name: batch.column(name).to_numpy(zero_copy_only=False) for name in batch.schema.names}
        if left:
            columns = {name: np.concatenate([left[name], values]) for name, values in columns.items()}
        end = int(np.searchsorted(columns["round"], columns["round"][-1])) if len(batch) else 0
        if end:
            yield {name: values[:end] for name, values in columns.items()}
        left = {name: values[end:].copy() for name, values in columns.items()}
    if left and len(left["round"]):
        yield left
