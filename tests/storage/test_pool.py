"""What questions borrow from a store: kept cursors, known texts, a database that comes back."""

import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.otlp import batch, span
from tracescape_storage import duckdb_file, statement
from tracescape_storage.duckdb_file import DuckDBReader, DuckDBStore, open_reader
from tracescape_storage.errors import QueryError, StoreError
from tracescape_storage.query import select_batches, select_table
from tracescape_storage.query_guard import running
from tracescape_storage.statement import checked


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    opened = DuckDBStore(tmp_path / "t.db")
    opened.append(batch(span()))
    yield opened
    opened.close()


@contextmanager
def no_room() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_question_opens_a_database_anew_that_duckdb_gave_up(store: DuckDBStore) -> None:
    before = store.reader()
    assert before.extent().spans == 1
    with no_room(), pytest.raises(duckdb.FatalException):
        store.connection.execute("CHECKPOINT")
    with pytest.raises(duckdb.FatalException):
        store.connection.cursor().execute("SELECT 1")
    assert before.extent().spans == 1
    store.append(batch(span(), span()))
    assert store.reader().extent().spans == 3


def test_what_one_question_leaves_behind_no_other_one_sees(store: DuckDBStore) -> None:
    for _ in range(3):
        with pytest.raises(QueryError):
            select_table(store.pool, "select error('so')")
        with pytest.raises(QueryError, match="characters"):
            select_table(store.pool, "select repeat('x', 100000)")
        assert select_table(store.pool, "select repeat('x', 3) as x")["x"].to_pylist() == ["xxx"]
        store.append(batch(span()))
    assert select_table(store.pool, "select count(*) as n from spans")["n"].to_pylist() == [4]


def test_a_closed_store_can_be_opened_at_once_after_its_questions(tmp_path: Path) -> None:
    for spans in range(3):
        store = DuckDBStore(tmp_path / "t.db")
        assert store.reader().extent().spans == spans
        store.append(batch(span()))
        store.close()
    with open_reader(tmp_path / "t.db").stream("select * from spans") as rows:
        assert rows.read_all().num_rows == 3


def never_ending(reader: DuckDBReader) -> tuple[threading.Thread, list[BaseException | str]]:
    """A question that is being asked, and what becomes of it."""
    said: list[BaseException | str] = []

    def ask() -> None:
        try:
            reader.sql("SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b")
            said.append("answered")
        except Exception as error:
            said.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    while not running():
        time.sleep(0.001)
    return asking, said


@pytest.mark.parametrize("writes", [False, True])
def test_a_store_that_is_closed_ends_the_questions_that_are_being_asked(tmp_path: Path, writes: bool) -> None:
    store = DuckDBStore(tmp_path / "t.db")
    if not writes:
        store.close()
    reader = store.reader() if writes else open_reader(tmp_path / "t.db")
    asking, said = never_ending(reader)
    (store if writes else reader).close()
    asking.join(20)
    assert not asking.is_alive()
    assert isinstance(said[0], StoreError)
    assert str(said[0]).startswith("The store was closed before the question was answered.")
    reader.close()
    DuckDBStore(tmp_path / "t.db").close()


def test_who_asks_a_store_that_was_closed_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    DuckDBStore(tmp_path / "t.db").close()
    monkeypatch.setattr(duckdb_file, "_PATIENCE_S", 0.0)
    reader = open_reader(tmp_path / "t.db")
    rows = reader.stream("SELECT range FROM range(1000000000)")
    rows.read_next_batch()
    reader.close()
    with pytest.raises((StoreError, OSError), match="The store was closed before the question was answered"):
        for _ in rows:  # that outlasted the patience
            pass
    with pytest.raises(StoreError, match="The store was closed before the question was answered"):
        reader.sql("SELECT 1")


def test_what_is_not_taken_of_a_stream_is_not_computed(store: DuckDBStore) -> None:
    rows = select_batches(store.pool, "select * from range(1000000000000)")
    assert rows.read_next_batch().num_rows > 0
    del rows
    with pytest.raises(QueryError, match="above"):
        select_batches(
            store.pool, "select if(range < 100000, 1, error('above')) as n from range(1000000)"
        ).read_all()


PLAIN = "select 'a' as x, \"b\" from (select 1 as b) where b < 20"


@pytest.mark.parametrize(
    "text",
    [
        "select 'a''' as x, \"b\" from (select 1 as b) where b < 20, checkpoint()",
        "select 'a' as x, \"b\" from (select 1 as b) where b < 20; drop table spans",
        "select 'a' as x, \"b'\", (from checkpoint()), \"'b\" from (select 1 as b) where b < 20",
        "select E'a\\'' as x, checkpoint() as \"b\" from (select 1 as b) where b < 20",
        "select $$'$$ as x, checkpoint(), $$'$$ as \"b\" from (select 1 as b) where b < 20",
        "select 'a' /* ' */, checkpoint() /* ' */ as x, \"b\" from (select 1 as b) where b < 20",
        "select 'a' as x, \"b\" from 'tracescape_journal' where b < 20",
        "select 'a\0' as x, \"b\" from (select 1 as b) where b < 20",
    ],
)
def test_a_known_shape_lets_nothing_else_through(store: DuckDBStore, text: str) -> None:
    with store.pool.lent() as cursor:
        checked(cursor.connection, PLAIN)
    shape = statement._shape(PLAIN)
    assert shape in statement._known
    assert statement._shape(text) != shape


def test_texts_that_differ_in_constants_are_checked_once(store: DuckDBStore) -> None:
    with store.pool.lent() as cursor:
        for user in ("it's", '"quoted"', "100", "ü"):
            text = "select count(*) from spans where service = '" + user.replace("'", "''") + "'"
            assert checked(cursor.connection, text).sql == text
    shapes = {statement._shape(f"select count(*) from spans where start_ns > {n}") for n in (1, 22, 333)}
    assert len(shapes) == 1
    assert None not in shapes


@given(st.text(alphabet="ab1 '\"(),.", max_size=40), st.text(alphabet="x '\"(", min_size=1, max_size=9))
def test_a_shape_has_the_tokens_of_its_text(tail: str, inside: str) -> None:
    text = f"select {tail}"
    other = text.replace("1", "23").replace("'a", "'" + inside)
    shape = statement._shape(text)
    if shape is None or shape != statement._shape(other):
        return
    assert [kind for _, kind in duckdb.tokenize(text)] == [kind for _, kind in duckdb.tokenize(other)]
