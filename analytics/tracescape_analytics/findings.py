"""What stands out in a window: the work that requests came to wait for, and the slowest request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from tracescape_analytics.calls import matched
from tracescape_analytics.critical_path import counted_traces
from tracescape_analytics.nodes import NodeTable, number_far_ends
from tracescape_analytics.span_forest import CALL_COLUMNS, IntArray, SpanForest, plant
from tracescape_analytics.trace import Root, Trace, load_trace
from tracescape_analytics.windows import Window, baseline_of, checked
from tracescape_analytics.words import counted, readable_duration
from tracescape_native.critical_path import critical_paths
from tracescape_storage.reader import Reader

_KEYS: Final = ["service", "operation", "target"]


@dataclass(frozen=True)
class Growth:
    """Exclusive critical time of one operation, before and after: mean ns a trace, over all traces.

    ``target`` is the database, queue or external system that the operation waits for, ``None`` for work of
    the service's own.
    """

    service: str
    operation: str
    target: str | None
    before_ns: float
    after_ns: float

    def __str__(self) -> str:
        """One sentence."""
        where = f"{self.service} → {self.target}" if self.target else self.service
        before, after = (readable_duration(round(mean)) for mean in (self.before_ns, self.after_ns))
        return f"Requests wait for {where} ({self.operation}) {after} on average, up from {before}."


@dataclass(frozen=True)
class SlowestTrace:
    """The trace with the longest main root in the window, and its critical path (see ``Trace``)."""

    trace_id: str
    root: Root
    critical_path: pl.DataFrame

    def __str__(self) -> str:
        """One sentence."""
        top = (
            self.critical_path.group_by("service", "operation")
            .agg(pl.col("duration_ns").sum())
            .sort("duration_ns", "service", "operation", descending=[True, False, False])
        )
        mostly = f", mostly in {top['service'][0]} {top['operation'][0]}" if len(top) else ""
        return (
            f"The slowest trace is {self.trace_id}: {self.root.service} {self.root.operation} took "
            f"{readable_duration(self.root.duration_ns)}{mostly}."
        )


@dataclass(frozen=True)
class Findings:
    """``growth`` is ``None`` if nothing grew enough, or there is nothing to compare with; ``slowest`` is
    ``None`` if no trace starts in the window. ``traces`` counts those that do.
    """

    growth: Growth | None
    slowest: SlowestTrace | None
    traces: int

    def __str__(self) -> str:
        """A sentence a finding."""
        told = [str(finding) for finding in (self.growth, self.slowest) if finding is not None]
        return "\n".join(told) or f"Nothing stands out in {counted(self.traces, 'trace')}."


def findings(
    reader: Reader,
    *,
    since_ns: int | None = None,
    until_ns: int | None = None,
    baseline: tuple[int, int] | None = None,
) -> Findings:
    """Compare critical time between a window and a baseline (as in ``topology``), and find the slowest trace.

    Growth is the operation whose exclusive critical time a trace grew most in absolute terms, if it grew by
    half at least and by 5 % of the mean duration of the window's main roots. Traces count by the start of
    their main root. Raises ``ValueError`` for a window that ends before it begins.
    """
    window = checked(since_ns, until_ns)
    before = baseline_of(reader, window, baseline)
    trees = plant(window.read(reader, CALL_COLUMNS))
    counted_now = counted_traces(trees, window)
    growth = None
    if before is not None:
        growth = _growth(trees, window, plant(before.read(reader, CALL_COLUMNS)), before)
    slowest = _slowest(reader, trees, np.flatnonzero(counted_now))
    return Findings(growth, slowest, int(counted_now.sum()))


def growth_of(spans: pa.Table, *, window: tuple[int, int], baseline: tuple[int, int]) -> Growth | None:
    """The growth between two windows of one table, which has ``schema.ANALYSIS_COLUMNS`` at least."""
    trees = plant(spans)
    return _growth(trees, checked(*window), trees, checked(*baseline))


def _growth(trees: SpanForest, window: Window, earlier: SpanForest, baseline: Window) -> Growth | None:
    after, traces, mean_root = _waits(trees, window)
    before, earlier_traces, _ = _waits(earlier, baseline)
    if not traces or not earlier_traces:
        return None
    grown = (
        after.join(before.rename({"mean_ns": "before_ns"}), on=_KEYS, how="left", nulls_equal=True)
        .with_columns(pl.col("before_ns").fill_null(0.0))
        .with_columns(growth=pl.col("mean_ns") - pl.col("before_ns"))
        .filter(pl.col("mean_ns") >= 1.5 * pl.col("before_ns"), pl.col("growth") >= 0.05 * mean_root)
        .filter(pl.col("growth") > 0)
        .sort("growth", *_KEYS, descending=[True, False, False, False])
    )
    if grown.is_empty():
        return None
    row = grown.row(0, named=True)
    return Growth(row["service"], row["operation"], row["target"], row["before_ns"], row["mean_ns"])


def _waits(trees: SpanForest, window: Window) -> tuple[pl.DataFrame, int, float]:
    # Mean critical ns a trace by service, operation and far end; how many traces; their mean length.
    forest = trees.forest
    traces = counted_traces(trees, window)
    critical = critical_paths(forest).critical_ns
    on_path = (critical > 0) & traces[forest.trace] & (forest.root == forest.main_root[forest.trace])
    target = np.full(len(forest.rows), -1, np.int64)
    nodes = NodeTable(trees.services)
    client = np.flatnonzero((matched(trees).unanswered == 1) & on_path)
    target[client] = number_far_ends(trees, client, nodes)
    count = int(traces.sum())
    frame = pl.DataFrame(
        {
            "service": trees.service[on_path],
            "operation": trees.operation[on_path],
            "target": target[on_path],
            "critical_ns": critical[on_path],
        }
    )
    sums = frame.group_by(_KEYS).agg(mean_ns=pl.col("critical_ns").sum() / max(count, 1))
    far_ends = {-1: None, **dict(nodes.frame().select("node", "name").iter_rows())}
    named = sums.with_columns(
        pl.Series("service", [trees.services[code] for code in sums["service"]], dtype=pl.String),
        pl.Series("operation", [trees.operations[code] for code in sums["operation"]], dtype=pl.String),
        pl.Series("target", [far_ends[code] for code in sums["target"]], dtype=pl.String),
    )
    roots = forest.main_root[traces]
    return named, count, float(trees.duration[roots].mean()) if count else 0.0


def _slowest(reader: Reader, trees: SpanForest, traces: IntArray) -> SlowestTrace | None:
    if not len(traces):
        return None
    roots = trees.forest.main_root[traces]
    slowest = roots[int(np.argmax(trees.duration[roots]))]
    trace_id: bytes = trees.table["trace_id"][int(trees.forest.rows[slowest])].as_py()
    trace: Trace = load_trace(reader, trace_id)
    return SlowestTrace(trace.trace_id, trace.root, trace.critical_path())
