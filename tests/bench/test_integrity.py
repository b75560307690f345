"""No result may be stale, no file silently other: whatever a result depends on is in its key, or compared when read."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lersbench import datasets, sources
from lersbench.bench import inputs, replays, scenario, store
from lersbench.bench.curves import Curves
from lersbench.cli.main import main
from lersbench.errors import ConfigError, DataError
from lersbench.figures.draw import draw_all
from lersbench.files import replacing
from lersbench.lab import run as lab_run
from lersbench.log import Log, checksums, validate, write
from lersbench.log.checksums import checksum
from lersbench.report import run as run_report
from lersbench.results import alarms, last_run, ranking
from lersbench.results import tables as result_tables
from lersbench.results import words as result_words
from lersbench.system import exchange

FROZEN = '''
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from lersbench.policy import Policy


@dataclass(frozen=True)
class Frozen(Policy):
    """Scores exported from production (2026)."""

    table: str = "scores.txt"

    def init(self, spec):
        return np.loadtxt(self.table)

    def select(self, state, rng, round, slate):
        round.scores[:] = state[round.candidates]
        slate[:] = np.argsort(-round.scores)[: len(slate)]

    def update(self, state, round, slate, rewards, seen):
        pass
'''


def chosen(policies: list[dict[str, Any]], data: dict[str, Any] | None = None, **told: Any) -> scenario.Scenario:
    content = {
        "name": "small",
        "title": "Small",
        "data": data or {"dataset": "synthetic", "rounds": 200, "items": 6, "d": 3, "users": 20},
        "replay": {"seeds": 2, "checkpoints": 5, **told},
        "policies": policies,
    }
    return scenario.parse(content, "test")


def bench(what: scenario.Scenario, results: Path, said: list[str] | None = None, **more: Any) -> replays.Run:
    return replays.bench(what, results, threads=1, say=(lambda line: (said or []).append(line)), **more)


def value(run: replays.Run, policy: str, metric: str = "ctr_sum") -> float:
    table = pd.read_parquet(run.folder / "summary.parquet")
    return float(table[(table.policy == policy) & (table.metric == metric)].value.mean())


# Files that a policy reads --------------------------------------------------------------------------------------------
def test_a_changed_file_that_a_hyper_parameter_names_is_played_anew_and_told(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "frozen.py").write_text(FROZEN)
    scores = tmp_path / "scores.txt"
    np.savetxt(scores, np.arange(6))
    what = chosen([{"name": "random"}, {"name": "./frozen.py"}])
    first = bench(what, tmp_path / "results")
    assert bench(what, tmp_path / "results").played == 0
    old = scores.stat()
    np.savetxt(scores, np.arange(6)[::-1])
    os.utime(scores, ns=(old.st_atime_ns, old.st_mtime_ns))  # its time does not tell
    said: list[str] = []
    again = replays.bench(what, tmp_path / "results", threads=1, say=said.append)
    assert (again.played, again.reused) == (2, 2)
    assert value(again, "frozen") != value(first, "frozen") and value(again, "random") == value(first, "random")
    assert "frozen is played anew: scores.txt, which it reads, has changed since the last run" in said
    assert value(again, "frozen") == value(bench(what, tmp_path / "fresh"), "frozen")


def test_declared_files_and_folders_count_and_a_missing_one_is_an_error(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    policy = tmp_path / "policies" / "frozen.py"
    policy.parent.mkdir()
    declared = FROZEN.replace('    table: str = "scores.txt"\n', '    files: ClassVar = ("weights", "beside.txt")\n')
    declared = declared.replace("np.loadtxt(self.table)", 'np.loadtxt("weights/a.txt")')
    policy.write_text(declared)
    what = chosen([{"name": str(policy)}])
    with pytest.raises(ConfigError, match="Frozen declares the file 'weights', which is neither here nor in"):
        bench(what, tmp_path / "results")
    (tmp_path / "weights").mkdir()
    np.savetxt(tmp_path / "weights" / "a.txt", np.arange(6))
    (policy.parent / "beside.txt").write_text("1")
    (read,) = {inputs.inputs_of(entry.policy).files for entry in scenario.entries(what)}
    assert [name for name, _ in read] == ["beside.txt", "weights/a.txt"]
    assert [bench(what, tmp_path / "results").played for _ in range(2)] == [2, 0]
    (policy.parent / "beside.txt").write_text("2")
    assert bench(what, tmp_path / "results").played == 2
    (tmp_path / "weights" / "b.txt").write_text("new")
    assert bench(what, tmp_path / "results").played == 2


def test_a_path_is_a_hyper_parameter(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "frozen.py").write_text(FROZEN.replace('table: str = "scores.txt"', 'table: Path = Path("scores.txt")'))
    for name in ("scores.txt", "others.txt"):
        np.savetxt(tmp_path / name, np.arange(6))
    what = chosen([{"name": "./frozen.py", "table": ["scores.txt", "others.txt"]}])
    assert [bench(what, tmp_path / "results").played for _ in range(2)] == [4, 0]
    np.savetxt(tmp_path / "others.txt", np.arange(6)[::-1])
    assert bench(what, tmp_path / "results").played == 2


def test_a_file_that_changes_while_it_is_played_spoils_what_was_played(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    change = 'state[0] += 1; np.savetxt("scores.txt", state)'
    (tmp_path / "frozen.py").write_text(FROZEN.replace("        pass\n", f"        {change}\n"))
    np.savetxt(tmp_path / "scores.txt", np.arange(6))
    run = bench(chosen([{"name": "random"}, {"name": "./frozen.py"}]), tmp_path / "results")
    assert "a file it reads was changed while it was played" in run.failures and run.failures.startswith("2 of 4")
    there = store.Store(run.folder.parent, Curves.of_table)
    kept = [there.get(path.stem) for path in sorted(there.folder.iterdir())]
    assert {each.about["policy"] for each in kept} == {"random"}
    assert sorted(seed for each in kept for seed in each.seeds.tolist()) == [0, 1]


# Code that a policy draws on ------------------------------------------------------------------------------------------
def test_code_that_is_named_by_a_text_or_lies_in_a_namespace_package_is_found(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "spaced").mkdir()
    (tmp_path / "spaced" / "deep.py").write_text("")
    (tmp_path / "by_text.py").write_text("")
    (tmp_path / "drawing_on.py").write_text(
        "import importlib\nimport spaced.deep\nfrom lersbench.policy import load\nimport scipy.special\n\n"
        "def late():\n    return importlib.import_module('by_text'), load('iba-ucb1')\n"
    )
    __import__("drawing_on")
    names = {path.name for path in sources.closure("drawing_on")}
    assert {"deep.py", "by_text.py", "iba_ucb1.py", "policy.py"} <= names
    assert sorted(name.split()[0] for name in sources.packages("drawing_on")) == ["python", "scipy"]


def test_the_fit_of_click_models_is_part_of_every_key() -> None:
    engine = {
        path.name
        for path in {*sources.closure("lersbench.bench.session"), *sources.closure("lersbench.bench.click_fits")}
    }
    assert {"fit.py", "em.py", "counts.py", "click_fits.py", "loop.py"} <= engine
    assert inputs.engine() == inputs.engine()


# Logs -----------------------------------------------------------------------------------------------------------------
def rounds(n: int = 400, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"context": rng.standard_normal((n, 4)), "rewards": (rng.random((n, 5)) < 0.3).astype(float)}


def remember_nothing(log: Path) -> None:
    """As another tool would write it: no checksums, no digest, no seal."""
    said = json.loads((log / "log.json").read_text())
    (log / "log.json").write_text(json.dumps(said | {"block": 0, "sums": "", "digest": "", "seal": "", "files": {}}))


def test_a_log_without_a_digest_is_known_by_what_it_holds(tmp_path: Path) -> None:
    write(tmp_path / "log", [rounds()], name="x", items=5)
    remember_nothing(tmp_path / "log")
    what = chosen([{"name": "random"}, {"name": "ucb1"}], {"log": str(tmp_path / "log")})
    said: list[str] = []
    first = replays.bench(what, tmp_path / "results", threads=1, say=said.append)
    assert any("carries no checksums, so it was read once more" in line for line in said)
    assert bench(what, tmp_path / "results").played == 0
    write(tmp_path / "other", [rounds(seed=1)], name="x", items=5)
    shutil.copy(tmp_path / "other" / "rounds.parquet", tmp_path / "log" / "rounds.parquet")
    again = bench(what, tmp_path / "results")
    assert again.played == 4 and value(again, "ucb1") != value(first, "ucb1")
    assert value(again, "ucb1") == value(bench(what, tmp_path / "fresh"), "ucb1")


def test_rounds_under_the_log_json_of_others_are_refused_though_nothing_is_to_be_played(tmp_path: Path) -> None:
    for seed, name in enumerate(["log", "other"]):
        write(tmp_path / name, [rounds(seed=seed)], name="x", items=5)
    what = chosen([{"name": "ucb1"}], {"log": str(tmp_path / "log")})
    bench(what, tmp_path / "results")
    shutil.copy(tmp_path / "other" / "rounds.parquet", tmp_path / "log" / "rounds.parquet")
    with pytest.raises(DataError, match=r"the rounds are not those that log.json was written with"):
        bench(what, tmp_path / "results")


def test_items_of_a_log_without_sums_are_part_of_the_key(tmp_path: Path) -> None:
    for name, slope in (("log", 1.0), ("other", -1.0)):
        items = pd.DataFrame({"features": [[slope * item] for item in range(5)]})
        write(tmp_path / name, [rounds()], name="x", items=items)
        remember_nothing(tmp_path / name)
    before = Log(tmp_path / "log").identity
    shutil.copy(tmp_path / "other" / "items.parquet", tmp_path / "log" / "items.parquet")
    assert Log(tmp_path / "log").identity != before


def test_a_changed_log_json_is_told_unless_its_seal_was_taken_off(tmp_path: Path) -> None:
    model = {"weights": [[1.0, 1.0]], "goes_on": [1.0], "fade": 0.0}
    slates = {"slate": np.tile([0], (9, 1)), "clicks": np.zeros((9, 1))}
    write(tmp_path / "log", [slates], name="x", items=5, click_model=model)
    before, file = Log(tmp_path / "log").identity, tmp_path / "log" / "log.json"
    said = json.loads(file.read_text())
    said["click_model"]["fade"] = 0.5
    file.write_text(json.dumps(said))
    with pytest.raises(DataError, match="the seal does not match"):
        Log(tmp_path / "log")
    assert "the seal does not match" in str(validate(tmp_path / "log"))
    file.write_text(json.dumps(said | {"seal": ""}))
    assert Log(tmp_path / "log").identity != before


def test_a_log_of_an_earlier_version_is_compared_with_its_digest_before_it_is_read(tmp_path: Path) -> None:
    """It carries sums of words, which do not see an order: one more pass, once, and no trust in them."""
    for seed, name in enumerate(["log", "other"]):
        write(tmp_path / name, [rounds(seed=seed)], name="x", items=5)
    said = {
        key: x for key, x in json.loads((tmp_path / "log/log.json").read_text()).items() if key not in ("sums", "seal")
    }
    (tmp_path / "log/log.json").write_text(json.dumps(said))
    assert sum(len(chunk.context) for chunk in Log(tmp_path / "log").read()) == 400
    shutil.copy(tmp_path / "other/rounds.parquet", tmp_path / "log/rounds.parquet")
    for read in (lambda log: list(log.read()), lambda log: log.identity):
        with pytest.raises(DataError, match="not those of the digest"):
            read(Log(tmp_path / "log"))


def test_a_log_that_is_exchanged_while_it_is_open_is_told(tmp_path: Path) -> None:
    write(tmp_path / "log", [rounds()], name="x", items=5)
    opened = Log(tmp_path / "log")
    write(tmp_path / "log", [rounds(seed=1)], name="x", items=5, overwrite=True)
    with pytest.raises(DataError, match="exchanged since the log was opened"):
        list(opened.read())


# Checksums ------------------------------------------------------------------------------------------------------------
def test_exchanged_sectors_stop_the_run(tmp_path: Path, monkeypatch: Any, capfd: Any) -> None:
    rng = np.random.default_rng(0)
    context = rng.standard_normal((6000, 8))
    rewards = (rng.random((6000, 10)) < 0.1).astype(float)
    write(tmp_path / "log", [{"context": context, "rewards": rewards}], name="x", items=10)
    file = tmp_path / "log" / "rounds.parquet"
    content = bytearray(file.read_bytes())
    for one, other in ((8192, 40960), (12288, 45056), (16384, 65536), (20480, 98304)):
        first, second = content[one : one + 4096], content[other : other + 4096]
        content[one : one + 4096], content[other : other + 4096] = second, first
    file.write_bytes(bytes(content))
    (tmp_path / "x.toml").write_text(
        'title = "X"\n[data]\nlog = "log"\n[replay]\nseeds = 1\n[[policies]]\nname = "linucb"\n'
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["bench", "x.toml", "--no-plots"])
    assert end.value.code == 3 and "the checksum does not match" in capfd.readouterr().err
    assert not list(tmp_path.glob("results/*/*/run.json"))


@pytest.mark.parametrize("kind", ["normal", "small integers", "ones and twos"])
def test_a_checksum_knows_where_every_word_stands(kind: str) -> None:
    rng = np.random.default_rng(0)
    values = {
        "normal": rng.standard_normal(50_000),
        "small integers": rng.integers(0, 9, 50_000).astype(float),
        "ones and twos": rng.integers(1, 3, 50_000).astype(float),
    }[kind]
    before = checksum(values)
    for size in (1, 8, 64, 512, 4096):
        for _ in range(200):
            one, other = rng.choice(len(values) // size, 2, replace=False) * size
            if np.array_equal(values[one : one + size], values[other : other + size]):
                continue
            changed = values.copy()
            changed[one : one + size], changed[other : other + size] = (
                values[other : other + size],
                values[one : one + size],
            )
            assert checksum(changed) != before
    assert checksum(values[:-1]) != checksum(np.append(values[:-1], 0.0))
    assert len({checksum(np.zeros(n)) for n in range(300)}) == 300


def test_every_flipped_bit_changes_the_checksum() -> None:
    values = np.random.default_rng(1).integers(0, 255, 700, dtype=np.uint8)
    before = checksum(values)
    for bit in range(8 * len(values)):
        values[bit // 8] ^= 1 << bit % 8
        assert checksum(values) != before
        values[bit // 8] ^= 1 << bit % 8


def test_the_checksum_is_the_same_without_a_compiler() -> None:
    words = np.random.default_rng(2).integers(0, 2**63, (40, checksums.LANES)).astype(np.uint64)
    compiled, plain = np.zeros(checksums.LANES, np.uint64), np.zeros(checksums.LANES, np.uint64)
    words.flags.writeable = False
    checksums._take(words, compiled)
    checksums._take_rows(words, plain)
    np.testing.assert_array_equal(compiled, plain)
    assert checksum(np.arange(1000.0)) == by_hand(np.arange(1000.0).tobytes())
    assert checksum(np.arange(7, dtype=np.int8)) == by_hand(np.arange(7, dtype=np.int8).tobytes())


def by_hand(content: bytes) -> int:
    """The same in numbers of any length."""

    def take(state: int, word: int) -> int:
        mixed = (state ^ word) * int(checksums.PRIME) % 2**64
        return mixed ^ (mixed >> int(checksums.FOLD))

    row = 8 * checksums.LANES
    states = [0] * checksums.LANES
    padded = content + bytes(row - len(content) % row)
    for at in range(0, len(padded), 8):
        lane = at // 8 % checksums.LANES
        states[lane] = take(states[lane], int.from_bytes(padded[at : at + 8], "little"))
    total = len(content)
    for state in states:
        total = take(total, state)
    return total


# What is kept ---------------------------------------------------------------------------------------------------------
def test_a_damaged_contender_or_run_is_told(tmp_path: Path) -> None:
    what = chosen([{"name": "random"}])
    run = bench(what, tmp_path)
    file = next((run.folder.parent / "contenders").glob("*.parquet"))
    kept = store.Store(run.folder.parent, Curves.of_table)
    table = pq.read_table(file)
    place = table.schema.get_field_index("ctr_sum")
    changed = pa.array([np.array(values) + 1e-9 for values in table.column(place).to_pylist()])
    pq.write_table(table.set_column(place, "ctr_sum", changed), file)
    with pytest.raises(DataError, match=r"is damaged .its sum does not match"):
        kept.get(file.stem)
    content = bytearray((run.folder / "summary.parquet").read_bytes())
    content[len(content) // 2] ^= 1
    (run.folder / "summary.parquet").write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"summary.parquet"):
        result_tables.load(run.folder)


def test_a_kept_log_that_is_damaged_is_made_anew(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setenv("LERSBENCH_CACHE", str(tmp_path / "cache"))
    made = datasets.build("synthetic", rounds=50, users=7)
    (Path(made.path) / "items.parquet").write_bytes(b"PAR1")
    assert datasets.build("synthetic", rounds=50, users=7).info == made.info
    assert "is damaged, so it is made anew" in capsys.readouterr().err


def test_kept_sequences_are_compared_with_their_digest(tmp_path: Path) -> None:
    arrays = {"orders": np.arange(12.0).reshape(3, 4), "baskets": np.ones(3)}
    for name, values in arrays.items():
        np.save(tmp_path / f"{name}.npy", values)
    (tmp_path / "about.json").write_text(json.dumps({"digest": lab_run._digest(arrays)}))
    np.testing.assert_array_equal(lab_run.arrays_in(tmp_path)["orders"], arrays["orders"])
    np.save(tmp_path / "orders.npy", arrays["orders"].reshape(4, 3))
    with pytest.raises(DataError, match=r"not those of about.json"):
        lab_run.arrays_in(tmp_path)


# The last run, and one that is not finished ---------------------------------------------------------------------------
def test_the_last_run_is_named_whatever_the_dates_of_files_say(tmp_path: Path) -> None:
    one, two = chosen([{"name": "random"}]), chosen([{"name": "random"}, {"name": "ucb1"}])
    first, second = bench(one, tmp_path), bench(two, tmp_path)
    ahead = time.time() + 10**6
    os.utime(first.folder / "run.json", (ahead, ahead))
    assert result_tables.latest(tmp_path, "small") == second.folder
    assert bench(one, tmp_path).folder == first.folder
    os.utime(second.folder / "run.json", (ahead + 9, ahead + 9))
    assert result_tables.latest(tmp_path, "small") == first.folder
    shutil.rmtree(first.folder)
    assert result_tables.latest(tmp_path, "small") == second.folder
    (tmp_path / "small" / last_run.FILE).unlink()  # as an earlier version left it
    assert result_tables.latest(tmp_path, "small") == second.folder


SLOW = FROZEN.replace("learns = False", "").replace(
    "        round.scores[:]", '        __import__("time").sleep(0.01)\n        round.scores[:]'
)


def test_a_run_that_was_killed_says_what_it_lacks_until_it_is_finished(
    tmp_path: Path, monkeypatch: Any, capfd: Any
) -> None:
    (tmp_path / "frozen.py").write_text(SLOW)
    np.savetxt(tmp_path / "scores.txt", np.arange(6))
    (tmp_path / "small.toml").write_text(
        'title = "Small"\n[data]\ndataset = "synthetic"\nrounds = 200\nitems = 6\nd = 3\nusers = 20\n'
        '[replay]\nseeds = 2\n[[policies]]\nname = "random"\n[[policies]]\nname = "./frozen.py"\n'
    )
    command = [sys.executable, "-m", "lersbench", "bench", "small.toml", "--no-plots", "--threads", "1"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not (tmp_path / "results/small" / last_run.FILE).exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    halfway = result_tables.latest(tmp_path / "results", "small")
    results = result_tables.load(halfway)
    alarm = "UNFINISHED: without frozen (2 seeds): the run was cut short"
    board = ranking.board(results)
    assert alarm in result_words.to_terminal(board).replace("\n  ", " ").splitlines()[1]
    assert result_words.to_markdown(board).startswith(f"> **{alarm}")
    assert json.loads(result_words.to_json(board))["unfinished"] == ["frozen (2 seeds)"]
    assert alarm in result_words.to_csv(board)
    figures = draw_all(results, tmp_path / "figures", metrics=["misses", "hr@20"])
    assert all("UNFINISHED: without frozen" in path.read_text() for path in (record.svg for record in figures))
    for page in run_report.write(results, tmp_path / "report", figures):
        assert alarm in page.read_text().partition(">Leaderboard</h2>")[0]
    monkeypatch.chdir(tmp_path)
    main(command[3:])
    assert "UNFINISHED" not in capfd.readouterr().out.split("Small")[-1]
    assert not halfway.exists()
    assert not alarms.missing(result_tables.load(result_tables.latest(tmp_path / "results", "small")))


def test_a_run_with_failures_says_so_and_is_not_taken_for_a_whole_one(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "frozen.py").write_text(FROZEN)
    what = chosen([{"name": "random"}, {"name": "./frozen.py"}])
    run = bench(what, tmp_path / "results")  # there is no scores.txt
    assert run.failures
    told = alarms.missing(result_tables.load(run.folder))
    assert told == ["UNFINISHED: without frozen (2 seeds): they failed, and `lersbench bench small` tries them again."]
    np.savetxt(tmp_path / "scores.txt", np.arange(6))
    whole = bench(what, tmp_path / "results")
    assert whole.folder != run.folder and not alarms.missing(result_tables.load(whole.folder))


# Replacing what is there ----------------------------------------------------------------------------------------------
def folder_with(path: Path, text: str) -> Path:
    path.mkdir(parents=True)
    (path / "text").write_text(text)
    return path


@pytest.fixture(params=["one step", "two renames"])
def way(request: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "two renames":
        monkeypatch.setattr(exchange, "_exchanged", lambda one, other: False)
    elif not sys.platform.startswith("linux"):
        pytest.skip("only Linux exchanges in one step")
    return request.param


def test_a_folder_takes_the_place_of_another(tmp_path: Path, way: str) -> None:
    old, new = folder_with(tmp_path / "log", "old"), folder_with(tmp_path / "stage" / "log", "new")
    exchange.take_the_place(new, old)
    assert (old / "text").read_text() == "new"
    if way == "one step":
        assert (new / "text").read_text() == "old"
    assert not exchange._aside(old).exists()


@pytest.mark.parametrize("fails", [1, 2])
def test_a_rename_that_fails_leaves_the_old_log(tmp_path: Path, monkeypatch: Any, fails: int) -> None:
    write(tmp_path / "log", [rounds()], name="old", items=5)
    monkeypatch.setattr(exchange, "_exchanged", lambda one, other: False)
    real, calls = os.rename, list[str]()

    def rename(one: Any, other: Any) -> None:
        calls.append(str(other))
        if len(calls) == fails:
            raise OSError(errno.ENOSPC, "No space left on device", str(one), None, str(other))
        real(one, other)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "log", [rounds(seed=1)], name="new", items=5, overwrite=True)
    assert Log(tmp_path / "log").info.name == "old" and validate(tmp_path / "log").ok
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_where_nothing_can_be_renamed_any_more_the_message_says_where_the_old_one_lies(
    tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    write(tmp_path / "log", [rounds()], name="old", items=5)
    with monkeypatch.context() as patch:
        patch.setattr(exchange, "_exchanged", lambda one, other: False)
        real, calls = os.rename, list[str]()

        def rename(one: Any, other: Any) -> None:
            calls.append(str(other))
            if len(calls) > 1:
                raise OSError(errno.ENOSPC, "No space left on device", str(one), None, str(other))
            real(one, other)

        patch.setattr(os, "rename", rename)
        with pytest.raises(OSError, match=r"what was at .*log lies whole at .*\.log\.old, and the next command"):
            write(tmp_path / "log", [rounds(seed=1)], name="new", items=5, overwrite=True)
    assert validate(tmp_path / "log").ok and Log(tmp_path / "log").info.name == "old"
    assert "its replacement was cut off; what was there before is back" in capsys.readouterr().err


KILLED = """
import os, signal, sys
import numpy as np
from pathlib import Path
from lersbench.system import exchange
from lersbench.log import write

