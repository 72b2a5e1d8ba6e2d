"""What is kept of the last minutes equals what spans say, for any arrivals, restarts, blocks and prunes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_reader import KINDS, link, link_table, span, stored_span_table
from tracescape_analytics import lately as module
from tracescape_analytics.calls import counts_of_window
from tracescape_analytics.counts import Counts
from tracescape_analytics.lately import MINUTE_NS, Lately
from tracescape_analytics.namespaces import shown
from tracescape_analytics.source import Looked
from tracescape_analytics.topology import topology
from tracescape_analytics.upkeep import SETTLE_NS, Upkeep
from tracescape_analytics.windows import Window
from tracescape_storage.duckdb_file import DuckDBStore
from tracescape_storage.errors import QueryError
from tracescape_storage.rollups import LONGEST_WAIT_NS
from tracescape_storage.schema import ARRIVED
from tracescape_storage.sql_reader import SqlReader

Row = dict[str, object]
BEGIN = 29_000_000  # a minute


class Asked(SqlReader):
    """A live reader of a store that may be opened anew, or be another one, meanwhile; it counts questions."""

    location, live = "here", True

    def __init__(self, store: DuckDBStore) -> None:
        self.store = store
        self.queries: list[str] = []

    def sql(self, query: str) -> pa.Table:
        self.queries.append(query)
        return self.store.reader().sql(query)

    def stream(self, query: str) -> pa.RecordBatchReader:
        return self.store.reader().stream(query)

    def keep_positions(self, stands: Mapping[str, Sequence[float]], *, anew: bool = False) -> bool:
        return False

    def close(self) -> None:
        pass


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    opened = DuckDBStore(tmp_path / "t.db")
    yield opened
    opened.close()


def arrive(store: DuckDBStore, arrived_ns: int, *rows: Row, links: Sequence[Row] = ()) -> None:
    tables = {"spans": stored_span_table(rows), "links": link_table(links)}
    for name, table in tables.items():
        column = pa.array([arrived_ns] * table.num_rows, pa.int64())
        tables[name] = table.append_column(pa.field(ARRIVED, pa.int64(), nullable=False), column)
    store.append(tables)


def said(counts: Counts) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """Counts in a form that can be compared: groups by name, in order."""
    groups = counts.groups.rows()
    cells = [(groups[group], *rest) for group, *rest in counts.cells().iter_rows()]
    exemplars = [(groups[group], *rest) for group, *rest in counts.exemplars.frame().iter_rows()]
    return sorted(cells), sorted(exemplars)


def same(lately: Lately, reader: Asked, since: int, until: int | None = None) -> bool:
    """The window from minute to minute, and the time before it; whether they were kept."""
    window = Window(since * MINUTE_NS, None if until is None else until * MINUTE_NS)
    look = lately.look(window)
    if look is None:
        return False
    kept = Looked(lately, look)
    for one in (window, Window(min(look.begin, since - 4) * MINUTE_NS, window.since_ns)):
        plain = counts_of_window(reader, one)
        assert said(kept.counts(one)) == said(plain._replace(groups=shown(reader, plain.groups)))
    extent = reader.extent()
    assert (look.first_ns, look.last_ns) == (extent.first_start_ns, extent.last_start_ns)
    return True


def at(minute: float) -> int:
    return int((BEGIN + minute) * MINUTE_NS)


def a_call(trace: str, start: int) -> list[Row]:
    return [
        span(
            "A", trace=trace, service="shop", kind="client", start=start, end=start + 100, peer_service="pay"
        ),
        span("B", "A", trace=trace, service="pay", kind="server", start=start + 10, end=start + 60),
    ]


def test_who_asks_again_reads_only_what_is_new(store: DuckDBStore) -> None:
    for number in range(40):
        arrive(store, at(number / 8), *a_call(str(number), at(number / 8) - 1_000))
    reader = Asked(store)
    lately = Lately(reader)
    assert same(lately, reader, BEGIN + 1)
    reader.queries.clear()
    assert lately.look(Window(at(1), None)) is not None
    assert len(reader.queries) == 1, "nothing is new"
    arrive(store, at(4.9), *a_call("new", at(4.9) - 1_000))
    reader.queries.clear()
    look = lately.look(Window(at(1), None))
    of_spans = reader.queries
    assert (len(of_spans), len(reader.queries)) == (3, 3)
    assert look is not None and len(look.counts(Window(at(4), None)).keys)
    assert all(f"{ARRIVED} > {at(4.875)}" in query for query in of_spans)
    assert same(lately, reader, BEGIN + 1)


def test_another_version_is_something_else(store: DuckDBStore) -> None:
    reader = Asked(store)
    lately = Lately(reader)
    assert lately.look(Window(at(0), None)) is None, "of an empty store nothing is kept"
    assert topology(reader, since_ns=at(0), lately=lately).spans == 0
    arrive(store, at(0.5), *a_call("a", at(0.4)))
    arrive(store, at(1.5), *a_call("b", at(1.4)))
    versions = []
    for trace in ("", "c", "d"):
        if trace:
            arrive(store, at(1.5) + len(versions), *a_call(trace, at(1.4)))
        for _ in range(2):
            look = lately.look(Window(at(0), None))
            assert look is not None
            versions.append(look.version)
    assert versions[0::2] == versions[1::2] and len(set(versions)) == 3


def test_a_late_server_takes_back_the_call_to_something_external(store: DuckDBStore) -> None:
    reader = Asked(store)
    lately = Lately(reader)
    client, server = a_call("a", at(0.9999))
    arrive(store, at(1.1), client)
    arrive(store, at(2.1), span("Z", trace="z", start=at(2.0)))
    assert same(lately, reader, BEGIN)
    kinds = topology(reader, since_ns=at(0), lately=lately).nodes["kind"].to_list()
    assert "external" in kinds
    arrive(store, at(2.2), server)
    assert same(lately, reader, BEGIN)
    assert "external" not in topology(reader, since_ns=at(0), lately=lately).nodes["kind"].to_list()


def test_windows_that_are_not_of_whole_minutes_are_not_kept(store: DuckDBStore) -> None:
    arrive(store, at(3), *a_call("a", at(0.5)), *a_call("b", at(2.9)))
    lately = Lately(Asked(store))
    assert lately.look(Window(at(0), at(2))) is not None
    assert lately.look(Window(at(0), at(2) + 1)) is None
    assert lately.look(Window(at(0) + 1, at(2))) is None
    assert lately.look(Window(None, at(2))) is None
    assert lately.look(Window(at(2), None)) is None, "less than a minute"


def test_of_a_long_window_the_older_part_is_asked_for_once_until_something_arrives_there(
    store: DuckDBStore,
) -> None:
    reader = Asked(store)
    lately = Lately(reader)
    for minute in range(0, 150, 3):
        arrive(store, at(minute + 0.5), *a_call(str(minute), at(minute + 0.4)))
    keep(store, at(140))
    first = topology(reader, since_ns=at(20), lately=lately)
    assert first.spans == 2 * len(range(21, 150, 3))
    reader.queries.clear()
    assert topology(reader, since_ns=at(20), lately=lately) is first, "nothing is new"
    assert len(reader.queries) == 1
    arrive(store, at(147.6), *a_call("new", at(147.5)))
    reader.queries.clear()
    assert topology(reader, since_ns=at(20), lately=lately).spans == first.spans + 2
    assert not any("tracescape_rollup_groups" in query for query in reader.queries)
    arrive(store, at(147.7), *a_call("late", at(50.5)))
    assert same(lately, reader, BEGIN + 20)
    assert topology(reader, since_ns=at(20), lately=lately).spans == first.spans + 4
    plain, kept = topology(reader, since_ns=at(20)), topology(reader, since_ns=at(20), lately=lately)
    assert kept.nodes.equals(plain.nodes) and kept.edges.equals(plain.edges)
    assert kept.baseline == plain.baseline


@pytest.mark.parametrize(("bound", "most"), [("MOST_COUNTS", 30), ("MOST_BYTES", 400)])
def test_where_minutes_have_too_many_counts_the_last_ones_are_kept_and_the_store_knows_the_others(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    reader = Asked(store)
    for minute in range(12):
        arrive(store, at(minute + 0.5), *a_call(str(minute), at(minute + 0.4)))
    keep(store, at(15))
    few = Lately(reader).look(Window(at(6), None))
    assert few is not None
    monkeypatch.setattr(module, bound, most)
    lately = Lately(reader)
    look = lately.look(Window(at(6), None))
    assert look is not None and at(6) < look.begin * MINUTE_NS <= at(11) and look.begin > few.begin
    assert min(look.minutes) >= look.begin
    assert same(lately, reader, BEGIN + 6)
    reader.queries.clear()
    assert lately.look(Window(at(6), None)) is not None
    assert len(reader.queries) == 1, "what was too much is not read again"
    arrive(store, at(11.7), *a_call("late", at(7.5)), *a_call("new", at(11.6)))
    assert same(lately, reader, BEGIN + 6)
    plain, kept = topology(reader, since_ns=at(6)), topology(reader, since_ns=at(6), lately=lately)
    assert kept.nodes.equals(plain.nodes) and kept.edges.equals(plain.edges)


def test_a_store_that_fell_silent_is_asked_one_thing(store: DuckDBStore) -> None:
    reader = Asked(store)
    lately = Lately(reader)
    arrive(store, at(0.5), *a_call("a", at(0.4)))
    for later in (3, 300, 30_000):
        topology(reader, since_ns=at(later), lately=lately)
        reader.queries.clear()
        assert topology(reader, since_ns=at(later), lately=lately).spans == 0
        assert len(reader.queries) == 1
    arrive(store, at(30_001), *a_call("b", at(30_000.5)))
    assert topology(reader, since_ns=at(30_000), lately=lately).spans == 2


def test_a_store_of_before_this_is_answered_as_any_and_what_fails_is_told(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Asked(store)
    arrive(store, at(0.5), *a_call("a", at(0.4)))
    ask = reader.sql

    def too_much(query: str) -> pa.Table:
        if "tracescape_pruned" in query:
            raise QueryError("The query needs more memory than there is.")
        return ask(query)

    with monkeypatch.context() as patched, pytest.raises(QueryError, match="more memory"):
        patched.setattr(reader, "sql", too_much)
        Lately(reader).look(Window(at(0), None))
    store.connection.execute("ALTER TABLE tracescape_rollups DROP COLUMN part")
    assert Lately(reader).look(Window(at(0), None)) is None
    assert topology(reader, since_ns=at(0), lately=Lately(reader)).spans == 2


def test_what_a_topology_says_is_the_same(store: DuckDBStore) -> None:
    reader = Asked(store)
    lately = Lately(reader)
    for number in range(300):
        start = at(number / 50)
        rows = a_call(str(number), start - 5_000_000)
        if number > 200 and number % 4 == 0:
            rows[1]["status"] = 2
        arrive(store, start, *rows)
        if number % 60 == 59:
            keep(store, start)
            known = topology(reader, since_ns=at(3), lately=lately)
            plain = topology(reader, since_ns=at(3))
            assert known.nodes.equals(plain.nodes) and known.edges.equals(plain.edges)
            assert (known.until_ns, known.spans, known.traces, known.unpaired, known.baseline) == (
                plain.until_ns,
                plain.spans,
                plain.traces,
                plain.unpaired,
                plain.baseline,
            )
    assert known.nodes.filter(service="pay")["state"].to_list() == ["failing"]


def test_who_comes_back_after_a_while_begins_anew(store: DuckDBStore) -> None:
    reader = Asked(store)
    lately = Lately(reader)
    for minute in (0, 1, 2, 12, 13, 60):
        arrive(store, at(minute + 0.5), *a_call(str(minute), at(minute + 0.4)))
        same(lately, reader, BEGIN + minute - 1)
        assert len(lately._rows) <= 4 and len(lately._minutes) <= 12


def test_more_spans_than_are_held_are_read_when_they_matter(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_HELD", 8)
    reader = Asked(store)
    lately = Lately(reader)
    kept = 0
    for number in range(60):
        arrive(store, at(number / 10), *a_call(str(number), at(number / 10) - 2_000))
        kept += same(lately, reader, BEGIN + max(number // 10 - 3, 0))
        assert sum(table.num_rows for tables in lately._rows.values() for table in tables) <= 8
    assert kept > 40


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("change", ["prune", "roll up", "both"])
def test_what_is_pruned_or_rolled_up_while_it_is_read_is_read_again(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch, change: str, known: bool
) -> None:
    for number in range(30):
        arrive(store, at(number / 5), *a_call(str(number), at(number / 5) - 2_000))
    keep(store, at(6))
    reader, window = Asked(store), Window(at(2), None)
    ask, whole = reader.sql, Window(at(-2), None)
    early = at(5.5 if known else 3)  # what is held tells of that, or not
    for wanted in range(30):
        step, moment, lately = 0, at(6) + 3 * wanted, Lately(reader)
        if known:
            lately.look(window)
        arrive(store, moment, *a_call(f"o{wanted}", early), *a_call(f"p{wanted}", at(5.9)))
        arrive(store, moment + 1, *a_call(f"q{wanted}", early), *a_call(f"r{wanted}", at(5.9)))

        def sql(query: str, wanted: int = wanted, moment: int = moment) -> pa.Table:
            nonlocal step
            if step == wanted:
                if change != "roll up":
                    store.prune(store.arrivals()[-1][0])
                if change != "prune":
                    arrive(store, moment + 2, *a_call(f"m{wanted}", early), *a_call(f"n{wanted}", at(5.9)))
                    keep(store, at(7))
            step += 1
            return ask(query)

        before = said(counts_of_window(reader, whole))
        monkeypatch.setattr(reader, "sql", sql)
        look = lately.look(window)
        monkeypatch.setattr(reader, "sql", ask)
        assert look is not None
        assert said(look.counts(whole)) in (before, said(counts_of_window(reader, whole)))
        if step <= wanted:
            break
    assert 1 < wanted < 29


def keep(store: DuckDBStore, now_ns: int) -> None:
    upkeep = Upkeep(store)
    upkeep.step(now_ns)
    upkeep.step(now_ns + LONGEST_WAIT_NS + SETTLE_NS)
    upkeep.close()


AGES = st.one_of(
    st.integers(-3 * MINUTE_NS, 6 * MINUTE_NS),
    st.integers(0, MINUTE_NS),
    st.sampled_from([0, 1, 2, 3]).map(lambda m: m * MINUTE_NS),
)


@st.composite
def arrivals(draw: st.DrawFn) -> list[tuple[int, Row]]:
    """Spans of few traces with the moments at which they arrive, in order."""
    moment, found = BEGIN * MINUTE_NS, []
    for i in range(1, draw(st.integers(2, 16))):
        moment += draw(st.sampled_from([1, 5, 20, 45, 70, 130])) * 1_000_000_000
        start = moment - draw(AGES)
        row = span(
            str(i),
            draw(st.sampled_from([None, *(str(j) for j in range(max(1, i - 4), i + 2))])),
            trace=draw(st.sampled_from("xyz")),
            service=draw(st.sampled_from("ab")),
            kind=draw(st.sampled_from(KINDS)),
            status=draw(st.sampled_from(["unset", "error"])),
            start=start,
            end=start + draw(st.integers(0, 2 * MINUTE_NS)),
            db_system=draw(st.sampled_from([None, None, "pg"])),
            server_address=draw(st.sampled_from([None, "h", "a"])),
            messaging_destination=draw(st.sampled_from([None, None, "topic"])),
            trace_state=draw(st.sampled_from([None, None, None, "ot=th:c"])),
        )
        found.append((moment, row))
    return found


def links_of(row: Row, others: Sequence[tuple[int, Row]]) -> list[Row]:
    """A link from a consumer to the first producer."""
    sent = [other for _, other in others if other["kind"] == KINDS.index("producer")][:1]
    if row["kind"] != KINDS.index("consumer"):
        return []
    return [
        {
            **link("t", "0", "t", "0", start=int(str(row["start_ns"]))),
            "trace_id": row["trace_id"],
            "span_id": row["span_id"],
            "linked_trace_id": one["trace_id"],
            "linked_span_id": one["span_id"],
        }
        for one in sent
    ]


@given(arrivals(), st.data())
@settings(max_examples=16, deadline=None)
def test_what_is_kept_equals_recomputation(rows: list[tuple[int, Row]], data: st.DataObject) -> None:
    linked = data.draw(st.booleans())
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        if data.draw(st.booleans()):  # most windows are long ones then
            patched.setattr(module, "MOST_MINUTES", 2)
            patched.setattr(module, "_RECENT", 1)
        if data.draw(st.booleans()):  # and minutes are too much
            patched.setattr(module, data.draw(st.sampled_from(["MOST_COUNTS", "MOST_BYTES"])), 20)
        store = DuckDBStore(Path(folder) / "0.db")
        reader = Asked(store)
        lately = Lately(reader)
        for number, (moment, row) in enumerate(rows):
            arrive(store, moment, row, links=links_of(row, rows) if linked else [])
            action = data.draw(st.sampled_from(["none", "none", "keep", "restart", "prune", "other"]))
            if action == "keep":
                keep(store, moment)
            elif action == "restart":
                store.close()
                store = reader.store = DuckDBStore(store.path)
            elif action == "prune":
                store.prune(data.draw(st.sampled_from(store.arrivals()))[0])
            elif action == "other" and number == len(rows) // 2:
                store.close()
                store = reader.store = DuckDBStore(Path(folder) / "1.db")
                arrive(store, moment, row)
            if data.draw(st.booleans()):
                since = moment // MINUTE_NS - data.draw(st.integers(0, 7))
                until = data.draw(st.one_of(st.none(), st.integers(since, since + 7)))
                same(lately, reader, since, until)
        same(lately, reader, rows[-1][0] // MINUTE_NS - 5)
        store.close()
