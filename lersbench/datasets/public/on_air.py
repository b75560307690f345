"""What was on air when somebody chose: visits, and the beginnings and ends of streams, swept once in the order of time.

A round is a visit: its user, its time, and as candidates the streamer visited and others that were on air then, drawn
uniformly without replacement (or all of them). A draw depends on the seed alone. Features know only what lay before the
time of the visit: of a candidate a one, how long it is on air, how often this user and how often anybody visited it,
each as log(1 + n); of the round, as its context, a one, how often the user visited anybody, and the time of day.

What is in memory: a few numbers a streamer and a user, and one for each pair of them that met.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lersbench.datasets.public.options import OnAir
from lersbench.datasets.public.rounds import Ids, Tally, spool
from lersbench.errors import ConfigError
from lersbench.kernels.jit import kernel
from lersbench.log import Ragged
from lersbench.log.outcomes import outcome_in

BEGIN, END, VISIT = 0, 1, 2
ROOM = 1 << 20  # candidates gathered at a time, or as many as there are streamers where that is more
MOST_PAIRS = 1 << 23  # visits, so pairs of a user and a streamer, that are held
DAY = 86_400_000_000  # microseconds
FEATURES = ("1", "log(1 + minutes on air)", "log(1 + visits of the user before)", "log(1 + visits of all before)")
CONTEXT = ("1", "log(1 + visits of the user to anybody before)", "sine of the time of day", "cosine of the time of day")


class State(NamedTuple):
    """Who is on air and what happened so far, by code."""

    on: np.ndarray  # (streamers,) those on air come first, in no order
    place: np.ndarray  # (streamers,) where in `on` each stands; -1: not on air
    open: np.ndarray  # (streamers,) how many of its streams run
    since: np.ndarray  # (streamers,) microseconds, when the first of them began
    visits: np.ndarray  # (streamers,)
    own: np.ndarray  # (users,) visits of each user
    keys: np.ndarray  # (capacity,) hash table of pairs, -1: free
    pairs: np.ndarray  # (capacity,) visits of each pair
    queue: np.ndarray  # (waiting, 2) user and streamer of visits at the present time, not counted before it is over
    now: np.ndarray  # (3,) how many are on air, how many visits wait, their time


class Gathered(NamedTuple):
    """The rounds of some events, as far as there is room."""

    lengths: np.ndarray  # (events,) candidates of each event; 0: no round
    own: np.ndarray  # (events,) visits of the user before
    items: np.ndarray  # (room,) the candidates, the visited one first
    features: np.ndarray  # (room, 4)


@kernel
def slot(keys, key):
    """Where the pair `key` stands in the table, or is to stand."""
    mask = keys.shape[0] - 1
    at = ((key * 0x9E3779B97F4A7C1) >> 17) & mask
    while keys[at] != -1 and keys[at] != key:
        at = (at + 1) & mask
    return at


@kernel
def swap(on, place, i, j):
    """Exchange two of those on air."""
    a, b = on[i], on[j]
    on[i], on[j] = b, a
    place[b], place[a] = i, j


@kernel
def count(state):
    """The visits that waited are known from now on."""
    streamers = state.on.shape[0]
    for w in range(state.now[1]):
        user, item = state.queue[w, 0], state.queue[w, 1]
        at = slot(state.keys, user * streamers + item)
        state.keys[at] = user * streamers + item
        state.pairs[at] += 1
        state.visits[item] += 1
        state.own[user] += 1
    state.now[1] = 0


@kernel
def sweep(time, kind, item, user, counted, draw, uniform, most, limit, state, out):
    """Go through events in the order of time, until there is no room, or `limit` rounds; return how many were done.

    time (n,) int64 microseconds, kind (n,), item and user (n,) codes, counted (n,) is a visit counted afterwards?
    draw (n,) the row of `uniform` (visits, most - 1) that an event draws with; most: candidates of a round at most, 0:
    all on air.
    """
    on, place, streamers = state.on, state.place, state.on.shape[0]
    used, made = 0, 0
    for e in range(kind.shape[0]):
        if made == limit:
            return e
        a, size = item[e], state.now[0]
        out.lengths[e] = 0
        if time[e] > state.now[2]:
            count(state)
            state.now[2] = time[e]
        if kind[e] == 0:
            state.open[a] += 1
            if state.open[a] == 1:
                on[size], place[a] = a, size
                state.since[a] = time[e]
                state.now[0] = size + 1
        elif kind[e] == 1:
            state.open[a] -= 1
            if state.open[a] == 0:
                swap(on, place, place[a], size - 1)
                place[a] = -1
                state.now[0] = size - 1
        elif place[a] >= 0:
            take = size if most == 0 or size < most else most
            if used + take > out.items.shape[0] or state.now[1] == state.queue.shape[0]:
                return e
            swap(on, place, 0, place[a])
            if take < size:
                for j in range(1, take):
                    swap(on, place, j, j + int(uniform[draw[e], j - 1] * (size - j)))
            for j in range(take):
                b, row = on[j], out.features[used + j]
                out.items[used + j] = b
                row[0] = 1.0
                row[1] = np.log1p((time[e] - state.since[b]) / 60e6)
                row[2] = np.log1p(state.pairs[slot(state.keys, user[e] * streamers + b)])
                row[3] = np.log1p(state.visits[b])
            out.lengths[e], out.own[e] = take, state.own[user[e]]
            used, made = used + take, made + 1
            if counted[e]:
                state.queue[state.now[1], 0], state.queue[state.now[1], 1] = user[e], a
                state.now[1] += 1
    return kind.shape[0]


class Streams:
    """Makes rounds of events. `all_users` and `all_items` are the codes of events, `users` and `items` those of rounds:
    the log lists no streamer that is never on offer."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.all_users, self.all_items = Ids("user"), Ids("item")
        self.users, self.items = Ids("user"), Ids("item")

    def rounds(
        self, out: str | Path, events: Iterable[Mapping[str, Any]], order: tuple[int, int, int], options: OnAir
    ) -> Iterator[dict[str, Any]]:
        """Rounds from parts of events with time, kind, item, user (any for streams), click and counted, and outcomes
        where there are any (columns outcome_NAME), which go with their visits.

        `order`: in which sequence BEGIN, END and VISIT happen at one time. Each part of rounds has user, time, context,
        candidates, features, `chosen` (n,) the place of the visited streamer among all candidates of the part, and
        `click` (n,).
        """
        rank = np.argsort(order).astype(np.int8)
        with spool(out) as kept:
            for part in events:
                visit = part["kind"] == VISIT
                self.tally.read(visit.sum(), part["click"][visit].sum())
                kept.add({**part, "rank": rank[part["kind"]]})
            left = self._limit(options)
            state = self._state(left)
            rng = np.random.default_rng(options.seed)
            self._user, self._item = _Met(self.all_users, self.users), _Met(self.all_items, self.items)
            seen = [0, 0]  # visits and clicks
            for part in kept.sorted_by("time", "rank"):
                if not left:
                    break
                draws = rng.random((int((part["kind"] == VISIT).sum()), max(options.candidates - 1, 0)))
                part["draw"] = np.cumsum(part["kind"] == VISIT) - 1
                while len(part["kind"]) and left:
                    state, chunk, done = self._sweep(part, draws, options, left, state)
                    visit = part["kind"][:done] == VISIT
                    seen = [seen[0] + int(visit.sum()), seen[1] + int(part["click"][:done][visit].sum())]
                    part = {name: values[done:] for name, values in part.items()}
                    left -= len(chunk["user"])
                    yield chunk
            why = f"after the first {options.rounds} rounds"
            self.tally.leave_out(why, self.tally.rows - seen[0], self.tally.clicks - seen[1])

    def _limit(self, options: OnAir) -> int:
        """How many rounds there are at most."""
        most = min(options.rounds or self.tally.rows, self.tally.rows)
        if most > MOST_PAIRS:
            fault = f"{most:,} rounds, of which the visits of {MOST_PAIRS:,} can be held in memory"
            raise ConfigError(f"{fault}. Fix: keep the first ones, with rounds = {MOST_PAIRS} (--rounds {MOST_PAIRS})")
        return most

    def _state(self, visits: int) -> State:
        n, capacity = len(self.all_items), 1 << max(2 * visits - 1, 1).bit_length()
        return State(
            on=np.zeros(n, np.int64),
            place=np.full(n, -1, np.int64),
            open=np.zeros(n, np.int64),
            since=np.zeros(n, np.int64),
            visits=np.zeros(n, np.int64),
            own=np.zeros(len(self.all_users), np.int64),
            keys=np.full(capacity, -1, np.int64),
            pairs=np.zeros(capacity, np.int32),
            queue=np.zeros((1 << 12, 2), np.int64),
            now=np.array([0, 0, np.iinfo(np.int64).min]),
        )

    def _sweep(
        self, part: Mapping[str, np.ndarray], draws: np.ndarray, options: OnAir, left: int, state: State
    ) -> tuple[State, dict[str, Any], int]:
        """The rounds of the first events of a part, and how many events these are."""
        if state.now[1] == len(state.queue):
            state = state._replace(queue=np.concatenate([state.queue, np.zeros_like(state.queue)]))
        n, room = len(part["kind"]), max(ROOM, len(state.on))
        out = Gathered(np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(room, np.int64), np.zeros((room, 4)))
        time = part["time"].astype("datetime64[us]").astype(np.int64)
        columns = (part["kind"], part["item"], part["user"], part["counted"], part["draw"])
        done = sweep(time, *columns, draws, options.candidates, left, state, out)
        made = out.lengths[:done] > 0
        missed = (part["kind"][:done] == VISIT) & ~made
        why = "the streamer visited was not on air"
        self.tally.leave_out(why, missed.sum(), part["click"][:done][missed].sum())
        lengths = out.lengths[:done][made]
        used, day = int(lengths.sum()), 2 * np.pi * (time[:done][made] % DAY) / DAY
        own = np.log1p(out.own[:done][made])
        return (
            state,
            {
                "user": self._user.codes(part["user"][:done][made]),
                "time": part["time"][:done][made],
                "context": np.column_stack([np.ones(len(lengths)), own, np.sin(day), np.cos(day)]).round(9),
                "candidates": Ragged(self._item.codes(out.items[:used]), lengths),
                "features": Ragged(out.features[:used].round(9), lengths),
                "chosen": np.cumsum(lengths) - lengths,
                **{name: part[name][:done][made] for name in part if name == "click" or outcome_in(name)},
            },
            done,
        )


