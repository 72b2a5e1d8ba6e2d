"""The world for two eyes: two pictures beside each other, the left eye's on the left.

VTK's own side by side stereo squeezes a whole picture into each half, as televisions want it: text cannot be
read then. Here each half is a picture of its own, with what is written at the depth of whom it names.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from vtkmodules.vtkCommonCore import vtkCollection, vtkCommand
from vtkmodules.vtkCommonTransforms import vtkTransform
from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow

from tracescape_render.camera import Matrix, extent
from tracescape_render.scene import Scene

if TYPE_CHECKING:
    from tracescape_render.words import Words

LEFT: Final = 1
RIGHT: Final = -1
#: Nothing is farther apart in the two pictures than this share of a picture's width.
MOST: Final = 0.024
#: The ground that fades behind the world may be: its horizon up to `MOST` divided by this.
_HORIZON: Final = 0.4
#: What leaves the picture counts less and less, until it is so much of a half width outside.
_OUTSIDE: Final = 0.6


class Eyes(NamedTuple):
    """Two eyes, ``apart`` world units from each other; at ``distance`` their pictures are the same."""

    apart: float
    distance: float

    def projection(self, projection: Matrix, eye: int) -> Matrix:
        """What an eye sees, 4 x 4, where ``projection`` is what is seen from the middle between them."""
        seen = projection.copy()
        half = eye * self.apart / 2 * np.linalg.norm(projection[0, :3])
        seen[0, 3] += half
        seen[0] -= half / self.distance * projection[3]
        return seen

    def across(self, projection: Matrix, depth: float, width: int, eye: int) -> float:
        """How many pixels farther right than from the middle an eye sees what is at ``depth`` (w)."""
        half = eye * self.apart / 2 * float(np.linalg.norm(projection[0, :3]))
        return half * (1.0 / max(depth, 1e-9) - 1.0 / self.distance) * width / 2

    def shear(self, eye: int) -> vtkTransform:
        """The same for a camera: eyes look in parallel, so that nothing is higher in one picture."""
        half = eye * self.apart / 2
        transform = vtkTransform()
        transform.SetMatrix([1, 0, half / self.distance, half, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1])
        return transform


def eyes_for(scene: Scene, projection: Matrix, distance: float) -> Eyes:
    """As far apart as nothing of the world, near or far, is farther apart in the pictures than `MOST`.

    What is ``distance`` away, where the camera looks, is in the plane of the screen.
    """
    # Of who is very near only the middle may be in the picture, neither the foot nor the label.
    points = np.vstack([extent(scene), scene.positions])
    clip = points @ projection[[0, 1, 3], :3].T + projection[[0, 1, 3], 3]
    ahead = clip[:, 2] > 1e-6
    w = clip[ahead, 2]
    aside = np.abs(clip[ahead, :2]).max(axis=1, initial=0.0) / w
    weight = np.clip((1.0 + _OUTSIDE - aside) / _OUTSIDE, 0.0, 1.0)
    most = float((weight * np.abs(1.0 / w - 1.0 / distance)).max(initial=0.0))
    slope = float(np.linalg.norm(projection[0, :3]))
    return Eyes(2.0 * MOST / slope / max(most, _HORIZON / distance), distance)


class Stereo:
    """A renderer's second half: it draws the same actors with the same camera, seen by the other eye."""

    def __init__(self, window: vtkRenderWindow, renderer: vtkRenderer, words: Words) -> None:
        self._window, self._left, self._words = window, renderer, words
        self._right = vtkRenderer()
        self._right.SetActiveCamera(renderer.GetActiveCamera())
        self._right.SetUseOIT(False)
        for light in _all_of(renderer.GetLights()):
            self._right.AddLight(light)
        self._right.AutomaticLightCreationOff()
        renderer.SetViewport(0.0, 0.0, 0.5, 1.0)
        self._right.SetViewport(0.5, 0.0, 1.0, 1.0)
        window.AddRenderer(self._right)
        self.eyes = Eyes(0.0, 1.0)
        self._projection: NDArray[np.float64] = np.eye(4)
        self._width = 1
        me = weakref.ref(self)  # a renderer that holds who holds it would never be freed
        self._tags = [
            (each, each.AddObserver(event, _handler(me, eye, begins=event == vtkCommand.StartEvent)))
            for each, eye in ((self._left, LEFT), (self._right, RIGHT))
            for event in (vtkCommand.StartEvent, vtkCommand.EndEvent)
        ]

    def close(self) -> None:
        """One picture again."""
        for renderer, tag in self._tags:
            renderer.RemoveObserver(tag)
        self._window.RemoveRenderer(self._right)
        self._right.RemoveAllViewProps()
        self._left.SetViewport(0.0, 0.0, 1.0, 1.0)

    def adapt(self, scene: Scene, projection: Matrix, width: int) -> None:
        """The camera or the scene is another; ``width`` is that of one picture, pixels."""
        camera = self._left.GetActiveCamera()
        self.eyes = eyes_for(scene, projection, camera.GetDistance())
        self._projection, self._width = projection, width

    def place_of(self, x: float) -> tuple[float, int]:
        """Where in a picture a pixel of the window is, and whose picture that is."""
        return (x, LEFT) if x < self._width else (x - self._width, RIGHT)

    def begin(self, eye: int) -> None:
        """An eye's picture is about to be drawn."""
        if eye == LEFT:
            self._share()
        self._left.GetActiveCamera().SetUserViewTransform(self.eyes.shear(eye))
        self._words.lean(lambda depth: self.eyes.across(self._projection, depth, self._width, eye))

    def end(self) -> None:
        """It is drawn: whoever asks the camera sees from the middle again."""
        self._left.GetActiveCamera().SetUserViewTransform(None)
        self._words.lean(None)

    def _share(self) -> None:
        left, right = self._left, self._right
        shared = _all_of(left.GetViewProps())
        if shared != _all_of(right.GetViewProps()):
            right.RemoveAllViewProps()
            for prop in shared:
                right.AddViewProp(prop)
        right.SetUseFXAA(left.GetUseFXAA())
        right.SetGradientBackground(left.GetGradientBackground())
        right.SetBackground(left.GetBackground())
        right.SetBackground2(left.GetBackground2())


def _all_of(collection: vtkCollection) -> list[Any]:
    return [collection.GetItemAsObject(number) for number in range(collection.GetNumberOfItems())]


def _handler(me: weakref.ref[Stereo], eye: int, *, begins: bool) -> Callable[..., None]:
    def handle(*_: object) -> None:
        stereo = me()
        if stereo is not None:
            if begins:
                stereo.begin(eye)
            else:
                stereo.end()

    return handle
