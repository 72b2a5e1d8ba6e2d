"""Communities, parts and call depths against their twins."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naive import layout as naive
from support.graphs import Graph, clique, graphs, groups, lonely, star
from support.sizes import sized
from tracescape_native.layout_communities import communities, components, depths
from tracescape_native.layout_graph import Links, links


def edges_of(graph: Links) -> naive.Edges:
    return naive.merged(*(column.tolist() for column in graph.pairs()))


@given(graphs(most=14))
@settings(max_examples=80, deadline=None)
def test_parts_are_those_of_the_twin(graph: Graph) -> None:
    linked = links(*graph)
    count = len(linked.order)
    assert components(linked).tolist() == naive.parts(count, edges_of(linked), [0] * count)


@given(graphs(most=14, weights=st.floats(0.01, 100.0)), st.floats(0.3, 5.0))
@settings(max_examples=80, deadline=None)
def test_communities_hang_together_and_beat_everybody_for_himself(graph: Graph, resolution: float) -> None:
    linked = links(*graph)
    count, edges = len(linked.order), edges_of(linked)
    found = communities(linked, resolution=resolution).tolist()
    assert found == naive.parts(count, edges, found), "numbered by first member, none in two pieces"
    if edges:
        alone = naive.modularity(count, edges, list(range(count)), resolution)
        assert naive.modularity(count, edges, found, resolution) >= alone - 1e-9


@pytest.mark.parametrize("seed", range(5))
def test_their_modularity_is_that_of_networkx(seed: int) -> None:
    linked = links(*groups(120, 15, between=1.0, seed=seed))
    edges = edges_of(linked)
    graph: nx.Graph[int] = nx.Graph()
    graph.add_nodes_from(range(120))
    graph.add_weighted_edges_from((*sorted(pair), weight) for pair, weight in edges.items())
    theirs = nx.community.louvain_communities(graph, seed=1)
    number = {node: i for i, group in enumerate(theirs) for node in group}
    ours = naive.modularity(120, edges, communities(linked).tolist())
    assert ours > naive.modularity(120, edges, [number[i] for i in range(120)]) - 0.02


def test_two_cliques_and_a_bridge_are_two() -> None:
    a, b = np.triu_indices(6, 1)
    source, target = np.concatenate([a, a + 6, [0]]), np.concatenate([b, b + 6, [6]])
    linked = links(np.arange(12), source, target, np.ones(len(source)))
    assert communities(linked).tolist() == [0] * 6 + [1] * 6


@pytest.mark.parametrize(
    ("graph", "count"),
    [
        pytest.param(lonely(0), 0, id="nothing"),
        pytest.param(lonely(7), 7, id="no edges"),
        pytest.param(clique(30), 1, id="clique"),
        pytest.param(star(sized(100_000, 100)), 1, id="star"),
    ],
)
def test_graphs_of_one_shape(graph: Graph, count: int) -> None:
    assert len(np.unique(communities(links(*graph)))) == count


@pytest.mark.parametrize("weight", [1e-300, 1e300])
def test_weights_at_the_end_of_their_range(weight: float) -> None:
    keys, source, target, ones = groups(60, 15, between=0.1)
    found = communities(links(keys, source, target, ones * weight))
    assert np.array_equal(found, communities(links(keys, source, target, ones)))


@given(graphs(most=14), st.lists(st.integers(0, 13), max_size=4))
@settings(max_examples=80, deadline=None)
def test_depths_are_those_of_the_twin(graph: Graph, first: list[int]) -> None:
    keys, source, target, _ = graph
    entries = [i for i in first if i < len(keys)]
    found = depths(len(keys), source, target, np.array(entries, np.int64))
    assert found.tolist() == naive.depths(len(keys), source.tolist(), target.tolist(), entries)
