"""One read-only ``SELECT`` at a time: checked by DuckDB's own parser, bounded in time, never a write."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import duckdb
import pyarrow as pa

from tracescape_storage.errors import QueryError

DEFAULT_TIME_LIMIT_S: Final = 60.0
MAX_QUERY_BYTES: Final = 1 << 20
_BATCH_ROWS: Final = 65_536

#: No question can reach files, extensions or settings, whatever the SQL says.
LOCKED_DOWN: Final[dict[str, str | bool | int | float | list[str]]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "lock_configuration": "true",
}


@contextmanager
def selecting(
    connection: duckdb.DuckDBPyConnection, query: str, *, time_limit_s: float = DEFAULT_TIME_LIMIT_S
) -> Iterator[pa.RecordBatchReader]:
    """Run ``query`` on a cursor of its own and yield its rows as a stream of record batches.

    ``VARIANT`` columns arrive as JSON text. Raises `QueryError` for anything but one ``SELECT``, for a
    failing query and when ``time_limit_s`` passes before the block ends. The cursor closes with the block.
    """
    cursor = connection.cursor()
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        cursor.interrupt()

    timer = threading.Timer(time_limit_s, expire)
    timer.daemon = True
    try:
        statement = _single_select(cursor, query)
        timer.start()
        cursor.execute("BEGIN TRANSACTION READ ONLY")
        yield _readable(cursor, statement).to_arrow_reader(_BATCH_ROWS)
    except duckdb.InterruptException as error:
        reason = f"ran longer than {time_limit_s:g} s" if expired.is_set() else "was interrupted"
        raise QueryError(f"The query {reason}. Narrow it by start_ns, or ask for fewer rows.") from error
    except duckdb.Error as error:
        raise QueryError(_first_line(error)) from error
    finally:
        timer.cancel()
        cursor.close()


def select_table(
    connection: duckdb.DuckDBPyConnection, query: str, *, time_limit_s: float = DEFAULT_TIME_LIMIT_S
) -> pa.Table:
    """All rows of ``query``; see `selecting`."""
    with selecting(connection, query, time_limit_s=time_limit_s) as batches:
        return batches.read_all()


def _single_select(cursor: duckdb.DuckDBPyConnection, query: str) -> str:
    if len(query.encode("utf-8", "surrogatepass")) > MAX_QUERY_BYTES:
        raise QueryError(f"The query is longer than {MAX_QUERY_BYTES // 1024} KiB.")
    parsed = cursor.extract_statements(query)
    if len(parsed) != 1 or parsed[0].type != duckdb.StatementType.SELECT:
        raise QueryError("Exactly one SELECT is answered here: the store is read-only for questions.")
    return str(parsed[0].query).rstrip().rstrip(";")


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


def _first_line(error: Exception) -> str:
    """DuckDB's message without its stack of suggestions beyond the second line."""
    return " ".join(str(error).strip().splitlines()[:2])
