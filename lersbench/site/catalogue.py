"""The runs under a folder of results, of every kind, and the pages of studies there."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lersbench.errors import ConfigError, DataError, LersbenchError, did_you_mean
from lersbench.files import read_json
from lersbench.report.blocks import Answer
from lersbench.results.last_run import last_first, made_at
from lersbench.studies import kinds
from lersbench.studies.kinds import AnyResults
from lersbench.studies.options import About
from lersbench.studies.page import ABOUT, REPORT
from lersbench.words import cleaned, one_line

STUDY = "study.html"


@dataclass(frozen=True)
class Entry:
    """A run as a list shows it; `fault` says why it cannot be read, and nothing else of it is known then."""

    path: Path
    kind: str  # the key of its kind
    title: str
    made: datetime.datetime
    found: Answer | None = None
    about: About | None = None
    fault: str = ""

    @property
    def scenario(self) -> str:
        """The folder that holds all runs of its scenario."""
        return self.path.parent.name

    @property
    def has_report(self) -> bool:
        return (self.path / REPORT).is_file()


def runs(results: Path) -> dict[str, list[Path]]:
    """The runs of every scenario by its folder, both in order of names, of runs the last first. Raises ConfigError
    where `results` is no folder."""
    if not results.is_dir():
        raise ConfigError(f"{results} is no folder of results. Fix: name one, or make one: lersbench bench active")
    found: dict[str, list[Path]] = {}
    for path in sorted(results.glob("*/*/run.json")):
        if not path.parent.name.startswith("."):
            found.setdefault(path.parent.parent.name, []).append(path.parent)
    return {name: last_first(some) for name, some in found.items()}


def in_time(some: Iterable[Path]) -> list[Path]:
    """Runs of a scenario in the order in which they were made."""
    return sorted(some, key=lambda run: (made_at(run), run.name))


@dataclass(frozen=True)
class StudyPage:
    """The page of a study: its parts found `verdicts`, one each; none where the page says nothing of them."""

    path: Path
    title: str
    made: datetime.datetime
    verdicts: tuple[str, ...] = ()


def studies(results: Path) -> list[StudyPage]:
    """The pages of studies under a folder of results."""
    return [_study(path) for path in sorted(results.glob(f"*/{STUDY}"))]


def _study(page: Path) -> StudyPage:
    made = datetime.datetime.fromtimestamp(page.stat().st_mtime, datetime.UTC)
    try:
        content = cleaned(read_json(page.parent / ABOUT))
        verdicts = tuple(str(part["verdict"]) for part in content["parts"])
        return StudyPage(page, str(content["title"]), made, verdicts)
    except (OSError, ValueError, TypeError, KeyError):  # of an earlier version: the page alone
        return StudyPage(page, page.parent.name, made)


def entry(run: Path, loaded: AnyResults | LersbenchError) -> Entry:
    """A run as the list has it, by its results, or by why they cannot be read."""
    if not isinstance(loaded, LersbenchError):
        try:
            with told():
                kind = kinds.of(loaded)
                return Entry(run, kind.key, loaded.title, made_at(run), kind.finding(loaded), kind.about(loaded))
        except LersbenchError as error:  # of a run of another version, say, whose metric is not known any more
            loaded = error
    return Entry(run, "", run.parent.name, made_at(run), fault=one_line(str(loaded)))


def loaded(run: Path) -> AnyResults | LersbenchError:
    """The results of a run, or why they cannot be read: one run that is damaged takes no list along."""
    try:
        with told():
            results: AnyResults = kinds.load(run)
            return results
    except LersbenchError as error:
        return error


@contextmanager
def told() -> Iterator[None]:
    """What a run.json of another version, or of another's making, lacks becomes a DataError."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise DataError(f"its run.json is not as this version writes it ({type(error).__name__}: {error})") from error


def run_called(name: str, results: Path) -> Path:
    """The folder of a run by its path, by its own name, or by that of its scenario, whose last run it is then.

    Raises ConfigError where there is none.
    """
    if (Path(name) / "run.json").is_file():
        return Path(name)
    there = runs(results)
    if name in there:
        return there[name][0]
    matches = [run for some in there.values() for run in some if run.name == name]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise ConfigError(
            f"{name} is a run of several scenarios: {', '.join(map(str, matches))}. Fix: name its folder."
        )
    known = [*there, *(run.name for some in there.values() for run in some)]
    raise ConfigError(f"{results} holds no run or scenario {name!r}{did_you_mean(name, known)}")
