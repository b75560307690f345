"""One policy with its state, random numbers and sums: one run through a log."""

from __future__ import annotations

from typing import Any

import numpy as np

from lersbench.engine import service
from lersbench.engine.loop import LENT, Desk, View, batched, compiled
from lersbench.engine.meter import new_meter
from lersbench.engine.rounds import Protocol, scratch_of, visit_of
from lersbench.engine.rows import Rows, as_logged
from lersbench.engine.service import DELAYS, DUE, NEVER, READ, SERVICE
from lersbench.errors import LostDigits, RunError
from lersbench.log.scaling import largest
from lersbench.policy import KernelPolicy, Policy, Spec

FAULTS = {
    1: "filled its slate with an index that is not in 0..C-1",
    2: "put the same candidate twice into its slate",
    3: "gave a candidate a score that is not a number",
    4: "gave a candidate an infinite score",
}
REASONS = {
    1: "",
    2: "",
    3: " A score that is not a number comes from 0 / 0, from numbers that grew beyond 1e308, or from a table that has "
    "none of a candidate",
    4: " Scores are finite: let what was never shown come first with a large number, such as 1e300. Else numbers grew "
    "beyond 1e308",
}


def is_lazy(policy: Policy, protocol: Protocol) -> bool:
    """Is the policy asked by its `wins` kernel, under rejection replay of one position, instead of `select`?"""
    asks = isinstance(policy, KernelPolicy) and len(policy.kernels) > 2
    loud = protocol.silence == -np.inf  # `wins` gives no score, and silence is a matter of the score
    return protocol.replay and protocol.slate == 1 and asks and loud


class Contender:
    """One policy with its state, random numbers and sums: one run through a log."""

    def __init__(
        self,
        policy: Policy,
        spec: Spec,
        protocol: Protocol,
        rng: np.random.Generator,
        checkpoints: np.ndarray,
        likes: int = 0,
        published: np.ndarray | None = None,
        waiting: int = 0,
    ):
        """A fresh run of a policy, whose metrics are read after the rounds `checkpoints` (n,) int64, ascending.

        `rng` draws the policy's randomness. `likes` is the room for distinct likes, 0 where they are not counted;
        `published` as of `new_meter`. `waiting` rounds can be under way at once where feedback is delayed, see
        `delays.waiting_at_most`. The loop is compiled when the first rows are played.
        """
        lazy = is_lazy(policy, protocol)
        self.policy, self.protocol, self.rng = policy, protocol._replace(lazy=lazy), rng
        places = spec.n_candidates if protocol.bracketed else 0  # those of the longest logged list
        self.meter = new_meter(spec.n_items, checkpoints, likes, published, places, spec.users)
        self.played = 0  # rounds it was offered
        self._rows: Rows | None = None
        self._lent: Any = None  # the rows in the order in which this policy finds candidates
        self._copies: dict[str, np.ndarray] = {}  # of LENT, for a foreign kernel: it can write where it should read
        self._view: Any = None  # what the loop reads of the rows
        self._box: Any = None  # rows, memory and sums, where the service finds them
        self.scratch, self._visit = scratch_of(spec, protocol, waiting), visit_of(spec, protocol)
        self.scratch.clock[DUE] = checkpoints[0] if checkpoints.size else NEVER
        self.state = policy.init(spec)
        self.drive = (
            compiled(type(policy), lazy, protocol.delayed)
            if isinstance(policy, KernelPolicy)
            else batched(policy, protocol.delayed)
        )

    def play(self, rows: Rows, index: np.ndarray, at: np.ndarray) -> None:
        """Play rows of one chunk. Raises RunError where the policy breaks its contract."""
        self.played += index.size
        self._take(rows)
        desk = Desk(SERVICE.address, self._box.at, DELAYS.address if self.protocol.delayed else 0)
        try:
            self.drive(self.state, self.rng, self._view, index, at, self.protocol, self.scratch, desk)
        except LostDigits as error:
            raise RunError(
                f"{self.policy!r} has lost the digits of its estimates, in round {self.scratch.clock[2]} of the log: "
                f"they would be wrong from here on. {self._largest(rows)}"
            ) from error
        if fault := int(self.meter.fault[0]):
            reason = f"{REASONS[fault]}. {self._largest(rows)}" if REASONS[fault] else ""
            raise RunError(f"{self.policy!r} {FAULTS[fault]}, in round {self.meter.fault[1]} of the log.{reason}")

    def _take(self, rows: Rows) -> None:
        """Put these rows and the sums as they are now where loop and service find them."""
        if rows is not self._rows:
            self._check_lent()
            if self.scratch.queue.size[0]:
                raise ValueError("rounds whose feedback is under way are those of the rows before: play all as one")
            self._rows, self._lent = rows, as_logged(rows) if self.protocol.shows_the_log else rows
            safe = type(self.policy).__module__.startswith("lersbench.") or not isinstance(self.policy, KernelPolicy)
            self._copies = {} if safe else {name: getattr(self._lent, name).copy() for name in LENT}
            self._view = View(*(self._copies.get(name, getattr(self._lent, name)) for name in View._fields))
        elif self._box.value.meter is self.meter:
            return
        desk = service.Desk(self._lent, self.protocol, self.scratch, self._visit, self.meter)
        self._box = SERVICE.box(desk)

    def _largest(self, rows: Rows) -> str:
        composed = self.protocol.users >= 0
        return largest(rows.context, rows.features, rows.items if composed else rows.items[:0])

    def finish(self, rounds: int) -> None:
        """Read the checkpoints left, after a log of this many rounds."""
        self._check_lent()
        if self._box is None or self._box.value.meter is not self.meter:
            raise ValueError("finish() comes after play(), with the same meter")
        SERVICE.asked(self._box.at, READ, 0, rounds, 0)

    def _check_lent(self) -> None:
        for name, copy in self._copies.items():
            if not np.array_equal(copy, getattr(self._lent, name)):
                raise RunError(f"{self.policy!r} wrote to {name} of a round, which belongs to the log.")
