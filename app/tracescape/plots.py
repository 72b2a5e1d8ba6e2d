"""One word for every picture of an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tracescape.answers import Diagnosis, Trace
from tracescape.store import Topology

if TYPE_CHECKING:
    from tracescape_render.charts import Chart


def plot(answer: Trace | Topology | Diagnosis | pl.DataFrame, *, title: str | None = None) -> Chart:
    """A chart of an answer, shown in a notebook, kept with ``.save("x.svg")``; `str` says it in words.

    A topology becomes circles and arrows from left to right, a trace or its ``waterfall()`` a waterfall,
    ``critical_path(by="path")`` a flame graph, by anything else a list of bars, ``latency()`` a heat map,
    a diagnosis the critical paths of its first cause's two traces beside each other.
    Frames may have been filtered or have further columns. ``title`` replaces the words above the chart of a
    frame or a topology.

    Raises:
        ValueError: no chart is made of this frame; the message says of which.
        TypeError: it is no trace, no topology, no diagnosis and no frame.
    """
    from tracescape_render.charts import chart_of

    if isinstance(answer, Trace | Diagnosis):
        return answer.plot()
    if isinstance(answer, Topology):
        return answer.plot(title=title)
    if isinstance(answer, pl.DataFrame):
        return chart_of(answer, title=title)
    raise TypeError(f"{type(answer).__name__} has no chart: give a trace, a topology, a diagnosis or a frame")
