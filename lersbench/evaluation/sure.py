"""Logs whose policy took one action for sure: what can be answered there, and what cannot."""

from __future__ import annotations

from dataclasses import replace

from lersbench.errors import ConfigError
from lersbench.evaluation import bounded
from lersbench.evaluation.plan import Asked
from lersbench.evaluation.ran import Ran
from lersbench.evaluation.setup import Setup


def answered(setup: Setup, asked: list[Asked], ran: Ran, named: bool) -> tuple[list[Asked], list[str]]:
    """The questions as a log can be asked them whose policy never chose by chance: by bounds, and a model beside them.

    Also what is to be said of learners that are left out: those about which no question is `named`, where there are
    other policies. Raises ConfigError for estimators that say nothing there, and for bounds where the log says more.
    """
    sure = ran.least >= 1.0 and setup.kind != "uniform"
    if not sure:
        if any(bounded.NAME in one.estimators for one in asked):
            raise ConfigError(
                f"bounds are for logs whose policy took one action for sure. That of log '{setup.info.name}' chose by "
                "chance, so values are estimated: leave the estimator out."
            )
        return asked, []
    able, chosen = (bounded.NAME, "dm"), setup.settings.estimators
    others = [one for one in asked if one.question == "off-policy"]
    notes = []
    if others and len(others) < len(asked) and not named:
        gone = dict.fromkeys(one.entry.label for one in asked if one.question != "off-policy")
        notes = [
            f"Left out: {', '.join(gone)}. A log whose policy never chose by chance cannot say what they would learn."
        ]
        asked = others
    refused = [name for name in chosen if name not in able]
    learners = list(dict.fromkeys(one.question for one in asked if one.question != "off-policy"))
    if setup.places > 1:
        fix = "import it without propensities, and re-ranked lists are answered by a bracket"
    else:
        fix = "of fixed policies there are bounds, and a model's prediction beside them: "
        fix += (
            "leave the estimator out" if refused else "leave out those that learn, or let them learn before (--frozen)"
        )
    if refused or learners or setup.places > 1:
        raise ConfigError(
            f"all propensities of log '{setup.info.name}' are 1: its policy never took another action, so what other "
            f"choices would have earned is not in the log, and {(refused + learners + ['an estimate'])[0]} would "
            f"measure agreement with it. Fix: {fix}."
        )
    return [replace(one, estimators=[*chosen] or [*able]) for one in asked], notes
