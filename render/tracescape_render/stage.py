"""A scene on a VTK renderer: about ten actors for the whole world, whatever its size."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyvista as pv
from numpy.typing import NDArray
from vtkmodules.vtkRenderingCore import vtkActor, vtkTextActor

from tracescape_render import meshes, palette
from tracescape_render.actors import glow, glyphs, line_actor, mesh_actor, ring_actor
from tracescape_render.arcs import control_points, polylines
from tracescape_render.camera import VIEW_ANGLE, View, close_up, overview, pick, to_screen
from tracescape_render.labels import Rect, arrange
from tracescape_render.lettering import PADDING, measure, text_actor, text_size
from tracescape_render.lights import Lights
from tracescape_render.scene import KINDS, Scene

LABEL_POOL: Final = 80
_MOST_TUBES: Final = 4_000
_RINGED: Final = {palette.DEGRADED: 0, palette.FAILING: 1, palette.ABSENT: 2}
_SHAPE_SIGNS: Final = ("● service", "▮ database", "▬ queue", "◆ external", "▼ entry")


class Stage:
    """Draws scenes on a plotter. Not thread-safe: use it from the thread that renders.

    ``moving`` gives up smooth edges for frames where the renderer is software: they cost half the time.
    """

    def __init__(self, plotter: pv.Plotter, *, moving: bool = False) -> None:
        self._moving = moving
        self._plotter = plotter
        self._renderer = plotter.renderer
        self._actors: list[vtkActor] = []
        self._lights = Lights()
        self._labels = [text_actor(15) for _ in range(LABEL_POOL)]  # those not in use
        self._label_style = self._labels[0].GetTextProperty()
        self._writers: dict[int, vtkTextActor] = {}  # body: the actor that writes its label
        self._sizes: dict[str, tuple[float, float]] = {}
        self._title = text_actor(30, face="DejaVuSans-Bold.ttf")
        self._caption = text_actor(15)
        self._tooltip = text_actor(15)
        self._legend = [text_actor(14) for _ in range(len(palette.STATES) + 1)]
        self.scene: Scene | None = None
        self.labels_on = True
        self.label_rects: dict[int, Rect] = {}
        self._selected: int | None = None
        self._selection = ring_actor()
        self._set_up()

    def show(self, scene: Scene, *, keep_view: bool = False) -> None:
        """Draw ``scene`` instead of what is there. ``keep_view`` leaves the camera where it is."""
        selected = self.scene.services[self._selected] if self.scene and self._selected is not None else None
        for actor in self._actors:
            self._renderer.RemoveActor(actor)
        self.scene = scene
        self.label_rects = {}
        self._sizes = {}
        self._write_labels()  # every label of the old scene goes
        self._actors = self._world(scene)
        for actor in self._actors:
            self._plotter.add_actor(actor, reset_camera=False, render=False, pickable=False)
        self._caption.SetInput(scene.caption)
        if not keep_view:
            self.look(self.overview())
        self.select(scene.services.index(selected) if selected in scene.services else None)
        self.relabel()

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
        self.look(close_up(self.scene, body, self.view()))

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
        self._tooltip.SetVisibility(body is not None)
        if body is None or self.scene is None:
            return
        self._selection.SetPosition(*self.scene.positions[body].tolist())
        self._selection.SetScale(float(self.scene.radii[body]))
        self._tooltip.SetInput(_panel(self.scene, body))
        self._place_tooltip()

    def hover(self, body: int | None) -> None:
        """Show a body's numbers while the pointer is on it; else those of the selection."""
        shown = self._selected if body is None else body
        self._tooltip.SetVisibility(shown is not None)
        if shown is not None and self.scene is not None:
            self._tooltip.SetInput(_panel(self.scene, shown))
            self._place_tooltip()

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
        self._caption.SetInput(text)

    def animate(self, seconds: float) -> None:
        """Move the lights along the arcs to where they are ``seconds`` after the beginning."""
        self._lights.move(seconds)

    def relabel(self) -> None:
        """Place the labels and the head-up display for the camera and the window as they are now."""
        width, height = self.size
        self._title.SetPosition(24, height - 56)
        self._caption.SetPosition(26, height - 82)
        taken = [Rect(0, height - 90, 0.62 * width, height), Rect(0, 0, 640, 56)]
        x = 26.0
        for actor in self._legend[:-1]:
            actor.SetPosition(x, 32)
            x += measure(actor)[0] + 16
        self._legend[-1].SetPosition(26, 10)
        self.label_rects = self._arrange(taken) if self.labels_on and self.scene is not None else {}
        self._write_labels()
        self._place_tooltip()

    def _write_labels(self) -> None:
        """A body keeps its text actor while it has a label: moving a text is cheap, drawing one is not."""
        for body in self._writers.keys() - self.label_rects.keys():
            actor = self._writers.pop(body)
            actor.SetVisibility(False)
            self._labels.append(actor)
        for body, rect in self.label_rects.items():
            if body not in self._writers:
                self._writers[body] = self._labels.pop()
                self._write(self._writers[body], body)
            self._writers[body].SetPosition(rect.left + PADDING, rect.bottom + PADDING)

    def _arrange(self, taken: list[Rect]) -> dict[int, Rect]:
        scene = self.scene
        assert scene is not None
        if not len(scene.positions):
            return {}
        xy, w = to_screen(scene.positions, self.projection(), self.size)
        width, height = self.size
        slope = np.tan(np.radians(VIEW_ANGLE / 2))
        clearance = scene.radii / np.maximum(w, 1e-9) / slope * height / 2
        seen = (w > 0) & (xy[:, 0] > 0) & (xy[:, 0] < width) & (xy[:, 1] > 0) & (xy[:, 1] < height)
        nearness = 1.0 / np.maximum(w, 1e-9)
        order = np.lexsort((-nearness, -scene.priority))
        wanted = [int(body) for body in order if seen[body]][: 4 * LABEL_POOL]
        sizes = dict.fromkeys(range(len(scene.labels)), (0.0, 0.0))
        for body in wanted:
            sizes[body] = self._size_of(_label(scene, body))
        return arrange(
            xy,
            np.minimum(clearance, 200.0),
            list(sizes.values()),
            wanted,
            self.size,
            taken,
            LABEL_POOL,
        )

    def _size_of(self, text: str) -> tuple[float, float]:
        if text not in self._sizes:
            self._sizes[text] = text_size(text, self._label_style)
        return self._sizes[text]

    def _write(self, actor: vtkTextActor, body: int) -> None:
        scene = self.scene
        assert scene is not None
        actor.SetInput(_label(scene, body))
        sick = scene.state[body] in _RINGED
        colour = np.array(palette.RIM_COLOURS[scene.state[body]]) / 255 * 0.6 + 0.4 if sick else palette.TEXT
        actor.GetTextProperty().SetColor(*colour)
        actor.SetVisibility(True)

    def _place_tooltip(self) -> None:
        width, height = self.size
        text_width, text_height = measure(self._tooltip)
        self._tooltip.SetPosition(width - text_width - 28, height - text_height - 28)

    def _world(self, scene: Scene) -> list[vtkActor]:
        actors = [mesh_actor(meshes.grid(scene), "rgba", lit=False)]
        if not len(scene.positions):
            self._lights.clear()
            return actors
        actors += [
            mesh_actor(meshes.plates(scene), "rgb", lit=False),
            mesh_actor(meshes.rims(scene), "rgb", lit=False),
            line_actor(meshes.stems(scene)),
            glyphs(
                scene.positions, scene.radii, scene.colours, meshes.body_shapes(len(scene.radii)), scene.shape
            ),
        ]
        sick = np.flatnonzero(np.isin(scene.state, list(_RINGED)))
        if len(sick):
            kinds = np.array([_RINGED[int(code)] for code in scene.state[sick]])
            rim = palette.RIM_COLOURS[scene.state[sick]]
            actors.append(
                glyphs(scene.positions[sick], scene.radii[sick], rim, meshes.ring_shapes(), kinds, lit=False)
            )
            glowing = sick[scene.state[sick] != palette.ABSENT]
            actors.append(glow(scene.positions[glowing], scene.radii[glowing], scene.colours[glowing]))
        if len(scene.source):
            actors.append(self._arcs(scene))
        actors.append(self._lights.light(scene))
        return actors

    def _arcs(self, scene: Scene) -> vtkActor:
        shown = np.argsort(-scene.traffic, kind="stable")[:_MOST_TUBES]
        curves = polylines(control_points(scene)[shown])
        return mesh_actor(
            meshes.tubes(curves, scene.arc_radii[shown], scene.arc_colours[shown]), "rgb", lit=False
        )

    def _set_up(self) -> None:
        renderer = self._renderer
        self._plotter.camera_set = True  # else the plotter frames the actors its own way when it shows them
        self._plotter.disable_anti_aliasing()
        self._plotter.render_window.SetMultiSamples(0)
        renderer.SetUseOIT(False)
        renderer.SetUseFXAA(not self._moving)
        self._plotter.set_background(palette.BACKGROUND[0], top=palette.BACKGROUND[1])
        self._plotter.remove_all_lights()
        for position, strength, colour in (
            ((30, -40, 60), 0.78, "white"),
            ((-50, 20, 20), 0.35, "#7f9cff"),
        ):
            self._plotter.add_light(
                pv.Light(position=position, intensity=strength, color=colour, light_type="scene light")
            )
        self._plotter.add_light(pv.Light(light_type="headlight", intensity=0.2))
        self._title.SetInput("Tracescape")
        self._caption.GetTextProperty().SetColor(*palette.TEXT_QUIET)
        for actor, name, colour in zip(self._legend, palette.STATES, palette.RIM_COLOURS, strict=False):
            sign = {"degraded": "◎", "failing": "◉", "absent": "◌"}.get(name, "●")
            actor.SetInput(f"{sign} {name}")
            shown = palette.STATE_COLOURS[0] if name == "healthy" else colour
            actor.GetTextProperty().SetColor(*(np.array(shown) / 255))
        self._legend[-1].SetInput("    ".join(_SHAPE_SIGNS[: len(KINDS)]))
        self._legend[-1].GetTextProperty().SetColor(*palette.TEXT_QUIET)
        for label in [*self._labels, self._tooltip]:
            label.GetTextProperty().SetBackgroundColor(*palette.LABEL_GROUND)
            label.GetTextProperty().SetBackgroundOpacity(0.62)
            label.SetVisibility(False)
        self._tooltip.GetTextProperty().SetBackgroundOpacity(0.85)
        self._tooltip.GetTextProperty().SetLineSpacing(1.25)
        for text in [self._title, self._caption, *self._legend, *self._labels, self._tooltip]:
            renderer.AddViewProp(text)
        self._selection.SetVisibility(False)
        self._plotter.add_actor(self._selection, reset_camera=False, render=False, pickable=False)


def _label(scene: Scene, body: int) -> str:
    return f"{scene.labels[body]}\n{scene.subtitles[body]}" if scene.subtitles[body] else scene.labels[body]


def _panel(scene: Scene, body: int) -> str:
    callers, callees = scene.neighbours(body)
    lines = [scene.tooltips[body]]
    for title, others in (("called by", callers), ("calls", callees)):
        names = ", ".join(scene.labels[other] for other in others[:6])
        more = f" and {len(others) - 6} more" if len(others) > 6 else ""
        lines.append(f"{title}  {names}{more}" if names else f"{title}  –")
    return "\n".join(lines)
