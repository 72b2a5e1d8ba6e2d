"""A trace as a wall of spans: where each stands, what is lit, what hangs beside it. Data to be drawn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl

from tracescape_analytics.asking import Where, filter_of
from tracescape_analytics.span_forest import IntArray, SpanForest
from tracescape_analytics.trace import Trace, hex_ids
from tracescape_native.critical_path import critical_paths, path_segments
from tracescape_native.forest import ORPHAN
from tracescape_native.lanes import lanes
from tracescape_native.trace_times import TraceTimes, pieces_of, trace_times
from tracescape_storage.filters import check_size
from tracescape_storage.reader import Reader

WALL_SCHEMA: Final = {
    "span_id": pl.String,
    "parent": pl.Int64,
    "service": pl.String,
    "operation": pl.String,
    "kind": pl.String,
    "start_ns": pl.Int64,
    "end_ns": pl.Int64,
    "lane": pl.Int64,
    "depth": pl.Int64,
    "self_ns": pl.Int64,
    "critical_ns": pl.Int64,
    "failed": pl.Boolean,
    "void": pl.Boolean,
}
PIECE_SCHEMA: Final = {"span": pl.Int64, "start_ns": pl.Int64, "end_ns": pl.Int64, "waited": pl.Boolean}
LIT_SCHEMA: Final = {"span": pl.Int64, "start_ns": pl.Int64, "end_ns": pl.Int64}
NOTE_SCHEMA: Final = {
    "kind": pl.String,
    "time_ns": pl.Int64,
    "span": pl.Int64,
    "lane": pl.Int64,
    "text": pl.String,
    "severity": pl.String,
    "attributes": pl.String,
}


@dataclass(frozen=True, repr=False)
class Wall:
    """The wall of a trace from ``start_ns`` to ``end_ns``, epoch ns; ``root_ns`` is its main root's interval.

    ``spans`` (columns of ``WALL_SCHEMA``): a row a span, depth first as in ``Trace.spans``, then a row a
    ``void``: a parent that spans name and that is not stored, as long as those are together. Times are
    shifted for clock skew and cut to the parent's, as the critical path has them. ``lane`` counts from 0,
    the main root's, which is alone on it as long as it lasts: no two on a lane overlap, and children have a
    higher one than their parents. There are ``lanes`` of them.

    ``pieces`` (``PIECE_SCHEMA``): what each span did, by row, then time: it worked, or ``waited`` for a
    child.
    ``lit`` (``LIT_SCHEMA``): the critical path of the main root, in time order. ``notes`` (``NOTE_SCHEMA``):
    events and log records by time; ``span`` is a row, null for a log of no span that is stored.

    An open end: spans that are still to arrive are not there, and a wall is made anew when they are.
    """

    trace_id: str
    start_ns: int
    end_ns: int
    root_ns: tuple[int, int]
    spans: pl.DataFrame
    pieces: pl.DataFrame
    lit: pl.DataFrame
    notes: pl.DataFrame
    lanes: int
    _texts: pl.Series = field(repr=False)
    _reader: Reader = field(repr=False)

    def find(self, text: str) -> pl.Series:
        """Rows of spans in which ``text`` occurs, ascending (Int64); in any case of letters.

        Looked at are service, operation, ids, status message, attributes, and events and logs on the span.
        """
        found = pl.Series("span", np.flatnonzero(_holds(self._texts, text)), pl.Int64)
        noted = self.notes.filter(_holds(_joined(self.notes, "text", "attributes"), text))["span"]
        return pl.concat([found, noted.drop_nulls()]).unique().sort()

    def matching(self, where: Where) -> pl.Series:
        """Rows of spans that match a filter as `Store.search` takes it, ascending (Int64); asks the store.

        Raises ``ValueError`` where it is no filter.
        """
        condition = filter_of(where)
        check_size(condition)
        of_trace = self._reader.of_traces([bytes.fromhex(self.trace_id)])
        matches = self._reader.condition(condition)
        found = self._reader.sql(f"SELECT DISTINCT span_id FROM spans WHERE {of_trace} AND {matches}")
        ids = pl.Series(hex_ids(found["span_id"].to_numpy()), dtype=pl.String)
        inside = self.spans["span_id"].is_in(ids.implode()) & ~self.spans["void"]
        return pl.Series("span", np.flatnonzero(inside.to_numpy()), pl.Int64)

    def __repr__(self) -> str:
        """How large it is."""
        voids = int(self.spans["void"].sum())
        missing = f", {voids:,} missing" if voids else ""
        return (
            f"<Wall of {self.trace_id}: {len(self.spans) - voids:,} spans{missing} on {self.lanes:,} lanes, "
            f"{(self.end_ns - self.start_ns) / 1e6:,.3g} ms>"
        )


def wall_of(trace: Trace, trees: SpanForest, reader: Reader) -> Wall:
    """The wall of a trace that was read; ``trees`` are those its ``spans`` were made from. O(n log n)."""
    forest, paths = trees.forest, critical_paths(trees.forest)
    times, main = trace_times(forest, paths), int(forest.main_root[0])
    parent, voids = _with_voids(trees, times)
    start, end = (
        np.concatenate([column, voids[name]]) for name, column in (("start", times.start), ("end", times.end))
    )
    lane = lanes(_order(parent, start, main), parent, start, end)
    spans = _spans(trace, voids).with_columns(
        parent=pl.Series(parent, dtype=pl.Int64),
        start_ns=pl.Series(start, dtype=pl.Int64),
        end_ns=pl.Series(end, dtype=pl.Int64),
        lane=pl.Series(lane, dtype=pl.Int64),
    )
    pieces, lit = pieces_of(forest, times), path_segments(forest, paths, main)
    return Wall(
        trace_id=trace.trace_id,
        start_ns=int(start.min()),
        end_ns=int(end.max()),
        root_ns=(int(times.start[main]), int(times.end[main])),
        spans=spans.select(pl.col(name).cast(dtype) for name, dtype in WALL_SCHEMA.items()),
        pieces=pl.DataFrame(list(pieces), schema=PIECE_SCHEMA),
        lit=pl.DataFrame(list(lit), schema=LIT_SCHEMA),
        notes=_notes(trace, lane),
        lanes=int(lane.max()) + 1,
        _texts=_joined(trace.spans, "service", "operation", "span_id", "status_message", "attributes"),
        _reader=reader,
    )


def _with_voids(trees: SpanForest, times: TraceTimes) -> tuple[IntArray, dict[str, Any]]:
    # The parents of all rows, those of orphans being voids, which follow the spans.
    forest = trees.forest
    n = len(forest.parent)
    orphans = np.flatnonzero(forest.origin == ORPHAN)
    named = trees.table["parent_span_id"].to_numpy()[forest.rows[orphans]]
    missing, which = np.unique(named, return_inverse=True)
    parent = np.concatenate([forest.parent, np.full(len(missing), -1)])
    parent[orphans] = n + which
    begin, until = np.full(len(missing), 2**63 - 1), np.full(len(missing), -(2**63))
    np.minimum.at(begin, which, times.start[orphans])
    np.maximum.at(until, which, times.end[orphans])
    return parent, {"span_id": missing, "start": begin, "end": until}


def _order(parent: IntArray, start: IntArray, main: int) -> IntArray:
    # The main root, then by start, but parents before their children. Voids stand behind the spans, yet
    # above them.
    n = len(parent)
    voids = np.flatnonzero(parent < 0)
    turn = start.copy()
    turn[main] = np.iinfo(np.int64).min
    first = np.zeros(n, np.int64)
    first[voids] = -1
    inner = np.flatnonzero(parent >= 0)
    order = np.lexsort((np.arange(n), first, turn))
    if (turn[parent[inner]] <= turn[inner]).all():
        return order
    return np.asarray(np.lexsort((np.arange(n), first, _latest(parent, turn))))


def _latest(parent: IntArray, turn: IntArray) -> IntArray:
    # No span's turn comes before its parent's. Parents of spans stand before them, but for voids.
    latest = turn.copy()
    for i, above in enumerate(parent.tolist()):
        if above >= 0 and latest[above] > latest[i]:
            latest[i] = latest[above]
    return latest


def _spans(trace: Trace, voids: dict[str, Any]) -> pl.DataFrame:
    spans = trace.spans.select(
        "span_id", "service", "operation", "kind", "depth", "self_ns", "critical_ns",
        failed=pl.col("status") == "error", void=pl.lit(False),
    )  # fmt: skip
    count = len(voids["span_id"])
    zeros = [0] * count
    missing = pl.DataFrame(
        {
            "span_id": hex_ids(voids["span_id"]),
            "service": [""] * count,
            "operation": [""] * count,
            "kind": ["unset"] * count,
            "depth": zeros,
            "self_ns": zeros,
            "critical_ns": zeros,
            "failed": [False] * count,
            "void": [True] * count,
        },
        schema=spans.schema,
    )
    return pl.concat([pl.DataFrame(spans), missing])


def _notes(trace: Trace, lane: IntArray) -> pl.DataFrame:
    rows = trace.spans.select("span_id").with_row_index("span").unique("span_id", keep="first")
    events = trace.events.select(
        "span_id", "time_ns", "attributes", kind=pl.lit("event"), text="name", severity=pl.lit(None)
    )
    logs = trace.logs.select(
        "span_id", "time_ns", "attributes", "severity", kind=pl.lit("log"),
        text=pl.coalesce("body", "event_name", pl.lit("")),
    )  # fmt: skip
    every = [
        part.select(
            "span_id",
            *(pl.col(name).cast(NOTE_SCHEMA[name]) for name in NOTE_SCHEMA if name not in ("span", "lane")),
        )
        for part in (events, logs)
    ]
    found = pl.concat(every).join(rows, on="span_id", how="left")
    lanes_of = pl.Series(lane, dtype=pl.Int64)
    found = found.with_columns(lane=lanes_of.gather(found["span"].fill_null(0)))
    found = found.with_columns(lane=pl.when(pl.col("span").is_not_null()).then("lane"))
    ordered = found.sort("time_ns", "kind", "span", nulls_last=True, maintain_order=True)
    return ordered.select(pl.col(name).cast(dtype) for name, dtype in NOTE_SCHEMA.items())


def _joined(frame: pl.DataFrame, *columns: str) -> pl.Series:
    texts = [pl.col(name).cast(pl.String).fill_null("") for name in columns]
    return frame.select(pl.concat_str(texts, separator="\n").str.to_lowercase()).to_series()


def _holds(texts: pl.Series, text: str) -> pl.Series:
    return texts.str.contains(text.lower(), literal=True)
