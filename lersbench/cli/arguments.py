"""Kinds of arguments that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lersbench import durations


class LocalPath(click.ParamType):
    """A path on this machine: an address such as s3://bucket/log would else become a folder called "s3:"."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if "://" in str(value):
            self.fail(f"'{value}' is an address; this takes a path on this machine.", param, ctx)
        if "\0" in str(value) or not str(value):
            self.fail("it is empty or holds a null character; this takes a path on this machine.", param, ctx)
        return Path(value)


class Place(LocalPath):
    """A path on this machine, or an address."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return str(value) if "://" in str(value) else super().convert(value, param, ctx)


def mirrored(ctx: click.Context, param: click.Parameter, place: Any) -> Path:
    """The folder of results at a place; that of an address is fetched now, and sent back when the command ends."""
    if not isinstance(place, str):
        return place
    from lersbench.bench import addresses

    return ctx.with_resource(addresses.mirrored(place))


LOCAL, PLACE = LocalPath(), Place()
WORKERS = "Who does the work: a Dask scheduler (tcp://host:8786), or local:4, four processes of this machine."


class Duration(click.ParamType):
    """A length of time, such as 60s or "5 min", in seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return value if isinstance(value, float) else durations.microseconds(value) / 1e6
        except ValueError as error:
            self.fail(str(error), param, ctx)


class OfOneTable(click.Command):
    """A command that takes TABLE and OUT; more than that mostly comes from a pattern that the shell has replaced."""

    allow_extra_args = True  # they are refused below, in other words

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        beyond = super().parse_args(ctx, args)
        if beyond:
            ctx.fail(
                f"it takes TABLE and OUT, but {len(beyond)} more arguments came ({', '.join(beyond[:3])}"
                f"{', ...' if len(beyond) > 3 else ''}). A pattern that is not quoted is replaced by its files before "
                f"lersbench sees it. Fix: quote it, as {ctx.command_path} 'shown/*.parquet' OUT"
            )
        return beyond
