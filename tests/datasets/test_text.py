"""Product texts to vectors: weights by hand, the decomposition against NumPy's, nothing learned from later products."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from math import log
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lersbench.datasets.purchases import text
from lersbench.datasets.purchases.text import leading_components, terms, text_vectors, tf_idf, times, transposed_times
from lersbench.errors import ConfigError

NOUNS = ["shirt", "skirt", "scarf", "coat", "hat", "milk", "bread", "honey", "butter", "tea"]
KINDS = ["red", "blue", "green", "linen", "cotton", "organic", "fresh", "winter", "summer", "soft"]


def catalogue(n: int = 120, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    noun, kind = rng.integers(10, size=n), rng.integers(10, size=(n, 2))
    names = [f"{KINDS[a]} {KINDS[b]} {NOUNS[c]}" for c, (a, b) in zip(noun, kind, strict=True)]
    group = pd.Categorical(np.where(noun < 5, "clothes", "food"))
    return pd.DataFrame({"name": names, "category": group, "price": rng.random(n), "day": pd.Timestamp("2021-01-01")})


def dense(matrix: text.Sparse) -> np.ndarray:
    return times(matrix, np.eye(matrix.width))


def test_terms_are_words_pairs_of_neighbours_and_single_characters_where_nothing_separates_words() -> None:
    assert list(terms("Red Shirt, XL!\nMen")) == ["red", "shirt", "xl", "red shirt", "shirt xl", "men"]
    assert list(terms("紅茶 A4")) == ["紅", "茶", "a4", "紅 茶", "茶 a4"]
    assert list(terms("")) == list(terms("--- _ \n")) == []


def test_tf_idf_is_the_formula_and_counts_known_texts_alone() -> None:
    texts = ["a a b", "b c", "c\nd a", "z a"]  # the last came later: z is no term, and a is in two known texts
    known = np.array([True, True, True, False])
    matrix = tf_idf(texts, known)
    counts = {t: sum(t in set(terms(x)) for x in texts[:3]) for x in texts[:3] for t in terms(x)}
    vocabulary = sorted(counts, key=lambda t: (-counts[t], t))
    assert vocabulary[:3] == ["a", "b", "c"] and matrix.width == len(vocabulary) == 8
    naive = np.zeros((4, 8))
    for i, x in enumerate(texts):
        for term, f in Counter(terms(x)).items():
            if term in vocabulary:
                naive[i, vocabulary.index(term)] = (1 + log(f)) * (1 + log((1 + 3) / (1 + counts[term])))
        naive[i] /= np.linalg.norm(naive[i])
    np.testing.assert_allclose(dense(matrix), naive)


def test_the_vocabulary_is_that_of_most_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "VOCABULARY", 2)
    matrix = tf_idf(["b", "b", "a", "a", "c"], np.ones(5, bool))
    np.testing.assert_allclose(dense(matrix), [[0, 1], [0, 1], [1, 0], [1, 0], [0, 0]])


def test_products_of_sparse_matrices_are_those_of_dense_ones() -> None:
    matrix = tf_idf(catalogue(50)["name"].tolist(), np.ones(50, bool))
    rng = np.random.default_rng(0)
    right, left = rng.standard_normal((matrix.width, 3)), rng.standard_normal((50, 4))
    np.testing.assert_allclose(times(matrix, right), dense(matrix) @ right)
    np.testing.assert_allclose(transposed_times(matrix, left), dense(matrix).T @ left)


def test_components_are_the_leading_right_singular_vectors_with_fixed_signs() -> None:
    """Also where the terms are many more than the columns of the random start, and the spectrum is flat."""
    few = [name.replace(" ", "\n") for name in catalogue(200)["name"]]
    many = [f"w{i} w{i + 1} w{(i * i) % 701} w{(i * 7) % 13}" for i in range(500)]
    for texts, width in ((few, 10), (catalogue(200)["name"].tolist(), 5), (many, 24)):
        matrix = tf_idf(texts, np.ones(len(texts), bool))
        _, strength, exact = np.linalg.svd(dense(matrix), full_matrices=False)
        found, share = leading_components(matrix, width)
        assert share == pytest.approx((strength[:width] ** 2).sum() / (strength**2).sum(), rel=1e-9)
        np.testing.assert_allclose(found.T @ found, np.eye(width), atol=1e-9)
        assert (found[np.abs(found).argmax(axis=0), range(width)] > 0).all()
        cosines = np.linalg.svd(exact[:width] @ found, compute_uv=False)
        np.testing.assert_allclose(cosines, 1, atol=1e-6)


def test_vectors_have_length_one_and_near_products_are_near() -> None:
    goods = catalogue()
    found = text_vectors(goods, np.ones(120, bool), 16)
    assert found.values.shape == (120, 16)
    assert found.facts["columns"] == ["name", "category"]
    assert found.facts["terms"] > 100 and 0 < found.facts["variance_kept"] < 1
    np.testing.assert_allclose(np.linalg.norm(found.values, axis=1), 1)
    near = found.values @ found.values.T
    same = goods["category"].to_numpy()[:, None] == goods["category"].to_numpy()
    assert near[same].mean() > 2 * near[~same].mean()


def test_later_products_change_no_vector_of_another() -> None:
    """Other texts, more texts, and texts that come first in any order: the vectors of the known stay what they are."""
    goods = catalogue()
    fit = np.arange(120) < 80
    one = text_vectors(goods, fit, 16)
    later = goods.copy()
    later.loc[~fit, "name"] = [f"aaa {goods['name'][i]} zebra{i}" for i in range(40)]
    more = pd.concat([later[~fit], goods[fit], catalogue(30, 5)], ignore_index=True)
    two = text_vectors(more, np.repeat([False, True, False], [40, 80, 30]), 16)
    np.testing.assert_allclose(two.values[40:120], one.values[fit], rtol=1e-9, atol=1e-9)  # BLAS: another shape
    for key, value in one.facts.items():
        assert two.facts[key] == (pytest.approx(value) if isinstance(value, float) else value), key
    three = text_vectors(goods, ~fit, 16)
    assert np.abs(three.values[fit] - one.values[fit]).max() > 0.01  # the counterpart: what is known does count


def test_the_width_is_the_rank_where_that_is_less_and_empty_texts_are_zero() -> None:
    goods = pd.DataFrame({"name": ["red hat", "red hat", "tea", None, "zebra"]})
    found = text_vectors(goods, np.array([True, True, True, True, False]), 64)
    assert found.values.shape == (5, 2)
    assert found.facts["texts"] == 2 and found.facts["variance_kept"] == 1
    np.testing.assert_allclose(found.values[0], found.values[1], rtol=1e-12)
    np.testing.assert_array_equal(found.values[3:], 0)
    assert text_vectors(goods, np.zeros(5, bool), 64).values.shape == (5, 0)
    assert text_vectors(pd.DataFrame({"price": [1.0, 2.0]}), np.ones(2, bool), 64).values.shape == (2, 0)


def test_a_sentence_model_is_projected_and_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A stand-in for model2vec: what it gets, where it is loaded from, and what becomes of its vectors."""
    (tmp_path / "model.safetensors").write_bytes(b"")
    seen: list[str] = []

    def encode(texts: list[str]) -> np.ndarray:
        seen.extend(texts)
        return np.array([[len(t), t.count("e"), t.count("o"), 1, 0] for t in texts], dtype=np.float32)

    stand_in = SimpleNamespace(StaticModel=SimpleNamespace(from_pretrained=lambda _: SimpleNamespace(encode=encode)))
    monkeypatch.setitem(sys.modules, "model2vec", stand_in)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: True)
    goods = catalogue()
    found = text_vectors(goods, np.arange(120) < 80, 3, "sentence", str(tmp_path))
    assert sorted(seen) == sorted(set(goods["name"] + ", " + goods["category"].astype(str)))
    assert found.facts["sentence_model"] == tmp_path.name
    known = encode(sorted(set(seen) & set((goods["name"] + ", " + goods["category"].astype(str))[:80])))
    _, _, exact = np.linalg.svd(known.astype(float), full_matrices=False)
    expected = encode([f"{goods['name'][0]}, {goods['category'][0]}"])[0] @ exact[:3].T
    np.testing.assert_allclose(np.abs(found.values[0]), np.abs(expected) / np.linalg.norm(expected), atol=1e-6)


