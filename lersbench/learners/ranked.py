"""What the ranked bandits algorithm adds to its learners: a substitute for a duplicate, and the credit for a click.

Source: Radlinski, Kleinberg and Joachims 2008 (doi 10.1145/1390156.1390255).
"""

from __future__ import annotations

import numpy as np

from lersbench.kernels.jit import kernel


@kernel
def show(rng: np.random.Generator, choice: int, taken: np.ndarray, above: int) -> int:
    """The candidate that is shown for a `choice`: itself, or where it is taken already, any of those left at random.

    `taken` (C,) bool has `above` true entries, and has the candidate returned set to true as well. A number is drawn
    for a substitute only.
    """
    if taken[choice]:
        skip = int(rng.random() * (taken.shape[0] - above))
        choice = 0
        while taken[choice] or skip > 0:
            skip -= not taken[choice]
            choice += 1
    taken[choice] = True
    return choice


@kernel
def credit(
    choices: np.ndarray,
    slate: np.ndarray,
    rewards: np.ndarray,
    seen: np.ndarray,
    first_click_only: bool,
    out: np.ndarray,
) -> None:
    """Fill `out` (K,) with what the learner of each position gets for its own choice.

    That is the reward at its position where its `choices` (K,) was shown there, and 0 where a substitute was. With
    `first_click_only` a position below another with a reward gets 0 too. Entries that are not `seen` mean nothing.
    """
    clicked = False
    for k in range(out.shape[0]):
        hit = seen[k] and choices[k] == slate[k] and not (first_click_only and clicked)
        out[k] = rewards[k] if hit else 0.0
        clicked |= seen[k] and rewards[k] > 0.0
