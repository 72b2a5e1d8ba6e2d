"""A load of OTLP/gRPC requests from processes of their own, and what became of it.

Closed loop: every channel keeps so many requests in flight. Open loop (``rate``): requests leave at their
time, however late the answers are, and latency counts from that time. ``UNAVAILABLE`` is honoured as an
exporter does: the very same bytes again, after the delay that the answer asks for.
"""

from __future__ import annotations

import heapq
import itertools
import multiprocessing
import os
import queue
import time
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from typing import Final

import grpc
import numpy as np
import numpy.typing as npt
from google.rpc import error_details_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from template import Template, ids_of, span_keys, templates

EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
#: CANCELLED is what a call gets that arrives while gRPC's server ends; OTLP counts it among those to retry.
_RETRY: Final = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.CANCELLED,
)
_DELAY_S: Final = 1.0  # where a refusal does not say
_MAX_OPEN_BYTES: Final = (
    256 << 20
)  # that a process holds in an open loop; what is due then is skipped, as SDKs do


@dataclass(frozen=True)
class Load:
    """What to send.

    ``clients`` channels share ``processes`` processes. ``requests`` ends the load before ``seconds`` do.
    ``patience_s`` is how long answers are waited for after the end; what has none is `Sent.unanswered`.
    """

    spans: int = 512
    clients: int = 4
    in_flight: int = 2
    seconds: float = 10.0
    requests: int | None = None
    rate: float | None = None
    seed: int = field(default_factory=lambda: int.from_bytes(os.urandom(4)))
    first_client: int = 0
    processes: int = 2
    patience_s: float = 60.0

    @property
    def workers(self) -> int:
        """How many processes there will be."""
        return max(1, min(self.clients, self.processes))


@dataclass(frozen=True)
class Sent:
    """What became of a load: request numbers by client process, latencies and costs."""

    load: Load
    acknowledged: list[npt.NDArray[np.int64]]
    latencies_s: npt.NDArray[np.float64]
    refused: int
    skipped: int
    failed: dict[str, int]
    unanswered: list[npt.NDArray[np.int64]]
    seconds: float
    cpu_s: float
    began: float

    @property
    def spans(self) -> int:
        """Acknowledged spans."""
        return sum(map(len, self.acknowledged)) * self.load.spans

    def latency_ms(self, quantile: float) -> float:
        """From sending (open loop: from when it was due) to the acknowledgement."""
        return float(np.quantile(self.latencies_s, quantile)) * 1e3 if len(self.latencies_s) else float("nan")

    def keys(self) -> npt.NDArray[np.int64]:
        """The span ids of everything acknowledged, as a store holds them."""
        return np.concatenate(
            [
                span_keys(self.load.spans, self.load.seed, self.load.first_client + worker, numbers)
                for worker, numbers in enumerate(self.acknowledged)
            ]
        )


class Running:
    """A load under way: `finish` waits for it."""

    def __init__(self, address: str, load: Load) -> None:
        self.load = load
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes = []
        for worker in range(load.workers):
            mine, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, address, load, worker), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(mine)
            self._processes.append(process)
        for pipe in self._pipes:
            pipe.recv()  # connected, templates encoded
        self.began = time.monotonic() + 0.05
        for pipe in self._pipes:
            pipe.send(self.began)

    def finish(self) -> Sent:
        """What became of it, once every client has ended."""
        results: list[_Result] = [pipe.recv() for pipe in self._pipes]
        for process in self._processes:
            process.join()
        failed: dict[str, int] = {}
        for result in results:
            for reason, times in result.failed.items():
                failed[reason] = failed.get(reason, 0) + times
        return Sent(
            load=self.load,
            acknowledged=[np.array(result.acknowledged, np.int64) for result in results],
            latencies_s=np.concatenate([np.array(result.latencies_s) for result in results]),
            refused=sum(result.refused for result in results),
            skipped=sum(result.skipped for result in results),
            failed=failed,
            unanswered=[np.array(result.unanswered, np.int64) for result in results],
            seconds=max(result.last for result in results) - self.began,
            cpu_s=sum(result.cpu_s for result in results),
            began=self.began,
        )


def send(address: str, load: Load) -> Sent:
    """Send ``load`` to ``address`` and wait for what becomes of it."""
    return Running(address, load).finish()


def warm(address: str, spans: int = 64) -> Sent:
    """A few requests, so that nobody is measured while starting."""
    return send(address, Load(spans=spans, clients=1, in_flight=1, seconds=10, requests=4))


@dataclass
class _Result:
    acknowledged: list[int] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)
    refused: int = 0
    skipped: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    unanswered: list[int] = field(default_factory=list)
    last: float = 0.0
    cpu_s: float = 0.0


@dataclass(order=True)
class _Request:
    due: float
    number: int
    channel: int = field(compare=False)
    data: bytes = field(compare=False)
    began: float = field(compare=False)  # for the latency: when it was first sent, or when it was due


def _work(pipe: Connection, address: str, load: Load, worker: int) -> None:
    """A client process."""
    clients = [client for client in range(load.clients) if client % load.workers == worker]
    sender = _Sender(address, replace(load, clients=len(clients)), load, worker)
    pipe.send("ready")
    begin = pipe.recv()
    time.sleep(max(0.0, begin - time.monotonic()))
    cpu = time.process_time()
    result = sender.run(begin)
    result.cpu_s = time.process_time() - cpu
    pipe.send(result)


