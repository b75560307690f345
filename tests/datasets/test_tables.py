"""Tables of the user's own: every form a file may have, one rule for each kind of cell, the fix for a wrong one."""

from __future__ import annotations

import bz2
import gzip
import lzma
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lersbench.datasets.hashed import hashed_key, hashed_order
from lersbench.datasets.impressions import build
from lersbench.datasets.tables import reading
from lersbench.errors import ConfigError, DataError
from lersbench.log import Log

TEXT = "request,position,item,click,note\nr1,1,007,0,é\nr1,2,7,1,\nr2,1,NA,1,\nr2,2,007,0,\n"
LISTS = [["007", "7"], ["NA", "007"]]


def lists(log: Log) -> list[list[str]]:
    (chunk,) = log.read()
    return log.item_table()["id"].to_numpy()[chunk.slate].tolist()


def imported(source: Any, tmp_path: Path, **options: Any) -> list[list[str]]:
    return lists(build(source, tmp_path / "log", overwrite=True, **options))


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "request": ["r1", "r1", "r2", "r2"],
            "position": [1, 2, 1, 2],
            "item": LISTS[0] + LISTS[1],
            "click": [0, 1, 1, 0],
        }
    )


# Files ----------------------------------------------------------------------------------------------------------------
def jsonl(_: str) -> bytes:
    return "".join(line + "\n" for line in frame().to_json(orient="records", lines=True).splitlines()).encode()


