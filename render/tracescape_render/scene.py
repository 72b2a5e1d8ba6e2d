"""The scene as data: everything that is drawn, as arrays, made from a topology and nothing else.

No graphics here: a window, a picture and a test read the same arrays. Lengths are world units, the ground is
z = 0, x runs to the right and y away from the viewer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tracescape_render.arcs import control_points, weights
from tracescape_render.island_names import island_names
from tracescape_render.islands import call_depths, communities
from tracescape_render.palette import ABSENT, DEGRADED, FAILING, HEALTHY, IDLE, SEVERITY, STATES, state_codes
from tracescape_render.phantoms import with_phantoms
from tracescape_render.placing import place
from tracescape_render.text import (
    LABEL_LENGTH,
    TOOLTIP_LENGTH,
    Lines,
    display_name,
    duration,
    rate,
    share,
    short_names,
    state_words,
)
from tracescape_render.verdict import SICK, Cause, Graph, Suspect, first_cause, first_suspect, named

if TYPE_CHECKING:
    from tracescape_render.contrast import Contrast

#: Bodies by what they stand for; a scene's ``shape`` array indexes this.
KINDS: Final = ("service", "database", "queue", "external", "entry")
#: The shape of a body that stands for several, which no topology has: see `detail`.
GROUP: Final = len(KINDS)
SMALLEST_RADIUS: Final = 0.42
LARGEST_RADIUS: Final = 1.0
ABSENT_RADIUS: Final = 0.65
#: Rings around what the beacon is on: of a body beyond its own rings, in its radii; of a connection.
_RINGS_OF_BODY: Final = (2.45, 3.4)
_RINGS_OF_ARC: Final = (0.8, 1.3)
#: A world that reaches no farther from its middle is seen well with marks as they are.
_SMALL_WORLD: Final = 26.0
_SLOPE: Final = 0.42
#: From this share of errors on they make a state; below, it is the latency.
_ERRORS_OF: Final = {FAILING: 0.05, DEGRADED: 0.01}
_FARTHEST_BEHIND: Final = 30.0
EMPTY_CAPTION: Final = "no spans yet: point an OTLP exporter here"
#: How well bodies are seen where a cause is: itself, those that suffer from it, other sick ones, the rest.
CAUSE_SEEN: Final = 1.0
VICTIM_SEEN: Final = 0.5
SICK_SEEN: Final = 0.6
REST_SEEN: Final = 0.32
#: What is left of a connection that has nothing to do with the cause.
_RECEDED: Final = 0.4
#: How well a connection is seen that should have calls and has none.
_ABSENT_SEEN: Final = 0.7

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Scene:
    """n bodies, m arcs, k islands.

    Attributes:
        services: the bodies' names as they are in the data, and their key.
        labels: what is written at a body, safe to show; subtitles: a second line, empty for the healthy;
        tooltips: several lines of numbers a body. Each is written when it is read.
        calls, errors: of each body in the window, float64 (n,).
        positions: float32 (n, 3); radii: float32 (n,).
        state: codes into ``palette.STATES`` (n,); shape: codes into `KINDS` (n,), or `GROUP`.
        seen: how well a body stands out, from 0 to 1, float32 (n,): all do, until there is a cause.
        priority: the larger, the sooner a body gets its label, float32 (n,).
        source, target: the bodies that an arc joins (m,); curves: its Bézier curve, float32 (m, 3, 3);
        arc_radii: float32 (m,); arc_calls: float64 (m,); arc_state: codes (m,); arc_seen: float32 (m,), as
        `seen`; traffic: calls a second, float32 (m,).
        island: of each body (n,); island_names: k names, empty where there is one island only; plates: the
        outline of each island, k arrays float32 (corners, 2).
        plate_shares: which share of an island's bodies has which state, float32 (k, states); rows sum to 1.
        size: by how much marks (rims, rings, lights, the beacon) grow so that they are seen from where one
        stands: 1 for a small world, or from near.
        cause: the first cause of a diagnosis, None if nothing is significant or nobody asked.
        beacon: where the cause is marked, float32 (3,): a body's middle or an arc's; None without a cause.
        headline: what is wrong, in one line; caption: what is seen, in one line.
        suspect: where there is no cause, whom the diagnosis suspects without proof, if anybody.
        contrast: how everybody differs from another moment; None for a scene of one.
        halves: whether two moments stand beside each other in it.
    """

    services: list[str]
    labels: Sequence[str]
    subtitles: Sequence[str]
    tooltips: Sequence[str]
    calls: NDArray[np.float64]
    errors: NDArray[np.float64]
    positions: FloatArray
    radii: FloatArray
    state: IntArray
    shape: IntArray
    seen: FloatArray
    priority: FloatArray
    source: IntArray
    target: IntArray
    curves: FloatArray
    arc_radii: FloatArray
    arc_calls: NDArray[np.float64]
    arc_state: IntArray
    arc_seen: FloatArray
    traffic: FloatArray
    island: IntArray
    island_names: list[str]
    plates: list[FloatArray]
    plate_shares: FloatArray
    size: float
    cause: Cause | None
    beacon: FloatArray | None
    headline: str
    caption: str
    suspect: Suspect | None = None
    contrast: Contrast | None = None
    halves: bool = False

    def worst(self) -> int | None:
        """The body that most needs a look: the cause, else the worst state, then the most errors.

        Where nobody is unwell it is the suspect; None without one.
        """
        if self.cause is not None:
            return self.cause.body
        if not len(self.state):
            return None
        first = int(np.lexsort((-self.priority, -SEVERITY[self.state]))[0])
        if self.state[first] not in {HEALTHY, IDLE}:
            return first
        return None if self.suspect is None else self.suspect.body

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
    causes: pl.DataFrame | None = None,
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
        causes: `leading` of a diagnosis, the strongest first; None if nobody asked.

    Who is missing, by an absent edge or by the causes, becomes an absent body, see `with_phantoms`.
    """
    nodes, edges = with_phantoms(nodes, edges, causes)
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
    island = places.island
    radii = _radii(calls, state)
    stands = places.positions.astype(np.float32)
    curves = control_points(stands, radii, source, target, island)
    answers = shape == KINDS.index("service")
    names = short_names(services, answers.tolist())
    graph = Graph(services, names, answers, state, source, target, arc_calls)
    cause = first_cause(causes, graph)
    suspect = first_suspect(causes, graph)
    errors = _counts(nodes["errors"])
    return Scene(
        services=services,
        labels=Lines(len(services), lambda body: display_name(names[body], LABEL_LENGTH)),
        subtitles=Lines(len(services), lambda body: _subtitle(nodes.row(body, named=True), int(state[body]))),
        tooltips=Lines(len(services), lambda body: _tooltip(nodes.row(body, named=True), seconds)),
        calls=calls,
        errors=errors,
        positions=stands,
        radii=radii,
        state=state,
        shape=shape,
        seen=bodies_seen(state, cause),
        priority=priorities(calls, errors, state, shape, cause),
        source=source,
        target=target,
        curves=curves,
        arc_radii=arc_thickness(arc_calls),
        arc_calls=arc_calls,
        arc_state=arc_state,
        arc_seen=arcs_seen(weights(arc_calls, target), arc_state, cause),
        traffic=np.array(arc_calls / max(seconds, 1e-9), np.float32),
        island=island,
        island_names=island_names(names, calls, island),
        plates=[outline.astype(np.float32) for outline in places.outlines],
        plate_shares=shares_by_island(state, island),
        size=size_of_world(places.outlines),
        cause=cause,
        beacon=beacon_of(stands, curves, cause),
        headline=_headline(state, arc_state, cause, named(causes)),
        caption=_caption(caption, suspect) if services else EMPTY_CAPTION,
        suspect=suspect,
    )


