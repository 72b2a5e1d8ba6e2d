"""Whatever stands behind a reader, the same questions have the same answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import polars as pl
import pyarrow as pa
import pytest
from google.protobuf.message import Message

from memory_reader import MemoryReader
from support import clickhouse as in_clickhouse
from support import everything
from support.everything import CART, CHILD, OTHER, ROOT, TYPED, WEB
from tracescape.collector import Collector
from tracescape.store import Store, connect
from tracescape_analytics.errors import UnknownServiceError, UnknownTraceError
from tracescape_analytics.whole_trace import whole_traces
from tracescape_storage.collector import CollectorReader
from tracescape_storage.duckdb_file import open_reader
from tracescape_storage.errors import StoreError
from tracescape_storage.reader import Extent, Reader
from tracescape_storage.schema import SPANS_FULL, TABLES


@contextmanager
def collecting(path: Path) -> Iterator[Collector]:
    with Collector(path, grpc="127.0.0.1:0", http="127.0.0.1:0") as collector:
        for message in everything.traces():
            post(collector, "traces", message)
        post(collector, "logs", everything.logs())
        post(collector, "metrics", everything.metrics())
        yield collector


def post(collector: Collector, signal: str, message: Message) -> None:
    url = f"{collector.http_url}/v1/{signal}"
    headers = {"content-type": "application/x-protobuf"}
    httpx.post(url, content=message.SerializeToString(), headers=headers).raise_for_status()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("store") / "t.db"
    with collecting(file):
        pass
    return file


@contextmanager
def a_file(path: Path) -> Iterator[Reader]:
    yield open_reader(path)


@contextmanager
def a_collector(path: Path) -> Iterator[Reader]:
    with collecting(path.parent / "live.db") as collector:
        yield CollectorReader(collector.http_url)


@contextmanager
def memory(path: Path) -> Iterator[Reader]:
    with Store(open_reader(path)) as store:
        reader = store.reader
        spans = reader.sql("SELECT * FROM spans_full ORDER BY arrived_ns").select(SPANS_FULL.names)
        names = [name for name in TABLES if name not in ("spans", "links")]
        others = {name: reader.sql(f"SELECT * FROM {name}").select(TABLES[name].names) for name in names}
        links = reader.sql("SELECT * FROM links").select(TABLES["links"].names)
    yield MemoryReader(spans, links, others=others)


@contextmanager
def clickhouse(path: Path) -> Iterator[Reader]:
    with in_clickhouse.database(path.parent / "clickhouse") as (address, client):
        with Store(open_reader(path)) as store:
            in_clickhouse.copy(store.reader, client, address)
        yield connect(address).reader


KINDS: dict[str, Callable[[Path], object]] = {
    "file": a_file,
    "collector": a_collector,
    "memory": memory,
    "clickhouse": clickhouse,
}


@pytest.fixture(scope="module", params=list(KINDS.values()), ids=list(KINDS))
def store(request: pytest.FixtureRequest, path: Path) -> Iterator[Store]:
    make: Callable[[Path], object] = request.param
    with make(path) as reader, Store(reader) as opened:  # type: ignore[attr-defined]
        yield opened


def keeps_types(store: Store) -> bool:
    """The Collector's exporter to ClickHouse makes a text of every value of an attribute."""
    return not store.location.startswith("clickhouse")


def hexes(*ids: bytes) -> set[str]:
    return {each.hex() for each in ids}


def test_extent(store: Store) -> None:
    assert store.extent() == Extent(3, 1_000, 5_000)


def test_spans_under_every_condition(store: Store) -> None:
    reader = store.reader
    assert sorted(reader.spans(["start_ns"])["start_ns"].to_pylist()) == [1_000, 2_000, 5_000]
    assert reader.spans(["start_ns"], since_ns=1_000, until_ns=2_000)["start_ns"].to_pylist() == [1_000]
    assert reader.spans(["start_ns"], trace_ids=[WEB])["start_ns"].to_pylist() == [5_000]
    assert sorted(reader.spans(["start_ns"], service="cart")["start_ns"].to_pylist()) == [1_000, 2_000]
    nothing = reader.spans(["trace_id", "service", "kind"], service="nobody")
    assert nothing.num_rows == 0
    assert nothing.column_names == ["trace_id", "service", "kind"]
    with pytest.raises(ValueError, match="colour"):
        reader.spans(["colour"])


