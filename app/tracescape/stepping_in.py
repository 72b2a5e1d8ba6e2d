"""Traces to step inside of: read, and paired where there are two."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tracescape.view import in_notebook
from tracescape_render.inside.asked import TYPICAL, InsideAnswer, InsideWish, Seen
from tracescape_storage.conditions import literal
from tracescape_storage.errors import StoreError

if TYPE_CHECKING:
    from tracescape.answers import Trace
    from tracescape.store import Store

#: So many traces with a usual duration are looked at, until one has no error.
_LOOKED_AT: Final = 8


def inside(store: Store, wish: InsideWish) -> InsideAnswer:
    """What a wall is made of.

    Raises:
        ValueError: an id is none, or the two are the same.
        StoreError: a trace is not stored, or there is none of its kind to compare it with.
    """
    trace = store.trace(wish.trace_id)
    if not wish.beside:
        return InsideAnswer((trace,), (trace.wall(),))
    other = store.trace(typical(store, trace) if wish.beside == TYPICAL else wish.beside)
    if other.trace_id == trace.trace_id:
        raise ValueError(f"trace {trace.trace_id} cannot stand beside itself: name another one")
    return beside(other, trace)


def beside(other: Trace, trace: Trace) -> InsideAnswer:
    """``other`` as it should be, ``trace`` as it was."""
    return InsideAnswer((other, trace), (other.wall(), trace.wall()), other.beside(trace))


def show(answer: InsideAnswer) -> None:
    """Inline in a notebook, else a window that stays until it is closed."""
    if in_notebook():
        from IPython.display import Image, display

        with tempfile.TemporaryDirectory() as folder:
            drawn = picture(answer, Path(folder) / "wall.png", (1280, 760), "dark").read_bytes()
        display(Image(drawn, retina=False))  # type: ignore[no-untyped-call]  # IPython is untyped
        return
    from tracescape_render.window import open_wall

    open_wall(answer)


def picture(
    answer: InsideAnswer,
    path: str | os.PathLike[str],
    size: tuple[int, int],
    theme: str,
    seen: Seen | None = None,
) -> Path:
    """Write the wall to ``path`` (PNG), all of it or what is ``seen``.

    Raises ``ValueError`` where no span has the id that is selected, `RenderError` where it cannot be written.
    """
    from tracescape_render import palette
    from tracescape_render.inside.picture import wall_screenshot
    from tracescape_render.inside.reach import reach_of
    from tracescape_render.inside.stage import whole_of
    from tracescape_render.inside.standing import standing

    wall, selected = standing(answer.walls, answer.pairs), None
    seen = seen or Seen()
    if seen.span:
        named = (wall.span_id == seen.span).arg_true().to_list()
        if not named:
            raise ValueError(f"no span of trace {answer.traces[-1].trace_id} has the id {seen.span[:40]!r}")
        selected = named[-1]
    reach = reach_of(seen, whole_of(wall))
    look = palette.theme(theme)
    return wall_screenshot(wall, path, size, look, reach=reach, view=seen.view, selected=selected)


def wish_of(trace: str | None, other: str | None, *, stepping: bool) -> InsideWish | None:
    """What the options of a command line ask for; None where nobody steps inside.

    Raises ``ValueError`` where no trace is named.
    """
    if not stepping and other is None:
        return None
    if trace is None:
        raise ValueError("--inside and --beside are about one trace: name it with --trace")
    return InsideWish(trace, other or "")


def typical(store: Store, trace: Trace) -> str:
    """The id of a trace that begins with the same operation of the same service, and took as long as most do.

    Of all that are stored, but for those that failed; of the ones with such a duration, one without an error
    in any span, where there is one. Raises `StoreError` where there is no other trace of this kind.
    """
    root = trace.root
    kin = (
        "SELECT trace_id, duration_ns, status = 2 AS failed FROM spans WHERE parent_span_id = 0"
        f" AND service = {literal(root.service)} AND operation = {literal(root.operation)}"
        f" AND trace_id <> from_hex('{trace.trace_id}')"
    )
    found = store.sql(
        f"WITH kin AS ({kin}), middle AS (SELECT median(duration_ns) AS ns FROM kin WHERE NOT failed)"
        " SELECT lower(hex(trace_id)) AS trace_id FROM kin, middle ORDER BY failed,"
        f" abs(duration_ns - coalesce(ns, 0)), trace_id LIMIT {_LOOKED_AT}"
    )
    if found.is_empty():
        raise StoreError(
            f"there is no other trace of {root.service} {root.operation} to put beside {trace.trace_id}"
        )
    ids = found["trace_id"].to_list()
    return str(next((each for each in ids if not _fails(store.trace(each))), ids[0]))


def _fails(trace: Trace) -> bool:
    return bool((trace.spans["status"] == "error").any())
