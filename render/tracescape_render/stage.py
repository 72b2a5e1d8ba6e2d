"""A scene on a VTK renderer: about ten actors for the whole world, whatever its size."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyvista as pv
from numpy.typing import NDArray
from vtkmodules.vtkRenderingCore import vtkActor

from tracescape_render import meshes
from tracescape_render.actors import glyphs, line_actor, mesh_actor, ring_actor, splats, unit
from tracescape_render.arcs import FAINTEST, STEPS, polylines
from tracescape_render.camera import VIEW_ANGLE, View, close_up, overview, pick, to_screen
from tracescape_render.labels import Rect
from tracescape_render.lights import Lights
from tracescape_render.painting import Paint, paint
from tracescape_render.palette import DARK, DEGRADED, FAILING, Theme
from tracescape_render.scene import Scene, size_of_world
from tracescape_render.verdict import SICK
from tracescape_render.words import Words

_MOST_TUBES: Final = 4_000
_LINK_RADIUS: Final = 0.055


class Stage:
    """Draws scenes on a plotter. Not thread-safe: use it from the thread that renders.

    ``moving`` gives up smooth edges for frames where the renderer is software: they cost half the time.
    ``theme`` has the colours.
    """

    def __init__(self, plotter: pv.Plotter, *, moving: bool = False, theme: Theme = DARK) -> None:
        self._moving = moving
        self._plotter = plotter
        self._renderer = plotter.renderer
        self._actors: list[vtkActor] = []
        self._lights = Lights()
        self._words = Words(self._renderer)
        self.theme = theme
        self.tells = True  # whether numbers are written into the world; a window has its own place for them
        self.lights_on = True
        self.scene: Scene | None = None
        self._selected: int | None = None
        self._selection = ring_actor(theme.selection)
        self._set_up()

    def show(self, scene: Scene, *, keep_view: bool = False) -> None:
        """Draw ``scene`` instead of what is there. ``keep_view`` leaves the camera where it is."""
        selected = self.scene.services[self._selected] if self.scene and self._selected is not None else None
        for actor in self._actors:
            self._renderer.RemoveActor(actor)
        self.scene = scene
        shown, arcs = len(_shown_arcs(scene)), len(scene.source)
        note = f"the strongest {shown:,} of {arcs:,} connections are drawn" if shown < arcs else ""
        self._words.use(scene, self.theme, note)
        self._actors = self._world(scene)
        for actor in self._actors:
            self._plotter.add_actor(actor, reset_camera=False, render=False, pickable=False)
        if not keep_view:
            self.look(self.overview())
        self.select(scene.services.index(selected) if selected in scene.services else None)
        self.relabel()

    def use(self, theme: Theme) -> None:
        """Draw in other colours from now on."""
        self.theme = theme
        self._colour_ground()
        if self.scene is not None:
            self.show(self.scene, keep_view=True)

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
        return overview(self.scene, width / height)

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
        """Width and height of the window in pixels."""
        width, height = self._plotter.render_window.GetSize()
        return max(width, 1), max(height, 1)

    def projection(self) -> NDArray[np.float64]:
        """The camera's 4 × 4 composite projection."""
        width, height = self.size
        matrix = self._renderer.GetActiveCamera().GetCompositeProjectionTransformMatrix(width / height, -1, 1)
        return np.array([[matrix.GetElement(i, j) for j in range(4)] for i in range(4)])

    def body_at(self, x: float, y: float) -> int | None:
        """The body under a pixel (from the lower left corner), or None."""
        if self.scene is None:
            return None
        return pick(self.scene, self.projection(), self.size, (x, y))

    def on_screen(self, body: int) -> tuple[float, float]:
        """The pixel of a body's middle, from the lower left corner."""
        assert self.scene is not None
        xy, _ = to_screen(self.scene.positions[body : body + 1], self.projection(), self.size)
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

    def settle(self) -> str:
        """Choose effects by the renderer, once it is known; returns its name (``llvmpipe`` is software)."""
        lines = self._plotter.render_window.ReportCapabilities().splitlines()
        name = next(
            (line.partition(":")[2].strip() for line in lines if "renderer string" in line), "unknown"
        )
        software = any(word in name.lower() for word in ("llvmpipe", "softpipe", "swrast", "software"))
        self._renderer.SetUseFXAA(not (self._moving and software))
        return name

    def say(self, text: str) -> None:
        """Put a line under the title: the caption, or what is wrong."""
        self._words.say(text)

    def animate(self, seconds: float) -> None:
        """Move the lights along the arcs to where they are ``seconds`` after the beginning."""
        self._lights.move(seconds)

    def relabel(self) -> None:
        """Place the labels and the head-up display for the camera and the window as they are now."""
        if self.scene is not None:
            self._words.place(self.projection(), self.size)

    def _world(self, scene: Scene) -> list[vtkActor]:
        theme = self.theme
        actors = [mesh_actor(meshes.grid(scene, theme.grid), "rgba", floor=True)]
        if not len(scene.positions):
            self._lights.clear()
            return actors
        painted = paint(scene, theme)
        actors += [
            mesh_actor(meshes.plates(scene, theme.plate), "rgb", floor=True),
            mesh_actor(meshes.rims(scene, theme), "rgb", floor=True),
            line_actor(meshes.stems(scene), theme.stem, min(1.0, (100 / len(scene.positions)) ** 0.5)),
            glyphs(
                scene.positions,
                _drawn_radii(scene),
                painted.bodies,
                meshes.body_shapes(len(scene.radii)),
                scene.shape,
            ),
        ]
        actors += self._marks(scene, painted)
        if len(scene.source):
            actors.append(self._arcs(scene, painted))
        if len(scene.source) and self.lights_on:
            actors.append(self._lights.light(scene, theme, size_of_world(scene) ** 0.7))
        else:
            self._lights.clear()
        if scene.cause is not None:
            actors.append(mesh_actor(meshes.beacon(scene, theme.cause), "rgba"))
        return actors

    def _marks(self, scene: Scene, painted: Paint) -> list[vtkActor]:
        """What the sick wear, and the halos of those that are there."""
        mark = meshes.mark_of(scene)
        sick = np.flatnonzero(mark >= 0)
        if not len(sick):
            return []
        radii, shapes = _drawn_radii(scene)[sick], meshes.mark_shapes()
        worn = glyphs(scene.positions[sick], radii, painted.marks[sick], shapes, mark[sick], lit=False)
        glowing = np.flatnonzero(np.isin(scene.state, (FAILING, DEGRADED)))
        if not len(glowing) or not self.theme.glows:
            return [worn]
        strength = 0.55 if scene.cause is None else 0.3
        halo = splats(
            pv.PolyData(scene.positions[glowing].copy()),
            (painted.marks[glowing] * strength).astype(np.uint8),
            1.0,
            scene.radii[glowing] * 1.1 * np.float32(size_of_world(scene) ** 0.5),
            adds=True,
        )
        return [worn, halo]

    def _arcs(self, scene: Scene, painted: Paint) -> vtkActor:
        shown = _shown_arcs(scene)
        radii = scene.arc_radii.copy()
        if scene.cause is not None:
            radii[scene.cause.links] = np.maximum(radii[scene.cause.links], _LINK_RADIUS)
        radii = radii[shown] * np.float32(size_of_world(scene) ** 0.85)
        points = polylines(scene.curves[shown], STEPS if len(shown) < 1_000 else STEPS // 2)
        return mesh_actor(meshes.tubes(points, radii, painted.arcs[shown]), "rgba")

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


def _shown_arcs(scene: Scene) -> NDArray[np.int64]:
    """The arcs that are drawn, the faint first, so that the strong are over them."""
    order = np.argsort(-scene.arc_seen, kind="stable")[:_MOST_TUBES]
    return order[scene.arc_seen[order] > FAINTEST][::-1]


def _drawn_radii(scene: Scene) -> NDArray[np.float32]:
    """In a large world bodies are drawn larger than they are, the sick most, or nobody would see them."""
    size = size_of_world(scene)
    grown = np.where(np.isin(scene.state, SICK), min(size**0.6, 2.4), min(size**0.35, 1.6))
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
