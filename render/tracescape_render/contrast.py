"""Two moments in one scene: what grew, shrank, appeared and vanished, blended or side by side.

Made from the frames of ``before.compare(after)`` and nothing else. Sizes are those of the busier side; the
other side is inside of it, and the area of its section is to that of the whole as its rate to the other's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tracescape_analytics.health import DEFAULT
from tracescape_analytics.topology_difference import CHANGES
from tracescape_render.arcs import weights
from tracescape_render.banner import length_words
from tracescape_render.focus import narrowed
from tracescape_render.palette import ABSENT, DEGRADED, FAILING, IDLE, SEVERITY, STATES, state_codes
from tracescape_render.scene import Scene, build_scene, priorities, shares_by_island, size_of_world
from tracescape_render.strip import clock_words
from tracescape_render.text import LABEL_LENGTH, TOOLTIP_LENGTH, Lines, display_name, duration, rate, share

APPEARED, VANISHED, GREW, SHRANK, SAME = range(len(CHANGES))
#: Who is not there on a side.
NOBODY: Final = -1
#: How well those are seen who are what they were, and connections on which as much goes as did.
QUIET: Final = 0.34
_QUIET_ARC: Final = 0.16
_LOUD_ARC: Final = 0.9
_WELL_SEEN: Final = 0.85
#: Connections that changed are drawn thicker, so that one sees by how much.
_THICKER: Final = 1.7
#: However little is left of somebody, its body is so large a share of what it was.
_LEAST: Final = 0.28
#: Who appears or is gone by no more chance than this is told; of few calls it means nothing.
_CHANCE: Final = 0.01
#: Of states in their order: what is idle is not better or worse than what is healthy.
_HOW_BAD: Final = np.array([0, 1, 2, 0, 3])
#: The sides, and the column that says how bad each is beside the other.
_SIDES: Final = (("before", "better"), ("after", "worse"))
_GAP: Final = 9.0
#: So many are named in a headline.
_TOLD: Final = 3
#: The names of those who were, beside those who are: no service is called so.
_BEFORE: Final = "\0before "

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]


class Contrast(NamedTuple):
    """How the bodies (n,) and connections (m,) of a scene differ between two moments.

    Attributes:
        change, arc_change: codes in the order of ``CHANGES``; what differs by chance, maybe, is `SAME`.
        lesser, arc_lesser: the radius of the less busy side as a share of what is drawn, float32, above 0.
        states, arc_states: how each was before and is after, (n, 2); `NOBODY` for who was not there.
        titles: the two moments in words.
    """

    change: IntArray
    lesser: FloatArray
    states: IntArray
    arc_change: IntArray
    arc_lesser: FloatArray
    arc_states: IntArray
    titles: tuple[str, str] = ("before", "after")

    def taken(self, bodies: IntArray, arcs: IntArray) -> Contrast:
        """That of these bodies and connections."""
        return Contrast(
            self.change[bodies],
            self.lesser[bodies],
            self.states[bodies],
            self.arc_change[arcs],
            self.arc_lesser[arcs],
            self.arc_states[arcs],
            self.titles,
        )

    def collapsed(self, kept: IntArray, state: IntArray, of: IntArray, arc_state: IntArray) -> Contrast:
        """That of a scene in which the bodies ``kept`` are drawn, and after them groups, which are the same.

        ``state`` and ``arc_state`` are those of the drawn, ``of`` (m,) says which drawn connection each is
        in, -1 for none: one that several are in is the same.
        """
        groups = len(state) - len(kept)
        alone = np.bincount(of[of >= 0], minlength=len(arc_state)) == 1
        single = np.flatnonzero((of >= 0) & alone[of])
        arc_change, arc_lesser = np.full(len(arc_state), SAME), np.ones(len(arc_state), np.float32)
        arc_states = np.column_stack([arc_state, arc_state])
        arc_change[of[single]] = self.arc_change[single]
        arc_lesser[of[single]] = self.arc_lesser[single]
        arc_states[of[single]] = self.arc_states[single]
        return Contrast(
            np.concatenate([self.change[kept], np.full(groups, SAME)]),
            np.concatenate([self.lesser[kept], np.ones(groups, np.float32)]),
            np.concatenate([self.states[kept], np.column_stack([state, state])[len(kept) :]]),
            arc_change,
            arc_lesser,
            arc_states,
            self.titles,
        )

    def bodies_seen(self) -> FloatArray:
        """Who is what it was recedes, float32 (n,)."""
        return np.where(_loud(self.change, self.states), 1.0, QUIET).astype(np.float32)

    def arcs_seen(self, seen: FloatArray) -> FloatArray:
        """Connections ``seen`` (m,) so well of themselves: those that changed stand out of the rest."""
        loud = _loud(self.arc_change, self.arc_states)
        return np.where(loud, _LOUD_ARC, _QUIET_ARC * seen / _WELL_SEEN).astype(np.float32)


def contrasted(
    nodes: pl.DataFrame,
    edges: pl.DataFrame,
    *,
    before: tuple[int, int],
    after: tuple[int, int],
    positions: Mapping[str, tuple[float, ...]] | None = None,
    location: str = "",
) -> Scene:
    """Both moments in one world, which is the later one with what was before in it.

    Args:
        nodes, edges: columns of ``NODE_DIFFERENCE_SCHEMA`` and ``EDGE_DIFFERENCE_SCHEMA``.
        before, after: the windows, [since, until) in epoch ns.
        positions: places to keep, as `build_scene` has them.
        location: where it comes from, for the caption.

    Who has vanished is a void. Who is the same recedes, unless its state is another and either is sick.
    """
    edges = edges.filter(
        pl.col("source").is_in(nodes["service"].implode()), pl.col("target").is_in(nodes["service"].implode())
    )
    titles = (_title(before, after), _title(after, before))
    contrast = Contrast(*_differences(_sure(nodes, edges)), *_differences(_sure(edges)), titles)
    base = build_scene(
        _later(nodes, contrast.states, contrast.change),
        _later(edges, contrast.arc_states, contrast.arc_change),
        seconds=60.0,
        positions=positions,
    )
    loud_arcs = _loud(contrast.arc_change, contrast.arc_states)
    rows = nodes.rows(named=True)
    priority = priorities(base.calls, base.errors, base.state, base.shape, None)
    return dataclasses.replace(
        base,
        subtitles=Lines(len(rows), lambda body: _subtitle(rows[body], contrast, body)),
        tooltips=Lines(len(rows), lambda body: _tooltip(rows[body], int(contrast.change[body]))),
        seen=contrast.bodies_seen(),
        priority=(priority + 40.0 * (contrast.change != SAME)).astype(np.float32),
        arc_radii=(base.arc_radii * np.where(loud_arcs, _THICKER, 1.0)).astype(np.float32),
        arc_seen=contrast.arcs_seen(weights(base.arc_calls, base.target)),
        cause=None,
        beacon=None,
        suspect=None,
        headline=_headline(contrast, base.labels),
        caption=_caption(before, after, location),
        contrast=contrast,
    )


def split(scene: Scene) -> Scene:
    """The two moments of a contrasted scene beside each other, before on the left; one camera sees both.

    Everybody stands as they do in the other half. Who has vanished is a void on the right, who appeared is
    not on the left. Keys of those on the left are not their names: `name_of` tells them.
    """
    contrast = scene.contrast
    if contrast is None or not len(scene.positions):
        return scene
    halves = [_half(scene, contrast, side) for side in (0, 1)]
    corners = np.vstack(scene.plates)
    across = float(np.ptp(corners[:, 0])) + _GAP * scene.size
    shifts = [np.array([sign * across / 2, 0.0, 0.0], np.float32) for sign in (-1, 1)]
    return _joined(scene, halves, shifts)


def name_of(key: str) -> str:
    """The service that a body of a split scene is."""
    return key.removeprefix(_BEFORE)


def _sure(frame: pl.DataFrame, edges: pl.DataFrame | None = None) -> pl.DataFrame:
    """``frame`` with ``change`` as same where that may be chance.

    Who takes messages in batches has few calls; but if a busy connection to it is gone, so is it.
    """
    sure = pl.col("p_value").fill_null(1.0) <= _CHANCE
    if edges is not None:
        known = edges.filter(sure).select("target", "change").rows()
        pairs = frame.select("service", "change").rows()
        sure |= pl.lit(pl.Series([pair in set(known) for pair in pairs], dtype=pl.Boolean))
    return frame.with_columns(change=pl.when(sure).then("change").otherwise(pl.lit("same")))


def _differences(frame: pl.DataFrame) -> tuple[IntArray, FloatArray, IntArray]:
    """Changes, the share of the lesser side, and the states of both."""
    change = np.array([CHANGES.index(name) for name in frame["change"].to_list()], np.int64)
    rates = np.column_stack(
        [frame[f"{side}_rate_per_s"].fill_null(0.0).to_numpy() for side in ("before", "after")]
    ).astype(np.float64)
    most = rates.max(axis=1, initial=0.0)
    ratio = np.divide(rates.min(axis=1, initial=np.inf), most, out=np.ones(len(rates)), where=most > 0)
    lesser = np.where(change == SAME, 1.0, np.clip(np.sqrt(ratio), _LEAST, 1.0)).astype(np.float32)
    lesser[(change == APPEARED) | (change == VANISHED)] = 1.0
    return change, lesser, np.column_stack([_states(frame, *side) for side in _SIDES])


def _states(frame: pl.DataFrame, side: str, judged: str) -> IntArray:
    """The state that a side had of itself, or the one that the other side gives it, if that is worse."""
    own, given = (state_codes(frame[name].to_list()) for name in (f"{side}_state", judged))
    worse = frame[judged].is_not_null().to_numpy() & (SEVERITY[given] > SEVERITY[own])
    states = np.where(worse, given, own)
    return np.where(frame[f"{side}_calls"].is_null().to_numpy(), NOBODY, states).astype(np.int64)


def _later(frame: pl.DataFrame, states: IntArray, change: IntArray) -> pl.DataFrame:
    """The rows as a topology has them: as they are after, as busy as on their busier side."""
    gone = states[:, 1] == NOBODY
    state = np.where(gone, np.where(change == VANISHED, ABSENT, IDLE), states[:, 1])
    errors = pl.col("after_error_rate").fill_null(0.0).fill_nan(0.0)
    calls = 60.0 * pl.max_horizontal(pl.col("before_rate_per_s", "after_rate_per_s").fill_null(0.0))
    keys = [name for name in ("service", "kind", "source", "target", "connection") if name in frame.columns]
    p95 = pl.col("after_p95_ns")
    return frame.select(
        *keys,
        calls=calls,
        errors=errors * calls,
        p50_ns=pl.col("after_p50_ns"),
        p95_ns=p95,
        p99_ns=pl.lit(None, pl.Int64),
        client_p95_ns=p95,
        server_p95_ns=p95,
        state=pl.Series([STATES[code] for code in state.tolist()], dtype=pl.String),
    )


def _loud(change: IntArray, states: IntArray) -> NDArray[np.bool_]:
    sick = np.isin(states, (DEGRADED, FAILING)).any(axis=1) & (states >= 0).all(axis=1)
    loud: NDArray[np.bool_] = (change != SAME) | (sick & (states[:, 0] != states[:, 1]))
    return loud


def _half(scene: Scene, contrast: Contrast, side: int) -> Scene:
    """What is there on a side, as large and as well as it was."""
    there = contrast.states[:, side] != NOBODY
    ways = contrast.arc_states[:, side] != NOBODY
    if side:
        there, ways = there | (contrast.change == VANISHED), ways | (contrast.arc_change == VANISHED)
    bodies, arcs = np.flatnonzero(there), np.flatnonzero(ways & there[scene.source] & there[scene.target])
    half = narrowed(scene, there, ways)
    less = contrast.taken(bodies, arcs)
    lesser = SHRANK if side else GREW  # of whom this is the side with less
    state, arc_state = (
        np.where(states[:, side] == NOBODY, ABSENT, states[:, side])
        for states in (less.states, less.arc_states)
    )
    radii = np.where(less.change == lesser, half.radii * less.lesser, half.radii)
    arc_radii = np.where(less.arc_change == lesser, half.arc_radii * less.arc_lesser, half.arc_radii)
    return dataclasses.replace(
        half,
        radii=radii.astype(np.float32),
        arc_radii=arc_radii.astype(np.float32),
        state=state,
        arc_state=arc_state,
        plate_shares=shares_by_island(state, half.island),
        contrast=None,
    )


def _joined(scene: Scene, halves: list[Scene], shifts: list[FloatArray]) -> Scene:
    before, after = halves
    bodies, islands = len(before.positions), len(before.plates)
    assert scene.contrast is not None
    both: dict[str, Any] = {
        name: np.concatenate([getattr(half, name) for half in halves])
        for name in ("calls", "errors", "radii", "state", "shape", "seen", "priority", "arc_radii")
        + ("arc_calls", "arc_state", "arc_seen", "traffic", "plate_shares")
    }
    texts: dict[str, Any] = {
        name: Lines(
            bodies + len(after.positions),
            lambda body, name=name: (  # type: ignore[misc]  # mypy knows no lambda with a default
                getattr(before, name)[body] if body < bodies else getattr(after, name)[body - bodies]
            ),
        )
        for name in ("labels", "tooltips")
    }
    plates = [
        (plate + shift[:2]).astype(np.float32)
        for half, shift in zip(halves, shifts, strict=True)
        for plate in half.plates
    ]
    return dataclasses.replace(
        scene,
        **both,
        **texts,
        services=[_BEFORE + name for name in before.services] + after.services,
        subtitles=Lines(
            bodies + len(after.positions),
            lambda body: "" if body < bodies else str(after.subtitles[body - bodies]),
        ),
        positions=np.concatenate([half.positions + by for half, by in zip(halves, shifts, strict=True)]),
        curves=np.concatenate([half.curves + by for half, by in zip(halves, shifts, strict=True)]),
        source=np.concatenate([before.source, after.source + bodies]),
        target=np.concatenate([before.target, after.target + bodies]),
        island=np.concatenate([before.island, after.island + islands]),
        island_names=[
            f"{name} · {title}" if name else title
            for half, title in zip(halves, scene.contrast.titles, strict=True)
            for name in half.island_names
        ],
        plates=plates,
        size=size_of_world([plate.astype(np.float64) for plate in plates]),
        contrast=None,
        halves=True,
    )


def _title(window: tuple[int, int], other: tuple[int, int]) -> str:
    which = "before" if window <= other else "after"
    return f"{which} · {clock_words(window[1])}"


def _caption(before: tuple[int, int], after: tuple[int, int], location: str) -> str:
    lengths = [length_words(until - since) for since, until in (before, after)]
    ends = " → ".join(clock_words(until) for _, until in (before, after))
    length = (
        f"the {lengths[0]} before each" if lengths[0] == lengths[1] else f"the {' and '.join(lengths)} before"
    )
    return " · ".join(part for part in (ends, length, location) if part)


def _headline(contrast: Contrast, names: Sequence[str]) -> str:
    """How many did what; of a single thing that happened also who, the most that changed first."""
    there = (contrast.states >= 0).all(axis=1, keepdims=True)
    both: IntArray = np.where(there, _HOW_BAD[contrast.states], 0)
    was, now = both[:, 0], both[:, 1]
    groups = {CHANGES[code]: contrast.change == code for code in (VANISHED, APPEARED, GREW, SHRANK)}
    groups |= {"worse": now > was, "better": now < was}
    found = {word: np.flatnonzero(bodies) for word, bodies in groups.items() if bodies.any()}
    parts = [f"{len(bodies)} {word}" for word, bodies in found.items()]
    if len(found) == 1:
        (bodies,) = found.values()
        order = bodies[np.argsort(-np.abs(now[bodies] - was[bodies]), kind="stable")]
        parts[0] += ": " + ", ".join(names[body] for body in order[:_TOLD].tolist())
        parts[0] += f" and {len(order) - _TOLD} more" if len(order) > _TOLD else ""
    return " · ".join(parts) or ("No difference beyond chance" if len(names) else "")


def _pair(row: dict[str, Any], name: str, written: Any) -> str:
    texts = [
        "–" if (value := row[f"{side}_{name}"]) is None else str(written(value))
        for side in ("before", "after")
    ]
    return texts[0] if texts[0] == texts[1] else " → ".join(texts)


def _share(value: float) -> str:
    return share(value, 1.0)


def _subtitle(row: dict[str, Any], contrast: Contrast, body: int) -> str:
    """What happened, in a few signs: traffic first, then what became of errors and latency."""
    change, times = int(contrast.change[body]), row["times"]
    parts = []
    if change in {GREW, SHRANK} and times:
        parts.append(f"▲ ×{_factor(times)}" if times > 1 else f"▼ ÷{_factor(1 / times)}")
    elif change == APPEARED:
        parts.append("+ appeared")
    elif change == VANISHED:
        parts.append("gone")
    was, now = contrast.states[body].tolist()
    if NOBODY not in (was, now) and was != now and {was, now} & {DEGRADED, FAILING}:
        parts.append(_number(row) or f"{STATES[was]} → {STATES[now]}")
    return "\n".join(parts)


def _factor(times: float) -> str:
    return f"{times:.2g}" if times < 100 else f"{times:,.0f}"


def _number(row: dict[str, Any]) -> str:
    """The number that is another: the share of errors, else the p95."""
    if abs(row["error_rate_difference"] or 0.0) >= DEFAULT.degraded_errors:
        return f"errors {_pair(row, 'error_rate', _share)}"
    return f"p95 {_pair(row, 'p95_ns', duration)}" if row["p95_difference_ns"] else ""


def _tooltip(row: dict[str, Any], change: int) -> str:
    kind = row.get("kind") or ""
    happened = CHANGES[change]
    if change == SAME and row["change"] != "same":
        happened = f"{row['change']}, which may be chance"
    lines = [
        display_name(row["service"], TOOLTIP_LENGTH),
        f"{kind} · {happened}",
        f"{_pair(row, 'rate_per_s', rate)}",
        f"errors {_pair(row, 'error_rate', _share)}",
        f"p50 {_pair(row, 'p50_ns', duration)}",
        f"p95 {_pair(row, 'p95_ns', duration)}",
        _pair(row, "state", lambda state: display_name(state, LABEL_LENGTH)),
    ]
    return "\n".join(lines)
