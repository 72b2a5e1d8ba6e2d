"""Comparing as people do it: on a file, against a collector, in the terminal."""

import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import polars as pl
import pytest

import tracescape as ts
from support.commands import run
from support.otlp import request, span
from tracescape.collector import Collector
from tracescape_ingest.grpc_server import SERVICE

SECOND = 1_000_000_000
BEGIN = 1_790_000_000 * SECOND
HALF_A_SECOND = 500_000_000


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Requests of a shop of which those of one tenant with one version are slow."""
    path = tmp_path_factory.mktemp("compared") / "t.db"
    made = []
    for number in range(240):
        slow = number % 12 == 0
        begin = BEGIN + number * SECOND
        made.append(
            span(
                "GET /cart",
                start=begin,
                end=begin + (HALF_A_SECOND if slow else 2_000_000) + number,
                attributes={"tenant": "acme" if slow else f"t{number % 5}", "rows": number},
            )
        )
    with (
        Collector(path, grpc="127.0.0.1:0", http="127.0.0.1:0") as collector,
        grpc.insecure_channel(collector.grpc_endpoint.removeprefix("http://")) as channel,
    ):
        channel.unary_unary(f"/{SERVICE}/Export")(request(*made).SerializeToString())
    return path


@pytest.fixture(params=["file", "collector"])
def store(request: pytest.FixtureRequest, file: Path) -> Iterator[ts.Store]:
    if request.param == "file":
        with ts.open(file) as opened:
            yield opened
        return
    with (
        Collector(file, grpc="127.0.0.1:0", http="127.0.0.1:0", observe_s=0) as collector,
        ts.connect(collector.http_url) as connected,
    ):
        yield connected


def test_whoever_answers_says_the_same(store: ts.Store) -> None:
    found = store.compare("duration > 100ms")
    assert (found.selected, found.compared) == (20, 220)
    assert found.values.row(0, named=True)["attribute"] == "span.tenant"
    assert "100 % have span.tenant = acme, of the others 0 %" in str(found)
    trace = found.values["exemplar"].drop_nulls()[0]
    assert store.trace(trace).root.duration_ns > HALF_A_SECOND
    assert "acme" in found._repr_html_()


def test_a_cloud_is_picked_from_the_heat_map(store: ts.Store) -> None:
    cells = store.latency(service="shop")
    cloud = store.select(cells=cells.filter(cells["low_ns"] > HALF_A_SECOND // 2))
    assert store.compare(cloud).selected == 20
    with pytest.raises(
        ValueError, match=r"rows of the frame that store.latency\(\) gives; this one lacks low_ns"
    ):
        store.select(cells=cells.drop("low_ns", "high_ns"))
    with pytest.raises(ValueError, match="has no rows"):
        store.select(cells=cells.clear())


def test_what_is_picked_is_of_what_the_map_was_asked(store: ts.Store) -> None:
    cells = store.latency(service="shop", since=BEGIN + 60 * SECOND, until=BEGIN + 120 * SECOND, step="7s")
    picked = cells.pick(min_duration="250ms")
    assert picked == store.select(
        service="shop",
        since=BEGIN + 60 * SECOND,
        until=BEGIN + 120 * SECOND,
        cells=cells.filter(cells["low_ns"] > HALF_A_SECOND // 2),
    )
    found = store.compare(picked)
    assert (found.selected, found.compared) == (5, 55), (
        "cells reach beyond the window, the selection does not"
    )
    assert str(found).startswith('5 spans against 55 others with service = "shop".')
    fast = cells.pick(pl.col("start_ns") > BEGIN + 90 * SECOND, max_duration="250ms")
    assert fast.cells and all(
        cell.start_ns > BEGIN + 90 * SECOND and cell.low_ns < HALF_A_SECOND // 2 for cell in fast.cells
    )
    with pytest.raises(ValueError, match=r"none of the \d+ cells is like that"):
        cells.pick(min_duration="1h")
    assert cells.filter(pl.col("low_ns") > HALF_A_SECOND // 2).pick() == picked
    with pytest.raises(ValueError, match=r"store.select\(cells=\)"):
        type(cells)(pl.DataFrame(cells)).pick(min_duration="1s")


def test_what_a_service_did_in_a_window_is_compared_with_what_it_did_before(store: ts.Store) -> None:
    window = {"since": BEGIN + 120 * SECOND, "until": BEGIN + 180 * SECOND}
    work = store.select(service="shop", operation="GET /cart", **window)
    found = store.compare(work)
    assert (found.selected, found.compared) == (60, 60)
    assert str(found).startswith("60 spans against 60 of the same in the time just before.")
    assert found.attributes["attribute"][0] == "span.rows", "which is a number that grows"
    whole = store.compare(store.select(**window))
    assert str(whole).startswith("60 spans against 60 in the time just before.")
    with pytest.raises(ts.StoreError, match="no spans"):  # nothing else is stored that it could differ from
        store.compare(store.select(service="shop", since=BEGIN, until=BEGIN + 60 * SECOND))


def test_two_selections(store: ts.Store) -> None:
    found = store.compare(store.select(slowest=0.05), store.select("span.tenant exists", max_duration="3ms"))
    assert (found.selected, found.compared) == (12, 220)


def test_in_the_terminal(file: Path) -> None:
    asked = run("compare", "duration > 100ms", "--store", file)
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.splitlines()[0] == "20 spans against 220 others."
    assert "span.tenant = acme" in asked.stdout
    rows = [
        json.loads(line)
        for line in run("compare", "--slowest", "0.05", "--store", file, "--json").stdout.splitlines()
    ]
    assert {row["attribute"] for row in rows} >= {"span.tenant", "span.rows"}


def test_what_is_wrong_is_one_sentence(file: Path) -> None:
    for arguments, words in (
        (["duration >"], "at its end: expected"),
        ([], "everything that is stored"),
        (["duration > 1h"], "The selection has no spans"),
        (['service = "shp"'], "shop"),
        (["--slowest", "7"], "slowest hundredth"),
    ):
        asked = run("compare", *arguments, "--store", file)
        assert asked.returncode == 1
        assert asked.stderr.startswith("tracescape: ")
        assert len(asked.stderr.strip().splitlines()) == 1
        assert words in asked.stderr
