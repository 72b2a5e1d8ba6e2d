"""Jaeger's storage fixtures through the collector's Jaeger API: ``python benches/jaeger_fixtures.py FOLDER``.

FOLDER is ``internal/storage/integration/fixtures/traces`` of Jaeger's repository (Apache-2.0), or a part of
it. Each trace is sent as it is, found by the search that Jaeger's own suite has for it, and compared.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from tracescape.collector import Collector
from tracescape_ingest.intake import Signal
from tracescape_ingest.otlp_json import request_of

VALUES = ("sameplacevalue", "123", "72.5", "true")
TAGS, OF_SCOPE, OF_LINK = (
    {f"sameplace{where}{number}": value for number, value in enumerate(VALUES, 1)}
    for where in ("tag", "scopeattribute", "linkattribute")
)
SHORT, LONG = {"durationMax": "1us"}, {"durationMax": "2us"}
MIDDLE = {"durationMin": "4.5us", "durationMax": "5.5us"}


class Query(NamedTuple):
    """From Jaeger's queries.json: the number of the service, what is asked, and the traces that match."""

    number: int
    expected: str
    named: bool = False
    tags: dict[str, str] | None = None
    durations: dict[str, str] | None = None


QUERIES = (
    Query(1, "span_tags_trace", tags=TAGS),
    Query(2, "log_tags_trace", tags=TAGS),
    Query(3, "process_tags_trace", tags=TAGS),
    Query(4, "multi_spot_tags_trace", tags=TAGS),
    Query(6, "opname_trace", named=True),
    Query(7, "opname_maxdur_trace", named=True, durations=LONG),
    Query(8, "opname_dur_trace", named=True, durations=MIDDLE),
    Query(9, "dur_trace", durations=MIDDLE),
    Query(10, "max_dur_trace", durations=SHORT),
    Query(11, "default"),
    Query(12, "tags_opname_trace", named=True, tags=TAGS),
    Query(13, "tags_opname_maxdur_trace", named=True, tags=TAGS, durations=LONG),
    Query(14, "tags_opname_dur_trace", named=True, tags=TAGS, durations=MIDDLE),
    Query(15, "tags_dur_trace", tags=TAGS, durations=MIDDLE),
    Query(16, "tags_maxdur_trace", tags=TAGS, durations=SHORT),
    Query(17, "multispottag_opname_trace", named=True, tags=TAGS),
    Query(18, "multispottag_opname_maxdur_trace", named=True, tags=TAGS, durations=LONG),
    Query(19, "multispottag_opname_dur_trace", named=True, tags=TAGS, durations=MIDDLE),
    Query(20, "multispottag_dur_trace", tags=TAGS, durations=MIDDLE),
    Query(21, "multispottag_maxdur_trace", tags=TAGS, durations=SHORT),
    Query(22, "multiple1_trace multiple2_trace multiple3_trace"),
    Query(23, "scope_name_version_trace", tags=TAGS),
    Query(24, "scope_attributes_trace", tags=OF_SCOPE),
    Query(25, "link_attributes_trace", tags=OF_LINK),
)


def main() -> int:
    folder = Path(sys.argv[1])
    documents = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))}
    with (
        tempfile.TemporaryDirectory() as home,
        Collector(Path(home) / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0") as collector,
        httpx.Client(base_url=collector.http_url) as client,
    ):
        intake = next(iter(collector.lanes.values())).intake
        for document in documents.values():
            data = request_of(document).SerializeToString()
            assert not intake.submit(Signal.TRACES, data).result(timeout=20).rejected
        searches = [found(client, query, documents) for query in QUERIES]
        traces = [same(client, name, document) for name, document in documents.items()]
    wrong = searches.count(False) + traces.count(False)
    print(f"{len(traces)} traces, {len(searches) - searches.count(None)} searches, {wrong} wrong")
    return min(wrong, 1)


def found(client: httpx.Client, query: Query, documents: dict[str, Any]) -> bool | None:
    """Whether a search finds what it should; None where the folder lacks that."""
    expected = {trace_id(documents[name]) for name in query.expected.split() if name in documents}
    if not expected:
        return None
    parameters = {
        "query.serviceName": f"query{query.number:02d}-service",
        "query.operationName": f"query{query.number:02d}-operation" if query.named else "",
        "query.startTimeMin": "2017-01-26T15:46:31.639875Z",
        "query.startTimeMax": "2017-01-26T17:46:31.639875Z",
        "query.attributes": json.dumps(query.tags) if query.tags else "",
        **{f"query.{name}": value for name, value in (query.durations or {}).items()},
    }
    answer = client.get("/api/v3/trace-summaries", params=parameters).json()
    ids = {each["traceId"] for each in answer.get("summaries", [])}
    print(f"search {query.number:2} {'as in Jaeger' if ids == expected else f'WRONG: {ids or answer}'}")
    return ids == expected


def same(client: httpx.Client, name: str, document: Any) -> bool:
    """Whether a trace by its id is what was sent, and has a legacy form of as many spans."""
    wanted = trace_id(document)
    v3 = client.get(f"/api/v3/traces/{wanted}").json()
    legacy = client.get(f"/api/traces/{wanted}").json()["data"][0]
    right = canonical(v3["result"]) == canonical(document) and len(legacy["spans"]) == len(spans(document))
    print(f"{name}: {'as it was sent' if right else 'WRONG'}")
    if not right:
        print(*canonical(document), "", *canonical(v3["result"]), sep="\n")
    return right


def trace_id(document: Any) -> str:
    return str(spans(document)[0][2]["traceId"])


def spans(document: Any) -> list[tuple[Any, Any, Any]]:
    return [
        (group.get("resource"), scope.get("scope"), span)
        for group in document["resourceSpans"]
        for scope in group["scopeSpans"]
        for span in scope["spans"]
    ]


def canonical(document: Any) -> list[str]:
    """Spans with their resource and scope, whatever the groups and the order; defaults left out."""
    return sorted(json.dumps(without_defaults(each), sort_keys=True) for each in spans(document))


def without_defaults(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: without_defaults(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if key == "intValue" or item not in ({}, [], "", 0)}
    if isinstance(value, list | tuple):
        return [without_defaults(item) for item in value]
    return value


if __name__ == "__main__":
    sys.exit(main())
