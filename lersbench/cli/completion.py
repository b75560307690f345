"""What a shell completes: names of scenarios, policies and metrics (`_LERSBENCH_COMPLETE=bash_source lersbench`)."""

from __future__ import annotations

import click


def scenarios(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    from lersbench.bench import scenario

    return [name for name in scenario.available() if name.startswith(begun)]


def policies(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    from lersbench import policy

    return [name for name in policy.names() if name.startswith(begun)]


def metrics(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    from lersbench.metrics import NAMES

    return [name for name in NAMES if name.startswith(begun)]
