"""KuaiRand (Kuaishou): short videos put into the feed at random, each a decision with a known propensity.

A row of log_random_*.csv is one video that took the place of a recommended one, drawn uniformly from a pool of 7,583:
its propensity in the pool is 1/7583. Which place was replaced was random too (about 0.37 % of the feed). Rows have no
list and no position, so each is a round of its own: a slate of one video, every video of the pool on offer. The log
calls itself uniform where all of the pool was met in it, else logged (with the same 1/7583).

A row of log_standard_*.csv is a video of the usual recommender, whose propensity nobody knows: such a log has none, and
the videos on offer are all that it shows. What came of a video beside the click is play_time_ms, as the outcome
watch_s. Layout: the header of the files, and the README of the data set.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lersbench.datasets.public import NOT_TRIED
from lersbench.datasets.public import options as known
from lersbench.datasets.public.files import find, table
from lersbench.datasets.public.rounds import Ids, Sides, Tally, write_rounds
from lersbench.datasets.public.sides import side
from lersbench.datasets.public.watch import COLUMN, Watch
from lersbench.errors import DataError
from lersbench.log import Log

TITLE = "KuaiRand: short videos shown at random (Kuaishou), from your own folder"
LICENCE = "CC BY-SA 4.0"
ATTRIBUTION = (
    "Chongming Gao, Shijun Li, Yuan Zhang, Jiawei Chen, Biao Li, Wenqiang Lei, Peng Jiang, Xiangnan He: KuaiRand: An "
    "Unbiased Sequential Recommendation Dataset with Randomly Exposed Videos, CIKM 2022, https://kuairand.com"
)
TRIED = NOT_TRIED
WHAT = "the folder KuaiRand-Pure or KuaiRand-1K (Zenodo record 10439422), its folder data, or one log file"


def build(out: str | Path, *, name: str | None = None, overwrite: bool = False, **values: Any) -> Log:
    """Write the log; `values` are those of `options.KuaiRand`.

    Raises DataError for a file that is missing or wrong, or more videos than the pool has.
    """
    options = known.KuaiRand(**values)
    pattern = f"log_{options.log}_*.csv"
    files = find(options.path, [pattern, f"data/{pattern}", f"KuaiRand-*/data/{pattern}"], WHAT)
    users, items, tally, watch = Ids("user"), Ids("item"), Tally(), Watch(options.longest_watch)

    def finish() -> Sides:
        return _sides(files[0].parent, options, users, items, watch)

    return write_rounds(
        out,
        _parts(files, options, users, items, tally, watch),
        items,
        users,
        tally,
        finish,
        name=name or f"kuairand-{options.log}",
        licence=LICENCE,
        attribution=ATTRIBUTION,
        overwrite=overwrite,
    )


def _parts(
    files: list[Path], options: known.KuaiRand, users: Ids, items: Ids, tally: Tally, watch: Watch
) -> Iterator[dict[str, np.ndarray]]:
    random = options.log == "random"
    for path in files:
        for part in table(path, ("user_id", "video_id", "time_ms", options.outcome, "is_rand", "play_time_ms")):
            click = part.integers(options.outcome, 0, 1)
            kept = part.integers("is_rand", 0, 1) == random
            time = part.times("time_ms", "ms")
            user, item = part.texts("user_id").filter(kept), part.texts("video_id").filter(kept)
            tally.read(len(part), click.sum())
            tally.leave_out(f"is_rand is not {int(random)}", (~kept).sum(), click[~kept].sum())
            columns = {
                "user": users.codes(user),
                "time": time[kept],
                "slate": items.codes(item)[:, None],
                "clicks": click[kept, None],
                COLUMN: watch.seconds(part.integers("play_time_ms", 0)[kept])[:, None],
            }
            if random:
                columns["propensities"] = np.full((kept.sum(), 1), 1 / options.pool)
            yield columns


def _sides(folder: Path, options: known.KuaiRand, users: Ids, items: Ids, watch: Watch) -> Sides:
    watch.say()
    random = options.log == "random"
    if random and len(items) > options.pool:
        fault = f"{len(items):,} videos in the random rows, but the pool has {options.pool:,}"
        raise DataError(f"{folder}: {fault}. Fix: give its size with --pool")
    facts: dict[str, Any] = {
        "source": str(folder),
        "outcome": options.outcome,
        "joins": [],
        "tried": TRIED,
        **watch.facts,
    }
    if random:
        facts |= {"pool": options.pool, "videos of the pool met": len(items)}
    context, features = None, {}
    if tables := sorted(folder.glob("user_features_*.csv")):
        found = side(tables[0], "user_id", users, options.context)
        context, facts["users with features"] = found.values, found.join["met"]
        facts["joins"].append(found.join)
    if tables := sorted(folder.glob("video_features_basic_*.csv")):
        found = side(tables[0], "video_id", items, options.item_features, ("author_id", "music_id", "upload_dt"))
        features, facts["videos with features"] = {"features": list(found.values)}, found.join["met"]
        facts["joins"].append(found.join)
    made = "none" if not random else "uniform" if len(items) == options.pool else "logged"
    return Sides(features, {}, context, made, facts, watch.outcomes)
