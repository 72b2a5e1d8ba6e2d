"""Messages that nobody takes are the consumer's fault, whether its spans stand below or are linked."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from memory_reader import MemoryReader, link, link_table, span, span_table
from tracescape_analytics.root_cause import Diagnosis, diagnose

SECOND = 1_000_000_000
MINUTES = 14
END = MINUTES * 60 * SECOND
WINDOW = END - 120 * SECOND

Taken = Callable[[int], float | None]
"""After how many seconds a message that is sent then is taken; None: never."""


def usually(_: int) -> float | None:
    return 0.05


def shop(
    mail: Taken, store: Taken = usually, *, linked: bool = False, until: int = END, handed_in: int = END
) -> MemoryReader:
    """An order each two seconds, whose message two services take: ``store`` always by links.

    ``mail`` has handed in its spans up to a moment.
    """
    chance = random.Random(5)
    rows, links = [], []
    for number, start in enumerate(range(0, until, 2 * SECOND)):
        trace, end = f"o{number}", start + round(chance.lognormvariate(17.0, 0.2))
        rows.append(span("a", trace=trace, service="web", operation="POST /order", start=start, end=end))
        sends = {"trace": trace, "service": "web", "operation": "send orders", "kind": "producer"}
        rows.append(span("p", "a", start=start + 1000, end=start + 9000, **sends))
        for service, taken in (("mail", mail), ("store", store)):
            delay = taken(start)
            at = start + round((delay or 0.0) * chance.lognormvariate(0.0, 0.3) * SECOND)
            if delay is None or at >= (min(until, handed_in) if service == "mail" else until):
                continue
            takes = {"service": service, "operation": "process orders", "kind": "consumer"}
            work = round(chance.lognormvariate(16.0, 0.3))
            if service == "store" or linked:
                own = f"{service}{number}"
                rows.append(span("c", trace=own, start=at, end=at + work, **takes))
                links.append(link(own, "c", trace, "p", start=at))
            else:
                rows.append(span("c", "p", trace=trace, start=at, end=at + work, **takes))
    return MemoryReader(span_table(rows), link_table(links))


def never_from(since: int) -> Taken:
    return lambda start: None if start >= since else 0.05


def found(reader: MemoryReader) -> Diagnosis:
    return diagnose(reader, since_ns=WINDOW)


@pytest.mark.parametrize("linked", [False, True])
def test_a_consumer_that_takes_nothing_is_named_and_its_sender_is_not(linked: bool) -> None:
    answer = found(shop(never_from(WINDOW), linked=linked))
    assert answer.causes["service"].to_list() == ["mail"]
    cause = answer.causes.row(0, named=True)
    assert (cause["kind"], cause["source"], cause["target"]) == ("messages not taken", "web", "mail")
    assert (cause["before_share"], cause["after_share"]) == (1.0, 0.0)
    assert cause["sentence"] == (
        "mail does not take the messages of web (send orders): 0% of them in time instead of 100%."
    )
    assert cause["bad_trace"] is not None


def test_what_is_taken_much_later_is_not_in_time() -> None:
    answer = found(shop(lambda start: (END - start) / SECOND - 1 if start >= WINDOW else 0.05))
    assert answer.causes["service"].to_list() == ["mail"]


def test_spans_that_are_handed_in_later_than_others_are_waited_for_a_while() -> None:
    answer = found(shop(usually, handed_in=END - 12 * SECOND))
    assert answer.causes.is_empty()
    answer = found(shop(usually, handed_in=END - 40 * SECOND))
    assert answer.causes["service"].to_list() == ["mail"], "but not for ever"


def test_if_nobody_takes_them_it_is_one_cause_and_all_are_suspected() -> None:
    answer = found(shop(never_from(WINDOW), never_from(WINDOW)))
    assert answer.causes["kind"].to_list() == ["messages not taken by anybody"]
    assert answer.causes["sentence"][0].startswith(
        "Messages of web (send orders) are not taken, whoever should (mail and store): "
    )
    assert sorted(answer.suspects["service"]) == ["mail", "store", "web"]


def test_messages_that_have_just_been_sent_are_not_missing() -> None:
    slow = 40.0  # as usual: of the last messages nobody can have taken any
    answer = found(shop(lambda _: slow))
    assert answer.causes.is_empty()
    assert "mail" not in answer.suspects["service"]


def test_who_sends_no_messages_any_more_is_not_its_consumers_fault() -> None:
    reader = shop(usually)
    silent = [
        row
        for row in reader.table.to_pylist()
        if row["start_ns"] < WINDOW or row["operation"] == "POST /order"
    ]
    answer = found(MemoryReader(span_table(silent), reader.link_rows))
    assert answer.causes["service"].to_list() == ["web"]
    assert answer.causes["kind"].to_list() == ["changed behaviour"]
