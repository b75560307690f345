"""Held-out perplexity of two kinds against sums written out, cells nobody saw, and what a log of clicks only is."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from lersbench.cli.click_models import click_model
from lersbench.clicks.cells import filled
from lersbench.clicks.fit import count, count_arrays, fit_counts, settled
from lersbench.clicks.heldout import FOLDS, add_likelihood, perplexities
from lersbench.clicks.model import cascade, dcm, pbm, ubm
from lersbench.errors import ConfigError
from lersbench.log import Log, write

LENGTH, ITEMS = 4, 7


def records(n: int, seed: int = 0, level: float = 0.7) -> tuple[np.ndarray, np.ndarray]:
    """Lists in random order and clicks of users who look less the longer ago their last click."""
    rng = np.random.default_rng(seed)
    slate = rng.random((n, ITEMS)).argsort(axis=1)[:, :LENGTH]
    clicks, last = np.zeros((n, LENGTH)), np.zeros(n, np.int64)
    for k in range(LENGTH):
        weight = np.where(last > 0, 0.9 ** (k + 1 - last), 0.8**k)
        clicks[:, k] = rng.random(n) < weight * np.linspace(0.1, level, ITEMS)[slate[:, k]]
        last = np.where(clicks[:, k] > 0, k + 1, last)
    return slate, clicks


def on_disk(folder: Path, slate: np.ndarray, clicks: np.ndarray, **provenance: bool) -> Log:
    columns = {"candidates": slate, "slate": slate, "clicks": clicks}
    return write(folder, [columns], name="lists", items=ITEMS, provenance=provenance)


def chance(weights: np.ndarray, attraction: np.ndarray, items: np.ndarray, clicks: tuple[int, ...]) -> float:
    """P(clicks | list), from the definition."""
    value, last = 1.0, 0
    for k, click in enumerate(clicks):
        p = weights[k, last] * attraction[items[k]]
        value *= p if click else 1 - p
        last = k + 1 if click else last
    return value


@pytest.mark.parametrize("filtered", [False, True])
def test_likelihoods_are_sums_over_all_click_vectors(filtered: bool) -> None:
    rng = np.random.default_rng(1)
    weights, attraction = np.tril(rng.random((LENGTH, LENGTH + 1))), rng.random(ITEMS)
    slate, clicks = records(12, seed=2)
    kept = clicks.any(axis=1) if filtered else np.ones(12, bool)
    slate, clicks = slate[kept], clicks[kept]
    out, truth = np.zeros((2, LENGTH)), np.zeros((2, LENGTH))
    add_likelihood(slate, clicks, weights, attraction, filtered, out)
    vectors = [v for v in product((0, 1), repeat=LENGTH) if any(v) or not filtered]
    for items, row in zip(slate, clicks, strict=True):
        each = {v: chance(weights, attraction, items, v) for v in vectors}
        for k in range(LENGTH):
            same = {v: p for v, p in each.items() if v[:k] == tuple(row[:k])}
            truth[0, k] += np.log(sum(p for v, p in each.items() if v[k] == row[k]) / sum(each.values()))
            truth[1, k] += np.log(sum(p for v, p in same.items() if v[k] == row[k]) / sum(same.values()))
    np.testing.assert_allclose(out, truth, rtol=1e-12)


def test_each_record_is_foreseen_by_the_fit_to_the_other_folds(tmp_path: Path) -> None:
    slate, clicks = records(600)
    log = on_disk(tmp_path / "log", slate, clicks)
    found = perplexities(log, ("pbm", "ubm"), 50, 600, False)
    assert found is not None
    np.testing.assert_allclose(found["pbm"].marginal, found["pbm"].conditional, rtol=1e-12)
    assert (found["ubm"].marginal != found["ubm"].conditional)[1:].all()
    total, at = np.zeros((2, LENGTH)), np.arange(50, 600)
    for fold in range(FOLDS):
        train, test = at[at % FOLDS != fold], at[at % FOLDS == fold]
        own = fit_counts(count_arrays(slate[train], clicks[train], ITEMS, False), "ubm")
        add_likelihood(slate[test], clicks[test], own.table, own.attraction, False, total)
    np.testing.assert_allclose(np.array(found["ubm"]), 2 ** (-total / np.log(2) / 550), rtol=1e-12)


def test_too_few_clicks_to_leave_a_fold_out_is_no_perplexity(tmp_path: Path) -> None:
    slate, clicks = records(40)
    clicks[:, 0] = 0
    clicks[3, 0] = 1
    assert perplexities(on_disk(tmp_path / "log", slate, clicks), ("pbm",), 0, 40, False) is None


# Cells ----------------------------------------------------------------------------------------------------------------
def test_a_cell_leans_on_its_neighbours_by_hand() -> None:
    """Three positions: cells (2;1), (3;1), (3;2) after a click, with 20, 0 and 60 displays."""
    weights = np.array([[1, 0, 0, 0], [0.5, 0.9, 0, 0], [0.25, np.nan, 0.3, 0]])
    displays = np.array([[100, 0, 0, 0], [60, 20, 0, 0], [0, 0, 60, 0]])
    weights[2, 1] = 0.7  # of no display, so it must not matter
    found = filled(weights, displays)
    # (3;2) is a position from (2;1); (3;1) is a distance from (3;2), and a position and a distance from (2;1)
    say = {"21": 0.5, "32": 0.75}
    assert found[1, 1] == pytest.approx((20 * 0.9 + 20 * 0.3) / 40)
    assert found[2, 2] == pytest.approx((60 * 0.3 + 20 * 0.9) / 80)
    near = say["32"] / 2, say["21"] / 4
    assert found[2, 1] == pytest.approx((near[0] * 0.3 + near[1] * 0.9) / sum(near))
    quiet = 0.5 * 0.75, 0.25 * 100 / 120  # of positions 2 and 1
    assert found[2, 0] == pytest.approx((quiet[0] * 0.5 + quiet[1] * 1) / sum(quiet))
    np.testing.assert_array_equal(found[:2, 0], [1, 0.5])
    assert np.isfinite(found).all()


def test_without_a_click_above_anywhere_the_weights_after_none_stand_in() -> None:
    weights, displays = np.zeros((3, 4)), np.zeros((3, 4), np.int64)
    weights[:, 0], displays[:, 0] = [1, 0.6, 0.3], 50
    np.testing.assert_allclose(filled(weights, displays), np.tril(np.repeat(weights[:, :1], 4, axis=1)))


def test_in_a_cascade_nothing_is_looked_at_after_a_click() -> None:
    """The centre after a click is that of other cells after a click: near 0, where it used to be the 1 after none."""
    rng = np.random.default_rng(3)
    slate = rng.random((4000, ITEMS)).argsort(axis=1)[:, :LENGTH]
    drawn = rng.random(slate.shape) < np.linspace(0.05, 0.4, ITEMS)[slate]
    clicks = (drawn & (np.cumsum(drawn, axis=1) == 1)).astype(float)
    found = fit_counts(count_arrays(slate, clicks, ITEMS, False), "ubm")
    after = np.tri(LENGTH, LENGTH + 1, dtype=bool)
    after[:, 0] = False
    assert found.weights[after].max() < 0.01
    assert found.weights[:, 0].min() > 0.9


# A log in which every record has a click ------------------------------------------------------------------------------
def all_clicked(n: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Lists of three of five items, all clicked."""
    return (np.arange(n)[:, None] + np.arange(3)) % 5, np.ones((n, 3))


