"""What wraps the items of every OTLP signal: the request, its resources and scopes, and what is told back.

A request holds groups by resource, these hold groups by instrumentation scope, these hold spans, log records
or metrics. A resource or scope whose own fields cannot be stored takes every item under it with it.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import pyarrow as pa

from tracescape_ingest import fields
from tracescape_ingest.fields import Rejected, nonempty_string, text
from tracescape_ingest.wire import DecodeError, InstrumentationScope, Resource
from tracescape_storage.attributes import encode_attributes
from tracescape_storage.schema import TABLES

UNKNOWN_SERVICE: Final = "unknown_service"

Row = dict[str, object]


class UndecodableError(ValueError):
    """The bytes are no OTLP request of the signal."""


class DecodedTables(NamedTuple):
    """A request as tables, and what was left out of it: how many items, and the reasons with counts.

    ``tables`` are keyed by the store's table names, ``resources`` and ``scopes`` among them; each has the
    schema of `schema.TABLES` and may be empty. Items are what the client's partial success counts: log
    records, or data points.
    """

    tables: dict[str, pa.Table]
    items: int
    rejected: int
    reasons: dict[str, int]

    @property
    def message(self) -> str:
        """For ``partial_success.error_message``: the first reasons, empty when nothing was rejected."""
        return first_reasons(self.reasons)


class Context(NamedTuple):
    """What an item inherits from where it stands."""

    service: str
    resource_id: int
    scope_id: int


class Found:
    """Rows as they are found, a list a table, and the reasons of what was rejected."""

    def __init__(self) -> None:
        self.rows: defaultdict[str, list[Row]] = defaultdict(list)
        self.reasons: Counter[str] = Counter()

    def table(self, name: str) -> pa.Table:
        """The rows of one table in the store's schema."""
        return pa.Table.from_pylist(self.rows[name], schema=TABLES[name])

    def decoded(self, items: str, *others: str) -> DecodedTables:
        """Everything, with ``items`` naming the table that has a row an accepted item."""
        names = (items, *others, "resources", "scopes")
        reasons = +self.reasons  # a bad resource without items rejects nothing
        return DecodedTables(
            {name: self.table(name) for name in names},
            len(self.rows[items]),
            reasons.total(),
            dict(reasons),
        )


def parsed(request: Any, data: bytes) -> Any:
    """``data`` as a message of the class ``request`` of `wire`. Raises `UndecodableError`."""
    try:
        return request.FromString(data)
    except DecodeError as error:
        raise UndecodableError(f"not an {request.DESCRIPTOR.name} of {len(data)} bytes: {error}") from error


def scope_groups(
    resource_groups: Iterable[Any], field: str, items: Callable[[Any], int], found: Found
) -> Iterator[tuple[Any, Context]]:
    """Each group by scope with what its items inherit; its resource and scope go to ``found``.

    Args:
        resource_groups: the request's groups by resource.
        field: where such a group holds its groups by scope.
        items: how many items a group by scope holds, to count those that a bad resource or scope rejects.
        found: where rows and reasons go.
    """
    for resource_group in resource_groups:
        groups = getattr(resource_group, field)
        try:
            sender = _sender(resource_group.resource, resource_group.schema_url)
        except Rejected as reason:
            found.reasons[str(reason)] += sum(map(items, groups))
            continue
        found.rows["resources"].append(sender.row)
        for group in groups:
            try:
                scope = _scope(group.scope, group.schema_url)
            except Rejected as reason:
                found.reasons[str(reason)] += items(group)
                continue
            found.rows["scopes"].append(scope.row)
            yield group, Context(sender.service, sender.id, scope.id)


def content_id(row: Mapping[str, object]) -> int:
    """The same 63 bits for the same content, in every process and store."""
    digest = hashlib.blake2b(repr(sorted(row.items())).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def first_reasons(reasons: Mapping[str, int]) -> str:
    """The first reasons with their counts, for people; empty when there are none."""
    parts = [f"{count} × {reason}" for reason, count in list(reasons.items())[:3]]
    more = len(reasons) - len(parts)
    return "; ".join(parts) + (f"; and {more} other reasons" if more > 0 else "")


class Sender(NamedTuple):
    """A resource as its items need it: their service, its id, and the row of the table ``resources``."""

    service: str
    id: int
    row: Row


class Scope(NamedTuple):
    """An instrumentation scope: its id, and the row of the table ``scopes``."""

    id: int
    row: Row


def sender_of(encoded: bytes, schema_url: bytes) -> Sender:
    """An encoded ``Resource``. Raises `Rejected` for bad UTF-8, `DecodeError` for no resource at all."""
    return _sender(Resource.FromString(encoded), schema_url)


def scope_of(encoded: bytes, schema_url: bytes) -> Scope:
    """An encoded ``InstrumentationScope``; raises as `sender_of` does."""
    return _scope(InstrumentationScope.FromString(encoded), schema_url)


def _sender(resource: Any, schema_url: bytes) -> Sender:
    attributes = fields.attributes(resource.attributes)
    service = nonempty_string(attributes, "service.name") or UNKNOWN_SERVICE
    row: Row = {
        "service": service,
        "namespace": nonempty_string(attributes, "service.namespace"),
        "instance": nonempty_string(attributes, "service.instance.id"),
        "version": nonempty_string(attributes, "service.version"),
        "environment": nonempty_string(attributes, "deployment.environment.name")
        or nonempty_string(attributes, "deployment.environment"),
        "attributes": encode_attributes(attributes),
        "dropped_attributes": resource.dropped_attributes_count,
        "schema_url": text(schema_url) or None,
    }
    number = content_id(row)
    return Sender(service, number, {"resource_id": number, **row})


def _scope(scope: Any, schema_url: bytes) -> Scope:
    row: Row = {
        "name": text(scope.name),
        "version": text(scope.version) or None,
        "attributes": encode_attributes(fields.attributes(scope.attributes)),
        "dropped_attributes": scope.dropped_attributes_count,
        "schema_url": text(schema_url) or None,
    }
    number = content_id(row)
    return Scope(number, {"scope_id": number, **row})
