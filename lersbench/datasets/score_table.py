"""A table of scores beside one of what was shown: those that the logging policy had of every candidate of a request.

Its columns are item (of decisions: action), score, and request, unless all requests have the same scores.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from lersbench.datasets.options import ListOptions
from lersbench.datasets.places import FRAME
from lersbench.datasets.selections import Selections
from lersbench.datasets.tables import cells, reading
from lersbench.datasets.tables.cells import Fault
from lersbench.datasets.tables.reading import Table, literal
from lersbench.errors import DataError

NAME = "the table of scores"  # of one that is in no file
FIX = "give the score of every candidate, that of the item shown among them"


class ScoreTable(NamedTuple):
    """Scores that are checked: a Parquet file with request (where they are by request), item and score."""

    name: str
    file: Path
    by_request: bool

    @property
    def relation(self) -> str:
        """The SQL of it."""
        return f"read_parquet({literal(self.file)})"

    def join(self, table: Table, which: str, event: str, selections: Selections) -> None:
        """Beside the rows `which` holds for of what was shown; `event` is the column with the ids of its requests.

        Scores by request become the view `offers` (round, request, item, score). Says how many requests met; a
        DataError where an item shown has no score.
        """
        work = table.work
        if self.by_request:
            work.db.execute(
                "CREATE VIEW offers AS SELECT r.rowid AS round, r.request, s.item, s.score "
                f"FROM {self.relation} s JOIN ordered r ON r.{event} = s.request"
            )
            met = f"count(*) FILTER (WHERE {event} IN (SELECT request FROM {self.relation}))"
            there, found = work.row(f"SELECT count(*), {met} FROM ordered")
            selections.joined(
                "requests with the table of scores", there, found, "write the same ids in both", "requests"
            )
            scored = "offers o ON o.request = p.request AND o.item = p.item"
        else:
            scored = f"{self.relation} o ON o.item = p.item"
        missing = f"FROM placed p LEFT JOIN {scored} WHERE {which} AND o.score IS NULL"
        if count := work.row(f"SELECT count(*) {missing}")[0]:
            examples = work.rows(f"SELECT p.row, p.item {missing} ORDER BY p.row LIMIT {reading.EXAMPLES}")
            raise table.error(Fault("item", "", f"no score of it in {self.name}", FIX), count, examples)


def read(source: Any, folder: Path, item: str, options: ListOptions) -> ScoreTable:
    """The table in a file, files or a frame, checked, and kept as a file in `folder`; `item` is what it calls items.

    Raises a DataError for a wrong cell, or an item that has two scores in a request.
    """
    with reading.workshop(folder / "near") as work:
        table = reading.opened(work, source, separator=options.separator, encoding=options.encoding)
        table.name = NAME if table.name == FRAME else table.name
        by_request = "request" in table.columns
        names = {"request": "request"} if by_request else {}
        names |= {"item": item, "score": "score"}
        for column in names.values():
            if column not in table.columns:
                fix = f"it has {item}, score and, where scores differ between them, request"
                raise DataError(f"{table.name}: no column {column}; there are {', '.join(table.columns)}. Fix: {fix}")
        with reading.damage_as_errors(table.name), table.named():
            table.take(names)
            padded = table.padded([alias for alias in names if alias != "score"])
            rules = {alias: cells.identity(alias, table.type_of(alias), count > 0, "fill it in")
                     for alias, count in padded.items()}  # fmt: skip
            rules["score"] = cells.number("score", table.type_of("score"), "fill it in, or drop the row")
            values = {alias: rule.value for alias, rule in rules.items()}
            table.check([fault for rule in rules.values() for fault in rule.faults], values)
            chosen = ", ".join(f"{value} AS {alias}" for alias, value in values.items())
            work.db.execute(f"CREATE TABLE scored AS SELECT row, {chosen} FROM shown")
            _refuse_doubled(table, [alias for alias in names if alias != "score"])
            file = folder / "scores.parquet"
            work.db.execute(f"COPY (SELECT * EXCLUDE (row) FROM scored) TO {literal(file)} (FORMAT parquet)")
    return ScoreTable(table.name, file, by_request)


def _refuse_doubled(table: Table, keys: list[str]) -> None:
    listed = ", ".join(keys)
    query = f"FROM (SELECT row, item, row_number() OVER (PARTITION BY {listed} ORDER BY row) AS nth FROM scored)"
    if count := table.work.row(f"SELECT count(*) {query} WHERE nth > 1")[0]:
        examples = table.work.rows(f"SELECT row, item {query} WHERE nth > 1 ORDER BY row LIMIT {reading.EXAMPLES}")
        raise table.error(Fault("item", "", "a second score in its request", "keep one"), count, examples)
