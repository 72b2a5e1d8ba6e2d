"""`import tracescape as ts`: a file or a collector, the same answers, a sentence where there is none."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

import tracescape as ts
from tracescape.collector import Collector
from tracescape.shop import Shop, ShopConfig
from tracescape.times import format_duration, parse_duration, parse_when
from tracescape_storage.discovery import announce


def test_the_public_face_is_what_it_says() -> None:
    assert ts.__all__ == sorted(ts.__all__, key=lambda name: (name.islower() or name.startswith("_"), name))
    assert dir(ts) == sorted(ts.__all__)
    for name in ts.__all__:
        assert getattr(ts, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'opne'"):
        ts.opne  # type: ignore[attr-defined]  # noqa: B018


def test_the_shop_is_all_there(store: ts.Store) -> None:
    services = store.services()
    assert services.height == 14
    assert services["calls"].min() > 0  # type: ignore[operator]
    kinds = dict(store.topology().nodes.group_by("kind").len().iter_rows())
    assert kinds == {"service": 14, "database": 9, "queue": 1, "external": 2, "entry": 1}


def test_edges_are_those_of_the_code(store: ts.Store) -> None:
    edges = {(row["source"], row["target"]): row for row in store.topology().edges.iter_rows(named=True)}
    assert edges["checkout", "inventory"]["connection"] == "http"
    assert edges["checkout", "payment"]["connection"] == "rpc"
    assert edges["inventory", "postgresql inventory@inventory-db"]["connection"] == "db"
    assert edges["checkout", "kafka orders"]["connection"] == "messaging"
    assert ("kafka orders", "email") in edges
    assert ("kafka orders", "fulfilment") in edges, "the batch consumer is known from its links alone"
    assert ("user", "web") in edges
    assert ("email", "checkout") not in edges


def test_what_degraded_is_sick_against_its_baseline_and_the_rest_is_not(store: ts.Store) -> None:
    states = dict(store.topology(since="2m", baseline="8m").nodes.select("service", "state").iter_rows())
    assert states["inventory"] == states["postgresql inventory@inventory-db"] == "failing"
    for healthy in ("search", "catalog", "recommendations", "payment", "postgresql catalog@catalog-db"):
        assert states[healthy] in {"healthy", "idle"}, healthy
    before = store.topology(since="7m", until="3m").nodes
    assert set(before["state"]) <= {"healthy", "idle"}


def test_a_window_is_cut_by_the_start_of_spans(store: ts.Store) -> None:
    last = store.extent().last_start_ns
    whole = store.topology().spans
    first_half = store.topology(until="4m").spans
    second_half = store.topology(since="4m").spans
    assert first_half + second_half == whole == store.extent().spans
    exact = store.topology(since=last).spans
    assert exact >= 1
    assert store.topology(since=last + 1).spans == 0
    same = store.topology(since=datetime.fromtimestamp(0, UTC)).spans
    assert same == whole


def test_the_slowest_trace_adds_up_exactly(store: ts.Store) -> None:
    query = "select trace_id from spans_v where parent_span_id = '' order by duration_ns desc limit 1"
    trace = store.trace(store.sql(query).item())
    path = trace.critical_path()
    assert path["duration_ns"].sum() == trace.root.duration_ns
    assert path["start_ns"].to_list() == sorted(path["start_ns"].to_list())
    assert path["end_ns"].to_list()[:-1] == path["start_ns"].to_list()[1:]
    assert trace.root.service == "web"


def test_shares_of_the_critical_path_add_up_to_one(store: ts.Store) -> None:
    for by in ("service", "operation"):
        assert store.critical_path(by=by)["share"].sum() == pytest.approx(1.0)
    assert store.critical_path("web", since="2m")["service"].to_list().count("inventory") > 0
    worst = store.critical_path("web", since="2m").row(0, named=True)
    assert (worst["service"], worst["operation"]) == ("inventory", "UPDATE stock")


def test_what_is_wrong_is_said(store: ts.Store) -> None:
    with pytest.raises(ts.UnknownTraceError, match="0" * 31 + "1"):
        store.trace("0" * 31 + "1")
    for nonsense in ("", "xyz", "0" * 31, "0" * 33, "'; drop table spans; --"):
        with pytest.raises(ValueError, match="is no trace id"):
            store.trace(nonsense)
    with pytest.raises(ts.StoreError, match="web"):
        store.critical_path("wbe")
    with pytest.raises(ValueError, match="operation"):
        store.critical_path(by="colour")
    with pytest.raises(ts.QueryError):
        store.sql("drop table spans")
    with pytest.raises(ValueError, match="the window is empty"):
        store.services(since="1m", until="2m")
    with pytest.raises(ValueError, match="a baseline needs a later since"):
        store.services(since="2m", baseline="1m")
    with pytest.raises(ts.StoreError, match="There is no store"):
        ts.open("missing.db")
    with pytest.raises(ts.StoreError, match="No collector answers"):
        ts.connect("127.0.0.1:9")


def test_ids_are_taken_as_people_paste_them(store: ts.Store) -> None:
    trace_id: str = store.sql("select trace_id from spans_v limit 1").item()
    dashed = f" {trace_id[:8]}-{trace_id[8:]}".upper() + "\n"
    assert store.trace(dashed).trace_id == trace_id


def test_a_store_introduces_itself(store: ts.Store, path: Path) -> None:
    assert str(path) in repr(store)
    assert "spans from 20" in repr(store)
    assert "14" in repr(store.topology()) or "nodes" in repr(store.topology())


def test_a_picture_of_the_topology(store: ts.Store, tmp_path: Path) -> None:
    topology = store.topology(since="2m", baseline="8m")
    written = topology.screenshot(tmp_path / "x.png", size=(400, 300))
    assert written.read_bytes().startswith(b"\x89PNG")
    scene = topology.scene()
    assert scene.services == topology.nodes["service"].to_list()
    assert scene.caption.startswith(f"{topology.spans:,} spans")


def test_a_file_and_its_collector_give_the_same_answers(tmp_path: Path) -> None:
    file = tmp_path / "live.db"
    begin = 1_700_000_000_000_000_000
    with Collector(file, grpc="127.0.0.1:0", http="127.0.0.1:0") as collector:
        shop = Shop(lambda: OTLPSpanExporter(endpoint=collector.grpc_endpoint, insecure=True), ShopConfig())
        shop.backfill(begin, begin + 20_000_000_000)
        shop.shutdown()
        with ts.open(file) as live, ts.connect(collector.http_url) as connected:
            assert live.live
            assert live.location == connected.location == collector.http_url
            edges = live.topology().edges
            nodes = connected.topology().nodes
            assert live.services(since="1h").is_empty(), "a duration counts back from now on a live store"
    with ts.open(file) as closed:
        assert not closed.live
        assert closed.topology().edges.equals(edges)
        assert closed.topology().nodes.equals(nodes)
        assert not closed.services(since="1h").is_empty(), (
            "on a closed file it counts back from the last span"
        )


def test_a_file_whose_collector_does_not_answer_says_both(tmp_path: Path) -> None:
    file = tmp_path / "held.db"
    with Collector(file, grpc="127.0.0.1:0", http="127.0.0.1:0"):
        announce(file, "http://127.0.0.1:9")
        with pytest.raises(ts.StoreError, match=r"holds .*held\.db.*No collector answers"):
            ts.open(file)


def test_an_empty_store_answers_with_empty_frames(tmp_path: Path) -> None:
    with Collector(tmp_path / "e.db", grpc="127.0.0.1:0", http="127.0.0.1:0"):
        pass
    with ts.open(tmp_path / "e.db") as store:
        assert "no spans yet" in repr(store)
        topology = store.topology()
        assert topology.nodes.is_empty()
        assert topology.edges.is_empty()
        assert store.services(since="15m").columns == store.services().columns
        assert store.critical_path().is_empty()
        assert isinstance(store.sql("select * from spans_v"), pl.DataFrame)


@pytest.mark.parametrize(
    ("text", "ns"),
    [("90s", 90e9), ("1.5h", 5.4e12), ("1h30m", 5.4e12), (" 200 ms ", 2e8), ("7d", 6.048e14), ("3µs", 3e3)],
)
def test_durations_as_people_write_them(text: str, ns: float) -> None:
    assert parse_duration(text) == ns


@pytest.mark.parametrize("text", ["", "m", "15", "15 minutes", "-5m", "1h!", "m15", "9" * 40 + "d", "5m 3"])
def test_what_is_no_duration_gives_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="200ms, 15m|292 years"):
        parse_duration(text)


def test_times_as_people_write_them() -> None:
    def when(value: object) -> int | None:
        return parse_when(value, reference_ns=10**18)  # type: ignore[arg-type]

    assert when(None) is None
    assert when("now") == 10**18
    assert when("1s") == 10**18 - 10**9
    assert when(123) == 123
    assert when("1700000000000000001") == 1_700_000_000_000_000_001
    assert when("2023-11-14T22:13:20Z") == 1_700_000_000_000_000_000
    assert when(datetime(2023, 11, 14, 22, 13, 20, 1, UTC)) == 1_700_000_000_000_001_000
    naive = datetime(2023, 11, 14, 22, 13, 20)
    assert when(naive) == when("2023-11-14T22:13:20") == int(naive.timestamp()) * 10**9
    assert when(np.int64(123)) == 123, "what a frame or an array gives"
    nonsenses = ("tomorrow", -1, 2**63, "2023-13-01", "1900-01-01T00:00:00Z", 3.5, ["15m"], b"15m")
    for nonsense in nonsenses:
        with pytest.raises(ValueError, match="is no time"):
            when(nonsense)


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (5, "5 ns"),
        (1_500, "1.5 µs"),
        (2.5e6, "2.5 ms"),
        (1.234e9, "1.23 s"),
        (1.25e11, "2 min 5 s"),
        (9e12, "2 h 30 min"),
    ],
)
def test_durations_as_people_read_them(ns: float, text: str) -> None:
    assert format_duration(ns) == text


def test_critical_time_by_bucket_and_of_the_slowest_traces(store: ts.Store) -> None:
    whole = store.critical_path(by="service")
    buckets = store.critical_path(by="service", step="1m")
    assert buckets["critical_ns"].sum() == whole["critical_ns"].sum()
    assert buckets["start_ns"].n_unique() > 1
    cohorts = store.critical_path(by="service", slowest=0.1)
    assert cohorts["cohort"].n_unique() == 2
    assert cohorts["critical_ns"].sum() == whole["critical_ns"].sum()
    with pytest.raises(ValueError, match="no duration"):
        store.critical_path(step="soon")


def test_what_broke_is_named_with_traces_to_open(store: ts.Store) -> None:
    found = store.diagnose(since="2m")
    assert found.causes["service"].to_list() == ["postgresql inventory@inventory-db"]
    assert found.causes["source"].to_list() == ["inventory"]
    for column in ("typical_trace", "bad_trace"):
        assert store.trace(found.causes[column][0]).spans.height > 1
    assert "postgresql inventory@inventory-db" in str(found)
    page = found._repr_html_()
    assert "postgresql inventory@inventory-db" in page
    assert "<table" in page


def test_the_time_to_compare_with_can_be_chosen(store: ts.Store) -> None:
    chosen = store.diagnose(since="2m", baseline="6m")
    assert chosen.baseline[0][1] - chosen.baseline[0][0] == 4 * 60 * 10**9
    pair = store.diagnose(since="2m", baseline=("7m", "3m"))
    assert pair.window == chosen.window
    assert pair.causes["service"].to_list() == ["postgresql inventory@inventory-db"]
    with pytest.raises(ValueError, match="overlaps the window"):
        store.diagnose(since="2m", baseline=("7m", "1m"))
    with pytest.raises(ValueError, match="both of its ends"):
        store.diagnose(since="2m", baseline=("7m", None))
    with pytest.raises(ValueError, match="both of its ends"):
        store.diagnose(since="2m", baseline=("7m",))  # type: ignore[arg-type]
