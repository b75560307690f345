"""MIND (Microsoft News): impressions of articles with their clicks, each a round of as many candidates as were shown.

behaviors.tsv has a line an impression, without a header: impression id, user, time (11/15/2019 8:55:22 AM), the
articles clicked before, and those shown, as N123-1 N456-0 (1: clicked). The order in which an impression lists its
articles is not the order in which they stood on the page, so no position is known: the log has the reward of each
candidate, and no slates. An article that was shown low may have been seen by nobody, which nothing here corrects.

news.tsv has a line an article: id, category, subcategory, title, and more that is not used. The context of a round is
the share of each category among the articles clicked before; the features of an article are its category, one-hot.
Layout: the page of the data set in Azure Open Datasets, and its repository.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lersbench.datasets.public import NOT_TRIED
from lersbench.datasets.public import options as known
from lersbench.datasets.public.files import Place, blocks, find, lines
from lersbench.datasets.public.rounds import Ids, Sides, Tally, listed, write_rounds
from lersbench.datasets.public.sides import check_met
from lersbench.datasets.reduce import frequent_levels
from lersbench.log import Log

TITLE = "MIND: news impressions with clicks (Microsoft News), from your own folder"
LICENCE = "Microsoft Research License Terms (research only, no redistribution)"
ATTRIBUTION = (
    "Fangzhao Wu, Ying Qiao, Jiun-Hung Chen, Chuhan Wu, Tao Qi, Jianxun Lian, Danyang Liu, Xing Xie, Jianfeng Gao, "
    "Winnie Wu, Ming Zhou: MIND: A Large-scale Dataset for News Recommendation, ACL 2020, https://msnews.github.io"
)
TRIED = NOT_TRIED
WHAT = "the folder with behaviors.tsv and news.tsv, such as MINDsmall_train"
TIME = "%m/%d/%Y %I:%M:%S %p"
LINES = 4096  # behaviours parsed at a time


class News(NamedTuple):
    """What is known of the articles; `levels` are the categories that contexts and features have, by name."""

    path: Path
    category: dict[str, str]
    title: dict[str, str]
    levels: list[str]


def build(out: str | Path, *, name: str | None = None, overwrite: bool = False, **values: Any) -> Log:
    """Write the log; `values` are those of `options.Mind`. Raises DataError for a file that is missing or wrong."""
    options = known.Mind(**values)
    (behaviors,) = find(options.path, ["behaviors.tsv"], WHAT)
    news = _news(behaviors.with_name("news.tsv"))
    users, items, tally = Ids("user"), Ids("item"), Tally("impressions")

    def finish() -> Sides:
        met = sum(item in news.category for item in items)
        join = check_met(news.path, met, len(items), items.what)
        category = [news.category.get(item, "") for item in items]
        columns = {
            "category": category,
            "title": [news.title.get(item, "") for item in items],
            "features": [[float(one == level) for level in news.levels] for one in category],
        }
        facts = {
            "source": str(behaviors),
            "positions": "not known: the order in the file is not that of the page",
            "context": [f"share of {level} among the clicks before" for level in news.levels],
            "item_features": news.levels,
            "articles in news.tsv": met,
            "joins": [join],
            "tried": TRIED,
        }
        return Sides(columns, provenance=facts)

    return write_rounds(
        out,
        _parts(behaviors, options.first_of_doubled, news, users, items, tally),
        items,
        users,
        tally,
        finish,
        name=name or "mind",
        licence=LICENCE,
        attribution=ATTRIBUTION,
        overwrite=overwrite,
    )


def _news(path: Path) -> News:
    (path,) = find(path, [], WHAT)
    category, title = {}, {}
    for place, line in lines([path]):
        cells = line.split("\t")
        if len(cells) < 4:
            place.refuse(f"{len(cells)} columns, where 4 or more are due", "give news.tsv as it was published")
        category[cells[0]], title[cells[0]] = cells[1], cells[3]
    levels = frequent_levels(pd.Series(list(category.values()), dtype="string"))
    return News(path, category, title, sorted(levels))


def _parts(
    path: Path, first_of_doubled: bool, news: News, users: Ids, items: Ids, tally: Tally
) -> Iterator[dict[str, Any]]:
    at = {level: j for j, level in enumerate(news.levels)}
    column = {item: at[level] for item, level in news.category.items() if level in at}
    for rows in blocks(_behaviors(path), LINES):
        yield _part(rows, first_of_doubled, column, len(at), users, items, tally)


def _behaviors(path: Path) -> Iterator[tuple[Place, list[str]]]:
    for place, line in lines([path]):
        cells = line.split("\t")
        if len(cells) != 5:
            place.refuse(f"{len(cells)} columns, where 5 are due", "give behaviors.tsv as it was published")
        yield place, cells


def _part(
    rows: list[tuple[Place, list[str]]],
    first_of_doubled: bool,
    column: dict[str, int],
    width: int,
    users: Ids,
    items: Ids,
    tally: Tally,
) -> dict[str, Any]:
    times = pd.to_datetime(pd.Series([cells[2] for _, cells in rows]), format=TIME, errors="coerce")
    for wrong in np.flatnonzero(times.isna()):
        place, cells = rows[int(wrong)]
        place.refuse(f"the time is {cells[2]!r}", "write times like 11/15/2019 8:55:22 AM, as published")
    context = np.zeros((len(rows), width))
    shown, clicks = [], []
    for row, (place, (_, user, _, history, impressions)) in enumerate(rows):
        if not user:
            place.refuse("the user is empty", "fill it in, or drop the line")
        for item in history.split():
            if item in column:
                context[row, column[item]] += 1
        clicked = _impressions(place, impressions, first_of_doubled, tally)
        shown.append([items.code(item) for item in clicked])
        clicks.append(list(clicked.values()))
    tally.read(len(rows), sum(map(sum, clicks)))
    return {
        "user": np.array([users.code(cells[1]) for _, cells in rows], np.int64),
        "time": times.to_numpy("datetime64[us]"),
        "context": context / np.maximum(context.sum(axis=1, keepdims=True), 1),
        "candidates": listed(shown, np.int64),
        "rewards": listed(clicks, np.float32),
    }


def _impressions(place: Place, text: str, first_of_doubled: bool, tally: Tally) -> dict[str, int]:
    """The articles of an impression and whether each was clicked."""
    clicked: dict[str, int] = {}
    for token in text.split():
        item, _, label = token.rpartition("-")
        if label not in ("0", "1") or not item:
            fix = "write N123-1 or N123-0; the test part of MIND has no clicks, so take the train or dev part"
            place.refuse(f"impression {token!r} has no click", fix)
        if item in clicked and not first_of_doubled:
            place.refuse(f"{item} is listed twice", "keep one of the two with --first-of-doubled")
        clicked[item] = max(int(label), clicked.get(item, 0))
    if not clicked:
        place.refuse("the impression is empty", "drop the line")
    return clicked
