"""KuaiRec: 1,411 users x 3,327 short videos, (almost) every pair observed; a round is a visit of a user.

The data come from the user's own folder, in one of two layouts:

* the original one, of KuaiRec.zip: small_matrix.csv, big_matrix.csv, item_categories.csv. A pair is positive where the
  video was watched for more than twice its length (watch_ratio > 2), as its README suggests;
* the binary one: small_matrix_positives.parquet, small_matrix_users.parquet, small_matrix_items.parquet,
  big_matrix_positives.parquet, item_tags.parquet.

A pair that the small matrix does not have is unknown, not disliked (some authors were blocked): the video is not on
offer to that user then. The binary layout does not say which pairs were seen, so all of them count as seen. Pairs that
are there twice are counted and told; one with both answers is positive.

Contexts, item features and popularity come from the big matrix, whose cells are disjoint from the small one's.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from lersbench.datasets.hashed import hashed_order
from lersbench.datasets.lists.draws import distinct, proportional
from lersbench.datasets.purchases.history import codes
from lersbench.datasets.reduce import Features, reduce, side_by_side
from lersbench.errors import ConfigError, DataError
from lersbench.log import Log, Ragged, write
from lersbench.options import OptionSet, option
from lersbench.system.progress import say

TITLE = "KuaiRec: fully observed user x video feedback (Kuaishou), from your own folder"
LICENCE = "CC BY-SA 4.0"
ATTRIBUTION = (
    "Chongming Gao, Shijun Li, Wenqiang Lei, Jiawei Chen, Biao Li, Peng Jiang, Xiangnan He, Jiaxin Mao, Tat-Seng Chua: "
    "KuaiRec: A Fully-Observed Dataset and Insights for Evaluating Recommender Systems, CIKM 2022, https://kuairec.com"
)
ORIGINAL = ("small_matrix.csv", "big_matrix.csv", "item_categories.csv")
BINARY = (
    "small_matrix_positives.parquet",
    "small_matrix_users.parquet",
    "small_matrix_items.parquet",
    "big_matrix_positives.parquet",
    "item_tags.parquet",
)
POSITIVE = 2.0  # a watch ratio above this is a positive
CHUNK_BYTES = 16 << 20
CSV_ROWS = 500_000


class Matrices(NamedTuple):
    """Ids by their hash; `positive` and `seen` (users, items) bool; `big`: pairs of user_id, video_id; `tags` by
    video_id; of the small matrix `doubled` rows, whose pair came before, and `contradictory` pairs, with both answers.
    """

    users: np.ndarray
    items: np.ndarray
    positive: np.ndarray
    seen: np.ndarray
    big: pd.DataFrame
    tags: pd.Series
    doubled: int
    contradictory: int


@dataclass(frozen=True, kw_only=True)
class Options(OptionSet):
    """What is made of the data.

    Attributes:
        path: folder with the data (layouts: see the module).
        feedback: "full" keeps whole reward rows. "uniform" and "popularity" keep a drawn slate of `L` videos, its
            clicks and its exact propensities; popularity draws with p ~ (positives in the big matrix + 1/2) to the
            power 1 / temperature, the same at every position.
        visits: rounds of each user.
        context, item_features: widths after PCA of the tag shares of a user's positives, and of a video's tags and
            popularity; 0 keeps every standardised feature.
    """

    path: str
    feedback: Literal["full", "uniform", "popularity"] = "full"
    L: int = option(1, least=1)
    visits: int = option(1, least=1)
    temperature: float = option(1.0, least=0, open=True)
    context: int = option(20, least=0)
    item_features: int = option(8, least=0)
    seed: int = option(0, least=0)


def build(out: Path, **values: Any) -> Log:
    """Write a log in which every video is on offer in every round; `values` are those of `Options`.

    Raises ConfigError for a folder that is not there or options that contradict each other, DataError for broken files.
    """
    options = Options(**values)
    data = _read(Path(options.path).expanduser())
    fewest = int(data.seen.sum(axis=1).min())
    if fewest < options.L:
        raise ConfigError(f"option L = {options.L} is longer than the {fewest} videos on offer.")
    drawn = options.feedback == "popularity"
    p = _popularity(data) ** (1 / options.temperature) if drawn else None
    x, x_share = _context(data, options.context)
    z, z_share = reduce(_item_features(data), np.ones(len(data.items), bool), options.item_features)
    provenance = {
        "source": str(Path(options.path).expanduser().resolve()),
        "feedback": options.feedback,
        "visits": options.visits,
        "temperature": options.temperature if drawn else None,
        "seed": options.seed,
        "density": float(data.positive.sum() / data.seen.sum()),
        **_faults(data),
        "context_variance_kept": round(x_share, 4),
        "item_variance_kept": round(z_share, 4),
    }
    items = pd.DataFrame({"item": np.arange(len(data.items)), "id": data.items, "likes": data.positive.sum(axis=0)})
    items["tags"] = [" ".join(map(str, tags)) for tags in data.tags.reindex(data.items)]
    return write(
        out,
        _chunks(data, x, p if p is None else p / p.sum(), options.feedback, options.L, options.visits, options.seed),
        name=f"kuairec-{options.feedback}",
        items=items.assign(features=list(z)),
        users=pd.DataFrame({"user": np.arange(len(data.users)), "id": data.users}),
        propensities={"full": "none", "uniform": "uniform", "popularity": "logged"}[options.feedback],
        licence=LICENCE,
        attribution=ATTRIBUTION,
        provenance=provenance,
    )


def _faults(data: Matrices) -> dict[str, Any]:
    """What is missing, doubled and contradictory in the small matrix: said, and for the provenance."""
    missing = int((~data.seen).sum())
    counts = {"pairs missing": missing, "rows doubled": data.doubled, "pairs contradictory": data.contradictory}
    lines = []
    if missing:
        lines.append(f"{missing:,} of {data.seen.size:,} pairs are missing; the video is not on offer to that user")
    if data.doubled:
        lines.append(f"{data.doubled:,} rows are of a pair that came before, taken once")
    if data.contradictory:
        lines.append(f"{data.contradictory:,} pairs have both answers, taken as positive")
    for line in lines:
        say(f"small matrix: {line}")
    return {**counts, "selections": [{"step": "small matrix", "said": f"small matrix: {line}"} for line in lines]}


def _read(folder: Path) -> Matrices:
    for names, reader in ((BINARY, _read_binary), (ORIGINAL, _read_original)):
        if all((folder / name).is_file() for name in names):
            return reader(folder)
    raise ConfigError(
        f"{folder} does not hold the KuaiRec data. Download KuaiRec.zip from https://kuairec.com (Zenodo record "
        f"18164998), unpack it, and give the folder with {', '.join(ORIGINAL)} as path "
        f"(or one with {', '.join(BINARY)})."
    )


def _read_binary(folder: Path) -> Matrices:
    pair = ["user_id", "video_id"]
    columns = (pair, ["user_id"], ["video_id"], pair, ["video_id", "tags"])
    positives, users, items, big, tags = (_parquet(folder / n, names) for n, names in zip(BINARY, columns, strict=True))
    tagged = tags.set_index("video_id")["tags"]
    return _matrices(positives.assign(positive=True), users["user_id"], items["video_id"], big, tagged, folder, False)


def _read_original(folder: Path) -> Matrices:
    small = _watched(folder / ORIGINAL[0])
    big = _watched(folder / ORIGINAL[1])
    try:
        tags = pd.read_csv(folder / ORIGINAL[2]).set_index("video_id")["feat"].map(ast.literal_eval)
    except (KeyError, ValueError, SyntaxError) as error:
        raise DataError(f"{folder / ORIGINAL[2]} cannot be read as a table of video_id and feat: {error}") from error
    return _matrices(small, small["user_id"], small["video_id"], big[big["positive"]], tags, folder, True)


def _parquet(path: Path, columns: list[str]) -> pd.DataFrame:
    try:
        return pq.read_table(path, columns=columns).to_pandas()
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a table of {', '.join(columns)}: {error}") from error


def _watched(path: Path) -> pd.DataFrame:
    columns = ["user_id", "video_id", "watch_ratio"]
    try:
        parts = [
            part[columns[:2]].assign(positive=part["watch_ratio"] > POSITIVE)
            for part in pd.read_csv(path, usecols=columns, chunksize=CSV_ROWS)
        ]
    except ValueError as error:
        raise DataError(f"{path} cannot be read as a KuaiRec matrix with {', '.join(columns)}: {error}") from error
    return pd.concat(parts, ignore_index=True)


def _matrices(
    answers: pd.DataFrame,
    users: pd.Series,
    items: pd.Series,
    big: pd.DataFrame,
    tags: pd.Series,
    folder: Path,
    seen_known: bool,
) -> Matrices:
    """`answers` has pairs with their answer `positive`; unless `seen_known`, all others were seen too, and negative."""
    user_ids, item_ids = np.unique(users), np.unique(items)
    row = codes(pd.Index(user_ids), answers["user_id"])
    column = codes(pd.Index(item_ids), answers["video_id"])
    for code, key in ((row, "user_id"), (column, "video_id")):
        if (code < 0).any():
            stray = answers[key].iloc[int((code < 0).argmax())]
            raise DataError(f"{folder}: the positives have {key} {stray}, which the small matrix does not list.")
    for ids, what in ((item_ids, "small"), (big["video_id"], "big")):
        untagged = np.setdiff1d(ids, tags.index)
        if len(untagged):
            raise DataError(f"{folder}: {len(untagged)} videos of the {what} matrix have no tags, first {untagged[0]}.")
    yes = answers["positive"].to_numpy()
    positive, negative, seen = (np.zeros((len(user_ids), len(item_ids)), bool) for _ in range(3))
    positive[row[yes], column[yes]] = True
    negative[row[~yes], column[~yes]] = True
    seen[row, column] = True
    doubled, contradictory = len(answers) - int(seen.sum()), int((positive & negative).sum())
    if not seen_known:
        seen[:] = True
    users_at, items_at = hashed_order(user_ids, "user"), hashed_order(item_ids, "item")
    positive, seen = (matrix[np.ix_(users_at, items_at)] for matrix in (positive, seen))
    pairs = big[["user_id", "video_id"]]
    return Matrices(user_ids[users_at], item_ids[items_at], positive, seen, pairs, tags, doubled, contradictory)


def _tag_table(data: Matrices) -> pd.DataFrame:
    """One row a video, one 0/1 column a tag."""
    pairs = data.tags.explode().dropna().astype(np.int64)
    return pd.crosstab(pairs.index, pairs).clip(upper=1).reindex(data.tags.index, fill_value=0)


def _popularity(data: Matrices) -> np.ndarray:
    """(items,) positives in the big matrix + 1/2."""
    return data.big["video_id"].value_counts().reindex(data.items, fill_value=0).to_numpy(float) + 0.5


def _context(data: Matrices, width: int) -> tuple[np.ndarray, float]:
    """Tag shares of the big matrix's positives and how many there are; users without any have zeros."""
    table = _tag_table(data)
    everyone = np.union1d(data.users, data.big["user_id"])
    row = codes(pd.Index(everyone), data.big["user_id"])
    seen = table.to_numpy(float)[codes(table.index, data.big["video_id"])]
    counts = np.column_stack([np.bincount(row, seen[:, j], len(everyone)) for j in range(seen.shape[1])])
    total = counts.sum(axis=1, keepdims=True)
    number = np.bincount(row, minlength=len(everyone))
    features = side_by_side(
        Features([f"tag {tag}" for tag in table], counts / np.where(total > 0, total, 1)),
        Features(["log positives"], np.log1p(number)[:, None]),
    )
    values, share = reduce(features, number > 0, width)
    return values[pd.Index(everyone).get_indexer(data.users)], share


