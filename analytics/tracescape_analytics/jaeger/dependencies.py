"""Who calls whom, as Jaeger's dependency graph wants it, from the topology of a window."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tracescape_storage.reader import Reader


def dependencies(reader: Reader, since_ns: int, until_ns: int, service: str = "") -> list[dict[str, Any]]:
    """A row a pair of caller and callee, with the number of calls; of ``service`` where it is given.

    Databases, queues and external systems are there as the topology names them; callers from outside are not.
    """
    # Polars and the kernels: a collector that nobody asks for this needs neither.
    from tracescape_analytics.topology import topology

    found = topology(reader, since_ns=since_ns, until_ns=until_ns)
    outside = set(found.nodes.filter(found.nodes["kind"] == "entry")["service"])
    calls: Counter[tuple[str, str]] = Counter()
    for source, target, count in found.edges.select("source", "target", "calls").iter_rows():
        if count and source not in outside and (not service or service in {source, target}):
            calls[source, target] += count
    return [
        {"parent": parent, "child": child, "callCount": count}
        for (parent, child), count in sorted(calls.items())
    ]
