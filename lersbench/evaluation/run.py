"""An off-policy evaluation from a log and policies to its tables."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from lersbench import __version__
from lersbench.bench import demands, objects, scenario
from lersbench.bench.click_fits import Fits
from lersbench.bench.scenario import Entry
from lersbench.bench.session import Clock, Session, spec_of
from lersbench.datasets import DATASETS, build
from lersbench.errors import ConfigError, did_you_mean
from lersbench.evaluation import tables
from lersbench.evaluation.judged import Judged, families_of
from lersbench.evaluation.logged import Source, kind_of
from lersbench.evaluation.model import Model
from lersbench.evaluation.plan import Asked, asked_of
from lersbench.evaluation.ran import Ran
from lersbench.feedback import CLICK, QUESTIONS
from lersbench.log import Log
from lersbench.log.reward import reward_of
from lersbench.offpolicy.settings import Evaluate
from lersbench.policy import load
from lersbench.results.evaluation import Evaluation
from lersbench.system.progress import Progress, silent

USUAL = ("random", "popular")
NAME = "evaluate"


def open_log(name: str, options: dict[str, Any]) -> Log:
    """The log in the folder `name`; or that of a data set of this name, with its options."""
    if name in DATASETS and not Path(name).exists():
        return build(name, **options)
    if options:
        raise ConfigError(f"{name} is no data set{did_you_mean(name, DATASETS)} Options are for data sets.")
    return Log(name)


def evaluate(
    log: Log,
    policies: Sequence[Any],
    settings: dict[str, Any] | Evaluate | None = None,
    questions: Sequence[str] = (),
    reward: str | dict[str, float] = CLICK,
    seed: int = 0,
    say: Callable[[str], None] = lambda line: None,
    progress: Progress = silent,
) -> Evaluation:
    """Judge policies by a log: see `lersbench evaluate`. Raises ConfigError for what the log cannot answer."""
    wanted = settings_of(settings)
    setup = _setup(log, policies, wanted, reward, seed)
    asked = asked_of(setup.entries, questions, wanted, log.info)
    judged: list[Judged] = []
    model: Model | None = None
    if any(one.question == "off-policy" for one in asked):
        model = _model(setup, wanted)
    ran = Ran.of(setup.source)
    for question in QUESTIONS:
        judged += _answers(setup, [one for one in asked if one.question == question], wanted, model, seed)
    return tables.evaluation_of(setup, judged, ran, model, wanted)
