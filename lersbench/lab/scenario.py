"""A laboratory experiment: context models trained off line, on what all customers did before the cut. Read from TOML.

title = "..."
experiment = "cells"            # or "lengths", "codes"; EXPERIMENTS has the model of its [[settings]]

[data]
dataset = "livestream"          # with the options of `datasets.sequences`

[training]                      # of every setting; what is left out is as published
seeds = 3

[[settings]]                    # a list of values is a sweep
cell = ["rnn", "lstm", "gru"]

[quick]                         # settings of a short version: `lersbench bench NAME --quick`
"training.seeds" = 1

Nothing is replayed here, so there are no policies and no rounds: each setting x seed is one training run.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lersbench import bounds
from lersbench.bench import scenario
from lersbench.errors import ConfigError

Method = Literal["pca", "tsne", "umap"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Data(BaseModel):
    """`dataset`; any other key is an option of `datasets.sequences`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    dataset: str

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Training(_Strict):
    """What all settings share; None: as published, which differs from model to model (see `training`)."""

    seeds: int = Field(3, ge=1)
    epochs: int | None = Field(None, ge=1)
    batch: int | None = Field(None, ge=1)
    split: float = Field(0.67, gt=0, lt=1)  # share of the customers that is trained on
    learning_rate: float = Field(0.001, gt=0)


class _Encoder(_Strict):
    """A recurrent encoder."""

    label: str = ""
    cell: Literal["rnn", "lstm", "gru"] = "gru"
    bidirectional: bool = False
    bayesian: bool = False
    length: int = Field(5, ge=1, le=15)
    hidden: int = Field(128, ge=1)


class Cell(_Encoder):
    """Setting of "cells": an encoder that predicts the next streamer."""


class Length(_Encoder):
    """Setting of "lengths": an encoder that predicts the next streamer or the next basket, from `length` entries.

    `customers` "own": all who have length + 1 orders, as published: then each length is measured on other customers.
    "same": those who have enough for the longest length of the experiment.
    """

    task: Literal["streamer", "basket"] = "streamer"
    customers: Literal["own", "same"] = "own"
    hidden: int | None = Field(None, ge=1)  # type: ignore[assignment]  # None: as published, by task


class Code(_Strict):
    """Setting of "codes": an autoencoder of the context. `picture`: draw its codes in two dimensions."""

    label: str = ""
    kind: Literal["ae", "vae"] = "ae"
    size: int = Field(20, ge=1)
    weight_eps: float = Field(1.0, ge=0)
    kl_weight: float = Field(1.0, ge=0)
    tanh_output: bool = False
    picture: bool = False


class Context(_Strict):
    """Of "codes": the training of the two encoders whose states, with the static features, are the context."""

    streamer_epochs: int = Field(51, ge=1)
    basket_epochs: int = Field(11, ge=1)
    orders: int = Field(5, ge=1, le=15)
    baskets: int = Field(10, ge=1, le=15)


class Pictures(_Strict):
    """Of "codes": how codes are drawn in two dimensions, and of how many customers (drawn at random)."""

    methods: list[Method] = ["pca", "tsne", "umap"]
    customers: int = Field(2000, ge=10)


EXPERIMENTS: dict[str, type[_Strict]] = {"cells": Cell, "lengths": Length, "codes": Code}


class Experiment(_Strict):
    """A file of an experiment."""

    name: str = Field(pattern=scenario.FOLDER, max_length=scenario.LONGEST)
    title: str
    description: str = ""
    experiment: Literal["cells", "lengths", "codes"]
    data: Data
    alternatives: dict[str, dict[str, Any]] = {}
    training: Training = Training()
    context: Context = Context()
    pictures: Pictures = Pictures()
    settings: list[dict[str, Any]] = Field(min_length=1)
    quick: dict[str, Any] = {}
    large: bool = False  # may go beyond the limits of `bounds`

    @model_validator(mode="after")
    def _only_of_codes(self) -> Experiment:
        for name in ("context", "pictures"):
            if name in self.model_fields_set and self.experiment != "codes":
                raise ValueError(f"'{name}' belongs to the experiment \"codes\"")
        return self