def zipped(path: Path, data: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("shown.csv", data)


def packed(data: bytes) -> bytes:
    """gzip without the time of day: the content names the test, in every process alike."""
    return gzip.compress(data, mtime=0)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("plain.csv", TEXT.encode()),
        ("semicolons.csv", TEXT.replace(",", ";").encode()),
        ("tabs.tsv", TEXT.replace(",", "\t").encode()),
        ("bars.txt", TEXT.replace(",", "|").encode()),
        ("windows.csv", b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode()),
        ("blank_lines.csv", ("\n\n" + TEXT.replace("\nr2", "\n\nr2")).encode()),
        ("wide.csv", TEXT.encode("utf-16")),
        ("big_end.csv", b"\xfe\xff" + TEXT.encode("utf-16-be")),
        ("lines.jsonl", jsonl(TEXT)),
        ("packed.csv.gz", packed(TEXT.encode())),
        ("packed.csv.bz2", bz2.compress(TEXT.encode())),
        ("packed.csv.xz", lzma.compress(TEXT.encode())),
        ("packed.csv.zst", pa.compress(TEXT.encode(), "zstd", asbytes=True)),
        ("packed.jsonl.gz", packed(jsonl(TEXT))),
        ("wide.csv.gz", packed(TEXT.encode("utf-16"))),
        ("no_ending", packed(TEXT.encode())),
    ],
)
def test_every_form_of_a_table_is_the_same_log(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    assert imported(tmp_path / name, tmp_path) == LISTS
    assert not list(tmp_path.glob(".*"))  # nothing of the import's own is left


def test_zip_and_parquet_and_frames_are_too(tmp_path: Path) -> None:
    zipped(tmp_path / "one.zip", TEXT.encode())
    assert imported(tmp_path / "one.zip", tmp_path) == LISTS
    frame().to_parquet(tmp_path / "t.parquet")
    assert imported(tmp_path / "t.parquet", tmp_path) == LISTS
    frame().astype({"item": "category"}).to_parquet(tmp_path / "kinds.parquet")
    assert imported(tmp_path / "kinds.parquet", tmp_path) == LISTS
    arrow = pa.Table.from_pandas(frame())
    assert imported(frame(), tmp_path) == imported(arrow, tmp_path) == LISTS
    stream = pa.RecordBatchReader.from_batches(arrow.schema, arrow.to_batches(max_chunksize=1))
    assert imported(stream, tmp_path, where="position < 10") == LISTS

    class Polars:  # what polars offers to others
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            views = arrow.set_column(2, "item", arrow["item"].cast(pa.string_view()))
            return views.__arrow_c_stream__(requested_schema)

    assert imported(Polars(), tmp_path) == LISTS


def test_an_encoding_is_said_or_asked_for(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_bytes(TEXT.replace("NA", "Ä").encode("latin-1"))
    with pytest.raises(DataError, match=r"l\.csv, line 4: the text is not UTF-8\. Fix: .*--encoding latin-1"):
        imported(tmp_path / "l.csv", tmp_path)
    assert imported(tmp_path / "l.csv", tmp_path, encoding="latin-1") == [["007", "7"], ["Ä", "007"]]
    (tmp_path / "w.csv").write_bytes(TEXT.encode("utf-16-le"))
    with pytest.raises(DataError, match="--encoding utf-16-le"):
        imported(tmp_path / "w.csv", tmp_path)
    assert imported(tmp_path / "w.csv", tmp_path, encoding="utf-16-le") == LISTS
    with pytest.raises(DataError, match="its text is not utf-16"):
        (tmp_path / "odd.csv").write_bytes(b"\xff\xfea")
        imported(tmp_path / "odd.csv", tmp_path)
    with pytest.raises(ConfigError, match="--encoding klingon: no such encoding"):
        imported(tmp_path / "w.csv", tmp_path, encoding="klingon")


def test_parts_are_one_table_in_the_order_of_their_names(tmp_path: Path) -> None:
    head, *rows = TEXT.splitlines()
    folder = tmp_path / "parts"
    folder.mkdir()
    for at, two in enumerate((rows[:1], rows[1:3], rows[3:])):
        (folder / f"part-{at}.csv").write_text("\n".join([head, *two, ""]))
    (folder / "_SUCCESS").touch()
    assert imported(folder, tmp_path) == imported(folder / "part-*.csv", tmp_path) == LISTS
    names = [build(source, tmp_path / "log", overwrite=True).info.name for source in (folder, folder / "*.csv")]
    assert names == ["parts", "parts"]
    (folder / "part-2.csv").write_text(f"{head}\nr2,2,007,maybe,\n")
    with pytest.raises(DataError, match=r"column click: not a number in 1 row: part-2.csv line 2 \(maybe\)"):
        imported(folder, tmp_path)
    (folder / "part-2.csv").write_text("request,item,position,click,note\n")
    with pytest.raises(DataError, match=r"part-2.csv: its columns are .*Fix: write all parts with the same columns"):
        imported(folder, tmp_path)
    (folder / "part-2.csv").unlink()
    pq.write_table(pa.table({"request": ["a"]}), folder / "part-2.parquet")
    with pytest.raises(DataError, match=r"part-2\.parquet is Parquet, part-0\.csv is CSV"):
        imported(folder, tmp_path)
    (folder / "more").mkdir()
    with pytest.raises(DataError, match=r"holds further folders \(more\)"):
        imported(folder, tmp_path)
    with pytest.raises(DataError, match="there is no file in it"):
        imported(folder / "*.jsonl", tmp_path)


def test_parts_of_parquet_must_agree_in_their_types(tmp_path: Path) -> None:
    """DuckDB would read the texts of the second part as the numbers of the first: "007" as 7."""
    (tmp_path / "p").mkdir()
    frame()[:2].assign(item=[3, 7]).to_parquet(tmp_path / "p" / "0.parquet")
    frame()[2:].assign(item=["007", "8"]).to_parquet(tmp_path / "p" / "1.parquet")
    with pytest.raises(DataError, match=r"1.parquet: its columns are .*item \(string\).*item \(int64\)"):
        imported(tmp_path / "p", tmp_path)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("empty.csv", b"", r"empty.csv: the file is empty"),
        ("names.csv", b"request,position,click\n", "the column item is missing"),
        ("header.csv", b"request,position,item,click\n", "the table is empty"),
        ("short.csv", b"request,position,item,click\nr,1,a,0\nr,2,b\n", r"short.csv, line 3: 3 cells, where .* has 4"),
        ("long.csv", b"request,position,item,click\nr,1,a,0,5\n", r"line 2: 5 cells, where the header has 4"),
        ("quote.csv", b'request,position,item,click\nr,1,"a,0\n', "line 2: a quote that is not closed"),
        ("twice.csv", b"request,position,item,click,click\nr,1,a,0,1\n", "two columns are called click"),
        ("letters.csv", b"request,position,item,click,Item\nr,1,a,0,1\n", "item and Item differ in capital letters"),
        ("blank.csv", b"request,position,item,click, click\nr,1,a,0,1\n", "two columns are called click"),
        ("unnamed.csv", b"request,position,item,click,,\nr,1,a,0,1,2\n", "2 columns have no name"),
        ("words.csv", b"request position item click\nr 1 a 0\n", r"the header is one name, .*--separator"),
        ("both.csv", b"request,position;item\n", r"as many of comma and semicolon.*--separator"),
        (
            "comma.csv",
            b"request;position;item;click\nr;1;a;0,5\n",
            r"column click: not a number .*\(0,5\).*decimal point",
        ),
        ("lists.csv", b'request,position,item,click\nr,1,"[a, b]","[0, 1]"\n', r"a list in one cell .*one row an item"),
        (
            "wide.csv",
            b'request,items,clicks\nr,"[a, b]","[0, 1]"\n',
            r"missing.*\(items has lists for cells: write",
        ),
        ("array.json", b'[{"request": 1}]', r"one array of JSON.*jq -c"),
        ("broken.jsonl", b'{"request": 1}\n{"request":\n', "one object a line"),
        ("twice.jsonl", b'{"request": 1, "request": 2}\n', "one name twice"),
        ("sheet.xls", b"\xd0\xcf\x11\xe0\0\0\0", "neither text nor Parquet.*saved as CSV"),
        ("cut.csv.gz", packed(TEXT.encode() * 50)[:-20], r"cut.csv.gz: cannot be unpacked"),
        ("cut.parquet", b"PAR1 and no more", r"cut.parquet: cannot be read"),
        ("float.parquet", None, r"column item: ids of the type DOUBLE, where 7 and 7.0.*Fix: write the ids as text"),
        ("nested.parquet", None, r"column item: lists in its cells .*one row an item shown"),
    ],
)
def test_a_wrong_file_gets_the_fix_that_is_one(tmp_path: Path, name: str, data: bytes | None, said: str) -> None:
    if data is None:
        items: list[Any] = [1.5, 2.0, 3.0, 4.0] if name == "float.parquet" else [["a"]] * 4
        frame().assign(item=items).to_parquet(tmp_path / name)
    else:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=said) as caught:
        imported(tmp_path / name, tmp_path)
    assert "Fix:" in str(caught.value)
    assert not (tmp_path / "log").exists() and not list(tmp_path.glob(".*"))