@pytest.mark.skipif(importlib.util.find_spec("wordllama") is None, reason="the extra `text` is not installed")
def test_the_packaged_sentence_model_works_offline() -> None:
    goods = pd.DataFrame({"name": ["linen shirt", "cotton blouse", "fresh milk", "salted butter"]})
    vectors, name = text.sentence_vectors(goods["name"].tolist(), None)
    assert vectors.shape == (4, 256) and name.startswith("wordllama")
    near = vectors @ vectors.T / np.outer(np.linalg.norm(vectors, axis=1), np.linalg.norm(vectors, axis=1))
    assert near[0, 1] > near[0, 2] and near[2, 3] > near[1, 3]


@pytest.mark.parametrize(
    ("files", "missing", "said"),
    [
        (
            None,
            "wordllama",
            "needs the package wordllama.*`pip install wordllama`, or give text_path.*leave text_model",
        ),
        ([], "", "holds no model: neither modules.json nor model.safetensors"),
        (["model.safetensors"], "model2vec", "needs the package model2vec.*pip install model2vec"),
        (["modules.json"], "sentence_transformers", "needs the package sentence-transformers"),
        (["away"], "", "is no folder"),
    ],
)
def test_a_sentence_model_that_cannot_be_had_is_told_with_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[str] | None, missing: str, said: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None if package == missing else True)
    monkeypatch.setitem(sys.modules, "model2vec", SimpleNamespace(StaticModel=None))
    for name in files or []:
        (tmp_path / name).touch()
    path = None if files is None else str(tmp_path / "nowhere" if files == ["away"] else tmp_path)
    with pytest.raises(ConfigError, match=said):
        text_vectors(catalogue(), np.ones(120, bool), 8, "sentence", path)
