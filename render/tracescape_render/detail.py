"""A scene at a level of detail: islands that are too many to be drawn body by body are one body each.

Pure data, as the scene is. Islands collapse until a budget is kept, in very large worlds neighbouring islands
together; connections between the same two bodies become one. Who is sick stays seen: it stands alone beside
what is left of its island.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracescape_render.arcs import control_points, weights
from tracescape_render.contrast import SAME
from tracescape_render.outlines import outline
from tracescape_render.palette import SEVERITY, STATES
from tracescape_render.renderer import Budget
from tracescape_render.scene import (
    GROUP,
    Scene,
    arc_thickness,
    arcs_seen,
    beacon_of,
    bodies_seen,
    priorities,
    shares_by_island,
)
from tracescape_render.text import Lines, share
from tracescape_render.verdict import SICK, Cause

#: So much of the budget is used without being asked; the rest is for what somebody comes near to.
_UNASKED: Final = 0.6
#: More islands than this share of the budget's bodies stand together in quarters,
_MOST_ISLANDS: Final = 0.3
#: of no more than so many islands each.
_QUARTER: Final = 16
#: The radius of a group's body, as a share of the largest circle around the middle of its plate: an island's
#: and a quarter's, whose plate is mostly ground.
_FILLS: Final = 0.72
_FILLS_QUARTER: Final = 0.4
#: How well the ways of groups are seen, beside those of services: they are sums, and would be over all else.
_WAYS_SEEN: Final = 0.55
_FOOT: Final = 0.05
#: How well groups are seen that have nobody sick: they are large, and would be brighter than all else.
_CALM: Final = 0.6
#: The key of a group among a scene's services: this and its first hidden member. No service is called so.
_KEY: Final = "\0group of "

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


class Groups(NamedTuple):
    """What bodies can collapse into: k islands, numbered as in the scene, then quarters of several islands.

    Attributes:
        island: of each body, (n,).
        quarter: the quarter of each island, as a number of a group, (k,); -1 where there are none.
        sizes: how many services belong to each group, (g,).
        centres: the middle of each on the ground, (g, 2); reach: how far its plate reaches from there, (g,);
        room: the radius of the largest circle around it on the plate, (g,).
        plates: the outline of each.
    """

    island: IntArray
    quarter: IntArray
    sizes: IntArray
    centres: FloatArray
    reach: FloatArray
    room: FloatArray
    plates: list[NDArray[np.float32]]


class Detail(NamedTuple):
    """What is drawn of a scene of n bodies: s bodies, each a service or a group.

    Attributes:
        scene: what is drawn; it is the whole scene if that keeps the budget.
        body: the drawn body that stands for each service, int64 (n,).
        group: the group that a drawn body is, -1 for a service, int64 (s,).
        members: for how many services each drawn body stands, int64 (s,).
        inner: calls inside of each drawn body, which have no connection of their own, float64 (s,).
        ways: how many connections there are between the drawn bodies; the scene has the strongest of them.
        left_out: calls of the others, that are too weak for the budget.
        opened: the groups whose members are drawn one by one (of a quarter, its islands).
        note: what is hidden, in a few words; empty where nothing is.
    """

    scene: Scene
    body: IntArray
    group: IntArray
    members: IntArray
    inner: FloatArray
    ways: int
    left_out: float
    opened: frozenset[int]
    note: str


def groups_of(scene: Scene, budget: Budget) -> Groups:
    """The islands of ``scene`` and, where these are too many for ``budget``, quarters of near ones."""
    islands = len(scene.plates)
    plates = list(scene.plates)
    quarter = np.full(islands, -1, np.int64)
    if islands > _MOST_ISLANDS * budget.bodies:
        quarter = islands + _quarters(np.array([plate.mean(axis=0) for plate in plates]))
        for number in range(islands, int(quarter.max()) + 1):
            corners = np.vstack([scene.plates[i] for i in np.flatnonzero(quarter == number)])
            plates.append(outline(corners.astype(np.float64)).astype(np.float32))
    sizes = np.bincount(scene.island, minlength=islands)
    if len(plates) > islands:
        sizes = np.concatenate([sizes, np.bincount(quarter - islands, sizes).astype(np.int64)])
    centres = np.array([plate.mean(axis=0) for plate in plates], np.float64).reshape(-1, 2)
    away = [np.linalg.norm(p - c, axis=1) for p, c in zip(plates, centres, strict=True)]
    reach, room = np.array([[of.max(), of.min()] for of in away], np.float64).reshape(-1, 2).T
    return Groups(scene.island, quarter, sizes, centres, reach, room, plates)


def detailed(
    scene: Scene,
    budget: Budget,
    wanted: Iterable[int] = (),
    groups: Groups | None = None,
    kept: IntArray | None = None,
) -> Detail:
    """``scene`` within ``budget``; the groups ``wanted`` are opened, the first soonest, while there is room.

    The services ``kept`` (numbers) are drawn themselves whatever becomes of their islands.

    Each service is in exactly one drawn body. The first cause, those that suffer from it and the way between
    them are always drawn, or else the suspect; other sick services as far as the budget goes, the worst
    first, and what is sick beyond that is the state of its group. Islands with sick services are opened
    before others. Calls are summed, so that none is lost: `Detail.inner` and `Detail.left_out` have those
    without a connection.
    """
    groups = groups or groups_of(scene, budget)
    count = len(scene.positions)
    if count <= budget.bodies:
        return _whole(scene, groups)
    alone = _alone(scene, budget.bodies, kept)
    opened = _opened(scene, groups, alone, budget.bodies, wanted)
    is_open = np.zeros(len(groups.sizes), bool)
    is_open[list(opened)] = True
    inside = groups.quarter[scene.island]
    group = np.where((inside >= 0) & ~is_open[inside], inside, scene.island)
    group[alone | is_open[scene.island]] = -1
    kept = np.flatnonzero(group < 0)
    shown, number = np.unique(group[group >= 0], return_inverse=True)
    body = np.empty(count, np.int64)
    body[kept] = np.arange(len(kept))
    body[group >= 0] = len(kept) + number
    drawn = np.concatenate([np.full(len(kept), -1, np.int64), shown])
    return _summed(scene, groups, _Parts(body, drawn, kept, frozenset(opened)), budget)


class _Parts(NamedTuple):
    """``kept``: the services that are drawn themselves, before all groups. The rest as in `Detail`."""

    body: IntArray
    group: IntArray
    kept: IntArray
    opened: frozenset[int]


def _whole(scene: Scene, groups: Groups) -> Detail:
    count = len(scene.positions)
    return Detail(
        scene,
        np.arange(count),
        np.full(count, -1, np.int64),
        np.ones(count, np.int64),
        np.zeros(count),
        len(scene.source),
        0.0,
        frozenset(range(len(groups.sizes))),
        "",
    )


def _alone(scene: Scene, most: int, kept: IntArray | None) -> BoolArray:
    """Who is drawn whatever becomes of its island."""
    alone = np.zeros(len(scene.positions), bool)
    if kept is not None:
        alone[kept[:most]] = True
    if scene.cause is not None:
        alone[scene.cause.ends] = True
        alone[scene.cause.body] = True
        for ends in (scene.source, scene.target):  # of the way to the victims, and so the victims
            alone[ends[scene.cause.links]] = True
    if scene.suspect is not None:
        alone[scene.suspect.body] = True
    told = np.isin(scene.state, SICK)
    if scene.contrast is not None:
        told |= scene.contrast.change != SAME
    sick = np.flatnonzero(told & ~alone)
    worst_first = sick[np.argsort(-scene.priority[sick], kind="stable")]
    alone[worst_first[: max(0, most - int(alone.sum()))]] = True
    return alone


def _opened(scene: Scene, groups: Groups, alone: BoolArray, most: int, wanted: Iterable[int]) -> set[int]:
    """Which groups are open: the wanted ones, and then by how sick and how busy they are."""
    islands = len(groups.quarter)
    hidden = np.bincount(scene.island[~alone], minlength=islands)
    has_hidden = np.flatnonzero(hidden)
    parts = np.bincount(groups.quarter[has_hidden] + 1, minlength=len(groups.sizes) + 1)[1:]
    cost = np.concatenate([np.maximum(hidden - 1, 0), np.maximum(parts[islands:] - 1, 0)])
    outermost = np.where(groups.quarter >= 0, groups.quarter, np.arange(islands))
    shown = int(alone.sum()) + len(np.unique(outermost[has_hidden]))
    opened: set[int] = set()
    asked = list(dict.fromkeys(int(number) for number in wanted))
    for number, limit in (
        *((number, most) for number in asked),
        *((number, int(most * _UNASKED)) for number in _by_importance(scene, groups, alone)),
    ):
        needed = {number} - opened
        if number < islands and groups.quarter[number] >= 0:
            needed |= {int(groups.quarter[number])} - opened
        price = int(cost[list(needed)].sum()) if needed else 0
        if shown + price <= limit:
            opened |= needed
            shown += price
    return opened


def _by_importance(scene: Scene, groups: Groups, alone: BoolArray) -> list[int]:
    """Islands, those of the cause and its victims first, then the sickest, then the busiest.

    Where there are quarters, those that have nobody sick stay closed until somebody comes near.
    """
    islands = len(groups.quarter)
    lit = np.zeros(islands, bool)
    if scene.cause is not None:
        lit[scene.island[scene.cause.ends]] = True
        lit[scene.island[scene.cause.victims]] = True
    sick = np.bincount(scene.island[alone], minlength=islands)
    calls = np.bincount(scene.island, scene.calls, islands)
    order = np.lexsort((-calls, -sick, ~lit))
    important: list[int] = order[(sick > 0)[order] | (groups.quarter < 0)[order]].tolist()
    return important


def _summed(scene: Scene, groups: Groups, parts: _Parts, budget: Budget) -> Detail:
    """The scene of the drawn bodies."""
    body, kept = parts.body, parts.kept
    count = len(parts.group)
    shown = parts.group[len(kept) :]
    members = np.bincount(body, minlength=count)
    first = np.unique(body, return_index=True)[1][len(kept) :]
    calls, errors = _sums(body, scene.calls, count), _sums(body, scene.errors, count)
    state, sick = _worst(body, scene.state, count), _sums(body, np.isin(scene.state, SICK), count)
    shape = np.concatenate([scene.shape[kept], np.full(len(shown), GROUP)])
    positions = np.concatenate([scene.positions[kept], _feet(groups, shown)])
    fits = groups.room[shown] * np.where(shown < len(groups.quarter), _FILLS, _FILLS_QUARTER)
    radii = np.concatenate([scene.radii[kept], fits]).astype(np.float32)
    plate, plates, names, shares = _plates(scene, groups, parts)
    joined = _joined(scene, body, parts.group)
    cause = _moved(scene.cause, body, joined.of)
    source, target = joined.ends
    weight = weights(joined.calls, target)
    weight[(parts.group[source] >= 0) | (parts.group[target] >= 0)] *= _WAYS_SEEN
    seen = arcs_seen(weight, joined.state, cause)
    contrast = scene.contrast
    if contrast is not None:
        contrast = contrast.collapsed(kept, state, joined.of, joined.state)
        seen = contrast.arcs_seen(seen)
    drawn = np.sort(np.argsort(-seen, kind="stable")[: budget.arcs])
    if cause is not None:
        drawn = np.union1d(drawn, [*cause.links, *([] if cause.arc is None else [cause.arc])]).astype(
            np.int64
        )
        place = np.full(len(source), -1, np.int64)
        place[drawn] = np.arange(len(drawn))
        cause = _moved(cause, np.arange(count), place)
    source, target, flow = source[drawn], target[drawn], joined.calls[drawn]
    curves = control_points(positions, radii, source, target, plate)
    seconds = float(scene.arc_calls.sum()) / max(float(scene.traffic.sum(dtype=np.float64)), 1e-300)
    names_of_groups = [f"{_KEY}{scene.services[i]}" for i in first.tolist()]
    label, subtitle, tooltip = _texts(scene, groups, parts, members, sick, calls, errors)
    small = dataclasses.replace(
        scene,
        services=[scene.services[i] for i in kept.tolist()] + names_of_groups,
        labels=label,
        subtitles=subtitle,
        tooltips=tooltip,
        calls=calls,
        errors=errors,
        positions=positions,
        radii=radii,
        state=state,
        shape=shape,
        seen=np.where((shape == GROUP) & ~np.isin(state, SICK), _CALM, 1.0).astype(np.float32)
        * (bodies_seen(state, cause) if contrast is None else contrast.bodies_seen()),
        priority=priorities(calls, errors, state, shape, cause),
        source=source,
        target=target,
        curves=curves,
        arc_radii=arc_thickness(flow),
        arc_calls=flow,
        arc_state=joined.state[drawn],
        arc_seen=seen[drawn],
        traffic=(flow / max(seconds, 1e-9)).astype(np.float32),
        island=plate,
        island_names=names,
        plates=plates,
        plate_shares=shares,
        cause=cause,
        beacon=beacon_of(positions, curves, cause),
        suspect=None if scene.suspect is None else scene.suspect._replace(body=int(body[scene.suspect.body])),
        contrast=None if contrast is None else contrast.taken(np.arange(count), drawn),
    )
    left_out = float(joined.calls.sum() - flow.sum())
    note = _note(int(members[len(kept) :].sum()), len(body), shown, groups)
    return Detail(
        small, body, parts.group, members, joined.inner, len(joined.calls), left_out, parts.opened, note
    )


class _Joined(NamedTuple):
    """``of``: the connection that each of the whole scene's is in, -1 for those inside of a body."""

    ends: tuple[IntArray, IntArray]
    calls: FloatArray
    state: IntArray
    inner: FloatArray
    of: IntArray


