"""A film of the world: a request replayed, a flight around, or a play through time; frame after frame."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tracescape_render.camera import View, close_up
from tracescape_render.moving import between, nearer, turned
from tracescape_render.palette import DARK, Theme
from tracescape_render.picture import check_graphics, grabbed, off_screen_plotter, writable
from tracescape_render.route import Route
from tracescape_render.scene import Scene
from tracescape_render.tempo import tempo_of
from tracescape_render.video import frames_a_second, video_writer

if TYPE_CHECKING:
    import pyvista as pv

    from tracescape_render.stage import Stage

#: What has arrived is seen for so long.
LINGER_S: Final = 0.35
#: A replay rests at its end for so long.
_REST_S: Final = 1.5
_FLIGHT_S: Final = 12.0
#: How long each moment of a play through time is seen.
_MOMENT_S: Final = 0.4
_NEAR: Final = 1.6
#: A frame is told to whoever waits: how many of how many are done.
Progress = Callable[[int, int], object]


def film_ride(
    route: Route,
    scene: Scene,
    path: str | os.PathLike[str],
    size: tuple[int, int] = (1280, 720),
    theme: Theme = DARK,
    *,
    view: View | None = None,
    progress: Progress | None = None,
    stereo: bool = False,
) -> Path:
    """Write a replay of ``route`` through ``scene``, evenly paced, to a file whose name says the format.

    ``stereo`` is for two eyes, as in `screenshot`.

    Raises `RenderError` that says what is missing or cannot be written.
    """
    tempo = tempo_of(route)

    def frames(stage: Stage, fps: int) -> Iterator[None]:
        stage.ride(route)
        stage.show(scene)
        stage.look(view or stage.overview_of_ride())
        count = round(tempo.seconds * fps)
        for number in range(count + round(_REST_S * fps)):
            share = min(number / count, 1.0)
            at = tempo.at(share)
            stage.ride_to(at, at - tempo.at(share - LINGER_S / tempo.seconds))
            stage.relabel()
            yield

    total = tempo.seconds + _REST_S
    return _filmed(Path(path), size, theme, frames, total, progress, stereo)


def film_flight(
    scene: Scene,
    path: str | os.PathLike[str],
    size: tuple[int, int] = (1280, 720),
    theme: Theme = DARK,
    *,
    progress: Progress | None = None,
    stereo: bool = False,
) -> Path:
    """Write a flight once around the world, nearer to the cause or the worst. As `film_ride`."""

    def frames(stage: Stage, fps: int) -> Iterator[None]:
        stage.show(scene)
        far = stage.overview()
        worst = scene.worst()
        place = None if worst is None else scene.positions[worst]
        near = nearer(far, 0.8) if place is None else nearer(close_up(place, far), _NEAR)
        count = round(_FLIGHT_S * fps)
        for number in range(count):
            share = number / count
            there = 1.0 - abs(2.0 * share - 1.0)
            stage.look(turned(between(far, near, there), 360.0 * share))
            stage.animate(number / fps)
            stage.relabel()
            yield

    return _filmed(Path(path), size, theme, frames, _FLIGHT_S, progress, stereo)


def film_time(
    moments: Sequence[Callable[[], Scene]],
    frame: Scene,
    path: str | os.PathLike[str],
    size: tuple[int, int] = (1280, 720),
    theme: Theme = DARK,
    *,
    view: View | None = None,
    progress: Progress | None = None,
    stereo: bool = False,
) -> Path:
    """Write the world at one moment after the other, seen as all of ``frame`` is. As `film_ride`."""

    def frames(stage: Stage, fps: int) -> Iterator[None]:
        stage.show(dataclasses.replace(frame, cause=None, beacon=None, suspect=None))  # no moment has a flag
        stage.look(view or stage.overview())
        each = max(1, round(_MOMENT_S * fps))
        for number, moment in enumerate(moments):
            stage.show(moment(), keep_view=True)
            for part in range(each):
                stage.animate((number * each + part) / fps)
                yield

    return _filmed(Path(path), size, theme, frames, _MOMENT_S * len(moments), progress, stereo)


def _filmed(
    path: Path,
    size: tuple[int, int],
    theme: Theme,
    frames: Callable[[Stage, int], Iterator[None]],
    seconds: float,
    progress: Progress | None,
    stereo: bool,
) -> Path:
    target = writable(path)
    fps = frames_a_second(target)
    write = video_writer(target)  # says what is missing before anything is drawn
    check_graphics(display=False)
    from tracescape_render.stage import Stage

    plotter: pv.Plotter = off_screen_plotter(_even(size))
    expected = max(round(seconds * fps), 1)
    try:
        stage = Stage(plotter, theme=theme)
        stage.stereo = stereo
        plotter.render_window.Render()
        stage.settle()
        pictures = _grabbing(plotter, frames(stage, fps), expected, progress)
        return write(target, _even(size), pictures, fps)
    finally:
        plotter.close()


def _grabbing(
    plotter: pv.Plotter, frames: Iterator[None], expected: int, progress: Progress | None
) -> Iterator[bytes]:
    for number, _ in enumerate(frames, start=1):
        yield grabbed(plotter.render_window)
        if progress is not None:
            progress(min(number, expected), expected)


def _even(size: tuple[int, int]) -> tuple[int, int]:
    """Encoders want even numbers."""
    return max(size[0] // 2 * 2, 2), max(size[1] // 2 * 2, 2)
