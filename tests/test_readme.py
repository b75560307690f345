"""The policies that the README shows, as they stand there, are policies."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lersbench.policy import find
from lersbench.testing import checks

README = Path(__file__).parent.parent / "README.md"


@pytest.mark.parametrize("name", ["greedy", "two_layers"])
def test_the_policies_of_the_readme_keep_the_contract(name: str, tmp_path: Path) -> None:
    found = re.search(rf"```python\n# {name}\.py\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    (tmp_path / f"{name}.py").write_text(found[1])
    policy = find(str(tmp_path / f"{name}.py"))
    for contract in checks.CHECKS:
        contract(checks.Bench(policy()))
