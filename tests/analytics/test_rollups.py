"""What blocks say equals what spans say: for any order of arrival, batches, restarts and prunes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_reader import KINDS, link, link_table, span, stored_span_table
from tracescape_analytics import calls, kept_blocks, shapes
from tracescape_analytics import upkeep as upkeeping
from tracescape_analytics.blocks import Block, sum_of
from tracescape_analytics.calls import counts_of_window
from tracescape_analytics.counts import Counts, Exemplars, greatest
from tracescape_analytics.rollups import counts_of, kept_samples
from tracescape_analytics.topology import topology
from tracescape_analytics.upkeep import SETTLE_NS, Upkeep
from tracescape_analytics.windows import Window
from tracescape_native.tally import sums_by_key
from tracescape_storage import known_shapes
from tracescape_storage import rollups as kept
from tracescape_storage.duckdb_file import DuckDBStore, open_reader
from tracescape_storage.errors import StoreError
from tracescape_storage.rollups import HOUR_NS, LONGEST_WAIT_NS, MINUTE_NS, contents_sql
from tracescape_storage.schema import PROMOTED

Row = dict[str, object]
NOW = 200 * HOUR_NS
#: Two hours apart, each with an edge of an hour nearby, so that blocks of both widths occur.
BEGIN = 100 * HOUR_NS - 3 * MINUTE_NS


def said(counts: Counts) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """Counts in a form that can be compared: groups by name, in order."""
    groups = counts.groups.rows()
    cells = [(groups[group], *rest) for group, *rest in counts.cells().iter_rows()]
    exemplars = [(groups[group], *rest) for group, *rest in counts.exemplars.frame().iter_rows()]
    return sorted(cells), sorted(exemplars)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    opened = DuckDBStore(tmp_path / "t.db")
    yield opened
    opened.close()


def append(store: DuckDBStore, *rows: Row, links: list[Row] | None = None) -> None:
    store.append({"spans": stored_span_table(rows), "links": link_table(links or [])})


def keep(store: DuckDBStore, now_ns: int = NOW) -> None:
    upkeep = Upkeep(store)
    upkeep.step(now_ns)
    upkeep.step(now_ns + LONGEST_WAIT_NS + SETTLE_NS)
    upkeep.close()


def blocks(store: DuckDBStore) -> list[tuple[int, int]]:
    found = store.reader().sql("SELECT start_ns, width_ns FROM tracescape_rollups ORDER BY 2, 1")
    return list(zip(found["start_ns"].to_pylist(), found["width_ns"].to_pylist(), strict=True))


def a_call(trace: str, start: int, server: int = 10) -> list[Row]:
    return [
        span(
            "A", trace=trace, service="shop", kind="client", start=start, end=start + 100, peer_service="pay"
        ),
        span("B", "A", trace=trace, service="pay", kind="server", start=start + server, end=start + 60),
    ]


def same(store: DuckDBStore, since: int | None, until: int | None) -> None:
    reader, window = store.reader(), Window(since, until)
    assert said(counts_of(reader, window)) == said(counts_of_window(reader, window))


def test_minutes_and_hours_become_blocks(store: DuckDBStore) -> None:
    hour = 100 * HOUR_NS
    append(store, *a_call("a", hour + 5), *a_call("b", hour + 7 * MINUTE_NS))
    assert blocks(store) == []
    keep(store)
    assert blocks(store) == [(hour, MINUTE_NS), (hour + 7 * MINUTE_NS, MINUTE_NS), (hour, HOUR_NS)]
    same(store, None, None)
    same(store, hour + 1, hour + 7 * MINUTE_NS + 50)
    same(store, hour, hour + HOUR_NS)


def test_a_late_server_takes_back_the_call_to_something_external(store: DuckDBStore) -> None:
    client, server = a_call("a", 100 * HOUR_NS)
    append(store, client)
    keep(store)
    assert topology(store.reader(), since_ns=0).edges["target"].to_list() == ["pay"]
    assert topology(store.reader(), since_ns=0).nodes["kind"].to_list() == ["external", "service"]
    append(store, server)
    assert set(topology(store.reader(), since_ns=0).nodes["kind"]) == {"service"}
    same(store, None, None)
    keep(store)
    assert blocks(store)
    same(store, None, None)


def test_a_parent_in_the_minute_before_counts(store: DuckDBStore) -> None:
    edge = 100 * HOUR_NS + 9 * MINUTE_NS
    client, server = a_call("a", edge - 5)
    append(store, server)
    keep(store)
    append(store, client)
    same(store, edge, edge + MINUTE_NS)
    keep(store)
    same(store, edge, edge + MINUTE_NS)
    assert len(counts_of(store.reader(), Window(edge, edge + MINUTE_NS)).keys)


def test_a_minute_that_has_not_settled_is_answered_from_spans(store: DuckDBStore) -> None:
    minute = NOW - MINUTE_NS
    append(store, *a_call("a", minute))
    upkeep = Upkeep(store)
    assert upkeep.step(NOW + SETTLE_NS) == 0
    same(store, None, None)
    assert upkeep.step(NOW + MINUTE_NS + SETTLE_NS) > 0
    assert (minute, MINUTE_NS) in blocks(store)
    same(store, None, None)
    upkeep.close()


def test_what_is_pruned_is_gone_from_the_blocks(store: DuckDBStore) -> None:
    append(store, *a_call("a", 100 * HOUR_NS))
    append(store, *a_call("b", 100 * HOUR_NS + 9))
    keep(store)
    store.prune(store.arrivals()[1][0])
    assert blocks(store) == []
    same(store, None, None)
    keep(store)
    same(store, None, None)
    assert topology(store.reader()).spans == 2


def test_blocks_of_spans_that_were_pruned_meanwhile_are_not_taken(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(store, *a_call("a", 100 * HOUR_NS))
    append(store, *a_call("b", 100 * HOUR_NS + 9))
    upkeep, put = Upkeep(store), store.put_rollups

    def pruned_before(rolled):  # type: ignore[no-untyped-def]
        monkeypatch.undo()
        store.prune(store.arrivals()[1][0])
        return put(rolled)

    upkeep.step(NOW)
    monkeypatch.setattr(store, "put_rollups", pruned_before)
    upkeep.step(NOW + SETTLE_NS)
    assert blocks(store) == []
    upkeep.step(NOW + 2 * SETTLE_NS)
    assert blocks(store)
    same(store, None, None)
    upkeep.close()


def test_a_file_without_blocks_is_answered_from_spans(tmp_path: Path) -> None:
    store = DuckDBStore(tmp_path / "t.db")
    append(store, *a_call("a", 100 * HOUR_NS))
    for table in ("rollups", "rollup_groups", "rollup_pending", "rollup_state"):
        store.connection.execute(f"DROP TABLE tracescape_{table}")
    store.close()
    with pytest.raises(StoreError):
        open_reader(tmp_path / "t.db").sql("FROM tracescape_rollup_state")
    assert topology(open_reader(tmp_path / "t.db")).spans == 2
    DuckDBStore(tmp_path / "t.db").close()
    assert topology(open_reader(tmp_path / "t.db")).spans == 2


MOMENTS = st.one_of(
    st.integers(0, 7 * MINUTE_NS),
    st.sampled_from([0, 1, 59, 60, 61, 120, 125, 180]).map(lambda m: m * MINUTE_NS),
)


@st.composite
def spans(draw: st.DrawFn) -> list[Row]:
    return [
        span(
            str(i),
            draw(st.sampled_from([None, *(str(j) for j in range(max(1, i - 4), i))])),
            trace=draw(st.sampled_from("xyz")),
            service=draw(st.sampled_from("ab")),
            kind=draw(st.sampled_from(KINDS)),
            status=draw(st.sampled_from(["unset", "error"])),
            start=(start := BEGIN + draw(MOMENTS)),
            end=start + draw(st.integers(0, 2 * MINUTE_NS)),
            db_system=draw(st.sampled_from([None, None, "pg"])),
            server_address=draw(st.sampled_from([None, "h", "a"])),
            gen_ai_tool=draw(st.sampled_from([None, None, "look"])),
            adjusted_count=draw(st.sampled_from([None, None, 1, 3])),
            messaging_destination=draw(st.sampled_from([None, None, "topic"])),
            trace_state=draw(st.sampled_from([None, None, "ot=th:c", "vendor=1,ot=rv:1;th:8", "ot=th:0"])),
        )
        for i in range(1, draw(st.integers(2, 16)))
    ]


def linked(rows: list[Row]) -> list[Row]:
    """A link from every consumer to the first producer."""
    producers = [row for row in rows if row["kind"] == KINDS.index("producer")]
    consumers = [row for row in rows if row["kind"] == KINDS.index("consumer")]
    first = producers[:1]
    return [
        {
            **link("t", "0", "t", "0", start=int(str(row["start_ns"]))),
            "trace_id": row["trace_id"],
            "span_id": row["span_id"],
            "linked_trace_id": sent["trace_id"],
            "linked_span_id": sent["span_id"],
        }
        for row in consumers
        for sent in first
    ]


def arriving(rows: list[Row], rest: list[Row]) -> st.SearchStrategy[int]:
    """How many of the rest come next, so that all came in at most six times."""
    return st.integers(min(-(-len(rows) // 6), len(rest)), len(rest))


@given(spans(), st.data())
@settings(max_examples=16, deadline=None)
def test_blocks_equal_recomputation(rows: list[Row], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.db"
        store = DuckDBStore(path)
        now, links = NOW, linked(rows)
        rest = data.draw(st.permutations(rows))
        while rest:
            size = data.draw(arriving(rows, rest))
            ids = {row["span_id"] for row in rest[:size]}
            append(store, *rest[:size], links=[one for one in links if one["span_id"] in ids])
            rest = rest[size:]
            action = data.draw(st.sampled_from(["keep", "half", "restart", "prune", "none"]))
            now += SETTLE_NS
            if action == "keep":
                keep(store, now)
            elif action == "half":
                upkeep = Upkeep(store)
                upkeep.step(now)
                upkeep.close()
            elif action == "restart":
                store.close()
                store = DuckDBStore(path)
            elif action == "prune":
                store.prune(data.draw(st.sampled_from(store.arrivals()))[0])
            ends = st.one_of(st.none(), MOMENTS.map(lambda moment: BEGIN + moment))
            bounds = data.draw(st.tuples(ends, ends))
            if None not in bounds:
                bounds = min(bounds), max(bounds)  # type: ignore[type-var]
            same(store, *bounds)
            same(store, None, None)
        store.close()
        reader = open_reader(path)
        window = Window(BEGIN, BEGIN + 2 * HOUR_NS)
        assert said(counts_of(reader, window)) == said(counts_of_window(reader, window))
        reader.close()


def test_blocks_of_before_sampled_spans_counted_for_more_are_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, sampled, rest = tmp_path / "t.db", BEGIN, BEGIN + 20 * MINUTE_NS
    store = DuckDBStore(path)
    append(store, *({**row, "trace_state": "ot=th:c"} for row in a_call("a", sampled)), *a_call("b", rest))
    with monkeypatch.context() as patched:
        patched.setattr(shapes, "extra_of", lambda digits: 0)
        keep(store)
    store.connection.execute("ALTER TABLE tracescape_rollup_state DROP COLUMN version")
    store.close()
    closed = open_reader(path)
    assert topology(closed).edges["calls"].sum() == 4 + 1, "a file that is only read is counted from spans"
    closed.close()
    store = DuckDBStore(path)
    assert (rest // MINUTE_NS * MINUTE_NS, MINUTE_NS) in blocks(store), "what stays as it is is kept"
    assert (sampled // MINUTE_NS * MINUTE_NS, MINUTE_NS) not in blocks(store)
    same(store, None, None)
    keep(store)
    assert (sampled // MINUTE_NS * MINUTE_NS, MINUTE_NS) in blocks(store)
    same(store, None, None)
    assert topology(store.reader()).edges["calls"].sum() == 4 + 1
    store.close()


def of_an_older_release(store: DuckDBStore, version: int | None) -> None:
    """Give the store the view, and the version of counts, that it had then."""
    columns = [name for name in PROMOTED if name not in NEWER]
    known = ", ".join(["spans.*", *(f"NULL::VARCHAR AS {name}" for name in columns)])
    store.connection.execute(f"CREATE OR REPLACE VIEW spans_full AS SELECT {known} FROM spans")
    store.connection.execute(f"UPDATE tracescape_rollup_state SET version = {version or 'NULL'}")


NEWER = {name for name in PROMOTED if name.startswith("gen_ai")} | {"url_host", "adjusted_count"}


@pytest.mark.parametrize(
    "said",
    [
        {"url_host": "api.x"},
        {"gen_ai_model": "gpt-5"},
        {"gen_ai_tool": "look", "kind": KINDS.index("internal")},
        {"db_system": "redis", "server_address": "a"},
        {"adjusted_count": 4},
    ],
)
def test_a_store_of_before_a_rule_is_answered_by_it(tmp_path: Path, said: Row) -> None:
    path, rest = tmp_path / "t.db", BEGIN + 20 * MINUTE_NS
    client, _ = a_call("a", BEGIN)
    store = DuckDBStore(path)
    append(store, {**client, "peer_service": None, **said}, *a_call("b", rest))
    keep(store)
    expected = topology(store.reader(), since_ns=0, until_ns=NOW)
    of_an_older_release(store, 2)
    store.close()
    closed = open_reader(path)
    assert topology(closed, since_ns=0, until_ns=NOW).edges.equals(expected.edges), "read as it is"
    assert closed.spans(["url_host", "gen_ai_tool"]).num_rows == 3
    closed.close()
    store = DuckDBStore(path)
    assert (rest // MINUTE_NS * MINUTE_NS, MINUTE_NS) in blocks(store), "what stays as it is is kept"
    assert (BEGIN // MINUTE_NS * MINUTE_NS, MINUTE_NS) not in blocks(store)
    same(store, None, None)
    keep(store)
    assert topology(store.reader(), since_ns=0, until_ns=NOW).edges.equals(expected.edges)
    store.close()


def test_a_minute_of_too_many_spans_is_left_to_the_spans(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    minute = 100 * HOUR_NS
    append(store, *a_call("a", minute), *a_call("a", minute + MINUTE_NS))
    append(store, *a_call("c", minute + 30 * MINUTE_NS))
    monkeypatch.setattr(upkeeping, "MOST_SPANS", 3)
    keep(store)
    assert blocks(store) == [(minute + 30 * MINUTE_NS, MINUTE_NS)]
    same(store, None, None)
    monkeypatch.setattr(upkeeping, "MOST_SPANS", 4)
    keep(store)
    assert (minute, MINUTE_NS) in blocks(store)
    same(store, None, None)


def test_of_the_minutes_beside_a_large_one_only_what_belongs_to_it_is_read(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    minute = 100 * HOUR_NS
    append(store, *a_call("aaa", minute), *a_call("bbb", minute + MINUTE_NS))
    monkeypatch.setattr(upkeeping, "MOST_SPANS", 3)
    keep(store)
    assert {start for start, _ in blocks(store)} == {minute, minute + MINUTE_NS}
    same(store, None, None)


@pytest.mark.parametrize("counts", [1, 1 << 30])
def test_a_long_window_of_spans_is_read_in_pieces(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch, counts: int
) -> None:
    begin = 100 * HOUR_NS
    for minute in range(8):
        append(store, *a_call(f"{minute}", begin + (minute + 1) * MINUTE_NS - 5))
    whole = [counts_of_window(store.reader(), Window(*ends)) for ends in ((None, None), (begin + 7, None))]
    monkeypatch.setattr(calls, "_SPANS_A_PIECE", 3)
    monkeypatch.setattr(calls, "_COUNTS_AT_ONCE", counts)
    reader = store.reader()
    for ends, expected in zip(((None, None), (begin + 7, None)), whole, strict=True):
        assert said(counts_of_window(reader, Window(*ends))) == said(expected)


def test_a_minute_that_keeps_changing_is_counted_ever_less_often(store: DuckDBStore) -> None:
    minute = 100 * HOUR_NS
    over = minute + 2 * MINUTE_NS
    append(store, *a_call("a", minute))
    upkeep = Upkeep(store)
    upkeep.step(over)
    assert upkeep.step(over + SETTLE_NS)
    append(store, *a_call("b", minute))
    late = over + 4 * MINUTE_NS
    upkeep.step(late)
    upkeep.step(late + SETTLE_NS)
    assert (minute, MINUTE_NS) not in blocks(store)
    upkeep.step(late + MINUTE_NS + SETTLE_NS)
    assert (minute, MINUTE_NS) in blocks(store)
    append(store, *a_call("c", minute))
    upkeep.step(NOW)
    upkeep.step(NOW + LONGEST_WAIT_NS)
    assert (minute, MINUTE_NS) not in blocks(store)
    same(store, None, None)
    upkeep.step(NOW + LONGEST_WAIT_NS + SETTLE_NS)
    assert (minute, MINUTE_NS) in blocks(store)
    upkeep.close()


def test_few_spans_wait_for_more_and_are_answered_meanwhile(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeeping, "ENOUGH_SPANS", 4)
    upkeep = Upkeep(store, rest_ns=10 * MINUTE_NS)
    upkeep.step(NOW)
    append(store, *a_call("a", 100 * HOUR_NS))
    now = NOW + 10 * MINUTE_NS
    assert upkeep.step(now - 1) == 0
    assert blocks(store) == []
    same(store, None, None)
    assert upkeep.step(now) == 0, "what has just been touched settles first"
    assert upkeep.step(now + 10 * MINUTE_NS) > 0
    assert blocks(store)
    same(store, None, None)
    upkeep.close()


def test_many_spans_end_a_rest(store: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeeping, "ENOUGH_SPANS", 4)
    upkeep = Upkeep(store, rest_ns=10 * MINUTE_NS)
    append(store, *a_call("a", 100 * HOUR_NS), *a_call("b", 100 * HOUR_NS))
    upkeep.step(NOW)
    append(store, *a_call("c", 101 * HOUR_NS), *a_call("d", 101 * HOUR_NS))
    assert upkeep.step(NOW + SETTLE_NS) > 0
    assert blocks(store)
    same(store, None, None)
    upkeep.close()


def test_a_step_that_fails_is_made_up_for_at_once(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(store, *a_call("a", 100 * HOUR_NS))
    upkeep = Upkeep(store, rest_ns=10 * MINUTE_NS)
    with monkeypatch.context() as patched, pytest.raises(StoreError):
        patched.setattr(store, "touch_rollups", lambda *_: (_ for _ in ()).throw(StoreError("no room")))
        upkeep.step(NOW)
    upkeep.step(NOW + 1)
    pending = store.reader().sql("FROM tracescape_rollup_pending")
    assert pending.num_rows == 3
    upkeep.close()


@given(spans(), st.data())
@settings(max_examples=10, deadline=None)
def test_blocks_equal_recomputation_whenever_upkeep_rests(rows: list[Row], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = DuckDBStore(Path(folder) / "t.db")
        upkeep, now, rest = Upkeep(store, rest_ns=5 * MINUTE_NS), NOW, data.draw(st.permutations(rows))
        while rest:
            size = data.draw(arriving(rows, rest))
            append(store, *rest[:size])
            rest = rest[size:]
            for _ in range(data.draw(st.integers(0, 3))):
                now += data.draw(st.sampled_from([SETTLE_NS, MINUTE_NS, 6 * MINUTE_NS]))
                upkeep.step(now)
            same(store, None, None)
        upkeep.close()
        store.close()


def several_hours(store: DuckDBStore) -> None:
    """Blocks of unlike sizes, in three hours with a gap between, so that their sums come in many parts."""
    for number in range(40):
        start = BEGIN + (number * 7 + number // 9 * 23) * MINUTE_NS
        append(
            store, *(row for each in range(1 + number % 4) for row in a_call(f"{number}{each}", start + each))
        )
    keep(store)


@pytest.mark.parametrize("most", [1, 40, 200, 10_000])
def test_hours_and_answers_are_the_same_however_little_is_read_at_once(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(kept_blocks, "BYTES_AT_ONCE", most)
    several_hours(store)
    assert sum(width == HOUR_NS for _, width in blocks(store)) > 2
    for ends in ((None, None), (BEGIN, BEGIN + 5 * HOUR_NS), (BEGIN + MINUTE_NS + 1, BEGIN + 2 * HOUR_NS)):
        same(store, *ends)
    length = BEGIN + 5 * HOUR_NS, 30 * MINUTE_NS
    samples = kept_samples(store.reader(), Window(BEGIN, length[0]), length[1], 6)
    assert len(samples) == 6
    for window, counts in samples:
        assert said(counts) == said(counts_of_window(store.reader(), window))


def test_of_what_is_kept_only_what_is_asked_for_is_read(store: DuckDBStore) -> None:
    several_hours(store)
    reader = store.reader()
    there = blocks(store)
    for wanted in (there[::2], there[3:9], there[-2:], []):
        found = reader.sql(contents_sql(wanted))
        assert sorted(
            zip(found["start_ns"].to_pylist(), found["width_ns"].to_pylist(), strict=True)
        ) == sorted(wanted)
    lengths = "SELECT bytes, sum(octet_length(content)) AS n FROM tracescape_rollups"
    sizes = f"{lengths} GROUP BY start_ns, width_ns, bytes"
    assert reader.sql(f"SELECT * FROM ({sizes}) WHERE bytes <> n").num_rows == 0


BLOCK_ROWS = st.tuples(st.integers(0, 40), st.integers(1, 5), st.integers(0, 3), st.integers(0, 2))


@given(st.lists(st.lists(BLOCK_ROWS, max_size=12), min_size=1, max_size=8), st.data())
def test_any_partition_of_blocks_adds_up_to_the_same_bytes(
    rows: list[list[tuple[int, int, int, int]]], data: st.DataObject
) -> None:
    parts = [a_block(each) for each in rows]
    whole = sum_of(parts).written()
    rest, sums = data.draw(st.permutations(parts)), None
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        sums = sum_of([*([sums] if sums else []), *rest[:size]])
        rest = rest[size:]
    assert sums is not None
    assert sums.written() == whole


def a_block(rows: list[tuple[int, int, int, int]]) -> Block:
    """Of (key, count, duration of the exemplar, its trace)."""
    keys, counts, durations, traces = np.array(rows, np.int64).reshape(-1, 4).T
    ids = np.repeat(traces.astype(np.uint8)[:, None], 16, axis=1)
    exemplars = Exemplars(keys >> 2, (keys & 1).astype(np.bool_), durations.copy(), ids)
    return Block(*sums_by_key(keys.copy(), counts.copy()), greatest(exemplars))


def test_stores_of_before_blocks_had_a_size_are_read_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    store = DuckDBStore(path)
    append(store, *a_call("a", 100 * HOUR_NS))
    keep(store)
    there = blocks(store)
    store.connection.execute("ALTER TABLE tracescape_rollups DROP COLUMN bytes")
    store.connection.execute("ALTER TABLE tracescape_rollups DROP COLUMN part")
    store.connection.execute("UPDATE tracescape_rollup_state SET version = 3")
    store.close()
    closed = open_reader(path)
    assert topology(closed, since_ns=0, until_ns=NOW).spans == 2
    closed.close()
    store = DuckDBStore(path)
    assert blocks(store) == there, "nothing is counted anew"
    same(store, None, None)
    store.close()


def test_a_block_is_cut_into_small_values_and_put_together_again(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_PART_BYTES", 7)
    several_hours(store)
    longest = store.reader().sql("SELECT max(octet_length(content)) AS n FROM tracescape_rollups")
    assert longest["n"].to_pylist() == [7]
    same(store, None, None)
    shuffled = "CREATE TABLE shuffled AS FROM tracescape_rollups ORDER BY hash(start_ns, part)"
    store.connection.execute(f"{shuffled}; DELETE FROM tracescape_rollups")
    store.connection.execute("INSERT INTO tracescape_rollups FROM shuffled")
    same(store, None, None)
    same(store, BEGIN + 5 * MINUTE_NS, BEGIN + 3 * HOUR_NS + 7)


def test_shapes_without_end_are_read_a_part_at_a_time(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for start in (0, 3 * MINUTE_NS):
        append(
            store,
            *(
                row | {"operation": f"GET /{i}"}
                for i in range(9)
                for row in a_call(f"{i}", BEGIN + start + i % 4)
            ),
        )
    few = said(counts_of_window(store.reader(), Window()))
    monkeypatch.setattr(known_shapes, "_FEW", 2)
    monkeypatch.setattr(known_shapes, "_AT_ONCE", 3)
    assert said(counts_of_window(store.reader(), Window())) == few


@pytest.mark.parametrize("named", [200, 0])
def test_a_closed_file_is_planned_as_the_open_one_was_and_is_asked_what_lasts_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: int
) -> None:
    monkeypatch.setattr(kept_blocks, "_RAW_NAMED", named)
    path = tmp_path / "t.db"
    store = DuckDBStore(path)
    append(store, *(row for i in range(130) for row in a_call(f"t{i}", BEGIN + i * MINUTE_NS)))
    keep(store)
    append(store, *a_call("late", BEGIN + 7 * MINUTE_NS))  # spans answer for it, and beside it
    windows = [
        Window(BEGIN + 3 * MINUTE_NS + 5, BEGIN + 125 * MINUTE_NS + 9),
        Window(BEGIN, BEGIN + 20 * MINUTE_NS),
        Window(BEGIN + 60 * MINUTE_NS, BEGIN + 61 * MINUTE_NS),
        Window(None, None),
    ]
    open_reader_ = store.reader()
    cursor = kept_blocks.cursor_of(open_reader_)
    assert cursor
    wanted = [kept_blocks.planned(open_reader_, window, cursor) for window in windows]
    counted = [said(counts_of(open_reader_, window)) for window in windows]
    store.close()
    reader = open_reader(path)
    asked: list[str] = []
    ask = type(reader).sql

    def asking(self: object, query: str) -> object:
        asked.append(query)
        return ask(self, query)  # type: ignore[arg-type]

    monkeypatch.setattr(type(reader), "sql", asking)
    assert [
        kept_blocks.planned(reader, window, kept_blocks.cursor_of(reader)) for window in windows
    ] == wanted
    assert [said(counts_of(reader, window)) for window in windows] == counted
    for lasting in (kept.CURSOR_SQL, kept.GROUPS_SQL, kept.raw_sql(cursor)):
        assert asked.count(lasting) == 1
