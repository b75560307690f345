"""Names are text, junk is refused with file, key and fix, closed streams lose nothing, nobody else's code is run."""

from __future__ import annotations

import csv
import io
import json
import os
import resource
import stat
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lersbench import files, words
from lersbench.bench import scenario
from lersbench.cli.main import main
from lersbench.errors import ConfigError, DataError
from lersbench.log import Log, validate, write
from lersbench.studies import study
from lersbench.system import cache_folder, unpack
from tests.support import fake_results

ESCAPE, BIDI = "\x1b", "\u202e"
NASTY = f"from $5to9 only$ {ESCAPE}[31m <script>alert(1)</script>"
FORMULA = "=cmd|' /C calc'!A0"
LINK = "[x](javascript:alert(1)) | *b* `<i>`"
BAD_MATH = r"$\frac{1$"
POLICIES: dict[str, tuple[str, dict[str, Any], str, float]] = {
    "random": ("random", {}, "bandit", 0.0),
    **{label: ("linucb", {}, "bandit", 0.3) for label in (NASTY, FORMULA, LINK, BAD_MATH)},
}


# Names are text -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "text,markdown",
    [
        ("[a](javascript:b)", r"\[a]\(javascript:b)"),
        ("<script>", r"\<script>"),
        ("# no heading", r"\# no heading"),
        ("1. no item", r"1\. no item"),
        ("- no item", r"\- no item"),
        ("[a]: no definition", r"\[a]\: no definition"),
        ("from $5to9 only$", r"from \$5to9 only\$"),
        ("&lt; is not <", r"\&lt; is not \<"),
        ("a_b *c* _d_", r"a_b \*c\* \_d\_"),
        ("two\nlines", "two lines"),
        ("a range [1.5, 2.0] in `table.csv`, regret ~ round", "a range [1.5, 2.0] in `table.csv`, regret ~ round"),
    ],
)
def test_markdown_shows_a_text_as_it_is(text: str, markdown: str) -> None:
    assert words.markdown(text) == markdown


def test_characters_that_do_not_print_are_shown_as_escapes() -> None:
    assert words.shown(f"a{ESCAPE}[1m\n\tb{BIDI}\udcff\ufffe") == "a\\x1b[1m\n\tb\\u202e\\udcff\\ufffe"
    assert words.one_line(" a\r\nb\x00 ") == "a  b\\x00"
    assert words.cleaned({"a\n": [f"{ESCAPE}", 1, None]}) == {"a": ["\\x1b", 1, None]}


