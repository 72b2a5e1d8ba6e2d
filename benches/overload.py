"""Twice the load that it can take: bounded memory, honest refusals, nothing lost and nothing twice."""

from __future__ import annotations

import threading
from dataclasses import replace

from latency import at_rate
from load import Load, Running, warm
from servers import Server, Tracescape, running
from throughput import settle, verify


def overload(maximum: float, load: Load) -> list[str]:
    """Offer ``2 × maximum`` spans a second for as long as ``load`` says, and return what was wrong."""
    with running(Tracescape) as server:
        assert isinstance(server, Tracescape)
        before = warm(server.address, load.spans).spans
        offered = replace(at_rate(load, 2 * maximum), patience_s=120)
        under_way = Running(server.address, offered)
        watch = Watch(server)
        sent = under_way.finish()
        sizes = watch.finish()
        settle(server, before + sent.spans)
        problems = verify(server, sent, before)
    print(
        f"\noverload: {2 * maximum:,.0f} spans/s offered for {load.seconds:g} s by {load.clients} clients,"
        f" {load.spans:,} spans a request"
        f"\n  acknowledged {sent.spans:,} spans ({sent.spans / sent.seconds:,.0f}/s),"
        f" p50 {sent.latency_ms(0.5):,.0f} ms, p99 {sent.latency_ms(0.99):,.0f} ms;"
        f" refused {sent.refused:,} requests;"
        f" {sent.skipped:,} never sent because the clients' own queues were full"
        f"\n  server RSS MiB, each second: {' '.join(str(size >> 20) for size in sizes)}"
        f"\n  peak {max(sizes) >> 20:,} MiB; "
        + ("; ".join(problems) or "every acknowledged span is stored, none twice"),
        flush=True,
    )
    return problems


class Watch:
    """A server's memory, each second."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._sizes = [server.usage().rss]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def finish(self) -> list[int]:
        """Bytes resident, a number a second."""
        self._stop.set()
        self._thread.join()
        return self._sizes

    def _run(self) -> None:
        while not self._stop.wait(1.0):
            self._sizes.append(self._server.usage().rss)
