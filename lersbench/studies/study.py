"""A study: scenarios that belong together, run one after the other and shown on one page. Read from TOML.

title = "..."
scenarios = ["taobao-curves", "taobao-alpha"]   # in the order in which they are run and shown

[set]                                           # settings of all of them, as those of --set
"replay.neural_seeds" = 5

[minutes]                                       # that each takes, for the progress bar
taobao-curves = 4

[quick]                                         # settings of a short version: `lersbench bench NAME --quick`
"replay.seeds" = 2

Options of data (keys that begin with "data.") in [set] and [quick] are those of the study's own data set, and are left
out where --dataset names another.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lersbench.bench import scenario
from lersbench.errors import ConfigError
from lersbench.lab import scenario as lab_scenario

Part = scenario.Scenario | lab_scenario.Experiment


class Study(BaseModel):
    """A study file."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    name: str = Field(pattern=scenario.FOLDER, max_length=scenario.LONGEST)
    title: str
    description: str = ""
    scenarios: list[str] = Field(min_length=1)
    dataset: str | None = None
    set: dict[str, Any] = {}
    minutes: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = {}
    quick: dict[str, Any] = {}

    def minutes_of(self, number: int) -> float:
        """What a part takes beside the others, as far as the file says."""
        return self.minutes.get(self.scenarios[number], 1.0)


def read(
    name: str, changes: dict[str, Any] | None = None, quick: bool = False, dataset: str | None = None
) -> tuple[Study | None, list[Part]]:
    """The scenarios and experiments of a name: those of a study, or the one (and None).

    `changes` replace values in every one of them; `quick` takes the short version of a study, whose results are kept
    apart under "<scenario>-quick". `dataset` is that of `scenario.read`; a study can name one for all its scenarios.
    Raises ConfigError naming file, key, value and the fix.
    """
    path, content = scenario.load(name)
    if lab_scenario.is_one(content):
        return None, [lab_scenario.read(name, changes, quick, dataset)]
    if "scenarios" not in content:
        if quick:
            raise ConfigError(f"{path} is a single scenario, which has no short version; try --seeds 2 instead.")
        return None, [scenario.read(name, changes, dataset)]
    try:
        study = Study.model_validate({"name": path.stem, **content})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        was = "" if first["type"] == "missing" else f" (it is {first['input']!r})"
        raise ConfigError(
            f"{path}: '{key}': {first['msg']}{was}. A study takes {', '.join(Study.model_fields)}."
        ) from error
    if unknown := set(study.minutes) - set(study.scenarios):
        raise ConfigError(f"{path}: 'minutes' names {', '.join(sorted(unknown))}, which is none of its scenarios.")
    files = {part: scenario.load(part) for part in study.scenarios}
    labs = {part for part, (_, told) in files.items() if lab_scenario.is_one(told)}
    parts: list[Part] = []
    for part in study.scenarios:
        file, told = files[part]
        usual = study.dataset or scenario.table(told, str(file), "data").get("dataset")
        given, short = (_for(dataset or usual, usual, some) for some in (study.set, study.quick if quick else {}))
        given = {key: value for key, value in given.items() if key not in short} | (changes or {})
        own = _shared_out(given, bool(labs), len(labs) < len(files), str(path))
        if part in labs:  # its file has a [quick] of its own
            parts.append(lab_scenario.read(part, own[lab_scenario.Experiment], quick, dataset or study.dataset))
            continue
        made = scenario.read(part, {**short, **own[scenario.Scenario]}, dataset or study.dataset)
        parts.append(made.model_copy(update={"name": f"{made.name}-quick"}) if quick else made)
    return (study.model_copy(update={"name": f"{study.name}-quick"}) if quick else study), parts


def _for(dataset: str | None, usual: str | None, settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of a study as they hold for a data set: options of its usual one are none of another's."""
    return {key: value for key, value in settings.items() if dataset == usual or not key.startswith("data.")}


def _shared_out(
    changes: dict[str, Any], labs: bool, replays: bool, where: str
) -> dict[type[BaseModel], dict[str, Any]]:
    """What of the changes is for scenarios and what for experiments, in a study of both: by the section they name."""
    kinds: list[type[BaseModel]] = [scenario.Scenario, lab_scenario.Experiment]
    if not (labs and replays):
        return dict.fromkeys(kinds, changes)
    own = {kind: {k: v for k, v in changes.items() if k.partition(".")[0] in kind.model_fields} for kind in kinds}
    if "replay.seeds" in changes:
        own[lab_scenario.Experiment]["replay.seeds"] = changes["replay.seeds"]
    for key in changes:
        if not any(key in told for told in own.values()):
            raise ConfigError(f"{where}: '{key}' is a key of neither its scenarios nor its experiments.")
    return own
