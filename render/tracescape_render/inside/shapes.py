"""The wall as meshes: boxes, strips, frames, pins. Colours are per point, so each kind is one actor."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import pyvista as pv
from numpy.typing import NDArray

from tracescape_render.inside.bodies import Bodies
from tracescape_render.inside.room import (
    BOARD,
    BOARD_LEAN,
    DEEP,
    LEAN,
    STRIP,
    WAITING,
    WIDTH,
    WORKING,
    Points,
    Room,
)
from tracescape_render.inside.standing import ERRORS, WARNINGS, Standing
from tracescape_render.palette import (
    ABSENT,
    DEGRADED,
    FAILING,
    RGB,
    SERVICE_COLOURS,
    SERVICE_COLOURS_DARK,
    Theme,
)

Colours = NDArray[np.uint8]

#: Nothing is thinner than this in x: a quarter of a column.
THINNEST: Final = WIDTH / 2400
#: How bright the faces of a box are: front, top, sides.
_FACES: Final = np.array([1.0, 1.28, 0.62, 0.62])
_FACES_LIGHT: Final = np.array([1.0, 0.86, 0.7, 0.7])
#: What is not on the critical path keeps so much of its colour; waiting of that, and crowds.
_ASIDE: Final = 0.58
_IDLE: Final = 0.58
_UNFOUND: Final = 0.22
#: Who works stands a little before who waits.
_PROUD: Final = 0.04
#: Of a row: how high a crowd is.
_CROWD: Final = 0.36
#: A path that goes to another row more often is a thicket: its sills alone are drawn. Likewise crosses.
_MOST_POSTS: Final = 160
_MOST_CROSSES: Final = 600
#: In a wall of more connections than these none is drawn.
MOST_STEMS: Final = 1_500


class Boxes(NamedTuple):
    """Corners of boxes: ``low`` and ``high`` float64 (m, 3), ``colour`` uint8 (m, 3)."""

    low: Points
    high: Points
    colour: Colours


def service_colours(theme: Theme) -> NDArray[np.int64]:
    """The palette of services on this ground, (8, 3)."""
    chosen = SERVICE_COLOURS_DARK if theme.glows else SERVICE_COLOURS
    return np.array([[int(text[i : i + 2], 16) for i in (1, 3, 5)] for text in chosen])


def body_colours(drawn: Bodies, theme: Theme, found: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
    """What each body wears, (b, 3): its service's colour, red where it failed, less off the critical path.

    Of a crowd in which few failed only what is marked is red. ``found`` (b,): others recede.
    """
    colour = service_colours(theme)[drawn.slot].astype(np.float64)
    most = (drawn.ill & (drawn.span >= 0)) | (drawn.ill & (2 * drawn.failed >= np.maximum(drawn.count, 1)))
    colour[most] = theme.states[FAILING]
    colour[drawn.void] = theme.states[ABSENT]
    share = np.where(drawn.critical | most | drawn.void, 1.0, _ASIDE)
    if found is not None:
        share = np.where(found, np.maximum(share, 0.8), _UNFOUND)
    return _faded(colour, share, theme)


def _faded(colour: NDArray[np.float64], share: NDArray[np.float64], theme: Theme) -> NDArray[np.float64]:
    ground = np.mean(theme.ground, axis=0)
    mixed: NDArray[np.float64] = ground + (colour - ground) * share[:, None]
    return mixed


def waiting_boxes(drawn: Bodies, room: Room, colours: NDArray[np.float64], theme: Theme) -> Boxes:
    """A low rail for as long as each span lasts; crowds are higher, and a void is as high as who works."""
    low = np.where(drawn.span < 0, _CROWD, WAITING)
    height = np.where(drawn.void, WORKING, low) * room.pitch
    share = np.where(drawn.void, 1.0, _IDLE)
    return _boxes(room, drawn.row, drawn.left, drawn.right, height, DEEP * 0.8, _faded(colours, share, theme))


def working_boxes(drawn: Bodies, room: Room, colours: NDArray[np.float64]) -> Boxes:
    """High blocks where they worked."""
    work = drawn.work
    known = work.body >= 0
    row, left, right = work.row[known], work.left[known], work.right[known]
    height = np.full(len(row), WORKING * room.pitch)
    return _boxes(room, row, left, right, height, DEEP, colours[work.body[known]], before=_PROUD)


def lit_boxes(drawn: Bodies, room: Room, theme: Theme) -> Boxes:
    """The critical path: a bright sill under what it goes through, and posts where it goes to another row."""
    lit, pitch = drawn.lit, room.pitch
    steps = drawn.steps if len(drawn.steps) <= _MOST_POSTS else drawn.steps[:0]
    thick = 0.085 * pitch + 0.02
    colour = np.array(theme.light, np.uint8)
    x0, x1 = _widened(room.x(lit.left), room.x(lit.right))
    y, z = room.y(lit.row) - 0.1 * pitch, room.z(lit.row)
    sills = (
        np.column_stack([x0, y, z - thick]),
        np.column_stack([x1, y + 0.06 * pitch, z]),
    )
    x = room.x(steps[:, 0])
    half = 0.018 + 0.012 * pitch
    low, high = steps[:, 1], steps[:, 2]
    posts = (
        np.column_stack([x - half, room.y(low) - 0.1 * pitch, room.z(low) - thick]),
        np.column_stack([x + half, room.y(low) - 0.06 * pitch, room.z(high)]),
    )
    # A post leans with the wall: its upper end stands back. Boxes are upright, so it is cut into rows.
    posts = _leaning(posts, low, high, room)
    corners = [np.concatenate(parts) for parts in zip(sills, posts, strict=True)]
    return Boxes(corners[0], corners[1], np.tile(colour, (len(corners[0]), 1)))


def _leaning(posts: tuple[Points, Points], low: Points, high: Points, room: Room) -> tuple[Points, Points]:
    count = np.maximum((high - low).astype(np.int64), 1)
    which = np.repeat(np.arange(len(count)), count)
    step = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    below, above = posts[0][which].copy(), posts[1][which].copy()
    rise = step * room.pitch
    below[:, 1] += rise * LEAN
    above[:, 1] = below[:, 1] + 0.04 * room.pitch
    below[:, 2] += rise
    above[:, 2] = below[:, 2] + room.pitch
    return below, above


def box_mesh(boxes: Boxes, theme: Theme, *, plain: bool = False) -> pv.PolyData:
    """Front, top and both sides of boxes; ``plain``: the front alone, not shaded. Points have ``rgb``."""
    low, high = boxes.low, boxes.high
    x0, y0, z0 = low.T
    x1, y1, z1 = high.T
    front = _quad((x0, y0, z0), (x1, y0, z0), (x1, y0, z1), (x0, y0, z1))
    if plain:
        return _faces([front], [boxes.colour])
    top = _quad((x0, y0, z1), (x1, y0, z1), (x1, y1, z1), (x0, y1, z1))
    left = _quad((x0, y1, z0), (x0, y0, z0), (x0, y0, z1), (x0, y1, z1))
    right = _quad((x1, y0, z0), (x1, y1, z0), (x1, y1, z1), (x1, y0, z1))
    shades = _FACES if theme.glows else _FACES_LIGHT
    colours = [np.clip(boxes.colour * shade, 0, 255).astype(np.uint8) for shade in shades]
    return _faces([front, top, left, right], colours)


def frames(drawn: Bodies, room: Room, chosen: NDArray[np.int64], *, hatched: bool = False) -> pv.PolyData:
    """Outlines of bodies, as lines; ``hatched`` with strokes across, for what is not there."""
    pitch = room.pitch
    x0, x1 = _widened(room.x(drawn.left[chosen]), room.x(drawn.right[chosen]))
    y0, z0 = room.y(drawn.row[chosen]) - 0.12 * pitch, room.z(drawn.row[chosen])
    y1, z1 = y0 + (DEEP + 0.12) * pitch, z0 + (WORKING + 0.04) * pitch
    corner = [
        np.column_stack(parts)
        for parts in (
            (x0, y0, z0), (x1, y0, z0), (x1, y0, z1), (x0, y0, z1), (x0, y1, z1), (x1, y1, z1),
        )
    ]  # fmt: skip
    pairs = [(0, 1), (1, 2), (2, 3), (3, 0), (3, 4), (4, 5), (5, 2)]
    lines = np.concatenate([np.stack([corner[a], corner[b]], axis=1) for a, b in pairs])
    if hatched and len(chosen):
        lines = np.concatenate([lines, *(_hatching(*each) for each in zip(x0, x1, y0, z0, z1, strict=True))])
    return _lines(lines)


def _hatching(x0: float, x1: float, y: float, z0: float, z1: float) -> Points:
    high = z1 - z0
    count = int(np.clip((x1 - x0) / (0.6 * high + 1e-9), 1, 60))
    foot = np.linspace(x0, x1, count, endpoint=False)
    head = np.minimum(foot + 0.6 * high, x1)
    ends = np.empty((count, 2, 3))
    ends[:, 0], ends[:, 1] = (
        np.column_stack([foot, np.full(count, y), np.full(count, z0)]),
        np.column_stack([head, np.full(count, y), np.full(count, z1)]),
    )
    return ends


def crosses(drawn: Bodies, room: Room) -> NDArray[np.float64]:
    """Where a cross stands: at the end of what failed, x, y, z and its size, (k, 4)."""
    ill = np.flatnonzero(drawn.ill)
    ill = ill[np.argsort(-drawn.failed[ill], kind="stable")[:_MOST_CROSSES]]
    size = np.full(len(ill), min(0.34 * room.pitch, 0.5))
    x = room.x(drawn.right[ill])
    return np.column_stack(
        [x, room.y(drawn.row[ill]) - 0.16 * room.pitch, room.z(drawn.row[ill]) + 0.32 * room.pitch, size]
    )


def cross_mesh(places: NDArray[np.float64], colour: RGB) -> pv.PolyData:
    """Crosses of two bars each, facing the viewer."""
    corners = []
    for turn in (1.0, -1.0):
        along = np.array([1.0, 0.0, turn]) * 0.7071
        across = np.array([-turn, 0.0, 1.0]) * 0.7071 * 0.26
        middle, size = places[:, None, :3], places[:, None, 3:]
        offsets = np.array([-along - across, along - across, along + across, across - along])
        corners.append(middle + offsets[None] * size)
    faces = np.concatenate(corners)
    return _faces([faces], [np.tile(np.array(colour, np.uint8), (len(faces), 1))])


def stems(wall: Standing, drawn: Bodies, room: Room) -> pv.PolyData | None:
    """From each span that stands alone down to its parent; none where they would be a thicket."""
    alone = np.flatnonzero(drawn.span >= 0)
    span = drawn.span[alone]
    parent = wall.parent[span]
    reach = drawn.reach
    lane = wall.lane[np.maximum(parent, 0)]
    kept = (parent >= 0) & (lane >= reach.low) & (lane < reach.high) & (wall.start[span] >= reach.first)
    if not kept.any() or kept.sum() > MOST_STEMS:
        return None
    row, below = drawn.row[alone][kept], (lane[kept] - reach.low) // drawn.lanes_a_row
    x = room.x(drawn.left[alone][kept])
    ends = np.empty((len(x), 2, 3))
    for end, at, lift in ((0, row, 0.0), (1, below, WAITING)):
        ends[:, end] = np.column_stack([x, room.y(at), room.z(at) + lift * room.pitch])
    return _lines(ends)


def grid_lines(room: Room, shares: list[float]) -> pv.PolyData:
    """A line up the wall and down the board for each tick."""
    y, z = room.bottom
    ends = []
    for x in room.x(np.array(shares)).tolist():
        back = DEEP * room.pitch
        ends += [
            [(x, back, 0.0), (x, room.top * LEAN + back, room.top)],
            [(x, back, 0.0), (x, 0.0, 0.0)],
            [(x, 0.0, 0.0), (x, y, z)],
        ]
    return _lines(np.array(ends, np.float64).reshape(-1, 2, 3))


def board(room: Room, colour: RGB, other: RGB) -> pv.PolyData:
    """The strips on which notes hang, in turn of two colours, and the sill of the wall."""
    quads, colours = [], []
    for number in range(len(room.levels)):
        upper, lower = BOARD + number * STRIP, BOARD + (number + 1) * STRIP - 0.06
        half = WIDTH / 2 + 0.3
        quads.append(
            [
                (-half, -lower * BOARD_LEAN, -lower),
                (half, -lower * BOARD_LEAN, -lower),
                (half, -upper * BOARD_LEAN, -upper),
                (-half, -upper * BOARD_LEAN, -upper),
            ]
        )
        colours.append(colour if number % 2 else other)
    return _faces(
        [np.array(quads, np.float64).reshape(-1, 4, 3)], [np.array(colours, np.uint8).reshape(-1, 3)]
    )


def pin_mesh(drawn: Bodies, room: Room, theme: Theme) -> pv.PolyData:
    """Notes: squares, those of trouble stand on a corner; the more there are, the larger."""
    pins = drawn.pins
    here = np.isin(pins.level, room.levels)
    level, count = pins.level[here], pins.number[here]
    yz = np.array([room.strip(each) for each in level.tolist()]).reshape(-1, 2)
    size = np.minimum(0.17 + 0.06 * np.log2(np.maximum(count, 1)), 0.44)
    middle = np.column_stack([room.x(pins.at[here]), yz[:, 0] - 0.06, yz[:, 1]])
    sharp = level <= WARNINGS
    square = np.array([(-1, 0, -1), (1, 0, -1), (1, 0, 1), (-1, 0, 1)], np.float64)
    lozenge = np.array([(-1.3, 0, 0), (0, 0, -1.3), (1.3, 0, 0), (0, 0, 1.3)], np.float64)
    square[:, 1], lozenge[:, 1] = square[:, 2] * BOARD_LEAN, lozenge[:, 2] * BOARD_LEAN
    offsets = np.where(sharp[:, None, None], lozenge[None], square[None]) * size[:, None, None]
    colour = np.tile(np.array(theme.text_quiet, np.uint8), (len(level), 1))
    colour[level == ERRORS] = theme.states[FAILING]
    colour[level == WARNINGS] = theme.states[DEGRADED]
    return _faces([middle[:, None] + offsets], [colour])


def note_threads(wall: Standing, drawn: Bodies, room: Room, body: int | None) -> pv.PolyData | None:
    """From the notes of a span that stands alone up to it."""
    if body is None or drawn.span[body] < 0 or not room.levels:
        return None
    notes = wall.notes
    mine = np.flatnonzero(notes.span == drawn.span[body])
    reach = drawn.reach
    mine = mine[(notes.time[mine] >= reach.first) & (notes.time[mine] <= reach.last)][:200]
    share = np.asarray((notes.time[mine] - reach.first) / reach.length, np.float64)
    if not len(mine):
        return None
    yz = np.array([room.strip(level) for level in notes.level[mine].tolist()])
    row = np.full(len(mine), drawn.row[body])
    ends = np.empty((len(mine), 2, 3))
    ends[:, 0] = np.column_stack([room.x(share), yz])
    ends[:, 1] = np.column_stack([room.x(share), room.y(row), room.z(row)])
    return _lines(ends)


def _boxes(
    room: Room,
    row: NDArray[np.int64],
    left: Points,
    right: Points,
    height: Points,
    deep: float,
    colours: NDArray[np.float64],
    before: float = 0.0,
) -> Boxes:
    x0, x1 = _widened(room.x(left), room.x(right))
    y, z = room.y(row), room.z(row)
    # Neighbours on a row are told apart by a gap, where they are wide enough for one.
    gap = np.minimum(0.03 * room.pitch, 0.2 * (x1 - x0))
    low = np.column_stack([x0, y - before * room.pitch, z])
    high = np.column_stack([x1 - gap, y + deep * room.pitch, z + height])
    return Boxes(low, high, np.clip(colours, 0, 255).astype(np.uint8))


def _widened(x0: Points, x1: Points) -> tuple[Points, Points]:
    lack = np.maximum(THINNEST - (x1 - x0), 0.0)
    return x0 - lack / 2, x1 + lack / 2


def _quad(*corners: tuple[Points, Points, Points]) -> Points:
    return np.stack([np.column_stack(corner) for corner in corners], axis=1)


def _faces(quads: list[Points], colours: list[Colours]) -> pv.PolyData:
    points = np.concatenate(quads).reshape(-1, 3).astype(np.float32)
    count = len(points) // 4
    cells = np.empty((count, 5), np.int64)
    cells[:, 0] = 4
    cells[:, 1:] = np.arange(4 * count).reshape(count, 4)
    mesh = pv.PolyData(points, faces=cells.ravel()) if count else pv.PolyData()
    mesh.point_data["rgb"] = np.repeat(np.concatenate(colours), 4, axis=0)
    return mesh


def _lines(ends: Points) -> pv.PolyData:
    points = ends.reshape(-1, 3).astype(np.float32)
    count = len(points) // 2
    cells = np.empty((count, 3), np.int64)
    cells[:, 0] = 2
    cells[:, 1:] = np.arange(2 * count).reshape(count, 2)
    return pv.PolyData(points, lines=cells.ravel()) if count else pv.PolyData()
