"""The errors a user can meet, each with the exit code the command line ends with."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LersbenchError(Exception):
    """Base of every error that is shown to the user without a traceback."""

    exit_code = 1


class RunError(LersbenchError):
    """A contender failed while it was being replayed (exit code 1)."""

    exit_code = 1


class Unfit(RunError):
    """This machine cannot do a task that another one may: it lacks the log, a package, or has another version."""


class LostDigits(ArithmeticError):
    """A kernel's numbers have lost their digits, most often to columns that are too large; the replay says which."""


class ConfigError(LersbenchError):
    """A scenario, policy, option or other request that cannot be carried out as written (exit code 2)."""

    exit_code = 2


class MissingPackage(ConfigError):
    """A policy needs a package that is not installed."""


class DataError(LersbenchError):
    """Input data that is broken; the message names file, row, column, value and the fix (exit code 3)."""

    exit_code = 3


def did_you_mean(word: str, known: Iterable[str], lead: str = "") -> str:
    """The end of a sentence about a name that nobody knows: the one of `known` that is nearest.

    Where none is near: all of them after the words `lead`, or the full stop alone where there are no such words.
    """
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; {lead} {', '.join(known) or 'none'}." if lead else "."
