"""Options: the fields of a frozen dataclass, each with its type, its default and what `option` says of it.

What a file of settings may hold, what a command line offers and what a message says of either is made from them.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from lersbench.errors import ConfigError, did_you_mean


@dataclass(frozen=True)
class Range:
    """The numbers from `least` to `most` (None: without end), these two included unless `open`."""

    least: float
    most: float | None = None
    open: bool = False
    remark: str = ""  # ends the sentence that refuses a number

    def __contains__(self, value: float) -> bool:
        if self.open:
            return value > self.least and (self.most is None or value < self.most)
        return value >= self.least and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        if self.most is not None:
            return f"lie between {self.least} and {self.most}{self.remark}"
        return f"be {'above' if self.open else 'at least'} {self.least}{self.remark}"


@dataclass(frozen=True)
class Option:
    """One option: the types it may have, its default, its choices (empty where any value will do), and its range."""

    name: str
    types: tuple[Any, ...]
    default: Any = MISSING
    choices: tuple[Any, ...] = ()
    range: Range | None = None
    help: str = ""  # for a command line, as is
    metavar: str | None = None

    def __str__(self) -> str:
        kind = "|".join(str(c) for c in self.choices) or "|".join(t.__name__ for t in self.types if t is not NoneType)
        return f"{self.name}: {kind}" if self.default is MISSING else f"{self.name}={self.default}: {kind}"

    def typed(self, value: Any) -> Any:
        """`value` as one of the types: an integer is a float, a whole float an integer, a date of TOML a text, a text a
        path, and nothing else is converted. Raises TypeError for what is none of them."""
        if isinstance(value, bool):
            if bool in self.types:
                return value
        elif isinstance(value, int | float):
            if float in self.types and (isinstance(value, float) or abs(value) <= sys.float_info.max):
                return float(value)
            if int in self.types and (isinstance(value, int) or value.is_integer()):
                return int(value)
        elif any(isinstance(value, kind) for kind in self._classes()):
            return value
        elif isinstance(value, datetime.date) and str in self.types:
            return _iso(value)
        elif isinstance(value, str) and Path in self.types:
            return Path(value)
        raise TypeError(f"{value!r} is no value of {self}")

    def _classes(self) -> list[type]:
        classes = (get_origin(kind) or kind for kind in self.types)  # tuple of tuple[int, ...]
        return [kind for kind in classes if isinstance(kind, type)]

    def refusal(self, value: Any) -> str:
        """What is wrong with a `value` of the right type, as a sentence; "" where nothing is."""
        if value is None:
            return ""
        if self.choices and value not in self.choices:
            near = did_you_mean(str(value), map(str, self.choices))
            return f"option {self.name} = {value!r} is none of {', '.join(map(repr, self.choices))}{near}"
        if self.range is not None and value not in self.range:
            return f"option {self.name} = {value} must {self.range}."
        return ""


@dataclass(frozen=True, kw_only=True)
class OptionSet:
    """Base of dataclasses of options. Raises ConfigError for a value that is none of the choices or out of range."""

    def __post_init__(self) -> None:
        for option in options_of(type(self)).values():
            if wrong := option.refusal(getattr(self, option.name)):
                raise ConfigError(wrong)


def option(
    default: Any = MISSING,
    *,
    least: float | None = None,
    most: float | None = None,
    open: bool = False,
    remark: str = "",
    help: str = "",
    metavar: str | None = None,
) -> Any:
    """A field with a range (see `Range`), with words for a command line, or both."""
    bounds = None if least is None else Range(least, most, open, remark)
    return field(default=default, metadata={"option": {"range": bounds, "help": help, "metavar": metavar}})


def options_of(kind: type) -> dict[str, Option]:
    """The options of a dataclass by name. What a field that is declared again leaves out is that of the base."""
    hints = get_type_hints(kind)
    options = {}
    for entry in fields(kind):
        if entry.init:
            types, choices = _types(hints[entry.name])
            options[entry.name] = Option(entry.name, types, entry.default, choices, **_metadata(kind, entry.name))
    return options


def _types(hint: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The types that a hint allows, and the values where it lists them."""
    parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    types, choices = list[Any](), list[Any]()
    for part in parts:
        if get_origin(part) is Literal:
            choices += get_args(part)
            types += dict.fromkeys(type(choice) for choice in get_args(part))
        else:
            types.append(part)
    return tuple(types), tuple(choices)


def _metadata(kind: type, name: str) -> Mapping[str, Any]:
    for base in kind.__mro__:
        entry = vars(base).get("__dataclass_fields__", {}).get(name)
        if entry is not None and "option" in entry.metadata:
            return entry.metadata["option"]
    return {}


def checked(source: str, options: Mapping[str, Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """The full set of options: `given` over the defaults; see `Option.typed` for what is converted.

    Raises ConfigError for an unknown name, a wrong type, a value that is not among the choices or out of range, or one
    left out that has no default.
    """
    for name in given:
        if name not in options:
            raise ConfigError(f"{source} has no option {name!r}{did_you_mean(name, options, 'known are')}")
    full = {}
    for name, option in options.items():
        value = given.get(name, option.default)
        if value is MISSING:
            raise ConfigError(f"{source} needs the option {name!r} ({option}).")
        try:
            full[name] = option.typed(value)
        except TypeError as error:
            kind = type(value).__name__
            raise ConfigError(f"{source}: option {name} = {value!r} is of type {kind}; give {option}.") from error
        if wrong := option.refusal(full[name]):
            raise ConfigError(f"{source}: {wrong}")
    return full


def _iso(value: datetime.date) -> str:
    """ISO text; a time at midnight is its date."""
    midnight = isinstance(value, datetime.datetime) and value.time() == datetime.time() and value.tzinfo is None
    return (value.date() if midnight and isinstance(value, datetime.datetime) else value).isoformat()
