"""KuaiLive (Kuaishou): which live room a user entered, among the streamers on air at that moment.

Files: room.csv (start_timestamp and end_timestamp of each live_id and its streamer_id, ms since 1970), click.csv
(user_id, live_id, streamer_id, timestamp, watch_live_time), negative.csv (shown and not clicked), user.csv. An item is
a streamer, who comes back, not a room, which does not; on air is who has a room with start <= t <= end.

With feedback "choice" a round is a click: the streamer clicked has reward 1, the others on offer 0, as they were not
clicked then, which does not mean disliked, nor that the user saw them. With "shown" a round is an impression of
click.csv or negative.csv: a slate of one, whether it was clicked, and as the outcome watch_s how long it was watched
(watch_live_time, taken as milliseconds like all times of the files). Neither has a position or a propensity. Contexts
are those of `on_air`, and what user.csv says of the user. Other names of the same files and columns are understood:
author_id, mapped_room.csv. Layout: the page of the data set, and programs that read it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lersbench.datasets.public import NOT_TRIED
from lersbench.datasets.public.files import find, table
from lersbench.datasets.public.on_air import BEGIN, CONTEXT, END, FEATURES, VISIT, Streams, choices, shown
from lersbench.datasets.public.options import KuaiLive
from lersbench.datasets.public.rounds import Sides, Tally, write_rounds
from lersbench.datasets.public.sides import side
from lersbench.datasets.public.watch import COLUMN, Watch
from lersbench.errors import DataError
from lersbench.log import Log

TITLE = "KuaiLive: live rooms entered among those on air (Kuaishou), from your own folder"
LICENCE = "CC BY-NC-SA 4.0"
ATTRIBUTION = (
    "Changle Qu, Sunhao Dai, Ke Guo, Liqin Zhao, Yanan Niu, Xiao Zhang, Jun Xu: KuaiLive: A Real-time Interactive "
    "Dataset for Live Streaming Recommendation, 2025, arXiv:2508.05633, Zenodo record 16565801"
)
TRIED = NOT_TRIED
Options = KuaiLive
WHAT = "the unpacked folder KuaiLive (Zenodo record 16565801) with room.csv, click.csv, negative.csv and user.csv"
ALIASES = {"author_id": "streamer_id"}
ALL = [0, 1, 2, 3]  # the features


def build(out: str | Path, *, name: str | None = None, overwrite: bool = False, **values: Any) -> Log:
    """Write the log; `values` are those of `options.KuaiLive`.

    Raises DataError for a file that is missing or wrong, ConfigError where there are more visits than can be held.
    """
    options = Options(**values)
    folder = Path(options.path).expanduser()
    if folder.is_file():
        raise DataError(f"{folder}: is a file. Fix: give {WHAT}")
    (room,) = find(folder, ["room.csv", "mapped_room.csv"], WHAT)
    files = [*find(folder, ["click.csv"], WHAT)]
    if options.feedback == "shown":
        files += find(folder, ["negative.csv"], WHAT)
    watch = Watch(options.longest_watch) if options.feedback == "shown" else None
    streams = Streams(Tally("visits" if options.feedback == "choice" else "impressions"))

    def finish() -> Sides:
        facts: dict[str, Any] = {
            "source": str(folder),
            "feedback": options.feedback,
            "items": "streamers",
            "candidates": f"{options.candidates or 'all'} on air, the one entered or shown among them",
            "seed": options.seed,
            "features": list(FEATURES),
            "tried": TRIED,
        }
        if options.feedback == "choice":
            facts["reward"] = "1 for the streamer entered, 0 for the others on offer, which were not entered then"
        if watch is not None:
            watch.say()
            facts |= watch.facts
        paid = {} if watch is None else watch.outcomes
        users = folder / "user.csv"
        if not users.is_file():
            return Sides(provenance={**facts, "context": list(CONTEXT)}, outcomes=paid)
        found = side(users, "user_id", streams.users, options.context)
        facts |= {"context": [*CONTEXT, f"{found.values.shape[1]} components of user.csv"]}
        facts |= {"users with features": found.join["met"], "joins": [found.join]}
        return Sides(context=found.values, provenance=facts, outcomes=paid)

    rounds = streams.rounds(out, _events(room, files, streams, watch), (BEGIN, VISIT, END), options)
    made = choices if options.feedback == "choice" else shown
    return write_rounds(
        out,
        (made(part, ALL) for part in rounds),
        streams.items,
        streams.users,
        streams.tally,
        finish,
        name=name or f"kuailive-{options.feedback}",
        licence=LICENCE,
        attribution=ATTRIBUTION,
        overwrite=overwrite,
    )


def _events(room: Path, files: list[Path], streams: Streams, watch: Watch | None) -> Iterator[dict[str, np.ndarray]]:
    for part in table(room, ("streamer_id", "start_timestamp", "end_timestamp"), aliases=ALIASES):
        begin, end = part.times("start_timestamp", "ms"), part.times("end_timestamp", "ms")
        part.refuse(end < begin, "end_timestamp", "not be before start_timestamp", "repair or drop the row")
        n = len(part)
        yield {
            "time": np.concatenate([begin, end]),
            "kind": np.repeat(np.array([BEGIN, END], np.int8), n),
            "item": np.tile(streams.all_items.codes(part.texts("streamer_id")), 2),
            "user": np.zeros(2 * n, np.int64),
            "click": np.zeros(2 * n, np.int8),
            "counted": np.zeros(2 * n, bool),
            **({} if watch is None else {COLUMN: np.zeros(2 * n)}),
        }
    for path in files:
        clicked = path.name == "click.csv"
        watched = ["watch_live_time"] * (clicked and watch is not None)
        for part in table(path, ("user_id", "streamer_id", "timestamp", *watched), aliases=ALIASES):
            n, paid = len(part), {}
            if watch is not None:
                paid[COLUMN] = watch.seconds(part.numbers("watch_live_time", 0.0)) if clicked else np.zeros(n)
            yield {
                "time": part.times("timestamp", "ms"),
                "kind": np.full(n, VISIT, np.int8),
                "item": streams.all_items.codes(part.texts("streamer_id")),
                "user": streams.all_users.codes(part.texts("user_id")),
                "click": np.full(n, clicked, np.int8),
                "counted": np.full(n, clicked),
                **paid,
            }
