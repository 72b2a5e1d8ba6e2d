"""From counted groups to the nodes and edges that people see, each with its cells.

Groups say what spans said. Here it is decided what that means together: a call to something that bears a
service's name is a call to that service; two nodes of different kinds never share a name; and a service that
served nothing is seen at its topmost spans.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

import polars as pl

from tracescape_analytics.calls import Unpaired
from tracescape_analytics.counts import Counts
from tracescape_analytics.distributions import summed
from tracescape_analytics.nodes import NODE_KINDS
from tracescape_native import call_counts as native

_SERVICE: Final = NODE_KINDS.index("service")
_ENTRY: Final = NODE_KINDS.index("entry")
_EXTERNAL: Final = NODE_KINDS.index("external")
_NODE: Final = ["name", "node_kind"]
_EDGE: Final = ["source", "target", "connection"]


class NamedCounts(NamedTuple):
    """Cells (``code``, ``count``) by node (``name``, ``node_kind``) or edge (``source, target, connection``).

    ``visits`` and ``visit_errors`` (no codes) of nodes; ``present``: the nodes that appear. Of edges:
    ``felt`` (client, else server time), ``client``, ``server``, ``network``, ``delay``, ``edge_errors``;
    ``felt`` and ``server`` may have several rows for a code. Exemplars: ``slowest_trace``, ``failed_trace``.
    """

    visits: pl.DataFrame
    visit_errors: pl.DataFrame
    present: pl.DataFrame
    felt: pl.DataFrame
    client: pl.DataFrame
    server: pl.DataFrame
    network: pl.DataFrame
    delay: pl.DataFrame
    edge_errors: pl.DataFrame
    node_exemplars: pl.DataFrame
    edge_exemplars: pl.DataFrame
    spans: int
    traces: int
    unpaired: Unpaired


def services_in(counts: Counts) -> set[str]:
    """The names of the services that sent spans."""
    groups = counts.groups.filter(pl.col("role") != native.TOTAL, pl.col("source_kind") == _SERVICE)
    return set(groups["source"].unique().to_list())


def shown_names(groups: pl.DataFrame, known: Collection[str] = ()) -> pl.DataFrame:
    """What each node is called: ``kind``, ``name``, and ``shown_kind`` and ``shown`` beside them.

    ``known`` are services that are silent here: a call to something of that name is a call to them.
    """
    ends = groups.filter(pl.col("role") == native.EDGE)
    nodes = pl.concat(
        [
            groups.filter(pl.col("role") != native.TOTAL).select(kind="source_kind", name="source"),
            ends.select(kind="target_kind", name="target"),
        ]
    )
    nodes = nodes.unique().sort("kind", "name")
    services = {name for kind, name in nodes.iter_rows() if kind == _SERVICE} | set(known)
    taken = set(services)
    rows = []
    for kind, name in nodes.iter_rows():
        shown_kind, shown = kind, name
        if kind == _EXTERNAL and name in services:
            shown_kind = _SERVICE
        elif kind != _SERVICE:
            shown = f"{name} ({NODE_KINDS[kind]})" if name in taken else name
            taken.add(shown)
        rows.append((kind, name, shown_kind, shown))
    schema = {"kind": pl.Int8, "name": pl.String, "shown_kind": pl.Int8, "shown": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def shown_groups(groups: pl.DataFrame, known: Collection[str] = ()) -> pl.DataFrame:
    """``group`` and the columns of ``GROUP_SCHEMA``, its nodes as they are shown; see ``shown_names``."""
    names = shown_names(groups, known)
    columns = groups.with_row_index("group").with_columns(pl.col("group").cast(pl.Int64))
    for end in ("source", "target"):
        found = names.rename({"shown_kind": f"{end}_shown_kind", "shown": f"{end}_shown"})
        columns = columns.join(
            found, left_on=[f"{end}_kind", end], right_on=["kind", "name"], how="left", maintain_order="left"
        )
    return columns.select(
        "group",
        "role",
        "connection",
        source_kind=pl.coalesce("source_shown_kind", "source_kind"),
        source=pl.coalesce("source_shown", "source"),
        target_kind=pl.when(pl.col("role") == native.EDGE).then("target_shown_kind").otherwise("target_kind"),
        target=pl.when(pl.col("role") == native.EDGE).then("target_shown").otherwise("target"),
    )


def visited(groups: pl.DataFrame) -> pl.DataFrame:
    """Which groups are visits of which nodes: ``name``, ``node_kind``, ``group``.

    ``groups`` has the columns of ``GROUP_SCHEMA`` and ``group``.
    """
    role, kind = pl.col("role"), pl.col("source_kind")
    serving = groups.filter(role == native.ENTRY)
    topmost = groups.filter(role == native.TOPMOST).join(serving.select("source"), on="source", how="anti")
    unsent = groups.filter(role == native.UNSENT)
    called = groups.filter((role == native.EDGE) & (pl.col("target_kind") != _SERVICE))
    calling = groups.filter((role == native.EDGE) & (kind == _ENTRY))
    own = pl.concat([serving, topmost, unsent, calling]).select("group", name="source", kind="source_kind")
    theirs = called.select("group", name="target", kind="target_kind")
    return pl.concat([own, theirs]).select("group", "name", node_kind=_kind_name("kind"))


def _kind_name(column: str) -> pl.Expr:
    return pl.col(column).replace_strict(dict(enumerate(NODE_KINDS)), return_dtype=pl.String)


def named_counts(counts: Counts, known: Collection[str] = ()) -> NamedCounts:
    """The counts by the names of nodes and edges; see ``shown_names``."""
    groups, cells = shown_groups(counts.groups, known), counts.cells()
    total = groups.filter(pl.col("role") == native.TOTAL).select("group").join(cells, on="group")
    totals = dict(total.group_by("code").agg(pl.col("count").sum()).iter_rows())
    spans = groups.filter(pl.col("role") == native.SPANS).select("group").join(cells, on="group")
    edges = groups.filter(pl.col("role") == native.EDGE).select("group", *_EDGE)
    visits = visited(groups)
    of_edges = edges.join(cells, on="group").drop("group")
    of_visits = visits.join(cells, on="group")
    network = summed(_measured(of_edges, native.NETWORK_TIME), _EDGE)
    client = summed(_measured(of_edges, native.CLIENT_TIME), _EDGE)
    alone = _measured(of_edges, native.ALONE_TIME).select(*_EDGE, "code", "count")
    server = _measured(of_edges, native.SERVER_TIME).select(*_EDGE, "code", "count")
    return NamedCounts(
        visits=summed(_visit_times(of_visits, edges), _NODE),
        visit_errors=of_visits.filter(pl.col("measure") == native.ERRORS).select(*_NODE, "count"),
        present=_present(groups),
        felt=pl.concat([client, alone]),
        client=client,
        server=pl.concat([server, alone]),
        network=network,
        delay=summed(_measured(of_edges, native.DELAY), _EDGE),
        edge_errors=_measured(of_edges, native.ERRORS).select(*_EDGE, "count"),
        node_exemplars=_exemplars(visits, counts.exemplars.frame(), _NODE),
        edge_exemplars=_exemplars(edges, counts.exemplars.frame(), _EDGE),
        spans=int(spans["count"].sum()),
        traces=int(totals.get(native.TRACES, 0)),
        unpaired=Unpaired(
            orphans=int(totals.get(native.ORPHANS, 0)),
            clients_without_server=int(totals.get(native.UNANSWERED, 0)),
            negative_network=int(network.filter(pl.col("code") < 0)["count"].sum()),
        ),
    )


class JudgedCells(NamedTuple):
    """What of counts is compared: as in `NamedCounts`, not summed, each row with its ``sample``."""

    visits: pl.DataFrame
    visit_errors: pl.DataFrame
    felt: pl.DataFrame
    edge_errors: pl.DataFrame


def judged_cells(samples: Sequence[Counts]) -> JudgedCells:
    """The cells of several counts by the names of nodes and edges; ``sample`` is the place of the counts."""
    begin, parts = 0, []
    for place, counts in enumerate(samples):
        number = pl.lit(place, dtype=pl.Int64)
        parts.append(counts.cells().with_columns(pl.col("group") + begin, sample=number))
        begin += len(counts.groups)
    cells = pl.concat(parts)
    groups = shown_groups(pl.concat([counts.groups for counts in samples]))
    edges = groups.filter(pl.col("role") == native.EDGE).select("group", *_EDGE)
    of_visits, of_edges = visited(groups).join(cells, on="group"), edges.join(cells, on="group")
    felt = of_edges.filter(pl.col("measure").is_in([native.CLIENT_TIME, native.ALONE_TIME]))
    return JudgedCells(
        visits=_visit_times(of_visits, edges).select("sample", *_NODE, "code", "count"),
        visit_errors=_measured(of_visits, native.ERRORS).select("sample", *_NODE, "count"),
        felt=felt.select("sample", *_EDGE, "code", "count"),
        edge_errors=_measured(of_edges, native.ERRORS).select("sample", *_EDGE, "count"),
    )


def _visit_times(of_visits: pl.DataFrame, edges: pl.DataFrame) -> pl.DataFrame:
    # An edge that both sides saw has the client's time and the server's; its visits are the client's.
    times = (native.CLIENT_TIME, native.SERVER_TIME, native.ALONE_TIME)
    marked = of_visits.join(edges.select("group", pl.lit(True).alias("is_edge")), on="group", how="left")
    return marked.filter(
        pl.col("measure").is_in(times)
        & (pl.col("is_edge").is_null() | (pl.col("measure") != native.SERVER_TIME))
    )


def _measured(cells: pl.DataFrame, measure: int) -> pl.DataFrame:
    return cells.filter(pl.col("measure") == measure)


def _present(groups: pl.DataFrame) -> pl.DataFrame:
    some = groups.filter(pl.col("role") != native.TOTAL)
    ends = some.filter(pl.col("role") == native.EDGE)
    nodes = [some.select(name="source", kind="source_kind"), ends.select(name="target", kind="target_kind")]
    return pl.concat(nodes).unique().select("name", node_kind=_kind_name("kind"))


def _exemplars(groups: pl.DataFrame, exemplars: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    ranked = groups.join(exemplars, on="group").sort("duration_ns", "trace_id", descending=True)
    trace = pl.col("trace_id").bin.encode("hex")
    return ranked.group_by(keys).agg(
        slowest_trace=trace.filter(~pl.col("failed")).first(),
        failed_trace=trace.filter(pl.col("failed")).first(),
    )
