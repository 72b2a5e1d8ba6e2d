"""Traces to step inside of: read, and paired where there are two."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from tracescape.view import in_notebook
from tracescape_render.inside.asked import TYPICAL, InsideAnswer, InsideWish
from tracescape_storage.errors import StoreError

if TYPE_CHECKING:
    from tracescape.answers import Trace
    from tracescape.store import Store

#: A typical trace is the middle one by duration of so many of its kind that had no error.
_LOOKED_AT: Final = 60


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


def picture(answer: InsideAnswer, path: str | os.PathLike[str], size: tuple[int, int], theme: str) -> Path:
    """Write the wall to ``path`` (PNG). Raises `RenderError` where that cannot be."""
    from tracescape_render import palette
    from tracescape_render.inside.picture import wall_screenshot
    from tracescape_render.inside.standing import standing

    return wall_screenshot(standing(answer.walls, answer.pairs), path, size, palette.theme(theme))


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
    """The id of a trace that begins with the same operation of the same service, failed nowhere, and took as
    long as most do; of the latest ones.

    Raises:
        StoreError: there is none.
    """
    root = trace.root
    found = store.search(service=root.service, operation=root.operation, limit=_LOOKED_AT).rows
    same = (pl.col("root_service") == root.service) & (pl.col("root_operation") == root.operation)
    rows = found.filter(same & (pl.col("trace_id") != trace.trace_id))
    rows = rows.filter(pl.col("errors") == 0) if (rows["errors"] == 0).any() else rows
    if rows.is_empty():
        raise StoreError(
            f"there is no other trace of {root.service} {root.operation} to put beside {trace.trace_id}"
        )
    middle = rows.sort("duration_ns", "trace_id")
    return str(middle["trace_id"][(len(middle) - 1) // 2])
