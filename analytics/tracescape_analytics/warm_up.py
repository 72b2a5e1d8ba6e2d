"""Compile the kernels before somebody waits for an answer."""

from __future__ import annotations

import pyarrow as pa

from tracescape_analytics.critical_path import critical_path_of
from tracescape_analytics.root_cause import diagnose_of
from tracescape_analytics.span_forest import plant
from tracescape_analytics.topology import topology_of
from tracescape_native.critical_path import critical_paths, path_segments
from tracescape_native.slack import leeway, what_if
from tracescape_storage.schema import SPANS


def warm_up() -> None:
    """Run every kernel once. Seconds after an installation, a moment once the machine code is cached."""
    rows = [_row(1, 0), _row(2, 1)]
    table = pa.Table.from_pylist(rows, schema=SPANS)
    topology_of(table)
    for by in ("operation", "edge", "path"):
        critical_path_of(table, by=by)
    diagnose_of(table, window=(1, 3), baseline=[(0, 1)])
    forest = plant(table).forest
    path_segments(forest, critical_paths(forest), 0)
    leeway(forest)
    what_if(forest, forest.kind, 2)


def _row(span_id: int, parent_span_id: int) -> dict[str, object]:
    numbers = dict.fromkeys(("kind", "status", "flags", "resource_id", "scope_id"), 0)
    dropped = dict.fromkeys(("dropped_attributes", "dropped_events", "dropped_links"), 0)
    ids = {"trace_id": bytes(16), "span_id": span_id, "parent_span_id": parent_span_id}
    texts = {"service": "warm-up", "operation": "warm-up", "attributes": "{}"}
    return {**numbers, **dropped, **ids, **texts, "start_ns": span_id, "duration_ns": 1}
