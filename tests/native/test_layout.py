"""The layout in space: its forces against a naive twin, and what must hold for any graph."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naive import layout as naive
from support.graphs import Graph, clique, graphs, groups, lonely, path, star
from support.sizes import sized
from tracescape_native.layout import FloatArray, lay_out, relax
from tracescape_native.layout_graph import coarser, links
from tracescape_native.layout_tree import LEAF, SOFT, grow, push


def laid(graph: Graph, **options: object) -> FloatArray:
    """Places in the order of the caller's nodes."""
    linked = links(*graph)
    found = np.empty((len(graph[0]), 3))
    found[linked.order] = lay_out(linked, **options)  # type: ignore[arg-type]
    return found


def shuffled(graph: Graph, seed: int) -> tuple[Graph, np.ndarray]:
    """The same graph with nodes, edges and their directions in another order; where each node went."""
    keys, source, target, weight = graph
    random = np.random.default_rng(seed)
    to, by = random.permutation(len(keys)), random.permutation(len(source))
    moved = np.empty_like(keys)
    moved[to] = keys
    turned = random.random(len(source)) < 0.5
    a, b = to[source][by], to[target][by]
    return (moved, np.where(turned, b, a), np.where(turned, a, b), weight[by]), to


@given(graphs(most=12))
@settings(max_examples=60, deadline=None)
def test_the_graph_is_what_the_twin_merges(graph: Graph) -> None:
    linked = links(*graph)
    expected = naive.merged(*(column.tolist() for column in graph[1:]))
    low, high, weight = linked.pairs()
    found = {
        frozenset((int(linked.order[a]), int(linked.order[b]))): w
        for a, b, w in zip(low, high, weight, strict=True)
    }
    assert found.keys() == expected.keys()
    assert all(math.isclose(found[pair], w, rel_tol=1e-9) for pair, w in expected.items() if w < 1e200)
    assert (linked.key[1:] > linked.key[:-1]).all()


@pytest.mark.parametrize(("theta", "wrong_by"), [(0.0, 1e-4), (0.6, 0.02), (1.5, 0.1)])
@pytest.mark.parametrize("count", [1, 2, 5, LEAF, LEAF + 1, 700])
def test_repulsion_is_that_of_the_twin(count: int, theta: float, wrong_by: float) -> None:
    random = np.random.default_rng(count)
    place = (random.normal(size=(count, 3)) * 5).astype(np.float32)
    mass = random.integers(1, 9, count).astype(np.float32)
    found = np.full((count, 3), np.nan, np.float32)
    tree = grow(place, mass, np.arange(count))
    push(tree, 0, len(tree.leaves), theta, found)
    expected = np.array(naive.pushed(place.tolist(), mass.tolist(), SOFT))
    wrong = np.linalg.norm(found - expected, axis=1)
    assert wrong.mean() <= wrong_by * np.linalg.norm(expected, axis=1).mean() + 1e-6


def test_points_in_one_place_are_a_leaf_and_no_end_of_cells() -> None:
    count = 5 * LEAF
    tree = grow(np.ones((count, 3), np.float32), np.ones(count, np.float32), np.arange(count))
    found = np.empty((count, 3), np.float32)
    push(tree, 0, len(tree.leaves), 1.5, found)
    assert len(tree.begin) < 30
    assert (found == 0).all()


