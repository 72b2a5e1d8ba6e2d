"""What `explore` is asked to show: which options go together, which do not; a trace is read once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

import tracescape as ts
from support.shop_store import MINUTE_NS, broken_shop
from tracescape import exploring, stepping_in
from tracescape.cli import app
from tracescape.exploring import Asked
from tracescape.time_shown import TimeShown, written_moment
from tracescape_analytics.errors import UnknownTraceError
from tracescape_render import Start
from tracescape_render.camera import View
from tracescape_render.inside.asked import InsideWish, Seen
from tracescape_storage.sql_reader import SqlReader

BEGIN = 1_760_000_000_000_000_000
END = BEGIN + 4 * MINUTE_NS
A, B, FILE = "ab" * 16, "cd" * 16, Path("x.png")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("exploring") / "shop.db"
    with broken_shop(file, BEGIN, 2, 2):
        pass
    return file


@pytest.fixture
def store(path: Path) -> Iterator[ts.Store]:
    with ts.open(path) as opened:
        yield opened


@pytest.fixture
def slowest(store: ts.Store) -> str:
    return str(store.search(order="slowest", limit=1).rows["trace_id"][0])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"share": "0.5"}, "name one with --trace"),
        ({"share": "0.5", "at": "5m"}, "name one with --trace"),
        ({"inside": True}, "name it with --trace"),
        ({"beside": B}, "name it with --trace"),
        ({"inside": True, "at": "5m"}, "name it with --trace"),
        ({"trace": A, "inside": True, "video": FILE}, "--inside is a place"),
        ({"trace": A, "inside": True, "share": "0.5"}, "--inside is a place"),
        ({"trace": A, "beside": B, "video": FILE}, "--inside is a place"),
        ({"trace": A, "beside": B, "share": "0.5"}, "--inside is a place"),
        ({"trace": A, "within": "1,2"}, "add --inside"),
        ({"trace": A, "span": "0" * 16}, "add --inside"),
        ({"within": "1,2"}, "add --inside"),
        ({"trace": A, "wall_view": "1,2,3,4,5,6"}, "add --inside"),
        ({"trace": A, "inside": True, "wall_view": "1,2,3"}, "is no view"),
        ({"trace": A, "inside": True, "within": "2,1"}, "is no part of a trace"),
        ({"trace": A, "inside": True, "within": "soon"}, "is no part of a trace"),
        ({"trace": A, "inside": True, "within": "1,2,3"}, "is no part of a trace"),
        ({"trace": A, "inside": True, "within": "1,nan"}, "is no part of a trace"),
        ({"trace": A, "inside": True, "within": "1,2,0,1.5"}, "is no part of a trace"),
        ({"trace": A, "inside": True, "within": "1," + "9" * 40}, "is no part of a trace"),
        ({"trace": A, "share": "0.5", "video": FILE}, "leave out --share"),
        ({"split": True}, "name the other with --against"),
        ({"split": True, "at": "5m"}, "name the other with --against"),
        ({"at": "5m", "against": "9m", "video": FILE}, "leave out --against"),
        ({"at": "5m", "against": "9m", "split": True, "video": FILE}, "leave out --against"),
        ({"trace": A, "against": "9m", "screenshot": FILE}, "of two moments or of a request"),
        (
            {"trace": A, "at": "5m", "against": "9m", "split": True, "screenshot": FILE},
            "of two moments or of a request",
        ),
        ({"trace": A, "share": "much"}, "is no share of a replay"),
        ({"trace": A, "inside": True, "stereo": True, "screenshot": FILE}, "--stereo is of the world"),
        ({"openxr": True, "stereo": True}, "--openxr is the world at one moment"),
        ({"openxr": True, "trace": A}, "--openxr is the world at one moment"),
        ({"openxr": True, "trace": A, "inside": True}, "--openxr is the world at one moment"),
        ({"openxr": True, "at": "5m", "against": "9m"}, "--openxr is the world at one moment"),
        ({"openxr": True, "screenshot": FILE}, "--openxr is the world at one moment"),
        ({"openxr": True, "glb": FILE}, "--openxr is the world at one moment"),
    ],
)
def test_what_does_not_go_together_is_one_sentence(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Asked(**options).request()


@pytest.mark.parametrize(
    ("options", "request_"),
    [
        ({}, exploring.Request()),
        ({"at": "5m", "against": "9m", "split": True}, exploring.Request()),
        ({"at": "5m", "video": FILE}, exploring.Request()),
        ({"at": "5m", "video": FILE, "screenshot": FILE}, exploring.Request()),
        ({"trace": A, "at": "5m"}, exploring.Request(A)),
        ({"stereo": True, "screenshot": FILE, "at": "5m"}, exploring.Request()),
        ({"openxr": True, "at": "5m"}, exploring.Request()),
        # in a window one rides through the world of the first, and Esc leads back to both
        ({"trace": A, "at": "5m", "against": "9m", "split": True}, exploring.Request(A)),
        ({"trace": A, "share": "40%", "screenshot": FILE}, exploring.Request(A, 0.4)),
        ({"trace": A, "share": "0.4", "screenshot": FILE, "video": FILE}, exploring.Request(A, 0.4)),
        ({"trace": A, "inside": True}, exploring.Request(inside=InsideWish(A))),
        ({"trace": A, "beside": B}, exploring.Request(inside=InsideWish(A, B))),
        # the world behind may be two moments: that is what `k` copies inside
        (
            {"trace": A, "inside": True, "at": "5m", "against": "9m", "split": True},
            exploring.Request(inside=InsideWish(A)),
        ),
        (
            {"trace": A, "inside": True, "within": "-5,90", "span": "f" * 16},
            exploring.Request(inside=InsideWish(A), seen=Seen(-5, 90, 0, 0, "f" * 16)),
        ),
        (
            {"trace": A, "inside": True, "within": "5,90,2,30"},
            exploring.Request(inside=InsideWish(A), seen=Seen(5, 90, 2, 30)),
        ),
        (
            {"trace": A, "inside": True, "within": "0.25,90.5", "wall_view": "0,-9,3,0,0,2"},
            exploring.Request(
                inside=InsideWish(A), seen=Seen(0.25, 90.5, view=View((0.0, -9.0, 3.0), (0.0, 0.0, 2.0)))
            ),
        ),
        (
            {"trace": A, "inside": True, "span": "f" * 16},
            exploring.Request(inside=InsideWish(A), seen=Seen(span="f" * 16)),
        ),
    ],
)
def test_what_goes_together_is_what_is_asked(options: dict[str, Any], request_: exploring.Request) -> None:
    assert Asked(**options).request() == request_


def explore(path: Path, *options: str) -> str:
    result = CliRunner().invoke(app, ["explore", str(path), "--size", "400x260", *options])
    return f"{result.output}{result.exception or ''}"


def test_a_ridden_trace_is_on_the_ground_of_the_past_and_wears_its_banner(
    path: Path, slowest: str, tmp_path: Path
) -> None:
    file = tmp_path / "ridden.png"
    assert "ridden.png" in explore(path, "--trace", slowest, "--screenshot", str(file)).replace("\n", "")
    explore(path, "--screenshot", str(tmp_path / "world.png"))
    with Image.open(file) as ridden, Image.open(tmp_path / "world.png") as world:
        corner = (2, 200)
        assert ridden.convert("RGB").getpixel(corner) != world.convert("RGB").getpixel(corner)


def test_a_picture_of_a_part_of_a_trace_of_a_span_in_it_and_from_another_place(
    path: Path, store: ts.Store, slowest: str, tmp_path: Path
) -> None:
    span = store.trace(slowest).root.span_id
    words = {
        "all": (),
        "part": ("--within", "1000000,90000000"),
        "span": ("--within", "1000000,90000000", "--span", span),
        "place": ("--wall-view", "6,-30,9,0,0,4"),
    }
    pictures = []
    for name, more in words.items():
        file = tmp_path / f"{name}.png"
        said = explore(path, "--trace", slowest, "--inside", "--screenshot", str(file), *more)
        assert file.exists(), said
        pictures.append(file.read_bytes())
    assert len(set(pictures)) == len(words)
    said = explore(
        path, "--trace", slowest, "--inside", "--span", "nobody", "--screenshot", str(tmp_path / "x.png")
    )
    assert "has the id 'nobody'" in said
    assert not (tmp_path / "x.png").exists()


def test_a_settled_time_is_the_same_time_told_exactly(store: ts.Store, slowest: str) -> None:
    last = int(store.trace(slowest).spans["end_ns"].to_numpy().max())
    asked = TimeShown(trace=slowest.upper(), width="1m")
    settled = asked.settled(store)
    assert (settled.at, settled.trace) == (written_moment(last + 1), slowest)
    assert settled.words(store) == asked.words(store)
    assert asked.settled(store, last) == settled
    assert settled.settled(store) == settled
    assert TimeShown(at="2m").settled(store).words(store) == TimeShown(at="2m").words(store)
    for other in (TimeShown(), TimeShown(since="2m")):
        assert other.settled(store) is other
    with pytest.raises(UnknownTraceError, match="No span of trace"):
        TimeShown(at="2m", trace=A).settled(store)


def test_a_window_that_begins_inside_of_a_trace_has_read_it_once(
    path: Path, slowest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[bytes] = []
    answered: list[stepping_in.InsideAnswer] = []
    spans = SqlReader.spans

    def counting(self: SqlReader, *given: Any, **more: Any) -> Any:
        read.extend(more.get("trace_ids") or ())
        return spans(self, *given, **more)

    def opened(source: Any, *, questions: Any, start: Start, **_: Any) -> None:
        assert start.inside == InsideWish(slowest)
        assert start.seen == Seen(5, 90)
        answered.append(questions.inside(start.inside))
        assert source().at_ns == int(answered[0].traces[-1].spans["end_ns"].to_numpy().max()) + 1

    monkeypatch.setattr(SqlReader, "spans", counting)
    monkeypatch.setattr("tracescape_render.open_window", opened)
    whole: list[str] = []
    walled = stepping_in.inside
    monkeypatch.setattr(
        "tracescape.stepping_in.inside",
        lambda store, wish: (whole.append(wish.trace_id), walled(store, wish))[1],
    )
    said = explore(path, "--trace", slowest.upper(), "--inside", "--within", "5,90")
    assert answered, said
    assert whole == [slowest.upper()]
    assert read.count(bytes.fromhex(slowest)) == 0, "its end is known from what was read"
