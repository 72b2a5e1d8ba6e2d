"""Where everything stands: apart, on islands that do not meet, and there again the next time."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from naive import layout as naive
from support.graphs import Graph, clique, graphs, groups, lonely, path, star
from support.sizes import sized
from tracescape_render.islands import SMALLEST_WORLD, Stand, call_depths, communities
from tracescape_render.placing import SPACING, Places, Transition, place, stands

Edge = tuple[str, str]
APART = [SPACING / 2]


def settled(graph: Graph, known: dict[str, Stand] | None = None) -> tuple[list[str], Places]:
    keys, source, target, weight = graph
    names = [f"s{key}" for key in keys.tolist()]
    calls = np.nan_to_num(weight, posinf=1e9)
    island = communities(names, source, target, calls, known)
    depth = call_depths(len(names), source, target, [])
    return names, place(names, source, target, calls, depth, island, known or {})


def by_name(edges: list[Edge], extra: tuple[str, ...] = (), known: dict[str, Stand] | None = None) -> dict:
    """Places by name, and the island that each stands on."""
    names = sorted({*itertools.chain(*edges), *extra})
    number = {name: i for i, name in enumerate(names)}
    source = np.array([number[a] for a, _ in edges], np.int64)
    target = np.array([number[b] for _, b in edges], np.int64)
    calls = np.full(len(edges), 100.0)
    island = communities(names, source, target, calls, known)
    depth = call_depths(len(names), source, target, [])
    found = place(names, source, target, calls, depth, island, known or {})
    return stands(names, found.positions, found.island)


def crossing(outline: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether two convex outlines meet: no side of either has the other beyond it."""
    for corners, others in ((outline, other), (other, outline)):
        for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            side = (b[0] - a[0]) * (others[:, 1] - a[1]) - (b[1] - a[1]) * (others[:, 0] - a[0])
            if (side < 0).all():
                return False
    return True


def assert_sound(found: Places) -> None:
    assert np.isfinite(found.positions).all()
    gap = naive.nearest_gap(found.positions.tolist(), APART * len(found.positions))
    assert gap >= -1e-6, "bodies overlap"
    assert len(found.outlines) == int(found.island.max(initial=-1)) + 1
    for one, other in itertools.combinations(found.outlines, 2):
        assert not crossing(one, other), "islands overlap"


def community_edges(groups_: int, size: int = 12, prefix: str = "") -> list[Edge]:
    """Each group has a front that calls the others, which call their next; fronts call the next front."""
    edges = []
    for g in range(groups_):
        names = [f"{prefix}g{g:02}-{i}" for i in range(size)]
        edges += [(names[0], name) for name in names[1:]]
        edges += list(itertools.pairwise(names[1:]))
        edges.append((names[0], f"{prefix}g{(g + 1) % groups_:02}-0"))
    return edges


@given(graphs(most=60))
@settings(max_examples=60, deadline=None)
def test_bodies_and_islands_are_apart_in_any_world(graph: Graph) -> None:
    assert_sound(settled(graph)[1])


@pytest.mark.parametrize(
    "graph",
    [
        pytest.param(lonely(0), id="nothing"),
        pytest.param(lonely(1), id="one"),
        pytest.param(path(2), id="two"),
        pytest.param(lonely(300), id="nobody talks"),
        pytest.param(clique(60), id="clique"),
        pytest.param(star(400), id="star"),
        pytest.param(path(200), id="a long chain of calls"),
        pytest.param(groups(300, 12, between=0.2), id="groups"),
        pytest.param(groups(120, 4, between=0.0), id="many small parts"),
    ],
)
def test_worlds_with_a_shape_of_their_own(graph: Graph) -> None:
    found = settled(graph)[1]
    assert_sound(found)
    assert np.abs(found.positions).max(initial=0.0) < 60 * math.sqrt(len(found.positions) + 1)


def test_a_star_of_very_many_is_placed_too() -> None:
    count = sized(100_000, 200)
    found = settled(star(count))[1]
    assert np.isfinite(found.positions).all()
    cells = np.unique(np.floor(found.positions / (SPACING / 2)), axis=0)
    assert len(cells) > 0.9 * count, "they are spread out, not heaped up"


