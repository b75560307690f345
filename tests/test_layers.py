"""The rooms of the package, and what each may import: downward only. Neither metrics nor figures know policies."""

from __future__ import annotations

import ast
import configparser
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import lersbench

ROOT = Path(lersbench.__file__).parent
GROUND = {
    "errors",
    "words",
    "system",
    "files",
    "tables",
    "sources",
    "neighbours",
    "ranges",
    "distributions",
    "ranks",
    "durations",
    "growth",
    "families",
    "options",
    "bounds",
    "policy",
    "metrics",
    "feedback",
    "columns",
}
ROOMS: dict[str, set[str]] = {  # room: the rooms it may import, beside the ground below it and itself
    "errors": set(),
    "words": {"errors"},
    "files": {"errors", "words", "system"},
    "system": {"errors", "words", "files", "sources"},
    "sources": set(),
    "neighbours": {"errors", "sources"},
    "tables": {"words"},
    "ranges": {"errors"},
    "distributions": {"errors"},
    "ranks": {"distributions"},
    "options": {"errors"},
    "columns": set(),
    "durations": set(),
    "growth": set(),
    "families": set(),
    "metrics": {"kernels", "offpolicy"},
    "feedback": {"errors", "words"},
    "bounds": {"errors", "metrics"},
    "policy": {"errors", "neighbours", "kernels", "ranges", "options", "policies"},
    "kernels": {"errors", "sources", "system"},
    "learners": {*GROUND, "kernels"},
    "neural": {*GROUND, "kernels"},
    "log": {*GROUND, "kernels"},
    "clicks": {*GROUND, "kernels", "log"},
    "offpolicy": {"errors", "distributions", "ranks", "kernels", "clicks"},
    "policies": {*GROUND, "kernels", "learners", "neural"},
    "engine": {*GROUND, "kernels", "log", "clicks", "offpolicy"},
    "testing": {*GROUND, "kernels", "log", "engine", "policies"},
    "datasets": {*GROUND, "kernels", "log", "clicks", "offpolicy"},
    "results": {*GROUND},
    "bench": {*GROUND, "kernels", "learners", "neural", "log", "clicks", "offpolicy", "engine", "datasets", "results"},
    "evaluation": {
        *GROUND,
        "kernels",
        "log",
        "clicks",
        "offpolicy",
        "engine",
        "datasets",
        "results",
        "bench",
    },
    "audit": {*GROUND, "kernels", "log", "clicks", "offpolicy", "engine", "datasets", "results", "evaluation"},
    "lab": {*GROUND, "bench", "neural", "datasets", "results"},
    "figures": {*GROUND, "results", "clicks"},
    "report": {*GROUND, "results", "figures", "clicks"},
    "exports": {*GROUND, "results"},
    "studies": {*GROUND, "bench", "lab", "evaluation", "results", "figures", "report"},
    "site": {*GROUND, "results", "report", "studies"},
}
DOORS = {"cli", "api", "__main__"}  # may import everything; nobody imports them
MODULES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """All of a syntax tree that is run: what stands under `if TYPE_CHECKING` is not."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from statements(child)


def names_in(nodes: Iterable[ast.AST]) -> set[str]:
    """The modules that are imported, and what is taken from them as "module.name"."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported(path: Path) -> set[str]:
    """The rooms of the package that a file imports from, wherever the statement stands."""
    names = names_in(ast.walk(ast.parse(path.read_text())))
    return {name.split(".")[1] for name in names if name.startswith("lersbench.")} - {"__version__"}


def circles(imports: dict[str, set[str]]) -> dict[str, set[str]]:
    """The modules that import each other in circles, or stand above such, with what is left of their imports."""
    left = dict(imports)
    while free := [name for name, others in left.items() if not others & left.keys()]:
        for name in free:
            del left[name]
    return {name: others & left.keys() for name, others in left.items()}


def policies_in(source: str) -> set[str]:
    """The files of policies/ that a file there imports, without their ending."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(filter(None, ["lersbench.policies" if node.level else "", node.module]))
            names += [f"{base}.{alias.name}" for alias in node.names]
    return {name.split(".")[2] for name in names if name.startswith("lersbench.policies.")}


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


def test_no_module_is_imported_in_a_circle_not_even_by_an_import_in_a_function() -> None:
    modules = {".".join(path.relative_to(ROOT.parent).with_suffix("").parts): path for path in MODULES}
    modules = {name.removesuffix(".__init__"): path for name, path in modules.items()}
    imports: dict[str, set[str]] = {}
    for name, path in modules.items():
        taken = names_in(statements(ast.parse(path.read_text())))
        imports[name] = {one if one in modules else one.rpartition(".")[0] for one in taken} & modules.keys() - {name}
    assert sum(map(len, imports.values())) > len(modules)
    assert not circles(imports)


def test_a_circle_is_seen() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}) == {"a": {"b"}, "b": {"c"}, "c": {"b"}}
    assert names_in(statements(ast.parse("def f():\n from a import b\nif TYPE_CHECKING:\n import c"))) == {"a.b"}


@pytest.mark.parametrize("path", sorted((ROOT / "policies").glob("*.py")), ids=lambda p: p.stem)
def test_policies_know_no_other_policy_but_bases(path: Path) -> None:
    """What several policies share stands in `learners`, or in a base with an underscore."""
    assert all(name.startswith("_") for name in policies_in(path.read_text())), path


@pytest.mark.parametrize(
    ("line", "policies"),
    [
        ("from lersbench.policies.ucb1 import bounds", {"ucb1"}),
        ("from lersbench.policies import ucb1, _linear", {"ucb1", "_linear"}),
        ("import lersbench.policies.ucb1 as other", {"ucb1"}),
        ("from .ucb1 import bounds", {"ucb1"}),
        ("from . import ucb1", {"ucb1"}),
        ("from lersbench.learners.counts import bounds", set()),
    ],
)
def test_an_import_of_a_policy_is_seen(line: str, policies: set[str]) -> None:
    assert policies_in(line) == policies


def test_only_the_log_and_the_datasets_know_parquet() -> None:
    allowed = (
        "log/",
        "datasets/",
        "system/unpack",
        "bench/store",
        "bench/curves",
        "bench/tidy",
        "lab/curve",
        "bench/addresses",
        "bench/run_folder",
        "bench/runs",
        "bench/replays",
        "results/",
        "lab/run",
        "policies/scores",
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
