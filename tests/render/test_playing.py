"""Where in time a view is: what plays, stands still, begins anew, and is now again."""

from hypothesis import given
from hypothesis import strategies as st

from tracescape_render.playing import SPEEDS, Player

SECOND = 1_000_000_000


def player(*, live: bool = False) -> Player:
    return Player(100 * SECOND, 200 * SECOND, live_end=live)


def test_a_view_begins_now_and_goes_with_time_as_it_is() -> None:
    new = player()
    new.advance(5.0)
    assert (new.at_ns, new.pace()) == (None, 1.0)


def test_a_moment_stands_still_until_it_is_played() -> None:
    there = player()
    there.go(150 * SECOND)
    there.advance(3.0)
    assert (there.at_ns, there.pace()) == (150 * SECOND, 0.0)
    there.toggle()
    there.advance(3.0)
    assert (there.at_ns, there.pace()) == (153 * SECOND, 1.0)
    there.toggle()
    there.advance(3.0)
    assert there.at_ns == 153 * SECOND


def test_pausing_now_stands_still_at_the_last_moment() -> None:
    there = player(live=True)
    there.toggle()
    there.advance(2.0)
    assert (there.at_ns, there.playing) == (200 * SECOND, False)


def test_speeds_go_from_a_tenth_to_a_hundred_and_no_farther() -> None:
    there = player()
    for _ in range(20):
        there.faster()
    assert there.speed == 100.0
    for _ in range(20):
        there.faster(-1)
    assert there.speed == 0.1 == SPEEDS[0]
    there.go(100 * SECOND)
    there.toggle()
    there.advance(10.0)
    assert there.at_ns == 101 * SECOND


def test_playing_backwards_ends_at_the_first_moment() -> None:
    there = player()
    there.go(102 * SECOND)
    there.play(backwards=True)
    assert there.pace() == -1.0
    there.advance(1.0)
    assert there.at_ns == 101 * SECOND
    there.advance(5.0)
    assert (there.at_ns, there.playing) == (100 * SECOND, False)


def test_at_the_last_moment_a_live_view_is_live_again_and_a_file_ends() -> None:
    for live, at in ((True, None), (False, 200 * SECOND)):
        there = player(live=live)
        there.go(199 * SECOND)
        there.toggle()
        there.advance(2.0)
        assert (there.at_ns, there.playing) == (at, False)


def test_what_has_played_to_its_end_begins_anew() -> None:
    there = player()
    there.go(200 * SECOND)
    there.toggle()
    assert (there.at_ns, there.playing) == (100 * SECOND, True)


def test_a_moment_that_was_named_stays_also_where_nothing_is_stored() -> None:
    there = player()
    there.stay(7)
    there.reaches(150 * SECOND, 300 * SECOND)
    there.advance(1.0)
    assert there.at_ns == 7
    there.now()
    assert there.at_ns is None


@given(st.lists(st.tuples(st.sampled_from(["toggle", "back", "on", "now", "faster"]), st.floats(0, 1000))))
def test_nobody_who_plays_leaves_what_is_stored(steps: list[tuple[str, float]]) -> None:
    there = player(live=True)
    acts = {
        "toggle": there.toggle,
        "back": lambda: there.play(backwards=True),
        "on": lambda: there.play(backwards=False),
        "now": there.now,
        "faster": there.faster,
    }
    for act, seconds in steps:
        acts[act]()
        there.advance(seconds)
        assert there.at_ns is None or 100 * SECOND <= there.at_ns <= 200 * SECOND
