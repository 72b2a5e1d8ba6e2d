"""Which chart fits a frame: its columns say what it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import polars as pl

from tracescape_render.charts.bars import bars
from tracescape_render.charts.chart import Chart
from tracescape_render.charts.flame import flame
from tracescape_render.charts.heat_map import heat_map
from tracescape_render.charts.two_paths import two_paths
from tracescape_render.charts.waterfall import waterfall

_CHARTS: Final[tuple[tuple[frozenset[str], Callable[..., Chart]], ...]] = (
    (
        frozenset(
            {"span_id", "service", "operation", "status", "depth", "offset_ns", "duration_ns", "self_ns"}
            | {"critical_ns", "critical"}
        ),
        waterfall,
    ),
    (
        frozenset(
            {"frame", "parent", "depth", "service", "operation", "critical_ns", "total_ns", "traces"}
            | {"exemplar"}
        ),
        flame,
    ),
    (frozenset({"start_ns", "end_ns", "low_ns", "high_ns", "spans", "errors", "exemplar"}), heat_map),
    (frozenset({"service", "critical_ns", "traces", "spans", "mean_ns_per_trace", "exemplar"}), bars),
    (
        frozenset({"source", "target", "critical_ns", "traces", "spans", "mean_ns_per_trace", "exemplar"}),
        bars,
    ),
    (frozenset({"rank", "step", "service", "operation", "target", "typical_ns", "bad_ns"}), two_paths),
)


def chart_of(frame: pl.DataFrame, *, title: str | None = None) -> Chart:
    """The chart of an answer as docs/columns.md has it; rows may have been filtered out, columns added.

    Raises:
        ValueError: no chart is made of these columns, or the frame holds several groups.
    """
    there = set(frame.columns)
    for columns, draw in _CHARTS:
        if columns <= there:
            return draw(frame) if title is None else draw(frame, title=title)
    raise ValueError(
        "no chart is made of these columns; a chart needs all columns of trace.waterfall(), of"
        " store.critical_path(), of store.latency() or of store.diagnose().paths"
    )
