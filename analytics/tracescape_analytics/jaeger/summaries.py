"""What Jaeger's list of search results shows of each trace, computed without reading whole traces."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, TypeAlias

from tracescape_storage.reader import Reader

Document: TypeAlias = dict[str, Any]


def summaries(reader: Reader, trace_ids: Sequence[bytes]) -> list[Document]:
    """One summary a trace, in the order of ``trace_ids``."""
    if not trace_ids:
        return []
    wanted = reader.of_traces(trace_ids)
    of_traces = reader.sql(
        "SELECT trace_id, min(start_ns) AS first, max(start_ns + duration_ns) AS last,"
        " arg_min(service, start_ns) FILTER (parent_span_id = 0) AS root_service,"
        " arg_min(operation, start_ns) FILTER (parent_span_id = 0) AS root_operation"
        f" FROM spans WHERE {wanted} GROUP BY trace_id"
    ).to_pylist()
    of_services = reader.sql(
        "SELECT trace_id, service, count(*) AS spans, count(*) FILTER (status = 2) AS errors"
        f" FROM spans WHERE {wanted} GROUP BY trace_id, service ORDER BY service"
    ).to_pylist()
    of_orphans = reader.sql(
        f"WITH s AS (SELECT trace_id, span_id, parent_span_id FROM spans WHERE {wanted})"
        " SELECT trace_id, count(*) AS orphans FROM s WHERE parent_span_id <> 0 AND NOT EXISTS"
        " (FROM s AS p WHERE p.trace_id = s.trace_id AND p.span_id = s.parent_span_id) GROUP BY trace_id"
    ).to_pylist()
    services: dict[bytes, list[Document]] = defaultdict(list)
    for row in of_services:
        services[row["trace_id"]].append(
            {"name": row["service"], "spanCount": row["spans"], "errorSpanCount": row["errors"]}
        )
    orphans = {row["trace_id"]: row["orphans"] for row in of_orphans}
    rows = {row["trace_id"]: row for row in of_traces}
    return [_summary(rows[each], services[each], orphans.get(each, 0)) for each in trace_ids if each in rows]


def _summary(row: Document, services: list[Document], orphans: int) -> Document:
    return {
        "traceId": row["trace_id"].hex(),
        "rootServiceName": row["root_service"] or "",
        "rootOperationName": row["root_operation"] or "",
        "minStartTimeUnixNano": str(row["first"]),
        "maxEndTimeUnixNano": str(row["last"]),
        "spanCount": sum(each["spanCount"] for each in services),
        "errorSpanCount": sum(each["errorSpanCount"] for each in services),
        "orphanSpanCount": orphans,
        "services": services,
    }
