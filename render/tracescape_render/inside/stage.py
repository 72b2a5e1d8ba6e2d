"""A wall on a VTK renderer: about a dozen actors, whatever the trace."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyvista as pv
from numpy.typing import NDArray
from vtkmodules.vtkRenderingCore import vtkActor

from tracescape_render.actors import line_actor, mesh_actor, unit
from tracescape_render.camera import VIEW_ANGLE, View
from tracescape_render.inside import shapes
from tracescape_render.inside.bodies import Bodies, bodies
from tracescape_render.inside.reach import Reach
from tracescape_render.inside.room import (
    Room,
    body_under,
    kept_in_front,
    overview,
    pin_under,
    place_at,
    ray,
    room_for,
)
from tracescape_render.inside.standing import LEVELS, Standing
from tracescape_render.inside.told import body_words, pin_words, told_change, told_changes
from tracescape_render.inside.writing import Writing, ticks_of
from tracescape_render.palette import ABSENT, DARK, DEGRADED, FAILING, RGB, Theme
from tracescape_render.renderer import renderer_named

_NEAR_PIXELS: Final = 3.0
#: So many differences from another trace are framed, the greatest.
_FRAMED: Final = 60


class WallStage:
    """Draws a wall on a plotter. Not thread-safe: use it from the thread that renders."""

    def __init__(self, plotter: pv.Plotter, *, moving: bool = False, theme: Theme = DARK) -> None:
        self._plotter, self._renderer = plotter, plotter.renderer
        self._moving = moving
        self.theme = theme
        self._actors: list[vtkActor] = []
        self._over: list[vtkActor] = []
        self._writing = Writing(self._renderer)
        self._found: NDArray[np.int64] | None = None
        self.selected: int | None = None
        self.hovered: int | None = None
        self.wall: Standing
        self.drawn: Bodies
        self.room: Room
        self._set_up()

    @property
    def whole(self) -> Reach:
        """All of the wall."""
        return whole_of(self.wall)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the window in pixels."""
        width, height = self._plotter.render_window.GetSize()
        return max(width, 1), max(height, 1)

    def show(self, wall: Standing, reach: Reach | None = None) -> None:
        """Draw ``wall``, all of it or what is in ``reach``; the camera sees everything that is drawn."""
        self.wall, self._found = wall, None
        self.selected = self.hovered = None
        self._cut(reach or self.whole)
        self.look(self.overview())

    def reach(self, reach: Reach) -> None:
        """Draw another part of the same wall; the camera stays."""
        self._cut(reach)

    def find(self, spans: NDArray[np.int64] | None) -> None:
        """Let these spans stand out, and the others recede; None: as ever."""
        self._found = spans
        self._draw()

    def use(self, theme: Theme) -> None:
        """Draw in other colours from now on."""
        self.theme = theme
        self._colour_ground()
        self._draw()

    def select(self, span: int | None) -> None:
        """Frame a span."""
        self.selected = span
        self._draw_over()

    def hover(self, body: int | None) -> None:
        """Frame a body under the pointer."""
        if body != self.hovered:
            self.hovered = body
            self._draw_over()

    @property
    def labels_on(self) -> bool:
        """Whether names are written."""
        return self._writing.shown

    @labels_on.setter
    def labels_on(self, on: bool) -> None:
        self._writing.shown = on

    @property
    def labels(self) -> list[str]:
        """The names that are written."""
        return [label.text for label in self._writing.labels]

    @property
    def writing(self) -> Writing:
        """What is written."""
        return self._writing

    def overview(self) -> View:
        """The view that shows everything that is drawn."""
        width, height = self.size
        return overview(self.room, width / height, height)

    def look(self, view: View) -> None:
        """Put the camera there, as far as that is in front of the wall."""
        view = kept_in_front(view)
        camera = self._renderer.GetActiveCamera()
        camera.SetPosition(*view.position)
        camera.SetFocalPoint(*view.focus)
        camera.SetViewUp(0.0, 0.0, 1.0)
        camera.SetViewAngle(VIEW_ANGLE)
        self._renderer.ResetCameraClippingRange()

    def view(self) -> View:
        """Where the camera is now."""
        camera = self._renderer.GetActiveCamera()
        return View(camera.GetPosition(), camera.GetFocalPoint())

    def projection(self) -> NDArray[np.float64]:
        """The camera's 4 × 4 composite projection."""
        width, height = self.size
        matrix = self._renderer.GetActiveCamera().GetCompositeProjectionTransformMatrix(width / height, -1, 1)
        return np.array([[matrix.GetElement(i, j) for j in range(4)] for i in range(4)])

    def body_at(self, x: float, y: float) -> int | None:
        """The body under a pixel (from the lower left corner), or None."""
        return body_under(self.drawn, self.room, ray(self.projection(), self.size, (x, y)), self._slack())

    def pin_at(self, x: float, y: float) -> int | None:
        """The pin of notes under a pixel, or None."""
        return pin_under(self.drawn, self.room, ray(self.projection(), self.size, (x, y)), self._slack())

    def place_at(self, x: float, y: float) -> tuple[float, float]:
        """Time (ns as in `Standing`) and lane on the wall behind a pixel."""
        share, row = place_at(self.room, ray(self.projection(), self.size, (x, y)))
        reach = self.drawn.reach
        return reach.first + share * reach.length, reach.low + row * self.drawn.lanes_a_row

    def words_at(self, x: float, y: float) -> str:
        """What is told of what is under a pixel; empty for nothing."""
        body = self.body_at(x, y)
        if body is not None:
            return body_words(self.wall, self.drawn, body)
        pin = self.pin_at(x, y)
        return "" if pin is None else pin_words(self.wall, self.drawn, pin)

    def on_screen(self, span: int) -> tuple[float, float] | None:
        """A pixel of a span, from the lower left corner; None where it is not drawn."""
        from tracescape_render.camera import to_screen

        body = self.drawn.body_of(self.wall, span)
        if body is None:
            return None
        drawn, room = self.drawn, self.room
        x = room.x((drawn.left[body] + drawn.right[body]) / 2)
        row = drawn.row[body]
        point = np.array([[x, room.y(row), room.z(row) + 0.1 * room.pitch]], np.float32)
        xy, _ = to_screen(point, self.projection(), self.size)
        return float(xy[0, 0]), float(xy[0, 1])

    def relabel(self) -> None:
        """Place what is written for the camera and the window as they are now."""
        self._writing.place(self.projection(), self.size)

    def settle(self) -> str:
        """The renderer's name, which is known once the window is."""
        return renderer_named(self._plotter.render_window.ReportCapabilities())

    def _slack(self) -> float:
        """Some pixels, in world units at the distance of the wall."""
        view = self.view()
        distance = float(np.linalg.norm(np.subtract(view.position, view.focus)))
        return _NEAR_PIXELS * 2 * distance * float(np.tan(np.radians(VIEW_ANGLE / 2))) / self.size[1]

    def _cut(self, reach: Reach) -> None:
        self.drawn = bodies(self.wall, reach)
        there = np.unique(self.wall.notes.level).tolist()
        self.room = room_for(
            self.drawn,
            tuple(level for level in range(len(LEVELS)) if level in there),
            titled=len(self.wall.blocks) > 1,
        )
        self.hovered = None
        self._draw()

    def _draw(self) -> None:
        for actor in self._actors:
            self._renderer.RemoveActor(actor)
        self._actors = self._parts()
        for actor in self._actors:
            self._add(actor)
        self._draw_over()
        self._writing.use(self.wall, self.drawn, self.room, self.theme, whole=self.drawn.reach == self.whole)

    def _parts(self) -> list[vtkActor]:
        theme, drawn, room = self.theme, self.drawn, self.room
        found = None if self._found is None else self._bodies_with(self._found)
        colours = shapes.body_colours(drawn, theme, found)
        shares = [share for share, _, _ in ticks_of(drawn)]
        actors = [line_actor(shapes.grid_lines(room, shares), theme.grid, 0.8)]
        if room.levels:
            strips = shapes.board(room, theme.plate, _between(theme.plate, theme.ground[1]))
            actors.append(mesh_actor(strips, "rgb"))
        stems = shapes.stems(self.wall, drawn, room)
        if stems is not None:
            actors.append(line_actor(stems, theme.stem, 0.9))
        boxes = (
            shapes.waiting_boxes(drawn, room, colours, theme),
            shapes.working_boxes(drawn, room, colours),
            shapes.lit_boxes(drawn, room, theme),
        )
        actors += [mesh_actor(shapes.box_mesh(each, theme), "rgb") for each in boxes if len(each.low)]
        missing = np.flatnonzero(drawn.void)
        if len(missing):
            actors.append(
                line_actor(shapes.frames(drawn, room, missing, hatched=True), theme.marks[ABSENT], 1.0)
            )
        ill = shapes.crosses(drawn, room)
        if len(ill):
            actors.append(mesh_actor(shapes.cross_mesh(ill, theme.marks[FAILING]), "rgb"))
        if len(drawn.pins.level) and room.levels:
            actors.append(mesh_actor(shapes.pin_mesh(drawn, room, theme), "rgb"))
        actors += self._differences()
        if found is not None and found.any():
            framed = shapes.frames(drawn, room, np.flatnonzero(found))
            actors.append(_thick(line_actor(framed, theme.selection, 0.9), 1.5))
        return actors

    def _differences(self) -> list[vtkActor]:
        """Frames around what is not as in the other trace, in the colour of what became of it."""
        theme, wall = self.theme, self.wall
        inks: dict[RGB, list[int]] = {}
        for span in told_changes(wall)[:_FRAMED].tolist():
            body = self.drawn.body_of(wall, span)
            change = told_change(wall, span)
            if body is not None and change != "fails":  # that is red and has a cross
                ink = {"slower": theme.marks[DEGRADED]}.get(change, theme.text_quiet)
                inks.setdefault(ink, []).append(body)
        return [
            _thick(line_actor(shapes.frames(self.drawn, self.room, np.array(chosen)), ink, 1.0), 2.0)
            for ink, chosen in inks.items()
        ]

    def _bodies_with(self, spans: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each body shows one of ``spans``."""
        found = np.isin(self.drawn.span, spans)
        for span in self._crowded(spans):
            body = self.drawn.body_of(self.wall, span)
            if body is not None:
                found[body] = True
        return found

    def _crowded(self, spans: NDArray[np.int64]) -> list[int]:
        alone = np.isin(spans, self.drawn.span)
        return [int(span) for span in spans[~alone][:2_000]]

    def _draw_over(self) -> None:
        """What the pointer and the selection add."""
        for actor in self._over:
            self._renderer.RemoveActor(actor)
        self._over = []
        chosen = None if self.selected is None else self.drawn.body_of(self.wall, self.selected)
        pointed = None if self.hovered == chosen else self.hovered
        for body, width in ((chosen, 3.0), (pointed, 1.5)):
            if body is not None:
                frame = shapes.frames(self.drawn, self.room, np.array([body]))
                self._over.append(_thick(line_actor(frame, self.theme.selection, 1.0), width))
        threads = shapes.note_threads(
            self.wall, self.drawn, self.room, self.hovered if self.hovered is not None else chosen
        )
        if threads is not None:
            self._over.append(line_actor(threads, self.theme.selection, 0.6))
        for actor in self._over:
            self._add(actor)

    def _add(self, actor: vtkActor) -> None:
        self._plotter.add_actor(actor, reset_camera=False, render=False, pickable=False)

    def _set_up(self) -> None:
        self._plotter.camera_set = True  # else the plotter frames the actors its own way when it shows them
        self._plotter.disable_anti_aliasing()
        self._plotter.render_window.SetMultiSamples(0)
        self._renderer.SetUseFXAA(not self._moving)
        self._colour_ground()

    def _colour_ground(self) -> None:
        below, above = (unit(colour) for colour in self.theme.ground)
        self._plotter.set_background(below, top=above)


def whole_of(wall: Standing) -> Reach:
    """All of a wall, with a little room at its end for what is written there."""
    length = wall.last_ns - wall.first_ns
    return Reach(float(wall.first_ns), wall.last_ns + 0.004 * length, 0, wall.lanes)


def _thick(actor: vtkActor, width: float) -> vtkActor:
    actor.GetProperty().SetLineWidth(width)
    return actor


def _between(one: RGB, other: RGB) -> RGB:
    red, green, blue = ((a + b) // 2 for a, b in zip(one, other, strict=True))
    return red, green, blue
