"""A scene as the tables that a browser draws: bodies, arcs, islands, and the corners of their plates.

Columns are named in docs/web.md. Nothing has a colour here: states have, in the browser's theme.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from tracescape_render.painting import rim_segments
from tracescape_render.scene import beacon_rings, top_of_beacon, top_of_suspect
from tracescape_render.verdict import SICK
from tracescape_render.web.level import everybody, groups_table, note_of, rules
from tracescape_render.web.tables import Table, Tables
from tracescape_render.web.ways import Figures, figures

if TYPE_CHECKING:
    import polars as pl

    from tracescape_render.scene import FloatArray, Scene
    from tracescape_render.web.level import Level

#: Points of a rim.
RIM: Final = 48
_QUANTILES: Final = ("p50_ns", "p95_ns", "p99_ns")
#: Curves are whole multiples of a power of two, and fit into 16 bits.
_LARGEST: Final = 2**15 - 1
_FINEST: Final = -8


def world_of(
    scene: Scene,
    nodes: pl.DataFrame,
    edges: pl.DataFrame,
    about: dict[str, object],
    level: Level | None = None,
) -> Tables:
    """The tables of ``scene``, or of what ``level`` draws of it.

    ``nodes`` and ``edges`` are the frames that it was made from; the missing, whom they do not have, have no
    durations. ``about`` is told besides what the scene says.
    """
    drawn = scene if level is None else level.detail.scene
    exponent = _exponent(drawn.curves)
    turns = _turns(drawn)
    told = figures(drawn, scene, edges, None if level is None else level.detail.body, turns)
    tables = {
        "bodies": _bodies(drawn, nodes, level),
        "arcs": _arcs(drawn, exponent, turns, told),
        "islands": Table({"shares": drawn.plate_shares}, {"name": drawn.island_names}),
        "corners": _corners(drawn),
    }
    said = {**about, **_about(drawn), "quantum": 2.0**exponent, "connections": told.kinds, "levels": None}
    if level is not None:
        tables |= {"groups": groups_table(level, scene), "everybody": everybody(level, scene)}
        said |= {"levels": rules(), "caption": _longer(scene.caption, note_of(level))}
    return Tables(said, tables)


def _longer(caption: str, note: str) -> str:
    return " · ".join(part for part in (caption, note) if part)


def _about(scene: Scene) -> dict[str, object]:
    return {
        "headline": scene.headline,
        "caption": scene.caption,
        "size": scene.size,
        "worst": scene.worst(),
        "cause": _cause(scene),
        "suspect": _suspect(scene),
    }


def _cause(scene: Scene) -> dict[str, object] | None:
    cause = scene.cause
    if cause is None or scene.beacon is None:
        return None
    return {
        "name": cause.name,
        "reason": cause.reason,
        "body": int(cause.body),
        "arc": None if cause.arc is None else int(cause.arc),
        "at": _point(scene.beacon),
        "top": _point(top_of_beacon(scene)),
        "rings": [float(radius) for radius in beacon_rings(scene)],
    }


def _suspect(scene: Scene) -> dict[str, object] | None:
    suspect = scene.suspect
    if suspect is None:
        return None
    top = _point(top_of_suspect(scene))
    return {
        "name": suspect.name,
        "reason": suspect.reason,
        "body": int(suspect.body),
        "top": top,
    }


def _bodies(scene: Scene, nodes: pl.DataFrame, level: Level | None) -> Table:
    sick = np.isin(scene.state, SICK).tolist()
    count = len(scene.services)
    group = np.full(count, -1, np.int32) if level is None else level.detail.group.astype(np.int32)
    members = np.ones(count, np.uint32) if level is None else level.detail.members.astype(np.uint32)
    return Table(
        {
            "position": scene.positions,
            "radius": scene.radii,
            "state": scene.state.astype(np.uint8),
            "shape": scene.shape.astype(np.uint8),
            "seen": scene.seen,
            "priority": scene.priority,
            "island": scene.island.astype(np.int32),
            "calls": scene.calls,
            "errors": scene.errors,
            "quantiles": _quantiles(scene, nodes),
            "group": group,
            "members": members,
        },
        {
            "service": scene.services,
            "label": list(scene.labels),
            # Who is well has none: it is not asked for.
            "subtitle": [_why(scene.subtitles[body]) if is_sick else "" for body, is_sick in enumerate(sick)],
            # Who is inside of a group, which nobody can tell from outside.
            "inside": [
                scene.tooltips[body].split("\n")[1] if of >= 0 else ""
                for body, of in enumerate(group.tolist())
            ],
        },
        keys=scene.services,
    )


def _why(subtitle: str) -> str:
    """Whose errors are no reason to be sick is slower than before: a p95 alone does not say so."""
    return f"slower: {subtitle}" if subtitle.startswith("p95") and not subtitle.endswith("–") else subtitle


def _quantiles(scene: Scene, nodes: pl.DataFrame) -> NDArray[np.float32]:
    """p50, p95, p99 in ns, float32 (n, 3); -1 for unknown."""
    found = np.full((len(scene.services), len(_QUANTILES)), -1.0, np.float32)
    place = {name: row for row, name in enumerate(nodes["service"].to_list())}
    rows = np.array([place.get(name, -1) for name in scene.services], np.int64)
    there = rows >= 0
    for column, name in enumerate(_QUANTILES):
        values = nodes[name].cast(float).fill_null(-1.0).fill_nan(-1.0).to_numpy()
        found[there, column] = values[rows[there]]
    return found


def _turns(scene: Scene) -> list[int]:
    """Several ways may join the same two; the how manyeth of them each arc is, from 1 on."""
    counted: dict[tuple[int, int], int] = {}
    turns = []
    for pair in zip(scene.source.tolist(), scene.target.tolist(), strict=True):
        counted[pair] = counted.get(pair, 0) + 1
        turns.append(counted[pair])
    return turns


def _arcs(scene: Scene, exponent: int, turns: list[int], told: Figures) -> Table:
    links = np.zeros(len(scene.source), np.uint8)
    if scene.cause is not None:
        links[scene.cause.links] = 1
        if scene.cause.arc is not None:
            links[scene.cause.arc] = 1
    names = scene.services
    ends = zip(scene.source.tolist(), scene.target.tolist(), turns, strict=True)
    keys = [(names[source], names[target], turn) for source, target, turn in ends]
    return Table(
        {
            "source": scene.source.astype(np.int32),
            "target": scene.target.astype(np.int32),
            "curve": np.rint(scene.curves.reshape(-1, 9) * 2.0**-exponent).astype(np.int16),
            "radius": scene.arc_radii,
            "state": scene.arc_state.astype(np.uint8),
            "seen": scene.arc_seen,
            "traffic": scene.traffic,
            "link": links,
            "calls": told.calls.astype(np.float32),
            "errors": told.errors.astype(np.float32),
            "quantiles": told.quantiles,
            "kind": told.kind,
        },
        keys=keys,
    )


def _exponent(curves: FloatArray) -> int:
    """The power of two that curves are told in: the same until the world is twice as large."""
    reach = float(np.abs(curves).max(initial=0.0))
    return max(_FINEST, math.ceil(math.log2(max(reach, 1e-9) / _LARGEST)))


def _corners(scene: Scene) -> Table:
    """Each plate's outline as `RIM` points and the state that its rim has from there on."""
    count = len(scene.plates)
    places = np.empty((count, RIM, 2), np.float32)
    states = np.zeros((count, RIM), np.uint8)
    along = np.arange(RIM) / RIM
    for number, (outline, shares) in enumerate(zip(scene.plates, scene.plate_shares, strict=True)):
        places[number] = _resampled(outline)
        for state, begin, end in rim_segments(shares):
            # Segments go from below 0 to above it, where the front is.
            middle = along + 0.5 / RIM
            inside = ((middle - begin) % 1.0) < end - begin
            states[number, inside] = state
    island = np.repeat(np.arange(count, dtype=np.int32), RIM)
    return Table({"place": places.reshape(-1, 2), "state": states.reshape(-1), "island": island})


def _resampled(outline: FloatArray) -> NDArray[np.float64]:
    """`RIM` points at equal distances along a closed outline, from the one in front on."""
    first = int(np.argmin(outline[:, 1]))
    closed = np.vstack([outline[first:], outline[:first], outline[first : first + 1]]).astype(np.float64)
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    at = np.arange(RIM) / RIM * way[-1]
    return np.column_stack([np.interp(at, way, closed[:, axis]) for axis in (0, 1)])


def _point(values: FloatArray) -> list[float]:
    return [float(value) for value in values]
