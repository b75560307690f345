"""What every part of an evaluation works with: log, policies, the layout of rounds, the range of a reward."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from lersbench.bench import demands, objects, scenario
from lersbench.bench.click_fits import Fits
from lersbench.bench.scenario import Entry, Scenario
from lersbench.bench.session import Clock, Session, spec_of
from lersbench.errors import ConfigError
from lersbench.evaluation.logged import Source, kind_of
from lersbench.log import Log
from lersbench.log.reward import CLICKS, reward_of
from lersbench.log.schema import LogInfo
from lersbench.offpolicy.settings import Evaluate
from lersbench.system.progress import Bar, silent

NAME = "evaluate"  # root of the random numbers
LISTS = "slate and clicks"


@dataclass(frozen=True)
class Setup:
    chosen: Scenario
    entries: list[Entry]
    source: Source
    settings: Evaluate
    seed: int
    slate: int  # K, of lists without propensities; else as many places as were logged

    @property
    def log(self) -> Log:
        return self.source.log

    @property
    def info(self) -> LogInfo:
        return self.log.info

    @property
    def session(self) -> Session:
        return self.source.session

    @property
    def fits(self) -> bool:
        """Are the propensities those of a model that is fitted to the log?"""
        return self.settings.propensities == "estimated"

    @property
    def propensities(self) -> str:
        """How the propensities were made: "logged", "uniform", "estimated" by others, or "fitted" here."""
        return "fitted" if self.fits else self.info.propensities

    @property
    def kind(self) -> str:
        """What they are probabilities of, or "uniform": see `logged.kind_of`."""
        return "conditional" if self.fits else kind_of(self.log)

    @property
    def places(self) -> int:
        """Positions of the longest list."""
        return self.info.L

    @property
    def span(self) -> tuple[float, float]:
        """The least and the most that a position can earn."""
        return (0.0, 1.0) if self.source.any_click else (self.source.reward.low, self.source.reward.high)

    @property
    def span_of_list(self) -> tuple[float, float]:
        """The least and the most that a list can earn, however many positions it has."""
        low, high = self.span
        return (0.0, 1.0) if self.source.any_click else (min(0.0, self.places * low), max(0.0, self.places * high))


def settings_of(settings: dict[str, Any] | Evaluate | None) -> Evaluate:
    """The settings, checked. Raises ConfigError naming key, value and what it takes."""
    if isinstance(settings, Evaluate):
        return settings
    try:
        return Evaluate.model_validate(settings or {})
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, one['loc'])) or 'evaluate'}: {one['msg'].removeprefix('Value error, ')}"
            + (f" (it is {one['input']!r})." if one["loc"] else ".")
            for one in error.errors()
        ]
        raise ConfigError("\n".join(dict.fromkeys(lines))) from error


def setup_of(
    log: Log,
    policies: Any,
    settings: Evaluate,
    reward: str | dict[str, float],
    seed: int,
    slate: int | None = None,
) -> Setup:
    """The parts of an evaluation. Raises ConfigError where log, policies and settings do not go together."""
    if "slate" not in log.info.columns:
        raise ConfigError(
            f"log '{log.info.name}' does not say what was shown: it holds the rewards of all candidates, so policies "
            "can be replayed on it as they are. Use `lersbench bench` with feedback = 'bandit'."
        )
    _check_propensities(log, settings)
    pays = reward_of(log.info, reward)
    if not pays.is_bounded:
        raise ConfigError(
            f"{pays.words} of log '{log.info.name}' has no declared range, which every interval here needs: the rows "
            "that matter most may not be among those seen. Write the log with its low and high (import --outcome "
            "revenue=0..500)."
        )
    if settings.target == "any-click" and pays != CLICKS:
        raise ConfigError("target = 'any-click' counts lists with a click; leave 'reward' out.")
    if settings.cluster == "user" and not log.info.users:
        settings = settings.model_copy(update={"cluster": "none"})
    protocol = {
        "feedback": "replay",
        "slate": log.info.L,
        "seeds": 1,
        "allow_biased": True,
        "replicates": "none",
        "ranking": False,
        "reward": reward,
    }
    about = {"name": NAME, "title": NAME, "seed": seed}
    chosen, entries = objects.scenario_of(policies, log.path, protocol, about, None)
    case = scenario.cases(chosen)[0]
    demands.check(chosen, log, case, spec_of(chosen, log, case), entries)
    background = Fits(log, 0, math.inf, "none").background
    session = Session(
        chosen, log, case, background, 1, Bar(silent, unit=" rows", unit_scale=True, leave=False), Clock()
    )
    first = _first(log, settings)
    any_click, taught = settings.target == "any-click", _known_at(log, first)
    source = Source(session, pays, settings.cluster == "user", any_click, first, taught, _matured(log))
    if source.first >= source.end:
        raise ConfigError(_nothing_left(log, settings, source))
    slate = log.info.L if slate is None else slate
    if not 1 <= slate <= log.info.L or (slate < log.info.L and log.info.propensities != "none"):
        raise ConfigError(
            f"slate = {slate}: the lists of log '{log.info.name}' have up to {log.info.L} places, and with "
            "propensities lists are judged as long as they were logged."
        )
    return Setup(chosen, entries, source, settings, seed, slate)


def _nothing_left(log: Log, settings: Evaluate, source: Source) -> str:
    """Why no row is evaluated, with the fix."""
    frozen, rounds = f"frozen = {settings.frozen!r}", log.info.rounds
    if source.end == rounds:
        return (
            f"{frozen} leaves no row of log '{log.info.name}' to evaluate on: it cuts at row {source.first:,} of "
            f"{rounds:,}. Name an earlier cut."
        )
    young = (
        f"{rounds - source.end:,} of the {rounds:,} rows of log '{log.info.name}' are younger than "
        "its reward window, so what they earn is not known yet"
    )
    also = f", and policies learn from the first {source.first:,} ({frozen})" if source.first else ""
    return f"{young}{also}: no row is left to evaluate on. Use a longer log, or import it with a shorter reward window."


def _check_propensities(log: Log, settings: Evaluate) -> None:
    """Raise ConfigError for single choices without propensities, unless these are to be estimated."""
    info, fits = log.info, settings.propensities == "estimated"
    if fits and info.L > 1:
        raise ConfigError(
            f"propensities = 'estimated' is for logs of single items, and log '{info.name}' shows lists of up to "
            f"{info.L}. Leave it out: without propensities such a log is answered by a bracket."
        )
    if info.L == 1 and info.propensities == "none" and not fits:
        raise ConfigError(
            f"log '{info.name}' holds no propensities: nothing in it says how likely what was shown was to be shown, "
            "and no guess is made in their place. Fix, the best first: 1. log them, and import the log with the column "
            "(--column propensity=YOURS); 2. where the rule is known, give it at the import with the scores it went by "
            "(--propensities epsilon=0.1 or softmax=1, with --scores TABLE); 3. let them be estimated: lersbench "
            "evaluate --propensities estimated. Estimates see no input that the log does not hold, so no verdict is "
            "then better than 'caution'."
        )


# Rows -----------------------------------------------------------------------------------------------------------------
def _first(log: Log, settings: Evaluate) -> int:
    """The first row that is evaluated: that of `frozen`, a share or a date."""
    frozen = settings.frozen
    if frozen is None:
        return 0
    if isinstance(frozen, float):
        return round(frozen * log.info.rounds)
    if "time" not in log.info.columns or log.info.order != "time":
        raise ConfigError(
            f"frozen = {frozen!r} is a date, but the rows of log '{log.info.name}' are not in order of time. Give a "
            "share of the rows, such as 0.5."
        )
    return _rows_before(log, moment_of(frozen, "frozen"))


def moment_of(date: str, what: str) -> int:
    """A date in microseconds since 1970. Raises ConfigError that says `what` it was for."""
    try:
        return int(pd.Timestamp(date).tz_localize(None).to_datetime64().astype("M8[us]").astype(np.int64))
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{what} = {date!r}: this is no date, such as 2024-11-01.") from error


def _rows_before(log: Log, moment: int) -> int:
    """How many rows of a log in order of time come before a moment (microseconds)."""
    rows = 0
    for chunk in log.read(columns=("time",)):
        inside = int(np.searchsorted(chunk.time, moment))
        rows += inside
        if inside < len(chunk.time):
            break
    return rows


def _known_at(log: Log, first: int) -> int:
    """The rows whose rewards were all known when the row `first` came: the reward window of the log before it."""
    window = log.info.reward_window
    if not window or not 0 < first < log.info.rounds:
        return first
    for chunk in log.read(columns=("time",)):
        if first < chunk.start + len(chunk.time):
            return _rows_before(log, int(chunk.time[first - chunk.start]) - window + 1)
    return first


def _matured(log: Log) -> int:
    """The rows that are old enough for all they will earn to be known: by the log's reward window; all without one."""
    until = log.mature_until
    return log.info.rounds if until is None else _rows_before(log, until + 1)
