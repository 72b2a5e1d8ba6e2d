"""Critical time as a list of bars: by service, by operation or by edge, the largest first."""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from tracescape_render.charts.chart import Chart
from tracescape_render.charts.drawing import MARGIN, WIDTH, Drawing, fitted
from tracescape_render.charts.groups import only_group
from tracescape_render.charts.service_colours import ServiceColours
from tracescape_render.text import TOOLTIP_LENGTH, display_name, duration, share

MOST_BARS: Final = 20

_ROW: Final = 22.0
_LABELS_END: Final = 350.0
_LEFT: Final = 362.0
_RIGHT: Final = 790.0


def bars(totals: pl.DataFrame, *, title: str = "What requests waited for") -> Chart:
    """Draw ``critical_path(by="service" | "operation" | "edge")`` of one group.

    The `MOST_BARS` largest have bars of their own; the rest is added up in one.

    Raises:
        ValueError: the frame holds several buckets of time or cohorts.
    """
    only_group(totals)
    drawing = Drawing()
    total = int(totals["critical_ns"].sum())
    if not total:
        drawing.heading(title, "No critical time.")
        return Chart(drawing.finished(title, "No critical time."), f"{title}: no critical time.")
    ordered = totals.sort("critical_ns", descending=True, maintain_order=True)
    rows = list(ordered.head(MOST_BARS).iter_rows(named=True))
    colours = ServiceColours(_service(row) for row in rows)
    facts = f"{duration(total)} of critical time, the time that each owns; {len(totals):,} rows"
    drawing.heading(title, facts)
    most = rows[0]["critical_ns"]
    for row in rows:
        _bar(
            drawing, _name(row), row["critical_ns"], (total, most), colours.style(_service(row)), _hover(row)
        )
    rest = ordered[MOST_BARS:]
    notes = []
    if len(rest):
        left_out = int(rest["critical_ns"].sum())
        _bar(drawing, f"{len(rest):,} more", left_out, (total, max(most, left_out)), "rest", None)
        notes = [
            f"The {MOST_BARS} largest are drawn, {len(rest):,} more are one bar. The frame has them all."
        ]
    drawing.legend(colours.legend())
    drawing.notes(notes)
    parts = [f"{_name(row)} {share(row['critical_ns'], total)}" for row in rows[:5]]
    words = " ".join([f"{title}. {facts}. The largest: {', '.join(parts)}.", *notes])
    return Chart(drawing.finished(title, words), words)


def _bar(
    drawing: Drawing, name: str, own_ns: int, of: tuple[int, int], style: str, hover: str | None
) -> None:
    total, most = of
    y = drawing.bottom
    drawing.text(_LABELS_END, y + 14, fitted(name, _LABELS_END - MARGIN), anchor="end")
    width = max((_RIGHT - _LEFT) * own_ns / most, 1.0)
    drawing.rect(_LEFT, y + 3, width, 14, f"bar {style}", hover)
    drawing.text(868, y + 14, share(own_ns, total), anchor="end")
    drawing.text(WIDTH - MARGIN, y + 14, duration(own_ns), "quiet", "end")
    drawing.bottom = y + _ROW


def _service(row: dict[str, Any]) -> str:
    return str(row["service"] if "service" in row else row["target"])


def _name(row: dict[str, Any]) -> str:
    if "service" not in row:
        source = "(begins)" if row["source"] is None else display_name(row["source"])
        return f"{source} → {display_name(row['target'])}"
    service = display_name(row["service"])
    return f"{service} {display_name(row['operation'], TOOLTIP_LENGTH)}" if "operation" in row else service


def _hover(row: dict[str, Any]) -> str:
    where = f"{row['traces']:,} traces and {row['spans']:,} spans"
    return (
        f"{_name(row)}\n{duration(row['critical_ns'])} in {where}\n"
        f"{duration(row['mean_ns_per_trace'])} a trace, most of it in {row['exemplar']}"
    )
