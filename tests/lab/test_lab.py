"""Laboratory experiments: what they train, keep on disk, draw and tell; on customers whose next streamer is known."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lersbench import datasets
from lersbench.bench import scenario, store
from lersbench.bench.jobs import Work
from lersbench.cli.main import main
from lersbench.datasets import build, livestream
from lersbench.datasets.purchases import sequences
from lersbench.datasets.purchases.tables import Tables
from lersbench.errors import ConfigError, DataError, RunError
from lersbench.figures import lab as lab_figures
from lersbench.lab import projections
from lersbench.lab import rules as lab_rules
from lersbench.lab import run as lab_run
from lersbench.lab import scenario as lab_scenario
from lersbench.lab import works as lab_works
from lersbench.lab.curve import Curve
from lersbench.neural.halves import halves
from lersbench.report import lab as lab_report
from lersbench.results import lab as lab_results
from lersbench.studies import study
from lersbench.system import progress
from lersbench.system.workers import Pool

CELLS = """
title = "Cells of a toy"
experiment = "cells"
[data]
dataset = "livestream"
[training]
seeds = 2
epochs = 2
[[settings]]
cell = ["rnn", "gru"]
hidden = 8
[[settings]]
cell = "gru"
bayesian = true
hidden = 8
[quick]
"training.seeds" = 1
"""
LENGTHS = """
title = "Lengths of a toy"
experiment = "lengths"
[data]
dataset = "livestream"
[training]
seeds = 2
epochs = 1
[[settings]]
task = ["streamer", "basket"]
length = [5, 10]
customers = ["own", "same"]
hidden = 8
"""
CODES = """
title = "Codes of a toy"
experiment = "codes"
[data]
dataset = "livestream"
[context]
streamer_epochs = 1
basket_epochs = 1
[training]
seeds = 2
epochs = 2
[[settings]]
kind = "ae"
size = 2
picture = true
[[settings]]
kind = "vae"
size = 2
weight_eps = [1.0, 3.0]
[pictures]
methods = ["pca", "tsne"]
customers = 40
"""


def customers(n: int = 90) -> dict[str, np.ndarray]:
    """Customers who go on to the next of three streamers after each order; every third has only eight orders."""
    rng = np.random.default_rng(0)
    streamers = (rng.integers(0, 3, (n, 1)) + np.arange(16)) % 3
    made = {
        "static": rng.normal(size=(n, 4)).astype(np.float32),
        "orders": rng.normal(size=(3, 4)).astype(np.float32)[streamers],
        "order_streamers": streamers,
        "baskets": rng.normal(size=(3, 6)).astype(np.float32)[streamers],
    }
    made["order_streamers"][::3, :8] = -1
    made["orders"][::3, :8] = made["baskets"][::3, :8] = 0
    return made


@pytest.fixture(scope="module")
def kept_pool() -> Iterator[Pool]:
    with Pool(1) as pool:
        yield pool


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept_pool: Pool) -> Callable[[str], lab_scenario.Experiment]:
    """Experiments from text, on the made-up customers, in a folder and with a cache of their own.

    The process beside this one, which takes seconds to load torch, is the same for all but what sets a time limit.
    """

    def pool_of(at_once: int, timeout: float | None = None) -> AbstractContextManager[Pool]:
        return Pool(at_once, timeout) if timeout else nullcontext(kept_pool)

    monkeypatch.setattr(lab_run, "Pool", pool_of)
    about = {"name": "toy", "customers": 90, "streamers": ["A", "B", "C"], "licence": "CC0; free", "attribution": "Us."}
    made = sequences.Sequences(customers(), {**about, "provenance": {}})
    monkeypatch.setattr(sequences, "read", lambda dataset, options: made)
    monkeypatch.setenv("LERSBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def read(text: str, **changes: Any) -> lab_scenario.Experiment:
        (tmp_path / "toy.toml").write_text(text)
        return lab_scenario.read("toy.toml", {key.replace("_", ".", 1): value for key, value in changes.items()})

    return read


def run(chosen: lab_scenario.Experiment, fresh: bool = False) -> tuple[lab_run.Run, lab_results.LabResults, list[str]]:
    """A run in this process: what was done, its results, what was said."""
    said: list[str] = []
    done = lab_run.bench(chosen, Path("results"), threads=1, fresh=fresh, say=said.append)
    return done, lab_results.load(done.folder), said


# Runs -----------------------------------------------------------------------------------------------------------------
def test_cells_are_trained_kept_and_shown_beside_rules_and_published_values(toy: Any) -> None:
    done, found, _ = run(toy(CELLS, training_epochs=15, training_learning_rate=0.03))
    assert (done.played, done.reused, done.failures) == (6, 0, "")
    assert list(found.settings) == ["rnn hidden=8", "gru hidden=8", "gru bayesian hidden=8"]
    assert len(found.finals("gru hidden=8", "test_accuracy")) == 2
    epochs = found.curves.groupby(["label", "seed", "metric"])["epoch"].agg(list)
    assert epochs.map(lambda own: own == [*range(1, 16)]).all()
    rules = found.meta["rules"]["by_setting"]["gru hidden=8"]
    assert rules["customer's last"] == 0  # everybody goes on to another streamer
    assert found.final("gru hidden=8", "test_accuracy").mean > 0.9 > max(rules.values())  # a rule cannot, a cell can
    head, rows = lab_report.table(found)
    told = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    assert told["GRU"]["published accuracy %, the study's data"] == "94.31"
    assert told["rule: customer's last"]["test accuracy %"] == "0.00"
    facts = json.loads((done.folder / "run.json").read_text())
    assert facts["versions"]["torch"] and facts["data"]["digest"] and facts["seconds"]["work"] > 0
    assert len(facts["jobs"]) == len(facts["work_seconds"]) == 6


def test_a_second_run_does_nothing_and_an_interrupted_one_goes_on(toy: Any) -> None:
    first, found, _ = run(toy(CELLS))
    again, _, _ = run(toy(CELLS))
    assert (again.played, again.reused, again.folder) == (0, 6, first.folder)
    kept = sorted(Path("results/toy/contenders").iterdir())
    kept[2].unlink()
    kept[3].write_bytes(b"cut short")
    resumed, same, _ = run(toy(CELLS))
    assert (resumed.played, resumed.reused) == (2, 4)
    for label in found.settings:  # and comes to the same
        assert found.curve(label, "test_loss").equals(same.curve(label, "test_loss"))
    more, _, _ = run(toy(CELLS, training_seeds=3))
    assert (more.played, more.reused) == (3, 6)
    assert run(toy(CELLS), fresh=True)[0].played == 6


def test_one_that_fails_does_not_take_the_others_along(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = sequences.read("", {})
    short = {name: values.copy() for name, values in made.arrays.items()}
    short["orders"][:, :4], short["baskets"][:, :4], short["order_streamers"][:, :4] = 0, 0, -1
    monkeypatch.setattr(sequences, "read", lambda dataset, options: made._replace(arrays=short))
    text = LENGTHS.replace("[5, 10]", "[5, 15]").replace('["own", "same"]', '"own"')
    text = text.replace('["streamer", "basket"]', '"streamer"')
    done, found, _ = run(toy(text))
    assert done.played == 2 and "2 of 4" in done.failures and "0 customers have the 16 orders" in done.failures
    assert list(found.settings) == ["streamer length=5 own hidden=8"]
    assert len(lab_figures.draw_all(found, "figures")) == 2 and lab_report.table(found)[1]  # of what there is
    with pytest.raises(RunError, match="2 of 2 training runs"):
        run(toy(text.replace("[5, 15]", "15")))


def test_a_work_that_takes_too_long_has_failed(toy: Any) -> None:
    one = (
        CELLS.replace('["rnn", "gru"]', '"rnn"')
        .replace('[[settings]]\ncell = "gru"\nbayesian = true\nhidden = 8\n', "")
        .replace("epochs = 2", "epochs = 2000")
    )
    with pytest.raises(RunError, match=r"(?s)1 of 1 training runs.*not finished after 0\.001 seconds, the limit"):
        lab_run.bench(toy(one, training_seeds=1), Path("results"), 1, say=lambda _: None, timeout=0.001)


def test_what_builds_on_a_table_that_is_failed_or_damaged_fails_alone(tmp_path: Path) -> None:
    kept = store.Store(tmp_path, Curve.of_table)
    kept.make()
    failed, damaged = (lab_run.Job("root", "context", "context", {}, seed) for seed in (0, 1))
    kept.path(damaged.key).write_bytes(b"junk")
    codes = [lab_run.Job("root", "codes", "code", {}, 0, (before,)) for before in (failed, damaged)]
    work = Work(codes, kept, fresh=False)
    work.problems[failed.key] = "why"
    with Pool(1) as pool, progress.Bar(total=2) as bar:
        lab_run._perform_all(work, tmp_path, pool, bar)
    assert work.problems[codes[0].key] == "what it builds on failed" and not work.done
    assert f"{kept.path(damaged.key)} is damaged" in work.problems[codes[1].key]


def test_lengths_are_compared_on_their_own_and_on_the_same_customers(toy: Any) -> None:
    _, found, _ = run(toy(LENGTHS))
    counts = found.meta["rules"]["customers"]
    assert counts["streamer length=5 own hidden=8"] == 90
    assert counts["streamer length=10 own hidden=8"] == counts["streamer length=5 same hidden=8"] == 60
    basket = found.meta["rules"]["by_setting"]["basket length=5 own hidden=8"]
    assert all(value > 0 for value in basket.values())
    head, rows = lab_report.table(found)
    assert [row[head.index("published, the study's data")] for row in rows] == [
        *("94.21", "-", "93.96", "-"),
        *("0.0077", "-", "0.0056", "-"),
    ]
    drawn = {record.svg.stem for record in lab_figures.draw_all(found, "figures")}
    assert drawn == {"lengths-loss", "lengths-final"}


def test_codes_are_pictured_and_what_cannot_be_drawn_is_said(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "sklearn" else there(name, *a))
    done, found, said = run(toy(CODES))
    why = "t-SNE needs scikit-learn, which is not installed: pip install 'lersbench[pictures]'"
    assert f"Warning: a picture cannot be drawn. {why}" in said
    assert done.played == 1 + 6 + 1 + 2  # context, three settings x two seeds, codes, principal components of both
    assert set(found.points["method"]) == {"pca"} and set(found.points["label"]) == {"context", "ae size=2"}
    assert found.points.groupby("label").size().eq(40).all()
    assert set(found.points["streamer"]) <= {0, 1, 2}
    assert f"Warning: {why}." in lab_report.remarks(found)
    lab_figures.draw_all(found, "figures")
    assert "Not drawn" in Path("figures/codes-map.svg").read_text()
    linear = found.meta["rules"]["linear_error"]
    assert linear["0"] > linear["2"] > 0
    head, rows = lab_report.table(found)
    assert ["published, the study's data", "-", "-", "-", "61.4 / 73.3"] in rows
    assert "variance in 2 / 3 components, %" in head


def test_a_picture_that_can_be_drawn_later_is_then_added(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projections, "missing", lambda method: "gone" if method == "tsne" else "")
    first, _, _ = run(toy(CODES))
    monkeypatch.setattr(projections, "missing", lambda method: "")
    monkeypatch.setattr(projections, "_tsne", lambda x, seed: x[:, :2])
    later, found, said = run(toy(CODES))
    assert (later.played, later.reused) == (2, first.played) and later.folder != first.folder
    assert set(found.points["method"]) == {"pca", "tsne"} and not found.meta["notes"]
    assert not any("cannot be drawn" in line for line in said)


def test_codes_that_tell_nothing_are_named(toy: Any) -> None:
    _, found, _ = run(toy(CODES))
    level = found.meta["rules"]["linear_error"]["0"]
    rows = found.curves["metric"].eq("test_mse") & found.curves["label"].eq("ae size=2")
    found.curves.loc[rows, "value"] = level
    found.curves.loc[found.curves["metric"].eq("test_mse") & ~rows, "value"] = level / 2
    (told,) = [line for line in lab_report.remarks(found) if "next to nothing" in line]
    assert told.endswith("AE, size 2.")


def test_keys_name_the_libraries_that_compute(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def keys() -> dict[str, str]:
        jobs = lab_run.plan(codes, lab_run._root("data"))
        return {f"{job.work} {job.label} {job.params.get('method')} {job.seed}": job.key for job in jobs}

    codes = toy(CODES)
    before, there = keys(), lab_run.version
    assert keys() == before
    monkeypatch.setattr(lab_run, "version", lambda name: "0.1" if name == "scikit-learn" else there(name))
    changed = {name for name, key in keys().items() if key != before[name]}
    assert changed == {"picture context tsne 0", "picture ae size=2 tsne 0"}
    monkeypatch.setattr(np, "__version__", "0.1")
    assert not set(keys().values()) & set(before.values())


def test_sequences_are_made_anew_for_another_sentence_model(toy: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "model").mkdir()
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(b"first")

    def folder(**options: Any) -> Path:
        return lab_run.data_of(lab_scenario.Data(dataset="livestream", **options))[0]

    own = {"text_model": "sentence", "text_path": "~/model"}
    plain, first, bundled = folder(), folder(**own), folder(text_model="sentence")
    assert first == folder(**own)
    os.utime(weights, ns=(1, 1))
    assert first != (second := folder(**own))
    monkeypatch.setattr(datasets, "version", lambda name: {"wordllama": "9.9"}[name])
    assert bundled != folder(text_model="sentence")
    assert (plain, second) == (folder(), folder(**own))  # wordllama has no part in them


def test_logs_are_made_anew_for_another_sentence_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def key(**options: Any) -> str:
        return datasets._key("lersbench.datasets.livestream", options)

    before = key(text_model="sentence"), key(text_model="svd")
    monkeypatch.setattr(datasets, "version", lambda name: {"wordllama": "9.9"}[name])
    assert key(text_model="sentence") != before[0] and key(text_model="svd") == before[1]


# Rules and projections ------------------------------------------------------------------------------------------------
def test_simple_rules_by_hand() -> None:
    data = {
        "order_streamers": np.array([[0, 1, 1, 1], [2, 0, 2, 0], [0, 0, 2, 2], [1, 0, 2, 1]]),
        "orders": np.ones((4, 4, 1)),
        "baskets": np.array([[[1.0], [2.0], [3.0], [4.0]]] * 4),
    }
    train, test = halves(4, 0.5, 0)
    right = {"last": np.array([1, 0, 1, 0]), "most": np.array([1, 0, 0, 0])}  # customers; guesses 1 2 2 2 and 1 2 0 2
    most = np.bincount(data["order_streamers"][train].ravel()).argmax()
    assert lab_rules.streamer_rules(data, 3, 4, 0.5, 0) == {
        "most frequent streamer": (data["order_streamers"][test, -1] == most).mean(),
        "customer's last": right["last"][test].mean(),
        "customer's most frequent of 3": right["most"][test].mean(),
    }
    assert lab_rules.basket_rules(data, 2, 4, 0.5, 0) == {
        "mean of all baskets": 1.5**2,
        "customer's last basket": 1.0,
        "mean of the customer's last 2": 1.5**2,
        "mean of all, drawn to the customer's last 2": 1.5**2,
    }
    # 2 of 3 are trained on, with means 10.5 and 14.5, of all 12.5, and last baskets 12 and 13: drawn a quarter of the
    # way. The third is tested on, with a mean of 16.5 and a last basket of 11; its own values fit nothing.
    order = np.argsort(np.concatenate(halves(3, 0.67, 1)))
    baskets = np.array([[10.0, 10, 11, 12], [10, 14, 15, 13], [0, 16, 17, 11]])[order, :, None]
    apart = {"orders": np.ones((3, 4, 1)), "baskets": baskets}
    assert lab_rules.basket_rules(apart, 2, 3, 0.67, 1) == {
        "mean of all baskets": 1.5**2,
        "customer's last basket": 36.0,
        "mean of the customer's last 2": 5.5**2,
        "mean of all, drawn to the customer's last 2": 2.5**2,
    }


def test_only_customers_with_all_orders_count() -> None:
    data = customers(9)
    assert len(lab_works.with_orders(data, 8)["static"]) == 9
    assert (lab_works.with_orders(data, 9)["static"] == np.delete(data["static"], [0, 3, 6], 0)).all()


def test_explained_variance_and_linear_error() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(500, 3)) * [3.0, 2.0, 1.0] + 5
    eigenvalues = np.sort(np.linalg.eigvalsh(np.cov(x.T, bias=True)))[::-1]
    assert projections.explained(x) == pytest.approx(np.cumsum(eigenvalues) / eigenvalues.sum())
    everyone = np.arange(500)
    errors = projections.linear_errors(x, [0, 1, 3], everyone, everyone)
    assert errors == pytest.approx([x.var(0).mean(), eigenvalues[1:].sum() / 3, 0], abs=1e-12)
    assert projections.explained(np.ones((4, 2))).tolist() == [0, 0, 0]
    assert projections.explained(x[:, :1]).tolist() == [1, 1, 1]
    points = projections.project("pca", x)
    assert points.var(0) == pytest.approx(eigenvalues[:2])
    assert projections.project("pca", -x) == pytest.approx(-points)  # the sign is settled


def test_a_projection_without_its_package_names_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None)
    for method in ("tsne", "umap"):
        with pytest.raises(ConfigError, match=r"pip install 'lersbench\[pictures\]'"):
            projections.project(method, np.eye(5))
    with pytest.raises(ConfigError, match="no projection 'lda'"):
        projections.project("lda", np.eye(5))
    assert projections.missing("pca") == ""


# Data -----------------------------------------------------------------------------------------------------------------
def test_sequences_are_those_of_a_log_and_of_more_customers(tmp_path: Path) -> None:
    found = sequences.read("livestream", {"scale": 0.004, "text": 4})
    log = build("livestream", scenario="normal", scale=0.004, text=4)
    table = log.user_table()
    assert table is not None
    rows = {row.tobytes() for row in found.arrays["baskets"].reshape(len(found.arrays["baskets"]), -1)}
    many = [np.count_nonzero(np.asarray(who) >= 0) >= sequences.LEAST for who in table["order_streamers"]]
    known = [np.asarray(basket, np.float32).tobytes() in rows for basket in table["baskets"]]
    assert known == many and 0 < sum(many) < found.about["customers"] == len(found.arrays["static"])
    assert (np.count_nonzero(found.arrays["order_streamers"] >= 0, 1) >= sequences.LEAST).all()
    assert len(found.about["streamers"]) == 7 and found.about["provenance"]["scale"] == 0.004


def test_nothing_after_the_cut_reaches_a_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = livestream.tables(0.004, 0)
    arrays = sequences.read("livestream", {"scale": 0.004, "text": 4}).arrays

    def until_the_cut(scale: float, seed: int) -> Tables:
        lines, said = whole.transactions, whole.comments
        assert said is not None
        return replace(
            whole, transactions=lines[lines["time"] < "2021-11-01"], comments=said[said["time"] < "2021-11-01"]
        )

    monkeypatch.setattr(livestream, "tables", until_the_cut)
    before = sequences.read("livestream", {"scale": 0.004, "text": 4}).arrays
    assert arrays.keys() == before.keys()
    for name, values in arrays.items():
        np.testing.assert_allclose(values, before[name], rtol=1e-5, atol=1e-6, err_msg=name)  # float32, by way of BLAS


@pytest.mark.parametrize(
    ("dataset", "options", "told"),
    [
        ("taobao", {}, "no sequences of all customers of 'taobao'"),
        ("livestream", {"scael": 1}, "no option 'scael'; did you mean 'scale'"),
        ("livestream", {"cut": "yesterday"}, "cut = 'yesterday' is no date"),
        ("livestream", {"scale": 0.005, "text": 0}, "text = 0 must be at least 1"),
    ],
)
def test_options_of_sequences_that_cannot_be(dataset: str, options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        sequences.read(dataset, options)


def test_a_cut_before_anybody_bought_six_times() -> None:
    with pytest.raises(DataError, match="no customer has 6 orders before the cut 2021-03-20"):
        sequences.read("livestream", {"scale": 0.002, "cut": "2021-03-20"})
    with pytest.raises(DataError, match="no purchase lies before the cut 2020-01-01"):
        sequences.read("livestream", {"scale": 0.002, "cut": "2020-01-01"})


# Files ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ('cell = "gru"', "settings entry 2: unknown key 'size'"),
        ("[training]", "unknown key 'training.epoch'; known are seeds, epochs"),
        ('experiment = "cells"', "'experiment': Input should be 'cells', 'lengths' or 'codes'"),
        ('cell = ["rnn", "gru"]', "'cell' is an empty list"),
        ("[quick]", "'pictures' belongs to the experiment"),
        ("bayesian = true\nhidden = 8", "two settings are called 'gru hidden=8'"),
    ],
)
def test_mistakes_in_a_file(toy: Any, change: str, told: str) -> None:
    wrong = {
        'cell = "gru"': 'cell = "gru"\nsize = 3',
        "[training]": "[training]\nepoch = 3",
        'experiment = "cells"': 'experiment = "cell"',
        'cell = ["rnn", "gru"]': "cell = []",
        "[quick]": "[pictures]\ncustomers = 20\n[quick]",
        "bayesian = true\nhidden = 8": "hidden = 8",
    }
    with pytest.raises(ConfigError, match=re.escape(told)):
        toy(CELLS.replace(change, wrong[change]))


@pytest.mark.parametrize("name", ["lers-cells", "lers-lengths", "lers-codes"])
def test_the_experiments_that_come_with_the_package_are_whole(name: str) -> None:
    chosen = lab_scenario.read(name)
    jobs = lab_run.plan(chosen, "root")
    twice = 6 if name == "lers-lengths" else 0  # at length 15 "own" customers are "same" ones
    assert len({job.key for job in jobs}) == len(jobs) - twice
    quick = lab_scenario.read(name, quick=True)
    assert quick.name == f"{name}-quick" and quick.training.seeds < chosen.training.seeds
    other = lab_scenario.read(name, dataset="completejourney")
    assert (other.name, other.data.dataset) == (f"{name}-completejourney", "completejourney")
    for data in (chosen.data, other.data):
        assert sequences.known_options(data.dataset, data.options)
    with pytest.raises(ConfigError, match="names no data set 'taobao'"):
        lab_scenario.read(name, dataset="taobao")
    if name == "lers-cells":
        shown = {lab_results.cell_name(setting.params) for setting in lab_scenario.settings(chosen)}
        assert shown == set(lab_results.CELLS)


def test_the_scenario_of_contexts_sweeps_all_of_them() -> None:
    labels = [entry.label for entry in scenario.entries(scenario.read("lers-contexts"))]
    assert [f"lers context={part}" for part in ("static", "temporal", "streamer", "basket", "full")] == labels[2:]


# The command line -----------------------------------------------------------------------------------------------------
@pytest.fixture
def cli(toy: Any, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """The command line, with the cells of the toy as the scenario "toy-cells", and a study of it and a replay."""
    folder = tmp_path / "scenarios"
    folder.mkdir()
    (folder / "toy-cells.toml").write_text(CELLS)
    (folder / "toy-replay.toml").write_text(
        'title = "Replay"\nleaderboard = "ctr_sum"\n[data]\ndataset = "synthetic"\nrounds = 100\nitems = 5\nd = 2\n'
        'users = 9\n[replay]\nranking = false\ncheckpoints = 5\n[[policies]]\nname = "random"\n'
    )
    (folder / "toy-study.toml").write_text('title = "Both"\nscenarios = ["toy-replay", "toy-cells"]\n')

    def told(*argv: str) -> tuple[int, str, str]:
        code = 0
        try:
            main(list(argv))
        except SystemExit as end:
            code = int(end.code or 0)
        said = capfd.readouterr()
        return code, said.out, said.err

    return told


def test_bench_plot_report_leaderboard_and_ls(cli: Any, tmp_path: Path) -> None:
    code, out, err = cli("bench", "toy-cells", "--threads", "1", "--seeds", "1")
    assert code == 0 and "BayesGRU" in out and "rule: customer's last" in out and "1 seed" in err
    (done,) = (path.parent for path in (tmp_path / "results" / "toy-cells").glob("*/run.json"))
    page = (done / "report.html").read_text()
    assert "published accuracy" in page and page.count("<img") == 2 and (done / "table.csv").is_file()
    assert {path.name for path in (done / "figures").iterdir()} >= {"cells-loss.png", "cells-accuracy.svg"}
    assert cli("bench", "toy-cells", "--threads", "1", "--seeds", "1")[2].count("already")
    (done / "report.md").unlink()
    assert cli("report", "toy-cells")[0] == 0 and (done / "report.md").is_file()
    assert cli("plot", str(done))[0] == 0
    rows = json.loads(cli("leaderboard", "toy-cells", "--json")[1])
    assert [row["cell"] for row in rows][:3] == ["RNN", "GRU", "BayesGRU"]
    assert "| GRU |" in cli("leaderboard", "toy-cells", "--markdown")[1]
    listed = {row["name"]: row["title"] for row in json.loads(cli("ls", "scenarios", "--json")[1])}
    assert listed["toy-cells"] == "Cells of a toy" and "unreadable" not in listed["toy-study"]


def test_the_short_version_is_kept_apart(cli: Any, tmp_path: Path) -> None:
    code, _, err = cli("bench", "toy-cells", "--threads", "1", "--quick", "--no-plots")
    assert code == 0 and "3 training runs" in err
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["toy-cells-quick"]


def test_a_study_of_a_replay_and_an_experiment(cli: Any, tmp_path: Path) -> None:
    code, _, err = cli(
        *("bench", "toy-study", "--threads", "1", "--seeds", "1", "--set", "training.epochs=1"),
        *("--policy", "ucb1"),
    )
    assert code == 0, err
    assert "an experiment, which has no policies: ucb1 left out" in err
    page = (tmp_path / "results" / "toy-study" / "study.md").read_text()
    assert "## Cells of a toy" in page and "### After the last epoch" in page and "## Replay" in page
    assert cli("bench", "toy-study", "--set", "trainig.epochs=1")[0] == 2
    own = study.read("toy-study", {"replay.seeds": 1, "training.epochs": 3, "replay.slate": 2})[1]
    assert own[0].replay.seeds == 1 and own[0].replay.slate == 2  # type: ignore[union-attr]
    assert own[1].training.seeds == 1 and own[1].training.epochs == 3  # type: ignore[union-attr]


# With the packages of the extra "pictures" ----------------------------------------------------------------------------
def test_t_sne_keeps_two_clouds_apart() -> None:
    pytest.importorskip("sklearn")
    _two_clouds(projections.project("tsne", _clouds()))


@pytest.mark.slow
def test_umap_keeps_two_clouds_apart() -> None:
    pytest.importorskip("umap")
    _two_clouds(projections.project("umap", _clouds()))


def _clouds() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(80, 5)) + np.repeat([[0.0], [20.0]], 40, axis=0)


def _two_clouds(points: np.ndarray) -> None:
    """Every point's nearest other one is of its own cloud."""
    assert points.shape == (80, 2) and np.isfinite(points).all()
    apart = ((points[:, None] - points[None]) ** 2).sum(2) + np.diag(np.full(80, np.inf))
    assert ((apart.argmin(1) < 40) == (np.arange(80) < 40)).all()


def test_principal_components_know_only_the_customers_trained_on() -> None:
    x = np.repeat(np.random.default_rng(2).normal(size=(60, 4)), [3, 1, 1, 1] * 15, 0)
    train, test = halves(len(x), 0.67, 0)
    mean = x[train].mean(0)
    axis = np.linalg.eigh(np.cov(x[train].T))[1][:, -1:]
    by_hand = ((x[test] - mean) @ (np.eye(4) - axis @ axis.T)) ** 2
    assert lab_rules.linear_rules(x, [0, 1], 0.67, 1) == pytest.approx(
        {"0": ((x[test] - mean) ** 2).mean(), "1": by_hand.mean()}
    )
    other = x.copy()
    other[test] += 100.0  # the components stay those of the others
    moved = lab_rules.linear_rules(other, [0], 0.67, 1)["0"]
    assert moved == pytest.approx(((other[test] - mean) ** 2).mean())
