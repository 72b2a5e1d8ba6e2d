"""The banner over the past: as many words as there is room for, never cut in the middle of what matters."""

from hypothesis import given
from hypothesis import strategies as st

from tracescape_render.banner import both_words, fitting, length_words, past_words

AT = 1_760_000_040_000_000_000
MINUTE = 60_000_000_000


def test_the_moment_is_left_when_all_else_is_not() -> None:
    texts = past_words(AT, AT + 5 * MINUTE, "playing ×10", "End: live")
    assert texts[0].endswith("5 min ago   ·   playing ×10   ·   End: live")
    assert [len(text) for text in texts] == sorted((len(text) for text in texts), reverse=True)
    assert texts[-1] in texts[0]
    assert fitting(texts, 1e9, len) == texts[0]
    assert fitting(texts, len(texts[-1]), len) == texts[-1]


def test_two_moments_stand_in_order_of_time_and_name_a_day_once() -> None:
    texts = both_words(AT + MINUTE, AT, "blended")
    assert texts == both_words(AT, AT + MINUTE, "blended")
    day, _, clock = texts[1].removeprefix("PAST   ").partition(" ")
    assert texts[1].count(day) == 1
    assert " → " in clock
    assert both_words(AT, AT + 24 * 60 * MINUTE)[0].count("-") == 4


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4), st.integers(1, 40))
def test_what_is_shown_fits_or_is_cut_with_a_sign(texts: list[str], room: int) -> None:
    shown = fitting(texts, room, len)
    fits = [text for text in texts if len(text) <= room]
    if fits:
        assert shown == fits[0]
    else:
        assert shown.endswith("…")
        assert len(shown) <= max(room, 2)


def test_lengths_are_told_in_the_largest_whole_unit() -> None:
    lengths = [5 * MINUTE, 60 * MINUTE, 90 * MINUTE, 20 * 10**9, 90 * 10**9]
    assert list(map(length_words, lengths)) == ["5 min", "1 h", "90 min", "20 s", "90 s"]
