"""``/ask``: what the page asks is what the public store answers, as JSON, for those who may."""

from __future__ import annotations

import json
import math
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import polars as pl
import pytest

import tracescape as ts
from naive.world_reader import World, read
from support.otlp import request, span
from support.shop_store import MINUTE_NS, quick_store
from tracescape.collector import Collector
from tracescape.page import questions
from tracescape.page.present import Present
from tracescape.page.questions import QUESTIONS, Question
from tracescape.page.riding import ridden
from tracescape.shop import Fault, ShopConfig
from tracescape_ingest.intake import Signal
from tracescape_render.palette import STATES
from tracescape_render.riding import names_of
from tracescape_render.riding_words import says, subtitle
from tracescape_render.route import route_of
from tracescape_storage.query_guard import running as queries_running

MINUTES = 6
UNTIL = 1_790_000_000_000_000_000
SINCE = UNTIL - 2 * MINUTE_NS
WINDOW = {"since": str(SINCE), "until": str(UNTIL)}
DATABASE = "postgresql inventory@inventory-db"
BIG = 2**63 - 1


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    file = tmp_path_factory.mktemp("shop") / "t.db"
    fault = Fault("slow-dependency", "inventory-db", (MINUTES - 2) * 60.0, math.inf)
    quick_store(file, ShopConfig(rate_per_s=2.0, faults=(fault,), seed=7), UNTIL - MINUTES * MINUTE_NS, UNTIL)
    with Collector(file, grpc="127.0.0.1:0", http="127.0.0.1:0") as collector:
        yield collector


