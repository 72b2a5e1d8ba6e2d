"""The scene as data: everything that is drawn, as arrays, made from a topology and nothing else.

No graphics here: a window, a picture and a test read the same arrays. Lengths are world units, the ground is
z = 0, x runs to the right and y away from the viewer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tracescape_render.islands import call_depths, communities
from tracescape_render.palette import (
    ABSENT,
    ARC,
    FAILING,
    HEALTHY,
    IDLE,
    SEVERITY,
    STATE_COLOURS,
    state_codes,
)
from tracescape_render.placing import place
from tracescape_render.text import LABEL_LENGTH, TOOLTIP_LENGTH, display_name, duration, rate, share

#: Bodies by what they stand for; a scene's ``shape`` array indexes this.
KINDS: Final = ("service", "database", "queue", "external", "entry")
SMALLEST_RADIUS: Final = 0.42
LARGEST_RADIUS: Final = 1.0
EMPTY_CAPTION: Final = "no spans yet: point an OTLP exporter here"

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]
ByteArray = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Scene:
    """n bodies, m arcs, k islands.

    Attributes:
        services: the bodies' names as they are in the data, and their key.
        labels: what is written at a body, safe to show; subtitles: a second line, empty for the healthy.
        tooltips: several lines of numbers a body.
        positions: float32 (n, 3); radii: float32 (n,).
        state: codes into ``palette.STATES`` (n,); shape: codes into `KINDS` (n,); colours: uint8 (n, 3).
        priority: the larger, the sooner a body gets its label, float32 (n,).
        source, target: the bodies that an arc joins (m,); arc_radii: float32 (m,);
        arc_colours: uint8 (m, 3); arc_state: codes (m,); traffic: calls a second, float32 (m,).
        island: of each body (n,); plates: the outline of each island, k arrays float32 (corners, 2);
        plate_state: the worst state on it (k,).
        caption: what is seen, in one line.
    """

    services: list[str]
    labels: list[str]
    subtitles: list[str]
    tooltips: list[str]
    positions: FloatArray
    radii: FloatArray
    state: IntArray
    shape: IntArray
    colours: ByteArray
    priority: FloatArray
    source: IntArray
    target: IntArray
    arc_radii: FloatArray
    arc_colours: ByteArray
    arc_state: IntArray
    traffic: FloatArray
    island: IntArray
    plates: list[FloatArray]
    plate_state: IntArray
    caption: str

    def worst(self) -> int | None:
        """The body that most needs a look: the worst state, then the most errors; None if all is well."""
        if not len(self.state):
            return None
        first = int(np.lexsort((-self.priority, -SEVERITY[self.state]))[0])
        return None if self.state[first] in {HEALTHY, IDLE} else first

    def neighbours(self, body: int) -> tuple[list[int], list[int]]:
        """The bodies that call ``body`` and those that it calls, without itself."""
        callers = np.unique(self.source[(self.target == body) & (self.source != body)])
        callees = np.unique(self.target[(self.source == body) & (self.target != body)])
        return callers.tolist(), callees.tolist()


def build_scene(
    nodes: pl.DataFrame,
    edges: pl.DataFrame,
    *,
    seconds: float,
    positions: Mapping[str, tuple[float, ...]] | None = None,
    caption: str = "",
) -> Scene:
    """The scene of a topology's frames.

    Args:
        nodes: ``service, kind, calls, errors, p50_ns, p95_ns, p99_ns, state``, a row a body.
        edges: ``source, target, connection, calls, errors, client_p95_ns, server_p95_ns, state``; an edge
            whose ends are not both in ``nodes`` is left out.
        seconds: the length of the window, for rates.
        positions: places to keep; bodies named here stand exactly there, others find a place near those
            they talk to.
        caption: one line of text.
    """
    services = [str(name) for name in nodes["service"].to_list()]
    number = {name: i for i, name in enumerate(services)}
    arcs = edges.filter(pl.col("source").is_in(services) & pl.col("target").is_in(services))
    source = np.array([number[name] for name in arcs["source"].to_list()], np.int64)
    target = np.array([number[name] for name in arcs["target"].to_list()], np.int64)
    calls, arc_calls = _counts(nodes["calls"]), _counts(arcs["calls"])
    state, arc_state = state_codes(nodes["state"].to_list()), state_codes(arcs["state"].to_list())
    shape = _shapes(nodes["kind"].to_list())
    island = communities(services, source, target, arc_calls, positions)
    depth = call_depths(len(services), source, target, np.flatnonzero(shape == KINDS.index("entry")).tolist())
    places = place(services, source, target, arc_calls, depth, island, positions or {})
    rows = nodes.to_dicts()
    rates = np.array(arc_calls / max(seconds, 1e-9), np.float32)
    return Scene(
        services=services,
        labels=[display_name(name, LABEL_LENGTH) for name in services],
        subtitles=[_subtitle(row, int(code)) for row, code in zip(rows, state, strict=True)],
        tooltips=[_tooltip(row, seconds) for row in rows],
        positions=places.positions.astype(np.float32),
        radii=_radii(calls),
        state=state,
        shape=shape,
        colours=STATE_COLOURS[state],
        priority=_priorities(calls, _counts(nodes["errors"]), state, shape),
        source=source,
        target=target,
        arc_radii=_arc_radii(arc_calls),
        arc_colours=_arc_colours(arc_state),
        arc_state=arc_state,
        traffic=rates,
        island=places.island,
        plates=[outline.astype(np.float32) for outline in places.outlines],
        plate_state=_worst_by_island(state, places.island),
        caption=display_name(caption, 200) if services else EMPTY_CAPTION,
    )


def _counts(column: pl.Series) -> NDArray[np.float64]:
    """Calls or errors as float64; null, negative and what is no finite number count as none."""
    values = column.cast(pl.Float64, strict=False).fill_null(0.0).to_numpy()
    return np.where(np.isfinite(values) & (values > 0), values, 0.0)


def _shapes(kinds: list[str | None]) -> IntArray:
    known = {kind: code for code, kind in enumerate(KINDS)}
    return np.array([known.get(kind or "", 0) for kind in kinds], np.int64)


def _radii(calls: NDArray[np.float64]) -> FloatArray:
    size = np.log1p(calls)
    scaled = size / max(float(size.max(initial=0.0)), 1e-9)
    radii: FloatArray = (SMALLEST_RADIUS + (LARGEST_RADIUS - SMALLEST_RADIUS) * scaled**1.5).astype(
        np.float32
    )
    return radii


def _arc_radii(calls: NDArray[np.float64]) -> FloatArray:
    size = np.log1p(calls)
    radii: FloatArray = (0.022 + 0.05 * (size / max(float(size.max(initial=0.0)), 1e-9)) ** 1.5).astype(
        np.float32
    )
    return radii


def _arc_colours(state: IntArray) -> ByteArray:
    colours = STATE_COLOURS[state].copy()
    colours[(state == HEALTHY) | (state == IDLE)] = ARC
    colours[state == ABSENT] = STATE_COLOURS[IDLE]
    return colours


def _priorities(
    calls: NDArray[np.float64], errors: NDArray[np.float64], state: IntArray, shape: IntArray
) -> FloatArray:
    """State first, then services before the things around them, then errors, then load."""
    load = np.log1p(calls) / 40.0
    service = (shape == 0) * 1.0
    priority: FloatArray = (SEVERITY[state] * 4.0 + service + load + np.log1p(errors) / 20.0).astype(
        np.float32
    )
    return priority


def _worst_by_island(state: IntArray, island: IntArray) -> IntArray:
    count = int(island.max()) + 1 if len(island) else 0
    worst = np.full(count, HEALTHY, np.int64)
    for number in range(count):
        members = state[island == number]
        if (members == IDLE).all():
            worst[number] = IDLE
        else:
            worst[number] = members[np.argmax(SEVERITY[members])]
    return worst


def _subtitle(row: dict[str, object], state: int) -> str:
    if state == ABSENT:
        return "gone quiet"
    if state not in {FAILING, 1}:
        return ""
    calls, errors = _number(row.get("calls")), _number(row.get("errors"))
    latency = f"p95 {duration(_number(row.get('p95_ns'), None))}"
    if errors and calls and errors / calls >= 0.01:
        return f"{share(errors, calls)} errors · {latency}"
    return latency


def _tooltip(row: dict[str, object], seconds: float) -> str:
    calls, errors = _number(row.get("calls")) or 0.0, _number(row.get("errors")) or 0.0
    quantiles = "   ".join(
        f"{q} {duration(_number(row.get(f'{q}_ns'), None))}" for q in ("p50", "p95", "p99")
    )
    return "\n".join(
        [
            display_name(row.get("service"), TOOLTIP_LENGTH),
            f"{row.get('kind')} · {row.get('state')}",
            f"{calls:,.0f} calls · {rate(calls / max(seconds, 1e-9))}",
            f"{errors:,.0f} errors · {share(errors, calls)}",
            quantiles,
        ]
    )


def _number(value: object, default: float | None = 0.0) -> float | None:
    if isinstance(value, int | float) and np.isfinite(value) and value >= 0:
        return float(value)
    return default
