"""How soon: the acknowledgement at a tenth of the maximum, an answer to a question at half of it."""

from __future__ import annotations

import threading
import time
from typing import Final

import grpc
import numpy as np
from load import EXPORT, Load, Running, send, warm
from servers import Server, Tracescape, running
from template import Template, ids_of
from throughput import settle, verify

import tracescape as ts

_POLL_S: Final = 0.01
_PAUSE_S: Final = 0.1
_GIVE_UP_S: Final = 30.0


def capacity(load: Load) -> float:
    """The spans a second that ours takes: a short closed loop."""
    with running(Tracescape) as server:
        warm(server.address, load.spans)
        sent = send(server.address, load)
        settled = settle(server, sent.spans)
        assert settled is not None
        return sent.spans / (max(settled.at, sent.began + sent.seconds) - sent.began)


def latencies(maximum: float, load: Load) -> list[str]:
    """Print both for ``load`` (its clients and spans a request), and return what was wrong."""
    with running(Tracescape) as server:
        assert isinstance(server, Tracescape)
        before = warm(server.address, load.spans).spans
        print(f"\nlatency, {load.spans:,} spans a request, of at most {maximum:,.0f} spans/s")
        tenth = send(server.address, at_rate(load, 0.10 * maximum))
        print(
            f"  at 10 % ({tenth.spans / tenth.seconds:,.0f} spans/s offered), from when a request is due"
            f" to its acknowledgement: p50 {tenth.latency_ms(0.5):.1f} ms,"
            f" p99 {tenth.latency_ms(0.99):.1f} ms ({len(tenth.latencies_s):,} requests)",
            flush=True,
        )
        problems = verify(server, tenth, before)
        before += tenth.spans
        under_way = Running(server.address, at_rate(load, 0.50 * maximum))
        prober = Prober(server)
        half = under_way.finish()
        freshness = prober.finish()
        print(
            f"  at 50 % ({half.spans / half.seconds:,.0f} spans/s), from an acknowledgement to being found"
            f" by a question: p50 {np.quantile(freshness, 0.5) * 1e3:.0f} ms,"
            f" p95 {np.quantile(freshness, 0.95) * 1e3:.0f} ms, worst {max(freshness) * 1e3:.0f} ms"
            f" ({len(freshness)} probes); acknowledged in p50 {half.latency_ms(0.5):.1f} ms,"
            f" p99 {half.latency_ms(0.99):.1f} ms",
            flush=True,
        )
        settle(server, before + half.spans + prober.acknowledged)
        problems += verify(server, half, before + prober.acknowledged)
    if half.skipped or tenth.skipped:
        problems.append(f"{half.skipped + tenth.skipped} requests could not be sent when they were due")
    return problems


def at_rate(load: Load, spans_per_s: float) -> Load:
    """``load`` as an open loop of so many spans a second."""
    return Load(spans=load.spans, clients=load.clients, seconds=load.seconds, rate=spans_per_s / load.spans)


class Prober:
    """Sends a span now and then and asks for its trace until it is found. Ends with `finish`."""

    def __init__(self, server: Tracescape) -> None:
        self._server: Server = server
        self._http = server.http
        self._found: list[float] = []
        self._stop = threading.Event()
        self.acknowledged = 0
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def finish(self) -> list[float]:
        """Seconds from each acknowledgement to the first answer that held the span."""
        self._stop.set()
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._found

    def _run(self) -> None:
        try:
            self._probe()
        except BaseException as error:
            self._error = error

    def _probe(self) -> None:
        template, seed = Template(1), time.time_ns() >> 8
        with grpc.insecure_channel(self._server.address) as channel, ts.connect(self._http) as store:
            export = channel.unary_unary(EXPORT)
            while not self._stop.is_set() or not self._found:
                ids = ids_of(1, seed, 0, self.acknowledged)
                export(template.fresh(ids), timeout=60)
                begin = time.monotonic()
                self.acknowledged += 1
                trace = ids.traces.T.tobytes()
                while not store.reader.spans(["span_id"], trace_ids=[trace]).num_rows:
                    if time.monotonic() - begin > _GIVE_UP_S:
                        raise RuntimeError(f"an acknowledged span is not found after {_GIVE_UP_S:g} s")
                    time.sleep(_POLL_S)
                self._found.append(time.monotonic() - begin)
                self._stop.wait(_PAUSE_S)
