"""When spans were how slow: a map of time and duration, the darker the more, errors marked."""

from __future__ import annotations

import math
from typing import Any, Final, cast

import polars as pl

from tracescape_render.charts.axes import clock_ticks, moment
from tracescape_render.charts.chart import Chart
from tracescape_render.charts.drawing import MARGIN, WIDTH, Drawing
from tracescape_render.palette import DENSITY_LIGHT
from tracescape_render.text import duration

MOST_COLUMNS: Final = 120

_LEFT: Final = 78.0
_RIGHT: Final = WIDTH - MARGIN
_HEIGHT: Final = 330.0
_LEVELS: Final = len(DENSITY_LIGHT)
_TICKS: Final = 9


def heat_map(cells: pl.DataFrame, *, title: str = "Durations over time") -> Chart:
    """Draw ``latency()``: ``start_ns, end_ns, low_ns, high_ns, spans, errors, exemplar``.

    Of more than `MOST_COLUMNS` buckets of time neighbours are added up.
    """
    drawing = Drawing()
    if cells.is_empty():
        drawing.heading(title, "No spans.")
        return Chart(drawing.finished(title, "No spans."), f"{title}: no spans.")
    cells, folded = _merged(cells)
    grid = _Grid(cells)
    facts = (
        f"{cells['spans'].sum():,} spans, {cells['errors'].sum():,} with errors,"
        f" {moment(grid.since_ns)} – {moment(grid.until_ns)}, local time"
    )
    drawing.heading(title, facts)
    grid.top = drawing.bottom + 6
    _axes(drawing, grid)
    levels = _Levels(cast("int", cells["spans"].max()))
    for cell in cells.iter_rows(named=True):
        x, y = grid.x(cell["start_ns"]), grid.y(cell["high_ns"])
        width, height = grid.x(cell["end_ns"]) - x - 0.8, grid.y(cell["low_ns"]) - y - 0.8
        drawing.rect(x, y, width, height, f"d{levels.of(cell['spans'])}", _hover(cell))
    size = min(3.5, grid.cell_height / 2 - 0.5, grid.cell_width / 2)
    failed = cells.filter(pl.col("errors") > 0).iter_rows(named=True)
    drawing.marks([grid.middle(cell) for cell in failed], max(size, 1.5))
    drawing.bottom = grid.bottom + 20
    drawing.legend([*levels.legend(), ("mark", "with errors")])
    notes = [f"{folded} buckets of time are drawn as one."] if folded > 1 else []
    drawing.notes(notes)
    words = " ".join([f"{title}. {facts}.", *_worst(cells), *notes])
    return Chart(drawing.finished(title, words), words)


