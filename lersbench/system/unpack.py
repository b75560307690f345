"""Parquet and packed text of anybody's making: what a file unpacks to is counted before, or while, it is unpacked.

99 KB can hold 7 GB: run lengths say "this value ten million times", a dictionary has a long text once, compressed
zeros are hardly there. Sizes of pages and numbers of values stand in the file's footer; texts are read as dictionaries
and written out only once their length is known.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lersbench.errors import DataError

MOST = 512 << 20  # decoded bytes that a table may have whatever the size of its file
RATIO = 1000  # times its file's size that a larger one may have
TEXT_RATIO = 100  # the same of packed text
EXCESS = 64 << 20  # decoded bytes of a column above what log.json makes one expect, in a row group
BYTES = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 12, "BYTE_ARRAY": 4}


def read_table(source: str | Path | pa.NativeFile, path: str, columns: Sequence[str] | None = None) -> pa.Table:
    """A whole table, or some of its columns; `path` is what messages call it.

    Raises a DataError where it unpacks to more than `MOST` bytes and `RATIO` times its file, and pyarrow's errors.
    """
    size = source.size() if isinstance(source, pa.NativeFile) else Path(source).stat().st_size
    most = max(MOST, RATIO * size)
    with pq.ParquetFile(source, pre_buffer=False) as file:
        _refuse(_stored(file.metadata), size, most, path)
        schema, texts = file.schema_arrow, _texts(file)
    with pq.ParquetFile(source, pre_buffer=False, read_dictionary=texts) as file:
        table = file.read(columns)
    _refuse(sum(_length(column) for column in table.columns), size, most, path)
    return table.cast(pa.schema([schema.field(name) for name in table.column_names], schema.metadata))


def is_packed(path: Path) -> bool:
    """Is it a packed text, by the first bytes of the file?"""
    return _packing(path) is not None


def unpack_text(path: Path, target: Path, codec: str | None = None) -> None:
    """Write a text file, packed or not, to `target`; from the encoding `codec` to UTF-8 where one is given.

    Raises a DataError where it unpacks to more than `MOST` bytes and `TEXT_RATIO` times its file, before all of that is
    written, or where it holds several files; UnicodeDecodeError where the encoding is another.
    """
    packing, size, unpacked = _packing(path), path.stat().st_size, 0
    most = max(MOST, TEXT_RATIO * size)
    decoder = None if codec is None else codecs.getincrementaldecoder(codec)()
    try:
        with path.open("rb") if packing is None else PACKED[packing](path) as data, target.open("wb") as out:
            while block := data.read(1 << 20):
                unpacked += len(block)
                _refuse(0 if packing is None else unpacked, size, most, str(path))
                out.write(block if decoder is None else decoder.decode(block).encode())
            if decoder is not None:
                out.write(decoder.decode(b"", True).encode())
    except (EOFError, ValueError, lzma.LZMAError, zipfile.BadZipFile, zlib.error, OSError) as error:
        if isinstance(error, UnicodeDecodeError) or getattr(error, "errno", None):  # a full disk, say
            raise
        raise DataError(f"{path}: cannot be unpacked ({error}). Fix: get or write it again") from error


def _packing(path: Path) -> bytes | None:
    with path.open("rb") as data:
        head = data.read(6)
    return next((magic for magic in PACKED if head.startswith(magic)), None)


@contextmanager
def _zipped(path: Path) -> Iterator[Any]:
    with zipfile.ZipFile(path) as archive:
        inside = [member.filename for member in archive.infolist() if not member.is_dir()]
        if len(inside) != 1:
            fix = "unpack it, or, where it is a sheet, save it as CSV"
            raise DataError(f"{path}: an archive of {len(inside)} files ({', '.join(inside[:3])}). Fix: {fix}")
        with archive.open(inside[0]) as member:
            yield member


PACKED: dict[bytes, Callable[[Path], Any]] = {  # by the first bytes of the file
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
    b"\x28\xb5\x2f\xfd": lambda path: pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"),
    b"PK\x03\x04": _zipped,
}


def check_rounds(metadata: pq.FileMetaData, widths: Mapping[str, int], path: str) -> None:
    """Raise a DataError where a column of the rounds cannot be lists of the width in log.json."""
    for column, width in widths.items():
        values = 0
        for rows, chunk in _chunks(metadata):
            if chunk.path_in_schema.partition(".")[0] != column:
                continue
            values += chunk.num_values
            expected = 8 * rows * max(width, 1)
            if max(8 * chunk.num_values, chunk.total_uncompressed_size // 2) > expected + EXCESS:
                fault = f"{chunk.num_values:,} values in {rows:,} rows, where log.json says {width} a row"
                raise DataError(f"{path}, column {column}: {fault}. Fix: the file was exchanged; write the log again")
        if 0 < values < width:
            fault = f"{values:,} values in all, but log.json says {width:,} in each row"
            raise DataError(f"{path}, column {column}: {fault}. Fix: the file was exchanged; write the log again")


def _refuse(bytes_: int, size: int, most: int, path: str) -> None:
    if bytes_ > most:
        fault = f"{size:,} bytes unpack to {bytes_:,} or more, where {most:,} are the most that is believed"
        raise DataError(f"{path}: {fault}. Fix: it is damaged, or made to exhaust the memory; get or write it again")


def _chunks(metadata: pq.FileMetaData) -> list[tuple[int, Any]]:
    """The rows and the facts of every column of every row group."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    return [(group.num_rows, group.column(at)) for group in groups for at in range(group.num_columns)]


def _stored(metadata: pq.FileMetaData) -> int:
    """Bytes of all values, by the footer; a text that is stored once and referred to often counts once."""
    return sum(
        max(chunk.num_values * BYTES.get(chunk.physical_type, 1), chunk.total_uncompressed_size)
        for _, chunk in _chunks(metadata)
    )


def _texts(file: pq.ParquetFile) -> list[str]:
    """The columns of texts, as paths."""
    columns = [file.metadata.schema.column(at) for at in range(file.metadata.num_columns)]
    return [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]


def _length(column: pa.ChunkedArray) -> int:
    """Bytes of the texts of a column, written out."""
    return sum(_written_out(chunk) for chunk in column.chunks)


def _written_out(array: pa.Array) -> int:
    kind = array.type
    if pa.types.is_dictionary(kind) and (pa.types.is_string(kind.value_type) or pa.types.is_binary(kind.value_type)):
        lengths = pc.binary_length(array.dictionary).to_numpy(zero_copy_only=False)
        codes = array.indices.drop_null().to_numpy()
        return int(np.bincount(codes, minlength=len(lengths)) @ np.nan_to_num(lengths)) if len(codes) else 0
    if pa.types.is_struct(kind):
        return sum(_written_out(part) for part in array.flatten())
    if pa.types.is_nested(kind) and hasattr(array, "values"):
        return _written_out(array.values)
    return 0
