"""Keys of trace ids: an array of them is what each alone is."""

from contextlib import closing
from pathlib import Path

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from support.otlp import batch, request, span
from tracescape_ingest.decode import decode_traces
from tracescape_storage.ddl import TRACE_ARRIVALS
from tracescape_storage.duckdb_file import DuckDBStore, open_reader
from tracescape_storage.reader import Reader
from tracescape_storage.trace_keys import trace_key, trace_keys

_IDS = st.lists(st.none() | st.binary(min_size=16, max_size=16), max_size=20)


@given(_IDS, _IDS, st.integers(0, 10))
def test_many_at_once_are_the_same_as_one_by_one(first: list, second: list, skipped: int) -> None:
    ids = first + second
    chunks = [pa.array(first, pa.binary()), pa.array(second, pa.binary()).dictionary_encode()]
    for array in (
        pa.chunked_array([pa.array(first, pa.binary()), pa.array(second, pa.binary())]),
        pa.chunked_array([pa.array([b"x" * 16, *ids], pa.binary()).slice(1)]),
        pa.chunked_array([chunks[1]], pa.dictionary(pa.int32(), pa.binary())),
    ):
        expected = second if pa.types.is_dictionary(array.type) else ids
        found = trace_keys(array.slice(skipped)).to_pylist()
        assert found == [None if each is None else trace_key(each) for each in expected[skipped:]]


def test_traces_that_share_a_key_are_told_apart(tmp_path: Path) -> None:
    store = DuckDBStore(tmp_path / "t.db")
    one, other = b"a" * 16, b"b" * 13 + b"a" * 3
    assert trace_key(one) == trace_key(other)
    spans = [span("mine", trace_id=one), span("theirs", trace_id=other)]
    store.append(decode_traces(request(*spans).SerializeToString()).tables)
    found = store.reader().spans(["operation"], trace_ids=[one])
    assert found["operation"].to_pylist() == ["mine"]
    store.close()


def test_a_store_that_lacks_the_index_gets_it_and_is_read_without_it(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    store = DuckDBStore(path)
    ids = [bytes([number]) * 16 for number in (1, 2, 3)]
    for one in ids:
        store.append(batch(span("early", trace_id=one), span("late", trace_id=one)))
    store.connection.execute(f"DROP TABLE {TRACE_ARRIVALS}")
    store.close()

    def found(reader: Reader) -> list[list[str]]:
        return [sorted(reader.spans(["operation"], trace_ids=[one])["operation"].to_pylist()) for one in ids]

    with closing(open_reader(path)) as reader:
        assert not reader.indexed
        assert found(reader) == [["early", "late"]] * 3
    store = DuckDBStore(path)
    assert found(store.reader()) == [["early", "late"]] * 3
    rows = store.connection.execute(f"SELECT count(*), count(DISTINCT arrived_ns) FROM {TRACE_ARRIVALS}")
    assert rows.fetchall() == [(3, 3)]
    store.close()
    with closing(open_reader(path)) as reader:
        assert reader.indexed
        assert found(reader) == [["early", "late"]] * 3


def test_what_is_pruned_leaves_the_index_too(tmp_path: Path) -> None:
    store = DuckDBStore(tmp_path / "t.db")
    for number in (1, 2):
        store.append(batch(span(trace_id=bytes([number]) * 16)))
    last = store.arrivals()[-1][0]
    store.prune(last)
    rows = store.connection.execute(f"SELECT arrived_ns FROM {TRACE_ARRIVALS}").fetchall()
    assert rows == [(last,)]
    assert store.reader().spans(["kind"], trace_ids=[b"\1" * 16, b"\2" * 16]).num_rows == 1
    store.close()
