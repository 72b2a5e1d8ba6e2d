"""Answers do not depend on who stores the spans: a store file, written and opened again, says the same."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from memory_reader import MemoryReader, link, link_table, span, span_table, stored_span_table, trace_bytes
from tracescape_analytics.critical_path import critical_path
from tracescape_analytics.topology import topology
from tracescape_analytics.trace import load_trace
from tracescape_storage.duckdb_file import DuckDBStore, open_reader

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
    assert a.nodes.filter(pl.col("service") == "postgresql db")["state"].item() == "failing"
    assert b.edges.filter(pl.col("target") == "mail")["calls"].item() == 30
    assert critical_path(memory, **window).equals(critical_path(stored, **window))
    one = trace_bytes("order40")
    assert load_trace(memory, one).spans.equals(load_trace(stored, one).spans)
    stored.close()
