"""Of what moved, who is blamed first."""

from __future__ import annotations

import polars as pl

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
