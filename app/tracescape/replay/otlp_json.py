"""OTLP JSON as the specification has it, to protobuf messages.

protobuf's own JSON reader differs in what matters: it takes ids for base64. Here ids are hex of any case,
enums are integers, 64-bit integers are strings or numbers, unknown fields (snake_case names are unknown) are
ignored. Text that protobuf cannot hold, such as a lone surrogate, is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tracescape.replay.errors import ReplayError

#: Field: how many bytes its hex stands for.
_IDS: Final = {"traceId": 16, "spanId": 8, "parentSpanId": 8}
_ENUMS: Final = frozenset({"kind", "code"})
#: JSON of a trace never nests deeper for a reason; Python's own recursion limit is far above.
_MAX_DEPTH: Final = 100


def request_of(document: object, where: str) -> ExportTraceServiceRequest:
    """The message of a parsed JSON document (an export request or a TracesData).

    Raises `ReplayError`, beginning with ``where``, when the document is no such thing.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("resourceSpans"), list):
        raise ReplayError(f'{where}: this is no OTLP JSON; it needs a list "resourceSpans"')
    try:
        plain = _known({"resourceSpans": document["resourceSpans"]}, _FIELDS, 0)
        return json_format.ParseDict(plain, ExportTraceServiceRequest(), ignore_unknown_fields=True)
    except (json_format.ParseError, ValueError, TypeError, AttributeError) as error:
        raise ReplayError(f"{where}: {' '.join(str(error).split())[:300]}") from error


def _known(value: Any, descriptor: Any, depth: int) -> Any:
    """``value`` with ids as base64 and without fields that the message does not have by that very name."""
    import base64

    if depth > _MAX_DEPTH:
        raise ValueError("values nest too deep")
    if not isinstance(value, Mapping):
        raise ValueError(f"an object was expected, not {str(value)[:40]!r}")
    fields = {field.json_name: field for field in descriptor.fields}
    kept: dict[str, Any] = {}
    for name, item in value.items():
        field = fields.get(name)
        if field is None or item is None:
            continue
        if name in _IDS and field.type == field.TYPE_BYTES:
            kept[name] = base64.b64encode(_id(name, item)).decode("ascii")
        elif name in _ENUMS and field.type == field.TYPE_ENUM:
            kept[name] = _enum(name, item)
        elif field.type == field.TYPE_MESSAGE:
            kept[name] = _messages(item, field, depth)
        else:
            kept[name] = item
    return kept


def _messages(item: Any, field: Any, depth: int) -> Any:
    if isinstance(item, list):
        return [_known(each, field.message_type, depth + 1) for each in item]
    return _known(item, field.message_type, depth + 1)


def _id(name: str, text: Any) -> bytes:
    try:
        data = bytes.fromhex(text)
    except (TypeError, ValueError):
        raise ValueError(f"{name} {str(text)[:40]!r} is not hexadecimal") from None
    if len(data) not in {0, _IDS[name]}:
        raise ValueError(f"{name} {text[:40]!r} has {len(data)} bytes, not {_IDS[name]}")
    return data


def _enum(name: str, item: Any) -> int:
    if isinstance(item, bool) or not isinstance(item, int):
        raise ValueError(f"{name} {str(item)[:40]!r} is no integer; OTLP JSON writes enums as integers")
    return item


_FIELDS: Final = ExportTraceServiceRequest.DESCRIPTOR
