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

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lersbench.bench import scenario
from lersbench.errors import ConfigError
from lersbench.studies import kinds
from lersbench.studies.kinds import Kind, Part


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
    study = _study(path, content, quick)
    if study is None:
        return None, [kinds.of_content(content).read(name, changes, {} if quick else None, dataset)]
    return study, _parts(study, str(path), changes or {}, quick, dataset)


def names(name: str, quick: bool = False, dataset: str | None = None) -> tuple[Study | None, list[str]]:
    """As `read`, but of the parts their names alone: the parts are not checked, so no policy is imported."""
    study = _study(*scenario.load(name), quick)
    files, dataset = (study.scenarios, dataset or study.dataset) if study else ([name], dataset)
    suffix = "-quick" if quick else ""
    return study, [f"{scenario.content_of(file, dataset)[1]['name']}{suffix}" for file in files]


def _study(path: Path, content: dict[str, Any], quick: bool) -> Study | None:
    """The study in a file; None where it is a single scenario or experiment. Raises ConfigError as `read`."""
    kind = kinds.of_content(content)
    if kind is not kinds.SCENARIO or "scenarios" not in content:
        if quick and not kind.has_quick and "quick" not in content:
            raise ConfigError(f"{path} is a single scenario without a [quick]; try --seeds 2 instead.")
        return None
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
    return study.model_copy(update={"name": f"{study.name}-quick"}) if quick else study


def _parts(study: Study, where: str, changes: dict[str, Any], quick: bool, dataset: str | None) -> list[Part]:
    """The parts of a study, each with its settings."""
    files = {part: scenario.load(part) for part in study.scenarios}
    present = [kind for kind in kinds.KINDS if any(kinds.of_content(content) is kind for _, content in files.values())]
    parts = []
    for part in study.scenarios:
        file, content = files[part]
        kind = kinds.of_content(content)
        usual = study.dataset or scenario.table(content, str(file), "data").get("dataset")
        settings, short = (
            _settings_on(dataset or usual, usual, table) for table in (study.set, study.quick if quick else {})
        )
        settings = {key: value for key, value in settings.items() if key not in short} | changes
        if len(present) > 1:
            settings = _settings_of_kind(kind, settings, present, where)
        parts.append(kind.read(part, settings, short if quick else None, dataset or study.dataset))
    return parts


def _settings_on(dataset: str | None, usual: str | None, settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of a study as they hold for a data set: options of its usual one are none of another's."""
    return {key: value for key, value in settings.items() if dataset == usual or not key.startswith("data.")}


def _settings_of_kind(kind: Kind, settings: dict[str, Any], present: Sequence[Kind], where: str) -> dict[str, Any]:
    """The settings that a kind takes, in a study of several kinds. Raises ConfigError for one that none takes."""
    for key in settings:
        if not any(other.takes(key) for other in present):
            raise ConfigError(f"{where}: '{key}' is a key of none of its parts.")
    return {key: value for key, value in settings.items() if kind.takes(key)}
