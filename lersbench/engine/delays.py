"""Feedback that comes when it is known: the outcomes under way, in the order of the clock of the log.

An outcome is known at a time of its own. It is delivered before the first round at or after that time, those of one
round that are known at the same moment together, and among rounds in their order. What is not known when the log ends
is never delivered.
"""

from __future__ import annotations

import numpy as np

from lersbench.engine.meter import AWAITED, DELIVERED, Meter
from lersbench.engine.rounds import Protocol, Queue, Scratch, positions_of
from lersbench.engine.rows import Rows
from lersbench.kernels.jit import inlined, kernel

NEXT_PLACE = 4  # place in `Scratch.clock`


@inlined
def _before(queue: Queue, a: int, b: int) -> bool:
    if queue.due[a] != queue.due[b]:
        return queue.due[a] < queue.due[b]
    if queue.order[a] != queue.order[b]:
        return queue.order[a] < queue.order[b]
    return queue.of[a] < queue.of[b]


@inlined
def _swap(queue: Queue, a: int, b: int) -> None:
    for array in (queue.due, queue.order, queue.of):
        array[a], array[b] = array[b], array[a]


@kernel
def _push(queue: Queue, due: int, order: int, of: int) -> None:
    at = queue.size[0]
    queue.due[at], queue.order[at], queue.of[at] = due, order, of
    queue.size[0] += 1
    while at > 0 and _before(queue, at, (at - 1) >> 1):
        _swap(queue, at, (at - 1) >> 1)
        at = (at - 1) >> 1


@kernel
def _pop(queue: Queue) -> None:
    """Take the outcome on top away."""
    queue.size[0] -= 1
    last, at = queue.size[0], 0
    _swap(queue, 0, last)
    while True:
        first = at
        for child in (2 * at + 1, 2 * at + 2):
            if child < last and _before(queue, child, first):
                first = child
        if first == at:
            return
        _swap(queue, at, first)
        at = first


@kernel
def admit(meter: Meter, rows: Rows, row: int, at: int, protocol: Protocol, scratch: Scratch) -> None:
    """Put the outcomes of the round in the next free place under way."""
    queue, place = scratch.queue, scratch.clock[NEXT_PLACE]
    first = rows.first[row]
    wide = rows.first[row + 1] - first
    size = positions_of(rows.top, row, wide, protocol)
    count, width = (wide, scratch.all_slate.shape[0]) if protocol.full else (size, scratch.slates.shape[1])
    known_from = rows.top[row] if protocol.replay else first
    scratch.rows[place], scratch.at[place] = row, at
    queue.left[place] = count
    for i in range(count):
        due = rows.time[row] + protocol.delay
        if rows.known.shape[0] > 0:
            c = i if protocol.full or protocol.replay else scratch.slates[place, i]
            due = rows.known[known_from + c]
        _push(queue, due, at, place * width + i)
    queue.size[1] -= 1
    scratch.clock[NEXT_PLACE] = queue.free[queue.size[1] - 1]
    meter.sums[AWAITED] += count


@kernel
def deliver_next(meter: Meter, now: int, protocol: Protocol, scratch: Scratch) -> int:
    """Take the next outcomes of one round that are known at `now`, if there are any: the place of the round, or -1.

    What they are is in `seen` and `queue.paid` of the place, or in `queue.mask` where all candidates are revealed.
    """
    queue = scratch.queue
    scratch.clock[0] += queue.size[2]
    queue.size[2] = 0
    if queue.size[0] == 0 or queue.due[0] > now:
        return -1
    width = scratch.all_slate.shape[0] if protocol.full else scratch.slates.shape[1]
    due, order, place = queue.due[0], queue.order[0], queue.of[0] // width
    queue.mask[:] = False
    queue.paid[:] = np.nan
    scratch.seen[place, :] = False
    while queue.size[0] > 0 and queue.due[0] == due and queue.order[0] == order:
        i = queue.of[0] - place * width
        if protocol.full:
            queue.mask[i] = True
        else:
            scratch.seen[place, i] = True
            queue.paid[i] = scratch.rewards[place, i]
        queue.left[place] -= 1
        meter.sums[DELIVERED] += 1
        _pop(queue)
    if queue.left[place] == 0:
        queue.size[2] = 1
        queue.free[queue.size[1]] = place
        queue.size[1] += 1
        scratch.clock[NEXT_PLACE] = place  # its round is read before the next one is written there
    return place


def waiting_at_most(time: np.ndarray, last: np.ndarray) -> int:
    """How many rounds can be under way at once, of rounds that begin at the ascending `time` (n,) and of which all is
    known at `last` (n,)."""
    if not len(time):
        return 0
    return int((np.arange(1, len(time) + 1) - np.searchsorted(np.sort(last), time)).max())
