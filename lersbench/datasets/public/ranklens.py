"""RankLens (Metarank): people were shown groups of movies and marked those they liked; each group shown is a round.

ranking.jsonl has a line a task: {"id": task, "user": text, "ts": seconds since 1970 or ISO time, "shown": [movie, ...],
"liked": [movie, ...]}. The slate is `shown` in the order of the file, which is that of the form; whether the form laid
the movies out in that order is not documented. Every movie shown was liked or not, so the log has rewards and clicks.
metadata.jsonl has a line a movie with id, title and genres, which are the features of an item, as shares. The context
is a column of ones.

Layout: the README and the converter of the repository metarank/ranklens. An older version of it lists liked movies by
other numbers; these are not among the movies shown, so it is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lersbench.datasets.public import NOT_TRIED
from lersbench.datasets.public import options as known
from lersbench.datasets.public.files import Place, blocks, find, objects
from lersbench.datasets.public.rounds import Ids, Sides, Tally, listed, write_rounds
from lersbench.datasets.public.sides import check_met
from lersbench.log import Log

TITLE = "RankLens: groups of movies shown to people who marked those they liked (Metarank), from your own folder"
LICENCE = "CC BY-SA 4.0"
ATTRIBUTION = "RankLens, Metarank, https://github.com/metarank/ranklens; made with MovieLens and TMDB"
TRIED = NOT_TRIED
WHAT = "the folder dataset of github.com/metarank/ranklens, with ranking.jsonl.gz and metadata.jsonl.gz"
LINES = 1024  # tasks parsed at a time


def build(out: str | Path, *, name: str | None = None, overwrite: bool = False, **values: Any) -> Log:
    """Write the log; `values` are those of `options.Files`. Raises DataError for a file that is missing or wrong."""
    (ranking,) = find(known.Files(**values).path, ["ranking.jsonl", "ranking.jsonl.gz"], WHAT)
    (metadata,) = find(ranking.parent, ["metadata.jsonl", "metadata.jsonl.gz"], WHAT)
    users, items, tally = Ids("user"), Ids("item"), Tally("tasks")

    def finish() -> Sides:
        titles, genres, met = _movies(metadata, items)
        join = check_met(metadata, met, len(items), items.what)
        levels = sorted({genre for one in genres.values() for genre in one})
        features = [_shares(genres.get(item, []), levels) for item in items]
        facts = {
            "source": str(ranking),
            "positions": "the order of the list shown, which may not be how it was laid out",
            "context": ["1"],
            "item_features": levels,
            "movies with metadata": met,
            "joins": [join],
            "tried": TRIED,
        }
        return Sides({"title": [titles.get(item, "") for item in items], "features": features}, provenance=facts)

    return write_rounds(
        out,
        (_part(rows, users, items, tally) for rows in blocks(objects([ranking]), LINES)),
        items,
        users,
        tally,
        finish,
        name=name or "ranklens",
        licence=LICENCE,
        attribution=ATTRIBUTION,
        overwrite=overwrite,
    )


def _part(rows: list[tuple[Place, dict[str, Any]]], users: Ids, items: Ids, tally: Tally) -> dict[str, Any]:
    user, time, shown, liked = [], [], [], []
    for place, task in rows:
        movies, marked = (_movies_of(place, task, key) for key in ("shown", "liked"))
        if not movies:
            place.refuse("shown is empty", "drop the line")
        if strays := [movie for movie in marked if movie not in movies]:
            fix = "get the newest version of the data set, in which liked movies are among those shown"
            place.refuse(f"movie {strays[0]} is liked, but was not shown", fix)
        if not isinstance(task.get("user"), str) or not task["user"]:
            place.refuse(f"user is {task.get('user')!r}", "give a text")
        user.append(users.code(task["user"]))
        time.append(_time(place, task.get("ts")))
        shown.append([items.code(movie) for movie in movies])
        liked.append([int(movie in marked) for movie in movies])
    tally.read(len(rows), sum(map(sum, liked)))
    return {
        "user": np.array(user, np.int64),
        "time": np.array(time, "datetime64[us]"),
        "context": np.ones((len(rows), 1)),
        "candidates": listed(shown, np.int64),
        "rewards": listed(liked, np.float32),
        "slate": listed(shown, np.int64),
        "clicks": listed(liked, np.int8),
    }


def _movies_of(place: Place, task: dict[str, Any], key: str) -> list[str]:
    movies = task.get(key)
    if not isinstance(movies, list) or not all(
        isinstance(one, int | str) and not isinstance(one, bool) for one in movies
    ):
        place.refuse(f"{key} is {movies!r}", "give a list of movie ids")
    if len(set(movies)) < len(movies):
        place.refuse(f"{key} has a movie twice: {movies}", "keep one of the two")
    return [str(movie) for movie in movies]


def _time(place: Place, value: Any) -> np.datetime64:
    """Of seconds since 1970, or an ISO time."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        place.refuse(f"ts is {value!r}", "give seconds since 1970, or a time like 2021-11-15T16:30:34")
    time = (
        pd.to_datetime(value, unit="s", utc=True, errors="coerce")
        if isinstance(value, int)
        else pd.to_datetime(value, format="ISO8601", utc=True, errors="coerce")
    )
    if pd.isna(time) or not 1990 <= time.year < 2100:
        place.refuse(f"ts is {value!r}", "give seconds since 1970, or a time like 2021-11-15T16:30:34")
    return time.tz_localize(None).to_datetime64()


def _movies(path: Path, items: Ids) -> tuple[dict[str, str], dict[str, list[str]], int]:
    """The title and the genres of each movie of the log, and of how many they are known."""
    titles, genres = {}, {}
    for place, movie in objects([path]):
        kinds = movie.get("genres")
        if (
            "id" not in movie
            or not isinstance(kinds, list)
            or not all(isinstance(k, dict) and "name" in k for k in kinds)
        ):
            place.refuse("has no id, or no genres with names", "give metadata.jsonl as it was published")
        if (item := str(movie["id"])) in items:
            titles[item] = str(movie.get("title", ""))
            genres[item] = [str(kind["name"]) for kind in kinds]
    return titles, genres, len(titles)


def _shares(genres: list[str], levels: list[str]) -> list[float]:
    return [(level in genres) / len(genres) if genres else 0.0 for level in levels]
