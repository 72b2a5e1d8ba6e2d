"""A scene on a VTK renderer: about ten actors for the whole world, whatever its size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import pyvista as pv
from numpy.typing import NDArray
from vtkmodules.vtkRenderingCore import vtkActor

from tracescape_render import meshes
from tracescape_render.actors import glyphs, line_actor, mesh_actor, ring_actor, spheres, splats, unit
from tracescape_render.arcs import FAINTEST, STEPS, polylines
from tracescape_render.camera import VIEW_ANGLE, View, around, close_up, overview, pick, to_screen
from tracescape_render.labels import Rect
from tracescape_render.levels import Levels
from tracescape_render.lights import Lights
from tracescape_render.painting import Paint, paint
from tracescape_render.palette import DARK, DEGRADED, FAILING, Theme
from tracescape_render.renderer import UNKNOWN, Budget, Profile, profile_of, renderer_named
from tracescape_render.riding import Ride, numbers_of, picture_of, ride_on, with_picture
from tracescape_render.riding_actors import RidingActors
from tracescape_render.riding_words import LEGEND, STATE_LEGEND
from tracescape_render.route import Route, RouteMoment
from tracescape_render.scene import GROUP, KINDS, Scene
from tracescape_render.shells import shells, sleeves
from tracescape_render.stereo import LEFT, MOST, Stereo
from tracescape_render.verdict import SICK
from tracescape_render.words import Words

#: In a world of more bodies than these, spheres are shaded spots.
_MESHES: Final = 300
#: So many connections are round whatever the renderer.
_ALL_ROUND: Final = 400
_LINK_RADIUS: Final = 0.055
_SPARE: Final = Budget(500, 400)
#: In a world of no more bodies than these, whoever rides a request sees all of it.
_SMALL_WORLD: Final = 40


class Stage:
    """Draws scenes on a plotter. Not thread-safe: use it from the thread that renders.

    ``moving`` gives up smooth edges, and draws less, where the renderer is software.
    ``theme`` has the colours.
    """

    def __init__(self, plotter: pv.Plotter, *, moving: bool = False, theme: Theme = DARK) -> None:
        self._moving = moving
        self._profile = profile_of(UNKNOWN)
        self._plotter = plotter
        self._renderer = plotter.renderer
        self._actors: list[vtkActor] = []
        self._lights = Lights()
        self._words = Words(self._renderer)
        self.theme = theme
        self.tells = True  # whether numbers are written into the world; a window has its own place for them
        self.lights_on = True
        self.spare = False  # draw a part of what the renderer could carry: it is slower than its name says
        self._levels: Levels | None = None
        self._route: Route | None = None
        self._moment: RouteMoment | None = None
        self._ride: Ride | None = None
        self._sentence = ""
        self._told: Scene | None = None  # the scene of the ride as it is told now
        self._riding: RidingActors | None = None
        self._stereo: Stereo | None = None
        self._selected: int | None = None
        self._selection = ring_actor(theme.selection)
        self._set_up()

    @property
    def scene(self) -> Scene | None:
        """What is drawn: in a large world islands are one body each until somebody comes near."""
        return self._told or (None if self._levels is None else self._levels.scene)

    @property
    def whole(self) -> Scene | None:
        """What was given to `show`, with every service."""
        return None if self._levels is None else self._levels.whole

    def show(self, scene: Scene, *, keep_view: bool = False) -> None:
        """Draw ``scene``, within the renderer's budget, instead of what is there.

        ``keep_view`` leaves the camera where it is, and what is open open.
        """
        selected = self._selected_name()
        before = self._levels if keep_view else None
        self._levels = Levels(scene, self._budget(), before, self._kept(scene))
        self._draw(selected, keep_view=keep_view)

    def ride(self, route: Route | None) -> None:
        """From now on draw a request on the scene, and the rest of the world dimmed; None for the world.

        `ride_to` says which moment of it. Whatever it touches is drawn itself, as far as it is there.
        """
        self._route, self._moment = route, None if route is None else route.at(route.replay.start_ns)
        if self.whole is not None:
            self.show(self.whole, keep_view=True)

    def ride_to(self, at_ns: int, linger_ns: int = 0) -> None:
        """Draw the request at a moment; what arrived less than ``linger_ns`` ago is still seen, fading."""
        assert self._route is not None
        self._moment = self._route.at(at_ns, linger_ns)
        if self._ride is not None:
            self._show_moment()

    @property
    def riding(self) -> Ride | None:
        """What of the request is drawn, None where no request is."""
        return self._ride

    @property
    def sentence(self) -> str:
        """What happens to the request at this moment; empty where none is ridden."""
        return self._sentence if self._ride is not None else ""

    @property
    def critical_body(self) -> int | None:
        """The drawn body that the request is in, or that its call is with; None where it is in none."""
        if self._ride is None or self._moment is None:
            return None
        node = self._moment.awaited if self._moment.awaited >= 0 else self._moment.critical
        found = np.flatnonzero(self._ride.nodes == node)
        return int(self._ride.bodies[found[0]]) if len(found) else None

    def overview_of_ride(self) -> View:
        """The view that shows what the request touches: in a small world everything."""
        assert self.scene is not None
        width, height = self.size
        if self._ride is None or len(self.scene.services) <= _SMALL_WORLD:
            return self.overview()
        return around(self.scene, self._ride.bodies, width / height, height)

    def _kept(self, scene: Scene) -> NDArray[np.int64] | None:
        if self._route is None:
            return None
        numbers = numbers_of(self._route.names, scene.services)
        return numbers[numbers >= 0]

    def _begin_ride(self) -> None:
        assert self._levels is not None
        self._ride = self._told = self._riding = None
        if self._route is not None:
            self._ride = ride_on(self._route, self._levels.scene)
            self._told = self._ride.scene

    def _show_moment(self) -> None:
        assert self._ride is not None
        assert self._moment is not None
        assert self._riding is not None
        picture = picture_of(self._ride, self._moment, self.theme)
        gone, new = self._riding.show(picture)
        for actor in gone:
            self._renderer.RemoveActor(actor)
            self._actors.remove(actor)
        for actor in new:
            self._plotter.add_actor(actor, reset_camera=False, render=False, pickable=False)
            self._actors.append(actor)
        self._sentence = picture.sentence
        self._told = with_picture(self._ride, picture)
        bad = bool(self._moment.failed.any()) or bool(self._moment.lost.any())
        self._words.retell(
            self._told, picture.sentence, self.theme.marks[FAILING] if bad else self.theme.text
        )

    def approach(self) -> bool:
        """Open the islands that the camera is near to, and close those that it has left.

        Whether anything changed; then bodies have other numbers than before. Call it when the camera has
        moved, some times a second.
        """
        return self._reopened(lambda levels: levels.approach(self.view().position))

    def open(self, body: int) -> bool:
        """Draw the members of a body that stands for several. False for a service, or without room."""
        return self._reopened(lambda levels: levels.open(body, self.view().position))

    def is_group(self, body: int) -> bool:
        """Whether a drawn body stands for several services."""
        return self._levels is not None and self._levels.is_group(body)

    def service_of(self, body: int) -> str | None:
        """The service that a drawn body is; None where it stands for several."""
        return None if self.scene is None or self.is_group(body) else self.scene.services[body]

    def body_of(self, service: str, *, reveal: bool = True) -> int | None:
        """The drawn body of a service, with its island opened; None if there is none of that name.

        Where there is no room for that, or without ``reveal``, the body that it is inside of.
        """
        if self._levels is None or service not in self._levels.whole.services:
            return None
        number = self._levels.whole.services.index(service)
        if reveal:
            self._reopened(lambda levels: levels.reveal(number, self.view().position))
        return int(self._levels.detail.body[number])

    def _reopened(self, change: Callable[[Levels], bool]) -> bool:
        selected = self._selected_name()
        if self._levels is None or not change(self._levels):
            return False
        self._draw(selected, keep_view=True)
        return True

    def _selected_name(self) -> str | None:
        return self.scene.services[self._selected] if self.scene and self._selected is not None else None

    def _draw(self, selected: str | None, *, keep_view: bool) -> None:
        assert self._levels is not None
        for actor in self._actors:
            self._renderer.RemoveActor(actor)
        self._begin_ride()
        scene = self._levels.scene if self._ride is None else self._ride.scene
        always = frozenset() if self._ride is None else frozenset(self._ride.bodies.tolist())
        legend = ((), None) if self._ride is None else (LEGEND, STATE_LEGEND)
        self._words.use(scene, self.theme, self._note(), always, *legend)
        self._actors = self._world(scene)
        for actor in self._actors:
            self._plotter.add_actor(actor, reset_camera=False, render=False, pickable=False)
        if self._ride is not None:
            self._show_moment()
        if not keep_view:
            self._words.forget()
            self.look(self.overview())
        self.select(scene.services.index(selected) if selected in scene.services else None)
        self.relabel()

    def _budget(self) -> Budget:
        if not self._moving:
            return self._profile.still
        return _SPARE if self.spare else self._profile.budget

    def _note(self) -> str:
        """What is not drawn."""
        assert self._levels is not None
        scene, detail = self._levels.scene, self._levels.detail
        shown, ways = len(self._shown_arcs(scene)), "ways between them" if detail.note else "connections"
        if self._ride is not None:
            return detail.note
        hidden = f"the strongest {shown:,} of {detail.ways:,} {ways} are drawn" if shown < detail.ways else ""
        return " · ".join(part for part in (detail.note, hidden) if part)

    def use(self, theme: Theme) -> None:
        """Draw in other colours from now on."""
        self.theme = theme
        self._colour_ground()
        if self._levels is not None:
            self._draw(self._selected_name(), keep_view=True)

    @property
    def labels_on(self) -> bool:
        """Whether bodies have labels."""
        return self._words.shown

    @labels_on.setter
    def labels_on(self, on: bool) -> None:
        self._words.shown = on

    @property
    def label_rects(self) -> dict[int, Rect]:
        """Where the labels are, by body, in pixels from the lower left corner."""
        return self._words.rects

    @property
    def leaders(self) -> NDArray[np.float64]:
        """The lines from labels that stand away from their bodies, pixels, (lines, 2, 2)."""
        return self._words.leaders

    @property
    def flag_rect(self) -> Rect | None:
        """Where the cause's name is, in pixels; None where there is no cause."""
        return self._words.flag_rect

    @property
    def island_rects(self) -> dict[int, Rect]:
        """Where the islands' names are, by island, in pixels."""
        return self._words.island_rects

    def overview(self) -> View:
        """The view that shows everything."""
        assert self.scene is not None
        width, height = self.size
        return overview(self.scene, width / height, height)

    def look(self, view: View) -> None:
        """Put the camera there; up stays up."""
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

    def go_to(self, body: int) -> None:
        """Nearer to a body, from the same side."""
        assert self.scene is not None
        self.look(close_up(self.scene.positions[body], self.view()))

    def go_to_worst(self) -> None:
        """Nearer to the beacon on the cause, else to the worst body; stay where all is well."""
        assert self.scene is not None
        worst = self.scene.worst()
        if worst is not None:
            place = self.scene.positions[worst] if self.scene.beacon is None else self.scene.beacon
            self.look(close_up(place, self.view()))

    @property
    def selected(self) -> int | None:
        """The selected body, or None."""
        return self._selected

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture in pixels: the window's, or with `stereo` those of its half."""
        width, height = self._plotter.render_window.GetSize()
        return max(width // (2 if self.stereo else 1), 1), max(height, 1)

    @property
    def stereo(self) -> bool:
        """Whether there are two pictures beside each other, the left eye's on the left."""
        return self._stereo is not None

    @stereo.setter
    def stereo(self, on: bool) -> None:
        if on == self.stereo:
            return
        if self._stereo is not None:
            self._stereo.close()
        window = self._plotter.render_window
        self._stereo = Stereo(window, self._renderer, self._words) if on else None
        self._words.forget()
        self.relabel()

    def projection(self) -> NDArray[np.float64]:
        """The camera's 4 × 4 composite projection; with `stereo` from the middle between the eyes."""
        width, height = self.size
        matrix = self._renderer.GetActiveCamera().GetCompositeProjectionTransformMatrix(width / height, -1, 1)
        return np.array([[matrix.GetElement(i, j) for j in range(4)] for i in range(4)])

    def body_at(self, x: float, y: float) -> int | None:
        """The body under a pixel (from the lower left corner), or None; in either picture of two."""
        if self.scene is None:
            return None
        projection = self.projection()
        if self._stereo is not None:
            x, eye = self._stereo.place_of(x)
            projection = self._stereo.eyes.projection(projection, eye)
        return pick(self.scene, projection, self.size, (x, y))

    def on_screen(self, body: int, eye: int = LEFT) -> tuple[float, float]:
        """The pixel of a body's middle, from the lower left corner of the picture; ``eye`` is of `stereo`."""
        assert self.scene is not None
        projection = self.projection()
        if self._stereo is not None:
            projection = self._stereo.eyes.projection(projection, eye)
        xy, _ = to_screen(self.scene.positions[body : body + 1], projection, self.size)
        return float(xy[0, 0]), float(xy[0, 1])

    def select(self, body: int | None) -> None:
        """Mark a body and show its numbers, or nothing."""
        self._selected = body
        self._selection.SetVisibility(body is not None)
        if body is not None and self.scene is not None:
            self._selection.SetPosition(*self.scene.positions[body].tolist())
            self._selection.SetScale(float(self.scene.radii[body]))
        self.hover(None)

    def hover(self, body: int | None) -> None:
        """Show a body's numbers while the pointer is on it; else those of the selection."""
        shown = self._selected if body is None else body
        text = None
        if self.tells and shown is not None and self.scene is not None:
            text = _panel(self.scene, shown)
        self._words.tell(text, self.size)

    @property
    def profile(self) -> Profile:
        """What the renderer can carry; until `settle` has asked it, the least."""
        return self._profile

    def settle(self) -> str:
        """Choose effects and budget by the renderer, which is known once the window is; returns its name.

        What is shown is drawn anew where that changes it.
        """
        before = self._profile
        self._profile = profile_of(renderer_named(self._plotter.render_window.ReportCapabilities()))
        self._renderer.SetUseFXAA(not self._moving or self._profile.smooth)
        if self.whole is not None and self._profile[2:] != before[2:]:
            self.show(self.whole, keep_view=True)
        return self._profile.renderer

    def say(self, text: str) -> None:
        """Put a line under the title: the caption, or what is wrong."""
        self._words.say(text)

    def proclaim(self, texts: Sequence[str]) -> None:
        """A banner above the world: the first of ``texts`` for which there is room; none of none."""
        self._words.proclaim(texts)

    def animate(self, seconds: float) -> None:
        """Move the lights along the arcs to where they are ``seconds`` after the beginning."""
        self._lights.move(seconds)

    def relabel(self, *, anew: bool = False) -> None:
        """Place the labels and the head-up display for the camera and the window as they are now.

        ``anew``: where it is best, wherever they were a moment ago.
        """
        if anew:
            self._words.forget()
        if self.scene is None:
            return
        self._words.leaning = 0.0 if self._stereo is None else MOST / 2 * self.size[0]
        self._words.place(self.projection(), self.size)
        if self._stereo is not None:
            self._stereo.adapt(self.scene, self.projection(), self.size[0])

    def _world(self, scene: Scene) -> list[vtkActor]:
        theme = self.theme
        actors = [mesh_actor(meshes.grid(scene, theme.grid), "rgba", floor=True)]
        if not len(scene.positions):
            self._lights.clear()
            return actors
        painted = paint(scene, theme)
        actors += [
            mesh_actor(meshes.plates(scene, theme.plate), "rgb", floor=True),
            mesh_actor(meshes.rims(scene, theme, quiet=self._ride is not None), "rgb", floor=True),
            line_actor(meshes.stems(scene), theme.stem, min(1.0, (100 / len(scene.positions)) ** 0.5)),
            *_bodies(scene, painted, self._others(scene)),
        ]
        actors += self._marks(scene, painted)
        if scene.contrast is not None:
            actors += shells(scene, scene.contrast, _whole_radii(scene), painted, self.theme)
        if len(scene.source):
            actors += self._arcs(scene, painted)
        if len(scene.source) and self.lights_on and self._ride is None:
            size = scene.size**0.5
            actors.append(self._lights.light(scene, theme, size, self._profile.lights))
        else:
            self._lights.clear()
        if scene.cause is not None:
            light = theme.text_quiet if scene.cause.over else theme.cause
            actors.append(mesh_actor(meshes.beacon(scene, light), "rgba"))
        if scene.suspect is not None:
            actors.append(mesh_actor(meshes.suspicion(scene, theme.text_quiet), "rgba"))
        if self._ride is not None:
            self._riding = RidingActors(self._ride, theme)
            actors += self._riding.actors
        return actors

    def _others(self, scene: Scene) -> NDArray[np.bool_]:
        """Bodies that a ride does not draw itself, (n,)."""
        others = np.ones(len(scene.positions), bool)
        if self._ride is not None:
            others[self._ride.bodies] = False
        return others

    def _marks(self, scene: Scene, painted: Paint) -> list[vtkActor]:
        """What the sick wear, and the halos of those that are there."""
        mark, others = meshes.mark_of(scene), self._others(scene)
        sick = np.flatnonzero((mark >= 0) & others)
        if not len(sick):
            return []
        radii, shapes = _whole_radii(scene)[sick], meshes.mark_shapes(len(sick))
        worn = glyphs(scene.positions[sick], radii, painted.marks[sick], shapes, mark[sick], lit=False)
        glowing = np.flatnonzero(np.isin(scene.state, (FAILING, DEGRADED)))
        if not len(glowing) or not self.theme.glows or self._ride is not None:
            return [worn]
        strength = 0.55 if scene.cause is None else 0.3
        halo = splats(
            pv.PolyData(scene.positions[glowing].copy()),
            (painted.marks[glowing] * strength).astype(np.uint8),
            1.0,
            scene.radii[glowing] * 1.1 * np.float32(scene.size**0.5),
            adds=True,
        )
        return [worn, halo]

    def _arcs(self, scene: Scene, painted: Paint) -> list[vtkActor]:
        """The strongest are round; the rest, where the renderer cannot have all so, are lines."""
        shown = self._shown_arcs(scene)
        radii = scene.arc_radii if scene.contrast is None else scene.arc_radii * scene.contrast.arc_lesser
        if scene.cause is not None:
            radii = radii.copy()
            radii[scene.cause.links] = np.maximum(radii[scene.cause.links], _LINK_RADIUS)
        thin, round_ = np.split(shown, [self._lines(len(shown))])
        actors = []
        if len(thin):
            points = polylines(scene.curves[thin], STEPS // 2)
            actors.append(mesh_actor(meshes.wires(points, painted.arcs[thin]), "rgba"))
        if not len(round_):  # a request may light all there are
            return actors
        radii = radii[round_] * np.float32(scene.size**0.85)
        points = polylines(scene.curves[round_], STEPS if len(round_) < 1_000 else STEPS // 2)
        actors.append(mesh_actor(meshes.tubes(points, radii, painted.arcs[round_]), "rgba"))
        if scene.contrast is not None:
            actors += sleeves(scene, scene.contrast, round_, self.theme)
        return actors

    def _shown_arcs(self, scene: Scene) -> NDArray[np.int64]:
        """The arcs that are drawn, the faint first, so that the strong are over them."""
        order = np.argsort(-scene.arc_seen, kind="stable")[: self._budget().arcs]
        return order[scene.arc_seen[order] > FAINTEST][::-1]

    def _lines(self, shown: int) -> int:
        """How many of the connections are lines: none of a few."""
        return 0 if shown <= _ALL_ROUND else max(0, shown - self._profile.tubes)

    def _set_up(self) -> None:
        renderer = self._renderer
        self._plotter.camera_set = True  # else the plotter frames the actors its own way when it shows them
        self._plotter.disable_anti_aliasing()
        self._plotter.render_window.SetMultiSamples(0)
        renderer.SetUseOIT(False)
        renderer.SetUseFXAA(not self._moving)
        self._plotter.remove_all_lights()
        for position, strength, colour in (
            ((30, -40, 60), 0.78, "white"),
            ((-50, 20, 20), 0.35, "#7f9cff"),
        ):
            self._plotter.add_light(
                pv.Light(position=position, intensity=strength, color=colour, light_type="scene light")
            )
        self._plotter.add_light(pv.Light(light_type="headlight", intensity=0.2))
        self._selection.SetVisibility(False)
        self._plotter.add_actor(self._selection, reset_camera=False, render=False, pickable=False)
        self._colour_ground()

    def _colour_ground(self) -> None:
        below, above = (unit(colour) for colour in self.theme.ground)
        self._plotter.set_background(below, top=above)
        self._selection.GetProperty().SetColor(*unit(self.theme.selection))


def _bodies(scene: Scene, painted: Paint, drawn: NDArray[np.bool_]) -> list[vtkActor]:
    """Those bodies; in a large world the spheres are shaded spots, which many renderers draw much sooner."""
    radii, shapes = _drawn_radii(scene), meshes.body_shapes(len(scene.radii))
    spots = (scene.shape == KINDS.index("service")) & (len(radii) > _MESHES) & drawn
    grouped = (scene.shape == GROUP) & drawn
    solid = ~spots & ~grouped & drawn
    parts = []
    if grouped.any():
        dome = meshes.domes(scene.positions[grouped], radii[grouped], painted.bodies[grouped])
        parts.append(mesh_actor(dome, "rgb"))
    if spots.any():
        parts.append(spheres(scene.positions[spots], radii[spots], painted.bodies[spots]))
    if solid.any():
        where, shape = scene.positions[solid], scene.shape[solid]
        parts.append(glyphs(where, radii[solid], painted.bodies[solid], shapes, shape))
    return parts


def _drawn_radii(scene: Scene) -> NDArray[np.float32]:
    """What is solid of bodies: where two moments are told, what was there at both."""
    whole = _whole_radii(scene)
    return whole if scene.contrast is None else whole * scene.contrast.lesser


def _whole_radii(scene: Scene) -> NDArray[np.float32]:
    """In a large world bodies are drawn larger than they are, the sick most, or nobody would see them."""
    size = scene.size
    grown = np.where(np.isin(scene.state, SICK), min(size**0.6, 2.4), min(size**0.35, 1.6))
    grown = np.where(scene.shape == GROUP, 1.0, grown)  # that fits its plate
    drawn: NDArray[np.float32] = (scene.radii * grown).astype(np.float32)
    return drawn


def _panel(scene: Scene, body: int) -> str:
    callers, callees = scene.neighbours(body)
    lines = [scene.tooltips[body]]
    for title, others in (("called by", callers), ("calls", callees)):
        names = ", ".join(scene.labels[other] for other in others[:6])
        more = f" and {len(others) - 6} more" if len(others) > 6 else ""
        lines.append(f"{title}  {names}{more}" if names else f"{title}  –")
    return "\n".join(lines)
