"""Answers that show themselves in a notebook: what a newcomer sees who just types the name."""

from __future__ import annotations

import base64
import dataclasses
import os
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

import tracescape_analytics.replay
import tracescape_analytics.root_cause
import tracescape_analytics.search
import tracescape_analytics.trace
import tracescape_analytics.trace_pairs
import tracescape_analytics.trace_wall
from tracescape.arguments import checks_arguments
from tracescape_analytics.replay import load_replay
from tracescape_analytics.trace_pairs import pairs
from tracescape_analytics.trace_wall import wall_of

if TYPE_CHECKING:
    from tracescape.comparing import Comparison
    from tracescape.store import Store, Topology
    from tracescape_render.charts import Chart

_SHOWN_NODES = 12
_SHOWN_EDGES = 12
_BADNESS = {"failing": 0, "degraded": 1, "absent": 2, "healthy": 3, "idle": 4}


class Frame(pl.DataFrame):
    """A Polars frame that a notebook shows with units.

    It stays one when rows or columns are chosen or added; what else is computed from it is a plain one.
    """

    def filter(self, *predicates: Any, **constraints: Any) -> pl.DataFrame:
        """As Polars does."""
        return Frame(super().filter(*predicates, **constraints))

    def sort(self, by: Any, *more_by: Any, **how: Any) -> pl.DataFrame:
        """As Polars does."""
        return Frame(super().sort(by, *more_by, **how))

    def select(self, *columns: Any, **named: Any) -> pl.DataFrame:
        """As Polars does."""
        return Frame(super().select(*columns, **named))

    def with_columns(self, *columns: Any, **named: Any) -> pl.DataFrame:
        """As Polars does."""
        return Frame(super().with_columns(*columns, **named))

    def _repr_html_(self, *, _from_series: bool = False) -> str:
        from tracescape_render.charts import table

        return table(self)


@checks_arguments
@dataclasses.dataclass(frozen=True, repr=False)
class Trace(tracescape_analytics.trace.Trace):
    """One trace: its spans, its critical path, its waterfall, and a picture of it."""

    def waterfall(self) -> pl.DataFrame:
        """The trace as a timeline, a row a span; see docs/columns.md."""
        return Frame(super().waterfall())

    def critical_path(self, tolerance: float = 0.01) -> pl.DataFrame:
        """Which span the request was waiting for, a row a segment; the durations add up to the root's."""
        return Frame(super().critical_path(tolerance))

    def replay(self) -> Replay:
        """What runs, waits and is under way at any moment of it: data, and to be seen. Read anew."""
        found = load_replay(self._reader, bytes.fromhex(self.trace_id))
        return Replay(**_values(found), _trace=self)

    def show(self, share: float | None = None) -> None:
        """The request in the world of its moment: inline in a notebook, else in a window that replays it.

        ``share`` is how far it is, 0 to 1; in a picture else where most is to be seen.
        Raises `RenderError` without a notebook and a display; it says what to do.
        """
        from tracescape.riding import show
        from tracescape_render import Start

        show(self._store(), self.trace_id, _share(share), Start(size=(1280, 800)))

    def screenshot(
        self,
        path: str | os.PathLike[str],
        size: tuple[int, int] = (1600, 900),
        *,
        share: float | None = None,
        theme: str = "dark",
    ) -> Path:
        """Write a picture of the request in the world to ``path`` (PNG); ``share`` as for `show`."""
        from tracescape.riding import screenshot
        from tracescape_render import Start, palette

        start = Start(size=size, theme=palette.theme(theme))
        return screenshot(self._store(), self.trace_id, Path(path), _share(share), start)

    def video(
        self, path: str | os.PathLike[str], size: tuple[int, int] = (1280, 720), *, theme: str = "dark"
    ) -> Path:
        """Write a film of the replay: mp4, mkv, webm (extra ``video``), gif, webp or png by its name."""
        from tracescape.riding import video
        from tracescape_render import Start, palette

        return video(self._store(), self.trace_id, Path(path), Start(size=size, theme=palette.theme(theme)))

    def _store(self) -> Store:
        from tracescape.store import Store

        return Store(self._reader)

    def wall(self) -> Wall:
        """Where each span stands on a wall, what is lit or waited, events and logs: see docs/time.md."""
        return Wall(**_values(wall_of(self, self._trees, self._reader)), _trace=self)

    def beside(self, other: Trace) -> Pairs:
        """This trace and another one, span by span along call paths; ``print`` tells what differs."""
        if not isinstance(other, Trace):
            raise ValueError("a trace stands beside another one: store.trace(id) gives one")
        return Pairs(**_values(pairs(self, other)), _traces=(self, other))

    def plot(self) -> Chart:
        """The waterfall with the critical path: shown in a notebook, kept with ``.save("x.svg")``."""
        from tracescape_render.charts import waterfall
        from tracescape_render.text import TOOLTIP_LENGTH, display_name, duration

        root = self.root
        name = display_name(f"{root.service} {root.operation}", TOOLTIP_LENGTH)
        title = f"Trace {self.trace_id}: {name}, {duration(root.duration_ns)}"
        return waterfall(self.waterfall(), self.critical_path(), title=title)

    def _repr_html_(self) -> str:
        more = ".show() · .plot() · .critical_path() · .waterfall() · .spans · .events · .logs · .span(id)"
        return f'{self.plot()._repr_html_()}<div style="opacity:.65">{more}</div>'


