"""What the README shows works as it stands there: its policies, and its Python."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from lersbench.policy import find
from lersbench.testing import checks, engines

README = Path(__file__).parent.parent / "README.md"
LONGEST = 25  # lines of the section on Python


@pytest.mark.parametrize("name", ["greedy", "two_layers"])
def test_the_policies_of_the_readme_keep_the_contract(name: str, tmp_path: Path) -> None:
    found = re.search(rf"```python\n# {name}\.py\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    (tmp_path / f"{name}.py").write_text(found[1])
    policy = find(str(tmp_path / f"{name}.py"))
    for contract in checks.CHECKS:
        contract(engines.Bench(policy()))


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (section,) = re.findall(r"^## From Python\n(.*?)^## ", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert section.count("\n") <= LONGEST
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    for _ in range(2):  # as a notebook may
        for code in re.findall(r"```python\n(.*?)```", section, re.DOTALL):
            exec(compile(code, "README.md", "exec"), names)
    assert list(names["best_first"]["policy"].sort_values()) == ["Last", "random"]
    assert all(path.is_file() for path in names["figures"])
