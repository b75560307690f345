"""`--set KEY=VALUE` of several commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lersbench.errors import ConfigError
from lersbench.files import parse_toml
from lersbench.words import check


def pairs_of(settings: Sequence[str], example: str) -> dict[str, Any]:
    """`--set key=value` pairs; a value is TOML, or else a string. ConfigError, with an example, for another form."""
    pairs = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set takes key=value, such as {example}, not '{setting}'.")
        try:
            pairs[key.strip()] = parse_toml(f"value = {text}", f"--set {key}")["value"]
        except ConfigError:  # no value of TOML, so a text
            pairs[key.strip()] = text
    check(pairs, "--set")
    return pairs