def choices(part: Mapping[str, Any], features: Sequence[int]) -> dict[str, Any]:
    """Rounds with a reward for each candidate: 1 for the visited one. `features` are the columns that are kept."""
    rewards = np.zeros(len(part["candidates"].values), np.float32)
    rewards[part["chosen"]] = part["click"]
    return {**_shared(part, features), "rewards": Ragged(rewards, part["candidates"].lengths)}


def shown(part: Mapping[str, Any], features: Sequence[int]) -> dict[str, Any]:
    """Rounds with a slate of the visited one, and whether it was clicked."""
    slate = part["candidates"].values[part["chosen"]]
    paid = {name: part[name][:, None] for name in part if outcome_in(name)}
    return {**_shared(part, features), "slate": slate[:, None], "clicks": part["click"][:, None], **paid}


def _shared(part: Mapping[str, Any], features: Sequence[int]) -> dict[str, Any]:
    kept = Ragged(part["features"].values[:, list(features)], part["features"].lengths)
    return {**{name: part[name] for name in ("user", "time", "context", "candidates")}, "features": kept}


class _Met:
    """Codes of all ids to codes of those that the rounds have, in the order in which they come."""

    def __init__(self, everyone: Ids, met: Ids) -> None:
        self._texts, self._met = list(everyone), met
        self._code = np.full(len(self._texts), -1, np.int64)

    def codes(self, codes: np.ndarray) -> np.ndarray:
        for new in np.unique(codes[self._code[codes] < 0]):
            self._code[new] = self._met.code(self._texts[new])
        return self._code[codes]
