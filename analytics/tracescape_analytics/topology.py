"""Who calls whom, how often, how slow, how broken: the topology of a window."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from tracescape_analytics.baselines import BEFORE, Baseline, Compared, baselines, compared
from tracescape_analytics.calls import Unpaired, counts_in
from tracescape_analytics.counts import Counts
from tracescape_analytics.distributions import values
from tracescape_analytics.health import DEFAULT, Thresholds
from tracescape_analytics.lately import Lately
from tracescape_analytics.naming import exemplar_ids, negative
from tracescape_analytics.shapes import shaped_table
from tracescape_analytics.source import Looked, Source, Stored
from tracescape_analytics.windows import Window, checked, closed
from tracescape_storage.reader import Reader

NODE_SCHEMA: Final = {
    "service": pl.String,
    "kind": pl.String,
    "calls": pl.Int64,
    "errors": pl.Int64,
    "seen": pl.Int64,
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
    "seen": pl.Int64,
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

    ``nodes`` (columns of ``NODE_SCHEMA``): a row a service, database, queue or topic, external system, model,
    tool, and ``user`` for whoever calls from outside. ``calls`` are requests that it served: its SERVER and
    CONSUMER spans; where spans have no kinds, roots and what another service called; where a service has
    neither in the window, its topmost spans. A node that sends no spans is counted as its callers saw it.

    ``edges`` (columns of ``EDGE_SCHEMA``): a row a source, target and connection ('http', 'rpc', 'db',
    'messaging', 'internal'). ``errors`` counts calls with an error on either side. A side that sent no spans
    has null times; ``network_p50_ns`` is the median of client minus server time, ``negative_network`` counts
    those below 0; ``delay_p50_ns`` is the median time from a producer's end to its consumer's start. A row
    with 0 calls and state 'absent' was there in the baseline.

    ``slowest_trace`` and ``failed_trace`` are trace ids in hex: of the slowest call, and of the slowest that
    failed.

    A call counts as often as its spans say that they stand for others which were not kept (``sampling``);
    ``seen`` is how many are stored. Both are the same where nothing is sampled, and always for ``spans``,
    ``traces`` and ``unpaired``, which count what is stored.

    Counts are exact. A quantile is the smallest duration that at least that share of calls did not exceed,
    off by at most ``buckets.RELATIVE_ERROR`` (0.54 %), and exact below 90 ns.

    ``since_ns`` and ``until_ns`` bound the window (``until_ns`` is not part of it); ``spans`` counts what
    started in it, ``traces`` the traces whose main root did; ``baseline`` is the window just before (or the
    day, or the one that was asked for) that states were judged against.
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
    thresholds: Thresholds = DEFAULT,
    environment: str | None = None,
    lately: Lately | None = None,
) -> Topology:
    """The topology of the spans that start in [since_ns, until_ns).

    States are those of ``health``, judged against ``baseline``, a window as (since, until); by default
    against the same length of time just before and the day before, see ``baselines``. An empty window gives
    a topology without nodes (or with absent ones). Raises ``ValueError`` for a window that ends before it
    begins.

    A call belongs to the minute in which its calling side started. For each minute the spans that start in
    it or in its neighbours are looked at, so a parent or a server that starts more than a minute further away
    counts as missing. A CLIENT span whose server span has not arrived yet is shown as a call to something
    external: spans that arrive later change the answer.

    With ``environment`` (``deployment.environment.name``) only spans sent from there are looked at. Services
    are told apart by namespace and name. Raises ``UnknownEnvironmentError``.

    ``lately`` is what is kept of the reader's last minutes: with it, who asks again about windows that begin
    with a minute pays for what is new only.
    """
    window = checked(since_ns, until_ns)
    plain = baseline is None and environment is None
    look = lately.look(window) if lately is not None and plain else None
    if lately is not None and look is not None:
        kept = Looked(lately, look)
        return lately.remembered(
            look.version, (window, repr(thresholds)), lambda: _asked(kept, window, None, thresholds)
        )
    return _asked(Stored(reader, environment), window, baseline, thresholds)


def _asked(
    source: Source, window: Window, baseline: tuple[int, int] | None, thresholds: Thresholds
) -> Topology:
    earlier = baselines(source, window, baseline, thresholds)
    return judged(source.counts(window), source.bounds(window), earlier, thresholds)


def topology_of(
    spans: pa.Table,
    links: pa.Table | None = None,
    *,
    since_ns: int | None = None,
    until_ns: int | None = None,
    baseline: tuple[int, int] | None = None,
    thresholds: Thresholds = DEFAULT,
) -> Topology:
    """``topology`` over tables that hold the window and, if there is one, the baseline.

    ``spans`` has ``schema.ANALYSIS_COLUMNS`` and any of ``schema.PROMOTED``; ``links`` has ``trace_id,
    span_id, linked_trace_id, linked_span_id``. Without ``baseline`` there is none.
    """
    window, shaped = checked(since_ns, until_ns), shaped_table(spans)
    earlier = []
    if baseline is not None:
        before = checked(*baseline)
        counts = counts_in(shaped, links, before).whole()
        earlier.append(Baseline(BEFORE, before, baseline[1] - baseline[0], [counts]))
    now = counts_in(shaped, links, window).whole()
    starts = pc.min_max(spans["start_ns"]).as_py() if spans.num_rows else {"min": 0, "max": -1}
    return judged(now, closed(window, starts["min"], starts["max"]), earlier, thresholds)


def judged(
    now: Counts, window: tuple[int, int], earlier: Sequence[Baseline], thresholds: Thresholds = DEFAULT
) -> Topology:
    """The topology of the counts of a window, judged against baselines if there are any."""
    found = compared(now, earlier, window[1] - window[0], thresholds)
    first = earlier[0].window if earlier else None
    return Topology(
        nodes=_nodes(found),
        edges=_edges(found),
        since_ns=window[0],
        until_ns=window[1],
        spans=found.here.spans,
        traces=found.here.traces,
        unpaired=found.here.unpaired,
        baseline=None if first is None else (first.since_ns or 0, first.until_ns or 0),
    )


def _nodes(found: Compared) -> pl.DataFrame:
    here, names, present = found.here, found.node_columns(), set(found.here.present.tolist())
    states = found.nodes["state"].to_list()
    columns = {
        "service": names["name"],
        "kind": names["kind"],
        "slowest_trace": exemplar_ids(here.node_exemplars, False, len(states)),
        "failed_trace": exemplar_ids(here.node_exemplars, True, len(states)),
    }
    shown = [place in present or state == "absent" for place, state in enumerate(states)]
    return _frame(found.nodes, columns, NODE_SCHEMA, _in_order(names, shown))


def _edges(found: Compared) -> pl.DataFrame:
    here, names, states = found.here, found.edge_columns(), found.edges["state"].to_list()
    shares = (
        ("client", here.client, {"p50": 0.5, "p95": 0.95}),
        ("server", here.server, {"p50": 0.5, "p95": 0.95}),
        ("network", here.network, {"p50": 0.5}),
        ("delay", here.delay, {"p50": 0.5}),
    )
    columns = {
        **names,
        **{
            f"{side}_{name}_ns": values(name, times.at(share))
            for side, times, quantiles in shares
            for name, share in quantiles.items()
        },
        "negative_network": negative(here.network),
        "slowest_trace": exemplar_ids(here.edge_exemplars, False, len(states)),
        "failed_trace": exemplar_ids(here.edge_exemplars, True, len(states)),
    }
    shown = [seen > 0 or state == "absent" for seen, state in zip(found.edges["seen"], states, strict=True)]
    return _frame(found.edges, columns, EDGE_SCHEMA, _in_order(names, shown))


def _in_order(names: Mapping[str, Sequence[str]], shown: Sequence[bool]) -> list[int]:
    # The places of what is shown, by name.
    keys = list(zip(*names.values(), strict=True))
    return sorted(itertools.compress(range(len(keys)), shown), key=keys.__getitem__)


def _frame(
    rows: pl.DataFrame, more: Mapping[str, Any], schema: Mapping[str, Any], order: list[int]
) -> pl.DataFrame:
    # Columns that are there already and others beside them, as one frame: each operation on frames costs
    # more than all that is computed here.
    columns = {name: more[name] if name in more else rows[name] for name in schema}
    return pl.DataFrame(columns, schema=schema)[order]
