"""Who is missing from a topology stands in the scene as a void."""

from typing import Any

import polars as pl

from support.scenes import edges, nodes
from tracescape_render.painting import paint
from tracescape_render.palette import ABSENT, DARK, STATES
from tracescape_render.phantoms import with_phantoms
from tracescape_render.scene import build_scene

#: kafka's messages are no longer taken by fulfilment, which has no calls and so no node.
NODES = nodes(("checkout", "service", 90, "healthy"), ("kafka", "queue", 90, "healthy"))
EDGES = edges(("checkout", "kafka"))
LOST = edges(("kafka", "fulfilment"), calls=0, state="absent")
TAKES: dict[str, Any] = {
    "kind": "messages not taken",
    "service": "fulfilment",
    "source": "checkout",
    "target": "fulfilment",
    "before_share": 1.0,
    "after_share": 0.0,
}


def absent(*rows: tuple[str, str, str | None]) -> pl.DataFrame:
    """(what, service, source) a row, as ``store.absence`` has them."""
    return pl.DataFrame(rows, schema=["what", "service", "source"], orient="row")


def missing(nodes: pl.DataFrame) -> list[tuple[str, str]]:
    return nodes.filter(pl.col("state") == "absent").select("service", "kind").rows()


def test_whom_an_absent_edge_leads_to_is_there_as_a_void() -> None:
    scene = build_scene(NODES, pl.concat([EDGES, LOST]), seconds=60.0)
    body = scene.services.index("fulfilment")
    assert STATES[scene.state[body]] == "absent"
    assert scene.subtitles[body] == "gone quiet"
    assert scene.headline == "1 absent"
    (arc,) = [i for i, end in enumerate(scene.target) if end == body]
    assert scene.arc_state[arc] == ABSENT
    assert scene.arc_seen[arc] > 0.5, "one sees where it belongs"
    assert tuple(paint(scene, DARK).arcs[arc, :3]) == DARK.marks[ABSENT]


def test_whom_a_cause_names_carries_the_beacon_though_no_edge_is_left() -> None:
    scene = build_scene(NODES, EDGES, seconds=60.0, causes=pl.DataFrame([TAKES]))
    assert scene.cause is not None
    assert scene.services[scene.cause.body] == "fulfilment"
    assert STATES[scene.state[scene.cause.body]] == "absent"
    assert scene.cause.reason == "messages not taken: 100 % → 0 % taken in time"
    assert scene.arc_seen[-1] > 0.5 > scene.arc_seen[0], "the rest recedes, and not the way to it"
    assert (scene.services[scene.source[-1]], scene.services[scene.target[-1]]) == ("checkout", "fulfilment")


def test_a_suspect_or_one_who_is_merely_slow_makes_nobody_appear() -> None:
    for row in ({**TAKES, "named": False}, {**TAKES, "kind": "slow work"}):
        assert missing(with_phantoms(NODES, EDGES, pl.DataFrame([row]))[0]) == []


def test_absent_services_stand_where_they_were_called_and_what_only_they_called_is_left_out() -> None:
    found = absent(
        ("service", "fulfilment", None),
        ("edge", "fulfilment", "kafka"),
        ("service", "postgresql", None),
        ("edge", "postgresql", "fulfilment"),
        ("path", "email", None),
    )
    bodies, ways = with_phantoms(NODES, EDGES, None, found)
    assert missing(bodies) == [("fulfilment", "service")]
    assert ways.filter(pl.col("state") == "absent").select("source", "target").rows() == [
        ("kafka", "fulfilment")
    ]


def test_whoever_called_and_is_gone_is_there_too() -> None:
    bodies, ways = with_phantoms(NODES, edges(("batch", "checkout"), calls=0, state="absent"))
    assert missing(bodies) == [("batch", "service")]
    assert len(ways) == 1, "the edge is there already"


def test_behind_who_is_gone_nobody_is_added() -> None:
    gone = pl.concat([NODES, nodes(("fulfilment", "service", 0, "absent"))])
    bodies, _ = with_phantoms(gone, edges(("fulfilment", "postgresql"), calls=0, state="absent"))
    assert missing(bodies) == [("fulfilment", "service")]


def test_a_database_is_one() -> None:
    way = edges(("checkout", "redis"), calls=0, state="absent").with_columns(connection=pl.lit("db"))
    assert missing(with_phantoms(NODES, way)[0]) == [("redis", "database")]


def test_who_is_there_and_who_is_said_twice_is_not_doubled() -> None:
    causes = pl.DataFrame([TAKES, {**TAKES, "kind": "no longer called", "service": "kafka"}])
    bodies, ways = with_phantoms(
        NODES, pl.concat([EDGES, LOST]), causes, absent(("service", "fulfilment", None))
    )
    assert bodies["service"].to_list() == ["checkout", "kafka", "fulfilment"]
    assert len(ways) == 2


def test_where_nobody_is_missing_frames_are_the_same() -> None:
    for frames in ((NODES, EDGES), (NODES.clear(), EDGES.clear()), (NODES.clear(), LOST)):
        assert with_phantoms(*frames) == frames or all(
            mine is theirs for mine, theirs in zip(with_phantoms(*frames), frames, strict=True)
        )
