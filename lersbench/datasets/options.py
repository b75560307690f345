"""The options of a data source are the keyword arguments of its `build`: read from there, checked against there."""

from __future__ import annotations

import datetime
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from lersbench.errors import ConfigError, did_you_mean


@dataclass(frozen=True)
class Option:
    """One option: the types it may have, its default, and its choices (empty where any value of the type will do)."""

    name: str
    types: tuple[type, ...]
    default: Any
    choices: tuple[Any, ...] = ()

    def __str__(self) -> str:
        kind = "|".join(str(c) for c in self.choices) or "|".join(t.__name__ for t in self.types if t is not NoneType)
        return (
            f"{self.name}: {kind}" if self.default is inspect.Parameter.empty else f"{self.name}={self.default}: {kind}"
        )


def options_of(build: Callable[..., Any]) -> dict[str, Option]:
    """The options of a `build(out, *, ...)`, from its signature and annotations."""
    hints = get_type_hints(build)
    found = {}
    for name, parameter in inspect.signature(build).parameters.items():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            hint = hints[name]
            choices = get_args(hint) if get_origin(hint) is Literal else ()
            if choices:
                types = tuple({type(choice) for choice in choices})
            else:
                types = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
            found[name] = Option(name, types, parameter.default, choices)
    return found


def checked(source: str, options: Mapping[str, Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """The full set of options: `given` over the defaults. An integer will do for a float, a date of TOML for a text.

    Raises ConfigError for an unknown name, a wrong type, a value that is not among the choices, or one left out
    that has no default.
    """
    for name in given:
        if name not in options:
            raise ConfigError(f"{source} has no option {name!r}{did_you_mean(name, options, 'known are')}")
    full = {}
    for name, option in options.items():
        value = given.get(name, option.default)
        if isinstance(value, datetime.date) and str in option.types:
            value = _iso(value)
        if value is inspect.Parameter.empty:
            raise ConfigError(f"{source} needs the option {name!r} ({option}).")
        if type(value) is int and float in option.types and int not in option.types:
            value = float(value)
        if type(value) not in option.types:
            raise ConfigError(f"{source}: option {name} = {value!r} is of type {type(value).__name__}; give {option}.")
        if option.choices and value not in option.choices:
            raise ConfigError(f"{source}: option {name} = {value!r} is none of {', '.join(map(repr, option.choices))}.")
        full[name] = value
    return full


def _iso(value: datetime.date) -> str:
    """ISO text; a time at midnight is its date."""
    midnight = isinstance(value, datetime.datetime) and value.time() == datetime.time() and value.tzinfo is None
    return (value.date() if midnight and isinstance(value, datetime.datetime) else value).isoformat()


def at_least(low: float, **values: float) -> None:
    """Raise ConfigError for the first of `values` that is below `low`."""
    for name, value in values.items():
        if not value >= low:
            raise ConfigError(f"option {name} = {value} must be at least {low}.")
