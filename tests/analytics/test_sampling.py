"""A span that says that it was sampled counts for those that were not kept."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_reader import link_table, reader, span, stored_span_table
from tracescape_analytics.call_paths import call_paths
from tracescape_analytics.checkup import health
from tracescape_analytics.red import red
from tracescape_analytics.sampling import MOST, UNIT, digits_of, extra_of
from tracescape_analytics.services import services
from tracescape_analytics.topology import topology
from tracescape_analytics.upkeep import SETTLE_NS, Upkeep
from tracescape_native.buckets import bucket_code
from tracescape_storage.duckdb_file import DuckDBStore
from tracescape_storage.rollups import HOUR_NS
from tracescape_storage.sampling import DIGITS

Row = dict[str, object]
BEGIN = 100 * HOUR_NS


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    opened = DuckDBStore(tmp_path / "t.db")
    yield opened
    opened.close()


def put(store: DuckDBStore, *rows: Row) -> None:
    store.append({"spans": stored_span_table(rows), "links": link_table([])})


def a_call(
    trace: str, client: str | None, server: str | None, *, failed: bool = False, taken: int = 100
) -> list[Row]:
    """A call of shop to pay; both sides say how they were sampled."""
    said = {"trace": trace, "status": "error" if failed else "ok", "start": BEGIN, "end": BEGIN + taken}
    return [
        span("A", service="shop", kind="client", trace_state=client, **said),  # type: ignore[arg-type]
        span("B", "A", service="pay", kind="server", trace_state=server, **said),  # type: ignore[arg-type]
    ]


@pytest.mark.parametrize(
    ("digits", "spans"),
    [("0", 1), ("8", 2), ("c", 4), ("fd70a", Fraction(1 << 20, 0x028F6)), ("fffff8", 2**21)],
)
def test_a_threshold_says_how_many_a_span_stands_for(digits: str, spans: int | Fraction) -> None:
    assert abs(1 + Fraction(extra_of(digits), UNIT) - spans) <= Fraction(1, 2 * UNIT)


def test_nobody_stands_for_everything() -> None:
    assert extra_of("ffffffffffffff") == (MOST - 1) * UNIT
    assert extra_of(None) == 0


@pytest.mark.parametrize(
    ("said", "digits"),
    [
        ("ot=th:c", "c"),
        ("ot=th:0", "0"),
        ("ot=rv:d29d6a7215ced0;th:c;x:1", "c"),
        ("congo=t61rcWkgMzE , ot=th:fd70a ,z=1", "fd70a"),
        (None, None),
        ("", None),
        ("ot=rv:c", None),
        ("not=th:c", None),
        ("xot=th:c", None),
        ("ot=xth:c", None),
        ("ot=th:", None),
        ("ot=th:C", None),
        ("ot=th:123456789012345", None),
        ("ot=p:8;r:62", None),
        ("other=ot=th:c", None),
    ],
)
def test_a_threshold_is_read_alike_by_the_store_and_by_python(said: str | None, digits: str | None) -> None:
    assert digits_of(said) == digits
    query = f"SELECT {DIGITS} FROM (SELECT $1::VARCHAR AS trace_state)"
    assert duckdb.execute(query, [said]).fetchall() == [(digits,)]


def test_calls_and_errors_are_adjusted_and_seen_is_what_is_stored(store: DuckDBStore) -> None:
    put(store, *a_call("a", "ot=th:c", "ot=th:c"), *a_call("b", "ot=th:8", "ot=th:8", failed=True))
    put(store, *a_call("c", None, None))
    found = topology(store.reader())
    edge = found.edges.row(by_predicate=pl.col("target") == "pay", named=True)
    assert (edge["calls"], edge["errors"], edge["seen"]) == (7, 2, 3)
    node = found.nodes.row(by_predicate=pl.col("service") == "pay", named=True)
    assert (node["calls"], node["errors"], node["seen"]) == (7, 2, 3)
    assert (found.spans, found.traces) == (6, 3)
    (row,) = red(store.reader(), service="pay").iter_rows(named=True)
    assert (row["calls"], row["errors"], row["seen"]) == (7, 2, 3)
    assert services(store.reader())["calls"].to_list()[0] == 7


def test_a_call_stands_for_what_its_rarer_side_does(store: DuckDBStore) -> None:
    """Both are there only if the number that they share passes both thresholds."""
    put(store, *a_call("a", "ot=th:8", "ot=th:c"))
    found = topology(store.reader())
    assert found.edges["calls"].to_list() == [4]


def test_quantiles_are_those_of_the_calls_stood_for(store: DuckDBStore) -> None:
    put(store, *a_call("a", "ot=th:f", "ot=th:f", taken=80), *a_call("b", None, None, taken=8))
    put(store, *a_call("c", None, None, taken=8))
    assert topology(store.reader()).edges["client_p50_ns"].to_list() == [80]


def test_a_chain_stands_for_what_the_rarest_span_above_does(store: DuckDBStore) -> None:
    put(store, *a_call("a", "ot=th:c", "ot=th:8", failed=True), *a_call("b", None, "ot=th:8"))
    found = call_paths(store.reader())
    assert found["chain", "calls", "ends", "errors", "seen", "traces"].rows() == [
        ("shop work", 5, 0, 4, 2, 2),
        ("shop work → pay work", 6, 6, 4, 2, 2),
    ]


def test_a_reader_without_sql_says_the_same() -> None:
    rows = a_call("a", "ot=th:c", "ot=th:c")
    found = topology(reader(*rows))
    assert found.edges["calls", "seen"].rows() == [(4, 1)]


def test_one_failure_that_stands_for_thousands_is_no_incident(store: DuckDBStore) -> None:
    """How sure one can be depends on what was seen: 1 failure of 47, each standing for 4,096."""
    for i in range(47):
        put(store, *a_call(f"{i}", "ot=th:fff", "ot=th:fff", failed=i == 0))
    found = health(store.reader())
    assert set(found["state"]) == {"healthy"}
    assert found["calls"].max() == 47 * 4096


def test_a_store_without_sampled_spans_reads_no_trace_state(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, *a_call("a", None, "congo=t61rcWkgMzE"))
    asked, queries = store.reader(), list[str]()
    ask = asked.sql
    monkeypatch.setattr(asked, "sql", lambda query: (queries.append(query), ask(query))[1])
    assert topology(asked).edges["calls"].to_list() == [1]
    assert not any("regexp" in query for query in queries)
    put(store, *a_call("b", "ot=th:8", "ot=th:8"))
    assert topology(asked).edges["calls"].to_list() == [3], "it is noticed when one comes"


@pytest.mark.parametrize(
    ("trace_state", "count", "stands_for"),
    [
        (None, 8, 8),
        ("congo=t61rcWkgMzE", 8, 8),
        ("ot=th:c", 8, 4),
        (None, 1, 1),
        (None, 0, 1),
        (None, -3, 1),
        (None, 2**40, MOST),
    ],
)
def test_an_attribute_may_tell_how_many_a_span_stands_for(
    store: DuckDBStore, trace_state: str | None, count: int, stands_for: int
) -> None:
    said = [{**row, "adjusted_count": count} for row in a_call("a", trace_state, trace_state)]
    said += a_call("b", None, None)
    put(store, *said)
    for found in (topology(store.reader()), topology(reader(*said))):
        assert found.edges["calls", "seen"].rows() == [(stands_for + 1, 2)]


def test_it_is_noticed_when_an_attribute_tells_it_first(store: DuckDBStore) -> None:
    asked = store.reader()
    put(store, *a_call("a", None, None))
    assert topology(asked).edges["calls"].to_list() == [1]
    put(store, *({**row, "adjusted_count": 5} for row in a_call("b", None, None)))
    assert topology(asked).edges["calls"].to_list() == [6]


STATES = st.sampled_from([None, "ot=th:0", "ot=th:5", "ot=th:aaaa", "v=1,ot=rv:1;th:fd70a", "ot=th:ffe"])


def weight(*states: str | None) -> Fraction:
    """Of a call: in units of 2^-16, rounded for each span."""
    units = []
    for state in states:
        digits = state.partition("th:")[2] if state else "0"
        kept = Fraction(16 ** len(digits) - int(digits, 16), 16 ** len(digits))
        units.append(Fraction(round(UNIT / kept), UNIT))
    return max(units)


@given(st.lists(st.tuples(STATES, STATES, st.booleans(), st.integers(0, 2000)), min_size=1, max_size=30))
@settings(max_examples=20, deadline=None)
def test_agrees_with_adding_up_fractions(calls: list[tuple[str | None, str | None, bool, int]]) -> None:
    total, errors, by_code = Fraction(0), Fraction(0), defaultdict[int, Fraction](Fraction)
    edges: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        store = DuckDBStore(Path(folder) / "t.db")
        for i, (client, server, failed, taken) in enumerate(calls):
            put(store, *a_call(f"{i}", client, server, failed=failed, taken=taken))
            stands_for = weight(client, server)
            total += stands_for
            errors += stands_for * failed
            by_code[bucket_code(taken)] += stands_for
            edges["pay"] += 1
        raw = topology(store.reader())
        (edge,) = raw.edges.iter_rows(named=True)
        assert edge["calls"] == int(total + Fraction(1, 2))
        assert edge["errors"] == int(errors + Fraction(1, 2))
        assert edge["seen"] == edges["pay"]
        up_to, p95 = Fraction(0), 0
        for code in sorted(by_code):
            up_to += by_code[code]
            if up_to >= total * Fraction(95, 100):
                p95 = code
                break
        assert bucket_code(edge["client_p95_ns"]) == p95
        upkeep = Upkeep(store)
        for now in (0, SETTLE_NS):
            upkeep.step(BEGIN + 100 * HOUR_NS + now)
        upkeep.close()
        assert store.reader().sql("SELECT count(*) AS n FROM tracescape_rollups")["n"].to_pylist() != [0]
        rolled = topology(store.reader())
        assert (rolled.nodes.rows(), rolled.edges.rows()) == (raw.nodes.rows(), raw.edges.rows())
        store.close()
