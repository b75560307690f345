"""A model of LightGBM: candidates in the order of its scores. It learns nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lersbench.errors import DataError
from lersbench.kernels.ties import top_k
from lersbench.policies._columns import Columns, columns_of, groups_of
from lersbench.policies._model import Fixed, ModelPolicy
from lersbench.policy import Round, Spec


@dataclass(frozen=True)
class LightGBM(ModelPolicy):
    """Ranks by the scores of a LightGBM model, as `Booster.save_model("model.txt")` writes it: a text, not code.

    A model that was trained on named columns is given these; `trained_until` is the date up to which it has seen
    rewards, of which an evaluation warns. For the columns see docs/your-policy.md.

    Source: Ke et al. 2017, "LightGBM: A Highly Efficient Gradient Boosting Decision Tree" (NeurIPS 30).
    """

    learns = False
    deterministic = True
    package = ("lightgbm", "ltr")
    packages = ("lightgbm",)

    def init(self, spec: Spec) -> Fixed:
        file = self.file()
        import lightgbm

        try:
            model = lightgbm.Booster(model_file=str(file))
        except (lightgbm.basic.LightGBMError, ValueError, UnicodeDecodeError) as error:
            raise DataError(
                f"{file} is no model of LightGBM ({str(error).splitlines()[0]}). Fix: write it with "
                "Booster.save_model, or with .booster_.save_model of its scikit-learn classes."
            ) from error
        if model.num_model_per_iteration() != 1:
            raise DataError(
                f"{file} gives {model.num_model_per_iteration()} scores a row; a policy takes a model with one, such "
                "as of the objectives binary, regression or lambdarank."
            )
        names = model.feature_name()
        unnamed = names == [f"Column_{number}" for number in range(len(names))]  # what LightGBM calls an array's
        columns = columns_of(str(file), spec, groups_of("LightGBM", self.inputs), None if unnamed else names)
        columns.check(str(file), model.num_feature())
        return Fixed(model, columns)

    def predict(self, model: Any, columns: Columns, x: np.ndarray) -> np.ndarray:
        return model.predict(x, num_threads=1)

    def select(self, state: Fixed, rng: np.random.Generator, round: Round, slate: np.ndarray) -> None:
        self.select_batch(state, rng, [round], [slate])

    def select_batch(
        self, state: Fixed, rng: np.random.Generator, rounds: Sequence[Round], slates: Sequence[np.ndarray]
    ) -> None:
        for round, slate, scores in zip(rounds, slates, self.scores(state.model, state.columns, rounds), strict=True):
            round.scores[:] = scores
            top_k(round.scores, round.ties, slate)

    def update(self, state: Fixed, round: Round, slate: np.ndarray, rewards: np.ndarray, seen: np.ndarray) -> None:
        """It learns nothing."""
