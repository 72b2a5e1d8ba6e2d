"""A trace with everything that is stored of it: attributes, events, links, resources, scopes.

Plain rows as the tables of ``tracescape_storage.schema`` have them, with attributes as Python values. Needs
neither Polars nor kernels, so that a collector can serve it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import pyarrow as pa

from tracescape_analytics.errors import UnknownTraceError
from tracescape_storage.attributes import decode_attributes
from tracescape_storage.reader import Reader
from tracescape_storage.schema import RESOURCES, SCOPES

Row: TypeAlias = dict[str, Any]

COLUMNS: Final = (
    "trace_id",
    "span_id",
    "parent_span_id",
    "start_ns",
    "duration_ns",
    "service",
    "operation",
    "kind",
    "status",
    "status_message",
    "trace_state",
    "flags",
    "resource_id",
    "scope_id",
    "attributes",
    "dropped_attributes",
    "dropped_events",
    "dropped_links",
)


#: The tables that hang on spans.
_OF_SPANS: Final = ("events", "links")


class WholeTrace(NamedTuple):
    """One trace. ``spans`` are in order of their start, each with its ``events`` and ``links`` as they came.

    ``resources`` and ``scopes`` are by their ids. Every row's ``attributes`` is a dict. Of spans that share
    an id, the first has the events and links.
    """

    trace_id: bytes
    spans: list[Row]
    resources: Mapping[int, Row]
    scopes: Mapping[int, Row]


def whole_trace(reader: Reader, trace_id: bytes) -> WholeTrace:
    """The trace with this id (16 bytes). Raises `UnknownTraceError` if there is none."""
    (trace,) = whole_traces(reader, [trace_id]) or (None,)
    if trace is None:
        raise UnknownTraceError(f"No span of trace {trace_id.hex()} is stored in {reader.location}.")
    return trace


def whole_traces(
    reader: Reader, trace_ids: Sequence[bytes], *, most_spans: int | None = None
) -> list[WholeTrace]:
    """The traces with these ids, in their order; those of which nothing is stored are left out.

    From the trace on that would make more than ``most_spans`` spans of it, none is read; the first always is.
    """
    wanted = trace_ids if most_spans is None else _first_of(reader, trace_ids, most_spans)
    spans = _spans(reader, wanted)
    if not spans:
        return []
    found = _assembled(
        spans,
        {table: _of_traces(reader, table, wanted) for table in _OF_SPANS},
        _by_id("resource_id", _of_ids(reader, "resources", "resource_id", RESOURCES.names, spans)),
        _by_id("scope_id", _of_ids(reader, "scopes", "scope_id", SCOPES.names, spans)),
    )
    return [found[trace_id] for trace_id in dict.fromkeys(wanted) if trace_id in found]


def traces_of_tables(tables: Mapping[str, pa.Table]) -> list[WholeTrace]:
    """The traces of spans that are not stored, those that start first first.

    ``tables`` are spans, events, links, resources and scopes, as in `tracescape_storage.schema`; the
    ``attributes`` of spans are whole, no attribute has a column of its own.
    """
    rows = {name: _decoded(table.to_pylist()) for name, table in tables.items()}
    found = _assembled(
        rows["spans"],
        {table: rows[table] for table in _OF_SPANS},
        _by_id("resource_id", rows["resources"]),
        _by_id("scope_id", rows["scopes"]),
    )
    return list(found.values())


def _assembled(
    spans: Iterable[Row],
    parts: Mapping[str, Iterable[Row]],
    resources: Mapping[int, Row],
    scopes: Mapping[int, Row],
) -> dict[bytes, WholeTrace]:
    """The traces of ``spans`` by their ids; ``parts`` are the rows of `_OF_SPANS`."""
    traces: dict[bytes, list[Row]] = defaultdict(list)
    for row in sorted(spans, key=lambda row: (row["start_ns"], row["span_id"])):
        traces[row["trace_id"]].append(row)
    for table, rows in parts.items():
        theirs: dict[tuple[bytes, int], list[Row]] = defaultdict(list)
        for row in rows:
            theirs[row["trace_id"], row["span_id"]].append(row)
        for row in (row for trace in traces.values() for row in trace):
            row[table] = theirs.pop((row["trace_id"], row["span_id"]), [])
    return {trace_id: WholeTrace(trace_id, rows, resources, scopes) for trace_id, rows in traces.items()}


def _first_of(reader: Reader, trace_ids: Sequence[bytes], most_spans: int) -> list[bytes]:
    """Of the traces those that are read; see `whole_traces`."""
    if len(trace_ids) < 2:
        return list(trace_ids)
    sql = f"SELECT trace_id, count(*) AS n FROM spans WHERE {reader.of_traces(trace_ids)} GROUP BY trace_id"
    counts = {row["trace_id"]: row["n"] for row in reader.sql(sql).to_pylist()}
    there = [trace_id for trace_id in dict.fromkeys(trace_ids) if trace_id in counts]
    total = 0
    for number, trace_id in enumerate(there):
        total += counts[trace_id]
        if total > most_spans and number:
            return there[:number]
    return there


def _spans(reader: Reader, trace_ids: Sequence[bytes]) -> list[Row]:
    """The spans of traces with all their attributes, wherever the store keeps those."""
    return _decoded(reader.spans(COLUMNS, trace_ids=trace_ids).to_pylist()) if trace_ids else []


def _of_ids(reader: Reader, table: str, key: str, columns: Sequence[str], spans: Iterable[Row]) -> list[Row]:
    ids = ", ".join(str(number) for number in sorted({row[key] for row in spans}))
    return _decoded(
        reader.sql(f"SELECT {', '.join(columns)} FROM {table} WHERE {key} IN ({ids})").to_pylist()
    )


def _by_id(key: str, rows: Iterable[Row]) -> dict[int, Row]:
    return {row[key]: row for row in rows}


def _of_traces(reader: Reader, table: str, trace_ids: Iterable[bytes]) -> list[Row]:
    """The rows of ``events`` or ``links``, in the order in which they came."""
    ids = ", ".join(f"from_hex('{trace_id.hex()}')" for trace_id in trace_ids)
    return _decoded(reader.sql(f"SELECT * FROM {table} WHERE trace_id IN ({ids}) ORDER BY rowid").to_pylist())


def _decoded(rows: list[Row]) -> list[Row]:
    for row in rows:
        row["attributes"] = decode_attributes(row["attributes"])
    return rows
