"""A store as a folder of Parquet files that every engine reads: a file an hour, in portable types.

``DIR/spans/day=2026-01-31/hour=07/part-0.parquet``, likewise ``events, links, logs, metrics, exemplars``,
each by its own time in UTC, and ``DIR/resources``, ``DIR/scopes`` whole. docs/lake.md has the columns.

A file appears whole or not at all. An hour that is there with as many rows as the store has is left alone, so
what was interrupted goes on, and what is done again writes only what has come since. One with more rows is
left alone, too: the store has pruned since. Nothing but the rows of a batch is held in memory.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tracescape_storage.errors import StoreError, no_space_left
from tracescape_storage.filters import KINDS, STATUSES
from tracescape_storage.hex_text import fixed_bytes, hex_of_bytes, hex_of_spans
from tracescape_storage.reader import Reader
from tracescape_storage.schema import CONTENT_KEYS, TABLES

HOUR_NS: Final = 3_600_000_000_000
_MANIFEST: Final = "_tracescape.json"  # what begins with _ or . is no data to Spark and its like
_VERSION: Final = 1
#: The time that puts a row into its hour.
_TIMES: Final = {
    "spans": "start_ns",
    "events": "time_ns",
    "links": "start_ns",
    "logs": "time_ns",
    "metrics": "time_ns",
    "exemplars": "point_time_ns",
}
#: Rows and bytes that are held at a time.
_GROUP_ROWS: Final = 65_536
_GROUP_BYTES: Final = 64 << 20
#: Left free on the disk, and what a row of the largest kind may take of it.
_FREE_BYTES: Final = 256 << 20
_ROW_BYTES: Final = 512
_MAP: Final = pa.map_(pa.string(), pa.string())
_MOST: Final = 2**63 - 1


class Written(NamedTuple):
    """What an export did: files and rows written, and files that were there as they are."""

    files: int
    rows: int
    kept: int


class _Part(NamedTuple):
    """A file: of which table, which hour since the epoch, and how many rows the store has of it."""

    table: str
    hour: int
    rows: int


def export_parquet(
    reader: Reader,
    folder: Path,
    *,
    since_ns: int | None = None,
    until_ns: int | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Written:
    """Write what ``reader`` has into ``folder``, which is made where it is missing.

    Args:
        reader: where from.
        folder: empty, or an earlier export of the same store.
        since_ns, until_ns: only hours that the window touches, by each table's own time; whole ones.
        progress: called with the rows so far and in all.

    Raises:
        StoreError: the folder has other things in it, is being written to, the disk is full, or reading
            failed; what was written before stays, whole files only.
    """
    try:
        with _claimed(folder, reader.location):
            return _exported(reader, folder, since_ns, until_ns, progress)
    except OSError as error:
        if no_space_left(error):
            raise StoreError(f"The disk of {folder} is full; what is there is whole.") from error
        raise StoreError(f"{folder} cannot be written: {error.strerror or error}.") from error


def _exported(
    reader: Reader,
    folder: Path,
    since_ns: int | None,
    until_ns: int | None,
    progress: Callable[[int, int], None],
) -> Written:
    parts = [part for table in _TIMES for part in _parts(reader, table, since_ns, until_ns)]
    due = [part for part in parts if _rows_in(_path(folder, part)) < part.rows]
    total = sum(part.rows for part in due)
    done = 0
    for name in CONTENT_KEYS:
        batches = reader.stream(f"SELECT {_columns(name)} FROM {name}")
        _write(folder / name / "part-0.parquet", name, batches, lambda rows: None)
    for part in due:
        _check_room(folder, part.rows)
        said = partial(_say, progress, done, total)
        done += _write(_path(folder, part), part.table, _rows_of(reader, part), said)
    return Written(len(due), done, len(parts) - len(due))


def _say(progress: Callable[[int, int], None], before: int, total: int, rows: int) -> None:
    progress(before + rows, total)


def _parts(reader: Reader, table: str, since_ns: int | None, until_ns: int | None) -> Iterator[_Part]:
    time = _TIMES[table]
    wanted = []
    if since_ns is not None:
        wanted.append(f"{time} >= {since_ns // HOUR_NS * HOUR_NS}")
    if until_ns is not None:
        wanted.append(f"{time} < {-(-until_ns // HOUR_NS) * HOUR_NS}")
    where = f" WHERE {' AND '.join(wanted)}" if wanted else ""
    hours = reader.sql(
        f"SELECT {time} // {HOUR_NS} AS hour, count(*) AS n FROM {table}{where} GROUP BY 1 ORDER BY 1"
    )
    for hour, rows in zip(hours["hour"].to_pylist(), hours["n"].to_pylist(), strict=True):
        yield _Part(table, int(hour), int(rows))


def _rows_of(reader: Reader, part: _Part) -> pa.RecordBatchReader:
    time, begin = _TIMES[part.table], part.hour * HOUR_NS
    source = "spans_full" if part.table == "spans" else part.table  # that has every attribute
    return reader.stream(
        f"SELECT {_columns(part.table)} FROM {source} WHERE {time} >= {begin} AND {time} < {begin + HOUR_NS}"
    )


def _columns(table: str) -> str:
    return ", ".join(f'"{name}"' for name in TABLES[table].names)


def _path(folder: Path, part: _Part) -> Path:
    moment = np.datetime64(part.hour, "h")
    day, hour = str(moment.astype("datetime64[D]")), part.hour % 24
    return folder / part.table / f"day={day}" / f"hour={hour:02d}" / "part-0.parquet"


def _rows_in(path: Path) -> int:
    """Rows of a file; -1 where there is none, or none that can be read."""
    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, pa.ArrowException):
        return -1


def _write(path: Path, table: str, batches: pa.RecordBatchReader, said: Callable[[int], None]) -> int:
    """Write a file, whole or not at all; how many rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    rows = 0
    try:
        with pq.ParquetWriter(unfinished, portable_schema(table), compression="zstd") as writer:
            for group in _groups(batches):
                writer.write_table(portable(table, group))
                rows += group.num_rows
                said(rows)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    return rows


