"""What a model that was made elsewhere is given of each candidate: which columns, in what order, under what names.

The groups of columns, always in this order:

    context     what is known of user and moment, (d,), the same for all candidates of a round
    items       the static features of the item, (p,)
    features    the joint features of the candidate, (m,)
    one-hot     a 1 for the item itself, (n_items,)

`inputs` names some of them, as "context+items". "auto" are the first three, of these those that the log has; for a
model that learns in the replay the last as well, where the log has neither items nor features to tell items apart.
Columns are called as in the user's own tables where the log knows it (`Spec.feature_names`), else "context_0", ...;
"items_0", ...; "features_0", .... A one-hot column is called "item=" and the id of the item.

A model that knows the names of its columns is given these, in its own order. Any other is given all columns of the
groups, and their number must be that of the model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lersbench.errors import ConfigError, did_you_mean
from lersbench.policy import Round, Spec

GROUPS = ("context", "items", "features")
ONE_HOT = "one-hot"
AUTO = "auto"
ID = "item"  # a column of the ids of the items, as text: for models that ask for it by this name
NEEDED = ("context", "features")  # groups that a policy declares as `needs`
LISTED = 8  # names that a message lists


def groups_of(owner: str, inputs: str) -> tuple[str, ...]:
    """The groups that `inputs` names, in their order; empty for "auto". ConfigError for one that is none."""
    if inputs == AUTO:
        return ()
    asked = [part.strip() for part in inputs.split("+")]
    known = (*GROUPS, ONE_HOT)
    for part in asked:
        if part not in known:
            raise ConfigError(
                f"{owner}: inputs = {inputs!r}, and there is no {part!r}{did_you_mean(part, known)} It takes "
                f"'{AUTO}', or some of {', '.join(known)} with a + between them, such as 'context+items'."
            )
    return tuple(group for group in known if group in asked)


def declare(policy: Any, inputs: str) -> tuple[str, ...]:
    """The groups of `inputs`; `policy` declares them in its `needs`. For `__post_init__`."""
    groups = groups_of(type(policy).__name__, inputs)
    if needed := tuple(group for group in NEEDED if group in groups):
        object.__setattr__(policy, "needs", needed)
    return groups


@dataclass(frozen=True)
class Columns:
    """The columns that a model is given."""

    spec: Spec
    groups: tuple[str, ...]
    names: tuple[str, ...]  # in the order in which the model is given them
    chosen: np.ndarray  # (width,) int64 their places among all columns of the groups; -1 for the ids of the items

    def rows(self, round: Round, which: np.ndarray | slice = slice(None)) -> np.ndarray:
        """The inputs (n, width) of the candidates `which` of a round, as numbers; of ids their place in the log."""
        items = round.candidates[which]
        parts = [self._part(group, round, items, which) for group in self.groups]
        wide = np.hstack(parts) if parts else np.empty((len(items), 0))
        if len(self.chosen) == wide.shape[1] and (self.chosen == np.arange(len(self.chosen))).all():
            return wide
        return np.where(self.chosen < 0, items[:, None], wide[:, np.maximum(self.chosen, 0)])

    def _part(self, group: str, round: Round, items: np.ndarray, which: np.ndarray | slice) -> np.ndarray:
        if group == "context":
            return np.broadcast_to(round.context, (len(items), self.spec.d))
        if group == "items":
            return self.spec.items[items]
        if group == "features":
            return round.features[which]
        return (items[:, None] == np.arange(self.spec.n_items)) * 1.0

    def check(self, model: str, width: int) -> None:
        """Raise ConfigError unless `model`, which takes `width` columns, is given as many."""
        if width == len(self.names):
            return
        sizes = ", ".join(f"{size} of {group}" for group, size in _sizes(self.spec, self.groups).items())
        raise ConfigError(
            f"{model} takes {width} columns, and is given {len(self.names)}: {sizes or 'none'} ({_few(self.names)}). "
            "Fix: name the groups it was trained on with inputs, such as inputs = 'context+items'; or train it on a "
            "table whose columns have names, which are then found by these."
        )


def columns_of(
    model: str, spec: Spec, groups: Sequence[str], wanted: Sequence[str] | None, learns: bool = False, ids: bool = False
) -> Columns:
    """The columns of a model, called `model` in messages. `wanted` are the names it knows, None where it knows none.

    `groups` are those of `groups_of`; `learns`: it learns in the replay; `ids`: it may ask for the column "item".
    Raises ConfigError where the log lacks a group or a column, or has a wanted name twice.
    """
    groups = tuple(groups) or _usual(spec, learns and wanted is None)
    sizes = _sizes(spec, groups)
    for group, size in sizes.items():
        if not size:
            raise ConfigError(f"{model}: inputs names {group}, and the log has none.")
    known = [name for group in groups for name in _names(spec, group, sizes[group])]
    if wanted is None:
        if not known:
            raise ConfigError(
                f"{model}: the log has neither context nor features to give it. Fix: inputs = '{ONE_HOT}' for a model "
                "of the items alone."
            )
        return Columns(spec, groups, tuple(known), np.arange(len(known)))
    times = Counter(known)
    places = {name: place for place, name in enumerate(known)} | ({ID: -1} if ids and ID not in times else {})
    for name in wanted:
        if name not in places:
            hint = did_you_mean(name, places)
            raise ConfigError(
                f"{model} was trained on a column {name!r}, which the log does not have{hint} It has {_few(known)}."
            )
        if times[name] > 1:
            raise ConfigError(
                f"{model} was trained on a column {name!r}, and the log has {times[name]} of this name. Fix: say with "
                "inputs which group it is of, or give the columns different names."
            )
    return Columns(spec, groups, tuple(wanted), np.array([places[name] for name in wanted], np.int64))


def item_ids(spec: Spec) -> list[str]:
    """The ids of the items, their numbers where nobody knows ids."""
    return [str(one) for one in spec.item_ids] if len(spec.item_ids) else [str(one) for one in range(spec.n_items)]


def _usual(spec: Spec, learns: bool) -> tuple[str, ...]:
    """The groups of "auto"."""
    sizes = _sizes(spec, GROUPS)
    there = tuple(group for group in GROUPS if sizes[group])
    return (*there, ONE_HOT) if learns and not (sizes["items"] or sizes["features"]) else there


def _sizes(spec: Spec, groups: Sequence[str]) -> dict[str, int]:
    every = {"context": spec.d, "items": spec.items.shape[1], "features": spec.m, ONE_HOT: spec.n_items}
    return {group: every[group] for group in groups}


def _names(spec: Spec, group: str, size: int) -> Sequence[str]:
    if group == ONE_HOT:
        return [f"item={one}" for one in item_ids(spec)]
    named = spec.feature_names.get(group, ())
    return named if len(named) == size else [f"{group}_{number}" for number in range(size)]


def _few(names: Sequence[str]) -> str:
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")
