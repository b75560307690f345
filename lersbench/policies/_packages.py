"""Packages that only some policies need: the error where one is missing."""

from __future__ import annotations

import importlib.util

from lersbench.errors import MissingPackage


def require_package(policy: str, module: str, extra: str) -> None:
    """Raise MissingPackage, with the command that installs it, unless `module` can be imported. Imports nothing."""
    if importlib.util.find_spec(module) is None:
        raise MissingPackage(
            f"Policy '{policy}' needs the package {module}, which is not installed: pip install 'lersbench[{extra}]'."
        )
