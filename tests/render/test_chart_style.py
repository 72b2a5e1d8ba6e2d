"""Charts in a viewer of SVG that knows less than a browser: no variables, no outlines below text."""

import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from support.svg import Drawn
from tracescape_render.charts import Chart, topology_chart, two_paths
from tracescape_render.charts.style import STYLE, plain
from tracescape_render.palette import CHART_LIGHT, DARK, LIGHT, SERVICE_COLOURS, Theme

#: Prints the colours at places of a picture of the file, and what of it is how dark.
LOOK = """
import json, sys
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer
application = QGuiApplication([])
drawing = QSvgRenderer(sys.argv[1])
image = QImage(drawing.defaultSize(), QImage.Format.Format_RGB32)
painter = QPainter(image)
drawing.render(painter)
painter.end()
print(json.dumps([image.pixelColor(*place).name() for place in json.loads(sys.argv[2])]))
"""


def seen(chart: Chart, folder: Path, places: list[tuple[int, int]]) -> list[str]:
    """The colours at places of the chart, as Qt draws it."""
    pytest.importorskip("PySide6.QtSvg")
    asked = [sys.executable, "-c", LOOK, str(chart.save(folder / "chart.svg")), json.dumps(places)]
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(asked, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    colours: list[str] = json.loads(done.stdout)
    return colours


@cache
def paths() -> Chart:
    row = {"rank": 1, "step": 1, "service": "web", "operation": "GET /", "target": None}
    return two_paths(pl.DataFrame([{**row, "typical_ns": 50, "bad_ns": 90}]))


def topology() -> Chart:
    figures = {"calls": 5, "errors": 0, "state": "healthy", "p50_ns": 1, "p95_ns": 1, "p99_ns": 1}
    nodes = pl.DataFrame([{"service": "█████", "kind": "service", **figures}])
    edges = pl.DataFrame(
        schema={"source": pl.String, "target": pl.String, "state": pl.String, "calls": pl.Int64}
    )
    return topology_chart(nodes, edges)


def test_shapes_have_their_colours_where_variables_are_unknown(tmp_path: Path) -> None:
    bar = next(box for box in Drawn(paths().svg).rects if box.text)
    ground, colour = seen(paths(), tmp_path, [(480, 4), (round(bar.left + 20), round(bar.top + 5))])
    assert ground == CHART_LIGHT[0]
    assert colour in SERVICE_COLOURS


def test_text_is_not_covered_by_its_outline_where_that_cannot_stand_below_it(tmp_path: Path) -> None:
    chart = topology()
    name = next(box for box in Drawn(chart.svg).texts if "█" in box.text)
    across = [(x, round(name.bottom - 3)) for x in range(round(name.left), round(name.right))]
    assert CHART_LIGHT[1] in seen(chart, tmp_path, across)


def test_variables_and_outlines_stand_where_only_those_look_that_know_them() -> None:
    everywhere = re.sub(r"@supports\([^{]*\)\{\n.*?\n\}", "", STYLE, flags=re.DOTALL)
    assert "var(" not in everywhere and "paint-order" not in everywhere
    assert "var(" in STYLE and "paint-order" in STYLE


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_a_plain_chart_has_one_dress(theme: Theme) -> None:
    svg = plain(paths().svg, theme)
    assert "var(" not in svg and "@" not in svg and "halo" not in svg.split("</style>")[0]
    Drawn(svg).check()
