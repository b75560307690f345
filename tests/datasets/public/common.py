"""What the tests of the public formats share: a command, and a log in the ids of its files."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner, Result

from lersbench.cli import imports
from lersbench.log import Log, validate
from lersbench.log.chunk import Chunk


def run(*words: Any) -> Result:
    """`lersbench import` with these words."""
    return CliRunner().invoke(imports.group, [str(word) for word in words])


def imported(*words: Any) -> Log:
    """The log that `lersbench import FORMAT PATH OUT ...` makes; it has no problems."""
    result = run(*words)
    assert result.exit_code == 0, f"{result.output} {result.exception!r}"
    log = Log(Path(str(words[2])))
    assert validate(log).ok, str(validate(log))
    assert "licence of the data: " in result.stderr
    assert log.info.provenance["tried"] in result.stderr
    return log


def whole(log: Log) -> Chunk:
    (chunk,) = log.read()
    return chunk


def ids(log: Log) -> np.ndarray:
    return log.item_table()["id"].to_numpy()


def user_ids(log: Log) -> list[str]:
    """The user of each round."""
    table = log.user_table()
    assert table is not None
    return table["id"].to_numpy()[whole(log).user].tolist()


def offers(log: Log) -> list[list[str]]:
    """The candidates of each round, by id."""
    rounds = whole(log)
    items = ids(log)[rounds.candidates]
    if rounds.first is None:
        return [list(row) for row in items]
    return [list(items[a:b]) for a, b in pairwise(rounds.first)]


def along(log: Log, column: str) -> list[Any]:
    """A column beside the candidates: a mapping of id to value for each round."""
    rounds = whole(log)
    values = getattr(rounds, column)
    if rounds.first is None:
        return [dict(zip(offer, row, strict=True)) for offer, row in zip(offers(log), values.tolist(), strict=True)]
    return [
        dict(zip(offer, values[a:b].tolist(), strict=True))
        for offer, (a, b) in zip(offers(log), pairwise(rounds.first), strict=True)
    ]


def slates(log: Log) -> list[list[str]]:
    """What was shown in each round, by id, top first."""
    rounds = whole(log)
    top = rounds.top
    shown = [rounds.slate[a:b] for a, b in pairwise(top)] if top is not None else rounds.slate
    if rounds.first is None and rounds.candidates.shape[0] == 1:
        return [ids(log)[row].tolist() for row in shown]
    return [[offer[c] for c in row] for offer, row in zip(offers(log), shown, strict=True)]
