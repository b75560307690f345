"""Columns out of scale: said before a run, standardised on request by rounds kept for fitting, never silently wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lersbench.bench import demands, replays, scenario, session
from lersbench.errors import ConfigError, RunError
from lersbench.log import Log, write
from lersbench.log.scales import standard, warning
from lersbench.log.scaling import Columns, Moments, standard_items
from tests.kernels.test_digits import Factor

ROUNDS, ITEMS, FIT, ALPHA = 6000, 4, 1000, 0.3


def shop(path: Path, number: np.ndarray | None = None, rounds: int = ROUNDS) -> Log:
    """A uniformly random log of 4 items: clicks depend on two standard normal columns; the last numbers customers."""
    rng = np.random.default_rng(3)
    z = rng.normal(size=(rounds, 2))
    likes = np.array([[1, 0], [-1, 0], [0, 1], [0, -1.0]]) * 2
    item = rng.integers(0, ITEMS, rounds)
    click = rng.random(rounds) < 1 / (1 + np.exp(1 - (z @ likes.T)[np.arange(rounds), item]))
    drawn = rng.integers(10**8, 2 * 10**8, rounds)
    context = np.column_stack([np.ones(rounds), z, drawn if number is None else number])
    chunk = {
        "context": context,
        "slate": item[:, None],
        "clicks": click[:, None],
        "propensities": np.full((rounds, 1), 1 / ITEMS),
    }
    about = {"context": ["one", "z1", "z2", "number"]}
    return write(path, [chunk], name="shop", items=ITEMS, propensities="uniform", provenance=about)


def bench(log: Log, results: Path, policy: str = "linucb", said: list[str] | None = None, **told: Any) -> replays.Run:
    chosen = scenario.parse(
        {
            "name": "scale",
            "title": "Scale",
            "leaderboard": "ctr",
            "data": {"log": log.path},
            "replay": {"feedback": "replay", "seeds": 1, "replicates": "none", "ranking": False, **told},
            "policies": [{"name": "random"}, {"name": policy} | ({"alpha": ALPHA} if "linucb" in policy else {})],
        },
        "test",
    )
    return replays.bench(chosen, results, threads=1, say=(said if said is not None else []).append)


def ctr(run: replays.Run, policy: str) -> float:
    import pandas as pd

    summary = pd.read_parquet(run.folder / "summary.parquet")
    rows = summary[(summary.metric == "ctr") & summary.policy.str.startswith(policy)]
    return float(rows.value.iloc[0])


def twin_ctr(log: Log, context: np.ndarray) -> float:
    """The same replay by a QR factor an item, of the rounds that are not kept for fitting."""
    (chunk,) = log.read()
    factors, shown, clicks = [Factor(4) for _ in range(ITEMS)], 0, 0.0
    for t in range(FIT, ROUNDS):
        bounds = [factor.bound(context[t]) for factor in factors]
        if int(np.argmax(bounds)) == chunk.slate[t, 0]:
            shown, clicks = shown + 1, clicks + chunk.clicks[t, 0]
            factors[chunk.slate[t, 0]].add(context[t], chunk.clicks[t, 0])
    return clicks / shown


def test_customer_numbers_end_in_an_error_and_standardised_in_the_twins_value(tmp_path: Path) -> None:
    log, said = shop(tmp_path / "log"), []
    failed = bench(log, tmp_path / "raw", said=said).failures
    assert "linucb" in failed and "lost the digits" in failed and "of the log" in failed
    assert "context[3] (up to 2e+08)" in failed and '[replay] scale = "standard"' in failed
    assert any("context[3] 'number' reaches 2e+08" in line for line in said)

    said.clear()
    run = bench(log, tmp_path / "scaled", said=said, fit=FIT, scale="standard")
    assert not run.failures and not any("Warning" in line for line in said)
    (chunk,) = log.read()
    past = chunk.context[:FIT]
    spread = np.where(past.std(axis=0) > 0, past.std(axis=0), 1.0)
    context = np.where(past.std(axis=0) > 0, chunk.context - past.mean(axis=0), chunk.context) / spread
    assert ctr(run, "linucb") == pytest.approx(twin_ctr(log, context), abs=0.02)
    assert ctr(run, "linucb") > ctr(run, "random") + 0.2


def test_scales_come_from_the_rounds_kept_for_fitting_alone(tmp_path: Path) -> None:
    number = np.random.default_rng(1).random(ROUNDS) * 50 + 100
    log = shop(tmp_path / "log", number)
    scales = standard(log, FIT)
    (chunk,) = log.read()
    assert scales.context.center == pytest.approx([0.0, *chunk.context[:FIT, 1:].mean(axis=0)])
    assert scales.context.spread == pytest.approx([1.0, *chunk.context[:FIT, 1:].std(axis=0)])  # a constant stays
    number[FIT:] *= 1000
    other = standard(shop(tmp_path / "other", number), FIT)
    assert all(np.array_equal(a, b) for a, b in zip(scales.context, other.context, strict=True))


def test_moments_do_not_depend_on_blocks_and_bear_an_offset() -> None:
    x = np.random.default_rng(0).normal(size=(1000, 3)) * [1, 1e-3, 5] + [1e9, 3, 0]
    whole, parts = Moments(), Moments()
    whole.add(x)
    for part in np.array_split(x, 7):
        parts.add(part)
    assert whole.columns().spread == pytest.approx(x.std(axis=0), rel=1e-6)
    for ours, theirs in zip(whole.columns(), parts.columns(), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-9)
    assert np.abs(whole.columns().apply(x).mean(axis=0)).max() < 1e-6
    nothing = Columns(np.zeros(0), np.ones(0))
    assert nothing.apply(x) is x
    assert standard_items(np.array([[1.0, 7.0], [3.0, 7.0]])).tolist() == [[-1.0, 7.0], [1.0, 7.0]]


def test_a_streamed_run_is_the_run_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = shop(tmp_path / "log")
    told: dict[str, Any] = {"fit": FIT, "scale": "standard"}
    streamed = bench(log, tmp_path / "streamed", **told)
    monkeypatch.setattr(session, "WAVE", 0)
    kept = bench(log, tmp_path / "kept", **told)
    assert ctr(streamed, "linucb") == ctr(kept, "linucb")


def test_the_scale_is_part_of_the_key_and_needs_rounds_to_fit_on(tmp_path: Path) -> None:
    log = shop(tmp_path / "log", np.random.default_rng(1).random(ROUNDS))
    assert bench(log, tmp_path, fit=FIT).played == 2
    assert bench(log, tmp_path, fit=FIT, scale="standard").played == 2
    with pytest.raises(ConfigError, match=r"scale = 'standard' takes .* but fit = 0; set \[replay\] fit"):
        bench(log, tmp_path, scale="standard")
    with pytest.raises(ConfigError, match=r"no scale 'standart', only none, standard; did you mean 'standard'"):
        bench(log, tmp_path, fit=FIT, scale="standart")


def test_columns_of_unlike_size_are_told_apart_by_name(tmp_path: Path) -> None:
    none = np.zeros((0, 0))
    assert warning(shop(tmp_path / "a", np.random.default_rng(1).random(500) + 1, 500), none) == ""
    small = warning(shop(tmp_path / "b", np.random.default_rng(1).random(500) * 1e-7, 500), none)
    assert "and context[3] 'number' only 9.9" in small and "one ridge cannot suit both" in small
    assert "item feature[0] reaches 5e+07" in warning(shop(tmp_path / "c", np.ones(500), 500), np.array([[5e7]]))


def test_rewards_without_lists_can_be_scaled_but_not_click_modelled(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    chunk = {"context": rng.normal(size=(400, 2)) * [1, 1e9], "rewards": (rng.random((400, 3)) < 0.3).astype(float)}
    log = write(tmp_path / "log", [chunk], name="plain", items=3)
    run = bench(log, tmp_path / "run", feedback="bandit", fit=100, scale="standard")
    assert not run.failures
    with pytest.raises(ConfigError, match="for a click model"):
        bench(log, tmp_path / "run", feedback="bandit", fit=100)
    with pytest.raises(ConfigError, match="needs weights"):
        bench(log, tmp_path / "run", policy="pbm-ucb", feedback="bandit", fit=100, scale="standard")


def test_a_spike_is_named_with_its_round(tmp_path: Path) -> None:
    number = np.random.default_rng(1).random(ROUNDS)
    number[3000:3050] = 1e10
    with pytest.raises(RunError, match=r"in round 30\d\d of the log.*context\[3\] \(up to 1e\+10\)"):
        run = bench(shop(tmp_path / "log", number), tmp_path / "run")
        raise RunError(run.failures)


def test_a_warm_start_is_refused_where_contexts_are_scaled(tmp_path: Path) -> None:
    """Its contexts of the past are those of the log, another scale than the ones it would meet."""
    rng = np.random.default_rng(0)
    chunk = {"context": rng.normal(size=(400, 2)), "rewards": (rng.random((400, 3)) < 0.3).astype(float)}
    log = write(tmp_path / "log", [chunk], name="plain", items=3)
    chosen = scenario.parse(
        {
            "name": "warm",
            "title": "Warm",
            "leaderboard": "misses",
            "data": {"log": log.path},
            "replay": {"feedback": "bandit", "seeds": 1, "fit": 100, "scale": "standard"},
            "policies": [{"name": "linucb", "warm": 5.0}],
        },
        "test",
    )
    case = scenario.cases(chosen)[0]
    with pytest.raises(ConfigError, match="starts from contexts of the past"):
        demands.check(chosen, log, case, session.spec_of(chosen, log, case), scenario.entries(chosen))
