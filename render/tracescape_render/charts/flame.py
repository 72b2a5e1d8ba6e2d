"""The flame graph of critical time by call path, roots on top: what stands below a frame was called by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from tracescape_render.charts.chart import Chart
from tracescape_render.charts.drawing import MARGIN, WIDTH, Drawing, fitted
from tracescape_render.charts.groups import only_group
from tracescape_render.charts.service_colours import ServiceColours
from tracescape_render.text import TOOLTIP_LENGTH, display_name, duration, share

MOST_FRAMES: Final = 1_200
DEEPEST: Final = 40

_ROW: Final = 21.0
_NARROWEST: Final = 1.2
_ROOM: Final = WIDTH - 2 * MARGIN


@dataclass(frozen=True)
class _Box:
    frame: dict[str, Any]
    left: float
    width: float


def flame(frames: pl.DataFrame, *, title: str = "What requests waited for, by call path") -> Chart:
    """Draw ``critical_path(by="path")`` of one group.

    A frame is as wide as the critical time of it and all it called. Frames that are too narrow, too deep or
    too many are left out; the chart says how many.

    Raises:
        ValueError: the frame holds several buckets of time or cohorts.
    """
    only_group(frames)
    drawing = Drawing()
    total = int(frames.filter(pl.col("parent").is_null())["total_ns"].sum())
    if not total:
        drawing.heading(title, "No critical time.")
        return Chart(drawing.finished(title, "No critical time."), f"{title}: no critical time.")
    boxes = _boxes(frames, total)
    colours = ServiceColours(_by_area(frames))
    facts = f"{duration(total)} of critical time, {len(frames):,} call paths; width is time"
    drawing.heading(title, facts)
    top = drawing.bottom
    for box in boxes:
        _draw(drawing, box, top, colours, total)
    drawing.bottom = top + _ROW * (1 + max(box.frame["depth"] for box in boxes))
    drawing.legend(colours.legend())
    notes = []
    if len(boxes) < len(frames):
        notes.append(
            f"{len(frames) - len(boxes):,} of {len(frames):,} call paths are not drawn: too narrow, or more"
            f" than {DEEPEST} deep. The frame has them all."
        )
    drawing.notes(notes)
    words = " ".join([f"{title}. {facts}.", _largest(frames, total), *notes])
    return Chart(drawing.finished(title, words), words)


def _boxes(frames: pl.DataFrame, total: int) -> list[_Box]:
    # Frames come in depth-first order: a parent has its place before its children ask for theirs.
    width = _ROOM / total
    next_left: dict[int | None, float] = {None: MARGIN}
    boxes = []
    for frame in frames.iter_rows(named=True):
        left = next_left.get(frame["parent"])
        own = frame["total_ns"] * width
        if left is None or own < _NARROWEST or frame["depth"] >= DEEPEST:
            continue
        next_left[frame["parent"]] = left + own
        next_left[frame["frame"]] = left
        boxes.append(_Box(frame, left, own))
    if len(boxes) <= MOST_FRAMES:
        return boxes
    # A frame is never wider than its parent, so that nothing is left to stand on air.
    widest = sorted(range(len(boxes)), key=lambda i: (-boxes[i].width, boxes[i].frame["depth"]))
    return [boxes[i] for i in sorted(widest[:MOST_FRAMES])]


def _draw(drawing: Drawing, box: _Box, top: float, colours: ServiceColours, total: int) -> None:
    frame, service = box.frame, box.frame["service"]
    y = top + _ROW * frame["depth"]
    drawing.rect(box.left, y, box.width, _ROW - 1, f"box {colours.style(service)}", _hover(frame, total))
    operation = display_name(frame["operation"], TOOLTIP_LENGTH)
    room = box.width - 8
    both = f"{display_name(service)} {operation}"
    text = both if fitted(both, room) == both else fitted(operation, room)
    if len(text) > 2:
        drawing.text(box.left + 4, y + 14, text, colours.text_style(service))


def _hover(frame: dict[str, Any], total: int) -> str:
    service = display_name(frame["service"], TOOLTIP_LENGTH)
    return (
        f"{service} {display_name(frame['operation'], TOOLTIP_LENGTH)}\n"
        f"{duration(frame['total_ns'])} with all it called ({share(frame['total_ns'], total)}),"
        f" {duration(frame['critical_ns'])} of its own\n"
        f"{frame['traces']:,} traces, most of it in {frame['exemplar']}"
    )


def _by_area(frames: pl.DataFrame) -> list[str]:
    by_service = frames.group_by("service").agg(pl.col("total_ns").sum())
    return by_service.sort(["total_ns", "service"], descending=[True, False])["service"].to_list()


def _largest(frames: pl.DataFrame, total: int) -> str:
    most = frames.sort(["critical_ns", "frame"], descending=[True, False]).head(5)
    parts = [
        f"{display_name(row['service'])} {display_name(row['operation'])} {share(row['critical_ns'], total)}"
        for row in most.iter_rows(named=True)
    ]
    return f"Most own time: {', '.join(parts)}."
