"""Who should be there and is not even in a topology: it becomes a body that is absent.

A topology's nodes are those that have calls, or had enough of them in the time that it compares with. Whoever
takes messages by the hundred, a batch at a time, has few calls and many messages: then its node is not there
and its edge is, with the state absent. A diagnosis looks at a longer time, and an `absence` frame too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import polars as pl

#: What an edge of such a connection ends in, where nobody says it.
_KINDS: Final = {"db": "database"}
_OTHER: Final = "service"


class Gone(NamedTuple):
    """Somebody who is not there: ``caller`` should call it and is there, or it should call ``callee``."""

    service: str
    caller: str | None = None
    callee: str | None = None
    connection: str = "internal"


def with_phantoms(
    nodes: pl.DataFrame,
    edges: pl.DataFrame,
    causes: pl.DataFrame | None = None,
    absent: pl.DataFrame | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """``nodes`` and ``edges`` of a topology with a row for each that is missing, with state ``absent``.

    Missing is whom an absent edge joins to somebody who is there, whom a cause names, and every service that
    ``absent`` (columns of ``ABSENCE_SCHEMA``) lists. Who was only called by somebody that is missing itself
    is left out: nobody can tell. Frames are returned as they are where nobody is missing.
    """
    ways = edges.filter(pl.col("state") == "absent")
    if nodes.is_empty() or (ways.is_empty() and causes is None and absent is None):
        return nodes, edges
    there = set(nodes.filter(pl.col("state") != "absent")["service"].to_list())
    listed = set(nodes["service"].to_list())
    found: dict[str, Gone] = {}
    for gone in (*_of_edges(ways, there), *_of_causes(causes, there), *_of_absence(absent, there)):
        if gone.service not in listed:
            found.setdefault(gone.service, gone)
    if not found:
        return nodes, edges
    bodies = [
        {
            "service": gone.service,
            "kind": _KINDS.get(gone.connection, _OTHER),
            "calls": 0,
            "errors": 0,
            "state": "absent",
        }
        for gone in found.values()
    ]
    known = set(edges.select("source", "target").iter_rows())
    missed = [
        {
            "source": gone.caller or gone.service,
            "target": gone.service if gone.caller else gone.callee,
            "connection": gone.connection,
            "calls": 0,
            "errors": 0,
            "state": "absent",
        }
        for gone in found.values()
        if gone.caller or gone.callee
    ]
    missed = [way for way in missed if (way["source"], way["target"]) not in known]
    return _longer(nodes, bodies), _longer(edges, missed)


def _of_edges(absent: pl.DataFrame, there: set[str]) -> Iterable[Gone]:
    for source, target, connection in absent.select("source", "target", "connection").iter_rows():
        if source in there:
            yield Gone(target, caller=source, connection=connection or "")
        elif target in there:
            yield Gone(source, callee=target)


def _of_causes(causes: pl.DataFrame | None, there: set[str]) -> Iterable[Gone]:
    if causes is None:
        return
    for row in causes.iter_rows(named=True):
        if row.get("named", True) and str(row["kind"]) in ("messages not taken", "no longer called"):
            caller = row.get("source")
            yield Gone(str(row["service"]), caller=caller if caller in there else None)


def _of_absence(absent: pl.DataFrame | None, there: set[str]) -> Iterable[Gone]:
    if absent is None:
        return
    called = absent.filter(pl.col("what") == "edge").select("service", "source").rows()
    for (service,) in absent.filter(pl.col("what") == "service").select("service").iter_rows():
        callers = [source for target, source in called if target == service]
        present = [caller for caller in callers if caller in there]
        if present or not callers:
            yield Gone(service, caller=present[0] if present else None)


def _longer(frame: pl.DataFrame, rows: Sequence[Mapping[str, object]]) -> pl.DataFrame:
    if not rows:
        return frame
    wanted = {name: kind for name, kind in frame.schema.items() if name in rows[0]}
    return pl.concat([frame, pl.DataFrame(rows, schema=wanted)], how="diagonal")
