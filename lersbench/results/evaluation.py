"""The tables of an off-policy evaluation: estimates with intervals, diagnostics and verdicts.

`estimates` has one row a policy, question, estimator and place (0: all places together); `differences` one row a pair
of policies, or a policy and the logging policy, under one question; `sensitivity` the same estimate with weights cut;
`weights` the largest weights; `items` the mean weight of a sure choice of each item, which must be 1.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from lersbench import files
from lersbench.errors import DataError
from lersbench.feedback import QUESTIONS
from lersbench.results import evaluation_folder
from lersbench.results.evaluation_folder import TABLES

LOGGER = "the logging policy"
BRACKET = "logged"  # the question that a bracket answers
BELIEVE, CAUTION, DISBELIEVE = "believe", "caution", "do not believe"
VERDICTS = (BELIEVE, CAUTION, DISBELIEVE)
BRIEF = ("policy", "feedback", "estimator", "place", "value", "low", "high", "verdict", "reason")  # shown in a notebook


@dataclass(frozen=True)
class Evaluation:
    """What policies are worth by a log that another one wrote."""

    about: dict[str, Any]  # log, rows, users, reward, settings, notes, versions: all that is said beside the tables
    estimates: pd.DataFrame
    differences: pd.DataFrame
    sensitivity: pd.DataFrame = field(default_factory=pd.DataFrame)
    weights: pd.DataFrame = field(default_factory=pd.DataFrame)
    items: pd.DataFrame = field(default_factory=pd.DataFrame)
    path: Path = Path("evaluation")  # the folder it was read from or is written to

    def __repr__(self) -> str:
        ran = self.about["logger"]
        return (
            f"{self.about['log']}: what ran earned {ran['value']:.4g} [{ran['low']:.4g}, {ran['high']:.4g}]\n"
            f"{self.estimates[list(BRIEF)].to_string(index=False)}"
        )

    def _repr_html_(self) -> str:
        return self.estimates[list(BRIEF)].to_html(index=False)

    @property
    def meta(self) -> dict[str, Any]:
        """What records of figures know it by."""
        return {"tables": self.about.get("settings", {})}

    @property
    def questions(self) -> list[str]:
        """The questions that are answered, in their order."""
        asked = set(self.estimates["feedback"])
        return [name for name in QUESTIONS if name in asked]

    def under(self, question: str, place: int = 0) -> pd.DataFrame:
        """The estimates that answer this question, all places together unless one is named."""
        rows = self.estimates
        return rows[(rows["feedback"] == question) & (rows["place"] == place)]

    def leading(self, question: str) -> pd.DataFrame:
        """The estimate that leads for each policy, a row each, highest value first."""
        rows = self.under(question)
        first = rows.groupby("policy", sort=False).head(1)
        return first.sort_values("value", ascending=False, kind="stable")

    def against(self, question: str, other: str = LOGGER) -> dict[str, pd.Series]:
        """The difference of each policy's leading estimate to another's, by policy."""
        rows = self.differences
        rows = rows[(rows["feedback"] == question) & (rows["other"] == other)]
        return {str(row["policy"]): row for _, row in rows.iterrows()}

    def ran(self, question: str) -> dict[str, float]:
        """What the logging policy earned (value, low, high) on the rows by which this question is answered."""
        beside = question == BRACKET and "others" in self.about
        found: dict[str, float] = (self.about["others"] if beside else self.about)["logger"]
        return found

    @property
    def worst(self) -> str:
        """The worst verdict of the leading estimates; a bracket beside them is no answer, and does not count."""
        answers = [name for name in self.questions if name != BRACKET] or self.questions
        levels = [str(v) for question in answers for v in self.leading(question)["verdict"]]
        return max(levels, key=VERDICTS.index, default=BELIEVE)

    def records(self) -> list[dict[str, Any]]:
        """One object a policy, question, estimator and place, as JSON has it: what is not known is null."""
        return [{str(key): _plain(value) for key, value in row.items()} for row in self.estimates.to_dict("records")]

    def at(self, folder: Path) -> Evaluation:
        """The same, to be written to this folder."""
        return replace(self, path=folder)

    @property
    def title(self) -> str:
        return str(self.about.get("title") or f"{self.about['log']}: would another policy have done better?")

    @property
    def scenario(self) -> dict[str, Any]:
        """What a page of a study calls it by."""
        return {"name": self.path.parent.name}

    def write_tables(self, folder: Path) -> None:
        """Write the tables that have rows as Parquet into an existing folder."""
        for name in TABLES:
            if len(getattr(self, name)):
                getattr(self, name).to_parquet(folder / f"{name}.parquet", index=False)

    def save(self) -> None:
        """Write tables and run.json into `path`, in place of an earlier evaluation; all of it or nothing appears.

        Raises ConfigError where `path` holds anything else, which would be lost.
        """
        evaluation_folder.check(self.path)
        with files.replacing(self.path) as unfinished:
            unfinished.mkdir(parents=True)
            self.write_tables(unfinished)
            digests = {path.name: files.file_digest(path) for path in sorted(unfinished.glob("*.parquet"))}
            content = {"evaluate": self.about, "tables": digests}
            text = json.dumps(content, indent=1, ensure_ascii=False, default=str)
            (unfinished / "run.json").write_text(text + "\n", encoding="utf-8")


def load(folder: Path) -> Evaluation:
    """The evaluation in a folder. Raises DataError where there is none, or not a whole one."""
    try:
        content = files.read_json(folder / "run.json")
        for name, digest in content["tables"].items():
            if files.file_digest(folder / name) != digest:
                raise ValueError(f"{name} is not what run.json says")
        there = {
            name: pd.read_parquet(folder / f"{name}.parquet")
            for name in TABLES
            if f"{name}.parquet" in content["tables"]
        }
        nothing = {name: pd.DataFrame() for name in TABLES if name not in there}
        return Evaluation(content["evaluate"], path=folder, **there, **nothing)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder} does not hold a whole evaluation ({error}); make it again.") from error


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping | list | str):
        return value
    number = value.item() if hasattr(value, "item") else value
    return None if isinstance(number, float) and not math.isfinite(number) else number
