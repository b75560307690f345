"""`lersbench import`: a user's own tables become logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lersbench.cli import formats, outcomes
from lersbench.cli.arguments import LOCAL, OfOneTable
from lersbench.cli.flags import flags
from lersbench.cli.new_log import say_use
from lersbench.datasets.options import ListOptions, LogOptions, ShopOptions, TableOptions
from lersbench.errors import ConfigError
from lersbench.files import read_toml
from lersbench.system.progress import say

READING = ("where", "time_format", "separator", "encoding")  # of TableOptions


@click.group(name="import")
def group() -> None:
    """Turn tables of your own into a log: CSV, JSON lines, Parquet, packed or in parts (a folder, or '*.parquet')."""


def _shared(command: Any) -> Any:
    """The options both imports have."""
    for option in (
        flags(LogOptions, ("name", "licence", "attribution", "overwrite")),
        click.option(
            "--columns", "columns_file", type=LOCAL, help='TOML file with OURS = "YOURS" for each column name.'
        ),
        click.option(
            "--column", "columns", multiple=True, metavar="OURS=YOURS", help="One column name; may be repeated."
        ),
    ):
        command = option(command)
    return command


def _names(file: Path | None, pairs: tuple[str, ...]) -> dict[str, str]:
    """Our column names with the user's, from a TOML file and from flags, which win."""
    names: dict[str, str] = {}
    if file is not None:
        try:
            names.update(read_toml(file))
        except ConfigError as error:
            raise ConfigError(f'--columns: {error} It takes lines such as customer = "household_id".') from error
        for key, value in names.items():
            if not isinstance(value, str):
                raise ConfigError(f"--columns {file}: '{key}' is {value!r}; it takes the name of a column.")
    for pair in pairs:
        ours, equals, yours = pair.partition("=")
        if not (ours and equals and yours):
            raise ConfigError(f"--column takes OURS=YOURS, such as customer=household_id, not '{pair}'.")
        names[ours] = yours
    return names


@group.command(cls=OfOneTable)
@click.argument("table", type=LOCAL)
@click.argument("out")
@flags(
    ShopOptions,
    ("scenario", "cut", "day", "like_days", "customers", "products", "repeats", "likes_each"),
)
@click.option("--product-table", type=LOCAL, help="A table of products (product, category, ...).")
@click.option("--customer-table", type=LOCAL, help="A table of customers (customer and static columns).")
@click.option("--comment-table", type=LOCAL, help="A table of comments (customer, time).")
@click.option("--streamer-table", type=LOCAL, help="A table of streamers (streamer and numbers known beforehand).")
@flags(ShopOptions, ("text", "text_model", "text_path"))
@click.option("--timezone", help="Time zone of the shop, as Asia/Taipei; times are local already by default.")
@flags(TableOptions, READING)
@_shared
def transactions(
    table: Path,
    out: str,
    columns: tuple[str, ...],
    columns_file: Path | None,
    product_table: Path | None,
    customer_table: Path | None,
    comment_table: Path | None,
    streamer_table: Path | None,
    timezone: str | None,
    name: str | None,
    **options: Any,
) -> None:
    """Order lines in TABLE become the log OUT of a scenario: normal, active or repeat.

    TABLE has one row an order line with the columns customer, product, time and, where there are any,
    seller, order, amount, quantity. Only what happened before the cut reaches a context.
    """
    from lersbench.datasets import transactions as source
    from lersbench.datasets.purchases.read import read_tables
    from lersbench.datasets.tables.parts import name_of

    read = read_tables(
        table,
        columns=_names(columns_file, columns),
        products=product_table,
        customers=customer_table,
        comments=comment_table,
        streamers=streamer_table,
        timezone=timezone,
        **{name: options.pop(name) for name in READING},
    )
    log = source.build(read, out, name=name or name_of(table), **options)
    click.echo(source.describe(log))
    say_use(log)


