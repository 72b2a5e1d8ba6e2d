"""Every call in a window, one row each: what topology, health and diagnosis count and compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from tracescape_analytics.connections import MESSAGING, UNSEEN, connections
from tracescape_analytics.nodes import NodeTable, number_far_ends, number_queues
from tracescape_analytics.span_forest import BoolArray, IntArray, SpanForest, plant
from tracescape_analytics.windows import Window
from tracescape_native.edges import CROSSED, DELIVERED, NONE, PAIRED, Calls, find_calls
from tracescape_native.forest import CLIENT, CONSUMER, ORPHAN, PRODUCER, ROOT, SERVER, UNSET

ERROR: Final = 2  # OTLP's StatusCode

CALL_SCHEMA: Final = {
    "source": pl.Int64,
    "target": pl.Int64,
    "connection": pl.Int64,
    "client_ns": pl.Int64,
    "server_ns": pl.Int64,
    "network_ns": pl.Int64,
    "error": pl.Boolean,
}


@dataclass(frozen=True)
class Unpaired:
    """What could not be matched, counted over the window.

    ``orphans``: spans whose parent is missing. ``clients_without_server``: CLIENT spans that no span answers
    (calls to databases and other things that send no spans are among them). ``negative_network``: pairs
    whose server took longer than its client, which only clocks can explain.
    """

    orphans: int = 0
    clients_without_server: int = 0
    negative_network: int = 0


@dataclass(frozen=True)
class WindowCalls:
    """All calls of one window.

    ``nodes``: ``node`` (Int64), ``name``, ``node_kind`` (text). ``present``: numbers of the nodes that appear
    in the window. ``calls``: columns of ``CALL_SCHEMA``, a row a call; ``source`` and ``target`` are nodes,
    ``connection`` is an index into ``connections.CONNECTIONS``, times are ns and null where that side sent no
    span. ``visits``: ``node`` (Int64), ``duration_ns`` (Int64), ``error`` (Boolean), a row a request that a
    node served. ``since_ns`` and ``until_ns`` are the window's, or where it is open, those of the spans.
    """

    nodes: pl.DataFrame
    present: frozenset[int]
    calls: pl.DataFrame
    visits: pl.DataFrame
    since_ns: int
    until_ns: int
    spans: int
    traces: int
    unpaired: Unpaired


class _Reading:
    """The arrays that the steps below share, for one table and one window."""

    def __init__(self, trees: SpanForest, window: Window) -> None:
        self.trees = trees
        self.forest = trees.forest
        self.service = trees.service
        self.kind = trees.forest.kind
        self.duration = trees.duration
        self.error: BoolArray = trees.status == ERROR
        self.inside = window.holds(trees.forest.start)
        self.connection = connections(trees)
        self.nodes = NodeTable(trees.services)
        self.found = matched(trees)

    def visit_rows(self, node: IntArray, server: IntArray) -> pl.DataFrame:
        """Requests that nodes served, with the positions of the spans that served them."""
        return pl.DataFrame({"node": node, "duration_ns": self.duration[server], "error": self.error[server]})

    def call_rows(
        self, source: IntArray, target: IntArray, client: IntArray | None, server: IntArray | None
    ) -> pl.DataFrame:
        """Calls between nodes, with the positions of the spans on both sides (-1 for no span there)."""
        none = np.full(len(source), -1, np.int64)
        client = none if client is None else client
        server = none if server is None else server
        near = np.where(client >= 0, self.connection[client], UNSEEN)
        far = np.where(server >= 0, self.connection[server], UNSEEN)
        failed = ((client >= 0) & self.error[client]) | ((server >= 0) & self.error[server])
        frame = pl.DataFrame(
            {
                "source": source,
                "target": target,
                "connection": np.where(near == UNSEEN, far, near),
                "client_ns": np.where(client >= 0, self.duration[client], -1),
                "server_ns": np.where(server >= 0, self.duration[server], -1),
                "error": failed,
            }
        )
        known = [pl.when(pl.col(c) >= 0).then(pl.col(c)).alias(c) for c in ("client_ns", "server_ns")]
        return (
            frame.with_columns(known)
            .with_columns(network_ns=pl.col("client_ns") - pl.col("server_ns"))
            .select(pl.col(name).cast(dtype) for name, dtype in CALL_SCHEMA.items())
        )


def matched(trees: SpanForest) -> Calls:
    """``native.find_calls`` over the trees; a span names a store if it says which database or topic."""
    database, _ = trees.codes("db_system")
    topic, _ = trees.codes("messaging_destination")
    return find_calls(trees.forest, trees.service, ((database >= 0) | (topic >= 0)).astype(np.int64))


def _between_services(reading: _Reading) -> pl.DataFrame:
    # SERVER spans with their CLIENT, and children of other services. A call belongs to the moment at which
    # its calling side started.
    forest, kind = reading.forest, reading.kind
    server = np.flatnonzero((reading.found.relation == PAIRED) | (reading.found.relation == CROSSED))
    caller = reading.found.caller[server]
    counted = reading.inside[caller]
    server, caller = server[counted], caller[counted]
    # A span without a kind whose only child is the remote one did nothing but wait for it: it is the client.
    waits_only = (kind[caller] == UNSET) & (forest.size[caller] == forest.size[server] + 1)
    is_client = (kind[caller] == CLIENT) | (kind[caller] == PRODUCER) | waits_only
    return reading.call_rows(
        reading.service[caller], reading.service[server], np.where(is_client, caller, -1), server
    )


def _to_far_ends(reading: _Reading) -> pl.DataFrame:
    client = np.flatnonzero((reading.found.unanswered == 1) & reading.inside)
    target = number_far_ends(reading.trees, client, reading.nodes)
    client, target = client[target >= 0], target[target >= 0]
    return reading.call_rows(reading.service[client], target, client, None)


def _from_outside(reading: _Reading) -> pl.DataFrame:
    served = (reading.kind == SERVER) | (reading.kind == UNSET)
    server = np.flatnonzero((reading.forest.origin == ROOT) & served & reading.inside)
    if not len(server):
        return pl.DataFrame(schema=CALL_SCHEMA)
    source = np.full(len(server), reading.nodes.entry(), np.int64)
    return reading.call_rows(source, reading.service[server], None, server)


def _deliveries(reading: _Reading, links: pa.Table | None) -> tuple[IntArray, IntArray]:
    # Positions of (producer, consumer): by parent and by span link, each pair once.
    consumer = np.flatnonzero(reading.found.relation == DELIVERED)
    by_parent = pl.DataFrame({"producer": reading.found.caller[consumer], "consumer": consumer})
    if links is None or links.num_rows == 0:
        return by_parent["producer"].to_numpy(), by_parent["consumer"].to_numpy()

    def spans_of(kind: int, name: str, trace: str, span: str) -> pl.DataFrame:
        positions = np.flatnonzero(reading.kind == kind)
        rows = reading.trees.table.select(["trace_id"]).take(reading.forest.rows[positions])
        return pl.DataFrame(
            {
                trace: pl.Series(rows["trace_id"].to_pylist(), dtype=pl.Binary),
                span: reading.forest.span_id[positions],
                name: positions,
            }
        )

    by_link = (
        _link_frame(links)
        .join(spans_of(CONSUMER, "consumer", "trace_id", "span_id"), on=["trace_id", "span_id"])
        .join(
            spans_of(PRODUCER, "producer", "linked_trace_id", "linked_span_id"),
            on=["linked_trace_id", "linked_span_id"],
        )
        .select("producer", "consumer")
    )
    pairs = pl.concat([by_parent, by_link]).unique().sort("producer", "consumer")
    return pairs["producer"].to_numpy(), pairs["consumer"].to_numpy()


def _link_frame(links: pa.Table) -> pl.DataFrame:
    columns = ["trace_id", "span_id", "linked_trace_id", "linked_span_id"]
    frame = pl.from_arrow(links.select(columns))
    assert isinstance(frame, pl.DataFrame)
    return frame


def _messages(reading: _Reading, links: pa.Table | None) -> tuple[list[pl.DataFrame], list[pl.DataFrame]]:
    """Calls to, from and around queues, and the visits of queues that no call to them accounts for.

    Producer → queue belongs to the producer's start, queue → consumer to the consumer's: its caller is the
    queue. Where neither names the queue, producer → consumer belongs to the producer's start.
    """
    producers = np.flatnonzero(reading.kind == PRODUCER)
    alone = np.flatnonzero((reading.kind == CONSUMER) & (reading.found.relation == NONE))
    if not len(producers) and not len(alone):
        return [], []
    published = number_queues(reading.trees, producers, reading.nodes)
    publish = (published >= 0) & reading.inside[producers]

    sender, receiver = _deliveries(reading, links)
    receiver = np.concatenate([receiver, np.setdiff1d(alone, receiver)])
    sender = np.concatenate([sender, np.full(len(receiver) - len(sender), -1, np.int64)])
    sent_to = np.full(len(sender), -1, np.int64)
    sent_to[sender >= 0] = number_queues(reading.trees, sender[sender >= 0], reading.nodes)
    queue = np.where(sent_to >= 0, sent_to, number_queues(reading.trees, receiver, reading.nodes))
    receive = (queue >= 0) & reading.inside[receiver]
    direct = (queue < 0) & (sender >= 0) & reading.inside[sender]

    service = reading.service
    to_queue, from_queue = producers[publish], receiver[receive]
    frames = [
        reading.call_rows(service[to_queue], published[publish], to_queue, None),
        reading.call_rows(queue[receive], service[from_queue], None, from_queue),
        reading.call_rows(
            service[sender[direct]], service[receiver[direct]], sender[direct], receiver[direct]
        ),
    ]
    over_broker = [frame.with_columns(connection=pl.lit(MESSAGING, dtype=pl.Int64)) for frame in frames]
    unsent = receive & (sent_to < 0)
    return over_broker, [reading.visit_rows(queue[unsent], receiver[unsent])]


def _service_visits(reading: _Reading) -> pl.DataFrame:
    # A service serves its SERVER and CONSUMER spans; without kinds, roots and what other services called. A
    # service that never does is seen at its topmost spans.
    forest, kind, service = reading.forest, reading.kind, reading.service
    parent = forest.parent
    topmost = (parent < 0) | (service != service[parent])
    entry = (kind == SERVER) | (kind == CONSUMER) | ((kind == UNSET) & topmost)
    serves = np.zeros(len(reading.trees.services), np.bool_)
    serves[service[entry]] = True
    served = (entry | (topmost & ~serves[service])) & reading.inside
    return reading.visit_rows(service[served], np.flatnonzero(served))


def _virtual_visits(calls: pl.DataFrame, nodes: pl.DataFrame) -> list[pl.DataFrame]:
    # What services called, as their callers saw it; who calls from outside, as those who answered saw it.
    kind = nodes.select("node", "node_kind")
    called = calls.join(kind, left_on="target", right_on="node").filter(pl.col("node_kind") != "service")
    calling = calls.join(kind, left_on="source", right_on="node").filter(pl.col("node_kind") == "entry")
    return [
        called.select(node="target", duration_ns="client_ns", error="error"),
        calling.select(node="source", duration_ns="server_ns", error="error"),
    ]


def calls_in(spans: pa.Table, links: pa.Table | None, window: Window) -> WindowCalls:
    """All calls of a window, from a table that may hold more spans than those of the window.

    ``spans`` has ``schema.ANALYSIS_COLUMNS`` and any of the columns in ``schema.PROMOTED``; ``links`` has
    ``trace_id, span_id, linked_trace_id, linked_span_id``. A call belongs to the window in which its calling
    side started, a served request to the one in which the serving span did. A CLIENT span whose server span
    has not arrived yet is taken for one without: this does not wait for traces to settle.
    """
    trees = plant(spans)
    reading = _Reading(trees, window)
    messages, unsent = _messages(reading, links)
    calls = pl.concat([_between_services(reading), _to_far_ends(reading), *messages, _from_outside(reading)])
    nodes = reading.nodes.frame()
    visits = pl.concat([_service_visits(reading), *unsent, *_virtual_visits(calls, nodes)])
    inside = reading.inside
    starts = trees.forest.start[inside]
    first = int(starts.min()) if len(starts) else 0
    last = int(starts.max()) + 1 if len(starts) else 0
    ends = set(calls["source"].unique()) | set(calls["target"].unique())
    return WindowCalls(
        nodes=nodes,
        present=frozenset(ends | set(np.unique(reading.service[inside]).tolist())),
        calls=calls,
        visits=visits,
        since_ns=first if window.since_ns is None else window.since_ns,
        until_ns=last if window.until_ns is None else window.until_ns,
        spans=int(inside.sum()),
        traces=len(np.unique(trees.forest.trace[inside])),
        unpaired=Unpaired(
            orphans=int(((trees.forest.origin == ORPHAN) & inside).sum()),
            clients_without_server=int(((reading.found.unanswered == 1) & inside).sum()),
            negative_network=int((calls["network_ns"] < 0).sum()),
        ),
    )
