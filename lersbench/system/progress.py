"""Progress bars: of one scenario, and of a whole study above it. Only terminals see them; they are on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click
from tqdm import tqdm

from lersbench.words import shown

Progress = Callable[[float], None]  # takes the share of the work that is done, 0 to 1


def silent(share: float) -> None:
    """Nobody listens."""


class Bar(tqdm):
    """A bar that also passes its share to `progress`; a step counts `weight` times."""

    def __init__(self, progress: Progress = silent, **options: Any) -> None:
        self.progress, self.weight = progress, 1
        super().__init__(disable=None, file=sys.stderr, dynamic_ncols=True, **options)

    def update(self, n: float | None = 1) -> bool | None:
        refreshed = super().update((n or 0) * self.weight)
        if self.total:
            self.progress(min(1.0, self.n / self.total))
        return refreshed


class StudyBar:
    """The bar over the parts of a study, weighted by the minutes that each took when measured."""

    def __init__(self, name: str, minutes: Mapping[str, float]) -> None:
        self.minutes, self.done = minutes, 0.0
        total = sum(minutes.values())
        form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
        self.bar: Any = Bar(total=total, desc=f"{name}, all", bar_format=form)

    @contextmanager
    def part(self, name: str) -> Iterator[Progress]:
        """While this part runs; yields the progress of the part."""

        def progress(share: float) -> None:
            self.bar.update(self.done + share * self.minutes[name] - self.bar.n)

        yield progress
        progress(1.0)
        self.done += self.minutes[name]

    def close(self) -> None:
        self.bar.close()


def say(message: str, err: bool = True) -> None:
    """Print a message, above the bars where there are any."""
    with tqdm.external_write_mode(file=sys.stderr if err else sys.stdout):
        click.echo(shown(message) if err else message, err=err)
