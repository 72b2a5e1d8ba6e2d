"""Charts: nothing outside the view, no text on another, the numbers as lengths, bounded, and no graphics."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_reader import reader, span, trace_bytes
from support.svg import Drawn
from tracescape_analytics.critical_path import critical_path
from tracescape_analytics.latency import latency
from tracescape_analytics.trace import Trace, load_trace
from tracescape_render import RenderError, palette
from tracescape_render.charts import Chart, bars, chart_of, flame, heat_map, table, waterfall
from tracescape_render.charts.axes import clock_ticks, offset_ticks
from tracescape_render.charts.drawing import WIDTH, fitted, text_width
from tracescape_render.charts.folding import chosen_rows
from tracescape_render.charts.waterfall import MOST_SPANS

MS = 1_000_000
DAY = 1_700_000_000_000_000_000
HOSTILE = "<script>alert('&')</script>]]>\"\x00\x1b[31m\u202e" + "W" * 400

REQUEST = [
    span("A", service="web", operation="GET /", start=DAY, end=DAY + 100 * MS, kind="server", status="error"),
    span("B", "A", service="web", operation="call", start=DAY + 10 * MS, end=DAY + 60 * MS, kind="client"),
    span("C", "B", service="cart", operation="get", start=DAY + 20 * MS, end=DAY + 50 * MS, kind="server"),
    span("D", "A", service="db", operation="select", start=DAY + 20 * MS, end=DAY + 25 * MS),
]


def loaded(*rows: dict[str, object]) -> Trace:
    return load_trace(reader(*rows), trace_bytes("t"))


def drawn(chart: Chart) -> Drawn:
    found = Drawn(chart.svg)
    found.check()
    assert len(chart.svg) < 400_000
    assert chart.text and repr(chart) == chart.text
    return found


def wide(children: int) -> Trace:
    rows = [span("root", start=DAY, end=DAY + children * 1_000)]
    for i in range(children):
        begin = DAY + i * 1_000
        state = "error" if i == children // 2 else "unset"
        rows.append(span(f"c{i}", "root", operation=f"op {i}", start=begin, end=begin + 900, status=state))
    return loaded(*rows)


def test_a_waterfall_has_a_bar_a_span_as_long_as_it_took() -> None:
    trace = loaded(*REQUEST)
    found = drawn(waterfall(trace.waterfall(), trace.critical_path(), title="Trace t"))
    bars_ = [box for box in found.rects if box.text]
    assert [box.text.split("\n")[0] for box in bars_] == ["web GET /", "web call", "cart get", "db select"]
    whole = bars_[0].width
    assert [box.width / whole for box in bars_] == pytest.approx([1, 0.5, 0.3, 0.05], abs=0.002)
    assert [(box.left - bars_[0].left) / whole for box in bars_] == pytest.approx(
        [0, 0.1, 0.2, 0.2], abs=0.002
    )
    assert "30 ms, from 20 ms\nof its own 30 ms, on the critical path 30 ms" in bars_[2].text
    assert "error" in bars_[0].text and "failed" in bars_[0].style
    assert found.marks == 2, "the failed span and the legend"


def test_the_underlined_segments_are_the_critical_path() -> None:
    trace = loaded(*REQUEST)
    found = drawn(waterfall(trace.waterfall(), trace.critical_path()))
    *segments, _legend = found.styled("path")
    root = next(box for box in found.rects if box.text)
    assert len(segments) == len(trace.critical_path())
    assert sum(box.width for box in segments) == pytest.approx(root.width, abs=0.5)
    *underlines, _ = drawn(waterfall(trace.waterfall())).styled("path")
    assert len(underlines) == 3, "without the path, the spans that own some of it"


def test_a_waterfall_says_in_words_what_it_shows() -> None:
    trace = loaded(*REQUEST)
    chart = waterfall(trace.waterfall(), trace.critical_path(), title="Trace t")
    assert chart.text == (
        "Trace t. 4 spans of 3 services, 1 error, 100 ms of critical path. It waited most for web GET / 50 %,"
        " cart get 30 %, web call 20 %. Errors: web GET /."
    )
    root = Drawn(chart.svg).root
    assert root.attrib["role"] == "img" and root.attrib["aria-label"] == "Trace t"


def test_thousands_of_spans_are_cut_to_those_that_matter() -> None:
    trace = wide(3_000)
    chart = waterfall(trace.waterfall(), trace.critical_path())
    found = drawn(chart)
    shown = [box.text.split("\n")[0] for box in found.rects if box.text]
    assert len(shown) == MOST_SPANS
    assert "app op 1500" in shown, "the error"
    assert shown[0] == "app work"
    assert f"{MOST_SPANS} of 3,001 spans are drawn" in chart.text
    hidden = [int(box.text[1:].replace(",", "")) for box in found.texts if box.text.startswith("+")]
    assert sum(hidden) == 3_001 - MOST_SPANS


@pytest.mark.parametrize("most", [1, 2, 7])
def test_the_main_root_is_drawn_however_few_rows_are(most: int) -> None:
    """It owns no time itself, has no error, and others of depth 0 stand before it."""
    long = [span(f"l{i}", "root", start=DAY + i * 1_000, end=DAY + (i + 1) * 1_000) for i in range(40)]
    below = [span(f"d{i}", f"d{i - 1}" if i else "l3", start=DAY + 3_000, end=DAY + 4_000) for i in range(20)]
    lost = span("lost", "nowhere", start=DAY - 10, end=DAY - 5, status="error")
    rows = loaded(lost, span("root", start=DAY, end=DAY + 40_000), *long, *below).waterfall()
    (root,) = (rows["span_id"] == trace_bytes("root")[-8:].hex()).arg_true()
    chosen = chosen_rows(rows, most).tolist()
    assert root in chosen and len(chosen) == most
    assert rows["critical"].any() and not rows["critical"][root]


@pytest.mark.parametrize("most", [0, 1, 5])
def test_where_nothing_is_critical_the_first_row_is_drawn(most: int) -> None:
    rows = wide(9).waterfall().with_columns(critical=False, critical_ns=pl.lit(0))
    chosen = chosen_rows(rows, most).tolist()
    assert len(chosen) == most and chosen[:1] == [0][:most]


def test_a_deep_trace_stays_inside_the_view() -> None:
    deep = 4_000
    rows = [
        span(f"d{i}", f"d{i - 1}" if i else None, start=DAY + i, end=DAY + 10_000 - i) for i in range(deep)
    ]
    trace = loaded(*rows)
    drawn(waterfall(trace.waterfall(), trace.critical_path()))


@given(
    st.lists(
        st.tuples(
            st.integers(0, 400), st.integers(-50, 10**12), st.integers(0, 10**12), st.sampled_from("ue")
        ),
        min_size=1,
        max_size=40,
    )
)
def test_any_trace_can_be_drawn(shape: list[tuple[int, int, int, str]]) -> None:
    rows = [
        span(
            f"s{i}",
            f"s{parent % i}" if i and parent % 5 else None,
            service=f"{'service ' * (parent % 7)}{parent % 11}",
            start=DAY + start,
            end=DAY + start + length,
            status="error" if state == "e" else "unset",
        )
        for i, (parent, start, length, state) in enumerate(shape)
    ]
    trace = loaded(*rows)
    found = drawn(waterfall(trace.waterfall(), trace.critical_path()))
    assert len([box for box in found.rects if box.text]) == len(trace.spans)


def test_a_flame_graph_stands_on_its_roots() -> None:
    frames = critical_path(reader(*REQUEST), by="path")
    found = drawn(flame(frames))
    boxes = {box.text.split("\n")[0]: box for box in found.styled("box")}
    root, call, get = boxes["web GET /"], boxes["web call"], boxes["cart get"]
    assert root.width == pytest.approx(WIDTH - 28, abs=0.2)
    assert (call.width / root.width, get.width / root.width) == pytest.approx((0.5, 0.3), abs=0.002)
    for below, above in ((call, root), (get, call)):
        assert above.left - 0.1 <= below.left and below.right <= above.right + 0.1
        assert below.top > above.top
    assert "100 ms with all it called (100 %), 50 ms of its own" in root.text


def test_narrow_and_deep_frames_are_counted_not_drawn() -> None:
    rows = [span("root", start=DAY, end=DAY + 10_000_000)]
    for i in range(3_000):
        begin = DAY + i * 3_000
        rows.append(span(f"c{i}", "root", operation=f"op {i}", start=begin, end=begin + 2_900))
    chart = flame(critical_path(reader(*rows), by="path"))
    found = drawn(chart)
    assert len(found.styled("box")) < 100
    assert "of 3,001 call paths are not drawn" in chart.text


def test_bars_are_as_long_as_their_share_and_the_rest_is_one_bar() -> None:
    rows = [
        span(f"r{i}", trace=f"t{i}", service=f"s{i}", start=DAY, end=DAY + (60 - i) * MS) for i in range(40)
    ]
    totals = critical_path(reader(*rows))
    chart = bars(totals)
    found = drawn(chart)
    drawn_bars = found.styled("bar")
    assert len(drawn_bars) == 21
    assert drawn_bars[1].width / drawn_bars[0].width == pytest.approx(59 / 60, abs=0.002)
    assert "20 more are one bar" in chart.text
    assert "s0 work" in chart.text


@pytest.mark.parametrize("by", ["service", "operation", "edge"])
def test_bars_name_what_they_stand_for(by: str) -> None:
    found = drawn(bars(critical_path(reader(*REQUEST), by=by)))
    names = {"service": "cart", "operation": "web GET /", "edge": "(begins) → web"}
    assert names[by] in [box.text for box in found.texts]


def spread(count: int) -> pl.DataFrame:
    rng = np.random.default_rng(5)
    lengths = np.exp(rng.normal(np.log(2e7), 1.5, count)).astype(np.int64)
    rows = [
        span(
            f"s{i}",
            trace=f"t{i}",
            start=DAY + i * 100_000_000,
            end=DAY + i * 100_000_000 + int(length),
            status="error" if i % 97 == 0 else "unset",
        )
        for i, length in enumerate(lengths)
    ]
    return latency(reader(*rows))


def test_a_heat_map_has_a_cell_a_row_in_its_place() -> None:
    cells = spread(2_000)
    chart = heat_map(cells)
    found = drawn(chart)
    boxes = [box for box in found.rects if "\n" in box.text]
    assert len(boxes) == len(cells)
    slow = max(range(len(cells)), key=lambda i: cells["low_ns"][i])
    assert boxes[slow].top == min(box.top for box in boxes)
    assert boxes[0].left == min(box.left for box in boxes)
    assert found.marks == (cells["errors"] > 0).sum() + 1
    assert f"{cells['spans'].sum():,} spans" in chart.text and "Most errors" in chart.text
    darkest = max(box.style for box in boxes)
    assert boxes[cells["spans"].arg_max() or 0].style == darkest


def test_many_buckets_of_time_are_added_up() -> None:
    start = pl.int_range(0, 1_000, eager=True) * 1_000 + DAY
    cells = pl.DataFrame(
        {"start_ns": start, "end_ns": start + 1_000, "low_ns": 10, "high_ns": 16, "spans": 3, "errors": 0}
    ).with_columns(exemplar=pl.lit("0" * 32))
    chart = heat_map(cells)
    boxes = [box for box in drawn(chart).rects if "\n" in box.text]
    assert len(boxes) <= 120
    assert "9 buckets of time are drawn as one." in chart.text
    assert "27 spans" in boxes[0].text


def test_nothing_gives_a_picture_that_says_so() -> None:
    trace = loaded(*REQUEST)
    empty = [
        waterfall(trace.waterfall().clear()),
        flame(critical_path(reader(*REQUEST), by="path").clear()),
        bars(critical_path(reader(*REQUEST)).clear()),
        heat_map(spread(3).clear()),
    ]
    for chart in empty:
        assert len(drawn(chart).texts) == 2
        assert ": no " in chart.text


def test_names_from_telemetry_are_only_text() -> None:
    rows = [dict(row, service=HOSTILE, operation=HOSTILE[:40]) for row in REQUEST]
    trace = loaded(*rows)
    store = reader(*rows)
    charts = [
        waterfall(trace.waterfall(), trace.critical_path(), title=f"Trace of {HOSTILE[:20]}"),
        flame(critical_path(store, by="path")),
        bars(critical_path(store)),
        heat_map(latency(store)),
    ]
    for chart in charts:
        found = drawn(chart)
        assert not list(found.root.iter("{http://www.w3.org/2000/svg}script"))
        assert "\x1b" not in chart.svg and "\u202e" not in chart.svg
    assert "<script" not in table(trace.waterfall(), caption=HOSTILE, note=HOSTILE)


def test_a_chart_is_chosen_by_the_columns() -> None:
    trace = loaded(*REQUEST)
    assert "of critical path" in chart_of(trace.waterfall()).text
    assert "call paths" in chart_of(critical_path(reader(*REQUEST), by="path")).text
    assert "the time that each owns" in chart_of(critical_path(reader(*REQUEST), by="edge")).text
    assert "Durations" in chart_of(spread(10)).text
    with pytest.raises(ValueError, match=r"a chart needs all columns of trace\.waterfall"):
        chart_of(pl.DataFrame({"a": [1]}))


def test_several_groups_are_not_drawn_as_one() -> None:
    rows = [span(f"r{i}", trace=f"t{i}", start=DAY, end=DAY + (i + 1) * MS) for i in range(20)]
    for by in ("operation", "path"):
        cohorts = critical_path(reader(*rows), by=by, slowest=0.1)
        with pytest.raises(ValueError, match=r"frame\.filter\(pl\.col\('cohort'\) == 'slowest'\)"):
            chart_of(cohorts)
        drawn(chart_of(cohorts.filter(pl.col("cohort") == "slowest")))


def test_a_chart_is_saved_whole_or_not_at_all(tmp_path: Path) -> None:
    chart = heat_map(spread(10))
    assert chart.save(tmp_path / "x.svg").read_text(encoding="utf-8") == chart.svg
    with pytest.raises(RenderError, match="no SVG file"):
        chart.save(tmp_path / "x.png")
    with pytest.raises(RenderError, match="cannot be written"):
        chart.save(tmp_path / "missing" / "x.svg")
    assert [file.name for file in tmp_path.iterdir()] == ["x.svg"]


def test_charts_load_no_graphics() -> None:
    code = "import sys, tracescape_render.charts; print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert not {"vtk", "vtkmodules", "pyvista", "matplotlib"} & set(ran.stdout.split())


def test_texts_are_never_wider_than_their_room() -> None:
    for text in ("GET /api/checkout", "支払い" * 30, "WWWW" * 20, "ill" * 50, "x"):
        for room in (3, 20, 71, 300):
            assert text_width(fitted(text, room)) <= room
    assert fitted("short", 200) == "short"
    assert fitted("x" * 50, 100).endswith("…")


def test_ticks_are_where_people_expect_them() -> None:
    assert offset_ticks(-7, 31, 5) == [(0, "0"), (10, "10 ns"), (20, "20 ns"), (30, "30 ns")]
    assert [text for _, text in offset_ticks(0, 1_930_000_000, 7)] == ["0", "500 ms", "1 s", "1.5 s"]
    minutes = clock_ticks(DAY, DAY + 480 * 10**9, 9)
    assert len(minutes) == 8 and all(at % (60 * 10**9) == 0 for at, _ in minutes)
    assert all(len(text) == 5 and text[2] == ":" for _, text in minutes)
    assert [text for _, text in clock_ticks(DAY, DAY + 10**9, 4)] == ["0", "+500 ms", "+1 s"]


@pytest.mark.parametrize("colours", [palette.SERVICE_COLOURS, palette.SERVICE_COLOURS_DARK])
def test_services_are_told_apart_by_colour_blind_people(colours: tuple[str, ...]) -> None:
    """Distances in OKLab, as each deficiency sees them (matrices of Machado, Oliveira, Fernandes, 2009)."""
    seen = {
        "all cones": np.eye(3),
        "no L": np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
        "no M": np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]),
        "no S": np.array([[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]]),
    }
    colours = colours[:-1]
    rgb = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in colours]) / 255
    light = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    for name, matrix in seen.items():
        lab = _oklab(np.clip(light @ matrix.T, 0, 1))
        distances = np.linalg.norm(lab[:, None] - lab[None], axis=2)
        assert distances[np.triu_indices(len(colours), 1)].min() > 0.1, name


def _oklab(light: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> np.ndarray:
    cones = np.array([[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]])
    axes = np.array([[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]])
    return np.cbrt(light @ cones.T) @ axes.T


def test_a_table_speaks_of_units_and_of_what_it_leaves_out() -> None:
    frame = pl.DataFrame(
        {
            "operation": ["a", "b & c", None],
            "start_ns": [DAY, DAY + MS, None],
            "offset_ns": [-1_500, 0, None],
            "share": [0.25, float("nan"), None],
            "calls": [12_345, 2**40, None],
            "services": [["x", "y"], [], None],
            "ok": [True, False, None],
            "depth": [0, 3, None],
        }
    )
    page = table(frame, note="more of it", rows=2)
    for text in ("−1.5 µs", "25.0 %", "12,345", "x, y", "b &amp; c", "2 of 3 rows · more of it", ">yes<"):
        assert text in page, text
    assert f'title="{DAY} ns"' in page
    assert 'title="Int64">calls<' in page
    whole = table(frame)
    assert '<div style="opacity:.65">3 rows</div>' in whole and "–" in whole
    wide_frame = pl.DataFrame({f"c{i}": [i] for i in range(40)})
    assert "1 row, 24 of 40 columns" in table(wide_frame)
    assert "0 rows" in table(frame.clear())
    huge = pl.DataFrame({"start_ns": pl.Series([2**63 + 5], dtype=pl.UInt64), "p95_ns": [float("inf")]})
    assert "–" in table(huge)
