"""What hangs on the spans of a trace: attributes, events, links, log records, resources, scopes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import polars as pl

from tracescape_analytics.words import counted, readable_duration
from tracescape_storage import one_trace
from tracescape_storage.attributes import AttributeValue, decode_attributes
from tracescape_storage.reader import Reader

_SHOWN: Final = 100


@dataclass(frozen=True)
class SpanDetail:
    """One span with everything, attribute values with their types.

    ``events``, ``links`` and ``logs`` are rows of the trace's frames of those names, their ``attributes``
    decoded. ``resource`` are the attributes of what sent the span; ``scope`` is the instrumentation's name.
    """

    span_id: str
    parent_span_id: str
    service: str
    operation: str
    kind: str
    status: str
    status_message: str | None
    start_ns: int
    duration_ns: int
    attributes: dict[str, AttributeValue]
    resource: dict[str, AttributeValue]
    scope: str
    events: list[dict[str, Any]]
    links: list[dict[str, Any]]
    logs: list[dict[str, Any]]

    def __repr__(self) -> str:
        """The span as a person reads it; long values are cut, and no character steers a terminal."""
        took = readable_duration(self.duration_ns)
        head = f"Span {self.span_id}: {self.service} {self.operation}, {self.kind}, {took}"
        status = f"{self.status}: {self.status_message}" if self.status_message else self.status
        lines = [_shown(head), f"  status      {_shown(status)}"]
        lines += _section("attributes", self.attributes)
        for event in self.events:
            lines += _section(f"event       {_shown(event['name'])}", event["attributes"])
        lines += _section("resource", {**self.resource, "scope": self.scope})
        lines += [f"  {counted(len(self.links), 'link')}, see .links"] if self.links else []
        lines += [f"  {counted(len(self.logs), 'log record')}, see .logs"] if self.logs else []
        return "\n".join(lines)


class TraceDetails:
    """Frames that are read when they are asked for, and once."""

    def __init__(self, reader: Reader, trace_id: bytes) -> None:
        self._reader = reader
        self._trace_id = trace_id

    @cached_property
    def events(self) -> pl.DataFrame:
        """See `one_trace.trace_events_sql`."""
        return self._frame(one_trace.trace_events_sql(self._trace_id))

    @cached_property
    def links(self) -> pl.DataFrame:
        """See `one_trace.trace_links_sql`."""
        return self._frame(one_trace.trace_links_sql(self._trace_id))

    @cached_property
    def logs(self) -> pl.DataFrame:
        """See `one_trace.trace_logs_sql`."""
        return self._frame(one_trace.trace_logs_sql(self._trace_id))

    @cached_property
    def resources(self) -> pl.DataFrame:
        """See `one_trace.trace_resources_sql`."""
        return self._frame(one_trace.trace_resources_sql(self._reader, self._trace_id))

    @cached_property
    def scopes(self) -> pl.DataFrame:
        """See `one_trace.trace_scopes_sql`."""
        return self._frame(one_trace.trace_scopes_sql(self._reader, self._trace_id))

    def span(self, row: dict[str, Any]) -> SpanDetail:
        """The detail of the span whose row of ``Trace.spans`` this is."""
        resource = self.resources.filter(pl.col("resource_id") == row["resource_id"])["attributes"]
        scope = self.scopes.filter(pl.col("scope_id") == row["scope_id"])["name"]
        same = ("span_id", "parent_span_id", "service", "operation", "kind", "status", "status_message")
        return SpanDetail(
            **{name: row[name] for name in (*same, "start_ns", "duration_ns")},
            attributes=decode_attributes(row["attributes"]),
            resource=decode_attributes(resource[0]) if len(resource) else {},
            scope=scope[0] if len(scope) else "",
            events=_decoded(self.events, row["span_id"]),
            links=_decoded(self.links, row["span_id"]),
            logs=_decoded(self.logs, row["span_id"]),
        )

    def _frame(self, query: str) -> pl.DataFrame:
        return pl.DataFrame(self._reader.sql(query))


def _decoded(frame: pl.DataFrame, span_id: str) -> list[dict[str, Any]]:
    rows = frame.filter(pl.col("span_id") == span_id).drop("span_id")
    return [row | {"attributes": decode_attributes(row["attributes"])} for row in rows.iter_rows(named=True)]


def _section(title: str, attributes: dict[str, Any]) -> list[str]:
    width = min(max((len(key) for key in attributes), default=0), 40)
    return [
        f"  {title}",
        *(
            f"    {_shown(key):<{width}} = {_shown(json.dumps(value, ensure_ascii=False, default=str))}"
            for key, value in attributes.items()
        ),
    ]


def _shown(text: str) -> str:
    cut = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in cut)
