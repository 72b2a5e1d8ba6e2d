"""What stands on a wall: the spans of one trace, or of two above each other, as plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tracescape_analytics.trace_pairs import CHANGES, Pairs
from tracescape_analytics.trace_wall import Wall
from tracescape_render.charts.service_colours import ServiceColours
from tracescape_render.text import TOOLTIP_LENGTH, display_name, duration

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

#: Kinds of notes, the most urgent first; a note's ``level`` indexes this.
LEVELS: Final = ("errors", "warnings", "events", "logs")
ERRORS, WARNINGS, EVENTS, LOGS = range(len(LEVELS))
#: Lanes that stay free between two traces.
GAP: Final = 2
_SAME: Final = CHANGES.index("same")
_FAILED_EVENTS: Final = ("exception", "error")


class Pieces(NamedTuple):
    """Stretches of spans: the span, from when to when, ns as in `Standing`. All int64 (m,)."""

    span: IntArray
    start: IntArray
    end: IntArray


class Notes(NamedTuple):
    """Events and log records by time: when, of which span (-1 for none) and of which `LEVELS`. int64 (m,)."""

    time: IntArray
    span: IntArray
    level: IntArray


class Block(NamedTuple):
    """One trace on the wall: its rows among the spans, its lanes, when its main root began (epoch ns)."""

    trace_id: str
    title: str
    first_span: int
    spans: int
    first_note: int
    first_lane: int
    lanes: int
    origin_ns: int
    root_ns: int


@dataclass(frozen=True, eq=False)
class Standing:
    """The spans of all traces on the wall, one trace after the other, in the order of `Wall.spans`.

    Attributes:
        start, end: int64 (n,), ns since the main root of its trace began.
        lane: int64 (n,), from 0, the lowest; those of the second trace are above the first's.
        parent: int64 (n,), row of the parent or -1.
        slot: int64 (n,), which of the palette's colours its service wears.
        failed, void, critical: bool (n,): has an error, is a missing span, owns a part of the critical path.
        self_ns, critical_ns: int64 (n,).
        change: int64 (n,), index of `CHANGES`; ``gain``: by how many ns its part of the critical path is
            longer than that of its partner; ``partner``: row of the same span in the other trace, or -1.
        work, lit: what spans did themselves; the critical path in time order.
        notes: with ``note_texts`` beside them.
        service, operation, span_id: as sent; hostile until they pass `display_name`.
        first_ns, last_ns: the whole of time; ``lanes``: of all traces and what is between them.
        legend: (slot, words) of the services.
    """

    start: IntArray
    end: IntArray
    lane: IntArray
    parent: IntArray
    slot: IntArray
    failed: BoolArray
    void: BoolArray
    critical: BoolArray
    self_ns: IntArray
    critical_ns: IntArray
    change: IntArray
    gain: IntArray
    partner: IntArray
    work: Pieces
    lit: Pieces
    notes: Notes
    note_texts: pl.DataFrame
    service: pl.Series
    operation: pl.Series
    span_id: pl.Series
    blocks: tuple[Block, ...]
    lanes: int
    first_ns: int
    last_ns: int
    legend: tuple[tuple[int, str], ...]

    def block_of(self, span: int) -> Block:
        """The trace that a span belongs to."""
        return next(block for block in reversed(self.blocks) if span >= block.first_span)

    def name(self, span: int, length: int = 60) -> str:
        """Service and operation of a span, fit to be shown."""
        if self.void[span]:
            return f"missing span {self.span_id[span]}"
        operation = display_name(self.operation[span], length)
        return f"{display_name(self.service[span])} {operation}"

    @cached_property
    def passed_on(self) -> BoolArray:
        """Which spans failed after one below them had: the error began there, bool (n,)."""
        found = np.zeros(len(self.start), np.bool_)
        for span in np.flatnonzero(self.failed).tolist():
            up = int(self.parent[span])
            while up >= 0 and not found[up]:
                found[up] = True
                up = int(self.parent[up])
        passed: BoolArray = found & self.failed
        return passed

    @property
    def headline(self) -> str:
        """What is seen, in a line."""
        if len(self.blocks) == 1:
            return self.blocks[0].title
        one, other = (duration(block.root_ns) for block in self.blocks)
        return f"{_root_name(self.blocks[0])}: {one} beside {other}"

    @property
    def changed(self) -> IntArray:
        """Spans that are not the same in the other trace, those with the greatest difference first."""
        found = np.flatnonzero(self.change != _SAME)
        order = np.lexsort((found, -np.abs(self.gain[found])))
        return found[order]


def standing(walls: Sequence[Wall], pairs: Pairs | None = None) -> Standing:
    """One wall, or two with their ``pairs`` (the first is the left of them). O(n log n)."""
    spans = pl.concat([wall.spans for wall in walls])
    counts = [len(wall.spans) for wall in walls]
    first = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
    floor = _floors(walls)
    origin = np.repeat([wall.root_ns[0] for wall in walls], counts)
    start, end = (spans[name].to_numpy() - origin for name in ("start_ns", "end_ns"))
    parent = spans["parent"].to_numpy()
    lit = _joined(walls, "lit", first)
    critical = np.zeros(len(spans), np.bool_)
    critical[lit.span] = True
    colours = ServiceColours(_by_importance(spans))
    change, gain, partner = _changes(first, len(spans), pairs)
    texts = pl.concat([wall.notes.select("kind", "text", "severity", "attributes") for wall in walls])
    return Standing(
        start=start,
        end=np.maximum(end, start),
        lane=spans["lane"].to_numpy() + np.repeat(floor, counts),
        parent=np.where(parent < 0, -1, parent + np.repeat(first, counts)),
        slot=_slots(spans["service"], colours),
        failed=spans["failed"].to_numpy(),
        void=spans["void"].to_numpy(),
        critical=critical,
        self_ns=spans["self_ns"].to_numpy(),
        critical_ns=spans["critical_ns"].to_numpy(),
        change=change,
        gain=gain,
        partner=partner,
        work=_joined(walls, "pieces", first),
        lit=lit,
        notes=_notes(walls, first),
        note_texts=texts,
        service=spans["service"],
        operation=spans["operation"],
        span_id=spans["span_id"],
        blocks=tuple(_blocks(walls, first, floor)),
        lanes=int((floor + [wall.lanes for wall in walls]).max()),
        first_ns=int(start.min()),
        last_ns=max(int(end.max()), int(start.min()) + 1),
        legend=tuple((int(style[1:]), name) for style, name in colours.legend()),
    )


def _floors(walls: Sequence[Wall]) -> IntArray:
    # The second trace is the lower one, nearer to the viewer: it is the one that is asked about.
    if len(walls) == 1:
        return np.zeros(1, np.int64)
    return np.array([walls[1].lanes + GAP, 0], np.int64)


def _blocks(walls: Sequence[Wall], first: IntArray, floor: IntArray) -> list[Block]:
    blocks, notes = [], 0
    for wall, row, lane in zip(walls, first.tolist(), floor.tolist(), strict=True):
        voids = int(wall.spans["void"].sum())
        spans, failed = len(wall.spans) - voids, int(wall.spans["failed"].sum())
        root = wall.spans.filter(pl.col("lane") == 0, pl.col("start_ns") == wall.root_ns[0]).head(1)
        name = "trace" if root.is_empty() else _name(root["service"][0], root["operation"][0])
        facts = [
            name,
            duration(wall.root_ns[1] - wall.root_ns[0]),
            f"{spans:,} span{'s' * (spans != 1)}",
            *([f"{failed:,} error{'s' * (failed != 1)}"] if failed else []),
            *([f"{voids:,} missing"] if voids else []),
        ]
        origin, root_ns = wall.root_ns[0], wall.root_ns[1] - wall.root_ns[0]
        blocks.append(
            Block(
                wall.trace_id,
                " · ".join(facts),
                row,
                len(wall.spans),
                notes,
                lane,
                wall.lanes,
                origin,
                root_ns,
            )
        )
        notes += len(wall.notes)
    return blocks


def _root_name(block: Block) -> str:
    return block.title.split(" · ")[0]


def _name(service: str, operation: str) -> str:
    return f"{display_name(service)} {display_name(operation, TOOLTIP_LENGTH)}"


def _joined(walls: Sequence[Wall], table: str, first: IntArray) -> Pieces:
    spans, starts, ends = [], [], []
    for wall, row in zip(walls, first, strict=True):
        rows: pl.DataFrame = getattr(wall, table)
        rows = rows if table == "lit" else rows.filter(~pl.col("waited"))
        spans.append(rows["span"].to_numpy() + row)
        starts.append(rows["start_ns"].to_numpy() - wall.root_ns[0])
        ends.append(rows["end_ns"].to_numpy() - wall.root_ns[0])
    return Pieces(*(np.concatenate(parts).astype(np.int64) for parts in (spans, starts, ends)))


def _notes(walls: Sequence[Wall], first: IntArray) -> Notes:
    times, spans, levels = [], [], []
    for wall, row in zip(walls, first, strict=True):
        notes = wall.notes
        times.append(notes["time_ns"].to_numpy() - wall.root_ns[0])
        of = notes["span"].fill_null(-1).to_numpy()
        spans.append(np.where(of < 0, -1, of + row))
        levels.append(_levels(notes))
    return Notes(*(np.concatenate(parts).astype(np.int64) for parts in (times, spans, levels)))


def _levels(notes: pl.DataFrame) -> IntArray:
    severity, text = (pl.col(name).fill_null("").str.to_lowercase() for name in ("severity", "text"))
    event = pl.col("kind") == "event"
    bad = pl.when(event).then(text.is_in(_FAILED_EVENTS)).otherwise(severity.str.contains("^(error|fatal)"))
    level = pl.when(bad).then(ERRORS).when(severity.str.starts_with("warn")).then(WARNINGS)
    return (
        notes.select(level.when(event).then(EVENTS).otherwise(LOGS).cast(pl.Int64).alias("level"))
        .to_series()
        .to_numpy()
    )


def _changes(first: IntArray, count: int, pairs: Pairs | None) -> tuple[IntArray, IntArray, IntArray]:
    change, gain = np.full(count, _SAME, np.int64), np.zeros(count, np.int64)
    partner = np.full(count, -1, np.int64)
    if pairs is None:
        return change, gain, partner
    code = pairs.spans["change"].replace_strict(
        list(CHANGES), list(range(len(CHANGES))), return_dtype=pl.Int64
    )
    sides = [pairs.spans[side].fill_null(-1).to_numpy() for side in ("left", "right")]
    rows = [np.where(side < 0, -1, side + row) for side, row in zip(sides, first, strict=True)]
    for mine, other in (rows, rows[::-1]):
        there = mine >= 0
        change[mine[there]] = code.to_numpy()[there]
        gain[mine[there]] = pairs.spans["difference_ns"].to_numpy()[there]
        partner[mine[there]] = other[there]
    return change, gain, partner


def _by_importance(spans: pl.DataFrame) -> list[str]:
    rows = spans.filter(~pl.col("void")).with_columns(length=pl.col("end_ns") - pl.col("start_ns"))
    by_service = rows.group_by("service").agg(pl.col("critical_ns", "length").sum())
    return by_service.sort(
        "critical_ns", "length", "service", descending=[True, True, False]
    )["service"].to_list()  # fmt: skip


def _slots(services: pl.Series, colours: ServiceColours) -> IntArray:
    names = services.unique()
    slots = [int(colours.style(name)[1:]) for name in names]
    table = pl.DataFrame({"service": names, "slot": pl.Series(slots, dtype=pl.Int64)})
    joined = services.to_frame("service").join(table, on="service", how="left", maintain_order="left")
    return joined["slot"].to_numpy()
