"""A large world for a browser: what the window would draw of it, told so that it can be opened from afar."""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl
import pytest

from naive.world_reader import World, read
from tracescape_render.scene import GROUP, Scene, build_scene
from tracescape_render.web.level import Level, Sight, budget_of, level_of
from tracescape_render.web.tables import Tables
from tracescape_render.web.world import world_of

ISLANDS, MEMBERS = 70, 40
SOFTWARE, CARD = "llvmpipe (LLVM 15.0.6, 256 bits)", "NVIDIA GeForce RTX"
PLACES = {
    f"s{island}-{member}": (60.0 * (island % 9), 60.0 * (island // 9) + member, 2.0, float(island))
    for island in range(ISLANDS)
    for member in range(MEMBERS)
}


@cache
def frames() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Islands of services in a ring each, and each ring's first calls the next island's first by two ways."""
    random = np.random.default_rng(3)
    names = list(PLACES)
    ring = [
        (f"s{i}-{m}", f"s{i}-{(m + 1) % MEMBERS}", "http") for i in range(ISLANDS) for m in range(MEMBERS)
    ]
    between = [
        (f"s{i}-0", f"s{(i + 1) % ISLANDS}-{m}", kind)
        for i in range(ISLANDS)
        for m in range(3)
        for kind in ("http", "rpc")
    ]
    ways = ring + between
    nodes = pl.DataFrame(
        {
            "service": names,
            "kind": ["service"] * len(names),
            "calls": random.integers(20, 10_000, len(names)),
            "errors": np.zeros(len(names), np.int64),
            **{f"{quantile}_ns": np.full(len(names), 1e6) for quantile in ("p50", "p95", "p99")},
            "state": ["failing" if name == "s5-7" else "healthy" for name in names],
        }
    )
    edges = pl.DataFrame(
        {
            "source": [source for source, _, _ in ways],
            "target": [target for _, target, _ in ways],
            "connection": [kind for _, _, kind in ways],
            "calls": random.integers(100, 1_000, len(ways)),
            "errors": random.integers(0, 50, len(ways)),
            "client_p50_ns": [None if kind == "rpc" else 2e6 for _, _, kind in ways],
            "client_p95_ns": [None if kind == "rpc" else 4e6 for _, _, kind in ways],
            "server_p50_ns": [1e6] * len(ways),
            "server_p95_ns": [3e6] * len(ways),
            "state": ["healthy"] * len(ways),
        }
    )
    return nodes, edges


@cache
def scene() -> Scene:
    return build_scene(*frames(), seconds=60.0, positions=PLACES)


def seen(sight: Sight) -> Level:
    level = level_of(scene(), sight)
    assert level is not None
    return level


def tables(sight: Sight | None) -> Tables:
    return world_of(scene(), *frames(), {}, level_of(scene(), sight))


def told(sight: Sight | None) -> World:
    return read(tables(sight).whole())


def numbers(world: World, table: str, column: str) -> list[float]:
    return [value for (value,) in world["tables"][table][column]]


def test_whoever_names_no_renderer_is_told_everybody() -> None:
    world = told(None)
    assert world["tables"]["bodies"]["service"] == scene().services
    assert world["about"]["levels"] is None
    assert "groups" not in world["tables"]


def test_a_graphics_card_carries_what_a_processor_does_not() -> None:
    assert level_of(scene(), Sight(CARD)) is None
    assert len(seen(Sight(SOFTWARE)).detail.scene.services) <= budget_of(Sight(SOFTWARE)).bodies


@pytest.mark.parametrize("less", [1, 2, 3, 50])
def test_whoever_is_slow_gets_half_as_much_at_most_three_times(less: int) -> None:
    whole, part = budget_of(Sight(SOFTWARE)), budget_of(Sight(SOFTWARE, less))
    assert part.bodies == whole.bodies // 2 ** min(less, 3)
    assert part.arcs == whole.arcs // 2 ** min(less, 3)


def test_everybody_is_in_one_body_that_counts_them() -> None:
    world = told(Sight(SOFTWARE))
    assert world["tables"]["everybody"]["service"] == scene().services
    bodies = numbers(world, "everybody", "body")
    members = numbers(world, "bodies", "members")
    assert np.bincount(np.array(bodies, int), minlength=len(members)).tolist() == members
    for body, group in enumerate(numbers(world, "bodies", "group")):
        service = world["tables"]["bodies"]["service"][body]
        assert (group >= 0) == (numbers(world, "bodies", "shape")[body] == GROUP) == service.startswith("\0")
    assert "services are inside" in world["about"]["caption"]


def test_the_sick_stand_by_themselves() -> None:
    assert "s5-7" in told(Sight(SOFTWARE))["tables"]["bodies"]["service"]


def closed_in(world: World) -> list[str]:
    keys = world["tables"]["groups"]["key"]
    return [key for key, is_open in zip(keys, numbers(world, "groups", "open"), strict=True) if not is_open]


def test_a_group_opens_by_its_key_and_by_any_of_its_members() -> None:
    key = closed_in(told(Sight(SOFTWARE)))[0]
    island = key.partition("-")[0]
    members = {name for name in scene().services if name.partition("-")[0] == island}
    for asked in (key, f"{island}-31"):
        world = told(Sight(SOFTWARE, opened=(asked,)))
        assert members <= set(world["tables"]["bodies"]["service"])
        assert key not in closed_in(world)


def test_who_is_to_be_kept_is_drawn_alone() -> None:
    hidden = f"{closed_in(told(Sight(SOFTWARE)))[0].partition('-')[0]}-31"
    assert hidden not in told(Sight(SOFTWARE))["tables"]["bodies"]["service"]
    world = told(Sight(SOFTWARE, kept=(hidden, "nobody")))
    assert hidden in world["tables"]["bodies"]["service"]


def test_unknown_keys_open_nothing() -> None:
    assert told(Sight(SOFTWARE, opened=("nobody", "\0nobody", "\0s1-1", ""))) == told(Sight(SOFTWARE))


def test_opening_comes_as_a_change() -> None:
    before = tables(Sight(SOFTWARE))
    after = tables(Sight(SOFTWARE, opened=(closed_in(read(before.whole()))[0],)))
    changed = after.since(before)
    assert len(changed) < 0.7 * len(after.whole())
    assert read(changed, read(before.whole())) == read(after.whole())


def naive_figures(world: World) -> dict[tuple[int, int], tuple[float, float]]:
    """Calls and errors between drawn bodies, added up edge by edge."""
    row = {name: place for place, name in enumerate(scene().services)}
    body = numbers(world, "everybody", "body")
    found: dict[tuple[int, int], tuple[float, float]] = {}
    for edge in frames()[1].iter_rows(named=True):
        pair = int(body[row[edge["source"]]]), int(body[row[edge["target"]]])
        calls, errors = found.get(pair, (0.0, 0.0))
        found[pair] = calls + edge["calls"], errors + edge["errors"]
    return found


def test_figures_of_joined_connections_are_sums() -> None:
    world = told(Sight(SOFTWARE))
    wanted = naive_figures(world)
    arcs = {name: numbers(world, "arcs", name) for name in ("source", "target", "calls", "errors")}
    for source, target, *figures in zip(*arcs.values(), strict=True):
        assert tuple(figures) == wanted[int(source), int(target)]


def test_figures_of_single_connections_are_those_of_their_edge() -> None:
    world = told(None)
    names = world["tables"]["bodies"]["service"]
    kinds = [None, *world["about"]["connections"]]
    edges = {
        (row["source"], row["target"], row["connection"]): row for row in frames()[1].iter_rows(named=True)
    }
    arcs = world["tables"]["arcs"]
    assert len(arcs["calls"]) == len(edges)
    for arc, (p50, p95) in enumerate(arcs["quantiles"]):
        ends = (names[arcs[end][arc][0]] for end in ("source", "target"))
        edge = edges[(*ends, kinds[arcs["kind"][arc][0]])]
        assert arcs["calls"][arc] == (edge["calls"],)
        assert arcs["errors"][arc] == (edge["errors"],)
        assert p50 == (edge["client_p50_ns"] or edge["server_p50_ns"])
        assert p95 == (edge["client_p95_ns"] or edge["server_p95_ns"])
