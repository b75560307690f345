"""What of a folder of results can go: old runs, runs that were made halfway, stored results that no run uses any more.

Only what lersbench itself writes is known: the folders of runs by their names and by all that lies in them, the files
of contenders by theirs. Everything else stays, links too.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lersbench.errors import ConfigError
from lersbench.files import read_json
from lersbench.results import evaluation_folder
from lersbench.results.last_run import RUN, last_first
from lersbench.system import leftovers

STORED = re.compile(
    r"([0-9a-f]{20})(?:-\d+-\d+)?\.parquet"
)  # a contender: its key, and the first and last of its seeds
TABLES = ("curves", "summary", "customers", "points", *evaluation_folder.TABLES)  # of runs of all kinds, as Parquet
REPORTED = (  # tables of reports, as CSV
    *("lift-by-slate", "lift-by-protocol", "agreement-of-protocols", "regret-slopes"),
    *("published", "published-pairs", "table"),
)
OWN = {"run.json", "report.md", "report.html", *(f"{name}.parquet" for name in TABLES)}
OWN |= {f"{name}.csv" for name in REPORTED}
FIGURES, RECORDS = "figures", "figures.json"
DRAWN = re.compile(
    r"(?:(?:curve|final)-[a-z0-9-]+|hit-ratio(?:-published)?)\.(?:png|svg)"
)  # by `lersbench plot` alone too
AT_WORK = 24 * 3600  # seconds in which a run that was made halfway may go on still
DAY = 24 * 3600


@dataclass(frozen=True)
class Removal:
    """A folder or file that can go, why, and how large it is, in bytes."""

    path: Path
    why: str
    size: int


@dataclass
class Plan:
    """What can go, and what is left alone though one might expect otherwise, in words."""

    removals: list[Removal] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        return sum(one.size for one in self.removals)


def plan(results: Path, keep: int, days: float, now: float) -> Plan:
    """What can go of the folder `results` at the time `now` (seconds since 1970).

    Of each scenario the last `keep` whole runs stay; runs made halfway go when they are older than a day; files of
    contenders go when they are older than `days` days and no run that stays was made from them. Raises ConfigError
    where `results` is no folder, or `keep` or `days` are no such numbers.
    """
    if keep < 1 or not days >= 0:
        raise ConfigError(f"keep is {keep}, days are {days}: of each scenario a run stays, and ages are 0 or more.")
    if not results.is_dir():
        raise ConfigError(f"{results} is no folder of results. Fix: name the one that `lersbench bench` writes to.")
    found = Plan()
    for folder in sorted(results.iterdir()):
        if folder.is_dir() and not folder.is_symlink() and not folder.name.startswith("."):
            _plan_scenario(folder, keep, days, now, found)
    return found


def _plan_scenario(folder: Path, keep: int, days: float, now: float, found: Plan) -> None:
    runs = {path: _content_of(path) for path in sorted(folder.iterdir()) if _is_run(path)}
    whole = last_first([run for run, content in runs.items() if content and not content.get("unfinished")])
    going = dict.fromkeys(whole[keep:], f"older than the last {keep}")
    for run, content in runs.items():
        if content and content.get("unfinished") and (run / "run.json").stat().st_mtime < now - AT_WORK:
            going[run] = "made halfway"
    kept = {run: content for run, content in runs.items() if run not in going}
    for run, why in sorted(going.items()):
        if strange := _unknown_in(run):
            found.left.append(f"{run}: it holds {strange}, which lersbench has not written")
            kept[run] = runs[run]
        else:
            found.removals.append(Removal(run, why, _size(run)))
    _plan_contenders(folder / "contenders", kept, days, now, found)


def _plan_contenders(
    store: Path, kept: dict[Path, dict[str, Any] | None], days: float, now: float, found: Plan
) -> None:
    """The files of contenders that no run of `kept` (by folder, its run.json) uses."""
    if not store.is_dir() or store.is_symlink():
        return
    files = [path for path in sorted(store.iterdir()) if STORED.fullmatch(path.name) and _is_file(path)]
    old = [path for path in files if path.stat().st_mtime < now - days * DAY]
    used: set[str] = set()
    for run, content in kept.items():
        keys = _keys_of(content)
        if keys is None:
            if old:
                found.left.append(f"{store}: {run.name} does not say which of these files it was made from")
            return
        used |= keys
    for path in old:
        match = STORED.fullmatch(path.name)
        if match and match[1] not in used:
            found.removals.append(Removal(path, f"of no run that stays, older than {days:g} days", path.stat().st_size))


def _keys_of(content: dict[str, Any] | None) -> set[str] | None:
    """The keys of the contenders that a run was made from; None where its run.json does not tell them."""
    keys = (content or {}).get("contenders", (content or {}).get("jobs"))
    return set(keys) if isinstance(keys, dict) else None


def remove(removals: Sequence[Removal]) -> Iterator[Removal]:
    """Remove them one by one, each yielded when it is gone. One that is gone already is passed over.

    A folder first gets the name of a temporary, so that none is ever there in part; what is cut off is swept by the
    next run.
    """
    for one in removals:
        gone = one.path.with_name(leftovers.name_for(one.path.name))
        try:
            one.path.rename(gone)
        except FileNotFoundError:  # another process has done it
            continue
        if gone.is_dir():
            shutil.rmtree(gone)
        else:
            gone.unlink()
        yield one


# What is known --------------------------------------------------------------------------------------------------------
def _is_run(path: Path) -> bool:
    return bool(RUN.fullmatch(path.name)) and path.is_dir() and not path.is_symlink() and _is_file(path / "run.json")


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _content_of(run: Path) -> dict[str, Any] | None:
    """The content of its run.json; None where that cannot be read: nobody knows then what the run is."""
    try:
        content = read_json(run / "run.json")
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _unknown_in(run: Path) -> str:
    """The first thing in the folder of a run that is not one of its own; "" for none."""
    for path in sorted(run.iterdir()):
        if path.name == FIGURES and path.is_dir() and not path.is_symlink():
            if strange := _unknown_figure(path):
                return f"{FIGURES}/{strange}"
        elif not (path.name in OWN and _is_file(path)):
            return path.name
    return ""


def _unknown_figure(folder: Path) -> str:
    """The same of the folder of its figures, whose records name them."""
    try:
        drawn = {str(one[kind]) for one in read_json(folder / RECORDS)["figures"] for kind in ("png", "svg")}
    except (OSError, ValueError, TypeError, KeyError):  # none, or cut short
        drawn = set()
    for path in sorted(folder.iterdir()):
        known = path.name in drawn or path.name == RECORDS or DRAWN.fullmatch(path.name)
        if not (known and _is_file(path)):
            return path.name
    return ""


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
