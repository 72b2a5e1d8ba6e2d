"""A question in SQL, answered by DuckDB in memory over the rows that the server left of its tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from typing import Final

import duckdb
import pyarrow as pa

from tracescape_storage import ddl
from tracescape_storage.attribute_columns import WELL_KNOWN
from tracescape_storage.clickhouse.pushdown import NAMED, Plan, Pull
from tracescape_storage.pool import Pool
from tracescape_storage.query import LOCKED_DOWN, select_batches, select_table
from tracescape_storage.schema import TABLES, store_columns

#: What a question may take of this process; what sorts and joins cannot hold goes to disk.
_MEMORY: Final = "2GiB"
_STREAM_S: Final = 24 * 3600.0
_BINARY: Final = frozenset({"trace_id", "linked_trace_id"})

#: The batches of a table's rows.
Pulling = Callable[[str, Pull], Iterable[pa.RecordBatch]]


class WorkingSet:
    """The rows that a question needs, for as long as others need the same: for one thread. To be closed."""

    def __init__(self) -> None:
        self._connection = duckdb.connect(":memory:", config={**LOCKED_DOWN, "memory_limit": _MEMORY})
        self._pool = Pool(self._connection)
        self._held: dict[str, object] = {}

    def answered(self, plan: Plan, query: str, pulling: Pulling) -> pa.Table:
        """All rows of ``query``. Raises as `query.select_table` does, and what ``pulling`` raises."""
        self._fill(plan, pulling)
        return select_table(self._pool, query)

    def streamed(self, plan: Plan, query: str, pulling: Pulling) -> pa.RecordBatchReader:
        """The same, batch by batch; then it is closed. What is asked of the server is taken at once."""
        self._fill(plan, pulling)
        reader = select_batches(self._pool, query, time_limit_s=_STREAM_S)

        def batches() -> Iterator[pa.RecordBatch]:
            try:
                yield from reader
            finally:
                reader.close()
                self.close()

        return pa.RecordBatchReader.from_batches(reader.schema, batches())

    def close(self) -> None:
        """Let the rows go."""
        self._pool.drain()
        self._connection.close()

    def _fill(self, plan: Plan, pulling: Pulling) -> None:
        bound = tuple(plan.bound.values.items())  # before more is bound for the columns of a pull
        for table, pull in plan.pulls.items():
            if self._held.get(table) == (pull, bound):
                continue
            self._held.pop(table, None)
            self._connection.execute(f"DROP TABLE IF EXISTS {table}")
            self._connection.execute(_create(table, pull))
            for batch in pulling(table, pull):
                _insert(self._connection, table, batch)
            self._held[table] = pull, bound
        for view in _views(plan):
            self._connection.execute(view)


def answered(plan: Plan, query: str, pulling: Pulling) -> pa.Table:
    """See `WorkingSet.answered`."""
    with closing(WorkingSet()) as working:
        return working.answered(plan, query, pulling)


def streamed(plan: Plan, query: str, pulling: Pulling) -> pa.RecordBatchReader:
    """See `WorkingSet.streamed`."""
    working = WorkingSet()
    try:
        return working.streamed(plan, query, pulling)
    except BaseException:
        working.close()
        raise


def _create(table: str, pull: Pull) -> str:
    fields = [*TABLES[table], *store_columns(table)]
    columns = {field.name: ddl.duckdb_type(field.type) for field in fields}
    if table == "spans":
        columns |= WELL_KNOWN
    columns |= {name: _kind(name) for name in pull.columns if name not in columns}
    return (
        f"CREATE TABLE {table} ({', '.join(f'{ddl.quoted(name)} {kind}' for name, kind in columns.items())})"
    )


def _kind(name: str) -> str:
    return "BOOLEAN" if name.startswith(NAMED) else "VARCHAR"


def _insert(connection: duckdb.DuckDBPyConnection, table: str, batch: pa.RecordBatch) -> None:
    if not batch.num_rows:
        return
    columns: Mapping[str, pa.Array] = {
        name: batch.column(name).cast(pa.binary()) if name in _BINARY else batch.column(name)
        for name in batch.schema.names
    }
    connection.register("incoming", pa.table(dict(columns)))
    connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM incoming")
    connection.unregister("incoming")


def _views(plan: Plan) -> list[str]:
    asked = plan.pulls["spans"].columns if "spans" in plan.pulls else ()
    further = [name for name in asked if "." in name and name not in WELL_KNOWN and _kind(name) == "VARCHAR"]
    views = dict(zip(("spans_full", "spans_v"), ddl.span_views(WELL_KNOWN, further), strict=True))
    views |= {"logs_v": ddl.LOGS_VIEW, "metrics_v": ddl.METRICS_VIEW, "exemplars_v": ddl.EXEMPLARS_VIEW}
    return [sql for name, sql in views.items() if name in plan.views]
