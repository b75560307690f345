"""MovieLens: its three layouts in small, and every way they can be wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lersbench.datasets.public import movielens, rounds
from lersbench.errors import DataError
from tests.datasets.public.common import along, ids, imported, user_ids, whole

RATINGS = [  # user, movie, rating, time; not by user, not by time
    (1, 10, 5, 978300400),
    (2, 20, 3, 978300100),
    (1, 20, 2, 978300200),
    (1, 30, 4, 978300300),
    (2, 10, 4, 978300150),
    (1, 7, 3, 978300500),
    (3, 7, 5, 978300000),
]
MOVIES = {
    10: ("Am\u00e9lie (2001)", ["Comedy", "Romance"]),
    20: ("Jaws: 2 (1978)", ["Horror"]),
    30: ("Up", ["Comedy"]),
    7: ("X", []),
}


def save(folder: Path, layout: str, ratings: list[tuple[int, int, float, int]] = RATINGS) -> Path:
    place = folder / layout
    place.mkdir(exist_ok=True)
    if layout == "ml-100k":
        (place / "u.data").write_text("".join("\t".join(map(str, row)) + "\n" for row in ratings))
        flags = {item: ["01"[genre in kinds] for genre in movielens.GENRES] for item, (_, kinds) in MOVIES.items()}
        text = "".join(
            f"{item}|{title}|01-Jan-1995||url|{'|'.join(flags[item])}\n" for item, (title, _) in MOVIES.items()
        )
        (place / "u.item").write_bytes(text.encode("latin-1"))
    elif layout == "ml-1m":
        (place / "ratings.dat").write_text("".join("::".join(map(str, row)) + "\n" for row in ratings))
        text = "".join(f"{item}::{title}::{'|'.join(kinds)}\n" for item, (title, kinds) in MOVIES.items())
        (place / "movies.dat").write_bytes(text.encode("latin-1"))
    else:
        rows = "".join(",".join(map(str, row)) + "\n" for row in ratings)
        (place / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + rows)
        text = "".join(
            f'{i},"{title}",{"|".join(kinds) or "(no genres listed)"}\n' for i, (title, kinds) in MOVIES.items()
        )
        (place / "movies.csv").write_text("movieId,title,genres\n" + text, encoding="utf-8")
    return place


@pytest.mark.parametrize("layout", ["ml-100k", "ml-1m", "ml-latest-small"])
def test_rounds_offer_what_a_user_rated_one_after_the_other(tmp_path: Path, layout: str) -> None:
    log = imported("movielens", save(tmp_path, layout), tmp_path / "log", "--candidates", 3)
    assert along(log, "rewards") == [{"20": 0, "10": 1}, {"20": 0, "30": 1, "10": 1}]
    assert user_ids(log) == ["2", "1"]  # by the time of the last rating
    facts = log.info.provenance
    assert facts["ratings left out"] == {"a single rating, which offers no choice": 2}
    assert facts["clicks left out"] == {"a single rating, which offers no choice": 1}
    assert facts["item_features"] == ["Comedy", "Horror", "Romance"]
    table = log.item_table().set_index("id")
    assert table.loc["10", "title"] == "Am\u00e9lie (2001)"
    assert table.loc["20", "title"] == "Jaws: 2 (1978)"
    assert dict(zip(ids(log), log.items.tolist(), strict=True))["10"] == [0.5, 0, 0.5]
    assert "only rated movies" in facts["reward"]


def test_contexts_know_earlier_rounds_only_and_blocks_make_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    movies = [*MOVIES, *range(100, 107)]
    ratings = [
        (user, movies[k], int(rng.integers(1, 6)), 978300000 + int(rng.integers(10_000)))
        for user in range(1, 8)
        for k in rng.permutation(len(movies))
    ]
    folder = save(tmp_path, "ml-latest-small", ratings)
    log = imported("movielens", folder, tmp_path / "log", "--candidates", 4)
    wanted = []
    for user in range(1, 8):
        own = sorted((row for row in ratings if row[0] == user), key=lambda row: row[3])
        liked = np.zeros(3)
        for start in range(0, len(own), 4):
            group = own[start : start + 4]
            offer = {str(movie): int(rating >= 4) for _, movie, rating, _ in group}
            wanted.append((group[-1][3], str(user), offer, (liked / max(liked.sum(), 1e-9)).round(9).tolist()))
            for _, movie, rating, _ in group:
                genres = MOVIES.get(movie, ("", []))[1]
                liked += [
                    (rating >= 4) * (level in genres) / max(len(genres), 1) for level in ("Comedy", "Horror", "Romance")
                ]
    wanted.sort(key=lambda row: row[0])
    assert along(log, "rewards") == [row[2] for row in wanted]
    assert user_ids(log) == [row[1] for row in wanted]
    np.testing.assert_allclose(whole(log).context, [[1, *row[3]] for row in wanted])
    monkeypatch.setattr(rounds, "ROWS", 3)
    assert imported("movielens", folder, tmp_path / "again", "--candidates", 4).info.digest == log.info.digest


def test_the_share_of_a_genre_is_that_among_movies_liked_before(tmp_path: Path) -> None:
    ratings = [(1, 10, 5, 978300001), (1, 20, 1, 978300002), (1, 30, 5, 978300003), (1, 7, 1, 978300004)]
    log = imported("movielens", save(tmp_path, "ml-1m", ratings), tmp_path / "log", "--candidates", 2)
    np.testing.assert_allclose(whole(log).context, [[1, 0, 0, 0], [1, 0.5, 0, 0.5]])


@pytest.mark.parametrize(
    ("layout", "file", "old", "new", "said"),
    [
        ("ml-1m", "ratings.dat", "1::20::2::", "1::20::6::", "line 3: column rating is '6'; it must lie in 0.5..5.0"),
        (
            "ml-1m",
            "ratings.dat",
            "1::20::2::",
            "1::20::x::",
            "line 3: column rating is 'x'; it must be a finite number",
        ),
        ("ml-1m", "ratings.dat", "978300200", "978300200000", "line 3: column timestamp is '978300200000'"),
        ("ml-1m", "ratings.dat", "1::20::2", "1::20", "cannot be read after line"),
        ("ml-1m", "movies.dat", "20::Jaws: 2", "20:Jaws: 2", "line 2: 2 columns, where 3 are due"),
        ("ml-100k", "u.item", "|url|", "|", "line 1: 23 columns"),
        ("ml-100k", "u.data", "1\t20\t2", "\t20\t2", "line 3: column userId is ''"),
        ("ml-25m", "ratings.csv", "userId", "user", "line 1: column userId is missing; there are user, movieId"),
        ("ml-25m", "ratings.csv", "1,30,4", "1,20,4", "somebody rated movie 20 twice"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, layout: str, file: str, old: str, new: str, said: str) -> None:
    path = save(tmp_path, layout) / file
    text = path.read_text(encoding="latin-1")
    assert old in text
    path.write_text(text.replace(old, new), encoding="latin-1")
    with pytest.raises(DataError) as error:
        movielens.build(tmp_path / "log", path=str(path.parent))
    assert said in str(error.value)
    assert str(path) in str(error.value) and "Fix: " in str(error.value)
    assert not list(tmp_path.glob("log*")) and not list(tmp_path.glob(".log*"))


def test_other_files_and_other_movies_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a\n")
    with pytest.raises(DataError, match=r"is none of u\.data, ratings\.dat, ratings\.csv"):
        movielens.build(tmp_path / "log", path=str(tmp_path / "x.csv"))
    folder = save(tmp_path, "ml-1m")
    (folder / "movies.dat").write_text("5::Y::Drama\n")
    with pytest.raises(DataError, match=r"movies\.dat: knows none of the 4 items"):
        movielens.build(tmp_path / "log", path=str(folder))
    (folder / "movies.dat").unlink()
    with pytest.raises(DataError, match=r"movies\.dat: no such file"):
        movielens.build(tmp_path / "log", path=str(folder))
