"""One read-only ``SELECT`` at a time: checked, bounded in time, rows and memory, never a write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import duckdb
import pyarrow as pa

from tracescape_storage.errors import QueryError
from tracescape_storage.limits import DEFAULT_TIME_LIMIT_S
from tracescape_storage.pool import Pool
from tracescape_storage.query_guard import Guard
from tracescape_storage.statement import MAX_QUERY_BYTES, checked
from tracescape_storage.unopened import damaged

__all__ = [
    "LOCKED_DOWN",
    "MAX_QUERY_BYTES",
    "Guard",
    "select_batches",
    "select_table",
    "selecting",
]

_BATCH_ROWS: Final = 65_536
_NOTHING: Final = pa.record_batch([], names=[])
#: Whatever DuckDB says then, of an interrupt or of a database that is gone.
_CLOSED: Final = "The store was closed before the question was answered. Open it again, and ask again."

#: No question can reach files, extensions or settings, whatever the SQL says. What sorts and joins cannot
#: hold in memory goes to disk up to a bound, so that there is memory for commits.
LOCKED_DOWN: Final[dict[str, str | bool | int | float | list[str]]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
    "max_temp_directory_size": "2GB",
    "allowed_configs": ["operator_memory_limit"],
    "lock_configuration": "true",
}


@contextmanager
def selecting(
    pool: Pool,
    query: str,
    *,
    time_limit_s: float = DEFAULT_TIME_LIMIT_S,
    batch_rows: int = _BATCH_ROWS,
    guard: Guard | None = None,
) -> Iterator[pa.RecordBatchReader]:
    """Run ``query`` on a cursor of ``pool`` and yield its rows as a stream of record batches.

    ``VARIANT`` columns arrive as JSON text. Raises `QueryError` for anything but one ``SELECT``, for a
    failing query, when ``time_limit_s`` passes before the block ends, and when the query takes more memory
    than questions have or is called off at its ``guard``. The stream ends with the block.
    """
    guard = guard or Guard(time_limit_s)
    try:
        with pool.lent() as cursor:
            statement = checked(cursor.connection, query)
            cursor.bound(statement.bounded)
            with guard.over(cursor.connection, cursor.shares):
                batches = _readable(cursor.connection, statement.sql).to_arrow_reader(batch_rows)
                try:
                    yield batches
                finally:
                    batches.close()
    except (duckdb.Error, pa.ArrowException, OSError) as error:  # Arrow's streams pass on some as OSError
        raise QueryError(guard.reason or (_CLOSED if pool.closed else _message(error))) from error


def select_table(
    pool: Pool, query: str, *, time_limit_s: float = DEFAULT_TIME_LIMIT_S, guard: Guard | None = None
) -> pa.Table:
    """All rows of ``query``; see `selecting`."""
    with selecting(pool, query, time_limit_s=time_limit_s, guard=guard) as batches:
        return batches.read_all()


def select_batches(
    pool: Pool, query: str, *, time_limit_s: float = DEFAULT_TIME_LIMIT_S
) -> pa.RecordBatchReader:
    """The rows of ``query`` as they are taken; see `selecting`. Dropping the reader ends the query."""
    schemas: list[pa.Schema] = []

    def taken() -> Iterator[pa.RecordBatch]:
        with selecting(pool, query, time_limit_s=time_limit_s) as batches:
            schemas.append(batches.schema)
            yield _NOTHING
            yield from batches

    batches = taken()
    next(batches)
    return pa.RecordBatchReader.from_batches(schemas[0], batches)


def _readable(cursor: duckdb.DuckDBPyConnection, statement: str) -> duckdb.DuckDBPyRelation:
    relation = cursor.sql(statement)
    if "VARIANT" not in {str(kind) for kind in relation.types}:
        return relation
    columns = [
        f"{_name(name)}::JSON::VARCHAR AS {_name(name)}" if str(kind) == "VARIANT" else _name(name)
        for name, kind in zip(relation.columns, relation.types, strict=True)
    ]
    return relation.project(", ".join(columns))


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _message(error: Exception) -> str:
    """DuckDB's message without its stack of suggestions beyond the second line."""
    if isinstance(error, duckdb.OutOfMemoryException):
        return "The query needs more memory than there is. Narrow it by start_ns, or gather less."
    words = " ".join(str(error).strip().splitlines()[:2])
    if damaged(error):
        return f"The store's file is cut off or damaged ({words}). Open a backup of it instead."
    return words
