from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from naive.critical_path import Walk
from naive.forest import Span, twin
from naive.spans import arrays, nested_spans, tangled_spans
from tracescape_native.critical_path import critical_paths
from tracescape_native.critical_sums import on_main_path, trace_sums
from tracescape_native.forest import build_forest


@given(nested_spans() | tangled_spans(), st.booleans())
def test_agree_with_counters(spans: list[Span], first_counts: bool) -> None:
    forest = build_forest(arrays(spans))
    paths = critical_paths(forest)
    counted = np.array([first_counts, True])[: len(forest.main_root)]
    chosen = on_main_path(forest, paths, counted)
    found = trace_sums(forest, paths, chosen, forest.kind)
    far_apart = trace_sums(forest, paths, chosen, forest.kind * 2**40)
    assert np.array_equal(far_apart.code, found.code * 2**40)
    assert np.array_equal(far_apart.critical_ns, found.critical_ns)

    nodes, mains = twin(spans)
    owned, number = Counter[tuple[int, int]](), Counter[tuple[int, int]]()
    for root, counts in zip(mains, counted, strict=True):
        walk = Walk(root, 0.01)
        for node, critical in walk.critical.items():
            on_path = any(walk.critical[below] for below in node.walk())
            assert chosen[nodes.index(node)] == (on_path and counts)
            if on_path and counts:
                owned[node.span.trace, node.span.kind] += critical
                number[node.span.trace, node.span.kind] += 1
    keys = list(zip(found.trace.tolist(), found.code.tolist(), strict=True))
    assert dict(zip(keys, found.critical_ns.tolist(), strict=True)) == owned
    assert dict(zip(keys, found.spans.tolist(), strict=True)) == number
    assert len(keys) == len(number)
    assert found.total_ns.sum() == (paths.path_end - paths.path_start)[chosen].sum()


def test_empty() -> None:
    forest = build_forest(arrays([]))
    none = np.zeros(0, np.bool_)
    assert trace_sums(forest, critical_paths(forest), none, forest.kind).code.tolist() == []
