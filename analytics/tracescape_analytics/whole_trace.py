"""A trace with everything that is stored of it: attributes, events, links, resources, scopes.

Plain rows as the tables of ``tracescape_storage.schema`` have them, with attributes as Python values. Needs
neither Polars nor kernels, so that a collector can serve it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

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
    spans: dict[bytes, list[Row]] = {trace_id: [] for trace_id in wanted}
    for row in sorted(_spans(reader, wanted), key=lambda row: (row["start_ns"], row["span_id"])):
        spans[row["trace_id"]].append(row)
    spans = {trace_id: rows for trace_id, rows in spans.items() if rows}
    if not spans:
        return []
    every = [row for rows in spans.values() for row in rows]
    for table in ("events", "links"):
        theirs = _by_span(reader, table, spans)
        for row in every:
            row[table] = theirs.pop((row["trace_id"], row["span_id"]), [])
    resources = _by_id(reader, "resources", "resource_id", RESOURCES.names, every)
    scopes = _by_id(reader, "scopes", "scope_id", SCOPES.names, every)
    return [WholeTrace(trace_id, rows, resources, scopes) for trace_id, rows in spans.items()]


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


def _by_id(
    reader: Reader, table: str, key: str, columns: Sequence[str], spans: Iterable[Row]
) -> dict[int, Row]:
    ids = ", ".join(str(number) for number in sorted({row[key] for row in spans}))
    rows = reader.sql(f"SELECT {', '.join(columns)} FROM {table} WHERE {key} IN ({ids})").to_pylist()
    return {row[key]: row for row in _decoded(rows)}


def _by_span(reader: Reader, table: str, trace_ids: Iterable[bytes]) -> dict[tuple[bytes, int], list[Row]]:
    """The rows of ``events`` or ``links`` by trace and span, in the order in which they came."""
    ids = ", ".join(f"from_hex('{trace_id.hex()}')" for trace_id in trace_ids)
    rows = reader.sql(f"SELECT * FROM {table} WHERE trace_id IN ({ids}) ORDER BY rowid").to_pylist()
    found: dict[tuple[bytes, int], list[Row]] = defaultdict(list)
    for row in _decoded(rows):
        found[row["trace_id"], row["span_id"]].append(row)
    return found


def _decoded(rows: list[Row]) -> list[Row]:
    for row in rows:
        row["attributes"] = decode_attributes(row["attributes"])
    return rows
