"""What a newcomer sees: answers that show themselves, pictures from one word, a sign of life."""

import asyncio
import dataclasses
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import nbformat
import polars as pl
import pytest
from nbclient import NotebookClient

import tracescape as ts
from support.svg import Drawn
from tracescape.patience import patience
from tracescape_render import RenderError


def html(answer: object) -> str:
    shown = answer._repr_html_()  # type: ignore[attr-defined]
    assert isinstance(shown, str)
    return shown


def test_a_trace_shows_its_waterfall_and_what_else_there_is(store: ts.Store) -> None:
    trace = store.trace(store.search(order="slowest", limit=1).rows[0, "trace_id"])
    page = html(trace)
    assert page.count("<svg") == 1 and trace.trace_id in page and ".critical_path()" in page
    Drawn(trace.plot().svg).check()
    assert repr(trace).startswith("Trace ")
    assert ts.plot(trace).svg == trace.plot().svg


def test_a_diagnosis_shows_both_paths_of_each_cause_below_its_note(store: ts.Store) -> None:
    found = store.diagnose(since="2m")
    page = html(found)
    assert page.count("<svg") == len(found.causes) == 1
    told = page.index(found.causes["sentence"][0])
    assert told < page.index("<svg") < page.index("<table")
    assert "◀" not in page, "the steps are drawn, not told as well"
    chart = found.plot()
    Drawn(chart.svg).check()
    assert f"bad trace {found.causes['bad_trace'][0]}" in chart.svg
    assert ts.plot(found).svg == chart.svg
    assert ts.plot(found.paths, title="2 ways").text[:6] == "2 ways"
    with pytest.raises(ValueError, match="no cause of rank 2: ranks are 1 to 1"):
        found.plot(2)
    with pytest.raises(ValueError, match="rank is a whole number"):
        found.plot("first")  # type: ignore[arg-type]
    quiet = store.diagnose(since="8m", until="6m", baseline=("6m", "4m"))
    assert "<svg" not in html(quiet) and str(quiet).splitlines()[0] in html(quiet)
    with pytest.raises(ValueError, match="nothing is significant"):
        quiet.plot()


def test_a_span_shows_all_that_hangs_on_it(store: ts.Store) -> None:
    trace = store.trace(store.search('event.name = "exception"', limit=1).rows[0, "trace_id"])
    span = trace.span(trace.spans.filter(pl.col("status") == "error").row(-1, named=True)["span_id"])
    shown = repr(span)
    assert shown.startswith(f"Span {span.span_id}: {span.service} {span.operation}, ")
    for text in ("status      error: ", "event       exception", "service.namespace", '= "shop"'):
        assert text in shown, text
    hostile = dataclasses.replace(span, operation="\x1b[31m" + "W" * 900, links=[{}], logs=[{}, {}])
    assert "\x1b" not in repr(hostile) and max(map(len, repr(hostile).splitlines())) < 220
    assert "1 link, see .links" in repr(hostile) and "2 log records, see .logs" in repr(hostile)


def test_every_frame_of_a_store_is_polars_and_readable(store: ts.Store) -> None:
    trace = store.trace(store.search(limit=1).rows[0, "trace_id"])
    topology = store.topology()
    frames = [
        store.services(),
        store.critical_path(),
        store.latency(),
        store.sql("select * from spans_v limit 3"),
        topology.nodes,
        topology.edges,
        trace.waterfall(),
        trace.critical_path(),
        trace.spans,
    ]
    for frame in frames:
        assert isinstance(frame, pl.DataFrame)
        assert html(frame).startswith('<div class="ts-table"')
        assert isinstance(frame.lazy().collect(), pl.DataFrame)
    waits = store.critical_path()
    chosen = waits.filter(pl.col("share") > 0).sort("share", "service", descending=True).head(3)
    assert "3 rows" in html(chosen.with_columns(x=1).select("share", "x"))
    shares = waits["share"]
    assert shares.sum() == pytest.approx(1)


