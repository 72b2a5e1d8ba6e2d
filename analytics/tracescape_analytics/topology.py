"""Who calls whom, how often, how slow, how broken: the topology of a window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl
import pyarrow as pa

from tracescape_analytics.calls import Unpaired, WindowCalls, calls_in
from tracescape_analytics.connections import CONNECTIONS
from tracescape_analytics.health import with_states
from tracescape_analytics.span_forest import CALL_COLUMNS
from tracescape_analytics.windows import baseline_of, checked
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
}

_NODE_KEYS: Final = ["name", "node_kind"]
_EDGE_KEYS: Final = ["source", "target", "connection"]


@dataclass(frozen=True)
class Topology:
    """The nodes and edges of a window; both frames stand by name.

    ``nodes`` (columns of ``NODE_SCHEMA``): a row a service, database, queue or topic, external system, and
    ``user`` for whoever calls from outside. ``calls`` are requests that it served: its SERVER and CONSUMER
    spans; where spans have no kinds, roots and what another service called; where a service has neither, its
    topmost spans. A node that sends no spans is counted as its callers saw it.

    ``edges`` (columns of ``EDGE_SCHEMA``): a row a source, target and connection ('http', 'rpc', 'db',
    'messaging', 'internal'). ``errors`` counts calls with an error on either side. A side that sent no spans
    has null times; ``network_p50_ns`` is the median of client minus server time. A row with 0 calls and state
    'absent' was there in the baseline.

    Quantiles are exact: the smallest duration that at least that share of calls did not exceed. ``since_ns``
    and ``until_ns`` bound the window (``until_ns`` is not part of it); ``spans`` and ``traces`` count what
    started in it; ``baseline`` is the window that states were judged against.
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

    A call belongs to the window in which its calling side started. Requests that cross the window's edge are
    read beyond it by ``windows.MARGIN_NS``. A CLIENT span whose server span has not arrived yet is shown as a
    call to something external: this version does not wait for traces to settle.
    """
    window = checked(since_ns, until_ns)
    before = baseline_of(reader, window, baseline)
    measured = calls_in(window.read(reader, CALL_COLUMNS), window.links(reader), window)
    if before is None:
        return _judged(measured, None)
    return _judged(measured, calls_in(before.read(reader, CALL_COLUMNS), before.links(reader), before))


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
    measured = calls_in(spans, links, checked(since_ns, until_ns))
    before = None if baseline is None else calls_in(spans, links, checked(*baseline))
    return _judged(measured, before)


def _judged(now: WindowCalls, before: WindowCalls | None) -> Topology:
    return Topology(
        nodes=_nodes(now, before),
        edges=_edges(now, before),
        since_ns=now.since_ns,
        until_ns=now.until_ns,
        spans=now.spans,
        traces=now.traces,
        unpaired=now.unpaired,
        baseline=None if before is None else (before.since_ns, before.until_ns),
    )


def _quantile(column: str, q: float) -> pl.Expr:
    return pl.col(column).quantile(q, "equiprobable").cast(pl.Int64)


def _counts() -> list[pl.Expr]:
    return [pl.len().cast(pl.Int64).alias("calls"), pl.col("error").sum().cast(pl.Int64).alias("errors")]


def _baseline_columns(rows: pl.DataFrame, keys: list[str], duration: str) -> pl.DataFrame:
    return rows.group_by(keys).agg(
        base_calls=pl.len().cast(pl.Int64),
        base_errors=pl.col("error").sum().cast(pl.Int64),
        base_p95=_quantile(duration, 0.95),
    )


def _compared(
    rows: pl.DataFrame, measured: pl.DataFrame, before: pl.DataFrame, keys: list[str], duration: str
) -> pl.DataFrame:
    """States of ``measured``: ``rows`` and ``before`` are the calls of the window and of the baseline."""
    base = _baseline_columns(before, keys, duration)
    slower = (
        rows.join(base, on=keys)
        .group_by(keys)
        .agg(
            slow=(pl.col(duration) > pl.col("base_p95")).sum().cast(pl.Int64),
            timed=pl.col(duration).count().cast(pl.Int64),
        )
    )
    judged = with_states(
        measured.join(base, on=keys, how="full", coalesce=True)
        .join(slower, on=keys, how="left")
        .with_columns(pl.col("calls", "errors", "base_calls", "base_errors", "slow", "timed").fill_null(0))
        .sort(keys)
    )
    known = (pl.col("calls") > 0) | (pl.col("state") == "absent") | pl.col("present").fill_null(False)
    return judged.filter(known)


def _named_visits(measured: WindowCalls) -> pl.DataFrame:
    return measured.visits.join(measured.nodes, on="node")


def _named_calls(measured: WindowCalls) -> pl.DataFrame:
    # Durations for judging: the client's if it sent one, for it includes all that the caller felt.
    names = measured.nodes.select("node", "name")
    return (
        measured.calls.join(names.rename({"node": "source", "name": "source_name"}), on="source")
        .join(names.rename({"node": "target", "name": "target_name"}), on="target")
        .with_columns(felt_ns=pl.coalesce("client_ns", "server_ns"))
        .drop("source", "target")
        .rename({"source_name": "source", "target_name": "target"})
    )


def _nodes(now: WindowCalls, before: WindowCalls | None) -> pl.DataFrame:
    visits = _named_visits(now)
    sums = visits.group_by(_NODE_KEYS).agg(
        *_counts(),
        p50_ns=_quantile("duration_ns", 0.5),
        p95=_quantile("duration_ns", 0.95),
        p99_ns=_quantile("duration_ns", 0.99),
    )
    present = now.nodes.filter(pl.col("node").is_in(sorted(now.present))).select(
        *_NODE_KEYS, pl.lit(True).alias("present")
    )
    measured = present.join(sums, on=_NODE_KEYS, how="left")
    earlier = visits.clear() if before is None else _named_visits(before)
    judged = _compared(visits, measured, earlier, _NODE_KEYS, "duration_ns")
    named = judged.rename({"name": "service", "node_kind": "kind", "p95": "p95_ns"})
    return named.select(pl.col(name).cast(dtype) for name, dtype in NODE_SCHEMA.items())


def _edges(now: WindowCalls, before: WindowCalls | None) -> pl.DataFrame:
    calls = _named_calls(now)
    measured = calls.group_by(_EDGE_KEYS).agg(
        *_counts(),
        client_p50_ns=_quantile("client_ns", 0.5),
        client_p95_ns=_quantile("client_ns", 0.95),
        server_p50_ns=_quantile("server_ns", 0.5),
        server_p95_ns=_quantile("server_ns", 0.95),
        network_p50_ns=_quantile("network_ns", 0.5),
        p95=_quantile("felt_ns", 0.95),
        present=pl.lit(True),
    )
    earlier = calls.clear() if before is None else _named_calls(before)
    judged = _compared(calls, measured, earlier, _EDGE_KEYS, "felt_ns")
    connection = pl.Series(CONNECTIONS).gather(judged["connection"].cast(pl.UInt32))
    return (
        judged.with_columns(connection.alias("connection"))
        .select(pl.col(name).cast(dtype) for name, dtype in EDGE_SCHEMA.items())
        .sort(_EDGE_KEYS)
    )
