"""A scenario of off-policy evaluation: which log, which policies, which questions. Read from TOML.

title = "..."
[data]                       # as in every scenario
log = "decisions"
[replay]
feedback = ["off-policy", "rejection", "progressive"]   # the questions; left out: those that suit each policy
[evaluate]                   # makes it one: `offpolicy.settings.Evaluate`, may be empty
estimators = ["dr", "snips"]
[[policies]]
name = "linucb"
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from lersbench.bench import scenario
from lersbench.bench.scenario import FOLDER, LONGEST, Data, Entry
from lersbench.errors import ConfigError, did_you_mean
from lersbench.feedback import CLICK, QUESTIONS
from lersbench.offpolicy.settings import Evaluate


class Asked(BaseModel):
    """`[replay]` of such a scenario."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    feedback: str | list[str] = []
    reward: str | dict[str, float] = CLICK
    slate: int | None = Field(None, ge=1)  # of lists without propensities

    @field_validator("feedback")
    @classmethod
    def _known(cls, names: str | list[str]) -> str | list[str]:
        for name in [names] if isinstance(names, str) else names:
            if name not in QUESTIONS:
                raise ValueError(
                    f"[evaluate] answers {', '.join(QUESTIONS)}, not {name!r}; replays belong into a scenario of their "
                    "own"
                )
        return names

    @property
    def questions(self) -> tuple[str, ...]:
        return (self.feedback,) if isinstance(self.feedback, str) else tuple(self.feedback)


class Evaluated(BaseModel):
    """A scenario file with a table [evaluate]."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    name: str = Field(pattern=FOLDER, max_length=LONGEST)
    title: str
    description: str = ""
    seed: int = Field(0, ge=0)
    data: Data
    alternatives: dict[str, dict[str, Any]] = {}
    replay: Asked = Asked()
    evaluate: Evaluate
    policies: list[dict[str, Any]] = Field(min_length=1)
    quick: dict[str, Any] = {}

    @field_validator("policies", mode="before")
    @classmethod
    def _names_as_entries(cls, policies: Any) -> Any:
        return scenario.entries_in(policies)


def read(
    name: str, changes: dict[str, Any] | None = None, dataset: str | None = None, quick: bool = False
) -> Evaluated:
    """The scenario of this name or path, with `changes` by dotted keys. ConfigError names key, value and fix."""
    path, content = scenario.content_of(name, dataset)
    short = scenario.table(content, str(path), "quick") if quick else {}
    content = scenario.changed(content, {**short, **(changes or {})})
    try:
        return Evaluated.model_validate(content)
    except ValidationError as error:
        raise ConfigError("\n".join(dict.fromkeys(_explain(str(path), one) for one in error.errors()))) from error


def _explain(where: str, problem: Any) -> str:
    key = ".".join(str(part) for part in problem["loc"]) or "the file"
    if problem["type"] == "extra_forbidden":
        sections: dict[str, type[BaseModel]] = {"replay": Asked, "evaluate": Evaluate}
        model = sections.get(str(problem["loc"][0]), Evaluated)
        return f"{where}: unknown key '{key}'{did_you_mean(str(problem['loc'][-1]), model.model_fields, 'it takes')}"
    if problem["type"] == "missing":
        return f"{where}: '{key}' is missing."
    words = problem["msg"].removeprefix("Value error, ").rstrip(".")
    return f"{where}: '{key}': {words} (it is {problem['input']!r})."


def entries(chosen: Evaluated, added: list[str | dict[str, Any]]) -> list[Entry]:
    """The policies of a scenario and those `added`; a list of values of a hyper-parameter is a sweep."""
    data = chosen.data.model_dump(exclude_none=True)
    content = {"name": chosen.name, "title": chosen.title, "data": data, "replay": {"feedback": "replay"}}
    return scenario.entries(scenario.validated({**content, "policies": [*chosen.policies, *added]}, chosen.name))


def data_of(chosen: Evaluated) -> Data:
    """The one log of a scenario. Raises ConfigError for a sweep over several."""
    for key, value in (chosen.data.model_extra or {}).items():
        if isinstance(value, list):
            raise ConfigError(
                f"{chosen.name}: data.{key} is a list of {len(value)}; with [evaluate] a scenario has one log. Write "
                "one file each, and a study of them."
            )
    return chosen.data
