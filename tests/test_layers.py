"""The rooms of the package, and what each may import: downward only. Neither metrics nor figures know policies."""

from __future__ import annotations

import ast
import configparser
from pathlib import Path

import pytest

import lersbench

ROOT = Path(lersbench.__file__).parent
GROUND = {"errors", "words", "system", "files", "sources", "ranges", "bounds", "policy", "metrics"}
ROOMS: dict[str, set[str]] = {  # room: the rooms it may import, beside the ground below it and itself
    "errors": set(),
    "words": {"errors"},
    "files": {"errors", "words", "system"},
    "system": {"errors", "words", "files"},
    "sources": set(),
    "ranges": {"errors"},
    "metrics": {"kernels", "offpolicy"},
    "bounds": {"errors", "metrics"},
    "policy": {"errors", "kernels", "ranges", "policies"},
    "kernels": {"errors", "sources", "system"},
    "learners": {*GROUND, "kernels"},
    "neural": {*GROUND, "kernels"},
    "log": {*GROUND, "kernels"},
    "clicks": {*GROUND, "kernels", "log"},
    "offpolicy": {"errors", "kernels", "clicks"},
    "policies": {*GROUND, "kernels", "learners", "neural"},
    "engine": {*GROUND, "kernels", "log", "clicks", "offpolicy"},
    "testing": {*GROUND, "kernels", "log", "engine", "policies"},
    "datasets": {*GROUND, "kernels", "log", "clicks", "offpolicy"},
    "results": {*GROUND},
    "bench": {*GROUND, "kernels", "learners", "neural", "log", "clicks", "offpolicy", "engine", "datasets", "results"},
    "lab": {*GROUND, "bench", "neural", "datasets", "results"},
    "figures": {*GROUND, "results", "clicks"},
    "report": {*GROUND, "results", "figures", "clicks"},
    "studies": {*GROUND, "bench", "lab", "results", "figures", "report"},
}
DOORS = {"cli", "api", "__main__"}  # may import everything; nobody imports them
MODULES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """The rooms of the package that a file imports from, wherever the statement stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "lersbench":
            names |= {f"lersbench.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name.split(".")[1] for name in names if name.startswith("lersbench.")} - {"__version__"}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_point_downward(path: Path) -> None:
    own = room(path)
    if own not in DOORS:
        assert imported(path) <= ROOMS[own] | {own}, f"{own} imports what stands above it"


def test_every_room_stands_in_the_table_and_none_is_imported_in_a_circle() -> None:
    assert {room(path) for path in MODULES} == ROOMS.keys() | DOORS
    upper = set(ROOMS) - GROUND - {"kernels", "policies"}  # `policy` knows the folder of the policies, no more of it
    for one in upper:
        for other in ROOMS[one] & upper:
            assert one not in ROOMS[other], (one, other)


def test_only_the_log_and_the_datasets_know_parquet() -> None:
    allowed = (
        "log/",
        "datasets/",
        "system/unpack",
        "bench/store",
        "bench/runs",
        "bench/replays",
        "results/",
        "lab/run",
    )
    for path in MODULES:
        if "import pyarrow" in path.read_text() or "read_parquet" in path.read_text():
            assert path.relative_to(ROOT).as_posix().startswith(allowed), path


def test_torch_is_imported_by_no_module_of_the_core() -> None:
    names = ("_gradient", "_lers", "neural_ucb", "neural_ts", "neural_linear", "bayes_by_backprop")
    allowed = {f"policies/{name}.py" for name in names}
    for path in MODULES:
        where = path.relative_to(ROOT).as_posix()
        found = any(f"{word} torch" in path.read_text() for word in ("import", "from"))
        assert not found or where in allowed or where.startswith(("neural/", "lab/works")), path


def test_every_room_is_part_of_the_wheel() -> None:
    listed = configparser.ConfigParser()
    listed.read(ROOT.parent / "setup.cfg")
    rooms = {".".join(path.parent.relative_to(ROOT.parent).parts) for path in ROOT.rglob("__init__.py")}
    assert set(listed["options"]["packages"].split()) == rooms | {"lersbench.scenarios"}
