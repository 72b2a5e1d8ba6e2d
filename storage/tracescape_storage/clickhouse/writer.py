"""Inserts into the exporter's tables: each whole, each once, and what is known of one that failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import pyarrow as pa

from tracescape_storage.clickhouse.address import Address
from tracescape_storage.clickhouse.connection import client_of, said, words_of
from tracescape_storage.clickhouse.making import prepared_tables
from tracescape_storage.clickhouse.quick_rows import quick_log_rows, quick_span_rows
from tracescape_storage.errors import InDoubtError, StoreError, UnstorableError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

#: How long an insert may take on the server and on the way, before it is in doubt.
DEFAULT_INSERT_S: Final = 30
_WRITE: Final = pa.ipc.IpcWriteOptions(compression="lz4")

#: What the server finds wrong with values, before any of them is in a table. Not types: where those do not
#: fit, the table is to blame, and everything would be refused for good.
_OF_CONTENT: Final = frozenset({69, 117, 131, 321, 349, 469, 691})
_MANY_PARTS: Final = 252
_MANY_DAYS: Final = "Too many partitions"
#: What is wrong with names, types, passwords, rights or a quota: known before anything is written. Not what
#: is found when the rows are there, such as too many parts: it may be of the view's table, after the other's.
_BEFORE: Final = frozenset(
    {
        *(10, 16, 20, 44, 47, 53, 60, 62, 70, 81, 115, 164),
        *(192, 193, 194, 195, 201, 202, 291, 452, 497, 516),
    }
)
_NO_SPACE: Final = 243
_DEDUPLICATED: Final = {
    "insert_deduplicate": "1",
    "deduplicate_blocks_in_dependent_materialized_views": "1",
    # An answer means stored: on this server, and for a Distributed table on those behind it.
    "async_insert": "0",
    "distributed_foreground_insert": "1",
    "insert_distributed_sync": "1",  # its former name
}


class Block(NamedTuple):
    """Rows of one table as they go over the wire."""

    table: str
    columns: list[str]
    rows: int
    data: memoryview


class Writer:
    """Inserts into one database; `insert` from one thread.

    Tables that are missing are made, in the exporter's schema.

    Args:
        address: of the database, which is made where it is missing.
        insert_s: see `DEFAULT_INSERT_S`.

    Raises:
        StoreError: nothing answers, the name, password or rights are wrong, or the tables are of another
            schema.
    """

    def __init__(self, address: Address, *, insert_s: int = DEFAULT_INSERT_S) -> None:
        self._address = address
        self._client: Client = client_of(address, writing=True, timeout_s=insert_s)
        try:
            #: What whoever runs this should know of the tables, a sentence each.
            self.warnings = prepared_tables(self._client, address)
            self._settings = self._known(
                {**_DEDUPLICATED, "max_execution_time": str(insert_s), "insert_deduplication_token": ""}
            )
        except BaseException as error:
            self._client.close()
            if isinstance(error, Exception) and not isinstance(error, StoreError):
                raise said(error, address) from error
            raise

    def prepare(self, *batches: Mapping[str, pa.Table]) -> Block:
        """See `tracescape_ingest.direct.Sink.prepare`: spans, or logs."""
        if all("logs" in batch for batch in batches):
            table, name = pa.concat_tables([quick_log_rows(batch) for batch in batches]), self._address.logs
        else:
            table = pa.concat_tables([quick_span_rows(batch) for batch in batches])
            name = self._address.traces
        table = table.unify_dictionaries().combine_chunks()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema, options=_WRITE) as writer:
            writer.write_table(table)
        return Block(name, table.column_names, table.num_rows, memoryview(sink.getvalue()))

    def insert(self, block: Block, token: str) -> None:
        """See `tracescape_ingest.direct.Sink.insert`."""
        settings = {**self._settings, "insert_deduplication_token": token}
        try:
            # A memoryview: of bytes the driver would send some requests again by itself, and say at the end
            # what became of the last only.
            self._client.raw_insert(
                f"`{self._address.database}`.`{block.table}`",
                block.columns,
                cast("bytes", block.data),
                settings=settings,
                fmt="ArrowStream",
            )
        except Exception as error:  # what the driver, urllib3 and chdb raise has no common root
            raise failure_of(error, self._address) from error

    def close(self) -> None:
        """Let the connection go. Idempotent."""
        self._client.close()

    def _known(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Without those that this server does not have."""
        names = ", ".join(f"'{name}'" for name in settings)
        found = self._client.query(f"SELECT name FROM system.settings WHERE name IN ({names})").result_rows
        there = {row[0] for row in found}
        return {name: value for name, value in settings.items() if name in there}


def failure_of(error: Exception, address: Address) -> StoreError:
    """What a failed insert leaves behind; see `tracescape_ingest.direct.Sink.insert` for the kinds."""
    code = getattr(error, "code", None)
    words = words_of(error, address)
    if code in _OF_CONTENT or (code == _MANY_PARTS and _MANY_DAYS in words):
        return UnstorableError(words)
    if code == _MANY_PARTS:
        return InDoubtError(f"{address.location} merges more slowly than is inserted: {words}")
    if code in _BEFORE:
        return StoreError(str(said(error, address)))
    if code == _NO_SPACE:
        return InDoubtError(f"the disk of {address.location} is full: {words}")
    if code is not None:
        return InDoubtError(f"{address.location} failed at an insert: {words}")
    if _never_connected(error):
        return StoreError(str(said(error, address)))
    return InDoubtError(
        f"the connection to {address.location} broke off during an insert, or it took too long"
    )


def _never_connected(error: Exception) -> bool:
    """Whether not a byte of the insert was sent."""
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

    cause = error.__cause__
    return isinstance(getattr(cause, "reason", cause), NewConnectionError | ConnectTimeoutError)
