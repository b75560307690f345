"""Which run of a scenario is the last: `results/<scenario>/last` names its runs, the one made last first.

Not the times of files: they change with a copy, a clock or a backup.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from pathlib import Path

from lersbench.files import replacing

FILE = "last"
RUN = re.compile(r"(\d{8}T\d{6}Z)-[0-9a-f]{8}")  # the name of the folder of a run: when it was made, and of what


def remember(run: Path) -> None:
    """Put a run that is whole on disk before all others of its scenario. Written in one step."""
    names = [run.name, *(name for name in _names(run.parent) if name != run.name and (run.parent / name).is_dir())]
    with replacing(run.parent / FILE) as unfinished:
        unfinished.write_text("\n".join(names) + "\n", encoding="utf-8")


def last_of(runs: Sequence[Path]) -> Path:
    """The last of these runs of one scenario."""
    return last_first(runs)[0]


def last_first(runs: Sequence[Path]) -> list[Path]:
    """These runs of one scenario, the last of them first.

    Runs of earlier versions stand in no such file: among them it is the newest `run.json`, and any that the file names
    comes before them.
    """
    named = {name: place for place, name in enumerate(_names(runs[0].parent))} if runs else {}
    known = sorted((run for run in runs if run.name in named), key=lambda run: named[run.name])
    others = [run for run in runs if run.name not in named]
    others.sort(key=lambda run: ((run / "run.json").stat().st_mtime_ns, run.name), reverse=True)
    return [*known, *others]


def made_at(run: Path) -> datetime.datetime:
    """When a run was made, in UTC: by the name of its folder, or where that says nothing by its `run.json`."""
    if found := RUN.fullmatch(run.name):
        try:
            return datetime.datetime.strptime(found[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
        except ValueError:  # digits that are no time
            pass
    return datetime.datetime.fromtimestamp((run / "run.json").stat().st_mtime, datetime.UTC)


def _names(folder: Path) -> list[str]:
    try:
        return (folder / FILE).read_text(encoding="utf-8", errors="replace").split()
    except FileNotFoundError:
        return []
