"""The one sentence in which a policy refuses a hyper-parameter."""

from __future__ import annotations

from lersbench.errors import ConfigError


def require(ok: bool, policy: object, name: str, wanted: str) -> None:
    """Raise ConfigError unless `ok`: `name` is the hyper-parameter of `policy` and `wanted` its range in words."""
    if not ok:
        raise ConfigError(f"{type(policy).__name__}: {name} = {getattr(policy, name)!r} must be {wanted}.")
