"""The base of policies whose scores come from a model in a file: read, given its columns, and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from lersbench.errors import ConfigError, RunError
from lersbench.policies._columns import Columns, declare
from lersbench.policies._packages import require_package
from lersbench.policy import Policy, Round


@dataclass(frozen=True)
class Fixed:
    """A model that learns nothing."""

    model: Any
    columns: Columns

    def state_dict(self) -> dict[str, Any]:
        """What was learned: nothing."""
        return {}


@dataclass(frozen=True)
class ModelPolicy(Policy):
    """Scores of a model in a file. A subclass says how it is read (`init`) and asked (`predict`)."""

    package: ClassVar[tuple[str, str]]  # the module that a model needs, and the extra of lersbench that brings it

    model: str = ""  # the file
    inputs: str = "auto"  # the groups of columns that it is given, such as "context+items"; see `policies._columns`
    trained_until: str = ""  # the date up to which the model has seen rewards, such as 2024-11-01

    def __post_init__(self) -> None:
        name = type(self).__module__.rpartition(".")[2]
        require_package(name, *self.package)
        declare(self, self.inputs)

    def file(self) -> Path:
        """The file of the model. Raises ConfigError where none is named, or there is none."""
        name = type(self).__module__.rpartition(".")[2]
        if not self.model:
            raise ConfigError(f"{name}: model is missing; name the file of the model.")
        if not Path(self.model).is_file():
            raise ConfigError(f"{name}: there is no file {self.model} (looked for in {Path.cwd()}).")
        return Path(self.model)

    def predict(self, model: Any, columns: Columns, x: np.ndarray) -> np.ndarray:
        """The scores (n,) of the rows x (n, width)."""
        raise NotImplementedError

    def scores(self, model: Any, columns: Columns, rounds: Sequence[Round]) -> list[np.ndarray]:
        """The scores (C,) of the candidates of each round, by one call of the model. RunError for one that is none."""
        rows = [columns.rows(round) for round in rounds]
        found = np.asarray(self.predict(model, columns, np.concatenate(rows)), np.float64)
        edges = np.cumsum([len(one) for one in rows])
        if found.shape != (edges[-1],):
            raise RunError(f"{self.model} gave {found.shape} scores for {edges[-1]} rows; one a row is wanted.")
        for number in np.flatnonzero(~np.isfinite(found))[:1]:
            which = int(np.searchsorted(edges, number, side="right"))
            raise RunError(
                f"{self.model} gave the score {found[number]} in round {rounds[which].t}, for the inputs "
                f"{dict(zip(columns.names, np.concatenate(rows)[number].tolist(), strict=True))}."
            )
        return np.split(found, edges[:-1])
