"""Product texts to vectors: TF-IDF and a truncated singular value decomposition, or a sentence model on this disk.

**svd.** A product's terms are the words of its text columns and the pairs of neighbours (a Chinese or Japanese
character counts as a word, since nothing separates words there). A term that a text has f times weighs (1 + log f) x
(1 + log((1 + n) / (1 + n_term))) where n_term of n texts have it; a text's weights have length 1. The texts are then
projected on their leading right singular vectors (latent semantic analysis: Deerwester et al. 1990), found by a
block Lanczos method with full reorthogonalisation (Golub and Underwood 1977), which goes on until they are converged:
the same on every processor up to rounding, 1e-6 at most unless two singular values are as good as equal.

**sentence.** The vectors of a sentence model, projected in the same way.

Vocabulary, weights and singular vectors come from the products known before the cut; products that came later are
described in their terms. Products of one and the same text count once. All vectors have length 1, or 0 where a
product has no text or none of the terms.
"""

from __future__ import annotations

import importlib.util
import re
from array import array
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lersbench.datasets.options import TextModel
from lersbench.datasets.reduce import signed
from lersbench.errors import ConfigError
from lersbench.kernels.jit import kernel
from lersbench.log.ragged import edges_of

VOCABULARY = 4096  # terms at most: those of most texts
OVERSAMPLING = 10  # columns of a block beyond those that are wanted
CONVERGED = 1e-9  # residual of an eigenvector, in largest eigenvalues
BLOCKS = 4  # between two looks at the residual
SEED = 0
NO_SPACES = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"  # kana and Han characters
WORD = re.compile(rf"[{NO_SPACES}]|[^\W_{NO_SPACES}]+")


class TextVectors(NamedTuple):
    """Vectors of products, and how they were made."""

    values: np.ndarray  # (n_products, w) float64
    facts: dict[str, Any]


class Sparse(NamedTuple):
    """A matrix by rows: row i has `weights[start[i]:start[i + 1]]` in the `columns` of the same places."""

    start: np.ndarray  # (n + 1,) int64
    columns: np.ndarray  # (nonzero,) int64
    weights: np.ndarray  # (nonzero,) float64
    width: int


def text_vectors(
    catalogue: pd.DataFrame, fit: np.ndarray, width: int, model: TextModel = "svd", path: str | None = None
) -> TextVectors:
    """Vectors of length 1 of all products, (n, w) with w = `width`, or the rank of the known texts where that is less.

    Args:
        catalogue: one row a product; its text columns are read.
        fit: (n,) bool, the products that are known before the cut.
        model: "svd" or "sentence".
        path: folder of a sentence model (model2vec, sentence-transformers); None: the one the package wordllama brings.

    Raises ConfigError where the model cannot be had.
    """
    if model == "svd" and path is not None:
        raise ConfigError(f"text_path = {path!r} is the folder of a sentence model: say text_model = 'sentence' too.")
    columns = text_columns(catalogue)
    code, distinct = pd.factorize(_joined(catalogue[columns]), sort=True)  # an order no later product changes
    known = np.zeros(len(distinct), bool)
    known[code[fit]] = True
    known &= distinct.to_numpy() != ""
    facts: dict[str, Any] = {"model": model, "columns": columns, "texts": int(known.sum()), "width": 0}
    if not known.any():
        return TextVectors(np.zeros((len(catalogue), 0)), facts)
    if model == "svd":
        matrix = tf_idf(list(distinct), known)
        components, share = leading_components(_rows(matrix, known), width)
        values = times(matrix, components)
        facts["terms"] = matrix.width
    else:
        embedded, facts["sentence_model"] = sentence_vectors(list(distinct), path)
        embedded[distinct.to_numpy() == ""] = 0
        components, share = _leading_eigenvectors(embedded[known].T @ embedded[known], width)
        values = embedded @ components
    length = np.linalg.norm(values, axis=1, keepdims=True)
    values = values / np.where(length > 1e-12, length, 1)
    return TextVectors(values[code], {**facts, "width": values.shape[1], "variance_kept": round(share, 4)})


