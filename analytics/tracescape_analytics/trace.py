"""One trace: its spans as a tree, its critical path, its waterfall."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from tracescape_analytics.errors import UnknownTraceError, near
from tracescape_analytics.otlp_json import traces_text
from tracescape_analytics.span_forest import IntArray, SpanForest, plant
from tracescape_analytics.trace_details import SpanDetail, TraceDetails
from tracescape_analytics.whole_trace import whole_trace
from tracescape_analytics.words import counted, readable_duration
from tracescape_native.critical_path import critical_paths, path_segments
from tracescape_native.forest import Forest
from tracescape_storage.filters import KINDS, STATUSES
from tracescape_storage.one_trace import trace_spans
from tracescape_storage.reader import Reader

_AS_STORED: Final = ("status_message", "resource_id", "scope_id", "attributes")
_SHOWN_ROWS: Final = 24
_BAR_WIDTH: Final = 32


@dataclass(frozen=True)
class Root:
    """The main root of a trace. Times in epoch nanoseconds and nanoseconds."""

    span_id: str
    service: str
    operation: str
    start_ns: int
    duration_ns: int


@dataclass(frozen=True)
class Trace:
    """A stored trace. ``trace_id`` is hex text.

    ``spans`` has a row a span, in depth-first order, siblings by start: ``trace_id, span_id,
    parent_span_id`` (hex text; ``''`` for none), ``service, operation, kind, status`` (text), ``start_ns,
    end_ns, duration_ns, self_ns, critical_ns, depth`` (Int64), ``status_message`` (text), ``resource_id,
    scope_id`` (Int64), ``attributes`` (all of them, JSON text by the rules of
    `tracescape_storage.attributes`). ``critical_ns`` is the span's own time on the critical path of its root,
    with the default tolerance. Copies of a span are left out.

    What hangs on the spans is read from the store when it is asked for first.
    """

    trace_id: str
    spans: pl.DataFrame
    _trees: SpanForest = field(repr=False, compare=False)
    _reader: Reader = field(repr=False, compare=False)
    _details: TraceDetails = field(repr=False, compare=False)

    @property
    def events(self) -> pl.DataFrame:
        """A row an event, by time: ``span_id, time_ns, name, attributes`` (JSON text), …."""
        return self._details.events

    @property
    def links(self) -> pl.DataFrame:
        """A row a link: ``span_id, linked_trace_id, linked_span_id, attributes`` (JSON text), …."""
        return self._details.links

    @property
    def logs(self) -> pl.DataFrame:
        """A row a log record of this trace, by time: ``time_ns, severity, service, span_id, body``, …."""
        return self._details.logs

    @property
    def resources(self) -> pl.DataFrame:
        """What sent the spans: ``resource_id, service, …, attributes`` (JSON text)."""
        return self._details.resources

    def span(self, span_id: str) -> SpanDetail:
        """One span with all its attributes, values with their types, and all that hangs on it.

        Raises ``ValueError`` if no span of the trace has this id (16 hex digits), and names the near ones.
        """
        rows = self.spans.filter(pl.col("span_id") == span_id.strip().lower())
        if rows.is_empty():
            close = near(span_id, self.spans["span_id"])
            hint = f"; did you mean {' or '.join(close)}?" if close else "; see .spans"
            raise ValueError(f"trace {self.trace_id} has no span {span_id[:40]!r}{hint}")
        return self._details.span(rows.row(0, named=True))

    @property
    def root(self) -> Root:
        """The longest span without a parent; the longest orphan if every span names a parent."""
        row = self.spans.row(self._main_root, named=True)
        return Root(row["span_id"], row["service"], row["operation"], row["start_ns"], row["duration_ns"])

    @property
    def forest(self) -> Forest:
        """The trees of its spans, in the order of ``spans``: what kernels take."""
        return self._trees.forest

    @property
    def _main_root(self) -> int:
        return int(self._trees.forest.main_root[0])

    def critical_path(self, tolerance: float = 0.01) -> pl.DataFrame:
        """Which span the request was waiting for, from the start of the main root to its end.

        A row a segment in time order: ``span_id, service, operation`` (text), ``start_ns, end_ns,
        duration_ns`` (Int64). The durations add up to the root's exactly. ``tolerance``: see
        ``tracescape_native.critical_path``; ``ValueError`` unless it is from 0 to 1.
        """
        forest = self._trees.forest
        segments = path_segments(forest, critical_paths(forest, tolerance), self._main_root)
        return self.spans.select("span_id", "service", "operation")[segments.span].with_columns(
            start_ns=pl.Series(segments.start, dtype=pl.Int64),
            end_ns=pl.Series(segments.end, dtype=pl.Int64),
            duration_ns=pl.Series(segments.end - segments.start, dtype=pl.Int64),
        )

    def waterfall(self) -> pl.DataFrame:
        """The trace as a timeline, a row a span in display order.

        ``span_id, service, operation, status`` (text), ``depth, offset_ns`` (start after the main root's,
        negative before it), ``duration_ns, self_ns, critical_ns`` (Int64), ``critical`` (Boolean: the span
        owns time on the main root's critical path).
        """
        forest = self._trees.forest
        of_main = pl.Series(forest.root == self._main_root)
        return self.spans.select(
            "span_id",
            "service",
            "operation",
            "status",
            "depth",
            offset_ns=pl.col("start_ns") - self.root.start_ns,
            duration_ns="duration_ns",
            self_ns="self_ns",
            critical_ns="critical_ns",
            critical=(pl.col("critical_ns") > 0) & of_main,
        )

    def to_otlp_json(self, indent: int | None = None) -> str:
        """The whole trace, with attributes, events and links, as an OTLP JSON document.

        ``tracescape replay`` and every OTLP/HTTP receiver take it. It is read anew, so the store must be open
        still; spans that came since are in it.
        """
        return traces_text([whole_trace(self._reader, bytes.fromhex(self.trace_id))], indent=indent)

    def __repr__(self) -> str:
        """The trace as a person reads it: a headline, then a timeline with the critical path in bold bars."""
        root = self.root
        errors = int((self.spans["status"] == "error").sum())
        services = self.spans["service"].n_unique()
        head = (
            f"Trace {self.trace_id}: {root.service} {root.operation}, {readable_duration(root.duration_ns)}, "
            f"{counted(len(self.spans), 'span')}, {counted(services, 'service')}, {counted(errors, 'error')}"
        )
        rows = self.waterfall().head(_SHOWN_ROWS)
        labels = [
            "  " * min(row["depth"], 10) + f"{row['service']} {row['operation']}"
            for row in rows.iter_rows(named=True)
        ]
        width = min(max(len(label) for label in labels), 60)
        lines = [
            f"{_shortened(label, width):<{width}} {self._bar(row)}"
            + f" {readable_duration(row['duration_ns']):>10}{' error' * (row['status'] == 'error')}"
            for label, row in zip(labels, rows.iter_rows(named=True), strict=True)
        ]
        if len(self.spans) > _SHOWN_ROWS:
            lines.append(f"… {len(self.spans) - _SHOWN_ROWS} more; .waterfall() has them all")
        return "\n".join([head, *lines])

    def _bar(self, row: dict[str, int | bool]) -> str:
        total = max(self.root.duration_ns, 1)
        first = min(max(row["offset_ns"] * _BAR_WIDTH // total, 0), _BAR_WIDTH - 1)
        last = (row["offset_ns"] + row["duration_ns"]) * _BAR_WIDTH // total
        length = min(max(last - first, 1), _BAR_WIDTH - first)
        mark = "━" if row["critical"] else "─"
        return (" " * first + mark * length).ljust(_BAR_WIDTH)


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def hex_ids(ids: IntArray) -> list[str]:
    """Span ids as 16 hex digits each; 0, which is no id, as the empty text."""
    digits = ids.astype(">i8").tobytes().hex()
    return [digits[16 * i : 16 * i + 16] if ids[i] else "" for i in range(len(ids))]


def _named(names: tuple[str, ...], codes: IntArray) -> pl.Series:
    known = np.where((codes < 0) | (codes >= len(names)), 0, codes)
    return pl.Series(np.array(names, dtype=object)[known], dtype=pl.String)


def _frame(trees: SpanForest, trace_id: str) -> pl.DataFrame:
    forest = trees.forest
    paths = critical_paths(forest)
    table = trees.table.take(forest.rows)
    parents = table["parent_span_id"].to_numpy()
    return pl.DataFrame(
        {
            "trace_id": pl.repeat(trace_id, len(forest.rows), eager=True, dtype=pl.String),
            "span_id": hex_ids(forest.span_id),
            "parent_span_id": hex_ids(parents),
            "service": [trees.services[code] for code in trees.service],
            "operation": [trees.operations[code] for code in trees.operation],
            "kind": _named(KINDS, forest.kind),
            "status": _named(STATUSES, trees.status),
            "start_ns": forest.start,
            "end_ns": forest.end,
            "duration_ns": forest.end - forest.start,
            "self_ns": paths.self_ns,
            "critical_ns": paths.critical_ns,
            "depth": forest.depth,
            **{name: pl.Series(table[name]) for name in _AS_STORED},
        }
    )


def unknown_trace(reader: Reader, trace_id: bytes) -> UnknownTraceError:
    """No span of the trace with this id (16 bytes) is stored: what to say."""
    return UnknownTraceError(
        f"No span of trace {trace_id.hex()} is stored in {reader.location}. Search for traces by service "
        "or time, or look whether the id is complete: it has 32 hex digits."
    )


def load_trace(reader: Reader, trace_id: bytes) -> Trace:
    """The trace with this id (16 bytes). Raises ``UnknownTraceError`` if no span of it is stored."""
    table = trace_spans(reader, trace_id)
    if table.num_rows == 0:
        raise unknown_trace(reader, trace_id)
    return trace_of(table, TraceDetails(reader, trace_id), reader, trace_id)


def trace_of(table: pa.Table, details: TraceDetails, reader: Reader, trace_id: bytes) -> Trace:
    """The trace of a table of its spans that is there already, as ``one_trace.trace_spans`` reads it."""
    trees = plant(table)
    return Trace(trace_id.hex(), _frame(trees, trace_id.hex()), trees, reader, details)
