"""The standard health service, ``grpc.health.v1.Health``, for probes and load balancers. It needs no key."""

from __future__ import annotations

from typing import Any, Final

from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio

from tracescape_ingest.signals import SERVICES

_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_KNOWN: Final = frozenset({"", *(service.name for service in SERVICES.values())})


class Health(aio.HealthServicer):  # type: ignore[misc]  # the library is untyped
    """Health of the server as a whole (the empty name) and of each OTLP service."""

    def __init__(self) -> None:
        super().__init__()
        self._server_status.update(dict.fromkeys(_KNOWN, _SERVING))

    async def Watch(self, request: Any, context: Any) -> None:  # noqa: N802  # gRPC's name
        """See the protocol. Unknown services share one entry: a client may name any number of them."""
        if request.service not in _KNOWN:
            request = health_pb2.HealthCheckRequest(service="unknown")
        await super().Watch(request, context)

    def add_to(self, server: Any) -> None:
        """Serve it."""
        health_pb2_grpc.add_HealthServicer_to_server(self, server)