def test_an_archive_of_several_files_is_to_be_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("a.csv", TEXT)
        archive.writestr("b.csv", TEXT)
    with pytest.raises(DataError, match=r"an archive of 2 files \(a.csv, b.csv\)"):
        imported(tmp_path / "t.zip", tmp_path)


def test_the_separator_may_be_said(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("request~position~item~click\nr~1~a~0\nr~2~b~1\n")
    assert imported(tmp_path / "t.csv", tmp_path, separator="~") == [["a", "b"]]
    (tmp_path / "t.csv").write_text("request position item click\nr 1 a 0\nr 2 b 1\n")
    assert imported(tmp_path / "t.csv", tmp_path, separator=" ") == [["a", "b"]]
    with pytest.raises(ConfigError, match="no single character"):
        imported(tmp_path / "t.csv", tmp_path, separator="::")


@pytest.mark.slow
def test_five_million_rows_in_eight_parts_take_less_than_a_gigabyte(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    columns = (
        "'q' || (i // 5) AS request, i % 5 + 1 AS position, 'i' || ((i * 7919 + (i // 5) * 31) % 2000) AS item, "
        "(hash(i) % 10 = 0)::INT AS click, TIMESTAMP '2024-01-01' + to_seconds(i // 5) AS time, "
        "'u' || (hash(i // 5) % 50000) AS user, (hash(i * 3) % 1000) / 1000 AS price"
    )
    with reading.workshop(tmp_path / "log") as work:
        for part in range(8):
            rows = f"range({part * 625_000}, {(part + 1) * 625_000}) AS r(i)"
            work.db.execute(f"COPY (SELECT {columns} FROM {rows}) TO '{tmp_path}/parts/{part}.parquet'")
    code = (
        "import resource; from lersbench.datasets.impressions import build; "
        f"log = build('{tmp_path}/parts', '{tmp_path}/log', {{}}, ['price']); "
        "print(log.info.rounds, log.info.C, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rounds, width, kilobytes = map(int, done.stdout.split())
    assert (rounds, width) == (1_000_000, 5) and kilobytes < 1_000_000


# Ids ------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "frame"])
def test_ids_are_text_and_blanks_round_them_are_taken_off(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Long integers keep their digits, NA is an id, blanks are no part of one."""
    ids = ["007", "07", "7", "NA", "nan", "None", "123456789012345678901", " 9", "1e5", "\t8\u00a0", "9"]
    table = pd.DataFrame({"request": np.arange(11), "position": 1, "item": ids, "click": 0})
    path = tmp_path / f"t.{kind}"
    if kind == "csv":
        table.to_csv(path, index=False)
    elif kind == "jsonl":
        table.to_json(path, orient="records", lines=True)
    elif kind == "parquet":
        table.to_parquet(path)
    log = build(table if kind == "frame" else path, tmp_path / "log")
    assert [row[0] for row in lists(log)] == [one.strip("\t \u00a0") for one in ids]
    assert log.info.items == 10
    assert "column item: blanks round 2 cells taken off" in capsys.readouterr().err
    assert log.info.provenance["selections"][0]["step"] == "column item"


def test_whole_numbers_are_ids_as_they_are_written(tmp_path: Path) -> None:
    table = frame().assign(request=[1, 1, 2, 2], item=[7, 2**62 + 1, 7, 8])
    assert imported(table, tmp_path) == [["7", str(2**62 + 1)], ["7", "8"]]
    (tmp_path / "t.jsonl").write_text('{"request": 1, "position": 1, "item": 12345678901234567890123, "click": true}\n')
    assert imported(tmp_path / "t.jsonl", tmp_path) == [["12345678901234567890123"]]


def test_the_hash_of_duckdb_is_that_of_python() -> None:
    ids = ["7", "007", "NA", "é", "b c", "'"]
    with reading.workshop() as work:
        rows = ", ".join(f"({reading.literal(one)})" for one in ids)
        found = work.rows(f"SELECT id FROM (VALUES {rows}) AS v(id) ORDER BY {hashed_key('id', 'item')}")
    assert [row[0] for row in found] == [ids[at] for at in hashed_order(ids, "item")]


# Times ----------------------------------------------------------------------------------------------------------------
def moments(log: Log) -> list[str]:
    values = pq.read_table(f"{log.path}/rounds.parquet")["time"].to_pylist()
    return [value.isoformat() for value in values]


ZONED = ["2024-03-01T08:30:00", "2024-03-02T09:30:00"]


@pytest.mark.parametrize(
    ("cells", "form", "due"),
    [
        (["2024-03-01", "2024-03-02"], None, ["2024-03-01T00:00:00", "2024-03-02T00:00:00"]),
        (["2024-03-01 09:30", "2024-03-01T09:31:05.25"], None, ["2024-03-01T09:30:00", "2024-03-01T09:31:05.250000"]),
        (["2024-03-01T09:30:00+09:00", "2024-03-01T00:31Z"], None, ["2024-03-01T00:30:00", "2024-03-01T00:31:00"]),
        (["1433221332", "1433221333"], "s", ["2015-06-02T05:02:12", "2015-06-02T05:02:13"]),
        (["1433221332117", "1433221333000"], "ms", ["2015-06-02T05:02:12.117000", "2015-06-02T05:02:13"]),
        (["1433221332117001", "1433221332117002"], "us", [f"2015-06-02T05:02:12.11700{n}" for n in (1, 2)]),
        (["1.3.2024 9:30", "2.3.2024 10:00"], "%d.%m.%Y %H:%M", ["2024-03-01T09:30:00", "2024-03-02T10:00:00"]),
        (["1.3.2024 9:30 +0100", "2.3.2024 9:30 +0000"], "%d.%m.%Y %H:%M %z", ZONED),
    ],
)  # fmt: skip
def test_times_are_read_as_they_are_said_to_be_written(
    tmp_path: Path, cells: list[str], form: str | None, due: list[str]
) -> None:
    table = pd.DataFrame({"request": ["a", "b"], "position": 1, "item": "i", "click": 0, "time": cells})
    table.to_csv(tmp_path / "t.csv", index=False)
    log = build(tmp_path / "t.csv", tmp_path / "log", time_format=form)
    assert moments(log) == due and log.info.order == "time"


@pytest.mark.parametrize(
    ("cells", "form", "said"),
    [
        ([1433221332, 1433221333], None, r"numbers, where times are due, in 2 rows.*say --time-format s"),
        ([1433221332117, 1433221333000], None, r"say --time-format ms .* for times in milliseconds"),
        ([1433221332117001, 1], None, r"say --time-format us"),
        ([1, 2], None, r"write times like 2024-01-31T23:59:59, or rename"),
        ([1433221332117, 1433221333000], "s", r"1433221333000 in line 3 is no likely number of seconds.*format ms"),
        ([1433221332, 1433221333], "ms", r"no likely number of milliseconds since 1970\. Fix: say --time-format s"),
        (["2024-03-01", "soon"], None, r"not a time in 1 row: line 3 \(soon\)"),
        (["2024-02-30", "2024-03-01"], None, r"not a time in 1 row: line 2 \(2024-02-30\)"),
        (["1.3.2024", "2024-03-01"], "%d.%m.%Y", r"not a time as %d.%m.%Y in 1 row: line 3 \(2024-03-01\)"),
        (["2024-03-01 10:00", "2024-03-01T10:00:00+09:00"], None, r"line 2 has a time without a zone .*line 3 one"),
    ],
)  # fmt: skip
def test_a_wrong_time_gets_the_format_it_wants(tmp_path: Path, cells: list[Any], form: str | None, said: str) -> None:
    table = pd.DataFrame({"request": ["a", "b"], "position": 1, "item": "i", "click": 0, "at": cells})
    table.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError, match=rf"t\.csv, column at: .*{said}"):
        build(tmp_path / "t.csv", tmp_path / "log", {"time": "at"}, time_format=form)


def test_a_time_format_must_be_one_and_fit_the_column(tmp_path: Path) -> None:
    table = frame().assign(time=pd.Timestamp("2024-03-01", tz="Asia/Taipei"))
    assert moments(build(table, tmp_path / "log")) == ["2024-02-29T16:00:00"] * 2
    with pytest.raises(ConfigError, match=r"--time-format ms, but the column time holds times"):
        build(table, tmp_path / "other", time_format="ms")
    with pytest.raises(ConfigError, match=r"'sec' is none of iso, s, ms"):
        build(table, tmp_path / "other", time_format="sec")


# Conditions -----------------------------------------------------------------------------------------------------------
def test_where_takes_rows_and_says_what_it_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        "request,position,item,click,country\na,1,x,1,DE\na,2,y,0,DE\nb,1,x,2,FR\nb,2,y,1,FR\nc,1,y,0,DE\nc,2,x,0,DE\n"
    )
    (tmp_path / "t.csv").write_text(text)
    log = build(tmp_path / "t.csv", tmp_path / "log", where="country = 'DE'")  # the click of 2 is not taken
    assert lists(log) == [["x", "y"], ["y", "x"]]
    (record,) = log.info.provenance["selections"]
    assert record["requests"] == [3, 2] and record["rows"] == [6, 4] and record["clicks"] == [4, 1]
    assert record["said"] in capsys.readouterr().err
    with pytest.raises(DataError, match=r"column click: click not in .* line 4 \(2\)"):
        build(tmp_path / "t.csv", tmp_path / "other", where="country = 'FR'")
    with pytest.raises(DataError, match="--where leaves no row"):
        build(tmp_path / "t.csv", tmp_path / "other", where="country = 'US'")
    with pytest.raises(DataError, match=r"position out of sequence .*--where has left rows of these requests out"):
        build(tmp_path / "t.csv", tmp_path / "other", where="country = 'DE' AND item = 'x'")


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("contry = 'DE'", r'"contry" not found.*the columns are request, position, item, click'),
        ("position > 1", r"explicit cast.*CAST\(price AS DOUBLE\) > 10"),
        ("DROP TABLE given", "--where"),
        ("click = '1'; DROP TABLE given", "--where"),
        ("item IN (SELECT item FROM given)", "a statement"),
        ("item", "not true or false"),
        ("", "--where"),
        ("CAST(item AS DOUBLE) > 1", "--where .*Conversion"),
    ],
)
def test_a_condition_that_is_none_is_the_callers_mistake(tmp_path: Path, where: str, said: str) -> None:
    (tmp_path / "t.csv").write_text("request,position,item,click\na,1,x,1\n")
    with pytest.raises(ConfigError, match=said):
        build(tmp_path / "t.csv", tmp_path / "log", where=where)
    assert not (tmp_path / "log").exists()
