"""A trace read in one question, and questions that share their rows, against each question by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import clickhouse
from support.otlp import batch, span
from tracescape_storage.attribute_columns import WELL_KNOWN
from tracescape_storage.attributes import decode_attributes
from tracescape_storage.clickhouse.quick_rows import quick_span_rows
from tracescape_storage.clickhouse.reader import ClickHouseReader
from tracescape_storage.one_trace import trace_spans
from tracescape_storage.schema import ANALYSIS_COLUMNS
from tracescape_storage.whole_attributes import put_together, whole_sql


class Held(NamedTuple):
    reader: ClickHouseReader
    client: Any

    def insert(self, *spans: Any) -> None:
        self.client.insert_arrow("otel_traces", quick_span_rows(batch(*spans)))


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    with clickhouse.database(tmp_path_factory.mktemp("whole")) as (address, client):
        reader = ClickHouseReader(address)
        yield Held(reader, client)
        reader.close()


NUMBERS = [key for key, kind in WELL_KNOWN.items() if kind == "BIGINT"]
TEXTS = [
    *(
        "",
        "0",
        "-0",
        "+5",
        "007",
        " 7",
        "7 ",
        "1_0",
        "1.0",
        "-",
        "+",
        "٣",
        "1e3",
        "0x1",
        "12345678901234567890",
    ),
    *(str(2**63 - 1), str(2**63), str(-(2**63)), str(-(2**63) - 1), "9" * 25, "0" * 30 + "1"),
]
ATTRIBUTES = st.dictionaries(
    st.sampled_from([*NUMBERS, "db.system", "$a", "$$", 'q"\\', "é", ""]), st.sampled_from(TEXTS), max_size=4
)
_traces = iter(range(1, 1 << 30))


@settings(max_examples=40)
@given(st.lists(ATTRIBUTES, min_size=1, max_size=8))
def test_attributes_that_are_put_together_here_are_those_that_sql_gives(
    held: Held, wanted: list[dict[str, str]]
) -> None:
    trace = next(_traces).to_bytes(16, "big")
    held.insert(*(span(trace_id=trace, attributes=each) for each in wanted))
    reader = held.reader
    sql = put_together(reader.sql(f"SELECT {whole_sql()} FROM spans WHERE {reader.of_traces([trace])}"))
    names = [*ANALYSIS_COLUMNS, "status_message", "scope_id"]
    found = trace_spans(reader, trace)
    assert {each.name: each.type for each in found.schema} == {
        name: sql.schema.field(name).type for name in [*names, "attributes"]
    }
    rows = [table.sort_by("span_id") for table in (found, sql)]
    assert rows[0].select(names).to_pylist() == rows[1].select(names).to_pylist()
    texts = [[decode_attributes(text) for text in each["attributes"].to_pylist()] for each in rows]
    assert texts[0] == texts[1]
    assert len(texts[0]) == len(wanted)


def test_questions_within_a_block_share_their_rows_and_are_of_one_moment(held: Held) -> None:
    rows = "(SELECT * FROM spans WHERE service = 'held')"
    count = f"SELECT count(*) AS n, count(DISTINCT operation) AS m FROM {rows}"
    held.client.insert_arrow("otel_traces", quick_span_rows(batch(span("a"), service="held")))
    with held.reader.holding():
        assert held.reader.sql(count).to_pylist() == [{"n": 1, "m": 1}]
        held.client.insert_arrow("otel_traces", quick_span_rows(batch(span("b"), service="held")))
        assert held.reader.sql(count).to_pylist() == [{"n": 1, "m": 1}]
        others = held.reader.sql("SELECT * FROM spans WHERE service = 'held' AND operation = 'b'")
        assert others.num_rows == 1  # other rows are read anew
        assert held.reader.sql(count).to_pylist() == [{"n": 2, "m": 2}]
        with held.reader.holding():
            assert held.reader.sql(count).to_pylist() == [{"n": 2, "m": 2}]
    held.client.insert_arrow("otel_traces", quick_span_rows(batch(span("c"), service="held")))
    assert held.reader.sql(count).to_pylist() == [{"n": 3, "m": 3}]


def test_the_values_of_a_question_tell_its_rows_from_those_of_another(held: Held) -> None:
    held.client.insert_arrow("otel_traces", quick_span_rows(batch(span("a"), span("b"), service="one")))
    held.client.insert_arrow("otel_traces", quick_span_rows(batch(span("a"), service="two")))
    with held.reader.holding():
        found = [
            held.reader.sql(f"SELECT count(*) AS n FROM spans WHERE service = '{name}'")["n"][0].as_py()
            for name in ("one", "two", "three", "one")
        ]
    assert found == [2, 1, 0, 2]


def test_of_thousands_of_shapes_each_is_read(held: Held) -> None:
    names = [f"operation {number}" for number in range(2_000)]
    begin = 2 * 10**18
    held.insert(*(span(name, start=begin, end=begin + place) for place, name in enumerate(names)))
    spans, shapes = held.reader.shaped_spans(since_ns=begin)
    operations = shapes["operation"].take(spans["shape"]).to_pylist()
    pairs = zip(spans["duration_ns"].to_pylist(), operations, strict=True)
    assert sorted(pairs) == list(enumerate(names))


def test_events_are_read_of_the_spans_that_choose_them(held: Held) -> None:
    from support.otlp import request
    from tracescape_ingest.decode import decode_traces

    message = request(span("a"), span("b"), service="of events")
    for each, name in zip(message.resource_spans[0].scope_spans[0].spans, ("first", "second"), strict=True):
        each.events.add(name=name, time_unix_nano=1)
        each.links.add(trace_id=b"l" * 16, span_id=b"l" * 8)
    held.client.insert_arrow(
        "otel_traces", quick_span_rows(decode_traces(message.SerializeToString()).tables)
    )
    of = "SELECT span_id FROM spans WHERE operation = 'b' AND service = 'of events'"
    assert held.reader.sql(f"SELECT name FROM events WHERE span_id IN ({of})")["name"].to_pylist() == [
        "second"
    ]
    assert held.reader.sql(f"SELECT * FROM links WHERE span_id IN ({of})").num_rows == 1
    assert held.reader.sql(f"SELECT * FROM links WHERE span_id NOT IN ({of})").num_rows == 1
