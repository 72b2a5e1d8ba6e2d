"""The questions of the page: parameters in, what the public store answers out. No logic beyond that."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tracescape.page.asked import Asked
from tracescape.page.documents import Document, attributes, attributes_of, moment, rows
from tracescape.page.riding import ridden
from tracescape.panels import StorePanels
from tracescape_analytics.asking import filter_of
from tracescape_analytics.compare.selection import Cell
from tracescape_analytics.jaeger import finding
from tracescape_render.charts.folding import chosen_rows
from tracescape_render.charts.service_colours import ServiceColours
from tracescape_render.charts.topology import flat_map
from tracescape_render.phantoms import with_phantoms
from tracescape_render.verdict import leading
from tracescape_render.web.level import Sight
from tracescape_storage.attribute_keys import known_keys
from tracescape_storage.filters import Filter
from tracescape_storage.search import Order

if TYPE_CHECKING:
    from tracescape.answers import Diagnosis, Trace
    from tracescape.page.present import Present
    from tracescape.store import Store, Topology

#: Spans of one trace that a page shows, and events and logs; what is left out is said.
MOST_SPANS: Final = 2_000
MOST_NOTES: Final = 1_000
MOST_FRAMES: Final = 1_500
MOST_CELLS: Final = 20_000
MOST_VALUES: Final = 400
MOST_NAMES: Final = 5_000
MOST_ROWS: Final = 200

_WHOLE_NS: Final = re.compile("[0-9]{1,18}|[0-8][0-9]{18}")  # fits into 64 bits

FILTERS: Final = ("where", "service", "operation", "kind", "status", "min_duration", "max_duration")
WINDOW: Final = ("since", "until")

#: A document is told as JSON; bytes are what they are.
Answer: TypeAlias = Callable[["Store", Asked, "Present"], Document | bytes]


class Question(NamedTuple):
    """How a question is answered, and the parameters that it takes."""

    answer: Answer
    parameters: tuple[str, ...]


def about(store: Store, _asked: Asked, _present: Present) -> Document:
    """How much is stored, and from when to when."""
    extent = store.extent()
    there = extent.spans > 0
    return {
        "spans": extent.spans,
        "first_ns": moment(extent.first_start_ns) if there else None,
        "last_ns": moment(extent.last_start_ns) if there else None,
    }


def topology(store: Store, asked: Asked, present: Present) -> Document:
    """Nodes and edges with rates and states, the missing among them, and where each stands on a flat map."""
    found = _topology(store, asked, present)
    nodes, edges = found.nodes, found.edges
    if asked.text("until") is None and found.spans:
        nodes, edges = with_phantoms(nodes, edges, present.known_causes())
    return {
        **_window(found),
        "spans": found.spans,
        "traces": found.traces,
        "nodes": rows(nodes),
        "edges": rows(edges),
        "map": flat_map(nodes, edges),
    }


def world(store: Store, asked: Asked, present: Present) -> bytes:
    """The same as a scene in three dimensions, as `tracescape_render.web.tables` writes it.

    With ``known`` what changed since that version; with ``still`` too, that version's moment is told once
    more, as somebody sees it who came nearer to it. In a window that ends nobody moves, and causes are looked
    for if ``causes`` says so. ``renderer`` and what follows it say how much of a large world is drawn.
    """
    known, sight = asked.text("known"), _sight(asked)
    nearer = present.worlds.again(known, sight) if known is not None and asked.flag("still") else None
    if nearer is not None:
        return nearer
    found = _topology(store, asked, present)
    since, until = store.window(asked.text("since"), asked.text("until"))
    if until is None:
        told = present.known_causes()
    else:
        broken = _broken(store, since, until) if asked.flag("causes") and found.spans else None
        told = None if broken is None else leading(broken)
    return present.worlds.told(found, told, known, past=until is not None, sight=sight)


def _sight(asked: Asked) -> Sight | None:
    """What is drawn for somebody; whoever names no renderer gets everything."""
    renderer = asked.text("renderer")
    if renderer is None:
        return None
    return Sight(renderer, asked.whole("less", 0), asked.texts("open"), asked.texts("keep"))


def timeline(store: Store, asked: Asked, _present: Present) -> Document:
    """Rates, errors and latency by step."""
    service = asked.text("service")
    found = store.timeline(asked.text("since"), asked.text("until"), service=service, most=240)
    return {"steps": rows(found.filter(found["service"].eq_missing(service)).drop("service"))}


def marks(store: Store, asked: Asked, _present: Present) -> Document:
    """Deployments, absences and gaps; with ``changes`` also when traces were unlike those around."""
    found = store.marks(asked.text("since"), asked.text("until"), changes=asked.flag("changes"))
    return {"marks": rows(found.head(MOST_ROWS))}


def causes(store: Store, asked: Asked, present: Present) -> Document:
    """What broke: in a window that ends, there; else what is wrong now."""
    since, until = store.window(asked.text("since"), asked.text("until"))
    found = present.causes() if until is None else _broken(store, since, until)
    if found is None:
        return {"window": None, "causes": [], "paths": [], "explained": []}
    return _diagnosed(found)


def _broken(store: Store, since: int | None, until: int) -> Diagnosis | None:
    """What broke in a window; where nothing is stored before it, what stands out in it.

    None where it holds too little for either.
    """
    all_of_it = since is None or since <= store.extent().first_start_ns
    try:
        return store.diagnose(None if all_of_it else since, until)
    except ValueError:
        return None


def _diagnosed(found: Diagnosis) -> Document:
    told = leading(found)
    explained = found.suspects.filter(~pl.col("named") & pl.col("explained_by").is_not_null())
    return {
        "window": [moment(each) for each in found.window],
        "baseline": [[moment(each) for each in part] for part in found.baseline],
        "stands_out": found.found,
        "traces": found.traces,
        "base_traces": found.base_traces,
        "causes": rows(told),
        "paths": rows(found.paths),
        "explained": rows(explained.select("service", "kind", "explained_by").head(3)),
    }


def search(store: Store, asked: Asked, _present: Present) -> Document:
    """A page of traces, or of spans."""
    spans = asked.flag("spans")
    found = store.search(
        _filter(asked),
        since=asked.text("since"),
        until=asked.text("until"),
        order=cast("Order", asked.text("order") or "newest"),
        limit=min(asked.whole("limit", 20), MOST_ROWS),
        after=asked.text("after"),
        spans=spans,
    )
    listed = rows(found.rows)
    if spans:
        for row in listed:
            row["attributes"] = attributes_of(row["attributes"])
    return {"rows": listed, "after": found.after, "hint": found.hint}


def latency(store: Store, asked: Asked, _present: Present) -> Document:
    """The cells of the heat map of what a search finds."""
    cells = store.latency(_filter(asked), since=asked.text("since"), until=asked.text("until"))
    return {"cells": rows(cells.head(MOST_CELLS)), "cut": len(cells) > MOST_CELLS}


def compare(store: Store, asked: Asked, _present: Present) -> Document:
    """What is different about some spans: of a search, of a cloud on its heat map, or the slowest of them."""
    cell = asked.text("cell")
    chosen = store.select(
        _filter(asked),
        since=asked.text("since"),
        until=asked.text("until"),
        slowest=asked.share("slowest"),
        cells=None if cell is None else _cell(cell),
    )
    found = store.compare(chosen, asked.text("against"))
    telling = found.values.filter(pl.col("significant")) if len(found.values) else found.values
    return {
        "sentence": str(found),
        "selected": found.selected,
        "compared": found.compared,
        "attributes": rows(found.attributes.head(MOST_VALUES)),
        "values": rows(telling.head(MOST_VALUES)),
        "numbers": rows(found.numbers.head(MOST_VALUES)),
    }


def _cell(text: str) -> pl.DataFrame:
    """A rectangle of a heat map: ``start,end,low,high`` in ns."""
    parts = text.split(",")
    if len(parts) != len(Cell._fields) or not all(
        re.fullmatch("[0-9]{1,18}|[0-8][0-9]{18}", part) for part in parts
    ):
        raise ValueError(f"cell is start,end,low,high in nanoseconds, not {text!r:.80}")
    return pl.DataFrame([tuple(map(int, parts))], schema=dict.fromkeys(Cell._fields, pl.Int64), orient="row")


def trace(store: Store, asked: Asked, _present: Present) -> Document:
    """One trace: spans with their places, the critical path, events and logs."""
    found = store.trace(asked.needed("id"))
    wall = found.wall()
    lines = found.waterfall()
    root = found.spans.select(pl.col("span_id").eq(found.root.span_id).arg_max()).item()
    kept = np.union1d(chosen_rows(lines, MOST_SPANS - 1), [root])
    number = {int(row): place for place, row in enumerate(kept)}
    begin = wall.start_ns
    told = wall.notes.head(MOST_NOTES)
    return {
        "trace_id": found.trace_id,
        "start_ns": moment(begin),
        "length_ns": wall.end_ns - begin,
        "ended_ns": max(found.spans["end_ns"].to_list()) - min(found.spans["start_ns"].to_list()),
        "spans": _spans(found, wall.spans, kept),
        "all_spans": len(lines),
        "voids": int(wall.spans["void"].sum()),
        "lit": [
            {
                "span": number.get(row["span"]),
                "at_ns": row["start_ns"] - begin,
                "for_ns": row["end_ns"] - row["start_ns"],
            }
            for row in wall.lit.iter_rows(named=True)
        ],
        "notes": [
            {
                **{name: row[name] for name in ("kind", "text", "severity")},
                "at_ns": row["time_ns"] - begin,
                "span": number.get(row["span"]),
                "attributes": attributes_of(row["attributes"]),
            }
            for row in told.iter_rows(named=True)
        ],
        "all_notes": len(wall.notes),
        "root": number[root],
        "colours": _colours(found.spans, "critical_ns"),
    }


def _spans(found: Trace, standing: pl.DataFrame, kept: NDArray[np.int64]) -> list[Document]:
    facts = found.spans.select(
        "span_id",
        "parent_span_id",
        "service",
        "operation",
        "kind",
        "status",
        "status_message",
        "duration_ns",
        "self_ns",
        "critical_ns",
        "depth",
    )
    places = standing.head(len(facts)).select("start_ns", "end_ns", "lane")
    begin = standing["start_ns"].min()
    return rows(
        pl.concat([facts, places], how="horizontal")
        .with_columns(at_ns=pl.col("start_ns") - begin, for_ns=pl.col("end_ns") - pl.col("start_ns"))
        .drop("start_ns", "end_ns")[kept]
    )


def replay(store: Store, asked: Asked, _present: Present) -> Document:
    """A trace's way through the world, moment by moment."""
    return ridden(store.trace(asked.needed("id")).replay())


