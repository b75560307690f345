"""Who was on air: the sweep against a plain count, the draw, and what features may know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lersbench.datasets.public import on_air, rounds
from lersbench.datasets.public.on_air import BEGIN, END, VISIT, Streams
from lersbench.datasets.public.options import OnAir
from lersbench.datasets.public.rounds import Tally
from lersbench.errors import ConfigError

Events = list[tuple[int, int, str, str]]  # minute, kind, streamer, user


def world(seed: int, visits: int = 300) -> Events:
    """Streams that overlap, also with themselves, and visits of whoever; many at the same minute."""
    rng = np.random.default_rng(seed)
    events: Events = []
    for _ in range(60):
        streamer, begin = f"s{rng.integers(12)}", int(rng.integers(0, 60))
        events += [(begin, BEGIN, streamer, ""), (begin + int(rng.integers(0, 9)), END, streamer, "")]
    return events + [
        (int(rng.integers(0, 70)), VISIT, f"s{rng.integers(12)}", f"u{rng.integers(5)}") for _ in range(visits)
    ]


def part(streams: Streams, events: Events) -> dict[str, Any]:
    minute, kind, item, user = zip(*events, strict=True)
    visit = np.array(kind) == VISIT
    return {
        "time": np.array(minute, "datetime64[m]").astype("datetime64[us]"),
        "kind": np.array(kind, np.int8),
        "item": np.array([streams.all_items.code(one) for one in item], np.int64),
        "user": np.array([streams.all_users.code(one) for one in user], np.int64),
        "click": visit.astype(np.int8),
        "counted": visit,
    }


def swept(folder: Path, events: Events, order: tuple[int, int, int], **options: Any) -> tuple[list[Any], Tally]:
    """Rounds as (minute, user, chosen, {streamer: features}, context)."""
    streams = Streams(Tally("visits"))
    parts = (part(streams, events[start : start + 50]) for start in range(0, len(events), 50))
    made = list(streams.rounds(folder / "log", parts, order, OnAir(path="", **options)))
    items, users = list(streams.items), list(streams.users)
    found = []
    for chunk in made:
        edges = np.concatenate([[0], np.cumsum(chunk["candidates"].lengths)])
        for row in range(len(chunk["user"])):
            own = slice(edges[row], edges[row + 1])
            offer = [items[code] for code in chunk["candidates"].values[own]]
            features = dict(zip(offer, chunk["features"].values[own].tolist(), strict=True))
            assert len(features) == len(offer)  # nobody twice
            minute = int(chunk["time"][row].astype("datetime64[m]").astype(np.int64))
            chosen = items[chunk["candidates"].values[chunk["chosen"][row]]]
            found.append((minute, users[chunk["user"][row]], chosen, features, chunk["context"][row].tolist()))
    return found, streams.tally


def plain(events: Events, order: tuple[int, int, int]) -> Iterator[tuple[int, str, str, dict[str, list[float]], float]]:
    """The same by counting anew for every visit."""
    ranked = sorted(events, key=lambda event: (event[0], order.index(event[1])))
    kept: set[int] = set()
    for at, (minute, kind, streamer, user) in enumerate(ranked):
        if kind != VISIT:
            continue
        opened: Counter[str] = Counter()
        since: dict[str, int] = {}
        for when, what, who, _ in ranked[:at]:
            if what == BEGIN:
                since[who] = since[who] if opened[who] else when
                opened[who] += 1
            elif what == END:
                opened[who] -= 1
        on = [who for who in opened if opened[who] > 0]
        before = [
            (who, by)
            for number, (when, what, who, by) in enumerate(ranked)
            if what == VISIT and when < minute and number in kept
        ]
        if streamer not in on:
            continue
        kept.add(at)
        features = {
            who: np.log1p([np.e - 1, minute - since[who], before.count((who, user)), sum(w == who for w, _ in before)])
            .round(9)
            .tolist()
            for who in on
        }
        yield minute, user, streamer, features, sum(by == user for _, by in before)


@pytest.mark.parametrize("order", [(BEGIN, VISIT, END), (BEGIN, END, VISIT)])
@pytest.mark.parametrize("seed", range(3))
def test_the_sweep_is_a_plain_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, order: tuple[int, int, int]
) -> None:
    events = world(seed)
    wanted = list(plain(events, order))
    assert 20 < len(wanted) < 300
    for rows, room in ((rounds.ROWS, on_air.ROOM), (7, 1)):  # neither blocks nor room make a difference
        monkeypatch.setattr(rounds, "ROWS", rows)
        monkeypatch.setattr(on_air, "ROOM", room)
        found, tally = swept(tmp_path, events, order, candidates=0)
        assert [row[:3] for row in found] == [row[:3] for row in wanted]
        for got, want in zip(found, wanted, strict=True):
            assert got[3].keys() == want[3].keys()
            for who, features in got[3].items():
                assert features == pytest.approx(want[3][who], abs=1e-8)
            day = 2 * np.pi * want[0] / (24 * 60)
            assert got[4] == pytest.approx([1, np.log1p(want[4]), np.sin(day), np.cos(day)])
        assert tally.rows == 300
        assert tally.left_out == {"the streamer visited was not on air": [300 - len(wanted)] * 2}


def test_a_draw_holds_the_chosen_and_depends_on_the_seed_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events, order = world(5), (BEGIN, VISIT, END)
    everyone, _ = swept(tmp_path, events, order, candidates=0)
    drawn, _ = swept(tmp_path, events, order, candidates=3)
    for whole, few in zip(everyone, drawn, strict=True):
        assert set(few[3]) <= set(whole[3]) and few[2] in few[3]
        assert len(few[3]) == min(3, len(whole[3]))
        assert few[3] == {who: whole[3][who] for who in few[3]}
    monkeypatch.setattr(rounds, "ROWS", 7)
    assert swept(tmp_path, events, order, candidates=3)[0] == drawn
    assert swept(tmp_path, events, order, candidates=3, seed=1)[0] != drawn


def test_a_draw_is_uniform(tmp_path: Path) -> None:
    events: Events = [(0, BEGIN, f"s{k}", "") for k in range(10)]
    events += [(1 + k // 50, VISIT, "s0", "u") for k in range(3000)]
    found, _ = swept(tmp_path, events, (BEGIN, VISIT, END), candidates=4)
    counts = Counter(who for row in found for who in row[3])
    assert counts.pop("s0") == 3000
    assert len(counts) == 9
    assert np.abs(np.array(list(counts.values())) - 1000).max() < 5 * np.sqrt(3000 * (1 / 3) * (2 / 3))


def test_the_first_rounds_can_be_kept(tmp_path: Path) -> None:
    events, order = world(3), (BEGIN, VISIT, END)
    everyone, _ = swept(tmp_path, events, order, candidates=3)
    first, tally = swept(tmp_path, events, order, candidates=3, rounds=17)
    assert first == everyone[:17]
    assert sum(count[0] for count in tally.left_out.values()) == 300 - 17
    assert tally.left_out["after the first 17 rounds"][0] > 200


def test_more_visits_than_can_be_held_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_air, "MOST_PAIRS", 100)
    with pytest.raises(ConfigError, match="300 rounds, of which the visits of 100 can be held"):
        swept(tmp_path, world(0), (BEGIN, VISIT, END))
    assert not list(tmp_path.glob(".log*"))
    found, _ = swept(tmp_path, world(0), (BEGIN, VISIT, END), rounds=100)
    assert 0 < len(found) <= 100