def _merged(cells: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """The cells, with so many buckets of time in one that they can be drawn; and how many those are."""
    first, last = cells.select(pl.col("start_ns").min(), pl.col("end_ns").max()).row(0)
    step = cast("int", (cells["end_ns"] - cells["start_ns"]).min())
    factor = math.ceil((last - first) / step / MOST_COLUMNS)
    if factor <= 1:
        return cells, 1
    wide = step * factor
    start = (pl.col("start_ns") - first) // wide * wide + first
    merged = cells.group_by(start, "low_ns", "high_ns").agg(
        pl.col("spans", "errors").sum(), pl.col("exemplar").last()
    )
    return merged.with_columns(end_ns=pl.col("start_ns") + wide).sort("start_ns", "low_ns"), factor


class _Grid:
    """From times and durations to places; the height of a row is that of a bucket of durations."""

    def __init__(self, cells: pl.DataFrame) -> None:
        ends: tuple[int, int, int, int] = cells.select(
            pl.col("start_ns").min(), pl.col("end_ns").max(), pl.col("low_ns").min(), pl.col("high_ns").max()
        ).row(0)
        self.since_ns, self.until_ns, self.low_ns, self.high_ns = ends
        one = cells.row(0, named=True)
        self._low = _log(self.low_ns)
        self._decades = max(_log(self.high_ns) - self._low, 1e-9)
        self.cell_width = (
            (_RIGHT - _LEFT) * (one["end_ns"] - one["start_ns"]) / (self.until_ns - self.since_ns)
        )
        self.height = min(_HEIGHT, 70 * self._decades + 40)
        self.cell_height = self.height * (_log(one["high_ns"]) - _log(one["low_ns"])) / self._decades
        self.top = 0.0

    @property
    def bottom(self) -> float:
        return self.top + self.height

    def x(self, at_ns: int) -> float:
        return _LEFT + (at_ns - self.since_ns) / (self.until_ns - self.since_ns) * (_RIGHT - _LEFT)

    def y(self, duration_ns: int) -> float:
        return self.bottom - (_log(duration_ns) - self._low) / self._decades * self.height

    def middle(self, cell: dict[str, Any]) -> tuple[float, float]:
        x = (self.x(cell["start_ns"]) + self.x(cell["end_ns"]) - 0.8) / 2
        return x, (self.y(cell["low_ns"]) + self.y(cell["high_ns"]) - 0.8) / 2


def _axes(drawing: Drawing, grid: _Grid) -> None:
    for at, text in clock_ticks(grid.since_ns, grid.until_ns, _TICKS):
        x = grid.x(at)
        drawing.line(x, grid.top, x, grid.bottom + 4, "line")
        drawing.text(min(max(x, _LEFT), _RIGHT - 26), grid.bottom + 17, text, "quiet small", "middle")
    decades = range(math.ceil(_log(grid.low_ns) - 1e-9), math.floor(_log(grid.high_ns) + 1e-9) + 1)
    labels = [10**decade for decade in decades] or [grid.low_ns]
    for duration_ns in labels:
        y = grid.y(duration_ns)
        drawing.line(_LEFT - 4, y, _RIGHT, y, "line")
        drawing.text(_LEFT - 8, y + 4, duration(duration_ns), "quiet small", "end")


class _Levels:
    """How dark a number of spans is: even steps of its logarithm."""

    def __init__(self, most: int) -> None:
        span = math.log(max(most, 2))
        bounds = {math.ceil(math.exp(span * i / _LEVELS) - 1e-9) for i in range(_LEVELS)}
        self._bounds = sorted(bounds)
        self._most = most

    def of(self, spans: int) -> int:
        """The level, from 0."""
        return self._shade(sum(spans >= bound for bound in self._bounds) - 1)

    def legend(self) -> list[tuple[str, str]]:
        ends = [bound - 1 for bound in self._bounds[1:]] + [max(self._most, self._bounds[-1])]
        texts = [
            f"{low:,}" if low == high else f"{low:,}–{high:,}"
            for low, high in zip(self._bounds, ends, strict=True)
        ]
        texts[-1] += " spans"
        return [(f"d{self._shade(i)}", text) for i, text in enumerate(texts)]

    def _shade(self, level: int) -> int:
        steps = len(self._bounds) - 1
        return round(level * (_LEVELS - 1) / steps) if steps else _LEVELS // 2


def _log(duration_ns: int) -> float:
    return math.log10(max(duration_ns, 1))


def _hover(cell: dict[str, Any]) -> str:
    errors = f", {cell['errors']:,} with errors" if cell["errors"] else ""
    return (
        f"{moment(cell['start_ns'])}, {duration(cell['low_ns'])} to {duration(cell['high_ns'])}\n"
        f"{cell['spans']:,} span{'s' * (cell['spans'] != 1)}{errors}\ntrace {cell['exemplar']}"
    )


def _worst(cells: pl.DataFrame) -> list[str]:
    slowest = cells.sort(["high_ns", "start_ns"]).row(-1, named=True)
    by_duration = cells.group_by("low_ns", "high_ns").agg(pl.col("spans").sum())
    most = by_duration.sort(["spans", "low_ns"]).row(-1, named=True)
    words = [
        f"The most common duration is {duration(most['low_ns'])} to {duration(most['high_ns'])};"
        f" the slowest, {duration(slowest['low_ns'])} to {duration(slowest['high_ns'])},"
        f" began at {moment(slowest['start_ns'])} (trace {slowest['exemplar']})."
    ]
    failed = cells.group_by("start_ns").agg(pl.col("errors").sum()).filter(pl.col("errors") > 0)
    if len(failed):
        at, errors = failed.sort(["errors", "start_ns"]).row(-1)
        words.append(f"Most errors, {errors:,}, began at {moment(at)}.")
    return words
