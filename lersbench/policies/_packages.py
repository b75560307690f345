"""Packages that only some policies need: the error where one is missing."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from importlib import metadata

from lersbench.errors import MissingPackage


def require_package(policy: str, module: str, extra: str) -> None:
    """Raise MissingPackage, with the command that installs it, unless `module` can be imported. Imports nothing."""
    if importlib.util.find_spec(module) is None:
        raise MissingPackage(
            f"Policy '{policy}' needs the package {module}, which is not installed: pip install 'lersbench[{extra}]'."
        )


def versions(packages: Sequence[str]) -> list[str]:
    """The installed versions of distributions, as "river 0.26.1"."""
    return [f"{name} {metadata.version(name)}" for name in packages]