def span(store: Store, asked: Asked, _present: Present) -> Document:
    """One span with everything."""
    found = store.trace(asked.needed("id")).span(asked.needed("span"))
    return {
        **{name: getattr(found, name) for name in ("span_id", "parent_span_id", "service", "operation")},
        **{
            name: getattr(found, name)
            for name in ("kind", "status", "status_message", "duration_ns", "scope")
        },
        "start_ns": moment(found.start_ns),
        "attributes": attributes(found.attributes),
        "resource": attributes(found.resource),
        "events": [
            {
                "name": each["name"],
                "time_ns": moment(each["time_ns"]),
                "attributes": attributes(each["attributes"]),
            }
            for each in found.events
        ],
        "links": [
            {
                "trace_id": each["linked_trace_id"],
                "span_id": each["linked_span_id"],
                "attributes": attributes(each["attributes"]),
            }
            for each in found.links
        ],
        "logs": [
            {
                "body": each["body"],
                "severity": each["severity"],
                "time_ns": moment(each["time_ns"]),
                "attributes": attributes(each["attributes"]),
            }
            for each in found.logs
        ],
    }


def service(store: Store, asked: Asked, present: Present) -> Document:
    """One service, database, queue or external system: figures, why, operations, who calls whom, traces."""
    name = asked.needed("name")
    found = _topology(store, asked, present)
    panels = StorePanels(store)
    panels.shows(found)
    told = panels.details(name)
    near = (pl.col("source") == name) | (pl.col("target") == name)
    return {
        **_window(found),
        "node": next(iter(rows(found.nodes.filter(pl.col("service") == name))), None),
        "before": None if told.before is None else told.before._asdict(),
        "reason": told.reason,
        "steps": rows(told.steps),
        "operations": rows(told.operations.head(MOST_ROWS)),
        "versions": list(told.versions),
        "traces": [each._asdict() for each in told.traces],
        "edges": rows(found.edges.filter(near).head(MOST_ROWS)),
    }


