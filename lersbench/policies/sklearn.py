"""A model of scikit-learn: candidates in the order of its scores. It stays as it is, or learns in the replay."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from lersbench.errors import ConfigError, DataError, RunError
from lersbench.policies._columns import ID, Columns, columns_of, groups_of, item_ids
from lersbench.policies._mixture import Part, chances, choose
from lersbench.policies._model import ModelPolicy
from lersbench.policy import Round, Spec
from lersbench.ranges import require

CLICKS = (0, 1)
FORGET = 0.5  # the chance that a replicate of the bootstrap leaves out an observation; it counts double else


@dataclass
class State:
    """What was learned: the model, or its replicates."""

    models: list[Any]
    columns: Columns
    fitted: list[bool]  # which of them can be asked
    rng: np.random.Generator | None = None  # of the bootstrap and of the models; made at the first question

    def state_dict(self) -> dict[str, Any]:
        """What can differ between two runs."""
        return {"models": self.models, "fitted": self.fitted}


@dataclass(frozen=True)
class ScikitLearn(ModelPolicy):
    """Ranks by a model of scikit-learn in a joblib file, which stays as it is or learns in the replay.

    A score is P(click) of a classifier, what a regressor predicts, or the decision function of a classifier that has
    no probabilities.

    With learn = "partial_fit" the model goes on learning from what the policy shows, and may begin unfitted. A
    classifier is told a reward r between 0 and 1 as a click of weight r and none of weight 1 - r. explore = "epsilon"
    shows a uniformly random list with the probability epsilon. explore = "bootstrap" keeps `replicates` copies, each of
    which leaves out every observation with probability 1/2 and counts it double else, and a round is ranked by one of
    them, drawn at random: Thompson sampling by the online bootstrap.

    A joblib file is code: it runs whatever its maker wanted. It is loaded with trust = true alone. For the columns see
    docs/your-policy.md.

    Source: Pedregosa et al. 2011, JMLR 12 (scikit-learn); Eckles and Kaptein 2014, arXiv 1410.4009 (the bootstrap).
    """

    trust: bool = False  # may the file run code?
    learn: Literal["none", "partial_fit"] = "none"
    explore: Literal["none", "epsilon", "bootstrap"] = "none"
    epsilon: float = 0.1  # probability of a uniform list, in [0, 1]
    replicates: int = 10  # of the bootstrap, at least 2

    package = ("sklearn", "sklearn")
    packages = ("scikit-learn", "joblib")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.epsilon <= 1, self, "epsilon", "in [0, 1]")
        require(self.replicates >= 2, self, "replicates", "2 or more")
        learns = self.learn == "partial_fit"
        require(learns or self.explore != "bootstrap", self, "explore", "'none' or 'epsilon' without learn")
        for name, value in {
            "learns": learns,
            "unit_rewards": learns,
            "deterministic": self.explore == "none",
        }.items():
            object.__setattr__(self, name, value)

    def init(self, spec: Spec) -> State:
        file = self.file()
        model = _load(file, self.trust)
        learns = self.learn == "partial_fit"
        if learns and not callable(getattr(model, "partial_fit", None)):
            raise ConfigError(
                f"{file} holds a {type(model).__name__}, which has no partial_fit: it cannot learn in a replay. Fix: "
                "leave learn out, or take a model that can, such as SGDClassifier."
            )
        fitted = _is_fitted(model)
        if not fitted and not learns:
            raise DataError(f"{file} holds a {type(model).__name__} that was never fitted. Fix: call its fit first.")
        wanted = getattr(model, "feature_names_in_", None)
        names = None if wanted is None else [str(name) for name in wanted]
        columns = columns_of(str(file), spec, groups_of("ScikitLearn", self.inputs), names, learns, ids=True)
        if fitted:
            columns.check(str(file), _width(model, file))
            _check_classes(model, file)
        copies = self.replicates if self.explore == "bootstrap" else 1
        return State([deepcopy(model) for _ in range(copies)], columns, [fitted] * copies)

    def predict(self, model: Any, columns: Columns, x: np.ndarray) -> np.ndarray:
        given = _frame(columns, x) if hasattr(model, "feature_names_in_") else x
        if hasattr(model, "predict_proba"):
            return model.predict_proba(given)[:, 1]
        return model.decision_function(given) if hasattr(model, "decision_function") else model.predict(given)

    def select(self, state: State, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        self.select_batch(state, rng, [round], [slate])

    def select_batch(
        self, state: State, rng: np.random.Generator, rounds: Sequence[Round], slates: Sequence[np.ndarray]
    ) -> None:
        """All rounds are scored at once, but with the bootstrap, which draws a replicate for each."""
        _begin(state, rng)
        if self.explore != "bootstrap":
            for round, slate, scores in zip(rounds, slates, self._scored(state, 0, rounds), strict=True):
                choose(self._parts([scores]), rng, round.ties, slate, round.scores)
            return
        for round, slate in zip(rounds, slates, strict=True):
            (scores,) = self._scored(state, int(rng.integers(self.replicates)), [round])
            choose([(1.0, scores)], rng, round.ties, slate, round.scores)

    def chance(self, state: State, round: Round, slate: np.ndarray, out: np.ndarray) -> None:
        _begin(state, None)
        every = [self._scored(state, number, [round])[0] for number in range(len(state.models))]
        chances(self._parts(every), slate, len(round.candidates), out)

    def _parts(self, scores: list[np.ndarray]) -> list[Part]:
        """The mixture that a slate is drawn from, by the scores (C,) of each replicate."""
        if self.explore == "epsilon":
            return [(1.0 - self.epsilon, scores[0]), (self.epsilon, None)]
        return [(1.0 / len(scores), one) for one in scores]

    def _scored(self, state: State, number: int, rounds: Sequence[Round]) -> list[np.ndarray]:
        """The scores (C,) of the candidates of each round by one of the models: all alike where it was never fitted."""
        if not state.fitted[number]:
            return [np.zeros(len(round.candidates)) for round in rounds]
        return self.scores(state.models[number], state.columns, rounds)

    def update(self, state: State, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
        self.update_batch(state, [round], [slate], [rewards], [seen])

    def update_batch(
        self,
        state: State,
        rounds: Sequence[Round],
        slates: Sequence[np.ndarray],
        rewards: Sequence[np.ndarray],
        seen: Sequence[np.ndarray],
    ) -> None:
        """One call of partial_fit for all that became known."""
        if self.learn == "none" or not any(here.any() for here in seen):
            return
        rng = _begin(state, None)
        shown = [slate[here] for slate, here in zip(slates, seen, strict=True)]
        x = np.concatenate([state.columns.rows(*pair) for pair in zip(rounds, shown, strict=True)])
        y = np.concatenate([paid[here] for paid, here in zip(rewards, seen, strict=True)])
        for number, model in enumerate(state.models):
            times = np.ones(len(y), np.int64)
            if self.explore == "bootstrap":
                times = 2 * (rng.random(len(y)) >= FORGET)
            if times.any():
                _teach(model, np.repeat(x, times, axis=0), np.repeat(y, times), state.columns, state.fitted[number])
                state.fitted[number] = True


def _load(file: Path, trust: bool) -> Any:
    """The model in a joblib file. Raises ConfigError without `trust`, DataError for what is no model."""
    if not trust:
        raise ConfigError(
            f"sklearn: {file} is a joblib file, which is code: loading it runs whatever its maker wanted. If you made "
            "it, or trust who did, set trust = true."
        )
    import joblib

    try:
        model = joblib.load(file)
    except Exception as error:  # a pickle may raise anything
        raise DataError(
            f"{file} cannot be loaded by joblib ({type(error).__name__}: {error}). Fix: write it with joblib.dump, by "
            "the versions of scikit-learn and Python that are installed here; what it imports must be installed too."
        ) from error
    if not callable(getattr(model, "predict", None)) or isinstance(model, type):
        raise DataError(f"{file} holds a {type(model).__name__}, which is no model: it has no method predict.")
    return model


def _is_fitted(model: Any) -> bool:
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(model)
    except NotFittedError:
        return False
    return True


def _width(model: Any, file: Path) -> int:
    width = getattr(model, "n_features_in_", None)
    if width is None:
        raise DataError(f"{file} holds a {type(model).__name__} that does not say how many columns it takes.")
    return int(width)


def _check_classes(model: Any, file: Path) -> None:
    """Raise DataError for a classifier of anything but clicks."""
    classes = getattr(model, "classes_", None)
    if classes is not None and not np.array_equal(classes, CLICKS):
        raise DataError(
            f"{file} holds a {type(model).__name__} of the classes {list(classes)[:10]}; a policy takes one of the "
            "classes 0 (no click) and 1 (click)."
        )


def _begin(state: State, rng: np.random.Generator | None) -> np.random.Generator:
    """The generator of a state, made at the first call: seeded by `rng`, or by nothing where a chance is asked first.

    Models that would draw from NumPy's global generator are given a seed of their own from it.
    """
    if state.rng is None:
        state.rng = np.random.default_rng(0 if rng is None else int(rng.integers(2**63)))
        for model in state.models:
            params = model.get_params() if hasattr(model, "get_params") else {}
            unseeded = [name for name in params if name.endswith("random_state") and params[name] is None]
            if unseeded:
                model.set_params(**{name: int(state.rng.integers(2**31)) for name in unseeded})
    return state.rng


def _frame(columns: Columns, x: np.ndarray) -> pd.DataFrame:
    """The rows as a table with the names that the model knows; ids as text."""
    table = pd.DataFrame(x, columns=list(columns.names))
    if (columns.chosen < 0).any():
        ids = np.array(item_ids(columns.spec), object)
        table[ID] = ids[table[ID].to_numpy(np.int64)]
    return table


def _teach(model: Any, x: np.ndarray, y: np.ndarray, columns: Columns, fitted: bool) -> None:
    """Let a model learn rewards `y` (n,) of the rows `x` (n, width), by one call of partial_fit."""
    known = signature(model.partial_fit).parameters
    more: dict[str, Any] = {}
    if "classes" in known:
        if not fitted:
            more["classes"] = np.array(CLICKS)
        if not np.isin(y, CLICKS).all():
            if "sample_weight" not in known or y.min() < 0 or y.max() > 1:
                raise RunError(
                    f"{type(model).__name__} is told the reward {y[~np.isin(y, CLICKS)][0]:g}. A classifier takes "
                    "rewards from 0 to 1, and where its partial_fit has no sample_weight, clicks of 0 and 1 alone. "
                    "Fix: take a regressor, such as SGDRegressor."
                )
            more["sample_weight"] = np.concatenate([y, 1.0 - y])
            x, y = np.concatenate([x, x]), np.repeat([1, 0], len(y))
        y = y.astype(np.int64)
    model.partial_fit(_frame(columns, x) if hasattr(model, "feature_names_in_") else x, y, **more)
