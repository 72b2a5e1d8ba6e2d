"""OTLP/gRPC: bytes in, an acknowledgement out once the spans are on disk.

The handler works on raw bytes, so that what cannot be decoded gets an answer of ours (``INVALID_ARGUMENT``)
rather than a thread's traceback. Refusals that a client should retry are ``UNAVAILABLE`` with a
``google.rpc.RetryInfo``, both in ``grpc-status-details-bin`` and, since the Python exporter reads only that,
as the trailer ``google.rpc.retryinfo-bin``.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NoReturn

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from tracescape_ingest.address import PortInUseError, listen
from tracescape_ingest.decode import UndecodableError
from tracescape_ingest.group_commit import OverloadError
from tracescape_ingest.intake import Intake, Outcome, Signal
from tracescape_storage.errors import StoreError, StoreFullError

_log = logging.getLogger(__name__)

SERVICE: Final = "opentelemetry.proto.collector.trace.v1.TraceService"
DEFAULT_MAX_MESSAGE_BYTES: Final = 64 << 20
RETRY_AFTER_S: Final = 1
_SAY_EVERY_S: Final = 30.0
_WORKERS: Final = 32
_SUCCESS: Final = trace_service_pb2.ExportTraceServiceResponse().SerializeToString()


class TraceReceiver:
    """A gRPC server at ``address`` that stores through ``intake``.

    Args:
        address: ``host:port``; port 0 takes a free one (see `port`).
        intake: where requests are decoded and become durable.
        max_message_bytes: a larger message is refused by gRPC itself with ``RESOURCE_EXHAUSTED``.

    Raises:
        PortInUseError: the address is taken, or is not this machine's.
    """

    def __init__(
        self,
        address: str,
        intake: Intake,
        *,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
    ) -> None:
        self._intake = intake
        self._said_at = -_SAY_EVERY_S
        self._server = grpc.server(
            ThreadPoolExecutor(_WORKERS, thread_name_prefix="tracescape-grpc"),
            options=[
                ("grpc.max_receive_message_length", max_message_bytes),
                ("grpc.so_reuseport", 0),  # otherwise a second collector silently shares the port
            ],
        )
        handler = grpc.unary_unary_rpc_method_handler(self._export)
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, {"Export": handler}),)
        )
        # gRPC says only that binding failed, and takes a port beyond 65535 modulo 65536; a socket tells more.
        listen(address).close()
        try:
            self.port: int = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise PortInUseError(f"cannot listen at {address}: the address is in use") from error
        self._server.start()

    def stop(self, grace_s: float = 10.0) -> None:
        """Take no new calls, finish those in flight within ``grace_s`` seconds, and end."""
        self._server.stop(grace_s).wait()

    def _export(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            outcome = self._intake.submit(Signal.TRACES, request).result()
        except UndecodableError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except OverloadError as error:
            _refuse(context, f"{error}; send it again in a moment")
        except StoreFullError as error:
            self._say_seldom(str(error))
            _refuse(context, str(error))
        except StoreError as error:
            self._say_seldom(str(error))
            _refuse(context, f"nothing was stored: {error}")
        return _answer(outcome)

    def _say_seldom(self, message: str) -> None:
        """Log a failure, unless one was logged just now: every retry of every client meets the same one."""
        now = time.monotonic()
        if now - self._said_at >= _SAY_EVERY_S:
            self._said_at = now
            _log.error("%s", message)


def _answer(outcome: Outcome) -> bytes:
    if not outcome.rejected:
        return _SUCCESS  # OTLP wants partial_success unset, not zeroed
    # The Python exporter drops this answer unread, so it is said here as well.
    _log.warning(
        "rejected %d of %d spans: %s", outcome.rejected, outcome.accepted + outcome.rejected, outcome.message
    )
    response = trace_service_pb2.ExportTraceServiceResponse()
    response.partial_success.rejected_spans = outcome.rejected
    response.partial_success.error_message = outcome.message
    data: bytes = response.SerializeToString()
    return data


def _refuse(context: grpc.ServicerContext, message: str) -> NoReturn:
    retry = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=RETRY_AFTER_S))
    detail = any_pb2.Any()
    detail.Pack(retry)
    status = status_pb2.Status(code=code_pb2.UNAVAILABLE, message=message, details=[detail])
    context.set_trailing_metadata(
        (
            ("grpc-status-details-bin", status.SerializeToString()),
            ("google.rpc.retryinfo-bin", retry.SerializeToString()),
        )
    )
    context.abort(grpc.StatusCode.UNAVAILABLE, message)
    raise AssertionError("abort always raises")
