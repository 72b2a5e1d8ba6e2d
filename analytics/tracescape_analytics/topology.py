"""Who calls whom, how often, how slow, how broken: the topology of a window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from tracescape_analytics.calls import Unpaired, counts_in
from tracescape_analytics.connections import CONNECTIONS
from tracescape_analytics.counts import Counts, no_counts
from tracescape_analytics.distributions import quantile_codes, summed, with_values
from tracescape_analytics.health import with_states
from tracescape_analytics.naming import NamedCounts, named_counts
from tracescape_analytics.rollups import counts_of
from tracescape_analytics.shapes import shaped_table
from tracescape_analytics.windows import Window, checked
from tracescape_storage.reader import Reader

NODE_SCHEMA: Final = {
    "service": pl.String,
    "kind": pl.String,
    "calls": pl.Int64,
    "errors": pl.Int64,
    "p50_ns": pl.Int64,
    "p95_ns": pl.Int64,
    "p99_ns": pl.Int64,
    "state": pl.String,
    "slowest_trace": pl.String,
    "failed_trace": pl.String,
}
EDGE_SCHEMA: Final = {
    "source": pl.String,
    "target": pl.String,
    "connection": pl.String,
    "calls": pl.Int64,
    "errors": pl.Int64,
    "client_p50_ns": pl.Int64,
    "client_p95_ns": pl.Int64,
    "server_p50_ns": pl.Int64,
    "server_p95_ns": pl.Int64,
    "network_p50_ns": pl.Int64,
    "state": pl.String,
    "negative_network": pl.Int64,
    "delay_p50_ns": pl.Int64,
    "slowest_trace": pl.String,
    "failed_trace": pl.String,
}


@dataclass(frozen=True)
class Topology:
    """The nodes and edges of a window; both frames stand by name.

    ``nodes`` (columns of ``NODE_SCHEMA``): a row a service, database, queue or topic, external system, and
    ``user`` for whoever calls from outside. ``calls`` are requests that it served: its SERVER and CONSUMER
    spans; where spans have no kinds, roots and what another service called; where a service has neither in
    the window, its topmost spans. A node that sends no spans is counted as its callers saw it.

    ``edges`` (columns of ``EDGE_SCHEMA``): a row a source, target and connection ('http', 'rpc', 'db',
    'messaging', 'internal'). ``errors`` counts calls with an error on either side. A side that sent no spans
    has null times; ``network_p50_ns`` is the median of client minus server time, ``negative_network`` counts
    those below 0; ``delay_p50_ns`` is the median time from a producer's end to its consumer's start. A row
    with 0 calls and state 'absent' was there in the baseline.

    ``slowest_trace`` and ``failed_trace`` are trace ids in hex: of the slowest call, and of the slowest that
    failed.

    Counts are exact. A quantile is the smallest duration that at least that share of calls did not exceed,
    off by at most ``buckets.RELATIVE_ERROR`` (0.54 %), and exact below 90 ns.

    ``since_ns`` and ``until_ns`` bound the window (``until_ns`` is not part of it); ``spans`` counts what
    started in it, ``traces`` the traces whose main root did; ``baseline`` is the window that states were
    judged against.
    """

    nodes: pl.DataFrame
    edges: pl.DataFrame
    since_ns: int
    until_ns: int
    spans: int
    traces: int
    unpaired: Unpaired
    baseline: tuple[int, int] | None = None

    def __repr__(self) -> str:
        """A headline; the frames print themselves."""
        states = self.nodes["state"].value_counts().sort("state").rows()
        summary = ", ".join(f"{count} {state}" for state, count in states) or "nothing"
        return (
            f"Topology of {self.spans:,} spans in {self.traces:,} traces: {len(self.nodes)} nodes "
            f"({summary}), {len(self.edges)} edges"
        )


def topology(
    reader: Reader,
    *,
    since_ns: int | None = None,
    until_ns: int | None = None,
    baseline: tuple[int, int] | None = None,
) -> Topology:
    """The topology of the spans that start in [since_ns, until_ns).

    States are judged against ``baseline``, a window as (since, until); by default the same length of time
    just before, if it holds spans. An empty window gives a topology without nodes (or with absent ones).
    Raises ``ValueError`` for a window that ends before it begins.

    A call belongs to the minute in which its calling side started. For each minute the spans that start in
    it or in its neighbours are looked at, so a parent or a server that starts more than a minute further away
    counts as missing. A CLIENT span whose server span has not arrived yet is shown as a call to something
    external: spans that arrive later change the answer.
    """
    window = checked(since_ns, until_ns)
    before = _baseline(reader, window, baseline)
    earlier = None if before is None else (before, counts_of(reader, before))
    if baseline is None and earlier is not None and not len(earlier[1].keys):
        earlier = None  # nothing is stored of that time
    return judged(counts_of(reader, window), _bounded(reader, window), earlier)


def _baseline(reader: Reader, window: Window, baseline: tuple[int, int] | None) -> Window | None:
    # As `baseline_of`, whether or not it holds spans.
    if baseline is not None:
        return checked(*baseline)
    if window.since_ns is None:
        return None
    since, until = _bounded(reader, window)
    return Window(since - (until - since), since) if until > since else None


def topology_of(
    spans: pa.Table,
    links: pa.Table | None = None,
    *,
    since_ns: int | None = None,
    until_ns: int | None = None,
    baseline: tuple[int, int] | None = None,
) -> Topology:
    """``topology`` over tables that hold the window and, if there is one, the baseline.

    ``spans`` has ``schema.ANALYSIS_COLUMNS`` and any of ``schema.PROMOTED``; ``links`` has ``trace_id,
    span_id, linked_trace_id, linked_span_id``. Without ``baseline`` there is none.
    """
    window, shaped = checked(since_ns, until_ns), shaped_table(spans)

    def counts(asked: Window) -> Counts:
        return counts_in(shaped, links, asked).get(0, no_counts())

    before = None if baseline is None else checked(*baseline)
    earlier = None if before is None else (before, counts(before))
    starts = pc.min_max(spans["start_ns"]).as_py() if spans.num_rows else {"min": 0, "max": -1}
    return judged(counts(window), _closed(window, starts["min"], starts["max"]), earlier)


def _bounded(reader: Reader, window: Window) -> tuple[int, int]:
    # Where the window is open, it ends with the spans.
    if window.since_ns is not None and window.until_ns is not None:
        return window.since_ns, window.until_ns
    extent = reader.extent()
    return _closed(window, extent.first_start_ns, extent.last_start_ns if extent.spans else -1)


def _closed(window: Window, first: int, last: int) -> tuple[int, int]:
    since = first if window.since_ns is None else window.since_ns
    until = last + 1 if window.until_ns is None else window.until_ns
    return since, max(since, until)


def judged(now: Counts, window: tuple[int, int], earlier: tuple[Window, Counts] | None) -> Topology:
    """The topology of the counts of a window, judged against a baseline and its counts if there are any."""
    before = None if earlier is None else named_counts(earlier[1])
    here = named_counts(now)
    return Topology(
        nodes=_nodes(here, before),
        edges=_edges(here, before),
        since_ns=window[0],
        until_ns=window[1],
        spans=here.spans,
        traces=here.traces,
        unpaired=here.unpaired,
        baseline=None if earlier is None else (earlier[0].since_ns or 0, earlier[0].until_ns or 0),
    )


_NODE: Final = ["name", "node_kind"]
_EDGE: Final = ["source", "target", "connection"]


def _compared(
    cells: pl.DataFrame,
    errors: pl.DataFrame,
    earlier: tuple[pl.DataFrame, pl.DataFrame] | None,
    keys: list[str],
) -> pl.DataFrame:
    """Calls, errors, quantiles and states by ``keys``, from cells and errors of the window and before."""
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    measured = _with_errors(quantile_codes(cells, keys, shares).rename({"total": "calls"}), errors, keys)
    base_cells, base_errors = (cells.clear(), errors.clear()) if earlier is None else earlier
    base = _with_errors(quantile_codes(base_cells, keys, {"base_p95": 0.95}), base_errors, keys)
    base = base.rename({"total": "base_calls", "errors": "base_errors"})
    slower = (
        cells.join(base.select(*keys, "base_p95"), on=keys)
        .filter(pl.col("code") > pl.col("base_p95"))
        .group_by(keys)
        .agg(slow=pl.col("count").sum())
    )
    rows = (
        measured.join(base, on=keys, how="full", coalesce=True)
        .join(slower, on=keys, how="left")
        .with_columns(pl.col("calls", "errors", "base_calls", "base_errors", "slow").fill_null(0))
        .with_columns(timed=pl.col("calls"))
        .sort(keys)
    )
    valued = with_values(rows, {"p50": "p50_ns", "p95": "p95_ns", "p99": "p99_ns", "base_p95": "base_p95_ns"})
    codes = ["p50", "p95", "p99", "base_p95"]
    return with_states(valued.drop(codes).with_columns(p95=pl.col("p95_ns"), base_p95=pl.col("base_p95_ns")))


def _with_errors(counted: pl.DataFrame, errors: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    sums = errors.group_by(keys).agg(errors=pl.col("count").sum())
    return counted.join(sums, on=keys, how="left").with_columns(pl.col("errors").fill_null(0))


def _nodes(now: NamedCounts, before: NamedCounts | None) -> pl.DataFrame:
    earlier = None if before is None else (before.visits, before.visit_errors)
    rows = _compared(now.visits, now.visit_errors, earlier, _NODE)
    present = now.present.with_columns(present=pl.lit(True))
    rows = rows.join(present, on=_NODE, how="full", coalesce=True).with_columns(
        pl.col("calls", "errors").fill_null(0), pl.col("state").fill_null("idle")
    )
    rows = rows.filter(pl.col("present") | (pl.col("state") == "absent"))
    rows = rows.join(now.node_exemplars, on=_NODE, how="left")
    rows = rows.rename({"name": "service", "node_kind": "kind"}).sort("service", "kind")
    return rows.select(pl.col(name).cast(dtype) for name, dtype in NODE_SCHEMA.items())


def _edges(now: NamedCounts, before: NamedCounts | None) -> pl.DataFrame:
    # Judged by what the caller felt: the client's time if it sent a span, for it includes everything.
    earlier = None if before is None else (summed(before.felt, _EDGE), before.edge_errors)
    rows = _compared(summed(now.felt, _EDGE), now.edge_errors, earlier, _EDGE)
    for cells, names in (
        (now.client, {"client_p50_ns": 0.5, "client_p95_ns": 0.95}),
        (summed(now.server, _EDGE), {"server_p50_ns": 0.5, "server_p95_ns": 0.95}),
        (now.network, {"network_p50_ns": 0.5}),
        (now.delay, {"delay_p50_ns": 0.5}),
    ):
        found = quantile_codes(cells, _EDGE, names).drop("total")
        rows = rows.join(with_values(found, {name: name for name in names}), on=_EDGE, how="left")
    negative = (
        now.network.filter(pl.col("code") < 0).group_by(_EDGE).agg(negative_network=pl.col("count").sum())
    )
    rows = rows.join(negative, on=_EDGE, how="left").with_columns(pl.col("negative_network").fill_null(0))
    rows = rows.filter((pl.col("calls") > 0) | (pl.col("state") == "absent"))
    rows = rows.join(now.edge_exemplars, on=_EDGE, how="left")
    connection = pl.Series(CONNECTIONS).gather(rows["connection"].cast(pl.UInt32))
    return (
        rows.with_columns(connection.alias("connection"))
        .select(pl.col(name).cast(dtype) for name, dtype in EDGE_SCHEMA.items())
        .sort(_EDGE)
    )
