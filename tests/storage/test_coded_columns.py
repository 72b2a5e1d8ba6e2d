"""Texts come coded by the database where that goes, and are the same texts either way."""

from pathlib import Path

import pyarrow as pa
import pytest

from support.otlp import request, span
from tracescape_ingest.decode import decode_traces
from tracescape_storage import select
from tracescape_storage.duckdb_file import DuckDBReader, DuckDBStore

NAMES = ["plain", "it's", "ünï", "", 'q"uote', "a" * 300, "new\nline", "--", "'); drop table spans; --"]


@pytest.fixture
def store(tmp_path: Path):
    opened = DuckDBStore(tmp_path / "t.db")
    yield opened
    opened.close()


def add(store: DuckDBStore, *names: str) -> None:
    spans = [
        span(name, attributes={"db.system": name} if number % 2 else {}) for number, name in enumerate(names)
    ]
    store.append(decode_traces(request(*spans, service=names[0] or "none").SerializeToString()).tables)


def plain(reader: DuckDBReader) -> list[tuple]:
    rows = reader.sql("select span_id, service, operation, db_system from spans_full").to_pylist()
    return sorted((tuple(row.values()) for row in rows), key=repr)


def coded(reader: DuckDBReader) -> list[tuple]:
    table = reader.spans(["span_id", "service", "operation", "db_system"])
    kind = pa.dictionary(pa.int32(), pa.string())
    assert [field.type for field in table.schema][1:] == [kind] * 3
    return sorted((tuple(row.values()) for row in table.to_pylist()), key=repr)


def queries(reader: DuckDBReader, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    asked: list[str] = []
    original = DuckDBReader.sql

    def noting(self: DuckDBReader, query: str) -> pa.Table:
        asked.append(query)
        return original(self, query)

    monkeypatch.setattr(DuckDBReader, "sql", noting)
    return asked


def test_any_names_come_back_as_they_are(store: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    add(store, *NAMES)
    add(store, *reversed(NAMES))
    reader = store.reader()
    expected = plain(reader)
    asked = queries(reader, monkeypatch)
    assert coded(reader) == expected
    assert "ENUM" in asked[-1]


@pytest.mark.parametrize("reason", ["nul", "many"])
def test_names_that_cannot_be_coded_there_are_coded_here(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    if reason == "many":
        monkeypatch.setattr(select, "_MAX_NAMES_BYTES", 20)
    add(store, *NAMES, "nul\0" if reason == "nul" else "one")
    reader = store.reader()
    expected = plain(reader)
    asked = queries(reader, monkeypatch)
    assert coded(reader) == expected
    assert "ENUM" not in asked[-1]


def test_what_arrives_between_the_two_questions_is_left_to_the_next(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(store, "first")
    reader = store.reader()
    original = DuckDBReader.sql

    def adding(self: DuckDBReader, query: str) -> pa.Table:
        found = original(self, query)
        if "DISTINCT" in query:
            add(store, "late")
        return found

    monkeypatch.setattr(DuckDBReader, "sql", adding)
    assert reader.spans(["operation"])["operation"].to_pylist() == ["first"]
    monkeypatch.undo()
    assert sorted(reader.spans(["operation"])["operation"].to_pylist()) == ["first", "late"]


def test_an_empty_window_has_the_same_columns(store: DuckDBStore) -> None:
    assert coded(store.reader()) == []
