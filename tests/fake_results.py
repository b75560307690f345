"""Made-up results of any size for the tests of what is shown: no policy is run and no log is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

TOPS = range(10, 101, 10)
LIKES = 0.033  # density of the made-up log
POLICIES: dict[str, tuple[str, dict[str, Any], str, float]] = {  # label: name, params, feedback, strength
    "random": ("random", {}, "bandit", 0.0),
    "popular": ("popular", {}, "bandit", 0.45),
    "egreedy epsilon=0.1": ("egreedy", {"epsilon": 0.1}, "bandit", 0.42),
    "ucb1": ("ucb1", {}, "bandit", 0.10),
    "thompson": ("thompson", {}, "bandit", 0.38),
    "exp3": ("exp3", {}, "bandit", 0.05),
    "linucb alpha=0.1": ("linucb", {"alpha": 0.1}, "bandit", 0.66),
    "linucb alpha=0.3": ("linucb", {"alpha": 0.3}, "bandit", 0.68),
    "linucb alpha=1.0": ("linucb", {"alpha": 1.0}, "bandit", 0.50),
    "linucb-shared": ("linucb-shared", {}, "bandit", 0.55),
    "hybrid": ("hybrid", {}, "bandit", 0.70),
    "lints": ("lints", {}, "bandit", 0.60),
    "softmax": ("softmax", {}, "bandit", 0.30),
}


def curve(rng: np.random.Generator, strength: float, rounds: np.ndarray, metrics: set[str]) -> dict[str, np.ndarray]:
    """Curves (len(rounds),) of one contender and seed: a learner whose click rate grows from LIKES."""
    total = int(rounds[-1])
    step = np.arange(total)
    clicks = rng.random(total) < LIKES * (1 + 6 * strength * (1 - np.exp(-step / (0.3 * total))))
    regret = np.cumsum(0.25 - clicks * 0.2)
    at = rounds - 1
    rate = (np.cumsum(clicks) / (step + 1))[at]
    shown = 1 - np.exp(-rounds * (1.2 - strength) / 120)
    found = {
        "ctr": rate,
        "ctr_sum": rate,
        "ctr_set": rate,
        "misses": 1 - rate,
        "regret": regret[at],
        "regret_published": 1 - rate * 0.9,
        "coverage": rate * rounds / (total * 6.6),
        "diversity": shown,
        "entropy": 0.4 + 0.5 * shown,
        "gini": 0.9 - 0.6 * shown,
    }
    noise = rng.normal(0, 0.01) + rng.normal(0, 0.05, len(rounds)) / np.sqrt(1 + np.arange(len(rounds)))
    for top in TOPS:
        share = top / 100
        gain = strength * share * (1 - share) * 1.6
        found[f"hr@{top}"] = share + (gain + noise * (1 - share)) * (1 - np.exp(-rounds / 150))
        found[f"hr_published@{top}"] = np.minimum(1, found[f"hr@{top}"] + 0.4 * share * (1 - share))
    found["hr20_per_round"] = found["hr@20"] * 0.16
    found["hr20_per_round_published"] = found["hr_published@20"] * 0.16
    return {name: values for name, values in found.items() if name in metrics} if metrics else found


def make(
    folder: Path,
    policies: dict[str, tuple[str, dict[str, Any], str, float]] | None = None,
    seeds: int = 10,
    points: int = 200,
    rounds: int = 1000,
    variants: tuple[str, ...] = ("",),
    replicates: str = "shuffle",
    metrics: set[str] | None = None,
    leaderboard: str = "hr@20",
    baseline: str | None = "random",
    feedback: str | None = None,
    matched: float = 1.0,
    notes: tuple[str, ...] = (),
) -> Path:
    """Write curves.parquet, summary.parquet and run.json into `folder` and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    at = np.unique(np.linspace(rounds / points, rounds, points).round().astype(int))
    frames = []
    for variant in variants:
        for label, (name, params, regime, strength) in (policies or POLICIES).items():
            for seed in range(seeds):
                rng = np.random.default_rng([seed, *label.encode(), *variant.encode()])
                values = curve(rng, strength, at, metrics or set())
                if feedback == "replay":
                    values["matches"] = (at * matched).round()
                frame = pd.DataFrame({"round": at, **values}).melt("round", var_name="metric", value_name="value")
                fixed = {"variant": variant, "policy": label, "name": name, "params": json.dumps(params)}
                frames.append(frame.assign(**fixed, seed=seed, feedback=feedback or regime))
    curves = pd.concat(frames, ignore_index=True)
    curves.to_parquet(folder / "curves.parquet")
    curves[curves["round"] == rounds].drop(columns="round").to_parquet(folder / "summary.parquet")
    log = {"name": "completejourney", "rounds": rounds, "items": 200, "users": 1000, "C": 200, "digest": "0" * 64}
    log |= {"licence": "CC0 (stand-in)", "attribution": "Made up for tests, after the completejourney study"}
    log |= {"provenance": {"like_window_days": 7, "density": LIKES}}
    scenario = {"name": "active", "title": "Active customers", "description": "1,000 customers, 200 products."}
    scenario |= {"baseline": baseline, "leaderboard": leaderboard, "replicates": replicates}
    meta = {
        "scenario": scenario,
        "logs": [{"variant": variant, **log} for variant in variants],
        "seeds": list(range(seeds)),
        "versions": {"lersbench": "0.1.0", "numpy": "2.4"},
        "machine": {"cpu": "made up", "cores": 2},
        "seconds": {"compile": 3.2, "replay": 1.4},
        "rounds_per_second": 123456.0,
        "notes": list(notes),
    }
    (folder / "run.json").write_text(json.dumps(meta))
    return folder
