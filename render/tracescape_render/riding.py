"""A request on a scene: the world dimmed around it, and its arcs, bodies, signs and travellers as arrays.

No graphics here: `riding_actors` draws what `picture_of` gives, and a test compares it with the replay.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracescape_render.arcs import along, control_points, polylines
from tracescape_render.palette import DEGRADED, FAILING, HEALTHY, IDLE, RGB, Theme
from tracescape_render.riding_words import facts, says, subtitle
from tracescape_render.route import HOLDS, NOT_YET, WAITS, WORKS, Route, RouteMoment
from tracescape_render.scene import Scene
from tracescape_render.text import Lines, short_names

#: Points along a lit way, where there are few and where there are more than `_MANY_WAYS`.
STEPS: Final = 48
_FEWER_STEPS: Final = 24
_MANY_WAYS: Final = 120
#: A way has so many dashes, and gaps between them, where the critical path is still to come.
_DASHES: Final = 8
#: Of more ways than these each is thinner, of more lights than these each is fainter: no crowd is all light.
_FULL_WAYS: Final = 40
FULL_LIGHTS: Final = 10
#: What is left of the rest of the world.
_REST_SEEN: Final = 0.3
_REST_ARCS: Final = 0.25
#: A traveller is a head and a tail of so many lights, so far apart on the way.
TAIL: Final = 7
_TAIL_STEP: Final = 0.022
#: Radii of ways, of travellers' heads and of signs.
CRITICAL_RADIUS: Final = 0.085
OTHER_RADIUS: Final = 0.034
_HEAD: Final = 0.30
_SIGN: Final = 0.34
#: How far above its body a sign stands, in radii, and besides.
_ABOVE: Final = 1.25
_BESIDES: Final = 0.42

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]
ByteArray = NDArray[np.uint8]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Ride:
    """A route on a scene: what of it is there.

    Attributes:
        route: the request.
        scene: the scene, dimmed but for what the request touches.
        nodes: those nodes of the route that are in the scene, int64 (b,); bodies: their bodies, int64 (b,).
        ways: those ways of the route that are, int64 (v,); curves: where they lead, float32 (v, 3, 3).
        missing: names of nodes that are not there.
    """

    route: Route
    scene: Scene
    nodes: IntArray
    bodies: IntArray
    ways: IntArray
    curves: FloatArray
    missing: tuple[str, ...]


class RidePicture(NamedTuple):
    """What is drawn at one moment; b bodies, v ways, t lights of travellers.

    Attributes:
        ways: the colour of each point of each way, uint8 RGBA (v, steps, 4).
        state: codes of states (b,): idle before the request is there, failing once an error is known,
            degraded once somebody has given up waiting for an answer.
        colours: of bodies, uint8 (b, 3).
        lights: float32 (t, 3); light_colours: uint8 (t, 3); light_sizes: float32 (t,).
        works, waits, origins: which bodies have that sign, bool (b,).
        lost: where calls do not come back, float32 (l, 3).
        subtitles: what each body does, in words.
        sentence: what happens.
        critical: which of the bodies the critical path is in, an index or -1.
    """

    ways: ByteArray
    state: IntArray
    colours: ByteArray
    lights: FloatArray
    light_colours: ByteArray
    light_sizes: FloatArray
    works: BoolArray
    waits: BoolArray
    origins: BoolArray
    lost: FloatArray
    subtitles: tuple[str, ...]
    sentence: str
    critical: int


def numbers_of(names: Sequence[str], services: Sequence[str]) -> IntArray:
    """The body that each name means, -1 where there is none, int64.

    A trace knows a service by its name alone; in a store that has it in several namespaces its bodies are
    called ``namespace/name``. Where more than one could be meant, nobody is.
    """
    known = {name: number for number, name in enumerate(services)}
    unknown = {name for name in names if name not in known}
    if unknown:
        ends: dict[str, list[int]] = {}
        for number, service in enumerate(services):
            end = service.rpartition("/")[2]
            if end in unknown and end != service:
                ends.setdefault(end, []).append(number)
        known |= {name: found[0] for name, found in ends.items() if len(found) == 1}
    return np.array([known.get(name, -1) for name in names], np.int64)


def ride_on(route: Route, scene: Scene) -> Ride:
    """Put ``route`` on ``scene``, whose beacon is not seen meanwhile."""
    body = numbers_of(route.names, scene.services)
    nodes = np.flatnonzero(body >= 0)
    ends = body[route.ends].reshape(-1, 2)
    ways = np.flatnonzero((ends >= 0).all(axis=1))
    source, target = ends[ways].T
    curves = _curves(scene, source, target)
    dim = _dimmed(scene, body[nodes], source, target)
    missing = tuple(name for name, number in zip(route.names, body, strict=True) if number < 0)
    headline, caption = "", facts(route, missing)
    dim = dataclasses.replace(dim, headline=headline, caption=caption)
    return Ride(route, dim, nodes, body[nodes], ways, curves, missing)


def picture_of(ride: Ride, moment: RouteMoment, theme: Theme) -> RidePicture:
    """What is drawn of ``moment`` in the colours of ``theme``."""
    nodes = ride.nodes
    doing, failed = moment.doing[nodes], moment.failed[nodes]
    silent = np.isin(nodes, ride.route.ends[moment.lost, 1])
    state = np.select([failed, silent, doing == NOT_YET], [FAILING, DEGRADED, IDLE], HEALTHY)
    colours = np.array(theme.states, np.float64)[state]
    quiet = np.select(
        [failed | silent, np.isin(doing, (WORKS, HOLDS)), doing == WAITS], [1.0, 1.0, 0.8], 0.55
    )
    colours = np.array(theme.plate) + (colours - np.array(theme.plate)) * quiet[:, None]
    lights = _lights(ride, moment, theme)
    names = names_of(ride.route)
    critical = np.flatnonzero(nodes == moment.critical)
    return RidePicture(
        _ways(ride, moment, theme),
        state,
        _bytes(colours),
        *lights,
        np.isin(doing, (WORKS, HOLDS)),
        doing == WAITS,
        moment.origin[nodes],
        ride.curves[moment.lost[ride.ways], 2],
        tuple(subtitle(ride.route, names, moment, int(node)) for node in nodes),
        says(ride.route, names, moment),
        int(critical[0]) if len(critical) else -1,
    )


def names_of(route: Route) -> list[str]:
    """What the nodes are called for people."""
    return short_names(route.names, route.sends.tolist())


def with_picture(ride: Ride, picture: RidePicture) -> Scene:
    """The scene of a ride as it is told at a moment: states, second lines, who is named first."""
    scene, bodies = ride.scene, ride.bodies
    state, priority = scene.state.copy(), scene.priority.copy()
    state[bodies] = picture.state
    urgent = 1.0 * picture.works + 2.0 * np.isin(picture.state, (FAILING, DEGRADED)) + 3.0 * picture.origins
    if picture.critical >= 0:
        urgent[picture.critical] += 4.0
    priority[bodies] += urgent.astype(np.float32) * 10.0
    told = dict(zip(bodies.tolist(), picture.subtitles, strict=True))
    before = scene.subtitles
    lines = Lines(len(before), lambda body: told[body] if body in told else before[body])
    return dataclasses.replace(scene, state=state, priority=priority, subtitles=lines)


def signs_at(scene: Scene, bodies: IntArray) -> FloatArray:
    """Where the signs of ``bodies`` stand, float32 (b, 3): above them."""
    places: FloatArray = scene.positions[bodies].copy()
    places[:, 2] += scene.radii[bodies] * _ABOVE + _BESIDES * scene.size**0.5
    return places


def sign_radius(scene: Scene) -> float:
    """How large a sign is."""
    return float(_SIGN * scene.size**0.5)


def _dimmed(scene: Scene, bodies: IntArray, source: IntArray, target: IntArray) -> Scene:
    seen = scene.seen * np.float32(_REST_SEEN)
    if scene.cause is not None:  # whom the cause has dimmed already
        seen = np.full(len(scene.seen), _REST_SEEN, np.float32)
    seen[bodies] = 1.0
    arcs = scene.arc_seen * np.float32(_REST_ARCS)
    count = max(len(scene.services), 1)
    arcs[np.isin(scene.source * count + scene.target, source * count + target)] = 0.0
    priority = scene.priority - np.float32(scene.priority.max(initial=0.0) + 1.0)
    priority[bodies] += np.float32(np.ptp(priority)) + 2.0 if len(priority) else 0.0
    return dataclasses.replace(
        scene, seen=seen, arc_seen=arcs, priority=priority, cause=None, beacon=None, suspect=None
    )


def _curves(scene: Scene, source: IntArray, target: IntArray) -> FloatArray:
    """The arcs that are there, and arcs like them for calls that the scene has none for."""
    curves = control_points(scene.positions, scene.radii, source, target, scene.island)
    count = max(len(scene.services), 1)
    key = scene.source * count + scene.target
    order = np.argsort(key, kind="stable")
    wanted = source * count + target
    place = np.minimum(np.searchsorted(key[order], wanted), max(len(key) - 1, 0))
    if len(key):
        there = key[order][place] == wanted
        curves[there] = scene.curves[order[place[there]]]
    return curves


def _ways(ride: Ride, moment: RouteMoment, theme: Theme) -> ByteArray:
    ways, route = ride.ways, ride.route
    lit, arc = np.array(theme.light, np.float64), np.array(theme.arc, np.float64)
    critical, busy = route.critical_ways[ways], moment.busy[ways]
    broken, lost = moment.broken[ways], moment.lost[ways]
    steps = steps_of(ride)
    along_way = np.linspace(0.0, 1.0, steps)
    dash = (np.arange(steps) * 2 * _DASHES // steps) % 2 == 0
    reach = moment.reach[ways]
    passed = critical[:, None] & (reach[:, None] > 0) & (along_way[None] <= reach[:, None])
    rgba = np.zeros((len(ways), steps, 4))
    rgba[..., :3] = arc
    quiet = np.select([busy, moment.seen[ways]], [0.85, 0.5], 0.22)
    rgba[..., 3] = np.where(critical, 0.0, quiet)[:, None]
    rgba[..., 3] = np.where(critical[:, None] & ~passed & dash[None], 0.8, rgba[..., 3])
    now = np.where(busy, 1.0, 0.45)[:, None]
    shown = arc + (lit - arc) * now[..., None]
    rgba[..., :3] = np.where(passed[..., None], shown, rgba[..., :3])
    rgba[..., 3] = np.where(passed, 0.55 + 0.45 * now, rgba[..., 3])
    bad = broken | lost
    rgba[bad, :, :3] = theme.marks[FAILING]
    rgba[bad, :, 3] = np.maximum(rgba[bad, :, 3], 0.8)
    rgba[lost] *= np.concatenate([np.ones((steps, 3)), dash[:, None]], axis=1)
    rgba[..., 3] *= 255.0
    return _bytes(rgba)


def _lights(ride: Ride, moment: RouteMoment, theme: Theme) -> tuple[FloatArray, ByteArray, FloatArray]:
    seen = moment.travellers
    number = np.full(len(ride.route.ends), -1, np.int64)
    number[ride.ways] = np.arange(len(ride.ways))
    there = np.flatnonzero(number[seen.way] >= 0)
    way, place, fade = number[seen.way[there]], seen.place[there], seen.fade[there]
    behind = np.where(seen.back[there], 1.0, -1.0)[:, None] * np.arange(TAIL)[None] * _TAIL_STEP
    t = np.clip(place[:, None] + behind, 0.0, 1.0).astype(np.float32)
    points = along(ride.curves[way], t).reshape(-1, 3)
    colour = np.where(
        seen.failed[there][:, None],
        np.array(theme.marks[FAILING], np.float64),
        np.where(seen.critical[there][:, None], np.array(theme.light, np.float64), np.array(theme.arc)),
    )
    crowd = min(1.0, (FULL_LIGHTS / max(len(there), 1)) ** 0.5) if theme.glows else 1.0
    bright = np.where(seen.critical[there], 1.0, crowd) * fade
    strength = bright[:, None] * (1.0 - np.arange(TAIL) / TAIL)[None]
    ground: RGB = (0, 0, 0) if theme.glows else theme.plate
    colours = np.array(ground) + (colour[:, None] - np.array(ground)) * strength[..., None]
    size = np.where(seen.critical[there], _HEAD, 0.6 * _HEAD * crowd**0.5) * ride.scene.size**0.5
    sizes = size[:, None] * (1.0 - 0.75 * np.arange(TAIL) / TAIL)[None]
    return points, _bytes(colours.reshape(-1, 3)), sizes.ravel().astype(np.float32)


def steps_of(ride: Ride) -> int:
    """How many points each way has."""
    return STEPS if len(ride.ways) <= _MANY_WAYS else _FEWER_STEPS


def way_points(ride: Ride) -> FloatArray:
    """The points of the ways, float32 (v, steps, 3)."""
    return polylines(ride.curves, steps_of(ride))


def way_radii(ride: Ride) -> NDArray[np.float64]:
    """How thick each way is, (v,): those of the critical path are seen first."""
    critical = ride.route.critical_ways[ride.ways]
    thin = min(1.0, (_FULL_WAYS / max(len(critical), 1)) ** 0.5)
    radii: NDArray[np.float64] = np.where(critical, CRITICAL_RADIUS * thin, OTHER_RADIUS * thin)
    radii *= ride.scene.size**0.85
    return radii


def _bytes(values: NDArray[np.floating[Any]]) -> ByteArray:
    clipped: ByteArray = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return clipped
