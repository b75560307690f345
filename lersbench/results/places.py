"""What the parts of a run are called: a case, its data, its protocol, its regimes."""

from __future__ import annotations

from collections.abc import Sequence

from lersbench.feedback import REGIMES, TITLES, USUAL
from lersbench.results.tables import Results

PROTOCOL = {"slate": 1, "batch": 1, "delay": None}  # what goes without saying in a heading; so does bandit feedback


def regime_in_words(kind: str) -> str:
    """ "bandit feedback: learns only from the items it showed", the heading of a ranking."""
    return f"{kind} feedback: {REGIMES[kind].words}" if kind in REGIMES else f"{kind} feedback"


def place_in_words(results: Results, variant: str) -> str:
    """What a line about one variant begins with; "" where there is one alone."""
    words = results.case(variant).in_words()
    return f"{words}: " if words else ""


def table_in_words(results: Results, variant: str, kind: str) -> str:
    """The name of one ranking of a run: what its variant and its regime are called."""
    words = results.case(variant).in_words()
    return ", ".join(filter(None, [words, f"{kind} feedback" if results.mixed or not words else ""]))


def data_in_words(results: Results, variant: str) -> str:
    """The log of a variant (name, rounds, items) and what is unusual of the protocol."""
    log = results.log(variant)
    data = f"{log['name']}, {log['rounds']:,} rounds, {log['items']:,} items" if log else "log not described"
    return ", ".join([data, *settings(results, variant)])


def seeds_in_words(results: Results) -> str:
    """ "10", or "3 to 10" where some contenders have run fewer seeds than others."""
    counts = sorted(set(results.summary.groupby(["variant", "policy"])["seed"].nunique()))
    return f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def settings(results: Results, variant: str | None = None) -> list[str]:
    """What differs from the usual protocol of a variant, or of the run: "slate 5", "batch 10", "feedback replay"."""
    cases = [case for case in results.cases if variant is None or case.variant == variant]
    replay = results.scenario.get("replay", {})
    sizes = sorted({case.slate for case in cases})
    values = {"slate": sizes[0] if len(sizes) == 1 else _several(sizes), "batch": replay.get("batch", 1)}
    values["delay"] = replay.get("delay")
    rows = results.summary if variant is None else results.summary[results.summary["variant"] == variant]
    kinds = sorted(set(rows["feedback"]))
    known = frozenset[str]() if variant is None else cases[0].differs  # what the name of the case says already
    parts = [f"{key} {values[key]}" for key, usual in PROTOCOL.items() if values[key] != usual and key not in known]
    parts = [part.replace("slate ", "slates ") if len(sizes) > 1 else part for part in parts]
    if set(kinds) <= set(TITLES):
        return parts + ([" and ".join(TITLES[kind] for kind in kinds)] if "protocol" not in known else [])
    return parts + ([] if kinds == [USUAL] else [f"feedback {' and '.join(kinds)}"])


def _several(sizes: Sequence[int]) -> str:
    """ "3 and 6", "1 to 12", "1, 3 and 6"."""
    if len(sizes) > 2 and list(sizes) == list(range(sizes[0], sizes[-1] + 1)):
        return f"{sizes[0]} to {sizes[-1]}"
    return f"{', '.join(map(str, sizes[:-1]))} and {sizes[-1]}"
