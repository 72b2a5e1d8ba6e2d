"""OTLP trace requests to span batches, through opentelemetry-proto: the reference decoder.

It is written to be read. What it repairs and what it rejects is the receiver's contract:

* a span with a trace id that is not 16 bytes, a span id that is not 8, either all zero, a parent id of
  another length than 0 or 8, an end before its start, a time beyond 2262, or text that is not UTF-8 is
  rejected, alone; so is every span under a resource or scope whose own text is not UTF-8;
* an all-zero parent id means no parent; of duplicate attribute keys the last one wins;
* a resource without a ``service.name`` is ``unknown_service``, as the SDKs name it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import xxhash

from tracescape_ingest import fields
from tracescape_ingest.envelope import (
    UNKNOWN_SERVICE,
    Context,
    Found,
    Row,
    UndecodableError,
    first_reasons,
    parsed,
    scope_groups,
)
from tracescape_ingest.fields import (
    MAX_NS,
    MAX_VALUE_DEPTH,
    Rejected,
    optional_span_id,
    span_id,
    text,
    trace_id,
)
from tracescape_ingest.wire import ExportTraceServiceRequest
from tracescape_storage.attribute_columns import ARROW_TYPES, WELL_KNOWN, split
from tracescape_storage.attributes import encode_attributes

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

__all__ = [
    "MAX_VALUE_DEPTH",
    "UNKNOWN_SERVICE",
    "Decoded",
    "Rejected",
    "UndecodableError",
    "decode_traces",
]


class Decoded(NamedTuple):
    """A request as tables, and what was left out of it: how many spans, and the reasons with counts.

    ``tables`` are spans, events, links, resources and scopes; ``owners`` are, for each event and for each
    link, the number of its span among ``spans``. ``fingerprints`` are two hashes a span (see `fingerprint`).
    """

    tables: dict[str, pa.Table]
    owners: dict[str, Rows]
    fingerprints: Rows
    items: int
    rejected: int
    reasons: dict[str, int]

    @property
    def message(self) -> str:
        """For ``partial_success.error_message``: the first reasons, empty when nothing was rejected."""
        return first_reasons(self.reasons)


def decode_traces(data: bytes, *, seed: int = 0, columns: Mapping[str, str] = WELL_KNOWN) -> Decoded:
    """Decode an encoded ``ExportTraceServiceRequest``.

    Args:
        data: the request.
        seed: that of the fingerprints.
        columns: attributes with columns of their own, and their DuckDB types; those without any value are
            left out of the table of spans.

    Raises:
        UndecodableError: ``data`` is not such a message.
    """
    request = parsed(ExportTraceServiceRequest, data)
    found, prints = Found(), list[tuple[int, int]]()
    owners: dict[str, list[int]] = {"events": [], "links": []}
    for resource_group in request.resource_spans:
        resource_hash = xxhash.xxh64_intdigest(resource_group.resource.SerializeToString(), seed)
        for group, context in scope_groups([resource_group], "scope_spans", _span_count, found):
            for span in _add_spans(group.spans, context, columns, found, owners):
                prints.append(fingerprint(span, resource_hash, seed))
    spans = found.decoded("spans", "events", "links")
    return Decoded(
        {**spans.tables, "spans": _with_columns(spans.tables["spans"], found.rows["spans"], columns)},
        {name: np.array(numbers, np.int64) for name, numbers in owners.items()},
        np.array(prints, np.uint64).reshape(-1, 2).view(np.int64),
        spans.items,
        spans.rejected,
        spans.reasons,
    )


def fingerprint(span: Any, resource_hash: int, seed: int) -> tuple[int, int]:
    """Two 64-bit numbers by which a copy of a span is known.

    XXH64 of its trace and span id, and XXH64 of its encoded bytes, seeded with that of its resource's.
    """
    ids = xxhash.xxh64_intdigest(span.trace_id + span.span_id, seed)
    return ids, xxhash.xxh64_intdigest(span.SerializeToString(), resource_hash)


def _span_count(group: Any) -> int:
    return len(group.spans)


def _with_columns(spans: pa.Table, rows: list[Row], columns: Mapping[str, str]) -> pa.Table:
    used = {key for row in rows for key in row} & columns.keys()
    for key in (key for key in columns if key in used):
        values = pa.array([row.get(key) for row in rows], ARROW_TYPES[columns[key]])
        spans = spans.append_column(key, values)
    return spans


def _add_spans(
    spans: Iterable[Any],
    context: Context,
    columns: Mapping[str, str],
    found: Found,
    owners: dict[str, list[int]],
) -> Iterator[Any]:
    """Add what can be stored, and yield it."""
    for span in spans:
        try:
            row = _span(span, context, columns)
            parts = {
                "events": [_event(event, row) for event in span.events],
                "links": [_link(link, row) for link in span.links],
            }
        except Rejected as reason:
            found.reasons[str(reason)] += 1
            continue
        number = len(found.rows["spans"])
        found.rows["spans"].append(row)
        for name, rows in parts.items():
            found.rows[name] += rows
            owners[name] += [number] * len(rows)
        yield span


def _span(span: Any, context: Context, columns: Mapping[str, str]) -> Row:
    start, end = span.start_time_unix_nano, span.end_time_unix_nano
    if end < start:
        raise Rejected("the span ends before it starts")
    if end > MAX_NS:
        raise Rejected("the span's time is beyond the year 2262")
    own, attributes = split(fields.attributes(span.attributes), columns)
    row: Row = {
        "trace_id": trace_id(span.trace_id),
        "span_id": span_id(span.span_id),
        "parent_span_id": optional_span_id(span.parent_span_id, "the parent span id"),
        "start_ns": start,
        "duration_ns": end - start,
        "service": context.service,
        "operation": text(span.name),
        "kind": span.kind if 0 <= span.kind <= 5 else 0,
        "status": span.status.code if 0 <= span.status.code <= 2 else 0,
        "status_message": text(span.status.message) or None,
        "trace_state": text(span.trace_state) or None,
        "flags": span.flags,
        "resource_id": context.resource_id,
        "scope_id": context.scope_id,
        "attributes": encode_attributes(attributes),
        "dropped_attributes": span.dropped_attributes_count,
        "dropped_events": span.dropped_events_count,
        "dropped_links": span.dropped_links_count,
    }
    return row | own


def _event(event: Any, span: Mapping[str, object]) -> Row:
    return {
        "trace_id": span["trace_id"],
        "span_id": span["span_id"],
        "time_ns": min(event.time_unix_nano, MAX_NS),
        "name": text(event.name),
        "attributes": encode_attributes(fields.attributes(event.attributes)),
        "dropped_attributes": event.dropped_attributes_count,
    }


def _link(link: Any, span: Mapping[str, object]) -> Row:
    return {
        "trace_id": span["trace_id"],
        "span_id": span["span_id"],
        "start_ns": span["start_ns"],
        "linked_trace_id": trace_id(link.trace_id, "a link's trace id"),
        "linked_span_id": span_id(link.span_id, "a link's span id"),
        "trace_state": text(link.trace_state) or None,
        "flags": link.flags,
        "attributes": encode_attributes(fields.attributes(link.attributes)),
        "dropped_attributes": link.dropped_attributes_count,
    }
