"""A request in the world, from Python and a terminal: pictures, films, what a window is told; bad input."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

import tracescape as ts
from support.shop_store import MINUTE_NS, broken_shop
from tracescape.cli import app
from tracescape.panels import StorePanels
from tracescape.pictures import route_in, share_of
from tracescape_analytics.errors import UnknownServiceError, UnknownTraceError
from tracescape_render import RenderError, film, tempo
from tracescape_render.snapshot import RideWish

BEGIN = 1_760_000_000_000_000_000
BROKEN, END = BEGIN + 2 * MINUTE_NS, BEGIN + 4 * MINUTE_NS


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("riding") / "shop.db"
    with broken_shop(file, BEGIN, 2, 2):
        pass
    return file


@pytest.fixture
def store(path: Path) -> Iterator[ts.Store]:
    with ts.open(path) as opened:
        yield opened


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Films of a second: each frame is drawn by the processor."""
    monkeypatch.setattr(tempo, "SHORTEST_S", 1.0)
    monkeypatch.setattr(tempo, "LONGEST_S", 1.0)
    monkeypatch.setattr(film, "_FLIGHT_S", 1.0)


def slowest(store: ts.Store, **more: str) -> str:
    return str(store.search(order="slowest", limit=1, **more).rows["trace_id"][0])  # type: ignore[arg-type]


def explore(path: Path, *options: str) -> str:
    result = CliRunner().invoke(app, ["explore", str(path), "--size", "320x200", *options])
    return f"{result.output}{result.exception or ''}"


def test_every_way_of_a_real_request_is_one_of_the_world_of_its_moment(store: ts.Store) -> None:
    route = route_in(store, slowest(store))
    edges = store.at(route.replay.end_ns + 1).topology().edges
    known = set(edges.select("source", "target").rows())
    assert {(route.names[s], route.names[t]) for s, t in route.ends.tolist()} <= known


def test_a_trace_has_a_picture_at_any_share_and_by_default_a_telling_one(
    store: ts.Store, tmp_path: Path
) -> None:
    trace = store.trace(slowest(store))
    pictures = [
        trace.screenshot(tmp_path / f"{share}.png", (400, 240), share=share).read_bytes()
        for share in (None, 0.0, 1.0)
    ]
    assert len(set(pictures)) == 3
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)
    with pytest.raises(ValueError, match="from 0, its start, to 1"):
        trace.screenshot(tmp_path / "x.png", share=2.0)


