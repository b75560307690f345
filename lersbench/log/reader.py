"""Reading a log: streamed in chunks that are bounded in bytes, and checked on the way."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from lersbench.errors import ConfigError, DataError
from lersbench.log import random_order, requests
from lersbench.log.checks import Checks, Report
from lersbench.log.checksums import checksum
from lersbench.log.chunk import NONE, Chunk
from lersbench.log.outcomes import outcome_in
from lersbench.log.propensities import POSITION
from lersbench.log.ragged import Ragged, cut, edges_of, joined
from lersbench.log.schema import (
    BATCH_BYTES,
    CHECKSUMS,
    NAMES,
    RAGGED,
    RoundsDigest,
    block_rows,
    column_of,
    is_column,
    locate,
    log_digest,
    read_info,
    seal_of_sums,
)
from lersbench.system import unpack
from lersbench.system.exchange import recover

PARTS = 8  # chunks that a log is cut into, where it is longer than one, unless they would be of less than a batch
LOCAL_BUFFER = 1 << 16  # bytes read ahead in each column: as fast as a memory map, without its resident pages
REMOTE_BUFFER = 8 << 20  # a request to a store is dear


class Log:
    """A log on disk, opened by its folder: a path, or a URL with s3://, gs:// or file://.

    Opening reads `log.json`, the items and the schema of the rounds; a DataError says what is wrong with them.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self._fs, self._root = locate(path)
        if isinstance(self._fs, pafs.LocalFileSystem):
            recover(Path(self._root))
        self.info = read_info(self._fs, self._root)
        self._compared = self._requests_compared = False
        self._parts = self._find_parts()
        self.items = self._item_features()

    def __repr__(self) -> str:
        i = self.info
        return f"Log({self.path!r}: {i.rounds:,} rounds, {i.items:,} items, {i.users:,} users)"

    @property
    def address(self) -> str:
        """Its path as any process finds it, wherever that was started; a URL as it is."""
        return self._root if isinstance(self._fs, pafs.LocalFileSystem) and "://" not in self.path else self.path

    def item_table(self) -> pd.DataFrame:
        """The item table: `item`, `id`, and whatever else describes an item."""
        return self.table("items.parquet").to_pandas()

    def user_table(self) -> pd.DataFrame | None:
        """The user table with all its columns, lists included, or None where the log has none."""
        if self._fs.get_file_info(f"{self._root}/users.parquet").type == pafs.FileType.NotFound:
            if "users.parquet" in self.info.files:
                raise DataError(f"{self._root}/users.parquet: the file is missing. Fix: write the log again")
            return None
        table = self.table("users.parquet")
        if table.num_rows != self.info.users:
            fault = f"{table.num_rows} rows, but log.json says {self.info.users} users"
            raise DataError(f"{self._root}/users.parquet: {fault}. Fix: one row a user")
        return table.to_pandas()

    @cached_property
    def has_requests(self) -> bool:
        """Are the ids of the requests kept with the log? A DataError where log.json promises them and they are gone."""
        there = self._fs.get_file_info(f"{self._root}/{requests.FILE}").type != pafs.FileType.NotFound
        if not there and requests.FILE in self.info.files:
            raise DataError(f"{self._root}/{requests.FILE}: the file is missing. Fix: write the log again")
        return there

    def requests(self, start: int = 0, stop: int | None = None) -> pa.Array:
        """The ids of the requests of the rounds `start`..`stop` - 1 (all, left out), texts in the order of the rounds.

        They are read from the disk at each call, and only those. The file is compared with its checksum once. Raises
        a ConfigError where the log has none, a DataError where the file is not that of the log.
        """
        if not self.has_requests:
            raise ConfigError(
                f"{self.path}: the log keeps no ids of requests. Import it again: `lersbench import` keeps them; or "
                "give lersbench.log.write a column request"
            )
        path = f"{self._root}/{requests.FILE}"
        self._compare_requests(path)
        with self._parquet(path) as file:
            return requests.part(file, start, self.info.rounds if stop is None else min(stop, self.info.rounds))

    def _compare_requests(self, path: str) -> None:
        """Compare the file of the ids with what log.json says of it; once."""
        if self._requests_compared:
            return
        promised = self.info.files.get(requests.FILE)
        if promised and self._sha256(path) != promised:
            raise DataError(f"{path}: {_DAMAGED.format('its sha256 is not the one in log.json')}")
        with self._parquet(path) as file:
            kinds = {field.name: field.type for field in file.schema_arrow}
            if kinds.get(requests.COLUMN) not in (pa.string(), pa.large_string()):
                raise DataError(f"{path}: no column {requests.COLUMN} of texts. Fix: write the log again")
            if file.metadata.num_rows != self.info.rounds:
                fault = f"{file.metadata.num_rows} rows, but log.json says {self.info.rounds} rounds"
                raise DataError(f"{path}: {fault}. Fix: one row a round, in their order")
        self._requests_compared = True

    @cached_property
    def mature_until(self) -> int | None:
        """The last time, in microseconds since 1970, at which a round can be judged: the log's last, minus its
        `reward_window`. What came of later rounds is not all known yet. None where the log names no window."""
        if not self.info.reward_window:
            return None
        with self._parquet(self._parts[-1]) as file:
            group = file.read_row_group(file.metadata.num_row_groups - 1, columns=["time"], use_threads=False)
        return int(_numbers(group.column("time").combine_chunks())[-1]) - self.info.reward_window

    def read(
        self,
        chunk_bytes: int = 32 << 20,
        multiple: int = 1,
        columns: Collection[str] | None = None,
        start: int = 0,
        stop: int | None = None,
    ) -> Iterator[Chunk]:
        """Stream the rounds in chunks of at most `chunk_bytes` decoded bytes, checking each before it is given out.

        A log that is longer comes in eight or more, so that work on a short one begins early and its memory is used
        anew: new memory costs more than what is read into it.
        Every chunk but the last has a multiple of `multiple` rows (and at least that many, even where they
        exceed `chunk_bytes`). `columns` names the columns to decode; the others come back in their empty form
        (user -1, context (n, 0), the rest as where the log has none). Candidates are always decoded: a slate
        and the features mean nothing without them. The arrays are the caller's own.

        With `start` and `stop` the row groups that hold the rounds `start`..`stop` - 1 are read, and no others: the
        first chunk begins at `start` or before it, the last ends at `stop` or behind.

        Every block is compared with its checksum as it is read, and the checksums with log.json. A log that has none
        but a digest, as those of earlier versions, is compared with that first: one more pass.

        Raises a DataError that names all problems of the first chunk that has any.
        """
        self._compare_whole()
        report = Report(self.path)
        for chunk in self._stream(self._wanted(columns), chunk_bytes, multiple, report, None, self._span(start, stop)):
            report.raise_if_any()
            yield chunk

    @cached_property
    def row_groups(self) -> np.ndarray:
        """Where reading can begin: the first rounds of the row groups, and the number of all rounds behind them."""
        edges, start = [0], 0
        for part in self._parts:
            with self._parquet(part) as file:
                sizes = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
            inside = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
            if self.info.block:  # checksums are of blocks, counted from the top of a file
                inside = inside[(inside % self.info.block == 0) | (inside == inside[-1])]
            edges += (start + inside[1:]).tolist()
            start += int(inside[-1])
        return np.unique(edges)

    def _span(self, start: int, stop: int | None) -> tuple[int, int]:
        """The rounds that are read for the rounds `start`..`stop` - 1: from one edge of row groups to another."""
        stop = self.info.rounds if stop is None else stop
        if start <= 0 and stop >= self.info.rounds:
            return 0, self.info.rounds
        edges = self.row_groups
        low = max(0, int(np.searchsorted(edges, start, "right")) - 1)
        high = min(len(edges) - 1, int(np.searchsorted(edges, stop)))
        return int(edges[low]), int(edges[high])

    def inspect(self, report: Report) -> None:
        """Read everything once and add whatever is wrong to `report`; a DataError where reading cannot go on."""
        self.user_table()
        if self.has_requests:
            self._compare_requests(f"{self._root}/{requests.FILE}")
        digest = RoundsDigest(self.info)
        for _ in self._stream(list(self.info.columns), 4 * BATCH_BYTES, 1, report, digest):
            pass
        if report.ok and self.info.digest and log_digest(digest, self.item_table()) != self.info.digest:
            report.add(f"{self._root}/log.json", "digest", _OTHER_DIGEST, "write the log again")

    @cached_property
    def identity(self) -> str:
        """A name for all in the log that any result depends on: what reading compares the rounds and items with.

        Of a log that carries its checksums this is a matter of log.json alone. Any other is read once, whole.
        """
        i = self.info
        sizes = [i.rounds, i.items, i.users, i.d, i.m, i.p, i.C, i.L, i.order, i.propensities, i.click_model]
        rounds = i.sums or self._whole_digest()
        sizes += [sorted(i.ragged)] if i.ragged else []
        sizes += [i.outcomes] if i.outcomes else []
        said = {
            "random": i.provenance.get(random_order.KEY, ""),
            "kind": i.propensity_kind,
            "window": i.reward_window,
            "requests": self.sha256_of(requests.FILE),
        }
        said = {key: value for key, value in said.items() if value not in ("", 0, POSITION)}
        sizes += [said] if said else []
        content = json.dumps([sizes, sorted(i.columns), self.sha256_of("items.parquet"), rounds], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def strange_columns(self) -> list[str]:
        """Columns of the rounds that are none of a log's, which reading takes no notice of."""
        names: dict[str, None] = {}
        for part in self._parts:
            with self._parquet(part) as file:
                names |= dict.fromkeys(name for name in file.schema_arrow.names if not is_column(name))
        return list(names)

    def prepare(self) -> None:
        """Compile what reading needs, or load it from disk: a third of a second that is not reading."""
        checksum(np.zeros(1))
        if "slate" in self.info.columns:
            Checks(self.info, Report(self.path)).prepare()

    def row_bytes(self, columns: Collection[str] | None = None) -> int:
        """Decoded bytes of one round in a Chunk; of the longest one where rounds differ."""
        return 8 + sum(8 * self._width(name) for name in self._wanted(columns) if name != "user")

    def _compare_whole(self) -> None:
        """Compare a log without checksums with its digest, if it has one; once."""
        if self.info.digest and not self.info.sums and not self._compared:
            self._whole_digest()

    def _whole_digest(self) -> str:
        """The digest of the rounds and items as they are; a DataError where log.json has another, or they are wrong."""
        report, digest = Report(self.path), RoundsDigest(self.info)
        for _ in self._stream(list(self.info.columns), 4 * BATCH_BYTES, 1, report, digest):
            report.raise_if_any()
        hexdigest = log_digest(digest, self.item_table())
        if self.info.digest and hexdigest != self.info.digest:
            raise DataError(f"{self._root}/log.json: {_OTHER_DIGEST}. Fix: get or write the log again")
        self._compared = True
        return hexdigest

    def sha256_of(self, name: str) -> str:
        """sha256 of one of the tables beside the rounds, "" where there is none: of log.json, or else of the file."""
        path = f"{self._root}/{name}"
        if name in self.info.files or self._fs.get_file_info(path).type == pafs.FileType.NotFound:
            return self.info.files.get(name, "")
        return self._sha256(path)

    def _sha256(self, path: str) -> str:
        with _damage_as_error(path), self._fs.open_input_stream(path) as stream:
            content = hashlib.sha256()
            while block := stream.read(1 << 20):
                content.update(block)
            return content.hexdigest()

    def _width(self, name: str) -> int:
        width = column_of(name).width
        return 1 if width is None else width(self.info)

    def _wanted(self, columns: Collection[str] | None) -> list[str]:
        if columns is None:
            return list(self.info.columns)
        unknown = sorted(name for name in columns if not is_column(name))
        if unknown:
            raise ConfigError(f"a log has no column {unknown[0]!r}; the columns are {NAMES}")
        leads = {column_of(name).along for name in columns} & set(self.info.ragged)  # others are measured by them
        return [name for name in self.info.columns if name in columns or name == "candidates" or name in leads]

    def _is_ragged(self, name: str) -> bool:
        return column_of(name).along in self.info.ragged

    def _find_parts(self) -> list[str]:
        """The files of the rounds, their schemas and numbers of rows checked against log.json."""
        single = f"{self._root}/rounds.parquet"
        if self._fs.get_file_info(single).type != pafs.FileType.NotFound:
            parts = [single]
        else:
            selector = pafs.FileSelector(f"{self._root}/rounds", allow_not_found=True)
            paths = (info.path for info in self._fs.get_file_info(selector) if info.path.endswith(".parquet"))
            parts = sorted(paths)
        if not parts:
            raise DataError(f"{single}: no such file. Fix: write the log again")
        rows, sums = 0, []
        for part in parts:
            with self._parquet(part) as file:
                self._check_schema(part, file.schema_arrow)
                unpack.check_rounds(file.metadata, {name: self._width(name) for name in self.info.columns}, part)
                rows += file.metadata.num_rows
                sums.append(_sums_in(file))
        if rows != self.info.rounds:
            fault = f"{rows} rows, but log.json says {self.info.rounds} rounds"
            raise DataError(f"{parts[0]}: {fault}. Fix: the file was cut or exchanged; write the log again")
        if self.info.sums and seal_of_sums(sums) != self.info.sums:
            raise DataError(f"{parts[0]}: {_DAMAGED.format('the rounds are not those that log.json was written with')}")
        self._sums = dict(zip(parts, sums, strict=True))
        return parts

    def _check_schema(self, part: str, schema: pa.Schema) -> None:
        info = self.info
        for name in info.columns:
            if schema.get_field_index(name) < 0:
                raise DataError(
                    f"{part}: the column {name} is missing or there twice. Fix: log.json promises it; add it"
                )
            column, kind = column_of(name), schema.field(name).type
            if column.width is not None:
                if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
                    raise DataError(f"{part}, column {name}: type {kind}. Fix: store lists of {column.stored}")
                fixed = pa.types.is_fixed_size_list(kind) and not self._is_ragged(name)
                if fixed and kind.list_size != column.width(info):
                    fault = f"lists of {kind.list_size}, but log.json says {column.width(info)}"
                    raise DataError(f"{part}, column {name}: {fault}. Fix: one width in the whole log")
                kind = kind.value_type
            if not any(accepts(kind) for accepts in column.accepts):
                raise DataError(f"{part}, column {name}: type {kind}. Fix: store {column.stored}")
        for name in filter(is_column, schema.names):
            if name not in info.columns:
                raise DataError(f"{part}: has a column {name} that log.json does not name. Fix: add it to 'columns'")

    @contextmanager
    def _parquet(self, path: str) -> Iterator[pq.ParquetFile]:
        """Open a Parquet file."""
        local = isinstance(self._fs, pafs.LocalFileSystem)
        buffer = LOCAL_BUFFER if local else REMOTE_BUFFER
        with (
            _damage_as_error(path),
            self._fs.open_input_file(path) as source,
            pq.ParquetFile(source, pre_buffer=False, buffer_size=buffer) as file,
        ):
            yield file

    def _batches(self, wanted: list[str], low: int, high: int) -> Iterator[_Batch]:
        """Decode the rounds `low`..`high` - 1, edges of row groups, in small batches, each checked against its
        checksums."""
        size, block, start = block_rows(self.row_bytes(wanted)), self.info.block, 0
        if block:  # whole blocks, and as many as fit: few columns of wide rows would make tiny batches
            size = max(size // block, 1) * block
        for part in self._parts:
            if start >= high:
                return
            with self._parquet(part) as file:
                top, rows = start, file.metadata.num_rows
                if top + rows <= low:
                    start += rows
                    continue
                sums = self._checksums(part, file)
                groups, start = _groups_in(file, low - top, high - top, top)
                if sums is not None:
                    sums = {name: islice(of, (start - top) // block, None) for name, of in sums.items()}
                columns = wanted or self.info.columns[:1]
                for batch in file.iter_batches(size, columns=columns, row_groups=groups, use_threads=False):
                    if start + batch.num_rows > self.info.rounds:
                        raise DataError(f"{part}: {_DAMAGED.format('more rows than log.json says')}")
                    values = {name: self._values(name, batch.column(name)) for name in wanted}
                    if sums is not None:
                        self._verify(part, start, values, sums)
                    yield _Batch(part, start, batch, values)
                    start += batch.num_rows

    def _values(self, name: str, array: pa.Array) -> np.ndarray | Ragged | None:
        if not self._is_ragged(name):
            return _values(array, self._width(name))
        return _lists(array, self.info.m if name == "features" else None, self._width(name))

    def _checksums(self, part: str, file: pq.ParquetFile) -> dict[str, Iterator[int]] | None:
        """The checksums of a part: column -> a number for each block, in order; None where the log has none."""
        if not self.info.sums:
            return None
        if _sums_in(file) != self._sums[part]:
            raise DataError(f"{part}: the file was exchanged since the log was opened. Fix: run the command again")
        blocks = -(-file.metadata.num_rows // self.info.block)
        try:
            sums = json.loads(_sums_in(file))
            if all(len(sums[name]) == blocks for name in self.info.columns):
                return {name: iter(sums[name]) for name in self.info.columns}
        except (KeyError, ValueError, TypeError) as error:
            raise DataError(f"{part}: {_DAMAGED.format('its checksums are missing')}") from error
        raise DataError(f"{part}: {_DAMAGED.format('its checksums are cut short')}")

    def _verify(
        self, part: str, start: int, values: dict[str, np.ndarray | Ragged | None], sums: dict[str, Iterator[int]]
    ) -> None:
        """Compare the next blocks of each column with their checksums."""
        block = self.info.block
        for name, column in values.items():
            if column is None:
                raise DataError(f"{part}, column {name}, after row {start}: {_DAMAGED.format('nulls or ragged lists')}")
            rows = len(column.lengths if isinstance(column, Ragged) else column)
            for at in range(0, rows, block):
                if checksum(cut(column, at, min(at + block, rows))) != next(sums[name], None):
                    where = f"{part}, column {name}, rows {start + at} to {start + min(at + block, rows) - 1}"
                    raise DataError(f"{where}: {_DAMAGED.format('the checksum does not match')}")

    def _stream(
        self,
        wanted: list[str],
        chunk_bytes: int,
        multiple: int,
        report: Report,
        digest: RoundsDigest | None = None,
        span: tuple[int, int] | None = None,
    ) -> Iterator[Chunk]:
        """The chunks, of all rounds or of those of a `_span`; everything wrong in a chunk is in `report` before it is
        yielded."""
        low, end = span or (0, self.info.rounds)
        rows = max(self._at_most(chunk_bytes, wanted) // self.row_bytes(wanted) // multiple, 1) * multiple
        checks = Checks(self.info, report)
        arrays: dict[str, np.ndarray] = {}
        lists: dict[str, list[Ragged]] = {}
        start, filled, size = low, 0, 0
        for batch in self._batches(wanted, low, end):
            at = 0
            while at < batch.rows:
                if filled == size:
                    size, filled = min(rows, end - start), 0
                    arrays = self._allocate(wanted, size)
                    lists = {name: [] for name in wanted if self._is_ragged(name)}
                take = min(batch.rows - at, size - filled)
                targets = {name: a[filled : filled + take] for name, a in arrays.items()}
                block = self._block(batch, at, take, targets, lists, report)
                if digest:
                    digest.update(block)
                checks.block(batch.file, batch.start + at, block)
                at, filled, report.rounds = at + take, filled + take, report.rounds + take
                if filled == size:
                    yield self._chunk(start, size, arrays, {name: joined(of) for name, of in lists.items() if of})
                    start += size
        if start < end:
            fault = f"only {start + filled * (filled < size)} of {end} rounds could be read"
            raise DataError(f"{self._parts[-1]}: {_DAMAGED.format(fault)}")

    def _at_most(self, chunk_bytes: int, wanted: list[str]) -> int:
        """Decoded bytes of a chunk, where at most `chunk_bytes` are asked for."""
        decoded = self.info.rounds * self.row_bytes(wanted)
        return chunk_bytes if decoded <= chunk_bytes else min(chunk_bytes, max(decoded // PARTS, BATCH_BYTES))

    def _allocate(self, wanted: list[str], rows: int) -> dict[str, np.ndarray]:
        shape = {name: (rows,) if column_of(name).width is None else (rows, self._width(name)) for name in wanted}
        whole = [name for name in wanted if not self._is_ragged(name)]
        return {name: np.empty(shape[name], dtype=column_of(name).dtype) for name in whole}

    def _block(
        self,
        batch: _Batch,
        at: int,
        rows: int,
        targets: dict[str, np.ndarray],
        lists: dict[str, list[Ragged]],
        report: Report,
    ) -> dict[str, np.ndarray | Ragged]:
        """Copy `rows` rows of a batch from `at` on into `targets` and `lists`; those whose columns have a right shape.

        The slate is still one of items: who checks the block turns it into indices, in place.
        """
        block: dict[str, np.ndarray | Ragged] = {}
        for name in (*targets, *lists):
            values = batch.values[name]
            if values is None:
                column, ragged = batch.table.column(name).slice(at, rows), self._is_ragged(name)
                width = self.info.m if ragged and name == "features" else 1 if ragged else self._width(name)
                most = self._width(name) if ragged else None
                _report_shape(column, width, most, batch.file, name, batch.start + at, report)
            elif isinstance(values, Ragged):
                part = values.part(at, at + rows)
                block[name] = Ragged(np.array(part.values, column_of(name).dtype), part.lengths)
                lists[name].append(block[name])  # type: ignore[arg-type]
            else:
                targets[name][...] = values[at : at + rows].reshape(targets[name].shape)
                block[name] = targets[name]
        return block

    def _chunk(self, start: int, rows: int, arrays: dict[str, np.ndarray], lists: dict[str, Ragged]) -> Chunk:
        i = self.info
        edges = {name: edges_of(lists[name].lengths) if name in lists else None for name in RAGGED}
        arrays = arrays | {name: column.values for name, column in lists.items()}
        user, context, candidates, features = (arrays.get(k) for k in ("user", "context", "candidates", "features"))
        if features is not None and "features" not in lists:
            features = features.reshape(rows, i.C, i.m)

        def absent(along: str, dtype: type = np.float64) -> np.ndarray:
            wide = i.C if along == "candidates" else 0
            return np.empty(0, dtype) if edges[along] is not None else np.empty((0, wide), dtype)

        none = np.empty((0, 0)) if edges["candidates"] is not None else np.empty((1, i.C, 0))
        return Chunk(
            start=start,
            user=np.full(rows, -1, dtype=np.int64) if user is None else user,
            context=np.empty((rows, 0)) if context is None else context,
            candidates=np.arange(i.C, dtype=np.int64)[None] if candidates is None else candidates,
            features=none if features is None else features,
            rewards=arrays.get("rewards", absent("candidates")),
            expected=arrays.get("expected", absent("candidates")),
            slate=arrays.get("slate", absent("slate", np.int64)),
            clicks=arrays.get("clicks", absent("slate")),
            propensities=arrays.get("propensities", absent("slate")),
            examined=arrays.get("examined", absent("slate")),
            attraction=arrays.get("attraction", absent("candidates")),
            scores=arrays.get("scores", absent("candidates")),
            time=arrays.get("time", NONE),
            known=arrays.get("known", NONE),
            clicks_known=arrays.get("clicks_known", NONE),
            first=edges["candidates"],
            top=edges["slate"],
            outcomes={outcome: values for name, values in arrays.items() if (outcome := outcome_in(name))},
            logger=arrays.get("logger", NONE),
        )

    def table(self, name: str) -> pa.Table:
        """items.parquet or users.parquet as it is stored, its bytes compared with what log.json says of them."""
        path = f"{self._root}/{name}"
        promised = self.info.files.get(name)
        if promised and self._sha256(path) != promised:
            raise DataError(f"{path}: {_DAMAGED.format('its sha256 is not the one in log.json')}")
        with _damage_as_error(path), self._fs.open_input_file(path) as source:
            return unpack.read_table(source, path)

    def _item_features(self) -> np.ndarray:
        """The static item features, (n_items, p) float64, the item table checked on the way."""
        path, n = f"{self._root}/items.parquet", self.info.items
        table = self.table("items.parquet")
        if "item" not in table.column_names:
            raise DataError(f"{path}: the column item is missing. Fix: number the items 0..items-1")
        if table.num_rows != n:
            raise DataError(f"{path}: {table.num_rows} rows, but log.json says {n} items. Fix: one row an item")
        item = _values(table.column("item").combine_chunks(), 1)
        item = None if item is None else item[:, 0]
        if item is None or not np.array_equal(item, np.arange(n)):
            row = 0 if item is None else int((item != np.arange(n)).argmax())
            fault = f"row {row}, column item: {table.column('item')[row]} where {row} should be"
            raise DataError(f"{path}, {fault}. Fix: number the items 0..items-1 in order")
        if not self.info.p and "features" in table.column_names:
            raise DataError(f"{path}: has a column features, but log.json says p 0. Fix: write the log again")
        if not self.info.p:
            return np.empty((n, 0))
        if "features" not in table.column_names:
            raise DataError(f"{path}: the column features is missing. Fix: log.json promises width {self.info.p}")
        features = table.column("features").combine_chunks()
        values = _values(features, self.info.p)
        if values is None or values.dtype.kind not in "iuf":
            fault = f"not lists of {self.info.p} numbers in every row"
            raise DataError(f"{path}, column features: {fault}. Fix: one width, no nulls")
        result = np.array(values, dtype=np.float64)
        if not np.isfinite(result).all():
            row = int((~np.isfinite(result)).any(axis=1).argmax())
            raise DataError(f"{path}, row {row}, column features: not a finite number. Fix: fill it in")
        return result


_OTHER_DIGEST = "the rounds or items are not those of the digest in log.json"
_DAMAGED = "{}. Fix: the log is damaged or was changed by hand; get or write it again"


@contextmanager
def _damage_as_error(path: str) -> Iterator[None]:
    """Turn whatever goes wrong in decoding a file into a DataError."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file. Fix: write the log again") from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        text = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be decoded ({text}). Fix: the file is cut or damaged; get it again") from error


def _sums_in(file: pq.ParquetFile) -> bytes:
    """The checksums that a file of the rounds carries, as it has them; empty where it has none."""
    return (file.metadata.metadata or {}).get(CHECKSUMS, b"")


class _Batch(NamedTuple):
    """A few rows of one file as Parquet gave them."""

    file: str
    start: int  # number of the first row in the log
    table: pa.RecordBatch
    values: dict[str, np.ndarray | Ragged | None]  # its columns as `_values` and `_lists` see them

    @property
    def rows(self) -> int:
        return self.table.num_rows


def _groups_in(file: pq.ParquetFile, low: int, high: int, top: int) -> tuple[list[int], int]:
    """The row groups of a file that hold its rows `low`..`high` - 1, and the number in the log of the first row there,
    where the first of the file has the number `top`."""
    groups: list[int] = []
    at, begin = 0, top
    for group in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if at + rows > low and at < high:
            if not groups:
                begin = top + at
            groups.append(group)
        at += rows
    return groups, begin


def _values(array: pa.Array, width: int) -> np.ndarray | None:
    """The numbers of a column as (n, width), without a copy; None where there are nulls or lists of another length."""
    if array.null_count:
        return None
    flat = array
    if isinstance(array, pa.FixedSizeListArray):
        if array.type.list_size != width:
            return None
        flat = array.values.slice(array.offset * width, len(array) * width)
    elif isinstance(array, pa.ListArray | pa.LargeListArray):
        offsets = array.offsets.to_numpy()
        if (np.diff(offsets) != width).any():
            return None
        flat = array.values.slice(offsets[0], len(array) * width)
    if flat.null_count:
        return None
    return _numbers(flat).reshape(len(array), width)


def _numbers(flat: pa.Array) -> np.ndarray:
    """The values of an array without nulls; times as microseconds since 1970."""
    if pa.types.is_timestamp(flat.type):
        flat = flat.cast(pa.timestamp("us", tz=flat.type.tz), safe=False).view(pa.int64())
    return flat.to_numpy(zero_copy_only=False)


def _lists(array: pa.Array, m: int | None, most: int) -> Ragged | None:
    """The lists of a column end to end, (N,) or with m values a candidate (N, m), without a copy; None where there are
    nulls, or where a list has no whole number of candidates or more values than `most`."""
    if isinstance(array, pa.FixedSizeListArray):
        array = array.cast(pa.list_(array.type.value_type))
    if array.null_count:
        return None
    offsets = array.offsets.to_numpy()
    lengths = np.diff(offsets).astype(np.int64)
    flat = array.values.slice(offsets[0], offsets[-1] - offsets[0])
    if flat.null_count or (lengths % (m or 1)).any() or lengths.max(initial=0) > most:
        return None
    values = _numbers(flat)
    return Ragged(values, lengths) if m is None else Ragged(values.reshape(-1, m), lengths // m)


def _report_shape(
    column: pa.Array, width: int, most: int | None, file: str, name: str, start: int, report: Report
) -> None:
    """Say in which rows a column holds nulls or lists of the wrong length: not `width`, or where rounds differ (`most`)
    no multiple of it, or more than `most`."""
    scalar = column_of(name).width is None
    nulls, wrong, lengths = [], [], []
    for row, value in enumerate(column.to_pylist()):
        if value is None or (not scalar and any(v is None for v in value)):
            nulls.append(start + row)
        elif not scalar and (len(value) != width if most is None else len(value) % width or len(value) > most):
            wrong.append(start + row)
            lengths.append(f"a list of {len(value)}")
    if nulls:
        report.add(file, name, "null", "fill it in, or leave the column out of all rows", nulls, ["null"] * len(nulls))
    if wrong and most is None:
        fix = f"every row has lists of {width}; or name what differs under 'ragged' in log.json, schema 2"
        report.add(file, name, f"list not of length {width}", fix, wrong, lengths)
    elif wrong:
        multiple = f"a multiple of {width}, " if width > 1 else ""
        fix = f"write lists of {multiple}at most {most} values, or the log again"
        report.add(file, name, f"list not of {multiple}at most {most} values", fix, wrong, lengths)
