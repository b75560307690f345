"""The command line: what it prints where, and the exit code of every kind of mistake."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lersbench.log import Log
from tests.support import fake_results

SCENARIO = """
title = "Tiny"
leaderboard = "ctr_sum"
[data]
dataset = "synthetic"
rounds = 200
items = 6
d = 3
users = 30
[replay]
seeds = 3
checkpoints = 10
[[policies]]
name = "random"
[[policies]]
name = "ucb1"
"""
Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    (tmp_path / "tiny.toml").write_text(SCENARIO)
    return tmp_path / "tiny.toml"


def test_from_bench_to_report(cli: Cli, tiny: Path) -> None:
    code, out, err = cli("bench", "tiny.toml", "--no-plots")
    assert code == 0 and "rank" in out and "random" in out and "6 runs played" in err
    run = Path(err.splitlines()[-1].removeprefix("results: "))
    assert (run / "curves.parquet").is_file()
    code, out, err = cli("bench", "tiny.toml", "--json", "--no-plots")
    assert code == 0 and "6 taken from earlier runs" in err and json.loads(out)
    code, out, _ = cli("leaderboard", "tiny", "--metric", "hr@20", "--markdown")
    assert code == 0 and "| hr@20 %" in out
    code, out, _ = cli("leaderboard", str(run), "--csv", "--baseline", "ucb1")
    assert code == 0 and {row["policy"] for row in csv.DictReader(io.StringIO(out))} == {"random", "ucb1"}
    code, _, err = cli("plot", "tiny", "--metric", "ctr_sum")
    assert code == 0 and (run / "figures" / "curve-ctr-sum.png").is_file() and "4 figure files" in err
    code, _, err = cli("report", "tiny")
    assert code == 0 and "Tiny" in (run / "report.html").read_text()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["--help"], "leaderboard"),
        (["leaderboard", "active"], "Active customers"),
        (["leaderboard", "both.toml"], "Active"),
    ],
)
def test_help_and_leaderboard_answer_without_the_compiler_and_torch(
    tmp_path: Path, command: list[str], words: str
) -> None:
    """The tables have all that a leaderboard shows: to look at a policy would import Numba."""
    fake_results.make(tmp_path / "results" / "active" / "run", points=3, seeds=2)
    (tmp_path / "both.toml").write_text('title = "Both"\nscenarios = ["active"]\n')
    code = (
        "import sys\nfrom lersbench.cli.main import cli\n"
        f"cli({command}, standalone_mode=False)\n"
        "print('imported:', *{'numba', 'torch'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and words in done.stdout, done.stderr
    assert done.stderr.splitlines()[-1] == "imported:"


def test_smoke_comes_to_its_expected_results_and_changed_settings_are_not_held_to_them(cli: Cli) -> None:
    code, _, err = cli("bench", "smoke", "--no-plots")
    assert code == 0 and "all 8 expected results met" in err
    code, _, err = cli("bench", "smoke", "--no-plots", "--seeds", "2")
    assert code == 0 and "not compared" in err


def test_bench_takes_policies_and_settings_from_the_command_line(cli: Cli, tiny: Path) -> None:
    assert cli("new-policy", "my-own")[0] == 0
    code, out, err = cli(
        "bench", "tiny.toml", "--no-plots", "--policy", "./my_own.py", "--seeds", "2", "--set", "replay.slate=3"
    )
    assert code == 0 and "my-own" in out and "6 runs played" in err


@pytest.mark.parametrize(
    "argv,code,complaint",
    [
        (("bench", "nowhere"), 2, "There is no scenario 'nowhere'"),
        (("bench", "smok"), 2, "did you mean 'smoke'"),
        (("bench", "tiny.toml", "--set", "replay.sede=1"), 2, "did you mean 'seeds'"),
        (("bench", "tiny.toml", "--set", "replay.seeds=many"), 2, "replay.seeds"),
        (("bench", "tiny.toml", "--set", "replay"), 2, "key=value"),
        (("bench", "tiny.toml", "--policy", "linucp"), 2, "did you mean 'linucb'"),
        (("bench", "tiny.toml", "--policy", "./gone.py"), 2, "no policy file"),
        (("bench", "tiny.toml", "--set", 'leaderboard="misss"'), 2, "no metric 'misss'"),
        (("bench", "tiny.toml", "--set", 'data.dataset="syntetic"'), 2, "synthetic"),
        (("bench", "broken.toml"), 2, "not valid TOML"),
        (("becnh",), 2, "did you mean 'bench'"),
        (("leaderboard", "tiny"), 2, "tiny"),
        (("validate", "nolog"), 3, "log.json"),
        (("check-policy", "nobody"), 2, "no policy 'nobody'"),
        (("new-policy", "9lives"), 2, "9lives"),
        (("import", "impressions", "gone.csv", "out"), 3, "gone.csv"),
        (("import", "transactions", "t.csv", "out", "--cut", "2020-01-01", "--column", "customer"), 2, "OURS=YOURS"),
    ],
)
def test_mistakes_end_with_the_documented_code_and_a_way_out(
    cli: Cli, tiny: Path, argv: tuple[str, ...], code: int, complaint: str
) -> None:
    (tiny.parent / "broken.toml").write_text("title = \n")
    got, out, err = cli(*argv)
    assert got == code, err
    assert complaint.lower() in (out + err).lower(), out + err
    assert "Traceback" not in err


@pytest.mark.parametrize("what", ["policies", "scenarios", "datasets", "metrics"])
def test_ls_lists_in_text_and_json(cli: Cli, what: str) -> None:
    code, out, _ = cli("ls", what)
    assert code == 0 and out.strip()
    code, out, _ = cli("ls", what, "--json")
    rows: list[dict[str, Any]] = json.loads(out)
    assert code == 0 and len(rows) >= 4 and all(row["name"] for row in rows)
    if what == "datasets":
        assert all(row["licence"] and row["attribution"] for row in rows)


def test_doctor_is_well(cli: Cli) -> None:
    code, out, _ = cli("doctor")
    assert code == 0 and "numba" in out and "broken" not in out


def test_validate_names_row_column_value_and_fix(cli: Cli, tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"request": np.repeat(np.arange(5), 2), "position": [1, 2] * 5, "item": [0, 1] * 5, "click": [0, 1] * 5}
    )
    table.to_csv(tmp_path / "flat.csv", index=False)
    assert cli("import", "impressions", "flat.csv", "log")[0] == 0
    code, out, _ = cli("validate", "log")
    assert code == 0 and "no problems" in out
    assert Log(tmp_path / "log").info.rounds == 5
    rounds = tmp_path / "log" / "rounds.parquet"
    rounds.write_bytes(rounds.read_bytes()[:-40])
    code, out, err = cli("validate", "log")
    assert code == 3 and "rounds.parquet" in out + err and "Fix" in out + err


def test_transactions_become_a_log_that_can_be_replayed(cli: Cli, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = 4000
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 60 * 24, n), "h")
    lines = {"who": rng.integers(0, 80, n), "what": rng.zipf(1.5, n) % 40, "when": days, "shop": rng.integers(0, 3, n)}
    pd.DataFrame({**lines, "amount": rng.random(n)}).to_csv(tmp_path / "lines.csv", index=False)
    names = [f"--column={pair}" for pair in ("customer=who", "product=what", "time=when", "seller=shop")]
    sizes = ("--customers", "30", "--products", "10")
    code, out, err = cli("import", "transactions", "lines.csv", "log", "--cut", "2020-02-15", *sizes, *names)
    assert code == 0, err
    assert "30" in out and "published" in out
    (tmp_path / "own.toml").write_text(
        SCENARIO.partition("[data]")[0] + '[data]\nlog = "log"\n[replay]\nseeds = 2\n[[policies]]\nname = "random"\n'
    )
    code, out, err = cli("bench", "own.toml", "--no-plots")
    assert code == 0 and "random" in out, err


@pytest.mark.parametrize("kind", ["impressions", "decisions", "transactions"])
def test_a_pattern_that_the_shell_replaced_is_to_be_quoted(cli: Cli, kind: str) -> None:
    needed = ("--scenario", "normal", "--cut", "2020-01-01") if kind == "transactions" else ()
    code, _, err = cli("import", kind, "part-1.csv", "part-2.csv", "part-3.csv", "LOG", *needed)
    words = " ".join(err.split())
    assert code == 2 and "takes TABLE and OUT, but 2 more arguments came (part-3.csv, LOG)" in words
    assert f"Fix: quote it, as lersbench import {kind} 'shown/*.parquet' OUT" in words
    assert not Path("LOG").exists() and not Path("part-2.csv").exists()


def test_a_leaderboard_of_ranks_that_are_right_all_at_once(cli: Cli, tmp_path: Path) -> None:
    fake_results.make(tmp_path / "results" / "active" / "run", points=3, leaderboard="misses")
    code, out, err = cli("leaderboard", "active", "--simultaneous", "--json")
    assert code == 0, err
    told, usual = json.loads(out), json.loads(cli("leaderboard", "active", "--json")[1])
    assert told["simultaneous"] is True and usual["simultaneous"] is False
    assert [row["rank"] for row in told["rows"]] == [row["rank_together"] for row in usual["rows"]]
    assert [row["rank"] for row in told["rows"]] != [row["rank"] for row in usual["rows"]]
