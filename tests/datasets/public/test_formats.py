"""The table of public formats, its commands and its page."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path

import pytest

from lersbench.datasets.public import FORMATS
from lersbench.options import options_of
from tests.datasets.public.common import run

PAGE = Path(__file__).parents[3] / "docs" / "formats.md"


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_its_facts_a_command_and_a_section(name: str) -> None:
    source = importlib.import_module(FORMATS[name].module)
    assert source.TITLE and source.LICENCE and isinstance(source.ATTRIBUTION, str)
    assert re.match("(Not tried|Tried) on the real files", source.TRIED)
    listed = run(name, "--help").stdout
    for option in options_of(FORMATS[name].options):
        assert (f"--{option.replace('_', '-')} " in listed) == (option != "path")
    (section,) = re.findall(
        rf"^## {name}\n(.*?)(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert f"module `{FORMATS[name].module}`" in " ".join(section.split())
    assert f"lersbench import {name} " in section and "lersbench bench ./" in section
    assert "Licence: " in section and "ried on the real files" in section


def test_the_commands_of_the_page_have_known_options() -> None:
    for words in re.findall(r"^lersbench import (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE):
        name, *rest = words.split()
        known = {f"--{option.replace('_', '-')}" for option in options_of(FORMATS[name].options)}
        assert {word for word in rest if word.startswith("--")} <= known


def test_the_scenarios_of_the_page_are_toml() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert [tomllib.loads(block)["replay"]["feedback"] for block in blocks] == ["bandit", "replay"]
