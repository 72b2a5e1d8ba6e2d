"""A gRPC server that answers and does nothing else: ``python discard.py HOST:PORT``."""

from __future__ import annotations

import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc

SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"


def main(address: str) -> None:
    """Serve until a signal."""
    server = grpc.server(ThreadPoolExecutor(32), options=[("grpc.so_reuseport", 0)])
    handler = grpc.unary_unary_rpc_method_handler(lambda request, context: b"")
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Export": handler}),))
    server.add_insecure_port(address)
    server.start()
    signal.sigwait([signal.SIGTERM, signal.SIGINT])
    server.stop(1).wait()


if __name__ == "__main__":
    main(sys.argv[1])
