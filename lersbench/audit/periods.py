"""A log whose world changes and whose rewards come late, judged as a user would: written, read and evaluated."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from lersbench.audit.judging import NONE
from lersbench.audit.world import SHOWN, Answer, Check, Group, Lines, World
from lersbench.evaluation.run import evaluate
from lersbench.log import Log, write
from lersbench.offpolicy.verdict import LEVELS

ROWS = 4000
LOGGING = np.array([0.4, 0.3, 0.2, 0.1])
RATE = np.array([0.3, 0.5, 0.6, 0.4])  # at the beginning
FALL = 0.2  # by the end
LATE, WINDOW = 0.3, 400  # share of the rewards that come late, and within how many seconds; a row a second
CUT = 0.5


def drifted(rows: np.ndarray) -> np.ndarray:
    """The mean value of the uniform policy at each row."""
    return RATE.mean() * (1 - FALL * rows / ROWS)


def logged(folder: Path, window: int, rng: np.random.Generator) -> Log:
    """A log written at its last row: what comes later is not in it."""
    rows = np.arange(ROWS)
    arm = rng.choice(len(RATE), ROWS, p=LOGGING)
    earned = rng.random(ROWS) < RATE[arm] * (1 - FALL * rows / ROWS)
    comes = rows + np.where(rng.random(ROWS) < LATE, rng.integers(1, WINDOW, ROWS), 0)
    chunk = {
        "time": np.datetime64("2024-01-01", "us") + rows * np.timedelta64(1, "s"),
        "slate": arm[:, None],
        "clicks": (earned & (comes < ROWS)).astype(np.int8)[:, None],
        "propensities": LOGGING[arm][:, None],
    }
    return write(
        folder,
        chunk,
        items=len(RATE),
        order="time",
        propensities="logged",
        reward_window=f"{window} s" if window else 0,
    )


def play(window: int, rng: np.random.Generator) -> list[Answer]:
    """`random` judged on the second half, and on all rows; the truth is that of the rows that are judged."""
    out = []
    with tempfile.TemporaryDirectory() as folder:
        log = logged(Path(folder) / "log", window, rng)
        for name, frozen in (("second half", CUT), ("all rows", None)):
            settings = {"estimators": ["snips", "ips"], "frozen": frozen}
            table = evaluate(log, ["random"], settings).estimates
            rows = np.arange(round(ROWS * CUT) if frozen else 0, ROWS - window)
            for row in table.to_dict("records"):
                numbers = (float(row["value"]), float(row["low"]), float(row["high"]), float(drifted(rows).mean()))
                kind = f"{row['estimator']}, {name}"
                out.append(Answer(kind, SHOWN, *numbers, NONE, LEVELS.index(row["verdict"])))
    return out


def cut(lines: Lines) -> list[Check]:
    """The window keeps the value right."""
    newer, older = lines["snips, second half", SHOWN], lines["snips, all rows", SHOWN]
    fell = older.truth - newer.truth
    seen = fell + older.error - newer.error
    return [Check("the value falls, and the cut shows it", abs(seen - fell) < fell / 4, f"by {seen:.3f} of {fell:.3f}")]


def young(lines: Lines) -> list[Check]:
    """Without the window the newest rows seem to earn less."""
    line = lines["snips, second half", SHOWN]
    return [Check("rows that are not mature make the estimate low", line.error < -line.margin, f"{line.error:+.4f}")]


KINDS = tuple(f"{name}, {rows}" for name in ("snips", "ips") for rows in ("second half", "all rows"))
GROUP = Group(
    "W11",
    "Drift and delay",
    f"""{ROWS:,} rows, one a second; what the arms earn falls by a fifth from the first row to the last, and {LATE:.0%}
of the rewards come up to {WINDOW} seconds late, after the log was written for the newest rows. These logs are written
to disk and go through `evaluate` as a user's would. With a cut in time the answer is the value of the rows after it,
and with the log's `reward_window` the rows too young to be known are left out. Without the window the same log gives a
value that is too low, and nothing in its weights can tell.""",
    [
        World("W11 with the reward window", "W11", 300, 20, partial(play, WINDOW), KINDS[2:], KINDS[:2], KINDS, cut),
        World("W11 without it", "W11", 300, 40, partial(play, 0), more=young),
    ],
)