def _groups(batches: pa.RecordBatchReader) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    rows = nbytes = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        nbytes += batch.nbytes
        if rows >= _GROUP_ROWS or nbytes >= _GROUP_BYTES:
            yield pa.Table.from_batches(held)
            held, rows, nbytes = [], 0, 0
    if rows:
        yield pa.Table.from_batches(held)


def _check_room(folder: Path, rows: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < _FREE_BYTES + rows * _ROW_BYTES:
        raise StoreError(
            f"{free >> 20} MiB are free where {folder} is; for the next hour's {rows:,} rows that may be too"
            " little. What is there is whole; make room and go on."
        )


@contextmanager
def _claimed(folder: Path, location: str) -> Iterator[None]:
    """The folder for this process alone, marked as an export of ``location``."""
    manifest = folder / _MANIFEST
    folder.mkdir(parents=True, exist_ok=True)
    if not manifest.exists() and any(folder.iterdir()):
        raise StoreError(f"{folder} has other things in it. Name a folder that is empty or not there yet.")
    with manifest.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(f"Another export writes into {folder} at this moment.") from None
        file.seek(0)
        _check_manifest(folder, file.read(), location)
        if file.tell() == 0:
            json.dump({"tracescape_export": _VERSION, "store": location}, file)
            file.flush()
        yield


def _check_manifest(folder: Path, text: str, location: str) -> None:
    if not text:
        return
    try:
        noted = json.loads(text)
        version, store = noted["tracescape_export"], noted["store"]
    except (ValueError, KeyError, TypeError):
        raise StoreError(f"{folder / _MANIFEST} cannot be read: {folder} is no export.") from None
    if version != _VERSION:
        raise StoreError(f"{folder} was written by another release (format {version}). Name another folder.")
    if store != location:
        raise StoreError(f"{folder} is the export of {store}, not of {location}. Name another folder.")


# Portable types


def portable_schema(table: str) -> pa.Schema:
    """The columns of a table's files."""
    return portable(table, TABLES[table].empty_table()).schema


def portable(table: str, rows: pa.Table) -> pa.Table:
    """Rows of the store's ``table`` in types that every engine has: no unsigned, no binary, no JSON.

    Ids of traces and spans are hexadecimal text, ``""`` where there is none; times are int64 nanoseconds and,
    beside them, timestamps in UTC with microseconds; attributes are maps from text to text, in which values
    that are no text stand as their JSON.
    """
    rows = rows.combine_chunks()
    columns: dict[str, pa.Array] = {}
    for field in TABLES[table]:
        column = rows[field.name]
        values = column.chunk(0) if column.num_chunks else pa.array([], column.type)
        columns[field.name] = _portable(table, field, values)
        if field.name.endswith("_ns") and field.name != "duration_ns":
            columns[_moment(field.name)] = _timestamps(columns[field.name])
    if table == "spans":
        ends = pc.add(columns["start_ns"], columns["duration_ns"])
        columns["end_time"] = _timestamps(ends)
    return pa.table(columns)


def _portable(table: str, field: pa.Field, values: pa.Array) -> pa.Array:
    name, kind = field.name, field.type
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if name in ("attributes", "metadata"):
        return _maps(values)
    if name == "body":
        return _texts(values)
    if name.endswith("trace_id"):
        return _trace_ids(values)
    if name.endswith("span_id"):
        return hex_of_spans(values.to_numpy(zero_copy_only=False).astype(np.int64))
    if table == "spans" and name in _WORDS:
        return _words(values, _WORDS[name])
    if pa.types.is_list(kind) and pa.types.is_unsigned_integer(kind.value_type):
        return values.cast(pa.list_(pa.uint64())).cast(pa.list_(pa.int64()), safe=False)
    if pa.types.is_unsigned_integer(kind):
        return pc.min_element_wise(
            values.cast(pa.uint64()), pa.scalar(_MOST, pa.uint64()), skip_nulls=False
        ).cast(pa.int64())
    if pa.types.is_integer(kind):
        return values.cast(pa.int64())
    return values.cast(kind)


_WORDS: Final = {"kind": KINDS, "status": STATUSES}


def _moment(name: str) -> str:
    """``start_time`` for ``start_ns``, ``time`` for ``time_ns``."""
    bare = name.removesuffix("_ns")
    return bare if bare.endswith("time") else f"{bare}_time"


def _timestamps(nanoseconds: pa.Array) -> pa.Array:
    return pc.divide(nanoseconds, 1000).cast(pa.timestamp("us", "UTC"))


def _trace_ids(values: pa.Array) -> pa.Array:
    there = values.is_valid()
    digits = hex_of_bytes(fixed_bytes(values.filter(there), 16))
    numbers = pc.subtract(pc.cumulative_sum(there.cast(pa.int64())), 1)
    return pc.fill_null(digits.take(pc.if_else(there, numbers, None)), "")


def _words(codes: pa.Array, words: Any) -> pa.Array:
    listed = list(words)
    return pa.array([listed[c] if 0 <= c < len(listed) else str(c) for c in codes.to_pylist()], pa.string())


def _texts(values: pa.Array) -> pa.Array:
    """JSON of one value each: its text where it is one."""
    found = []
    for text in values.to_pylist():
        value = None if text is None else json.loads(text)
        found.append(value if isinstance(value, str) else text)
    return pa.array(found, pa.string())


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _maps(values: pa.Array) -> pa.Array:
    keys: list[str] = []
    texts: list[str] = []
    counts = np.zeros(len(values) + 1, np.int32)
    for row, text in enumerate(values.to_pylist()):
        if text is None or text == "{}":
            continue
        found = json.loads(text)
        keys += [key[1:] if key.startswith("$$") else key for key in found]
        texts += [value if isinstance(value, str) else _json(value) for value in found.values()]
        counts[row + 1] = len(found)
    offsets = np.cumsum(counts, dtype=np.int32)
    return pa.MapArray.from_arrays(offsets, pa.array(keys, pa.string()), pa.array(texts, pa.string()))
