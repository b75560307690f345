"""The logging policies: a learned ranker, its Plackett-Luce softening, and chance.

The ranker learns from simulated earlier days, on which lists came in the order of popularity plus noise, and from the
clicks alone, as a shop would: it knows no truth, and what stood on top then got more clicks. LightGBM's lambdarank
(Burges 2010; the extra `ltr`) or, without it, least squares within each list. Both score the features as they are.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from lersbench.errors import ConfigError
from lersbench.offpolicy.propensity import placements

RANDOMISED = 0.25  # sd of the noise on the popularity (from 0 to 1) by which the earlier days were ranked
RIDGE = 1.0
TREES, LEAVES, RATE = 60, 15, 0.1
THREADS = 1  # of LightGBM: on a busy machine more of them only wait for each other


class Days(NamedTuple):
    """Lists of earlier days and what became of them; L = C, for everything on offer is shown."""

    features: np.ndarray  # (n, C, m)
    clicks: np.ndarray  # (n, C) by candidate, not by position


class Ranker(NamedTuple):
    """`score(features (n, C, m)) -> (n, C)`, about 1 apart within a list; the higher the better."""

    name: str  # how it was made, with the version of the library
    score: Callable[[np.ndarray], np.ndarray]


def by_popularity(rng: np.random.Generator, popularity: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """The lists of the earlier days: (n, C) indices into `candidates` (n, C) items."""
    return descending(popularity[candidates] + RANDOMISED * rng.standard_normal(candidates.shape))


def descending(scores: np.ndarray) -> np.ndarray:
    """(n, C) indices, highest score first; ties in the order of the candidates."""
    return np.argsort(-scores, axis=1, kind="stable")


def train(days: Days, kind: str, seed: int) -> Ranker:
    """Learn a ranker; `kind` is "lightgbm", "linear", or "auto": LightGBM where it is installed.

    Its scores are divided by one number, their standard deviation within the lists of the earlier days, so a
    Plackett-Luce temperature means the same for every ranker. Raises ConfigError where LightGBM is asked for and not
    installed.
    """
    installed = importlib.util.find_spec("lightgbm") is not None
    if kind == "lightgbm" and not installed:
        raise ConfigError(
            "ranker = 'lightgbm' needs LightGBM, which is not installed: make install EXTRAS=ltr,neural,test,dev, or "
            "pip install 'lersbench[ltr]'; ranker = 'linear' does without."
        )
    ranker = _linear(days) if kind == "linear" or not installed else _lightgbm(days, seed)
    scores = ranker.score(days.features)
    spread = float(np.sqrt(scores.var(axis=1).mean()))
    return Ranker(ranker.name, lambda features: ranker.score(features) / (spread or 1.0))


def _linear(days: Days) -> Ranker:
    """Ridge regression of the clicks within a list on the features within it: only differences between items count."""
    m = days.features.shape[2]
    x = (days.features - days.features.mean(axis=1, keepdims=True)).reshape(-1, m)
    y = (days.clicks - days.clicks.mean(axis=1, keepdims=True)).reshape(-1)
    theta = np.linalg.solve(x.T @ x + RIDGE * np.eye(m), x.T @ y)
    return Ranker("linear least squares within lists", lambda features: features @ theta)


def _lightgbm(days: Days, seed: int) -> Ranker:
    lightgbm: Any = importlib.import_module("lightgbm")
    n, C, m = days.features.shape
    data = lightgbm.Dataset(days.features.reshape(-1, m), label=days.clicks.reshape(-1), group=np.full(n, C))
    options = {
        "objective": "lambdarank", "num_leaves": LEAVES, "learning_rate": RATE, "seed": seed, "num_threads": THREADS,
        "deterministic": True, "force_row_wise": True, "verbosity": -1,
    }  # fmt: skip
    booster = lightgbm.train(options, data, num_boost_round=TREES)

    def score(features: np.ndarray) -> np.ndarray:
        return booster.predict(features.reshape(-1, m), num_threads=THREADS).reshape(features.shape[:2])

    return Ranker(f"LightGBM {lightgbm.__version__} lambdarank, {TREES} trees of {LEAVES} leaves", score)


def plackett_luce(rng: np.random.Generator, scores: np.ndarray) -> np.ndarray:
    """Lists drawn with P(next = a) = exp(score a) / sum over those not yet shown: (n, C) indices.

    The order of scores + Gumbel noise has exactly this distribution (Yellott 1977).
    """
    return descending(scores + rng.gumbel(size=scores.shape))


def propensities(scores: np.ndarray, slate: np.ndarray) -> np.ndarray:
    """P(the item shown at k is at k) under `plackett_luce`, exactly: (n, L) for `slate` (n, L) indices."""
    placed = placements(scores)
    share = placed[np.arange(len(slate))[:, None], slate, np.arange(slate.shape[1])]
    return np.minimum(share, 1.0)  # rounding may go beyond