def test_spreadsheets_calculate_no_text_and_all_numbers() -> None:
    cells: list[Any] = [FORMULA, "+1+1", "-1+1", "@x", "\tx", "-", "-1.5", -1.5, "1-3", "x=1"]
    found = words.defused(pd.DataFrame({"cell": pd.Series(cells, dtype=object)}))["cell"].tolist()
    assert found == [f"'{FORMULA}", "'+1+1", "'-1+1", "'@x", "'\tx", "-", "-1.5", -1.5, "1-3", "x=1"]


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run whose policies are called what nobody should call them, with its report."""
    folder = tmp_path_factory.mktemp("nasty") / "results" / "x" / "run"
    metrics = {"misses", "regret", "coverage", "diversity", *(f"hr@{top}" for top in fake_results.TOPS)}
    run = fake_results.make(folder, POLICIES, 3, 10, 100, metrics=metrics)
    meta = json.loads((run / "run.json").read_text())
    meta["scenario"] |= {"title": f"Title {NASTY}", "description": f"{LINK}\n\n# {NASTY}"}
    meta["logs"][0] |= {"attribution": f"Who {NASTY} {LINK}", "licence": f"Lic {ESCAPE}", "name": f"log{ESCAPE} $x$"}
    meta["logs"][0]["provenance"] = {"source <b>": f"{LINK[:24]}", "esc": ESCAPE}
    (run / "run.json").write_text(json.dumps(meta))
    main_ok("report", str(run))
    return run


def main_ok(*argv: str) -> None:
    try:
        main(list(argv))
    except SystemExit as end:
        assert not end.code, argv


def test_figures_show_dollars_and_every_svg_is_well_formed(nasty: Path) -> None:
    figures = sorted((nasty / "figures").glob("*.svg"))
    assert len(figures) > 5
    for path in figures:
        text = " ".join(ET.parse(path).getroot().itertext())
        assert "$5to9 only$" in text and ESCAPE not in text
    assert any(BAD_MATH in " ".join(ET.parse(path).getroot().itertext()) for path in figures)


def test_pages_hold_no_markup_of_a_name(nasty: Path) -> None:
    page, text = ((nasty / f"report.{kind}").read_text() for kind in ("html", "md"))
    for content in (page, text):
        assert not words.UNPRINTABLE.search(content.replace("\n", "")), "a control character"
        assert "\\x1b[31m" in content or "\\\\x1b[31m" in content
    assert "<script>alert" not in page and "&lt;script&gt;" in page
    assert "](javascript" not in text and "[x]" in text
    assert r"\<script>" in text and not text.replace(r"\<", "").count("<script")
    assert len([line for line in text.splitlines() if line.startswith("# ")]) == 1


def test_the_terminal_and_the_tables_take_names_as_text(nasty: Path, capfd: pytest.CaptureFixture[str]) -> None:
    main_ok("leaderboard", str(nasty))
    out = capfd.readouterr().out
    assert ESCAPE not in out and "\\x1b[31m" in out and "$5to9 only$" in out
    main_ok("leaderboard", str(nasty), "--csv")
    rows = list(csv.DictReader(io.StringIO(capfd.readouterr().out)))
    assert f"'{FORMULA}" in {row["policy"] for row in rows}
    assert all(float(row["mean"]) >= 0 for row in rows)
    main_ok("leaderboard", str(nasty), "--markdown")
    assert "](javascript" not in capfd.readouterr().out


# Settings -------------------------------------------------------------------------------------------------------------
TINY = 'title = "T"\n[data]\ndataset = "synthetic"\n[[policies]]\nname = "random"\n'


@pytest.mark.parametrize(
    "content,complaint",
    [
        (TINY + 'label = "a\\u001bb"\n', r"policies\.1\.label' holds \\x1b"),
        (TINY.replace('"T"', '"a\\nb"'), r"'title' holds \\n"),
        (TINY.replace('"T"', '"a\\u202eb"'), r"\\u202e"),
        ("a = " + "[" * 50_000 + "]" * 50_000, "nested too deeply"),
        (".".join(["a"] * 50_000) + " = 1", "nested too deeply"),
        ("a = " + "[" * 60 + "]" * 60, "nested more than 32 deep|nested too deeply|'title' is missing"),
        ("a = " + "9" * 5000, "not valid TOML"),
        ("a = 1 # " + "x" * (5 << 20), "bytes; a file of settings"),
        (TINY + "\udcff", "UTF-8"),
        ('name = "../../x"\n' + TINY, "it names a folder"),
        (f'name = "{"x" * 300}"\n' + TINY, "it names a folder"),
    ],
    ids=["escape", "two lines", "bidi", "deep", "dotted", "rather deep", "digits", "huge", "bytes", "path", "long"],
)
def test_a_file_of_settings_that_is_odd_is_an_error_that_names_it(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "odd.toml"
    path.write_text(content, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ConfigError, match=complaint) as told:
        scenario.read(str(path))
    assert "odd.toml" in str(told.value)


def test_a_description_may_have_paragraphs_and_all_stock_files_are_fine(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('description = """a\n\tb\n"""\n' + TINY)
    assert scenario.read(str(tmp_path / "x.toml")).description == "a\n\tb\n"
    for name in scenario.available():
        assert files.read_toml(scenario.available()[name])


def test_the_name_of_a_study_stays_inside_the_results(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_text(TINY)
    (tmp_path / "s.toml").write_text(f'name = "../../x"\ntitle = "s"\nscenarios = ["{tmp_path}/t.toml"]\n')
    with pytest.raises(ConfigError, match="'name'"):
        study.read(str(tmp_path / "s.toml"))


# Junk in a log --------------------------------------------------------------------------------------------------------
@pytest.fixture
def log(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    data = {
        "slate": rng.permuted(np.tile(np.arange(4), (50, 1)), axis=1)[:, :2],
        "clicks": rng.integers(2, size=(50, 2)),
    }
    told = {"weights": [[1.0, 0.0, 0.0], [0.5, 0.7, 0.0]], "goes_on": [1.0, 1.0], "fade": 1.0}
    facts = {"published": {"customers": 5}, "customers": 3, "note": "free"}
    write(tmp_path / "log", [data], name="x", items=4, click_model=told, provenance=facts)
    return tmp_path / "log"


def _set(log: Path, key: str, value: Any) -> None:
    told = json.loads((log / "log.json").read_text())
    told.pop("seal", None)
    *sections, last = key.split(".")
    target = told
    for section in sections:
        target = target[section]
    target[last] = value
    (log / "log.json").write_text(json.dumps(told))


@pytest.mark.parametrize(
    "key,value,complaint",
    [
        ("provenance.published", 7, "provenance.published is 7"),
        ("provenance.published", {"customers": "many"}, "provenance.published"),
        ("provenance.published", {"gone": 1}, "provenance.gone is None"),
        ("provenance.customers", [1], "provenance.customers is"),
        ("provenance.all_there_are", 3, "provenance.all_there_are is 3"),
        ("provenance.selections", [{"step": "x"}], "provenance.selections is [{"),
        ("provenance.joins", [{"what": "x", "rows": 1}], "provenance.joins is"),
        ("provenance.calibration", [{"what": 1}], "provenance.calibration"),
        ("provenance.calibration", "x", "provenance.calibration is 'x'"),
        ("click_model", {"weights": 1}, "click_model.weights is 1"),
        ("click_model.weights", [[1, 0, 0]], "click_model.weights"),
        ("click_model.weights", [[1, 0, 0], [2, 0, 0]], "click_model.weights"),
        ("click_model.weights", [["a", 0, 0], [1, 0, 0]], "click_model.weights"),
        ("click_model.goes_on", None, "click_model.goes_on is None"),
        ("click_model.fade", "x", "click_model.fade is 'x'"),
        ("L", 10**12, "at most C items"),
        ("C", 10**12, "candidates are different items"),
        ("items", 10**12, "C is 4 and items 1000000000000"),
    ],
)
def test_opening_and_validating_say_the_same_of_junk(log: Path, key: str, value: Any, complaint: str) -> None:
    assert validate(log).ok
    _set(log, key, value)
    with pytest.raises(DataError, match=r"log\.json") as told:
        Log(log).read()
    assert complaint in str(told.value) and "Fix: " in str(told.value)
    assert str(told.value) in str(validate(log))


def test_a_bomb_of_items_is_refused_before_it_is_unpacked(log: Path) -> None:
    ids = pa.DictionaryArray.from_arrays(np.zeros(7000, np.int32), ["x" * 1_000_000])
    bomb = pa.table({"item": np.arange(7000), "id": ids})
    pq.write_table(bomb, log / "items.parquet", store_schema=False, compression="zstd")
    _set(log, "items", 7000)
    _set(log, "C", 7000)
    _set(log, "files", {})
    assert (log / "items.parquet").stat().st_size < 100_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match=r"items.parquet: .* bytes unpack to 7,000,000,000"):
        Log(log)
    assert "unpack to 7,000,000,000" in str(validate(log))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KB


def test_a_bomb_of_numbers_is_refused_as_a_table_and_as_rounds(tmp_path: Path) -> None:
    zeros = pa.array(np.zeros(70_000_000, np.int64))
    pq.write_table(pa.table({"item": zeros}), tmp_path / "zeros.parquet", compression="zstd")
    with pytest.raises(DataError, match=r"zeros.parquet: .* bytes unpack to 560,000,000"):
        unpack.read_table(tmp_path / "zeros.parquet", "zeros.parquet")
    lists = pa.ListArray.from_arrays(np.array([0, 70_000_000], np.int32), zeros)
    pq.write_table(pa.table({"slate": lists}), tmp_path / "lists.parquet", compression="zstd")
    metadata = pq.read_metadata(tmp_path / "lists.parquet")
    with pytest.raises(DataError, match=r"70,000,000 values in 1 rows, where log\.json says 2 a row"):
        unpack.check_rounds(metadata, {"slate": 2}, "lists.parquet")
    unpack.check_rounds(metadata, {"slate": 70_000_000}, "lists.parquet")
    with pytest.raises(DataError, match=r"log\.json says 80,000,000 in each row"):
        unpack.check_rounds(metadata, {"slate": 80_000_000}, "lists.parquet")


def test_ordinary_tables_come_out_as_pyarrow_reads_them(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "text": ["a", "b", None] * 3,
            "lists": [[1.0, 2.0]] * 9,
            "words": [["p", "q"], [], None] * 3,
            "kind": pd.Categorical(["u", "v", "u"] * 3),
            "time": pd.date_range("2020", periods=9),
            "pairs": [{"a": "x", "b": 1}] * 9,
        }
    )
    table.to_parquet(tmp_path / "t.parquet")
    found, due = unpack.read_table(tmp_path / "t.parquet", "t"), pq.read_table(tmp_path / "t.parquet")
    assert found.schema.equals(due.schema, check_metadata=True) and found.equals(due)
    assert unpack.read_table(tmp_path / "t.parquet", "t", ["kind", "text"]).column_names == ["kind", "text"]


def test_packed_csv_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.csv.gz", "a.csv.xz", "a.csv.bz2", "a.csv.zip"):
        pd.DataFrame({"request": np.zeros(200_000, int)}).to_csv(tmp_path / name)
        assert unpack.is_packed(tmp_path / name)
        unpack.unpack_text(tmp_path / name, tmp_path / "plain")
        assert (tmp_path / "plain").read_text().count("\n") == 200_001
        with monkeypatch.context() as patch:
            patch.setattr(unpack, "MOST", 100_000)
            patch.setattr(unpack, "TEXT_RATIO", 2)
            with pytest.raises(DataError, match=rf"{name}: .* bytes unpack to"):
                unpack.unpack_text(tmp_path / name, tmp_path / "plain")
            assert (tmp_path / "plain").stat().st_size <= 100_000


# Streams, disks, backends ---------------------------------------------------------------------------------------------
def lersbench(
    folder: Path, *argv: str, shell: str = "", before: Callable[[], None] | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own; `shell` is put behind it."""
    command = f'"$0" -m lersbench "$@" {shell}'
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command, sys.executable, *argv],
        cwd=folder,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        preexec_fn=before,
    )


