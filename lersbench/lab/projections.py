"""Codes in two dimensions: principal components (by NumPy), t-SNE (scikit-learn), UMAP (umap-learn)."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Sequence

import numpy as np

from lersbench.datasets.reduce import signed
from lersbench.errors import ConfigError
from lersbench.results.lab import METHODS as TITLES

MODULES = {"tsne": "sklearn", "umap": "umap"}  # what a method is imported from, by name and only where it is drawn:
# UMAP compiles for seconds, and an import statement would make `sources.closure` look into it
PACKAGES = {"sklearn": "scikit-learn", "umap": "umap-learn"}
PERPLEXITY = 30.0  # of t-SNE (van der Maaten and Hinton 2008, JMLR 9), the default of scikit-learn
NEIGHBOURS = 15  # of UMAP (McInnes, Healy and Melville 2018, arXiv 1802.03426), the default of umap-learn


def missing(method: str) -> str:
    """Why `method` cannot be had, and the fix; "" where it can."""
    module = MODULES.get(method)
    if module is None or importlib.util.find_spec(module) is not None:
        return ""
    return f"{TITLES[method]} needs {PACKAGES[module]}, which is not installed: pip install 'lersbench[pictures]'"


def project(method: str, x: np.ndarray, seed: int = 0) -> np.ndarray:
    """The rows of `x` (n, width) as points (n, 2). `method`: "pca", "tsne" or "umap".

    Raises ConfigError for another method, or one whose package is not installed.
    """
    if method not in TITLES:
        raise ConfigError(f"There is no projection '{method}', only {', '.join(TITLES)}.")
    if why := missing(method):
        raise ConfigError(f"{why}.")
    x = np.asarray(x, np.float64)
    if x.shape[1] == 1:  # a code of one number is drawn along a line
        return np.column_stack([x[:, 0], np.zeros(len(x))])
    return {"pca": _pca, "tsne": _tsne, "umap": _umap}[method](x, seed)


def explained(x: np.ndarray, most: int = 3) -> np.ndarray:
    """Shares of the variance of `x` (n, width) that the first 1, 2, ... `most` principal components explain together.

    All 0 where x does not vary; beyond its width a share stays 1.
    """
    power = np.linalg.svd(x - x.mean(0), compute_uv=False) ** 2
    power = np.pad(power, (0, max(0, most - len(power))))
    return np.cumsum(power)[:most] / (power.sum() or 1.0)


def linear_errors(x: np.ndarray, sizes: Sequence[int], train: np.ndarray, test: np.ndarray) -> list[float]:
    """Mean squared errors of the rows `test` of `x` (n, width) reconstructed from their first principal components,
    a number for each of the `sizes`. The components, and the mean that size 0 gives, are of the rows `train`: a linear
    code fitted to the same data as an autoencoder."""
    mean = x[train].mean(0)
    _, _, components = np.linalg.svd(x[train] - mean, full_matrices=False)
    centred = x[test] - mean
    residuals = [centred - centred @ components[:size].T @ components[:size] for size in sizes]
    return [float((residual**2).mean()) for residual in residuals]


def _pca(x: np.ndarray, seed: int) -> np.ndarray:
    """Scores on the first two components, their signs fixed by `signed`."""
    centred = x - x.mean(0)
    _, _, components = np.linalg.svd(centred, full_matrices=False)
    return centred @ signed(components[:2].T)


def _tsne(x: np.ndarray, seed: int) -> np.ndarray:
    manifold = importlib.import_module("sklearn.manifold")
    perplexity = min(PERPLEXITY, (len(x) - 1) / 3)
    return manifold.TSNE(2, perplexity=perplexity, init="pca", random_state=seed, n_jobs=1).fit_transform(x)


def _umap(x: np.ndarray, seed: int) -> np.ndarray:
    with warnings.catch_warnings():  # it warns of TensorFlow, which it could use for a method that is not ours
        warnings.filterwarnings("ignore", "Tensorflow not installed", ImportWarning)
        umap = importlib.import_module("umap")
        return umap.UMAP(n_neighbors=min(NEIGHBOURS, len(x) - 1), random_state=seed, n_jobs=1).fit_transform(x)
