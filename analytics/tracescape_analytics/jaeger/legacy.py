"""A stored trace in the JSON that Jaeger's UI has read since its beginnings.

The rules are those of Jaeger's own translation from OTLP: what OTLP has a field for becomes a tag, events
become logs, links references, resources processes; times are microseconds.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from tracescape_analytics.otlp_json import hex_span_id
from tracescape_analytics.whole_trace import Row, WholeTrace
from tracescape_storage.attributes import AttributeValue
from tracescape_storage.filters import KINDS

Document: TypeAlias = dict[str, Any]

_STATUSES: Final = {1: "OK", 2: "ERROR"}
_SAFE: Final = 2**53 - 1
_SERVICE: Final = "service.name"
_REF_TYPE: Final = "opentracing.ref_type"
#: As Go's encoder writes them inside text.
_ESCAPES: Final = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


def legacy_traces(traces: Iterable[WholeTrace]) -> list[Document]:
    """The ``data`` in the answer of ``/api/traces``, of traces of one store."""
    known: dict[tuple[int, str], Document] = {}
    return [_trace(trace, known) for trace in traces]


def _trace(trace: WholeTrace, known: dict[tuple[int, str], Document]) -> Document:
    # The same few resources sent all of them: each is told once, and stands in every trace.
    processes: dict[int, str] = {}
    spans = [
        _span(row, trace, processes.setdefault(row["resource_id"], f"p{len(processes) + 1}"))
        for row in trace.spans
    ]
    services = {row["resource_id"]: row["service"] for row in trace.spans}
    for number in processes:
        if (number, services[number]) not in known:
            known[number, services[number]] = _process(services[number], trace.resources.get(number))
    return {
        "traceID": legacy_trace_id(trace.trace_id),
        "spans": spans,
        "processes": {name: known[number, services[number]] for number, name in processes.items()},
        "warnings": None,
    }


def legacy_trace_id(trace_id: bytes) -> str:
    """In hex: 16 digits where the upper 64 bits are 0, else 32."""
    text = trace_id.hex()
    return text[16:] if text.startswith("0" * 16) else text


def tag(key: str, value: AttributeValue) -> Document:
    """A key-value pair with its type. Lists and maps are JSON text, as Jaeger has no types for them."""
    if isinstance(value, str):  # most are
        return {"key": key, "type": "string", "value": value}
    if isinstance(value, bool):
        return {"key": key, "type": "bool", "value": value}
    if isinstance(value, int):
        # JavaScript would round what is larger.
        return {"key": key, "type": "int64", "value": value if abs(value) <= _SAFE else str(value)}
    if isinstance(value, float):
        return {"key": key, "type": "float64", "value": value if math.isfinite(value) else _go_text(value)}
    if isinstance(value, bytes):
        return {"key": key, "type": "binary", "value": base64.b64encode(value).decode("ascii")}
    return {"key": key, "type": "string", "value": "" if value is None else _go_json(value)}


def _span(row: Row, trace: WholeTrace, process: str) -> Document:
    span: Document = {
        "traceID": legacy_trace_id(row["trace_id"]),
        "spanID": hex_span_id(row["span_id"]),
        "operationName": row["operation"],
        "references": _references(row),
        "startTime": row["start_ns"] // 1_000,
        "duration": row["duration_ns"] // 1_000,
        "tags": _tags(row, trace.scopes.get(row["scope_id"])),
        "logs": [_log(each) for each in sorted(row["events"], key=lambda event: event["time_ns"])],
        "processID": process,
        "warnings": None,
    }
    if row["flags"]:
        span["flags"] = row["flags"]
    return span


def _tags(row: Row, scope: Row | None) -> list[Document]:
    kind = row["kind"]
    status = _STATUSES.get(row["status"])
    own = [
        ("otel.scope.name", scope["name"] if scope else None),
        ("otel.scope.version", scope["version"] if scope else None),
    ]
    made = [
        ("span.kind", KINDS[kind] if 0 < kind < len(KINDS) else None),
        ("otel.status_code", status),
        ("error", status == "ERROR" or None),
        ("otel.status_description", row["status_message"]),
        ("w3c.tracestate", row["trace_state"]),
    ]
    return [
        *(tag(key, value) for key, value in own if value),
        *_sorted_tags(row["attributes"]),
        *(tag(key, value) for key, value in made if value),
    ]


def _sorted_tags(attributes: Mapping[str, AttributeValue]) -> list[Document]:
    return [tag(key, attributes[key]) for key in sorted(attributes)]


def _references(row: Row) -> list[Document]:
    """The parent first, then the links; a link to the parent says what kind of parent it is."""
    parent = row["parent_span_id"]
    references = [_reference("CHILD_OF", row["trace_id"], parent)] if parent else []
    for link in row["links"]:
        kind = "CHILD_OF" if link["attributes"].get(_REF_TYPE) == "child_of" else "FOLLOWS_FROM"
        if parent and (link["linked_trace_id"], link["linked_span_id"]) == (row["trace_id"], parent):
            references[0]["refType"] = kind
        else:
            references.append(_reference(kind, link["linked_trace_id"], link["linked_span_id"]))
    return references


def _reference(kind: str, trace_id: bytes, span_id: int) -> Document:
    return {"refType": kind, "traceID": legacy_trace_id(trace_id), "spanID": hex_span_id(span_id)}


def _log(event: Row) -> Document:
    attributes = event["attributes"]
    name = [tag("event", event["name"])] if event["name"] and "event" not in attributes else []
    return {"timestamp": event["time_ns"] // 1_000, "fields": [*name, *_sorted_tags(attributes)]}


def _process(service: str, resource: Row | None) -> Document:
    attributes = {} if resource is None else resource["attributes"]
    tags = {key: value for key, value in attributes.items() if key != _SERVICE}
    return {"serviceName": service, "tags": _sorted_tags(tags)}


def _go_json(value: AttributeValue) -> str:
    """A list or a map as Go's encoder writes it: keys sorted, no spaces, markup escaped."""
    plain = _plain(value)
    text = json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.translate(_ESCAPES)


def _plain(value: AttributeValue) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, float):
        if not math.isfinite(value):
            return _go_text(value)
        return int(value) if value.is_integer() and abs(value) < 1e21 else value
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value


def _go_text(value: float) -> str:
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
