"""A request's way: what is drawn at a moment is what the replay says of it."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from memory_reader import KINDS, reader, span, span_table, trace_bytes
from naive.forest import Span
from naive.route import doing, reached
from naive.spans import nested_spans, tangled_spans
from support.sizes import sized
from tracescape_analytics.replay import load_replay, replay_of
from tracescape_analytics.span_forest import plant
from tracescape_render.route import DOING, MOST_TRAVELLERS, NEVER, Route, RouteMoment, route_of
from tracescape_storage.schema import SPANS_FULL

Row = dict[str, object]

CALL: list[Row] = [
    span("A", service="web", operation="GET /", kind="server", start=100, end=200),
    span("B", "A", service="web", kind="client", start=110, end=180),
    span("C", "B", service="pay", kind="server", start=130, end=160),
    span("D", "C", service="pay", kind="client", start=135, end=155, db_system="mysql", db_namespace="bills"),
]
TOPIC = {"messaging_system": "kafka", "messaging_destination": "orders"}


def route(*rows: Row) -> Route:
    return route_of(load_replay(reader(*rows), trace_bytes("t")))


def told(found: Route, at: int) -> dict[str, str]:
    return {name: DOING[code] for name, code in zip(found.names, found.at(at).doing, strict=True)}


def awaited(found: Route, at: int) -> dict[str, str]:
    pairs = zip(found.names, found.at(at).waits_for.tolist(), strict=True)
    return {name: found.names[node] for name, node in pairs if node >= 0}


def way(found: Route, source: str, target: str) -> int:
    return found.ends.tolist().index([found.names.index(source), found.names.index(target)])


def names(found: Route, flags: np.ndarray) -> set[str]:
    return {name for name, flag in zip(found.names, flags, strict=True) if flag}


def test_who_works_and_who_waits_for_whom() -> None:
    found = route(*CALL)
    assert told(found, 105) == {"web": "works", "pay": "not yet", "user": "waits", "mysql bills": "not yet"}
    assert told(found, 115) == {"web": "waits", "pay": "not yet", "user": "waits", "mysql bills": "not yet"}
    assert told(found, 132) == {"web": "waits", "pay": "works", "user": "waits", "mysql bills": "not yet"}
    assert told(found, 140) == {"web": "waits", "pay": "waits", "user": "waits", "mysql bills": "holds"}
    assert told(found, 170) == {"web": "waits", "pay": "over", "user": "waits", "mysql bills": "over"}
    assert told(found, 200) == dict.fromkeys(found.names, "over")
    assert awaited(found, 105) == {"user": "web"}
    assert awaited(found, 140) == {"user": "web", "web": "pay", "pay": "mysql bills"}
    assert awaited(found, 165) == {"user": "web", "web": "pay"}


def test_the_request_goes_one_way_and_its_response_comes_back() -> None:
    found = route(*CALL)
    there, back = found.at(120).travellers, found.at(170).travellers
    assert there.way.tolist() == back.way.tolist() == [way(found, "web", "pay")]
    assert (there.place.tolist(), there.back.tolist()) == ([0.5], [False])
    assert (back.place.tolist(), back.back.tolist()) == ([0.5], [True])
    assert there.critical.all()
    assert len(found.at(140).travellers.leg) == 0


def test_what_has_arrived_lingers_and_fades() -> None:
    found = route(*CALL)
    lingers = found.at(135, linger_ns=10).travellers
    assert (lingers.place.tolist(), lingers.fade.tolist()) == ([1.0], [0.5])
    assert len(found.at(140, linger_ns=10).travellers.leg) == 0
    assert found.at(180, linger_ns=10).travellers.place.tolist() == [0.0], "an answer is where it was sent to"


def test_the_critical_path_is_lit_as_far_as_it_has_come() -> None:
    found = route(*CALL)
    both = [way(found, "web", "pay"), way(found, "pay", "mysql bills")]
    reach = {at: found.at(at).reach[both].tolist() for at in (109, 110, 115, 130, 134, 135, 199)}
    assert reach == {
        109: [0.0, 0.0],
        110: [0.0, 0.0],
        115: [0.25, 0.0],
        130: [1.0, 0.0],
        134: [1.0, 0.0],
        135: [1.0, 1.0],
        199: [1.0, 1.0],
    }
    assert found.critical_ways.all()


def test_a_call_that_nobody_waits_for_is_not_lit() -> None:
    other = [
        span("E", "A", service="web", kind="client", start=112, end=120),
        span("F", "E", service="log", kind="server", start=114, end=118),
    ]
    found = route(*CALL, *other)
    assert not found.critical_ways[way(found, "web", "log")]
    assert found.lit_ns[way(found, "web", "log")].tolist() == [NEVER, NEVER]
    here = found.at(113).travellers
    assert here.critical[here.way == way(found, "web", "log")].tolist() == [False]


def test_an_error_is_where_it_happened_and_from_when_it_is_known() -> None:
    rows = [row | {"status": 2} for row in CALL[1:3]]
    found = route(CALL[0], *rows, CALL[3])
    assert [names(found, found.at(at).failed) for at in (159, 160, 180)] == [set(), {"pay"}, {"pay", "web"}]
    assert names(found, found.at(200).origin) == {"pay"}, "web only passed it on"
    pay = way(found, "web", "pay")
    assert [bool(found.at(at).broken[pay]) for at in (159, 160)] == [False, True]
    back = found.at(165).travellers
    assert (back.back.tolist(), back.failed.tolist()) == ([True], [True])
    assert found.telling() == 160
    assert found.moments().tolist() == [160, 180]


def test_the_error_of_a_database_is_the_databases() -> None:
    found = route(*CALL[:3], CALL[3] | {"status": 2})
    assert names(found, found.at(155).origin) == {"mysql bills"}
    assert names(found, found.at(155).failed) == {"mysql bills", "pay"}
    assert names(found, found.at(154).failed) == set()


def test_a_call_whose_caller_gave_up_does_not_come_back() -> None:
    rows = [CALL[0], span("B", "A", service="web", kind="client", start=110, end=150)]
    found = route(*rows, span("C", "B", service="pay", kind="server", start=120, end=190))
    pay = way(found, "web", "pay")
    assert [bool(found.at(at).lost[pay]) for at in (149, 150)] == [False, True]
    assert not route(*CALL).at(200).lost.any()


def test_a_message_lies_in_its_queue_and_nobody_waits_for_it() -> None:
    rows = [CALL[0], span("B", "A", service="web", kind="producer", start=110, end=120, **TOPIC)]
    found = route(*rows, span("C", "B", service="mail", kind="consumer", start=160, end=260, **TOPIC))
    assert [told(found, at)["kafka orders"] for at in (109, 115, 150, 210)] == [
        "not yet",
        "holds",
        "holds",
        "paused",
    ]
    assert told(found, 210) == {"web": "over", "mail": "works", "user": "over", "kafka orders": "paused"}
    assert found.at(140).travellers.place.tolist() == [0.5]
    assert not found.critical_ways[way(found, "kafka orders", "mail")]


def test_the_most_telling_moment_of_a_healthy_request_is_in_its_longest_work() -> None:
    assert route(*CALL).telling() == 120, "from 110 to 130 the call is on its way, longer than all else"


def drawn_from(spans: list[Span]) -> list[Row]:
    return [
        span(
            str(made.id)[-7:],
            str(made.parent)[-7:] if made.parent else None,
            service=f"s{made.resource}",
            start=made.start,
            end=made.end,
            kind=KINDS[made.kind],
            status="error" if made.content == 2 else "unset",
            peer_service="far",
        )
        for made in spans
        if not made.trace
    ]


def check(found: Route, moment: RouteMoment) -> None:
    at = moment.frame.at_ns
    for node, name in enumerate(found.names):
        assert DOING[moment.doing[node]] == doing(found.replay, name, at), (name, at)
    for number, (source, target) in enumerate(found.ends.tolist()):
        assert (at >= found.lit_ns[number, 0]) == reached(
            found.replay, found.names[source], found.names[target], at
        )
    seen = moment.travellers
    legs = found.replay.legs[moment.frame.legs]
    moving = legs["leg"].is_in(["request", "response", "message"]).to_numpy()
    assert seen.leg.tolist() == moment.frame.legs[moving].tolist()
    assert seen.place.tolist() == moment.frame.place[moving].tolist()
    failed = found.replay.spans[moment.frame.failed]["service"].unique().to_list()
    assert names(found, moment.failed & found.sends) == set(failed)


@given(st.one_of(tangled_spans(), nested_spans()))
def test_at_any_moment_it_is_what_the_replay_says(spans: list[Span]) -> None:
    found = route_of(replay_of(plant(span_table(drawn_from(spans))), "t"))
    begin = found.replay.start_ns
    for at in {begin - 1, begin, *range(begin + 1, min(found.replay.end_ns + 2, begin + 40), 3)}:
        check(found, found.at(at))


def test_a_large_trace_has_no_more_travellers_than_can_be_drawn() -> None:
    count = sized(100_000)
    made = [span("A", start=0, end=10**9, service="web", kind="client")]
    made.append(span("B", "A", start=10**6, end=9 * 10**8, service="pay", kind="server"))
    table = span_table(made).to_pydict()
    rows = {name: [table[name][i % 2] for i in range(count)] for name in SPANS_FULL.names if name in table}
    rows["span_id"] = list(range(1, count + 1))
    rows["parent_span_id"] = [0, *((1 if i % 2 == 0 else i) for i in range(1, count))]
    found = route_of(replay_of(plant(pl.DataFrame(rows).to_arrow().cast(span_table(made).schema)), "t"))
    assert len(found.ends) == 1
    assert 0 < len(found.at(5 * 10**5).travellers.leg) <= MOST_TRAVELLERS
