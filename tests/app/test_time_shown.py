"""A link holds the moment and the trace that are seen, and shows them again; `explore --at`, `timeline`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tracescape as ts
from memory_reader import span, stored_span_table, trace_bytes
from support.commands import run
from tracescape.time_shown import TimeShown, moment_words, written_moment
from tracescape.times import format_time, parse_when
from tracescape_storage.duckdb_file import DuckDBStore

MINUTE = 60_000_000_000
BEGIN = 29_400_000 * MINUTE
TRACE = trace_bytes("r7").hex()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten minutes: pay is called every second, and ads only in the last two."""
    file = tmp_path_factory.mktemp("store") / "t.db"
    rows = []
    for second in range(600):
        start, far = BEGIN + second * 1_000_000_000, "ads" if second >= 480 else "pay"
        trace = f"r{second}"
        rows += [
            span(
                "A",
                trace=trace,
                service="web",
                kind="client",
                start=start,
                end=start + 90,
                server_address=far,
            ),
            span("B", "A", trace=trace, service=far, kind="server", start=start + 5, end=start + 70),
        ]
    store = DuckDBStore(file)
    store.append({"spans": stored_span_table(rows)})
    store.close()
    return file


@pytest.fixture
def store(path: Path) -> Iterator[ts.Store]:
    with ts.open(path) as opened:
        yield opened


def shown_by(words: list[str]) -> TimeShown:
    return TimeShown(**dict(word.removeprefix("--").split("=", 1) for word in words))


@given(st.integers(0, 2**63 - 1), st.integers(1, 10**15), st.sampled_from([None, TRACE]))
def test_a_link_says_exactly_the_same_moment(at: int, width: int, trace: str | None) -> None:
    words = moment_words(at, width, trace)
    shown = shown_by(words)
    assert parse_when(shown.at, reference_ns=5) == at
    assert shown.trace == trace
    assert all(" " not in word for word in words)


def test_whole_seconds_are_written_for_people() -> None:
    assert written_moment(BEGIN) == "2025-11-24T16:00:00Z"
    assert written_moment(7) == "0000000000000007"


def test_a_moment_and_a_trace_reproduce_the_view(store: ts.Store) -> None:
    for shown in (
        TimeShown(at="3m"),
        TimeShown(at="3m", width="2m"),
        TimeShown(trace=TRACE),
        TimeShown(trace=TRACE[:-1] + TRACE[-1].upper(), width="1s"),
        TimeShown(at=str(BEGIN + 5), trace=TRACE),
    ):
        moment, again = shown.moment(store), shown_by(shown.words(store)).moment(store)
        assert moment == again
        assert shown.given
    assert TimeShown(since="5m", until="2m").words(store) == ["--since=5m", "--until=2m"]
    assert TimeShown().words(store) == []
    assert not TimeShown().given


def test_a_trace_is_seen_when_it_ends(store: ts.Store) -> None:
    moment = TimeShown(trace=TRACE).moment(store)
    assert moment is not None
    assert moment.until_ns == BEGIN + 7_000_000_091
    assert TimeShown(trace=TRACE, width="1s").topology(store).spans == 2


def test_what_a_moment_shows_is_what_the_store_says_of_it(store: ts.Store) -> None:
    shown = TimeShown(at=str(BEGIN + 8 * MINUTE), width="1m").topology(store)
    assert set(shown.nodes.filter(kind="service")["service"]) == {"web", "pay"}
    later = TimeShown(at=str(BEGIN + 10 * MINUTE), width="1m").topology(store)
    assert later.nodes.filter(service="pay")["state"].to_list() in ([], ["absent"])
    assert "ads" in later.nodes["service"].to_list()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"since": "5m", "at": "3m"}, "give one of both"),
        ({"until": "5m", "trace": TRACE}, "give one of both"),
        ({"width": "5m"}, "name one with --at or --trace"),
    ],
)
def test_what_does_not_go_together(options: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TimeShown(**options)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"at": "tomorrowish"}, ValueError, "is no time"),
        ({"at": "3m; rm -rf"}, ValueError, "is no time"),
        ({"at": "3m", "width": "0s"}, ValueError, "holds nothing"),
        ({"at": "3m", "width": "wide"}, ValueError, "wide"),
        ({"trace": "'; drop table spans"}, ValueError, "is no trace id"),
        ({"trace": "0" * 31 + "1"}, ts.UnknownTraceError, "0" * 31 + "1"),
    ],
)
def test_links_are_parsed_safely(
    store: ts.Store, options: dict[str, str], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        TimeShown(**options).moment(store)


def test_a_picture_of_a_moment(path: Path, tmp_path: Path) -> None:
    pictures = []
    for at in (BEGIN + 8 * MINUTE, BEGIN + 10 * MINUTE):
        file = tmp_path / f"{at}.png"
        result = run("explore", path, "--at", at, "--width", "1m", "--screenshot", file, "--size", "320x200")
        assert (result.returncode, result.stderr) == (0, "")
        pictures.append(file.read_bytes())
    assert pictures[0] != pictures[1]
    empty = run("explore", path, "--at", BEGIN, "--screenshot", tmp_path / "e.png", "--size", "320x200")
    assert empty.returncode == 0
    assert f"the first span starts {format_time(BEGIN)}" in empty.stderr
    both = run("explore", path, "--at", "3m", "--since", "5m", "--screenshot", tmp_path / "n.png")
    assert (both.returncode, both.stderr.strip().endswith("give one of both")) == (1, True)


def test_the_timeline_in_a_terminal(path: Path) -> None:
    rows = [
        json.loads(line)
        for line in run("timeline", "--store", path, "--json", "--step", "5m").stdout.splitlines()
    ]
    assert [row["calls"] for row in rows] == [600, 600]
    table = run("timeline", "--store", path, "--service", "pay", "--step", "5m").stdout
    assert table.split()[:8] == ["start", "calls", "calls/s", "errors", "failed", "p50", "p95", "p99"]
    assert table.count("65 ns") == 6
    marked = [
        json.loads(line) for line in run("timeline", "--store", path, "--marks", "--json").stdout.splitlines()
    ]
    assert ("absence", "pay") in [(row["kind"], row["service"]) for row in marked]
    wrong = run("timeline", "--store", path, "--marks", "--service", "pay")
    assert (wrong.returncode, "do not go with them" in wrong.stderr) == (1, True)


def test_a_link_holds_two_moments_and_shows_the_same_again(path: Path) -> None:
    with ts.open(path) as store:
        shown = TimeShown(at="1m", against=written_moment(BEGIN + 4 * MINUTE), width="1m")
        words = shown.words(store)
        assert words[1] == f"--against={written_moment(BEGIN + 4 * MINUTE)}"
        again = TimeShown(**{word[2:].partition("=")[0]: word.partition("=")[2] for word in words})
        assert again.words(store) == words
        assert again.other_ns(store) == shown.other_ns(store) == BEGIN + 4 * MINUTE


def test_another_moment_needs_a_first_one() -> None:
    with pytest.raises(ValueError, match="--against is the other one of two moments"):
        TimeShown(against="5m")
    with pytest.raises(ValueError, match="--against is the other one of two moments"):
        TimeShown(since="5m", against="5m")
