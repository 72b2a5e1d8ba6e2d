"""Traces as walls, without a store."""

from __future__ import annotations

from typing import Any

import polars as pl
import pyarrow as pa

from memory_reader import MemoryReader, span_table, trace_bytes
from tracescape_analytics.span_forest import plant
from tracescape_analytics.trace import Trace, trace_of
from tracescape_analytics.trace_details import TraceDetails
from tracescape_analytics.trace_pairs import pairs
from tracescape_analytics.trace_wall import Wall, wall_of
from tracescape_render.inside.asked import InsideAnswer
from tracescape_render.inside.standing import Standing, standing

Row = dict[str, object]
_TEXTS = (
    "span_id",
    "name",
    "attributes",
    "severity",
    "body",
    "event_name",
    "linked_trace_id",
    "linked_span_id",
)


class Beside(TraceDetails):
    """Events and logs that are given: rows of ``span_id`` (a name), ``time_ns``, and texts."""

    def __init__(self, reader: MemoryReader, name: bytes, notes: dict[str, list[Row]]) -> None:
        super().__init__(reader, name)
        self.__dict__.update(
            {kind: _frame(notes.get(kind, [])) for kind in ("events", "logs", "links")}
        )  # where `cached_property` would keep what it has read


def _frame(rows: list[Row]) -> pl.DataFrame:
    schema: dict[str, Any] = dict.fromkeys(_TEXTS, pl.String) | {"time_ns": pl.Int64}
    return pl.DataFrame([dict.fromkeys(schema) | {"attributes": "{}"} | row for row in rows], schema=schema)


def trace(table: pa.Table, notes: dict[str, list[Row]] | None = None, name: str = "t") -> Trace:
    """The trace of a table of spans."""
    store = MemoryReader(table)
    of = trace_bytes(name)
    return trace_of(store.table, Beside(store, of, notes or {}), store, of)


def wall(made: Trace) -> Wall:
    """Its wall."""
    assert isinstance(made._reader, MemoryReader)
    return wall_of(made, plant(made._reader.table), made._reader)


def walled(*rows: Row, notes: dict[str, list[Row]] | None = None) -> Standing:
    """What stands on the wall of one trace."""
    return standing([wall(trace(span_table(rows), notes))])


def answer(*sides: list[Row], notes: dict[str, list[Row]] | None = None) -> InsideAnswer:
    """One trace, or two beside each other."""
    traces = tuple(trace(span_table(rows), notes, name) for rows, name in zip(sides, "to", strict=False))
    return InsideAnswer(
        traces, tuple(wall(made) for made in traces), pairs(*traces) if len(traces) == 2 else None
    )