def test_a_replay_shows_itself_as_its_trace_does(
    store: ts.Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = store.trace(slowest(store))
    replay = trace.replay()
    written = replay.screenshot(tmp_path / "replay.png", (400, 240), share=0.4, theme="light")
    expected = trace.screenshot(tmp_path / "trace.png", (400, 240), share=0.4, theme="light")
    assert written.read_bytes() == expected.read_bytes()
    shown: list[object] = []
    monkeypatch.setattr("tracescape.riding.in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", shown.append)
    replay.show()
    assert shown[0].data.startswith(b"\x89PNG")  # type: ignore[attr-defined]
    with pytest.raises(RenderError, match="ends in what it shall be"):
        replay.video(tmp_path / "replay.txt")


def test_a_film_of_a_replay_has_a_frame_for_what_happens(store: ts.Store, tmp_path: Path) -> None:
    trace = store.trace(slowest(store))
    written = trace.video(tmp_path / "replay.gif", (160, 90))
    with Image.open(written) as shown:
        assert shown.size == (160, 90)
        assert getattr(shown, "n_frames", 0) >= 8
    assert [each.name for each in tmp_path.iterdir()] == ["replay.gif"]


def test_what_a_video_may_be_called_is_said(store: ts.Store, tmp_path: Path) -> None:
    trace = store.trace(slowest(store))
    with pytest.raises(RenderError, match=r"ends in what it shall be: \.mp4, \.mkv, \.webm, \.gif"):
        trace.video(tmp_path / "x.avi")
    with pytest.raises(RenderError, match="does not exist"):
        trace.video(tmp_path / "nowhere" / "x.gif")


def test_without_the_extra_a_sentence_says_what_to_install(
    store: ts.Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RenderError, match=r"pip install 'tracescape\[video\]'.*\.gif"):
        store.trace(slowest(store)).video(tmp_path / "x.mp4")


def test_a_film_as_h264(store: ts.Store, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    written = store.trace(slowest(store)).video(tmp_path / "x.mp4", (161, 91))
    with av.open(str(written)) as container:
        frames = sum(1 for _ in container.decode(video=0))
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.codec_context.name) == (160, 90, "h264")
    assert frames > 30


def test_a_command_draws_the_request_where_it_is_told(path: Path, store: ts.Store, tmp_path: Path) -> None:
    trace = slowest(store)
    for name, more in (("a.png", ()), ("b.png", ("--share", "0%")), ("c.png", ("--share", "0.9"))):
        file = tmp_path / name
        assert name in explore(path, "--trace", trace, "--screenshot", str(file), *more).replace("\n", "")
        assert file.read_bytes().startswith(b"\x89PNG")
    assert len({(tmp_path / name).read_bytes() for name in ("a.png", "b.png", "c.png")}) == 3


def test_without_a_trace_a_video_is_a_flight_or_a_play_through_time(path: Path, tmp_path: Path) -> None:
    flight, play = tmp_path / "flight.gif", tmp_path / "play.gif"
    explore(path, "--at", str(END), "--video", str(flight))
    explore(path, "--since", str(END - 3_000_000_000), "--until", str(END), "--video", str(play))
    with Image.open(flight) as shown:
        assert getattr(shown, "n_frames", 0) == 12
    with Image.open(play) as shown:
        assert getattr(shown, "n_frames", 0) > 2


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--share", "0.5", "--screenshot", "x.png"), "name one with --trace"),
        (("--trace", "ab" * 16, "--share", "much", "--screenshot", "x.png"), "is no share of a replay"),
        (("--trace", "ab" * 16, "--share", "1.5", "--screenshot", "x.png"), "is no share of a replay"),
        (("--trace", "ab" * 16, "--screenshot", "x.png"), "No span of trace"),
        (("--video", "x.mpeg"), "ends in what it shall be"),
    ],
)
def test_wrong_input_is_one_sentence(path: Path, options: tuple[str, ...], sentence: str) -> None:
    assert sentence in explore(path, *options)


def test_shares_are_written_both_ways() -> None:
    assert [share_of(text) for text in (None, "0", "0.4", "40%", "100%")] == [None, 0.0, 0.4, 0.4, 1.0]


def test_a_window_rides_the_worst_request_of_what_is_shown(store: ts.Store) -> None:
    panels = StorePanels(store)
    with pytest.raises(LookupError, match="nothing is stored"):
        panels.replay(RideWish("", None))
    panels.shows(store.topology(BROKEN, END))
    failed = panels.replay(RideWish("", None))
    assert failed.spans["failed"].any()
    assert BROKEN <= failed.start_ns < END
    of_cart = panels.replay(RideWish("", "cart"))
    assert "cart" in of_cart.spans["service"].to_list()
    database = next(name for name in store.topology(BROKEN, END).nodes["service"] if "postgresql" in name)
    assert database in panels.replay(RideWish("", database)).legs["target"].to_list()
    named = slowest(store)
    assert panels.replay(RideWish(named, None)).trace_id == named
    with pytest.raises(UnknownServiceError, match="nobody"):
        panels.replay(RideWish("", "nobody"))
    with pytest.raises(UnknownTraceError):
        panels.replay(RideWish("ab" * 16, None))
    with pytest.raises(ValueError, match="no trace id"):
        panels.replay(RideWish("xyz", None))