class _Sender:
    """The channels of one process: one thread sends, gRPC's own hands it the answers."""

    def __init__(self, address: str, mine: Load, load: Load, worker: int) -> None:
        self._mine, self._load, self._worker = mine, load, worker
        options = [
            ("grpc.use_local_subchannel_pool", 1),  # a connection a channel
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 500),
        ]
        channels = [grpc.insecure_channel(address, options=options) for _ in range(mine.clients)]
        for channel in channels:
            grpc.channel_ready_future(channel).result(60)
        self._channels = channels
        self._calls = [channel.unary_unary(EXPORT) for channel in channels]
        self._templates: list[Template] = templates(load.spans)
        self._answers: queue.SimpleQueue[tuple[_Request, float, grpc.Future]] = queue.SimpleQueue()
        self._again: list[_Request] = []
        self._numbers = itertools.count()
        self._open: set[int] = set()  # sent, and neither acknowledged nor refused for good
        self._result = _Result()
        share = None if load.requests is None else -(-load.requests // load.workers)
        self._limit = float("inf") if share is None else share

    def run(self, begin: float) -> _Result:
        """Send until the end, wait for the answers, and say what became of it all."""
        end = begin + self._load.seconds
        if self._load.rate is None:
            self._closed_loop(end)
        else:
            self._open_loop(begin, end, self._load.rate / self._load.workers)
        self._drain(time.monotonic() + self._load.patience_s)
        for channel in self._channels:
            channel.close()
        return self._result

    def _closed_loop(self, end: float) -> None:
        for _ in range(self._mine.in_flight):
            for channel in range(len(self._calls)):
                self._send_new(channel)
        while self._open and (now := time.monotonic()) < end:
            if self._again and self._again[0].due <= now:
                self._send(heapq.heappop(self._again))
                continue
            until = min(end, self._again[0].due) if self._again else end
            if (request := self._answer(until - now)) is not None:
                self._send_new(request.channel)

    def _open_loop(self, begin: float, end: float, rate: float) -> None:
        channels = itertools.cycle(range(len(self._calls)))
        room = _MAX_OPEN_BYTES // self._templates[0].nbytes
        due = begin + self._worker / rate / self._load.workers  # the processes take turns
        while (now := time.monotonic()) < end:
            if now >= due:
                if len(self._open) < room:
                    self._send_new(next(channels), due)
                else:
                    self._result.skipped += 1
                    self._answer(0)
                due += 1 / rate
            elif self._again and self._again[0].due <= now:
                self._send(heapq.heappop(self._again))
            else:
                self._answer(min(end, due, *(again.due for again in self._again[:1])) - now)

    def _drain(self, until: float) -> None:
        """Wait for the answers that are due; what was refused is sent again."""
        while self._open and (now := time.monotonic()) < until:
            if self._again and self._again[0].due <= now:
                self._send(heapq.heappop(self._again))
            else:
                self._answer((min(until, self._again[0].due) if self._again else until) - now)
        self._result.unanswered += sorted(self._open)

    def _send_new(self, channel: int, due: float | None = None) -> None:
        number = next(self._numbers)
        if number >= self._limit:
            return
        self._open.add(number)
        load = self._load
        ids = ids_of(load.spans, load.seed, load.first_client + self._worker, number)
        data = self._templates[number % len(self._templates)].fresh(ids)
        now = time.monotonic()
        self._send(_Request(now, number, channel, data, now if due is None else due))

    def _send(self, request: _Request) -> None:
        call = self._calls[request.channel].future(request.data, timeout=60)
        call.add_done_callback(lambda done: self._answers.put((request, time.monotonic(), done)))

    def _answer(self, timeout: float) -> _Request | None:
        """Take one answer within ``timeout`` seconds; the request if it is done with, whatever its fate."""
        try:
            request, at, call = self._answers.get(timeout=max(0.0, timeout))
        except queue.Empty:
            return None
        result, code = self._result, call.code()
        if code is grpc.StatusCode.OK:
            rejected = ExportTraceServiceResponse.FromString(call.result()).partial_success.rejected_spans
            if rejected:
                result.failed["rejected spans"] = result.failed.get("rejected spans", 0) + rejected
            self._open.discard(request.number)
            result.acknowledged.append(request.number)
            result.latencies_s.append(at - request.began)
            result.last = max(result.last, at)
            return request
        if code in _RETRY:
            result.refused += 1
            request.due = at + _delay_s(call)
            heapq.heappush(self._again, request)
            return None
        self._open.discard(request.number)
        reason = f"{code.name}: {call.details()}"
        result.failed[reason] = result.failed.get(reason, 0) + 1
        return request


def _delay_s(call: grpc.Call) -> float:
    for key, value in call.trailing_metadata() or ():
        if key == "google.rpc.retryinfo-bin":
            delay = error_details_pb2.RetryInfo.FromString(value).retry_delay
            return float(delay.seconds + delay.nanos / 1e9)
    return _DELAY_S