way, step = sys.argv[1], int(sys.argv[2])
calls = [0]

def counted(real):
    def call(*told):
        if calls[0] == 2 * step:
            os.kill(os.getpid(), signal.SIGKILL)
        found = real(*told)
        if calls[0] == 2 * step + 1:
            os.kill(os.getpid(), signal.SIGKILL)
        calls[0] += 2
        return found
    return call

if way == "renames":
    exchange._exchanged = lambda one, other: False
else:
    exchange._exchanged = counted(exchange._exchanged)
real = os.rename, exchange.shutil.rmtree
os.rename, exchange.shutil.rmtree = map(counted, real)
rng = np.random.default_rng(1)
write("log", [{"rewards": (rng.random((50, 5)) < 0.3).astype(float)}], name="new", items=5, overwrite=True)
"""


@pytest.mark.parametrize(("way", "step"), [("exchange", 0), ("renames", 0), ("renames", 1), ("renames", 2)])
def test_a_kill_at_any_step_leaves_a_whole_log_at_the_path(tmp_path: Path, way: str, step: int) -> None:
    write(tmp_path / "log", [rounds()], name="old", items=5)
    done = subprocess.run([sys.executable, "-c", KILLED, way, str(step)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    found = Log(tmp_path / "log")
    assert validate(tmp_path / "log").ok and found.info.name == ("old" if step < 2 else "new")
    again = write(tmp_path / "log", [rounds(seed=2)], name="newest", items=5, overwrite=True)
    assert again.info.name == "newest" and not exchange._aside(tmp_path / "log").exists()


def test_replacing_a_folder_keeps_the_old_one_until_the_new_one_is_whole(tmp_path: Path, way: str) -> None:
    old = folder_with(tmp_path / "run", "old")
    with pytest.raises(KeyboardInterrupt), replacing(old) as temporary:
        folder_with(temporary, "half")
        raise KeyboardInterrupt
    assert (old / "text").read_text() == "old"
    with replacing(old) as temporary:
        folder_with(temporary, "new")
    assert (old / "text").read_text() == "new" and [path.name for path in tmp_path.iterdir()] == ["run"]
