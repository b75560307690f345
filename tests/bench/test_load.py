"""Finding and making policies: every way to name one, and a way out of every mistake."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lersbench.errors import ConfigError
from lersbench.policy import find, load
from tests.bench.test_replays import POLICY

TWO = POLICY + POLICY.partition("\n\n\n")[2].replace("class Mean", "class Other")


def test_by_name_dotted_name_class_and_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").touch()
    (tmp_path / "pkg" / "own.py").write_text(TWO)
    (tmp_path / "mean.py").write_text(POLICY)
    monkeypatch.chdir(tmp_path)
    assert type(load("linucb", alpha=1)).__name__ == "LinUCB"
    assert type(load("iba_linucb")).__name__ == "IBALinUCB"
    assert find("pkg.own:Other").__name__ == "Other"  # the folder one stands in is looked in
    for name in ("./mean.py", "mean.py", str(tmp_path / "mean.py"), "./mean.py:Mean"):
        assert find(name).__name__ == "Mean"
    assert find("./pkg/own.py:Other").__name__ == "Other"


@pytest.mark.parametrize(
    "name,complaint",
    [
        ("linucp", "did you mean 'linucb'"),
        ("./two.py", "name one as './two.py:ClassName'"),
        ("./two.py:Third", "no policy class 'Third'"),
        ("./gone.py", "no policy file"),
        ("./README.md", "takes a Python file"),
        ("no_such_pkg.policy", "no module 'no_such_pkg.policy'"),
        ("./broken.py", "SyntaxError"),
    ],
)
def test_what_cannot_be_found(name: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.py").write_text(TWO)
    (tmp_path / "README.md").write_text("# hello")
    (tmp_path / "broken.py").write_text("def (")
    with pytest.raises(ConfigError, match=complaint.replace("(", r"\(")) as caught:
        find(name)
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize(
    "params,complaint",
    [
        ({"alhpa": 1.0}, "did you mean 'alpha'"),
        ({"alpha": "much"}, "takes float, not 'much'"),
        ({"alpha": True}, "takes float, not True"),
        ({"alpha": float("inf")}, "not inf"),
    ],
)
def test_hyper_parameters_that_are_wrong(params: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load("linucb", **params)


def test_types_of_hyper_parameters(tmp_path: Path) -> None:
    path = tmp_path / "typed.py"
    path.write_text(
        POLICY.replace("prior: float = 0.5", "prior: float | None = None\n    size: int = 3\n    kind: str = 'a'")
    )
    made = load(str(path), prior=1, size=4.0, kind="b")
    assert made.prior == 1.0 and made.size == 4 and isinstance(made.size, int) and made.kind == "b"  # type: ignore[attr-defined]
    for wrong in ({"size": 2.5}, {"kind": 3}, {"prior": "x"}):
        with pytest.raises(ConfigError, match="takes"):
            load(str(path), **wrong)


def test_a_class_without_the_decorator_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "plain.py"
    path.write_text(POLICY.replace("@dataclass(frozen=True)\n", ""))
    with pytest.raises(ConfigError, match=r"put @dataclass\(frozen=True\) above"):
        load(str(path), prior=1.0)


def test_without_torch_the_neural_policies_say_what_they_need() -> None:
    """Everything else goes on: scenarios are played without them, which they say."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from lersbench.bench import scenario\nfrom lersbench.cli import listing\n"
        "rows = {row['name']: row['what'] for row in listing.policies()}\n"
        "assert 'lersbench[neural]' in rows['lers'] and 'LinUCB' in rows['linucb'], rows\n"
        "told = scenario.read('active')\n"
        "assert {'lers', 'neural-ucb diagonal'} < set(told.left_out), told.left_out\n"
        "assert [entry.label for entry in scenario.entries(told)][-1] == 'linucb, warm'\n"
        "assert {row.policy for row in told.published.policies} == "
        "{'random', 'ucb1', 'linucb alpha=0.3', 'exp3 gamma=0.2'}\n"
        "added = told.model_copy(update={'policies': [*told.policies, {'name': 'lers'}]})\n"
        "assert scenario.resolved(added, 'active')[0].policies == told.policies\n"
        "try:\n    scenario.resolved(added, 'active', ['lers'])\n"
        "except scenario.MissingPackage as error: assert 'lersbench[neural]' in str(error)\n"
        "else: raise AssertionError('asked for by name, and left out')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
