"""Which estimators answer a question on a log of single items, and what its settings cannot be together."""

from __future__ import annotations

from lersbench.errors import ConfigError
from lersbench.evaluation import categories, estimated, shrunk
from lersbench.evaluation.setup import Setup
from lersbench.offpolicy.settings import SINGLE

PROGRESSIVE = ("snips", "ips", "ips-cv", "cr")  # of a learner that is trained on the log: no model knows its chances
USUAL_PROGRESSIVE = ("snips", "ips")


def estimators_of(setup: Setup, question: str) -> list[str]:
    """The estimators, the leading one first. Raises ConfigError for what cannot be."""
    named = setup.settings.estimators
    for name in named:
        if name not in SINGLE:
            raise ConfigError(f"{name} is an estimator of lists, and log '{setup.info.name}' shows one item a row.")
    _check(setup)
    if question == "rejection":
        if setup.fits:
            raise ConfigError(
                "rejection needs propensities that are known: with estimated ones the rounds it accepts are no rounds "
                "of a run. Ask --question progressive, or off-policy of a policy that stays as it is (--frozen)."
            )
        return ["rejection"]
    if question == "progressive":
        return [name for name in named if name in PROGRESSIVE] or [*USUAL_PROGRESSIVE]
    return _with_plain(named) or _usual(setup)


def _usual(setup: Setup) -> list[str]:
    """SNIPS leads on a uniform log, where it is replay; DR elsewhere."""
    if setup.fits:
        return ["dr", "snips"]
    return ["snips", "dr", "ips"] if setup.kind == "uniform" else ["dr", "snips", "ips"]


def _with_plain(named: list[str]) -> list[str]:
    """The estimators named, and those that must stand beside them: what is shrunk or assumed is shown with what is
    not."""
    beside = ["dr"] if any(name in shrunk.SHRINKAGES for name in named) else []
    beside += ["ips", "dr"] if categories.NAME in named else []
    return list(dict.fromkeys([*named, *beside]))


def _check(setup: Setup) -> None:
    settings, named = setup.settings, setup.settings.estimators
    if setup.fits:
        _check_fits(setup)
    if (settings.embedding is None) != (categories.NAME not in named):
        raise ConfigError("--embedding names the column of the items for --estimator mips; give both or neither.")
    if categories.NAME in named and setup.kind != "uniform":
        raise ConfigError(
            f"mips needs the logging policy's chance of every candidate, and log '{setup.info.name}' keeps that of "
            "what was shown alone. Use dr, or a uniform log."
        )
    if settings.clip == "slope" and named and not any(name in shrunk.TUNABLE for name in named):
        raise ConfigError(f"clip = 'slope' chooses the largest weight of {' and '.join(shrunk.TUNABLE)}: name one.")
    if settings.interval == "bernstein" and (setup.kind != "uniform" or setup.span[0] < 0):
        raise ConfigError(
            "interval = 'bernstein' needs the largest possible weight and rewards of 0 or more, which this log does "
            "not say. Use 'cr', or 'anytime', which needs no bound."
        )


def _check_fits(setup: Setup) -> None:
    settings, able = setup.settings, estimated.ESTIMATORS
    for name in settings.estimators:
        if name not in able:
            raise ConfigError(f"{name} is not made of estimated propensities; there are {', '.join(able)}.")
    if settings.clip != "none":
        raise ConfigError("clip is for known propensities; estimated ones are never below 1 / (10 candidates).")
    if settings.interval not in ("cr", "bootstrap"):
        raise ConfigError(
            f"interval = '{settings.interval}' takes the propensities as known. Estimated ones have the interval of a "
            "bootstrap in which they are estimated anew; leave it out."
        )


def refuse_of_lists(setup: Setup) -> None:
    """Raise ConfigError for settings that are for single items alone."""
    settings = setup.settings
    for key, value in (("clip", "slope"), ("interval", "anytime"), ("interval", "bernstein")):
        if getattr(settings, key) == value:
            raise ConfigError(
                f"{key} = '{value}' is for logs of single items, and log '{setup.info.name}' shows lists of up to "
                f"{setup.info.L}."
            )
    if settings.embedding is not None:
        raise ConfigError("embedding is for mips, which is for logs of single items.")
