"""Of what moved, who is blamed first."""

from __future__ import annotations

import polars as pl
from hypothesis import assume, given
from hypothesis import strategies as st

from tracescape_analytics.root_cause.blame import suspects


def moved(*rows: tuple[str, int, int, float, bool]) -> pl.DataFrame:
    """Rows of evidence: measure, node, callee, what is certain, whether it is significant."""
    columns = ["measure", "node", "callee", "sure", "significant"]
    frame = pl.DataFrame(rows, schema=columns, orient="row")
    return frame.with_columns(shift="sure", operation=pl.lit(0), item=pl.lit(-1))


def test_who_is_proved_stands_before_who_looks_worse() -> None:
    found = suspects(moved(("errors", 0, -1, 3.0, False), ("time", 1, -1, 1.5, True)))
    assert [(each.node, each.named) for each in found] == [(1, True), (0, False)]


def test_of_many_that_are_proved_the_strongest_stands_first() -> None:
    found = suspects(
        moved(("time", 0, -1, 1.5, True), ("time", 1, -1, 2.5, True), ("time", 2, -1, 2.5, True))
    )
    assert [each.node for each in found] == [1, 2, 0]


def test_a_consumer_answers_for_messages_and_the_sender_only_if_several_are_not_taken() -> None:
    one = suspects(moved(("messages", 0, 1, 4.0, True)))
    assert [(each.node, each.way) for each in one] == [(1, "to")]
    several = suspects(moved(("messages", 0, 1, 4.0, True), ("messages", 0, 2, 4.0, True)))
    assert {(each.node, each.way) for each in several} == {(0, "from"), (1, "to"), (2, "to")}


def test_who_gives_up_on_a_call_is_no_cause() -> None:
    # 0 calls 1, which waits for 2: 0 gives up more surely than 2 is slow.
    rows = moved(("errors", 0, 1, 6.0, True), ("time", 0, 1, 0.0, False), ("time", 1, 2, 3.0, True))
    found = suspects(rows)
    assert [each.node for each in found if each.named] == [2]
    assert {each.node: each.explained_by for each in found} == {2: None, 1: 2}


def test_who_gives_up_far_above_is_no_cause_either() -> None:
    calls = [("time", caller, caller + 1, 0.0, False) for caller in range(3)]
    found = suspects(moved(*calls, ("errors", 0, 1, 6.0, True), ("time", 3, -1, 3.0, True)))
    assert [each.node for each in found if each.named] == [3]


def test_calls_that_fail_to_somebody_who_waits_for_nothing_slow_have_their_own_cause() -> None:
    calls = (("time", 0, 1, 0.0, False), ("time", 0, 2, 3.0, True))
    found = suspects(moved(("errors", 0, 1, 6.0, True), *calls))
    assert {each.node for each in found if each.named} == {1, 2}


def test_what_is_only_suspected_to_be_slow_explains_nothing() -> None:
    rows = moved(("errors", 0, 1, 6.0, True), ("time", 0, 1, 0.0, False), ("time", 1, 2, 3.0, False))
    assert [each.node for each in suspects(rows) if each.named] == [1]


def test_errors_of_its_own_are_no_giving_up() -> None:
    calls = (("time", 1, 2, 0.0, False), ("time", 0, 2, 0.0, False))
    found = suspects(moved(("errors", 1, -1, 6.0, True), ("time", 2, -1, 3.0, True), *calls))
    assert [each.node for each in found if each.named] == [1, 2]


def test_nobody_waits_for_who_takes_a_message() -> None:
    rows = moved(("errors", 0, 1, 6.0, True), ("messages", 1, 2, 0.5, False), ("time", 2, -1, 3.0, True))
    assert {each.node for each in suspects(rows) if each.named} == {1, 2}


def test_a_call_that_fails_at_once_need_not_be_slow() -> None:
    quick = suspects(moved(("errors", 0, 1, 4.0, True), ("time", 0, 1, 0.0, False)))
    slow = suspects(moved(("time", 0, 1, 4.0, True)))
    assert [each.score for each in quick] == [each.score for each in slow] == [4.0]


def test_the_fewer_callers_notice_the_less_it_is_the_callee() -> None:
    scores = []
    for others in range(4):
        calm = [("time", 2 + other, 1, 0.0, False) for other in range(others)]
        scores.append(suspects(moved(("errors", 0, 1, 4.0, True), *calm))[0].score)
    assert scores == [4.0, 2.0, 4.0 / 3, 1.0]


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["time", "errors", "steps", "calls"]),
        st.integers(0, 5),
        st.integers(-1, 5),
        st.floats(0.0, 8.0),
        st.booleans(),
    ),
    max_size=12,
)


@given(ROWS, st.permutations(range(6)))
def test_who_is_named_does_not_depend_on_what_they_are_called(
    rows: list[tuple[str, int, int, float, bool]], names: list[int]
) -> None:
    # Of equals, the first by number stands first and explains the other: only without ties is it the same.
    rows = [
        (what, node, callee, sure + 0.001 * i, sig) for i, (what, node, callee, sure, sig) in enumerate(rows)
    ]
    found = suspects(moved(*rows))
    scores = [round(each.score, 9) for each in found]
    assume(len(set(scores)) == len(scores))
    renamed = [
        (what, names[node], names[callee] if callee >= 0 else -1, *rest) for what, node, callee, *rest in rows
    ]
    other = suspects(moved(*renamed))
    assert [(names[each.node], each.named, each.way) for each in found] == [
        (each.node, each.named, each.way) for each in other
    ]


@given(ROWS)
def test_where_nothing_is_significant_nobody_is_named(rows: list[tuple[str, int, int, float, bool]]) -> None:
    assert not any(each.named for each in suspects(moved(*((*row[:4], False) for row in rows))))


@given(ROWS)
def test_a_discovery_of_own_work_is_named_or_explained(rows: list[tuple[str, int, int, float, bool]]) -> None:
    found = suspects(moved(*rows, ("time", 6, -1, 9.0, True)))
    assert [each.named for each in found if each.node == 6] == [True]
