"""OTLP JSON as the specification has it, to protobuf messages.

protobuf's own JSON reader differs in what matters: it takes ids for base64. Here ids are hex of any case,
enums are integers, 64-bit integers are strings or numbers, unknown fields (snake_case names are unknown) are
ignored. Text that protobuf cannot hold, such as a lone surrogate, is an error.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_IDS: Final = frozenset({"traceId", "spanId", "parentSpanId"})
_ENUMS: Final = frozenset({"kind", "code"})
#: JSON of a trace never nests deeper for a reason; Python's own recursion limit is far above.
_MAX_DEPTH: Final = 100


class OtlpJsonError(ValueError):
    """The document is no OTLP JSON; the message says where it departs."""


def request_of(document: object) -> ExportTraceServiceRequest:
    """The message of a parsed JSON document (an export request or a TracesData).

    An id that is hexadecimal but of the wrong length is passed on: the decoder rejects that span alone.

    Raises:
        OtlpJsonError: the document is no such thing.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("resourceSpans", []), list):
        raise OtlpJsonError('this is no OTLP JSON; it needs a list "resourceSpans"')
    try:
        plain = _known({"resourceSpans": document.get("resourceSpans", [])}, _FIELDS, 0)
        return json_format.ParseDict(plain, ExportTraceServiceRequest(), ignore_unknown_fields=True)
    except (json_format.ParseError, ValueError, TypeError, AttributeError) as error:
        raise OtlpJsonError(" ".join(str(error).split())[:300]) from error


def _known(value: Any, descriptor: Any, depth: int) -> Any:
    """``value`` with ids as base64 and without fields that the message does not have by that very name."""
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
        return bytes.fromhex(text)
    except (TypeError, ValueError):
        raise ValueError(f"{name} {str(text)[:40]!r} is not hexadecimal") from None


def _enum(name: str, item: Any) -> int:
    if isinstance(item, bool) or not isinstance(item, int):
        raise ValueError(f"{name} {str(item)[:40]!r} is no integer; OTLP JSON writes enums as integers")
    return item


_FIELDS: Final = ExportTraceServiceRequest.DESCRIPTOR
