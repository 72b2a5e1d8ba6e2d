"""The OTLP request messages, with every string field read as bytes.

The generated classes refuse a whole message for one byte of bad UTF-8 in it. A receiver must refuse only the
span, record or point that carries it, so this module builds the same messages from the same descriptors with
``string`` replaced by ``bytes``: identical on the wire, but validation is ours.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

__all__ = [
    "DecodeError",
    "ExportLogsServiceRequest",
    "ExportMetricsServiceRequest",
    "ExportTraceServiceRequest",
    "InstrumentationScope",
    "Resource",
]

#: In order of import.
_FILES: Final = (
    common_pb2,
    resource_pb2,
    trace_pb2,
    trace_service_pb2,
    logs_pb2,
    logs_service_pb2,
    metrics_pb2,
    metrics_service_pb2,
)
_STRING: Final = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
_BYTES: Final = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES


def _strings_as_bytes(message: descriptor_pb2.DescriptorProto) -> None:
    for field in message.field:
        if field.type == _STRING:
            field.type = _BYTES
    for nested in message.nested_type:
        _strings_as_bytes(nested)


def _byte_pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for module in _FILES:
        file = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        for message in file.message_type:
            _strings_as_bytes(message)
        pool.Add(file)
    return pool


_POOL: Final = _byte_pool()


def _message(name: str) -> Any:
    """A message class: ``.FromString(data)`` raises `DecodeError`."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"opentelemetry.proto.{name}"))


ExportTraceServiceRequest: Final[Any] = _message("collector.trace.v1.ExportTraceServiceRequest")
ExportLogsServiceRequest: Final[Any] = _message("collector.logs.v1.ExportLogsServiceRequest")
ExportMetricsServiceRequest: Final[Any] = _message("collector.metrics.v1.ExportMetricsServiceRequest")
Resource: Final[Any] = _message("resource.v1.Resource")
InstrumentationScope: Final[Any] = _message("common.v1.InstrumentationScope")
