"""The first page of a site: every run with what it found, newest first, and what changed from run to run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lersbench.report.blocks import Block, Heading, Table, Text
from lersbench.site.catalogue import Entry, StudyPage
from lersbench.studies import kinds

TITLE = "Results of lersbench"
SECTIONS = {kinds.SCENARIO.key: "Runs", kinds.EVALUATION.key: "Evaluations", kinds.EXPERIMENT.key: "Experiments"}
HEAD = ["what was run", "what it found", "how sure", "made (UTC)", "data", "seeds", "policies"]


@dataclass(frozen=True)
class Changed:
    """A page that compares two runs which follow each other in time; `page` is its path, relative to the index."""

    page: str
    scenario: str
    before: str
    after: str
    changed: str
    answer: str


def document(
    source: str, listed: Mapping[str, Sequence[Entry]], studies: Sequence[StudyPage], changes: Sequence[Changed]
) -> list[Block]:
    """The page as blocks. `listed` are the runs of every scenario, the last first."""
    entries = [entry for some in listed.values() for entry in some]
    whole = [entry for entry in entries if not entry.fault]
    last = {next((entry.path for entry in some if not entry.fault), None) for some in listed.values()}
    blocks: list[Block] = [Heading(1, TITLE), Text(_counted(source, entries, len(listed), studies))]
    if studies:
        blocks += [Heading(2, "Studies"), _studies(studies)]
    for key, title in SECTIONS.items():
        some = [entry for entry in whole if entry.kind == key and entry.path in last]
        blocks += [Heading(2, title), _table(some, title)] if some else []
    if changes:
        blocks += [Heading(2, "What changed from run to run"), _changes(changes)]
    if older := [entry for entry in whole if entry.path not in last]:
        blocks += [Heading(2, "Earlier runs"), _table(older, "Earlier runs")]
    if broken := [entry for entry in entries if entry.fault]:
        blocks += [Heading(2, "What could not be read"), _faults(broken)]
    return blocks


def _counted(source: str, entries: Sequence[Entry], scenarios: int, studies: Sequence[StudyPage]) -> str:
    counts = f"{_number(len(entries), 'run')} of {_number(scenarios, 'scenario')}"
    more = f", {len(studies)} {'study' if len(studies) == 1 else 'studies'}" if studies else ""
    return f"{counts}{more}, from {source}. A name leads to the report; one without a link has none."


def _studies(studies: Sequence[StudyPage]) -> Table:
    """A row a study: how sure what its parts found is; what that was stands on its page, and below."""
    rows, links = [], []
    for study in studies:
        counts = Counter(study.verdicts).most_common()
        told = ", ".join(f"{verdict} ({count})" for verdict, count in counts) or "-"
        parts = str(len(study.verdicts)) if study.verdicts else "-"
        rows.append([study.title, told, f"{study.made:%Y-%m-%d %H:%M}", parts])
        links.append(f"{study.path.parent.name}/{study.path.name}")
    head = ["study", "how sure its parts are", "written (UTC)", "parts"]
    return Table(head, rows, words=3, caption="Studies", links=links, prose=1)


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _table(entries: Sequence[Entry], caption: str) -> Table:
    """A row a run, those made last first."""
    ordered = sorted(entries, key=lambda entry: (entry.made, entry.path.name), reverse=True)
    links = list(map(_report, ordered))
    return Table(HEAD, [_row(entry) for entry in ordered], words=5, caption=caption, links=links, prose=1)


def _row(entry: Entry) -> list[str]:
    assert entry.found and entry.about  # only one that cannot be read has none
    found = [entry.found.lead, entry.found.verdict]
    return [f"{entry.title} ({entry.scenario})", *found, f"{entry.made:%Y-%m-%d %H:%M}", *entry.about]


def _faults(entries: Sequence[Entry]) -> Table:
    """Runs that are damaged, or of a version whose tables this one does not know; their reports are there still."""
    rows = [[f"{one.scenario}/{one.path.name}", one.fault, f"{one.made:%Y-%m-%d %H:%M}"] for one in entries]
    head = ["run", "why", "made (UTC)"]
    return Table(head, rows, 3, "What could not be read", links=list(map(_report, entries)), prose=1)


def _report(entry: Entry) -> str:
    """The page of its report, relative to the index; "" for none."""
    return f"{entry.scenario}/{entry.path.name}/report.html" if entry.has_report else ""


def _changes(changes: Sequence[Changed]) -> Table:
    rows = [[f"{one.scenario}: {one.before} to {one.after}", one.answer, one.changed] for one in changes]
    head = ["from run to run", "what moved", "what was changed"]
    return Table(head, rows, 3, "What changed from run to run", links=[one.page for one in changes], prose=1)
