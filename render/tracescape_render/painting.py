"""The colours of a scene in a theme, as arrays: what recedes, what stands out, how much of a rim is sick."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracescape_render.palette import ABSENT, DEGRADED, FAILING, HEALTHY, IDLE, RGB, Theme
from tracescape_render.scene import Scene

FloatArray = NDArray[np.float32]
ByteArray = NDArray[np.uint8]

#: A sick part of a rim is at least this much of it, or one in a hundred could not be seen.
LEAST_ARC: Final = 0.03


class Paint(NamedTuple):
    """``bodies``, ``marks`` (rings and hatching): uint8 (n, 3); ``arcs``: uint8 (m, 4), opacity last."""

    bodies: ByteArray
    marks: ByteArray
    arcs: ByteArray


class Segment(NamedTuple):
    """A part of a rim in one state: from ``begin`` to ``end`` of its length, 0 and 1 being in front."""

    state: int
    begin: float
    end: float


def paint(scene: Scene, theme: Theme) -> Paint:
    """Everybody in the colour of their state, the less seen the nearer to the ground's; a void stays one."""
    bodies = np.array(theme.states, np.float64)[scene.state]
    marks = np.array(theme.marks, np.float64)[scene.state]
    arcs = np.array(theme.states, np.float64)[scene.arc_state]
    arcs[~np.isin(scene.arc_state, (FAILING, DEGRADED))] = theme.arc
    arcs[scene.arc_state == ABSENT] = theme.marks[ABSENT]
    if scene.cause is not None:
        arcs[scene.cause.links] = theme.cause
        if scene.cause.arc is not None:
            arcs[scene.cause.arc] = theme.cause
    seen = np.where(scene.state == ABSENT, 1.0, scene.seen.astype(np.float64) ** theme.fading)[:, None]
    return Paint(
        _bytes(_faded(bodies, theme.plate, seen)),
        _bytes(_faded(marks, theme.plate, np.sqrt(seen))),
        np.column_stack([_bytes(arcs), _bytes(255.0 * scene.arc_seen)]),
    )


def rim_segments(shares: FloatArray) -> list[Segment]:
    """How an island's rim is divided: what is sick in front, beginning with the worst, and then the rest.

    ``shares`` are those of the states among an island's bodies, float32 (states,). The sick part is as much
    of the rim as its bodies are of all, but no less than `LEAST_ARC` a state.
    """
    sick = [(code, float(shares[code])) for code in (FAILING, ABSENT, DEGRADED) if shares[code] > 0]
    shown = [(code, max(share, LEAST_ARC)) for code, share in sick]
    whole = sum(share for _, share in shown)
    shown = [(code, share / max(whole, 1.0)) for code, share in shown]
    whole = min(whole, 1.0)
    segments, at = [], -whole / 2
    for code, share in shown:
        segments.append(Segment(code, at, at + share))
        at += share
    if whole < 1.0 - 1e-6:
        rest = IDLE if shares[HEALTHY] == 0 else HEALTHY
        segments.append(Segment(rest, at, 1.0 - whole / 2))
    return segments


def _faded(colours: NDArray[np.float64], ground: RGB, seen: NDArray[np.float64]) -> NDArray[np.float64]:
    faded: NDArray[np.float64] = np.array(ground) + (colours - np.array(ground)) * seen
    return faded


def _bytes(values: NDArray[np.floating[Any]]) -> ByteArray:
    clipped: ByteArray = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return clipped