def _build(table: Path, out: str, columns_file: Path | None, columns: tuple[str, ...], **options: Any) -> Any:
    """The log of a table of rounds, described."""
    from lersbench.datasets import impressions as source

    flags_of = {key: options.pop(f"outcome_{key}") for key in ("names", "ranges", "units", "empties")}
    paid = outcomes.outcomes(**flags_of, reward_range=options.pop("reward_range", None))
    log = source.build(table, out, _names(columns_file, columns), outcomes=paid, **options)
    for line in source.describe(log):
        say(line)
    return log


def _read_as(command: Any) -> Any:
    """The options of the imports of one table of rounds."""
    for option in (
        click.option("--context", multiple=True, help="Numeric column that is the same in a whole round; repeat."),
        click.option(
            "--category",
            "categories",
            multiple=True,
            help="Column of text that is the same in a whole round; each value becomes a context column; repeat.",
        ),
        *outcomes.OPTIONS,
        click.option(
            "--known-time",
            metavar="COLUMN",
            help='Column of the times at which it became known what came of an item, for [replay] delay = "logged".',
        ),
        flags(ListOptions, ("propensities", "propensity_kind", "reward_window", "category_cap")),
        click.option(
            "--scores",
            type=LOCAL,
            help="A table of the logging policy's scores: item (or action), score and, where they differ, request.",
        ),
        flags(TableOptions, READING),
        flags(ListOptions, ("empty_click", "unknown_user")),
        _shared,
    ):
        command = option(command)
    return command


@group.command(cls=OfOneTable)
@click.argument("table", type=LOCAL)
@click.argument("out")
@click.option(
    "--feature", "features", multiple=True, help="Numeric column that describes the item in the request; repeat."
)
@click.option("--item-category", "item_categories", multiple=True, help="The same of a column of text; repeat.")
@click.option("--item-table", type=LOCAL, help="A table of the items: id, numbers, and on_from and on_until.")
@click.option("--item-feature", "item_features", multiple=True, help="Column of numbers of the item table; repeat.")
@flags(ListOptions, ("length", "candidates", "renumber", "first_of_doubled"))
@click.option(
    "--random",
    metavar="COLUMN",
    help="Column that is 1 where the list of a request was put in uniformly random order, else 0: policies are judged "
    "on these requests.",
)
@_read_as
def impressions(
    table: Path,
    out: str,
    columns: tuple[str, ...],
    columns_file: Path | None,
    features: tuple[str, ...],
    **options: Any,
) -> None:
    """Impressions in TABLE (one row an item shown) become the ranked-list log OUT.

    TABLE has the columns request, position, item, click and, where there are any, propensity, time, user, logger (which
    policy it was) and score (see --propensities). Requests may differ in length.
    """
    log = _build(table, out, columns_file, columns, features=features, **options)
    if features:
        advice = "bring them near [0, 1] and give a column of ones"
        say(f"note: linear policies take the features as they are: {advice}")
    say_use(log)


@group.command(cls=OfOneTable)
@click.argument("table", type=LOCAL)
@click.argument("out")
@click.option(
    "--reward-range",
    metavar="LOW:HIGH",
    help="The reward is not 0 or 1, but an outcome called reward with this range (as --outcome-range).",
)
@flags(ListOptions, ("click_above",))
@_read_as
def decisions(table: Path, out: str, columns: tuple[str, ...], columns_file: Path | None, **options: Any) -> None:
    """Decisions in TABLE (one row a decision) become the log OUT, whose rounds show one item.

    TABLE has the columns action, reward (0 or 1, or any number with --reward-range) and, where there are any,
    propensity, time, user, logger, request. Every action of the table is on offer in every round, or with --scores
    those that have a score.
    """
    from lersbench.datasets.impressions import DECISIONS

    say_use(_build(table, out, columns_file, columns, kind=DECISIONS, **options))


for command in formats.commands():
    group.add_command(command)
