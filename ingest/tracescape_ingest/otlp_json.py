"""OTLP JSON as the specification has it, to protobuf messages.

protobuf's own JSON reader differs in what matters: it takes ids for base64. Here ids are hex of any case,
enums are integers, 64-bit integers are strings or numbers, unknown fields (snake_case names are unknown) are
ignored. Text that protobuf cannot hold, such as a lone surrogate, is an error.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final, Literal, overload

from google.protobuf import json_format
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_IDS: Final = frozenset({"traceId", "spanId", "parentSpanId"})
_INT32: Final = range(-(2**31), 2**31)
#: By the one field that a request has, which names its signal.
_REQUESTS: Final[dict[str, type[Message]]] = {
    "resourceSpans": ExportTraceServiceRequest,
    "resourceLogs": ExportLogsServiceRequest,
    "resourceMetrics": ExportMetricsServiceRequest,
}
#: Telemetry never nests deeper for a reason; Python's own recursion limit is far above.
_MAX_DEPTH: Final = 100


class OtlpJsonError(ValueError):
    """The document is no OTLP JSON; the message says where it departs."""


@overload
def request_of(
    document: object, signal_key: Literal["resourceSpans"] = "resourceSpans"
) -> ExportTraceServiceRequest: ...
@overload
def request_of(document: object, signal_key: Literal["resourceLogs"]) -> ExportLogsServiceRequest: ...
@overload
def request_of(document: object, signal_key: Literal["resourceMetrics"]) -> ExportMetricsServiceRequest: ...
@overload
def request_of(document: object, signal_key: str) -> Message: ...
def request_of(document: object, signal_key: str = "resourceSpans") -> Message:
    """The message of a parsed JSON document: an export request, or a TracesData, LogsData or MetricsData.

    An id that is hexadecimal but of the wrong length is passed on: the decoder rejects its item alone.

    Args:
        document: what ``json.loads`` made.
        signal_key: resourceSpans, resourceLogs or resourceMetrics.

    Raises:
        OtlpJsonError: the document is no such thing.
    """
    request = _REQUESTS[signal_key]()
    if not isinstance(document, Mapping) or not isinstance(document.get(signal_key, []), list):
        raise OtlpJsonError(f'this is no OTLP JSON; it needs a list "{signal_key}"')
    try:
        plain = _known({signal_key: document.get(signal_key, [])}, request.DESCRIPTOR, 0)
        return json_format.ParseDict(plain, request, ignore_unknown_fields=True)
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
        elif field.type == field.TYPE_ENUM:
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
    # Out of range, protobuf would take it for unknown and drop it.
    if isinstance(item, bool) or not isinstance(item, int) or item not in _INT32:
        raise ValueError(
            f"{name} {str(item)[:40]!r} is no 32-bit integer; OTLP JSON writes enums as integers"
        )
    return item
