"""A scene as bytes for a browser: a naive reader finds what the scene has; changes add up to the whole."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naive.world_reader import World, read
from tracescape_render.palette import FAILING, STATES
from tracescape_render.scene import Scene, build_scene
from tracescape_render.web.tables import Table, Tables
from tracescape_render.web.world import RIM, world_of

NAMES = ["web", "cart", "payment", "db", "queue", '<img src=x onerror="x">', "ünïcode"]
STATE = st.sampled_from(STATES[:4])


def frames(
    states: dict[str, str], calls: list[tuple[str, str, int]] | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    names = list(states)
    ways = calls if calls is not None else [(a, b, 10) for a, b in itertools.pairwise(names)]
    nodes = pl.DataFrame(
        {
            "service": names,
            "kind": ["database" if name == "db" else "service" for name in names],
            "calls": [100 * (row + 1) for row in range(len(names))],
            "errors": list(range(len(names))),
            "p50_ns": [1e6 * row for row in range(len(names))],
            "p95_ns": [None if row == 1 else 2e6 * row for row in range(len(names))],
            "p99_ns": [3e6 * row for row in range(len(names))],
            "state": list(states.values()),
        },
        schema_overrides=dict.fromkeys(("p50_ns", "p95_ns", "p99_ns"), pl.Float64)
        | {"service": pl.String, "kind": pl.String, "state": pl.String},
    )
    edges = pl.DataFrame(
        {
            "source": [a for a, _, _ in ways],
            "target": [b for _, b, _ in ways],
            "connection": ["http"] * len(ways),
            "calls": [count for _, _, count in ways],
            "errors": [0] * len(ways),
            "client_p95_ns": [1e6] * len(ways),
            "server_p95_ns": [1e6] * len(ways),
            "state": ["healthy"] * len(ways),
        },
        schema_overrides=dict.fromkeys(("source", "target", "connection", "state"), pl.String),
    )
    return nodes, edges


def scene_of(nodes: pl.DataFrame, edges: pl.DataFrame) -> Scene:
    return build_scene(nodes, edges, seconds=60.0)


def world(states: dict[str, str], calls: list[tuple[str, str, int]] | None = None) -> Tables:
    nodes, edges = frames(states, calls)
    return world_of(scene_of(nodes, edges), nodes, edges, {"past": False})


def column(told: World, table: str, name: str) -> np.ndarray:
    values = np.array(told["tables"][table][name])
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def test_what_is_read_is_the_scene() -> None:
    nodes, edges = frames({"web": "healthy", "cart": "failing", "db": "degraded", "queue": "idle"})
    scene = scene_of(nodes, edges)
    told = read(world_of(scene, nodes, edges, {"past": True}).whole())
    bodies = told["tables"]["bodies"]
    assert bodies["service"] == scene.services
    assert bodies["label"] == list(scene.labels)
    assert list(scene.subtitles) == ["", "p95 –", "p95 4 ms", ""]
    assert bodies["subtitle"] == ["", "p95 –", "slower: p95 4 ms", ""]  # a p95 that is known is why
    for name, values in {
        "position": scene.positions,
        "radius": scene.radii,
        "state": scene.state,
        "shape": scene.shape,
        "seen": scene.seen,
        "priority": scene.priority,
        "island": scene.island,
        "calls": scene.calls,
        "errors": scene.errors,
    }.items():
        np.testing.assert_array_equal(column(told, "bodies", name), values)
    for name, values in {
        "source": scene.source,
        "target": scene.target,
        "radius": scene.arc_radii,
        "state": scene.arc_state,
        "seen": scene.arc_seen,
        "traffic": scene.traffic,
    }.items():
        np.testing.assert_array_equal(column(told, "arcs", name), values)
    quantum = told["about"]["quantum"]
    assert (
        np.abs(column(told, "arcs", "curve").reshape(-1, 3, 3) * quantum - scene.curves).max() <= quantum / 2
    )
    assert quantum < 0.02 * scene.radii.min()
    assert column(told, "bodies", "quantiles")[1].tolist() == [1e6, -1.0, 3e6]
    assert told["about"]["past"] is True
    assert told["about"]["headline"] == scene.headline
    assert told["about"]["worst"] == scene.worst()


def test_a_rim_goes_along_its_plate_and_is_as_sick_as_its_island() -> None:
    nodes, edges = frames({"web": "failing", "cart": "healthy", "payment": "healthy", "db": "healthy"})
    scene = scene_of(nodes, edges)
    told = read(world_of(scene, nodes, edges, {}).whole())
    island = column(told, "corners", "island")
    states = column(told, "corners", "state")
    for number, outline in enumerate(scene.plates):
        mine = island == number
        places = column(told, "corners", "place")[mine]
        assert len(places) == RIM
        assert places[0].tolist() == pytest.approx(outline[np.argmin(outline[:, 1])].tolist())
        assert (places >= outline.min(axis=0) - 1e-5).all()
        assert (places <= outline.max(axis=0) + 1e-5).all()
        failing = float((states[mine] == FAILING).mean())
        assert failing == pytest.approx(float(scene.plate_shares[number, FAILING]), abs=1 / RIM)
        if failing:
            front = np.flatnonzero(states[mine] == FAILING)
            assert {0, RIM - 1} <= set(front.tolist())


def test_a_newcomer_is_told_alone() -> None:
    before = world(dict.fromkeys(NAMES[:5], "healthy"))
    after = world({"newcomer": "healthy"} | dict.fromkeys(NAMES[:5], "healthy"), [])
    changed = before.since(before)
    assert len(changed) < len(before.whole())
    assert read(changed, read(before.whole()))["tables"] == read(before.whole())["tables"]
    assert read(after.since(before), read(before.whole())) == read(after.whole())


def test_the_same_scene_has_the_same_version_and_another_has_another() -> None:
    healthy = dict.fromkeys(NAMES[:4], "healthy")
    assert world(healthy).version == world(healthy).version
    assert world(healthy).version != world(healthy | {"db": "failing"}).version


def test_a_changed_state_is_a_small_message() -> None:
    many = {f"service-{number}": "healthy" for number in range(400)}
    nodes, edges = frames(many)
    scene = scene_of(nodes, edges)
    before = world_of(scene, nodes, edges, {})
    sick = scene.state.copy()
    sick[7] = FAILING
    after = world_of(replace(scene, state=sick), nodes, edges, {})
    changed = after.since(before)
    assert len(changed) < len(after.whole()) / 20
    assert read(changed, read(before.whole())) == read(after.whole())


SOME = st.dictionaries(st.sampled_from(NAMES), STATE, max_size=len(NAMES))


@settings(max_examples=30, deadline=None)
@given(st.lists(SOME, min_size=2, max_size=4))
def test_changes_compose_to_the_whole(worlds: list[dict[str, str]]) -> None:
    told = [world(states) for states in worlds]
    seen = read(told[0].whole())
    for before, after in itertools.pairwise(told):
        seen = read(after.since(before), seen)
        assert seen == read(after.whole())


COLUMNS = st.lists(st.tuples(st.integers(0, 9), st.floats(width=32), st.text(max_size=3)), max_size=9)


@settings(max_examples=150, deadline=None)
@given(COLUMNS, COLUMNS, st.booleans())
def test_any_rows_become_any_others(
    first: list[tuple[int, float, str]], second: list[tuple[int, float, str]], known: bool
) -> None:
    tables = []
    for rows in (first, second):
        unique = list({row[0]: row for row in rows}.values())
        numbers = np.array([value for _, value, _ in unique], np.float32)
        pairs = np.column_stack([numbers, numbers]) if unique else np.zeros((0, 2), np.float32)
        keys = [key for key, _, _ in unique] if known else None
        table = Table({"a": numbers, "b": pairs}, {"t": [text for _, _, text in unique]}, keys)
        tables.append(Tables({"rows": len(unique)}, {"it": table}))
    before, after = tables
    seen = read(after._written(after.version, before), read(before.whole()))
    np.testing.assert_equal(seen, read(after.whole()))
