"""The waterfall of a trace: a bar a span over time, with the critical path, errors and services."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from tracescape_render.charts.axes import offset_ticks, signed
from tracescape_render.charts.chart import Chart
from tracescape_render.charts.drawing import MARGIN, WIDTH, Drawing, fitted, text_width
from tracescape_render.charts.folding import chosen_rows
from tracescape_render.charts.service_colours import ServiceColours
from tracescape_render.text import TOOLTIP_LENGTH, display_name, duration, share

MOST_SPANS: Final = 120
MOST_SEGMENTS: Final = 400

_ROW: Final = 20.0
_LABELS_END: Final = 318.0
_GUTTER: Final = 327.0
_LEFT: Final = 338.0
_RIGHT: Final = WIDTH - MARGIN - 66.0
_INDENT: Final = 9.0
_DEEPEST: Final = 12
_TICKS: Final = 7


def waterfall(rows: pl.DataFrame, path: pl.DataFrame | None = None, *, title: str = "Trace") -> Chart:
    """Draw ``Trace.waterfall()``; ``path`` is ``Trace.critical_path()`` of the same trace.

    Without ``path`` the whole bars of critical spans are underlined. Of more than `MOST_SPANS` spans those
    that matter most are drawn, and the chart says so.
    """
    drawing = Drawing()
    if rows.is_empty():
        drawing.heading(title, "No spans.")
        return Chart(drawing.finished(title, "No spans."), f"{title}: no spans.")
    chosen = chosen_rows(rows, MOST_SPANS)
    shown = rows[chosen].with_columns(number=pl.Series(chosen))
    facts = _facts(rows)
    drawing.heading(title, facts)
    plot = _Plot(drawing, _Scale.of(rows), ServiceColours(_by_importance(rows)), drawing.bottom + 20)
    plot.axis(len(shown))
    plot.spans(shown, len(rows))
    notes = plot.critical(shown, path)
    if len(shown) < len(rows):
        notes.append(
            f"{len(shown):,} of {len(rows):,} spans are drawn: the critical path, errors, and the longest;"
            " “+n” counts those that are left out below a row. .waterfall() has them all."
        )
    drawing.legend([*plot.colours.legend(), ("path", "critical path"), ("mark", "error")])
    drawing.notes(notes)
    words = " ".join([f"{title}. {facts}.", *_waits(rows), *_failures(rows), *notes])
    return Chart(drawing.finished(title, words), words)


@dataclass(frozen=True)
class _Scale:
    """From offsets in ns to places."""

    first_ns: int
    last_ns: int

    @staticmethod
    def of(rows: pl.DataFrame) -> _Scale:
        first, last = rows.select(
            pl.col("offset_ns").min().alias("first"),
            (pl.col("offset_ns") + pl.col("duration_ns")).max().alias("last"),
        ).row(0)
        return _Scale(first, max(last, first + 1))

    def x(self, offset_ns: int) -> float:
        return _LEFT + (offset_ns - self.first_ns) / (self.last_ns - self.first_ns) * (_RIGHT - _LEFT)


@dataclass(frozen=True)
class _Plot:
    drawing: Drawing
    scale: _Scale
    colours: ServiceColours
    top: float

    def axis(self, rows: int) -> None:
        """Ticks above, lines down through ``rows`` rows."""
        end = self.top + 4 + rows * _ROW
        for at, text in offset_ticks(self.scale.first_ns, self.scale.last_ns, _TICKS):
            x = self.scale.x(at)
            self.drawing.line(x, self.top, x, end, "line")
            if x + text_width(text, "small") / 2 < WIDTH - MARGIN:
                self.drawing.text(x, self.top - 4, text, "quiet small", "middle")
        self.drawing.bottom = end

    def spans(self, shown: pl.DataFrame, total: int) -> None:
        """A row a span: name, mark, bar, duration."""
        numbers = [*shown["number"].to_list(), total]
        marks = []
        for i, row in enumerate(shown.iter_rows(named=True)):
            y = self.top + 4 + i * _ROW
            self._label(row, y, numbers[i + 1] - numbers[i] - 1)
            left = self.scale.x(row["offset_ns"])
            width = max(self.scale.x(row["offset_ns"] + row["duration_ns"]) - left, 1.5)
            left = min(left, _RIGHT - 1.5)
            failed = row["status"] == "error"
            style = f"{'failed' if failed else 'bar'} {self.colours.style(row['service'])}"
            self.drawing.rect(left, y + 4, width, 10, style, _hover(row))
            if failed:
                marks.append((_GUTTER, y + 10))
            self.drawing.text(WIDTH - MARGIN, y + 14, duration(row["duration_ns"]), "quiet small", "end")
        self.drawing.marks(marks)

    def _label(self, row: dict[str, Any], y: float, hidden: int) -> None:
        x = MARGIN + _INDENT * min(row["depth"], _DEEPEST)
        room = _LABELS_END - x
        if hidden:
            more = f"+{hidden:,}"
            self.drawing.text(_LABELS_END, y + 14, more, "quiet small", "end")
            room -= text_width(more, "small") + 6
        name = f"{display_name(row['service'])} {display_name(row['operation'], TOOLTIP_LENGTH)}"
        self.drawing.text(x, y + 14, fitted(name, room))

    def critical(self, shown: pl.DataFrame, path: pl.DataFrame | None) -> list[str]:
        """Underline the critical path, and join its segments; sentences about what is not drawn."""
        place = {span: i for i, span in enumerate(shown["span_id"].to_list())}
        segments = _segments(shown, path)
        drawn = segments[:MOST_SEGMENTS] if path is not None else segments
        before: tuple[int, float] | None = None
        for span_id, begin, end in drawn:
            row = place.get(span_id)
            if row is None:
                before = None
                continue
            left, right = self.scale.x(begin), self.scale.x(end)
            y = self.top + 4 + row * _ROW
            self.drawing.rect(left, y + 14, max(right - left, 1.0), 3, "path")
            if path is not None and before is not None and before[0] != row:
                self.drawing.line(left, self.top + 4 + before[0] * _ROW + 15.5, left, y + 15.5, "way")
            before = (row, right)
        if len(drawn) == len(segments):
            return []
        return [
            f"The first {len(drawn):,} of {len(segments):,} segments of the critical path are underlined."
        ]


def _segments(shown: pl.DataFrame, path: pl.DataFrame | None) -> list[tuple[str, int, int]]:
    """(span, begin, end) with offsets from the main root's start."""
    if path is None:
        critical = shown.filter("critical").with_columns(end=pl.col("offset_ns") + pl.col("duration_ns"))
        return critical.select("span_id", "offset_ns", "end").rows()
    begin = pl.col("start_ns").min()  # the path begins where the main root does
    return path.select("span_id", pl.col("start_ns") - begin, pl.col("end_ns") - begin).rows()


