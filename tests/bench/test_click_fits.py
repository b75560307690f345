"""Click models fitted before the replay: what policies and readers are told, and what policies make of it."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lersbench import growth, metrics
from lersbench.bench.click_fits import Fits
from lersbench.clicks import facts as click_facts
from lersbench.clicks import model as click_model
from lersbench.clicks.fit import count, fit
from lersbench.engine.contender import Contender
from lersbench.engine.rounds import Protocol
from lersbench.engine.rows import Rows, background_of, rows_of
from lersbench.log import Log, write
from lersbench.log.chunk import Chunk
from lersbench.policy import Policy, find, make, names
from lersbench.sources import closure
from tests.support.worlds import final, play, protocol, spec_of

LENGTH, ITEMS, SLATE = 6, 12, 3
SLOPED = 40_000  # rounds in which regret grows


def browsing() -> np.ndarray:
    """Weights (L, L + 1) of users who look less the further down and the longer ago their last click."""
    k, j = np.arange(LENGTH)[:, None], np.arange(LENGTH + 1)
    return np.tril(0.9**k * np.where(j > 0, 0.95 ** (k - j + 1), 0.8))


def linear_world(n: int, seed: int = 0) -> Chunk:
    """Lists in random order whose attraction is linear in four features, one of them a constant; clicks of a UBM."""
    rng = np.random.default_rng(seed)
    features = np.concatenate([np.ones((n, LENGTH, 1)), rng.random((n, LENGTH, 3))], axis=2)
    attraction = features @ np.array([0.05, 0.5, 0.25, -0.05])
    items = rng.random((n, ITEMS)).argsort(axis=1)[:, :LENGTH]
    slate = np.tile(np.arange(LENGTH), (n, 1))
    clicks, examined, last = np.zeros((n, LENGTH)), np.zeros((n, LENGTH)), np.zeros(n, np.int64)
    for k in range(LENGTH):
        examined[:, k] = rng.random(n) < browsing()[k, last]
        clicks[:, k] = examined[:, k] * (rng.random(n) < attraction[:, k])
        last = np.where(clicks[:, k] > 0, k + 1, last)
    none, rewards = np.zeros((0, 0)), np.zeros((0, LENGTH))
    return Chunk(
        0, np.full(n, -1), np.zeros((n, 0)), items, features, rewards, rewards, slate, clicks, none, examined,
        attraction, rewards,
    )  # fmt: skip


def on_disk(folder: Path, chunk: Chunk) -> Log:
    columns = {"candidates": chunk.candidates, "slate": chunk.candidates, "clicks": chunk.clicks}
    columns |= {"features": chunk.features, "examined": chunk.examined, "attraction": chunk.attraction}
    return write(
        folder, [columns], name="shop", items=ITEMS, click_model=click_model.content_of(click_model.ubm(browsing()))
    )


# What is told ---------------------------------------------------------------------------------------------------------
def test_the_facts_are_those_of_the_rounds_before_the_replay(tmp_path: Path) -> None:
    log = on_disk(tmp_path / "log", linear_world(3000))
    found = Fits(log, 2000, 10.0)
    told = json.loads(json.dumps(found.facts, allow_nan=False))["click_models"]
    own = [fit(log, name, 0, 2000) for name in ("pbm", "ubm")]
    assert told == json.loads(json.dumps(click_facts.summary(log.info, count(log, 0, 2000), own)))
    assert told["records"] == 2000
    assert told["models"]["ubm"]["weights"] == own[1].weights.tolist() == found.background.examination_after.tolist()
    assert found.background.examination.tolist() == own[0].weights.tolist()
    np.testing.assert_allclose(told["true_weights"], browsing() / browsing()[0, 0])
    rows = linear_world(3000)
    assert told["unexamined"]["all"] == pytest.approx(1 - rows.examined[:2000].mean())
    last = (rows.clicks[:2000] * np.arange(1, LENGTH + 1)).max(axis=1)
    assert told["mean_last_click"] == pytest.approx(last[last > 0].mean())
    assert told["pseudo_exposed"] == pytest.approx(1 - told["mean_last_click"] / LENGTH)


def test_without_rounds_to_fit_on_only_the_world_is_known(tmp_path: Path) -> None:
    found = Fits(on_disk(tmp_path / "log", linear_world(50)), 0, 10.0)
    assert found.facts == {}
    assert not found.background.examination.size
    np.testing.assert_allclose(found.background.model.weights, browsing())


# What policies make of it ---------------------------------------------------------------------------------------------
def played(policy: Policy, rows: Rows, told: Protocol, seed: int = 0) -> Contender:
    """The policy, told the true weights of the position-based and the user browsing model, past all rows."""
    n, after = rows.user.shape[0], browsing() / browsing()[0, 0]
    spec = dataclasses.replace(spec_of(rows, told.slate), examination=after[:, 0], examination_after=after)
    checkpoints = np.unique(np.linspace(n / 100, n, 100).astype(np.int64))
    return play(Contender(policy, spec, told, np.random.default_rng(seed), checkpoints), rows)


@pytest.fixture(scope="module")
def simulated() -> Rows:
    known = background_of(np.zeros((ITEMS, 0)), ITEMS)._replace(model=click_model.ubm(browsing()))
    return rows_of(linear_world(SLOPED), known, "simulated", SLATE)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("random", 0.95, 1.05),
        ("iba-linucb", 0.0, 0.6),
        pytest.param("iba-linucb-sw", 0.0, 0.6, marks=pytest.mark.sibling),
        pytest.param("ubm-linucb", 0.0, 0.6, marks=pytest.mark.sibling),
    ],
)
def test_regret_grows_slower_than_the_rounds_where_attraction_is_linear(
    simulated: Rows, name: str, low: float, high: float
) -> None:
    told = protocol(slate=SLATE)._replace(simulated=True, truth=True, regret=False, draws=7)
    meter = played(make(find(name), {} if name == "random" else {"alpha": 0.1}), simulated, told).meter
    regret = meter.curve[:, metrics.NAMES.index("regret")]
    (found,) = growth.slope(meter.checkpoints, regret[:, None])
    assert low <= found <= high
    assert math.isfinite(found) and regret[-1] > 0


# All items shown ------------------------------------------------------------------------------------------------------
def compiled_policies() -> list[str]:
    """Every policy of the package, but those of networks or other packages, and those that want a past or table."""
    found = []
    for name in names():
        policy = find(name)
        if policy.__module__.startswith("lersbench.policies."):
            files = {path.stem for path in closure(policy.__module__)}
            if not files & {"one_hidden", "adapter", "scores", "_packages"} and "past" not in policy.needs:
                found.append(name)
    return found


def all_shown(policies: list[str], n: int = 60) -> dict[str, list[float]]:
    """CTR_sum and CTR_set of each policy with all items of every list shown; of "the log" those of its clicks."""
    chunk = linear_world(n, seed=3)
    chunk = chunk._replace(context=chunk.features[:, 0, :3].copy(), user=np.arange(n) % 40)
    rows = rows_of(chunk, background_of(np.zeros((ITEMS, 0)), ITEMS), "logged", LENGTH)
    told = protocol("logged", slate=LENGTH)._replace(regret=False)
    found = {"the log": [float(chunk.clicks.sum() / n), float(chunk.clicks.any(axis=1).mean())]}
    for name in policies:
        run = played(make(find(name), {}), rows, told)
        found[name] = [final(run, "ctr_sum"), final(run, "ctr_set")]
    return found


def test_with_all_items_shown_all_policies_of_the_package_tie_exactly() -> None:
    """Under `logged` an item's reward is its logged click wherever it stands, so showing all earns all clicks.

    In plain Python: to compile every policy takes minutes.
    """
    own = compiled_policies()
    assert {"ltr", "random", "linucb", "rba-exp3", "pbm-pie", "iba-hybrid-sw", "ubm-linucb", "c2ucb"} <= set(own)
    code = f"import json; from tests.bench.test_click_fits import all_shown; print(json.dumps(all_shown({own})))"
    plain = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", code], cwd=root, env=plain, capture_output=True, text=True, check=True)
    found = json.loads(run.stdout)
    assert found == dict.fromkeys(["the log", *own], found["the log"])
