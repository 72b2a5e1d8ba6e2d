"""A consistent copy of a store, also of a live one: everything that had arrived when it began.

Rows are read a slice of arrivals at a time, as questions like any other, so a copy can be made from another
machine, holds little in memory and never stops a commit. The copy is a store of its own: smaller where the
original has free room in its file, and with columns for all attributes that have one there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa

from tracescape_storage.compaction import ranges_of
from tracescape_storage.duckdb_file import DuckDBStore
from tracescape_storage.errors import StoreError
from tracescape_storage.reader import Reader
from tracescape_storage.schema import ARRIVED, CONTENT_KEYS, TABLES, TRACE_KEY

_SLICE_ROWS: Final = 250_000


def copy_store(reader: Reader, target: Path, progress: Callable[[int, int], None] = lambda *_: None) -> int:
    """Copy everything that ``reader`` sees into a new store file; how many rows.

    Args:
        reader: where from.
        target: the file, which must not exist; half a copy is removed.
        progress: called with the rows so far and in all.

    Raises:
        StoreError: ``reader`` does not tell when its rows arrived, there is such a file already, or reading
            or writing failed.
    """
    if not getattr(reader, "tells_arrivals", True):
        raise StoreError(
            f"{reader.location} does not tell when its rows arrived, so no consistent copy can be made of it."
            " Export windows of it (tracescape export --parquet), or use the server's own BACKUP."
        )
    try:
        there = target.exists()
    except OSError as error:
        raise StoreError(f"{str(target)[:80]} cannot be written: {error.strerror}.") from error
    if there:
        raise StoreError(f"{target} exists already. Name another file, or remove it.")
    try:
        store = DuckDBStore(target)
        try:
            return _copied(reader, store, progress)
        finally:
            store.close()
    except BaseException:
        for left in (target, target.with_name(target.name + ".wal")):
            left.unlink(missing_ok=True)
        raise


def _copied(reader: Reader, store: DuckDBStore, progress: Callable[[int, int], None]) -> int:
    names = [name for name in TABLES if name not in CONTENT_KEYS]
    latest = " UNION ALL ".join(f"SELECT max({ARRIVED}) AS arrived FROM {name}" for name in names)
    end = reader.sql(f"SELECT coalesce(max(arrived), 0) AS arrived FROM ({latest})")["arrived"][0].as_py()
    slices = {name: list(_slices(reader, name, end)) for name in names}
    total = sum(rows for each in slices.values() for _, _, rows in each)
    done = 0
    for name in CONTENT_KEYS:
        store.append({name: _without_nothing(reader.sql(f"SELECT * FROM {name}"))})
    for name, each in slices.items():
        for after, until, rows in each:
            wanted = f"{ARRIVED} > {after} AND {ARRIVED} <= {until}"
            exclude = f" EXCLUDE ({TRACE_KEY})" if "trace_id" in TABLES[name].names else ""
            table = reader.sql(f"SELECT *{exclude} FROM {name} WHERE {wanted} ORDER BY {ARRIVED}")
            store.append({name: _without_nothing(table)})
            done += rows
            progress(done, total)
    pruned = reader.sql("SELECT * FROM tracescape_pruned")
    store.note_pruned(pruned.to_pylist())
    store.keep_positions(reader.positions())
    return done


def _slices(reader: Reader, table: str, end: int) -> Iterator[tuple[int, int, int]]:
    """Ranges of arrivals (after, until] up to ``end`` with about as many rows each, and how many.

    Later commits arrive later, so up to one arrival all tables belong together.
    """
    arrivals = reader.sql(
        f"SELECT {ARRIVED}, count(*) AS n FROM {table} WHERE {ARRIVED} <= {end} GROUP BY 1 ORDER BY 1"
    )
    counts = zip(arrivals[ARRIVED].to_pylist(), arrivals["n"].to_pylist(), strict=True)
    return ranges_of(counts, _SLICE_ROWS)


def _without_nothing(table: pa.Table) -> pa.Table:
    """Without columns that have no value: a store that lacks them shall not make them for that."""
    kept = [name for name in table.column_names if table[name].null_count < len(table) or not len(table)]
    return table.select(kept)
