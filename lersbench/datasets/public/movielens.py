"""MovieLens: ratings of movies. Only rated pairs are known: a movie that somebody did not rate is not disliked.

So a round offers movies that one user rated one after the other, at most `candidates` of them, and the reward of each
is known: 1 for a rating of at least `like`, else 0. Nothing is made of pairs without a rating. Which movies people rate
is their own choice, and no list was ever shown: values say how well a policy ranks movies that a user chose to rate,
not what a recommender would have earned. A single rating that is left over offers no choice; it is left out, and
counted.

The context is a one and the share of each genre among the movies that the user liked in earlier rounds; an item's
features are its genres, as shares. A round has the time of its last rating.

Layouts: ml-100k (u.data, u.item), ml-1m and ml-10m (ratings.dat, movies.dat), ml-latest and ml-25m (ratings.csv,
movies.csv), as their READMEs give them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lersbench.datasets.public import NOT_TRIED
from lersbench.datasets.public import options as known
from lersbench.datasets.public.files import Part, find, lines, table
from lersbench.datasets.public.rounds import Ids, Sides, Tally, spool, write_rounds
from lersbench.datasets.public.sides import check_met
from lersbench.errors import DataError
from lersbench.log import Log, Ragged

TITLE = "MovieLens: ratings of movies (GroupLens), from your own folder"
LICENCE = "GroupLens terms (research, no redistribution without permission; see the README of the data set)"
ATTRIBUTION = (
    "F. Maxwell Harper, Joseph A. Konstan: The MovieLens Datasets: History and Context, ACM Transactions on "
    "Interactive Intelligent Systems 5(4), 2015, https://grouplens.org/datasets/movielens"
)
TRIED = NOT_TRIED
WHAT = "the unpacked folder with ratings.csv, ratings.dat or u.data, such as ml-latest-small, ml-1m or ml-100k"
NAMES: dict[str, Any] = {  # by file: how its table is read
    "u.data": {"delimiter": "\t", "names": ["userId", "movieId", "rating", "timestamp"]},
    "ratings.dat": {"delimiter": ":", "names": ["userId", "-", "movieId", "--", "rating", "---", "timestamp"]},
    "ratings.csv": {},
}
GENRES = (  # of ml-100k, in the order of its columns
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip


class Movies(NamedTuple):
    """What is known of the movies, by id."""

    path: Path
    title: dict[str, str]
    genres: dict[str, list[str]]
    levels: list[str]

    def shares(self, item: str) -> list[float]:
        genres = self.genres.get(item, [])
        return [(level in genres) / len(genres) if genres else 0.0 for level in self.levels]


def build(out: str | Path, *, name: str | None = None, overwrite: bool = False, **values: Any) -> Log:
    """Write the log; `values` are those of `options.MovieLens`.

    Raises DataError for a file that is missing or wrong.
    """
    options = known.MovieLens(**values)
    (ratings,) = find(options.path, list(NAMES), WHAT)
    if ratings.name not in NAMES:
        raise DataError(f"{ratings}: is none of {', '.join(NAMES)}. Fix: give {WHAT}")
    movies = _movies(ratings)
    users, items, tally = Ids("user"), Ids("item"), Tally("ratings")

    def finish() -> Sides:
        met = sum(item in movies.title for item in items)
        join = check_met(movies.path, met, len(items), items.what)
        columns = {
            "title": [movies.title.get(item, "") for item in items],
            "features": [movies.shares(item) for item in items],
        }
        facts = {
            "source": str(ratings),
            "reward": f"1 for a rating of at least {options.like}, else 0; only rated movies are on offer",
            "candidates": f"at most {options.candidates} movies that a user rated one after the other",
            "context": ["1", *(f"share of {genre} among the movies liked before" for genre in movies.levels)],
            "item_features": movies.levels,
            "movies with genres": met,
            "joins": [join],
            "tried": TRIED,
        }
        return Sides(columns, provenance=facts)

    return write_rounds(
        out,
        _parts(out, ratings, movies, options, users, items, tally),
        items,
        users,
        tally,
        finish,
        name=name or "movielens",
        licence=LICENCE,
        attribution=ATTRIBUTION,
        overwrite=overwrite,
    )


def _movies(ratings: Path) -> Movies:
    """Titles and genres, from the file beside the ratings."""
    file = ratings.with_name(
        {"u.data": "u.item", "ratings.dat": "movies.dat", "ratings.csv": "movies.csv"}[ratings.name]
    )
    (path,) = find(file, [], WHAT)
    title: dict[str, str] = {}
    genres: dict[str, list[str]] = {}
    for item, words, kinds in {"u.item": _u_item, "movies.dat": _movies_dat, "movies.csv": _movies_csv}[path.name](
        path
    ):
        title[item], genres[item] = words, [kind for kind in kinds if kind and kind != "(no genres listed)"]
    return Movies(path, title, genres, sorted({kind for kinds in genres.values() for kind in kinds}))


def _u_item(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    for place, line in lines([path], "latin-1"):
        cells = line.split("|")
        if len(cells) != 5 + len(GENRES) or not {*cells[5:]} <= {"0", "1"}:
            place.refuse(f"{len(cells)} columns, or genres not 0 or 1", "give u.item as it was published")
        yield cells[0], cells[1], [genre for genre, there in zip(GENRES, cells[5:], strict=True) if there == "1"]


def _movies_dat(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    for place, line in lines([path], "latin-1"):
        cells = line.split("::")
        if len(cells) != 3:
            place.refuse(f"{len(cells)} columns, where 3 are due", "give movies.dat as it was published")
        yield cells[0], cells[1], cells[2].split("|")


def _movies_csv(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    for part in table(path, ("movieId", "title", "genres")):
        item, title, genres = (part.columns[column].to_pylist() for column in ("movieId", "title", "genres"))
        yield from zip(item, title, (one.split("|") for one in genres), strict=True)


def _parts(
    out: str | Path, ratings: Path, movies: Movies, options: known.MovieLens, users: Ids, items: Ids, tally: Tally
) -> Iterator[dict[str, Any]]:
    """Rounds, user by user: the ratings are sorted on disk first."""
    with spool(out) as kept:
        for part in table(ratings, ("userId", "movieId", "rating", "timestamp"), **NAMES[ratings.name]):
            kept.add(_ratings(part, options.like, users, items, tally))
        genres = np.array([movies.shares(item) for item in items]).reshape(len(items), len(movies.levels))
        rest: Mapping[str, np.ndarray] = {}
        for rows in kept.sorted_by("user", "time"):
            rows = {name: np.concatenate([rest[name], values]) if rest else values for name, values in rows.items()}
            whole = int(np.searchsorted(rows["user"], rows["user"][-1]))  # the last user may go on
            rest = {name: values[whole:] for name, values in rows.items()}
            yield from _rounds(
                ratings, {name: values[:whole] for name, values in rows.items()}, genres, options, tally, items
            )
        if rest:
            yield from _rounds(ratings, rest, genres, options, tally, items)


def _ratings(part: Part, like: float, users: Ids, items: Ids, tally: Tally) -> dict[str, np.ndarray]:
    reward = (part.numbers("rating", 0.5, 5.0) >= like).astype(np.float32)
    tally.read(len(part), reward.sum())
    return {
        "user": users.codes(part.texts("userId")),
        "time": part.times("timestamp", "s"),
        "item": items.codes(part.texts("movieId")),
        "reward": reward,
    }


def _rounds(
    path: Path,
    rows: Mapping[str, np.ndarray],
    genres: np.ndarray,
    options: known.MovieLens,
    tally: Tally,
    items: Ids,
) -> Iterator[dict[str, Any]]:
    """The rounds of some users, whose ratings stand together in the order of time."""
    user, item, reward = rows["user"], rows["item"], rows["reward"]
    if not len(user):
        return
    _refuse_doubled(path, user, item, items)
    first = np.flatnonzero(np.concatenate([[True], user[1:] != user[:-1]]))  # of each user
    own = np.repeat(first, np.diff(np.append(first, len(user))))
    begins = np.flatnonzero((np.arange(len(user)) - own) % options.candidates == 0)  # of each round
    lengths = np.diff(np.append(begins, len(user)))
    liked = np.concatenate([np.zeros((1, genres.shape[1])), np.cumsum(genres[item] * reward[:, None], axis=0)])
    before = liked[begins] - liked[own[begins]]
    total = before.sum(axis=1, keepdims=True)
    shares = np.divide(before, total, out=np.zeros_like(before), where=total > 1e-9)
    single = lengths == 1
    tally.leave_out("a single rating, which offers no choice", single.sum(), reward[begins[single]].sum())
    kept = np.repeat(~single, lengths)
    ends = (begins + lengths)[~single]
    yield {
        "user": user[begins[~single]],
        "time": rows["time"][ends - 1],
        "context": np.column_stack([np.ones(len(ends)), shares[~single].round(9)]),
        "candidates": Ragged(item[kept], lengths[~single]),
        "rewards": Ragged(reward[kept], lengths[~single]),
    }


def _refuse_doubled(path: Path, user: np.ndarray, item: np.ndarray, items: Ids) -> None:
    order = np.lexsort((item, user))
    same = (np.diff(user[order]) == 0) & (np.diff(item[order]) == 0)
    if same.any():
        movie = list(items)[int(item[order][np.flatnonzero(same)[0]])]
        raise DataError(f"{path}: somebody rated movie {movie} twice. Fix: keep one rating of each user and movie")
