"""What a service is called, and which environment it is in.

A service is (``service.namespace``, ``service.name``). It is counted under both; what people see is the name
alone, as in searches and traces, or ``namespace/name`` where the store has several services of that name.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from tracescape_analytics.counts import Groups
from tracescape_analytics.errors import unknown_environment
from tracescape_analytics.nodes import NODE_KINDS
from tracescape_storage.errors import StoreError
from tracescape_storage.namespaces import (
    ENVIRONMENTS_SQL,
    SEPARATOR,
    SHARED_SQL,
    in_environment,
    resources_sql,
)
from tracescape_storage.reader import Reader

_SERVICE: Final = NODE_KINDS.index("service")


def shared_names(reader: Reader) -> frozenset[str]:
    """The names that several services of the store have."""
    if not hasattr(reader, "shaped_spans"):  # it knows no namespaces
        return frozenset()
    return frozenset(reader.sql(SHARED_SQL)["service"].to_pylist())


def short_name(full: str, shared: Collection[str]) -> str:
    """A full name as people see it."""
    namespace, separator, name = full.rpartition(SEPARATOR)
    return f"{namespace}/{name}" if separator and name in shared else name


def shown(reader: Reader, groups: Groups) -> Groups:
    """``groups`` with their services called as people see them."""
    if not any(kind == _SERVICE and SEPARATOR in name for kind, name in groups.names):
        return groups
    shared = shared_names(reader)
    # Operations are told by the same kind as services, but no separator is in them.
    names = [(kind, short_name(name, shared) if kind == _SERVICE else name) for kind, name in groups.names]
    return replace(groups, names=names)


def condition_of(reader: Reader, environment: str | None) -> str:
    """The condition on spans of one environment; ``""`` where all that is stored is of it, and for None.

    Raises:
        UnknownEnvironmentError: nothing is; the near ones are listed.
    """
    if environment is None:
        return ""
    if not hasattr(reader, "shaped_spans"):
        raise StoreError("environments can only be asked of a store that knows SQL")
    stored = reader.sql(ENVIRONMENTS_SQL)["environment"].to_pylist()
    if getattr(reader, "lists_recent", False):  # there may be others, and this may be one of them
        within = in_environment(environment)
        if environment in stored or reader.sql(f"SELECT 1 AS n FROM spans WHERE {within} LIMIT 1").num_rows:
            return within
    if environment not in stored:
        raise unknown_environment(environment, filter(None, stored))
    return in_environment(environment) if len(stored) > 1 else ""


def sent_from(reader: Reader, environment: str | None, spans: pa.Table) -> pa.Table:
    """Those of the spans (with ``resource_id``) that are of one environment; all for None.

    Raises:
        UnknownEnvironmentError: as ``condition_of``.
    """
    if not condition_of(reader, environment) or environment is None:
        return spans
    resources = reader.sql(resources_sql(environment))["resource_id"]
    return spans.filter(pc.is_in(spans["resource_id"], value_set=resources.combine_chunks()))
