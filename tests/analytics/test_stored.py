"""Answers do not depend on who stores the spans: a store file, written and opened again, says the same."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from memory_reader import MemoryReader, link, link_table, span, span_table, stored_span_table, trace_bytes
from tracescape_analytics.call_paths import call_paths
from tracescape_analytics.critical_path import critical_path
from tracescape_analytics.topology import topology
from tracescape_analytics.trace import load_trace
from tracescape_storage.duckdb_file import DuckDBReader, DuckDBStore, open_reader

TOPIC = {"messaging_system": "kafka", "messaging_destination": "mails"}


def order(i: int) -> list[dict[str, object]]:
    trace, start = f"order{i}", 1000 * i
    slow = 300 if i >= 30 else 20
    return [
        span("A", trace=trace, service="shop", kind="server", start=start, end=start + slow + 30),
        span(
            "B",
            "A",
            trace=trace,
            service="shop",
            kind="client",
            start=start + 5,
            end=start + 5 + slow,
            db_system="postgresql",
            server_address="db",
            server_port=5432,
        ),
        span("U", "A", trace=trace, service="shop", kind="client", start=start + 7, url_host="api.x:8443"),
        span("H", "A", trace=trace, service="shop", kind="client", start=start + 7, gen_ai_model="gpt-5"),
        span("T", "A", trace=trace, service="shop", kind="internal", start=start, gen_ai_tool="look"),
        span("N", "A", trace=trace, service="shop", kind="server", start=start, adjusted_count=5),
        span(
            "P", "A", trace=trace, service="shop", kind="producer", start=start + 9, end=start + 10, **TOPIC
        ),
        span("C", trace=f"mail{i}", service="mail", kind="consumer", start=start + 50, end=start + 60),
    ]


def test_a_store_file_answers_like_memory(tmp_path: Path) -> None:
    rows = [row for i in range(60) for row in order(i)]
    spans = span_table(rows)
    links = link_table([link(f"mail{i}", "C", f"order{i}", "P", start=1000 * i + 50) for i in range(60)])
    store = DuckDBStore(tmp_path / "t.db")
    store.append({"spans": stored_span_table(rows), "links": links})
    store.close()
    memory, stored = MemoryReader(spans, links), open_reader(tmp_path / "t.db")
    window = {"since_ns": 30_000, "until_ns": 60_000}
    a, b = topology(memory, **window), topology(stored, **window)
    assert a.nodes.equals(b.nodes)
    assert a.edges.equals(b.edges)
    assert (a.unpaired, a.spans, a.traces, a.baseline) == (b.unpaired, b.spans, b.traces, b.baseline)
    assert a.nodes.filter(pl.col("service") == "postgresql db:5432")["state"].item() == "failing"
    for name, kind in (("api.x:8443", "external"), ("gpt-5", "model"), ("look", "tool")):
        (node,) = b.nodes.filter(service=name).iter_rows(named=True)
        assert (node["kind"], node["calls"]) == (kind, 30)
    shop = b.nodes.row(by_predicate=pl.col("service") == "shop", named=True)
    assert (shop["calls"], shop["seen"]) == (30 + 5 * 30, 60)
    assert b.edges.filter(pl.col("target") == "mail")["calls"].item() == 30
    assert critical_path(memory, **window).equals(critical_path(stored, **window))
    one = trace_bytes("order40")
    assert load_trace(memory, one).spans.equals(load_trace(stored, one).spans)
    stored.close()


def test_an_attribute_that_comes_while_spans_are_read_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DuckDBStore(tmp_path / "t.db")
    store.append({"spans": stored_span_table([span("A", kind="client", peer_service="bank")])})
    reader, read = store.reader(), DuckDBReader._of_full

    def meanwhile(self: DuckDBReader, query: str, *shared: Any) -> Any:
        if "gen_ai.request.model" not in store.attribute_columns:
            names = ("gpt", "llama", "gpt")
            rows = [span(f"{i}", kind="client", gen_ai_model=name) for i, name in enumerate(names)]
            store.append({"spans": stored_span_table(rows)})
        return read(self, query, *shared)

    monkeypatch.setattr(DuckDBReader, "_of_full", meanwhile)
    calls_of = Counter(dict(call_paths(reader).filter(kind="model")["service", "calls"].rows()))
    assert calls_of == {"gpt": 2, "llama": 1}
    store.close()
