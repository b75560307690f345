"""Flags of commands, made from the options of data sources."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import MISSING
from typing import Any

import click

from lersbench.options import Option, options_of


def flags(kind: type, names: Sequence[str]) -> Callable[[Any], Any]:
    """A decorator that gives a command a flag for each of these options of the dataclass `kind`, in this order."""
    options = options_of(kind)

    def decorated(command: Any) -> Any:
        for name in reversed(names):
            command = _flag(options[name])(command)
        return command

    return decorated


def _flag(option: Option) -> Callable[[Any], Any]:
    flag = f"--{option.name.replace('_', '-')}"
    if bool in option.types:
        return click.option(flag, is_flag=True, help=option.help)
    words = {"type": _kind(option), "metavar": option.metavar, "help": option.help or None}
    if option.default is MISSING:  # a default of None, said, would do for one that is required
        return click.option(flag, required=True, **words)
    return click.option(flag, default=option.default, show_default=option.default not in (None, ""), **words)


def _kind(option: Option) -> Any:
    if option.choices:
        return click.Choice(option.choices)
    kind = next(kind for kind in option.types if kind is not type(None))
    if option.range is None:
        return kind
    within: Any = {int: click.IntRange, float: click.FloatRange}[kind]
    open = option.range.open
    return within(option.range.least, option.range.most, min_open=open, max_open=open and option.range.most is not None)
