from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_reader import reader, span, span_number, trace_bytes
from tracescape_analytics.errors import UnknownTraceError, near, unknown_service
from tracescape_analytics.trace import Root, Trace, load_trace
from tracescape_analytics.words import readable_duration
from tracescape_storage.errors import StoreError

ROWS = [
    span("C", "B", service="cart", operation="get", start=30, end=60, kind="server", status="error"),
    span("A", service="web", operation="GET /", start=10, end=110, kind="server"),
    span("B", "A", service="web", operation="call", start=20, end=70, kind="client", status="ok"),
    span("D", "A", service="web", operation="render", start=80, end=100, kind="internal"),
]


def loaded(*rows: dict[str, object]) -> Trace:
    return load_trace(reader(*rows, span("Z", trace="other")), trace_bytes("t"))


def test_spans_stand_depth_first_by_start() -> None:
    trace = loaded(*ROWS)
    assert trace.trace_id == trace_bytes("t").hex()
    spans = trace.spans[:, :13].drop("trace_id").rows()
    a, b, c, d = (f"{span_number(name):016x}" for name in "ABCD")
    assert spans == [
        (a, "", "web", "GET /", "server", "unset", 10, 110, 100, 30, 30, 0),
        (b, a, "web", "call", "client", "ok", 20, 70, 50, 20, 20, 1),
        (c, b, "cart", "get", "server", "error", 30, 60, 30, 30, 30, 2),
        (d, a, "web", "render", "internal", "unset", 80, 100, 20, 20, 20, 1),
    ]
    assert trace.spans.columns[:3] == ["trace_id", "span_id", "parent_span_id"]
    assert set(trace.spans["trace_id"]) == {trace.trace_id}
    times = ["start_ns", "end_ns", "duration_ns", "self_ns", "critical_ns", "depth"]
    assert [trace.spans.schema[name] for name in times] == [pl.Int64] * 6


def test_critical_path_is_a_row_a_segment() -> None:
    path = loaded(*ROWS).critical_path()
    assert path.columns == ["span_id", "service", "operation", "start_ns", "end_ns", "duration_ns"]
    assert path["operation", "start_ns", "end_ns", "duration_ns"].rows() == [
        ("GET /", 10, 20, 10),
        ("call", 20, 30, 10),
        ("get", 30, 60, 30),
        ("call", 60, 70, 10),
        ("GET /", 70, 80, 10),
        ("render", 80, 100, 20),
        ("GET /", 100, 110, 10),
    ]


def test_tolerance_is_handed_on() -> None:
    trace = loaded(span("A", end=1000), span("B", "A", start=500, end=900), span("C", "A", end=505))
    assert [text[-2:] for text in trace.critical_path()["span_id"]] == ["43", "42", "41"]
    assert [text[-2:] for text in trace.critical_path(tolerance=0)["span_id"]] == ["41", "42", "41"]
    with pytest.raises(ValueError, match="tolerance"):
        trace.critical_path(tolerance=2)


def test_waterfall_marks_the_critical_path_of_the_main_root() -> None:
    stray = span("Y", "lost", service="web", operation="late", start=0, end=5)
    waterfall = loaded(*ROWS, stray).waterfall()
    assert waterfall["operation", "depth", "offset_ns", "critical"].rows() == [
        ("late", 0, -10, False),
        ("GET /", 0, 0, True),
        ("call", 1, 10, True),
        ("get", 2, 20, True),
        ("render", 1, 70, True),
    ]


def test_root() -> None:
    assert loaded(*ROWS).root == Root(f"{span_number('A'):016x}", "web", "GET /", 10, 100)


def test_ids_keep_all_their_bits() -> None:
    row = span("A")
    row["span_id"], row["parent_span_id"] = -1, 255
    assert loaded(row).spans["span_id", "parent_span_id"].row(0) == ("f" * 16, "00000000000000ff")


def test_repr_reads_like_a_timeline() -> None:
    text = repr(loaded(*ROWS))
    head, *lines = text.splitlines()
    assert head.endswith("web GET /, 100 ns, 4 spans, 2 services, 1 error")
    assert len(lines) == 4
    assert lines[2].lstrip().startswith("cart get")
    assert lines[2].endswith("30 ns error")
    many = [span(f"s{i}", "A", operation="x" * 90, start=i, end=i) for i in range(40)]
    assert repr(loaded(span("A", end=0), *many)).endswith("… 17 more; .waterfall() has them all")


def test_unknown_trace() -> None:
    with pytest.raises(UnknownTraceError, match="00ff is stored in memory. Search"):
        load_trace(reader(*ROWS), bytes(14) + b"\x00\xff")
    assert issubclass(UnknownTraceError, StoreError)


def test_near_names() -> None:
    assert near("Carts", ["cart", "frontend"]) == ["cart"]
    assert "Did you mean 'cart'?" in str(unknown_service("crat", ["cart", "frontend"]))
    assert "The store has: cart." in str(unknown_service("zzz", ["cart"]))
    assert "no spans yet" in str(unknown_service("zzz", []))


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (1_500, "1.5 µs"),
        (12_340_000, "12.3 ms"),
        (999_999, "1000 µs"),
        (2 * 10**9, "2 s"),
    ],
)
def test_readable_duration(duration: int, text: str) -> None:
    assert readable_duration(duration) == text
    assert readable_duration(86_400 * 10**9) == "86400 s"


@st.composite
def rows_of_a_trace(draw: st.DrawFn) -> list[dict[str, object]]:
    names = "ABCDEF"
    return [
        span(
            draw(st.sampled_from(names)),
            draw(st.sampled_from([None, *names])),
            start=start,
            end=start + draw(st.integers(-3, 20)),
            kind=draw(st.sampled_from(["unset", "client", "server"])),
        )
        for start in draw(st.lists(st.integers(0, 20), min_size=1, max_size=10))
    ]


@given(rows_of_a_trace(), st.sampled_from([0, 0.01, 1]))
def test_critical_path_adds_up_to_the_root(rows: list[dict[str, object]], tolerance: float) -> None:
    trace = loaded(*rows)
    path = trace.critical_path(tolerance)
    assert path["duration_ns"].sum() == trace.root.duration_ns
    assert (path["end_ns"] - path["start_ns"]).equals(path["duration_ns"])
    assert path["start_ns"][1:].equals(path["end_ns"][:-1].alias("start_ns"))
    assert repr(trace)