def _item_features(data: Matrices) -> Features:
    table = _tag_table(data).reindex(data.items)
    return side_by_side(
        Features([f"tag {tag}" for tag in table], table.to_numpy(float)),
        Features(["log popularity"], np.log(_popularity(data))[:, None]),
    )


def _chunks(
    data: Matrices, x: np.ndarray, p: np.ndarray | None, feedback: str, L: int, visits: int, seed: int
) -> Iterator[dict[str, Any]]:
    user = np.tile(np.arange(len(data.users)), visits)
    user = user[hashed_order(range(len(user)), "round")]
    n_items = len(data.items)
    rows = max(1, CHUNK_BYTES // (8 * (n_items + x.shape[1])))
    for start in range(0, len(user), rows):
        who = user[start : start + rows]
        seen = data.seen[who]
        chunk: dict[str, Any] = {"user": who, "context": x[who]}
        if not data.seen.all():
            chunk["candidates"] = Ragged(np.nonzero(seen)[1].astype(np.int32), seen.sum(axis=1))
        if feedback == "full":
            rewards = data.positive[who].astype(np.float32)
            chunk["rewards"] = rewards if data.seen.all() else Ragged(rewards[seen], seen.sum(axis=1))
        else:
            rng = np.random.default_rng([seed, start])
            draw, chunk["propensities"] = _drawn(rng, seen, p, L)
            chunk["slate"] = draw.astype(np.int32)
            chunk["clicks"] = data.positive[who[:, None], draw].astype(np.int8)
        yield chunk


def _drawn(rng: np.random.Generator, seen: np.ndarray, p: np.ndarray | None, L: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, L) slates of what was `seen` (n, items), uniformly or by `p` (items,), and their exact propensities."""
    n, n_items = seen.shape
    if seen.all():
        draw = distinct(rng, n, n_items, L) if p is None else proportional(rng, n, p, L)
        return draw, np.full(draw.shape, 1 / n_items) if p is None else p[draw]
    if p is None:
        draw = np.argsort(np.where(seen, rng.random(seen.shape), np.inf), axis=1)[:, :L]
        return draw, np.broadcast_to(1 / seen.sum(axis=1, keepdims=True), draw.shape)
    own = np.where(seen, p, 0.0)
    own /= own.sum(axis=1, keepdims=True)
    draw = proportional(rng, n, own, L)
    return draw, np.take_along_axis(own, draw, axis=1)
