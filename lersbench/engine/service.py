"""What all policies' loops need of a round beside the policy itself, compiled once and called through an address."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lersbench.engine.counting import count
from lersbench.engine.delays import admit, deliver_next
from lersbench.engine.meter import Meter, new_meter, read_until
from lersbench.engine.rounds import Protocol, Scratch, Visit, compose, positions_of, reveal_all, scratch_of, visit_of
from lersbench.engine.rows import Rows, background_of, rows_of
from lersbench.kernels.indirect import Service
from lersbench.kernels.jit import woven
from lersbench.kernels.uncounted import part
from lersbench.log.chunk import Chunk
from lersbench.policy import Spec

COMPOSE, READ, COUNT, REVEAL = range(4)  # what a loop asks `SERVICE` for
ADMIT, DELIVER = range(4, 6)  # what a loop with delayed feedback asks `DELAYS` for
DUE = 3  # place in `Scratch.clock` of the place in the log from which on a checkpoint is due
NEVER = 1 << 62


class Desk(NamedTuple):
    """What one contender works with."""

    rows: Rows
    protocol: Protocol
    scratch: Scratch
    visit: Visit
    meter: Meter


@woven
def fault_of(slate: np.ndarray, scores: np.ndarray, scored: bool) -> int:
    """0 for a valid slate; 1 an index out of range, 2 an index twice, 3 a NaN score, 4 an infinite one.

    Unless `scored` only the score of the first item was asked for.
    """
    for k in range(slate.shape[0]):
        if slate[k] < 0 or slate[k] >= scores.shape[0]:
            return 1
        for j in range(k):
            if slate[j] == slate[k]:
                return 2
    top = scores[slate[0]]
    strange = not abs(top) < math.inf
    if scored:
        for c in range(scores.shape[0]):
            strange |= not abs(scores[c]) < math.inf
    if strange:
        unknown = top != top
        if scored:
            for c in range(scores.shape[0]):
                unknown |= scores[c] != scores[c]
        return 3 if unknown else 4
    return 0


@woven
def serve(desk: Desk, task: int, row: int, at: int, slot: int) -> int:
    """Do one of the tasks for the round of this row, which stands at place `at` of the log and waits in place `slot`.

    COUNT returns the fault of the slate, 0 where it is valid, and notes it with its place. READ reads the checkpoints
    that are due before the round, and notes when the next one is. The others return 0.
    """
    rows, protocol, scratch, meter = desk.rows, desk.protocol, desk.scratch, desk.meter
    if task == COUNT:
        wide = rows.first[row + 1] - rows.first[row]
        size = positions_of(rows.top, row, wide, protocol)
        fault = fault_of(part(scratch.slates[slot], 0, size), part(scratch.scores[slot], 0, wide), not protocol.lazy)
        if fault != 0:
            meter.fault[0], meter.fault[1] = fault, at
            return fault
        count(meter, rows, row, at, slot, protocol, scratch, desk.visit)
    elif task == READ:
        silent, aged = protocol.silence > -np.inf, rows.age.shape[0] > 0
        ranked, regret, clicked = protocol.ranked, protocol.regret, protocol.clicked
        covariance = rows.carried.covariance
        read_until(meter, at, ranked, regret, protocol.replay, silent, aged, clicked, covariance)
        done = meter.done[0]
        scratch.clock[DUE] = meter.checkpoints[done] if done < meter.checkpoints.shape[0] else NEVER
    elif task == COMPOSE:
        at = rows.own * rows.first[row]
        candidates = rows.candidates[at : at + rows.first[row + 1] - rows.first[row]]
        compose(rows.context[row], rows.items, candidates, protocol.users, protocol.items, scratch.features)
    else:
        reveal_all(rows, row, slot, protocol, scratch)
    return 0


@woven
def serve_delayed(desk: Desk, task: int, row: int, at: int, slot: int) -> int:
    """Do one of the tasks that only delayed feedback has.

    ADMIT puts the outcomes of the round of this row under way, which stands at place `at` of the log, and returns 0;
    DELIVER returns the place of the next round of which something is known by the time of this row, or -1. They stand
    apart from `serve`: as tasks of it they cost every round of every log some 7 % of its time.
    """
    if task == DELIVER:
        return deliver_next(desk.meter, desk.rows.time[row], desk.protocol, desk.scratch)
    admit(desk.meter, desk.rows, row, at, desk.protocol, desk.scratch)
    return 0


def _example() -> Desk:
    """A desk of the smallest size: its types are those of all desks."""
    none, one = np.zeros((0, 0)), np.zeros((1, 1))
    numbers = np.zeros((1, 1), np.int64)
    chunk = Chunk(0, numbers[0], one, numbers, one[None], one, none, numbers, one, none, none, none, none)
    protocol = Protocol(1, 1, False, False, -1, -1, False, False, -np.inf, 0)
    spec = Spec(1, 1, 1)
    meter = new_meter(1, numbers[0], 0)
    rows = rows_of(chunk, background_of(one, 1), "bandit", 1)
    return Desk(rows, protocol, scratch_of(spec, protocol), visit_of(spec, protocol), meter)


SERVICE = Service(serve, _example)
DELAYS = Service(serve_delayed, _example)