def text_columns(catalogue: pd.DataFrame) -> list[str]:
    """The columns that hold text: name, category, brand, and whatever else is neither number nor time."""
    return [str(name) for name in catalogue.columns if _is_text(catalogue[name])]


def _is_text(column: pd.Series) -> bool:
    return isinstance(column.dtype, pd.CategoricalDtype) or pd.api.types.is_string_dtype(column.dropna())


def _joined(columns: pd.DataFrame) -> pd.Index:
    """The text of every row, a line for every column that says something."""
    text = pd.Series("", index=columns.index, dtype="object")
    for name in columns:
        said = columns[name].astype("string").fillna("").str.replace("\n", " ").astype("object")
        text = text + np.where((text != "") & (said != ""), "\n", "") + said
    return pd.Index(text)


def terms(text: str) -> Iterator[str]:
    """The words of a text in small letters, and the pairs of neighbours on a line."""
    for line in text.casefold().split("\n"):
        words = WORD.findall(line)
        yield from words
        yield from map(" ".join, pairwise(words))


def tf_idf(texts: list[str], known: np.ndarray) -> Sparse:
    """The weights of the terms in all texts, rows of length 1; vocabulary and document counts are of the known ones.

    Columns stand in order of decreasing document count, terms of equal count in alphabetical order.
    """
    number: dict[str, int] = {}
    said, lengths = array("q"), np.zeros(len(texts), np.int64)
    for i, text in enumerate(texts):
        before = len(said)
        said.extend(number.setdefault(term, len(number)) for term in terms(text))
        lengths[i] = len(said) - before
    place = np.repeat(np.arange(len(texts)), lengths) * max(len(number), 1) + np.frombuffer(said, np.int64)
    place, frequency = np.unique(place, return_counts=True)
    row, term = np.divmod(place, max(len(number), 1))
    documents = np.bincount(term[known[row]], minlength=len(number))
    names = np.array(list(number), dtype=object)
    alphabetical = np.argsort(names)
    ranked = alphabetical[np.argsort(-documents[alphabetical], kind="stable")]
    ranked = ranked[: min(VOCABULARY, int((documents > 0).sum()))]
    column = np.full(len(number), -1)
    column[ranked] = np.arange(len(ranked))
    inside = np.flatnonzero(column[term] >= 0)
    inside = inside[np.lexsort((column[term[inside]], row[inside]))]  # sums must not know the numbers of later terms
    row, term, frequency = row[inside], term[inside], frequency[inside]
    weights = (1 + np.log(frequency)) * (1 + np.log((1 + known.sum()) / (1 + documents[term])))
    start = np.searchsorted(row, np.arange(len(texts) + 1))
    weights /= np.sqrt(np.bincount(row, weights**2, len(texts)))[row]
    return Sparse(start, column[term], weights, len(ranked))


def leading_components(matrix: Sparse, width: int) -> tuple[np.ndarray, float]:
    """The leading right singular vectors of `matrix`, (columns, at most width), and the share of its squares they hold.

    The sign of each is fixed (see `reduce.signed`).
    """
    width = min(width, len(matrix.start) - 1, matrix.width)
    block = np.random.default_rng(SEED).standard_normal((matrix.width, min(width + OVERSAMPLING, matrix.width)))
    basis = images = np.zeros((matrix.width, 0))
    while True:
        for _ in range(BLOCKS):
            new = _orthogonal(block, basis)
            block = transposed_times(matrix, times(matrix, new))
            basis, images = np.hstack([basis, new]), np.hstack([images, block])
        values, within = np.linalg.eigh(basis.T @ images)
        values, within = values[::-1][:width], within[:, ::-1][:, :width]
        vectors = basis @ within
        residual = np.linalg.norm(images @ within - vectors * values, axis=0).max()
        if not new.shape[1] or residual <= CONVERGED * values[0]:
            break
    live = values > 1e-10 * values[0]
    return signed(vectors[:, live]), float(values[live].sum() / (matrix.weights**2).sum())