def connection(store: Store, asked: Asked, present: Present) -> Document:
    """The calls of one to another, a row for each way that they go."""
    found = _topology(store, asked, present)
    between = (pl.col("source") == asked.needed("from")) & (pl.col("target") == asked.needed("to"))
    return {**_window(found), "edges": rows(found.edges.filter(between))}


def flame(store: Store, asked: Asked, _present: Present) -> Document:
    """What requests waited for, by call path: frames in depth-first order."""
    frames = store.critical_path(asked.text("service"), asked.text("since"), asked.text("until"), by="path")
    most = frames.sort("total_ns", "depth", descending=[True, False]).head(MOST_FRAMES)
    kept = most.select(
        "frame",
        "parent",
        "depth",
        "service",
        "operation",
        "critical_ns",
        "total_ns",
        "share",
        "traces",
        "exemplar",
    )
    return {
        "frames": rows(kept.sort("frame")),
        "all": len(frames),
        "colours": _colours(frames, "total_ns"),
    }


def _colours(of: pl.DataFrame, weight: str) -> dict[str, str]:
    """The class of each service's colour, as in charts: the most important have one of their own."""
    weights = of.group_by("service").agg(pl.col(weight).sum())
    ordered = weights.sort([weight, "service"], descending=[True, False])["service"].to_list()
    colours = ServiceColours(ordered)
    return {name: colours.style(name) for name in ordered}


