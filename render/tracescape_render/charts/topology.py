"""Who calls whom, from left to right: circles as large as their calls, arrows as wide as theirs."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import polars as pl

from tracescape_render.charts.chart import Chart
from tracescape_render.charts.drawing import MARGIN, WIDTH, Drawing, fitted
from tracescape_render.charts.layers import Layers, layered
from tracescape_render.palette import IDLE, SEVERITY, STATES, state_codes
from tracescape_render.text import TOOLTIP_LENGTH, display_name, duration, share

MOST_NODES: Final = 60
MOST_EDGES: Final = 200

_ROW: Final = 66.0
_LARGEST: Final = 17.0
_SMALLEST: Final = 6.0
_WIDEST: Final = 6.0
_NARROWEST: Final = 1.2
_HEAD: Final = 7.0

Row = dict[str, Any]
Point = tuple[float, float]


class Spot(NamedTuple):
    """Where a node stands in a drawing: its middle and its radius."""

    x: float
    y: float
    radius: float


def topology_chart(nodes: pl.DataFrame, edges: pl.DataFrame, *, title: str = "Who calls whom") -> Chart:
    """Draw the ``nodes`` and ``edges`` of a topology as docs/columns.md has them.

    Of more than 60 nodes or 200 edges those are left out that matter least: well and with few calls. Edges of
    several connections between the same two are one arrow.
    """
    return topology_map(nodes, edges, title=title)[0]


def topology_map(
    nodes: pl.DataFrame, edges: pl.DataFrame, *, title: str, selected: str | None = None
) -> tuple[Chart, dict[str, Spot]]:
    """As `topology_chart`, with a ring around a node, and where those stand that are drawn, by name."""
    drawing = Drawing()
    shown = _most_important(nodes, MOST_NODES)
    if not shown:
        drawing.heading(title, "No calls.")
        return Chart(drawing.finished(title, "No calls."), f"{title}: no calls."), {}
    names = {row["service"]: number for number, row in enumerate(shown)}
    arrows = _arrows(edges, names)
    ends = [(names[row["source"]], names[row["target"]]) for row in arrows]
    layers = layered(len(shown), ends)
    facts = f"{len(nodes):,} nodes, {len(edges):,} edges; circles and arrows grow with calls"
    drawing.heading(title, facts)
    places = _places(layers, drawing.bottom)
    radii = _sizes([row["calls"] for row in shown], _SMALLEST, _LARGEST)
    widths = _sizes([row["calls"] for row in arrows], _NARROWEST, _WIDEST)
    for number, row in enumerate(arrows):
        _draw_arrow(drawing, row, _way(number, ends[number], layers, places, radii), widths[number])
    room = _column(layers) - 10
    for row, place, radius in zip(shown, places, radii, strict=True):
        if row["service"] == selected:
            drawing.circle(*place, radius + 9, "chosen")
        _draw_node(drawing, row, place, radius, room)
    drawing.bottom += layers.room * _ROW
    there = {int(code) for code in state_codes([row["state"] for row in [*shown, *arrows]])}
    drawing.legend([(f"t{code}", STATES[code]) for code in sorted(there)])
    notes = _left_out(nodes, edges, shown, arrows)
    drawing.notes(notes)
    words = " ".join([f"{title}. {facts}.", _worst(shown), *notes])
    spots = {
        str(row["service"]): Spot(*place, radius)
        for row, place, radius in zip(shown, places, radii, strict=True)
    }
    return Chart(drawing.finished(title, words), words), spots


def flat_map(nodes: pl.DataFrame, edges: pl.DataFrame) -> dict[str, Any]:
    """Where everything stands that `topology_chart` draws, for whoever draws it elsewhere. JSON can hold it.

    ``spots``: ``service, column, row`` of each node, columns from 0, rows with 1 for the room of a node;
    ``arrows``: ``source, target, calls, errors, state`` and the ``(column, row)`` that it ``passes`` between
    its ends, ``back`` where it goes left. ``columns`` and ``room`` are how large the map is; ``left_out`` is
    how many nodes are not on it.
    """
    shown = _most_important(nodes, MOST_NODES)
    names = {row["service"]: number for number, row in enumerate(shown)}
    arrows = _arrows(edges, names)
    layers = layered(len(shown), [(names[row["source"]], names[row["target"]]) for row in arrows])
    return {
        "spots": [
            {"service": row["service"], "column": layer, "row": height}
            for row, layer, height in zip(shown, layers.layer, layers.height, strict=True)
        ],
        "arrows": [
            {
                **{name: row[name] for name in ("source", "target", "calls", "errors", "state")},
                "passes": list(enumerate(passing, layers.layer[names[row["source"]]] + 1)),
                "back": back,
            }
            for row, passing, back in zip(arrows, layers.passing, layers.back, strict=True)
        ],
        "columns": layers.count,
        "room": layers.room,
        "left_out": len(nodes) - len(shown),
    }


def _most_important(rows: pl.DataFrame, most: int) -> list[Row]:
    """The sick first, then those with the most calls."""
    found = rows.to_dicts()
    codes = state_codes([row["state"] for row in found])
    found = [row for _, row in sorted(zip(codes, found, strict=True), key=lambda each: _rank(*each))]
    return found[:most]


def _rank(code: int, row: Row) -> tuple[int, int, str]:
    return -int(SEVERITY[code]) if code != IDLE else 0, -int(row["calls"]), str(row.get("service", ""))


def _arrows(edges: pl.DataFrame, names: dict[str, int]) -> list[Row]:
    """One row for each two that call, the worst state of their connections."""
    both: dict[tuple[str, str], Row] = {}
    for row in _most_important(edges, len(edges)):
        ends = row["source"], row["target"]
        if ends[0] == ends[1] or not (ends[0] in names and ends[1] in names):
            continue
        if ends in both:
            both[ends]["calls"] += row["calls"]
            both[ends]["errors"] += row["errors"]
        else:
            both[ends] = row
    return list(both.values())[:MOST_EDGES]


def _column(layers: Layers) -> float:
    """The distance of two layers."""
    return (WIDTH - 2 * MARGIN) / max(layers.count, 1)


def _places(layers: Layers, top: float) -> list[Point]:
    column = _column(layers)
    return [
        (MARGIN + column * (layer + 0.5), top + _ROW * height - 10)
        for layer, height in zip(layers.layer, layers.height, strict=True)
    ]


def _sizes(calls: list[int], least: float, most: float) -> list[float]:
    largest = math.sqrt(max(calls, default=0)) or 1.0
    return [least + (most - least) * math.sqrt(max(each, 0)) / largest for each in calls]


def _way(
    number: int, ends: tuple[int, int], layers: Layers, places: list[Point], radii: list[float]
) -> list[Point]:
    """The points that an arrow goes through, from rim to rim; at each it goes level."""
    (x1, y1), (x2, y2) = places[ends[0]], places[ends[1]]
    if layers.back[number]:
        turn = -1 if x2 < x1 else 1
        return [(x1 + turn * (radii[ends[0]] + 4), y1), (x2 - turn * (radii[ends[1]] + 4), y2)]
    top = places[0][1] - _ROW * layers.height[0]
    first = layers.layer[ends[0]] + 1
    column = _column(layers)
    between = [
        (MARGIN + column * (first + step + 0.5), top + _ROW * height)
        for step, height in enumerate(layers.passing[number])
    ]
    return [(x1 + radii[ends[0]] + 4, y1), *between, (x2 - radii[ends[1]] - 4, y2)]


def _draw_arrow(drawing: Drawing, row: Row, way: list[Point], width: float) -> None:
    (code,) = state_codes([row["state"]])
    turn = -1.0 if way[-1][0] < way[0][0] else 1.0
    tip = way[-1]
    body = [*way[:-1], (tip[0] - turn * _HEAD, tip[1])]
    sick = STATES[int(code)] in ("degraded", "failing")
    style = "arc" + (f" a{int(code)}" if sick else "") + (" back" if turn < 0 else "")
    drawing.curve(body, width, style, _edge_hover(row))
    half = _HEAD / 2 + width / 3
    drawing.triangle(tip, (tip[0] - turn * _HEAD * 1.3, tip[1]), half, f"tip t{int(code)}" if sick else "tip")


def _draw_node(drawing: Drawing, row: Row, place: Point, radius: float, room: float) -> None:
    (code,) = state_codes([row["state"]])
    x, y = place
    drawing.circle(x, y, radius, f"node t{int(code)}", _node_hover(row))
    for ring in range({"degraded": 1, "failing": 2}.get(STATES[int(code)], 0)):
        drawing.circle(x, y, radius + 2.5 + 3 * ring, f"ring a{int(code)}")
    name = fitted(display_name(row["service"]), room, "small")
    drawing.text(x, y + _LARGEST + 15, name, "small halo", "middle")
    kind = "" if row["kind"] == "service" else f"{row['kind']} · "
    drawing.text(
        x,
        y + _LARGEST + 28,
        fitted(f"{kind}{_count(row['calls'])}", room, "small"),
        "small quiet halo",
        "middle",
    )


def _count(calls: int) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if calls >= size:
            return f"{calls / size:.3g}{unit}"
    return str(calls)


def _node_hover(row: Row) -> str:
    return (
        f"{display_name(row['service'], TOOLTIP_LENGTH)} ({row['kind']}, {row['state']})\n{_calls(row)}\n"
        f"p50 {duration(row['p50_ns'])}, p95 {duration(row['p95_ns'])}, p99 {duration(row['p99_ns'])}"
    )


def _edge_hover(row: Row) -> str:
    source = display_name(row["source"], TOOLTIP_LENGTH)
    target = display_name(row["target"], TOOLTIP_LENGTH)
    return (
        f"{source} → {target} ({row['state']})\n{_calls(row)}\n"
        f"p95 {duration(row['client_p95_ns'])} at the caller, {duration(row['server_p95_ns'])} at the called"
    )


def _calls(row: Row) -> str:
    return f"{row['calls']:,} calls, {row['errors']:,} errors ({share(row['errors'], row['calls'])})"


def _left_out(nodes: pl.DataFrame, edges: pl.DataFrame, shown: list[Row], arrows: list[Row]) -> list[str]:
    notes = []
    if len(shown) < len(nodes):
        notes.append(
            f"{len(nodes) - len(shown):,} of {len(nodes):,} nodes are not drawn: those that are well and"
            " have the fewest calls. The frame has them all."
        )
    pairs = edges.filter(pl.col("source") != pl.col("target")).select("source", "target").n_unique()
    if len(arrows) < pairs and len(shown) == len(nodes):
        notes.append(f"{pairs - len(arrows):,} of {pairs:,} arrows are not drawn.")
    itself = edges.filter(pl.col("source") == pl.col("target"))["source"].unique().sort().to_list()
    if itself:
        names = ", ".join(display_name(name) for name in itself[:5])
        notes.append(f"Calls itself, which no arrow shows: {names}{', …' if len(itself) > 5 else ''}.")
    return notes


def _worst(shown: list[Row]) -> str:
    sick = [row for row in shown if row["state"] not in ("healthy", "idle")]
    if not sick:
        return "All nodes are well."
    named = ", ".join(f"{display_name(row['service'])} {row['state']}" for row in sick[:5])
    return f"{named}{', …' if len(sick) > 5 else ''}."
