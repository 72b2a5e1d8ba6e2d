"""Requests that cost next to nothing to make: encoded once, then only ids and times are written anew.

A template is an ``ExportTraceServiceRequest`` as an SDK encodes it. All that differs between two requests
has a fixed length on the wire (ids are 8 or 16 bytes, times are ``fixed64``), so a fresh request is a copy of
the template with 64-bit words written at known places. Ids come from a bijection over a counter: they look
random, no two of a run are alike, and whoever knows a request's number can say which ids it carried.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

Words = npt.NDArray[np.uint64]

SPANS_A_TRACE: Final = 8
EVENT_EVERY: Final = 10
TEMPLATES: Final = 4
_NUMBERS: Final = 1 << 40  # slots a client has
_SLOTS: Final = 1 << 14  # slots a request has: its spans, then two for each of its traces


@dataclass(frozen=True)
class Ids:
    """The ids of one request: ``spans`` as 64-bit words, ``traces`` as two words a trace."""

    spans: Words
    traces: Words


class Template:
    """A request of ``spans`` spans that `fresh` writes ids and times into."""

    def __init__(self, spans: int, number: int = 0) -> None:
        if not 0 < spans <= _SLOTS // 2:
            raise ValueError(f"a request of {spans} spans; 1 to {_SLOTS // 2} are possible")
        self.spans = spans
        self.traces = -(-spans // SPANS_A_TRACE)
        place = np.arange(spans)
        self._trace = place // SPANS_A_TRACE
        in_trace = place % SPANS_A_TRACE
        self._children = np.flatnonzero(in_trace)
        self._parents = (place - in_trace + in_trace // 2)[self._children]
        self._shift = in_trace.astype(np.uint64) * np.uint64(50_000)
        data, markers = _encoded(spans, number, self._children, self._parents)
        self.nbytes = len(data)
        places = [place for kind in markers for place in _places(data, kind)]
        self._at = np.array(places)[:, None] + np.arange(8)
        self._buffer = np.frombuffer(data, np.uint8).copy()

    def fresh(self, ids: Ids) -> bytes:
        """The request with these ids, its spans ending now."""
        now = np.uint64(time.time_ns())
        start = now - np.uint64(2_000_000) + self._shift
        words = np.concatenate(
            [
                ids.traces[0][self._trace],
                ids.traces[1][self._trace],
                ids.spans,
                ids.spans[self._parents],
                start,
                now - self._shift,
                start[::EVENT_EVERY] + np.uint64(1_000),
            ]
        )
        self._buffer[self._at] = words.view(np.uint8).reshape(-1, 8)
        return self._buffer.tobytes()


def ids_of(spans: int, seed: int, client: int, number: int) -> Ids:
    """The ids that request ``number`` of ``client`` carries in the run ``seed``."""
    traces = -(-spans // SPANS_A_TRACE)
    first = (client + 1) * _NUMBERS + number * _SLOTS
    words = _mixed(np.arange(first, first + spans + 2 * traces, dtype=np.uint64), seed)
    return Ids(words[:spans], words[spans:].reshape(2, traces))


def span_keys(spans: int, seed: int, client: int, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Every span id of these requests as a store holds it: the signed value of its bytes, big-endian."""
    if not len(numbers):
        return np.empty(0, np.int64)
    found = np.concatenate([ids_of(spans, seed, client, int(number)).spans for number in numbers])
    return found.byteswap().view(np.int64)