def names(store: Store, asked: Asked, _present: Present) -> Document:
    """What can be searched for: services, the operations of one, and attribute keys."""
    of = asked.text("service")
    if of is not None:
        listed = sorted({each.name for each in finding.operations(store.reader, of)})
        return {"operations": listed[:MOST_NAMES]}
    keys = sorted(known_keys(store.reader, "any", store.reader.attribute_columns()))
    return {"services": finding.services(store.reader)[:MOST_NAMES], "keys": keys[:MOST_NAMES]}


def _filter(asked: Asked) -> Filter:
    return filter_of(
        asked.text("where"),
        service=asked.text("service"),
        operation=asked.text("operation"),
        kind=asked.text("kind"),
        status=asked.text("status"),
        min_duration=asked.text("min_duration"),
        max_duration=asked.text("max_duration"),
    )


def _topology(store: Store, asked: Asked, present: Present) -> Topology:
    since, until = asked.text("since"), asked.text("until")
    begin = None if until is not None else store.window(since, None).since_ns
    return store.topology(since, until) if begin is None else present.topology(begin)


def _window(found: Topology) -> Document:
    before = found.baseline
    return {
        "since_ns": moment(found.since_ns),
        "until_ns": moment(found.until_ns),
        "seconds": (found.until_ns - found.since_ns) / 1e9,
        "compared": None if before is None else [moment(each) for each in before],
    }


QUESTIONS: Final = {
    "about": Question(about, ()),
    "topology": Question(topology, WINDOW),
    "world": Question(world, (*WINDOW, "causes", "known", "still", "renderer", "less", "open", "keep")),
    "timeline": Question(timeline, (*WINDOW, "service")),
    "marks": Question(marks, (*WINDOW, "changes")),
    "causes": Question(causes, WINDOW),
    "search": Question(search, (*FILTERS, *WINDOW, "order", "limit", "after", "spans")),
    "latency": Question(latency, (*FILTERS, *WINDOW)),
    "compare": Question(compare, (*FILTERS, *WINDOW, "slowest", "cell", "against")),
    "trace": Question(trace, ("id",)),
    "replay": Question(replay, ("id",)),
    "span": Question(span, ("id", "span")),
    "service": Question(service, ("name", *WINDOW)),
    "connection": Question(connection, ("from", "to", *WINDOW)),
    "flame": Question(flame, ("service", *WINDOW)),
    "names": Question(names, ("service",)),
}
