"""Models of other packages for tests: files that policies read, made once a process where the packages are there.

All are fitted to the nine columns of `testing.worlds.make_world`: three of the context, two of items, four joint ones.
"""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

EXTRAS = {  # policy: the module it needs, and the extra of lersbench that brings it
    "lightgbm": ("lightgbm", "ltr"),
    "mabwiser": ("mabwiser", "mabwiser"),
    "river": ("river", "river"),
    "sklearn": ("sklearn", "sklearn"),
    "vw": ("vowpalwabbit", "vw"),
}
MISSING = [name for name, (module, _) in EXTRAS.items() if importlib.util.find_spec(module) is None]
WIDTH = 9
_folder = tempfile.TemporaryDirectory(prefix="lersbench-models-")
FOLDER = Path(_folder.name)


def sample(width: int = WIDTH, n: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (n, width), and clicks (n,) that follow the last column."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, width))
    return x, (x[:, -1] + 0.3 * rng.normal(size=n) > 0).astype(int)


def _lightgbm() -> dict[str, Any]:
    import lightgbm

    params = {"verbose": -1, "objective": "binary", "min_data_in_leaf": 2, "num_threads": 1}
    lightgbm.train(params, lightgbm.Dataset(*sample()), 5).save_model(FOLDER / "model.txt")
    return {"model": str(FOLDER / "model.txt")}


def _sklearn() -> dict[str, Any]:
    import joblib
    from sklearn.linear_model import SGDRegressor

    joblib.dump(SGDRegressor(), FOLDER / "model.joblib")
    return {"model": str(FOLDER / "model.joblib"), "trust": True, "learn": "partial_fit", "explore": "epsilon"}


# The columns are named, so that a policy declares that it needs them, and is played on no log without.
ALL = {"inputs": "context+items+features"}
PARAMS: dict[str, dict[str, Any]] = {
    name: {**made(), **ALL} for name, made in (("lightgbm", _lightgbm), ("sklearn", _sklearn)) if name not in MISSING
}
