"""Which question is asked about which policy, and by which estimators it is answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lersbench.bench.scenario import Entry
from lersbench.errors import ConfigError
from lersbench.evaluation import singles
from lersbench.evaluation.exposed import MODELS
from lersbench.evaluation.logged import SCORES
from lersbench.evaluation.setup import Setup
from lersbench.feedback import QUESTIONS
from lersbench.offpolicy.propensity import MOST
from lersbench.offpolicy.settings import SINGLE, SLATES

NEEDS = {  # what must be known of how the lists of a log came about for an estimator: see `logged.kind_of`
    "rips": ("uniform", SCORES, "conditional"),
    "sips": ("uniform", SCORES, "conditional", "slate"),
    "iips": ("uniform", SCORES, "position"),
    "cascade-dr": ("uniform", SCORES, "conditional"),
    "pi": ("uniform",),
    "pbm-ips": ("uniform", SCORES),
    "ubm-ips": ("uniform", SCORES),
}
ASSUMING = ("cascade-dr", "pi")  # estimators of fixed policies alone, shown beside those of fewer assumptions
PLACED = ("iips",)  # estimators by the chance of single positions
ONLY_CLICKS = ("iips", "pbm-ips", "ubm-ips", "pi", "cascade-dr")
ABOVE = "import the log with --propensity-kind conditional, or with its ranker's scores"
FIX = {  # of a log of another kind
    "rips": f"from the chance of an item at its place that of the list down to it does not follow; {ABOVE}",
    "cascade-dr": f"from the chance of an item at its place that of the list down to it does not follow; {ABOVE}",
    "sips": f"from the chance of an item at its place that of the whole list does not follow; {ABOVE}",
    "iips": "from the chances of whole lists or of items given those above, of logged lists alone, that of an item at "
    "its place does not follow; use rips or sips, or import the log with --propensity-kind position or its scores",
    "pi": "its weights are those of lists in uniformly random order. Where places are filled independently of each "
    "other, each from items of its own, which no log says, call lersbench.offpolicy.slates.slot_weights; else use iips "
    "or rips",
    **dict.fromkeys(
        MODELS,
        "how likely an item was to be examined takes the chances of all lists: a uniform log, or the scores of its "
        "ranker. Use rips or iips",
    ),
}
BRACKET = "logged"


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
    known = () if setup.fits else ("rejection",)
    return (*known, "progressive") if entry.policy.learns_from_log or not known else known


def estimators_of(setup: Setup, question: str) -> list[str]:
    """The estimators that answer a question on this log. Raises ConfigError for one that cannot."""
    kind, lists = setup.kind, setup.places > 1
    named = setup.settings.estimators
    if not lists:
        return singles.estimators_of(setup, question)
    if question == "rejection":
        return ["rejection"]
    singles.refuse_of_lists(setup)
    for name in named:
        _check(setup, name, kind)
    every = _with_model_free(setup, kind, named)
    if question == "progressive":
        every = [name for name in every if name not in (*MODELS, *PLACED, *ASSUMING)]
    return every or _usual_of_lists(setup, kind, question)


def _with_model_free(setup: Setup, kind: str, names: list[str]) -> list[str]:
    """The estimators named, and beside those by a model the ones that need none, by which it is judged."""
    assumes = any(name in (*MODELS, *ASSUMING) for name in names)
    free = [name for name in ("iips", "rips") if assumes and not _obstacle(setup, name, kind)]
    return [*dict.fromkeys((*names, *free))]


def _usual_of_lists(setup: Setup, kind: str, question: str) -> list[str]:
    """What suits the log; a learner that is trained on it is asked about lists down to each place, not about places."""
    able = [name for name in ("rips", "sips", "iips") if not _obstacle(setup, name, kind)]
    if setup.settings.target == "any-click":
        able = [name for name in able if name not in ONLY_CLICKS]
    if question == "progressive":
        able = [name for name in able if name not in PLACED]
    if "rips" in able and "sips" in able and setup.places > 2:
        able.remove("sips")  # it weighs by all items of a list at once: hopeless beyond two
    if not able:
        raise ConfigError(
            f"no estimator answers for lists of log '{setup.info.name}', whose propensities are of kind '{kind}', with "
            f"target = '{setup.settings.target}'. RIPS needs those of the items given the ones above: {ABOVE}."
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
    if name in ASSUMING and setup.settings.clip != "none":
        raise ConfigError(f"{name} is made of whole weights: leave clip out, or use rips.")
    if why := _obstacle(setup, name, kind):
        raise ConfigError(f"{name} cannot be made of log '{info.name}': {why}.")


def _obstacle(setup: Setup, name: str, kind: str) -> str:
    """Why an estimator cannot be made of this log, with the fix; "" where it can."""
    wide = setup.info.C
    if kind not in NEEDS[name]:
        return f"its propensities are of kind '{kind}', and {FIX[name]}"
    if kind == SCORES and wide > MOST and name not in ("rips", "sips", "cascade-dr"):
        return (
            f"by scores, exact chances of single positions take sums over 2^C sets of candidates, at most {MOST} of "
            f"them, and it ranks {wide}. Use rips"
        )
    return ""
