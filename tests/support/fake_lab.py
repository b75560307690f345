"""Made-up results of an experiment on context models: no network is trained."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd


def make(folder: Path, accuracy: float = 0.9, seeds: int = 4) -> Path:
    """Write curves.parquet and run.json of the cells GRU and RNN into `folder` and return it."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seeds)
    means = {"GRU": accuracy, "RNN": 0.85}
    rows = [
        {"label": label, "work": "streamer", "seed": seed, "epoch": epoch, "metric": metric, "value": level * factor}
        for label, mean in means.items()
        for seed in range(seeds)
        for epoch, level in ((1, 0.5 * mean), (2, mean + rng.normal(0, 0.002)))
        for metric, factor in (("test_accuracy", 1.0), ("train_accuracy", 1.0), ("test_loss", 0.3), ("train_loss", 0.3))
    ]
    pd.DataFrame(rows).to_parquet(folder / "curves.parquet", index=False)
    params = {"length": 5, "bidirectional": False, "bayesian": False, "task": "streamer", "customers": "own"}
    settings = {label: {**params, "cell": label.lower()} for label in means}
    experiment = {"name": "toy-cells", "title": "Cells of a toy", "experiment": "cells", "description": "Two cells."}
    meta = {
        "experiment": {**experiment, "training": {"split": 0.67, "epochs": 2}},
        "settings": settings,
        "data": {"name": "toy", "customers": 90, "digest": "0" * 20, "licence": "CC0; free", "attribution": "Us."},
        "rules": {
            "by_setting": {label: {"most common": 0.4} for label in means},
            "customers": dict.fromkeys(means, 90),
        },
        "seeds": list(range(seeds)),
        "versions": {"torch": "2.4"},
        "machine": {"cores": 2},
        "jobs": {},
        "seconds": {"work": 1.0},
        "notes": [],
    }
    (folder / "run.json").write_text(json.dumps(meta))
    return folder
