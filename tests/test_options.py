"""Options are told once: as the fields of a dataclass."""

from __future__ import annotations

import datetime
import math
from dataclasses import FrozenInstanceError, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import click
import pytest
from click.testing import CliRunner

from lersbench.cli.flags import flags
from lersbench.errors import ConfigError
from lersbench.options import OptionSet, checked, option, options_of


@dataclass(frozen=True, kw_only=True)
class Shape(OptionSet):
    """What a shape has."""

    kind: Literal["round", "square"] | None = None
    size: int = option(3, least=1, help="How large.")
    weight: float = option(0.5, least=0, most=1, open=True)
    named: str = "x"
    place: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Small(Shape):
    """One with another default, and one option more."""

    size: int = 2
    colour: str = option(metavar="NAME")


@pytest.mark.parametrize(
    ("name", "given", "made"),
    [
        ("size", 4, 4),
        ("size", 4.0, 4),
        ("weight", 0.25, 0.25),
        ("kind", None, None),
        ("kind", "round", "round"),
        ("named", datetime.date(2020, 1, 2), "2020-01-02"),
        ("place", "a/b", Path("a/b")),
        ("place", Path("a/b"), Path("a/b")),
    ],
)
def test_a_value_of_the_right_type_is_taken(name: str, given: object, made: object) -> None:
    typed = checked("a shape", options_of(Shape), {name: given})[name]
    assert typed == made and type(typed) is type(made)


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("size", 0, "a shape: option size = 0 must be at least 1."),
        ("size", 4.5, "a shape: option size = 4.5 is of type float; give size=3: int."),
        ("size", True, "is of type bool"),
        ("size", math.inf, "is of type float"),
        ("weight", 1, "option weight = 1.0 must lie between 0 and 1."),
        ("weight", math.nan, "option weight = nan must lie between"),
        ("weight", 10**400, "is of type int"),
        ("named", None, "is of type NoneType"),
        ("kind", "sqare", "option kind = 'sqare' is none of 'round', 'square'; did you mean 'square'?"),
        ("kind", 1, "is of type int; give kind=None: round|square."),
        ("seize", 1, "a shape has no option 'seize'; did you mean 'size'?"),
    ],
)
def test_any_other_is_refused(name: str, given: object, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checked("a shape", options_of(Shape), {name: given})
    assert said in str(caught.value)


def test_the_dataclass_refuses_the_same_ranges_and_is_frozen() -> None:
    for wrong in ({"size": 0}, {"weight": 0.0}, {"kind": "flat"}):
        with pytest.raises(ConfigError, match=f"^option {next(iter(wrong))} = "):
            Shape(**wrong)
    with pytest.raises(FrozenInstanceError):
        Shape().size = 3  # type: ignore[misc]


def test_an_option_with_a_new_default_keeps_the_range_and_the_words_of_its_base() -> None:
    options = options_of(Small)
    assert (options["size"].default, options["size"].help) == (2, "How large.")
    with pytest.raises(ConfigError, match="option size = 0 must be at least 1"):
        Small(size=0, colour="red")
    with pytest.raises(ConfigError, match=r"needs the option 'colour' \(colour: str\)"):
        checked("a shape", options, {})
    assert list(options) == [own.name for own in fields(Small)]


def test_flags_are_made_of_options() -> None:
    @click.command()
    @flags(Small, ("kind", "size", "weight", "colour"))
    def command(**given: Any) -> None:
        print(sorted(given.items()))

    run = CliRunner().invoke
    assert "('kind', None), ('size', 2), ('weight', 0.5)]" in run(command, ["--colour", "red"]).output
    assert "'--colour'" in run(command, []).output
    for wrong in (["--size", "0"], ["--weight", "1"], ["--kind", "flat"]):
        done = run(command, ["--colour", "red", *wrong])
        assert done.exit_code == 2 and wrong[0] in done.output
    told = run(command, ["--help"]).output
    assert "How large." in told and "x>=1" in told and "0<x<1" in told and "--colour NAME" in told
