"""Millions of made-up spans as ingest hands them over: 40 services, ten spans a trace, in time order.

Eight of the nine attributes repeat themselves; ``user.id`` has 100,000 values, so one of them is in one of
100,000 spans. Ten hours, whatever the number of spans.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa

from tracescape_storage.schema import SPANS, TABLES

BEGIN_NS: Final = 1_790_000_000_000_000_000
HOURS: Final = 10
USERS: Final = 100_000
SERVICES: Final = [f"service-{number:02}" for number in range(40)]
OPERATIONS: Final = [f"GET /api/v1/things/{number}" for number in range(1000)]
SPANS_A_TRACE: Final = 10
_GROUP: Final = 122_880

Generator = np.random.Generator


def batches(spans: int) -> Iterator[dict[str, pa.Table]]:
    """Tables of a row group each, the last perhaps smaller; the same at every call."""
    generator = np.random.default_rng(7)
    step = HOURS * 3_600_000_000_000 // spans
    for first in range(0, spans, _GROUP):
        count = min(_GROUP, spans - first)
        begin = BEGIN_NS + first * step
        yield {"spans": _spans(generator, count, begin, step), "resources": _resources()}


def _spans(generator: Generator, count: int, begin: int, step: int) -> pa.Table:
    place = np.arange(count)
    service = generator.integers(0, 40, count)
    operation = service * 25 + generator.integers(0, 25, count)
    # Spans of a trace are apart, as they are when they come from many services.
    trace = (place // SPANS_A_TRACE + generator.integers(0, 60, count)) % -(-count // SPANS_A_TRACE)
    failed = generator.random(count) < 0.02
    own = {
        "http.request.method": _coded(["GET", "POST", "PUT"], generator.integers(0, 3, count)),
        "http.route": _coded([f"/api/v1/items/{number}" for number in range(1000)], operation),
        "url.scheme": _coded(["http"], place * 0),
        "server.address": _coded(
            [f"shop-{number}" for number in range(40)], generator.integers(0, 40, count)
        ),
        "user.id": _coded([str(number) for number in range(USERS)], generator.integers(0, USERS, count)),
        "app.region": _coded([f"eu-{number}" for number in range(3)], generator.integers(0, 3, count)),
        "http.response.status_code": pa.array(np.where(failed, 500, 200)),
        "app.items": pa.array(generator.integers(0, 90, count)),
        "app.cached": pa.array(generator.random(count) < 0.3),
    }
    columns: dict[str, pa.Array] = {
        "trace_id": _trace_ids(generator, trace),
        "span_id": pa.array(_ids(generator, count)),
        "parent_span_id": pa.array(np.where(place % SPANS_A_TRACE, _ids(generator, count), 0)),
        "start_ns": pa.array(begin + place * step + generator.integers(0, 2_000_000, count)),
        "duration_ns": pa.array(generator.lognormal(14, 1.5, count).astype(np.int64)),
        "service": _coded(SERVICES, service),
        "operation": _coded(OPERATIONS, operation),
        "kind": pa.array(generator.integers(1, 4, count).astype(np.int8)),
        "status": pa.array((failed * 2).astype(np.int8)),
        "resource_id": pa.array(service + 1),
        "scope_id": pa.array(place * 0 + 1),
        "attributes": pa.array(["{}"] * count),
    }
    for field in SPANS:
        if field.name not in columns and not field.nullable:
            columns[field.name] = pa.array(np.zeros(count, np.int64)).cast(field.type)
    return pa.table({**columns, **own})


def _resources() -> pa.Table:
    rows = [
        {"resource_id": number + 1, "service": name, "attributes": "{}", "dropped_attributes": 0}
        for number, name in enumerate(SERVICES)
    ]
    return pa.Table.from_pylist(rows, schema=TABLES["resources"])


def _coded(names: list[str], codes: np.ndarray) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(names))


def _ids(generator: Generator, count: int) -> np.ndarray:
    return generator.integers(-(2**63), 2**63 - 1, count)


def _trace_ids(generator: Generator, trace: np.ndarray) -> pa.Array:
    ids = generator.integers(0, 256, (int(trace.max()) + 1, 16), dtype=np.uint8)
    offsets = np.arange(0, 16 * len(trace) + 1, 16, dtype=np.int32)
    data = np.ascontiguousarray(ids[trace]).reshape(-1)
    return pa.Array.from_buffers(pa.binary(), len(trace), [None, pa.py_buffer(offsets), pa.py_buffer(data)])
