"""From counted groups to the nodes and edges that people see, each with what is counted of it.

Groups say what spans said. Here it is decided what that means together: a call to something that bears a
service's name is a call to that service; two nodes of different kinds never share a name; and a service that
served nothing is seen at its topmost spans.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

import numpy as np

from tracescape_analytics.calls import Unpaired
from tracescape_analytics.counts import BoolArray, Counts, Exemplars, Groups, IntArray, greatest, numbered
from tracescape_analytics.distributions import Durations, durations, sums
from tracescape_analytics.nodes import NODE_KINDS
from tracescape_analytics.sampling import UNIT_BITS, whole
from tracescape_native import call_keys as native
from tracescape_native.call_keys import GROUP_SHIFT, MEASURE_SHIFT, OFFSET

Node = tuple[int, str]  # a kind, as an index into NODE_KINDS, and a name
Edge = tuple[str, str, int]  # source, target, connection

_SERVICE: Final = NODE_KINDS.index("service")
_ENTRY: Final = NODE_KINDS.index("entry")
_EXTERNAL: Final = NODE_KINDS.index("external")


class Directory:
    """Numbers nodes and edges by what they are called, whatever counts they come from."""

    def __init__(self) -> None:
        self.nodes: dict[Node, int] = {}
        self.edges: dict[Edge, int] = {}

    def node(self, node: Node) -> int:
        """Its number, a new one if it is new."""
        return self.nodes.setdefault(node, len(self.nodes))

    def edge(self, edge: Edge) -> int:
        """Its number, a new one if it is new."""
        return self.edges.setdefault(edge, len(self.edges))


class Meaning(NamedTuple):
    """What groups are, by the numbers of a `Directory`.

    ``node``: of which node a group counts visits; ``edge``: of which edge it counts calls; -1 for none; both
    int64, shape (groups,). ``extra``: whether it counts how many more the same calls stand for, bool, shape
    (groups,). ``present``: the nodes that appear.
    """

    node: IntArray
    edge: IntArray
    extra: BoolArray
    present: IntArray

    def of(self, groups: IntArray) -> Meaning:
        """The meaning of some of the groups."""
        return self._replace(node=self.node[groups], edge=self.edge[groups], extra=self.extra[groups])


class Cells(NamedTuple):
    """What is counted: a row a cell, int64, shape (cells,), by node or edge (``thing``) and code.

    ``counted`` is in units of `sampling`, ``seen`` how many were stored.
    """

    thing: IntArray
    code: IntArray
    counted: IntArray
    seen: IntArray

    def rows(self, chosen: BoolArray) -> Cells:
        """Some of them."""
        return Cells(*(column[chosen] for column in self))


class Measured(NamedTuple):
    """The cells of counts by what they measure.

    Of nodes: ``visits``, ``visit_errors``. Of edges: ``client``, ``server``, ``alone``, ``network``,
    ``delay``, ``edge_errors``. Errors have no codes.
    """

    visits: Cells
    visit_errors: Cells
    client: Cells
    server: Cells
    alone: Cells
    network: Cells
    delay: Cells
    edge_errors: Cells

    def felt(self) -> Cells:
        """What callers felt: the client's time if it sent a span, else the server's."""
        return both(self.client, self.alone)


def both(some: Cells, others: Cells) -> Cells:
    """The cells of both."""
    return Cells(*(np.concatenate(columns) for columns in zip(some, others, strict=True)))


class NamedCounts(NamedTuple):
    """What is counted of each node and of each edge of a `Directory`.

    ``visits`` and ``visit_errors`` of nodes; ``present``: the nodes that appear. Of edges: ``felt`` (client,
    else server time), ``client``, ``server``, ``network``, ``delay``, ``edge_errors``. Errors are in units of
    `sampling`. Exemplars are those of nodes and edges instead of groups.
    """

    visits: Durations
    visit_errors: IntArray
    present: IntArray
    felt: Durations
    client: Durations
    server: Durations
    network: Durations
    delay: Durations
    edge_errors: IntArray
    node_exemplars: Exemplars
    edge_exemplars: Exemplars
    spans: int
    traces: int
    unpaired: Unpaired


def services_in(groups: Groups) -> set[str]:
    """The names of the services that sent spans."""
    named = [groups.names[place] for place in np.unique(groups.source[groups.role != native.TOTAL])]
    return {name for kind, name in named if kind == _SERVICE}


def shown_nodes(nodes: Iterable[Node], known: Collection[str] = ()) -> dict[Node, Node]:
    """What each node is shown as.

    ``known`` are services that are silent here: a call to something of that name is a call to them.
    """
    found = sorted(set(nodes))
    services = {name for kind, name in found if kind == _SERVICE} | set(known)
    taken = set(services)
    shown = {}
    for kind, name in found:
        if kind == _EXTERNAL and name in services:
            shown[kind, name] = _SERVICE, name
        elif kind == _SERVICE:
            shown[kind, name] = kind, name
        else:
            shown[kind, name] = kind, f"{name} ({NODE_KINDS[kind]})" if name in taken else name
            taken.add(shown[kind, name][1])
    return shown


def meaning(groups: Groups, directory: Directory, known: Collection[str] = ()) -> Meaning:
    """What groups mean together; see ``shown_nodes``."""
    role = groups.role & ~np.int64(native.EXTRA)
    is_edge = role == native.EDGE
    appear = np.unique(np.concatenate([groups.source[role != native.TOTAL], groups.target[is_edge]]))
    shown = shown_nodes((groups.names[place] for place in appear), known)
    number, kind = np.full((2, len(groups.names)), -1, np.int64)
    for place in appear.tolist():
        node = shown[groups.names[place]]
        number[place], kind[place] = directory.node(node), node[0]
    source, target = number[groups.source], number[groups.target]
    called = is_edge & (kind[groups.target] != _SERVICE)
    calling = is_edge & (kind[groups.source] == _ENTRY)
    visit = np.where(_serves(role, source) | calling, source, np.where(called, target, -1))
    edge = _edges(groups, is_edge, shown, directory)
    return Meaning(visit, edge, groups.role != role, number[appear])


def _serves(role: IntArray, source: IntArray) -> BoolArray:
    # Which groups count what their source served.
    serving, topmost = role == native.ENTRY, role == native.TOPMOST
    topmost &= ~np.isin(source, source[serving])
    return np.asarray(serving | topmost | (role == native.UNSENT))


def _edges(groups: Groups, is_edge: BoolArray, shown: dict[Node, Node], directory: Directory) -> IntArray:
    rows = np.flatnonzero(is_edge)
    code, first = numbered((groups.source[rows] << 31) | groups.target[rows], groups.connection[rows].copy())
    ends = (groups.source, groups.target, groups.connection)
    numbers = [
        directory.edge((shown[groups.names[source]][1], shown[groups.names[target]][1], connection))
        for source, target, connection in zip(*(end[rows[first]].tolist() for end in ends), strict=True)
    ]
    edge = np.full(len(groups), -1, np.int64)
    edge[rows] = np.array(numbers, np.int64)[code]
    return edge


def measured(keys: IntArray, counts: IntArray, what: Meaning) -> Measured:
    """The cells of groups that have a meaning; ``keys`` and ``counts`` as in `Counts`."""
    group = keys >> GROUP_SHIFT
    measure = (keys >> MEASURE_SHIFT) & ((1 << (GROUP_SHIFT - MEASURE_SHIFT)) - 1)
    code = (keys & ((1 << MEASURE_SHIFT) - 1)) - OFFSET
    node, edge = what.node[group], what.edge[group]
    extra = what.extra[group]
    counted, seen = np.where(extra, counts, counts << UNIT_BITS), np.where(extra, 0, counts)
    is_edge, of_nodes = edge >= 0, Cells(node, code, counted, seen)
    of_edges = of_nodes._replace(thing=edge)
    # An edge that both sides saw has the client's time and the server's; its visits are the client's.
    times = (measure <= native.ALONE_TIME) & ~(is_edge & (measure == native.SERVER_TIME))
    edges = [
        of_edges.rows(is_edge & (measure == which))
        for which in (
            native.CLIENT_TIME,
            native.SERVER_TIME,
            native.ALONE_TIME,
            native.NETWORK_TIME,
            native.DELAY,
            native.ERRORS,
        )
    ]
    errors = of_nodes.rows((node >= 0) & (measure == native.ERRORS))
    return Measured(of_nodes.rows((node >= 0) & times), errors, *edges)


def named_counts(counts: Counts, what: Meaning, directory: Directory) -> NamedCounts:
    """The counts of each node and edge; ``what`` their groups mean."""
    cells, nodes, edges = (
        measured(counts.keys, counts.counts, what),
        len(directory.nodes),
        len(directory.edges),
    )
    network = durations(*cells.network, edges)
    spans, totals = _totals(counts)
    return NamedCounts(
        visits=durations(*cells.visits, nodes),
        visit_errors=sums(cells.visit_errors.thing, cells.visit_errors.counted, nodes),
        present=what.present,
        felt=durations(*cells.felt(), edges),
        client=durations(*cells.client, edges),
        server=durations(*both(cells.server, cells.alone), edges),
        network=network,
        delay=durations(*cells.delay, edges),
        edge_errors=sums(cells.edge_errors.thing, cells.edge_errors.counted, edges),
        node_exemplars=exemplars_of(counts.exemplars, what.node),
        edge_exemplars=exemplars_of(counts.exemplars, what.edge),
        spans=spans,
        traces=totals[native.TRACES],
        unpaired=Unpaired(
            orphans=totals[native.ORPHANS],
            clients_without_server=totals[native.UNANSWERED],
            negative_network=int(cells.network.seen[cells.network.code < 0].sum()),
        ),
    )


def negative(found: Durations) -> IntArray:
    """How many durations of each thing are below 0."""
    return whole(found.total - found.above(np.full(len(found.total), -1, np.int64)))


def _totals(counts: Counts) -> tuple[int, list[int]]:
    # How many spans there are, and what the codes of TOTAL count.
    role = counts.groups.role[counts.keys >> GROUP_SHIFT]
    spans, total = role == native.SPANS, role == native.TOTAL
    code = (counts.keys[total] & ((1 << MEASURE_SHIFT) - 1)) - OFFSET
    return int(counts.counts[spans].sum()), sums(code, counts.counts[total], native.UNANSWERED + 1).tolist()


def exemplars_of(exemplars: Exemplars, thing: IntArray) -> Exemplars:
    """Those of things instead of groups; ``thing``: which one each group is of, -1 for none."""
    of = thing[exemplars.group]
    return greatest(exemplars._replace(group=of).rows(of >= 0))


def exemplar_ids(exemplars: Exemplars, failed: bool, things: int) -> list[str | None]:
    """The trace id (hex) of the slowest call of each thing, or of the slowest that failed; None for none."""
    found: list[str | None] = [None] * things
    some = exemplars.rows(exemplars.failed == failed)
    for thing, trace_id in zip(some.group.tolist(), some.trace_id, strict=True):
        found[thing] = trace_id.tobytes().hex()
    return found
