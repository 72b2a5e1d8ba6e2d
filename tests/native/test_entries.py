from __future__ import annotations

from hypothesis import given

from naive.forest import Node, Span, twin
from naive.spans import arrays, nested_spans, tangled_spans
from tracescape_native.entries import entry_spans
from tracescape_native.forest import build_forest


def entered_at(node: Node) -> Node:
    """Resources stand for services here."""
    above = node.parent
    return node if above is None or above.span.resource != node.span.resource else entered_at(above)


@given(nested_spans() | tangled_spans())
def test_agree_with_chains_of_parents(spans: list[Span]) -> None:
    forest = build_forest(arrays(spans))
    nodes, _ = twin(spans)
    positions = {id(node): position for position, node in enumerate(nodes)}
    found = entry_spans(forest, forest.resource)
    assert found.tolist() == [positions[id(entered_at(node))] for node in nodes]
