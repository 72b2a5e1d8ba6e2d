"""Pictures and films for a command line: the world, a request in it, a flight, a play through time."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tracescape.progress import counting
from tracescape.times import format_time
from tracescape_analytics.replay import load_replay
from tracescape_analytics.trace_ids import parse_trace_id

if TYPE_CHECKING:
    from tracescape.store import Store
    from tracescape_render import Route, Scene, Snapshot, Start

#: A play through time has so many moments at most, and none shorter than a second apart.
_MOMENTS: Final = 60
_SECOND_NS: Final = 1_000_000_000


def share_of(text: str | None) -> float | None:
    """A share of a replay as people write it: ``0.4`` or ``40%``. Raises ``ValueError`` that says so."""
    if text is None:
        return None
    try:
        value = float(text.removesuffix("%")) / (100.0 if text.endswith("%") else 1.0)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{text[:40]!r} is no share of a replay: write 0.4 or 40%, from 0 (its start) to 1")
    return value


def route_in(store: Store, trace_id: str) -> Route:
    """The request of that name. Raises ``ValueError`` or `UnknownTraceError`."""
    from tracescape_render import route_of

    return route_of(load_replay(store.reader, parse_trace_id(store.reader, trace_id)))


def glb_of(seen: Snapshot, path: Path, start: Start) -> Path:
    """Write the world as a GLB file.

    Raises:
        ValueError: two moments are shown, or the file cannot be written.
    """
    from tracescape_render.web.glb import glb

    if seen.both is not None:
        raise ValueError("--glb is of one moment: leave out --against")
    try:
        path.write_bytes(glb(seen.scene, start.theme))
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror or error}") from None
    return path


def picture_of(seen: Snapshot, path: Path, start: Start, route: Route | None, share: float | None) -> Path:
    """Write a picture of what a window would show: the past on its own ground, under its banner.

    ``route`` is a request in it, at a share of its way; without one at the moment that tells most.
    """
    from tracescape_render import palette, screenshot
    from tracescape_render.banner import both_words, length_words, past_words
    from tracescape_render.contrast import split

    theme, banner = start.theme, list[str]()
    if seen.at_ns is not None:
        theme = palette.in_the_past(theme)
        banner = past_words(seen.at_ns, time.time_ns(), f"the {length_words(seen.width_ns)} before")
        if seen.both is not None and seen.against_ns is not None:
            how = "beside each other" if start.split else "blended"
            banner = both_words(seen.at_ns, seen.against_ns, how)
    return screenshot(
        seen.both or seen.scene,
        path,
        start.size,
        theme,
        view=start.view,
        focus=start.focus,
        selected=start.selected,
        banner=banner,
        arranged=split if start.split else None,
        stereo=start.stereo,
        route=route,
        at_ns=None if route is None or share is None else route.replay.share(share).at_ns,
    )


def film(
    store: Store,
    seen: Snapshot,
    path: Path,
    start: Start,
    route: Route | None,
    played: tuple[int, int] | None,
) -> Path:
    """Write a replay of ``route``, a play through the time ``played`` (epoch ns), or a flight around.

    Raises `RenderError` that says what is missing, or why the file cannot be written.
    """
    from tracescape_render import film_flight, film_ride, film_time, palette
    from tracescape_render.focus import narrowed, within
    from tracescape_render.video import video_writer

    video_writer(path)  # what is missing is said at once
    focus, scene = start.focus, seen.scene
    theme = start.theme if seen.at_ns is None else palette.in_the_past(start.theme)
    shown = scene if focus is None else narrowed(scene, within(scene, focus))
    with counting("drawing frames") as told:
        if route is not None:
            return film_ride(
                route, shown, path, start.size, theme, view=start.view, progress=told, stereo=start.stereo
            )
        if played is not None:
            moments = _moments(store, *played)
            past = palette.in_the_past(start.theme)
            return film_time(
                moments, shown, path, start.size, past, view=start.view, progress=told, stereo=start.stereo
            )
        return film_flight(shown, path, start.size, theme, progress=told, stereo=start.stereo)


def _moments(store: Store, since_ns: int, until_ns: int) -> list[Callable[[], Scene]]:
    """The world at moments of that time, each asked for when its turn comes."""
    from tracescape.past import Past
    from tracescape_render.snapshot import LineWish, MomentWish

    past = Past(store)
    past.line(LineWish(None, None, marks=True))  # an incident is told by the time before it
    count = max(2, min(_MOMENTS, (until_ns - since_ns) // _SECOND_NS))
    step = (until_ns - since_ns) / count

    def at(number: int) -> Scene:
        moment = since_ns + round(step * (number + 1))
        _, snapshot = past.moment(MomentWish(moment, causes=False))
        when = format_time(moment)
        return dataclasses.replace(snapshot.scene, headline=f"{when} · {snapshot.scene.headline}")

    return [partial(at, number) for number in range(count)]