@pytest.fixture(scope="module")
def store(shop: Collector) -> Iterator[ts.Store]:
    with ts.connect(shop.http_url) as opened:
        yield opened


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Collector]:
    with Collector(tmp_path / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0") as running:
        yield running


def asked(collector: Collector, question: str, **parameters: str) -> Any:
    response = httpx.get(f"{collector.http_url}/ask/{question}", params=parameters, timeout=200)
    assert response.status_code == 200, response.text
    return response.json()


def refused(collector: Collector, question: str, **parameters: str) -> tuple[int, str]:
    response = httpx.get(f"{collector.http_url}/ask/{question}", params=parameters, timeout=200)
    return response.status_code, response.json()["error"]


def soon(condition: Callable[[], bool], within_s: float = 5.0) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_how_much_is_stored_is_told_to_the_nanosecond(shop: Collector, store: ts.Store) -> None:
    extent = store.extent()
    found = asked(shop, "about")
    assert found["spans"] == extent.spans
    assert [int(found["first_ns"]), int(found["last_ns"])] == [extent.first_start_ns, extent.last_start_ns]
    assert isinstance(found["first_ns"], str)


def test_the_topology_is_the_stores(shop: Collector, store: ts.Store) -> None:
    found, told = asked(shop, "topology", **WINDOW), store.topology(SINCE, UNTIL)
    assert found["nodes"] == told.nodes.to_dicts()
    assert found["edges"] == told.edges.to_dicts()
    assert (int(found["since_ns"]), int(found["until_ns"])) == (SINCE, UNTIL)


def test_a_time_that_goes_on_begins_with_its_minute(shop: Collector, store: ts.Store) -> None:
    begin = SINCE // MINUTE_NS * MINUTE_NS
    found = asked(shop, "topology", since=str(begin + 7_000_000_000))
    assert int(found["since_ns"]) == begin
    assert found["nodes"] == store.topology(begin).nodes.to_dicts()
    neighbour = asked(shop, "service", name="inventory", since=str(begin + 7_000_000_000))
    assert neighbour["node"] in found["nodes"]


def test_who_is_missing_has_a_place_too(
    shop: Collector, store: ts.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = {"kind": "no longer called", "service": "ghost", "source": "checkout", "target": "ghost"}
    causes = store.diagnose(SINCE, UNTIL).causes.with_columns(
        pl.lit(value).alias(name) for name, value in gone.items()
    )
    monkeypatch.setattr(Present, "known_causes", lambda _: causes)
    found = asked(shop, "topology", since=str(SINCE))
    (ghost,) = (node for node in found["nodes"] if node["service"] == "ghost")
    assert ghost["state"] == "absent"
    assert "ghost" in {spot["service"] for spot in found["map"]["spots"]}
    until = asked(shop, "topology", **WINDOW)["nodes"]
    assert "ghost" not in {node["service"] for node in until}  # that is about now, not about then


def test_everybody_of_the_topology_has_a_place_on_the_map(shop: Collector) -> None:
    found = asked(shop, "topology", **WINDOW)
    spots = {spot["service"]: spot for spot in found["map"]["spots"]}
    assert set(spots) == {node["service"] for node in found["nodes"]}
    assert len({(spot["column"], spot["row"]) for spot in spots.values()}) == len(spots)
    for arrow in found["map"]["arrows"]:
        ends = spots[arrow["source"]]["column"], spots[arrow["target"]]["column"]
        assert arrow["back"] == (ends[0] >= ends[1])
        assert [column for column, _ in arrow["passes"]] == list(range(ends[0] + 1, ends[1]))


def test_the_timeline_and_the_marks_are_the_stores(shop: Collector, store: ts.Store) -> None:
    told = store.timeline(SINCE, UNTIL, most=240)
    steps = asked(shop, "timeline", **WINDOW)["steps"]
    assert [int(step["start_ns"]) for step in steps] == told["start_ns"].to_list()
    assert [step["calls"] for step in steps] == told["calls"].to_list()
    marks = asked(shop, "marks", changes="1")["marks"]
    assert [mark["kind"] for mark in marks] == store.marks()["kind"].to_list() != []


def test_the_cause_of_a_window_is_the_diagnosis_of_the_store(shop: Collector, store: ts.Store) -> None:
    found, told = asked(shop, "causes", **WINDOW), store.diagnose(SINCE, UNTIL)
    assert [cause["service"] for cause in found["causes"]] == told.causes["service"].to_list() == [DATABASE]
    assert found["causes"][0]["sentence"] == told.causes["sentence"][0]
    assert found["causes"][0]["bad_trace"] == told.causes["bad_trace"][0]
    assert [step["bad_ns"] for step in found["paths"]] == told.paths["bad_ns"].to_list()


def test_where_nothing_is_before_the_window_what_stands_out_in_it_is_told(shop: Collector) -> None:
    found = asked(shop, "causes", since="1000000000000000000", until=str(UNTIL))
    assert found["stands_out"]
    assert found["causes"][0]["service"] == DATABASE


def test_a_window_without_traces_has_no_causes_from_elsewhere(shop: Collector) -> None:
    found = asked(shop, "causes", since=str(UNTIL + MINUTE_NS), until=str(UNTIL + 2 * MINUTE_NS))
    assert (found["window"], found["causes"]) == (None, [])


def test_what_is_wrong_now_is_asked_once_for_all_who_look(
    shop: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = asked(shop, "causes")
    monkeypatch.setattr(ts.Store, "diagnose", lambda *_, **__: pytest.fail("asked again"))
    assert asked(shop, "causes") == before
    assert before["causes"][0]["service"] == DATABASE


def test_an_empty_store_is_no_error(empty: Collector) -> None:
    assert asked(empty, "about") == {"spans": 0, "first_ns": None, "last_ns": None}
    assert asked(empty, "topology", since="15m")["nodes"] == []
    assert asked(empty, "timeline", since="15m") == {"steps": []}
    assert asked(empty, "causes")["causes"] == []
    assert "no spans yet" in asked(empty, "search")["hint"]
    assert asked(empty, "latency")["cells"] == []
    assert asked(empty, "flame")["frames"] == []


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"service": "checkout", "status": "error"},
        {"operation": "POST /orders", "kind": "server"},
        {"min_duration": "20ms", "max_duration": "1s", "order": "slowest"},
        {"where": 'http.request.method = "POST" and not error.type exists'},
    ],
)
@pytest.mark.parametrize("spans", [False, True])
def test_a_search_finds_what_the_store_finds(
    shop: Collector, store: ts.Store, filters: dict[str, Any], spans: bool
) -> None:
    told = store.search(**filters, since=SINCE, until=UNTIL, limit=30, spans=spans)
    found = asked(shop, "search", **filters, **WINDOW, limit="30", spans=str(int(spans)))
    assert len(told) > 0
    assert [row["trace_id"] for row in found["rows"]] == told.rows["trace_id"].to_list()
    assert [int(row["start_ns"]) for row in found["rows"]] == told.rows["start_ns"].to_list()