def self_check() -> None:
    """Raise unless fresh requests parse into what was meant, and no id comes twice."""
    seen: set[bytes] = set()
    expected = 0
    for spans in (1, 8, 512):
        for number, template in enumerate(templates(spans)):
            ids = ids_of(spans, 7, spans, number)
            data = template.fresh(ids)
            message = ExportTraceServiceRequest.FromString(data)
            assert message.SerializeToString() == data, "a fresh request is not what an SDK would encode"
            found = message.resource_spans[0].scope_spans[0].spans
            assert [span.span_id for span in found] == [word.tobytes() for word in ids.spans]
            by_id = {span.span_id: span for span in found}
            for span in found:
                assert len(span.trace_id) == 16
                assert len(span.attributes) >= 8
                assert 0 <= time.time_ns() - span.end_time_unix_nano < 10**10
                assert span.start_time_unix_nano < span.end_time_unix_nano
                assert not span.parent_span_id or by_id[span.parent_span_id].trace_id == span.trace_id
            assert {span.trace_id for span in found} == {
                ids.traces[0, k].tobytes() + ids.traces[1, k].tobytes() for k in range(template.traces)
            }
            seen |= {span.span_id for span in found} | {span.trace_id for span in found}
            expected += spans + template.traces
    assert len(seen) == expected, "an id came twice"


def templates(spans: int) -> list[Template]:
    """One for each of a few services."""
    return [Template(spans, number) for number in range(TEMPLATES)]


def _mixed(counter: Words, seed: int) -> Words:
    """splitmix64: a bijection of 64-bit words."""
    word = counter * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    word ^= word >> np.uint64(30)
    word *= np.uint64(0xBF58476D1CE4E5B9)
    word ^= word >> np.uint64(27)
    word *= np.uint64(0x94D049BB133111EB)
    word ^= word >> np.uint64(31)
    return word


def _encoded(
    spans: int, number: int, children: npt.NDArray[np.int64], parents: npt.NDArray[np.int64]
) -> tuple[bytes, list[list[bytes]]]:
    """The template's bytes, and the markers in them, by kind, that stand where `Template.fresh` writes."""
    trace_hi, trace_lo, span_ids = ([os.urandom(8) for _ in range(spans)] for _ in range(3))
    starts, ends, events = ([os.urandom(8) for _ in range(spans)] for _ in range(3))
    parent_ids = {int(child): os.urandom(8) for child in children}
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add()
    for key, value in {
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": "1.36.0",
        "service.name": ("frontend", "checkout", "cart", "payment")[number % 4],
        "service.version": "1.4.2",
        "service.instance.id": f"pod-{number}",
        "host.name": f"node-{number % 2}",
    }.items():
        group.resource.attributes.add(key=key).value.string_value = value
    scope = group.scope_spans.add()
    scope.scope.name = "opentelemetry.instrumentation.requests"
    scope.scope.version = "0.57b0"
    for index in range(spans):
        operation = index * 7 % 25
        span = scope.spans.add(
            trace_id=trace_hi[index] + trace_lo[index],
            span_id=span_ids[index],
            parent_span_id=parent_ids.get(index, b""),
            name=f"GET /api/v1/items/{operation}",
            kind=2 + index % 2,
            start_time_unix_nano=int.from_bytes(starts[index], "little"),
            end_time_unix_nano=int.from_bytes(ends[index], "little"),
            flags=0x100,
        )
        for key, value in {
            "http.request.method": "GET",
            "http.route": f"/api/v1/items/{operation}",
            "url.scheme": "http",
            "server.address": f"shop-{operation % 5}",
            "user.id": str(index * 31 % 997),
            "app.region": f"eu-{operation % 3}",
        }.items():
            span.attributes.add(key=key).value.string_value = value
        span.attributes.add(key="http.response.status_code").value.int_value = 200 if index % 50 else 500
        span.attributes.add(key="app.items").value.int_value = index % 90
        span.attributes.add(key="app.cached").value.bool_value = index % 3 == 0
        if index % EVENT_EVERY == 0:
            event = span.events.add(name="retry", time_unix_nano=int.from_bytes(events[index], "little"))
            event.attributes.add(key="attempt").value.int_value = 2
        if index % 50 == 0:
            span.status.code = 2
    return message.SerializeToString(), [
        trace_hi,
        trace_lo,
        span_ids,
        list(parent_ids.values()),
        starts,
        ends,
        events[::EVENT_EVERY],
    ]


def _places(data: bytes, markers: list[bytes]) -> Iterator[int]:
    """Where each marker stands; they come in this order."""
    place = 0
    for marker in markers:
        place = data.index(marker, place)
        yield place
