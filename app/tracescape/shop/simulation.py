"""Requests on a virtual clock: real SDK spans whose times are computed instead of slept.

A `Branch` is one line of execution in one service. Its clock moves when it works and when what it calls
returns; spans are started and ended with the clock's times. So a request of two seconds is recorded in a
millisecond, minutes of history in seconds, and the same seed gives the same shop.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.util.types import AttributeValue

from tracescape.shop.trouble import ROW_SHARE, Trouble

MS: Final = 1_000_000
_NETWORK_MS: Final = 0.4
#: gRPC's code for an HTTP status: OK, INTERNAL, UNAVAILABLE, DEADLINE_EXCEEDED.
_GRPC_CODES: Final = {200: 0, 500: 13, 502: 14, 503: 14, 504: 4}

Attributes = Mapping[str, AttributeValue]
Step = Callable[["Branch"], None]


class CallError(Exception):
    """A simulated failure that travels to the caller; ``kind`` becomes ``error.type``."""

    def __init__(self, kind: str, message: str, status: int = 500) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status


class _GaveUpError(CallError):
    """The caller has waited long enough."""


@dataclass(frozen=True)
class Instance:
    """A process of a service: the tracer that knows its resource, and where it runs."""

    service: str
    tracer: Tracer
    host: str
    newest: bool = False


@dataclass(frozen=True)
class Service:
    """A service as others know it: its name, its port, and the instances that answer, each as often.

    ``upgraded`` are those that answer instead while half of them have a new version.
    """

    name: str
    port: int
    instances: tuple[Instance, ...]
    upgraded: tuple[Instance, ...]

    def instance(self, trouble: Trouble) -> Instance:
        """Whoever answers a request."""
        answering = self.upgraded if trouble.upgraded(self.name) else self.instances
        return answering[0] if len(answering) == 1 else trouble.chance.choice(answering)


class Branch:
    """One line of execution in ``instance``. ``now`` is its clock in epoch nanoseconds."""

    def __init__(
        self,
        instance: Instance,
        now: int,
        chance: random.Random,
        trouble: Trouble,
        context: Context | None = None,
    ) -> None:
        self.instance = instance
        self.now = now
        self.chance = chance
        self.trouble = trouble
        self._context = context if context is not None else Context()

    def work(self, median_ms: float, spread: float = 0.3) -> None:
        """Let lognormal time pass around ``median_ms`` of own work, longer where that is slow."""
        self.wait(median_ms * self.trouble.slowness(self.instance.service, self.instance.host), spread)

    def wait(self, median_ms: float, spread: float = 0.3) -> None:
        """Let lognormal time pass around ``median_ms``, whatever the instance is busy with."""
        self.now += round(median_ms * MS * self.chance.lognormvariate(0.0, spread))

    def parallel(self, *steps: Step) -> None:
        """Run the steps side by side, each on a branch of its own; go on when the last has ended.

        The first failure is raised, after all have ended.
        """
        failure: CallError | None = None
        end = self.now
        for step in steps:
            branch = Branch(self.instance, self.now, self.chance, self.trouble, self._context)
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
        span = self.instance.tracer.start_span(
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
        name, server = f"{method} {route}", _http_server(method, route, attributes)
        self._call(target, name, call, server, handler, timeout_ms)

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
        self._call(target, rpc, call, call, handler, timeout_ms)

    def cached(
        self, namespace: str, host: str, summary: str, median_ms: float, usually_missed: float
    ) -> bool:
        """Ask a cache in Redis; whether it had the answer."""
        self.query("redis", namespace, host, summary, median_ms)
        missed = self.chance.random() < usually_missed
        return not (missed or self.trouble.misses(host))

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
        operation, _, what = summary.partition(" ")
        with self.span(summary, SpanKind.CLIENT, attributes):
            self.wait(self.trouble.dependency_ms(host, operation, median_ms), spread)
        for _ in range(self.trouble.rows_alone(self.instance.service)):
            row = f"{operation} {what} row"
            with self.span(row, SpanKind.CLIENT, {**attributes, "db.query.summary": row}):
                self.now += round(
                    median_ms * ROW_SHARE * MS * self.trouble.chance.lognormvariate(0.0, spread)
                )

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
            self.wait(self.trouble.dependency_ms(host, method, median_ms), 0.4)
            span.set_attribute("http.response.status_code", failure.status if failure else 200)
            if failure is not None:
                raise failure

    def publish(self, topic: str, median_ms: float = 1.5) -> tuple[Span, int]:
        """Send a message to a Kafka topic. Returns the PRODUCER span and when the message was there."""
        with self.span(f"send {topic}", SpanKind.PRODUCER, _messaging(topic, "send")) as span:
            self.wait(median_ms)
        return span, self.now

    def _call(
        self,
        target: Service,
        name: str,
        attributes: Attributes,
        server: Attributes,
        handler: Step,
        timeout_ms: float | None,
    ) -> None:
        # A CLIENT span an attempt, and no pause between them.
        attempts = self.trouble.attempts(self.instance.service, target.name)
        for attempt in range(attempts):
            with (
                self._attempted(attempt + 1 < attempts),
                self.span(name, SpanKind.CLIENT, attributes) as client,
            ):
                if attempt and "http.request.method" in attributes:
                    client.set_attribute("http.request.resend_count", attempt)
                try:
                    with answered(client, attributes):
                        self._remote(target, name, server, handler, timeout_ms)
                except _GaveUpError as error:
                    raise CallError(error.kind, str(error), error.status) from None
                return

    @staticmethod
    def _attempted(again: bool) -> AbstractContextManager[None]:
        return suppress(CallError) if again else nullcontext()

    def _remote(
        self, target: Service, name: str, attributes: Attributes, handler: Step, timeout_ms: float | None
    ) -> None:
        started = self.now
        self._travel(self.instance.service, target.name)
        remote = Branch(target.instance(self.trouble), self.now, self.chance, self.trouble, self._context)
        failure: CallError | None = None
        try:
            with (
                remote.span(name, SpanKind.SERVER, attributes) as server,
                answered(server, attributes),
            ):
                remote.handle(handler)
        except CallError as error:
            failure = error
        self.now = remote.now
        self._travel(self.instance.service, target.name)
        if timeout_ms is not None and self.now > started + timeout_ms * MS:
            # The caller gives up; the server goes on to its end, which nobody waits for.
            self.now = started + round(timeout_ms * MS)
            raise _GaveUpError("timeout", f"{target.name} did not answer within {timeout_ms:g} ms", 504)
        if failure is not None:
            raise failure

    def handle(self, handler: Step) -> None:
        """Do what a request asks for, unless the instance cannot."""
        service = self.instance.service
        if self.trouble.breaks(service, newest=self.instance.newest):
            self.work(0.5)
            raise CallError("TypeError", f"{service}: 'NoneType' object is not subscriptable", 500)
        handler(self)
        if self.trouble.refuses(service):
            raise CallError("overloaded", f"{service} has no worker to spare", 503)

    def _travel(self, caller: str, callee: str) -> None:
        self.wait(_NETWORK_MS)
        self.now += round(self.trouble.delay_ms(caller, callee) * MS)


@contextmanager
def answered(span: Span, attributes: Attributes) -> Iterator[None]:
    """Note the status of the answer on a span of HTTP or gRPC. Over HTTP, who gives up sees none."""
    status: int | None = 200
    try:
        yield
    except CallError as error:
        status = error.status
        if isinstance(error, _GaveUpError) and "http.request.method" in attributes:
            status = None
        raise
    finally:
        if status is not None and "http.request.method" in attributes:
            span.set_attribute("http.response.status_code", status)
        elif status is not None:
            span.set_attribute("rpc.grpc.status_code", _GRPC_CODES[status])


def consume(
    service: Service,
    topic: str,
    now: int,
    chance: random.Random,
    trouble: Trouble,
    handler: Step,
    *,
    parent: Span | None = None,
    links: Sequence[Link] = (),
) -> None:
    """Process messages: a CONSUMER span below ``parent``, or a trace of its own with links to producers."""
    context = set_span_in_context(parent, Context()) if parent is not None else Context()
    branch = Branch(service.instance(trouble), now, chance, trouble, context)
    attributes = {**_messaging(topic, "process"), "messaging.batch.message_count": max(len(links), 1)}
    with suppress(CallError), branch.span(f"process {topic}", SpanKind.CONSUMER, attributes, links):
        branch.handle(handler)  # nobody waits for it: its failure is its own


def _http_server(method: str, route: str, attributes: Attributes | None) -> dict[str, AttributeValue]:
    return {"http.request.method": method, "http.route": route, "url.path": route, **(attributes or {})}


def _messaging(topic: str, operation: str) -> dict[str, AttributeValue]:
    return {
        "messaging.system": "kafka",
        "messaging.destination.name": topic,
        "messaging.operation.type": operation,
    }