@dataclass(frozen=True)
class Setting:
    """One entry of [[settings]], sweeps taken apart."""

    label: str
    params: dict[str, Any]  # all of them, with the defaults


def read(
    name: str, changes: dict[str, Any] | None = None, quick: bool = False, dataset: str | None = None
) -> Experiment:
    """The experiment of this name or path; arguments as of `study.read`. Raises ConfigError naming file, key, fix.

    `replay.seeds` in `changes`, which --seeds sets, means training.seeds here.
    """
    path, content = scenario.content_of(name, dataset)
    short = scenario.table(content, str(path), "quick") if quick else {}
    renamed = {("training.seeds" if key == "replay.seeds" else key): value for key, value in (changes or {}).items()}
    content = scenario.changed(content, {**short, **renamed})
    if quick:
        content["name"] = f"{content['name']}-quick"
    try:
        experiment = Experiment.model_validate(content)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(str(path), problem) for problem in error.errors())) from error
    settings(experiment, str(path))
    return experiment


def settings(chosen: Experiment, where: str = "") -> list[Setting]:
    """All settings of an experiment. Raises ConfigError for a bad or repeated one."""
    kind, by_label = EXPERIMENTS[chosen.experiment], dict[str, Setting]()
    where = where or chosen.name
    works = sum(bounds.combinations(entry.values()) for entry in chosen.settings) * chosen.training.seeds
    bounds.check_numbers(where, works, 1, chosen.large)
    for number, entry in enumerate(chosen.settings, 1):
        swept = [key for key, value in entry.items() if isinstance(value, list)]
        for values in _sweep(entry, where):
            try:
                params = kind.model_validate(values).model_dump()
            except ValidationError as error:
                place = f"{where}: settings entry {number}"
                raise ConfigError("\n".join(_explain(place, problem, kind) for problem in error.errors())) from error
            label = params.pop("label")
            keys = swept if label else [key for key in values if key != "picture"]
            full_label = (
                " ".join(filter(None, [label, *(_in_words(key, values[key]) for key in keys)])) or chosen.experiment
            )
            if full_label in by_label:
                raise ConfigError(f"{where}: two settings are called '{full_label}'; give one a 'label'.")
            by_label[full_label] = Setting(full_label, params)
    return list(by_label.values())


def _sweep(options: dict[str, Any], where: str) -> Iterator[dict[str, Any]]:
    """Every combination of the values of the options that are lists."""
    if empty := [key for key, value in options.items() if value == []]:
        raise ConfigError(f"{where}: '{empty[0]}' is an empty list; a list is a sweep over its values.")
    choices = [value if isinstance(value, list) else [value] for value in options.values()]
    for values in itertools.product(*choices):
        yield dict(zip(options, values, strict=True))


def _in_words(key: str, value: Any) -> str:
    """A setting in a word or two: "gru", "bidirectional", "size=20"."""
    if isinstance(value, bool):
        return key if value else f"not {key}"
    return str(value) if isinstance(value, str) else f"{key}={value:g}"


def _explain(where: str, problem: Any, model: type[BaseModel] | None = None) -> str:
    key = ".".join(str(part) for part in problem["loc"]) or "the file"
    if problem["type"] == "extra_forbidden":
        sections: dict[str, type[BaseModel]] = {"training": Training, "context": Context, "pictures": Pictures}
        known = (model or sections.get(str(problem["loc"][0]), Experiment)).model_fields
        return f"{where}: unknown key '{key}'; known are {', '.join(known)}."
    if problem["type"] == "missing":
        return f"{where}: '{key}' is missing."
    if problem["type"] == "value_error":
        return f"{where}: {problem['msg'].removeprefix('Value error, ').rstrip('.')}."
    return f"{where}: '{key}': {problem['msg']} (it is {problem['input']!r})."
