"""A stored trace as OTLP JSON, the document that every OTLP receiver takes.

As the specification has it: ids in lower-case hex, 64-bit integers as text, enums as numbers, fields with
their default left out. Numbers that JSON has not (NaN, infinities) are text, as in protobuf's JSON.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from tracescape_analytics.whole_trace import Row, WholeTrace
from tracescape_storage.attributes import AttributeValue

Document: TypeAlias = dict[str, Any]


def traces_text(traces: Iterable[WholeTrace], *, indent: int | None = None) -> str:
    """The text of `traces_document`."""
    separators = (",", ":") if indent is None else None
    return json.dumps(traces_document(traces), ensure_ascii=False, indent=indent, separators=separators)


def traces_document(traces: Iterable[WholeTrace]) -> Document:
    """``{"resourceSpans": […]}``: of each trace one entry a resource, in it one a scope."""
    return {"resourceSpans": [group for trace in traces for group in _resource_spans(trace)]}


def _resource_spans(trace: WholeTrace) -> list[Document]:
    groups: dict[int, dict[int, list[Document]]] = {}
    for row in trace.spans:
        scopes = groups.setdefault(row["resource_id"], {})
        scopes.setdefault(row["scope_id"], []).append(_span(row))
    return [
        _filled(
            resource=_resource(trace.resources.get(resource_id)),
            scopeSpans=[
                _filled(
                    scope=_scope(trace.scopes.get(scope_id)),
                    spans=spans,
                    schemaUrl=_url(trace.scopes, scope_id),
                )
                for scope_id, spans in scopes.items()
            ],
            schemaUrl=_url(trace.resources, resource_id),
        )
        for resource_id, scopes in groups.items()
    ]


def _span(row: Row) -> Document:
    return _filled(
        traceId=row["trace_id"].hex(),
        spanId=hex_span_id(row["span_id"]),
        traceState=row["trace_state"],
        parentSpanId=hex_span_id(row["parent_span_id"]) if row["parent_span_id"] else None,
        flags=row["flags"],
        name=row["operation"],
        kind=row["kind"],
        startTimeUnixNano=str(row["start_ns"]),
        endTimeUnixNano=str(row["start_ns"] + row["duration_ns"]),
        attributes=_key_values(row["attributes"]),
        droppedAttributesCount=row["dropped_attributes"],
        events=[_event(each) for each in row["events"]],
        droppedEventsCount=row["dropped_events"],
        links=[_link(each) for each in row["links"]],
        droppedLinksCount=row["dropped_links"],
        status=_filled(message=row["status_message"], code=row["status"]),
    )


def _event(row: Row) -> Document:
    return _filled(
        timeUnixNano=str(row["time_ns"]),
        name=row["name"],
        attributes=_key_values(row["attributes"]),
        droppedAttributesCount=row["dropped_attributes"],
    )


def _link(row: Row) -> Document:
    return _filled(
        traceId=row["linked_trace_id"].hex(),
        spanId=hex_span_id(row["linked_span_id"]),
        traceState=row["trace_state"],
        attributes=_key_values(row["attributes"]),
        droppedAttributesCount=row["dropped_attributes"],
        flags=row["flags"],
    )


def _resource(row: Row | None) -> Document:
    if row is None:
        return {}
    return _filled(
        attributes=_key_values(row["attributes"]), droppedAttributesCount=row["dropped_attributes"]
    )


def _scope(row: Row | None) -> Document:
    if row is None:
        return {}
    return _filled(
        name=row["name"],
        version=row["version"],
        attributes=_key_values(row["attributes"]),
        droppedAttributesCount=row["dropped_attributes"],
    )


def _url(rows: Mapping[int, Row], number: int) -> str | None:
    return rows[number]["schema_url"] if number in rows else None


def hex_span_id(number: int) -> str:
    """A stored span id as 16 hex digits."""
    return (number & (1 << 64) - 1).to_bytes(8, "big").hex()


def _key_values(attributes: Mapping[str, AttributeValue]) -> list[Document]:
    return [{"key": key, "value": _any_value(value)} for key, value in attributes.items()]


def _any_value(value: AttributeValue) -> Document:
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": _double(value)}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bytes):
        return {"bytesValue": base64.b64encode(value).decode("ascii")}
    if isinstance(value, Mapping):
        return {"kvlistValue": {"values": _key_values(value)}}
    assert isinstance(value, Sequence)
    return {"arrayValue": {"values": [_any_value(item) for item in value]}}


def _double(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _filled(**fields: Any) -> Document:
    """The fields that are not at their default."""
    return {name: value for name, value in fields.items() if value or name in _ALWAYS}


#: Readers expect them, default or not.
_ALWAYS = frozenset({"resource", "scope", "status", "startTimeUnixNano", "endTimeUnixNano"})
