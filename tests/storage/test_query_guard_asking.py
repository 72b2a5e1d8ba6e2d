"""A question of several queries: one word ends them all."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.otlp import batch, span
from tracescape_storage.duckdb_file import DuckDBStore
from tracescape_storage.errors import QueryError
from tracescape_storage.query_guard import Asking

ENDLESS = "select count(*) from range(10000000000000)"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    opened = DuckDBStore(tmp_path / "t.db")
    yield opened
    opened.close()


def test_what_is_called_off_asks_no_more(store: DuckDBStore) -> None:
    asking = Asking(60.0)
    reader = store.reader(asking)
    assert reader.sql("select 1 as one").to_pylist() == [{"one": 1}]
    asking.call_off()
    asking.call_off()
    with pytest.raises(QueryError, match="called off"):
        reader.sql("select 1")
    assert store.reader().sql("select 1 as one").num_rows == 1


def test_a_query_that_runs_is_ended_from_another_thread(store: DuckDBStore) -> None:
    asking = Asking(60.0)
    threading.Timer(0.2, asking.call_off).start()
    with pytest.raises(QueryError, match="called off"):
        store.reader(asking).sql(ENDLESS)


def test_each_query_has_the_time_limit(store: DuckDBStore) -> None:
    asking = Asking(0.3)
    reader = store.reader(asking)
    time.sleep(0.4)  # what is not a query has all the time it needs: kernels may be compiled
    assert reader.sql("select 1 as one").num_rows == 1
    with pytest.raises(QueryError, match=r"longer than 0\.3 s"):
        reader.sql(ENDLESS)


def test_before_each_query_it_may_wait_for_what_that_ought_to_see(store: DuckDBStore) -> None:
    spans = iter([span("first"), span("second")])
    asking = Asking(60.0, before=lambda: store.append(batch(next(spans))))
    reader = store.reader(asking)
    for seen in (1, 2):
        assert reader.sql("select count(*) as spans from spans").to_pylist() == [{"spans": seen}]
