"""Stepping inside traces of a stored shop: from Python, from a command, beside what is typical."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from PIL import Image
from typer.testing import CliRunner

import tracescape as ts
from support.shop_store import broken_shop
from tracescape.cli import app
from tracescape.panels import StorePanels
from tracescape.stepping_in import typical, wish_of
from tracescape_analytics.errors import UnknownTraceError
from tracescape_render.inside.asked import TYPICAL, InsideWish
from tracescape_render.inside.bodies import bodies
from tracescape_render.inside.stage import whole_of
from tracescape_render.inside.standing import standing
from tracescape_storage.errors import StoreError

BEGIN = 1_760_000_000_000_000_000


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ts.Store]:
    with broken_shop(tmp_path_factory.mktemp("inside") / "shop.db", BEGIN, 2, 2) as opened:
        yield opened


@pytest.fixture(scope="module")
def slowest(store: ts.Store) -> str:
    return str(store.search(order="slowest").rows["trace_id"][0])


def test_the_wall_of_a_stored_trace_is_drawn_whole(store: ts.Store, slowest: str) -> None:
    found = StorePanels(store).inside(InsideWish(slowest))
    wall, trace = standing(found.walls), store.trace(slowest)
    drawn = bodies(wall, whole_of(wall))
    assert drawn.count.sum() == len(trace.spans)
    assert wall.self_ns.tolist() == trace.spans["self_ns"].to_list()
    lit = (wall.lit.end - wall.lit.start).sum()
    assert lit == trace.critical_path()["duration_ns"].sum()
    assert found.traces[0].span(trace.root.span_id).attributes


def test_a_typical_trace_is_of_the_same_kind_without_errors_and_takes_as_long_as_most(
    store: ts.Store, slowest: str
) -> None:
    trace = store.trace(slowest)
    other = store.trace(typical(store, trace))
    assert other.trace_id != trace.trace_id
    assert (other.root.service, other.root.operation) == (trace.root.service, trace.root.operation)
    assert not (other.spans["status"] == "error").any()
    kin = store.spans(columns=["service", "operation", "parent_span_id", "duration_ns"]).filter(
        (pl.col("service") == trace.root.service)
        & (pl.col("operation") == trace.root.operation)
        & (pl.col("parent_span_id") == "")
    )
    took = (kin.collect() if isinstance(kin, pl.LazyFrame) else kin)["duration_ns"]
    low, high = took.quantile(0.4), took.quantile(0.6)
    assert low is not None and high is not None
    assert low <= other.root.duration_ns <= high
    found = StorePanels(store).inside(InsideWish(slowest, TYPICAL))
    assert [each.trace_id for each in found.traces] == [other.trace_id, trace.trace_id]
    assert found.pairs is not None
    assert found.pairs.spans["difference_ns"].sum() == trace.root.duration_ns - other.root.duration_ns


def test_what_cannot_be_stepped_into_is_a_sentence(store: ts.Store, slowest: str) -> None:
    panels = StorePanels(store)
    with pytest.raises(UnknownTraceError, match="No span of trace"):
        panels.inside(InsideWish("ab" * 16))
    with pytest.raises((ValueError, StoreError)):
        panels.inside(InsideWish("no id"))
    with pytest.raises(UnknownTraceError, match="No span of trace"):
        panels.inside(InsideWish(slowest, "cd" * 16))
    with pytest.raises(ValueError, match="cannot stand beside itself"):
        panels.inside(InsideWish(slowest, slowest))
    with pytest.raises(ValueError, match="name it with --trace"):
        wish_of(None, None, stepping=True)
    assert wish_of("ab", None, stepping=False) is None
    with pytest.raises(ValueError, match="store.trace"):
        store.trace(slowest).beside("a text")  # type: ignore[arg-type]


def test_pictures_from_python(store: ts.Store, slowest: str, tmp_path: Path) -> None:
    trace = store.trace(slowest)
    one = trace.wall().screenshot(tmp_path / "one.png", size=(640, 400))
    other = store.trace(typical(store, trace))
    two = other.beside(trace).screenshot(tmp_path / "two.png", size=(640, 400), theme="light")
    for path in (one, two):
        with Image.open(path) as picture:
            assert picture.size == (640, 400)
            assert len(set(picture.convert("RGB").resize((64, 40)).tobytes())) > 50
    with pytest.raises(ValueError, match="no theme"):
        trace.wall().screenshot(tmp_path / "three.png", theme="pink")


def test_a_notebook_shows_it_inline(store: ts.Store, slowest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[object] = []
    monkeypatch.setattr("tracescape.stepping_in.in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", shown.append)
    store.trace(slowest).wall().show()
    assert len(shown) == 1
    assert shown[0].data.startswith(b"\x89PNG")  # type: ignore[attr-defined]


def test_a_command_writes_a_picture_of_it(store: ts.Store, slowest: str, tmp_path: Path) -> None:
    runner, path = CliRunner(), tmp_path / "inside.png"
    words = ["explore", store.location, "--trace", slowest, "--size", "640x400", "--screenshot", str(path)]
    done = runner.invoke(app, [*words, "--inside"])
    assert done.exit_code == 0, done.output
    assert path.stat().st_size > 10_000
    alone = path.read_bytes()
    done = runner.invoke(app, [*words, "--beside", "typical"])
    assert done.exit_code == 0, done.output
    assert path.read_bytes() != alone
    done = runner.invoke(app, ["explore", store.location, "--inside", "--screenshot", str(path)])
    assert "name it with --trace" in str(done.exception)
