"""How much of a log the tables beside it know: said as it is imported, kept with the log, and in the report."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lersbench.log import Log
from lersbench.report.logs import left_out, poor_joins
from lersbench.results.tables import Results
from tests.datasets.public.common import run

ITEMS = 20


def mind(folder: Path, known: int) -> None:
    """An impression of all articles, of which news.tsv has the first `known`."""
    news = [f"N{i}\tsports\tgolf\ttitle" for i in range(known)]
    (folder / "news.tsv").write_text("".join(f"{line}\n" for line in news))
    shown = " ".join(f"N{i}-{i % 2}" for i in range(ITEMS))
    (folder / "behaviors.tsv").write_text(f"1\tU1\t11/11/2019 1:05:58 PM\tN1\t{shown}\n")


def movielens(folder: Path, known: int) -> None:
    """Ratings of all movies by one user, of which movies.csv has the first `known`."""
    (folder / "movies.csv").write_text("movieId,title,genres\n" + "".join(f"{i},t,Comedy\n" for i in range(known)))
    rows = "".join(f"1,{i},{4 + i % 2},{978300400 + i}\n" for i in range(ITEMS))
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + rows)


def ranklens(folder: Path, known: int) -> None:
    """All movies shown to one user, of which metadata.jsonl has the first `known`."""
    lines = [f'{{"id": {i}, "title": "t", "genres": [{{"name": "Comedy"}}]}}\n' for i in range(known)]
    (folder / "metadata.jsonl").write_text("".join(lines))
    (folder / "ranking.jsonl").write_text(
        f'{{"id": 1, "user": "u", "ts": 1636993834, "shown": {[*range(ITEMS)]}, "liked": [3]}}\n'
    )


def kuairand(folder: Path, known: int) -> None:
    """All videos shown to one user each, of whom the table of users has the first `known`."""
    rows = "".join(f"{i},{i},1650000000{i:03},1,1,1000\n" for i in range(ITEMS))
    head = "user_id,video_id,time_ms,is_click,is_rand,play_time_ms\n"
    (folder / "log_random_4_22_to_5_08_pure.csv").write_text(head + rows)
    users = "".join(f"{i},{i % 3}\n" for i in range(known))
    (folder / "user_features_pure.csv").write_text("user_id,active\n" + users)


FORMATS: dict[str, tuple[Any, str]] = {
    "mind": (mind, "items of the log with news.tsv"),
    "movielens": (movielens, "items of the log with movies.csv"),
    "ranklens": (ranklens, "items of the log with metadata.jsonl"),
    "kuairand": (kuairand, "users of the log with user_features_pure.csv"),
}


@pytest.mark.parametrize("known", [16, 19])
@pytest.mark.parametrize("name", FORMATS)
def test_what_a_table_knows_of_a_log_is_said_and_kept(tmp_path: Path, name: str, known: int) -> None:
    """Of twenty it knows 16, so 80 %, which is warned of; or 19, so 95 %, which is not."""
    save, what = FORMATS[name]
    save(tmp_path, known)
    done = run(name, tmp_path, tmp_path / "log")
    assert done.exit_code == 0, f"{done.output} {done.exception!r}"
    unit = what.split()[0]
    said = f"knows only 16 of the 20 {unit}" if known == 16 else f"knows 19 of the 20 {unit} of the log (95.0%)"
    assert said in done.stderr and ("Warning" in done.stderr) == (known == 16)
    facts = Log(tmp_path / "log").info.provenance
    assert facts["joins"] == [{"what": what, "rows": 20, "met": known, "unit": unit}]
    results = cast(Results, SimpleNamespace(meta={"logs": [{"name": name, "provenance": facts}]}))
    caveat = f"{name}, {what}: only 16 of 20 {unit} met (80.0%). The others"
    found = poor_joins(results)
    assert [line.startswith(caveat) for line in found] == [True] * (known == 16)
    share = f"{name}: {what}: {known} of 20 {unit} met ({known / 20:.1%})."
    assert share in str(left_out(results))
