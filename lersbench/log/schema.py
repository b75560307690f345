"""What a log looks like on disk: its files, `log.json`, the columns of the rounds, checksums and digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.fs as pafs

from lersbench.errors import ConfigError, DataError
from lersbench.log import facts as log_facts
from lersbench.log import outcomes as log_outcomes
from lersbench.log.propensities import KINDS, kind_in
from lersbench.log.ragged import Ragged

SCHEMA = 2
READABLE = (1, 2)  # schema 1 has one width in every row and no key `ragged`; `write` makes schema 2 of its chunks
RAGGED = ("candidates", "slate")  # what may differ in length from round to round
SINCE_2 = ("ragged", "outcomes", "propensity_kind", "reward_window")  # keys of log.json that schema 1 has not
ORDERS = ("time", "exchangeable")
PROPENSITIES = ("uniform", "logged", "estimated", "none")
UNIFORM_TOLERANCE = 1e-6  # by which a propensity of a uniform log may miss 1/C, relative
CHECKSUMS = b"lersbench.sums"  # key in the metadata of rounds.parquet; before: lersbench.checksums, blind to order
BATCH_BYTES = 2 << 20  # decoded at a time: small enough to stay near the processor


@dataclass(frozen=True)
class LogInfo:
    """What `log.json` says. Sizes as in `Chunk`; `p` is the width of the static item features.

    C and L are the most candidates and positions of a round; all rounds have so many, unless `ragged` names them.
    """

    schema: int
    name: str
    rounds: int
    items: int
    users: int
    d: int
    m: int
    p: int
    C: int
    L: int
    order: str
    propensities: str
    licence: str
    attribution: str
    provenance: dict[str, Any]
    digest: str  # sha256 over the decoded rounds and items: the same on every machine and Parquet version
    columns: tuple[str, ...]  # the columns of the rounds
    files: dict[str, str] = field(default_factory=dict)  # sha256 of items.parquet, users.parquet and requests.parquet
    block: int = 0  # rows behind each checksum, 0 where the rounds carry none
    sums: str = ""  # sha256 of the checksums in the rounds; "" in logs of other tools and of earlier versions
    seal: str = ""  # sha256 of all the rest of log.json; "" likewise, and where a person has changed it on purpose
    click_model: dict[str, Any] = field(default_factory=dict)  # the world's own: weights, goes_on, fade; {} if unknown
    ragged: tuple[str, ...] = ()  # of RAGGED: what has a length of its own in each round, and the columns beside it
    outcomes: dict[str, Any] = field(default_factory=dict)  # by name: "unit", and "low" and "high" where known
    propensity_kind: str = ""  # see `propensities.KINDS`; "" where there are none. Not said: "position"
    reward_window: int = 0  # microseconds after a round until which its clicks and outcomes come; 0 where not said


class Column(NamedTuple):
    """How a column of the rounds is stored, decoded, and how wide it is (None: one scalar a row)."""

    stored: pa.DataType
    dtype: Any
    width: Callable[[LogInfo], int] | None
    accepts: tuple[Callable[[pa.DataType], bool], ...]
    along: str = ""  # of RAGGED: what it has a value for


_TIME = (pa.types.is_timestamp,)
_INTEGER = (pa.types.is_integer,)
_NUMBER = (pa.types.is_integer, pa.types.is_floating)

COLUMNS = {
    "user": Column(pa.int64(), np.int64, None, _INTEGER),
    "logger": Column(pa.int32(), np.int64, None, _INTEGER),
    "time": Column(pa.timestamp("us"), np.int64, None, _TIME),
    "context": Column(pa.float64(), np.float64, lambda i: i.d, _NUMBER),
    "candidates": Column(pa.int32(), np.int64, lambda i: i.C, _INTEGER, "candidates"),
    "features": Column(pa.float64(), np.float64, lambda i: i.C * i.m, _NUMBER, "candidates"),
    "rewards": Column(pa.float32(), np.float64, lambda i: i.C, _NUMBER, "candidates"),
    "expected": Column(pa.float64(), np.float64, lambda i: i.C, _NUMBER, "candidates"),
    "slate": Column(pa.int32(), np.int64, lambda i: i.L, _INTEGER, "slate"),
    "clicks": Column(pa.int8(), np.float64, lambda i: i.L, (*_NUMBER, pa.types.is_boolean), "slate"),
    "propensities": Column(pa.float64(), np.float64, lambda i: i.L, _NUMBER, "slate"),
    "examined": Column(pa.int8(), np.float64, lambda i: i.L, (*_NUMBER, pa.types.is_boolean), "slate"),
    "attraction": Column(pa.float64(), np.float64, lambda i: i.C, _NUMBER, "candidates"),
    "scores": Column(pa.float64(), np.float64, lambda i: i.C, _NUMBER, "candidates"),
    "known": Column(pa.timestamp("us"), np.int64, lambda i: i.C, _TIME, "candidates"),
    "clicks_known": Column(pa.timestamp("us"), np.int64, lambda i: i.L, _TIME, "slate"),
}

OUTCOME = Column(pa.float64(), np.float64, lambda i: i.L, _NUMBER, "slate")
NAMES = f"{', '.join(COLUMNS)}, {log_outcomes.PREFIX}NAME"  # of all columns, for messages


def is_column(name: str) -> bool:
    """Is there a column of this name: one of COLUMNS, or of an outcome?"""
    return name in COLUMNS or bool(log_outcomes.outcome_in(name))


def column_of(name: str) -> Column:
    """The column of this name. Raises KeyError where there is none."""
    return OUTCOME if log_outcomes.outcome_in(name) else COLUMNS[name]


def in_order(names: Collection[str]) -> tuple[str, ...]:
    """Columns in the order in which they are stored: as COLUMNS has them, then outcomes by name."""
    return (*(name for name in COLUMNS if name in names), *sorted(filter(log_outcomes.outcome_in, names)))


def locate(path: str | Path) -> tuple[pafs.FileSystem, str]:
    """The file system of a local path or a URL (file://, s3://, gs://), and the path inside it."""
    text = str(path)
    if "://" not in text:
        return pafs.LocalFileSystem(), str(Path(text).expanduser().absolute())
    try:
        return pafs.FileSystem.from_uri(text.rstrip("/"))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ConfigError(
            f"{text}: no kind of address that is known, or it cannot be reached ({error}). Give a folder, or a s3:// "
            "or gs:// URL"
        ) from error


def read_info(fs: pafs.FileSystem, root: str) -> LogInfo:
    """Read and check `log.json`."""
    file = f"{root}/log.json"
    try:
        with fs.open_input_stream(file) as stream:
            data = json.loads(stream.read().decode())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(f"{file}: no such file. Fix: give the folder of a log; `lersbench import` makes one") from error
    except (OSError, pa.ArrowException, ValueError, RecursionError) as error:
        raise DataError(f"{file}: cannot be read as JSON ({error}). Fix: write the log again") from error
    if not isinstance(data, dict):
        raise DataError(f"{file}: holds {type(data).__name__}, not an object. Fix: write the log again")
    if data.get("schema") not in READABLE:
        schemas = " and ".join(map(str, READABLE))
        fault = f"schema {data.get('schema')!r}, but this version of lersbench reads schema {schemas}"
        raise DataError(f"{file}: {fault}. Fix: write the log again with this version")
    known = {f.name: f for f in fields(LogInfo) if f.name not in SINCE_2 or data["schema"] > 1}
    for name, f in known.items():
        if name not in data and f.default is MISSING and f.default_factory is MISSING:
            raise DataError(f"{file}: the key {name!r} is missing. Fix: write the log again")
    for name, value in data.items():
        if name not in known:
            fix = "write the log again" if name in SINCE_2 else "put what you want to remember into 'provenance'"
            raise DataError(f"{file}: unknown key {name!r}. Fix: {fix}")
        _check_key(file, name, value, known[name].type)
    if data["rounds"] == 0:
        raise DataError(f"{file}: the log is empty (rounds 0). Fix: write at least one round")
    if data["items"] == 0:
        raise DataError(f"{file}: the log has no items. Fix: write at least one item")
    info = LogInfo(**{**data, "columns": tuple(data["columns"]), "ragged": tuple(data.get("ragged", ()))})
    if info.propensity_kind and info.propensities == "none":
        fault = f"propensity_kind is '{info.propensity_kind}', but propensities is 'none'"
        raise DataError(f"{file}: {fault}. Fix: leave it out, or say how the propensities were made")
    info = replace(info, propensity_kind=kind_in(info.propensities, info.propensity_kind))
    if info.seal and info.seal != _seal(data):
        fix = "get or write the log again; or remove the key 'seal', if the change was made on purpose"
        raise DataError(f"{file}: the seal does not match what the file says: it was changed or damaged. Fix: {fix}")
    _check_sizes(file, info)
    log_facts.check(file, info.provenance, info.click_model, info.L)
    return info


def sealed(info: LogInfo) -> str:
    """The content of `log.json`, with its seal. Raises ConfigError where a value cannot be written as JSON."""

    def plain(value: Any) -> Any:
        if isinstance(value, np.generic | np.ndarray):
            return value.tolist()
        raise TypeError(f"{value!r} is a {type(value).__name__}")

    try:
        content = json.loads(json.dumps(asdict(info), allow_nan=False, default=plain))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"provenance cannot be written as JSON: {error}") from error
    return json.dumps({**content, "seal": _seal(content)}, indent=2) + "\n"


