"""`store.search` as people call it: words, filters, pages, and a sentence where nothing is found."""

from collections.abc import Iterator

import pytest

import tracescape as ts
from support.shop_store import shop_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ts.Store]:
    """Two minutes of the shop, the second one degraded."""
    file = tmp_path_factory.mktemp("store") / "shop.db"
    shop_store(file, minutes=2, degraded_minutes=1)
    with ts.open(file) as opened:
        yield opened


def test_words_and_filters_are_all_required(store: ts.Store) -> None:
    found = store.search(service="inventory", kind="server", min_duration="1ms", spans=True, limit=500)
    assert len(found)
    for row in found:
        assert (row["service"], row["kind"]) == ("inventory", "server")
        assert row["duration_ns"] >= 1_000_000
    fewer = store.search(
        'duration < 1s and not status = "error"', service="inventory", kind="server", spans=True
    )
    assert 0 < len(fewer) <= len(found)
    same = store.search(
        (ts.field("duration") < "1s") & ~(ts.field("status") == "error"),
        service="inventory",
        kind="server",
        spans=True,
    )
    assert same.rows.equals(fewer.rows)


def test_any_attribute_of_span_and_resource(store: ts.Store) -> None:
    row = next(iter(store.search("db.system.name exists", spans=True, limit=1)))
    assert '"db.system.name":"' in row["attributes"]
    by_type = store.search(attributes={"http.response.status_code": 200}, spans=True)
    assert len(by_type) == 20
    assert not len(store.search(attributes={"http.response.status_code": "200"}))
    mixed = store.search('resource.service.name = "cart" or service.name = "web"', spans=True, limit=10_000)
    assert set(mixed.rows["service"]) == {"cart", "web"}


@pytest.mark.parametrize("order", ["newest", "slowest"])
def test_pages_have_every_trace_once_in_order(store: ts.Store, order: str) -> None:
    total = store.sql("select count(distinct trace_id) from spans").item()
    traces: list[str] = []
    after = None
    while True:
        page = store.search(order=order, limit=17, after=after)  # type: ignore[arg-type]
        traces += page.rows["trace_id"].to_list()
        after = page.after
        if after is None:
            break
    assert len(traces) == len(set(traces)) == total


def test_a_summary_is_what_the_trace_says(store: ts.Store) -> None:
    for row in store.search(status="error", limit=5):
        trace = store.trace(row["trace_id"])
        assert (row["root_service"], row["root_operation"]) == (trace.root.service, trace.root.operation)
        assert row["spans"] == trace.spans.height
        assert row["errors"] == (trace.spans["status"] == "error").sum() > 0
        assert row["services"] == sorted(set(trace.spans["service"]))
        assert row["start_ns"] == trace.spans["start_ns"].min()
        assert row["start_ns"] + row["duration_ns"] == trace.spans["end_ns"].max()


def test_slowest_is_by_the_matching_spans(store: ts.Store) -> None:
    spans = store.search(service="payment", order="slowest", spans=True, limit=50).rows
    assert spans["duration_ns"].is_sorted(descending=True)
    first = store.search(service="payment", order="slowest", limit=1).rows["trace_id"].item()
    assert first == spans["trace_id"][0]


def test_unknown_names_list_the_near_ones(store: ts.Store) -> None:
    with pytest.raises(ts.StoreError, match="inventory"):
        store.search(service="inventry")
    with pytest.raises(ts.StoreError, match="inventory"):
        store.search('service = "inventry" and duration > 1ms')
    with pytest.raises(ts.StoreError, match="UPDATE stock"):
        store.search(service="inventory", operation="UPDATE stok")
    with pytest.raises(ValueError, match="span.servce"):
        store.search('servce = "x"')
    with pytest.raises(ValueError, match="no kind 'sever'"):
        store.search(kind="sever")
    with pytest.raises(ValueError, match="is no duration"):
        store.search(min_duration="fast")
    with pytest.raises(ValueError, match="is no filter"):
        store.search(42)  # type: ignore[arg-type]


def test_what_finds_nothing_says_why(store: ts.Store) -> None:
    key = store.search("http.response.status_cod = 200")
    assert key.hint is not None and "did you mean http.response.status_code" in key.hint
    value = store.search('http.request.method = "BREW"')
    assert value.hint is not None and "spans from 20" in value.hint
    window = store.search(until=1)
    assert window.hint is not None and "in the window" in window.hint
    assert "Found nothing" in repr(window)
    assert "after" in repr(store.search(limit=1))
    last = store.search(limit=1_000)
    assert (last.hint, last.after) == (None, None)


def test_hostile_names_are_only_names(store: ts.Store) -> None:
    spans = store.extent().spans
    for hostile in ("'; drop table spans; --", "' or '1'='1", "\0", "%", "\\", '"', "x' union select 1 --"):
        with pytest.raises(ts.StoreError, match="No span of a service"):
            store.search(service=hostile)
        assert not len(store.search(attributes={hostile: hostile}))
        assert not len(store.search(ts.field("resource." + hostile).matches("x")))
    assert store.extent().spans == spans