@pytest.mark.parametrize("shell", [">&-", "2>&-", ">&- 2>&-", "<&-", "2>&1 | head -1", "| head -1", "2> >(head -0)"])
def test_closed_streams_end_neither_the_work_nor_in_a_traceback(nasty: Path, shell: str) -> None:
    done = lersbench(nasty.parent, "leaderboard", str(nasty), shell=shell)
    assert done.returncode == 0 and "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


def test_a_report_is_whole_though_nobody_listens(nasty: Path) -> None:
    (nasty / "report.md").unlink()
    done = lersbench(nasty.parent, "report", str(nasty), shell="2>&1 | head -0")
    assert done.returncode == 0 and (nasty / "report.md").is_file()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_behind_stdout_is_named(nasty: Path) -> None:
    done = lersbench(nasty.parent, "leaderboard", str(nasty), shell="> /dev/full")
    assert done.returncode == 1 and "stdout: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


def test_a_full_disk_names_the_file(tmp_path: Path, nasty: Path) -> None:
    with pytest.raises(OSError) as told, files.replacing(tmp_path / "x"):
        raise OSError(28, "No space left on device")
    assert told.value.filename == str(tmp_path / "x") and not list(tmp_path.iterdir())

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    done = lersbench(nasty.parent, "plot", str(nasty), "--metric", "misses", before=small_disk)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert ".png: File too large" in done.stderr


