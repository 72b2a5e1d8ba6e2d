"""Keys of trace ids: an array of them is what each alone is."""

from pathlib import Path

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from support.otlp import request, span
from tracescape_ingest.decode import decode_traces
from tracescape_storage.duckdb_file import DuckDBStore
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
