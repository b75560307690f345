"""A table of items beside one of what was shown: numbers that describe each item, and when it is on air."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from lersbench.datasets.options import ListOptions
from lersbench.datasets.places import FRAME
from lersbench.datasets.selections import Selections
from lersbench.datasets.tables import cells, reading
from lersbench.datasets.tables.cells import Fault
from lersbench.datasets.tables.reading import Table
from lersbench.datasets.tables.times import times
from lersbench.errors import ConfigError, DataError
from lersbench.log import Schedule

NAME = "the item table"  # of one that is in no file
SPAN = ("on_from", "on_until")


ON_OFFER = """SELECT t.id FROM item_table t
ASOF JOIN (SELECT moment FROM ordered) r ON coalesce(t.on_from, '-infinity'::TIMESTAMP) <= r.moment
WHERE r.moment < coalesce(t.on_until, 'infinity'::TIMESTAMP)"""  # the ids of what is on air at the time of some round
OFF = """FROM placed p JOIN ordered r ON r.request = p.request LEFT JOIN item_table t ON t.id = p.item
WHERE {0} AND (t.id IS NULL OR r.moment < t.on_from OR r.moment >= t.on_until)"""  # rows shown while not on air
WHY = """'request ' || p.request || ', item ' || p.item || ', ' || r.moment::VARCHAR || '; ' || CASE
WHEN t.id IS NULL THEN 'not in the item table'
ELSE 'on air from ' || coalesce(t.on_from::VARCHAR, 'ever') || ' until ' || coalesce(t.on_until::VARCHAR, 'ever') END"""


class ItemTable(NamedTuple):
    """Items by id: `frame` has the columns id, one a feature, and on_from and on_until (NaT: no bound on that side).

    `zoned`: do these times have a zone? None where the table has none of them.
    """

    name: str
    frame: pd.DataFrame
    features: tuple[str, ...]
    zoned: bool | None

    def of(self, ids: pd.DataFrame) -> pd.DataFrame:
        """The items of a log, whose ids these are, in order; an item that is not in the table has features of 0."""
        rows = self.frame.set_index("id").reindex(ids["id"])
        items = ids.copy()
        if self.features:
            numbers = rows[list(self.features)].fillna(0.0).to_numpy(np.float64)
            items["features"] = pd.Series(list(numbers), dtype=object)
        if self.zoned is not None:
            for name in SPAN:
                items[name] = rows[name].to_numpy()
        return items

    def join(self, table: Table, rows: str, selections: Selections) -> None:
        """Beside the `rows` of what was shown, in whose DuckDB it is `item_table`; says how many items met."""
        table.work.db.register("item_table", pa.Table.from_pandas(self.frame, preserve_index=False))
        asked = f"(SELECT DISTINCT item AS id FROM {rows})"
        there, met, here = table.work.row(
            f"SELECT count(*), count(t.id), min(id) FROM {asked} LEFT JOIN item_table t USING (id)"
        )
        fix = f"write the same ids in both; the item table has {self.frame['id'].iloc[0]!r}, say, and here is {here!r}"
        selections.joined("items shown with the item table", there, met, fix, "items")

    def check_on_air(self, table: Table, which: str, zoned: bool) -> None:
        """Raise a DataError where one of the rows (those `which` holds for) was shown while it was not on air."""
        if self.zoned is None:
            raise ConfigError(f"{self.name} has neither on_from nor on_until; candidates = 'on-air' follow from them")
        if self.zoned != zoned:
            fault = "of its times and those of the rounds one has a zone"
            raise DataError(f"{self.name}: {fault}. Fix: write both with a zone, or none")
        off = OFF.format(which)
        count = table.work.row(f"SELECT count(*) {off}")[0]
        if count:
            examples = table.work.rows(f"SELECT p.row, {WHY} {off} ORDER BY p.row LIMIT {reading.EXAMPLES}")
            fix = f"correct on_from and on_until in {self.name}: an item is on air from the one until before the other"
            raise table.error(Fault("item", "", "not on air when it was shown", fix), count, examples)

    def schedule(self, ids: pd.DataFrame) -> Schedule:
        """When each of the items of a log is on air; those that are not in the table are always."""
        rows = self.frame.set_index("id").reindex(ids["id"])
        return Schedule(rows["on_from"].to_numpy(), rows["on_until"].to_numpy())


def read(source: Any, features: Sequence[str], options: ListOptions) -> ItemTable:
    """The table in a file, files or a frame: the column id, the numbers `features`, and where there are any on_from and
    on_until, of which an empty cell means no bound. Raises a DataError for a wrong cell or an id that is there twice.
    """
    with reading.workshop() as work:
        table = reading.opened(work, source, separator=options.separator, encoding=options.encoding)
        table.name = NAME if table.name == FRAME else table.name
        span = [name for name in SPAN if name in table.columns]
        for column in ("id", *features):
            if column not in table.columns:
                fix = "give the item table a column id" if column == "id" else "say --item-feature with one of these"
                raise DataError(f"{table.name}: no column {column}; there are {', '.join(table.columns)}. Fix: {fix}")
        with reading.damage_as_errors(table.name), table.named():
            table.take({"id": "id", **{f"f{at}": column for at, column in enumerate(features)}, **{s: s for s in span}})
            values, faults = {}, list[Fault]()
            rules = {"id": cells.identity("id", table.type_of("id"), table.padded(["id"])["id"] > 0, "fill it in")}
            for at in range(len(features)):
                rules[f"f{at}"] = cells.number(f"f{at}", table.type_of(f"f{at}"), "fill it in")
            for alias, rule in rules.items():
                values[alias] = rule.value
                faults += rule.faults
            zones = {}
            for alias in span:
                values[alias], zones[alias], wrong = _bound(table, alias, options)
                faults += wrong
            if len(span) == 2:
                begin, end = map(cells.value_of, SPAN)
                faults.append(
                    Fault("on_until", f"{end} < {begin}", "before on_from", "exchange the two, or drop the row")
                )
            table.check(faults, values)
            _refuse_doubled(table, values["id"])
            if len(set(zones.values())) > 1:
                raise DataError(f"{table.name}: of on_from and on_until one has a zone. Fix: write both with, or none")
            names = dict(zip(values, ["id", *features, *span], strict=True))
            chosen = ", ".join(f"{value} AS {reading.quoted(names[alias])}" for alias, value in values.items())
            frame = work.frame(f"SELECT {chosen} FROM shown ORDER BY row")
    for name in SPAN:
        frame[name] = frame[name].astype("datetime64[us]") if name in frame else np.datetime64("NaT", "us")
    return ItemTable(table.name, frame, tuple(features), next(iter(zones.values()), None))


def _bound(table: Table, alias: str, options: ListOptions) -> tuple[str, bool, list[Fault]]:
    """A column of times of which cells may be empty: its SQL, whether it has a zone, and what may be wrong."""
    kind = table.type_of(alias)
    empty = cells.missing(alias, kind)
    if not table.work.row(f"SELECT count(*) FILTER (WHERE NOT {empty}) FROM shown")[0]:
        return "NULL::TIMESTAMP", False, []
    found = times(table, alias, options.time_format)
    there = [fault for fault in found.faults if fault.what != "no value"]
    return found.value, found.zoned, [fault._replace(wrong=f"NOT {empty} AND ({fault.wrong})") for fault in there]


def _refuse_doubled(table: Table, value: str) -> None:
    query = f"FROM (SELECT row, {value} AS id, row_number() OVER (PARTITION BY {value} ORDER BY row) AS nth FROM shown)"
    count = table.work.row(f"SELECT count(*) {query} WHERE nth > 1")[0]
    if count:
        examples = table.work.rows(f"SELECT row, id {query} WHERE nth > 1 ORDER BY row LIMIT {reading.EXAMPLES}")
        raise table.error(
            Fault("id", "", "an item that was there before", "keep one row of each item"), count, examples
        )
