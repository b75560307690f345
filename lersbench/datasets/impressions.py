"""A flat table of the user's own, one row an item shown or one row a decision, as a log: files, folders or frames."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lersbench.datasets.item_table import ItemTable
from lersbench.datasets.item_table import read as read_items
from lersbench.datasets.logging_rules import TAKEN, Rule, rule_of
from lersbench.datasets.options import ListOptions
from lersbench.datasets.outcomes import Outcome, outcomes_of
from lersbench.datasets.places import FRAME
from lersbench.datasets.score_table import ScoreTable
from lersbench.datasets.score_table import read as read_scores
from lersbench.datasets.shown import Roles, Shown
from lersbench.datasets.shown_rounds import Rounds
from lersbench.datasets.tables import reading
from lersbench.datasets.tables.cells import ONE_A_ROW
from lersbench.datasets.tables.parts import name_of
from lersbench.datasets.tables.times import check_format
from lersbench.errors import ConfigError, DataError, did_you_mean
from lersbench.log import Log, random_order, write
from lersbench.log.outcomes import range_of
from lersbench.log.propensities import SLATE
from lersbench.options import checked, options_of
from lersbench.system.progress import say


@dataclass(frozen=True)
class Kind:
    """A kind of table: the columns it must and may have, and what each is among those of impressions."""

    name: str
    needed: tuple[str, ...]
    alias: Mapping[str, str]  # our name -> that of `shown`
    optional: tuple[str, ...]
    item: str  # what it calls an item


ALIAS = {"time": "moment", "user": "visitor"}
OPTIONAL = ("propensity", "time", "user", "logger")
IMPRESSIONS = Kind("impressions", ("request", "position", "item", "click"), ALIAS, (*OPTIONAL, "score"), "item")
DECISIONS = Kind(
    "decisions",
    ("action", "reward"),
    {**ALIAS, "action": "item", "reward": "click", "request": "event"},
    (*OPTIONAL, "request"),
    "action",
)


def build(
    source: Any,
    out: str | Path,
    columns: Mapping[str, str] = MappingProxyType({}),
    features: Sequence[str] = (),
    *,
    context: Sequence[str] = (),
    categories: Sequence[str] = (),
    item_categories: Sequence[str] = (),
    outcomes: Mapping[str, Any] = MappingProxyType({}),
    known_time: str | None = None,
    item_table: Any = None,
    item_features: Sequence[str] = (),
    scores: Any = None,
    random: str | None = None,
    kind: Kind = IMPRESSIONS,
    **values: Any,
) -> Log:
    """Turn the impressions in a file, a folder of parts, a pattern or a frame (pandas, polars, Arrow) into a log at
    `out`, one round a request; `values` are those of `ListOptions`. Of the kind DECISIONS each row is a round of one
    position, all actions of the table are on offer, and the reward, 0 or 1, is the click.

    `columns` maps request, position, item, click and, where there are any, propensity, time, user, logger (which
    logging policy it was, any text) and score to the names in the table (of decisions: action, reward, propensity,
    time, user, logger, request); a name left out is looked for as it is, and all from propensity on may be missing. The
    ids of the requests are kept, see `Log.requests`. Columns that are not used are listed in the log's provenance.
    `features` names numeric columns that describe the item in the request, `context` numeric columns that are the same
    in all rows of a request; `item_categories` and `categories` columns of text likewise, each value of which becomes a
    column of 0 and 1. Positions count from 0 or from 1. Rounds are in the order of their first time where there is a
    time, else as the requests appear. How cells are read: `datasets.tables`.

    `outcomes` are what else came of an item, by name, declared as `lersbench.log.write` takes them, with the `column`
    that has it where that is called differently, and `empty`, what an empty cell means: {"revenue": {"column": "paid",
    "low": 0, "high": 500, "unit": "EUR"}}. A range is needed, with None for an end that nobody knows. A table without
    clicks, but with outcomes, becomes a log without clicks. Of decisions an outcome called reward is the column reward:
    it need not be 0 or 1 then, and is no click, unless `click_above` says from where on it is one. `known_time` names
    the column of the times at which it became known what came of an item.

    `item_table` is a table of the items with a column id: `item_features` names its columns of numbers that describe an
    item (an item that it lacks has 0), and its columns on_from and on_until say when an item is on air: from on_from
    until before on_until, an empty cell for no bound. What was shown must have been on air.

    Requests keep their lengths; with `length`, longer ones are cut to their top `length` positions. `candidates` is
    "shown" (a round offers the items it showed; the default where there are features) or "all" (every item of the
    table; the default otherwise, and not possible with features), or "on-air": those that `item_table` has on air at
    the time of the round. `propensities` says how they were made: "logged" (the default where there is such a column),
    "estimated", or "uniform": then each must be 1/C of the C candidates (those shown, or all) at the digits that are
    written, and 1/C is what is stored. `propensity_kind` says of what they are probabilities, see
    `log.propensities.KINDS`. Where the logging policy is known they need no column: "epsilon=0.1" (the item of the top
    score but for a share of random choices), "softmax=TEMPERATURE" (both of one item a round) and
    "plackett-luce=TEMPERATURE" (lists drawn from the top down) make them of its scores, exactly, and the log gets its
    whole logging distribution in the column scores. The scores are in the column score, of the items that were shown,
    which then are the candidates; or `scores` is a table of them: item (of decisions: action), score and, where scores
    differ between requests, request. Then the candidates of a round are the items that have a score.

    `random` names a column of impressions that is 1 (or true) in all rows of a request whose list was put in uniformly
    random order, and else 0: the log keeps it as its logger, see `log.random_order`, and policies are judged on these
    requests.

    `reward_window`, such as "1 d", is how long after a round its clicks still come in: how many rounds at the end are
    younger is said, and none of them is judged.

    Neither the table nor the log is held in memory. Raises a ConfigError for wrong arguments and a DataError that
    names the line of a text file (the header is line 1) or the row of a Parquet file or a frame (0-based) for wrong
    data.
    """
    options = ListOptions(**checked(kind.name, options_of(ListOptions), values))
    _check_arguments(kind, columns, [*features, *item_categories], options)
    paid, rule = outcomes_of(outcomes), rule_of(options.propensities)
    _check_scores(rule, scores, columns, [*features, *item_categories], options)
    _check_random(random, kind, rule, columns, options)
    described = _item_table(item_table, item_features, options)
    with reading.workshop(out) as work:
        scored = None if scores is None else read_scores(scores, work.folder, kind.item, options)
        table = reading.opened(work, source, separator=options.separator, encoding=options.encoding)
        needed, paid = _without_clicks(kind, columns, paid, table.columns, options)
        lists = (tuple(features), tuple(context), tuple(categories), tuple(item_categories))
        others = [*(column for columns in lists for column in columns), *(outcome.column for outcome in paid)]
        optional = _optional(kind, rule, scored, random)
        wanted = [*others, *(column for column in (known_time, random) if column is not None)]
        names = _names(needed, optional, columns, wanted, table.columns)
        made = "logged" if rule else _made(options.propensities, names)
        _check_told(rule, scored, names, made, options, kind)
        if known_time is not None:
            names = _with_known_time(names, known_time)
        if random is not None:
            names = _with_random(names, random, table)
        _require([*names.values(), *others], kind, table)
        ours = {kind.alias.get(key, key): name for key, name in names.items()}
        roles = Roles(ours, *lists, paid)
        if options.candidates == "on-air" and "time" not in names:
            raise ConfigError("what is on air depends on the time of the round: name it with --column time=YOURS")
        shown = Shown(table, roles, options, made, kind is IMPRESSIONS, described, rule, scored)
        with reading.damage_as_errors(table.name), table.named():
            shown.prepare()
        used = {*names.values(), *roles.others}
        provenance = {
            "source": table.name,
            "columns": dict(names),
            "columns ignored": [column for column in table.columns if column not in used],
            "features": list(features),
            "context": list(context),
            "categories": shown.levels,
            "outcomes": {outcome.name: outcome.column for outcome in paid},
            "click": _clicks_are(shown, options),
            "feature_names": _called(features, item_categories, context, categories, item_features, shown),
            "candidates": "on-air"
            if shown.on_air
            else "scored"
            if scored is not None
            else "shown"
            if shown.only_shown
            else "all",
            **({} if rule is None else {"propensity_rule": rule.facts}),
            **({} if scored is None else {"table of scores": scored.name}),
            **({"loggers": shown.loggers} if shown.loggers else {}),
            **({} if random is None else random_order.said_of(shown.in_random_order)),
            **({} if described is None else {"item table": described.name, "item features": list(item_features)}),
            "impressions": shown.impressions,
            **shown.selections.facts,
        }
        return write(
            out,
            Rounds(shown).chunks(),
            name=options.name or (kind.name if table.name == FRAME else name_of(source)),
            items=shown.ids("items") if described is None else described.of(shown.ids("items")),
            users=shown.ids("users") if "visitor" in ours else None,
            order="time" if "moment" in ours else "exchangeable",
            propensities=made,
            propensity_kind="" if made == "none" else shown.kind,
            reward_window=options.reward_window or 0,
            licence=options.licence,
            attribution=options.attribution,
            provenance=provenance,
            outcomes={outcome.name: outcome.facts for outcome in paid},
            overwrite=options.overwrite,
        )


def _item_table(source: Any, features: Sequence[str], options: ListOptions) -> ItemTable | None:
    on_air = options.candidates == "on-air"
    if source is None and (features or on_air):
        raise ConfigError("item features, and candidates on air, are in a table of items: give --item-table")
    if source is not None and not (features or on_air):
        raise ConfigError("say what is to be taken of the item table: --item-feature, or --candidates on-air")
    return None if source is None else read_items(source, features, options)


def _without_clicks(
    kind: Kind, columns: Mapping[str, str], paid: tuple[Outcome, ...], present: Collection[str], options: ListOptions
) -> tuple[list[str], tuple[Outcome, ...]]:
    """The columns that are needed, without that of the clicks where an outcome stands for it, and the outcomes."""
    reward = next((outcome for outcome in paid if outcome.name == "reward"), None) if kind is DECISIONS else None
    if options.click_above is not None and reward is None:
        raise ConfigError("click_above is of decisions whose reward is an outcome; say --reward-range LOW:HIGH too")
    if reward is not None:
        if "reward" in columns and reward.column == "reward":
            reward = reward._replace(column=columns["reward"])
        paid = (reward, *(outcome for outcome in paid if outcome.name != "reward"))
        gone = "reward"
    elif kind is IMPRESSIONS and paid and "click" not in present and "click" not in columns:
        gone = "click"
    else:
        gone = ""
    if gone and options.empty_click is not None:
        raise ConfigError(
            "there are no clicks, only outcomes: leave out empty_click (--empty-outcome NAME=0 is theirs)"
        )
    return [key for key in kind.needed if key != gone], paid


def _with_known_time(names: dict[str, str], column: str) -> dict[str, str]:
    if "time" not in names:
        fault = "but the table has no column time, the clock by which it is delivered"
        raise ConfigError(f"known_time = {column!r}, {fault}. Name it with --column time=YOURS")
    return {**names, "known": column}


def _with_random(names: dict[str, str], column: str, table: reading.Table) -> dict[str, str]:
    if column not in table.columns:
        fault = f"the column {column} is missing; there are {', '.join(table.columns)}"
        raise DataError(f"{table.name}: {fault}. Fix: name the column that says which requests are in random order")
    return {**names, "random": column}


def _clicks_are(shown: Shown, options: ListOptions) -> str:
    """What a click is, in words; said where it is no column of clicks."""
    if "click" in shown.roles.names:
        return "as the table has it"
    outcome = shown.roles.outcomes[0].name
    if options.click_above is not None:
        said = f"{outcome} above {options.click_above:g}"
        say(f"clicks: a click is a {said}")
        return said
    more = "" if shown.listed else "; --click-above 0 would make a reward above 0 a click"
    say(f'clicks: the log has none, only outcomes; play it with [replay] reward = "{outcome}"{more}')
    return "none"


def describe(log: Log) -> list[str]:
    """Which columns of the table went into the log under which name, and which were ignored, in two lines."""
    facts = log.info.provenance
    used = [ours if ours == theirs else f"{ours} (your {theirs})" for ours, theirs in facts["columns"].items()]
    used += [f"{column} (a feature)" for column in facts["features"]]
    used += [f"{column} (context)" for column in facts["context"]]
    used += [f"{column} ({len(levels)} columns of 0 and 1)" for column, levels in facts["categories"].items()]
    used += [f"{column} (of the item table)" for column in facts.get("item features", [])]
    used += [_outcome_in_words(name, column, log.info.outcomes[name]) for name, column in facts["outcomes"].items()]
    return [f"columns used: {', '.join(used)}", f"columns ignored: {', '.join(facts['columns ignored']) or 'none'}"]


def _outcome_in_words(name: str, column: str, declared: Mapping[str, Any]) -> str:
    low, high = range_of(declared)
    ours = name if name == column else f"{name} (your {column})"
    return f"{ours} (an outcome, {low:g} to {high:g} {declared['unit']})"


def _check_arguments(kind: Kind, columns: Mapping[str, str], features: Sequence[str], options: ListOptions) -> None:
    known = (*kind.needed, *kind.optional)
    for key in columns:
        if key not in known:
            raise ConfigError(f"{kind.name} have no column {key!r} to map{did_you_mean(key, known, 'known are')}")
    if options.candidates in ("all", "on-air") and features:
        raise ConfigError('the table has features of the items shown only; use candidates = "shown" with features')
    check_format(options.time_format)
    if kind is DECISIONS and (features or options.candidates in ("shown", "on-air")):
        raise ConfigError("a row of decisions tells of the action chosen only: give context, not features")
    if kind is DECISIONS and (options.length or options.renumber or options.first_of_doubled):
        raise ConfigError("decisions have no positions: leave out length, renumber and first_of_doubled")


def _check_scores(
    rule: Rule | None, scores: Any, columns: Mapping[str, str], joint: Sequence[str], options: ListOptions
) -> None:
    """Scores and the rule that makes propensities of them come together, and nothing else says what is on offer."""
    given = "a table of scores" if scores is not None else "the column score" if "score" in columns else ""
    if given and rule is None:
        fault = f"{given}, but nothing says how the logging policy chose by them"
        raise ConfigError(f"{fault}: propensities = 'plackett-luce=1' takes them for log-weights; there are {TAKEN}.")
    if scores is not None and "score" in columns:
        raise ConfigError("the scores are in a column or in a table of their own: leave out one of the two")
    if rule is not None and "propensity" in columns:
        raise ConfigError(f"propensities = '{options.propensities}' makes them: leave out the column propensity")
    if rule is not None and options.propensity_kind is not None:
        raise ConfigError(f"propensities = '{options.propensities}' says of which kind they are: leave out the kind")
    if scores is not None and (options.candidates is not None or joint):
        raise ConfigError("what is on offer has a score in the table of scores: leave out candidates and features")
    if scores is None and rule is not None and options.length is not None:
        fault = "length cuts rows that were on offer, too, and their scores count"
        raise ConfigError(f"{fault}: give the scores of all as a table, --scores (in Python scores=...)")
    if scores is None and rule is not None and options.candidates in ("all", "on-air"):
        raise ConfigError(f"candidates = '{options.candidates}': give the scores of all of them as a table, --scores")


def _check_random(
    random: str | None, kind: Kind, rule: Rule | None, columns: Mapping[str, str], options: ListOptions
) -> None:
    """Which requests are in random order says who logged them, and what else would say it is refused."""
    if random is None:
        return
    if kind is DECISIONS:
        raise ConfigError("decisions have no order that could be random; import propensities of random choices instead")
    if "logger" in columns:
        fault = f"random = {random!r} is kept as the logger (0 the ranker, 1 random)"
        raise ConfigError(f"{fault}: leave out --column logger={columns['logger']}, or leave out --random")
    if rule is not None:
        fault = f"propensities = '{options.propensities}' is said of all requests"
        raise ConfigError(f"{fault}, and those of random = {random!r} were ordered otherwise: leave out one of the two")
    if options.first_of_doubled:
        raise ConfigError("a list that is in random order has no item twice: leave out first_of_doubled, or random")


def _check_told(
    rule: Rule | None, scored: ScoreTable | None, names: Mapping[str, str], made: str, options: ListOptions, kind: Kind
) -> None:
    """Whatever is said must have the columns it is said of."""
    if rule is not None and scored is None and "score" not in names:
        more = "" if kind is DECISIONS else " or a column, --column score=YOURS"
        fix = f"a table of them, --scores (in Python scores=...),{more}"
        raise ConfigError(f"propensities = '{options.propensities}' is made of scores. Give {fix}")
    if scored is not None and scored.by_request and "request" not in names:
        raise ConfigError("the scores are by request: name the column of the decisions, --column request=YOURS")
    if options.propensity_kind is not None and made == "none":
        fault = f"propensity_kind = '{options.propensity_kind}', but the table has no column propensity"
        raise ConfigError(f"{fault}. Name it with --column propensity=YOURS")
    if options.propensity_kind == SLATE and (options.length or options.first_of_doubled):
        raise ConfigError("the probability of a whole slate is not that of a part: leave out length, first_of_doubled")
    if options.reward_window and "time" not in names:
        fault = f"reward_window = '{options.reward_window}', but the table has no column time"
        raise ConfigError(f"{fault}. Name it with --column time=YOURS")


def _optional(kind: Kind, rule: Rule | None, scored: ScoreTable | None, random: str | None) -> list[str]:
    """The columns that are used where the table has them: those that propensities follow from, or are in."""
    unused = {"propensity"} if rule is not None else {"score"}
    if random is not None:
        unused.add("logger")
    return [key for key in kind.optional if key not in unused and (key != "score" or scored is None)]


def _called(
    features: Sequence[str],
    item_categories: Sequence[str],
    context: Sequence[str],
    categories: Sequence[str],
    item_features: Sequence[str],
    shown: Shown,
) -> dict[str, list[str]]:
    """What the numbers of the log are called, see `log.names`."""

    def values(columns: Sequence[str]) -> list[str]:
        return [f"{column}={level}" for column in columns for level in shown.levels[column]]

    names = {
        "context": [*context, *values(categories)],
        "features": [*features, *values(item_categories)],
        "items": list(item_features),
    }
    return {kind: of for kind, of in names.items() if of}


def _names(
    needed: Sequence[str],
    optional: Sequence[str],
    columns: Mapping[str, str],
    others: Sequence[str],
    present: Collection[str],
) -> dict[str, str]:
    """The name in the table of every column that is used: as mapped, else our own where the table has it."""
    names = {key: columns.get(key, key) for key in needed}
    taken = {*names.values(), *columns.values(), *others}
    names |= {key: columns.get(key, key) for key in optional if key in columns or key in {*present} - taken}
    used = [*names.values(), *others]
    for column in used:
        if used.count(column) > 1:
            raise ConfigError(f"the column {column!r} of the table is used twice")
    return names


def _require(wanted: Sequence[str], kind: Kind, table: reading.Table) -> None:
    """Raise a DataError where a column is not there."""
    missing = next((column for column in wanted if column not in table.columns), None)
    if missing is None:
        return
    problem = f"the column {missing} is missing; there are {', '.join(table.columns)}"
    if lists := table.lists():
        problem += f" ({lists[0]} has lists for cells: {ONE_A_ROW})"
    if missing not in kind.needed:
        raise DataError(f"{table.name}: {problem}{did_you_mean(missing, table.columns)} Fix: name one that is there")
    raise DataError(
        f"{table.name}: {problem}. Fix: say which column it is: --column {missing}=YOURS, or --columns FILE (in "
        f'Python: columns={{"{missing}": "yours"}})'
    )


def _made(propensities: str | None, names: Mapping[str, str]) -> str:
    """How the propensities were made: as claimed, but never without a column that bears the claim out."""
    if propensities is None:
        return "logged" if "propensity" in names else "none"
    if "propensity" not in names:
        problem = f"propensities are said to be {propensities}, but the table has no column propensity"
        raise ConfigError(f"{problem}. Name it with --column propensity=YOURS, or leave --propensities out")
    return propensities
