"""Two critical paths beside each other, step by step: where the bad trace lost its time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import polars as pl

from tracescape_analytics.root_cause.paths import SIDES, change, place_of, shown_steps, spent
from tracescape_render.charts.chart import Chart
from tracescape_render.charts.drawing import MARGIN, WIDTH, Drawing, fitted
from tracescape_render.charts.groups import only_group
from tracescape_render.charts.service_colours import ServiceColours
from tracescape_render.text import TOOLTIP_LENGTH, display_name, duration

MOST_STEPS: Final = 30

_ROW: Final = 20.0
_LABELS_END: Final = 400.0
_LEFTS: Final = (414.0, 688.0)
_ROOM: Final = 192.0
_TIMES_END: Final = 66.0

Row = dict[str, Any]


def two_paths(
    steps: pl.DataFrame,
    *,
    title: str = "What a typical and a bad trace waited for",
    traces: tuple[str, ...] = (),
) -> Chart:
    """Draw ``Diagnosis.paths`` of one cause: ``service, operation, target, typical_ns, bad_ns``.

    A row a step, in the order of the bad trace; both sides have one scale, and each bar begins where the one
    above ends, so that the last ends with the path. Of more than `MOST_STEPS` those are drawn that changed
    most, the others between them are one bar. ``traces`` are the ids of both.

    Raises:
        ValueError: the frame holds the paths of several causes.
    """
    only_group(steps, "rank")
    drawing = Drawing()
    rows = list(steps.iter_rows(named=True))
    if not any(chain.from_iterable((row["typical_ns"], row["bad_ns"]) for row in rows)):
        drawing.heading(title, "No critical time.")
        return Chart(drawing.finished(title, "No critical time."), f"{title}: no critical time.")
    totals = spent(rows)
    drawing.heading(title, *_facts(totals, traces))
    plot = _Plot(drawing, max(totals), ServiceColours(_by_time(rows)))
    groups = shown_steps(rows, MOST_STEPS)
    plot.heads()
    most = max(rows, key=change)
    for group in groups:
        plot.step(group, marked=most in group)
    plot.sums(totals)
    drawing.legend([*plot.colours.legend(), ("path", "changed most")])
    hidden = sum(len(group) for group in groups if len(group) > 1)
    notes = (
        [f"{hidden:,} of {len(rows):,} steps are drawn together: those that changed least."] if hidden else []
    )
    drawing.notes(notes)
    said = f"Changed most: {_name(most)}, {_both(most['typical_ns'], most['bad_ns'])}."
    words = " ".join([f"{title}. {_both(*totals)}.", said, *notes])
    return Chart(drawing.finished(title, words), words)


@dataclass
class _Plot:
    """``ends``: where the last bar of either side ended, in ns."""

    drawing: Drawing
    longest_ns: int
    colours: ServiceColours
    ends: tuple[int, int] = (0, 0)

    def heads(self) -> None:
        """Which side is which."""
        self.drawing.bottom += 14
        for side, left in zip(SIDES, _LEFTS, strict=True):
            self.drawing.text(left, self.drawing.bottom, side, "small")
        self.drawing.bottom += 6

    def step(self, group: list[Row], *, marked: bool) -> None:
        """A row: what it is, its bar on either side, and how long."""
        y, times = self.drawing.bottom, spent(group)
        one = group[0] if len(group) == 1 else None
        name = _name(one) if one else f"… {len(group)} steps more"
        self.drawing.text(MARGIN, y + 14, fitted(name, _LABELS_END - MARGIN), "" if one else "quiet")
        style = f"bar {self.colours.style(one['service'])}" if one else "rest"
        hover = f"{_name(one, TOOLTIP_LENGTH) if one else name}\n{_both(*times)}"
        for left, end, time in zip(_LEFTS, self.ends, times, strict=True):
            self._bar(left, end, time, y, style, hover, marked=marked)
        self.ends = self.ends[0] + times[0], self.ends[1] + times[1]
        self.drawing.bottom = y + _ROW

    def _bar(
        self, left: float, end_ns: int, time_ns: int, y: float, style: str, hover: str, *, marked: bool
    ) -> None:
        x, width = left + self._width(end_ns), max(self._width(time_ns), 1.5)
        if time_ns:
            self.drawing.rect(x, y + 4, width, 11, style, hover)
        else:  # not a step of this trace: where it would be
            self.drawing.line(x, y + 4, x, y + 15, "line")
        if marked:
            self.drawing.rect(x, y + 15, width, 3, "path")
        said = duration(time_ns) if time_ns else "–"
        self.drawing.text(
            left + _ROOM + _TIMES_END, y + 14, said, "small" if marked else "quiet small", "end"
        )

    def sums(self, totals: tuple[int, int]) -> None:
        """What all steps add up to."""
        y = self.drawing.bottom + 4
        self.drawing.line(MARGIN, y, WIDTH - MARGIN, y, "line")
        self.drawing.text(MARGIN, y + 15, "in all")
        for left, total in zip(_LEFTS, totals, strict=True):
            self.drawing.text(left + _ROOM + _TIMES_END, y + 15, duration(total), "small", "end")
        self.drawing.bottom = y + _ROW

    def _width(self, ns: int) -> float:
        return ns / self.longest_ns * _ROOM


def _name(row: Row, length: int | None = None) -> str:
    return place_of(row, lambda text: display_name(text) if length is None else display_name(text, length))


def _both(typical_ns: int, bad_ns: int) -> str:
    before, after = (duration(ns) if ns else "not at all" for ns in (typical_ns, bad_ns))
    return f"{before} in the typical trace, {after} in the bad one"


def _facts(totals: tuple[int, int], traces: tuple[str, ...]) -> list[str]:
    ids = [f"typical trace {traces[0]}, bad trace {traces[1]}"] if traces else []
    return [*ids, f"{_both(*totals)}; steps in the order of the bad one, one below the other as time passes"]


def _by_time(rows: list[Row]) -> list[str]:
    return [row["service"] for row in sorted(rows, key=lambda row: -max(row["typical_ns"], row["bad_ns"]))]
