"""The tables of README and docs that come from runs: compared with what the code gives now, or written anew.

    python -m benchmarks.tables            # ends with 1 where a document differs from what the code gives
    python -m benchmarks.tables --write    # writes the tables anew

Tables are declared in docs/tables.toml. Runs are those of `lersbench bench`, kept in results/: what nothing has changed
of is not played again. Values of networks depend on the processor and on torch, which a table names: on another kind
the rows of networks, and what is relative to them (ranks), are not compared, and that is said.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click

import lersbench as lb
from lersbench.results import words
from lersbench.results.ranking import board
from lersbench.results.tables import Results

ROOT = Path(__file__).parent.parent
DECLARED = ROOT / "docs" / "tables.toml"
RELATIVE = ("rank", "rank, this log", "P(best) %")  # columns that depend on all contenders
PLACE = re.compile(r"<!-- table: ([\w-]+) ?(.*?) ?-->\n(.*?)<!-- end of table -->", re.DOTALL)


class Made(NamedTuple):
    """A table as the code gives it: `on` is what its networks depend on, `networks` are the labels of these."""

    head: list[str]
    rows: list[list[str]]
    on: str
    networks: set[str]

    def text(self, name: str) -> str:
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"<!-- table: {name} ({self.on}) -->\n{table}\n<!-- end of table -->"


def made(about: dict[str, Any], results: Results) -> Made:
    """A declared table from the results of its scenario."""
    ranking = board(results)
    variant = about.get("variant", results.variants[0])
    head, rows = words.cells(ranking, variant, about["feedback"])
    unknown = set(about["columns"]) - set(head)
    if unknown:
        raise click.ClickException(f"docs/tables.toml asks for columns that are not there: {unknown}; there are {head}")
    places = [head.index(column) for column in about["columns"]]
    networks = set(results.meta.get("torch_policies", []))
    named = {policy for policy, entry in results.entries.items() if entry in networks}
    machine, versions = results.meta["machine"], results.meta["versions"]
    on = ", ".join(filter(None, [machine.get("processor", ""), versions.get("torch", "")]))
    some = about.get("policies", [row[head.index("policy")] for row in rows])
    rows = [row for row in rows if row[head.index("policy")] in some]
    kept = [[row[place].replace("|", "\\|") for place in places] for row in rows]
    return Made(about["columns"], kept, on, named)


def differences(name: str, on: str, table: str, now: Made) -> Iterator[str]:
    """What of a table in a document is not as the code gives it now."""
    stands = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.strip().splitlines()]
    elsewhere = on.strip("()") != now.on
    if not stands or stands[0] != now.head:
        yield f"{name}: its columns are {stands[:1]}, and should be {now.head}"
        return
    policy = now.head.index("policy")
    old = {row[policy]: row for row in stands[2:]}
    for row in now.rows:
        label = row[policy]
        if elsewhere and label in now.networks:
            continue
        there = old.get(label)
        for column, cell in zip(now.head, row, strict=True):
            if elsewhere and column in RELATIVE:
                continue
            if there is None or there[now.head.index(column)] != cell:
                was = "nothing" if there is None else there[now.head.index(column)]
                yield f"{name}, {label}, {column}: {was} stands there, the code gives {cell}"
    for label in old.keys() - {row[policy] for row in now.rows}:
        yield f"{name}: {label} is not among the contenders any more"


def documents() -> list[Path]:
    return [ROOT / "README.md", ROOT / "METHODOLOGY.md", *sorted((ROOT / "docs").rglob("*.md"))]


def results_of(scenario: str, folder: Path) -> Results:
    click.echo(f"{scenario}: playing what is not in {folder} yet", err=True)
    return lb.run(scenario, results=folder)


@click.command()
@click.option("--write", is_flag=True, help="Write the tables anew.")
@click.option("--results", type=click.Path(path_type=Path), default=ROOT / "results", help="Folder of the runs.")
def main(write: bool, results: Path) -> None:
    """Compare the tables of README and docs with what the code gives, or write them anew."""
    declared = tomllib.loads(DECLARED.read_text(encoding="utf-8"))
    tables: dict[str, Made] = {}
    runs: dict[str, Results] = {}
    faults: list[str] = []
    for path in documents():
        text = path.read_text(encoding="utf-8")
        for name, on, table in PLACE.findall(text):
            if name not in declared:
                raise click.ClickException(f"{path.name} has a table '{name}' that docs/tables.toml does not declare")
            about = declared[name]
            scenario = about["scenario"]
            if name not in tables:
                runs[scenario] = runs.get(scenario) or results_of(scenario, results)
                tables[name] = made(about, runs[scenario])
            now = tables[name]
            if on.strip("()") != now.on:
                click.echo(f"{path.name}, {name}: networks were played on {on}, here on {now.on}: they are left out")
            faults += [f"{path.name}, {fault}" for fault in differences(name, on, table, now)]
        if write:
            path.write_text(PLACE.sub(lambda found: tables[found[1]].text(found[1]), text), encoding="utf-8")
    for fault in faults:
        click.echo(f"{'written anew: ' if write else ''}{fault}")
    if faults and not write:
        click.echo("Fix: make tables ARGS=--write", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