def _seal(content: dict[str, Any]) -> str:
    rest = {key: value for key, value in content.items() if key != "seal"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def seal_of_sums(sums: list[bytes]) -> str:
    """What `LogInfo.sums` is: sha256 of the checksums of all parts of the rounds, as their metadata hold them."""
    return hashlib.sha256(b"\n".join(sums)).hexdigest()


def _check_sizes(file: str, info: LogInfo) -> None:
    """The sizes must fit the columns: a wrong one would come out as arrays of another shape."""
    has = set(info.columns)
    paid = [name for name in has if name == "clicks" or log_outcomes.outcome_in(name)]
    if "rewards" not in has and not ("slate" in has and paid):
        raise DataError(
            f"{file}: columns are {sorted(has)}. Fix: a log needs rewards, or slate and clicks or an outcome"
        )
    if info.propensities != "none" and "propensities" not in has:
        fault = f"propensities is '{info.propensities}', but there is no column propensities"
        raise DataError(f"{file}: {fault}. Fix: set it to 'none', or write the log again with the column")
    if info.sums and not info.block:
        raise DataError(f"{file}: sums of blocks of 0 rows. Fix: write the log again")
    if info.reward_window and "time" not in has:
        fault = f"reward_window is {info.reward_window}, but there is no column time"
        raise DataError(f"{file}: {fault}. Fix: set it to 0, or write the log again with the times of the rounds")
    lists = {name for name in has if column_of(name).along == "slate"}
    for name, needed in (("known", {"rewards", "time"}), ("clicks_known", {"slate", "time"})):
        if name in has and not needed <= has:
            fault = f"a column {name} without {' and '.join(sorted(needed - has))}"
            raise DataError(f"{file}: {fault}. Fix: write the log again")
    beside = sorted(name for name in lists | has & {"scores"} if name not in ("clicks", "propensities"))
    if beside and "slate" not in has:
        raise DataError(f"{file}: {beside[0]} without a slate. Fix: write the log again")
    for fault in log_outcomes.faults(info.outcomes, has):
        raise DataError(f"{file}: {fault}")
    for size, columns in (("d", has & {"context"}), ("m", has & {"features"}), ("L", lists)):
        if (getattr(info, size) > 0) != bool(columns):
            fault = f"{size} is {getattr(info, size)}, but the columns are {sorted(has)}"
            raise DataError(f"{file}: {fault}. Fix: write the log again")
    if info.items < info.C or info.C < info.L:
        fault = f"L is {info.L}, C {info.C} and items {info.items}"
        raise DataError(f"{file}: {fault}. Fix: a slate has at most C items, and candidates are different items")
    for name in set(info.ragged) - has:
        raise DataError(f"{file}: {name} is ragged, but there is no column {name}. Fix: write the log again")
    if not info.C or ("candidates" not in has and info.items != info.C):
        fault = f"C is {info.C} and items {info.items}, but the columns are {sorted(has)}"
        raise DataError(f"{file}: {fault}. Fix: without candidates every round offers all items, so C is items")


_KINDS = {"int": int, "str": str, "dict[str, Any]": dict, "dict[str, str]": dict, "tuple[str, ...]": list}
_CHOICES: dict[str, Collection[str]] = {
    "order": ORDERS,
    "propensities": PROPENSITIES,
    "propensity_kind": ("", *KINDS),
}


def _check_key(file: str, name: str, value: Any, annotation: Any) -> None:
    kind: Any = _KINDS[annotation]
    if not isinstance(value, kind) or isinstance(value, bool) or (kind is int and value < 0):
        raise DataError(
            f"{file}: {name} is {value!r}; it must be a {kind.__name__}, not negative. Fix: write the log again"
        )
    if name in _CHOICES and value not in _CHOICES[name]:
        raise DataError(f"{file}: {name} is {value!r}. Fix: one of {', '.join(filter(None, _CHOICES[name]))}")
    if name == "ragged" and not set(map(str, value)) <= set(RAGGED):
        raise DataError(f"{file}: ragged is {value}. Fix: only {', '.join(RAGGED)}")
    if name == "columns" and not (
        all(is_column(str(one)) for one in value) and len(set(map(str, value))) == len(value)
    ):
        raise DataError(f"{file}: columns are {value}. Fix: only {NAMES}")


class RoundsDigest:
    """sha256 of every column of the rounds, in the types `write` stores: independent of chunks and of Parquet.

    Of a ragged column the lengths have a digest of their own.
    """

    def __init__(self, info: LogInfo) -> None:
        lengths = [f"{name}: lengths" for name in info.columns if column_of(name).along in info.ragged]
        self._hashes = {name: hashlib.sha256() for name in sorted([*info.columns, *lengths])}

    def update(self, block: Mapping[str, np.ndarray | Ragged]) -> None:
        for name, values in block.items():
            if isinstance(values, Ragged):
                self._hashes[f"{name}: lengths"].update(np.ascontiguousarray(values.lengths, dtype="<i8").data)
                values = values.values
            self._hashes[name].update(np.ascontiguousarray(values, dtype=stored_dtype(name)).data)

    def hexdigests(self) -> dict[str, str]:
        return {name: digest.hexdigest() for name, digest in self._hashes.items()}


def log_digest(rounds: RoundsDigest, items: pd.DataFrame) -> str:
    """The digest of a log: sha256 over the digests of the columns of its rounds and the content of its items."""
    listed = items.map(lambda cell: cell.tolist() if isinstance(cell, np.ndarray) else cell)
    text = json.dumps([rounds.hexdigests(), listed.to_dict("split", index=False)], default=str, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def stored_dtype(name: str) -> np.dtype:
    """The little-endian NumPy type in which a column is stored."""
    stored = column_of(name).stored
    return np.dtype(np.int64 if pa.types.is_timestamp(stored) else stored.to_pandas_dtype()).newbyteorder("<")


def block_rows(row_bytes: int) -> int:
    """Rows of a block: about `BATCH_BYTES` of stored values, a power of two."""
    return 1 << max((BATCH_BYTES // max(row_bytes, 1)).bit_length() - 1, 0)
