"""`python -m benchmarks.neural [active|normal ...] [--policy NAME]`: seconds of one replicate of each neural policy.

Each policy plays alone, in a process of its own on one core, on the simulated live-shopping platform in the study's
size (normal: 2,602 customers x 1,023 products, active: 1,000 x 200): the LERS policies with the whole reward row, as in
the study, the others with the reward of what they showed. Beside it stand the seconds it may take, and those that the
study told of a workstation with a GPU.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from lersbench.bench import replays, scenario
from lersbench.results.tables import load

POLICIES = {  # label: (name, options)
    "lers": ("lers", {}),
    "lers-context": ("lers-context", {}),
    "lers-recommendation": ("lers-recommendation", {}),
    "lers-both": ("lers-both", {}),
    "neural-ucb": ("neural-ucb", {}),
    "neural-ucb diagonal": ("neural-ucb", {"matrix": "diagonal"}),
    "neural-ts": ("neural-ts", {}),
    "neural-linear": ("neural-linear", {}),
    "bayes-by-backprop": ("bayes-by-backprop", {}),
}
CAPS = {  # seconds; "-" where none was set
    "normal": {"lers": 75, "lers-context": 75, "lers-recommendation": 180, "lers-both": 180, "neural-ucb": 240}
    | {"neural-ucb diagonal": 25},
    "active": {"lers": 18, "lers-context": 18, "lers-recommendation": 24, "lers-both": 24, "neural-ucb": 25},
}
PUBLISHED = {
    "normal": {"lers": "38", "lers-context": "41", "lers-recommendation": "51", "lers-both": "50"}
    | {"neural-ucb": "2,573 to 3,106"},
    "active": {"lers": "9", "lers-context": "8", "lers-recommendation": "16", "lers-both": "19", "neural-ucb": "263"},
}


def seconds(which: str, label: str, results: Path) -> float:
    """Play one replicate; the seconds of its replay."""
    name, options = POLICIES[label]
    told = scenario.read(which, {"replay.seeds": 1}, "livestream")
    feedback = "full" if name.startswith("lers") else "bandit"
    told = told.model_copy(
        update={"name": "x", "policies": [{"name": name, "label": label, "feedback": feedback, **options}]}
    )
    run = replays.bench(told, results, threads=1, say=lambda message: None)
    ((_, _, spent),) = load(run.folder).meta["policy_seconds"]
    return float(spent)


@click.command()
@click.argument("scenarios", nargs=-1)
@click.option("--policy", "only", multiple=True, help="These alone.")
def main(scenarios: tuple[str, ...], only: tuple[str, ...]) -> None:
    """Print a table of seconds."""
    click.echo("| scenario | policy | seconds | at most | published, on a GPU |\n| --- | --- | ---: | ---: | ---: |")
    for which in scenarios or ("active", "normal"):
        for label in only or POLICIES:
            with tempfile.TemporaryDirectory() as folder:
                spent = seconds(which, label, Path(folder))
            cap, told = CAPS[which].get(label, "-"), PUBLISHED[which].get(label, "-")
            click.echo(f"| {which} | {label} | {spent:.1f} | {cap} | {told} |")


if __name__ == "__main__":
    main()
