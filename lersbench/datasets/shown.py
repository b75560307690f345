"""Items shown, one a row: every cell and every request checked, repaired where asked, and put in order, in DuckDB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lersbench.datasets.categories import levels_of
from lersbench.datasets.hashed import hashed_key
from lersbench.datasets.item_table import ON_OFFER, ItemTable
from lersbench.datasets.logging_rules import Rule
from lersbench.datasets.options import ListOptions
from lersbench.datasets.outcomes import Outcome, rule
from lersbench.datasets.score_table import ScoreTable
from lersbench.datasets.selections import CLICKS, Selections, Tally
from lersbench.datasets.tables import cells
from lersbench.datasets.tables.cells import Cell, Fault
from lersbench.datasets.tables.reading import EXAMPLES, Table
from lersbench.datasets.tables.times import times
from lersbench.durations import microseconds
from lersbench.errors import ConfigError, DataError
from lersbench.log.propensities import CONDITIONAL, POSITION, SLATE, TINY

UNKNOWN = "unknown"  # the user of requests without one, where that is asked for
HALF_STEP = (  # half of the last digit that is written of a number, as SQL of its text
    "0.5 * power(10.0, coalesce(try_cast(regexp_extract({0}, '[eE]([+-]?\\d+)$', 1) AS INTEGER), 0) "
    "- length(regexp_extract({0}, '\\.(\\d*)', 1)))"
)
TOTAL = "coalesce(sum({0}), 0)"
IDS = ("request", "event", "item", "visitor", "logger")
MOST_LOGGERS = 1000  # values of a column of loggers: more are something else


@dataclass(frozen=True)
class Roles:
    """Which columns of the table serve as what: request, position, item, click, propensity, score, moment, known,
    visitor, logger, random and event (the request of a decision) by name, the others in lists. A table without request
    and position has one row a round; one without click has outcomes.
    """

    names: dict[str, str]
    features: tuple[str, ...]
    context: tuple[str, ...]
    categories: tuple[str, ...]
    item_categories: tuple[str, ...]
    outcomes: tuple[Outcome, ...] = ()

    @property
    def others(self) -> list[str]:
        paid = (outcome.column for outcome in self.outcomes)
        return [*self.features, *self.context, *self.categories, *self.item_categories, *paid]

    def aliases(self, lead: str) -> list[str]:
        """The columns in DuckDB of features (f), context (x), categories of requests (c) or items (g), outcomes (o)."""
        lists: dict[str, tuple[Any, ...]] = {"f": self.features, "x": self.context, "c": self.categories}
        lists |= {"g": self.item_categories, "o": self.outcomes}
        return [f"{lead}{at}" for at in range(len(lists[lead]))]

    @property
    def paid(self) -> dict[str, Outcome]:
        """The outcomes by their columns in DuckDB."""
        return dict(zip(self.aliases("o"), self.outcomes, strict=True))

    @property
    def came(self) -> tuple[str, str]:
        """What is counted where rows go: its column in DuckDB, and its name."""
        return ("click", CLICKS) if "click" in self.names else ("o0", self.outcomes[0].name)

    @property
    def wanted(self) -> dict[str, str]:
        """Every column in DuckDB with its name in the table."""
        others = (alias for lead in "fxcgo" for alias in self.aliases(lead))
        return self.names | dict(zip(others, self.others, strict=True))


class Shown:
    """A table of items shown on its way into rounds, see `shown_rounds.Rounds`: first `prepare`.

    In DuckDB: `shown`, the rows taken with their number `row`; `typed`, the same in the types they go by; `requests`,
    one row a request; `ordered`, these in the order of the rounds; `placed`, the rows with their place in the request,
    0 at the top; `items` and `users`, the ids in the order of their hash.

    Attributes:
        only_shown: are the candidates of a round those it showed? on_air: are they those that `item_table` has on air?
        impressions: rows that go into the log.
        has_clicks: does the log have clicks, of a column or of rewards above a number?
        levels: the values of each category, in the order of their columns. selections: what was left out or repaired.
        kind: of what the propensities are probabilities. loggers: the names of the logging policies, by number.
        in_random_order: requests that are.
        same_length: do all rounds show equally many items? below: the place from which rows are cut, None: nowhere.
    """

    def __init__(
        self,
        table: Table,
        roles: Roles,
        options: ListOptions,
        made: str,
        listed: bool,
        item_table: ItemTable | None = None,
        rule: Rule | None = None,
        scores: ScoreTable | None = None,
    ) -> None:
        self.rule, self.scores = rule, scores
        self.kind = CONDITIONAL if rule is not None else options.propensity_kind or POSITION
        self.loggers: list[str] = []
        self.in_random_order = 0
        self.table, self.roles, self.options, self.made, self.listed = table, roles, options, made, listed
        self.item_table, self.on_air = item_table, options.candidates == "on-air"
        self.work = table.work
        self.only_shown = options.candidates == "shown" or (
            options.candidates is None and bool(roles.features or roles.item_categories or "score" in roles.names)
        )
        self.selections = Selections(roles.came[1])
        self.has_clicks = "click" in roles.names or options.click_above is not None
        self.levels: dict[str, list[str]] = {}
        self._zoned: dict[str, bool] = {}  # by column of times: do they have a zone?
        self.impressions = 0
        self.same_length = True
        self.below: int | None = None  # rows from this place on are cut

    # Before the rounds ------------------------------------------------------------------------------------------------
    def prepare(self) -> None:
        """Take the table in, check every cell and every request, and put the rounds in order."""
        self.table.take(self.roles.wanted, self.options.where)
        if self.options.where:
            self._tell_where()
        typed = self._cells()
        selected = ", ".join(f"{value} AS {alias}" for alias, value in typed.items())
        self._do(f"CREATE VIEW typed AS SELECT row, {selected} FROM shown")
        if self.options.first_of_doubled:
            self._leave_doubled_out()
        self._group()
        if "known" in self.roles.names:
            self._check_known()
        if "random" in self.roles.names:
            self._count_random()
        self._place()
        if self.item_table is not None:
            self._join(self.item_table)
        if self.rule is not None:
            self._check_rule(self.rule)
        if self.scores is not None:
            below = "true" if self.below is None else f"place < {self.below}"
            self.scores.join(self.table, below, self.event, self.selections)
        if self.options.reward_window:
            self._tell_young(self.options.reward_window)
        self._number()

    def _do(self, query: str) -> None:
        self.work.db.execute(query)

    def _tell_where(self) -> None:
        alias = self.roles.came[0]
        came = cells.number(alias, self.table.type_of(alias), flag=True).value
        request = "request" if self.listed else "rowid"
        counts = f"SELECT count(DISTINCT {request}), count(*), {TOTAL.format(came)} FROM given"
        before, after = (Tally(*self.work.row(f"{counts} {condition}")) for condition in ("", "WHERE kept"))
        self.selections.left_out(f"--where {self.options.where!r}", before, after)
        if not after.rows:
            raise DataError(f"{self.table.name}: --where leaves no row. Fix: a condition that holds for some rows")

    def _cells(self) -> dict[str, str]:
        """The SQL of every column in its type, after all cells are checked."""
        table, options = self.table, self.options
        padded = table.padded([alias for alias in self.roles.wanted if self._is_id(alias)])
        rules = {alias: self._rule(alias, padded.get(alias, 0) > 0) for alias in self.roles.wanted}
        for alias, count in padded.items():
            if count:
                self.selections.repaired(f"column {table.aliases[alias]}", f"blanks round {count:,} cells taken off")
        faults = [fault for alias in rules for fault in rules[alias].faults]
        values = {alias: rule.value for alias, rule in rules.items()}
        if options.empty_click is not None and "click" in values:
            values["click"] = self._filled("click", values["click"], f"{options.empty_click}::DOUBLE", "--empty-click")
            faults = [fault for fault in faults if (fault.column, fault.what) != ("click", "no value")]
        if options.unknown_user and "visitor" in rules:
            values["visitor"] = self._filled("visitor", values["visitor"], f"'{UNKNOWN}'", "--unknown-user")
            faults = [fault for fault in faults if (fault.column, fault.what) != ("visitor", "no value")]
            taken = f"{rules['visitor'].value} = '{UNKNOWN}'"
            faults.append(Fault("visitor", taken, f"a user called {UNKNOWN}", "give that user another name"))
        for alias, outcome in self.roles.paid.items():
            if outcome.empty is not None:
                self._tell_filled(alias, f"{outcome.empty:g}", f"--empty-outcome {outcome.name}")
        table.check(faults, values)
        if options.click_above is not None:
            alias = next(alias for alias, outcome in self.roles.paid.items() if outcome.name == "reward")
            values["click"] = f"({values[alias]} > {options.click_above})::DOUBLE"
        if self.made == "uniform":
            text = cells.stripped("propensity")
            values["half_step"] = HALF_STEP.format(text)
        if not self.listed:
            values |= {"request": "row", "position": "0"}
        return values

    def _filled(self, alias: str, value: str, filling: str, step: str) -> str:
        self._tell_filled(alias, filling.strip("'").removesuffix("::DOUBLE"), step)
        return f"CASE WHEN {cells.missing(alias, self.table.type_of(alias))} THEN {filling} ELSE {value} END"

    def _tell_filled(self, alias: str, text: str, step: str) -> None:
        empty = cells.missing(alias, self.table.type_of(alias))
        count = self.work.row(f"SELECT count(*) FILTER (WHERE {empty}) FROM shown")[0]
        self.selections.repaired(step, f"{count:,} empty cells of {self.table.aliases[alias]} are {text}")

    def _is_id(self, alias: str) -> bool:
        return alias in (*IDS, *self.roles.aliases("c"), *self.roles.aliases("g"))

    def _rule(self, alias: str, padded: bool) -> Cell:
        kind = self.table.type_of(alias)
        if self._is_id(alias):
            fix = "fill it in, drop the request, or say --unknown-user" if alias == "visitor" else cells.EMPTY
            return cells.identity(alias, kind, padded, fix)
        if alias in ("moment", "known"):
            found = times(self.table, alias, self.options.time_format)
            self._zoned[alias] = found.zoned
            return Cell(found.value, found.faults)
        if alias in self.roles.paid:
            return rule(self.roles.paid[alias], self.table, alias)
        if alias == "click":
            click = cells.number(alias, kind, self._empty_click(kind), flag=True)
            return _limited(click, alias, *(CLICK if self.listed else (*REWARD, self._reward_range())))
        if alias == "random":
            return _limited(cells.number(alias, kind, flag=True), alias, *RANDOM)
        number = cells.number(alias, kind)
        if alias == "propensity" and self.kind != SLATE:
            number = _limited(number, alias, *LIMITS[alias])
            return _limited(number, alias, f"{{0}} <= {TINY}", f"propensity not above {TINY:g}", TINY_FIX)
        return _limited(number, alias, *LIMITS[alias]) if alias in LIMITS else number

    def _reward_range(self) -> str:
        """The fix for rewards that are not 0 or 1: they are an outcome, with the range that is possible."""
        value = cells.number("click", self.table.type_of("click"), flag=True).value
        least, most = self.work.row(f"SELECT min({value}), max({value}) FROM shown")
        return (
            f"write 1 for what was hoped for, else 0; or say what is possible, --reward-range {least:g}:{most:g} or "
            "wider: then the reward is an outcome, and clicks are left out or made by --click-above 0"
        )

    def _empty_click(self, kind: str) -> str:
        """The fix for an empty click: where only ones are written, empty means none."""
        value = cells.number("click", kind, flag=True).value
        least = self.work.row(f"SELECT min({value}) FROM shown")[0]
        return "say --empty-click 0 (empty_click=0 in Python) where empty means none" if least == 1.0 else cells.EMPTY

    def _leave_doubled_out(self) -> None:
        """Of an item shown twice in a request the upper row stays."""
        first = "QUALIFY row_number() OVER (PARTITION BY request, item ORDER BY position, row) = 1"
        marked = f"SELECT *, count(*) OVER (PARTITION BY request) AS together FROM typed {first}"
        gaps = "count(*) OVER (PARTITION BY request) < together AS gaps"  # of those that stay
        self._do(f"CREATE TABLE single AS SELECT *, {gaps} FROM ({marked})")
        before, after = self._tally("typed"), self._tally("single")
        self.selections.left_out("--first-of-doubled", before, after, "items shown before in their request: ")

    def _tally(self, relation: str, condition: str = "true") -> Tally:
        counts = f"count(DISTINCT request), count(*), {TOTAL.format(self.roles.came[0])}"
        return Tally(*self.work.row(f"SELECT {counts} FROM {relation} WHERE {condition}"))

    @property
    def _rows(self) -> str:
        return "single" if self.options.first_of_doubled else "typed"

    # Requests ---------------------------------------------------------------------------------------------------------
    def _group(self) -> None:
        """One row a request, in the order of the rounds; what must be the same in all of its rows is."""
        names = self.roles.names
        moment = ["moment"] * ("moment" in names)
        same: list[str] = [alias for alias in ("visitor", "logger", "random", "event") if alias in names]
        same = [*same, *self.roles.aliases("x"), *self.roles.aliases("c")]
        if self.kind == SLATE and self.made != "none":
            same.append("propensity")
        if self.listed:
            columns = ["request", "count(*) AS n", "min(row) AS first", "min(position) AS lowest"]
            columns += ["max(position) AS highest", *(f"min({alias}) AS {alias}" for alias in [*moment, *same])]
            columns += [f"max({alias}) AS most_{alias}" for alias in same]
            self._do(f"CREATE TABLE requests AS SELECT {', '.join(columns)} FROM {self._rows} GROUP BY request")
            self._check_same(same)
        else:
            columns = ["request", "1 AS n", "row AS first", *moment, *same]
            self._do(f"CREATE VIEW requests AS SELECT {', '.join(columns)} FROM typed")
        for lead, relation in (("c", "requests"), ("g", self._rows)):
            for alias in self.roles.aliases(lead):
                column, cap = self.table.aliases[alias], self.options.category_cap
                self.levels[column] = levels_of(self.work, relation, alias, column, cap, self.selections)

    @property
    def event(self) -> str:
        """The column of `ordered` with the id of the request as the table has it; "" where it has none."""
        return "request" if self.listed else "event" if "event" in self.roles.names else ""

    def _count_random(self) -> None:
        """How many requests are in random order. Raises a DataError where that is said of none that has two items."""
        column = self.roles.names["random"]
        requests, rows, lists, all_requests, all_rows = self.work.row(
            "SELECT count(*) FILTER (WHERE random = 1), coalesce(sum(n) FILTER (WHERE random = 1), 0)::BIGINT, "
            "count(*) FILTER (WHERE random = 1 AND n > 1), count(*), sum(n)::BIGINT FROM requests"
        )
        if not requests:
            fix = "write 1 in all rows of the requests in random order, or leave --random out"
            raise DataError(f"{self.table.name}, column {column}: 1 in no request. Fix: {fix}")
        if not lists:
            fault = "every request in random order shows one item, and the order of one item says nothing"
            fix = "leave --random out; where the item was drawn at random, give its probability, --column propensity="
            raise DataError(f"{self.table.name}, column {column}: {fault}. Fix: {fix}YOURS")
        said = f"{requests:,} of {all_requests:,} requests are in random order, {rows:,} of {all_rows:,} rows"
        self.selections.repaired(f"--random {column}", said)
        self.in_random_order = requests

    def _check_rule(self, rule: Rule) -> None:
        """Rules of one item are of rounds that show one."""
        longest = 1 if not self.listed else self.work.row("SELECT max(n) FROM requests")[0]
        if rule.of_one and min(longest, self.options.length or longest) > 1:
            said = f"{rule.name} is a choice of one item, but a request shows {longest}"
            raise DataError(
                f"{self.table.name}: {said}. Fix: say plackett-luce of lists, or --length 1 beside --scores"
            )

    def _tell_young(self, window: str) -> None:
        """How many rounds are younger than the window of rewards, at the end of the log."""
        newest = f"(SELECT max(moment) FROM ordered) - to_microseconds({_microseconds(window)})"
        young, rounds = self.work.row(f"SELECT count(*) FILTER (WHERE moment > {newest}), count(*) FROM ordered")
        said = f"{young:,} of {rounds:,} rounds are younger than that at the end; they stay, and are not judged"
        self.selections.repaired(f"--reward-window {window}", said)

    def _check_known(self) -> None:
        """What came of an item is known at or after the time of its round, by one clock."""
        if self._zoned["known"] != self._zoned["moment"]:
            with_zone, without = ("known", "moment") if self._zoned["known"] else ("moment", "known")
            fault = f"its times have a zone, those of {self.table.aliases[without]} have none"
            raise DataError(f"column {with_zone}: {fault}. Fix: write both with a zone, or none")
        joined = f"{self._rows} p JOIN requests r ON r.request = p.request"
        rows = f"(SELECT p.row, p.known, r.moment FROM {joined})" if self.listed else self._rows
        wrong = f"FROM {rows} WHERE known < moment"
        count = self.work.row(f"SELECT count(*) {wrong}")[0]
        if count:
            fix = "write when it became known what came of the item, at or after the time of its round"
            early = Fault("known", "", "before the time of its round", fix)
            examples = self.work.rows(f"SELECT row, known {wrong} ORDER BY row LIMIT {EXAMPLES}")
            raise self.table.error(early, count, examples)

    def _check_same(self, columns: Sequence[str]) -> None:
        if not columns:
            return
        differ = ", ".join(f"count(*) FILTER (WHERE {column} <> most_{column})" for column in columns)
        found = self.work.row(f"SELECT {differ} FROM requests")
        for column, count in zip(columns, found, strict=True):
            if count:
                query = (
                    f"FROM (SELECT row, {column} AS value, first_value({column}) OVER (PARTITION BY request ORDER BY "
                    f"position, row) AS top FROM {self._rows}) WHERE value <> top"
                )
                fault = Fault(column, "", "differs from the top row of its request", "one value a request")
                examples = self.work.rows(f"SELECT row, value {query} ORDER BY row LIMIT {EXAMPLES}")
                raise self.table.error(fault, self.work.row(f"SELECT count(*) {query}")[0], examples)

    def _place(self) -> None:
        """The rows with their places, cut to the length, and the requests in the order of the rounds."""
        order = "moment, first" if "moment" in self.roles.names else "first"
        self._do(f"CREATE TABLE ordered AS SELECT * FROM requests ORDER BY {order}")
        if not self.listed:
            self._do("CREATE VIEW placed AS SELECT *, 0 AS place FROM typed")
            self.impressions = self.work.row("SELECT count(*) FROM ordered")[0]
            return
        base = self._base()
        place = f"(position - {base})::BIGINT"
        anew = "row_number() OVER (PARTITION BY request ORDER BY position, row) - 1"
        if self.options.renumber:
            self._refuse_equal_positions()
            place = anew
            changed = f"count(*) FILTER (WHERE position - {base} <> place)"
        elif self.options.first_of_doubled:
            place = f"CASE WHEN gaps THEN {anew} ELSE {place} END"
        kind = "VIEW" if place.startswith("(") else "TABLE"
        self._do(f"CREATE {kind} placed AS SELECT *, {place} AS place FROM {self._rows}")
        if self.options.renumber:
            count = self.work.row(f"SELECT {changed} FROM placed")[0]
            self.selections.repaired("--renumber", f"{count:,} rows have another position than the table says")
        self._cut()

    def _base(self) -> int:
        """The number of the top position: 0 or 1, that of most requests; a DataError for those that have the other."""
        zero, one, lowest = self.work.row(
            "SELECT count(*) FILTER (WHERE lowest = 0), count(*) FILTER (WHERE lowest = 1), min(lowest) FROM requests"
        )
        if self.options.renumber:
            return 0 if zero > one else 1
        if (not zero and not one) or lowest < 0:
            query = f"FROM {self._rows} WHERE position = {lowest}"
            fault = Fault("position", "", "the lowest position", "number positions from 0 or 1, or say --renumber")
            examples = self.work.rows(f"SELECT row, position::BIGINT {query} ORDER BY row LIMIT {EXAMPLES}")
            raise self.table.error(fault, self.work.row(f"SELECT count(*) {query}")[0], examples)
        base, other, many, odd = (0, 1, zero, one) if zero > one else (1, 0, one, zero)
        if odd:
            odd_rows = f"FROM {self._rows} JOIN requests USING (request) WHERE lowest = {other}"
            request, row = self.work.rows(f"SELECT request, row {odd_rows} ORDER BY position, row LIMIT 1")[0]
            (at,) = self.table.places([row])
            which = f"request {request} counts its positions" if odd == 1 else f"{odd} requests count their positions"
            first = "" if odd == 1 else f", first request {request}"
            said = f"{which} from {other}, the other {many} from {base}{first}: {at} ({other})"
            raise DataError(f"column position: {said}. Fix: number every request from {base}, or say --renumber")
        return base

    def _refuse_equal_positions(self) -> None:
        query = (
            f"FROM (SELECT row, position, row_number() OVER (PARTITION BY request, position ORDER BY row) AS nth "
            f"FROM {self._rows}) WHERE nth > 1"
        )
        count = self.work.row(f"SELECT count(*) {query}")[0]
        if count:
            examples = self.work.rows(f"SELECT row, position::BIGINT {query} ORDER BY row LIMIT {EXAMPLES}")
            fault = Fault("position", "", "a position that its request has already", "tell which of them stood higher")
            raise self.table.error(fault, count, examples)

    def _cut(self) -> None:
        """Cut what lies below the length, and note whether all requests have one length then."""
        length = self.options.length
        least, most, odd, total = self.work.row(
            "SELECT min(n), max(n), count(*) FILTER (WHERE highest - lowest + 1 <> n), sum(n)::BIGINT FROM requests"
        )
        self.impressions = total
        sound = not odd or self.options.renumber or self.options.first_of_doubled
        self.below = None if length is None or most <= length or not sound else length
        if self.below is not None:
            before, after = self._tally("placed"), self._tally("placed", f"place < {length}")
            cut = self.work.row(f"SELECT count(*) FILTER (WHERE n > {length}) FROM requests")[0]
            what = f"{cut:,} of {before.requests:,} requests cut to their top {length}: "
            self.selections.left_out(f"--length {length}", before, after, what)
            self.impressions, most = after.rows, length
        self.same_length = min(least, most) == most

    def _join(self, items: ItemTable) -> None:
        """The table of items beside that of what was shown; whatever was shown was on air then, where that is asked."""
        items.join(self.table, self._rows, self.selections)
        if self.on_air:
            below = "true" if self.below is None else f"place < {self.below}"
            items.check_on_air(self.table, below, self._zoned["moment"])

    def _number(self) -> None:
        """Items and users in the order of their hash. Items that are never on offer are none of the log's."""
        ids = f"SELECT item AS id FROM {self._rows}"
        if self.on_air:
            ids += f" UNION {ON_OFFER}"
        if self.scores is not None:
            ids += f" UNION SELECT item AS id FROM {'offers' if self.scores.by_request else self.scores.relation}"
        self._do(
            f"CREATE TABLE items AS SELECT id FROM (SELECT DISTINCT id FROM ({ids})) "
            f"ORDER BY {hashed_key('id', 'item')}"
        )
        if "visitor" in self.roles.names:
            self._do(
                "CREATE TABLE users AS SELECT id FROM (SELECT DISTINCT visitor AS id FROM requests) "
                f"ORDER BY {hashed_key('id', 'user')}"
            )

        if "logger" in self.roles.names:
            self._do("CREATE TABLE loggers AS SELECT DISTINCT logger AS id FROM requests ORDER BY logger")
            count = self.work.row("SELECT count(*) FROM loggers")[0]
            if count > MOST_LOGGERS:
                fix = "name the column with the logging policy or its version, or leave it out"
                said = f"{count:,} logging policies, more than {MOST_LOGGERS:,}"
                raise DataError(f"{self.table.name}, column {self.roles.names['logger']}: {said}. Fix: {fix}")
            self.loggers = [row[0] for row in self.work.rows("SELECT id FROM loggers ORDER BY rowid")]

    def ids(self, table: str) -> pd.DataFrame:
        """The ids of `items` or `users` by number, column id."""
        return self.work.frame(f"SELECT id FROM {table} ORDER BY rowid")


CLICK = ("{0} NOT IN (0.0, 1.0)", "click not in {0, 1}", "write 1 for a click, else 0")  # the one outcome that is read
RANDOM = ("{0} NOT IN (0.0, 1.0)", "random not in {0, 1}", "write 1 for a request in random order, else 0")
TINY_FIX = "it is a rounding error or a floor; write the probability itself, or leave the request out"
REWARD = (CLICK[0], "reward not in {0, 1}")
LIMITS = {
    "position": ("NOT ({0} = floor({0}) AND abs({0}) < 1e15)", "not a whole number", "number from 0 or 1"),
    "propensity": (
        "NOT ({0} > 0 AND {0} <= 1)",
        "propensity outside (0, 1]",
        "store the probability with which the logging policy chose the item",
    ),
}


def _microseconds(window: str) -> int:
    try:
        return microseconds(window)
    except ValueError as error:
        raise ConfigError(f"--reward-window: {error}") from error


def _limited(rule: Cell, alias: str, wrong: str, what: str, fix: str) -> Cell:
    return Cell(rule.value, [*rule.faults, Fault(alias, wrong.format(cells.value_of(alias)), what, fix)])