def beacon_rings(scene: Scene) -> tuple[float, float]:
    """The radii of the rings around what the beacon is on."""
    assert scene.cause is not None
    if scene.cause.arc is not None:
        return _RINGS_OF_ARC[0] * scene.size, _RINGS_OF_ARC[1] * scene.size
    inner = max(float(scene.radii[scene.cause.body]) * _RINGS_OF_BODY[0], _RINGS_OF_ARC[0] * scene.size)
    return inner, inner * _RINGS_OF_BODY[1] / _RINGS_OF_BODY[0]


def suspect_ring(scene: Scene) -> float:
    """The radius of the broken ring around the suspect."""
    assert scene.suspect is not None
    return max(float(scene.radii[scene.suspect.body]) * _RINGS_OF_BODY[0], _RINGS_OF_ARC[0] * scene.size)


def top_of_suspect(scene: Scene) -> FloatArray:
    """Where the flag on the suspect is, float32 (3,): above it and no higher than needed."""
    assert scene.suspect is not None
    top: FloatArray = scene.positions[scene.suspect.body].copy()
    top[2] += 2.0 * suspect_ring(scene)
    return top


def top_of_beacon(scene: Scene) -> FloatArray:
    """Where the shaft on the cause ends, float32 (3,): above everything, and seen so from in front and above.

    So the nearer to the viewer, the higher: what stands behind would be hidden by the flag up there.
    """
    assert scene.beacon is not None
    size = scene.size
    behind = float(scene.positions[:, 1].max()) - float(scene.beacon[1])
    top: FloatArray = scene.beacon.copy()
    top[2] = max(float(scene.positions[:, 2].max()), top[2]) + 4.6 * size - 2.0
    top[2] += _SLOPE * min(max(behind, 0.0), _FARTHEST_BEHIND * size)
    return top


