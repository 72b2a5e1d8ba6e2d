"""What Jaeger's clients look for, as SQL: services, operations, and traces by the tags of their spans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from tracescape_analytics.jaeger.asked import Search
from tracescape_storage.filters import KINDS
from tracescape_storage.reader import Reader
from tracescape_storage.select import quote

_EPOCH_NS: Final = range(-(2**63), 2**63)


class Operation(NamedTuple):
    """An operation of a service; ``kind`` is empty where spans do not say."""

    name: str
    kind: str


def services(reader: Reader) -> list[str]:
    """The names of all services, sorted."""
    return list(reader.sql("SELECT DISTINCT service FROM spans ORDER BY service")["service"].to_pylist())


def operations(reader: Reader, service: str, kind: str = "") -> list[Operation]:
    """The operations of a service with the kinds of their spans; of one kind where that is given."""
    rows = reader.sql(
        "SELECT DISTINCT operation, kind FROM spans"
        f" WHERE service = {quote(service)} ORDER BY operation, kind"
    ).to_pylist()
    found = [Operation(row["operation"], _kind(row["kind"])) for row in rows]
    return [each for each in found if not kind or each.kind == kind]


def trace_ids(reader: Reader, search: Search) -> list[bytes]:
    """The traces with a span that the search describes, the newest first."""
    conditions = [
        f"start_ns >= {_bounded(search.since_ns)}",
        f"start_ns <= {_bounded(search.until_ns)}",
        *_equal("service", search.service),
        *_equal("operation", search.operation),
        *tag_conditions(search.tags, reader.attribute_columns()),
    ]
    if search.shortest_ns:
        conditions.append(f"duration_ns >= {_bounded(search.shortest_ns)}")
    if search.longest_ns:
        conditions.append(f"duration_ns <= {_bounded(search.longest_ns)}")
    sql = (
        f"SELECT trace_id FROM spans AS s WHERE {' AND '.join(conditions)}"
        f" GROUP BY trace_id ORDER BY max(start_ns) DESC, trace_id LIMIT {search.limit}"
    )
    return list(reader.sql(sql)["trace_id"].to_pylist())


def tag_conditions(tags: Mapping[str, str], columns: Mapping[str, str]) -> list[str]:
    """SQL for spans ``s`` that carry every tag, as Jaeger looks for them.

    A tag is an attribute of the span, its resource, its scope, one of its events or links, or what Jaeger
    makes a tag of (``error``, ``span.kind``, …); values are compared as text. ``columns`` are the attributes
    that have a column of their own, by key.
    """
    return [_tag(key, value, columns) for key, value in tags.items()]


def _tag(key: str, value: str, columns: Mapping[str, str]) -> str:
    of_span = _attribute(key, value, "s.attributes")
    if key in columns:
        name = '"' + key.replace('"', '""') + '"'
        texts = ", ".join(quote(each) for each in (value, _number(value)) if each is not None)
        of_span = f"(s.{name}::VARCHAR IN ({texts}) OR {of_span})"
    there = _attribute(key, value, "attributes")
    named_event = f" OR name = {quote(value)}" if key == "event" else ""
    ways = [
        of_span,
        *_made_of(key, value),
        f"s.resource_id IN (SELECT resource_id FROM resources WHERE {there})",
        f"s.scope_id IN (SELECT scope_id FROM scopes WHERE {there})",
        f"(s.trace_id, s.span_id) IN (SELECT (trace_id, span_id) FROM events WHERE {there}{named_event})",
        f"(s.trace_id, s.span_id) IN (SELECT (trace_id, span_id) FROM links WHERE {there})",
    ]
    return "(" + " OR ".join(ways) + ")"


def _attribute(key: str, value: str, column: str) -> str:
    """Whether the attributes in ``column`` (JSON text) have this value at this key."""
    stored = "$" + key if key.startswith("$") else key
    pointer = quote("/" + stored.replace("~", "~0").replace("/", "~1"))
    found = f"({column} ->> {pointer})"
    same = f"{found} = {quote(value)}"
    number = _number(value)
    # A double that is whole is stored with its point, and looked for without.
    return same if number is None else f"({same} OR {found} = {quote(number)})"


def _number(value: str) -> str | None:
    try:
        return repr(float(value)) if len(value) < 40 else None
    except ValueError:
        return None


def _made_of(key: str, value: str) -> Iterable[str]:
    """Conditions for tags that Jaeger makes of a span's own fields."""
    if key == "error" and value in {"true", "false"}:
        yield f"s.status {'=' if value == 'true' else '<>'} 2"
    elif key == "span.kind" and value in KINDS[1:]:
        yield f"s.kind = {KINDS.index(value)}"
    elif key == "otel.status_code" and value in {"OK", "ERROR"}:
        yield f"s.status = {1 if value == 'OK' else 2}"
    elif key == "otel.status_description":
        yield f"s.status_message = {quote(value)}"
    elif key == "w3c.tracestate":
        yield f"s.trace_state = {quote(value)}"
    elif key in {"otel.scope.name", "otel.scope.version"}:
        column = key.removeprefix("otel.scope.")
        yield f"s.scope_id IN (SELECT scope_id FROM scopes WHERE {column} = {quote(value)})"


def _equal(column: str, value: str) -> list[str]:
    return [f"{column} = {quote(value)}"] if value else []


def _bounded(number: int) -> int:
    return min(max(number, _EPOCH_NS[0]), _EPOCH_NS[-1])


def _kind(code: int) -> str:
    return KINDS[code] if 0 < code < len(KINDS) else ""