@dataclasses.dataclass(frozen=True, repr=False)
class Replay(tracescape_analytics.replay.Replay):
    """A trace moment by moment: data, and a ride through the world of its time."""

    _trace: Trace = dataclasses.field(repr=False)

    def show(self, share: float | None = None) -> None:
        """As `Trace.show`."""
        self._trace.show(share)

    def screenshot(
        self,
        path: str | os.PathLike[str],
        size: tuple[int, int] = (1600, 900),
        *,
        share: float | None = None,
        theme: str = "dark",
    ) -> Path:
        """As `Trace.screenshot`."""
        return self._trace.screenshot(path, size, share=share, theme=theme)

    def video(
        self, path: str | os.PathLike[str], size: tuple[int, int] = (1280, 720), *, theme: str = "dark"
    ) -> Path:
        """As `Trace.video`."""
        return self._trace.video(path, size, theme=theme)


def _share(share: float | None) -> float | None:
    if share is not None and not 0.0 <= share <= 1.0:
        raise ValueError(f"share={share!r} is how far the replay is: from 0, its start, to 1, its end")
    return share


@dataclasses.dataclass(frozen=True, repr=False)
class Wall(tracescape_analytics.trace_wall.Wall):
    """A trace as a wall of spans: data, and a place."""

    _trace: Trace = dataclasses.field(repr=False)

    def show(self) -> None:
        """The wall: inline in a notebook, else a window to move in that stays until it is closed."""
        from tracescape.stepping_in import show
        from tracescape_render.inside.asked import InsideAnswer

        show(InsideAnswer((self._trace,), (self,)))

    def screenshot(
        self, path: str | os.PathLike[str], *, size: tuple[int, int] = (1600, 900), theme: str = "dark"
    ) -> Path:
        """Write a picture of it to ``path`` (PNG) and return that."""
        from tracescape.stepping_in import picture
        from tracescape_render.inside.asked import InsideAnswer

        return picture(InsideAnswer((self._trace,), (self,)), path, size, theme)


@dataclasses.dataclass(frozen=True, repr=False)
class Pairs(tracescape_analytics.trace_pairs.Pairs):
    """Two traces span by span: data, and their walls above each other."""

    _traces: tuple[Trace, Trace] = dataclasses.field(repr=False)

    def show(self) -> None:
        """Both walls: inline in a notebook, else a window to move in that stays until it is closed."""
        from tracescape.stepping_in import beside, show

        show(beside(*self._traces))

    def screenshot(
        self, path: str | os.PathLike[str], *, size: tuple[int, int] = (1600, 900), theme: str = "dark"
    ) -> Path:
        """Write a picture of both to ``path`` (PNG) and return that."""
        from tracescape.stepping_in import beside, picture

        return picture(beside(*self._traces), path, size, theme)


@dataclasses.dataclass(frozen=True, repr=False)
class Found(tracescape_analytics.search.Found):
    """One page of a search, a table in a notebook."""

    def _repr_html_(self) -> str:
        from tracescape_render.charts import table

        if self.hint is not None:
            return f"<div>Nothing was found: {escape(self.hint)}</div>"
        notes = ["store.trace(found.rows[0, 'trace_id']) opens the first"] if len(self) else []
        notes += [] if self.after is None else ["search again with after=found.after for more"]
        return table(self.rows, note=" · ".join(notes), rows=max(len(self), 1))


