"""One request, moment by moment: what runs, who waits for whom, what is under way on which edge.

Everything is computed once and then looked up: a renderer asks for a `Frame` each time it draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from tracescape_analytics.calls import matched
from tracescape_analytics.errors import UnknownTraceError
from tracescape_analytics.nodes import NodeTable, number_far_ends, number_queues
from tracescape_analytics.span_forest import CALL_COLUMNS, IntArray, SpanForest, plant
from tracescape_analytics.trace import hex_ids
from tracescape_native.critical_path import Paths, Segments, critical_paths, path_segments
from tracescape_native.edges import CROSSED, DELIVERED, PAIRED
from tracescape_native.forest import ORPHAN, PRODUCER, SERVER, UNSET
from tracescape_native.trace_times import TraceTimes, running_at, trace_times
from tracescape_storage.reader import Reader

FloatArray = np.ndarray[tuple[int], np.dtype[np.float64]]

LEG_SCHEMA: Final = {
    "leg": pl.String,
    "source": pl.String,
    "target": pl.String,
    "start_ns": pl.Int64,
    "end_ns": pl.Int64,
    "span": pl.Int64,
    "failed": pl.Boolean,
}
REPLAY_SPAN_SCHEMA: Final = {
    "span_id": pl.String,
    "parent": pl.Int64,
    "service": pl.String,
    "operation": pl.String,
    "start_ns": pl.Int64,
    "end_ns": pl.Int64,
    "critical_ns": pl.Int64,
    "failed": pl.Boolean,
}
#: What a leg may be: where on its edge a light is, at its begin and at its end (0: source, 1: target).
LEGS: Final = {
    "request": (0.0, 1.0),
    "work": (1.0, 1.0),
    "away": (1.0, 1.0),
    "response": (1.0, 0.0),
    "message": (0.0, 1.0),
}
_ERROR: Final = 2
_LEG_NAMES: Final = tuple(LEGS)
_ENDS: Final = np.array(list(LEGS.values()))


class Frame(NamedTuple):
    """A trace at one moment. Spans are rows of `Replay.spans`, ``legs`` rows of `Replay.legs`.

    ``at_ns``: the moment, epoch ns. ``running``: the spans that run, ascending; ``waits_for``, of the same
    shape, the child that each waits for, -1 for one that works. ``critical``: the span on the critical path
    of the main root, -1 before its start and from its end on. ``failed``: the spans that have ended with an
    error, in order of their ends. ``legs``: what is under way; ``place`` (float64): how far on its edge, 0
    at the source and 1 at the target. All others are int64.
    """

    at_ns: int
    running: IntArray
    waits_for: IntArray
    critical: int
    failed: IntArray
    legs: IntArray
    place: FloatArray


@dataclass(frozen=True, repr=False)
class Replay:
    """What there is to replay of a trace, from ``start_ns`` to ``end_ns`` (the last end), epoch ns.

    ``spans`` (columns of ``REPLAY_SPAN_SCHEMA``) stand depth first, as in ``Trace.spans``; ``parent`` is a
    row or -1. Times are shifted for clock skew and clipped to the parent's, as the critical path has them.

    ``legs`` (columns of ``LEG_SCHEMA``) are the ways of calls over the edges of the topology, by start:
    ``request`` (from the client's start to the server's), ``work`` (the far end has it), ``response`` (from
    the server's end to the client's), ``away`` (with something that sends no spans: nobody knows how far),
    ``message`` (to the queue while the producer runs, from there until the consumer starts; past a queue
    without a name, directly). A call whose caller ended first has no response. Where the caller sent no span
    for the call, there is only ``work``. ``span`` is the row of the serving span, else of the calling one.
    """

    trace_id: str
    start_ns: int
    end_ns: int
    root_ns: tuple[int, int]
    spans: pl.DataFrame
    legs: pl.DataFrame
    _trees: SpanForest
    _paths: Paths
    _times: TraceTimes
    _segments: Segments
    _failed: IntArray
    _begin: IntArray
    _until: IntArray
    _kind: IntArray

    def at(self, at_ns: int) -> Frame:
        """The trace at a moment, any: before the start nothing runs, after the end all is over. O(n)."""
        running, waits_for = running_at(self._trees.forest, self._times, self._paths, at_ns)
        which = int(np.searchsorted(self._segments.start, at_ns, "right")) - 1
        critical = which >= 0 and at_ns < self._segments.end[which]
        done = int(np.searchsorted(self._times.end[self._failed], at_ns, "right"))
        legs = np.flatnonzero((self._begin <= at_ns) & (at_ns < self._until))
        gone = (at_ns - self._begin[legs]) / (self._until[legs] - self._begin[legs])
        first, last = _ENDS[self._kind[legs]].T
        return Frame(
            at_ns,
            running,
            waits_for,
            int(self._segments.span[which]) if critical else -1,
            self._failed[:done],
            legs,
            first + (last - first) * gone,
        )

    @property
    def critical(self) -> Segments:
        """The critical path of the main root: rows of ``spans`` and when each is on it, by time."""
        return self._segments

    @property
    def fragments(self) -> int:
        """How many spans name a parent that is not stored: not sent yet, lost, or pruned."""
        return int((self._trees.forest.origin == ORPHAN).sum())

    def share(self, share: float) -> Frame:
        """The trace at a share of the way, 0 (its start) to 1 (its end)."""
        return self.at(self.start_ns + round((self.end_ns - self.start_ns) * min(max(share, 0.0), 1.0)))

    def __repr__(self) -> str:
        """What there is."""
        return (
            f"<Replay of {self.trace_id}: {len(self.spans):,} spans, {len(self.legs):,} legs, "
            f"{(self.end_ns - self.start_ns) / 1e6:,.3g} ms>"
        )


def load_replay(reader: Reader, trace_id: bytes) -> Replay:
    """The trace with this id (16 bytes), as it is stored now: what is still to arrive changes it.

    Raises ``UnknownTraceError`` if no span of it is stored (any more).
    """
    table = reader.spans(CALL_COLUMNS, trace_ids=[trace_id])
    if not table.num_rows:
        raise UnknownTraceError(f"No span of trace {trace_id.hex()} is stored in {reader.location}.")
    return replay_of(plant(table), trace_id.hex())


def replay_of(trees: SpanForest, trace_id: str) -> Replay:
    """The replay of trees of one trace; ``table`` has ``schema.ANALYSIS_COLUMNS`` and any of ``PROMOTED``."""
    forest, paths = trees.forest, critical_paths(trees.forest)
    times = trace_times(forest, paths)
    main = int(forest.main_root[0])
    failed = np.flatnonzero(trees.status == _ERROR)
    legs = _legs(trees, times)
    return Replay(
        trace_id,
        int(times.start.min()),
        int(times.end.max()),
        (int(times.start[main]), int(times.end[main])),
        _spans(trees, paths, times),
        legs,
        trees,
        paths,
        times,
        path_segments(forest, paths, main),
        failed[np.argsort(times.end[failed], kind="stable")],
        legs["start_ns"].to_numpy(),
        legs["end_ns"].to_numpy(),
        legs["leg"].replace_strict(_LEG_NAMES, range(len(LEGS)), return_dtype=pl.Int64).to_numpy(),
    )


def _spans(trees: SpanForest, paths: Paths, times: TraceTimes) -> pl.DataFrame:
    columns = {
        "span_id": hex_ids(trees.forest.span_id),
        "parent": trees.forest.parent,
        "service": [trees.services[code] for code in trees.service],
        "operation": [trees.operations[code] for code in trees.operation],
        "start_ns": times.start,
        "end_ns": times.end,
        "critical_ns": paths.critical_ns,
        "failed": trees.status == _ERROR,
    }
    return pl.DataFrame(columns, schema=REPLAY_SPAN_SCHEMA)


class _Legs:
    # Collects legs; those of no length never are.
    def __init__(self, trees: SpanForest, times: TraceTimes) -> None:
        self.nodes = NodeTable(trees.services)
        self._failed = trees.status == _ERROR
        self._rows: list[tuple[str, IntArray, IntArray, IntArray, IntArray, IntArray]] = []
        self.start, self.end = times.start, times.end

    def add(
        self, leg: str, source: IntArray, target: IntArray, begin: IntArray, end: IntArray, span: IntArray
    ) -> None:
        some = (begin < end) & (source >= 0) & (target >= 0)
        self._rows.append((leg, source[some], target[some], begin[some], end[some], span[some]))

    def frame(self) -> pl.DataFrame:
        names = self.nodes.frame()["name"]
        parts = [
            pl.DataFrame(
                {
                    "leg": [leg] * len(span),
                    "source": names.gather(source),
                    "target": names.gather(target),
                    "start_ns": begin,
                    "end_ns": end,
                    "span": span,
                    "failed": self._failed[span],
                },
                schema=LEG_SCHEMA,
            )
            for leg, source, target, begin, end, span in self._rows
        ]
        return pl.concat(parts).sort("start_ns", "span", "end_ns", maintain_order=True)


def _legs(trees: SpanForest, times: TraceTimes) -> pl.DataFrame:
    legs, calls, forest = _Legs(trees, times), matched(trees), trees.forest
    _add_calls(legs, trees, np.flatnonzero(calls.relation == PAIRED), calls.caller)
    inside = np.flatnonzero(calls.relation == CROSSED)
    legs.add(
        "work",
        trees.service[calls.caller[inside]],
        trees.service[inside],
        times.start[inside],
        times.end[inside],
        inside,
    )
    away = np.flatnonzero(calls.unanswered == 1)
    far = number_far_ends(trees, away, legs.nodes)
    legs.add("away", trees.service[away], far, times.start[away], times.end[away], away)
    taken = np.flatnonzero(calls.relation == DELIVERED)
    _add_messages(legs, trees, taken, calls.caller[taken])
    entered = (forest.parent < 0) & (forest.origin != ORPHAN)
    asked = np.flatnonzero(entered & ((forest.kind == SERVER) | (forest.kind == UNSET)))
    user = np.full(len(asked), legs.nodes.entry() if len(asked) else -1)
    legs.add("work", user, trees.service[asked], times.start[asked], times.end[asked], asked)
    return legs.frame()


def _add_calls(legs: _Legs, trees: SpanForest, served: IntArray, caller: IntArray) -> None:
    client = caller[served]
    ends = trees.service[client], trees.service[served]
    start, end = legs.start, legs.end
    arrives = np.clip(start[served], start[client], end[client])
    leaves = np.clip(end[served], start[client], end[client])
    legs.add("request", *ends, start[client], arrives, served)
    legs.add("work", *ends, start[served], end[served], served)
    # Of a caller that gave up first, the server's end is cut to the client's: nothing comes back.
    legs.add("response", *ends, leaves, end[client], served)


def _add_messages(legs: _Legs, trees: SpanForest, taken: IntArray, sender: IntArray) -> None:
    kind, start, end = trees.forest.kind, legs.start, legs.end
    sent = np.flatnonzero(kind == PRODUCER)
    queue = np.full(len(kind), -1, np.int64)
    queue[sent] = number_queues(trees, sent, legs.nodes)
    nameless = taken[queue[sender] < 0]
    if len(nameless):  # some brokers are named by the consumer alone
        queue[sender[queue[sender] < 0]] = number_queues(trees, nameless, legs.nodes)
    legs.add("message", trees.service[sent], queue[sent], start[sent], end[sent], sent)
    direct = queue[sender] < 0
    source = np.where(direct, trees.service[sender], queue[sender])
    left = np.where(direct, start[sender], end[sender])
    legs.add("message", source, trees.service[taken], left, start[taken], taken)
    legs.add("work", source, trees.service[taken], start[taken], end[taken], taken)
