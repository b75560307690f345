"""Which question is asked about which policy, and by which estimators it is answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lersbench.bench.scenario import Entry
from lersbench.errors import ConfigError
from lersbench.evaluation.logged import kind_of
from lersbench.evaluation.setup import Setup
from lersbench.feedback import QUESTIONS
from lersbench.offpolicy.settings import SINGLE, SLATES

OF_LEARNERS = {"rejection": ["rejection"], "progressive": ["snips", "ips"]}  # estimators where a list has one item
NEEDS = {  # what the propensities of a log of lists must be for an estimator
    "rips": ("uniform", "conditional"),
    "sips": ("uniform", "conditional", "slate"),
    "iips": ("uniform", "position"),
}
BRACKET = "logged"
ONLY_CLICKS = ("iips", "pbm-ips", "ubm-ips", "pi")


@dataclass(frozen=True)
class Asked:
    """A policy and a question about it."""

    entry: Entry
    question: str
    estimators: list[str]  # the leading one first


def asked_of(setup: Setup, questions: Sequence[str]) -> list[Asked]:
    """What is asked, question by question. Raises ConfigError where a policy cannot be asked, or nothing answers.

    By default policies that do not learn are taken as they are, and so are those that learned before `frozen`; about
    one that learns both questions of learners are asked.
    """
    if BRACKET in questions:
        raise ConfigError(
            f"log '{setup.info.name}' holds propensities, which say more than a bracket of logged clicks does. Ask "
            f"{' or '.join(name for name in QUESTIONS if name != BRACKET)}."
        )
    asked = []
    for question in QUESTIONS:
        for entry in setup.entries:
            if question in (questions or _usual(setup, entry)):
                asked.append(Asked(entry, question, estimators_of(setup, question)))
    return asked


def _usual(setup: Setup, entry: Entry) -> Sequence[str]:
    fixed = not entry.policy.learns or setup.settings.frozen is not None
    if fixed:
        return ("off-policy",)
    return ("rejection", "progressive") if entry.policy.learns_from_log else ("rejection",)


def estimators_of(setup: Setup, question: str) -> list[str]:
    """The estimators that answer a question on this log. Raises ConfigError for one that cannot."""
    kind, lists = kind_of(setup.log), setup.places > 1
    named = setup.settings.estimators
    if question == "rejection":
        return ["rejection"]
    if not lists:
        for name in named:
            if name not in SINGLE:
                raise ConfigError(f"{name} is an estimator of lists, and log '{setup.info.name}' shows one item a row.")
        return [*named] or (OF_LEARNERS[question] if question == "progressive" else _usual_single(kind))
    for name in named:
        _check(setup, name, kind)
    return [*named] or _usual_of_lists(setup, kind)


def _usual_single(kind: str) -> list[str]:
    """SNIPS leads on a uniform log, where it is replay; DR elsewhere."""
    return ["snips", "dr", "ips"] if kind == "uniform" else ["dr", "snips", "ips"]


def _usual_of_lists(setup: Setup, kind: str) -> list[str]:
    able = [name for name, kinds in NEEDS.items() if kind in kinds]
    if setup.settings.target == "any-click":
        able = [name for name in able if name not in ONLY_CLICKS]
    if "rips" in able and "sips" in able and setup.places > 2:
        able.remove("sips")  # it weighs by all items of a list at once: hopeless beyond two
    if not able:
        raise ConfigError(
            f"no estimator answers for lists of log '{setup.info.name}', whose propensities are of kind '{kind}', with "
            f"target = '{setup.settings.target}'. RIPS needs those of the items given the ones above: import the log "
            "with --propensity-kind conditional, or its ranker's scores."
        )
    return able


def _check(setup: Setup, name: str, kind: str) -> None:
    """Raise ConfigError where an estimator of lists cannot be made of this log, or would not be what is asked."""
    info = setup.info
    if name in SINGLE and name not in SLATES:
        raise ConfigError(f"{name} is an estimator of single items, and log '{info.name}' shows lists of {info.L}.")
    if name in ONLY_CLICKS and setup.settings.target == "any-click":
        raise ConfigError(
            f"{name} estimates the number of clicks, not the share of lists with one: whether a click is the first of "
            "its list depends on what stands above. Use rips or sips."
        )
    if name in NEEDS and kind not in NEEDS[name]:
        raise ConfigError(
            f"{name} needs propensities of kind {' or '.join(NEEDS[name])}, and those of log '{info.name}' are of kind "
            f"'{kind}': from the chance of an item at its place that of the list down to it does not follow."
        )
    if name not in NEEDS:
        raise ConfigError(f"{name} is not available in `evaluate`; of lists there are {', '.join(NEEDS)}.")
