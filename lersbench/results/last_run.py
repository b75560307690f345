"""Which run of a scenario is the last: `results/<scenario>/last` names its runs, the one made last first.

Not the times of files: they change with a copy, a clock or a backup.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lersbench.files import replacing

FILE = "last"


def remember(run: Path) -> None:
    """Put a run that is whole on disk before all others of its scenario. Written in one step."""
    names = [run.name, *(name for name in _names(run.parent) if name != run.name and (run.parent / name).is_dir())]
    with replacing(run.parent / FILE) as unfinished:
        unfinished.write_text("\n".join(names) + "\n", encoding="utf-8")


def last_of(runs: Sequence[Path]) -> Path:
    """The last of these runs of one scenario.

    Runs of earlier versions stand in no such file: among them it is the newest `run.json`, and any that the file names
    comes before them.
    """
    named = {name: place for place, name in enumerate(_names(runs[0].parent))}
    known = [run for run in runs if run.name in named]
    if known:
        return min(known, key=lambda run: named[run.name])
    return max(runs, key=lambda run: ((run / "run.json").stat().st_mtime_ns, run.name))


def _names(folder: Path) -> list[str]:
    try:
        return (folder / FILE).read_text(encoding="utf-8", errors="replace").split()
    except FileNotFoundError:
        return []