@given(graphs(most=50), st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_the_order_of_services_does_not_matter(graph: Graph, seed: int) -> None:
    keys, source, target, weight = graph
    random = np.random.default_rng(seed)
    to, by = random.permutation(len(keys)), random.permutation(len(source))
    moved = np.empty_like(keys)
    moved[to] = keys
    found = settled(graph)[1]
    again = settled((moved, to[source][by], to[target][by], weight[by]))[1]
    assert np.array_equal(again.positions[to], found.positions)
    assert np.array_equal(again.island[to], found.island)


@given(graphs(most=50), st.integers(0, 2**31), st.floats(0.1, 0.9))
@settings(max_examples=40, deadline=None)
def test_newcomers_leave_everybody_where_they_are(graph: Graph, seed: int, share: float) -> None:
    keys, source, target, weight = graph
    residents = np.random.default_rng(seed).random(len(keys)) < share
    number = np.cumsum(residents) - 1
    kept = residents[source] & residents[target]
    before_names, before = settled(
        (keys[residents], number[source[kept]], number[target[kept]], weight[kept])
    )
    known = stands(before_names, before.positions, before.island)
    names, after = settled(graph, known)
    assert_sound(after)
    for name, position in zip(names, after.positions.tolist(), strict=True):
        if name in known:
            assert tuple(position) == known[name][:3]
    again = stands(names, after.positions, after.island)
    together = {name: stand[3] for name, stand in again.items()}
    for a, b in itertools.combinations(known, 2):
        assert (known[a][3] == known[b][3]) == (together[a] == together[b]), "islands stay what they are"


def test_a_newcomer_stands_on_the_island_of_those_it_talks_to_and_near_them() -> None:
    edges = community_edges(5)
    before = by_name(edges)
    friends = ["g03-4", "g03-5"]
    after = by_name([*edges, *((friend, "new") for friend in friends)], known=before)
    assert {name: after[name][:3] for name in before} == {name: before[name][:3] for name in before}
    away = {name: math.dist(after["new"][:2], stand[:2]) for name, stand in before.items()}
    assert max(away[friend] for friend in friends) < 0.3 * np.median(list(away.values()))
    island = {name for name, stand in after.items() if stand[3] == after["new"][3]}
    assert island == {"new", *(name for name in before if name.startswith("g03"))}


def test_strangers_get_an_island_of_their_own_beside_the_world() -> None:
    edges = community_edges(5)
    before = by_name(edges)
    after = by_name([*edges, *community_edges(1, size=6, prefix="far-")], known=before)
    strangers = [name for name in after if name.startswith("far-")]
    label = {after[name][3] for name in strangers}
    assert len(label) == 1
    assert not label & {stand[3] for stand in before.values()}


def test_an_island_that_is_full_sends_newcomers_to_a_new_one() -> None:
    edges = community_edges(5)
    before = by_name(edges)
    crowd = [("g00-1", f"crowd-{i:03}") for i in range(400)]
    names = sorted({*itertools.chain(*edges, *crowd)})
    number = {name: i for i, name in enumerate(names)}
    ends = np.array([(number[a], number[b]) for a, b in [*edges, *crowd]])
    calls, depth = np.ones(len(ends)), np.zeros(len(names), np.int64)
    island = communities(names, ends[:, 0], ends[:, 1], calls, before)
    found = place(names, ends[:, 0], ends[:, 1], calls, depth, island, before)
    assert_sound(found)
    assert len(found.outlines) == 6


def test_nobody_takes_the_place_of_who_is_away() -> None:
    edges = community_edges(1, size=20)
    before = by_name(edges)
    without = [edge for edge in edges if "g00-7" not in edge]
    newcomers = [("g00-6", f"new-{i}") for i in range(30)]
    after = by_name([*without, *newcomers], known=before)
    assert min(math.dist(stand[:3], before["g00-7"][:3]) for stand in after.values()) >= SPACING - 1e-6


def test_known_places_without_an_island_are_kept_too() -> None:
    edges = community_edges(5)
    bare = {name: stand[:3] for name, stand in by_name(edges).items()}
    after = by_name(edges, known=bare)
    assert {name: stand[:3] for name, stand in after.items()} == bare


def test_islands_that_talk_are_nearer_than_strangers() -> None:
    found = by_name(community_edges(12))
    middle = {
        g: np.mean([stand[:2] for name, stand in found.items() if name.startswith(f"g{g:02}")], axis=0)
        for g in range(12)
    }
    next_to = np.mean([np.linalg.norm(middle[g] - middle[(g + 1) % 12]) for g in range(12)])
    opposite = np.mean([np.linalg.norm(middle[g] - middle[(g + 6) % 12]) for g in range(12)])
    assert next_to < 0.6 * opposite


def test_groups_are_islands_and_few_services_are_one() -> None:
    found = by_name(community_edges(6))
    labels = [{stand[3] for name, stand in found.items() if name.startswith(f"g{g:02}")} for g in range(6)]
    assert all(len(label) == 1 for label in labels)
    assert len(set.union(*labels)) == 6
    few = by_name(community_edges(3, size=SMALLEST_WORLD // 3))
    assert len({stand[3] for stand in few.values()}) == 1


def test_namespaces_that_share_names_are_islands_apart() -> None:
    edges = [
        (f"{space}/{a}", f"{space}/{b}")
        for space in ("live", "test")
        for a, b in itertools.pairwise(["web", "cart", "db", "mail", "search"])
    ]
    found = by_name([*edges, ("live/web", "test/db")])
    labels = {
        space: {stand[3] for name, stand in found.items() if name.startswith(space)}
        for space in ("live", "test")
    }
    assert len(labels["live"]) == len(labels["test"]) == 1
    assert labels["live"] != labels["test"]


def test_a_large_world_has_islands_that_can_be_read() -> None:
    _, found = settled(groups(sized(5_000, 300), 20, inside=3, between=0.5))
    sizes = np.bincount(found.island)
    assert np.median(sizes) <= 60
    assert sizes.min() >= 4


def test_a_new_layout_can_be_walked_to() -> None:
    before, after = np.zeros((2, 3)), np.array([[4.0, 0, 0], [0, 8.0, 0]])
    way = Transition(before, after)
    assert np.array_equal(way.at(0), before)
    assert np.array_equal(way.at(1), after)
    assert np.array_equal(way.at(0.5), after / 2)
    assert np.array_equal(way.at(-3), before)
    assert np.array_equal(way.at(9), after)
    shares = [float(way.at(t)[0, 0]) for t in np.linspace(0, 1, 11)]
    assert shares == sorted(shares)
    assert shares[1] - shares[0] < shares[6] - shares[5], "it starts gently"
