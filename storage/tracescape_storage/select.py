"""The SQL behind the reader's methods: the same text for an open file and for a collector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from tracescape_storage.reader import Extent
from tracescape_storage.schema import DICTIONARY_COLUMNS, SPANS, SPANS_FULL, TRACE_KEY
from tracescape_storage.trace_keys import trace_key

EXTENT_SQL: Final = "SELECT count(*) AS n, min(start_ns) AS first, max(start_ns) AS last FROM spans"


def spans_sql(
    columns: Sequence[str],
    *,
    since_ns: int | None,
    until_ns: int | None,
    trace_id: bytes | None,
    service: str | None,
) -> str:
    """``SELECT`` of span columns under conditions. An unknown column raises ``ValueError``."""
    unknown = [name for name in columns if name not in SPANS_FULL.names]
    if unknown or not columns:
        raise ValueError(
            f"no such span column: {', '.join(unknown)}; there are {', '.join(SPANS_FULL.names)}"
        )
    conditions = _window(since_ns, until_ns)
    if trace_id is not None:
        conditions.append(trace_condition(trace_id))
    if service is not None:
        conditions.append("service = " + quote(service))
    chosen = ", ".join(f'"{name}"' for name in columns)
    table = "spans" if set(columns) <= set(SPANS.names) - {"attributes"} else "spans_full"
    return f"SELECT {chosen} FROM {table}{_where(conditions)}"


def links_sql(*, since_ns: int | None, until_ns: int | None) -> str:
    """``SELECT`` of the four ids of each link in a window."""
    conditions = _window(since_ns, until_ns)
    return f"SELECT trace_id, span_id, linked_trace_id, linked_span_id FROM links{_where(conditions)}"


def extent_of(table: pa.Table) -> Extent:
    """The one row of `EXTENT_SQL` as an `Extent`."""
    (row,) = table.to_pylist()
    return Extent(row["n"], row["first"] or 0, row["last"] or 0)


def dictionary_coded(table: pa.Table) -> pa.Table:
    """``table`` with its `DICTIONARY_COLUMNS` coded as int32 indices into one dictionary each."""
    for index, name in enumerate(table.column_names):
        if name in DICTIONARY_COLUMNS and not pa.types.is_dictionary(table.schema.field(index).type):
            coded = table.column(index).dictionary_encode().unify_dictionaries()
            table = table.set_column(index, name, coded)
    return table


def trace_condition(trace_id: bytes) -> str:
    """The rows of one trace, in any table that has traces."""
    return f"{TRACE_KEY} = {trace_key(trace_id)} AND trace_id = from_hex('{trace_id.hex()}')"


def quote(text: str) -> str:
    """``text`` as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def _window(since_ns: int | None, until_ns: int | None) -> list[str]:
    conditions = []
    if since_ns is not None:
        conditions.append(f"start_ns >= {int(since_ns)}")
    if until_ns is not None:
        conditions.append(f"start_ns < {int(until_ns)}")
    return conditions


def _where(conditions: Sequence[str]) -> str:
    return " WHERE " + " AND ".join(conditions) if conditions else ""
