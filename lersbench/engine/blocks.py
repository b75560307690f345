"""The sums that rates are made of, by blocks of users: what tells how far a rate would be off for other customers.

A block is a user where the log has no more than ALONE of them, else the users of one hash; rounds without a user go by
a hash of their own number, one by one. Blocks are whole customers, so what one customer does again and again counts
once. What intervals are made of the sums: `results.customers`.
"""

from __future__ import annotations

import numpy as np

from lersbench.kernels.jit import inlined
from lersbench.kernels.ties import scramble

NUMBER = 256  # blocks of a log of many users
ALONE = 1024  # up to so many users each is a block
NAMES = ("rounds", "revealed", "paid", "sets", "expected", "expected_set")
IN_ROUNDS, SHOWN, PAID_IN, SETS_IN, EXPECTED_IN, EXPECTED_SET_IN = range(len(NAMES))
USERS, ROUNDS_ALONE = 0x5EED, 0xA10E  # keys of the hashes of users and of rounds without one


def number_of(users: int) -> int:
    """How many blocks a log of so many users has (0: it names none)."""
    return users if 0 < users <= ALONE else NUMBER


@inlined
def hash_of(user: int, row: int) -> int:
    """A 32-bit hash of the customer of a round, the log's number `row`: of its `user`, or of the round where the user
    is not known (-1)."""
    return scramble(USERS, user) if user >= 0 else scramble(ROUNDS_ALONE, row)


@inlined
def block_of(user: int, row: int, blocks: np.ndarray) -> int:
    """The block, of `blocks` (B, ...), of a round: the log's number `row`, of a `user` (-1: not known).

    NUMBER blocks are those of a hash, also where the log happens to have so many users.
    """
    return user if user >= 0 and blocks.shape[0] != NUMBER else hash_of(user, row) % blocks.shape[0]
