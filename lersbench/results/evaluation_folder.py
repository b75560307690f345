"""The folder of an evaluation. A new one takes the place of an earlier one, and of nothing else."""

from __future__ import annotations

from pathlib import Path

from lersbench.errors import ConfigError
from lersbench.system import leftovers

TABLES = ("estimates", "differences", "sensitivity", "weights", "items")
FIGURES = "figures"
DRAWN = ("values", "weights", "sensitivity")
OWN = {".DS_Store", "run.json", "report.md", "report.html", FIGURES, *(f"{name}.parquet" for name in TABLES)}
OWN_FIGURES = {".DS_Store", "figures.json", *(f"{name}.{kind}" for name in DRAWN for kind in ("png", "svg"))}


def check(folder: Path) -> None:
    """Raise ConfigError where an evaluation cannot be written to `folder` without taking away files of others."""
    if not folder.is_dir():
        if folder.exists() or folder.is_symlink():
            raise ConfigError(f"{folder} is no folder, so no evaluation can be written there. Name another --out.")
        return
    figures = folder / FIGURES
    leftovers.sweep(folder)
    foreign = [path for path in sorted(folder.iterdir()) if path.name not in OWN]
    if figures.is_dir():
        leftovers.sweep(figures)
        foreign += [path for path in sorted(figures.iterdir()) if path.name not in OWN_FIGURES]
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise ConfigError(
            f"{folder} holds what no evaluation has written ({foreign[0].relative_to(folder)}{more}), and a new "
            "evaluation takes the place of the whole folder. Name another --out, or move these files."
        )
