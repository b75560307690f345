"""Which runs are meant: those of a scenario, of all parts of a study, of a folder, or all there are."""

from __future__ import annotations

from pathlib import Path

from lersbench.bench import scenario
from lersbench.errors import ConfigError
from lersbench.results import tables
from lersbench.studies import kinds, study
from lersbench.studies.kinds import AnyResults
from lersbench.studies.study import Study


def last(name: str, results: Path, arguments: str = "") -> AnyResults:
    """The last run of the folder `name` in `results`; `arguments` are those of `lersbench bench` that make one."""
    return kinds.load(tables.latest(results, name, arguments))


def load(name: str | None, dataset: str | None, quick: bool, results: Path) -> list[AnyResults]:
    """The last runs of a scenario or study, the run in a folder, or the last of everything in `results`.

    Raises ConfigError where there is no such run, DataError for one that is damaged.
    """
    if name is None:
        if dataset or quick:
            raise ConfigError("--dataset and --quick are of a scenario: name it too.")
        names = sorted({path.parent.parent.name for path in results.glob("*/*/run.json")})
        if not names:
            raise ConfigError(f"There are no results in {results}. Fix: lersbench bench active")
        return [last(each, results) for each in names]
    if (Path(name) / "run.json").is_file():
        return [kinds.load(Path(name))]
    if _has_a_file(name):
        arguments = " ".join([name, *(["--dataset", dataset] if dataset else []), *(["--quick"] if quick else [])])
        return [last(part, results, arguments) for part in study.names(name, quick, dataset)[1]]
    if not any(results.glob("*/*/run.json")):
        scenario.load(name)  # raises: there is none of this name
    return [last(name, results)]


def study_of(name: str, dataset: str | None, quick: bool) -> tuple[Study, list[str]] | None:
    """The study of a name, if it is one, and the names of its parts."""
    chosen, parts = study.names(name, quick, dataset) if _has_a_file(name) else (None, [])
    return (chosen, parts) if chosen else None


def _has_a_file(name: str) -> bool:
    return name in scenario.available() or name.endswith(".toml")