@checks_arguments
@dataclasses.dataclass(frozen=True, repr=False)
class Diagnosis(tracescape_analytics.root_cause.Diagnosis):
    """What broke: a note, and the frames behind it."""

    def plot(self, rank: int = 1) -> Chart:
        """The critical paths of a cause's typical and bad trace beside each other: ``.save("x.svg")``.

        Raises:
            ValueError: there is no cause of this rank.
        """
        from tracescape_render.charts import two_paths
        from tracescape_render.text import display_name

        cause = self.causes.filter(pl.col("rank") == rank)
        if cause.is_empty():
            known = f"ranks are 1 to {len(self.causes)}" if len(self.causes) else "nothing is significant"
            raise ValueError(f"there is no cause of rank {rank}: {known}")
        row = cause.row(0, named=True)
        traces = (row["typical_trace"] or "none", row["bad_trace"] or "none")
        title = f"{rank}. {display_name(row['service'])} ({row['kind']}): what two traces waited for"
        return two_paths(self.paths.filter(pl.col("rank") == rank), title=title, traces=traces)

    def _repr_html_(self) -> str:
        from tracescape_render.charts import table

        shown = [f"<pre>{escape(self.headline())}</pre>"]
        for cause in self.causes.iter_rows(named=True):
            shown.append(f"<pre>{escape(chr(10).join(self.told(cause)))}</pre>")
            shown.append(self.plot(cause["rank"])._repr_html_())
        if hints := self.hints().strip():
            shown.append(f"<pre>{escape(hints)}</pre>")
        if not self.causes.is_empty():
            brief = ["rank", "kind", "service", "operation", "traces", "waited_before_ns", "waited_after_ns"]
            note = ".causes · .suspects · .paths · .plot(rank)"
            shown.append(table(self.causes.select([*brief, "bad_trace"]), note=note))
        return "".join(shown)


def dressed_diagnosis(found: tracescape_analytics.root_cause.Diagnosis) -> Diagnosis:
    """The same diagnosis, with tables."""
    frames = {name: Frame(getattr(found, name)) for name in ("causes", "suspects", "paths")}
    return Diagnosis(**{**_values(found), **frames})


def dressed_trace(trace: tracescape_analytics.trace.Trace) -> Trace:
    """The same trace, with pictures."""
    values = _values(trace)
    return Trace(**{**values, "spans": Frame(trace.spans)})


def dressed_page(found: tracescape_analytics.search.Found) -> Found:
    """The same page, with a table."""
    return Found(**_values(found))


def topology_html(topology: Topology) -> str:
    """A headline, the scene, the nodes with the sick first, the busiest edges."""
    from tracescape_render.charts import table

    nodes = topology.nodes.sort(
        pl.col("state").replace_strict(_BADNESS, default=9, return_dtype=pl.Int64),
        pl.col("calls"),
        descending=[False, True],
    )
    edges = topology.edges.sort("calls", descending=True)
    return "".join(
        [
            f"<div>{escape(repr(topology))}</div>",
            _picture(topology) if len(nodes) else "",
            table(nodes, caption="nodes, the sick first", rows=_SHOWN_NODES, note=".nodes"),
            table(edges, caption="edges, the busiest first", rows=_SHOWN_EDGES, note=".edges · .show()"),
        ]
    )


def comparison_html(comparison: Comparison) -> str:
    """The sentences, and the values that stand out."""
    from tracescape_render.charts import table

    lines = "".join(f"<div>{escape(line)}</div>" for line in str(comparison).splitlines())
    columns = ["attribute", "value", "selection_share", "baseline_share", "difference", "lift", "exemplar"]
    told = comparison.values.filter("significant").select(columns)
    return lines + table(told, rows=_SHOWN_NODES, note=".attributes · .values · .numbers · .pairs")


def _picture(topology: Topology) -> str:
    from tracescape.view import png_of
    from tracescape_render import RenderError

    try:
        data = base64.b64encode(png_of(topology.scene())).decode("ascii")
    except RenderError as error:
        return f"<div>No picture: {escape(str(error))}</div>"
    words = escape(repr(topology))
    return f'<img style="max-width:100%" alt="{words}" src="data:image/png;base64,{data}">'


def _values(answer: Any) -> dict[str, Any]:
    return {field.name: getattr(answer, field.name) for field in dataclasses.fields(answer)}
