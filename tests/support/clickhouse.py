"""ClickHouse for tests: chdb in this process, or the server of ``TRACESCAPE_CLICKHOUSE_URL``.

Rows are inserted as the OpenTelemetry Collector's exporter would.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.shop_store import broken_shop
from tracescape.store import Store
from tracescape_storage.clickhouse import rows, tables
from tracescape_storage.clickhouse.address import parse_address
from tracescape_storage.reader import Reader

URL = os.environ.get("TRACESCAPE_CLICKHOUSE_URL", "")


@contextmanager
def database(folder: Path) -> Iterator[tuple[str, Any]]:
    """The address of a database with the exporter's tables, all empty, and a client that may write."""
    clickhouse_connect = pytest.importorskip("clickhouse_connect")
    if not URL:
        pytest.importorskip("chdb")
        folder.mkdir(parents=True, exist_ok=True)
        client = clickhouse_connect.get_client(interface="chdb", path=str(folder))
        name, address = "default", f"clickhouse+chdb://{folder}"
    else:
        where = parse_address(URL)
        client = clickhouse_connect.get_client(
            host=where.host,
            port=where.port,
            username=where.user,
            password=where.password,
            interface="https" if where.secure else "http",
        )
        name = f"tracescape_test_{uuid.uuid4().hex[:12]}"
        client.command(f"CREATE DATABASE {name}")
        address = f"{URL.partition('?')[0].rsplit('/', 1)[0]}/{name}"
    try:
        for statement in tables.statements(name):
            client.command(statement)
        yield address, client
    finally:
        if URL:
            client.command(f"DROP DATABASE {name}")
        client.close()


def copy(reader: Reader, client: Any, address: str) -> None:
    """Insert all spans and log records of another store."""
    held = {name: reader.sql(f"SELECT * FROM {name}") for name in _TABLES}
    name = parse_address(address).database
    for table, batch in (("otel_traces", rows.span_rows(held)), ("otel_logs", rows.log_rows(held))):
        if batch.num_rows:
            client.insert_arrow(table, batch, database=name)


_TABLES = ("spans", "events", "links", "logs", "resources", "scopes")


@contextmanager
def shop_in_both(folder: Path, begin_ns: int) -> Iterator[tuple[Store, str, Any]]:
    """A shop that breaks after five minutes, in a file and in ClickHouse: the file, address and client."""
    with (
        broken_shop(folder / "shop.db", begin_ns, 5, 2, 1) as file,
        database(folder / "clickhouse") as (address, client),
    ):
        copy(file.reader, client, address)
        yield file, address, client