def _joined(scene: Scene, body: IntArray, group: IntArray) -> _Joined:
    """Connections between drawn bodies: as many calls as all of theirs, in the worst state of them."""
    source, target = body[scene.source], body[scene.target]
    within = (source == target) & (group[source] >= 0)
    inner = _sums(source[within], scene.arc_calls[within], len(group))
    key = source * len(group) + target
    pairs, number = np.unique(key[~within], return_inverse=True)
    of = np.full(len(key), -1, np.int64)
    of[~within] = number
    return _Joined(
        (pairs // len(group), pairs % len(group)),
        _sums(number, scene.arc_calls[~within], len(pairs)),
        _worst(number, scene.arc_state[~within], len(pairs)),
        inner,
        of,
    )


def _sums(number: IntArray, values: NDArray[np.float64 | np.bool_], count: int) -> FloatArray:
    """The sum of the values with each number, (count,)."""
    return np.bincount(number, values, count).astype(np.float64)


def _worst(number: IntArray, state: IntArray, count: int) -> IntArray:
    """The worst state that occurs with each number, (count,)."""
    severity = np.zeros(count, np.int64)
    np.maximum.at(severity, number, SEVERITY[state])
    worst: IntArray = np.argsort(SEVERITY)[severity]
    return worst


def _moved(cause: Cause | None, body: IntArray, arc: IntArray) -> Cause | None:
    """The cause with the numbers of drawn bodies and connections."""
    if cause is None:
        return None
    links = arc[cause.links]
    return cause._replace(
        body=int(body[cause.body]),
        arc=None if cause.arc is None else int(arc[cause.arc]),
        ends=body[cause.ends].tolist(),
        victims=body[cause.victims],
        links=np.unique(links[links >= 0]),
    )


def _feet(groups: Groups, shown: IntArray) -> NDArray[np.float32]:
    return np.column_stack([groups.centres[shown], np.full(len(shown), _FOOT)]).astype(np.float32)


def _plates(
    scene: Scene, groups: Groups, parts: _Parts
) -> tuple[IntArray, list[NDArray[np.float32]], list[str], NDArray[np.float32]]:
    """The plate of each drawn body; outlines, names and shares of the plates that are drawn.

    A quarter is one plate. What is collapsed has its name on its body, not beside its plate.
    """
    closed = groups.quarter.copy()
    closed[np.isin(closed, list(parts.opened))] = -1
    plate_of = np.where(closed >= 0, closed, np.arange(len(closed)))
    drawn, plate_of = np.unique(plate_of, return_inverse=True)
    of_service = plate_of[scene.island]
    on = np.empty(len(parts.group), np.int64)
    on[parts.body] = of_service
    collapsed = set(parts.group[parts.group >= 0].tolist())
    names = ["" if number in collapsed else scene.island_names[number] for number in drawn.tolist()]
    return on, [groups.plates[i] for i in drawn.tolist()], names, shares_by_island(scene.state, of_service)


def _texts(
    scene: Scene,
    groups: Groups,
    parts: _Parts,
    members: IntArray,
    sick: FloatArray,
    calls: FloatArray,
    errors: FloatArray,
) -> tuple[Lines, Lines, Lines]:
    """Labels, subtitles and tooltips of the drawn bodies."""
    services = len(parts.kept)

    def label(body: int) -> str:
        if body < services:
            return str(scene.labels[int(parts.kept[body])])
        return _group_name(scene, groups, int(parts.group[body]), int(members[body]))

    def subtitle(body: int) -> str:
        if body < services:
            return str(scene.subtitles[int(parts.kept[body])])
        return f"{share(sick[body], members[body])} sick" if sick[body] else ""

    def tooltip(body: int) -> str:
        if body < services:
            return str(scene.tooltips[int(parts.kept[body])])
        of = np.bincount(scene.state[parts.body == body], minlength=len(STATES))
        return "\n".join(
            [
                label(body),
                " · ".join(f"{of[code]:,} {STATES[code]}" for code in np.argsort(-SEVERITY) if of[code]),
                f"{calls[body]:,.0f} calls",
                f"{errors[body]:,.0f} errors · {share(errors[body], calls[body])}",
                "come nearer or click to open",
            ]
        )

    count = len(members)
    return Lines(count, label), Lines(count, subtitle), Lines(count, tooltip)


def _group_name(scene: Scene, groups: Groups, number: int, members: int) -> str:
    islands = len(groups.quarter)
    if number < islands:
        name = scene.island_names[number]
        return f"{name} · {members:,} services" if name else f"{members:,} services"
    own = np.flatnonzero(groups.quarter == number)
    return f"{len(own)} islands · {members:,} services"


def _note(hidden: int, services: int, shown: IntArray, groups: Groups) -> str:
    if not hidden:
        return ""
    quarters = int((shown >= len(groups.quarter)).sum())
    what = [
        f"{count:,} {name if count == 1 else name.replace(noun, f'{noun}s', 1)}"
        for count, name, noun in (
            (len(shown) - quarters, "island", "island"),
            (quarters, "group of islands", "group"),
        )
        if count
    ]
    return f"{hidden:,} of {services:,} services are inside {' and '.join(what)}"


def _quarters(centres: FloatArray) -> IntArray:
    """A number from 0 for each place (k, 2): halved along the longer side until few are together."""
    number = np.zeros(len(centres), np.int64)
    found, waiting = 0, [np.arange(len(centres))]
    while waiting:
        these = waiting.pop()
        if len(these) <= _QUARTER:
            number[these] = found
            found += 1
            continue
        axis = int(np.argmax(np.ptp(centres[these], axis=0)))
        ordered = these[np.argsort(centres[these, axis], kind="stable")]
        waiting += [ordered[len(these) // 2 :], ordered[: len(these) // 2]]
    return number
