"""The examples of docs/schema.md, as written there, and its list of tables."""

import re
from pathlib import Path

import pytest

from support.otlp import request, span
from support.signals import log, logs_request
from tracescape_ingest.decode import decode_traces
from tracescape_ingest.logs import decode_logs
from tracescape_storage.duckdb_file import DuckDBStore
from tracescape_storage.schema import TABLES

PAGE = (Path(__file__).parents[2] / "docs" / "schema.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def store(tmp_path: Path):
    opened = DuckDBStore(tmp_path / "t.db")
    failed = span("GET /cart", trace_id=b"t" * 16, span_id=b"s" * 8, attributes={"http.route": "/cart"})
    failed.status.code = 2
    failed.events.add(name="exception").attributes.add(key="exception.type").value.string_value = "KeyError"
    query = span("SELECT", attributes={"db.system": "postgresql"})
    routed = [span("GET /", attributes={"http.route": "/"}) for _ in range(300)]
    opened.append(decode_traces(request(failed, query, *routed).SerializeToString()).tables)
    opened.append(decode_traces(request(failed).SerializeToString()).tables)
    record = log("no cart", trace_id=b"t" * 16, span_id=b"s" * 8)
    opened.append(decode_logs(logs_request(record).SerializeToString()).tables)
    yield opened
    opened.close()


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 7


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_runs_and_has_an_answer(store: DuckDBStore, example: str) -> None:
    assert store.reader().sql(example).num_rows > 0


def test_every_table_and_view_is_on_the_page(store: DuckDBStore) -> None:
    names = store.connection.execute(
        "select table_name from duckdb_tables() union select view_name from duckdb_views() where not internal"
    ).fetchall()
    known = {name for (name,) in names} - {"tracescape_journal"}
    assert known >= TABLES.keys()
    assert {name for name in known if f"`{name}`" not in PAGE} == set()
