"""Writing a site: a folder of pages that can be served, or opened as it is, without a network.

Folders are those of the results, so that pages which lead to each other still do: `<scenario>/<run>/report.html`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lersbench.errors import ConfigError, LersbenchError
from lersbench.files import read_json, replacing
from lersbench.report.blocks import Block, Link
from lersbench.report.html import to_html
from lersbench.report.pages import write_whole
from lersbench.site import catalogue, comparison, index
from lersbench.site.catalogue import STUDY, Entry
from lersbench.site.index import Changed
from lersbench.studies.kinds import AnyResults
from lersbench.studies.page import REPORT
from lersbench.words import one_line

FILES = "lersbench-site.json"  # the names of all files of a site: how it is known, and what may be replaced


@dataclass
class Listed:
    """What the index needs of all runs."""

    runs: dict[str, list[Entry]] = field(default_factory=dict)  # by scenario, the last first
    changes: list[Changed] = field(default_factory=list)  # those made last first


def write(results: Path, site: Path, say: Callable[[str], None]) -> Path:
    """Write all runs under `results` as a site into the folder `site`; its index page.

    A site that is there is replaced as a whole. Raises ConfigError where `site` holds anything else, or where one of
    the two folders lies inside the other.
    """
    _check(results, site)
    runs = catalogue.runs(results)
    pages = catalogue.studies(results)
    if not runs and not pages:
        raise ConfigError(f"There are no results in {results}. Fix: lersbench bench active")
    with replacing(site.resolve()) as folder:  # "." has no name
        folder.mkdir(parents=True)
        listed = Listed()
        for number, (name, some) in enumerate(runs.items(), 1):
            say(f"[{number}/{len(runs)}] {one_line(name)}: {len(some)} run{'s' * (len(some) > 1)}")
            _write_scenario(some, folder, listed, say)
        for page in pages:
            _copy(page.path, folder / page.path.parent.name / STUDY)
        newest = sorted(listed.changes, key=lambda one: one.after, reverse=True)
        _write(index.document(str(results), listed.runs, pages, newest), index.TITLE, folder / "index.html")
        names = sorted(path.relative_to(folder).as_posix() for path in _files(folder))
        write_whole(folder / FILES, json.dumps({"lersbench": "site", "files": [*names, FILES]}, indent=1) + "\n")
    return site / "index.html"


def _write_scenario(runs: list[Path], folder: Path, listed: Listed, say: Callable[[str], None]) -> None:
    """The reports of all runs of a scenario, and a page for every two that follow each other in time."""
    entries: dict[Path, Entry] = {}
    before: AnyResults | LersbenchError | None = None
    for run in catalogue.in_time(runs):
        after = catalogue.loaded(run)
        entries[run] = catalogue.entry(run, after)
        if entries[run].has_report:
            _copy(run / REPORT, folder / run.parent.name / run.name / REPORT)
        if before is not None and not isinstance(before, LersbenchError) and not isinstance(after, LersbenchError):
            listed.changes += _compared(before, after, folder, say)
        before = after if not isinstance(after, LersbenchError) else before
    listed.runs[runs[0].parent.name] = [entries[run] for run in runs]


def _compared(before: AnyResults, after: AnyResults, folder: Path, say: Callable[[str], None]) -> Iterator[Changed]:
    """Write the page of two runs; none where they share no metric, say, or are of two scenarios in one folder."""
    try:
        with catalogue.told():
            found = comparison.of_runs(before, after)
    except LersbenchError as error:
        say(f"not compared: {error}")
        return
    scenario = after.path.parent.name
    links = [
        Link(f"Report of {one.path.name}", f"{one.path.name}/{REPORT}")
        for one in (before, after)
        if (one.path / REPORT).is_file()
    ]
    page = Path(scenario) / f"{before.path.name}-to-{after.path.name}.html"
    blocks = comparison.document(before, after, found, links)
    _write(blocks, f"{after.title}: what changed", folder / page)
    told = (before.path.name, after.path.name, comparison.changed(found), comparison.answer(found).lead)
    yield Changed(page.as_posix(), scenario, *told)


def _write(blocks: list[Block], title: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, to_html(blocks, title))


def _copy(page: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(page, to)


# What may be replaced -------------------------------------------------------------------------------------------------
def _check(results: Path, site: Path) -> None:
    """Raise ConfigError where a site cannot be written without taking away files of others."""
    ours, theirs = site.resolve(), results.resolve()
    if ours == theirs or ours in theirs.parents or theirs in ours.parents:
        raise ConfigError(f"{site} and {results} lie inside each other. Fix: name a folder beside the results.")
    if not site.is_dir():
        if site.exists() or site.is_symlink():
            raise ConfigError(f"{site} is no folder, so no site can be written there. Fix: name another.")
        return
    known = _known(site)
    foreign = sorted(path.relative_to(site).as_posix() for path in _files(site) if path.relative_to(site) not in known)
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise ConfigError(
            f"{site} holds what no site has written ({one_line(foreign[0])}{more}), and a new site takes the place of "
            "the whole folder. Fix: name another folder, or move these files."
        )


def _known(site: Path) -> set[Path]:
    """The files of the site that is there, as it says itself; none where there is none."""
    try:
        return {Path(name) for name in read_json(site / FILES)["files"]}
    except (OSError, ValueError, TypeError, KeyError):
        return set()


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder, and links, whatever they lead to."""
    return (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
