"""The one sentence in which a policy refuses a hyper-parameter."""

from __future__ import annotations

import math

from lersbench.errors import ConfigError


def require(ok: bool, policy: object, name: str, wanted: str) -> None:
    """Raise ConfigError unless `ok` and the value, if it is a number, is finite.

    `name` is the hyper-parameter of `policy`, and `wanted` its range in words.
    """
    value = getattr(policy, name)
    if not ok or not (isinstance(value, str) or math.isfinite(value)):
        raise ConfigError(f"{type(policy).__name__}: {name} = {value!r} must be {wanted}.")