def test_spans_of_several_traces_at_once(store: Store) -> None:
    reader = store.reader
    both = reader.spans(["start_ns"], trace_ids=[WEB, CART, b"n" * 16])["start_ns"].to_pylist()
    assert sorted(both) == [1_000, 2_000, 5_000]
    assert reader.spans(["start_ns"], trace_ids=[]).num_rows == 0
    counted = reader.sql(f"SELECT count(*) AS n FROM spans WHERE {reader.of_traces([CART])}")
    assert counted["n"].to_pylist() == [2]


def test_whole_traces_come_in_the_order_asked_for_up_to_a_number_of_spans(store: Store) -> None:
    reader = store.reader
    assert [each.trace_id for each in whole_traces(reader, [WEB, CART, WEB])] == [WEB, CART]
    assert [len(each.spans) for each in whole_traces(reader, [CART, b"n" * 16, WEB])] == [2, 1]
    assert [each.trace_id for each in whole_traces(reader, [CART, WEB], most_spans=2)] == [CART]
    assert [each.trace_id for each in whole_traces(reader, [CART, WEB], most_spans=1)] == [CART]
    assert len(whole_traces(reader, [CART, WEB], most_spans=3)) == 2
    assert whole_traces(reader, [b"n" * 16, b"m" * 16], most_spans=3) == []


def test_promoted_columns_and_types(store: Store) -> None:
    table = store.reader.spans(["http_status", "service", "trace_id"], trace_ids=[CART])
    assert sorted(table["http_status"].to_pylist(), key=str) == [200, None]
    assert pa.types.is_dictionary(table.schema.field("service").type)
    assert table.schema.field("trace_id").type == pa.binary()


def test_links(store: Store) -> None:
    links = store.reader.links().to_pylist()
    assert [
        (row["trace_id"], row["linked_trace_id"], row["span_id"], row["linked_span_id"]) for row in links
    ] == [(CART, WEB, -1, 2)]
    assert store.reader.links(since_ns=2_001).num_rows == 0


def test_only_a_select_is_answered(store: Store) -> None:
    assert store.sql("select count(*) n from spans").item() == 3
    for wrong in (
        "drop table spans",
        "select 1; select 2",
        "nonsense",
        "select * from read_text('/etc/hosts')",
    ):
        with pytest.raises(StoreError):
            store.sql(wrong)


CASES = [
    ("", {ROOT, CHILD, OTHER}),
    ('http.route = "/cart"', {ROOT}),
    ('span.http.route = "/cart" and resource.host.name = "n1" and duration >= 8us', {ROOT}),
    ("http.response.status_code = 200", {ROOT}),
    ('http.response.status_code = "200"', set()),
    ("http.response.status_code != 404", {ROOT}),
    ("not http.response.status_code = 200", {CHILD, OTHER}),
    ("app.items = 42", {ROOT}),
    ("app.items = 42.0", {ROOT}),
    ('app.items = "42"', {OTHER}),
    ("app.items exists", {ROOT, OTHER}),
    ("app.items > 41.5", {ROOT}),
    ('app.text >= "4" and app.text < "5"', {ROOT}),
    ("app.ok = true", {ROOT}),
    ("app.ok != true", set()),
    ("app.ratio <= 0.5", {ROOT}),
    ("app.nan > 1e300", {ROOT}),
    ("app.bytes exists and app.list exists", {ROOT}),
    ('app.list = "1"', set()),
    ('"it\'s" contains "\\"quote"', {ROOT}),
    ('operation matches "^(GET|PUT) /$"', {OTHER}),
    ('host.name = "n2"', {OTHER}),
    ('span.host.name = "n2"', set()),
    ("resource.host.cpus > 4", {ROOT, CHILD}),
    ('scope.name = "test" and scope.version = "1.2"', {ROOT, CHILD}),
    ('event.name = "exception"', {CHILD}),
    ('event.exception.type = "Empty" and event.tries = 2', {CHILD}),
    ("not event.name exists", {ROOT, OTHER}),
    ("kind = client or status = error", {CHILD}),
    ('status_message contains "rows"', {CHILD}),
    ("parent_span_id exists", {CHILD}),
    (f'parent_span_id = "{ROOT.hex()}"', {CHILD}),
    (f'trace_id = "{WEB.hex()}"', {OTHER}),
    (f'span_id = "{CHILD.hex()}"', {CHILD}),
    ("start_ns >= 2000 and end_ns <= 5000", {CHILD}),
    ('(service = "cart" or service = "web") and not (service = "cart" and kind = client)', {ROOT, OTHER}),
]


