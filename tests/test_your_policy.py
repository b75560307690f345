"""What docs/your-policy.md shows works: its files are made and run as it says, and its policies play."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lersbench.bench import objects, scenario, session
from lersbench.cli import new_policy
from lersbench.engine.contender import Contender
from lersbench.engine.play import play
from lersbench.engine.rows import rows_of
from lersbench.files import read_toml
from lersbench.log import Log
from lersbench.policy import Policy
from tests.support import worlds
from tests.support.worlds import final

PAGE = (Path(__file__).parent.parent / "docs" / "your-policy.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```(?:python|toml)\n# (\w+\.\w+)\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = [shlex.split(line) for line in re.findall(r"^lersbench bench (.*)$", PAGE, re.MULTILINE)]
ROUNDS = 200
NEEDED = {  # by how a policy begins: the module that it needs
    "sklearn": "sklearn",
    "lightgbm": "lightgbm",
    "mabwiser": "mabwiser",
    "river": "river",
    "vw": "vowpalwabbit",
    "./two_layers.py": "torch",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of the page, made by its programs."""
    folder = tmp_path_factory.mktemp("shop")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    new_policy.write("quick", folder)
    for program in ("make_shop", "export_scores", "train_sklearn", "train_lightgbm"):
        package = NEEDED.get(program.removeprefix("train_"))
        if package is None or importlib.util.find_spec(package):
            subprocess.run([sys.executable, f"{program}.py"], cwd=folder, check=True)
    return folder


def played(policy: Policy) -> Contender:
    """A policy that has played the first rounds of the log of the page, in this folder."""
    log = Log("shop")
    rows = rows_of(next(log.read(1 << 30)), log.items, "bandit", 1)
    case = {"feedback": "bandit", "seeds": 1, "ranking": False}
    chosen, _ = objects.scenario_of(["random"], "shop", case, {"name": "page", "title": "page"}, None)
    spec = session.spec_of(chosen, log, scenario.cases(chosen)[0])
    made = Contender(policy, spec, worlds.protocol("bandit"), np.random.default_rng(0), np.array([ROUNDS]))
    return play(made, rows, np.arange(ROUNDS))


def test_the_page_has_an_example_of_each_kind() -> None:
    assert {"greedy.py", "near.py", "ranks.py", "two_layers.py", "shop.toml", "train_sklearn.py"} <= FILES.keys()
    assert len(COMMANDS) == 12


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[-1])
def test_a_command_of_the_page_plays(arguments: list[str], shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each policy of it once."""
    monkeypatch.chdir(shop)
    file, flag, policy = arguments
    assert (file, flag) == ("shop.toml", "--policy")
    package = NEEDED.get(policy.partition(":")[0])
    if package and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    entries = objects.entries_of([policy], ("bandit",))
    assert len(entries) == (2 if re.search(r"=[^,:]+,(?!\w+=)", policy) else 1)
    for entry in entries:
        assert played(entry.policy).meter.shown.sum() == ROUNDS


def test_models_rank_better_than_chance(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They know the year before, so a mistake in what they are given shows."""
    for package in ("sklearn", "lightgbm"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    monkeypatch.chdir(shop)
    models = ["sklearn:model=ranker.joblib,trust=true", "lightgbm:model=model.txt", "./near.py"]
    chance, *others = (
        final(played(entry.policy), "ctr_sum") for entry in objects.entries_of(["random", *models], ("bandit",))
    )
    assert min(others) > 1.3 * chance


def test_the_scenario_of_the_page_is_one(shop: Path) -> None:
    chosen = scenario.read(str(shop / "shop.toml"))
    labels = [entry.label for entry in scenario.entries(chosen)]
    assert labels == ["random", "linucb alpha=0.1", "linucb alpha=0.3", "popular prior=0.5"]
    assert read_toml(shop / "shop.toml")["policies"][0] == "random"


def test_the_scenario_of_the_peers_is_one(tmp_path: Path) -> None:
    """And has the policies that its table shows."""
    for package in ("mabwiser", "river", "vowpalwabbit"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    page = (Path(__file__).parent.parent / "docs" / "peers.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "peers.toml").write_text(text)
    called = {entry.label for entry in scenario.entries(scenario.read(str(tmp_path / "peers.toml")))}
    for table in page.split("| rank | policy |")[1:]:
        rows = re.findall(r"^\| \d[\d-]* \| (.*?) \|", table.partition("\n\n")[0], re.MULTILINE)
        assert len(rows) == len(called) == 13
        for row in rows:
            assert any(label.replace("explore=", "").partition(" alpha=")[0].startswith(row) for label in called), row
