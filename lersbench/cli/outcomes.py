"""The flags of the imports that say which columns are outcomes, as `datasets.outcomes` takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from lersbench.errors import ConfigError, did_you_mean

OPTIONS = (
    click.option(
        "--outcome",
        "outcome_names",
        multiple=True,
        metavar="NAME[=COLUMN]",
        help="Column of numbers with what came of an item beside its click, as revenue; repeat.",
    ),
    click.option(
        "--outcome-range",
        "outcome_ranges",
        multiple=True,
        metavar="NAME=LOW:HIGH",
        help="The least and the most that an outcome can be; leave out an end that nobody knows, as revenue=0:",
    ),
    click.option(
        "--outcome-unit",
        "outcome_units",
        multiple=True,
        metavar="NAME=UNIT",
        help="Unit of an outcome, as EUR or s; its name by default.",
    ),
    click.option(
        "--empty-outcome",
        "outcome_empties",
        multiple=True,
        metavar="NAME=VALUE",
        help="Repair: what an empty cell of an outcome means, as revenue=0.",
    ),
)


def outcomes(
    names: Sequence[str], ranges: Sequence[str], units: Sequence[str], empties: Sequence[str], reward_range: str | None
) -> dict[str, dict[str, Any]]:
    """What the flags say of each outcome. Raises ConfigError for a flag that cannot be read."""
    said: dict[str, dict[str, Any]] = {}
    for text in names:
        name, _, column = text.partition("=")
        said[name] = {"column": column} if column else {}
    if reward_range is not None:
        said.setdefault("reward", {}).update(_range("--reward-range", reward_range))
    for text in ranges:
        name, value = _pair(f"--outcome-range {text}", text, said)
        said[name].update(_range(f"--outcome-range {text}", value))
    for text in units:
        name, value = _pair(f"--outcome-unit {text}", text, said)
        said[name]["unit"] = value
    for text in empties:
        name, value = _pair(f"--empty-outcome {text}", text, said)
        said[name]["empty"] = _number(f"--empty-outcome {text}", value)
    return said


def _pair(flag: str, text: str, said: dict[str, dict[str, Any]]) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value.strip()):
        raise ConfigError(f"{flag}: give NAME=VALUE, such as revenue={'0:500' if 'range' in flag else '0'}.")
    if name not in said:
        hint = did_you_mean(name, said, "there are") if said else f"; say --outcome {name} too."
        raise ConfigError(f"{flag}: {name} is no outcome{hint}")
    return name, value


def _range(flag: str, text: str) -> dict[str, float | None]:
    low, colon, high = text.partition(":")
    if not colon:
        raise ConfigError(f"{flag}: a range is LOW:HIGH, such as 0:500; leave out an end that nobody knows, as 0:")
    return {"low": _number(flag, low) if low.strip() else None, "high": _number(flag, high) if high.strip() else None}


def _number(flag: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(f"{flag}: {text!r} is no number.") from error