#: What is found where every value is a text: a number is what reads as one, and no text reads as infinity.
AMONG_TEXTS: dict[str, set[bytes]] = {
    "app.items = 42": {ROOT, OTHER},
    "app.items = 42.0": {ROOT, OTHER},
    'app.items = "42"': {ROOT, OTHER},
    "app.items > 41.5": {ROOT, OTHER},
    "app.nan > 1e300": set(),
}


@pytest.mark.parametrize(("where", "expected"), CASES, ids=[case[0] or "everything" for case in CASES])
def test_search(store: Store, where: str, expected: set[bytes]) -> None:
    if not keeps_types(store):
        expected = AMONG_TEXTS.get(where, expected)
    found = store.search(where, spans=True)
    assert set(found.rows["span_id"]) == hexes(*expected)
    traces = {WEB if each == OTHER else CART for each in expected}
    assert set(store.search(where).rows["trace_id"]) == hexes(*traces)
    assert set(store.spans(where)["span_id"]) == hexes(*expected)
    assert (found.hint is None) == bool(expected)


def test_search_orders_and_pages(store: Store) -> None:
    newest = store.search(spans=True, limit=2)
    rest = store.search(spans=True, limit=2, after=newest.after)
    assert [*newest.rows["start_ns"], *rest.rows["start_ns"]] == [5_000, 2_000, 1_000]
    slowest = store.search(order="slowest", limit=1)
    last = store.search(order="slowest", limit=1, after=slowest.after)
    assert [slowest.rows["trace_id"].item(), last.rows["trace_id"].item()] == [CART.hex(), WEB.hex()]
    assert last.after is None
    assert store.search(since=2_000, until=5_000, spans=True).rows["start_ns"].to_list() == [2_000]


def test_summaries(store: Store) -> None:
    assert store.search(service="cart").rows.to_dicts() == [
        {
            "trace_id": CART.hex(),
            "root_service": "cart",
            "root_operation": "GET /cart",
            "start_ns": 1_000,
            "duration_ns": 8_000,
            "spans": 2,
            "errors": 1,
            "services": ["cart"],
        }
    ]


def test_names_that_are_not_there(store: Store) -> None:
    with pytest.raises(UnknownServiceError, match="'cart'"):
        store.search(service="crt")
    hint = store.search('http.rout = "/cart"').hint
    assert hint is not None and "http.route" in hint


#: `TYPED` as the exporter writes it; what conventions say is a whole number is one again.
AS_TEXTS = TYPED | {
    "app.items": "42",
    "app.ratio": "0.5",
    "app.ok": "true",
    "app.bytes": "/w==",
    "app.list": '[1,"1"]',
    "app.nan": "json: unsupported value: +Inf",
}


def test_a_trace_with_everything(store: Store) -> None:
    typed = keeps_types(store)
    expected = TYPED if typed else AS_TEXTS

    def told(number: int) -> int | str:
        return number if typed else str(number)

    trace = store.trace(CART.hex())
    assert trace.spans["span_id"].to_list() == [ROOT.hex(), CHILD.hex()]
    root, child = trace.span(ROOT.hex()), trace.span(CHILD.hex().upper())
    assert root.attributes == expected
    assert {key: type(value) for key, value in root.attributes.items()} == {
        key: type(value) for key, value in expected.items()
    }
    assert root.resource == {"service.name": "cart", "host.name": "n1", "host.cpus": told(8)}
    assert (root.scope, root.status, root.events) == ("test", "unset", [])
    assert (child.status, child.status_message, child.kind) == ("error", "no rows", "client")
    assert child.events == [
        {
            "time_ns": 3_000,
            "name": "exception",
            "attributes": {"exception.type": "Empty", "tries": told(2)},
            "dropped_attributes": 0,
        }
    ]
    (link,) = child.links
    assert (link["linked_trace_id"], link["linked_span_id"]) == (WEB.hex(), OTHER.hex())
    assert link["attributes"] == {"why": "retry"}
    (record,) = child.logs
    assert (record["body"], record["severity"], record["attributes"]) == (
        "it's empty",
        "error",
        {"rows": told(0)},
    )
    assert trace.events.height == trace.links.height == trace.logs.height == trace.resources.height == 1