def test_an_odd_backend_and_names_that_cannot_be_encoded_change_nothing(nasty: Path) -> None:
    done = lersbench(nasty.parent, "plot", str(nasty), "--metric", "misses", MPLBACKEND="odd", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    (nasty.parent / "tiny.toml").write_text(TINY)
    done = lersbench(nasty.parent, "bench", "./tiny.toml", "--no-plots", "--set", "title=$'\\xff'")
    assert "Traceback" not in done.stderr


def test_a_surrogate_in_a_setting_is_a_mistake_of_the_caller(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["bench", "smoke", "--set", "title=a\udcff"])
    assert end.value.code == 2 and "'title' holds \\udcff" in capfd.readouterr().err


@pytest.mark.parametrize(
    "argv",
    [
        ("new-policy", "mine", "--folder", "s3://bucket"),
        ("import", "impressions", "s3://bucket/t.csv", "out"),
        ("import", "transactions", "t.csv", "out", "--cut", "2020-01-01", "--product-table", "gs://b/p.csv"),
        ("click-model", "log", "--out", "s3://bucket/x"),
    ],
)
def test_an_address_is_no_local_folder(
    argv: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(list(argv))
    assert end.value.code == 2 and "is an address" in capfd.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_import_goes_to_the_address_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = {"request": np.repeat(np.arange(5), 2), "position": [1, 2] * 5, "item": [0, 1] * 5, "click": [0, 1] * 5}
    pd.DataFrame(rows).to_csv("t.csv", index=False)
    main_ok("import", "impressions", "t.csv", f"file://{tmp_path}/away/log")
    assert Log(tmp_path / "away" / "log").info.rounds == 5 and not (tmp_path / "file:").exists()


def test_leaderboard_and_plot_take_the_file_that_bench_took(
    tmp_path: Path, nasty: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(nasty.parent.parent.parent)
    Path("other.toml").write_text('name = "x"\n' + TINY)
    main_ok("leaderboard", "./other.toml")
    assert "$5to9 only$" in capfd.readouterr().out


# The cache folder -----------------------------------------------------------------------------------------------------
def test_the_cache_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        made = cache_folder.private(tmp_path / "a" / "lersbench")
    finally:
        os.umask(old)
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    made.chmod(0o755)  # of an earlier version: nobody else can write there
    assert cache_folder.private(made) == made


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
def test_a_cache_folder_that_others_can_write_is_refused_with_the_way_out(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(ConfigError, match=rf"chmod -R go-w '{folder}'.* LERSBENCH_CACHE"):
        cache_folder.private(folder)
    done = lersbench(tmp_path, "doctor", LERSBENCH_CACHE=str(folder))
    assert done.returncode == 2 and "Others can write" in done.stderr and not list(folder.iterdir())


def test_a_cache_folder_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "own")
    assert cache_folder.private(tmp_path / "link") == tmp_path / "link"
    if os.getuid() == 0:
        os.chown(tmp_path / "link", 12345, -1, follow_symlinks=False)
        with pytest.raises(ConfigError, match="belongs to another user"):
            cache_folder.private(tmp_path / "link")
        os.chown(tmp_path / "own", 12345, -1)
    else:
        monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(ConfigError, match="belongs to another user"):
        cache_folder.private(tmp_path / "own")


def test_a_parent_that_all_can_write_is_no_danger(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    assert cache_folder.private(tmp_path / "mine").is_dir()
