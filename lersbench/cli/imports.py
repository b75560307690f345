"""`lersbench import`: a user's own tables become logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lersbench.cli.arguments import LOCAL
from lersbench.errors import ConfigError
from lersbench.files import read_toml
from lersbench.system.progress import say


@click.group(name="import")
def group() -> None:
    """Turn tables of your own (CSV or Parquet) into a log."""


def _shared(command: Any) -> Any:
    """The options both imports have."""
    for option in (
        click.option("--overwrite", is_flag=True, help="Replace a log that is there already."),
        click.option("--attribution", default="", help="Who has to be named with the data."),
        click.option("--licence", default="", help="Licence of the data, kept with the log."),
        click.option("--name", help="Name of the log; the table's by default."),
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
    found: dict[str, str] = {}
    if file is not None:
        try:
            found.update(read_toml(file))
        except ConfigError as error:
            raise ConfigError(f'--columns: {error} It takes lines such as customer = "household_id".') from error
        for key, value in found.items():
            if not isinstance(value, str):
                raise ConfigError(f"--columns {file}: '{key}' is {value!r}; it takes the name of a column.")
    for pair in pairs:
        ours, equals, yours = pair.partition("=")
        if not (ours and equals and yours):
            raise ConfigError(f"--column takes OURS=YOURS, such as customer=household_id, not '{pair}'.")
        found[ours] = yours
    return found


def _told(log: Any) -> None:
    say(f"{log}")
    say(f'replay it with [data] log = "{log.path}" in a scenario')


@group.command()
@click.argument("table", type=LOCAL)
@click.argument("out")
@click.option("--scenario", type=click.Choice(["normal", "active", "repeat"]), default="active", show_default=True)
@click.option("--cut", required=True, metavar="YYYY-MM-DD", help="Contexts are made of times before this day only.")
@click.option("--day", metavar="YYYY-MM-DD", help="The recommended day; the day of the cut by default.")
@click.option(
    "--like-days",
    type=click.IntRange(1),
    default=7,
    show_default=True,
    help="A purchase within so many days is a like.",
)
@click.option(
    "--customers", type=click.IntRange(1), help="How many customers; by default the published number, or all there are."
)
@click.option(
    "--products",
    "n_products",
    type=click.IntRange(1),
    help="How many products; by default the published number, or all there are.",
)
@click.option(
    "--repeats",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="How often each customer of 'repeat' comes.",
)
@click.option(
    "--likes-each", type=click.IntRange(1), default=5, show_default=True, help="Likes of each customer of 'repeat'."
)
@click.option("--product-table", type=LOCAL, help="A table of products (product, category, ...).")
@click.option("--customer-table", type=LOCAL, help="A table of customers (customer and static columns).")
@click.option("--comment-table", type=LOCAL, help="A table of comments (customer, time).")
@click.option("--streamer-table", type=LOCAL, help="A table of streamers (streamer and numbers known beforehand).")
@click.option(
    "--text", type=click.IntRange(1), default=64, show_default=True, help="Width of the products' text vectors."
)
@click.option(
    "--text-model",
    type=click.Choice(["svd", "sentence"]),
    default="svd",
    show_default=True,
    help="What makes them: TF-IDF and SVD, or a sentence model.",
)
@click.option("--text-path", help="Folder of the sentence model; the one the package wordllama brings by default.")
@click.option("--timezone", help="Time zone of the shop, as Asia/Taipei; times are local already by default.")
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
    n_products: int | None,
    name: str | None,
    **options: Any,
) -> None:
    """Order lines in TABLE become the log OUT of a scenario: normal, active or repeat.

    TABLE has one row an order line with the columns customer, product, time and, where there are any,
    seller, order, amount, quantity. Only what happened before the cut reaches a context.
    """
    from lersbench.datasets import transactions as source
    from lersbench.datasets.purchases import tables

    read = tables.read_tables(
        table,
        columns=_names(columns_file, columns),
        products=product_table,
        customers=customer_table,
        comments=comment_table,
        streamers=streamer_table,
        timezone=timezone,
    )
    log = source.build(read, out, name=name or table.stem, products=n_products, **options)
    click.echo(source.describe(log))
    _told(log)


@group.command()
@click.argument("table", type=LOCAL)
@click.argument("out")
@click.option(
    "--feature", "features", multiple=True, help="Numeric column that describes the item in the request; repeat."
)
@click.option("--context", multiple=True, help="Numeric column that is the same in a whole request; repeat.")
@click.option(
    "--length", type=click.IntRange(1), help="Cut requests to this many positions, and leave out shorter ones."
)
@click.option(
    "--candidates", type=click.Choice(["shown", "all"]), help="Items on offer; 'shown' where there are features."
)
@click.option(
    "--propensities",
    type=click.Choice(["logged", "uniform", "estimated"]),
    help="How they were made; 'logged' where there is the column.",
)
@_shared
def impressions(
    table: Path,
    out: str,
    columns: tuple[str, ...],
    columns_file: Path | None,
    features: tuple[str, ...],
    **options: Any,
) -> None:
    """Impressions in TABLE (one row an item shown) become the ranked-list log OUT.

    TABLE has the columns request, position, item, click and, where there are any, propensity, time, user.
    """
    from lersbench.datasets import impressions as source

    log = source.build(table, out, _names(columns_file, columns), features, **options)
    for line in source.describe(log):
        say(line)
    if features:
        advice = "bring them near [0, 1] and give a column of ones"
        say(f"note: linear policies take the features as they are: {advice}")
    _told(log)