def _orthogonal(block: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """An orthonormal basis of what `block` (q, b) adds to the columns of `basis` (q, k), which are orthonormal; of none
    where it adds nothing."""
    least = 1e-12 * np.linalg.norm(block, axis=0).max(initial=0.0)
    for _ in range(2):  # twice is enough (Kahan and Parlett)
        block = block - basis @ (basis.T @ block)
        left, strength, _ = np.linalg.svd(block, full_matrices=False)
        block, least = left[:, strength > least], 0.5
    return block


def _leading_eigenvectors(square: np.ndarray, width: int) -> tuple[np.ndarray, float]:
    """Of X'X, the eigenvectors of the largest eigenvalues that are not 0, and the share of the trace they hold."""
    values, vectors = np.linalg.eigh(square)
    values, vectors = values[::-1][:width], vectors[:, ::-1][:, :width]
    live = values > 1e-10 * values[0]
    return signed(vectors[:, live]), float(values[live].sum() / np.trace(square))


def _rows(matrix: Sparse, taken: np.ndarray) -> Sparse:
    """The rows of a matrix where `taken` (n,) bool."""
    lengths = np.diff(matrix.start)
    inside = np.repeat(taken, lengths)
    start = edges_of(lengths[taken])
    return Sparse(start, matrix.columns[inside], matrix.weights[inside], matrix.width)


def times(matrix: Sparse, dense: np.ndarray) -> np.ndarray:
    """(n, k): `matrix` times `dense` (width, k)."""
    out = np.zeros((len(matrix.start) - 1, dense.shape[1]))
    _times(matrix.start, matrix.columns, matrix.weights, np.ascontiguousarray(dense), out)
    return out


def transposed_times(matrix: Sparse, dense: np.ndarray) -> np.ndarray:
    """(width, k): the transpose of `matrix` times `dense` (n, k)."""
    out = np.zeros((matrix.width, dense.shape[1]))
    _transposed_times(matrix.start, matrix.columns, matrix.weights, np.ascontiguousarray(dense), out)
    return out


@kernel
def _times(start, columns, weights, dense, out):
    for i in range(out.shape[0]):
        for place in range(start[i], start[i + 1]):
            for k in range(out.shape[1]):
                out[i, k] += weights[place] * dense[columns[place], k]


@kernel
def _transposed_times(start, columns, weights, dense, out):
    for i in range(dense.shape[0]):
        for place in range(start[i], start[i + 1]):
            for k in range(out.shape[1]):
                out[columns[place], k] += weights[place] * dense[i, k]


def sentence_vectors(texts: list[str], path: str | None) -> tuple[np.ndarray, str]:
    """(n, q) float64 of a sentence model, and what it is called; nothing is downloaded.

    A folder with a `modules.json` is read by sentence-transformers, any other by model2vec.
    """
    texts = [text.replace("\n", ", ") for text in texts]
    if path is None:
        _need("wordllama", "text_model = 'sentence'", "or give text_path, the folder of a sentence model")
        import wordllama

        # The wheel has all its files; named as its cache, its folder is searched for the tokenizer as well.
        bundled = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
        return np.asarray(bundled.embed(texts), dtype=float), "wordllama l2_supercat 256"
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise ConfigError(f"text_path = {path!r} is no folder; give the one a sentence model was saved to.")
    if (folder / "modules.json").is_file():
        _need("sentence_transformers", f"text_path = {path!r} (it has a modules.json)")
        from sentence_transformers import SentenceTransformer

        transformer = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        return np.asarray(transformer.encode(texts, show_progress_bar=False), dtype=float), folder.name
    _need("model2vec", f"text_path = {path!r} (it has no modules.json)")
    from model2vec import StaticModel

    if not (folder / "model.safetensors").is_file():
        raise ConfigError(f"text_path = {path!r} holds no model: neither modules.json nor model.safetensors is there.")
    return np.asarray(StaticModel.from_pretrained(folder).encode(texts), dtype=float), folder.name


def _need(package: str, what: str, otherwise: str = "") -> None:
    if importlib.util.find_spec(package) is None:
        name = package.replace("_", "-")
        hint = f", {otherwise}" if otherwise else ""
        raise ConfigError(
            f"{what} needs the package {name}, which is not installed: `pip install {name}`{hint}, "
            "or leave text_model at 'svd', which needs nothing."
        )
