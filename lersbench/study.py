"""A study: scenarios that belong together, run one after the other and shown on one page. Read from TOML.

title = "..."
scenarios = ["taobao-curves", "taobao-alpha"]   # in the order in which they are run and shown

[quick]                                         # settings of a short version: `lersbench bench NAME --quick`
"replay.seeds" = 2
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lersbench import scenario
from lersbench.errors import ConfigError


class Study(BaseModel):
    """A study file."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    name: str
    title: str
    description: str = ""
    scenarios: list[str] = Field(min_length=1)
    quick: dict[str, Any] = {}


def read(
    name: str, changes: dict[str, Any] | None = None, quick: bool = False
) -> tuple[Study | None, list[scenario.Scenario]]:
    """The scenarios of a name: those of a study, or the one scenario (and None).

    `changes` replace values in every one of them; `quick` takes the short version of a study, whose results are kept
    apart under "<scenario>-quick". Raises ConfigError naming file, key, value and the fix.
    """
    path, content = scenario.load(name)
    if "scenarios" not in content:
        if quick:
            raise ConfigError(f"{path} is a single scenario, which has no short version; try --seeds 2 instead.")
        return None, [scenario.read(name, changes)]
    try:
        study = Study.model_validate({"name": path.stem, **content})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"{path}: '{where}': {first['msg']}. A study takes {', '.join(Study.model_fields)}."
        ) from error
    short = dict(study.quick) if quick else {}
    parts = [scenario.read(part, {**short, **(changes or {})}) for part in study.scenarios]
    if quick:
        study = study.model_copy(update={"name": f"{study.name}-quick"})
        parts = [part.model_copy(update={"name": f"{part.name}-quick"}) for part in parts]
    return study, parts
