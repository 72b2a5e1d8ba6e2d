"""How two topologies differ, as something to look at."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

import tracescape_analytics.topology_difference

if TYPE_CHECKING:
    from tracescape_render import Scene


@dataclass(frozen=True, repr=False)
class TopologyDifference(tracescape_analytics.topology_difference.TopologyDifference):
    """`nodes` and `edges` as Polars frames, and how to see both moments in one world."""

    location: str = ""

    def scene(self, *, split: bool = False) -> Scene:
        """The scene of both, as arrays: blended, or with ``split`` beside each other."""
        from tracescape_render import contrast

        both = contrast.contrasted(
            self.nodes, self.edges, before=self.before, after=self.after, location=self.location
        )
        return contrast.split(both) if split else both

    def show(self, *, split: bool = False) -> None:
        """Show it: inline in a notebook, else in a window that stays until it is closed.

        Raises:
            RenderError: no notebook and no display, or missing system libraries; it names what to do.
        """
        from tracescape.view import show_snapshot
        from tracescape_render import Snapshot

        nodes, edges = _as_after(self.nodes), _as_after(self.edges)
        seconds = (self.after[1] - self.after[0]) / 1e9
        show_snapshot(Snapshot(self.scene(split=split), nodes, edges, seconds, self.location))

    def screenshot(
        self,
        path: str | os.PathLike[str],
        size: tuple[int, int] = (1600, 900),
        *,
        split: bool = False,
        theme: str = "dark",
    ) -> Path:
        """Write a picture of it to ``path`` (PNG); needs no display."""
        from tracescape_render import palette, screenshot

        return screenshot(self.scene(split=split), Path(path), size, palette.theme(theme))


def _as_after(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows as those of the later topology, for tables and panels: who is gone is absent."""
    calls = pl.col("after_calls").fill_null(0)
    p95 = pl.col("after_p95_ns")
    return frame.with_columns(
        calls=calls,
        errors=(calls * pl.col("after_error_rate").fill_null(0.0)).round().cast(pl.Int64),
        p50_ns=pl.col("after_p50_ns"),
        p95_ns=p95,
        client_p95_ns=p95,
        server_p95_ns=p95,
        p99_ns=pl.lit(None, pl.Int64),
        state=pl.col("after_state").fill_null("absent"),
    )