@given(graphs(most=9), st.booleans(), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_one_step_is_that_of_the_twin(graph: Graph, upright: bool, seed: int) -> None:
    linked = links(*graph[:3], np.clip(np.nan_to_num(graph[3]), 0, 5))
    count = len(linked.order)
    random = np.random.default_rng(seed)
    place = random.normal(size=(count, 3)).astype(np.float32)
    mass = random.integers(1, 5, count).astype(np.float64)
    height = place[:, 2].copy() if upright else None
    found = relax(linked, place, mass, steps=1, height=height, gravity=0.1, longest=0.7)
    low, high, weight = (column.tolist() for column in linked.pairs())
    edges = naive.merged(low, high, weight)
    expected = naive.moved(
        place.tolist(), mass.tolist(), edges, soft=SOFT, gravity=0.1, reach=0.7, upright=upright
    )
    assert np.allclose(found, np.array(expected).reshape(-1, 3), atol=2e-3)


def test_many_nodes_take_the_same_step_as_few() -> None:
    # 700 go through the tree and threads' ranges; the twin of the few is the direct sum.
    linked = links(*groups(700, 20))
    place = np.random.default_rng(3).normal(size=(700, 3)).astype(np.float32) * 8
    found = relax(linked, place, np.ones(700), steps=1, theta=0.0)
    low, high, weight = (column.tolist() for column in linked.pairs())
    edges = naive.merged(low, high, weight)
    few = list(range(0, 700, 97))
    pushes = naive.pushed(place.tolist(), [1.0] * 700, SOFT)
    for i in few:
        force = np.array(pushes[i]) - 0.02 * place[i]
        for pair, w in edges.items():
            if i in pair:
                (other,) = pair - {i}
                way = place[other] - place[i]
                force = force + w * np.linalg.norm(way) * way
        length = np.linalg.norm(force)
        assert np.allclose(found[i], place[i] + force * min(length, 1.0) / length, atol=2e-3)


@given(graphs())
@settings(max_examples=60, deadline=None)
def test_places_are_finite_for_any_graph(graph: Graph) -> None:
    found = laid(graph)
    assert found.shape == (len(graph[0]), 3)
    assert np.isfinite(found).all()


@given(graphs(), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_the_order_of_nodes_and_edges_does_not_matter(graph: Graph, seed: int) -> None:
    other, to = shuffled(graph, seed)
    assert np.array_equal(laid(other)[to], laid(graph))


def test_the_order_does_not_matter_to_a_graph_that_takes_threads() -> None:
    graph = groups(sized(6_000, 610), 25)
    other, to = shuffled(graph, 7)
    assert np.array_equal(laid(other)[to], laid(graph))


@given(graphs(), st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_heights_that_are_given_stay(graph: Graph, seed: int) -> None:
    linked = links(*graph)
    height = np.random.default_rng(seed).integers(0, 6, len(graph[0])).astype(np.float64)
    assert np.array_equal(lay_out(linked, height=height)[:, 2], height)


@pytest.mark.parametrize(
    "graph",
    [
        pytest.param(lonely(0), id="nothing"),
        pytest.param(lonely(1), id="one"),
        pytest.param(path(2), id="two"),
        pytest.param(lonely(sized(2_000, 60)), id="no edges"),
        pytest.param(clique(sized(300, 20)), id="clique"),
        pytest.param(star(sized(100_000, 100)), id="star"),
        pytest.param(path(sized(5_000, 100)), id="path"),
        pytest.param(groups(sized(2_000, 60), 20, between=0), id="parts"),
    ],
)
def test_graphs_with_a_shape_of_their_own_spread_out(graph: Graph) -> None:
    found = laid(graph)
    assert np.isfinite(found).all()
    assert np.abs(found).max(initial=0.0) < 50 * math.sqrt(len(found) + 1)
    assert len(np.unique(found.round(6), axis=0)) == len(found), "no two in one place"


def test_a_star_halves_as_any_other_graph() -> None:
    graph = links(*star(1_001))
    mass = np.ones(1_001)
    for _ in range(5):
        smaller, weights, parent = coarser(graph, mass)
        assert len(weights) <= 0.51 * len(mass) + 1
        assert weights.sum() == 1_001
        assert np.array_equal(np.bincount(parent, mass), weights)
        assert np.bincount(parent).max() <= 2
        graph, mass = smaller, weights


def test_a_path_is_unfolded() -> None:
    found = laid(path(sized(400, 60)))
    ends = np.linalg.norm(found[0] - found[-1])
    steps = np.linalg.norm(np.diff(found, axis=0), axis=1)
    assert ends > 0.25 * steps.sum(), "it does not lie in a heap"
    assert steps.max() < 4 * steps.mean(), "and nowhere is it torn"


def test_groups_stand_apart() -> None:
    graph = groups(200, 20, between=0.3)
    found = laid(graph)
    group = np.arange(200) // 20
    gap = np.linalg.norm(found[:, None] - found[None], axis=2)
    same = group[:, None] == group[None]
    assert gap[same].mean() < 0.5 * gap[~same].mean()


def test_an_edge_to_nowhere_and_lists_of_different_lengths_are_named() -> None:
    with pytest.raises(ValueError, match="names a node that is not among the 3"):
        links(np.arange(3), np.array([0]), np.array([3]), np.ones(1))
    with pytest.raises(ValueError, match="1 sources, 2 targets and 1 weights are no edges"):
        links(np.arange(3), np.array([0]), np.array([1, 2]), np.ones(1))
