"""OTLP/gRPC: bytes in, an acknowledgement out once they are on disk.

The handlers work on raw bytes, so that what cannot be decoded gets an answer of ours (``INVALID_ARGUMENT``)
rather than a traceback. Refusals that a client should retry are ``UNAVAILABLE`` with a
``google.rpc.RetryInfo``, both in ``grpc-status-details-bin`` and, since the Python exporter reads only that,
as the trailer ``google.rpc.retryinfo-bin``.

``Export`` is registered as a call that streams its request: the same on the wire, but the handler runs before
the message is there. So keys are checked first, slow messages are bounded, and a client that does not finish
its message holds no thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from tracescape_ingest import event_loop
from tracescape_ingest.address import PortInUseError, listen
from tracescape_ingest.bounds import SlowLane, Turns
from tracescape_ingest.health import Health
from tracescape_ingest.intake import OverloadError, Signal
from tracescape_ingest.reception import Reception
from tracescape_ingest.refusal import RETRY_AFTER_S, Refusal, too_large
from tracescape_ingest.signals import SERVICES, answer_of
from tracescape_ingest.tls import Tls

#: The service of traces; the others are in `signals.SERVICES`.
SERVICE: Final = SERVICES[Signal.TRACES].name
#: What all messages that are slow to arrive may come to; it sets how many of the largest there may be.
_MAX_SLOW_BYTES: Final = 512 << 20
#: Who has an answer may send the next request at once; nothing for so long, and nothing is on its way.
_QUIET_S: Final = 0.1
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_OPTIONS: Final = (
    ("grpc.so_reuseport", 0),  # otherwise a second collector silently shares the port
    ("grpc.max_concurrent_streams", 32),  # a connection; what waits beyond that waits at its client
    # Otherwise gRPC resets calls, without a word about retrying, whenever more than that are not cleared
    # away yet: with busy clients, always. `Turns` bounds what they may take.
    ("grpc.http.overload_protection", 0),
    # Guessing what the network carries, gRPC would give each call a window of megabytes, read or not. So one
    # that waits for its turn takes 64 KiB, and one that is read what its message needs; in large frames.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.max_frame_size", 1 << 20),
    ("grpc.max_metadata_size", 16 << 10),
    # A connection that does not get as far as HTTP/2 is dropped, and so is one whose client has gone.
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Clients may ping every ten seconds; gRPC's own five minutes are less than many are set to.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.max_connection_idle_ms", 30 * 60_000),  # clients connect again by themselves
)


class GrpcReceiver:
    """A gRPC server at ``address`` for all signals, and the health service.

    Args:
        address: ``host:port``; port 0 takes a free one (see `port`).
        reception: what both receivers share.
        tls: certificates; without them connections are plain.

    Raises:
        PortInUseError: the address is taken, or is not this machine's.
    """

    def __init__(self, address: str, reception: Reception, *, tls: Tls | None = None) -> None:
        self._reception = reception
        self._health = Health()
        self._draining = False
        self._calls = 0
        self._answered = 0.0  # when the last one ended
        self._turns = Turns()
        self._arriving = SlowLane(max(4, min(256, _MAX_SLOW_BYTES // max(1, reception.max_message_bytes))))
        # gRPC says only that binding failed, and takes a port beyond 65535 modulo 65536; a socket tells more.
        listen(address).close()
        self._server, self.port = event_loop.run(self._start(address, tls))

    def stop(self, grace_s: float = 10.0) -> None:
        """Refuse new calls, finish those in flight within ``grace_s`` seconds, and end. Idempotent."""
        event_loop.run(self._drain(grace_s))

    async def _start(self, address: str, tls: Tls | None) -> tuple[Any, int]:
        limit = ("grpc.max_receive_message_length", self._reception.max_message_bytes)
        server = grpc.aio.server(options=[limit, *_OPTIONS])
        for signal, service in SERVICES.items():
            handler = grpc.stream_unary_rpc_method_handler(self._exporting(signal))
            server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(service.name, {"Export": handler}),)
            )
        self._health.add_to(server)
        try:
            if tls is None:
                port = server.add_insecure_port(address)
            else:
                port = server.add_secure_port(address, tls.grpc_credentials())
        except RuntimeError as error:
            raise PortInUseError(f"cannot listen at {address}: the address is in use") from error
        await server.start()
        return server, port

    async def _drain(self, grace_s: float) -> None:
        self._draining = True
        await self._health.enter_graceful_shutdown()
        # The server itself would cut off new calls, and those that nobody has taken up yet, without a word
        # about retrying; so it goes on until the calls in flight are answered and no more come.
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                while self._calls or time.monotonic() - self._answered < _QUIET_S:
                    await asyncio.sleep(0.01)
        await self._server.stop(0.2 if not self._calls else 0)

    def _exporting(self, signal: Signal) -> Callable[[Any, Any], Awaitable[bytes]]:
        async def export(_messages: Any, context: Any) -> bytes:
            self._calls += 1
            try:
                return await self._export(signal, context)
            except Exception as error:
                with suppress(grpc.aio.InternalError):  # the client is gone and cannot be told
                    await _refuse(context, self._reception.refusal(error))
                return b""  # nobody gets it: the call has ended with the refusal
            finally:
                self._calls -= 1
                self._answered = time.monotonic()

        return export

    async def _export(self, signal: Signal, context: Any) -> bytes:
        if self._draining:
            raise OverloadError("the collector is shutting down")
        reception = self._reception
        intake = reception.access.intake_of(dict(context.invocation_metadata()))
        with reception.holding(signal, intake) as hold:
            async with self._turns.turn(intake) as arrived:
                data = await self._arriving.arrival(context.read)
                if not isinstance(data, bytes):  # the end of the stream: gRPC gives no message over the limit
                    raise too_large(reception.max_message_bytes)
                arrived(len(data))
                hold.add(len(data))
                outcome = await reception.outcome(signal, lambda _: intake.submit(signal, data), hold)
        answer: bytes = answer_of(signal, outcome).SerializeToString()
        return answer


async def _refuse(context: Any, refusal: Refusal) -> None:
    code = _CODES[refusal.code]
    if not refusal.retry:
        await context.abort(code, refusal.message)
    retry = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=RETRY_AFTER_S))
    detail = any_pb2.Any()
    detail.Pack(retry)
    status = status_pb2.Status(code=code_pb2.UNAVAILABLE, message=refusal.message, details=[detail])
    trailers = (
        ("grpc-status-details-bin", status.SerializeToString()),
        ("google.rpc.retryinfo-bin", retry.SerializeToString()),
    )
    await context.abort(code, refusal.message, trailers)
