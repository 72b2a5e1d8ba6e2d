"""Services by namespace: two of one name in two namespaces are two services.

Whoever counts calls asks for spans by a service's full name: ``namespace``, a separator, ``name``; the name
alone where its resource has no namespace. That is joined at the time of asking, and only in stores that have
a namespace at all.
"""

from __future__ import annotations

from typing import Final

#: Between namespace and name: in no name that a person wrote.
SEPARATOR: Final = "\x1f"

#: ``SELECT`` of a row if some resource has a namespace.
ANY_SQL: Final = "SELECT 1 AS found FROM resources WHERE namespace IS NOT NULL LIMIT 1"
#: ``SELECT`` of the names of services that are in several namespaces; none is one of them.
SHARED_SQL: Final = (
    "SELECT service FROM resources GROUP BY service HAVING count(DISTINCT coalesce(namespace, '')) > 1"
)
ENVIRONMENTS_SQL: Final = "SELECT DISTINCT environment FROM resources"


def with_namespaces(query: str) -> str:
    """The same ``SELECT`` over ``spans_full`` in which ``service`` is the full name."""
    full = f"named.namespace || chr({ord(SEPARATOR)}) || spans.service"
    return (
        f"WITH spans_full AS NOT MATERIALIZED (SELECT spans.* REPLACE (coalesce({full}, spans.service)"
        " AS service) FROM main.spans_full spans LEFT JOIN (SELECT resource_id, namespace FROM resources"
        f" WHERE namespace IS NOT NULL) named USING (resource_id)) {query}"
    )


def resources_sql(environment: str) -> str:
    """``SELECT`` of the resources of this ``deployment.environment.name``."""
    quoted = "'" + environment.replace("'", "''") + "'"
    return f"SELECT resource_id FROM resources WHERE environment = {quoted}"


def in_environment(name: str) -> str:
    """The condition that a span was sent from this ``deployment.environment.name``."""
    return f"resource_id IN ({resources_sql(name)})"
