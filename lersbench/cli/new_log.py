"""What is said of a log that an import has written."""

from __future__ import annotations

from typing import Any

from lersbench.system.progress import say


def say_use(log: Any) -> None:
    """What a new log holds, and what can be done with it."""
    say(f"{log}")
    say(f'replay it with [data] log = "{log.path}" in a scenario')
    if "slate" in log.info.columns:
        say(f"judge policies that did not run by it: lersbench evaluate {log.path}")