def test_one_word_draws_every_answer(store: ts.Store) -> None:
    trace = store.trace(store.search(limit=1).rows[0, "trace_id"])
    answers = [
        trace.waterfall(),
        store.critical_path(),
        store.critical_path(by="service"),
        store.critical_path(by="edge"),
        store.critical_path(by="path"),
        store.latency(service="web", step="30s"),
    ]
    for answer in answers:
        chart = ts.plot(answer, title="Of the shop")
        Drawn(chart.svg).check()
        assert chart.text.startswith("Of the shop.")
    with pytest.raises(ValueError, match=r"store\.latency"):
        ts.plot(store.services())
    topology = store.topology()
    chart = ts.plot(topology, title="The shop")
    assert chart.text.startswith("The shop. ")
    assert chart.svg.count('class="node') == topology.nodes.height > 0
    with pytest.raises(TypeError, match="str has no chart"):
        ts.plot("nonsense")  # type: ignore[arg-type]


def test_latency_counts_every_span_and_takes_filters(store: ts.Store) -> None:
    assert store.latency()["spans"].sum() == store.extent().spans
    failed = store.latency("status = error")
    assert failed["spans"].sum() == failed["errors"].sum() == store.latency()["errors"].sum()
    steps = store.latency(step="30s").select(pl.col("end_ns") - pl.col("start_ns"))
    assert set(steps.to_series()) == {30_000_000_000}
    trace_id = store.latency(service="web").row(0, named=True)["exemplar"]
    assert "web" in store.trace(trace_id).spans["service"]


def test_a_page_shows_rows_how_to_go_on_and_why_there_is_nothing(store: ts.Store) -> None:
    page = html(store.search(limit=3))
    assert page.count("<tr>") == 4 and "after=found.after" in page and "store.trace(" in page
    assert "attributes" in html(store.search(limit=3, spans=True))
    nothing = html(store.search(attributes={"user.idd": "1"}))
    assert "user.id" in nothing and "<table" not in nothing


def test_a_topology_shows_its_picture_and_the_sick(store: ts.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    topology = store.topology(since="2m", baseline="8m")
    page = html(topology)
    assert "data:image/png;base64," in page and page.count("<table") == 2
    assert page.index("inventory") < page.index("catalog"), "the sick come first"

    def no_graphics(_scene: object) -> bytes:
        raise RenderError("apt-get install -y <libegl1>")

    monkeypatch.setattr("tracescape.view.png_of", no_graphics)
    page = html(topology)
    assert "No picture: apt-get install -y &lt;libegl1&gt;" in page and page.count("<table") == 2


class Sign:
    def __init__(self) -> None:
        self.seen: list[str] = []

    @contextmanager
    def __call__(self, label: str) -> Iterator[Callable[[float], None]]:
        self.seen.append(label)
        yield lambda seconds: self.seen.append(f"{seconds:.0f} s")
        self.seen.append("gone")


def test_what_is_quick_shows_no_sign_and_what_is_slow_does() -> None:
    sign = Sign()
    with patience("reading", sign=sign, after_s=5):
        pass
    assert sign.seen == []
    with patience("reading", sign=sign, after_s=0.01):
        time.sleep(0.7)
    assert sign.seen[0] == "reading" and sign.seen[-1] == "gone" and len(sign.seen) >= 3
    assert not [thread for thread in threading.enumerate() if thread.name == "patience"]


def test_a_failure_ends_the_sign_and_other_threads_show_none() -> None:
    sign = Sign()
    with pytest.raises(KeyError), patience("reading", sign=sign, after_s=0.0):
        time.sleep(0.1)
        raise KeyError
    assert sign.seen == ["reading", "gone"]

    def work() -> None:
        with patience("elsewhere", sign=sign, after_s=0.0):
            time.sleep(0.05)

    other = threading.Thread(target=work)
    other.start()
    other.join()
    assert sign.seen == ["reading", "gone"]


@pytest.mark.filterwarnings("default")  # Jupyter's own libraries warn about each other
def test_a_notebook_shows_the_sign_below_its_cell_and_takes_it_away() -> None:
    code = (
        f"import sys, time\nsys.path[:0] = {sys.path!r}\n"
        "from tracescape.patience import patience\n"
        "with patience('reading <all>', after_s=0.1):\n    time.sleep(1.3)\n"
    )
    document = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    updates = []

    class Watching(NotebookClient):
        def process_message(self, msg, cell, cell_index):  # type: ignore[no-untyped-def]
            if msg["msg_type"] in ("display_data", "update_display_data"):
                updates.append(msg["content"]["data"]["text/html"])
            return super().process_message(msg, cell, cell_index)

    asyncio.run(Watching(document, timeout=60).async_execute())
    assert "reading &lt;all&gt; … 1 s" in updates[0] and "<progress" in updates[0]
    assert updates[-1] == ""
