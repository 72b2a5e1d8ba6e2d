"""Charts as SVG: pure functions from documented frames to pictures, with hover texts and words beside them.

No graphics library and no display is needed. Every text of telemetry passes through
``tracescape_render.text`` and is escaped; every chart is bounded and says what it left out.
"""

from tracescape_render.charts.bars import bars
from tracescape_render.charts.chart import Chart
from tracescape_render.charts.choosing import chart_of
from tracescape_render.charts.flame import flame
from tracescape_render.charts.heat_map import heat_map
from tracescape_render.charts.table import table
from tracescape_render.charts.topology import topology_chart
from tracescape_render.charts.two_paths import two_paths
from tracescape_render.charts.waterfall import waterfall

__all__ = [
    "Chart",
    "bars",
    "chart_of",
    "flame",
    "heat_map",
    "table",
    "topology_chart",
    "two_paths",
    "waterfall",
]