def test_what_nobody_saw_is_not_estimated_and_nothing_is_taken_for_removed(tmp_path: Path) -> None:
    """Used to print w(2, none) = 0.000, a perplexity of 1.2, and "10.5 % removed" where nothing was."""
    log = on_disk(tmp_path / "log", *all_clicked())
    result = CliRunner().invoke(click_model, [log.path, "--no-plots"])
    assert "position 2      -  1.00" in result.stdout
    assert "position 3      -     -  1.00" in result.stdout
    assert "removed" not in result.stdout
    assert "Fitted as a whole log" in result.stdout
    facts = json.loads(CliRunner().invoke(click_model, [log.path, "--no-plots", "--json"]).stdout)
    ubm_facts = facts["models"]["ubm"]
    assert [row[: k + 1] for k, row in enumerate(ubm_facts["weights"])][1:] == [
        [None, pytest.approx(1)],
        [None, None, pytest.approx(1)],
    ]
    for kind in ("marginal", "conditional"):
        assert max(ubm_facts["perplexity_held_out"][kind]) < 1.02
    found = fit_counts(count_arrays(*all_clicked(), 5), "ubm")
    assert np.isnan(found.weights).sum() == 3
    np.testing.assert_allclose(found.filled, np.tri(3, 4), rtol=1e-3)


def test_whether_records_were_removed_is_asked_said_or_tested(tmp_path: Path) -> None:
    slate, clicks = records(900)
    kept = clicks.any(axis=1)
    part = slate[kept], clicks[kept]
    tested = settled(count_arrays(*part, ITEMS))
    assert tested.filtered and "with p = " in tested.why
    assert len(tested.slates) == kept.sum()
    whole = settled(count_arrays(*all_clicked(), 5))
    assert whole.filtered is False and not len(whole.slates)
    said = settled(count(on_disk(tmp_path / "said", *part, filtered=False)))
    assert said.filtered is False and "provenance" in said.why
    assert settled(count(on_disk(tmp_path / "removed", *all_clicked(), filtered=True))).filtered
    asked = settled(count(on_disk(tmp_path / "asked", *part, filtered=False), filtered=True))
    assert asked.filtered and asked.why == "as asked"
    with pytest.raises(ConfigError, match=r"provenance in its log\.json says, clickless records were removed, but"):
        count(on_disk(tmp_path / "wrong", slate, clicks, filtered=True))
    assert settled(count_arrays(slate, clicks, ITEMS)).filtered is False


def test_tables_name_the_kind_of_perplexity(tmp_path: Path) -> None:
    log = on_disk(tmp_path / "log", *records(300))
    text = CliRunner().invoke(click_model, [log.path, "--no-plots"]).stdout
    heads = [line for line in text.splitlines() if "perplexity" in line]
    assert [head.split(",")[1].split(":")[0].strip() for head in heads] == ["marginal", "conditional"]
    none = CliRunner().invoke(click_model, [log.path, "--no-plots", "--no-held-out", "--smoothing", "0"])
    assert none.exit_code == 0 and "perplexity" not in none.stdout


@pytest.mark.parametrize("model", [pbm([1.0, 0.5]), ubm([[1, 0, 0], [0.5, 0.9, 0]]), cascade(2), dcm([0.5, 0.5])])
def test_filled_leaves_what_was_seen_often_alone(model: object) -> None:
    weights = model.weights  # type: ignore[attr-defined]
    many = np.tri(2, 3, dtype=np.int64) * 10**9
    np.testing.assert_allclose(filled(weights, many), weights, rtol=1e-6)