def _by_importance(rows: pl.DataFrame) -> list[str]:
    by_service = rows.group_by("service").agg(pl.col("critical_ns", "duration_ns").sum())
    order = ["critical_ns", "duration_ns", "service"]
    return by_service.sort(order, descending=[True, True, False])["service"].to_list()


def _hover(row: dict[str, Any]) -> str:
    lines = [
        f"{display_name(row['service'], TOOLTIP_LENGTH)} {display_name(row['operation'], TOOLTIP_LENGTH)}",
        f"{duration(row['duration_ns'])}, from {signed(row['offset_ns'])}",
        f"of its own {duration(row['self_ns'])}, on the critical path {duration(row['critical_ns'])}",
    ]
    return "\n".join(lines + ["error"] * (row["status"] == "error"))


def _facts(rows: pl.DataFrame) -> str:
    services, errors = rows["service"].n_unique(), int((rows["status"] == "error").sum())
    spans = f"{len(rows):,} span{'s' * (len(rows) != 1)}"
    return (
        f"{spans} of {services} service{'s' * (services != 1)}, {errors:,} error{'s' * (errors != 1)},"
        f" {duration(int(rows.filter('critical')['critical_ns'].sum()))} of critical path"
    )


def _waits(rows: pl.DataFrame) -> list[str]:
    keys = ["service", "operation"]
    critical = rows.filter("critical").group_by(keys).agg(pl.col("critical_ns").sum())
    total = int(critical["critical_ns"].sum())
    most = critical.sort(["critical_ns", *keys], descending=[True, False, False]).head(3)
    if most.is_empty():
        return []
    parts = [
        f"{display_name(service)} {display_name(operation)} {share(own, total)}"
        for service, operation, own in most.rows()
    ]
    return [f"It waited most for {', '.join(parts)}."]


def _failures(rows: pl.DataFrame) -> list[str]:
    failed = (
        rows.filter(pl.col("status") == "error").select("service", "operation").unique(maintain_order=True)
    )
    names = [
        f"{display_name(service)} {display_name(operation)}" for service, operation in failed.head(5).rows()
    ]
    more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
    return [f"Errors: {', '.join(names)}{more}."] if names else []
