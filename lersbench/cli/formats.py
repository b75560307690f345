"""`lersbench import FORMAT PATH OUT`: a command for each public format."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import click

from lersbench.cli.arguments import LOCAL
from lersbench.cli.flags import flags
from lersbench.cli.new_log import say_use
from lersbench.datasets.public import FORMATS
from lersbench.datasets.public.options import Written
from lersbench.options import options_of
from lersbench.system.progress import say


def commands() -> list[click.Command]:
    """A command a format; its flags are the options of the format, without `path`, which is an argument."""
    return [_command(name) for name in FORMATS]


def _command(name: str) -> click.Command:
    row = FORMATS[name]

    def run(path: Path, out: str, **options: Any) -> None:
        source = importlib.import_module(row.module)
        log = source.build(out, path=str(path), **options)
        say(f"licence of the data: {log.info.licence or 'not given'}")
        say(source.TRIED)
        say_use(log)

    command: Any = run
    for decorator in (
        flags(Written, ("name", "overwrite")),
        flags(row.options, [option for option in options_of(row.options) if option != "path"]),
        click.argument("out"),
        click.argument("path", type=LOCAL),
    ):
        command = decorator(command)
    return click.command(name=name, help=row.help)(command)
