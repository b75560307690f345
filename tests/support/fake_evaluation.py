"""A made-up off-policy evaluation: no log is read."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lersbench.results.evaluation import LOGGER, Evaluation


def make(folder: Path, value: float = 0.2, clip: str = "none") -> Path:
    """Write an evaluation of two fixed policies, one worth `value`, into `folder` and return it."""
    worth = {"fixed": value, "random": 0.1}
    common = {"feedback": "off-policy", "estimator": "dr", "place": 0, "verdict": "believe", "reason": "", "se": 0.01}
    ends = {policy: {"value": mean, "low": mean - 0.02, "high": mean + 0.02} for policy, mean in worth.items()}
    estimates = pd.DataFrame([{"policy": policy, **common, **ends[policy]} for policy in worth])
    less = [
        {"policy": policy, "other": LOGGER, "feedback": "off-policy", "value": mean - 0.15, "low": 0.01, "high": 0.09}
        for policy, mean in worth.items()
    ]
    about = {"log": "shop", "digest": "0" * 20, "n": 300, "users": 20, "positions": 1, "unit": "clicks", "notes": []}
    about |= {"logger": {"value": 0.15, "low": 0.13, "high": 0.17}, "settings": {"level": 0.95, "clip": clip}}
    about |= {"title": "Would another policy have done better?", "versions": {"lersbench": "0.1.0"}}
    Evaluation(about, estimates, pd.DataFrame(less)).at(folder).save()
    return folder