def test_pages_of_a_search_follow_each_other(shop: Collector, store: ts.Store) -> None:
    told = store.search(since=SINCE, until=UNTIL, limit=60).rows["trace_id"].to_list()
    found: list[str] = []
    after = ""
    for _ in range(3):
        page = asked(shop, "search", **WINDOW, limit="20", after=after)
        found += [row["trace_id"] for row in page["rows"]]
        after = page["after"]
    assert found == told


def test_a_cloud_of_the_heat_map_is_compared(shop: Collector, store: ts.Store) -> None:
    cells = asked(shop, "latency", service="checkout", **WINDOW)["cells"]
    told = store.latency(service="checkout", since=SINCE, until=UNTIL)
    assert [cell["spans"] for cell in cells] == told["spans"].to_list()
    slow = [cell for cell in cells if cell["low_ns"] >= 100_000_000]
    cloud = [
        min(int(cell["start_ns"]) for cell in slow),
        max(int(cell["end_ns"]) for cell in slow),
        min(cell["low_ns"] for cell in slow),
        max(cell["high_ns"] for cell in slow),
    ]
    found = asked(shop, "compare", service="checkout", **WINDOW, cell=",".join(map(str, cloud)))
    assert found["selected"] == sum(cell["spans"] for cell in slow)
    assert found["values"]
    assert found["sentence"].splitlines()[0].startswith(f"{found['selected']} spans against")


def test_the_slowest_are_compared_with_a_filter(shop: Collector, store: ts.Store) -> None:
    chosen = store.select(service="web", since=SINCE, until=UNTIL, slowest=0.1)
    told = store.compare(chosen, 'service = "gateway"')
    found = asked(shop, "compare", service="web", **WINDOW, slowest="0.1", against='service = "gateway"')
    assert (found["selected"], found["compared"]) == (told.selected, told.compared)
    assert [row["attribute"] for row in found["attributes"]] == told.attributes["attribute"].to_list()


def test_a_trace_has_its_spans_and_a_path_as_long_as_its_root(shop: Collector, store: ts.Store) -> None:
    trace_id = store.search(service="checkout", order="slowest").rows["trace_id"][0]
    told, found = store.trace(trace_id), asked(shop, "trace", id=trace_id)
    assert [row["span_id"] for row in found["spans"]] == told.spans["span_id"].to_list()
    assert [row["critical_ns"] for row in found["spans"]] == told.spans["critical_ns"].to_list()
    assert found["spans"][found["root"]]["span_id"] == told.root.span_id
    assert sum(piece["for_ns"] for piece in found["lit"]) == told.root.duration_ns
    assert len(found["notes"]) == len(told.events) + len(told.logs)
    for row in found["spans"]:
        assert 0 <= row["at_ns"] <= row["at_ns"] + row["for_ns"] <= found["length_ns"]


def test_a_large_trace_is_cut_to_what_matters_and_says_so(
    shop: Collector, store: ts.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "MOST_SPANS", 8)
    trace_id = store.search(service="checkout", order="slowest").rows["trace_id"][0]
    found = asked(shop, "trace", id=trace_id)
    assert len(found["spans"]) <= 8 < found["all_spans"]
    assert found["spans"][found["root"]]["span_id"] == store.trace(trace_id).root.span_id
    lit = {piece["span"] for piece in found["lit"]} - {None}
    assert lit
    assert all(found["spans"][row]["critical_ns"] > 0 for row in lit)


