"""Attributes with columns of their own: a faster place, the same answers."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.otlp import request, span
from tracescape_ingest.decode import decode_traces
from tracescape_storage import attribute_columns
from tracescape_storage.attribute_columns import MAX_OTHERS, WELL_KNOWN, Sampler, is_free, split, type_of
from tracescape_storage.attributes import decode_attributes
from tracescape_storage.duckdb_file import DuckDBStore, open_reader
from tracescape_storage.errors import UnstorableError
from tracescape_storage.schema import INTEGER_PROMOTED, NUMBERS_ONLY, PROMOTED, URL_HOST


@pytest.fixture
def store(tmp_path: Path):
    with_columns = DuckDBStore(tmp_path / "t.db")
    yield with_columns
    with_columns.close()


def add(store: DuckDBStore, *attributes: Mapping[str, Any], first: int = 1) -> None:
    """A span each, decoded as a collector decodes for this store."""
    spans = [
        span("s", span_id=number.to_bytes(8, "big"), attributes=each)
        for number, each in enumerate(attributes, first)
    ]
    columns = WELL_KNOWN | dict(store.attribute_columns)
    store.append(decode_traces(request(*spans).SerializeToString(), columns=columns).tables)


def whole(store: DuckDBStore) -> list[dict[str, Any]]:
    table = store.reader().spans(["span_id", "attributes"]).sort_by("span_id")
    return [decode_attributes(text) for text in table["attributes"].to_pylist()]


def places(store: DuckDBStore) -> list[dict[str, Any]]:
    return store.reader().sql("SELECT * FROM spans ORDER BY span_id").to_pylist()


def test_what_many_spans_have_gets_a_column_and_the_next_ones_are_stored_there(store: DuckDBStore) -> None:
    common = [{"user.id": str(n), "cart.items": n, "fast": n % 2 == 0, "ratio": n / 7} for n in range(300)]
    add(store, *common)
    assert store.attribute_columns == {
        "user.id": "VARCHAR",
        "cart.items": "BIGINT",
        "fast": "BOOLEAN",
        "ratio": "DOUBLE",
    }
    add(store, {"user.id": "301", "cart.items": 5, "fast": True, "ratio": 0.5}, first=301)
    last = places(store)[-1]
    assert (last["user.id"], last["cart.items"], last["fast"], last["ratio"]) == ("301", 5, True, 0.5)
    assert last["attributes"] == "{}"
    assert whole(store) == [*common, {"user.id": "301", "cart.items": 5, "fast": True, "ratio": 0.5}]


def test_what_few_spans_have_stays_text(store: DuckDBStore) -> None:
    add(store, *[{"rare": "x"} if n < 3 else {"common": "x"} for n in range(300)])
    assert set(store.attribute_columns) == {"common"}


def test_a_value_of_another_type_stays_text_beside_the_column(store: DuckDBStore) -> None:
    add(store, *[{"code": n} for n in range(300)])
    odd = [{"code": "text"}, {"code": 1.5}, {"code": True}, {"code": [1]}, {"code": None}, {"code": -(2**63)}]
    add(store, *odd, first=301)
    assert [row["code"] for row in places(store)[300:]] == [None] * 6
    assert whole(store)[300:] == odd


def test_well_known_attributes_have_columns_from_the_first_span_on(store: DuckDBStore) -> None:
    add(store, {"http.request.method": "GET"})
    assert store.attribute_columns == {"http.request.method": "VARCHAR"}
    assert places(store)[0]["attributes"] == "{}"


def test_a_store_that_is_opened_again_knows_its_columns(tmp_path: Path) -> None:
    for number in (1, 2):
        store = DuckDBStore(tmp_path / "t.db")
        add(store, {"server.port": 80 + number, "mine": 1}, first=number)
        assert store.attribute_columns == {"server.port": "BIGINT"}
        store.close()
    reader = open_reader(tmp_path / "t.db")
    assert reader.attribute_columns() == {"server.port": "BIGINT"}
    assert reader.spans(["server_port"])["server_port"].to_pylist() == [81, 82]
    reader.close()


@pytest.mark.parametrize(
    "key",
    ["trace_id", "SERVICE", "end_ns", "rowid", "db_system", "", "1st", 'a"b', "a b", "é", "$x", "a" * 65],
)
def test_a_key_that_cannot_name_a_column_stays_text(store: DuckDBStore, key: str) -> None:
    assert not is_free(key, {})
    attributes = [{key: "x", "User": "y"}] * 300
    add(store, *attributes)
    assert set(store.attribute_columns) == {"User"}
    add(store, *[{"user": "y"}] * 300, first=301)  # SQL would take it for the same
    assert set(store.attribute_columns) == {"User"}
    assert whole(store) == [*attributes, *[{"user": "y"}] * 300]


def test_a_column_that_cannot_be_is_refused_and_nothing_is_stored(store: DuckDBStore) -> None:
    tables = decode_traces(request(span("a")).SerializeToString()).tables
    tables["spans"] = tables["spans"].append_column("rowid", pa.array(["x"]))
    with pytest.raises(UnstorableError, match="rowid"):
        store.append(tables)
    add(store, {"fine": 1})
    assert whole(store) == [{"fine": 1}]


def test_a_sender_of_endless_new_keys_gets_a_bounded_number_of_columns(store: DuckDBStore) -> None:
    for batch in range(4):
        add(store, *[{f"k{batch}.{n}": n for n in range(30)}] * 256, first=1 + 256 * batch)
    assert len(store.attribute_columns) == MAX_OTHERS
    add(store, {"server.address": "still"}, first=2000)
    assert "server.address" in store.attribute_columns
    assert whole(store)[-2:] == [{f"k3.{n}": n for n in range(30)}, {"server.address": "still"}]


def test_a_failing_sampler_costs_no_span(store: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def propose(*_: object) -> dict[str, str]:
        return {"new": "NO_SUCH_TYPE"}

    monkeypatch.setattr(Sampler, "look", propose)
    add(store, {"a": 1})
    add(store, {"b": 2}, first=2)
    assert whole(store) == [{"a": 1}, {"b": 2}]
    assert store.attribute_columns == {}


def test_the_view_for_people_has_whole_attributes_and_columns(store: DuckDBStore) -> None:
    add(store, {"http.route": 'a"b\\c\nd', "server.port": 1, "x": [1, {"y": None}]})
    (row,) = store.reader().sql('SELECT attributes, "server.port" FROM spans_v').to_pylist()
    assert json.loads(row["attributes"]) == {
        "http.route": 'a"b\\c\nd',
        "server.port": 1,
        "x": [1, {"y": None}],
    }
    assert row["server.port"] == 1


def test_questions_go_on_while_columns_are_added(store: DuckDBStore) -> None:
    add(store, *[{"n": n} for n in range(256)])
    stop, seen, failed = threading.Event(), [], []

    def ask() -> None:
        reader = store.reader()
        try:
            while not stop.is_set():
                seen.append(reader.spans(["attributes", "db_system"]).num_rows)
        except Exception as error:
            failed.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    for number, key in enumerate(WELL_KNOWN):
        add(store, {key: 1 if WELL_KNOWN[key] == "BIGINT" else "x"}, first=1000 + number)
    stop.set()
    asking.join()
    assert not failed
    assert seen == sorted(seen)
    assert store.reader().extent().spans == 256 + len(WELL_KNOWN)


_KEYS = st.sampled_from([*WELL_KNOWN, "a", "A", "b.c", "$d", "é"])
_VALUES = (
    st.text(max_size=5)
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.booleans()
    | st.none()
    | st.sampled_from(["80", "-0", "443 ", 0.0, -0.0, float("inf")])
    | st.sampled_from(["https://u:p@API.x:8443/a?b#c", "http://h", "h/path", "file:///a", "a://[::1]:80/"])
    | st.lists(st.integers(0, 3), max_size=2)
    | st.binary(max_size=3)
)
_SPANS = st.lists(st.dictionaries(_KEYS, _VALUES, max_size=6), min_size=1, max_size=6)


def expected_promoted(attributes: Mapping[str, Any], column: str) -> Any:
    if column == "url_host":
        url = first_set(attributes, column)
        named = (first_set(attributes, other) is not None for other in ("peer_service", "server_address"))
        found = re.match(URL_HOST, url) if url is not None and not any(named) else None
        return found[1].lower() if found else None
    return first_set(attributes, column)


def first_set(attributes: Mapping[str, Any], column: str) -> Any:
    for key in PROMOTED[column]:
        value = attributes.get(key)
        if type_of(value) == ("BIGINT" if column in INTEGER_PROMOTED else "VARCHAR"):
            return value
        if (
            column in INTEGER_PROMOTED - NUMBERS_ONLY
            and isinstance(value, str)
            and value.strip().lstrip("+-").isdigit()
        ):
            return int(value)
    return None


@settings(deadline=None, max_examples=60)
@given(batches=st.lists(_SPANS, min_size=1, max_size=4))
def test_attributes_come_back_whole_wherever_they_are(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[dict[str, Any]]]
) -> None:
    store = DuckDBStore(tmp_path_factory.mktemp("whole") / "t.db")
    try:
        store._sampler = Sampler(samples=3)
        count = 1
        for batch in batches:
            add(store, *batch, first=count)
            count += len(batch)
        sent = [attributes for batch in batches for attributes in batch]
        assert repr(list(map(sorted_items, whole(store)))) == repr(list(map(sorted_items, sent)))
        found = store.reader().spans(["span_id", *PROMOTED]).sort_by("span_id").to_pylist()
        for row, attributes in zip(found, sent, strict=True):
            assert {key: row[key] for key in PROMOTED} == {
                key: expected_promoted(attributes, key) for key in PROMOTED
            }
    finally:
        store.close()


def sorted_items(attributes: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(attributes.items())


def test_split_takes_only_what_fits() -> None:
    assert split({"a": 1, "b": "x"}, {"a": "BIGINT", "b": "BIGINT"}) == ({"a": 1}, {"b": "x"})
    assert attribute_columns.type_of(-0.0) is None
    assert attribute_columns.type_of(0.0) == "DOUBLE"
