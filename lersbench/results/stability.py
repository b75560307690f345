"""What of a ranking would stay if it were made anew, and what may turn: from its rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

FEW_SEEDS = 10  # with fewer the order moves a good deal from one set of seeds to the next
NAMED = 6  # contenders that are named; of more their number is given


def named(policies: Iterable[str]) -> str:
    """The names, or how many they are."""
    contenders = list(dict.fromkeys(policies))
    return ", ".join(contenders) if len(contenders) <= NAMED else f"{len(contenders)} contenders"


def order_in_words(rows: pd.DataFrame, bracketed: bool = False) -> str:
    """How many neighbours of a ranking cannot be separated, of a `bracketed` one by their brackets; "" where it has no
    two rows."""
    pairs = len(rows) - 1
    if pairs < 1:
        return ""
    open_ = int((rows["better_than_next"].iloc[:-1] != True).sum())  # noqa: E712 - the column holds None too
    if not open_:
        return "each row was shown to be better than the next"
    which = (
        "the two cannot be separated" if pairs == 1 else f"{open_} of {pairs} pairs of neighbours cannot be separated"
    )
    if bracketed:
        return f"{which}, since their brackets overlap; their order says nothing"
    return f"{which}, so their order is that of their means and may turn with other seeds or customers"


def few_seeds(rows: pd.DataFrame) -> list[str]:
    """A note where contenders have run too few seeds for their place to be steady."""
    short = rows[(rows["seeds"] < FEW_SEEDS) & ~rows["same_in_every_seed"]]
    if short.empty:
        return []
    return [
        f"Fewer than {FEW_SEEDS} seeds: {named(short['policy'])}. Where four or more of a family were run, their ranks "
        "rest on the spread of all of it; a policy that ends elsewhere in some runs may not have shown it in so few."
    ]


def unranked(rows: pd.DataFrame, missing: str) -> list[str]:
    """Why contenders have no rank."""
    without = rows[rows["rank"] == missing]
    if without.empty:
        return []
    return [
        f"Rank {missing}: {named(without['policy'])}. A test needs three seeds or more of each contender, with three "
        "different values, or one and the same in all."
    ]


def of_torch(policies: Sequence[str]) -> list[str]:
    """Which of the values depend on processor and torch version: those of the given policies, in PyTorch."""
    if not policies:
        return []
    return [
        f"In PyTorch: {named(policies)}; their values depend on the processor and on the version of torch. Those of "
        "compiled policies do not."
    ]
