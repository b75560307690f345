"""Twitch (LiveRec): which stream a user chose among those on air, in rounds of ten minutes for 43 days.

A row is one stay, without a header: user, stream, streamer, first and last round, 0 to 6147. A streamer is on air in
round t where some stay has first <= t < last: nobody logged those without viewers, so a streamer that hardly anybody of
the file watches is on offer only when it is watched. That flatters whoever guesses rare streamers, and says nothing of
when a stream really began: how long it is on air is no feature here.

A round of the log is the beginning of a stay: the streamer chosen has reward 1, the others on offer 0, as they were not
chosen then, which does not mean disliked. No date is published: times count from 1970, ten minutes a round.
Layout: README and code of the repository JRappaz/liverec.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lersbench.datasets.public import NOT_TRIED
from lersbench.datasets.public.files import find, table
from lersbench.datasets.public.on_air import BEGIN, CONTEXT, END, FEATURES, VISIT, Streams, choices
from lersbench.datasets.public.options import OnAir
from lersbench.datasets.public.rounds import Sides, Tally, write_rounds
from lersbench.log import Log

TITLE = "Twitch: streams chosen among those on air (LiveRec, 100k users), from your own folder"
LICENCE = "none stated by its authors"
ATTRIBUTION = (
    "Jeremie Rappaz, Julian McAuley, Karl Aberer: Recommendation on Live-Streaming Platforms: Dynamic Availability and "
    "Repeat Consumption, RecSys 2021, https://github.com/JRappaz/liverec"
)
TRIED = NOT_TRIED
Options = OnAir
WHAT = "the folder with 100k.csv (or full_a.csv.gz) of github.com/JRappaz/liverec, or the file"
COLUMNS = ("user", "stream", "streamer", "start", "stop")
KEPT = [0, 2, 3]  # of the features


def build(out: str | Path, *, name: str | None = None, overwrite: bool = False, **values: Any) -> Log:
    """Write the log; `values` are those of `options.OnAir`.

    Raises DataError for a file that is missing or wrong, ConfigError where there are more visits than can be held.
    """
    options = Options(**values)
    (path,) = find(options.path, ["100k.csv", "100k.csv.gz", "full_a.csv.gz", "full_a.csv"], WHAT)
    streams = Streams(Tally("visits"))

    def finish() -> Sides:
        facts = {
            "source": str(path),
            "reward": "1 for the streamer chosen, 0 for the others on offer, which were not chosen then",
            "candidates": f"{options.candidates or 'all'} on air, the chosen one among them",
            "seed": options.seed,
            "context": list(CONTEXT),
            "features": [FEATURES[column] for column in KEPT],
            "time": "rounds of ten minutes counted from 1970; no date is published",
            "tried": TRIED,
        }
        return Sides(provenance=facts)

    rounds = streams.rounds(out, _events(path, streams), (BEGIN, END, VISIT), options)
    return write_rounds(
        out,
        (choices(part, KEPT) for part in rounds),
        streams.items,
        streams.users,
        streams.tally,
        finish,
        name=name or "twitch",
        licence=LICENCE,
        attribution=ATTRIBUTION,
        overwrite=overwrite,
    )


def _events(path: Path, streams: Streams) -> Iterator[dict[str, np.ndarray]]:
    for part in table(path, COLUMNS, names=COLUMNS):
        first, last = part.integers("start", 0, 100_000), part.integers("stop", 0, 100_000)
        part.refuse(last < first, "stop", "not be before start", "repair or drop the row")
        user, item = streams.all_users.codes(part.texts("user")), streams.all_items.codes(part.texts("streamer"))
        n = len(part)
        yield {
            "time": (np.concatenate([first, last, first]) * 600).astype("datetime64[s]").astype("datetime64[us]"),
            "kind": np.repeat(np.array([BEGIN, END, VISIT], np.int8), n),
            "item": np.tile(item, 3),
            "user": np.tile(user, 3),
            "click": np.repeat(np.array([0, 0, 1], np.int8), n),
            "counted": np.repeat(np.array([False, False, True]), n),
        }
