"""`lersbench click-model`: the shares by hand, the tables, the figure, the JSON, and what is said of a wrong log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from lersbench.cli.click_models import click_model
from lersbench.clicks.fit import count_arrays, fit_counts
from lersbench.clicks.model import content_of, ubm
from lersbench.errors import ConfigError, DataError
from lersbench.figures import click_models as click_figures
from lersbench.log import Log, write

LENGTH, ITEMS = 4, 8
WEIGHTS = np.tril([[0.9] * 5, [0.6, 0.8] + [0] * 3, [0.4, 0.5, 0.7, 0, 0], [0.2, 0.3, 0.4, 0.6, 0]])


def make(folder: Path, n: int = 3000, known: bool = True, filtered: bool = False) -> Log:
    rng = np.random.default_rng(0)
    slate = rng.random((n, ITEMS)).argsort(axis=1)[:, :LENGTH]
    clicks, examined, last = np.zeros((n, LENGTH)), np.zeros((n, LENGTH)), np.zeros(n, np.int64)
    for k in range(LENGTH):
        examined[:, k] = rng.random(n) < WEIGHTS[k, last]
        clicks[:, k] = examined[:, k] * (rng.random(n) < np.linspace(0.1, 0.8, ITEMS)[slate[:, k]])
        last = np.where(clicks[:, k] > 0, k + 1, last)
    rows = clicks.any(axis=1) if filtered else np.ones(n, bool)
    columns = {"candidates": slate[rows], "slate": slate[rows], "clicks": clicks[rows]}
    told = {"click_model": content_of(ubm(WEIGHTS))} if known else {}
    if known:
        columns["examined"] = examined[rows]
    return write(folder, [columns], name="shop", items=ITEMS, **told)  # type: ignore[arg-type]


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(click_model, [str(a) for a in arguments])


def test_the_shares_of_a_hand_worked_log(tmp_path: Path) -> None:
    slate = np.array([[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2], [2, 3, 0, 1]])
    clicks = np.array([[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1]])
    examined = np.array([[1, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 1], [1, 0, 1, 1]])
    log = write(tmp_path / "log", [{"candidates": slate, "slate": slate, "clicks": clicks, "examined": examined}],
                name="four", items=4)  # fmt: skip
    result = run(log.path, "--json", "--no-plots", "--model", "pbm")
    told = json.loads(result.stdout)
    assert told["records_without_click"] == 1
    assert told["last_click"] == pytest.approx([1 / 3, 0, 1 / 3, 1 / 3])
    assert told["mean_last_click"] == pytest.approx(8 / 3)
    assert told["pseudo_exposed"] == pytest.approx((3 + 1 + 0) / 12)
    assert told["unexamined"] == {"all": pytest.approx(5 / 16), "with_click": pytest.approx(2 / 12)}
    assert told["unexamined_by_position"] == pytest.approx([1 / 4, 2 / 4, 1 / 4, 1 / 4])
    assert told["clicks_per_display"] == pytest.approx([1 / 4] * 4)


def test_the_json_holds_the_fits_and_the_truth(tmp_path: Path) -> None:
    log = make(tmp_path / "log")
    told = json.loads(run(log.path, "--json", "--no-plots").stdout)
    chunk = next(iter(log.read()))
    counts = count_arrays(np.take_along_axis(chunk.candidates, chunk.slate, axis=1), chunk.clicks, ITEMS)
    for name in ("pbm", "ubm"):
        assert told["models"][name]["weights"] == fit_counts(counts, name).weights.tolist()
        assert told["models"][name]["components"] == 1
    np.testing.assert_allclose(told["true_weights"], WEIGHTS / 0.9)
    assert told["unexamined"]["all"] == pytest.approx(1 - chunk.examined.mean())
    unknown = make(tmp_path / "unknown", known=False)
    told = json.loads(run(unknown.path, "--json", "--no-plots", "--model", "ubm").stdout)
    assert told["true_weights"] is told["unexamined"] is told["unexamined_by_position"] is None
    assert list(told["models"]) == ["ubm"]


def test_the_text_has_a_line_a_position_and_both_shares(tmp_path: Path) -> None:
    text = run(make(tmp_path / "log").path, "--no-plots").stdout
    lines = text.splitlines()
    assert lines[0].startswith("shop: 3,000 records of 4 positions, 8 items shown, ")
    assert "pseudo-exposed" in lines[1]
    assert "truly not examined" in lines[2]
    at = next(i for i, line in enumerate(lines) if line.strip().startswith("position "))
    assert [line.split()[0] for line in lines[at + 1 : at + 5]] == ["1", "2", "3", "4"]
    assert len({len(line) for line in lines[at : at + 5]}) == 1
    triangle = next(i for i, line in enumerate(lines) if line.startswith("last click   none"))
    assert [len(line.split()) for line in lines[triangle + 1 : triangle + 5]] == [3, 4, 5, 6]
    assert "all cells connected" in text


@pytest.mark.parametrize(("model", "panels"), [("both", 3), ("pbm", 2), ("ubm", 3)])
def test_the_figure_is_written_where_told(tmp_path: Path, model: str, panels: int) -> None:
    log = make(tmp_path / "log")
    result = run(log.path, "--model", model, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["click-model.png", "click-model.svg"]
    svg = (tmp_path / "out" / "click-model.svg").read_text()
    assert ("User browsing weights" in svg) == (panels == 3)
    assert "truly not examined" in svg
    told = json.loads(run(log.path, "--json", "--no-plots", "--model", model).stdout)
    assert len(click_figures.figure(told).axes) == panels


def test_without_out_the_figure_goes_below_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = make(tmp_path / "log", known=False)
    monkeypatch.chdir(tmp_path)
    assert run(log.path).exit_code == 0
    assert (tmp_path / "click-models" / "shop" / "click-model.png").stat().st_size > 10_000


def test_the_curves_are_the_weights(tmp_path: Path) -> None:
    told = json.loads(run(make(tmp_path / "log").path, "--json", "--no-plots").stdout)
    lines = {line.get_label(): line.get_ydata() for line in click_figures.figure(told).axes[0].get_lines()}
    np.testing.assert_allclose(lines["position-based"], told["models"]["pbm"]["weights"])
    np.testing.assert_allclose(lines["true, no click above"], WEIGHTS[:, 0] / 0.9)
    seen = 1 - np.array(told["unexamined_by_position"])
    np.testing.assert_allclose(lines["share truly examined"], seen / seen[0])


def test_a_filtered_log_is_noticed_and_can_be_contradicted(tmp_path: Path) -> None:
    log = make(tmp_path / "log", filtered=True)
    own, naive = (json.loads(run(log.path, "--json", "--no-plots", *more).stdout) for more in ([], ["--not-filtered"]))
    assert own["models"]["pbm"]["filtered"]
    assert not naive["models"]["pbm"]["filtered"]
    assert own["models"]["pbm"]["weights"] != naive["models"]["pbm"]["weights"]
    assert "were removed" in " ".join(own["models"]["pbm"]["notes"])


@pytest.mark.parametrize("length", [1, 20])
def test_lists_of_any_length_are_reported(tmp_path: Path, length: int) -> None:
    rng = np.random.default_rng(1)
    slate = rng.random((500, 25)).argsort(axis=1)[:, :length]
    clicks = rng.random((500, length)) < 0.3
    log = write(tmp_path / "log", [{"candidates": slate, "slate": slate, "clicks": clicks}], name="any", items=25)
    result = run(log.path, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert f"500 records of {length} positions" in result.stdout


def test_rows_limits_what_is_fitted(tmp_path: Path) -> None:
    log = make(tmp_path / "log")
    assert json.loads(run(log.path, "--rows", 700, "--json", "--no-plots").stdout)["records"] == 700
    assert "has 3000 rows" in str(run(log.path, "--rows", 3001).exception)


def test_logs_that_cannot_be_fitted_are_told(tmp_path: Path) -> None:
    rewards = write(tmp_path / "rewards", [{"rewards": np.ones((3, 2))}], name="rewards", items=2)
    wrong = run(rewards.path).exception
    assert isinstance(wrong, ConfigError)
    assert "its columns are rewards" in str(wrong)
    assert isinstance(run(tmp_path / "nowhere").exception, DataError)
    silent = write(tmp_path / "silent", [{"candidates": [[0, 1]], "slate": [[0, 1]], "clicks": [[0, 0]]}],
                   name="silent", items=2)  # fmt: skip
    assert "no record has a click" in str(run(silent.path).exception)
    assert "have no click" in str(run(make(tmp_path / "log").path, "--filtered").exception)
