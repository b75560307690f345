"""A policy tried on a whole log of the user's own: what `check-policy --log` adds to the contract."""

from __future__ import annotations

import tempfile
from pathlib import Path

from lersbench.bench import objects, replays
from lersbench.errors import LersbenchError, RunError
from lersbench.evaluation.run import evaluate
from lersbench.feedback import USUAL
from lersbench.log import Log
from lersbench.results.evaluation_words import answers


def trial(log: Log, policy: str) -> tuple[str, str]:
    """What a policy comes to on a log, in a sentence, and what went wrong ("" for nothing).

    It is judged off-policy where the log says what was shown, else replayed once with bandit feedback.
    """
    try:
        if "slate" in log.info.columns:
            found = evaluate(log, [policy])
            return f"is judged on log {log.info.name}: {'; '.join(answers(found)) or 'it has no answer'}", ""
        return f"is replayed on log {log.info.name} ({_replayed(log, policy):,} rounds)", ""
    except LersbenchError as error:
        return f"plays on log {log.info.name}", str(error)


def _replayed(log: Log, policy: str) -> int:
    """Play a policy over a log once; the rounds it played. Raises RunError where it fails."""
    protocol = {"feedback": USUAL, "slate": 1, "seeds": 1, "replicates": "none"}
    chosen, entries = objects.scenario_of([policy], log.path, protocol, {"name": "trial", "title": "trial"}, None)
    with tempfile.TemporaryDirectory(prefix="lersbench-") as folder:
        run = replays.bench(chosen, Path(folder), say=lambda line: None, entries=entries)
        if run.failures:
            raise RunError(run.failures)
    return log.info.rounds
