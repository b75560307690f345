"""Imports point downward, and neither metrics nor plots know policies or files they have no business with."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import lersbench

ROOT = Path(lersbench.__file__).parent
LAYERS = [  # each may import from those above it, and from its own line
    ("errors",),
    (
        "words",
        "files",
        "streams",
        "cachefolder",
        "jit",
        "sources",
        "progress",
        "exchange",
        "workers",
        "leftovers",
        "ending",
    ),
    (
        "borrow",
        "simd",
        "packed",
        "linalg",
        "digits",
        "ips",
        "metrics",
        "likes",
        "ranges",
        "bounds",
        "checksums",
        "chunk",
        "scaling",
    ),
    ("extent",),
    ("clickmodel", "propensity", "estimators"),
    ("unpack", "logfacts", "logformat", "logcheck", "logread", "logwrite", "log", "logscale"),
    ("ridge", "positions", "shared_ridge", "pbm", "ranked"),
    ("clickcells", "clickcounts", "clickem", "clickfit", "heldout", "clickfacts", "histories", "halves"),
    ("bayes", "nets", "confidence", "codes", "sequence", "recommenders"),
    ("policy", "warm", "neural", "gradient_bandit", "contexts", "lers", "policies", "datasets", "statistics", "alarms"),
    ("replay", "scenario", "store", "inputs", "lastrun", "stability", "leaderboard", "lifts"),
    ("study", "fitting", "requirements", "drawing", "projections", "labrules", "labfile", "labresults"),
    (
        "session",
        "plots",
        "sweeps",
        "crowds",
        "lersfigures",
        "logfigures",
        "clickfigure",
        "pages",
        "checks",
        "labwork",
        "labplots",
    ),
    ("runs", "findings", "published", "report", "labreport", "studypage", "newpolicy"),
    ("apart",),
    ("experiment", "listing", "lab"),
    ("arguments", "import_commands", "click_commands", "lab_commands"),
    ("cli",),
    ("__main__",),
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MODULES = sorted(p for p in ROOT.rglob("*.py") if p.name != "__init__.py" or p.parent != ROOT)


def unit(module: str) -> str:
    """The part of the package a dotted name belongs to."""
    return module.split(".")[1] if "." in module else ""


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= (
                {f"{node.module}.{alias.name}" for alias in node.names} if node.module == "lersbench" else {node.module}
            )
    return {unit(name) for name in found if name.startswith("lersbench.")} - {"__version__"}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_point_downward(path: Path) -> None:
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for name in imported(path):
        assert LEVEL[name] <= LEVEL[own], f"{own} imports {name}, which stands above it"


def test_only_the_log_and_the_datasets_know_parquet() -> None:
    logs = {"logformat", "logread", "logwrite", "logcheck", "datasets"}
    allowed = logs | {"unpack", "store", "runs", "leaderboard", "experiment", "labresults"}
    for path in MODULES:
        own = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if "import pyarrow" in path.read_text() or "read_parquet" in path.read_text():
            assert own in allowed, own


def test_analysis_knows_tables_and_never_policies() -> None:
    for name in ("statistics", "leaderboard", "plots", "report", "metrics"):
        assert not imported(ROOT / f"{name}.py") & {"policy", "policies", "replay", "session", "log"}


def test_torch_is_imported_by_no_module_of_the_core() -> None:
    parts = ("neural", "nets", "bayes", "confidence", "gradient_bandit", "codes", "contexts", "lers", "recommenders")
    names = ("neural_ucb", "neural_ts", "neural_linear", "bayes_by_backprop")
    allowed = {f"{name}.py" for name in (*parts, "sequence", "labwork", *(f"policies/{name}" for name in names))}
    for path in MODULES:
        text = path.read_text()
        found = any(f"{word} torch" in text for word in ("import", "from"))
        assert not found or path.relative_to(ROOT).as_posix() in allowed, path
