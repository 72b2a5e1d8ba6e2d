"""What a question may say, and what it may take: hostile SQL against a store that goes on."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from support.otlp import batch, span
from tracescape_storage.bounded_functions import BOUNDED
from tracescape_storage.duckdb_file import DuckDBStore
from tracescape_storage.errors import QueryError
from tracescape_storage.query import Guard, select_table, selecting
from tracescape_storage.statement import REFUSED, TABLE_FUNCTIONS


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    opened = DuckDBStore(tmp_path / "t.db")
    opened.append(batch(span()))
    yield opened
    opened.close()


HOSTILE = {
    "files": [
        "select * from read_text('/etc/hosts')",
        "select * from read_blob('/etc/hosts')",
        "from read_csv('/etc/passwd')",
        "from read_json('/etc/passwd')",
        "from parquet_scan('x.parquet')",
        "from parquet_metadata('x.parquet')",
        "from '/etc/passwd'",
        "from 'https://example.com/x.parquet'",
        "from glob('/*')",
        "from sniff_csv('/etc/passwd')",
        "select (select count(*) from read_text('/etc/hosts'))",
        "with a as materialized (from read_text('/etc/hosts')) from a",
        "select 1 where exists (from read_text('/etc/hosts'))",
    ],
    "ways around": [
        "from query('select 1')",
        "from query_table('spans')",
        "from json_execute_serialized_sql(json_serialize_sql('select 1'))",
        "from arrow_scan(1::bigint::pointer, 2::bigint::pointer, 3::bigint::pointer)",
        "from pandas_scan(1::bigint::pointer)",
        "from seq_scan('spans')",
        "from python_map_function(1)",
        "from store",
        "from tracescape_journal",
        "select * from main.tracescape_journal",
        "from (select seed from TRACESCAPE_journal)",
        "from duckdb_secrets()",
        "from duckdb_logs()",
        "select length(system.main.repeat('x', 100000000))",
    ],
    "writes": [
        "from checkpoint()",
        "from force_checkpoint()",
        "call checkpoint()",
        "from enable_logging()",
        "from truncate_duckdb_logs()",
        "select write_log('x')",
        "select nextval('s')",
        "with n as (insert into spans from spans returning *) from n",
        "with n as (update spans set service = '' returning *) from n",
        "merge into spans using spans s on false when matched then delete",
        "copy (select 1) to 'x.csv'",
        "export database 'x'",
        "attach ':memory:' as m",
        "detach t",
        "use t",
        "load json",
        "install httpfs",
        "vacuum",
        "set memory_limit = '100GB'",
        "reset memory_limit",
        "set variable x = 1",
        "create temp table x as select 1",
        "create temp macro repeat(s, n) as s",
        "prepare p as select 1",
        "begin",
        "rollback",
        "explain select 1",
        "explain analyze insert into spans from spans",
        "select 1; drop table spans",
    ],
    "sizes": [
        "select repeat('x', 2000000000)",
        "select 'x'.repeat(2000000000)",
        "select repeat('x', 50000000 + range) from range(10)",
        "select repeat([1], 100000000)",
        "select repeat('x'::blob, 2000000000)",
        "select lpad('x', 2000000000, 'y')",
        "select rpad('x', 2000000000, 'y')",
        "select range(2000000000)",
        "select range(0, 2000000000)",
        "select range(0, 4000000000, 2)",
        "select range(4000000000, 0, -2)",
        "select generate_series(1, 2000000000)",
        "select generate_series(timestamp '1900-01-01', timestamp '2100-01-01', interval 1 microsecond)",
        "select list_resize([1], 2000000000)",
        "select array_resize([1], 2000000000, 0)",
        "select bar(1, 0, 10, 2000000000)",
        "select replace(repeat('x', 60000), 'x', repeat('y', 60000))",
        "select regexp_replace(repeat('x', 60000), 'x', repeat('y', 60000), 'g')",
        "select format('{:1000000000}', 'x')",
        "select format('{:{}}', 'x', 1000000000)",
        "select printf('%1000000000d', 1)",
        "select printf('%*d', 1000000000, 1)",
        "select printf(repeat('%1', 9) || 'd', 1)",
        "select bitstring('1', 2000000000)",
        "select to_base(1, 2, 2000000000)",
        "select list_reduce(range(40), lambda a, b: a + b)",
        "select sleep_ms(60000)",
        "select 1 " + "union all select 1 " * 1000,
        "select " + "(" * 100_000 + "1" + ")" * 100_000,
        "select " + "[" * 900 + "1" + "]" * 900,
        "select " + "+".join(["1"] * 900),
        "from " + ", ".join(f"(values (1)) t{i}" for i in range(300)),
        "select count(*) from " + ", ".join(f"spans t{i}" for i in range(300)),
        "select '" + "x" * 300_000 + "'",
    ],
}


@pytest.mark.parametrize("query", [each for kind in HOSTILE.values() for each in kind], ids=lambda q: q[:40])
def test_hostile_sql_is_an_error_at_once_and_the_store_goes_on(store: DuckDBStore, query: str) -> None:
    begin = time.thread_time()  # of a machine that has other work, too
    with pytest.raises(QueryError) as refused:
        select_table(store.pool, query)
    assert time.thread_time() - begin < 5
    assert len(str(refused.value)) > 20
    store.append(batch(span()))
    assert store.reader().extent().spans == 2


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("select repeat('ab', 3)", "ababab"),
        ("select repeat('ab'::blob, 2)", b"abab"),
        ("select repeat([1], 2)", [1, 1]),
        ("select repeat(service, 2) from spans", "shopshop"),
        ("select lpad('7', 3, '0') || rpad('7', 3, '0')", "007700"),
        ("select range(3) || range(1, 3) || range(5, 1, -2)", [0, 1, 2, 1, 2, 5, 3]),
        ("select generate_series(1, 3)", [1, 2, 3]),
        ("select len(range(date '2020-01-01', date '2020-03-01', interval 1 day))", 60),
        ("select len(list_resize([1], 3)) + len(array_resize([1], 3, 0))", 6),
        ("select len(bar(1, 0, 2, 10))", 10),
        ("select replace('aba', 'a', 'xx') || regexp_replace('aba', 'a', 'yy', 'g')", "xxbxxyybyy"),
        ("select printf('%5.1f', 1.25) || format('{:>4}', 'x')", "  1.2   x"),
        ("select count(*) from range(1000000)", 1_000_000),
        ("select sum(generate_series) from generate_series(1, 3)", 6),
        ("select value from json_each('{\"a\": 1}')", "1"),
        (
            "with recursive n as (select 1 i union all select i + 1 from n where i < 9) select sum(i) from n",
            45,
        ),
        ("describe spans", "trace_id"),
        ("pivot (select service, 1 one from spans) on service in ('shop') using sum(one)", 1),
        ("select span_id from spans_v", None),
    ],
)
def test_what_people_need_is_answered(store: DuckDBStore, query: str, first: object) -> None:
    found = select_table(store.pool, query).column(0)[0].as_py()
    assert first is None or found == first


def test_unknown_names_come_with_near_ones(store: DuckDBStore) -> None:
    with pytest.raises(QueryError, match='Did you mean "spans"'):
        select_table(store.pool, "select * from spnas")
    with pytest.raises(QueryError, match='"duration_ns"'):
        select_table(store.pool, "select duration from spans")
    with pytest.raises(QueryError, match="Did you mean range"):
        select_table(store.pool, "from rang(3)")


def test_every_named_function_exists() -> None:
    names = {row[0] for row in duckdb.sql("select function_name from duckdb_functions()").fetchall()}
    assert names >= REFUSED | BOUNDED.keys() | TABLE_FUNCTIONS


@pytest.mark.parametrize(
    "query",
    [
        "select list(range) from range(1000000000)",
        "select string_agg(range::varchar, ',') from range(1000000000)",
        "select quantile_cont(range, 0.5) from range(1000000000)",
        "with recursive a as (select 'x' s union all select s || s from a) select max(length(s)) from a",
        "select list_transform(range(20000), lambda x: repeat('x', 65536)) from range(1000000)",
    ],
)
def test_a_query_that_gathers_without_end_is_told_so(store: DuckDBStore, query: str) -> None:
    with pytest.raises(QueryError, match="needs more memory than questions have here"):
        select_table(store.pool, query, time_limit_s=30)
    store.append(batch(span()))


HEAVY = [
    "select list(range) from range(1000000000)",
    "select range % 20000000 as n, count(*), any_value(range) from range(60000000) group by n",
    "select hash(range) as h, range::varchar as t from range(20000000) order by h",
    "select count(*) from range(3000000) a join range(3000000) b on a.range % 7919 = b.range % 7907",
]


def test_heavy_queries_never_fail_a_commit(store: DuckDBStore) -> None:
    done = threading.Event()
    refused: list[str] = []

    def ask(first: int) -> None:
        number = first
        while not done.is_set():
            try:
                with selecting(store.pool, HEAVY[number % len(HEAVY)], time_limit_s=1) as batches:
                    for _ in batches:
                        pass
            except QueryError as error:
                refused.append(str(error))
            number += 1

    askers = [threading.Thread(target=ask, args=(first,)) for first in range(3)]
    for asker in askers:
        asker.start()
    tables = batch(*(span(attributes={"text": "x" * 100}) for _ in range(2_000)))
    commits, end = 0, time.monotonic() + 3
    while time.monotonic() < end:
        store.append(tables)  # a failure raises
        commits += 1
        time.sleep(0.02)
    done.set()
    for asker in askers:
        asker.join()
    assert refused, "nothing was heavy"
    assert not [text for text in refused if "invalidated" in text]
    assert store.reader().extent().spans == 1 + 2_000 * commits
    assert commits > 10


def test_a_query_that_is_called_off_ends(store: DuckDBStore) -> None:
    guard = Guard(60)
    threading.Timer(0.3, guard.call_off).start()
    begin = time.monotonic()
    with (
        pytest.raises(QueryError, match="called off"),
        selecting(store.pool, "select count(*) from range(10000000000000)", guard=guard) as batches,
    ):
        batches.read_all()
    assert time.monotonic() - begin < 3


def test_one_that_is_called_off_before_it_begins_ends_as_well(store: DuckDBStore) -> None:
    guard = Guard(60)
    guard.call_off()
    with (
        pytest.raises(QueryError, match="called off"),
        selecting(store.pool, "select count(*) from range(10000000000000)", guard=guard) as batches,
    ):
        batches.read_all()


def test_a_sample_of_rows_is_a_select_like_any_other(store: DuckDBStore) -> None:
    store.append(batch(span(), span()))
    for sample in ("using sample 1 rows", "tablesample reservoir(1)"):
        assert select_table(store.pool, f"select span_id from spans {sample}").num_rows == 1