def test_values_keep_every_digit_and_their_types(empty: Collector) -> None:
    values = {"big": BIG, "text": "42", "yes": True, "half": 0.5, "list": ["a", 1], "bytes": b"\xff"}
    one = span("look", start=UNTIL - 5, end=UNTIL, attributes=values)
    empty.lanes["default"].intake.submit(Signal.TRACES, request(one).SerializeToString()).result(20)
    found = asked(empty, "span", id=one.trace_id.hex(), span=one.span_id.hex())
    told = dict(found["attributes"])
    assert told["big"] == str(BIG)
    assert (told["text"], told["yes"], told["half"]) == ('"42"', "true", "0.5")
    assert json.loads(told["list"]) == ["a", 1]
    assert found["start_ns"] == str(UNTIL - 5)
    (row,) = asked(empty, "search", spans="1", where=f"span.big = {told['big']}")["rows"]
    assert dict(row["attributes"])["big"] == str(BIG)


def test_a_service_has_figures_neighbours_operations_and_traces(shop: Collector, store: ts.Store) -> None:
    found = asked(shop, "service", name="inventory", **WINDOW)
    told = store.topology(SINCE, UNTIL)
    assert [found["node"]] == told.nodes.filter(told.nodes["service"] == "inventory").to_dicts()
    assert {edge["target"] for edge in found["edges"]} == {"inventory", DATABASE}
    assert [row["operation"] for row in found["operations"]] == ["POST /reservations"]
    assert found["versions"]
    assert found["traces"]
    assert found["before"]["p95_ns"] < found["node"]["p95_ns"]
    assert asked(shop, "service", name="nobody", **WINDOW)["node"] is None


def test_flames_are_the_critical_paths_of_the_store(shop: Collector, store: ts.Store) -> None:
    found = asked(shop, "flame", service="web", **WINDOW)
    told = store.critical_path("web", SINCE, UNTIL, by="path")
    assert [frame["total_ns"] for frame in found["frames"]] == told["total_ns"].to_list()
    assert set(found["colours"]) == set(told["service"].to_list())


def test_names_are_offered(shop: Collector) -> None:
    found = asked(shop, "names")
    assert "checkout" in found["services"]
    assert "http.request.method" in found["keys"]
    assert "POST /orders" in asked(shop, "names", service="checkout")["operations"]


@pytest.mark.parametrize(
    ("question", "parameters", "status", "words"),
    [
        ("nothing", {}, 404, "There is no question 'nothing'"),
        ("search", {"page": "2"}, 400, "there is no parameter 'page' here"),
        ("search", {"since": "yesterday"}, 400, "'yesterday' is no time"),
        ("search", {"where": "duration >"}, 400, "the filter is wrong"),
        ("search", {"limit": "-1"}, 400, "limit is a whole number"),
        ("search", {"order": "fastest"}, 400, "order"),
        ("search", {"spans": "yes"}, 400, "spans is 1 or 0"),
        ("search", {"service": "chekout"}, 400, "Did you mean 'checkout'?"),
        ("search", {"after": "x"}, 400, "after"),
        ("causes", {"since": "yesterday"}, 400, "'yesterday' is no time"),
        ("causes", {"since": "yesterday", "until": "now"}, 400, "'yesterday' is no time"),
        ("topology", {"since": "1h", "until": "2h"}, 400, "the window is empty"),
        ("compare", {"slowest": "much"}, 400, "slowest is a number"),
        ("compare", {"cell": "1,2"}, 400, "cell is start,end,low,high"),
        ("compare", {"cell": f"1,2,3,{2**70}"}, 400, "cell is start,end,low,high"),
        ("world", {"renderer": "x", "open": "cart"}, 400, "open is a JSON list of texts"),
        ("world", {"renderer": "x", "keep": "[1]"}, 400, "keep is a JSON list of texts"),
        ("world", {"renderer": "x", "keep": "[" * 9000}, 400, "keep is a JSON list of texts"),
        ("connection", {"from": "web"}, 400, "the parameter to is missing"),
        ("trace", {}, 400, "the parameter id is missing"),
        ("trace", {"id": "xyz"}, 400, "xyz"),
        ("trace", {"id": "0" * 31 + "1"}, 404, "No span of trace"),
        ("tail", {"where": "duration >"}, 400, "the filter is wrong"),
    ],
)
def test_a_wrong_question_is_one_sentence(
    shop: Collector, question: str, parameters: dict[str, str], status: int, words: str
) -> None:
    got, sentence = refused(shop, question, **parameters)
    assert got == status
    assert words in sentence
    assert "\n" not in sentence
    assert str(shop.store.path) not in sentence