def size_of_world(plates: list[NDArray[np.float64]]) -> float:
    """How much marks grow so that they are seen from where all is seen."""
    return max(1.0, float(np.ptp(np.vstack(plates), axis=0).max()) / 2 / _SMALL_WORLD) if plates else 1.0


def _counts(column: pl.Series) -> NDArray[np.float64]:
    """Calls or errors as float64; null, negative and what is no finite number count as none."""
    values = column.cast(pl.Float64, strict=False).fill_null(0.0).to_numpy()
    return np.where(np.isfinite(values) & (values > 0), values, 0.0)


def _shapes(kinds: list[str | None]) -> IntArray:
    # A model or a tool is somebody else's, too.
    known = {
        **{kind: code for code, kind in enumerate(KINDS)},
        **dict.fromkeys(("model", "tool"), KINDS.index("external")),
    }
    return np.array([known.get(kind or "", 0) for kind in kinds], np.int64)


def _radii(calls: NDArray[np.float64], state: IntArray) -> FloatArray:
    """By load; what should be there and is not has none, and must be seen all the same."""
    size = np.log1p(calls)
    scaled = size / max(float(size.max(initial=0.0)), 1e-9)
    radii: FloatArray = (SMALLEST_RADIUS + (LARGEST_RADIUS - SMALLEST_RADIUS) * scaled**1.5).astype(
        np.float32
    )
    radii[state == ABSENT] = np.maximum(radii[state == ABSENT], ABSENT_RADIUS)
    return radii


def arc_thickness(calls: NDArray[np.float64]) -> FloatArray:
    """The radii of arcs by their calls, float32 (m,)."""
    size = np.log1p(calls)
    radii: FloatArray = (0.022 + 0.05 * (size / max(float(size.max(initial=0.0)), 1e-9)) ** 1.5).astype(
        np.float32
    )
    return radii


def _caption(caption: str, suspect: Suspect | None) -> str:
    shown = display_name(caption, 200) if caption else ""
    doubt = f"suspect, not proved: {suspect.name}" if suspect is not None else ""
    return " · ".join(part for part in (doubt, shown) if part)


def bodies_seen(state: IntArray, cause: Cause | None) -> FloatArray:
    """How well bodies stand out, float32 (n,): with a cause, it and those that suffer from it do."""
    seen = np.ones(len(state), np.float32)
    if cause is not None:
        seen[:] = np.where(np.isin(state, SICK), SICK_SEEN, REST_SEEN)
        seen[cause.victims] = VICTIM_SEEN
        seen[cause.ends] = CAUSE_SEEN
    return seen


def arcs_seen(weight: FloatArray, state: IntArray, cause: Cause | None) -> FloatArray:
    """Failing paths are seen whatever their traffic; with a cause, the way to it is, and the rest less."""
    seen = weight.copy()
    sick = np.isin(state, (FAILING, DEGRADED))
    seen[sick] = np.maximum(seen[sick], 0.8)
    seen[state == ABSENT] = _ABSENT_SEEN
    if cause is not None:
        seen[state != ABSENT] *= _RECEDED
        seen[cause.links] = 1.0
        if cause.arc is not None:
            seen[cause.arc] = 1.0
    return seen


def beacon_of(positions: FloatArray, curves: FloatArray, cause: Cause | None) -> FloatArray | None:
    """Where the cause is marked, float32 (3,): its body's middle, or that of its arc."""
    if cause is None:
        return None
    if cause.arc is None:
        place: FloatArray = positions[cause.body].copy()
        return place
    begin, middle, end = curves[cause.arc]
    half: FloatArray = (0.25 * begin + 0.5 * middle + 0.25 * end).astype(np.float32)
    return half


