"""The topology beyond single edges: chains of calls, root → … → leaf, how often, how slow, how broken."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from tracescape_analytics.chains import BY, Chains, chains_of
from tracescape_analytics.namespaces import condition_of, shared_names
from tracescape_analytics.sampling import IntArray, whole
from tracescape_analytics.shapes import Shaped, shaped_spans
from tracescape_analytics.windows import Window, checked
from tracescape_storage.reader import Reader

PATH_SCHEMA: Final = {
    "path": pl.Int64,
    "parent": pl.Int64,
    "depth": pl.Int64,
    "kind": pl.String,
    "service": pl.String,
    "operation": pl.String,
    "calls": pl.Int64,
    "ends": pl.Int64,
    "errors": pl.Int64,
    "seen": pl.Int64,
    "traces": pl.Int64,
    "p50_ns": pl.Int64,
    "p95_ns": pl.Int64,
    "p99_ns": pl.Int64,
    "slowest_trace": pl.String,
    "failed_trace": pl.String,
    "chain": pl.String,
}
_QUANTILES: Final = {"p50_ns": 50, "p95_ns": 95, "p99_ns": 99}  # percent: whole numbers keep ranks exact
_COUNTS: Final = ("calls", "ends", "errors")


def call_paths(
    reader: Reader,
    *,
    since_ns: int | None = None,
    until_ns: int | None = None,
    by: str = "operation",
    environment: str | None = None,
) -> pl.DataFrame:
    """A row a chain of calls in the traces whose main root starts in [since_ns, until_ns).

    Columns of `PATH_SCHEMA`, in depth-first order, siblings by name. Each beginning of a chain is a row too:
    ``calls`` counts the calls that came along it, ``ends`` those that called nobody further. Reads the spans
    of the window, with a minute on both sides; with ``environment`` (``deployment.environment.name``) only
    those sent from there: chains whose root is of another one are left out. Raises ``ValueError`` for a
    window that ends before it begins, and for another ``by`` than those of `BY`, ``UnknownEnvironmentError``
    for an environment that nothing stored is of.
    """
    if by not in BY:
        raise ValueError(f"by={by!r} is neither of {', '.join(BY)}")
    window = checked(since_ns, until_ns)
    wide = window.widened()
    shaped = shaped_spans(reader, wide.since_ns, wide.until_ns, condition_of(reader, environment))
    return paths_in(shaped, window, by, shared_names(reader))


def paths_in(
    shaped: Shaped, window: Window, by: str = "operation", shared: Collection[str] = ()
) -> pl.DataFrame:
    """``call_paths`` of spans that may be more than those of the window; ``shared`` as in ``chains_of``."""
    if not shaped.spans.num_rows:
        return pl.DataFrame(schema=PATH_SCHEMA)
    found = chains_of(shaped, by, shared)
    inside = pl.Series(window.holds(found.steps["trace_start_ns"].to_numpy()))
    return _measured(found._replace(steps=found.steps.filter(inside)), shaped.spans["trace_id"])


def _measured(found: Chains, trace_ids: pa.ChunkedArray) -> pl.DataFrame:
    steps = found.steps.sort("path", "duration_ns")
    units = pl.col("units")
    sums = steps.group_by("path", maintain_order=True).agg(
        calls=units.sum(),
        ends=units.filter("ends").sum(),
        errors=units.filter("failed").sum(),
        seen=pl.len(),
        traces=pl.col("trace").n_unique(),
    )
    times = quantiles(steps["duration_ns"].to_numpy(), steps["units"].to_numpy(), sums["calls"].to_numpy())
    sums = sums.with_columns(pl.Series(name, whole(sums[name].to_numpy())) for name in _COUNTS)
    sums = sums.with_columns(pl.Series(name, values) for name, values in times.items())
    exemplars = [
        slowest(steps, trace_ids).rename({"trace": "slowest_trace"}),
        slowest(steps.filter("failed"), trace_ids).rename({"trace": "failed_trace"}),
    ]
    rows = found.paths.join(sums, on="path").join(exemplars[0], on="path", how="left")
    rows = rows.join(exemplars[1], on="path", how="left").drop("path")
    rows = _renumbered(rows.rename({"number": "path"}).sort("path"))
    return rows.select(pl.col(name).cast(dtype) for name, dtype in PATH_SCHEMA.items())


def quantiles(times: IntArray, units: IntArray, totals: IntArray) -> dict[str, IntArray]:
    """Of groups that stand one after the other, their times ascending: the smallest that at least that share
    of their units did not exceed.

    ``times`` and ``units``: int64, shape (n,); ``totals``, the sum of units of each group, int64, shape
    (groups,), as the results by name of `_QUANTILES`.
    """
    upto, before = np.cumsum(units), np.cumsum(totals) - totals
    ranks = {
        name: totals // 100 * percent + (totals % 100 * percent + 99) // 100
        for name, percent in _QUANTILES.items()
    }
    return {name: times[np.searchsorted(upto, before + rank)] for name, rank in ranks.items()}


def _renumbered(rows: pl.DataFrame) -> pl.DataFrame:
    # What is left of the paths, numbered from 0 without gaps: a path is only there with all above it.
    places = rows.select("path").with_row_index("place").with_columns(pl.col("place").cast(pl.Int64))
    above = places.rename({"path": "parent", "place": "parent_place"})
    rows = rows.join(above, on="parent", how="left", maintain_order="left")
    return rows.with_columns(path=places["place"], parent="parent_place")


def slowest(steps: pl.DataFrame, trace_ids: pa.ChunkedArray) -> pl.DataFrame:
    """``path`` and ``trace`` (hex): of its slowest step; of equals the greatest id."""
    most = pl.col("duration_ns") == pl.col("duration_ns").max().over("path")
    some = steps.filter(most).select("path", "row")
    ids = [trace_id.hex() for trace_id in trace_ids.take(pa.array(some["row"].to_numpy())).to_pylist()]
    named = some.with_columns(trace=pl.Series(ids, dtype=pl.String))
    return named.group_by("path").agg(pl.col("trace").max())