def test_ids_that_are_none(store: Store) -> None:
    with pytest.raises(UnknownTraceError, match="No span of trace"):
        store.trace("1" * 32)
    with pytest.raises(ValueError, match=f"{CART.hex()} begins so"):
        store.trace(CART.hex()[:7])
    with pytest.raises(ValueError, match=f"A span has this id, in trace {CART.hex()}"):
        store.trace(CHILD.hex())
    for wrong in ("", "xyz", "1" * 33, "ca", "12345", "' or 1=1"):
        with pytest.raises(ValueError, match="is no trace id"):
            store.trace(wrong)
    with pytest.raises(ValueError, match=f"did you mean {ROOT.hex()}"):
        store.trace(CART.hex()).span(ROOT.hex()[:-1] + "3")


def test_rows_of_spans(store: Store) -> None:
    frame = store.spans()
    assert frame.columns == [
        *("trace_id", "span_id", "parent_span_id", "service", "operation", "kind", "status"),
        *("status_message", "start_ns", "end_ns", "duration_ns", "attributes"),
    ]
    names = ["service", "scope", "resource.host.name", "span.app.items", "resource_attributes", "end_ns"]
    chosen = store.spans("app.items exists", columns=names).sort("end_ns")
    assert chosen.columns == names
    assert chosen.select(pl.exclude("resource_attributes")).rows() == [
        ("web", "test", "n2", "42", 6_000),
        ("cart", "test", "n1", "42", 9_000),
    ]
    assert store.spans(since=5_000, columns=["start_ns"], limit=9)["start_ns"].to_list() == [5_000]
    assert store.spans(limit=0).columns == frame.columns
    assert store.spans(form="lazy").collect().equals(frame)
    arrow = store.spans(form="arrow")
    assert isinstance(arrow, pa.RecordBatchReader)
    assert pl.DataFrame(arrow.read_all()).equals(frame)
    with pytest.raises(StoreError, match="nowhere"):
        store.reader.stream("select nowhere from spans")


def test_rows_of_logs(store: Store) -> None:
    logs = store.logs()
    assert sorted(logs["body"]) == ["it's empty", "outside"]
    assert store.logs("it's", columns=["span_id", "severity"]).rows() == [(CHILD.hex(), "error")]
    assert store.logs(trace_id=CART.hex(), service="cart").height == 1
    assert store.logs(since=2_000)["body"].to_list() == ["outside"]


def test_rows_of_metrics(store: Store) -> None:
    if not keeps_types(store):
        assert store.metrics().is_empty()
        pytest.skip("the exporter's five tables of metrics are not read")
    metrics = store.metrics("free")
    assert metrics["value_int"].to_list() == [1_000, 5_000]
    assert store.metrics("free", service="cart", until=5_000, columns=["unit", "time_ns"]).rows() == [
        ("By", 1_000)
    ]
    assert store.metrics("nothing").is_empty()


@pytest.mark.parametrize("rows", ["spans", "logs", "metrics"])
def test_wrong_columns_list_the_near_ones(store: Store, rows: str) -> None:
    ask = getattr(store, rows)
    with pytest.raises(ValueError, match="there is no column 'servce'; did you mean service"):
        ask(columns=["servce"])
    with pytest.raises(ValueError, match="there is no column 'x'; there are"):
        ask(columns=["x"])
    with pytest.raises(ValueError, match="columns"):
        ask(columns=[])
    with pytest.raises(ValueError, match="limit is -1"):
        ask(limit=-1)
    with pytest.raises(ValueError, match="there is no form"):
        ask(form="pandas")


def test_views_and_frames_have_the_same_columns(store: Store) -> None:
    for rows, view in (("spans", "spans_v"), ("logs", "logs_v"), ("metrics", "metrics_v")):
        frame = getattr(store, rows)()
        listed = ", ".join(f'"{name}"' for name in frame.columns if name not in ("attributes", "metadata"))
        same = store.sql(f"select {listed} from {view}")
        assert same.equals(frame.select(same.columns))


def test_nothing_new_comes_from_what_is_closed(store: Store) -> None:
    if not store.live:
        with pytest.raises(StoreError, match="closed file"):
            store.tail()
