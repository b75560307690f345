"""The options that several data sources share. Light to import: the command line makes its flags from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lersbench.options import OptionSet, option

Scenario = Literal["normal", "active", "repeat"]
TextModel = Literal["svd", "sentence"]


@dataclass(frozen=True, kw_only=True)
class LogOptions(OptionSet):
    """What is kept with a log that is made from a user's own tables."""

    name: str | None = option(None, help="Name of the log; the table's by default.")
    licence: str = option("", help="Licence of the data, kept with the log.")
    attribution: str = option("", help="Who has to be named with the data.")
    overwrite: bool = option(False, help="Replace a log that is there already.")


@dataclass(frozen=True, kw_only=True)
class ShopOptions(OptionSet):
    """How the purchases of a shop become a scenario, see `transactions`.

    Attributes:
        scenario: which.
        cut: contexts and features are made of times before this day's beginning.
        day: the recommended day, not before the cut; left out: the day of the cut.
        like_days: length of the like window in days, the recommended day included.
        customers, products: how many (active, repeat); left out: the published 1,000 x 200 and 10 x 10, or all there
            are where there are fewer (the provenance says so).
        repeats, likes_each: how often a customer of repeat comes, and how many products each likes.
        context: width after PCA; 0 keeps every standardised feature.
        item_features: the same; the first two are log popularity and log price themselves, the others components of
            all else.
        text: width of the products' text vectors (see `purchases.text`).
        text_model, text_path: "svd", or "sentence" with the folder of a sentence model (None: that of wordllama).
    """

    scenario: Scenario = "active"
    cut: str = option(help="Contexts are made of times before this day only.", metavar="YYYY-MM-DD")
    day: str | None = option(None, help="The recommended day; the day of the cut by default.", metavar="YYYY-MM-DD")
    like_days: int = option(7, least=1, help="A purchase within so many days is a like.")
    customers: int | None = option(
        None, least=1, help="How many customers; by default the published number, or all there are."
    )
    products: int | None = option(
        None, least=1, help="How many products; by default the published number, or all there are."
    )
    repeats: int = option(10, least=1, help="How often each customer of 'repeat' comes.")
    likes_each: int = option(5, least=1, help="Likes of each customer of 'repeat'.")
    context: int = option(20, least=0)
    item_features: int = option(8, least=0)
    text: int = option(64, least=1, help="Width of the products' text vectors.")
    text_model: TextModel = option("svd", help="What makes them: TF-IDF and SVD, or a sentence model.")
    text_path: str | None = option(
        None, help="Folder of the sentence model; the one the package wordllama brings by default."
    )


@dataclass(frozen=True, kw_only=True)
class TableOptions(OptionSet):
    """How a user's own table is read, see `datasets.tables`."""

    where: str | None = option(
        None, help="Take only the rows for which this holds, such as \"country = 'DE'\" (SQL of DuckDB).", metavar="SQL"
    )
    time_format: str | None = option(
        None, help="How times are written: iso, s, ms, us, ns (since 1970), or a pattern such as %d.%m.%Y.",
        metavar="FORMAT",
    )  # fmt: skip
    separator: str | None = option(
        None, help="What separates the cells of a CSV file; seen by default.", metavar="SIGN"
    )
    encoding: str | None = option(None, help="Encoding of a text file; UTF-8 by default.", metavar="NAME")


@dataclass(frozen=True, kw_only=True)
class ListOptions(LogOptions, TableOptions):
    """How a table of impressions becomes a log of ranked lists, see `impressions.build`."""

    length: int | None = option(None, least=1, help="Cut requests to this many positions; shorter ones stay.")
    candidates: Literal["shown", "all", "on-air"] | None = option(
        None, help="Items on offer; 'shown' where there are features; 'on-air' by the times of the item table."
    )
    propensities: str | None = option(
        None,
        help="How they were made: logged (where there is the column), uniform or estimated; or what makes them of the "
        "scores: epsilon=SHARE, softmax=TEMPERATURE, plackett-luce=TEMPERATURE.",
        metavar="HOW",
    )
    propensity_kind: Literal["position", "conditional", "slate"] | None = option(
        None, help="Of what: of the item at its position (default), of it given those above, or of the whole slate."
    )
    reward_window: str | None = option(
        None, help="How long after a round its clicks still come in, as '1 d': younger rounds are not judged.",
        metavar="TIME",
    )  # fmt: skip
    category_cap: int = option(50, least=1, help="Values of a category with a column of their own; others share one.")
    renumber: bool = option(False, help="Repair: number the positions of each request anew, in their order.")
    first_of_doubled: bool = option(False, help="Repair: of an item shown twice in a request keep the upper one.")
    click_above: float | None = option(
        None, help="Of decisions whose reward is an outcome: a reward above this is a click. By default no clicks."
    )
    empty_click: int | None = option(None, least=0, most=1, help="Repair: what an empty click means.")
    unknown_user: bool = option(False, help="Repair: requests without a user are of one user called unknown.")


@dataclass(frozen=True, kw_only=True)
class OpenBanditOptions(OptionSet):
    """One behaviour policy, campaign and position (1 left, 2 centre, 3 right, 0 all); `path`: your own folder."""

    behaviour: Literal["random", "bts"] = option("random", help="The policy that was at work.")
    campaign: Literal["all", "men", "women"] = option("all", help="The campaign.")
    position: Literal[0, 1, 2, 3] = option(0, help="1 left, 2 centre, 3 right; 0: all.")
    path: str | None = None
