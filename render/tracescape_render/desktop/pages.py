"""The same selection as a world, a flat map, tables, and the trace that was opened."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import polars as pl
from PySide6.QtWidgets import QStackedWidget, QWidget

from tracescape_render.charts.chart import Chart
from tracescape_render.charts.topology import topology_map
from tracescape_render.desktop.drawing_view import DrawingView
from tracescape_render.desktop.tables import Table, arranged
from tracescape_render.palette import Theme
from tracescape_render.scene import Scene
from tracescape_render.snapshot import Snapshot

NAMES: Final = ("World", "Map", "Nodes", "Edges", "Trace")
WORLD, MAP, NODES, EDGES, TRACE = range(len(NAMES))
#: What is beside the world is drawn anew this seldom while things change.
_EVERY_S: Final = 3.0


class Pages(QStackedWidget):
    """One page is seen; the others are brought up to date when they are. ``on_select`` hears of clicks."""

    def __init__(self, world: QWidget, theme: Theme, on_select: Callable[[str], object]) -> None:
        super().__init__()
        self.setObjectName("stack")
        self.map, self.trace = DrawingView(on_select), DrawingView(on_select)
        self.nodes = Table(theme, "service", on_select)
        self.edges = Table(theme, "target", on_select)
        for page in (world, self.map, self.nodes, self.edges, self.trace):
            self.addWidget(page)
        self._opened: Chart | None = None
        self.trace_id: str | None = None  # that of the trace which was opened
        self._filled_at = 0.0

    @property
    def has_trace(self) -> bool:
        """Whether a trace was opened."""
        return self._opened is not None

    def open_trace(self, trace_id: str, chart: Chart) -> None:
        """Keep a trace's waterfall for its page."""
        self.trace_id, self._opened = trace_id, chart
        self.trace.fit()

    def mark(self, service: str | None) -> None:
        """Mark a service in the tables."""
        for table in (self.nodes, self.edges):
            table.mark(service)

    def follow(self, snapshot: Snapshot, scene: Scene, selected: str | None, theme: Theme) -> None:
        """As `fill`, if that is not too soon after the last time."""
        if time.monotonic() - self._filled_at > _EVERY_S:
            self.fill(snapshot, scene, selected, theme)

    def fill(self, snapshot: Snapshot, scene: Scene, selected: str | None, theme: Theme) -> None:
        """Show on the page that is seen what of ``snapshot`` is in ``scene``."""
        self._filled_at = time.monotonic()
        page = self.currentIndex()
        nodes, edges = _kept(snapshot, scene)
        if page == NODES:
            self.nodes.use(arranged(nodes, ("service", "kind", "state")), theme)
            self.nodes.mark(selected)
        elif page == EDGES:
            self.edges.use(arranged(edges, ("source", "target", "connection", "state")), theme)
        elif page == MAP:
            chart, spots = topology_map(nodes, edges, title="Who calls whom", selected=selected)
            self.map.use(chart.svg, theme, spots)
        elif page == TRACE and self._opened is not None:
            self.trace.use(self._opened.svg, theme, {})


def _kept(snapshot: Snapshot, scene: Scene) -> tuple[pl.DataFrame, pl.DataFrame]:
    nodes, edges = snapshot.nodes, snapshot.edges
    if len(scene.services) == len(snapshot.scene.services):
        return nodes, edges
    kept = scene.services
    both = pl.col("source").is_in(kept) & pl.col("target").is_in(kept)
    return nodes.filter(pl.col("service").is_in(kept)), edges.filter(both)
