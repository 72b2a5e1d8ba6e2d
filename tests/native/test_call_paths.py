from __future__ import annotations

import numpy as np
from hypothesis import given

from naive.forest import Node, Span, twin
from naive.spans import arrays, nested_spans, tangled_spans
from support.sizes import sized
from tracescape_native.call_paths import call_paths, greatest_above, nearest_above, other_above
from tracescape_native.forest import build_forest


def steps(node: Node, wanted: bool = True) -> tuple[int, ...]:
    """Kinds stand for the code here; spans of resource 2 are not wanted (with `wanted`)."""
    if wanted and node.span.resource == 2:
        return ()
    above = () if node.parent is None else steps(node.parent, wanted)
    return (*above, node.span.kind)


@given(nested_spans() | tangled_spans())
def test_agree_with_chains_of_parents(spans: list[Span]) -> None:
    forest = build_forest(arrays(spans))
    nodes, _ = twin(spans)
    found = call_paths(forest.parent, forest.kind, forest.resource != 2)

    def chain(path: int) -> tuple[int, ...]:
        return () if path < 0 else (*chain(int(found.parent[path])), int(found.code[path]))

    assert [chain(int(path)) for path in found.path] == [steps(node) for node in nodes]
    assert len({chain(path) for path in range(len(found.code))}) == len(found.code)


@given(nested_spans() | tangled_spans())
def test_other_above(spans: list[Span]) -> None:
    forest = build_forest(arrays(spans))
    nodes, _ = twin(spans)
    expected = []
    for node in nodes:
        others = [kind for kind in steps(node, wanted=False) if kind != node.span.kind]
        expected.append(others[-1] if others else -1)
    assert other_above(forest, forest.kind).tolist() == expected


@given(nested_spans() | tangled_spans())
def test_nearest_above(spans: list[Span]) -> None:
    forest = build_forest(arrays(spans))
    nodes, _ = twin(spans)

    def nearest(node: Node | None) -> int:
        if node is None or node.span.kind == 2:
            return -1 if node is None else nodes.index(node)
        return nearest(node.parent)

    assert nearest_above(forest, forest.kind == 2).tolist() == [nearest(node) for node in nodes]


@given(nested_spans() | tangled_spans())
def test_greatest_above(spans: list[Span]) -> None:
    forest = build_forest(arrays(spans))
    nodes, _ = twin(spans)

    def greatest(node: Node) -> int:
        own = node.span.kind
        return own if node.parent is None else max(own, greatest(node.parent))

    assert greatest_above(forest, forest.kind).tolist() == [greatest(node) for node in nodes]


def test_deep_and_wide() -> None:
    n = sized(100_000)
    ones, all_of_them = np.ones(n, np.int64), np.ones(n, np.bool_)
    deep = build_forest(arrays([Span(0, i + 1, i, i, 2 * n - i) for i in range(n)]))
    assert call_paths(deep.parent, ones, all_of_them).path.tolist() == list(range(n))
    wide = build_forest(arrays([Span(0, i + 1, min(i, 1), i, i + 1) for i in range(n)]))
    assert call_paths(wide.parent, ones, all_of_them).path.max() == 1
    assert len(call_paths(wide.parent, np.arange(n), all_of_them).code) == n


def test_empty() -> None:
    forest = build_forest(arrays([]))
    assert call_paths(forest.parent, forest.kind, np.zeros(0, np.bool_)).code.tolist() == []
    assert other_above(forest, forest.kind).tolist() == []
