"""The exporter's tables, made where they are missing, and looked at before anything is put into them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tracescape_storage.clickhouse.address import Address
from tracescape_storage.clickhouse.connection import said
from tracescape_storage.clickhouse.literals import literal
from tracescape_storage.clickhouse.rows import LOG_ROWS, SPAN_ROWS
from tracescape_storage.clickhouse.tables import DEDUPLICATED, statements
from tracescape_storage.errors import StoreError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_WINDOW: Final = re.compile(r"non_replicated_deduplication_window = (\d+)")
_MAPS: Final = ("ResourceAttributes", "SpanAttributes", "LogAttributes", "ScopeAttributes")
_DISTRIBUTED: Final = "Distributed"


def prepared_tables(client: Client, address: Address) -> list[str]:
    """Make what is missing and check what is there; what should be known of it, a sentence each.

    Nothing that is there is changed.

    Raises:
        StoreError: the tables cannot be made, or those that are there are of another schema.
    """
    engines = _engines(client, address)
    if not {address.traces, address.logs} <= engines.keys():
        _make(client, address)
        engines = _engines(client, address)
    for table, wanted in ((address.traces, SPAN_ROWS.names), (address.logs, LOG_ROWS.names)):
        _check(client, address, table, wanted)
    warnings = (_doubtful(address, table, engines[table]) for table in (address.traces, address.logs))
    return [warning for warning in warnings if warning]


def _make(client: Client, address: Address) -> None:
    try:
        if address.database != "default":
            client.command(f"CREATE DATABASE IF NOT EXISTS `{address.database}`")
        for statement in statements(address.database, address.traces, address.logs):
            client.command(statement)
    except Exception as error:  # what the driver, urllib3 and chdb raise has no common root
        raise StoreError(
            f"The tables in {address.location} are not there and cannot be made: {said(error, address)}"
        ) from error


def _engines(client: Client, address: Address) -> dict[str, str]:
    """What makes each of the two tables, as far as they are there."""
    names = ", ".join(literal(name) for name in (address.traces, address.logs))
    rows = client.query(
        "SELECT toString(name), create_table_query FROM system.tables"
        f" WHERE database = {literal(address.database)} AND name IN ({names})"
    ).result_rows
    return {str(name): str(query) for name, query in rows}


def _check(client: Client, address: Address, table: str, wanted: list[str]) -> None:
    rows = client.query(
        "SELECT toString(name), toString(type) FROM system.columns"
        f" WHERE database = {literal(address.database)} AND table = {literal(table)}"
    ).result_rows
    columns = {str(name): str(kind) for name, kind in rows}
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise StoreError(
            f"{table} in {address.location} has no column {', '.join(missing[:5])}: it is of another version"
            " of the exporter's schema than is written here. Add the columns, or name another database or"
            " table (?traces=NAME&logs=NAME)."
        )
    for name in _MAPS:
        if name in wanted and not columns[name].startswith("Map("):
            raise StoreError(
                f"{name} of {table} is of type {columns[name][:40]}; what is written here is"
                " Map(LowCardinality(String), String)."
            )


def _doubtful(address: Address, table: str, made: str) -> str:
    """What is wrong with a table for inserts that may be tried twice; empty where nothing is."""
    engine = re.search(r"\bENGINE = (\w+)", made)
    name = engine[1] if engine else ""
    if name == _DISTRIBUTED:
        if re.search(r"\brand\w*\(", made):
            raise StoreError(
                f"{table} is Distributed by chance (rand): an insert that is tried again would reach other"
                " shards than at first. Distribute it by cityHash64(TraceId)."
            )
        return ""
    window = _WINDOW.search(made)
    if name.startswith(("Replicated", "Shared")) or (window and int(window[1])):
        return ""
    remedy = f"ALTER TABLE `{address.database}`.`{table}` MODIFY SETTING {DEDUPLICATED}"
    return (
        f"{table} in {address.location} does not remember inserts: one that is tried again after the"
        f" connection broke may be there twice. {remedy}"
    )
