"""A policy in words, as `--policy` and a scenario take it: a name alone, or with hyper-parameters.

    linucb                              as it stands
    linucb:alpha=0.1,0.3                a list is a sweep
    ./mine.py:Mine:alpha=0.1,beta=2     several options; also of a class of a file
    "linucb alpha=0.3 ridge=2"          the same in words apart: one value each, and a comma is part of it

What a value is (a number, true or false, a text) the table of the policy's options says. Quotes keep commas and colons
in a value: vw:args="-q ca,-q cf".
"""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lersbench.errors import ConfigError, did_you_mean
from lersbench.options import Option, options_of
from lersbench.policy import Policy, find, make

KEY = re.compile(r"[A-Za-z_]\w*(?==)")
OPTIONS = re.compile(r"(:|\s)\s*(?=[A-Za-z_]\w*=)")  # what stands before the first option
MARKS = re.compile(r"""([,:])(?=(?:[^'"]|'[^']*'|"[^"]*")*$)""")  # commas and colons outside of quotes


def words_of(text: str) -> dict[str, Any]:
    """The entry that a scenario would have: "name", and the values of its options, a list where there are several.

    Raises ConfigError for a policy that nobody knows, and for an option that it does not have or that is there twice.
    """
    parts = OPTIONS.split(text.strip(), maxsplit=1)
    if len(parts) == 1:
        return {"name": text.strip()}
    name, mark, rest = parts
    given = _after_colon(rest) if mark == ":" else _apart(text, rest)
    kind, entry = find(name), dict[str, Any](name=name)
    known = options_of(kind)
    for key, values in given:
        if key not in known:
            raise ConfigError(f"'{text}': {kind.__name__} has no option {key!r}{did_you_mean(key, known, 'it has')}")
        if key in entry:
            raise ConfigError(f"'{text}': the option {key!r} is there twice; a list is written {key}=1,2.")
        typed = [_value(known[key], value) for value in values]
        entry[key] = typed if len(typed) > 1 else typed[0]
    return entry


def policies_in(text: str) -> Iterator[tuple[str, str, Policy]]:
    """The label, name and object of each policy that the words mean: a sweep is several."""
    entry = words_of(text)
    name = entry.pop("name")
    kind = find(name)
    for params in sweep(entry):
        yield " ".join([short(name), *(f"{key}={value}" for key, value in params.items())]), name, make(kind, params)


def sweep(options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every combination of the values of the options that are lists."""
    for key, value in options.items():
        if value == []:
            raise ConfigError(f"'{key}' is an empty list; a list is a sweep over its values.")
    choices = [value if isinstance(value, list) else [value] for value in options.values()]
    for values in itertools.product(*choices):
        yield dict(zip(options, values, strict=True))


def short(name: str) -> str:
    """What a policy is called by default: its name, or the stem of its file."""
    return Path(name).stem.replace("_", "-") if name.endswith(".py") else name


def _after_colon(rest: str) -> list[tuple[str, list[str]]]:
    """Keys and values of "alpha=0.1,0.3,ridge=2". A colon may stand before a key too; elsewhere it is of the value."""
    first, *others = MARKS.split(rest)
    found: list[tuple[str, list[str]]] = []
    for mark, part in [(",", first), *zip(others[::2], others[1::2], strict=True)]:
        if key := KEY.match(part.strip()):
            found.append((key[0], [part.strip()[key.end() + 1 :]]))
        elif mark == ",":
            found[-1][1].append(part.strip())
        else:
            found[-1][1][-1] += mark + part
    return [(key, [_unquoted(value) for value in values]) for key, values in found]


def _apart(text: str, rest: str) -> list[tuple[str, list[str]]]:
    """Keys and values of "alpha=0.1 ridge=2"."""
    found = []
    for pair in shlex.split(rest):
        key, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"'{text}': a policy takes hyper-parameters as key=value, not '{pair}'.")
        found.append((key, [value]))
    return found


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if quoted else value


def _value(option: Option, text: str) -> Any:
    """The text as one of the types of the option; as it is where it is none of them, which is refused later."""
    if bool in option.types and text in ("true", "false"):
        return text == "true"
    for kind in (int, float) if {int, float} & set(option.types) else ():
        try:
            return kind(text)
        except ValueError:
            continue
    return text
