"""Models of scikit-learn and LightGBM as policies: which columns they are given, what they learn, what is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lersbench.errors import ConfigError, DataError, RunError
from lersbench.policies._columns import columns_of, groups_of
from lersbench.policies._mixture import chances, choose
from lersbench.policy import Round, Spec, load
from lersbench.testing import checks
from lersbench.testing.worlds import make_world, round_of
from tests.support.models import FOLDER, WIDTH, sample

joblib = pytest.importorskip("joblib", reason="joblib is not installed")
linear_model = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is not installed")
NAMED = {"context": ("age", "evening"), "items": ("price",), "features": ("distance",)}
SPEC = Spec(3, 3, 1, 2, 1, items=np.array([[5.0], [6.0], [7.0]]), item_ids=("a", "b", "c"), feature_names=NAMED)


def round_with(context: list[float], features: list[float], candidates: list[int] | None = None) -> Round:
    """A round of a log as SPEC knows it."""
    offered = np.array(candidates or [0, 1, 2])
    wide = len(offered)
    none = np.zeros(wide), np.zeros(1), np.zeros(1, np.int64)
    return Round(0, 0, np.array(context), offered, np.array(features)[:, None], 7, *none)


ROUND = round_with([30.0, 1.0], [0.1, 0.2, 0.3], [2, 0, 1])


def kept(model: Any, name: str = "kept.joblib") -> dict[str, Any]:
    """The parameters of a policy with this model."""
    joblib.dump(model, FOLDER / name)
    return {"model": str(FOLDER / name), "trust": True}


def asked(params: dict[str, Any], round: Round = ROUND, spec: Spec = SPEC, name: str = "sklearn") -> np.ndarray:
    """The scores that a policy gives in a round."""
    policy = load(name, **params)
    policy.select(policy.init(spec), np.random.default_rng(0), round, np.zeros(1, np.int64))
    return round.scores.copy()


# Columns --------------------------------------------------------------------------------------------------------------
def test_columns_stand_in_the_order_of_their_groups() -> None:
    every = columns_of("it", SPEC, groups_of("It", "one-hot+features+items+context"), None)
    assert every.names == ("age", "evening", "price", "distance", "item=a", "item=b", "item=c")
    assert every.rows(ROUND).tolist() == [
        [30.0, 1.0, 7.0, 0.1, 0.0, 0.0, 1.0],
        [30.0, 1.0, 5.0, 0.2, 1.0, 0.0, 0.0],
        [30.0, 1.0, 6.0, 0.3, 0.0, 1.0, 0.0],
    ]
    assert every.rows(ROUND, np.array([1])).tolist() == [[30.0, 1.0, 5.0, 0.2, 1.0, 0.0, 0.0]]


def test_columns_without_names_are_numbered_and_auto_takes_what_there_is() -> None:
    bare = dataclasses.replace(SPEC, feature_names={}, m=0)
    assert columns_of("it", bare, (), None).names == ("context_0", "context_1", "items_0")
    alone = dataclasses.replace(bare, items=np.empty((3, 0)))
    assert columns_of("it", alone, (), None).names == ("context_0", "context_1")
    assert columns_of("it", alone, (), None, learns=True).names[2:] == ("item=a", "item=b", "item=c")


def test_a_model_that_knows_names_is_given_these_in_its_own_order() -> None:
    named = columns_of("it", SPEC, (), ["distance", "item", "age"], ids=True)
    assert named.rows(ROUND).tolist() == [[0.1, 2.0, 30.0], [0.2, 0.0, 30.0], [0.3, 1.0, 30.0]]


@pytest.mark.parametrize(
    ("inputs", "wanted", "message"),
    [
        ("auto", ["agee"], "trained on a column 'agee', which the log does not have; did you mean 'age'"),
        ("items", ["age"], "trained on a column 'age', which the log does not have. It has price"),
        ("contxt", None, "there is no 'contxt'; did you mean 'context'"),
    ],
)
def test_columns_that_are_not_there(inputs: str, wanted: list[str] | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        columns_of("it", SPEC, groups_of("It", inputs), wanted)


def test_two_columns_of_one_name_are_told_apart_by_their_group() -> None:
    spec = dataclasses.replace(SPEC, feature_names={**NAMED, "items": ("age",)})
    with pytest.raises(ConfigError, match=r"column 'age', and the log has 2 of this name\. Fix: say with inputs"):
        columns_of("it", spec, (), ["age"])
    assert columns_of("it", spec, ("items",), ["age"]).rows(ROUND).tolist() == [[7.0], [5.0], [6.0]]


# Mixtures -------------------------------------------------------------------------------------------------------------
def test_the_chances_of_a_mixture_are_the_shares_of_its_draws() -> None:
    parts = [(0.5, np.array([1.0, 2.0, 0.0, 0.0])), (0.3, np.array([3.0, 0.0, 0.0, 1.0])), (0.2, None)]
    rng, times, draws = np.random.default_rng(1), np.zeros((4, 4)), 20_000
    for draw in range(draws):
        slate = np.zeros(2, np.int64)
        choose(parts, rng, 97 * draw, slate, np.zeros(4))
        times[slate[0], slate[1]] += 1
    total = 0.0
    for first in range(4):
        for second in set(range(4)) - {first}:
            out = np.zeros(2)
            chances(parts, np.array([first, second]), 4, out)
            assert times[first, second] / draws == pytest.approx(out.prod(), abs=0.02)
            total += out.prod()
    assert total == pytest.approx(1.0)


# scikit-learn ---------------------------------------------------------------------------------------------------------
def test_the_score_of_a_classifier_is_the_chance_of_a_click() -> None:
    x, clicks = sample(4)
    model = linear_model.LogisticRegression().fit(x, clicks)
    due = model.predict_proba([[30.0, 1.0, 7.0, 0.1], [30.0, 1.0, 5.0, 0.2], [30.0, 1.0, 6.0, 0.3]])[:, 1]
    assert asked(kept(model)) == pytest.approx(due)


def test_a_pipeline_is_given_a_table_with_the_ids_of_the_items() -> None:
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    table = pd.DataFrame({"distance": [0.1, 0.2, 0.3, 0.4], "item": ["a", "b", "c", "a"]})
    encoder = make_column_transformer((OneHotEncoder(), ["item"]), remainder="passthrough")
    model = make_pipeline(encoder, linear_model.Ridge(alpha=1e-9)).fit(table, [1.0, 0.0, 5.0, 1.0])
    assert asked(kept(model)) == pytest.approx([5.0, 1.0, 0.0], abs=0.1)  # of c, a, b


def test_what_is_learned_is_what_partial_fit_learns() -> None:
    """A twin: the same calls, spelled out. A fraction is a click of that weight, and none of the rest."""
    world = make_world(30, 5, 2)
    model = linear_model.SGDClassifier(loss="log_loss", random_state=4)
    policy, twin = load("sklearn", **kept(model), learn="partial_fit", inputs="features"), model
    state, rng = policy.init(world.spec), np.random.default_rng(0)
    for row in range(30):
        round, slate = round_of(world, row, row), np.zeros(2, np.int64)
        policy.select(state, rng, round, slate)
        paid = world.chunk.rewards[row, slate]
        policy.update(state, round, slate, paid, np.ones(2, np.bool_))
        if np.isin(paid, (0, 1)).all():
            twin.partial_fit(round.features[slate], paid.astype(int), classes=[0, 1])
        else:
            x = np.concatenate([round.features[slate]] * 2)
            twin.partial_fit(x, [1, 1, 0, 0], classes=[0, 1], sample_weight=np.concatenate([paid, 1 - paid]))
    np.testing.assert_allclose(state.models[0].coef_, twin.coef_, rtol=1e-12)


def test_replicates_of_the_bootstrap_learn_about_half_each_twice() -> None:
    class Counts:
        """Counts what it is told."""

        told, n_features_in_ = 0, 4

        def partial_fit(self, x: np.ndarray, y: np.ndarray) -> None:
            self.told += len(y)

        def predict(self, x: np.ndarray) -> np.ndarray:
            return x[:, 0]

    world = make_world(400, 5, 1)
    policy: Any = load("sklearn", **kept(linear_model.SGDRegressor()), learn="partial_fit", explore="bootstrap")
    state, rng = policy.init(world.spec), np.random.default_rng(0)
    state.models, state.fitted = [Counts() for _ in range(10)], [True] * 10
    for row in range(400):
        round, slate = round_of(world, row, row), np.zeros(1, np.int64)
        policy.select(state, rng, round, slate)
        policy.update(state, round, slate, np.ones(1), np.ones(1, np.bool_))
    told = np.array([model.told for model in state.models])
    assert (told % 2 == 0).all() and len(set(told)) > 5
    assert abs(told - 400).max() < 5 * 20  # a sum of 400 times 0 or 2 has the deviation 20


@pytest.mark.parametrize(
    "params",
    [
        {"learn": "partial_fit"},
        {"learn": "partial_fit", "explore": "bootstrap", "replicates": 3},
    ],
    ids=["greedy", "bootstrap"],
)
def test_the_ways_to_learn_keep_the_contract(params: dict[str, Any]) -> None:
    """Of epsilon the tests of all policies play it."""
    told = kept(linear_model.SGDRegressor(), "contract.joblib")
    few = (checks.check_same_seed, checks.check_delay, checks.check_unseen, checks.check_chance, checks.check_learns)
    found = [checks.result_of(one, checks.Bench(load("sklearn", **told, **params))) for one in few]
    assert not [result for result in found if not result.ok]


def _damaged() -> dict[str, Any]:
    (FOLDER / "damaged.joblib").write_bytes(b"no pickle")
    return {"model": str(FOLDER / "damaged.joblib"), "trust": True}


REFUSED: dict[str, tuple[Callable[[], dict[str, Any]], type[Exception], str]] = {
    "no file named": (dict, ConfigError, "model is missing"),
    "no such file": (lambda: {"model": "gone.joblib"}, ConfigError, "there is no file gone.joblib"),
    "not trusted": (
        lambda: {**kept(linear_model.Ridge()), "trust": False},
        ConfigError,
        "joblib file, which is code.*set trust = true",
    ),
    "no pickle": (_damaged, DataError, "cannot be loaded by joblib"),
    "no model": (lambda: kept({"a": 1}), DataError, "holds a dict, which is no model"),
    "never fitted": (lambda: kept(linear_model.Ridge()), DataError, "holds a Ridge that was never fitted"),
    "cannot learn": (
        lambda: {**kept(linear_model.Ridge().fit(*sample(4))), "learn": "partial_fit"},
        ConfigError,
        "Ridge, which has no partial_fit",
    ),
    "other width": (
        lambda: kept(linear_model.Ridge().fit(*sample(WIDTH))),
        ConfigError,
        r"takes 9 columns, and is given 4: 2 of context, 1 of items, 1 of features \(age, evening, price, distance\)",
    ),
    "other names": (
        lambda: kept(linear_model.Ridge().fit(pd.DataFrame({"prize": [1.0, 2.0]}), [0, 1])),
        ConfigError,
        "trained on a column 'prize', which the log does not have; did you mean 'price'",
    ),
    "other classes": (
        lambda: kept(linear_model.LogisticRegression().fit(sample(4)[0], 2 * sample(4)[1] - 1)),
        DataError,
        r"of the classes \[.*-1.*1.*\]; a policy takes one of the classes 0",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_model_for_this_log_is_refused(case: str) -> None:
    made, kind, message = REFUSED[case]
    with pytest.raises(kind, match=message):
        load("sklearn", **made()).init(SPEC)


def test_a_score_that_is_no_number_is_named_with_its_inputs() -> None:
    model = linear_model.Ridge().fit(*sample(4))
    model.coef_[3] = np.nan
    with pytest.raises(RunError, match=r"gave the score nan in round 0, for the inputs \{'age': 30.0"):
        asked(kept(model))


def test_nothing_is_loaded_without_trust(tmp_path: Path) -> None:
    """A pickle runs code when it is loaded: this one would leave a file."""

    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    joblib.dump(Bomb(), tmp_path / "bomb.joblib")
    with pytest.raises(ConfigError, match="which is code"):
        load("sklearn", model=str(tmp_path / "bomb.joblib")).init(SPEC)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(DataError, match="no model"):
        load("sklearn", model=str(tmp_path / "bomb.joblib"), trust=True).init(SPEC)
    assert (tmp_path / "ran").exists()


# LightGBM -------------------------------------------------------------------------------------------------------------
def test_lightgbm_scores_by_name_and_by_number(tmp_path: Path) -> None:
    lightgbm = pytest.importorskip("lightgbm", reason="lightgbm is not installed")
    x, clicks = sample(4)
    few = {"verbose": -1, "min_data_in_leaf": 2, "objective": "binary", "num_threads": 1}
    names = ["distance", "price", "evening", "age"]
    by_name = lightgbm.train(few, lightgbm.Dataset(x, clicks, feature_name=names), 5)
    rows = np.array([[30.0, 1.0, 7.0, 0.1], [30.0, 1.0, 5.0, 0.2], [30.0, 1.0, 6.0, 0.3]])
    by_name.save_model(tmp_path / "named.txt")
    assert asked({"model": str(tmp_path / "named.txt")}, name="lightgbm") == pytest.approx(
        by_name.predict(rows[:, ::-1])
    )
    plain = lightgbm.train(few, lightgbm.Dataset(x, clicks), 5)
    plain.save_model(tmp_path / "plain.txt")
    assert asked({"model": str(tmp_path / "plain.txt")}, name="lightgbm") == pytest.approx(plain.predict(rows))
    with pytest.raises(ConfigError, match="takes 4 columns, and is given 2"):
        load("lightgbm", model=str(tmp_path / "plain.txt"), inputs="context").init(SPEC)
    (tmp_path / "no.txt").write_text("no model")
    with pytest.raises(DataError, match=r"no\.txt is no model of LightGBM"):
        load("lightgbm", model=str(tmp_path / "no.txt")).init(SPEC)
