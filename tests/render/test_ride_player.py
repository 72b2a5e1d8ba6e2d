"""Playing, scrubbing and stepping through a request; its strip as data."""

from __future__ import annotations

from itertools import pairwise

import pytest

from memory_reader import reader, span, trace_bytes
from tracescape_analytics.replay import load_replay
from tracescape_render.ride_player import LINGER_S, SPEEDS, RidePlayer
from tracescape_render.ride_strip import faults_of, pieces_of, ticks_of, told_at
from tracescape_render.route import Route, route_of

BEGIN = 1_790_000_000_000_000_000
ROWS = [
    span("A", service="web", operation="GET /", kind="server", start=BEGIN, end=BEGIN + 2_000),
    span("B", "A", service="web", kind="client", start=BEGIN + 100, end=BEGIN + 1_900),
    span("C", "B", service="pay", operation="charge", kind="server", start=BEGIN + 200, end=BEGIN + 1_800),
]
FAILED = [*ROWS[:2], ROWS[2] | {"status": 2}]


def route(*rows: dict[str, object]) -> Route:
    return route_of(load_replay(reader(*(rows or ROWS)), trace_bytes("t")))


def test_it_plays_from_the_beginning_to_the_end_and_begins_anew() -> None:
    player = RidePlayer(route())
    assert (player.at_ns, player.playing) == (BEGIN, True)
    seen = []
    for _ in range(200):
        player.advance(0.05)
        seen.append(player.at_ns)
    assert seen == sorted(seen)
    assert (seen[-1], player.playing) == (BEGIN + 2_000, False)
    player.toggle()
    assert (player.at_ns, player.playing) == (BEGIN, True)


def test_evenly_it_takes_as_long_whatever_the_request_took_and_really_it_does_not() -> None:
    player = RidePlayer(route())
    player.advance(player.tempo.seconds / 2)
    assert BEGIN < player.at_ns < BEGIN + 2_000
    player.set_even(False)
    assert player.speed == min(SPEEDS), "of two microseconds one sees nothing as fast as they were"
    before = player.at_ns
    player.advance(1e-6 / player.speed * 0.1)
    assert player.at_ns == pytest.approx(before + 100, abs=2)


def test_backwards_it_ends_at_the_beginning() -> None:
    player = RidePlayer(route())
    player.go(BEGIN + 1_000)
    player.reverse()
    player.advance(60)
    assert (player.at_ns, player.playing) == (BEGIN, False)


def test_steps_go_to_what_happens_next_and_before_and_stop_there() -> None:
    player = RidePlayer(route())
    found = [player.at_ns]
    for _ in range(8):
        player.step(1)
        found.append(player.at_ns)
    assert [at - BEGIN for at in found] == [0, 100, 200, 1_800, 1_900, 2_000, 2_000, 2_000, 2_000]
    assert not player.playing
    player.step(-1)
    assert player.at_ns == BEGIN + 1_900


def test_moments_outside_of_the_request_are_its_ends() -> None:
    player = RidePlayer(route())
    player.go(0)
    assert player.at_ns == BEGIN
    player.go(2**62)
    assert player.at_ns == BEGIN + 2_000


def test_speeds_have_ends() -> None:
    player = RidePlayer(route())
    player.faster(100)
    assert player.speed == SPEEDS[-1]
    player.faster(-100)
    assert player.speed == SPEEDS[0]


def test_what_arrived_lingers_while_it_plays() -> None:
    player = RidePlayer(route())
    player.go(BEGIN + 1_000)
    moment = player.at_ns
    assert player.linger_ns > 0
    player.advance(LINGER_S)
    assert moment == pytest.approx(player.at_ns - player.linger_ns, abs=2)
    player.toggle()
    assert player.linger_ns == 0


def test_a_request_that_grows_keeps_the_moment() -> None:
    player = RidePlayer(route(ROWS[0]))
    player.go(BEGIN + 1_500)
    player.follows(route())
    assert player.at_ns == BEGIN + 1_500
    earlier = span("Z", service="web", kind="server", start=BEGIN - 900, end=BEGIN + 3_000)
    player.follows(route(*ROWS, earlier))
    assert player.at_ns == BEGIN + 1_500


def test_the_strip_divides_the_critical_path_by_who_has_the_request() -> None:
    found = route()
    tempo = RidePlayer(found).tempo
    pieces = pieces_of(found, tempo)
    assert [piece.name for piece in pieces] == ["web", "pay", "web"]
    assert pieces[0].begin == 0.0
    assert pieces[-1].end == 1.0
    assert all(one.end == other.begin for one, other in pairwise(pieces))
    assert pieces[1].begin == pytest.approx(tempo.share_of(BEGIN + 200))
    assert pieces[1].text == "pay · charge\nfrom 200 ns on, for 1.6 µs"


def test_errors_are_in_the_strip_where_they_become_known() -> None:
    found = route(*FAILED)
    tempo = RidePlayer(found).tempo
    (fault,) = faults_of(found, tempo)
    assert fault.at == pytest.approx(tempo.share_of(BEGIN + 1_800))
    told = told_at(found, tempo, pieces_of(found, tempo), [fault], fault.at)
    assert told.splitlines()[0] == "1.8 µs after the beginning"
    assert "✕ pay charge" in told
    assert faults_of(route(), tempo) == []


def test_ticks_are_round_and_in_order() -> None:
    ticks = ticks_of(RidePlayer(route()).tempo, 8)
    places = [place for place, _ in ticks]
    assert places == sorted(places)
    assert ticks[0] == (0.0, "0")
    assert 2 <= len(ticks) <= 8
    assert ticks_of(RidePlayer(route()).tempo, 0) == []


def test_a_request_of_no_length_can_be_ridden_all_the_same() -> None:
    found = route(span("A", service="web", start=BEGIN, end=BEGIN))
    player = RidePlayer(found)
    player.advance(1.0)
    assert (player.at_ns, player.playing) == (BEGIN, False)
    assert pieces_of(found, player.tempo) == []
    assert ticks_of(player.tempo, 5) == []
    assert found.telling() == BEGIN
    player.set_even(False)
    player.step(1)
    assert player.at_ns == BEGIN
