"""Calls and visits counted one by one: defines ``tracescape_native.call_counts``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from naive import edges
from naive.forest import CLIENT, CONSUMER, INTERNAL, PRODUCER, SERVER, UNSET, Node
from tracescape_native import call_keys as native
from tracescape_native.buckets import bucket_code

Group = tuple[int, int, int, int, int]  # role, connection, period, source, target


class Shape(NamedTuple):
    """A row of `tracescape_native.call_counts.Shapes`."""

    service: int
    operation: int
    kind: int
    failed: int
    connection: int
    names: int
    far_end: int
    queue: int
    extra: int = 0


@dataclass
class Counting:
    """``links``: to each CONSUMER the spans that it links to. ``said``: the shape of each span."""

    said: dict[Node, Shape]
    links: dict[Node, list[Node]]
    low: int
    high: int
    width: int
    entry: int
    messaging: int
    unseen: int
    cells: Counter[tuple[Group, int, int]] = field(default_factory=Counter)
    best: dict[tuple[Group, bool], tuple[int, int]] = field(default_factory=dict)

    def all(self, nodes: list[Node], mains: list[Node]) -> None:
        """Count everything."""
        calls = edges.calls(nodes)
        for root in filter(self._inside, mains):
            self._number((native.TOTAL, 0, self._period(root), 0, 0), native.TRACES)
        for node in filter(self._inside, nodes):
            self._visit(node)
        for node, (caller, how) in calls.items():
            if how != "delivered" and self._inside(caller):
                self._call(caller, node)
        for node in filter(self._inside, edges.unanswered(nodes)):
            self._number((native.TOTAL, 0, self._period(node), 0, 0), native.UNANSWERED)
            self._outgoing(node, self.said[node].far_end, self.said[node].connection)
        for node in filter(self._inside, nodes):
            if self.said[node].kind == PRODUCER:
                self._outgoing(node, self.said[node].queue, self.messaging)
            if self.said[node].kind == INTERNAL:
                self._outgoing(node, self.said[node].far_end, self.said[node].connection)
        for node in nodes:
            if self.said[node].kind == CONSUMER:
                self._receive(node, calls.get(node))

    def _inside(self, node: Node) -> bool:
        return self.low <= node.span.start < self.high

    def _period(self, node: Node) -> int:
        return node.span.start // self.width if self.width else 0

    def _number(self, group: Group, code: int) -> None:
        self.cells[group, native.NUMBER, code] += 1

    def _add(self, group: Group, measure: int, code: int, *spans: Node | None) -> None:
        """Once, and as often more as the spans stand for."""
        self.cells[group, measure, code] += 1
        extra = max(self.said[span].extra for span in spans if span is not None)
        if extra:
            self.cells[(group[0] + native.EXTRA, *group[1:]), measure, code] += extra

    def _time(self, group: Group, measure: int, time: int, *spans: Node | None) -> None:
        self._add(group, measure, bucket_code(time), *spans)

    def _note(self, group: Group, time: int, failed: bool, trace: int, *spans: Node | None) -> None:
        if failed:
            self._add(group, native.ERRORS, 0, *spans)
        for kind in (False, True)[: 1 + failed]:
            self.best[group, kind] = max(self.best.get((group, kind), (-1, -1)), (time, trace))

    def _visit(self, node: Node) -> None:
        said, period = self.said[node], self._period(node)
        self._number((native.SPANS, 0, period, said.service, 0), 0)
        if node.origin == "orphan":
            self._number((native.TOTAL, 0, period, 0, 0), native.ORPHANS)
        topmost = node.parent is None or self.said[node.parent].service != said.service
        entry = said.kind in (SERVER, CONSUMER) or (said.kind == UNSET and topmost)
        if entry or topmost:
            group = (native.ENTRY if entry else native.TOPMOST, 0, period, said.service, said.operation)
            self._time(group, native.SERVER_TIME, node.span.duration, node)
            self._note(group, node.span.duration, bool(said.failed), node.span.trace, node)
        if node.origin == "root" and said.kind in (SERVER, UNSET):
            group = (native.EDGE, said.connection, period, self.entry, said.service)
            self._time(group, native.ALONE_TIME, node.span.duration, node)
            self._note(group, node.span.duration, bool(said.failed), node.span.trace, node)

    def _edge(
        self, group: Group, client: int | None, server: int, failed: int, trace: int, *spans: Node | None
    ) -> None:
        if client is None:
            self._time(group, native.ALONE_TIME, server, *spans)
        else:
            self._time(group, native.CLIENT_TIME, client, *spans)
            self._time(group, native.SERVER_TIME, server, *spans)
            self._time(group, native.NETWORK_TIME, client - server, *spans)
        self._note(group, server if client is None else client, bool(failed), trace, *spans)

    def _call(self, caller: Node, node: Node) -> None:
        asks, serves = self.said[caller], self.said[node]
        waits = asks.kind == UNSET and caller.children == [node]
        client, connection, failed = None, self.unseen, serves.failed
        if asks.kind in (CLIENT, PRODUCER) or waits:
            client, connection = caller.span.duration, asks.connection
            failed |= asks.failed
        if connection == self.unseen:
            connection = serves.connection
        group = (native.EDGE, connection, self._period(caller), asks.service, serves.service)
        self._edge(group, client, node.span.duration, failed, node.span.trace, caller, node)

    def _outgoing(self, node: Node, target: int, connection: int) -> None:
        if target >= 0:
            group = (native.EDGE, connection, self._period(node), self.said[node].service, target)
            self._time(group, native.CLIENT_TIME, node.span.duration, node)
            self._note(group, node.span.duration, bool(self.said[node].failed), node.span.trace, node)

    def _receive(self, node: Node, call: edges.Call | None) -> None:
        parent = call[0] if call is not None and call[1] == "delivered" else None
        senders = [] if parent is None else [parent]
        senders += [
            sender
            for sender in self.links.get(node, [])
            if parent is None or (sender.span.trace, sender.span.id) != (parent.span.trace, parent.span.id)
        ]
        for sender in senders:
            self._deliver(node, sender, parent if sender is parent else None)
        if not senders and call is None:
            self._deliver(node, None, None)

    def _deliver(self, node: Node, sender: Node | None, parent: Node | None) -> None:
        said, taken, trace = self.said[node], node.span.duration, node.span.trace
        sent_to = -1 if sender is None else self.said[sender].queue
        queue = sent_to if sent_to >= 0 else said.queue
        if queue >= 0:
            if not self._inside(node):
                return
            group = (native.EDGE, self.messaging, self._period(node), queue, said.service)
            self._edge(group, None, taken, said.failed, trace, node, sender)
            if sender is not None:
                self._time(group, native.DELAY, node.span.start - sender.span.end, node, sender)
            if sent_to < 0:
                unsent = (native.UNSENT, 0, self._period(node), queue, 0)
                self._time(unsent, native.SERVER_TIME, taken, node, sender)
                self._note(unsent, taken, bool(said.failed), trace, node, sender)
            return
        owner = node if parent is None else parent
        if sender is not None and self._inside(owner):
            sent = self.said[sender]
            group = (native.EDGE, self.messaging, self._period(owner), sent.service, said.service)
            failed = said.failed | sent.failed
            self._edge(group, sender.span.duration, taken, failed, trace, node, sender)
            self._time(group, native.DELAY, node.span.start - sender.span.end, node, sender)
