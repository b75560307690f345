"""Decision service JSON (Vowpal Wabbit, Azure Personalizer): one decision a line, with its propensity and its cost.

A line is an object with `_label_cost` (the reward is minus it), `_label_probability` (with which the chosen action was
drawn), `_labelIndex` (which one, from 0; `_label_Action` counts from 1), `a` (the actions as ranked, from 1 or from 0)
with `p` (their probabilities, where they are logged), `Timestamp`, and `c`: shared features by namespace and `_multi`,
the features of each action. The reward is a click where all of the log's are 0 or 1, else an outcome called reward, and
a click only above a number that is named. A round has a slate of the chosen action, and as many candidates as the line
has actions. Features are hashed (see `hashing`) after a column of ones. Lines without a label (decisions or outcomes
that met no partner) and with `_skipLearn` are left out and counted; decisions over several slots (`_outcomes`) are
refused. Where lines were dropped at random before (`pdrop`), the provenance says so; nothing weighs them.

Layout: the readers and writers of these lines in VW's repositories.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lersbench.datasets.public import NOT_TRIED
from lersbench.datasets.public import options as known
from lersbench.datasets.public.files import Place, blocks, find, objects
from lersbench.datasets.public.hashing import hashed, named
from lersbench.datasets.public.rounds import Ids, Sides, Tally, listed, write_rounds
from lersbench.log import Log, Ragged
from lersbench.system.progress import say

TITLE = "Decision service JSON (Vowpal Wabbit): logged decisions with propensities, from your own files"
LICENCE = "that of your own log"
ATTRIBUTION = ""
TRIED = f"{NOT_TRIED} Public test lines of Vowpal Wabbit have this form."
WHAT = "a file of JSON lines, or a folder of files *.dsjson, *.jsonl or *.json (.gz as well)"
LINES = 2048  # decisions parsed at a time
MOST_ITEMS = 1_000_000
REWARD = "outcome_reward"
NEAR = 1e-3  # relative, by which two logged probabilities of one action may differ: they are 32-bit numbers


class Decision(NamedTuple):
    """One line; `chosen` counts from 0."""

    place: Place
    time: str | None
    shared: dict[str, Any]
    actions: list[Any]
    chosen: int
    reward: float
    propensity: float
    dropped: bool


def build(out: str | Path, *, name: str | None = None, overwrite: bool = False, **values: Any) -> Log:
    """Write the log; `values` are those of `options.DsJson`. Raises DataError for a file that is missing or wrong."""
    options = known.DsJson(**values)
    files = find(options.path, ["*.dsjson*", "*.jsonl*", "*.json*"], WHAT)
    items, tally, rewards = Ids("item"), Tally("lines"), _Rewards(options)
    dropped: list[int] = [0]

    def finish() -> Sides:
        rewards.say()
        facts = {
            "source": [str(file) for file in files],
            "item": options.item,
            "click": rewards.click,
            "context": f"1, and shared features hashed into {options.context}",
            "features": f"1, and those of an action hashed into {options.features}",
            "lines with pdrop": dropped[0],
            "tried": TRIED,
        }
        paid, without = rewards.outcomes, rewards.without
        return Sides(propensities="logged", provenance=facts, outcomes=paid, without=without)

    decisions = _decisions(files, options.click_above, tally)
    return write_rounds(
        out,
        (_part(rows, options, items, tally, dropped, rewards) for rows in blocks(decisions, LINES)),
        items,
        None,
        tally,
        finish,
        name=name or "dsjson",
        licence=options.licence,
        attribution=options.attribution,
        overwrite=overwrite,
    )


class _Rewards:
    """Rewards as they come: clicks, an outcome, or both."""

    def __init__(self, options: known.DsJson) -> None:
        self.above, self._ends = options.click_above, {"low": options.reward_low, "high": options.reward_high}
        self._is_click = self.above is None and not any(end is not None for end in self._ends.values())

    def columns(self, rows: list[Decision]) -> dict[str, np.ndarray]:
        """Both columns of these decisions; raises a DataError for a reward beyond the declared range."""
        for row in rows:
            for key, sign in (("low", -1), ("high", 1)):
                end = self._ends[key]
                if end is not None and sign * row.reward > sign * end:
                    fix = f"declare the range that rewards have, with --reward-{key}"
                    row.place.refuse(f"the reward is {row.reward}, beyond {end} (--reward-{key})", fix)
        reward = np.array([row.reward for row in rows])
        self._is_click &= bool(np.isin(reward, (0.0, 1.0)).all())
        clicks = (reward > (self.above or 0.0)).astype(np.int8)
        return {"clicks": clicks[:, None], REWARD: reward[:, None]}

    @property
    def without(self) -> list[str]:
        """The column that the log is not to have."""
        return [REWARD] if self._is_click else ["clicks"] if self.above is None else []

    @property
    def outcomes(self) -> dict[str, Any]:
        known_ends = {key: end for key, end in self._ends.items() if end is not None}
        return {} if self._is_click else {"reward": {**known_ends, "unit": "reward"}}

    @property
    def click(self) -> str:
        """What a click is, in words."""
        return "reward 1" if self._is_click else "none" if self.above is None else f"reward above {self.above}"

    def say(self) -> None:
        if not self._is_click:
            say(f'rewards are an outcome: play them with [replay] reward = "reward"; clicks: {self.click}')
        if not self._is_click and self.above is None:
            say("--click-above 0 would make a reward above 0 a click")


def _decisions(files: list[Path], above: float | None, tally: Tally) -> Iterator[Decision]:
    timed: bool | None = None
    for place, content in objects(files):
        tally.read(1, 0)
        shared = content.get("c")
        if "_outcomes" in content or (isinstance(shared, dict) and "_slots" in shared):
            place.refuse("a decision over several slots", "give decisions of one action (contextual bandit) only")
        if "_label_cost" not in content:
            tally.leave_out("no label", 1)
        elif content.get("_skipLearn"):
            lost = -_finite(place, content, "_label_cost") > (above or 0.0)
            tally.read(0, lost)
            tally.leave_out("_skipLearn", 1, lost)
        else:
            decision = _decision(place, content)
            if timed is not None and timed != (decision.time is not None):
                place.refuse("Timestamp is missing in some lines only", "give it in all lines, or in none")
            timed = decision.time is not None
            yield decision


def _decision(place: Place, content: dict[str, Any]) -> Decision:
    shared = content.get("c")
    actions = shared.get("_multi") if isinstance(shared, dict) else None
    if not isinstance(shared, dict) or not isinstance(actions, list) or not actions:
        place.refuse("c has no list _multi of actions", "log the features of each action in c._multi")
    index, action = content.get("_labelIndex"), content.get("_label_Action")
    chosen = index if index is not None else action - 1 if isinstance(action, int) else None
    if not isinstance(chosen, int) or isinstance(chosen, bool) or not 0 <= chosen < len(actions):
        fix = "number actions from 0 in _labelIndex, from 1 in _label_Action"
        place.refuse(f"_labelIndex is {index!r} and _label_Action {action!r}, of {len(actions)} actions", fix)
    if action is not None and action != chosen + 1:
        place.refuse(f"_labelIndex is {index} (from 0), but _label_Action {action} (from 1)", "keep the right one")
    reward = -_finite(place, content, "_label_cost")
    propensity = _finite(place, content, "_label_probability")
    if not 0 < propensity <= 1 + 1e-6:
        fix = "log the probability with which the action was drawn, above 0 and at most 1"
        place.refuse(f"_label_probability is {propensity}", fix)
    _check_ranking(place, content, len(actions), chosen, propensity)
    features = {key: value for key, value in shared.items() if key != "_multi"}
    dropped = bool(content.get("pdrop"))
    return Decision(place, content.get("Timestamp"), features, actions, chosen, reward, min(propensity, 1.0), dropped)


def _finite(place: Place, content: dict[str, Any], key: str) -> float:
    value = content.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        place.refuse(f"{key} is {value!r}", "write a finite number")
    return float(value)


def _check_ranking(place: Place, content: dict[str, Any], actions: int, chosen: int, propensity: float) -> None:
    """`a` must rank the actions, and `p` must know the propensity, where they are there."""
    ranking, probabilities = content.get("a"), content.get("p")
    if ranking is None:
        return
    first = (
        min(ranking, default=None) if isinstance(ranking, list) and all(isinstance(i, int) for i in ranking) else None
    )
    if first not in (0, 1) or sorted(ranking) != list(range(first, first + actions)):
        place.refuse(f"a is {ranking}, of {actions} actions", "list each action once, from 1 or from 0")
    if probabilities is None:
        return
    if not isinstance(probabilities, list) or len(probabilities) != actions:
        place.refuse(f"p is {probabilities}, of {actions} actions", "give a probability for each action of a")
    there = probabilities[ranking.index(chosen + first)]
    if not isinstance(there, int | float) or abs(there - propensity) > NEAR * propensity:
        fix = "log the probability with which the action was drawn in both"
        place.refuse(f"p says {there} for the chosen action, _label_probability {propensity}", fix)


def _part(
    rows: list[Decision], options: known.DsJson, items: Ids, tally: Tally, dropped: list[int], rewards: _Rewards
) -> dict[str, Any]:
    offers = [[items.code(text) for text in _names(row, options.item)] for row in rows]
    if len(items) > MOST_ITEMS:
        rows[-1].place.refuse(f"more than {MOST_ITEMS:,} different actions by now", "separate them with --item place")
    paid = rewards.columns(rows)
    tally.read(0, paid["clicks"].sum())
    dropped[0] += sum(row.dropped for row in rows)
    features = [[1.0, *hashed(named(action), options.features)] for row in rows for action in row.actions]
    part = {
        "context": np.array([[1.0, *hashed(named(row.shared), options.context)] for row in rows]),
        "candidates": listed(offers, np.int64),
        "features": Ragged(np.array(features), np.array([len(offer) for offer in offers], np.int64)),
        "slate": np.array([[offer[row.chosen]] for row, offer in zip(rows, offers, strict=True)], np.int64),
        **paid,
        "propensities": np.array([[row.propensity] for row in rows]),
    }
    return part if rows[0].time is None else {"time": _times(rows), **part}


def _times(rows: list[Decision]) -> np.ndarray:
    times = pd.to_datetime(pd.Series([row.time for row in rows]), format="ISO8601", utc=True, errors="coerce")
    for wrong in np.flatnonzero(times.isna()):
        row = rows[int(wrong)]
        row.place.refuse(f"Timestamp is {row.time!r}", "write times like 2021-02-04T16:31:29.2460000Z")
    return times.dt.tz_localize(None).to_numpy("datetime64[us]")


def _names(row: Decision, by: str) -> list[str]:
    """What tells the actions of a line apart."""
    if by == "place":
        return [str(number) for number in range(1, len(row.actions) + 1)]
    if by == "tag":
        for number, action in enumerate(row.actions, 1):
            if not isinstance(action, dict) or not isinstance(action.get("_tag"), str | int):
                fix = "separate actions by all they say (--item features) or by their place (--item place)"
                row.place.refuse(f"action {number} has no _tag", fix)
        names = [str(action["_tag"]) for action in row.actions]
    else:
        names = [json.dumps(action, sort_keys=True, ensure_ascii=False) for action in row.actions]
    seen: set[str] = set()
    for one in names:
        if one in seen:
            row.place.refuse(f"two actions are {one}", "separate actions by their place (--item place)")
        seen.add(one)
    return names