_SICK: Final = (DEGRADED, FAILING, ABSENT)


def _headline(state: IntArray, arc_state: IntArray, cause: Cause | None, causes: pl.DataFrame | None) -> str:
    """The cause; else what is unwell, bodies before connections, and what the diagnosis says of it."""
    if cause is not None:
        suffering = len(cause.victims)
        if cause.over:
            others = f" · {suffering} suffered from it" if suffering else ""
            if not np.isin(state, _SICK).any() and not np.isin(arc_state, _SICK).any():
                others = " · nothing is degraded or failing"
            return f"{cause.name} {cause.over}{others}"
        others = f" · {suffering} suffer{'s' if suffering == 1 else ''} from it" if suffering else ""
        if not np.isin(state, _SICK).any() and not np.isin(arc_state, _SICK).any():
            others = " of what changed · nothing is degraded or failing"
        return f"{cause.name} is the likely cause{others}"
    if not len(state):
        return ""
    counts, ways = (np.bincount(codes, minlength=len(STATES)) for codes in (state, arc_state))
    sick = [f"{counts[code]} {STATES[code]}" for code in (FAILING, DEGRADED, ABSENT) if counts[code]]
    sick = sick or [
        f"{ways[code]} {_ways(ways[code])} {STATES[code]}" for code in (FAILING, DEGRADED) if ways[code]
    ]
    said = [", ".join(sick)] if sick else []
    if causes is not None and not causes.is_empty():
        said.append(f"the likely cause, {display_name(causes['service'][0])}, is not in this view")
    elif causes is not None:
        said.append("no significant cause" if sick else "Nothing significant")
    return " · ".join(said) or "All is well"


def _ways(count: int) -> str:
    return "connection" if count == 1 else "connections"


def priorities(
    calls: NDArray[np.float64],
    errors: NDArray[np.float64],
    state: IntArray,
    shape: IntArray,
    cause: Cause | None,
) -> FloatArray:
    """The cause, who suffers from it, state, then groups, services, the things around them; errors, load."""
    load = np.log1p(calls) / 40.0
    service = (shape == 0) * 1.0 + (shape == GROUP) * 1.5
    priority: FloatArray = (SEVERITY[state] * 4.0 + service + load + np.log1p(errors) / 20.0).astype(
        np.float32
    )
    if cause is not None:
        priority[cause.victims] += 30.0
        priority[cause.ends] += 60.0
    return priority


def shares_by_island(state: IntArray, island: IntArray) -> FloatArray:
    """Which share of each island's bodies has which state, float32 (k, states)."""
    count = int(island.max()) + 1 if len(island) else 0
    members = np.zeros((count, len(STATES)))
    np.add.at(members, (island, state), 1.0)
    shares: FloatArray = (members / np.maximum(members.sum(axis=1, keepdims=True), 1.0)).astype(np.float32)
    return shares


def _subtitle(row: dict[str, object], state: int) -> str:
    """The number that made the state what it is."""
    if state == ABSENT:
        return "gone quiet"
    if state not in {FAILING, DEGRADED}:
        return ""
    calls, errors = _number(row.get("calls")), _number(row.get("errors"))
    if errors and calls and errors / calls >= _ERRORS_OF[state]:
        return f"{share(errors, calls)} errors"
    return f"p95 {duration(_number(row.get('p95_ns'), None))}"


def _tooltip(row: dict[str, object], seconds: float) -> str:
    calls, errors = _number(row.get("calls")) or 0.0, _number(row.get("errors")) or 0.0
    quantiles = "   ".join(
        f"{q} {duration(_number(row.get(f'{q}_ns'), None))}" for q in ("p50", "p95", "p99")
    )
    return "\n".join(
        [
            display_name(row.get("service"), TOOLTIP_LENGTH),
            f"{row.get('kind')} · {state_words(row.get('state'), calls)}",
            f"{calls:,.0f} calls · {rate(calls / max(seconds, 1e-9))}",
            f"{errors:,.0f} errors · {share(errors, calls)}",
            quantiles,
        ]
    )


def _number(value: object, default: float | None = 0.0) -> float | None:
    if isinstance(value, int | float) and np.isfinite(value) and value >= 0:
        return float(value)
    return default
