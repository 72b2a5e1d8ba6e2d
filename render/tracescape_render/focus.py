"""Looking at a part of the world: a service and those within some hops of it, the rest hidden."""

from __future__ import annotations

import dataclasses
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracescape_analytics.errors import near
from tracescape_render.errors import RenderError
from tracescape_render.outlines import outline
from tracescape_render.scene import Scene, size_of_world
from tracescape_render.text import display_name
from tracescape_render.verdict import Cause, Suspect

DIRECTIONS: Final = ("both", "up", "down")
MOST_HOPS: Final = 99
_BODY_LISTS: Final = ("services", "labels", "subtitles", "tooltips")
_BODY_ARRAYS: Final = ("calls", "errors", "positions", "radii", "state", "shape", "seen", "priority")
_ARC_ARRAYS: Final = ("curves", "arc_radii", "arc_calls", "arc_state", "arc_seen", "traffic")

BoolArray = NDArray[np.bool_]


class Focus(NamedTuple):
    """A service, how many calls away others may be (None: any number), and which way.

    ``up`` is towards those that call it, ``down`` towards those that it calls.
    """

    service: str
    hops: int | None = 1
    direction: str = "both"


def body_named(scene: Scene, name: str) -> int:
    """The body of that name. Raises `RenderError` that lists the near names."""
    if name in scene.services:
        return scene.services.index(name)
    close = near(name, scene.services)
    if close:
        hint = f"Did you mean {' or '.join(close)}?"
    elif scene.services:
        shown = ", ".join(display_name(service) for service in sorted(scene.services)[:10])
        hint = f"There are: {shown}{' …' if len(scene.services) > 10 else '.'}"
    else:
        hint = "Nothing is there yet."
    raise RenderError(f"There is no service {display_name(name, 80)!r} in what is shown. {hint}")


def within(scene: Scene, focus: Focus) -> BoolArray:
    """Which bodies a focus keeps, (n,). Raises `RenderError` when its service is not there."""
    kept = np.zeros(len(scene.services), np.bool_)
    kept[body_named(scene, focus.service)] = True
    ways = []
    if focus.direction in ("both", "down"):
        ways.append((scene.source, scene.target))
    if focus.direction in ("both", "up"):
        ways.append((scene.target, scene.source))
    reached = [kept.copy() for _ in ways]
    for _ in range(MOST_HOPS if focus.hops is None else focus.hops):
        before = sum(int(part.sum()) for part in reached)
        for part, (here, there) in zip(reached, ways, strict=True):
            part[there[part[here]]] = True
        if focus.direction == "both":  # whoever is reached may be left by either way
            reached[0] |= reached[1]
            reached[1] |= reached[0]
        if sum(int(part.sum()) for part in reached) == before:
            break
    kept = reached[0] if len(reached) == 1 else reached[0] | reached[1]
    return kept


def narrowed(scene: Scene, kept: BoolArray, ways: BoolArray | None = None) -> Scene:
    """``scene`` with only the bodies that ``kept`` (n,) names, the arcs between them, their islands.

    Of the arcs only those that ``ways`` (m,) names, if that is given.

    Bodies stay where they are; islands shrink to them. The headline still speaks of everything.
    """
    bodies = np.flatnonzero(kept)
    between = kept[scene.source] & kept[scene.target]
    arcs = np.flatnonzero(between if ways is None else between & ways)
    number = np.full(len(kept), -1, np.int64)
    number[bodies] = np.arange(len(bodies))
    islands = np.unique(scene.island[bodies])
    island = np.searchsorted(islands, scene.island[bodies])
    cause = _narrowed_cause(scene.cause, number, arcs)
    parts: dict[str, Any] = {name: [getattr(scene, name)[body] for body in bodies] for name in _BODY_LISTS}
    parts |= {name: getattr(scene, name)[bodies] for name in _BODY_ARRAYS}
    parts |= {name: getattr(scene, name)[arcs] for name in _ARC_ARRAYS}
    stands = parts["positions"][:, :2].astype(np.float64)
    outlines = [outline(stands[island == each]) for each in range(len(islands))]
    return dataclasses.replace(
        scene,
        **parts,
        source=number[scene.source[arcs]],
        target=number[scene.target[arcs]],
        island=island,
        island_names=[scene.island_names[island] for island in islands],
        plates=[corners.astype(np.float32) for corners in outlines],
        plate_shares=scene.plate_shares[islands],
        size=size_of_world(outlines),
        cause=cause,
        beacon=scene.beacon if cause is not None else None,
        suspect=_narrowed_suspect(scene.suspect, number),
        contrast=None if scene.contrast is None else scene.contrast.taken(bodies, arcs),
    )


def _narrowed_suspect(suspect: Suspect | None, number: NDArray[np.int64]) -> Suspect | None:
    if suspect is None or number[suspect.body] < 0:
        return None
    return suspect._replace(body=int(number[suspect.body]))


def _narrowed_cause(cause: Cause | None, number: NDArray[np.int64], arcs: NDArray[np.int64]) -> Cause | None:
    """The cause in the numbers of a narrowed scene; None where it is hidden."""
    if cause is None or number[cause.body] < 0:
        return None
    arc_number = {int(arc): i for i, arc in enumerate(arcs)}
    arc = None if cause.arc is None else arc_number.get(cause.arc)
    if cause.arc is not None and arc is None:
        return None
    victims = number[cause.victims]
    return cause._replace(
        body=int(number[cause.body]),
        arc=arc,
        ends=[int(number[body]) for body in cause.ends],
        victims=victims[victims >= 0],
        links=np.array([arc_number[link] for link in cause.links.tolist() if link in arc_number], np.int64),
    )
