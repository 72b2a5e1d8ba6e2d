"""Requests on a virtual clock: real SDK spans whose times are computed instead of slept.

A `Branch` is one line of execution in one service. Its clock moves when it works and when what it calls
returns; spans are started and ended with the clock's times. So a request of two seconds is recorded in a
millisecond, minutes of history in seconds, and the same seed gives the same shop.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.util.types import AttributeValue

MS: Final = 1_000_000
_NETWORK_MS: Final = 0.4

Attributes = Mapping[str, AttributeValue]
Step = Callable[["Branch"], None]


class CallError(Exception):
    """A simulated failure that travels to the caller; ``kind`` becomes ``error.type``."""

    def __init__(self, kind: str, message: str, status: int = 500) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status


@dataclass(frozen=True)
class Service:
    """A service as others know it: its name, its tracer and the port that it listens at."""

    name: str
    tracer: Tracer
    port: int = 8080


class Branch:
    """One line of execution in ``service``. ``now`` is its clock in epoch nanoseconds."""

    def __init__(
        self, service: Service, now: int, chance: random.Random, context: Context | None = None
    ) -> None:
        self.service = service
        self.now = now
        self.chance = chance
        self._context = context if context is not None else Context()

    def work(self, median_ms: float, spread: float = 0.3) -> None:
        """Let lognormal time pass around ``median_ms``."""
        self.now += round(median_ms * MS * self.chance.lognormvariate(0.0, spread))

    def parallel(self, *steps: Step) -> None:
        """Run the steps side by side, each on a branch of its own; go on when the last has ended.

        The first failure is raised, after all have ended.
        """
        failure: CallError | None = None
        end = self.now
        for step in steps:
            branch = Branch(self.service, self.now, self.chance, self._context)
            try:
                step(branch)
            except CallError as error:
                failure = failure or error
            end = max(end, branch.now)
        self.now = end
        if failure is not None:
            raise failure

    @contextmanager
    def span(
        self,
        name: str,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes | None = None,
        links: Sequence[Link] = (),
    ) -> Iterator[Span]:
        """A span from now until the clock at the end of the block; a `CallError` marks it and goes on."""
        span = self.service.tracer.start_span(
            name, self._context, kind=kind, attributes=attributes, links=links, start_time=self.now
        )
        outside, self._context = self._context, set_span_in_context(span, self._context)
        try:
            yield span
        except CallError as error:
            span.set_attribute("error.type", error.kind)
            span.record_exception(error, timestamp=self.now)
            span.set_status(Status(StatusCode.ERROR, str(error)))
            raise
        finally:
            self._context = outside
            span.end(end_time=self.now)

    def http(
        self,
        target: Service,
        method: str,
        route: str,
        handler: Step,
        *,
        timeout_ms: float | None = None,
        attributes: Attributes | None = None,
    ) -> None:
        """Call ``target`` over HTTP: a CLIENT span here, a SERVER span there."""
        call: dict[str, AttributeValue] = {
            "http.request.method": method,
            "server.address": target.name,
            "server.port": target.port,
            "url.full": f"http://{target.name}:{target.port}{route}",
        }
        with self.span(f"{method} {route}", SpanKind.CLIENT, call) as client:
            try:
                self._remote(
                    target, f"{method} {route}", _http_server(method, route, attributes), handler, timeout_ms
                )
            except CallError as error:
                client.set_attribute("http.response.status_code", error.status)
                raise
            client.set_attribute("http.response.status_code", 200)

    def grpc(self, target: Service, rpc: str, handler: Step, *, timeout_ms: float | None = None) -> None:
        """Call ``target`` over gRPC; ``rpc`` is ``package.Service/Method``."""
        service, _, method = rpc.partition("/")
        call: dict[str, AttributeValue] = {
            "rpc.system": "grpc",
            "rpc.service": service,
            "rpc.method": method,
            "server.address": target.name,
            "server.port": target.port,
        }
        with self.span(rpc, SpanKind.CLIENT, call):
            self._remote(target, rpc, call, handler, timeout_ms)

    def query(
        self, system: str, namespace: str, host: str, summary: str, median_ms: float, spread: float = 0.3
    ) -> None:
        """Ask a database, which sends no spans of its own."""
        attributes: dict[str, AttributeValue] = {
            "db.system.name": system,
            "db.namespace": namespace,
            "db.operation.name": summary.split()[0],
            "db.query.summary": summary,
            "server.address": host,
        }
        with self.span(summary, SpanKind.CLIENT, attributes):
            self.work(median_ms, spread)

    def external(
        self, host: str, method: str, path: str, median_ms: float, failure: CallError | None = None
    ) -> None:
        """Call somebody else's service over HTTPS; nothing of it is traced."""
        attributes: dict[str, AttributeValue] = {
            "http.request.method": method,
            "server.address": host,
            "server.port": 443,
            "url.full": f"https://{host}{path}",
        }
        with self.span(f"{method} {path}", SpanKind.CLIENT, attributes) as span:
            self.work(median_ms, 0.4)
            span.set_attribute("http.response.status_code", failure.status if failure else 200)
            if failure is not None:
                raise failure

    def publish(self, topic: str, median_ms: float = 1.5) -> tuple[Span, int]:
        """Send a message to a Kafka topic. Returns the PRODUCER span and when the message was there."""
        with self.span(f"send {topic}", SpanKind.PRODUCER, _messaging(topic, "send")) as span:
            self.work(median_ms)
        return span, self.now

    def _remote(
        self, target: Service, name: str, attributes: Attributes, handler: Step, timeout_ms: float | None
    ) -> None:
        started = self.now
        self.work(_NETWORK_MS)
        remote = Branch(target, self.now, self.chance, self._context)
        failure: CallError | None = None
        try:
            with remote.span(name, SpanKind.SERVER, attributes) as server:
                handler(remote)
                if "http.request.method" in attributes:
                    server.set_attribute("http.response.status_code", 200)
        except CallError as error:
            failure = error
        self.now = remote.now
        self.work(_NETWORK_MS)
        if timeout_ms is not None and self.now > started + timeout_ms * MS:
            # The caller gives up; the server goes on to its end, which nobody waits for.
            self.now = started + round(timeout_ms * MS)
            raise CallError("timeout", f"{target.name} did not answer within {timeout_ms:g} ms", 504)
        if failure is not None:
            raise failure


def consume(
    service: Service,
    topic: str,
    now: int,
    chance: random.Random,
    handler: Step,
    *,
    parent: Span | None = None,
    links: Sequence[Link] = (),
) -> None:
    """Process messages: a CONSUMER span below ``parent``, or a trace of its own with links to producers."""
    context = set_span_in_context(parent, Context()) if parent is not None else Context()
    branch = Branch(service, now, chance, context)
    attributes = {**_messaging(topic, "process"), "messaging.batch.message_count": max(len(links), 1)}
    with branch.span(f"process {topic}", SpanKind.CONSUMER, attributes, links):
        handler(branch)


def _http_server(method: str, route: str, attributes: Attributes | None) -> dict[str, AttributeValue]:
    return {"http.request.method": method, "http.route": route, "url.path": route, **(attributes or {})}


def _messaging(topic: str, operation: str) -> dict[str, AttributeValue]:
    return {
        "messaging.system": "kafka",
        "messaging.destination.name": topic,
        "messaging.operation.type": operation,
    }
