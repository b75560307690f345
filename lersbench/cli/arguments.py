"""Kinds of arguments that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


class LocalPath(click.ParamType):
    """A path on this machine: an address such as s3://bucket/log would else become a folder called "s3:"."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if "://" in str(value):
            self.fail(f"'{value}' is an address; this takes a path on this machine.", param, ctx)
        if "\0" in str(value) or not str(value):
            self.fail("it is empty or holds a null character; this takes a path on this machine.", param, ctx)
        return Path(value)


LOCAL = LocalPath()
