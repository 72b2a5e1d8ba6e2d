"""A copy of a store has everything that had arrived, and nothing changes on the way."""

import threading
from pathlib import Path

import pytest

from support.otlp import request, span
from tracescape_ingest.decode import decode_traces
from tracescape_storage import backup
from tracescape_storage.backup import copy_store
from tracescape_storage.duckdb_file import DuckDBReader, DuckDBStore, open_reader
from tracescape_storage.errors import StoreError
from tracescape_storage.schema import TABLES


@pytest.fixture
def store(tmp_path: Path):
    opened = DuckDBStore(tmp_path / "t.db")
    yield opened
    opened.close()


def add(store: DuckDBStore, count: int, **attributes: object) -> None:
    spans = [span(f"s{number}", attributes=attributes) for number in range(count)]
    for each in spans:
        each.events.add(name="e")
        each.links.add(trace_id=b"l" * 16, span_id=b"m" * 8)
    store.append(decode_traces(request(*spans).SerializeToString()).tables)


def rows(reader: DuckDBReader) -> dict[str, list]:
    names = [*TABLES, "spans_v", "tracescape_pruned"]
    return {name: reader.sql(f"select * from {name} order by all").to_pylist() for name in names}


def test_every_row_of_every_table_is_copied_as_it_is(
    store: DuckDBStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "_SLICE_ROWS", 7)
    for number in range(6):
        add(store, 5, mine=number, **{"http.request.method": "GET"})
    add(store, 300, many="x")
    add(store, 3, many="y")
    store.prune(store.arrivals()[1][0])
    seen: list[tuple[int, int]] = []
    count = copy_store(store.reader(), tmp_path / "copy.db", lambda done, total: seen.append((done, total)))
    copy = open_reader(tmp_path / "copy.db")
    assert rows(copy) == rows(store.reader())
    assert copy.attribute_columns() == store.attribute_columns
    assert seen[-1] == (count, count) == (3 * 328, 3 * 328)
    copy.close()


def test_a_copy_of_a_store_that_is_written_to_is_what_had_arrived(store: DuckDBStore, tmp_path: Path) -> None:
    add(store, 50)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            add(store, 7)

    writing = threading.Thread(target=write)
    writing.start()
    try:
        copy_store(store.reader(), tmp_path / "copy.db")
    finally:
        stop.set()
        writing.join()
    copy = open_reader(tmp_path / "copy.db")
    spans, events = (
        copy.sql(f"select count(*) as n from {name}")["n"][0].as_py() for name in ("spans", "events")
    )
    assert spans == events
    assert (spans - 50) % 7 == 0
    copy.close()


def test_no_file_is_overwritten_and_no_half_copy_stays(store: DuckDBStore, tmp_path: Path) -> None:
    add(store, 3)
    (tmp_path / "there.db").write_text("mine")
    with pytest.raises(StoreError, match="exists already"):
        copy_store(store.reader(), tmp_path / "there.db")
    assert (tmp_path / "there.db").read_text() == "mine"

    def fail(*_: int) -> None:
        raise StoreError("the collector went away")

    with pytest.raises(StoreError, match="went away"):
        copy_store(store.reader(), tmp_path / "half.db", fail)
    assert not list(tmp_path.glob("half*"))
