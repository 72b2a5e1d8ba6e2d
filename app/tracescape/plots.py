"""One word for every picture of an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tracescape.answers import Trace

if TYPE_CHECKING:
    from tracescape_render.charts import Chart


def plot(answer: Trace | pl.DataFrame, *, title: str | None = None) -> Chart:
    """A chart of an answer, shown in a notebook, kept with ``.save("x.svg")``; `str` says it in words.

    A trace or its ``waterfall()`` becomes a waterfall, ``critical_path(by="path")`` a flame graph, by
    anything else a list of bars, ``latency()`` a heat map. Frames may have been filtered or have further
    columns. ``title`` replaces the words above a frame's chart.

    Raises:
        ValueError: no chart is made of this frame; the message says of which.
        TypeError: it is no trace and no frame.
    """
    from tracescape_render.charts import chart_of

    if isinstance(answer, Trace):
        return answer.plot()
    if isinstance(answer, pl.DataFrame):
        return chart_of(answer, title=title)
    hint = "; a topology is seen with .show()" if hasattr(answer, "show") else ""
    raise TypeError(f"a {type(answer).__name__} has no chart: give a trace or a frame{hint}")
