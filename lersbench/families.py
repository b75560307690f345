"""Families of policies, by their names: what they learn with."""

from __future__ import annotations

import re

BEFOREHAND = "known beforehand"
MODELS = "models of yours, and peers"
PATTERNS = {  # the first pattern that a name fits
    "LERS": r"lers",
    "neural": r"(neural|bayes-by-backprop|.*(net|dqn))",
    "per-position linear": r"(iba|rba).*(lin|hybrid)",
    "per-position, context-free": r"(iba|rba)-",
    "click model, context-free": r"pbm-(ucb|ts|pie)",
    MODELS: r"(ltr|scores|sklearn|lightgbm|vw|mabwiser|river)$",
    "shared linear": r".*(lin|hybrid|c2ucb)",
    BEFOREHAND: r"(first|past-(popular|bought|streamer))$",
    "context-free": r"",
}


def family_of(name: str) -> str:
    """The family of a policy of this name."""
    return next(family for family, pattern in PATTERNS.items() if re.match(pattern, name))