def test_a_parameter_may_not_stand_twice(shop: Collector) -> None:
    response = httpx.get(f"{shop.http_url}/ask/search?service=cart&service=web")
    assert response.status_code == 400
    assert "stands there twice" in response.json()["error"]


def test_a_failure_of_ours_tells_strangers_nothing(
    shop: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*_: object) -> dict[str, Any]:
        raise KeyError("a secret place")

    monkeypatch.setitem(QUESTIONS, "about", Question(failing, ()))
    assert refused(shop, "about") == (500, "The collector failed to answer; its log says why.")
    assert "a secret place" in caplog.text


def endless(store: ts.Store, *_: object) -> dict[str, Any]:
    store.sql("select count(*) from range(10000000000000)")
    return {}


def test_a_question_ends_when_its_browser_leaves(shop: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(QUESTIONS, "about", Question(endless, ()))

    def leave() -> None:
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{shop.http_url}/ask/about", timeout=1.0)

    browser = threading.Thread(target=leave)
    browser.start()
    assert soon(lambda: queries_running() > 0)
    browser.join()
    assert soon(lambda: queries_running() == 0)


def test_a_collector_that_closes_does_not_wait_for_questions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(QUESTIONS, "about", Question(endless, ()))
    with Collector(tmp_path / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0") as collector:

        def look() -> None:
            with pytest.raises(httpx.HTTPError):
                httpx.get(f"{collector.http_url}/ask/about", timeout=30).raise_for_status()

        browser = threading.Thread(target=look)
        browser.start()
        assert soon(lambda: queries_running() > 0)
    browser.join(20)
    assert not browser.is_alive()
    assert soon(lambda: queries_running() == 0)


def test_what_arrives_is_told_as_it_arrives(empty: Collector) -> None:
    with httpx.stream("GET", f"{empty.http_url}/ask/tail", params={"where": "status = error"}) as lines:
        told = (json.loads(line) for line in lines.iter_lines() if line)
        assert next(told) == {"rows": [], "skipped": 0}
        wrong = span("wrong", start=UNTIL, end=UNTIL + 7)
        wrong.status.code = 2
        sent = request(span("right"), wrong).SerializeToString()
        empty.lanes["default"].intake.submit(Signal.TRACES, sent).result(20)
        (row,) = next(told)["rows"]
    assert (row["operation"], row["start_ns"], row["duration_ns"]) == ("wrong", str(UNTIL), 7)
    assert soon(lambda: not any(each.name == "page-tail" for each in threading.enumerate()))


def test_more_than_one_can_read_is_counted(empty: Collector) -> None:
    with httpx.stream("GET", f"{empty.http_url}/ask/tail") as lines:
        told = (json.loads(line) for line in lines.iter_lines() if line)
        next(told)
        sent = request(*(span(f"span {number}") for number in range(450))).SerializeToString()
        empty.lanes["default"].intake.submit(Signal.TRACES, sent).result(20)
        seen = skipped = 0
        while seen + skipped < 450:
            line = next(told)
            assert len(line["rows"]) <= 100
            seen, skipped = seen + len(line["rows"]), skipped + line["skipped"]
    assert (seen + skipped, skipped >= 250) == (450, True)


def test_those_who_look_are_bounded(empty: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracescape.page.tailing._MOST", 1)
    url = f"{empty.http_url}/ask/tail"
    with httpx.stream("GET", url) as first:
        lines = first.iter_lines()
        next(lines)
        assert httpx.get(url).status_code == 503
    assert soon(lambda: _may_look(url))


def _may_look(url: str) -> bool:
    with httpx.stream("GET", url) as again:
        return again.status_code == 200


def test_those_who_look_are_let_go_when_the_collector_ends(tmp_path: Path) -> None:
    with Collector(tmp_path / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0") as collector:
        stream = httpx.Client(timeout=20).stream("GET", f"{collector.http_url}/ask/tail")
        lines = stream.__enter__().iter_lines()
        next(lines)
    assert list(lines) == []  # its end, and no broken connection
    stream.__exit__(None, None, None)


@pytest.mark.parametrize("question", ["about", "tail"])
def test_another_sites_page_may_not_even_cause_work(empty: Collector, question: str) -> None:
    for site in ("cross-site", "same-site"):
        response = httpx.get(f"{empty.http_url}/ask/{question}", headers={"Sec-Fetch-Site": site})
        assert response.status_code == 403


@pytest.mark.parametrize("path", ["/", "/page/index.js", "/ask/about"])
def test_a_rebound_name_gets_neither_page_nor_answers(empty: Collector, path: str) -> None:
    assert httpx.get(empty.http_url + path, headers={"Host": "evil.example"}).status_code == 403
    assert httpx.get(empty.http_url + path, headers={"Origin": "https://evil.example"}).status_code == 403


def test_with_keys_the_page_is_open_and_its_answers_are_not(tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text('[tenants]\nshop = ["the-key-of-the-shop"]\nbank = ["the-key-of-the-bank"]\n')
    keys.chmod(0o600)
    with Collector(tmp_path / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0", api_keys=keys) as collector:
        sent = request(span("look")).SerializeToString()
        collector.lanes["shop"].intake.submit(Signal.TRACES, sent).result(20)
        url = collector.http_url
        assert httpx.get(f"{url}/").status_code == 200
        assert httpx.get(f"{url}/page/index.js").status_code == 200
        assert httpx.get(f"{url}/page/other.js").status_code == 401
        for question in (*QUESTIONS, "tail"):
            assert httpx.get(f"{url}/ask/{question}").status_code == 401
        wrong = httpx.get(f"{url}/ask/about", headers={"Authorization": "Bearer nobodys-key-is-this"})
        assert (wrong.status_code, wrong.json()["error"]) == (401, "this API key is not known here")
        for tenant, spans in (("shop", 1), ("bank", 0)):
            own = httpx.get(f"{url}/ask/about", headers={"Authorization": f"Bearer the-key-of-the-{tenant}"})
            assert own.json()["spans"] == spans


def test_answers_are_in_no_cache(empty: Collector) -> None:
    response = httpx.get(f"{empty.http_url}/ask/about")
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"


def world(collector: Collector, known: World | None = None, **parameters: str) -> World:
    if known is not None:
        parameters["known"] = known["version"]
    response = httpx.get(f"{collector.http_url}/ask/world", params=parameters, timeout=60)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["cache-control"] == "no-store"
    return read(response.content, known)


def test_the_world_is_the_topology(shop: Collector, store: ts.Store) -> None:
    told = world(shop, **WINDOW)
    found = store.topology(SINCE, UNTIL)
    bodies = told["tables"]["bodies"]
    assert sorted(bodies["service"]) == sorted(found.nodes["service"])
    states = dict(zip(found.nodes["service"], found.nodes["state"], strict=True))
    for name, (code,) in zip(bodies["service"], bodies["state"], strict=True):
        assert STATES[code] == states[name]
    assert told["about"]["past"] is True
    assert told["about"]["until_ns"] == str(UNTIL)


def test_causes_of_the_past_are_found_when_asked_for_and_come_as_a_change(shop: Collector) -> None:
    first = world(shop, **WINDOW)
    assert first["about"]["cause"] is None
    response = httpx.get(
        f"{shop.http_url}/ask/world", params={**WINDOW, "causes": "1", "known": first["version"]}, timeout=60
    )
    second = read(response.content, first)
    cause = second["about"]["cause"]
    assert second["tables"]["bodies"]["service"][cause["body"]] == DATABASE
    assert second == world(shop, **WINDOW, causes="1")
    assert len(response.content) < 0.8 * len(world_bytes(shop, **WINDOW, causes="1"))


def world_bytes(collector: Collector, **parameters: str) -> bytes:
    return httpx.get(f"{collector.http_url}/ask/world", params=parameters, timeout=60).content


def test_nobody_moves_between_moments(shop: Collector) -> None:
    def places(told: World) -> dict[str, Any]:
        bodies = told["tables"]["bodies"]
        return dict(zip(bodies["service"], bodies["position"], strict=True))

    now, then = (
        places(world(shop, **WINDOW)),
        places(world(shop, since=str(SINCE - MINUTE_NS), until=str(SINCE))),
    )
    assert {name: now[name] for name in now.keys() & then.keys()} == {
        name: then[name] for name in now.keys() & then.keys()
    }


def test_a_version_that_is_not_known_any_more_is_told_whole(shop: Collector) -> None:
    response = httpx.get(f"{shop.http_url}/ask/world", params={**WINDOW, "known": "0" * 24}, timeout=60)
    assert read(response.content) == world(shop, **WINDOW)


def in_zone(name: str, ns: int) -> str:
    return datetime.fromtimestamp(ns / 1e9, ZoneInfo(name)).strftime("%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "America/St_Johns"])
def test_times_in_sentences_are_those_of_who_asks(shop: Collector, store: ts.Store, zone: str) -> None:
    def told(question: str, **parameters: str) -> httpx.Response:
        headers = {"Time-Zone": zone}
        return httpx.get(f"{shop.http_url}/ask/{question}", params=parameters, headers=headers, timeout=60)

    extent = store.extent()
    first, last = in_zone(zone, extent.first_start_ns), in_zone(zone, extent.last_start_ns)
    assert f"from {first} to {last}" in told("search", where="duration > 1h").json()["hint"]
    assert in_zone(zone, UNTIL) in read(told("world", **WINDOW).content)["about"]["caption"]
    assert in_zone(zone, SINCE) not in read(world_bytes(shop, **WINDOW))["about"]["caption"]
    written = {name: in_zone(zone, int(ns)).replace(" ", "T") for name, ns in WINDOW.items()}
    assert told("topology", **written).json()["until_ns"] == str(UNTIL // 10**9 * 10**9)


@pytest.mark.parametrize("zone", ["Nowhere/At", "../../etc/passwd", "", "x" * 500])
def test_a_zone_that_nobody_knows_is_the_collectors(shop: Collector, zone: str) -> None:
    answer = httpx.get(f"{shop.http_url}/ask/search?where=duration>1h", headers={"Time-Zone": zone})
    assert answer.json()["hint"] == asked(shop, "search", where="duration>1h")["hint"]


def test_the_same_moment_is_told_again_without_asking_the_store(
    shop: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = world(shop, **WINDOW, renderer="llvmpipe")
    with monkeypatch.context() as patched:
        patched.setattr("tracescape.page.questions._topology", None)
        still = world(shop, seen, still="1", renderer="llvmpipe", open='["web"]')
    assert still["tables"] == seen["tables"]
    lost = httpx.get(
        f"{shop.http_url}/ask/world", params={**WINDOW, "known": "0" * 24, "still": "1"}, timeout=60
    )
    assert read(lost.content)["tables"] == world(shop, **WINDOW)["tables"]


def test_a_connection_is_an_edge_of_the_topology(shop: Collector, store: ts.Store) -> None:
    edge = store.topology(SINCE, UNTIL).edges.row(0, named=True)
    told = asked(shop, "connection", **{"from": edge["source"], "to": edge["target"]}, **WINDOW)
    assert [(each["source"], each["target"]) for each in told["edges"]] == [
        (edge["source"], edge["target"])
    ] * len(told["edges"])
    assert edge["calls"] in [each["calls"] for each in told["edges"]]
    assert asked(shop, "connection", **{"from": "nobody", "to": "web"}, **WINDOW)["edges"] == []


def test_an_empty_world_is_a_world(empty: Collector) -> None:
    told = world(empty)
    assert told["tables"]["bodies"]["service"] == []
    assert told["about"]["spans"] == 0
    assert world(empty, told)["tables"] == told["tables"]


def test_a_replay_is_that_of_the_store(shop: Collector, store: ts.Store) -> None:
    trace_id = store.search(service="checkout", order="slowest").rows["trace_id"][0]
    told, replay = asked(shop, "replay", id=trace_id), store.trace(trace_id).replay()
    assert told["length_ns"] == replay.end_ns - replay.start_ns
    assert {node["service"] for node in told["nodes"]} >= set(replay.spans["service"])
    first = replay.spans.group_by("service").agg(pl.col("start_ns").min())
    begun = {node["service"]: node["from_ns"] for node in told["nodes"]}
    for service, start_ns in first.iter_rows():
        assert begun[service] <= start_ns - replay.start_ns
    assert told["all_legs"] == len(told["legs"]) == replay.legs.height
    for leg, row in zip(told["legs"], replay.legs.iter_rows(named=True), strict=True):
        way = told["ways"][leg["way"]]
        assert (way["source"], way["target"], leg["leg"]) == (row["source"], row["target"], row["leg"])
        assert leg["at_ns"] == row["start_ns"] - replay.start_ns
    lit = [way["lit_ns"] for way in told["ways"] if way["lit_ns"][0] is not None]
    assert lit
    assert all(0 <= enters <= ends <= told["length_ns"] for enters, ends in lit)
    assert 0 <= told["telling_ns"] <= told["length_ns"]


def test_a_replay_says_what_everybody_does_at_any_moment(shop: Collector, store: ts.Store) -> None:
    trace_id = store.search(service="checkout", order="slowest").rows["trace_id"][0]
    told, route = asked(shop, "replay", id=trace_id), route_of(store.trace(trace_id).replay())
    names, start = names_of(route), route.replay.start_ns
    for at_ns in range(start, start + told["length_ns"], max(1, told["length_ns"] // 50)):
        now = route.at(at_ns)
        sentence = re.sub(r", at \S+ \S+ of \S+ \S+", "", says(route, names, now))
        assert words_at(told["says"], at_ns - start) == sentence
        for node, each in enumerate(told["nodes"]):
            assert words_at(each["says"], at_ns - start) == subtitle(route, names, now, node)
    assert told["title"] == "web POST /checkout"
    root = route.replay.spans.filter(pl.col("parent") == -1)
    assert told["outcome"].startswith("fails after" if root["failed"][0] else "is answered after")


def words_at(words: list[list[Any]], at_ns: int) -> str:
    """What was said last; nothing before anything was."""
    return next((said for since, said in reversed(words) if since <= at_ns), "")


def test_of_a_request_of_very_many_steps_some_are_said(
    shop: Collector, store: ts.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracescape.page.riding.MOST_MOMENTS", 3)
    trace_id = store.search(service="checkout", order="slowest").rows["trace_id"][0]
    told = ridden(store.trace(trace_id).replay())
    assert 1 < len(told["says"]) <= 3
    assert told["says"][-1][0] == told["length_ns"]
