"""Room that pruning left in the file goes back to the system; nothing is lost, whoever reads or kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.otlp import request, span
from tracescape_ingest.decode import decode_traces
from tracescape_storage import compaction
from tracescape_storage.duckdb_file import DuckDBStore, open_reader
from tracescape_storage.errors import StoreError

MIB = 1 << 20
_WHOLE = (
    "select 'spans' as name, count(*) as n, bit_xor(hash(s)) as h from spans s"
    " union all select 'events', count(*), bit_xor(hash(s)) from events s"
    " union all select 'arrivals', count(*), bit_xor(hash(s)) from tracescape_trace_arrivals s"
    " union all select 'resources', count(*), bit_xor(hash(s)) from resources s"
    " union all select 'columns', count(*), bit_xor(hash(s)) from tracescape_attribute_columns s"
    " union all select 'pruned', count(*), bit_xor(hash(s)) from tracescape_pruned s order by 1"
)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "WORTH_BYTES", MIB)
    monkeypatch.setattr(compaction, "SLICE_ROWS", 10_000)


@pytest.fixture(scope="module")
def holey(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a store most of which was pruned; what is left stands at the file's end."""
    path = tmp_path_factory.mktemp("holey") / "t.db"
    fill(path)
    return path.read_bytes()


@pytest.fixture
def store(tmp_path: Path, holey: bytes) -> Iterator[DuckDBStore]:
    (tmp_path / "t.db").write_bytes(holey)
    opened = DuckDBStore(tmp_path / "t.db")
    yield opened
    opened.close()


def fill(path: Path) -> None:
    store = DuckDBStore(path)
    random = Random(1)
    for _ in range(20):
        spans = [span(random.randbytes(1000).hex(), attributes={"user.id": str(n)}) for n in range(500)]
        for each in spans:
            each.events.add(name="event")
        tables = decode_traces(request(*spans).SerializeToString()).tables
        tables["spans"] = pa.concat_tables([tables["spans"]] * 20)
        store.append(tables)
    store.connection.execute("CHECKPOINT")
    store.prune(store.arrivals()[16][0])
    store.close()


def whole(store: DuckDBStore) -> list[dict[str, object]]:
    return store.reader().sql(_WHOLE).to_pylist()


def free(store: DuckDBStore) -> int:
    room = compaction.room_of(store.connection)
    return room.total - room.used


def in_file_order(store: DuckDBStore) -> list[int]:
    return store.reader().sql("select span_id from spans order by arrived_ns, rowid")["span_id"].to_pylist()


def test_a_file_gives_back_what_pruning_left_and_holds_the_same_rows_in_the_same_order(
    store: DuckDBStore,
) -> None:
    before, size, order = whole(store), store.path.stat().st_size, in_file_order(store)
    assert free(store) > size / 2
    steps: list[tuple[int, int]] = []
    returned = store.compact(lambda done, of: steps.append((done, of)))
    assert returned > size / 4
    assert store.path.stat().st_size == size - returned
    assert free(store) < size / 4
    assert whole(store) == before
    assert in_file_order(store) == order
    assert all(done <= of for done, of in steps)
    assert steps[-1][0] == steps[-1][1]
    assert store.compact() == 0  # more than half of it is in use
    path = store.path
    store.close()
    reader = open_reader(path)
    assert reader.sql(_WHOLE).to_pylist() == before
    reader.close()


def test_what_arrives_and_is_pruned_meanwhile_is_not_lost_and_does_not_come_back(store: DuckDBStore) -> None:
    tables = decode_traces(request(span("new")).SerializeToString()).tables
    done: list[int] = []
    pruned: list[int] = []

    def meanwhile(rows: int, _: int) -> None:
        done.append(rows)
        store.append(tables)
        if rows > 20_000 and not pruned:
            pruned.append(rows)
            store.prune(store.arrivals()[1][0])

    spans = store.reader().extent().spans
    store.compact(meanwhile)
    found = store.reader().sql("select count(*) filter (operation = 'new') as new, count(*) as n from spans")
    assert found.to_pylist() == [{"new": len(done), "n": spans - 10_000 + len(done)}]


def test_a_question_that_began_before_sees_what_it_saw(store: DuckDBStore) -> None:
    with store.pool.lent() as cursor:
        before = cursor.connection.execute(_WHOLE).fetchall()
        store.compact()
        assert cursor.connection.execute(_WHOLE).fetchall() == before
    assert [tuple(row.values()) for row in whole(store)] == before


def test_what_came_just_now_stays_where_it_is(store: DuckDBStore) -> None:
    places = "select span_id, rowid from spans order by 1, 2"
    before = store.reader().sql(places)
    store.compact(settled_s=3600.0)
    assert store.reader().sql(places) == before


def test_a_store_that_is_closed_meanwhile_ends_it(store: DuckDBStore) -> None:
    with pytest.raises(StoreError, match="closed"):
        store.compact(lambda *_: store.close())


_KILLED = """
    import os, signal, sys, threading, time
    from pathlib import Path
    from tracescape_storage import compaction
    from tracescape_storage.duckdb_file import DuckDBStore

    compaction.WORTH_BYTES, compaction.SLICE_ROWS = 1 << 20, 10_000
    store, kind, within_s = DuckDBStore(Path(sys.argv[1])), sys.argv[2], float(sys.argv[3])

    class Deadly:
        def __init__(self, connection):
            self.connection, self.begun = connection, False

        def __getattr__(self, name):
            return getattr(self.connection, name)

        def execute(self, query, *values):
            self.begun = self.begun or query.startswith("INSERT INTO spans")
            if self.begun and query.startswith(kind):
                threading.Thread(target=self.kill).start() if within_s else self.kill()
            return self.connection.execute(query, *values)

        def kill(self):
            time.sleep(within_s)
            os.kill(os.getpid(), signal.SIGKILL)

    store._connection = Deadly(store._connection)
    store.compact()
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("statement", "within_s"),
    [
        *(("INSERT INTO spans", 0.0), ("INSERT INTO spans", 0.02), ("DELETE FROM spans", 0.0)),
        *(("COMMIT", 0.0), ("COMMIT", 0.001), ("CHECKPOINT", 0.0), ("CHECKPOINT", 0.005)),
        *(("CHECKPOINT", 0.02), ("BEGIN", 0.0)),
    ],
)
def test_kill_9_before_or_within_any_statement_leaves_a_store_with_every_row(
    tmp_path: Path, holey: bytes, statement: str, within_s: float
) -> None:
    path = tmp_path / "t.db"
    path.write_bytes(holey)
    store = DuckDBStore(path)
    before = whole(store)
    store.close()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", textwrap.dedent(_KILLED), str(path), statement, str(within_s)]
    ended = subprocess.run(command, env=environment, capture_output=True, timeout=120, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    again = DuckDBStore(path)
    assert whole(again) == before
    again.compact()
    assert whole(again) == before
    again.close()
    assert path.stat().st_size < len(holey) * 0.7


@given(st.lists(st.integers(1, 9), max_size=30), st.integers(1, 20))
def test_ranges_cover_every_arrival_once(counts: list[int], at_once: int) -> None:
    arrivals = list(enumerate(counts))
    ranges = list(compaction.ranges_of(arrivals, at_once))
    assert [sum(n for at, n in arrivals if after < at <= until) for after, until, _ in ranges] == [
        rows for _, _, rows in ranges
    ]
    assert sum(rows for _, _, rows in ranges) == sum(counts)
    assert all(rows >= at_once for _, _, rows in ranges[:-1])
    assert [after for after, _, _ in ranges[1:]] == [until for _, until, _ in ranges[:-1]]
