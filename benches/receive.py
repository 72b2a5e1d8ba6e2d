"""OTLP/gRPC on loopback: ours until the commit to disk, beside a receiver that parses and throws away."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from measure import in_turn, report
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from payload import requests

from tracescape.collector import Collector
from tracescape_ingest.decode import decode_traces
from tracescape_ingest.grpc_server import SERVICE

REQUESTS, SPANS, CLIENTS = 40, 512, 8


class _Discard(trace_service_pb2_grpc.TraceServiceServicer):
    def Export(self, request: object, context: object) -> object:  # noqa: N802 - gRPC's name
        return trace_service_pb2.ExportTraceServiceResponse()


def main() -> None:
    """Print both rates."""
    discarding = grpc.server(ThreadPoolExecutor(32))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(_Discard(), discarding)
    port = discarding.add_insecure_port("127.0.0.1:0")
    discarding.start()
    sent = 0
    payloads = requests(REQUESTS, SPANS)
    with (
        tempfile.TemporaryDirectory() as folder,
        Collector(Path(folder) / "bench.db", grpc="127.0.0.1:0", http="127.0.0.1:0") as collector,
    ):

        def ours() -> None:
            nonlocal sent
            sent += send(collector.grpc_endpoint.removeprefix("http://"), payloads)

        timings = in_turn(
            {
                "Tracescape, durable in DuckDB": ours,
                "grpcio + opentelemetry-proto, thrown away": lambda: send(f"127.0.0.1:{port}", payloads),
            }
        )
        stored = collector.reader().extent().spans
    discarding.stop(0)
    assert stored == sent, f"{sent} spans were acknowledged, {stored} are stored"
    report("receive over gRPC, client included", "spans", REQUESTS * SPANS, timings)
    payload = payloads[0]
    timings = in_turn(
        {
            "reference decode into Arrow columns": lambda: decode_traces(payload),
            "FromString alone (no columns)": lambda: trace_service_pb2.ExportTraceServiceRequest.FromString(
                payload
            ),
        }
    )
    report("decode", "spans", SPANS, timings)


def send(address: str, payloads: list[bytes]) -> int:
    """``payloads`` over `CLIENTS` channels; returns how many spans were acknowledged."""
    channels = [grpc.insecure_channel(address, options=[("c", n)]) for n in range(CLIENTS)]
    calls = [
        channels[index % CLIENTS].unary_unary(f"/{SERVICE}/Export").future(payload)
        for index, payload in enumerate(payloads)
    ]
    for call in calls:
        call.result(120)
    for channel in channels:
        channel.close()
    return len(payloads) * SPANS


if __name__ == "__main__":
    main()
