"""Searching, one span and one value at a time: defines `tracescape_storage.search` and `.conditions`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tracescape_storage.filters import AllOf, AnyOf, Comparison, Filter, Not

KINDS = ("unset", "internal", "server", "client", "producer", "consumer")
STATUSES = ("unset", "ok", "error")


@dataclass
class Scope:
    name: str = ""
    version: str | None = None
    attributes: dict[str, object] = field(default_factory=dict)


@dataclass
class Event:
    name: str
    attributes: dict[str, object] = field(default_factory=dict)


@dataclass
class SearchedSpan:
    trace: bytes
    number: int
    parent: int = 0
    start: int = 0
    duration: int = 0
    service: str = "app"
    operation: str = "work"
    kind: int = 0
    status: int = 0
    status_message: str | None = None
    attributes: dict[str, object] = field(default_factory=dict)
    resource: dict[str, object] = field(default_factory=dict)
    scope: Scope = field(default_factory=Scope)
    events: list[Event] = field(default_factory=list)


def values(span: SearchedSpan, owner: str, key: str) -> list[object]:
    """All values that the field has."""
    if owner == "event":
        return [event.attributes[key] for event in span.events if key in event.attributes]
    if owner:
        owners = {
            "span": [span.attributes],
            "resource": [span.resource],
            "scope": [span.scope.attributes],
            "any": [span.attributes, span.resource],
        }
        return [attributes[key] for attributes in owners[owner] if key in attributes]
    found: dict[str, list[object]] = {
        "service": [span.service],
        "operation": [span.operation],
        "kind": [KINDS[span.kind]],
        "status": [STATUSES[span.status]],
        "status_message": [span.status_message],
        "duration": [span.duration],
        "duration_ns": [span.duration],
        "start_ns": [span.start],
        "end_ns": [span.start + span.duration],
        "trace_id": [span.trace.hex()],
        "span_id": [hex_id(span.number)],
        "parent_span_id": [hex_id(span.parent) if span.parent else None],
        "scope.name": [span.scope.name],
        "scope.version": [span.scope.version],
        "event.name": [event.name for event in span.events],
    }
    return [value for value in found[key] if value is not None]


def hex_id(number: int) -> str:
    return number.to_bytes(8, "big", signed=True).hex()


def kind_of(value: object) -> str:
    """Which values are of one type: numbers are, whether with a point or without."""
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else type(value).__name__


def true_of(value: object, operator: str, wanted: object) -> bool:
    if operator == "exists":
        return True
    if kind_of(value) != kind_of(wanted):
        return operator == "!="
    if operator == "contains":
        return wanted in value  # type: ignore[operator]
    if operator == "matches":
        return re.search(wanted, value) is not None  # type: ignore[call-overload, no-any-return]
    return {
        "=": lambda: value == wanted,
        "!=": lambda: value != wanted,
        "<": lambda: value < wanted,  # type: ignore[operator]
        "<=": lambda: value <= wanted,  # type: ignore[operator]
        ">": lambda: value > wanted,  # type: ignore[operator]
        ">=": lambda: value >= wanted,  # type: ignore[operator]
    }[operator]()


def holds(condition: Filter, span: SearchedSpan) -> bool:
    if isinstance(condition, AllOf):
        return all(holds(part, span) for part in condition.parts)
    if isinstance(condition, AnyOf):
        return any(holds(part, span) for part in condition.parts)
    if isinstance(condition, Not):
        return not holds(condition.part, span)
    assert isinstance(condition, Comparison)
    found = values(span, condition.owner, condition.key)
    return any(true_of(value, condition.operator, condition.value) for value in found)


def spans_in_order(
    spans: Sequence[SearchedSpan], condition: Filter, order: str, since: int | None, until: int | None
) -> list[SearchedSpan]:
    """Every match; of those alike in everything, those that arrived last come first."""
    inside = [
        (place, span)
        for place, span in enumerate(spans)
        if (since is None or span.start >= since) and (until is None or span.start < until)
    ]
    events: dict[tuple[bytes, int], list[Event]] = {}
    for span in spans:  # an event belongs to ids, whoever else bears them
        events.setdefault((span.trace, span.number), []).extend(span.events)
    matching = [
        (place, span)
        for place, span in inside
        if holds(condition, replace(span, events=events[span.trace, span.number]))
    ]
    matching.sort(key=lambda row: (key_of(row[1], order), row[1].trace, row[1].number, row[0]), reverse=True)
    return [span for _, span in matching]


def traces_in_order(
    spans: Sequence[SearchedSpan], condition: Filter, order: str, since: int | None, until: int | None
) -> list[bytes]:
    best: dict[bytes, int] = {}
    for span in spans_in_order(spans, condition, order, since, until):
        best[span.trace] = max(best.get(span.trace, -1), key_of(span, order))
    return sorted(best, key=lambda trace: (best[trace], trace), reverse=True)


def key_of(span: SearchedSpan, order: str) -> int:
    return span.start if order == "newest" else span.duration
