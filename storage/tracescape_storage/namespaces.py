"""Services by namespace: two of one name in two namespaces are two services.

Whoever counts calls asks for spans by a service's full name: ``namespace``, a separator, ``name``; the name
alone where its resource has no namespace. Where all resources of a service are in one namespace, its name
tells which; only services that are in several are joined with their resources at the time of asking.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import pyarrow as pa

#: Between namespace and name: in no name that a person wrote.
SEPARATOR: Final = "\x1f"

#: ``SELECT`` of the services that have a namespace, and the ``namespaces`` of each; none is ``""``.
NAMESPACES_SQL: Final = (
    "SELECT service, list_sort(list(DISTINCT coalesce(namespace, ''))) AS namespaces FROM resources"
    " GROUP BY service HAVING count(namespace) > 0 ORDER BY service"
)
#: ``SELECT`` of the names of services that are in several namespaces; none is one of them.
SHARED_SQL: Final = (
    "SELECT service FROM resources GROUP BY service HAVING count(DISTINCT coalesce(namespace, '')) > 1"
)
#: A number that tells the set of resources of the store: an expression.
RESOURCES: Final = "(SELECT coalesce(bit_xor(resource_id), 0) FROM resources)"
ENVIRONMENTS_SQL: Final = "SELECT DISTINCT environment FROM resources"


class Naming(NamedTuple):
    """``shared``: services that are in several namespaces; ``full``: the full names of those in one."""

    shared: tuple[str, ...] = ()
    full: tuple[tuple[str, str], ...] = ()


def naming_of(table: pa.Table) -> Naming:
    """What the rows of `NAMESPACES_SQL` say."""
    rows = [(row["service"], row["namespaces"]) for row in table.to_pylist()]
    return Naming(
        tuple(name for name, spaces in rows if len(spaces) > 1),
        tuple((name, f"{spaces[0]}{SEPARATOR}{name}") for name, spaces in rows if len(spaces) == 1),
    )


def with_namespaces(query: str, services: Sequence[str], full_sql: str = "") -> str:
    """The same ``SELECT`` over ``spans_full`` in which ``service`` is the full name of some services.

    ``full_sql`` stands for ``spans_full`` where the view itself lacks columns; see `ddl.full_sql`.
    """
    if not services:
        return f"WITH spans_full AS NOT MATERIALIZED ({full_sql}) {query}" if full_sql else query
    source = f"({full_sql})" if full_sql else "main.spans_full"
    names = ", ".join("'" + name.replace("'", "''") + "'" for name in services)
    full = f"named.namespace || chr({ord(SEPARATOR)}) || spans.service"
    return (
        f"WITH spans_full AS NOT MATERIALIZED (SELECT spans.* REPLACE (coalesce({full}, spans.service)"
        f" AS service) FROM {source} spans LEFT JOIN (SELECT resource_id, namespace FROM resources"
        f" WHERE namespace IS NOT NULL AND service IN ({names})) named USING (resource_id)) {query}"
    )


def resources_sql(environment: str) -> str:
    """``SELECT`` of the resources of this ``deployment.environment.name``."""
    quoted = "'" + environment.replace("'", "''") + "'"
    return f"SELECT resource_id FROM resources WHERE environment = {quoted}"


def in_environment(name: str) -> str:
    """The condition that a span was sent from this ``deployment.environment.name``."""
    return f"resource_id IN ({resources_sql(name)})"
